//! The engine as a framing uses it: one document after the other, with offsets of the whole body.

use crate::{
    enforce::{Enforcement, Places, Refusal, Tally},
    json::{Copied, Sink, Violation},
};

/// The documents of one body.
pub(super) struct Documents {
    enforcement: Enforcement,
    /// Bytes of the body before the current chunk.
    before: u64,
    /// Bytes of the current document that have been read.
    read: u64,
}

impl Documents {
    pub(super) fn new(enforcement: Enforcement) -> Self {
        Self { enforcement, before: 0, read: 0 }
    }

    pub(super) fn tally(&self) -> &Tally {
        self.enforcement.tally()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.enforcement.held_bytes()
    }

    /// Where in the body `at` of the current chunk is.
    pub(super) fn offset(&self, at: usize) -> u64 {
        self.before + at as u64
    }

    /// The chunk has been dealt with.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.before += bytes as u64;
    }

    /// Reads a piece of a document, which stands at `begins` in the body.
    pub(super) fn write<S: Sink + ?Sized>(
        &mut self,
        piece: &[u8],
        begins: u64,
        sink: &mut S,
    ) -> Result<(), Refusal> {
        let read = self.read;
        self.read += piece.len() as u64;
        self.enforcement.write(piece, sink).map_err(|refusal| {
            // The engine counts from the start of the document, people from that of the body.
            // What has waited can stand in a piece before this one.
            let moved = |within: u64| (begins + within).saturating_sub(read);
            let violation = match refusal.violation {
                Violation::Grammar { at } => Violation::Grammar { at: moved(at) },
                Violation::Utf8 { at } => Violation::Utf8 { at: moved(at) },
                Violation::Depth { at } => Violation::Depth { at: moved(at) },
                Violation::Ambiguous { at } => Violation::Ambiguous { at: moved(at) },
                Violation::TooLarge { at } => Violation::TooLarge { at: moved(at) },
                Violation::TooComplex { at } => Violation::TooComplex { at: moved(at) },
                Violation::Cut => Violation::Cut,
            };
            Refusal { violation, ..refusal }
        })
    }

    /// The framing says at `at` of the body that the document has ended; another one may begin.
    pub(super) fn end<S: Sink + ?Sized>(&mut self, at: u64, sink: &mut S) -> Result<(), Refusal> {
        let ended = self.enforcement.finish(sink);
        // That more of it was to come is no news: here it could not.
        ended.map_err(|_cut| wrong(at))?;
        self.forget();
        Ok(())
    }

    /// Another document begins, whatever has been read.
    pub(super) fn forget(&mut self) {
        self.enforcement.restart();
        self.read = 0;
    }

    /// The body has ended, and with it the document.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.enforcement.finish(&mut Copied { chunk: &[], out })
    }

    pub(super) fn places(&self) -> Places {
        self.enforcement.places()
    }

    pub(super) fn withhold_event(&mut self) {
        self.enforcement.withhold_event();
    }
}

/// What stands at `at` of the body cannot stand there.
pub(super) fn wrong(at: u64) -> Refusal {
    Violation::Grammar { at }.into()
}
