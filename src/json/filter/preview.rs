//! What edits will do to a value, found out before it is walked: whether all of an object or array
//! leaves as it is.
//!
//! What a filter measures or compares has to: otherwise who sees the answer learns something of
//! what is withheld. It is found out from the bytes of the container, as the walk would decide
//! them, and nothing is counted.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    json::{
        edits::{Edits, Keeps, OnName},
        filter::{
            evaluation::Evaluation,
            intact::IntactCheck,
            outline::{Children, Indeterminate, Node, Outlined},
            value::{ValueRef, text},
        },
    },
    path::{Kind, Program, State},
};

/// Those of a name.
const QUOTES: usize = 2;

/// A value in a document: what it has matched, and what stands above hands down.
#[derive(Clone, Copy, Debug)]
struct Root<Scope> {
    node: Node,
    state: State,
    scope: Scope,
}

/// Of which containers of a document it is known whether all of them leaves as it is, by where they
/// begin.
pub(crate) type KnownIntact = HashMap<u32, bool, RandomState>;

/// Says what edits will do, without doing it.
pub(crate) struct Preview<'p, E> {
    edits: &'p E,
    program: &'p Program,
    /// The longest name that leaves.
    name_bytes_max: usize,
}

impl<E> Clone for Preview<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Preview<'_, E> {}

impl<'p, E: Edits> Preview<'p, E> {
    /// Of these edits of what the paths of a program say; longer names do not leave.
    pub(crate) fn new(edits: &'p E, program: &'p Program, name_bytes_max: usize) -> Self {
        Self { edits, program, name_bytes_max }
    }

    /// Of a document, whose root is in this state.
    pub(crate) fn of_document(self, root: State) -> DocumentPreview<'p, E> {
        DocumentPreview { preview: self, root }
    }

    /// Of a value that is in this state, and that gets this scope from above; `is_removed` if it
    /// is, with its name.
    pub(crate) fn of_candidate(
        self,
        candidate: ValueRef<'_>,
        state: State,
        scope: E::Scope,
        is_removed: bool,
    ) -> CandidatePreview<'p, E> {
        let candidate = Root { node: candidate.node(), state, scope };
        CandidatePreview { preview: self, candidate, is_removed, document: None }
    }

    /// Whether all of the container `target` leaves as it is, which stands at or below `root`.
    /// Where it cannot be said before other filters have answered, it does not.
    fn leaves_intact(
        self,
        of: Outlined<'_>,
        root: Root<E::Scope>,
        target: Node,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        let Self { edits, program, name_bytes_max } = self;
        // States that are made on the way are forgotten between tokens, and this is one.
        if program.is_lazy() {
            return Ok(false);
        }
        let mut open = Vec::new();
        let is_within = |node: Node| node.start() >= target.start();
        match enter(edits, of, root) {
            Entered::Gone => return Ok(false),
            Entered::Whole => return Ok(true),
            Entered::Open(first) => open.push(first),
        }
        let mut at = root.node;
        while let Some(innermost) = open.last_mut() {
            let Some(child) = innermost.children.next() else {
                open.pop();
                continue;
            };
            let (name, node, looked_at) = child?.parts();
            evaluation.spend(looked_at as u64)?;
            let index = innermost.index;
            innermost.index += 1;
            // On the way to the container only what it stands in matters.
            let is_on_the_way = !is_within(at);
            if is_on_the_way && !of.holds(node, target) {
                continue;
            }
            let state = match innermost.kind {
                Kind::Array => program.element(innermost.state, index),
                Kind::Object => {
                    let is_long = name.len() > name_bytes_max.saturating_add(QUOTES);
                    let Some(name) = text(name).ok().filter(|_| !is_long) else { return Ok(false) };
                    let member = program.member(innermost.state, name.as_bytes());
                    let (scope, object) = (innermost.scope, innermost.state);
                    let is_intact =
                        || edits.keeps_name(scope, object, member.state) == OnName::Keep;
                    if member.state.is_pending() || !(member.spelled || is_intact()) {
                        return Ok(false);
                    }
                    member.state
                }
            };
            if state.is_pending() {
                return Ok(false);
            }
            let child = Root { node, state, scope: innermost.scope };
            if is_on_the_way {
                at = node;
                open.clear();
            }
            if !node.is_container() {
                match edits.keeps(child.scope, state, None) {
                    Keeps::Whole => continue,
                    Keeps::Inside(_) if !of.text(node).starts_with(b"\"") => continue,
                    Keeps::Inside(_) | Keeps::Nothing => return Ok(false),
                }
            }
            match enter(edits, of, child) {
                Entered::Gone => return Ok(false),
                Entered::Whole if is_on_the_way => return Ok(true),
                Entered::Whole => {}
                Entered::Open(inner) => open.push(inner),
            }
        }
        Ok(is_within(at))
    }
}

