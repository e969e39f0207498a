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
    paths::{Next, Paths},
    questions::Pending,
    sets::{Positions, Shared},
    state::{Base, Kind, Member, Position, ProgramError, Row, Set, State},
    subsets::{POSITION_BYTES, Stretch, Subsets},
};

/// How many bytes states may take, with what is known of them elsewhere, before it is time to forget.
///
/// With what one node can add before the next look, that is the 3 MiB that the reference promises for
/// a body. To forget is always safe: a state is made again when the document leads there again.
const ROOM: usize = 2 << 20;

/// Most states that one document has at a time: many more than there is room for, since what a single node asks
/// of its children can be many. Beyond it a step is [lost](State::LOST), and nothing leaves.
const STATES_MAX: usize = 1 << 20;

/// What one takes, about, with what is said of it in a plan.
const ROW_BYTES: usize = 320;
const STEP_BYTES: usize = 48;

/// From how many paths on that spell a name it pays to remember where it leads: fewer are found again
/// in less time than a look-up takes.
const REMEMBERED_FROM: usize = 64;

/// The states of one document.
pub(super) struct Lazy {
    common: Arc<Common>,
    states: Mutex<DocumentStates>,
}

/// What the states of all documents are made from.
struct Common {
    paths: Arc<Paths>,
    /// By the names.
    spelled: HashMap<Box<str>, Spelled, RandomState>,
    /// The positions of the root of a document.
    begun: (Arc<Shared>, Vec<Position>),
    hashes: RandomState,
}

/// Who spells a name.
struct Spelled {
    /// The number of the name.
    number: usize,
    /// The positions before the segments that do, in order.
    positions: Vec<Position>,
}

/// The states that a document has met, and what is known of their steps.
struct DocumentStates {
    common: Arc<Common>,
    subsets: Subsets,
    rows: Vec<Steps>,
    row_ids: HashMap<Set, Row, RandomState>,
    /// The row of each state that has been stepped from.
    of_states: Vec<Option<Row>>,
    /// Steps by names that many paths spell, by the states and the numbers of the names.
    of_names: HashMap<(State, usize), Member, RandomState>,
    /// The positions that every child has because of a base.
    of_bases: HashMap<Base, Set, RandomState>,
    /// How many positions rows have, and where elements go, in all of them.
    positions: usize,
    elements: usize,
    /// How many bytes there may be before it is time to forget.
    room: usize,
    forgotten: u64,
    /// How many positions had been looked at when the last were forgotten, and what else is to be counted.
    worked: u64,
}

/// Where the steps of states lead that have a row in common, but for those by name.
struct Steps {
    next: Next,
    /// The state with the positions that every child has.
    base: State,
    other: State,
    stretches: Vec<Stretch>,
}

impl Common {
    fn new(paths: &Arc<Paths>) -> Result<Self, ProgramError> {
        // The worst that a document could lead to: all that paths ask of children is asked at one node.
        let mut worst = Subsets::new(Arc::clone(paths), STATES_MAX / 2, 0);
        worst.intern(&Set::default(), &[])?;
        let next = paths.next(&paths.everywhere())?;
        let base = worst.intern(&next.every, &[])?;
        worst.other(base, &next)?;
        worst.stretches(base, &next)?;
        let hashes = RandomState::default();
        let mut first = Subsets::sharing(Arc::clone(paths), STATES_MAX, hashes.clone());
        let root = first.intern(&Set::of(paths.begun()), &[])?;
        let Set { base, more } = first.sets.set(root);
        let begun = (Arc::clone(first.sets.shared(base)), more);
        let spelled = (0..)
            .zip(paths.spelled())
            .map(|(number, (name, positions))| (name, Spelled { number, positions }));
        Ok(Self { spelled: spelled.collect(), paths: Arc::clone(paths), begun, hashes })
    }

    /// The number of a name that so many paths spell that it pays to remember where it leads.
    fn number(&self, name: &[u8]) -> Option<usize> {
        let spelled = self.spelled(name)?;
        (spelled.positions.len() >= REMEMBERED_FROM).then_some(spelled.number)
    }

    fn spelled(&self, name: &[u8]) -> Option<&Spelled> {
        str::from_utf8(name).ok().and_then(|name| self.spelled.get(name))
    }

    /// What is reached from these positions by a name, because they spell it; and how many have been looked at.
    fn reached(&self, positions: Positions<'_>, name: &[u8]) -> (Vec<Position>, usize) {
        let anywhere = &self.paths.anywhere;
        let after = |at: Position| Position { path: at.path, matched: at.matched + 1 };
        let mut reached = Vec::new();
        if positions.begin(anywhere) {
            reached.extend(anywhere.find(name).into_iter().flat_map(|(_, after)| after));
        }
        let spelled = self.spelled(name).map(|of| of.positions.as_slice()).unwrap_or_default();
        // Whichever are fewer are looked for among the others.
        let looked = spelled.len().min(positions.len());
        let mut found = |at: Position| {
            if !anywhere.is_all(at) {
                reached.push(after(at));
            }
        };
        if looked < positions.len() {
            spelled.iter().filter(|at| positions.contains(**at)).for_each(|at| found(*at));
        } else {
            positions.iter().filter(|at| spelled.binary_search(at).is_ok()).for_each(found);
        }
        let looked = looked + reached.len();
        (reached, looked)
    }
}

