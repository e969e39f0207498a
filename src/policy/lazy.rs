//! The verdicts of states that are made as a document meets them.
//!
//! All that a state says of its own node follows from the lines that select it, as it does where states are
//! made beforehand. Two things are said of states that nobody has seen: whether anything can be left
//! below a container, and whether two lines can meet that are at odds. They are answered by the paths, two
//! or three at a time.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;

use crate::{
    path::{
        Part, Path, PathId, Program, Row, Segment, State, can_meet, can_meet_outside,
        can_reach_one_name, can_select, is_within, may_be_within, may_meet,
    },
    policy::{
        lines::{Contestant, Lines, Rivals},
        verdict::{Kinds, Verdict},
    },
};

/// Most pairs of paths that are held against each other for one state, or one plan; and how many of them
/// are looked at closely.
const PAIRS_MAX: usize = 1 << 24;
const CLOSE_PAIRS_MAX: usize = 1 << 13;
const PAIRS_OF_STATE_MAX: usize = 1 << 16;
const CLOSE_PAIRS_OF_STATE_MAX: usize = 1 << 8;

/// How many steps stand for a pair that is looked at closely: two paths are compiled together.
const CLOSE_STEPS: u64 = 1 << 13;

/// Most pairs that are remembered.
const KNOWN_MAX: usize = 1 << 16;

/// Where a path stands: so many of its segments have been matched.
type At = (PathId, usize);

/// How the paths of a route relate, for all purposes.
pub(super) struct Relations {
    paths: Box<[Path]>,
    /// For each path, by how many of its segments have been matched: whether the rest can select something
    /// below an object, and below an array.
    ways: Box<[Box<[[bool; 2]]>]>,
    within: Mutex<HashMap<(At, At), bool, RandomState>>,
    meet: Mutex<HashMap<(PathId, PathId), bool, RandomState>>,
}

impl Relations {
    /// Those of the lines, so many, and of the paths behind them, which only spell names and lead nowhere.
    pub(super) fn new(paths: Vec<Path>, lines: usize) -> Self {
        let lead_on = paths.iter().take(lines).map(ways);
        Self {
            ways: lead_on.collect(),
            paths: paths.into(),
            within: Mutex::default(),
            meet: Mutex::default(),
        }
    }

    fn path(&self, path: PathId) -> Option<&Path> {
        self.paths.get(path.index())
    }

    fn ways(&self, (path, matched): At) -> [bool; 2] {
        let ways = self.ways.get(path.index()).and_then(|ways| ways.get(matched));
        ways.copied().unwrap_or_default()
    }

    /// Whether all that is still to be selected by the one is selected by the other, too.
    fn is_within(&self, one: At, other: At, tries: &mut Tries) -> bool {
        let (rest, by) = (self.rest(one), self.rest(other));
        if !tries.look() || !may_be_within(rest, by) {
            return false;
        }
        remembered(&self.within, (one, other), || {
            let path = |segments: &[Segment]| Path::of(segments.to_vec());
            tries.look_closely().then(|| is_within(&path(rest), &path(by)))
        })
        .unwrap_or(false)
    }

    /// The segments that are still to be matched.
    fn rest(&self, (path, matched): At) -> &[Segment] {
        let segments = self.path(path).map(Path::segments).unwrap_or_default();
        segments.get(matched..).unwrap_or_default()
    }

    /// One of these paths of which something is left wherever it leads: from its beginning on it can go below
    /// any container, and what it selects in the end, nothing drops.
    fn never_dropped(&self, lines: &Lines, anywhere: &[PathId]) -> Option<PathId> {
        let all = || (0..u32::MAX).map(PathId::numbered).zip(&self.paths);
        // By how they end: what is before may have been matched already.
        let dropping: Vec<&[Segment]> = all()
            .filter(|(id, _)| lines.drops(*id) == Some(true))
            .map(|(_, path)| path.segments().last().map(std::slice::from_ref).unwrap_or_default())
            .collect();
        let mut tries = Tries::new(PAIRS_MAX, 0);
        let kept = anywhere.iter().copied().filter(|id| lines.drops(*id) == Some(false));
        let mut kept = kept.filter(|id| self.ways((*id, 0)) == [true; 2]);
        kept.find(|id| {
            dropping.iter().all(|by| tries.look() && !may_be_within(self.rest((*id, 0)), by))
        })
    }

