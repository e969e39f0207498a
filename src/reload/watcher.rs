//! A thread that looks at files again and again, and whether it still does.
//!
//! To read a file may hang for as long as its file system does, and code may fail. Neither may go unseen,
//! for from then on nothing new comes into force; and neither may keep the process from ending.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a look may take. Watchers look every few seconds, and a look takes milliseconds, but for policies
/// that take long to compile.
pub const LOOK_MAX: Duration = Duration::from_secs(30);

/// How long the end waits for a watcher that is told to stop.
const END_WAIT_MAX: Duration = Duration::from_secs(1);

/// When a watcher last came to the end of a look; its clones are the same one.
#[derive(Clone)]
pub struct Heartbeat(Arc<Beats>);

struct Beats {
    begun: Instant,
    /// When the last look ended, in milliseconds after `begun`.
    looked: AtomicU64,
    has_ended: AtomicBool,
}

/// What is wrong with a watcher. Its `Display` goes behind its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatcherFault {
    /// No look has come to its end for longer than [`LOOK_MAX`].
    #[error("has not finished a look for more than {} s", LOOK_MAX.as_secs())]
    Stalled,
    /// Its thread has ended.
    #[error("has ended by an error")]
    Ended,
}

impl Heartbeat {
    /// Begins as if a look had ended now.
    #[expect(clippy::disallowed_methods, reason = "how long a look takes is counted from here")]
    pub fn new() -> Self {
        let (looked, has_ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Beats { begun: Instant::now(), looked, has_ended }))
    }

    /// Says that a look has come to its end.
    pub fn beat(&self) {
        self.0.looked.store(self.now(), Ordering::Release);
    }

    /// How long ago a look came to its end.
    pub fn age(&self) -> Duration {
        let looked = self.0.looked.load(Ordering::Acquire);
        Duration::from_millis(self.now().saturating_sub(looked))
    }

    /// What is wrong now.
    pub fn fault(&self) -> Option<WatcherFault> {
        if self.0.has_ended.load(Ordering::Acquire) {
            return Some(WatcherFault::Ended);
        }
        (self.age() > LOOK_MAX).then_some(WatcherFault::Stalled)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets so much time go by, for tests that have none.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "a look that began before the test")]
    pub(crate) fn aged(by: Duration) -> Self {
        let begun = Instant::now().checked_sub(by).unwrap();
        let (looked, has_ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Beats { begun, looked, has_ended }))
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("age", &self.age()).finish_non_exhaustive()
    }
}

/// A thread that looks at files.
pub struct Watcher {
    /// What it looks at, for messages.
    what: &'static str,
    thread: Option<JoinHandle<()>>,
    /// Ends when the thread has. The lock is only for sharing: the end has it alone.
    ended: Mutex<Receiver<()>>,
}

impl Watcher {
    /// Begins to `look`, on a thread that is called `what`.
    pub fn start(
        what: &'static str,
        heartbeat: Heartbeat,
        look: impl FnOnce(&Heartbeat) + Send + 'static,
    ) -> io::Result<Self> {
        /// Goes with the thread, also in a panic.
        struct Alive(
            Heartbeat,
            #[expect(dead_code, reason = "its end is what it says")] Sender<()>,
        );
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.0.has_ended.store(true, Ordering::Release);
            }
        }
        let (end, ended) = channel();
        let thread = thread::Builder::new().name(what.to_owned()).spawn(move || {
            let alive = Alive(heartbeat, end);
            look(&alive.0);
        })?;
        Ok(Self { what, thread: Some(thread), ended: Mutex::new(ended) })
    }

    /// Waits until the thread has ended, which has been told to; but not for long, for it may hang.
    pub fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(END_WAIT_MAX) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the watcher of the {} hangs, and is not waited for", self.what);
        } else if thread.join().is_err() {
            log::error!("the watcher of the {} had ended by an error", self.what);
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("what", &self.what).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it measures how long the end takes")]
    fn a_watcher_that_hangs_is_seen_and_not_waited_for() {
        let nearly = LOOK_MAX.saturating_sub(Duration::from_secs(5));
        let heartbeat = Heartbeat::aged(nearly);
        assert_eq!(heartbeat.fault(), None);
        let heartbeat = Heartbeat::aged(LOOK_MAX + Duration::from_secs(1));
        assert_eq!(heartbeat.fault(), Some(WatcherFault::Stalled));
        let (go, wait) = channel::<()>();
        let mut watcher = Watcher::start("files", heartbeat.clone(), move |heartbeat| {
            wait.recv().unwrap();
            heartbeat.beat();
            wait.recv().unwrap();
        });
        let watcher = watcher.as_mut().unwrap();
        assert_eq!(heartbeat.fault(), Some(WatcherFault::Stalled));
        go.send(()).unwrap();
        while heartbeat.fault().is_some() {
            thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        watcher.end();
        assert!(begun.elapsed() >= END_WAIT_MAX, "it was given time");
    }

    #[test]
    fn a_watcher_that_fails_is_seen() {
        let heartbeat = Heartbeat::new();
        let watcher = Watcher::start("files", heartbeat.clone(), |_| panic!("a fault"));
        while heartbeat.fault() != Some(WatcherFault::Ended) {
            thread::sleep(Duration::from_millis(1));
        }
        watcher.unwrap().end();
    }
}
