//! How much memory the process takes: no more for a larger body, and for many responses at once no more
//! than what `config/README.md` says.

use std::{
    any::Any,
    fs,
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::{
    io::AsyncWriteExt as _,
    runtime::{self, Runtime},
};

use tamis::coding::{Coding, Encoder};

use crate::serve::{
    PATIENCE, Setup, Tamis,
    doors::Own,
    free_port,
    http2::{self, SETTINGS},
    streaming, until,
};

const MIB: u64 = 1 << 20;

const POLICY: &str = "
tamis: 1
categories: { name: Name, notes: Notes }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
records: { row: { fields: { $.id: public, $.name: name, $.notes: notes, $.tags: public } } }
apis: { crm: { routes: { GET /rows: { body: { '$[*]': row } } } } }
rules: { support: { name: { mask: { keep_first: 1, length: keep } } } }
";
const GET: &[u8] = b"GET /rows HTTP/1.1\r\nHost: test\r\nApi-Key: desk-secret\r\n\r\n";
const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

const ROW: &str = r#"{"id":1042,"name":"Anna Keller","notes":["called",{"by":"phone"}],"tags":["a",1.50,null],"x":{"y":[1,2,3]}},
"#;
const SIEVED: &str = r#"{"id":1042,"name":"A**********","tags":["a",1.50,null]},
"#;

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The body of a chunked response, without keeping any of it: `take` gets it piece by piece.
fn read_chunks(from: &mut impl BufRead, mut take: impl FnMut(&[u8])) {
    let mut line = String::new();
    loop {
        line.clear();
        from.read_line(&mut line).unwrap();
        let mut left = usize::from_str_radix(line.trim_end(), 16).expect("a size of a chunk");
        let is_last = left == 0;
        while left > 0 {
            let piece = from.fill_buf().unwrap();
            assert!(!piece.is_empty(), "the body is cut");
            let piece = &piece[..piece.len().min(left)];
            take(piece);
            let length = piece.len();
            left -= length;
            from.consume(length);
        }
        let mut end = [0; 2];
        from.read_exact(&mut end).unwrap();
        assert_eq!(&end, b"\r\n");
        if is_last {
            return;
        }
    }
}

fn read_head(from: &mut impl BufRead) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(from.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
}

#[test]
fn a_gibibyte_goes_through_in_64_mebibytes() {
    let rows_a_chunk = 512;
    let chunks = (1 << 30) / (ROW.len() * rows_a_chunk) + 1;
    let upstream = streaming(move |_, stream| {
        let (first, last) =
            (chunk(b"["), chunk(format!("{}]", ROW.trim_end_matches(",\n")).as_bytes()));
        let rows = chunk(ROW.repeat(rows_a_chunk).as_bytes());
        stream.write_all(&[HEAD, &first].concat())?;
        for _ in 0..chunks {
            stream.write_all(&rows)?;
        }
        stream.write_all(&[&last[..], b"0\r\n\r\n"].concat())?;
        Ok(true)
    });
    let upstreams = [("crm", upstream, "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start();
    let at_rest = tamis.peak_rss();
    let began = Instant::now();
    let mut stream = TcpStream::connect(tamis.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(GET).unwrap();
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    read_head(&mut reader);
    // After the bracket, the body is the sieved row again and again; the last lacks its comma.
    let pattern = SIEVED.repeat(1 << 14);
    let rows = chunks * rows_a_chunk;
    let (mut at, mut end) = (0_usize, Vec::new());
    let periodic = 1 + rows * SIEVED.len();
    read_chunks(&mut reader, |mut piece| {
        if at == 0 {
            assert_eq!(piece[0], b'[');
            (at, piece) = (1, &piece[1..]);
        }
        while !piece.is_empty() && at < periodic {
            let expected = &pattern.as_bytes()[(at - 1) % SIEVED.len()..];
            let length = piece.len().min(expected.len()).min(periodic - at);
            assert!(piece[..length] == expected[..length], "other bytes at {at}");
            (at, piece) = (at + length, &piece[length..]);
        }
        at += piece.len();
        end.extend_from_slice(piece);
    });
    assert_eq!(end, format!("{}]", SIEVED.trim_end_matches(",\n")).as_bytes());
    let (took, peak) = (began.elapsed(), tamis.peak_rss());
    println!(
        "1 GiB in, {} MiB out in {took:?}: peak RSS {} KiB, {} KiB at rest",
        at as u64 / MIB,
        peak >> 10,
        at_rest >> 10,
    );
    assert!(peak < 64 * MIB, "{peak} bytes");
}

/// A body of a gibibyte, packed into very little.
fn bomb(coding: Coding) -> Vec<u8> {
    let mut encoder = Encoder::new(coding).unwrap();
    let mut packed = encoder.write(b"[".to_vec()).unwrap();
    for _ in 0..256 {
        packed.append(&mut encoder.write(vec![b' '; 4 << 20]).unwrap());
    }
    packed.append(&mut encoder.write(b"]".to_vec()).unwrap());
    packed.append(&mut encoder.finish().unwrap());
    packed
}

#[test]
fn a_packed_gibibyte_is_refused_in_64_mebibytes() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let packed = bomb(coding);
        let length = packed.len();
        let upstream = streaming(move |_, stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {}\r\n\
                 Content-Length: {length}\r\n\r\n",
                coding.name()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&packed)?;
            Ok(true)
        });
        let upstreams = [("crm", upstream, "http1")];
        let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
        let tamis = setup.start();
        let mut stream = TcpStream::connect(tamis.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(GET).unwrap();
        let mut reply = Vec::new();
        // It may be reset, but never hangs.
        if let Err(error) = stream.read_to_end(&mut reply) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        assert!(!reply.ends_with(b"0\r\n\r\n"), "{coding:?} is taken for complete");
        until("it is on record", || {
            tamis.metrics().contains("reason=\"body-too-large\",route=\"GET /rows\"} 1")
        });
        let peak = tamis.peak_rss();
        println!("{coding:?}: 1 GiB in {length} bytes, peak RSS {} KiB", peak >> 10);
        assert!(peak < 64 * MIB, "{peak} bytes");
    }
}

/// Clients that do not read: `TAMIS_READERS=5000`. That many take 5 GiB, and as many files as few systems
/// let a process have.
fn wanted_readers() -> u64 {
    std::env::var("TAMIS_READERS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

/// What one response takes at most between two connections that speak HTTP/1.1, as `config/README.md`
/// says, with the limits that are the default.
fn response_bytes_max() -> u64 {
    let (depth, name, value, gap) = (128, 4096, 64 << 10, 4096);
    7 * (64 << 10) + name + gap + 3 * value + 64 * depth + (32 << 10) + 2 * (16 << 10)
}

/// As many of them as there may be open files: two ends in this process for each, and some for others.
fn as_files_allow(wanted: u64, of: &str) -> u64 {
    // What it starts may have as many.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(u64::MAX);
    let many = wanted.min(files.saturating_sub(200) / 2);
    if many < wanted {
        println!("skipped: {} of {wanted} {of}: only {files} files may be open", wanted - many);
    }
    many
}

/// What it takes more where the client speaks HTTP/2.
const HTTP_2_BYTES: u64 = 64 << 10;

/// A client that asks and does not read. Its segments are short, so that the system holds little for it,
/// and what is not read waits in tamis.
pub(super) fn slow_reader(address: SocketAddr, request: &[u8]) -> Socket {
    let socket = with_small_segments(address);
    (&socket).write_all(request).unwrap();
    socket
}

fn with_small_segments(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    socket
}

/// A second listener, for TLS, and those who connect to it.
struct ByTls {
    own: Own,
    address: SocketAddr,
    runtime: Runtime,
    /// What they offer to speak.
    protocol: &'static str,
}

impl ByTls {
    fn speaking(protocol: &'static str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { own: Own::new(), address, runtime, protocol }
    }

    fn start(&self, setup: &Setup<'_>) -> Tamis {
        let tamis = setup.start_with(&[
            ("TAMIS__LISTEN__1__ADDRESS", &self.address.to_string()),
            ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &self.own.path("own.pem")),
            ("TAMIS__LISTEN__1__TLS__KEY", &self.own.path("own.key")),
        ]);
        until("it listens", || TcpStream::connect(self.address).is_ok());
        tamis
    }

    /// Agrees on TLS, and says this; nothing is read of what comes.
    fn says(&self, what: &[u8]) -> Box<dyn Any> {
        let socket = with_small_segments(self.address);
        socket.set_nonblocking(true).unwrap();
        self.runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(socket.into()).unwrap();
            let mut stream = self.own.connect(stream, &[self.protocol]).await.unwrap();
            stream.write_all(what).await.unwrap();
            stream.flush().await.unwrap();
            Box::new(stream) as Box<dyn Any>
        })
    }
}

