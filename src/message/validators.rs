//! Validators: an upstream's `ETag` leaves sealed, and what a client sends back is opened again, so that
//! an answer is told unchanged only to whom it was given, for the purpose and under the policies that
//! it was given for. Nothing has to be kept for it.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::transform::Sealer;

/// Most validators of one request that are tried, and most that go on.
const TAGS_MAX: usize = 32;

/// The condition of `WebDAV`.
const IF: HeaderName = HeaderName::from_static("if");

/// What one request has to do with validators.
pub(crate) struct Validation {
    /// What validators are bound to: all that decides what leaves of one and the same answer.
    bonds: Vec<Vec<u8>>,
    /// Those of the upstream's that the client has answers for.
    known: Vec<Vec<u8>>,
}

impl Validation {
    /// Opens what a client sends back. What does not open under these
    /// bonds is as if it were not there; so is `*`, which asks for nothing that was given.
    pub(crate) fn of(sealer: &Sealer, bonds: Vec<Vec<u8>>, headers: &HeaderMap) -> Self {
        let mut known: Vec<Vec<u8>> = Vec::new();
        let values = headers.get_all(header::IF_NONE_MATCH).iter();
        let tags = values.filter_map(|value| value.to_str().ok()).flat_map(opaque_tags);
        for tag in tags.take(TAGS_MAX) {
            known.extend(sealer.open(tag, &bonds).filter(|tag| !known.contains(tag)));
        }
        Self { bonds, known }
    }

    /// The condition for the upstream, if the client has anything to compare with.
    pub(crate) fn condition(&self) -> Option<HeaderValue> {
        let all = self.known.join(&b", "[..]);
        HeaderValue::from_bytes(&all).ok().filter(|value| !value.is_empty())
    }

    /// The validator that leaves in the place of the upstream's, if it has one.
    pub(crate) fn sealed(&self, sealer: &Sealer, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut tags = headers.get_all(header::ETAG).iter();
        let (Some(tag), None) = (tags.next(), tags.next()) else { return None };
        let tag = tag.as_bytes();
        let text = sealer.seal(tag, &self.bonds).filter(|_| is_entity_tag(tag))?;
        // What leaves is not what was compared, byte for byte: it is weak (RFC 9110, section 8.8.1).
        HeaderValue::try_from(format!("W/\"{text}\"")).ok()
    }
}

/// Whether a condition can have a validator in it: a date has no quotes.
pub(crate) fn has_tags(value: &HeaderValue) -> bool {
    let prefix = Sealer::PREFIX.as_bytes();
    let bytes = value.as_bytes();
    bytes.contains(&b'"') || bytes.windows(prefix.len()).any(|part| part == prefix)
}

/// A condition with the upstream's validators in the place of the sealed ones. None if one does not open, is not whole, or
/// was not given out: a client that may try the upstream's own would learn of the whole answer whether it is the one that
/// they are made of. `tags` counts those that are tried. In a list of tags nothing but commas stands between them; a condition
/// of `WebDAV` (RFC 4918, section 10.4) has more than tags.
pub(crate) fn opened(
    name: &HeaderName,
    value: &HeaderValue,
    tags: &mut usize,
    open: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let quotes = text.matches('"').count();
    if quotes % 2 != 0 {
        return None;
    }
    let mut left = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 0 {
            let gap = part.strip_suffix("W/").unwrap_or(part).trim_matches([' ', '\t']);
            let parts_tags = match index {
                0 => gap.is_empty(),
                index if index == quotes => part.trim_matches([' ', '\t']).is_empty(),
                _ => gap == ",",
            };
            if part.contains(Sealer::PREFIX) || !parts_tags && *name != IF {
                return None;
            }
            left.extend_from_slice(part.as_bytes());
        } else {
            *tags += 1;
            let tag = if *tags > TAGS_MAX { None } else { open(part) }?;
            // Whether it is a weak one is said by the one that was sealed.
            left.truncate(left.strip_suffix(b"W/").unwrap_or(&left).len());
            left.extend_from_slice(&tag);
        }
    }
    HeaderValue::from_bytes(&left).ok()
}

