//! The texts that settings come from: the file, and the variables of the environment.
//!
//! The tree of the settings has the places of all of them in one row of bytes, as if they stood behind each other.
//! What is kept of the texts is only what may be shown: no value of a key, nor what looks like one.

use std::ops::Range;

use crate::{
    config::environment::{PREFIX, SEPARATOR},
    source::{
        Place, Source,
        yaml::{Kind, Node, Scalar},
    },
};

/// So many hexadecimal digits in a row can be a digest or a key, wherever they stand.
const DIGITS_MIN: usize = 32;

/// Shorter texts are no keys, and are parts of words.
const SECRET_CHARS_MIN: usize = 4;

/// See the module.
pub(super) struct Texts {
    sources: Vec<Source>,
    /// Where each begins in the row.
    starts: Vec<usize>,
    /// Where the next one begins.
    end: usize,
    /// What is hidden, as it is read.
    secrets: Vec<String>,
}

impl Texts {
    /// The text of a file. Nothing of it is shown before it is known [what is secret](Self::hide_keys) in it.
    pub(super) fn of_file(name: &str, text: &str) -> Self {
        let mut texts =
            Self { sources: Vec::new(), starts: Vec::new(), end: 0, secrets: Vec::new() };
        texts.put(name, text.to_owned());
        texts
    }

    /// The value of a variable, and its place in the row.
    pub(super) fn add(&mut self, variable: &str, value: &str) -> Range<usize> {
        let mut sections = variable.strip_prefix(PREFIX).unwrap_or_default().split(SEPARATOR);
        let is_secret = sections.any(holds_keys) || holds_keys(value) || looks_like_a_key(value);
        if is_secret {
            self.secrets.push(value.to_owned());
        }
        let shown = if is_secret { hidden(value) } else { value.to_owned() };
        self.put(&without_keys(variable), shown)
    }

    fn put(&mut self, name: &str, text: String) -> Range<usize> {
        let start = self.end;
        let span = start..start + text.len();
        // An empty one has a place of its own, too.
        self.end = span.end + 1;
        self.starts.push(start);
        self.sources.push(Source { name: name.to_owned(), text });
        span
    }

    /// Hides all that stands in a section whose name says that it holds keys, rightly spelled or not and wherever it
    /// stands, and every value and name that looks like a key. What is hidden is not quoted either.
    pub(super) fn hide_keys(&mut self, root: &Node) {
        let mut left = vec![root];
        while let Some(node) = left.pop() {
            match &node.kind {
                Kind::Mapping(members) => {
                    for (key, node) in members {
                        if looks_like_a_key(&key.text) {
                            self.hide_text(&key.text, &key.span);
                        }
                        if holds_keys(&key.text) {
                            self.hide_section(key.span.end, node);
                        } else {
                            left.push(node);
                        }
                    }
                }
                Kind::Sequence(items) => left.extend(items),
                Kind::Scalar(scalar) if looks_like_a_key(&scalar.text) => {
                    self.hide_text(&scalar.text, &node.span);
                }
                Kind::Scalar(_) => {}
            }
        }
    }

    /// Hides a section from the end of its name to the end of its last line: comments and anchors, too.
    fn hide_section(&mut self, from: usize, section: &Node) {
        let mut end = section.span.end.max(from);
        let mut left = vec![section];
        while let Some(node) = left.pop() {
            match &node.kind {
                Kind::Mapping(members) => {
                    for (key, node) in members {
                        end = end.max(key.span.end);
                        // A name without a value may be a value without a name.
                        if is_nothing(node) || looks_like_a_key(&key.text) {
                            self.hide_text(&key.text, &key.span);
                        }
                        left.push(node);
                    }
                }
                Kind::Sequence(items) => left.extend(items),
                Kind::Scalar(scalar) => {
                    // An alias has the place of what it stands for, which may be anywhere.
                    self.hide_text(&scalar.text, &node.span);
                    if node.span.start >= from {
                        end = end.max(node.span.end);
                    }
                }
            }
        }
        let text = self.sources.first().map_or("", |file| file.text.as_str());
        let line = text.get(end..).and_then(|rest| rest.find('\n'));
        let end = line.map_or(text.len(), |line| end + line);
        self.hide_span(&(from..end));
    }

