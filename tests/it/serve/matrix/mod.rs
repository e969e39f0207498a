//! Every misbehaviour of an upstream, for every client: nothing withheld is seen, nothing that is not
//! the whole looks like it, and each is on record once.

mod behaviours;
mod client;
mod upstream;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};

use self::{
    behaviours::{Behaviour, CANARY, Http2, LONG, Outcome, Place, all, decided, right_and_over},
    client::{Ask, Client, Got},
    upstream::Open,
};
use crate::serve::{PATIENCE, Setup, Tamis, free_port, until};

const POLICY: &str = "
tamis: 1
categories: { contact.email: E-mail address, secret: Secret }
purposes:
  support: { title: Answer a customer, legal_basis: contract }
  delivery: { title: Deliver, legal_basis: contract }
callers:
  desk: { identify: { api_key: desk }, purposes: [support] }
  shop: { identify: { api_key: shop }, purposes: [delivery] }
records: { customer: { fields: { $.id: public, $.email: contact.email, $.pad: public, $.secret: secret } } }
rules:
  support: { contact: keep }
  delivery: { contact: { mask: { keep_first: 1, length: keep } } }
apis:
";

/// What clients accept, and in which protocol they ask.
const CODINGS: [&str; 4] = ["identity", "gzip", "br", "zstd"];
const CLIENTS: [(&str, bool); 2] = [("HTTP/1.1", false), ("HTTP/2", true)];

/// Behaviours that are tried at the same time.
const AT_ONCE: usize = 12;

/// The api of a behaviour. Those that end connections for others, too, have one of their own.
fn api(behaviour: &Behaviour) -> &'static str {
    match behaviour.place {
        Place::Http1(_) => "plain",
        Place::Alone(_) | Place::Nowhere | Place::Http2(_) | Place::Deaf(_) => behaviour.name,
    }
}

/// The right answer of the same upstream, if it has one.
fn right(behaviour: &Behaviour) -> Option<String> {
    match behaviour.place {
        Place::Http1(_) => Some("right".to_owned()),
        Place::Alone(_) | Place::Http2(_) => Some(format!("{}-right", behaviour.name)),
        Place::Nowhere | Place::Deaf(_) => None,
    }
}

fn policy(behaviours: &[Behaviour]) -> String {
    let mut routes: BTreeMap<&str, String> = BTreeMap::new();
    for behaviour in behaviours {
        let routes = routes.entry(api(behaviour)).or_default();
        let mut route = |method: &str, name: &str, more: &str| {
            let body = "params: { mark: public }, body: { $: customer }";
            writeln!(routes, "      {method} /{name}/{{mark}}: {{ {body}{more} }}").unwrap();
        };
        if behaviour.method == "POST" {
            let pass = ", request_body: { pass: { because: nobody reads it } }";
            route("POST", behaviour.name, pass);
        } else {
            route("GET", behaviour.name, "");
        }
        if api(behaviour) != "plain"
            && let Some(right) = right(behaviour)
        {
            route("GET", &right, "");
        }
    }
    let names = routes.keys().copied().collect::<Vec<_>>().join(", ");
    let mut text = POLICY.to_owned();
    for purpose in ["support", "delivery"] {
        let said = format!("purposes: [{purpose}] }}");
        text = text.replace(&said, &format!("purposes: [{purpose}], apis: [{names}] }}"));
    }
    for (api, mut routes) in routes {
        if api == "plain" {
            routes +=
                "      GET /right/{mark}: { params: { mark: public }, body: { $: customer } }\n";
        }
        write!(text, "  {api}:\n    host: {api}.test\n    routes:\n{routes}").unwrap();
    }
    text
}

/// Api, address, protocol.
type Upstream = (&'static str, SocketAddr, &'static str);

