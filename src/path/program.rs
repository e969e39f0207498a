//! All paths of a plan in one deterministic automaton, by subset construction.
//!
//! A *position* is a path and the number of its segments that have been matched. A state is the set of
//! positions that a node of the document has reached; [`State::DEAD`] is the empty set. Stepping costs
//! one hash lookup for a member and one comparison for an element, however many paths there are.
//!
//! States that differ only in the paths that end there have the same steps, which are a [`Row`]. Paths that
//! begin with `..name` begin at every node: they are no part of the construction but stand behind the rows
//! (see `anywhere`), so that thousands of them cost a state nothing.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::path::{
    Filter, Path, Segment, Selector,
    anywhere::{Anywhere, Spelled, find},
    from_end::{Elements, FromEnd, Indices},
    members::{Members, Transition},
    questions::{Answered, Answers, FilterId, Filters, Pending, Question, Waiting},
    sets::Sets,
};

/// Largest number of states; more is refused when a policy loads.
const STATES_MAX: usize = 1 << 16;
/// Largest number of transitions, by name and by index, of all states together.
const TRANSITIONS_MAX: usize = 1 << 20;
/// Most positions that are looked at while compiling: bounds the time and the memory that it may take.
const WORK_MAX: usize = 1 << 25;
/// How many positions every child has before it pays to remember what becomes of them and some more.
const UNIONS_FROM: usize = 8;
/// Most transitions that are written once more so that no name is looked up twice.
const CLOSING_MAX: usize = 1 << 12;
/// Longest period of the slices that one state can have between two of their bounds.
const PERIOD_MAX: u64 = 4096;
/// How far from the end of an array a selector can count.
const FROM_END_MAX: u64 = 4096;

/// What a node has matched so far. Only meaningful with the [`Program`] that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State(u32);

impl State {
    /// No path can select this node or anything below it.
    pub const DEAD: Self = Self(0);

    /// The bit that tells pending states from all others.
    const PENDING: u32 = 1 << 31;

    /// Whether it depends on answers what the node has matched: see [`Program::question`]. Such a state
    /// is not among [`Program::states`], selects nothing and leads nowhere before it is settled.
    #[inline]
    pub fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }

    /// Its place among the pending states.
    fn pending_index(self) -> Option<usize> {
        self.is_pending().then_some((self.0 & !Self::PENDING) as usize)
    }

    /// Its place among [`Program::states`], for tables that are kept beside a program.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The state of this number.
    pub(super) fn numbered(number: usize) -> Result<Self, ProgramError> {
        Ok(Self(count(number)?))
    }
}

/// The steps that states have in common which differ only in the paths that end there. Only meaningful
/// with the [`Program`] that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row(u32);

impl Row {
    /// Without steps: that of the dead state, and of all states that no path goes on from.
    pub(super) const NONE: Self = Self(0);

    /// Its place among [`Program::rows`], for tables that are kept beside a program.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a path in the slice that [`Program::compile`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub(super) u32);

impl PathId {
    /// The index into the compiled slice.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The two kinds of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{}`: its children are members, reached by name.
    Object,
    /// `[]`: its children are elements, reached by index.
    Array,
}

/// A step to a member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the member's value has matched.
    pub state: State,
    /// Whether some path spells this name at this place, rather than reaching it through `*` or `..`.
    pub spelled: bool,
}

/// Why paths could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// Descendant segments of several paths combine to too many cases.
    #[error("these paths together are too complex: more than {STATES_MAX} states")]
    States,
    /// As `States`, for the steps between them.
    #[error("these paths together are too complex: more than {TRANSITIONS_MAX} transitions")]
    Transitions,
    /// As `States`, for the time that compiling would take.
    #[error("these paths together are too complex: compiling them would take too long")]
    Work,
    /// Slices whose steps have a large common multiple meet at one place.
    #[error(
        "the steps of slices at one place repeat only after more than {PERIOD_MAX} elements together"
    )]
    Period,
    /// Filters at one place have too many combinations of answers.
    #[error("the filters at one place are too complex: their answers have too many combinations")]
    Filters,
    /// Selectors count from further than this from the end of an array.
    #[error(
        "selectors that count from the end of an array go back more than {FROM_END_MAX} elements"
    )]
    FromEnd,
}

