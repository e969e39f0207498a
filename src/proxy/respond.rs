//! What tamis itself answers: problems (RFC 9457) that say why, and carry nothing of the request or of
//! the upstream's answer.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora::{
    Error, ErrorSource, ErrorType, http::ResponseHeader, protocols::http::ServerSession,
};
use serde_json::json;

use crate::{
    access::{Labels, Reason},
    policy::Preflight,
    proxy::journey::Journey,
};

/// The purpose that was applied.
pub(super) const DATA_PURPOSE: HeaderName = HeaderName::from_static("data-purpose");
/// The digest of the policies that were applied, 12 digits.
pub(super) const TAMIS_POLICY: HeaderName = HeaderName::from_static("tamis-policy");
/// The media type of problems.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Seconds until a client that was turned away for load or for want of policies may try again.
const RETRY_AFTER: &str = "1";
/// How a client shows who it is; RFC 9110, section 15.5.2, asks for it beside a 401.
const CHALLENGE: &str = "ApiKey";

/// Why Pingora ended a response; none if the client itself did.
pub(super) fn reason_of(error: &Error) -> Option<Reason> {
    match (error.esource(), Fault::of(error.etype())) {
        (ErrorSource::Upstream, Fault::Away) if is_disbelief(error) => {
            Some(Reason::UpstreamUntrusted)
        }
        (ErrorSource::Upstream, Fault::Away) => Some(Reason::UpstreamUnreachable),
        (ErrorSource::Upstream, Fault::Slow) => Some(Reason::UpstreamTimeout),
        (ErrorSource::Upstream, Fault::Gone | Fault::Wrong) => Some(Reason::UpstreamProtocol),
        (ErrorSource::Downstream, Fault::Wrong) => Some(Reason::RequestUnreadable),
        // All that is read of it is a body.
        (ErrorSource::Downstream, Fault::Slow) if *error.etype() == ErrorType::ReadTimedout => {
            Some(Reason::RequestTimeout)
        }
        (ErrorSource::Downstream, Fault::Away | Fault::Slow | Fault::Gone | Fault::Ours) => None,
        (ErrorSource::Upstream, Fault::Ours) | (ErrorSource::Internal | ErrorSource::Unset, _) => {
            Some(Reason::Internal)
        }
    }
}

/// Whether a peer was reached and shows a certificate that is not to be believed.
///
/// Of the error of rustls Pingora leaves the words, which begin so for whatever is wrong with a certificate, and
/// for nothing else; names that a certificate holds come behind.
fn is_disbelief(error: &Error) -> bool {
    const WORDS: &str = "invalid peer certificate: ";
    *error.etype() == ErrorType::TLSHandshakeFailure && error.to_string().contains(WORDS)
}

/// What is wrong with a peer.
enum Fault {
    /// It cannot be reached.
    Away,
    /// It takes too long.
    Slow,
    /// The connection, or the stream on it, is no more.
    Gone,
    /// What it says is not HTTP.
    Wrong,
    /// Nothing.
    Ours,
}

