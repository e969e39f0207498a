//! One HTTP message through one plan: its head, and how its body is treated, piece after piece.
//!
//! Before a byte of a response leaves, its head says how every byte of it will be treated, or that it is refused
//! ([`Treatment`]). The head that leaves is made anew of what may leave (`headers`, `built_in`), and the body goes
//! through a pipe: unpacked, sieved, packed (`pipe`).
//!
//! **Must never know** a connection, a client or an upstream: heads and bytes come in as arguments, and what leaves is
//! handed back.
//!
//! ```
//! use http::{HeaderMap, HeaderValue, StatusCode, header};
//! use tamis::{access::Reason, message::{RequestTraits, Treatment}};
//!
//! let media = HeaderValue::from_static("text/html");
//! let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media)]);
//! let treatment = |status| Treatment::of(status, &headers, RequestTraits::default(), false, |_media| false);
//! assert_eq!(treatment(StatusCode::OK), Err(Reason::MediaNotAllowed));
//! assert_eq!(treatment(StatusCode::NOT_FOUND), Ok(Treatment::Replace));
//! ```

mod body;
mod built_in;
mod headers;
mod pipe;
mod problem;
mod spare;
mod treatment;
mod validators;

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, header::InvalidHeaderValue,
};
use jiff::civil::Date;

use crate::{
    access::{Labels, Reason},
    coding::{self, Coding},
    enforce::Tally,
    frame::Framed,
    json,
    policy::{Framing, Plan},
    transform::Context,
};

pub(crate) use body::Body;
pub(crate) use headers::{
    HEADERS, RequestHead, TRACEPARENT, content_length, request as request_headers,
    sieved as sieved_headers,
};
pub(crate) use pipe::{Passing, Sieve};
pub(crate) use problem::{PROBLEM, error_of_upstream, problem};
pub use treatment::{RequestTraits, Treatment};
pub(crate) use validators::{Validation, has_tags, opened};

use pipe::{Codings, Pipe};

/// The purpose that was applied.
pub(crate) const DATA_PURPOSE: HeaderName = HeaderName::from_static("data-purpose");
/// The digest of the policies that were applied, 12 digits.
pub(crate) const TAMIS_POLICY: HeaderName = HeaderName::from_static("tamis-policy");

/// Nobody may keep a response that was made for one caller.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The header that says by what a response was chosen that a client can have packed in several ways.
const VARY_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
/// How HTTP/1.1 says where a body ends whose length nobody knows yet.
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Makes what a body goes through. It is an argument so that a test can put in its place what fails.
pub(crate) type MakeSieve = fn(Framing, Arc<Plan>, Context, json::Limits) -> Box<dyn Sieve>;

/// What is the same for all messages.
pub(crate) struct MessageLimits {
    /// How large a value, a name and so on may be.
    pub(crate) values: json::Limits,
    /// What a packed body may unpack to.
    pub(crate) decoded: coding::Limits,
    /// How long a body that passes as it is may be.
    pub(crate) pass_bytes: u64,
    /// Makes what a body goes through.
    pub(crate) make_sieve: MakeSieve,
}

impl MessageLimits {
    /// With the sieve of policies.
    pub(crate) fn new(values: json::Limits, decoded: coding::Limits, pass_bytes: u64) -> Self {
        Self {
            values,
            decoded,
            pass_bytes,
            make_sieve: |framing, plan, context, limits| {
                Box::new(Framed::new(framing, plan, context, limits))
            },
        }
    }
}

/// All that decides how the response to one request is treated.
pub(crate) struct MessageContext {
    /// What happens to it.
    pub(crate) plan: Arc<Plan>,
    /// Whether the request is a HEAD.
    pub(crate) is_head: bool,
    /// By a rule, whatever the route answers passes unread.
    pub(crate) passes: bool,
    /// What the client likes its body to be packed in; none where the route does not let it be.
    pub(crate) coding: Option<Coding>,
    /// Whether the client is told of a body's length by chunks (HTTP/1.1), not by frames (HTTP/2).
    pub(crate) is_chunked: bool,
    /// The day on which it is answered.
    pub(crate) today: Date,
    /// What it has to do with validators, where they are given out.
    pub(crate) validation: Option<Validation>,
    pub(crate) limits: Arc<MessageLimits>,
}

/// The head of a response of an upstream.
#[derive(Clone, Copy)]
pub(crate) struct Head<'h> {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'h HeaderMap,
    /// Whether nothing is behind it.
    pub(crate) ends: bool,
}

/// A response whose head may leave.
pub(crate) struct Opened {
    /// The headers that leave.
    pub(crate) headers: HeaderMap,
    /// What happens to its body.
    pub(crate) body: Body,
    /// What leaves with its head.
    pub(crate) tally: Tally,
}

/// What is said on every response that a decision is behind.
#[derive(Clone, Copy)]
pub(crate) struct Marks<'m> {
    /// The purpose that was applied.
    pub(crate) purpose: &'m str,
    /// The digest of the policies that were applied, all 64 digits.
    pub(crate) policy: Option<&'m str>,
    /// What is said of pages of other origins, if the api says something of them.
    pub(crate) crossing: Option<&'m Crossing>,
}

/// What is said of pages of other origins: the one that may read the response, and which headers of it.
pub(crate) struct Crossing(pub(crate) Option<(HeaderValue, HeaderValue)>);

