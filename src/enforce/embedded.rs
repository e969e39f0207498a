//! JSON inside of a string: decided as if the document stood where the string stands.
//!
//! The string is captured, decoded, sent through an engine of its own that begins in the state of the
//! string, and encoded again. Where nothing in it was changed, the string leaves as it came.

use std::{borrow::Cow, sync::Arc};

use crate::{
    enforce::decisions::{Capture, Decisions, Scope},
    json::{Copied, OnScalar, Place, Rewriter},
    path::State,
    policy::Own,
    transform::Scalar,
};

/// How deep documents can stand in strings of documents; what is deeper is none.
const NESTING_MAX: usize = 4;

/// The document that is being read, seen from outside.
#[derive(Clone, Copy)]
pub(super) struct Nesting {
    /// What its root is under.
    pub(super) around: Scope,
    depth: usize,
    /// What became of the root of a document in a string; none before it is decided.
    root: Root,
    /// Where its root stands,
    pub(super) place: Place,
    /// and a string in it that is being captured and may hold another document.
    pub(super) captured: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    /// It is to come.
    Awaited,
    Stays,
    Goes,
}

impl Nesting {
    /// The body itself.
    pub(super) fn outside(around: Scope) -> Self {
        let (place, captured) = (Place::default(), Place::default());
        Self { around, depth: 0, root: Root::Stays, place, captured }
    }

    /// Whether the next node is the root of a document in a string.
    pub(super) fn is_at_root(&self) -> bool {
        self.root == Root::Awaited
    }

    /// A node is decided; whether anything of it stays matters if it is such a root.
    pub(super) fn root_is(&mut self, stays: bool) {
        if self.is_at_root() {
            self.root = if stays { Root::Stays } else { Root::Goes };
        }
    }
}

impl Decisions {
    /// Writes what leaves of a scalar that may be a string which holds a document. Where that is removed
    /// as a whole, `null` stands for it, whatever it was.
    pub(super) fn write_embedded(
        &mut self,
        under: Scope,
        state: State,
        raw: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        match raw {
            Some(raw) if !raw.starts_with(b"\"") => self.write_other(under, state, raw, out),
            raw => {
                if raw.and_then(|raw| self.write_document(under, state, raw, out)).is_none() {
                    out.extend_from_slice(b"null");
                    match self.plan.verdict(state).own {
                        Own::Keep(cell) | Own::Change(cell) => self.tally.count_unfit(cell),
                        Own::None | Own::Null | Own::Drop => self.tally.count_unfit_unclassified(),
                    }
                }
            }
        }
    }

    /// A number or literal is what it would be without a string around it.
    fn write_other(&mut self, under: Scope, state: State, raw: &[u8], out: &mut Vec<u8>) {
        match self.decide_scalar(under, state, &self.plan.verdict(state)) {
            OnScalar::Pass => out.extend_from_slice(raw),
            OnScalar::Capture(Capture::Cell(cell)) => self.write_changed(cell, Some(raw), out),
            OnScalar::Capture(Capture::Embedded(..)) | OnScalar::Null | OnScalar::Drop => {
                out.extend_from_slice(b"null");
            }
        }
    }

    /// Writes a string with what leaves of the document in it; none if there is no document in it, and
    /// then nothing is counted.
    fn write_document(
        &mut self,
        under: Scope,
        state: State,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Some(Scalar::String(text)) = Scalar::read(raw) else { return None };
        let depth = self.nesting.depth + 1;
        if depth > NESTING_MAX {
            return None;
        }
        // Whether its escapes stay must not depend on what is in it.
        let is_whole = under.keeps_all(&*self.plan, state, &self.plan.verdict(state));
        let place = self.nesting.captured;
        let inside = Nesting { around: under, depth, root: Root::Awaited, place, captured: place };
        let outside = std::mem::replace(&mut self.nesting, inside);
        let (counted, noted) = (self.tally.clone(), self.trail.noted());
        // Each of the two has to know which states it still needs.
        let (plan, state) = Arc::clone(&self.plan).afresh(state);
        let mut rewriter = Rewriter::starting_at(Arc::clone(plan.program()), state, self.limits);
        let plan = std::mem::replace(&mut self.plan, plan);
        let mut written = Vec::new();
        let mut sink = Copied { chunk: text.as_bytes(), out: &mut written };
        let pushed = rewriter.push(text.as_bytes(), self, &mut sink);
        let read = pushed.and_then(|()| rewriter.finish(self, &mut sink));
        // What its states took is part of what the body may take.
        let of_document = std::mem::replace(&mut self.plan, plan);
        self.plan.program().count_steps(of_document.program().steps());
        let inside = std::mem::replace(&mut self.nesting, outside);
        self.name_to_count = None;
        if read.is_err() {
            self.tally = counted;
            self.trail.forget_from(noted);
            self.asks_where = false;
            return None;
        }
        if inside.root == Root::Goes {
            out.extend_from_slice(b"null");
        } else if is_whole {
            out.extend_from_slice(raw);
        } else {
            let written = str::from_utf8(&written).ok()?;
            Scalar::String(Cow::Borrowed(written)).write(out)?;
        }
        Some(())
    }
}
