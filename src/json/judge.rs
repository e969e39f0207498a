//! Whether a filter holds for a value that is there as a whole (RFC 9535, section 2.3.5).
//!
//! The answer is exact, or there is none: numbers compare by their value, and where two readers of the
//! same bytes could see two things (a name that stands twice, half a surrogate pair, a number beyond
//! what a double holds), nobody can say what the filter would select.

use std::{borrow::Cow, cell::Cell, cmp::Ordering};

use regex::Regex;

use crate::json::ahead::ValueEnd;
use crate::path::{
    Comparison, Expression, Filter, Literal, Number, Operand, Pattern, Query, Segment, Selector,
    compile_pattern,
};

/// Nobody can say: see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

/// Most nodes that are looked at to answer one filter: paths with several `..` could go on for long.
const NODES_MAX: usize = 1 << 22;

/// A value, as the bytes that it is written in. Nothing is built of it: a filter mostly asks about little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'b>(&'b str);

/// What a value is.
enum Kind {
    Null,
    Bool(bool),
    Number,
    String,
    Array,
    Object,
}

impl<'b> Node<'b> {
    /// A value that nothing but white space follows.
    pub(crate) fn read(bytes: &'b [u8]) -> Result<Self, Unclear> {
        let mut reader = Reader { rest: std::str::from_utf8(bytes).map_err(|_error| Unclear)? };
        let node = reader.value()?;
        reader.skip_space();
        if reader.rest.is_empty() { Ok(node) } else { Err(Unclear) }
    }

    fn kind(self) -> Kind {
        match self.0 {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            other if other.starts_with('{') => Kind::Object,
            other if other.starts_with('[') => Kind::Array,
            other if other.starts_with('"') => Kind::String,
            _ => Kind::Number,
        }
    }

    /// What a container holds, with names where it is an object; nothing of a scalar.
    fn inside(self) -> Inside<'b> {
        let is_object = self.0.starts_with('{');
        let is_container = is_object || self.0.starts_with('[');
        let rest = if is_container { self.0.get(1..).unwrap_or_default() } else { "" };
        Inside { reader: Reader { rest }, is_object, first: true, done: !is_container }
    }

    /// The children, if no two of them have the same name.
    fn children(self) -> Result<Vec<Self>, Unclear> {
        if self.0.starts_with('{') {
            let mut names = Vec::new();
            for member in self.inside() {
                let (name, _) = member?;
                names.push(text(name).unwrap_or(Cow::Borrowed(name)));
            }
            names.sort_unstable();
            if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
                return Err(Unclear);
            }
        }
        self.inside().map(|child| child.map(|(_, value)| value)).collect()
    }

    /// The member of this name.
    fn member(self, wanted: &str) -> Result<Option<Self>, Unclear> {
        if !self.0.starts_with('{') {
            return Ok(None);
        }
        let mut found = None;
        for member in self.inside() {
            let (name, value) = member?;
            if text(name).is_ok_and(|name| name == wanted) && found.replace(value).is_some() {
                return Err(Unclear);
            }
        }
        Ok(found)
    }
}

/// A string without its quotes and escapes.
fn text(quoted: &str) -> Result<Cow<'_, str>, Unclear> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(Unclear)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted).map(Cow::Owned).map_err(|_lone_surrogate| Unclear)
}

/// The children of a container, one after the other.
struct Inside<'b> {
    reader: Reader<'b>,
    is_object: bool,
    first: bool,
    done: bool,
}

impl<'b> Inside<'b> {
    fn child(&mut self) -> Result<Option<(&'b str, Node<'b>)>, Unclear> {
        let first = std::mem::replace(&mut self.first, false);
        if self.reader.takes(if self.is_object { '}' } else { ']' }) {
            return Ok(None);
        }
        if !first && !self.reader.takes(',') {
            return Err(Unclear);
        }
        let mut name = "";
        if self.is_object {
            name = self.reader.value()?.0;
            if !name.starts_with('"') || !self.reader.takes(':') {
                return Err(Unclear);
            }
        }
        Ok(Some((name, self.reader.value()?)))
    }
}

impl<'b> Iterator for Inside<'b> {
    type Item = Result<(&'b str, Node<'b>), Unclear>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let child = self.child().transpose();
        self.done = !matches!(child, Some(Ok(_)));
        child
    }
}

struct Reader<'b> {
    rest: &'b str,
}

impl<'b> Reader<'b> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn takes(&mut self, token: char) -> bool {
        self.skip_space();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn value(&mut self) -> Result<Node<'b>, Unclear> {
        self.skip_space();
        // A number or literal can end with the text.
        let end = ValueEnd::default().find(self.rest.as_bytes()).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at_checked(end).ok_or(Unclear)?;
        self.rest = rest;
        if value.is_empty() { Err(Unclear) } else { Ok(Node(value)) }
    }
}

/// Whether a filter holds for a value. `root` is the document, where the filter asks about it.
pub(crate) fn holds(
    filter: &Filter,
    current: Node<'_>,
    root: Option<Node<'_>>,
) -> Result<bool, Unclear> {
    Judge { current, root, nodes: &Cell::new(0) }.expression(filter.expression())
}

