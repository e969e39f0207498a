//! Clients that hold on to what they have, and as much as goes through: tamis stays there for everybody
//! else, and every request is counted.

use std::{
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::serve::{Setup, Tamis, json, streaming, until};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { neighbour: { identify: { sidecar: true }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /rows/{n}: { params: { n: public }, body: { '$[*].id': public, '$[*].secret': secret } }
      POST /rows/{n}: { params: { n: public }, request_body: { pass: { because: nobody reads it } }, body: { '$[*].id': public } }
rules: {}
";

fn serve(upstream: SocketAddr, settings: &str) -> Tamis {
    let upstreams = [("crm", upstream, "http1")];
    Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start()
}

/// A body of so many rows.
fn rows(many: usize) -> String {
    format!("[{}]", vec![r#"{"id":1042,"secret":"CANARY"}"#; many].join(","))
}

/// With one thread, everybody else is answered between two pieces of a body that is much work.
#[test]
fn a_body_that_is_much_work_keeps_nobody_else_from_being_answered() {
    let comparisons: Vec<String> = (0..200).map(|n| format!("@.a{n} == 1")).collect();
    let policy = POLICY.replace(
        "'$[*].id': public,",
        &format!(
            "? \"$[*].rows[?{}].id\" : public, '$[*].rows[*].*': {{ category: public, names: public }}, '$[*].id': public,",
            comparisons.join(" || ")
        ),
    );
    let much =
        json(&format!("[{{\"rows\":[{}]}}]", vec![r#"{"z":[[],[],[],[]]}"#; 100_000].join(",")));
    let upstream = streaming(move |path, stream| {
        stream.write_all(if path.ends_with("/much") { &much } else { SHORT })?;
        Ok(true)
    });
    let upstreams = [("crm", upstream, "http1")];
    let setup = Setup { policies: &[("p.yaml", &policy)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start_with(&[("TAMIS__THREADS", "1")]);
    let ask = |path: &str| {
        let mut client = TcpStream::connect(tamis.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        client
    };
    let mut client = ask("/rows/much");
    let mut head = [0; 4096];
    assert!(client.read(&mut head).unwrap() > 0);
    let ended = thread::spawn(move || {
        io::copy(&mut client, &mut io::sink()).unwrap();
        Instant::now()
    });
    let mut answer = String::new();
    ask("/rows/1").read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let answered = Instant::now();
    let ended = ended.join().unwrap();
    assert!(answered < ended);
}

/// Slow clients of every kind that `slowhttptest` knows, and the arguments that make them.
const MODES: [(&str, &[&str]); 4] = [
    ("slow heads", &["-H", "-i", "1", "-x", "24"]),
    ("slow bodies", &["-B", "-i", "1", "-s", "8192", "-x", "10"]),
    ("ranges", &["-R", "-a", "1", "-b", "3000"]),
    ("slow reads", &["-X", "-n", "1", "-w", "8", "-y", "16", "-z", "4", "-k", "3"]),
];
const SLOW_CLIENTS: &str = "400";
const SLOW_SECONDS: &str = "8";

#[test]
fn slow_clients_keep_nobody_else_from_being_answered() {
    let long = json(&rows(30_000));
    let upstream = streaming(move |path, stream| {
        stream.write_all(if path.ends_with("/long") { &long } else { SHORT })?;
        Ok(true)
    });
    let settings = "timeouts: {head: 3s, client: 3s, upstream: 30s}\n";
    for (mode, arguments) in MODES {
        let tamis = serve(upstream, settings);
        let path = if mode == "slow reads" { "/rows/long" } else { "/rows/1" };
        let url = format!("http://{}{path}", tamis.address);
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new("slowhttptest")
            .args(arguments)
            .args(["-c", SLOW_CLIENTS, "-r", "200", "-l", SLOW_SECONDS, "-p", "5", "-u", &url])
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.path().join("said")).unwrap())
            .stderr(Stdio::null())
            .spawn();
        let mut slow = match started {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("skipped: no slowhttptest: `make test` installs it");
                return;
            }
            Err(error) => panic!("slowhttptest: {error}"),
        };
        let (mut answered, mut slowest, mut most) = (0, Duration::ZERO, 0);
        until("slowhttptest ends", || {
            let began = Instant::now();
            // Somebody who waits for longer than a minute is not answered.
            let reply =
                tamis.send("GET /rows/1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            assert_eq!(reply.status, 200, "{mode}, after {answered} answers");
            assert_eq!(reply.text(), r#"[{"id":1042}]"#);
            answered += 1;
            slowest = slowest.max(began.elapsed());
            most = most.max(tamis.metric("tamis_responses_in_flight"));
            thread::sleep(Duration::from_millis(50));
            slow.try_wait().unwrap().is_some()
        });
        let said = fs::read_to_string(folder.path().join("said")).unwrap_or_default();
        // In colours, after each second.
        let available = said.split("service available:").skip(1);
        let looks = available.clone().count();
        let gone = available.filter(|rest| rest.get(..24).unwrap_or(rest).contains("NO")).count();
        println!(
            "{mode}: {SLOW_CLIENTS} of them, {answered} others answered, the slowest in {slowest:?}, {most} in flight at most; \
             not available to slowhttptest in {gone} of {looks} looks"
        );
        assert!(looks > 0 && gone == 0, "{mode}: {said}");
        until("nothing is left of them", || tamis.metric("tamis_responses_in_flight") == 0);
        assert_eq!(tamis.probe("/readyz").status, 200);
    }
}

const SHORT: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n[{\"id\":1042,\"secret\":\"CANARY\"}]";

/// How long to saturate: `TAMIS_SATURATION=60`, in seconds.
fn saturation() -> Duration {
    let seconds = std::env::var("TAMIS_SATURATION").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// What an upstream does with one request of a hundred.
fn fault(n: u64, stream: &mut TcpStream) -> io::Result<bool> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let answer = match n % 6 {
        0 => format!("{head}Content-Length: 100\r\n\r\n[{{\"id\":1"),
        1 => format!("{head}Content-Length: 8\r\n\r\n\"CANARY\""),
        2 => "CANARY\r\n\r\n".to_owned(),
        3 => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nCANARY"
            .to_owned(),
        4 => format!("{head}Transfer-Encoding: chunked\r\n\r\n20\r\n[{{\"id\":1042,"),
        _ => String::new(),
    };
    stream.write_all(answer.as_bytes())?;
    Ok(false)
}

/// What `h2load` says of one run: requests that ended, that had a status of 200 to 399 and all of their
/// body, that were reset, that did not end; and statuses of 200 to 299 and of 500 to 599.
#[derive(Debug, Default, PartialEq)]
struct Loaded {
    done: u64,
    succeeded: u64,
    errored: u64,
    timeouts: u64,
    fine: u64,
    faulty: u64,
}

fn h2load(address: SocketAddr, requests: u64) -> Option<Loaded> {
    let url = format!("http://{address}/rows/1");
    let run = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-c", "16", "-m", "8", "-t", "1", &url])
        .output();
    let output = match run {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: no h2load: `make test` installs it");
            return None;
        }
        Err(error) => panic!("h2load: {error}"),
    };
    let number = |line: &str, what: &str| -> u64 {
        let line = output.lines().find(|found| found.starts_with(line)).expect(&output);
        let before = line.split(what).next().unwrap();
        before.trim().rsplit([' ', ',']).next().unwrap().parse().expect(&output)
    };
    Some(Loaded {
        done: number("requests:", " done"),
        succeeded: number("requests:", " succeeded"),
        errored: number("requests:", " errored"),
        timeouts: number("requests:", " timeout"),
        fine: number("status codes:", " 2xx"),
        faulty: number("status codes:", " 5xx"),
    })
}

#[test]
fn at_saturation_every_request_ends_and_is_counted() {
    let asked = AtomicU64::new(0);
    let upstream = streaming(move |_, stream| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        if n % 100 == 99 {
            return fault(n / 100, stream);
        }
        stream.write_all(SHORT)?;
        Ok(true)
    });
    let tamis = serve(upstream, "");
    let requests = 4000;
    let (began, time) = (Instant::now(), saturation());
    let mut all = Loaded::default();
    let (mut runs, mut first_peak) = (0, 0);
    while runs < 3 || began.elapsed() < time {
        let Some(run) = h2load(tamis.address, requests) else { return };
        assert_eq!((run.done, run.timeouts), (requests, 0), "{run:?}");
        all.done += run.done;
        all.succeeded += run.succeeded;
        all.errored += run.errored;
        all.fine += run.fine;
        all.faulty += run.faulty;
        runs += 1;
        if runs == 2 {
            first_peak = tamis.peak_rss();
        }
    }
    let took = began.elapsed();
    until("nothing hangs", || {
        tamis.metric("tamis_responses_in_flight") == 0
            && tamis.access_log().len() as u64 == all.done
    });
    let counted = |decision: &str| {
        let lines = tamis.access_log();
        lines.iter().filter(|line| line["decision"] == decision).count() as u64
    };
    let [allowed, refused, aborted, denied] =
        ["allowed", "refused", "aborted", "denied"].map(counted);
    let peak = tamis.peak_rss();
    println!(
        "{runs} runs of {requests} requests in {took:?}: {allowed} allowed, {refused} refused, {aborted} aborted; \
         h2load: {} of 2xx, {} of 5xx, {} reset; peak RSS {} KiB after two runs, {} KiB after all",
        all.fine,
        all.faulty,
        all.errored,
        first_peak >> 10,
        peak >> 10
    );
    assert_eq!(tamis.metric("tamis_requests_total{"), all.done);
    assert_eq!(tamis.metric("tamis_responses_total{"), all.done);
    let class = |class: &str| {
        let series = format!(
            r#"tamis_responses_total{{api="crm",class="{class}",route="GET /rows/{{n}}"}}"#
        );
        tamis.metric(&series)
    };
    assert_eq!((class("2xx"), class("5xx")), (all.fine, all.faulty));
    assert_eq!(denied, 0);
    // A response that is cut has had its 200, and does not count as a success.
    assert_eq!((all.fine, all.faulty), (allowed + aborted, refused));
    assert_eq!((all.succeeded, all.errored), (allowed, aborted));
    assert!(refused + aborted >= all.done / 200, "faults were among them");
    assert!(peak < first_peak + (16 << 20), "it grows: {first_peak}, then {peak}");
}
