//! The decision about a request, and what a permitted one takes with it.

use std::{iter, sync::Arc};

use http::{HeaderMap, HeaderName, Method, Version, header};
use jiff::civil::Date;
use pingora::http::RequestHeader;

use crate::{
    access::{Labels, Reason},
    coding::{Coding, OFFERED, accepted},
    message::{self, DATA_PURPOSE, MessageContext, Validation},
    policy::{Ask, Denial, Permit, PolicySet, Preflight, is_condition},
    proxy::{
        arrival::{Arrival, check_head, host, once, target, wants_upgrade},
        identify,
        journey::Journey,
        origins::preflight,
        passage::{self, Passage},
        quota::{InProgress, Share},
        shared::Proxy,
        upstream::Upstream,
    },
    reload::InForce,
};

/// What becomes of a request that is not denied.
pub(super) enum Admission {
    /// It is passed on.
    Permitted(Admitted),
    /// It only asks whether it may ask.
    Preflight(Preflight),
}

/// A request that may be passed on, and where to.
pub(super) struct Admitted {
    upstream: Arc<Upstream>,
    set: Arc<InForce>,
    permit: Permit,
    /// What stands for its conditions.
    conditions: HeaderMap,
    place: InProgress,
    share: Share,
}

impl Proxy {
    /// Decides about a request. The first reason that applies is given, in the order of [`Reason`].
    pub(super) fn admit(
        &self,
        arrival: &Arrival<'_>,
        set: Option<&Arc<InForce>>,
    ) -> Result<Admission, Denial> {
        let unknown = |reason| Denial { reason, labels: Labels::unknown() };
        let request = arrival.request;
        let set = set.ok_or_else(|| unknown(Reason::PoliciesNotLoaded))?;
        let limits = &self.shared.settings.limits;
        let metrics = &self.shared.observers.metrics;
        let is_full = metrics.in_flight() >= limits.responses_in_flight;
        if is_full || metrics.held_bytes() > limits.held_bytes {
            return Err(unknown(Reason::Overloaded));
        }
        // Of what cannot be read there is nothing else to be known.
        if let Some(reason) = arrival.unreadable {
            return Err(unknown(reason));
        }
        if !matches!(request.version, Version::HTTP_11 | Version::HTTP_2) {
            return Err(unknown(Reason::HttpVersionNotSupported));
        }
        check_head(request, limits).map_err(unknown)?;
        let host = arrival.host.map_err(unknown)?;
        let target = target(request).map_err(unknown)?;
        let target = if arrival.has_body { target.with_body() } else { target };
        let target = target.with_headers(request.headers.keys().map(HeaderName::as_str));
        let api_key = once(&request.headers, identify::API_KEY).map_err(unknown)?;
        let purpose = once(&request.headers, DATA_PURPOSE).map_err(unknown)?;
        if wants_upgrade(request) {
            return Err(unknown(Reason::UpgradeNotAllowed));
        }
        if let Some(preflight) = preflight(request, set, host, &target) {
            return preflight.map(Admission::Preflight);
        }
        let caller = identify::identify(api_key, &self.shared.settings.api_keys, set);
        let caller = caller.map_err(unknown)?;
        let too_many = |labels| Denial { reason: Reason::TooManyRequests, labels };
        let slot = match caller {
            None => None,
            Some(caller) => Some(self.gate.quotas.take(&caller.name).ok_or_else(|| {
                too_many(Labels { caller: Arc::clone(&caller.name), ..Labels::unknown() })
            })?),
        };
        // What is no text names no purpose.
        let purpose = purpose.map(|value| value.to_str().unwrap_or_default().trim());
        let ask = Ask { caller, purpose, host: Some(host), target: &target };
        let permit = set.decide(&ask)?;
        // Where anybody may ask, nobody gets more for not saying who it is; who may not has had nothing.
        let slot = slot.or_else(|| self.gate.quotas.take(&permit.labels.caller));
        let slot = slot.ok_or_else(|| too_many(permit.labels.clone()))?;
        let length = message::content_length(&request.headers).unwrap_or(0);
        if length > limits.request_body_bytes {
            return Err(Denial { reason: Reason::RequestBodyTooLarge, labels: permit.labels });
        }
        let unserved = || Denial { reason: Reason::Internal, labels: permit.labels.clone() };
        let upstream = self.upstreams.get(&*permit.labels.api).ok_or_else(unserved)?;
        let (upstream, set) = (Arc::clone(upstream), Arc::clone(set));
        let conditions = self.conditions(request, &set, &ask);
        let conditions = conditions.map_err(|reason| Denial { reason, ..unserved() })?;
        // Others may have come in meanwhile.
        let share = Share::of(caller.is_some());
        let flight = metrics.flight(share.of_all(limits.responses_in_flight));
        let flight = flight.ok_or_else(|| Denial { reason: Reason::Overloaded, ..unserved() })?;
        let place = InProgress::new(flight, slot);
        Ok(Admission::Permitted(Admitted { upstream, set, permit, conditions, place, share }))
    }

