//! What a filter asks of a node (RFC 9535, section 2.3.5): read from the syntax tree of jsonpath-rust, held
//! to what the standard says of types, and printed in one way.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use jsonpath_rust::parser::model;
use regex::Regex;

use crate::path::{
    Number, PathError, Segment, Selector,
    parse::{read_segment, write_name, write_segments},
};

/// Longest regular expression, compiled, that a filter may have.
pub(super) const PATTERN_BYTES_MAX: usize = 1 << 18;

/// A filter. Two are equal if they print the same.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Arc<Expression>,
    text: Arc<str>,
}

impl Filter {
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
fn pattern_problem(pattern: &str) -> String {
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

/// Reads a filter.
pub(super) fn read(text: &str, filter: &model::Filter) -> Result<Filter, PathError> {
    let expression = Reader { text }.filter(filter)?;
    let text = expression.to_string();
    Ok(Filter { expression: Arc::new(expression), text: text.into() })
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn wrong(&self, message: impl Into<String>) -> PathError {
        PathError::new(self.text.find('?').unwrap_or(0), message)
    }

    fn filter(&self, filter: &model::Filter) -> Result<Expression, PathError> {
        let all = |filters: &[model::Filter]| {
            filters.iter().map(|filter| self.filter(filter)).collect::<Result<Vec<_>, _>>()
        };
        match filter {
            model::Filter::Or(filters) => Ok(Expression::Or(all(filters)?)),
            model::Filter::And(filters) => Ok(Expression::And(all(filters)?)),
            model::Filter::Atom(atom) => self.atom(atom),
        }
    }

    fn atom(&self, atom: &model::FilterAtom) -> Result<Expression, PathError> {
        let (expression, not) = match atom {
            model::FilterAtom::Filter { expr, not } => (self.filter(expr)?, *not),
            model::FilterAtom::Test { expr, not } => (self.test(expr)?, *not),
            model::FilterAtom::Comparison(comparison) => (self.comparison(comparison)?, false),
        };
        Ok(if not { Expression::Not(Box::new(expression)) } else { expression })
    }

    fn test(&self, test: &model::Test) -> Result<Expression, PathError> {
        match test {
            model::Test::RelQuery(segments) => Ok(Expression::Exists(self.query(segments, false)?)),
            model::Test::AbsQuery(query) => {
                Ok(Expression::Exists(self.query(&query.segments, true)?))
            }
            model::Test::Function(function) => self.test_function(function),
        }
    }

    fn test_function(&self, function: &model::TestFunction) -> Result<Expression, PathError> {
        let (whole, text, pattern) = match function {
            model::TestFunction::Match(text, pattern) => (true, text, pattern),
            model::TestFunction::Search(text, pattern) => (false, text, pattern),
            model::TestFunction::Length(_)
            | model::TestFunction::Count(_)
            | model::TestFunction::Value(_) => {
                let message =
                    format!("`{}` gives a value, which has to be compared", name_of(function));
                let help = format!("compare it: `{}(@.a) > 2`", name_of(function));
                return Err(self.wrong(message).help(help));
            }
            model::TestFunction::Custom(name, _) => return Err(self.unknown(name)),
        };
        let text = self.argument(text, name_of(function))?;
        let pattern = match self.argument(pattern, name_of(function))? {
            Operand::Literal(Literal::String(pattern)) => {
                let Ok(regex) = compile_pattern(&pattern, whole, PATTERN_BYTES_MAX) else {
                    let message = format!("`{pattern}` is no regular expression of RFC 9485");
                    return Err(self.wrong(message).help(pattern_problem(&pattern)));
                };
                Pattern::Written(pattern, Box::new(regex))
            }
            Operand::Literal(_) => {
                let message = format!("the pattern of `{}` is a string", name_of(function));
                return Err(self.wrong(message));
            }
            operand @ (Operand::Node(_)
            | Operand::Length(_)
            | Operand::Count(_)
            | Operand::Value(_)) => Pattern::Of(Box::new(operand)),
        };
        Ok(Expression::Matches { whole, text, pattern })
    }

    fn unknown(&self, name: &str) -> PathError {
        let known = match name {
            "length" | "count" | "value" => Some(("one argument", "(@.items) > 2")),
            "match" | "search" => Some(("two arguments", "(@.name, 'a.*')")),
            _ => None,
        };
        if let Some((takes, example)) = known {
            let wrong = self.wrong(format!("`{name}` takes {takes}"));
            return wrong.help(format!("as in `{name}{example}`"));
        }
        self.wrong(format!("RFC 9535 has no function `{name}`"))
            .help("it has `length`, `count`, `match`, `search` and `value`")
    }

    fn comparison(&self, comparison: &model::Comparison) -> Result<Expression, PathError> {
        let sign = match comparison {
            model::Comparison::Eq(..) => Comparison::Equal,
            model::Comparison::Ne(..) => Comparison::NotEqual,
            model::Comparison::Gt(..) => Comparison::Greater,
            model::Comparison::Gte(..) => Comparison::GreaterOrEqual,
            model::Comparison::Lt(..) => Comparison::Less,
            model::Comparison::Lte(..) => Comparison::LessOrEqual,
        };
        let (left, right) = comparison.vals();
        Ok(Expression::Compare(self.comparable(left)?, sign, self.comparable(right)?))
    }

    fn comparable(&self, comparable: &model::Comparable) -> Result<Operand, PathError> {
        match comparable {
            model::Comparable::Literal(literal) => Ok(Operand::Literal(self.literal(literal)?)),
            model::Comparable::Function(function) => self.value_function(function),
            model::Comparable::SingularQuery(query) => {
                let (segments, from_root) = match query {
                    model::SingularQuery::Current(segments) => (segments, false),
                    model::SingularQuery::Root(segments) => (segments, true),
                };
                let segments = segments.iter().map(|segment| match segment {
                    model::SingularQuerySegment::Index(index) => model::Selector::Index(*index),
                    model::SingularQuerySegment::Name(name) => model::Selector::Name(name.clone()),
                });
                let segments: Vec<_> = segments.map(model::Segment::Selector).collect();
                Ok(Operand::Node(self.query(&segments, from_root)?))
            }
        }
    }

    fn value_function(&self, function: &model::TestFunction) -> Result<Operand, PathError> {
        match function {
            model::TestFunction::Length(argument) => {
                Ok(Operand::Length(Box::new(self.argument(argument, "length")?)))
            }
            model::TestFunction::Count(argument) => {
                Ok(Operand::Count(self.nodes(argument, "count")?))
            }
            model::TestFunction::Value(argument) => {
                Ok(Operand::Value(self.nodes(argument, "value")?))
            }
            model::TestFunction::Match(..) | model::TestFunction::Search(..) => {
                let message =
                    format!("`{}` gives no value that could be compared", name_of(function));
                Err(self.wrong(message).help("it is true or false by itself"))
            }
            model::TestFunction::Custom(name, _) => Err(self.unknown(name)),
        }
    }

    /// An argument that is one value.
    fn argument(&self, argument: &model::FnArg, function: &str) -> Result<Operand, PathError> {
        let query = match argument {
            model::FnArg::Literal(literal) => return Ok(Operand::Literal(self.literal(literal)?)),
            model::FnArg::Test(test) => match &**test {
                model::Test::RelQuery(segments) => self.query(segments, false)?,
                model::Test::AbsQuery(query) => self.query(&query.segments, true)?,
                model::Test::Function(function) => return self.value_function(function),
            },
            model::FnArg::Filter(_) => {
                return Err(self.wrong(format!("`{function}` takes a value, not a condition")));
            }
        };
        if query.is_singular() {
            return Ok(Operand::Node(query));
        }
        let message =
            format!("`{function}` takes one value, and `{query}` can select several nodes");
        Err(self
            .wrong(message)
            .help("take the value of one by its name or index, or by `value(..)`"))
    }

    /// An argument that is a list of nodes.
    fn nodes(&self, argument: &model::FnArg, function: &str) -> Result<Query, PathError> {
        match argument {
            model::FnArg::Test(test) => match &**test {
                model::Test::RelQuery(segments) => return self.query(segments, false),
                model::Test::AbsQuery(query) => return self.query(&query.segments, true),
                model::Test::Function(_) => {}
            },
            model::FnArg::Literal(_) | model::FnArg::Filter(_) => {}
        }
        Err(self.wrong(format!("`{function}` takes a path, such as `@.items[*]`")))
    }

    fn query(&self, segments: &[model::Segment], from_root: bool) -> Result<Query, PathError> {
        let segments = segments.iter().map(|segment| read_segment(self.text, segment, false));
        Ok(Query { from_root, segments: segments.collect::<Result<_, _>>()? })
    }

    fn literal(&self, literal: &model::Literal) -> Result<Literal, PathError> {
        let number = |text: String| {
            let wrong = || self.wrong("a number in a filter that some readers could not hold");
            Ok(Literal::Number(Number::read(&text).ok_or_else(wrong)?))
        };
        match literal {
            model::Literal::Null => Ok(Literal::Null),
            model::Literal::Bool(bool) => Ok(Literal::Bool(*bool)),
            model::Literal::String(string) => Ok(Literal::String(string.clone())),
            model::Literal::Int(int) => number(int.to_string()),
            // The shortest text of a float is the one that was written, up to the 15 digits that
            // `check_digits` lets through.
            model::Literal::Float(float) if float.is_finite() => number(format!("{float:e}")),
            model::Literal::Float(_) => number("1e999".to_owned()),
        }
    }
}

fn name_of(function: &model::TestFunction) -> &str {
    match function {
        model::TestFunction::Custom(name, _) => name,
        model::TestFunction::Length(_) => "length",
        model::TestFunction::Value(_) => "value",
        model::TestFunction::Count(_) => "count",
        model::TestFunction::Search(..) => "search",
        model::TestFunction::Match(..) => "match",
    }
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
