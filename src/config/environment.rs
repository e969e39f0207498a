//! How variables of the environment are called that are settings, and which ones are close to such a name.

use std::{fmt, iter::successors};

/// How the name of a variable of the environment begins that is a setting.
pub const PREFIX: &str = "TAMIS__";

/// What stands between the parts of such a name.
pub(super) const SEPARATOR: &str = "__";

/// Every key of the settings: `NAME` is a name of the user's, `[]` a place in a list.
pub const KEYS: [&str; 60] = [
    "listen[].address",
    "listen[].unix",
    "listen[].mode",
    "listen[].tls.certificate",
    "listen[].tls.key",
    "listen[].connections",
    "admin.address",
    "policies",
    "keys.root.file",
    "api_keys.NAME",
    "upstreams.NAME.address",
    "upstreams.NAME.addresses[]",
    "upstreams.NAME.unix",
    "upstreams.NAME.tls",
    "upstreams.NAME.tls.name",
    "upstreams.NAME.tls.ca",
    "upstreams.NAME.tls.certificate",
    "upstreams.NAME.tls.key",
    "upstreams.NAME.plain.because",
    "upstreams.NAME.health.path",
    "upstreams.NAME.health.every",
    "upstreams.NAME.protocol",
    "upstreams.NAME.keepalive",
    "upstreams.NAME.host",
    "upstreams.NAME.host.set",
    "limits.depth",
    "limits.name_bytes",
    "limits.value_bytes",
    "limits.gap_bytes",
    "limits.candidate_bytes",
    "limits.document_bytes",
    "limits.decoded_piece_bytes",
    "limits.decoded_ratio",
    "limits.decoded_bytes",
    "limits.pass_bytes",
    "limits.connections",
    "limits.streams",
    "limits.responses_in_flight",
    "limits.caller_in_flight",
    "limits.caller_requests_per_second",
    "limits.held_bytes",
    "limits.metric_series",
    "limits.head_bytes",
    "limits.target_bytes",
    "limits.request_body_bytes",
    "timeouts.connect",
    "timeouts.upstream",
    "timeouts.client",
    "timeouts.head",
    "timeouts.request_body",
    "timeouts.idle",
    "timeouts.notice",
    "timeouts.drain",
    "timeouts.response_age",
    "timeouts.old_policies",
    "timeouts.connection_age",
    "access_log",
    "access_log.file",
    "threads",
    "upgrade_socket",
];

/// What all variables of ours begin with, however the rest is spelled.
const OURS: &str = "TAMIS_";

/// The variables that are not read, and that somebody wrote for a setting: `TAMIS_LIMITS_DEPTH`, which has one
/// underscore where two belong.
///
/// Others are left alone, such as those that Kubernetes makes of a service whose name is `tamis`
/// (`TAMIS_SERVICE_HOST`, `TAMIS_PORT_8080_TCP_ADDR`): no setting is called so.
pub fn ignored<'v>(variables: impl IntoIterator<Item = &'v str>) -> Vec<Ignored> {
    let names = variables.into_iter().filter(|name| !name.starts_with(PREFIX));
    let ignored =
        names.filter_map(|name| Some(Ignored { meant: meant(name)?, variable: name.to_owned() }));
    let mut ignored: Vec<Ignored> = ignored.collect();
    ignored.sort();
    ignored
}

/// A variable that is not read, and the one that was probably meant. Its `Display` is a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ignored {
    /// Its name.
    pub variable: String,
    /// The name of the one that would be read.
    pub meant: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, meant } = self;
        write!(f, "{variable}: this variable is not read\n  help: did you mean `{meant}`?")
    }
}

/// The variable that sets what another one seems to be meant for, which differs from it in its underscores and
/// capitals only.
pub(super) fn meant(variable: &str) -> Option<String> {
    let name = variable.to_ascii_uppercase();
    if name.ends_with("_SERVICE_HOST") {
        return None;
    }
    let words: Vec<&str> =
        name.strip_prefix(OURS)?.split('_').filter(|word| !word.is_empty()).collect();
    let meant = KEYS.iter().find_map(|key| spelled(&levels(key), &words))?;
    let meant = format!("{PREFIX}{}", meant.join(SEPARATOR));
    (meant != variable).then_some(meant)
}

/// The levels of a key: of `listen[].tls.key`, `listen`, `[]`, `tls` and `key`.
fn levels(key: &str) -> Vec<&str> {
    key.split('.')
        .flat_map(|level| match level.strip_suffix("[]") {
            Some(list) => vec![list, "[]"],
            None => vec![level],
        })
        .collect()
}