impl Lazy {
    /// States are made with these paths, if none can take too long.
    pub(super) fn new(paths: &Arc<Paths>) -> Result<Self, ProgramError> {
        let common = Arc::new(Common::new(paths)?);
        let states = DocumentStates::new(&common);
        Ok(Self { common, states: Mutex::new(states) })
    }

    /// The same paths, with nothing met but a node in this state.
    pub(super) fn afresh(&self, mut state: State) -> (Self, State) {
        let mut fresh = DocumentStates::new(&self.common);
        fresh.adopt(&self.states(), &mut state);
        (Self { common: Arc::clone(&self.common), states: Mutex::new(fresh) }, state)
    }

    /// A body is read by one thread at a time: nobody waits here.
    fn states(&self) -> MutexGuard<'_, DocumentStates> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self) -> State {
        if self.states().subsets.sets.len() > 1 { State::ROOT } else { State::DEAD }
    }

    pub(super) fn is_crowded(&self) -> bool {
        let states = self.states();
        states.size() > states.room
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.states().forgotten
    }

    pub(super) fn worked(&self) -> u64 {
        self.states().worked()
    }

    pub(super) fn work(&self, steps: u64) {
        let mut states = self.states();
        states.worked = states.worked.saturating_add(steps);
    }

    pub(super) fn forget_all_but<'s>(&self, kept: impl Iterator<Item = &'s mut State>) {
        let mut states = self.states();
        let mut fresh = DocumentStates::new(&self.common);
        kept.for_each(|state| fresh.adopt(&states, state));
        fresh.worked = states.worked().saturating_add(fresh.worked);
        // So that it pays, however much has to be kept.
        fresh.room = ROOM.max(2 * fresh.size());
        fresh.forgotten = states.forgotten + 1;
        *states = fresh;
    }

    pub(super) fn of_positions<T>(&self, state: State, read: impl FnOnce(Positions<'_>) -> T) -> T {
        read(self.states().subsets.sets.get(state))
    }

    /// The number of the base of a state.
    pub(super) fn base(&self, state: State) -> usize {
        self.states().subsets.sets.base(state).index()
    }

    pub(super) fn of_pending<T>(
        &self,
        state: State,
        read: impl FnOnce(&Pending) -> T,
    ) -> Option<T> {
        self.states().subsets.pendings.get(state.pending_index()?).map(read)
    }

    pub(super) fn member(&self, state: State, name: &[u8]) -> Member {
        if state == State::DEAD {
            return Member { state, spelled: false };
        }
        // Of what is lost, neither the value may leave nor the name.
        let lost = Member { state: State::LOST, spelled: false };
        self.states().member(state, name).unwrap_or(lost)
    }

    pub(super) fn unspelled(&self, state: State) -> State {
        if state == State::DEAD {
            return state;
        }
        self.states().row(state).map_or(State::LOST, |(_, steps)| steps.other)
    }

    pub(super) fn element(&self, state: State, index: u64) -> State {
        if state == State::DEAD {
            return state;
        }
        self.states().row(state).map_or(State::LOST, |(_, steps)| steps.element(index))
    }

    pub(super) fn elements_are_alike(&self, state: State) -> bool {
        self.states().row(state).is_ok_and(|(_, steps)| steps.stretches.is_empty())
    }

    pub(super) fn row(&self, state: State) -> Option<Row> {
        self.states().row(state).ok().map(|(row, _)| row)
    }

    pub(super) fn unsettled_children(&self, state: State, kind: Kind) -> Vec<State> {
        let mut states = self.states();
        let mut children = Vec::new();
        if let Ok((_, steps)) = states.row(state) {
            if kind == Kind::Object || steps.stretches.is_empty() {
                children.push(steps.other);
            }
            if kind == Kind::Array {
                children.extend(steps.stretches.iter().flat_map(|stretch| &stretch.states));
            }
        }
        if kind == Kind::Object {
            let positions = states.subsets.sets.get(state);
            let Paths { anywhere, .. } = &*self.common.paths;
            let names = self.common.paths.names(positions.iter());
            let mut names: Vec<&str> = names.into_iter().map(|(name, _)| name).collect();
            if positions.begin(anywhere) {
                names.extend(anywhere.spelled().map(|(name, _)| name));
                names.sort_unstable();
            }
            names.dedup();
            for name in names {
                let member = states.member(state, name.as_bytes());
                children.push(member.map_or(State::LOST, |member| member.state));
            }
        }
        children
    }
}

