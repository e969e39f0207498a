//! How the nodes of two paths relate, whatever the document.

use crate::path::{Path, PathId, Program, Segment, Selector, State};

/// Most states of two or three paths that are looked at: very many are asked about.
const STATES_MAX: usize = 1 << 10;

/// Whether a node can be selected by both paths. Where that takes too much to say, it can.
pub(crate) fn can_meet(one: &Path, other: &Path) -> bool {
    may_meet(one, other)
        && some_state(&[one.clone(), other.clone()], |program, state| {
            program.selected(state).count() == 2
        })
}

/// Whether a node that both paths select can be one that none of `unless` does. Where that takes too much to
/// say, it can.
pub(crate) fn can_meet_outside(one: &Path, other: &Path, unless: &Path) -> bool {
    some_state(&[one.clone(), other.clone(), unless.clone()], |program, state| {
        program.selected(state).map(PathId::index).eq([0, 1])
    })
}

/// Whether both paths can reach a name that neither spells, each by its segment of this number or a later
/// one. Where that takes too much to say, they can.
pub(crate) fn can_reach_one_name(
    (one, from): (&Path, usize),
    (other, or_from): (&Path, usize),
) -> bool {
    some_state(&[one.clone(), other.clone()], |program, state| {
        let reaching: Vec<_> = program.reaching_unspelled(state).collect();
        let reaches = |index: usize, from: usize| {
            reaching.iter().any(|(path, segment)| path.index() == index && *segment >= from)
        };
        reaches(0, from) && reaches(1, or_from)
    })
}

/// Whether every node that `one` selects is selected by `other`, too. Where that takes too much to say, it
/// is not.
pub(crate) fn is_within(one: &Path, other: &Path) -> bool {
    may_be_within(one.segments(), other.segments())
        && !some_state(&[one.clone(), other.clone()], |program, state| {
            program.selected(state).map(PathId::index).eq([0])
        })
}

/// Whether it is worth to ask that of two paths: most are told apart by what they select in the end, or by
/// names that the other needs above it.
pub(crate) fn may_be_within(one: &[Segment], other: &[Segment]) -> bool {
    let within = |one: &Segment, other: &Segment| {
        one.selectors.iter().all(|selector| {
            other.selectors.iter().any(|with| match (selector, with) {
                (Selector::Name(_), _) => with == selector || *with == Selector::Wildcard,
                (_, with) => !matches!(with, Selector::Name(_)),
            })
        })
    };
    let is_name = |selector: &Selector| matches!(selector, Selector::Name(_));
    // A name that the one does not spell does not stand above all that it selects.
    let spelled = |selector: &Selector| one.iter().any(|one| one.selectors.contains(selector));
    let needed = |other: &Segment| {
        !other.selectors.iter().all(is_name) || other.selectors.iter().any(spelled)
    };
    match (one.last(), other.last()) {
        (Some(last), Some(by)) => within(last, by) && other.iter().all(needed),
        // The root, and nothing else, is selected by no segment.
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether it is worth to ask if two paths can meet: most are told apart by what they select in the end.
pub(crate) fn may_meet(one: &Path, other: &Path) -> bool {
    let meet = |one: &Selector, other: &Selector| match (one, other) {
        (Selector::Name(_), Selector::Name(_)) => one == other,
        (Selector::Name(_), Selector::Index(_) | Selector::Slice { .. })
        | (Selector::Index(_) | Selector::Slice { .. }, Selector::Name(_)) => false,
        _ => true,
    };
    match (one.segments().last(), other.segments().last()) {
        (Some(one), Some(other)) => {
            one.selectors.iter().any(|one| other.selectors.iter().any(|other| meet(one, other)))
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Of an object and of an array, whether a selector can select a child.
pub(crate) fn can_select(selector: &Selector) -> [bool; 2] {
    match selector {
        Selector::Name(_) => [true, false],
        Selector::Wildcard | Selector::Filter(_) => [true, true],
        Selector::Index(_) | Selector::Slice { .. } => {
            let segment = Segment::by(false, selector.clone());
            let path = Path::of([segment]);
            [false, some_state(&[path], |program, state| program.selected(state).count() > 0)]
        }
    }
}

/// Whether there is a state of these paths of which that is true, or may be.
fn some_state(paths: &[Path], is: impl Fn(&Program, State) -> bool) -> bool {
    let Ok(program) = Program::compile_within(STATES_MAX, paths) else { return true };
    let Some(made) = program.automaton() else { return true };
    made.states().any(|state| is(&program, state))
}
