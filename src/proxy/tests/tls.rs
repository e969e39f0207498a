//! TLS: who is believed, and who is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use pingora::tls::{
    ClientConfig, ClientTlsStream, ServerConfig, ServerName, TlsAcceptor, TlsConnector, version,
};

use super::{
    pki::{Authority, Files, Leaf},
    upstreams::{health, places, until_healthy},
    *,
};
use crate::config::{KeyPair, Listener, Place, Protocol, UpstreamTls};

/// An upstream that speaks TLS, and remembers what it was asked.
struct TlsUpstream {
    address: SocketAddr,
    /// The heads of requests, or the host of those of HTTP/2.
    asked: Arc<Mutex<Vec<String>>>,
    /// How many connections have come to an end without a request.
    in_vain: Arc<AtomicUsize>,
}

impl TlsUpstream {
    async fn new(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, in_vain): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) = Default::default();
        let (heads, vain) = (Arc::clone(&asked), Arc::clone(&in_vain));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heads, vain) = (Arc::clone(&heads), Arc::clone(&vain));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let before = heads.lock().unwrap().len();
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        answer_tls(stream, is_h2, &heads).await;
                    }
                    if heads.lock().unwrap().len() == before {
                        vain.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { address, asked, in_vain }
    }

    /// Waits until a connection has come to an end, and says that nothing was asked on it.
    async fn was_asked_nothing(&self) {
        for _ in 0..2000 {
            if self.in_vain.load(Ordering::SeqCst) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(self.in_vain.load(Ordering::SeqCst) > 0, "somebody connected");
        assert!(self.asked.lock().unwrap().is_empty(), "not one byte of a request");
    }
}

async fn answer_tls<S>(mut stream: S, is_h2: bool, asked: &Mutex<Vec<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if is_h2 {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            asked.lock().unwrap().push(request.uri().to_string());
            let head = http::Response::builder().header("content-type", "application/json");
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(BODY.as_bytes()), true).unwrap();
        }
        return;
    }
    let mut head = Vec::new();
    while matches!(stream.read_buf(&mut head).await, Ok(1..)) {
        // Whatever comes counts, whole or not.
        let text = String::from_utf8_lossy(&head).into_owned();
        if head.ends_with(b"\r\n\r\n") {
            asked.lock().unwrap().push(text);
            head.clear();
            let response = head_and(BODY, "application/json");
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }
    if !head.is_empty() {
        asked.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    }
}

/// TLS with these authorities, for this name.
fn tls(name: Option<&str>, ca: Option<&Files>) -> UpstreamTls {
    let ca = ca.map(|files| files.path("ca.pem"));
    UpstreamTls { name: name.map(str::to_owned), ca, client: None }
}

