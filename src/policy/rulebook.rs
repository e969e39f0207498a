//! The rules of "What a path classifies", for one node at a time. The numbers in comments are those of the
//! language reference.
//!
//! A [`Verdict`] is what follows from the lines that select a node. What becomes of the node depends on what stands
//! above it, too, and on whether it is an object, an array or a scalar. A plan is carried out by these rules, and
//! it is explained by them: the one carries nothing along, the other the line that decides.

use crate::{
    path::{Kind, State},
    policy::{
        plan::Plan,
        verdict::{CellId, Names, Own, Strings, Verdict},
    },
};

/// What is known of nodes without their document.
pub trait Nodes {
    /// The line that decides something; `()` where nobody asks for it.
    type Line: Copy;

    /// What the lines say that select nodes in this state.
    fn verdict(&self, state: State) -> Verdict;

    /// The line whose action is that of the verdict; none if no line classifies the node.
    fn line(&self, state: State, verdict: &Verdict) -> Option<Self::Line>;

    /// The line that mounts a record there which keeps what is unclassified.
    fn mount(&self, state: State) -> Option<Self::Line>;

    /// The line that removes names of members of an object in this state; none if it is not known.
    fn names(&self, object: State) -> Option<Self::Line>;
}

/// For those who carry a plan out.
impl Nodes for Plan {
    type Line = ();

    #[inline]
    fn verdict(&self, state: State) -> Verdict {
        Self::verdict(self, state)
    }

    #[inline]
    fn line(&self, _: State, verdict: &Verdict) -> Option<()> {
        (verdict.own != Own::None).then_some(())
    }

    #[inline]
    fn mount(&self, _: State) -> Option<()> {
        None
    }

    #[inline]
    fn names(&self, _: State) -> Option<()> {
        Some(())
    }
}

/// What a container hands down to its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope<L> {
    /// The action of the closest classified node at or above, where it reaches all the way down.
    pub(super) inherited: Option<(Removal, L)>,
    pub(super) unclassified: Unclassified<L>,
    /// The own action of an array, which acts on the scalars directly inside.
    pub(super) elements: Option<(Own, L)>,
}

/// How something is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// `null` stands for it.
    Null,
    /// Nothing does.
    Drop,
}

/// What happens to what no line classifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unclassified<L> {
    /// It stays: the record that this line mounts says so, or the api.
    Kept(Option<L>),
    /// It is removed: because it stands below this line, whose action is not `keep`, or just so.
    Removed(Option<L>),
}

/// What happens to a value, and through which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling<L> {
    /// This line classifies it: its action is carried out.
    Own(Own, L),
    /// This line classifies the array that it stands in.
    Element(Own, L),
    /// This line drops or empties what is below the node that it classifies.
    With(Removal, L),
    /// This line drops or empties the container as a whole, or one above.
    Gone(Removal, L),
    /// No line classifies it, and it stays because its record, which this line mounts, keeps such, or the api.
    Kept(Option<L>),
    /// No line classifies it, but lines go on below it, all of which withhold what they select.
    Known(Option<L>),
    /// No line classifies it, and it is removed: because it stands below this line, or just so.
    Unclassified(Option<L>),
    /// Its name, or one above it, is spelled by no line, and no `names:` is about it.
    NameUnspelled,
    /// As before, and the `names:` of this line removes it.
    NameRemoved(L),
}

/// A container that stays.
#[derive(Clone, Copy, Debug)]
pub struct Inside<L> {
    /// What it hands down.
    pub scope: Scope<L>,
    /// Whether it stays as it is: no line goes on below it, and what is unclassified is kept.
    pub whole: bool,
}

/// What happens to a name that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It stays as it is; by the `names:` of this cell, or because what is unclassified is kept.
    Kept(Option<CellId>),
    /// The transform of this cell puts another in its place.
    Changed(CellId),
}

