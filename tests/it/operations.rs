//! The files for Prometheus and Grafana: they ask for what is exported, say what to do, and are right
//! by the tools of those who will read them. Grafana itself is not run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use regex::Regex;
use serde_json::{Value, json};
use tamis::{
    access::{AccessRecord, Action, Count, Decision, Labels, Reason},
    metrics::Metrics,
};

/// Metrics that neither the dashboard nor an alert shows, and why they are exported all the same.
const UNUSED: &[(&str, &str)] = &[
    ("process_virtual_memory_bytes", "address space costs nothing; every client exports it"),
    ("process_start_time_seconds", "dashboards of all processes tell restarts by it"),
    ("process_threads", "`threads` of the settings says how many; every client exports it"),
];

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn text(file: &str) -> String {
    fs::read_to_string(config().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/dashboards/tamis.json")).unwrap()
}

/// The panels that show something; rows only part them.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

/// The queries of the dashboard, under names for messages.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        for target in panel["targets"].as_array().unwrap() {
            let name = format!("{} {}", panel["title"].as_str().unwrap(), target["refId"]);
            queries.push((name, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

pub(crate) fn alerts() -> Vec<Value> {
    let rules = yaml("prometheus/tamis.rules.yml");
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// All that is exported by a process in which everything has happened once.
pub(crate) fn exported() -> String {
    let metrics = Metrics::of_process(10_000);
    let labels = Labels {
        caller: "billing".into(),
        purpose: "invoicing".into(),
        api: "crm".into(),
        route: "GET /customers/{id}".into(),
    };
    let count = |action| Count { category: "contact".into(), action, accesses: 2 };
    let record = |decision, reason| AccessRecord {
        time: UNIX_EPOCH,
        trace: None,
        labels: labels.clone(),
        decision,
        reason,
        status: None,
        policy: None,
        counts: vec![count(Action::Keep), count(Action::Drop), count(Action::Unfit)],
        unclassified: true,
        duration: Duration::from_millis(4),
        overhead: Duration::from_micros(40),
    };
    for decision in Decision::ALL {
        metrics.record(&record(decision, None));
    }
    for reason in Reason::ALL {
        metrics.record(&record(Decision::Refused, Some(*reason)));
    }
    metrics.reloaded(Ok("0123456789ab"), UNIX_EPOCH + Duration::from_mins(1));
    metrics.access_log_lost(1);
    metrics.certificates_in_use("listen[0].tls", 4_000_000_000);
    metrics.upstream_healthy("crm", "crm.internal:8000", true);
    metrics.declare_listener("0.0.0.0:8080");
    metrics.watcher("policies", UNIX_EPOCH + Duration::from_mins(1), true);
    metrics.render()
}

/// The names of what is exported, with the kind of each.
fn kinds(exported: &str) -> BTreeMap<&str, &str> {
    let types = exported.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

/// The metrics that a query names, as they are exported: a histogram is queried by its parts.
fn metrics_of(query: &str, kinds: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    let name = Regex::new("(tamis|process)_[a-z0-9_]+").unwrap();
    let whole = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| name.strip_suffix(part));
        base.filter(|base| kinds.get(base) == Some(&"histogram")).unwrap_or(name).to_owned()
    };
    name.find_iter(query).map(|name| whole(name.as_str())).collect()
}

#[test]
fn what_is_asked_for_is_exported_and_what_is_exported_is_asked_for() {
    let exported = exported();
    let kinds = kinds(&exported);
    let mut asked = queries(&dashboard());
    for variable in dashboard()["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            asked.push((variable["name"].to_string(), query.to_owned()));
        }
    }
    for alert in alerts() {
        asked.push((alert["alert"].to_string(), alert["expr"].as_str().unwrap().to_owned()));
    }
    let mut used = BTreeSet::new();
    for (name, query) in &asked {
        for metric in metrics_of(query, &kinds) {
            assert!(kinds.contains_key(metric.as_str()), "{name}: there is no {metric}");
            used.insert(metric);
        }
    }
    for metric in kinds.keys() {
        let listed = UNUSED.iter().any(|(unused, why)| unused == metric && !why.is_empty());
        assert_ne!(used.contains(*metric), listed, "{metric} is used, or listed in UNUSED");
    }
    assert!(UNUSED.iter().all(|(unused, _)| kinds.contains_key(unused)), "{UNUSED:?}");

    // What is grouped by, and what a legend shows, are labels that exist.
    let label = Regex::new(r#"([a-z]+)=""#).unwrap();
    let mut labels: BTreeSet<&str> =
        label.captures_iter(&exported).map(|found| found.get(1).unwrap().as_str()).collect();
    labels.extend(["job", "instance"]);
    let by = Regex::new(r"by \(([a-z, ]+)\)").unwrap();
    for (name, query) in &asked {
        for group in by.captures_iter(query) {
            for label in group[1].split(", ") {
                assert!(labels.contains(label), "{name}: no metric has the label {label}");
            }
        }
    }
}

#[test]
fn the_dashboard_works_wherever_it_is_loaded() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "tamis", "links and updates go by it");
    assert_eq!(dashboard["id"], Value::Null, "it is the database's to give");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert!(!dashboard["tags"].as_array().unwrap().is_empty());
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|v| v["name"] == name).unwrap();
    assert_eq!(variable("datasource")["type"], "datasource");
    assert_eq!(variable("datasource")["query"], "prometheus");
    for name in ["job", "instance", "api"] {
        let variable = variable(name);
        assert_eq!(variable["datasource"], source, "{name}");
        let of = format!(", {name})");
        assert!(variable["definition"].as_str().unwrap().ends_with(&of), "{name}");
        assert_eq!(variable["query"]["query"], variable["definition"], "{name}");
        assert_eq!((&variable["multi"], &variable["allValue"]), (&json!(true), &json!(".+")));
    }

    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    let mut places: Vec<[u64; 4]> = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        assert!(!title.is_empty() && titles.insert(title), "{title}: its title is taken");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let [x, y, w, h] = place;
        assert!(x + w <= 24, "{title} is too wide");
        for [x2, y2, w2, h2] in &places {
            let apart = x + w <= *x2 || x2 + w2 <= x || y + h <= *y2 || y2 + h2 <= y;
            assert!(apart, "{title} lies over another panel");
        }
        places.push(place);
    }
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.ends_with('.'), "{title}: what does it show?");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert!(!unit.is_empty(), "{title}: in which unit?");
        assert_eq!(panel["datasource"], source, "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"], source, "{title}");
        }
    }
    let selector = Regex::new(r"\{[^}]*\}").unwrap();
    let metric = Regex::new(r"(tamis|process)_[a-z0-9_]+").unwrap();
    let range = Regex::new(r"(rate|increase)\([^\[]*\[([^\]]+)\]").unwrap();
    for (name, query) in queries(&dashboard) {
        for selector in selector.find_iter(&query) {
            for chosen in [r#"job=~"$job""#, r#"instance=~"$instance""#] {
                assert!(selector.as_str().contains(chosen), "{name}: no {chosen} in {query}");
            }
        }
        for metric in metric.find_iter(&query) {
            assert!(query[metric.end()..].starts_with('{'), "{name}: all of them in {query}");
        }
        for range in range.captures_iter(&query) {
            let expected = if &range[1] == "rate" { "$__rate_interval" } else { "$__range" };
            assert_eq!(&range[2], expected, "{name}: {query}");
        }
        assert_eq!(range.find_iter(&query).count(), query.matches('[').count(), "{name}: {query}");
    }
}

