//! What is on record: every access, exactly once, and nothing personal.

use std::{collections::BTreeMap, net::SocketAddr, thread};

use crate::serve::{Connection, Setup, Tamis, free_port, json, until, upstream};

const POLICY: &str = "
tamis: 1
categories: { contact.email: E-mail address, contact.phone: Phone number, secret: Secret }
purposes:
  support: { title: Answer a customer, legal_basis: contract }
  billing: { title: Send an invoice, legal_basis: contract }
  nothing: { title: Look at nothing, legal_basis: contract }
callers:
  desk: { identify: { api_key: desk }, purposes: [support, billing, nothing] }
  shop: { identify: { api_key: shop }, purposes: [support] }
apis:
  crm:
    routes:
      GET /c/{id}:
        params: { id: public, mail: contact.email }
        body: { $.id: public, $.email: contact.email, $.phones: contact.phone, $.secret: secret }
      PUT /c/{id}: { params: { id: public }, body: { $.id: public } }
rules:
  support: { contact.email: { mask: { keep_last: 4 } }, contact.phone: keep }
  billing: { contact: pseudonym }
  nothing: { secret: deny }
";

const BODY: &str = r#"{"id":7,"email":"anna@example.org","phones":["1","2",3],"secret":"CANARY","CANARY":{"CANARY":1}}"#;

fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Tamis {
    let upstreams = [("crm", upstream(answer), "http1")];
    let settings = "timeouts: {upstream: 1s, connect: 1s}\n";
    Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start()
}