/// What a filter is asked of.
#[derive(Clone, Copy)]
struct Judge<'t, 'b> {
    current: Node<'b>,
    root: Option<Node<'b>>,
    /// How many have been looked at.
    nodes: &'t Cell<usize>,
}

/// What is compared.
enum Value<'t, 'b> {
    Nothing,
    Literal(&'t Literal),
    Number(Number),
    Node(Node<'b>),
}

/// A value as far as it is a scalar.
enum Scalar<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
}

impl<'t, 'b: 't> Judge<'t, 'b> {
    fn expression(self, expression: &'t Expression) -> Result<bool, Unclear> {
        match expression {
            // Whatever comes first may decide; but for what is unclear, it does not matter which.
            Expression::Or(all) => self.first(all, true),
            Expression::And(all) => self.first(all, false),
            Expression::Not(inner) => Ok(!self.expression(inner)?),
            Expression::Compare(left, comparison, right) => {
                compare(&self.operand(left)?, *comparison, &self.operand(right)?)
            }
            Expression::Exists(query) => Ok(!self.select(query)?.is_empty()),
            Expression::Matches { whole, text, pattern } => {
                let Some(text) = self.string(text)? else { return Ok(false) };
                match pattern {
                    Pattern::Written(_, regex) => Ok(regex.is_match(&text)),
                    Pattern::Of(operand) => {
                        let Some(pattern) = self.string(operand)? else { return Ok(false) };
                        let regex: Option<Regex> = compile_pattern(&pattern, *whole);
                        Ok(regex.is_some_and(|regex| regex.is_match(&text)))
                    }
                }
            }
        }
    }

    /// Whether one of these is `wanted`; if not, the opposite, unless one of them is unclear.
    fn first(self, all: &'t [Expression], wanted: bool) -> Result<bool, Unclear> {
        let mut unclear = false;
        for one in all {
            match self.expression(one) {
                Ok(holds) if holds == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(Unclear) => unclear = true,
            }
        }
        if unclear { Err(Unclear) } else { Ok(!wanted) }
    }

    fn operand(self, operand: &'t Operand) -> Result<Value<'t, 'b>, Unclear> {
        match operand {
            Operand::Literal(literal) => Ok(Value::Literal(literal)),
            Operand::Node(query) | Operand::Value(query) => {
                Ok(match self.select(query)?.as_slice() {
                    [only] => Value::Node(*only),
                    [] | [_, _, ..] => Value::Nothing,
                })
            }
            Operand::Count(query) => Ok(Value::Number(Number::of(self.select(query)?.len()))),
            Operand::Length(operand) => match self.operand(operand)? {
                Value::Literal(Literal::String(string)) => {
                    Ok(Value::Number(Number::of(string.chars().count())))
                }
                Value::Node(node) => Ok(match node.kind() {
                    Kind::String => Value::Number(Number::of(text(node.0)?.chars().count())),
                    Kind::Array | Kind::Object => Value::Number(Number::of(node.children()?.len())),
                    Kind::Null | Kind::Bool(_) | Kind::Number => Value::Nothing,
                }),
                Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
                | Value::Number(_)
                | Value::Nothing => Ok(Value::Nothing),
            },
        }
    }

