//! One request on its way, and the record that it leaves: exactly one, whatever happens.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    access::{AccessRecord, Decision, Labels, Reason, Trace},
    enforce::{Places, Tally},
    message::{Crossing, Marks},
    metrics::Holding,
    policy::Digest,
    proxy::{quota::InProgress, shared::Shared},
};

/// The guard of one access record: when it goes, the record is written.
///
/// It begins as the record of something that went wrong in tamis, and says something better only once
/// something better is known; so whatever path is forgotten, a panic among them, is on record, and
/// not as allowed.
pub(super) struct Journey {
    shared: Arc<Shared>,
    record: AccessRecord,
    /// Where unclassified data was withheld, under policies that are still in force.
    places: Places,
    began: Instant,
    worked: Duration,
    crossing: Option<Crossing>,
    /// What it takes, if it is permitted.
    place: Option<InProgress>,
    held: Holding,
    /// Whoever ends the process waits for it. It is the last to go.
    _token: TaskTrackerToken,
}

impl Journey {
    /// A request has been read.
    pub(super) fn new(shared: &Arc<Shared>, trace: Option<Trace>) -> Self {
        Self {
            shared: Arc::clone(shared),
            record: AccessRecord {
                time: SystemTime::now(),
                trace,
                labels: Labels::unknown(),
                decision: Decision::Refused,
                reason: Some(Reason::Internal),
                status: None,
                policy: None,
                counts: Vec::new(),
                unclassified: false,
                duration: Duration::ZERO,
                overhead: Duration::ZERO,
            },
            places: Places::default(),
            began: Instant::now(),
            worked: Duration::ZERO,
            crossing: None,
            place: None,
            held: shared.observers.metrics.holding(),
            _token: shared.requests.token(),
        }
    }

    /// When the request had been read.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Counts the time that `work` takes as overhead.
    pub(super) fn working<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.worked(began.elapsed());
        done
    }

    /// Counts so much time as overhead.
    pub(super) fn worked(&mut self, time: Duration) {
        self.worked += time;
    }

    /// Under which policies it is decided.
    pub(super) fn under(&mut self, policies: &Digest) {
        self.record.policy = Some(policies.to_shared());
    }

    /// Its body holds so many bytes now; whether all bodies together hold no more than `most`.
    pub(super) fn holds(&mut self, bytes: usize, most: usize) -> bool {
        self.held.set(bytes);
        self.shared.observers.metrics.held_bytes() <= most
    }

    /// It is one of those in progress.
    pub(super) fn occupies(&mut self, place: InProgress) {
        self.place = Some(place);
    }

    /// Who asks for what, as far as it is known.
    pub(super) fn labelled(&mut self, labels: Labels) {
        self.record.labels = labels;
    }

    /// The api says something of pages of other origins.
    pub(super) fn crosses(&mut self, crossing: Crossing) {
        self.crossing = Some(crossing);
    }

    /// What is said on the response, whatever it is.
    pub(super) fn marks(&self) -> Marks<'_> {
        Marks {
            purpose: &self.record.labels.purpose,
            policy: self.record.policy.as_deref(),
            crossing: self.crossing.as_ref(),
        }
    }

    /// What has left. Going, the guard forgets it where nothing did.
    pub(super) fn count(&mut self, tally: &Tally) {
        self.record.counts = tally.counts();
        self.record.unclassified = tally.unclassified();
    }

    /// Where unclassified data was withheld. It is forgotten as counts are.
    pub(super) fn found(&mut self, places: Places) {
        self.places = places;
    }

    /// What became of it.
    pub(super) fn decided(&mut self, decision: Decision, reason: Option<Reason>) {
        self.record.decision = decision;
        self.record.reason = reason;
    }

    /// The status that was sent, or began to be, if one was.
    pub(super) fn status(&self) -> Option<u16> {
        self.record.status
    }

    /// The status that was sent, if one was.
    pub(super) fn sent(&mut self, status: Option<u16>) {
        self.record.status = status;
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        let record = &mut self.record;
        match record.decision {
            Decision::Allowed | Decision::Aborted => {}
            // What was counted never left.
            Decision::Denied | Decision::Refused => {
                record.counts.clear();
                record.unclassified = false;
                self.places = Places::default();
            }
        }
        record.duration = self.began.elapsed();
        record.overhead = self.worked;
        self.shared.observers.write(record);
        self.shared.observers.unclassified.note(record, std::mem::take(&mut self.places));
    }
}
