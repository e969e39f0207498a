//! The frames of a connection of HTTP/2 (RFC 9113, section 4.1), read as they go by below the library.
//!
//! Three things are found here that the library does not tell: which streams and connections it ends by an error, when
//! the last frame of a response is with the kernel, and how many frames a client sends that carry nothing of a request.

use std::{
    collections::HashMap,
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use pingora::protocols::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use crate::metrics::{Http2Scope, Metrics};

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length, type, flags and stream of a frame (section 4.1).
const HEAD_BYTES: usize = 9;
/// As much of a payload as is looked at: up to the code of a GOAWAY.
const LOOKED_AT_BYTES: usize = 8;

/// Types of frames (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
/// Flags of DATA and HEADERS.
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;
/// Codes of what ends without an error, and of what ends by one that the client has no part in (section 7).
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;

/// Control frames that a client may send in a second, and all at once.
const CONTROL_FRAMES: u32 = 1000;
/// How many bytes that it is sent give a client another one: it says what it has read (`WINDOW_UPDATE`), and measures how
/// fast it could read (PING).
const BYTES_FOR_A_FRAME: usize = 128;

/// What the frames of a connection have told, for those who do not hold it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Who waits for the last frame of a stream; nobody can once the connection has gone.
    waiting: Mutex<Waiting>,
    /// The client sends more control frames than it may.
    is_flooded: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    streams: HashMap<u32, oneshot::Sender<()>>,
    is_gone: bool,
}

impl Wire {
    /// The last frame of a stream that is about to be sent.
    pub(super) fn last_frame(self: &Arc<Self>, stream: u32) -> LastFrame {
        let (written, is_written) = oneshot::channel();
        self.with(|waiting| {
            if !waiting.is_gone {
                waiting.streams.insert(stream, written);
            }
        });
        LastFrame { wire: Arc::clone(self), stream, is_written }
    }

