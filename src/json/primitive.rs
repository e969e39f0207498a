//! Numbers, `true`, `false` and `null`, one byte at a time, so that they may be cut anywhere.

/// How much of a primitive has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Primitive(u8);

/// What a byte does to a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
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
    pub(crate) fn step(self, byte: u8) -> Step {
        match TABLE[usize::from(self.0 & 31)][usize::from(byte)] {
            WRONG => Step::Wrong,
            END => Step::End,
            state => Step::More(Self(state)),
        }
    }

    /// Whether the primitive is complete as it stands.
    pub(crate) fn is_complete(self) -> bool {
        self.step(b' ') == Step::End
    }
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
