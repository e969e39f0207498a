//! A request's way, from its head to the record that it leaves: admission, the upstream, both bodies, the end.
//!
//! One task carries a request and its response, so that nothing is queued between the two sides: while one side is
//! slow the other is not read. Its deadlines stand around all of it, not beside each read.

use std::{
    error::Error,
    future::{pending, poll_fn, ready},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderValue, Request, StatusCode, Version, header};
use memchr::memmem;
use pingora::{
    BError, ErrorType,
    connectors::TransportConnector,
    http::RequestHeader,
    protocols::{
        Stream,
        http::{ServerSession, client::HttpSession},
    },
};
use tokio::{
    sync::watch,
    task::{JoinSet, consume_budget, yield_now},
    time::{sleep, sleep_until, timeout},
};

use crate::{
    access::{Decision, Reason, Trace},
    config::Settings,
    message::{RequestHead, TRACEPARENT, content_length, request_headers},
    metrics::ConnectionEnd,
    proxy::{
        admission::{Admission, Admitted},
        arrival::{Arrival, host},
        client::{CLOSING, Client, Closing, SENT_AHEAD_BYTES, close},
        client_stream::StreamControl,
        endpoint::Endpoint,
        faults::{self, Cause},
        flow::Flow,
        frames::{Observed, Wire},
        journey::Journey,
        origins::crossing,
        passage::Passage,
        pool::Pool,
        respond::Answer,
        shared::{Proxy, Shared},
        upstream::Upstream,
    },
};

/// Addresses of an upstream, and kept connections, that are tried for one request, at most.
const TRIES_MAX: usize = 8;
/// Pieces of both bodies that go by before the head of a response leaves, at most: as many as have come with it.
const PIECES_BEFORE_HEAD: usize = 4;
/// How much is read of a response that nobody wants, and for how long: an error is often in a packet behind its head.
const REST_BYTES: usize = 64 << 10;
const REST: Duration = Duration::from_millis(50);
/// Interim responses (1xx) that come before a response, at most.
const INTERIM_MAX: usize = 100;
/// How often it is asked whether an exchange, or what it waits for, has taken too long.
const TICK: Duration = Duration::from_millis(250);
/// What frames of a body may be short of 256 bytes each, together, as long as nobody has read them: as many as fit into a
/// window of 64 KiB at 16 bytes each.
const SMALL_FRAMES_BYTES: usize = 1 << 20;
/// What takes less than this has a timer of its own, so that it ends when it should: a TICK is a fortieth of it.
const TIMER_BELOW: Duration = Duration::from_secs(10);
/// Bytes that a head of HTTP/2 may have beyond `limits.head_bytes`, and be answered with the reason.
const HEAD_BYTES_OVER: usize = 64 << 10;

/// The requests of all connections.
pub(super) struct Exchange {
    proxy: Proxy,
    transport: TransportConnector,
}

/// What ends an exchange before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client has gone: there is nobody to tell.
    Gone,
    /// The client is told why, if its response has not begun.
    For(Reason),
    /// So it is, for the upstream's connection has failed. `unheard` says that it may have been closed before the
    /// request came to it.
    Upstream { cause: Cause, unheard: bool },
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self::For(reason)
    }
}

impl From<Cause> for End {
    fn from(cause: Cause) -> Self {
        Self::Upstream { cause, unheard: false }
    }
}

impl End {
    #[expect(clippy::needless_pass_by_value, reason = "it is what becomes of an error")]
    fn by_client(error: BError) -> Self {
        faults::of_client(&error).map_or(Self::Gone, Self::For)
    }

    fn by_upstream(error: BError) -> Self {
        let mut error = error.into_up();
        error.retry.decide_reuse(true);
        let cause = Cause::of(&error);
        // Another connection would not speak another version.
        Self::Upstream { cause, unheard: error.retry() && cause != Cause::Version }
    }

    /// The same where the upstream has begun to answer: it has heard the request.
    fn heard(self) -> Self {
        match self {
            Self::Upstream { cause, .. } => Self::Upstream { cause, unheard: false },
            Self::Gone | Self::For(_) => self,
        }
    }

