//! What every permitted request is held to: how much it may hold, how often its caller may ask, and how long it may take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    access::Reason,
    coding,
    config::{self, Timeouts},
    json,
    message::MessageLimits,
    proxy::quota::Quotas,
    reload::InForce,
};

/// What is the same for every passage.
pub(super) struct Gate {
    /// Of one message.
    pub(super) limits: Arc<MessageLimits>,
    /// What all bodies may hold together.
    pub(super) held_bytes: usize,
    /// How much one caller may ask for.
    pub(super) quotas: Quotas,
    /// How long a response may take.
    response_age: Duration,
    /// How long it may go on under policies that are not in force any more.
    old_policies: Duration,
}

impl Gate {
    pub(super) fn new(limits: &config::Limits, timeouts: &Timeouts) -> Self {
        let values = json::Limits {
            depth_max: limits.depth.into(),
            name_bytes_max: limits.name_bytes,
            gap_bytes_max: limits.gap_bytes,
            value_bytes_max: limits.value_bytes,
            candidate_bytes_max: limits.candidate_bytes,
            document_bytes_max: limits.document_bytes,
        };
        let decoded = coding::Limits {
            piece_bytes_max: limits.decoded_piece_bytes,
            ratio_max: limits.decoded_ratio,
            bytes_max: limits.decoded_bytes,
        };
        Self {
            limits: Arc::new(MessageLimits::new(values, decoded, limits.pass_bytes)),
            held_bytes: limits.held_bytes,
            quotas: Quotas::new(limits),
            response_age: timeouts.response_age,
            old_policies: timeouts.old_policies,
        }
    }

    /// Why a response under these policies, to a request that began then, may not go on any more.
    pub(super) fn overdue(&self, set: &InForce, began: Instant, now: Instant) -> Option<Reason> {
        let is_over = |since: Instant, most: Duration| now.saturating_duration_since(since) > most;
        if set.replaced().is_some_and(|since| is_over(since, self.old_policies)) {
            Some(Reason::PoliciesReplaced)
        } else if is_over(began, self.response_age) {
            Some(Reason::ResponseTooOld)
        } else {
            None
        }
    }
}
