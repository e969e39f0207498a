//! The subset construction: sets of positions become states, and what positions say of children becomes
//! the sets of these.
//!
//! A *position* is a path and the number of its segments that have been matched. A state is the set of
//! positions that a node of the document has reached; [`State::DEAD`] is the empty set.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use crate::path::{
    FilterId,
    from_end::FromEnd,
    paths::{Next, Paths},
    questions::{Answers, Pending},
    sets::Sets,
    state::{Base, FROM_END_MAX, PERIOD_MAX, Position, ProgramError, Set, State},
};

/// Most positions that are looked at while compiling: bounds the time and the memory that it may take.
/// Descendants multiply states, and a policy must not keep a reload busy for minutes.
const WORK_MAX: usize = 1 << 25;
/// Most positions of all states together that do not share any: some 200 MiB.
const POSITIONS_MAX: usize = 1 << 22;
/// What one takes, about: a position stands in its set, in what finds the set and goes on from it, and in what is
/// known of the set elsewhere; a state has a verdict elsewhere.
pub(super) const POSITION_BYTES: usize = 40;
const STATE_BYTES: usize = 128;
const UNION_BYTES: usize = 96;
const PENDING_BYTES: usize = 256;
const OUTCOME_BYTES: usize = 32;

/// How many positions every child has before it pays to remember what becomes of them and some more: a
/// shorter set is merged and looked up in less time than the key of the memory takes.
const UNIONS_FROM: usize = 8;

/// From how many positions on sets have them from a [`Base`]; more positions beside a base make another one
/// if they are not far fewer than it has.
const SHARED_FROM: usize = 64;
const SHARED_SHARE: usize = 4;

/// By what a pending state is known while a program is compiled.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) set: Set,
    pub(super) from_end: Vec<(FromEnd, Position)>,
    pub(super) filters: Vec<(FilterId, Position)>,
    pub(super) answers: Vec<Answers>,
}

/// Elements from index `from` on go to these states, over and over.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) states: Vec<State>,
}

/// The elements at `first`, `first + period` and so on, below `end`.
#[derive(Clone, Copy)]
struct Class {
    first: u64,
    period: u64,
    end: u64,
}

/// The states that there are so far.
#[derive(Debug)]
pub(super) struct Subsets {
    pub(super) paths: Arc<Paths>,
    /// Most states that there may be, and most of those that pend.
    states_max: usize,
    /// Whether sets share positions. Then two states can have one set, by different bases.
    shares: bool,
    pub(super) sets: Sets,
    /// The set that is looked up.
    set: Vec<Position>,
    /// The states that are known to hold the positions of another one and some more: with many
    /// descendants, most steps lead to one of these.
    unions: HashMap<(State, Vec<Position>), State, RandomState>,
    /// How many positions these have besides.
    added: usize,
    /// How many positions have been looked at in this step, and in all steps together.
    work: usize,
    worked: u64,
    pub(super) pendings: Vec<Pending>,
    pending_ids: HashMap<Waiting, State>,
    /// How many outcomes all that is pending has.
    outcomes: usize,
}

impl Subsets {
    /// None yet; there will be about `states`.
    pub(super) fn new(paths: Arc<Paths>, states_max: usize, states: usize) -> Self {
        Self::with(Sets::new(states, RandomState::default()), false, paths, states_max)
    }

    /// None yet, and their sets share positions: bases can go from one to another that has the same `hashes`.
    pub(super) fn sharing(paths: Arc<Paths>, states_max: usize, hashes: RandomState) -> Self {
        Self::with(Sets::new(0, hashes), true, paths, states_max)
    }

    fn with(sets: Sets, shares: bool, paths: Arc<Paths>, states_max: usize) -> Self {
        Self {
            paths,
            states_max,
            shares,
            sets,
            set: Vec::new(),
            unions: HashMap::default(),
            added: 0,
            work: 0,
            worked: 0,
            pendings: Vec::new(),
            pending_ids: HashMap::new(),
            outcomes: 0,
        }
    }

    /// How many bytes they take, about.
    pub(super) fn bytes(&self) -> usize {
        POSITION_BYTES * (self.sets.positions() + self.added)
            + STATE_BYTES * self.sets.len()
            + UNION_BYTES * self.unions.len()
            + PENDING_BYTES * self.pendings.len()
            + OUTCOME_BYTES * self.outcomes
    }