impl Marks<'_> {
    /// Says on a response under which purpose and which policies it was made, and that nobody may keep it.
    pub(crate) fn put_on(self, headers: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
        if self.purpose != Labels::UNKNOWN {
            headers.insert(DATA_PURPOSE, HeaderValue::from_str(self.purpose)?);
        }
        if let Some(digest) = self.policy.and_then(|policy| policy.get(..12)) {
            headers.insert(TAMIS_POLICY, HeaderValue::from_str(digest)?);
        }
        if let Some(Crossing(allowed)) = self.crossing {
            vary(headers, HeaderValue::from_static("Origin"))?;
            if let Some((origin, exposed)) = allowed {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        Ok(())
    }
}

/// Adds to what a response depends on.
fn vary(headers: &mut HeaderMap, on: HeaderValue) -> Result<(), InvalidHeaderValue> {
    let all = match headers.get(header::VARY) {
        None => on,
        Some(known) => HeaderValue::from_bytes(&[known.as_bytes(), b", ", on.as_bytes()].concat())?,
    };
    headers.insert(header::VARY, all);
    Ok(())
}

impl MessageContext {
    /// Says how the body behind this head of the upstream's is treated, and makes the head that leaves.
    pub(crate) fn open(&self, head: Head<'_>, marks: Marks<'_>) -> Result<Opened, Reason> {
        // There were no chunks in HTTP/1.0: who knows what the upstream means (RFC 9112, section 6.1).
        if head.version == Version::HTTP_10 && head.headers.contains_key(header::TRANSFER_ENCODING)
        {
            return Err(Reason::UpstreamProtocol);
        }
        let has_none = || head.headers.get(header::CONTENT_LENGTH).is_some_and(|n| n == "0");
        let ended = head.ends || has_none();
        let passes = |media: &str| self.plan.passes_media(media);
        let is_conditional = self.validation.as_ref().is_some_and(|it| it.condition().is_some());
        let asked = RequestTraits { is_head: self.is_head, passes: self.passes, is_conditional };
        let treatment = Treatment::of(head.status, head.headers, asked, ended, passes)?;
        let context = Context { today: self.today };
        let body = match treatment {
            // Announced as none, there must be none; not announced at all, it cannot be looked into.
            Treatment::Empty if ended || head.status == StatusCode::RESET_CONTENT => {
                Body::Empty(Reason::UpstreamProtocol)
            }
            Treatment::Empty => Body::Empty(Reason::MediaNotAllowed),
            Treatment::Sieve { coding, framing, may_be_empty } => {
                let (plan, limits) = (Arc::clone(&self.plan), &self.limits);
                let sieve = (limits.make_sieve)(framing, plan, context, limits.values);
                self.pipe(coding, self.coding.unwrap_or(Coding::Identity), sieve, may_be_empty)?
            }
            Treatment::Replace => Body::Replace(error_of_upstream(head.status)),
            Treatment::Discard => Body::Replace(Bytes::new()),
            Treatment::Pass { coding } => self.pass(head.headers, coding)?,
        };
        let (headers, tally) = sieved_headers(head.headers, &self.plan, self.passes, context);
        let headers = self.headers(head, headers, marks, &body, ended).or(Err(Reason::Internal))?;
        Ok(Opened { headers, body, tally })
    }

    /// Lets a body pass as it is. One that says that it is too long is refused while it can be said why.
    fn pass(&self, headers: &HeaderMap, coding: Coding) -> Result<Body, Reason> {
        let passing = Passing::new(self.limits.pass_bytes);
        if coding != Coding::Identity {
            return self.pipe(coding, Coding::Identity, Box::new(passing), true);
        }
        if content_length(headers).is_some_and(|length| length > self.limits.pass_bytes) {
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
        let codings = Codings { from, limits: self.limits.decoded, to };
        Ok(Body::Sieve { pipe: Box::new(Pipe::new(codings, sieve)?), may_be_empty, begun: false })
    }

    /// The validator that leaves, where they are given out.
    fn tag(&self, upstream: Head<'_>) -> Option<HeaderValue> {
        let is_whole = matches!(upstream.status.as_u16(), 200 | 304);
        let validation = self.validation.as_ref().filter(|_| is_whole)?;
        validation.sealed(self.plan.sealer()?, upstream.headers)
    }

    /// The headers that leave, with what may leave of the upstream's. How long the body is, tamis says anew: the upstream
    /// counted other bytes.
    fn headers(
        &self,
        upstream: Head<'_>,
        mut headers: HeaderMap,
        marks: Marks<'_>,
        body: &Body,
        ended: bool,
    ) -> Result<HeaderMap, InvalidHeaderValue> {
        marks.put_on(&mut headers)?;
        let is_sieved = matches!(body, Body::Sieve { .. });
        let tag = self.tag(upstream);
        if self.coding.is_some() && (is_sieved || tag.is_some()) {
            vary(&mut headers, VARY_ENCODING)?;
        }
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            vary(&mut headers, HeaderValue::from_static("Data-Purpose, Api-Key"))?;
        }
        if matches!(body, Body::Empty(_) | Body::Replace(_)) && !treatment::says_json(&headers) {
            // What the upstream said about words that do not leave.
            headers.remove(header::CONTENT_LANGUAGE);
            headers.remove(header::CONTENT_TYPE);
        }
        if !self.passes
            && let Some(value) = treatment::content_type_in_utf8(&headers)
        {
            headers.insert(header::CONTENT_TYPE, value);
        }
        if !self.is_head && !matches!(upstream.status.as_u16(), 204 | 304) {
            self.frame(&mut headers, body, ended);
        }
        Ok(headers)
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
