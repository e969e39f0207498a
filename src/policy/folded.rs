//! Paths and names as lenient servers read them. Many take capitals for small letters, and some decode a text once more, take its
//! compatibility form, or leave out dots, spaces and a slash at an end.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// After so many rounds a text is not looked into any further: each takes one more layer off it that was encoded.
const ROUNDS_MAX: usize = 16;

/// A decoded path, folded: decoded until nothing is left to decode, in Unicode's compatibility form (NFKC), without case and what
/// cannot be seen, without spaces around a segment and dots at its end, without a slash at its own end, and without what would then be a query or a parameter of a
/// segment. None if it cannot be decoded to text, or if segments then are empty, or steps to where they stand (`..`).
pub(crate) fn path(path: &str) -> Option<Cow<'_, str>> {
    if is_folded(path) {
        return Some(Cow::Borrowed(path));
    }
    let mut folded = path.to_owned();
    for _ in 0..ROUNDS_MAX {
        let text = text(&folded)?.replace('\\', "/");
        let path = text.split([';', '?', '#']).next().unwrap_or_default();
        let is_trimmed = |c: char| c == '.' || c.is_whitespace();
        let segments = path.split('/');
        let segments = segments.map(|one| one.trim_end_matches(is_trimmed).trim_start());
        let mut next = segments.collect::<Vec<_>>().join("/");
        next.truncate(next.trim_end_matches('/').len().max(1));
        if next.contains("//") {
            return None;
        }
        if next == folded {
            return Some(Cow::Owned(next));
        }
        folded = next;
    }
    None
}

/// Whether a path is folded at first sight.
fn is_folded(path: &str) -> bool {
    let is_plain =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'@');
    let mut segments = path.as_bytes().split(|byte| *byte == b'/');
    path.bytes().all(is_plain)
        && !path.ends_with('/')
        && !segments.any(|segment| segment.ends_with(b"."))
}

/// A text without case, decoded and in compatibility form. None if it cannot be decoded to text.
pub(crate) fn text(text: &str) -> Option<String> {
    let decoded = decoded(text)?;
    let decoded: Cow<'_, str> = if decoded.contains(is_ignorable) {
        Cow::Owned(decoded.replace(is_ignorable, ""))
    } else {
        decoded
    };
    // Some letters have several small ones, or several capital ones: `ß` is `SS`, and the small letter of `ẞ`.
    let upper = decoded.nfkc().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    let folded: String = upper.flat_map(char::to_lowercase).nfkc().collect();
    // The small letter of a dotted capital I: some compare letter by letter, and take it for an i.
    Some(folded.replace("i\u{307}", "i"))
}

/// Whether a character stands for nothing, so that comparing by Unicode's rules leaves it out (`Default_Ignorable_Code_Point`,
/// Unicode Standard Annex 44; it is none in `NFKC_Casefold`).
fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x202a..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfff8
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

/// Resolves `%XX` until none is left.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded: Vec<u8> = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        decoded.push(byte);
        // What is decoded can be the end of another one.
        while let [.., b'%', high, low] = decoded.as_slice()
            && let Some(byte) = byte_of(*high, *low)
        {
            decoded.truncate(decoded.len() - 3);
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A path without the last extension of its last segment, folded anew: some servers answer `/customers/42.json` as `/customers/42`.
/// None if it has none.
pub(crate) fn without_extension(folded: &str) -> Option<Cow<'_, str>> {
    let (above, last) = folded.rsplit_once('/')?;
    let (stem, _) = last.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    path(folded.get(..above.len() + 1 + stem.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_folded_as_lenient_servers_read_it() {
        for (given, expected) in [
            ("/", "/"),
            ("/customers/c-1042", "/customers/c-1042"),
            ("/Customers/C-1042/", "/customers/c-1042"),
            ("/customers/export.", "/customers/export"),
            ("/customers/export. .", "/customers/export"),
            ("/ customers/\u{a0}export", "/customers/export"),
            ("/ex\u{ad}port\u{200b}", "/export"),
            ("/customers/\u{feff}", "/customers"),
            ("/customers. /export\u{3000}", "/customers/export"),
            ("/customers/ /", "/customers"),
            ("/customers/export?x", "/customers/export"),
            ("/customers/export\u{ff1b}x", "/customers/export"),
            ("/customers\u{ff3c}export", "/customers/export"),
            ("/...", "/"),
            ("/.a/b.c", "/.a/b.c"),
            ("/\u{ff25}\u{ff38}port", "/export"),
            ("/cu\u{17f}tomers", "/customers"),
            ("/\u{212a}eys", "/keys"),
            ("/\u{fb01}les", "/files"),
            ("/stra\u{df}e", "/strasse"),
            ("/STRA\u{1e9e}E", "/strasse"),
            ("/\u{130}d", "/id"),
            ("/\u{131}d", "/id"),
            ("/\u{3a3}\u{3c2}", "/\u{3c3}\u{3c3}"),
            // A dot, two dots and a slash in another form.
            ("/a\u{ff0f}b", "/a/b"),
            ("/export\u{2024}", "/export"),
            // A percent sign in another form, once and twice.
            ("/\u{ff05}45xport", "/export"),
            ("/\u{ff05}2545xport", "/export"),
            ("/100%", "/100%"),
        ] {
            assert_eq!(path(given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(path("/\u{ff05}ff"), None, "no text");
        for steps in ["/a/.. /b", "/a/\u{2025}/b", "/a/..\u{ff0f}b", "/a/\u{ff05}2e/b", "/.../b"] {
            assert_eq!(path(steps), None, "{steps}");
        }
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for c in '\0'..=char::MAX {
            let Some(once) = path(&format!("/a{c}b{c}/x{c}")).map(Cow::into_owned) else {
                // A slash in another form.
                assert!(c.nfkc().any(|c| c == '/' || c == '\\'), "{c:?}");
                continue;
            };
            assert_eq!(path(&once).as_deref(), Some(&*once), "{c:?}");
            let [upper, lower] = [c.to_uppercase().collect::<String>(), c.to_lowercase().collect()];
            for other in [upper, lower, c.nfkc().collect(), c.nfkd().collect()] {
                assert_eq!(text(&other), text(&c.to_string()), "{c:?} {other:?}");
            }
        }
    }

    #[test]
    fn layers_of_encoding_end() {
        let mut nested = "x".to_owned();
        for _ in 0..3 {
            let encoded = nested.bytes().map(|byte| format!("\u{ff05}{byte:02x}"));
            nested = encoded.collect::<Vec<_>>().concat();
        }
        assert_eq!(path(&format!("/{nested}")).as_deref(), Some("/x"));
        let long = format!("/\u{ff05}{}41", "25".repeat(10_000));
        assert_eq!(path(&long).as_deref(), Some("/a"));
    }

    #[test]
    fn an_extension_is_what_is_behind_the_last_dot() {
        for (given, expected) in [
            ("/export.json", Some("/export")),
            ("/a.b/export.tar.gz", Some("/a.b/export.tar")),
            ("/export..json", Some("/export")),
            ("/a.b/export", None),
            ("/.htaccess", None),
            ("/", None),
        ] {
            assert_eq!(without_extension(given).as_deref(), expected, "{given}");
        }
    }
}
