//! Whether a filter holds for a value that is there as a whole (RFC 9535, section 2.3.5).
//!
//! The answer is exact, or there is none: numbers compare by their value, and where two readers of the
//! same bytes could see two things (a name that stands twice, half a surrogate pair, a number beyond
//! what a double holds), nobody can say what the filter would select.
//!
//! A query is carried out one segment at a time, on all nodes that the segments before it selected. A node
//! that was selected several ways is kept once, with the number of ways: so `..a..a` looks at each byte once
//! per segment, however deep the value is nested. The only recursion is over the filter, which
//! [`Path::parse`](crate::path::Path::parse) limits.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use foldhash::fast::RandomState;
use regex::Regex;

use crate::json::{
    document::Document,
    outline::{Child, Node, Outline, Outlined, Unclear},
};
use crate::path::{
    Comparison, Expression, Filter, Literal, Number, Operand, Pattern, PatternError, Query,
    Segment, Selector, compile_pattern,
};

/// Most steps that the filters take which are asked of one value and of all in it, for each byte of it; and
/// how many they may take of a short one. A step is a byte that is looked at, or a comparison.
pub(super) const STEPS_PER_BYTE: u64 = 1 << 10;
const STEPS_MIN: u64 = 1 << 20;

/// How many steps stand for compiling a pattern that comes from a document, and for each byte that such a
/// pattern is matched with: its automaton can have many states.
const COMPILE_STEPS: u64 = 1 << 12;
const MATCH_STEPS_PER_BYTE: u64 = 1 << 4;

/// Most patterns of one response that come from its documents, their longest, and the most bytes that one
/// takes when it is compiled.
const PATTERNS_MAX: usize = 64;
const PATTERN_TEXT_BYTES_MAX: usize = 1 << 10;
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// One answer of a filter in a query is remembered for so many bytes of the value.
const BYTES_PER_ANSWER: usize = 8;

/// Those of a name.
const QUOTES: usize = 2;

/// What the filters that are asked of one value, and of all in it, may cost, and what they have found out.
#[derive(Debug)]
pub(crate) struct Inquiry {
    steps: u64,
    steps_max: u64,
    /// What filters in queries said of nodes, by where the filter stands in memory and where the node begins.
    answers: HashMap<(usize, u32), Result<bool, Unclear>, RandomState>,
    answers_max: usize,
    /// The longest name, quotes included, that can leave.
    name_bytes_max: usize,
}

impl Inquiry {
    /// About a value of so many bytes, of whose members those with a longer name do not leave.
    pub(crate) fn new(bytes: usize, name_bytes_max: usize) -> Self {
        Self {
            name_bytes_max: name_bytes_max.saturating_add(QUOTES),
            steps: 0,
            steps_max: STEPS_MIN.max((bytes as u64).saturating_mul(STEPS_PER_BYTE)),
            answers: HashMap::default(),
            answers_max: bytes / BYTES_PER_ANSWER,
        }
    }

    /// How many steps it has taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Notes that it has taken so many more; unclear if that is too many.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Unclear> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.steps_max { Err(Unclear) } else { Ok(()) }
    }
}

impl Inquiry {
    /// Begins once more, with the steps that it has taken: what was found out may not hold any more.
    pub(super) fn forget(&mut self) {
        self.answers.clear();
    }
}

/// Who knows whether all of an object or array leaves as it is, of which the answer of a filter depends.
pub(super) trait Kept {
    /// Whether it does: a container of the value that a filter is asked of, or of the document.
    fn is_kept(
        &mut self,
        spot: Spot<'_>,
        in_document: bool,
        inquiry: &mut Inquiry,
    ) -> Result<bool, Unclear>;

    /// The longest name that leaves.
    fn name_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Where nothing is withheld.
pub(super) struct AllKept;

impl Kept for AllKept {
    fn is_kept(&mut self, _: Spot<'_>, _: bool, _: &mut Inquiry) -> Result<bool, Unclear> {
        Ok(true)
    }
}

/// Takes everything for kept, and notes that it mattered.
#[derive(Default)]
pub(super) struct Noting {
    /// Whether a container was asked about.
    pub(super) was_asked: bool,
}

impl Kept for Noting {
    fn is_kept(&mut self, _: Spot<'_>, _: bool, _: &mut Inquiry) -> Result<bool, Unclear> {
        self.was_asked = true;
        Ok(true)
    }
}

/// The patterns of a response that came from its documents, compiled.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: HashMap<(String, bool), Result<Option<Regex>, Unclear>, RandomState>,
}

