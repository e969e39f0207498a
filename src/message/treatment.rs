//! What happens to a response, by its head alone: before a byte of it leaves, it is known how every
//! byte of it will be treated.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use mime::Mime;

use crate::{
    access::Reason,
    coding::Coding,
    message::built_in,
    policy::{Framing, is_grpc},
};

/// How the body of a response is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// There is none; a byte of one is refused.
    Empty,
    /// It goes through the plan of the request. Some responses may be without one.
    Sieve {
        /// How it comes packed.
        coding: Coding,
        /// How JSON texts stand in it.
        framing: Framing,
        /// Whether a body of no bytes is as good as a JSON text.
        may_be_empty: bool,
    },
    /// It is an error in words of the upstream's: a problem of ours stands for it.
    Replace,
    /// Nobody reads it, and it cannot be looked into: it is read, and left out.
    Discard,
    /// A policy says that it passes as it is.
    Pass {
        /// How it comes packed.
        coding: Coding,
    },
}

/// What of a request decides how its response is treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestTraits {
    /// It is a HEAD.
    pub is_head: bool,
    /// By a rule, whatever its route answers passes unread.
    pub passes: bool,
    /// The upstream was told what the client has, and asked whether that has changed.
    pub is_conditional: bool,
}

impl Treatment {
    /// The treatment of the response with this head, or why it is refused.
    ///
    /// `ended` says that no body follows the head, `passes` whether the policies let a media type pass.
    /// Interim responses (1xx) do not come here, but for
    /// 101, which is the last that HTTP would say.
    pub fn of(
        status: StatusCode,
        headers: &HeaderMap,
        asked: RequestTraits,
        ended: bool,
        passes: impl Fn(&str) -> bool,
    ) -> Result<Self, Reason> {
        match status.as_u16() {
            101 => return Err(Reason::ProtocolSwitch),
            206 => return Err(Reason::PartialContent),
            // Nobody has asked whether anything has changed.
            304 if !asked.is_conditional => return Err(Reason::UpstreamProtocol),
            200..=599 => {}
            _ => return Err(Reason::UpstreamProtocol),
        }
        // One of them was for somebody else, who saw the end in another place.
        if headers.get_all(header::TRANSFER_ENCODING).iter().nth(1).is_some() {
            return Err(Reason::UpstreamProtocol);
        }
        let is_error = status.as_u16() >= 400;
        let may_be_empty = matches!(status.as_u16(), 201 | 202 | 300..=399);
        let has_none = asked.is_head || matches!(status.as_u16(), 204 | 205 | 304);
        let media = Media::of(headers);
        if has_none || (ended && (is_error || may_be_empty || media == Media::Absent)) {
            return Ok(Self::Empty);
        }
        if is_error {
            return Ok(Self::Replace);
        }
        let coding = coding(headers);
        if status.is_redirection() && (coding.is_none() || !matches!(media, Media::Json { .. })) {
            return Ok(Self::Discard);
        }
        let coding = coding.ok_or(Reason::CodingNotSupported)?;
        if asked.passes {
            return match media {
                Media::Unclear => Err(Reason::MediaNotAllowed),
                Media::Other(media) if is_grpc(&media) => Err(Reason::MediaNotAllowed),
                Media::Absent | Media::Json { .. } | Media::Other(_) if ended => Ok(Self::Empty),
                Media::Absent | Media::Json { .. } | Media::Other(_) => Ok(Self::Pass { coding }),
            };
        }
        match media {
            // No bytes are no JSON text; but they are as many as none.
            Media::Json { framing, .. } if ended => {
                if framing.may_be_empty() {
                    Ok(Self::Empty)
                } else {
                    Err(Reason::BodyCut)
                }
            }
            Media::Json { framing, .. } => {
                let may_be_empty = may_be_empty || framing.may_be_empty();
                Ok(Self::Sieve { coding, framing, may_be_empty })
            }
            Media::Other(media) if passes(&media) => {
                Ok(if ended { Self::Empty } else { Self::Pass { coding } })
            }
            // It may still turn out to be empty, and is refused with its first byte if not.
            Media::Absent if may_be_empty => Ok(Self::Empty),
            Media::Other(_) | Media::Absent | Media::Unclear => Err(Reason::MediaNotAllowed),
        }
    }
}

