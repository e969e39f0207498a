//! Validators over the wire: what was given for one purpose, caller and set of policies is nothing to
//! any other.

use http::{HeaderValue, header};
use pingora::http::RequestHeader;

use super::*;
use crate::{
    coding::Coding,
    message::Validation,
    policy::{Ask, Target},
    transform::RootKey,
};

/// `POLICY` with validators on the routes that read, and a purpose that both callers have.
fn policy() -> String {
    let rule = "validators: { because: answers are large }";
    POLICY
        .replace(
            "GET /c/{id}: { params: { id: public, page: public, mail: contact.email },",
            &format!("GET /c/{{id}}: {{ {rule}, params: {{ id: public, page: public }},"),
        )
        .replace("GET /plain: {", &format!("GET /plain: {{ {rule},"))
        .replace("purposes: [support] }", "purposes: [support, billing] }")
}

fn key(digits: &str) -> RootKey {
    RootKey::from_hex(&digits.repeat(32)).unwrap()
}

async fn world(version: Version, upstream: impl Into<Vec<u8>>) -> World {
    let upstream = Upstream::bytes(upstream);
    World::keyed(upstream, &policy(), &key("5a"), |_| {}).await.speaking(version)
}

fn tagged(tag: &str) -> String {
    let length = BODY.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: {tag}\r\nLast-Modified: CANARY\r\n\
         Content-Length: {length}\r\n\r\n{BODY}"
    )
}

const NOT_MODIFIED: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"CANARY-7\"\r\n\r\n";

/// A header's value, as it came.
fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let head = reply.raw.split("\r\n\r\n").next().unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

async fn get(world: &World, key: &str, purpose: &str, path: &str, more: &str) -> Reply {
    let lines = format!("Api-Key: {key}-key\r\nData-Purpose: {purpose}\r\n{more}");
    world.send(request("GET", path, &lines)).await
}

