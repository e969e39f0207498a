//! The process around the proxy: its listeners, its signals, and how it ends.

use std::{
    fs::{self, Permissions},
    io, iter,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{IntoRawFd as _, OwnedFd, RawFd},
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    listeners::{L4BufferSettings, ListenerConfig},
    server::{
        Fds, ListenFds, RunArgs, Server, ShutdownWatch,
        configuration::{Opt, ServerConf},
    },
    services::{Service as ServiceTrait, background::background_service, listening::Service},
};
use socket2::SockRef;
use tokio::{
    runtime,
    sync::{oneshot, watch},
};

use crate::{
    config::{Listener, Place, Settings},
    proxy::{
        admin::Admin,
        gateway::Gateway,
        health::HealthChecks,
        shared::{Proxy, Shared},
        signals::{EndingWatch, Signals},
    },
};

/// The longest record of TLS (RFC 8446, section 5.1).
const TLS_RECORD_BYTES: usize = 16 << 10;
/// Bytes that the kernel holds of a response beyond those that are on their way. With more it would say only after megabytes
/// that a slow client goes on, and that would be taken for one that does not read.
const UNSENT_BYTES: u32 = 128 << 10;
/// Seconds that what is still running gets when a process ends.
const LAST_SECONDS: u64 = 1;
/// How long the records of what was cut off are waited for. They are there at once, but on a machine that
/// has much else to do.
const RECORDS_WAIT_MAX: Duration = Duration::from_secs(5);

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
    /// Signals cannot be heard.
    #[error("cannot hear signals: {0}")]
    Signals(io::Error),
    /// There can be no thread that carries requests.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// There can be no thread that looks at certificates.
    #[error("cannot watch the certificates: {0}")]
    Watch(io::Error),
    /// No process has handed over its listeners.
    #[error("no process handed over its listeners in 5 s: send it SIGQUIT while this one waits")]
    NotHandedOver,
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
    /// SIGQUIT hands the listeners to a process that waits for them, and what has begun may end, within
    /// `timeouts.drain`, unless SIGTERM or SIGINT end it sooner; SIGHUP calls `reload`, and like SIGUSR1
    /// opens the access log again.
    ///
    /// Blocks the thread; SIGTERM, SIGINT and SIGQUIT come back as `Ok`.
    pub fn run(
        self,
        listeners: Listeners,
        reload: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.shared);
        let settings = shared.settings.clone();
        let conf = server_conf(&shared)?;
        let sockets = match (listeners, &settings.upgrade_socket) {
            (Listeners::Opened, _) => Sockets::bound(&settings)?,
            (Listeners::Inherited, Some(socket)) => Sockets::inherited(socket)?,
            (Listeners::Inherited, None) => return Err(ServeError::NotHandedOver),
        };
        let mut server = Server::new_with_opt_and_conf(Some(Opt::default()), conf);
        server.bootstrap();
        let health_checks = HealthChecks::of(&self);
        let gateway = Gateway::new(self, &server.configuration, &settings);
        let mut proxy = Service::new("proxy".to_owned(), gateway);
        for listener in &settings.listen {
            proxy.add_listener(listener_config(listener));
        }
        let mut admin = Service::new("admin".to_owned(), Admin::new(Arc::clone(&shared)));
        admin.add_tcp(&settings.admin.to_string());
        admin.threads = Some(1);
        server.add_service(Listening { service: proxy, sockets: sockets.clone() });
        server.add_service(background_service("health", health_checks));
        server.add_service(Listening { service: admin, sockets });
        let observers = Arc::clone(&shared.observers);
        let watch = shared.certificates.watch(Arc::clone(&observers.metrics));
        let watch = watch.map_err(ServeError::Watch)?;
        let reload = move || {
            reload();
            watch.look_now();
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ServeError::Signals)?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen().map_err(ServeError::Signals)?
        };
        let listen: Vec<String> = settings.listen.iter().map(ToString::to_string).collect();
        let set = shared.policies.current();
        log::info!(
            "serving on {}, admin on {}, policies {}",
            listen.join(", "),
            settings.admin,
            set.map_or_else(|| "none".to_owned(), |set| set.digest().to_string())
        );
        let (tell, told) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        // Once its listeners have gone to another process, Pingora sleeps until it ends. So it does that on a
        // thread that need not be waited for.
        let serving = thread::Builder::new().name("serving".to_owned());
        let serving = serving.spawn(move || {
            // It goes, and is heard going, also in a panic.
            let _end: oneshot::Sender<()> = end;
            server.run(RunArgs { shutdown_signal: Box::new(EndingWatch(told)) });
        });
        let serving = serving.map_err(ServeError::Thread)?;
        let is_replaced = runtime.block_on(signals.obey(&shared, &reload, &tell, ended));
        if !is_replaced && let Err(panic) = serving.join() {
            resume_unwind(panic);
        }
        // What was cut off is on record as soon as its task is gone.
        if !runtime.block_on(shared.end_within(RECORDS_WAIT_MAX)) {
            log::error!("the records of {} requests are not written", shared.requests.len());
        }
        observers.access_log.flush();
        remove_sockets(&settings.listen);
        Ok(())
    }
}

