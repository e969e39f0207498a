//! What the lines of a route say for one purpose, and whose action is carried out where several meet.

use std::collections::BTreeMap;

use crate::{
    path::PathId,
    policy::{
        cells::{Cells, PlanParts},
        model::{CategoryId, Class, Field},
        verdict::{CellId, Names, Own, Strings},
    },
    transform::Action,
};

/// The lines of a route, by their paths.
#[derive(Debug)]
pub(super) struct Lines(Box<[Line]>);

#[derive(Debug)]
struct Line {
    value: Option<Weight>,
    names: Option<Weight>,
    /// The segments of which the line says what its names are, as bits.
    named: u128,
    own_from: usize,
    mount: Option<bool>,
    embedded: bool,
    filtered: bool,
}

/// How much the action of one line weighs against that of another.
#[derive(Clone, Copy, Debug)]
struct Weight {
    /// That of the action.
    rank: u8,
    /// The place of the category: a declared one before `public`, and then by name.
    category: usize,
    /// The same for actions of one rank that do the same.
    parameters: usize,
    cell: CellId,
    treatment: Treatment,
}

/// What an action comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Keep,
    Pseudonym,
    Change,
    Null,
    Drop,
}

impl Treatment {
    fn of(action: &Action) -> Self {
        match action {
            Action::Keep => Self::Keep,
            Action::Pseudonym { .. } => Self::Pseudonym,
            Action::Generalise(_) | Action::Mask(_) => Self::Change,
            Action::Null => Self::Null,
            // A route that can give what is denied is refused before there is a body.
            Action::Drop | Action::Deny => Self::Drop,
        }
    }
}

/// Two lines of the same rank that would do different things to what they meet at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rivals {
    pub(super) first: PathId,
    pub(super) second: PathId,
    /// Whether a filter decides if they meet.
    pub(super) filtered: bool,
}

impl Lines {
    pub(super) fn new(fields: &[Field], parts: &PlanParts<'_>, cells: &Cells) -> Self {
        let mut weights = Weights::new(fields, parts);
        let lines = fields.iter().map(|field| {
            let (value, mount) = match field.class {
                Class::Category(category) => {
                    let action = field.action((parts.action)(category));
                    (Some(weights.weigh(category, action, parts, cells)), None)
                }
                Class::Mount { keeps_unclassified } => (None, Some(keeps_unclassified)),
            };
            let names = field
                .names
                .map(|category| weights.weigh(category, (parts.action)(category), parts, cells));
            Line {
                value,
                names,
                named: field.named,
                own_from: field.own_from,
                mount,
                embedded: field.embedded,
                filtered: field.path.has_filter(),
            }
        });
        Self(lines.collect())
    }

    fn line(&self, path: PathId) -> Option<&Line> {
        self.0.get(path.index())
    }

    /// What happens to a value that these paths select.
    pub(super) fn own(&self, selected: &[PathId], rivals: &mut Vec<Rivals>) -> Own {
        let weights = selected.iter().filter_map(|path| Some((*path, self.line(*path)?.value?)));
        let known = rivals.len();
        let Some((_, strictest)) = self.strictest(weights, rivals) else { return Own::None };
        if rivals.len() > known {
            return Own::Drop;
        }
        match strictest.treatment {
            Treatment::Keep => Own::Keep(strictest.cell),
            Treatment::Pseudonym | Treatment::Change => Own::Change(strictest.cell),
            Treatment::Null => Own::Null,
            Treatment::Drop => Own::Drop,
        }
    }

    /// What happens to the names that these paths reach without spelling them, each through the segment of
    /// this number.
    pub(super) fn names(
        &self,
        reaching: impl Iterator<Item = (PathId, usize)>,
        rivals: &mut Vec<Rivals>,
    ) -> Names {
        let weights = self.naming(reaching);
        let known = rivals.len();
        let Some((_, strictest)) = self.strictest(weights, rivals) else {
            return Names::Unclassified;
        };
        match strictest.treatment {
            Treatment::Pseudonym if rivals.len() == known => Names::Change(strictest.cell),
            Treatment::Pseudonym => Names::Drop,
            Treatment::Keep => Names::Keep(strictest.cell),
            // These remove the member, whatever their parameters.
            Treatment::Change | Treatment::Null | Treatment::Drop => {
                rivals.truncate(known);
                Names::Drop
            }
        }
    }

    /// What lines say of names that they reach. A line speaks for its own steps, not for those of the mounts above
    /// it: whoever says that the names inside of a record are field names says nothing of the keys under which it
    /// is filed.
    fn naming(
        &self,
        reaching: impl Iterator<Item = (PathId, usize)>,
    ) -> impl Iterator<Item = (PathId, Weight)> {
        reaching.filter_map(|(path, segment)| {
            let line = self.line(path)?;
            let bit = u32::try_from(segment).ok().and_then(|at| line.named.checked_shr(at))?;
            Some((path, line.names.filter(|_| bit & 1 == 1)?))
        })
    }

    /// The fewest of these that come to the same as all of them, whatever else reaches the name.
    pub(super) fn leading_in_names(
        &self,
        reaching: impl Iterator<Item = (PathId, usize)>,
    ) -> Vec<(PathId, usize)> {
        let mut rivals = Vec::new();
        let leader = self.strictest(self.naming(reaching), &mut rivals).map(|(leader, _)| leader);
        let rivals = rivals.first().map(|rivals| [rivals.first, rivals.second]);
        let leading = leader.into_iter().chain(rivals.into_iter().flatten());
        // Any segment that it speaks of stands for all.
        let spoken_of =
            |path: PathId| usize::try_from(self.line(path)?.named.trailing_zeros()).ok();
        leading.filter_map(|path| Some((path, spoken_of(path)?))).collect()
    }

