//! Where upstreams are, and how they are reached.

use std::{
    future::poll_fn,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Instant,
};

use tokio::{
    net::{TcpSocket, UnixListener},
    time::sleep,
};

use super::*;
use crate::config::{Health, Places, Protocol};

/// What the settings would make of this for `crm`.
pub(super) fn places(text: &str) -> Places {
    let text = format!(
        "listen: [{{address: 127.0.0.1:0}}]\nupstreams: {{crm: {{{text}, plain: {{because: of a test}}}}}}"
    );
    Settings::parse("test", &text, []).unwrap().upstreams["crm"].places.clone()
}

/// An address where nobody listens, for as long as the socket is there that has it.
fn nowhere() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Puts `crm` somewhere else.
fn at(places: Places) -> impl FnOnce(&mut Settings) {
    move |settings| settings.upstreams.get_mut("crm").unwrap().places = places
}

/// An upstream that answers on a UNIX socket for as long as the folder is there.
fn serve_unix(response: String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0 {}
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_can_listen_on_a_unix_socket() {
    let (folder, path) = serve_unix(head_and(BODY, "application/json"));
    let world = World::with(Upstream::Absent, POLICY, at(Places::Unix(path)), None).await;
    for _ in 0..2 {
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!((reply.status, reply.body.as_deref()), (200, Some(SIEVED)));
    }
    drop(folder);
    let gone = Places::Unix("/nowhere/upstream.sock".into());
    let world = World::with(Upstream::Absent, POLICY, at(gone), None).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-unreachable");
    assert_eq!(world.record().await, "refused upstream-unreachable");
}

/// Whoever could not be connected to has not been asked: the next one is, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_one_that_can_be_reached_is_asked() {
    let (_port, away) = nowhere();
    let asked = Arc::default();
    // No connection is kept that could be found closed.
    let here = serve_upstream(Upstream::bytes(until_closed(BODY)), Arc::clone(&asked)).await;
    for addresses in [[away, here], [here, away]] {
        let several = places(&format!("addresses: [\"{}\", \"{}\"]", addresses[0], addresses[1]));
        let world = World::with(Upstream::Absent, POLICY, at(several), None).await;
        for round in 0..3 {
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(reply.body.as_deref(), Some(SIEVED), "round {round}");
            let post = request(
                "POST",
                "/c",
                "Api-Key: desk-key\r\nData-Purpose: support\r\nContent-Length: 4\r\n",
            );
            let reply = world.send(post + "{  }").await;
            assert_eq!(reply.status, 200, "round {round}: {reply:?}");
        }
    }
    assert_eq!(asked.lock().unwrap().len(), 12);
}

/// `0.0.0.0` leads to this machine, and is no loopback address: as if `localhost` were somewhere else.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_clear_nobody_but_this_machine_is_asked() {
    for (plain, status) in [(None, 502), (Some("of a test".to_owned()), 200)] {
        let asked = Arc::default();
        let here = serve_upstream(Upstream::json(BODY), Arc::clone(&asked)).await;
        let change = |settings: &mut Settings| {
            let upstream = settings.upstreams.get_mut("crm").unwrap();
            upstream.places = places(&format!("address: 0.0.0.0:{}", here.port()));
            upstream.plain = plain;
        };
        let world = World::with(Upstream::Absent, POLICY, change, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!((reply.status, asked.lock().unwrap().is_empty()), (status, status == 502));
        if status == 502 {
            assert_eq!(reply.reason(), "upstream-unreachable");
        }
    }
}

/// An upstream that can be well or not, and counts.
#[derive(Clone, Default)]
struct Counting {
    is_ill: Arc<AtomicBool>,
    /// Requests for anything but its health.
    asked: Arc<AtomicUsize>,
    /// Requests for its health.
    examined: Arc<AtomicUsize>,
}

