//! Paths that begin with `..name`, or with several such names.
//!
//! They begin at every node, so each set of positions would have all of them, and each row all their
//! names. Instead one position stands for all of them, and the steps by their names are a row of its own,
//! which rows that go by all other names to the same state have behind them.

use crate::path::{Path, PathId, Segment, Selector, program::Position};

/// The paths that begin everywhere.
#[derive(Debug, Default)]
pub(super) struct Anywhere {
    /// The beginning of the first one, for those of all.
    all: Option<Position>,
    /// In order.
    paths: Box<[PathId]>,
}

/// The names that they begin with, in order, each with what has been matched after it.
pub(super) type Spelled<'p> = Vec<(&'p str, Vec<Position>)>;

impl Anywhere {
    /// Those of these paths that begin everywhere.
    pub(super) fn of(paths: &[Path]) -> (Self, Spelled<'_>) {
        let begins = |path: &Path| path.segments().first().is_some_and(begins_anywhere);
        let numbered = (0..u32::MAX).map(PathId).zip(paths);
        let paths: Vec<(PathId, &Path)> = numbered.filter(|(_, path)| begins(path)).collect();
        let names = paths.iter().flat_map(|(id, path)| {
            let selectors = path.segments().first().into_iter().flat_map(|one| &one.selectors);
            let after = Position { path: *id, matched: 1 };
            selectors.filter_map(name).map(move |name| (name, after))
        });
        let mut names: Vec<(&str, Position)> = names.collect();
        names.sort_unstable();
        let spelled = names.chunk_by(|(one, _), (other, _)| one == other);
        let spelled = spelled.filter_map(|same| {
            let (name, _) = same.first()?;
            Some((*name, same.iter().map(|(_, after)| *after).collect()))
        });
        let spelled = spelled.collect();
        let paths: Box<[PathId]> = paths.into_iter().map(|(id, _)| id).collect();
        let all = paths.first().map(|path| Position { path: *path, matched: 0 });
        (Self { all, paths }, spelled)
    }

    /// Whether this is the position that stands for all of them.
    pub(super) fn is_all(&self, at: Position) -> bool {
        self.all == Some(at)
    }

    /// Whether another position stands for this one.
    pub(super) fn is_stood_for(&self, at: Position) -> bool {
        at.matched == 0 && !self.is_all(at) && self.paths.binary_search(&at.path).is_ok()
    }

    /// The positions that this one stands for: itself, but for one.
    pub(super) fn spread(&self, at: Position) -> impl Iterator<Item = Position> {
        let all = if self.is_all(at) { &*self.paths } else { &[] };
        let itself = (!self.is_all(at)).then_some(at);
        all.iter().map(|path| Position { path: *path, matched: 0 }).chain(itself)
    }
}

/// The place of a name, and what has been matched after it.
pub(super) fn find<'s>(spelled: &'s Spelled<'_>, name: &str) -> Option<(usize, &'s [Position])> {
    let at = spelled.binary_search_by_key(&name, |(one, _)| one).ok()?;
    spelled.get(at).map(|(_, after)| (at, after.as_slice()))
}

fn begins_anywhere(segment: &Segment) -> bool {
    segment.descendant && segment.selectors.iter().all(|selector| name(selector).is_some())
}

fn name(selector: &Selector) -> Option<&str> {
    match selector {
        Selector::Name(name) => Some(name),
        Selector::Wildcard | Selector::Index(_) | Selector::Slice { .. } | Selector::Filter(_) => {
            None
        }
    }
}
