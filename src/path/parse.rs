//! One path: its text, read by jsonpath-rust's parser and held to what the standard says.

use std::{fmt, sync::Arc};

use jsonpath_rust::parser::{errors::JsonPathError, model, parse_json_path};
use smallvec::{SmallVec, smallvec};

use crate::path::{
    filter::{self, Filter},
    from_end::Elements,
    meant, plain,
};

/// Longest name, in bytes of its decoded UTF-8, that a path may spell.
///
/// A reader holds back a member's name until it is decided, so names are bounded on both sides.
pub const NAME_BYTES_MAX: usize = 256;

/// Largest number of segments in one path.
pub(super) const SEGMENTS_MAX: usize = 128;

/// Largest number of selectors in one path, over all its segments.
const SELECTORS_MAX: usize = 1000;

/// Deepest nesting of brackets and parentheses in one path. All that is done with a filter, from reading to
/// dropping it, may recurse as deep.
const NESTING_MAX: usize = 32;

/// Most digits of a number in a filter that is written with a point or an exponent.
const DIGITS_MAX: usize = 15;

/// A path: `$` and the segments that follow it (RFC 9535, section 2.1). Copies share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segments: Arc<[Segment]>,
}

/// What a segment selects by: mostly one thing, which then stands in the segment itself.
pub type Selectors = SmallVec<[Selector; 1]>;

/// A step to children, or with `descendant` to children at any depth (RFC 9535, section 2.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Written `..`: the selectors apply to the children of this node and of every node below it.
    pub descendant: bool,
    /// At least one; several are a union.
    pub selectors: Selectors,
}

/// Which children a segment selects (RFC 9535, section 2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The members of an object that have this name, compared after unescaping.
    Name(String),
    /// All members of an object, all elements of an array.
    Wildcard,
    /// The element at this index, counted from 0, or from the end: the last one is -1.
    Index(i64),
    /// The elements from `start` up to but without `end`, every `step`th, as in section 2.3.4.
    Slice {
        /// The first index; without, the first element, or the last one if the step is negative.
        start: Option<i64>,
        /// The first index that is no longer selected; without, it goes to the end, or to the front.
        end: Option<i64>,
        /// How far from one selected index to the next; 0 selects none.
        step: i64,
    },
    /// The members and elements for which this holds.
    Filter(Filter),
}

/// What it takes to decide what a path selects, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing: it is known when a node begins.
    Streams,
    /// So many more elements of the array have to begin.
    Window(u64),
    /// The array has to end.
    Array,
    /// The node has to be there, or as much of it as the filter asks about.
    Candidate,
    /// The whole document has to be there: a filter asks about it.
    Document,
}

impl Segment {
    /// The one that selects by this alone.
    pub fn by(descendant: bool, selector: Selector) -> Self {
        Self { descendant, selectors: smallvec![selector] }
    }

    /// Whether it steps to members whose names it does not spell.
    pub fn reaches_unspelled(&self) -> bool {
        let unspelled = |one: &Selector| matches!(one, Selector::Wildcard | Selector::Filter(_));
        self.descendant || self.selectors.iter().any(unspelled)
    }
}

fn count_selectors(segments: &[Segment]) -> usize {
    let selectors = segments.iter().flat_map(|segment| &segment.selectors);
    let inside = |selector: &Selector| match selector {
        Selector::Filter(filter) => {
            filter.queries().iter().map(|query| 1 + count_selectors(&query.segments)).sum()
        }
        Selector::Name(_) | Selector::Wildcard | Selector::Index(_) | Selector::Slice { .. } => 0,
    };
    selectors.map(|selector| 1 + inside(selector)).sum()
}

impl Selector {
    /// What it takes to decide what it selects.
    pub fn class(&self) -> Class {
        match self {
            Self::Name(_) | Self::Wildcard => Class::Streams,
            Self::Index(_) | Self::Slice { .. } => match self.elements() {
                Some(Elements::End(from_end)) => {
                    from_end.window().map_or(Class::Array, Class::Window)
                }
                Some(Elements::Nothing | Elements::Front(_)) | None => Class::Streams,
            },
            Self::Filter(filter) if filter.asks_root() => Class::Document,
            Self::Filter(_) => Class::Candidate,
        }
    }

