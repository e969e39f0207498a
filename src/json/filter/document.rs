//! A document that is there as a whole, because filters ask about it (`$`), and what they find in
//! it: looked up once for all the nodes that they are asked of.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use regex::Regex;

use crate::{
    json::filter::{
        outline::{Indeterminate, Node, Outline, Outlined},
        value::ValueRef,
    },
    path::Query,
};

/// Most bytes of containers in the document that nodes are compared with, all together: each
/// comparison goes through all of it again. Without it, `$[?@ == $.x]` over an array of n elements
/// would take n times the bytes of `$.x`.
const COMPARED_BYTES_MAX: u64 = 64 << 20;

/// A document that is complete and right, and what filters have found in it.
pub(crate) struct Document {
    text: String,
    /// Offset of its first byte that is no white space.
    root: u32,
    outline: Arc<Outline>,
    found: HashMap<Query, Result<QueryResult, Indeterminate>>,
    /// How many bytes of containers in it have been compared with others.
    compared: AtomicU64,
}

/// What a query has found.
pub(crate) struct QueryResult {
    count: u64,
    /// The only node.
    only: Option<Node>,
    /// Its length, in the sense of the function.
    length: Result<Option<u64>, Indeterminate>,
    /// The regular expressions that it is: one for a part of a text, one for all of it.
    patterns: [Result<Option<Regex>, Indeterminate>; 2],
}

impl QueryResult {
    /// So many nodes, the only one of them and its length.
    pub(crate) fn new(
        count: u64,
        only: Option<Node>,
        length: Result<Option<u64>, Indeterminate>,
    ) -> Self {
        Self { count, only, length, patterns: [Ok(None), Ok(None)] }
    }
}

impl Document {
    /// A document, which nests at most `depth_max` containers, and of which nothing has been looked
    /// up.
    pub(crate) fn new(text: String, depth_max: usize) -> Result<Self, Indeterminate> {
        let outline = Arc::new(Outline::of(text.as_bytes(), depth_max)?);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = text.bytes().take_while(is_space).count();
        let root = u32::try_from(spaces).map_err(|_too_large| Indeterminate)?;
        let (found, compared) = (HashMap::new(), AtomicU64::new(0));
        Ok(Self { text, root, outline, found, compared })
    }

    /// Where its containers begin and end.
    pub(crate) fn outline(&self) -> &Arc<Outline> {
        &self.outline
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Bytes that it takes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity() + self.outline.held_bytes()
    }

    /// The value that it is.
    pub(crate) fn root(&self) -> Result<ValueRef<'_>, Indeterminate> {
        let value = self.text.as_bytes().get(self.root as usize..).unwrap_or_default();
        ValueRef::root(Outlined::new(value, self.root, &self.outline))
    }

    /// Whether a query has been looked up.
    pub(crate) fn knows(&self, query: &Query) -> bool {
        self.found.contains_key(query)
    }

    /// Notes what a query has found.
    pub(crate) fn note(&mut self, query: &Query, found: Result<QueryResult, Indeterminate>) {
        self.found.insert(query.clone(), found);
    }

    /// Notes the regular expression that the only node of a query is, for all of a text or for a
    /// part.
    pub(crate) fn note_pattern(
        &mut self,
        query: &Query,
        whole: bool,
        pattern: Result<Option<Regex>, Indeterminate>,
    ) {
        if let Some(Ok(QueryResult { patterns: [part, all], .. })) = self.found.get_mut(query) {
            *if whole { all } else { part } = pattern;
        }
    }

    fn found(&self, query: &Query) -> Result<&QueryResult, Indeterminate> {
        self.found.get(query).ok_or(Indeterminate)?.as_ref().map_err(|unclear| *unclear)
    }

    /// How many nodes a query selects.
    pub(crate) fn count(&self, query: &Query) -> Result<u64, Indeterminate> {
        Ok(self.found(query)?.count)
    }

    /// The node that a query selects, if it selects one.
    pub(crate) fn only(&self, query: &Query) -> Result<Option<ValueRef<'_>>, Indeterminate> {
        let root = self.root()?;
        Ok(self.found(query)?.only.map(|node| root.at(node)))
    }

    /// The length of that node.
    pub(crate) fn length(&self, query: &Query) -> Result<Option<u64>, Indeterminate> {
        self.found(query)?.length
    }

    /// The regular expression that this node is, for all of a text or for a part; none if it is
    /// none.
    pub(crate) fn pattern(
        &self,
        query: &Query,
        whole: bool,
    ) -> Result<Option<&Regex>, Indeterminate> {
        // Of a text that readers can take for two, nobody can say what matches it.
        self.only(query)?.map_or(Ok(None), ValueRef::string)?;
        let [part, all] = &self.found(query)?.patterns;
        let pattern = if whole { all } else { part };
        pattern.as_ref().map(Option::as_ref).map_err(|unclear| *unclear)
    }

    /// Notes that something is compared with a container of so many bytes in it.
    pub(crate) fn compare(&self, bytes: usize) -> Result<(), Indeterminate> {
        let bytes = bytes as u64;
        let before = self.compared.fetch_add(bytes, Ordering::Relaxed);
        let most = COMPARED_BYTES_MAX.max(2 * self.text.len() as u64);
        if before.saturating_add(bytes) > most { Err(Indeterminate) } else { Ok(()) }
    }
}