    /// Has the log say why an upstream failed, if one did.
    fn tell(self, upstream: &Upstream, endpoint: Endpoint) {
        if let Self::Upstream { cause, .. } = self {
            upstream.failed(endpoint, cause);
        }
    }

    fn is_slow_upstream(self) -> bool {
        matches!(self, Self::Upstream { cause: Cause::TimedOut, .. })
    }

    fn reason(self) -> Option<Reason> {
        match self {
            Self::Gone => None,
            Self::For(reason) => Some(reason),
            Self::Upstream { cause, .. } => Some(cause.reason()),
        }
    }
}

/// How far the body of a request has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// More of it is to come.
    Open,
    /// The upstream has all of it.
    Whole,
    /// The upstream does not take the rest.
    Broken,
}

/// The body of a request on its way to the upstream.
struct Upload<'e> {
    sending: Sending,
    /// Bytes that have come.
    bytes: u64,
    /// Bytes that may.
    bytes_max: u64,
    /// Whether all of it has come: the deadline asks.
    has_ended: &'e AtomicBool,
}

impl Upload<'_> {
    /// Sends a piece on, and the end of the body behind the last. An upstream that takes no more of it may have
    /// answered already: that is still read.
    async fn send(
        &mut self,
        piece: Option<Bytes>,
        client: &mut Client,
        upstream: &mut HttpSession,
    ) -> Result<(), End> {
        // Trailers may be behind the last piece of HTTP/2: they stay here.
        let ends = piece.is_none() || client.is_body_done();
        let piece = piece.unwrap_or_default();
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > self.bytes_max {
            return Err(Reason::RequestBodyTooLarge.into());
        }
        if ends {
            self.has_ended.store(true, Ordering::Relaxed);
        }
        if self.sending == Sending::Broken {
            return Ok(());
        }
        // An empty piece would be written as the end of the body, and its end as that of another.
        let mut written = Ok(());
        if !piece.is_empty() {
            written = upstream.write_request_body(piece, false).await;
        }
        if ends && written.is_ok() {
            written = upstream.finish_request_body().await;
        }
        self.sending = match written {
            Ok(()) if ends => Sending::Whole,
            Ok(()) => Sending::Open,
            Err(_gone) => Sending::Broken,
        };
        Ok(())
    }

    /// Whether something of it is still to be read.
    fn is_open(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed)
    }
}

// ---- A connection ----

impl Exchange {
    pub(super) fn new(proxy: Proxy, transport: TransportConnector) -> Self {
        Self { proxy, transport }
    }

    /// Carries the requests of a connection of HTTP/1.1, one after the other, until it ends, or the process does
    /// and it waits for a request.
    pub(super) async fn http_1(
        &self,
        stream: Stream,
        over: &watch::Receiver<Closing>,
    ) -> ConnectionEnd {
        let patience = self.proxy.shared.settings.timeouts.client;
        let idle = self.idle();
        let mut told = over.clone();
        let mut next = Some(stream);
        let mut is_kept = false;
        while let Some(stream) = next.take() {
            let since = Instant::now();
            let mut session = Box::new(ServerSession::new_http1(stream));
            session.set_keepalive(Some(idle.as_secs()));
            let control = StreamControl::of(&session);
            let is_unused = async {
                let _gone = told.wait_for(|over| *over == Closing::ShuttingDown).await.map(drop);
                if control.has_begun() {
                    pending::<()>().await;
                }
            };
            let read = tokio::select! {
                biased;
                read = session.read_request() => read,
                // A client that has just connected gets an answer.
                () = is_unused, if is_kept => return ConnectionEnd::Shutdown,
            };
            // Pingora does not say why there is none.
            let unread =
                if control.is_silent() { ConnectionEnd::Silent } else { ConnectionEnd::Client };
            match read {
                Ok(true) => {}
                Ok(false) if is_kept && since.elapsed() >= idle => return ConnectionEnd::Idle,
                Ok(false) => return unread,
                Err(error) => {
                    let has_begun = control.has_begun();
                    self.refuse(session, &error).await;
                    return if has_begun { ConnectionEnd::Request } else { unread };
                }
            }
            is_kept = true;
            self.set_timeouts(&mut session);
            to_origin_form(session.req_header_mut());
            let mut client = Client::Http1 { session, patience, over: over.clone() };
            let is_complete = self.carry(&mut client, &control).await;
            next = client.end(is_complete).await;
        }
        over.borrow().end().unwrap_or(ConnectionEnd::Request)
    }

