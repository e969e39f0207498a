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
    names: Names,
    ids: HashTable<NameId>,
    hashes: RandomState,
}

/// Names, one behind the other.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    fn get(&self, id: NameId) -> &str {
        let Ok(at) = usize::try_from(id.0) else { return "" };
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied();
        let name = end.and_then(|end| self.text.get(start.unwrap_or(0)..end));
        name.unwrap_or_default()
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }
}

impl Spelled {
    pub(crate) fn of<'f>(fields: impl Iterator<Item = &'f Field> + Clone) -> Self {
        // Most lines end in a name of their own.
        let lines = fields.clone().count();
        let mut spelled = Self {
            names: Names { text: String::new(), ends: Vec::with_capacity(lines) },
            ids: HashTable::with_capacity(lines),
            hashes: RandomState::default(),
        };
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
        let Ok(next) = u32::try_from(names.ends.len()) else { return };
        let is_it = |id: &NameId| names.get(*id) == name;
        let hash = |id: &NameId| hashes.hash_one(names.get(*id));
        if let Entry::Vacant(entry) = ids.entry(hashes.hash_one(name), is_it, hash) {
            entry.insert(NameId(next));
            names.push(name);
        }
    }

    /// Whether it is one of them, and which.
    pub fn find(&self, name: &str) -> Option<NameId> {
        let is_it = |id: &NameId| self.name(*id) == name;
        self.ids.find(self.hashes.hash_one(name), is_it).copied()
    }

    /// The name itself.
    pub fn name(&self, name: NameId) -> &str {
        self.names.get(name)
    }

    /// The step to a member of this name: `.name`, or `['first name']`.
    pub fn step(&self, name: NameId) -> String {
        let step = Segment::by(false, Selector::Name(self.name(name).to_owned()));
        let path = Path::of([step]).to_string();
        path.strip_prefix('$').unwrap_or_default().to_owned()
    }
}
