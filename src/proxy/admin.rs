//! What operations see: metrics, where unclassified data was withheld, and whether this process lives and should be asked.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, Version, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};

use crate::proxy::Shared;

/// The admin listener's application: it never asks an upstream, and knows nobody's data.
pub(super) struct Admin {
    pub(super) shared: Arc<Shared>,
}

impl Admin {
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
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        if session.req_header().version == Version::HTTP_10 {
            // Its connections carry one request.
            session.set_keepalive(None);
        }
        let request = session.req_header();
        self.answer(&request.method, request.uri.path())
    }
}
