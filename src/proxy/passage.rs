//! What a request that is permitted takes with it to its response.

use std::sync::Arc;

use http::HeaderMap;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    message::MessageContext,
    policy::Api,
    proxy::{gate::Gate, journey::Journey},
    reload::InForce,
};

/// The day. Ages are counted in whole years: where it begins matters to nobody.
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// A permitted request on its way to its response.
pub(super) struct Passage {
    /// The record of it.
    pub(super) journey: Journey,
    /// How its response is treated.
    pub(super) context: MessageContext,
    /// What stands for the conditions of the client, with the validators of the upstream.
    pub(super) conditions: HeaderMap,
    /// What all bodies may hold together, this one among them.
    pub(super) held_bytes_max: usize,
    pub(super) gate: Arc<Gate>,
    pub(super) set: Arc<InForce>,
    /// The name of the api that is asked.
    pub(super) api: Arc<str>,
}

impl Passage {
    /// The api that is asked.
    pub(super) fn api(&self) -> Option<&Api> {
        self.set.api(&self.api)
    }

    /// Whether the body may hold so many bytes, beside what others hold.
    pub(super) fn holds(&mut self, bytes: usize) -> bool {
        self.journey.holds(bytes, self.held_bytes_max)
    }
}
