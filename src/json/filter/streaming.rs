//! Filters answered while their node streams in: what they compare with literals is noted as it
//! goes by, and as soon as that is enough, nobody has to wait for the rest.
//!
//! Only filters of comparisons of `@.name[0]..` with literals, and of tests whether there is such a
//! node, are answered here. Whatever is not clear at once waits for the whole node.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    json::filter::compare::compares,
    path::{Answers, Comparison, Expression, Filter, Literal, Operand, Query, Selector},
};

/// Longest name or value, as it stands in the document, that is noted.
const NOTED_BYTES_MAX: usize = 4 << 10;

/// Most places that the filters of one node may ask about.
const TARGETS_MAX: usize = 256;

/// Follows one node, from its first byte on.
#[derive(Debug)]
pub(crate) struct StreamingEvaluator {
    gates: Gates,
    places: Vec<Target>,
    /// The containers around the next token that are on the way to a place, the innermost last.
    levels: Vec<OpenContainer>,
    /// How many containers deep it is in one that is not.
    beside: u64,
    token: Token,
    /// The name or value that is being read, where it matters.
    noted: Vec<u8>,
    /// The place of the value to come.
    next: Option<usize>,
    ended: bool,
    /// A place was there twice.
    twice: bool,
    /// A value was too long to be noted.
    lost: bool,
    /// How many tests have been made, and how many places found not to be there.
    steps: u64,
}

/// A place that filters ask about, or one on the way to it.
#[derive(Debug, Default)]
struct Target {
    /// The places below it.
    names: HashMap<String, usize, RandomState>,
    indices: HashMap<u64, usize, RandomState>,
    known: Known,
    /// The tests that ask about it, by their gates.
    tests: Vec<usize>,
}

impl Target {
    fn below(&self) -> impl Iterator<Item = usize> {
        self.names.values().chain(self.indices.values()).copied()
    }
}

#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    /// It is being read.
    Begun,
    /// There is none.
    Absent,
    /// A scalar, or empty brackets for a container.
    Value(Vec<u8>),
}

#[derive(Debug)]
struct OpenContainer {
    place: usize,
    is_object: bool,
    index: u64,
    /// In an object, whether the next string is a name.
    name: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    None,
    /// Whether it is noted, and whether a backslash came before.
    String {
        noted: bool,
        escaped: bool,
    },
    Primitive {
        noted: bool,
    },
}

/// What filters ask, as a circuit: each test is made once, when its place becomes known, and what
/// follows from it is passed on once.
#[derive(Debug, Default)]
struct Gates {
    all: Vec<Gate>,
    /// One for each filter.
    outputs: Vec<usize>,
    /// How many of these are not known.
    open: usize,
}

#[derive(Debug)]
struct Gate {
    kind: GateKind,
    /// The gate that this one is an input of.
    into: Option<usize>,
    value: Option<bool>,
}

#[derive(Debug)]
enum GateKind {
    /// It is `wanted` as soon as an input is, and the opposite when none of so many is left.
    First {
        wanted: bool,
        left: usize,
    },
    Not,
    Test(Test),
}

#[derive(Debug)]
enum Test {
    Exists,
    Compare { comparison: Comparison, literal: Literal, swapped: bool },
}

impl Gates {
    fn add(&mut self, kind: GateKind, into: Option<usize>) -> usize {
        self.all.push(Gate { kind, into, value: None });
        self.all.len() - 1
    }

    /// The value of a gate is known, and whatever follows from it.
    fn set(&mut self, gate: usize, value: bool) {
        let mut next = Some((gate, value));
        while let Some((at, value)) = next.take() {
            let Some(gate) = self.all.get_mut(at).filter(|gate| gate.value.is_none()) else {
                return;
            };
            gate.value = Some(value);
            let Some(into) = gate.into else {
                self.open = self.open.saturating_sub(1);
                return;
            };
            let Some(after) = self.all.get_mut(into) else { return };
            next = match &mut after.kind {
                GateKind::First { wanted, .. } if value == *wanted => Some((into, value)),
                GateKind::First { wanted, left } => {
                    *left = left.saturating_sub(1);
                    (*left == 0).then_some((into, !*wanted))
                }
                GateKind::Not => Some((into, !value)),
                GateKind::Test(_) => None,
            };
        }
    }

    fn answers(&self) -> Option<Answers> {
        if self.open > 0 {
            return None;
        }
        let values =
            self.outputs.iter().map(|gate| self.all.get(*gate).and_then(|gate| gate.value));
        Answers::of(values.collect::<Option<Vec<bool>>>()?)
    }
}

impl StreamingEvaluator {
    /// A streaming for these filters; none if they ask for more than one can see going by.
    pub(crate) fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Option<Self> {
        let mut places = vec![Target::default()];
        let mut gates = Gates::default();
        for filter in filters {
            let output = gate(filter.expression(), None, &mut gates, &mut places)?;
            gates.outputs.push(output);
        }
        gates.open = gates.outputs.len();
        Some(Self {
            gates,
            places,
            levels: Vec::new(),
            beside: 0,
            token: Token::None,
            noted: Vec::new(),
            next: Some(0),
            ended: false,
            twice: false,
            lost: false,
            steps: 0,
        })
    }

