//! All paths of a plan in one deterministic automaton, by subset construction.
//!
//! A *position* is a path and the number of its segments that have been matched. A state is the set of
//! positions that a node of the document has reached; [`State::DEAD`] is the empty set. Stepping costs
//! one hash lookup for a member and one comparison for an element, however many paths there are.

use std::collections::{BTreeMap, HashMap};

use crate::path::{
    Path, Segment, Selector,
    members::{Members, Transition},
};

/// Largest number of states; more is refused when a policy loads.
const STATES_MAX: usize = 1 << 16;
/// Largest number of transitions, by name and by index, of all states together.
const TRANSITIONS_MAX: usize = 1 << 20;
/// Most positions that are looked at while compiling: bounds the time that it may take.
const WORK_MAX: usize = 1 << 27;
/// Longest period of the slices that one state can have between two of their bounds.
const PERIOD_MAX: u64 = 4096;

/// What a node has matched so far. Only meaningful with the [`Program`] that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State(u32);

impl State {
    /// No path can select this node or anything below it.
    pub const DEAD: Self = Self(0);

    /// Its place among [`Program::states`], for tables that are kept beside a program.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a path in the slice that [`Program::compile`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(u32);

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
}

/// A set of compiled paths. Immutable; shared by all bodies that are read with it.
#[derive(Debug)]
pub struct Program {
    nodes: Box<[Node]>,
    /// Transitions by name, of all states.
    members: Members,
    /// Transitions by index, of all states; those of one state follow each other.
    runs: Box<[Run]>,
    cycles: Box<[State]>,
    /// The construction itself, for questions that are asked when a plan is compiled.
    sets: Box<[Box<[Position]>]>,
    paths: Box<[Path]>,
}

/// What the reader needs of a state.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where a member goes whose name is not spelled, and an element if `runs` is empty.
    other: State,
    /// Bit *n* is set if a name of *n* bytes is spelled, the last bit for all longer ones: most names
    /// that nobody spells are turned away without a lookup.
    lengths: u64,
    runs: (u32, u32),
}

/// Elements from index `from` on go to `cycles[first..]`, repeating after `period`.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    first: u32,
    period: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Position {
    path: PathId,
    /// How many segments have been matched; all of them means that the node is selected.
    matched: u32,
}

impl Program {
    /// Compiles paths into one automaton.
    pub fn compile(paths: &[Path]) -> Result<Self, ProgramError> {
        Compiler::new(paths).run()
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
        let found = self.members.find(state, name);
        found.map_or(unspelled, |state| Member { state, spelled: true })
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
        self.set(state).iter().filter(|at| self.segment(**at).is_none()).map(|at| at.path)
    }

    /// The paths that step from an object in this state to members whose names they do not spell,
    /// through a wildcard or on the way down of `..`; each with the index of the segment that does.
    pub fn reaching_unspelled(&self, state: State) -> impl Iterator<Item = (PathId, usize)> {
        let reaches = |at: &&Position| {
            self.segment(**at).is_some_and(|segment| {
                segment.descendant || segment.selectors.contains(&Selector::Wildcard)
            })
        };
        self.set(state).iter().filter(reaches).map(|at| (at.path, at.matched as usize))
    }