    /// The elements that it selects by their place.
    pub fn choose<'e, T>(&self, elements: &'e [T]) -> Vec<&'e T> {
        let chosen = self.choice(elements.len() as u64);
        let all = (0u64..).zip(elements);
        all.filter(|(index, _)| chosen(*index)).map(|(_, element)| element).collect()
    }

    /// Whether it selects the element at an index, in an array of this length, by its place.
    pub(crate) fn choice(&self, length: u64) -> impl Fn(u64) -> bool + use<> {
        let places = self.elements().unwrap_or(Elements::Nothing);
        move |index| match places {
            Elements::Nothing => false,
            Elements::Front(indices) => indices.contains(index),
            Elements::End(from_end) => from_end.selects(index, length),
        }
    }

    /// Which elements of an array it selects by their place; none if it is about something else.
    pub(crate) fn elements(&self) -> Option<Elements> {
        match self {
            Self::Index(index) => Some(Elements::index(*index)),
            Self::Slice { start, end, step } => Some(Elements::slice(*start, *end, *step)),
            Self::Name(_) | Self::Wildcard | Self::Filter(_) => None,
        }
    }
}

const NO_PATH: &str = "this is no path of RFC 9535";
const NO_ROOT: &str = "a path begins with `$`";
const SHAPES: &str = "behind `$` stands `.name`, `['a name']`, `[0]`, `[*]`, `..name` or `[?@.type == 'a']`, as often as needed";

/// Why a text is no path that can be used, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Offset in bytes into the text that was parsed.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What could be written instead, and why.
    pub help: Option<String>,
    /// The path in `help` that was probably meant, if there is one. It can be read.
    pub meant: Option<String>,
}

impl PathError {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None, meant: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with what was probably meant by the text.
    fn meaning(mut self, text: &str) -> Self {
        match meant::of(text) {
            Some(meant::Meant { path: Some(path), why }) => {
                let why = if why.is_empty() { why } else { format!(": {why}") };
                self.help = Some(format!("write `{path}`{why}"));
                self.meant = Some(path);
            }
            Some(meant::Meant { path: None, why }) => self.help = Some(why),
            None => {}
        }
        self.help = self.help.or_else(|| {
            matches!(self.message.as_str(), NO_PATH | NO_ROOT).then(|| SHAPES.to_owned())
        });
        self
    }
}

impl Path {
    /// Reads a path.
    ///
    /// Stricter than jsonpath-rust: white space inside a name or at either end is an error there
    /// where that parser would skip it, and would then classify another field than the author wrote.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        plain::read(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// As [`parse`](Self::parse), by the grammar, whatever the path is like.
    pub(super) fn parse_any(text: &str) -> Result<Self, PathError> {
        Self::read(text).map_err(|error| error.meaning(text))
    }

    /// The same, without a proposal where the text is no path.
    pub(super) fn read(text: &str) -> Result<Self, PathError> {
        check_nesting(text)?;
        check_characters(text)?;
        check_digits(text)?;
        let query = parse_json_path(text).map_err(|error| syntax_error(&error))?;
        if query.segments.len() > SEGMENTS_MAX {
            return Err(PathError::new(0, format!("a path of more than {SEGMENTS_MAX} segments")));
        }
        let mut segments = Vec::with_capacity(query.segments.len());
        for segment in &query.segments {
            segments.push(read_segment(text, segment, false)?);
        }
        let path = Self::of(segments);
        if path.selectors() > SELECTORS_MAX {
            return Err(PathError::new(
                0,
                format!("a path of more than {SELECTORS_MAX} selectors"),
            ));
        }
        Ok(path)
    }

    /// The path `$`, which selects the whole document.
    pub fn root() -> Self {
        Self::of(Vec::new())
    }

    /// The path of these segments.
    pub(crate) fn of(segments: impl Into<Arc<[Segment]>>) -> Self {
        Self { segments: segments.into() }
    }

    /// The segments after `$`.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many selectors the segments have together, those in filters included.
    pub fn selectors(&self) -> usize {
        count_selectors(&self.segments)
    }

    /// What it takes to decide what the path selects.
    pub fn class(&self) -> Class {
        let selectors = self.segments.iter().flat_map(|segment| &segment.selectors);
        selectors.map(Selector::class).fold(Class::Streams, Ord::max)
    }

    /// Whether some segment has a filter.
    pub fn has_filter(&self) -> bool {
        self.filters().next().is_some()
    }

    /// Whether some segment has a filter that asks about the document.
    pub fn asks_root(&self) -> bool {
        self.filters().any(Filter::asks_root)
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        let selectors = self.segments.iter().flat_map(|segment| &segment.selectors);
        selectors.filter_map(|selector| match selector {
            Selector::Filter(filter) => Some(filter),
            Selector::Name(_)
            | Selector::Wildcard
            | Selector::Index(_)
            | Selector::Slice { .. } => None,
        })
    }

