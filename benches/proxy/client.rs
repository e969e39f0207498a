//! A client that keeps its connection, sees when the first byte of a body comes, and need not hold the
//! body.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The key by which tamis knows the bench; `tamis.yaml`, as the bench writes it, has its digest.
pub(super) const KEY: &str = "bench-key";

pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response whose body is about to be read.
pub(super) struct Answer {
    pub(super) status: u16,
    /// From the request to the first byte of the body.
    pub(super) first_byte: Duration,
    /// Bytes of the body, or of its first chunk.
    left: usize,
    is_chunked: bool,
}

impl Client {
    pub(super) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::with_capacity(256 << 10, stream) }
    }

    /// Asks, and gives the whole body.
    pub(super) fn get(&mut self, path: &str, purpose: &str) -> (u16, Vec<u8>) {
        let answer = self.ask(path, purpose);
        let (status, mut body) = (answer.status, Vec::new());
        self.read(&answer, &mut |bytes| body.extend_from_slice(bytes));
        (status, body)
    }

    /// Asks, and waits for the first byte of the body, which has to have one.
    pub(super) fn ask(&mut self, path: &str, purpose: &str) -> Answer {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nApi-Key: {KEY}\r\nData-Purpose: {purpose}\r\n\r\n"
        );
        let asked = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = None;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse().unwrap());
            }
        }
        let left = length.unwrap_or_else(|| self.chunk());
        assert!(!self.stream.fill_buf().unwrap().is_empty(), "the body was cut");
        Answer { status, first_byte: asked.elapsed(), left, is_chunked: length.is_none() }
    }

    /// Hands the body on as it comes.
    pub(super) fn read(&mut self, answer: &Answer, sink: &mut dyn FnMut(&[u8])) {
        let mut left = answer.left;
        while left > 0 {
            self.take(left, sink);
            left = 0;
            if answer.is_chunked {
                assert!(self.line().is_empty(), "a chunk ends with its line");
                left = self.chunk();
            }
        }
        if answer.is_chunked {
            assert!(self.line().is_empty(), "nobody here sends trailers");
        }
    }

    /// A line of the head, without its end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the response was cut");
        line.truncate(line.len() - 2);
        line
    }

    /// The size of the next chunk.
    fn chunk(&mut self) -> usize {
        usize::from_str_radix(&self.line(), 16).unwrap()
    }

    fn take(&mut self, mut left: usize, sink: &mut dyn FnMut(&[u8])) {
        while left > 0 {
            let bytes = self.stream.fill_buf().unwrap();
            assert!(!bytes.is_empty(), "the body was cut");
            let some = bytes.len().min(left);
            sink(&bytes[..some]);
            self.stream.consume(some);
            left -= some;
        }
    }
}
