//! Response headers that the policies know by name, over the wire.

use super::*;

const HEADS: &str = r"
tamis: 1
categories: { contact.email: E-mail address, identity.id: Customer number, money: Money, place: Address, secret: Secret, text: Text }
purposes:
  support: { title: Help, legal_basis: contract }
  billing: { title: Bill, legal_basis: contract }
  denied: { title: Nothing, legal_basis: contract }
callers:
  desk: { identify: { api_key: desk }, purposes: [support, billing, denied] }
apis:
  crm:
    headers:
      response:
        X-Customer: contact.email
        Location: identity.id
        Set-Cookie: secret
        X-Client: place
        X-Balance: money
        X-Note: text
        X-Request-Id: public
        Retry-After: text
    routes:
      GET /c/{id}: { params: { id: public }, body: { $.id: public, $.email: contact.email, $.iban: money } }
rules:
  support: { contact: { mask: { keep_first: 1 } }, place: { generalise: ip }, money: null, text: { generalise: { prefix: 2 } } }
  billing: { contact: keep, identity: keep, money: keep, place: keep, secret: keep, text: keep }
  denied: { secret: deny }
";

const LINES: &str = "X-Customer: anna@example.org\r\nX-Customer:  tom@example.org \r\nLocation: /c/C-CANARY\r\n\
    Set-Cookie: sid=CANARY\r\nSet-Cookie: who=CANARY\r\nX-Client: 192.0.2.77\r\nX-Client: CANARY\r\n\
    X-Balance: CANARY\r\nX-Note: CANARY\r\nX-Request-Id: r-1\r\nX-Other: CANARY\r\nRetry-After: 120\r\n";

/// What leaves of them for `support`, sorted.
const SUPPORT: [&str; 6] = [
    "retry-after: 12",
    "x-client: 192.0.2.0",
    "x-customer: a********",
    "x-customer: t********",
    "x-note: ca",
    "x-request-id: r-1",
];

fn answer_with(status: &str, lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}").into()
}

async fn world(version: Version, upstream: impl Into<Vec<u8>>) -> World {
    World::with(Upstream::bytes(upstream), HEADS, |_| {}, None).await.speaking(version)
}

/// The header lines of the upstream that have left, sorted.
fn listed(reply: &Reply) -> Vec<&str> {
    let own = |line: &&str| line.starts_with("x-") || line.starts_with("retry-after");
    let more = |line: &&str| line.starts_with("location") || line.starts_with("set-cookie");
    let mut lines: Vec<&str> =
        reply.head.split("\r\n").filter(|line| own(line) || more(line)).collect();
    lines.sort_unstable();
    lines
}

