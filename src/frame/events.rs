//! One document an event: server-sent events (WHATWG HTML, section 9.2).
//!
//! Of an event its data leaves, sieved, and its name if the policy lists it. An event with another name
//! does not leave at all. Its id, `retry:` and fields that the standard does not know stay here; of a
//! comment the colon is left, for what lies on the way must not take the stream for idle.
//!
//! Nothing is held but what may still become a listed text, and the ends of lines: whether another line
//! of data follows is seen only then.

use std::{ops::Range, sync::Arc};

use crate::{
    enforce::Refusal,
    frame::documents::Documents,
    json::{Sink, Violation},
    policy::Stream,
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longest name of a field that matters, in bytes, and one more to know a longer one.
const FIELD_BYTES_MAX: usize = 6;

/// A stream of events, as far as it has been read.
#[derive(Debug)]
pub(super) struct Events {
    listed: Arc<Stream>,
    line: Line,
    /// Whether no line has ended.
    is_first_line: bool,
    /// The name of a field, or of an event; of what is too long to matter, its beginning.
    text: Vec<u8>,
    /// The last byte was a carriage return that ended a line, and what becomes of a line feed behind it.
    after_return: Option<Feed>,
    /// The last line end that left is a carriage return, of which a line feed would be a part.
    left_return: bool,
    event: Event,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Name,
    /// Behind the colon, where one space does not count.
    Colon(Field),
    Value(Field, Gap),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Comment,
    Other,
}

/// What stands between colon and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gap {
    #[default]
    Nothing,
    Space,
}

impl Gap {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Nothing => b"",
            Self::Space => b" ",
        }
    }
}

/// What becomes of the line feed of a `\r\n` whose carriage return has been dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Leaves,
    /// The end of a line of data waits; it is this one.
    Waits,
    Stays,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Feed,
    Return,
    Both,
}

impl End {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Feed => b"\n",
            Self::Return => b"\r",
            Self::Both => b"\r\n",
        }
    }
}

/// The event that has not ended.
#[derive(Debug, Default)]
struct Event {
    data: Data,
    /// How the last line of data began, and how it ended.
    gap: Gap,
    end: End,
    /// Its name is not listed: nothing more of it leaves.
    is_dropped: bool,
    /// What has become of its lines that are no data.
    others: Others,
    /// A comment came between lines of data.
    comment_waits: bool,
}

/// What has become of the lines of an event that are no data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Others {
    /// There are none.
    #[default]
    None,
    /// They stay here.
    Stay,
    /// One of them has left.
    Left,
}

/// What the data of an event is.
#[derive(Debug, Default)]
enum Data {
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

impl Events {
    pub(super) fn new(listed: Arc<Stream>) -> Self {
        Self {
            listed,
            line: Line::Name,
            is_first_line: true,
            text: Vec::new(),
            after_return: None,
            left_return: false,
            event: Event::default(),
        }
    }

    pub(super) fn write(
        &mut self,
        documents: &mut Documents,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut at = 0;
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(feed) = self.after_return.take()
                && rest.first() == Some(&b'\n')
            {
                match feed {
                    Feed::Leaves => {
                        self.left_return = false;
                        out.push(b'\n');
                    }
                    Feed::Waits => self.event.end = End::Both,
                    Feed::Stays => {}
                }
                at += 1;
                continue;
            }
            at += match self.line {
                Line::Name => self.name(documents, rest, at, out)?,
                Line::Colon(field) => {
                    let space = rest.first() == Some(&b' ');
                    let gap = if space { Gap::Space } else { Gap::Nothing };
                    self.begin(documents, field, gap, at, out)?;
                    usize::from(space)
                }
                Line::Value(field, gap) => {
                    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    let piece = rest.get(..end).unwrap_or_default();
                    self.value(documents, field, piece, at, out)?;
                    match rest.get(end) {
                        None => end,
                        Some(byte) => {
                            self.end_line(documents, field, gap, *byte, out);
                            end + 1
                        }
                    }
                }
            };
        }
        Ok(())
    }

