//! A document that is there as a whole, because filters ask about it (`$`).
//!
//! Until its end it is held and validated, and nothing of it leaves. Then what the filters ask of it is
//! looked up, once for all the nodes that they are asked of, and it goes through the walker like any
//! other: as one chunk.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use regex::Regex;

use crate::{
    json::{
        edits::{Edits, OnContainer, OnName, OnScalar, Sink},
        judge::{self, Inquiry, Kept, Patterns, Spot, Unclear, compile_from_document},
        outline::{Node, Outline, Outlined},
        pending::{Before, Replayed},
        rewriter::{Rewriter, Violation},
    },
    path::{Filter, Kind, Program, Query, State},
};

/// Most bytes of containers in the document that nodes are compared with, all together: each comparison goes through
/// all of it again.
const COMPARED_BYTES_MAX: u64 = 64 << 20;

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
            Self::There(document) => document.text.capacity() + document.outline.held_bytes(),
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

/// A document that is complete and right, and what filters have found in it.
pub(crate) struct Document {
    text: String,
    /// Offset of its first byte that is no white space.
    root: u32,
    outline: Arc<Outline>,
    found: HashMap<Query, Result<Found, Unclear>>,
    /// How many bytes of containers in it have been compared with others.
    compared: AtomicU64,
}

/// What a query has found.
struct Found {
    count: u64,
    /// The only node.
    only: Option<Node>,
    /// Its length, in the sense of the function.
    length: Result<Option<u64>, Unclear>,
    /// The regular expressions that it is: one for a part of a text, one for all of it.
    patterns: [Result<Option<Regex>, Unclear>; 2],
}

impl Document {
    /// Looks up what filters ask about a document, which nests at most `depth_max` containers.
    pub(super) fn new(
        text: String,
        depth_max: usize,
        filters: &[Filter],
        patterns: &mut Patterns,
        kept: &mut dyn Kept,
    ) -> Result<Self, Unclear> {
        let outline = Arc::new(Outline::of(text.as_bytes(), depth_max)?);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = text.bytes().take_while(is_space).count();
        let root = u32::try_from(spaces).map_err(|_too_large| Unclear)?;
        let (found, compared) = (HashMap::new(), AtomicU64::new(0));
        let mut document = Self { text, root, outline, found, compared };
        for filter in filters {
            // The innermost first: an outer one asks for what these have found.
            for inner in filter.filters_within() {
                document.look_up(inner, patterns, kept);
            }
            document.look_up(filter, patterns, kept);
        }
        Ok(document)
    }

    /// Where its containers begin and end.
    pub(super) fn outline(&self) -> &Arc<Outline> {
        &self.outline
    }

    /// The value that it is.
    pub(super) fn root(&self) -> Result<Spot<'_>, Unclear> {
        let value = self.text.as_bytes().get(self.root as usize..).unwrap_or_default();
        Spot::root(Outlined::new(value, self.root, &self.outline))
    }

    fn look_up(&mut self, filter: &Filter, compiled: &mut Patterns, kept: &mut dyn Kept) {
        for query in filter.queries().into_iter().filter(|query| query.from_root) {
            if !self.found.contains_key(query) {
                let found = self.find(query, compiled, kept);
                self.found.insert(query.clone(), found);
            }
        }
        for (query, whole) in filter.patterns_in_document() {
            let Ok(Some(text)) =
                self.only(query).and_then(|spot| spot.map_or(Ok(None), Spot::string))
            else {
                continue;
            };
            let pattern = compile_from_document(&text, whole);
            if let Some(Ok(Found { patterns: [part, all], .. })) = self.found.get_mut(query) {
                *if whole { all } else { part } = pattern;
            }
        }
    }

    fn find(
        &self,
        query: &Query,
        patterns: &mut Patterns,
        kept: &mut dyn Kept,
    ) -> Result<Found, Unclear> {
        let mut inquiry = Inquiry::new(self.text.len(), kept.name_bytes_max());
        let root = self.root()?;
        let selected = judge::select(query, root, self, &mut inquiry, patterns, kept)?;
        let only = selected.only();
        let length = only.map_or(Ok(None), |node| Spot { node, ..root }.length(&mut inquiry));
        Ok(Found { count: selected.count()?, only, length, patterns: [Ok(None), Ok(None)] })
    }

    fn found(&self, query: &Query) -> Result<&Found, Unclear> {
        self.found.get(query).ok_or(Unclear)?.as_ref().map_err(|unclear| *unclear)
    }

    /// How many nodes a query selects.
    pub(super) fn count(&self, query: &Query) -> Result<u64, Unclear> {
        Ok(self.found(query)?.count)
    }

    /// The node that a query selects, if it selects one.
    pub(super) fn only(&self, query: &Query) -> Result<Option<Spot<'_>>, Unclear> {
        let root = self.root()?;
        Ok(self.found(query)?.only.map(|node| Spot { node, ..root }))
    }

    /// The length of that node.
    pub(super) fn length(&self, query: &Query) -> Result<Option<u64>, Unclear> {
        self.found(query)?.length
    }

    /// The regular expression that this node is, for all of a text or for a part; none if it is none.
    pub(super) fn pattern(&self, query: &Query, whole: bool) -> Result<Option<&Regex>, Unclear> {
        // Of a text that readers can take for two, nobody can say what matches it.
        self.only(query)?.map_or(Ok(None), Spot::string)?;
        let [part, all] = &self.found(query)?.patterns;
        let pattern = if whole { all } else { part };
        pattern.as_ref().map(Option::as_ref).map_err(|unclear| *unclear)
    }

    /// Notes that something is compared with a container of so many bytes in it.
    pub(super) fn compare(&self, bytes: usize) -> Result<(), Unclear> {
        let bytes = bytes as u64;
        let before = self.compared.fetch_add(bytes, Ordering::Relaxed);
        let most = COMPARED_BYTES_MAX.max(2 * self.text.len() as u64);
        if before.saturating_add(bytes) > most { Err(Unclear) } else { Ok(()) }
    }
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
        let document = Document::new(text, depth_max, filters, &mut self.patterns, kept)
            .map_err(|_too_large| Violation::TooLarge { at: u64::from(u32::MAX) })?;
        let document = Arc::new(document);
        self.document = Whole::There(Arc::clone(&document));
        self.outline(0, document.text.len(), Arc::clone(document.outline()));
        // All that could have to wait is there.
        self.limits.candidate_bytes_max = usize::MAX;
        let bytes = document.text.as_bytes();
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
