//! Requests as somebody writes them who wants two servers to read them in two ways, and what tamis says.

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// Its head, and how many requests there are.
    Head,
    /// Its body, or what its head says that means nothing to a proxy.
    Body,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) part: Part,
    /// The bytes. `{m}` is the mark of the row, and `{k}` stands for who asks.
    pub(super) bytes: &'static str,
    /// `passes`, or why tamis denies it.
    pub(super) tamis: &'static str,
    /// Why it passes although somebody else refuses it.
    pub(super) because: &'static str,
}

const fn head(name: &'static str, bytes: &'static str, tamis: &'static str) -> Case {
    Case { name, part: Part::Head, bytes, tamis, because: "" }
}

const fn body(name: &'static str, bytes: &'static str, tamis: &'static str) -> Case {
    Case { name, part: Part::Body, bytes, tamis, because: "" }
}

impl Case {
    const fn because(mut self, because: &'static str) -> Self {
        self.because = because;
        self
    }
}

const PASSES: &str = "passes";
const UNREADABLE: &str = "request-unreadable";
const HOST: &str = "host-not-valid";
const PATH: &str = "path-not-canonical";
const VERSION: &str = "http-version-not-supported";
const ROUTE: &str = "route-unknown";

pub(super) const CASES: &[Case] = &[
    head("plain", "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PASSES),
    head("no white space behind the colon", "GET /c/{m} HTTP/1.1\r\nHost:h\r\n{k}\r\n", PASSES),
    head("tabs around a value", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A:\t b \t\r\n{k}\r\n", PASSES),
    head("an empty value", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A:\r\n{k}\r\n", PASSES),
    // How lines end.
    head("line feeds by themselves", "GET /c/{m} HTTP/1.1\nHost: h\n{k}\n\n", UNREADABLE),
    head(
        "a line feed behind the request line",
        "GET /c/{m} HTTP/1.1\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "a line feed behind a header",
        "GET /c/{m} HTTP/1.1\r\nHost: h\nX-A: b\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("a line feed before the end", "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\n", UNREADABLE),
    head(
        "a carriage return by itself",
        "GET /c/{m} HTTP/1.1\r\nHost: h\rX-A: b\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("an empty line first", "\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PASSES),
    head("a line feed first", "\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head(
        "a folded header",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: b\r\n c\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "a folded length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "white space before the first header",
        "GET /c/{m} HTTP/1.1\r\n X-A: b\r\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    // The request line.
    head("two spaces", "GET  /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("a tab", "GET\t/c/{m}\tHTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("a space in the target", "GET /c/{m} x HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head(
        "a space at the end of the line",
        "GET /c/{m} HTTP/1.1 \r\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("a space before the method", " GET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("HTTP/0.9", "GET /c/{m}\r\n\r\n", UNREADABLE),
    head("HTTP/1.0", "GET /c/{m} HTTP/1.0\r\nHost: h\r\n{k}\r\n", VERSION),
    head("HTTP/1.2", "GET /c/{m} HTTP/1.2\r\nHost: h\r\n{k}\r\n", VERSION),
    head("HTTP/2.0", "GET /c/{m} HTTP/2.0\r\nHost: h\r\n{k}\r\n", VERSION),
    head("HTTP/1.10", "GET /c/{m} HTTP/1.10\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("http in small letters", "GET /c/{m} http/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("a method in small letters", "get /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", ROUTE),
    head("an unknown method", "BREW /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", ROUTE),
    head("a method that is no token", "GE(T /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n{k}\r\n", ROUTE),
    head("TRACE", "TRACE /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", ROUTE),
    head("OPTIONS for all", "OPTIONS * HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head(
        "the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        VERSION,
    ),
    head("half the preface", "PRI /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", ROUTE),
    head(
        "half the preface, and a loose request",
        "PRI /c/{m} HTTP/1.1\r\nHost: h\r\n{open}\r\nGET /c/{m} HTTP/1.1\nHost: h\n{k}\n\n",
        ROUTE,
    ),
    // The target.
    head("a path without its slash", "GET c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    head("an escaped nul", "GET /c/{m}%00 HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("two dots", "GET /c/x/../{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("escaped dots", "GET /c/%2e%2e/c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("two slashes", "GET //c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("an escaped slash", "GET /c%2f{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("a backslash", "GET /c\\{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("a fragment", "GET /c/{m}#x HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("half an escape", "GET /c/{m}%4 HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head("not ASCII", "GET /c/{m}\u{e9} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PATH),
    head(
        "a control character in the target",
        "GET /c/{m}\u{1} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("an absolute target", "GET http://h/c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", PASSES),
    head("an absolute target elsewhere", "GET http://i/c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", HOST),
    head(
        "an absolute target with somebody",
        "GET http://x@h/c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        HOST,
    ),
    head("another scheme", "GET ftp://h/c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n", UNREADABLE),
    // The host.
    head("no host", "GET /c/{m} HTTP/1.1\r\n{k}\r\n", HOST),
    head("an empty host", "GET /c/{m} HTTP/1.1\r\nHost:\r\n{k}\r\n", HOST),
    head("two hosts", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nHost: i\r\n{k}\r\n", HOST),
    head("a host twice", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nHost: h\r\n{k}\r\n", HOST),
    head("a list of hosts", "GET /c/{m} HTTP/1.1\r\nHost: h, i\r\n{k}\r\n", HOST),
    head("a host with a path", "GET /c/{m} HTTP/1.1\r\nHost: h/x\r\n{k}\r\n", HOST),
    head("a host with somebody", "GET /c/{m} HTTP/1.1\r\nHost: x@h\r\n{k}\r\n", HOST),
    head("a host with a bad port", "GET /c/{m} HTTP/1.1\r\nHost: h:8x\r\n{k}\r\n", HOST),
    // Headers.
    head(
        "a space before a colon",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A : b\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "a header without a colon",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("a header without a name", "GET /c/{m} HTTP/1.1\r\nHost: h\r\n: b\r\n{k}\r\n", UNREADABLE),
    head(
        "a name that is no token",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX(A: b\r\n{k}\r\n",
        UNREADABLE,
    ),
    head("a nul in a value", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: b\0c\r\n{k}\r\n", UNREADABLE),
    head(
        "a control character in a value",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: b\u{1}c\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "a delete in a value",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: b\u{7f}c\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "letters beyond ASCII in a value",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: \u{e9}\r\n{k}\r\n",
        PASSES,
    ),
    head(
        "a name with an underscore",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nApi_Key: x\r\n{k}\r\n",
        PASSES,
    ),
    head(
        "two purposes",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nData-Purpose: support\r\nData-Purpose: support\r\n{k}\r\n",
        "header-repeated",
    ),
    head("two keys", "GET /c/{m} HTTP/1.1\r\nHost: h\r\nApi-Key: x\r\n{k}\r\n", "header-repeated"),
    head(
        "Connection names Host",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: host\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "Connection names Content-Length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: content-length\r\nContent-Length: 4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "Connection names Data-Purpose",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: data-purpose\r\nData-Purpose: support\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "Connection names Api-Key",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: api-key\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "Connection names another header",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: x-a\r\nX-A: b\r\n{k}\r\n",
        PASSES,
    ),
    head("a long target", "GET /c/{m}?{9000} HTTP/1.1\r\nHost: h\r\n{k}\r\n", "target-too-long"),
    head(
        "a longer target",
        "GET /c/{m}?{200000} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        "target-too-long",
    ),
    head(
        "a long header",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nX-A: {90000}\r\n{k}\r\n",
        "head-too-large",
    ),
    head(
        "a long name",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{90000}: b\r\n{k}\r\n",
        "head-too-large",
    ),
    head("many headers", "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{headers}{k}\r\n", "head-too-large"),
    body(
        "an upgrade to a web socket",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{k}\r\n",
        "upgrade-not-allowed",
    ),
    body(
        "an upgrade to HTTP/2",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n{k}\r\n",
        PASSES,
    ),
    // Lengths.
    head(
        "length and chunks",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "chunks and length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n{k}\r\n0\r\n\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "two lengths",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a length twice",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a list of lengths",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a length with a plus",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a negative length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a length in hexadecimal digits",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 0x4\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "a length with noughts before it",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 0004\r\n{k}\r\nbody",
        PASSES,
    ),
    head(
        "a length beyond all",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "an empty length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n{k}\r\nbody",
        UNREADABLE,
    ),
    head(
        "chunked twice",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "gzip and chunked",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "chunked and identity",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "identity",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n{k}\r\n",
        UNREADABLE,
    ),
    head(
        "an unknown transfer coding",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "chunked with a vertical tab",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \u{b}chunked\r\n{k}\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    head(
        "chunked in capitals",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n{k}\r\n0\r\n\r\n",
        PASSES,
    ),
    head(
        "chunked in HTTP/1.0",
        "PUT /c/{m} HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n0\r\n\r\n",
        VERSION,
    ),
    head(
        "a smuggled request",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding : chunked\r\n{k}\r\n0\r\n\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        UNREADABLE,
    ),
    // Bodies.
    body("a body", "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n{k}\r\nbody", PASSES),
    body(
        "chunks",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        PASSES,
    ),
    body(
        "a body of a GET",
        "GET /b/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n{k}\r\nbody",
        PASSES,
    ),
    body(
        "an extension of a chunk",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4;a=b;c=\"d\"\r\nbody\r\n0;e\r\n\r\n",
        PASSES,
    ),
    body(
        "an extension with a line feed",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4;a\nb\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a space behind a size",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4 \r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a space before a size",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n 4\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a size with 0x",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n0x4\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a negative size",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n-4\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a size beyond all",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n10000000000000004\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "an empty size",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "line feeds around chunks",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\nbody\n0\n\n",
        UNREADABLE,
    ),
    body(
        "a chunk that is longer than it says",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n3\r\nbody\r\n0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "two bytes for a line end",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\r\nbodyXX0\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a trailer",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\r\nbody\r\n0\r\nX-A: b\r\n\r\n",
        PASSES,
    ),
    body(
        "a trailer that says a length",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\r\nbody\r\n0\r\nContent-Length: 9\r\n\r\n",
        PASSES,
    ),
    body(
        "a trailer without a colon",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\r\nbody\r\n0\r\nX-A\r\n\r\n",
        UNREADABLE,
    ),
    body(
        "a line feed at the end",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{k}\r\n4\r\nbody\r\n0\r\n\n",
        UNREADABLE,
    ),
    body(
        "Expect",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n{k}\r\nbody",
        PASSES,
    ),
    body(
        "Expect something else",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 4\r\n{k}\r\nbody",
        PASSES,
    ),
    body(
        "two requests at once",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{open}\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        PASSES,
    ),
    body(
        "two requests, one with a body",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n{open}\r\nbodyGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        PASSES,
    ),
    body(
        "two requests, one with chunks",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{open}\r\n4\r\nbody\r\n0\r\n\r\nGET /c/{m} HTTP/1.1\r\nHost: h\r\n{k}\r\n",
        PASSES,
    ),
    body(
        "garbage behind a request",
        "GET /c/{m} HTTP/1.1\r\nHost: h\r\n{open}\r\nGARBAGE\r\n\r\n",
        PASSES,
    )
    .because("the first request is whole; what is behind it is another, and denied"),
    body(
        "a length that is too short",
        "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n{open}\r\nbody",
        PASSES,
    )
    .because("three bytes are what was said; the fourth is no request"),
    body("half a body", "PUT /c/{m} HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n{k}\r\nbody", "-"),
];

/// The bytes of a case for this mark.
pub(super) fn bytes(case: &Case, mark: &str) -> Vec<u8> {
    let key = "Api-Key: desk-secret\r\nAccept-Encoding: identity\r\n";
    let mut text = case
        .bytes
        .replace("{m}", mark)
        .replace("{k}", &format!("{key}Connection: close\r\n"))
        .replace("{open}", key)
        .replace("{headers}", &"X-A: b\r\n".repeat(150));
    // What says something of `Connection` itself has not to say it twice.
    if text.to_ascii_lowercase().matches("connection:").count() > 1
        && !case.bytes.contains("{open}")
    {
        text = text.replacen("Connection: close\r\n", "", 1);
    }
    for many in [9000, 90_000, 200_000] {
        text = text.replace(&format!("{{{many}}}"), &"x".repeat(many));
    }
    // `char`s up to U+00FF stand for bytes.
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}
