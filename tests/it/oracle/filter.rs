//! What a filter answers, by RFC 9535, and what it looks at to find the answer: all of it is asked, also where a part
//! would be enough. `jsonpath-rust` reads the filter and compares texts with regular expressions; the rest is done
//! here, for it differs from the standard in `count`, in filters inside of filters and in numbers.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, Literal, Segment, Selector, SingularQuery,
    SingularQuerySegment, Test, TestFunction,
};
use jsonpath_rust::query::js_path_vals;
use serde_json::json;

use super::sieve::{Location, Step, Way, children, matches, parts};
use super::transform::quote;
use super::tree::{Name, Node, decode};

/// What a filter answers about one node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) holds: bool,
    /// It looks at something that readers of the same bytes take for different things: half of a surrogate pair, or a
    /// number that is no double.
    pub(crate) is_unclear: bool,
    /// The objects and arrays whose length it asks for, or that it compares with another place.
    pub(crate) measured: BTreeSet<Place>,
}

/// Where an object or array is that a filter measures or compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// It was found from `$` and not from `@`.
    pub(crate) from_document: bool,
    /// From the root of the document.
    pub(crate) location: Location,
}

/// What a filter answers about the node at `element` of a document.
pub(crate) fn answer(filter: &Filter, document: &Node, element: &[Step]) -> Answer {
    let mut reader = Reader { document, is_unclear: false, measured: BTreeSet::new() };
    let place = Place { from_document: false, location: element.to_vec() };
    let holds = reader.filter(filter, &Found { place, node: document.get(element) });
    Answer { holds, is_unclear: reader.is_unclear, measured: reader.measured }
}

/// A node of the document.
#[derive(Clone)]
struct Found<'n> {
    place: Place,
    node: &'n Node,
}

impl Found<'_> {
    /// The elements or members.
    fn children(&self) -> Vec<Self> {
        let child = |(step, node)| {
            let mut place = self.place.clone();
            place.location.push(step);
            Self { place, node }
        };
        children(self.node).into_iter().map(child).collect()
    }

    /// The node, and all that is in it.
    fn with_all_below(&self) -> Vec<Self> {
        let below = self.children().into_iter().flat_map(|child| child.with_all_below());
        std::iter::once(self.clone()).chain(below).collect()
    }
}

/// One side of a comparison, or an argument of a function: a value that is there.
struct Operand<'n> {
    node: Cow<'n, Node>,
    /// Where it was found; not there for literals and what functions count.
    place: Option<Place>,
    /// It is the length of something that nobody can count.
    is_unclear: bool,
}

impl Operand<'_> {
    fn value(token: Vec<u8>, is_unclear: bool) -> Self {
        Self { node: Cow::Owned(Node::Scalar(token)), place: None, is_unclear }
    }
}

struct Reader<'n> {
    document: &'n Node,
    is_unclear: bool,
    measured: BTreeSet<Place>,
}

impl<'n> Reader<'n> {
    fn filter(&mut self, filter: &Filter, at: &Found<'n>) -> bool {
        match filter {
            // Every part is asked, whatever those before it say.
            Filter::Or(parts) => self.each(parts, at).contains(&true),
            Filter::And(parts) => !self.each(parts, at).contains(&false),
            Filter::Atom(FilterAtom::Filter { expr, not }) => self.filter(expr, at) != *not,
            Filter::Atom(FilterAtom::Test { expr, not }) => self.test(expr, at) != *not,
            Filter::Atom(FilterAtom::Comparison(comparison)) => self.comparison(comparison, at),
        }
    }

    /// All parts, whatever the first ones say: each has to be answered.
    fn each(&mut self, parts: &[Filter], at: &Found<'n>) -> Vec<bool> {
        parts.iter().map(|part| self.filter(part, at)).collect()
    }

