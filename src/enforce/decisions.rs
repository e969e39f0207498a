//! The rules of the language that depend on the document, one node at a time.
//!
//! The numbers in comments are those of "What a path classifies" in the language reference.

use std::sync::Arc;

use crate::{
    enforce::{Tally, embedded::Nesting, places::Trail},
    json::{Always, Edits, Limits, OnContainer, OnName, OnScalar, Place, Step},
    path::{Kind, State},
    policy::{CellId, Names, Own, Plan, Stream, Strings, Verdict},
    transform::{Applied, Context, Scalar},
};

/// Decides the nodes of one document under one plan.
pub(crate) struct Decisions {
    pub(super) plan: Arc<Plan>,
    context: Context,
    pub(super) limits: Limits,
    pub(super) tally: Tally,
    /// Where unclassified data was withheld.
    pub(super) trail: Trail,
    /// Some was just now, and it is not known where.
    pub(super) asks_where: bool,
    /// How deep documents stand in documents, and what is around the innermost.
    pub(super) nesting: Nesting,
    /// A name has been read that leaves by its `names:`, if the value behind it does.
    pub(super) name_to_count: Option<CellId>,
}

/// How a captured scalar or name is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// By the transform of a cell.
    Cell(CellId),
    /// A scalar that may be a string which holds a document; what is around it, and its state.
    Embedded(Scope, State),
}

/// What a container hands down to its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The action of the closest classified node at or above, where it reaches all the way down.
    inherited: Inherited,
    /// Whether what is unclassified is kept.
    keeps: bool,
    /// The own action of an array, which acts on the scalars directly inside.
    elements: Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inherited {
    /// None, or one that only acts on scalars.
    Nothing,
    Null,
    Drop,
}

