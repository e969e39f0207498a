//! The process around the proxy: its listeners, its signals, and how it ends.

use std::{
    fmt::Display,
    fs::{self, Permissions},
    io, iter,
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerOptions, ServerApp},
    listeners::{L4BufferSettings, ListenerConfig},
    protocols::{
        ALPN, Stream,
        l4::{socket::SocketAddr as LocalAddress, stream::Stream as L4Stream},
    },
    proxy::{HttpProxy, http_proxy},
    server::{
        RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch,
        configuration::{Opt, ServerConf},
    },
    services::{background::background_service, listening::Service},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    config::{Listener, Place, Settings},
    metrics::{HandshakeFailure, Metrics},
    proxy::{
        Proxy, Shared,
        admin::Admin,
        cork::{COLLECTED_BYTES, Corked},
        health::Doctor,
        strict::Rules,
        tls::Door,
        upload::Impatient,
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
        /// The address, or the file of a UNIX socket.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// There can be no thread that looks at certificates.
    #[error("cannot watch the certificates: {0}")]
    Watch(io::Error),
    /// The socket of an upgrade is not where only this user can get to it.
    #[error("`upgrade_socket` has to be in a folder that no other user has a way into, and `{}` {why}", folder.display())]
    Upgrade {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Where the listeners of a process come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listeners {
    /// It opens them.
    Opened,
    /// A process that runs hands them over.
    Inherited,
}

impl Proxy {
    /// Carries requests until the process is told to end: SIGTERM takes requests for
    /// `timeouts.notice`, and lets what has begun end within `timeouts.drain`; SIGINT does not.
    /// SIGQUIT hands the listeners to a process that waits for them; SIGHUP calls `reload`.
    ///
    /// Blocks the thread; SIGTERM, SIGINT and SIGQUIT come back as `Ok`. Listeners that are not handed
    /// over in time end the process with exit code 1.
    pub fn run(
        self,
        listeners: Listeners,
        reload: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.shared);
        let settings = shared.settings.clone();
        if listeners == Listeners::Opened {
            // Pingora listens on a thread of its own, and says nothing if it cannot.
            try_to_listen(&settings.admin, TcpListener::bind(settings.admin))?;
            for listener in &settings.listen {
                match &listener.place {
                    Place::Network(address) => try_to_listen(address, TcpListener::bind(address))?,
                    Place::Unix { path, .. } => try_to_listen(&path.display(), bind_unix(path))?,
                }
            }
        }
        let drain = settings.timeouts.drain;
        let mut conf = ServerConf {
            threads: settings.threads,
            // Pingora waits as long where it hands its listeners over, and nowhere else.
            grace_period_seconds: Some(drain.as_secs() + u64::from(drain.subsec_nanos() > 0)),
            graceful_shutdown_timeout_seconds: Some(LAST_SECONDS),
            max_retries: MAX_TRIES,
            ca_file: shared.certificates.ca_file(),
            ..ServerConf::default()
        };
        if let Some(socket) = &settings.upgrade_socket {
            check_upgrade_socket(socket)?;
            conf.upgrade_sock = socket.display().to_string();
        }
        let inherit = Opt { upgrade: listeners == Listeners::Inherited, ..Opt::default() };
        let mut server = Server::new_with_opt_and_conf(Some(inherit), conf);
        server.bootstrap();
        let doctor = Doctor::of(&self);
        let gateway = Gateway::new(self, &server.configuration, &settings);
        let mut proxy = Service::new("proxy".to_owned(), gateway);
        let buffers = L4BufferSettings::default().write(COLLECTED_BYTES);
        for listener in &settings.listen {
            let config = match &listener.place {
                Place::Network(address) => ListenerConfig::tcp(address.to_string()),
                Place::Unix { path, mode } => ListenerConfig::uds(path.display().to_string())
                    .permissions(Permissions::from_mode(*mode)),
            };
            // TLS is ours to begin: it knows who has how much time.
            proxy.add_listener(config.l4_buffer(buffers));
        }
        let mut admin = Service::new("admin".to_owned(), Admin { shared: Arc::clone(&shared) });
        admin.add_tcp(&settings.admin.to_string());
        admin.threads = Some(1);
        server.add_service(proxy);
        server.add_service(background_service("health", doctor));
        server.add_service(admin);
        let observers = Arc::clone(&shared.observers);
        let metrics = Arc::clone(&observers.metrics);
        let watch = shared.certificates.watch(move |result| metrics.certificates_reloaded(result));
        let watch = watch.map_err(ServeError::Watch)?;
        let reload = move || {
            reload();
            watch.look_now();
        };
        let signals = Signals { shared, reload: Box::new(reload) };
        server.run(RunArgs { shutdown_signal: Box::new(signals) });
        // What was cut off is on record as soon as its task is gone.
        let deadline = Instant::now() + Duration::from_secs(LAST_SECONDS);
        while observers.metrics.in_flight() > 0 && Instant::now() < deadline {
            std::thread::sleep(DRAIN_STEP);
        }
        observers.access_log.flush();
        for listener in &settings.listen {
            if let Place::Unix { path, .. } = &listener.place
                && remove_unix(path).is_err()
            {
                // Whoever listens there next removes it.
            }
        }
        Ok(())
    }
}

fn try_to_listen<T>(address: &dyn Display, bound: io::Result<T>) -> Result<(), ServeError> {
    let address = address.to_string();
    bound.map(drop).map_err(|source| ServeError::Listen { address, source })
}

/// Listens on a UNIX socket for a moment.
fn bind_unix(path: &Path) -> io::Result<()> {
    remove_unix(path)?;
    drop(UnixListener::bind(path)?);
    fs::remove_file(path)
}

/// Removes the file of a UNIX socket on which nobody listens; anything else stays.
fn remove_unix(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
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
    http_2: Arc<Impatient>,
    /// Each listener, and its door if it speaks TLS.
    doors: Vec<(Listener, Option<Arc<Door>>)>,
    /// How long a client may take to begin.
    patience: Duration,
    /// How long a connection takes requests.
    age: Duration,
    /// Turns to true when no connection should take more of them.
    leaving: ShutdownWatch,
    /// What clients of HTTP/1.1 are held to.
    rules: Rules,
    /// Hears of those who do not get in: nothing was asked, so that there is no record.
    metrics: Arc<Metrics>,
}

impl Gateway {
    pub(super) fn new(proxy: Proxy, conf: &Arc<ServerConf>, settings: &Settings) -> Self {
        let timeouts = &settings.timeouts;
        let certificates = &proxy.shared.certificates;
        let doors = certificates.doors().iter().cloned().chain(iter::repeat(None));
        let doors = settings.listen.iter().cloned().zip(doors).collect();
        let mut http_2 = http_proxy(conf, proxy.clone());
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(timeouts.idle);
        http_2.server_options = Some(options);
        let leaving = proxy.shared.leaving.subscribe();
        let metrics = Arc::clone(&proxy.shared.observers.metrics);
        let http_1 = Arc::new(http_proxy(conf, proxy));
        Self {
            http_1,
            http_2: Arc::new(Impatient::new(http_2, timeouts)),
            doors,
            patience: timeouts.client,
            age: timeouts.connection_age,
            leaving,
            rules: Rules::of(settings),
            metrics,
        }
    }

    /// Turns to true when a connection that begins now should take no more requests, as long as the set of
    /// tasks is there: a task of its own, for the connection's wakes up several times in each request.
    fn is_over(&self, shutdown: &ShutdownWatch) -> (ShutdownWatch, JoinSet<()>) {
        let (mut leaving, mut shutdown) = (self.leaving.clone(), shutdown.clone());
        let (tell, told) = watch::channel(*leaving.borrow() || *shutdown.borrow());
        let age = self.age;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Who could tell is gone only at the end of the process.
            tokio::select! {
                () = sleep(age) => {}
                _ = leaving.wait_for(|is_told| *is_told) => {}
                _ = shutdown.wait_for(|is_told| *is_told) => {}
            }
            tell.send_replace(true);
            tell.closed().await;
        });
        (told, tasks)
    }

    /// How a connection comes in.
    fn way(&self, stream: &Stream) -> Way<'_> {
        if self.doors.iter().all(|(listener, _)| listener.tls.is_none()) {
            return Way::InTheClear;
        }
        let digest = stream.get_socket_digest();
        let local = digest.as_ref().and_then(|digest| digest.local_addr());
        let found = match self.doors.as_slice() {
            [only] => Some(only),
            several => local.and_then(|local| {
                several.iter().find(|(listener, _)| is_behind(&listener.place, local))
            }),
        };
        match found {
            Some((_, Some(door))) => Way::Through(door),
            Some((Listener { tls: None, .. }, None)) => Way::InTheClear,
            // Where TLS is meant and nothing can be shown, nobody gets in.
            Some((Listener { tls: Some(_), .. }, None)) | None => Way::Nowhere,
        }
    }
}

