//! One document an event: server-sent events (WHATWG HTML, section 9.2).
//!
//! Of an event its data leaves, sieved, behind its name if the policy lists that. An event with another name
//! does not leave at all. Its id, `retry:` and fields that the standard does not know stay here; of a
//! comment the colon is left, for what lies on the way must not take the stream for idle.
//!
//! Fields come in any order, and the last `event:` is the name (section 9.2.6). So an event is held to its empty
//! line, and its data is read only then; that of an event that does not leave is not read at all. An event that is
//! longer than may be held goes on under the name that has been read so far: a later `event:` ends the body. Comments
//! belong to no event, and leave at once. An event that lies in one chunk is not copied.

mod data;
mod fields;

use std::{fmt, sync::Arc};

use crate::{
    enforce::Refusal,
    frame::documents::{Documents, wrong},
    json::Violation,
    policy::Stream,
};

use data::Data;
use fields::{End, Field, Fields, Gap, Part};

/// Room for an event that is kept for the next one, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 16;

/// A stream of events, as far as it has been read.
pub(super) struct Events {
    listed: Arc<Stream>,
    /// How much of an event is held, from its first value on.
    bytes_max: usize,
    fields: Fields,
    stage: Stage,
    /// What has been read of an event in earlier chunks, if it is [held](Stage::Held).
    held: Vec<u8>,
    /// The line `event:` that is being read, and the last one of the event that has ended.
    reading: Name,
    name: Option<Name>,
    data: Data,
    /// What has become of the lines of the event that are no data.
    others: Others,
    /// A comment came between lines of data that were leaving.
    comment_waits: bool,
    feed: Feed,
    /// The last line end that left is a carriage return, of which a line feed would be a part.
    left_return: bool,
}

/// What becomes of the event that has not ended.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing of it has come that could leave with it.
    Between,
    /// It waits for its end.
    Held {
        /// Where in the body its first value begins, of which field, and behind which gap.
        at: u64,
        field: Field,
        gap: Gap,
    },
    /// It is too long to be held, and leaves while it comes.
    Passes,
    /// It is too long to be held, and its name is not listed.
    Dropped,
}

/// A line `event:`.
#[derive(Default)]
struct Name {
    gap: Gap,
    /// Of what is too long to be listed, the beginning.
    text: Vec<u8>,
    end: End,
}

/// What has become of the lines of an event that are no data.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Others {
    /// There are none.
    #[default]
    None,
    /// They stay here.
    Stay,
    /// One of them has left.
    Left,
}

/// What becomes of the line feed of a `\r\n` whose carriage return has been dealt with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feed {
    Leaves,
    /// It belongs to the line end of the name that waits.
    Name,
    Stays,
}

impl Events {
    /// A stream of which the policy lists names and texts, and of which an event is held up to `bytes_max` bytes.
    pub(super) fn new(listed: Arc<Stream>, bytes_max: usize) -> Self {
        Self {
            data: Data::new(Arc::clone(&listed)),
            listed,
            bytes_max,
            fields: Fields::new(),
            stage: Stage::Between,
            held: Vec::new(),
            reading: Name::default(),
            name: None,
            others: Others::None,
            comment_waits: false,
            feed: Feed::Stays,
            left_return: false,
        }
    }