/// A set of compiled paths. Immutable; shared by all bodies that are read with it.
#[derive(Debug)]
pub struct Program {
    nodes: Box<[Node]>,
    /// Transitions by name, of all rows.
    members: Members,
    /// As the lengths of a [`Node`], of the names that are spelled everywhere.
    lengths_anywhere: u64,
    rows: Box<[Steps]>,
    /// Transitions by index, of all rows; those of one row follow each other.
    runs: Box<[Run]>,
    cycles: Box<[State]>,
    pendings: Box<[Pending]>,
    filters: Filters,
    /// The construction itself, for questions that are asked when a plan is compiled.
    sets: Sets,
    /// Where each transition by name leads; those of one row follow each other.
    targets: Box<[State]>,
    /// Places in `targets`; those of one row follow each other, in order.
    shadowed: Box<[u32]>,
    anywhere: Anywhere,
    paths: Box<[Path]>,
}

/// What the reader needs of a state; all of it is that of its row.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Where a member goes whose name is not spelled, and an element if `runs` is empty.
    other: State,
    row: Row,
    /// Bit *n* is set if a name of *n* bytes is spelled, the last bit for all longer ones: most names
    /// that nobody spells are turned away without a lookup.
    lengths: u64,
    runs: (u32, u32),
}

/// What else is known of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    node: Node,
    /// Its transitions by name.
    members: (u32, u32),
    /// The row of the names that are spelled everywhere, for those that this one does not have itself.
    behind: Row,
    /// The transitions of that row by names that this one has itself.
    shadowed: (u32, u32),
}

/// Elements from index `from` on go to `cycles[first..]`, repeating after `period`.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    first: u32,
    period: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) path: PathId,
    /// How many segments have been matched; all of them means that the node is selected.
    pub(super) matched: u32,
}

impl Program {
    /// Compiles paths into one automaton.
    pub fn compile(paths: &[Path]) -> Result<Self, ProgramError> {
        Compiler::new(paths, Anywhere::of(paths), CLOSING_MAX).run()
    }

    /// As [`compile`](Self::compile), with paths that begin everywhere taken like all others.
    #[cfg(test)]
    pub(super) fn compile_alike(paths: &[Path]) -> Result<Self, ProgramError> {
        Compiler::new(paths, (Anywhere::default(), Vec::new()), CLOSING_MAX).run()
    }

    /// As [`compile`](Self::compile), and names that are spelled everywhere are always looked up apart.
    #[cfg(test)]
    pub(super) fn compile_open(paths: &[Path]) -> Result<Self, ProgramError> {
        Compiler::new(paths, Anywhere::of(paths), 0).run()
    }

    /// The state of a document's root.
    pub fn start(&self) -> State {
        // The root is interned right after the dead state; without paths it is dead itself.
        State(u32::from(self.nodes.len() > 1))
    }