/// How a connection comes in.
enum Way<'a> {
    InTheClear,
    /// By TLS.
    Through(&'a Door),
    /// Nobody knows, and nothing is answered.
    Nowhere,
}

/// Whether who connects to `local` gets to a listener at this place.
fn is_behind(place: &Place, local: &LocalAddress) -> bool {
    match place {
        Place::Network(address) => local.as_inet().is_some_and(|to| leads_to(*to, *address)),
        Place::Unix { path, .. } => {
            local.as_unix().is_some_and(|to| to.as_pathname() == Some(path))
        }
    }
}

/// The same, on a network. The settings see to it that there is one listener at most.
fn leads_to(to: SocketAddr, listener: SocketAddr) -> bool {
    let (to_ip, listener_ip) = (to.ip().to_canonical(), listener.ip().to_canonical());
    let is_any = match listener.ip() {
        IpAddr::V4(any) => any.is_unspecified() && to_ip.is_ipv4(),
        IpAddr::V6(any) => any.is_unspecified(),
    };
    to.port() == listener.port() && (is_any || to_ip == listener_ip)
}

#[async_trait]
impl ServerApp for Gateway {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let is_http_2 = match self.way(&stream) {
            Way::Nowhere => return None,
            Way::InTheClear => {
                timeout(self.patience, begins_http_2(&mut stream)).await.ok()?.ok()?
            }
            Way::Through(door) => {
                // One that comes back for its next request has been through.
                if (*stream).as_any().is::<L4Stream>() {
                    let opened = timeout(self.patience, door.open(stream)).await;
                    stream = match opened.unwrap_or(Err(HandshakeFailure::Timeout)) {
                        Ok(stream) => stream,
                        Err(failure) => {
                            self.metrics.handshake_failed(failure);
                            return None;
                        }
                    };
                    let is_http_2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
                    let rules = (!is_http_2).then_some(self.rules);
                    stream = Corked::within(self.patience, stream, rules);
                }
                matches!(stream.selected_alpn_proto(), Some(ALPN::H2))
            }
        };
        let (told, _tasks) = self.is_over(shutdown);
        if is_http_2 {
            return self.http_2.process_new(stream, &told).await;
        }
        self.http_1.process_new(Corked::around(stream, self.rules), &told).await
    }

    async fn cleanup(&self) {
        self.http_1.cleanup().await;
        self.http_2.cleanup().await;
    }
}

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a connection begins as one of HTTP/2 does, all of it: what only looks so at first Pingora
/// would take for HTTP/1.1, and nobody would have read it strictly. No method of HTTP/1.1 that a route
/// can have begins so.
async fn begins_http_2(stream: &mut Stream) -> io::Result<bool> {
    // One byte tells almost all requests apart, and every request has three.
    let mut first = [0];
    stream.try_peek(&mut first).await?;
    if &first != b"P" {
        return Ok(false);
    }
    let mut seen = [0; 3];
    stream.try_peek(&mut seen).await?;
    if &seen != b"PRI" {
        return Ok(false);
    }
    let mut preface = [0; PREFACE.len()];
    stream.try_peek(&mut preface).await?;
    Ok(&preface == PREFACE)
}

