//! Requests that servers read in different ways, sent to tamis, nginx, `HAProxy` and Envoy: where any of
//! the others refuses a head tamis does, and nothing passes of which two see another number.

mod requests;
mod servers;

use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
};

use self::{
    requests::{CASES, Case, Part, bytes},
    servers::{OTHERS, Recorded, recording},
};
use crate::serve::{PATIENCE, Setup, until};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /c/{id}: { params: { id: public }, body: { $.id: public } }
      PUT /c/{id}: { params: { id: public }, request_body: { pass: { because: a test } }, body: { $.id: public } }
      GET /b/{id}: { params: { id: public }, request_body: { pass: { because: a test } }, body: { $.id: public } }
rules: {}
";

/// What a server made of a case.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    /// Requests that the upstream got.
    requests: usize,
    /// Statuses that the client got.
    statuses: Vec<u16>,
    /// Reasons of tamis that the client got.
    reasons: Vec<String>,
}

impl Verdict {
    fn passes(&self) -> bool {
        self.requests > 0 && self.statuses.first() == Some(&200)
    }
}

/// Sends it, and reads until the server closes.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut seen = Vec::new();
    // What it does not want to read it may have refused.
    if stream.write_all(request).is_ok()
        && let Err(error) = stream.read_to_end(&mut seen)
    {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server does not close");
    }
    seen
}

fn verdict(address: SocketAddr, recorded: &Recorded, case: &Case, mark: &str) -> Verdict {
    let seen = exchange(address, &bytes(case, mark));
    let seen = String::from_utf8_lossy(&seen);
    let statuses = seen.split("HTTP/1.1 ").skip(1);
    let statuses = statuses.filter_map(|rest| rest.get(..3)?.parse().ok()).filter(|s| *s != 100);
    let reasons = seen.split("urn:tamis:problem:").skip(1);
    let reasons = reasons.filter_map(|rest| rest.split('"').next()).map(str::to_owned);
    let (statuses, reasons) = (statuses.collect(), reasons.collect());
    // The answer comes back behind the record.
    let requests = recorded.lock().unwrap().get(mark).copied().unwrap_or(0);
    Verdict { requests, statuses, reasons }
}

/// All cases, some at a time.
fn all(address: SocketAddr, recorded: &Recorded) -> Vec<Verdict> {
    let lanes = 8;
    let mut verdicts = HashMap::new();
    thread::scope(|scope| {
        let lane = |lane: usize| {
            let rows = CASES.iter().enumerate().skip(lane).step_by(lanes);
            let judge = |(at, case)| (at, verdict(address, recorded, case, &format!("m{at}")));
            scope.spawn(move || rows.map(judge).collect::<Vec<_>>())
        };
        let lanes: Vec<_> = (0..lanes).map(lane).collect();
        for lane in lanes {
            verdicts.extend(lane.join().unwrap());
        }
    });
    (0..CASES.len()).map(|at| verdicts.remove(&at).unwrap()).collect()
}

fn cell(verdict: &Verdict) -> String {
    let statuses: Vec<String> = verdict.statuses.iter().map(u16::to_string).collect();
    format!("{}x {}", verdict.requests, statuses.join(" "))
}

#[test]
fn no_request_passes_that_others_read_in_another_way() {
    let (upstream, recorded) = recording();
    let upstreams = [("crm", upstream, "http1")];
    let settings = "timeouts: {client: 2s, head: 2s, idle: 2s}\n";
    let tamis = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start();
    let others: Vec<_> =
        OTHERS.iter().filter_map(|other| Some((other.name, other.start()?))).collect();
    let ours = all(tamis.address, &recorded);
    let theirs: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = others
            .iter()
            .map(|(name, server)| (*name, scope.spawn(|| all(server.address, &server.recorded))))
            .collect();
        runs.into_iter().map(|(name, run)| (name, run.join().unwrap())).collect()
    });
    let names: Vec<String> = theirs.iter().map(|(name, _)| format!("{name:<14}")).collect();
    println!("{:40} {:<30} {}", "requests at the upstream, statuses", "tamis", names.join(" "));
    let mut wrong = Vec::new();
    let mut denied = 0;
    for (at, case) in CASES.iter().enumerate() {
        let our = &ours[at];
        let said = match our.reasons.first() {
            _ if our.passes() => "passes",
            Some(reason) => reason,
            None => "nothing",
        };
        denied += usize::from(our.requests == 0 && !our.reasons.is_empty());
        let cells: Vec<String> =
            theirs.iter().map(|(_, all)| format!("{:<14}", cell(&all[at]))).collect();
        let ours_cell = format!("{} {said}", cell(our));
        println!("{:40} {ours_cell:<30} {}", case.name, cells.join(" "));
        let others: Vec<&Verdict> = theirs.iter().map(|(_, all)| &all[at]).collect();
        let is_refused_by_others = others.iter().any(|other| !other.passes());
        if said != case.tamis && case.tamis != "-" {
            wrong.push(format!("{}: {said}, and not {}: {our:?}", case.name, case.tamis));
        }
        if our.passes() && is_refused_by_others {
            let is_listed = case.part == Part::Body && !case.because.is_empty();
            if !is_listed {
                wrong.push(format!("{}: it passes, and somebody refuses it", case.name));
            }
        }
        let mut counts: Vec<usize> =
            others.iter().filter(|other| other.passes()).map(|other| other.requests).collect();
        counts.extend(our.passes().then_some(our.requests));
        if our.passes() && counts.iter().any(|count| *count != our.requests) {
            wrong.push(format!("{}: two see another number of requests", case.name));
        }
    }
    println!("{} requests to {} servers", CASES.len(), theirs.len() + 1);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What is answered is on record, and a request that was not understood is no exception.
    until("all denials are on record", || {
        tamis.metric("tamis_responses_in_flight") == 0
            && tamis.metric("tamis_refusals_total{") >= denied as u64
    });
}