    fn test(&mut self, test: &Test, at: &Found<'n>) -> bool {
        match test {
            Test::RelQuery(_) | Test::AbsQuery(_) => !self.nodes(test, at).is_empty(),
            Test::Function(function) => match &**function {
                TestFunction::Match(subject, pattern) => self.regex("match", subject, pattern, at),
                TestFunction::Search(subject, pattern) => {
                    self.regex("search", subject, pattern, at)
                }
                TestFunction::Length(_)
                | TestFunction::Value(_)
                | TestFunction::Count(_)
                | TestFunction::Custom(..) => panic!("no test: {function}"),
            },
        }
    }

    fn regex(&mut self, function: &str, text: &FnArg, pattern: &FnArg, at: &Found<'n>) -> bool {
        let (text, pattern) = (self.argument(text, at), self.argument(pattern, at));
        let Some(text) = text.filter(|text| is_string(&text.node)) else { return false };
        self.is_unclear |= is_half(&text.node);
        let Some(pattern) = pattern else { return false };
        self.is_unclear |= is_half(&pattern.node);
        let (text, pattern) = (string(&text.node), string(&pattern.node));
        let (Some(text), Some(pattern)) = (text, pattern) else { return false };
        let value = json!([[text, pattern]]);
        !js_path_vals(&format!("$[?{function}(@[0],@[1])]"), &value).unwrap().is_empty()
    }

