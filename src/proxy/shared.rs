//! What all requests share: settings, policies, upstreams, and who is told of each access.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use tokio_util::task::TaskTracker;

use crate::{
    access::AccessRecord,
    config::Settings,
    metrics::Metrics,
    proxy::{
        access_log::AccessLog, gate::Gate, tls::Certificates, unclassified::Unclassified,
        upstream::Upstream,
    },
    reload::{Heartbeat, Policies},
};

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
    pub(super) fn write(&self, record: &AccessRecord) {
        self.metrics.record(record);
        self.access_log.write(record);
    }
}

/// What the proxy and its admin listener share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) certificates: Certificates,
    pub(super) policies: Policies,
    pub(super) observers: Arc<Observers>,
    /// The process is told to end, and says that no requests should come.
    pub(super) draining: AtomicBool,
    /// The requests whose record is not written.
    pub(super) requests: TaskTracker,
    /// Everybody has heard: connections that are kept should end.
    pub(super) leaving: watch::Sender<bool>,
    /// Time is over: all exchanges end where they are. Connections that should end know it before.
    pub(super) cut: watch::Sender<bool>,
}

impl Shared {
    /// Whether requests should come here.
    pub(super) fn readiness(&self) -> Result<(), String> {
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
    pub(super) async fn end_within(&self, time: Duration) -> bool {
        self.requests.close();
        timeout(time, self.requests.wait()).await.is_ok()
    }

    /// The threads that look for what should come into force: what each looks at, and when it last did.
    pub(super) fn watchers(&self) -> impl Iterator<Item = (&'static str, &Heartbeat)> {
        let policies = self.policies.watched().map(|heartbeat| ("policies", heartbeat));
        let certificates = self.certificates.watched();
        policies.into_iter().chain(certificates.map(|heartbeat| ("certificates", heartbeat)))
    }
}

/// The proxy. Its clones are the same one.
#[derive(Clone)]
pub struct Proxy {
    pub(super) shared: Arc<Shared>,
    pub(super) gate: Arc<Gate>,
    pub(super) upstreams: BTreeMap<String, Arc<Upstream>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
}
