//! The sets of positions that states are, each of them once.
//!
//! Where thousands of paths go on below every node, the sets of one document are mostly the same long list,
//! with a few positions beside it. So a set is a [`Base`], which many sets share, and some more.

use std::{hash::BuildHasher as _, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::path::{
    anywhere::Anywhere,
    paths::{Next, Paths},
    state::{Base, PathId, Position, ProgramError, Set, State},
};

/// The positions of a state: two lists, each in order, that have none in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positions<'s> {
    pub(super) base: &'s Shared,
    pub(super) more: &'s [Position],
}

impl<'s> Positions<'s> {
    pub(super) fn iter(self) -> impl Iterator<Item = Position> + 's {
        self.base.positions.iter().chain(self.more).copied()
    }

    pub(super) fn contains(self, at: Position) -> bool {
        self.base.contains(at) || self.more.binary_search(&at).is_ok()
    }

    /// Whether the paths that begin everywhere go on from here.
    pub(super) fn begin(self, anywhere: &Anywhere) -> bool {
        anywhere.beginning().is_some_and(|at| self.contains(at))
    }

    pub(super) fn len(self) -> usize {
        self.base.positions.len() + self.more.len()
    }
}

/// The positions of a base, and what follows from them whatever else a set has.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// In order, each once.
    pub(super) positions: Box<[Position]>,
    /// The paths that have ended.
    pub(super) selected: Box<[PathId]>,
    /// Whether a filter may be asked on the way that is left.
    pub(super) ask_below: bool,
    /// What they say about children.
    pub(super) next: Next,
    hash: u64,
}

impl Shared {
    pub(super) fn contains(&self, at: Position) -> bool {
        self.positions.binary_search(&at).is_ok()
    }
}

/// The set of each state, by its number.
#[derive(Debug)]
pub(super) struct Sets {
    /// By their numbers from 1 on.
    bases: Vec<Arc<Shared>>,
    empty: Arc<Shared>,
    base_ids: HashTable<Base>,
    /// How many positions all bases have together.
    shared: usize,
    states: Vec<Entry>,
    more: Vec<Position>,
    ids: HashTable<State>,
    hashes: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    base: Base,
    /// Where its positions besides the base end, of those of all states.
    end: usize,
}

impl Sets {
    /// None, and room for so many. Bases can go from one to another that has the same `hashes`.
    pub(super) fn new(states: usize, hashes: RandomState) -> Self {
        Self {
            bases: Vec::new(),
            empty: Arc::default(),
            base_ids: HashTable::new(),
            shared: 0,
            states: Vec::with_capacity(states),
            more: Vec::new(),
            ids: HashTable::with_capacity(states),
            hashes,
        }
    }

    /// How many states there are.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// How many positions are stored for all states together.
    pub(super) fn positions(&self) -> usize {
        self.shared + self.more.len()
    }

    /// The positions of a state; none of one that there is not.
    pub(super) fn get(&self, state: State) -> Positions<'_> {
        let base = self.shared(self.base(state));
        Positions { base, more: of_state(&self.states, &self.more, state).1 }
    }

    /// The base of a state.
    pub(super) fn base(&self, state: State) -> Base {
        of_state(&self.states, &self.more, state).0
    }

    /// The set of a state.
    pub(super) fn set(&self, state: State) -> Set {
        Set { base: self.base(state), more: self.get(state).more.to_vec() }
    }

    /// The positions of a base.
    pub(super) fn shared(&self, base: Base) -> &Arc<Shared> {
        shared(&self.bases, base).unwrap_or(&self.empty)
    }

    /// The base of these positions, which are in order, each once.
    pub(super) fn share(
        &mut self,
        positions: &[Position],
        paths: &Paths,
    ) -> Result<Base, ProgramError> {
        let hash = self.hashes.hash_one(positions);
        if let Some(known) = self.find_base(hash, positions) {
            return Ok(known);
        }
        Ok(self.put_base(Arc::new(Shared {
            selected: paths.ended(positions).collect(),
            ask_below: paths.ask_below(positions),
            next: paths.next(positions)?,
            positions: positions.into(),
            hash,
        })))
    }

    /// A base of other sets, in these.
    pub(super) fn adopt(&mut self, base: &Arc<Shared>) -> Base {
        if base.positions.is_empty() {
            return Base::EMPTY;
        }
        let mut bases = (1..).map(Base::numbered).zip(&self.bases);
        let known = bases.find(|(_, known)| Arc::ptr_eq(known, base)).map(|(known, _)| known);
        known.unwrap_or_else(|| self.put_base(Arc::clone(base)))
    }

    fn find_base(&self, hash: u64, positions: &[Position]) -> Option<Base> {
        let is = |base: &Base| &*self.shared(*base).positions == positions;
        self.base_ids.find(hash, is).copied()
    }

    fn put_base(&mut self, put: Arc<Shared>) -> Base {
        let hash = put.hash;
        self.shared += put.positions.len();
        self.bases.push(put);
        let base = Base::numbered(self.bases.len());
        let bases = &self.bases;
        let rehash = |base: &Base| shared(bases, *base).map_or(0, |base| base.hash);
        self.base_ids.insert_unique(hash, base, rehash);
        base
    }

    /// The state of a base and some more, which are in order, each once, and not of the base; `most` are as many
    /// states as there may be.
    pub(super) fn id(
        &mut self,
        base: Base,
        positions: &[Position],
        most: usize,
    ) -> Result<State, ProgramError> {
        let Self { states, more: all, ids, hashes, .. } = self;
        let hash = hashes.hash_one((base, positions));
        let is = |state: &State| (base, positions) == of_state(states, all, *state);
        if let Some(known) = ids.find(hash, is) {
            return Ok(*known);
        }
        if states.len() >= most {
            return Err(ProgramError::States);
        }
        let state = State::numbered(states.len())?;
        all.extend_from_slice(positions);
        states.push(Entry { base, end: all.len() });
        ids.insert_unique(hash, state, |state| hashes.hash_one(of_state(states, all, *state)));
        Ok(state)
    }
}

fn shared(bases: &[Arc<Shared>], base: Base) -> Option<&Arc<Shared>> {
    bases.get(base.index().checked_sub(1)?)
}

/// The base of a state, and its positions besides.
fn of_state<'s>(states: &[Entry], all: &'s [Position], state: State) -> (Base, &'s [Position]) {
    let Some(entry) = states.get(state.index()) else { return Default::default() };
    let before = state.index().checked_sub(1).and_then(|before| states.get(before));
    let from = before.map_or(0, |before| before.end);
    (entry.base, all.get(from..entry.end).unwrap_or_default())
}
