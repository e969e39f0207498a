//! Requests of HTTP/2 whose bodies never end.
//!
//! Pingora reads the body of such a request for as long as it takes, also when the client says nothing any
//! more, and also when the response has gone. Whoever does not end it within its time is left: the stream is
//! reset, and what is on record says why. In HTTP/1.1 each read has a limit, and needs none of this.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, v2::server::H2Options},
    proxy::HttpProxy,
    server::ShutdownWatch,
};
use tokio::time::sleep;

use crate::{config::Timeouts, proxy::Proxy};

/// A proxy that does not wait for bodies for ever.
pub(super) struct Impatient {
    proxy: Arc<HttpProxy<Proxy>>,
    /// How long a body may take, and one that is silent longer than that.
    patience: Duration,
}

impl Impatient {
    pub(super) fn new(proxy: HttpProxy<Proxy>, timeouts: &Timeouts) -> Self {
        // One that goes on hears why it may not, with its next piece; this is for one that does not.
        let patience = timeouts.request_body.saturating_add(timeouts.client);
        Self { proxy: Arc::new(proxy), patience }
    }
}

#[async_trait]
impl HttpServerApp for Impatient {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if session.is_body_empty() {
            return self.proxy.process_new_http(session, shutdown).await;
        }
        let upload = Upload::default();
        let served = self.proxy.process_new_http(session, shutdown);
        let mut served = pin!(CURRENT.scope(upload.clone(), served));
        tokio::select! {
            biased;
            done = &mut served => return done,
            () = sleep(self.patience) => {}
        }
        if upload.0.has_ended.load(Ordering::Acquire) {
            return served.await;
        }
        // Going, the request writes its record.
        upload.0.is_late.store(true, Ordering::Release);
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        HttpServerApp::server_options(&*self.proxy)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

tokio::task_local! {
    /// The body of the request that this task carries.
    static CURRENT: Upload;
}

/// What is known about the body of one request.
#[derive(Clone, Default)]
pub(super) struct Upload(Arc<State>);

#[derive(Default)]
struct State {
    has_ended: AtomicBool,
    is_late: AtomicBool,
}

impl Upload {
    /// That of the request that is being carried, if somebody waits for its end.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// All of it has come.
    pub(super) fn ended(&self) {
        self.0.has_ended.store(true, Ordering::Release);
    }

    /// Whether it is not waited for any more.
    pub(super) fn is_late(&self) -> bool {
        self.0.is_late.load(Ordering::Acquire)
    }
}