#[test]
fn legends_show_what_the_query_tells_apart() {
    let legend = Regex::new(r"\{\{([a-z]+)\}\}").unwrap();
    for panel in panels(&dashboard()) {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let by = query.split_once("by (").map(|(_, rest)| rest.split(')').next().unwrap());
            for shown in legend.captures_iter(target["legendFormat"].as_str().unwrap()) {
                let told = match by {
                    Some(labels) => labels.split(", ").any(|label| label == &shown[1]),
                    None => &shown[1] == "instance",
                };
                assert!(told, "{}: {} is lost in {query}", panel["title"], &shown[1]);
            }
        }
    }
}

#[test]
fn every_alert_says_what_to_do_and_is_tested_both_ways() {
    let tests = yaml("prometheus/tamis.rules.test.yml");
    let alerts = alerts();
    assert!(alerts.len() >= 9);
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name}: for now or for tomorrow?");
        for (says, least) in [("summary", 20), ("description", 60), ("runbook", 60)] {
            let words = alert["annotations"][says].as_str().unwrap_or_default();
            assert!(words.len() >= least, "{name}: {says}: {words}");
        }
        let fires = |check: &Value| check["exp_samples"].to_string().contains(name);
        let tested = tests["tests"].as_array().unwrap().iter().any(|case| {
            let checks = case["promql_expr_test"].as_array().unwrap();
            let all = checks.iter().all(|c| c["expr"] == r#"ALERTS{alertstate="firing"}"#);
            all && checks.iter().any(fires) && checks.iter().any(|check| !fires(check))
        });
        assert!(tested, "{name}: no case in which it fires, and does not at another time");
    }
}

