//! Records whose names are looked up, and what becomes of them where they are mounted.

use std::sync::Arc;

use crate::{
    path::Path,
    policy::{
        model::{CategoryId, Delta, Field, Keeping, Unclassified},
        reader::At,
    },
    source::Place,
};

/// Most fields that one route can have once its records are expanded.
pub(super) const ROUTE_FIELDS_MAX: usize = 10_000;

/// Most selectors of their paths: a record that is mounted often repeats them.
pub(super) const ROUTE_SELECTORS_MAX: usize = 200_000;

/// A record whose names are looked up.
pub(super) struct Record {
    pub(super) name: At<String>,
    pub(super) lines: Vec<Line>,
    pub(super) unclassified: Unclassified,
}

/// A line that classifies, with its names looked up.
pub(super) struct Line {
    pub(super) path: At<Path>,
    pub(super) target: Target,
    pub(super) names: Option<CategoryId>,
    /// The segments that `names` is about, as bits.
    pub(super) named: u128,
    /// The names that are listed.
    pub(super) spells: Arc<[String]>,
    pub(super) delta: Delta,
    pub(super) embedded: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Category(CategoryId),
    Record(usize),
}

/// The fields of a route while its records are written out.
pub(super) struct Expansion<'a> {
    pub(super) route: &'a Place,
    /// Which records never end.
    pub(super) endless: &'a [bool],
    pub(super) fields: Vec<Field>,
    pub(super) keeping: Vec<Keeping>,
    /// How many selectors the paths of the fields have together.
    pub(super) selectors: usize,
}

impl Expansion<'_> {
    pub(super) fn is_too_large(&self) -> bool {
        self.fields.len() > ROUTE_FIELDS_MAX || self.selectors > ROUTE_SELECTORS_MAX
    }
}
