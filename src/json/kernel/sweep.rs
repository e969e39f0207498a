//! Numbers at random, and how many: for the tests of this room.

use std::{env, ops::Range};

/// xorshift64*
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        // Never zero, which would stay zero: the factor is odd.
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The seeds of a sweep: as many as asked for here, more if `TAMIS_SEEDS` says so, or only the one
/// in `TAMIS_SEED`, which a failure prints.
pub(crate) fn seeds(at_least: u64) -> Range<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let many = number("TAMIS_SEEDS").unwrap_or(0).max(at_least);
    number("TAMIS_SEED").map_or(0..many, |seed| seed..seed + 1)
}
