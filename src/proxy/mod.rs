//! The proxy: the only room that knows Pingora, and the only one that meets a connection.
//!
//! Connections come in through `gateway`, which counts them and ends each after its time. One task carries a request and
//! its response, from the head to the record (`exchange`). A request is admitted or
//! denied by [`policy`](crate::policy) before an upstream hears of it; a response passes only through a flow (`flow`),
//! which is made of nothing but a permit.
//!
//! Pingora gives the server, the sessions of HTTP/1.1 and HTTP/2, and the connections to upstreams. What a client of
//! HTTP/1.1 sends is read strictly before Pingora sees it (`strict`), and the frames of HTTP/2 are read below its library
//! (`frames`).
//!
//! Whoever waits gets what is decided at once, and what is ready together in one write (`cork`).
//! Between a fast upstream and a slow client a response holds at most seven pieces of 64 KiB,
//! and what [`json::Limits`](crate::json::Limits) allow: `config/README.md` has the sum.
//!
//! **Must never know** what a policy means or what a value is: it asks, and carries bytes.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc};
//! use tamis::{
//!     config::Settings,
//!     metrics::Metrics,
//!     proxy::{AccessLog, Certificates, Listeners, Observers, Proxy, Unclassified},
//!     reload::Policies,
//! };
//!
//! let settings = Settings::load(Path::new("config/tamis.yaml"), std::env::vars())?;
//! let metrics = Arc::new(Metrics::new(settings.limits.metric_series));
//! let access_log = AccessLog::start(&settings.access_log, Arc::clone(&metrics))?;
//! let observers = Observers { metrics, access_log, unclassified: Unclassified::default() };
//! let certificates = Certificates::load(&settings)?;
//! // No policies: everything is denied.
//! Proxy::new(settings, certificates, Policies::none(), observers)
//!     .run(Listeners::Opened, || {})?;
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "the clock is read here, and goes on as an argument"
)]

mod access_log;
mod admin;
mod client;
mod connections;
mod cork;
mod exchange;
mod faults;
mod flow;
mod frames;
mod gateway;
mod health;
mod identify;
mod journey;
mod log_file;
mod passage;
mod pool;
mod quota;
mod rehearsal;
mod respond;
mod server;
mod signals;
mod strict;
#[cfg(test)]
mod tests;
mod tls;
mod unclassified;
mod upstream;
mod watchers;

use std::{
    collections::BTreeMap,
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version, header,
    uri::{Authority, Scheme},
};
use jiff::civil::Date;
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::TaskTracker;

use crate::{
    access::{AccessRecord, Labels, Reason},
    coding::{Coding, OFFERED, accepted},
    config::{self, HostHeader, Settings},
    message::{self, Crossing, DATA_PURPOSE, MessageContext, Validation},
    metrics::{Flight, Metrics},
    policy::{
        Ask, Denial, Identify, Permit, PolicySet, Preflight, Target, check_host, is_condition,
    },
    reload::{Heartbeat, InForce, Policies},
};

pub use access_log::AccessLog;
pub use rehearsal::{Rehearsal, rehearse};
pub use server::{Listeners, ServeError};
pub(crate) use tls::open_to_others;
pub use tls::{Certificates, CertificatesError};
pub use unclassified::Unclassified;

use journey::Journey;
use passage::{Gate, Passage};
use quota::Slot;
use strict::HEADERS_MAX;
use upstream::Upstream;

/// Who is told of each access.
#[derive(Debug)]
pub struct Observers {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// The lines.
    pub access_log: AccessLog,
    /// Where unclassified data was withheld.
    pub unclassified: Unclassified,
}

impl Observers {
    fn write(&self, record: &AccessRecord) {
        self.metrics.record(record);
        self.access_log.write(record);
    }
}