/// What TLS takes more.
const TLS_BYTES: u64 = 128 << 10;

/// How long nothing may move until an upstream takes it that nothing will.
const STALLED: Duration = Duration::from_secs(2);

/// Offers this often, and waits for the end of a client that does not take it; says whether it did.
fn offer(
    stream: &mut TcpStream,
    frame: &[u8],
    times: usize,
    stalled: &AtomicU64,
) -> io::Result<bool> {
    SockRef::from(&*stream).set_send_buffer_size(64 << 10)?;
    stream.set_write_timeout(Some(STALLED))?;
    stream.write_all(&[HEAD, &chunk(b"[")].concat())?;
    for _ in 0..times {
        if let Err(error) = stream.write_all(frame) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            stalled.fetch_add(1, Ordering::Relaxed);
            stream.read_to_end(&mut Vec::new())?;
            return Ok(false);
        }
    }
    Ok(true)
}

#[test]
fn slow_readers_take_no_more_than_is_documented() {
    check_slow_readers("HTTP/1.1", GET, response_bytes_max(), None);
}

#[test]
fn slow_readers_by_tls_take_no_more_than_is_documented() {
    let by_tls = ByTls::speaking("http/1.1");
    check_slow_readers("HTTP/1.1 by TLS", GET, response_bytes_max() + TLS_BYTES, Some(&by_tls));
}