impl Decisions {
    pub(crate) fn new(plan: Arc<Plan>, context: Context, limits: Limits) -> Self {
        let tally = Tally::new(Arc::clone(&plan));
        let keeps = plan.keeps_unclassified();
        let root = Scope { inherited: Inherited::Nothing, keeps, elements: Own::None };
        let nesting = Nesting::outside(root);
        let (trail, asks_where) = (Trail::default(), false);
        Self { plan, context, limits, tally, trail, asks_where, nesting, name_to_count: None }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// An event of a stream is withheld, whose name the policies do not know.
    pub(crate) fn withhold_event(&mut self) {
        self.tally.withhold_unclassified();
        self.trail.note_event();
    }

    /// A node is withheld, or a name, because it is unclassified.
    fn withhold_unclassified(&mut self) {
        self.tally.withhold_unclassified();
        self.asks_where = true;
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.plan.stream()
    }

    fn count_name(&mut self, leaves: bool) {
        if let Some(cell) = self.name_to_count.take()
            && leaves
        {
            self.tally.count(cell);
        }
    }

    /// Carries out an action that lets something of a scalar leave.
    fn treat(&mut self, own: Own) -> OnScalar<Capture> {
        match own {
            Own::Keep(cell) => {
                self.tally.count(cell);
                OnScalar::Pass
            }
            Own::Change(cell) => OnScalar::Capture(Capture::Cell(cell)),
            Own::Null => OnScalar::Null,
            Own::Drop | Own::None => OnScalar::Drop,
        }
    }

    /// What becomes of a container; none if it goes because nobody classified it.
    fn decide_container(
        &self,
        under: Scope,
        state: State,
        kind: Kind,
    ) -> Option<OnContainer<Scope>> {
        let verdict = self.plan.verdict(state);
        let keeps = verdict.mount.unwrap_or(under.keeps);
        let mut scope = Scope { inherited: Inherited::Nothing, keeps, elements: Own::None };
        Some(match verdict.own {
            // Rule 2: the action goes to the scalars of an array; rule 5: below another action than
            // `keep` nothing unclassified is kept.
            Own::Keep(_) | Own::Change(_) => {
                scope.keeps &= matches!(verdict.own, Own::Keep(_));
                if kind == Kind::Array {
                    scope.elements = verdict.own;
                }
                Self::enter(scope, verdict.leaf)
            }
            // Rule 4: it stays for what can be below it, or goes by its own action.
            Own::Null | Own::Drop => {
                scope.keeps = false;
                scope.inherited =
                    if verdict.own == Own::Null { Inherited::Null } else { Inherited::Drop };
                if verdict.below(kind) {
                    OnContainer::Enter(scope)
                } else if verdict.own == Own::Null {
                    OnContainer::Null
                } else {
                    OnContainer::Drop
                }
            }
            // Rule 4: or by that of the closest classified node above, or as unclassified.
            Own::None => {
                scope.inherited = under.inherited;
                if verdict.below(kind) {
                    return Some(OnContainer::Enter(scope));
                }
                match under.inherited {
                    Inherited::Null => OnContainer::Null,
                    Inherited::Drop => OnContainer::Drop,
                    Inherited::Nothing if keeps => Self::enter(scope, verdict.leaf),
                    // Known, and withheld from this purpose.
                    Inherited::Nothing if verdict.knows(kind) => OnContainer::Drop,
                    Inherited::Nothing => return None,
                }
            }
        })
    }

    /// The action on a scalar: its own, or that of the array that it is an element of.
    fn acting(under: Scope, verdict: Verdict) -> Own {
        if verdict.own == Own::None { under.elements } else { verdict.own }
    }

    /// Whether an unclassified name of such a member stays.
    fn keeps_name(under: Scope, member: Verdict) -> bool {
        under.keeps && under.inherited == Inherited::Nothing && member.mount.unwrap_or(true)
    }

    /// Goes into a container; if all below it is unclassified and kept, there is nothing to decide.
    fn enter(scope: Scope, leaf: bool) -> OnContainer<Scope> {
        if leaf && scope.keeps && scope.elements == Own::None {
            OnContainer::Pass
        } else {
            OnContainer::Enter(scope)
        }
    }

    /// Whether anything could leave of a document whose root is under this.
    fn may_leave(under: Scope, verdict: Verdict) -> bool {
        let treats = |own| matches!(own, Own::Keep(_) | Own::Change(_));
        let is_kept = under.inherited == Inherited::Nothing && verdict.mount.unwrap_or(under.keeps);
        treats(verdict.own)
            || verdict.below_object
            || verdict.below_array
            || (verdict.own == Own::None && (treats(under.elements) || is_kept))
    }

    pub(super) fn decide_scalar(&mut self, under: Scope, state: State) -> OnScalar<Capture> {
        let verdict = self.plan.verdict(state);
        let acting = Self::acting(under, verdict);
        if acting != Own::None {
            return self.treat(acting);
        }
        match under.inherited {
            Inherited::Null => OnScalar::Null,
            Inherited::Drop => OnScalar::Drop,
            Inherited::Nothing if verdict.mount.unwrap_or(under.keeps) => {
                self.tally.keep_unclassified(1);
                OnScalar::Pass
            }
            // A document that could stand here is known, and withheld from this purpose.
            Inherited::Nothing
                if verdict.strings == Strings::Documents
                    && !Self::may_leave(under, verdict)
                    && (verdict.known.object || verdict.known.array) =>
            {
                OnScalar::Drop
            }
            Inherited::Nothing => {
                self.withhold_unclassified();
                OnScalar::Drop
            }
        }
    }
}

impl Decisions {
    /// Writes what its action makes of a value.
    pub(super) fn write_changed(&mut self, cell: CellId, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        let applied = if let Some(value) = raw.and_then(Scalar::read) {
            self.plan.transform(cell).apply(&value, &self.context, out)
        } else {
            out.extend_from_slice(b"null");
            Applied::Unfit
        };
        match applied {
            Applied::Done => self.tally.count(cell),
            Applied::Unfit => self.tally.count_unfit(cell),
        }
    }
}

impl Edits for Decisions {
    type Scope = Scope;
    type Capture = Capture;

    fn root(&self) -> Scope {
        self.nesting.around
    }

    fn container(&mut self, under: Scope, state: State, kind: Kind) -> OnContainer<Scope> {
        let decided = self.decide_container(under, state, kind).unwrap_or_else(|| {
            self.withhold_unclassified();
            OnContainer::Drop
        });
        self.nesting.root_is(!matches!(decided, OnContainer::Null | OnContainer::Drop));
        self.count_name(!matches!(decided, OnContainer::Drop));
        decided
    }

    fn scalar(&mut self, under: Scope, state: State) -> OnScalar<Capture> {
        let verdict = self.plan.verdict(state);
        // The root of a document is not once more a document: it stands where that stands.
        let is_document = verdict.strings == Strings::Documents && !self.nesting.is_at_root();
        let decided = if is_document && Self::may_leave(under, verdict) {
            OnScalar::Capture(Capture::Embedded(under, state))
        } else {
            self.decide_scalar(under, state)
        };
        self.nesting.root_is(!matches!(decided, OnScalar::Null | OnScalar::Drop));
        self.count_name(decided != OnScalar::Drop);
        decided
    }

