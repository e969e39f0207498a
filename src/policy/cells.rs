//! The categories that a route can give, each with what one purpose does to it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    access::{self, Labels},
    policy::{
        model::{Category, CategoryId, Class, Digest, Field, Header, Media, Stream},
        spelled::Spelled,
        verdict::CellId,
    },
    transform::{Action, Keys, Transform},
};

/// A category that the route can give, in a body or in a header, and what the purpose does to it: accesses
/// are counted by these.
#[derive(Debug)]
pub struct Cell {
    /// The name of the category.
    pub category: Arc<str>,
    /// The action.
    pub action: access::Action,
    /// The action, ready to be carried out.
    pub transform: Transform,
}

/// What a plan needs to know of its purpose.
#[derive(Clone)]
pub(crate) struct PlanParts<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) action: &'a dyn Fn(CategoryId) -> &'a Action,
    pub(crate) categories: &'a [Category],
    pub(crate) keys: &'a dyn Keys,
    pub(crate) labels: Labels,
    pub(crate) digest: Digest,
    pub(crate) stream: Arc<Stream>,
    pub(crate) spelled: Arc<Spelled>,
    pub(crate) headers: &'a [Header],
    /// Whether all bodies pass as they are.
    pub(crate) passes: bool,
    /// The media types of those that do.
    pub(crate) media: Vec<&'a Media>,
    /// Whether validators are given out.
    pub(crate) validates: bool,
}

/// The cells of a plan: one for each category that the fields and headers name, and another one where its pieces are
/// dropped.
pub(super) struct Cells {
    list: Vec<Cell>,
    ids: BTreeMap<(CategoryId, &'static str), CellId>,
}

impl Cells {
    /// Those of these fields and headers.
    pub(super) fn new(fields: &[Field], parts: &PlanParts<'_>) -> Self {
        let mut cells = Self { list: Vec::new(), ids: BTreeMap::new() };
        for field in fields {
            if let Class::Category(category) = field.class {
                cells.add(category, field.action((parts.action)(category)), parts);
            }
            if let Some(category) = field.names {
                cells.add(category, (parts.action)(category), parts);
            }
        }
        for header in parts.headers {
            cells.add(header.category, (parts.action)(header.category), parts);
        }
        cells
    }

    fn add(&mut self, category: CategoryId, action: &Action, parts: &PlanParts<'_>) {
        if self.ids.contains_key(&(category, action.word())) {
            return;
        }
        let declared = parts.categories.get(category.index());
        // Fewer than there are fields, and these are bounded.
        let id = CellId::numbered(self.list.len());
        self.ids.insert((category, action.word()), id);
        self.list.push(Cell {
            category: declared.map_or("public", |category| category.name.as_str()).into(),
            action: counted(action),
            transform: Transform::new(action, parts.purpose, parts.keys),
        });
    }

    /// All of them, by their numbers.
    pub(super) fn into_list(self) -> Arc<[Cell]> {
        self.list.into()
    }

    /// The cell of a category that some field names, under this action.
    pub(super) fn id(&self, category: CategoryId, action: &Action) -> CellId {
        self.ids.get(&(category, action.word())).copied().unwrap_or(CellId::numbered(usize::MAX))
    }
}

/// What an action is counted as.
fn counted(action: &Action) -> access::Action {
    match action {
        Action::Keep => access::Action::Keep,
        Action::Pseudonym { .. } => access::Action::Pseudonym,
        Action::Generalise(_) => access::Action::Generalise,
        Action::Mask(_) => access::Action::Mask,
        Action::Null => access::Action::Null,
        Action::Drop => access::Action::Drop,
        Action::Deny => access::Action::Deny,
    }
}
