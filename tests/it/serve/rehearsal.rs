//! `serve --check` finds what `serve` would, and no process that runs notices.

use std::os::unix::{
    fs::PermissionsExt as _,
    net::{UnixListener, UnixStream},
};

use super::{doors::Own, *};

/// Runs `serve --check` with these variables: exit code and stderr.
fn check(environment: &[(&str, &str)]) -> (i32, String) {
    let (code, stdout, stderr) = doors::setup(|setup| setup.run_in(&["--check"], environment));
    assert_eq!(stdout.ends_with("and its policies are fine\n"), code == 0, "{stdout}");
    (code, stderr)
}

#[track_caller]
fn error(environment: &[(&str, &str)], said: &str) {
    let (code, stderr) = check(environment);
    assert!(code == 2 && stderr.contains(&format!("error: {said}")), "{said}:\n{stderr}");
}

#[track_caller]
fn warning(environment: &[(&str, &str)], said: &str) {
    let (code, stderr) = check(environment);
    assert!(code == 0 && stderr.contains(&format!("warning: {said}")), "{said}:\n{stderr}");
}

#[test]
fn an_access_log_that_cannot_be_opened() {
    error(
        &[("TAMIS__ACCESS_LOG__FILE", "/nowhere/access.jsonl")],
        "cannot open the access log `/nowhere/access.jsonl`: No such file or directory",
    );
    error(
        &[("TAMIS__ACCESS_LOG__FILE", "/dev")],
        "cannot open the access log `/dev`: Is a directory",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let log = [("TAMIS__ACCESS_LOG__FILE", path.to_str().unwrap())];
    let (code, stderr) = check(&log);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!path.exists(), "nothing is made");
    fs::write(&path, "{\"a\"").unwrap();
    assert_eq!(check(&log).0, 0);
    assert_eq!(fs::read(&path).unwrap(), b"{\"a\"", "nothing is written");
}

/// Nor is it started: the next start would read what was written.
#[test]
fn an_access_log_in_the_place_of_what_is_read() {
    let own = Own::new();
    let (key, link) = (own.path("root"), own.path("linked.jsonl"));
    fs::write(&key, data_encoding::HEXLOWER.encode(&SETUP.key)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&key, &link).unwrap();
    for log in [&key, &link] {
        let said = format!("the access log `{log}` is the root key: ");
        let environment =
            [("TAMIS__KEYS__ROOT__FILE", key.as_str()), ("TAMIS__ACCESS_LOG__FILE", log)];
        error(&environment, &said);
        let (code, _, stderr) = doors::setup(|setup| setup.run_in(&[], &environment));
        assert!(code == 2 && stderr.contains(&said), "{stderr}");
    }
    fs::create_dir(own.path("policies")).unwrap();
    let log = own.path("policies/log.yaml");
    let environment =
        [("TAMIS__POLICIES", own.path("policies")), ("TAMIS__ACCESS_LOG__FILE", log.clone())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    error(&environment, &format!("the access log `{log}` is among the policies: "));
}

#[test]
fn an_address_that_cannot_be_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["TAMIS__LISTEN__0__ADDRESS", "TAMIS__ADMIN__ADDRESS"] {
        warning(&[(name, &address)], &format!("{address} is in use"));
    }
    error(&[("TAMIS__ADMIN__ADDRESS", "192.0.2.1:9090")], "cannot listen on 192.0.2.1:9090: ");
}

#[test]
fn a_unix_socket_that_cannot_be_listened_on() {
    let own = Own::new();
    let (taken, left, text) = (own.path("taken.sock"), own.path("left.sock"), own.path("text"));
    let _listener = UnixListener::bind(&taken).unwrap();
    drop(UnixListener::bind(&left).unwrap());
    fs::write(&text, "text").unwrap();
    warning(&[("TAMIS__LISTEN__1__UNIX", &taken)], &format!("{taken} is in use"));
    let said = format!("cannot listen on {text}: the file is no socket");
    error(&[("TAMIS__LISTEN__1__UNIX", &text)], &said);
    error(
        &[("TAMIS__LISTEN__1__UNIX", "/nowhere/tamis.sock")],
        "cannot listen on /nowhere/tamis.sock: No such file or directory",
    );
    let (code, stderr) = check(&[("TAMIS__LISTEN__1__UNIX", &left)]);
    assert_eq!((code, stderr.as_str()), (0, ""), "what a process left behind is replaced");
    assert!(Path::new(&left).exists(), "by `serve`, not by the check");
    let long = format!("/{}", "x".repeat(200));
    assert_eq!(check(&[("TAMIS__LISTEN__1__UNIX", &long)]).0, 2);
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("s");
    error(&[("TAMIS__UPGRADE_SOCKET", socket.to_str().unwrap())], "`upgrade_socket` has to be in");
}