    /// Whether the node has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether something that is asked about was there twice.
    pub(crate) fn saw_twice(&self) -> bool {
        self.twice
    }

    /// How many steps it has taken, besides one for each byte.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The answers, if they are known.
    pub(crate) fn answers(&self) -> Option<Answers> {
        if self.lost || self.twice { None } else { self.gates.answers() }
    }

    /// Goes on by one byte; true if more may be known now.
    pub(crate) fn step(&mut self, byte: u8) -> bool {
        match self.token {
            Token::String { noted, escaped } => {
                if noted {
                    self.note(byte);
                }
                if escaped {
                    self.token = Token::String { noted, escaped: false };
                } else if byte == b'\\' {
                    self.token = Token::String { noted, escaped: true };
                } else if byte == b'"' {
                    self.token = Token::None;
                    return self.string_ends(noted);
                }
                return false;
            }
            Token::Primitive { noted } => {
                if !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') {
                    if noted {
                        self.note(byte);
                    }
                    return false;
                }
                self.token = Token::None;
                let known = self.value_ends(noted);
                return self.outside(byte) || known;
            }
            Token::None => {}
        }
        self.outside(byte)
    }

    /// A byte between tokens, or the first of one.
    fn outside(&mut self, byte: u8) -> bool {
        if self.ended {
            return false;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b':' => false,
            b'{' | b'[' => {
                self.open(byte == b'{');
                true
            }
            b'}' | b']' => {
                self.close();
                true
            }
            b',' => {
                if self.beside == 0
                    && let Some(level) = self.levels.last_mut()
                {
                    level.index += 1;
                    level.name = level.is_object;
                    self.element();
                }
                false
            }
            b'"' => {
                let is_name =
                    self.beside == 0 && self.levels.last().is_some_and(|level| level.name);
                let noted = is_name || self.begin_scalar();
                self.noted.clear();
                self.noted.push(byte);
                self.token = Token::String { noted, escaped: false };
                noted && !is_name
            }
            _ => {
                let noted = self.begin_scalar();
                self.noted.clear();
                self.noted.push(byte);
                self.token = Token::Primitive { noted };
                noted
            }
        }
    }

    fn note(&mut self, byte: u8) {
        if self.noted.len() < NOTED_BYTES_MAX {
            self.noted.push(byte);
        } else {
            // A name of this length is none that a path spells; a value may be what is asked about.
            self.lost |= !self.levels.last().is_some_and(|level| level.name);
        }
    }

    /// As [`begin_value`](Self::begin_value), of a scalar: there is nothing below it.
    fn begin_scalar(&mut self) -> bool {
        let matters = self.begin_value();
        if matters && let Some(place) = self.next {
            self.forget(place);
        }
        matters
    }

    /// Whether the value that begins matters.
    fn begin_value(&mut self) -> bool {
        let Some(at) = self.next.filter(|_| self.beside == 0) else { return false };
        let Some(place) = self.places.get_mut(at) else { return false };
        match place.known {
            Known::Nothing => self.learn(at, Known::Begun),
            Known::Begun | Known::Absent | Known::Value(_) => self.twice = true,
        }
        true
    }

    /// More is known of a place: makes the tests that this answers.
    fn learn(&mut self, at: usize, known: Known) {
        let Some(place) = self.places.get_mut(at) else { return };
        // Where something stands twice, nothing is answered any more.
        if self.twice {
            return;
        }
        place.known = known;
        self.steps += 1 + place.tests.len() as u64;
        for test in &place.tests {
            let Some(Gate { kind: GateKind::Test(asked), value: None, .. }) =
                self.gates.all.get(*test)
            else {
                continue;
            };
            let written = match &place.known {
                Known::Value(value) => Some(value.as_slice()),
                Known::Nothing | Known::Begun | Known::Absent => None,
            };
            let holds = match (asked, &place.known) {
                (_, Known::Nothing) | (Test::Compare { .. }, Known::Begun) => None,
                (Test::Exists, Known::Begun | Known::Value(_)) => Some(true),
                (Test::Exists, Known::Absent) => Some(false),
                (
                    Test::Compare { comparison, literal, swapped },
                    Known::Absent | Known::Value(_),
                ) => compares(written, *comparison, literal, *swapped).ok(),
            };
            if let Some(holds) = holds {
                self.gates.set(*test, holds);
            }
        }
    }

    fn string_ends(&mut self, noted: bool) -> bool {
        let in_object = self.levels.last_mut().filter(|level| self.beside == 0 && level.name);
        let Some(level) = in_object else { return self.value_ends(noted) };
        level.name = false;
        let place = level.place;
        let name: Option<String> = serde_json::from_slice(&self.noted).ok();
        let below = self.places.get(place).map(|place| &place.names);
        self.next = name.and_then(|name| below?.get(&name).copied());
        false
    }

    /// The place of the element to come, in an array.
    fn element(&mut self) {
        let Some(level) = self.levels.last().filter(|level| !level.is_object) else { return };
        let below = self.places.get(level.place).map(|place| &place.indices);
        self.next = below.and_then(|below| below.get(&level.index).copied());
    }

    fn open(&mut self, is_object: bool) {
        let place = self.next.filter(|_| self.beside == 0);
        if !self.begin_value() {
            self.beside += 1;
            return;
        }
        let Some(place) = place else { return };
        self.learn(place, Known::Value(if is_object { b"{}".into() } else { b"[]".into() }));
        self.levels.push(OpenContainer { place, is_object, index: 0, name: is_object });
        self.forget_others(place, is_object);
        self.next = None;
        self.element();
    }

    fn close(&mut self) {
        if self.beside > 0 {
            self.beside -= 1;
        } else if let Some(level) = self.levels.pop() {
            self.forget(level.place);
        }
        self.after_value();
    }

    fn value_ends(&mut self, noted: bool) -> bool {
        if noted && let Some(place) = self.next {
            let value = std::mem::take(&mut self.noted);
            self.learn(place, Known::Value(value));
        }
        self.after_value();
        noted
    }

    fn after_value(&mut self) {
        if self.beside == 0 {
            self.next = None;
            self.ended = self.levels.is_empty();
        }
    }

    /// An object has no elements, an array no members.
    fn forget_others(&mut self, place: usize, is_object: bool) {
        let Some(place) = self.places.get(place).filter(|_| !self.twice) else { return };
        let others = if is_object {
            place.indices.values().copied().collect::<Vec<usize>>()
        } else {
            place.names.values().copied().collect()
        };
        for to in others {
            self.learn(to, Known::Absent);
            self.forget(to);
        }
    }

    /// What was not found below a place is not there.
    fn forget(&mut self, place: usize) {
        let mut below: Vec<usize> = vec![place];
        while let Some(place) = below.pop() {
            let Some(place) = self.places.get(place).filter(|_| !self.twice) else { return };
            let missing: Vec<usize> = place.below().collect();
            for to in missing {
                let known = self.places.get(to).map(|place| &place.known);
                if matches!(known, Some(Known::Nothing)) {
                    self.learn(to, Known::Absent);
                    below.push(to);
                }
            }
        }
    }
}