/// All of them, and how many connections there are to those of one behaviour.
async fn upstreams(behaviours: &[Behaviour]) -> (Vec<Upstream>, HashMap<&'static str, Open>) {
    let steps = |behaviour: &Behaviour| match behaviour.place {
        Place::Http1(steps) => Some((behaviour.name.to_owned(), steps)),
        Place::Alone(_) | Place::Nowhere | Place::Http2(_) | Place::Deaf(_) => None,
    };
    let table = behaviours.iter().filter_map(steps).collect();
    let mut upstreams = vec![("plain", upstream::http1(table).await.0, "http1")];
    let mut opens = HashMap::new();
    for behaviour in behaviours {
        let at = match behaviour.place {
            Place::Http1(_) => continue,
            Place::Alone(steps) => {
                let mut table = upstream::Table::from([(behaviour.name.to_owned(), steps)]);
                // Nothing of the right answers stays open.
                table.extend(right(behaviour).map(|name| (name, right_and_over as _)));
                let (address, open) = upstream::http1(table).await;
                opens.insert(behaviour.name, open);
                (address, "http1")
            }
            Place::Nowhere => (SocketAddr::from(([127, 0, 0, 1], free_port())), "http1"),
            Place::Http2(does) => (upstream::http2(does).await, "h2c"),
            Place::Deaf(says) => (upstream::deaf(says).await, "h2c"),
        };
        upstreams.push((api(behaviour), at.0, at.1));
    }
    (upstreams, opens)
}

/// Marks of requests: no two are the same.
static MARKS: AtomicU64 = AtomicU64::new(1);

fn mark() -> (String, String) {
    let n = MARKS.fetch_add(1, Ordering::Relaxed);
    (format!("m{n}"), format!("{n:032x}"))
}

