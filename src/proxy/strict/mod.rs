//! What a client sends, read strictly before Pingora reads it: each head whole and as RFC 9112 writes
//! it, each body to its end and no further, and the next request only after the answer to this one.
//!
//! Pingora takes line feeds by themselves for line ends, several ways to say a length, and heads that
//! come in little pieces for ever. Whoever stands in front of tamis may read such a thing in another
//! way. So of what is refused Pingora gets to see nothing: in its place comes a request that is never
//! passed on, and beside it the reason, so that it is answered and on record as any other.

mod chunks;
mod head;

use std::{
    io,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pingora::protocols::Stream;
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{access::Reason, config::Settings};

use chunks::Chunks;
pub(super) use head::HEADERS_MAX;
use head::{Framing, Head, Limits};

/// What Pingora reads in place of a head that is refused: something that is never passed on by itself.
const REFUSED: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// Bytes that are read at a time where they cannot be read to their place.
const PIECE_BYTES: usize = 4096;

/// What the reader of a connection and those who answer tell each other.
#[derive(Debug, Default)]
pub(super) struct ReaderState {
    /// Why nothing more is read.
    refused: OnceLock<Reason>,
    /// Whether the request before has been answered.
    answered: AtomicBool,
    /// Whether a byte of a request has come that is not answered.
    begun: AtomicBool,
}

impl ReaderState {
    /// Whether a byte of a request has come.
    pub(super) fn begun(&self, has_begun: bool) {
        self.begun.store(has_begun, Ordering::Relaxed);
    }

    /// Whether a byte of a request has come that is not answered.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// The request has been answered: the next may come.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Why the request is refused that came last, if it is.
    pub(super) fn refused(&self) -> Option<Reason> {
        self.refused.get().copied()
    }
}

/// What a connection is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    limits: Limits,
    /// How long a head may take from its first byte on.
    patience: Duration,
}

impl Rules {
    pub(super) fn of(settings: &Settings) -> Self {
        let limits = Limits {
            head_bytes: settings.limits.head_bytes,
            target_bytes: settings.limits.target_bytes,
        };
        Self { limits, patience: settings.timeouts.head }
    }
}

/// Where a connection stands.
#[derive(Debug)]
enum State {
    Head(Head),
    /// In a body of which so many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    /// Behind a request that is being answered.
    Behind,
    /// Nothing more is read.
    Refused,
}

/// The reader of one connection.
pub(super) struct Strict {
    rules: Rules,
    state: State,
    /// What has come and not gone on.
    held: Vec<u8>,
    /// How many of those bytes may.
    ready: usize,
    /// Whether some of the request have gone on.
    begun: bool,
    /// When the head that is being read has to be there.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Strict {
    pub(super) fn new(rules: Rules) -> Self {
        let state = State::Head(Head::new(rules.limits));
        Self { rules, state, held: Vec::new(), ready: 0, begun: false, deadline: None }
    }

    /// Begins with bytes that have come already.
    pub(super) fn begin(&mut self, came: Vec<u8>, reader: &ReaderState) -> io::Result<()> {
        self.held = came;
        self.take_held(reader)
    }