impl Patterns {
    /// The pattern of this text, for a whole text or a part of one; none if it is no I-Regexp. Unclear where
    /// it is too long, or one of too many.
    fn get(
        &mut self,
        pattern: &str,
        whole: bool,
        inquiry: &mut Inquiry,
    ) -> Result<Option<&Regex>, Unclear> {
        if pattern.len() > PATTERN_TEXT_BYTES_MAX {
            return Err(Unclear);
        }
        let key = (pattern.to_owned(), whole);
        if !self.known.contains_key(&key) {
            if self.known.len() >= PATTERNS_MAX {
                return Err(Unclear);
            }
            inquiry.spend(COMPILE_STEPS)?;
            let compiled = compile_from_document(pattern, whole);
            self.known.insert(key.clone(), compiled);
        }
        match self.known.get(&key) {
            Some(Ok(regex)) => Ok(regex.as_ref()),
            Some(Err(Unclear)) | None => Err(Unclear),
        }
    }
}

/// Compiles a pattern that comes from a document; none if it is no I-Regexp.
pub(crate) fn compile_from_document(pattern: &str, whole: bool) -> Result<Option<Regex>, Unclear> {
    match compile_pattern(pattern, whole, PATTERN_BYTES_MAX) {
        Ok(regex) => Ok(Some(regex)),
        Err(PatternError::Invalid) => Ok(None),
        // Who takes it for none would answer `!match(..)` by yes.
        Err(PatternError::TooLarge) => Err(Unclear),
    }
}

/// What a value is.
enum Kind {
    Null,
    Bool(bool),
    Number,
    String,
    Array,
    Object,
}

fn kind(text: &[u8]) -> Kind {
    match text {
        b"null" => Kind::Null,
        b"true" => Kind::Bool(true),
        b"false" => Kind::Bool(false),
        [b'{', ..] => Kind::Object,
        [b'[', ..] => Kind::Array,
        [b'"', ..] => Kind::String,
        _ => Kind::Number,
    }
}

/// A string without its quotes and escapes.
pub(super) fn text(quoted: &[u8]) -> Result<Cow<'_, str>, Unclear> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let inner = inner.ok_or(Unclear)?;
    if !inner.contains(&b'\\') {
        return str::from_utf8(inner).map(Cow::Borrowed).map_err(|_cut| Unclear);
    }
    serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_lone_surrogate| Unclear)
}

/// A node, and what it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'b> {
    pub(crate) of: Outlined<'b>,
    pub(crate) node: Node,
}

impl<'b> Spot<'b> {
    /// The value as a whole.
    pub(crate) fn root(of: Outlined<'b>) -> Result<Self, Unclear> {
        Ok(Self { of, node: of.root()? })
    }

    /// As it is written.
    pub(crate) fn text(self) -> &'b [u8] {
        self.of.text(self.node)
    }

    /// Whether it is an object or an array.
    pub(crate) fn is_container(self) -> bool {
        self.node.is_container()
    }

    /// The text that it is; none if it is something else.
    pub(crate) fn string(self) -> Result<Option<Cow<'b, str>>, Unclear> {
        let written = self.text();
        if written.starts_with(b"\"") { text(written).map(Some) } else { Ok(None) }
    }

    /// Its length, as the function has it; none if it has none.
    pub(crate) fn length(self, inquiry: &mut Inquiry) -> Result<Option<u64>, Unclear> {
        if self.is_container() {
            return count_children(self, inquiry).map(Some);
        }
        inquiry.spend(self.text().len() as u64)?;
        Ok(self.string()?.map(|string| string.chars().count() as u64))
    }
}