    /// What stands for the conditions of a request that changes something: validators that were given out on the route which
    /// reads what it changes become those of the upstream. One that does not open cannot be asked for.
    fn conditions(
        &self,
        request: &RequestHeader,
        set: &PolicySet,
        ask: &Ask<'_>,
    ) -> Result<HeaderMap, Reason> {
        let mut conditions = HeaderMap::new();
        if matches!(request.method, Method::GET | Method::HEAD) || !set.gives_validators(ask) {
            return Ok(conditions);
        }
        let names = request.headers.keys().filter(|name| is_condition(name.as_str()));
        let has_tags =
            |name: &&HeaderName| request.headers.get_all(*name).iter().any(message::has_tags);
        let mut names = names.filter(has_tags).peekable();
        if names.peek().is_none() {
            return Ok(conditions);
        }
        let wrong = Reason::ConditionNotAllowed;
        let reading = ask.target.reading();
        let permit = set.decide(&Ask { target: &reading, ..*ask }).map_err(|_denial| wrong)?;
        let sealer = permit.plan.sealer().ok_or(wrong)?;
        let today = passage::today();
        let codings = iter::once(Coding::Identity).chain(OFFERED);
        let bonds = codings.map(|coding| self.bonds(request, &permit, coding, today));
        let bonds: Vec<_> = bonds.collect();
        let open = |tag: &str| bonds.iter().find_map(|bonds| sealer.open(tag, bonds));
        let mut tags = 0;
        for name in names {
            for value in request.headers.get_all(name) {
                let opened = message::opened(name, value, &mut tags, open).ok_or(wrong)?;
                conditions.append(name, opened);
            }
        }
        Ok(conditions)
    }

    /// What a permitted request takes with it to its response, and where it goes.
    pub(super) fn passage(
        &self,
        request: &RequestHeader,
        mut journey: Journey,
        admitted: Admitted,
    ) -> (Arc<Upstream>, Passage) {
        let Admitted { upstream, set, permit, mut conditions, place, share } = admitted;
        journey.labelled(permit.labels.clone());
        journey.occupies(place);
        let liked = request.headers.get_all(header::ACCEPT_ENCODING).iter();
        let liked = liked.filter_map(|value| value.to_str().ok());
        let coding = permit.compresses.then(|| accepted(liked));
        let today = passage::today();
        let validation = permit.plan.sealer().map(|sealer| {
            let coding = coding.unwrap_or(Coding::Identity);
            let bonds = self.bonds(request, &permit, coding, today);
            Validation::of(sealer, bonds, &request.headers)
        });
        if let Some(known) = validation.as_ref().and_then(Validation::condition) {
            conditions.insert(header::IF_NONE_MATCH, known);
        }
        let passage = Passage {
            journey,
            context: MessageContext {
                plan: permit.plan,
                is_head: request.method == Method::HEAD,
                passes: permit.passes,
                coding,
                is_chunked: request.version == Version::HTTP_11,
                today,
                validation,
                limits: Arc::clone(&self.gate.limits),
            },
            conditions,
            held_bytes_max: share.of_all(self.gate.held_bytes),
            gate: Arc::clone(&self.gate),
            set,
            api: permit.labels.api,
        };
        (upstream, passage)
    }

    /// All that decides what leaves of one and the same answer of the upstream.
    pub(super) fn bonds(
        &self,
        request: &RequestHeader,
        permit: &Permit,
        coding: Coding,
        today: Date,
    ) -> Vec<Vec<u8>> {
        let labels = &permit.labels;
        let day = permit.plan.asks_the_day().then(|| today.to_string());
        let host = host(request).unwrap_or_default().to_ascii_lowercase();
        let limits = format!("{:?}", self.gate.limits.values);
        let parts: [&[u8]; 11] = [
            permit.plan.digest.as_str().as_bytes(),
            labels.purpose.as_bytes(),
            labels.caller.as_bytes(),
            labels.api.as_bytes(),
            labels.route.as_bytes(),
            host.as_bytes(),
            request.raw_path(),
            coding.name().as_bytes(),
            day.as_deref().unwrap_or_default().as_bytes(),
            limits.as_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ];
        parts.map(<[u8]>::to_vec).to_vec()
    }
}