    fn hide_text(&mut self, text: &str, span: &Range<usize>) {
        self.secrets.push(text.to_owned());
        self.hide_span(span);
    }

    fn hide_span(&mut self, span: &Range<usize>) {
        let Some(file) = self.sources.first_mut() else { return };
        let shown = file.text.get(span.clone()).map(hidden);
        if let Some(shown) = shown {
            file.text.replace_range(span.clone(), &shown);
        }
    }

    /// A message without what is hidden.
    pub(super) fn clean(&self, message: &str) -> String {
        let mut shown = message.to_owned();
        for secret in self.secrets.iter().map(|secret| secret.trim()) {
            if secret.chars().count() >= SECRET_CHARS_MIN {
                shown = shown.replace(secret, "*");
                shown = shown.replace(&secret.escape_debug().to_string(), "*");
            }
        }
        without_keys(&shown)
    }

    /// Hides the whole file, of which it is not known what it says.
    pub(super) fn hide_file(&mut self) {
        if let Some(file) = self.sources.first_mut() {
            file.text = hidden(&file.text);
        }
    }

    /// The place of a range of the row; without one, the file.
    pub(super) fn place(&self, span: Option<Range<usize>>) -> Place {
        let span = span.unwrap_or(0..0);
        let source = self.starts.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = self.starts.get(source).copied().unwrap_or(0);
        let within = |at: usize| at.saturating_sub(start);
        Place { source, span: within(span.start)..within(span.end) }
    }

    /// The variable that a range of the row is of, if it is of one.
    pub(super) fn variable(&self, span: &Range<usize>) -> Option<&str> {
        let Place { source, .. } = self.place(Some(span.clone()));
        self.sources.get(source).filter(|_| source > 0).map(|source| source.name.as_str())
    }

    /// The texts as they may be shown.
    pub(super) fn into_sources(self) -> Vec<Source> {
        self.sources
    }
}

/// Whether the name of a section, or what is left of it in a slip, says that keys stand in it.
fn holds_keys(section: &str) -> bool {
    let section = section.to_ascii_lowercase();
    let is_like = |name: &str, slips: usize| {
        // A long text is no slip, and takes long to compare.
        section.len() <= 2 * name.len() && strsim::damerau_levenshtein(&section, name) <= slips
    };
    section.contains("key") || is_like("api_keys", 3) || is_like("keys", 1)
}

/// Whether a text can be a digest or a key in hexadecimal digits, perhaps in groups or over several lines, or is one
/// in PEM (RFC 7468).
pub(super) fn looks_like_a_key(text: &str) -> bool {
    let joined: String = text
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '_' | ':' | '-' | '.'))
        .collect();
    text.contains("-----BEGIN") || without_keys(&joined) != joined
}

/// The same text, with a mark for each of its characters, of as many bytes: places stay what they are.
fn hidden(text: &str) -> String {
    let mark = |c: char| match c.len_utf8() {
        _ if matches!(c, '\n' | '\r') => c,
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{1f512}',
    };
    text.chars().map(mark).collect()
}

/// The same text, without what looks like a digest or a key.
fn without_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let others = rest.bytes().skip(digits).take_while(|byte| !byte.is_ascii_hexdigit()).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or((rest, ""));
        let (between, after) = after.split_at_checked(others).unwrap_or((after, ""));
        // A number may be as long, and a digest has letters.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        if digits >= DIGITS_MIN && !is_number {
            shown.push_str(&hidden(number));
        } else {
            shown.push_str(number);
        }
        shown.push_str(between);
        rest = after;
    }
    shown
}

/// Whether nothing stands there, as behind `limits:` when all lines below are comments.
pub(super) fn is_nothing(node: &Node) -> bool {
    let is_null = |scalar: &Scalar| matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL");
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.plain && is_null(scalar))
}
