//! Keeps what is made of files, and makes it anew when they change.
//!
//! Certificates are short-lived, and whoever renews them writes files: one after the other, or through a
//! link that leads elsewhere. So the files are read again and again, and count once they have stayed as
//! they are for a moment and fit each other; until then, and if they never do, what was goes on.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;

use super::files::{Content, Made};
use crate::reload::{Heartbeat, Watcher};

/// How long files have to stay as they are before they count.
const QUIET: Duration = Duration::from_millis(100);

/// How long until files are read again if nobody asks.
const TICK: Duration = Duration::from_secs(5);

type Make<T> = Box<dyn Fn(&[Content]) -> Result<Made<T>, String> + Send + Sync>;
type Reading = Result<Vec<Content>, String>;

/// What is made of some files.
pub(super) struct Kept<T> {
    /// The setting that names them.
    place: String,
    files: Vec<PathBuf>,
    make: Make<T>,
    now: ArcSwap<T>,
    /// When that is not good any more, in seconds since 1970.
    expiry: AtomicI64,
    /// What was read when something was made of it, or nothing could be.
    judged: Mutex<Reading>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Reads the files, which have to be right; says what people should know.
    pub(super) fn load(
        place: String,
        files: Vec<PathBuf>,
        make: impl Fn(&[Content]) -> Result<Made<T>, String> + Send + Sync + 'static,
    ) -> Result<(Arc<Self>, Vec<String>), String> {
        let make: Make<T> = Box::new(make);
        let at = |what: String| format!("`{place}`: {what}");
        let contents = read(&files).map_err(at)?;
        let Made { what, expiry, warnings } = make(&contents).map_err(at)?;
        let warnings = warnings.into_iter().map(at).collect();
        let (now, judged) = (ArcSwap::from_pointee(what), Mutex::new(Ok(contents)));
        let expiry = AtomicI64::new(expiry);
        Ok((Arc::new(Self { place, files, make, now, expiry, judged }), warnings))
    }

    /// What was last made; whoever has it may keep it.
    pub(super) fn now(&self) -> Arc<T> {
        self.now.load_full()
    }
}

fn read(files: &[PathBuf]) -> Reading {
    files.iter().map(|file| Content::read(file)).collect()
}

/// Somebody who looks at files.
pub(super) trait Look: Send + Sync {
    /// The setting that names them.
    fn setting(&self) -> &str;

    /// When what is in use expires, in seconds since 1970.
    fn expiry(&self) -> i64;

    /// Makes something new of the files if they have changed, and says when that expires, or that it could
    /// not; nothing, if they are what they were.
    fn look(&self) -> Option<Result<i64, ()>>;
}

impl<T: Send + Sync + 'static> Look for Kept<T> {
    fn setting(&self) -> &str {
        &self.place
    }

    fn expiry(&self) -> i64 {
        self.expiry.load(Ordering::Relaxed)
    }

    fn look(&self) -> Option<Result<i64, ()>> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = read(&self.files);
        if reading == *judged {
            return None;
        }
        loop {
            thread::sleep(QUIET);
            let again = read(&self.files);
            if again == reading {
                break;
            }
            reading = again;
        }
        let made = reading.as_ref().map_err(Clone::clone).and_then(|it| (self.make)(it));
        *judged = reading;
        Some(match made {
            Ok(Made { what, expiry, warnings }) => {
                self.now.store(Arc::new(what));
                self.expiry.store(expiry, Ordering::Relaxed);
                for warning in warnings {
                    log::warn!("`{}`: {warning}", self.place);
                }
                log::info!("`{}`: new files are in use", self.place);
                Ok(expiry)
            }
            Err(error) => {
                log::error!(
                    "`{}`: new files are refused, and the old ones stay in use: {error}",
                    self.place
                );
                Err(())
            }
        })
    }
}

/// A thread that looks at files until this is dropped.
pub(in crate::proxy) struct Watch {
    thread: Watcher,
    /// Without it the thread ends.
    messages: Option<Sender<()>>,
}

impl Watch {
    /// `told` hears of each attempt to make something new, and for which setting.
    pub(super) fn start(
        all: Vec<Arc<dyn Look>>,
        heartbeat: Heartbeat,
        told: impl Fn(&str, Result<i64, ()>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (messages, received) = channel();
        let thread = Watcher::start("certificates", heartbeat, move |heartbeat| {
            loop {
                for one in &all {
                    if let Some(result) = one.look() {
                        told(one.setting(), result);
                    }
                }
                heartbeat.beat();
                match received.recv_timeout(TICK) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { thread, messages: Some(messages) })
    }

    /// Looks now. Does not wait for it.
    pub(in crate::proxy) fn look_now(&self) {
        if self.messages.as_ref().is_some_and(|messages| messages.send(()).is_err()) {
            // The thread has ended, so there is nobody to tell.
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.messages = None;
        self.thread.end();
    }
}