impl DocumentStates {
    fn new(common: &Arc<Common>) -> Self {
        let subsets =
            Subsets::sharing(Arc::clone(&common.paths), STATES_MAX, common.hashes.clone());
        let mut states = Self {
            common: Arc::clone(common),
            subsets,
            rows: Vec::new(),
            row_ids: HashMap::default(),
            of_states: Vec::new(),
            of_names: HashMap::default(),
            of_bases: HashMap::default(),
            positions: 0,
            elements: 0,
            room: ROOM,
            forgotten: 0,
            worked: 0,
        };
        // These are two of all that there is room for.
        let (base, more) = &common.begun;
        let _dead = states.put(&Arc::default(), &[]);
        let _root = states.put(base, more);
        states
    }

    /// The state of this set.
    fn put(&mut self, base: &Arc<Shared>, more: &[Position]) -> Result<State, ProgramError> {
        self.worked = self.worked.saturating_add(more.len() as u64);
        let base = self.subsets.sets.adopt(base);
        self.subsets.sets.id(base, more, STATES_MAX)
    }

    /// Takes over a state of another one, under its own number.
    fn adopt(&mut self, other: &Self, state: &mut State) {
        let sets = &other.subsets.sets;
        let is_known = state.index() < sets.len();
        let adopted =
            is_known.then(|| self.put(sets.shared(sets.base(*state)), sets.get(*state).more));
        *state = adopted.and_then(Result::ok).unwrap_or(State::LOST);
    }

    /// How many bytes there are, about.
    fn size(&self) -> usize {
        self.subsets.bytes()
            + ROW_BYTES * self.rows.len()
            + POSITION_BYTES * self.positions
            + STEP_BYTES * self.of_names.len()
            + size_of::<State>() * self.elements
    }

    fn worked(&self) -> u64 {
        self.worked.saturating_add(self.subsets.worked())
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
        let sets = &self.subsets.sets;
        if state.index() >= sets.len() {
            return Err(ProgramError::States);
        }
        let more = sets.get(state).more;
        let on = self.common.paths.leading_on(more.iter().copied()).collect();
        let set = Set { base: sets.base(state), more: on };
        let looked = more.len();
        self.subsets.spend(looked)?;
        let row = match self.row_ids.get(&set) {
            Some(known) => *known,
            None => self.make_steps(set)?,
        };
        let states = self.of_states.len().max(state.index() + 1);
        self.of_states.resize(states, None);
        if let Some(of_state) = self.of_states.get_mut(state.index()) {
            *of_state = Some(row);
        }
        Ok(row)
    }

    /// The row of a set of which all positions that are not of its base lead on.
    fn make_steps(&mut self, set: Set) -> Result<Row, ProgramError> {
        let mut next = self.common.paths.next(&set.more)?;
        let of_base = self.every(set.base)?;
        let shared = Arc::clone(self.subsets.sets.shared(set.base));
        next.add(&shared.next);
        self.subsets.spend(next.len())?;
        next.every = of_base.and(&next.every.more);
        let base = self.subsets.intern(&next.every, &[])?;
        // They may have become a base, to which what is reached by name has to be added.
        next.every = self.subsets.sets.set(base);
        let other = self.subsets.other(base, &next)?;
        let stretches =
            if next.asks_index() { self.subsets.stretches(base, &next)? } else { Vec::new() };
        self.elements += stretches.iter().map(|stretch| stretch.states.len()).sum::<usize>();
        self.positions += set.more.len() + next.every.more.len() + next.len();
        let row = Row::numbered(self.rows.len())?;
        self.rows.push(Steps { next, base, other, stretches });
        self.row_ids.insert(set, row);
        Ok(row)
    }

    /// The positions that every child has because of a base.
    fn every(&mut self, base: Base) -> Result<Set, ProgramError> {
        if let Some(known) = self.of_bases.get(&base) {
            return Ok(known.clone());
        }
        let shared = Arc::clone(self.subsets.sets.shared(base));
        let state = self.subsets.intern(&shared.next.every, &[])?;
        let every = self.subsets.sets.set(state);
        self.positions += every.more.len();
        self.of_bases.insert(base, every.clone());
        Ok(every)
    }

    fn member(&mut self, state: State, name: &[u8]) -> Result<Member, ProgramError> {
        let number = self.common.number(name);
        let known = number.and_then(|number| self.of_names.get(&(state, number)));
        if let Some(known) = known {
            return Ok(*known);
        }
        let member = self.make_member(state, name)?;
        if let Some(number) = number {
            self.of_names.insert((state, number), member);
        }
        Ok(member)
    }

    fn make_member(&mut self, state: State, name: &[u8]) -> Result<Member, ProgramError> {
        let (reached, looked) = self.common.reached(self.subsets.sets.get(state), name);
        let (row, steps) = self.row(state)?;
        let other = steps.other;
        self.subsets.begin_step();
        self.subsets.spend(looked)?;
        if reached.is_empty() {
            return Ok(Member { state: other, spelled: false });
        }
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
            .field("states", &self.states().subsets.sets.len())
            .finish_non_exhaustive()
    }
}