    /// Lines that meet although they are at odds, with their values, and with the names that they reach. None
    /// if there are too many to tell.
    pub(super) fn rivals(&self, lines: &Lines) -> Option<(Vec<Rivals>, Vec<Rivals>)> {
        let [values, names] = lines.contests();
        let mut tries = Tries::new(PAIRS_MAX, CLOSE_PAIRS_MAX);
        let of_values = at_odds(&values, &mut tries, |one, other, tries| {
            let (path, with) = (self.path(one.path)?, self.path(other.path)?);
            if !may_meet(path, with) {
                return Some(false);
            }
            let meet = remembered(&self.meet, (one.path, other.path), || {
                tries.look_closely().then(|| can_meet(path, with))
            });
            // Where another line is stricter than both, there is nothing to be at odds about.
            let stricter = |other: &&Contestant| other.rank > one.rank;
            let mut above = values.iter().filter(stricter).filter_map(|one| self.path(one.path));
            Some(
                meet?
                    && !above.any(|above| {
                        tries.look()
                            && may_be_within(path.segments(), above.segments())
                            && tries.look_closely()
                            && !can_meet_outside(path, with, above)
                    }),
            )
        })?;
        let of_names = at_odds(&names, &mut tries, |one, other, tries| {
            let (path, with) = (self.path(one.path)?, self.path(other.path)?);
            let (from, or_from) = (one.own_from, other.own_from);
            tries.look_closely().then(|| can_reach_one_name((path, from), (with, or_from)))
        })?;
        Some((of_values, of_names))
    }
}

/// The contestants of which two that are at odds meet.
fn at_odds(
    contestants: &[Contestant],
    tries: &mut Tries,
    meet: impl Fn(&Contestant, &Contestant, &mut Tries) -> Option<bool>,
) -> Option<Vec<Rivals>> {
    let mut rivals = Vec::new();
    for (index, one) in contestants.iter().enumerate() {
        for other in contestants.iter().skip(index + 1) {
            let are = one.rank == other.rank && one.parameters != other.parameters;
            // Where a filter decides, so does the document.
            if !are || one.filtered || other.filtered {
                continue;
            }
            if !tries.look() {
                return None;
            }
            if meet(one, other, tries)? {
                rivals.push(Rivals { first: one.path, second: other.path, filtered: false });
            }
        }
    }
    Some(rivals)
}

/// By how many of its segments have been matched, whether a path can go on to its end below an object, and
/// below an array.
fn ways(path: &Path) -> Box<[[bool; 2]]> {
    let mut ways = Vec::with_capacity(path.segments().len());
    let mut ends = true;
    for segment in path.segments().iter().rev() {
        let selects = segment.selectors.iter().map(can_select);
        let selects = selects.fold([false; 2], |all, one| [all[0] | one[0], all[1] | one[1]]);
        let any = selects[0] | selects[1];
        let selects = if segment.descendant { [any; 2] } else { selects };
        ways.push(selects.map(|selects| selects && ends));
        ends &= any;
    }
    ways.reverse();
    ways.into()
}

/// What is known of a key, or is found out now, unless that would be too much.
fn remembered<K: std::hash::Hash + Eq>(
    known: &Mutex<HashMap<K, bool, RandomState>>,
    key: K,
    find_out: impl FnOnce() -> Option<bool>,
) -> Option<bool> {
    if let Some(known) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Some(*known);
    }
    let found = find_out()?;
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(key, found);
    Some(found)
}

/// How many pairs may still be looked at, and how many steps have been taken.
struct Tries {
    left: usize,
    closely: usize,
    steps: u64,
}

impl Tries {
    fn new(left: usize, closely: usize) -> Self {
        Self { left, closely, steps: 0 }
    }

