//! The README stays true: what it shows is what comes out, and every line that it tells people to type
//! is typed here.

use std::{
    collections::BTreeSet,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use regex::Regex;
use serde_json::Value;
use tamis::{
    config::Settings,
    policy::{Source, load, render},
    proxy,
    transform::NoKeys,
};

use crate::{
    operations::{alerts, exported},
    serve::{free_port, json, send, until, upstream},
};

const README: &str = include_str!("../../README.md");
const MAKEFILE: &str = include_str!("../../Makefile");

/// Where the README says that tamis is, and its admin listener.
const PROXY: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:9090";

/// Commands that no test runs, and why.
const NOT_RUN: [(&str, &str); 1] =
    [("cargo install --locked --path .", "it builds what is tested here")];

/// Indented lines that are no commands.
const SENTENCE: [&str; 2] = ["a CALLER asks,", "the rule for "];

/// The fenced blocks of this kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("\n```{kind}\n");
    README.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The commands: indented lines outside of fences, without what is said about them.
fn commands() -> impl Iterator<Item = &'static str> {
    let unfenced = README.split("```").step_by(2).flat_map(str::lines);
    let lines = unfenced.filter_map(|line| line.strip_prefix("    "));
    lines
        .map(|line| line.split("  #").next().unwrap().trim_end())
        .filter(|line| !line.starts_with('#') && !SENTENCE.iter().any(|one| line.starts_with(one)))
}

/// A shell in this folder, with the binary under test as `tamis`.
fn shell(folder: &Path, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_tamis")).parent().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{}", bin.display(), env::var("PATH").unwrap()));
    command
}

/// Runs a line as a shell would, in the repository.
fn run(line: &str) -> (bool, String) {
    let Output { status, stdout, .. } = shell(&repository(), line).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap())
}

fn repository() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Whether this machine has a program; if not, the output says what is left out.
fn has(program: &str) -> bool {
    let found = run(&format!("command -v {program}")).0;
    if !found {
        println!("skipped: the lines of the README that need `{program}`: it is not here");
    }
    found
}

/// What becomes of each command: a kind that nobody thought of fails.
#[test]
fn every_command_runs() {
    let mut count = 0;
    for command in commands() {
        count += 1;
        if let Some(target) = command.strip_prefix("make ") {
            assert!(MAKEFILE.contains(&format!("\n{target}: ")), "there is no `make {target}`");
        } else if command.starts_with("tamis serve ") || command.starts_with("(umask ") {
            // `the_settings_serve` runs it.
        } else if command.starts_with("curl ") || command == "tamis demo --once" {
            // `the_demo_shows_the_main_job` and `the_settings_serve` run it.
        } else if command.starts_with("tamis ") {
            let (success, output) = run(command);
            assert!(success && !output.is_empty(), "{command}\n{output}");
        } else {
            assert!(NOT_RUN.iter().any(|(line, _)| *line == command), "nobody runs `{command}`");
        }
    }
    assert!(count >= 20, "only {count} commands");
}

#[test]
fn each_purpose_gets_what_is_shown() {
    let documents = blocks("json");
    let [upstream, support, statistics] = documents.as_slice() else { panic!("three documents") };
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    fs::write(&body, format!("{{\"items\":[{upstream}]}}")).unwrap();
    let key = folder.path().join("key");
    fs::write(&key, format!("{:064}", 42)).unwrap();
    for (caller, expected) in [("support-desk", support), ("data-team", statistics)] {
        let (success, out) = run(&format!(
            "tamis apply --caller {caller} --request 'GET /customers' --today 2026-11-21 --key-file {} {}",
            key.display(),
            body.display()
        ));
        assert!(success);
        assert_eq!(out, format!("{{\"items\":[{expected}]}}"), "{caller}");
    }
}

