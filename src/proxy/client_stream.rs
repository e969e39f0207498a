//! The client's side of a connection: it reads strictly (`strict`), and collects what is ready together.
//!
//! What is written is collected here, and not below, where a buffer would be there for as long as the connection is. Pingora
//! flushes the head of a response without a length, each piece of its body, and its end: several system calls,
//! and a client that wakes up as often. So while a request is carried a flush waits until the connection is read from,
//! which is what the exchange does whenever neither side has anything ready.

use std::{
    fmt,
    future::poll_fn,
    io,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use memchr::memmem;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
    http::ServerSession,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{
    access::Reason,
    proxy::strict::{ReaderState, Rules, Strict},
};

/// How many bytes that leave together are collected; what is longer is written from where it is.
const COLLECTED_BYTES: usize = 16 << 10;

/// Bytes of an upstream that are read at a time: a head, and with it a short body. Pingora reads a head by 4 KiB.
const READ_AHEAD_BYTES: usize = 16 << 10;
/// Where no more than this has come, and not all of it fits where it should go, a head goes there alone, so that the body
/// behind it comes in one piece. A longer one comes in several in any case, and one that is packed must not come in
/// fewer: what a piece may unpack to has a limit.
const SHORT_BYTES: usize = 8 << 10;

/// How long, and for how many bytes, a client whose request was not read to its end may go on: somebody who is still
/// sending when the connection is closed may never see the answer.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
pub(super) const FAREWELL_BYTES: usize = 1 << 20;

/// What those who do not hold a connection say about it: whether its flushes wait, and how far its client may go.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamControl(Arc<ControlState>);

#[derive(Debug, Default)]
struct ControlState {
    holds: AtomicBool,
    /// Nothing has come in time.
    silent: AtomicBool,
    reader: ReaderState,
}

impl StreamControl {
    /// That of this session's connection.
    pub(super) fn of(session: &ServerSession) -> Self {
        let stream =
            session.stream().and_then(|stream| stream.as_any().downcast_ref::<ClientStream>());
        stream.map(|stream| stream.control.clone()).unwrap_or_default()
    }

    /// From here on flushes wait until the connection is read from.
    pub(super) fn hold(&self) {
        self.0.holds.store(true, Ordering::Relaxed);
    }

    /// Flushes are carried out again.
    pub(super) fn release(&self) {
        self.0.holds.store(false, Ordering::Relaxed);
    }

    /// The request has been answered: the next may come.
    pub(super) fn answered(&self) {
        self.0.reader.answered();
    }

    /// Why the request is refused that came last, if it cannot be read.
    pub(super) fn refused(&self) -> Option<Reason> {
        self.0.reader.refused()
    }

    /// Whether nothing has come on the connection for as long as the first byte may take.
    pub(super) fn is_silent(&self) -> bool {
        self.0.silent.load(Ordering::Relaxed)
    }

    /// Whether a byte of a request has come that is not answered.
    pub(super) fn has_begun(&self) -> bool {
        self.0.reader.has_begun()
    }
}

/// A connection whose flushes can wait; never longer than until it is read from or shut down.
pub(super) struct ClientStream {
    stream: Stream,
    control: StreamControl,
    /// What a client of HTTP/1.1 is held to.
    strict: Option<Strict>,
    /// What leaves together, where it is collected.
    collected: Option<Collected>,
    /// Whether a flush was put off.
    is_owed: bool,
    /// Until when the first byte has to be there, as long as it is not.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What was read from an upstream with what was asked for.
    ahead: ReadAhead,
    /// Once our side is closed: until when what the client still says is read, and how much more of it.
    farewell: Option<(Pin<Box<Sleep>>, usize)>,
}

/// What goes through a connection is nobody's to see.
impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").field("control", &self.control).finish_non_exhaustive()
    }
}

impl ClientStream {
    /// Around this stream, of which these bytes have come. Of HTTP/2 there are no rules to hold it to here.
    pub(super) fn behind(
        came: Vec<u8>,
        stream: Stream,
        rules: Option<Rules>,
    ) -> io::Result<Stream> {
        let mut stream = Self::new(stream, rules, None);
        match &mut stream.strict {
            Some(strict) => strict.begin(came, &stream.control.0.reader)?,
            None => stream.ahead = ReadAhead { left: 0..came.len(), bytes: came.into() },
        }
        Ok(Box::new(stream))
    }