/// What a set of policies needs that the settings do not give, in words for people. A set that needs
/// nothing more is fit to be served.
pub fn unmet(settings: &Settings, set: &PolicySet) -> Vec<String> {
    let mut unmet = Vec::new();
    let is_api = |name: &str| set.apis().iter().any(|api| *api.name == *name);
    let unused = settings.upstreams.keys().map(String::as_str).filter(|name| !is_api(name));
    let unused = listed("is an upstream of no api", "are upstreams of no api", unused);
    for api in set.apis() {
        if !settings.upstreams.contains_key(&*api.name) {
            unmet.push(format!(
                "the api `{0}` has no upstream: add `upstreams: {{ {0}: {{ address: HOST:PORT }} }}` to the settings{unused}",
                api.name
            ));
        }
    }
    for api in set.apis().iter().filter(|api| api.hosts.is_empty()) {
        let keeps = |upstream: &config::Upstream| upstream.host == HostHeader::Keep;
        if settings.upstreams.get(&*api.name).is_some_and(keeps) {
            unmet.push(format!(
                "the api `{0}` lists no `host`, and `upstreams.{0}` has `host: keep`: whatever host a client makes up would go on; list the hosts in the policies, or leave `host` out of the settings, or write `host: {{ set: NAME }}`",
                api.name
            ));
        }
    }
    let is_shown = |name: &str| {
        set.callers()
            .iter()
            .any(|caller| matches!(&caller.identify, Identify::ApiKey(key) if **key == *name))
    };
    let unused = settings.api_keys.names().filter(|name| !is_shown(name));
    let unused = listed("is the key of no caller", "are the keys of no caller", unused);
    for caller in set.callers() {
        match &caller.identify {
            Identify::ApiKey(key) if !settings.api_keys.contains(key) => unmet.push(format!(
                "the caller `{}` shows the API key `{key}`: add `api_keys: {{ {key}: \"sha256:DIGEST\" }}` to the settings{unused}",
                caller.name
            )),
            Identify::Sidecar if settings.listen.iter().any(|it| !it.place.is_local()) => {
                unmet.push(format!(
                    "the caller `{}` is whoever connects: for that, every address under `listen` must be a loopback address, or a UNIX socket",
                    caller.name
                ));
            }
            Identify::ApiKey(_) | Identify::Sidecar => {}
        }
    }
    unmet
}

/// Most names in one message.
const LISTED_MAX: usize = 12;

/// The names of the settings that the policies do not use, one of which may be the one that was meant.
fn listed<'n>(one: &str, several: &str, names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> =
        names.take(LISTED_MAX + 1).map(|name| format!("`{name}`")).collect();
    let what = if names.len() == 1 { one } else { several };
    if names.len() > LISTED_MAX {
        names.pop();
        names.push("and others".to_owned());
    }
    if names.is_empty() { String::new() } else { format!("; {} {what}", names.join(", ")) }
}

/// What the proxy and its admin listener share.
struct Shared {
    settings: Settings,
    certificates: Certificates,
    policies: Policies,
    observers: Arc<Observers>,
    /// The process is told to end, and says that no requests should come.
    draining: AtomicBool,
    /// The requests whose record is not written.
    requests: TaskTracker,
    /// Everybody has heard: connections that are kept should end.
    leaving: watch::Sender<bool>,
    /// Time is over: all exchanges end where they are. Connections that should end know it before.
    cut: watch::Sender<bool>,
}

