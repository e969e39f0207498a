//! The place where a body goes through: a Pingora module with an explicit state, so that a byte that
//! comes when none is expected is an error and never passes.
//!
//! It is a *downstream module*, because only those are told of every way in which a body can end
//! (HTTP/2 trailers among them) and have their errors heard.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use pingora::{
    http::ResponseHeader,
    modules::http::{HttpModule, HttpModuleBuilder, Module},
};

use crate::{
    access::{Decision, Reason},
    enforce::Tally,
    proxy::{
        cork::{Cork, Part},
        journey::Journey,
        passage::{Opened, Passage},
        pipe::{Passing, Pipe},
        respond::failure,
    },
};

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
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Sieve { pipe, .. } => pipe.held_bytes(),
            Self::Empty(_) | Self::Replace(_) | Self::Pass(_) => 0,
        }
    }
}

/// Where a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The request is not permitted, or not yet: nothing may pass.
    Unarmed,
    /// The request is permitted; the head of the response has not gone by.
    Armed,
    /// The head has gone by.
    Streaming {
        /// Whether a byte of the body has, too.
        begun: bool,
    },
    /// The body is complete.
    Finished,
    /// The body was refused: nothing may pass any more.
    Poisoned(Reason),
}

/// How long a body is worked on before the other tasks of its thread get a turn.
const TURN: Duration = Duration::from_millis(2);

/// The module. One is made for each request.
pub(super) struct SieveModule {
    /// How long it has worked since others had a turn.
    busy: Duration,
    state: State,
    passage: Option<Passage>,
    body: Body,
    /// What has left with the head; none before it has.
    head: Option<Tally>,
    /// Hears what is about to be written.
    cork: Cork,
}

impl SieveModule {
    /// The request is permitted. With the passage the record of the request comes here: whatever
    /// happens then, it is written when this module goes.
    pub(super) fn arm(&mut self, passage: Passage) {
        self.state = match self.state {
            State::Unarmed => State::Armed,
            State::Armed | State::Streaming { .. } | State::Finished | State::Poisoned(_) => {
                State::Poisoned(Reason::Internal)
            }
        };
        self.passage = Some(passage);
    }

    /// Whether others are to have a turn before the next piece: the body took long, and where there is one thread, they
    /// had none.
    pub(super) fn yields(&mut self) -> bool {
        let is_due = self.busy >= TURN;
        if is_due {
            self.busy = Duration::ZERO;
        }
        is_due
    }

    /// What the permitted request takes with it.
    pub(super) fn passage(&self) -> Option<&Passage> {
        self.passage.as_ref()
    }

    /// Gives the record back, with what was counted.
    pub(super) fn conclude(&mut self) -> Option<Journey> {
        let Passage { mut journey, set, .. } = self.passage.take()?;
        if let Body::Sieve { pipe, .. } = &self.body
            && set.replaced().is_none()
        {
            journey.found(pipe.places());
        }
        if let Some(mut tally) = self.head.take() {
            match &self.body {
                Body::Sieve { pipe, .. } => pipe.count(&mut tally),
                Body::Pass(passing) => passing.count(&mut tally),
                Body::Empty(_) | Body::Replace(_) => {}
            }
            journey.count(&tally);
        }
        Some(journey)
    }

    /// Whether the whole response has gone by, as it should.
    pub(super) fn is_finished(&self) -> bool {
        match self.state {
            State::Finished => true,
            // Where no body leaves, the response ends with its head, and nobody is told.
            State::Streaming { begun } => match &self.body {
                Body::Empty(_) => !begun,
                Body::Replace(instead) => instead.is_empty(),
                Body::Sieve { .. } | Body::Pass(_) => false,
            },
            State::Unarmed | State::Armed | State::Poisoned(_) => false,
        }
    }