    /// All states, the dead one first; a state comes after those that lead to it, but for loops.
    pub fn states(&self) -> impl Iterator<Item = State> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(State)
    }

    /// The step from an object to its member of this name (decoded, in UTF-8).
    #[inline]
    pub fn member(&self, state: State, name: &[u8]) -> Member {
        let node = self.node(state);
        let unspelled = Member { state: node.other, spelled: false };
        if node.lengths & length_bit(name.len()) == 0 {
            return unspelled;
        }
        let found = self.members.find(node.row, name).or_else(|| self.behind(node.row, name));
        found.map_or(unspelled, |state| Member { state, spelled: true })
    }

    /// The step by a name that is spelled everywhere, if it is one.
    #[inline]
    fn behind(&self, row: Row, name: &[u8]) -> Option<State> {
        if self.lengths_anywhere & length_bit(name.len()) == 0 {
            return None;
        }
        let steps = self.rows.get(row.index())?;
        self.members.find(steps.behind, name)
    }

    /// The step from an object to any member whose name no path spells there.
    #[inline]
    pub fn unspelled(&self, state: State) -> State {
        self.node(state).other
    }

    /// The step from an array to its element at this index.
    #[inline]
    pub fn element(&self, state: State, index: u64) -> State {
        let node = self.node(state);
        if node.runs.0 == node.runs.1 { node.other } else { self.element_of_runs(node, index) }
    }

    /// Whether all elements of an array in this state go to the same state.
    #[inline]
    pub fn elements_are_alike(&self, state: State) -> bool {
        let node = self.node(state);
        node.runs.0 == node.runs.1
    }

    /// The paths that select a node in this state.
    pub fn selected(&self, state: State) -> impl Iterator<Item = PathId> {
        let set = self.sets.get(state).iter();
        set.filter(|at| segment(&self.paths, **at).is_none()).map(|at| at.path)
    }

    /// What has to be known to settle a pending state; none of any other.
    pub fn question(&self, state: State) -> Option<Question<'_>> {
        self.pending(state).map(Pending::question)
    }

    /// The state with these answers, in the order of the question; it may pend on the next one. None if
    /// no node can have these answers: then something is wrong, and nothing may leave.
    pub fn settle(&self, state: State, answers: Answers) -> Option<State> {
        self.pending(state)?.settle(answers)
    }

    /// A pending state with all questions answered by no; any other as it is.
    pub fn unanswered(&self, state: State) -> State {
        let mut state = state;
        while let Some(pending) = self.pending(state) {
            state = pending.settle(Answers::default()).unwrap_or(State::DEAD);
        }
        state
    }

    /// Every state that a pending state can be settled to, each with the answers that lead there; of any
    /// other state, itself.
    pub fn outcomes(&self, state: State) -> Vec<(Vec<Answered>, State)> {
        let Some(pending) = self.pending(state) else { return vec![(Vec::new(), state)] };
        let mut all = Vec::new();
        for (answered, next) in pending.outcomes() {
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
        answers.and_then(|answers| self.settle(state, answers)).unwrap_or(State::DEAD)
    }

    /// The paths whose next step depends on the question of a pending state.
    pub fn waiting(&self, state: State) -> impl Iterator<Item = PathId> {
        self.pending(state).into_iter().flat_map(Pending::waiting)
    }

    fn pending(&self, state: State) -> Option<&Pending> {
        self.pendings.get(state.pending_index()?)
    }

    /// A filter of some path.
    pub fn filter(&self, id: FilterId) -> Option<&Filter> {
        self.filters.get(id)
    }

    /// The filters of all paths.
    pub fn filters(&self) -> &[Filter] {
        self.filters.all()
    }

    /// Whether some filter looks at the document (`$`): then that has to be there as a whole.
    pub fn asks_document(&self) -> bool {
        self.filters.ask_root()
    }

    /// The paths that step from an object in this state to members whose names they do not spell,
    /// through a wildcard, a filter or on the way down of `..`; each with the index of the segment that
    /// does. They are the same for all states of a row.
    pub fn reaching_unspelled(&self, state: State) -> impl Iterator<Item = (PathId, usize)> {
        let reaches = |at: &Position| {
            segment(&self.paths, *at).is_some_and(|segment| {
                segment.descendant
                    || segment.selectors.iter().any(|selector| {
                        matches!(selector, Selector::Wildcard | Selector::Filter(_))
                    })
            })
        };
        let set = self.sets.get(state).iter().copied().filter(reaches);
        let mut reaching: Vec<_> = set.flat_map(|at| self.anywhere.spread(at)).collect();
        reaching.sort_unstable();
        reaching.into_iter().map(|at| (at.path, at.matched as usize))
    }

    /// The steps of a state.
    pub fn row(&self, state: State) -> Row {
        self.node(state).row
    }

    /// All rows. A row comes after those that lead to its states, but for loops.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        (0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)).map(Row)
    }

    /// The row with the steps that another one has besides its own, by names that are spelled everywhere.
    pub fn row_behind(&self, row: Row) -> Option<Row> {
        Some(self.steps(row).behind).filter(|behind| *behind != Row::NONE)
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
        let row = self.row(state);
        let mut children: Vec<State> = self.own_steps(row, kind).collect();
        if let (Kind::Object, Some(behind)) = (kind, self.row_behind(row)) {
            let (first, _) = self.steps(behind).members;
            let shadowed = self.shadowed_places(row);
            let behind = (first..).zip(self.targets(behind));
            let behind = behind.filter(|(at, _)| shadowed.binary_search(at).is_err());
            children.extend(behind.map(|(_, child)| *child));
        }
        children
    }

    /// Where the steps of the row behind this one lead that it does not share, because it spells their
    /// names itself.
    pub fn shadowed(&self, row: Row) -> impl Iterator<Item = State> {
        let places = self.shadowed_places(row).iter();
        places.filter_map(|at| self.targets.get(*at as usize)).copied()
    }

    fn shadowed_places(&self, row: Row) -> &[u32] {
        let (first, last) = self.steps(row).shadowed;
        self.shadowed.get(first as usize..last as usize).unwrap_or_default()
    }

    /// Where the steps of a row lead, without those of the row behind it; pending states as they are.
    pub fn own_steps(&self, row: Row, kind: Kind) -> impl Iterator<Item = State> {
        let Steps { node, .. } = self.steps(row);
        let (first, last) = node.runs;
        let alike = first == last;
        let members: &[State] = match kind {
            Kind::Object => self.targets(row),
            Kind::Array => &[],
        };
        let runs = match kind {
            Kind::Object => &[],
            Kind::Array => self.runs.get(first as usize..last as usize).unwrap_or_default(),
        };
        let elements = runs
            .iter()
            .flat_map(|run| self.cycles.iter().skip(run.first as usize).take(run.period as usize));
        let other = (kind == Kind::Object || alike).then_some(node.other);
        members.iter().chain(elements).copied().chain(other)
    }

    /// Where the transitions by name of a row lead.
    fn targets(&self, row: Row) -> &[State] {
        let (first, last) = self.steps(row).members;
        self.targets.get(first as usize..last as usize).unwrap_or_default()
    }

    fn steps(&self, row: Row) -> Steps {
        self.rows.get(row.index()).copied().unwrap_or_default()
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a state of another program is a bug: stop")]
    fn node(&self, state: State) -> Node {
        self.nodes[state.index()]
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "written by the compiler, within its own bounds, which fit 32 bits"
    )]
    fn element_of_runs(&self, node: Node, index: u64) -> State {
        let runs = &self.runs[node.runs.0 as usize..node.runs.1 as usize];
        // The first run begins at 0, so there is always one at or before the index.
        let run = runs[runs.partition_point(|run| run.from <= index) - 1];
        let phase = (index - run.from) % u64::from(run.period);
        self.cycles[(u64::from(run.first) + phase) as usize]
    }
}

