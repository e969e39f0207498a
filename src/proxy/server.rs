//! The process around the proxy: its listeners, its signals, and how it ends.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerOptions, ServerApp},
    listeners::{L4BufferSettings, ListenerConfig},
    protocols::Stream,
    proxy::{HttpProxy, http_proxy},
    server::{
        RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch,
        configuration::ServerConf,
    },
    services::listening::Service,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, timeout},
};

use crate::{
    config::Timeouts,
    proxy::{
        Proxy, Shared,
        admin::Admin,
        cork::{COLLECTED_BYTES, Corked},
    },
};

/// How often a draining process looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// Seconds that what is still running gets when a process ends.
const LAST_SECONDS: u64 = 1;

/// Why the proxy cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is in use, or is not one of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Proxy {
    /// Carries requests until the process is told to end: SIGTERM takes requests for
    /// `timeouts.notice`, and lets what has begun end within `timeouts.drain`; SIGINT does not.
    /// SIGHUP calls `reload`.
    ///
    /// Blocks the thread; SIGTERM and SIGINT come back as `Ok`.
    pub fn run(self, reload: impl Fn() + Send + Sync + 'static) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.shared);
        let settings = shared.settings.clone();
        for address in settings.listen.iter().chain([&settings.admin]) {
            // Pingora listens on a thread of its own, and says nothing if it cannot.
            let listen = |source| ServeError::Listen { address: *address, source };
            drop(TcpListener::bind(address).map_err(listen)?);
        }
        let conf = ServerConf {
            threads: settings.threads,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(LAST_SECONDS),
            max_retries: MAX_TRIES,
            ..ServerConf::default()
        };
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let gateway = Gateway::new(self, &server.configuration, &settings.timeouts);
        let mut proxy = Service::new("proxy".to_owned(), gateway);
        let buffers = L4BufferSettings::default().write(COLLECTED_BYTES);
        for address in &settings.listen {
            proxy.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
        }
        let mut admin = Service::new("admin".to_owned(), Admin { shared: Arc::clone(&shared) });
        admin.add_tcp(&settings.admin.to_string());
        admin.threads = Some(1);
        server.add_service(proxy);
        server.add_service(admin);
        let observers = Arc::clone(&shared.observers);
        let signals = Signals { shared, reload: Box::new(reload) };
        server.run(RunArgs { shutdown_signal: Box::new(signals) });
        // What was cut off is on record as soon as its task is gone.
        let deadline = Instant::now() + Duration::from_secs(LAST_SECONDS);
        while observers.metrics.in_flight() > 0 && Instant::now() < deadline {
            std::thread::sleep(DRAIN_STEP);
        }
        observers.access_log.flush();
        Ok(())
    }
}

/// Addresses of an upstream that are tried for one request, at most.
const MAX_TRIES: usize = 8;

/// Where connections come in, of both versions of HTTP.
///
/// Pingora can tell them apart by itself, but waits for the bytes without an end, and for more of them
/// than a short request has.
pub(super) struct Gateway {
    http_1: Arc<HttpProxy<Proxy>>,
    http_2: Arc<HttpProxy<Proxy>>,
    /// How long a client may take to begin.
    patience: Duration,
}

impl Gateway {
    pub(super) fn new(proxy: Proxy, conf: &Arc<ServerConf>, timeouts: &Timeouts) -> Self {
        let mut http_2 = http_proxy(conf, proxy.clone());
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(timeouts.idle);
        http_2.server_options = Some(options);
        let http_1 = Arc::new(http_proxy(conf, proxy));
        Self { http_1, http_2: Arc::new(http_2), patience: timeouts.client }
    }
}

#[async_trait]
impl ServerApp for Gateway {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let is_http_2 = timeout(self.patience, begins_http_2(&mut stream)).await.ok()?.ok()?;
        let app = if is_http_2 { &self.http_2 } else { &self.http_1 };
        app.process_new(if is_http_2 { stream } else { Corked::around(stream) }, shutdown).await
    }

    async fn cleanup(&self) {
        self.http_1.cleanup().await;
        self.http_2.cleanup().await;
    }
}

/// Whether a connection begins as one of HTTP/2 does (RFC 9113, section 3.4). No method of HTTP/1.1
/// that a route can have begins so.
async fn begins_http_2(stream: &mut Stream) -> io::Result<bool> {
    // One byte tells almost all requests apart, and every request has three.
    let mut first = [0];
    stream.try_peek(&mut first).await?;
    if &first != b"P" {
        return Ok(false);
    }
    let mut seen = [0; 3];
    stream.try_peek(&mut seen).await?;
    Ok(&seen == b"PRI")
}

/// Waits for what the process is told.
struct Signals {
    shared: Arc<Shared>,
    reload: Box<dyn Fn() + Send + Sync>,
}

impl Signals {
    async fn drain(&self, interrupt: &mut Signal) -> ShutdownSignal {
        self.shared.draining.store(true, Ordering::Release);
        log::info!("draining: {} responses in flight", self.shared.observers.metrics.in_flight());
        // Whoever sends requests here has to hear of it first.
        tokio::select! {
            () = sleep(self.shared.settings.timeouts.notice) => {}
            _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
        }
        let deadline = Instant::now() + self.shared.settings.timeouts.drain;
        while self.shared.observers.metrics.in_flight() > 0 && Instant::now() < deadline {
            tokio::select! {
                () = sleep(DRAIN_STEP) => {}
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
            }
        }
        ShutdownSignal::GracefulTerminate
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = kinds.map(signal) else {
            log::error!("cannot wait for signals");
            return ShutdownSignal::FastShutdown;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => return self.drain(&mut interrupt).await,
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
                _ = hangup.recv() => (self.reload)(),
            }
        }
    }
}
