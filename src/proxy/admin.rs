//! What operations see: metrics, and whether this process lives and should be asked.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};

use crate::proxy::Shared;

/// The admin listener's application: it never asks an upstream, and knows nobody's data.
pub(super) struct Admin {
    pub(super) shared: Arc<Shared>,
}

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Vec<u8>> {
        let (status, text) = match path {
            "/livez" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => match self.shared.readiness() {
                Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/metrics" => (StatusCode::OK, self.shared.observers.metrics.render()),
            "/version" => (StatusCode::OK, format!("tamis {}\n", env!("CARGO_PKG_VERSION"))),
            _ => (
                StatusCode::NOT_FOUND,
                "there are /metrics, /livez, /readyz and /version\n".to_owned(),
            ),
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned(), method);
        }
        plain(status, text, method)
    }
}

fn plain(status: StatusCode, text: String, method: &Method) -> Response<Vec<u8>> {
    let length = text.len();
    let body = if *method == Method::HEAD { Vec::new() } else { text.into_bytes() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // The version is that of Prometheus' text format, and disturbs nobody else.
    let media = "text/plain; version=0.0.4; charset=utf-8";
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        self.answer(&request.method, request.uri.path())
    }
}
