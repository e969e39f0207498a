//! Which headers go on, in both directions: lists of what may, and nothing else.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    access::Action,
    enforce::Tally,
    message::built_in,
    policy::{Api, CellId, Framing, Plan, is_condition},
    transform::Context,
};

/// The trace that a request belongs to (W3C Trace Context, section 3.2).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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

/// As many headers as most heads have.
pub(crate) const HEADERS: usize = 12;

/// What `Accept` says where the client accepts nothing that could be sieved.
const ACCEPT: &str = "application/json";
/// What `Accept-Encoding` says: whoever packs a body has it unpacked here.
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("identity");

/// The head of a client's request.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'r> {
    pub(crate) method: &'r Method,
    pub(crate) headers: &'r HeaderMap,
}

/// The headers of the request to the upstream: its `host`, and those of the client that may go on. `conditions` stand
/// for those of the client. `accepts_all` says that a body of any type passes.
pub(crate) fn request(
    client: RequestHead<'_>,
    api: &Api,
    plan: &Plan,
    accepts_all: bool,
    host: HeaderValue,
    conditions: &HeaderMap,
) -> HeaderMap {
    let RequestHead { method, headers: said } = client;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let between = of_connection(said);
    let goes_on = |name: &HeaderName| {
        if between.contains(name) || conditions.contains_key(name) {
            return false;
        }
        let is_listed = || api.request_headers.iter().any(|listed| *listed == name.as_str());
        REQUEST.contains(name)
            || (*name == header::ACCEPT && accepts_all)
            || (is_listed() && !(reads && is_condition(name.as_str())))
    };
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::HOST, host);
    for (name, value) in said.iter().filter(|(name, _)| goes_on(name)) {
        headers.append(name.clone(), value.clone());
    }
    // Said twice, the length is the same, or Pingora would not be here; it goes on once.
    if let Some(length) = headers.get(header::CONTENT_LENGTH)
        && let Some(one) = length.as_bytes().split(|byte| *byte == b',').next()
        && let Ok(one) = HeaderValue::from_bytes(one.trim_ascii())
    {
        headers.insert(header::CONTENT_LENGTH, one);
    }
    if !accepts_all {
        headers.insert(header::ACCEPT, accept(said, plan));
    }
    headers.insert(header::ACCEPT_ENCODING, ACCEPT_ENCODING);
    for (name, value) in conditions {
        headers.append(name.clone(), value.clone());
    }
    headers
}

/// The headers that `Connection` names: they are between two neighbours, and go no further (RFC 9110, section 7.6.1).
fn of_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(header::CONNECTION).iter();
    let options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}

/// How long the body behind these headers is, if they say so.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What the client accepts, as far as it can be sieved or passes by a rule.
fn accept(headers: &HeaderMap, plan: &Plan) -> HeaderValue {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = Vec::new();
    for range in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (media, parameters) = range.split_once(';').map_or((range, ""), |(m, p)| (m, p));
        let media = media.trim().to_ascii_lowercase();
        let parameters = if parameters.is_empty() { "" } else { &format!(";{parameters}") };
        let written = |media: &str| format!("{media}{parameters}");
        if matches!(media.as_str(), "*/*" | "application/*") {
            ranges.push(written(ACCEPT));
        }
        ranges.extend(plan.media_of(&media).map(written));
        if Framing::of(&media).is_some() || plan.passes_media(&media) {
            ranges.push(range.to_owned());
        }
    }
    HeaderValue::try_from(ranges.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static(ACCEPT))
}

/// What of an upstream's headers may leave: those that are [built in](built_in), and those that the policies know,
/// each line of them as the plan says; and how often what was done to them.
///
/// A line that is withheld, or that its action cannot treat, is removed. `passes` says that the route lets its bodies
/// pass.
pub(crate) fn sieved(
    upstream: &HeaderMap,
    plan: &Arc<Plan>,
    passes: bool,
    context: Context,
) -> (HeaderMap, Tally) {
    let mut left = HeaderMap::with_capacity(HEADERS);
    let mut tally = Tally::of_head(plan);
    let between = of_connection(upstream);
    for (name, value) in upstream.iter().filter(|(name, _)| !between.contains(name)) {
        let Some(cell) = plan.header(name.as_str()) else {
            if let Some(value) = built_in::written(name, value, passes) {
                left.append(name.clone(), value);
            }
            continue;
        };
        match treated(plan, cell, value, context) {
            Some(value) => {
                tally.count(cell);
                left.append(name.clone(), value);
            }
            None if withholds(plan, cell) => {}
            None => tally.count_unfit(cell),
        }
    }
    (left, tally)
}

fn withholds(plan: &Plan, cell: CellId) -> bool {
    plan.cells().get(cell.index()).is_none_or(|cell| cell.action.withholds())
}

/// What leaves in the place of one value; none if nothing does.
fn treated(
    plan: &Plan,
    cell: CellId,
    value: &HeaderValue,
    context: Context,
) -> Option<HeaderValue> {
    if plan.cells().get(cell.index())?.action == Action::Keep {
        return Some(value.clone());
    }
    let text = str::from_utf8(value.as_bytes()).ok()?;
    let text = plan.transform(cell).apply_text(text.trim_ascii(), &context)?;
    // What an action makes of a value must not look like another line, nor like none.
    let is_clean = !text.chars().any(char::is_control);
    HeaderValue::try_from(text.into_bytes()).ok().filter(|_| is_clean)
}