fn segment(paths: &[Path], at: Position) -> Option<&Segment> {
    paths.get(at.path.index())?.segments().get(at.matched as usize)
}

#[inline]
fn length_bit(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

fn name_bit((from, to): (u32, u32)) -> u64 {
    length_bit((to - from) as usize)
}

/// The elements at `first`, `first + period` and so on, below `end`.
#[derive(Clone, Copy)]
struct Class {
    first: u64,
    period: u64,
    end: u64,
}

/// The subset construction under way.
struct Compiler<'a> {
    paths: &'a [Path],
    anywhere: Anywhere,
    spelled_anywhere: Spelled<'a>,
    closing_max: usize,
    sets: Sets,
    /// The set that is looked up.
    set: Vec<Position>,
    /// The states that are known to hold the positions of another one and some more: with many
    /// descendants, most steps lead to one of these.
    unions: HashMap<(State, Vec<Position>), State, RandomState>,
    work: usize,
    nodes: Vec<Node>,
    rows: Vec<Steps>,
    /// The rows by the positions that lead on.
    row_ids: HashMap<Box<[Position]>, Row, RandomState>,
    /// The rows behind others, by where these go by a name that is not spelled.
    behind: HashMap<State, Row, RandomState>,
    lengths_anywhere: u64,
    members: Vec<Transition>,
    shadowed: Vec<u32>,
    names: Vec<u8>,
    runs: Vec<Run>,
    cycles: Vec<State>,
    pendings: Vec<Pending>,
    pending_ids: HashMap<Waiting, State>,
    filters: Filters,
}

/// What the positions of one row say about children.
#[derive(Default)]
struct Next<'a> {
    /// Positions that every child has.
    every: Vec<Position>,
    /// In the order of the names.
    names: Vec<(&'a str, Position)>,
    indices: Vec<(Indices, Position)>,
    from_end: Vec<(FromEnd, Position)>,
    filters: Vec<(FilterId, Position)>,
}

