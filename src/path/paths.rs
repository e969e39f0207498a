//! The paths of a program, and what they say of children before there is any state.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::path::{
    FilterId, Path, Segment, Selector,
    anywhere::Anywhere,
    from_end::{Elements, FromEnd, Indices},
    questions::{Filters, reached},
    state::{PathId, Position, ProgramError, Set},
};

/// The paths of a program, and what is known of them before there is any state.
#[derive(Debug)]
pub(super) struct Paths {
    all: Box<[Path]>,
    pub(super) anywhere: Anywhere,
    pub(super) filters: Filters,
    /// Of each path, how many of its segments there are up to the last that has a filter.
    filtered: Box<[u32]>,
}

impl Paths {
    pub(super) fn new(paths: &[Path], anywhere: Anywhere) -> Self {
        let has_filter = |segment: &Segment| {
            segment.selectors.iter().any(|one| matches!(one, Selector::Filter(_)))
        };
        let filtered = paths.iter().map(|path| {
            let numbered = (1..).zip(reached(path));
            numbered.filter(|(_, segment)| has_filter(segment)).last().map_or(0, |(last, _)| last)
        });
        let filtered = filtered.collect();
        Self { all: paths.into(), anywhere, filters: Filters::of(paths), filtered }
    }

    /// The positions of the root of a document.
    pub(super) fn begun(&self) -> Vec<Position> {
        let begun = (0..u32::MAX).zip(&self.all);
        let begun = begun.map(|(path, _)| Position { path: PathId(path), matched: 0 });
        begun.filter(|at| !self.anywhere.is_stood_for(*at)).collect()
    }

