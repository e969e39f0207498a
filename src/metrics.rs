//! Turns access records into time series, and shows them in Prometheus's text format.
//!
//! It must never know a request: the values of its labels are names of the policies and words of the
//! code. So that no number of policies can make it grow without end, there is a most to the number of
//! series: what would be a new one beyond it is counted in the family's series whose labels all say
//! `overflow`, and totals stay right.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use tamis::{access::{AccessRecord, Decision, Labels, Reason}, metrics::Metrics};
//!
//! let metrics = Metrics::new(1000);
//! metrics.record(&AccessRecord {
//!     time: UNIX_EPOCH,
//!     trace: None,
//!     labels: Labels { caller: "dunning".into(), ..Labels::unknown() },
//!     decision: Decision::Denied,
//!     reason: Some(Reason::PurposeMissing),
//!     status: Some(403),
//!     policy: None,
//!     counts: Vec::new(),
//!     unclassified: false,
//!     duration: Duration::from_micros(40),
//!     overhead: Duration::from_micros(40),
//! });
//! let series = r#"tamis_refusals_total{api="unknown",reason="purpose-missing",route="unknown"} 1"#;
//! assert!(metrics.render().contains(series));
//! ```

use std::{
    fmt,
    hash::Hash,
    iter,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry, TextEncoder,
    core::{Atomic, Collector, Desc, GenericGauge, Metric},
    process_collector::ProcessCollector,
    proto::{MetricFamily, MetricType},
};

use crate::access::{AccessRecord, Action, Count, Decision, Labels, StatusClass};

/// What all labels say of the series that takes what is too much.
const OVERFLOW: &str = "overflow";

const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

/// Upper bounds in seconds: from what a small document takes to what nobody should wait for.
const OVERHEAD_BUCKETS: [f64; 12] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
];

/// Upper bounds in seconds: an upstream that answers at once, to one that streams for a minute.
const DURATION_BUCKETS: [f64; 15] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const REQUESTS: Kind<IntCounter, 5> = counter(
    "tamis_requests_total",
    "Requests, by what was decided.",
    ["api", "route", "caller", "purpose", "decision"],
);

const ACCESSES: Kind<IntCounter, 6> = counter(
    "tamis_field_accesses_total",
    "Values that left, by category and action; what is withheld counts once a response.",
    ["api", "route", "caller", "purpose", "category", "action"],
);

const UNCLASSIFIED: Kind<IntCounter, 2> = counter(
    "tamis_unclassified_total",
    "Responses of which data was withheld because no policy classifies it.",
    ["api", "route"],
);

const REFUSALS: Kind<IntCounter, 3> = counter(
    "tamis_refusals_total",
    "Requests denied and responses refused or cut, by reason.",
    ["api", "route", "reason"],
);

const RESPONSES: Kind<IntCounter, 3> = counter(
    "tamis_responses_total",
    "Requests, by the class of the status that the client was given; none if it went away before.",
    ["api", "route", "class"],
);

const DURATION: Kind<Histogram, 2> = Kind {
    name: "tamis_request_duration_seconds",
    help: "From the request to the end of the response, upstream and client included.",
    labels: ["api", "route"],
    form: MetricType::HISTOGRAM,
    lines: DURATION_BUCKETS.len() + 3,
    make: |opts| Histogram::with_opts(HistogramOpts::from(opts).buckets(DURATION_BUCKETS.into())),
};

const OVERHEAD: Kind<Histogram, 1> = Kind {
    name: "tamis_overhead_seconds",
    help: "The part of a request's duration that tamis itself worked.",
    labels: ["api"],
    form: MetricType::HISTOGRAM,
    lines: OVERHEAD_BUCKETS.len() + 3,
    make: |opts| Histogram::with_opts(HistogramOpts::from(opts).buckets(OVERHEAD_BUCKETS.into())),
};

const RELOADS: Kind<IntCounter, 1> = counter(
    "tamis_policy_reloads_total",
    "Attempts to load the policies, by result; to find no change is none.",
    ["result"],
);

const CERTIFICATE_RELOADS: Kind<IntCounter, 1> = counter(
    "tamis_certificate_reloads_total",
    "Attempts to use new files of certificates and keys, by result.",
    ["result"],
);

