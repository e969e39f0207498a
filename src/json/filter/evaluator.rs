//! Whether a filter holds for a value that is there as a whole (RFC 9535, section 2.3.5).
//!
//! The answer is exact, or there is none: numbers compare by their value, and where two readers of
//! the same bytes could see two things (a name that stands twice, half a surrogate pair, a number
//! beyond what a double holds), nobody can say what the filter would select.
//!
//! A query is carried out one segment at a time, on all nodes that the segments before it selected.
//! A node that was selected several ways is kept once, with the number of ways: so `..a..a` looks
//! at each byte once per segment, however deep the value is nested. The only recursion is over the
//! filter, which [`Path::parse`](crate::path::Path::parse) limits.

use std::borrow::Cow;

use crate::{
    json::filter::{
        compare::{Comparand, compare},
        document::Document,
        evaluation::Evaluation,
        intact::IntactCheck,
        outline::{Indeterminate, Node, Outlined},
        patterns::{MATCH_STEPS_PER_BYTE, Patterns},
        value::{ValueRef, count_children, each_child, text},
    },
    path::{Expression, Filter, Literal, Number, Operand, Pattern, Query, Segment, Selector},
};

/// Whether a filter holds for a value; `document` is what it stands in, where the filter asks about
/// that.
pub(crate) fn holds(
    filter: &Filter,
    current: ValueRef<'_>,
    document: Option<&Document>,
    evaluation: &mut Evaluation,
    patterns: &mut Patterns,
    intact: &mut dyn IntactCheck,
) -> Result<bool, Indeterminate> {
    Evaluator { document, evaluation, patterns, intact }.expression(filter.expression(), current)
}

/// The nodes that a query selects which begins at a node of a document.
pub(crate) fn select(
    query: &Query,
    root: ValueRef<'_>,
    document: &Document,
    evaluation: &mut Evaluation,
    patterns: &mut Patterns,
    intact: &mut dyn IntactCheck,
) -> Result<Selection, Indeterminate> {
    Evaluator { document: Some(document), evaluation, patterns, intact }.select(query, root)
}

/// What a query selects: each node once, with the number of ways in which it is selected.
#[derive(Debug)]
pub(crate) struct Selection(Vec<(Node, u32)>);

impl Selection {
    /// How many nodes that are, each as often as it is selected (RFC 9535, section 2.1.2).
    pub(crate) fn count(&self) -> Result<u64, Indeterminate> {
        let mut times = self.0.iter().map(|(_, times)| u64::from(*times));
        times.try_fold(0u64, u64::checked_add).ok_or(Indeterminate)
    }

    /// The node, if there is one and it is selected in one way.
    pub(crate) fn only(&self) -> Option<Node> {
        match self.0.as_slice() {
            [(only, 1)] => Some(*only),
            _ => None,
        }
    }

    /// In the order of the document, each node once.
    fn gathered(mut nodes: Vec<(Node, u32)>) -> Result<Self, Indeterminate> {
        nodes.sort_unstable_by_key(|(node, _)| node.start());
        let mut is_countable = true;
        nodes.dedup_by(|(one, times), (other, all)| {
            let is_same = one.start() == other.start();
            if is_same {
                match all.checked_add(*times) {
                    Some(sum) => *all = sum,
                    None => is_countable = false,
                }
            }
            is_same
        });
        if is_countable { Ok(Self(nodes)) } else { Err(Indeterminate) }
    }
}

/// Who answers, and what that has cost.
struct Evaluator<'a, 'b> {
    document: Option<&'b Document>,
    evaluation: &'a mut Evaluation,
    patterns: &'a mut Patterns,
    intact: &'a mut dyn IntactCheck,
}

