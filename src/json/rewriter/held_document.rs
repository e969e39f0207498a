//! A document that filters ask about (`$`), until it is there as a whole.
//!
//! Until its end it is held and validated, and nothing of it leaves. Then what the filters ask of
//! it is looked up, and it goes through the walker like any other: as one chunk.

use std::{ops::Range, sync::Arc};

use crate::{
    json::{
        edits::{Edits, OnContainer, OnName, OnScalar, Sink},
        filter::{document::Document, lookup::look_up, preview::Preview},
        limits::Violation,
        rewriter::walker::Walker,
    },
    path::{Kind, State},
};

/// How far a rewriter is with a document that has to be there as a whole.
#[derive(Default)]
pub(super) enum HeldDocument {
    /// Nothing of it has come.
    #[default]
    Awaited,
    /// It is coming.
    Coming(Box<Coming>),
    /// It is there.
    There,
}

/// A document that is not complete.
pub(super) struct Coming {
    bytes: Vec<u8>,
    /// Reads along, so that a document that is wrong is refused where it is.
    check: Walker<Checked>,
}

impl HeldDocument {
    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Coming(coming) => coming.bytes.capacity(),
            Self::Awaited | Self::There => 0,
        }
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::There)
    }

    /// Holds the next bytes of a document that this walker will read.
    pub(super) fn hold<E: Edits>(
        &mut self,
        chunk: &[u8],
        walker: &Walker<E>,
    ) -> Result<(), Violation> {
        let bytes_max = walker.limits().document_bytes_max;
        if !matches!(self, Self::Coming(_)) {
            let check = walker.without_paths()?;
            *self = Self::Coming(Box::new(Coming { bytes: Vec::new(), check }));
        }
        let Self::Coming(coming) = self else { return Err(Violation::Cut) };
        let room = bytes_max.saturating_sub(coming.bytes.len());
        let (fits, more) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
        coming.check.begin_chunk(fits)?;
        coming.check.read(fits, 0, &mut Checked, &mut Nowhere)?;
        coming.check.leave_chunk(fits);
        if !more.is_empty() {
            return Err(Violation::TooLarge { at: bytes_max as u64 });
        }
        let (length, wanted) = (coming.bytes.len(), coming.bytes.len() + fits.len());
        if wanted > coming.bytes.capacity() {
            // As a vector grows, but not beyond what may be held.
            let room = wanted.max(2 * length).min(bytes_max);
            coming.bytes.reserve_exact(room.saturating_sub(length));
        }
        coming.bytes.extend_from_slice(fits);
        Ok(())
    }

    /// The document has ended: if one was held and is right, looks up what filters ask about it,
    /// and gives it to be read.
    pub(super) fn end<E: Edits>(
        &mut self,
        walker: &mut Walker<E>,
        edits: &E,
    ) -> Result<Option<Arc<Document>>, Violation> {
        let coming = match std::mem::take(self) {
            Self::Coming(coming) => *coming,
            // Without it, what the walker has not read is missing.
            Self::Awaited | Self::There => return Ok(None),
        };
        let Coming { bytes, mut check } = coming;
        check.finish_primitive(&mut Checked, &mut Nowhere);
        if !check.is_complete() {
            return Err(Violation::Cut);
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| Violation::Utf8 { at: error.utf8_error().valid_up_to() as u64 })?;
        let limits = *walker.limits();
        let program = Arc::clone(walker.program());
        // It has been read: what an outline cannot say is how large it is.
        let mut document = Document::new(text, limits.depth_max)
            .map_err(|_too_large| Violation::TooLarge { at: u64::from(u32::MAX) })?;
        let (patterns, root) = walker.for_look_up();
        let preview = Preview::new(edits, &program, limits.name_bytes_max);
        let filters = program.filters();
        look_up(&mut document, filters, patterns, &mut preview.of_document(root));
        let document = Arc::new(document);
        walker.put_document(Arc::clone(&document));
        *self = Self::There;
        Ok(Some(document))
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