const CERTIFICATE_EXPIRY: Kind<IntGauge, 1> = Kind {
    name: "tamis_certificate_expiry_timestamp_seconds",
    help: "When the certificates in use of a setting expire: the first of a chain, the last of authorities.",
    labels: ["setting"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const CERTIFICATE_FILES_IN_USE: Kind<IntGauge, 1> = Kind {
    name: "tamis_certificate_files_in_use",
    help: "Whether the files of a setting, as they are now, are in use; 0 if they cannot be used.",
    labels: ["setting"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const HANDSHAKE_FAILURES: Kind<IntCounter, 1> = counter(
    "tamis_tls_handshake_failures_total",
    "Connections of callers that did not get through the TLS handshake, by reason.",
    ["reason"],
);

const CONNECTIONS: Kind<IntGauge, 1> = Kind {
    name: "tamis_connections",
    help: "Connections that are open, by the address that they came to; `admin` is that of metrics and probes.",
    labels: ["listener"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const CONNECTION_ENDS: Kind<IntCounter, 2> = counter(
    "tamis_connections_ended_total",
    "Connections that have ended, by the address that they came to and by what has ended them.",
    ["listener", "cause"],
);

const HTTP_2_ERRORS: Kind<IntCounter, 2> = counter(
    "tamis_http2_errors_total",
    "Streams and connections of clients that tamis ended by an error of HTTP/2, by its code.",
    ["scope", "code"],
);

const POLICY: Kind<IntGauge, 1> = Kind {
    name: "tamis_policy_info",
    help: "1 for the digest of the policies that are in force.",
    labels: ["digest"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const UPSTREAM_HEALTHY: Kind<IntGauge, 2> = Kind {
    name: "tamis_upstream_healthy",
    help: "Whether an upstream answered at an address of the settings when it was last asked.",
    labels: ["api", "address"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const WATCHER_LOOKED: Kind<Gauge, 1> = Kind {
    name: "tamis_watcher_last_look_timestamp_seconds",
    help: "When a watcher of files last came to the end of a look, by what it watches.",
    labels: ["watcher"],
    form: MetricType::GAUGE,
    lines: 1,
    make: Gauge::with_opts,
};

const WATCHER_STALLED: Kind<IntGauge, 1> = Kind {
    name: "tamis_watcher_stalled",
    help: "Whether a watcher of files hangs or has ended, so that nothing new comes into force.",
    labels: ["watcher"],
    form: MetricType::GAUGE,
    lines: 1,
    make: IntGauge::with_opts,
};

const ACCESS_LOG_EVENTS: Kind<IntCounter, 1> = counter(
    "tamis_access_log_events_total",
    "What happened to the file of the access log.",
    ["event"],
);

/// How many series a route has in the families that count by api and route, but for refusals.
pub const SERIES_OF_ROUTE: usize = UNCLASSIFIED.lines + DURATION.lines;

/// How many series an api has in the families that count by api.
pub const SERIES_OF_API: usize = OVERHEAD.lines;

/// The numbers of one process. They have a registry of their own, so that no library can add to them.
pub struct Metrics {
    registry: Registry,
    /// Series that every record counts in, so that they need not be found for each.
    by_labels: RwLock<HashMap<Labels, Arc<OfLabels>, RandomState>>,
    series_max: usize,
    requests: Family<IntCounter, 5>,
    accesses: Family<IntCounter, 6>,
    unclassified: Family<IntCounter, 2>,
    refusals: Family<IntCounter, 3>,
    responses: Family<IntCounter, 3>,
    duration: Family<Histogram, 2>,
    overhead: Family<Histogram, 1>,
    reloads: Family<IntCounter, 1>,
    certificate_reloads: Family<IntCounter, 1>,
    certificate_expiry: Family<IntGauge, 1>,
    certificate_files_in_use: Family<IntGauge, 1>,
    handshake_failures: Family<IntCounter, 1>,
    connections: Family<IntGauge, 1>,
    connection_ends: Family<IntCounter, 2>,
    streams: IntGauge,
    http_2_errors: Family<IntCounter, 2>,
    policy: Family<IntGauge, 1>,
    upstream_healthy: Family<IntGauge, 2>,
    reloaded: IntGauge,
    reloaded_at: Gauge,
    in_flight: IntGauge,
    held_bytes: IntGauge,
    access_log_lost: IntCounter,
    access_log_events: Family<IntCounter, 1>,
    watcher_looked: Family<Gauge, 1>,
    watcher_stalled: Family<IntGauge, 1>,
}

impl Metrics {
    /// Begins at zero.
    ///
    /// `series_max` is the most series that labels of policies can make, all families together; a
    /// histogram counts as many as it has lines. Each family's `overflow` comes on top.
    pub fn new(series_max: usize) -> Self {
        let registry = Registry::new();
        let budget = Arc::new(Budget(AtomicUsize::new(series_max)));
        let budget = Some(&budget);
        let build = Opts::new("tamis_build_info", "1 for the version that runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        registered(&registry, IntGauge::with_opts(build)).set(1);
        let metrics = Self {
            by_labels: RwLock::default(),
            series_max,
            requests: Family::new(&registry, REQUESTS, budget),
            accesses: Family::new(&registry, ACCESSES, budget),
            unclassified: Family::new(&registry, UNCLASSIFIED, budget),
            refusals: Family::new(&registry, REFUSALS, budget),
            responses: Family::new(&registry, RESPONSES, budget),
            duration: Family::new(&registry, DURATION, budget),
            overhead: Family::new(&registry, OVERHEAD, budget),
            reloads: Family::new(&registry, RELOADS, None),
            certificate_reloads: Family::new(&registry, CERTIFICATE_RELOADS, None),
            certificate_expiry: Family::new(&registry, CERTIFICATE_EXPIRY, None),
            certificate_files_in_use: Family::new(&registry, CERTIFICATE_FILES_IN_USE, None),
            handshake_failures: Family::new(&registry, HANDSHAKE_FAILURES, None),
            connections: Family::new(&registry, CONNECTIONS, None),
            connection_ends: Family::new(&registry, CONNECTION_ENDS, None),
            streams: gauge(
                &registry,
                "tamis_http2_streams",
                "Requests of HTTP/2 whose stream has not ended.",
            ),
            http_2_errors: Family::new(&registry, HTTP_2_ERRORS, None),
            policy: Family::new(&registry, POLICY, None),
            upstream_healthy: Family::new(&registry, UPSTREAM_HEALTHY, None),
            reloaded: gauge(
                &registry,
                "tamis_policy_last_reload_successful",
                "Whether the last attempt to load the policies did.",
            ),
            reloaded_at: gauge(
                &registry,
                "tamis_policy_last_reload_timestamp_seconds",
                "When the policies were last loaded with success.",
            ),
            in_flight: gauge(
                &registry,
                "tamis_responses_in_flight",
                "Permitted requests whose response has not ended: until the kernel has its last byte.",
            ),
            held_bytes: gauge(
                &registry,
                "tamis_held_bytes",
                "What bodies that are on their way hold together.",
            ),
            access_log_lost: registered(
                &registry,
                IntCounter::new(
                    "tamis_access_log_lost_total",
                    "Lines of the access log that could not be written.",
                ),
            ),
            access_log_events: Family::new(&registry, ACCESS_LOG_EVENTS, None),
            watcher_looked: Family::new(&registry, WATCHER_LOOKED, None),
            watcher_stalled: Family::new(&registry, WATCHER_STALLED, None),
            registry,
        };
        metrics.begin();
        metrics
    }

    /// Lets series begin at 0 whose labels are known: a counter that appears with its first event cannot be seen to
    /// rise.
    fn begin(&self) {
        for event in AccessLogEvent::ALL {
            self.access_log_events.at([event.code()], |_| ());
        }
        for reloads in [&self.reloads, &self.certificate_reloads] {
            reloads.at([SUCCESS], |_| ());
            reloads.at([FAILURE], |_| ());
        }
        for scope in Http2Scope::ALL {
            // That of a request which breaks the protocol.
            self.http_2_errors.at([scope.code(), http_2_code(1)], |_| ());
        }
        for failure in HandshakeFailure::ALL {
            self.handshake_failures.at([failure.code()], |_| ());
        }
        self.declare(&Labels::unknown(), &mut iter::empty());
    }

    /// The metrics of the process that carries requests: [`Metrics::new`], and what every client of
    /// Prometheus says of its process, under the names that they have in common (`process_*`).
    ///
    /// The kernel is asked each time that the series are rendered: the library reads three small files
    /// below `/proc`, which are made in memory, and counts the open files.
    pub fn of_process(series_max: usize) -> Self {
        let metrics = Self::new(series_max);
        sound(metrics.registry.register(Box::new(ProcessCollector::for_self())));
        metrics
    }

    /// Counts everything that one record says.
    pub fn record(&self, record: &AccessRecord) {
        let Labels { caller, purpose, api, route } = &record.labels;
        let of_labels = self.of(&record.labels);
        let (decision, class) = (record.decision, record.class());
        of_labels.requests.inc(&decision, || {
            self.requests.series([api, route, caller, purpose, decision.code()])
        });
        for Count { category, action, accesses } in &record.counts {
            self.accesses.at([api, route, caller, purpose, category, action.code()], |series| {
                series.inc_by(*accesses);
            });
        }
        if record.unclassified {
            self.unclassified.at([api, route], IntCounter::inc);
        }
        if let Some(reason) = record.reason {
            self.refusals.at([api, route, reason.code()], IntCounter::inc);
        }
        of_labels.responses.inc(&class, || self.responses.series([api, route, class.code()]));
        let duration = of_labels.duration.get_or_init(|| self.duration.series([api, route]));
        duration.observe(record.duration.as_secs_f64());
        let overhead = of_labels.overhead.get_or_init(|| self.overhead.series([api]));
        overhead.observe(record.overhead.as_secs_f64());
    }

    /// The series of these labels: known for as many labels as may have series of their own, and found anew for others.
    fn of(&self, labels: &Labels) -> Arc<OfLabels> {
        if let Some(known) =
            self.by_labels.read().unwrap_or_else(PoisonError::into_inner).get(labels)
        {
            return Arc::clone(known);
        }
        let mut by_labels = self.by_labels.write().unwrap_or_else(PoisonError::into_inner);
        if by_labels.len() >= self.series_max {
            return Arc::new(OfLabels::new());
        }
        let known = by_labels.entry(labels.clone()).or_insert_with(|| Arc::new(OfLabels::new()));
        Arc::clone(known)
    }

    /// Makes series stand at zero before their first count, for a rate cannot see how a series came
    /// to be: requests by decision, responses by class, unclassified data, and accesses by
    /// `(category, action)`.
    pub fn declare(&self, labels: &Labels, cells: &mut dyn Iterator<Item = (&str, Action)>) {
        let Labels { caller, purpose, api, route } = labels;
        for decision in Decision::ALL {
            self.requests.at([api, route, caller, purpose, decision.code()], |_| ());
        }
        for class in StatusClass::ALL {
            self.responses.at([api, route, class.code()], |_| ());
        }
        self.unclassified.at([api, route], |_| ());
        for (category, action) in cells {
            self.accesses.at([api, route, caller, purpose, category, action.code()], |_| ());
        }
    }

    /// Says how an attempt to load the policies ended: with the digest that is in force from now on,
    /// or without success.
    pub fn reloaded(&self, result: Result<&str, ()>, at: SystemTime) {
        let Ok(digest) = result else {
            self.reloads.at([FAILURE], IntCounter::inc);
            self.reloaded.set(0);
            return;
        };
        self.reloads.at([SUCCESS], IntCounter::inc);
        self.reloaded.set(1);
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.reloaded_at.set(since_1970.as_secs_f64());
        self.policy.only([digest], |series| series.set(1));
    }

    /// Says that the files of certificates that a setting names are in use, and when what they hold
    /// expires, in seconds since 1970.
    pub fn certificates_in_use(&self, setting: &str, expiry: i64) {
        self.certificate_expiry.at([setting], |series| series.set(expiry));
        self.certificate_files_in_use.at([setting], |series| series.set(1));
    }

    /// Says how an attempt to use new files of certificates and keys ended: with the time at which
    /// what they hold expires, or without success. Then what was in use stays in use.
    pub fn certificates_reloaded(&self, setting: &str, result: Result<i64, ()>) {
        if let Ok(expiry) = result {
            self.certificates_in_use(setting, expiry);
            self.certificate_reloads.at([SUCCESS], IntCounter::inc);
        } else {
            self.certificate_files_in_use.at([setting], |series| series.set(0));
            self.certificate_reloads.at([FAILURE], IntCounter::inc);
        }
    }

    /// Counts a stream or connection of a client that tamis ended with this error code of HTTP/2.
    pub fn http_2_failed(&self, scope: Http2Scope, code: u32) {
        self.http_2_errors.at([scope.code(), http_2_code(code)], IntCounter::inc);
    }

    /// Makes the series of a listener stand at zero before its first connection.
    pub fn declare_listener(&self, listener: &str) {
        self.connections.at([listener], |_| ());
        for end in ConnectionEnd::ALL {
            self.connection_ends.at([listener, end.code()], |_| ());
        }
    }

    /// Counts a connection as open; [`connection_ended`](Self::connection_ended) counts it as ended.
    pub fn connection_opened(&self, listener: &str) {
        self.connections.at([listener], IntGauge::inc);
    }

    /// Counts a connection that was open as ended.
    pub fn connection_ended(&self, listener: &str, end: ConnectionEnd) {
        self.connections.at([listener], IntGauge::dec);
        self.connection_ends.at([listener, end.code()], IntCounter::inc);
    }

    /// Counts a connection that was closed at once.
    pub fn connection_turned_away(&self, listener: &str) {
        self.connection_ends.at([listener, ConnectionEnd::Limit.code()], IntCounter::inc);
    }

    /// Counts a stream of HTTP/2 as open until what it returns is dropped.
    pub fn stream(self: &Arc<Self>) -> OpenStream {
        self.streams.inc();
        OpenStream(Arc::clone(self))
    }

    /// Counts a caller that did not get through the TLS handshake.
    pub fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshake_failures.at([failure.code()], IntCounter::inc);
    }

    /// Says whether an upstream answers at an address; both are names of the settings.
    pub fn upstream_healthy(&self, api: &str, address: &str, answers: bool) {
        self.upstream_healthy.at([api, address], |series| series.set(i64::from(answers)));
    }

    /// Counts a request as in flight until what it returns is dropped; none if there are `most` already.
    pub fn flight(self: &Arc<Self>, most: usize) -> Option<Flight> {
        // Counted first, two that come together do not both take the last place.
        self.in_flight.inc();
        let flight = Flight(Arc::clone(self));
        (self.in_flight() <= most).then_some(flight)
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.in_flight.get()).unwrap_or_default()
    }

    /// Counts what a body holds, until what it returns is dropped.
    pub fn holding(self: &Arc<Self>) -> Holding {
        Holding { metrics: Arc::clone(self), bytes: 0 }
    }

    /// What all bodies that are on their way hold together.
    pub fn held_bytes(&self) -> usize {
        usize::try_from(self.held_bytes.get()).unwrap_or_default()
    }

    /// Counts lines that the access log could not write.
    pub fn access_log_lost(&self, lines: u64) {
        self.access_log_lost.inc_by(lines);
    }

    /// Counts what happened to the file of the access log.
    pub fn access_log_event(&self, event: AccessLogEvent) {
        self.access_log_events.at([event.code()], IntCounter::inc);
    }

    /// Says how a watcher of files is: when it last came to the end of a look, and whether that is too long
    /// ago. `what` it watches is a word of the code.
    pub fn watcher(&self, what: &str, looked: SystemTime, is_stalled: bool) {
        let since_1970 = looked.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.watcher_looked.at([what], |series| series.set(since_1970.as_secs_f64()));
        self.watcher_stalled.at([what], |series| series.set(i64::from(is_stalled)));
    }

    /// All series in the text format, version 0.0.4, in a fixed order.
    pub fn render(&self) -> String {
        sound(TextEncoder::new().encode_to_string(&self.registry.gather()))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What has ended a connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The client closed it, or the network did.
    Client,
    /// The answer to a request was its last: as the client or tamis has said, or because one of them could not go on.
    Request,
    /// Nothing came for `timeouts.client`.
    Silent,
    /// There was no agreement on TLS, or on HTTP/2, within `timeouts.client`.
    Handshake,
    /// No request came for `timeouts.idle`.
    Idle,
    /// It was older than `timeouts.connection_age`.
    Age,
    /// The client broke the protocol of HTTP/2.
    Protocol,
    /// The client sent more control frames of HTTP/2 than it may.
    Flood,
    /// There was no place for it: see `limits.connections`.
    Limit,
    /// The process ends.
    Shutdown,
    /// Something went wrong in tamis.
    Internal,
}

impl ConnectionEnd {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Client,
        Self::Request,
        Self::Silent,
        Self::Handshake,
        Self::Idle,
        Self::Age,
        Self::Protocol,
        Self::Flood,
        Self::Limit,
        Self::Shutdown,
        Self::Internal,
    ];

    /// The word for the label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Request => "request",
            Self::Silent => "silent",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Protocol => "protocol",
            Self::Flood => "flood",
            Self::Limit => "limit",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }
}

/// What an error of HTTP/2 ends (RFC 9113, section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Scope {
    /// One request and its response.
    Stream,
    /// The connection, with all requests on it.
    Connection,
}

impl Http2Scope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stream, Self::Connection];

    /// The word for the label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Connection => "connection",
        }
    }
}

/// The name of an error code of HTTP/2 (RFC 9113, section 7).
fn http_2_code(code: u32) -> &'static str {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    usize::try_from(code).ok().and_then(|code| names.get(code)).unwrap_or(&"OTHER")
}

/// Why a caller did not get through the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// It took too long.
    Timeout,
    /// It closed the connection, as somebody does who only looks whether anybody listens.
    Closed,
    /// They do not agree: on a version, on whether this is TLS, on whether the certificate is to be believed.
    Refused,
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Timeout, Self::Closed, Self::Refused];

    /// The word for the label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Refused => "refused",
        }
    }
}

