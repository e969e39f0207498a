//! Pages of other origins: which may ask, and what their browsers are told.

use http::{HeaderValue, Method, header};
use pingora::http::RequestHeader;

use crate::{
    message::Crossing,
    policy::{Denial, PolicySet, Preflight, Target},
    proxy::arrival::Arrival,
};

/// The origin of the page that asks, if the browser says one.
fn origin(request: &RequestHeader) -> Option<&str> {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().ok()?;
    origins.next().is_none().then_some(origin)
}

/// What is said of pages of other origins, whatever is answered.
pub(super) fn crossing(arrival: &Arrival<'_>, set: &PolicySet) -> Option<Crossing> {
    let origin = origin(arrival.request);
    let crossing = set.crossing(Some(arrival.host.ok()?), origin)?;
    let allowed = origin.filter(|_| crossing.is_allowed()).and_then(|origin| {
        let exposed = HeaderValue::try_from(crossing.exposed().join(", ")).ok()?;
        Some((HeaderValue::try_from(origin).ok()?, exposed))
    });
    Some(Crossing(allowed))
}

/// Whether a browser asks for a page of another origin whether it may ask (Fetch standard, section
/// 4.8), and what it is told.
pub(super) fn preflight(
    request: &RequestHeader,
    set: &PolicySet,
    host: &str,
    target: &Target,
) -> Option<Result<Preflight, Denial>> {
    if request.method != Method::OPTIONS
        || !request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    set.preflight(Some(host), target, origin(request)?)
}
