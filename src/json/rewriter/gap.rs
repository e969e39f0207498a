//! What waits between the last decided byte and the next value: comma, white space, name and colon.

use crate::json::{Limits, edits::Sink};

/// The two quotes of a name.
const QUOTES: usize = 2;

/// A gap, as far as it has been read. Its part in the current chunk stays there; only when the
/// chunk goes, or something in the gap changes, is it copied.
#[derive(Default)]
pub(crate) struct Gap {
    /// Where its part in the current chunk begins.
    from: usize,
    comma: bool,
    /// Where in the current chunk the name begins and ends, quotes included.
    name_from: Option<usize>,
    name_to: Option<usize>,
    /// What part of the gap the copy ends in.
    held: Part,
    /// The copy.
    before: Vec<u8>,
    name: Vec<u8>,
    after: Vec<u8>,
    /// Whether the white space is too long and left out.
    squeezed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Nothing,
    Before,
    Name,
    After,
}

impl Gap {
    /// Bytes that it has room for.
    pub(crate) fn held_bytes(&self) -> usize {
        self.before.capacity() + self.name.capacity() + self.after.capacity()
    }

    /// A new gap begins at `at`; `comma` says whether with a comma.
    #[inline]
    pub(crate) fn open(&mut self, at: usize, comma: bool) {
        self.from = at;
        self.comma = comma;
        self.name_from = None;
        self.name_to = None;
        if self.held != Part::Nothing {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.held = Part::Nothing;
        self.before.clear();
        self.name.clear();
        self.after.clear();
        self.squeezed = false;
    }

    /// Where its part in the current chunk begins: what is before it is no part of it.
    #[inline]
    pub(crate) fn from(&self) -> usize {
        self.from
    }

    /// As far as no earlier chunk has brought part of it: where it begins, and whether with a
    /// comma.
    #[inline]
    pub(crate) fn begun_here(&self) -> Option<(usize, bool)> {
        (self.held == Part::Nothing).then_some((self.from, self.comma))
    }

    /// The opening quote of the name stands at `at`.
    #[inline]
    pub(crate) fn begin_name(&mut self, at: usize) {
        self.name_from = Some(at);
    }

    /// The name ends before `end`, after its closing quote.
    #[inline]
    pub(crate) fn end_name(&mut self, end: usize) {
        self.name_to = Some(end);
    }

    /// The name, with its quotes, once it has ended.
    #[inline]
    pub(crate) fn name<'a>(&'a self, chunk: &'a [u8]) -> &'a [u8] {
        match (self.name_from, self.name_to) {
            (Some(from), Some(to)) => chunk.get(from..to).unwrap_or_default(),
            (None, _) | (_, None) => &self.name,
        }
    }

    /// From where to where the name stands in the chunk, with its quotes; none if part of it has
    /// been copied, or there is none.
    #[inline]
    pub(crate) fn name_in_chunk(&self) -> Option<(usize, usize)> {
        self.name_from.zip(self.name_to)
    }

    /// How much of a name has been copied.
    pub(crate) fn name_held(&self) -> usize {
        self.name.len()
    }

    /// Whether an earlier chunk has brought part of the name.
    #[inline]
    pub(crate) fn name_is_split(&self) -> bool {
        self.held == Part::Name
    }

    /// Copies its part of the chunk, which ends before `end`; of what is too long, no more than it
    /// takes to know that. What follows is the next part.
    pub(crate) fn hold(&mut self, chunk: &[u8], end: usize, limits: &Limits) {
        let (name_from, name_to) = (self.name_from.take(), self.name_to.take());
        let mut from = std::mem::replace(&mut self.from, end);
        let mut take = |into: &mut Vec<u8>, to: usize, max: usize| {
            let piece = chunk.get(from..to).unwrap_or_default();
            // One byte more than the limit is enough to know that it was exceeded.
            let room = (max + 1).saturating_sub(into.len());
            into.extend_from_slice(piece.get(..room).unwrap_or(piece));
            from = to;
        };
        let (space_max, name_max) = (limits.gap_bytes_max, limits.name_bytes_max + QUOTES);
        if matches!(self.held, Part::Nothing | Part::Before) {
            take(&mut self.before, name_from.unwrap_or(end), space_max);
            self.held = if name_from.is_some() { Part::Name } else { Part::Before };
        }
        if self.held == Part::Name {
            take(&mut self.name, name_to.unwrap_or(end), name_max);
            self.held = if name_to.is_some() { Part::After } else { Part::Name };
        }
        if self.held == Part::After {
            take(&mut self.after, end, space_max);
        }
        // White space means nothing, so a gap that is too long is not refused: its comma, name and
        // colon are kept, and a sender that pads values with megabytes of spaces cannot make the
        // buffer grow.
        self.squeezed |= self.before.len() + self.after.len() > limits.gap_bytes_max;
        if self.squeezed {
            self.before.clear();
            self.after.clear();
        }
    }

    /// The chunk goes; a gap that is open has been held, and its next part begins with the next
    /// chunk.
    pub(crate) fn next_chunk(&mut self) {
        self.from = 0;
    }

    /// Another name stands in the place of the one that has ended and been held.
    pub(crate) fn rename(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(name);
    }

    /// Whether all of it, up to `end`, is in the chunk and may leave from there.
    #[inline]
    pub(crate) fn is_in_chunk(&self, end: usize, limits: &Limits) -> bool {
        let length = end.saturating_sub(self.from);
        let name = || self.name_from.zip(self.name_to).map_or(0, |(from, to)| to - from);
        self.held == Part::Nothing
            && (length <= limits.gap_bytes_max || length - name() <= limits.gap_bytes_max)
    }

    /// Whether it has a comma that is to be left out.
    #[inline]
    pub(crate) fn drops_comma(&self, separated: bool) -> bool {
        self.comma && !separated
    }

    /// Puts all of it, which has been held to its end; without its comma unless `separated`.
    pub(crate) fn put<S: Sink + ?Sized>(&self, separated: bool, sink: &mut S) {
        if self.squeezed {
            if self.comma && separated {
                sink.put(b",");
            }
            if !self.name.is_empty() {
                sink.put(&self.name);
                sink.put(b":");
            }
        } else {
            let without = usize::from(self.drops_comma(separated));
            sink.put(self.before.get(without..).unwrap_or_default());
            sink.put(&self.name);
            sink.put(&self.after);
        }
    }
}
