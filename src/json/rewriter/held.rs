//! A document that filters ask about (`$`), until it is there as a whole.
//!
//! Until its end it is held and validated, and nothing of it leaves. Then what the filters ask of it is
//! looked up, and it goes through the walker like any other: as one chunk.

use std::{ops::Range, sync::Arc};

use crate::{
    json::{
        edits::{Edits, OnContainer, OnName, OnScalar, Sink},
        filter::{document::Document, lookup::look_up},
        limits::Violation,
        rewriter::{
            pending::{Before, Replayed},
            walker::Rewriter,
        },
    },
    path::{Kind, Program, State},
};

/// How far a rewriter is with a document that has to be there as a whole.
#[derive(Default)]
pub(super) enum Whole {
    /// Nothing of it has come.
    #[default]
    Awaited,
    /// It is coming.
    Held(Box<Held>),
    /// It is there.
    There(Arc<Document>),
}

impl Whole {
    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Awaited => 0,
            Self::Held(held) => held.bytes.capacity(),
            Self::There(document) => document.held_bytes(),
        }
    }

    /// The document, if it is there.
    pub(super) fn there(&self) -> Option<&Document> {
        match self {
            Self::There(document) => Some(document),
            Self::Awaited | Self::Held(_) => None,
        }
    }
}

/// A document that is not complete.
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Reads along, so that a document that is wrong is refused where it is.
    check: Rewriter<Checked>,
}

impl<E: Edits> Rewriter<E> {
    /// Holds the next bytes of a document that filters ask about.
    pub(super) fn hold_document(&mut self, chunk: &[u8]) -> Result<(), Violation> {
        let limits = self.limits;
        if !matches!(self.document, Whole::Held(_)) {
            // Without paths there is nothing that could be too complex.
            let program = Program::compile(&[]).map_err(|_never| Violation::Cut)?;
            let check = Rewriter::new(Arc::new(program), limits).on(self.kernel());
            self.document = Whole::Held(Box::new(Held { bytes: Vec::new(), check }));
        }
        let Whole::Held(held) = &mut self.document else { return Err(Violation::Cut) };
        let room = limits.document_bytes_max.saturating_sub(held.bytes.len());
        let (fits, more) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
        held.check.push(fits, &mut Checked, &mut Nowhere)?;
        if !more.is_empty() {
            return Err(Violation::TooLarge { at: limits.document_bytes_max as u64 });
        }
        let (length, wanted) = (held.bytes.len(), held.bytes.len() + fits.len());
        if wanted > held.bytes.capacity() {
            // As a vector grows, but not beyond what may be held.
            let room = wanted.max(2 * length).min(limits.document_bytes_max);
            held.bytes.reserve_exact(room.saturating_sub(length));
        }
        held.bytes.extend_from_slice(fits);
        Ok(())
    }

    /// The document has ended: if it is right, all of it is read.
    pub(super) fn end_document<S: Sink + ?Sized>(
        &mut self,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        let Whole::Held(held) = std::mem::take(&mut self.document) else { return Ok(()) };
        let Held { bytes, mut check } = *held;
        check.finish(&mut Checked, &mut Nowhere)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Violation::Utf8 { at: error.utf8_error().valid_up_to() as u64 })?;
        let (depth_max, filters) = (self.limits.depth_max, self.program.filters());
        // It has been read: what an outline cannot say is how large it is.
        let (begun, name_bytes_max) = (self.begun, self.limits.name_bytes_max);
        let kept = &mut Before { edits: &*edits, program: &self.program, begun, name_bytes_max };
        let mut document = Document::new(text, depth_max)
            .map_err(|_too_large| Violation::TooLarge { at: u64::from(u32::MAX) })?;
        look_up(&mut document, filters, &mut self.patterns, kept);
        let document = Arc::new(document);
        self.document = Whole::There(Arc::clone(&document));
        self.outline(0, document.text().len(), Arc::clone(document.outline()));
        // All that could have to wait is there.
        self.limits.candidate_bytes_max = usize::MAX;
        let bytes = document.text().as_bytes();
        let sink: &mut dyn Sink = &mut Replayed { bytes, sink };
        self.push_chunk(bytes, edits, sink)
    }
}

/// Lets a document be read, and nothing of it leave.
struct Checked;

impl Edits for Checked {
    type Scope = ();
    type Capture = ();

    fn root(&self) {}

    fn container(&mut self, (): (), _: State, _: Kind) -> OnContainer<()> {
        OnContainer::Drop
    }

    fn scalar(&mut self, (): (), _: State) -> OnScalar<()> {
        OnScalar::Drop
    }

    fn name(&mut self, (): (), _: State, _: State) -> OnName<()> {
        OnName::Drop
    }

    fn name_is_too_long(&mut self, (): (), _: State, _: State) {}

    fn unsettled(&mut self, (): (), _: State) {}

    fn write_scalar(&mut self, (): (), _: Option<&[u8]>, _: &mut Vec<u8>) {}

    fn write_name(&mut self, (): (), _: Option<&str>, _: &mut Vec<u8>) -> bool {
        false
    }

    fn passed(&mut self, _: u64) {}
}

/// Where nothing arrives.
struct Nowhere;

impl Sink for Nowhere {
    fn pass(&mut self, _: Range<usize>) {}

    fn put(&mut self, _: &[u8]) {}
}