    /// Bytes of the body that it holds, or has room for, between two calls.
    pub(super) fn held_bytes(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.text.capacity());
        let names = self.reading.text.capacity() + name;
        self.held.capacity() + names + self.fields.held_bytes() + self.data.held_bytes()
    }

    pub(super) fn write(
        &mut self,
        documents: &mut Documents,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        // Of the chunk, what has been read, and where the event begins that is held.
        let (mut at, mut from) = (0, 0);
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let room = match self.stage {
                Stage::Held { .. } => self.bytes_max.saturating_sub(self.held.len() + at - from),
                Stage::Between | Stage::Passes | Stage::Dropped => rest.len(),
            };
            let rest = rest.get(..room).unwrap_or(rest);
            let (read, part) = self.fields.read(rest);
            let piece = rest.get(..read).unwrap_or_default();
            let begins = documents.offset(at);
            let waits = chunk.get(from..at).unwrap_or_default();
            at += read;
            match (self.stage, part) {
                (_, None) => {}
                (Stage::Between | Stage::Held { .. }, Some(Part::Empty(byte))) => {
                    let before = out.len();
                    self.release(waits, documents, out)
                        .and_then(|_leaves| self.end_event(byte, begins, documents, out))
                        // Of an event that is refused while it is held, nothing leaves.
                        .inspect_err(|_| out.truncate(before))?;
                }
                (Stage::Passes | Stage::Dropped, Some(Part::Empty(byte))) => {
                    self.end_event(byte, begins, documents, out)?;
                }
                // The event leaves, or is dropped, under the name that it had when it became too long.
                (Stage::Passes | Stage::Dropped, Some(Part::Field(Field::Event, _))) => {
                    return Err(wrong(begins));
                }
                (Stage::Passes, Some(part)) => {
                    self.comment_waits |= matches!(part, Part::End(Field::Comment, _));
                    self.data.take(part, piece, begins, documents, out)?;
                }
                (Stage::Between, Some(Part::Field(field @ (Field::Data | Field::Event), gap))) => {
                    self.stage = Stage::Held { at: documents.offset(at), field, gap };
                    self.reading.gap = gap;
                    from = at;
                }
                (Stage::Between | Stage::Held { .. } | Stage::Dropped, Some(part)) => {
                    self.look(part, piece, out);
                }
            }
            if let Stage::Held { .. } = self.stage
                && self.held.len() + at - from >= self.bytes_max
            {
                // The name is not complete: nothing says what to do with the event.
                if self.fields.field() == Some(Field::Event) {
                    return Err(wrong(documents.offset(at)));
                }
                let waits = chunk.get(from..at).unwrap_or_default();
                let before = out.len();
                let leaves =
                    self.release(waits, documents, out).inspect_err(|_| out.truncate(before))?;
                self.stage = if leaves { Stage::Passes } else { Stage::Dropped };
            }
        }
        if let Stage::Held { .. } = self.stage {
            self.hold(chunk.get(from..).unwrap_or_default());
        }
        Ok(())
    }

    /// The body has ended. What stands behind the last empty line is no event (section 9.2.6): what is held of it is left
    /// out, and if some of its data has left it must not seem to be one.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.stage {
            Stage::Passes if self.data.has_begun() => Err(Violation::Cut.into()),
            Stage::Between | Stage::Held { .. } | Stage::Passes | Stage::Dropped => Ok(()),
        }
    }

    /// Takes a part of an event that is held or dropped: notes its name, and lets comments leave.
    fn look(&mut self, part: Part, piece: &[u8], out: &mut Vec<u8>) {
        match part {
            Part::Field(Field::Event, gap) => self.reading.gap = gap,
            Part::Value(Field::Event) => {
                let longest = self.listed.events.iter().map(String::len).max().unwrap_or_default();
                let text = &mut self.reading.text;
                let room = (longest + 1).saturating_sub(text.len());
                text.extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
            Part::End(Field::Event, byte) => {
                self.name = Some(Name { end: End::of(byte), ..std::mem::take(&mut self.reading) });
                self.feed = Feed::Name;
            }
            Part::End(Field::Comment, byte) => {
                out.extend_from_slice(&[b':', byte]);
                self.others = Others::Left;
                self.left_return = byte == b'\r';
                self.feed = Feed::Leaves;
            }
            Part::End(Field::Data | Field::Other, _) => {
                self.others = self.others.max(Others::Stay);
                self.feed = Feed::Stays;
            }
            Part::Feed => match self.feed {
                Feed::Leaves => {
                    out.push(b'\n');
                    self.left_return = false;
                }
                Feed::Name => {
                    if let Some(name) = &mut self.name {
                        name.end = End::Both;
                    }
                }
                Feed::Stays => {}
            },
            Part::Field(Field::Data | Field::Comment | Field::Other, _)
            | Part::Value(Field::Data | Field::Comment | Field::Other)
            | Part::Empty(_) => {}
        }
    }

    /// Ends the wait of the event that is held, of which `waits` is the part in this chunk: it leaves or is
    /// dropped, as its name says. Returns whether it leaves.
    fn release(
        &mut self,
        waits: &[u8],
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        let Stage::Held { at, field, gap } = self.stage else { return Ok(false) };
        let mut held = std::mem::take(&mut self.held);
        let leaves = self.begin_event(documents, out);
        if leaves {
            let mut fields = Fields::within(field);
            let mut at = at;
            self.data.take(Part::Field(field, gap), &[], at, documents, out)?;
            for mut rest in [held.as_slice(), waits] {
                while !rest.is_empty() {
                    let (read, part) = fields.read(rest);
                    let (piece, behind) = rest.split_at_checked(read).unwrap_or((rest, &[]));
                    if let Some(part) = part {
                        self.data.take(part, piece, at, documents, out)?;
                    }
                    at += read as u64;
                    rest = behind;
                }
            }
        }
        if held.capacity() <= KEPT_BYTES_MAX {
            held.clear();
            self.held = held;
        }
        Ok(leaves)
    }

    /// Decides about the event by its name, which leaves before its data, wherever it stood. Returns whether the
    /// event leaves.
    fn begin_event(&mut self, documents: &mut Documents, out: &mut Vec<u8>) -> bool {
        let Some(Name { gap, text, end }) = self.name.take() else { return true };
        if !text.is_empty() && !self.listed.events.iter().any(|name| *name.as_bytes() == *text) {
            documents.withhold_event();
            self.others = self.others.max(Others::Stay);
            return false;
        }
        for bytes in [b"event:", gap.bytes(), text.as_slice(), end.bytes()] {
            out.extend_from_slice(bytes);
        }
        self.others = Others::Left;
        self.left_return = end == End::Return;
        true
    }

    /// An empty line, which ends with this byte, ends the event.
    fn end_event(
        &mut self,
        byte: u8,
        at: u64,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let data = self.data.finish(at, documents, out)?;
        if let Some(end) = data {
            self.left_return = end == End::Return;
        }
        // Of an event of which nothing leaves, its end does not either.
        let leaves = data.is_some() || self.others != Others::Stay;
        if leaves {
            if byte == b'\n' && self.left_return {
                out.push(b'\n');
            }
            out.push(byte);
            self.left_return = byte == b'\r';
        }
        if std::mem::take(&mut self.comment_waits) {
            out.extend_from_slice(&[b':', byte]);
        }
        self.feed = if leaves { Feed::Leaves } else { Feed::Stays };
        self.stage = Stage::Between;
        self.others = Others::None;
        Ok(())
    }

    /// Holds more of the event. What is asked for is no more than may be held.
    fn hold(&mut self, bytes: &[u8]) {
        let (length, wanted) = (self.held.len(), self.held.len() + bytes.len());
        if wanted > self.held.capacity() {
            let room = wanted.max((2 * length).min(self.bytes_max));
            self.held.reserve_exact(room - length);
        }
        self.held.extend_from_slice(bytes);
    }
}

/// Says how much it holds, and none of it.
impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