fn requests(tamis: &Tamis, decision: &str) -> u64 {
    let text = tamis.metrics();
    let series = text.lines().filter(|line| line.starts_with("tamis_requests_total{"));
    series
        .filter(|line| line.contains(&format!("decision=\"{decision}\"")))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

fn head(lines: &str) -> String {
    format!("GET /c/7 HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// The series of a family with their values: the labels that are asked for, in this order.
fn series(tamis: &Tamis, family: &str, labels: &[&str]) -> BTreeMap<String, u64> {
    let text = tamis.metrics();
    let lines = text.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
    let mut found = BTreeMap::new();
    for line in lines {
        let (pairs, value) = line.rsplit_once("} ").unwrap();
        let label = |name: &&str| {
            let rest = pairs.split(&format!("{name}=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let key = labels.iter().map(label).collect::<Vec<_>>().join(" ");
        let value: u64 = value.parse().unwrap();
        if value > 0 {
            assert_eq!(found.insert(key, value), None, "{line}");
        }
    }
    found
}

#[test]
fn ten_thousand_accesses_are_counted_exactly() {
    let tamis = serve(|path| match path {
        "/c/html" => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\n\r\nhi".into()
        }
        "/c/bad" => json("{\"id\": 7, \"email\": "),
        _ => json(BODY),
    });
    let declared = series_count(&tamis);
    let connections = 8;
    let rounds = 250;
    let address = tamis.address;
    let client = move || {
        let mut connection = Connection::to(address);
        for round in 0..rounds {
            let key = "Api-Key: desk-secret\r\n";
            for (lines, path, status) in [
                (format!("{key}Data-Purpose: support\r\n"), "/c/7", 200),
                (format!("{key}Data-Purpose: billing\r\n"), "/c/7", 200),
                ("Api-Key: shop-secret\r\n".to_owned(), "/c/7", 200),
                (key.to_owned(), "/c/7", 403),
                (
                    format!("{key}Data-Purpose: support\r\n"),
                    if round % 2 == 0 { "/c/html" } else { "/c/bad" },
                    502,
                ),
            ] {
                let request = head(&lines).replace("/c/7", path);
                let reply = connection.send(&request);
                assert_eq!(reply.status, status, "{request}{reply:?}");
                if status == 502 {
                    connection = Connection::to(address);
                }
            }
        }
    };
    let clients: Vec<_> = (0..connections).map(|_| thread::spawn(client)).collect();
    for client in clients {
        client.join().unwrap();
    }
    let each = connections * rounds;
    until("all are on record", || {
        tamis.metric("tamis_requests_total{") == each * 5
            && tamis.metric("tamis_responses_in_flight") == 0
    });
    let expected = |of: &[(&str, u64)]| -> BTreeMap<String, u64> {
        of.iter().map(|(key, times)| ((*key).to_owned(), times * each)).collect()
    };
    assert_eq!(
        series(&tamis, "tamis_requests_total", &["caller", "purpose", "route", "decision"]),
        expected(&[
            ("desk support GET /c/{id} allowed", 1),
            ("desk billing GET /c/{id} allowed", 1),
            ("shop support GET /c/{id} allowed", 1),
            ("desk unknown unknown denied", 1),
            ("desk support GET /c/{id} refused", 1),
        ])
    );
    assert_eq!(
        series(&tamis, "tamis_responses_total", &["api", "route", "class"]),
        expected(&[
            ("crm GET /c/{id} 2xx", 3),
            ("crm GET /c/{id} 5xx", 1),
            ("unknown unknown 4xx", 1),
        ])
    );
    let mut refusals = expected(&[("purpose-missing", 1)]);
    refusals.insert("media-not-allowed".to_owned(), each / 2);
    refusals.insert("body-cut".to_owned(), each / 2);
    assert_eq!(series(&tamis, "tamis_refusals_total", &["reason"]), refusals);
    assert_eq!(
        series(&tamis, "tamis_field_accesses_total", &["caller", "purpose", "category", "action"]),
        expected(&[
            ("desk support public keep", 1),
            ("desk support contact.email mask", 1),
            ("desk support contact.phone keep", 3),
            ("desk support secret drop", 1),
            ("desk billing public keep", 1),
            ("desk billing contact.email pseudonym", 1),
            ("desk billing contact.phone pseudonym", 3),
            ("desk billing secret drop", 1),
            ("shop support public keep", 1),
            ("shop support contact.email mask", 1),
            ("shop support contact.phone keep", 3),
            ("shop support secret drop", 1),
        ])
    );
    assert_eq!(
        series(&tamis, "tamis_unclassified_total", &["route"]),
        expected(&[("GET /c/{id}", 3)])
    );
    let log = tamis.access_log();
    until("every line is written", || tamis.access_log().len() as u64 == each * 5);
    drop(log);
    println!("{} requests, {declared} series before, {} after", each * 5, series_count(&tamis));
}

fn series_count(tamis: &Tamis) -> usize {
    tamis.metrics().lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn what_callers_invent_makes_no_series() {
    let tamis = serve(|_| json(BODY));
    let ask = |connection: &mut Connection, n: u32| {
        let word = format!("w{:x}", n.wrapping_mul(2_654_435_761));
        let request = match n % 4 {
            0 => head(&format!("Api-Key: desk-secret\r\nData-Purpose: {word}\r\n")),
            1 => head(&format!("Api-Key: {word}\r\nData-Purpose: support\r\n")),
            2 => head("Api-Key: shop-secret\r\n").replace("/c/7", &format!("/{word}")),
            _ => head("Api-Key: shop-secret\r\n").replace("/c/7", &format!("/c/{word}")),
        };
        connection.send(request)
    };
    let mut connection = Connection::to(tamis.address);
    for n in 0..4 {
        ask(&mut connection, n);
    }
    until("the first are on record", || tamis.metric("tamis_requests_total{") == 4);
    let before = series_count(&tamis);
    for n in 4..10_000 {
        assert_ne!(ask(&mut connection, n).status, 0);
    }
    until("all are on record", || tamis.metric("tamis_requests_total{") == 10_000);
    assert_eq!(series_count(&tamis), before);
}

/// Values are planted wherever a request or a response has room for one; none is seen again.
#[test]
fn nothing_personal_is_seen_in_what_tamis_says() {
    let garbage = "HTTP/1.1 200 CANARY\r\nCANARY CANARY\r\n\r\nCANARY";
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("/c/ok", json(BODY)),
        ("/c/html", b"HTTP/1.1 200 OK\r\nContent-Type: text/CANARY\r\n\r\nCANARY".into()),
        ("/c/coded", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: CANARY\r\n\r\n\"CANARY\"".into()),
        ("/c/part", b"HTTP/1.1 206 CANARY\r\nContent-Type: application/json\r\n\r\n\"CANARY\"".into()),
        ("/c/switch", b"HTTP/1.1 101 CANARY\r\nUpgrade: CANARY\r\nConnection: upgrade\r\n\r\nCANARY".into()),
        ("/c/garbage", garbage.into()),
        ("/c/grammar", json(r#"{"email": CANARY}"#)),
        ("/c/control", json("{\"email\": \"\u{1}CANARY\"}")),
        ("/c/cut", json(r#"{"email": "CANARY"#)),
        ("/c/short", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"secret\": \"CANARY".into()),
        ("/c/deep", json(&format!("{}\"CANARY\"{}", "[".repeat(300), "]".repeat(300)))),
        ("/c/lengths", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: CANARY\r\n\r\n\"CANARY\"".into()),
        ("/c/error", b"HTTP/1.1 404 CANARY\r\nContent-Type: application/json\r\n\r\n\"CANARY\"".into()),
        ("/c/problem", b"HTTP/1.1 500 CANARY\r\nContent-Type: application/problem+json\r\n\r\n{\"detail\": \"CANARY\"}".into()),
        ("/c/empty", Vec::new()),
    ];
    let paths: Vec<&str> = answers.iter().map(|(path, _)| *path).collect();
    let table: BTreeMap<String, Vec<u8>> =
        answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
    let tamis = serve(move |path| table.get(path).cloned().unwrap_or_else(|| json(BODY)));
    let mut seen = Vec::new();
    let both = "Api-Key: desk-secret\r\nData-Purpose: support\r\n";
    for path in paths {
        seen.push(tamis.send(head(both).replace("/c/7", path)).raw);
    }
    let mut denied = vec![
        head(both).replace("/c/7", "/CANARY"),
        head(both).replace("/c/7", "/c/CANARY/../CANARY"),
        head(both).replace("/c/7", "/c/7?CANARY=CANARY"),
        head(both).replace("/c/7", "/c/7?mail=CANARY"),
        head(both).replace("GET", "CANARY"),
        head(both).replace("HTTP/1.1", "HTTP/1.0").replace("/c/7", "/c/CANARY"),
        head("Api-Key: CANARY\r\nData-Purpose: support\r\n"),
        head("Api-Key: CANARY, CANARY\r\n"),
        head("Api-Key: desk-secret\r\nData-Purpose: CANARY\r\n"),
        head("Api-Key: shop-secret\r\nData-Purpose: billing\r\nCookie: CANARY\r\n"),
        head("Api-Key: desk-secret\r\nData-Purpose: nothing\r\nX-CANARY: CANARY\r\n"),
        head(&format!("{both}Data-Purpose: CANARY\r\n")),
        head(&format!("{both}Content-Length: 6\r\n")).replace("GET", "PUT") + "CANARY",
        head(&format!("{both}traceparent: 00-CANARY-CANARY-01\r\n")),
        // What Pingora itself has to say about requests that it cannot read.
        "CANARY\r\n\r\n".to_owned(),
        "GET /CANARY CANARY/1.1\r\nHost: CANARY\r\n\r\n".to_owned(),
        head("CANARY CANARY: CANARY\r\n"),
        head(": CANARY\r\n"),
        head(&format!("X: {}CANARY\r\n", "x".repeat(2 << 20))),
        head("Content-Length: CANARY\r\n"),
        head("Transfer-Encoding: CANARY\r\n"),
        "GET /c/7 HTTP/1.1\r\nHost: a\r\nHost: CANARY\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nCANARY CANARY CANARY".to_owned(),
    ];
    denied.push(head(&format!("{both}X: \u{e9}CANARY\r\n")));
    for request in &denied {
        let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        seen.push(tamis.send(request).raw);
    }
    until("all is on record", || tamis.metric("tamis_responses_in_flight") == 0);
    let log = tamis.access_log();
    let lines = log.iter().map(ToString::to_string).collect();
    let texts: Vec<String> = vec![tamis.metrics(), tamis.stdout(), tamis.stderr(), lines];
    seen.extend(texts.into_iter().map(String::into_bytes));
    for text in &seen {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("CANARY") && !text.contains("canary"), "{text}");
    }
    for decision in ["allowed", "denied", "refused"] {
        assert!(requests(&tamis, decision) > 0, "{decision}");
    }
    println!("{} exchanges, {} records", seen.len() - 4, log.len());
}

/// One upstream that cannot be reached takes nothing else down.
#[test]
fn an_upstream_that_is_away_is_one_reason() {
    let away = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let upstreams = [("crm", away, "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    for _ in 0..3 {
        let reply = tamis.get("/c/7", "desk", "support");
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-unreachable"));
    }
    until("it is on record", || tamis.access_log().len() == 3);
    // Why it is so is said once.
    let said = format!("upstream `crm`: {away}: the connection was refused\n");
    assert_eq!(tamis.stderr().matches(&said).count(), 1, "{}", tamis.stderr());
    let record = &tamis.access_log()[0];
    assert_eq!(record["decision"], "refused");
    assert_eq!(record["reason"], "upstream-unreachable");
    assert_eq!(record["status"], 502);
    assert_eq!(record["route"], "GET /c/{id}");
}
