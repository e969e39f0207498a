//! Pingora without tamis, a process of its own: what everything is measured against. It can also
//! rewrite bodies in the usual way.

use std::{net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora::{
    http::ResponseHeader,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

use crate::documents::redact;

/// Carries requests from one port to the other until the process is killed.
pub(super) fn run(port: u16, upstream: u16, rewrites: bool) {
    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let configuration = Arc::clone(&server.configuration);
    let mut service = http_proxy_service(&configuration, Bare { upstream, rewrites });
    service.add_tcp(&format!("{}:{port}", Ipv4Addr::LOCALHOST));
    server.add_service(service);
    server.run_forever();
}

struct Bare {
    upstream: u16,
    /// Whether bodies are collected, parsed, and printed again without the five fields.
    rewrites: bool,
}

#[async_trait]
impl ProxyHttp for Bare {
    /// What has come of a body that is rewritten.
    type CTX = Vec<u8>;

    fn new_ctx(&self) -> Vec<u8> {
        Vec::new()
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _collected: &mut Vec<u8>,
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new((Ipv4Addr::LOCALHOST, self.upstream), false, String::new())))
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        _collected: &mut Vec<u8>,
    ) -> pingora::Result<()> {
        if self.rewrites {
            head.remove_header(&header::CONTENT_LENGTH);
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        ends: bool,
        collected: &mut Vec<u8>,
    ) -> pingora::Result<Option<std::time::Duration>> {
        if self.rewrites {
            collected.extend_from_slice(&body.take().unwrap_or_default());
            if ends {
                let mut document = serde_json::from_slice(collected).unwrap();
                redact(&mut document);
                *body = Some(serde_json::to_vec(&document).unwrap().into());
            }
        }
        Ok(None)
    }
}