impl Counting {
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let own = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move {
                    let heads = Mutex::new(Vec::new());
                    read_head(&mut stream, &heads).await;
                    let head = heads.lock().unwrap().pop().unwrap_or_default();
                    let answer = if head.starts_with("GET /healthz HTTP/1.1\r\n") {
                        own.examined.fetch_add(1, Ordering::SeqCst);
                        let is_ill = own.is_ill.load(Ordering::SeqCst);
                        let status = if is_ill { "503 Ill" } else { "204 Well" };
                        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
                    } else {
                        own.asked.fetch_add(1, Ordering::SeqCst);
                        until_closed(BODY)
                    };
                    let _gone = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        address
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

/// Waits until the metric says that of the address.
pub(super) async fn until_healthy(world: &World, address: &str, is_healthy: u8) {
    let line = format!("tamis_upstream_healthy{{address=\"{address}\",api=\"crm\"}} {is_healthy}");
    for _ in 0..2000 {
        if world.metrics.render().lines().any(|it| it == line) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it does not come to {line}: {}", world.metrics.render());
}

pub(super) fn health(path: Option<&str>) -> Health {
    Health { path: path.map(str::to_owned), every: Duration::from_millis(100) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_well_is_left_out_until_it_is() {
    let (one, other) = (Counting::default(), Counting::default());
    let addresses = [one.serve().await, other.serve().await];
    let several = places(&format!("addresses: [\"{}\", \"{}\"]", addresses[0], addresses[1]));
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = several;
        upstream.health = Some(health(Some("/healthz")));
    };
    other.is_ill.store(true, Ordering::SeqCst);
    let world = World::with(Upstream::Absent, POLICY, change, None).await;
    let ask = async |status: u16| {
        for _ in 0..8 {
            assert_eq!(world.get("/c/7", "support", "").await.status, status);
        }
        (one.asked(), other.asked())
    };
    until_healthy(&world, &addresses[1].to_string(), 0).await;
    until_healthy(&world, &addresses[0].to_string(), 1).await;
    assert_eq!(ask(200).await, (8, 0));
    other.is_ill.store(false, Ordering::SeqCst);
    until_healthy(&world, &addresses[1].to_string(), 1).await;
    assert_eq!(ask(200).await, (4, 4), "in turn");
    one.is_ill.store(true, Ordering::SeqCst);
    other.is_ill.store(true, Ordering::SeqCst);
    until_healthy(&world, &addresses[0].to_string(), 0).await;
    until_healthy(&world, &addresses[1].to_string(), 0).await;
    assert_eq!(ask(502).await, (0, 0), "nobody is left");
    assert!(one.examined.load(Ordering::SeqCst) > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_path_a_connection_is_enough() {
    let one = Counting::default();
    let here = one.serve().await;
    let (_port, away) = nowhere();
    let several = places(&format!("addresses: [\"{away}\", \"{here}\"]"));
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = several;
        upstream.health = Some(health(None));
    };
    let world = World::with(Upstream::Absent, POLICY, change, None).await;
    until_healthy(&world, &away.to_string(), 0).await;
    until_healthy(&world, &here.to_string(), 1).await;
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    assert_eq!(one.examined.load(Ordering::SeqCst), 0);
}

/// It is asked how it is in the way in which it is asked for anything else.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_by_the_upstreams_own_protocol() {
    let change = |settings: &mut Settings| {
        settings.upstreams.get_mut("crm").unwrap().health = Some(health(Some("/healthz")));
    };
    let upstream = Upstream::H2 { body: BODY, end: H2End::Stream };
    let world = World::with(upstream, POLICY, change, None).await;
    for _ in 0..2000 {
        if world
            .metrics
            .render()
            .lines()
            .any(|it| it.starts_with("tamis_upstream_healthy{") && it.ends_with(" 1"))
        {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{}", world.metrics.render());
}

/// An upstream that answers the first request of a connection, and closes at the second; or answers only half
/// of it.
async fn closes_at_the_second(half: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                read_head(&mut stream, &heads).await;
                let answer = head_and(BODY, "application/json");
                stream.write_all(answer.as_bytes()).await.unwrap();
                read_head(&mut stream, &heads).await;
                let _gone = stream.write_all(half.as_bytes()).await;
            });
        }
    });
    (address, asked)
}

/// What one method does on a connection that was kept and is closed when it is used again: the status, and
/// how often it was asked.
async fn on_a_closed_connection(
    method: &str,
    path: &str,
    lines: &str,
    half: &'static str,
) -> (u16, usize) {
    let (address, asked) = closes_at_the_second(half).await;
    let at = at(places(&format!("address: \"{address}\"")));
    let world = World::with(Upstream::Absent, POLICY, at, None).await;
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    asked.lock().unwrap().clear();
    let lines = format!("Api-Key: desk-key\r\nData-Purpose: support\r\n{lines}");
    let body = if lines.contains("Content-Length: 4") { "{  }" } else { "" };
    let reply = world.send(request(method, path, &lines) + body).await;
    assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
    let asked = asked.lock().unwrap();
    (reply.status, asked.iter().filter(|head| head.starts_with(method)).count())
}

/// What comes of something in the end. It needs a connection that is kept, and Pingora opens another one where
/// nobody has let go of that yet.
async fn at_last<T, F: Future<Output = T>>(
    mut attempt: impl FnMut() -> F,
    is_it: impl Fn(&T) -> bool,
) -> T {
    let mut outcome = attempt().await;
    for _ in 0..50 {
        if is_it(&outcome) {
            break;
        }
        outcome = attempt().await;
    }
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_done_twice_is_asked_again_where_a_connection_was_closed() {
    for method in ["GET", "HEAD"] {
        let attempt = || on_a_closed_connection(method, "/c/7", "", "");
        assert_eq!(at_last(attempt, |it| *it == (200, 2)).await, (200, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_asked_twice() {
    for lines in ["", "Content-Length: 4\r\n"] {
        let attempt = || async {
            let (status, asked) = on_a_closed_connection("POST", "/c", lines, "").await;
            assert_eq!(asked, 1);
            status
        };
        assert_eq!(at_last(attempt, |status| *status == 502).await, 502);
    }
    // Nor what was answered with a part of a body.
    let begun =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{\"id\":";
    assert_eq!(on_a_closed_connection("GET", "/c/7", "", begun).await.1, 1);
}

/// An upstream that answers what it is asked: `/c/1` with the number 1. The heads of the requests are by
/// connection. With `late`, each but the first finds another answer on its way.
async fn numbers(late: &'static str) -> (SocketAddr, Arc<Mutex<Vec<Vec<String>>>>) {
    let asked: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let all = Arc::clone(&asked);
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            all.lock().unwrap().push(Vec::new());
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let (mut answered, heads) = (0, Mutex::new(Vec::new()));
                loop {
                    read_head(&mut stream, &heads).await;
                    let Some(head) = heads.lock().unwrap().pop() else { return };
                    let number = head.split(' ').nth(1).unwrap().rsplit('/').next().unwrap();
                    let own = head_and(&format!("{{\"id\":{number}}}"), "application/json");
                    all.lock().unwrap()[connection].push(head.to_ascii_lowercase());
                    let late = if answered > 0 { late } else { "" };
                    if stream.write_all(format!("{late}{own}").as_bytes()).await.is_err() {
                        return;
                    }
                    answered += 1;
                }
            });
        }
    });
    (address, asked)
}

/// What three requests, one after the other, are answered with, and the heads by connection.
async fn three_numbers(late: &'static str, keepalive: bool) -> (Vec<String>, Vec<Vec<String>>) {
    let (address, asked) = numbers(late).await;
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = places(&format!("address: \"{address}\""));
        upstream.keepalive = keepalive;
    };
    let world = World::with(Upstream::Absent, POLICY, change, None).await;
    let mut got = Vec::new();
    for number in 1..=3 {
        let reply = world.get(&format!("/c/{number}"), "support", "").await;
        got.push(reply.body.unwrap_or_default());
    }
    let asked = asked.lock().unwrap().clone();
    (got, asked)
}

const LATE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":9}";

/// In HTTP/1.1 nothing says to which request an answer is: who may answer twice is asked once.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_gets_to_nobody_where_no_connection_is_kept() {
    let own = [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#];
    let (got, asked) = three_numbers(LATE, false).await;
    assert_eq!(got, own);
    let heads: Vec<usize> = asked.iter().map(Vec::len).collect();
    assert_eq!(heads, [1, 1, 1], "a connection each");
    for head in asked.iter().flatten() {
        assert_eq!(head.matches("\r\nconnection: close\r\n").count(), 1, "{head}");
    }
    // Where they are kept it is taken for the answer to the next.
    let late = |(got, _): &(Vec<String>, _)| got[1] == r#"{"id":9}"#;
    let (got, _) = at_last(|| three_numbers(LATE, true), late).await;
    assert_eq!(got[..2], [r#"{"id":1}"#, r#"{"id":9}"#]);
    let one = |(_, asked): &(_, Vec<_>)| asked.len() == 1;
    let (got, asked) = at_last(|| three_numbers("", true), one).await;
    assert_eq!(got, own);
    assert_eq!(asked.len(), 1, "a connection for all");
    assert!(asked.iter().flatten().all(|head| !head.contains("connection:")), "{asked:?}");
}

/// Two apis may have one address, and only one of them upstreams that may be asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_another_api_left_is_not_used_where_none_is_kept() {
    let (address, asked) = numbers("").await;
    let change = |settings: &mut Settings| {
        let crm = settings.upstreams.get_mut("crm").unwrap();
        crm.places = places(&format!("address: \"{address}\""));
        let mut shop = crm.clone();
        shop.keepalive = false;
        settings.upstreams.insert("shop".to_owned(), shop);
    };
    let shop = "\n  shop:\n    host: shop.test\n    routes:\n      GET /s/{id}: { params: { id: public }, body: { $: customer } }\nrules:";
    let policy = of_two_apis(&POLICY.replace("\nrules:", shop));
    let world = World::with(Upstream::Absent, &policy, change, None).await;
    for round in 0..3 {
        let reply = world.get("/c/1", "support", "").await;
        assert_eq!(reply.body.as_deref(), Some(r#"{"id":1}"#), "{round}");
        let get = request("GET", "/s/2", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
        let reply = world.send(get.replace("crm.test", "shop.test")).await;
        assert_eq!(reply.body.as_deref(), Some(r#"{"id":2}"#), "{round}");
    }
    let asked = asked.lock().unwrap();
    let paths = |heads: &Vec<String>| {
        heads.iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (shop, crm): (Vec<_>, Vec<_>) =
        asked.iter().map(paths).partition(|paths| paths.contains(&"/s/2".to_owned()));
    assert_eq!(shop, [["/s/2"]; 3]);
    assert_eq!(crm.concat(), ["/c/1"; 3]);
}

/// What an upstream of HTTP/2 hears: for each connection, the targets and the hosts of its requests.
type Heard = Arc<Mutex<Vec<Vec<(String, bool)>>>>;

/// How an upstream of HTTP/2 fails, if it does.
#[derive(Clone, Copy)]
enum Fails {
    Never,
    /// It says nothing on its first connection.
    Silent,
    /// It refuses the second request of its first connection.
    Refuses,
    /// It resets an error behind a part of its body.
    Resets,
}

/// An upstream of HTTP/2 that answers where it does not fail.
async fn streams(fails: Fails) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let all = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let index = all.lock().unwrap().len();
            all.lock().unwrap().push(Vec::new());
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut waiting = Vec::new();
                while let Some(Ok((request, mut answering))) = connection.accept().await {
                    let has_host = request.headers().contains_key("host");
                    all.lock().unwrap()[index].push((request.uri().to_string(), has_host));
                    let nth = all.lock().unwrap()[index].len();
                    match fails {
                        Fails::Silent if index == 0 => {
                            waiting.push(answering);
                            continue;
                        }
                        Fails::Refuses if (index, nth) == (0, 2) => {
                            answering.send_reset(h2::Reason::REFUSED_STREAM);
                            continue;
                        }
                        Fails::Never | Fails::Silent | Fails::Refuses | Fails::Resets => {}
                    }
                    let status = match fails {
                        Fails::Never | Fails::Silent | Fails::Refuses => 200,
                        Fails::Resets => 503,
                    };
                    let json = http::Response::builder().header("content-type", "application/json");
                    let json = json.status(status).body(()).unwrap();
                    let mut body = answering.send_response(json, false).unwrap();
                    let is_cut = status == 503;
                    body.send_data(Bytes::from_static(b"{\"id\": 7}"), !is_cut).unwrap();
                    if is_cut {
                        // Not before the connection has written the rest.
                        tokio::spawn(async move {
                            sleep(Duration::from_millis(2)).await;
                            body.send_reset(h2::Reason::INTERNAL_ERROR);
                        });
                    }
                }
            });
        }
    });
    (address, heard)
}

async fn of_streams(address: SocketAddr, keepalive: bool) -> World {
    let change = move |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = places(&format!("address: \"{address}\""));
        upstream.protocol = Protocol::H2c;
        upstream.keepalive = keepalive;
        settings.timeouts.upstream = Duration::from_millis(300);
    };
    World::with(Upstream::Absent, POLICY, change, None).await
}

/// One connection carries many requests, and each says in its target how it was asked, and whom (RFC 9113, section
/// 8.3.1).
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_http_2_share_a_connection() {
    for (keepalive, connections) in [(true, 1), (false, 3)] {
        let (address, heard) = streams(Fails::Never).await;
        let world = of_streams(address, keepalive).await;
        for _ in 0..3 {
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(reply.body.as_deref(), Some("{\"id\": 7}"));
        }
        let heard = heard.lock().unwrap().clone();
        let target = (format!("http://{address}/c/7"), false);
        assert_eq!(heard, vec![vec![target; 3 / connections]; connections]);
    }
}

/// A connection on which nothing comes may lead to nobody any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http_2_that_is_silent_is_not_asked_again() {
    let (address, heard) = streams(Fails::Silent).await;
    let world = of_streams(address, true).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-timeout");
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    let heard: Vec<usize> = heard.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(heard, [1, 1]);
}