/// The gate of an expression, which is an input of another one or an output.
fn gate(
    expression: &Expression,
    into: Option<usize>,
    gates: &mut Gates,
    places: &mut Vec<Target>,
) -> Option<usize> {
    let (inputs, wanted) = match expression {
        Expression::Or(any) => (any.as_slice(), true),
        Expression::And(every) => (every.as_slice(), false),
        Expression::Not(inner) => {
            let not = gates.add(GateKind::Not, into);
            gate(inner, Some(not), gates, places)?;
            return Some(not);
        }
        Expression::Exists(query) => return test(query, Test::Exists, into, gates, places),
        Expression::Compare(Operand::Node(query), comparison, Operand::Literal(literal)) => {
            let (comparison, literal) = (*comparison, literal.clone());
            let compare = Test::Compare { comparison, literal, swapped: false };
            return test(query, compare, into, gates, places);
        }
        Expression::Compare(Operand::Literal(literal), comparison, Operand::Node(query)) => {
            let (comparison, literal) = (*comparison, literal.clone());
            let compare = Test::Compare { comparison, literal, swapped: true };
            return test(query, compare, into, gates, places);
        }
        Expression::Compare(..) | Expression::Matches { .. } => return None,
    };
    let first = gates.add(GateKind::First { wanted, left: inputs.len() }, into);
    for input in inputs {
        gate(input, Some(first), gates, places)?;
    }
    Some(first)
}

/// The gate of a test of a place.
fn test(
    query: &Query,
    asked: Test,
    into: Option<usize>,
    gates: &mut Gates,
    places: &mut Vec<Target>,
) -> Option<usize> {
    let place = place(query, places)?;
    let test = gates.add(GateKind::Test(asked), into);
    places.get_mut(place)?.tests.push(test);
    Some(test)
}

/// The place that a query selects, put among the others.
fn place(query: &Query, places: &mut Vec<Target>) -> Option<usize> {
    if query.from_root || !query.is_singular() {
        return None;
    }
    let mut at = 0;
    for segment in &query.segments {
        let next = places.len();
        let above = places.get_mut(at)?;
        at = match segment.selectors.first()? {
            Selector::Name(name) => *above.names.entry(name.clone()).or_insert(next),
            Selector::Index(index) => {
                *above.indices.entry(u64::try_from(*index).ok()?).or_insert(next)
            }
            Selector::Wildcard | Selector::Slice { .. } | Selector::Filter(_) => return None,
        };
        if at == next {
            places.push(Target::default());
        }
        if next > TARGETS_MAX {
            return None;
        }
    }
    Some(at)
}