    /// Rule 3: a name that no path spells is data.
    fn name(&mut self, under: Scope, object: State, member: State) -> OnName<Capture> {
        match self.plan.verdict(object).names {
            Names::Keep(cell) => {
                self.name_to_count = Some(cell);
                OnName::Keep
            }
            Names::Change(cell) => OnName::Capture(Capture::Cell(cell)),
            Names::Drop => OnName::Drop,
            // The name is of the object and of the member: the stricter of the two. Nor does it stay below a
            // node that is dropped or nulled, all the way down.
            Names::Unclassified if Self::keeps_name(under, self.plan.verdict(member)) => {
                OnName::Keep
            }
            Names::Unclassified => {
                self.withhold_unclassified();
                OnName::Drop
            }
        }
    }

    fn name_is_too_long(&mut self, _: Scope, object: State, _: State) {
        self.name_to_count = None;
        match self.plan.verdict(object).names {
            Names::Keep(cell) | Names::Change(cell) => self.tally.count_unfit(cell),
            Names::Drop | Names::Unclassified => self.withhold_unclassified(),
        }
    }

    /// The category whose paths it kept from being decided; of several, none is to be named.
    fn unsettled(&mut self, _: Scope, waiting: State) {
        self.name_to_count = None;
        match self.plan.waiting_cell(waiting) {
            Some(cell) => self.tally.count_unfit(cell),
            None => self.tally.count_unfit_unclassified(),
        }
    }

    fn write_scalar(&mut self, capture: Capture, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        match capture {
            Capture::Cell(cell) => self.write_changed(cell, raw, out),
            Capture::Embedded(under, state) => self.write_embedded(under, state, raw, out),
        }
    }

    fn write_name(&mut self, capture: Capture, name: Option<&str>, out: &mut Vec<u8>) -> bool {
        // A name holds no document.
        let Capture::Cell(cell) = capture else { return false };
        let applied =
            name.map_or(Applied::Unfit, |name| self.plan.transform(cell).apply_name(name, out));
        match applied {
            Applied::Done => {
                self.name_to_count = Some(cell);
                true
            }
            Applied::Unfit => {
                self.tally.count_unfit(cell);
                false
            }
        }
    }

    fn passed(&mut self, scalars: u64) {
        self.tally.keep_unclassified(scalars);
    }

    fn asks_where(&mut self) -> bool {
        std::mem::take(&mut self.asks_where)
    }

    fn removed_in(&mut self, container: Option<(Place, Kind)>) {
        match container {
            Some((place, kind)) => self.trail.note(place, kind),
            None => self.trail.note_root(self.nesting.place),
        }
    }

    fn root_place(&self) -> Place {
        self.nesting.place
    }

    fn place(&mut self, above: Place, step: Step<'_>) -> Place {
        self.trail.step(above, step, self.plan.spelled())
    }

    fn asks_where_captured(&self, capture: Capture) -> bool {
        matches!(capture, Capture::Embedded(..))
    }

    fn captured_at(&mut self, place: Place) {
        self.nesting.captured = place;
    }

    /// Where nothing is counted but what is kept although it is unclassified.
    fn always(
        &self,
        under: Scope,
        state: State,
        kind: Option<Kind>,
        unspelled: Option<State>,
    ) -> Option<Always> {
        let verdict = self.plan.verdict(state);
        let name_stays = unspelled.is_none_or(|object| {
            self.plan.verdict(object).names == Names::Unclassified
                && Self::keeps_name(under, verdict)
        });
        match kind {
            _ if !name_stays => None,
            Some(kind) => match self.decide_container(under, state, kind)? {
                OnContainer::Pass => Some(Always::Pass),
                OnContainer::Null => Some(Always::Null),
                OnContainer::Drop => Some(Always::Drop),
                OnContainer::Enter(_) => None,
            },
            None if verdict.strings == Strings::Documents => None,
            None => match Self::acting(under, verdict) {
                Own::None if under.inherited == Inherited::Null => Some(Always::Null),
                Own::None if under.inherited == Inherited::Drop => Some(Always::Drop),
                Own::None if verdict.mount.unwrap_or(under.keeps) => Some(Always::Pass),
                Own::Null => Some(Always::Null),
                Own::Drop => Some(Always::Drop),
                // That it goes has to be noted once, or by each.
                Own::None | Own::Keep(_) | Own::Change(_) => None,
            },
        }
    }
}
