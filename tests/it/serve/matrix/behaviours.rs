//! What an upstream can do wrong, or right in a way that is seldom seen, and what must come of it.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};

/// What nobody may see, wherever it stands.
pub(super) const CANARY: &str = "CANARY";

/// The document of an upstream for a request with this mark. `{pad}` is as much as it takes for the
/// head, and half of the body, to have left before the rest comes.
pub(super) fn document(mark: &str, pad: usize) -> String {
    format!(
        r#"{{"id":"{mark}","email":"anna@example.org","pad":"{}","secret":"CANARY","odd":["CANARY"]}}"#,
        "x".repeat(pad)
    )
}

/// What a caller gets of it: `desk` sees addresses as they are, `shop` masked.
pub(super) fn decided(mark: &str, pad: usize, caller: &str) -> String {
    let email = if caller == "desk" { "anna@example.org" } else { "a***************" };
    format!(r#"{{"id":"{mark}","email":"{email}","pad":"{}"}}"#, "x".repeat(pad))
}

/// Long enough for what lies in queues and buffers to be full.
pub(super) const LONG: usize = 1 << 20;

/// What an upstream does, one after the other.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// Byte by byte.
    Dribble(Vec<u8>),
    /// Waits until this much later. It only makes it likely that what follows comes by itself.
    Pause(Duration),
    /// Says nothing more, and does not close, until the other side does.
    Hang,
    /// Ends the connection, and reads what is still to come.
    Close,
    /// Ends the connection by a reset.
    Reset,
}

/// Where it happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// At an upstream of HTTP/1.1, after the head of the request.
    Http1(fn(&str) -> Vec<Step>),
    /// The same, at one of its own, whose connections have to be given up before anybody asks again.
    Alone(fn(&str) -> Vec<Step>),
    /// Nobody listens there.
    Nowhere,
    /// At one of HTTP/2, in a stream.
    Http2(Http2),
    /// At one that should speak HTTP/2, and says this at once instead.
    Deaf(&'static [u8]),
}

/// What an upstream of HTTP/2 does with a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Http2 {
    Whole,
    Trailers,
    HeadEnds,
    Packed,
    Interim,
    ResetAtOnce,
    ResetInTheMiddle,
    /// A reset without an error, in the middle.
    StopsInTheMiddle,
    GoAwayInTheMiddle,
    /// The connection is closed.
    ClosesInTheMiddle,
    NeverEnds,
    NeverAnswers,
    LengthTooLong,
    LengthTooShort,
    BodyOf204,
    CutAndEnded,
    CutAndTrailers,
}

/// What comes of it, for the client and on record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// 200, the document as it is decided, and nothing else.
    Whole,
    /// The same, of the long document.
    WholeLong,
    /// The same, with this status.
    Sieved(u16),
    /// This status, without a value of the upstream's; allowed.
    Plain(u16),
    /// A problem of tamis, before the first byte of the response.
    Refused(&'static str),
    /// 200, and an end that no client takes for one.
    Cut(&'static str),
    /// One or the other: it depends on what has come by when.
    Broken(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) place: Place,
    pub(super) outcome: Outcome,
}

fn send(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Send(bytes.into())]
}

/// Sends this and closes.
fn ended(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Send(bytes.into()), Step::Close]
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A 200 with these header lines, and what follows.
fn ok(lines: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}\r\n");
    bytes(&[head.as_bytes(), body.as_ref()])
}

fn length(of: impl AsRef<[u8]>) -> String {
    format!("Content-Length: {}\r\n", of.as_ref().len())
}

/// With its length, as it should be.
fn sized(body: impl AsRef<[u8]>) -> Vec<u8> {
    ok(&length(&body), &body)
}

