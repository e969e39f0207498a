//! The regular expressions of filters (RFC 9485), and what is wrong with one.

use regex::Regex;

/// Longest regular expression, compiled, that a filter may have.
pub(super) const PATTERN_BYTES_MAX: usize = 1 << 18;

/// Why a text cannot be used as a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no I-Regexp (RFC 9485).
    #[error("no regular expression of RFC 9485")]
    Invalid,
    /// It takes more memory than it may.
    #[error("a regular expression that is too large")]
    TooLarge,
}

/// Compiles an I-Regexp (RFC 9485) into at most so many bytes; `whole` for one that has to match all of a
/// text.
pub fn compile_pattern(
    pattern: &str,
    whole: bool,
    bytes_max: usize,
) -> Result<Regex, PatternError> {
    let mut translated = String::with_capacity(pattern.len() + 8);
    let mut in_class = false;
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            // RFC 9485, section 5.3: neither of the two ends of a line; the crate knows only one.
            '.' if !in_class => {
                translated.push_str(r"[^\n\r]");
                continue;
            }
            // Neither is an anchor in an I-Regexp, nor may they stand for themselves unescaped.
            '^' | '$' if !in_class => return Err(PatternError::Invalid),
            _ => {}
        }
        translated.push(c);
    }
    if !is_i_regexp(pattern) {
        return Err(PatternError::Invalid);
    }
    let translated = if whole { format!(r"\A(?:{translated})\z") } else { translated };
    let compiled = regex::RegexBuilder::new(&translated).size_limit(bytes_max).build();
    compiled.map_err(|error| {
        let is_too_large = matches!(error, regex::Error::CompiledTooBig(_));
        if is_too_large { PatternError::TooLarge } else { PatternError::Invalid }
    })
}

/// What other dialects mean by a short class such as `\d`, without the brackets, and whether it is of all other
/// characters; none of a character that is no such class.
pub(super) fn short_class(escaped: char) -> Option<(&'static str, bool)> {
    match escaped {
        'd' => Some(("0-9", false)),
        'D' => Some(("0-9", true)),
        'w' => Some(("A-Za-z0-9_", false)),
        'W' => Some(("A-Za-z0-9_", true)),
        's' => Some((" \\t\\n\\r", false)),
        'S' => Some((" \\t\\n\\r", true)),
        _ => None,
    }
}

/// What is wrong with a pattern that [`compile_pattern`] does not take, as far as that is a common mistake.
pub(super) fn pattern_problem(pattern: &str) -> String {
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    let mut before = ' ';
    while let Some(c) = characters.next() {
        let instead = match (c, characters.peek()) {
            ('\\', Some(escaped)) => short_class(*escaped).map(|(class, not)| {
                format!("for `\\{escaped}` write `[{}{class}]`", if not { "^" } else { "" })
            }),
            ('^' | '$', _) if !in_class => Some(
                "`^` and `$` are no part of it: `match` is about the whole text already, and `search` about a part of it"
                    .to_owned(),
            ),
            ('(', Some('?')) => Some("it has groups, but neither flags nor kinds of groups: `(a|b)`".to_owned()),
            ('?' | '+', _) if !in_class && matches!(before, '*' | '+' | '?' | '}') => {
                Some("it has no lazy and no possessive repetitions, and needs none".to_owned())
            }
            _ => None,
        };
        if let Some(instead) = instead {
            return instead;
        }
        match c {
            '\\' => {
                // What is escaped stands for itself.
                characters.next();
                before = ' ';
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        before = c;
    }
    "it has brackets, groups, `|`, `*`, `+`, `?`, `{1,3}` and `.`, and may not be too large"
        .to_owned()
}

/// Whether a pattern has only what the grammar of RFC 9485 has, as far as the crate would take more: its
/// escapes, its flags and groups, and its lazy repetitions.
fn is_i_regexp(pattern: &str) -> bool {
    let mut before = None;
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('p' | 'P') => {
                    // Its braces count nothing: what follows them may.
                    if characters.next() != Some('{') || !characters.any(|c| c == '}') {
                        return false;
                    }
                }
                Some(escaped) if !r"()*+-.?[\]^nrt{|}".contains(escaped) => return false,
                Some(_) => {}
                None => return false,
            },
            // The crate has sets of classes, `[a[b]]` and `&&`.
            '[' if in_class => return false,
            '&' if in_class && before == Some('&') => return false,
            '[' => in_class = true,
            ']' => in_class = false,
            '?' if !in_class && matches!(before, Some('(' | '?' | '*' | '+' | '}')) => {
                return false;
            }
            '*' | '+' if !in_class && matches!(before, Some('?' | '*' | '+' | '}')) => {
                return false;
            }
            _ => {}
        }
        before = if c == '\\' { None } else { Some(c) };
    }
    true
}
