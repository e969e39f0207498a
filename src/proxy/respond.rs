//! What tamis itself answers: problems (RFC 9457) that say why, and carry nothing of the request or of
//! the upstream's answer.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, header::InvalidHeaderValue,
};
use pingora::{http::ResponseHeader, protocols::http::ServerSession};
use serde_json::json;

use crate::{
    access::{Labels, Reason},
    policy::Preflight,
    proxy::{client::Client, headers::HEADERS, journey::Journey},
};

/// The purpose that was applied.
pub(super) const DATA_PURPOSE: HeaderName = HeaderName::from_static("data-purpose");
/// The digest of the policies that were applied, 12 digits.
pub(super) const TAMIS_POLICY: HeaderName = HeaderName::from_static("tamis-policy");
/// The media type of problems.
pub(super) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Seconds until a client that was turned away for load or for want of policies may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// Nobody may keep a response that was made for one caller.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// How a client shows who it is; RFC 9110, section 15.5.2, asks for it beside a 401.
const CHALLENGE: HeaderValue = HeaderValue::from_static("ApiKey");

/// The body of a problem of tamis.
fn problem(reason: Reason) -> Bytes {
    let problem = json!({
        "type": format!("urn:tamis:problem:{reason}"),
        "title": reason.title(),
        "status": reason.status(),
    });
    problem.to_string().into()
}

/// The body that stands for an error of the upstream's which cannot be looked into.
pub(crate) fn error_of_upstream(status: StatusCode) -> Bytes {
    let title = status.canonical_reason().unwrap_or("Error");
    json!({ "type": "about:blank", "title": title, "status": status.as_u16() }).to_string().into()
}

/// Says on a response under which purpose and which policies it was made, and that nobody may keep it.
pub(super) fn mark(headers: &mut HeaderMap, journey: &Journey) -> Result<(), InvalidHeaderValue> {
    let purpose = &journey.labels().purpose;
    if **purpose != *Labels::UNKNOWN {
        headers.insert(DATA_PURPOSE, HeaderValue::from_str(purpose)?);
    }
    if let Some(digest) = journey.policy().and_then(|policy| policy.get(..12)) {
        headers.insert(TAMIS_POLICY, HeaderValue::from_str(digest)?);
    }
    if let Some(Crossing(allowed)) = journey.crossing() {
        vary(headers, HeaderValue::from_static("Origin"))?;
        if let Some((origin, exposed)) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    Ok(())
}

/// What is said of pages of other origins: the one that may read the response, and which headers of it.
pub(super) struct Crossing(pub(super) Option<(HeaderValue, HeaderValue)>);

/// Adds to what a response depends on.
pub(super) fn vary(headers: &mut HeaderMap, on: HeaderValue) -> Result<(), InvalidHeaderValue> {
    let all = match headers.get(header::VARY) {
        None => on,
        Some(known) => HeaderValue::from_bytes(&[known.as_bytes(), b", ", on.as_bytes()].concat())?,
    };
    headers.insert(header::VARY, all);
    Ok(())
}

/// The head of a response. Its version is that of whoever speaks (RFC 9110, section 6.2), which to a client is tamis, and
/// its reason phrase is the standard's.
pub(super) fn head(status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.headers) = (status, headers);
    parts.into()
}

/// A response of ours, ready to be written.
pub(super) struct Answer {
    head: Box<ResponseHeader>,
    body: Bytes,
}

impl Answer {
    /// The problem that says why.
    pub(super) fn problem(reason: Reason, journey: &Journey) -> Result<Self, http::Error> {
        let body = problem(reason);
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::CONTENT_TYPE, PROBLEM);
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        match reason.status() {
            401 => drop(headers.insert(header::WWW_AUTHENTICATE, CHALLENGE)),
            429 | 503 => drop(headers.insert(header::RETRY_AFTER, RETRY_AFTER)),
            _ => {}
        }
        mark(&mut headers, journey)?;
        Ok(Self { head: Box::new(head(StatusCode::from_u16(reason.status())?, headers)), body })
    }

    /// What a browser is told that asks whether a page of another origin may ask.
    pub(super) fn preflight(preflight: &Preflight, journey: &Journey) -> Result<Self, http::Error> {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        for (name, list) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, preflight.methods.join(", ")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, preflight.headers.join(", ")),
        ] {
            headers.insert(name, HeaderValue::try_from(list)?);
        }
        mark(&mut headers, journey)?;
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        let head = head(StatusCode::NO_CONTENT, headers);
        Ok(Self { head: Box::new(head), body: Bytes::new() })
    }

    /// Writes it.
    ///
    /// A body that the client sends all the same is read and forgotten, so that the client gets to the
    /// answer; one that waits to be asked for is not, and the connection ends.
    pub(super) async fn write(self, client: &mut Client) -> pingora::Result<()> {
        let is_head = client.request().method == http::Method::HEAD
            || self.head.status == StatusCode::NO_CONTENT;
        if let Client::Http1 { session, .. } = client {
            let is_body_held_back = session.get_header(header::EXPECT).is_some();
            session.set_close_on_response_before_downstream_finish(is_body_held_back);
        }
        client.write_head(self.head).await?;
        if !is_head {
            client.write(self.body).await?;
        }
        client.finish().await
    }

    /// Writes it to a client whose request could not be read.
    pub(super) async fn write_unread(self, session: &mut ServerSession) -> pingora::Result<()> {
        session.write_response_header(self.head).await?;
        session.write_response_body(self.body, true).await
    }
}
