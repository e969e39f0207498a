//! Holds `config/tamis.yaml` and `config/README.md` to what the program does.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use tamis::{
    config::{self, Settings, SettingsError},
    policy, proxy, reload,
    transform::NoKeys,
};

const EXAMPLE: &str = include_str!("../../config/tamis.yaml");
const REFERENCE: &str = include_str!("../../config/README.md");

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Settings::parse("t.yaml", text, environment.iter().map(own).collect::<Vec<_>>())
}

/// The settings that the reference shows.
fn blocks() -> Vec<&'static str> {
    let blocks = REFERENCE.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_is_true() {
    let settings = parse(EXAMPLE, &[]).unwrap();
    for name in
        ["support-desk", "invoicing", "back-office", "data-team", "ward-app", "insurance", "agency"]
    {
        let key = format!("example-{name}-2026");
        assert_eq!(settings.api_keys.name_of(key.as_bytes()), Some(&*format!("{name}-2026")));
    }
    let blocks = blocks();
    assert!(!blocks.is_empty());
    for block in blocks {
        parse(block, &[]).unwrap_or_else(|error| panic!("{error} in\n{block}"));
    }
    let variables = rows("| variable | key");
    assert!(variables.len() >= 5);
    for row in variables {
        let (variable, value) = row[0].split_once('=').unwrap();
        parse(EXAMPLE, &[(variable, value)]).unwrap_or_else(|error| panic!("{error}"));
        // Where a value lies, a wrong one tells.
        let error = parse(EXAMPLE, &[(variable, "")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{variable}: `{}` has no value", row[1])), "{error}");
    }
}

/// The part of a pod: as Kubernetes would read it, and as tamis wants it.
#[test]
fn the_pod_is_one_in_which_policies_are_updated() {
    let pod = REFERENCE.split("```yaml pod\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(!pod.contains("subPath"));
    let pod: Value = serde_saphyr::from_str(pod).unwrap();
    let timeouts = parse("listen: [{ address: 127.0.0.1:8080 }]", &[]).unwrap().timeouts;
    let least = timeouts.notice + timeouts.drain;
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > least.as_secs() + 1);
    let container = &pod["containers"][0];
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], 9090);
    }
    let volumes = pod["volumes"].as_array().unwrap();
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
}

/// The policies of the repository, which the example is said to fit.
#[test]
fn the_example_fits_the_policies() {
    let settings = parse(EXAMPLE, &[]).unwrap();
    let folder = reload::read_folder(Path::new("policies")).unwrap();
    let set = policy::load(&folder.sources, &NoKeys).set.unwrap();
    for caller in set.callers() {
        let policy::Identify::ApiKey(name) = &caller.identify else { continue };
        assert!(settings.api_keys.contains(name), "{name}");
    }
    for api in set.apis() {
        assert!(settings.upstreams.contains_key(&*api.name), "{}", api.name);
    }
    assert_eq!(proxy::unmet(&settings, &set), [""; 0]);
}

/// The dotted keys of a tree; of names that are the user's, `NAME`.
fn keys_of(node: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(members) = node.as_object() {
        if members.is_empty() {
            keys.insert(path.to_owned());
        }
        for (name, node) in members {
            let name = match path {
                "api_keys" | "upstreams" => "NAME",
                _ => name,
            };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            keys_of(node, &path, keys);
        }
    } else if let Some(items) = node.as_array() {
        for item in items {
            keys_of(item, &format!("{path}[]"), keys);
        }
    } else {
        keys.insert(path.to_owned());
    }
}

/// The rows of the table of the reference that begins with this header.
fn rows(header: &str) -> Vec<Vec<&'static str>> {
    let rows = REFERENCE.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    })
    .collect()
}

