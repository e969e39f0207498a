//! Reads a path: by jsonpath-rust's parser, held to what the standard says.

use jsonpath_rust::parser::{errors::JsonPathError, model, parse_json_path};

use crate::path::{
    number::Number,
    pattern::{PATTERN_BYTES_MAX, compile_pattern, pattern_problem},
    syntax::{
        Comparison, Expression, Filter, Literal, NAME_BYTES_MAX, Operand, Path, Pattern, Query,
        SEGMENTS_MAX, Segment, Selector, Selectors, is_hidden, is_name_character,
        is_typographic_quote,
    },
};

/// Largest number of selectors in one path, over all its segments: each is a transition of every state
/// that the path is in.
const SELECTORS_MAX: usize = 1000;

/// Deepest nesting of brackets and parentheses in one path. All that is done with a filter, from reading to
/// dropping it, may recurse as deep.
const NESTING_MAX: usize = 32;

/// Most digits of a number in a filter that is written with a point or an exponent. The grammar's
/// parser makes a double of it, which keeps 15 decimal digits: with more, a filter would compare with
/// another number than the one that is written.
const DIGITS_MAX: usize = 15;

pub(super) const NO_PATH: &str = "this is no path of RFC 9535";
pub(super) const NO_ROOT: &str = "a path begins with `$`";

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
}

impl Path {
    /// Reads a path by the grammar, without a proposal where the text is none.
    pub(super) fn read(text: &str) -> Result<Self, PathError> {
        check_nesting(text)?;
        check_characters(text)?;
        check_digits(text)?;
        let query = parse_json_path(text).map_err(|error| syntax_error(text, &error))?;
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
}

fn read_segment(
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
        model::Selector::Filter(filter) => Ok(Selector::Filter(read_filter(text, filter)?)),
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

fn syntax_error(text: &str, error: &JsonPathError) -> PathError {
    let at = match error {
        JsonPathError::PestError(error) => position(text, &error.to_string()).unwrap_or(0),
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

/// The offset in bytes of the place that an error of the grammar names, as ` --> LINE:COLUMN` in its first line.
/// To ask the error itself would take the crate of the grammar as a dependency, for this alone.
fn position(text: &str, error: &str) -> Option<usize> {
    let (line, column) = error.lines().next()?.split_once("-->")?.1.trim().split_once(':')?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let above: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let characters = text.get(above..)?.chars().take(column.checked_sub(1)?);
    Some(above + characters.map(char::len_utf8).sum::<usize>())
}

/// Reads a filter.
fn read_filter(text: &str, filter: &model::Filter) -> Result<Filter, PathError> {
    Reader { text }.filter(filter).map(Filter::of)
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
