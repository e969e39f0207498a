//! Requests that look like none: each is answered, and on record.

use super::*;

/// A request of HTTP/2 as these lines, which no library would send: the problem or the body with which it is answered, or
/// the code of its reset.
async fn ask(world: &World, lines: &[(&str, &str)]) -> Result<String, u32> {
    let mut head = Vec::new();
    for (name, value) in lines {
        // A literal without indexing and with a new name (RFC 7541, section 6.2.2), lengths of seven bits.
        head.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "{text}");
            head.push(u8::try_from(text.len()).unwrap());
            head.extend_from_slice(text.as_bytes());
        }
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&settings).await.unwrap();
    let length = u16::try_from(head.len()).unwrap().to_be_bytes();
    // The end of the headers, and of the stream.
    let frame = [0, length[0], length[1], 1, 5, 0, 0, 0, 1];
    stream.write_all(&[&frame[..], &head].concat()).await.unwrap();
    let mut body = Vec::new();
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        let mut payload = vec![0; usize::from(frame[1]) << 8 | usize::from(frame[2])];
        stream.read_exact(&mut payload).await.unwrap();
        let (kind, flags, number) = (frame[3], frame[4], frame[8]);
        match (kind, number) {
            (0, 1) => body.extend_from_slice(&payload),
            (3, 1) => return Err(u32::from_be_bytes(payload.try_into().unwrap())),
            (7, _) => return Err(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
            _ => {}
        }
        if kind <= 1 && number == 1 && flags & 1 == 1 {
            return Ok(String::from_utf8(body).unwrap());
        }
    }
}

const KEY: (&str, &str) = ("api-key", "desk-key");
const PURPOSE: (&str, &str) = ("data-purpose", "support");
const GET: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const HOST: (&str, &str) = (":authority", "crm.test");
const PATH: (&str, &str) = (":path", "/c/7");

