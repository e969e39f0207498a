//! Connections to one upstream, kept for the requests to come.
//!
//! Two connections are alike if they lead to the same address and were made under the same trust. A connection is
//! kept only if its response was read to its end and nothing came behind it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use h2::client;
use pingora::{
    BError, ErrorType, OkOrErr as _, OrErr as _,
    connectors::{TransportConnector, http::v2::ConnectionRef},
    protocols::{
        ALPN, Digest, Stream,
        http::{
            client::HttpSession, v1::client::HttpSession as Http1Session,
            v2::client::drive_connection,
        },
    },
    upstreams::peer::HttpPeer,
};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::watch,
    task::unconstrained,
    time::timeout,
};

use crate::proxy::{client_stream::ClientStream, endpoint::Endpoint};

/// Connections that are kept for one upstream at most, over all of its addresses.
const KEPT_MAX: usize = 128;
/// Requests at a time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 100;
/// Bytes that an upstream may send on one stream of HTTP/2 before tamis has passed them on: what a slow client costs.
const WINDOW_BYTES: u32 = 256 << 10;
/// Bytes that it may send so on all streams of a connection: a client that does not read takes nothing of the others.
const CONNECTION_WINDOW_BYTES: u32 = WINDOW_BYTES * STREAMS_MAX;
/// Bytes of a frame of HTTP/2.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// Bytes that the head of a response by HTTP/2 may have, names and values, and 32 for each header (RFC 9113,
/// section 6.5.2).
const HEAD_BYTES_MAX: u32 = 1 << 20;

/// What two connections have in common that are alike.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    endpoint: Endpoint,
    /// Under which trust it was made.
    trust: u64,
}

/// The connections that are kept.
pub(super) struct Pool {
    kept: Mutex<Vec<Kept>>,
    terms: Terms,
}

/// How long connections are made for, and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Whether one is kept at all.
    pub(super) keeps: bool,
    /// How long one is kept that carries nothing.
    pub(super) idle: Duration,
    /// How long one takes requests.
    pub(super) age: Duration,
    /// How long two sides may take to agree on HTTP/2.
    pub(super) connect: Duration,
}

struct Kept {
    line: Line,
    kind: Kind,
    made: Instant,
    /// When it last carried something.
    used: Instant,
}

/// A connection that is kept.
enum Line {
    /// One of HTTP/1.1, which nobody uses.
    Free(Stream),
    /// One of HTTP/2, which several requests use at once.
    Shared(ConnectionRef),
}

/// A connection, or a stream of one, for one request. Dropped, it ends.
pub(super) struct Lease {
    pub(super) session: HttpSession,
    /// Whether a request was on the connection before.
    pub(super) is_reused: bool,
    kind: Kind,
    made: Instant,
}

impl Lease {
    /// Ends the connection, or the stream, where it is. Where the upstream `is_slow`, nothing else is asked on it: it may
    /// be gone, and nobody has heard.
    pub(super) fn end(self, is_slow: bool) {
        match self.session {
            // An upstream that takes nothing any more is not waited for: the connection closes as it goes.
            HttpSession::H1(mut session) => drop(now(session.shutdown())),
            HttpSession::H2(session) if is_slow => session.conn.mark_shutdown(),
            // The stream is reset as it goes.
            HttpSession::H2(_) | HttpSession::Custom(()) => {}
        }
    }
}

impl Pool {
    pub(super) fn new(terms: Terms) -> Self {
        Self { kept: Mutex::default(), terms }
    }

    /// Another pool on the same terms, which keeps none of its connections.
    pub(super) fn of_one_use(&self) -> Self {
        Self::new(Terms { keeps: false, ..self.terms })
    }

    /// Whether a connection of HTTP/1.1 is kept once this response is read to its end. A stream of HTTP/2 ends, and its
    /// connection goes on.
    pub(super) fn would_keep(&self, session: &mut HttpSession) -> bool {
        let HttpSession::H1(session) = session else { return false };
        session.respect_keepalive();
        self.terms.keeps && session.will_keepalive()
    }

    /// A connection to this address: one that is kept, or a new one.
    pub(super) async fn connect(
        &self,
        transport: &TransportConnector,
        endpoint: Endpoint,
        peer: &HttpPeer,
    ) -> Result<Lease, BError> {
        let kind = Kind { endpoint, trust: peer.group_key };
        while let Some(Kept { line, made, .. }) = self.take(kind) {
            match line {
                Line::Free(stream) => {
                    let session = HttpSession::H1(Http1Session::new_with_options(stream, peer));
                    return Ok(Lease { session, is_reused: true, kind, made });
                }
                Line::Shared(connection) => match connection.spawn_stream().await {
                    Ok(Some(session)) => {
                        let session = HttpSession::H2(session);
                        return Ok(Lease { session, is_reused: true, kind, made });
                    }
                    // Another request has taken its last stream.
                    Ok(None) if !connection.is_shutting_down() => {}
                    Ok(None) | Err(_) => self.forget(&connection),
                },
            }
        }
        // In a box, for it is large, and most requests need no new connection.
        Box::pin(self.connect_anew(transport, kind, peer)).await
    }

