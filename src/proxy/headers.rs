//! Which headers go on, in both directions: lists of what may, and nothing else.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::policy::{Api, Framing};

/// Request headers that cannot change what the upstream decides: they say in which form or language
/// an answer is wanted, what the body is, and which trace the request belongs to.
static REQUEST: [HeaderName; 8] = [
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    header::USER_AGENT,
];

/// Response headers that say something about the message, and nothing about anybody.
static RESPONSE: [HeaderName; 4] =
    [header::ALLOW, header::CONTENT_LANGUAGE, header::CONTENT_TYPE, header::RETRY_AFTER];

/// What `Accept` says where the client accepts nothing that could be sieved.
const ACCEPT: &str = "application/json";

/// Makes of the request to the upstream what may be asked. `host` stands for the client's, if there
/// is one.
pub(super) fn request(
    request: &mut RequestHeader,
    api: &Api,
    host: Option<&str>,
) -> pingora::Result<()> {
    let accept = accept(&request.headers, api);
    let names: Vec<HeaderName> = request.headers.keys().cloned().collect();
    for name in names {
        let goes_on = REQUEST.contains(&name)
            || name == header::HOST
            || api.request_headers.iter().any(|listed| *listed == name.as_str());
        if !goes_on {
            request.remove_header(&name);
        }
    }
    // Said twice, the length is the same, or Pingora would not be here; it goes on once.
    let length = request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|value| value.split(',').next()).map(|one| one.trim().to_owned());
    if let Some(length) = length {
        request.insert_header(header::CONTENT_LENGTH, length)?;
    }
    request.insert_header(header::ACCEPT, accept)?;
    request.insert_header(header::ACCEPT_ENCODING, "identity")?;
    if let Some(host) = host {
        request.insert_header(header::HOST, host)?;
    }
    Ok(())
}

/// What the client accepts, as far as it can be sieved or passes by a rule.
fn accept(headers: &HeaderMap, api: &Api) -> HeaderValue {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = Vec::new();
    for range in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (media, parameters) = range.split_once(';').map_or((range, ""), |(m, p)| (m, p));
        let media = media.trim().to_ascii_lowercase();
        if matches!(media.as_str(), "*/*" | "application/*") {
            let parameters = if parameters.is_empty() { "" } else { &format!(";{parameters}") };
            ranges.push(format!("{ACCEPT}{parameters}"));
        } else if Framing::of(&media).is_some() || api.passes(&media) {
            ranges.push(range.to_owned());
        }
    }
    HeaderValue::try_from(ranges.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static(ACCEPT))
}

/// The head of the response with what may leave of it: the status, and the headers on the lists. The
/// reason phrase is the standard's, and how long the body is the upstream does not say.
pub(super) fn response(upstream: &ResponseHeader, api: &Api) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(upstream.status, Some(12))?;
    head.set_version(upstream.version);
    for (name, value) in &upstream.headers {
        let leaves = RESPONSE.contains(name)
            || api.response_headers.iter().any(|listed| *listed == name.as_str());
        if leaves {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    Ok(head)
}
