//! A plan followed without a document: every case that there can be, each with the line that decides.
//!
//! These are the rules that a body is sieved by ("What a path classifies" in the language reference);
//! the tests of explanations hold one against the other.

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use crate::{
    path::{Kind, PathId, State},
    policy::{
        explain::words::{in_words, leaves},
        model::{CategoryId, Class, Field, PolicySet, Purpose, Route},
        plan::{Names, Own, Plan},
    },
    transform::Action,
};

/// Most states that are looked at where they are not listed beforehand.
const LAZY_STATES_MAX: usize = 1 << 12;

/// One route for one purpose. A line that classifies is known by its path in the plan.
#[derive(Clone, Copy)]
pub(super) struct Walk<'s> {
    pub(super) set: &'s PolicySet,
    pub(super) route: &'s Route,
    pub(super) purpose: &'s Purpose,
    pub(super) plan: &'s Plan,
}

/// What a container hands down to its children.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// The line that drops or empties what is classified no closer.
    inherited: Option<PathId>,
    unclassified: Unclassified,
    /// The line that acts on the scalars directly inside an array.
    elements: Option<PathId>,
}

/// What happens to what nobody classified.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unclassified {
    /// It stays: this record says so, or the API.
    Kept(Option<PathId>),
    /// It is removed: because it stands below this line, whose action is not `keep`, or just so.
    Removed(Option<PathId>),
}

/// What happens to a value, and through which line.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// This line classifies it.
    Own(PathId),
    /// This line classifies the array that it stands in.
    Element(PathId),
    /// This line drops or empties what is below the node that it classifies.
    With(PathId),
    /// This line drops or empties a node above it as a whole.
    Gone(PathId),
    /// No line classifies it.
    Unclassified(Unclassified),
    /// Its name, or one above it, is spelled by no line, and no `names:` is about it.
    NameUnspelled,
    /// As before, and the `names:` of this line removes it.
    NameRemoved(PathId),
}

/// What of a [`Scope`] decides, without the lines that say so: in two of one shape the same happens.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// The rank of the action, as in `elements`.
    inherited: Option<u8>,
    keeps_unclassified: bool,
    elements: Option<u8>,
}

