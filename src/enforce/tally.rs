//! What left, and what was withheld: numbers by category and action.

use std::{fmt, sync::Arc};

use crate::{
    access::{Action, Count},
    policy::{CellId, Plan},
};

/// The category that is counted for what nobody classified.
const UNCLASSIFIED: &str = "unclassified";

/// The accesses of one response. What leaves is counted by value; what the plan withholds once per
/// response, whether the document had any or not, so that numbers tell nobody's record.
#[derive(Clone)]
pub struct Tally {
    plan: Arc<Plan>,
    /// By cell: done, and unfit.
    cells: Box<[(u64, u64)]>,
    unclassified_kept: u64,
    unclassified_unfit: u64,
    unclassified_withheld: bool,
}

impl Tally {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let cells = vec![(0, 0); plan.cells().len()].into_boxed_slice();
        Self {
            plan,
            cells,
            unclassified_kept: 0,
            unclassified_unfit: 0,
            unclassified_withheld: false,
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, cell: CellId) {
        if let Some((done, _)) = self.cells.get_mut(cell.index()) {
            *done += 1;
        }
    }

    pub(crate) fn count_unfit(&mut self, cell: CellId) {
        if let Some((_, unfit)) = self.cells.get_mut(cell.index()) {
            *unfit += 1;
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

    /// The numbers that are not zero, in the order of the route's fields.
    pub fn counts(&self) -> Vec<Count> {
        let mut counts = Vec::new();
        for (cell, (done, unfit)) in self.plan.cells().iter().zip(&self.cells) {
            let done = if cell.action.withholds() { 1 } else { *done };
            for (action, accesses) in [(cell.action, done), (Action::Unfit, *unfit)] {
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
