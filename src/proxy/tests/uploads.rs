//! Bodies of requests that take too long, and clients that do not wait.

use std::time::Instant;

use super::{upstreams::places, *};

const KEYS: &str = "Api-Key: desk-key\r\nData-Purpose: support\r\n";

/// Bodies may take this long, and may be silent for that long; the upstream has time.
fn patience(whole: Duration, silent: Duration) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.timeouts.request_body = whole;
        settings.timeouts.client = silent;
        settings.timeouts.upstream = Duration::from_mins(1);
    }
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_mins(1);
const MOMENT: Duration = Duration::from_millis(20);

/// The head of a request whose body is sent in chunks.
fn chunked_head() -> String {
    format!("POST /c HTTP/1.1\r\nHost: crm.test\r\n{KEYS}Transfer-Encoding: chunked\r\n\r\n")
}

/// A byte now and then, for as long as anybody takes it; what comes back meanwhile.
async fn dribble(stream: TcpStream, mut raw: Vec<u8>) -> Vec<u8> {
    let (mut from, mut to) = stream.into_split();
    let dribbling = async {
        while to.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(MOMENT).await;
        }
        std::future::pending::<()>().await;
    };
    let all = async {
        tokio::select! {
            () = dribbling => {}
            // A reset is an end, too.
            _ended = from.read_to_end(&mut raw) => {}
        }
    };
    timeout(LONG, all).await.expect("the proxy ends the connection");
    raw
}

/// A request of HTTP/2 whose body is still to come.
async fn begin_h2(world: &World) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://crm.test/c")
        .header("api-key", "desk-key")
        .header("data-purpose", "support");
    let mut client = client.ready().await.unwrap();
    client.send_request(request.body(()).unwrap(), false).unwrap()
}

/// The same byte by byte.
async fn dribble_h2(body: &mut h2::SendStream<Bytes>) {
    while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
        tokio::time::sleep(MOMENT).await;
    }
    std::future::pending::<()>().await;
}

/// A response whose head and half a body have come.
fn half() -> Upstream {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n";
    Upstream::Stalls(format!("{head}{{\"id\":7, ").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_that_takes_too_long_is_denied() {
    let world = World::with(Upstream::Stalls(vec![]), POLICY, patience(SHORT, LONG), None).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(chunked_head().as_bytes()).await.unwrap();
    let reply = Reply::parse(dribble(stream, Vec::new()).await);
    assert_eq!((reply.status, &*reply.reason()), (408, "request-timeout"));
    assert_eq!(world.record().await, "denied request-timeout");

    let world = World::with(Upstream::Stalls(vec![]), POLICY, patience(SHORT, LONG), None).await;
    let (response, mut body) = begin_h2(&world).await;
    let response = tokio::select! {
        () = dribble_h2(&mut body) => panic!("nobody answers"),
        response = timeout(LONG, response) => response.unwrap().unwrap(),
    };
    assert_eq!(response.status(), 408);
    let problem = response.into_body().data().await.unwrap().unwrap();
    assert!(str::from_utf8(&problem).unwrap().contains("urn:tamis:problem:request-timeout"));
    assert_eq!(world.record().await, "denied request-timeout");
}

/// What has begun to leave cannot be taken back, and is not an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_that_takes_too_long_ends_a_response_that_has_begun() {
    let world = World::with(half(), POLICY, patience(SHORT, LONG), None).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(chunked_head().as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    while !raw.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0);
    }
    let reply = Reply::parse(dribble(stream, raw).await);
    assert_eq!((reply.status, &reply.body), (200, &None), "{reply:?}");
    assert_eq!(world.record().await, "aborted request-timeout");

    let world = World::with(half(), POLICY, patience(SHORT, LONG), None).await;
    let (response, mut sends) = begin_h2(&world).await;
    let response = timeout(LONG, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let cut = async {
        while let Some(data) = body.data().await {
            if data.is_err() {
                return true;
            }
        }
        false
    };
    tokio::select! {
        () = dribble_h2(&mut sends) => panic!("it never ends"),
        is_cut = timeout(LONG, cut) => assert!(is_cut.unwrap(), "a reset"),
    }
    assert_eq!(world.record().await, "aborted request-timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_in_its_body_is_denied() {
    let world = World::with(Upstream::Stalls(vec![]), POLICY, patience(LONG, SHORT), None).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all((chunked_head() + "1\r\nx\r\n").as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut raw)).await;
    let _reset = read.expect("the proxy ends the connection");
    let reply = Reply::parse(raw);
    assert_eq!((reply.status, &*reply.reason()), (408, "request-timeout"));
    assert_eq!(world.record().await, "denied request-timeout");
}

/// In HTTP/2 no read has a limit. Nobody who says nothing any more stays for ever, answered or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_that_stops_in_its_body_is_left() {
    // On a machine that is slow enough, the time is over before anything has left.
    let late = (408, "denied request-timeout");
    for (upstream, expected) in [
        (Upstream::Stalls(vec![]), late),
        (half(), (200, "aborted request-timeout")),
        (Upstream::json(BODY), (200, "allowed")),
    ] {
        let world = World::with(upstream, POLICY, patience(SHORT, SHORT), None).await;
        let (response, body) = begin_h2(&world).await;
        let response = timeout(LONG, response).await.expect("an answer").unwrap();
        let (status, record) = (response.status().as_u16(), world.record().await);
        assert!([expected, late].contains(&(status, &record)), "{status} {record}");
        let gone = async {
            while world.metrics.in_flight() > 0 {
                tokio::time::sleep(MOMENT).await;
            }
        };
        timeout(LONG, gone).await.expect("nothing of it is left");
        drop(body);
    }
}

