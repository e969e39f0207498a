//! Filters answered while their node streams in: what they compare with literals is noted as it goes by,
//! and as soon as that is enough, nobody has to wait for the rest.
//!
//! Only filters of comparisons of `@.name[0]..` with literals, and of tests whether there is such a
//! node, are answered here. Whatever is not clear at once waits for the whole node.

use crate::{
    json::judge::{self, Node},
    path::{Answers, Comparison, Expression, Filter, Literal, Operand, Query, Selector},
};

/// Longest name or value, as it stands in the document, that is noted.
const NOTED_BYTES_MAX: usize = 4 << 10;

/// Most places that the filters of one node may ask about.
const PLACES_MAX: usize = 256;

/// Follows one node, from its first byte on.
#[derive(Debug)]
pub(crate) struct Scout {
    questions: Vec<Question>,
    places: Vec<Place>,
    /// The containers around the next token that are on the way to a place, the innermost last.
    levels: Vec<Level>,
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
}

/// A place that filters ask about, or one on the way to it.
#[derive(Debug)]
struct Place {
    steps: Vec<(Step, usize)>,
    known: Known,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(u64),
}

#[derive(Debug)]
enum Known {
    Nothing,
    /// It is being read.
    Begun,
    /// There is none.
    Absent,
    /// A scalar, or empty brackets for a container.
    Value(Vec<u8>),
}

