//! Paths of single names, indices and wildcards, read without a grammar: a policy has thousands of them,
//! and a grammar that could read anything takes longer for each than all else that is done with it.

use crate::path::syntax::{NAME_BYTES_MAX, Path, SEGMENTS_MAX, Segment, Selector};

/// Most digits of an index that is read here: all such numbers are within the range of the standard
/// (RFC 9535, section 2.1). One of 16 digits may be beyond it, and the grammar knows.
const DIGITS_MAX: usize = 15;

/// Reads what is surely a path, and what it says. None means nothing: the grammar has to be asked.
pub(super) fn read(text: &str) -> Option<Path> {
    let mut rest = text.strip_prefix('$')?;
    if let Some((segment, "")) = segment(rest) {
        // Most paths that there are thousands of are `$..name`: they need no list that is copied then.
        return Some(Path::of([segment]));
    }
    let mut segments = Vec::with_capacity(4);
    while !rest.is_empty() {
        let (segment, after) = segment(rest)?;
        segments.push(segment);
        rest = after;
    }
    (segments.len() <= SEGMENTS_MAX).then(|| Path::of(segments))
}

/// The segment that a text begins with, and what follows it.
fn segment(text: &str) -> Option<(Segment, &str)> {
    let (descendant, inner) = match text.strip_prefix("..") {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let (selector, after) = if let Some(inner) = inner.strip_prefix('[') {
        let (selector, after) = bracketed(inner)?;
        (selector, after.strip_prefix(']')?)
    } else {
        let inner = if descendant { inner } else { inner.strip_prefix('.')? };
        match inner.strip_prefix('*') {
            Some(after) => (Selector::Wildcard, after),
            None => shorthand(inner)?,
        }
    };
    Some((Segment::by(descendant, selector), after))
}

/// `member-name-shorthand` of RFC 9535, section 2.5.1.1, in ASCII.
fn shorthand(text: &str) -> Option<(Selector, &str)> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let end = text.bytes().position(|byte| !is_name(byte)).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end)?;
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((self::name(name)?, after))
}

/// What stands in brackets: a name in quotes without anything to escape, an index from the front, or `*`.
fn bracketed(text: &str) -> Option<(Selector, &str)> {
    let first = text.chars().next()?;
    match first {
        '*' => Some((Selector::Wildcard, text.strip_prefix('*')?)),
        '\'' | '"' => {
            let (name, after) = text.strip_prefix(first)?.split_once(first)?;
            let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
            if !name.bytes().all(is_plain) {
                return None;
            }
            Some((self::name(name)?, after))
        }
        _ => {
            let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
            let (digits, after) = text.split_at_checked(end)?;
            let is_plain = digits == "0" || !digits.starts_with('0');
            let index = (is_plain && digits.len() <= DIGITS_MAX).then(|| digits.parse().ok())??;
            Some((Selector::Index(index), after))
        }
    }
}

fn name(name: &str) -> Option<Selector> {
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    is_name.then(|| Selector::Name(name.to_owned()))
}
