//! The policies that are in force: reads their folder, watches it, and puts others in force when all of
//! them are right.
//!
//! Policies are exchanged at once and as a whole. Whatever is wrong with new ones, those in force stay,
//! and the log says why.
//!
//! **Must never know** a request: it does not decide, it only says which policies do.
//!
//! ```
//! use std::{path::Path, sync::Arc, time::SystemTime};
//! use tamis::{policy::PolicySet, reload, transform::RootKey};
//!
//! struct Silent;
//! impl reload::Observer for Silent {
//!     fn reloaded(&self, _: Result<&Arc<PolicySet>, ()>, _: SystemTime) {}
//! }
//!
//! let folder = reload::Watched {
//!     folder: "policies".into(),
//!     keys: Box::new(RootKey::from_hex(&"5a".repeat(32))?),
//!     fits: Box::new(|_| Vec::new()),
//! };
//! let start = reload::load(folder)?;
//! let (policies, reloader) = start.watch(Arc::new(Silent))?;
//! assert!(policies.current().is_some());
//! drop(reloader);
//! assert!(policies.current().is_some(), "what is in force stays without somebody who watches");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod folder;
#[cfg(test)]
mod tests;
mod watch;
mod watcher;

use std::{
    fmt, io,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwapOption;

use crate::{
    policy::{self, Plan, PolicySet, Rank, Source},
    transform::Keys,
};

pub use folder::{FILE_BYTES_MAX, FOLDER_BYTES_MAX, Folder, ReadError, read_below, read_folder};
pub use watch::Reloader;
pub use watcher::{Heartbeat, LOOK_MAX, Watcher, WatcherFault};

/// A set that is in force, or was.
#[derive(Debug)]
pub struct InForce {
    set: Arc<PolicySet>,
    replaced: OnceLock<Instant>,
}

impl InForce {
    fn new(set: Arc<PolicySet>) -> Arc<Self> {
        Arc::new(Self { set, replaced: OnceLock::new() })
    }

    /// Since when others have been in force in its place.
    pub fn replaced(&self) -> Option<Instant> {
        self.replaced.get().copied()
    }
}

impl Deref for InForce {
    type Target = PolicySet;

    fn deref(&self) -> &PolicySet {
        &self.set
    }
}

/// The policies that are in force; its clones are the same ones.
#[derive(Clone, Default)]
pub struct Policies {
    in_force: Arc<ArcSwapOption<InForce>>,
    watched: Option<Heartbeat>,
}

impl Policies {
    /// No policies, so that nothing is let through.
    pub fn none() -> Self {
        Self::default()
    }

    /// Policies that stay in force.
    pub fn of(set: PolicySet) -> Self {
        let in_force = Arc::new(ArcSwapOption::new(Some(InForce::new(Arc::new(set)))));
        Self { in_force, watched: None }
    }

    /// Those in force now. Whoever began with them ends with them; this never waits.
    pub fn current(&self) -> Option<Arc<InForce>> {
        self.in_force.load_full()
    }

    /// When their folder was last looked at, if somebody watches it.
    pub fn watched(&self) -> Option<&Heartbeat> {
        self.watched.as_ref()
    }

    #[expect(clippy::disallowed_methods, reason = "how old a set is, is counted from here")]
    fn replace(&self, set: Arc<PolicySet>) {
        let before = self.in_force.swap(Some(InForce::new(set)));
        // Written otherwise, the same policies are other ones: their digest says so.
        if let Some(before) = before {
            before.replaced.get_or_init(Instant::now);
        }
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policies").field(&self.current()).finish()
    }
}

/// What the settings lack for these policies, such as an upstream; nothing, if they fit.
pub type Fits = dyn Fn(&PolicySet) -> Vec<String> + Send + Sync;

/// Who is told how each reload ended.
pub trait Observer: Send + Sync {
    /// These policies are in force, or others were refused and those before stay.
    ///
    /// The first call is by [`Start::watch`] itself, with the policies to start with.
    fn reloaded(&self, result: Result<&Arc<PolicySet>, ()>, at: SystemTime);
}

/// Where policies come from, and what they need to be put in force.
pub struct Watched {
    /// The folder of their files.
    pub folder: PathBuf,
    /// Gives the keys that they need.
    pub keys: Box<dyn Keys>,
    /// Says what else they need and do not have.
    pub fits: Box<Fits>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Policies that can be put in force.
#[derive(Debug)]
pub struct Start {
    watched: Watched,
    loaded: Loaded,
}

/// A set, and the texts that it was made of.
#[derive(Debug)]
struct Loaded {
    sources: Vec<Source>,
    set: Arc<PolicySet>,
}

/// Reads the policies of a folder once.
pub fn load(watched: Watched) -> Result<Start, ReloadError> {
    let loaded = watched.check(watched.read()?)?;
    Ok(Start { watched, loaded })
}

impl Start {
    /// The policies.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.loaded.set
    }

    /// Puts the policies in force, and watches the folder for others from now on. It fails if there
    /// can be no thread.
    pub fn watch(self, observer: Arc<dyn Observer>) -> io::Result<(Policies, Reloader)> {
        let policies = Policies { watched: Some(Heartbeat::new()), ..Policies::none() };
        policies.replace(Arc::clone(&self.loaded.set));
        let reloader = Reloader::start(self, policies.clone(), observer)?;
        Ok((policies, reloader))
    }
}

impl Watched {
    /// The texts of the policies; their tests have no say in what is in force.
    fn read(&self) -> Result<Vec<Source>, ReadError> {
        let mut sources = read_folder(&self.folder)?.sources;
        sources.retain(|source| !source.is_test());
        Ok(sources)
    }

    /// Policies that are right in all: no error, no key missing, nothing that the settings lack.
    fn check(&self, sources: Vec<Source>) -> Result<Loaded, ReloadError> {
        let loaded = policy::load(&sources, &*self.keys);
        let of = |rank| loaded.findings.iter().filter(move |finding| finding.rank == rank);
        let Some(set) = loaded.set else {
            let text = policy::render_all(of(Rank::Error), &sources);
            return Err(ReloadError::Findings { text: text.trim_end().to_owned() });
        };
        let mut lacks: Vec<String> = keys_missing(&set).into_iter().collect();
        lacks.extend((self.fits)(&set));
        if !lacks.is_empty() {
            return Err(ReloadError::DoNotFit { lacks });
        }
        let warnings = policy::render_all(of(Rank::Warning), &sources);
        if !warnings.is_empty() {
            log::warn!("{}", warnings.trim_end());
        }
        Ok(Loaded { sources, set: Arc::new(set) })
    }
}

/// Without its key a pseudonym would be `null`, and no validator would leave, which nobody asked for. There
/// is one key for all of them, so that it is said once.
fn keys_missing(set: &PolicySet) -> Option<String> {
    let any = |lacks: fn(&Plan) -> bool| {
        set.plans().chain(set.plans_of_anybody()).any(|(_, plan)| lacks(plan))
    };
    let what = match (any(Plan::lacks_pseudonym_key), any(Plan::lacks_validator_key)) {
        (true, true) => "make pseudonyms and give out validators",
        (true, false) => "make pseudonyms",
        (false, true) => "give out validators",
        (false, false) => return None,
    };
    Some(format!(
        "the policies {what}: set `keys.root.file` in the settings to the file of the key"
    ))
}

/// Why policies cannot be put in force. Its `Display` is for people, as the one of rustc.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The folder cannot be read.
    #[error("error: {0}")]
    Read(#[from] ReadError),
    /// The policies do not load.
    #[error("{text}")]
    Findings {
        /// Their errors, each at its place.
        text: String,
    },
    /// They load, and lack something.
    #[error("{}", one_a_line(lacks))]
    DoNotFit {
        /// What, at least one.
        lacks: Vec<String>,
    },
}

fn one_a_line(lacks: &[String]) -> String {
    lacks.iter().map(|lack| format!("error: {lack}")).collect::<Vec<_>>().join("\n")
}
