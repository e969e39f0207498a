//! States that are made as a document meets them, where all that could be are too many.
//!
//! The paths `$..a1..b`, `$..a2..b` and so on have a state for every set of names that a node can have above
//! it: twice as many with each path. A document has few of them, and only those of the containers around the
//! node that is read have to be there. So the states of a document are made at its first step to each, and
//! when they have become many, all others are forgotten: what this takes grows with the depth of a
//! document, not with the paths.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;

use crate::path::{
    Kind, Member, ProgramError, State,
    automaton::Row,
    questions::Pending,
    subsets::{Next, Paths, Position, Stretch, Subsets},
};

/// How many bytes states may take, with what is known of them elsewhere, before it is time to forget.
const ROOM: usize = 2 << 20;

/// Most states that one document has at a time: many more than there is room for, since what a single node asks
/// of its children can be many.
const STATES_MAX: usize = 1 << 20;

/// What one takes, about, with what is said of it in a plan.
const ROW_BYTES: usize = 320;

/// The states of one document.
pub(super) struct Lazy {
    paths: Arc<Paths>,
    met: Mutex<Met>,
}

/// The states that a document has met, and what is known of their steps.
struct Met {
    subsets: Subsets,
    rows: Vec<Steps>,
    row_ids: HashMap<Box<[Position]>, Row, RandomState>,
    /// The row of each state that has been stepped from.
    of_states: Vec<Option<Row>>,
    /// Where elements go, in all rows.
    elements: usize,
    /// How many bytes there may be before it is time to forget.
    room: usize,
    forgotten: u64,
}

/// Where the steps of states lead that have a row in common, but for those by name.
struct Steps {
    next: Next,
    /// The state with the positions that every child has.
    base: State,
    other: State,
    stretches: Vec<Stretch>,
}

impl Lazy {
    /// States are made with these paths, if none can take too long.
    pub(super) fn new(paths: &Arc<Paths>) -> Result<Self, ProgramError> {
        // The worst that a document could lead to: all that paths ask of children is asked at one node.
        let mut worst = Subsets::new(Arc::clone(paths), STATES_MAX / 2);
        worst.intern(&[], &[])?;
        let next = paths.next(&paths.everywhere())?;
        let base = worst.intern(&next.every, &[])?;
        worst.other(base, &next)?;
        worst.stretches(base, &next)?;
        Ok(Self { paths: Arc::clone(paths), met: Mutex::new(Met::new(paths)) })
    }

    /// The same paths, with nothing met but a node in this state.
    pub(super) fn afresh(&self, mut state: State) -> (Self, State) {
        let mut fresh = Met::new(&self.paths);
        fresh.adopt(&self.met(), &mut state);
        (Self { paths: Arc::clone(&self.paths), met: Mutex::new(fresh) }, state)
    }

    /// A body is read by one thread at a time: nobody waits here.
    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self) -> State {
        if self.met().subsets.sets.len() > 1 { State::ROOT } else { State::DEAD }
    }

    pub(super) fn is_crowded(&self) -> bool {
        let met = self.met();
        met.size() > met.room
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.met().forgotten
    }

    pub(super) fn forget_all_but<'s>(&self, kept: impl Iterator<Item = &'s mut State>) {
        let mut met = self.met();
        let mut fresh = Met::new(&self.paths);
        kept.for_each(|state| fresh.adopt(&met, state));
        // So that it pays, however much has to be kept.
        fresh.room = ROOM.max(2 * fresh.size());
        fresh.forgotten = met.forgotten + 1;
        *met = fresh;
    }

    pub(super) fn of_positions<T>(&self, state: State, read: impl FnOnce(&[Position]) -> T) -> T {
        read(self.met().subsets.sets.get(state))
    }

    pub(super) fn of_pending<T>(
        &self,
        state: State,
        read: impl FnOnce(&Pending) -> T,
    ) -> Option<T> {
        self.met().subsets.pendings.get(state.pending_index()?).map(read)
    }

    pub(super) fn member(&self, state: State, name: &[u8]) -> Member {
        if state == State::DEAD {
            return Member { state, spelled: false };
        }
        // Of what is lost, neither the value may leave nor the name.
        let lost = Member { state: State::LOST, spelled: false };
        self.met().member(state, name).unwrap_or(lost)
    }

    pub(super) fn unspelled(&self, state: State) -> State {
        if state == State::DEAD {
            return state;
        }
        self.met().row(state).map_or(State::LOST, |(_, steps)| steps.other)
    }

    pub(super) fn element(&self, state: State, index: u64) -> State {
        if state == State::DEAD {
            return state;
        }
        self.met().row(state).map_or(State::LOST, |(_, steps)| steps.element(index))
    }

    pub(super) fn elements_are_alike(&self, state: State) -> bool {
        self.met().row(state).is_ok_and(|(_, steps)| steps.stretches.is_empty())
    }

    pub(super) fn row(&self, state: State) -> Option<Row> {
        self.met().row(state).ok().map(|(row, _)| row)
    }

    pub(super) fn unsettled_children(&self, state: State, kind: Kind) -> Vec<State> {
        let mut met = self.met();
        let mut children = Vec::new();
        if let Ok((_, steps)) = met.row(state) {
            if kind == Kind::Object || steps.stretches.is_empty() {
                children.push(steps.other);
            }
            if kind == Kind::Array {
                children.extend(steps.stretches.iter().flat_map(|stretch| &stretch.states));
            }
        }
        if kind == Kind::Object {
            let positions = met.subsets.sets.get(state);
            let mut names: Vec<&str> =
                self.paths.names(positions).into_iter().map(|(name, _)| name).collect();
            if positions.iter().any(|at| self.paths.anywhere.is_all(*at)) {
                names.extend(self.paths.anywhere.spelled().map(|(name, _)| name));
                names.sort_unstable();
            }
            names.dedup();
            for name in names {
                let member = met.member(state, name.as_bytes());
                children.push(member.map_or(State::LOST, |member| member.state));
            }
        }
        children
    }
}