impl Fault {
    fn of(error: &ErrorType) -> Self {
        use ErrorType as T;
        match error {
            T::ConnectTimedout | T::TLSHandshakeTimedout | T::ReadTimedout | T::WriteTimedout => {
                Self::Slow
            }
            T::ConnectRefused
            | T::ConnectNoRoute
            | T::ConnectError
            | T::ConnectProxyFailure
            | T::SocketError
            | T::BindError
            | T::TLSHandshakeFailure
            | T::TLSWantX509Lookup
            | T::InvalidCert
            | T::HandshakeError => Self::Away,
            T::H2Error
            | T::H2Downgrade
            | T::InvalidH2
            | T::ReadError
            | T::WriteError
            | T::ConnectionClosed => Self::Gone,
            // Of its own Pingora names a chunk without a size, or a body that ends too soon.
            T::InvalidHTTPHeader | T::H1Error | T::Custom(_) => Self::Wrong,
            T::AcceptError
            | T::HTTPStatus(_)
            | T::FileOpenError
            | T::FileCreateError
            | T::FileReadError
            | T::FileWriteError
            | T::InternalError
            | T::UnknownError
            | T::CustomCode(..) => Self::Ours,
        }
    }
}

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
pub(super) fn mark(head: &mut ResponseHeader, journey: &Journey) -> pingora::Result<()> {
    let purpose = &journey.labels().purpose;
    if **purpose != *Labels::UNKNOWN {
        head.insert_header(DATA_PURPOSE, purpose.as_bytes())?;
    }
    if let Some(digest) = journey.policy().and_then(|policy| policy.get(..12)) {
        head.insert_header(TAMIS_POLICY, digest)?;
    }
    if let Some(Crossing(allowed)) = journey.crossing() {
        vary(head, "Origin")?;
        if let Some((origin, exposed)) = allowed {
            head.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)?;
            head.insert_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed)?;
        }
    }
    head.insert_header(header::CACHE_CONTROL, "no-store")
}

/// What is said of pages of other origins: the one that may read the response, and which headers of it.
pub(super) struct Crossing(pub(super) Option<(HeaderValue, HeaderValue)>);

/// Adds to what a response depends on.
pub(super) fn vary(head: &mut ResponseHeader, on: &str) -> pingora::Result<()> {
    let known = head.headers.get(header::VARY).and_then(|known| known.to_str().ok());
    let all = known.map_or_else(|| on.to_owned(), |known| format!("{known}, {on}"));
    head.insert_header(header::VARY, all)
}

/// A response of ours, ready to be written.
pub(super) struct Answer {
    head: Box<ResponseHeader>,
    body: Bytes,
}

impl Answer {
    /// The problem that says why.
    pub(super) fn problem(reason: Reason, journey: &Journey) -> pingora::Result<Self> {
        let body = problem(reason);
        let mut head = ResponseHeader::build(reason.status(), Some(8))?;
        head.insert_header(header::CONTENT_TYPE, PROBLEM)?;
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        match reason.status() {
            401 => head.insert_header(header::WWW_AUTHENTICATE, CHALLENGE)?,
            429 | 503 => head.insert_header(header::RETRY_AFTER, RETRY_AFTER)?,
            _ => {}
        }
        mark(&mut head, journey)?;
        Ok(Self { head: Box::new(head), body })
    }

    /// What a browser is told that asks whether a page of another origin may ask.
    pub(super) fn preflight(preflight: &Preflight, journey: &Journey) -> pingora::Result<Self> {
        let mut head = ResponseHeader::build(StatusCode::NO_CONTENT, Some(8))?;
        head.insert_header(header::ACCESS_CONTROL_ALLOW_METHODS, preflight.methods.join(", "))?;
        head.insert_header(header::ACCESS_CONTROL_ALLOW_HEADERS, preflight.headers.join(", "))?;
        mark(&mut head, journey)?;
        head.remove_header(&header::ACCESS_CONTROL_EXPOSE_HEADERS);
        Ok(Self { head: Box::new(head), body: Bytes::new() })
    }

    /// Writes it.
    ///
    /// A body that the client sends all the same is read and forgotten, so that the client gets to the
    /// answer; one that waits to be asked for is not, and the connection ends.
    pub(super) async fn write(self, client: &mut ServerSession) -> pingora::Result<()> {
        let is_head = client.req_header().method == http::Method::HEAD
            || self.head.status == StatusCode::NO_CONTENT;
        let is_body_held_back = client.get_header(header::EXPECT).is_some();
        client.set_close_on_response_before_downstream_finish(is_body_held_back);
        client.write_response_header(self.head).await?;
        if is_head {
            return Ok(());
        }
        client.write_response_body(self.body, true).await
    }

    /// Writes it to a client whose request could not be read.
    pub(super) async fn write_unread(self, client: &mut ServerSession) -> pingora::Result<()> {
        client.write_response_header(self.head).await?;
        client.write_response_body(self.body, true).await
    }
}