/// It has not been looked at (RFC 9113, section 8.7).
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_an_upstream_of_http_2_refuses_is_asked_again() {
    let (address, heard) = streams(Fails::Refuses).await;
    let world = of_streams(address, true).await;
    for _ in 0..2 {
        assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    }
    let heard: usize = heard.lock().unwrap().iter().map(Vec::len).sum();
    assert_eq!(heard, 3);
}

/// The number of a stream and the type of a frame of HTTP/2, and its payload.
async fn read_frame(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[8], head[3], payload))
}

/// An upstream of HTTP/2 that answers the first request of a connection, and at the second says that the first was its
/// last. How many requests came.
async fn goes_away() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let all = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.unwrap();
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                while let Some((number, kind, _)) = read_frame(&mut stream).await {
                    // HEADERS.
                    if kind != 1 {
                        continue;
                    }
                    all.fetch_add(1, Ordering::Relaxed);
                    if number == 1 {
                        // Status 200 (8), and `content-type` (31), both of the static table.
                        let block = [&[0x88, 0x0f, 0x10, 16], &b"application/json"[..]].concat();
                        let frames = [&[0, 0, 20, 1, 4, 0, 0, 0, 1], &block[..]].concat();
                        stream.write_all(&frames).await.unwrap();
                        let data = [&[0, 0, 9, 0, 1, 0, 0, 0, 1], &b"{\"id\": 7}"[..]].concat();
                        stream.write_all(&data).await.unwrap();
                    } else {
                        let away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
                        stream.write_all(&away).await.unwrap();
                    }
                }
            });
        }
    });
    (address, heard)
}

