//! The ways in which callers connect: TCP and UNIX sockets, in the clear and by TLS.

use std::{
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    sync::Arc,
};

use pingora::tls::{
    CertificateDer, ClientConfig, ClientTlsStream, RootCertStore, ServerName, TlsConnector,
};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

const POLICY: &str = "
tamis: 1
categories: { contact: Contact }
purposes: { support: { title: Help, legal_basis: contract } }
callers: { desk: { identify: { sidecar: true }, purposes: [support] } }
apis: { crm: { routes: { GET /c: { body: { $.id: public, $.x: contact } } } } }
rules: { support: { contact: drop } }
";
/// Whom a certificate is for.
const NAMES: [&str; 2] = ["tamis.test", "127.0.0.1"];
const GET: &str =
    "GET /c HTTP/1.1\r\nHost: test\r\nConnection: close\r\nData-Purpose: support\r\n\r\n";

/// A certificate for `tamis.test` and this machine, and its key, in files. It is good for a year, as
/// those are that others sign.
pub(super) struct Own {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Own {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        let today = jiff::Zoned::now().date();
        let (year, month) = (i32::from(today.year()), u8::try_from(today.month()).unwrap());
        params.not_before = date_time_ymd(year, month, 1);
        params.not_after = date_time_ymd(year + 1, month, 1);
        params.distinguished_name.push(DnType::CommonName, NAMES[0]);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let own = Self { folder: tempfile::tempdir().unwrap(), der: made.der().clone() };
        fs::write(own.path("own.pem"), made.pem()).unwrap();
        fs::write(own.path("own.key"), key.serialize_pem()).unwrap();
        fs::set_permissions(own.path("own.key"), fs::Permissions::from_mode(0o600)).unwrap();
        own
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Agrees on TLS as a client that trusts this certificate, and offers these protocols.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        protocols: &[&str],
    ) -> io::Result<ClientTlsStream<S>> {
        pingora::tls::install_default_crypto_provider();
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("tamis.test").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Asks over a stream by TLS, and says whether the answer is what it should be.
    async fn ask(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
        let Ok(mut stream) = self.connect(stream, &[]).await else { return false };
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let _end = stream.read_to_end(&mut raw).await;
        is_answer(&raw)
    }
}

fn is_answer(raw: &[u8]) -> bool {
    let text = String::from_utf8_lossy(raw);
    text.starts_with("HTTP/1.1 200 ") && text.contains(r#"{"id":7}"#) && !text.contains("CANARY")
}

pub(super) fn setup<T>(with: impl FnOnce(Setup<'_>) -> T) -> T {
    let upstreams = [("crm", upstream(|_| json(r#"{"id":7,"x":"CANARY"}"#)), "http1")];
    with(Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" })
}

#[test]
fn callers_come_in_by_every_door_of_one_process() {
    let own = Own::new();
    let by_tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (plain, sealed) = (own.path("plain.sock"), own.path("sealed.sock"));
    // What a process left behind that could not clear up.
    drop(UnixListener::bind(&plain).unwrap());
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let at = by_tls.to_string();
    let mut tamis = setup(|setup| {
        setup.start_with(&[
            ("TAMIS__LISTEN__1__ADDRESS", &at),
            ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
            ("TAMIS__LISTEN__1__TLS__KEY", &key),
            ("TAMIS__LISTEN__2__UNIX", &plain),
            ("TAMIS__LISTEN__3__UNIX", &sealed),
            ("TAMIS__LISTEN__3__MODE", "0660"),
            ("TAMIS__LISTEN__3__TLS__CERTIFICATE", &certificate),
            ("TAMIS__LISTEN__3__TLS__KEY", &key),
        ])
    });
    let unix = |path: &str, request: &str| {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut raw = Vec::new();
        let _reset = stream.read_to_end(&mut raw);
        raw
    };
    until("it listens on all", || {
        TcpStream::connect(by_tls).is_ok()
            && UnixStream::connect(&plain).is_ok()
            && UnixStream::connect(&sealed).is_ok()
    });
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&plain), mode(&sealed)), (0o600, 0o660));
    assert!(is_answer(&tamis.send(GET).raw));
    assert!(is_answer(&unix(&plain, GET)));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert!(own.ask(tokio::net::TcpStream::connect(by_tls).await.unwrap()).await);
        assert!(own.ask(tokio::net::UnixStream::connect(&sealed).await.unwrap()).await);
        assert!(!own.ask(tokio::net::TcpStream::connect(tamis.address).await.unwrap()).await);
        assert!(!own.ask(tokio::net::UnixStream::connect(&plain).await.unwrap()).await);
    });
    // In the clear, a door for TLS opens to nobody.
    assert!(!unix(&sealed, GET).starts_with(b"HTTP"));
    assert!(!send(by_tls, GET.as_bytes()).raw.starts_with(b"HTTP"));
    until("all is on record", || tamis.metric("tamis_requests_total{") >= 4);
    tamis.signal("TERM");
    assert_eq!(tamis.ended(), 0);
    for path in [&plain, &sealed] {
        assert!(fs::symlink_metadata(path).is_err(), "{path} is cleared up");
    }
}

#[test]
fn the_file_of_a_socket_takes_nothing_elses_place() {
    let own = Own::new();
    let (taken, text) = (own.path("taken.sock"), own.path("text"));
    let listener = UnixListener::bind(&taken).unwrap();
    fs::write(&text, "text").unwrap();
    for (path, why) in [(&taken, "address in use"), (&text, "the file is no socket")] {
        let listen = ("TAMIS__LISTEN__1__UNIX", path.as_str());
        let (code, _, stderr) = setup(|setup| setup.run_with(&[listen]));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(&format!("cannot listen on {path}: {why}")), "{stderr}");
    }
    assert!(fs::metadata(&taken).unwrap().file_type().is_socket());
    assert_eq!(fs::read_to_string(&text).unwrap(), "text");
    drop(listener);
}

/// Why is in the log, and no word of the certificate.
#[test]
fn an_upstream_that_is_not_believed_is_one_line_of_the_log() {
    let (shown, known) = (Own::new(), Own::new());
    let by_tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (certificate, key) = (shown.path("own.pem"), shown.path("own.key"));
    let behind = setup(|setup| {
        setup.start_with(&[
            ("TAMIS__LISTEN__1__ADDRESS", &by_tls.to_string()),
            ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
            ("TAMIS__LISTEN__1__TLS__KEY", &key),
        ])
    });
    let upstreams = [("crm", by_tls, "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    let tamis = setup.start_with(&[("TAMIS__UPSTREAMS__CRM__TLS__CA", &known.path("own.pem"))]);
    for _ in 0..2 {
        let reply = tamis.send(GET);
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-untrusted"));
    }
    let said = format!("upstream `crm`: {by_tls}: its certificate ");
    let stderr = tamis.stderr();
    assert_eq!(stderr.matches(&said).count(), 1, "{stderr}");
    assert!(!stderr.contains("tamis.test"), "{stderr}");
    drop(behind);
}

#[test]
fn certificates_are_checked_before_anybody_connects() {
    let own = Own::new();
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let check = |certificate: &str, key: &str| {
        setup(|setup| {
            setup.run_in(
                &["--check"],
                &[
                    ("TAMIS__LISTEN__0__TLS__CERTIFICATE", certificate),
                    ("TAMIS__LISTEN__0__TLS__KEY", key),
                ],
            )
        })
    };
    let (code, stdout, stderr) = check(&certificate, &key);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.ends_with("and its policies are fine\n"), "{stdout}");
    let (code, _, stderr) = check(&certificate, &certificate);
    let said = format!("error: `listen[0].tls`: `{certificate}` has no private key");
    assert!(code == 2 && stderr.starts_with(&said), "{stderr}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, stderr) = check(&certificate, &key);
    let said = format!(
        "warning: `listen[0].tls`: every user of this machine can read the key file `{key}`"
    );
    assert!(code == 0 && stderr.starts_with(&said), "{stderr}");
}
