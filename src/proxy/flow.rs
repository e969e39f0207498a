//! The response to a permitted request on its way to the client: its head, and each piece of its body.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;

use crate::{
    access::{Decision, Reason},
    enforce::Tally,
    proxy::{
        passage::{Opened, Passage},
        pipe::{Passing, Pipe},
        spare,
    },
};

/// How long a body is worked on before the other tasks of its thread get a turn.
const TURN: Duration = Duration::from_millis(2);

/// How the bytes of a body are treated.
pub(super) enum Body {
    /// None may come; if one does, this is the reason to refuse it.
    Empty(Reason),
    /// They are sieved.
    Sieve {
        /// What they go through.
        pipe: Box<Pipe>,
        /// Whether no bytes at all are a body, too.
        may_be_empty: bool,
    },
    /// They are left out, and these stand for them.
    Replace(Bytes),
    /// They pass, up to a length.
    Pass(Passing),
}

impl Body {
    /// Bytes of it that are held between two steps.
    fn held_bytes(&self) -> usize {
        match self {
            Self::Sieve { pipe, .. } => pipe.held_bytes(),
            Self::Empty(_) | Self::Replace(_) | Self::Pass(_) => 0,
        }
    }
}

/// A response whose head may leave, and whose body goes through here. Going, it counts what has left.
pub(super) struct Flow<'p> {
    passage: &'p mut Passage,
    body: Body,
    /// What has left with the head.
    head: Tally,
    /// Whether a byte of the body has come.
    begun: bool,
    /// Bytes that have been decided, and that the kernel may not have yet.
    unwritten: usize,
    /// How long it has worked since others had a turn.
    busy: Duration,
}

impl<'p> Flow<'p> {
    /// Decides about the head of an upstream's response, and makes the one that leaves. `ends` says that no body is behind
    /// it.
    pub(super) fn open(
        passage: &'p mut Passage,
        head: &ResponseHeader,
        ends: bool,
    ) -> Result<(Self, ResponseHeader), Reason> {
        let began = Instant::now();
        let opened = passage.open(head, ends);
        passage.journey.worked(began.elapsed());
        let Opened { head, body, tally } = opened?;
        let flow =
            Self { passage, body, head: tally, begun: false, unwritten: 0, busy: Duration::ZERO };
        Ok((flow, head))
    }

    /// What leaves in the place of the next bytes; `ends` says that these are the last.
    pub(super) fn step(&mut self, bytes: Bytes, ends: bool) -> Result<Bytes, Reason> {
        let from = Instant::now();
        self.begun |= !bytes.is_empty();
        let Self { body, begun, .. } = self;
        // A panic in the sieve must end this response and no other.
        let done = catch_unwind(AssertUnwindSafe(|| treat(body, bytes, *begun, ends)));
        let took = from.elapsed();
        self.passage.journey.worked(took);
        self.busy += took;
        let out = done.unwrap_or(Err(Reason::Internal))?;
        self.unwritten = self.unwritten.saturating_add(out.len());
        if self.passage.holds(self.unwritten.saturating_add(self.body.held_bytes())) {
            Ok(out)
        } else {
            Err(Reason::Overloaded)
        }
    }

    /// From here on bytes may leave: whatever ends this now, they are on record.
    pub(super) fn leaves(&mut self, status: StatusCode) {
        self.passage.journey.sent(Some(status.as_u16()));
        self.passage.journey.decided(Decision::Aborted, Some(Reason::Internal));
    }

    /// What has been decided is written, but for so many bytes that may wait for the kernel.
    pub(super) fn written(&mut self, sent_ahead: usize) {
        self.unwritten = sent_ahead;
    }

    /// Whether nothing that may still come of the body matters.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.body, Body::Replace(_))
    }

    /// Whether others are to have a turn before the next piece: where there is one thread, they had none.
    pub(super) fn yields(&mut self) -> bool {
        let is_due = self.busy >= TURN;
        if is_due {
            self.busy = Duration::ZERO;
        }
        is_due
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        if let Body::Sieve { pipe, .. } = &self.body
            && self.passage.set.replaced().is_none()
        {
            self.passage.journey.found(pipe.places());
        }
        match &self.body {
            Body::Sieve { pipe, .. } => pipe.count(&mut self.head),
            Body::Pass(passing) => passing.count(&mut self.head),
            Body::Empty(_) | Body::Replace(_) => {}
        }
        self.passage.journey.count(&self.head);
    }
}

/// What leaves in the place of `chunk`.
fn treat(body: &mut Body, chunk: Bytes, begun: bool, ends: bool) -> Result<Bytes, Reason> {
    match body {
        Body::Empty(reason) if begun => Err(*reason),
        Body::Empty(_) => Ok(Bytes::new()),
        Body::Sieve { may_be_empty: true, .. } if !begun && !ends => Ok(Bytes::new()),
        Body::Sieve { pipe, may_be_empty: true, .. } if !begun => Ok(pipe.finish_empty()?.into()),
        Body::Sieve { pipe, .. } => {
            let mut out = if chunk.is_empty() { Vec::new() } else { pipe.write(&chunk)? };
            if ends {
                out.append(&mut pipe.finish()?);
            }
            Ok(spare::bytes(out))
        }
        Body::Replace(_) if !ends => Ok(Bytes::new()),
        Body::Replace(instead) => Ok(instead.clone()),
        Body::Pass(passing) => {
            passing.take(chunk.len())?;
            Ok(chunk)
        }
    }
}
