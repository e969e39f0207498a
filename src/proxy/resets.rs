//! Counts what this side of a connection of HTTP/2 ends by an error.
//!
//! A request that breaks the protocol is reset by the library before anybody hears of it. But it is reset by a frame
//! (RFC 9113, section 4.1), and these are read here as they are written.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::metrics::{Http2Scope, Metrics};

/// The length, type, flags and stream of a frame (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;
/// Bytes of the payload that end with the error code, by the type of the frame (sections 6.4 and 6.8).
const RST_STREAM: (u8, Http2Scope, usize) = (3, Http2Scope::Stream, 4);
const GOAWAY: (u8, Http2Scope, usize) = (7, Http2Scope::Connection, 8);
/// The code of what ends without an error (section 7).
const NO_ERROR: u32 = 0;

/// A connection of HTTP/2 whose errors are counted.
pub(super) struct CountedResets {
    stream: Stream,
    frames: Frames,
    metrics: Arc<Metrics>,
}

impl CountedResets {
    /// Around this stream, on which nothing has been written.
    pub(super) fn new(stream: Stream, metrics: Arc<Metrics>) -> Self {
        Self { stream, frames: Frames::default(), metrics }
    }

    /// So many bytes of these pieces have been written.
    fn written<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>, mut bytes: usize) {
        for piece in pieces {
            let (written, _) = piece.split_at(bytes.min(piece.len()));
            bytes -= written.len();
            let metrics = &self.metrics;
            self.frames.read(written, |scope, code| metrics.http_2_failed(scope, code));
        }
    }
}

impl AsyncRead for CountedResets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedResets {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.written([bytes], count);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Ok(count)) = written {
            self.written(pieces.iter().map(|piece| &**piece), count);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Finds the errors among frames that come in pieces of any size.
#[derive(Default)]
struct Frames {
    /// What has come of the frame up to its error code, or of its head if it has none.
    begun: [u8; HEAD_BYTES + GOAWAY.2],
    have: usize,
    /// Bytes of the payload that are still to come, once nothing else of the frame matters.
    skip: usize,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Http2Scope, u32)) {
        while !bytes.is_empty() {
            let wanted = if self.skip > 0 { self.skip } else { self.wanted() - self.have };
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.skip > 0 {
                self.skip -= now.len();
                continue;
            }
            let begun = self.begun.iter_mut().skip(self.have);
            begun.zip(now).for_each(|(to, from)| *to = *from);
            self.have += now.len();
            if self.have < self.wanted() {
                continue;
            }
            if let Some((_, scope, _)) = self.ends() {
                let code = self.begun.get(self.have - 4..self.have).and_then(<[u8]>::first_chunk);
                let code = code.map_or(NO_ERROR, |code| u32::from_be_bytes(*code));
                if code != NO_ERROR {
                    found(scope, code);
                }
            }
            self.skip = self.payload_bytes().saturating_sub(self.have - HEAD_BYTES);
            self.have = 0;
        }
    }

    /// As many bytes of the frame as have to be looked at, as far as that is known.
    fn wanted(&self) -> usize {
        if self.have < HEAD_BYTES {
            return HEAD_BYTES;
        }
        HEAD_BYTES + self.ends().map_or(0, |(.., bytes)| bytes)
    }

    /// What the frame ends, whose head has come; none if it ends nothing, or is too short to say why.
    fn ends(&self) -> Option<(u8, Http2Scope, usize)> {
        let [_, _, _, kind, ..] = self.begun;
        let known = [RST_STREAM, GOAWAY].into_iter().find(|(of, ..)| *of == kind);
        known.filter(|(.., bytes)| *bytes <= self.payload_bytes())
    }

    fn payload_bytes(&self) -> usize {
        let [high, middle, low, ..] = self.begun;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1], kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn errors_are_found_however_frames_are_cut() {
        let frames = [
            frame(4, &[]),
            frame(3, &[0, 0, 0, 1]),
            // Looks like a reset, and is data.
            frame(0, &frame(3, &[0, 0, 0, 2])),
            frame(7, &[0, 0, 0, 9, 0, 0, 0, 11, b'w', b'h', b'y']),
            frame(3, &[0, 0, 0, 0]),
            frame(7, &[0, 0, 0, 9, 0, 0, 0, 0]),
            frame(1, &[7; 300]),
            // Nobody writes these.
            frame(3, &[0, 0]),
            frame(7, &[]),
            frame(3, &[0, 0, 1, 8]),
        ]
        .concat();
        let expected =
            [(Http2Scope::Stream, 1), (Http2Scope::Connection, 11), (Http2Scope::Stream, 264)];
        for size in 1..=frames.len() {
            let (mut found, mut reader) = (Vec::new(), Frames::default());
            for piece in frames.chunks(size) {
                reader.read(piece, |scope, code| found.push((scope, code)));
            }
            assert_eq!(found, expected, "{size}");
        }
    }
}