    /// Every state that some child of a container in this state can be in, in no order, perhaps
    /// repeated. Without a member or element that leads there, it is not among them.
    pub fn children(&self, state: State, kind: Kind) -> Vec<State> {
        let node = self.node(state);
        match kind {
            Kind::Object => {
                let spelled = self.set(state).iter().flat_map(|at| {
                    self.segment(*at).into_iter().flat_map(|segment| &segment.selectors)
                });
                let spelled = spelled.filter_map(|selector| match selector {
                    Selector::Name(name) => Some(self.member(state, name.as_bytes()).state),
                    Selector::Wildcard | Selector::Index(_) | Selector::Slice { .. } => None,
                });
                spelled.chain([node.other]).collect()
            }
            Kind::Array if node.runs.0 == node.runs.1 => vec![node.other],
            Kind::Array => {
                let runs = self.runs.iter().take(node.runs.1 as usize).skip(node.runs.0 as usize);
                runs.flat_map(|run| {
                    self.cycles.iter().skip(run.first as usize).take(run.period as usize)
                })
                .copied()
                .collect()
            }
        }
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

    #[expect(clippy::indexing_slicing, reason = "a state of another program is a bug: stop")]
    fn set(&self, state: State) -> &[Position] {
        &self.sets[state.index()]
    }

    fn segment(&self, at: Position) -> Option<&Segment> {
        segment(&self.paths, at)
    }
}

fn segment(paths: &[Path], at: Position) -> Option<&Segment> {
    paths.get(at.path.index())?.segments().get(at.matched as usize)
}

#[inline]
fn length_bit(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

/// The subset construction under way.
struct Compiler<'a> {
    paths: &'a [Path],
    sets: Vec<Box<[Position]>>,
    ids: HashMap<Box<[Position]>, State>,
    /// The states that are known to hold the positions of another one and some more: with many
    /// descendants, most steps lead to one of these.
    unions: HashMap<(State, Vec<Position>), State>,
    work: usize,
    nodes: Vec<Node>,
    members: Vec<Transition>,
    names: Vec<u8>,
    runs: Vec<Run>,
    cycles: Vec<State>,
}

/// What the positions of one state say about its children.
#[derive(Default)]
struct Steps<'a> {
    /// Positions that every child has.
    every: Vec<Position>,
    names: BTreeMap<&'a str, Vec<Position>>,
    indices: Vec<(Indices, Position)>,
}

/// The indices `start + n * step` below `end`.
#[derive(Clone, Copy)]
struct Indices {
    start: u64,
    end: u64,
    step: u64,
}

impl Indices {
    fn contains(self, index: u64) -> bool {
        (self.start..self.end).contains(&index) && (index - self.start).is_multiple_of(self.step)
    }
}