/// What can happen to the file of the access log while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogEvent {
    /// It was renamed or deleted, and the file that has its name now is written.
    Reopened,
    /// It could not be opened again.
    ReopenFailed,
    /// It became shorter than what was written.
    Truncated,
}

impl AccessLogEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reopened, Self::ReopenFailed, Self::Truncated];

    /// The word for the label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Reopened => "reopened",
            Self::ReopenFailed => "reopen-failed",
            Self::Truncated => "truncated",
        }
    }
}

/// A request that is in flight for as long as this lives.
#[derive(Debug)]
#[must_use = "what is dropped at once was never in flight"]
pub struct Flight(Arc<Metrics>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// A stream of HTTP/2 that is open for as long as this lives.
#[derive(Debug)]
#[must_use = "what is dropped at once was never open"]
pub struct OpenStream(Arc<Metrics>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

/// What a body holds; nothing when this is dropped.
#[derive(Debug)]
pub struct Holding {
    metrics: Arc<Metrics>,
    bytes: usize,
}

impl Holding {
    /// It holds so much now.
    pub fn set(&mut self, bytes: usize) {
        let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes != self.bytes {
            self.metrics.held_bytes.add(signed(bytes) - signed(self.bytes));
            self.bytes = bytes;
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// How many lines may still become series.
struct Budget(AtomicUsize);

impl Budget {
    fn has(&self, lines: usize) -> bool {
        self.0.load(Ordering::Relaxed) >= lines
    }

    fn take(&self, lines: usize) -> bool {
        let take = |left: usize| left.checked_sub(lines);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// What the series of a family have in common.
#[derive(Clone, Copy)]
struct Kind<M, const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    form: MetricType,
    /// How many lines one series is.
    lines: usize,
    make: fn(Opts) -> prometheus::Result<M>,
}

const fn counter<const N: usize>(
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
) -> Kind<IntCounter, N> {
    let form = MetricType::COUNTER;
    Kind { name, help, labels, form, lines: 1, make: IntCounter::with_opts }
}

/// The series of one name, by the values of all their labels.
///
/// The vectors of `prometheus` find a series by a hash of the values written one behind the other, so
/// that `("ab", "c")` and `("a", "bc")` are the same to them: not good enough to count accesses.
struct Family<M, const N: usize>(Arc<Series<M, N>>);

struct Series<M, const N: usize> {
    kind: Kind<M, N>,
    desc: Desc,
    by_values: RwLock<HashMap<[Box<str>; N], M, RandomState>>,
    /// Without one, the values must be few by themselves.
    budget: Option<Arc<Budget>>,
}

/// The series that all records of the same labels count in. Each is there once something was counted in it.
struct OfLabels {
    requests: ByWord<Decision, { Decision::ALL.len() }>,
    responses: ByWord<StatusClass, { StatusClass::ALL.len() }>,
    duration: OnceLock<Histogram>,
    overhead: OnceLock<Histogram>,
}

impl OfLabels {
    fn new() -> Self {
        Self {
            requests: ByWord::new(Decision::ALL),
            responses: ByWord::new(StatusClass::ALL),
            duration: OnceLock::new(),
            overhead: OnceLock::new(),
        }
    }
}

/// A counter for each word of a label that has a few.
struct ByWord<W, const N: usize>([(W, OnceLock<IntCounter>); N]);

impl<W: PartialEq, const N: usize> ByWord<W, N> {
    fn new(all: [W; N]) -> Self {
        Self(all.map(|word| (word, OnceLock::new())))
    }

    fn inc(&self, word: &W, find: impl FnOnce() -> IntCounter) {
        match self.0.iter().find(|(one, _)| one == word) {
            Some((_, series)) => series.get_or_init(find).inc(),
            None => find().inc(),
        }
    }
}

impl<M: Metric + 'static, const N: usize> Family<M, N> {
    fn new(registry: &Registry, kind: Kind<M, N>, budget: Option<&Arc<Budget>>) -> Self {
        let labels = kind.labels.map(str::to_owned).to_vec();
        let desc = Desc::new(kind.name.to_owned(), kind.help.to_owned(), labels, [].into());
        let desc = sound(desc);
        let by_values = RwLock::default();
        let budget = budget.cloned();
        registered(registry, Ok(Self(Arc::new(Series { kind, desc, by_values, budget }))))
    }

    /// Does something with the series of these values, or with the one for what is too much.
    fn at<T>(&self, values: [&str; N], count: impl FnOnce(&M) -> T) -> T {
        let family = &*self.0;
        let affordable = || family.budget.as_ref().is_none_or(|b| b.has(family.kind.lines));
        {
            let series = family.by_values.read().unwrap_or_else(PoisonError::into_inner);
            let overflow = || series.get(&Values([OVERFLOW; N])).filter(|_| !affordable());
            if let Some(series) = series.get(&Values(values)).or_else(overflow) {
                return count(series);
            }
        }
        let mut series = family.by_values.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have come first.
        let known = series.contains_key(&Values(values));
        let paid = || family.budget.as_ref().is_none_or(|b| b.take(family.kind.lines));
        let values = if known || paid() { values } else { [OVERFLOW; N] };
        count(series.entry(values.map(Box::from)).or_insert_with(|| self.make(values)))
    }

    /// The series of these values, or the one for what is too much.
    fn series(&self, values: [&str; N]) -> M
    where
        M: Clone,
    {
        self.at(values, M::clone)
    }

    /// Leaves only the series of these values; no one sees the family between old and new.
    fn only(&self, values: [&str; N], set: impl FnOnce(&M)) {
        let fresh = self.make(values);
        set(&fresh);
        let mut series = self.0.by_values.write().unwrap_or_else(PoisonError::into_inner);
        series.clear();
        series.insert(values.map(Box::from), fresh);
    }

    fn make(&self, values: [&str; N]) -> M {
        let Kind { name, help, labels, make, .. } = self.0.kind;
        let bare = Opts::new(name, help);
        let labels = iter::zip(labels, values);
        sound(make(labels.fold(bare, |opts, (label, value)| opts.const_label(label, value))))
    }
}

impl<M: Metric, const N: usize> Collector for Family<M, N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.0.by_values.read().unwrap_or_else(PoisonError::into_inner);
        let mut family = MetricFamily::default();
        family.set_name(self.0.kind.name.to_owned());
        family.set_help(self.0.kind.help.to_owned());
        family.set_field_type(self.0.kind.form);
        family.set_metric(series.values().map(Metric::metric).collect());
        vec![family]
    }
}

impl<M, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Values to look up, without a copy of them.
#[derive(Clone, Copy, Hash)]
struct Values<'a, const N: usize>([&'a str; N]);

impl<const N: usize> Equivalent<[Box<str>; N]> for Values<'_, N> {
    fn equivalent(&self, known: &[Box<str>; N]) -> bool {
        iter::zip(self.0, known).all(|(value, known)| *value == **known)
    }
}