    /// This path with the segments of `below` after its own: what `below` selects in the nodes that
    /// this path selects.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        if self.segments.is_empty() {
            return below.clone();
        }
        Self { segments: self.segments.iter().chain(&*below.segments).cloned().collect() }
    }
}

pub(super) fn read_segment(
    text: &str,
    segment: &model::Segment,
    descendant: bool,
) -> Result<Segment, PathError> {
    let selectors = match segment {
        model::Segment::Descendant(inner) => return read_segment(text, inner, true),
        model::Segment::Selector(selector) => std::slice::from_ref(selector),
        model::Segment::Selectors(selectors) => selectors.as_slice(),
    };
    let selectors =
        selectors.iter().map(|s| read_selector(text, s)).collect::<Result<Selectors, _>>()?;
    Ok(Segment { descendant, selectors })
}

fn read_selector(text: &str, selector: &model::Selector) -> Result<Selector, PathError> {
    match selector {
        model::Selector::Name(name) if name.len() > NAME_BYTES_MAX => {
            Err(PathError::new(0, format!("a name of more than {NAME_BYTES_MAX} bytes")))
        }
        model::Selector::Name(name) => Ok(Selector::Name(name.clone())),
        model::Selector::Wildcard => Ok(Selector::Wildcard),
        model::Selector::Index(index) => Ok(Selector::Index(*index)),
        model::Selector::Slice(start, end, step) => {
            let step = step.unwrap_or(1);
            // From the first element on is from where a slice begins by itself.
            let start = start.filter(|start| *start != 0 || step < 0);
            Ok(Selector::Slice { start, end: *end, step })
        }
        model::Selector::Filter(filter) => Ok(Selector::Filter(filter::read(text, filter)?)),
    }
}

/// The characters outside of quotes, and where each stands; an opening quote is one of them.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter(move |(_, c)| {
        let Some(open) = quote else {
            quote = Some(*c).filter(|c| matches!(c, '\'' | '"'));
            return true;
        };
        match *c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == open => quote = None,
            _ => {}
        }
        false
    })
}

/// Brackets that would make a reader recurse too deep.
fn check_nesting(text: &str) -> Result<(), PathError> {
    let mut depth = 0usize;
    for (at, c) in outside_quotes(text) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            let message = format!("brackets nested deeper than {NESTING_MAX} levels");
            return Err(PathError::new(at, message));
        }
    }
    Ok(())
}

/// Numbers that jsonpath-rust would round: with a point or an exponent it takes them for floats.
fn check_digits(text: &str) -> Result<(), PathError> {
    let mut before = ' ';
    // Where a number began, and how many digits it has so far.
    let mut number: Option<(usize, usize)> = None;
    for (at, c) in outside_quotes(text) {
        match (c, number) {
            ('0'..='9', Some((from, digits))) => number = Some((from, digits + 1)),
            ('0'..='9', None) if !is_name_character(before) => number = Some((at, 1)),
            (_, Some((from, digits))) if c != '.' => {
                let is_float = matches!(c, 'e' | 'E')
                    || text.get(from..at).is_some_and(|number| number.contains('.'));
                if digits > DIGITS_MAX && is_float {
                    let message = format!("a number of more than {DIGITS_MAX} digits");
                    return Err(PathError::new(from, message));
                }
                number = None;
            }
            (_, Some(_) | None) => {}
        }
        before = c;
    }
    Ok(())
}

