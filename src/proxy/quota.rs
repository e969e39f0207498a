//! How much one caller may ask for: so often, and so much at the same time.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use governor::{Quota, RateLimiter, clock::DefaultClock, state::keyed::HashMapStateStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{config::Limits, metrics::Flight};

type Rates = RateLimiter<Arc<str>, HashMapStateStore<Arc<str>>, DefaultClock>;

/// What every caller may ask for, and what each has asked for.
///
/// It knows callers by the names that the policies give them, so there are no more than policies name.
pub(super) struct Quotas {
    rates: Option<Rates>,
    in_flight: Option<InFlight>,
}

struct InFlight {
    most: usize,
    callers: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// A request of a caller that is worked on; it is over when this goes.
pub(super) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

/// How much of what there is for all a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All that is left.
    All,
    /// Three quarters. The rest stays for callers that say who they are, whatever a stranger asks for on routes for
    /// `anybody`.
    ThreeQuarters,
}

impl Share {
    pub(super) fn of(is_known: bool) -> Self {
        if is_known { Self::All } else { Self::ThreeQuarters }
    }

    /// So much of it.
    pub(super) fn of_all(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::ThreeQuarters => all - all / 4,
        }
    }
}

/// What a permitted request takes, as long as it is in progress, of what there is for all, and for its caller.
pub(super) struct InProgress {
    _flight: Flight,
    _slot: Slot,
}

impl InProgress {
    pub(super) fn new(flight: Flight, slot: Slot) -> Self {
        Self { _flight: flight, _slot: slot }
    }
}

impl Quotas {
    pub(super) fn new(limits: &Limits) -> Self {
        let rate = limits.caller_requests_per_second.and_then(NonZeroU32::new);
        let in_flight = |most| InFlight { most, callers: Mutex::default() };
        Self {
            rates: rate.map(|rate| RateLimiter::hashmap(Quota::per_second(rate))),
            in_flight: limits.caller_in_flight.map(in_flight),
        }
    }

    /// Takes one more request of this caller; none if that is too many.
    pub(super) fn take(&self, caller: &Arc<str>) -> Option<Slot> {
        // What is turned away for being too much at a time has not been asked too often.
        let permit = match &self.in_flight {
            Some(in_flight) => Some(in_flight.take(caller)?),
            None => None,
        };
        let is_in_time = self.rates.as_ref().is_none_or(|rates| rates.check_key(caller).is_ok());
        is_in_time.then_some(Slot { _permit: permit })
    }
}

impl InFlight {
    fn take(&self, caller: &Arc<str>) -> Option<OwnedSemaphorePermit> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(self.most));
        let slots = callers.entry(Arc::clone(caller)).or_insert_with(new);
        Arc::clone(slots).try_acquire_owned().ok()
    }
}
