//! Routes that carry nothing personal, over the wire.

use super::*;

const OPEN: &str = r"
tamis: 1
categories: { contact.email: E-mail address }
purposes:
  support: { title: Help, legal_basis: contract }
  billing: { title: Bill, legal_basis: contract }
callers:
  desk: { identify: { api_key: desk }, purposes: [support, billing] }
  lone: { identify: { api_key: lone }, purposes: [support] }
apis:
  crm:
    headers: { response: { X-Build: public, X-Host: contact.email } }
    routes:
      GET /health: { pass: { because: it says whether the process lives, anybody: true } }
      GET /docs/{*page}: { params: { page: public, lang: public, mail: contact.email }, pass: { because: the pages are printed for everybody, anybody: true } }
      GET /static/{*file}: { params: { file: public }, pass: { because: the files are in the repository } }
      GET /c/{id}: { params: { id: public }, body: { $.email: contact.email } }
rules:
  support: { contact: keep }
";

const DESK: &str = "Api-Key: desk-key\r\nData-Purpose: support\r\n";

async fn world(version: Version, upstream: Upstream) -> World {
    World::with(upstream, OPEN, |_| {}, None).await.speaking(version)
}

fn answer(status: &str, lines: &str, body: &[u8]) -> Upstream {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Upstream::bytes(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_lets_pass_is_the_same_bytes_whatever_they_are() {
    for version in VERSIONS {
        let zeros = [0, 159, 146, 150, b'\r', b'\n'];
        for (media, body) in [
            ("Content-Type: application/json\r\n", br#"{"email":"CANARY"}"#.as_slice()),
            ("Content-Type: application/json\r\n", b"{"),
            ("Content-Type: text/html; charset=iso-8859-1\r\n", b"<p>\xe9</p>"),
            ("Content-Type: image/png\r\n", &zeros),
            ("", b"ok"),
        ] {
            let world = world(version, answer("200 OK", media, body)).await;
            let reply = world.send(request("GET", "/static/a/b.js", DESK)).await;
            assert_eq!(reply.bytes.as_deref(), Some(body), "{media}");
            assert_eq!(world.record().await, "allowed");
            assert_eq!(world.accesses().await, ["contact.email keep 1", "opaque keep 1"][1..]);
        }
        let packed = coding::pack(crate::coding::Coding::Brotli, "plain");
        let lines = "Content-Type: text/plain\r\nContent-Encoding: br\r\n";
        let reply = world(version, answer("200 OK", lines, &packed))
            .await
            .send(request("GET", "/static/a", DESK))
            .await;
        assert_eq!(reply.body.as_deref(), Some("plain"), "{reply:?}");
    }
}

/// It is the body that passes, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn headers_and_errors_of_what_passes_are_treated_as_all_others() {
    for version in VERSIONS {
        let lines = "Content-Type: text/html\r\nETag: \"CANARY\"\r\nLast-Modified: CANARY\r\nAccept-Ranges: bytes\r\n\
                 X-Build: 7\r\nX-Host: mail@CANARY\r\nSet-Cookie: CANARY\r\n";
        let world_ = world(version, answer("200 OK", lines, b"ok")).await;
        let more = "Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\nCookie: a=b\r\n";
        let billing = DESK.replace("support", "billing");
        let reply = world_.send(request("GET", "/static/a", &format!("{billing}{more}"))).await;
        assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        for line in ["cache-control: no-store", "x-build: 7", "data-purpose: billing"] {
            assert!(reply.head.contains(line), "{line}: {reply:?}");
        }
        let asked = world_.asked.lock().unwrap().join("").to_ascii_lowercase();
        for name in ["range", "if-none-match", "cookie", "api-key"] {
            assert!(!asked.contains(name), "{asked}");
        }
        for (status, lines, reason) in [
            ("206 Partial Content", "Content-Range: bytes 0-1/4\r\n", "partial-content"),
            ("200 OK", "Content-Type: application/grpc\r\n", "media-not-allowed"),
            ("200 OK", "Content-Type: application/grpc+proto\r\n", "media-not-allowed"),
            ("200 OK", "Content-Type: a/b\r\nContent-Type: c/d\r\n", "media-not-allowed"),
            ("200 OK", "Content-Encoding: compress\r\n", "coding-not-supported"),
        ] {
            let world = world(version, answer(status, lines, b"CANARY")).await;
            let reply = world.send(request("GET", "/static/a", DESK)).await;
            assert_eq!(reply.reason(), reason, "{lines}");
            assert_eq!(world.record().await, format!("refused {reason}"));
        }
        let world =
            world(version, answer("503 Oh", "Content-Type: text/html\r\n", b"CANARY")).await;
        let reply = world.send(request("GET", "/health", "")).await;
        assert_eq!(reply.status, 503);
        assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        assert_eq!(world.accesses().await, ["contact.email drop 1"], "a body of ours is no access");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_no_longer_than_it_may_be() {
    for version in VERSIONS {
        for (limit, reason) in [(6, ""), (5, "body-too-large")] {
            let change = |settings: &mut Settings| settings.limits.pass_bytes = limit;
            let world = World::with(answer("200 OK", "", b"CANARY"), OPEN, change, None)
                .await
                .speaking(version);
            let reply = world.send(request("GET", "/health", "")).await;
            if reason.is_empty() {
                assert_eq!(reply.body.as_deref(), Some("CANARY"));
            } else {
                assert_eq!(reply.reason(), reason);
            }
        }
    }
}

/// Nobody has to say who asks where a rule says so; whoever says it has to be right.
#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_ask_only_where_a_rule_says_so() {
    for version in VERSIONS {
        let lone = "Api-Key: lone-key\r\n";
        for (path, lines, expected) in [
            ("/health", "", "allowed unknown unknown GET /health"),
            ("/health", "Data-Purpose: CANARY\r\n", "allowed unknown unknown GET /health"),
            ("/health", "Api-Key: desk-key\r\n", "allowed desk unknown GET /health"),
            ("/health", DESK, "allowed desk support GET /health"),
            ("/health", lone, "allowed lone support GET /health"),
            ("/docs/a/b?lang=fr", "", "allowed unknown unknown GET /docs/{*page}"),
            ("/health", "Api-Key: CANARY\r\n", "caller-unknown unknown unknown unknown"),
            (
                "/health",
                "Api-Key: desk-key\r\nData-Purpose: fun\r\n",
                "purpose-unknown desk unknown unknown",
            ),
            (
                "/health",
                "Api-Key: lone-key\r\nData-Purpose: billing\r\n",
                "purpose-not-allowed lone billing unknown",
            ),
            ("/health?x=1", "", "parameter-not-allowed unknown unknown GET /health"),
            ("/docs/a?mail=CANARY", "", "parameter-withheld unknown unknown GET /docs/{*page}"),
            ("/docs/a?mail=x", DESK, "allowed desk support GET /docs/{*page}"),
            ("/static/a", "", "caller-unknown unknown unknown unknown"),
            ("/c/7", "", "caller-unknown unknown unknown unknown"),
            ("/nowhere", "", "caller-unknown unknown unknown unknown"),
            ("/static/a", "Api-Key: desk-key\r\n", "purpose-missing desk unknown unknown"),
        ] {
            let world = world(version, answer("200 OK", "", b"ok")).await;
            let reply = world.send(request("GET", path, lines)).await;
            let record = world.record().await;
            let metrics = world.metrics.render();
            let mut series = metrics
                .lines()
                .filter(|line| line.starts_with("tamis_requests_total{") && line.ends_with(" 1"));
            let series = series.next().unwrap();
            let label = |name: &str| {
                let (_, rest) = series.split_once(&format!("{name}=\"")).unwrap();
                rest.split('"').next().unwrap()
            };
            let is = record.rsplit(' ').next().unwrap();
            let is = format!("{is} {} {} {}", label("caller"), label("purpose"), label("route"));
            assert_eq!(is, expected, "{path} {lines} {reply:?}");
            assert_eq!(reply.status == 200, is.starts_with("allowed"));
            assert_eq!(world.asked.lock().unwrap().len(), usize::from(reply.status == 200));
        }
        // Its HEAD, too; but a body is one of a request that nobody let pass.
        for (method, lines, status) in [("HEAD", "", 200), ("GET", "Content-Length: 2\r\n", 403)] {
            let world = world(version, answer("200 OK", "", b"")).await;
            let reply = world.send(request(method, "/health", lines) + "{}").await;
            assert_eq!(reply.status, status, "{reply:?}");
        }
    }
}

/// All who do not say who they are have together what one caller has; who may not ask takes nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_for_not_saying_who_it_is() {
    for version in VERSIONS {
        let limit = |settings: &mut Settings| settings.limits.caller_requests_per_second = Some(1);
        let world =
            World::with(answer("200 OK", "", b"ok"), OPEN, limit, None).await.speaking(version);
        for _ in 0..10 {
            assert_eq!(world.send(request("GET", "/c/7", "")).await.reason(), "caller-unknown");
        }
        assert_eq!(world.send(request("GET", "/health", "")).await.status, 200);
        let mut asked = 1;
        // However slow this machine is, it sends two in a second some time.
        while world.send(request("GET", "/health", "")).await.status == 200 && asked < 10_000 {
            asked += 1;
        }
        assert_ne!(asked, 10_000, "there is a limit");
        let known = world.send(request("GET", "/health", DESK)).await;
        assert_eq!(known.status, 200, "who says who it is has its own");
    }
}