/// What came behind the last stream of a GOAWAY has not been looked at (RFC 9113, section 6.8).
#[tokio::test(flavor = "multi_thread")]
async fn a_request_behind_the_last_of_a_connection_is_asked_again() {
    let (address, heard) = goes_away().await;
    let world = of_streams(address, true).await;
    for count in [1, 3] {
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!(reply.body.as_deref(), Some("{\"id\": 7}"), "{count}");
        assert_eq!(heard.load(Ordering::Relaxed), count);
    }
}

/// A response that nobody waits for any more is cancelled (RFC 9113, section 8.1), and its connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_client_that_has_gone_is_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reset = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_request, mut answering) = connection.accept().await.unwrap().unwrap();
        let json = http::Response::builder().header("content-type", "application/json");
        let mut body = answering.send_response(json.body(()).unwrap(), false).unwrap();
        body.send_data(Bytes::from_static(b"{\"id\": 7, "), false).unwrap();
        tokio::select! {
            reason = poll_fn(|cx| body.poll_reset(cx)) => reason.unwrap(),
            over = connection.accept() => panic!("{:?}", over.map(|it| it.map(drop))),
        }
    });
    let world = of_streams(address, true).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let asked =
        "GET /c/7 HTTP/1.1\r\nHost: crm.test\r\nApi-Key: desk-key\r\nData-Purpose: support\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut begun = Vec::new();
    while !begun.ends_with(b"7\r\n") {
        assert_ne!(stream.read_buf(&mut begun).await.unwrap(), 0, "{}", begun.escape_ascii());
    }
    drop(stream);
    assert_eq!(reset.await.unwrap(), h2::Reason::CANCEL);
    assert_eq!(world.record().await, "aborted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_cut_is_no_answer() {
    for cut in ["HTTP/1.1 200 OK\r\nContent-Ty", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 2", "H"] {
        let world = World::new(Upstream::bytes(cut)).await;
        assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-protocol", "{cut:?}");
        assert_eq!(world.record().await, "refused upstream-protocol", "{cut:?}");
    }
}

