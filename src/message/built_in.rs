//! The response headers that leave without a word of the policies. Each is written anew in the form that its standard
//! gives it: whatever else an upstream could put into a value stays behind.

use http::{HeaderName, HeaderValue, Method, header};
use isolang::Language;
use memchr::memchr;
use mime::Mime;

/// Those of every route.
static EVERYWHERE: [HeaderName; 4] =
    [header::ALLOW, header::CONTENT_LANGUAGE, header::CONTENT_TYPE, header::RETRY_AFTER];

/// Those of a route whose bodies pass, besides: they tell a browser what it may do with what it gets.
static PASSED: [HeaderName; 4] = [
    header::X_CONTENT_TYPE_OPTIONS,
    header::CONTENT_SECURITY_POLICY,
    header::X_FRAME_OPTIONS,
    header::REFERRER_POLICY,
];

/// The methods of RFC 9110, section 9, and of RFC 5789.
static METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Longest boundary of a body in parts (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// What leaves of a header that no policy lists; none if nothing does. `passes` says that the route lets its bodies
/// pass.
pub(super) fn written(name: &HeaderName, value: &HeaderValue, passes: bool) -> Option<HeaderValue> {
    if EVERYWHERE.contains(name) {
        let text = value.to_str().ok()?;
        return match *name {
            header::ALLOW => listed(text, |method| METHODS.iter().any(|known| known == method)),
            header::CONTENT_LANGUAGE => listed(text, is_language),
            header::CONTENT_TYPE => content_type(value, text),
            _ => retry_after(text),
        };
    }
    if !passes {
        return None;
    }
    if PASSED.contains(name) {
        return Some(value.clone());
    }
    let is_download = *name == header::CONTENT_DISPOSITION && !is_inline(value);
    is_download.then(|| HeaderValue::from_static("attachment"))
}

/// The members of a list that are known (RFC 9110, section 5.6.1).
fn listed(text: &str, is_known: impl Fn(&str) -> bool) -> Option<HeaderValue> {
    let members = text.split(',').map(str::trim).filter(|member| is_known(member));
    let members = members.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(members).ok().filter(|value| !value.is_empty())
}

/// Whether this is a language tag (RFC 5646, section 2.1) of a known language, with script, region and variants, but
/// without extensions and private use.
fn is_language(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let language = subtags.next().unwrap_or_default().to_ascii_lowercase();
    let is_known = Language::from_639_1(&language).or_else(|| Language::from_639_3(&language));
    let is_subtag = |subtag: &str| {
        matches!(subtag.len(), 2..=8) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    is_known.is_some() && subtags.all(is_subtag)
}

/// The media type (RFC 9110, section 8.3) with those of its parameters that say how to read the body.
fn content_type(value: &HeaderValue, text: &str) -> Option<HeaderValue> {
    if !text.contains(';') {
        return Some(value.clone());
    }
    let media = media_type(text)?;
    let mut written = media.essence_str().to_owned();
    for (name, value) in media.params() {
        let value = value.as_str();
        let name = match name.as_str() {
            "charset" if encoding_rs::Encoding::for_label(value.as_bytes()).is_some() => "charset",
            "boundary" if media.type_() == mime::MULTIPART && is_boundary(value) => "boundary",
            "fhirversion" if is_version(value) => "fhirVersion",
            _ => continue,
        };
        write_parameter(&mut written, name, value);
    }
    HeaderValue::try_from(written).ok()
}

/// Reads a media type.
pub(super) fn media_type(text: &str) -> Option<Mime> {
    // White space may stand before the first `;`, which the parser does not know.
    let end = memchr(b';', text.as_bytes()).unwrap_or(text.len());
    let (essence, rest) = text.split_at(end);
    let trimmed = essence.trim_end();
    if trimmed == essence { text.parse().ok() } else { format!("{trimmed}{rest}").parse().ok() }
}

/// Writes a parameter of a media type (RFC 9110, section 5.6.6), in quotes where it is no token.
pub(super) fn write_parameter(written: &mut String, name: &str, value: &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let quote = if value.bytes().all(is_token) { "" } else { "\"" };
    for piece in ["; ", name, "=", quote, value, quote] {
        written.push_str(piece);
    }
}

fn is_boundary(value: &str) -> bool {
    let is_of_boundary =
        |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=BOUNDARY_BYTES_MAX).contains(&value.len())
        && value.bytes().all(is_of_boundary)
        && !value.ends_with(' ')
}

/// A version of FHIR, such as `4.0` (FHIR, section "MIME-type parameter").
fn is_version(value: &str) -> bool {
    let is_number =
        |part: &str| matches!(part.len(), 1..=2) && part.bytes().all(|byte| byte.is_ascii_digit());
    value.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str) -> Option<HeaderValue> {
    let text = text.trim();
    if matches!(text.len(), 1..=7) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return HeaderValue::try_from(text).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()
}

/// Whether a disposition is `inline` (RFC 6266, section 4.2): what is not known is as good as `attachment`.
fn is_inline(value: &HeaderValue) -> bool {
    let disposition = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    disposition.trim_ascii().eq_ignore_ascii_case(b"inline")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What leaves of a header, on a route whose bodies are sieved, and on one whose bodies pass.
    #[track_caller]
    fn check(name: &str, value: &str, sieved: Option<&str>, passed: Option<&str>) {
        let name = HeaderName::try_from(name).unwrap();
        let value = HeaderValue::try_from(value).unwrap();
        for (passes, expected) in [(false, sieved), (true, passed)] {
            let written = written(&name, &value, passes);
            assert_eq!(written.as_ref().map(|value| value.to_str().unwrap()), expected, "{passes}");
        }
    }

    #[track_caller]
    fn everywhere(name: &str, value: &str, expected: Option<&str>) {
        check(name, value, expected, expected);
    }

    #[test]
    fn a_media_type_keeps_what_says_how_to_read_the_body() {
        for (value, expected) in [
            ("application/json", "application/json"),
            ("application/json;charset=UTF-8", "application/json; charset=utf-8"),
            ("text/csv ; charset=ISO-8859-1", "text/csv; charset=iso-8859-1"),
            ("text/csv; charset=anna", "text/csv"),
            ("application/json; user=anna; charset=utf-8", "application/json; charset=utf-8"),
            ("application/fhir+json; fhirVersion=4.0", "application/fhir+json; fhirVersion=4.0"),
            ("application/fhir+json; fhirVersion=4.0.anna", "application/fhir+json"),
            ("multipart/mixed; boundary=\"a b\"", "multipart/mixed; boundary=\"a b\""),
            ("multipart/mixed; boundary=a_b", "multipart/mixed; boundary=a_b"),
            ("application/json; boundary=a_b", "application/json"),
            ("text/html; title=\"anna; keller\"", "text/html"),
        ] {
            everywhere("content-type", value, Some(expected));
        }
        everywhere("content-type", "text; charset", None);
    }

    #[test]
    fn lists_keep_what_is_known() {
        everywhere("allow", "GET, anna,HEAD", Some("GET, HEAD"));
        everywhere("allow", "get", None);
        everywhere("allow", "", None);
        everywhere("content-language", "en-GB, de-CH-1996 ,zz-anna", Some("en-GB, de-CH-1996"));
        everywhere("content-language", "en-x-anna, nds", Some("nds"));
        everywhere("content-language", "anna", None);
        everywhere("content-language", "en-annakeller", None);
    }

    #[test]
    fn a_time_to_retry_is_a_number_or_a_date() {
        everywhere("retry-after", "120", Some("120"));
        everywhere("retry-after", "9999999", Some("9999999"));
        everywhere("retry-after", "10000000", None);
        everywhere("retry-after", "33612345678", None);
        everywhere("retry-after", "-1", None);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        everywhere("retry-after", date, Some(date));
        everywhere("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT", Some(date));
        everywhere("retry-after", "call anna", None);
    }

    #[test]
    fn what_a_browser_is_told_of_what_passes_leaves_with_it() {
        check("x-content-type-options", "nosniff", None, Some("nosniff"));
        check("content-security-policy", "sandbox", None, Some("sandbox"));
        check("x-frame-options", "DENY", None, Some("DENY"));
        check("referrer-policy", "no-referrer", None, Some("no-referrer"));
        check("content-disposition", "attachment; filename=anna.pdf", None, Some("attachment"));
        check("content-disposition", "form-data; name=anna", None, Some("attachment"));
        check("content-disposition", "Inline ; filename=anna.pdf", None, None);
        check("x-anna", "anna", None, None);
    }
}
