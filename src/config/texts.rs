//! The texts that settings come from: the file, and the variables of the environment.
//!
//! The tree of the settings has the places of all of them in one row of bytes, as if they stood behind each other.
//! What is kept of the texts is only what may be shown: no value of a key, nor what looks like one.

use std::ops::Range;

use crate::{
    config::environment::{PREFIX, SEPARATOR},
    source::{
        Place, Source,
        yaml::{Kind, Node},
    },
};

/// So many hexadecimal digits in a row can be a digest or a key, wherever they stand.
const DIGITS_MIN: usize = 32;

/// See the module.
pub(super) struct Texts {
    sources: Vec<Source>,
    /// Where each begins in the row.
    starts: Vec<usize>,
    /// Where the next one begins.
    end: usize,
}

impl Texts {
    /// The text of a file. Nothing of it is shown before it is known [what is secret](Self::hide_keys) in it.
    pub(super) fn of_file(name: &str, text: &str) -> Self {
        let mut texts = Self { sources: Vec::new(), starts: Vec::new(), end: 0 };
        texts.put(name, without_keys(text));
        texts
    }

    /// The value of a variable, and its place in the row.
    pub(super) fn add(&mut self, variable: &str, value: &str) -> Range<usize> {
        let section = variable.strip_prefix(PREFIX).and_then(|path| path.split(SEPARATOR).next());
        let shown =
            if section.is_none_or(holds_keys) { hidden(value) } else { without_keys(value) };
        self.put(variable, shown)
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

    /// Hides all values below a section whose name says that it holds keys, rightly spelled or not.
    pub(super) fn hide_keys(&mut self, root: &Node) {
        let Kind::Mapping(members) = &root.kind else { return };
        for (_, node) in members.iter().filter(|(key, _)| holds_keys(&key.text)) {
            self.hide(node);
        }
    }

    fn hide(&mut self, node: &Node) {
        let mut left = vec![node];
        while let Some(node) = left.pop() {
            match &node.kind {
                Kind::Mapping(members) => left.extend(members.iter().map(|(_, node)| node)),
                Kind::Sequence(items) => left.extend(items),
                Kind::Scalar(_) => self.hide_span(&node.span),
            }
        }
    }

    fn hide_span(&mut self, span: &Range<usize>) {
        let Some(file) = self.sources.first_mut() else { return };
        let shown = file.text.get(span.clone()).map(hidden);
        if let Some(shown) = shown {
            file.text.replace_range(span.clone(), &shown);
        }
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
    section.to_ascii_lowercase().contains("key")
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
pub(super) fn without_keys(text: &str) -> String {
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
