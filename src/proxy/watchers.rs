//! Says when a thread that looks at files hangs or has ended, in the log and in the metrics.

use std::time::{Duration, SystemTime};

use crate::{proxy::shared::Shared, reload::WatcherFault};

/// How often it is asked whether they still look.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What was wrong when it was last asked.
#[derive(Default)]
pub(super) struct Watchers(Vec<(&'static str, WatcherFault)>);

impl Watchers {
    /// Asks how all watchers are, and says what has changed.
    pub(super) fn look(&mut self, shared: &Shared) {
        let before = std::mem::take(&mut self.0);
        for (what, heartbeat) in shared.watchers() {
            let fault = heartbeat.fault();
            let looked = SystemTime::now().checked_sub(heartbeat.age());
            let looked = looked.unwrap_or(SystemTime::UNIX_EPOCH);
            shared.observers.metrics.watcher(what, looked, fault.is_some());
            let known = before.iter().find(|(known, _)| *known == what).map(|(_, fault)| *fault);
            match (known, fault) {
                (before, Some(fault)) if before != Some(fault) => log::error!(
                    "the watcher of the {what} {fault}: those in use stay, and no others are seen"
                ),
                (Some(_), None) => log::warn!("the watcher of the {what} looks again"),
                (None | Some(_), None | Some(_)) => {}
            }
            self.0.extend(fault.map(|fault| (what, fault)));
        }
    }
}
