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
    message::{Body, Head, Opened},
    proxy::{passage::Passage, respond},
};

/// How long a body is worked on before the other tasks of its thread get a turn.
const TURN: Duration = Duration::from_millis(2);

/// A response whose head may leave, and whose body goes through here. Going, it counts what has left.
pub(super) struct Flow<'p> {
    passage: &'p mut Passage,
    body: Body,
    /// What has left with the head.
    head: Tally,
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
        let (status, headers) = (head.status, &head.headers);
        let head = Head { version: head.version, status, headers, ends };
        let opened = passage.context.open(head, passage.journey.marks());
        passage.journey.worked(began.elapsed());
        let Opened { headers, body, tally } = opened?;
        let flow = Self { passage, body, head: tally, unwritten: 0, busy: Duration::ZERO };
        Ok((flow, respond::head(status, headers)))
    }

    /// What leaves in the place of the next bytes; `ends` says that these are the last.
    pub(super) fn step(&mut self, bytes: Bytes, ends: bool) -> Result<Bytes, Reason> {
        let from = Instant::now();
        // A panic in the sieve must end this response and no other.
        let done = catch_unwind(AssertUnwindSafe(|| self.body.step(bytes, ends)));
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
        self.body.is_settled()
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
        if self.passage.set.replaced().is_none() {
            self.passage.journey.found(self.body.places());
        }
        self.body.count(&mut self.head);
        self.passage.journey.count(&self.head);
    }
}
