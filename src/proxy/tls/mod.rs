//! TLS: the certificates that tamis shows, and whom it believes.
//!
//! An upstream is always verified: its certificate leads to an authority that is trusted, is in date, and
//! is for the name that was meant. Pingora verifies nothing where a peer has no name, so no peer is made
//! without one.

mod door;
mod files;
mod kept;

use std::{
    collections::HashMap,
    env, fmt, io,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use pingora::{
    protocols::tls::CaType,
    tls::{RootCertStore, load_platform_certs_incl_env_into_store},
    upstreams::peer::HttpPeer,
    utils::tls::CertKey,
};

use crate::{
    config::{KeyPair, Settings, UpstreamTls},
    files::Opened,
    metrics::Metrics,
    reload::Heartbeat,
};

pub(super) use door::Door;
pub(super) use kept::Watch;

pub(crate) use files::open_to_others;
use files::{Content, Made};
use kept::{Kept, Look};

/// All that the settings say about TLS, read and found right.
#[derive(Default)]
pub struct Certificates {
    /// A door for each listener with TLS, in the order of the settings.
    doors: Vec<Option<Arc<Door>>>,
    upstreams: HashMap<String, Arc<Trust>>,
    kept: Vec<Arc<dyn Look>>,
    /// Whether some upstream is believed because of whom this machine trusts.
    needs_roots: bool,
    warnings: Vec<String>,
    /// When they were last looked at, once somebody does.
    watched: OnceLock<Heartbeat>,
}

/// What is wrong with certificates, keys and those who sign them, in words for people; at least one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|what| format!("error: {what}")).collect::<Vec<_>>().join("\n"))]
pub struct CertificatesError(Vec<String>);

impl Certificates {
    /// Reads every file that the settings name. All that is wrong is said at once.
    pub fn load(settings: &Settings) -> Result<Self, CertificatesError> {
        let mut found = Self::default();
        let mut wrong = Vec::new();
        for (index, listener) in settings.listen.iter().enumerate() {
            let place = format!("listen[{index}].tls");
            let door = listener.tls.clone().and_then(|pair| found.door(place, pair, &mut wrong));
            found.doors.push(door);
        }
        for (name, upstream) in &settings.upstreams {
            let Some(tls) = &upstream.tls else { continue };
            match found.trust(&format!("upstreams.{name}.tls"), tls) {
                Ok(trust) => {
                    found.upstreams.insert(name.clone(), Arc::new(trust));
                }
                Err(whats) => wrong.extend(whats),
            }
        }
        if found.needs_roots
            && let Err(what) = roots()
        {
            wrong.push(what);
        }
        if wrong.is_empty() { Ok(found) } else { Err(CertificatesError(wrong)) }
    }

    /// What people should know although it works.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The file of those whom Pingora trusts if it is told nobody: nobody, where all upstreams have their
    /// own. It could fail on what this machine trusts, and does so by a panic.
    pub(super) fn ca_file(&self) -> Option<String> {
        (!self.needs_roots).then(|| "/dev/null".to_owned())
    }

    /// For each listener of the settings, in their order, its door if it speaks TLS.
    pub(super) fn doors(&self) -> &[Option<Arc<Door>>] {
        &self.doors
    }

    /// How an upstream is asked by TLS, if it is.
    pub(super) fn of_upstream(&self, name: &str) -> Option<Arc<Trust>> {
        self.upstreams.get(name).map(Arc::clone)
    }

    /// Looks at the files from now on, and has `metrics` say what is in use and how each attempt to use
    /// new files ended.
    pub(super) fn watch(&self, metrics: Arc<Metrics>) -> io::Result<Watch> {
        for kept in &self.kept {
            metrics.certificates_in_use(kept.setting(), kept.expiry());
        }
        let told = move |setting: &str, result: Result<i64, ()>| {
            metrics.certificates_reloaded(setting, result);
        };
        let heartbeat = self.watched.get_or_init(Heartbeat::new).clone();
        Watch::start(self.kept.clone(), heartbeat, told)
    }

    /// When the files were last looked at, if somebody watches them.
    pub(super) fn watched(&self) -> Option<&Heartbeat> {
        self.watched.get()
    }

    fn door(
        &mut self,
        place: String,
        KeyPair { certificate, key }: KeyPair,
        wrong: &mut Vec<String>,
    ) -> Option<Arc<Door>> {
        let make = |contents: &[Content]| match contents {
            [certificate, key] => {
                let Made { what, expiry, warnings } = files::pair(certificate, key)?;
                Ok(Made { what: what.certified, expiry, warnings })
            }
            _ => Err("it takes two files".to_owned()),
        };
        let kept = self.keep(Kept::load(place, vec![certificate, key], make), wrong)?;
        Some(Arc::new(Door::new(kept)))
    }

    fn trust(&mut self, place: &str, tls: &UpstreamTls) -> Result<Trust, Vec<String>> {
        let mut wrong = Vec::new();
        let ca = tls.ca.clone().and_then(|file| {
            let place = format!("{place}.ca");
            let make = |contents: &[Content]| match contents {
                [file] => Ok(numbered(files::authorities(file)?)),
                _ => Err("it takes one file".to_owned()),
            };
            self.keep(Kept::load(place, vec![file], make), &mut wrong)
        });
        let client = tls.client.clone().and_then(|KeyPair { certificate, key }| {
            let make = |contents: &[Content]| match contents {
                [certificate, key] => {
                    let Made { what, expiry, warnings } = files::pair(certificate, key)?;
                    let chain = what.chain.iter().map(|der| der.to_vec()).collect();
                    let key = CertKey::new(chain, what.key.secret_der().to_vec());
                    Ok(numbered(Made { what: Arc::new(key), expiry, warnings }))
                }
                _ => Err("it takes two files".to_owned()),
            };
            let place = format!("{place}.certificate");
            self.keep(Kept::load(place, vec![certificate, key], make), &mut wrong)
        });
        self.needs_roots |= tls.ca.is_none();
        if wrong.is_empty() { Ok(Trust { name: tls.name.clone(), ca, client }) } else { Err(wrong) }
    }

    fn keep<T: Send + Sync + 'static>(
        &mut self,
        loaded: Result<(Arc<Kept<T>>, Vec<String>), String>,
        wrong: &mut Vec<String>,
    ) -> Option<Arc<Kept<T>>> {
        match loaded {
            Ok((kept, warnings)) => {
                self.warnings.extend(warnings);
                self.kept.push(Arc::clone(&kept) as Arc<dyn Look>);
                Some(kept)
            }
            Err(what) => {
                wrong.push(what);
                None
            }
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Whether there is anybody whom this machine trusts.
fn roots() -> Result<(), String> {
    let mut store = RootCertStore::empty();
    let help =
        "install them (`ca-certificates`), or name those of each upstream (`tls: { ca: FILE }`)";
    if let Some(file) = env::var_os("SSL_CERT_FILE") {
        // Whoever reads it below would wait for a pipe, and read a device, without an end.
        Opened::at(Path::new(&file)).map_err(|error| {
            format!("SSL_CERT_FILE: `{}` cannot be read: {error}", Path::new(&file).display())
        })?;
    }
    match load_platform_certs_incl_env_into_store(&mut store) {
        Ok(()) if !store.is_empty() => Ok(()),
        Ok(()) => Err(format!("this machine has no certificates of authorities: {help}")),
        Err(_) => {
            Err(format!("the certificates of authorities of this machine cannot be read: {help}"))
        }
    }
}

/// Something that was read once, and the number of that time.
struct Numbered<T> {
    what: T,
    number: u64,
}

fn numbered<T>(Made { what, expiry, warnings }: Made<T>) -> Made<Numbered<T>> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    Made { what: Numbered { what, number }, expiry, warnings }
}

/// One number of two; 0 is nobody's.
fn both<A, B>(one: Option<&Numbered<A>>, other: Option<&Numbered<B>>) -> u64 {
    (one.map_or(0, |it| it.number) << 32) | other.map_or(0, |it| it.number)
}

/// How an upstream is believed, and made to believe.
pub(super) struct Trust {
    name: Option<String>,
    ca: Option<Arc<Kept<Numbered<Arc<CaType>>>>>,
    client: Option<Arc<Kept<Numbered<Arc<CertKey>>>>>,
}

impl Trust {
    /// The name that its certificate has to be for: what the settings say, or the host that is asked.
    pub(super) fn name<'a>(&'a self, host: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(host)
    }

    /// A number that is another one for each of the authorities and client certificates that it has had.
    pub(super) fn number(&self) -> u64 {
        let ca = self.ca.as_ref().map(|kept| kept.now());
        let client = self.client.as_ref().map(|kept| kept.now());
        both(ca.as_deref(), client.as_deref())
    }

    /// Has a peer verified by this, and by nothing else. A connection that was made under others is not for it.
    pub(super) fn bind(&self, peer: &mut HttpPeer) {
        let ca = self.ca.as_ref().map(|kept| kept.now());
        let client = self.client.as_ref().map(|kept| kept.now());
        peer.group_key = both(ca.as_deref(), client.as_deref());
        peer.options.ca = ca.map(|it| Arc::clone(&it.what));
        peer.client_cert_key = client.map(|it| Arc::clone(&it.what));
    }
}
