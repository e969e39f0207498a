//! Streams: what is decided leaves at once, and what goes wrong in the middle is seen and on record.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::serve::{PATIENCE, Setup, Tamis, streaming, until};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /feed: { body: { $.id: public, $.secret: secret }, stream: { events: [row], data: [bye] } }
rules: {}
";

/// An upstream that sends the pieces that the test gives it, one chunk each; an empty one ends the body,
/// and no more of them the connection.
fn upstream(media: &'static str) -> (SocketAddr, Sender<String>) {
    let (send, pieces) = channel::<String>();
    let pieces = Mutex::new(pieces);
    let address = streaming(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type";
        stream.write_all(format!("{head}: {media}\r\n\r\n").as_bytes())?;
        for piece in pieces.lock().unwrap().iter() {
            stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())?;
        }
        Ok(false)
    });
    (address, send)
}

fn serve(upstream: SocketAddr, settings: &str) -> Tamis {
    let upstreams = [("crm", upstream, "http1")];
    Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings }.start()
}

/// A client that reads what has come.
struct Client {
    stream: TcpStream,
    raw: Vec<u8>,
}

impl Client {
    fn ask(tamis: &Tamis, media: &str) -> Self {
        let mut stream = TcpStream::connect(tamis.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /feed HTTP/1.1\r\nHost: test\r\nConnection: close\r\nApi-Key: desk-secret\r\nAccept: {media}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        Self { stream, raw: Vec::new() }
    }

    /// Waits until these bytes are the last that have come, but for what ends a chunk.
    fn gets(&mut self, expected: &str) {
        while !self.raw.strip_suffix(b"\r\n").unwrap_or(&self.raw).ends_with(expected.as_bytes()) {
            let mut more = [0; 4096];
            let read = self.stream.read(&mut more).expect("it comes");
            assert!(read > 0, "{expected:?} does not come: {}", String::from_utf8_lossy(&self.raw));
            self.raw.extend_from_slice(&more[..read]);
        }
    }

    /// Reads to the end, and says whether the transfer says that it is complete.
    fn ends(mut self) -> bool {
        // A reset is an end, too.
        let _reset = self.stream.read_to_end(&mut self.raw);
        assert!(!String::from_utf8_lossy(&self.raw).contains("CANARY"));
        self.raw.ends_with(b"\r\n0\r\n\r\n")
    }
}

/// Decision and reason of the only access on record.
fn record(tamis: &Tamis) -> String {
    until("it is on record", || {
        tamis.metric("tamis_responses_in_flight") == 0 && !tamis.access_log().is_empty()
    });
    let log = tamis.access_log();
    assert_eq!((log.len(), tamis.metric("tamis_requests_total{")), (1, 1), "one record");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!("{} {}", word(&log[0]["decision"]), word(&log[0]["reason"]))
}

/// Pieces of a stream, each with what leaves for it.
type Pieces = &'static [(&'static str, &'static str)];

/// Media type, pieces, and what no stream of the type can go on with.
const STREAMS: [(&str, Pieces, &str); 3] = [
    (
        "application/x-ndjson",
        &[
            ("{\"id\":1,\"secret\":\"CANARY\"}\n", "{\"id\":1}\n"),
            // What is decided of a document does not wait for the rest of it.
            ("{\"id\":2,\"se", "{\"id\":2"),
            ("cret\":\"CANARY\"}\n", "}\n"),
        ],
        "CANARY\n",
    ),
    (
        "application/json-seq",
        &[
            ("\x1e{\"id\":1,\"secret\":\"CANARY\"}\n", "\x1e{\"id\":1}\n"),
            ("\x1e{\"id\":2}\n", "\x1e{\"id\":2}\n"),
        ],
        "\x1e{\x1eCANARY\n",
    ),
    (
        "text/event-stream",
        &[
            (": CANARY\n", ":\n"),
            (
                "id: 7\nevent: row\ndata: {\"id\":1,\"secret\":\"CANARY\"}\n\n",
                "\ndata: {\"id\":1}\n\n",
            ),
            ("data: {\"id\":2}\n\n", "data: {\"id\":2}\n\n"),
            ("data: bye\n\n", "data: bye\n\n"),
        ],
        "data: CANARY\n\n",
    ),
];

#[test]
fn what_is_decided_leaves_before_the_rest_has_come() {
    for (media, pieces, _) in STREAMS {
        let (address, send) = upstream(media);
        let tamis = serve(address, "");
        let mut client = Client::ask(&tamis, media);
        for (piece, leaves) in pieces {
            send.send((*piece).to_owned()).unwrap();
            client.gets(leaves);
        }
        send.send(String::new()).unwrap();
        assert!(client.ends(), "{media}");
        assert_eq!(record(&tamis), "allowed -", "{media}");
    }
}

#[test]
fn what_goes_wrong_in_the_middle_is_no_end() {
    for (media, pieces, wrong) in STREAMS {
        let (address, send) = upstream(media);
        let tamis = serve(address, "");
        let mut client = Client::ask(&tamis, media);
        for (piece, leaves) in pieces {
            send.send((*piece).to_owned()).unwrap();
            client.gets(leaves);
        }
        send.send(wrong.to_owned()).unwrap();
        assert!(!client.ends(), "{media}");
        assert_eq!(record(&tamis), "aborted body-unreadable", "{media}");
    }
}

/// A client that only listens, and an upstream that only now and then has something to say: nobody but
/// `timeouts.upstream` is in a hurry.
#[test]
fn a_stream_may_be_silent_for_longer_than_a_client() {
    let (address, send) = upstream("text/event-stream");
    let tamis = serve(address, "timeouts: { client: 200ms, idle: 200ms, upstream: 30s }\n");
    let mut client = Client::ask(&tamis, "text/event-stream");
    for id in ["1", "2"] {
        let event = format!("data: {{\"id\":{id}}}\n\n");
        send.send(event.clone()).unwrap();
        client.gets(&event);
        thread::sleep(Duration::from_millis(1500));
    }
    send.send(String::new()).unwrap();
    assert!(client.ends());
    assert_eq!(record(&tamis), "allowed -");
}

#[test]
fn a_stream_that_is_silent_for_too_long_is_broken_off() {
    let (address, send) = upstream("text/event-stream");
    let tamis = serve(address, "timeouts: { upstream: 500ms }\n");
    let mut client = Client::ask(&tamis, "text/event-stream");
    send.send("data: {\"id\":1}\n\n".to_owned()).unwrap();
    client.gets("data: {\"id\":1}\n\n");
    assert!(!client.ends());
    assert_eq!(record(&tamis), "aborted upstream-timeout");
}
