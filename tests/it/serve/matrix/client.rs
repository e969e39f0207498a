//! The clients: what came of a request, byte by byte, and what it says when it is unpacked.

use std::{
    io::{self, Read},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::serve::PATIENCE;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: String,
    pub(super) caller: &'a str,
    /// `Accept-Encoding`.
    pub(super) accepts: &'a str,
    /// What its record is found by.
    pub(super) trace: String,
    /// Whether the connection is to end with it.
    pub(super) is_last: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Got {
    /// 0: no answer at all.
    pub(super) status: u16,
    /// Header lines, `name: value`, names in lower case.
    pub(super) head: Vec<String>,
    /// Whether the transfer says that the body is complete.
    pub(super) is_complete: bool,
    /// The body, as far as it came.
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.iter().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
    }

    /// The body without its coding, as far as it can be unpacked, and whether that was all of it.
    pub(super) fn unpacked(&self) -> (Vec<u8>, bool) {
        let mut plain = Vec::new();
        let mut packed = self.body.as_slice();
        let done = match self.header("content-encoding") {
            None => read_all(&mut packed, &mut plain),
            Some("gzip") => read_all(&mut flate2::bufread::GzDecoder::new(&mut packed), &mut plain),
            Some("br") => {
                let done = read_all(&mut brotli::Decompressor::new(packed, 4096), &mut plain);
                packed = &[];
                done
            }
            Some("zstd") => match zstd::stream::read::Decoder::with_buffer(&mut packed) {
                Ok(mut decoder) => read_all(&mut decoder, &mut plain),
                Err(error) => Err(error),
            },
            Some(other) => panic!("nobody asked for {other}"),
        };
        (plain, done.is_ok() && packed.is_empty())
    }
}

/// Bytes that come before an error count, too.
fn read_all(from: &mut impl Read, to: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(to.len()),
            read => to.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A connection, and every byte that came on it.
pub(super) enum Client {
    Http1 { stream: TcpStream, unread: Vec<u8>, seen: Arc<Mutex<Vec<u8>>>, is_open: bool },
    Http2 { send: Option<h2::client::SendRequest<bytes::Bytes>>, seen: Arc<Mutex<Vec<u8>>> },
}

impl Client {
    pub(super) async fn connect(address: SocketAddr, is_http2: bool) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let seen = Arc::default();
        if !is_http2 {
            return Self::Http1 { stream, unread: Vec::new(), seen, is_open: true };
        }
        let taped = Taped { stream, seen: Arc::clone(&seen) };
        let (send, connection) = h2::client::handshake(taped).await.unwrap();
        tokio::spawn(connection);
        Self::Http2 { send: Some(send), seen }
    }

    /// Every byte that came so far.
    pub(super) fn seen(&self) -> Vec<u8> {
        let (Self::Http1 { seen, .. } | Self::Http2 { seen, .. }) = self;
        seen.lock().unwrap().clone()
    }

    /// None if the connection had ended before.
    pub(super) async fn ask(&mut self, ask: &Ask<'_>) -> Option<Got> {
        timeout(PATIENCE, async {
            match self {
                Self::Http1 { is_open: false, .. } | Self::Http2 { send: None, .. } => None,
                Self::Http1 { stream, unread, seen, is_open } => {
                    let got = ask_http1(stream, unread, seen, ask).await;
                    *is_open = got.as_ref().is_some_and(|got| {
                        got.is_complete && got.header("connection") != Some("close")
                    });
                    got
                }
                Self::Http2 { send, .. } => {
                    let ready = send.take()?.ready().await.ok()?;
                    let (got, sender) = ask_http2(ready, ask).await;
                    *send = Some(sender);
                    Some(got)
                }
            }
        })
        .await
        .expect("an answer, or an end")
    }
}

