//! The lines of an event stream, taken apart (WHATWG HTML, sections 9.2.5 and 9.2.6).
//!
//! A line is a field with its value, a comment, or empty. It ends with a line feed, a carriage return or
//! both. A byte order mark at the very beginning is skipped.

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longest name of a field that matters, in bytes, and one more to know a longer one.
const FIELD_BYTES_MAX: usize = 6;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    Event,
    Comment,
    /// Its id, `retry:`, or what the standard does not know.
    Other,
}

/// What stands between colon and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gap {
    #[default]
    Nothing,
    Space,
}

impl Gap {
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Nothing => b"",
            Self::Space => b" ",
        }
    }
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Feed,
    Return,
    Both,
}

impl End {
    /// The end of a line that ends with this byte, as far as that is known.
    pub(super) fn of(byte: u8) -> Self {
        if byte == b'\r' { Self::Return } else { Self::Feed }
    }

    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Feed => b"\n",
            Self::Return => b"\r",
            Self::Both => b"\r\n",
        }
    }
}

/// What a stream goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The value of a field begins behind this gap.
    Field(Field, Gap),
    /// The bytes that were read belong to the value of a field.
    Value(Field),
    /// The line of a field ends with this byte.
    End(Field, u8),
    /// An empty line, which ends with this byte.
    Empty(u8),
    /// The line feed of a `\r\n` whose carriage return has ended a line.
    Feed,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the very beginning, behind so many bytes of a byte order mark.
    Mark(usize),
    Name,
    /// Behind the colon, where one space does not count.
    Colon(Field),
    Value(Field),
}

/// A stream, as far as it has been read.
pub(super) struct Fields {
    place: Place,
    /// The name of a field; of one that is too long to matter, its beginning.
    name: Vec<u8>,
    /// The last byte was a carriage return that ended a line.
    after_return: bool,
}

impl Fields {
    /// At the beginning of a stream.
    pub(super) fn new() -> Self {
        Self { place: Place::Mark(0), name: Vec::new(), after_return: false }
    }

    /// Where the value of this field begins.
    pub(super) fn within(field: Field) -> Self {
        Self { place: Place::Value(field), name: Vec::new(), after_return: false }
    }

    /// The field whose line has begun, once its name is known.
    pub(super) fn field(&self) -> Option<Field> {
        match self.place {
            Place::Mark(_) | Place::Name => None,
            Place::Colon(field) | Place::Value(field) => Some(field),
        }
    }

    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        self.name.capacity()
    }

    /// Reads on in `rest`, which is not empty; says how far, and what that is, if it is known. It may take
    /// no byte, but then it knows more than before.
    pub(super) fn read(&mut self, rest: &[u8]) -> (usize, Option<Part>) {
        if std::mem::take(&mut self.after_return) && rest.first() == Some(&b'\n') {
            return (1, Some(Part::Feed));
        }
        match self.place {
            Place::Mark(read) if rest.first() == BYTE_ORDER_MARK.get(read) => {
                let is_whole = read + 1 == BYTE_ORDER_MARK.len();
                self.place = if is_whole { Place::Name } else { Place::Mark(read + 1) };
                (1, None)
            }
            Place::Mark(read) => {
                // It is none, but the beginning of a name.
                self.name.extend_from_slice(BYTE_ORDER_MARK.get(..read).unwrap_or_default());
                self.place = Place::Name;
                (0, None)
            }
            Place::Name => self.name(rest),
            Place::Colon(field) => {
                self.place = Place::Value(field);
                let is_space = rest.first() == Some(&b' ');
                let gap = if is_space { Gap::Space } else { Gap::Nothing };
                (usize::from(is_space), Some(Part::Field(field, gap)))
            }
            Place::Value(field) => {
                let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                match rest.first() {
                    Some(byte) if end == 0 => (1, Some(self.ended(*byte, Part::End(field, *byte)))),
                    Some(_) | None => (end, Some(Part::Value(field))),
                }
            }
        }
    }

    fn name(&mut self, rest: &[u8]) -> (usize, Option<Part>) {
        let end = memchr::memchr3(b':', b'\r', b'\n', rest).unwrap_or(rest.len());
        let piece = rest.get(..end).unwrap_or_default();
        let room = FIELD_BYTES_MAX.saturating_sub(self.name.len());
        self.name.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let Some(byte) = rest.get(end) else { return (end, None) };
        let field = match self.name.as_slice() {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"" if *byte == b':' => Field::Comment,
            b"" => return (end + 1, Some(self.ended(*byte, Part::Empty(*byte)))),
            _ => Field::Other,
        };
        self.name.clear();
        if *byte == b':' {
            self.place = Place::Colon(field);
            (end + 1, None)
        } else {
            // Without a colon the value is empty.
            self.place = Place::Value(field);
            (end, Some(Part::Field(field, Gap::Nothing)))
        }
    }

    /// A line has ended with this byte.
    fn ended(&mut self, byte: u8, part: Part) -> Part {
        self.place = Place::Name;
        self.after_return = byte == b'\r';
        part
    }
}
