//! What the wide kernels have in common: 64 bytes at a time, as masks with a bit for each byte.
//!
//! Bit *n* of a mask is the byte at *n* of the block, so that shifting left goes on in the
//! document. What a block leaves open goes into the next one as bits at the low end.
#![expect(
    clippy::inline_always,
    reason = "only inside of a function for the processor are the instructions themselves inlined"
)]

use super::events::{BLOCK_BYTES, Carry, Events, Inside};

/// 64 bytes of the document.
pub(super) type Block = [u8; BLOCK_BYTES];

/// A position for each byte of a block.
pub(super) type Positions = [u16; BLOCK_BYTES];

/// The steps that a processor does to a whole block. A value of such a type is only there where it
/// has the instructions for them.
pub(super) trait Lanes: Copy {
    /// Sorts the bytes of a block.
    fn classes(self, block: &Block) -> Classes;
    /// Sorts the bytes of a block by what they are after a backslash.
    fn escapes(self, block: &Block) -> Escapes;
    /// Each bit is the sum, without carry, of those up to it: between an odd bit and the even one
    /// after it everything is set, the odd one included.
    fn sums(self, bits: u64) -> u64;
    /// Writes the positions of the bits, plus `base`, one after the other, and beside them the
    /// bytes that stand there. What it writes behind them has no meaning.
    fn tokens(self, bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block);
}

/// White space, by the low half of its byte; elsewhere 0, which has another low half.
pub(super) const SPACES: [u8; 16] = [b' ', 0, 0, 0, 0, 0, 0, 0, 0, b'\t', b'\n', 0, 0, b'\r', 0, 0];

/// What is structural, by the low half of its byte, with bit 5 set: `[` and `{`, `]` and `}` are
/// one. So are a comma or a colon and a control character, which has to be taken out.
pub(super) const STRUCTURALS: [u8; 16] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b':', b'{', b',', b'}', 0, 0];

/// What the bytes of a block are, wherever they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) backslash: u64,
    pub(super) quote: u64,
    /// `{ } [ ] : ,`
    pub(super) structural: u64,
    pub(super) space: u64,
    /// Below 0x20, white space included.
    pub(super) control: u64,
}

/// What the bytes of a block can be in an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Escapes {
    /// `" \ / b f n r t u`
    pub(super) ends: u64,
    pub(super) u: u64,
    pub(super) hex: u64,
}

/// The [`Carry`], as masks for the next block.
#[derive(Clone, Copy)]
struct Open {
    /// All bits, in a string.
    string: u64,
    /// The lowest bit, after a backslash.
    escape: u64,
    /// As many of the lowest bits as hexadecimal digits have to come.
    hex: u64,
    /// The lowest bit, in a number or literal.
    primitive: u64,
}

/// [`Scan::scan`](super::events::Scan::scan). Inlined into a function that is compiled for the
/// processor of `lanes`.
#[inline(always)]
pub(super) fn scan<L: Lanes>(
    lanes: L,
    carry: &mut Carry,
    window: &[u8],
    events: &mut Events,
) -> Result<(), usize> {
    let mut open = Open::from(*carry);
    let (blocks, rest) = window.as_chunks::<BLOCK_BYTES>();
    let mut base = 0;
    for block in blocks {
        open.block(lanes, block, BLOCK_BYTES, base, events)?;
        base += BLOCK_BYTES;
    }
    if !rest.is_empty() {
        let mut block = [b' '; BLOCK_BYTES];
        for (byte, of_rest) in block.iter_mut().zip(rest) {
            *byte = *of_rest;
        }
        open.block(lanes, &block, rest.len(), base, events)?;
    }
    *carry = open.into();
    Ok(())
}