/// What one request must have left on record: decision and reason, the row and what it was.
type Expected = HashMap<String, (String, &'static str)>;

/// All cells of one behaviour: at once where they do not end connections for each other.
async fn row(address: SocketAddr, behaviour: Behaviour, open: Option<Open>) -> Expected {
    let mut cells = JoinSet::new();
    let mut expected = Expected::new();
    let is_silent = matches!(behaviour.place, Place::Http2(Http2::NeverEnds | Http2::NeverAnswers));
    for client in CLIENTS {
        for accepts in CODINGS {
            cells.spawn(cell(address, behaviour, open.clone(), client, accepts));
            if is_silent || matches!(behaviour.place, Place::Http1(_)) {
                continue;
            }
            while let Some(cell) = cells.join_next().await {
                expected.extend(cell.unwrap());
            }
        }
    }
    while let Some(cell) = cells.join_next().await {
        expected.extend(cell.unwrap());
    }
    expected
}

async fn cell(
    address: SocketAddr,
    behaviour: Behaviour,
    open: Option<Open>,
    (protocol, is_http2): (&'static str, bool),
    accepts: &'static str,
) -> Expected {
    let mut expected = Expected::new();
    let cell = format!("{} to {protocol} in {accepts}", behaviour.name);
    let mut client = Client::connect(address, is_http2).await;
    let (mark_1, trace) = mark();
    let path = format!("/{}/{mark_1}", behaviour.name);
    let (method, caller) = (behaviour.method, "desk");
    let host = format!("{}.test", api(&behaviour));
    let ask =
        Ask { method, host: &host, path, caller, accepts, trace: trace.clone(), is_last: false };
    let got = client.ask(&ask).await.unwrap_or_default();
    nothing_withheld(&client, &got, &cell);
    let record = judge(behaviour.outcome, &got, &mark_1, &cell);
    expected.insert(trace, (record, behaviour.name));
    let Some(right) = right(&behaviour) else { return expected };
    let deadline = Instant::now() + PATIENCE;
    while open.as_ref().is_some_and(|open| open.load(Ordering::Relaxed) > 0) {
        assert!(Instant::now() < deadline, "{cell}: a connection that speaks is kept");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The same client, if its connection is still there; and somebody else.
    let mut another = Client::connect(address, is_http2).await;
    for (client, caller) in [(&mut client, "desk"), (&mut another, "shop")] {
        let (mark, trace) = mark();
        let path = format!("/{right}/{mark}");
        let ask = Ask { method: "GET", host: &host, path, caller, accepts, trace, is_last: true };
        let Some(got) = client.ask(&ask).await else {
            assert_eq!(caller, "desk", "{cell}: a new connection is closed");
            continue;
        };
        nothing_withheld(client, &got, &cell);
        let (plain, is_whole) = got.unpacked();
        let plain = String::from_utf8_lossy(&plain);
        assert_eq!(got.status, 200, "{cell}, then {caller}: {got:?}");
        assert_eq!(plain, decided(&mark, 0, caller), "{cell}, then {caller}");
        assert!(is_whole && got.is_complete, "{cell}, then {caller}");
        expected.insert(ask.trace, ("allowed - 200".to_owned(), "right"));
    }
    expected
}

fn nothing_withheld(client: &Client, got: &Got, cell: &str) {
    let (plain, _) = got.unpacked();
    for bytes in [client.seen(), plain, got.head.join("\n").into_bytes()] {
        let is_seen = memchr::memmem::find(&bytes, CANARY.as_bytes()).is_some();
        assert!(!is_seen, "{cell}: {}", String::from_utf8_lossy(&bytes));
    }
}

/// Compares what came with what must come, and says what must be on record.
fn judge(outcome: Outcome, got: &Got, mark: &str, cell: &str) -> String {
    let short = format!(
        "{cell}: {} complete: {}, {:?} {:.200}",
        got.status,
        got.is_complete,
        got.head,
        String::from_utf8_lossy(&got.body)
    );
    let (plain, is_whole) = got.unpacked();
    let status = got.status;
    match outcome {
        Outcome::Whole | Outcome::WholeLong => {
            let pad = if outcome == Outcome::WholeLong { LONG } else { 0 };
            let right = decided(mark, pad, "desk");
            assert!(status == 200 && got.is_complete && is_whole, "{short}");
            assert!(plain == right.as_bytes(), "{short}");
            "allowed - 200".to_owned()
        }
        Outcome::Sieved(expected) => {
            assert!(status == expected && got.is_complete && is_whole, "{short}");
            assert!(plain == decided(mark, 0, "desk").as_bytes(), "{short}");
            format!("allowed - {status}")
        }
        Outcome::Plain(expected) => {
            assert!(status == expected && got.is_complete, "{short}");
            assert!(plain.is_empty() || problem(&plain)["status"] == status, "{short}");
            format!("allowed - {status}")
        }
        Outcome::Refused(reason) => refused(reason, got, &short),
        Outcome::Broken(reason) if got.is_complete => refused(reason, got, &short),
        Outcome::Cut(reason) | Outcome::Broken(reason) => cut(reason, got, mark, &short),
    }
}

fn problem(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn refused(reason: &str, got: &Got, short: &str) -> String {
    let problem = problem(&got.body);
    assert_eq!(problem["type"], format!("urn:tamis:problem:{reason}"), "{short}");
    assert!(got.is_complete && problem["status"] == got.status && got.status >= 500, "{short}");
    format!("refused {reason} {}", got.status)
}

fn cut(reason: &str, got: &Got, mark: &str, short: &str) -> String {
    assert!(!got.is_complete, "{short}");
    if got.status == 0 {
        // The head was on its way when the connection ended.
        return format!("aborted {reason} ?");
    }
    // What did come is a beginning of what would have.
    let (plain, _) = got.unpacked();
    let letters = plain.iter().filter(|byte| !byte.is_ascii_lowercase()).count();
    let begins = plain.starts_with(format!(r#"{{"id":"{mark}","#).as_bytes());
    assert!(plain.len() < 20 || begins && letters < 200, "{short}");
    format!("aborted {reason} {}", got.status)
}

/// Decision, reason and status of each line, by trace.
fn records(tamis: &Tamis) -> HashMap<String, Vec<String>> {
    let mut records: HashMap<String, Vec<String>> = HashMap::new();
    for line in tamis.access_log() {
        let word = |key: &str| match line[key].as_str() {
            Some(word) => word.to_owned(),
            None => line[key].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string()),
        };
        let record = ["decision", "reason", "status"].map(word).join(" ");
        records.entry(word("trace")).or_default().push(record);
    }
    records
}

/// How often each reason is counted on each route.
fn refusals(tamis: &Tamis) -> BTreeMap<(String, String), u64> {
    let text = tamis.metrics();
    let lines = text.lines().filter(|line| line.starts_with("tamis_refusals_total{"));
    let mut counts = BTreeMap::new();
    for line in lines {
        let label = |name: &str| {
            let rest = line.split(&format!("{name}=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let name = label("route").split('/').nth(1).unwrap_or_default().to_owned();
        *counts.entry((name, label("reason"))).or_default() += count;
    }
    counts.retain(|_, count| *count > 0);
    counts
}

#[test]
fn whatever_an_upstream_does_nothing_leaks_and_nothing_lies() {
    let began = Instant::now();
    let only = std::env::var("TAMIS_BEHAVIOUR").ok();
    let mut behaviours = all();
    behaviours.retain(|behaviour| only.as_ref().is_none_or(|only| behaviour.name.contains(only)));
    let runtime = Runtime::new().unwrap();
    let (upstreams, opens) = runtime.block_on(upstreams(&behaviours));
    let policy = policy(&behaviours);
    // A pause between two bytes is no silence as long as it is shorter than this.
    let settings =
        "timeouts: {upstream: 3s, connect: 3s}\nlimits: {decoded_piece_bytes: 1048576}\n";
    let policies = [("p.yaml", policy.as_str())];
    let tamis = Setup { policies: &policies, upstreams: &upstreams, settings }.start();
    let address = tamis.address;
    let expected = runtime.block_on(async {
        let mut rows = JoinSet::new();
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        for behaviour in behaviours.clone() {
            let at_once = Arc::clone(&at_once);
            let open = opens.get(behaviour.name).cloned();
            rows.spawn(async move {
                let _turn = at_once.acquire_owned().await.unwrap();
                row(address, behaviour, open).await
            });
        }
        let mut all = Expected::new();
        let mut failed = Vec::new();
        while let Some(row) = rows.join_next().await {
            match row {
                Ok(row) => all.extend(row),
                Err(error) => failed.push(error),
            }
        }
        // What is wrong has been said; the other rows have been tried, too.
        assert!(failed.is_empty(), "{} rows", failed.len());
        all
    });
    until("all are on record", || {
        tamis.metric("tamis_responses_in_flight") == 0 && tamis.access_log().len() >= expected.len()
    });
    let on_record = records(&tamis);
    let mut by_reason = BTreeMap::new();
    for (trace, (record, name)) in &expected {
        let found = on_record.get(trace).unwrap_or_else(|| panic!("{name}: no record"));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        let is_same = match record.strip_suffix('?') {
            Some(known) => found[0].starts_with(known),
            None => found[0] == *record,
        };
        assert!(is_same, "{name}: {} on record, {record} expected", found[0]);
        let reason = record.split(' ').nth(1).unwrap();
        if reason != "-" {
            *by_reason.entry(((*name).to_owned(), reason.to_owned())).or_default() += 1;
        }
    }
    assert_eq!(tamis.access_log().len(), expected.len(), "no line but those");
    assert_eq!(tamis.metric("tamis_requests_total{"), expected.len() as u64);
    assert_eq!(refusals(&tamis), by_reason);
    println!(
        "{} behaviours x {} clients x {} codings = {} cells, {} requests in {:?}",
        behaviours.len(),
        CLIENTS.len(),
        CODINGS.len(),
        behaviours.len() * CLIENTS.len() * CODINGS.len(),
        expected.len(),
        began.elapsed()
    );
}