/// Labels of UTF-8 (WHATWG Encoding, section 4.2), and of ASCII (IANA character sets), which is a subset of it.
const UTF_8: [&str; 9] = [
    "utf-8",
    "utf8",
    "unicode-1-1-utf-8",
    "unicode11utf8",
    "unicode20utf8",
    "x-unicode20utf8",
    "us-ascii",
    "ascii",
    "ansi_x3.4-1968",
];

/// What a response says that its body is.
#[derive(Debug, PartialEq, Eq)]
enum Media {
    /// It says nothing.
    Absent,
    /// JSON in UTF-8.
    Json { framing: Framing },
    /// Something else: type and subtype, lower-case.
    Other(String),
    /// It says it twice, or in another charset, or not so that it could be read.
    Unclear,
}

impl Media {
    fn of(headers: &HeaderMap) -> Self {
        let media = match content_type(headers) {
            Ok(Some(media)) => media,
            Ok(None) => return Self::Absent,
            Err(Unclear) => return Self::Unclear,
        };
        // `essence_str` is lower-case, and without parameters.
        let essence = media.essence_str();
        let Some(framing) = Framing::of(essence) else { return Self::Other(essence.to_owned()) };
        // The parser has made them lower-case.
        if charsets(&media).all(|charset| UTF_8.contains(&charset)) {
            Self::Json { framing }
        } else {
            Self::Unclear
        }
    }
}

/// A media type that is said twice, or not so that it could be read.
struct Unclear;

/// The media type of a response, if it says one.
fn content_type(headers: &HeaderMap) -> Result<Option<Mime>, Unclear> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    text.and_then(built_in::media_type).map(Some).ok_or(Unclear)
}

fn charsets(media: &Mime) -> impl Iterator<Item = &str> {
    let params = media.params().filter(|(name, _)| *name == mime::CHARSET);
    params.map(|(_, charset)| charset.as_str())
}

/// The `Content-Type` that leaves in place of the upstream's, where that labels JSON with another charset than `utf-8`.
/// The body leaves in UTF-8: an action may write characters that are not in ASCII, and a client may not know
/// the other labels. None if the upstream's can leave as it is.
pub(super) fn content_type_in_utf8(headers: &HeaderMap) -> Option<HeaderValue> {
    // Mostly there is no parameter, so that there is nothing to parse.
    let has_parameters = headers.get(header::CONTENT_TYPE)?.as_bytes().contains(&b';');
    if !has_parameters || !says_json(headers) {
        return None;
    }
    let media = content_type(headers).ok()??;
    if charsets(&media).all(|charset| charset == "utf-8") {
        return None;
    }
    let mut value = media.essence_str().to_owned();
    for (name, text) in media.params() {
        let text = if name == mime::CHARSET { "utf-8" } else { text.as_str() };
        built_in::write_parameter(&mut value, name.as_str(), text);
    }
    HeaderValue::try_from(value).ok()
}

/// Whether a response says that its body is JSON in UTF-8.
pub(super) fn says_json(headers: &HeaderMap) -> bool {
    matches!(Media::of(headers), Media::Json { .. })
}