#[test]
fn to_fail_closed_is_to_answer_as_a_gateway_that_cannot() {
    let alerts = alerts();
    let alert = alerts.iter().find(|alert| alert["alert"] == "TamisFailsClosed").unwrap();
    let reasons = Regex::new(r#"reason=~"([^"]+)""#).unwrap();
    let reasons = reasons.captures(alert["expr"].as_str().unwrap()).unwrap();
    let listed: Vec<&str> = reasons[1].split('|').collect();
    let closed = Reason::ALL.iter().filter(|reason| (502..=504).contains(&reason.status()));
    assert_eq!(listed, closed.map(|reason| reason.code()).collect::<Vec<_>>());
}

#[test]
fn grafana_is_pointed_at_the_prometheus_that_is_shipped() {
    let source = yaml("grafana/provisioning/datasources/prometheus.yaml");
    let source = &source["datasources"][0];
    let prometheus = yaml("prometheus/prometheus.yml");
    assert_eq!(source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);
    let address = source["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    assert!(text("prometheus/prometheus.yml").contains(&format!("listen-address={address}")));
    let boards = yaml("grafana/provisioning/dashboards/tamis.yaml");
    assert_eq!(boards["providers"][0]["type"], "file");
}

/// Runs promtool in `folder`. `None` if there is none here.
fn promtool(folder: &Path, arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: no promtool: {arguments:?} (`make test` installs it)");
            return None;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn promtool_finds_no_fault() {
    let prometheus = config().join("prometheus");
    for arguments in [
        &["check", "rules", "tamis.rules.yml"][..],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "tamis.rules.test.yml"],
    ] {
        let Some((sound, said)) = promtool(&prometheus, arguments, "") else { return };
        assert!(sound, "{arguments:?}\n{said}");
    }
    for exported in [exported(), Metrics::new(0).render()] {
        let (sound, said) = promtool(&prometheus, &["check", "metrics"], &exported).unwrap();
        assert!(sound && said.is_empty(), "{said}\n{exported}");
    }
}

/// What each alert with a number says in the cases of tamis.rules.test.yml.
const SAID: [&str; 11] = [
    "10% of the requests to crm fail closed",
    "10% of the requests to unknown fail closed",
    "crm answers 100% of the requests with an error of its own",
    "hr answers 62% of the requests with an error of its own",
    "billing is denied 60 requests a minute at crm",
    "intern is denied 36 requests a minute at crm",
    "The certificates of `upstreams.crm.tls.certificate` on a:9090 expire within a day",
    "The certificates of `listen[0].tls` on a:9090 expire within 7 days",
    "The instances of tamis enforce 2 versions of the policies",
    "tamis adds 24 ms to slow requests to crm",
    "a:9090 lost about 7 lines of its access log",
];

/// A template with the labels of an alert written out; what it says of numbers stays.
fn labelled(template: &str, labels: &BTreeMap<String, String>) -> String {
    labels.iter().fold(template.to_owned(), |text, (label, value)| {
        text.replace(&format!("{{{{ $labels.{label} }}}}"), value)
    })
}

/// Each alert that fires in the tests of the rules says what it should, to the character, and each number
/// is a whole one.
#[test]
fn alerts_tell_whole_numbers() {
    let template = Regex::new(r"\{\{[^}]*\}\}").unwrap();
    let whole = Regex::new(r#"^\{\{ (printf "%\.0f" \$value|if eq \$value 1\.0) \}\}$"#).unwrap();
    let alerts = alerts();
    for alert in &alerts {
        for (name, text) in alert["annotations"].as_object().unwrap() {
            for part in template.find_iter(text.as_str().unwrap()) {
                let is_number = part.as_str().contains("$value");
                let is_whole = whole.is_match(part.as_str());
                assert!(!is_number || is_whole, "{} {name}: {}", alert["alert"], part.as_str());
            }
        }
    }

    let label = Regex::new(r#"([a-z_]+)="([^"]*)""#).unwrap();
    let mut tests = yaml("prometheus/tamis.rules.test.yml");
    let mut said = BTreeSet::new();
    for case in tests["tests"].as_array_mut().unwrap() {
        let mut checks = Vec::new();
        for check in case["promql_expr_test"].as_array().unwrap() {
            let mut expected: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for sample in check["exp_samples"].as_array().unwrap() {
                let found = label.captures_iter(sample["labels"].as_str().unwrap());
                let mut labels: BTreeMap<String, String> =
                    found.map(|one| (one[1].to_owned(), one[2].to_owned())).collect();
                labels.remove("alertstate");
                let name = labels.remove("alertname").unwrap();
                let alert = alerts.iter().find(|alert| alert["alert"] == *name).unwrap();
                let mut annotations = serde_json::Map::new();
                for (key, text) in alert["annotations"].as_object().unwrap() {
                    let text = labelled(text.as_str().unwrap(), &labels);
                    let (first, last) = (text.find("{{"), text.rfind("}}"));
                    let text = match (first, last) {
                        (Some(first), Some(last)) => {
                            let (before, after) = (&text[..first], &text[last + 2..]);
                            let fits = |it: &&&str| it.starts_with(before) && it.ends_with(after);
                            let found = SAID.iter().find(fits);
                            let found = found.unwrap_or_else(|| panic!("{name}: {text}"));
                            said.insert(*found);
                            (*found).to_owned()
                        }
                        _ => text,
                    };
                    annotations.insert(key.clone(), text.into());
                }
                let alert = json!({"exp_labels": labels, "exp_annotations": annotations});
                expected.entry(name).or_default().push(alert);
            }
            for (name, alerts) in expected {
                let at = &check["eval_time"];
                checks.push(json!({"alertname": name, "eval_time": at, "exp_alerts": alerts}));
            }
        }
        assert!(!checks.is_empty(), "{case}");
        let case = case.as_object_mut().unwrap();
        case.remove("promql_expr_test");
        case.insert("alert_rule_test".to_owned(), checks.into());
    }
    assert_eq!(said, BTreeSet::from(SAID), "each is said");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tamis.rules.yml"), text("prometheus/tamis.rules.yml")).unwrap();
    fs::write(folder.path().join("test.yml"), tests.to_string()).unwrap();
    let Some((sound, said)) = promtool(folder.path(), &["test", "rules", "test.yml"], "") else {
        return;
    };
    assert!(sound, "{said}");
}

/// Each query of the dashboard becomes an alert on series that a real export has, and must fire: it is
/// sound, and a number comes out of it.
#[test]
fn every_query_of_the_dashboard_finds_data() {
    let exported = exported();
    let kinds = kinds(&exported);
    let series: Vec<Value> = exported
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let gauge = kinds.get(name) == Some(&"gauge");
            let values = if gauge { format!("{value}x20") } else { format!("0+{value}x20") };
            let series = format!(r#"{name}{{job="tamis",instance="a:9090",{labels}"#);
            json!({"series": series, "values": values})
        })
        .collect();
    let (mut rules, mut checks) = (Vec::new(), Vec::new());
    for (name, query) in queries(&dashboard()) {
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$__range", "15m")
            .replace("$job", ".+")
            .replace("$instance", ".+")
            .replace("$api", ".+");
        rules.push(json!({"alert": name, "expr": format!("count(({query}) >= 0) > 0")}));
        let fires = json!([{"exp_labels": {}}]);
        checks.push(json!({"alertname": name, "eval_time": "20m", "exp_alerts": fires}));
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, value: Value| {
        fs::write(folder.path().join(file), value.to_string()).unwrap();
    };
    write("rules.yml", json!({"groups": [{"name": "dashboard", "rules": rules}]}));
    write(
        "test.yml",
        json!({
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": checks}],
        }),
    );
    let Some((sound, said)) = promtool(folder.path(), &["test", "rules", "test.yml"], "") else {
        return;
    };
    assert!(sound, "{said}");
    println!("{} queries of the dashboard give data", queries(&dashboard()).len());
}