/// An upstream that answers 404 to everything, with a body so long in a packet of its own. How many connections it had.
async fn says_no(bytes: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let all = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            all.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let heads = Mutex::new(Vec::new());
                loop {
                    read_head(&mut stream, &heads).await;
                    if heads.lock().unwrap().pop().is_none() {
                        return;
                    }
                    let head = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {bytes}\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    sleep(Duration::from_millis(5)).await;
                    if stream.write_all(&vec![b'x'; bytes]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, connections)
}

/// The words of an error stay here; its connection need not end for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_error_behind_its_head_costs_no_connection() {
    for (bytes, expected) in [(1000, 1), (60_000, 1), (200_000, 3)] {
        let (address, connections) = says_no(bytes).await;
        let at = at(places(&format!("address: \"{address}\"")));
        let world = World::with(Upstream::Absent, POLICY, at, None).await;
        for _ in 0..3 {
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!((reply.status, reply.raw.contains("xxx")), (404, false), "{reply:?}");
            // It is given back behind the answer.
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(connections.load(Ordering::Relaxed), expected, "{bytes}");
    }
}

/// The words of an error stay here, so that it does not matter how they end.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_passed_on_however_its_body_ends() {
    for rest in [
        "Content-Length: 99\r\n\r\nxxxx",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nxxxx\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Connection: close\r\n\r\nxxxx",
    ] {
        let world =
            World::new(Upstream::bytes(format!("HTTP/1.1 503 N\r\nRetry-After: 7\r\n{rest}")))
                .await;
        for round in 0..20 {
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(reply.status, 503, "{rest:?} {round}: {reply:?}");
            assert!(reply.head.contains("retry-after: 7"), "{reply:?}");
        }
    }
    let (address, _) = streams(Fails::Resets).await;
    let world = of_streams(address, true).await;
    for round in 0..20 {
        assert_eq!(world.get("/c/7", "support", "").await.status, 503, "{round}");
    }
}