async fn world(to: &TlsUpstream, tls: UpstreamTls, protocol: Protocol) -> World {
    let address = format!("address: \"{}\"", to.address);
    let change = move |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = places(&address);
        upstream.tls = Some(tls);
        upstream.protocol = protocol;
    };
    World::with(Upstream::Absent, POLICY, change, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_asked_by_tls_in_either_version_of_http() {
    let authority = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    for (certified, name) in
        [("crm.test", Some("crm.test")), ("127.0.0.1", None), ("*.crm.test", Some("a.crm.test"))]
    {
        for (protocol, alpn) in [(Protocol::Http1, "http/1.1"), (Protocol::H2, "h2")] {
            let config = authority.sign(certified).server(None, &[alpn]);
            let to = TlsUpstream::new(config).await;
            let world = world(&to, tls(name, Some(&files)), protocol).await;
            for round in 0..2 {
                let reply = world.get("/c/7", "support", "").await;
                assert_eq!(reply.body.as_deref(), Some(SIEVED), "{certified} {alpn} {round}");
            }
            let asked = to.asked.lock().unwrap().clone();
            // The api lists no hosts, so that the upstream sees its own.
            let begins = if protocol == Protocol::H2 {
                format!("https://{}/c/7", to.address)
            } else {
                "GET /c/7 HTTP/1.1\r\n".to_owned()
            };
            assert!(
                asked.len() == 2 && asked.iter().all(|it| it.starts_with(&begins)),
                "{asked:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_cannot_be_believed_hears_nothing() {
    let authority = Authority::new();
    let other = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    let name = Some("crm.test");
    for (what, leaf, name) in [
        ("another authority", other.sign("crm.test"), name),
        ("expired", authority.sign_between("crm.test", 2019, 2020), name),
        ("not yet valid", authority.sign_between("crm.test", 2119, 2120), name),
        ("signed by itself", Leaf::alone("crm.test"), name),
        ("another name", authority.sign("crm.test.example"), name),
        ("a name below", authority.sign("a.crm.test"), name),
        ("a wildcard of another level", authority.sign("*.crm.test"), Some("a.b.crm.test")),
        ("another address", authority.sign("127.0.0.2"), None),
        ("a name where an address is meant", authority.sign("localhost"), None),
    ] {
        for (protocol, alpn) in [(Protocol::Http1, "http/1.1"), (Protocol::H2, "h2")] {
            let to = TlsUpstream::new(leaf.server(None, &[alpn])).await;
            let world = world(&to, tls(name, Some(&files)), protocol).await;
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(
                (reply.status, reply.reason().as_str()),
                (502, "upstream-untrusted"),
                "{what}"
            );
            assert_eq!(world.record().await, "refused upstream-untrusted", "{what}");
            to.was_asked_nothing().await;
        }
    }
}

/// That an address is left out says no less than that it cannot be believed.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_left_out_for_its_certificate_is_untrusted() {
    let files = Files::new(&[("ca.pem", &Authority::new().pem())]);
    let to = TlsUpstream::new(Authority::new().sign("crm.test").server(None, &["http/1.1"])).await;
    let address = to.address.to_string();
    let at = places(&format!("address: \"{address}\""));
    let change = |settings: &mut Settings| {
        let upstream = settings.upstreams.get_mut("crm").unwrap();
        upstream.places = at;
        upstream.tls = Some(tls(Some("crm.test"), Some(&files)));
        upstream.health = Some(health(Some("/healthz")));
    };
    let world = World::with(Upstream::Absent, POLICY, change, None).await;
    until_healthy(&world, &address, 0).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-untrusted");
    to.was_asked_nothing().await;
}

/// An authority that a test has made is none of those that this machine trusts.
#[tokio::test(flavor = "multi_thread")]
async fn without_authorities_of_its_own_an_upstream_needs_those_of_the_machine() {
    let authority = Authority::new();
    let to = TlsUpstream::new(authority.sign("crm.test").server(None, &["http/1.1"])).await;
    let mut settings = settings(to.address, false);
    settings.upstreams.get_mut("crm").unwrap().tls = Some(tls(Some("crm.test"), None));
    if let Err(error) = Certificates::load(&settings) {
        // A machine that trusts nobody says so, and nothing starts.
        assert!(error.to_string().contains("ca-certificates"), "{error}");
        return;
    }
    let world = world(&to, tls(Some("crm.test"), None), Protocol::Http1).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-untrusted");
    to.was_asked_nothing().await;
}

/// What ends a handshake without a certificate is a fault of the network, or of the settings.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_shows_no_certificate_is_not_taken_for_another() {
    let authority = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    let clients = Authority::new();
    for says in ["", "HTTP/1.1 400 Bad Request\r\n\r\ninvalid peer certificate: Expired"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 4096];
                let _hello = stream.read(&mut bytes).await;
                let _gone = stream.write_all(says.as_bytes()).await;
            }
        });
        let change = |settings: &mut Settings| {
            let upstream = settings.upstreams.get_mut("crm").unwrap();
            upstream.places = places(&format!("address: \"{plain}\""));
            upstream.tls = Some(tls(Some("crm.test"), Some(&files)));
        };
        let world = World::with(Upstream::Absent, POLICY, change, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert_eq!((reply.status, &*reply.reason()), (502, "upstream-unreachable"), "{says:?}");
        assert_eq!(world.record().await, "refused upstream-unreachable", "{says:?}");
    }
    // Nor one that does not believe tamis.
    let config = authority.sign("crm.test").server(Some(&clients), &["http/1.1"]);
    let to = TlsUpstream::new(config).await;
    let world = world(&to, tls(Some("crm.test"), Some(&files)), Protocol::Http1).await;
    assert!(!world.get("/c/7", "support", "").await.reason().contains("untrusted"));
    // Nor one that has no version of TLS, or of HTTP, in common with it.
    let to = TlsUpstream::new(authority.sign("crm.test").server(None, &["spdy/1"])).await;
    let world = self::world(&to, tls(Some("crm.test"), Some(&files)), Protocol::Http1).await;
    assert_eq!(world.get("/c/7", "support", "").await.reason(), "upstream-unreachable");
}

