//! The head of a request as RFC 9112 writes it, line by line, and nothing that somebody else could
//! read in another way.

use memchr::memchr;

use crate::access::Reason;

/// Headers that a head may have: as many as others take.
pub(in crate::proxy) const HEADERS_MAX: usize = 100;
/// What a request line has besides its target, at most: a method, a version and what is between them.
const LINE_BYTES: usize = 48;
/// Bytes of the longest method.
const METHOD_BYTES_MAX: usize = 32;

/// What the settings say of heads.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Limits {
    /// The longest head.
    pub(in crate::proxy) head_bytes: usize,
    /// The longest target.
    pub(in crate::proxy) target_bytes: usize,
}

/// How long the body behind a head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes, none among them.
    Length(u64),
    /// As its chunks say.
    Chunked,
}

/// A head that is being read.
#[derive(Debug)]
pub(super) struct Head {
    limits: Limits,
    /// Bytes of whole lines that have been read.
    read: usize,
    /// Whether the request line is one of them.
    begun: bool,
    /// Whether an empty line before it is.
    is_skipped: bool,
    headers: usize,
    /// What the target says about the host, if it does.
    authority: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    length: Option<u64>,
    is_chunked: bool,
}

impl Head {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            read: 0,
            begun: false,
            is_skipped: false,
            headers: 0,
            authority: None,
            host: None,
            length: None,
            is_chunked: false,
        }
    }

    /// Reads on in the same head, of which more may have come. Its length and what it says of the body
    /// are known as soon as all of it is there.
    pub(super) fn scan(&mut self, head: &[u8]) -> Result<Option<(usize, Framing)>, Reason> {
        loop {
            let rest = head.get(self.read..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                if !self.begun && rest.len() > self.limits.target_bytes + LINE_BYTES {
                    return Err(Reason::TargetTooLong);
                }
                if head.len() > self.limits.head_bytes {
                    return Err(Reason::HeadTooLarge);
                }
                return Ok(None);
            };
            self.read += end + 1;
            if self.read > self.limits.head_bytes && self.begun {
                return Err(Reason::HeadTooLarge);
            }
            let line = rest.get(..end).unwrap_or_default();
            // A line feed by itself ends a line for some, and for others it does not.
            let line = line.strip_suffix(b"\r").ok_or(Reason::RequestUnreadable)?;
            if !self.begun && line.is_empty() && !self.is_skipped {
                // Some clients send one behind the body of the request before (RFC 9112, section 2.2).
                self.is_skipped = true;
            } else if !self.begun {
                self.request_line(line)?;
                self.begun = true;
            } else if line.is_empty() {
                return Ok(Some((self.read, self.end()?)));
            } else {
                self.field(line)?;
            }
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Reason> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        let (Some(method), Some(target), Some(version), None) =
            (method, target, version, words.next())
        else {
            // Of a line without an end that is too long nobody knows how many words it has.
            let is_long = line.len() > self.limits.target_bytes + LINE_BYTES;
            let reason = if is_long { Reason::TargetTooLong } else { Reason::RequestUnreadable };
            return Err(reason);
        };
        if target.len() > self.limits.target_bytes {
            return Err(Reason::TargetTooLong);
        }
        let is_control = |byte: &u8| matches!(byte, 0..=0x20 | 0x7f);
        if !is_token(method) || method.len() > METHOD_BYTES_MAX || target.iter().any(is_control) {
            return Err(Reason::RequestUnreadable);
        }
        // What is behind a `#` is for whoever asks, and not for a server.
        if !target.is_ascii() || target.contains(&b'#') {
            return Err(Reason::PathNotCanonical);
        }
        match version {
            b"HTTP/1.1" => {}
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Reason::HttpVersionNotSupported);
            }
            _ => return Err(Reason::RequestUnreadable),
        }
        // Behind it there would be no HTTP any more.
        if method == b"CONNECT" {
            return Err(Reason::RouteUnknown);
        }
        self.authority = match target {
            [b'/', ..] | b"*" => None,
            _ => Some(authority(target).ok_or(Reason::RequestUnreadable)?.to_owned()),
        };
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Reason> {
        self.headers += 1;
        if self.headers > HEADERS_MAX {
            return Err(Reason::HeadTooLarge);
        }
        let (name, value) = field(line).ok_or(Reason::RequestUnreadable)?;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            let is_second = self.host.replace(value.to_owned()).is_some();
            // The part before an `@` is somebody, and no host.
            if is_second || value.contains(&b'@') {
                return Err(Reason::HostNotValid);
            }
        } else if is("content-length") {
            let length = length(value).ok_or(Reason::RequestUnreadable)?;
            if self.length.replace(length).is_some() {
                return Err(Reason::RequestUnreadable);
            }
        } else if is("transfer-encoding") {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Reason::RequestUnreadable);
            }
            self.is_chunked = true;
        } else if is("connection") && value.split(|byte| *byte == b',').any(is_end_to_end) {
            return Err(Reason::RequestUnreadable);
        }
        Ok(())
    }

    fn end(&self) -> Result<Framing, Reason> {
        let host = self.host.as_ref().ok_or(Reason::HostNotValid)?;
        if self.authority.as_ref().is_some_and(|authority| authority != host) {
            return Err(Reason::HostNotValid);
        }
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Reason::RequestUnreadable),
            (None, true) => Ok(Framing::Chunked),
            (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Name and value of a header line, the value without white space around it.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_fine = |byte: u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    // All bytes are looked at, for the compiler then does many at a time.
    let are_fine = value.iter().fold(true, |so_far, byte| so_far & is_fine(*byte));
    // A line that goes on with the one before has no name: it begins with white space.
    (is_token(name) && are_fine).then(|| (name, value.trim_ascii()))
}

