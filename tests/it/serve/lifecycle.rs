//! How a process begins, reloads and ends.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::serve::{Connection, PATIENCE, Setup, free_port, json, streaming, until, upstream};

const POLICY: &str = "
tamis: 1
categories: { contact.email: E-mail address }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis: { crm: { routes: { GET /me: { body: { $.email: contact.email, $.id: public } } } } }
rules: { support: { contact: keep } }
";
const BODY: &str = r#"{"id":1,"email":"anna@example.org"}"#;

fn nowhere() -> std::net::SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}

#[test]
fn what_is_wrong_at_the_start_is_said_and_nothing_is_served() {
    let check = |policies: &[(&str, &str)], upstreams: &[&str], settings: &str, said: &str| {
        let upstreams: Vec<_> = upstreams.iter().map(|api| (*api, nowhere(), "http1")).collect();
        let setup = Setup { policies, upstreams: &upstreams, settings };
        for arguments in [&[][..], &["--check"]] {
            let (code, stdout, stderr) = setup.run(arguments);
            assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
            assert!(stderr.contains(said), "{said}:\n{stderr}");
        }
    };
    let good = [("p.yaml", POLICY)];
    check(&[], &["crm"], "", "there is no policy in");
    let broken = POLICY.replace("contact: keep", "contcat: keep");
    check(&[("p.yaml", &broken)], &["crm"], "", "did you mean `contact`?");
    check(
        &good,
        &["erm"],
        "",
        "error: the api `crm` has no upstream: add `upstreams: { crm: { address: HOST:PORT } }` to the settings; `erm` is an upstream of no api\n\
         error: settings and policies do not fit\n",
    );
    let other = POLICY.replace("api_key: desk ", "api_key: \"desk\" ");
    check(
        &[("p.yaml", &other)],
        &["crm"],
        "api_keys: {}\n",
        "shows the API key `desk`: add `api_keys: { desk: \"sha256:DIGEST\" }` to the settings\n\
         error: settings and policies do not fit\n",
    );
    let twice = POLICY.replace(
        "callers: {",
        "callers: { two: { identify: { api_key: desk }, purposes: [support] },",
    );
    check(&[("p.yaml", &twice)], &["crm"], "", "error[same-api-key]");
    let sidecar = POLICY.replace(
        "callers: {",
        "callers: { app: { identify: { sidecar: true }, purposes: [support] },",
    );
    check(&[("p.yaml", &sidecar)], &["crm"], "", "error[sidecar-not-alone]");
    check(&good, &["crm"], "limits: {depth: 0}\n", "depth");
    check(&good, &["crm"], "timeouts: {drain: 5}\n", "drain");
    check(&good, &["crm"], "lisen: []\n", "lisen");
}