    /// Whether a byte of a request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun || !self.held.is_empty()
    }

    /// Whether some of a body is still to come.
    pub(super) fn is_within(&self) -> bool {
        match self.state {
            State::Length(_) | State::Chunked(_) => true,
            State::Head(_) | State::Behind | State::Refused => false,
        }
    }

    /// Reads what may go on from a stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Stream,
        reader: &ReaderState,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.ready > 0 {
                let taken = self.ready.min(buf.remaining());
                buf.put_slice(self.held.get(..taken).unwrap_or_default());
                self.held.drain(..taken);
                self.ready -= taken;
                return Poll::Ready(Ok(()));
            }
            match self.state {
                // For Pingora it ends here.
                State::Refused => return Poll::Ready(Ok(())),
                State::Behind if reader.answered.swap(false, Ordering::AcqRel) => {
                    self.state = State::Head(Head::new(self.rules.limits));
                    self.begun = false;
                    self.take_held(reader)?;
                    continue;
                }
                // A request that comes before the answer to the one before waits; whoever sends two of
                // them does not wait for the first, and nobody has to hear whether he is still there.
                State::Behind if !self.held.is_empty() => return Poll::Pending,
                State::Behind | State::Head(_) | State::Length(_) | State::Chunked(_) => {}
            }
            let polled = self.fill(stream, reader, cx, buf)?;
            match polled {
                Poll::Ready(true) => return Poll::Ready(Ok(())),
                Poll::Ready(false) => {}
                Poll::Pending => {
                    if self.is_late(cx) {
                        self.refuse(Reason::RequestTimeout, reader)?;
                        continue;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads more. Whether the end has come, or something that may go on lies in `buf`.
    fn fill(
        &mut self,
        stream: &mut Stream,
        reader: &ReaderState,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if !self.held.is_empty() {
            // A head that has come in part is continued where it lies.
            let mut piece = [0; PIECE_BYTES];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
            self.held.extend_from_slice(piece.filled());
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(true));
            }
            self.take_held(reader)?;
            return Poll::Ready(Ok(false));
        }
        // Almost always it may go on as it comes: then it lies where it should already.
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        let came = buf.filled().get(before..).unwrap_or_default();
        if came.is_empty() {
            return Poll::Ready(Ok(true));
        }
        match self.examine(came) {
            Ok(goes) => {
                self.held.extend_from_slice(came.get(goes..).unwrap_or_default());
                buf.set_filled(before + goes);
                self.begun |= goes > 0;
                self.watch();
                Poll::Ready(Ok(goes > 0))
            }
            Err(reason) => {
                buf.set_filled(before);
                self.refuse(reason, reader)?;
                Poll::Ready(Ok(false))
            }
        }
    }

    /// Looks at what is held.
    fn take_held(&mut self, reader: &ReaderState) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let examined = self.examine(&held);
        self.held = held;
        match examined {
            Ok(ready) => {
                self.ready = ready;
                self.begun |= ready > 0;
                self.watch();
                Ok(())
            }
            Err(reason) => self.refuse(reason, reader),
        }
    }

    /// How many of these bytes may go on. A head is looked at from its beginning.
    fn examine(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        let mut goes = 0;
        loop {
            let rest = bytes.get(goes..).unwrap_or_default();
            match &mut self.state {
                State::Head(head) => {
                    let Some((length, framing)) = head.scan(rest)? else { return Ok(goes) };
                    goes += length;
                    self.state = match framing {
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::Chunked(Chunks::new()),
                    };
                }
                State::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    goes += taken;
                    *left -= taken as u64;
                    if *left > 0 {
                        return Ok(goes);
                    }
                    self.state = State::Behind;
                }
                State::Chunked(chunks) => {
                    let (taken, ends) = chunks.follow(rest)?;
                    goes += taken;
                    if !ends {
                        return Ok(goes);
                    }
                    self.state = State::Behind;
                }
                State::Behind | State::Refused => return Ok(goes),
            }
        }
    }

    /// Sets the clock as long as a head has come in part, and only then.
    fn watch(&mut self) {
        let is_begun = matches!(self.state, State::Head(_)) && !self.held.is_empty();
        if !is_begun {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(Box::pin(sleep(self.rules.patience)));
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }

    /// Reads nothing more. In the middle of a request there is nothing that could stand for the rest.
    fn refuse(&mut self, reason: Reason, reader: &ReaderState) -> io::Result<()> {
        self.state = State::Refused;
        self.deadline = None;
        self.held.clear();
        self.ready = 0;
        if reader.refused.set(reason).is_err() {
            log::error!("a connection is refused twice");
        }
        if self.begun {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.held.extend_from_slice(REFUSED);
        self.ready = REFUSED.len();
        Ok(())
    }
}
