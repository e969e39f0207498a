//! The proxy in process: real sockets on free ports, upstreams that send exactly the bytes of the test.

mod coding;
mod cors;
mod heads;
mod media;
mod open;
mod pki;
mod records;
mod tls;
mod uploads;
mod upstreams;
mod validators;

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Version};
use pingora::{
    apps::ServerApp,
    protocols::{Stream, l4::stream::Stream as L4Stream},
    server::configuration::ServerConf,
    services::background::BackgroundService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    AccessLog, Certificates, Observers, Proxy, Unclassified, gateway::Gateway,
    health::HealthChecks, tls::Watch,
};
use crate::{
    access::Reason,
    config::{self, Settings},
    enforce::Tally,
    frame::Framed,
    message::{MakeSieve, Sieve},
    metrics::Metrics,
    policy::{Source, load},
    reload::Policies,
    transform::{Keys, NoKeys},
};

const POLICY: &str = r#"
tamis: 1
categories: { contact.email: E-mail address, money: Money, secret: Secret }
purposes:
  support: { title: Help, legal_basis: contract }
  billing: { title: Bill, legal_basis: contract }
  denied: { title: Nothing, legal_basis: contract }
callers:
  desk: { identify: { api_key: desk }, purposes: [support, billing, denied] }
  lone: { identify: { api_key: lone }, purposes: [support] }
records:
  customer:
    fields: { $.id: public, $.email: contact.email, $.iban: money, $.secret: secret, "$.tags": public }
apis:
  crm:
    headers: { request: [X-Tenant], response: { X-Total: public } }
    routes:
      GET /c/{id}: { params: { id: public, page: public, mail: contact.email }, media: { text/csv: { pass: { because: exports hold no person } } }, body: { $: customer } }
      GET /c: { media: { text/csv: { pass: { because: exports hold no person, purposes: [ support ] } } }, body: { "$[*]": customer } }
      GET /plain: { body: { $: customer }, compress: off }
      GET /feed: { body: { $: customer }, stream: { events: [customer], data: ["[DONE]"] } }
      GET /open:
        params: { mail: contact.email, "*": { pass: { because: the upstream ignores what it does not know } } }
        body: { $: customer }
      POST /c: { request_body: { pass: { because: what is sent belongs to the sender } }, body: { $: customer } }
      PUT /c/{id}: { params: { id: public }, body: { $: customer } }
rules:
  support: { contact: { mask: { keep_first: 1 } } }
  billing: { contact: keep, money: keep }
  denied: { secret: deny }
"#;

/// The policy with another api, `shop`, which each caller may use, too.
fn of_two_apis(policy: &str) -> String {
    policy
        .replace("billing, denied] }", "billing, denied], apis: [crm, shop] }")
        .replace("purposes: [support] }", "purposes: [support], apis: [crm, shop] }")
}

const BODY: &str = r#"{"id": 7, "email":"anna@example.org","iban":"FR76-CANARY", "tags":[1.50,"x"],"secret":{"k":"CANARY"},"odd":"CANARY"}"#;
const SIEVED: &str = r#"{"id": 7, "email":"a********", "tags":[1.50,"x"]}"#;
const WITHHELD: &str = "CANARY";

/// What an upstream does with each connection.
#[derive(Clone)]
enum Upstream {
    /// Sends these bytes after the request, in pieces, and closes.
    Pieces(Vec<Vec<u8>>),
    /// The same, with a pause between the pieces.
    Paused(Vec<Vec<u8>>),
    /// Sends these bytes, and nothing more, without closing.
    Stalls(Vec<u8>),
    /// Does not listen.
    Absent,
    /// HTTP/2 without TLS: a body, with or without trailers, or a reset instead of the end.
    H2 { body: &'static str, end: H2End },
}

#[derive(Clone, Copy, PartialEq)]
enum H2End {
    Stream,
    Trailers,
    Reset,
    /// The head ends the stream.
    Head,
}

impl Upstream {
    fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Pieces(vec![bytes.into()])
    }

    fn json(body: &str) -> Self {
        Self::bytes(head_and(body, "application/json"))
    }
}

fn head_and(body: &str, media: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A proxy in front of an upstream.
struct World {
    address: SocketAddr,
    /// What its clients speak.
    version: Version,
    metrics: Arc<Metrics>,
    /// The heads of the requests that the upstream got.
    asked: Arc<Mutex<Vec<String>>>,
    /// Looks at the files of certificates.
    watch: Watch,
}

impl World {
    async fn new(upstream: Upstream) -> Self {
        Self::with(upstream, POLICY, |_| {}, None).await
    }

    async fn with(
        upstream: Upstream,
        policy: &str,
        change: impl FnOnce(&mut Settings),
        make_sieve: Option<MakeSieve>,
    ) -> Self {
        Self::made(upstream, policy, &NoKeys, change, make_sieve).await
    }

    async fn keyed(
        upstream: Upstream,
        policy: &str,
        keys: &dyn Keys,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::made(upstream, policy, keys, change, None).await
    }

    async fn made(
        upstream: Upstream,
        policy: &str,
        keys: &dyn Keys,
        change: impl FnOnce(&mut Settings),
        make_sieve: Option<MakeSieve>,
    ) -> Self {
        let asked = Arc::default();
        let is_h2 = matches!(upstream, Upstream::H2 { .. });
        let to = serve_upstream(upstream, Arc::clone(&asked)).await;
        let mut settings = settings(to, is_h2);
        change(&mut settings);
        let policies = match policy {
            "" => Policies::none(),
            text => {
                let source = Source { name: "p.yaml".to_owned(), text: text.to_owned() };
                let loaded = load(&[source], keys);
                Policies::of(loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.findings)))
            }
        };
        let metrics = Arc::new(Metrics::new(1000));
        let access_log = AccessLog::start(&config::AccessLog::Off, Arc::clone(&metrics)).unwrap();
        let observers = Observers {
            metrics: Arc::clone(&metrics),
            access_log,
            unclassified: Unclassified::default(),
        };
        let certificates = Certificates::load(&settings).unwrap();
        let mut proxy = Proxy::new(settings, certificates, policies, observers);
        if let Some(make_sieve) = make_sieve {
            let gate = Arc::get_mut(&mut proxy.gate).unwrap();
            Arc::get_mut(&mut gate.limits).unwrap().make_sieve = make_sieve;
        }
        let watch = proxy.shared.certificates.watch(Arc::clone(&metrics));
        let address = serve_proxy(proxy).await;
        let version = Version::HTTP_11;
        Self { address, version, metrics, asked, watch: watch.unwrap() }
    }

    /// The same, for clients that speak this version of HTTP.
    fn speaking(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Sends a request, written as in HTTP/1.1.
    async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        if self.version == Version::HTTP_2 {
            return self.send_http_2(str::from_utf8(request.as_ref()).unwrap()).await;
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        let mut raw = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut raw)).await;
        // A reset is an end, too; a hang is not.
        let _reset = read.expect("the proxy ends the connection");
        Reply::parse(raw)
    }

    async fn send_http_2(&self, request: &str) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let reply = async {
            let mut client = client.ready().await.unwrap();
            let (head, body) = in_http_2(request);
            let (response, mut stream) = client.send_request(head, body.is_empty()).unwrap();
            if !body.is_empty() && stream.send_data(Bytes::from(body), true).is_err() {
                // The answer came first, and nobody waits for the body.
            }
            Reply::of_http_2(response).await
        };
        timeout(Duration::from_secs(20), reply).await.expect("the proxy ends the stream")
    }

    /// A GET by `desk`, with more header lines.
    async fn get(&self, path: &str, purpose: &str, more: &str) -> Reply {
        self.send(request(
            "GET",
            path,
            &format!("Api-Key: desk-key\r\nData-Purpose: {purpose}\r\n{more}"),
        ))
        .await
    }

    /// The series of responses that are not at zero, as `API ROUTE CLASS`.
    fn classes(&self) -> Vec<String> {
        let text = self.metrics.render();
        let series = text.lines().filter_map(|line| line.strip_prefix("tamis_responses_total{"));
        let counted = series.filter(|line| !line.ends_with(" 0"));
        let classes = counted.map(|line| {
            assert!(line.ends_with(" 1"), "{line}");
            let values: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            let [api, class, route] = values[..] else { panic!("{line}") };
            format!("{api} {route} {class}")
        });
        classes.collect()
    }

    /// Waits until a request is on record, and says how: `decision`, or `decision reason`. There is
    /// exactly one.
    async fn record(&self) -> String {
        // What is counted last.
        let is_counted =
            |line: &str| line.starts_with("tamis_overhead_seconds_count{") && !line.ends_with(" 0");
        for _ in 0..2000 {
            if !self.metrics.render().lines().any(is_counted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            let text = self.metrics.render();
            let series = |name: &str, label: &str| -> Vec<String> {
                text.lines()
                    .filter(|line| line.starts_with(&format!("{name}{{")) && !line.ends_with(" 0"))
                    .map(|line| {
                        assert!(line.ends_with(" 1"), "{line}");
                        let value = line.split(&format!("{label}=\"")).nth(1).unwrap();
                        value.split('"').next().unwrap().to_owned()
                    })
                    .collect()
            };
            let mut words = series("tamis_requests_total", "decision");
            assert_eq!(words.len(), 1, "one record each");
            let reasons = series("tamis_refusals_total", "reason");
            assert!(reasons.len() <= 1);
            words.extend(reasons);
            return words.join(" ");
        }
        panic!("no record was written");
    }
}

