//! Looks at a folder again and again, and lets policies in that are whole.
//!
//! The system says when something may have changed; what did change, only a look at the texts tells.
//! So events are never taken for more than a reason to look, and a look every few seconds does for
//! those that do not come: file systems of other machines, links that lead elsewhere.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};

use crate::{
    policy::Source,
    reload::{Heartbeat, Loaded, Observer, Policies, Start, Watched, Watcher},
};

/// How long texts have to stay as they are before they count: somebody who edits two files, or one in
/// two steps, is not interrupted in the middle.
const QUIET: Duration = Duration::from_millis(100);

/// How long to wait for an event before looking without one.
const TICK: Duration = Duration::from_secs(5);

/// Watches the folder on a thread of its own, until it is dropped.
pub struct Reloader {
    thread: Watcher,
    messages: Sender<Message>,
}

/// What the thread can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// Something may have changed.
    Look,
    /// Somebody wants to know how things are.
    Reload,
    /// There is nobody left to watch for.
    Stop,
}

impl Message {
    /// Whether somebody asked, with this message or before; none, if it is the last.
    fn or(self, is_asked: bool) -> Option<bool> {
        match self {
            Self::Look => Some(is_asked),
            Self::Reload => Some(true),
            Self::Stop => None,
        }
    }
}

impl Reloader {
    pub(super) fn start(
        start: Start,
        policies: Policies,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let Start { watched, loaded } = start;
        let (messages, received) = channel();
        observer.reloaded(Ok(&loaded.set), now());
        let watch = Watch::of(&watched.folder, messages.clone());
        let heartbeat = policies.watched().cloned().unwrap_or_default();
        let mut looking =
            Looking { watched, policies, observer, received, in_force: loaded, refused: None };
        let look = move |heartbeat: &Heartbeat| looking.run(watch, heartbeat);
        let thread = Watcher::start("policies", heartbeat, look)?;
        Ok(Self { thread, messages })
    }

    /// Looks now, and says how that ended even if nothing has changed: for SIGHUP. Does not wait for
    /// it.
    pub fn reload_now(&self) {
        self.tell(Message::Reload);
    }

    fn tell(&self, message: Message) {
        if self.messages.send(message).is_err() {
            // The thread has ended, so there is nobody to tell.
        }
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.tell(Message::Stop);
        self.thread.end();
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloader(..)")
    }
}

/// Somebody who looks.
struct Looking {
    watched: Watched,
    policies: Policies,
    observer: Arc<dyn Observer>,
    received: Receiver<Message>,
    in_force: Loaded,
    /// What the last look came to, if that was refused.
    refused: Option<Reading>,
}

/// The texts of the folder, or in words why there are none.
type Reading = Result<Vec<Source>, String>;

/// What to do, when it is known.
enum Next {
    /// Judge this, which has settled; and say so even if it is nothing new.
    Judge { reading: Reading, is_asked: bool },
    /// Wait.
    Nothing,
    /// End.
    Stop,
}

