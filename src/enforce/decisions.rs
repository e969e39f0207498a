//! Carries out what the [rules](crate::policy::Scope) say of each node of a document, and counts it.

use std::sync::Arc;

use crate::{
    enforce::{
        nesting::{Nesting, Scope},
        places::Trail,
        tally::Tally,
    },
    json::{Always, Edits, Keeps, Limits, OnContainer, OnName, OnScalar, Place, Step},
    path::{Kind, State},
    policy::{CellId, Named, Names, Own, Plan, Removal, Ruling, Strings, Verdict},
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

impl Decisions {
    pub(crate) fn new(plan: Arc<Plan>, context: Context, limits: Limits) -> Self {
        let tally = Tally::of_body(Arc::clone(&plan));
        let nesting = Nesting::outside(Scope::outside(plan.keeps_unclassified()));
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

    #[inline]
    pub(super) fn decide_scalar(
        &mut self,
        under: Scope,
        state: State,
        verdict: &Verdict,
    ) -> OnScalar<Capture> {
        match under.scalar(&*self.plan, state, verdict) {
            Ruling::Own(own, ()) | Ruling::Element(own, ()) => self.treat(own),
            Ruling::With(Removal::Null, ()) | Ruling::Gone(Removal::Null, ()) => OnScalar::Null,
            Ruling::Kept(_) => {
                self.tally.keep_unclassified(1);
                OnScalar::Pass
            }
            Ruling::Unclassified(_) => {
                self.withhold_unclassified();
                OnScalar::Drop
            }
            Ruling::With(Removal::Drop, ())
            | Ruling::Gone(Removal::Drop, ())
            | Ruling::Known(_)
            | Ruling::NameUnspelled
            | Ruling::NameRemoved(()) => OnScalar::Drop,
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

    #[expect(clippy::inline_always, reason = "the rewriter calls it for every container")]
    #[inline(always)]
    fn container(&mut self, under: Scope, state: State, kind: Kind) -> OnContainer<Scope> {
        let decided = match under.container(&*self.plan, state, kind) {
            Ok(inside) if inside.whole => OnContainer::Pass,
            Ok(inside) => OnContainer::Enter(inside.scope),
            Err(Ruling::Gone(Removal::Null, ())) => OnContainer::Null,
            Err(Ruling::Unclassified(_)) => {
                self.withhold_unclassified();
                OnContainer::Drop
            }
            Err(_) => OnContainer::Drop,
        };
        self.nesting.root_is(!matches!(decided, OnContainer::Null | OnContainer::Drop));
        self.count_name(!matches!(decided, OnContainer::Drop));
        decided
    }

    #[expect(clippy::inline_always, reason = "the rewriter calls it for every scalar")]
    #[inline(always)]
    fn scalar(&mut self, under: Scope, state: State) -> OnScalar<Capture> {
        let verdict = self.plan.verdict(state);
        // The root of a document is not once more a document: it stands where that stands.
        let is_document = verdict.strings == Strings::Documents && !self.nesting.is_at_root();
        let decided = if is_document && under.may_leave(&verdict) {
            OnScalar::Capture(Capture::Embedded(under, state))
        } else {
            self.decide_scalar(under, state, &verdict)
        };
        self.nesting.root_is(!matches!(decided, OnScalar::Null | OnScalar::Drop));
        self.count_name(decided != OnScalar::Drop);
        decided
    }

    fn name(&mut self, under: Scope, object: State, member: State) -> OnName<Capture> {
        match under.name(&*self.plan, object, member) {
            Ok(Named::Kept(cell)) => {
                self.name_to_count = cell;
                OnName::Keep
            }
            Ok(Named::Changed(cell)) => OnName::Capture(Capture::Cell(cell)),
            Err(Ruling::NameRemoved(())) => OnName::Drop,
            Err(_) => {
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

    fn keeps(&self, under: Scope, state: State, kind: Option<Kind>) -> Keeps<Scope> {
        let Some(kind) = kind else {
            let verdict = self.plan.verdict(state);
            return match under.scalar(&*self.plan, state, &verdict) {
                Ruling::Own(Own::Keep(_), ())
                | Ruling::Element(Own::Keep(_), ())
                | Ruling::Kept(_) => {
                    // A document that is a string there is written anew.
                    match verdict.strings {
                        Strings::Documents => Keeps::Inside(under),
                        Strings::Text => Keeps::Whole,
                    }
                }
                Ruling::Own(..)
                | Ruling::Element(..)
                | Ruling::With(..)
                | Ruling::Gone(..)
                | Ruling::Known(_)
                | Ruling::Unclassified(_)
                | Ruling::NameUnspelled
                | Ruling::NameRemoved(()) => Keeps::Nothing,
            };
        };
        match under.container(&*self.plan, state, kind) {
            Ok(inside) if inside.whole => Keeps::Whole,
            Ok(inside) => Keeps::Inside(inside.scope),
            Err(_) => Keeps::Nothing,
        }
    }

    fn keeps_name(&self, under: Scope, object: State, member: State) -> OnName<()> {
        match under.name(&*self.plan, object, member) {
            Ok(Named::Kept(_)) => OnName::Keep,
            Ok(Named::Changed(_)) => OnName::Capture(()),
            Err(_) => OnName::Drop,
        }
    }

    /// Where nothing is counted but what is kept although it is unclassified.
    fn always(
        &self,
        under: Scope,
        state: State,
        kind: Option<Kind>,
        unspelled: Option<State>,
    ) -> Option<Always> {
        match unspelled.map(|object| under.name(&*self.plan, object, state)) {
            None | Some(Ok(Named::Kept(None))) => {}
            Some(Ok(Named::Kept(Some(_)) | Named::Changed(_))) => return None,
            Some(Err(Ruling::NameRemoved(()))) => return Some(Always::Drop),
            Some(Err(_)) => return Some(Always::Withhold),
        }
        match kind {
            Some(kind) => match under.container(&*self.plan, state, kind) {
                Ok(inside) => inside.whole.then_some(Always::Pass),
                Err(Ruling::Gone(Removal::Null, ())) => Some(Always::Null),
                Err(Ruling::Unclassified(_)) => Some(Always::Withhold),
                Err(_) => Some(Always::Drop),
            },
            None if self.plan.verdict(state).strings == Strings::Documents => None,
            None => match under.scalar(&*self.plan, state, &self.plan.verdict(state)) {
                Ruling::Own(Own::Null, ())
                | Ruling::Element(Own::Null, ())
                | Ruling::With(Removal::Null, ())
                | Ruling::Gone(Removal::Null, ()) => Some(Always::Null),
                Ruling::Own(Own::Drop, ())
                | Ruling::Element(Own::Drop, ())
                | Ruling::With(Removal::Drop, ())
                | Ruling::Gone(Removal::Drop, ())
                | Ruling::Known(_)
                | Ruling::NameRemoved(()) => Some(Always::Drop),
                Ruling::Kept(_) => Some(Always::Pass),
                Ruling::Unclassified(_) | Ruling::NameUnspelled => Some(Always::Withhold),
                // Each is counted.
                Ruling::Own(..) | Ruling::Element(..) => None,
            },
        }
    }
}