/// Whether these are the bytes of one entity tag (RFC 9110, section 8.8.3).
fn is_entity_tag(tag: &[u8]) -> bool {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let inner = tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\""));
    inner.is_some_and(|inner| inner.iter().all(|c| *c > b' ' && *c != b'"' && *c != 0x7f))
}

/// What stands between the quotes of a list of entity tags. The weak and the strong compare alike.
fn opaque_tags(list: &str) -> impl Iterator<Item = &str> {
    // Nothing that was sealed has a quote in it: what stands between two is a tag, or what parts two.
    list.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_taken_apart() {
        let tags = |list| opaque_tags(list).collect::<Vec<_>>();
        assert_eq!(tags(r#"W/"a", "b",W/"c""#), ["a", "b", "c"]);
        assert_eq!(tags(r#""a,b""#), ["a,b"]);
        assert_eq!(tags("*"), [""; 0]);
        assert_eq!(tags(""), [""; 0]);
    }

    #[test]
    fn what_was_sealed_is_opened_where_it_stands() {
        let sealer = Sealer::new(&crate::transform::RootKey::from_hex(&"5a".repeat(32)).unwrap());
        let seal = |tag: &str| sealer.seal(tag.as_bytes(), &["desk"]).unwrap();
        let (strong, weak) = (seal("\"7\""), seal("W/\"8\""));
        let check = |given: &str, expected: Option<&str>| {
            let name = if given.starts_with('(') { IF } else { header::IF_MATCH };
            let given = HeaderValue::try_from(given).unwrap();
            let opened = opened(&name, &given, &mut 0, |tag| sealer.open(tag, &["desk"]));
            assert_eq!(opened.as_ref().map(|value| value.to_str().unwrap()), expected, "{given:?}");
        };
        check(&format!("W/\"{strong}\""), Some("\"7\""));
        check(&format!("\"{strong}\", W/\"{weak}\" ,\"{strong}\""), Some("\"7\", W/\"8\" ,\"7\""));
        check(&format!("(<urn:x> [W/\"{strong}\"])"), Some("(<urn:x> [\"7\"])"));
        for mangled in [
            // The upstream's own, which nobody was given.
            "\"7\"".to_owned(),
            "\"a v1.0\"".to_owned(),
            format!("\"{strong}\", \"7\""),
            format!("(<urn:x> [W/\"{strong}\"] [\"7\"])"),
            // No list of tags.
            format!("\"{strong}\"x"),
            format!("x\"{strong}\""),
            format!("w/\"{strong}\""),
            format!("\"{strong}\" \"{weak}\""),
            format!("\"{strong}\",W/"),
            "\"v1.short\"".to_owned(),
            "\"v1.\"".to_owned(),
            format!("W/\"{strong}-gzip\""),
            format!("W/\"{}\"", strong.trim_end_matches(char::is_alphanumeric)),
            format!("W/\"{strong}"),
            strong.clone(),
            format!("\"a\", {strong}"),
        ] {
            check(&mangled, None);
        }
        let other = sealer.seal(b"\"7\"", &["office"]).unwrap();
        check(&format!("\"{strong}\", \"{other}\""), None);
        let many = vec![format!("\"{strong}\""); TAGS_MAX + 1].join(",");
        check(&many, None);
        let behind = [b"\"\xff\", W/\"", strong.as_bytes(), b"\""].concat();
        assert!(has_tags(&HeaderValue::from_bytes(&behind).unwrap()));
        assert!(has_tags(&HeaderValue::try_from(strong).unwrap()));
        for plain in ["*", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            assert!(!has_tags(&HeaderValue::from_static(plain)));
        }
    }

    #[test]
    fn an_entity_tag_is_one() {
        for right in [&br#""x""#[..], br#"W/"x""#, br#""""#, b"\"\xe9\""] {
            assert!(is_entity_tag(right), "{right:?}");
        }
        for wrong in
            [&b"x"[..], b"", b"\"", b"\"a\", \"b\"", b"w/\"x\"", b"\"a b\"", b"\"a\tb\"", b"*"]
        {
            assert!(!is_entity_tag(wrong), "{wrong:?}");
        }
    }
}