/// With its length and more header lines.
fn sized_with(lines: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    ok(&(length(&body) + lines), &body)
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Chunks of this size, without the last.
fn chunks(body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let chunk =
        |piece: &[u8]| bytes(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"]);
    body.as_ref().chunks(size).flat_map(chunk).collect()
}

fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    ok(CHUNKED, bytes(&[&chunks(body, 20), b"0\r\n\r\n"]))
}

/// A whole answer in which a piece of text stands for another.
fn but(answer: Vec<u8>, this: &str, that: &str) -> Vec<u8> {
    let text = String::from_utf8(answer).unwrap();
    assert!(text.contains(this), "{this} is not there to be replaced");
    text.replacen(this, that, 1).into_bytes()
}

fn half(text: &[u8]) -> &[u8] {
    &text[..text.len() / 2]
}

fn gzip(plain: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(plain.as_ref()).unwrap();
    packer.finish().unwrap()
}

fn deflate(plain: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(plain.as_ref()).unwrap();
    packer.finish().unwrap()
}

fn brotli(plain: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = brotli::CompressorWriter::new(Vec::new(), 4096, 3, 20);
    packer.write_all(plain.as_ref()).unwrap();
    packer.into_inner()
}

fn zstd(plain: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::stream::encode_all(plain.as_ref(), 1).unwrap()
}

/// Says that it is packed so.
fn packed(coding: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    sized_with(&format!("Content-Encoding: {coding}\r\n"), body)
}

/// One bit in the middle is another.
fn corrupt(mut packed: Vec<u8>) -> Vec<u8> {
    let middle = packed.len() / 2;
    packed[middle] ^= 0x10;
    packed
}

fn doc(mark: &str) -> String {
    document(mark, 0)
}

/// Nothing that packs well, so that it is long when it is packed, too.
fn noise(mark: &str) -> String {
    let mut state = 7_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).unwrap())
    };
    let noise: String = (0..LONG).map(|_| letter()).collect();
    doc(mark).replace(r#""pad":"""#, &format!(r#""pad":"{noise}""#))
}

fn long(mark: &str) -> String {
    document(mark, LONG)
}

const MOMENT: Duration = Duration::from_millis(20);

use Outcome::{Broken, Cut, Plain, Refused, Sieved, Whole, WholeLong};

const fn get(name: &'static str, outcome: Outcome, steps: fn(&str) -> Vec<Step>) -> Behaviour {
    Behaviour { name, method: "GET", place: Place::Http1(steps), outcome }
}

const fn http2(name: &'static str, outcome: Outcome, does: Http2) -> Behaviour {
    Behaviour { name, method: "GET", place: Place::Http2(does), outcome }
}

