//! Who says whether all of an object or array leaves as it is, where the answer of a filter depends
//! on that.

use crate::json::filter::{evaluation::Evaluation, outline::Indeterminate, value::ValueRef};

/// Who knows whether all of an object or array leaves as it is, of which the answer of a filter
/// depends.
pub(crate) trait IntactCheck {
    /// Whether it does: a container of the value that a filter is asked of, or of the document.
    fn is_intact(
        &mut self,
        value_ref: ValueRef<'_>,
        in_document: bool,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Indeterminate>;

    /// The longest name that leaves.
    fn name_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Where nothing is withheld.
pub(crate) struct AssumeIntact;

impl IntactCheck for AssumeIntact {
    fn is_intact(
        &mut self,
        _: ValueRef<'_>,
        _: bool,
        _: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        Ok(true)
    }
}

/// Takes everything for intact, and notes that it mattered.
#[derive(Default)]
pub(crate) struct RecordingCheck {
    was_asked: bool,
}

impl RecordingCheck {
    /// Whether a container was asked about.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked
    }
}

impl IntactCheck for RecordingCheck {
    fn is_intact(
        &mut self,
        _: ValueRef<'_>,
        _: bool,
        _: &mut Evaluation,
    ) -> Result<bool, Indeterminate> {
        self.was_asked = true;
        Ok(true)
    }
}
