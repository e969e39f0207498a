//! Every connection ends, and what it holds is counted until then, whatever its client does.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::serve::{
    PATIENCE, Setup, Tamis,
    http2::{
        self, ACK, Connection, DATA, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, INITIAL_WINDOW_SIZE,
        PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get,
    },
    json, streaming, until,
};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /open: { pass: { because: it names nobody, anybody: true } }
      POST /rows: { request_body: { pass: { because: nobody reads it } }, body: { '$[*].id': public } }
      GET /rows: { body: { '$[*].id': public, '$[*].secret': secret } }
rules: {}
";

const KEY: (&str, &str) = ("api-key", "desk-secret");
const ASKED: &str = "GET /rows HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n";

/// An upstream that answers with so many rows of 100 bytes.
fn rows(many: usize) -> SocketAddr {
    let row = format!(r#"{{"id":"{}"}}"#, "x".repeat(91));
    let answer = json(&format!("[{}]", vec![row; many].join(",")));
    streaming(move |_, stream| {
        stream.write_all(&answer)?;
        Ok(true)
    })
}

fn start(upstream: SocketAddr, settings: &str) -> Tamis {
    let upstreams = [("crm", upstream, "http1")];
    Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start()
}

/// How often connections have ended for this cause.
fn ended(tamis: &Tamis, cause: &str) -> u64 {
    let listener = tamis.address;
    tamis.metric(&format!(
        "tamis_connections_ended_total{{cause=\"{cause}\",listener=\"{listener}\"}}"
    ))
}

/// What comes until the connection ends, and how long that takes.
fn rest(mut stream: &TcpStream) -> (Vec<u8>, Duration) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (began, mut rest) = (Instant::now(), Vec::new());
    let _reset = stream.read_to_end(&mut rest);
    (rest, began.elapsed())
}

/// Nothing is left of anybody, and a caller is answered.
fn is_as_before(tamis: &Tamis) {
    until("nothing is left", || {
        let metrics = ["tamis_responses_in_flight", "tamis_held_bytes", "tamis_http2_streams"];
        metrics.iter().all(|metric| tamis.metric(metric) == 0)
            && tamis.metric("tamis_connections{listener=\"127.0.0.1") == 0
    });
    let reply = tamis.send(ASKED);
    assert_eq!(reply.status, 200, "{reply:?}");
}

const SHORT: &str = "timeouts: { client: 800ms, idle: 1s, head: 1s }\n";

#[test]
fn a_connection_that_says_nothing_or_little_ends() {
    let tamis = start(rows(1), SHORT);
    let broken = [PREFACE, &frame(PING, 0, 1, &[0; 8])].concat();
    let cases: [(&str, &[u8]); 6] = [
        ("silent", b""),
        ("silent", b"P"),
        ("silent", &PREFACE[..20]),
        // Not even the settings come, which have to.
        ("idle", PREFACE),
        ("protocol", &broken),
        ("request", b"GET /rows HT"),
    ];
    for (cause, said) in cases {
        let before = ended(&tamis, cause);
        let mut stream = TcpStream::connect(tamis.address).unwrap();
        stream.write_all(said).unwrap();
        let (_, took) = rest(&stream);
        assert!(took < Duration::from_secs(10), "{cause} {said:?} {took:?}");
        until("it is counted", || ended(&tamis, cause) == before + 1);
    }
    is_as_before(&tamis);
}

#[test]
fn a_connection_that_is_not_used_any_more_ends() {
    let tamis = start(rows(1), SHORT);
    let mut kept = TcpStream::connect(tamis.address).unwrap();
    kept.write_all(ASKED.as_bytes()).unwrap();
    let (said, took) = rest(&kept);
    assert!(said.starts_with(b"HTTP/1.1 200 ") && took < Duration::from_secs(10), "{took:?}");
    until("it is counted", || ended(&tamis, "idle") == 1);

    let mut kept = Connection::to(tamis.address, &[]);
    kept.say(&get(1, "/rows", &[KEY])).unwrap();
    let goodbye = kept.next_of(GOAWAY).unwrap();
    assert_eq!(goodbye.code(), 0, "{goodbye:?}");
    // It never answers the PING behind it.
    assert_eq!(kept.next_of(GOAWAY), None);
    until("it is counted", || ended(&tamis, "idle") == 2);
    is_as_before(&tamis);
}