    /// Around this stream, whose first byte has to come within this time: Pingora would wait for it. Of
    /// HTTP/2 there are no rules to hold it to here.
    pub(super) fn within(patience: Duration, stream: Stream, rules: Option<Rules>) -> Stream {
        Box::new(Self::new(stream, rules, Some(Box::pin(sleep(patience)))))
    }

    /// Around the stream of an upstream: a head and what comes with it are read together.
    pub(super) fn reading_ahead(stream: Stream) -> Stream {
        let ahead = ReadAhead { bytes: vec![0; READ_AHEAD_BYTES].into(), left: 0..0 };
        Box::new(Self { ahead, collected: None, ..Self::new(stream, None, None) })
    }

    fn new(stream: Stream, rules: Option<Rules>, deadline: Option<Pin<Box<Sleep>>>) -> Self {
        let strict = rules.map(Strict::new);
        Self {
            stream,
            control: StreamControl::default(),
            strict,
            collected: Some(Collected::default()),
            is_owed: false,
            deadline,
            ahead: ReadAhead::default(),
            farewell: None,
        }
    }

    /// Writes what has been collected.
    fn poll_collected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.collected {
            Some(collected) => collected.poll_write(&mut self.stream, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Has everything leave that was written.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_collected(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Reads what a client is still sending of a request that nobody reads, and forgets it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, farewell: Some((until, left)), .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let mut piece = [0; 4096];
        while *left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(piece.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes that leave together. Once they have left, nothing of them is kept.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    /// How many of them have left.
    left: usize,
}

impl Collected {
    /// Writes all of it.
    fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.left..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += written;
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }

    /// Whether there is room for so many bytes beside those that it has.
    fn fits(&self, more: usize) -> bool {
        self.bytes.len() + more <= COLLECTED_BYTES
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(COLLECTED_BYTES);
        }
        self.bytes.extend_from_slice(bytes);
    }
}

/// Bytes that were read before somebody has asked for them.
#[derive(Default)]
struct ReadAhead {
    bytes: Box<[u8]>,
    /// Which of them nobody has taken.
    left: Range<usize>,
}

impl ReadAhead {
    fn poll_read(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            // Where there is room for as much, it is read to where it should go.
            if buf.remaining() >= self.bytes.len() {
                return Pin::new(stream).poll_read(cx, buf);
            }
            let mut came = ReadBuf::new(&mut self.bytes);
            ready!(Pin::new(stream).poll_read(cx, &mut came))?;
            self.left = 0..came.filled().len();
        }
        let left = self.bytes.get(self.left.clone()).unwrap_or_default();
        let fits = left.get(..buf.remaining()).unwrap_or(left);
        let is_alone = fits.len() < left.len() && left.len() <= SHORT_BYTES;
        let end = if is_alone { memmem::find(fits, b"\r\n\r\n") } else { None };
        let taken = end.and_then(|end| fits.get(..end + 4)).unwrap_or(fits);
        buf.put_slice(taken);
        self.left.start += taken.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_owed {
            match self.poll_out(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.is_owed = false;
                }
                // The client takes nothing; what it says is heard all the same.
                Poll::Pending => {}
            }
        }
        let Self { stream, control, strict, deadline, ahead, .. } = &mut *self;
        let read = match strict {
            Some(strict) => strict.poll_read(stream, &control.0.reader, cx, buf),
            None => ahead.poll_read(stream, cx, buf),
        };
        if let Some(strict) = strict {
            control.0.reader.begun(strict.has_begun());
        }
        if read.is_ready() || strict.as_ref().is_some_and(Strict::has_begun) {
            *deadline = None;
        } else if let Some(deadline) = deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            control.0.silent.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let more = pieces.iter().map(|piece| piece.len()).sum();
        if !self.collected.as_ref().is_none_or(|collected| collected.fits(more)) {
            ready!(self.poll_collected(cx))?;
        }
        let Self { stream, collected, .. } = &mut *self;
        match collected {
            Some(collected) if more < COLLECTED_BYTES => {
                for piece in pieces {
                    collected.add(piece);
                }
                Poll::Ready(Ok(more))
            }
            Some(_) | None => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.0.holds.load(Ordering::Relaxed) {
            self.is_owed = true;
            return Poll::Ready(Ok(()));
        }
        let flushed = self.poll_out(cx);
        self.is_owed = flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_collected(cx))?;
        let is_cut = self.strict.as_ref().is_some_and(Strict::is_within);
        if self.control.refused().is_none() && !is_cut {
            return Pin::new(&mut self.stream).poll_shutdown(cx);
        }
        if self.farewell.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.farewell = Some((Box::pin(sleep(FAREWELL)), FAREWELL_BYTES));
        }
        self.poll_rest(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        if poll_fn(|cx| self.poll_collected(cx)).await.is_err() {
            // Whoever should get it has gone.
        }
        self.stream.shutdown().await;
    }
}

