//! What each path of a route takes of memory while a body goes by: known when the policies load, and shown by
//! `check` and `explain`.

use std::{collections::HashMap, fmt};

use crate::{
    path::{Class, Path},
    policy::{
        model::{Class as What, Field, Purpose, Route},
        set::{Answer, PolicySet},
    },
    transform::Action,
};

/// What has to be held to decide about a node, or to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Needs {
    /// Nothing: it is decided when it begins, and goes by.
    Nothing,
    /// A value, which is changed or holds a document.
    Value,
    /// So many more elements of the array.
    Window(u64),
    /// The rest of the array.
    Array,
    /// The element or member that a filter is asked of.
    Element,
    /// The document.
    Document,
}

impl Needs {
    /// The word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nothing => "streams",
            Self::Value => "value",
            Self::Window(_) => "window",
            Self::Array => "array",
            Self::Element => "element",
            Self::Document => "document",
        }
    }

    /// The setting that says how much of it there can be, in bytes.
    pub fn limit(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Value => Some("limits.value_bytes"),
            Self::Window(_) | Self::Array | Self::Element => Some("limits.candidate_bytes"),
            Self::Document => Some("limits.document_bytes"),
        }
    }
}

impl fmt::Display for Needs {
    /// In plain words, with the name of its limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("streams")?,
            Self::Value => f.write_str("holds one value")?,
            Self::Window(1) => f.write_str("waits for one more element, together")?,
            Self::Window(elements) => write!(f, "waits for {elements} more elements, together")?,
            Self::Array => f.write_str("waits for the end of the array, all elements together")?,
            Self::Element => f.write_str("holds one element")?,
            Self::Document => f.write_str("holds the whole document")?,
        }
        self.limit().map_or(Ok(()), |limit| write!(f, " up to `{limit}`"))
    }
}

/// All of it in words.
pub(crate) fn in_words(needs: &[Needs]) -> String {
    needs.iter().map(Needs::to_string).collect::<Vec<_>>().join("; ")
}

/// What one path of a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathNeeds {
    /// The path, as it stands on the route.
    pub path: String,
    /// What it takes, the least first; never empty.
    pub needs: Vec<Needs>,
}

/// What the paths of one route take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteNeeds {
    /// The api.
    pub api: String,
    /// The route.
    pub route: String,
    /// Its paths, in the order of the policies.
    pub paths: Vec<PathNeeds>,
}

impl PathNeeds {
    /// What it takes, in words.
    pub fn in_words(&self) -> String {
        in_words(&self.needs)
    }
}

impl RouteNeeds {
    /// What the route takes: of each kind the most.
    pub fn most(&self) -> Vec<Needs> {
        most(&self.paths)
    }
}

/// Of each limit what comes closest to it; only what is held, if anything is.
pub(crate) fn most(paths: &[PathNeeds]) -> Vec<Needs> {
    let mut all: Vec<Needs> = paths.iter().flat_map(|path| &path.needs).copied().collect();
    all.sort_unstable();
    all.dedup();
    let mut most: Vec<Needs> = Vec::new();
    for needs in all {
        match most.last_mut() {
            Some(last) if last.limit() == needs.limit() || *last == Needs::Nothing => *last = needs,
            Some(_) | None => most.push(needs),
        }
    }
    if most.is_empty() { vec![Needs::Nothing] } else { most }
}

impl PolicySet {
    /// What each path takes, for the purpose for which it takes most.
    pub fn needs(&self) -> Vec<RouteNeeds> {
        let needs = self.policies.routes().map(|(api, route)| {
            let answered = self.policies.purposes.iter().zip(self.answers(route));
            let purposes: Vec<&Purpose> = answered
                .filter(|(_, answer)| Answer::plan(answer).is_some())
                .map(|(purpose, _)| purpose)
                .collect();
            RouteNeeds {
                api: api.name.to_string(),
                route: route.label.to_string(),
                paths: of_route(route, &purposes),
            }
        });
        needs.collect()
    }
}

/// What the paths of a route take, for these purposes.
pub(crate) fn of_route(route: &Route, purposes: &[&Purpose]) -> Vec<PathNeeds> {
    let is_held = route.fields.iter().any(|field| field.path.asks_root());
    let mut paths: Vec<PathNeeds> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for field in &route.fields {
        let mut needs = Vec::new();
        if purposes.iter().any(|purpose| holds_value(field, purpose)) {
            needs.push(Needs::Value);
        }
        needs.extend(waits(&field.path, is_held));
        if needs.is_empty() {
            needs.push(Needs::Nothing);
        }
        let path = field.path.to_string();
        // A path can stand on a route more than once: in records that are mounted at one place.
        let place = *places.entry(path.clone()).or_insert(paths.len());
        if let Some(known) = paths.get_mut(place) {
            known.needs.extend(needs);
            known.needs = most(std::slice::from_ref(known));
        } else {
            paths.push(PathNeeds { path, needs });
        }
    }
    paths
}

/// Whether what a line is about is taken as a whole, to be changed or because it can hold a document.
fn holds_value(field: &Field, purpose: &Purpose) -> bool {
    let changes = |action: &Action| match action {
        Action::Pseudonym { .. } | Action::Generalise(_) | Action::Mask(_) => true,
        Action::Keep | Action::Null | Action::Drop | Action::Deny => false,
    };
    let value = match field.class {
        What::Category(category) => changes(field.action(purpose.action(category))),
        What::Mount { .. } => false,
    };
    value || field.embedded
}

/// What has to be there before it is known what a path selects.
fn waits(path: &Path, is_held: bool) -> Option<Needs> {
    let selectors = path.segments().iter().flat_map(|segment| &segment.selectors);
    let needs = selectors.filter_map(|selector| match selector.class() {
        Class::Streams => None,
        Class::Document => Some(Needs::Document),
        // The document is there, and with it all that they could wait for.
        Class::Window(_) | Class::Array | Class::Candidate if is_held => None,
        Class::Window(elements) => Some(Needs::Window(elements)),
        Class::Array => Some(Needs::Array),
        Class::Candidate => Some(Needs::Element),
    });
    needs.max()
}