/// Whoever waits for the rest of a request is not slow itself, and whoever has all of it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_waits_for_the_rest_of_a_request_is_not_slow() {
    for (rest, reason) in [("", "request-timeout"), ("0\r\n\r\n", "upstream-timeout")] {
        let change = |settings: &mut Settings| {
            settings.timeouts.request_body = LONG;
            settings.timeouts.client = if rest.is_empty() { 4 * SHORT } else { LONG };
            settings.timeouts.upstream = SHORT;
        };
        let began = Instant::now();
        let world = World::with(Upstream::Stalls(vec![]), POLICY, change, None).await;
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("{}1\r\nx\r\n{rest}", chunked_head());
        stream.write_all(request.as_bytes()).await.unwrap();
        // One of the two ends the connection, and the other keeps it.
        let raw = read_to(&mut stream, b"}").await;
        assert_eq!(Reply::parse(raw).reason(), reason);
        // The client has all of its own time, whatever the upstream has.
        assert!(!rest.is_empty() || began.elapsed() >= 4 * SHORT, "{:?}", began.elapsed());
        let decision = if rest.is_empty() { "denied" } else { "refused" };
        assert_eq!(world.record().await, format!("{decision} {reason}"));
    }
}

/// A proxy whose upstream has so much time, and where that is asked.
async fn listening(patience: Duration) -> (World, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = upstream.local_addr().unwrap();
    let change = |settings: &mut Settings| {
        settings.timeouts.upstream = patience;
        settings.upstreams.get_mut("crm").unwrap().places = places(&format!("address: \"{at}\""));
    };
    (World::with(Upstream::Absent, POLICY, change, None).await, upstream)
}

/// What comes, to an end that looks like this.
async fn read_to(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    while !raw.ends_with(end) {
        let read = timeout(LONG, stream.read_buf(&mut raw)).await.expect("an answer");
        assert_ne!(read.unwrap(), 0, "{}", String::from_utf8_lossy(&raw));
    }
    raw
}

/// A client may take longer between two pieces than the upstream for what it has to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_pieces_come_slowly_is_carried_out() {
    let (world, upstream) = listening(SHORT).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(format!("{}1\r\nx\r\n", chunked_head()).as_bytes()).await.unwrap();
    let (mut asked, _) = upstream.accept().await.unwrap();
    tokio::time::sleep(3 * SHORT).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    read_to(&mut asked, b"0\r\n\r\n").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    let response = format!("{head}{}\r\n\r\n{BODY}", BODY.len());
    asked.write_all(response.as_bytes()).await.unwrap();
    assert_eq!(Reply::parse(read_to(&mut stream, b"0\r\n\r\n").await).status, 200);
    assert_eq!(world.record().await, "allowed");
}