/// Goes through the children of a node; unclear if two of them have the same name, or one has a name so long that it does
/// not leave. None of them is held, for there may be as many as half the bytes.
fn each_child(
    spot: Spot<'_>,
    inquiry: &mut Inquiry,
    mut each: impl FnMut(Node),
) -> Result<(), Unclear> {
    let mut names = Vec::new();
    for child in spot.of.children(spot.node) {
        let Child { name, node, looked_at } = child?;
        inquiry.spend(looked_at as u64)?;
        if name.len() > inquiry.name_bytes_max {
            return Err(Unclear);
        }
        each(node);
        if !name.is_empty() {
            // What is no text is its own name: nobody takes it for another.
            names.push(text(name).unwrap_or(String::from_utf8_lossy(name)));
        }
    }
    names.sort_unstable();
    let twice = |pair: &[Cow<'_, str>]| matches!(pair, [one, other] if one == other);
    if names.windows(2).any(twice) { Err(Unclear) } else { Ok(()) }
}

/// How many children a node has.
fn count_children(spot: Spot<'_>, inquiry: &mut Inquiry) -> Result<u64, Unclear> {
    let mut count = 0;
    each_child(spot, inquiry, |_| count += 1)?;
    Ok(count)
}

/// A member of an object, with its name as it is meant.
type Member<'b> = (Cow<'b, str>, Node);

/// The members by their names, if no two of these are the same.
fn members<'b>(spot: Spot<'b>, inquiry: &mut Inquiry) -> Result<Vec<Member<'b>>, Unclear> {
    let mut members = Vec::new();
    for child in spot.of.children(spot.node) {
        let Child { name, node, looked_at } = child?;
        inquiry.spend(looked_at as u64)?;
        members.push((text(name)?, node));
    }
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let twice = |pair: &[Member<'_>]| matches!(pair, [(one, _), (other, _)] if one == other);
    if members.windows(2).any(twice) { Err(Unclear) } else { Ok(members) }
}

/// Whether a filter holds for a value; `document` is what it stands in, where the filter asks about that.
pub(crate) fn holds(
    filter: &Filter,
    current: Spot<'_>,
    document: Option<&Document>,
    inquiry: &mut Inquiry,
    patterns: &mut Patterns,
    kept: &mut dyn Kept,
) -> Result<bool, Unclear> {
    Judge { document, inquiry, patterns, kept }.expression(filter.expression(), current)
}

/// The nodes that a query selects which begins at a node of a document.
pub(crate) fn select(
    query: &Query,
    root: Spot<'_>,
    document: &Document,
    inquiry: &mut Inquiry,
    patterns: &mut Patterns,
    kept: &mut dyn Kept,
) -> Result<Selection, Unclear> {
    Judge { document: Some(document), inquiry, patterns, kept }.select(query, root)
}

/// What a query selects: each node once, with the number of ways in which it is selected.
#[derive(Debug)]
pub(crate) struct Selection(Vec<(Node, u32)>);

impl Selection {
    /// How many nodes that are, each as often as it is selected (RFC 9535, section 2.1.2).
    pub(crate) fn count(&self) -> Result<u64, Unclear> {
        let mut times = self.0.iter().map(|(_, times)| u64::from(*times));
        times.try_fold(0u64, u64::checked_add).ok_or(Unclear)
    }

    /// The node, if there is one and it is selected in one way.
    pub(crate) fn only(&self) -> Option<Node> {
        match self.0.as_slice() {
            [(only, 1)] => Some(*only),
            _ => None,
        }
    }

    /// In the order of the document, each node once.
    fn gathered(mut nodes: Vec<(Node, u32)>) -> Result<Self, Unclear> {
        nodes.sort_unstable_by_key(|(node, _)| node.start);
        let mut is_countable = true;
        nodes.dedup_by(|(one, times), (other, all)| {
            let is_same = one.start == other.start;
            if is_same {
                match all.checked_add(*times) {
                    Some(sum) => *all = sum,
                    None => is_countable = false,
                }
            }
            is_same
        });
        if is_countable { Ok(Self(nodes)) } else { Err(Unclear) }
    }
}

/// Who answers, and what that has cost.
struct Judge<'a, 'b> {
    document: Option<&'b Document>,
    inquiry: &'a mut Inquiry,
    patterns: &'a mut Patterns,
    kept: &'a mut dyn Kept,
}