/// Neither do those whose window stays as it was at the beginning.
#[test]
fn slow_readers_of_http_2_take_no_more_than_is_documented() {
    check_slow_readers("HTTP/2", &get_by_http_2(), response_bytes_max() + HTTP_2_BYTES, None);
}

#[test]
fn slow_readers_of_http_2_by_tls_take_no_more_than_is_documented() {
    let by_tls = ByTls::speaking("h2");
    let bytes_max = response_bytes_max() + HTTP_2_BYTES + TLS_BYTES;
    check_slow_readers("HTTP/2 by TLS", &get_by_http_2(), bytes_max, Some(&by_tls));
}

fn get_by_http_2() -> Vec<u8> {
    let get = http2::get(1, "/rows", &[("api-key", "desk-secret")]);
    [http2::PREFACE, &http2::settings(&[]), &get].concat()
}

/// So many clients that send `ask` and do not read.
fn check_slow_readers(what: &str, ask: &[u8], bytes_max: u64, by_tls: Option<&ByTls>) {
    let readers = as_files_allow(wanted_readers(), "slow readers");
    // Names that are masked and so held until they end, nearly as long as a value may be.
    let (name, tag) = ("x".repeat(60_000), "y".repeat(30_000));
    let frame = chunk(format!("{{\"id\":1,\"name\":\"{name}\",\"tags\":\"{tag}\"}},").as_bytes());
    let offered = 64;
    let size = offered as u64 * frame.len() as u64;
    let [stalled, served] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let counts = (Arc::clone(&stalled), Arc::clone(&served));
    let upstream = streaming(move |_, stream| {
        if offer(stream, &frame, offered, &counts.0)? {
            counts.1.fetch_add(1, Ordering::Relaxed);
        }
        Ok(false)
    });
    let upstreams = [("crm", upstream, "http1")];
    let settings = format!(
        "timeouts: {{client: 1h, upstream: 1h}}\nlimits: {{responses_in_flight: {}, held_bytes: {}}}\n",
        readers.max(1024) + 100,
        readers.max(1024) * MIB
    );
    let policies = [("p.yaml", POLICY)];
    let setup = Setup { policies: &policies, upstreams: &upstreams, settings: &settings };
    let tamis = by_tls.map_or_else(|| setup.start(), |by_tls| by_tls.start(&setup));
    let at_rest = tamis.peak_rss();
    let connect = |_| -> Box<dyn Any> {
        match by_tls {
            Some(by_tls) => by_tls.says(ask),
            None => Box::new(slow_reader(tamis.address, ask)),
        }
    };
    let sockets: Vec<_> = (0..readers).map(connect).collect();
    let mut so_far = 0;
    while so_far < readers {
        // As long as something moves there is no hurry.
        until("another one does not move any more", || stalled.load(Ordering::Relaxed) > so_far);
        so_far = stalled.load(Ordering::Relaxed);
    }
    let (peak, documented) = (tamis.peak_rss(), readers * bytes_max);
    println!(
        "{readers} clients of {what} that do not read of {} MiB each: peak RSS {} MiB, {} MiB at rest; documented {} MiB more",
        size / MIB,
        peak / MIB,
        at_rest / MIB,
        documented / MIB
    );
    assert_eq!(served.load(Ordering::Relaxed), 0, "nobody got all");
    assert!(peak - at_rest <= documented, "{} bytes", peak - at_rest);
    assert_eq!(tamis.metric("tamis_responses_in_flight"), readers);
    drop(sockets);
    until("all are on record", || tamis.access_log().len() as u64 == readers);
    assert!(tamis.access_log().iter().all(|line| line["decision"] == "aborted"));
}