/// A connection that cannot be used again is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_of_an_error_whose_connection_ends() {
    for (line, length, keepalive) in
        [("Connection: close\r\n", 99, true), ("", 99, false), ("", 9_999_999, true)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                read_head(&mut stream, &Mutex::default()).await;
                let head = format!("HTTP/1.1 503 N\r\n{line}Content-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                waiting.push(stream);
            }
        });
        let change = move |settings: &mut Settings| {
            let upstream = settings.upstreams.get_mut("crm").unwrap();
            upstream.places = places(&format!("address: \"{address}\""));
            upstream.keepalive = keepalive;
        };
        let world = World::with(Upstream::Absent, POLICY, change, None).await;
        let mut least = Duration::MAX;
        for _ in 0..5 {
            assert_eq!(world.get("/c/7", "support", "").await.status, 503);
            let answered = Instant::now();
            while world.metrics.in_flight() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            least = least.min(answered.elapsed());
        }
        assert!(least < Duration::from_millis(40), "{line:?} {length}: {least:?}");
    }
}

/// Whatever is between two neighbours goes no further (RFC 9110, section 7.6.1).
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_connection_names_go_no_further() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total: 7\r\nConnection: x-total\r\n";
    let response = format!("{head}Content-Length: {}\r\n\r\n{BODY}", BODY.len());
    let world = World::new(Upstream::bytes(response)).await;
    let keys = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let named = format!("{keys}X-Tenant: acme\r\nConnection: X-Tenant\r\n");
    let request = format!("GET /c/7 HTTP/1.1\r\nHost: crm.test\r\n{named}\r\n");
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    while !raw.ends_with(b"0\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0);
    }
    let reply = Reply::parse(raw);
    assert_eq!(reply.body.as_deref(), Some(SIEVED));
    assert!(!reply.head.contains("x-total"), "{reply:?}");
    let asked = world.asked.lock().unwrap().concat().to_ascii_lowercase();
    assert!(!asked.contains("x-tenant"), "{asked}");
}
