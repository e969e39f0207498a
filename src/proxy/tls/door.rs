//! Where callers come in by TLS.

use std::{fmt, sync::Arc};

use pingora::{
    listeners::tls::Acceptor,
    protocols::{Stream, l4::stream::Stream as L4Stream},
    tls::{ClientHello, ResolvesServerCert, ServerConfig, sign::CertifiedKey, version},
};

use super::kept::Kept;
use crate::metrics::HandshakeFailure;

/// The versions of HTTP that a caller can choose (ALPN), the better one first.
const VERSIONS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A listener that speaks TLS.
pub(in crate::proxy) struct Door(Acceptor);

impl Door {
    /// Shows each caller the certificate of that moment.
    pub(super) fn new(pair: Arc<Kept<CertifiedKey>>) -> Self {
        pingora::tls::install_default_crypto_provider();
        let versions = [&version::TLS13, &version::TLS12];
        let builder = ServerConfig::builder_with_protocol_versions(&versions);
        let shown = Arc::new(Shown(pair));
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = VERSIONS.map(<[u8]>::to_vec).to_vec();
        // All ciphers are good, and ours come in the order of how good.
        config.ignore_client_order = true;
        Self(Acceptor::from_server_config(Arc::new(config)))
    }

    /// Agrees with whoever has just connected, if they can agree.
    pub(in crate::proxy) async fn open(&self, stream: Stream) -> Result<Stream, HandshakeFailure> {
        let stream = stream.into_any().downcast::<L4Stream>();
        let stream = stream.or(Err(HandshakeFailure::Refused))?;
        match self.0.tls_handshake(*stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(why(&error.to_string())),
        }
    }
}

/// Of what went wrong Pingora leaves the words. They tell those who went away from those who stayed.
fn why(words: &str) -> HandshakeFailure {
    const ENDED: &str = "tls handshake eof";
    const BROKEN: &str = "(os error ";
    if words.contains(ENDED) || words.contains(BROKEN) {
        HandshakeFailure::Closed
    } else {
        HandshakeFailure::Refused
    }
}

struct Shown(Arc<Kept<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.now())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}
