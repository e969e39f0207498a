//! Media types over the wire: what a response says that it is, and what it is.

use super::*;

fn answer_as(lines: &str, body: &str) -> Upstream {
    let length = body.len();
    Upstream::bytes(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {length}\r\n\r\n{body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_type_is_one_line_that_says_one_thing() {
    for lines in [
        "Content-Type: application/json; profile=\"https://x.test/a,b;c\"\r\n",
        "Content-Type: application/json;charset=\"UTF-8\"; version=2\r\n",
        "Content-Type:application/vnd.api+json ; ext=x\r\n",
        "Content-Type: TEXT/JSON\r\n",
    ] {
        let (reply, record) = check(answer_as(lines, BODY)).await;
        assert_eq!((reply.body.as_deref(), record.as_str()), (Some(SIEVED), "allowed"), "{lines}");
    }
    for lines in [
        "",
        "Content-Type:\r\n",
        "Content-Type: json\r\n",
        "Content-Type: application/json\r\nContent-Type: application/json\r\n",
        "Content-Type: application/json\r\nContent-Type: text/csv\r\n",
        "Content-Type: text/csv\r\nContent-Type: text/csv\r\n",
        "Content-Type: application/json, application/json\r\n",
        "Content-Type: text/csv, application/json\r\n",
        "Content-Type: application/json; charset=utf-16\r\n",
        "Content-Type: application/json; charset=utf-8; charset=latin1\r\n",
        "Content-Type: application/json; charset=us-ascii; charset=latin1\r\n",
        "Content-Type: application/json\u{e9}\r\n",
        "Content-Type: application/xml\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n",
    ] {
        let (reply, record) = check(answer_as(lines, BODY)).await;
        assert_eq!(reply.reason(), "media-not-allowed", "{lines}");
        assert_eq!(record, "refused media-not-allowed", "{lines}");
    }
}

/// The body is read as UTF-8, and what an action writes into it may be no ASCII.
#[tokio::test(flavor = "multi_thread")]
async fn a_charset_that_is_a_part_of_utf_8_leaves_as_utf_8() {
    for charset in ["utf8", "\"US-ASCII\"", "unicode-1-1-utf-8", "UTF-8", "\"Utf-8\""] {
        let lines = format!("Content-Type: application/json; charset={charset}; v=2\r\n");
        let (reply, record) = check(answer_as(&lines, BODY)).await;
        assert_eq!((reply.body.as_deref(), record.as_str()), (Some(SIEVED), "allowed"));
        let line = "Content-Type: application/json; charset=utf-8\r\n";
        assert!(reply.raw.contains(line), "{charset}: {reply:?}");
        // What is called ASCII and is not is read as what else it can be.
        for (letter, expected) in
            [(&b"\xc3\xa9"[..], "allowed"), (b"\xe9", "refused body-unreadable")]
        {
            let body = [b"{\"odd\":\"", letter, b"\"}"].concat();
            let mut answer =
                format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n", body.len())
                    .into_bytes();
            answer.extend_from_slice(&body);
            let (_, record) = check(Upstream::bytes(answer)).await;
            assert_eq!(record, expected, "{charset} {letter:?}");
        }
    }
    // A HEAD says what a GET would; what passes unread is called as the upstream calls it.
    let ascii = |media: &str| format!("Content-Type: {media}; charset=ascii\r\n");
    let world = World::new(answer_as(&ascii("application/json"), "")).await;
    let lines = "Api-Key: desk-key\r\nData-Purpose: support\r\n";
    let reply = world.send(request("HEAD", "/c/7", lines)).await;
    assert!(reply.head.contains("content-type: application/json; charset=utf-8"), "{reply:?}");
    let world = World::new(answer_as(&ascii("text/csv"), "a")).await;
    let reply = world.get("/c", "support", "").await;
    assert!(reply.head.contains("content-type: text/csv; charset=ascii"), "{reply:?}");
}

/// What calls itself JSON is read as JSON, whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_media_type_that_lies_is_found_out() {
    let lines = "Content-Type: application/json\r\n";
    let mut latin = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 18\r\n\r\n").into_bytes();
    latin.extend_from_slice(b"{\"odd\":\"CANARY-\xe9\"}");
    for upstream in [
        answer_as(lines, "id;CANARY\n7;8\n"),
        answer_as(lines, "<html>CANARY</html>"),
        answer_as(lines, "--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x--"),
        answer_as(lines, "\u{feff}{\"id\":7}"),
        Upstream::bytes(latin),
        answer_as("Content-Type: application/x-ndjson\r\n", "id;CANARY\n7;8\n"),
        answer_as("Content-Type: text/event-stream\r\n", "data: CANARY\n\n"),
    ] {
        let (reply, record) = check(upstream).await;
        assert_eq!(reply.reason(), "body-unreadable", "{reply:?}");
        assert_eq!(record, "refused body-unreadable");
    }
}

const CSV: &str = "Content-Type: text/csv; header=present\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_unread_is_counted_once() {
    for upstream in [
        answer_as(CSV, "a;b\n1;2\n"),
        Upstream::bytes(chunked("a;b\n1;2\n", 1).replace("application/json", "text/csv")),
    ] {
        let world = World::new(upstream).await;
        let reply = world.get("/c", "support", "").await;
        assert_eq!(reply.body.as_deref(), Some("a;b\n1;2\n"), "{reply:?}");
        assert_eq!(world.record().await, "allowed");
        assert_eq!(world.accesses().await, ["opaque keep 1"]);
    }
    let world = World::new(answer_as(CSV, "")).await;
    assert_eq!(world.get("/c", "support", "").await.status, 200);
    assert_eq!(world.accesses().await, [""; 0], "nothing has left");
}

/// As any refusal: with a problem where no byte has left, without an end where one has.
#[tokio::test(flavor = "multi_thread")]
async fn what_passes_unread_is_no_longer_than_it_may_be() {
    let body = "1;2\n".repeat(50_000);
    let gzipped = coding::pack(crate::coding::Coding::Gzip, &body);
    let mut packed = format!(
        "HTTP/1.1 200 OK\r\n{CSV}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        gzipped.len()
    )
    .into_bytes();
    packed.extend_from_slice(&gzipped);
    for upstream in [
        answer_as(CSV, &body),
        Upstream::bytes(chunked(&body, 1000).replace("application/json", "text/csv")),
        Upstream::bytes(until_closed(&body).replace("application/json", "text/csv")),
        Upstream::bytes(packed),
    ] {
        for (limit, fits) in [(200_000, true), (199_999, false), (1000, false)] {
            let change = |settings: &mut Settings| settings.limits.pass_bytes = limit;
            let world = World::with(upstream.clone(), POLICY, change, None).await;
            let reply = world.get("/c", "support", "").await;
            let record = world.record().await;
            if fits {
                assert_eq!((reply.body.as_deref(), record.as_str()), (Some(&*body), "allowed"));
            } else if reply.status == 200 {
                assert_eq!((reply.body, record.as_str()), (None, "aborted body-too-large"));
            } else {
                assert_eq!(reply.reason(), "body-too-large");
                assert_eq!(record, "refused body-too-large");
            }
        }
    }
}