    fn string(self, operand: &'t Operand) -> Result<Option<Cow<'t, str>>, Unclear> {
        match self.operand(operand)? {
            Value::Literal(Literal::String(string)) => Ok(Some(Cow::Borrowed(string))),
            Value::Node(node) => match node.kind() {
                Kind::String => text(node.0).map(Some),
                Kind::Null | Kind::Bool(_) | Kind::Number | Kind::Array | Kind::Object => Ok(None),
            },
            Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
            | Value::Number(_)
            | Value::Nothing => Ok(None),
        }
    }

    fn select(self, query: &'t Query) -> Result<Vec<Node<'b>>, Unclear> {
        let start = if query.from_root { self.root.ok_or(Unclear)? } else { self.current };
        let mut nodes = vec![start];
        for segment in &query.segments {
            let mut next = Vec::new();
            for node in nodes {
                self.step(segment, node, &mut next)?;
            }
            nodes = next;
        }
        Ok(nodes)
    }

    fn step(
        self,
        segment: &'t Segment,
        node: Node<'b>,
        into: &mut Vec<Node<'b>>,
    ) -> Result<(), Unclear> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > NODES_MAX {
            return Err(Unclear);
        }
        for selector in &segment.selectors {
            self.choose(selector, node, into)?;
        }
        if segment.descendant {
            for child in node.children()? {
                self.step(segment, child, into)?;
            }
        }
        Ok(())
    }

    fn choose(
        self,
        selector: &'t Selector,
        node: Node<'b>,
        into: &mut Vec<Node<'b>>,
    ) -> Result<(), Unclear> {
        match selector {
            Selector::Name(name) => into.extend(node.member(name)?),
            Selector::Wildcard => into.extend(node.children()?),
            Selector::Index(_) | Selector::Slice { .. } => {
                if let Kind::Array = node.kind() {
                    into.extend(selector.choose(&node.children()?));
                }
            }
            Selector::Filter(filter) => {
                for child in node.children()? {
                    let inner = Judge { current: child, ..self };
                    if inner.expression(filter.expression())? {
                        into.push(child);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Section 2.3.5.2.2.
fn compare(
    left: &Value<'_, '_>,
    comparison: Comparison,
    right: &Value<'_, '_>,
) -> Result<bool, Unclear> {
    let equal = || equal(left, right);
    let less = |one, other| -> Result<bool, Unclear> {
        Ok(match (scalar(one)?, scalar(other)?) {
            (Some(Scalar::Number(one)), Some(Scalar::Number(other))) => one < other,
            // Strings order by their Unicode scalars, as their UTF-8 does.
            (Some(Scalar::String(one)), Some(Scalar::String(other))) => {
                one.cmp(&other) == Ordering::Less
            }
            _ => false,
        })
    };
    match comparison {
        Comparison::Equal => equal(),
        Comparison::NotEqual => Ok(!equal()?),
        Comparison::Less => less(left, right),
        Comparison::Greater => less(right, left),
        Comparison::LessOrEqual => Ok(less(left, right)? || equal()?),
        Comparison::GreaterOrEqual => Ok(less(right, left)? || equal()?),
    }
}

fn equal(left: &Value<'_, '_>, right: &Value<'_, '_>) -> Result<bool, Unclear> {
    match (left, right) {
        (Value::Nothing, Value::Nothing) => Ok(true),
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(false),
        (Value::Node(left), Value::Node(right)) => same(*left, *right),
        (left, right) => Ok(match (scalar(left)?, scalar(right)?) {
            (Some(left), Some(right)) => same_scalar(&left, &right),
            (None, _) | (_, None) => false,
        }),
    }
}

/// Whether a value, or nothing, compares with a literal like this; `swapped` if the literal comes first.
pub(crate) fn compares(
    value: Option<Node<'_>>,
    comparison: Comparison,
    literal: &Literal,
    swapped: bool,
) -> Result<bool, Unclear> {
    let value = value.map_or(Value::Nothing, Value::Node);
    let literal = Value::Literal(literal);
    if swapped {
        compare(&literal, comparison, &value)
    } else {
        compare(&value, comparison, &literal)
    }
}

fn scalar<'t>(value: &'t Value<'_, '_>) -> Result<Option<Scalar<'t>>, Unclear> {
    match value {
        Value::Nothing => Ok(None),
        Value::Number(number) => Ok(Some(Scalar::Number(number.clone()))),
        Value::Literal(literal) => Ok(Some(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(bool) => Scalar::Bool(*bool),
            Literal::Number(number) => Scalar::Number(number.clone()),
            Literal::String(string) => Scalar::String(Cow::Borrowed(string)),
        })),
        Value::Node(node) => node_scalar(*node),
    }
}

fn node_scalar(node: Node<'_>) -> Result<Option<Scalar<'_>>, Unclear> {
    Ok(match node.kind() {
        Kind::Null => Some(Scalar::Null),
        Kind::Bool(bool) => Some(Scalar::Bool(bool)),
        Kind::Number => Some(Scalar::Number(Number::read(node.0).ok_or(Unclear)?)),
        Kind::String => Some(Scalar::String(text(node.0)?)),
        Kind::Array | Kind::Object => None,
    })
}

fn same_scalar(one: &Scalar<'_>, other: &Scalar<'_>) -> bool {
    match (one, other) {
        (Scalar::Null, Scalar::Null) => true,
        (Scalar::Bool(one), Scalar::Bool(other)) => one == other,
        (Scalar::Number(one), Scalar::Number(other)) => one == other,
        (Scalar::String(one), Scalar::String(other)) => one == other,
        (Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) | Scalar::String(_), _) => false,
    }
}

fn same(one: Node<'_>, other: Node<'_>) -> Result<bool, Unclear> {
    match (one.kind(), other.kind()) {
        (Kind::Array, Kind::Array) => {
            let (one, other) = (one.children()?, other.children()?);
            let pairs = one.iter().copied().zip(other.iter().copied());
            Ok(one.len() == other.len() && all_same(pairs)?)
        }
        (Kind::Object, Kind::Object) => {
            if one.children()?.len() != other.children()?.len() {
                return Ok(false);
            }
            let mut pairs = Vec::new();
            for member in one.inside() {
                let (name, value) = member?;
                match other.member(&text(name)?)? {
                    Some(other) => pairs.push((value, other)),
                    None => return Ok(false),
                }
            }
            all_same(pairs.into_iter())
        }
        (
            Kind::Null | Kind::Bool(_) | Kind::Number | Kind::String | Kind::Array | Kind::Object,
            _,
        ) => Ok(match (node_scalar(one)?, node_scalar(other)?) {
            (Some(one), Some(other)) => same_scalar(&one, &other),
            (None, _) | (_, None) => false,
        }),
    }
}

fn all_same<'b>(pairs: impl Iterator<Item = (Node<'b>, Node<'b>)>) -> Result<bool, Unclear> {
    let mut all = true;
    for (one, other) in pairs {
        all &= same(one, other)?;
    }
    Ok(all)
}