/// The parts of the variable for these levels, if the words of another one spell them and no more.
fn spelled(levels: &[&str], words: &[&str]) -> Option<Vec<String>> {
    let Some((level, levels)) = levels.split_first() else {
        return words.is_empty().then(Vec::new);
    };
    match *level {
        "[]" => {
            let (number, words) = words.split_first()?;
            number.parse::<usize>().ok()?;
            before((*number).to_owned(), spelled(levels, words))
        }
        // A name can have several words: the fewest that leave the rest of the key.
        "NAME" => {
            successors(Some(1), |count| Some(count + 1)).take(words.len()).find_map(|count| {
                let (name, words) = words.split_at_checked(count)?;
                before(name.join("_"), spelled(levels, words))
            })
        }
        level => {
            let own = shouted(level);
            let own: Vec<&str> = own.split('_').collect();
            let words = words.strip_prefix(own.as_slice())?;
            before(own.join("_"), spelled(levels, words))
        }
    }
}

fn before(part: String, rest: Option<Vec<String>>) -> Option<Vec<String>> {
    let mut parts = rest?;
    parts.insert(0, part);
    Some(parts)
}

/// A name as a variable of the environment spells it: `support-desk` is `SUPPORT_DESK`.
pub(super) fn shouted(name: &str) -> String {
    name.to_uppercase().replace(|c: char| !c.is_alphanumeric(), "_")
}

/// A variable with another name in the place of one of its parts.
pub(super) fn renamed(variable: &str, wrong: &str, name: &str) -> String {
    let parts = variable
        .split(SEPARATOR)
        .map(|part| if shouted(part) == shouted(wrong) { shouted(name) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_meant_for_the_setting_that_its_words_spell() {
        for (written, expected) in [
            ("TAMIS_LIMITS_DEPTH", "TAMIS__LIMITS__DEPTH"),
            ("TAMIS_LIMITS__DEPTH", "TAMIS__LIMITS__DEPTH"),
            ("TAMIS__LIMITS_DEPTH", "TAMIS__LIMITS__DEPTH"),
            ("TAMIS___LIMITS___DEPTH", "TAMIS__LIMITS__DEPTH"),
            ("tamis_limits_depth", "TAMIS__LIMITS__DEPTH"),
            ("TAMIS_LIMITS_VALUE_BYTES", "TAMIS__LIMITS__VALUE_BYTES"),
            ("TAMIS_LISTEN_0_ADDRESS", "TAMIS__LISTEN__0__ADDRESS"),
            ("TAMIS_LISTEN_0_TLS_KEY", "TAMIS__LISTEN__0__TLS__KEY"),
            ("TAMIS_UPSTREAMS_CRM_ADDRESS", "TAMIS__UPSTREAMS__CRM__ADDRESS"),
            (
                "TAMIS_UPSTREAMS_ORDER_SERVICE_HOST_SET",
                "TAMIS__UPSTREAMS__ORDER_SERVICE__HOST__SET",
            ),
            ("TAMIS_API_KEYS_DESK_2026", "TAMIS__API_KEYS__DESK_2026"),
            ("TAMIS_POLICIES", "TAMIS__POLICIES"),
            ("TAMIS_THREADS", "TAMIS__THREADS"),
            ("TAMIS_ACCESS_LOG_FILE", "TAMIS__ACCESS_LOG__FILE"),
            ("TAMIS_KEYS_ROOT_FILE", "TAMIS__KEYS__ROOT__FILE"),
        ] {
            assert_eq!(meant(written).as_deref(), Some(expected), "{written}");
        }
        for fine in [
            "TAMIS__LIMITS__DEPTH",
            "TAMIS__API_KEYS__DESK_2026",
            "TAMIS_KERNEL",
            "TAMIS_SEED",
            "TAMIS_HOME",
            "TAMIS_",
            "TAMIS",
            "PATH",
            "LIMITS_DEPTH",
            "TAMIS_LIMITS",
            "TAMIS_LIMITS_DEPTH_X",
            // Those of Kubernetes, for services of the names `tamis`, `tamis-admin` and `tamis-policies`.
            "TAMIS_SERVICE_HOST",
            "TAMIS_SERVICE_PORT",
            "TAMIS_SERVICE_PORT_HTTPS",
            "TAMIS_PORT",
            "TAMIS_PORT_9090_TCP",
            "TAMIS_PORT_9090_TCP_ADDR",
            "TAMIS_PORT_9090_TCP_PORT",
            "TAMIS_PORT_9090_TCP_PROTO",
            "TAMIS_ADMIN_SERVICE_HOST",
            "TAMIS_ADMIN_PORT",
            "TAMIS_ADMIN_PORT_9090_TCP_ADDR",
            "TAMIS_POLICIES_SERVICE_PORT",
            "TAMIS_UPSTREAMS_CRM_SERVICE_HOST",
        ] {
            assert_eq!(meant(fine), None, "{fine}");
        }
    }
}
