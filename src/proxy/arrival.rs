//! A request that has been read, and what has to be true of its head before anything is decided.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version, header,
    uri::{Authority, Scheme},
};
use pingora::http::RequestHeader;

use crate::{
    access::Reason,
    config::Limits,
    policy::{Target, check_host},
    proxy::strict::HEADERS_MAX,
};

/// A request that has been read.
pub(super) struct Arrival<'a> {
    pub(super) request: &'a RequestHeader,
    /// The host that it asks.
    pub(super) host: Result<&'a str, Reason>,
    pub(super) has_body: bool,
    /// Why it is refused, if it cannot be read: then the rest is not what the client has sent.
    pub(super) unreadable: Option<Reason>,
}

/// Holds a head of HTTP/2 to what one of HTTP/1.1 was held to before it came so far.
pub(super) fn check_head(request: &RequestHeader, limits: &Limits) -> Result<(), Reason> {
    if request.version == Version::HTTP_11 {
        return Ok(());
    }
    let has_two_lengths = request.headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some();
    // Whoever reads it as HTTP/1.1 would read another value (RFC 9113, section 8.2.1).
    let is_padded = |value: &HeaderValue| value.as_bytes().trim_ascii().len() != value.len();
    // A scheme stands beside an authority, but for CONNECT, and is that of HTTP (sections 8.3.1 and 8.5).
    let is_of_http = match (request.uri.scheme(), request.uri.authority()) {
        (Some(scheme), _) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
        (None, authority) => authority.is_none() || request.method == Method::CONNECT,
    };
    if has_two_lengths || !is_of_http || request.headers.values().any(is_padded) {
        return Err(Reason::RequestUnreadable);
    }
    let target = request.raw_path().len();
    let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    if target > limits.target_bytes {
        return Err(Reason::TargetTooLong);
    }
    let headers: usize = request.headers.iter().map(header).sum();
    if target + headers > limits.head_bytes || request.headers.len() > HEADERS_MAX {
        return Err(Reason::HeadTooLarge);
    }
    Ok(())
}

/// The value of a header that must not stand twice: somebody else could go by the other one.
pub(super) fn once(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(Reason::HeaderRepeated) } else { Ok(value) }
}

/// Whether a client wants to speak another protocol, such as WebSocket, which nobody could look into. To offer
/// HTTP/2 is no wish to, and some clients do so with every request.
pub(super) fn wants_upgrade(request: &RequestHeader) -> bool {
    let values = request.headers.get_all(header::UPGRADE).iter();
    let mut protocols = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

pub(super) fn target(request: &RequestHeader) -> Result<Target, Reason> {
    // Behind it there would be no HTTP any more. That of HTTP/1.1 would not have come so far.
    if request.method == Method::CONNECT {
        return Err(Reason::RouteUnknown);
    }
    // What goes on are these bytes, so that they are what is decided about.
    let path = str::from_utf8(request.raw_path()).or(Err(Reason::PathNotCanonical))?;
    if !path.is_ascii() {
        return Err(Reason::PathNotCanonical);
    }
    Target::parse(request.method.as_str(), path)
}

/// The host that is asked, which must be said, and so that it cannot be taken for another.
pub(super) fn host(request: &RequestHeader) -> Result<&str, Reason> {
    let wrong = Reason::HostNotValid;
    let mut headers = request.headers.get_all(header::HOST).iter();
    let header = headers.next().map(|host| host.to_str().or(Err(wrong))).transpose()?;
    let target = request.uri.authority().map(Authority::as_str);
    let is_other = |header: &str| target.is_some_and(|it| !it.eq_ignore_ascii_case(header));
    if headers.next().is_some() || header.is_some_and(is_other) {
        return Err(wrong);
    }
    let host = target.or(header).ok_or(wrong)?;
    check_host(host).map(|()| host)
}