impl<'a> Compiler<'a> {
    fn new(
        paths: &'a [Path],
        (anywhere, spelled_anywhere): (Anywhere, Spelled<'a>),
        closing_max: usize,
    ) -> Self {
        Self {
            paths,
            anywhere,
            spelled_anywhere,
            closing_max,
            // Mostly each path ends in a state of its own.
            sets: Sets::with_capacity(paths.len()),
            set: Vec::new(),
            unions: HashMap::default(),
            work: 0,
            nodes: Vec::new(),
            rows: Vec::new(),
            row_ids: HashMap::default(),
            behind: HashMap::default(),
            lengths_anywhere: 0,
            members: Vec::new(),
            shadowed: Vec::new(),
            names: Vec::new(),
            runs: Vec::new(),
            cycles: Vec::new(),
            pendings: Vec::new(),
            pending_ids: HashMap::new(),
            filters: Filters::default(),
        }
    }

    fn run(mut self) -> Result<Program, ProgramError> {
        self.intern(&[], &[])?;
        let begun =
            (0..count(self.paths.len())?).map(|path| Position { path: PathId(path), matched: 0 });
        let begun: Vec<_> = begun.filter(|at| !self.anywhere.is_stood_for(*at)).collect();
        self.intern(&begun, &[])?;
        let mut on = Vec::new();
        while self.nodes.len() < self.sets.len() {
            let set = self.sets.get(State::numbered(self.nodes.len())?).iter();
            on.clear();
            on.extend(set.filter(|at| segment(self.paths, **at).is_some()));
            let row = match self.row_ids.get(on.as_slice()) {
                Some(known) => *known,
                None => self.row(&on)?,
            };
            self.nodes.push(self.rows.get(row.index()).copied().unwrap_or_default().node);
        }
        let targets = self.members.iter().map(|transition| transition.to).collect();
        self.close();
        Ok(Program {
            nodes: self.nodes.into_boxed_slice(),
            members: Members::new(&self.members, self.names.into_boxed_slice()),
            lengths_anywhere: self.lengths_anywhere,
            rows: self.rows.into_boxed_slice(),
            runs: self.runs.into_boxed_slice(),
            cycles: self.cycles.into_boxed_slice(),
            pendings: self.pendings.into_boxed_slice(),
            filters: self.filters,
            sets: self.sets,
            targets,
            shadowed: self.shadowed.into_boxed_slice(),
            anywhere: self.anywhere,
            paths: self.paths.into(),
        })
    }

    /// Compiles the steps from these positions, of which each leads on.
    fn row(&mut self, positions: &[Position]) -> Result<Row, ProgramError> {
        self.spend(positions.len())?;
        let next = self.next(positions)?;
        let base = self.intern(&next.every, &[])?;
        let other =
            if next.filters.is_empty() { base } else { self.filtered(&next.every, &next.filters)? };
        let row = Row(count(self.rows.len())?);
        self.rows.push(Steps::default());
        self.row_ids.insert(positions.into(), row);
        let mut behind = Row::NONE;
        let mut lengths = 0;
        if positions.iter().any(|at| self.anywhere.is_all(*at)) {
            behind = self.row_behind(base, other, &next)?;
            lengths = self.lengths_anywhere;
        }
        let (first_behind, _) = self.rows.get(behind.index()).copied().unwrap_or_default().members;
        let first_shadowed = count(self.shadowed.len())?;
        let first_member = count(self.members.len())?;
        let mut reached = Vec::new();
        for same in next.names.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((name, _)) = same.first() else { continue };
            reached.clear();
            reached.extend(same.iter().map(|(_, at)| *at));
            if let Some((at, after)) = find(&self.spelled_anywhere, name) {
                reached.extend_from_slice(after);
                self.shadowed.push(first_behind + count(at)?);
            }
            let to = self.named(base, &next, &reached)?;
            let name = self.name(name)?;
            self.members.push(Transition { row, to, name });
            lengths |= name_bit(name);
        }
        let members = (first_member, count(self.members.len())?);
        let shadowed = (first_shadowed, count(self.shadowed.len())?);
        let first_run = count(self.runs.len())?;
        if !next.indices.is_empty() || !next.from_end.is_empty() {
            self.runs(base, &next)?;
        }
        let runs = (first_run, count(self.runs.len())?);
        let node = Node { other, row, lengths, runs };
        if let Some(steps) = self.rows.get_mut(row.index()) {
            *steps = Steps { node, members, behind, shadowed };
        }
        Ok(row)
    }

