//! Settings as they are checked.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Settings as they are checked. They come only from [`Settings::load`] and [`Settings::parse`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where callers connect; at least one.
    pub listen: Vec<Listener>,
    /// Where metrics and probes are served; none of `listen`.
    pub admin: SocketAddr,
    /// The folder of the policies, from the working directory.
    pub policies: PathBuf,
    /// The file that holds the root key of pseudonyms.
    pub root_key: Option<PathBuf>,
    /// The API keys by which callers are recognised.
    pub api_keys: ApiKeys,
    /// Where requests go, by the name of the api.
    pub upstreams: BTreeMap<String, Upstream>,
    /// How much.
    pub limits: Limits,
    /// How long.
    pub timeouts: Timeouts,
    /// Where access records go.
    pub access_log: AccessLog,
    /// Threads that carry requests.
    pub threads: usize,
    /// The UNIX socket over which a process hands its listeners to the next one.
    pub upgrade_socket: Option<PathBuf>,
}

/// Where callers connect. Its `Display` is the address, or the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub place: Place,
    /// What callers are shown, if they connect by TLS.
    pub tls: Option<KeyPair>,
    /// Connections that are open at the same time through it, if it has a limit of its own.
    pub connections: Option<usize>,
}

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address of this machine.
    Network(SocketAddr),
    /// A UNIX socket.
    Unix {
        /// Its file.
        path: PathBuf,
        /// Who may connect: the permissions of the file.
        mode: u32,
    },
}

impl Place {
    /// Whether only who is on this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(address) => address.ip().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Network(address) => address.fmt(f),
            Place::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

/// An upstream: where the requests of one api go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub places: Places,
    /// How it is asked by TLS, if it is.
    pub tls: Option<UpstreamTls>,
    /// Why it is asked in the clear over a network, if it may be.
    pub plain: Option<String>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whether a connection to it is kept for another request.
    pub keepalive: bool,
    /// What it gets to see as `Host`.
    pub host: HostHeader,
    /// How it is found out which of its addresses answer, if it is.
    pub health: Option<Health>,
}

/// How it is found out whether an upstream answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for; without it, that it takes a connection is enough.
    pub path: Option<String>,
    /// How often, and how long an answer may take.
    pub every: Duration,
}

/// Where an upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// At these addresses, at least one. Which of them is asked makes no difference.
    Network(Vec<Authority>),
    /// At a UNIX socket.
    Unix(PathBuf),
}

impl Places {
    /// Whether what is said there does not leave this machine.
    pub fn are_local(&self) -> bool {
        match self {
            Self::Network(addresses) => addresses.iter().all(Authority::is_loopback),
            Self::Unix(_) => true,
        }
    }
}

/// A host and a port. Its `Display` is `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Authority {
    /// A name, or an address; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is an address of this machine that no other can reach, or the name of one (RFC 6761,
    /// section 6.3): whoever looks the name up has to see to it that it is.
    pub fn is_loopback(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host).to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How an upstream is asked by TLS. There is no way to do without verifying its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name or address that its certificate has to be for, if it is not the host of its address.
    pub name: Option<String>,
    /// The file of the authorities that are trusted, if they are not those of this machine.
    pub ca: Option<PathBuf>,
    /// What tamis shows it.
    pub client: Option<KeyPair>,
}

/// The files of a certificate and of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS.
    H2c,
    /// HTTP/2 over TLS.
    H2,
}

/// What an upstream gets to see as `Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostHeader {
    /// What the client sent, if it is one of those that the policies list for the api; else the address that is asked.
    #[default]
    Unsaid,
    /// What the client sent, which the policies have to list.
    Keep,
    /// Always this.
    Set(String),
}

/// The digests of API keys, each under a name that policies use.
#[derive(Clone, Default)]
pub struct ApiKeys(pub(super) Vec<(String, KeyDigest)>);

/// The SHA-256 of an API key.
pub(super) type KeyDigest = [u8; 32];

impl ApiKeys {
    /// The name of a key that was sent.
    ///
    /// The digest is compared with all that are known, in constant time: how long it takes says
    /// nothing about how near a guess is.
    pub fn name_of(&self, key: &[u8]) -> Option<&str> {
        let digest = Sha256::digest(key);
        let mut found = None;
        for (name, known) in &self.0 {
            if bool::from(known.as_slice().ct_eq(digest.as_slice())) {
                found = Some(name.as_str());
            }
        }
        found
    }

