//! One document a line: NDJSON, also called JSON Lines.
//!
//! A line ends with a line feed; a carriage return before it is white space of the document. A line of
//! white space passes: some servers send such lines so that a connection does not idle.

use crate::{enforce::Refusal, frame::documents::Documents, json::Copied};

/// Lines, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Whether the current line has more than white space.
    begun: bool,
}

impl Lines {
    pub(super) fn write(
        &mut self,
        documents: &mut Documents,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', chunk).chain([chunk.len()]) {
            let piece = chunk.get(from..end).unwrap_or_default();
            self.begun = self.begun || piece.iter().any(|byte| !b" \t\r".contains(byte));
            documents.write(piece, documents.offset(from), &mut Copied { chunk: piece, out })?;
            if end < chunk.len() {
                if std::mem::take(&mut self.begun) {
                    documents.end(documents.offset(end), &mut Copied { chunk: &[], out })?;
                } else {
                    documents.forget();
                }
                out.push(b'\n');
            }
            from = end + 1;
        }
        Ok(())
    }

    /// The last line needs no line feed.
    pub(super) fn finish(
        &self,
        documents: &mut Documents,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if self.begun { documents.finish(out) } else { Ok(()) }
    }
}