fn gauge<P: Atomic + 'static>(registry: &Registry, name: &str, help: &str) -> GenericGauge<P> {
    registered(registry, GenericGauge::new(name, help))
}

fn registered<C>(registry: &Registry, metric: prometheus::Result<C>) -> C
where
    C: Collector + Clone + 'static,
{
    let metric = sound(metric);
    sound(registry.register(Box::new(metric.clone())));
    metric
}

/// The library finds fault only with names of metrics and labels and with bounds of buckets.
#[expect(clippy::expect_used, reason = "they are constants of this file: any test would stop here")]
fn sound<T>(made: prometheus::Result<T>) -> T {
    made.expect("names and buckets are sound")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::access::Reason;

    /// Enough for all tests that are not about the most.
    const PLENTY: usize = 100_000;

    /// Every line that is no comment: the series as it is written, and its value.
    fn lines(metrics: &Metrics) -> BTreeMap<String, f64> {
        let text = metrics.render();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<(String, f64)> = series
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
            .collect();
        let by_series: BTreeMap<String, f64> = lines.iter().cloned().collect();
        assert_eq!(by_series.len(), lines.len(), "a series stands there twice:\n{text}");
        by_series
    }

    /// The lines of one family, without its name.
    fn family(metrics: &Metrics, name: &str) -> Vec<(String, f64)> {
        lines(metrics)
            .into_iter()
            .filter_map(|(series, value)| {
                let labels = series.strip_prefix(name)?;
                (labels.is_empty() || labels.starts_with('{')).then(|| (labels.to_owned(), value))
            })
            .collect()
    }

    fn total(metrics: &Metrics, name: &str) -> f64 {
        family(metrics, name).iter().map(|(_, value)| value).sum()
    }

    fn labels(caller: &str, purpose: &str, api: &str, route: &str) -> Labels {
        Labels {
            caller: caller.into(),
            purpose: purpose.into(),
            api: api.into(),
            route: route.into(),
        }
    }

    fn record(labels: Labels) -> AccessRecord {
        AccessRecord {
            time: UNIX_EPOCH,
            trace: None,
            labels,
            decision: Decision::Allowed,
            reason: None,
            status: Some(200),
            policy: None,
            counts: Vec::new(),
            unclassified: false,
            duration: Duration::from_millis(4),
            overhead: Duration::from_micros(40),
        }
    }

    fn count(category: &str, action: &str, accesses: u64) -> Count {
        let action = Action::from_code(action).unwrap();
        Count { category: category.into(), action, accesses }
    }

    #[test]
    fn a_record_counts_all_that_it_says() {
        let metrics = Metrics::new(PLENTY);
        let billing = labels("billing", "invoicing", "crm", "GET /customers/{id}");
        metrics.record(&AccessRecord {
            counts: vec![count("contact", "keep", 3), count("iban", "mask", 1)],
            ..record(billing.clone())
        });
        metrics.record(&AccessRecord {
            counts: vec![count("contact", "keep", 2), count("contact", "unfit", 1)],
            unclassified: true,
            duration: Duration::from_secs(90),
            ..record(billing.clone())
        });
        metrics.record(&AccessRecord {
            decision: Decision::Refused,
            reason: Some(Reason::BodyUnreadable),
            status: Some(502),
            ..record(billing.clone())
        });
        // The client went away: that is nobody's refusal.
        metrics.record(&AccessRecord {
            decision: Decision::Aborted,
            status: None,
            ..record(billing)
        });

        let expected = r#"
tamis_field_accesses_total{action="keep",api="crm",caller="billing",category="contact",purpose="invoicing",route="GET /customers/{id}"} 5
tamis_field_accesses_total{action="mask",api="crm",caller="billing",category="iban",purpose="invoicing",route="GET /customers/{id}"} 1
tamis_field_accesses_total{action="unfit",api="crm",caller="billing",category="contact",purpose="invoicing",route="GET /customers/{id}"} 1
tamis_overhead_seconds_bucket{api="crm",le="0.000025"} 0
tamis_overhead_seconds_bucket{api="crm",le="0.00005"} 4
tamis_overhead_seconds_bucket{api="crm",le="+Inf"} 4
tamis_overhead_seconds_count{api="crm"} 4
tamis_refusals_total{api="crm",reason="body-unreadable",route="GET /customers/{id}"} 1
tamis_request_duration_seconds_bucket{api="crm",route="GET /customers/{id}",le="0.0025"} 0
tamis_request_duration_seconds_bucket{api="crm",route="GET /customers/{id}",le="0.005"} 3
tamis_request_duration_seconds_bucket{api="crm",route="GET /customers/{id}",le="60"} 3
tamis_request_duration_seconds_bucket{api="crm",route="GET /customers/{id}",le="+Inf"} 4
tamis_request_duration_seconds_count{api="crm",route="GET /customers/{id}"} 4
tamis_requests_total{api="crm",caller="billing",decision="aborted",purpose="invoicing",route="GET /customers/{id}"} 1
tamis_requests_total{api="crm",caller="billing",decision="allowed",purpose="invoicing",route="GET /customers/{id}"} 2
tamis_requests_total{api="crm",caller="billing",decision="refused",purpose="invoicing",route="GET /customers/{id}"} 1
tamis_responses_total{api="crm",class="2xx",route="GET /customers/{id}"} 2
tamis_responses_total{api="crm",class="5xx",route="GET /customers/{id}"} 1
tamis_responses_total{api="crm",class="none",route="GET /customers/{id}"} 1
tamis_unclassified_total{api="crm",route="GET /customers/{id}"} 1
"#;
        let text = metrics.render();
        for line in expected.trim().lines() {
            assert!(text.lines().any(|shown| shown == line), "{line}\nis not in\n{text}");
        }
        for (name, sum) in [
            ("tamis_field_accesses_total", 7.0),
            ("tamis_refusals_total", 1.0),
            ("tamis_requests_total", 4.0),
            ("tamis_responses_total", 4.0),
            ("tamis_unclassified_total", 1.0),
        ] {
            assert!((total(&metrics, name) - sum).abs() < f64::EPSILON, "{name}\n{text}");
        }
    }

    #[test]
    fn what_is_declared_stands_at_zero_and_keeps_its_counts() {
        let metrics = Metrics::new(PLENTY);
        let billing = labels("billing", "invoicing", "crm", "GET /customers");
        let cells = [("contact", Action::Keep), ("iban", Action::Mask)];
        metrics.declare(&billing, &mut cells.into_iter());
        let zeros = [
            ("tamis_requests_total", 2 * Decision::ALL.len()),
            ("tamis_field_accesses_total", cells.len()),
            ("tamis_unclassified_total", 2),
        ];
        for (name, series) in zeros {
            let shown = family(&metrics, name);
            assert_eq!(shown.len(), series, "{name}");
            assert!(shown.iter().all(|(_, value)| *value == 0.0), "{shown:?}");
        }
        // A reload declares again what there is.
        metrics.record(&record(billing.clone()));
        let before = metrics.render();
        metrics.declare(&billing, &mut cells.into_iter());
        assert_eq!(metrics.render(), before);
    }

    #[test]
    fn values_are_told_apart_wherever_one_ends() {
        let metrics = Metrics::new(PLENTY);
        metrics.record(&record(labels("a", "bc", "x", "GET /")));
        metrics.record(&record(labels("ab", "c", "x", "GET /")));
        let shown = family(&metrics, "tamis_requests_total");
        let once: Vec<_> = shown.iter().filter(|(_, value)| *value > 0.5).collect();
        assert_eq!(once.len(), 2, "{shown:?}");
    }

    #[test]
    fn beyond_the_most_everything_is_counted_in_one_series_a_family() {
        const MOST: usize = 500;
        const NAMES: u32 = 10_000;
        let metrics = Metrics::new(MOST);
        let fixed = lines(&Metrics::new(0)).len();
        for round in 0..2 {
            for name in 0..NAMES {
                let name = name.to_string();
                metrics.declare(
                    &labels(&name, "p", &name, &name),
                    &mut [("c", Action::Drop)].into_iter(),
                );
                metrics.record(&AccessRecord {
                    counts: vec![count("c", "keep", 2)],
                    reason: Some(Reason::Internal),
                    unclassified: true,
                    ..record(labels(&name, "p", &name, &name))
                });
            }
            let shown = lines(&metrics).len();
            // Of each labelled family one series more.
            let overflow = 5 + DURATION.lines + OVERHEAD.lines;
            assert!(shown <= MOST + fixed + overflow, "{shown} after round {round}");
            assert!(shown > MOST, "{shown}: what there is is used");
        }
        let both = f64::from(2 * NAMES);
        for (name, sum) in [
            ("tamis_requests_total", both),
            ("tamis_field_accesses_total", 2.0 * both),
            ("tamis_unclassified_total", both),
            ("tamis_refusals_total", both),
            ("tamis_responses_total", both),
            ("tamis_request_duration_seconds_count", both),
            ("tamis_overhead_seconds_count", both),
        ] {
            let counted = total(&metrics, name);
            assert!((counted - sum).abs() < 0.5, "{name}: {counted}");
            let overflow = family(&metrics, name)
                .into_iter()
                .find(|(labels, _)| labels.contains(r#"api="overflow""#));
            assert!(overflow.is_some_and(|(_, value)| value > 0.0), "{name}");
        }
    }

    #[test]
    fn threads_make_each_series_once_and_lose_nothing() {
        const THREADS: u32 = 8;
        const NAMES: u32 = 400;
        let metrics = Metrics::new(1000);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for name in 0..NAMES {
                        metrics.record(&record(labels("c", "p", "crm", &name.to_string())));
                    }
                });
            }
        });
        let counted = total(&metrics, "tamis_requests_total");
        assert!((counted - f64::from(THREADS * NAMES)).abs() < 0.5, "{counted}");
        let fixed = lines(&Metrics::new(0)).len();
        let overflow = 5 + DURATION.lines + OVERHEAD.lines;
        assert!(lines(&metrics).len() <= 1000 + fixed + overflow);
    }

    #[test]
    fn one_digest_is_in_force() {
        let metrics = Metrics::new(PLENTY);
        assert_eq!(family(&metrics, "tamis_policy_info"), []);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for digest in ["aaaa", "bbbb", "cccc", "bbbb", "eeee"] {
            metrics.reloaded(Ok(digest), at(1_800_000_000));
        }
        metrics.reloaded(Err(()), at(1_900_000_000));
        let shown = lines(&metrics);
        let info = family(&metrics, "tamis_policy_info");
        assert_eq!(info, [(r#"{digest="eeee"}"#.to_owned(), 1.0)]);
        for (series, value) in [
            (r#"tamis_policy_reloads_total{result="success"}"#, 5.0),
            (r#"tamis_policy_reloads_total{result="failure"}"#, 1.0),
            ("tamis_policy_last_reload_successful", 0.0),
            ("tamis_policy_last_reload_timestamp_seconds", 1_800_000_000.0),
        ] {
            assert_eq!(shown.get(series), Some(&value), "{series}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_show_until_they_can() {
        let metrics = Metrics::new(0);
        let is = |in_use: f64, expiry: f64| {
            let shown = lines(&metrics);
            let value = |name: &str, setting: &str| {
                shown[&format!(r#"tamis_certificate_{name}{{setting="{setting}"}}"#)]
            };
            let found = [
                value("files_in_use", "listen[0].tls"),
                value("expiry_timestamp_seconds", "listen[0].tls"),
                value("files_in_use", "upstreams.crm.tls.ca"),
                value("expiry_timestamp_seconds", "upstreams.crm.tls.ca"),
            ];
            let expected = [in_use, expiry, 1.0, 9.0];
            let same = iter::zip(found, expected).all(|(one, other)| (one - other).abs() < 0.5);
            assert!(same, "{found:?} {expected:?}");
        };
        metrics.certificates_in_use("listen[0].tls", 1_800_000_000);
        metrics.certificates_in_use("upstreams.crm.tls.ca", 9);
        is(1.0, 1.8e9);
        for _ in 0..2 {
            metrics.certificates_reloaded("listen[0].tls", Err(()));
            is(0.0, 1.8e9);
        }
        metrics.certificates_reloaded("listen[0].tls", Ok(1_900_000_000));
        is(1.0, 1.9e9);
    }

    #[test]
    fn a_process_says_what_it_takes() {
        const MIB: f64 = 1_048_576.0;
        let shown = lines(&Metrics::of_process(PLENTY));
        let value = |name: &str| shown.get(&format!("process_{name}")).copied().unwrap();
        for (name, least, most) in [
            ("cpu_seconds_total", 0.0, 1e6),
            ("resident_memory_bytes", MIB, 1e6 * MIB),
            ("virtual_memory_bytes", value("resident_memory_bytes"), 1e18),
            ("open_fds", 3.0, 1e6),
            ("max_fds", value("open_fds"), 1e10),
            ("start_time_seconds", 1_700_000_000.0, 1e11),
            ("threads", 2.0, 10_000.0),
        ] {
            let value = value(name);
            assert!((least..=most).contains(&value), "{name}: {value}");
        }
        let process = |series: &&String| series.starts_with("process_");
        assert_eq!(shown.keys().filter(process).count(), 7, "{shown:?}");
        assert_eq!(lines(&Metrics::new(PLENTY)).keys().filter(process).count(), 0);
    }

    #[test]
    fn a_flight_ends_when_it_is_dropped() {
        let metrics = Arc::new(Metrics::new(PLENTY));
        let first = metrics.flight(2);
        let second = metrics.flight(2);
        assert!(first.is_some() && second.is_some());
        assert!(metrics.flight(2).is_none());
        assert_eq!(metrics.in_flight(), 2);
        assert_eq!(lines(&metrics).get("tamis_responses_in_flight"), Some(&2.0));
        drop(first);
        assert_eq!(metrics.in_flight(), 1);
        drop(second);
        assert_eq!(metrics.in_flight(), 0);
    }

    #[test]
    fn lost_lines_and_the_version_are_shown() {
        let metrics = Metrics::new(PLENTY);
        metrics.access_log_lost(3);
        metrics.access_log_lost(4);
        let shown = lines(&metrics);
        assert_eq!(shown.get("tamis_access_log_lost_total"), Some(&7.0));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(shown.get(&format!(r#"tamis_build_info{{version="{version}"}}"#)), Some(&1.0));
    }

    /// Names that end in one another, and what must be escaped.
    fn name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "a", "b", "ab", "ba", "", "unknown", "é", "\"", "\\", "\n", "x y",
        ])
    }

    prop_compose! {
        fn any_record()(
            names in (name(), name(), name(), name()),
            decision in prop::sample::select(Decision::ALL.to_vec()),
            reason in prop::option::of(prop::sample::select(Reason::ALL.to_vec())),
            counts in prop::collection::vec(
                (name(), prop::sample::select(vec!["keep", "mask", "drop"]), 0..1000_u64),
                0..4,
            ),
            unclassified in any::<bool>(),
            status in prop::option::of(200..600_u16),
            millis in 0..100_000_u64,
            micros in 0..200_000_u64,
        ) -> AccessRecord {
            let (caller, purpose, api, route) = names;
            AccessRecord {
                decision,
                reason,
                counts: counts.into_iter().map(|(c, action, n)| count(c, action, n)).collect(),
                unclassified,
                status,
                duration: Duration::from_millis(millis),
                overhead: Duration::from_micros(micros),
                ..record(labels(caller, purpose, api, route))
            }
        }
    }

    /// What stands in the text, by the plainest means.
    #[derive(Default)]
    struct Oracle(BTreeMap<String, f64>);

    impl Oracle {
        fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
            let mut labels = labels.to_vec();
            labels.sort_unstable();
            let pairs: Vec<String> = labels
                .into_iter()
                .map(|(label, value)| {
                    let value = value.replace('\\', r"\\").replace('"', r#"\""#);
                    format!(r#"{label}="{}""#, value.replace('\n', r"\n"))
                })
                .collect();
            *self.0.entry(format!("{name}{{{}}}", pairs.join(","))).or_default() += value;
        }

        fn observe(&mut self, name: &str, labels: &[(&str, &str)], seconds: f64) {
            self.add(&format!("{name}_count"), labels, 1.0);
            self.add(&format!("{name}_sum"), labels, seconds);
        }

        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        fn record(&mut self, record: &AccessRecord) {
            let Labels { caller, purpose, api, route } = &record.labels;
            let at = [("api", &**api), ("route", &**route)];
            let who = [at[0], at[1], ("caller", caller), ("purpose", purpose)];
            let decision = record.decision.code();
            self.add("tamis_requests_total", &[&who[..], &[("decision", decision)]].concat(), 1.0);
            for Count { category, action, accesses } in &record.counts {
                let cell: [(&str, &str); 2] = [("category", category), ("action", action.code())];
                let labels = [&who[..], &cell].concat();
                self.add("tamis_field_accesses_total", &labels, *accesses as f64);
            }
            if record.unclassified {
                self.add("tamis_unclassified_total", &at, 1.0);
            }
            if let Some(reason) = record.reason {
                let labels = [&at[..], &[("reason", reason.code())]].concat();
                self.add("tamis_refusals_total", &labels, 1.0);
            }
            let class =
                record.status.map_or("none".to_owned(), |status| format!("{}xx", status / 100));
            self.add("tamis_responses_total", &[&at[..], &[("class", &*class)]].concat(), 1.0);
            let duration = record.duration.as_secs_f64();
            self.observe("tamis_request_duration_seconds", &at, duration);
            self.observe("tamis_overhead_seconds", &at[..1], record.overhead.as_secs_f64());
        }
    }

    proptest! {
        #[test]
        fn every_series_is_what_its_records_say(
            records in prop::collection::vec(any_record(), 0..40),
        ) {
            let metrics = Metrics::new(PLENTY);
            let mut oracle = Oracle::default();
            for record in &records {
                metrics.record(record);
                oracle.record(record);
            }
            let mut shown = lines(&metrics);
            shown.retain(|series, value| {
                *value > 0.0 && !series.contains("_bucket{") && !series.contains("_info{")
            });
            oracle.0.retain(|_, value| *value > 0.0);
            let names = |lines: &BTreeMap<String, f64>| lines.keys().cloned().collect::<Vec<_>>();
            prop_assert_eq!(names(&shown), names(&oracle.0));
            for (series, value) in &shown {
                prop_assert!((value - oracle.0[series]).abs() < 1e-6, "{}: {}", series, value);
            }
        }

        #[test]
        fn however_few_series_there_may_be_totals_are_right(
            records in prop::collection::vec(any_record(), 0..40),
            most in 0..120_usize,
        ) {
            let (free, bound) = (Metrics::new(PLENTY), Metrics::new(most));
            for record in &records {
                free.record(record);
                bound.record(record);
            }
            let overflow = 5 + DURATION.lines + OVERHEAD.lines;
            let fixed = lines(&Metrics::new(0)).len();
            prop_assert!(lines(&bound).len() <= most + fixed + overflow);
            for name in [
                "tamis_requests_total",
                "tamis_field_accesses_total",
                "tamis_unclassified_total",
                "tamis_refusals_total",
                "tamis_responses_total",
                "tamis_request_duration_seconds_count",
                "tamis_overhead_seconds_sum",
            ] {
                prop_assert!((total(&free, name) - total(&bound, name)).abs() < 1e-6, "{}", name);
            }
        }
    }
}