/// What is compared.
enum Value<'e, 'b> {
    Nothing,
    Literal(&'e Literal),
    Number(Number),
    Node(Spot<'b>),
}

/// A value as far as it is a scalar.
enum Scalar<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
}

impl<'b> Judge<'_, 'b> {
    fn expression(&mut self, asked: &Expression, current: Spot<'b>) -> Result<bool, Unclear> {
        self.inquiry.spend(1)?;
        match asked {
            // Whatever comes first may decide; but for what is unclear, it does not matter which.
            Expression::Or(all) => self.first(all, current, true),
            Expression::And(all) => self.first(all, current, false),
            Expression::Not(inner) => Ok(!self.expression(inner, current)?),
            Expression::Compare(left, comparison, right) => {
                let (one, other) = (self.operand(left, current)?, self.operand(right, current)?);
                self.note_containers((left, &one), (right, &other))?;
                if left.is_place() && right.is_place() {
                    self.needs(left, &one)?;
                    self.needs(right, &other)?;
                }
                compare(&one, *comparison, &other, self.inquiry)
            }
            Expression::Exists(query) => Ok(self.count(query, current)? > 0),
            Expression::Matches { whole, text, pattern } => {
                let Some(text) = self.string(text, current)? else { return Ok(false) };
                self.matches(&text, *whole, pattern, current)
            }
        }
    }

    /// Whether a text matches a pattern.
    fn matches(
        &mut self,
        text: &str,
        whole: bool,
        pattern: &Pattern,
        current: Spot<'b>,
    ) -> Result<bool, Unclear> {
        let bytes = text.len() as u64;
        match pattern {
            Pattern::Written(_, regex) => {
                self.inquiry.spend(bytes)?;
                Ok(regex.is_match(text))
            }
            Pattern::Of(operand) => {
                self.inquiry.spend(bytes.saturating_mul(MATCH_STEPS_PER_BYTE))?;
                if let Some(query) = operand.in_document() {
                    let pattern = self.document()?.pattern(query, whole)?;
                    return Ok(pattern.is_some_and(|regex| regex.is_match(text)));
                }
                let Some(pattern) = self.string(operand, current)? else { return Ok(false) };
                let pattern = self.patterns.get(&pattern, whole, self.inquiry)?;
                Ok(pattern.is_some_and(|regex| regex.is_match(text)))
            }
        }
    }

    /// Whether one of these is `wanted`; if not, the opposite, unless one of them is unclear.
    fn first(
        &mut self,
        all: &[Expression],
        current: Spot<'b>,
        wanted: bool,
    ) -> Result<bool, Unclear> {
        let mut unclear = false;
        for one in all {
            match self.expression(one, current) {
                Ok(holds) if holds == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(Unclear) => unclear = true,
            }
        }
        if unclear { Err(Unclear) } else { Ok(!wanted) }
    }