/// A request that is one is answered with a reason, and on record.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_request_of_http_2_is_answered_and_on_record() {
    let host = "host-not-valid";
    let path = "path-not-canonical";
    let mut wrong = Vec::new();
    for (lines, reason) in [
        (&[GET, SCHEME, HOST, PATH][..], "allowed"),
        (&[GET, SCHEME, HOST, PATH, ("host", "crm.test")], "allowed"),
        (&[GET, SCHEME, PATH, ("host", "crm.test")], "allowed"),
        (&[GET, SCHEME, HOST, PATH, ("host", "other.test")], host),
        (&[GET, SCHEME, HOST, PATH, ("host", "crm.test"), ("host", "crm.test")], host),
        (&[GET, SCHEME, PATH, ("host", "crm.test"), ("host", "other.test")], host),
        (&[GET, SCHEME, (":authority", "anna@crm.test"), PATH], host),
        (&[GET, SCHEME, (":authority", "crm.test:x"), PATH], host),
        (&[GET, SCHEME, PATH], host),
        (&[GET, SCHEME, HOST, (":path", "//crm.test/c/7")], path),
        (&[GET, SCHEME, HOST, (":path", "/c/\"7\"")], "allowed"),
        (&[GET, SCHEME, HOST, (":path", "/c/é")], path),
        (&[GET, SCHEME, HOST, (":path", "*")], path),
        (
            &[GET, SCHEME, HOST, PATH, ("content-length", "0"), ("content-length", "0")],
            "request-unreadable",
        ),
        (&[GET, (":scheme", "https"), HOST, PATH], "allowed"),
        (&[GET, (":scheme", "ftp"), HOST, PATH], "request-unreadable"),
        (&[GET, (":scheme", ""), HOST, PATH], "request-unreadable"),
        (&[GET, SCHEME, HOST, PATH, ("x-tenant", " t")], "request-unreadable"),
        (&[GET, SCHEME, HOST, PATH, ("x-tenant", "t\t")], "request-unreadable"),
        (&[GET, SCHEME, HOST, PATH, ("x-tenant", "")], "allowed"),
        (&[(":method", "CONNECT"), HOST], "route-unknown"),
    ] {
        let world = World::new(Upstream::json(BODY)).await;
        let answer = ask(&world, &[lines, &[KEY, PURPOSE]].concat()).await;
        let expected = if reason == "allowed" { SIEVED } else { reason };
        if !answer.as_ref().is_ok_and(|it| it.contains(expected)) {
            wrong.push(format!("{lines:?}: {answer:?}"));
            continue;
        }
        let record = world.record().await;
        assert!(record == reason || record == format!("denied {reason}"), "{lines:?}: {record}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is none ends in a reset: nobody can say what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_http_2_is_reset() {
    const PROTOCOL_ERROR: u32 = 1;
    let mut wrong = Vec::new();
    for lines in [
        &[GET, SCHEME, HOST][..],
        &[SCHEME, HOST, PATH],
        &[GET, SCHEME, HOST, PATH, ("Accept", "*/*")],
        &[GET, SCHEME, HOST, PATH, ("connection", "close")],
        &[GET, SCHEME, HOST, PATH, ("transfer-encoding", "chunked")],
        &[GET, SCHEME, HOST, PATH, ("content-length", "7")],
        &[GET, SCHEME, HOST, (":path", "/c/7 ")],
        &[GET, SCHEME, HOST, (":path", "/c/<7>")],
        &[GET, SCHEME, HOST, (":path", "http://crm.test/c/7")],
        &[GET, SCHEME, HOST, (":path", "/c/7\r\nHost: other.test")],
    ] {
        let world = World::new(Upstream::json(BODY)).await;
        let answer = ask(&world, &[lines, &[KEY, PURPOSE]].concat()).await;
        if answer != Err(PROTOCOL_ERROR) {
            wrong.push(format!("{lines:?}: {answer:?}"));
        }
        assert!(world.asked.lock().unwrap().is_empty(), "{lines:?}");
        // Nobody has it on record, so it is counted, whether the library ends the stream or the connection.
        let counted = ["stream", "connection"].map(|scope| {
            let series =
                format!("http2_errors_total{{code=\"PROTOCOL_ERROR\",scope=\"{scope}\"}} 1");
            usize::from(world.metrics.render().contains(&series))
        });
        assert_eq!(counted.iter().sum::<usize>(), 1, "{lines:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_request_of_http_1_is_answered_and_on_record() {
    const KEYS: &str = "Api-Key: desk-key\r\nData-Purpose: support\r\nConnection: close\r\n";
    let mut wrong = Vec::new();
    for (line, reason) in [
        ("GET /c/7 HTTP/1.1", "allowed"),
        // RFC 9112, section 2.2.
        ("\r\nGET /c/7 HTTP/1.1", "allowed"),
        ("\r\n\r\nGET /c/7 HTTP/1.1", "request-unreadable"),
        // Section 3.2.2.
        ("GET http://crm.test/c/7 HTTP/1.1", "allowed"),
        ("GET https://crm.test/c/7 HTTP/1.1", "allowed"),
        ("GET HTTP://crm.test/c/7 HTTP/1.1", "allowed"),
        ("GET http://crm.test/c/7?page=1 HTTP/1.1", "allowed"),
        ("GET http://crm.test HTTP/1.1", "route-unknown"),
        ("GET http://crm.test?page=1 HTTP/1.1", "route-unknown"),
        ("GET http://crm.test\\c/7 HTTP/1.1", "request-unreadable"),
        // A client says the same in both, also in capitals.
        ("GET http://CRM.test/c/7 HTTP/1.1", "host-not-valid"),
        ("GET http://other.test/c/7 HTTP/1.1", "host-not-valid"),
        ("GET http://anna@crm.test/c/7 HTTP/1.1", "host-not-valid"),
        ("GET ftp://crm.test/c/7 HTTP/1.1", "request-unreadable"),
        ("GET c/7 HTTP/1.1", "request-unreadable"),
        ("GET /c/\"7\" HTTP/1.1", "allowed"),
        ("GET /c/<7> HTTP/1.1", "request-unreadable"),
        ("GET /c/`7` HTTP/1.1", "request-unreadable"),
        ("GET /c/7?page=<1> HTTP/1.1", "request-unreadable"),
        ("GET /c/7?page=\"1\" HTTP/1.1", "request-unreadable"),
        ("GET /c/7?page=[1] HTTP/1.1", "allowed"),
    ] {
        let world = World::new(Upstream::json(BODY)).await;
        let reply = world.send(format!("{line}\r\nHost: crm.test\r\n{KEYS}\r\n")).await;
        let record = world.record().await;
        let is_allowed = reply.body.as_deref() == Some(SIEVED);
        let said = if is_allowed { "allowed".to_owned() } else { reply.reason() };
        let expected = if is_allowed { said.clone() } else { format!("denied {said}") };
        if said != reason || record != expected {
            wrong.push(format!("{line:?}: {said}, {record}"));
        } else if is_allowed {
            let asked = world.asked.lock().unwrap().concat();
            let path = line.trim().split(' ').nth(1).unwrap().split_once("/c/").unwrap().1;
            assert!(asked.starts_with(&format!("GET /c/{path} HTTP/1.1\r\n")), "{asked}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// RFC 9113, section 8.2.3.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_in_several_lines_go_up_in_one() {
    let policy = POLICY.replace("request: [X-Tenant]", "request: [X-Tenant, Cookie]");
    let world = World::with(Upstream::json(BODY), &policy, |_| {}, None).await;
    let cookies = [("cookie", "a=1"), ("x-tenant", "t"), ("cookie", "b=2"), ("cookie", "c=3")];
    let lines = [&[GET, SCHEME, HOST, PATH][..], &[KEY, PURPOSE], &cookies].concat();
    assert_eq!(ask(&world, &lines).await.as_deref(), Ok(SIEVED));
    let asked = world.asked.lock().unwrap().concat().to_ascii_lowercase();
    assert!(asked.contains("\r\ncookie: a=1; b=2; c=3\r\n"), "{asked}");
    assert_eq!(asked.matches("cookie").count(), 1, "{asked}");
}

/// As many headers as HTTP/1.1 may have.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_http_2_are_counted() {
    for (more, expected) in [(98, SIEVED), (99, "head-too-large")] {
        let world = World::new(Upstream::json(BODY)).await;
        let mut lines = vec![GET, SCHEME, HOST, PATH, KEY, PURPOSE];
        lines.extend(vec![("x-a", "1"); more]);
        let answer = ask(&world, &lines).await;
        assert!(answer.as_ref().is_ok_and(|it| it.contains(expected)), "{more}: {answer:?}");
    }
}
