//! The sets of positions that states are, each of them once, in one piece.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::path::{ProgramError, State, subsets::Position};

/// The set of each state, by its number.
#[derive(Debug, Default)]
pub(super) struct Sets {
    positions: Vec<Position>,
    ends: Vec<usize>,
    ids: HashTable<State>,
    hashes: RandomState,
}

impl Sets {
    /// None, and room for so many.
    pub(super) fn with_capacity(states: usize) -> Self {
        Self {
            ends: Vec::with_capacity(states),
            ids: HashTable::with_capacity(states),
            ..Self::default()
        }
    }

    /// How many states there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many positions all states have together.
    pub(super) fn positions(&self) -> usize {
        self.positions.len()
    }

    /// As [`get`](Self::get); none if there is no such state.
    pub(super) fn find(&self, state: State) -> Option<&[Position]> {
        (state.index() < self.ends.len()).then(|| self.get(state))
    }

    /// The positions of a state, in order.
    pub(super) fn get(&self, state: State) -> &[Position] {
        get(&self.positions, &self.ends, state)
    }

    /// The state of a set whose positions are in order, each once; `most` are as many as there may be.
    pub(super) fn id(&mut self, set: &[Position], most: usize) -> Result<State, ProgramError> {
        let Self { positions, ends, ids, hashes } = self;
        let hash = hashes.hash_one(set);
        if let Some(known) = ids.find(hash, |state| get(positions, ends, *state) == set) {
            return Ok(*known);
        }
        if ends.len() >= most {
            return Err(ProgramError::States);
        }
        let state = State::numbered(ends.len())?;
        positions.extend_from_slice(set);
        ends.push(positions.len());
        ids.insert_unique(hash, state, |state| hashes.hash_one(get(positions, ends, *state)));
        Ok(state)
    }
}

fn get<'s>(positions: &'s [Position], ends: &[usize], state: State) -> &'s [Position] {
    let before = state.index().checked_sub(1).and_then(|before| ends.get(before));
    let from = before.copied().unwrap_or_default();
    ends.get(state.index()).and_then(|end| positions.get(from..*end)).unwrap_or_default()
}
