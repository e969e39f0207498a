//! JSON inside of a string: decided as if the document stood where the string stands.
//!
//! The string is captured, decoded, sent through an engine of its own that begins in the state of the
//! string, and encoded again. Where nothing in it was changed, the string leaves as it came.

use std::{borrow::Cow, sync::Arc};

use crate::{
    enforce::{
        decisions::{Capture, Decisions},
        nesting::Scope,
    },
    json::{Copied, OnScalar, Rewriter},
    path::State,
    policy::Own,
    transform::Scalar,
};

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
        let inside = self.nesting.inside(under)?;
        // Whether its escapes stay must not depend on what is in it.
        let is_whole = under.keeps_all(&*self.plan, state, &self.plan.verdict(state));
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
        if inside.root_goes() {
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