/// An upstream that takes no more of a request has its time once, and not once more for an answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_takes_nothing_is_slow_once() {
    const PATIENCE: Duration = Duration::from_secs(2);
    // It connects, for the system does, and nobody reads.
    let (world, _upstream) = listening(PATIENCE).await;
    let (mut from, mut to) = TcpStream::connect(world.address).await.unwrap().into_split();
    let began = Instant::now();
    let asking = tokio::spawn(async move {
        let length = 8 << 20;
        let head =
            format!("POST /c HTTP/1.1\r\nHost: crm.test\r\n{KEYS}Content-Length: {length}\r\n\r\n");
        // Nobody takes all of it.
        let _cut = to.write_all(&[head.as_bytes(), &vec![b'x'; length]].concat()).await;
        to
    });
    let raw = read_to(&mut from, b"}").await;
    let took = began.elapsed();
    assert_eq!(Reply::parse(raw).reason(), "upstream-timeout");
    assert!(took < PATIENCE * 7 / 4, "{took:?}");
    asking.abort();
}

/// Trailers end a body as its last piece does, and the upstream does not hear of them.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_the_body_of_a_request() {
    let change = |settings: &mut Settings| {
        settings.timeouts.request_body = LONG;
        settings.timeouts.client = LONG;
        settings.timeouts.upstream = SHORT;
    };
    let world = World::with(Upstream::Stalls(vec![]), POLICY, change, None).await;
    let (response, mut body) = begin_h2(&world).await;
    body.send_data(Bytes::from_static(b"{}"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", "CANARY".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    // It has all of the request, so that it is the upstream that is slow.
    let reply = Reply::of_http_2(response).await;
    assert_eq!(reply.reason(), "upstream-timeout");
    assert_eq!(world.record().await, "refused upstream-timeout");
}

/// Only what is to come has a limit: once a body is there, its response may take longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_may_take_longer_than_the_body_of_its_request() {
    let mut whole = Duration::from_millis(100);
    // However slow this machine is, a body of four bytes is there in time some time.
    while whole < LONG {
        let pieces = usize::try_from(whole.as_millis() / 50).unwrap() * 3 + 4;
        let begin = format!("{}{{\"id\":7, \"tags\":[", until_closed(""));
        let mut sent = vec![begin.into_bytes()];
        sent.extend(vec![b"1,".to_vec(); pieces]);
        sent.push(b"1]}".to_vec());
        let change = patience(whole, whole / 2);
        let world = World::with(Upstream::Paused(sent), POLICY, change, None).await;
        let (response, mut body) = begin_h2(&world).await;
        let _gone = body.send_data(Bytes::from_static(b"{  }"), true);
        let Ok(response) = response.await else {
            whole *= 4;
            continue;
        };
        let mut body = response.into_body();
        let mut got = Vec::new();
        while let Some(Ok(data)) = body.data().await {
            got.extend_from_slice(&data);
        }
        if world.record().await == "allowed" {
            assert!(got.ends_with(b"1]}"));
            return;
        }
        whole *= 4;
    }
    panic!("a body that is there is waited for");
}

/// An upstream to which a connection takes as long as anybody waits.
async fn never_connects() -> (World, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("address: \"{}\"", silent.local_addr().unwrap());
    let authority = pki::Authority::new();
    let files = pki::Files::new(&[("ca.pem", &authority.pem())]);
    let ca = Some(files.path("ca.pem"));
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = places(&address);
        upstream.tls =
            Some(config::UpstreamTls { name: Some("crm.test".to_owned()), ca, client: None });
        settings.timeouts.connect = LONG;
    };
    (World::with(Upstream::Absent, POLICY, change, None).await, silent)
}

/// Who goes while the upstream is connected to has not been refused, and nothing of it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_is_heard_while_its_upstream_is_connected_to() {
    let (world, silent) = never_connects().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = format!("GET /c/7 HTTP/1.1\r\nHost: crm.test\r\n{KEYS}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let _connected = timeout(LONG, silent.accept()).await.unwrap().unwrap();
    drop(stream);
    assert_eq!(timeout(LONG / 2, world.record()).await.unwrap(), "aborted");

    let (world, silent) = never_connects().await;
    let (response, mut body) = begin_h2(&world).await;
    let _connected = timeout(LONG, silent.accept()).await.unwrap().unwrap();
    body.send_reset(h2::Reason::CANCEL);
    assert_eq!(timeout(LONG / 2, world.record()).await.unwrap(), "aborted");
    drop(response);
}

/// A client that is told to go knows which of its requests were taken (RFC 9113, section 6.8).
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http_2_that_is_idle_is_told_to_go() {
    let change = |settings: &mut Settings| settings.timeouts.idle = SHORT;
    let world = World::with(Upstream::json(BODY), POLICY, change, None).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    // Told so, and not cut, it ends well, and takes no request any more.
    assert!(timeout(LONG, connection).await.unwrap().unwrap().is_ok());
    assert!(client.ready().await.is_err());
}
