//! Where an api is, and how tamis speaks to it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use pingora::{
    BError, Error, ErrorType,
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy},
};

use tokio::{net::lookup_host, time::timeout};

use crate::{
    config::{self, Authority, HostHeader, Places, Protocol, Timeouts},
    proxy::tls::Trust,
};

/// How long the addresses of a name are good for.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// Bytes that an HTTP/2 upstream may send before tamis has passed them on: what a slow client costs.
const H2_WINDOW_BYTES: u32 = 256 << 10;
/// Requests at a time on one HTTP/2 connection.
const H2_STREAMS: usize = 100;

/// The upstream of one api.
pub(super) struct Upstream {
    settings: config::Upstream,
    timeouts: Timeouts,
    /// How it is believed, if it is asked by TLS.
    trust: Option<Arc<Trust>>,
    resolved: ArcSwapOption<Answer>,
}

/// What the names of an upstream stand for.
struct Answer {
    addresses: Vec<Resolved>,
    at: Instant,
}

/// One of the addresses that a host has.
struct Resolved {
    address: SocketAddr,
    /// Which of those of the settings it is one of.
    authority: usize,
}

impl Upstream {
    /// Without `trust` it is asked in the clear; the settings say whether it has to be there.
    pub(super) fn new(
        settings: config::Upstream,
        timeouts: Timeouts,
        trust: Option<Arc<Trust>>,
    ) -> Self {
        Self { settings, timeouts, trust, resolved: ArcSwapOption::empty() }
    }

    /// The `Host` that stands for the client's, if there is one.
    pub(super) fn host(&self) -> Option<&str> {
        match &self.settings.host {
            HostHeader::Keep => None,
            HostHeader::Set(host) => Some(host),
        }
    }

    /// How many addresses there are to try.
    pub(super) fn addresses(&self) -> usize {
        match &self.settings.places {
            Places::Network(_) => {
                self.resolved.load().as_ref().map_or(0, |answer| answer.addresses.len())
            }
            Places::Unix(_) => 1,
        }
    }

    /// The peer to ask; `tries` counts those that could not be reached for this request.
    pub(super) async fn peer(&self, tries: usize) -> pingora::Result<HttpPeer> {
        let mut peer = match &self.settings.places {
            Places::Network(authorities) => {
                let answer = self.resolve(authorities).await?;
                let found = tries
                    .checked_rem(answer.addresses.len())
                    .and_then(|index| answer.addresses.get(index))
                    .ok_or_else(unreachable)?;
                let host = authorities.get(found.authority).map(Authority::host);
                let name = self.name(host.ok_or_else(unreachable)?)?;
                HttpPeer::new(found.address, self.settings.tls.is_some(), name)
            }
            Places::Unix(path) => {
                // The settings take no other name.
                let path = path.to_str().ok_or_else(unreachable)?;
                HttpPeer::new_uds(path, self.settings.tls.is_some(), self.name("")?)?
            }
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
        options.idle_timeout = Some(self.timeouts.idle);
        options.h2_stream_window_size = Some(H2_WINDOW_BYTES);
        options.max_h2_streams = H2_STREAMS;
        // After an upgrade nobody could say what the bytes are.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        match self.settings.protocol {
            Protocol::Http1 => options.set_http_version(1, 1),
            Protocol::H2c | Protocol::H2 => options.set_http_version(2, 2),
        }
        Ok(peer)
    }

    /// The name that the upstream's certificate has to be for; nothing in the clear.
    fn name(&self, host: &str) -> pingora::Result<String> {
        match (&self.settings.tls, &self.trust) {
            (None, None) => Ok(String::new()),
            (Some(_), Some(trust)) => {
                // Nothing would be verified without a name.
                let name = trust.name(host);
                if name.is_empty() { Err(unreachable()) } else { Ok(name.to_owned()) }
            }
            // What is to be asked by TLS is not asked in any other way.
            (Some(_), None) | (None, Some(_)) => Err(unreachable()),
        }
    }

    /// Names are looked up now and then, so that an upstream can move.
    async fn resolve(&self, authorities: &[Authority]) -> pingora::Result<Arc<Answer>> {
        let known = self.resolved.load_full();
        if let Some(known) = &known
            && known.at.elapsed() < RESOLVED_FOR
        {
            return Ok(Arc::clone(known));
        }
        let mut addresses = Vec::new();
        for (index, authority) in authorities.iter().enumerate() {
            let name = (authority.host(), authority.port());
            // A name server may take longer than anybody waits.
            let found = timeout(self.timeouts.connect, lookup_host(name)).await;
            let found = found.into_iter().flatten().flatten();
            addresses.extend(found.map(|address| Resolved { address, authority: index }));
        }
        if self.settings.tls.is_none() && self.settings.plain.is_none() {
            // Somebody may give `localhost` another address; nothing leaves this machine in the clear.
            addresses.retain(|found| found.address.ip().is_loopback());
        }
        if addresses.is_empty() {
            // A name server that is away for a moment takes nothing down.
            return known.ok_or_else(unreachable);
        }
        let answer = Arc::new(Answer { addresses, at: Instant::now() });
        self.resolved.store(Some(Arc::clone(&answer)));
        Ok(answer)
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "errors of Pingora are boxed everywhere")]
fn unreachable() -> BError {
    Error::new_up(ErrorType::ConnectNoRoute)
}
