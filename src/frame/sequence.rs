//! JSON text sequences (RFC 7464): each document after a record separator, and with a line feed at its
//! end.
//!
//! A document without its line feed may be the rest of one that was cut (section 2.4), also where it
//! reads as a whole one: it ends the body.

use crate::{
    enforce::Refusal,
    frame::documents::{Documents, wrong},
    json::{Copied, Violation},
};

const RECORD_SEPARATOR: u8 = 0x1e;

/// A sequence, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// Where the current document stands; none before the first record separator.
    document: Option<Document>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    /// Not a byte of it has come.
    Empty,
    /// It may go on.
    Open,
    /// Its last byte so far is a line feed.
    Closed,
}

impl Sequence {
    pub(super) fn write(
        &mut self,
        documents: &mut Documents,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut from = 0;
        for end in memchr::memchr_iter(RECORD_SEPARATOR, chunk).chain([chunk.len()]) {
            let piece = chunk.get(from..end).unwrap_or_default();
            if let Some(last) = piece.last() {
                if self.document.is_none() {
                    return Err(wrong(documents.offset(from)));
                }
                documents.write(
                    piece,
                    documents.offset(from),
                    &mut Copied { chunk: piece, out },
                )?;
                let is_closed = *last == b'\n';
                self.document = Some(if is_closed { Document::Closed } else { Document::Open });
            }
            if end < chunk.len() {
                match self.document {
                    // More than one of them are as good as one.
                    None | Some(Document::Empty) => {}
                    Some(Document::Open) => return Err(wrong(documents.offset(end))),
                    Some(Document::Closed) => {
                        documents.end(documents.offset(end), &mut Copied { chunk: &[], out })?;
                    }
                }
                self.document = Some(Document::Empty);
                out.push(RECORD_SEPARATOR);
            }
            from = end + 1;
        }
        Ok(())
    }

    pub(super) fn finish(
        &self,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match self.document {
            None => Ok(()),
            Some(Document::Empty | Document::Open) => Err(Violation::Cut.into()),
            Some(Document::Closed) => documents.finish(out),
        }
    }
}
