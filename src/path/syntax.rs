//! What a path says (RFC 9535): segments, selectors, and what a filter asks of a node (section 2.3.5); and how it is written
//! in one way.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use regex::Regex;
use smallvec::{SmallVec, smallvec};

use crate::path::{from_end::Elements, number::Number};

/// Longest name, in bytes of its decoded UTF-8, that a path may spell.
///
/// A reader holds back a member's name until it is decided, so names are bounded on both sides.
pub const NAME_BYTES_MAX: usize = 256;

/// Largest number of segments in one path. A policy says of each segment whether `names` is about it, as
/// one bit of 128.
pub(super) const SEGMENTS_MAX: usize = 128;

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

impl Path {
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

/// A filter. Two are equal if they print the same.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Arc<Expression>,
    text: Arc<str>,
}

impl Filter {
    /// The filter that asks this.
    pub(super) fn of(expression: Expression) -> Self {
        let text = expression.to_string().into();
        Self { expression: Arc::new(expression), text }
    }

    /// What it asks.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The queries in it; those may have filters of their own.
    pub fn queries(&self) -> Vec<&Query> {
        let mut queries = Vec::new();
        self.expression.collect(&mut queries);
        queries
    }

    /// The queries of the document that give a pattern, each with whether that has to match all of a text.
    pub(crate) fn patterns_in_document(&self) -> Vec<(&Query, bool)> {
        let parts = self.expression.parts().into_iter();
        let patterns = parts.filter_map(|part| match part {
            Expression::Matches { whole, pattern: Pattern::Of(operand), .. } => {
                Some((operand.in_document()?, *whole))
            }
            Expression::Matches { pattern: Pattern::Written(..), .. }
            | Expression::Or(_)
            | Expression::And(_)
            | Expression::Not(_)
            | Expression::Compare(..)
            | Expression::Exists(_) => None,
        });
        patterns.collect()
    }

    /// The filters in its queries, and the filters in those.
    pub fn filters_within(&self) -> Vec<&Self> {
        let queries = self.queries().into_iter();
        let segments = queries.flat_map(|query| &query.segments);
        let mut within = Vec::new();
        for selector in segments.flat_map(|segment| &segment.selectors) {
            if let Selector::Filter(inner) = selector {
                within.extend(inner.filters_within());
                within.push(inner);
            }
        }
        within
    }

    /// Whether it, or a filter in it, looks at the document rather than at the node in question.
    pub fn asks_root(&self) -> bool {
        let asks = |filter: &Self| filter.queries().iter().any(|query| query.from_root);
        asks(self) || self.filters_within().into_iter().any(asks)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A logical expression.
#[derive(Clone, Debug)]
pub enum Expression {
    /// At least one holds.
    Or(Vec<Expression>),
    /// All hold.
    And(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// Two values compare like this.
    Compare(Operand, Comparison, Operand),
    /// The query selects something.
    Exists(Query),
    /// A text matches a pattern.
    Matches {
        /// Whether all of it has to (`match`), rather than a part (`search`).
        whole: bool,
        /// The text.
        text: Operand,
        /// The pattern.
        pattern: Pattern,
    },
}

impl Expression {
    /// It, and the expressions in it; not those of the filters in its queries.
    fn parts(&self) -> Vec<&Self> {
        let mut parts = vec![self];
        match self {
            Self::Or(all) | Self::And(all) => parts.extend(all.iter().flat_map(Self::parts)),
            Self::Not(inner) => parts.extend(inner.parts()),
            Self::Compare(..) | Self::Exists(_) | Self::Matches { .. } => {}
        }
        parts
    }

    fn collect<'e>(&'e self, queries: &mut Vec<&'e Query>) {
        match self {
            Self::Or(all) | Self::And(all) => all.iter().for_each(|one| one.collect(queries)),
            Self::Not(inner) => inner.collect(queries),
            Self::Compare(left, _, right) => {
                left.collect(queries);
                right.collect(queries);
            }
            Self::Exists(query) => queries.push(query),
            Self::Matches { text, pattern, .. } => {
                text.collect(queries);
                if let Pattern::Of(operand) = pattern {
                    operand.collect(queries);
                }
            }
        }
    }
}

impl Operand {
    /// The query of the document whose one node it is the value of.
    pub(crate) fn in_document(&self) -> Option<&Query> {
        match self {
            Self::Node(query) | Self::Value(query) => query.from_root.then_some(query),
            Self::Literal(_) | Self::Length(_) | Self::Count(_) => None,
        }
    }

    /// Whether it is the value at a place.
    pub(crate) fn is_place(&self) -> bool {
        match self {
            Self::Node(_) | Self::Value(_) => true,
            Self::Literal(_) | Self::Length(_) | Self::Count(_) => false,
        }
    }

    fn collect<'e>(&'e self, queries: &mut Vec<&'e Query>) {
        match self {
            Self::Literal(_) => {}
            Self::Node(query) | Self::Count(query) | Self::Value(query) => queries.push(query),
            Self::Length(operand) => operand.collect(queries),
        }
    }
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// What is compared.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A value that is written in the filter.
    Literal(Literal),
    /// The value of the node that a singular query selects, if there is one.
    Node(Query),
    /// `length(..)`
    Length(Box<Operand>),
    /// `count(..)`
    Count(Query),
    /// `value(..)`
    Value(Query),
}

/// A value that is written in a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
}

/// A query inside of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Whether it begins at the document (`$`) rather than at the node in question (`@`).
    pub from_root: bool,
    /// Its segments.
    pub segments: Vec<Segment>,
}

impl Query {
    /// Whether it selects at most one node, by names and indices.
    pub fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descendant
                && matches!(segment.selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)])
        })
    }
}

/// A regular expression of `match` or `search`.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// It is written in the filter.
    Written(String, Box<Regex>),
    /// It stands in the document.
    Of(Box<Operand>),
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Self], sign: &str| {
            for (index, one) in all.iter().enumerate() {
                if index > 0 {
                    write!(f, " {sign} ")?;
                }
                match one {
                    Self::Or(_) => write!(f, "({one})")?,
                    Self::And(_)
                    | Self::Not(_)
                    | Self::Compare(..)
                    | Self::Exists(_)
                    | Self::Matches { .. } => write!(f, "{one}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Or(all) => joined(f, all, "||"),
            Self::And(all) => joined(f, all, "&&"),
            Self::Not(inner) => match &**inner {
                Self::Exists(_) | Self::Matches { .. } => write!(f, "!{inner}"),
                Self::Or(_) | Self::And(_) | Self::Not(_) | Self::Compare(..) => {
                    write!(f, "!({inner})")
                }
            },
            Self::Compare(left, comparison, right) => {
                write!(f, "{left} {} {right}", comparison.sign())
            }
            Self::Exists(query) => write!(f, "{query}"),
            Self::Matches { whole, text, pattern } => {
                write!(f, "{}({text},{pattern})", if *whole { "match" } else { "search" })
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => write!(f, "{literal}"),
            Self::Node(query) => write!(f, "{query}"),
            Self::Length(operand) => write!(f, "length({operand})"),
            Self::Count(query) => write!(f, "count({query})"),
            Self::Value(query) => write!(f, "value({query})"),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(pattern, _) => write_name(f, pattern),
            Self::Of(operand) => write!(f, "{operand}"),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(string) => write_name(f, string),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.from_root { "$" } else { "@" })?;
        write_segments(f, &self.segments)
    }
}