    /// The names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is a key of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The longest body that passes as it is, where the settings say nothing.
pub(crate) const PASS_BYTES: u64 = 64 << 20;

/// How much memory a body and the process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep containers of a body may be nested.
    pub depth: u16,
    /// Longest name of a member that is decided, in bytes.
    pub name_bytes: usize,
    /// Longest value that is changed rather than kept or removed, in bytes.
    pub value_bytes: usize,
    /// Longest white space that is kept before a value whose fate is open, in bytes.
    pub gap_bytes: usize,
    /// Longest value that a filter can ask about, and the most that waits for an array to go on, in bytes.
    pub candidate_bytes: usize,
    /// Longest body, or document of a stream, that is held because a filter asks about all of it, in bytes.
    pub document_bytes: usize,
    /// What one piece of a packed body, of 64 KiB at most, may unpack to, in bytes.
    pub decoded_piece_bytes: usize,
    /// How many times longer a packed body may become, beyond the first `decoded_piece_bytes`.
    pub decoded_ratio: u32,
    /// What a packed body may unpack to, in bytes.
    pub decoded_bytes: u64,
    /// Longest body that passes as it is, unpacked, in bytes.
    pub pass_bytes: u64,
    /// Connections of clients that are open at the same time, of all listeners together; more are closed at once. If
    /// nothing is said, it follows from how many files the process may open: [`Limits::connections_of`].
    pub connections: Option<usize>,
    /// Requests at a time on one connection of HTTP/2.
    pub streams: u32,
    /// Permitted requests that are worked on at the same time; more are turned away.
    pub responses_in_flight: usize,
    /// Requests of one caller that are worked on at the same time, if that has a limit of its own.
    pub caller_in_flight: Option<usize>,
    /// Requests that one caller may begin in a second, and all at once after a pause; as often as it likes if there is
    /// no limit.
    pub caller_requests_per_second: Option<u32>,
    /// What bodies that are on their way may hold together, in bytes; who would hold more is turned away.
    pub held_bytes: usize,
    /// Series of labelled metrics; more are counted together.
    pub metric_series: usize,
    /// Longest head of a request, in bytes.
    pub head_bytes: usize,
    /// Longest target of a request, in bytes.
    pub target_bytes: usize,
    /// Longest body of a request, in bytes.
    pub request_body_bytes: u64,
}

/// Files that a process needs beside those of requests: for its listeners, its logs, its policies, probes.
const FILES_RESERVED: usize = 128;
/// Fewer connections than that are a mistake.
const CONNECTIONS_MIN: usize = 16;
/// The most connections, if nothing is said: some 16 KiB each as long as they say nothing.
const CONNECTIONS_MAX: usize = 20_000;

impl Limits {
    /// The connections for which a process that may open so many files has room: each has a request, and that another
    /// connection to an upstream. None if there is room for hardly any.
    pub fn connections_of(open_files: usize) -> Option<usize> {
        let most = open_files.saturating_sub(FILES_RESERVED) / 2;
        (most >= CONNECTIONS_MIN).then_some(most.min(CONNECTIONS_MAX))
    }

    /// How many files a process opens at most that has `connections`.
    pub fn open_files(&self, connections: usize) -> usize {
        connections.saturating_add(self.responses_in_flight).saturating_add(FILES_RESERVED)
    }
}

/// How long the proxy waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to an upstream.
    pub connect: Duration,
    /// Between two reads from an upstream, or two writes to it.
    pub upstream: Duration,
    /// Between two reads from a client, or two writes to it.
    pub client: Duration,
    /// For the whole head of a request, from its first byte on.
    pub head: Duration,
    /// For the whole body of a request, from the end of its head on.
    pub request_body: Duration,
    /// For the next request on a connection that is kept, on both sides.
    pub idle: Duration,
    /// For requests that still come, once the process is told to end and says that none should.
    pub notice: Duration,
    /// For responses that have begun, after that.
    pub drain: Duration,
    /// From a request to the end of its response.
    pub response_age: Duration,
    /// For responses that have begun, once other policies are in force.
    pub old_policies: Duration,
    /// Until a client's connection takes no more requests.
    pub connection_age: Duration,
}

/// Where access records go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To stdout.
    #[default]
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