    /// The segment that comes next; none where the path has ended.
    pub(super) fn segment(&self, at: Position) -> Option<&Segment> {
        self.all.get(at.path.index())?.segments().get(at.matched as usize)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Those of these positions from where a path goes on.
    pub(super) fn leading_on(
        &self,
        set: impl Iterator<Item = Position>,
    ) -> impl Iterator<Item = Position> {
        set.filter(|at| self.segment(*at).is_some())
    }

    /// Every position from where a path goes on.
    pub(super) fn everywhere(&self) -> Vec<Position> {
        let paths = (0..u32::MAX).zip(&self.all);
        let positions = paths.flat_map(|(path, segments)| {
            let matched = (0..u32::MAX).zip(reached(segments));
            matched.map(move |(matched, _)| Position { path: PathId(path), matched })
        });
        positions.filter(|at| !self.anywhere.is_stood_for(*at)).collect()
    }

    /// The positions before the segments that spell a name, in order.
    pub(super) fn spelled(&self) -> HashMap<Box<str>, Vec<Position>, RandomState> {
        let mut spelled: HashMap<Box<str>, Vec<Position>, RandomState> = HashMap::default();
        for (path, segments) in (0..u32::MAX).map(PathId).zip(&self.all) {
            for (matched, segment) in (0..u32::MAX).zip(segments.segments()) {
                let at = Position { path, matched };
                for selector in &segment.selectors {
                    let Selector::Name(name) = selector else { continue };
                    if let Some(known) = spelled.get_mut(name.as_str()) {
                        known.push(at);
                    } else {
                        spelled.insert(name.as_str().into(), vec![at]);
                    }
                }
            }
        }
        spelled
    }

    /// Whether a filter may be asked on the way that is left from one of these positions.
    pub(super) fn ask_below(&self, positions: &[Position]) -> bool {
        let all = self.anywhere.paths();
        let mut positions = positions.iter().flat_map(|at| self.anywhere.spread(*at, all));
        positions.any(|at| self.filtered.get(at.path.index()).is_some_and(|to| at.matched < *to))
    }

    /// The paths that have ended.
    pub(super) fn ended(&self, positions: &[Position]) -> impl Iterator<Item = PathId> {
        positions.iter().filter(|at| self.segment(**at).is_none()).map(|at| at.path)
    }

    /// The paths that step to members whose names they do not spell, each with the index of the segment
    /// that does.
    pub(super) fn reaching_unspelled(
        &self,
        positions: impl Iterator<Item = Position>,
        anywhere: &[PathId],
    ) -> Vec<(PathId, usize)> {
        let reaches = |at: &Position| self.segment(*at).is_some_and(Segment::reaches_unspelled);
        let positions = positions.filter(reaches);
        let spread = positions.flat_map(|at| self.anywhere.spread(at, anywhere));
        let mut reaching: Vec<_> = spread.collect();
        reaching.sort_unstable();
        reaching.into_iter().map(|at| (at.path, at.matched as usize)).collect()
    }

    /// What these positions say about children, but for those by name.
    pub(super) fn next(&self, positions: &[Position]) -> Result<Next, ProgramError> {
        let mut next = Next::default();
        for at in positions {
            let Some(segment) = self.segment(*at) else { continue };
            if segment.descendant {
                next.every.more.push(*at);
            }
            if self.anywhere.is_all(*at) {
                continue;
            }
            let at = Position { path: at.path, matched: at.matched + 1 };
            for selector in &segment.selectors {
                match selector {
                    Selector::Name(_) => {}
                    Selector::Wildcard => next.every.more.push(at),
                    Selector::Filter(filter) => next.filters.push((self.filters.id(filter)?, at)),
                    Selector::Index(_) | Selector::Slice { .. } => match selector.elements() {
                        Some(Elements::Front(indices)) => next.indices.push((indices, at)),
                        Some(Elements::End(from_end)) => next.from_end.push((from_end, at)),
                        Some(Elements::Nothing) | None => {}
                    },
                }
            }
        }
        Ok(next)
    }

    /// The names that these positions spell, without those that are spelled everywhere, in order, each
    /// with what has been matched after it.
    pub(super) fn names(&self, positions: impl Iterator<Item = Position>) -> Vec<(&str, Position)> {
        let mut names: Vec<(u128, &str, Position)> =
            Vec::with_capacity(positions.size_hint().1.unwrap_or_default());
        for at in positions.filter(|at| !self.anywhere.is_all(*at)) {
            let after = Position { path: at.path, matched: at.matched + 1 };
            let selectors = self.segment(at).into_iter().flat_map(|segment| &segment.selectors);
            names.extend(selectors.filter_map(|selector| match selector {
                Selector::Name(name) => Some((first_bytes(name), name.as_str(), after)),
                Selector::Wildcard
                | Selector::Index(_)
                | Selector::Slice { .. }
                | Selector::Filter(_) => None,
            }));
        }
        names.sort_unstable();
        names.into_iter().map(|(_, name, after)| (name, after)).collect()
    }
}

/// The first bytes of a name as a number that is ordered as they are: most names differ in these.
fn first_bytes(name: &str) -> u128 {
    let mut bytes = [0; size_of::<u128>()];
    for (first, byte) in bytes.iter_mut().zip(name.bytes()) {
        *first = byte;
    }
    u128::from_be_bytes(bytes)
}

/// What the positions of a set say about children, whatever their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Next {
    /// Positions that every child has.
    pub(super) every: Set,
    pub(super) indices: Vec<(Indices, Position)>,
    pub(super) from_end: Vec<(FromEnd, Position)>,
    pub(super) filters: Vec<(FilterId, Position)>,
}

impl Next {
    /// The same, with what other positions say about children besides `every`.
    pub(super) fn add(&mut self, other: &Self) {
        self.indices.extend_from_slice(&other.indices);
        self.from_end.extend_from_slice(&other.from_end);
        self.filters.extend_from_slice(&other.filters);
    }

    /// How many positions it has besides those of `every`.
    pub(super) fn len(&self) -> usize {
        self.indices.len() + self.from_end.len() + self.filters.len()
    }

    /// Whether it depends on the index where an element goes.
    pub(super) fn asks_index(&self) -> bool {
        !self.indices.is_empty() || !self.from_end.is_empty()
    }

    pub(super) fn is_filtered(&self) -> bool {
        !self.filters.is_empty()
    }
}
