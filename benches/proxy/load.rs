//! CPU time per request of every subject, under the same load.
#![expect(clippy::cast_precision_loss, reason = "requests are counted, and not by the billion")]

use std::{thread::sleep, time::Duration};

use crate::{
    SIZES,
    client::KEY,
    median, micros,
    process::{OTHER_CORE, run},
    subjects::{Ground, Kind, Subject},
};

const ROUNDS: usize = 7;
/// Keep-alive connections of the load generator.
const CONNECTIONS: u64 = 32;
/// Requests at a time on one connection of HTTP/2.
const STREAMS: u64 = 8;
/// Requests that say how expensive one is.
const PROBE: u64 = 512;
/// What a subject should spend in a round: enough that the connections that are made do not matter.
const CPU_PER_ROUND: Duration = Duration::from_millis(600);
/// What a subject still has to do when the last response has come.
const SETTLING: Duration = Duration::from_millis(20);

/// How many times as much as bare Pingora tamis may take for a document of 4 KB where all share one core.
const CEILINGS: [(&str, f64); 2] = [(TAMIS, 1.15), (ALL_CLASSIFIED, 1.35)];
/// How many times as much as tamis the cheapest of the others that rewrite JSON has to take.
const FLOORS: [Option<f64>; SIZES.len()] = [None, Some(3.0)];
/// What everything is measured against.
pub(super) const BARE: &str = "bare Pingora, passing";
/// What the others that rewrite JSON are measured against.
pub(super) const TAMIS: &str = "tamis, redacting";
/// The same with a line on record for each request.
pub(super) const LOGGING: &str = "tamis, redacting, access log";
/// The same over something else than HTTP/1.1 and plain JSON on both sides, by the way that requests go.
pub(super) const WAYS: [(&str, Way); 7] = [
    ("  gzip to the client", Way { accept: "gzip", ..Way::PLAIN }),
    ("  br to the client", Way { accept: "br", ..Way::PLAIN }),
    ("  zstd to the client", Way { accept: "zstd", ..Way::PLAIN }),
    ("  gzip from the upstream", Way { path: "packed", ..Way::PLAIN }),
    ("  over HTTP/2", Way { is_http_2: true, ..Way::PLAIN }),
    ("  over TLS", Way { is_tls: true, ..Way::PLAIN }),
    ("  over HTTP/2 and TLS", Way { is_http_2: true, is_tls: true, ..Way::PLAIN }),
];
/// The same where every field is classified, and so decided by itself.
pub(super) const ALL_CLASSIFIED: &str = "tamis, redacting, all classified";

/// How requests go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// What `Accept-Encoding` says.
    pub(super) accept: &'static str,
    /// Where documents are.
    pub(super) path: &'static str,
    pub(super) is_http_2: bool,
    pub(super) is_tls: bool,
}

impl Way {
    /// Over HTTP/1.1 in the clear, and not packed.
    pub(super) const PLAIN: Self =
        Self { accept: "identity", path: "documents", is_http_2: false, is_tls: false };

    /// The address of a document of so many bytes. The listener that speaks TLS has an address of its own.
    pub(super) fn url(self, port: u16, bytes: usize) -> String {
        let to = if self.is_tls { "https://127.0.0.2" } else { "http://127.0.0.1" };
        format!("{to}:{port}/{}/{bytes}", self.path)
    }

    /// What tells h2load so: so many requests at a time, whatever the protocol.
    fn flags(self, at_a_time: u64) -> [String; 3] {
        let (protocol, clients) = if self.is_http_2 {
            let streams = STREAMS.min(at_a_time);
            (format!("--max-concurrent-streams={streams}"), at_a_time / streams)
        } else {
            ("--h1".to_owned(), at_a_time)
        };
        let accept = format!("--header=Accept-Encoding: {}", self.accept);
        [protocol, format!("--clients={clients}"), accept]
    }
}

/// A subject, and what it took at each size.
struct Row<'a> {
    subject: &'a Subject,
    requests: [u64; SIZES.len()],
    taken: [Vec<Duration>; SIZES.len()],
}

impl Row<'_> {
    fn median(&self, size: usize) -> Duration {
        median(&self.taken[size])
    }
}

/// Measures and prints, twice. Gives whether all floors and ceilings are kept.
pub(super) fn per_request(ground: &Ground<'_>) -> bool {
    if let Err(why) = run("h2load", &["--version"]) {
        println!("skipped: CPU time per request: no load generator: {why}");
        return true;
    }
    let subjects = ground.subjects();
    println!("CPU time per request, the proxy alone on its core, {CONNECTIONS} connections\n");
    let rows = rows(subjects.iter());
    print(&rows);
    let is_reached = floor(&rows);
    println!("\nCPU time per request, everything on one core, {CONNECTIONS} connections\n");
    let is_direct = |subject: &&Subject| {
        subject.way == Way::PLAIN && matches!(subject.kind, Kind::Passing | Kind::Redacting)
    };
    // Where the proxy waits for another core, to wake that up costs it time, and the more the slower it is.
    let direct = subjects.iter().filter(is_direct).inspect(|it| it.running.pin(OTHER_CORE));
    let rows = self::rows(direct);
    print(&rows);
    let is_kept = ceilings(&rows);
    is_reached && is_kept
}