/// The tag that stands for the upstream's `"CANARY-7"`.
async fn tag(version: Version, key: &str, purpose: &str, path: &str, more: &str) -> String {
    let world = world(version, tagged("\"CANARY-7\"")).await;
    let reply = get(&world, key, purpose, path, more).await;
    assert_eq!(reply.status, 200);
    header(&reply, "etag").unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

/// The condition that the upstream is asked with.
fn condition(world: &World) -> Option<String> {
    let asked = world.asked.lock().unwrap();
    let mut lines = asked.last()?.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
    found.map(|(_, value)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_leaves_sealed_and_weak_and_comes_back_as_it_was() {
    for version in VERSIONS {
        for upstream in
            ["\"CANARY-7\"", "W/\"CANARY-7\"", "\"\"", &format!("\"{}\"", "C".repeat(253))]
        {
            let world_ = world(version, tagged(upstream)).await;
            let reply = get(&world_, "desk", "support", "/c/7", "").await;
            assert_eq!(reply.body.as_deref(), Some(SIEVED));
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
            let etag = header(&reply, "etag").unwrap();
            assert!(etag.starts_with("W/\"v1.") && etag.ends_with('"'), "{etag}");
            assert_eq!(header(&reply, "cache-control"), Some("private, no-cache"));
            assert_eq!(header(&reply, "vary"), Some("Accept-Encoding, Data-Purpose, Api-Key"));
            assert_eq!(header(&reply, "last-modified"), None);
            // The same again is the same text, and means what the upstream said.
            for condition_sent in
                [etag.to_owned(), etag.replace("W/", ""), format!("\"x\", {etag},")]
            {
                let world = world(version, tagged(upstream)).await;
                let more = format!(
                    "If-None-Match: {condition_sent}\r\nIf-Modified-Since: x\r\nIf-Match: {etag}\r\nIf-Range: {etag}\r\n"
                );
                let again = get(&world, "desk", "support", "/c/7", &more).await;
                assert_eq!(header(&again, "etag"), Some(etag));
                assert_eq!(condition(&world).as_deref(), Some(upstream));
                let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
                for other in ["if-match", "if-range", "if-modified-since"] {
                    assert!(!asked.contains(other), "{asked}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_told_to_whom_it_was_given() {
    for version in VERSIONS {
        let etag = tag(version, "desk", "support", "/c/7", "").await;
        for method in ["GET", "HEAD"] {
            let world = world(version, NOT_MODIFIED).await;
            let lines =
                format!("Api-Key: desk-key\r\nData-Purpose: support\r\nIf-None-Match: {etag}\r\n");
            let reply = world.send(request(method, "/c/7", &lines)).await;
            assert_eq!((reply.status, reply.body.as_deref()), (304, Some("")), "{reply:?}");
            assert_eq!(header(&reply, "etag"), Some(&*etag));
            assert_eq!(header(&reply, "cache-control"), Some("private, no-cache"));
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
            assert_eq!(world.record().await, "allowed");
        }
    }
}

/// Whatever else decides what leaves: a validator from there is as if it were not sent, so an upstream
/// that says all the same that nothing has changed is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_304_never_crosses_purposes_callers_or_policies() {
    for version in VERSIONS {
        let zstd = "Accept-Encoding: zstd\r\n";
        let given = [
            ("another purpose", tag(version, "desk", "billing", "/c/7", "").await),
            ("another caller", tag(version, "lone", "support", "/c/7", "").await),
            ("another path", tag(version, "desk", "support", "/c/8", "").await),
            ("another query", tag(version, "desk", "support", "/c/7?page=1", "").await),
            ("another route", tag(version, "desk", "support", "/plain", "").await),
            ("another coding", tag(version, "desk", "support", "/c/7", zstd).await),
        ];
        for (what, etag) in &given {
            for upstream in [NOT_MODIFIED.to_owned(), tagged("\"CANARY-7\"")] {
                let is_answer = upstream != NOT_MODIFIED;
                let world = world(version, upstream).await;
                let reply =
                    get(&world, "desk", "support", "/c/7", &format!("If-None-Match: {etag}\r\n"))
                        .await;
                assert_eq!(condition(&world), None, "{what}");
                if is_answer {
                    assert_eq!(reply.body.as_deref(), Some(SIEVED), "{what}");
                } else {
                    assert_eq!(reply.reason(), "upstream-protocol", "{what}");
                    assert_eq!(world.record().await, "refused upstream-protocol");
                }
            }
        }
        // The same request under other policies, limits or keys.
        let etag = tag(version, "desk", "support", "/c/7", "").await;
        let upstream = || Upstream::bytes(tagged("\"CANARY-7\""));
        let reloaded = policy().replace("keep_first: 1", "keep_first: 2");
        let comment = format!("{}# said again\n", policy());
        let limit = |settings: &mut Settings| settings.limits.value_bytes = 64;
        for world in [
            World::keyed(upstream(), &reloaded, &key("5a"), |_| {}).await.speaking(version),
            World::keyed(upstream(), &comment, &key("5a"), |_| {}).await.speaking(version),
            World::keyed(upstream(), &policy(), &key("5b"), |_| {}).await.speaking(version),
            World::keyed(upstream(), &policy(), &key("5a"), limit).await.speaking(version),
        ] {
            let more = format!("If-None-Match: {etag}\r\n");
            let reply = get(&world, "desk", "support", "/c/7", &more).await;
            assert_eq!((reply.status, condition(&world)), (200, None));
            assert_ne!(header(&reply, "etag"), Some(&*etag));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_given_is_no_condition() {
    for version in VERSIONS {
        let etag = tag(version, "desk", "support", "/c/7", "").await;
        let other = tag(version, "desk", "billing", "/c/7", "").await;
        let inner = etag.trim_start_matches("W/").trim_matches('"');
        let flipped = etag.replacen("v1.", "v1.A", 1);
        let cut = format!("\"{}\"", inner.get(..inner.len() - 4).unwrap());
        let long = format!("\"v1.{}\"", "A".repeat(10_000));
        let forged = format!("\"v1.{}\"", "A".repeat(64));
        let many = format!("{}{etag}", "\"x\", ".repeat(31));
        let too_many = format!("{}{etag}", "\"x\", ".repeat(32));
        for (lines, goes_on) in [
            (vec!["*"], false),
            (vec![""], false),
            (vec!["\"CANARY-7\""], false),
            (vec!["\"v1.\"", "v1", "\"", "W/"], false),
            (vec![&*flipped], false),
            (vec![&*cut], false),
            (vec![&*long], false),
            (vec![&*forged], false),
            (vec![&*other], false),
            (vec![inner], false),
            (vec!["*", &etag], true),
            (vec![&other, &etag, &etag], true),
            (vec![&*many], true),
            (vec![&*too_many], false),
        ] {
            let world = world(version, tagged("\"CANARY-7\"")).await;
            let more: Vec<String> =
                lines.iter().map(|line| format!("If-None-Match: {line}\r\n")).collect();
            let more = more.concat();
            let reply = get(&world, "desk", "support", "/c/7", &more).await;
            assert_eq!(reply.body.as_deref(), Some(SIEVED), "{lines:?}");
            let expected = goes_on.then_some("\"CANARY-7\"");
            assert_eq!(condition(&world).as_deref(), expected, "{lines:?}");
        }
    }
}

/// Nothing is given out where no rule says so, nor of what cannot be compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_leaves_only_where_it_means_something() {
    for version in VERSIONS {
        let length = BODY.len();
        let json = "Content-Type: application/json\r\n";
        let with = |lines: &str| {
            format!("HTTP/1.1 200 OK\r\n{json}{lines}Content-Length: {length}\r\n\r\n{BODY}")
        };
        let long = format!("ETag: \"{}\"\r\n", "C".repeat(254));
        for upstream in [
            with(""),
            with("ETag: CANARY\r\n"),
            with("ETag: \"CANARY\", \"CANARY\"\r\n"),
            with("ETag: \"CANARY\"\r\nETag: \"CANARY\"\r\n"),
            with("ETag: \"CAN ARY\"\r\n"),
            with(&long),
            with("ETag: \"CANARY\"\r\n").replace("200 OK", "203 OK"),
            with("ETag: \"CANARY\"\r\n").replace("200 OK", "404 Not Found"),
            with("ETag: \"CANARY\"\r\n").replace("200 OK", "201 Created"),
        ] {
            let world = world(version, &*upstream).await;
            let reply = get(&world, "desk", "support", "/c/7", "").await;
            assert_eq!(header(&reply, "etag"), None, "{upstream}");
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            assert!(!reply.raw.contains(WITHHELD), "{reply:?}");
        }
        let etag = tag(version, "desk", "support", "/c/7", "").await;
        let more = format!("If-None-Match: {etag}\r\n");
        let world_ = world(version, tagged("\"CANARY-7\"")).await;
        let reply = get(&world_, "desk", "support", "/c", &more).await;
        assert_eq!((header(&reply, "etag"), condition(&world_)), (None, None));
        // A 304 that nobody asked for.
        for path in ["/c/7", "/c"] {
            let world = world(version, NOT_MODIFIED).await;
            let reply = get(&world, "desk", "support", path, "").await;
            assert_eq!(reply.reason(), "upstream-protocol");
        }
    }
}

/// What the upstream gets of the conditions of a request that changes something; the reason if it is denied.
async fn conditions_sent(world: &World, lines: &str) -> Result<Vec<String>, String> {
    let lines =
        format!("Api-Key: desk-key\r\nData-Purpose: support\r\nContent-Length: 2\r\n{lines}");
    let reply = world.send(request("PUT", "/c/7", &lines) + "{}").await;
    let asked = world.asked.lock().unwrap().join("");
    if reply.status != 200 {
        assert_eq!(asked, "");
        return Err(reply.reason());
    }
    let head = asked.split("\r\n\r\n").next().unwrap();
    let lines = head.split("\r\n").map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        format!("{}: {value}", name.to_ascii_lowercase())
    });
    let is_one = |line: &String| line.starts_with("if") || line.contains("range: ");
    let mut lines: Vec<String> = lines.filter(is_one).collect();
    lines.sort();
    Ok(lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_goes_on_with_its_conditions_or_not_at_all() {
    let listed = "[X-Tenant, If-Match, If-None-Match, If-Unmodified-Since, If, Content-Range]";
    let policy = policy().replace("[X-Tenant]", listed).replace(
        "PUT /c/{id}: { params: { id: public },",
        "PUT /c/{id}: { params: { id: public, page: public }, request_body: { pass: { because: it is the sender's } },",
    );
    for version in VERSIONS {
        let world = || async {
            let upstream = Upstream::bytes(tagged("\"CANARY-7\""));
            World::keyed(upstream, &policy, &key("5a"), |_| {}).await.speaking(version)
        };
        let tag = |key: &'static str,
                   purpose: &'static str,
                   path: &'static str,
                   more: &'static str| async move {
            let reply = get(&world().await, key, purpose, path, more).await;
            header(&reply, "etag").unwrap_or_else(|| panic!("{reply:?}")).to_owned()
        };
        let own = tag("desk", "support", "/c/7", "").await;
        let packed = tag("desk", "support", "/c/7", "Accept-Encoding: br\r\n").await;
        let both = format!("If-Match: {packed}, {own}\r\nIf-Unmodified-Since: x\r\n");
        let denied = || Err("condition-not-allowed".to_owned());
        for (what, lines, expected) in [
            ("none", String::new(), Ok(vec![])),
            ("one of the upstream's own", "If-Match: \"CANARY-7\"\r\n".to_owned(), denied()),
            ("one of them beside ours", format!("If-Match: {own}, \"a\"\r\n"), denied()),
            ("any", "If-None-Match: *\r\n".to_owned(), Ok(vec!["if-none-match: *"])),
            ("one of ours", format!("If-Match: {own}\r\n"), Ok(vec!["if-match: \"CANARY-7\""])),
            (
                "that of a packed answer",
                format!("If-Match: {packed}\r\n"),
                Ok(vec!["if-match: \"CANARY-7\""]),
            ),
            (
                "several",
                both,
                Ok(vec!["if-match: \"CANARY-7\", \"CANARY-7\"", "if-unmodified-since: x"]),
            ),
            (
                "none of ours",
                format!("If-None-Match: {own}\r\n"),
                Ok(vec!["if-none-match: \"CANARY-7\""]),
            ),
            ("of a lock", format!("If: ([{own}])\r\n"), Ok(vec!["if: ([\"CANARY-7\"])"])),
            (
                "a part",
                "Content-Range: bytes 0-1/2\r\n".to_owned(),
                Ok(vec!["content-range: bytes 0-1/2"]),
            ),
            ("a part to be read", "Range: bytes=0-1\r\n".to_owned(), denied()),
            ("not listed", "If-Modified-Since: x\r\n".to_owned(), denied()),
            (
                "another path",
                format!("If-Match: {}\r\n", tag("desk", "support", "/c/8", "").await),
                denied(),
            ),
            (
                "another query",
                format!("If-Match: {}\r\n", tag("desk", "support", "/c/7?page=1", "").await),
                denied(),
            ),
            (
                "another purpose",
                format!("If-Match: {}\r\n", tag("desk", "billing", "/c/7", "").await),
                denied(),
            ),
            (
                "another caller",
                format!("If-Match: {}\r\n", tag("lone", "support", "/c/7", "").await),
                denied(),
            ),
            (
                "another route",
                format!("If-Match: {}\r\n", tag("desk", "support", "/plain", "").await),
                denied(),
            ),
            (
                "one of two",
                format!("If-Match: {own}, {}\r\n", tag("desk", "billing", "/c/7", "").await),
                denied(),
            ),
        ] {
            let got = conditions_sent(&world().await, &lines).await;
            let expected = expected.map(|lines| lines.into_iter().map(str::to_owned).collect());
            assert_eq!(got, expected, "{what}");
        }
        // What reads is asked without, be they listed or not.
        let world = world().await;
        let reply = get(
            &world,
            "desk",
            "support",
            "/c/7",
            "If-Match: \"x\"\r\nIf: (x)\r\nRange: bytes=0-1\r\n",
        )
        .await;
        assert_eq!(reply.body.as_deref(), Some(SIEVED));
        let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
        assert!(!asked.contains("\r\nif") && !asked.contains("range"), "{asked}");
    }
}

/// Two answers that the upstream tells apart may look alike here: that is what is said to be revealed,
/// and it is all. Lengths of what the upstream says differ little in what leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_shows_only_that_something_has_changed() {
    for version in VERSIONS {
        let mut seen = Vec::new();
        for upstream in ["\"1\"", "\"2\"", "\"0123456789012345678901234567\"", "\"1\""] {
            let world = world(version, tagged(upstream)).await;
            let reply = get(&world, "desk", "support", "/c/7", "").await;
            seen.push(header(&reply, "etag").unwrap().to_owned());
        }
        assert_eq!(seen[0], seen[3]);
        assert!(seen[0] != seen[1] && seen[1] != seen[2]);
        assert!(seen.iter().all(|etag| etag.len() == seen[0].len()), "{seen:?}");
    }
}

/// Where an age is told, the same answer leaves in another way on another day.
#[test]
fn a_validator_is_good_for_a_day_where_an_age_is_told() {
    let days = ["2026-11-22", "2026-11-23"].map(|day| day.parse().unwrap());
    for (action, asks_the_day) in [
        ("generalise: { age_band: 10 }", true),
        ("generalise: { date: year }", false),
        ("mask: { keep_first: 1 }", false),
    ] {
        let policy = policy().replace("mask: { keep_first: 1 }", action);
        let source = Source { name: "p.yaml".to_owned(), text: policy };
        let set = load(&[source], &key("5a")).set.unwrap();
        let target = Target::parse("GET", "/c/7").unwrap();
        let (caller, purpose) = (set.caller("desk"), Some("support"));
        let permit =
            set.decide(&Ask { caller, purpose, host: Some("crm.test"), target: &target }).unwrap();
        assert_eq!(permit.plan.asks_the_day(), asks_the_day, "{action}");
        let settings = settings(SocketAddr::from(([127, 0, 0, 1], 1)), false);
        let metrics = Arc::new(Metrics::new(1000));
        let access_log = AccessLog::start(&config::AccessLog::Off, Arc::clone(&metrics)).unwrap();
        let certificates = Certificates::load(&settings).unwrap();
        let observers = Observers { metrics, access_log, unclassified: Unclassified::default() };
        let proxy = Proxy::new(settings, certificates, Policies::none(), observers);
        let mut request = RequestHeader::build("GET", b"/c/7", None).unwrap();
        request.insert_header("host", "crm.test").unwrap();
        let sealer = permit.plan.sealer().unwrap();
        let on = |day, headers: &HeaderMap| {
            let bonds = proxy.bonds(&request, &permit, Coding::Identity, day);
            Validation::of(sealer, bonds, headers)
        };
        // What the upstream says, and what the client has of it.
        let given = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
        let given_on = |day| on(day, &HeaderMap::new()).sealed(sealer, &given).unwrap();
        let kept = HeaderMap::from_iter([(header::IF_NONE_MATCH, given_on(days[0]))]);
        let condition = |day| on(day, &kept).condition();
        assert_eq!(condition(days[0]).unwrap(), "\"7\"", "{action}: on the same day");
        assert_eq!(condition(days[1]).is_none(), asks_the_day, "{action}: on the next");
        assert_eq!(given_on(days[0]) != given_on(days[1]), asks_the_day, "{action}");
    }
}