    fn comparison(&mut self, comparison: &Comparison, at: &Found<'n>) -> bool {
        let (left, right) = comparison.vals();
        let two_places = is_place(left) && is_place(right);
        let (left, right) = (self.comparable(left, at), self.comparable(right, at));
        if two_places {
            // Also where there is nothing at the other place, or a scalar.
            for operand in [&left, &right].into_iter().flatten() {
                self.measure(operand);
            }
        }
        if let (Some(left), Some(right)) = (&left, &right) {
            self.is_unclear |= left.is_unclear || right.is_unclear;
            self.is_unclear |= is_comparison_unclear(&left.node, &right.node);
        }
        let equal = || match (&left, &right) {
            (Some(left), Some(right)) => is_equal(&left.node, &right.node),
            // What is not there equals what is not there.
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let order = || order(&left.as_ref()?.node, &right.as_ref()?.node);
        match comparison {
            Comparison::Eq(..) => equal(),
            Comparison::Ne(..) => !equal(),
            Comparison::Lt(..) => order() == Some(Ordering::Less),
            Comparison::Gt(..) => order() == Some(Ordering::Greater),
            Comparison::Lte(..) => order() == Some(Ordering::Less) || equal(),
            Comparison::Gte(..) => order() == Some(Ordering::Greater) || equal(),
        }
    }

    fn comparable(&mut self, side: &Comparable, at: &Found<'n>) -> Option<Operand<'n>> {
        match side {
            Comparable::Literal(literal) => Some(Operand::value(token(literal), false)),
            Comparable::SingularQuery(query) => {
                let segment = |segment: &SingularQuerySegment| {
                    Segment::Selector(match segment {
                        SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
                        SingularQuerySegment::Index(index) => Selector::Index(*index),
                    })
                };
                let (from, segments) = match query {
                    SingularQuery::Current(segments) => (at.clone(), segments),
                    SingularQuery::Root(segments) => (self.root(), segments),
                };
                let segments: Vec<Segment> = segments.iter().map(segment).collect();
                only(self.select(&segments, from))
            }
            Comparable::Function(function) => self.function(function, at),
        }
    }

    fn function(&mut self, function: &TestFunction, at: &Found<'n>) -> Option<Operand<'n>> {
        match function {
            TestFunction::Length(argument) => {
                let argument = self.argument(argument, at)?;
                self.measure(&argument);
                let is_unclear = argument.is_unclear || is_half(&argument.node);
                let length = match &*argument.node {
                    Node::Array(elements) => elements.len(),
                    Node::Object(members) => members.len(),
                    Node::Scalar(_) if is_string(&argument.node) => {
                        string(&argument.node).map_or(0, |text| text.chars().count())
                    }
                    Node::Scalar(_) | Node::Document(_) => return None,
                };
                Some(Operand::value(length.to_string().into_bytes(), is_unclear))
            }
            TestFunction::Count(FnArg::Test(test)) => {
                let count = self.nodes(test, at).len();
                Some(Operand::value(count.to_string().into_bytes(), false))
            }
            TestFunction::Value(FnArg::Test(test)) => only(self.nodes(test, at)),
            TestFunction::Count(_)
            | TestFunction::Value(_)
            | TestFunction::Match(..)
            | TestFunction::Search(..)
            | TestFunction::Custom(..) => panic!("no value: {function}"),
        }
    }

    fn argument(&mut self, argument: &FnArg, at: &Found<'n>) -> Option<Operand<'n>> {
        match argument {
            FnArg::Literal(literal) => Some(Operand::value(token(literal), false)),
            FnArg::Test(test) => match &**test {
                Test::RelQuery(_) | Test::AbsQuery(_) => only(self.nodes(test, at)),
                Test::Function(function) => self.function(function, at),
            },
            FnArg::Filter(filter) => panic!("no value: {filter}"),
        }
    }

    /// Notes an object or array whose size or content decides.
    fn measure(&mut self, operand: &Operand<'n>) {
        if let (Node::Array(_) | Node::Object(_), Some(place)) = (&*operand.node, &operand.place) {
            self.measured.insert(place.clone());
        }
    }

    fn root(&self) -> Found<'n> {
        Found { place: Place { from_document: true, location: Vec::new() }, node: self.document }
    }

    fn nodes(&mut self, query: &Test, at: &Found<'n>) -> Vec<Found<'n>> {
        match query {
            Test::RelQuery(segments) => self.select(segments, at.clone()),
            Test::AbsQuery(query) => self.select(&query.segments, self.root()),
            Test::Function(function) => panic!("no query: {function}"),
        }
    }

    fn select(&mut self, segments: &[Segment], from: Found<'n>) -> Vec<Found<'n>> {
        let mut found = vec![from];
        for segment in segments {
            let (descends, selectors) = parts(segment);
            if descends {
                found = found.iter().flat_map(Found::with_all_below).collect();
            }
            let mut next = Vec::new();
            for node in &found {
                for selector in selectors {
                    next.extend(self.selected(selector, node));
                }
            }
            found = next;
        }
        found
    }

    fn selected(&mut self, selector: &Selector, parent: &Found<'n>) -> Vec<Found<'n>> {
        let mut children = parent.children();
        let length = children.len();
        children.retain(|child| {
            let step = child.place.location.last().expect("a child");
            match selector {
                Selector::Filter(filter) => self.filter(filter, child),
                Selector::Name(_)
                | Selector::Wildcard
                | Selector::Index(_)
                | Selector::Slice(..) => {
                    matches(selector, Way { step, length, holds: &|_| panic!("no filter") })
                }
            }
        });
        children
    }
}

/// Whether a side of a comparison is a place, and not what a function counts or a literal.
fn is_place(side: &Comparable) -> bool {
    matches!(side, Comparable::SingularQuery(_) | Comparable::Function(TestFunction::Value(_)))
}

/// The node, if it is only one.
fn only(mut found: Vec<Found<'_>>) -> Option<Operand<'_>> {
    let one = found.pop().filter(|_| found.is_empty())?;
    Some(Operand { node: Cow::Borrowed(one.node), place: Some(one.place), is_unclear: false })
}

/// A literal of a filter as a token of JSON.
fn token(literal: &Literal) -> Vec<u8> {
    match literal {
        Literal::String(text) => quote(text),
        Literal::Int(_) | Literal::Float(_) | Literal::Bool(_) | Literal::Null => {
            literal.to_string().into_bytes()
        }
    }
}

fn is_string(node: &Node) -> bool {
    matches!(node, Node::Scalar(token) if token[0] == b'"')
}

fn is_number(node: &Node) -> bool {
    matches!(node, Node::Scalar(token) if token[0] == b'-' || token[0].is_ascii_digit())
}

/// The text of a string; none if it is no string, or no Unicode text.
fn string(node: &Node) -> Option<String> {
    if is_string(node) { decode(node.token()) } else { None }
}

fn is_equal(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Array(all), Node::Array(others)) => {
            all.len() == others.len()
                && all.iter().zip(others).all(|(one, other)| is_equal(one, other))
        }
        (Node::Object(all), Node::Object(others)) => {
            all.len() == others.len()
                && all.iter().all(|(name, one)| {
                    member(others, name).is_some_and(|other| is_equal(one, other))
                })
        }
        (Node::Scalar(token), Node::Scalar(other_token)) => {
            if is_number(one) && is_number(other) {
                order(one, other) == Some(Ordering::Equal)
            } else if is_string(one) && is_string(other) {
                string(one).is_some() && string(one) == string(other)
            } else {
                token == other_token
            }
        }
        (Node::Scalar(_) | Node::Array(_) | Node::Object(_) | Node::Document(_), _) => false,
    }
}

fn member<'n>(members: &'n [(Name, Node)], wanted: &Name) -> Option<&'n Node> {
    members.iter().find(|(name, _)| name.text == wanted.text).map(|(_, value)| value)
}

/// How two numbers, or two texts, compare. Nothing else has an order.
fn order(one: &Node, other: &Node) -> Option<Ordering> {
    if is_number(one) && is_number(other) {
        return Some(Decimal::read(one.token()).compare(&Decimal::read(other.token())));
    }
    Some(string(one)?.cmp(&string(other)?))
}

/// A number, exactly.
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end; of zero nothing is left.
    digits: Vec<u8>,
    /// Where the point stands, counted from the first digit.
    point: i128,
}

impl Decimal {
    fn read(token: &[u8]) -> Self {
        let text = str::from_utf8(token).unwrap();
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        let kept = digits.trim_start_matches('0');
        let zeros = digits.len() - kept.len();
        // An exponent too long for its type is as good as the longest one.
        let end = if exponent.starts_with('-') { i128::MIN / 2 } else { i128::MAX / 2 };
        let exponent = exponent.trim_start_matches('+').parse().unwrap_or(end);
        let size = |length: usize| i128::try_from(length).unwrap();
        let point = exponent + size(whole.len()) - size(zeros);
        let digits = kept.trim_end_matches('0').as_bytes().to_vec();
        Self { is_negative, digits, point }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.sign(), other.sign()) {
            (1, 1) => self.compare_digits(other),
            (-1, -1) => other.compare_digits(self),
            (one, other) => one.cmp(&other),
        }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare_digits(&self, other: &Self) -> Ordering {
        self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits))
    }
}