impl Open {
    /// The first `length` bytes of a block, which stands at `base` in the window. None is a token
    /// behind them: there is white space.
    #[inline(always)]
    fn block<L: Lanes>(
        &mut self,
        lanes: L,
        block: &Block,
        length: usize,
        base: usize,
        events: &mut Events,
    ) -> Result<(), usize> {
        let classes = lanes.classes(block);
        let mut wrong = 0;
        let mut escaped = 0;
        if classes.backslash | self.escape | self.hex != 0 {
            if classes.backslash != 0 {
                events.escape(base);
            }
            (escaped, wrong) = self.escapes(lanes, block, length, classes.backslash);
        }
        let quotes = classes.quote & !escaped;
        // Quotes alternate between opening and closing: a byte with an odd number of them up to it
        // is in a string. Where the block begins in one, it is the other way round.
        let inside = lanes.sums(quotes) ^ self.string;
        let other = !(classes.structural | classes.space | inside | quotes);
        // A number or literal counts once, by its first byte: one that has none of its kind before
        // it.
        let begins = other & !(other << 1 | self.primitive);
        wrong |= classes.control & inside | classes.backslash & !inside;
        let valid = u64::MAX >> (BLOCK_BYTES - length);
        if wrong & valid != 0 {
            return Err(base + wrong.trailing_zeros() as usize);
        }
        let tokens = (classes.structural & !inside | quotes | begins) & valid;
        events.extend(lanes, tokens, block, base);
        self.string = 0u64.wrapping_sub(inside >> (BLOCK_BYTES - 1));
        self.primitive = other >> (length - 1) & 1;
        Ok(())
    }

    /// Which bytes a backslash escapes, and which of those and of what follows them may not be
    /// there.
    #[inline]
    fn escapes<L: Lanes>(
        &mut self,
        lanes: L,
        block: &Block,
        length: usize,
        backslash: u64,
    ) -> (u64, u64) {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        // Of a row of backslashes every second one escapes; where a row begins decides whether
        // these are the odd or the even ones. The subtraction carries that from the begin of a row
        // to its end.
        let rows = (backslash & !self.escape) << 1;
        let odd_or_even = (rows | ODD).wrapping_sub(backslash & !self.escape) ^ ODD;
        let escaped = odd_or_even ^ (backslash | self.escape);
        let escaping = odd_or_even & backslash;
        let kinds = lanes.escapes(block);
        // Four digits follow each `u`, perhaps in the next block.
        let u = u128::from(escaped & kinds.u);
        let digits = u << 1 | u << 2 | u << 3 | u << 4 | u128::from(self.hex);
        let [hex, _] = halves(digits);
        let wrong = escaped & !kinds.ends | hex & !kinds.hex;
        self.escape = escaping >> (length - 1) & 1;
        [self.hex, _] = halves(digits >> length);
        (escaped, wrong)
    }
}

/// The lower and the upper bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves are there")]
fn halves(bits: u128) -> [u64; 2] {
    [bits as u64, (bits >> 64) as u64]
}

impl Events {
    /// Appends the tokens of a block, which stands at `base`.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a window is far shorter than 2^16 bytes")]
    fn extend<L: Lanes>(&mut self, lanes: L, bits: u64, block: &Block, base: usize) {
        if let Some((at, kinds)) = self.room() {
            lanes.tokens(bits, block, base as u16, at, kinds);
            self.append(bits.count_ones() as usize);
        }
    }
}

impl From<Carry> for Open {
    fn from(carry: Carry) -> Self {
        let open = Self { string: u64::MAX, escape: 0, hex: 0, primitive: 0 };
        match carry.inside() {
            Inside::Nothing => Self { string: 0, ..open },
            Inside::Primitive => Self { string: 0, primitive: 1, ..open },
            Inside::String => open,
            Inside::Escape => Self { escape: 1, ..open },
            Inside::Hex(digits) => Self { hex: (1 << digits) - 1, ..open },
        }
    }
}

impl From<Open> for Carry {
    fn from(open: Open) -> Self {
        let inside = match open {
            Open { string: 0, primitive: 0, .. } => Inside::Nothing,
            Open { string: 0, .. } => Inside::Primitive,
            Open { escape: 1, .. } => Inside::Escape,
            Open { hex: 0, .. } => Inside::String,
            #[expect(clippy::cast_possible_truncation, reason = "at most 4")]
            Open { hex, .. } => Inside::Hex(hex.count_ones() as u8),
        };
        Self::new(inside)
    }
}