    fn look(&mut self) -> bool {
        self.steps += 1;
        take(&mut self.left)
    }

    fn look_closely(&mut self) -> bool {
        let any = take(&mut self.closely);
        self.steps += if any { CLOSE_STEPS } else { 0 };
        any
    }
}

fn take(left: &mut usize) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

/// See the module.
pub(super) struct LazyVerdicts {
    lines: Arc<Lines>,
    relations: Arc<Relations>,
    /// Of the paths that begin everywhere, those that come to the same as all: in what they say of names,
    /// and in what can be left below.
    leading_in_names: Arc<[PathId]>,
    leading_below: Arc<[PathId]>,
    known: Mutex<Known>,
}

/// Verdicts by state, and what is the same for all states of a row.
#[derive(Default)]
struct Known {
    /// How often the program had forgotten its states when this was found out.
    forgotten: u64,
    of_states: Vec<Option<Verdict>>,
    of_rows: Vec<Option<Verdict>>,
    /// By what their states share.
    of_shared: HashMap<usize, Reach, RandomState>,
}

/// What is known of the paths that lead on from a node.
#[derive(Default)]
struct Reach {
    /// Those that come to the same as all, in what they say of names, each with a segment that reaches one.
    names: Vec<(PathId, usize)>,
    /// Those of which something is left, and those that drop, by how little they have to go on.
    kept: Vec<At>,
    dropping: Vec<At>,
    /// Those of the first of which something is left whatever these others drop, as far as is needed to say that
    /// something can be left below an object, and below an array.
    left: Vec<At>,
    /// Whether one of them goes on below an object, and below an array.
    ways: [bool; 2],
    leads_on: bool,
}

impl LazyVerdicts {
    pub(super) fn new(lines: Lines, relations: Arc<Relations>, anywhere: &[PathId]) -> Self {
        // One that nothing can take the place of is always something to be left below.
        let always = relations.never_dropped(&lines, anywhere);
        let leading_below = always.map_or_else(|| anywhere.into(), |path| [path].into());
        Self {
            leading_in_names: lines
                .leading_in_names(anywhere.iter().map(|path| (*path, 0)))
                .into_iter()
                .map(|(path, _)| path)
                .collect(),
            leading_below,
            lines: Arc::new(lines),
            relations,
            known: Mutex::default(),
        }
    }

    /// The same lines, for a program that has met nothing.
    pub(super) fn afresh(&self) -> Self {
        Self {
            lines: Arc::clone(&self.lines),
            relations: Arc::clone(&self.relations),
            leading_in_names: Arc::clone(&self.leading_in_names),
            leading_below: Arc::clone(&self.leading_below),
            known: Mutex::default(),
        }
    }