/// How a body says where it ends.
const FRAMING: &[Behaviour] = &[
    get("sized", Whole, |mark| send(sized(doc(mark)))),
    get("chunked", Whole, |mark| send(chunked(doc(mark)))),
    get("until-close", Whole, |mark| ended(ok("", doc(mark)))),
    get("long-sized", WholeLong, |mark| send(sized(long(mark)))),
    get("long-until-close", WholeLong, |mark| ended(ok("", long(mark)))),
    get("says-close-and-stays", Whole, |mark| {
        vec![Step::Send(sized_with("Connection: close\r\n", doc(mark))), Step::Hang]
    }),
    get("says-keep-alive-and-closes", Whole, |mark| {
        ended(sized_with("Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n", doc(mark)))
    }),
    get("http-1.0-sized", Whole, |mark| ended(but(sized(doc(mark)), "/1.1", "/1.0"))),
    get("http-1.0-until-close", Whole, |mark| ended(but(ok("", doc(mark)), "/1.1", "/1.0"))),
    get("http-1.0-chunked", Broken("upstream-protocol"), |mark| {
        ended(but(chunked(doc(mark)), "/1.1", "/1.0"))
    }),
    get("dribbles", Whole, |mark| vec![Step::Dribble(sized(doc(mark)))]),
    get("dribbles-chunks", Whole, |mark| vec![Step::Dribble(chunked(doc(mark)))]),
    get("length-too-short", Broken("body-cut"), |mark| {
        let body = doc(mark);
        send(ok(&length(&body[10..]), body))
    }),
    get("length-too-long-and-close", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        ended(ok(&length(body.clone() + "xxxx"), body))
    }),
    get("length-too-long-and-silence", Broken("upstream-timeout"), |mark| {
        let body = doc(mark);
        vec![Step::Send(ok(&length(body.clone() + "xxxx"), body)), Step::Hang]
    }),
    get("length-nought-and-body", Refused("body-cut"), |mark| {
        send(ok("Content-Length: 0\r\n", doc(mark)))
    }),
    get("length-twice-alike", Whole, |mark| {
        let body = doc(mark);
        send(ok(&length(&body).repeat(2), body))
    }),
    get("length-twice", Refused("upstream-protocol"), |mark| {
        let body = doc(mark);
        send(ok(&(length(&body) + "Content-Length: 5\r\n"), body))
    }),
    get("length-list-alike", Whole, |mark| {
        let body = doc(mark);
        send(ok(&format!("Content-Length: {0}, {0}\r\n", body.len()), body))
    }),
    get("length-list", Refused("upstream-protocol"), |mark| {
        let body = doc(mark);
        send(ok(&format!("Content-Length: 5, {}\r\n", body.len()), body))
    }),
    get("length-plus", Refused("upstream-protocol"), |mark| {
        let body = doc(mark);
        send(ok(&format!("Content-Length: +{}\r\n", body.len()), body))
    }),
    get("length-hex", Refused("upstream-protocol"), |mark| {
        let body = doc(mark);
        send(ok(&format!("Content-Length: 0x{:x}\r\n", body.len()), body))
    }),
    get("length-negative", Refused("upstream-protocol"), |mark| {
        send(ok("Content-Length: -1\r\n", doc(mark)))
    }),
    get("length-of-a-word", Refused("upstream-protocol"), |mark| {
        send(ok("Content-Length: CANARY\r\n", doc(mark)))
    }),
    get("length-empty", Refused("upstream-protocol"), |mark| {
        send(ok("Content-Length:\r\n", doc(mark)))
    }),
    get("length-beyond-all", Refused("upstream-protocol"), |mark| {
        ended(ok("Content-Length: 99999999999999999999999999\r\n", doc(mark)))
    }),
    // The chunks count, and nobody is asked on that connection again (RFC 9112, section 6.3).
    get("length-and-chunked", Whole, |mark| {
        let body = doc(mark);
        send(ok(&(length(&body) + CHUNKED), bytes(&[&chunks(&body, 20), b"0\r\n\r\n"])))
    }),
    get("chunked-twice", Refused("upstream-protocol"), |mark| {
        send(ok(&CHUNKED.repeat(2), bytes(&[&chunks(doc(mark), 20), b"0\r\n\r\n"])))
    }),
    get("chunked-and-gzip", Refused("coding-not-supported"), |mark| {
        let lines = "Transfer-Encoding: gzip, chunked\r\n";
        send(ok(lines, bytes(&[&chunks(gzip(doc(mark)), 20), b"0\r\n\r\n"])))
    }),
    get("chunked-not-last", Refused("coding-not-supported"), |mark| {
        let lines = "Transfer-Encoding: chunked, gzip\r\n";
        ended(ok(lines, bytes(&[&chunks(gzip(doc(mark)), 20), b"0\r\n\r\n"])))
    }),
    get("transfer-coding-identity", Refused("coding-not-supported"), |mark| {
        ended(ok("Transfer-Encoding: identity\r\n", doc(mark)))
    }),
    get("transfer-coding-unknown", Refused("coding-not-supported"), |mark| {
        ended(ok("Transfer-Encoding: xchunked\r\n", doc(mark)))
    }),
    get("chunk-extensions", Whole, |mark| {
        let body = doc(mark);
        let chunk = format!("{:x};a=b;c=\"CANARY\"\r\n{body}\r\n0;last\r\n\r\n", body.len());
        send(ok(CHUNKED, chunk))
    }),
    get("chunk-size-of-a-word", Broken("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, format!("CANARY\r\n{}", doc(mark))))
    }),
    get("chunk-size-empty", Broken("body-cut"), |mark| {
        ended(ok(CHUNKED, format!("\r\n{}\r\n0\r\n\r\n", doc(mark))))
    }),
    get("chunk-size-negative", Broken("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, format!("-5\r\n{}\r\n0\r\n\r\n", doc(mark))))
    }),
    get("chunk-size-huge", Broken("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, format!("fffffffffffffffff\r\n{}\r\n0\r\n\r\n", doc(mark))))
    }),
    get("chunk-size-too-long", Broken("body-unreadable"), |mark| {
        let body = doc(mark);
        ended(ok(CHUNKED, format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() + 100)))
    }),
    get("chunk-size-too-short", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        ended(ok(CHUNKED, format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() - 10)))
    }),
    get("chunk-without-its-line-end", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        ended(ok(CHUNKED, format!("{:x}\r\n{body}0\r\n\r\n", body.len())))
    }),
    get("chunks-by-bare-line-feeds", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        ended(ok(CHUNKED, format!("{:x}\n{body}\n0\n\n", body.len())))
    }),
    get("trailers", Whole, |mark| {
        let body = doc(mark);
        let last = "0\r\nX-Trailer: CANARY\r\nContent-Length: 3\r\n\r\n";
        send(ok(
            &format!("{CHUNKED}Trailer: X-Trailer\r\n"),
            bytes(&[&chunks(body, 20), last.as_bytes()]),
        ))
    }),
    get("an-answer-twice", Whole, |mark| send(sized(doc(mark)).repeat(2))),
    Behaviour {
        name: "an-answer-twice-later",
        method: "GET",
        place: Place::Alone(|mark| {
            let another = sized(doc("another-CANARY"));
            vec![Step::Send(sized(doc(mark))), Step::Pause(MOMENT), Step::Send(another), Step::Hang]
        }),
        outcome: Whole,
    },
    Behaviour {
        name: "an-answer-begun-later",
        method: "GET",
        place: Place::Alone(|mark| {
            vec![
                Step::Send(sized(doc(mark))),
                Step::Pause(MOMENT),
                Step::Send(b"H".into()),
                Step::Hang,
            ]
        }),
        outcome: Whole,
    },
    get("a-chunked-answer-twice", Whole, |mark| {
        send(bytes(&[&chunked(doc(mark)), &sized(doc("another-CANARY"))]))
    }),
    get("garbage-behind-the-end", Whole, |mark| {
        send(bytes(&[&sized(doc(mark)), b"CANARY CANARY CANARY\r\n\r\n"]))
    }),
    get("cut-in-the-head", Refused("upstream-protocol"), |mark| ended(&sized(doc(mark))[..40])),
    get("cut-in-a-sized-body", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        ended(ok(&length(&body), half(body.as_bytes())))
    }),
    get("cut-in-a-long-sized-body", Cut("upstream-protocol"), |mark| {
        let body = long(mark);
        ended(ok(&length(&body), &body[..body.len() - 40]))
    }),
    get("cut-in-a-chunk", Broken("upstream-protocol"), |mark| {
        let body = doc(mark);
        let cut = format!("{:x}\r\n", body.len()) + &body[..50];
        ended(ok(CHUNKED, cut))
    }),
    get("cut-between-chunks", Broken("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, chunks(doc(mark), 20)))
    }),
    get("cut-between-long-chunks", Cut("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, chunks(long(mark), 1 << 16)))
    }),
    get("cut-in-the-last-chunk", Broken("upstream-protocol"), |mark| {
        ended(ok(CHUNKED, bytes(&[&chunks(doc(mark), 20), b"0\r\n"])))
    }),
    get("cut-until-close", Broken("body-cut"), |mark| ended(ok("", half(doc(mark).as_bytes())))),
    get("cut-long-until-close", Cut("body-cut"), |mark| {
        let body = long(mark);
        ended(ok("", &body[..body.len() - 40]))
    }),
];