    /// Returns once the client has sent more control frames than it may. Asked by the task that reads the connection, after
    /// it has read.
    pub(super) async fn flooded(&self) {
        let is_flooded = || self.is_flooded.load(Ordering::Relaxed);
        poll_fn(|_| if is_flooded() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn with<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The last frame of a stream, on its way to the kernel.
pub(super) struct LastFrame {
    wire: Arc<Wire>,
    stream: u32,
    is_written: oneshot::Receiver<()>,
}

impl LastFrame {
    /// Returns when the kernel has it: false if the stream or the connection has gone before.
    pub(super) async fn is_written(&mut self) -> bool {
        (&mut self.is_written).await.is_ok()
    }
}

impl Drop for LastFrame {
    fn drop(&mut self) {
        self.wire.with(|waiting| drop(waiting.streams.remove(&self.stream)));
    }
}

/// A connection of HTTP/2 whose frames are read as they go by.
pub(super) struct Observed {
    stream: Stream,
    read: Reader,
    written: Reader,
    /// Streams whose last frame has been written, and may still wait in a buffer.
    ended: Vec<u32>,
    allowance: Allowance,
    wire: Arc<Wire>,
    metrics: Arc<Metrics>,
}

impl Observed {
    /// Around this stream, on which nothing has been read or written.
    pub(super) fn new(stream: Stream, wire: Arc<Wire>, metrics: Arc<Metrics>) -> Self {
        Self {
            stream,
            read: Reader { skip: PREFACE.len(), ..Reader::default() },
            written: Reader::default(),
            ended: Vec::new(),
            allowance: Allowance::new(),
            wire,
            metrics,
        }
    }

    /// So many bytes of these pieces have been written.
    fn has_written<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>, mut bytes: usize) {
        self.allowance.bytes = self.allowance.bytes.saturating_add(bytes);
        for piece in pieces {
            let (piece, _) = piece.split_at(bytes.min(piece.len()));
            bytes -= piece.len();
            let Self { written, ended, allowance, wire, metrics, .. } = self;
            written.read(piece, |frame| {
                if let Some((scope, code)) = frame.error() {
                    metrics.http_2_failed(scope, code);
                    if is_charged(scope, code) && !allowance.takes_one() {
                        wire.is_flooded.store(true, Ordering::Relaxed);
                    }
                }
                if frame.ends_stream() {
                    ended.push(frame.stream());
                }
            });
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.wire.with(|waiting| {
            waiting.is_gone = true;
            waiting.streams.clear();
        });
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, read, allowance, wire, .. } = &mut *self;
        if wire.is_flooded.load(Ordering::Relaxed) {
            // Nothing more of it is read, and whoever asks next ends the connection.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        read.read(buf.filled().get(before..).unwrap_or_default(), |frame| {
            if frame.is_control() && !allowance.takes_one() {
                wire.is_flooded.store(true, Ordering::Relaxed);
            }
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.has_written([bytes], written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.has_written(pieces.iter().map(|piece| &**piece), written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        let ended = mem::take(&mut self.ended);
        if !ended.is_empty() {
            let waiting = self.wire.with(|waiting| {
                let waiting = ended.iter().filter_map(|stream| waiting.streams.remove(stream));
                waiting.collect::<Vec<_>>()
            });
            for written in waiting {
                if written.send(()).is_err() {
                    // Nobody waits any more.
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether an error that is written counts against its client: a stream of which the client has to be told that it is
/// wrong costs as much as a frame that says nothing. An upstream that fails ends streams, too.
fn is_charged(scope: Http2Scope, code: u32) -> bool {
    scope == Http2Scope::Stream && !matches!(code, INTERNAL_ERROR | CANCEL)
}

/// How many more control frames a client may send.
struct Allowance {
    frames: u32,
    /// When it last got so many.
    since: Instant,
    /// Bytes that it was sent, and that have given it no frame.
    bytes: usize,
}

impl Allowance {
    const EVERY: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Self { frames: CONTROL_FRAMES, since: Instant::now(), bytes: 0 }
    }

    /// Takes one of them, if there is one.
    fn takes_one(&mut self) -> bool {
        if let Some(left) = self.bytes.checked_sub(BYTES_FOR_A_FRAME) {
            self.bytes = left;
            return true;
        }
        if self.frames == 0 && self.since.elapsed() >= Self::EVERY {
            (self.frames, self.since) = (CONTROL_FRAMES, Instant::now());
        }
        let left = self.frames.checked_sub(1);
        self.frames = left.unwrap_or(0);
        left.is_some()
    }
}

/// Finds frames in bytes that come in pieces of any size.
#[derive(Default)]
struct Reader {
    /// Bytes to come that belong to no frame.
    skip: usize,
    frame: Frame,
    /// How many bytes of it have come.
    have: usize,
}

/// The beginning of a frame, with zeros where it is shorter.
#[derive(Clone, Copy, Default)]
struct Frame([u8; HEAD_BYTES + LOOKED_AT_BYTES]);

impl Reader {
    /// Calls `found` with each frame that has come to its end.
    fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        while !bytes.is_empty() {
            let wanted = match self.have {
                0..HEAD_BYTES => HEAD_BYTES,
                _ => HEAD_BYTES + self.frame.payload_bytes(),
            };
            let (now, rest) = bytes.split_at((wanted - self.have).min(bytes.len()));
            let looked_at = self.frame.0.iter_mut().skip(self.have);
            looked_at.zip(now).for_each(|(to, from)| *to = *from);
            self.have += now.len();
            bytes = rest;
            if self.have >= HEAD_BYTES && self.have == HEAD_BYTES + self.frame.payload_bytes() {
                found(mem::take(&mut self.frame));
                self.have = 0;
            }
        }
    }
}

impl Frame {
    fn payload_bytes(&self) -> usize {
        let [high, middle, low, ..] = self.0;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.0;
        kind
    }

    fn has(&self, flag: u8) -> bool {
        let [_, _, _, _, flags, ..] = self.0;
        flags & flag != 0
    }

    fn stream(&self) -> u32 {
        self.number(5) & 0x7fff_ffff
    }

    /// Four bytes of it.
    fn number(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// What it ends by an error, and by which.
    fn error(&self) -> Option<(Http2Scope, u32)> {
        let (scope, code) = match self.kind() {
            RST_STREAM => (Http2Scope::Stream, self.number(HEAD_BYTES)),
            GOAWAY => (Http2Scope::Connection, self.number(HEAD_BYTES + 4)),
            _ => return None,
        };
        (code != NO_ERROR).then_some((scope, code))
    }

    /// Whether nothing comes behind it on its stream.
    fn ends_stream(&self) -> bool {
        matches!(self.kind(), DATA | HEADERS) && self.has(END_STREAM)
    }

    /// Whether it carries nothing of a request: neither a head, nor a byte of a body, nor its end.
    fn is_control(&self) -> bool {
        let [_, _, _, _, _, _, _, _, _, padding, ..] = self.0;
        let padding = if self.has(PADDED) { usize::from(padding) + 1 } else { 0 };
        match self.kind() {
            HEADERS => false,
            DATA => !self.ends_stream() && self.payload_bytes() <= padding,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1], kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn errors_are_found_however_frames_are_cut() {
        let frames = [
            frame(4, 0, &[]),
            frame(3, 0, &[0, 0, 0, 1]),
            // Looks like a reset, and is data.
            frame(0, 0, &frame(3, 0, &[0, 0, 0, 2])),
            frame(7, 0, &[0, 0, 0, 9, 0, 0, 0, 11, b'w', b'h', b'y']),
            frame(3, 0, &[0, 0, 0, 0]),
            frame(7, 0, &[0, 0, 0, 9, 0, 0, 0, 0]),
            frame(1, 0, &[7; 300]),
            // Nobody writes these.
            frame(3, 0, &[0, 0]),
            frame(7, 0, &[]),
            frame(3, 0, &[0, 0, 1, 8]),
        ]
        .concat();
        let expected =
            [(Http2Scope::Stream, 1), (Http2Scope::Connection, 11), (Http2Scope::Stream, 264)];
        for size in 1..=frames.len() {
            let (mut found, mut reader) = (Vec::new(), Reader::default());
            for piece in frames.chunks(size) {
                reader.read(piece, |frame| found.extend(frame.error()));
            }
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn frames_that_carry_nothing_are_told_from_those_that_do() {
        let carries = |kind, flags, payload: &[u8]| {
            let mut found = Vec::new();
            let bytes = [&PREFACE[..], &frame(kind, flags, payload)].concat();
            let mut reader = Reader { skip: PREFACE.len(), ..Reader::default() };
            reader.read(&bytes, |frame| found.push(!frame.is_control()));
            let [carries] = found[..] else { panic!("{found:?}") };
            carries
        };
        assert!(carries(HEADERS, 0, &[1]));
        assert!(carries(DATA, 0, b"x"));
        assert!(carries(DATA, END_STREAM, b""));
        assert!(carries(DATA, PADDED, b"\x01x\0"));
        assert!(!carries(DATA, 0, b""));
        assert!(!carries(DATA, PADDED, b"\x02\0\0"));
        assert!(!carries(DATA, PADDED, b"\0"));
        for control in 2..=16 {
            assert!(!carries(control, END_STREAM, &[0; 8]), "{control}");
        }
    }

    #[test]
    fn a_client_is_charged_for_its_own_errors_alone() {
        let charged = |scope| (0..=14).filter(|code| is_charged(scope, *code)).collect::<Vec<_>>();
        assert_eq!(charged(Http2Scope::Stream), [0, 1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]);
        assert_eq!(charged(Http2Scope::Connection), [0; 0]);
    }

    #[test]
    fn who_is_sent_much_may_say_more() {
        let mut allowance = Allowance::new();
        allowance.bytes = 10 * BYTES_FOR_A_FRAME;
        for _ in 0..10 + CONTROL_FRAMES {
            assert!(allowance.takes_one());
        }
        assert!(!allowance.takes_one());
        allowance.since -= Allowance::EVERY;
        assert!(allowance.takes_one());
    }
}
