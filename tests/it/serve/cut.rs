//! What ends in the middle: the client cannot take it for the whole, and it is on record, once.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use serde_json::Value;
use socket2::SockRef;

use crate::serve::{Connection, Setup, Tamis, json, nginx::Nginx, streaming, until};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
records: { row: { fields: { $.id: public, $.secret: secret } } }
apis: { crm: { routes: { 'GET /rows/{how}': { params: { how: public }, body: { '$[*]': row } } } } }
rules: {}
";
const ROW: &str = r#"{"id":1042,"secret":"CANARY"}"#;
const SIEVED: &str = r#"{"id":1042}"#;

fn serve(upstream: SocketAddr) -> Tamis {
    let upstreams = [("crm", upstream, "http1")];
    Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" }.start()
}

fn get(how: &str) -> String {
    format!("GET /rows/{how} HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n")
}

/// Decision, reason and status of each access on record, of which there are so many.
fn records(tamis: &Tamis, many: usize) -> Vec<String> {
    until("all are on record", || {
        tamis.metric("tamis_responses_in_flight") == 0 && tamis.access_log().len() >= many
    });
    let word = |value: &Value| value.to_string().replace('"', "");
    let log = tamis.access_log();
    assert_eq!(log.len(), many, "one line each");
    assert_eq!(tamis.metric("tamis_requests_total{"), many as u64);
    log.iter()
        .map(|line| ["decision", "reason", "status"].map(|key| word(&line[key])).join(" "))
        .collect()
}

/// How an upstream ends a body of which half has left.
fn end(how: &str, stream: &mut TcpStream) -> io::Result<bool> {
    match how {
        "/rows/reset" => SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?,
        "/rows/garbage" => stream.write_all(b"no size of a chunk\r\n")?,
        "/rows/cut-chunk" => stream.write_all(b"100\r\n,")?,
        _ => {}
    }
    Ok(false)
}

#[test]
fn an_upstream_that_ends_in_the_middle_ends_the_response_there() {
    check(&[
        ("sized", "Content-Length: 1000000\r\n", "upstream-protocol"),
        ("reset", "Content-Length: 1000000\r\n", "upstream-protocol"),
        ("chunked", "Transfer-Encoding: chunked\r\n", "upstream-protocol"),
        ("cut-chunk", "Transfer-Encoding: chunked\r\n", "upstream-protocol"),
        // Nothing but the document itself says that there should be more.
        ("until-close", "", "body-cut"),
    ]);
}

/// Pingora has a word of its own for it, which was taken for one of ours that is not known.
#[test]
fn a_chunk_without_a_size_is_the_upstreams_fault() {
    check(&[("garbage", "Transfer-Encoding: chunked\r\n", "upstream-protocol")]);
}

/// Ways to end, the header line that says how long the body is, and the reason on record.
fn check(ways: &'static [(&str, &str, &str)]) {
    let half = format!("[{}", [ROW; 1000].join(","));
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = streaming(move |path, stream| {
        let Some((_, length, _)) = ways.iter().find(|(how, ..)| path.ends_with(how)) else {
            stream.write_all(&json(&format!("[{ROW}]")))?;
            return Ok(true);
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n");
        let is_chunked = length.contains("chunked");
        let begun =
            if is_chunked { format!("{:x}\r\n{half}\r\n", half.len()) } else { half.clone() };
        stream.write_all((head + &begun).as_bytes())?;
        wait.lock().unwrap().recv().unwrap();
        end(path, stream)
    });
    let tamis = serve(upstream);
    let mut expected = Vec::new();
    for (how, _, reason) in ways {
        let mut connection = Connection::to(tamis.address);
        connection.ask(get(how));
        connection.begins();
        go.send(()).unwrap();
        let reply = connection.reply();
        assert_eq!((reply.status, &reply.body), (200, &None), "{how}");
        let raw = String::from_utf8(reply.raw).unwrap();
        assert!(raw.contains(SIEVED) && !raw.contains("CANARY"), "{how}");
        expected.push(format!("aborted {reason} 200"));
        assert_eq!(records(&tamis, expected.len()), expected, "{how}");
        let next = Connection::to(tamis.address).send(get("whole"));
        assert_eq!(next.text(), format!("[{SIEVED}]"));
        expected.push("allowed null 200".to_owned());
        assert_eq!(records(&tamis, expected.len()), expected, "{how}");
    }
}

#[test]
fn a_killed_nginx_ends_the_response_in_the_middle() {
    // More than sockets hold on the way, so that it is in the middle until somebody reads.
    let body = format!("[{}]", vec![ROW; (64 << 20) / ROW.len()].join(","));
    let files = [("rows/all".to_owned(), body.as_bytes()), ("rows/none".to_owned(), b"[]")];
    let Some(nginx) = Nginx::start(files) else { return };
    let tamis = serve(nginx.sized);
    assert_eq!(Connection::to(tamis.address).send(get("none")).text(), "[]");
    // Another thread may still be writing it when the next request has ended.
    assert_eq!(records(&tamis, 1), ["allowed null 200"]);
    let mut connection = Connection::to(tamis.address);
    connection.ask(get("all"));
    connection.begins();
    drop(nginx);
    let reply = connection.reply();
    assert_eq!((reply.status, reply.body), (200, None));
    let reply = Connection::to(tamis.address).send(get("none"));
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-unreachable"));
    assert_eq!(
        records(&tamis, 3),
        ["allowed null 200", "aborted upstream-protocol 200", "refused upstream-unreachable 502"]
    );
}

#[test]
fn a_client_that_vanishes_is_on_record_and_nobody_else_is_disturbed() {
    let given_up = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&given_up);
    let upstream = streaming(move |path, stream| {
        if path == "/rows/whole" {
            stream.write_all(&json(&format!("[{ROW}]")))?;
            return Ok(true);
        }
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n",
        )?;
        let rows = format!("{ROW},").repeat(100);
        let chunk = format!("{:x}\r\n{rows}\r\n", rows.len());
        // It has no end but that of the connection.
        while stream.write_all(chunk.as_bytes()).is_ok() {}
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(false)
    });
    let tamis = serve(upstream);
    let mut stays = Connection::to(tamis.address);
    assert_eq!(stays.send(get("whole")).text(), format!("[{SIEVED}]"));
    let mut expected = vec!["allowed null 200".to_owned()];
    for round in 1..=3 {
        let mut connection = Connection::to(tamis.address);
        connection.ask(get("endless"));
        connection.begins();
        drop(connection);
        until("the upstream hears of it", || given_up.load(Ordering::Relaxed) == round);
        expected.push("aborted null 200".to_owned());
        assert_eq!(records(&tamis, expected.len()), expected);
        let mut new = Connection::to(tamis.address);
        for connection in [&mut stays, &mut new] {
            assert_eq!(connection.send(get("whole")).text(), format!("[{SIEVED}]"));
            expected.push("allowed null 200".to_owned());
        }
        assert_eq!(records(&tamis, expected.len()), expected);
    }
}
