//! A plan followed without a document: every case that there can be by the [rules](crate::policy::rulebook), each
//! with the line that decides.

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use crate::{
    path::{Kind, PathId, State},
    policy::{
        explain::words::{in_words, leaves},
        model::{CategoryId, Class, Field, Policies, Purpose, Route},
        plan::Plan,
        rulebook::{self, Named, Nodes},
        verdict::Verdict,
    },
    transform::Action,
};

/// Most states that are looked at where they are not listed beforehand.
const LAZY_STATES_MAX: usize = 1 << 12;

/// One route for one purpose. A line that classifies is known by its path in the plan.
#[derive(Clone, Copy)]
pub(super) struct Walk<'s> {
    pub(super) policies: &'s Policies,
    pub(super) route: &'s Route,
    pub(super) purpose: &'s Purpose,
    pub(super) plan: &'s Plan,
}

/// What a container hands down, and the lines that say so.
pub(super) type Scope = rulebook::Scope<PathId>;

/// What happens to a value, and through which line.
pub(super) type Ruling = rulebook::Ruling<PathId>;

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
        let reason = self.policies.reason_for(self.purpose, category);
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
            inherited: scope.inherited.and_then(|(_, line)| action(line)),
            keeps_unclassified: scope.unclassified.is_kept(),
            elements: scope.elements.and_then(|(_, line)| action(line)),
        }
    }

    /// The lines that say what the unspelled names are in an object in this state.
    pub(super) fn naming(&self, state: State) -> impl Iterator<Item = (PathId, CategoryId)> {
        let reaching = self.plan.program().reaching_unspelled(state);
        reaching.filter_map(|(line, segment)| {
            let field = self.field(line)?;
            Some((line, field.names.filter(|_| field.names_at(segment))?))
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
            (Reverse(rank), *category == CategoryId::PUBLIC, self.policies.category_name(*category))
        };
        lines.min_by_key(order).map(|(line, _)| line)
    }

    /// The scope that the root stands in.
    pub(super) fn outside(&self) -> Scope {
        Scope::outside(self.plan.keeps_unclassified())
    }

    /// The line by which a text in this state holds a document, if one does.
    pub(super) fn embedding(&self, state: State) -> Option<PathId> {
        let mut lines = self.plan.program().selected(state);
        lines.find(|line| self.field(*line).is_some_and(|field| field.embedded))
    }

    /// What a container hands down, or why it is gone with all that is below.
    pub(super) fn container(
        &self,
        under: Scope,
        state: State,
        kind: Kind,
    ) -> Result<Scope, Ruling> {
        under.container(self, state, kind).map(|inside| inside.scope).map_err(told)
    }

    /// Whether anything of a scalar leaves.
    pub(super) fn scalar_leaves(&self, fate: Ruling) -> bool {
        self.leaves_by(fate, leaves)
    }

    /// Whether a scalar leaves as it is.
    pub(super) fn leaves_as_it_is(&self, fate: Ruling) -> bool {
        self.leaves_by(fate, |action| *action == Action::Keep)
    }

    /// Whether anything shows that something is there, were it only `null`.
    pub(super) fn shows(&self, fate: Ruling) -> bool {
        match fate {
            Ruling::Own(_, line)
            | Ruling::Element(_, line)
            | Ruling::With(_, line)
            | Ruling::Gone(_, line) => self.field(line).is_some_and(|field| match field.class {
                Class::Category(category) => {
                    !matches!(self.action(line, category), Action::Drop | Action::Deny)
                }
                Class::Mount { .. } => true,
            }),
            Ruling::Kept(_) => true,
            Ruling::Known(_)
            | Ruling::Unclassified(_)
            | Ruling::NameUnspelled
            | Ruling::NameRemoved(_) => false,
        }
    }

    fn leaves_by(&self, fate: Ruling, by: impl Fn(&Action) -> bool) -> bool {
        match fate {
            Ruling::Own(_, line) | Ruling::Element(_, line) => {
                self.field(line).is_some_and(|field| match field.class {
                    Class::Category(category) => by(self.action(line, category)),
                    Class::Mount { .. } => false,
                })
            }
            Ruling::Kept(_) => true,
            Ruling::With(..)
            | Ruling::Gone(..)
            | Ruling::Known(_)
            | Ruling::Unclassified(_)
            | Ruling::NameUnspelled
            | Ruling::NameRemoved(_) => false,
        }
    }

    /// What happens to a scalar.
    pub(super) fn scalar(&self, under: Scope, state: State) -> Ruling {
        told(under.scalar(self, state, &self.plan.verdict(state)))
    }

    /// Whether a name that no line spells is replaced, or why it is gone with its value.
    pub(super) fn name(&self, under: Scope, object: State, member: State) -> Result<bool, Ruling> {
        let named = under.name(self, object, member)?;
        Ok(matches!(named, Named::Changed(_)))
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
                let inside = inside.unwrap_or(Scope::outside(false));
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
}

/// That lines go on below it is of no interest where none of them lets anything out.
fn told(fate: Ruling) -> Ruling {
    if let Ruling::Known(by) = fate { Ruling::Unclassified(by) } else { fate }
}

/// For those who explain a plan: by the lines themselves, since a verdict has lost which of them decided.
impl Nodes for Walk<'_> {
    type Line = PathId;

    fn verdict(&self, state: State) -> Verdict {
        self.plan.verdict(state)
    }

    fn line(&self, state: State, _: &Verdict) -> Option<PathId> {
        self.strictest(self.classes(state))
    }

    fn mount(&self, state: State) -> Option<PathId> {
        let mut selected = self.plan.program().selected(state);
        selected.find(|line| {
            self.field(*line).is_some_and(|field| matches!(field.class, Class::Mount { .. }))
        })
    }

    fn names(&self, object: State) -> Option<PathId> {
        let action = |_, category| self.purpose.action(category);
        self.strictest_by(self.naming(object), action)
    }
}