fn settings(upstream: SocketAddr, is_h2: bool) -> Settings {
    let protocol = if is_h2 { "h2c" } else { "http1" };
    let digest = |key: &str| {
        use sha2::Digest as _;
        data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(key))
    };
    let text = format!(
        "listen: [{{address: 127.0.0.1:0}}]\nadmin: {{address: 127.0.0.1:0}}\n\
         api_keys: {{desk: \"sha256:{}\", lone: \"sha256:{}\", stray: \"sha256:{}\"}}\n\
         upstreams: {{crm: {{address: \"{upstream}\", protocol: {protocol}}}}}\n\
         timeouts: {{upstream: 1s, connect: 1s}}\n",
        digest("desk-key"),
        digest("lone-key"),
        digest("stray-key"),
    );
    Settings::parse("test", &text, []).unwrap()
}

fn request(method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: crm.test\r\nConnection: close\r\n{lines}\r\n")
}

/// What clients speak.
const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A request of HTTP/1.1 in HTTP/2, and its body.
fn in_http_2(request: &str) -> (http::Request<()>, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let fields: Vec<_> = lines.map(|line| line.split_once(':').unwrap()).collect();
    let is = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    let (_, host) = fields.iter().find(|(name, _)| is(name, "host")).unwrap();
    let has_body = fields.iter().any(|(name, _)| is(name, "content-length"));
    // The first says which host is asked, and the second is about the connection.
    let fields = fields.iter().filter(|(name, _)| !is(name, "host") && !is(name, "connection"));
    let builder = http::Request::builder().method(method);
    let builder = builder.uri(format!("http://{}{path}", host.trim()));
    let builder = fields.fold(builder, |to, (name, value)| to.header(*name, value.trim()));
    (builder.body(()).unwrap(), if has_body { body.to_owned() } else { String::new() })
}

async fn serve_upstream(upstream: Upstream, asked: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    if matches!(upstream, Upstream::Absent) {
        return address;
    }
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, upstream.clone(), Arc::clone(&asked)));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, upstream: Upstream, asked: Arc<Mutex<Vec<String>>>) {
    let mut pause = Duration::ZERO;
    let pieces = match upstream {
        Upstream::H2 { body, end } => return answer_h2(stream, body, end, &asked).await,
        Upstream::Absent => return,
        Upstream::Stalls(bytes) => {
            read_head(&mut stream, &asked).await;
            stream.write_all(&bytes).await.unwrap();
            tokio::time::sleep(Duration::from_mins(1)).await;
            return;
        }
        Upstream::Paused(pieces) => {
            pause = Duration::from_millis(50);
            pieces
        }
        Upstream::Pieces(pieces) => pieces,
    };
    read_head(&mut stream, &asked).await;
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
    // Read what is left, so that closing is no reset.
    let _half = stream.shutdown().await;
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

async fn read_head(stream: &mut TcpStream, asked: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        head.extend_from_slice(&buffer[..read]);
        if read == 0 || head.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    // A connection that ends without a request has asked nothing.
    if !head.is_empty() {
        asked.lock().unwrap().push(String::from_utf8(head).unwrap());
    }
}

/// Of a request, the host is kept.
async fn answer_h2(stream: TcpStream, body: &'static str, end: H2End, asked: &Mutex<Vec<String>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let host = request.uri().authority().map(ToString::to_string);
        asked.lock().unwrap().extend(host);
        let head =
            http::Response::builder().header("content-type", "application/json").body(()).unwrap();
        let mut stream = respond.send_response(head, end == H2End::Head).unwrap();
        if end == H2End::Head {
            continue;
        }
        stream.send_data(Bytes::from_static(body.as_bytes()), end == H2End::Stream).unwrap();
        match end {
            H2End::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-trailer", "CANARY".parse().unwrap());
                stream.send_trailers(trailers).unwrap();
            }
            H2End::Reset => stream.send_reset(h2::Reason::INTERNAL_ERROR),
            H2End::Stream | H2End::Head => {}
        }
    }
}

async fn serve_proxy(proxy: Proxy) -> SocketAddr {
    let settings = proxy.shared.settings.clone();
    let ca_file = proxy.shared.certificates.ca_file();
    let conf = ServerConf { ca_file, ..ServerConf::default() };
    let doctor = HealthChecks::of(&proxy);
    let app = Arc::new(Gateway::new(proxy, &conf, &settings));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (keep, shutdown) = tokio::sync::watch::channel(false);
    let told = shutdown.clone();
    tokio::spawn(async move { doctor.start(told).await });
    tokio::spawn(async move {
        let _keep = keep;
        while let Ok((stream, _)) = listener.accept().await {
            let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
            tokio::spawn(async move {
                let mut next: Option<Stream> = Some(Box::new(L4Stream::from(stream)));
                while let Some(stream) = next {
                    next = app.process_new(stream, &shutdown).await;
                }
            });
        }
    });
    address
}

/// What a client saw.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    /// The body, if the transfer says that it is complete.
    body: Option<String>,
    /// The same, as it came.
    bytes: Option<Vec<u8>>,
    raw: String,
    /// All of it, as it came.
    wire: Vec<u8>,
}

impl Reply {
    fn parse(raw: Vec<u8>) -> Self {
        let end = raw.windows(4).position(|end| end == b"\r\n\r\n");
        let (head, rest) = raw.split_at(end.unwrap_or(raw.len()));
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let rest = rest.get(4..).unwrap_or_default();
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        let bytes = match (header("content-length"), header("transfer-encoding")) {
            (Some(length), None) => {
                (rest.len() == length.parse::<usize>().unwrap()).then(|| rest.to_owned())
            }
            (None, Some(_)) => unchunked(rest),
            (None, None) => Some(rest.to_owned()),
            (Some(_), Some(_)) => panic!("two ways to end: {head}"),
        };
        let bytes = bytes.filter(|_| status > 0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status, body: bytes.as_deref().map(text), bytes, head, raw: text(&raw), wire: raw }
    }