impl Shared {
    /// Whether requests should come here.
    fn readiness(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        if self.policies.current().is_none() {
            return Err("no policies are loaded".to_owned());
        }
        // What is in force is right, but what should replace it would not be seen.
        let faults: Vec<String> = self
            .watchers()
            .filter_map(|(what, heartbeat)| Some((what, heartbeat.fault()?)))
            .map(|(what, fault)| format!("the watcher of the {what} {fault}"))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// Whether all requests have ended, and are on record, within this time. Others may still come.
    async fn end_within(&self, time: Duration) -> bool {
        self.requests.close();
        timeout(time, self.requests.wait()).await.is_ok()
    }

    /// The threads that look for what should come into force: what each looks at, and when it last did.
    fn watchers(&self) -> impl Iterator<Item = (&'static str, &Heartbeat)> {
        let policies = self.policies.watched().map(|heartbeat| ("policies", heartbeat));
        let certificates = self.certificates.watched();
        policies.into_iter().chain(certificates.map(|heartbeat| ("certificates", heartbeat)))
    }
}

/// The proxy. Its clones are the same one.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    upstreams: BTreeMap<String, Arc<Upstream>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy that asks `policies` about every request; the certificates are those of the settings.
    pub fn new(
        settings: Settings,
        certificates: Certificates,
        policies: Policies,
        observers: Observers,
    ) -> Self {
        let gate = Arc::new(Gate::new(&settings.limits, &settings.timeouts));
        let upstreams = settings
            .upstreams
            .iter()
            .map(|(name, upstream)| {
                let trust = certificates.of_upstream(name);
                let (api, timeouts) = (name.clone(), settings.timeouts);
                let upstream = Upstream::new(api, upstream.clone(), timeouts, trust);
                (name.clone(), Arc::new(upstream))
            })
            .collect();
        let observers = Arc::new(observers);
        let shared = Arc::new(Shared {
            settings,
            certificates,
            policies,
            observers,
            draining: AtomicBool::new(false),
            requests: TaskTracker::new(),
            leaving: watch::Sender::new(false),
            cut: watch::Sender::new(false),
        });
        Self { shared, gate, upstreams }
    }

    /// All that decides what leaves of one and the same answer of the upstream.
    fn bonds(
        &self,
        request: &RequestHeader,
        permit: &Permit,
        coding: Coding,
        today: Date,
    ) -> Vec<Vec<u8>> {
        let labels = &permit.labels;
        let day = permit.plan.asks_the_day().then(|| today.to_string());
        let host = host(request).unwrap_or_default().to_ascii_lowercase();
        let limits = format!("{:?}", self.gate.limits.values);
        let parts: [&[u8]; 11] = [
            permit.plan.digest.as_str().as_bytes(),
            labels.purpose.as_bytes(),
            labels.caller.as_bytes(),
            labels.api.as_bytes(),
            labels.route.as_bytes(),
            host.as_bytes(),
            request.raw_path(),
            coding.name().as_bytes(),
            day.as_deref().unwrap_or_default().as_bytes(),
            limits.as_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ];
        parts.map(<[u8]>::to_vec).to_vec()
    }

    /// Holds a head of HTTP/2 to what one of HTTP/1.1 was held to before it came so far.
    fn check_head(&self, request: &RequestHeader) -> Result<(), Reason> {
        if request.version == Version::HTTP_11 {
            return Ok(());
        }
        let has_two_lengths =
            request.headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some();
        // Whoever reads it as HTTP/1.1 would read another value (RFC 9113, section 8.2.1).
        let is_padded = |value: &HeaderValue| value.as_bytes().trim_ascii().len() != value.len();
        // A scheme stands beside an authority, but for CONNECT, and is that of HTTP (sections 8.3.1 and 8.5).
        let is_of_http = match (request.uri.scheme(), request.uri.authority()) {
            (Some(scheme), _) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
            (None, authority) => authority.is_none() || request.method == Method::CONNECT,
        };
        if has_two_lengths || !is_of_http || request.headers.values().any(is_padded) {
            return Err(Reason::RequestUnreadable);
        }
        let limits = &self.shared.settings.limits;
        let target = request.raw_path().len();
        let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        if target > limits.target_bytes {
            return Err(Reason::TargetTooLong);
        }
        let headers: usize = request.headers.iter().map(header).sum();
        if target + headers > limits.head_bytes || request.headers.len() > HEADERS_MAX {
            return Err(Reason::HeadTooLarge);
        }
        Ok(())
    }