impl World {
    /// What is counted once there is a record: `category action accesses`, sorted.
    pub(super) async fn accesses(&self) -> Vec<String> {
        self.record().await;
        let text = self.metrics.render();
        let label = |line: &str, name: &str| -> String {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let lines = text.lines().filter(|line| line.starts_with("tamis_field_accesses_total{"));
        let lines = lines.filter(|line| !line.ends_with(" 0"));
        let mut counted: Vec<String> = lines
            .map(|line| {
                let number = line.rsplit(' ').next().unwrap();
                format!("{} {} {number}", label(line, "category"), label(line, "action"))
            })
            .collect();
        counted.sort();
        counted
    }
}

const HEAD_COUNTS: [&str; 8] = [
    "contact.email mask 2",
    "identity.id drop 1",
    "money null 1",
    "place generalise 1",
    "place unfit 1",
    "public keep 1",
    "secret drop 1",
    "text generalise 2",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_header_leaves_as_its_category_does() {
    for version in VERSIONS {
        let json = format!("Content-Type: application/json\r\n{LINES}");
        let body = r#"{"id":7,"email":"anna@example.org","iban":"CANARY"}"#;
        let world_ = world(version, answer_with("200 OK", &json, body)).await;
        let reply = world_.get("/c/7", "support", "").await;
        assert_eq!(reply.body.as_deref(), Some(r#"{"id":7,"email":"a********","iban":null}"#));
        assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        assert_eq!(listed(&reply), SUPPORT);
        // With those of the body; what is withheld in both is counted once.
        let mut counts = HEAD_COUNTS.to_vec();
        counts[0] = "contact.email mask 3";
        counts[5] = "public keep 2";
        assert_eq!(world_.accesses().await, counts);

        let world = world(version, answer_with("200 OK", &json, body)).await;
        let reply = world.get("/c/7", "billing", "").await;
        let lines: Vec<String> = LINES.to_ascii_lowercase().lines().map(str::to_owned).collect();
        let mut kept: Vec<&str> = lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.starts_with("x-other"))
            .collect();
        kept[1] = "x-customer: tom@example.org";
        kept.sort_unstable();
        assert_eq!(listed(&reply), kept);
    }
}

/// Whatever becomes of the body.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_errors_redirects_and_empty_answers_are_treated_as_all_others() {
    for version in VERSIONS {
        let problem = format!("Content-Type: application/problem+json\r\n{LINES}");
        let html = format!("Content-Type: text/html\r\n{LINES}");
        for (status, lines, body) in [
            ("404 Not Found", &html, "<p>CANARY</p>"),
            ("410 Gone", &problem, r#"{"title":"Gone","detail":"CANARY"}"#),
            ("500 Oh", &LINES.to_owned(), ""),
            ("302 Found", &html, "<p>CANARY</p>"),
            ("307 Temporary Redirect", &LINES.to_owned(), ""),
            ("201 Created", &LINES.to_owned(), ""),
        ] {
            let world = world(version, answer_with(status, lines, body)).await;
            let reply = world.get("/c/7", "support", "").await;
            assert!(status.starts_with(&reply.status.to_string()), "{status}: {reply:?}");
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
            assert_eq!(listed(&reply), SUPPORT, "{status}");
            let counts = world.accesses().await;
            for expected in HEAD_COUNTS.iter().filter(|count| !count.starts_with("public")) {
                assert!(counts.iter().any(|count| count == expected), "{status}: {counts:?}");
            }
        }
        // Where there is no body at all, these are all that is counted.
        let no_content = format!("HTTP/1.1 204 No Content\r\n{LINES}\r\n");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{LINES}\r\n");
        for (upstream, method) in [(no_content, "GET"), (head, "HEAD")] {
            let world = world(version, upstream).await;
            let lines = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
            let reply = world.send(request(method, "/c/7", lines)).await;
            assert_eq!(listed(&reply), SUPPORT, "{method}");
            assert_eq!(world.accesses().await, HEAD_COUNTS, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_can_give_a_denied_header_asks_no_upstream() {
    for version in VERSIONS {
        let world =
            world(version, answer_with("200 OK", "Content-Type: application/json\r\n", "{}")).await;
        let reply = world.get("/c/7", "denied", "").await;
        assert_eq!(reply.reason(), "category-denied");
        assert_eq!(world.record().await, "denied category-denied");
        assert!(world.asked.lock().unwrap().is_empty());
    }
}

/// Neither the value nor whether the line is there changes a byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_header_changes_nothing_else() {
    for version in VERSIONS {
        let long = "x".repeat(9000);
        let of = |location: &str| {
            format!("Content-Type: application/json\r\nX-Customer: anna@example.org\r\n{location}")
        };
        let mut seen = Vec::new();
        for location in [
            "",
            "Location: /c/1\r\n",
            "Location: https://elsewhere.test/?q=1\r\nSet-Cookie: a=b; Secure\r\n",
            &format!("Location: {long}\r\nX-Balance: 12\r\nX-Balance: 13\r\n"),
            "Location: \r\nX-Balance:\r\n",
        ] {
            for (status, body) in [("200 OK", r#"{"id":7}"#), ("302 Found", r#"{"id":7}"#)] {
                let world = world(version, answer_with(status, &of(location), body)).await;
                let reply = world.get("/c/7", "support", "").await;
                let lines: Vec<&str> = reply
                    .raw
                    .lines()
                    .filter(|line| !line.to_ascii_lowercase().starts_with("date: "))
                    .collect();
                seen.push((status, lines.join("\n"), world.accesses().await));
            }
        }
        for (status, reply, counts) in &seen {
            let (_, first, first_counts) = seen.iter().find(|(other, ..)| other == status).unwrap();
            assert_eq!((reply, counts), (first, first_counts));
        }
    }
}

/// A value that is no text, or would be none of a header any more, is removed and counted as unfit;
/// where it is kept it is the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_its_action_cannot_treat_is_removed() {
    for version in VERSIONS {
        let mut lines = b"Content-Type: application/json\r\n".to_vec();
        for line in [
            &b"X-Customer: CANARY-\xff"[..],
            b"X-Note: C\tANARY",
            b"X-Note: CA",
            b"X-Client: 2001:db8:1:2::7",
            "X-Note: éàCANARY".as_bytes(),
        ] {
            lines.extend_from_slice(line);
            lines.extend_from_slice(b"\r\n");
        }
        let mut upstream = b"HTTP/1.1 200 OK\r\n".to_vec();
        upstream.extend_from_slice(&lines);
        upstream.extend_from_slice(b"Content-Length: 2\r\n\r\n{}");
        let world_ = world(version, upstream.clone()).await;
        let reply = world_.get("/c/7", "support", "").await;
        assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        assert_eq!(listed(&reply), ["x-client: 2001:db8:1::", "x-note: éà"]);
        let counts = world_.accesses().await;
        for expected in
            ["contact.email unfit 1", "text unfit 2", "text generalise 1", "place generalise 1"]
        {
            assert!(counts.iter().any(|count| count == expected), "{counts:?}");
        }
        let world = world(version, upstream).await;
        let reply = world.get("/c/7", "billing", "").await;
        let as_sent = b"CANARY-\xff\r\n";
        assert!(reply.wire.windows(as_sent.len()).any(|bytes| bytes == as_sent), "{reply:?}");
    }
}

/// What speaks of the upstream's bytes is wrong about those that leave, and tells of those that do not.
#[tokio::test(flavor = "multi_thread")]
async fn no_digest_signature_or_range_of_the_upstream_leaves() {
    for version in VERSIONS {
        let names = [
            "Content-Digest",
            "Repr-Digest",
            "Digest",
            "Want-Content-Digest",
            "Want-Repr-Digest",
            "Want-Digest",
            "Content-MD5",
            "Signature",
            "Signature-Input",
            "ETag",
            "Last-Modified",
            "Accept-Ranges",
            "Content-Range",
            "Trailer",
            "Age",
            "Expires",
            "Pragma",
            "Warning",
            "Content-Location",
            "Alt-Svc",
            "X-Accel-Redirect",
        ];
        let lines = names.map(|name| format!("{name}: CANARY\r\n")).concat();
        for (status, media, body) in [
            ("200 OK", "application/json", r#"{"id":7}"#),
            ("200 OK", "text/csv", "a;b\n"),
            ("404 Not Found", "application/problem+json", r#"{"title":"Gone"}"#),
            ("500 Oh", "text/html", "CANARY"),
            ("302 Found", "text/html", "CANARY"),
            ("201 Created", "application/json", ""),
        ] {
            let lines = format!("Content-Type: {media}\r\n{lines}");
            let world = World::new(Upstream::bytes(answer_with(status, &lines, body)))
                .await
                .speaking(version);
            let reply = world.get("/c/7", "support", "").await;
            assert_eq!(world.record().await, "allowed", "{status}");
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
            for name in names {
                let begins = format!("{}:", name.to_ascii_lowercase());
                assert!(
                    !reply.head.lines().any(|line| line.starts_with(&begins)),
                    "{name}: {reply:?}"
                );
            }
        }
    }
}

/// None but the 100 that tamis itself gives; what they say is for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn no_interim_response_of_the_upstream_leaves() {
    let interim = "HTTP/1.1 100 Continue\r\nX-Total: CANARY\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\nLink: CANARY\r\nX-Total: CANARY\r\n\r\nHTTP/1.1 199 CANARY\r\n\r\n";
    for (body, pieces) in [(BODY, 1), (BODY, 2), (BODY, 40)] {
        let whole = format!("{interim}{}", head_and(body, "application/json"));
        let size = whole.len().div_ceil(pieces);
        let pieces = whole.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        let (reply, record) = check(Upstream::Pieces(pieces)).await;
        assert!(reply.raw.starts_with("HTTP/1.1 200 OK\r\n"), "{reply:?}");
        assert_eq!((reply.body.as_deref(), record.as_str()), (Some(SIEVED), "allowed"));
        assert_eq!(reply.raw.matches("HTTP/1.1 ").count(), 1, "{reply:?}");
    }
}

/// Of either protocol, to clients of either.
#[tokio::test(flavor = "multi_thread")]
async fn no_trailer_of_the_upstream_leaves() {
    let trailers = "0\r\nX-Total: CANARY\r\nContent-Digest: CANARY\r\n\r\n";
    let head = "Transfer-Encoding: chunked\r\nTrailer: X-Total, Content-Digest";
    let chunked =
        chunked(BODY, 9).replace("Transfer-Encoding: chunked", head).replace("0\r\n\r\n", trailers);
    assert!(chunked.ends_with(trailers) && chunked.contains("Trailer: "));
    for upstream in [Upstream::bytes(chunked), Upstream::H2 { body: BODY, end: H2End::Trailers }] {
        let (reply, record) = check(upstream.clone()).await;
        assert_eq!((reply.body.as_deref(), record.as_str()), (Some(SIEVED), "allowed"));
        assert!(!reply.head.contains("trailer"), "{reply:?}");
        let world = World::new(upstream).await;
        let (status, body, ended) = get_h2(&world, "support").await;
        assert_eq!((status, str::from_utf8(&body).unwrap(), ended), (200, SIEVED, true));
    }
}

/// What leaves for `support` of a head with these lines, whole or byte by byte; none where it is refused.
async fn check_lines(lines: &str, expected: Option<&[&str]>) {
    let json = format!("{lines}\r\nContent-Type: application/json\r\n");
    let answer = answer_with("200 OK", &json, r#"{"id":7}"#);
    let bytes = answer.iter().map(|byte| vec![*byte]).collect();
    for upstream in [Upstream::bytes(answer.clone()), Upstream::Pieces(bytes)] {
        let world = World::with(upstream, HEADS, |_| {}, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert!(!reply.raw.contains(WITHHELD), "{lines:?}: {reply:?}");
        if let Some(expected) = expected {
            assert_eq!(listed(&reply), expected, "{lines:?}");
            assert_eq!(reply.body.as_deref(), Some(r#"{"id":7}"#), "{lines:?}");
            assert_eq!(world.record().await, "allowed", "{lines:?}");
        } else {
            assert_eq!((reply.status, &*reply.reason()), (502, "upstream-protocol"), "{lines:?}");
            assert_eq!(world.record().await, "refused upstream-protocol", "{lines:?}");
        }
    }
}

/// RFC 9112 lets who reads an answer take a line feed for a line end (section 2.2), and a line that goes on in
/// the next for one with a space there (section 5.2). Before tamis sees a head that is what has been done with it; so
/// that nobody behind it has to know of such lines, none leaves.
#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_head_that_can_be_read_in_two_ways_leave_in_one() {
    for (lines, expected) in [
        ("X-Request-Id: a\r\n b", &["x-request-id: a b"][..]),
        ("X-Request-Id: a \r\n\t b\r\n  c", &["x-request-id: a b c"]),
        ("X-Request-Id:\r\n a", &["x-request-id: a"]),
        ("X-Request-Id: a\r\n ", &["x-request-id: a"]),
        ("X-Request-Id: a\n b", &["x-request-id: a b"]),
        // What goes on is treated as all of it is, or stays with it.
        ("X-Customer: anna@example.org\r\n tom@CANARY", &["x-customer: a********"]),
        ("X-Other: b\r\n X-Request-Id: CANARY", &[]),
        // A line is one whatever ends it.
        ("X-Request-Id: a\nX-Customer: tom@CANARY", &["x-customer: t********", "x-request-id: a"]),
        ("X-Other: b\nX-Request-Id: a", &["x-request-id: a"]),
    ] {
        check_lines(lines, Some(expected)).await;
    }
    for lines in [
        "X-Request-Id: a\rX-Customer: CANARY",
        "X-Request-Id: a\r b",
        "X-Request-Id: a\r\r\n",
        "X-Request-Id: a\0CANARY",
        "X-Request-Id: a\u{1}CANARY",
        "X-Request-Id: a\u{7f}CANARY",
        "X-Request\r\n -Id: CANARY",
        "X-Request-Id\r\n : CANARY",
        " X-Request-Id: CANARY",
        // A length is one number, and no two that are written one below the other.
        "Content-Length: 8\r\n 0",
    ] {
        check_lines(lines, None).await;
    }
}
