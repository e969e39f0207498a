//! What the filters that are asked of one value may cost, and what they have found out.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::json::filter::outline::Indeterminate;

/// Most steps that the filters take which are asked of one value and of all in it, for each byte of
/// it; and how many they may take of a short one. A step is a byte that is looked at, or a
/// comparison.
///
/// Filters within filters multiply: a value made for them could keep a core busy for hours. Over
/// the limit the filter is indeterminate, and the node is removed.
pub(crate) const STEPS_PER_BYTE: u64 = 1 << 10;
const STEPS_MIN: u64 = 1 << 20;

/// One answer of a filter in a query is remembered for so many bytes of the value.
const BYTES_PER_ANSWER: usize = 8;

/// Those of a name.
const QUOTES: usize = 2;

/// What the filters that are asked of one value, and of all in it, may cost, and what they have
/// found out.
#[derive(Debug)]
pub(crate) struct Evaluation {
    steps: u64,
    steps_max: u64,
    /// What filters in queries said of nodes, by where the filter stands in memory and where the
    /// node begins.
    answers: HashMap<(usize, u32), Result<bool, Indeterminate>, RandomState>,
    answers_max: usize,
    /// The longest name, quotes included, that can leave.
    name_bytes_max: usize,
}

impl Evaluation {
    /// About a value of so many bytes, of whose members those with a longer name do not leave.
    pub(crate) fn new(bytes: usize, name_bytes_max: usize) -> Self {
        Self {
            name_bytes_max: name_bytes_max.saturating_add(QUOTES),
            steps: 0,
            steps_max: STEPS_MIN.max((bytes as u64).saturating_mul(STEPS_PER_BYTE)),
            answers: HashMap::default(),
            answers_max: bytes / BYTES_PER_ANSWER,
        }
    }

    /// How many steps it has taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Notes that it has taken so many more; unclear if that is too many.
    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), Indeterminate> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.steps_max { Err(Indeterminate) } else { Ok(()) }
    }

    /// Whether so many bytes of a name, quotes included, are more than can leave.
    pub(crate) fn is_long_name(&self, quoted_bytes: usize) -> bool {
        quoted_bytes > self.name_bytes_max
    }

    /// The answer of a filter for a node, if it is known: see `note_answer`.
    pub(crate) fn known_answer(&self, key: (usize, u32)) -> Option<Result<bool, Indeterminate>> {
        self.answers.get(&key).copied()
    }

    /// Notes the answer of the filter that stands there in memory, for the node that begins there.
    /// What is too many is found out again.
    pub(crate) fn note_answer(&mut self, key: (usize, u32), answer: Result<bool, Indeterminate>) {
        if self.answers.len() < self.answers_max {
            self.answers.insert(key, answer);
        }
    }

    /// Begins once more, with the steps that it has taken: what was found out may not hold any
    /// more.
    pub(crate) fn forget(&mut self) {
        self.answers.clear();
    }
}