    async fn connect_anew(
        &self,
        transport: &TransportConnector,
        kind: Kind,
        peer: &HttpPeer,
    ) -> Result<Lease, BError> {
        let made = Instant::now();
        let stream = ClientStream::reading_ahead(transport.new_stream(peer).await?);
        // In the clear there is nothing to agree by, and what the settings say holds.
        let is_http_2 = match stream.selected_alpn_proto() {
            Some(version) => version == ALPN::H2,
            None => !peer.is_tls() && peer.options.alpn.get_min_http_version() == 2,
        };
        if !is_http_2 {
            let session = HttpSession::H1(Http1Session::new_with_options(stream, peer));
            return Ok(Lease { session, is_reused: false, kind, made });
        }
        let begun = timeout(self.terms.connect, begin_http_2(stream)).await;
        let connection = begun.or_err(ErrorType::ConnectTimedout, "HTTP/2")??;
        let session = connection.spawn_stream().await?;
        let session = session.or_err(ErrorType::H2Error, "no stream on a new connection")?;
        let session = HttpSession::H2(session);
        self.keep(Kept { line: Line::Shared(connection), kind, made, used: made });
        Ok(Lease { session, is_reused: false, kind, made })
    }

    /// Takes a connection back whose request and response are complete.
    pub(super) fn give_back(&self, mut lease: Lease) {
        if let HttpSession::H2(session) = &lease.session {
            return self.touch(&session.conn);
        }
        if !self.would_keep(&mut lease.session) {
            return lease.end(false);
        }
        let Lease { session, kind, made, .. } = lease;
        // Where something has come behind the response, it closes as it goes.
        if let HttpSession::H1(session) = session
            && let Some(Some(mut stream)) = now(session.reuse())
            && is_silent(&mut stream)
        {
            self.keep(Kept { line: Line::Free(stream), kind, made, used: Instant::now() });
        }
    }

    /// Lets go of what is closed, has not been used for long, is old, or was made under another trust than this.
    pub(super) fn sweep(&self, trust: u64) {
        let now = Instant::now();
        let mut gone = Vec::new();
        let mut kept = self.kept();
        let mut index = 0;
        while let Some(one) = kept.get_mut(index) {
            if one.kind.trust == trust && self.is_good(one, now) {
                index += 1;
            } else {
                gone.push(kept.remove(index));
            }
        }
        drop(kept);
        // Connections close as they go, and nobody waits for the lock meanwhile.
        drop(gone);
    }

    /// One that is kept, and is good for another request.
    fn take(&self, kind: Kind) -> Option<Kept> {
        let now = Instant::now();
        let mut kept = self.kept();
        let mut index = kept.len();
        while index > 0 {
            index -= 1;
            let one = kept.get_mut(index)?;
            if one.kind != kind {
                continue;
            }
            if !self.is_good(one, now) {
                kept.remove(index);
                continue;
            }
            match &one.line {
                Line::Free(_) => return Some(kept.remove(index)),
                Line::Shared(connection) if connection.more_streams_allowed() => {
                    one.used = now;
                    let line = Line::Shared(connection.clone());
                    return Some(Kept { line, ..*one });
                }
                Line::Shared(_) => {}
            }
        }
        None
    }

    fn keep(&self, one: Kept) {
        if !self.terms.keeps || one.made.elapsed() >= self.terms.age {
            return;
        }
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            // The one that has been there for longest goes, if it carries nothing.
            let Some(index) = kept.iter().position(|one| !one.is_busy()) else { return };
            kept.remove(index);
        }
        kept.push(one);
    }

    fn touch(&self, connection: &ConnectionRef) {
        let mut kept = self.kept();
        let found = kept.iter_mut().find(|one| one.is_on(connection));
        if let Some(one) = found {
            one.used = Instant::now();
        }
    }

    fn forget(&self, connection: &ConnectionRef) {
        self.kept().retain(|one| !one.is_on(connection));
    }

    fn is_good(&self, one: &mut Kept, now: Instant) -> bool {
        let is_busy = one.is_busy();
        let is_open = match &mut one.line {
            Line::Free(stream) => is_silent(stream),
            Line::Shared(connection) => !connection.is_closed() && !connection.is_shutting_down(),
        };
        let since = |then: Instant| now.saturating_duration_since(then);
        is_open
            && since(one.made) < self.terms.age
            && (is_busy || since(one.used) < self.terms.idle)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether it carries requests now.
    fn is_busy(&self) -> bool {
        matches!(&self.line, Line::Shared(connection) if !connection.is_idle())
    }

    fn is_on(&self, other: &ConnectionRef) -> bool {
        matches!(&self.line, Line::Shared(connection) if connection.id() == other.id())
    }
}

/// Whether nothing was said on a connection on which nothing was asked, nor was it closed. It takes no system call.
fn is_silent(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    now(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut byte))).is_none()
}

/// What a step comes to at once; none if it would have to be waited for. What a task may do in one turn is not for this
/// to use up.
fn now<T>(step: impl Future<Output = T>) -> Option<T> {
    match pin!(unconstrained(step)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Begins HTTP/2 on a connection, and has a task carry it until it ends.
async fn begin_http_2(stream: Stream) -> Result<ConnectionRef, BError> {
    // Not that of the socket, which is another connection's as soon as this one is closed.
    static NEXT: AtomicI32 = AtomicI32::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let digest = Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    };
    let (requests, connection) = client::Builder::new()
        .enable_push(false)
        .initial_max_send_streams(STREAMS_MAX as usize)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(stream)
        .await
        .or_err(ErrorType::HandshakeError, "HTTP/2")?;
    let streams = connection.max_concurrent_send_streams().min(STREAMS_MAX as usize);
    let (closed, is_closed) = watch::channel(false);
    let no_ping = Arc::new(AtomicBool::new(false));
    tokio::spawn(drive_connection(connection, id, closed, None, Arc::clone(&no_ping)));
    Ok(ConnectionRef::new(requests, is_closed, no_ping, id, streams, digest))
}
