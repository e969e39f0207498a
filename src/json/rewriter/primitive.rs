//! Numbers, `true`, `false` and `null`: one byte at a time, so that they may be cut anywhere, and
//! eight at a time where they are not.

/// How much of a primitive has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Primitive(u8);

/// What a byte does to a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrimitiveStep {
    /// It belongs to it.
    More(Primitive),
    /// It ended before this byte, which begins something else.
    End,
    /// No primitive goes on like this.
    Wrong,
}

impl Primitive {
    /// Before the first byte.
    pub(crate) const START: Self = Self(0);

    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "a state below 32 and a byte, into 32 x 256 entries"
    )]
    pub(crate) fn step(self, byte: u8) -> PrimitiveStep {
        match TABLE[usize::from(self.0 & 31)][usize::from(byte)] {
            WRONG => PrimitiveStep::Wrong,
            END => PrimitiveStep::End,
            state => PrimitiveStep::More(Self(state)),
        }
    }

    /// Whether the primitive is complete as it stands.
    pub(crate) fn is_complete(self) -> bool {
        self.step(b' ') == PrimitiveStep::End
    }
}

/// Whether a primitive begins at `at` that is right, and something follows it in `bytes`.
#[inline]
pub(crate) fn is_complete(bytes: &[u8], at: usize) -> bool {
    end(bytes, at).is_some() || is_complete_by_byte(bytes, at)
}

#[cold]
fn is_complete_by_byte(bytes: &[u8], at: usize) -> bool {
    let mut primitive = Primitive::START;
    for byte in bytes.iter().skip(at) {
        match primitive.step(*byte) {
            PrimitiveStep::More(more) => primitive = more,
            PrimitiveStep::End => return true,
            PrimitiveStep::Wrong => return false,
        }
    }
    false
}

