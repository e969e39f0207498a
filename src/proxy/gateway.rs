//! Where connections come in: through which listener, in which version of HTTP, and what ends them.

use std::{
    future::poll_fn,
    io, iter,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    apps::ServerApp,
    connectors::{ConnectorOptions, TransportConnector},
    protocols::{ALPN, Stream, l4::socket::SocketAddr as LocalAddress},
    server::{ShutdownWatch, configuration::ServerConf},
};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    config::{Listener, Place, Settings},
    metrics::{ConnectionEnd, HandshakeFailure, Metrics},
    proxy::{
        client::{CLOSING, Closing},
        client_stream::ClientStream,
        connections::{Connections, places},
        exchange::Exchange,
        frames::PREFACE,
        shared::Proxy,
        strict::Rules,
        tls::Door,
    },
};

/// Bytes that are read at first: most heads of a request are shorter.
const FIRST_BYTES: usize = 4096;

/// Takes connections of both versions of HTTP.
///
/// Pingora can tell them apart by itself, but waits for the bytes without an end, and for more of them
/// than a short request has.
pub(super) struct Gateway {
    exchange: Arc<Exchange>,
    entrances: Vec<Entrance>,
    /// How long a client may take to begin.
    patience: Duration,
    /// How long a connection takes requests.
    age: Duration,
    /// Turns to true when no connection should take more of them.
    leaving: ShutdownWatch,
    /// Turns to true when those that are left should end where they are.
    cut: ShutdownWatch,
    /// What clients of HTTP/1.1 are held to.
    rules: Rules,
    metrics: Arc<Metrics>,
}

/// A listener, as its connections see it.
struct Entrance {
    listener: Listener,
    /// Where they come in by TLS.
    door: Option<Arc<Door>>,
    connections: Connections,
}

impl Gateway {
    pub(super) fn new(proxy: Proxy, conf: &ServerConf, settings: &Settings) -> Self {
        let timeouts = &settings.timeouts;
        let metrics = Arc::clone(&proxy.shared.observers.metrics);
        let doors = proxy.shared.certificates.doors().iter().cloned().chain(iter::repeat(None));
        let all = settings.limits.connections.map(|most| Arc::new(places(most)));
        let entrances = settings.listen.iter().zip(doors).map(|(listener, door)| {
            let (name, own) = (listener.to_string(), listener.connections);
            let connections = Connections::of(name, own, all.as_ref(), &metrics);
            Entrance { listener: listener.clone(), door, connections }
        });
        let entrances = entrances.collect();
        let leaving = proxy.shared.leaving.subscribe();
        let cut = proxy.shared.cut.subscribe();
        let transport = TransportConnector::new(Some(ConnectorOptions::from_server_conf(conf)));
        Self {
            exchange: Arc::new(Exchange::new(proxy, transport)),
            entrances,
            patience: timeouts.client,
            age: timeouts.connection_age,
            leaving,
            cut,
            rules: Rules::of(settings),
            metrics,
        }
    }

    /// Returns when connections that wait for requests should end.
    async fn is_leaving(&self, shutdown: &ShutdownWatch) {
        tokio::select! {
            () = told(&self.leaving) => {}
            () = told(shutdown) => {}
        }
    }

    /// The listener that took a connection.
    fn entrance(&self, stream: &Stream) -> Option<&Entrance> {
        match self.entrances.as_slice() {
            [only] => Some(only),
            several => {
                let digest = stream.get_socket_digest()?;
                let local = digest.local_addr()?;
                several.iter().find(|entrance| is_behind(&entrance.listener.place, local))
            }
        }
    }