#[derive(Debug)]
struct Level {
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

#[derive(Debug)]
enum Question {
    Any(Vec<Question>),
    All(Vec<Question>),
    Not(Box<Question>),
    Exists(usize),
    Compare { place: usize, comparison: Comparison, literal: Literal, swapped: bool },
}

impl Scout {
    /// A scout for these filters; none if they ask for more than one can see going by.
    pub(crate) fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Option<Self> {
        let mut places = vec![Place { steps: Vec::new(), known: Known::Nothing }];
        let mut questions = Vec::new();
        for filter in filters {
            questions.push(question(filter.expression(), &mut places)?);
        }
        Some(Self {
            questions,
            places,
            levels: Vec::new(),
            beside: 0,
            token: Token::None,
            noted: Vec::new(),
            next: Some(0),
            ended: false,
            twice: false,
            lost: false,
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

    /// The answers, if they are known.
    pub(crate) fn answers(&self) -> Option<Answers> {
        if self.lost || self.twice {
            return None;
        }
        let answers = self.questions.iter().map(|question| self.holds(question));
        Answers::of(answers.collect::<Option<Vec<bool>>>()?)
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
        let Some(place) = self.next.filter(|_| self.beside == 0) else { return false };
        let Some(place) = self.places.get_mut(place) else { return false };
        match place.known {
            Known::Nothing => place.known = Known::Begun,
            Known::Begun | Known::Absent | Known::Value(_) => self.twice = true,
        }
        true
    }

    fn string_ends(&mut self, noted: bool) -> bool {
        let in_object = self.levels.last_mut().filter(|level| self.beside == 0 && level.name);
        let Some(level) = in_object else { return self.value_ends(noted) };
        level.name = false;
        let place = level.place;
        let name: Option<String> = serde_json::from_slice(&self.noted).ok();
        self.next = name.and_then(|name| self.step_to(place, &Step::Name(name)));
        false
    }

    fn step_to(&self, place: usize, step: &Step) -> Option<usize> {
        let place = self.places.get(place)?;
        place.steps.iter().find(|(one, _)| one == step).map(|(_, to)| *to)
    }

    /// The place of the element to come, in an array.
    fn element(&mut self) {
        let Some(level) = self.levels.last() else { return };
        if !level.is_object {
            self.next = self.step_to(level.place, &Step::Index(level.index));
        }
    }

    fn open(&mut self, is_object: bool) {
        let place = self.next.filter(|_| self.beside == 0);
        if !self.begin_value() {
            self.beside += 1;
            return;
        }
        let Some(place) = place else { return };
        if let Some(opened) = self.places.get_mut(place) {
            opened.known = Known::Value(if is_object { b"{}".into() } else { b"[]".into() });
        }
        self.levels.push(Level { place, is_object, index: 0, name: is_object });
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
            if let Some(place) = self.places.get_mut(place) {
                place.known = Known::Value(value);
            }
            self.forget(place);
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
        let steps = self.places.get(place).map_or(&[][..], |place| place.steps.as_slice());
        let others = steps.iter().filter(|(step, _)| matches!(step, Step::Name(_)) != is_object);
        let others: Vec<usize> = others.map(|(_, to)| *to).collect();
        for to in others {
            if let Some(place) = self.places.get_mut(to) {
                place.known = Known::Absent;
            }
            self.forget(to);
        }
    }

    /// What was not found below a place is not there.
    fn forget(&mut self, place: usize) {
        let mut below: Vec<usize> = vec![place];
        while let Some(place) = below.pop() {
            let Some(place) = self.places.get(place) else { continue };
            let steps: Vec<usize> = place.steps.iter().map(|(_, to)| *to).collect();
            for to in steps {
                if let Some(place) = self.places.get_mut(to)
                    && matches!(place.known, Known::Nothing)
                {
                    place.known = Known::Absent;
                    below.push(to);
                }
            }
        }
    }

    fn holds(&self, question: &Question) -> Option<bool> {
        let first = |all: &[Question], wanted: bool| {
            let mut open = false;
            for one in all {
                match self.holds(one) {
                    Some(holds) if holds == wanted => return Some(wanted),
                    Some(_) => {}
                    None => open = true,
                }
            }
            (!open).then_some(!wanted)
        };
        match question {
            Question::Any(all) => first(all, true),
            Question::All(all) => first(all, false),
            Question::Not(inner) => self.holds(inner).map(|holds| !holds),
            Question::Exists(place) => match &self.places.get(*place)?.known {
                Known::Nothing => None,
                Known::Absent => Some(false),
                Known::Begun | Known::Value(_) => Some(true),
            },
            Question::Compare { place, comparison, literal, swapped } => {
                let value = match &self.places.get(*place)?.known {
                    Known::Nothing | Known::Begun => return None,
                    Known::Absent => None,
                    Known::Value(value) => Some(Node::read(value).ok()?),
                };
                judge::compares(value, *comparison, literal, *swapped).ok()
            }
        }
    }
}

fn question(expression: &Expression, places: &mut Vec<Place>) -> Option<Question> {
    let all = |all: &[Expression], places: &mut Vec<Place>| {
        all.iter().map(|one| question(one, places)).collect::<Option<Vec<_>>>()
    };
    match expression {
        Expression::Or(any) => all(any, places).map(Question::Any),
        Expression::And(every) => all(every, places).map(Question::All),
        Expression::Not(inner) => Some(Question::Not(Box::new(question(inner, places)?))),
        Expression::Exists(query) => place(query, places).map(Question::Exists),
        Expression::Compare(Operand::Node(query), comparison, Operand::Literal(literal)) => {
            let (comparison, literal) = (*comparison, literal.clone());
            let place = place(query, places)?;
            Some(Question::Compare { place, comparison, literal, swapped: false })
        }
        Expression::Compare(Operand::Literal(literal), comparison, Operand::Node(query)) => {
            let (comparison, literal) = (*comparison, literal.clone());
            let place = place(query, places)?;
            Some(Question::Compare { place, comparison, literal, swapped: true })
        }
        Expression::Compare(..) | Expression::Matches { .. } => None,
    }
}

/// The place that a query selects, put among the others.
fn place(query: &Query, places: &mut Vec<Place>) -> Option<usize> {
    if query.from_root || !query.is_singular() {
        return None;
    }
    let mut at = 0;
    for segment in &query.segments {
        let step = match segment.selectors.first()? {
            Selector::Name(name) => Step::Name(name.clone()),
            Selector::Index(index) => Step::Index(u64::try_from(*index).ok()?),
            Selector::Wildcard | Selector::Slice { .. } | Selector::Filter(_) => return None,
        };
        let next = places.len();
        let above = places.get_mut(at)?;
        at = if let Some((_, to)) = above.steps.iter().find(|(one, _)| *one == step) {
            *to
        } else {
            above.steps.push((step, next));
            places.push(Place { steps: Vec::new(), known: Known::Nothing });
            next
        };
        if next > PLACES_MAX {
            return None;
        }
    }
    Some(at)
}