/// Section 5.6.2 of RFC 9110.
fn is_token(text: &[u8]) -> bool {
    let is_fine = |byte: u8| {
        matches!(
            byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.'
                | b'^'..=b'`' | b'|' | b'~'
        )
    };
    !text.is_empty() && text.iter().fold(true, |so_far, byte| so_far & is_fine(*byte))
}

/// Digits, and nothing that somebody takes for a part of a number.
fn length(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The host of a target that names one.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let colon = memchr(b':', target)?;
    let (scheme, rest) = (target.get(..colon)?, target.get(colon..)?);
    let is_known = [&b"http"[..], b"https"].iter().any(|one| scheme.eq_ignore_ascii_case(one));
    let rest = rest.strip_prefix(b"://").filter(|_| is_known)?;
    rest.split(|byte| matches!(byte, b'/' | b'?' | b'\\')).next()
}

/// Whether `Connection` names a header that is for whoever reads the request in the end. Somebody on
/// the way would take it away, and tamis would decide by it, or the other way round.
fn is_end_to_end(option: &[u8]) -> bool {
    const NAMES: [&str; 10] = [
        "api-key",
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "data-purpose",
        "expect",
        "host",
        "transfer-encoding",
    ];
    let option = option.trim_ascii();
    NAMES.iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 1000, target_bytes: 100 };

    /// Scanned whole, and as it grows byte by byte.
    #[track_caller]
    fn check(head: &str, expected: Result<Framing, Reason>) {
        let whole = Head::new(LIMITS).scan(head.as_bytes());
        let framing = whole.map(|found| found.map(|(_, framing)| framing));
        assert_eq!(framing, expected.map(Some), "{head:?}");
        if let Ok(Some((length, _))) = whole {
            assert_eq!(length, head.len(), "{head:?}");
        }
        let mut growing = Head::new(LIMITS);
        for at in 0..=head.len() {
            match growing.scan(head.as_bytes().get(..at).unwrap()) {
                Ok(None) => assert!(at < head.len(), "{head:?}"),
                Ok(Some((length, framing))) => {
                    assert_eq!((at, length, Ok(framing)), (head.len(), at, expected));
                }
                Err(reason) => {
                    assert_eq!(Err(reason), expected, "{head:?} at {at}");
                    return;
                }
            }
        }
    }

    const NONE: Result<Framing, Reason> = Ok(Framing::Length(0));

    #[test]
    fn a_head_is_read_as_the_standard_writes_it() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NONE);
        check("get~! /x?y=%zz HTTP/1.1\r\nhOST:\t a:80 \r\nX: \u{e9}\t\r\nY:\r\n\r\n", NONE);
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", NONE);
        check("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", NONE);
        check("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-a, Upgrade\r\n\r\n", NONE);
        let with = |line: &str| format!("PUT / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        check(&with("Content-Length: 7"), Ok(Framing::Length(7)));
        check(&with("Transfer-Encoding: Chunked"), Ok(Framing::Chunked));
    }

    #[test]
    fn a_token_has_the_bytes_of_the_standard() {
        for byte in 0..=u8::MAX {
            let known = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(&[byte]), known, "{byte:#x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn what_two_could_read_differently_is_refused() {
        let unreadable = Err(Reason::RequestUnreadable);
        for line in [
            "GET /  HTTP/1.1",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET\t/ HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1.1x",
            "GET /",
            "G@T / HTTP/1.1",
            "GET /\u{1} HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET x HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "",
        ] {
            check(&format!("{line}\r\nHost: a\r\n\r\n"), unreadable);
        }
        for line in [
            "X",
            "X : a",
            " X: a",
            ": a",
            "X: a\r\n b",
            "X: a\0b",
            "X: a\rb",
            "X: \u{7f}",
            "X: a\nY: b",
            "Content-Length: +4",
            "Content-Length: -4",
            "Content-Length: 0x4",
            "Content-Length: 4, 4",
            "Content-Length: 4 4",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Content-Length: 4\r\nContent-Length: 4",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding:",
            "Connection: close, Data-Purpose",
            "Connection: HOST",
        ] {
            check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"), unreadable);
        }
        check("GET / HTTP/1.1\nHost: a\n\n", unreadable);
        let host = Err(Reason::HostNotValid);
        check("GET / HTTP/1.1\r\n\r\n", host);
        check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", host);
        check("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", host);
        check("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", host);
        check("GET http://b\\a/ HTTP/1.1\r\nHost: a\r\n\r\n", host);
        let path = Err(Reason::PathNotCanonical);
        check("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", path);
        check("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", path);
        let version = Err(Reason::HttpVersionNotSupported);
        for other in ["0.9", "1.0", "1.2", "2.0"] {
            check(&format!("GET / HTTP/{other}\r\nHost: a\r\n\r\n"), version);
        }
        check("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Err(Reason::RouteUnknown));
    }

    #[test]
    fn a_head_is_no_longer_than_it_may_be() {
        let get = |target: usize, header: usize| {
            let (target, header) = ("x".repeat(target), "x".repeat(header));
            format!("GET /{target} HTTP/1.1\r\nHost: a\r\nX: {header}\r\n\r\n")
        };
        check(&get(99, 700), NONE);
        check(&get(100, 0), Err(Reason::TargetTooLong));
        check(&get(2000, 0), Err(Reason::TargetTooLong));
        check(&get(1, 1000), Err(Reason::HeadTooLarge));
        check(&format!("GET {}", "x ".repeat(1000)), Err(Reason::TargetTooLong));
        let many = |times| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:y\r\n".repeat(times));
        check(&many(HEADERS_MAX - 1), NONE);
        check(&many(HEADERS_MAX), Err(Reason::HeadTooLarge));
    }
}