impl<L: Copy> Unclassified<L> {
    /// Whether it stays.
    pub(super) fn is_kept(self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

impl<L: Copy> Scope<L> {
    /// What the root of a document stands in, where what is unclassified is kept, or removed.
    pub fn outside(keeps_unclassified: bool) -> Self {
        let unclassified =
            if keeps_unclassified { Unclassified::Kept(None) } else { Unclassified::Removed(None) };
        Self { inherited: None, unclassified, elements: None }
    }

    /// What a container hands down, or why it is gone with all that is below.
    #[expect(clippy::inline_always, reason = "it is asked of every container, and hands much down")]
    #[inline(always)]
    pub fn container<N: Nodes<Line = L>>(
        self,
        nodes: &N,
        state: State,
        kind: Kind,
    ) -> Result<Inside<L>, Ruling<L>> {
        let verdict = nodes.verdict(state);
        let unclassified = self.unclassified_at(nodes, state, &verdict);
        let Some(line) = nodes.line(state, &verdict) else {
            // Rule 4: it stays for what can be below it, or goes by the action of the closest classified node
            // above, or as unclassified.
            let scope = Self { inherited: self.inherited, unclassified, elements: None };
            if verdict.below(kind) {
                return Ok(Inside { scope, whole: false });
            }
            return match (self.inherited, unclassified) {
                (Some((removal, line)), _) => Err(Ruling::Gone(removal, line)),
                (None, Unclassified::Kept(_)) => Ok(scope.enter(&verdict)),
                (None, Unclassified::Removed(by)) if verdict.knows(kind) => Err(Ruling::Known(by)),
                (None, Unclassified::Removed(by)) => Err(Ruling::Unclassified(by)),
            };
        };
        // Rule 5: below another action than `keep` nothing unclassified is kept.
        let removed = Unclassified::Removed(Some(line));
        // Rule 2: the action goes to the scalars of an array.
        let elements = (kind == Kind::Array).then_some((verdict.own, line));
        let removal = match verdict.own {
            Own::Keep(_) => {
                return Ok(Self { inherited: None, unclassified, elements }.enter(&verdict));
            }
            Own::Change(_) => {
                let scope = Self { inherited: None, unclassified: removed, elements };
                return Ok(scope.enter(&verdict));
            }
            Own::Null => Removal::Null,
            Own::Drop | Own::None => Removal::Drop,
        };
        // Rule 4: it stays for what can be below it, or goes by its own action.
        if !verdict.below(kind) {
            return Err(Ruling::Gone(removal, line));
        }
        let inherited = Some((removal, line));
        Ok(Inside {
            scope: Self { inherited, unclassified: removed, elements: None },
            whole: false,
        })
    }

    /// Into a container; if all below it is unclassified and kept, there is nothing to decide.
    #[inline]
    fn enter(self, verdict: &Verdict) -> Inside<L> {
        let whole = verdict.leaf && self.unclassified.is_kept() && self.elements.is_none();
        Inside { scope: self, whole }
    }

    /// What happens to a scalar in a state with this verdict.
    #[inline]
    pub fn scalar<N: Nodes<Line = L>>(
        self,
        nodes: &N,
        state: State,
        verdict: &Verdict,
    ) -> Ruling<L> {
        if let Some(line) = nodes.line(state, verdict) {
            return Ruling::Own(verdict.own, line);
        }
        if let Some((own, line)) = self.elements {
            return Ruling::Element(own, line);
        }
        if let Some((removal, line)) = self.inherited {
            return Ruling::With(removal, line);
        }
        // A document that could stand here is known, and withheld from this purpose.
        let is_known = verdict.strings == Strings::Documents
            && (verdict.known.object || verdict.known.array)
            && !self.may_leave(verdict);
        match self.unclassified_at(nodes, state, verdict) {
            Unclassified::Kept(by) => Ruling::Kept(by),
            Unclassified::Removed(by) if is_known => Ruling::Known(by),
            Unclassified::Removed(by) => Ruling::Unclassified(by),
        }
    }

    /// Rule 3: what happens to a name that no path spells, of a member in this state; or why it is gone with its
    /// value.
    #[inline]
    pub fn name<N: Nodes<Line = L>>(
        self,
        nodes: &N,
        object: State,
        member: State,
    ) -> Result<Named, Ruling<L>> {
        match nodes.verdict(object).names {
            Names::Keep(cell) => Ok(Named::Kept(Some(cell))),
            Names::Change(cell) => Ok(Named::Changed(cell)),
            Names::Drop => {
                Err(nodes.names(object).map_or(Ruling::NameUnspelled, Ruling::NameRemoved))
            }
            Names::Unclassified => self.unclassified_name(nodes, member),
        }
    }

    /// The name is of the object and of the member: the stricter of the two. Nor does it stay below a node that is
    /// dropped or nulled, all the way down.
    #[inline]
    fn unclassified_name<N: Nodes<Line = L>>(
        self,
        nodes: &N,
        member: State,
    ) -> Result<Named, Ruling<L>> {
        match self.unclassified {
            Unclassified::Kept(_)
                if self.inherited.is_none() && nodes.verdict(member).mount.unwrap_or(true) =>
            {
                Ok(Named::Kept(None))
            }
            Unclassified::Removed(by) if member == State::DEAD => Err(Ruling::Unclassified(by)),
            Unclassified::Kept(_) | Unclassified::Removed(_) => Err(Ruling::NameUnspelled),
        }
    }

    /// Whether anything could leave of a document whose root is in a state with this verdict.
    #[inline]
    pub fn may_leave(self, verdict: &Verdict) -> bool {
        let treats = |own| matches!(own, Own::Keep(_) | Own::Change(_));
        let is_kept =
            self.inherited.is_none() && verdict.mount.unwrap_or(self.unclassified.is_kept());
        treats(verdict.own)
            || verdict.below_object
            || verdict.below_array
            || (verdict.own == Own::None
                && (self.elements.is_some_and(|(own, _)| treats(own)) || is_kept))
    }

    /// Whether nothing could be removed or changed of a document whose root is in a state with this verdict, whatever
    /// stands in it.
    pub fn keeps_all<N: Nodes<Line = L>>(self, nodes: &N, state: State, verdict: &Verdict) -> bool {
        let is_kept = self.unclassified_at(nodes, state, verdict).is_kept();
        verdict.leaf
            && is_kept
            && match verdict.own {
                Own::Keep(_) => true,
                Own::None => {
                    let keeps = |(own, _)| matches!(own, Own::Keep(_));
                    self.inherited.is_none() && self.elements.is_none_or(keeps)
                }
                Own::Change(_) | Own::Null | Own::Drop => false,
            }
    }

    /// What is unclassified at a node: its record decides, or else what stands above.
    #[inline]
    fn unclassified_at<N: Nodes<Line = L>>(
        self,
        nodes: &N,
        state: State,
        verdict: &Verdict,
    ) -> Unclassified<L> {
        match verdict.mount {
            Some(true) => Unclassified::Kept(nodes.mount(state)),
            Some(false) => Unclassified::Removed(None),
            None => self.unclassified,
        }
    }
}