/// Where the primitive ends that begins at `at`, if it is of a usual kind, and all of it and eight
/// bytes more stand in `bytes`. None says nothing: it has to be read byte by byte.
#[inline]
pub(crate) fn end(bytes: &[u8], at: usize) -> Option<usize> {
    let word = word(bytes, at)?;
    let end = match word.to_le_bytes() {
        [b'0'..=b'9', ..] => number_end(bytes, at, word)?,
        [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => at + 4,
        [b'f', b'a', b'l', b's', b'e', ..] => at + 5,
        [b'-', ..] => number_end(bytes, at + 1, self::word(bytes, at + 1)?)?,
        _ => return None,
    };
    match bytes.get(end)? {
        b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' => Some(end),
        _ => None,
    }
}

/// Where a number without exponent ends, after its sign; `word` are its first bytes. Most numbers
/// end within these, behind their fraction, too: then nothing else is called, so that no register
/// has to be kept for a call.
#[inline]
fn number_end(bytes: &[u8], at: usize, word: u64) -> Option<usize> {
    let others = others(word);
    if others == 0 {
        return long_number_end(bytes, at, word);
    }
    let whole = others.trailing_zeros() & !7;
    if whole == 0 || (whole > 8 && word & 0xff == u64::from(b'0')) {
        return None;
    }
    if word >> whole & 0xff != u64::from(b'.') {
        return Some(at + (whole / 8) as usize);
    }
    let others = others & (others - 1);
    if others == 0 {
        return fraction_end(bytes, at + (whole / 8) as usize + 1);
    }
    let end = others.trailing_zeros() & !7;
    (end > whole + 8).then_some(at + (end / 8) as usize)
}

/// The same of one that begins with eight digits, or more.
#[cold]
fn long_number_end(bytes: &[u8], at: usize, word: u64) -> Option<usize> {
    if word & 0xff == u64::from(b'0') {
        return None;
    }
    let whole = digits(bytes, at + 8)?;
    if bytes.get(whole) == Some(&b'.') { fraction_end(bytes, whole + 1) } else { Some(whole) }
}

/// Where a fraction ends that begins at `at`, behind the point.
#[cold]
fn fraction_end(bytes: &[u8], at: usize) -> Option<usize> {
    digits(bytes, at).filter(|end| *end > at)
}

/// Where the digits end that begin at `at`.
fn digits(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let others = others(word(bytes, at)?);
        if others != 0 {
            return Some(at + (others.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
}

/// The high bit of each byte that is no digit: exact up to the first that is, and up to the next if
/// that one is ASCII.
#[inline]
fn others(word: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A digit becomes 0 to 9. Adding 0x76 sets the high bit from 10 on, and the `|` that of what is
    // no ASCII. A sum over 0xff, of a byte from 0x8a on, carries into the next byte: that one may
    // then be wrong, as the comment above says.
    let number = word ^ 0x3030_3030_3030_3030;
    (number.wrapping_add(0x7676_7676_7676_7676) | number) & HIGH
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

const WRONG: u8 = 255;
const END: u8 = 254;

// States of a number, RFC 8259, section 6.
const MINUS: u8 = 1;
const ZERO: u8 = 2;
const INTEGER: u8 = 3;
const POINT: u8 = 4;
const FRACTION: u8 = 5;
const E: u8 = 6;
const E_SIGN: u8 = 7;
const EXPONENT: u8 = 8;
/// A literal whose last letter has been read.
const LITERAL: u8 = 9;
/// The first of the states inside a literal.
const INSIDE_LITERALS: u8 = 10;

static TABLE: [[u8; 256]; 32] = table();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is an error"
)]
const fn table() -> [[u8; 256]; 32] {
    let mut table = [[WRONG; 256]; 32];
    let mut digit = b'0';
    while digit <= b'9' {
        let at = digit as usize;
        let leading = if digit == b'0' { ZERO } else { INTEGER };
        table[0][at] = leading;
        table[MINUS as usize][at] = leading;
        table[INTEGER as usize][at] = INTEGER;
        table[POINT as usize][at] = FRACTION;
        table[FRACTION as usize][at] = FRACTION;
        table[E as usize][at] = EXPONENT;
        table[E_SIGN as usize][at] = EXPONENT;
        table[EXPONENT as usize][at] = EXPONENT;
        digit += 1;
    }
    table[0][b'-' as usize] = MINUS;
    table[ZERO as usize][b'.' as usize] = POINT;
    table[INTEGER as usize][b'.' as usize] = POINT;
    let before_exponent = [ZERO, INTEGER, FRACTION];
    let mut n = 0;
    while n < before_exponent.len() {
        table[before_exponent[n] as usize][b'e' as usize] = E;
        table[before_exponent[n] as usize][b'E' as usize] = E;
        n += 1;
    }
    table[E as usize][b'+' as usize] = E_SIGN;
    table[E as usize][b'-' as usize] = E_SIGN;

    let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
    let mut next = INSIDE_LITERALS;
    let mut literal = 0;
    while literal < literals.len() {
        let letters = literals[literal];
        let mut from = 0;
        let mut letter = 0;
        while letter < letters.len() {
            let to = if letter + 1 == letters.len() {
                LITERAL
            } else {
                next += 1;
                next - 1
            };
            table[from as usize][letters[letter] as usize] = to;
            from = to;
            letter += 1;
        }
        literal += 1;
    }

    let complete = [ZERO, INTEGER, FRACTION, EXPONENT, LITERAL];
    let after = b" \t\n\r,]}";
    let mut n = 0;
    while n < complete.len() {
        let mut byte = 0;
        while byte < after.len() {
            table[complete[n] as usize][after[byte] as usize] = END;
            byte += 1;
        }
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where it ends by the table, byte by byte.
    fn end_by_byte(bytes: &[u8], at: usize) -> Option<usize> {
        let mut primitive = Primitive::START;
        for (index, byte) in bytes.iter().enumerate().skip(at) {
            match primitive.step(*byte) {
                PrimitiveStep::More(more) => primitive = more,
                PrimitiveStep::End => return Some(index),
                PrimitiveStep::Wrong => return None,
            }
        }
        None
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_ends_where_it_does_byte_by_byte(
            before in "[ ,]{0,9}",
            primitive in r"-?[0-9]{0,20}\.?[0-9]{0,20}|[0-9.eE+-]{1,12}|[a-z]{1,6}|.{1,3}",
            after in "[,} \n\t\r\\]a-z0-9.\u{e9}]{0,12}",
        ) {
            let text = format!("{before}{primitive}{after}");
            let (bytes, at) = (text.as_bytes(), before.len());
            if let Some(end) = end(bytes, at) {
                prop_assert_eq!(end_by_byte(bytes, at), Some(end), "{:?}", text);
            }
        }
    }

    /// Most are of these kinds, and none of them may take the slow way.
    #[test]
    fn usual_primitives_are_read_at_once() {
        let digits = ["7", "10", "1234567", "12345678", "123456789012345678901234567890"];
        let numbers = digits.iter().flat_map(|whole| {
            let fractions = digits.iter().map(move |fraction| format!("{whole}.{fraction}"));
            fractions.chain([(*whole).to_owned(), "0".to_owned(), "0.5".to_owned()])
        });
        let signed = numbers.flat_map(|number| [format!("-{number}"), number]);
        let words = ["true", "false", "null"].map(str::to_owned);
        for primitive in signed.chain(words) {
            for after in [",", "}", "]", " ", "\n", "\r", "\t"] {
                let text = format!("[{primitive}{after}12345678");
                assert_eq!(end(text.as_bytes(), 1), Some(1 + primitive.len()), "{text:?}");
            }
        }
        for wrong in ["01", "-", "-01", "1.", ".5", "1.a", "tru", "+1", "1a", "0x1", "00000000000"]
        {
            let text = format!("[{wrong},123456789");
            assert_eq!(end(text.as_bytes(), 1), None, "{text:?}");
        }
    }
}