    fn operand<'e>(
        &mut self,
        operand: &'e Operand,
        current: Spot<'b>,
    ) -> Result<Value<'e, 'b>, Unclear> {
        match operand {
            Operand::Literal(literal) => Ok(Value::Literal(literal)),
            Operand::Node(query) | Operand::Value(query) => {
                Ok(self.only(query, current)?.map_or(Value::Nothing, Value::Node))
            }
            Operand::Count(query) => Ok(Value::Number(Number::of(self.count(query, current)?))),
            Operand::Length(operand) => {
                let length = if let Some(query) = operand.in_document() {
                    let document = self.document()?;
                    let only = document.only(query)?.map_or(Value::Nothing, Value::Node);
                    self.needs(operand, &only)?;
                    document.length(query)?
                } else {
                    let value = self.operand(operand, current)?;
                    self.needs(operand, &value)?;
                    match value {
                        Value::Literal(Literal::String(text)) => Some(text.chars().count() as u64),
                        Value::Node(spot) => spot.length(self.inquiry)?,
                        Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
                        | Value::Number(_)
                        | Value::Nothing => None,
                    }
                };
                Ok(length.map_or(Value::Nothing, |length| Value::Number(Number::of(length))))
            }
        }
    }

    /// An answer depends on all that is in this value: unclear if that does not all leave as it is.
    fn needs(&mut self, operand: &Operand, value: &Value<'_, 'b>) -> Result<(), Unclear> {
        match value {
            Value::Node(spot) if spot.is_container() => {
                let in_document = operand.in_document().is_some();
                let kept = self.kept.is_kept(*spot, in_document, self.inquiry)?;
                if kept { Ok(()) } else { Err(Unclear) }
            }
            Value::Node(_) | Value::Nothing | Value::Literal(_) | Value::Number(_) => Ok(()),
        }
    }

    /// The document, which has to be there.
    fn document(&self) -> Result<&'b Document, Unclear> {
        self.document.ok_or(Unclear)
    }

    /// Notes what of the document is gone through to compare containers.
    fn note_containers(
        &self,
        (left, one): (&Operand, &Value<'_, 'b>),
        (right, other): (&Operand, &Value<'_, 'b>),
    ) -> Result<(), Unclear> {
        let (Value::Node(one), Value::Node(other)) = (one, other) else { return Ok(()) };
        if one.is_container() && other.is_container() {
            for (operand, spot) in [(left, one), (right, other)] {
                if operand.in_document().is_some() {
                    self.document()?.compare(spot.text().len())?;
                }
            }
        }
        Ok(())
    }

    /// How many nodes a query selects.
    fn count(&mut self, query: &Query, current: Spot<'b>) -> Result<u64, Unclear> {
        if query.from_root {
            self.document()?.count(query)
        } else {
            self.select(query, current)?.count()
        }
    }

    /// The node that a query selects, if it selects one.
    fn only(&mut self, query: &Query, current: Spot<'b>) -> Result<Option<Spot<'b>>, Unclear> {
        if query.from_root {
            return self.document()?.only(query);
        }
        let only = self.select(query, current)?.only();
        Ok(only.map(|node| Spot { node, ..current }))
    }

    fn string(
        &mut self,
        operand: &Operand,
        current: Spot<'b>,
    ) -> Result<Option<Cow<'b, str>>, Unclear> {
        match self.operand(operand, current)? {
            Value::Literal(Literal::String(string)) => Ok(Some(Cow::Owned(string.clone()))),
            Value::Node(spot) => {
                self.inquiry.spend(if spot.is_container() {
                    1
                } else {
                    spot.text().len() as u64
                })?;
                spot.string()
            }
            Value::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
            | Value::Number(_)
            | Value::Nothing => Ok(None),
        }
    }

    /// What a query selects from a node on.
    fn select(&mut self, query: &Query, from: Spot<'b>) -> Result<Selection, Unclear> {
        let mut selected = Selection(vec![(from.node, 1)]);
        for segment in &query.segments {
            let mut next = Vec::new();
            if segment.descendant {
                self.descend(segment, from.of, &selected, &mut next)?;
            } else {
                for (node, times) in selected.0 {
                    self.step(segment, Spot { node, ..from }, times, &mut next)?;
                }
            }
            self.inquiry.spend(next.len() as u64)?;
            selected = Selection::gathered(next)?;
        }
        Ok(selected)
    }

    /// A step from these nodes, and from all below them, to children.
    fn descend(
        &mut self,
        segment: &Segment,
        of: Outlined<'b>,
        from: &Selection,
        into: &mut Vec<(Node, u32)>,
    ) -> Result<(), Unclear> {
        // The containers around the current one, by where those behind each begin, and in how many ways the
        // children of each are reached.
        let mut around: Vec<(u32, u32)> = Vec::new();
        let mut from = from.0.iter().peekable();
        while let Some(&&(outermost, _)) = from.peek() {
            if !outermost.is_container() {
                from.next();
                continue;
            }
            for (node, behind) in of.containers(outermost) {
                self.inquiry.spend(1)?;
                while around.last().is_some_and(|(end, _)| *end <= node.place()) {
                    around.pop();
                }
                let mut times = around.last().map_or(0, |(_, times)| *times);
                // Those before it that are no containers have no children.
                while let Some((one, more)) = from.next_if(|(one, _)| one.start <= node.start) {
                    if one.start == node.start {
                        times = times.checked_add(*more).ok_or(Unclear)?;
                    }
                }
                around.push((behind, times));
                self.step(segment, Spot { of, node }, times, into)?;
                // What stands twice below makes it unclear what is there.
                each_child(Spot { of, node }, self.inquiry, |_| {})?;
            }
            around.clear();
        }
        Ok(())
    }

    /// A step from a node, which is reached in so many ways, to children.
    fn step(
        &mut self,
        segment: &Segment,
        spot: Spot<'b>,
        times: u32,
        into: &mut Vec<(Node, u32)>,
    ) -> Result<(), Unclear> {
        for selector in &segment.selectors {
            self.choose(selector, spot, times, into)?;
        }
        Ok(())
    }

    fn choose(
        &mut self,
        selector: &Selector,
        spot: Spot<'b>,
        times: u32,
        into: &mut Vec<(Node, u32)>,
    ) -> Result<(), Unclear> {
        self.inquiry.spend(1)?;
        match selector {
            Selector::Name(name) => {
                let member = self.member(spot, name)?;
                into.extend(member.map(|node| (node, times)));
            }
            Selector::Wildcard => {
                each_child(spot, self.inquiry, |node| into.push((node, times)))?;
            }
            Selector::Index(_) | Selector::Slice { .. } => {
                if spot.of.is_array(spot.node) {
                    let chosen = selector.choice(count_children(spot, self.inquiry)?);
                    let mut index = 0;
                    each_child(spot, self.inquiry, |node| {
                        if chosen(index) {
                            into.push((node, times));
                        }
                        index += 1;
                    })?;
                }
            }
            Selector::Filter(filter) => {
                let mut children = Vec::new();
                each_child(spot, self.inquiry, |node| children.push(node))?;
                for node in children {
                    if self.holds_within(filter, Spot { node, ..spot })? {
                        into.push((node, times));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a filter in a query holds for a node: of each node this is found out once.
    fn holds_within(&mut self, filter: &Filter, spot: Spot<'b>) -> Result<bool, Unclear> {
        let expression = filter.expression();
        let key = (std::ptr::from_ref(expression).addr(), spot.node.start);
        if let Some(known) = self.inquiry.answers.get(&key) {
            return *known;
        }
        let holds = self.expression(expression, spot);
        if self.inquiry.answers.len() < self.inquiry.answers_max {
            self.inquiry.answers.insert(key, holds);
        }
        holds
    }

    /// The member of this name.
    fn member(&mut self, spot: Spot<'b>, wanted: &str) -> Result<Option<Node>, Unclear> {
        if !spot.of.is_object(spot.node) {
            return Ok(None);
        }
        let mut found = None;
        for child in spot.of.children(spot.node) {
            let Child { name, node, looked_at } = child?;
            self.inquiry.spend(looked_at as u64)?;
            if is_named(name, wanted) && found.replace(node).is_some() {
                return Err(Unclear);
            }
        }
        Ok(found)
    }
}

/// Whether a name, as it is written, is this one.
fn is_named(quoted: &[u8], wanted: &str) -> bool {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    match inner {
        Some(inner) if !inner.contains(&b'\\') => inner == wanted.as_bytes(),
        Some(_) | None => text(quoted).is_ok_and(|name| name == wanted),
    }
}

/// Section 2.3.5.2.2.
fn compare(
    left: &Value<'_, '_>,
    comparison: Comparison,
    right: &Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<bool, Unclear> {
    let less = |one: &Value<'_, '_>, other: &Value<'_, '_>, inquiry: &mut Inquiry| {
        match (one, other) {
            (Value::Nothing, _) | (_, Value::Nothing) => return Ok(false),
            // None is less, and nobody can say so of what nobody can judge.
            (Value::Node(one), Value::Node(other))
                if one.is_container() && other.is_container() =>
            {
                return same(*one, *other, inquiry).map(|_equal| false);
            }
            _ => {}
        }
        Ok(match (scalar(one, inquiry)?, scalar(other, inquiry)?) {
            (Some(Scalar::Number(one)), Some(Scalar::Number(other))) => one < other,
            // Strings order by their Unicode scalars, as their UTF-8 does.
            (Some(Scalar::String(one)), Some(Scalar::String(other))) => {
                one.cmp(&other) == Ordering::Less
            }
            _ => false,
        })
    };
    match comparison {
        Comparison::Equal => equal(left, right, inquiry),
        Comparison::NotEqual => Ok(!equal(left, right, inquiry)?),
        Comparison::Less => less(left, right, inquiry),
        Comparison::Greater => less(right, left, inquiry),
        Comparison::LessOrEqual => Ok(less(left, right, inquiry)? || equal(left, right, inquiry)?),
        Comparison::GreaterOrEqual => {
            Ok(less(right, left, inquiry)? || equal(left, right, inquiry)?)
        }
    }
}

fn equal(
    left: &Value<'_, '_>,
    right: &Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<bool, Unclear> {
    match (left, right) {
        (Value::Nothing, Value::Nothing) => Ok(true),
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(false),
        (Value::Node(left), Value::Node(right)) => same(*left, *right, inquiry),
        (left, right) => Ok(match (scalar(left, inquiry)?, scalar(right, inquiry)?) {
            (Some(left), Some(right)) => same_scalar(&left, &right),
            (None, _) | (_, None) => false,
        }),
    }
}

/// Whether a scalar as it is written, empty brackets for a container, or nothing, compares with a literal
/// like this; `swapped` if the literal comes first.
pub(crate) fn compares(
    written: Option<&[u8]>,
    comparison: Comparison,
    literal: &Literal,
    swapped: bool,
) -> Result<bool, Unclear> {
    let bytes = written.map_or(0, <[u8]>::len);
    let mut inquiry = Inquiry::new(bytes, usize::MAX);
    let outline = Outline::of(written.unwrap_or_default(), 1)?;
    let value = match written {
        Some(written) => Value::Node(Spot::root(Outlined::new(written, 0, &outline))?),
        None => Value::Nothing,
    };
    let literal = Value::Literal(literal);
    if swapped {
        compare(&literal, comparison, &value, &mut inquiry)
    } else {
        compare(&value, comparison, &literal, &mut inquiry)
    }
}

fn scalar<'t>(
    value: &'t Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<Option<Scalar<'t>>, Unclear> {
    match value {
        Value::Nothing => Ok(None),
        Value::Number(number) => Ok(Some(Scalar::Number(number.clone()))),
        Value::Literal(literal) => Ok(Some(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(bool) => Scalar::Bool(*bool),
            Literal::Number(number) => Scalar::Number(number.clone()),
            Literal::String(string) => Scalar::String(Cow::Borrowed(string)),
        })),
        Value::Node(spot) => scalar_at(*spot, inquiry),
    }
}

fn scalar_at<'b>(spot: Spot<'b>, inquiry: &mut Inquiry) -> Result<Option<Scalar<'b>>, Unclear> {
    if spot.is_container() {
        return Ok(None);
    }
    let written = spot.text();
    inquiry.spend(written.len() as u64)?;
    Ok(match kind(written) {
        Kind::Null => Some(Scalar::Null),
        Kind::Bool(bool) => Some(Scalar::Bool(bool)),
        Kind::Number => {
            let number = str::from_utf8(written).ok().and_then(Number::read);
            Some(Scalar::Number(number.ok_or(Unclear)?))
        }
        Kind::String => Some(Scalar::String(text(written)?)),
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

/// Pairs of children that have to be equal.
type Pairs<'b> = Box<dyn Iterator<Item = Result<(Spot<'b>, Spot<'b>), Unclear>> + 'b>;

/// Whether two nodes are equal, with all that is below them. All pairs are looked at, whatever the first
/// ones say: what nobody can say of one of them nobody can say of the whole.
fn same<'b>(one: Spot<'b>, other: Spot<'b>, inquiry: &mut Inquiry) -> Result<bool, Unclear> {
    let mut same = true;
    // The containers around the next pair, no more than an outline nests.
    let mut around: Vec<Pairs<'b>> = vec![Box::new(std::iter::once(Ok((one, other))))];
    while let Some(pairs) = around.last_mut() {
        let Some(pair) = pairs.next() else {
            around.pop();
            continue;
        };
        let (one, other) = pair?;
        inquiry.spend(1)?;
        if one.is_container() && other.is_container() {
            match pairs_of(one, other, inquiry)? {
                Some(below) => around.push(below),
                None => same = false,
            }
            continue;
        }
        same &= match (scalar_at(one, inquiry)?, scalar_at(other, inquiry)?) {
            (Some(one), Some(other)) => same_scalar(&one, &other),
            (None, _) | (_, None) => false,
        };
    }
    Ok(same)
}

/// The pairs of children of two containers; none if they cannot be equal.
fn pairs_of<'b>(
    one: Spot<'b>,
    other: Spot<'b>,
    inquiry: &mut Inquiry,
) -> Result<Option<Pairs<'b>>, Unclear> {
    let at = move |node, with| (Spot { node, ..one }, Spot { node: with, ..other });
    match (one.of.is_object(one.node), other.of.is_object(other.node)) {
        (true, true) => {
            let (ones, others) = (members(one, inquiry)?, members(other, inquiry)?);
            if !ones.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name)) {
                return Ok(None);
            }
            let pairs = ones.into_iter().zip(others);
            Ok(Some(Box::new(pairs.map(move |(one, other)| Ok(at(one.1, other.1))))))
        }
        (false, false) => {
            if count_children(one, inquiry)? != count_children(other, inquiry)? {
                return Ok(None);
            }
            let pairs = one.of.children(one.node).zip(other.of.children(other.node));
            Ok(Some(Box::new(pairs.map(move |(one, other)| Ok(at(one?.node, other?.node))))))
        }
        (true, false) | (false, true) => Ok(None),
    }
}
