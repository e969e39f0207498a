//! The names that the paths of a set of policies spell: they are the policies' own words, and may be shown.

use crate::path::{Path, Segment, Selector};

/// One of the names of a [`Spelled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

/// All names of members that some path of a set of policies spells, whatever the route.
#[derive(Debug, Default)]
pub struct Spelled {
    /// In order, each with the step to a member of that name as a path writes it.
    names: Box<[(Box<str>, Box<str>)]>,
}

impl Spelled {
    pub(crate) fn of<'p>(paths: impl Iterator<Item = &'p Path>) -> Self {
        let selectors = paths.flat_map(Path::segments).flat_map(|segment| &segment.selectors);
        let mut names: Vec<&str> = selectors
            .filter_map(|selector| match selector {
                Selector::Name(name) => Some(name.as_str()),
                Selector::Wildcard
                | Selector::Index(_)
                | Selector::Slice { .. }
                | Selector::Filter(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        Self { names: names.into_iter().map(|name| (name.into(), step(name))).collect() }
    }

    /// Whether it is one of them, and which.
    pub fn find(&self, name: &str) -> Option<NameId> {
        let at = self.names.binary_search_by(|(one, _)| (**one).cmp(name)).ok()?;
        u32::try_from(at).ok().map(NameId)
    }

    fn get(&self, name: NameId) -> Option<&(Box<str>, Box<str>)> {
        self.names.get(usize::try_from(name.0).ok()?)
    }

    /// The name itself.
    pub fn name(&self, name: NameId) -> &str {
        self.get(name).map(|(name, _)| &**name).unwrap_or_default()
    }

    /// The step to a member of this name: `.name`, or `['first name']`.
    pub fn step(&self, name: NameId) -> &str {
        self.get(name).map(|(_, step)| &**step).unwrap_or_default()
    }
}

fn step(name: &str) -> Box<str> {
    let selectors = vec![Selector::Name(name.to_owned())];
    let path = Path::of(vec![Segment { descendant: false, selectors }]);
    path.to_string().strip_prefix('$').unwrap_or_default().into()
}
