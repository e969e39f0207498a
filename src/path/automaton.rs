//! All states of a program and the steps between them, made before there is a document.
//!
//! Stepping costs one hash lookup for a member and one comparison for an element, however many paths there
//! are. States that differ only in the paths that end there have the same steps, which are a [`Row`]. Paths
//! that begin with `..name` begin at every node: they are no part of the construction but stand behind the
//! rows (see `anywhere`), so that thousands of them cost a state nothing.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use crate::path::{
    members::{Members, Transition},
    paths::{Next, Paths},
    questions::Pending,
    sets::{Positions, Sets},
    state::{Kind, Member, Position, ProgramError, Row, Set, State, TRANSITIONS_MAX, count},
    subsets::Subsets,
};

/// Most transitions that are written once more so that no name is looked up twice.
///
/// The names of `..name` paths stand behind every row, so a name that a row does not have costs a
/// second look-up. Written into each row they cost none, but thousands of paths in thousands of rows
/// would be millions of transitions: then the second look-up is the better price.
pub(super) const CLOSING_MAX: usize = 1 << 12;

/// See the module.
#[derive(Debug)]
pub struct Automaton {
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
    /// The construction itself, for questions that are asked when a plan is compiled.
    sets: Sets,
    /// Where each transition by name leads; those of one row follow each other.
    targets: Box<[State]>,
    /// Places in `targets`; those of one row follow each other, in order.
    shadowed: Box<[u32]>,
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

impl Automaton {
    /// Makes the states of these paths.
    pub(super) fn new(
        paths: &Arc<Paths>,
        states_max: usize,
        closing_max: usize,
    ) -> Result<Self, ProgramError> {
        Compiler::new(paths, states_max, closing_max).run()
    }

    /// The state of a document's root.
    pub(super) fn start(&self) -> State {
        // The root is interned right after the dead state; without paths it is dead itself.
        if self.nodes.len() > 1 { State::ROOT } else { State::DEAD }
    }

    /// All states, the dead one first; a state comes after those that lead to it, but for loops.
    pub fn states(&self) -> impl Iterator<Item = State> + use<> {
        State::all(self.nodes.len())
    }

    /// The step from an object to its member of this name (decoded, in UTF-8).
    #[inline]
    pub(super) fn member(&self, state: State, name: &[u8]) -> Member {
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
    pub(super) fn unspelled(&self, state: State) -> State {
        self.node(state).other
    }

    /// The step from an array to its element at this index.
    #[inline]
    pub(super) fn element(&self, state: State, index: u64) -> State {
        let node = self.node(state);
        if node.runs.0 == node.runs.1 { node.other } else { self.element_of_runs(node, index) }
    }

    /// Whether all elements of an array in this state go to the same state.
    #[inline]
    pub(super) fn elements_are_alike(&self, state: State) -> bool {
        let node = self.node(state);
        node.runs.0 == node.runs.1
    }

    /// The positions of a state.
    pub(super) fn positions(&self, state: State) -> Positions<'_> {
        self.sets.get(state)
    }

    pub(super) fn pending(&self, state: State) -> Option<&Pending> {
        self.pendings.get(state.pending_index()?)
    }

    /// The steps of a state.
    pub fn row(&self, state: State) -> Row {
        self.node(state).row
    }

    /// All rows. A row comes after those that lead to its states, but for loops.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        Row::all(self.rows.len())
    }

    /// The row with the steps that another one has besides its own, by names that are spelled everywhere.
    pub fn row_behind(&self, row: Row) -> Option<Row> {
        Some(self.steps(row).behind).filter(|behind| *behind != Row::NONE)
    }