/// What is to be asked by TLS is not asked in any other way, whatever has gone wrong before.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_never_left_out() {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let all = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                all.lock().unwrap().extend_from_slice(&bytes[..read]);
                let _gone = stream.write_all(head_and(BODY, "application/json").as_bytes()).await;
            }
        }
    });
    let authority = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    for name in [Some("crm.test"), Some(""), None] {
        let change = |settings: &mut Settings| {
            let upstream = settings.upstreams.get_mut("crm").unwrap();
            upstream.places = places(&format!("address: \"{plain}\""));
            upstream.tls = Some(tls(name, Some(&files)));
        };
        let world = World::with(Upstream::Absent, POLICY, change, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert!(reply.status == 502 || reply.status == 504, "{reply:?}");
    }
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(heard.contains("crm.test"), "the name is all that is said in the clear");
    assert!(!heard.contains("GET") && !heard.contains("/c/7"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_gets_to_see_the_certificate_of_tamis() {
    let authority = Authority::new();
    let clients = Authority::new();
    let own = clients.sign("tamis.test");
    let files = Files::new(&[
        ("ca.pem", &authority.pem()),
        ("own.pem", &own.certificate),
        ("own.key", &own.key),
        ("other.pem", &authority.sign("tamis.test").certificate),
    ]);
    for (shows, status) in [(true, 200), (false, 502)] {
        let config = authority.sign("crm.test").server(Some(&clients), &["http/1.1"]);
        let to = TlsUpstream::new(config).await;
        let mut tls = tls(Some("crm.test"), Some(&files));
        let pair = KeyPair { certificate: files.path("own.pem"), key: files.path("own.key") };
        tls.client = Some(pair).filter(|_| shows);
        let world = world(&to, tls, Protocol::Http1).await;
        assert_eq!(world.get("/c/7", "support", "").await.status, status);
        assert_eq!(to.asked.lock().unwrap().len(), usize::from(shows));
    }
}

/// A connection that was made under one authority is not for an api that believes another.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_shared_only_with_those_who_believe_the_same() {
    let authority = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    let others = Files::new(&[("ca.pem", &Authority::new().pem())]);
    let to = TlsUpstream::new(authority.sign("crm.test").server(None, &["http/1.1"])).await;
    let address = format!("address: \"{}\"", to.address);
    let change = |settings: &mut Settings| {
        let crm = settings.upstreams.get_mut("crm").unwrap();
        crm.places = places(&address);
        crm.tls = Some(tls(Some("crm.test"), Some(&files)));
        let mut shop = crm.clone();
        shop.tls = Some(tls(Some("crm.test"), Some(&others)));
        settings.upstreams.insert("shop".to_owned(), shop);
    };
    let shop =
        "\n  shop: { host: shop.test, routes: { GET /s: { body: { $: customer } } } }\nrules:";
    let policy = of_two_apis(&POLICY.replace("\nrules:", shop));
    let world = World::with(Upstream::Absent, &policy, change, None).await;
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    let get = request("GET", "/s", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
    let reply = world.send(get.replace("crm.test", "shop.test")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-untrusted"));
    assert_eq!(to.asked.lock().unwrap().len(), 1);
}

/// Loads `upstreams.crm.tls` with these files; `expected` is what is said of it, with `DIR` for the folder.
fn check(files: &Files, ca: &str, client: Option<[&str; 2]>, expected: Result<&[&str], &[&str]>) {
    let mut settings = settings(([127, 0, 0, 1], 1).into(), false);
    let client = client.map(|[certificate, key]| KeyPair {
        certificate: files.path(certificate),
        key: files.path(key),
    });
    let tls = UpstreamTls { name: None, ca: Some(files.path(ca)), client };
    settings.upstreams.get_mut("crm").unwrap().tls = Some(tls);
    let loaded = Certificates::load(&settings);
    let found = match &loaded {
        Ok(certificates) => Ok(certificates.warnings().join("\n")),
        Err(error) => Err(error.to_string()),
    };
    let folder = files.folder().display().to_string();
    let shown = |text: String| text.replace(&folder, "DIR").lines().map(str::to_owned).collect();
    let found: Result<Vec<String>, Vec<String>> = found.map(shown).map_err(shown);
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(found, expected.map(owned).map_err(owned));
}

#[test]
fn what_is_wrong_with_certificates_is_said_at_the_start() {
    let authority = Authority::new();
    let (own, old) = (authority.sign("a.test"), authority.sign_between("a.test", 2019, 2020));
    let (half, _) = own.key.split_at(own.key.len() / 2);
    let files = Files::new(&[
        ("ca", &authority.pem()),
        ("own", &own.certificate),
        ("key", &own.key),
        ("both", &(own.certificate.clone() + &own.key)),
        ("old", &old.certificate),
        ("old-key", &old.key),
        ("empty", ""),
        ("half", half),
        ("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ]);
    check(&files, "ca", None, Ok(&[]));
    check(&files, "ca", Some(["own", "key"]), Ok(&[]));
    check(&files, "ca", Some(["both", "both"]), Ok(&[]));
    let ca = |file: &str, expected: &str| {
        check(&files, file, None, Err(&[&format!("error: `upstreams.crm.tls.ca`: {expected}")]));
    };
    ca("none", "`DIR/none` cannot be read: No such file or directory (os error 2)");
    ca(".", "`DIR/.` cannot be read: it is a folder, not a file");
    ca("empty", "`DIR/empty` has no certificate: it has to have `-----BEGIN CERTIFICATE-----`");
    ca("key", "`DIR/key` has no certificate: it has to have `-----BEGIN CERTIFICATE-----`");
    ca("broken", "`DIR/broken` has a certificate, number 1, that cannot be read");
    let client = |pair: [&str; 2], expected: &str| {
        let expected = format!("error: `upstreams.crm.tls.certificate`: {expected}");
        check(&files, "ca", Some(pair), Err(&[&expected]));
    };
    client(
        ["own", "own"],
        "`DIR/own` has no private key: it has to have `-----BEGIN PRIVATE KEY-----`, and no password",
    );
    client(["own", "half"], "`DIR/half` is not valid PEM");
    client(
        ["own", "old-key"],
        "the key in `DIR/old-key` is not that of the first certificate in `DIR/own`",
    );
    check(
        &files,
        "none",
        Some(["own", "empty"]),
        Err(&[
            "error: `upstreams.crm.tls.ca`: `DIR/none` cannot be read: No such file or directory (os error 2)",
            "error: `upstreams.crm.tls.certificate`: `DIR/empty` has no private key: it has to have `-----BEGIN PRIVATE KEY-----`, and no password",
        ]),
    );
    // It works, and somebody should know.
    files.mode("old-key", 0o644);
    check(
        &files,
        "old",
        Some(["old", "old-key"]),
        Ok(&[
            "`upstreams.crm.tls.ca`: certificate 1 in `DIR/old` has expired: it was good until 2020-01-01T00:00:00Z",
            "`upstreams.crm.tls.certificate`: certificate 1 in `DIR/old` has expired: it was good until 2020-01-01T00:00:00Z",
            "`upstreams.crm.tls.certificate`: every user of this machine can read the key file `DIR/old-key`: chmod 600 DIR/old-key",
        ]),
    );
}

/// Whatever stands in a file, no text shows it.
#[test]
fn no_key_is_shown() {
    let own = Authority::new().sign("a.test");
    let line = own.key.lines().nth(1).unwrap();
    let (_, rest) = line.split_at(1);
    let cut = own.key.replace(line, rest);
    let files = Files::new(&[("ca", &own.certificate), ("key", &own.key), ("cut", &cut)]);
    for [ca, certificate, key] in
        [["ca", "ca", "key"], ["key", "key", "ca"], ["ca", "ca", "cut"], ["cut", "cut", "cut"]]
    {
        let mut settings = settings(([127, 0, 0, 1], 1).into(), false);
        let client = KeyPair { certificate: files.path(certificate), key: files.path(key) };
        let tls = UpstreamTls { name: None, ca: Some(files.path(ca)), client: Some(client) };
        settings.upstreams.get_mut("crm").unwrap().tls = Some(tls);
        let shown = match Certificates::load(&settings) {
            Ok(certificates) => format!("{certificates:?} {settings:?}"),
            Err(error) => format!("{error} {error:?} {settings:?}"),
        };
        assert!(!own.key.lines().any(|line| shown.contains(line)), "{shown}");
        assert!(!shown.contains(rest), "{shown}");
    }
}

/// A proxy whose callers connect by TLS.
async fn tls_world(files: &Files, patience: Duration) -> World {
    let pair = KeyPair { certificate: files.path("own.pem"), key: files.path("own.key") };
    let change = |settings: &mut Settings| {
        let place = Place::Network(([127, 0, 0, 1], 0).into());
        settings.listen = vec![Listener { place, tls: Some(pair), connections: None }];
        settings.timeouts.client = patience;
    };
    World::with(Upstream::json(BODY), POLICY, change, None).await
}

fn own(authority: &Authority, name: &str) -> Files {
    let leaf = authority.sign(name);
    Files::new(&[("own.pem", &leaf.certificate), ("own.key", &leaf.key)])
}

const LONG: Duration = Duration::from_secs(30);

/// Connects as somebody who believes `authority`; none if they cannot agree.
async fn connect(
    world: &World,
    authority: &Authority,
    name: &str,
    alpn: &[&str],
) -> Option<ClientTlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS13, &version::TLS12]);
    connect_with(
        world,
        config.with_root_certificates(authority.roots()).with_no_client_auth(),
        name,
        alpn,
    )
    .await
}

async fn connect_with(
    world: &World,
    mut config: ClientConfig,
    name: &str,
    alpn: &[&str],
) -> Option<ClientTlsStream<TcpStream>> {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(world.address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// Who does not get in has asked nothing, and leaves no record: there is a number for it.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_fail_are_counted_by_reason() {
    let authority = Authority::new();
    let files = own(&authority, "tamis.test");
    let soon = Duration::from_millis(50);
    for (what, patience, reason) in [
        ("agrees", LONG, ""),
        ("says nothing", soon, "timeout"),
        ("hangs up", LONG, "closed"),
        ("speaks in the clear", LONG, "refused"),
        ("does not believe it", LONG, "refused"),
        ("speaks another protocol", LONG, "refused"),
    ] {
        let world = tls_world(&files, patience).await;
        let counted = || {
            let text = world.metrics.render();
            let name = "tamis_tls_handshake_failures_total{reason=\"";
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            let counts = lines.map(|line| line.split_once("\"} ").unwrap());
            counts.map(|(reason, count)| (reason.to_owned(), count.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(counted().len(), 3);
        assert!(counted().iter().all(|(_, count)| count == "0"), "{what}");
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        if what == "agrees" {
            let mut stream = connect(&world, &authority, "tamis.test", &[]).await.unwrap();
            let get = request("GET", "/c/7", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
            stream.write_all(get.as_bytes()).await.unwrap();
            let _end = stream.read_to_end(&mut Vec::new()).await;
        } else if what == "hangs up" {
            stream.write_all(&[22, 3, 1]).await.unwrap();
            stream.shutdown().await.unwrap();
        } else if what == "speaks in the clear" {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        } else if what == "does not believe it" {
            let other = Authority::new();
            assert!(connect(&world, &other, "tamis.test", &[]).await.is_none());
        } else if what == "speaks another protocol" {
            assert!(connect(&world, &authority, "tamis.test", &["h3"]).await.is_none());
        }
        for _ in 0..6000 {
            if reason.is_empty() || counted().iter().any(|(_, count)| count != "0") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (found, count) in counted() {
            assert_eq!(count, if found == reason { "1" } else { "0" }, "{what}: {found}");
        }
        assert_eq!(
            world.metrics.render().contains("decision=\"allowed\",purpose=\"support\""),
            what == "agrees"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_served_by_tls_in_either_version_of_http() {
    let authority = Authority::new();
    let files = own(&authority, "tamis.test");
    let get = request("GET", "/c/7", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
    for version in [&version::TLS13, &version::TLS12] {
        let config = || {
            ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(authority.roots())
                .with_no_client_auth()
        };
        for alpn in [&["http/1.1"][..], &[], &["x", "http/1.1"]] {
            let world = tls_world(&files, LONG).await;
            let mut stream = connect_with(&world, config(), "tamis.test", alpn).await.unwrap();
            let stays = get.replace("Connection: close\r\n", "");
            stream.write_all(stays.as_bytes()).await.unwrap();
            let mut raw = Vec::new();
            while !raw.ends_with(b"0\r\n\r\n") {
                assert!(stream.read_buf(&mut raw).await.unwrap() > 0);
            }
            assert_eq!(Reply::parse(raw).body.as_deref(), Some(SIEVED));
            // The connection is kept for the next one.
            stream.write_all(get.as_bytes()).await.unwrap();
            let mut raw = Vec::new();
            let _end = stream.read_to_end(&mut raw).await;
            assert_eq!(Reply::parse(raw).body.as_deref(), Some(SIEVED));
        }
        for alpn in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
            let world = tls_world(&files, LONG).await;
            let stream = connect_with(&world, config(), "tamis.test", alpn).await.unwrap();
            let got = ask_h2(stream, "support").await;
            assert_eq!(got, (200, SIEVED.as_bytes().to_vec(), true), "{alpn:?}");
        }
        let world = tls_world(&files, LONG).await;
        assert!(connect_with(&world, config(), "tamis.test", &["h3"]).await.is_none());
    }
}

/// What speaks no TLS, or speaks it too slowly, or says nothing after it, gets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_get_through_the_door_is_nobody() {
    let authority = Authority::new();
    let files = own(&authority, "tamis.test");
    let world = tls_world(&files, LONG).await;
    for plain in ["GET /c/7 HTTP/1.1\r\nHost: crm.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(plain.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let _reset = stream.read_to_end(&mut raw).await;
        assert!(!raw.starts_with(b"HTTP") && raw.len() < 16, "{raw:?}");
    }
    let world = tls_world(&files, Duration::from_millis(300)).await;
    for begun in ["", "\x16\x03\x01"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let _reset = timeout(LONG, stream.read_to_end(&mut raw)).await.expect("it ends");
    }
    for alpn in ["h2", "http/1.1"] {
        let mut stream = connect(&world, &authority, "tamis.test", &[alpn]).await.unwrap();
        let mut raw = Vec::new();
        let _cut = timeout(LONG, stream.read_to_end(&mut raw)).await.expect("it ends");
        assert!(!raw.starts_with(b"HTTP"), "{raw:?}");
    }
    let ended = |cause, times| {
        let listener = "listener=\"127.0.0.1:0\"";
        format!("tamis_connections_ended_total{{cause=\"{cause}\",{listener}}} {times}\n")
    };
    for line in [ended("handshake", 3), ended("silent", 1)] {
        let is_counted = async {
            while !world.metrics.render().contains(&line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, is_counted).await.expect(&line);
    }
    assert!(world.asked.lock().unwrap().is_empty());
}

/// A caller sees one certificate or the other, and never none: what is broken stays outside.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_exchanged_while_callers_connect() {
    let authority = Authority::new();
    let files = own(&authority, "one.test");
    let world = tls_world(&files, LONG).await;
    let reloads = |result: &str| {
        let series = format!("tamis_certificate_reloads_total{{result=\"{result}\"}} ");
        let text = world.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
        line.parse::<u32>().unwrap()
    };
    let until = async |result: &str, count: u32| {
        world.watch.look_now();
        for _ in 0..2000 {
            if reloads(result) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{result} {count}: {}", world.metrics.render());
    };
    let shown = || {
        let gauge = |name: &str| {
            let series = format!("tamis_certificate_{name}{{setting=\"listen[0].tls\"}} ");
            let text = world.metrics.render();
            let line = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
            line.parse::<i64>().unwrap()
        };
        (gauge("files_in_use"), gauge("expiry_timestamp_seconds"))
    };
    // The new years of 2120 and 2060.
    let (of_one, of_two) = (4_733_510_400, 2_840_140_800);
    assert_eq!(shown(), (1, of_one));
    let mut first = connect(&world, &authority, "one.test", &[]).await.unwrap();
    let two = authority.sign_between("two.test", 2020, 2060);
    files.write("own.pem", &two.certificate);
    until("failure", 1).await;
    assert_eq!(shown(), (0, of_one), "what is in use goes on to be good as long as it was");
    assert!(connect(&world, &authority, "one.test", &[]).await.is_some(), "the key is not its own");
    files.write("own.key", two.key.split_at(two.key.len() / 2).0);
    until("failure", 2).await;
    assert_eq!(shown(), (0, of_one));
    assert!(connect(&world, &authority, "one.test", &[]).await.is_some(), "half a key");
    files.write("own.key", &two.key);
    until("success", 1).await;
    assert_eq!(shown(), (1, of_two));
    assert!(connect(&world, &authority, "one.test", &[]).await.is_none());
    assert!(connect(&world, &authority, "two.test", &[]).await.is_some());
    std::fs::remove_file(files.path("own.pem")).unwrap();
    until("failure", 3).await;
    assert!(connect(&world, &authority, "two.test", &[]).await.is_some(), "no file");
    assert_eq!(shown(), (0, of_two));
    // The same as before is in use again.
    files.write("own.pem", &two.certificate);
    until("success", 2).await;
    assert_eq!(shown(), (1, of_two));
    // Who was there before is served as before.
    let get = request("GET", "/c/7", "Api-Key: desk-key\r\nData-Purpose: support\r\n");
    first.write_all(get.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    let _end = first.read_to_end(&mut raw).await;
    assert_eq!(Reply::parse(raw).body.as_deref(), Some(SIEVED));
    assert_eq!((reloads("failure"), reloads("success")), (3, 2));
}

/// A chain is good until the first of its certificates is not; authorities, until the last is not.
#[test]
fn each_setting_says_when_its_certificates_expire() {
    let authority = Authority::new();
    let [early, late] = [2030, 2040].map(|until| authority.sign_between("a.test", 2020, until));
    let [authorities, chain] = [[&early, &late], [&late, &early]]
        .map(|leaves| leaves.map(|leaf| leaf.certificate.as_str()).concat());
    let files = Files::new(&[("ca", &authorities), ("chain", &chain), ("key", &late.key)]);
    let pair = || KeyPair { certificate: files.path("chain"), key: files.path("key") };
    let mut settings = settings(([127, 0, 0, 1], 1).into(), false);
    for listener in &mut settings.listen {
        listener.tls = Some(pair());
    }
    let tls = UpstreamTls { name: None, ca: Some(files.path("ca")), client: Some(pair()) };
    settings.upstreams.get_mut("crm").unwrap().tls = Some(tls);
    let metrics = Arc::new(Metrics::new(0));
    let watch = Certificates::load(&settings).unwrap().watch(Arc::clone(&metrics)).unwrap();
    drop(watch);
    let text = metrics.render();
    let (first, last) = (1_893_456_000, 2_208_988_800_i64);
    for (setting, expiry) in [
        ("listen[0].tls", first),
        ("upstreams.crm.tls.ca", last),
        ("upstreams.crm.tls.certificate", first),
    ] {
        for (name, value) in [("expiry_timestamp_seconds", expiry), ("files_in_use", 1)] {
            let line = format!("tamis_certificate_{name}{{setting=\"{setting}\"}} {value}");
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}

/// What an upstream is believed by can change, too; connections that are kept are not used any more.
#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_exchanged_while_upstreams_are_asked() {
    let authority = Authority::new();
    let files = Files::new(&[("ca.pem", &authority.pem())]);
    let to = TlsUpstream::new(authority.sign("crm.test").server(None, &["http/1.1"])).await;
    let world = world(&to, tls(Some("crm.test"), Some(&files)), Protocol::Http1).await;
    assert_eq!(world.get("/c/7", "support", "").await.status, 200);
    files.write("ca.pem", &Authority::new().pem());
    world.watch.look_now();
    for _ in 0..2000 {
        if world.get("/c/7", "support", "").await.status == 502 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an authority that is no more trusted is believed");
}