/// A container that is being gone through.
struct EnteredContainer<'b, Scope> {
    children: Children<'b>,
    kind: Kind,
    state: State,
    scope: Scope,
    /// How many children there were.
    index: u64,
}

enum Entered<'b, Scope> {
    /// It does not stay.
    Gone,
    /// It leaves as it is, with all that is in it.
    Whole,
    /// It stays, and its children are decided one by one.
    Open(EnteredContainer<'b, Scope>),
}

fn enter<'b, E: Edits>(
    edits: &E,
    of: Outlined<'b>,
    Root { node, state, scope }: Root<E::Scope>,
) -> Entered<'b, E::Scope> {
    let kind = if of.is_object(node) { Kind::Object } else { Kind::Array };
    match edits.keeps(scope, state, Some(kind)) {
        Keeps::Nothing => Entered::Gone,
        Keeps::Whole => Entered::Whole,
        Keeps::Inside(scope) => Entered::Open(EnteredContainer {
            children: of.children(node),
            kind,
            state,
            scope,
            index: 0,
        }),
    }
}

/// Knows what will leave of a document, before it is walked.
pub(crate) struct DocumentPreview<'p, E> {
    preview: Preview<'p, E>,
    /// What its root has matched.
    root: State,
}

impl<E: Edits> DocumentPreview<'_, E> {
    fn is_value_intact(
        &self,
        value: ValueRef<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        let (of, node) = (value.outlined(), value.node());
        let root = Root { node: of.root()?, state: self.root, scope: self.preview.edits.root() };
        self.preview.leaves_intact(of, root, node, evaluation)
    }
}

impl<E: Edits> IntactCheck for DocumentPreview<'_, E> {
    fn is_intact(
        &mut self,
        value: ValueRef<'_>,
        _: bool,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        self.is_value_intact(value, evaluation)
    }

    fn name_bytes_max(&self) -> usize {
        self.preview.name_bytes_max
    }
}

/// Knows what will leave of a value if it is in that state, and of the document around it.
pub(crate) struct CandidatePreview<'p, E: Edits> {
    preview: Preview<'p, E>,
    candidate: Root<E::Scope>,
    is_removed: bool,
    document: Option<(DocumentPreview<'p, E>, &'p mut KnownIntact)>,
}

impl<'p, E: Edits> CandidatePreview<'p, E> {
    /// In a document whose root is in this state. What is found out of containers in it is noted in
    /// `known`.
    pub(crate) fn within(self, root: State, known: &'p mut KnownIntact) -> Self {
        Self { document: Some((self.preview.of_document(root), known)), ..self }
    }
}

impl<E: Edits> IntactCheck for CandidatePreview<'_, E> {
    fn is_intact(
        &mut self,
        value: ValueRef<'_>,
        in_document: bool,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        if !in_document {
            let (of, node) = (value.outlined(), value.node());
            return Ok(!self.is_removed
                && self.preview.leaves_intact(of, self.candidate, node, evaluation)?);
        }
        let (preview, known) = self.document.as_mut().ok_or(Indeterminate)?;
        let begins = value.node().start();
        if let Some(known) = known.get(&begins) {
            return Ok(*known);
        }
        let is_value_intact = preview.is_value_intact(value, evaluation)?;
        known.insert(begins, is_value_intact);
        Ok(is_value_intact)
    }
}