    /// The body has ended. What stands behind the last empty line is no event (section 9.2.6), and if some
    /// of its data has come it must not seem to be one.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        let is_empty = match &self.event.data {
            Data::None => !matches!(self.line, Line::Colon(Field::Data)) || self.event.is_dropped,
            Data::Held(_) | Data::Document => false,
        };
        if is_empty { Ok(()) } else { Err(Violation::Cut.into()) }
    }

    /// Reads on in the name of a field, up to its colon or the end of its line, and says how far.
    fn name(
        &mut self,
        documents: &mut Documents,
        rest: &[u8],
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Refusal> {
        let end = memchr::memchr3(b':', b'\r', b'\n', rest).unwrap_or(rest.len());
        let piece = rest.get(..end).unwrap_or_default();
        let room = FIELD_BYTES_MAX.saturating_sub(self.text.len());
        self.text.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let Some(byte) = rest.get(end) else { return Ok(end) };
        // A reader may take it off, or for a part of the name.
        if self.is_first_line && self.text.starts_with(BYTE_ORDER_MARK) {
            return Err(documents.wrong(0));
        }
        let field = match self.text.as_slice() {
            b"data" => Some(Field::Data),
            b"event" => Some(Field::Event),
            b"" if *byte == b':' => Some(Field::Comment),
            b"" => None,
            _ => Some(Field::Other),
        };
        self.text.clear();
        match field {
            None => self.end_event(documents, *byte, at + end, out)?,
            Some(field) if *byte == b':' => self.line = Line::Colon(field),
            // Without a colon the value is empty.
            Some(field) => {
                self.begin(documents, field, Gap::Nothing, at + end, out)?;
                self.end_line(documents, field, Gap::Nothing, *byte, out);
            }
        }
        Ok(end + 1)
    }

    /// The value of a field begins.
    fn begin(
        &mut self,
        documents: &mut Documents,
        field: Field,
        gap: Gap,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.line = Line::Value(field, gap);
        let event = &mut self.event;
        match field {
            Field::Data if event.is_dropped => {}
            Field::Data => {
                if let Data::None = event.data {
                    event.gap = gap;
                    event.data = Data::Held(Vec::new());
                } else {
                    // Listed texts have one line.
                    self.read(documents, at, out)?;
                    self.event.gap = gap;
                    self.document(documents, b"\n", at, out)?;
                }
            }
            // What has left of the data would have another name.
            Field::Event if !event.is_dropped && !matches!(event.data, Data::None) => {
                return Err(documents.wrong(at));
            }
            Field::Event | Field::Comment | Field::Other => {}
        }
        Ok(())
    }

    /// Takes a piece of a value.
    fn value(
        &mut self,
        documents: &mut Documents,
        field: Field,
        piece: &[u8],
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match field {
            Field::Data if !self.event.is_dropped => match &mut self.event.data {
                Data::Held(_) if piece.is_empty() => {}
                Data::Held(held) => {
                    let goes_on = |text: &[u8]| text.starts_with(piece);
                    let mut listed = self.listed.data.iter().map(String::as_bytes);
                    if listed.any(|text| text.strip_prefix(held.as_slice()).is_some_and(goes_on)) {
                        held.extend_from_slice(piece);
                    } else {
                        self.read(documents, at, out)?;
                        self.document(documents, piece, at, out)?;
                    }
                }
                Data::Document | Data::None => self.document(documents, piece, at, out)?,
            },
            Field::Event => {
                let longest = self.listed.events.iter().map(String::len).max().unwrap_or_default();
                let room = (longest + 1).saturating_sub(self.text.len());
                self.text.extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
            Field::Data | Field::Comment | Field::Other => {}
        }
        Ok(())
    }

    /// The line of a field ends with this byte.
    fn end_line(
        &mut self,
        documents: &mut Documents,
        field: Field,
        gap: Gap,
        byte: u8,
        out: &mut Vec<u8>,
    ) {
        self.line = Line::Name;
        self.is_first_line = false;
        let event = &mut self.event;
        let mut feed = Feed::Stays;
        match field {
            Field::Data if !event.is_dropped => {
                event.end = if byte == b'\r' { End::Return } else { End::Feed };
                feed = Feed::Waits;
            }
            Field::Comment if event.is_dropped || matches!(event.data, Data::None) => {
                out.extend_from_slice(&[b':', byte]);
                event.others = Others::Left;
                feed = Feed::Leaves;
            }
            Field::Comment => event.comment_waits = true,
            Field::Event => {
                let name = std::mem::take(&mut self.text);
                let is_listed = self.listed.events.iter().any(|listed| *listed.as_bytes() == *name);
                if event.is_dropped {
                    // Whatever else it is called.
                } else if name.is_empty() || is_listed {
                    out.extend_from_slice(b"event:");
                    out.extend_from_slice(gap.bytes());
                    out.extend_from_slice(&name);
                    out.push(byte);
                    event.others = Others::Left;
                    feed = Feed::Leaves;
                } else {
                    event.is_dropped = true;
                    event.others = event.others.max(Others::Stay);
                    documents.withhold_event();
                }
            }
            Field::Data | Field::Other => event.others = event.others.max(Others::Stay),
        }
        if feed == Feed::Leaves {
            self.left_return = byte == b'\r';
        }
        self.after_return = (byte == b'\r').then_some(feed);
    }

    /// An empty line, which ends with this byte, ends the event.
    fn end_event(
        &mut self,
        documents: &mut Documents,
        byte: u8,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.is_first_line = false;
        let has_data = match &self.event.data {
            Data::None => false,
            Data::Document => true,
            // No data at all is none that could not leave.
            Data::Held(held)
                if held.is_empty()
                    || self.listed.data.iter().any(|text| *text.as_bytes() == **held) =>
            {
                begin_data(self.event.gap, out);
                out.extend_from_slice(held);
                self.event.data = Data::None;
                true
            }
            Data::Held(_) => {
                self.read(documents, at, out)?;
                true
            }
        };
        let Event { gap, end, .. } = self.event;
        if let Data::Document = self.event.data {
            documents.end(at, &mut Joined { chunk: &[], out, gap, end })?;
        }
        if has_data {
            out.extend_from_slice(end.bytes());
            self.left_return = end == End::Return;
        }
        let event = std::mem::take(&mut self.event);
        // Of an event of which nothing leaves, its end does not either.
        let leaves = has_data || event.others != Others::Stay;
        if leaves {
            if byte == b'\n' && self.left_return {
                out.push(b'\n');
            }
            out.push(byte);
            self.left_return = byte == b'\r';
        }
        if event.comment_waits {
            out.extend_from_slice(&[b':', byte]);
        }
        let feed = if leaves { Feed::Leaves } else { Feed::Stays };
        self.after_return = (byte == b'\r').then_some(feed);
        Ok(())
    }

    /// What is held is no listed text: it is read as a document.
    fn read(
        &mut self,
        documents: &mut Documents,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let held = match std::mem::replace(&mut self.event.data, Data::Document) {
            Data::Held(held) => held,
            Data::None | Data::Document => return Ok(()),
        };
        begin_data(self.event.gap, out);
        self.document(documents, &held, at, out)
    }

    /// Reads a piece of the document that is the data of the event.
    fn document(
        &mut self,
        documents: &mut Documents,
        piece: &[u8],
        at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let Event { gap, end, .. } = self.event;
        documents.write(piece, at, &mut Joined { chunk: piece, out, gap, end })
    }
}

#[cfg(test)]
impl Events {
    /// How many bytes it has room for.
    pub(super) fn held(&self) -> usize {
        let held = match &self.event.data {
            Data::Held(held) => held.capacity(),
            Data::None | Data::Document => 0,
        };
        held + self.text.capacity()
    }
}
