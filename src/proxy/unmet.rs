//! What policies need that the settings do not give.

use crate::{
    config::{self, HostHeader, Settings},
    policy::{Identify, PolicySet},
};

/// What a set of policies needs that the settings do not give, in words for people. A set that needs
/// nothing more is fit to be served.
pub fn unmet(settings: &Settings, set: &PolicySet) -> Vec<String> {
    let mut unmet = Vec::new();
    let is_api = |name: &str| set.apis().iter().any(|api| *api.name == *name);
    let unused = settings.upstreams.keys().map(String::as_str).filter(|name| !is_api(name));
    let unused = listed("is an upstream of no api", "are upstreams of no api", unused);
    for api in set.apis() {
        if !settings.upstreams.contains_key(&*api.name) {
            unmet.push(format!(
                "the api `{0}` has no upstream: add `upstreams: {{ {0}: {{ address: HOST:PORT }} }}` to the settings{unused}",
                api.name
            ));
        }
    }
    for api in set.apis().iter().filter(|api| api.hosts.is_empty()) {
        let keeps = |upstream: &config::Upstream| upstream.host == HostHeader::Keep;
        if settings.upstreams.get(&*api.name).is_some_and(keeps) {
            unmet.push(format!(
                "the api `{0}` lists no `host`, and `upstreams.{0}` has `host: keep`: whatever host a client makes up would go on; list the hosts in the policies, or leave `host` out of the settings, or write `host: {{ set: NAME }}`",
                api.name
            ));
        }
    }
    let is_shown = |name: &str| {
        set.callers()
            .iter()
            .any(|caller| matches!(&caller.identify, Identify::ApiKey(key) if **key == *name))
    };
    let unused = settings.api_keys.names().filter(|name| !is_shown(name));
    let unused = listed("is the key of no caller", "are the keys of no caller", unused);
    for caller in set.callers() {
        match &caller.identify {
            Identify::ApiKey(key) if !settings.api_keys.contains(key) => unmet.push(format!(
                "the caller `{}` shows the API key `{key}`: add `api_keys: {{ {key}: \"sha256:DIGEST\" }}` to the settings{unused}",
                caller.name
            )),
            Identify::Sidecar if settings.listen.iter().any(|it| !it.place.is_local()) => {
                unmet.push(format!(
                    "the caller `{}` is whoever connects: for that, every address under `listen` must be a loopback address, or a UNIX socket",
                    caller.name
                ));
            }
            Identify::ApiKey(_) | Identify::Sidecar => {}
        }
    }
    unmet
}

/// Most names in one message.
const LISTED_MAX: usize = 12;

/// The names of the settings that the policies do not use, one of which may be the one that was meant.
fn listed<'n>(one: &str, several: &str, names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> =
        names.take(LISTED_MAX + 1).map(|name| format!("`{name}`")).collect();
    let what = if names.len() == 1 { one } else { several };
    if names.len() > LISTED_MAX {
        names.pop();
        names.push("and others".to_owned());
    }
    if names.is_empty() { String::new() } else { format!("; {} {what}", names.join(", ")) }
}