/// White space that jsonpath-rust would skip although the standard does not allow it there, and what
/// nobody means who writes it: a name that has such characters stands in quotes.
fn check_characters(text: &str) -> Result<(), PathError> {
    const IN_QUOTES: &str = "a name that contains it is written in brackets and quotes";
    let mut before: Option<char> = None;
    let mut gap: Option<usize> = None;
    for (at, c) in outside_quotes(text) {
        if c.is_whitespace() {
            if before.is_none() {
                return Err(PathError::new(at, "a path begins with `$`, without white space"));
            }
            if !c.is_ascii() {
                let message = "this kind of white space is not allowed in a path";
                return Err(PathError::new(at, message).help(IN_QUOTES));
            }
            gap = gap.or(Some(at));
            continue;
        }
        if before.is_none() && c != '$' {
            return Err(PathError::new(at, NO_ROOT));
        }
        if is_typographic_quote(c) {
            let message = format!("`{c}` is a quote of a word processor, not one of a path");
            return Err(PathError::new(at, message).help(IN_QUOTES));
        }
        if is_hidden(c) {
            let message =
                format!("U+{:04X}, which cannot be seen, is not allowed in a path", u32::from(c));
            return Err(PathError::new(at, message).help(IN_QUOTES));
        }
        if let (Some(at), Some('.')) = (gap, before) {
            return Err(PathError::new(at, "white space before a name"));
        }
        if let (Some(at), Some(before)) = (gap, before)
            && is_name_character(before)
            && is_name_character(c)
        {
            return Err(PathError::new(at, "white space inside a name")
                .help("a name that contains white space is written `['first name']`"));
        }
        gap = None;
        before = Some(c);
    }
    match gap {
        Some(at) => Err(PathError::new(at, "white space at the end of a path")),
        None => Ok(()),
    }
}

/// A quote as word processors and languages have them, and that no path has.
pub(super) fn is_typographic_quote(c: char) -> bool {
    matches!(
        c,
        '\u{2018}'
            ..='\u{201f}' | '\u{2032}' | '\u{2033}' | '«' | '»' | '‹' | '›' | '＂' | '＇' | '´'
    )
}

/// A character that shows nothing by itself: those that join, part, or turn the direction of a text.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// `name-char` of RFC 9535, section 2.5.1.1.
pub(super) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn syntax_error(error: &JsonPathError) -> PathError {
    let at = match error {
        JsonPathError::PestError(error) => match error.location {
            pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => at,
        },
        JsonPathError::UnexpectedRuleLogicError(..)
        | JsonPathError::UnexpectedNoneLogicError(..)
        | JsonPathError::UnexpectedPestOutput
        | JsonPathError::NoRulePath
        | JsonPathError::NoJsonPathDescent
        | JsonPathError::NoJsonPathField
        | JsonPathError::InvalidNumber(_)
        | JsonPathError::InvalidTopLevelRule(_)
        | JsonPathError::EmptyInner(_)
        | JsonPathError::InvalidJsonPath(_)
        | JsonPathError::MaxNestingDepthExceeded(_) => 0,
    };
    PathError::new(at, NO_PATH)
}

impl fmt::Display for Path {
    /// The path as one would write it: names in short form where the standard has one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$")?;
        write_segments(f, &self.segments)
    }
}

pub(super) fn write_segments(f: &mut fmt::Formatter<'_>, segments: &[Segment]) -> fmt::Result {
    for segment in segments {
        if segment.descendant {
            write!(f, "..")?;
        }
        match segment.selectors.as_slice() {
            [Selector::Name(name)] if has_short_form(name) => {
                write!(f, "{}{name}", if segment.descendant { "" } else { "." })?;
            }
            [Selector::Wildcard] if segment.descendant => write!(f, "*")?,
            selectors => {
                for (index, selector) in selectors.iter().enumerate() {
                    write!(f, "{}{selector}", if index == 0 { "[" } else { "," })?;
                }
                write!(f, "]")?;
            }
        }
    }
    Ok(())
}

fn has_short_form(name: &str) -> bool {
    name.starts_with(|c: char| is_name_character(c) && !c.is_ascii_digit())
        && name.chars().all(|c| is_name_character(c) && !c.is_whitespace())
}

/// A text in quotes, as a path has it.
pub(super) fn quoted(text: &str) -> String {
    struct Quoted<'t>(&'t str);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_name(f, self.0)
        }
    }
    Quoted(text).to_string()
}

/// A text in quotes, with the escapes of a normalised path (RFC 9535, section 2.7).
pub(super) fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    write!(f, "'")?;
    for c in name.chars() {
        match c {
            '\u{8}' => write!(f, "\\b")?,
            '\t' => write!(f, "\\t")?,
            '\n' => write!(f, "\\n")?,
            '\u{c}' => write!(f, "\\f")?,
            '\r' => write!(f, "\\r")?,
            '\'' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "'")
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write_name(f, name),
            Self::Wildcard => write!(f, "*"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Slice { start, end, step } => {
                if let Some(start) = start {
                    write!(f, "{start}")?;
                }
                write!(f, ":")?;
                if let Some(end) = end {
                    write!(f, "{end}")?;
                }
                if *step != 1 {
                    write!(f, ":{step}")?;
                }
                Ok(())
            }
            Self::Filter(filter) => write!(f, "?{filter}"),
        }
    }
}
