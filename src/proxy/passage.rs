//! What a request that is permitted takes with it to its response: the plan, and all that decides how
//! a head and a body pass.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header, header::InvalidHeaderValue};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use pingora::http::ResponseHeader;

use crate::{
    access::Reason,
    coding::{self, Coding},
    config::{self, Timeouts},
    enforce::Tally,
    frame::Framed,
    json,
    policy::{Api, Framing, Permit, Plan},
    proxy::{
        flow::Body,
        headers,
        journey::Journey,
        pipe::{Codings, Passing, Pipe, Sieve},
        quota::Quotas,
        respond::{self, PROBLEM},
        response::{self, Asked, Treatment},
        validate::Validation,
    },
    reload::InForce,
    transform::Context,
};

/// The header that says by what a response was chosen that a client can have packed in several ways.
const VARY_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
/// How HTTP/1.1 says where a body ends whose length nobody knows yet.
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Makes what a body goes through. It is an argument so that a test can put in its place what fails.
pub(super) type MakeSieve = fn(Framing, Arc<Plan>, Context, json::Limits) -> Box<dyn Sieve>;

/// What is the same for every passage.
pub(super) struct Gate {
    /// How large a value, a name and so on may be.
    pub(super) limits: json::Limits,
    /// What a packed body may unpack to.
    pub(super) decoded: coding::Limits,
    /// What all bodies may hold together.
    pub(super) held_bytes: usize,
    /// How much one caller may ask for.
    pub(super) quotas: Quotas,
    /// How long a body that passes as it is may be.
    pub(super) pass_bytes: u64,
    /// Makes what a body goes through.
    pub(super) make_sieve: MakeSieve,
    /// How long a response may take.
    response_age: Duration,
    /// How long it may go on under policies that are not in force any more.
    old_policies: Duration,
}