/// Measures these subjects in turn.
fn rows<'a>(subjects: impl Iterator<Item = &'a Subject>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = subjects.map(prepare).collect();
    for _ in 0..ROUNDS {
        for (size, bytes) in SIZES.into_iter().enumerate() {
            for row in &mut rows {
                row.taken[size].push(load(row.subject, bytes, row.requests[size]));
            }
        }
    }
    rows
}

fn prepare(subject: &Subject) -> Row<'_> {
    let requests = SIZES.map(|bytes| requests(subject, bytes, CPU_PER_ROUND));
    Row { subject, requests, taken: SIZES.map(|_| Vec::new()) }
}

/// Checks what a subject gives, finds out how many requests take it so long, and warms it up.
pub(super) fn requests(subject: &Subject, bytes: usize, cpu: Duration) -> u64 {
    subject.check(bytes);
    let each = load(subject, bytes, PROBE);
    let requests = cpu.as_nanos() / each.as_nanos();
    let requests = u64::try_from(requests).unwrap().next_multiple_of(CONNECTIONS);
    // Those that compile while they run are given the time to.
    load(subject, bytes, requests);
    requests
}

/// CPU time of one of so many requests.
pub(super) fn load(subject: &Subject, bytes: usize, requests: u64) -> Duration {
    let before = subject.running.cpu();
    ask(subject, subject.running.port, bytes, requests, CONNECTIONS);
    sleep(SETTLING);
    let spent = subject.running.cpu().checked_sub(before).unwrap();
    spent.div_f64(requests as f64)
}

/// Asks the proxy on this port as the subject is asked, so many requests at a time.
pub(super) fn ask(subject: &Subject, port: u16, bytes: usize, requests: u64, at_a_time: u64) {
    let [protocol, clients, accept] = &subject.way.flags(at_a_time);
    let said = run(
        "h2load",
        &[
            protocol,
            clients,
            accept,
            &format!("--requests={requests}"),
            &format!("--header=Api-Key: {KEY}"),
            &format!("--header=Data-Purpose: {}", subject.purpose),
            &subject.way.url(port, bytes),
        ],
    );
    let said = said.unwrap();
    let all = format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx");
    assert!(said.contains(&all) && said.contains(" 0 errored"), "{}: {said}", subject.name);
}

fn print(rows: &[Row<'_>]) {
    println!("median of {ROUNDS} interleaved rounds, least and most, and of bare Pingora\n");
    println!("{:34}{:<36}{:<36}peak memory", "", "4 KB", "64 KB");
    let bare = rows.iter().find(|row| row.subject.name == BARE).unwrap();
    for row in rows {
        print!("{:34}", row.subject.name);
        for size in 0..SIZES.len() {
            let [least, most] = [row.taken[size].iter().min(), row.taken[size].iter().max()]
                .map(|taken| taken.unwrap().as_secs_f64() * 1e6);
            let ratio = ratio(row.median(size), bare.median(size));
            let spread = format!("({least:.0} to {most:.0})");
            print!("{} {spread:15} {ratio:5.2}   ", micros(row.median(size)));
        }
        println!("{:6.1} MiB", row.subject.running.peak());
    }
    println!();
}

/// How much more others take that rewrite JSON. Gives whether it is enough of the proxies with a script;
/// what was written in Rust for the occasion is shown as well.
fn floor(rows: &[Row<'_>]) -> bool {
    let named = |name| rows.iter().find(|row| row.subject.name == name).unwrap();
    let mut is_reached = true;
    for (size, floor) in FLOORS.into_iter().enumerate() {
        for (kind, name, floor) in [
            (Kind::Rewriting, TAMIS, floor),
            (Kind::Rewriting, ALL_CLASSIFIED, None),
            (Kind::RewritingByHand, TAMIS, None),
        ] {
            let all = rows.iter().filter(|row| row.subject.kind == kind);
            let Some(cheapest) = all.min_by_key(|row| row.median(size)) else {
                println!("skipped: {} KB: nobody to compare {name} with", SIZES[size] >> 10);
                continue;
            };
            let ratio = ratio(cheapest.median(size), named(name).median(size));
            let verdict = match floor {
                None => String::new(),
                Some(floor) if ratio >= floor => format!("   floor {floor}: reached"),
                Some(floor) => {
                    is_reached = false;
                    format!("   floor {floor}: MISSED")
                }
            };
            let text = format!("{} KB: {} / {name}", SIZES[size] >> 10, cheapest.subject.name);
            println!("{text:64} {ratio:5.2}{verdict}");
        }
    }
    is_reached
}

/// How much more than bare Pingora tamis takes for a small document. Gives whether it is little enough.
fn ceilings(rows: &[Row<'_>]) -> bool {
    let named = |name| rows.iter().find(|row| row.subject.name == name).unwrap();
    let mut is_kept = true;
    for (name, ceiling) in CEILINGS {
        let ratio = ratio(named(name).median(0), named(BARE).median(0));
        let verdict = if ratio <= ceiling { "kept" } else { "MISSED" };
        is_kept &= ratio <= ceiling;
        let text = format!("{} KB: {name} / {BARE}", SIZES[0] >> 10);
        println!("{text:64} {ratio:5.2}   ceiling {ceiling}: {verdict}");
    }
    is_kept
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