    /// The verdict on nodes in this state of `program`.
    pub(super) fn verdict(&self, program: &Program, state: State) -> Verdict {
        if state.is_pending() {
            return Verdict::CLOSED;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.forgotten != program.forgotten() {
            *known = Known { forgotten: program.forgotten(), ..Known::default() };
        }
        if let Some(verdict) = known.of_states.get(state.index()).copied().flatten() {
            return verdict;
        }
        let Some(row) = program.row(state).map(Row::index) else { return Verdict::CLOSED };
        let of_row = known.of_rows.get(row).copied().flatten().unwrap_or_else(|| {
            let shared = known.of_shared.entry(program.shared(state));
            let shared = shared
                .or_insert_with(|| self.reach(program, state, Part::Shared, &Reach::default()));
            let own = self.reach(program, state, Part::Own, shared);
            let found = self.of_row(shared, &own);
            put(&mut known.of_rows, row, found);
            found
        });
        let mut selected = Vec::new();
        program.select(state, &mut selected);
        let verdict = Verdict {
            own: self.lines.own(&selected, &mut Vec::new()),
            mount: self.lines.mount(&selected),
            strings: self.lines.strings(&selected),
            ..of_row
        };
        put(&mut known.of_states, state.index(), verdict);
        verdict
    }

    /// What is known of a part of a state, of which another part is known.
    fn reach(&self, program: &Program, state: State, part: Part, besides: &Reach) -> Reach {
        let mut tries = Tries::new(PAIRS_OF_STATE_MAX, CLOSE_PAIRS_OF_STATE_MAX);
        let reaching = program.reaching_unspelled_of(state, part, &self.leading_in_names);
        let names = self.lines.leading_in_names(reaching);
        let on = program.matched(state, part, &self.leading_below);
        let on: Vec<At> = on.filter(|at| !self.relations.rest(*at).is_empty()).collect();
        tries.steps += on.len() as u64;
        let drop = |drops| {
            let on = on.iter().copied();
            on.filter(move |at| self.lines.drops(at.0) == Some(drops)).collect::<Vec<At>>()
        };
        let (kept, mut dropping) = (drop(false), drop(true));
        // What has least to go on selects most.
        dropping.sort_by_key(|at| self.relations.rest(*at).len());
        let mut reach = Reach {
            names,
            ways: either(on.iter().map(|at| self.relations.ways(*at))),
            leads_on: !on.is_empty(),
            kept,
            dropping,
            left: Vec::new(),
        };
        let mut below = [false; 2];
        // What is left of the other part may be dropped by this one; then all of it may have to be looked at.
        let others = besides.left.iter().map(|at| (*at, false));
        let own = reach.kept.iter().map(|at| (*at, true));
        let all = besides.kept.iter().map(|at| (*at, true));
        for (at, by_both) in others.chain(own).chain(all) {
            let ways = self.relations.ways(at);
            let is_new = (ways[0] && !below[0]) || (ways[1] && !below[1]);
            let besides = if by_both { besides.dropping.as_slice() } else { &[] };
            let mut dropping = reach.dropping.iter().chain(besides);
            if is_new && !dropping.any(|by| self.relations.is_within(at, *by, &mut tries)) {
                below = either([below, ways].into_iter());
                reach.left.push(at);
            }
            if below == [true; 2] {
                break;
            }
        }
        program.count_steps(tries.steps);
        reach
    }

    /// What is the same for all states of a row, by what these share and what they have besides, of which what is
    /// left below them has been found out; of the rest, nothing leaves.
    fn of_row(&self, shared: &Reach, own: &Reach) -> Verdict {
        let reaching = shared.names.iter().chain(&own.names).copied();
        let [below_object, below_array] =
            either(own.left.iter().map(|at| self.relations.ways(*at)));
        let [object, array] = either([shared.ways, own.ways].into_iter());
        Verdict {
            names: self.lines.names(reaching, &mut Vec::new()),
            below_object,
            below_array,
            known: Kinds { object, array },
            leaf: !shared.leads_on && !own.leads_on,
            ..Verdict::CLOSED
        }
    }

    /// What each line decides by itself.
    pub(super) fn of_lines(&self) -> Vec<Verdict> {
        let paths = (0..u32::MAX).map(PathId::numbered).zip(&self.relations.paths);
        let verdicts = paths.map(|(path, segments)| Verdict {
            own: self.lines.own(&[path], &mut Vec::new()),
            names: self.lines.names(
                (0..segments.segments().len()).map(|segment| (path, segment)),
                &mut Vec::new(),
            ),
            mount: self.lines.mount(&[path]),
            ..Verdict::CLOSED
        });
        verdicts.collect()
    }
}

/// Of an object and of an array, whether one of these says yes.
fn either(ways: impl Iterator<Item = [bool; 2]>) -> [bool; 2] {
    ways.fold([false; 2], |all, one| [all[0] | one[0], all[1] | one[1]])
}

fn put(verdicts: &mut Vec<Option<Verdict>>, at: usize, verdict: Verdict) {
    verdicts.resize(verdicts.len().max(at + 1), None);
    if let Some(known) = verdicts.get_mut(at) {
        *known = Some(verdict);
    }
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relations").field("paths", &self.paths.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for LazyVerdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyVerdicts").field("relations", &self.relations).finish_non_exhaustive()
    }
}
