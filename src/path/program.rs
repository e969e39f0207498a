//! The paths of a plan, ready to be stepped through.
//!
//! Where it can be, every state that a document can lead to is made when the program is compiled
//! ([`Automaton`]). Several `..` in several paths can combine to more states than there is memory for, though
//! no document has more than few of them: then states are made as a document meets them (`lazy`).

use std::sync::Arc;

use crate::path::{
    Filter, Path,
    anywhere::Anywhere,
    automaton::{Automaton, CLOSING_MAX},
    lazy::Lazy,
    paths::Paths,
    questions::{Answered, Answers, FilterId, Pending, Question},
    sets::Positions,
    state::{Kind, Member, PathId, Position, ProgramError, Row, STATES_MAX, State},
};

/// A part of what a node has matched. States that are made on the way mostly have a great part in common, of
/// which everything is found out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What it shares with all states of the same [number](Program::shared).
    Shared,
    /// What it has besides.
    Own,
    /// Both.
    Whole,
}

impl Part {
    fn of(self, set: Positions<'_>) -> impl Iterator<Item = Position> {
        let shared = if self == Self::Own { &[] } else { &*set.base.positions };
        let own = if self == Self::Shared { &[] } else { set.more };
        shared.iter().chain(own).copied()
    }
}

/// A set of compiled paths. Immutable to who looks at it; shared by all bodies that are read with it, unless
/// its states are [made on the way](Program::is_lazy).
#[derive(Debug)]
pub struct Program {
    paths: Arc<Paths>,
    states: States,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few programs, and each is asked for every token"
)]
enum States {
    Made(Automaton),
    Lazy(Lazy),
}

impl Program {
    /// Compiles paths into one program.
    pub fn compile(paths: &[Path]) -> Result<Self, ProgramError> {
        let paths = Arc::new(Paths::new(paths, Anywhere::of(paths)));
        let made = Automaton::new(&paths, STATES_MAX, CLOSING_MAX);
        let states = match made {
            Ok(made) => States::Made(made),
            Err(
                too_many @ (ProgramError::States | ProgramError::Transitions | ProgramError::Work),
            ) => States::Lazy(Lazy::new(&paths).map_err(|_worse| too_many)?),
            Err(error) => return Err(error),
        };
        Ok(Self { paths, states })
    }

    /// As [`compile`](Self::compile), of paths that are not worth more than so many states.
    pub(super) fn compile_within(states_max: usize, paths: &[Path]) -> Result<Self, ProgramError> {
        Self::made(paths, Anywhere::of(paths), states_max, CLOSING_MAX)
    }

    /// As [`compile`](Self::compile), with paths that begin everywhere taken like all others.
    #[cfg(test)]
    pub(super) fn compile_alike(paths: &[Path]) -> Result<Self, ProgramError> {
        Self::made(paths, Anywhere::default(), STATES_MAX, CLOSING_MAX)
    }

    /// As [`compile`](Self::compile), and names that are spelled everywhere are always looked up apart.
    #[cfg(test)]
    pub(super) fn compile_open(paths: &[Path]) -> Result<Self, ProgramError> {
        Self::made(paths, Anywhere::of(paths), STATES_MAX, 0)
    }

    fn made(
        paths: &[Path],
        anywhere: Anywhere,
        states_max: usize,
        closing_max: usize,
    ) -> Result<Self, ProgramError> {
        let paths = Arc::new(Paths::new(paths, anywhere));
        let states = States::Made(Automaton::new(&paths, states_max, closing_max)?);
        Ok(Self { paths, states })
    }

    /// As [`compile`](Self::compile), with states that are made on the way, however few they are.
    #[cfg(test)]
    pub(crate) fn compile_lazily(paths: &[Path]) -> Result<Self, ProgramError> {
        let paths = Arc::new(Paths::new(paths, Anywhere::of(paths)));
        let states = States::Lazy(Lazy::new(&paths)?);
        Ok(Self { paths, states })
    }

    /// Whether states are made as a document meets them. Then each body is read with a
    /// [copy of its own](Self::afresh), so that none waits for another or takes its room.
    pub fn is_lazy(&self) -> bool {
        matches!(self.states, States::Lazy(_))
    }

    /// All states, if they were made beforehand.
    pub fn automaton(&self) -> Option<&Automaton> {
        match &self.states {
            States::Made(made) => Some(made),
            States::Lazy(_) => None,
        }
    }

    /// The program for another body, or for a document inside of one: itself, or a copy that has met nothing
    /// but a node in this state; and what that is in it.
    #[must_use]
    pub fn afresh(self: &Arc<Self>, state: State) -> (Arc<Self>, State) {
        match &self.states {
            States::Made(_) => (Arc::clone(self), state),
            States::Lazy(lazy) => {
                let (lazy, state) = lazy.afresh(state);
                let paths = Arc::clone(&self.paths);
                (Arc::new(Self { paths, states: States::Lazy(lazy) }), state)
            }
        }
    }

    /// Whether states have been made of which many can be [forgotten](Self::forget_all_but).
    #[inline]
    pub fn is_crowded(&self) -> bool {
        match &self.states {
            States::Made(_) => false,
            States::Lazy(lazy) => lazy.is_crowded(),
        }
    }

