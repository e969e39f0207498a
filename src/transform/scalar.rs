//! A JSON value that is neither object nor array, read and written.

use std::{borrow::Cow, fmt};

pub(super) const NULL: &[u8] = b"null";

/// One JSON scalar: a string decoded, a number as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, in the characters of the document: nothing is rounded.
    Number(&'a str),
    /// A string without its quotes and escapes.
    String(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// Reads `raw`, the bytes of one scalar that is known to be valid JSON.
    ///
    /// Gives `None` for a string that is no Unicode text: the grammar of JSON allows half a
    /// surrogate pair (`"\ud800"`), which has no character.
    pub fn read(raw: &'a [u8]) -> Option<Self> {
        match raw {
            b"null" => Some(Self::Null),
            b"true" => Some(Self::Bool(true)),
            b"false" => Some(Self::Bool(false)),
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
                Some(Self::String(Cow::Borrowed(str::from_utf8(text).ok()?)))
            }
            [b'"', ..] => Some(Self::String(serde_json::from_slice(raw).ok()?)),
            [b'-' | b'0'..=b'9', ..] => Some(Self::Number(str::from_utf8(raw).ok()?)),
            _ => None,
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) => None,
        }
    }

    /// The characters of a number.
    pub(super) fn number(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number),
            Self::Null | Self::Bool(_) | Self::String(_) => None,
        }
    }

    /// The bytes that tell this value from others. `42` and `"42"` share theirs, so that an id
    /// joins between systems that disagree on its type; a boolean has none worth the name.
    pub(super) fn identity(&self) -> Option<&[u8]> {
        match self {
            Self::Number(number) => Some(number.as_bytes()),
            Self::String(text) => Some(text.as_bytes()),
            Self::Null | Self::Bool(_) => None,
        }
    }

    /// Appends the value as JSON, with the escapes that RFC 8259 demands and no other; none if there is
    /// no room.
    pub fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Null => out.extend_from_slice(NULL),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(number) => out.extend_from_slice(number.as_bytes()),
            Self::String(text) => write_string(format_args!("{text}"), out)?,
        }
        Some(())
    }
}

/// Appends `text` as a JSON string, with the escapes that RFC 8259 demands and no other, in the
/// short form where there is one: that is what `serde_json` writes.
pub(super) fn write_string(text: fmt::Arguments<'_>, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, &text).ok()
}

impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Scalar::Null",
            Self::Bool(_) => "Scalar::Bool(..)",
            Self::Number(_) => "Scalar::Number(..)",
            Self::String(_) => "Scalar::String(..)",
        })
    }
}
