//! Problems (RFC 9457), which say why, and carry nothing of a request or of an upstream's response.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::access::Reason;

/// The media type of problems.
pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The body of a problem of tamis.
pub(crate) fn problem(reason: Reason) -> Bytes {
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
