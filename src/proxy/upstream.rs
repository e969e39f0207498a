//! Where an api is, and how tamis speaks to it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderValue, Uri, Version, header};
use pingora::{ErrorType, OrErr as _, http::RequestHeader, upstreams::peer::HttpPeer};

use tokio::{net::lookup_host, time::timeout};

use crate::{
    config::{self, Authority, Health, HostHeader, Places, Protocol, Timeouts},
    proxy::{
        endpoint::Endpoint,
        faults::Cause,
        pool::{Pool, Terms},
        tls::Trust,
    },
};

/// How long the log does not say the same again.
const SAID_FOR: Duration = Duration::from_mins(1);
/// How long the addresses of a name are good for.
const RESOLVED_FOR: Duration = Duration::from_secs(5);

/// The upstream of one api.
pub(super) struct Upstream {
    /// The api that it is of.
    api: String,
    settings: config::Upstream,
    timeouts: Timeouts,
    /// How it is believed, if it is asked by TLS.
    trust: Option<Arc<Trust>>,
    /// The connections to it.
    pool: Pool,
    /// Its addresses as they stand in a `Host`; there is no name for a UNIX socket.
    authorities: Vec<String>,
    resolved: ArcSwapOption<Answer>,
    /// Where it did not answer when it was last asked how it is.
    down: ArcSwap<HashMap<Endpoint, Cause>>,
    /// Whose turn it is among those that answer.
    turn: AtomicUsize,
    /// What the log has said of late, and when.
    said: Mutex<HashMap<(Endpoint, Cause), Instant>>,
}

/// What the names of an upstream stand for.
struct Answer {
    endpoints: Arc<[Endpoint]>,
    at: Instant,
}

impl Upstream {
    /// Without `trust` it is asked in the clear; the settings say whether it has to be there.
    pub(super) fn new(
        api: String,
        settings: config::Upstream,
        timeouts: Timeouts,
        trust: Option<Arc<Trust>>,
    ) -> Self {
        let pool = Pool::new(Terms {
            keeps: settings.keepalive,
            idle: timeouts.idle,
            age: timeouts.connection_age,
            connect: timeouts.connect,
        });
        let authorities = match &settings.places {
            Places::Network(all) => all.iter().map(ToString::to_string).collect(),
            Places::Unix(_) => Vec::new(),
        };
        Self {
            api,
            settings,
            timeouts,
            trust,
            pool,
            authorities,
            resolved: ArcSwapOption::empty(),
            down: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            said: Mutex::default(),
        }
    }

    /// The `Host` that stands for the client's where it is asked at this address; none if there is none. `is_listed` says that the
    /// policies list the hosts of the api: then the client's is one of these.
    pub(super) fn host(&self, endpoint: Endpoint, is_listed: bool) -> Option<&str> {
        match &self.settings.host {
            HostHeader::Keep => None,
            HostHeader::Unsaid if is_listed => None,
            HostHeader::Set(_) | HostHeader::Unsaid => Some(self.own_host(endpoint)),
        }
    }

    /// The host that stands in a request which no client has sent.
    pub(super) fn own_host(&self, endpoint: Endpoint) -> &str {
        match &self.settings.host {
            HostHeader::Set(host) => host,
            HostHeader::Keep | HostHeader::Unsaid => {
                self.authorities.get(endpoint.authority).map_or("localhost", String::as_str)
            }
        }
    }

    /// Has a request say whom it is for, and what becomes of its connection, as the version of HTTP does by which it goes.
    pub(super) fn addressed(
        &self,
        request: &mut RequestHeader,
        is_http_2: bool,
    ) -> pingora::Result<()> {
        if is_http_2 {
            // The host stands in the target there, and nowhere else (RFC 9113, section 8.3.1).
            let host = request.remove_header(&header::HOST);
            let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
            let target = Uri::builder().scheme(scheme).path_and_query(request.raw_path());
            let target = target.authority(host.as_ref().map_or(&b""[..], HeaderValue::as_bytes));
            request.set_uri(target.build().or_err(ErrorType::InternalError, "a target")?);
            request.set_version(Version::HTTP_2);
        } else {
            request.set_version(Version::HTTP_11);
            if !self.settings.keepalive {
                request.insert_header(header::CONNECTION, "close")?;
            }
        }
        Ok(())
    }

    /// Its connections.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Lets go of connections that no request should use any more.
    pub(super) fn sweep(&self) {
        self.pool.sweep(self.trust.as_ref().map_or(0, |trust| trust.number()));
    }

    /// How it is found out where it answers, if it is.
    pub(super) fn health(&self) -> Option<&Health> {
        self.settings.health.as_ref()
    }

    /// A number that is another one for each request.
    pub(super) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// How many addresses there are to try.
    pub(super) fn addresses(&self) -> usize {
        let down = self.down.load();
        self.resolved.load().as_ref().map_or(0, |answer| up(&answer.endpoints, &down).count())
    }

    /// The peer to ask; `turn` is the request's, and counts on with each that could not be reached.
    pub(super) async fn peer(&self, turn: usize) -> Result<(Endpoint, HttpPeer), Cause> {
        let endpoints = self.endpoints().await?;
        let down = self.down.load();
        let index = turn.checked_rem(up(&endpoints, &down).count());
        let endpoint = index.and_then(|index| up(&endpoints, &down).nth(index));
        let Some(&endpoint) = endpoint else { return Err(why_nowhere(&down)) };
        Ok((endpoint, self.peer_at(endpoint)?))
    }

