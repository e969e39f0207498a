//! What left, and what was withheld: numbers by category and action.

use std::{fmt, sync::Arc};

use crate::{
    access::{Action, Count},
    policy::{CellId, OPAQUE, Plan},
};

/// The category that is counted for what nobody classified.
const UNCLASSIFIED: &str = "unclassified";

/// The accesses of one response, with its head and its body. What leaves is counted by value; what the plan withholds
/// once per response, whether there was any or not, so that numbers tell nobody's record.
#[derive(Clone)]
pub struct Tally {
    plan: Arc<Plan>,
    cells: Box<[Accesses]>,
    /// Whether the body passed as it is.
    passed: bool,
    unclassified_kept: u64,
    unclassified_unfit: u64,
    unclassified_withheld: bool,
}

/// What is counted under one cell.
#[derive(Clone, Copy, Default)]
struct Accesses {
    /// Whether the head, or the body, could have any.
    could_be: bool,
    done: u64,
    unfit: u64,
}

impl Tally {
    /// That of a body which goes through this plan.
    pub(crate) fn of_body(plan: Arc<Plan>) -> Self {
        let cells = vec![Accesses { could_be: true, ..Accesses::default() }; plan.cells().len()];
        Self { cells: cells.into(), ..Self::none(plan) }
    }

    /// That of a head which goes through this plan.
    pub(crate) fn of_head(plan: &Arc<Plan>) -> Self {
        let mut tally = Self::none(Arc::clone(plan));
        for (_, cell) in plan.headers() {
            if let Some(accesses) = tally.cells.get_mut(cell.index()) {
                accesses.could_be = true;
            }
        }
        tally
    }

    fn none(plan: Arc<Plan>) -> Self {
        let cells = vec![Accesses::default(); plan.cells().len()].into();
        Self {
            plan,
            cells,
            passed: false,
            unclassified_kept: 0,
            unclassified_unfit: 0,
            unclassified_withheld: false,
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, cell: CellId) {
        if let Some(accesses) = self.cells.get_mut(cell.index()) {
            accesses.done += 1;
        }
    }

    pub(crate) fn count_unfit(&mut self, cell: CellId) {
        if let Some(accesses) = self.cells.get_mut(cell.index()) {
            accesses.unfit += 1;
        }
    }

    pub(crate) fn keep_unclassified(&mut self, scalars: u64) {
        self.unclassified_kept += scalars;
    }

    /// A text that no category is said of was to hold a document, and does not; or a node could not be
    /// judged, and is of no one category.
    pub(crate) fn count_unfit_unclassified(&mut self) {
        self.unclassified_unfit += 1;
    }

    pub(crate) fn withhold_unclassified(&mut self) {
        self.unclassified_withheld = true;
    }

    /// The body passes as it is.
    pub(crate) fn pass(&mut self) {
        self.passed = true;
    }

    /// Adds what was counted of another part of the same response, under the same plan.
    pub(crate) fn add(&mut self, part: &Self) {
        for (known, more) in self.cells.iter_mut().zip(&part.cells) {
            known.could_be |= more.could_be;
            known.done += more.done;
            known.unfit += more.unfit;
        }
        self.passed |= part.passed;
        self.unclassified_kept += part.unclassified_kept;
        self.unclassified_unfit += part.unclassified_unfit;
        self.unclassified_withheld |= part.unclassified_withheld;
    }

    /// The numbers that are not zero, in the order of the route's fields.
    pub fn counts(&self) -> Vec<Count> {
        let mut counts = Vec::new();
        if self.passed {
            counts.push(Count { category: OPAQUE.into(), action: Action::Keep, accesses: 1 });
        }
        for (cell, of_cell) in self.plan.cells().iter().zip(&self.cells) {
            let done = if cell.action.withholds() { of_cell.could_be.into() } else { of_cell.done };
            for (action, accesses) in [(cell.action, done), (Action::Unfit, of_cell.unfit)] {
                if accesses > 0 {
                    counts.push(Count { category: Arc::clone(&cell.category), action, accesses });
                }
            }
        }
        for (action, accesses) in
            [(Action::Keep, self.unclassified_kept), (Action::Unfit, self.unclassified_unfit)]
        {
            if accesses > 0 {
                counts.push(Count { category: UNCLASSIFIED.into(), action, accesses });
            }
        }
        counts
    }

    /// Whether something was withheld because nobody classified it.
    pub fn unclassified(&self) -> bool {
        self.unclassified_withheld
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}
