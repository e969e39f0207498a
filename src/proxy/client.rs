//! The client of one request, by either version of HTTP.
//!
//! HTTP/1.1 is Pingora's session. Of HTTP/2 Pingora's would answer some requests by itself and hide others, so that here
//! a stream is carried by a session of our own.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use pingora::{
    BError, Error, ErrorType, OkOrErr as _, OrErr as _,
    http::{RequestHeader, ResponseHeader},
    protocols::{
        Stream,
        http::{ServerSession, date::get_cached_date},
    },
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    metrics::ConnectionEnd,
    proxy::{
        client_stream::{FAREWELL, FAREWELL_BYTES},
        frames::Wire,
    },
};

/// How long the closing of a connection may take.
pub(super) const CLOSING: Duration = Duration::from_secs(1);

/// Bytes of a response of HTTP/2 that its connection has, and that are not with the kernel.
pub(super) const SENT_AHEAD_BYTES: usize = 64 << 10;

/// How long a connection of HTTP/2 has for writing what was sent on a stream before it is reset.
const BEFORE_RESET: Duration = Duration::from_millis(5);

/// How long a connection takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closing {
    /// It takes them.
    No,
    /// It is old: the next answer is its last.
    Old,
    /// The process ends: nothing is waited for but answers that have begun.
    ShuttingDown,
}

impl Closing {
    /// What ends a connection that takes no more of them.
    pub(super) fn end(self) -> Option<ConnectionEnd> {
        match self {
            Self::No => None,
            Self::Old => Some(ConnectionEnd::Age),
            Self::ShuttingDown => Some(ConnectionEnd::Shutdown),
        }
    }
}

/// Who sends a request and reads its response. Either is large, and handed on from the one to the other.
pub(super) enum Client {
    Http1 {
        session: Box<ServerSession>,
        /// How long the client may take for its next step.
        patience: Duration,
        /// Whether its connection takes another request.
        over: watch::Receiver<Closing>,
    },
    Http2(Box<Exchanged>),
}

/// A request and its response on a stream of HTTP/2 (RFC 9113, section 8.1).
pub(super) struct Exchanged {
    request: RequestHeader,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    /// The status that was sent, and where the body goes.
    response: Option<(u16, SendStream<Bytes>)>,
    /// Bytes of its body that have been sent.
    sent: usize,
    /// Whether all of the response is with the kernel.
    has_ended: bool,
    /// What the frames of its connection tell.
    wire: Arc<Wire>,
    /// How long the client may take for its next step.
    patience: Duration,
}

impl Client {
    /// The request on a stream of HTTP/2, whose client has so much time for each of its steps.
    pub(super) fn http_2(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        wire: &Arc<Wire>,
        patience: Duration,
    ) -> Self {
        let (mut request, body) = request.into_parts();
        join_cookies(&mut request.headers);
        let request = RequestHeader::from(request);
        Self::Http2(Box::new(Exchanged {
            request,
            body,
            respond,
            response: None,
            sent: 0,
            has_ended: false,
            wire: Arc::clone(wire),
            patience,
        }))
    }

    /// The head of the request.
    pub(super) fn request(&self) -> &RequestHeader {
        match self {
            Self::Http1 { session, .. } => session.req_header(),
            Self::Http2(exchanged) => &exchanged.request,
        }
    }

    /// The value of a header of the request; nothing if it is not there.
    pub(super) fn header(&self, name: &HeaderName) -> &[u8] {
        self.request().headers.get(name).map_or(b"", HeaderValue::as_bytes)
    }

    /// Whether the request is known to have no body.
    pub(super) fn is_body_empty(&mut self) -> bool {
        match self {
            Self::Http1 { session, .. } => session.is_body_empty(),
            Self::Http2(exchanged) => exchanged.body.is_end_stream(),
        }
    }

    /// Whether all of the request has been read.
    pub(super) fn is_body_done(&mut self) -> bool {
        match self {
            Self::Http1 { session, .. } => session.is_body_done(),
            Self::Http2(exchanged) => exchanged.body.is_end_stream(),
        }
    }

    /// The next piece of the request's body, none at its end. Where it is whole, it is an error that the client
    /// goes, and anything else is waited for. It may be dropped at any time.
    pub(super) async fn read(&mut self, is_whole: bool) -> pingora::Result<Option<Bytes>> {
        match self {
            Self::Http1 { session, .. } => session.read_body_or_idle(is_whole).await,
            Self::Http2(exchanged) if is_whole => Err(exchanged.reset().await),
            Self::Http2(exchanged) => exchanged.read().await,
        }
    }

