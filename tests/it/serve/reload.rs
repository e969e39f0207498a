//! Policies change while requests go on: nobody is turned away, and nothing is of two sets.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    product,
    serve::{
        Connection, Reply, Setup, Tamis, json, memory::slow_reader, streaming, until, upstream,
    },
};

const SWAPS: u64 = 200;
const ROWS: usize = 10_000;

/// What a client asks for in the tests here.
const GET: &str = "GET /PATH HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n";

/// Of two fields, one leaves: this one.
fn policy(field: &str) -> String {
    "
tamis: 1
categories: { left: Left, right: Right }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
records: { row: { fields: { $.n: public, $.left: left, $.right: right } } }
apis: { crm: { routes: { GET /rows: { body: { '$[*]': row } }, GET /held: { body: { '$[*]': row } } } } }
rules: { support: { FIELD: keep } }
"
    .replace("FIELD", field)
}

/// Several hundred KiB, in which every row has these fields.
fn rows(fields: &[&str]) -> String {
    let row = |n: usize| {
        let fields = fields.iter().map(|field| format!(",\"{field}\":\"{n:x} {field}\""));
        format!("{{\"n\":{n}{}}}", fields.collect::<String>())
    };
    format!("[{}]", (0..ROWS).map(row).collect::<Vec<_>>().join(","))
}

