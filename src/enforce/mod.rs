//! Carries out one decision on one body, and counts what leaves.
//!
//! A [`Plan`] says for each state of its paths what the policy wants; here the rest of the rules is
//! applied, which depends on what the document is: scalars, arrays, objects, and what stands above.
//! No I/O, no clock: chunks come in, decided bytes go out, and the day is an argument.
//!
//! **Must never know** how a body got here: no connection, no header, no file.
//!
//! ```
//! use tamis::{enforce::Enforcement, json::{Copied, Limits}, policy::{Ask, Source, Target, load}};
//! use tamis::transform::{Context, NoKeys};
//!
//! let text = "
//! tamis: 1
//! categories: { contact.email: E-mail address }
//! purposes: { support: { title: Answer a customer, legal_basis: contract } }
//! callers: { desk: { identify: { api_key: desk-2026 }, purposes: [support] } }
//! apis: { crm: { routes: { GET /me: { body: { $.email: contact.email } } } } }
//! rules: { support: { contact: mask } }
//! ";
//! let set = load(&[Source { name: "crm.yaml".into(), text: text.into() }], &NoKeys).set.unwrap();
//! let target = Target::parse("GET", "/me").unwrap();
//! let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
//! let plan = set.decide(&ask).unwrap().plan;
//!
//! let context = Context { today: jiff::civil::date(2026, 11, 21) };
//! let mut enforcement = Enforcement::new(plan, context, Limits::default());
//! let mut out = Vec::new();
//! for chunk in [&br#"{"email":"anna@exam"#[..], br#"ple.org","notes":"..."}"#] {
//!     enforcement.write(chunk, &mut Copied { chunk, out: &mut out })?;
//! }
//! enforcement.finish(&mut Copied { chunk: b"", out: &mut out })?;
//! assert_eq!(out, br#"{"email":"********"}"#);
//! assert_eq!(enforcement.tally().counts()[0].accesses, 1);
//! # Ok::<(), tamis::enforce::Refusal>(())
//! ```

mod decisions;
mod embedded;
mod nesting;
mod places;
mod tally;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use crate::{
    access::Reason,
    json::{Kernel, Limits, Rewriter, Sink, Violation},
    policy::Plan,
    transform::Context,
};

use decisions::Decisions;
pub use places::Places;
pub use tally::Tally;

/// One body on its way through one plan.
pub struct Enforcement {
    rewriter: Rewriter<Decisions>,
    decisions: Decisions,
}

impl Enforcement {
    /// A body that is about to begin.
    pub fn new(plan: Arc<Plan>, context: Context, limits: Limits) -> Self {
        let root = plan.program().start();
        let (plan, root) = plan.afresh(root);
        let rewriter = Rewriter::starting_at(Arc::clone(plan.program()), root, limits);
        Self { rewriter, decisions: Decisions::new(plan, context, limits) }
    }

    /// Reads the body with this kernel, rather than with [that of the process](Kernel::in_use).
    #[must_use]
    pub fn on(self, kernel: Kernel) -> Self {
        Self { rewriter: self.rewriter.on(kernel), ..self }
    }

    /// Takes the next bytes, and lets go of what is decided. After a refusal nothing more comes out.
    pub fn write<S: Sink + ?Sized>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), Refusal> {
        Ok(self.rewriter.push(chunk, &mut self.decisions, sink)?)
    }

    /// Ends the body, which must be complete. What has left is whole only after this.
    pub fn finish<S: Sink + ?Sized>(&mut self, sink: &mut S) -> Result<(), Refusal> {
        Ok(self.rewriter.finish(&mut self.decisions, sink)?)
    }

    /// Begins another document under the same plan, whatever became of the one before. Counts go on.
    pub fn restart(&mut self) {
        self.rewriter.restart();
    }

    /// Bytes of the body that it holds, or has room for, between two calls.
    pub fn held_bytes(&self) -> usize {
        self.rewriter.held_bytes()
    }

    /// Notes that an event of a stream was withheld, whose name the policies do not know.
    pub fn withhold_event(&mut self) {
        self.decisions.withhold_event();
    }

    /// What has been counted so far, also of a body that was refused.
    pub fn tally(&self) -> &Tally {
        self.decisions.tally()
    }

    /// Where unclassified data was withheld so far: none where there was none.
    pub fn places(&self) -> Places {
        self.decisions.trail().places(self.decisions.plan.spelled())
    }
}

impl fmt::Debug for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcement").field("rewriter", &self.rewriter).finish_non_exhaustive()
    }
}

/// Why a body cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{violation}")]
pub struct Refusal {
    /// The reason, as it is reported.
    pub reason: Reason,
    /// What was wrong, and at which byte.
    pub violation: Violation,
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        let reason = match violation {
            Violation::Grammar { .. } | Violation::Utf8 { .. } | Violation::Ambiguous { .. } => {
                Reason::BodyUnreadable
            }
            Violation::Depth { .. } => Reason::BodyTooDeep,
            Violation::TooLarge { .. } => Reason::BodyTooLarge,
            Violation::TooComplex { .. } => Reason::BodyTooComplex,
            Violation::Cut => Reason::BodyCut,
        };
        Self { reason, violation }
    }
}
