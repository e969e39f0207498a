//! The data of one event: a document, or a text that the policy lists.
//!
//! Nothing is held but what may still become a listed text, and the ends of lines: whether another line
//! of data follows is seen only then.

use std::{ops::Range, sync::Arc};

use super::fields::{End, Field, Gap, Part};
use crate::{enforce::Refusal, frame::documents::Documents, json::Sink, policy::Stream};

/// The data of the event that leaves, as far as it has been read.
pub(super) struct Data {
    listed: Arc<Stream>,
    state: State,
    /// How the last line of it began, and how it ended.
    gap: Gap,
    end: End,
    /// The last byte was the carriage return of `end`.
    after_return: bool,
}

/// What the data of an event is.
#[derive(Default)]
enum State {
    /// There is none so far.
    #[default]
    None,
    /// It may become a listed text. The gap is that of its line.
    Held(Vec<u8>),
    /// A document, which is being read.
    Document,
}

/// Passes the data of an event on, in lines as the last one was.
struct Joined<'a> {
    chunk: &'a [u8],
    out: &'a mut Vec<u8>,
    gap: Gap,
    end: End,
}

impl Sink for Joined<'_> {
    fn pass(&mut self, range: Range<usize>) {
        let chunk = self.chunk;
        self.put(chunk.get(range).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        let mut from = 0;
        for feed in memchr::memchr_iter(b'\n', bytes) {
            self.out.extend_from_slice(bytes.get(from..feed).unwrap_or_default());
            self.out.extend_from_slice(self.end.bytes());
            begin_data(self.gap, self.out);
            from = feed + 1;
        }
        self.out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    }
}

fn begin_data(gap: Gap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data:");
    out.extend_from_slice(gap.bytes());
}

impl Data {
    pub(super) fn new(listed: Arc<Stream>) -> Self {
        let (gap, end) = (Gap::default(), End::default());
        Self { listed, state: State::None, gap, end, after_return: false }
    }

    /// Whether there is any.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.state, State::None)
    }

    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.state {
            State::Held(held) => held.capacity(),
            State::None | State::Document => 0,
        }
    }

    /// Takes a part of the event, which stands at `at` of the body; what is no data it passes over.
    pub(super) fn take(
        &mut self,
        part: Part,
        piece: &[u8],
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match part {
            Part::Field(Field::Data, gap) => self.begin(gap, at, documents, out)?,
            Part::Value(Field::Data) => self.value(piece, at, documents, out)?,
            Part::End(Field::Data, byte) => {
                self.end = End::of(byte);
                self.after_return = byte == b'\r';
            }
            Part::Feed => {
                if std::mem::take(&mut self.after_return) {
                    self.end = End::Both;
                }
            }
            Part::End(Field::Event | Field::Comment | Field::Other, _) => self.after_return = false,
            Part::Field(Field::Event | Field::Comment | Field::Other, _)
            | Part::Value(Field::Event | Field::Comment | Field::Other)
            | Part::Empty(_) => {}
        }
        Ok(())
    }

    /// The event ends at `at` of the body, and its data with it: says how its last line ended, if there was any.
    pub(super) fn finish(
        &mut self,
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<Option<End>, Refusal> {
        match &self.state {
            State::None => return Ok(None),
            State::Document => {}
            // No data at all is none that could not leave.
            State::Held(held)
                if held.is_empty()
                    || self.listed.data.iter().any(|text| *text.as_bytes() == **held) =>
            {
                begin_data(self.gap, out);
                out.extend_from_slice(held);
                self.state = State::None;
            }
            State::Held(_) => self.read(at, documents, out)?,
        }
        let (gap, end) = (self.gap, self.end);
        if let State::Document = std::mem::take(&mut self.state) {
            documents.end(at, &mut Joined { chunk: &[], out, gap, end })?;
        }
        out.extend_from_slice(end.bytes());
        self.after_return = false;
        Ok(Some(end))
    }

    /// A line of data begins.
    fn begin(
        &mut self,
        gap: Gap,
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if let State::None = self.state {
            self.gap = gap;
            self.state = State::Held(Vec::new());
            return Ok(());
        }
        // Listed texts have one line.
        self.read(at, documents, out)?;
        self.gap = gap;
        self.document(b"\n", at, documents, out)
    }

    /// Takes a piece of a line.
    fn value(
        &mut self,
        piece: &[u8],
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if let State::Held(held) = &mut self.state {
            let goes_on = |text: &[u8]| text.starts_with(piece);
            let mut listed = self.listed.data.iter().map(String::as_bytes);
            if listed.any(|text| text.strip_prefix(held.as_slice()).is_some_and(goes_on)) {
                held.extend_from_slice(piece);
                return Ok(());
            }
            self.read(at, documents, out)?;
        }
        self.document(piece, at, documents, out)
    }

    /// What is held is no listed text: it is read as a document.
    fn read(
        &mut self,
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let held = match std::mem::replace(&mut self.state, State::Document) {
            State::Held(held) => held,
            State::None | State::Document => return Ok(()),
        };
        begin_data(self.gap, out);
        self.document(&held, at, documents, out)
    }

    /// Reads a piece of the document that is the data of the event.
    fn document(
        &mut self,
        piece: &[u8],
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let (gap, end) = (self.gap, self.end);
        documents.write(piece, at, &mut Joined { chunk: piece, out, gap, end })
    }
}
