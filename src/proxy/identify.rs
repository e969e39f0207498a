//! Who asks: what the request shows, compared with what the settings and policies know.

use http::{HeaderName, HeaderValue};

use crate::{
    access::Reason,
    config::ApiKeys,
    policy::{Caller, Identify, PolicySet},
};

/// The header that carries an API key.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// What one kind of credential says about who asks.
enum Identified<'s> {
    /// It is this caller.
    Caller(&'s Caller),
    /// The request shows no credential of this kind.
    Absent,
    /// It shows one that does not hold.
    Failed(Reason),
}

/// The caller, by everything that the request shows; none if it shows nothing. A credential that does not hold is never made
/// good by another; two that name different callers name none.
pub(super) fn identify<'s>(
    api_key: Option<&HeaderValue>,
    keys: &ApiKeys,
    set: &'s PolicySet,
) -> Result<Option<&'s Caller>, Reason> {
    let mut found: Option<&Caller> = None;
    for identified in [by_api_key(api_key, keys, set), by_place(set)] {
        match identified {
            Identified::Absent => {}
            Identified::Failed(reason) => return Err(reason),
            Identified::Caller(caller) => match found {
                Some(other) if !std::ptr::eq(other, caller) => return Err(Reason::CallerAmbiguous),
                Some(_) | None => found = Some(caller),
            },
        }
    }
    Ok(found)
}

fn by_api_key<'s>(
    api_key: Option<&HeaderValue>,
    keys: &ApiKeys,
    set: &'s PolicySet,
) -> Identified<'s> {
    let Some(key) = api_key.map(|value| value.as_bytes().trim_ascii()) else {
        return Identified::Absent;
    };
    let holder = keys.name_of(key).and_then(|name| {
        let is_holder = |identify: &Identify| match identify {
            Identify::ApiKey(key) => key == name,
            Identify::Sidecar => false,
        };
        set.callers().iter().find(|caller| is_holder(&caller.identify))
    });
    match holder {
        Some(caller) => Identified::Caller(caller),
        // Somebody on the way has made one header of several.
        None if key.contains(&b',') => Identified::Failed(Reason::CallerAmbiguous),
        None => Identified::Failed(Reason::CallerUnknown),
    }
}

/// The only process that can reach the listeners; the settings make sure of that.
fn by_place(set: &PolicySet) -> Identified<'_> {
    let sidecar = set.callers().iter().find(|caller| caller.identify == Identify::Sidecar);
    sidecar.map_or(Identified::Absent, Identified::Caller)
}
