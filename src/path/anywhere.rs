//! Paths that begin with `..name`, or with several such names.
//!
//! They begin at every node, so each set of positions would have all of them, and each row all their
//! names. Instead one position stands for all of them, and the steps by their names are a row of its own,
//! which rows that go by all other names to the same state have behind them.

use std::ops::Range;

use crate::path::{
    Path, Segment, Selector,
    state::{PathId, Position},
};

/// The paths that begin everywhere.
#[derive(Debug, Default)]
pub(super) struct Anywhere {
    /// The beginning of the first one, for those of all.
    all: Option<Position>,
    /// In order.
    paths: Box<[PathId]>,
    /// The names that they begin with, in order, each with its place in `after`.
    names: Box<[(Box<str>, Range<usize>)]>,
    /// What has been matched after the names.
    after: Box<[Position]>,
}

impl Anywhere {
    /// Those of these paths that begin everywhere.
    pub(super) fn of(paths: &[Path]) -> Self {
        let begins = |path: &Path| path.segments().first().is_some_and(begins_anywhere);
        let numbered = (0..u32::MAX).map(PathId).zip(paths);
        let paths: Vec<(PathId, &Path)> = numbered.filter(|(_, path)| begins(path)).collect();
        let spelled = paths.iter().flat_map(|(id, path)| {
            let selectors = path.segments().first().into_iter().flat_map(|one| &one.selectors);
            let after = Position { path: *id, matched: 1 };
            selectors.filter_map(name).map(move |name| (name, after))
        });
        let mut spelled: Vec<(&str, Position)> = spelled.collect();
        spelled.sort_unstable();
        let mut ended = 0;
        let names = spelled.chunk_by(|(one, _), (other, _)| one == other);
        let names = names.filter_map(|same| {
            let (name, _) = same.first()?;
            let began = ended;
            ended += same.len();
            Some((Box::from(*name), began..ended))
        });
        let names = names.collect();
        let paths: Box<[PathId]> = paths.into_iter().map(|(id, _)| id).collect();
        let all = paths.first().map(|path| Position { path: *path, matched: 0 });
        Self { all, paths, names, after: spelled.into_iter().map(|(_, after)| after).collect() }
    }

    /// Whether this is the position that stands for all of them.
    pub(super) fn is_all(&self, at: Position) -> bool {
        self.all == Some(at)
    }

    /// The position that stands for the beginnings of all of them, if there are any.
    pub(super) fn beginning(&self) -> Option<Position> {
        self.all
    }

    /// Whether another position stands for this one.
    pub(super) fn is_stood_for(&self, at: Position) -> bool {
        at.matched == 0 && !self.is_all(at) && self.paths.binary_search(&at.path).is_ok()
    }

    /// The paths.
    pub(super) fn paths(&self) -> &[PathId] {
        &self.paths
    }

    /// The positions that this one stands for: itself, but for one, which stands for the beginnings of these
    /// paths.
    pub(super) fn spread(&self, at: Position, paths: &[PathId]) -> impl Iterator<Item = Position> {
        let all = if self.is_all(at) { paths } else { &[] };
        let itself = (!self.is_all(at)).then_some(at);
        all.iter().map(|path| Position { path: *path, matched: 0 }).chain(itself)
    }

    /// The names that they begin with, in order, each with what has been matched after it.
    pub(super) fn spelled(&self) -> impl Iterator<Item = (&str, &[Position])> {
        self.names.iter().map(|(name, after)| (&**name, self.after(after)))
    }

    /// The place of a name among these, and what has been matched after it.
    pub(super) fn find(&self, name: &[u8]) -> Option<(usize, &[Position])> {
        let at = self.names.binary_search_by_key(&name, |(one, _)| one.as_bytes()).ok()?;
        self.names.get(at).map(|(_, after)| (at, self.after(after)))
    }

    fn after(&self, places: &Range<usize>) -> &[Position] {
        self.after.get(places.clone()).unwrap_or_default()
    }
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
