//! Bodies that an upstream packed, and bodies that are packed for a client.

use super::*;
use crate::coding::{Coding, Decoder, Encoder, Fault, Limits};

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

pub(super) fn pack(coding: Coding, plain: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(coding).unwrap();
    let mut packed = encoder.write(plain.into()).unwrap();
    packed.append(&mut encoder.finish().unwrap());
    packed
}

/// What is unpacked so far, and whether it is complete.
fn unpack(coding: Coding, packed: &[u8]) -> (String, bool) {
    let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
    let mut plain = Vec::new();
    let next = &mut |some: &[u8]| {
        plain.extend_from_slice(some);
        Ok::<(), Fault>(())
    };
    decoder.write(packed, next).unwrap();
    (String::from_utf8(plain).unwrap(), decoder.finish().is_ok())
}

/// A response with a packed body, delimited in one of three ways.
fn response(head: &str, coding: Coding, packed: &[u8], way: usize) -> Vec<u8> {
    let mut out = format!("{head}\r\nContent-Encoding: {}\r\n", coding.name()).into_bytes();
    match way {
        0 => {
            out.extend(format!("Content-Length: {}\r\n\r\n", packed.len()).bytes());
            out.extend_from_slice(packed);
        }
        1 => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in packed.chunks(7) {
                out.extend(format!("{:x}\r\n", chunk.len()).bytes());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        }
        _ => {
            out.extend_from_slice(b"Connection: close\r\n\r\n");
            out.extend_from_slice(packed);
        }
    }
    out
}

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_is_sieved_as_if_it_were_not() {
    for coding in CODINGS {
        for way in 0..3 {
            let bytes = response(JSON, coding, &pack(coding, BODY), way);
            let dribbled = bytes.iter().map(|byte| vec![*byte]).collect();
            for upstream in [Upstream::bytes(bytes), Upstream::Pieces(dribbled)] {
                let (reply, record) = check(upstream).await;
                assert_eq!((reply.status, reply.body.as_deref()), (200, Some(SIEVED)), "{reply:?}");
                assert!(!reply.head.contains("content-encoding"), "{reply:?}");
                assert_eq!(record, "allowed");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_that_is_cut_anywhere_is_never_taken_for_complete() {
    for coding in CODINGS {
        let whole = response(JSON, coding, &pack(coding, BODY), 2);
        let body_at = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        for cut in body_at..whole.len() {
            let (reply, record) = check(Upstream::bytes(&whole[..cut])).await;
            if reply.status == 502 {
                assert_eq!(record, format!("refused {}", reply.reason()), "{cut}");
            } else {
                assert_eq!(reply.body, None, "{coding:?} cut at {cut}: {reply:?}");
                assert!(record.starts_with("aborted "), "{cut}: {record}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_packed_as_it_says_is_refused() {
    for coding in CODINGS {
        let mut garbage = pack(coding, BODY);
        garbage.extend_from_slice(BODY.as_bytes());
        for packed in [BODY.as_bytes(), &garbage] {
            let (reply, record) = check(Upstream::bytes(response(JSON, coding, packed, 0))).await;
            assert_eq!(reply.status, 502, "{coding:?}: {reply:?}");
            // Brotli and Zstandard may take what they are given for the beginning of something longer.
            let reason = reply.reason();
            assert!(["body-unreadable", "body-cut"].contains(&&*reason), "{coding:?}: {reason}");
            assert_eq!(record, format!("refused {reason}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_unpacks_to_much_more_than_it_is_is_refused() {
    let body = format!("[{}]", " ".repeat(64 << 20));
    let change = |settings: &mut Settings| settings.limits.decoded_ratio = 64;
    for coding in CODINGS {
        let upstream = Upstream::bytes(response(JSON, coding, &pack(coding, &body), 0));
        let world = World::with(upstream, POLICY, change, None).await;
        let reply = world.get("/c/7", "support", "").await;
        assert!(reply.status == 502 || reply.body.is_none(), "{coding:?}: {}", reply.head);
        let record = world.record().await;
        assert!(record.ends_with(" body-too-large"), "{coding:?}: {record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bodies_may_be_packed_too() {
    for coding in CODINGS {
        // What passes by a rule.
        let csv = "HTTP/1.1 200 OK\r\nContent-Type: text/csv";
        let world =
            World::new(Upstream::bytes(response(csv, coding, &pack(coding, "a;b\n"), 0))).await;
        let accept = format!("Accept-Encoding: {}\r\n", coding.name());
        let reply = world.get("/c", "support", &accept).await;
        assert_eq!(reply.body.as_deref(), Some("a;b\n"), "{reply:?}");
        assert!(!reply.head.contains("content-encoding"), "{reply:?}");
        // A problem.
        let head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json";
        let problem = r#"{"title":"No customer","detail":"CANARY","status":404}"#;
        let (reply, _) =
            check(Upstream::bytes(response(head, coding, &pack(coding, problem), 1))).await;
        let expected = r#"{"type":"about:blank","title":"Not Found","status":404}"#;
        assert_eq!((reply.status, reply.body.as_deref()), (404, Some(expected)), "{reply:?}");
        // Words that nobody reads.
        let head = "HTTP/1.1 302 Found\r\nContent-Type: text/html";
        let (reply, _) =
            check(Upstream::bytes(response(head, coding, &pack(coding, WITHHELD), 1))).await;
        assert_eq!((reply.status, reply.body.as_deref()), (302, Some("")), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_its_body_as_it_likes_it() {
    for (accept, expected) in [
        ("gzip", Coding::Gzip),
        ("gzip;q=0.9, br", Coding::Brotli),
        ("gzip, deflate, br, zstd", Coding::Zstd),
        ("deflate", Coding::Identity),
        ("gzip;q=0", Coding::Identity),
    ] {
        let lines = format!("Accept-Encoding: {accept}\r\n");
        for upstream in [
            Upstream::json(BODY),
            Upstream::bytes(response(JSON, Coding::Gzip, &pack(Coding::Gzip, BODY), 0)),
        ] {
            let world = World::new(upstream).await;
            let reply = world.get("/c/7", "support", &lines).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(reply.head.contains("vary: accept-encoding"), "{reply:?}");
            let stated = format!("content-encoding: {}", expected.name());
            assert_eq!(reply.head.contains(&stated), expected != Coding::Identity, "{reply:?}");
            let body = unpack(expected, reply.bytes.as_deref().unwrap());
            assert_eq!(body, (SIEVED.to_owned(), true), "{accept}");
            assert_eq!(world.record().await, "allowed");
            let asked = world.asked.lock().unwrap().join("").to_ascii_lowercase();
            assert!(asked.contains("accept-encoding: identity"), "{asked}");
        }
        let world = World::new(Upstream::json(BODY)).await;
        let reply = world.get("/plain", "support", &lines).await;
        assert_eq!(reply.body.as_deref(), Some(SIEVED), "{reply:?}");
        assert!(!reply.head.contains("content-encoding"), "{reply:?}");
        assert!(!reply.head.contains("vary"), "{reply:?}");
    }
}

/// What is decided is not held back to be packed better, and what breaks off is no whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_leaves_at_once_and_is_whole_only_at_its_end() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 4096\r\n\r\n";
    for coding in CODINGS {
        let change = |settings: &mut Settings| {
            settings.timeouts.upstream = Duration::from_millis(500);
        };
        let upstream = Upstream::Stalls(format!("{head}{BODY}\n").into());
        let world = World::with(upstream, POLICY, change, None).await;
        let reply =
            world.get("/c/7", "support", &format!("Accept-Encoding: {}\r\n", coding.name())).await;
        assert_eq!(reply.bytes, None, "{reply:?}");
        assert!(world.record().await.starts_with("aborted "));
        let end = b"\r\n\r\n";
        let body_at = reply.wire.windows(4).position(|some| some == end).unwrap() + end.len();
        // The transfer lacks its end, not what was decided.
        let body = unchunked(&[&reply.wire[body_at..], b"0\r\n\r\n"].concat()).unwrap();
        assert_eq!(unpack(coding, &body), (format!("{SIEVED}\n"), false));
    }
}

/// A response that may be without a body has one when it is packed: that of nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_can_be_unpacked() {
    let bytes = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for coding in CODINGS {
        let world = World::new(Upstream::bytes(bytes)).await;
        let accept = format!("Accept-Encoding: {}\r\n", coding.name());
        let reply = world.get("/c/7", "support", &accept).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let body = unpack(coding, reply.bytes.as_deref().unwrap());
        assert_eq!(body, (String::new(), true));
        assert_eq!(world.record().await, "allowed");
    }
}
