//! Part of a chunk with its tokens, and rows of tokens that are taken together.

use crate::json::kernel::Events;

/// What is being walked: part of a chunk, and the tokens in it.
pub(super) struct Window<'a> {
    chunk: &'a [u8],
    /// Where the window begins in the chunk.
    base: usize,
    events: &'a Events,
}

impl<'a> Window<'a> {
    /// The part of a chunk from `base` on that these tokens are of.
    #[inline]
    pub(super) fn new(chunk: &'a [u8], base: usize, events: &'a Events) -> Self {
        Self { chunk, base, events }
    }

    /// The chunk that it is part of.
    #[inline]
    pub(super) fn chunk(&self) -> &'a [u8] {
        self.chunk
    }

    /// How many tokens it has.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.events.count()
    }

    /// The first bytes of the tokens from `next` on, the first one lowest; 0 for those that are not
    /// there.
    #[inline]
    pub(super) fn kinds(&self, next: usize) -> u64 {
        self.events.kinds(next)
    }

    /// Where the tokens from `next` on stand in the chunk.
    #[inline]
    pub(super) fn at<const N: usize>(&self, next: usize) -> [usize; N] {
        // Both lie in the chunk, and so does their sum.
        self.events.at(next).map(|at| self.base.wrapping_add(at))
    }

    /// The name between the quotes at `from` and `to`, if it is of at most so many bytes and has no
    /// escape.
    #[inline]
    pub(super) fn plain_name(&self, from: usize, to: usize, bytes_max: usize) -> Option<&'a [u8]> {
        let name = self.chunk.get(from + 1..to)?;
        let has_escape =
            || from < self.base || self.events.has_escape(from - self.base, to - self.base);
        (name.len() <= bytes_max && !has_escape()).then_some(name)
    }
}

/// The first bytes of tokens in a row, as [`Events::kinds`] has them.
pub(super) struct TokenRun {
    kinds: u64,
    mask: u64,
}

impl TokenRun {
    /// A name and its colon.
    pub(super) const NAME: Self = Self::of(b"\"\":");
    /// A member that is a string, with others behind it.
    pub(super) const TEXT_MEMBER: Self = Self::of(b"\"\":\"\",");
    /// An element that is a string, with others behind it.
    pub(super) const TEXT_ELEMENT: Self = Self::of(b"\"\",");
    /// A string.
    pub(super) const TEXT: Self = Self::of(b"\"\"");

    const fn of(mut tokens: &[u8]) -> Self {
        let (mut kinds, mut mask, mut shift) = (0, 0, 0);
        while let [first, rest @ ..] = tokens {
            kinds |= (*first as u64) << shift;
            mask |= 0xff << shift;
            shift += 8;
            tokens = rest;
        }
        Self { kinds, mask }
    }

    /// How many tokens it has.
    pub(super) const fn length(&self) -> usize {
        self.mask.count_ones() as usize / 8
    }

    #[inline]
    pub(super) const fn begins(&self, tokens: u64) -> bool {
        tokens & self.mask == self.kinds
    }
}

/// The first of some tokens.
#[inline]
pub(super) fn first_kind(tokens: u64) -> u8 {
    let [first, ..] = tokens.to_le_bytes();
    first
}