/// What leaves under each set, by the set's digest as responses name it.
struct Sets(BTreeMap<String, (&'static str, String)>);

impl Sets {
    /// The field that leaves under the set of this response, all of which must be of that set.
    fn of(&self, reply: &Reply) -> &'static str {
        assert_eq!(reply.status, 200, "{}", reply.head);
        let digest = reply.header("tamis-policy").expect("a digest");
        let (field, expected) = &self.0[digest];
        let body = reply.body.as_deref().expect("a complete body");
        assert!(body == expected.as_bytes(), "the body is not that of `{field}`, {digest}");
        field
    }
}

/// Tells everybody to end, on whatever way the test does.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Puts a whole file in the place of another, as careful writers do.
fn replace(tamis: &Tamis, name: &str, text: &str) {
    let next = tamis.policies().join(format!(".{name}"));
    fs::write(&next, text).unwrap();
    fs::rename(next, tamis.policies().join(name)).unwrap();
}

/// Four connections that ask as fast as they can, until it is the end; gives how often they were answered.
fn load_by_h2load(tamis: &Tamis, is_over: &AtomicBool) -> u64 {
    let mut answered = 0;
    while !is_over.load(Ordering::Acquire) {
        let run = Command::new("h2load")
            .args(["--h1", "-n", "200", "-c", "4", "-H", "Api-Key: desk-secret"])
            .arg(format!("http://{}/rows", tamis.address))
            .output();
        let output = match run {
            Ok(output) => String::from_utf8(output.stdout).unwrap(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("skipped: no h2load: `make test` installs it");
                return 0;
            }
            Err(error) => panic!("h2load: {error}"),
        };
        assert!(output.contains(" 200 succeeded, 0 failed, 0 errored, 0 timeout"), "{output}");
        assert!(output.contains("status codes: 200 2xx, 0 3xx, 0 4xx, 0 5xx"), "{output}");
        answered += 200;
    }
    answered
}

/// Under load, each swap takes effect; no request fails; every response is of one set from its first
/// byte to its last, also if it began before a swap and ends after it.
#[test]
fn two_hundred_swaps_fail_no_request_and_mix_no_response() {
    let body = rows(&["left", "right"]);
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let half = body.len() / 2;
    let slow = streaming(move |path, stream| {
        let response = json(&body);
        let (head, tail) = response.split_at(response.len() - half);
        stream.write_all(head)?;
        if path == "/held" && wait.lock().unwrap().recv().is_err() {
            return Ok(false);
        }
        stream.write_all(tail)?;
        Ok(true)
    });
    let fields = ["left", "right"];
    let policies = fields.map(policy);
    let sets = fields.iter().zip(&policies).map(|(field, policy)| {
        let digest = product::policies(&[("p.yaml", policy)]).digest().to_string();
        (digest[..12].to_owned(), (*field, rows(&[field])))
    });
    let sets = Sets(sets.collect());
    let upstreams = [("crm", slow, "http1")];
    let setup =
        Setup { policies: &[("p.yaml", &policies[0])], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let reloads = || tamis.metric("tamis_policy_reloads_total{result=\"success\"}");
    let at_start = reloads();
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let ask = |path: &str| GET.replace("/PATH", path);
    let by_h2load = thread::scope(|scope| {
        let ends = Ends(&is_over);
        let by_h2load = scope.spawn(|| load_by_h2load(&tamis, &is_over));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = Connection::to(tamis.address);
                while !is_over.load(Ordering::Acquire) {
                    sets.of(&connection.send(ask("/rows")));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 1..=SWAPS {
            let [new, old] = [swap, swap - 1].map(|n| usize::from(n % 2 == 1));
            let mut held = Connection::to(tamis.address);
            held.ask(ask("/held"));
            held.begins();
            replace(&tamis, "p.yaml", &policies[new]);
            until("the swap is counted", || reloads() == at_start + swap);
            assert_eq!(sets.of(&Connection::to(tamis.address).send(ask("/rows"))), fields[new]);
            go.send(()).unwrap();
            assert_eq!(sets.of(&held.reply()), fields[old], "it ends with what it began with");
        }
        drop(ends);
        by_h2load.join().unwrap()
    });
    assert_eq!(tamis.metric("tamis_policy_reloads_total{result=\"failure\"}"), 0);
    assert_eq!(tamis.metric("tamis_refusals_total{"), 0);
    println!(
        "{SWAPS} swaps under {} responses that were compared and {by_h2load} for h2load: no failure, no mix",
        answered.into_inner() + 2 * SWAPS
    );
}

/// A stream that never ends would never hear of new policies.
#[test]
fn a_response_does_not_outlive_its_policies_for_long() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let slow = streaming(move |_, stream| {
        let response = json(r#"[{"n":1,"left":"l","right":"r"}]"#);
        let (head, tail) = response.split_at(response.len() - 10);
        stream.write_all(head)?;
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(tail)?;
        Ok(true)
    });
    let [before, after] = ["left", "right"].map(policy);
    let setup = Setup {
        policies: &[("p.yaml", &before)],
        upstreams: &[("crm", slow, "http1")],
        settings: "timeouts: {old_policies: 0s}\n",
    };
    let tamis = setup.start();
    let reloads = || tamis.metric("tamis_policy_reloads_total{result=\"success\"}");
    let at_start = reloads();
    let mut held = Connection::to(tamis.address);
    held.ask(GET.replace("PATH", "held"));
    held.begins();
    replace(&tamis, "p.yaml", &after);
    until("the swap is counted", || reloads() == at_start + 1);
    go.send(()).unwrap();
    assert_eq!(held.reply().body, None, "it is cut");
    until("it is on record", || tamis.access_log().len() == 1);
    let record = tamis.access_log().remove(0);
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&"aborted".into(), &"policies-replaced".into())
    );
    go.send(()).unwrap();
    let next = Connection::to(tamis.address).send(GET.replace("PATH", "held"));
    assert_eq!(next.text(), r#"[{"n":1,"right":"r"}]"#);
}

/// A deadline stands around the whole exchange, and not beside the reads of one that goes on.
#[test]
fn a_client_that_does_not_read_puts_no_deadline_off() {
    const UPLOAD: &str = "POST /held HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\
                          Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    let upload =
        "POST /held: { request_body: { pass: { because: it is theirs } }, body: { '$[*]': row } }";
    let [before, after] = ["left", "right"]
        .map(|field| policy(field).replace("GET /held:", &format!("{upload}, GET /held:")));
    let get = GET.replace("PATH", "held");
    for (timeouts, request, reason) in [
        ("response_age: 1s", &*get, "response-too-old"),
        ("request_body: 1s", UPLOAD, "request-timeout"),
        ("old_policies: 0s", &*get, "policies-replaced"),
    ] {
        let endless = streaming(|_, stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[{\"n\":1}";
            stream.write_all(head.as_bytes())?;
            let rows = ",{\"n\":1}".repeat(10_000);
            loop {
                stream.write_all(rows.as_bytes())?;
            }
        });
        let setup = Setup {
            policies: &[("p.yaml", &before)],
            upstreams: &[("crm", endless, "http1")],
            settings: &format!("timeouts: {{{timeouts}, client: 10m, upstream: 10m}}\n"),
        };
        let tamis = setup.start();
        let reader = slow_reader(tamis.address, request.as_bytes());
        until("it has begun", || tamis.metric("tamis_responses_in_flight") == 1);
        if reason == "policies-replaced" {
            thread::sleep(QUIET);
            replace(&tamis, "p.yaml", &after);
        }
        until("it is on record", || tamis.access_log().len() == 1);
        let record = tamis.access_log().remove(0);
        let found = (&record["decision"], &record["reason"]);
        assert_eq!(found, (&"aborted".into(), &reason.into()), "{timeouts}");
        drop(reader);
    }
}

/// What a reading has to stand for until it counts, as `src/reload` says.
const QUIET: Duration = Duration::from_millis(100);

/// Of the records in two files, each with a field `v`, one file says that it leaves, the other that it
/// does not; which is which changes, in both files, so that a half of the change would let both leave,
/// or none.
const HALVES: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis: { crm: { routes: { GET /both: { body: { $.one: one, $.two: two } } } } }
rules: {}
";

fn half(record: &str, leaves: bool) -> String {
    let category = if leaves { "public" } else { "secret" };
    format!("tamis: 1\nrecords:\n  {record}:\n    fields:\n      $.v: {category}\n")
}

/// The texts of both files, and what leaves under them.
fn halves(one: bool) -> ([(&'static str, String); 2], &'static str) {
    let left = if one { r#"{"one":{"v":1}}"# } else { r#"{"two":{"v":2}}"# };
    ([("one.yaml", half("one", one)), ("two.yaml", half("two", !one))], left)
}

/// Sets that have been put in force and refusals since, as the log tells it.
fn said(tamis: &Tamis) -> Vec<String> {
    let log = tamis.stderr();
    let lines = log.lines().filter_map(|line| {
        let (_, in_force) = line.split_once("policies are in force: ").unzip();
        let digest = in_force.map(|rest| rest.chars().take(12).collect());
        digest.or(line.contains("policies are refused").then(|| "refused".to_owned()))
    });
    lines.collect()
}

/// A writer opens one file after the other, and writes each in two steps, some time after a change that
/// is complete: at whatever moment that is looked at. As long as the writer takes less than the quiet that
/// a reading needs, nothing of what stood there meanwhile is ever in force.
#[test]
fn files_edited_in_place_are_never_served_by_halves() {
    let upstreams = [("crm", upstream(|_| json(r#"{"one":{"v":1},"two":{"v":2}}"#)), "http1")];
    let (files, _) = halves(true);
    let mut policies = vec![("base.yaml", HALVES)];
    policies.extend(files.iter().map(|(name, text)| (*name, text.as_str())));
    let setup = Setup { policies: &policies, upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let digest = |base: &str, one: bool| {
        let (files, _) = halves(one);
        let files = files.iter().map(|(name, text)| (*name, text.as_str()));
        let all: Vec<_> = [("base.yaml", base)].into_iter().chain(files).collect();
        product::policies(&all).digest().to_string()[..12].to_owned()
    };
    let mut connection = Connection::to(tamis.address);
    let (mut rounds, mut in_time, mut seen) = (0, 0, said(&tamis).len());
    while in_time < 32 && rounds < 200 {
        let is_one = rounds % 2 == 1;
        let ((files, left), (_, before)) = (halves(is_one), halves(!is_one));
        let base = format!("{HALVES}# round {rounds}\n");
        let whole = [digest(&base, !is_one), digest(&base, is_one)];
        let mut bodies = Vec::new();
        let mut look = || {
            for _ in 0..4 {
                bodies.push(connection.send(GET.replace("PATH", "both")).text().to_owned());
            }
        };
        replace(&tamis, "base.yaml", &base);
        let first = Instant::now();
        while first.elapsed() < QUIET * (rounds % 8) / 7 {
            look();
        }
        let began = Instant::now();
        for (name, text) in &files {
            edit_in_place(&tamis.policies().join(name), text, &mut look);
        }
        let took = began.elapsed();
        until("what is written is in force", || {
            look();
            said(&tamis)[seen..].last() == Some(&whole[1])
        });
        look();
        assert_eq!(bodies.last().unwrap(), left);
        let all = said(&tamis);
        // A writer who was held up for longer than that has stopped in the middle for all that anybody
        // can know: then it proves nothing.
        if took < QUIET {
            let in_force = &all[seen..];
            assert!(in_force.iter().all(|set| whole.contains(set)), "{in_force:?}, after {took:?}");
            assert!(bodies.iter().all(|body| body == left || body == before), "{bodies:?}");
            in_time += 1;
        }
        seen = all.len();
        rounds += 1;
    }
    if in_time == 0 {
        println!("skipped: halves of policies: it takes longer than {QUIET:?} to write two files");
    }
    println!(
        "{in_time} of {rounds} edits in place were quick enough to count: none was seen by halves"
    );
}

/// What an editor does that does not know better; meanwhile others look.
fn edit_in_place(path: &Path, text: &str, look: &mut impl FnMut()) {
    let mut file = File::create(path).unwrap();
    look();
    let (head, tail) = text.split_at(text.len() / 2);
    file.write_all(head.as_bytes()).unwrap();
    look();
    file.write_all(tail.as_bytes()).unwrap();
    drop(file);
    look();
}
