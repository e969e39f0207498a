//! What the process is told by signals, and what comes of it.
//!
//! Pingora would hear signals only once its services run, and no more of them once its listeners have gone to
//! another process. So they are heard on a thread of ours, from before anybody can ask whether the process is
//! ready, and Pingora is told what it has to know.

use std::{fs, io, path::Path, pin::pin, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::proxy::{
    client::CLOSING,
    shared::Shared,
    watchers::{self, Watchers},
};

/// How long the connections of what was cut have for the last that they write.
const LAST_WRITES: Duration = Duration::from_millis(20);

/// How Pingora has to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// At once: whatever is still there has had its time.
    Now,
    /// By handing its listeners to the process that waits for them.
    Replaced,
}

/// Tells Pingora when it has to end.
pub(super) struct EndingWatch(pub(super) watch::Receiver<Option<Ending>>);

#[async_trait]
impl ShutdownSignalWatch for EndingWatch {
    async fn recv(&self) -> ShutdownSignal {
        let mut told = self.0.clone();
        let ending = told.wait_for(Option::is_some).await.ok().and_then(|ending| *ending);
        match ending {
            Some(Ending::Replaced) => ShutdownSignal::GracefulUpgrade,
            // Without anybody who could tell, there is nothing to wait for.
            Some(Ending::Now) | None => ShutdownSignal::FastShutdown,
        }
    }
}

/// What the process can be told.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
}

impl Signals {
    /// From here on nothing is lost. The runtime around it has to live as long.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Does what the process is told, until Pingora has `ended`. Returns sooner, and says so, where the process
    /// is told to end while Pingora, replaced by another process, would go on.
    pub(super) async fn obey(
        mut self,
        shared: &Shared,
        reload: &dyn Fn(),
        tell: &watch::Sender<Option<Ending>>,
        ended: oneshot::Receiver<()>,
    ) -> bool {
        let mut ended = pin!(ended);
        let mut is_replaced = false;
        let mut watched = Watchers::default();
        let mut looks = interval(watchers::EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Nothing is ever sent: it is gone when Pingora is.
                _ = &mut ended => return false,
                _ = self.terminate.recv() => {
                    self.drain(shared, is_replaced).await;
                    break;
                }
                _ = self.interrupt.recv() => break,
                _ = self.quit.recv() => {
                    if !is_replaced && can_be_replaced(shared) {
                        is_replaced = true;
                        tell.send_replace(Some(Ending::Replaced));
                    }
                }
                _ = self.hangup.recv() => {
                    reload();
                    shared.observers.access_log.reopen();
                }
                _ = self.user_1.recv() => shared.observers.access_log.reopen(),
                // By default it would end the process, which nobody means who sends it.
                _ = self.user_2.recv() => {
                    log::warn!("SIGUSR2 does nothing: SIGHUP reloads, SIGUSR1 opens the access log again");
                }
                _ = looks.tick() => watched.look(shared),
            }
        }
        // What is left ends by itself now, and its clients hear of it.
        shared.cut.send_replace(true);
        let is_cut = !shared.requests.is_empty();
        if !shared.end_within(CLOSING).await {
            // They end where they are.
        }
        if is_cut {
            // Connections still have their ends to write.
            sleep(LAST_WRITES).await;
        }
        if is_replaced {
            shared.leaving.send_replace(true);
            return true;
        }
        tell.send_replace(Some(Ending::Now));
        let _gone = ended.await;
        false
    }

    /// Lets what has begun end, for as long as it may, or until the process is interrupted.
    async fn drain(&mut self, shared: &Shared, is_replaced: bool) {
        shared.draining.store(true, Ordering::Release);
        log::info!("draining: {} requests in progress", shared.requests.len());
        if !is_replaced {
            // Whoever sends requests here has to hear of it first.
            tokio::select! {
                () = sleep(shared.settings.timeouts.notice) => {}
                _ = self.interrupt.recv() => return,
            }
        }
        shared.leaving.send_replace(true);
        tokio::select! {
            _have_ended = shared.end_within(shared.settings.timeouts.drain) => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether a process waits for the listeners of this one. Pingora ends this one if none does.
fn can_be_replaced(shared: &Shared) -> bool {
    let Some(socket) = &shared.settings.upgrade_socket else {
        log::error!("told to hand over the listeners, and the settings name no `upgrade_socket`");
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

/// Whether a process accepts connections on this UNIX socket. To ask it would take the place of the
/// one connection that it waits for.
pub(super) fn is_listened_on(socket: &Path) -> bool {
    /// What the kernel calls `__SO_ACCEPTCON`.
    const ACCEPTS: &str = "00010000";
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(3);
        fields.next() == Some(ACCEPTS) && fields.nth(3) == socket.to_str()
    })
}
