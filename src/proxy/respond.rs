//! What tamis itself answers: problems (RFC 9457) that say why, and carry nothing of the request or of
//! the upstream's answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use pingora::{http::ResponseHeader, protocols::http::ServerSession};

use crate::{
    access::Reason,
    message::{HEADERS, PROBLEM, problem},
    policy::Preflight,
    proxy::{client::Client, journey::Journey},
};

/// Seconds until a client that was turned away for load or for want of policies may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// How a client shows who it is; RFC 9110, section 15.5.2, asks for it beside a 401.
const CHALLENGE: HeaderValue = HeaderValue::from_static("ApiKey");

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
        journey.marks().put_on(&mut headers)?;
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
        journey.marks().put_on(&mut headers)?;
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
