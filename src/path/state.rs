//! The words that the files of this room share: what a node has matched, and how that is numbered.

/// Largest number of states that are made before there is a document. A plan has a verdict for each of
/// them and each purpose; beyond this, states are made as a document meets them.
pub(super) const STATES_MAX: usize = 1 << 16;
/// Largest number of transitions, by name and by index, of all states together: they are what takes the
/// memory of a program, and the time to make one.
pub(super) const TRANSITIONS_MAX: usize = 1 << 20;
/// Longest period of the slices that one state can have between two of their bounds. A state has a table
/// with an entry for each element of it: slices by 7, 11 and 13 at one place take 1,001.
pub(super) const PERIOD_MAX: u64 = 4096;
/// How far from the end of an array a selector can count. What it can say of an element is worked out
/// beforehand for each distance from the end, and while a document is read the element waits until as
/// many others have begun.
pub(super) const FROM_END_MAX: u64 = 4096;

/// What a node has matched so far. Only meaningful with the [`Program`](crate::path::Program) that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State(u32);

impl State {
    /// No path can select this node or anything below it.
    pub const DEAD: Self = Self(0);

    /// That of a document's root, if any path can select anything.
    pub(super) const ROOT: Self = Self(1);

    /// It cannot be said what the node has matched: nothing of it may leave, nor of what is below.
    pub const LOST: Self = Self(Self::PENDING - 1);

    /// The bit that tells pending states from all others.
    const PENDING: u32 = 1 << 31;

    /// Whether it depends on answers what the node has matched: see [`Program::question`](crate::path::Program::question). Such a state
    /// is not among [`Automaton::states`](crate::path::Automaton::states), selects nothing and leads nowhere before it is settled.
    #[inline]
    pub fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }

    /// Its place among the pending states.
    pub(super) fn pending_index(self) -> Option<usize> {
        self.is_pending().then_some((self.0 & !Self::PENDING) as usize)
    }

    /// Its place among [`Automaton::states`](crate::path::Automaton::states), for tables that are kept beside a program.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// As many, in order.
    pub(super) fn all(states: usize) -> impl Iterator<Item = Self> + use<> {
        (0..u32::try_from(states).unwrap_or(u32::MAX)).map(Self)
    }

    /// The pending state of this number.
    pub(super) fn pending(number: usize) -> Result<Self, ProgramError> {
        Ok(Self(count(number)? | Self::PENDING))
    }

    /// The state of this number.
    pub(super) fn numbered(number: usize) -> Result<Self, ProgramError> {
        Ok(Self(count(number)?))
    }
}

/// The steps that states have in common which differ only in the paths that end there. Only meaningful
/// with the [`Program`](crate::path::Program) that gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row(u32);

impl Row {
    /// Without steps: that of the dead state, and of all states that no path goes on from.
    pub(super) const NONE: Self = Self(0);

    /// The row of this number.
    pub(super) fn numbered(number: usize) -> Result<Self, ProgramError> {
        Ok(Self(count(number)?))
    }

    /// As many, in order.
    pub(super) fn all(rows: usize) -> impl Iterator<Item = Self> + use<> {
        (0..u32::try_from(rows).unwrap_or(u32::MAX)).map(Self)
    }

    /// Its place among [`Automaton::rows`](crate::path::Automaton::rows), for tables that are kept beside a program.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a path in the slice that [`Program::compile`](crate::path::Program::compile) was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub(super) u32);

impl PathId {
    /// The path of this index.
    pub(crate) fn numbered(index: u32) -> Self {
        Self(index)
    }

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

/// A path, and how far along it a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) path: PathId,
    /// How many segments have been matched; all of them means that the node is selected.
    pub(super) matched: u32,
}

/// Positions that many sets have, by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Base(usize);

impl Base {
    /// None.
    pub(super) const EMPTY: Self = Self(0);

    /// The base of this number, from 1 on.
    pub(super) fn numbered(number: usize) -> Self {
        Self(number)
    }

    /// Its number; that of [`EMPTY`](Self::EMPTY) is 0.
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// A set that may not be a state yet: the positions of a base, and some more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Set {
    pub(super) base: Base,
    pub(super) more: Vec<Position>,
}

impl Set {
    /// These positions, none of them shared.
    pub(super) fn of(more: Vec<Position>) -> Self {
        Self { base: Base::EMPTY, more }
    }

    /// This set, with more.
    pub(super) fn and(&self, more: &[Position]) -> Self {
        Self { base: self.base, more: [self.more.as_slice(), more].concat() }
    }
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

/// Numbers in tables have 32 bits; what does not fit is too complex long before.
pub(super) fn count<N: TryInto<u32>>(number: N) -> Result<u32, ProgramError> {
    number.try_into().map_err(|_over| ProgramError::Work)
}
