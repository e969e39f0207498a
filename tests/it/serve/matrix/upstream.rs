//! The upstreams: what they do, they do to whoever asks for it by the path, `/BEHAVIOUR/MARK`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::behaviours::{Http2, LONG, Step, document, packed_body, right};
use crate::serve::PATIENCE;

/// What each path does at an upstream of HTTP/1.1.
pub(super) type Table = HashMap<String, fn(&str) -> Vec<Step>>;

/// How many connections there are.
pub(super) type Open = Arc<AtomicUsize>;

/// An upstream of HTTP/1.1. Whatever is not in the table is answered as it should be.
pub(super) async fn http1(table: Table) -> (SocketAddr, Open) {
    let (table, open) = (Arc::new(table), Open::default());
    let counted = Arc::clone(&open);
    let address = listen(move |stream| {
        let (table, open) = (Arc::clone(&table), Arc::clone(&counted));
        open.fetch_add(1, Ordering::Relaxed);
        async move {
            serve(stream, table).await;
            open.fetch_sub(1, Ordering::Relaxed);
        }
    });
    (address.await, open)
}

/// An upstream of HTTP/2 that does this, or what it should for a path that ends in `-right`.
pub(super) async fn http2(does: Http2) -> SocketAddr {
    listen(move |stream| serve_http2(stream, does)).await
}

/// One that says this to whoever connects, and closes.
pub(super) async fn deaf(says: &'static [u8]) -> SocketAddr {
    listen(move |mut stream| async move {
        if stream.write_all(says).await.is_ok() {
            close(stream).await;
        }
    })
    .await
}

async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Behaviour and mark of a path.
fn parts(path: &str) -> (&str, &str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path, ""))
}

async fn serve(mut stream: TcpStream, table: Arc<Table>) {
    let mut read = Vec::new();
    loop {
        let Some(end) = read.windows(4).position(|end| end == b"\r\n\r\n") else {
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
            continue;
        };
        let head = String::from_utf8(read.drain(..end + 4).collect()).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (behaviour, mark) = parts(path);
        let steps = table.get(behaviour).map_or_else(|| right(mark), |steps| steps(mark));
        for step in steps {
            if !take(&mut stream, step).await {
                return;
            }
        }
    }
}

/// Whether the connection goes on.
async fn take(stream: &mut TcpStream, step: Step) -> bool {
    match step {
        Step::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
        Step::Dribble(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            true
        }
        Step::Pause(time) => {
            sleep(time).await;
            true
        }
        Step::Hang => {
            drain(stream).await;
            false
        }
        Step::Close => {
            if stream.shutdown().await.is_ok() {
                drain(stream).await;
            }
            false
        }
        Step::Reset => {
            SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
            false
        }
    }
}

/// Reads what is left, so that closing is no reset.
async fn drain(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while matches!(tokio::time::timeout(PATIENCE, stream.read(&mut rest)).await, Ok(Ok(1..))) {}
}

async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        drain(&mut stream).await;
    }
}

async fn serve_http2(stream: TcpStream, does: Http2) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    // What ends the connection, or stands still, is told here.
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Http2>();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                tokio::spawn(answer_http2(request, respond, does, tell.clone()));
            }
            Some(end) = told.recv() => {
                if end == Http2::ClosesInTheMiddle {
                    return;
                }
                connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR);
            }
        }
    }
}

async fn answer_http2(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    does: Http2,
    tell: tokio::sync::mpsc::UnboundedSender<Http2>,
) {
    let (behaviour, mark) = parts(request.uri().path());
    let does = if behaviour.ends_with("-right") { Http2::Whole } else { does };
    if does == Http2::ResetAtOnce {
        return respond.send_reset(h2::Reason::INTERNAL_ERROR);
    }
    if does == Http2::NeverAnswers {
        return std::future::pending().await;
    }
    if does == Http2::Interim {
        let hints = http::Response::builder().status(103).header("link", "</CANARY>");
        if respond.send_informational(hints.body(()).unwrap()).is_err() {
            return;
        }
    }
    let is_long = matches!(
        does,
        Http2::ResetInTheMiddle
            | Http2::StopsInTheMiddle
            | Http2::GoAwayInTheMiddle
            | Http2::ClosesInTheMiddle
    );
    let mut body = document(mark, if is_long { LONG } else { 0 }).into_bytes();
    let mut head = http::Response::builder().header("content-type", "application/json");
    if does == Http2::Packed {
        body = packed_body(mark);
        head = head.header("content-encoding", "gzip");
    } else if is_long || matches!(does, Http2::CutAndEnded | Http2::CutAndTrailers) {
        body.truncate(body.len() - 40);
    } else if does == Http2::LengthTooLong {
        head = head.header("content-length", body.len() + 1);
    } else if does == Http2::LengthTooShort {
        head = head.header("content-length", body.len() - 1);
    } else if does == Http2::BodyOf204 {
        head = head.status(204);
    }
    let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), does == Http2::HeadEnds)
    else {
        return;
    };
    if does == Http2::HeadEnds {
        return;
    }
    let ends = matches!(
        does,
        Http2::Whole
            | Http2::Packed
            | Http2::Interim
            | Http2::LengthTooLong
            | Http2::LengthTooShort
            | Http2::BodyOf204
            | Http2::CutAndEnded
    );
    if !send_http2(&mut stream, body, ends).await {
        return;
    }
    if matches!(does, Http2::Trailers | Http2::CutAndTrailers) {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailer", "CANARY".parse().unwrap());
        // Whoever is not there any more does not hear of it.
        let _sent = stream.send_trailers(trailers);
    } else if does == Http2::ResetInTheMiddle {
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
    } else if does == Http2::StopsInTheMiddle {
        stream.send_reset(h2::Reason::NO_ERROR);
    } else if is_long {
        let _told = tell.send(does);
    } else if does == Http2::NeverEnds {
        std::future::pending::<()>().await;
    }
}

/// As much at a time as the other side takes.
async fn send_http2(stream: &mut h2::SendStream<Bytes>, body: Vec<u8>, ends: bool) -> bool {
    let mut body = Bytes::from(body);
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(Ok(capacity)) = capacity else { return false };
        let piece = body.split_to(capacity.min(body.len()));
        let is_last = ends && body.is_empty();
        if stream.send_data(piece, is_last).is_err() {
            return false;
        }
    }
    true
}
