//! What stands between a node and its state: questions, their answers, and where each combination leads.

use std::{
    collections::{BTreeSet, HashMap},
    slice,
    sync::Arc,
};

use crate::path::{
    Comparison, Expression, Filter, Literal, Operand, Path, Query, Segment, Selector,
    from_end::{Elements, FromEnd},
    state::{PathId, Position, ProgramError, State},
};

/// Most questions at one place: each answer is a bit of a number that is copied and compared as one.
const QUESTIONS_MAX: usize = 128;

/// Most combinations of what the filters at one place ask about that are looked at.
///
/// Every independent fact doubles them: twelve are as many as this. For each combination there is a
/// state, so that more would make a policy take minutes to load; such paths are refused instead.
const COMBINATIONS_MAX: usize = 1 << 12;

/// A filter of some path of a program; two that print the same are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(u32);

impl FilterId {
    /// Its place among the filters of the program.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What has to be known of a node before it is known what it has matched.
#[derive(Clone, Debug)]
pub enum Question {
    /// Which of these select it: it is an element, and they count from the end.
    FromEnd(Arc<[FromEnd]>),
    /// Which of these hold for it.
    Filters(Arc<[FilterId]>),
}

/// One question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answered {
    /// Whether this selects the element.
    FromEnd(FromEnd, bool),
    /// Whether this holds.
    Filter(FilterId, bool),
}

/// The answers to the parts of a question, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answers(u128);

impl Answers {
    /// These; none if they are more than a question can have parts.
    pub fn of(answers: impl IntoIterator<Item = bool>) -> Option<Self> {
        let mut bits = 0;
        for (index, answer) in answers.into_iter().enumerate() {
            if index >= QUESTIONS_MAX {
                return None;
            }
            bits |= u128::from(answer) << index;
        }
        Some(Self(bits))
    }

    /// The answer to one part.
    pub fn get(self, index: usize) -> bool {
        index < QUESTIONS_MAX && self.0 >> index & 1 == 1
    }
}

/// A state that waits for answers.
#[derive(Debug)]
pub(super) struct Pending {
    question: Question,
    waits: Box<[PathId]>,
    /// In the order of their answers.
    outcomes: Box<[(Answers, State)]>,
}

impl Pending {
    pub(super) fn from_end(
        selectors: &[(FromEnd, Position)],
        outcomes: Vec<(Answers, State)>,
    ) -> Self {
        let waits = selectors.iter().map(|(_, at)| at.path).collect();
        let asked = selectors.iter().map(|(selector, _)| *selector).collect();
        Self { question: Question::FromEnd(asked), waits, outcomes: outcomes.into() }
    }

    pub(super) fn filters(
        filters: Vec<FilterId>,
        waits: Vec<PathId>,
        outcomes: Vec<(Answers, State)>,
    ) -> Self {
        Self {
            question: Question::Filters(filters.into()),
            waits: waits.into(),
            outcomes: outcomes.into(),
        }
    }

    pub(super) fn question(&self) -> Question {
        self.question.clone()
    }

    pub(super) fn settle(&self, answers: Answers) -> Option<State> {
        let found = self.outcomes.binary_search_by_key(&answers, |(answers, _)| *answers);
        found.ok().and_then(|at| self.outcomes.get(at)).map(|(_, state)| *state)
    }

    /// How many combinations of answers there are.
    pub(super) fn len(&self) -> usize {
        self.outcomes.len()
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Vec<Answered>, State)> {
        self.outcomes.iter().map(|(answers, state)| {
            let answered = match &self.question {
                Question::FromEnd(selectors) => {
                    let all = selectors.iter().enumerate();
                    all.map(|(at, one)| Answered::FromEnd(*one, answers.get(at))).collect()
                }
                Question::Filters(filters) => {
                    let all = filters.iter().enumerate();
                    all.map(|(at, one)| Answered::Filter(*one, answers.get(at))).collect()
                }
            };
            (answered, *state)
        })
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = PathId> {
        self.waits.iter().copied()
    }
}

/// The filters of a program.
#[derive(Debug, Default)]
pub(super) struct Filters {
    all: Vec<Filter>,
    /// Whether one of them looks at the document.
    ask_root: bool,
    ids: HashMap<Filter, FilterId>,
}

impl Filters {
    /// Those that are asked on the way of these paths.
    pub(super) fn of(paths: &[Path]) -> Self {
        let mut filters = Self::default();
        let segments = paths.iter().flat_map(reached);
        for selector in segments.flat_map(|segment| &segment.selectors) {
            let Selector::Filter(filter) = selector else { continue };
            let Ok(next) = u32::try_from(filters.all.len()) else { break };
            if filters.ids.contains_key(filter) {
                continue;
            }
            filters.ids.insert(filter.clone(), FilterId(next));
            filters.all.push(filter.clone());
            filters.ask_root |= filter.asks_root();
        }
        filters
    }

    pub(super) fn id(&self, filter: &Filter) -> Result<FilterId, ProgramError> {
        self.ids.get(filter).copied().ok_or(ProgramError::Filters)
    }

    pub(super) fn all(&self) -> &[Filter] {
        &self.all
    }

    pub(super) fn ask_root(&self) -> bool {
        self.ask_root
    }

    pub(super) fn get(&self, id: FilterId) -> Option<&Filter> {
        self.all.get(id.index())
    }