    /// Where records are mounted at a node that these paths select: whether all of them keep what is
    /// unclassified.
    pub(super) fn mount(&self, selected: &[PathId]) -> Option<bool> {
        let mounts = selected.iter().filter_map(|path| self.line(*path)?.mount);
        mounts.reduce(|one, other| one && other)
    }

    pub(super) fn strings(&self, selected: &[PathId]) -> Strings {
        let mut lines = selected.iter().filter_map(|path| self.line(*path));
        if lines.any(|line| line.embedded) { Strings::Documents } else { Strings::Text }
    }

    /// Whether a path by itself would remove what it selects; none if it only mounts records.
    pub(super) fn drops(&self, path: PathId) -> Option<bool> {
        let value = self.line(path)?.value?;
        Some(value.treatment == Treatment::Drop)
    }

    /// The paths by what can be at odds, values and then names: a pair is if it has one rank and not the same
    /// parameters.
    pub(super) fn contests(&self) -> [Vec<Contestant>; 2] {
        let numbered = || (0..u32::MAX).map(PathId::numbered).zip(&self.0);
        let contestant = |path, line: &Line, weight: Weight| Contestant {
            path,
            rank: weight.rank,
            parameters: weight.parameters,
            own_from: line.own_from,
            filtered: line.filtered,
        };
        let values = numbered()
            .filter_map(|(path, line)| Some(contestant(path, line, line.value?)))
            .collect();
        let names = numbered().filter_map(|(path, line)| {
            let weight = line.names.filter(|weight| weight.treatment == Treatment::Pseudonym)?;
            Some(contestant(path, line, weight))
        });
        [values, names.collect()]
    }

    /// The action that is carried out where several lines meet: the strictest; among equals that of a
    /// declared category before `public`, then the first by name. Equals that differ in their
    /// parameters are rivals.
    fn strictest(
        &self,
        weights: impl Iterator<Item = (PathId, Weight)>,
        rivals: &mut Vec<Rivals>,
    ) -> Option<(PathId, Weight)> {
        let known = rivals.len();
        let mut strictest: Option<(PathId, Weight)> = None;
        for (path, weight) in weights {
            let Some((leader, leading)) = strictest else {
                strictest = Some((path, weight));
                continue;
            };
            match weight.rank.cmp(&leading.rank) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Greater => {
                    strictest = Some((path, weight));
                    rivals.truncate(known);
                }
                std::cmp::Ordering::Equal => {
                    if weight.parameters != leading.parameters {
                        let filtered = [leader, path]
                            .iter()
                            .any(|path| self.line(*path).is_some_and(|line| line.filtered));
                        rivals.push(Rivals { first: leader, second: path, filtered });
                    }
                    if weight.category < leading.category {
                        strictest = Some((path, weight));
                    }
                }
            }
        }
        strictest
    }
}

/// A path in a contest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contestant {
    pub(super) path: PathId,
    pub(super) rank: u8,
    pub(super) parameters: usize,
    pub(super) own_from: usize,
    pub(super) filtered: bool,
}

/// What the actions of categories weigh, each found once.
struct Weights<'p> {
    order: BTreeMap<CategoryId, usize>,
    /// By the category and the word of the action: it follows from these.
    known: BTreeMap<(CategoryId, &'static str), Weight>,
    /// The actions that are not the same, by their rank.
    actions: BTreeMap<u8, Vec<&'p Action>>,
}

impl<'p> Weights<'p> {
    fn new(fields: &[Field], parts: &PlanParts<'_>) -> Self {
        let mut categories: Vec<CategoryId> = fields.iter().flat_map(Field::categories).collect();
        categories.sort_unstable();
        categories.dedup();
        categories.sort_by_key(|category| {
            let declared = parts.categories.get(category.index());
            (*category == CategoryId::PUBLIC, declared.map(|category| category.name.as_str()))
        });
        let order = categories.into_iter().zip(0..).collect();
        Self { order, known: BTreeMap::new(), actions: BTreeMap::new() }
    }

    fn weigh(
        &mut self,
        category: CategoryId,
        action: &'p Action,
        parts: &PlanParts<'_>,
        cells: &Cells,
    ) -> Weight {
        if let Some(known) = self.known.get(&(category, action.word())) {
            return *known;
        }
        let alike = self.actions.entry(action.rank()).or_default();
        let same = alike.iter().position(|one| same_parameters(one, action, parts.purpose));
        let parameters = same.unwrap_or_else(|| {
            alike.push(action);
            alike.len() - 1
        });
        let weight = Weight {
            rank: action.rank(),
            category: self.order.get(&category).copied().unwrap_or(usize::MAX),
            parameters,
            cell: cells.id(category, action),
            treatment: Treatment::of(action),
        };
        self.known.insert((category, action.word()), weight);
        weight
    }
}

/// Whether two actions of the same rank do the same.
fn same_parameters(one: &Action, other: &Action, purpose: &str) -> bool {
    match (one, other) {
        (Action::Pseudonym { domain: one }, Action::Pseudonym { domain: other }) => {
            one.as_deref().unwrap_or(purpose) == other.as_deref().unwrap_or(purpose)
        }
        (one, other) => one == other,
    }
}