    /// Returns when the client is heard to have gone, while nothing is read of its request.
    pub(super) async fn gone(&mut self) -> BError {
        match self {
            Self::Http1 { session, .. } => {
                if session.is_body_done()
                    && let Err(error) = session.read_body_or_idle(true).await
                {
                    return error;
                }
                // What is still to come of its request says so.
                pending().await
            }
            Self::Http2(exchanged) => exchanged.reset().await,
        }
    }

    /// Whether the client has taken its request back already: then that may look like another.
    pub(super) fn is_gone(&mut self) -> bool {
        match self {
            Self::Http1 { .. } => false,
            Self::Http2(exchanged) => {
                let mut cx = Context::from_waker(Waker::noop());
                exchanged.respond.poll_reset(&mut cx).is_ready()
            }
        }
    }

    /// Asks for the body that the client holds back. Over HTTP/2 it does not.
    pub(super) async fn invite(&mut self) -> pingora::Result<()> {
        match self {
            Self::Http1 { session, .. } => session.write_continue_response().await,
            Self::Http2(_) => Ok(()),
        }
    }

    /// Writes the head of the response.
    pub(super) async fn write_head(&mut self, head: Box<ResponseHeader>) -> pingora::Result<()> {
        match self {
            Self::Http1 { session, patience, over } => {
                // What may have changed since the request came: a client that hears of it loses nothing.
                if *over.borrow() > Closing::No {
                    session.set_keepalive(None);
                }
                within(*patience, session.write_response_header(head)).await
            }
            Self::Http2(exchanged) => exchanged.write_head(head),
        }
    }

    /// Writes a piece of its body.
    pub(super) async fn write(&mut self, piece: Bytes) -> pingora::Result<()> {
        match self {
            // Pingora would write an empty one as the end.
            _ if piece.is_empty() => Ok(()),
            // Pingora has a limit for this one.
            Self::Http1 { session, .. } => session.write_response_body(piece, false).await,
            Self::Http2(exchanged) => within(exchanged.patience, exchanged.write(piece)).await,
        }
    }

    /// Bytes of the response that may have been written and are not with the kernel yet.
    pub(super) fn sent_ahead(&self) -> usize {
        match self {
            Self::Http1 { .. } => 0,
            Self::Http2(exchanged) => exchanged.sent.min(SENT_AHEAD_BYTES),
        }
    }

    /// Ends the response. When this returns, the kernel has all of it.
    pub(super) async fn finish(&mut self) -> pingora::Result<()> {
        match self {
            Self::Http1 { session, patience, .. } => within(*patience, session.finish_body()).await,
            Self::Http2(exchanged) => within(exchanged.patience, exchanged.finish()).await,
        }
    }

    /// The status that it was given. An interim response (1xx) announces one, and is none.
    pub(super) fn status(&self) -> Option<u16> {
        let status = match self {
            Self::Http1 { session, .. } => {
                session.response_written().map(|head| head.status.as_u16())
            }
            Self::Http2(exchanged) => exchanged.response.as_ref().map(|(status, _)| *status),
        };
        status.filter(|status| *status >= 200)
    }

    /// Lets the client go. The connection, if it can take another request: `is_complete` says that all of the response
    /// has left.
    pub(super) async fn end(self, is_complete: bool) -> Option<Stream> {
        match self {
            Self::Http1 { session, patience, .. } if is_complete => {
                let finished = pin!(session.finish());
                let kept = within(patience, finished).await.ok().flatten();
                kept.map(|kept| kept.into_parts().0)
            }
            Self::Http1 { session, .. } => {
                close(session).await;
                None
            }
            Self::Http2(exchanged) => {
                exchanged.end().await;
                None
            }
        }
    }

    /// Has the connection end with this request. One of HTTP/2 goes on.
    pub(super) fn ends_connection(&mut self) {
        match self {
            Self::Http1 { session, .. } => session.set_keepalive(None),
            Self::Http2(_) => {}
        }
    }
}

