//! How much one caller may ask for: so often, and so much at the same time.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use governor::{Quota, RateLimiter, clock::DefaultClock, state::keyed::HashMapStateStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

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
