//! What is wrong with a text, where it stands, and what was probably meant.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde::Serialize;

use crate::source::text::Source;

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rank {
    /// The policies do not load.
    Error,
    /// They load, and `check` still says no.
    Warning,
    /// Worth a look.
    Note,
}

/// A range of bytes in one of the sources; line and column are worked out when it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The index of the source among those given to [`load`](crate::policy::load).
    pub source: usize,
    /// The bytes meant.
    pub span: Range<usize>,
}

impl Place {
    fn order(&self) -> (usize, usize, usize) {
        (self.source, self.span.start, self.span.end)
    }
}

/// One thing that is wrong, or worth a look, in the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub rank: Rank,
    /// A short stable name for this kind of finding, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: Place,
    /// Other places that belong to it, each with what it has to do with it.
    pub also: Vec<(Place, String)>,
    /// What could be written instead.
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn error(code: &'static str, at: Place, message: impl Into<String>) -> Finding {
        Finding::new(Rank::Error, code, at, message)
    }

    pub(crate) fn warning(code: &'static str, at: Place, message: impl Into<String>) -> Finding {
        Finding::new(Rank::Warning, code, at, message)
    }

    pub(crate) fn note(code: &'static str, at: Place, message: impl Into<String>) -> Finding {
        Finding::new(Rank::Note, code, at, message)
    }

    fn new(rank: Rank, code: &'static str, at: Place, message: impl Into<String>) -> Finding {
        Finding { rank, code, message: message.into(), at, also: Vec::new(), help: None }
    }

    pub(crate) fn also(mut self, at: &Place, what: impl Into<String>) -> Finding {
        self.also.push((at.clone(), what.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// Help that proposes the name most like `wrong`, or else lists the few there are.
    pub(crate) fn did_you_mean<'a>(
        mut self,
        wrong: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Finding {
        self.help = self.help.or(did_you_mean(wrong, known));
        self
    }

    /// Help for a name that nothing declares: the name most like it, or else where it is declared. What is
    /// declared for something else is never proposed in its place.
    pub(crate) fn declare<'a>(
        mut self,
        wrong: &str,
        known: impl IntoIterator<Item = &'a str>,
        section: &str,
    ) -> Finding {
        let known = compared(known);
        let near = known.as_ref().and_then(|known| nearest(wrong, known));
        self.help = self.help.or_else(|| {
            Some(match (near, known.as_deref().and_then(listed)) {
                (Some(name), _) => format!("did you mean `{name}`?"),
                (None, None) => format!("declare it under `{section}`"),
                (None, Some(names)) => {
                    format!("declare it under `{section}`, where so far there is {names}")
                }
            })
        });
        self
    }
}

/// Most names that a finding lists: more would bury the reader.
const NAMES_LISTED_MAX: usize = 12;

/// Most names that one is looked for among: more would make a file of wrong names take minutes.
const NAMES_COMPARED_MAX: usize = 300;

/// Longest text, in characters, that a name is proposed for: no name can be longer.
const COMPARED_CHARS_MAX: usize = 64;

/// A proposal for a name that is not known: the one most like it, or else the few there are.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let known = compared(known)?;
    if let Some(name) = nearest(wrong, &known) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names = listed(&known)?;
    Some(if known.len() == 1 {
        format!("what can stand here is {names}")
    } else {
        format!("what can stand here: {names}")
    })
}

/// The names that one is looked for among, each once; none if they are too many.
fn compared<'a>(known: impl IntoIterator<Item = &'a str>) -> Option<Vec<&'a str>> {
    let mut known: Vec<&str> = known.into_iter().take(NAMES_COMPARED_MAX + 1).collect();
    if known.len() > NAMES_COMPARED_MAX {
        return None;
    }
    known.sort_unstable();
    known.dedup();
    Some(known)
}

/// The name that is most like a wrong one, if one is like it at all.
pub(crate) fn most_like<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest(wrong, &compared(known)?)
}

/// Names in one line: the first ones, and how many more there are.
pub(crate) fn named<N: fmt::Display>(names: impl IntoIterator<Item = N>) -> String {
    let mut names = names.into_iter();
    let shown = names.by_ref().take(NAMES_LISTED_MAX).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A few names in one line; none if there are none, or many.
fn listed(names: &[&str]) -> Option<String> {
    if names.is_empty() || names.len() > NAMES_LISTED_MAX {
        return None;
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Some(names.join(", "))
}

/// The name that a typing error away from `wrong` is, if there is one.
fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let is_long = |name: &str| name.chars().nth(COMPARED_CHARS_MAX).is_some();
    if is_long(wrong) {
        return None;
    }
    let fold = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let folded = fold(wrong);
    // One slip in four letters: more, and the proposal is a guess.
    let slips_max = folded.chars().count().div_ceil(4);
    known
        .iter()
        .filter(|name| !is_long(name))
        .map(|name| (strsim::damerau_levenshtein(&folded, &fold(name)), *name))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// Puts findings in reading order, and says nothing twice.
///
/// One wrong line that is used in many places (a record, an alias) is found once for each of them.
pub(crate) fn arrange(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| (a.at.order(), a.rank, a.code).cmp(&(b.at.order(), b.rank, b.code)));
    findings.dedup_by(|a, b| a.at == b.at && a.code == b.code && a.message == b.message);
}

/// Most findings of one code that are shown: the first ones say what the others would.
pub const SHOWN_MAX: usize = 50;

/// The findings that are shown, and how many more there are of each code, in the order of their first
/// one.
///
/// Each finding that is shown looks through its source for its line, so that all of a large file's
/// would take minutes.
pub fn shortened<'f>(
    findings: impl IntoIterator<Item = &'f Finding>,
) -> (Vec<&'f Finding>, Vec<(&'static str, usize)>) {
    let mut shown = Vec::new();
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for finding in findings {
        let known = counts.iter_mut().find(|(code, _)| *code == finding.code);
        let count = if let Some((_, count)) = known {
            *count += 1;
            *count
        } else {
            counts.push((finding.code, 1));
            1
        };
        if count <= SHOWN_MAX {
            shown.push(finding);
        }
    }
    let more = counts.into_iter().filter(|(_, count)| *count > SHOWN_MAX);
    (shown, more.map(|(code, count)| (code, count - SHOWN_MAX)).collect())
}