    /// Carries the requests of a connection of HTTP/2, each in a task of its own, until it ends.
    pub(super) async fn http_2(
        self: &Arc<Self>,
        stream: Stream,
        over: &watch::Receiver<Closing>,
    ) -> ConnectionEnd {
        let Settings { limits, timeouts, .. } = &self.proxy.shared.settings;
        let mut options = h2::server::Builder::new();
        options.max_concurrent_streams(limits.streams);
        // What is longer than `limits.head_bytes` is answered here, and what is longer than this by the library.
        let head_bytes = limits.head_bytes.saturating_add(HEAD_BYTES_OVER);
        options.max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
        options.max_send_buffer_size(SENT_AHEAD_BYTES);
        // How often streams may be reset is said by their frames, for a second and not for the life of a connection.
        options.max_local_error_reset_streams(None);
        options.max_pending_accept_reset_streams(
            usize::try_from(limits.streams).unwrap_or(usize::MAX),
        );
        options.data_frame_budget(SMALL_FRAMES_BYTES);
        let metrics = Arc::clone(&self.proxy.shared.observers.metrics);
        let wire = Arc::default();
        let observed = Observed::new(stream, Arc::clone(&wire), Arc::clone(&metrics));
        let begun = timeout(timeouts.client, options.handshake(observed)).await;
        let Ok(Ok(mut connection)) = begun else { return ConnectionEnd::Handshake };
        let mut told = over.clone();
        let mut told =
            pin!(async move { told.wait_for(|over| *over > Closing::No).await.map(drop) });
        // Once it is told to go: why, and until when its client may take to hear it.
        let mut leaving: Option<(ConnectionEnd, Instant)> = None;
        let mut requests = JoinSet::new();
        let end = loop {
            let is_over = leaving.is_some();
            let (end, until) = leaving.unwrap_or_else(|| (ConnectionEnd::Client, Instant::now()));
            let why = tokio::select! {
                biased;
                _ = &mut told, if !is_over => {
                    over.borrow().end().unwrap_or(ConnectionEnd::Internal)
                }
                accepted = connection.accept() => match accepted {
                    Some(Ok((_, mut respond))) if is_over && Instant::now() >= until => {
                        // It has never said that it has heard, and goes on.
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                        continue;
                    }
                    Some(Ok((request, respond))) => {
                        requests.spawn(self.stream(request, respond, &wire));
                        continue;
                    }
                    Some(Err(error)) if error.is_library() => {
                        let is_calmed = error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
                        break if is_calmed {
                            ConnectionEnd::Flood
                        } else {
                            ConnectionEnd::Protocol
                        };
                    }
                    Some(Err(_)) | None => break end,
                },
                () = wire.flooded() => {
                    connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                    let said = async { while let Some(Ok(_)) = connection.accept().await {} };
                    if timeout(CLOSING, said).await.is_err() {
                        // It does not read, either.
                    }
                    break ConnectionEnd::Flood;
                }
                Some(_ended) = requests.join_next() => continue,
                () = sleep(timeouts.idle), if requests.is_empty() && !is_over => {
                    ConnectionEnd::Idle
                }
                () = sleep_until(until.into()), if requests.is_empty() && is_over => break end,
            };
            // Told first, a client knows which of its requests were taken (RFC 9113, section 6.8).
            connection.graceful_shutdown();
            leaving = Some((why, Instant::now() + timeouts.client));
        };
        // They hear from their streams that the connection is gone, and write their records.
        requests.detach_all();
        end
    }

    /// Carries a request of HTTP/2. In a box, for it is large, and a task would copy it as it ends.
    fn stream(
        self: &Arc<Self>,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        wire: &Arc<Wire>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Shared { settings, observers, .. } = &*self.proxy.shared;
        let open = observers.metrics.stream();
        let mut client = Client::http_2(request, respond, wire, settings.timeouts.client);
        let exchange = Arc::clone(self);
        Box::pin(async move {
            let is_complete = exchange.carry(&mut client, &StreamControl::default()).await;
            client.end(is_complete).await;
            drop(open);
        })
    }