impl<'b> Evaluator<'_, 'b> {
    fn expression(
        &mut self,
        asked: &Expression,
        current: ValueRef<'b>,
    ) -> Result<bool, Indeterminate> {
        self.evaluation.spend(1)?;
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
                compare(&one, *comparison, &other, self.evaluation)
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
        current: ValueRef<'b>,
    ) -> Result<bool, Indeterminate> {
        let bytes = text.len() as u64;
        match pattern {
            Pattern::Written(_, regex) => {
                self.evaluation.spend(bytes)?;
                Ok(regex.is_match(text))
            }
            Pattern::Of(operand) => {
                self.evaluation.spend(bytes.saturating_mul(MATCH_STEPS_PER_BYTE))?;
                if let Some(query) = operand.in_document() {
                    let pattern = self.document()?.pattern(query, whole)?;
                    return Ok(pattern.is_some_and(|regex| regex.is_match(text)));
                }
                let Some(pattern) = self.string(operand, current)? else { return Ok(false) };
                let pattern = self.patterns.get(&pattern, whole, self.evaluation)?;
                Ok(pattern.is_some_and(|regex| regex.is_match(text)))
            }
        }
    }

    /// Whether one of these is `wanted`; if not, the opposite, unless one of them is unclear.
    fn first(
        &mut self,
        all: &[Expression],
        current: ValueRef<'b>,
        wanted: bool,
    ) -> Result<bool, Indeterminate> {
        let mut unclear = false;
        for one in all {
            match self.expression(one, current) {
                Ok(holds) if holds == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(Indeterminate) => unclear = true,
            }
        }
        if unclear { Err(Indeterminate) } else { Ok(!wanted) }
    }

    fn operand<'e>(
        &mut self,
        operand: &'e Operand,
        current: ValueRef<'b>,
    ) -> Result<Comparand<'e, 'b>, Indeterminate> {
        match operand {
            Operand::Literal(literal) => Ok(Comparand::Literal(literal)),
            Operand::Node(query) | Operand::Value(query) => {
                Ok(self.only(query, current)?.map_or(Comparand::Nothing, Comparand::Node))
            }
            Operand::Count(query) => Ok(Comparand::Number(Number::of(self.count(query, current)?))),
            Operand::Length(operand) => {
                let length = if let Some(query) = operand.in_document() {
                    let document = self.document()?;
                    let only = document.only(query)?.map_or(Comparand::Nothing, Comparand::Node);
                    self.needs(operand, &only)?;
                    document.length(query)?
                } else {
                    let value = self.operand(operand, current)?;
                    self.needs(operand, &value)?;
                    match value {
                        Comparand::Literal(Literal::String(text)) => {
                            Some(text.chars().count() as u64)
                        }
                        Comparand::Node(value) => value.length(self.evaluation)?,
                        Comparand::Literal(
                            Literal::Null | Literal::Bool(_) | Literal::Number(_),
                        )
                        | Comparand::Number(_)
                        | Comparand::Nothing => None,
                    }
                };
                Ok(length
                    .map_or(Comparand::Nothing, |length| Comparand::Number(Number::of(length))))
            }
        }
    }

    /// An answer depends on all that is in this value: unclear if that does not all leave as it is.
    fn needs(&mut self, operand: &Operand, value: &Comparand<'_, 'b>) -> Result<(), Indeterminate> {
        match value {
            Comparand::Node(value) if value.is_container() => {
                let in_document = operand.in_document().is_some();
                let intact = self.intact.is_intact(*value, in_document, self.evaluation)?;
                if intact { Ok(()) } else { Err(Indeterminate) }
            }
            Comparand::Node(_)
            | Comparand::Nothing
            | Comparand::Literal(_)
            | Comparand::Number(_) => Ok(()),
        }
    }

    /// The document, which has to be there.
    fn document(&self) -> Result<&'b Document, Indeterminate> {
        self.document.ok_or(Indeterminate)
    }

    /// Notes what of the document is gone through to compare containers.
    fn note_containers(
        &self,
        (left, one): (&Operand, &Comparand<'_, 'b>),
        (right, other): (&Operand, &Comparand<'_, 'b>),
    ) -> Result<(), Indeterminate> {
        let (Comparand::Node(one), Comparand::Node(other)) = (one, other) else { return Ok(()) };
        if one.is_container() && other.is_container() {
            for (operand, value) in [(left, one), (right, other)] {
                if operand.in_document().is_some() {
                    self.document()?.compare(value.text().len())?;
                }
            }
        }
        Ok(())
    }

    /// How many nodes a query selects.
    fn count(&mut self, query: &Query, current: ValueRef<'b>) -> Result<u64, Indeterminate> {
        if query.from_root {
            self.document()?.count(query)
        } else {
            self.select(query, current)?.count()
        }
    }

    /// The node that a query selects, if it selects one.
    fn only(
        &mut self,
        query: &Query,
        current: ValueRef<'b>,
    ) -> Result<Option<ValueRef<'b>>, Indeterminate> {
        if query.from_root {
            return self.document()?.only(query);
        }
        let only = self.select(query, current)?.only();
        Ok(only.map(|node| current.at(node)))
    }

    fn string(
        &mut self,
        operand: &Operand,
        current: ValueRef<'b>,
    ) -> Result<Option<Cow<'b, str>>, Indeterminate> {
        match self.operand(operand, current)? {
            Comparand::Literal(Literal::String(string)) => Ok(Some(Cow::Owned(string.clone()))),
            Comparand::Node(value) => {
                self.evaluation.spend(if value.is_container() {
                    1
                } else {
                    value.text().len() as u64
                })?;
                value.string()
            }
            Comparand::Literal(Literal::Null | Literal::Bool(_) | Literal::Number(_))
            | Comparand::Number(_)
            | Comparand::Nothing => Ok(None),
        }
    }

    /// What a query selects from a node on.
    fn select(&mut self, query: &Query, from: ValueRef<'b>) -> Result<Selection, Indeterminate> {
        let mut selected = Selection(vec![(from.node(), 1)]);
        for segment in &query.segments {
            let mut next = Vec::new();
            if segment.descendant {
                self.descend(segment, from.outlined(), &selected, &mut next)?;
            } else {
                for (node, times) in selected.0 {
                    self.step(segment, from.at(node), times, &mut next)?;
                }
            }
            self.evaluation.spend(next.len() as u64)?;
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
    ) -> Result<(), Indeterminate> {
        // The containers around the current one, by where those behind each begin, and in how many
        // ways the children of each are reached.
        let mut around: Vec<(u32, u32)> = Vec::new();
        let mut from = from.0.iter().peekable();
        while let Some(&&(outermost, _)) = from.peek() {
            if !outermost.is_container() {
                from.next();
                continue;
            }
            for (node, behind) in of.containers(outermost) {
                self.evaluation.spend(1)?;
                while around.last().is_some_and(|(end, _)| *end <= node.place()) {
                    around.pop();
                }
                let mut times = around.last().map_or(0, |(_, times)| *times);
                // Those before it that are no containers have no children.
                while let Some((one, more)) = from.next_if(|(one, _)| one.start() <= node.start()) {
                    if one.start() == node.start() {
                        times = times.checked_add(*more).ok_or(Indeterminate)?;
                    }
                }
                around.push((behind, times));
                self.step(segment, ValueRef::new(of, node), times, into)?;
                // What stands twice below makes it unclear what is there.
                each_child(ValueRef::new(of, node), self.evaluation, |_| {})?;
            }
            around.clear();
        }
        Ok(())
    }

    /// A step from a node, which is reached in so many ways, to children.
    fn step(
        &mut self,
        segment: &Segment,
        value: ValueRef<'b>,
        times: u32,
        into: &mut Vec<(Node, u32)>,
    ) -> Result<(), Indeterminate> {
        for selector in &segment.selectors {
            self.choose(selector, value, times, into)?;
        }
        Ok(())
    }

    fn choose(
        &mut self,
        selector: &Selector,
        value: ValueRef<'b>,
        times: u32,
        into: &mut Vec<(Node, u32)>,
    ) -> Result<(), Indeterminate> {
        self.evaluation.spend(1)?;
        match selector {
            Selector::Name(name) => {
                let member = self.member(value, name)?;
                into.extend(member.map(|node| (node, times)));
            }
            Selector::Wildcard => {
                each_child(value, self.evaluation, |node| into.push((node, times)))?;
            }
            Selector::Index(_) | Selector::Slice { .. } => {
                if value.is_array() {
                    let chosen = selector.choice(count_children(value, self.evaluation)?);
                    let mut index = 0;
                    each_child(value, self.evaluation, |node| {
                        if chosen(index) {
                            into.push((node, times));
                        }
                        index += 1;
                    })?;
                }
            }
            Selector::Filter(filter) => {
                let mut children = Vec::new();
                each_child(value, self.evaluation, |node| children.push(node))?;
                for node in children {
                    if self.holds_within(filter, value.at(node))? {
                        into.push((node, times));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a filter in a query holds for a node: of each node this is found out once.
    fn holds_within(
        &mut self,
        filter: &Filter,
        value: ValueRef<'b>,
    ) -> Result<bool, Indeterminate> {
        let expression = filter.expression();
        let key = (std::ptr::from_ref(expression).addr(), value.node().start());
        if let Some(known) = self.evaluation.known_answer(key) {
            return known;
        }
        let holds = self.expression(expression, value);
        self.evaluation.note_answer(key, holds);
        holds
    }

    /// The member of this name.
    fn member(&mut self, value: ValueRef<'b>, wanted: &str) -> Result<Option<Node>, Indeterminate> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut found = None;
        for child in value.children() {
            let (name, node, looked_at) = child?.parts();
            self.evaluation.spend(looked_at as u64)?;
            if is_named(name, wanted) && found.replace(node).is_some() {
                return Err(Indeterminate);
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