impl Met {
    fn new(paths: &Arc<Paths>) -> Self {
        let mut subsets = Subsets::new(Arc::clone(paths), STATES_MAX);
        // These are two of all that there is room for.
        let _dead = subsets.intern(&[], &[]);
        let _root = subsets.intern(&paths.begun(), &[]);
        Self {
            subsets,
            rows: Vec::new(),
            row_ids: HashMap::default(),
            of_states: Vec::new(),
            elements: 0,
            room: ROOM,
            forgotten: 0,
        }
    }

    /// Takes over a state of another one, under its own number.
    fn adopt(&mut self, other: &Self, state: &mut State) {
        let set = other.subsets.sets.find(*state);
        let adopted = set.map(|set| self.subsets.intern(set, &[]));
        *state = adopted.and_then(Result::ok).unwrap_or(State::LOST);
    }

    /// How many bytes there are, about.
    fn size(&self) -> usize {
        self.subsets.bytes() + ROW_BYTES * self.rows.len() + size_of::<State>() * self.elements
    }

    /// The row of a state, and its steps.
    fn row(&mut self, state: State) -> Result<(Row, &Steps), ProgramError> {
        let known = self.of_states.get(state.index()).copied().flatten();
        let row = match known {
            Some(row) => row,
            None => self.make_row(state)?,
        };
        self.rows.get(row.index()).map(|steps| (row, steps)).ok_or(ProgramError::States)
    }

    fn make_row(&mut self, state: State) -> Result<Row, ProgramError> {
        self.subsets.begin_step();
        let paths = Arc::clone(&self.subsets.paths);
        let set = self.subsets.sets.find(state).ok_or(ProgramError::States)?;
        let on: Vec<Position> = paths.leading_on(set).collect();
        let row = if let Some(known) = self.row_ids.get(on.as_slice()) {
            *known
        } else {
            let next = paths.next(&on)?;
            let base = self.subsets.intern(&next.every, &[])?;
            let other = self.subsets.other(base, &next)?;
            let stretches =
                if next.asks_index() { self.subsets.stretches(base, &next)? } else { Vec::new() };
            self.elements += stretches.iter().map(|stretch| stretch.states.len()).sum::<usize>();
            let row = Row::numbered(self.rows.len())?;
            self.rows.push(Steps { next, base, other, stretches });
            self.row_ids.insert(on.into(), row);
            row
        };
        let states = self.of_states.len().max(state.index() + 1);
        self.of_states.resize(states, None);
        if let Some(of_state) = self.of_states.get_mut(state.index()) {
            *of_state = Some(row);
        }
        Ok(row)
    }

    fn member(&mut self, state: State, name: &[u8]) -> Result<Member, ProgramError> {
        let paths = Arc::clone(&self.subsets.paths);
        let reached = paths.reached(self.subsets.sets.get(state), name);
        let (row, steps) = self.row(state)?;
        if reached.is_empty() {
            return Ok(Member { state: steps.other, spelled: false });
        }
        self.subsets.begin_step();
        let Steps { base, next, .. } = self.rows.get(row.index()).ok_or(ProgramError::States)?;
        let state = self.subsets.named(*base, next, &reached)?;
        Ok(Member { state, spelled: true })
    }
}

impl Steps {
    fn element(&self, index: u64) -> State {
        let after = self.stretches.partition_point(|stretch| stretch.from <= index);
        let stretch = after.checked_sub(1).and_then(|at| self.stretches.get(at));
        let Some(stretch) = stretch else { return self.other };
        // As many as there are positions at most.
        let phase = (index - stretch.from) % (stretch.states.len() as u64).max(1);
        let phase = usize::try_from(phase).unwrap_or(usize::MAX);
        stretch.states.get(phase).copied().unwrap_or(State::LOST)
    }
}

/// Says how many states there are; the states of a document are no personal data, but they are many.
impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy")
            .field("states", &self.met().subsets.sets.len())
            .finish_non_exhaustive()
    }
}