    /// Nothing of this has a limit by default.
    fn set_timeouts(&self, downstream: &mut ServerSession) {
        let is_over = self.proxy.shared.draining.load(Ordering::Acquire);
        let timeouts = &self.proxy.shared.settings.timeouts;
        downstream.set_read_timeout(Some(timeouts.client));
        downstream.set_write_timeout(Some(timeouts.client));
        downstream.set_total_drain_timeout(Some(timeouts.client));
        downstream.set_ignore_info_resp(true);
        // Pingora has its reasons to end a connection, such as a length beside chunks.
        let stays = !is_over
            && downstream.get_keepalive().is_some()
            && downstream.req_header().version != Version::HTTP_10;
        downstream.set_keepalive(Some(self.idle().as_secs()).filter(|_| stays));
    }

    /// How long a connection of HTTP/1.1 may wait for a request: whole seconds, as Pingora counts them.
    fn idle(&self) -> Duration {
        Duration::from_secs(self.proxy.shared.settings.timeouts.idle.as_secs().max(1))
    }

    /// Answers what Pingora cannot read.
    async fn refuse(&self, mut session: Box<ServerSession>, error: &pingora::Error) {
        if *error.etype() == ErrorType::InvalidHTTPHeader {
            let mut journey = Journey::new(&self.proxy.shared, None);
            let reason = Reason::RequestUnreadable;
            journey.decided(Decision::Denied, Some(reason));
            session.set_keepalive(None);
            if let Ok(answer) = Answer::problem(reason, &journey) {
                let written = answer.write_unread(&mut session).await;
                journey.sent(written.is_ok().then_some(reason.status()));
            }
        }
        close(session).await;
    }

    // ---- A request ----

    /// Answers one request. Whether all of the response has left, and the connection may take another request.
    async fn carry(&self, client: &mut Client, control: &StreamControl) -> bool {
        let proxy = &self.proxy;
        let trace = Trace::from_header(client.header(&TRACEPARENT));
        let mut journey = Journey::new(&proxy.shared, trace);
        let set = proxy.shared.policies.current();
        if let Some(set) = &set {
            journey.under(set.digest());
        }
        let has_body = !client.is_body_empty();
        if client.is_gone() {
            journey.decided(Decision::Aborted, None);
            return false;
        }
        let request = client.request();
        let arrival =
            Arrival { request, host: host(request), has_body, unreadable: control.refused() };
        if let Some(crossing) = set.as_ref().and_then(|set| crossing(&arrival, set)) {
            journey.crosses(crossing);
        }
        let answer = match journey.working(|| proxy.admit(&arrival, set.as_ref())) {
            Ok(Admission::Permitted(admitted)) => {
                // In a box, for it is large, and what is denied should not have room for it.
                let ended = Box::pin(self.pass(client, has_body, journey, admitted, control)).await;
                control.answered();
                return ended;
            }
            Ok(Admission::Preflight(preflight)) => {
                journey.labelled(preflight.labels.clone());
                journey.decided(Decision::Allowed, None);
                Answer::preflight(&preflight, &journey)
            }
            Err(denial) => {
                journey.labelled(denial.labels);
                journey.decided(Decision::Denied, Some(denial.reason));
                Answer::problem(denial.reason, &journey)
            }
        };
        let is_written = match answer {
            Ok(answer) => answer.write(client).await.is_ok(),
            Err(_unbuilt) => false,
        };
        journey.sent(client.status());
        drop(journey);
        control.answered();
        is_written
    }

