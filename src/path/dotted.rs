//! How wildcards are written: `.*` is about the members of objects, `[*]` is mostly written for the elements of
//! arrays. They select the same (RFC 9535, section 2.5.1), and who reads a path takes them for two things.

/// The segments of a path that are written `.*`, as bits by their index: a path has at most 128 segments.
///
/// None where the text is no path.
pub(crate) fn dotted_wildcards(path: &str) -> u128 {
    let mut dotted = 0;
    // Most paths spell all names.
    if !path.as_bytes().windows(2).any(|pair| pair == b".*") {
        return dotted;
    }
    let mut rest = path.strip_prefix('$').unwrap_or_default().trim_start();
    let mut bit: u128 = 1;
    while !rest.is_empty() {
        let inner = rest.strip_prefix("..").or_else(|| rest.strip_prefix('.')).unwrap_or(rest);
        let (is_wildcard, after) = if inner.starts_with('[') {
            let Some(end) = end_of_brackets(inner) else { return 0 };
            (false, inner.get(end..).unwrap_or_default())
        } else if let Some(after) = inner.strip_prefix('*') {
            (!rest.starts_with(".."), after)
        } else {
            let end = inner.find(['.', '[', ' ', '\t', '\n', '\r']).unwrap_or(inner.len());
            (false, inner.get(end..).unwrap_or_default())
        };
        if after.len() == rest.len() {
            return 0;
        }
        dotted |= if is_wildcard { bit } else { 0 };
        bit = bit.checked_shl(1).unwrap_or_default();
        rest = after.trim_start();
    }
    dotted
}

/// Where the brackets end that a text begins with; those in quotes are text.
fn end_of_brackets(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(opening), _) if c == opening => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => open += 1,
            (None, ']') => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            (Some(_) | None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::dotted_wildcards;
    use crate::path::{Path, Selector};

    #[test]
    fn only_what_is_written_with_a_dot_is_dotted() {
        for (path, expected) in [
            ("$", &[][..]),
            ("$.a", &[]),
            ("$.*", &[0]),
            ("$[*]", &[]),
            ("$..*", &[]),
            ("$..[*]", &[]),
            ("$.a.*.b", &[1]),
            ("$.a[*].*", &[2]),
            ("$['.*'].*", &[1]),
            ("$[\"a\\\"].*\"].*[ 'x' , * ]", &[1]),
            ("$.a[?@.b == ']' && @['x'][0].*].*.c", &[2]),
            ("$ .a\n.* [?@.*]\t.*", &[1, 3]),
            ("$..a.*", &[1]),
            ("$.é.*", &[1]),
        ] {
            let dotted = dotted_wildcards(path);
            let found: Vec<u32> = (0..128).filter(|at| dotted >> at & 1 == 1).collect();
            assert_eq!(found, expected, "{path}");
            let parsed = Path::parse(path).unwrap();
            for at in found {
                let segment = &parsed.segments()[at as usize];
                assert_eq!(segment.selectors.as_slice(), [Selector::Wildcard], "{path}");
                assert!(!segment.descendant, "{path}");
            }
        }
        assert_eq!(dotted_wildcards("a.*"), 0);
        assert_eq!(dotted_wildcards("$.*[0"), 0);
        assert_eq!(dotted_wildcards(&format!("${}.*", ".a".repeat(200))), 0);
    }
}