/// Containers of one size are compared to the end; others differ, whatever is in them.
fn is_comparison_unclear(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Array(all), Node::Array(others)) => {
            all.len() == others.len()
                && all.iter().zip(others).any(|(one, other)| is_comparison_unclear(one, other))
        }
        (Node::Object(all), Node::Object(others)) => {
            let pairs: Option<Vec<_>> =
                all.iter().map(|(name, value)| Some((value, member(others, name)?))).collect();
            all.len() == others.len()
                && pairs.is_some_and(|pairs| {
                    pairs.into_iter().any(|(one, other)| is_comparison_unclear(one, other))
                })
        }
        _ => is_scalar_unclear(one) || is_scalar_unclear(other),
    }
}

fn is_scalar_unclear(node: &Node) -> bool {
    is_half(node) || is_no_double(node)
}

fn is_half(node: &Node) -> bool {
    is_string(node) && string(node).is_none()
}

fn is_no_double(node: &Node) -> bool {
    let Node::Scalar(token) = node else { return false };
    let digits = |text: &[u8]| text.iter().any(|byte| (b'1'..=b'9').contains(byte));
    let mantissa = token.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap();
    let number: Option<f64> = String::from_utf8_lossy(token).parse().ok();
    is_number(node)
        && number.is_none_or(|number| number.is_infinite() || (number == 0.0 && digits(mantissa)))
}