/// A client that was told to go, never says that it has heard it, and goes on asking.
#[test]
fn a_client_that_does_not_hear_that_it_should_go_ends() {
    let settings = "timeouts: { client: 800ms, connection_age: 1s }\n";
    let tamis = start(rows(1), settings);
    let mut client = Connection::to(tamis.address, &[]);
    let (began, mut refused) = (Instant::now(), 0);
    'asks: for stream in (1..).step_by(2) {
        if client.say(&get(stream, "/rows", &[KEY])).is_err() {
            break;
        }
        loop {
            let Some(frame) = client.next() else { break 'asks };
            if frame.stream == stream && frame.kind == RST_STREAM {
                refused += 1;
                break;
            }
            if frame.stream == stream && frame.kind == DATA && frame.flags & END_STREAM != 0 {
                break;
            }
        }
        assert!(began.elapsed() < PATIENCE, "it goes on, {refused} refused");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    until("it is counted", || ended(&tamis, "age") == 1);
    is_as_before(&tamis);
}

/// However few responses there may be: those that nobody reads end, and meanwhile a caller is answered.
#[test]
fn answers_that_are_not_read_end() {
    let settings = "timeouts: { client: 1500ms, idle: 1s }\nlimits: { responses_in_flight: 8 }\n";
    let tamis = start(rows(10_000), settings);
    for windows in [&[(INITIAL_WINDOW_SIZE, 0)][..], &[(INITIAL_WINDOW_SIZE, 1_000_000)][..]] {
        let before = tamis.access_log().len();
        let mut strangers: Vec<Connection> = (0..11)
            .map(|_| {
                let mut stranger = Connection::to(tamis.address, windows);
                let asks = (1..20).step_by(2).flat_map(|stream| get(stream, "/open", &[]));
                stranger.say(&asks.collect::<Vec<_>>()).unwrap();
                stranger
            })
            .collect();
        until("there is no place for strangers", || tamis.metric("tamis_responses_in_flight") >= 6);
        let reply = tamis.send(
            "GET /rows HTTP/1.1\r\nHost: a\r\nConnection: close\r\nApi-Key: desk-secret\r\n\r\n",
        );
        assert_eq!(reply.status, 200, "{}", reply.text());
        until("they end", || tamis.metric("tamis_responses_in_flight") == 0);
        until("all are on record", || tamis.access_log().len() == before + 111);
        let log = tamis.access_log();
        let of =
            |decision: &str| log[before..].iter().filter(|it| it["decision"] == decision).count();
        // Those for which there was no place are denied, and the caller is allowed.
        assert_eq!((of("allowed"), of("aborted") >= 6), (1, true), "{log:?}");
        let stranger = strangers.first_mut().unwrap();
        assert!(stranger.next_of(RST_STREAM).is_some());
        drop(strangers);
    }
    is_as_before(&tamis);
}

/// A response is in flight, and what it holds is counted, until the kernel has its last byte; also a short one that would
/// fit in any buffer.
#[test]
fn a_response_is_in_flight_until_the_kernel_has_it() {
    let tamis = start(rows(600), "timeouts: { client: 2s, idle: 1s }\n");
    let mut stranger = Connection::to(tamis.address, &[(INITIAL_WINDOW_SIZE, 10)]);
    stranger.say(&get(1, "/rows", &[KEY])).unwrap();
    until("it has begun", || tamis.metric("tamis_responses_in_flight") == 1);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(tamis.metric("tamis_responses_in_flight"), 1);
    assert!(tamis.metric("tamis_held_bytes") >= 50_000, "{}", tamis.metric("tamis_held_bytes"));
    assert!(tamis.access_log().is_empty());
    // Now it reads.
    stranger.say(&frame(WINDOW_UPDATE, 0, 1, &1_000_000_u32.to_be_bytes())).unwrap();
    until("it is on record", || tamis.access_log().len() == 1);
    assert_eq!(tamis.access_log()[0]["decision"], "allowed");
    drop(stranger);
    is_as_before(&tamis);
}

/// A window that is opened byte by byte gives no more time than one that stays shut.
#[test]
fn a_window_of_one_byte_after_the_other_does_not_hold_a_response() {
    let tamis = start(rows(600), "timeouts: { client: 800ms, idle: 1s }\n");
    let mut stranger = Connection::to(tamis.address, &[(INITIAL_WINDOW_SIZE, 1)]);
    stranger.say(&get(1, "/rows", &[KEY])).unwrap();
    let began = Instant::now();
    while tamis.access_log().is_empty() {
        let one = frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
        if stranger.say(&one).is_err() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it is held");
        thread::sleep(Duration::from_millis(50));
    }
    until("it is on record", || tamis.access_log().len() == 1);
    assert_eq!(tamis.access_log()[0]["decision"], "aborted");
    drop(stranger);
    is_as_before(&tamis);
}

/// Frames that carry nothing of a request end the connection that sends too many of them, and no other.
#[test]
fn frames_that_carry_nothing_end_their_connection() {
    let tamis = start(rows(1), SHORT);
    let (nothing, ping) = (http2::settings(&[]), frame(PING, ACK, 0, &[7; 8]));
    let update = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    let unknown = frame(0x42, 0, 0, b"whatever");
    let post = http2::post(1, "/rows", &[KEY]);
    let empty = frame(DATA, 0, 1, &[]);
    let cases = [
        ("settings", nothing),
        ("ping", ping),
        ("window", update),
        ("unknown", unknown),
        ("data", empty),
    ];
    for (n, (what, frames)) in (1..).zip(cases) {
        let mut client = Connection::to(tamis.address, &[]);
        client.say(&post).unwrap();
        // It does not read what it is told, and may be cut off while it writes.
        let many = frames.repeat(400);
        for _ in 0..10 {
            if client.say(&many).is_err() {
                break;
            }
        }
        until(what, || ended(&tamis, "flood") == n);
        assert_eq!(tamis.send(ASKED).status, 200);
    }
    let code = "tamis_http2_errors_total{code=\"ENHANCE_YOUR_CALM\",scope=\"connection\"}";
    assert_eq!(tamis.metric(code), 5);
    is_as_before(&tamis);
}

/// Told so, where it still reads.
#[test]
fn a_client_is_told_to_calm_down() {
    let tamis = start(rows(1), SHORT);
    let mut client = Connection::to(tamis.address, &[]);
    client.say(&frame(PING, ACK, 0, &[7; 8]).repeat(1100)).unwrap();
    let goodbye = client.next_of(GOAWAY).unwrap();
    assert_eq!(goodbye.code(), ENHANCE_YOUR_CALM);
    is_as_before(&tamis);
}

/// A body that comes a few bytes at a time, as a client sends it that writes line by line.
#[test]
fn a_body_in_small_frames_goes_through() {
    let upstream = streaming(|_, stream| {
        stream.write_all(&json(r#"[{"id":1}]"#))?;
        Ok(false)
    });
    let tamis = start(upstream, "");
    for bytes in [20, 100] {
        let mut client = Connection::to(tamis.address, &[]);
        let piece = frame(DATA, 0, 1, &vec![b'x'; bytes]).repeat(60_000 / bytes);
        client.say(&[http2::post(1, "/rows", &[KEY]), piece].concat()).unwrap();
        client.say(&frame(DATA, END_STREAM, 1, &[])).unwrap();
        let answer = client.next_of(DATA).expect("the connection is there");
        assert_eq!(answer.payload, br#"[{"id":1}]"#, "{bytes}");
    }
}

/// One that says what it has read, a little at a time, is left alone: a long download by many small updates.
#[test]
fn whoever_reads_much_may_say_so_often() {
    let tamis = start(rows(50_000), "");
    let mut client = Connection::to(tamis.address, &[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    client.say(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes())).unwrap();
    client.say(&get(1, "/rows", &[KEY])).unwrap();
    let mut bytes = 0;
    loop {
        let frame = client.next().expect("the connection is there");
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            client.say(&http2::frame(SETTINGS, ACK, 0, &[])).unwrap();
        }
        if frame.kind != DATA {
            continue;
        }
        bytes += frame.payload.len();
        // Each two kilobytes by themselves, for the stream and for the connection.
        let mut left = u32::try_from(frame.payload.len()).unwrap();
        while left > 0 {
            let now = left.min(2500);
            for stream in [0, 1] {
                client.say(&http2::frame(WINDOW_UPDATE, 0, stream, &now.to_be_bytes())).unwrap();
            }
            left -= now;
        }
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert!(bytes > 5_000_000, "{bytes}");
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let tamis = start(rows(1), "limits: { connections: 10 }\ntimeouts: { client: 2s }\n");
    let mut first = Vec::new();
    until("as many are open as may", || {
        first.push(TcpStream::connect(tamis.address).unwrap());
        tamis.metric("tamis_connections{listener=\"127.0.0.1") == 10
    });
    let before = ended(&tamis, "limit");
    for _ in 0..5 {
        let (said, took) = rest(&TcpStream::connect(tamis.address).unwrap());
        assert!(said.is_empty() && took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(ended(&tamis, "limit"), before + 5);
    // Probes have places of their own.
    assert_eq!(tamis.probe("/readyz").status, 200);
    drop(first);
    is_as_before(&tamis);
}

#[test]
fn there_are_so_many_streams_and_no_more() {
    let upstream = streaming(|_, stream| {
        stream.read_to_end(&mut Vec::new())?;
        Ok(false)
    });
    let tamis = start(upstream, "limits: { streams: 3 }\ntimeouts: { client: 2s, idle: 1s }\n");
    let mut client = Connection::to(tamis.address, &[]);
    let ask = (1..10).step_by(2).flat_map(|stream| get(stream, "/rows", &[KEY]));
    client.say(&ask.collect::<Vec<_>>()).unwrap();
    let refused = client.next_of(RST_STREAM).unwrap();
    assert_eq!((refused.stream, refused.code()), (7, 7), "{refused:?}");
    until("three are open", || tamis.metric("tamis_http2_streams") == 3);
    drop(client);
    until("none is open", || tamis.metric("tamis_http2_streams") == 0);
}

/// An upstream that says its head byte by byte, or one interim response after the other, is as slow as one that says nothing.
#[test]
fn a_head_of_an_upstream_that_drips_ends() {
    for piece in ["X", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let upstream = streaming(move |_, stream| {
            if piece == "X" {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX-Drips: ")?;
            }
            for _ in 0..100 {
                stream.write_all(piece.as_bytes())?;
                thread::sleep(Duration::from_millis(300));
            }
            Ok(false)
        });
        let tamis = start(upstream, "timeouts: { upstream: 1s }\n");
        let began = Instant::now();
        let reply = tamis.send(ASKED);
        assert_eq!((reply.status, reply.reason()), (504, "upstream-timeout".to_owned()), "{piece}");
        assert!(began.elapsed() < Duration::from_secs(4), "{piece} {:?}", began.elapsed());
    }
}

/// What each of the connections of an attack says.
type Say<'a> = &'a dyn Fn() -> Vec<u8>;

/// Whatever strangers do, in numbers: a caller is answered throughout, and they leave nothing behind that the first time had not.
/// Most runs of an attack, behind its first: one of them has to add next to nothing to the memory.
const RUNS_MAX: usize = 6;

#[test]
fn attacks_leave_nothing_behind() {
    let settings =
        "timeouts: { client: 1s, idle: 1s, head: 1s }\nlimits: { responses_in_flight: 100 }\n";
    let tamis = start(rows(2000), settings);
    let many = |count: usize, say: &dyn Fn() -> Vec<u8>| {
        let open = |_| {
            let stream = TcpStream::connect(tamis.address).unwrap();
            // It may be ended while it still says something.
            let _broken = (&stream).write_all(&say());
            stream
        };
        (0..count).map(open).collect::<Vec<_>>()
    };
    let begin = |settings: &[(u16, u32)]| [PREFACE, &http2::settings(settings)].concat();
    let asks = |streams: u32, after: &dyn Fn(u32) -> Vec<u8>| {
        let ask = |stream| [get(stream, "/open", &[]), after(stream)].concat();
        (1..2 * streams).step_by(2).flat_map(ask).collect::<Vec<u8>>()
    };
    let attacks: [(&str, usize, Say<'_>); 9] = [
        ("silent", 1000, &Vec::new),
        ("a byte of the preface", 500, &|| b"P".to_vec()),
        ("idle", 300, &|| begin(&[])),
        ("a window of 0", 12, &|| {
            [begin(&[(INITIAL_WINDOW_SIZE, 0)]), asks(90, &|_| Vec::new())].concat()
        }),
        ("unread answers of HTTP/2", 12, &|| {
            [begin(&[(INITIAL_WINDOW_SIZE, 1 << 30)]), asks(90, &|_| Vec::new())].concat()
        }),
        ("unread answers", 300, &|| b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20)),
        ("rapid reset", 10, &|| {
            let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
            [begin(&[]), asks(900, &reset)].concat()
        }),
        ("heads that do not end", 50, &|| {
            [
                begin(&[]),
                frame(http2::HEADERS, 0, 1, &[0; 1]),
                frame(9, 0, 1, &[0; 100]).repeat(300),
            ]
            .concat()
        }),
        ("settings", 20, &|| [begin(&[]), http2::settings(&[]).repeat(5000)].concat()),
    ];
    for (what, count, say) in attacks {
        let mut most = 0;
        let mut added = Vec::new();
        // What is left behind adds to the memory each time. What the allocator has not yet given back does not.
        while added.last().is_none_or(|more| *more >= 5 << 20) {
            assert!(added.len() < RUNS_MAX, "{what}: each run adds to the memory: {added:?}");
            let strangers = many(count, say);
            for _ in 0..20 {
                let reply = tamis.send(ASKED);
                assert_eq!(reply.status, 200, "{what}: {}", reply.text());
                thread::sleep(Duration::from_millis(20));
            }
            until("they end by themselves, or have nothing in flight", || {
                tamis.metric("tamis_responses_in_flight") == 0
            });
            drop(strangers);
            is_as_before(&tamis);
            let rss = tamis.rss();
            if most > 0 {
                added.push(rss.saturating_sub(most));
            }
            most = most.max(rss);
        }
        println!("{what}: bytes that each run added to the memory: {added:?}");
    }
    let open_files = tamis.metric("process_open_fds");
    assert!(open_files < 60, "{open_files}");
}