    /// Forgets the states that were made on the way, but for these, which get other numbers. None of them
    /// may be pending.
    pub fn forget_all_but<'s>(&self, kept: impl Iterator<Item = &'s mut State>) {
        if let States::Lazy(lazy) = &self.states {
            lazy.forget_all_but(kept);
        }
    }

    /// How often states have been forgotten, for what is remembered by their numbers.
    pub fn forgotten(&self) -> u64 {
        match &self.states {
            States::Made(_) => 0,
            States::Lazy(lazy) => lazy.forgotten(),
        }
    }

    /// The state of a document's root.
    pub fn start(&self) -> State {
        match &self.states {
            States::Made(made) => made.start(),
            States::Lazy(lazy) => lazy.start(),
        }
    }

    /// The step from an object to its member of this name (decoded, in UTF-8).
    #[inline]
    pub fn member(&self, state: State, name: &[u8]) -> Member {
        match &self.states {
            States::Made(made) => made.member(state, name),
            States::Lazy(lazy) => lazy.member(state, name),
        }
    }

    /// The step from an object to any member whose name no path spells there.
    #[inline]
    pub fn unspelled(&self, state: State) -> State {
        match &self.states {
            States::Made(made) => made.unspelled(state),
            States::Lazy(lazy) => lazy.unspelled(state),
        }
    }

    /// The step from an array to its element at this index.
    #[inline]
    pub fn element(&self, state: State, index: u64) -> State {
        match &self.states {
            States::Made(made) => made.element(state, index),
            States::Lazy(lazy) => lazy.element(state, index),
        }
    }

    /// Whether all elements of an array in this state go to the same state.
    #[inline]
    pub fn elements_are_alike(&self, state: State) -> bool {
        match &self.states {
            States::Made(made) => made.elements_are_alike(state),
            States::Lazy(lazy) => lazy.elements_are_alike(state),
        }
    }

    /// What `read` makes of the positions of a state.
    fn of_positions<T>(&self, state: State, read: impl FnOnce(Positions<'_>) -> T) -> T {
        match &self.states {
            States::Made(made) => read(made.positions(state)),
            States::Lazy(lazy) => lazy.of_positions(state, read),
        }
    }

    /// What `read` makes of a pending state; none of any other.
    fn of_pending<T>(&self, state: State, read: impl FnOnce(&Pending) -> T) -> Option<T> {
        match &self.states {
            States::Made(made) => made.pending(state).map(read),
            States::Lazy(lazy) => lazy.of_pending(state, read),
        }
    }

    /// The paths that select a node in this state.
    pub fn selected(&self, state: State) -> impl Iterator<Item = PathId> + use<> {
        let mut selected = Vec::new();
        self.select(state, &mut selected);
        selected.into_iter()
    }

    /// Puts the paths that select a node in this state, in order, in the place of what is in `selected`.
    pub(crate) fn select(&self, state: State, selected: &mut Vec<PathId>) {
        selected.clear();
        self.of_positions(state, |set| {
            selected.extend_from_slice(&set.base.selected);
            selected.extend(self.paths.ended(set.more));
        });
        selected.sort_unstable();
    }

    /// Whether one of the first paths, so many, selects a node in this state.
    pub(crate) fn selects_one_of(&self, state: State, paths: usize) -> bool {
        self.of_positions(state, |set| {
            let mut of_base = set.base.selected.iter().copied();
            let is_one = |path: PathId| path.index() < paths;
            of_base.any(is_one) || self.paths.ended(set.more).any(is_one)
        })
    }

    /// The paths that a node in this state is on the way of, or has reached the end of, each with the number
    /// of its segments that have been matched, in a part of the state.
    /// Those that begin with `..name` have always begun: for all of them stand these.
    pub(crate) fn matched(
        &self,
        state: State,
        part: Part,
        anywhere: &[PathId],
    ) -> impl Iterator<Item = (PathId, usize)> + use<> {
        let matched = self.of_positions(state, |set| {
            let spread = part.of(set).flat_map(|at| self.paths.anywhere.spread(at, anywhere));
            spread.map(|at| (at.path, at.matched as usize)).collect::<Vec<_>>()
        });
        matched.into_iter()
    }

    /// The paths that begin with `..name`, at every node.
    pub(crate) fn anywhere(&self) -> &[PathId] {
        self.paths.anywhere.paths()
    }

    /// What has to be known to settle a pending state; none of any other.
    pub fn question(&self, state: State) -> Option<Question> {
        if state.is_pending() { self.of_pending(state, Pending::question) } else { None }
    }

    /// The state with these answers, in the order of the question; it may pend on the next one. None if
    /// no node can have these answers: then something is wrong, and nothing may leave.
    pub fn settle(&self, state: State, answers: Answers) -> Option<State> {
        self.of_pending(state, |pending| pending.settle(answers))?
    }

    /// A pending state with all questions answered by no; any other as it is.
    pub fn unanswered(&self, state: State) -> State {
        let mut state = state;
        while state.is_pending() {
            state = self.settle(state, Answers::default()).unwrap_or(State::LOST);
        }
        state
    }

    /// Every state that a pending state can be settled to, each with the answers that lead there; of any
    /// other state, itself.
    pub fn outcomes(&self, state: State) -> Vec<(Vec<Answered>, State)> {
        let pending = self.of_pending(state, |pending| pending.outcomes().collect::<Vec<_>>());
        let Some(outcomes) = pending else { return vec![(Vec::new(), state)] };
        let mut all = Vec::new();
        for (answered, next) in outcomes {
            for (more, settled) in self.outcomes(next) {
                all.push((answered.iter().copied().chain(more).collect(), settled));
            }
        }
        all
    }

    /// The states that a state can be settled to.
    pub fn settled(&self, state: State) -> Vec<State> {
        if state.is_pending() {
            self.outcomes(state).into_iter().map(|(_, settled)| settled).collect()
        } else {
            vec![state]
        }
    }

    /// Whether a state pends on the length of an array.
    pub fn counts_from_end(&self, state: State) -> bool {
        matches!(self.question(state), Some(Question::FromEnd(_)))
    }

    /// The state of the element at `index` of an array of `length` elements, once its length is known.
    pub fn placed(&self, state: State, index: u64, length: u64) -> State {
        let Some(Question::FromEnd(selectors)) = self.question(state) else { return state };
        let answers = Answers::of(selectors.iter().map(|one| one.selects(index, length)));
        answers.and_then(|answers| self.settle(state, answers)).unwrap_or(State::LOST)
    }

    /// The paths whose next step depends on the question of a pending state.
    pub fn waiting(&self, state: State) -> impl Iterator<Item = PathId> + use<> {
        let waiting = self.of_pending(state, |pending| pending.waiting().collect::<Vec<_>>());
        waiting.unwrap_or_default().into_iter()
    }

    /// A filter of some path.
    pub fn filter(&self, id: FilterId) -> Option<&Filter> {
        self.paths.filters.get(id)
    }

    /// The filters of all paths.
    pub fn filters(&self) -> &[Filter] {
        self.paths.filters.all()
    }

    /// Whether some filter looks at the document (`$`): then that has to be there as a whole.
    #[inline]
    pub fn asks_document(&self) -> bool {
        self.paths.filters.ask_root()
    }

    /// Whether a filter may be asked of some node below one in this state.
    pub fn asks_below(&self, state: State) -> bool {
        self.of_positions(state, |set| set.base.ask_below || self.paths.ask_below(set.more))
    }

    /// The paths that step from an object in this state to members whose names they do not spell,
    /// through a wildcard, a filter or on the way down of `..`; each with the index of the segment that
    /// does. They are the same for all states of a row.
    pub fn reaching_unspelled(
        &self,
        state: State,
    ) -> impl Iterator<Item = (PathId, usize)> + use<> {
        self.reaching_unspelled_of(state, Part::Whole, self.anywhere())
    }

    /// The same of a part of the state, with these for all paths that begin with `..name`.
    pub(crate) fn reaching_unspelled_of(
        &self,
        state: State,
        part: Part,
        anywhere: &[PathId],
    ) -> impl Iterator<Item = (PathId, usize)> + use<> {
        let reaching =
            self.of_positions(state, |set| self.paths.reaching_unspelled(part.of(set), anywhere));
        reaching.into_iter()
    }

    /// The number of what a state [shares](Part::Shared) with others; 0 if that is nothing.
    pub(crate) fn shared(&self, state: State) -> usize {
        match &self.states {
            States::Made(_) => 0,
            States::Lazy(lazy) => lazy.base(state),
        }
    }

    /// How many steps it took to make states on the way: about one for each path that was looked at.
    pub fn steps(&self) -> u64 {
        match &self.states {
            States::Made(_) => 0,
            States::Lazy(lazy) => lazy.worked(),
        }
    }

    /// Counts steps that were taken elsewhere because states are made on the way.
    pub(crate) fn count_steps(&self, steps: u64) {
        if let States::Lazy(lazy) = &self.states {
            lazy.work(steps);
        }
    }

    /// The steps of a state; none if it is [lost](State::LOST), or has been forgotten.
    pub fn row(&self, state: State) -> Option<Row> {
        match &self.states {
            States::Made(made) => Some(made.row(state)),
            States::Lazy(lazy) => lazy.row(state),
        }
    }

    /// Every state that some child of a container in this state can be in, in no order, perhaps
    /// repeated; of a pending one, all that it can be settled to. Without a member or element that leads
    /// there, it is not among them.
    pub fn children(&self, state: State, kind: Kind) -> Vec<State> {
        let unsettled = self.unsettled_children(state, kind);
        unsettled.into_iter().flat_map(|child| self.settled(child)).collect()
    }

    /// As [`children`](Self::children), with pending states as they are.
    pub fn unsettled_children(&self, state: State, kind: Kind) -> Vec<State> {
        match &self.states {
            States::Made(made) => made.unsettled_children(state, kind),
            States::Lazy(lazy) => lazy.unsettled_children(state, kind),
        }
    }
}