#[test]
fn a_check_listens_to_nobody() {
    let upstreams = [("crm", nowhere(), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let (code, stdout, stderr) = setup.run(&["--check"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.ends_with("tamis.yaml and its policies are fine\n"), "{stdout}");
}

#[test]
fn an_address_that_will_not_do_ends_the_process() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let upstreams = [("crm", nowhere(), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let (code, _, stderr) = setup.run_with(&[("TAMIS__LISTEN__0__ADDRESS", &address.to_string())]);
    assert_eq!(code, 2, "{stderr}");
    let said = format!("error: cannot listen on {address}: Address already in use (os error 98)\n");
    assert_eq!(stderr, said);
    let policy = POLICY.replace("api_key: desk", "sidecar: true");
    let setup = Setup { policies: &[("p.yaml", &policy)], upstreams: &upstreams, settings: "" };
    let (code, _, stderr) = setup.run_with(&[("TAMIS__LISTEN__0__ADDRESS", "0.0.0.0:1")]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("must be a loopback address"), "{stderr}");
}

/// A script that reads the line connects at once.
#[test]
fn every_address_takes_connections_once_it_says_that_it_serves() {
    let upstreams = [("crm", nowhere(), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    for _ in 0..5 {
        let more: Vec<(String, String)> = (1..9)
            .map(|n| (format!("TAMIS__LISTEN__{n}__ADDRESS"), format!("127.0.0.1:{}", free_port())))
            .collect();
        let environment: Vec<(&str, &str)> =
            more.iter().map(|(name, address)| (name.as_str(), address.as_str())).collect();
        let mut tamis = setup.launch(&environment);
        until("it says that it serves", || {
            tamis.check_runs();
            tamis.stderr().contains("serving on")
        });
        let addresses = more.iter().map(|(_, address)| address.parse().unwrap());
        for address in addresses.chain([tamis.address, tamis.admin]) {
            TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        }
        assert_eq!(tamis.probe("/readyz").status, 200);
    }
}

/// Somebody who is alone on a loopback address needs no key.
#[test]
fn a_sidecar_is_whoever_connects() {
    let policy = POLICY.replace("api_key: desk", "sidecar: true");
    let upstreams = [("crm", upstream(|_| json(BODY)), "http1")];
    let setup = Setup { policies: &[("p.yaml", &policy)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let request = "GET /me HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
    assert_eq!(tamis.send(format!("{request}\r\n")).text(), BODY);
    let reply = tamis.send(format!("{request}Api-Key: guess\r\n\r\n"));
    assert_eq!(
        reply.reason(),
        "caller-unknown",
        "a credential that does not hold is no credential"
    );
}

/// Whoever says nothing, or little at a time, or has nothing more to say, is not waited for.
#[test]
fn connections_to_the_admin_listener_end() {
    let upstreams = [("crm", nowhere(), "http1")];
    let settings = "timeouts: { client: 400ms, idle: 1s }\n";
    let tamis = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start();
    let connect = || {
        let stream = TcpStream::connect(tamis.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    // What comes until the connection ends, and when that is.
    let rest = |mut stream: TcpStream| {
        let (began, mut rest) = (Instant::now(), Vec::new());
        let _reset = stream.read_to_end(&mut rest);
        (rest, began.elapsed())
    };
    let (said, took) = rest(connect());
    assert!(said.is_empty() && took >= Duration::from_millis(350) && took < PATIENCE, "{took:?}");

    let mut slow = connect();
    let began = Instant::now();
    while slow.write_all(b"G").is_ok() && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() < PATIENCE, "a head that drips has an end");

    let mut kept = connect();
    for _ in 0..3 {
        kept.write_all(b"GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            let mut byte = [0];
            kept.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        // Longer than a head may take: it is kept for the next.
        thread::sleep(Duration::from_millis(500));
    }
    let (said, took) = rest(kept);
    assert!(said.is_empty() && took < PATIENCE, "{took:?}");
}

#[test]
fn the_admin_listener_says_how_things_are() {
    let upstreams = [("crm", upstream(|_| json(BODY)), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    assert_eq!(tamis.probe("/livez").status, 200);
    assert_eq!(tamis.probe("/readyz").text(), "ok\n");
    assert!(tamis.probe("/version").text().starts_with("tamis 0."));
    assert_eq!(tamis.probe("/").status, 404);
    assert!(tamis.metrics().contains("\ntamis_policy_last_reload_successful 1\n"));
    // What is only for operations is not to be had where callers connect.
    assert_eq!(tamis.get("/metrics", "desk", "support").reason(), "route-unknown");
}

#[test]
fn hangup_reads_the_policies_again() {
    let upstreams = [("crm", upstream(|_| json(BODY)), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let reloads = || tamis.metric("tamis_policy_reloads_total{result=\"success\"}");
    let before = reloads();
    tamis.signal("HUP");
    until("a reload is counted", || reloads() > before);
    fs::write(tamis.policies().join("p.yaml"), POLICY.replace("contact: keep", "contact: null"))
        .unwrap();
    tamis.signal("HUP");
    until("the new rule is in force", || {
        tamis.get("/me", "desk", "support").text() == r#"{"id":1,"email":null}"#
    });
    fs::write(tamis.policies().join("p.yaml"), "tamis: 1\nrulse: {}\n").unwrap();
    let failures = || tamis.metric("tamis_policy_reloads_total{result=\"failure\"}");
    until("the failure is counted", || failures() >= 1);
    until("the log says what is wrong", || tamis.stderr().contains("rulse"));
    assert!(tamis.metrics().contains("\ntamis_policy_last_reload_successful 0\n"));
    assert_eq!(tamis.get("/me", "desk", "support").text(), r#"{"id":1,"email":null}"#);
    assert_eq!(tamis.probe("/readyz").status, 200, "the last good policies are in force");
}

/// SIGTERM: what has begun ends, and then the process; nobody is sent here meanwhile.
#[test]
fn a_response_that_has_begun_ends_before_the_process() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = upstream(move |path| {
        if path == "/me" {
            wait.lock().unwrap().recv().unwrap();
        }
        json(BODY)
    });
    let upstreams = [("crm", slow, "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let mut tamis = setup.start();
    let address = tamis.address;
    let client = thread::spawn(move || {
        Connection::to(address).send(
            "GET /me HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\nData-Purpose: support\r\n\r\n",
        )
    });
    until("the request is under way", || tamis.metric("tamis_responses_in_flight") >= 1);
    tamis.signal("TERM");
    until("it is not ready any more", || tamis.probe("/readyz").text() == "draining\n");
    go.send(()).unwrap();
    assert_eq!(client.join().unwrap().text(), BODY);
    assert_eq!(tamis.ended(), 0);
    let log = tamis.access_log();
    assert_eq!(log.len(), 1, "the record is written before the process ends");
}

/// Whoever sends requests needs a moment to hear that none should come: until then they are answered.
#[test]
fn requests_are_taken_until_everybody_has_heard() {
    let upstream = upstream(|_| json(BODY));
    let upstreams = [("crm", upstream, "http1")];
    let settings = "timeouts: {notice: 1m}\n";
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings };
    let mut tamis = setup.start();
    tamis.signal("TERM");
    until("it is not ready any more", || tamis.probe("/readyz").text() == "draining\n");
    for _ in 0..3 {
        assert_eq!(tamis.get("/me", "desk", "support").text(), BODY);
    }
    // Who cannot wait need not.
    tamis.signal("INT");
    assert_eq!(tamis.ended(), 0);
    assert_eq!(tamis.access_log().len(), 3);
}

/// A path for the socket of an upgrade, in a folder that nobody else gets into.
fn upgrade_socket() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let socket = folder.path().join("upgrade.sock");
    (folder, socket)
}

/// A new process takes the place of the old one: no connection is refused, and what has begun ends.
#[test]
fn a_process_hands_its_listeners_to_the_next_one() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = streaming(move |path, stream| {
        let response = json(BODY);
        let (head, tail) = response.split_at(response.len() - 10);
        stream.write_all(head)?;
        if path == "/held" {
            wait.lock().unwrap().recv().unwrap();
        }
        stream.write_all(tail)?;
        Ok(false)
    });
    let policy = POLICY.replace(
        "routes: {",
        "routes: { GET /held: { body: { $.email: contact.email, $.id: public } },",
    );
    let (_folder, socket) = upgrade_socket();
    let settings = format!("timeouts: {{drain: 2s}}\nupgrade_socket: {}\n", socket.display());
    let upstreams = [("crm", slow, "http1")];
    let setup =
        Setup { policies: &[("p.yaml", &policy)], upstreams: &upstreams, settings: &settings };
    let mut tamis = setup.start();

    // Nobody waits, so nothing is handed over.
    tamis.signal("QUIT");
    until("it says so", || tamis.stderr().contains("no process waits for them"));
    assert_eq!(tamis.get("/me", "desk", "support").text(), BODY);

    let (old, address) = (tamis.pid(), tamis.address);
    let is_over = AtomicBool::new(false);
    let ask =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n");
    let mut held = Connection::to(address);
    held.ask(ask("/held"));
    held.begins();
    let answered = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answered = 0;
            while !is_over.load(Ordering::Acquire) {
                assert_eq!(Connection::to(address).send(ask("/me")).text(), BODY);
                answered += 1;
            }
            answered
        });
        scope.spawn(|| {
            until("the listeners have changed hands", || !socket.exists());
            go.send(()).unwrap();
            assert_eq!(held.reply().text(), BODY, "what has begun ends");
        });
        assert_eq!(tamis.replace(&socket), 0);
        assert_ne!(tamis.pid(), old);
        // By now nobody but the new process can answer.
        assert_eq!(tamis.get("/me", "desk", "support").text(), BODY);
        is_over.store(true, Ordering::Release);
        asking.join().unwrap()
    });
    println!("{answered} requests were answered while the listeners changed hands");
    assert_eq!(tamis.probe("/readyz").text(), "ok\n");
}

/// A process that has handed over its listeners waits for what has begun, as long as `timeouts.drain` says,
/// and no longer than until it is told to end.
#[test]
fn a_process_that_was_replaced_still_hears_that_it_should_end() {
    for (signal, is_awaited) in [("INT", false), ("TERM", true)] {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let slow = streaming(move |path, stream| {
            let response = json(&format!("{{\"id\":[{}1]}}", "1,".repeat(4000)));
            let (head, tail) = response.split_at(response.len() - 10);
            stream.write_all(if path == "/me" { head } else { &response })?;
            if path == "/me" && wait.lock().unwrap().recv().is_ok() {
                stream.write_all(tail)?;
            }
            Ok(false)
        });
        let policy = POLICY.replace("$.id: public", "'$.id[*]': public").replace(
            "routes: {",
            "routes: { GET /other: { body: { $.email: contact.email, '$.id[*]': public } },",
        );
        let (_folder, socket) = upgrade_socket();
        let settings = format!("timeouts: {{drain: 1h}}\nupgrade_socket: {}\n", socket.display());
        let upstreams = [("crm", slow, "http1")];
        let policies = [("p.yaml", &*policy)];
        let setup = Setup { policies: &policies, upstreams: &upstreams, settings: &settings };
        let mut tamis = setup.start();
        let lines = "HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n";
        let mut held = Connection::to(tamis.address);
        held.ask(format!("GET /me {lines}"));
        held.begins();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut held_too = runtime.block_on(begin_http_2(tamis.address));
        let old = tamis.pid();
        let code = tamis.replace_and(&socket, |tamis| {
            tamis.signal(signal);
            if is_awaited {
                // Both are let go, and only then the process ends.
                go.send(()).unwrap();
                go.send(()).unwrap();
                assert!(held.reply().body.is_some(), "what has begun ends");
                assert!(runtime.block_on(ends(&mut held_too)));
            }
        });
        assert_eq!(code, 0, "{signal}");
        assert_ne!(tamis.pid(), old);
        if !is_awaited {
            assert!(held.reply().body.is_none(), "what is cut is not complete");
            assert!(!runtime.block_on(ends(&mut held_too)));
        }
        let decision = if is_awaited { "allowed" } else { "aborted" };
        let log = tamis.access_log();
        assert_eq!(log.len(), 2, "{signal}: {log:?}");
        for record in log {
            assert_eq!((&record["decision"], &record["status"]), (&decision.into(), &200.into()));
        }
        // The next one knows nothing of it.
        let reply = Connection::to(tamis.address).send(format!("GET /other {lines}"));
        assert!(reply.body.is_some_and(|body| body.len() > 4000), "{signal}");
    }
}

/// A request for `/me` by HTTP/2, whose response has begun.
async fn begin_http_2(address: std::net::SocketAddr) -> h2::RecvStream {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::get("http://test/me").header("api-key", "desk-secret");
    let (response, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let begins = tokio::time::timeout(PATIENCE, body.data()).await.unwrap();
    assert!(begins.unwrap().is_ok());
    body
}

/// Whether a response of HTTP/2 comes to its end.
async fn ends(body: &mut h2::RecvStream) -> bool {
    let read = async {
        while let Some(data) = body.data().await {
            if data.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

/// A client hears what becomes of its request: over HTTP/2 by a reset of its stream, and before its head by a status.
#[test]
fn a_client_that_is_cut_off_hears_of_it() {
    let begun = streaming(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        stream.write_all(format!("{head}{{\"id\":[1").as_bytes())?;
        thread::sleep(PATIENCE);
        Ok(false)
    });
    let silent = streaming(|_, _| {
        thread::sleep(PATIENCE);
        Ok(false)
    });
    let start = |upstream| {
        let (upstreams, settings) = ([("crm", upstream, "http1")], "timeouts: {drain: 10ms}\n");
        Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start()
    };
    let mut tamis = start(begun);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut body = runtime.block_on(begin_http_2(tamis.address));
    tamis.signal("TERM");
    let error = runtime.block_on(async {
        loop {
            match tokio::time::timeout(PATIENCE, body.data()).await.unwrap().unwrap() {
                Ok(_more) => {}
                Err(error) => return error,
            }
        }
    });
    assert_eq!((error.is_reset(), error.reason()), (true, Some(h2::Reason::INTERNAL_ERROR)));
    assert_eq!(tamis.ended(), 0);

    let mut tamis = start(silent);
    let mut client = Connection::to(tamis.address);
    client.ask("GET /me HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n");
    until("it is in flight", || tamis.metric("tamis_responses_in_flight") == 1);
    tamis.signal("TERM");
    let reply = client.reply();
    assert_eq!((reply.status, reply.reason().as_str()), (503, "shutting-down"));
    assert_eq!(tamis.ended(), 0);
    let record = &tamis.access_log()[0];
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&"refused".into(), &"shutting-down".into())
    );
}

#[test]
fn listeners_are_handed_over_only_where_nobody_else_can_take_them() {
    let upstreams = [("crm", nowhere(), "http1")];
    let run = |settings: &str, arguments: &[&str]| {
        Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.run(arguments)
    };
    let (code, _, stderr) = run("", &["--upgrade"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--upgrade takes an `upgrade_socket`"), "{stderr}");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let (code, _, stderr) = run(&format!("upgrade_socket: {}/s\n", folder.path().display()), &[]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("has the mode 755: make a folder for it alone, by `mkdir -m 700`"),
        "{stderr}"
    );
    let (code, _, stderr) = run("upgrade_socket: /nowhere/upgrade.sock\n", &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("`/nowhere` is not there"), "{stderr}");
}

/// Only that is said, and nothing of a process that serves.
#[test]
fn a_process_that_is_not_handed_listeners_says_what_to_do() {
    let (_folder, socket) = upgrade_socket();
    let settings = format!("upgrade_socket: {}\n", socket.display());
    let upstreams = [("crm", nowhere(), "http1")];
    let policies = [("p.yaml", POLICY)];
    let setup = Setup { policies: &policies, upstreams: &upstreams, settings: &settings };
    let (code, _, stderr) = setup.run(&["--upgrade"]);
    let said = "no process handed over its listeners in 5 s: send it SIGQUIT while this one waits";
    assert_eq!((code, stderr), (1, format!("error: {said}\n")));
    assert!(!socket.exists());
}

/// What a process holds when it crashes is bodies.
#[test]
fn a_crash_leaves_no_memory_behind() {
    let upstreams = [("crm", nowhere(), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", tamis.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn an_interrupt_ends_at_once() {
    let upstreams = [("crm", nowhere(), "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let mut tamis = setup.start();
    tamis.get("/nowhere", "desk", "support");
    tamis.signal("INT");
    assert_eq!(tamis.ended(), 0);
    assert_eq!(tamis.access_log().len(), 1);
}

/// What has left is on record, however the process ends.
#[test]
fn a_response_that_is_cut_at_the_end_of_the_process_is_on_record() {
    for (signal, settings) in [("INT", ""), ("TERM", "timeouts: {drain: 10ms}\n")] {
        let endless = streaming(|_, stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
            stream.write_all(format!("{head}{{\"id\":[1").as_bytes())?;
            while stream.write_all(b",1,1,1,1,1,1,1,1").is_ok() {}
            Ok(false)
        });
        let upstreams = [("crm", endless, "http1")];
        let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings };
        let mut tamis = setup.start();
        let mut clients: Vec<_> = (0..8)
            .map(|_| {
                let mut client = TcpStream::connect(tamis.address).unwrap();
                let request = "GET /me HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n";
                client.write_all(request.as_bytes()).unwrap();
                client
            })
            .collect();
        for client in &mut clients {
            client.read_exact(&mut [0; 4096]).unwrap();
        }
        tamis.signal(signal);
        assert_eq!(tamis.ended(), 0);
        let log = tamis.access_log();
        assert_eq!(log.len(), clients.len(), "{signal}");
        for record in log {
            assert_eq!(record["decision"], "aborted", "{signal}: {record}");
            assert_eq!(record["reason"], "shutting-down", "{signal}: {record}");
            assert_eq!(record["status"], 200, "{signal}: {record}");
            assert_ne!(record["counts"].as_array().unwrap().len(), 0, "{signal}: {record}");
        }
    }
}