    /// Compiles the steps by names that are spelled everywhere, for rows that go to `other` by all other
    /// names.
    fn row_behind(
        &mut self,
        base: State,
        other: State,
        next: &Next<'_>,
    ) -> Result<Row, ProgramError> {
        if let Some(known) = self.behind.get(&other) {
            return Ok(*known);
        }
        let row = Row(count(self.rows.len())?);
        self.rows.push(Steps::default());
        self.behind.insert(other, row);
        let first_member = count(self.members.len())?;
        let spelled = std::mem::take(&mut self.spelled_anywhere);
        for (name, after) in &spelled {
            let to = self.named(base, next, after)?;
            let name = self.name(name)?;
            self.members.push(Transition { row, to, name });
            self.lengths_anywhere |= name_bit(name);
        }
        self.spelled_anywhere = spelled;
        let members = (first_member, count(self.members.len())?);
        if let Some(steps) = self.rows.get_mut(row.index()) {
            steps.members = members;
        }
        Ok(row)
    }

    /// Gives every row the steps of the one behind it, where these are not too many: then no name is
    /// looked up twice.
    fn close(&mut self) {
        let mut closing = Vec::new();
        for steps in &self.rows {
            let range = |(first, last): (u32, u32)| {
                self.members.get(first as usize..last as usize).unwrap_or_default()
            };
            let name = |of: &Transition| {
                self.names.get(of.name.0 as usize..of.name.1 as usize).unwrap_or_default()
            };
            let Some(behind) = self.rows.get(steps.behind.index()) else { continue };
            let own = range(steps.members);
            let behind = range(behind.members).iter();
            let missing = behind
                .filter(|step| own.binary_search_by(|one| name(one).cmp(name(step))).is_err())
                .map(|step| Transition { row: steps.node.row, ..*step });
            closing.extend(missing.take(self.closing_max + 1));
            if closing.len() > self.closing_max {
                return;
            }
        }
        self.lengths_anywhere = 0;
        self.members.append(&mut closing);
    }

    /// The state of members that have these positions besides those that every child has.
    fn named(
        &mut self,
        base: State,
        next: &Next<'_>,
        reached: &[Position],
    ) -> Result<State, ProgramError> {
        if next.filters.is_empty() {
            return self.union(base, &next.every, reached);
        }
        self.steps_are_few()?;
        self.filtered(&[next.every.as_slice(), reached].concat(), &next.filters)
    }

    /// Puts a name among those of transitions.
    fn name(&mut self, name: &str) -> Result<(u32, u32), ProgramError> {
        let from = count(self.names.len())?;
        self.names.extend_from_slice(name.as_bytes());
        Ok((from, count(self.names.len())?))
    }

