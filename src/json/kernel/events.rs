//! What a kernel finds in a window of the document, and what it remembers for the next one.

use std::cell::Cell;

/// What a kernel must remember from one call to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carry {
    inside: Inside,
}

impl Carry {
    /// At a place that is inside of this.
    pub(super) fn new(inside: Inside) -> Self {
        Self { inside }
    }

    /// What the next byte stands in.
    #[inline]
    pub(super) fn inside(self) -> Inside {
        self.inside
    }

    /// The same, to go on from it.
    #[inline]
    pub(super) fn inside_mut(&mut self) -> &mut Inside {
        &mut self.inside
    }
}

/// What the last byte left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Nothing: white space, or a token that is complete.
    #[default]
    Nothing,
    /// A number or literal, as far as its first byte tells.
    Primitive,
    /// A string.
    String,
    /// A string, after a backslash.
    Escape,
    /// A string, in `\u`, with this many hexadecimal digits to come.
    Hex(u8),
}

/// Most bytes that are scanned at a time: the events of a window stay in the nearest cache, and a
/// position in it fits 16 bits. A larger window would evict the bytes before they are walked, a
/// smaller one would cut more values, and what is cut goes through the slow path.
pub(crate) const WINDOW_BYTES_MAX: usize = 1 << 12;

/// Tokens that there is room for: those of the longest window, and twice as many, so that the place
/// of any that may be asked for is found by a mask alone.
pub(super) const ROOM: usize = 2 * WINDOW_BYTES_MAX;

/// The bytes that share a bit of [`Events::has_escape`], and that the wide kernels look at
/// together.
pub(super) const BLOCK_BYTES: usize = 64;

/// What a kernel finds in one window.
#[derive(Debug)]
pub(crate) struct Events {
    /// Where tokens stand, and room behind them for those of a whole block.
    at: Box<[u16; ROOM + BLOCK_BYTES]>,
    /// Their first bytes.
    kinds: Box<[u8; ROOM + BLOCK_BYTES]>,
    count: usize,
    /// A bit for each block that has a backslash in it.
    escapes: [u64; WINDOW_BYTES_MAX / BLOCK_BYTES / 64],
}

impl Default for Events {
    #[expect(clippy::large_stack_arrays, reason = "moved to the heap at once")]
    fn default() -> Self {
        Self {
            at: Box::new([0; ROOM + BLOCK_BYTES]),
            kinds: Box::new([0; ROOM + BLOCK_BYTES]),
            count: 0,
            escapes: Default::default(),
        }
    }
}

thread_local! {
    /// What windows before were written to, for the next ones. A thread reads one at a time, and
    /// one more for each document inside of another.
    static SPARE: Cell<Vec<Events>> = const { Cell::new(Vec::new()) };
}

impl Events {
    /// Lets `read` have the events of a window: they are of no use to anybody else once it is read,
    /// and are too many for each document that is on its way to have room for them.
    #[inline]
    pub(crate) fn lend<T>(read: impl FnOnce(&mut Self) -> T) -> T {
        let mut spare = SPARE.take();
        let mut events = spare.pop().unwrap_or_default();
        SPARE.set(spare);
        let result = read(&mut events);
        let mut spare = SPARE.take();
        spare.push(events);
        SPARE.set(spare);
        result
    }

    /// How many tokens there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Where tokens from `next` on stand; of those that are not there it says anything.
    #[inline]
    pub(crate) fn at<const N: usize>(&self, next: usize) -> [usize; N] {
        let next = next % ROOM;
        let at = self.at.get(next..).and_then(<[u16]>::first_chunk).copied().unwrap_or([0; N]);
        at.map(usize::from)
    }

    /// The first bytes of the tokens from `next` on, the first one lowest; 0 for those that are not
    /// there (and for one that is a zero itself, which is no JSON).
    #[inline]
    pub(crate) fn kinds(&self, next: usize) -> u64 {
        let next = next % ROOM;
        let kinds = self.kinds.get(next..).and_then(<[u8]>::first_chunk).copied();
        u64::from_le_bytes(kinds.unwrap_or_default())
    }

    /// Whether there may be a backslash from `from` to `to`; if not, there is none.
    #[inline]
    pub(crate) fn has_escape(&self, from: usize, to: usize) -> bool {
        let (first, last) = (from / BLOCK_BYTES, to / BLOCK_BYTES);
        self.block_has_escape(first)
            || self.block_has_escape(last)
            || last - first > 1 && (first..last).any(|block| self.block_has_escape(block))
    }

    #[inline]
    fn block_has_escape(&self, block: usize) -> bool {
        // Of a position that was never scanned nothing is known.
        self.escapes.get(block / 64).is_none_or(|blocks| blocks >> (block % 64) & 1 != 0)
    }

    /// Forgets what was found.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.escapes = Default::default();
    }

    /// No token comes any more. What blocks and earlier windows have left behind the last one goes.
    pub(super) fn end(&mut self) {
        let behind = self.kinds.iter_mut().skip(self.count).take(size_of::<u64>());
        behind.for_each(|kind| *kind = 0);
    }

    /// Notes a backslash at `at`.
    #[inline]
    pub(super) fn escape(&mut self, at: usize) {
        let block = at / BLOCK_BYTES;
        if let Some(blocks) = self.escapes.get_mut(block / 64) {
            *blocks |= 1 << (block % 64);
        }
    }

    /// Room for the tokens of a block: where they stand, and their first bytes.
    #[inline]
    pub(super) fn room(&mut self) -> Option<(&mut [u16; BLOCK_BYTES], &mut [u8; BLOCK_BYTES])> {
        // There is room for an event per byte, and for a block behind them.
        let at = self.at.get_mut(self.count..).and_then(<[u16]>::first_chunk_mut)?;
        let kinds = self.kinds.get_mut(self.count..).and_then(<[u8]>::first_chunk_mut)?;
        Some((at, kinds))
    }

    /// So many tokens have been written to that.
    #[inline]
    pub(super) fn append(&mut self, tokens: usize) {
        self.count += tokens;
    }

    /// Appends one token.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a window is far shorter than 2^16 bytes")]
    pub(super) fn push(&mut self, at: usize, kind: u8) {
        // There is room for an event per byte.
        if let (Some(free), Some(free_kind)) =
            (self.at.get_mut(self.count), self.kinds.get_mut(self.count))
        {
            *free = at as u16;
            *free_kind = kind;
            self.count += 1;
        }
    }
}

/// Finds the tokens in a window of the document.
pub(super) trait Scan {
    /// Appends the position in `window` (at most [`WINDOW_BYTES_MAX`] long) of every `{ } [ ] : ,`
    /// outside of strings, of both quotes of every string, and of the first byte of everything else
    /// that is not white space. The event after an opening quote is always the closing one.
    ///
    /// An error is the position of the first byte that cannot stand where it does, whatever stands
    /// around it: in a string a control character, or one that makes no escape (RFC 8259, section
    /// 7); outside a backslash.
    fn scan(self, carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize>;
}