    /// Decides about a request. The first reason that applies is given, in the order of [`Reason`].
    fn admit(
        &self,
        arrival: &Arrival<'_>,
        set: Option<&Arc<InForce>>,
    ) -> Result<Admission, Denial> {
        let unknown = |reason| Denial { reason, labels: Labels::unknown() };
        let request = arrival.request;
        let set = set.ok_or_else(|| unknown(Reason::PoliciesNotLoaded))?;
        let limits = &self.shared.settings.limits;
        let metrics = &self.shared.observers.metrics;
        let is_full = metrics.in_flight() >= limits.responses_in_flight;
        if is_full || metrics.held_bytes() > limits.held_bytes {
            return Err(unknown(Reason::Overloaded));
        }
        // Of what cannot be read there is nothing else to be known.
        if let Some(reason) = arrival.unreadable {
            return Err(unknown(reason));
        }
        if !matches!(request.version, Version::HTTP_11 | Version::HTTP_2) {
            return Err(unknown(Reason::HttpVersionNotSupported));
        }
        self.check_head(request).map_err(unknown)?;
        let host = arrival.host.map_err(unknown)?;
        let target = target(request).map_err(unknown)?;
        let target = if arrival.has_body { target.with_body() } else { target };
        let target = target.with_headers(request.headers.keys().map(HeaderName::as_str));
        let api_key = once(&request.headers, identify::API_KEY).map_err(unknown)?;
        let purpose = once(&request.headers, DATA_PURPOSE).map_err(unknown)?;
        if wants_upgrade(request) {
            return Err(unknown(Reason::UpgradeNotAllowed));
        }
        if let Some(preflight) = preflight(request, set, host, &target) {
            return preflight.map(Admission::Preflight);
        }
        let caller = identify::identify(api_key, &self.shared.settings.api_keys, set);
        let caller = caller.map_err(unknown)?;
        let too_many = |labels| Denial { reason: Reason::TooManyRequests, labels };
        let slot = match caller {
            None => None,
            Some(caller) => Some(self.gate.quotas.take(caller).ok_or_else(|| {
                too_many(Labels { caller: Arc::clone(caller), ..Labels::unknown() })
            })?),
        };
        // What is no text names no purpose.
        let purpose = purpose.map(|value| value.to_str().unwrap_or_default().trim());
        let ask = Ask {
            caller: caller.map(|caller| &**caller),
            purpose,
            host: Some(host),
            target: &target,
        };
        let permit = set.decide(&ask)?;
        // Where anybody may ask, nobody gets more for not saying who it is; who may not has had nothing.
        let slot = slot.or_else(|| self.gate.quotas.take(&permit.labels.caller));
        let slot = slot.ok_or_else(|| too_many(permit.labels.clone()))?;
        let length =
            request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        if length > self.shared.settings.limits.request_body_bytes {
            return Err(Denial { reason: Reason::RequestBodyTooLarge, labels: permit.labels });
        }
        let unserved = || Denial { reason: Reason::Internal, labels: permit.labels.clone() };
        let upstream = self.upstreams.get(&*permit.labels.api).ok_or_else(unserved)?;
        let (upstream, set) = (Arc::clone(upstream), Arc::clone(set));
        let conditions = self.conditions(request, &set, &ask);
        let conditions = conditions.map_err(|reason| Denial { reason, ..unserved() })?;
        // Others may have come in meanwhile.
        let share = Share::of(caller.is_some());
        let flight = metrics.flight(share.of_all(limits.responses_in_flight));
        let flight = flight.ok_or_else(|| Denial { reason: Reason::Overloaded, ..unserved() })?;
        let place = InProgress { _flight: flight, _slot: slot };
        Ok(Admission::Permitted(Admitted { upstream, set, permit, conditions, place, share }))
    }