    /// Passes a permitted request on, and its response back. Whether all of it has left.
    async fn pass(
        &self,
        client: &mut Client,
        has_body: bool,
        journey: Journey,
        admitted: Admitted,
        control: &StreamControl,
    ) -> bool {
        let (upstream, mut passage) = self.proxy.passage(client.request(), journey, admitted);
        let has_ended = AtomicBool::new(!has_body);
        let began = passage.journey.began();
        let (set, gate) = (Arc::clone(&passage.set), Arc::clone(&passage.gate));
        let whole_by = began + self.proxy.shared.settings.timeouts.request_body;
        let is_cut = &self.proxy.shared.cut;
        let mut tick = pin!(sleep(TICK));
        let overdue = poll_fn(|cx| {
            loop {
                if *is_cut.borrow() {
                    return Poll::Ready(Reason::ShuttingDown);
                }
                let is_due = tick.as_mut().poll(cx).is_ready();
                // Each time that the task has something to do, the clock would cost more than it is worth.
                if is_due || set.replaced().is_some() {
                    let now = Instant::now();
                    let is_late = now > whole_by && !has_ended.load(Ordering::Relaxed);
                    let late = is_late.then_some(Reason::RequestTimeout);
                    if let Some(reason) = late.or_else(|| gate.overdue(&set, began, now)) {
                        return Poll::Ready(reason);
                    }
                }
                if !is_due {
                    return Poll::Pending;
                }
                tick.set(sleep(TICK));
            }
        });
        control.hold();
        let ended = tokio::select! {
            biased;
            reason = overdue => Err(End::For(reason)),
            ended = self.exchange(client, &upstream, &mut passage, &has_ended, control) => ended,
        };
        control.release();
        // Cut in the middle of its head, a response has begun, too.
        let status = client.status().or(passage.journey.status());
        let reason = ended.err().and_then(|end| end.reason().or_else(|| control.refused()));
        let decision = match reason {
            _ if ended.is_ok() => Decision::Allowed,
            _ if status.is_some() => Decision::Aborted,
            Some(
                Reason::RequestUnreadable | Reason::RequestTimeout | Reason::RequestBodyTooLarge,
            ) => Decision::Denied,
            Some(_) => Decision::Refused,
            // Nothing had left, and nobody is there to be refused.
            None => Decision::Aborted,
        };
        passage.journey.decided(decision, reason);
        if let (Some(reason), None) = (reason, status) {
            client.ends_connection();
            if let Ok(answer) = Answer::problem(reason, &passage.journey)
                && answer.write(client).await.is_err()
            {
                // The client has gone: there is nobody to tell, and the record says the rest.
            }
        }
        passage.journey.sent(client.status().or(status));
        ended.is_ok()
    }

    /// Asks the upstream, at the next of its addresses if it cannot be reached, and again if a kept connection turns
    /// out to be closed.
    async fn exchange(
        &self,
        client: &mut Client,
        upstream: &Upstream,
        passage: &mut Passage,
        has_ended: &AtomicBool,
        control: &StreamControl,
    ) -> Result<(), End> {
        if client.header(&header::EXPECT).eq_ignore_ascii_case(b"100-continue") {
            // The upstream is not asked for it, so that it cannot promise what tamis denies.
            client.invite().await.map_err(End::by_client)?;
        }
        let is_repeatable =
            client.request().method.is_idempotent() && has_ended.load(Ordering::Relaxed);
        let turn = upstream.turn();
        let (mut tries, mut unreachable) = (0, 0);
        loop {
            tries += 1;
            let (endpoint, peer) = upstream.peer(turn.wrapping_add(unreachable)).await?;
            let connected = tokio::select! {
                biased;
                connected = upstream.pool().connect(&self.transport, endpoint, &peer) => connected,
                gone = client.gone() => return Err(End::by_client(gone)),
            };
            let mut lease = match connected {
                Ok(lease) => lease,
                Err(error) => {
                    let ended = End::by_upstream(error);
                    ended.tell(upstream, endpoint);
                    unreachable += 1;
                    if unreachable < upstream.addresses() && tries < TRIES_MAX {
                        continue;
                    }
                    return Err(ended);
                }
            };
            let is_http_2 = matches!(lease.session, HttpSession::H2(_));
            let request = request(client.request(), upstream, endpoint, passage, is_http_2)?;
            let pool = upstream.pool();
            let mut relay = self.relay(client, &mut lease.session, pool, has_ended);
            let ended = relay.run(request, passage, control).await;
            match ended {
                Ok(Sending::Whole) => {
                    pool.give_back(lease);
                    return Ok(());
                }
                // It has said all that it had to say, and may still wait for the rest.
                Ok(Sending::Open | Sending::Broken) => {
                    lease.end(false);
                    return Ok(());
                }
                // What was sent may have been carried out all the same: only what may be carried out twice is asked
                // again.
                Err(End::Upstream { unheard: true, .. })
                    if lease.is_reused
                        && is_repeatable
                        && passage.journey.status().is_none()
                        && tries < TRIES_MAX => {}
                Err(ended) => {
                    ended.tell(upstream, endpoint);
                    lease.end(ended.is_slow_upstream());
                    return Err(ended);
                }
            }
        }
    }