/// Runs the demo: the lines of the README are lines of it, and show what is said about them.
#[test]
fn the_demo_shows_the_main_job() {
    if !has("curl") {
        return;
    }
    let (success, output) = run("tamis demo --once");
    assert!(success, "{output}");
    let stops: Vec<(String, &str)> = output
        .split("\n$ ")
        .skip(1)
        .map(|stop| {
            let (line, rest) = stop.split_once('\n').unwrap();
            (elsewhere(line), rest.split("\n# ").next().unwrap())
        })
        .collect();
    let shown: Vec<&str> = commands().filter(|line| line.contains("Api-Key: demo-")).collect();
    let lines: Vec<&str> = stops.iter().map(|(line, _)| &**line).take(shown.len()).collect();
    assert_eq!(shown, lines);
    let [support, billing, statistics, nothing, search, edit, after, metrics] = stops.as_slice()
    else {
        panic!("{} stops", stops.len());
    };
    for (stop, has, lacks) in [
        (support, &["anna@example.org", "\"********0189\""][..], &["FR76", "notes", "score"][..]),
        (billing, &["FR7630006000011234567890189"], &["phones", "birth_date", "notes"]),
        (statistics, &["\"p1.", "\"40-49\"", "\"69\""], &["C-1042", "anna@", "Keller", "69003"]),
        (nothing, &["urn:tamis:problem:purpose-missing"], &["Anna"]),
        (search, &["urn:tamis:problem:parameter-withheld"], &["anna@"]),
        (edit, &[], &["error"]),
        (after, &["anna@example.org"], &["iban", "0189"]),
        (
            metrics,
            &[
                "action=\"pseudonym\",api=\"crm\",caller=\"data-team\",category=\"identity.customer_id\"",
                "action=\"drop\",api=\"crm\",caller=\"data-team\",category=\"contact.email\"",
            ],
            &["anna@", "C-1042"],
        ),
    ] {
        let (line, output) = stop;
        for text in has {
            assert!(output.contains(text), "{line}: no {text} in\n{output}");
        }
        for text in lacks {
            assert!(!output.contains(text), "{line}: {text} in\n{output}");
        }
    }
}

/// A line of the demo, as if its addresses had been those of the README.
fn elsewhere(line: &str) -> String {
    let address = Regex::new(r"127\.0\.0\.1:[0-9]+").unwrap();
    let at = if line.contains("/metrics") { ADMIN } else { PROXY };
    address.replace_all(line, at).into_owned()
}

/// `tamis serve`, which ends with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        if self.0.kill().and_then(|()| self.0.wait()).is_err() {
            // It has ended already.
        }
    }
}

/// What the README says after "With settings of your own": in a copy, and on free ports.
#[test]
fn the_settings_serve() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let copied = run(&format!("cp -R config policies {}", folder.display()));
    assert!(copied.0);
    // Somebody who has tried it has a key here already.
    let key = folder.join("config/root.key");
    if key.exists() {
        fs::remove_file(&key).unwrap();
    }
    let made = commands().find(|line| line.starts_with("(umask ")).unwrap();
    if has("openssl") {
        assert!(shell(folder, made).status().unwrap().success());
    } else {
        fs::write(&key, format!("{:064}", 42)).unwrap();
    }
    let serve: Vec<&str> = commands().filter(|line| line.starts_with("tamis serve ")).collect();
    let [check, serve] = serve.as_slice() else { panic!("{serve:?}") };
    let checked = shell(folder, check).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(checked.stdout, b"config/tamis.yaml and its policies are fine\n");

    let documents = blocks("json");
    let customers = upstream(|_| json(blocks("json")[0]));
    let [proxy, admin] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let log = folder.join("access.log");
    let served = shell(folder, &format!("exec {serve}"))
        .env("TAMIS__LISTEN__0__ADDRESS", proxy.to_string())
        .env("TAMIS__ADMIN__ADDRESS", admin.to_string())
        .env("TAMIS__UPSTREAMS__CRM__ADDRESS", customers.to_string())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(fs::File::create(folder.join("stderr")).unwrap())
        .spawn();
    let mut served = Served(served.unwrap());
    until("tamis listens", || {
        if let Some(status) = served.0.try_wait().unwrap() {
            let said = fs::read_to_string(folder.join("stderr")).unwrap();
            panic!("tamis ended: {status}\n{said}");
        }
        [proxy, admin].iter().all(|address| std::net::TcpStream::connect(address).is_ok())
    });
    let asked: Vec<&str> = commands()
        .filter(|line| line.starts_with("curl ") && !line.contains("Api-Key: demo-"))
        .collect();
    let [ready, customer] = asked.as_slice() else { panic!("{asked:?}") };
    if has("curl") {
        for (line, expected) in [(ready, "ok\n"), (customer, documents[1])] {
            let line = line.replace(PROXY, &proxy.to_string()).replace(ADMIN, &admin.to_string());
            assert_eq!(run(&line), (true, expected.to_owned()), "{line}");
        }
    }

    // The same request, in a trace, is on record as shown.
    let shown: Value = serde_json::from_str(blocks("jsonl")[0]).unwrap();
    let request = format!(
        "GET /customers/C-1042 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Api-Key: example-support-desk-2026\r\n\
         traceparent: 00-{}-00f067aa0ba902b7-01\r\n\r\n",
        shown["trace"].as_str().unwrap()
    );
    assert_eq!(send(proxy, request.as_bytes()).text(), documents[1]);
    let mut line = None;
    until("the access is on record", || {
        let written = fs::read_to_string(&log).unwrap();
        let mut lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        line = lines.next_back().filter(|line| line["trace"] == shown["trace"]);
        line.is_some()
    });
    assert_eq!(timeless(line.unwrap()), timeless(shown));
}

