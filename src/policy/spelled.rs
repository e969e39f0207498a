//! The names that the paths of a set of policies spell: they are the policies' own words, and may be shown.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use crate::{
    path::{Path, Segment, Selector},
    policy::model::Field,
};

/// One of the names of a [`Spelled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

/// All names of members that some path of a set of policies spells, whatever the route.
#[derive(Debug, Default)]
pub struct Spelled {
    names: Vec<Box<str>>,
    ids: HashTable<NameId>,
    hashes: RandomState,
}

impl Spelled {
    pub(crate) fn of<'f>(fields: impl Iterator<Item = &'f Field>) -> Self {
        let mut spelled = Self::default();
        for field in fields {
            for selector in field.path.segments().iter().flat_map(|segment| &segment.selectors) {
                match selector {
                    Selector::Name(name) => spelled.add(name),
                    Selector::Wildcard
                    | Selector::Index(_)
                    | Selector::Slice { .. }
                    | Selector::Filter(_) => {}
                }
            }
            field.spells.iter().for_each(|name| spelled.add(name));
        }
        spelled
    }

    fn add(&mut self, name: &str) {
        let Self { names, ids, hashes } = self;
        let Ok(next) = u32::try_from(names.len()) else { return };
        let is_it = |id: &NameId| named(names, *id) == name;
        let hash = |id: &NameId| hashes.hash_one(named(names, *id));
        if let Entry::Vacant(entry) = ids.entry(hashes.hash_one(name), is_it, hash) {
            entry.insert(NameId(next));
            names.push(name.into());
        }
    }

    /// Whether it is one of them, and which.
    pub fn find(&self, name: &str) -> Option<NameId> {
        let is_it = |id: &NameId| self.name(*id) == name;
        self.ids.find(self.hashes.hash_one(name), is_it).copied()
    }

    /// The name itself.
    pub fn name(&self, name: NameId) -> &str {
        named(&self.names, name)
    }

    /// The step to a member of this name: `.name`, or `['first name']`.
    pub fn step(&self, name: NameId) -> String {
        let selectors = vec![Selector::Name(self.name(name).to_owned())];
        let path = Path::of(vec![Segment { descendant: false, selectors }]).to_string();
        path.strip_prefix('$').unwrap_or_default().to_owned()
    }
}

fn named(names: &[Box<str>], id: NameId) -> &str {
    let name = usize::try_from(id.0).ok().and_then(|at| names.get(at));
    name.map(|name| &**name).unwrap_or_default()
}