    fn relay<'e>(
        &self,
        client: &'e mut Client,
        upstream: &'e mut HttpSession,
        pool: &'e Pool,
        has_ended: &'e AtomicBool,
    ) -> Relay<'e> {
        let settings = &self.proxy.shared.settings;
        let patience = settings.timeouts.upstream;
        upstream.set_write_timeout(Some(patience));
        let upload = Upload {
            // Nothing of it is read before.
            sending: if has_ended.load(Ordering::Relaxed) { Sending::Whole } else { Sending::Open },
            bytes: 0,
            bytes_max: settings.limits.request_body_bytes,
            has_ended,
        };
        Relay { client, upstream, upload, patience, pool }
    }
}

/// Leaves of a target in absolute form what its server is asked with (RFC 9112, section 3.2.1). The host in it is that of
/// `Host`, or the request would not have come so far.
fn to_origin_form(request: &mut RequestHeader) {
    let raw = request.raw_path();
    if raw.starts_with(b"/") {
        return;
    }
    let Some(scheme) = memmem::find(raw, b"://") else { return };
    let rest = raw.get(scheme + 3..).unwrap_or_default();
    let path = match rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'\\')) {
        None => b"/".to_vec(),
        Some(at) if rest.get(at) == Some(&b'/') => rest.get(at..).unwrap_or_default().to_vec(),
        Some(at) if rest.get(at) == Some(&b'?') => {
            [b"/", rest.get(at..).unwrap_or_default()].concat()
        }
        // It is denied as it is.
        Some(_) => return,
    };
    if request.set_raw_path(&path).is_err() {
        // So it is denied, too.
    }
}

/// The request that the upstream is asked with.
fn request(
    client: &RequestHeader,
    upstream: &Upstream,
    endpoint: Endpoint,
    passage: &Passage,
    is_http_2: bool,
) -> Result<Box<RequestHeader>, End> {
    let api = passage.api().ok_or(Reason::Internal)?;
    let Passage { context, conditions, .. } = passage;
    let written = || {
        let host = match upstream.host(endpoint, !api.hosts.is_empty()) {
            Some(host) => HeaderValue::from_str(host)?,
            // That of HTTP/2 stands in the target (RFC 9113, section 8.3.1).
            None => match (client.uri.authority(), client.headers.get(header::HOST)) {
                (Some(authority), _) => HeaderValue::from_str(authority.as_str())?,
                (None, host) => host.ok_or("no host")?.clone(),
            },
        };
        let (plan, passes) = (&context.plan, context.passes);
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = client.method.clone();
        parts.uri = client.uri.clone();
        let head = RequestHead { method: &client.method, headers: &client.headers };
        parts.headers = request_headers(head, api, plan, passes, host, conditions);
        let mut request = RequestHeader::from(parts);
        // What is no URI to the letter goes on to the letter.
        if request.raw_path() != client.raw_path() {
            request.set_raw_path(client.raw_path())?;
        }
        upstream.addressed(&mut request, is_http_2)?;
        Ok(request)
    };
    written().map(Box::new).map_err(|_error: Box<dyn Error>| Reason::Internal.into())
}

// ---- Both bodies ----

/// A request and its response between a client and an upstream, whichever side is ready.
///
/// While a piece is written nothing is read, in either direction. Whenever nothing is ready the client's connection is
/// read from: so it is heard going, and what is collected for it is written.
struct Relay<'e> {
    client: &'e mut Client,
    upstream: &'e mut HttpSession,
    upload: Upload<'e>,
    /// How long the upstream may take for what it has to do next.
    patience: Duration,
    /// Where its connection goes.
    pool: &'e Pool,
}

