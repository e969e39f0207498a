//! What becomes of the bytes of a chunk: they pass, wait as a gap, are skipped or captured.
//!
//! The bytes before the mark are dealt with; those from it on are in one [`Mode`]. Bytes that pass
//! are not copied one by one: the mark stays, and all of them leave as one range when something
//! else begins.

use crate::json::{edits::Sink, limits::Limits, rewriter::gap::Gap};

#[derive(Clone, Copy, Debug)]
enum Mode<Capture> {
    Pass,
    Gap,
    Skip,
    Capture(Capture),
}

/// What waits of the current chunk, and what was copied of earlier ones until it is decided.
pub(super) struct Output<Capture> {
    limits: Limits,
    mode: Mode<Capture>,
    /// The bytes of the current chunk from here on are in `mode`; those before are dealt with.
    /// Those before a gap still pass.
    mark: usize,
    gap: Gap,
    captured: Vec<u8>,
    captured_too_long: bool,
    /// What an edit has written: kept for its room.
    written: Vec<u8>,
}

impl<Capture: Copy> Output<Capture> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            mode: Mode::Pass,
            mark: 0,
            gap: Gap::default(),
            captured: Vec::new(),
            captured_too_long: false,
            written: Vec::new(),
        }
    }

    /// Bytes that it holds, or has room for.
    pub(super) fn held_bytes(&self) -> usize {
        self.gap.held_bytes() + self.captured.capacity() + self.written.capacity()
    }

    /// A chunk is dealt with up to `from`.
    #[inline]
    pub(super) fn begin_at(&mut self, from: usize) {
        self.mark = from;
    }

    /// Whether the byte at `at` is not dealt with.
    pub(super) fn is_open_at(&self, at: usize) -> bool {
        self.mark <= at
    }

    /// The gap before the next value.
    #[inline]
    pub(super) fn gap(&self) -> &Gap {
        &self.gap
    }

    /// Whether a gap waits for its value.
    #[inline]
    pub(super) fn is_in_gap(&self) -> bool {
        matches!(self.mode, Mode::Gap)
    }

    /// The gap before the next child begins at `at`.
    #[inline]
    pub(super) fn open_gap(&mut self, at: usize, comma: bool) {
        // What was skipped or put has moved the mark already; what passes does so up to the gap.
        self.gap.open(at, comma);
        self.mode = Mode::Gap;
    }

    /// The opening quote of a name stands at `at`.
    #[inline]
    pub(super) fn begin_name(&mut self, at: usize) {
        self.gap.begin_name(at);
    }

    /// The name ends before `end`, after its closing quote.
    #[inline]
    pub(super) fn end_name(&mut self, end: usize) {
        self.gap.end_name(end);
    }

    /// Copies the gap as far as it has been read, up to `end`.
    pub(super) fn hold_gap<S: Sink + ?Sized>(&mut self, chunk: &[u8], end: usize, sink: &mut S) {
        self.flush(self.gap.from(), sink);
        self.gap.hold(chunk, end, &self.limits);
        self.mark = end;
    }

    /// Puts another name, which `write` writes, in the place of the one in the gap; false if that
    /// says that it has none.
    pub(super) fn rename<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        sink: &mut S,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        self.written.clear();
        let is_written = write(&mut self.written);
        if is_written {
            self.hold_gap(chunk, end, sink);
            self.gap.rename(&self.written);
        }
        is_written
    }

    /// Lets the gap before `at` go, with its comma if `separated`.
    #[inline]
    pub(super) fn release<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        separated: bool,
        sink: &mut S,
    ) {
        self.mode = Mode::Pass;
        if !self.gap.is_in_chunk(at, &self.limits) {
            self.put_gap(chunk, at, separated, sink);
        } else if self.gap.drops_comma(separated) {
            self.flush(self.gap.from(), sink);
            self.mark = self.gap.from() + 1;
        }
    }

    /// Puts the gap before `at`, which is not in the chunk as it is to leave.
    #[cold]
    fn put_gap<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        separated: bool,
        sink: &mut S,
    ) {
        self.hold_gap(chunk, at, sink);
        self.gap.put(separated, sink);
    }

    /// Puts `null` in the place of the value at `at`, whose gap has been let go.
    #[inline]
    pub(super) fn null<S: Sink + ?Sized>(&mut self, at: usize, sink: &mut S) {
        self.flush(at, sink);
        sink.put(b"null");
        self.mode = Mode::Skip;
    }

    /// What is being read is removed, with the gap before it.
    #[inline]
    pub(super) fn skip<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        if let Mode::Gap = self.mode {
            self.flush(self.gap.from(), sink);
        }
        self.mode = Mode::Skip;
    }

    /// Captures the scalar at `at`, whose gap has been let go.
    #[inline]
    pub(super) fn capture<S: Sink + ?Sized>(&mut self, capture: Capture, at: usize, sink: &mut S) {
        self.flush(at, sink);
        self.captured.clear();
        self.captured_too_long = false;
        self.mode = Mode::Capture(capture);
    }

    /// A value ends before `end`. If it was captured, gives as what: it has to be
    /// [written](Self::write).
    #[inline]
    pub(super) fn end_value(&mut self, end: usize) -> Option<Capture> {
        match std::mem::replace(&mut self.mode, Mode::Pass) {
            Mode::Pass | Mode::Gap => None,
            Mode::Skip => {
                self.mark = end;
                None
            }
            Mode::Capture(capture) => Some(capture),
        }
    }

    /// Puts what `write` makes of the captured scalar that ends before `end`: it is given none if
    /// that is too long.
    pub(super) fn write<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        sink: &mut S,
        write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>),
    ) {
        let piece = chunk.get(self.mark..end).unwrap_or_default();
        let fits = !self.captured_too_long
            && self.captured.len() + piece.len() <= self.limits.value_bytes_max;
        // A scalar that lies in one chunk, as most do, is not copied.
        let raw = if self.captured.is_empty() {
            piece
        } else {
            self.captured.extend_from_slice(if fits { piece } else { &[] });
            &self.captured
        };
        self.written.clear();
        write(fits.then_some(raw), &mut self.written);
        sink.put(&self.written);
        self.mark = end;
    }

    /// Puts `null` in the place of a value in the chunk whose gap passes.
    #[inline]
    pub(super) fn null_between<S: Sink + ?Sized>(&mut self, at: usize, end: usize, sink: &mut S) {
        self.flush(at, sink);
        sink.put(b"null");
        self.mark = end;
    }

    /// Drops what is in the chunk between two places.
    #[inline]
    pub(super) fn drop_between<S: Sink + ?Sized>(&mut self, at: usize, end: usize, sink: &mut S) {
        self.flush(at, sink);
        self.mark = end;
    }

    /// Passes what is open up to `to`.
    #[inline]
    fn flush<S: Sink + ?Sized>(&mut self, to: usize, sink: &mut S) {
        if self.mark < to {
            sink.pass(self.mark..to);
        }
        self.mark = to;
    }

    /// Passes what was decided before something went wrong: all up to the last gap.
    #[cold]
    pub(super) fn flush_decided<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        match self.mode {
            Mode::Pass | Mode::Gap => self.flush(self.gap.from().max(self.mark), sink),
            Mode::Skip | Mode::Capture(_) => {}
        }
    }

    /// Deals with the bytes of the chunk that are still open: the chunk is about to go.
    pub(super) fn end_chunk<S: Sink + ?Sized>(&mut self, chunk: &[u8], sink: &mut S) {
        match self.mode {
            Mode::Pass => self.flush(chunk.len(), sink),
            Mode::Skip => {}
            Mode::Gap => self.hold_gap(chunk, chunk.len(), sink),
            Mode::Capture(_) => {
                let piece = chunk.get(self.mark..).unwrap_or_default();
                if self.captured.len() + piece.len() > self.limits.value_bytes_max {
                    // Of a scalar that is too long nothing is written, so nothing of it has to be
                    // held.
                    self.captured_too_long = true;
                    self.captured.clear();
                } else if !self.captured_too_long {
                    self.captured.extend_from_slice(piece);
                }
            }
        }
    }

    /// The next bytes come from another chunk: what the gap has in this one has been held.
    pub(super) fn leave_chunk(&mut self) {
        self.gap.next_chunk();
    }
}
