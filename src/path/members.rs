//! The steps by name of all rows, in one flat table.
//!
//! A name that no path spells is mostly turned away before it comes here; one that is spelled is found
//! in the first or second slot, and one of at most 16 bytes is compared as two numbers.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::{SharedSeed, fast::FoldHasher, quality::RandomState};

use crate::path::state::{Row, State};

/// A state of `row` goes to `to` by the name `names[name.0..name.1]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub(crate) row: Row,
    pub(crate) to: State,
    pub(crate) name: (u32, u32),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Members {
    /// A power of two of them, at most half of them taken.
    slots: Box<[Slot]>,
    names: Box<[u8]>,
    /// Another one for each table: who writes documents cannot know which names are looked up the longest.
    seed: u64,
}

/// A free slot has the row without steps.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    ends: Ends,
    row: Row,
    to: State,
    name: (u32, u32),
}

/// The first and the last bytes of a name: of one of at most [`ENDS_BYTES`] all that there is to know,
/// together with its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends(u64, u64);

const ENDS_BYTES: usize = 16;

impl Ends {
    #[inline]
    fn of(name: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk()) {
            Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk()) {
            Self(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
        } else if let (Some(first), Some(last)) = (name.first_chunk::<2>(), name.last_chunk()) {
            Self(u16::from_le_bytes(*first).into(), u16::from_le_bytes(*last).into())
        } else {
            Self(name.first().copied().unwrap_or_default().into(), 0)
        }
    }
}

impl Members {
    /// The table of steps whose names are in `names`. No two of a row have the same name.
    pub(crate) fn new(transitions: &[Transition], names: Box<[u8]>) -> Self {
        let slots = (transitions.len() * 2).next_power_of_two();
        let seed = RandomState::default().hash_one(slots);
        let mut table = Self { slots: vec![Slot::default(); slots].into(), names, seed };
        for Transition { row, to, name } in transitions {
            let bytes = table.name(*name);
            let ends = Ends::of(bytes);
            let mut at = hash(seed, *row, bytes, ends);
            while let Some(slot) = table.slot_mut(at) {
                if slot.row == Row::NONE {
                    *slot = Slot { ends, row: *row, to: *to, name: *name };
                    break;
                }
                at = at.wrapping_add(1);
            }
        }
        table
    }

    /// Where the states of a row go by this name, if a path spells it there.
    #[inline]
    pub(crate) fn find(&self, row: Row, name: &[u8]) -> Option<State> {
        let ends = Ends::of(name);
        let mut at = hash(self.seed, row, name, ends);
        loop {
            let slot = self.slot(at)?;
            if slot.row == row
                && slot.ends == ends
                && (slot.name.1 - slot.name.0) as usize == name.len()
                && (name.len() <= ENDS_BYTES || self.name(slot.name) == name)
            {
                return Some(slot.to);
            }
            if slot.row == Row::NONE {
                return None;
            }
            at = at.wrapping_add(1);
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "of a hash any bits will do")]
    fn slot(&self, at: u64) -> Option<Slot> {
        self.slots.get(at as usize & self.slots.len().wrapping_sub(1)).copied()
    }

    #[expect(clippy::cast_possible_truncation, reason = "of a hash any bits will do")]
    fn slot_mut(&mut self, at: u64) -> Option<&mut Slot> {
        let at = at as usize & self.slots.len().wrapping_sub(1);
        self.slots.get_mut(at)
    }

    #[inline]
    fn name(&self, (from, to): (u32, u32)) -> &[u8] {
        self.names.get(from as usize..to as usize).unwrap_or_default()
    }
}

/// Long names are hashed in full, for a policy may have many that begin and end alike.
#[inline]
fn hash(seed: u64, row: Row, name: &[u8], ends: Ends) -> u64 {
    if name.len() > ENDS_BYTES {
        let seed = seed.wrapping_add(row.index() as u64);
        let mut hasher = FoldHasher::with_seed(seed, SharedSeed::global_fixed());
        hasher.write(name);
        return hasher.finish();
    }
    let place = (row.index() as u64) << 32 ^ name.len() as u64;
    let product = u128::from(ends.0 ^ seed) * u128::from(ends.1 ^ seed.rotate_left(32) ^ place);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}