    /// Every combination of answers that these can have, in order, as far as is known: of comparisons of one
    /// place by `==` with several literals, at most one holds.
    pub(super) fn combinations(&self, asked: &[FilterId]) -> Option<Vec<Answers>> {
        let mut facts = Facts::default();
        let filters: Vec<&Filter> = asked.iter().filter_map(|id| self.get(*id)).collect();
        let logic: Vec<Logic> =
            filters.iter().map(|filter| facts.logic(filter.expression())).collect();
        let count = facts.cases.iter().try_fold(1usize, |product, cases| {
            product.checked_mul(*cases).filter(|product| *product <= COMBINATIONS_MAX)
        });
        let mut seen = BTreeSet::new();
        if let Some(count) = count {
            for number in 0..count {
                let answers = logic.iter().map(|logic| logic.holds(&facts.world(number)));
                seen.insert(Answers::of(answers)?);
            }
        } else {
            // Too many facts to go through: every combination of answers, if these are few.
            let count = 1usize.checked_shl(u32::try_from(asked.len()).ok()?)?;
            for number in (0..count).take_while(|_| count <= COMBINATIONS_MAX) {
                seen.insert(Answers(number as u128));
            }
        }
        (!seen.is_empty()).then(|| seen.into_iter().collect())
    }
}

/// The segments of a path that some node can be asked by: behind one that selects nothing, none is.
pub(super) fn reached(path: &Path) -> &[Segment] {
    let selects_nothing = |segment: &Segment| {
        let mut selectors = segment.selectors.iter();
        selectors.all(|one| matches!(one.elements(), Some(Elements::Nothing)))
    };
    let end = path.segments().iter().position(selects_nothing);
    end.and_then(|end| path.segments().get(..end)).unwrap_or(path.segments())
}

/// What filters ask, as conditions on facts of which each has one of several cases.
#[derive(Default)]
struct Facts {
    /// How many cases each fact has.
    cases: Vec<usize>,
    /// Facts that hold or do not, by how they print.
    tests: HashMap<String, usize>,
    /// What the value at a place is: one of the literals that it is compared with, or something else.
    values: HashMap<Query, (usize, Vec<Literal>)>,
}

enum Logic {
    Any(Vec<Logic>),
    All(Vec<Logic>),
    Not(Box<Logic>),
    /// A fact is in this case.
    Is(usize, usize),
}

impl Logic {
    fn holds(&self, world: &[usize]) -> bool {
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(world)),
            Self::All(all) => all.iter().all(|one| one.holds(world)),
            Self::Not(inner) => !inner.holds(world),
            Self::Is(fact, case) => world.get(*fact) == Some(case),
        }
    }
}

impl Facts {
    fn logic(&mut self, expression: &Expression) -> Logic {
        let mut all = |expressions: slice::Iter<'_, Expression>| {
            expressions.map(|one| self.logic(one)).collect()
        };
        match expression {
            Expression::Or(expressions) => Logic::Any(all(expressions.iter())),
            Expression::And(expressions) => Logic::All(all(expressions.iter())),
            Expression::Not(inner) => Logic::Not(Box::new(self.logic(inner))),
            Expression::Compare(
                Operand::Node(query),
                Comparison::Equal,
                Operand::Literal(literal),
            )
            | Expression::Compare(
                Operand::Literal(literal),
                Comparison::Equal,
                Operand::Node(query),
            ) => self.value(query, literal),
            Expression::Compare(..) | Expression::Exists(_) | Expression::Matches { .. } => {
                let next = self.cases.len();
                let fact = *self.tests.entry(expression.to_string()).or_insert(next);
                if fact == next {
                    self.cases.push(2);
                }
                Logic::Is(fact, 1)
            }
        }
    }

    fn value(&mut self, query: &Query, literal: &Literal) -> Logic {
        let next = self.cases.len();
        let (fact, literals) =
            self.values.entry(query.clone()).or_insert_with(|| (next, Vec::new()));
        if *fact == next {
            // Something else.
            self.cases.push(1);
        }
        let known = literals.iter().position(|known| known == literal);
        let at = known.unwrap_or_else(|| {
            literals.push(literal.clone());
            if let Some(cases) = self.cases.get_mut(*fact) {
                *cases += 1;
            }
            literals.len() - 1
        });
        Logic::Is(*fact, at + 1)
    }

    /// One of all combinations of cases.
    fn world(&self, number: usize) -> Vec<usize> {
        let mut rest = number;
        let case = |cases: &usize| {
            let case = rest % cases;
            rest /= cases;
            case
        };
        self.cases.iter().map(case).collect()
    }
}

/// Whether a node can answer several filters like this, as far as is known.
pub fn can_be(answers: &[(&Filter, bool)]) -> bool {
    let mut facts = Facts::default();
    let logic: Vec<(Logic, bool)> =
        answers.iter().map(|(filter, holds)| (facts.logic(filter.expression()), *holds)).collect();
    let count = facts.cases.iter().try_fold(1usize, |product, cases| {
        product.checked_mul(*cases).filter(|product| *product <= COMBINATIONS_MAX)
    });
    count.is_none_or(|count| {
        (0..count).any(|number| {
            let world = facts.world(number);
            logic.iter().all(|(logic, holds)| logic.holds(&world) == *holds)
        })
    })
}