    /// A response of HTTP/2, with a head as HTTP/1.1 writes it.
    async fn of_http_2(response: h2::client::ResponseFuture) -> Self {
        let nothing = Self {
            status: 0,
            head: String::new(),
            body: None,
            bytes: None,
            raw: String::new(),
            wire: Vec::new(),
        };
        let Ok(response) = response.await else { return nothing };
        let status = response.status().as_u16();
        let mut wire = format!("HTTP/2 {status}").into_bytes();
        for (name, value) in response.headers() {
            wire.extend([b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()].concat());
        }
        let head = String::from_utf8_lossy(&wire).to_ascii_lowercase();
        wire.extend_from_slice(b"\r\n\r\n");
        let length = response.headers().get("content-length").cloned();
        let (mut stream, mut bytes) = (response.into_body(), Vec::new());
        let mut is_whole = true;
        while let Some(data) = stream.data().await {
            match data {
                Ok(data) => {
                    stream.flow_control().release_capacity(data.len()).unwrap();
                    bytes.extend_from_slice(&data);
                }
                // Behind a whole response: nobody waits for the rest of the request (RFC 9113, section 8.1).
                Err(error) if error.reason() == Some(h2::Reason::NO_ERROR) => {
                    is_whole = length.is_some_and(|length| length == bytes.len().to_string());
                    break;
                }
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        assert!(!matches!(stream.trailers().await, Ok(Some(_))), "no trailers leave");
        wire.extend_from_slice(&bytes);
        let bytes = is_whole.then_some(bytes);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status, body: bytes.as_deref().map(text), bytes, head, raw: text(&wire), wire }
    }

    fn reason(&self) -> String {
        let body = self.body.as_ref().unwrap_or_else(|| panic!("no complete body: {self:?}"));
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        assert!(self.head.contains("cache-control: no-store"), "{self:?}");
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("urn:tamis:problem:").unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|end| end == b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(rest.get(..line)?).ok()?, 16).ok()?;
        let after = rest.get(line + 2..)?;
        if size == 0 {
            return (after == b"\r\n").then_some(body);
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// Sends `upstream` to a client with the purpose `support`, and says what came and what is on record.
async fn check(upstream: Upstream) -> (Reply, String) {
    let world = World::new(upstream).await;
    let reply = world.get("/c/7", "support", "").await;
    assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
    let record = world.record().await;
    (reply, record)
}

fn chunked(body: &str, size: usize) -> String {
    let mut out =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned();
    for chunk in body.as_bytes().chunks(size) {
        let text = str::from_utf8(chunk).unwrap();
        write!(out, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    out + "0\r\n\r\n"
}

fn until_closed(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sieved_however_it_is_delimited() {
    let dribbled = |text: String| Upstream::Pieces(text.bytes().map(|byte| vec![byte]).collect());
    let whole = head_and(BODY, "application/json; charset=utf-8");
    for upstream in [
        Upstream::json(BODY),
        Upstream::bytes(chunked(BODY, 1)),
        Upstream::bytes(chunked(BODY, 17)),
        Upstream::bytes(until_closed(BODY)),
        dribbled(whole),
        dribbled(chunked(BODY, 3)),
        Upstream::H2 { body: BODY, end: H2End::Stream },
        Upstream::H2 { body: BODY, end: H2End::Trailers },
    ] {
        let (reply, record) = check(upstream).await;
        assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
        assert_eq!(reply.status, 200);
        assert_eq!(record, "allowed");
        for line in ["data-purpose: support", "tamis-policy: ", "cache-control: no-store"] {
            assert!(reply.head.contains(line), "{line}: {reply:?}");
        }
    }
}

/// Chunks, which HTTP/1.0 does not know, leave in HTTP/1.1.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_answered_in_the_version_of_tamis() {
    for whole in [head_and(BODY, "application/json"), until_closed(BODY)] {
        let (reply, record) = check(Upstream::bytes(whole.replace("/1.1", "/1.0"))).await;
        assert!(reply.head.starts_with("http/1.1 200 ok"), "{reply:?}");
        assert_eq!((reply.body.as_deref(), record.as_str()), (Some(SIEVED), "allowed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_http_1_0_are_refused() {
    let whole = chunked(BODY, 20).replace("/1.1", "/1.0");
    let (reply, record) = check(Upstream::bytes(whole)).await;
    assert_eq!((&*reply.reason(), &*record), ("upstream-protocol", "refused upstream-protocol"));
}

/// A client that knows that there is none would take the body for another answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_205_has_no_body() {
    for whole in [head_and(BODY, "application/json"), chunked(BODY, 20)] {
        let (reply, record) = check(Upstream::bytes(whole.replace("200 OK", "205 Reset"))).await;
        assert!(reply.status != 205 || reply.body.is_none(), "{reply:?}");
        assert!(record.ends_with(" upstream-protocol"), "{record}");
    }
    let (reply, record) =
        check(Upstream::bytes("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!((reply.status, reply.body.as_deref(), &*record), (205, Some(""), "allowed"));
}

/// A cut can look like an end only to the framing, never to the sieve.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_anywhere_is_never_taken_for_complete() {
    for whole in [head_and(BODY, "application/json"), chunked(BODY, 20), until_closed(BODY)] {
        let body_at = whole.find("\r\n\r\n").unwrap() + 4;
        for cut in body_at..whole.len() {
            let (reply, record) = check(Upstream::bytes(&whole.as_bytes()[..cut])).await;
            if reply.status == 502 {
                assert!(record.starts_with("refused "), "{cut}: {record}");
                let reason = reply.reason();
                assert_eq!(record, format!("refused {reason}"));
            } else {
                assert_eq!(reply.body, None, "cut at {cut}: {reply:?}");
                assert!(record.starts_with("aborted "), "{cut}: {record}");
            }
        }
    }
}

/// A small stream of each kind, and what leaves of it.
fn streams() -> [(&'static str, String, String); 3] {
    [
        (
            "application/x-ndjson",
            format!("{BODY}\n\n{BODY}\r\n[7]\n"),
            format!("{SIEVED}\n\n{SIEVED}\r\nnull\n"),
        ),
        (
            "application/geo+json-seq",
            format!("\x1e{BODY}\n\x1e{BODY}\n"),
            format!("\x1e{SIEVED}\n\x1e{SIEVED}\n"),
        ),
        (
            "text/event-stream; charset=utf-8",
            format!(
                "id: 7\nevent: customer\ndata: {BODY}\n\n: CANARY\n\nevent: CANARY\ndata: CANARY\n\n\
                 data:{BODY}\n\ndata: [DONE]\n\n"
            ),
            format!("event: customer\ndata: {SIEVED}\n\n:\n\ndata:{SIEVED}\n\ndata: [DONE]\n\n"),
        ),
    ]
}

fn chunked_as(media: &str, body: &str, size: usize) -> String {
    chunked(body, size).replace("application/json", media)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_sieved_document_by_document() {
    for (media, body, expected) in streams() {
        let closed = until_closed(&body).replace("application/json", media);
        for upstream in [
            Upstream::bytes(head_and(&body, media)),
            Upstream::bytes(chunked_as(media, &body, 1)),
            Upstream::bytes(chunked_as(media, &body, 17)),
            Upstream::bytes(&*closed),
            Upstream::Pieces(closed.bytes().map(|byte| vec![byte]).collect()),
        ] {
            let world = World::new(upstream).await;
            let reply = world.get("/feed", "support", "").await;
            assert_eq!((reply.status, reply.body.as_ref()), (200, Some(&expected)), "{reply:?}");
            assert!(reply.head.contains(&format!("content-type: {media}")), "{reply:?}");
            assert_eq!(world.record().await, "allowed");
        }
        // There may be no document; then it is still a stream of that type.
        for upstream in
            [Upstream::bytes(head_and("", media)), Upstream::bytes(chunked_as(media, "", 1))]
        {
            let world = World::new(upstream).await;
            let reply = world.get("/feed", "support", "").await;
            assert_eq!((reply.status, reply.body.as_deref()), (200, Some("")), "{reply:?}");
            assert!(reply.head.contains(&format!("content-type: {media}")), "{reply:?}");
            assert_eq!(world.record().await, "allowed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_anywhere_is_never_taken_for_complete() {
    for (media, body, expected) in streams() {
        let body = body.replace(BODY, r#"{"id":1,"odd":"CANARY"}"#);
        let expected = expected.replace(SIEVED, r#"{"id":1}"#);
        for at in 0..body.len() {
            let half = body.get(..at).unwrap();
            let chunked = chunked_as(media, half, 7);
            let no_end = chunked.strip_suffix("0\r\n\r\n").unwrap();
            let length = head_and(&body, media).replace(&body, half);
            for upstream in [no_end, &length] {
                let world = World::new(Upstream::bytes(upstream)).await;
                let reply = world.get("/feed", "support", "").await;
                assert!(!reply.raw.contains(WITHHELD), "{at}: {reply:?}");
                assert!(reply.status != 200 || reply.body.is_none(), "{at}: {reply:?}");
                assert!(world.record().await.contains("upstream-protocol"), "{at}");
            }
            // Where only the connection ends it, it is whole if what it holds is.
            let closed = until_closed(half).replace("application/json", media);
            let world = World::new(Upstream::bytes(closed)).await;
            let reply = world.get("/feed", "support", "").await;
            let record = world.record().await;
            assert!(!reply.raw.contains(WITHHELD), "{at}: {reply:?}");
            if let Some(whole) = reply.body.filter(|_| reply.status == 200) {
                assert_eq!(record, "allowed", "{at}");
                assert!(expected.starts_with(&whole), "{at}: {whole:?}");
                let is_whole = match media {
                    "application/x-ndjson" => {
                        matches!(half.trim_end().chars().last(), None | Some('}' | ']'))
                    }
                    "application/geo+json-seq" => half.is_empty() || half.ends_with('\n'),
                    // What has no empty line behind it is no event, and left out.
                    _ => whole.is_empty() || whole.ends_with('\n'),
                };
                assert!(is_whole, "{at}: {half:?}");
            } else {
                assert!(record.ends_with("body-cut"), "{at}: {record}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_document_that_is_none_ends_there() {
    let long = format!("{BODY}\n").repeat(2000);
    for (media, body) in [
        ("application/x-ndjson", format!("{long}CANARY\n{BODY}\n")),
        ("application/x-ndjson", format!("{long}{{\"id\":\n7}}\n{BODY}\n")),
        ("application/json-seq", format!("\x1e{BODY}\n").repeat(1000) + "\x1e{}\x1e{}\n"),
        ("text/event-stream", format!("data: {BODY}\n\n").repeat(1000) + "data: CANARY\n\n"),
    ] {
        let world = World::new(Upstream::bytes(chunked_as(media, &body, 1000))).await;
        let reply = world.get("/feed", "support", "").await;
        assert_eq!((reply.status, &reply.body), (200, &None), "{media}");
        assert!(reply.raw.contains(SIEVED) && !reply.raw.contains(WITHHELD), "{media}");
        assert_eq!(world.record().await, "aborted body-unreadable", "{media}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_asked_for_by_who_asks_for_it() {
    for (accept, goes_on) in [
        ("text/event-stream", "text/event-stream"),
        ("Application/X-NDJSON, */*;q=0.1", "application/x-ndjson, application/json;q=0.1"),
        ("application/json-seq;q=0.5", "application/json-seq;q=0.5"),
        ("text/*;q=0.5", "text/csv;q=0.5"),
        ("image/*", "application/json"),
        ("*/*", "application/json"),
    ] {
        let world = World::new(Upstream::json(BODY)).await;
        let _reply = world.get("/c/7", "support", &format!("Accept: {accept}\r\n")).await;
        let asked = world.asked.lock().unwrap().join("\n").to_ascii_lowercase();
        assert!(asked.contains(&format!("accept: {goes_on}\r\n")), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_refused() {
    let long = format!("{{\"id\": 7, \"tags\": [{}1]", "1, ".repeat(40_000));
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (body, expected) in [
        ("<html>CANARY</html>".to_owned(), "body-unreadable"),
        (BODY.replace("\"iban\":", "iban "), "body-unreadable"),
        (format!("{BODY} x"), "body-unreadable"),
        (format!("{BODY}{BODY}"), "body-unreadable"),
        (String::new(), "body-cut"),
        ("{\"id\": 7".to_owned(), "body-cut"),
        (deep, "body-too-deep"),
        ("{\"id\": 7, \"email\": \"\u{1}CANARY\"}".to_owned(), "body-unreadable"),
        // What has left before cannot be taken back, and is not an end.
        (format!("{long} CANARY"), "body-unreadable"),
        (long, "body-cut"),
    ] {
        for upstream in [
            Upstream::json(&body),
            Upstream::bytes(chunked(&body, 1000)),
            Upstream::bytes(until_closed(&body)),
        ] {
            let (reply, record) = check(upstream).await;
            assert!(record.ends_with(expected), "{record}: {body:.40}");
            if reply.status == 200 {
                assert_eq!(reply.body, None, "{reply:?}");
                assert!(record.starts_with("aborted"), "{record}");
            } else {
                assert_eq!(reply.reason(), expected);
                assert!(record.starts_with("refused"), "{record}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_http_is_refused() {
    let json = "Content-Type: application/json\r\n";
    let length = BODY.len();
    let cases: Vec<(Upstream, &str)> = vec![
        (Upstream::Absent, "upstream-timeout upstream-unreachable"),
        (Upstream::Pieces(vec![]), "upstream-protocol"),
        (Upstream::bytes("nonsense CANARY\r\n\r\n"), "upstream-protocol"),
        (Upstream::Stalls(vec![]), "upstream-timeout"),
        (
            Upstream::Stalls(
                format!("HTTP/1.1 200 OK\r\n{json}Content-Length: {length}\r\n\r\n{{").into(),
            ),
            "upstream-timeout",
        ),
        (Upstream::bytes(head_and("<p>CANARY</p>", "text/html")), "media-not-allowed"),
        (
            Upstream::bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}")),
            "media-not-allowed",
        ),
        (
            Upstream::bytes(format!(
                "HTTP/1.1 200 OK\r\n{json}Content-Encoding: compress\r\nContent-Length: {length}\r\n\r\n{BODY}"
            )),
            "coding-not-supported",
        ),
        (
            Upstream::bytes(format!(
                "HTTP/1.1 206 Partial Content\r\n{json}Content-Length: {length}\r\n\r\n{BODY}"
            )),
            "partial-content",
        ),
        (
            Upstream::bytes(format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{BODY}"
            )),
            "protocol-switch",
        ),
        (
            Upstream::bytes(format!("HTTP/1.1 200 OK\r\n{json}Content-Length: 0\r\n\r\n")),
            "body-cut",
        ),
        (Upstream::H2 { body: "", end: H2End::Head }, "body-cut"),
        (Upstream::H2 { body: BODY, end: H2End::Reset }, "upstream-protocol"),
        (Upstream::H2 { body: "{\"id\": 7, \"secret\": \"CANA", end: H2End::Trailers }, "body-cut"),
        (
            Upstream::bytes(format!(
                "HTTP/1.1 200 OK\r\n{json}Content-Length: 5\r\nContent-Length: {length}\r\n\r\n{BODY}"
            )),
            "upstream-protocol",
        ),
    ];
    for (upstream, expected) in cases {
        let (reply, record) = check(upstream).await;
        let (decision, reason) = record.split_once(' ').unwrap_or((&record, ""));
        assert!(expected.split(' ').any(|word| word == reason), "{expected}: {record}, {reply:?}");
        if reply.status == 200 {
            assert_eq!(reply.body, None, "{reply:?}");
            assert_eq!(decision, "aborted");
        } else {
            assert_eq!(reply.reason(), reason);
            assert_eq!(decision, "refused");
        }
    }
}

/// Fails in the middle of a body.
struct Panics {
    sieve: Box<dyn Sieve>,
    after: usize,
}

impl Sieve for Panics {
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        self.sieve.write(chunk, out)?;
        self.after = self.after.checked_sub(chunk.len()).unwrap_or_else(|| panic!("CANARY"));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        self.sieve.finish(out)
    }

    fn count(&self, tally: &mut Tally) {
        self.sieve.count(tally);
    }

    fn held_bytes(&self) -> usize {
        self.sieve.held_bytes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sieve_that_panics_ends_its_response_and_no_other() {
    let long = format!("[{}7]", "{\"id\":1, \"secret\":\"CANARY\"}, ".repeat(20_000));
    let upstream = Upstream::json(&long);
    let at_once: MakeSieve = |framing, plan, context, limits| {
        let sieve = Box::new(Framed::new(framing, plan, context, limits));
        Box::new(Panics { sieve, after: 0 })
    };
    let later: MakeSieve = |framing, plan, context, limits| {
        let sieve = Box::new(Framed::new(framing, plan, context, limits));
        Box::new(Panics { sieve, after: 100_000 })
    };
    for make_sieve in [at_once, later] {
        let world = World::with(upstream.clone(), POLICY, |_| {}, Some(make_sieve)).await;
        let reply = world.get("/c", "support", "").await;
        assert!(!reply.raw.contains(WITHHELD));
        let record = world.record().await;
        if reply.status == 502 {
            assert_eq!(reply.reason(), "internal");
            assert_eq!(record, "refused internal");
        } else {
            assert_eq!(reply.body, None);
            assert_eq!(record, "aborted internal");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_is_reached_and_asks_no_upstream() {
    let desk = "Api-Key: desk-key\r\n";
    let support = "Data-Purpose: support\r\n";
    let both = format!("{desk}{support}");
    let sent = |method: &str, path: &str, lines: &str| request(method, path, lines);
    let body = format!("{both}Content-Length: 2\r\n");
    let at = |host: &str| sent("GET", "/c/7", &both).replace("Host: crm.test", host);
    let cases = [
        (sent("GET", "/c/7", &both).replace("HTTP/1.1", "HTTP/1.0"), "http-version-not-supported"),
        (sent("GET", "/c/7", &format!("{both}Connection: host\r\n")), "request-unreadable"),
        (
            sent("POST", "/c", &format!("{both}Transfer-Encoding: chunked\r\n")) + "zz\r\n",
            "request-unreadable",
        ),
        (at("X: y"), "host-not-valid"),
        (at("Host: crm.test:x"), "host-not-valid"),
        (at("Host: crm.test:80:80"), "host-not-valid"),
        (at("Host: crm.test.."), "host-not-valid"),
        (at("Host: crm%2etest"), "host-not-valid"),
        (sent("GET", "/open?MAIL=CANARY", &both), "parameter-not-allowed"),
        (sent("GET", "/open?mail[]=CANARY", &both), "parameter-not-allowed"),
        (sent("GET", "/open?ma%00il=CANARY", &both), "parameter-not-allowed"),
        (sent("GET", "/open?ma%2569l=CANARY", &both), "parameter-not-allowed"),
        (sent("GET", "/c/../c/7", &both), "path-not-canonical"),
        (sent("GET", "//c/7", &both), "path-not-canonical"),
        (sent("GET", "/c/%2e%2e", &both), "path-not-canonical"),
        (sent("GET", "/c/a%2fb", &both), "path-not-canonical"),
        (sent("GET", "/c/a%00b", &both), "path-not-canonical"),
        (sent("GET", "/c/\u{e9}", &both), "path-not-canonical"),
        (sent("GET", "/c/7", &format!("{both}{support}")), "header-repeated"),
        (sent("GET", "/c/7", &format!("{both}{desk}")), "header-repeated"),
        (sent("GET", "/c/7", support), "caller-unknown"),
        (sent("GET", "/c/7", &format!("Api-Key: x\r\n{support}")), "caller-unknown"),
        (sent("GET", "/c/7", &format!("Api-Key: stray-key\r\n{support}")), "caller-unknown"),
        (
            sent("GET", "/c/7", &format!("Api-Key: desk-key, lone-key\r\n{support}")),
            "caller-ambiguous",
        ),
        (sent("GET", "/c/7", desk), "purpose-missing"),
        (sent("GET", "/c/7", &format!("{desk}Data-Purpose: fun\r\n")), "purpose-unknown"),
        (sent("GET", "/c/7", &format!("{desk}Data-Purpose: \"support\"\r\n")), "purpose-unknown"),
        (
            sent("GET", "/c/7", &format!("{desk}Data-Purpose: support, billing\r\n")),
            "purpose-unknown",
        ),
        (sent("GET", "/c/7", &format!("{desk}Data-Purpose: \u{e9}\r\n")), "purpose-unknown"),
        (
            sent("GET", "/c/7", "Api-Key: lone-key\r\nData-Purpose: billing\r\n"),
            "purpose-not-allowed",
        ),
        (sent("GET", "/x", &both), "route-unknown"),
        (sent("TRACE", "/c/7", &both), "route-unknown"),
        (sent("OPTIONS", "/c/7", &both), "route-unknown"),
        (sent("GET", "/c/7", &format!("{desk}Data-Purpose: denied\r\n")), "category-denied"),
        (sent("PUT", "/c/7", &format!("{body}\r\n{{}}")), "request-body-not-allowed"),
        (sent("GET", "/c/7", &format!("{body}\r\n{{}}")), "request-body-not-allowed"),
        (
            sent("GET", "/c/7?sort=x", &format!("{both}X-HTTP-Method-Override: DELETE\r\n")),
            "condition-not-allowed",
        ),
        (
            sent("GET", "/c/7", &format!("{both}x-method-override: PUT\r\n")),
            "condition-not-allowed",
        ),
        (
            sent("POST", "/c?sort=x", &format!("{body}X-HTTP-Method: GET\r\n\r\n{{}}")),
            "condition-not-allowed",
        ),
        (
            sent("POST", "/c", &format!("{body}If-Match: \"x\"\r\n\r\n{{}}")),
            "condition-not-allowed",
        ),
        (
            sent("POST", "/c", &format!("{body}Range: bytes=0-1\r\n\r\n{{}}")),
            "condition-not-allowed",
        ),
        (sent("POST", "/c", &format!("{body}If: (x)\r\n\r\n{{}}")), "condition-not-allowed"),
        (sent("GET", "/c/7?sort=email", &both), "parameter-not-allowed"),
        (sent("GET", "/c/7?page=1&page=2", &both), "parameter-not-allowed"),
        (sent("GET", "/c/7?mail=CANARY", &both), "parameter-withheld"),
    ];
    for (request, expected) in cases {
        let world = World::new(Upstream::json(BODY)).await;
        let reply = world.send(&request).await;
        assert_eq!(reply.reason(), expected, "{request}");
        assert_eq!(Reason::from_code(expected).unwrap().status(), reply.status);
        assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        assert_eq!(world.record().await, format!("denied {expected}"));
        // Of a body that turns out wrong, the upstream has seen the head.
        let asked = usize::from(request.ends_with("zz\r\n"));
        assert!(world.asked.lock().unwrap().len() <= asked, "{request}");
        assert_eq!(reply.status == 401, reply.head.contains("www-authenticate: "), "{reply:?}");
    }
    let world = World::with(Upstream::json(BODY), "", |_| {}, None).await;
    let reply = world.get("/c/7", "support", "").await;
    assert_eq!(reply.reason(), "policies-not-loaded");
    assert!(reply.head.contains("retry-after: 1"), "{reply:?}");
    assert_eq!(world.record().await, "denied policies-not-loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_responses_than_allowed_at_a_time_are_turned_away() {
    let upstream = Upstream::Stalls(b"HTTP/1.1 200 OK\r\n".to_vec());
    let change = |settings: &mut Settings| {
        settings.limits.responses_in_flight = 2;
        settings.timeouts.upstream = Duration::from_mins(1);
    };
    let world = World::with(upstream, POLICY, change, None).await;
    let asking = || world.get("/c/7", "support", "");
    let third = async {
        while world.metrics.in_flight() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        asking().await
    };
    let third = tokio::select! {
        _ = asking() => panic!("it waits for the upstream"),
        _ = asking() => panic!("it waits for the upstream"),
        third = third => third,
    };
    assert_eq!(third.reason(), "overloaded");
    assert_eq!(third.status, 503);
}

/// Two of `desk` wait; a third is too much for it, and not for another caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_so_much_in_progress_and_no_more() {
    let upstream = Upstream::Stalls(b"HTTP/1.1 200 OK\r\n".to_vec());
    let change = |settings: &mut Settings| {
        settings.limits.caller_in_flight = Some(2);
        settings.timeouts.upstream = Duration::from_mins(1);
    };
    let world = World::with(upstream, POLICY, change, None).await;
    let asking = || world.get("/c/7", "support", "");
    let third = async {
        while world.asked.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let third = asking().await;
        let lone = world.send(request("GET", "/c/7", "Api-Key: lone-key\r\n"));
        let others = async {
            while world.asked.lock().unwrap().len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = lone => panic!("it waits for the upstream"),
            () = others => {}
        }
        third
    };
    let third = tokio::select! {
        _ = asking() => panic!("it waits for the upstream"),
        _ = asking() => panic!("it waits for the upstream"),
        third = third => third,
    };
    assert_eq!((third.status, third.reason().as_str()), (429, "too-many-requests"));
    assert!(third.head.contains("retry-after: 1"), "{third:?}");
    let series = r#"tamis_requests_total{api="unknown",caller="desk",decision="denied",purpose="unknown",route="unknown"} 1"#;
    assert!(world.metrics.render().contains(series));
    // The two have gone, and have left their places.
    let again = async {
        while world.asked.lock().unwrap().len() < 4 {
            let _stalls = timeout(Duration::from_millis(50), asking()).await;
        }
    };
    timeout(Duration::from_secs(20), again).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_begins_so_many_requests_in_a_second() {
    let change = |settings: &mut Settings| settings.limits.caller_requests_per_second = Some(1);
    let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
    let mut statuses = std::collections::HashSet::new();
    let mut asked = 0;
    // However slow this machine is, it sends two in a second some time.
    while statuses.len() < 2 && asked < 10_000 {
        statuses.insert(world.get("/c/7", "support", "").await.status);
        asked += 1;
    }
    assert_eq!(statuses, [200, 429].into());
    let other = world.send(request("GET", "/c/7", "Api-Key: lone-key\r\n")).await;
    assert_eq!(other.status, 200, "each caller for itself");
}

/// A document is held until filters can be asked; how much is held is one number for all.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_hold_so_much_together_and_no_more() {
    let policy = POLICY.replace(
        "GET /plain: { body: { $: customer }, compress: off }",
        r#"GET /plain: { body: { "$[*].id": public, "$[?@.id == $[0].id].email": contact.email }, buffer: document }"#,
    );
    let body = format!("[{}", "1,".repeat(1 << 20));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    let change = |settings: &mut Settings| {
        settings.limits.held_bytes = 1 << 20;
        settings.timeouts.upstream = Duration::from_mins(1);
    };
    let world =
        World::with(Upstream::Stalls(format!("{head}{body}").into()), &policy, change, None).await;
    let reply = world.get("/plain", "support", "").await;
    assert!(!reply.raw.contains("1,1,"), "nothing of it leaves");
    let record = world.record().await;
    assert!(matches!(record.as_str(), "aborted overloaded" | "refused overloaded"), "{record}");
    assert_eq!(world.metrics.held_bytes(), 0, "nothing is held any more");
    let half = format!("{head}[{}", "1,".repeat(300 << 10));
    let world = World::with(Upstream::Stalls(half.into()), &policy, change, None).await;
    let asking = || world.get("/plain", "support", "");
    let third = async {
        while world.metrics.held_bytes() <= 1 << 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        asking().await
    };
    // Two hold too much together: one of them ends, or who comes then is turned away.
    let ended = tokio::select! {
        one = asking() => one,
        other = asking() => other,
        third = third => third,
    };
    assert!(world.metrics.render().contains(r#"reason="overloaded""#), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_headers_on_the_lists_go_to_the_upstream() {
    let world = World::new(Upstream::json(BODY)).await;
    let lines = "Accept: text/html, application/fhir+json;q=0.9, text/csv, */*;q=0.1\r\n\
                 Accept-Encoding: deflate\r\nRange: bytes=0-1\r\nIf-None-Match: \"x\"\r\nIf-Range: x\r\n\
                 If-Modified-Since: x\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nCookie: a=b\r\n\
                 Authorization: Basic x\r\nX-Original-URL: /admin\r\n\
                 X-Tenant: t1\r\nX-Other: y\r\nTE: trailers\r\nUpgrade: h2c\r\n\
                 Accept-Language: fr\r\nUser-Agent: test\r\n\
                 traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let reply = world.get("/c/7%40x%24?&page=1&&", "support", lines).await;
    assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
    let asked = world.asked.lock().unwrap().join("\n").to_ascii_lowercase();
    let mut lines: Vec<&str> = asked.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "get /c/7%40x%24?&page=1&& http/1.1");
    // The api lists no hosts: that of the client could be any.
    lines.retain(|line| !line.starts_with("host: 127.0.0.1:"));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept-language: fr",
            "accept: application/fhir+json;q=0.9, text/csv, application/json;q=0.1",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "user-agent: test",
            "x-tenant: t1",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_headers_on_the_lists_go_to_the_client() {
    let length = BODY.len();
    let upstream = format!(
        "HTTP/1.1 200 CANARY reason\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         ETag: \"CANARY\"\r\nLast-Modified: CANARY\r\nSet-Cookie: CANARY\r\nLocation: /CANARY\r\n\
         Content-Digest: CANARY\r\nX-Total: 12\r\nX-Other: CANARY\r\nServer: CANARY\r\nLink: CANARY\r\n\
         Cache-Control: public\r\nVary: CANARY\r\nAccept-Ranges: bytes\r\nTamis-Policy: CANARY\r\n\
         Content-Language: fr\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n{BODY}"
    );
    let (reply, _) = check(Upstream::bytes(upstream)).await;
    assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
    let mut lines: Vec<&str> = reply.head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "http/1.1 200 ok");
    lines.retain(|line| !line.starts_with("tamis-policy: ") && !line.starts_with("date: "));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cache-control: no-store",
            "connection: close",
            "content-language: fr",
            "content-type: application/json",
            "data-purpose: support",
            "transfer-encoding: chunked",
            "vary: accept-encoding",
            "x-total: 12",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_body_passes_without_one() {
    for (upstream, status) in [
        ("HTTP/1.1 204 No Content\r\nETag: \"CANARY\"\r\n\r\n", 204),
        ("HTTP/1.1 201 Created\r\nContent-Length: 0\r\nLocation: /CANARY\r\n\r\n", 201),
        ("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 202),
        (
            "HTTP/1.1 302 Found\r\nContent-Type: text/CANARY\r\nContent-Length: 13\r\n\r\n<p>CANARY</p>",
            302,
        ),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404),
        ("HTTP/1.1 103 Early Hints\r\nLink: CANARY\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
    ] {
        let (reply, record) = check(Upstream::bytes(upstream)).await;
        assert_eq!((reply.status, reply.body.as_deref()), (status, Some("")), "{reply:?}");
        assert_eq!(record, "allowed", "{upstream}");
    }
    // A body where none was announced.
    let sneaked = "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\nCANARY";
    let (reply, record) = check(Upstream::bytes(sneaked)).await;
    assert!(record.ends_with("media-not-allowed"), "{record} {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_gets_the_head_and_no_length() {
    let world = World::new(Upstream::bytes(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    )))
    .await;
    let lines = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let reply = world.send(request("HEAD", "/c/7", lines)).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.head.contains("content-length"), "{reply:?}");
    assert_eq!(world.record().await, "allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_it_is_and_no_more() {
    let error = |status: &str, media: &str, body: &str| {
        let length = body.len();
        Upstream::bytes(format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    for media in ["text/html", "application/json", "application/problem+json"] {
        let body = r#"{"type":"urn:CANARY","title":"no CANARY","status":410}"#;
        let (reply, record) = check(error("404 CANARY", media, body)).await;
        let expected = r#"{"type":"about:blank","title":"Not Found","status":404}"#;
        assert_eq!(reply.body.as_deref(), Some(expected));
        assert!(reply.head.contains("content-type: application/problem+json"), "{reply:?}");
        assert_eq!((reply.status, record.as_str()), (404, "allowed"));
    }
    let (reply, record) = check(error("500 Oh", "application/problem+json", "CANARY")).await;
    assert_eq!((reply.status, record.as_str()), (500, "allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_passes_only_by_a_rule() {
    let world = World::new(Upstream::bytes(head_and("a;b\n1;2\n", "text/csv"))).await;
    let reply = world.get("/c", "support", "").await;
    assert_eq!(reply.body.as_deref(), Some("a;b\n1;2\n"), "{reply:?}");
    assert_eq!(world.record().await, "allowed");
    // For another purpose it does not, and on another route neither; the upstream is not asked for it.
    for (path, purpose) in [("/c", "billing"), ("/plain", "support")] {
        let world = World::new(Upstream::bytes(head_and("a;b\n1;2\n", "text/csv"))).await;
        let reply = world.get(path, purpose, "Accept: text/csv\r\n").await;
        assert_eq!(reply.reason(), "media-not-allowed", "{path}");
        assert_eq!(world.record().await, "refused media-not-allowed");
        let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
        assert!(asked.contains("\r\naccept: application/json\r\n"), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_goes_on_where_a_rule_lets_it() {
    let world = World::new(Upstream::json(BODY)).await;
    let lines = "Api-Key: desk-key\r\nData-Purpose: support\r\nContent-Type: application/json\r\n\
                 Expect: 100-continue\r\nContent-Length: 8\r\n";
    let reply = world.send(request("POST", "/c", lines) + "{\"a\": 1}").await;
    assert!(reply.raw.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{reply:?}");
    let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
    assert!(asked.contains("content-type: application/json"), "{asked}");
    assert!(!asked.contains("expect"), "{asked}");
    assert_eq!(world.record().await, "allowed");
}

/// What the client was given counts, whoever it is from; a response that is cut had a status.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_counted_by_the_class_that_the_client_was_given() {
    let answer =
        |status: &str| Upstream::bytes(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    let cut =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"id\":";
    for (upstream, path, status, record, class) in [
        (Upstream::json(BODY), "/c/7", 200, "allowed", "crm GET /c/{id} 2xx"),
        (answer("302 Found"), "/c/7", 302, "allowed", "crm GET /c/{id} 3xx"),
        (answer("404 Not Found"), "/c/7", 404, "allowed", "crm GET /c/{id} 4xx"),
        (answer("500 Oh"), "/c/7", 500, "allowed", "crm GET /c/{id} 5xx"),
        (Upstream::Absent, "/c/7", 502, "refused upstream-unreachable", "crm GET /c/{id} 5xx"),
        (
            Upstream::Stalls(cut.into()),
            "/c/7",
            200,
            "aborted upstream-timeout",
            "crm GET /c/{id} 2xx",
        ),
        (answer("500 Oh"), "/no", 403, "denied route-unknown", "crm unknown 4xx"),
        (answer("500 Oh"), "/c/../7", 400, "denied path-not-canonical", "unknown unknown 4xx"),
    ] {
        for version in VERSIONS {
            let world = World::new(upstream.clone()).await.speaking(version);
            let reply = world.get(path, "support", "").await;
            assert_eq!(
                (reply.status, world.record().await.as_str()),
                (status, record),
                "{reply:?}"
            );
            assert_eq!(world.classes(), [class], "{record}");
        }
    }
}

/// An interim response is no response: one who goes after it was given no status.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_before_its_response_was_given_no_status() {
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let put = format!("{both}Expect: 100-continue\r\nContent-Length: 8\r\n");
    for (request, route, interim) in [
        (request("GET", "/c/7", both), "GET /c/{id}", ""),
        (request("POST", "/c", &put), "POST /c", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let world = World::new(Upstream::Stalls(Vec::new())).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = vec![0; interim.len()];
        stream.read_exact(&mut seen).await.unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), interim);
        while world.asked.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(stream);
        assert_eq!(world.record().await, "aborted");
        assert_eq!(world.classes(), [format!("crm {route} none")]);
    }
}

/// What is ready together leaves together; but what is ready waits for nothing that is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_leaves_before_the_rest_comes() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n";
    let decided = r#"{"id": 7, "email":"anna@example.org","iban":"FR76-CANARY","tags":[1.50,"#;
    for (sent, awaited) in [("", "\r\n\r\n"), (decided, r#""tags":[1.50"#)] {
        let world = World::new(Upstream::Stalls(format!("{head}{sent}").into())).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = request("GET", "/c/7", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(awaited) {
            let mut buffer = [0; 4096];
            let read = timeout(Duration::from_secs(20), stream.read(&mut buffer)).await;
            let read = read.expect("what is decided leaves").unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..read]);
        }
        assert!(!String::from_utf8_lossy(&seen).contains(WITHHELD));
    }
}

/// A response ends with its head where no body leaves, and is on record as that.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_whose_words_come_late_is_allowed() {
    let head = "HTTP/1.1 302 Found\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n";
    for body in ["<p>CANARY</p>", ""] {
        let pieces = [head, body].map(|piece| piece.as_bytes().to_vec()).to_vec();
        let (reply, record) = check(Upstream::Paused(pieces)).await;
        assert_eq!((reply.status, reply.body.as_deref()), (302, Some("")), "{reply:?}");
        assert_eq!(record, "allowed");
    }
}

/// Somebody who connects and says nothing, or too little, holds nothing for ever; short is not too
/// little.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_begin_is_closed() {
    let change = |settings: &mut Settings| settings.timeouts.client = Duration::from_millis(200);
    let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
    for beginning in ["", "P", "PR"] {
        assert_eq!(world.send(beginning).await.raw, "");
    }
    assert_eq!(world.send("GET / HTTP/1.0\r\n\r\n").await.status, 505);
}

/// A client that is still sending gets to the answer, and may go on with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_is_read_to_its_end() {
    let world = World::new(Upstream::json(BODY)).await;
    let sent = "x".repeat(3 << 20);
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let put = format!(
        "PUT /c/7 HTTP/1.1\r\nHost: crm.test\r\n{both}Content-Length: {}\r\n\r\n{sent}",
        sent.len()
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(put.as_bytes()).await.unwrap();
    let mut first = Vec::new();
    while !first.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut first).await.unwrap(), 0, "the connection stays");
    }
    let first = Reply::parse(first);
    assert_eq!((first.status, first.reason().as_str()), (403, "request-body-not-allowed"));
    stream.write_all(request("GET", "/c/7", both).as_bytes()).await.unwrap();
    let mut second = Vec::new();
    stream.read_to_end(&mut second).await.unwrap();
    assert_eq!(Reply::parse(second).body.as_deref(), Some(SIEVED));
    assert_eq!(world.asked.lock().unwrap().len(), 1, "nothing of the body is taken for a request");
}

/// What is wrong behind a head that has gone on is answered, too, and the connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_wrong_is_denied_however_late_it_shows() {
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let change = |settings: &mut Settings| settings.limits.request_body_bytes = 5;
    for (length, body, reason) in [
        ("Transfer-Encoding: chunked", "1\r\nxy\r\n0\r\n\r\n", "request-unreadable"),
        ("Transfer-Encoding: chunked", "1;\n\r\nx\r\n0\r\n\r\n", "request-unreadable"),
        ("Transfer-Encoding: chunked", "6\r\n123456\r\n0\r\n\r\n", "request-body-too-large"),
        ("Content-Length: 6", "", "request-body-too-large"),
    ] {
        let world = World::with(Upstream::Stalls(Vec::new()), POLICY, change, None).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("POST /c HTTP/1.1\r\nHost: crm.test\r\n{both}{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        if !body.is_empty() {
            while world.asked.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stream.write_all(body.as_bytes()).await.unwrap();
        }
        let mut raw = Vec::new();
        if body.is_empty() {
            while !raw.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0);
            }
        } else {
            stream.read_to_end(&mut raw).await.unwrap();
        }
        assert_eq!(Reply::parse(raw).reason(), reason, "{body:?}");
        assert_eq!(world.record().await, format!("denied {reason}"), "{body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_takes_too_long_is_denied() {
    let change = |settings: &mut Settings| settings.timeouts.head = Duration::from_millis(300);
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    // By the first request of a connection, and by a later one.
    for first in ["", &format!("GET /c/7 HTTP/1.1\r\nHost: crm.test\r\n{both}\r\n")] {
        let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        while !first.is_empty() && !raw.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0);
        }
        let (mut from, mut to) = stream.into_split();
        // It never stops for as long as that.
        let slowly = async {
            for byte in "GET /c/7 HTTP/1.1\r\n".bytes().chain(std::iter::repeat(b'x')) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if to.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
        };
        raw.clear();
        tokio::select! {
            () = slowly => {}
            // A reset is an end, too.
            _ended = from.read_to_end(&mut raw) => {}
        }
        assert_eq!(Reply::parse(raw).reason(), "request-timeout", "{first:?}");
    }
}

/// A head may be as large as the settings say, in both protocols.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_denied() {
    let change = |settings: &mut Settings| {
        settings.limits.head_bytes = 1024;
        settings.limits.target_bytes = 64;
    };
    let long = "x".repeat(2000);
    for (path, header, reason) in [
        (format!("/c/7?page={long}"), "", "target-too-long"),
        ("/c/7".to_owned(), &*long, "head-too-large"),
    ] {
        let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
        let reply = world.get(&path, "support", &format!("X-A: {header}\r\n")).await;
        assert_eq!(reply.reason(), reason);
        assert_eq!(world.record().await, format!("denied {reason}"));
        let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
        let stream = TcpStream::connect(world.address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(format!("http://crm.test{path}"))
            .header("api-key", "desk-key")
            .header("data-purpose", "support")
            .header("x-a", header);
        let (response, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), Reason::from_code(reason).unwrap().status());
        assert_eq!(world.record().await, format!("denied {reason}"));
    }
}

/// Whoever is still sending when it is denied gets to the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_why_its_head_is_too_large() {
    let world = World::new(Upstream::json(BODY)).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head =
        format!("GET /c/7 HTTP/1.1\r\nHost: crm.test\r\nX-A: {}\r\n\r\n", "x".repeat(900_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await.unwrap();
    assert_eq!(Reply::parse(raw).reason(), "head-too-large");
}

/// Requests that come together are answered one after the other, whatever they come with.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_answered_in_turn() {
    // A connection that is closed could be taken for the next request, and a POST is not repeated.
    let world = World::new(Upstream::bytes(until_closed(BODY))).await;
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let open = format!("Host: crm.test\r\n{both}");
    let sent = format!(
        "GET /c/7 HTTP/1.1\r\n{open}\r\nPUT /c/7 HTTP/1.1\r\n{open}Content-Length: 5\r\n\r\nGET /\
         GET /c/7 HTTP/1.1\r\n{open}\r\nPOST /c HTTP/1.1\r\n{open}Transfer-Encoding: chunked\r\n\r\n\
         5\r\nGET /\r\n0\r\n\r\n{}",
        request("GET", "/nowhere", both)
    );
    for pause in [0, sent.len() / 2, 3] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (first, second) = sent.as_bytes().split_at(pause);
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(second).await.unwrap();
        let mut raw = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut raw)).await;
        read.expect("the proxy ends the connection").unwrap();
        let raw = String::from_utf8(raw).unwrap();
        let statuses: Vec<&str> =
            raw.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect();
        assert_eq!(statuses, ["200", "403", "200", "200", "403"], "{pause}: {raw}");
        assert!(raw.contains("request-body-not-allowed") && raw.contains("route-unknown"), "{raw}");
    }
}

/// Where a request says its length in two ways, what follows may be the rest of it in the eyes of
/// somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_behind_a_request_with_a_length_beside_chunks() {
    let world = World::new(Upstream::json(BODY)).await;
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let next = format!("GET /c/8 HTTP/1.1\r\nHost: crm.test\r\n{both}\r\n");
    let reply = world
        .send(format!(
            "POST /c HTTP/1.1\r\nHost: crm.test\r\n{both}Content-Length: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}",
            5 + next.len()
        ))
        .await;
    assert_eq!(reply.reason(), "request-unreadable");
    assert_eq!(world.record().await, "denied request-unreadable");
    assert!(world.asked.lock().unwrap().is_empty());
}

/// The client's host goes on where the policies list it, or the settings keep it; else the upstream sees its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_the_clients_making_does_not_go_on() {
    let listed = POLICY.replace("  crm:\n", "  crm:\n    host: [crm.test, www.crm.test]\n");
    assert_ne!(listed, POLICY);
    let keep = |settings: &mut Settings| {
        settings.upstreams.get_mut("crm").unwrap().host = config::HostHeader::Keep;
    };
    for version in VERSIONS {
        for (policy, keeps, expected) in [
            (POLICY, false, None),
            (&*listed, false, Some("crm.test")),
            (&*listed, true, Some("crm.test")),
        ] {
            let change = |settings: &mut Settings| {
                if keeps {
                    keep(settings);
                }
            };
            let world = World::with(Upstream::json(BODY), policy, change, None).await;
            let world = world.speaking(version);
            assert_eq!(world.get("/c/7", "support", "").await.status, 200);
            let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
            let found = asked.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            match expected {
                Some(host) => assert_eq!(found, host),
                None => assert!(found.parse::<SocketAddr>().is_ok(), "{asked}"),
            }
        }
    }
    let mut settings = settings(SocketAddr::from(([127, 0, 0, 1], 1)), false);
    keep(&mut settings);
    for (policy, is_fit) in [(POLICY, false), (&*listed, true)] {
        let source = Source { name: "p.yaml".to_owned(), text: policy.to_owned() };
        let set = load(&[source], &NoKeys).set.unwrap();
        let unmet = super::unmet(&settings, &set);
        let told = unmet.iter().any(|one| one.contains("`crm`") && one.contains("`host: keep`"));
        assert_eq!(told, !is_fit, "{unmet:?}");
    }
}

/// The upstream sees the host that the settings give, whatever the client and whatever the protocols.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_can_stand_for_the_clients() {
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.host = config::HostHeader::Set("crm.internal".to_owned());
    };
    let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
    assert_eq!(get_h2(&world, "support").await.0, 200);
    assert!(world.asked.lock().unwrap()[0].to_ascii_lowercase().contains("host: crm.internal\r\n"));
    let upstream = Upstream::H2 { body: BODY, end: H2End::Stream };
    let world = World::with(upstream, POLICY, change, None).await;
    assert_eq!(get_h2(&world, "support").await.0, 200);
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    let hosts = world.asked.lock().unwrap();
    assert!(hosts.iter().all(|host| host == "crm.internal") && hosts.len() == 2, "{hosts:?}");
}

/// An HTTP/2 client: what it got, and whether the stream ended as it should.
async fn get_h2(world: &World, purpose: &str) -> (u16, Vec<u8>, bool) {
    ask_h2(TcpStream::connect(world.address).await.unwrap(), purpose).await
}

async fn ask_h2<S>(stream: S, purpose: &str) -> (u16, Vec<u8>, bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::get("http://crm.test/c/7")
        .header("api-key", "desk-key")
        .header("data-purpose", purpose)
        .body(())
        .unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let Ok(response) = response.await else { return (0, Vec::new(), false) };
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut got = Vec::new();
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return (status, got, false) };
        got.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(!matches!(body.trailers().await, Ok(Some(_))), "no trailers leave");
    (status, got, true)
}

/// Each piece comes in time, and all of them together do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_takes_too_long_ends() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
    let pieces = std::iter::once(head.into()).chain((0..40).map(|_| b"1,".to_vec())).collect();
    let change =
        |settings: &mut Settings| settings.timeouts.response_age = Duration::from_millis(10);
    let world = World::with(Upstream::Paused(pieces), POLICY, change, None).await;
    let reply = world.get("/c/7", "support", "").await;
    let record = world.record().await;
    if reply.status == 504 {
        assert_eq!(
            (reply.reason().as_str(), record.as_str()),
            ("response-too-old", "refused response-too-old")
        );
    } else {
        assert_eq!((reply.body.as_deref(), record.as_str()), (None, "aborted response-too-old"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_old_takes_no_more_requests() {
    let old = Duration::from_millis(10);
    let change = move |settings: &mut Settings| settings.timeouts.connection_age = old;
    let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"G").await.unwrap();
    tokio::time::sleep(10 * old).await;
    let rest =
        "ET /c/7 HTTP/1.1\r\nHost: crm.test\r\nApi-Key: desk-key\r\nData-Purpose: support\r\n\r\n";
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut raw)).await;
    read.expect("the connection ends long before it has been idle for a minute").unwrap();
    let reply = Reply::parse(raw);
    assert_eq!(reply.body.as_deref(), Some(SIEVED));
    assert!(reply.head.contains("connection: close"), "{reply:?}");

    // One that waits for a request is not cut: a client hears with an answer that it is the last.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let mut raw = Vec::new();
    stream.write_all(format!("G{rest}").as_bytes()).await.unwrap();
    while !raw.ends_with(b"0\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0);
    }
    if !String::from_utf8_lossy(&raw).contains("Connection: close") {
        tokio::time::sleep(10 * old).await;
        raw.clear();
        stream.write_all(format!("G{rest}").as_bytes()).await.unwrap();
    }
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut raw)).await;
    read.expect("its end").unwrap();
    assert!(Reply::parse(raw).head.contains("connection: close"));

    let stream = TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = timeout(Duration::from_secs(20), connection).await;
    assert!(ended.expect("the client is told to go").is_ok(), "in good order");
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_gets_the_same() {
    for end in [H2End::Stream, H2End::Trailers] {
        let world = World::new(Upstream::H2 { body: BODY, end }).await;
        let (status, body, ended) = get_h2(&world, "support").await;
        assert_eq!((status, str::from_utf8(&body).unwrap(), ended), (200, SIEVED, true));
        assert_eq!(world.record().await, "allowed");
    }
    let world = World::new(Upstream::json(BODY)).await;
    let (status, body, ended) = get_h2(&world, "fun").await;
    assert_eq!((status, ended), (403, true));
    assert!(str::from_utf8(&body).unwrap().contains("purpose-unknown"));
    assert_eq!(world.record().await, "denied purpose-unknown");
    // What fails after its head ends with a reset; what fails before, with a problem.
    let long = format!("{{\"id\": 7, \"tags\": [{}1] CANARY", "1, ".repeat(400_000));
    for (body, reason) in [(long.as_str(), "body-unreadable"), ("CANARY", "body-unreadable")] {
        let world = World::new(Upstream::json(body)).await;
        let (status, got, ended) = get_h2(&world, "support").await;
        assert!(!String::from_utf8_lossy(&got).contains(WITHHELD));
        let record = world.record().await;
        assert!(record.ends_with(reason), "{record}");
        assert_eq!(ended, status == 502, "{status} {record}");
        assert_eq!(status, if body.len() > 1_000_000 { 200 } else { 502 }, "the head is seen");
    }
}

/// Where the document is held no byte of it leaves before its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_held_leaves_whole_or_not_at_all() {
    let route = "      GET /held: { body: { \"$.l[?@.k == $.k].email\": contact.email, \"$.l[*].k\": public, $.k: public }, buffer: document }\n      GET /open:";
    let policy = POLICY.replace("      GET /open:", route);
    let body = |pad: usize, end: &str| {
        let pad = "x".repeat(pad);
        format!(
            r#"{{"l":[{{"k":1,"email":"anna@example.org"}},{{"k":2,"email":"CANARY"}}],"p":"{pad}", "k":1{end}"#
        )
    };
    let left = r#"{"l":[{"k":1,"email":"a********"},{"k":2}], "k":1}"#;
    for (body, reason) in [
        (body(0, "}"), ""),
        (body(90_000, "}"), ""),
        (body(90_000, "} x"), "body-unreadable"),
        (body(90_000, ""), "body-cut"),
        (body(100_000, "}"), "body-too-large"),
        (body(300_000, "}"), "body-too-large"),
    ] {
        for upstream in [
            Upstream::json(&body),
            Upstream::bytes(chunked(&body, 1000)),
            Upstream::bytes(until_closed(&body)),
        ] {
            let limit = |settings: &mut Settings| settings.limits.document_bytes = 100_000;
            let world = World::with(upstream, &policy, limit, None).await;
            let reply = world.get("/held", "support", "").await;
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
            let record = world.record().await;
            if reason.is_empty() {
                assert_eq!(record, "allowed", "{body:.40}");
                assert_eq!(reply.body.as_deref(), Some(left), "{reply:?}");
            } else if reply.status == 200 {
                // The head had left before the document was there.
                assert_eq!((reply.body, record), (None, format!("aborted {reason}")));
                assert!(!reply.raw.contains("a********"), "no byte of it leaves");
            } else {
                assert_eq!((&*reply.reason(), record), (reason, format!("refused {reason}")));
            }
        }
    }
}
