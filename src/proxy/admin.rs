//! What operations see: metrics, where unclassified data was withheld, and whether this process lives and should be asked.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use http::{Method, Response, StatusCode, Version, header};
use pingora::{
    apps::ServerApp,
    protocols::{Stream, http::ServerSession},
    server::ShutdownWatch,
};
use tokio::time::{Instant, timeout};

use crate::{
    config::Timeouts,
    metrics::ConnectionEnd,
    proxy::{client::close, connections::Connections, shared::Shared},
};

/// The admin listener's application: it never asks an upstream, and knows nobody's data.
pub(super) struct Admin {
    shared: Arc<Shared>,
    connections: Connections,
}

/// Connections that are open at the same time; more are closed at once.
const CONNECTIONS_MAX: usize = 64;

impl Admin {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (most, metrics) = (Some(CONNECTIONS_MAX), &shared.observers.metrics);
        let connections = Connections::of("admin".to_owned(), most, None, metrics);
        Self { shared, connections }
    }

    /// Answers the requests of a connection of HTTP/1.1, one after the other, until it ends; what has ended it. Whoever is
    /// slow is not waited for: a head, and the reading of an answer, may take as long as a client may for its next step.
    async fn carry(&self, stream: Stream, shutdown: &ShutdownWatch) -> ConnectionEnd {
        let Timeouts { client, idle, connection_age, .. } = self.shared.settings.timeouts;
        let old = Instant::now() + connection_age;
        let (mut next, mut patience) = (Some(stream), client);
        let mut is_kept = false;
        while let Some(stream) = next.take() {
            let mut session = Box::new(ServerSession::new_http1(stream));
            session.set_total_drain_timeout(Some(client));
            // As long as the client likes it: how long that is, is said here.
            session.set_keepalive(Some(0));
            let read = timeout(patience, session.read_request()).await;
            if !matches!(read, Ok(Ok(true))) {
                close(session).await;
                return match read {
                    Err(_elapsed) if is_kept => ConnectionEnd::Idle,
                    Err(_elapsed) => ConnectionEnd::Silent,
                    Ok(_) => ConnectionEnd::Client,
                };
            }
            // Of HTTP/1.0 a connection carries one request.
            if session.req_header().version == Version::HTTP_10
                || *shutdown.borrow()
                || Instant::now() >= old
            {
                session.set_keepalive(None);
            }
            if !matches!(timeout(client, self.write(&mut session)).await, Ok(Ok(()))) {
                close(session).await;
                break;
            }
            let finished = timeout(client, pin!(session.finish())).await;
            let kept = finished.ok().and_then(Result::ok).flatten();
            next = kept.map(|kept| kept.into_parts().0);
            (is_kept, patience) = (true, idle);
        }
        ConnectionEnd::Request
    }

    /// Answers what has been read.
    async fn write(&self, session: &mut ServerSession) -> pingora::Result<()> {
        let request = session.req_header();
        let (head, body) = self.answer(&request.method, request.uri.path()).into_parts();
        session.write_response_header(Box::new(head.into())).await?;
        if body.is_empty() {
            return Ok(());
        }
        session.write_response_body(body.into(), true).await
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Vec<u8>> {
        let plain = |text: String| (StatusCode::OK, TEXT, text);
        let (status, media, text) = match path {
            "/livez" => plain("ok\n".to_owned()),
            "/readyz" => match self.shared.readiness() {
                Ok(()) => plain("ok\n".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
            },
            "/metrics" => plain(self.shared.observers.metrics.render()),
            "/unclassified" => {
                let set = self.shared.policies.current();
                let digest = set.as_ref().map(|set| set.digest().as_str());
                (StatusCode::OK, JSON, self.shared.observers.unclassified.render(digest))
            }
            "/version" => plain(format!("tamis {}\n", env!("CARGO_PKG_VERSION"))),
            _ => (
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /metrics, /unclassified, /livez, /readyz and /version\n".to_owned(),
            ),
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return response(status, TEXT, "only GET\n".to_owned(), method);
        }
        response(status, media, text, method)
    }
}

/// The version is that of Prometheus' text format, and disturbs nobody else.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

fn response(
    status: StatusCode,
    media: &'static str,
    text: String,
    method: &Method,
) -> Response<Vec<u8>> {
    let length = text.len();
    let body = if *method == Method::HEAD { Vec::new() } else { text.into_bytes() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

#[async_trait]
impl ServerApp for Admin {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let mut connection = self.connections.enter()?;
        connection.end = self.carry(stream, shutdown).await;
        None
    }
}