impl Relay<'_> {
    /// Carries all of both. How far the request's body has come when the whole response has left.
    async fn run(
        &mut self,
        request: Box<RequestHeader>,
        passage: &mut Passage,
        control: &StreamControl,
    ) -> Result<Sending, End> {
        self.ask(request).await?;
        self.head().await?;
        self.catch_up().await?;
        let ended = has_ended_with(self.upstream, false);
        let mut is_done = matches!(ended, Ok(true));
        let head = self.upstream.response_header().ok_or(Reason::Internal)?;
        let (mut flow, head) = Flow::open(passage, head, is_done)?;
        if !flow.is_settled() {
            // How a body ends matters where something of it leaves.
            ended?;
        }
        // What came together with the head is decided before the head leaves: it may be a reason to say no.
        let mut pieces = Vec::new();
        if is_done {
            pieces.push(flow.step(Bytes::new(), true)?);
        }
        while !is_done && !flow.is_settled() && pieces.len() < PIECES_BEFORE_HEAD {
            let piece = tokio::select! {
                biased;
                piece = self.upstream.read_response_body() => piece,
                () = ready(()) => break,
            };
            let piece = piece.map_err(|error| End::by_upstream(error).heard())?;
            is_done = has_ended_with(self.upstream, piece.is_none())?;
            pieces.push(flow.step(piece.unwrap_or_default(), is_done)?);
        }
        flow.leaves(head.status);
        self.client.write_head(Box::new(head)).await.map_err(End::by_client)?;
        for piece in pieces {
            self.client.write(piece).await.map_err(End::by_client)?;
        }
        flow.written(self.client.sent_ahead());
        while !is_done && !flow.is_settled() {
            let piece = self.next().await?;
            is_done = has_ended_with(self.upstream, piece.is_none())?;
            self.write(&mut flow, piece.unwrap_or_default(), is_done).await?;
            if flow.yields() {
                yield_now().await;
            }
        }
        if !is_done {
            // The rest of it is of no interest.
            self.write(&mut flow, Bytes::new(), true).await?;
        }
        control.release();
        self.client.finish().await.map_err(End::by_client)?;
        let is_asked = self.upload.sending == Sending::Whole;
        if !(is_done || is_asked && self.is_rest_worth_it() && self.read_rest().await) {
            self.upload.sending = Sending::Broken;
        }
        Ok(self.upload.sending)
    }

    /// Whether to read the rest of a response that nobody wants: it is not known to be long, and the connection is kept
    /// for it.
    fn is_rest_worth_it(&mut self) -> bool {
        let head = self.upstream.response_header();
        let length = head.and_then(|head| content_length(&head.headers));
        length.is_none_or(|length| length <= REST_BYTES as u64)
            && self.pool.would_keep(self.upstream)
    }

    /// Reads what is left of a response that nobody wants, so that the connection can be used again. Whether that was
    /// little, and came soon.
    async fn read_rest(&mut self) -> bool {
        let mut left = REST_BYTES;
        let rest = async {
            loop {
                let Ok(piece) = self.upstream.read_response_body().await else { return false };
                left = left.saturating_sub(piece.as_ref().map_or(0, Bytes::len));
                match has_ended_with(self.upstream, piece.is_none()) {
                    Ok(true) => return true,
                    Ok(false) if left > 0 => {}
                    Ok(false) | Err(_) => return false,
                }
            }
        };
        timeout(REST, rest).await.unwrap_or(false)
    }

    /// Sends the head of the request.
    async fn ask(&mut self, mut request: Box<RequestHeader>) -> Result<(), End> {
        let has_body = self.upload.sending == Sending::Open;
        let asked = match &mut *self.upstream {
            HttpSession::H2(stream) => {
                // Told of the end later, the upstream would take the request for one with a body.
                stream.write_request_header(request, !has_body)
            }
            HttpSession::H1(_) | HttpSession::Custom(()) => {
                let mut framed = Ok(());
                if has_body && !request.headers.contains_key(header::CONTENT_LENGTH) {
                    framed = request.insert_header(header::TRANSFER_ENCODING, "chunked");
                }
                match framed {
                    Ok(()) => self.upstream.write_request_header(request).await,
                    Err(error) => Err(error),
                }
            }
        };
        asked.map_err(End::by_upstream)
    }

    /// Reads the head of the response, while the body of the request goes on: all of it, whatever interim responses come
    /// before, within the time that the upstream has.
    async fn head(&mut self) -> Result<(), End> {
        let Self { client, upstream, upload, patience, .. } = self;
        let mut interim = 0;
        let mut late = Instant::now() + *patience;
        // Pingora would give each byte as long.
        upstream.set_read_timeout(None);
        loop {
            // Where both sides always have something, the deadlines are still asked.
            consume_budget().await;
            tokio::select! {
                biased;
                read = upstream.read_response_header() => {
                    read.map_err(End::by_upstream)?;
                    let head = upstream.response_header().ok_or(Reason::Internal)?;
                    // Behind it there would be no HTTP any more.
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        return Err(Reason::ProtocolSwitch.into());
                    }
                    // An interim response says nothing that the client has to hear.
                    if !head.status.is_informational() {
                        return Ok(());
                    }
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(End::from(Cause::NotHttp));
                    }
                }
                piece = client.read(!upload.is_open()) => {
                    upload.send(piece.map_err(End::by_client)?, client, upstream).await?;
                    // Of one that has not taken this in time, nothing but what is there already is of interest.
                    if upload.sending != Sending::Broken {
                        late = Instant::now() + *patience;
                    }
                }
                // As long as more of the request is to come, it is the client that is waited for.
                () = past(late, *patience), if upload.sending != Sending::Open => {
                    return Err(Cause::TimedOut.into());
                }
            }
        }
    }

    /// Sends on what has come of the request meanwhile: a client that has sent all of it may keep its connection.
    async fn catch_up(&mut self) -> Result<(), End> {
        let Self { client, upstream, upload, .. } = self;
        for _ in 0..PIECES_BEFORE_HEAD {
            if !upload.is_open() {
                break;
            }
            let piece = tokio::select! {
                biased;
                piece = client.read(false) => piece,
                () = ready(()) => break,
            };
            upload.send(piece.map_err(End::by_client)?, client, upstream).await?;
        }
        Ok(())
    }

    /// The next piece of the response, while the body of the request goes on; none at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, End> {
        let Self { client, upstream, upload, patience, .. } = self;
        loop {
            consume_budget().await;
            // An upstream that waits for the rest of the request is not slow: then it is the client that is waited for.
            let waits = upload.sending == Sending::Open;
            upstream.set_read_timeout((!waits).then_some(*patience));
            tokio::select! {
                biased;
                piece = upstream.read_response_body() => {
                    return piece.map_err(|error| End::by_upstream(error).heard());
                }
                piece = client.read(!upload.is_open()) => {
                    upload.send(piece.map_err(End::by_client)?, client, upstream).await?;
                }
            }
        }
    }

    /// Writes what leaves in the place of the next bytes; `ends` says that these are the last.
    async fn write(&mut self, flow: &mut Flow<'_>, bytes: Bytes, ends: bool) -> Result<(), End> {
        self.client.write(flow.step(bytes, ends)?).await.map_err(End::by_client)?;
        flow.written(self.client.sent_ahead());
        Ok(())
    }
}

/// Returns once this time is over, which was so long. A timer of its own is for a short one only: for the others it does
/// that the task wakes up once in a [`TICK`].
async fn past(time: Instant, of: Duration) {
    if of < TIMER_BELOW {
        return sleep_until(time.into()).await;
    }
    poll_fn(|_| if Instant::now() < time { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Whether the body of a response has ended. A stream of HTTP/2 that was reset looks ended, too. Trailers are data that
/// nobody decided about: they stay here.
fn has_ended_with(upstream: &mut HttpSession, is_last: bool) -> Result<bool, End> {
    let is_done = is_last || upstream.response_done();
    if is_done && let HttpSession::H2(stream) = upstream {
        stream.check_response_end_or_error().map_err(|error| End::by_upstream(error).heard())?;
    }
    Ok(is_done)
}
