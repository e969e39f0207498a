//! The upstream, a process of its own: as cheap as can be, and the same for everybody.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tamis::coding::{Coding, Encoder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
    time::sleep,
};

use crate::documents::{Endless, document};

/// How long an array takes to go on behind its first document. Whoever streams has passed that on by
/// then, and its time is not that of a core which is busy with the rest.
const PAUSE: Duration = Duration::from_millis(20);

/// Responses that are ready to be sent.
struct Replies {
    /// Head and body of every size, by path.
    documents: Vec<(String, Vec<u8>)>,
    endless: Endless,
}

/// Serves documents under `/documents/{bytes}` for these sizes, the same as gzip under `/packed/{bytes}`, and arrays of so many blocks under
/// `/streams/{blocks}`, until the process is killed.
pub(super) fn run(port: u16, sizes: &[usize]) {
    let documents = sizes.iter().flat_map(|bytes| {
        let plain = [head(*bytes, "").into_bytes(), document(*bytes)].concat();
        let packed = gzip(&document(*bytes));
        let packed =
            [head(packed.len(), "Content-Encoding: gzip\r\n").into_bytes(), packed].concat();
        [(format!("/documents/{bytes}"), plain), (format!("/packed/{bytes}"), packed)]
    });
    let replies = Arc::new(Replies { documents: documents.collect(), endless: Endless::new() });
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let replies = Arc::clone(&replies);
            tokio::spawn(async move {
                // A proxy may close whenever it likes.
                drop(serve(stream, &replies).await);
            });
        }
    });
}

fn head(bytes: usize, more: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    format!("{head}{more}Content-Length: {bytes}\r\n\r\n")
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Coding::Gzip).unwrap();
    let mut packed = encoder.write(plain.to_vec()).unwrap();
    packed.append(&mut encoder.finish().unwrap());
    packed
}

/// Answers one request after the other; none of them has a body.
async fn serve(mut stream: TcpStream, replies: &Replies) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(4 << 10);
    loop {
        request.clear();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let text = str::from_utf8(&request).unwrap();
        let path = text.split(' ').nth(1).unwrap();
        if let Some((_, reply)) = replies.documents.iter().find(|(known, _)| known == path) {
            stream.write_all(reply).await?;
            continue;
        }
        let blocks = path.strip_prefix("/streams/").unwrap().parse().unwrap();
        let endless = &replies.endless;
        stream.write_all(head(endless.bytes(blocks), "").as_bytes()).await?;
        stream.write_all(&endless.start).await?;
        sleep(PAUSE).await;
        for _ in 0..blocks {
            stream.write_all(&endless.block).await?;
        }
        stream.write_all(Endless::END).await?;
    }
}
