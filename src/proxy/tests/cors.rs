//! Browsers, and protocols that nobody could look into, over the wire.

use super::*;

fn cors_policy() -> String {
    POLICY.replace(
        "    headers: { request: [X-Tenant], response: { X-Total: public } }",
        "    headers: { request: [X-Tenant], response: { X-Total: public } }\n    \
         cors: { origins: [\"https://app.test\", \"http://localhost:3000\"], because: it is ours }",
    )
}

async fn world(version: Version) -> World {
    World::with(Upstream::json(BODY), &cors_policy(), |_| {}, None).await.speaking(version)
}

/// The value of a header, lower-case; it stands at most once.
fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let lines = reply.head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = found.next();
    assert_eq!(found.next(), None, "{name}: {reply:?}");
    first
}

const PREFLIGHT: &str = "Origin: https://app.test\r\nAccess-Control-Request-Method: GET\r\n\
    Access-Control-Request-Headers: data-purpose,api-key\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_by_rule_and_asks_no_upstream() {
    for version in VERSIONS {
        for (path, methods) in
            [("/c", "get, head, post"), ("/c/7", "get, head, put"), ("/plain", "get, head")]
        {
            let world = world(version).await;
            let reply = world.send(request("OPTIONS", path, PREFLIGHT)).await;
            assert_eq!((reply.status, reply.body.as_deref()), (204, Some("")), "{reply:?}");
            assert_eq!(header(&reply, "access-control-allow-origin"), Some("https://app.test"));
            assert_eq!(header(&reply, "access-control-allow-methods"), Some(methods));
            let headers = header(&reply, "access-control-allow-headers").unwrap();
            for name in ["api-key", "data-purpose", "content-type", "x-tenant"] {
                assert!(headers.split(", ").any(|one| one == name), "{name}: {headers}");
            }
            assert_eq!(header(&reply, "vary"), Some("origin"));
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            assert_eq!(header(&reply, "access-control-allow-credentials"), None);
            assert_eq!(world.record().await, "allowed");
            let series = "route=\"preflight\"} 1";
            assert!(world.metrics.render().contains(series));
            assert_eq!(world.classes(), ["crm preflight 2xx"]);
            assert!(world.asked.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_preflight_of_a_listed_page_is_denied() {
    for version in VERSIONS {
        let of = |origin: &str| PREFLIGHT.replace("https://app.test", origin);
        let no_method = "Origin: https://app.test\r\n".to_owned();
        let with_key = format!("{no_method}Api-Key: desk-key\r\nData-Purpose: support\r\n");
        for (path, lines, reason) in [
            ("/c", of("https://app.test.evil.test"), "origin-not-allowed"),
            ("/c", of("http://app.test"), "origin-not-allowed"),
            ("/c", of("https://APP.test"), "origin-not-allowed"),
            ("/c", of("https://app.test:444"), "origin-not-allowed"),
            ("/c", of("null"), "origin-not-allowed"),
            ("/c", of("*"), "origin-not-allowed"),
            ("/c", of("https://app.test, https://app.test"), "origin-not-allowed"),
            ("/nowhere", PREFLIGHT.to_owned(), "route-unknown"),
            ("/c/../c", PREFLIGHT.to_owned(), "path-not-canonical"),
            // Twice, or without the method: as any other request, which has to say who asks.
            ("/c", format!("{PREFLIGHT}Origin: https://app.test\r\n"), "caller-unknown"),
            ("/c", no_method, "caller-unknown"),
            ("/c", with_key, "route-unknown"),
        ] {
            let world = world(version).await;
            let reply = world.send(request("OPTIONS", path, &lines)).await;
            assert_eq!(reply.reason(), reason, "{lines}");
            assert_eq!(world.record().await, format!("denied {reason}"));
            if reason == "origin-not-allowed" {
                assert_eq!(header(&reply, "access-control-allow-origin"), None, "{lines}");
            }
            assert!(world.asked.lock().unwrap().is_empty());
        }
        // Without the rule nothing is said of other origins.
        let world = World::new(Upstream::json(BODY)).await.speaking(version);
        let both = format!("{PREFLIGHT}Api-Key: desk-key\r\nData-Purpose: support\r\n");
        let reply = world.send(request("OPTIONS", "/c", &both)).await;
        assert_eq!(reply.reason(), "route-unknown");
        assert_eq!(
            (header(&reply, "vary"), header(&reply, "access-control-allow-origin")),
            (None, None)
        );
    }
}

/// Also of one that is denied: the page should know why.
#[tokio::test(flavor = "multi_thread")]
async fn a_listed_page_may_read_the_response() {
    for version in VERSIONS {
        let upstream = BODY.len();
        let upstream = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n\
         Access-Control-Allow-Credentials: true\r\nVary: Cookie\r\nContent-Length: {upstream}\r\n\r\n{BODY}"
        );
        for (origin, is_listed) in [
            ("Origin: https://app.test\r\n", true),
            ("Origin: http://localhost:3000\r\n", true),
            ("Origin: https://evil.test\r\n", false),
            ("Origin: null\r\n", false),
            ("", false),
        ] {
            for (purpose, status) in [("support", 200), ("fun", 403)] {
                let upstream = Upstream::bytes(&*upstream);
                let world =
                    World::with(upstream, &cors_policy(), |_| {}, None).await.speaking(version);
                let reply = world.get("/c/7", purpose, origin).await;
                assert_eq!(reply.status, status);
                let allowed = header(&reply, "access-control-allow-origin");
                let expected = origin.strip_prefix("Origin: ").map(str::trim_end);
                assert_eq!(allowed, expected.filter(|_| is_listed));
                let exposed = header(&reply, "access-control-expose-headers");
                assert_eq!(exposed.is_some(), is_listed);
                assert!(exposed.is_none_or(
                    |names| names.contains("tamis-policy") && names.contains("x-total")
                ));
                let vary = if status == 200 { "origin, accept-encoding" } else { "origin" };
                assert_eq!(header(&reply, "vary"), Some(vary), "{reply:?}");
                assert_eq!(header(&reply, "access-control-allow-credentials"), None);
                for asked in world.asked.lock().unwrap().iter() {
                    assert!(!asked.to_ascii_lowercase().contains("origin:"), "{asked}");
                }
            }
        }
    }
}

/// After an upgrade nobody could say what the bytes are; an offer of HTTP/2 is left alone, for some
/// clients make it with every request.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_protocol_is_spoken() {
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for lines in [
        socket,
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.3\r\n",
        "Upgrade: \r\n",
    ] {
        let world = World::new(Upstream::json(BODY)).await;
        let reply = world.get("/c/7", "support", lines).await;
        assert_eq!(reply.reason(), "upgrade-not-allowed", "{lines}");
        assert_eq!(world.record().await, "denied upgrade-not-allowed");
        assert!(world.asked.lock().unwrap().is_empty());
    }
    let world = World::new(Upstream::json(BODY)).await;
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
    let reply = world.get("/c/7", "support", offer).await;
    assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
    let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
    assert!(!asked.contains("upgrade") && !asked.contains("http2-settings"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_and_an_echo_are_denied() {
    let both = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    for target in ["crm.test:80", "/c/7"] {
        let world = World::new(Upstream::json(BODY)).await;
        let reply = world.send(request("CONNECT", target, both)).await;
        assert!(matches!(reply.status, 400 | 403 | 405), "{target}: {reply:?}");
        assert!(world.asked.lock().unwrap().is_empty());
    }
    for version in VERSIONS {
        let world = World::new(Upstream::json(BODY)).await.speaking(version);
        let lines = format!("{both}Cookie: CANARY\r\n");
        let reply = world.send(request("TRACE", "/c/7", &lines)).await;
        assert_eq!(reply.reason(), "route-unknown");
        assert!(!reply.raw.contains(WITHHELD) && world.asked.lock().unwrap().is_empty());
    }
}

/// It has no path, and its stream stays open for what would go through.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_of_http_2_is_denied_as_any_other_request_is() {
    for more in ["", "CANARY"] {
        let world = World::new(Upstream::json(BODY)).await;
        let stream = TcpStream::connect(world.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let head = http::Request::connect("crm.test:80")
            .header("api-key", "desk-key")
            .header("data-purpose", "support");
        let (response, mut tunnel) = client.send_request(head.body(()).unwrap(), false).unwrap();
        if tunnel.send_data(Bytes::from_static(more.as_bytes()), false).is_err() {
            // The answer came first.
        }
        let reply = timeout(Duration::from_secs(20), Reply::of_http_2(response)).await.unwrap();
        assert_eq!((reply.status, &*reply.reason()), (403, "route-unknown"));
        assert_eq!(world.record().await, "denied route-unknown");
        assert!(world.asked.lock().unwrap().is_empty());
        // The connection goes on.
        let mut client = client.ready().await.unwrap();
        let head = http::Request::get("http://crm.test/c/7")
            .header("api-key", "desk-key")
            .header("data-purpose", "support");
        let (response, _) = client.send_request(head.body(()).unwrap(), true).unwrap();
        let reply = timeout(Duration::from_secs(20), Reply::of_http_2(response)).await.unwrap();
        assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
        assert_eq!(world.asked.lock().unwrap().len(), 1);
    }
}

/// The call, its answer and its trailers: none of it is JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_grpc_is_refused() {
    for version in VERSIONS {
        for media in ["application/grpc", "application/grpc+proto", "application/grpc+json"] {
            let world = World::new(Upstream::json(BODY)).await.speaking(version);
            let lines = format!(
                "Api-Key: desk-key\r\nData-Purpose: support\r\nContent-Type: {media}\r\nTE: trailers\r\nContent-Length: 5\r\n"
            );
            let reply = world.send(request("PUT", "/c/7", &lines) + "\0\0\0\0\0").await;
            assert_eq!(reply.reason(), "request-body-not-allowed");
            // A rule lets request bodies pass: then it is the answer.
            let upstream = Upstream::bytes(head_and(BODY, media));
            let world = World::new(upstream).await.speaking(version);
            let reply = world.send(request("POST", "/c", &lines) + "\0\0\0\0\0").await;
            assert_eq!(reply.reason(), "media-not-allowed", "{media}");
            assert_eq!(world.record().await, "refused media-not-allowed");
            assert!(!reply.raw.contains(WITHHELD));
            assert!(!world.asked.lock().unwrap()[0].to_ascii_lowercase().contains("trailers"));
        }
    }
}
