//! Bodies that hold more than one document: lines of JSON, JSON text sequences, server-sent events.
//!
//! A [`Framed`] stands between the bytes of a body and an [`Enforcement`]: it finds where a document
//! begins and ends, sends each through the plan as if it were alone, and puts the framing around what
//! leaves. Bytes come in chunks of any size, and how they were cut makes no difference. A document
//! streams through; an event, whose name may stand behind its data, is held to its end, up to `candidate_bytes_max`.
//! No I/O, no clock.
//!
//! What is wrong in one document ends the body there: what follows could be read in more than one way.
//!
//! **Must never know** how a body got here, nor what is in a document.
//!
//! ```
//! use tamis::{frame::Framed, json::Limits, policy::{Ask, Framing, Source, Target, load}};
//! use tamis::transform::{Context, NoKeys};
//!
//! let text = "
//! tamis: 1
//! categories: { contact.email: E-mail address }
//! purposes: { support: { title: Answer a customer, legal_basis: contract } }
//! callers: { desk: { identify: { api_key: desk-2026 }, purposes: [support] } }
//! apis: { crm: { routes: { GET /all: { body: { $.email: contact.email } } } } }
//! rules: { support: { contact: mask } }
//! ";
//! let set = load(&[Source { name: "crm.yaml".into(), text: text.into() }], &NoKeys).set.unwrap();
//! let target = Target::parse("GET", "/all").unwrap();
//! let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
//! let plan = set.decide(&ask).unwrap().plan;
//!
//! let context = Context { today: jiff::civil::date(2026, 11, 21) };
//! let framing = Framing::of("application/x-ndjson").unwrap();
//! let mut framed = Framed::new(framing, plan, context, Limits::default());
//! let mut out = Vec::new();
//! for chunk in ["{\"email\":\"anna@exam", "ple.org\"}\n{\"id\":", "1}\n"] {
//!     framed.write(chunk.as_bytes(), &mut out)?;
//! }
//! framed.finish(&mut out)?;
//! assert_eq!(out, b"{\"email\":\"********\"}\n{}\n");
//! # Ok::<(), tamis::enforce::Refusal>(())
//! ```

mod documents;
mod events;
mod lines;
mod sequence;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use crate::{
    enforce::{Enforcement, Places, Refusal, Tally},
    json::{Copied, Limits, Violation},
    policy::{Framing, Plan},
    transform::Context,
};

use documents::Documents;
use events::Events;
use lines::Lines;
use sequence::Sequence;

/// One body on its way through one plan, document by document.
pub struct Framed {
    documents: Documents,
    frames: Frames,
    failed: Option<Refusal>,
}

/// What is between the documents, and how much of it has been read.
#[derive(Debug)]
enum Frames {
    Document,
    Lines(Lines),
    Sequence(Sequence),
    Events(Box<Events>),
}

impl Framed {
    /// A body that is about to begin.
    pub fn new(framing: Framing, plan: Arc<Plan>, context: Context, limits: Limits) -> Self {
        let frames = match framing {
            Framing::Document => Frames::Document,
            Framing::Lines => Frames::Lines(Lines::default()),
            Framing::Sequence => Frames::Sequence(Sequence::default()),
            Framing::Events => {
                let listed = Arc::clone(plan.stream());
                Frames::Events(Box::new(Events::new(listed, limits.candidate_bytes_max)))
            }
        };
        let documents = Documents::new(Enforcement::new(plan, context, limits));
        Self { documents, frames, failed: None }
    }

    /// Takes the next bytes, and appends what is decided to `out`. After a refusal nothing more comes
    /// out, and every further call gives the same.
    pub fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.guarded(|documents, frames| {
            match frames {
                Frames::Document => {
                    documents.write(chunk, documents.offset(0), &mut Copied { chunk, out })?;
                }
                Frames::Lines(lines) => lines.write(documents, chunk, out)?,
                Frames::Sequence(sequence) => sequence.write(documents, chunk, out)?,
                Frames::Events(events) => events.write(documents, chunk, out)?,
            }
            documents.advance(chunk.len());
            Ok(())
        })
    }

    /// Ends the body, which must be complete. What has left is whole only after this.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.guarded(|documents, frames| match frames {
            Frames::Document => documents.finish(out),
            Frames::Lines(lines) => lines.finish(documents, out),
            Frames::Sequence(sequence) => sequence.finish(documents, out),
            Frames::Events(events) => events.finish(),
        })
    }

    /// What has been counted so far, also of a body that was refused.
    pub fn tally(&self) -> &Tally {
        self.documents.tally()
    }

    /// Where unclassified data was withheld so far: none where there was none.
    pub fn places(&self) -> Places {
        self.documents.places()
    }

    /// Bytes of the body that it holds, or has room for, between two calls.
    pub fn held_bytes(&self) -> usize {
        let framing = match &self.frames {
            Frames::Document | Frames::Lines(_) | Frames::Sequence(_) => 0,
            Frames::Events(events) => events.held_bytes(),
        };
        self.documents.held_bytes() + framing
    }

    /// Runs a step unless one has failed before; one that panics has failed.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Documents, &mut Frames) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if let Some(refusal) = self.failed {
            return Err(refusal);
        }
        self.failed = Some(Violation::Cut.into());
        let result = step(&mut self.documents, &mut self.frames);
        self.failed = result.err();
        result
    }
}

/// Says where it stands, and none of the bytes.
impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed").field("failed", &self.failed).finish_non_exhaustive()
    }
}