    /// The state with these positions together.
    pub(super) fn intern(&mut self, set: &Set, more: &[Position]) -> Result<State, ProgramError> {
        self.spend(set.more.len() + more.len())?;
        self.set.clear();
        self.set.extend_from_slice(&set.more);
        self.set.extend_from_slice(more);
        // Mostly two runs in order, of which the first is long: a stable sort merges them.
        self.set.sort();
        self.set.dedup();
        if !self.shares {
            if self.sets.positions() > POSITIONS_MAX {
                return Err(ProgramError::Work);
            }
            return self.sets.id(Base::EMPTY, &self.set, self.states_max);
        }
        let shared = self.sets.shared(set.base);
        self.set.retain(|at| !shared.contains(*at));
        let base = shared.positions.len();
        if self.set.len() < SHARED_FROM.max(base / SHARED_SHARE) {
            return self.sets.id(set.base, &self.set, self.states_max);
        }
        self.set.extend_from_slice(&shared.positions);
        self.spend(self.set.len())?;
        self.set.sort();
        let base = self.sets.share(&self.set, &self.paths)?;
        self.sets.id(base, &[], self.states_max)
    }

    /// The state of children of which nothing is known but that they are.
    pub(super) fn other(&mut self, base: State, next: &Next) -> Result<State, ProgramError> {
        if next.is_filtered() { self.filtered(&next.every, &next.filters) } else { Ok(base) }
    }

    /// The state of members that have these positions besides those that every child has, which are `base`.
    pub(super) fn named(
        &mut self,
        base: State,
        next: &Next,
        reached: &[Position],
    ) -> Result<State, ProgramError> {
        if next.is_filtered() {
            self.filtered(&next.every.and(reached), &next.filters)
        } else {
            self.union(base, &next.every, reached)
        }
    }

    /// The states of elements, cut at every bound of a selector: in between, which selectors match repeats.
    pub(super) fn stretches(
        &mut self,
        base: State,
        next: &Next,
    ) -> Result<Vec<Stretch>, ProgramError> {
        let Next { every, indices, from_end, filters, .. } = next;
        let mut bounds = vec![0];
        bounds.extend(indices.iter().flat_map(|(range, _)| [range.start, range.end]));
        bounds.extend(from_end.iter().flat_map(|(selector, _)| selector.fronts()));
        bounds.retain(|bound| *bound < u64::MAX);
        bounds.sort_unstable();
        bounds.dedup();
        let mut stretches = Vec::with_capacity(bounds.len());
        for (at, from) in bounds.iter().copied().enumerate() {
            let length = bounds.get(at + 1).map_or(u64::MAX, |next| next - from);
            let active =
                indices.iter().filter(|(range, _)| range.start <= from && from < range.end);
            let steps_of = active.map(|(range, _)| range.step);
            let steps_of =
                steps_of.chain(from_end.iter().map(|(selector, _)| selector.front_step()));
            let mut period = 1u64;
            for step in steps_of {
                period = least_common_multiple(period, step).min(length);
                if period > PERIOD_MAX {
                    return Err(ProgramError::Period);
                }
            }
            let mut states = Vec::new();
            for index in from..from + period {
                let matching =
                    indices.iter().filter(|(range, _)| range.contains(index)).map(|(_, at)| *at);
                states.push(if from_end.is_empty() && filters.is_empty() {
                    self.union(base, every, &matching.collect::<Vec<_>>())?
                } else {
                    let set = every.and(&matching.collect::<Vec<_>>());
                    let end = from.saturating_add(length);
                    self.placed(&set, next, Class { first: index, period, end })?
                });
                self.spend(1 + indices.len())?;
            }
            stretches.push(Stretch { from, states });
        }
        Ok(stretches)
    }