impl<'s> Walk<'s> {
    pub(super) fn field(&self, line: PathId) -> Option<&'s Field> {
        self.route.fields.get(line.index())
    }

    /// The lines that classify a node in this state, each with its category.
    pub(super) fn classes(&self, state: State) -> impl Iterator<Item = (PathId, CategoryId)> {
        self.plan.program().selected(state).filter_map(|line| match self.field(line)?.class {
            Class::Category(category) => Some((line, category)),
            Class::Mount { .. } => None,
        })
    }

    /// What happens to what a line classifies.
    pub(super) fn action(&self, line: PathId, category: CategoryId) -> &'s Action {
        let action = self.purpose.action(category);
        self.field(line).map_or(action, |field| field.action(action))
    }

    /// Why that is what happens.
    pub(super) fn reason(&self, field: &Field, category: CategoryId) -> String {
        let reason = self.set.reason_for(self.purpose, category);
        let action = self.purpose.action(category);
        if field.action(action) == action {
            return reason;
        }
        format!(
            "{reason}; it comes in pieces, and only a whole value could leave {}",
            in_words(action)
        )
    }

    pub(super) fn shape(&self, scope: Scope) -> Shape {
        let action = |line: PathId| match self.field(line)?.class {
            Class::Category(category) => Some(self.action(line, category).rank()),
            Class::Mount { .. } => None,
        };
        Shape {
            inherited: scope.inherited.and_then(action),
            keeps_unclassified: matches!(scope.unclassified, Unclassified::Kept(_)),
            elements: scope.elements.and_then(action),
        }
    }

    /// The lines that say what the unspelled names are in an object in this state.
    pub(super) fn names(&self, state: State) -> impl Iterator<Item = (PathId, CategoryId)> {
        let reaching = self.plan.program().reaching_unspelled(state);
        reaching.filter_map(|(line, segment)| {
            let field = self.field(line)?;
            Some((line, field.names.filter(|_| segment >= field.own_from)?))
        })
    }

    /// The line whose action is carried out on a value.
    pub(super) fn strictest(
        &self,
        lines: impl Iterator<Item = (PathId, CategoryId)>,
    ) -> Option<PathId> {
        self.strictest_by(lines, |line, category| self.action(line, category))
    }

    /// The line whose action is the strictest.
    pub(super) fn strictest_by(
        &self,
        lines: impl Iterator<Item = (PathId, CategoryId)>,
        action: impl Fn(PathId, CategoryId) -> &'s Action,
    ) -> Option<PathId> {
        let order = |(line, category): &(PathId, CategoryId)| {
            let rank = action(*line, *category).rank();
            (Reverse(rank), *category == CategoryId::PUBLIC, self.set.category_name(*category))
        };
        lines.min_by_key(order).map(|(line, _)| line)
    }

    /// The scope that the root stands in.
    pub(super) fn outside(&self) -> Scope {
        let unclassified = if self.plan.keeps_unclassified() {
            Unclassified::Kept(None)
        } else {
            Unclassified::Removed(None)
        };
        Scope { inherited: None, unclassified, elements: None }
    }

    /// What a container hands down, or why it is gone with all that is below.
    pub(super) fn container(&self, under: Scope, state: State, kind: Kind) -> Result<Scope, Fate> {
        let verdict = self.plan.verdict(state);
        let unclassified = self.unclassified(under, state);
        let scope = Scope { inherited: None, unclassified, elements: None };
        let Some(line) = self.strictest(self.classes(state)) else {
            let scope = Scope { inherited: under.inherited, ..scope };
            return match (under.inherited, unclassified) {
                _ if verdict.below(kind) => Ok(scope),
                (Some(line), _) => Err(Fate::Gone(line)),
                (None, Unclassified::Kept(_)) => Ok(scope),
                (None, Unclassified::Removed(_)) => Err(Fate::Unclassified(unclassified)),
            };
        };
        let removed = Unclassified::Removed(Some(line));
        let elements = (kind == Kind::Array).then_some(line);
        match verdict.own {
            Own::Keep(_) => Ok(Scope { elements, ..scope }),
            Own::Change(_) => Ok(Scope { elements, unclassified: removed, ..scope }),
            Own::Null | Own::Drop if verdict.below(kind) => {
                Ok(Scope { inherited: Some(line), unclassified: removed, ..scope })
            }
            Own::Null | Own::Drop | Own::None => Err(Fate::Gone(line)),
        }
    }

    /// Whether anything of a scalar leaves.
    pub(super) fn scalar_leaves(&self, fate: Fate) -> bool {
        self.leaves_by(fate, leaves)
    }

    /// Whether a scalar leaves as it is.
    pub(super) fn leaves_as_it_is(&self, fate: Fate) -> bool {
        self.leaves_by(fate, |action| *action == Action::Keep)
    }

    /// Whether anything shows that something is there, were it only `null`.
    pub(super) fn shows(&self, fate: Fate) -> bool {
        match fate {
            Fate::Own(line) | Fate::Element(line) | Fate::With(line) | Fate::Gone(line) => {
                self.field(line).is_some_and(|field| match field.class {
                    Class::Category(category) => {
                        !matches!(self.action(line, category), Action::Drop | Action::Deny)
                    }
                    Class::Mount { .. } => true,
                })
            }
            Fate::Unclassified(Unclassified::Kept(_)) => true,
            Fate::Unclassified(Unclassified::Removed(_))
            | Fate::NameUnspelled
            | Fate::NameRemoved(_) => false,
        }
    }

    fn leaves_by(&self, fate: Fate, by: impl Fn(&Action) -> bool) -> bool {
        match fate {
            Fate::Own(line) | Fate::Element(line) => {
                self.field(line).is_some_and(|field| match field.class {
                    Class::Category(category) => by(self.action(line, category)),
                    Class::Mount { .. } => false,
                })
            }
            Fate::Unclassified(Unclassified::Kept(_)) => true,
            Fate::With(_)
            | Fate::Gone(_)
            | Fate::Unclassified(Unclassified::Removed(_))
            | Fate::NameUnspelled
            | Fate::NameRemoved(_) => false,
        }
    }

    /// What happens to a scalar.
    pub(super) fn scalar(&self, under: Scope, state: State) -> Fate {
        if let Some(line) = self.strictest(self.classes(state)) {
            return Fate::Own(line);
        }
        match (under.elements, under.inherited) {
            (Some(line), _) => Fate::Element(line),
            (None, Some(line)) => Fate::With(line),
            (None, None) => Fate::Unclassified(self.unclassified(under, state)),
        }
    }

    /// Whether a name that no line spells is replaced, or why it is gone with its value.
    pub(super) fn name(&self, under: Scope, object: State, member: State) -> Result<bool, Fate> {
        let kept = |unclassified| matches!(unclassified, Unclassified::Kept(_));
        match self.plan.verdict(object).names {
            Names::Keep(_) => Ok(false),
            Names::Change(_) => Ok(true),
            Names::Drop => {
                let action = |_, category| self.purpose.action(category);
                let line = self.strictest_by(self.names(object), action);
                Err(line.map_or(Fate::NameUnspelled, Fate::NameRemoved))
            }
            Names::Unclassified
                if kept(under.unclassified) && kept(self.unclassified(under, member)) =>
            {
                // A line that drops or empties what is below takes such names along.
                if under.inherited.is_some() { Err(Fate::NameUnspelled) } else { Ok(false) }
            }
            Names::Unclassified if member == State::DEAD => {
                Err(Fate::Unclassified(under.unclassified))
            }
            Names::Unclassified => Err(Fate::NameUnspelled),
        }
    }

    /// All states that a node can be in whose name, and whose names above, are not removed; and whether
    /// these are all.
    pub(super) fn states(&self) -> (Vec<State>, bool) {
        let program = self.plan.program();
        let start = (program.start(), self.outside());
        let mut seen = HashSet::from([(start.0, self.shape(start.1))]);
        let mut gone_on = HashSet::new();
        let states_max = if program.is_lazy() { LAZY_STATES_MAX } else { usize::MAX };
        let mut lost = false;
        let mut next = VecDeque::from([start]);
        while let Some((state, under)) = next.pop_front()
            && seen.len() < states_max
        {
            for kind in [Kind::Object, Kind::Array] {
                // Below what is removed, everything is removed by its own line, or by one above.
                let inside = self.container(under, state, kind);
                let inside = inside.unwrap_or(Scope {
                    inherited: None,
                    unclassified: Unclassified::Removed(None),
                    elements: None,
                });
                let shape = self.shape(inside);
                if !gone_on.insert((program.row(state), kind, shape)) {
                    continue;
                }
                for unsettled in program.unsettled_children(state, kind) {
                    let unspelled = kind == Kind::Object && unsettled == program.unspelled(state);
                    for child in program.settled(unsettled) {
                        if child == State::LOST {
                            lost = true;
                            continue;
                        }
                        let removed = unspelled && self.name(inside, state, child).is_err();
                        if child != State::DEAD && !removed && seen.insert((child, shape)) {
                            next.push_back((child, inside));
                        }
                    }
                }
            }
        }
        let mut states: Vec<State> = seen.into_iter().map(|(state, _)| state).collect();
        states.sort_unstable();
        states.dedup();
        (states, next.is_empty() && !lost)
    }

    /// What is unclassified at a node: its record decides, or else what stands above.
    fn unclassified(&self, under: Scope, state: State) -> Unclassified {
        let mount = || {
            let mut selected = self.plan.program().selected(state);
            selected.find(|line| {
                self.field(*line).is_some_and(|field| matches!(field.class, Class::Mount { .. }))
            })
        };
        match self.plan.verdict(state).mount {
            Some(true) => Unclassified::Kept(mount()),
            Some(false) => Unclassified::Removed(None),
            None => under.unclassified,
        }
    }
}