impl Looking {
    fn run(&mut self, mut watch: Watch, heartbeat: &Heartbeat) {
        // What was changed before the first look was not heard.
        let mut message = Message::Look;
        while let Some(is_asked) = message.or(false).and_then(|is_asked| self.heard(is_asked)) {
            // What is changed from here on is heard, and what was changed before is seen.
            watch.arm();
            match self.look(is_asked) {
                Next::Judge { reading, is_asked } => self.judge(reading, is_asked),
                Next::Nothing => {}
                Next::Stop => return,
            }
            heartbeat.beat();
            message = match self.received.recv_timeout(TICK) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => Message::Look,
                Err(RecvTimeoutError::Disconnected) => Message::Stop,
            };
        }
    }

    fn read(&self) -> Reading {
        self.watched.read().map_err(|error| error.to_string())
    }

    /// Takes what has been said, which the next reading answers: whether somebody asked, now or
    /// before; none, if this is the end.
    fn heard(&self, is_asked: bool) -> Option<bool> {
        self.received.try_iter().try_fold(is_asked, |is_asked, message| message.or(is_asked))
    }

    /// Reads until two readings in a row are the same.
    ///
    /// All that they hold stood there together for the time between them: of files that are written
    /// one soon after the other, never the new one beside the old.
    fn look(&self, mut is_asked: bool) -> Next {
        let mut before = self.read();
        if !is_asked && self.is_known(&before) {
            return Next::Nothing;
        }
        loop {
            thread::sleep(QUIET);
            let Some(asked) = self.heard(is_asked) else { return Next::Stop };
            is_asked = asked;
            let reading = self.read();
            if reading == before {
                return Next::Judge { reading, is_asked };
            }
            before = reading;
        }
    }

    /// Whether a reading is what the last one was, so that there is nothing to say about it.
    fn is_known(&self, reading: &Reading) -> bool {
        match &self.refused {
            Some(refused) => refused == reading,
            None => reading.as_ref().is_ok_and(|sources| *sources == self.in_force.sources),
        }
    }

    fn judge(&mut self, reading: Reading, is_asked: bool) {
        if !is_asked && self.is_known(&reading) {
            return;
        }
        let judged = match &reading {
            Ok(sources) if *sources == self.in_force.sources => Ok(None),
            Ok(sources) => {
                self.watched.check(sources.clone()).map(Some).map_err(|error| error.to_string())
            }
            Err(text) => Err(format!("error: {text}")),
        };
        let digest = self.in_force.set.digest().clone();
        match judged {
            Ok(loaded) => {
                match loaded {
                    Some(loaded) => {
                        self.policies.replace(Arc::clone(&loaded.set));
                        // Said once it is so: who reads it may ask at once.
                        log::info!(
                            "policies are in force: {}, before {digest}",
                            loaded.set.digest()
                        );
                        self.in_force = loaded;
                    }
                    None => log::info!("policies stay in force: {digest}"),
                }
                self.refused = None;
                self.observer.reloaded(Ok(&self.in_force.set), now());
            }
            Err(error) => {
                log::error!("policies are refused, and {digest} stay in force:\n{error}");
                self.refused = Some(reading);
                self.observer.reloaded(Err(()), now());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is here, and so is its clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// What makes the system send events.
struct Watch {
    /// None if the system has no more to give: then there is the tick.
    watcher: Option<RecommendedWatcher>,
    folder: PathBuf,
}

impl Watch {
    /// Watches the folder, and the one that it is in: there it is seen when the folder is replaced.
    fn of(folder: &Path, messages: Sender<Message>) -> Self {
        // Events have whole paths.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let ours = folder.clone();
        let heard = move |event: Result<Event, notify::Error>| {
            if event.is_ok_and(|event| !is_about(&event, &ours)) {
                return;
            }
            if messages.send(Message::Look).is_err() {
                // The thread has ended, and the watcher is about to.
            }
        };
        let watcher = notify::recommended_watcher(heard);
        let watcher = watcher
            .inspect_err(|error| log::warn!("the system does not watch the policies: {error}"));
        Self { watcher: watcher.ok(), folder }
    }

    /// Watches whatever has the folder's name now.
    fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for path in [self.folder.parent(), Some(&self.folder)].into_iter().flatten() {
            // The watch sticks to the folder that had the name, and is of no use if that has gone.
            if watcher.unwatch(path).is_err() {
                // It was not watched yet.
            }
            if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
                log::debug!("the system does not watch `{}`: {error}", path.display());
            }
        }
    }
}

/// Whether an event can mean that the folder holds something else than before: our own reading does
/// not.
fn is_about(event: &Event, folder: &Path) -> bool {
    let is_change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    is_change && (event.paths.is_empty() || event.paths.iter().any(|path| path.starts_with(folder)))
}