/// What an upstream says before its body.
const HEADS: &[Behaviour] = &[
    get("continue-first", Whole, |mark| {
        send(bytes(&[b"HTTP/1.1 100 Continue\r\n\r\n", &sized(doc(mark))]))
    }),
    get("processing-first", Whole, |mark| {
        send(bytes(&[b"HTTP/1.1 102 Processing\r\nX-Canary: CANARY\r\n\r\n", &sized(doc(mark))]))
    }),
    get("hints-first", Whole, |mark| {
        send(bytes(&[b"HTTP/1.1 103 Early Hints\r\nLink: </CANARY>\r\n\r\n", &sized(doc(mark))]))
    }),
    get("hints-first-and-later", Whole, |mark| {
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </CANARY>\r\n\r\n".to_vec();
        vec![Step::Send(hints), Step::Pause(MOMENT), Step::Send(sized(doc(mark)))]
    }),
    get("unknown-interim-first", Whole, |mark| {
        send(bytes(&[b"HTTP/1.1 199 CANARY\r\n\r\n", &sized(doc(mark))]))
    }),
    get("nothing-but-interim", Refused("upstream-protocol"), |_| {
        ended("HTTP/1.1 103 Early Hints\r\nLink: </CANARY>\r\n\r\n")
    }),
    get("switches-protocols", Refused("protocol-switch"), |mark| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: CANARY\r\n\r\n";
        ended(head.to_owned() + &doc(mark))
    }),
    get("no-content-with-body", Plain(204), |mark| {
        let body = doc(mark);
        send(but(sized(body), "200 OK", "204 No Content"))
    }),
    get("no-content-with-chunks", Plain(204), |mark| {
        send(but(chunked(doc(mark)), "200 OK", "204 No Content"))
    }),
    // Nobody has asked whether anything was.
    get("not-modified-with-body", Refused("upstream-protocol"), |mark| {
        send(but(sized_with("ETag: \"CANARY\"\r\n", doc(mark)), "200 OK", "304 Not Modified"))
    }),
    get("reset-content-with-body", Broken("upstream-protocol"), |mark| {
        send(but(sized(doc(mark)), "200 OK", "205 Reset Content"))
    }),
    get("partial-content", Refused("partial-content"), |mark| {
        let answer = sized_with("Content-Range: bytes 0-9/1000\r\n", doc(mark));
        send(but(answer, "200 OK", "206 Partial Content"))
    }),
    Behaviour {
        name: "body-for-head",
        method: "HEAD",
        place: Place::Http1(|mark| send(sized(doc(mark)))),
        outcome: Plain(200),
    },
    Behaviour {
        name: "chunks-for-head",
        method: "HEAD",
        place: Place::Http1(|mark| send(chunked(doc(mark)))),
        outcome: Plain(200),
    },
    Behaviour {
        name: "answers-before-the-request-body",
        method: "POST",
        place: Place::Http1(|mark| ended(sized_with("Connection: close\r\n", doc(mark)))),
        outcome: Whole,
    },
    get("redirects-with-a-value", Sieved(302), |mark| {
        let answer = sized_with("Location: /CANARY?x=CANARY\r\n", doc(mark));
        send(but(answer, "200 OK", "302 Found"))
    }),
    get("fails-with-a-value", Plain(500), |mark| {
        let answer = but(sized_with("X-Canary: CANARY\r\n", doc(mark)), "200 OK", "500 CANARY");
        send(but(answer, "application/json", "text/html"))
    }),
    get("fails-with-a-problem", Plain(503), |_| {
        let answer = sized(r#"{"title":"Away","status":503,"detail":"CANARY"}"#);
        send(but(but(answer, "200 OK", "503 CANARY"), "json", "problem+json"))
    }),
    get("fails-with-half-a-problem", Plain(503), |_| {
        let answer = sized(r#"{"title":"Away","status":503,"detail":"CANARY"#);
        send(but(but(answer, "200 OK", "503 CANARY"), "json", "problem+json"))
    }),
    get("garbage", Refused("upstream-protocol"), |_| ended("CANARY CANARY\r\n\r\nCANARY")),
    get("garbage-without-an-end", Refused("upstream-protocol"), |_| ended("CANARY".repeat(40_000))),
    get("http-0.9", Refused("upstream-protocol"), |mark| ended(doc(mark))),
    get("http-2.0", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "HTTP/1.1", "HTTP/2.0"))
    }),
    get("http-1.2", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "HTTP/1.1", "HTTP/1.2"))
    }),
    get("status-of-two-digits", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "200 OK", "20 OK"))
    }),
    get("status-of-four-digits", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "200 OK", "2000 OK"))
    }),
    get("status-600", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "200 OK", "600 CANARY"))
    }),
    get("status-000", Refused("upstream-protocol"), |mark| {
        ended(but(sized(doc(mark)), "200 OK", "000 CANARY"))
    }),
    get("status-without-words", Whole, |mark| send(but(sized(doc(mark)), "200 OK", "200"))),
    // What goes on in the next line, and line feeds alone, are taken for what they most likely mean (RFC 9112,
    // sections 5.2 and 2.2): when tamis gets to see a head, nothing is left of them.
    get("folded-line", Whole, |mark| send(sized_with("X-A: b\r\n CANARY: c\r\n", doc(mark)))),
    get("folded-media-type", Refused("media-not-allowed"), |mark| {
        send(but(sized(doc(mark)), "application/json", "text/html\r\n application/json"))
    }),
    get("huge-header", Refused("upstream-protocol"), |mark| {
        let line = format!("X-A: {}\r\n", "x".repeat(2 << 20));
        ended(sized_with(&line, doc(mark)))
    }),
    get("ten-thousand-headers", Refused("upstream-protocol"), |mark| {
        ended(sized_with(&"X-A: b\r\n".repeat(10_000), doc(mark)))
    }),
    get("nul-in-a-header", Refused("upstream-protocol"), |mark| {
        ended(sized_with("X-A: b\0CANARY\r\n", doc(mark)))
    }),
    get("carriage-return-in-a-header", Refused("upstream-protocol"), |mark| {
        ended(sized_with("X-A: b\rCANARY: c\r\n", doc(mark)))
    }),
    get("header-without-a-colon", Refused("upstream-protocol"), |mark| {
        ended(sized_with("CANARY\r\n", doc(mark)))
    }),
    get("space-before-the-colon", Whole, |mark| {
        let body = doc(mark);
        ended(ok(&length(&body).replace(": ", " : "), body))
    }),
    get("head-by-bare-line-feeds", Whole, |mark| {
        let head = String::from_utf8(sized("")).unwrap().replace("\r\n", "\n");
        ended(head.replace("Length: 0", &format!("Length: {}", doc(mark).len())) + &doc(mark))
    }),
    get("nominates-its-length", Whole, |mark| {
        send(sized_with("Connection: content-length, content-type\r\n", doc(mark)))
    }),
    get("closes-without-a-word", Refused("upstream-protocol"), |_| vec![Step::Close]),
    get("resets-without-a-word", Refused("upstream-protocol"), |_| vec![Step::Reset]),
    get("resets-in-the-head", Refused("upstream-protocol"), |mark| {
        vec![Step::Send(sized(doc(mark))[..40].into()), Step::Pause(MOMENT), Step::Reset]
    }),
    get("resets-in-the-middle", Cut("upstream-protocol"), |mark| {
        let body = long(mark);
        vec![
            Step::Send(ok(&length(&body), &body[..body.len() - 40])),
            Step::Pause(MOMENT * 10),
            Step::Reset,
        ]
    }),
    get("never-answers", Refused("upstream-timeout"), |_| vec![Step::Hang]),
    get("stops-behind-the-head", Broken("upstream-timeout"), |_| {
        vec![Step::Send(ok("Content-Length: 5\r\n", "")), Step::Hang]
    }),
    get("stops-in-the-middle", Cut("upstream-timeout"), |mark| {
        let body = long(mark);
        vec![Step::Send(ok(&length(&body), &body[..body.len() - 40])), Step::Hang]
    }),
    Behaviour {
        name: "refuses-to-connect",
        method: "GET",
        place: Place::Nowhere,
        outcome: Refused("upstream-unreachable"),
    },
];

