//! How many connections of clients are open, how many may be, and what has ended them.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::{ConnectionEnd, Metrics};

/// The connections of one listener.
pub(super) struct Connections {
    /// What metrics call it.
    listener: String,
    /// Places that are left for its own, if they have a limit.
    own: Option<Semaphore>,
    /// Places that are left for those of several listeners together.
    all: Option<Arc<Semaphore>>,
    metrics: Arc<Metrics>,
}

/// A connection that is open for as long as this lives.
pub(super) struct Connection<'c> {
    of: &'c Connections,
    /// What ends it: something that went wrong in tamis, as long as nothing better is known.
    pub(super) end: ConnectionEnd,
    _places: [Option<SemaphorePermit<'c>>; 2],
}

/// So many places.
pub(super) fn places(most: usize) -> Semaphore {
    Semaphore::new(most.min(Semaphore::MAX_PERMITS))
}

impl Connections {
    /// Those of a listener that may have so many of its own; beyond these, and where none is left in `all`, they are closed
    /// at once.
    pub(super) fn of(
        listener: String,
        own: Option<usize>,
        all: Option<&Arc<Semaphore>>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        metrics.declare_listener(&listener);
        Self { listener, own: own.map(places), all: all.cloned(), metrics: Arc::clone(metrics) }
    }

    /// Counts a connection as open; none if there is no place for it, and that is counted, too.
    pub(super) fn enter(&self) -> Option<Connection<'_>> {
        let own = self.own.as_ref().map(Semaphore::try_acquire).transpose();
        let all = self.all.as_deref().map(Semaphore::try_acquire).transpose();
        let (Ok(own), Ok(all)) = (own, all) else {
            self.metrics.connection_turned_away(&self.listener);
            return None;
        };
        self.metrics.connection_opened(&self.listener);
        Some(Connection { of: self, end: ConnectionEnd::Internal, _places: [own, all] })
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.of.metrics.connection_ended(&self.of.listener, self.end);
    }
}