    /// What stands for the conditions of a request that changes something: validators that were given out on the route which
    /// reads what it changes become those of the upstream. One that does not open cannot be asked for.
    fn conditions(
        &self,
        request: &RequestHeader,
        set: &PolicySet,
        ask: &Ask<'_>,
    ) -> Result<HeaderMap, Reason> {
        let mut conditions = HeaderMap::new();
        if matches!(request.method, Method::GET | Method::HEAD) || !set.gives_validators(ask) {
            return Ok(conditions);
        }
        let names = request.headers.keys().filter(|name| is_condition(name.as_str()));
        let has_tags =
            |name: &&HeaderName| request.headers.get_all(*name).iter().any(message::has_tags);
        let mut names = names.filter(has_tags).peekable();
        if names.peek().is_none() {
            return Ok(conditions);
        }
        let wrong = Reason::ConditionNotAllowed;
        let reading = ask.target.reading();
        let permit = set.decide(&Ask { target: &reading, ..*ask }).map_err(|_denial| wrong)?;
        let sealer = permit.plan.sealer().ok_or(wrong)?;
        let today = passage::today();
        let codings = iter::once(Coding::Identity).chain(OFFERED);
        let bonds = codings.map(|coding| self.bonds(request, &permit, coding, today));
        let bonds: Vec<_> = bonds.collect();
        let open = |tag: &str| bonds.iter().find_map(|bonds| sealer.open(tag, bonds));
        let mut tags = 0;
        for name in names {
            for value in request.headers.get_all(name) {
                let opened = message::opened(name, value, &mut tags, open).ok_or(wrong)?;
                conditions.append(name, opened);
            }
        }
        Ok(conditions)
    }
}

/// The value of a header that must not stand twice: somebody else could go by the other one.
fn once(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(Reason::HeaderRepeated) } else { Ok(value) }
}

/// Whether a client wants to speak another protocol, such as WebSocket, which nobody could look into. To offer
/// HTTP/2 is no wish to, and some clients do so with every request.
fn wants_upgrade(request: &RequestHeader) -> bool {
    let values = request.headers.get_all(header::UPGRADE).iter();
    let mut protocols = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The origin of the page that asks, if the browser says one.
fn origin(request: &RequestHeader) -> Option<&str> {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().ok()?;
    origins.next().is_none().then_some(origin)
}

/// What is said of pages of other origins, whatever is answered.
fn crossing(arrival: &Arrival<'_>, set: &PolicySet) -> Option<Crossing> {
    let origin = origin(arrival.request);
    let crossing = set.crossing(Some(arrival.host.ok()?), origin)?;
    let allowed = origin.filter(|_| crossing.is_allowed()).and_then(|origin| {
        let exposed = HeaderValue::try_from(crossing.exposed().join(", ")).ok()?;
        Some((HeaderValue::try_from(origin).ok()?, exposed))
    });
    Some(Crossing(allowed))
}

/// Whether a browser asks for a page of another origin whether it may ask (Fetch standard, section
/// 4.8), and what it is told.
fn preflight(
    request: &RequestHeader,
    set: &PolicySet,
    host: &str,
    target: &Target,
) -> Option<Result<Preflight, Denial>> {
    if request.method != Method::OPTIONS
        || !request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    set.preflight(Some(host), target, origin(request)?)
}

/// A request that has been read.
struct Arrival<'a> {
    request: &'a RequestHeader,
    /// The host that it asks.
    host: Result<&'a str, Reason>,
    has_body: bool,
    /// Why it is refused, if it cannot be read: then the rest is not what the client has sent.
    unreadable: Option<Reason>,
}

/// What becomes of a request that is not denied.
enum Admission {
    /// It is passed on.
    Permitted(Admitted),
    /// It only asks whether it may ask.
    Preflight(Preflight),
}

/// A request that may be passed on, and where to.
struct Admitted {
    upstream: Arc<Upstream>,
    set: Arc<InForce>,
    permit: Permit,
    /// What stands for its conditions.
    conditions: HeaderMap,
    place: InProgress,
    share: Share,
}