/// What a body is, and what it says that it is.
const BODIES: &[Behaviour] = &[
    get("media-missing", Refused("media-not-allowed"), |mark| {
        send(but(sized(doc(mark)), "Content-Type: application/json\r\n", ""))
    }),
    get("media-html", Refused("media-not-allowed"), |mark| {
        send(but(sized(doc(mark)), "application/json", "text/html"))
    }),
    get("media-twice", Refused("media-not-allowed"), |mark| {
        send(sized_with("Content-Type: text/html\r\n", doc(mark)))
    }),
    get("media-twice-alike", Refused("media-not-allowed"), |mark| {
        send(sized_with("Content-Type: application/json\r\n", doc(mark)))
    }),
    get("media-of-a-list", Refused("media-not-allowed"), |mark| {
        send(but(sized(doc(mark)), "application/json", "application/json, text/html"))
    }),
    get("media-lies", Broken("body-unreadable"), |_| send(sized("<html>CANARY</html>"))),
    get("media-with-parameters", Whole, |mark| {
        send(but(sized(doc(mark)), "/json", "/json;charset=\"UTF-8\";v=1"))
    }),
    get("charset-utf-16", Refused("media-not-allowed"), |mark| {
        let body: Vec<u8> = doc(mark).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let head = but(sized(""), "/json", "/json; charset=utf-16");
        send(bytes(&[&but(head, "Length: 0", &format!("Length: {}", body.len())), &body]))
    }),
    get("charset-utf-16-unsaid", Broken("body-unreadable"), |mark| {
        send(sized(doc(mark).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()))
    }),
    get("charset-latin-1", Refused("media-not-allowed"), |mark| {
        send(but(sized(doc(mark)), "/json", "/json; charset=iso-8859-1"))
    }),
    get("byte-order-mark", Broken("body-unreadable"), |mark| {
        send(sized(format!("\u{feff}{}", doc(mark))))
    }),
    get("not-utf-8", Broken("body-unreadable"), |mark| {
        let body = doc(mark).into_bytes();
        send(sized(bytes(&[&body[..body.len() - 3], b"\xff\xfe\"]}"])))
    }),
    get("overlong-utf-8", Broken("body-unreadable"), |mark| {
        let body = doc(mark).into_bytes();
        send(sized(bytes(&[&body[..body.len() - 3], b"\xc0\xaf\"]}"])))
    }),
    get("garbage-behind-the-document", Broken("body-unreadable"), |mark| {
        send(sized(doc(mark) + " CANARY"))
    }),
    get("two-documents", Broken("body-unreadable"), |mark| send(sized(doc(mark).repeat(2)))),
    get("nul-behind-the-document", Broken("body-unreadable"), |mark| send(sized(doc(mark) + "\0"))),
    get("broken-at-the-start", Broken("body-unreadable"), |mark| {
        send(sized(doc(mark).replacen('{', "CANARY{", 1)))
    }),
    get("broken-in-the-middle", Broken("body-unreadable"), |mark| {
        send(sized(doc(mark).replace(r#""secret":"#, r#""secret" "#)))
    }),
    get("broken-at-the-end", Broken("body-unreadable"), |mark| {
        send(sized(doc(mark).replace("]}", "]]")))
    }),
    get("broken-at-a-long-end", Cut("body-unreadable"), |mark| {
        send(sized(long(mark).replace("]}", "]]")))
    }),
    get("cut-at-a-long-end", Cut("body-cut"), |mark| send(sized(long(mark).replace("]}", "]")))),
    get("no-document", Broken("body-cut"), |_| send(sized("  \n "))),
    get("no-chunk", Broken("body-cut"), |_| send(chunked(""))),
    get("too-deep", Broken("body-too-deep"), |_| {
        send(sized(format!("{}\"CANARY\"{}", "[".repeat(300), "]".repeat(300))))
    }),
    get("name-twice", Whole, |mark| {
        send(sized(doc(mark).replace(r#","odd""#, r#","secret":"CANARY","odd""#)))
    }),
    get("escaped-name", Whole, |mark| send(sized(doc(mark).replace("secret", "\\u0073ecret")))),
];

/// In what a body is packed.
const CODINGS: &[Behaviour] = &[
    get("gzip", Whole, |mark| send(packed("gzip", gzip(doc(mark))))),
    get("x-gzip", Whole, |mark| send(packed("X-GZip", gzip(doc(mark))))),
    get("deflate", Whole, |mark| send(packed("deflate", deflate(doc(mark))))),
    get("br", Whole, |mark| send(packed("br", brotli(doc(mark))))),
    get("zstd", Whole, |mark| send(packed("zstd", zstd(doc(mark))))),
    get("identity", Whole, |mark| send(packed("identity", doc(mark)))),
    get("gzip-long", WholeLong, |mark| send(packed("gzip", gzip(long(mark))))),
    get("gzip-dribbled", Whole, |mark| vec![Step::Dribble(packed("gzip", gzip(doc(mark))))]),
    get("gzip-of-two-members", Whole, |mark| {
        let body = doc(mark);
        let (one, other) = body.split_at(30);
        send(packed("gzip", bytes(&[&gzip(one), &gzip(other)])))
    }),
    get("zstd-of-two-frames", Whole, |mark| {
        let body = doc(mark);
        let (one, other) = body.split_at(30);
        send(packed("zstd", bytes(&[&zstd(one), &zstd(other)])))
    }),
    get("gzip-of-two-documents", Broken("body-unreadable"), |mark| {
        send(packed("gzip", gzip(doc(mark)).repeat(2)))
    }),
    get("gzip-cut", Broken("body-cut"), |mark| send(packed("gzip", half(&gzip(doc(mark)))))),
    get("gzip-without-its-sum", Broken("body-cut"), |mark| {
        let all = gzip(doc(mark));
        send(packed("gzip", &all[..all.len() - 8]))
    }),
    get("br-cut", Broken("body-cut"), |mark| send(packed("br", half(&brotli(doc(mark)))))),
    get("zstd-cut", Broken("body-cut"), |mark| send(packed("zstd", half(&zstd(doc(mark)))))),
    get("deflate-cut", Broken("body-cut"), |mark| {
        send(packed("deflate", half(&deflate(doc(mark)))))
    }),
    get("gzip-cut-late", Cut("body-cut"), |mark| {
        let all = gzip(noise(mark));
        send(packed("gzip", &all[..all.len() - 100]))
    }),
    get("zstd-cut-late", Cut("body-cut"), |mark| {
        let all = zstd(noise(mark));
        send(packed("zstd", &all[..all.len() - 100]))
    }),
    get("gzip-corrupt", Broken("body-unreadable"), |mark| {
        send(packed("gzip", corrupt(gzip(doc(mark)))))
    }),
    get("zstd-corrupt", Broken("body-unreadable"), |mark| {
        let mut all = zstd(doc(mark));
        all[5] ^= 0xff;
        send(packed("zstd", all))
    }),
    get("br-corrupt", Broken("body-unreadable"), |_| send(packed("br", [0xff; 60]))),
    get("gzip-and-more", Broken("body-unreadable"), |mark| {
        send(packed("gzip", bytes(&[&gzip(doc(mark)), b"CANARY CANARY CANARY"])))
    }),
    get("br-and-more", Broken("body-unreadable"), |mark| {
        send(packed("br", bytes(&[&brotli(doc(mark)), b"CANARY CANARY CANARY"])))
    }),
    get("zstd-and-more", Broken("body-unreadable"), |mark| {
        send(packed("zstd", bytes(&[&zstd(doc(mark)), b"CANARY CANARY CANARY"])))
    }),
    get("plain-says-gzip", Broken("body-unreadable"), |mark| send(packed("gzip", doc(mark)))),
    get("plain-says-br", Broken("body-unreadable"), |mark| send(packed("br", doc(mark)))),
    get("plain-says-zstd", Broken("body-unreadable"), |mark| send(packed("zstd", doc(mark)))),
    get("gzip-says-nothing", Broken("body-unreadable"), |mark| send(sized(gzip(doc(mark))))),
    get("coding-unknown", Refused("coding-not-supported"), |mark| {
        send(packed("CANARY", doc(mark)))
    }),
    get("coding-empty", Refused("coding-not-supported"), |mark| send(packed("", doc(mark)))),
    get("coding-twice", Refused("coding-not-supported"), |mark| {
        send(packed("gzip, gzip", gzip(gzip(doc(mark)))))
    }),
    get("coding-in-two-lines", Refused("coding-not-supported"), |mark| {
        send(packed("gzip\r\nContent-Encoding: br", brotli(gzip(doc(mark)))))
    }),
    get("gzip-bomb", Broken("body-too-large"), |mark| {
        send(packed("gzip", gzip(document(mark, 4 << 20))))
    }),
];

/// What an upstream of HTTP/2 does.
const HTTP2: &[Behaviour] = &[
    http2("h2-whole", Whole, Http2::Whole),
    http2("h2-trailers", Whole, Http2::Trailers),
    http2("h2-packed", Whole, Http2::Packed),
    http2("h2-interim", Whole, Http2::Interim),
    http2("h2-head-ends", Refused("body-cut"), Http2::HeadEnds),
    http2("h2-cut-and-ended", Broken("body-cut"), Http2::CutAndEnded),
    http2("h2-cut-and-trailers", Broken("body-cut"), Http2::CutAndTrailers),
    http2("h2-reset-at-once", Refused("upstream-protocol"), Http2::ResetAtOnce),
    http2("h2-reset-in-the-middle", Cut("upstream-protocol"), Http2::ResetInTheMiddle),
    http2("h2-stops-in-the-middle", Cut("upstream-protocol"), Http2::StopsInTheMiddle),
    http2("h2-goaway-in-the-middle", Cut("upstream-protocol"), Http2::GoAwayInTheMiddle),
    http2("h2-closes-in-the-middle", Cut("upstream-protocol"), Http2::ClosesInTheMiddle),
    http2("h2-never-ends", Broken("upstream-timeout"), Http2::NeverEnds),
    http2("h2-never-answers", Refused("upstream-timeout"), Http2::NeverAnswers),
    http2("h2-length-too-long", Broken("upstream-protocol"), Http2::LengthTooLong),
    http2("h2-length-too-short", Broken("upstream-protocol"), Http2::LengthTooShort),
    http2("h2-body-of-204", Refused("media-not-allowed"), Http2::BodyOf204),
    Behaviour {
        name: "h2-deaf",
        method: "GET",
        place: Place::Deaf(b"HTTP/1.1 400 Bad Request\r\nX-Canary: CANARY\r\n\r\nCANARY"),
        outcome: Refused("upstream-protocol"),
    },
    Behaviour {
        name: "h2-hangs-up",
        method: "GET",
        place: Place::Deaf(b""),
        outcome: Refused("upstream-protocol"),
    },
];

/// All of them.
pub(super) fn all() -> Vec<Behaviour> {
    [FRAMING, HEADS, BODIES, CODINGS, HTTP2].concat()
}

/// The right answer of an upstream of HTTP/1.1.
pub(super) fn right(mark: &str) -> Vec<Step> {
    send(sized(doc(mark)))
}

/// The same, on a connection that ends with it.
pub(super) fn right_and_over(mark: &str) -> Vec<Step> {
    ended(sized_with("Connection: close\r\n", doc(mark)))
}

/// What an upstream of HTTP/2 sends of a body that is packed.
pub(super) fn packed_body(mark: &str) -> Vec<u8> {
    gzip(doc(mark))
}