    /// The state of elements that have the positions of `set`, and more where selectors that count from the
    /// end say so, or filters.
    fn placed(&mut self, set: &Set, next: &Next, class: Class) -> Result<State, ProgramError> {
        let Next { from_end, filters, .. } = next;
        let answers = self.answers(from_end, class)?;
        let selected = |answers: Answers| {
            let more = from_end.iter().enumerate().filter(move |(at, _)| answers.get(*at));
            set.and(&more.map(|(_, (_, at))| *at).collect::<Vec<_>>())
        };
        if let [] | [_] = answers.as_slice() {
            let always = answers.first().copied().unwrap_or_default();
            return self.filtered(&selected(always), filters);
        }
        let waiting = Waiting {
            set: set.clone(),
            from_end: from_end.clone(),
            filters: filters.clone(),
            answers: answers.clone(),
        };
        if let Some(known) = self.pending_ids.get(&waiting) {
            return Ok(*known);
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answers in answers {
            outcomes.push((answers, self.filtered(&selected(answers), filters)?));
        }
        self.put_pending(waiting, Pending::from_end(from_end, outcomes))
    }

    /// Every combination of what selectors that count from the end can say of the elements of a class.
    fn answers(
        &mut self,
        selectors: &[(FromEnd, Position)],
        class: Class,
    ) -> Result<Vec<Answers>, ProgramError> {
        let largest = |of: fn(FromEnd) -> u64| {
            selectors.iter().map(|(selector, _)| of(*selector)).max().unwrap_or(0)
        };
        let (back, border) = (largest(FromEnd::back), largest(FromEnd::border));
        let mut repeats = 1;
        for (selector, _) in selectors {
            repeats = least_common_multiple(repeats, selector.end_step());
            if repeats > PERIOD_MAX {
                return Err(ProgramError::Period);
            }
        }
        if back.max(border) > FROM_END_MAX {
            return Err(ProgramError::FromEnd);
        }
        // Beyond its bounds a selector repeats with its step, in indices and in distances from the end.
        let distances = border.saturating_sub(class.first).max(back) + 2 * repeats;
        let last = class.first.max(back).saturating_add(repeats * class.period).min(class.end - 1);
        let mut seen = Vec::new();
        let mut index = class.first;
        while index <= last && !selectors.is_empty() {
            for distance in 1..=distances {
                let length = index.saturating_add(distance);
                let selected =
                    selectors.iter().map(|(selector, _)| selector.selects(index, length));
                let answers = Answers::of(selected).ok_or(ProgramError::FromEnd)?;
                if !seen.contains(&answers) {
                    seen.push(answers);
                }
            }
            // At most three times the largest of the bounds above.
            let looked_at = usize::try_from(distances).unwrap_or(usize::MAX);
            self.spend(looked_at.saturating_mul(selectors.len()))?;
            index = index.saturating_add(class.period);
        }
        seen.sort_unstable();
        Ok(seen)
    }

    /// The state of children that have the positions of `set`, and more where filters hold.
    fn filtered(
        &mut self,
        set: &Set,
        filters: &[(FilterId, Position)],
    ) -> Result<State, ProgramError> {
        if filters.is_empty() {
            return self.intern(set, &[]);
        }
        let waiting = Waiting {
            set: set.clone(),
            from_end: Vec::new(),
            filters: filters.to_vec(),
            answers: Vec::new(),
        };
        if let Some(known) = self.pending_ids.get(&waiting) {
            return Ok(*known);
        }
        let mut asked: Vec<FilterId> = filters.iter().map(|(filter, _)| *filter).collect();
        asked.sort_unstable();
        asked.dedup();
        let combinations = self.paths.filters.combinations(&asked).ok_or(ProgramError::Filters)?;
        self.spend(combinations.len().saturating_mul(set.more.len() + filters.len()))?;
        let mut outcomes = Vec::with_capacity(combinations.len());
        for answers in combinations {
            let holds = |filter: FilterId| {
                asked.iter().position(|one| *one == filter).is_some_and(|at| answers.get(at))
            };
            let more = filters.iter().filter(|(filter, _)| holds(*filter)).map(|(_, at)| *at);
            outcomes.push((answers, self.intern(set, &more.collect::<Vec<_>>())?));
        }
        let waits = filters.iter().map(|(_, at)| at.path).collect();
        self.put_pending(waiting, Pending::filters(asked, waits, outcomes))
    }

    fn put_pending(&mut self, waiting: Waiting, pending: Pending) -> Result<State, ProgramError> {
        if self.pendings.len() >= self.states_max {
            return Err(ProgramError::States);
        }
        let state = State::pending(self.pendings.len())?;
        self.outcomes += pending.len();
        self.pendings.push(pending);
        self.pending_ids.insert(waiting, state);
        Ok(state)
    }

    /// The state with the positions of `other`, which are `every`, and some more.
    fn union(
        &mut self,
        other: State,
        every: &Set,
        more: &[Position],
    ) -> Result<State, ProgramError> {
        if every.more.len() < UNIONS_FROM {
            return self.intern(every, more);
        }
        self.spend(more.len())?;
        let key = (other, more.to_vec());
        if let Some(known) = self.unions.get(&key) {
            return Ok(*known);
        }
        let state = self.intern(every, more)?;
        self.added += more.len();
        self.unions.insert(key, state);
        Ok(state)
    }

    /// The work of what comes is bounded by itself.
    pub(super) fn begin_step(&mut self) {
        self.work = 0;
    }

    pub(super) fn spend(&mut self, positions: usize) -> Result<(), ProgramError> {
        self.work += positions;
        self.worked = self.worked.saturating_add(positions as u64);
        if self.work > WORK_MAX { Err(ProgramError::Work) } else { Ok(()) }
    }

    /// How many positions have been looked at so far.
    pub(super) fn worked(&self) -> u64 {
        self.worked
    }
}

pub(crate) fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).saturating_mul(b)
}