/// Shows findings as [`render`] does, an empty line behind each. Of each code the first ones, and then
/// how many more there are.
pub fn render_all<'f>(
    findings: impl IntoIterator<Item = &'f Finding>,
    sources: &[Source],
) -> String {
    let (shown, more) = shortened(findings);
    let shown = shown.into_iter().map(|finding| render(finding, sources));
    let more = more.into_iter().map(|(code, count)| format!("and {count} more of `{code}`"));
    shown.chain(more).map(|text| text + "\n\n").collect()
}

/// Shows a finding as rustc shows an error: place, line, what is wrong, what was meant. The text has no colour.
pub fn render(finding: &Finding, sources: &[Source]) -> String {
    let level = match finding.rank {
        Rank::Error => Level::ERROR,
        Rank::Warning => Level::WARNING,
        Rank::Note => Level::NOTE,
    };
    let message = normalize_untrusted_str(&finding.message);
    let mut group = Group::with_title(level.primary_title(message).id(finding.code));
    // One snippet a source, the primary one first.
    let mut order = vec![finding.at.source];
    for (place, _) in &finding.also {
        if !order.contains(&place.source) {
            order.push(place.source);
        }
    }
    for index in order {
        let Some(source) = sources.get(index) else { continue };
        let mut snippet = Snippet::source(source.text.as_str()).path(source.name.as_str());
        if finding.at.source == index {
            let span = shown(&source.text, &finding.at.span);
            snippet = snippet.annotation(AnnotationKind::Primary.span(span));
        }
        for (place, what) in finding.also.iter().filter(|(place, _)| place.source == index) {
            let span = shown(&source.text, &place.span);
            let what = normalize_untrusted_str(what);
            snippet = snippet.annotation(AnnotationKind::Context.span(span).label(what));
        }
        group = group.element(snippet);
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    Renderer::plain().render(&[group])
}

/// The part of `span` that is shown: inside the text, whole characters, on its first line.
fn shown(text: &str, span: &Range<usize>) -> Range<usize> {
    let inside = |at: usize| {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = inside(span.start);
    let end = inside(span.end.max(span.start));
    let first_line = text.get(start..end).and_then(|shown| shown.lines().next()).unwrap_or("");
    start..start + first_line.trim_end().len()
}

/// A finding as `--format json` prints it; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Serialize)]
pub struct FindingView<'a> {
    /// How much it weighs.
    pub rank: Rank,
    /// The kind of finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: &'a str,
    /// Where.
    #[serde(flatten)]
    pub at: PlaceView<'a>,
    /// What could be written instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'a str>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoView<'a>>,
}

/// Another place that belongs to a finding, and what it has to do with it.
#[derive(Clone, Debug, Serialize)]
pub struct AlsoView<'a> {
    /// Where.
    #[serde(flatten)]
    pub at: PlaceView<'a>,
    /// What it has to do with the finding.
    pub message: &'a str,
}

/// A [`Place`] in words: the file, and from where to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceView<'a> {
    /// The name of the source.
    pub file: &'a str,
    /// The line it begins in.
    pub line: usize,
    /// The column it begins in.
    pub column: usize,
    /// The first position behind it.
    pub end: Position,
}

/// A position in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Turns a finding into what `--format json` prints.
pub fn view<'a>(finding: &'a Finding, sources: &'a [Source]) -> FindingView<'a> {
    FindingView {
        rank: finding.rank,
        code: finding.code,
        message: &finding.message,
        at: view_place(&finding.at, sources),
        help: finding.help.as_deref(),
        also: finding
            .also
            .iter()
            .map(|(place, message)| AlsoView { at: view_place(place, sources), message })
            .collect(),
    }
}

fn view_place<'a>(place: &Place, sources: &'a [Source]) -> PlaceView<'a> {
    let (file, text) = sources
        .get(place.source)
        .map_or(("", ""), |source| (source.name.as_str(), source.text.as_str()));
    let start = position(text, place.span.start);
    let end = position(text, place.span.end.max(place.span.start));
    PlaceView { file, line: start.line, column: start.column, end }
}

/// Where the byte at `offset` is.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    let mut line = 1;
    let mut column = 1;
    for (at, c) in text.char_indices() {
        if at >= offset {
            break;
        }
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    Position { line, column }
}