    /// Where it did not answer, and why.
    pub(super) fn leave_out(&self, down: HashMap<Endpoint, Cause>) {
        self.down.store(Arc::new(down));
    }

    /// Has the log say why it did not answer there, once in a while.
    pub(super) fn failed(&self, endpoint: Endpoint, cause: Cause) {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, then| now.saturating_duration_since(*then) < SAID_FOR);
        if said.contains_key(&(endpoint, cause)) {
            return;
        }
        said.insert((endpoint, cause), now);
        drop(said);
        log::warn!("upstream `{}`: {}: {cause}", self.api, self.label(endpoint));
    }

    /// An address as the settings write it.
    pub(super) fn label(&self, endpoint: Endpoint) -> String {
        match &self.settings.places {
            Places::Network(_) => {
                self.authorities.get(endpoint.authority).cloned().unwrap_or_default()
            }
            Places::Unix(path) => path.display().to_string(),
        }
    }

    /// All addresses. Names are looked up now and then, so that an upstream can move.
    pub(super) async fn endpoints(&self) -> Result<Arc<[Endpoint]>, Cause> {
        let known = self.resolved.load_full();
        if let Some(known) = &known
            && known.at.elapsed() < RESOLVED_FOR
        {
            return Ok(Arc::clone(&known.endpoints));
        }
        let endpoints = match &self.settings.places {
            Places::Network(authorities) => self.look_up(authorities).await,
            Places::Unix(_) => vec![Endpoint::SOCKET],
        };
        if endpoints.is_empty() {
            // A name server that is away for a moment takes nothing down.
            return known.map(|known| Arc::clone(&known.endpoints)).ok_or(Cause::Unnamed);
        }
        let endpoints = Arc::from(endpoints);
        let answer = Answer { endpoints: Arc::clone(&endpoints), at: Instant::now() };
        self.resolved.store(Some(Arc::new(answer)));
        Ok(endpoints)
    }

    /// The peer at one address.
    pub(super) fn peer_at(&self, endpoint: Endpoint) -> Result<HttpPeer, Cause> {
        let is_tls = self.settings.tls.is_some();
        let mut peer = match (&self.settings.places, endpoint.address) {
            (Places::Network(authorities), Some(address)) => {
                let host = authorities.get(endpoint.authority).map(Authority::host);
                HttpPeer::new(address, is_tls, self.name(host.ok_or(Cause::Ours)?)?)
            }
            (Places::Unix(path), None) => {
                // The settings take no other name.
                let path = path.to_str().ok_or(Cause::Ours)?;
                HttpPeer::new_uds(path, is_tls, self.name("")?).or(Err(Cause::Ours))?
            }
            (Places::Network(_), None) | (Places::Unix(_), Some(_)) => return Err(Cause::Ours),
        };
        if let Some(trust) = &self.trust {
            trust.bind(&mut peer);
        }
        let options = &mut peer.options;
        // Nothing of this has a limit of its own.
        options.connection_timeout = Some(self.timeouts.connect);
        options.total_connection_timeout = Some(self.timeouts.connect);
        options.read_timeout = Some(self.timeouts.upstream);
        options.write_timeout = Some(self.timeouts.upstream);
        match self.settings.protocol {
            Protocol::Http1 => options.set_http_version(1, 1),
            Protocol::H2c | Protocol::H2 => options.set_http_version(2, 2),
        }
        Ok(peer)
    }

    /// The name that the upstream's certificate has to be for; nothing in the clear.
    fn name(&self, host: &str) -> Result<String, Cause> {
        match (&self.settings.tls, &self.trust) {
            (None, None) => Ok(String::new()),
            (Some(_), Some(trust)) => {
                // Nothing would be verified without a name.
                let name = trust.name(host);
                if name.is_empty() { Err(Cause::Ours) } else { Ok(name.to_owned()) }
            }
            // What is to be asked by TLS is not asked in any other way.
            (Some(_), None) | (None, Some(_)) => Err(Cause::Ours),
        }
    }

    /// What these names stand for now; nothing if nobody says.
    async fn look_up(&self, authorities: &[Authority]) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for (index, authority) in authorities.iter().enumerate() {
            let name = (authority.host(), authority.port());
            // A name server may take longer than anybody waits.
            let found = timeout(self.timeouts.connect, lookup_host(name)).await;
            let found = found.into_iter().flatten().flatten();
            endpoints
                .extend(found.map(|address| Endpoint { address: Some(address), authority: index }));
        }
        if self.settings.tls.is_none() && self.settings.plain.is_none() {
            // Somebody may give `localhost` another address; nothing leaves this machine in the clear.
            endpoints.retain(|endpoint| endpoint.address.is_some_and(|it| it.ip().is_loopback()));
        }
        endpoints
    }
}

/// Those that have not been found not to answer.
fn up<'a>(
    endpoints: &'a [Endpoint],
    down: &'a HashMap<Endpoint, Cause>,
) -> impl Iterator<Item = &'a Endpoint> {
    endpoints.iter().filter(|endpoint| !down.contains_key(*endpoint))
}

/// Why no address is left to ask: a certificate that is not to be believed before anything else.
fn why_nowhere(down: &HashMap<Endpoint, Cause>) -> Cause {
    let untrusted = down.values().find(|cause| matches!(cause, Cause::Certificate(_)));
    untrusted.copied().unwrap_or(Cause::LeftOut)
}