    /// Takes bytes, and gives those that leave in their place; `ends` says that these are the last.
    fn step(&mut self, chunk: Option<Bytes>, ends: bool) -> pingora::Result<Option<Bytes>> {
        let chunk = chunk.unwrap_or_default();
        let begun = match self.state {
            State::Streaming { begun } => begun || !chunk.is_empty(),
            State::Finished if chunk.is_empty() => return Ok(None),
            State::Unarmed | State::Armed | State::Finished => {
                return self.poison(Reason::Internal);
            }
            State::Poisoned(reason) => return self.poison(reason),
        };
        if let Some(reason) = self.overdue() {
            return self.poison(reason);
        }
        let body = &mut self.body;
        // A panic in the sieve must end this response and no other.
        let work = || catch_unwind(AssertUnwindSafe(|| treat(body, chunk, begun, ends)));
        let done = match &mut self.passage {
            Some(passage) => passage.journey.working(work),
            None => work(),
        };
        if let (Ok(Ok(out)), Some(passage)) = (&done, &mut self.passage)
            && !passage.holds(out.len() + self.body.held_bytes())
        {
            return self.poison(Reason::Overloaded);
        }
        match done {
            Ok(Ok(out)) => {
                self.state = if ends { State::Finished } else { State::Streaming { begun } };
                if !out.is_empty() {
                    self.cork.announce(Part::Piece);
                }
                if ends {
                    self.cork.announce(Part::End);
                }
                Ok(Some(out).filter(|out| !out.is_empty()))
            }
            Ok(Err(reason)) => self.poison(reason),
            Err(_panic) => self.poison(Reason::Internal),
        }
    }

    fn overdue(&self) -> Option<Reason> {
        self.passage.as_ref()?.overdue(Instant::now())
    }

    fn poison<T>(&mut self, reason: Reason) -> pingora::Result<T> {
        self.state = State::Poisoned(reason);
        self.cork.forget();
        Err(failure(reason))
    }
}

/// What leaves in the place of `chunk`.
pub(super) fn treat(
    body: &mut Body,
    chunk: Bytes,
    begun: bool,
    ends: bool,
) -> Result<Bytes, Reason> {
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
            Ok(out.into())
        }
        Body::Replace(_) if !ends => Ok(Bytes::new()),
        Body::Replace(instead) => Ok(instead.clone()),
        Body::Pass(passing) => {
            passing.take(chunk.len())?;
            Ok(chunk)
        }
    }
}

#[async_trait]
impl HttpModule for SieveModule {
    async fn response_header_filter(
        &mut self,
        head: &mut ResponseHeader,
        ends: bool,
    ) -> pingora::Result<()> {
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            // An interim response says nothing about the body, and has nothing to say to the client.
            *head = ResponseHeader::build(head.status, None)?;
            return Ok(());
        }
        let (State::Armed, Some(passage)) = (self.state, &mut self.passage) else {
            return self.poison(Reason::Internal);
        };
        let began = Instant::now();
        let opened = passage.overdue(began).map_or_else(|| passage.open(head, ends), Err);
        passage.journey.worked_since(began);
        match opened {
            Ok(Opened { body, tally }) => {
                // From here on bytes may leave: whatever ends this now, they are on record.
                passage.journey.decided(Decision::Aborted, Some(Reason::Internal));
                passage.journey.sent(Some(head.status.as_u16()));
                self.body = body;
                self.head = Some(tally);
                self.state = State::Streaming { begun: false };
                if head.headers.contains_key(header::TRANSFER_ENCODING) {
                    // Where the length is known, Pingora flushes once by itself.
                    self.cork = passage.cork.clone();
                    self.cork.announce(Part::Head);
                }
                Ok(())
            }
            Err(reason) => self.poison(reason),
        }
    }

    fn response_body_filter(
        &mut self,
        chunk: &mut Option<Bytes>,
        ends: bool,
    ) -> pingora::Result<()> {
        let began = Instant::now();
        let stepped = self.step(chunk.take(), ends);
        self.busy += began.elapsed();
        *chunk = stepped?;
        Ok(())
    }

    /// Trailers are data that nobody decided about: they end the body, and stay here.
    fn response_trailer_filter(
        &mut self,
        trailers: &mut Option<Box<HeaderMap>>,
    ) -> pingora::Result<Option<Bytes>> {
        *trailers = None;
        // Bytes, even none, take the place of the trailers.
        Ok(Some(self.step(None, true)?.unwrap_or_default()))
    }

    fn response_done_filter(&mut self) -> pingora::Result<Option<Bytes>> {
        self.step(None, true)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Drop for SieveModule {
    fn drop(&mut self) {
        drop(self.conclude());
    }
}

/// Makes a [`SieveModule`] for each request.
pub(super) struct SieveBuilder;

impl HttpModuleBuilder for SieveBuilder {
    /// Before everything else that could touch a body: higher is earlier.
    fn order(&self) -> i16 {
        i16::MAX
    }

    fn init(&self) -> Module {
        let body = Body::Empty(Reason::Internal);
        let cork = Cork::default();
        Box::new(SieveModule {
            busy: Duration::ZERO,
            state: State::Unarmed,
            passage: None,
            body,
            head: None,
            cork,
        })
    }
}