async fn ask_http1(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    seen: &Mutex<Vec<u8>>,
    ask: &Ask<'_>,
) -> Option<Got> {
    let Ask { method, host, path, caller, accepts, trace, is_last } = ask;
    let more = if *is_last { "Connection: close\r\n" } else { "" };
    let (length, body) =
        if *method == "POST" { ("Content-Length: 8\r\n", "{\"a\": 1}") } else { ("", "") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nApi-Key: {caller}-secret\r\nAccept-Encoding: {accepts}\r\n\
         traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n{length}{more}\r\n{body}"
    );
    assert!(unread.is_empty(), "bytes that nobody asked for: {}", String::from_utf8_lossy(unread));
    if stream.write_all(request.as_bytes()).await.is_err() {
        return None;
    }
    let mut wire = Wire { stream, unread, seen };
    let Some(head) = wire.until(b"\r\n\r\n").await else {
        return Some(Got::default()).filter(|_| !wire.unread.is_empty());
    };
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap();
    let status: u16 = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    let lower = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header line");
        format!("{}: {value}", name.to_ascii_lowercase())
    };
    let mut got = Got { status, head: lines.map(lower).collect(), ..Got::default() };
    assert!(status >= 200, "an interim response that nobody asked for: {head}");
    let length = got.header("content-length").map(|length| length.parse::<usize>().unwrap());
    let is_chunked = got.header("transfer-encoding").is_some();
    assert!(!is_chunked || length.is_none(), "two ways to end: {head}");
    if *method == "HEAD" || status == 204 || status == 304 {
        got.is_complete = true;
    } else if is_chunked {
        got.is_complete = wire.chunks(&mut got.body).await;
    } else {
        got.is_complete = wire.exactly(length.expect("a length"), &mut got.body).await;
    }
    if *is_last {
        while wire.more().await {}
        assert!(wire.unread.is_empty(), "bytes behind the last answer");
    }
    Some(got)
}

/// The stream, read as it must be, and no byte more.
struct Wire<'a> {
    stream: &'a mut TcpStream,
    unread: &'a mut Vec<u8>,
    seen: &'a Mutex<Vec<u8>>,
}

impl Wire<'_> {
    /// Whether more came.
    async fn more(&mut self) -> bool {
        let before = self.unread.len();
        // A reset is an end, too.
        let read = self.stream.read_buf(self.unread).await.unwrap_or(0);
        self.seen.lock().unwrap().extend_from_slice(&self.unread[before..]);
        read > 0
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let at = self.unread.windows(end.len()).position(|window| window == end);
            if let Some(at) = at {
                return Some(self.unread.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, mut length: usize, to: &mut Vec<u8>) -> bool {
        loop {
            let taken = length.min(self.unread.len());
            to.extend(self.unread.drain(..taken));
            length -= taken;
            if length == 0 {
                return true;
            }
            if !self.more().await {
                return false;
            }
        }
    }

    async fn chunks(&mut self, to: &mut Vec<u8>) -> bool {
        loop {
            let Some(size) = self.until(b"\r\n").await else { return false };
            let size = str::from_utf8(&size[..size.len() - 2]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            let mut end = Vec::new();
            if !self.exactly(size, to).await || !self.exactly(2, &mut end).await {
                return false;
            }
            assert_eq!(end, b"\r\n");
            if size == 0 {
                return true;
            }
        }
    }
}

async fn ask_http2(
    mut send: h2::client::SendRequest<bytes::Bytes>,
    ask: &Ask<'_>,
) -> (Got, h2::client::SendRequest<bytes::Bytes>) {
    let request = http::Request::builder()
        .method(ask.method)
        .uri(format!("http://{}{}", ask.host, ask.path))
        .header("api-key", format!("{}-secret", ask.caller))
        .header("accept-encoding", ask.accepts)
        .header("traceparent", format!("00-{}-00f067aa0ba902b7-01", ask.trace));
    let has_body = ask.method == "POST";
    let (response, mut sends) = send.send_request(request.body(()).unwrap(), !has_body).unwrap();
    if has_body {
        sends.send_data(bytes::Bytes::from_static(b"{\"a\": 1}"), true).unwrap();
    }
    let Ok(response) = response.await else { return (Got::default(), send) };
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    let head = response.headers().iter().map(line).collect();
    let mut got = Got { status: response.status().as_u16(), head, ..Got::default() };
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return (got, send) };
        got.body.extend_from_slice(&data);
        let _released = body.flow_control().release_capacity(data.len());
    }
    match body.trailers().await {
        Ok(None) => got.is_complete = true,
        Ok(Some(trailers)) => panic!("trailers: {trailers:?}"),
        Err(_) => {}
    }
    (got, send)
}

/// A stream that keeps what came.
struct Taped {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Taped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.seen.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Taped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