/// What one more connection takes, of those that have all said the same.
fn check_connections(
    what: &str,
    bytes_max: u64,
    by_tls: Option<&ByTls>,
    connect: impl Fn(&Tamis) -> Box<dyn Any>,
) {
    let many = as_files_allow(5000, what);
    let upstreams = [("crm", streaming(|_, _| Ok(true)), "http1")];
    let settings = "timeouts: {client: 1h, idle: 1h}\n";
    let policies = [("p.yaml", POLICY)];
    let setup = Setup { policies: &policies, upstreams: &upstreams, settings };
    let tamis = by_tls.map_or_else(|| setup.start(), |by_tls| by_tls.start(&setup));
    let address = by_tls.map_or(tamis.address, |by_tls| by_tls.address);
    let open = format!("tamis_connections{{listener=\"{address}");
    let few = many / 5;
    let mut connections = Vec::new();
    let mut taken = |most: u64| {
        while (connections.len() as u64) < most {
            connections.push(connect(&tamis));
        }
        until("they are open", || tamis.metric(&open) == most);
        tamis.rss()
    };
    let (few_take, many_take) = (taken(few), taken(many));
    let each = many_take.saturating_sub(few_take) / (many - few);
    println!("{what}: {each} bytes each, between {few} and {many}");
    assert!(each < bytes_max, "{what}: {each} bytes each");
}

#[test]
fn a_connection_takes_little_before_it_speaks() {
    check_connections("connections that say nothing", 16 << 10, None, |tamis| {
        Box::new(TcpStream::connect(tamis.address).unwrap())
    });
}

/// The same once TLS is agreed on, whose own state is not small.
#[test]
fn a_connection_by_tls_takes_little_before_it_speaks() {
    let by_tls = ByTls::speaking("http/1.1");
    let what = "connections by TLS that say nothing";
    check_connections(what, 64 << 10, Some(&by_tls), |_| by_tls.says(b""));
}

#[test]
fn an_idle_connection_of_http_2_takes_little() {
    check_connections("idle connections of HTTP/2", 64 << 10, None, |tamis| {
        let mut connection = http2::Connection::to(tamis.address, &[]);
        assert!(connection.next_of(SETTINGS).is_some());
        connection.say(&http2::frame(SETTINGS, http2::ACK, 0, &[])).unwrap();
        Box::new(connection.0)
    });
}

/// A stranger is denied, and does not read that: in flight is nothing, so that it has to be little.
#[test]
fn a_denial_that_is_not_read_takes_little() {
    let upstreams = [("crm", streaming(|_, _| Ok(true)), "http1")];
    let policies = [("p.yaml", POLICY)];
    let tamis = Setup { policies: &policies, upstreams: &upstreams, settings: "" }.start();
    let deny = |connections: u64| {
        let asks = (1..200).step_by(2).flat_map(|stream| http2::get(stream, "/no", &[]));
        let asks = asks.collect::<Vec<u8>>();
        let connect = |_| {
            let settings = [(http2::INITIAL_WINDOW_SIZE, 0)];
            let mut stranger = http2::Connection::to(tamis.address, &settings);
            stranger.say(&asks).unwrap();
            stranger.0
        };
        (0..connections).map(connect).collect::<Vec<_>>()
    };
    let mut strangers = deny(10);
    until("they are denied", || tamis.metric("tamis_http2_streams") == 1000);
    let few = tamis.rss();
    strangers.extend(deny(90));
    until("they are denied", || tamis.metric("tamis_http2_streams") == 10_000);
    let each = tamis.rss().saturating_sub(few) / 9000;
    println!("denials that are not read: {each} bytes each");
    assert!(each < 8 << 10, "{each} bytes each");
    assert_eq!(tamis.metric("tamis_responses_in_flight"), 0);
}