impl Gate {
    pub(super) fn new(limits: &config::Limits, timeouts: &Timeouts) -> Self {
        Self {
            response_age: timeouts.response_age,
            old_policies: timeouts.old_policies,
            limits: json::Limits {
                depth_max: limits.depth.into(),
                name_bytes_max: limits.name_bytes,
                gap_bytes_max: limits.gap_bytes,
                value_bytes_max: limits.value_bytes,
                candidate_bytes_max: limits.candidate_bytes,
                document_bytes_max: limits.document_bytes,
            },
            decoded: coding::Limits {
                piece_bytes_max: limits.decoded_piece_bytes,
                ratio_max: limits.decoded_ratio,
                bytes_max: limits.decoded_bytes,
            },
            held_bytes: limits.held_bytes,
            quotas: Quotas::new(limits),
            pass_bytes: limits.pass_bytes,
            make_sieve: |framing, plan, context, limits| {
                Box::new(Framed::new(framing, plan, context, limits))
            },
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

/// A response whose head may leave.
pub(super) struct Opened {
    /// The head that leaves.
    pub(super) head: ResponseHeader,
    /// What happens to its body.
    pub(super) body: Body,
    /// What leaves with its head.
    pub(super) tally: Tally,
}

/// The day. Ages are counted in whole years: where it begins matters to nobody.
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// A permitted request on its way to its response.
pub(super) struct Passage {
    /// The record of it.
    pub(super) journey: Journey,
    /// The day on which it is answered.
    pub(super) today: Date,
    /// What it has to do with validators, where they are given out.
    pub(super) validation: Option<Validation>,
    /// What stands for the conditions of the client, with the validators of the upstream.
    pub(super) conditions: HeaderMap,
    /// What all bodies may hold together, this one among them.
    pub(super) held_bytes_max: usize,
    pub(super) gate: Arc<Gate>,
    pub(super) set: Arc<InForce>,
    pub(super) permit: Permit,
    /// Whether the request is a HEAD.
    pub(super) is_head: bool,
    /// Whether the client is told of a body's length by chunks (HTTP/1.1), not by frames (HTTP/2).
    pub(super) is_chunked: bool,
    /// What the client likes its body to be packed in, where the route lets it.
    pub(super) coding: Coding,
}

impl Passage {
    /// The api that is asked.
    pub(super) fn api(&self) -> Option<&Api> {
        self.set.api(&self.permit.labels.api)
    }

    /// Whether the body may hold so many bytes, beside what others hold.
    pub(super) fn holds(&mut self, bytes: usize) -> bool {
        self.journey.holds(bytes, self.held_bytes_max)
    }

    /// Says how the body behind this head of the upstream's is treated, and makes the head that leaves.
    ///
    /// `ends` says that there is nothing behind it.
    pub(super) fn open(&self, head: &ResponseHeader, ends: bool) -> Result<Opened, Reason> {
        // There were no chunks in HTTP/1.0: who knows what the upstream means (RFC 9112, section 6.1).
        if head.version == Version::HTTP_10 && head.headers.contains_key(header::TRANSFER_ENCODING)
        {
            return Err(Reason::UpstreamProtocol);
        }
        let ended = ends || head.headers.get(header::CONTENT_LENGTH).is_some_and(|n| n == "0");
        let passes = |media: &str| self.permit.plan.passes_media(media);
        let is_conditional = self.validation.as_ref().is_some_and(|it| it.condition().is_some());
        let asked = Asked { is_head: self.is_head, passes: self.permit.passes, is_conditional };
        let treatment = Treatment::of(head.status, &head.headers, asked, ended, passes)?;
        let context = Context { today: self.today };
        let body = match treatment {
            // Announced as none, there must be none; not announced at all, it cannot be looked into.
            Treatment::Empty if ended || head.status == StatusCode::RESET_CONTENT => {
                Body::Empty(Reason::UpstreamProtocol)
            }
            Treatment::Empty => Body::Empty(Reason::MediaNotAllowed),
            Treatment::Sieve { coding, framing, may_be_empty } => {
                let plan = Arc::clone(&self.permit.plan);
                let sieve = (self.gate.make_sieve)(framing, plan, context, self.gate.limits);
                self.pipe(coding, self.coding, sieve, may_be_empty)?
            }
            Treatment::Replace => Body::Replace(respond::error_of_upstream(head.status)),
            Treatment::Discard => Body::Replace(Bytes::new()),
            Treatment::Pass { coding } => self.pass(&head.headers, coding)?,
        };
        let (headers, tally) =
            headers::sieved(&head.headers, &self.permit.plan, self.permit.passes, context);
        let head = self.head(head, headers, &body, ended).or(Err(Reason::Internal))?;
        Ok(Opened { head, body, tally })
    }

    /// Lets a body pass as it is. One that says that it is too long is refused while it can be said why.
    fn pass(&self, headers: &HeaderMap, coding: Coding) -> Result<Body, Reason> {
        let passing = Passing::new(self.gate.pass_bytes);
        if coding != Coding::Identity {
            return self.pipe(coding, Coding::Identity, Box::new(passing), true);
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.gate.pass_bytes) {
            return Err(Reason::BodyTooLarge);
        }
        Ok(Body::Pass(passing))
    }

    fn pipe(
        &self,
        from: Coding,
        to: Coding,
        sieve: Box<dyn Sieve>,
        may_be_empty: bool,
    ) -> Result<Body, Reason> {
        let codings = Codings { from, limits: self.gate.decoded, to };
        Ok(Body::Sieve { pipe: Box::new(Pipe::new(codings, sieve)?), may_be_empty })
    }

    /// The validator that leaves, where they are given out.
    fn tag(&self, upstream: &ResponseHeader) -> Option<HeaderValue> {
        let is_whole = matches!(upstream.status.as_u16(), 200 | 304);
        let validation = self.validation.as_ref().filter(|_| is_whole)?;
        validation.sealed(self.permit.plan.sealer()?, &upstream.headers)
    }

    /// The head that leaves, with what may leave of the upstream's headers. How long the body is, tamis says anew: the
    /// upstream counted other bytes.
    fn head(
        &self,
        upstream: &ResponseHeader,
        mut headers: HeaderMap,
        body: &Body,
        ended: bool,
    ) -> Result<ResponseHeader, InvalidHeaderValue> {
        respond::mark(&mut headers, &self.journey)?;
        let is_sieved = matches!(body, Body::Sieve { .. });
        let tag = self.tag(upstream);
        if self.permit.compresses && (is_sieved || tag.is_some()) {
            respond::vary(&mut headers, VARY_ENCODING)?;
        }
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            let on = HeaderValue::from_static("Data-Purpose, Api-Key");
            respond::vary(&mut headers, on)?;
        }
        if matches!(body, Body::Empty(_) | Body::Replace(_)) && !response::says_json(&headers) {
            // What the upstream said about words that do not leave.
            headers.remove(header::CONTENT_LANGUAGE);
            headers.remove(header::CONTENT_TYPE);
        }
        if !self.permit.passes
            && let Some(value) = response::content_type_in_utf8(&headers)
        {
            headers.insert(header::CONTENT_TYPE, value);
        }
        if !self.is_head && !matches!(upstream.status.as_u16(), 204 | 304) {
            self.frame(&mut headers, body, ended);
        }
        Ok(respond::head(upstream.status, headers))
    }

    /// Says how the body is packed, and where it ends.
    fn frame(&self, headers: &mut HeaderMap, body: &Body, ended: bool) {
        if let Body::Sieve { pipe, .. } = body
            && pipe.coding() != Coding::Identity
        {
            let coding = HeaderValue::from_static(pipe.coding().name());
            headers.insert(header::CONTENT_ENCODING, coding);
        }
        match body {
            Body::Replace(instead) => {
                if !instead.is_empty() {
                    headers.insert(header::CONTENT_TYPE, PROBLEM);
                }
                headers.insert(header::CONTENT_LENGTH, instead.len().into());
            }
            Body::Empty(_) if ended => drop(headers.insert(header::CONTENT_LENGTH, 0.into())),
            Body::Empty(_) | Body::Sieve { .. } | Body::Pass(_) if self.is_chunked => {
                headers.insert(header::TRANSFER_ENCODING, CHUNKED);
            }
            Body::Empty(_) | Body::Sieve { .. } | Body::Pass(_) => {}
        }
    }
}
