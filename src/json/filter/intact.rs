//! Who says whether all of an object or array leaves as it is, where the answer of a filter depends on that.

use crate::json::filter::{evaluation::Inquiry, outline::Unclear, value::Spot};

/// Who knows whether all of an object or array leaves as it is, of which the answer of a filter depends.
pub(crate) trait Kept {
    /// Whether it does: a container of the value that a filter is asked of, or of the document.
    fn is_kept(
        &mut self,
        spot: Spot<'_>,
        in_document: bool,
        inquiry: &mut Inquiry,
    ) -> Result<bool, Unclear>;

    /// The longest name that leaves.
    fn name_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Where nothing is withheld.
pub(crate) struct AllKept;

impl Kept for AllKept {
    fn is_kept(&mut self, _: Spot<'_>, _: bool, _: &mut Inquiry) -> Result<bool, Unclear> {
        Ok(true)
    }
}

/// Takes everything for kept, and notes that it mattered.
/// Takes everything for kept, and notes that it mattered.
#[derive(Default)]
pub(crate) struct Noting {
    was_asked: bool,
}

impl Noting {
    /// Whether a container was asked about.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked
    }
}

impl Kept for Noting {
    fn is_kept(&mut self, _: Spot<'_>, _: bool, _: &mut Inquiry) -> Result<bool, Unclear> {
        self.was_asked = true;
        Ok(true)
    }
}