impl<'a> Compiler<'a> {
    fn new(paths: &'a [Path]) -> Self {
        Self {
            paths,
            sets: Vec::new(),
            ids: HashMap::new(),
            unions: HashMap::new(),
            work: 0,
            nodes: Vec::new(),
            members: Vec::new(),
            names: Vec::new(),
            runs: Vec::new(),
            cycles: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Program, ProgramError> {
        self.intern(Vec::new())?;
        let paths = count(self.paths.len())?;
        self.intern((0..paths).map(|path| Position { path: PathId(path), matched: 0 }).collect())?;
        while let Some(set) = self.sets.get(self.nodes.len()) {
            let steps = steps(self.paths, &set.clone());
            let node = self.node(steps)?;
            self.nodes.push(node);
        }
        Ok(Program {
            nodes: self.nodes.into_boxed_slice(),
            members: Members::new(&self.members, self.names.into_boxed_slice()),
            runs: self.runs.into_boxed_slice(),
            cycles: self.cycles.into_boxed_slice(),
            sets: self.sets.into_boxed_slice(),
            paths: self.paths.into(),
        })
    }

    /// Compiles the steps of the state whose node is the next.
    fn node(&mut self, steps: Steps<'_>) -> Result<Node, ProgramError> {
        let state = State(count(self.nodes.len())?);
        let other = self.intern(steps.every.clone())?;
        let mut lengths = 0;
        for (name, positions) in steps.names {
            let to = self.union(other, &steps.every, positions)?;
            let from = count(self.names.len())?;
            self.names.extend_from_slice(name.as_bytes());
            let name_ends = count(self.names.len())?;
            self.members.push(Transition { state, to, name: (from, name_ends) });
            lengths |= length_bit(name.len());
        }
        let first_run = count(self.runs.len())?;
        if !steps.indices.is_empty() {
            self.runs(other, &steps.every, &steps.indices)?;
        }
        Ok(Node { other, lengths, runs: (first_run, count(self.runs.len())?) })
    }

    /// Cuts the indices at every bound of a selector: in between, which selectors match repeats.
    fn runs(
        &mut self,
        other: State,
        every: &[Position],
        indices: &[(Indices, Position)],
    ) -> Result<(), ProgramError> {
        let mut bounds = vec![0];
        bounds.extend(indices.iter().flat_map(|(range, _)| [range.start, range.end]));
        bounds.retain(|bound| *bound < u64::MAX);
        bounds.sort_unstable();
        bounds.dedup();
        for (at, from) in bounds.iter().copied().enumerate() {
            let length = bounds.get(at + 1).map_or(u64::MAX, |next| next - from);
            let active =
                indices.iter().filter(|(range, _)| range.start <= from && from < range.end);
            let mut period = 1u64;
            for (range, _) in active {
                period = least_common_multiple(period, range.step).min(length);
                if period > PERIOD_MAX {
                    return Err(ProgramError::Period);
                }
            }
            let first = count(self.cycles.len())?;
            for index in from..from + period {
                let matching =
                    indices.iter().filter(|(range, _)| range.contains(index)).map(|(_, at)| *at);
                let to = self.union(other, every, matching.collect())?;
                self.cycles.push(to);
                self.spend(indices.len())?;
            }
            self.runs.push(Run { from, first, period: count(period)? });
        }
        Ok(())
    }

    /// The state with the positions of `other`, which are `every`, and some more.
    fn union(
        &mut self,
        other: State,
        every: &[Position],
        more: Vec<Position>,
    ) -> Result<State, ProgramError> {
        if self.members.len() + self.cycles.len() >= TRANSITIONS_MAX {
            return Err(ProgramError::Transitions);
        }
        self.spend(more.len())?;
        let key = (other, more);
        if let Some(known) = self.unions.get(&key) {
            return Ok(*known);
        }
        let state = self.intern([every, &key.1].concat())?;
        self.unions.insert(key, state);
        Ok(state)
    }

    fn spend(&mut self, positions: usize) -> Result<(), ProgramError> {
        self.work += positions;
        if self.work > WORK_MAX { Err(ProgramError::Work) } else { Ok(()) }
    }

    fn intern(&mut self, mut set: Vec<Position>) -> Result<State, ProgramError> {
        self.spend(set.len())?;
        set.sort_unstable();
        set.dedup();
        let set = set.into_boxed_slice();
        if let Some(known) = self.ids.get(&set) {
            return Ok(*known);
        }
        if self.sets.len() >= STATES_MAX {
            return Err(ProgramError::States);
        }
        let state = State(count(self.sets.len())?);
        self.sets.push(set.clone());
        self.ids.insert(set, state);
        Ok(state)
    }
}

fn steps<'a>(paths: &'a [Path], set: &[Position]) -> Steps<'a> {
    let mut steps = Steps::default();
    for at in set {
        let Some(segment) = segment(paths, *at) else { continue };
        if segment.descendant {
            steps.every.push(*at);
        }
        let next = Position { path: at.path, matched: at.matched + 1 };
        for selector in &segment.selectors {
            match selector {
                Selector::Name(name) => steps.names.entry(name).or_default().push(next),
                Selector::Wildcard => steps.every.push(next),
                Selector::Index(index) => {
                    let range = Indices { start: *index, end: index + 1, step: 1 };
                    steps.indices.push((range, next));
                }
                // RFC 9535, section 2.3.4.2.2: a step of 0 selects nothing.
                Selector::Slice { step: 0, .. } => {}
                Selector::Slice { start, end, step } => {
                    let end = end.unwrap_or(u64::MAX);
                    if *start < end {
                        steps.indices.push((Indices { start: *start, end, step: *step }, next));
                    }
                }
            }
        }
    }
    steps
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
