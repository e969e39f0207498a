//! Whether a filter holds for a value that is there as a whole (RFC 9535, section 2.3.5).
//!
//! The answer is exact, or there is none: numbers compare by their value, and where two readers of the
//! same bytes could see two things (a name that stands twice, half a surrogate pair, a number beyond
//! what a double holds), nobody can say what the filter would select.

use std::{borrow::Cow, cell::Cell, cmp::Ordering};

use regex::Regex;

use crate::json::{ahead::ValueEnd, document::Document};
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

/// A member of an object, with its name as it is meant.
type Member<'b> = (Cow<'b, str>, Node<'b>);

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

    /// A value that has been read before.
    pub(crate) fn of(text: &'b str) -> Self {
        Self(text)
    }

    /// As it is written.
    pub(crate) fn text(self) -> &'b str {
        self.0
    }

    /// Its length, as the function has it; none if it has none.
    pub(crate) fn length(self) -> Result<Option<usize>, Unclear> {
        match self.kind() {
            Kind::String => Ok(Some(text(self.0)?.chars().count())),
            Kind::Array | Kind::Object => self.count().map(Some),
            Kind::Null | Kind::Bool(_) | Kind::Number => Ok(None),
        }
    }

    /// The text that it is; none if it is something else.
    pub(crate) fn string(self) -> Result<Option<Cow<'b, str>>, Unclear> {
        match self.kind() {
            Kind::String => text(self.0).map(Some),
            Kind::Null | Kind::Bool(_) | Kind::Number | Kind::Array | Kind::Object => Ok(None),
        }
    }

    fn is_container(self) -> bool {
        self.0.starts_with(['{', '['])
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

    /// The children, if no two of them have the same name. They are read as they are asked for: a list
    /// of them would take many times what they do.
    fn children(self) -> Result<impl Iterator<Item = Result<Self, Unclear>>, Unclear> {
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
        Ok(self.inside().map(|child| child.map(|(_, value)| value)))
    }

    /// The members by their names, if no two of these are the same.
    fn members(self) -> Result<Vec<Member<'b>>, Unclear> {
        let mut members = Vec::new();
        for member in self.inside() {
            let (name, value) = member?;
            members.push((text(name)?, value));
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let twice = |pair: &[Member<'_>]| matches!(pair, [(one, _), (other, _)] if one == other);
        if members.windows(2).any(twice) { Err(Unclear) } else { Ok(members) }
    }

    /// How many children it has, if no two of them have the same name.
    fn count(self) -> Result<usize, Unclear> {
        self.children()?.try_fold(0, |count, child| child.map(|_| count + 1))
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

/// Whether a filter holds for a value; `document` is what it stands in, where the filter asks about that.
pub(crate) fn holds(
    filter: &Filter,
    current: Node<'_>,
    document: Option<&Document>,
) -> Result<bool, Unclear> {
    Judge { current, document, nodes: &Cell::new(0) }.expression(filter.expression())
}

/// What a query selects that begins at a node, which is that of a document.
pub(crate) fn select<'b>(
    query: &Query,
    root: Node<'b>,
    document: &'b Document,
) -> Result<Vec<Node<'b>>, Unclear> {
    let judge = Judge { current: root, document: Some(document), nodes: &Cell::new(0) };
    judge.select(query)
}

/// What a filter is asked of.
#[derive(Clone, Copy)]
struct Judge<'t, 'b> {
    current: Node<'b>,
    document: Option<&'b Document>,
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
                let (one, other) = (self.operand(left)?, self.operand(right)?);
                self.note_containers((left, &one), (right, &other))?;
                compare(&one, *comparison, &other)
            }
            Expression::Exists(query) => Ok(self.count(query)? > 0),
            Expression::Matches { whole, text, pattern } => {
                let Some(text) = self.string(text)? else { return Ok(false) };
                match pattern {
                    Pattern::Written(_, regex) => Ok(regex.is_match(&text)),
                    Pattern::Of(operand) if let Some(query) = operand.in_document() => {
                        let pattern = self.document()?.pattern(query, *whole)?;
                        Ok(pattern.is_some_and(|regex| regex.is_match(&text)))
                    }
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
                Ok(self.only(query)?.map_or(Value::Nothing, Value::Node))
            }
            Operand::Count(query) => Ok(Value::Number(Number::of(self.count(query)?))),
            Operand::Length(operand) => {
                let length = if let Some(query) = operand.in_document() {
                    self.document()?.length(query)?
                } else {
                    match self.operand(operand)? {
                        Value::Literal(Literal::String(string)) => Some(string.chars().count()),
                        Value::Node(node) => node.length()?,
                        Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
                        | Value::Number(_)
                        | Value::Nothing => None,
                    }
                };
                Ok(length.map_or(Value::Nothing, |length| Value::Number(Number::of(length))))
            }
        }
    }

    /// The document, which has to be there.
    fn document(self) -> Result<&'b Document, Unclear> {
        self.document.ok_or(Unclear)
    }

    /// Notes what of the document is gone through to compare containers.
    fn note_containers(
        self,
        (left, one): (&Operand, &Value<'_, 'b>),
        (right, other): (&Operand, &Value<'_, 'b>),
    ) -> Result<(), Unclear> {
        let (Value::Node(one), Value::Node(other)) = (one, other) else { return Ok(()) };
        if one.is_container() && other.is_container() {
            for (operand, node) in [(left, one), (right, other)] {
                if operand.in_document().is_some() {
                    self.document()?.compare(*node)?;
                }
            }
        }
        Ok(())
    }

    /// How many nodes a query selects.
    fn count(self, query: &'t Query) -> Result<usize, Unclear> {
        if query.from_root { self.document()?.count(query) } else { Ok(self.select(query)?.len()) }
    }

    /// The node that a query selects, if it selects one.
    fn only(self, query: &'t Query) -> Result<Option<Node<'b>>, Unclear> {
        if query.from_root {
            return self.document()?.only(query);
        }
        Ok(match self.select(query)?.as_slice() {
            [only] => Some(*only),
            [] | [_, _, ..] => None,
        })
    }

    fn string(self, operand: &'t Operand) -> Result<Option<Cow<'t, str>>, Unclear> {
        match self.operand(operand)? {
            Value::Literal(Literal::String(string)) => Ok(Some(Cow::Borrowed(string))),
            Value::Node(node) => node.string(),
            Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
            | Value::Number(_)
            | Value::Nothing => Ok(None),
        }
    }

    /// What a query selects from the node in question on.
    fn select(self, query: &'t Query) -> Result<Vec<Node<'b>>, Unclear> {
        let mut nodes = vec![self.current];
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
                self.step(segment, child?, into)?;
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
            Selector::Wildcard => {
                for child in node.children()? {
                    into.push(child?);
                }
            }
            Selector::Index(_) | Selector::Slice { .. } => {
                if let Kind::Array = node.kind() {
                    let chosen = selector.choice(node.count()? as u64);
                    for (index, child) in (0..).zip(node.children()?) {
                        let child = child?;
                        if chosen(index) {
                            into.push(child);
                        }
                    }
                }
            }
            Selector::Filter(filter) => {
                for child in node.children()? {
                    let child = child?;
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
            let mut same = one.count()? == other.count()?;
            if same {
                for (one, other) in one.children()?.zip(other.children()?) {
                    same &= self::same(one?, other?)?;
                }
            }
            Ok(same)
        }
        (Kind::Object, Kind::Object) => {
            let (one, other) = (one.members()?, other.members()?);
            let pairs = || one.iter().zip(&other);
            if one.len() != other.len() || pairs().any(|(one, other)| one.0 != other.0) {
                return Ok(false);
            }
            let mut same = true;
            for (one, other) in pairs() {
                same &= self::same(one.1, other.1)?;
            }
            Ok(same)
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