#[test]
fn the_example_and_the_reference_have_every_key() {
    // What cannot stand beside another value, or takes a folder that is not there.
    let mut shown = BTreeSet::from(["access_log.file", "upgrade_socket"].map(str::to_owned));
    // What excludes what the one shows, the others do.
    for example in blocks().into_iter().chain([EXAMPLE]) {
        keys_of(&serde_saphyr::from_str(example).unwrap(), "", &mut shown);
    }
    let listed = rows("| key | default");
    let names: BTreeSet<String> = listed.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(shown, names);
    assert_eq!(names, config::KEYS.iter().map(|key| (*key).to_owned()).collect());
    // The other way round: what is asked for in each section, by what it says can stand there.
    for (section, variable) in [
        ("", "TAMIS__"),
        ("listen[].", "TAMIS__LISTEN__0__"),
        ("listen[].tls.", "TAMIS__LISTEN__0__TLS__"),
        ("admin.", "TAMIS__ADMIN__"),
        ("keys.", "TAMIS__KEYS__"),
        ("keys.root.", "TAMIS__KEYS__ROOT__"),
        ("upstreams.NAME.", "TAMIS__UPSTREAMS__CRM__"),
        ("upstreams.NAME.tls.", "TAMIS__UPSTREAMS__CRM__TLS__"),
        ("upstreams.NAME.health.", "TAMIS__UPSTREAMS__CRM__HEALTH__"),
        ("upstreams.NAME.plain.", "TAMIS__UPSTREAMS__CRM__PLAIN__"),
        ("upstreams.NAME.host.", "TAMIS__UPSTREAMS__FHIR__HOST__"),
        ("limits.", "TAMIS__LIMITS__"),
        ("timeouts.", "TAMIS__TIMEOUTS__"),
        ("access_log.", "TAMIS__ACCESS_LOG__"),
    ] {
        let error = parse(EXAMPLE, &[(&format!("{variable}{}", "Z".repeat(40)), "1")]).unwrap_err();
        let error = error.to_string();
        let asked: Vec<&str> =
            error.split_once("here: ").unwrap().1.split('`').skip(1).step_by(2).collect();
        for name in asked {
            let key = format!("{section}{name}");
            let is_about = |row: &&String| {
                row.strip_prefix(&*key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            assert!(names.iter().any(|row| is_about(&row)), "no line about `{key}`");
        }
    }
    let settings = parse("listen: [{ address: 127.0.0.1:8080 }]", &[]).unwrap();
    let defaults = [
        ("limits.depth", settings.limits.depth.to_string()),
        ("limits.name_bytes", settings.limits.name_bytes.to_string()),
        ("limits.value_bytes", settings.limits.value_bytes.to_string()),
        ("limits.gap_bytes", settings.limits.gap_bytes.to_string()),
        ("limits.candidate_bytes", settings.limits.candidate_bytes.to_string()),
        ("limits.document_bytes", settings.limits.document_bytes.to_string()),
        ("limits.decoded_piece_bytes", settings.limits.decoded_piece_bytes.to_string()),
        ("limits.decoded_ratio", settings.limits.decoded_ratio.to_string()),
        ("limits.decoded_bytes", settings.limits.decoded_bytes.to_string()),
        ("limits.pass_bytes", settings.limits.pass_bytes.to_string()),
        ("limits.responses_in_flight", settings.limits.responses_in_flight.to_string()),
        ("limits.metric_series", settings.limits.metric_series.to_string()),
        ("limits.head_bytes", settings.limits.head_bytes.to_string()),
        ("limits.target_bytes", settings.limits.target_bytes.to_string()),
        ("limits.request_body_bytes", settings.limits.request_body_bytes.to_string()),
        ("timeouts.connect", format!("{}s", settings.timeouts.connect.as_secs())),
        ("timeouts.upstream", format!("{}s", settings.timeouts.upstream.as_secs())),
        ("timeouts.client", format!("{}s", settings.timeouts.client.as_secs())),
        ("timeouts.head", format!("{}s", settings.timeouts.head.as_secs())),
        ("timeouts.idle", format!("{}s", settings.timeouts.idle.as_secs())),
        ("timeouts.notice", format!("{}s", settings.timeouts.notice.as_secs())),
        ("timeouts.drain", format!("{}s", settings.timeouts.drain.as_secs())),
        ("admin.address", settings.admin.to_string()),
        ("policies", settings.policies.display().to_string()),
    ];
    for (key, default) in defaults {
        let row = listed.iter().find(|row| row[0] == key).unwrap();
        assert_eq!(row[1], default, "{key}");
    }
}
