//! Finds out which addresses of upstreams answer, so that those that do not are left out.
//!
//! An address is asked as any request would ask it, under the same trust and by the same protocol. It is
//! left out from the first time that it does not answer until the first time that it does.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use http::{StatusCode, header};
use pingora::{
    ErrorType, OkOrErr as _,
    connectors::{ConnectorOptions, TransportConnector},
    http::RequestHeader,
    protocols::http::client::HttpSession,
    server::ShutdownWatch,
    services::background::BackgroundService,
    upstreams::peer::HttpPeer,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    metrics::Metrics,
    proxy::{endpoint::Endpoint, faults::Cause, pool::Pool, shared::Proxy, upstream::Upstream},
};

/// How often connections are looked for that no request should use any more.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Looks after the upstreams: asks those whose settings say so how they are, and lets go of old connections of all.
pub(super) struct HealthChecks {
    checks: Vec<Arc<HealthCheck>>,
    upstreams: Vec<Arc<Upstream>>,
}

/// One upstream, and by which means it is asked.
struct HealthCheck {
    api: String,
    upstream: Arc<Upstream>,
    path: Option<String>,
    every: Duration,
    transport: Arc<TransportConnector>,
    /// Connections of its own, none of which is kept: those of requests are for requests.
    pool: Pool,
    metrics: Arc<Metrics>,
}

impl HealthChecks {
    /// For the upstreams of this proxy, which has to be there already: before the first look all addresses
    /// are taken to answer.
    pub(super) fn of(proxy: &Proxy) -> Self {
        // Nothing is kept for longer than a look.
        let mut options = ConnectorOptions::new(1);
        options.ca_file = proxy.shared.certificates.ca_file();
        let mut checks = Vec::new();
        let transport = Arc::new(TransportConnector::new(Some(options)));
        for (api, upstream) in &proxy.upstreams {
            let Some(health) = upstream.health() else { continue };
            checks.push(Arc::new(HealthCheck {
                api: api.clone(),
                upstream: Arc::clone(upstream),
                path: health.path.clone(),
                every: health.every,
                transport: Arc::clone(&transport),
                pool: upstream.pool().of_one_use(),
                metrics: Arc::clone(&proxy.shared.observers.metrics),
            }));
        }
        Self { checks, upstreams: proxy.upstreams.values().map(Arc::clone).collect() }
    }
}

#[async_trait]
impl BackgroundService for HealthChecks {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut looking = JoinSet::new();
        for check in &self.checks {
            looking.spawn(Arc::clone(check).look_forever());
        }
        let mut sweeping = interval(SWEEP_EVERY);
        sweeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Going, the set of looks ends all of them.
        loop {
            tokio::select! {
                _ = sweeping.tick() => self.upstreams.iter().for_each(|upstream| upstream.sweep()),
                // An error says that nobody is left who could say more.
                changed = shutdown.changed() => if changed.is_err() || *shutdown.borrow() {
                    return;
                },
            }
        }
    }
}

impl HealthCheck {
    async fn look_forever(self: Arc<Self>) {
        let mut down = HashMap::new();
        loop {
            down = self.look(down).await;
            sleep(self.every).await;
        }
    }

    /// Asks at all addresses at once, and says where nobody answers now; `before` is where nobody did.
    async fn look(self: &Arc<Self>, before: HashMap<Endpoint, Cause>) -> HashMap<Endpoint, Cause> {
        // Without a name server nothing new is known.
        let Ok(endpoints) = self.upstream.endpoints().await else { return before };
        let mut looking = JoinSet::new();
        for &endpoint in &*endpoints {
            let one = Arc::clone(self);
            looking.spawn(async move {
                let answers = timeout(one.every, one.answers(endpoint)).await;
                (endpoint, answers.unwrap_or(Err(Cause::TimedOut)))
            });
        }
        let found = looking.join_all().await;
        let down = found.iter().filter_map(|(endpoint, answers)| Some((*endpoint, answers.err()?)));
        let down: HashMap<Endpoint, Cause> = down.collect();
        let mut labels: BTreeMap<String, bool> = BTreeMap::new();
        for (endpoint, answers) in found {
            *labels.entry(self.upstream.label(endpoint)).or_default() |= answers.is_ok();
        }
        for (label, answers) in &labels {
            self.metrics.upstream_healthy(&self.api, label, *answers);
        }
        for (endpoint, cause) in down.iter().filter(|(endpoint, _)| !before.contains_key(endpoint))
        {
            let label = self.upstream.label(*endpoint);
            log::warn!("upstream `{}`: {label} is left out: {cause}", self.api);
        }
        for endpoint in before.keys().filter(|endpoint| !down.contains_key(endpoint)) {
            log::info!("upstream `{}`: {} answers again", self.api, self.upstream.label(*endpoint));
        }
        self.upstream.leave_out(down.clone());
        down
    }

    /// Asks at an address; why it is not to be asked anything else, if it is not.
    async fn answers(&self, endpoint: Endpoint) -> Result<(), Cause> {
        let peer = self.upstream.peer_at(endpoint)?;
        let status = self.ask(endpoint, &peer).await.map_err(|error| Cause::of(&error))?;
        match status.filter(|status| !status.is_success()) {
            Some(status) => Err(Cause::Unwell(status.as_u16())),
            None => Ok(()),
        }
    }

    /// The status with which it answers; none where a connection is enough.
    async fn ask(
        &self,
        endpoint: Endpoint,
        peer: &HttpPeer,
    ) -> pingora::Result<Option<StatusCode>> {
        let Some(path) = &self.path else {
            drop(self.transport.new_stream(peer).await?);
            return Ok(None);
        };
        let mut session = self.pool.connect(&self.transport, endpoint, peer).await?.session;
        let mut request = RequestHeader::build("GET", path.as_bytes(), Some(2))?;
        request.insert_header(header::HOST, self.upstream.own_host(endpoint))?;
        self.upstream.addressed(&mut request, matches!(session, HttpSession::H2(_)))?;
        match &mut session {
            HttpSession::H2(stream) => stream.write_request_header(Box::new(request), true)?,
            HttpSession::H1(_) | HttpSession::Custom(()) => {
                session.write_request_header(Box::new(request)).await?;
                session.finish_request_body().await?;
            }
        }
        // Interim responses may come first; how long all of it may take is said by whoever asks.
        let status = loop {
            session.read_response_header().await?;
            let head = session.response_header();
            let status = head.or_err(ErrorType::InternalError, "no head")?.status;
            if !status.is_informational() {
                break status;
            }
        };
        // The rest of the answer is of no interest, and the connection ends with it.
        Ok(Some(status))
    }
}