#[async_trait]
impl Peek for ClientStream {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buf).await
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for ClientStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.set_socket_digest(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU8;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Takes everything, and counts how often it is flushed, and read from as long as it has something to say.
    #[derive(Debug, Default)]
    struct Counting {
        flushes: Arc<AtomicU8>,
        reads: Arc<AtomicU8>,
        says: Vec<u8>,
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.says.is_empty() {
                self.reads.fetch_add(1, Ordering::Relaxed);
            }
            let said = self.says.len().min(buf.remaining());
            buf.put_slice(&self.says.drain(..said).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[async_trait]
    impl Shutdown for Counting {
        async fn shutdown(&mut self) {}
    }

    impl UniqueID for Counting {
        fn id(&self) -> UniqueIDType {
            0
        }
    }

    impl Ssl for Counting {}
    impl Peek for Counting {}

    impl GetTimingDigest for Counting {
        fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
            Vec::new()
        }
    }

    impl GetProxyDigest for Counting {
        fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
            None
        }
    }

    impl GetSocketDigest for Counting {
        fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
            None
        }
    }

    /// A connection whose flushes wait, and how often that under it was flushed.
    fn stream() -> (Stream, StreamControl, Arc<AtomicU8>) {
        let flushes = Arc::default();
        let settings =
            crate::config::Settings::parse("test", "listen: [{address: 127.0.0.1:1}]", []);
        let rules = Rules::of(&settings.unwrap());
        let counting = Counting { flushes: Arc::clone(&flushes), ..Counting::default() };
        let stream = ClientStream::behind(Vec::new(), Box::new(counting), Some(rules)).unwrap();
        let control = (*stream).as_any().downcast_ref::<ClientStream>().unwrap().control.clone();
        (stream, control, flushes)
    }

    #[tokio::test]
    async fn a_flush_waits_only_while_it_is_held() {
        let (mut stream, control, flushes) = stream();
        control.hold();
        for _ in 0..3 {
            stream.flush().await.unwrap();
            assert_eq!(flushes.load(Ordering::Relaxed), 0);
        }
        control.release();
        for n in 1..4 {
            stream.flush().await.unwrap();
            assert_eq!(flushes.load(Ordering::Relaxed), n);
        }
    }

    #[tokio::test]
    async fn what_was_put_off_leaves_when_the_connection_is_read_from() {
        let (mut stream, control, flushes) = stream();
        control.hold();
        stream.flush().await.unwrap();
        assert_eq!(flushes.load(Ordering::Relaxed), 0);
        for _ in 0..2 {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(flushes.load(Ordering::Relaxed), 1);
        }
    }

    /// However it is asked for, and all of it once.
    #[tokio::test]
    async fn what_comes_together_is_read_together() {
        let says: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for (asked, expected) in [(1, 7), (4096, 7), (READ_AHEAD_BYTES - 1, 7), (64 << 10, 2)] {
            let reads = Arc::default();
            let counting =
                Counting { reads: Arc::clone(&reads), says: says.clone(), ..Counting::default() };
            let mut stream = ClientStream::reading_ahead(Box::new(counting));
            let (mut got, mut piece) = (Vec::new(), vec![0; asked]);
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                got.extend_from_slice(&piece[..read]);
            }
            assert!(got == says, "{asked}");
            assert_eq!(reads.load(Ordering::Relaxed), expected, "{asked}");
        }
    }

    #[tokio::test]
    async fn a_short_body_comes_in_one_piece() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        for (body, first) in [
            (100, head.len() + 100),
            (4096 - head.len(), 4096),
            (4096, head.len()),
            (SHORT_BYTES - head.len(), head.len()),
            (SHORT_BYTES, 4096),
        ] {
            let says = [head, &vec![b'x'; body][..]].concat();
            let counting = Counting { says: says.clone(), ..Counting::default() };
            let mut stream = ClientStream::reading_ahead(Box::new(counting));
            let mut piece = vec![0; 64 << 10];
            assert_eq!(stream.read(&mut piece[..4096]).await.unwrap(), first, "{body}");
            let rest = stream.read(&mut piece[first..]).await.unwrap();
            assert!(piece[..first + rest] == says, "{body}");
        }
    }
}