/// Closes a connection of HTTP/1.1: a client that takes nothing any more is not waited for.
pub(super) async fn close(mut session: Box<ServerSession>) {
    if timeout(CLOSING, session.shutdown()).await.is_err() {
        // It closes as it goes.
    }
}

/// Carries a step out that a client may not hold up for longer.
async fn within<T>(
    patience: Duration,
    step: impl Future<Output = pingora::Result<T>>,
) -> pingora::Result<T> {
    timeout(patience, step).await.or_err(ErrorType::WriteTimedout, "a client")?
}

/// Makes one line of the lines into which HTTP/2 splits cookies, for whoever speaks HTTP/1.1 (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

impl Exchanged {
    async fn read(&mut self) -> pingora::Result<Option<Bytes>> {
        match timeout(self.patience, self.body.data()).await {
            // Trailers may be behind it: nobody reads them.
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => {
                self.body
                    .flow_control()
                    .release_capacity(piece.len())
                    .or_err(ErrorType::ReadError, "a body")?;
                Ok(Some(piece))
            }
            // What breaks the protocol, such as another length than was said, the library has found out.
            Ok(Some(Err(error))) if error.is_library() => {
                Error::e_because(ErrorType::InvalidHTTPHeader, "a body", error)
            }
            Ok(Some(Err(error))) => Error::e_because(ErrorType::ReadError, "a body", error),
            Err(_elapsed) => Error::e_explain(ErrorType::ReadTimedout, "a body"),
        }
    }

    /// Returns when the client has reset the stream.
    async fn reset(&mut self) -> BError {
        let Self { respond, response, .. } = self;
        let reset = poll_fn(|cx| match response {
            Some((_, body)) => body.poll_reset(cx),
            None => respond.poll_reset(cx),
        });
        let _reason = reset.await;
        Error::explain(ErrorType::ConnectionClosed, "the stream was reset")
    }

    fn write_head(&mut self, mut head: Box<ResponseHeader>) -> pingora::Result<()> {
        head.insert_header(header::DATE, get_cached_date())?;
        let response = Response::from_parts(head.as_owned_parts(), ());
        let body = self.respond.send_response(response, false);
        self.response = Some((head.status.as_u16(), body.or_err(ErrorType::WriteError, "a head")?));
        Ok(())
    }

    async fn write(&mut self, mut piece: Bytes) -> pingora::Result<()> {
        let (_, body) = self.response.as_mut().or_err(ErrorType::InternalError, "no head")?;
        // Only once: it is less by each piece that is sent.
        body.reserve_capacity(piece.len());
        while !piece.is_empty() {
            let capacity = poll_fn(|cx| body.poll_capacity(cx)).await;
            let capacity = capacity.or_err(ErrorType::WriteError, "the stream was reset")?;
            let capacity = capacity.or_err(ErrorType::WriteError, "a body")?;
            let now = piece.split_to(capacity.min(piece.len()));
            self.sent = self.sent.saturating_add(now.len());
            body.send_data(now, false).or_err(ErrorType::WriteError, "a body")?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> pingora::Result<()> {
        let (_, body) = self.response.as_mut().or_err(ErrorType::InternalError, "no head")?;
        let mut last = self.wire.last_frame(self.respond.stream_id().as_u32());
        body.send_data(Bytes::new(), true).or_err(ErrorType::WriteError, "the end")?;
        self.has_ended = tokio::select! {
            biased;
            is_written = last.is_written() => is_written,
            _reset = poll_fn(|cx| body.poll_reset(cx)) => false,
        };
        if self.has_ended { Ok(()) } else { Error::e_explain(ErrorType::WriteError, "the end") }
    }

    /// Lets the stream go. A request whose response is complete is read to its end, for a while: reset at once, some
    /// clients never show the answer.
    async fn end(mut self) {
        if !self.has_ended {
            // A reset takes back what the connection has not written: a head and a piece that have just been sent.
            sleep(BEFORE_RESET).await;
            self.respond.send_reset(h2::Reason::INTERNAL_ERROR);
            return;
        }
        let mut left = FAREWELL_BYTES;
        let rest = async {
            while left > 0 && !self.body.is_end_stream() {
                match self.read().await {
                    Ok(Some(piece)) => left = left.saturating_sub(piece.len()),
                    Ok(None) | Err(_) => return,
                }
            }
        };
        if timeout(FAREWELL, rest).await.is_err() {
            // It is reset as it goes.
        }
    }
}