/// How much of what there is for all a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// All that is left.
    All,
    /// Three quarters. The rest stays for callers that say who they are, whatever a stranger asks for on routes for
    /// `anybody`.
    ThreeQuarters,
}

impl Share {
    fn of(is_known: bool) -> Self {
        if is_known { Self::All } else { Self::ThreeQuarters }
    }

    /// So much of it.
    fn of_all(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::ThreeQuarters => all - all / 4,
        }
    }
}

/// What a permitted request takes, as long as it is in progress, of what there is for all, and for its caller.
struct InProgress {
    _flight: Flight,
    _slot: Slot,
}

fn target(request: &RequestHeader) -> Result<Target, Reason> {
    // Behind it there would be no HTTP any more. That of HTTP/1.1 would not have come so far.
    if request.method == Method::CONNECT {
        return Err(Reason::RouteUnknown);
    }
    // What goes on are these bytes, so that they are what is decided about.
    let path = str::from_utf8(request.raw_path()).or(Err(Reason::PathNotCanonical))?;
    if !path.is_ascii() {
        return Err(Reason::PathNotCanonical);
    }
    Target::parse(request.method.as_str(), path)
}

/// The host that is asked, which must be said, and so that it cannot be taken for another.
fn host(request: &RequestHeader) -> Result<&str, Reason> {
    let wrong = Reason::HostNotValid;
    let mut headers = request.headers.get_all(header::HOST).iter();
    let header = headers.next().map(|host| host.to_str().or(Err(wrong))).transpose()?;
    let target = request.uri.authority().map(Authority::as_str);
    let is_other = |header: &str| target.is_some_and(|it| !it.eq_ignore_ascii_case(header));
    if headers.next().is_some() || header.is_some_and(is_other) {
        return Err(wrong);
    }
    let host = target.or(header).ok_or(wrong)?;
    check_host(host).map(|()| host)
}

impl Proxy {
    /// Nothing of this has a limit by default.
    fn set_timeouts(&self, downstream: &mut ServerSession) {
        let is_over = self.shared.draining.load(Ordering::Acquire);
        let timeouts = &self.shared.settings.timeouts;
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
        Duration::from_secs(self.shared.settings.timeouts.idle.as_secs().max(1))
    }

    /// What a permitted request takes with it to its response, and where it goes.
    fn passage(
        &self,
        request: &RequestHeader,
        mut journey: Journey,
        admitted: Admitted,
    ) -> (Arc<Upstream>, Passage) {
        let Admitted { upstream, set, permit, mut conditions, place, share } = admitted;
        journey.labelled(permit.labels.clone());
        journey.occupies(place);
        let liked = request.headers.get_all(header::ACCEPT_ENCODING).iter();
        let liked = liked.filter_map(|value| value.to_str().ok());
        let coding = permit.compresses.then(|| accepted(liked));
        let today = passage::today();
        let validation = permit.plan.sealer().map(|sealer| {
            let coding = coding.unwrap_or(Coding::Identity);
            let bonds = self.bonds(request, &permit, coding, today);
            Validation::of(sealer, bonds, &request.headers)
        });
        if let Some(known) = validation.as_ref().and_then(Validation::condition) {
            conditions.insert(header::IF_NONE_MATCH, known);
        }
        let passage = Passage {
            journey,
            context: MessageContext {
                plan: Arc::clone(&permit.plan),
                is_head: request.method == Method::HEAD,
                passes: permit.passes,
                coding,
                is_chunked: request.version == Version::HTTP_11,
                today,
                validation,
                limits: Arc::clone(&self.gate.limits),
            },
            conditions,
            held_bytes_max: share.of_all(self.gate.held_bytes),
            gate: Arc::clone(&self.gate),
            set,
            permit,
        };
        (upstream, passage)
    }
}