/// Whoever gets to this socket could give this process listeners of his own, or take those it has.
fn check_upgrade_socket(socket: &Path) -> Result<(), ServeError> {
    let parent = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let wrong = |why: String| ServeError::Upgrade { folder: folder.to_owned(), why };
    let found = fs::metadata(folder).map_err(|error| wrong(format!("is not there: {error}")))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(wrong("is another user's".to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(wrong(format!("has the mode {:o}: chmod 700", found.mode() & 0o7777)));
    }
    Ok(())
}

/// Whether a process accepts connections on this UNIX socket. To ask it would take the place of the
/// one connection that it waits for.
fn is_listened_on(socket: &Path) -> bool {
    /// What the kernel calls `__SO_ACCEPTCON`.
    const ACCEPTS: &str = "00010000";
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(3);
        fields.next() == Some(ACCEPTS) && fields.nth(3) == socket.to_str()
    })
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
        self.shared.leaving.send_replace(true);
        let deadline = Instant::now() + self.shared.settings.timeouts.drain;
        while self.shared.observers.metrics.in_flight() > 0 && Instant::now() < deadline {
            tokio::select! {
                () = sleep(DRAIN_STEP) => {}
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
            }
        }
        // Whatever is still there has had its time.
        ShutdownSignal::FastShutdown
    }

    /// Whether a process waits for the listeners of this one. Pingora ends this one if none does.
    fn is_replaced(&self) -> bool {
        let Some(socket) = &self.shared.settings.upgrade_socket else {
            log::error!(
                "told to hand over the listeners, and the settings name no `upgrade_socket`"
            );
            return false;
        };
        if !is_listened_on(socket) {
            log::error!(
                "told to hand over the listeners, and no process waits for them: start it with --upgrade"
            );
            return false;
        }
        log::info!("handing over the listeners");
        true
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::hangup(),
        ];
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut quit), Ok(mut hangup)] =
            kinds.map(signal)
        else {
            log::error!("cannot wait for signals");
            return ShutdownSignal::FastShutdown;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => return self.drain(&mut interrupt).await,
                _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
                _ = quit.recv() => if self.is_replaced() {
                    return ShutdownSignal::GracefulUpgrade;
                },
                _ = hangup.recv() => (self.reload)(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to: &str, listener: &str, expected: bool) {
        let found = leads_to(to.parse().unwrap(), listener.parse().unwrap());
        assert_eq!(found, expected, "{to} {listener}");
    }

    #[test]
    fn a_connection_leads_to_the_listener_that_took_it() {
        check("10.0.0.7:443", "10.0.0.7:443", true);
        check("10.0.0.7:443", "10.0.0.8:443", false);
        check("10.0.0.7:443", "10.0.0.7:8443", false);
        check("10.0.0.7:443", "0.0.0.0:443", true);
        check("[::1]:443", "0.0.0.0:443", false);
        check("[::1]:443", "[::]:443", true);
        check("[::ffff:10.0.0.7]:443", "[::]:443", true);
        check("[::ffff:10.0.0.7]:443", "10.0.0.7:443", true);
        check("[2001:db8::1]:443", "[::1]:443", false);
    }
}
