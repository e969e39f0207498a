//! What waits between the last decided byte and the next value: comma, white space, name and colon.

use std::ops::Range;

use crate::json::{Limits, edits::Sink};

/// The two quotes of a name.
const QUOTES: usize = 2;

/// A gap, as far as it has been read. Its part in the current chunk stays there; only when the chunk
/// goes, or something in the gap changes, is it copied.
#[derive(Default)]
pub(crate) struct Gap {
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
    /// A new gap begins; `comma` says whether with a comma.
    pub(crate) fn open(&mut self, comma: bool) {
        self.clear();
        self.comma = comma;
    }

    pub(crate) fn clear(&mut self) {
        self.name_from = None;
        self.name_to = None;
        self.held = Part::Nothing;
        self.before.clear();
        self.name.clear();
        self.after.clear();
        self.squeezed = false;
    }

    /// The opening quote of the name stands at `at`.
    pub(crate) fn begin_name(&mut self, at: usize) {
        self.name_from = Some(at);
    }

    /// Where the name begins, if it does in the current chunk.
    pub(crate) fn name_from(&self) -> Option<usize> {
        self.name_from
    }

    /// The name ends before `end`, after its closing quote.
    pub(crate) fn end_name(&mut self, end: usize) {
        self.name_to = Some(end);
    }

    /// The name, with its quotes, once it has ended.
    pub(crate) fn name<'a>(&'a self, chunk: &'a [u8]) -> &'a [u8] {
        match (self.name_from, self.name_to) {
            (Some(from), Some(to)) => chunk.get(from..to).unwrap_or_default(),
            (None, _) | (_, None) => &self.name,
        }
    }

    /// How much of a name has been copied.
    pub(crate) fn name_held(&self) -> usize {
        self.name.len()
    }

    /// Whether an earlier chunk has brought part of the name.
    pub(crate) fn name_is_split(&self) -> bool {
        self.held == Part::Name
    }

    /// Copies `open`, the part of the chunk that belongs to the gap; of what is too long, no more than it
    /// takes to know that.
    pub(crate) fn hold(&mut self, chunk: &[u8], open: Range<usize>, limits: &Limits) {
        let (name_from, name_to) = (self.name_from.take(), self.name_to.take());
        let mut from = open.start;
        let mut take = |into: &mut Vec<u8>, to: usize, max: usize| {
            let piece = chunk.get(from..to).unwrap_or_default();
            let room = (max + 1).saturating_sub(into.len());
            into.extend_from_slice(piece.get(..room).unwrap_or(piece));
            from = to;
        };
        let (space_max, name_max) = (limits.gap_bytes_max, limits.name_bytes_max + QUOTES);
        if matches!(self.held, Part::Nothing | Part::Before) {
            take(&mut self.before, name_from.unwrap_or(open.end), space_max);
            self.held = if name_from.is_some() { Part::Name } else { Part::Before };
        }
        if self.held == Part::Name {
            take(&mut self.name, name_to.unwrap_or(open.end), name_max);
            self.held = if name_to.is_some() { Part::After } else { Part::Name };
        }
        if self.held == Part::After {
            take(&mut self.after, open.end, space_max);
        }
        self.squeezed |= self.before.len() + self.after.len() > limits.gap_bytes_max;
        if self.squeezed {
            self.before.clear();
            self.after.clear();
        }
    }

    /// Another name stands in the place of the one that has ended and been held.
    pub(crate) fn rename(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(name);
    }

    /// Lets the gap go, whose part `open` is in the chunk; without its comma unless `separated`.
    /// Gives the position up to which the chunk has been dealt with: the rest passes.
    pub(crate) fn release<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        open: Range<usize>,
        separated: bool,
        limits: &Limits,
        sink: &mut S,
    ) -> usize {
        let without_comma = usize::from(self.comma && !separated);
        let name = self.name_from.zip(self.name_to).map_or(0, |(from, to)| to - from);
        if self.held == Part::Nothing && open.len() - name <= limits.gap_bytes_max {
            return open.start + without_comma;
        }
        let end = open.end;
        self.hold(chunk, open, limits);
        if self.squeezed {
            if self.comma && separated {
                sink.put(b",");
            }
            if !self.name.is_empty() {
                sink.put(&self.name);
                sink.put(b":");
            }
        } else {
            sink.put(self.before.get(without_comma..).unwrap_or_default());
            sink.put(&self.name);
            sink.put(&self.after);
        }
        end
    }
}