    /// Carries the requests of a connection until it ends; what has ended it.
    async fn carry(
        &self,
        mut stream: Stream,
        entrance: &Entrance,
        shutdown: &ShutdownWatch,
    ) -> ConnectionEnd {
        let (stream, is_http_2) = if let Some(door) = &entrance.door {
            // In a box, for it is large, and most of a connection's life is not a handshake.
            let opened = timeout(self.patience, Box::pin(door.open(stream))).await;
            let stream = match opened.unwrap_or(Err(HandshakeFailure::Timeout)) {
                Ok(stream) => stream,
                Err(failure) => {
                    self.metrics.handshake_failed(failure);
                    return ConnectionEnd::Handshake;
                }
            };
            let is_http_2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
            let rules = (!is_http_2).then_some(self.rules);
            (ClientStream::within(self.patience, stream, rules), is_http_2)
        } else if entrance.listener.tls.is_some() {
            // Where TLS is meant and nothing can be shown, nobody gets in.
            return ConnectionEnd::Handshake;
        } else {
            let mut came = Vec::new();
            let begins = timeout(self.patience, begins_http_2(&mut stream, &mut came)).await;
            let Ok(begins) = begins else { return ConnectionEnd::Silent };
            let stream = begins.and_then(|is_http_2| {
                let rules = (!is_http_2).then_some(self.rules);
                Ok((ClientStream::behind(came, stream, rules)?, is_http_2))
            });
            match stream {
                Ok(stream) => stream,
                Err(_gone) => return ConnectionEnd::Client,
            }
        };
        let is_leaving = *self.leaving.borrow() || *shutdown.borrow();
        let over = if is_leaving { Closing::ShuttingDown } else { Closing::No };
        let (tell, is_told) = watch::channel(over);
        // A task of its own, for a connection's wakes up several times in each request, and would have to ask
        // each time whether it is over.
        let mut served = JoinSet::new();
        let exchange = Arc::clone(&self.exchange);
        // Two tasks, for one of HTTP/1.1 has room for a request, which one of HTTP/2 does not need.
        if is_http_2 {
            served.spawn(async move { exchange.http_2(stream, &is_told).await });
        } else {
            served.spawn(async move { exchange.http_1(stream, &is_told).await });
        }
        tokio::select! {
            ended = served.join_next() => return of_task(ended),
            () = self.is_leaving(shutdown) => {}
            () = sleep(self.age) => {
                tell.send_replace(Closing::Old);
            }
        }
        tokio::select! {
            ended = served.join_next() => return of_task(ended),
            () = self.is_leaving(shutdown) => {}
        }
        tell.send_replace(Closing::ShuttingDown);
        tokio::select! {
            ended = served.join_next() => return of_task(ended),
            () = told(&self.cut) => {}
        }
        // Its exchanges end by themselves now, and their clients hear of it. Going, the set ends it.
        if timeout(CLOSING, served.join_next()).await.is_err() {
            // It ends where it is.
        }
        ConnectionEnd::Shutdown
    }
}

/// What has ended the task of a connection.
fn of_task(ended: Option<Result<ConnectionEnd, JoinError>>) -> ConnectionEnd {
    ended.and_then(Result::ok).unwrap_or(ConnectionEnd::Internal)
}

/// Returns when a watch turns to true. Who could tell is gone only at the end of the process.
async fn told(watch: &ShutdownWatch) {
    let mut watch = watch.clone();
    let _gone = watch.wait_for(|is_told| *is_told).await.map(drop);
}

/// Whether who connects to `local` gets to a listener at this place.
fn is_behind(place: &Place, local: &LocalAddress) -> bool {
    match place {
        Place::Network(address) => local.as_inet().is_some_and(|to| leads_to(*to, *address)),
        Place::Unix { path, .. } => {
            local.as_unix().is_some_and(|to| to.as_pathname() == Some(path))
        }
    }
}

/// The same, on a network. The settings see to it that there is one listener at most.
fn leads_to(to: SocketAddr, listener: SocketAddr) -> bool {
    let (to_ip, listener_ip) = (to.ip().to_canonical(), listener.ip().to_canonical());
    let is_any = match listener.ip() {
        IpAddr::V4(any) => any.is_unspecified() && to_ip.is_ipv4(),
        IpAddr::V6(any) => any.is_unspecified(),
    };
    to.port() == listener.port() && (is_any || to_ip == listener_ip)
}

#[async_trait]
impl ServerApp for Gateway {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        // Where nobody knows how it came in, nothing is answered.
        let entrance = self.entrance(&stream)?;
        let mut connection = entrance.connections.enter()?;
        connection.end = self.carry(stream, entrance, shutdown).await;
        None
    }
}

/// Whether a connection begins as one of HTTP/2 does, all of it: what only looks so at first Pingora
/// would take for HTTP/1.1, and nobody would have read it strictly. No method of HTTP/1.1 that a route
/// can have begins so. What was read for that is in `came`; as long as nothing comes, there is no buffer for it.
async fn begins_http_2(stream: &mut Stream, came: &mut Vec<u8>) -> io::Result<bool> {
    while came.len() < PREFACE.len() && PREFACE.starts_with(came) {
        let read = poll_fn(|cx| {
            let mut piece = [0; FIRST_BYTES];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
            came.extend_from_slice(piece.filled());
            Poll::Ready(io::Result::Ok(piece.filled().len()))
        });
        match read.await? {
            0 if came.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Ok(false),
            _ => {}
        }
    }
    Ok(came.starts_with(PREFACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to: &str, listener: &str, expected: bool) {
        let found = leads_to(to.parse().unwrap(), listener.parse().unwrap());
        assert_eq!(found, expected, "{to} {listener}");
    }

    #[test]
    fn a_connection_leads_to_the_listener_that_took_it() {
        check("10.0.0.7:443", "10.0.0.7:443", true);
        check("10.0.0.7:443", "10.0.0.8:443", false);
        check("10.0.0.7:443", "10.0.0.7:8443", false);
        check("10.0.0.7:443", "0.0.0.0:443", true);
        check("[::1]:443", "0.0.0.0:443", false);
        check("[::1]:443", "[::]:443", true);
        check("[::ffff:10.0.0.7]:443", "[::]:443", true);
        check("[::ffff:10.0.0.7]:443", "10.0.0.7:443", true);
        check("[2001:db8::1]:443", "[::1]:443", false);
    }
}