/// A line of the access log without what is another each time.
fn timeless(mut line: Value) -> Value {
    for key in ["time", "policy", "duration_ms", "overhead_ms"] {
        assert!(line[key].is_string() || line[key].is_f64(), "{key}: {line}");
        line[key] = key.into();
    }
    line
}

#[test]
fn the_policy_loads_and_the_finding_is_the_one_shown() {
    let text = blocks("yaml")[0].to_owned();
    let check = |text: String| {
        let sources = [Source { name: "policies/crm.yaml".to_owned(), text }];
        let loaded = load(&sources, &NoKeys);
        let findings: Vec<String> =
            loaded.findings.iter().map(|finding| render(finding, &sources)).collect();
        (loaded.set, findings)
    };
    assert!(check(text.clone()).0.is_some());
    let (set, findings) = check(text.replace("{ contact: keep", "{ contcat: keep"));
    assert!(set.is_none());
    let shown = blocks("text")[0];
    assert!(findings.iter().any(|finding| finding.trim_end() == shown), "{findings:#?}");

    // As a sidecar: the policy with the other callers, under the settings shown for it.
    let callers = &text[text.find("callers:").unwrap()..text.find("apis:").unwrap()];
    let sidecar = format!("{}\n", blocks("yaml sidecar policy")[0]);
    let (set, findings) = check(text.replace(callers, &sidecar));
    let set = set.unwrap_or_else(|| panic!("{findings:#?}"));
    let settings = |address: &str| {
        let environment = [("TAMIS__LISTEN__0__ADDRESS".to_owned(), address.to_owned())];
        Settings::parse("t.yaml", blocks("yaml sidecar settings")[0], environment).unwrap()
    };
    assert_eq!(proxy::unmet(&settings(PROXY), &set), [""; 0]);
    assert_eq!(proxy::unmet(&settings("0.0.0.0:8080"), &set).len(), 1, "it insists on loopback");
}

/// The table of metrics names each that is exported, with its labels; every alert is named, too.
#[test]
fn every_metric_and_alert_is_named() {
    let exported = exported();
    let label = Regex::new(r#"([a-z]+)=""#).unwrap();
    let mut metrics = BTreeSet::new();
    for name in exported.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = name.split(' ').next().unwrap();
        let is_its = |line: &&str| line.starts_with(&format!("{name}{{"));
        let is_its = |line: &&str| is_its(line) || line.starts_with(&format!("{name}_count{{"));
        let series = exported.lines().find(is_its).unwrap_or_default();
        let labels = label.captures_iter(series).map(|found| found[1].to_owned());
        if name.starts_with("process_") {
            // All in one row.
            assert!(README.contains(&format!("`{name}`")), "{name}");
            continue;
        }
        metrics.insert((name.to_owned(), labels.collect::<BTreeSet<String>>()));
    }
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `tamis_"));
    let listed = rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let name = format!("tamis_{}", cells.next().unwrap().trim_end_matches('`'));
        let labels = cells.next().unwrap().split(", ").filter(|label| !label.is_empty());
        (name, labels.map(str::to_owned).collect())
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), metrics);
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(README.contains(&format!("`{name}`")), "{name}");
    }
}