#[test]
fn an_upstream_that_is_not_found() {
    warning(
        &[
            ("TAMIS__UPSTREAMS__CRM__ADDRESS", "nowhere.invalid:8000"),
            ("TAMIS__UPSTREAMS__CRM__PLAIN__BECAUSE", "nothing is sent"),
        ],
        "upstream `crm`: the address of `nowhere.invalid:8000` is not found: ",
    );
    let upstreams: [(&str, SocketAddr, &str); 0] = [];
    let policy = "
tamis: 1
categories: { contact: Contact }
purposes: { support: { title: Help, legal_basis: contract } }
callers: { desk: { identify: { sidecar: true }, purposes: [support] } }
apis: { crm: { routes: { GET /c: { body: { $.id: public } }, GET /d: { body: { $.id: public } } } } }
rules: { support: { contact: drop } }
";
    let settings = "  crm: { unix: /nowhere/crm.sock }\nlimits: { metric_series: 100 }\n";
    let setup = Setup { policies: &[("p.yaml", policy)], upstreams: &upstreams, settings };
    let (code, _, stderr) = setup.run(&["--check"]);
    assert_eq!(code, 0, "{stderr}");
    let said = "warning: upstream `crm`: `/nowhere/crm.sock`: No such file or directory";
    assert!(stderr.contains(said), "{stderr}");
    let series = regex::Regex::new(
        "warning: the policies can make ([0-9]+) metric series, .* `limits.metric_series` is 100: ",
    );
    let series = series.unwrap().captures(&stderr).expect("a warning of the series");
    assert!(series[1].parse::<usize>().unwrap() > 100, "{stderr}");
}

/// All that is wrong is said at once.
#[test]
fn what_is_wrong_in_several_ways() {
    let (code, stderr) = check(&[
        ("TAMIS__ACCESS_LOG__FILE", "/nowhere/access.jsonl"),
        ("TAMIS__ADMIN__ADDRESS", "192.0.2.1:9090"),
        ("TAMIS__LISTEN__0__TLS__CERTIFICATE", "/nowhere/own.pem"),
        ("TAMIS__LISTEN__0__TLS__KEY", "/nowhere/own.key"),
    ]);
    assert_eq!(code, 2);
    for said in ["access log", "192.0.2.1", "own.pem"] {
        assert!(stderr.contains(said), "{said}:\n{stderr}");
    }
}

#[test]
fn a_process_that_runs_does_not_notice() {
    let own = Own::new();
    let (certificate, key, unix) = (own.path("own.pem"), own.path("own.key"), own.path("s.sock"));
    let environment = [
        ("TAMIS__LISTEN__1__UNIX", unix.as_str()),
        ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
        ("TAMIS__LISTEN__1__TLS__KEY", &key),
    ];
    let tamis = doors::setup(|setup| setup.start_with(&environment));
    until("it listens", || UnixStream::connect(&unix).is_ok());
    let failures = |tamis: &Tamis| tamis.metric("tamis_tls_handshake_failures_total{");
    until("whoever looked has gone", || failures(&tamis) > 0);
    let before = failures(&tamis);
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["serve", "--check", "--config"])
        .arg(tamis.folder.path().join("tamis.yaml"))
        .envs(environment)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    for address in [&tamis.address.to_string(), &tamis.admin.to_string(), &unix] {
        assert!(stderr.contains(&format!("warning: {address} is in use")), "{stderr}");
    }
    assert_eq!(failures(&tamis), before);
    assert!(UnixStream::connect(&unix).is_ok());
    assert_eq!(tamis.probe("/readyz").status, 200);
}

/// People get the line and a mark below what is wrong; machines what `tamis check` gives them. Neither gets a digest that
/// stands in a wrong place.
#[test]
fn settings_that_cannot_be_meant() {
    let digest = "c0ffee".repeat(10) + "cafe";
    let environment = [
        ("TAMIS__LIMITS__DEPT", "3"),
        ("TAMIS__THREADS", digest.as_str()),
        ("TAMIS_LIMITS_DEPTH", "3"),
    ];
    let (code, stdout, stderr) = doors::setup(|setup| setup.run_in(&["--check"], &environment));
    assert_eq!((code, stdout.as_str()), (2, ""));
    let marked = "\n1 | 3\n  | ^\n  |\n  = help: did you mean `TAMIS__LIMITS__DEPTH`?\n";
    assert!(stderr.contains("warning: TAMIS_LIMITS_DEPTH: this variable is not read"), "{stderr}");
    assert!(stderr.contains("error[unknown-key]: `limits.dept` is not known\n"), "{stderr}");
    assert!(stderr.contains(marked) && !stderr.contains("c0ffee"), "{stderr}");

    let json = ["--check", "--format", "json"];
    let (code, stdout, stderr) = doors::setup(|setup| setup.run_in(&json, &environment));
    assert_eq!((code, stderr.as_str()), (2, "error: the settings cannot be used\n"));
    assert!(!stdout.contains("c0ffee"), "{stdout}");
    let lines: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = lines.iter().filter_map(|line| Some((line["code"].as_str()?, &line["file"])));
    let found: Vec<(&str, &str)> =
        found.map(|(code, file)| (code, file.as_str().unwrap())).collect();
    assert_eq!(
        found,
        [
            ("unknown-key", "TAMIS__LIMITS__DEPT"),
            ("bad-value", "TAMIS__THREADS"),
            ("variable-not-read", "TAMIS_LIMITS_DEPTH"),
        ]
    );
    let summary = &lines[lines.len() - 1]["summary"];
    assert_eq!(*summary, serde_json::json!({ "errors": 2, "warnings": 1, "notes": 0 }));

    let (code, stdout, stderr) = doors::setup(|setup| setup.run_in(&json, &[]));
    let none = "{\"summary\":{\"errors\":0,\"warnings\":0,\"notes\":0}}\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, none, ""));
}