fn server_conf(shared: &Shared) -> Result<ServerConf, ServeError> {
    let settings = &shared.settings;
    let drain = settings.timeouts.drain;
    let mut conf = ServerConf {
        threads: settings.threads,
        // Pingora waits as long where it hands its listeners over, and nowhere else.
        grace_period_seconds: Some(drain.as_secs() + u64::from(drain.subsec_nanos() > 0)),
        graceful_shutdown_timeout_seconds: Some(LAST_SECONDS),
        ca_file: shared.certificates.ca_file(),
        ..ServerConf::default()
    };
    if let Some(socket) = &settings.upgrade_socket {
        check_upgrade_socket(socket)?;
        conf.upgrade_sock = socket.display().to_string();
    }
    Ok(conf)
}

fn listener_config(listener: &Listener) -> ListenerConfig {
    let config = match &listener.place {
        Place::Network(address) => ListenerConfig::tcp(address.to_string()),
        Place::Unix { path, mode } => ListenerConfig::uds(path.display().to_string())
            .permissions(Permissions::from_mode(*mode)),
    };
    // A connection that says nothing has no buffer. TLS reads a record in several pieces.
    let read_bytes = if listener.tls.is_some() { TLS_RECORD_BYTES } else { 0 };
    // TLS is ours to begin: it knows who has how much time.
    config.l4_buffer(L4BufferSettings::new(read_bytes, 0))
}

/// Removes the UNIX sockets of listeners; whoever listens there next removes what is left.
fn remove_sockets(listeners: &[Listener]) {
    for listener in listeners {
        if let Place::Unix { path, .. } = &listener.place {
            let _removed_later = remove_unix(path);
        }
    }
}

/// Sockets that listen, by their addresses. They stay open until the process ends.
#[derive(Clone, Debug)]
struct Sockets(Vec<(String, RawFd)>);

impl Sockets {
    /// Binds every address of the settings. Pingora would bind each on a thread of its own, some time later, and
    /// say nothing if it cannot; so connections are taken as soon as the process says that it serves.
    fn bound(settings: &Settings) -> Result<Self, ServeError> {
        let mut bound: Vec<(String, OwnedFd)> = Vec::new();
        let mut bind = |address: String, socket: io::Result<OwnedFd>| match socket {
            Ok(socket) => {
                bound.push((address, socket));
                Ok(())
            }
            Err(source) => Err(ServeError::Listen { address, source }),
        };
        bind(settings.admin.to_string(), bind_tcp(settings.admin))?;
        let mut files = Vec::new();
        for listener in &settings.listen {
            let bound = match &listener.place {
                Place::Network(address) => bind(address.to_string(), bind_tcp(*address)),
                Place::Unix { path, mode } => {
                    let bound = bind(path.display().to_string(), bind_unix(path, *mode));
                    files.extend(bound.is_ok().then_some(path));
                    bound
                }
            };
            if let Err(error) = bound {
                for file in files {
                    if fs::remove_file(file).is_err() {
                        // Whoever listens there next removes it.
                    }
                }
                return Err(error);
            }
        }
        let sockets = bound.into_iter().map(|(address, socket)| (address, socket.into_raw_fd()));
        Ok(Self(sockets.collect()))
    }

    /// Waits until a process hands its sockets over. Pingora can do that by itself, and ends the process if
    /// none does.
    fn inherited(from: &Path) -> Result<Self, ServeError> {
        let mut fds = Fds::new();
        fds.get_from_sock(&*from.to_string_lossy()).or(Err(ServeError::NotHandedOver))?;
        let (addresses, fds) = fds.serialize();
        Ok(Self(iter::zip(addresses, fds).collect()))
    }
}

/// A service that takes connections from sockets that listen already.
struct Listening<S> {
    service: S,
    sockets: Sockets,
}

#[async_trait]
impl<S: ServiceTrait> ServiceTrait for Listening<S> {
    async fn start_service(
        &mut self,
        fds: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        if let Some(fds) = &fds {
            // They are also what the process hands to the next one.
            let mut fds = fds.lock();
            for (address, fd) in &self.sockets.0 {
                fds.add(address.clone(), *fd);
            }
        }
        self.service.start_service(fds, shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    // Its connections have it from here.
    SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    remove_unix(path)?;
    let socket = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Something else has the name of a UNIX socket, and stays.
pub(super) fn no_socket() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "the file is no socket")
}

/// Removes the file of a UNIX socket on which nobody listens; anything else stays.
fn remove_unix(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(no_socket());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

/// Whoever gets to this socket could give this process listeners of his own, or take those it has.
pub(super) fn check_upgrade_socket(socket: &Path) -> Result<(), ServeError> {
    let parent = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let wrong = |why: String| ServeError::Upgrade { folder: folder.to_owned(), why };
    let found = fs::metadata(folder).map_err(|error| wrong(format!("is not there: {error}")))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(wrong("is another user's".to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        // The folder may be one that everybody needs, such as /tmp: its mode is not for us to change.
        let mode = found.mode() & 0o7777;
        return Err(wrong(format!(
            "has the mode {mode:o}: make a folder for it alone, by `mkdir -m 700`"
        )));
    }
    Ok(())
}