/// How the body is packed; `None` if it is not known, several times over, or in a transfer coding but
/// the one that delimits it.
fn coding(headers: &HeaderMap) -> Option<Coding> {
    let is_chunked =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !headers.get_all(header::TRANSFER_ENCODING).iter().all(is_chunked) {
        return None;
    }
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(coding) = codings.next() else { return Some(Coding::Identity) };
    if codings.next().is_some() {
        return None;
    }
    Coding::named(coding.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: bool = false;
    const ENDED: bool = true;
    const SIEVE: Result<Treatment, Reason> = Ok(Treatment::Sieve {
        coding: Coding::Identity,
        framing: Framing::Document,
        may_be_empty: false,
    });
    const PASS: Result<Treatment, Reason> = Ok(Treatment::Pass { coding: Coding::Identity });

    /// `head` is a status and header lines, separated by `|`.
    #[track_caller]
    fn check(head: &str, ended: bool, expected: Result<Treatment, Reason>) {
        assert_eq!(treatment(head, false, ended), expected, "{head}");
    }

    fn treatment(head: &str, is_head: bool, ended: bool) -> Result<Treatment, Reason> {
        let mut lines = head.split('|');
        let status = StatusCode::from_bytes(lines.next().unwrap().as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let asked = RequestTraits { is_head, ..RequestTraits::default() };
        Treatment::of(status, &headers, asked, ended, |media| media == "text/csv")
    }

    #[test]
    fn json_is_sieved_by_whatever_name() {
        for media in [
            "application/json",
            "Application/JSON",
            "application/fhir+json; fhirVersion=4.0",
            "application/json;charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json; charset=utf8",
            "application/json;charset=US-ASCII;",
            "application/json; Charset=\"Ascii\"; charset=utf-8",
            "application/json; charset=ANSI_X3.4-1968",
            "application/json; charset=unicode-1-1-UTF-8",
            "text/json",
            "application/hal+json",
        ] {
            check(&format!("200|content-type: {media}"), BODY, SIEVE);
        }
        check("200|content-type: application/json|content-encoding: Identity", BODY, SIEVE);
        check("200|content-type: application/json|transfer-encoding: chunked", BODY, SIEVE);
    }

    #[test]
    fn documents_in_a_framing_are_sieved_one_by_one() {
        for (media, framing) in [
            ("application/x-ndjson", Framing::Lines),
            ("Application/JSONL; charset=utf-8", Framing::Lines),
            ("application/json-seq", Framing::Sequence),
            ("application/geo+json-seq", Framing::Sequence),
            ("text/event-stream;charset=UTF-8", Framing::Events),
        ] {
            let head = format!("200|content-type: {media}");
            // There may be none of them.
            let sieve = |coding| Ok(Treatment::Sieve { coding, framing, may_be_empty: true });
            check(&head, BODY, sieve(Coding::Identity));
            check(&head, ENDED, Ok(Treatment::Empty));
            check(&format!("{head}|content-encoding: gzip"), BODY, sieve(Coding::Gzip));
            check(&format!("500|content-type: {media}"), BODY, Ok(Treatment::Replace));
        }
    }

    #[test]
    fn what_is_no_json_is_refused_or_passes_by_a_rule() {
        let refused = Err(Reason::MediaNotAllowed);
        for media in [
            "text/html",
            "application/jsonx",
            "application/x-ndjson; charset=iso-8859-1",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; charset=utf8; charset=utf-16",
            "application/json; charset=utf-16; charset=us-ascii",
            "application/json; charset=utf-7",
            "application/json; charset=utf",
            "application/json; charset=\"\"",
            "application/json; charset=\" utf-8\"",
            "application/json; charset=",
            "application/json; charset",
            "application/json; charset=utf-8-sig",
            "application/json; charset=iso-8859-1",
            "application/json; charset=windows-1252",
            "application/json, text/html",
            "json",
            "*/*",
        ] {
            check(&format!("200|content-type: {media}"), BODY, refused);
        }
        check("200", BODY, refused);
        check("200|content-type: application/json|content-type: text/html", BODY, refused);
        check("200|content-type: text/csv; header=present", BODY, PASS);
    }

    #[test]
    fn utf_8_leaves_by_its_own_name() {
        let check = |media: &'static str, expected: Option<&str>| {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
            let value = content_type_in_utf8(&headers);
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected, "{media}");
        };
        for same in [
            "application/json",
            "application/json;charset=UTF-8",
            "application/json ; charset=\"Utf-8\"; version=\"a b\"",
            "application/json; charset=utf-16",
            "text/csv; charset=us-ascii",
        ] {
            check(same, None);
        }
        check("application/json;charset=utf8", Some("application/json; charset=utf-8"));
        check("Text/JSON; charset=\"US-ASCII\";", Some("text/json; charset=utf-8"));
        check(
            "application/fhir+json ;V=\"a;B\"; charset=ascii; x=Y",
            Some("application/fhir+json; v=\"a;B\"; charset=utf-8; x=Y"),
        );
    }

    #[test]
    fn a_coding_that_cannot_be_undone_is_refused() {
        let refused = Err(Reason::CodingNotSupported);
        for coding in
            ["compress", "gzip, br", "identity, gzip", "", "x", "gzip|content-encoding: br"]
        {
            let head = format!("200|content-type: application/json|content-encoding: {coding}");
            check(&head, BODY, refused);
            check(&format!("200|content-type: text/csv|content-encoding: {coding}"), BODY, refused);
        }
        check("200|content-type: application/json|transfer-encoding: gzip, chunked", BODY, refused);
    }

    #[test]
    fn chunks_that_are_said_twice_are_refused() {
        let chunked = "transfer-encoding: chunked";
        for status in [200, 204, 302, 404, 500] {
            let head = format!("{status}|content-type: application/json|{chunked}|{chunked}");
            check(&head, BODY, Err(Reason::UpstreamProtocol));
        }
    }

    #[test]
    fn what_is_not_a_whole_response_is_refused() {
        check("101", ENDED, Err(Reason::ProtocolSwitch));
        check("206|content-type: application/json", BODY, Err(Reason::PartialContent));
        check("600|content-type: application/json", BODY, Err(Reason::UpstreamProtocol));
        // Nobody asked whether it has changed.
        check("304", ENDED, Err(Reason::UpstreamProtocol));
        assert_eq!(treatment("206", true, ENDED), Err(Reason::PartialContent));
    }

    #[test]
    fn errors_say_what_they_are_and_no_more() {
        for status in [400, 404, 416, 500, 503, 599] {
            for other in [
                "",
                "|content-type: application/json",
                "|content-type: text/html",
                "|content-type: application/problem+json",
                "|content-type: application/problem+json|content-encoding: gzip",
                "|content-type: application/problem+json|content-encoding: x",
            ] {
                check(&format!("{status}{other}"), BODY, Ok(Treatment::Replace));
                check(&format!("{status}{other}"), ENDED, Ok(Treatment::Empty));
            }
        }
    }

    #[test]
    fn a_response_without_a_body_needs_no_type() {
        for status in [201, 202, 204, 205, 301, 302, 303, 307] {
            check(&format!("{status}"), ENDED, Ok(Treatment::Empty));
        }
        check("200", ENDED, Ok(Treatment::Empty));
        for head in ["200|content-type: text/html", "200|content-encoding: gzip", "404"] {
            assert_eq!(treatment(head, true, BODY), Ok(Treatment::Empty), "{head}");
        }
        // No body is announced, and none is known not to come.
        check("201", BODY, Ok(Treatment::Empty));
        check("201|content-type: text/html", BODY, Err(Reason::MediaNotAllowed));
        let json = "|content-type: application/json";
        for status in [201, 302] {
            let (coding, framing) = (Coding::Identity, Framing::Document);
            let expected = Ok(Treatment::Sieve { coding, framing, may_be_empty: true });
            check(&format!("{status}{json}"), BODY, expected);
        }
        // Says JSON, and there is none.
        check(&format!("200{json}"), ENDED, Err(Reason::BodyCut));
        check("200|content-type: text/csv", ENDED, Ok(Treatment::Empty));
    }

    #[test]
    fn the_words_of_a_redirection_are_left_out() {
        check("302|content-type: text/html", BODY, Ok(Treatment::Discard));
        check("302", BODY, Ok(Treatment::Discard));
        let coded = "302|content-type: application/json|content-encoding: compress";
        check(coded, BODY, Ok(Treatment::Discard));
    }
}