    /// See [`Program::unsettled_children`](crate::path::Program::unsettled_children).
    pub(super) fn unsettled_children(&self, state: State, kind: Kind) -> Vec<State> {
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

#[inline]
fn length_bit(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

fn name_bit((from, to): (u32, u32)) -> u64 {
    length_bit((to - from) as usize)
}

/// The construction under way.
struct Compiler<'a> {
    paths: &'a Paths,
    closing_max: usize,
    subsets: Subsets,
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
}

impl<'a> Compiler<'a> {
    fn new(paths: &'a Arc<Paths>, states_max: usize, closing_max: usize) -> Self {
        Self {
            paths,
            closing_max,
            // Mostly each path ends in a state of its own.
            subsets: Subsets::new(Arc::clone(paths), states_max, paths.len()),
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
        }
    }

    fn run(mut self) -> Result<Automaton, ProgramError> {
        self.subsets.intern(&Set::default(), &[])?;
        self.subsets.intern(&Set::of(self.paths.begun()), &[])?;
        let mut on = Vec::new();
        while self.nodes.len() < self.subsets.sets.len() {
            let set = self.subsets.sets.get(State::numbered(self.nodes.len())?);
            on.clear();
            on.extend(self.paths.leading_on(set.iter()));
            let row = match self.row_ids.get(on.as_slice()) {
                Some(known) => *known,
                None => self.row(&on)?,
            };
            self.nodes.push(self.rows.get(row.index()).copied().unwrap_or_default().node);
        }
        let targets = self.members.iter().map(|transition| transition.to).collect();
        self.close();
        Ok(Automaton {
            nodes: self.nodes.into_boxed_slice(),
            members: Members::new(&self.members, self.names.into_boxed_slice()),
            lengths_anywhere: self.lengths_anywhere,
            rows: self.rows.into_boxed_slice(),
            runs: self.runs.into_boxed_slice(),
            cycles: self.cycles.into_boxed_slice(),
            pendings: self.subsets.pendings.into_boxed_slice(),
            sets: self.subsets.sets,
            targets,
            shadowed: self.shadowed.into_boxed_slice(),
        })
    }

    /// Compiles the steps from these positions, of which each leads on.
    fn row(&mut self, positions: &[Position]) -> Result<Row, ProgramError> {
        self.subsets.spend(positions.len())?;
        let next = self.paths.next(positions)?;
        let base = self.subsets.intern(&next.every, &[])?;
        let other = self.subsets.other(base, &next)?;
        let row = Row::numbered(self.rows.len())?;
        self.rows.push(Steps::default());
        self.row_ids.insert(positions.into(), row);
        let mut behind = Row::NONE;
        let mut lengths = 0;
        if positions.iter().any(|at| self.paths.anywhere.is_all(*at)) {
            behind = self.row_behind(base, other, &next)?;
            lengths = self.lengths_anywhere;
        }
        let (first_behind, _) = self.rows.get(behind.index()).copied().unwrap_or_default().members;
        let first_shadowed = count(self.shadowed.len())?;
        let first_member = count(self.members.len())?;
        let mut reached = Vec::new();
        let names = self.paths.names(positions.iter().copied());
        for same in names.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((name, _)) = same.first() else { continue };
            reached.clear();
            reached.extend(same.iter().map(|(_, at)| *at));
            if let Some((at, after)) = self.paths.anywhere.find(name.as_bytes()) {
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
        if next.asks_index() {
            for stretch in self.subsets.stretches(base, &next)? {
                let first = count(self.cycles.len())?;
                let period = count(stretch.states.len())?;
                self.cycles.extend(stretch.states);
                self.steps_are_few()?;
                self.runs.push(Run { from: stretch.from, first, period });
            }
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
    fn row_behind(&mut self, base: State, other: State, next: &Next) -> Result<Row, ProgramError> {
        if let Some(known) = self.behind.get(&other) {
            return Ok(*known);
        }
        let row = Row::numbered(self.rows.len())?;
        self.rows.push(Steps::default());
        self.behind.insert(other, row);
        let first_member = count(self.members.len())?;
        for (name, after) in self.paths.anywhere.spelled() {
            let to = self.named(base, next, after)?;
            let name = self.name(name)?;
            self.members.push(Transition { row, to, name });
            self.lengths_anywhere |= name_bit(name);
        }
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

    fn named(
        &mut self,
        base: State,
        next: &Next,
        reached: &[Position],
    ) -> Result<State, ProgramError> {
        self.steps_are_few()?;
        self.subsets.named(base, next, reached)
    }

    /// Puts a name among those of transitions.
    fn name(&mut self, name: &str) -> Result<(u32, u32), ProgramError> {
        let from = count(self.names.len())?;
        self.names.extend_from_slice(name.as_bytes());
        Ok((from, count(self.names.len())?))
    }

    fn steps_are_few(&self) -> Result<(), ProgramError> {
        if self.members.len() + self.cycles.len() < TRANSITIONS_MAX {
            Ok(())
        } else {
            Err(ProgramError::Transitions)
        }
    }
}