    /// What these positions say about children.
    fn next(&mut self, positions: &[Position]) -> Result<Next<'a>, ProgramError> {
        let mut next = Next::default();
        for at in positions {
            let Some(segment) = segment(self.paths, *at) else { continue };
            if segment.descendant {
                next.every.push(*at);
            }
            if self.anywhere.is_all(*at) {
                continue;
            }
            let at = Position { path: at.path, matched: at.matched + 1 };
            for selector in &segment.selectors {
                match selector {
                    Selector::Name(name) => next.names.push((name, at)),
                    Selector::Wildcard => next.every.push(at),
                    Selector::Filter(filter) => next.filters.push((self.filters.id(filter)?, at)),
                    Selector::Index(_) | Selector::Slice { .. } => match selector.elements() {
                        Some(Elements::Front(indices)) => next.indices.push((indices, at)),
                        Some(Elements::End(from_end)) => next.from_end.push((from_end, at)),
                        Some(Elements::Nothing) | None => {}
                    },
                }
            }
        }
        next.names.sort_unstable();
        Ok(next)
    }

    /// Cuts the indices at every bound of a selector: in between, which selectors match repeats.
    fn runs(&mut self, base: State, next: &Next<'_>) -> Result<(), ProgramError> {
        let Next { every, indices, from_end, filters, .. } = next;
        let mut bounds = vec![0];
        bounds.extend(indices.iter().flat_map(|(range, _)| [range.start, range.end]));
        bounds.extend(from_end.iter().flat_map(|(selector, _)| selector.fronts()));
        bounds.retain(|bound| *bound < u64::MAX);
        bounds.sort_unstable();
        bounds.dedup();
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
            let first = count(self.cycles.len())?;
            for index in from..from + period {
                let matching =
                    indices.iter().filter(|(range, _)| range.contains(index)).map(|(_, at)| *at);
                let to = if from_end.is_empty() && filters.is_empty() {
                    self.union(base, every, &matching.collect::<Vec<_>>())?
                } else {
                    self.steps_are_few()?;
                    let set: Vec<_> = every.iter().copied().chain(matching).collect();
                    self.placed(
                        &set,
                        next,
                        Class { first: index, period, end: from.saturating_add(length) },
                    )?
                };
                self.cycles.push(to);
                self.spend(indices.len())?;
            }
            self.runs.push(Run { from, first, period: count(period)? });
        }
        Ok(())
    }

    /// The state of elements that have the positions of `set`, and more where selectors that count from the
    /// end say so, or filters.
    fn placed(
        &mut self,
        set: &[Position],
        next: &Next<'_>,
        class: Class,
    ) -> Result<State, ProgramError> {
        let Next { from_end, filters, .. } = next;
        let answers = self.answers(from_end, class)?;
        let selected = |answers: Answers| {
            let more = from_end.iter().enumerate().filter(move |(at, _)| answers.get(*at));
            set.iter().copied().chain(more.map(|(_, (_, at))| *at)).collect::<Vec<_>>()
        };
        if let [] | [_] = answers.as_slice() {
            let always = answers.first().copied().unwrap_or_default();
            return self.filtered(&selected(always), filters);
        }
        let waiting = Waiting {
            set: set.into(),
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
        set: &[Position],
        filters: &[(FilterId, Position)],
    ) -> Result<State, ProgramError> {
        if filters.is_empty() {
            return self.intern(set, &[]);
        }
        let waiting = Waiting {
            set: set.into(),
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
        let combinations = self.filters.combinations(&asked).ok_or(ProgramError::Filters)?;
        self.spend(combinations.len().saturating_mul(set.len() + filters.len()))?;
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
        if self.pendings.len() >= STATES_MAX {
            return Err(ProgramError::States);
        }
        let state = State(count(self.pendings.len())? | State::PENDING);
        self.pendings.push(pending);
        self.pending_ids.insert(waiting, state);
        Ok(state)
    }

    fn steps_are_few(&self) -> Result<(), ProgramError> {
        if self.members.len() + self.cycles.len() < TRANSITIONS_MAX {
            Ok(())
        } else {
            Err(ProgramError::Transitions)
        }
    }

    /// The state with the positions of `other`, which are `every`, and some more.
    fn union(
        &mut self,
        other: State,
        every: &[Position],
        more: &[Position],
    ) -> Result<State, ProgramError> {
        self.steps_are_few()?;
        if every.len() < UNIONS_FROM {
            return self.intern(every, more);
        }
        self.spend(more.len())?;
        let key = (other, more.to_vec());
        if let Some(known) = self.unions.get(&key) {
            return Ok(*known);
        }
        let state = self.intern(every, more)?;
        self.unions.insert(key, state);
        Ok(state)
    }

    fn spend(&mut self, positions: usize) -> Result<(), ProgramError> {
        self.work += positions;
        if self.work > WORK_MAX { Err(ProgramError::Work) } else { Ok(()) }
    }

    /// The state with these positions together.
    fn intern(&mut self, some: &[Position], more: &[Position]) -> Result<State, ProgramError> {
        self.spend(some.len() + more.len())?;
        self.set.clear();
        self.set.extend_from_slice(some);
        self.set.extend_from_slice(more);
        self.set.sort_unstable();
        self.set.dedup();
        self.sets.id(&self.set, STATES_MAX)
    }
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).saturating_mul(b)
}

/// Numbers in tables have 32 bits; what does not fit is too complex long before.
fn count<N: TryInto<u32>>(number: N) -> Result<u32, ProgramError> {
    number.try_into().map_err(|_over| ProgramError::Work)
}
