//! What happens at one place of the answer: to every node that a path can select.

use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::{
    path::{
        Answered, Elements, Filter, Kind, Path, PathId, Program, Question, Selector, State, can_be,
        least_common_multiple,
    },
    policy::{
        explain::{
            Explanation, Row,
            walk::{Ruling, Scope, Walk},
            words::{in_words, names_in_words},
        },
        model::{Api, Class, Field, Unclassified as Said},
    },
    transform::Action,
};

/// Longest run of elements that is looked at before slices are taken to repeat: the longest that one
/// state of a program can have.
const PERIOD_MAX: u64 = 4096;

/// Most nodes that are looked below, those with the shortest way first.
const NODES_MAX: usize = 2_000;

/// Most steps that are tried from node to node: on a route with many names each node has many.
const STEPS_MAX: usize = 1_000_000;

/// Most rows that are told.
const ROWS_MAX: usize = 200;

/// Tells about every node that `path` can select: one row for each thing that can happen. Whether some line
/// is about a value there, or it leaves without one.
pub(super) fn tell(walk: Walk<'_>, api: &Api, path: &Path, told: &mut Explanation) -> bool {
    let probe = match Program::compile(std::slice::from_ref(path)) {
        Ok(probe) => probe,
        Err(error) => {
            let fate = format!("cannot be explained: {error}");
            told.put(false, Row::new(path.to_string(), fate, Vec::new()));
            return true;
        }
    };
    let (nodes, mut complete) = Search::new(walk, path, &probe).run();
    let mut told_of = HashSet::new();
    let mut rows = Vec::new();
    for node in &nodes {
        let outcome = Outcome::of(walk, node);
        if told_of.insert(outcome) {
            if rows.len() == ROWS_MAX {
                complete = false;
                break;
            }
            rows.push((node, outcome));
        }
    }
    let alone = rows.len() == 1 && complete;
    if rows.is_empty() && complete {
        let fate = "nothing: this path selects no value".to_owned();
        told.put(false, Row::new(path.to_string(), fate, Vec::new()));
    }
    let mut is_described = false;
    for (node, outcome) in rows {
        is_described |= match outcome.scalar {
            Ruling::Own(..) | Ruling::Element(..) | Ruling::NameRemoved(_) => true,
            Ruling::With(..)
            | Ruling::Gone(..)
            | Ruling::Kept(_)
            | Ruling::Known(_)
            | Ruling::Unclassified(_)
            | Ruling::NameUnspelled => walk.scalar_leaves(outcome.scalar),
        };
        let what = if alone { path.to_string() } else { node.shown() };
        let (left, row) = outcome.row(walk, api, node.state, what);
        told.put(left, row);
    }
    if !complete {
        told.rest.push(format!(
            "There are more places that {path} selects than are told here: ask for a narrower path."
        ));
    }
    is_described
}

/// Why who sees a node does not see, as it is, all that a path selects from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// This becomes of some of it.
    Ruling(Ruling),
    /// Some of it is a text of which only what is left of the document in it is seen, by this line.
    Document(PathId),
    /// Some of it is in an element of which another filter is asked: one that cannot be answered takes it away.
    Asked,
}

/// Whether who sees a node in this state also sees, as it is, all that `path` selects from there, be it a scalar or a
/// container. `steps` counts on with the nodes that are looked at.
pub(super) fn sees(
    walk: Walk<'_>,
    path: &Path,
    under: Scope,
    state: State,
    steps: &mut usize,
) -> Result<(), Unseen> {
    let unclear = Unseen::Ruling(Ruling::NameUnspelled);
    let probe = Program::compile(std::slice::from_ref(path)).map_err(|_too_complex| unclear)?;
    let mut search = Search::new(walk, path, &probe);
    let under = Ok(under);
    search.go(Node {
        state,
        probe: probe.start(),
        under,
        renamed: false,
        unspelled: false,
        asked: None,
        way: Vec::new(),
    });
    let (nodes, complete) = search.follow(steps);
    for node in nodes {
        let fate = node.under.map_or_else(|gone| gone, |under| walk.scalar(under, node.state));
        if node.renamed || !walk.leaves_as_it_is(fate) {
            return Err(Unseen::Ruling(fate));
        }
        // A scalar in an array leaves by the line of that, and a container in it does not.
        for kind in [Kind::Object, Kind::Array] {
            let inside = node.under.and_then(|under| walk.container(under, node.state, kind));
            inside.map_err(Unseen::Ruling)?;
        }
        if let Some(line) = walk.embedding(node.state) {
            return Err(Unseen::Document(line));
        }
        if node.asked == Some(AskedOf::Above) {
            return Err(Unseen::Asked);
        }
    }
    if complete { Ok(()) } else { Err(unclear) }
}

/// A step on the way to a node.
#[derive(Clone, PartialEq, Eq)]
enum Step {
    Selector(Selector),
    /// Any name that neither a line nor the path spells.
    OtherName,
}

/// A node that the path selects, or one above.
#[derive(Clone)]
struct Node {
    state: State,
    /// How far the path has come.
    probe: State,
    /// What stands above hands this down, or is gone.
    under: Result<Scope, Ruling>,
    /// A name at or above it is replaced.
    renamed: bool,
    /// No line spells its name.
    unspelled: bool,
    /// Whether a filter is asked of it, or of what it stands in, below where the search began.
    asked: Option<AskedOf>,
    way: Vec<Step>,
}

/// Where a filter is asked that can take a node away: one that cannot be answered does so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum AskedOf {
    /// Of the node itself.
    Here,
    /// Of something that it stands in.
    Above,
}

impl Node {
    /// Where it stands, for example.
    fn shown(&self) -> String {
        let step = |step: &Step| match step {
            Step::Selector(selector) => {
                let step = format!("$[{selector}]");
                let short = Path::parse(&step).map_or(step, |path| path.to_string());
                short.trim_start_matches('$').to_owned()
            }
            Step::OtherName => "[any other name]".to_owned(),
        };
        format!("${}", self.way.iter().map(step).collect::<String>())
    }
}

/// What of a [`Node`] decides what is below it: both states, what stands above, and whether names and filters are.
type Alike = (State, State, Result<Scope, Ruling>, bool, Option<AskedOf>);

/// Steps through the lines and the path together.
struct Search<'w> {
    walk: Walk<'w>,
    probe: &'w Program,
    names: BTreeSet<&'w str>,
    indices: BTreeSet<u64>,
    /// How far from the end of an array elements are looked at.
    back: u64,
    seen: HashSet<Alike>,
    next: VecDeque<Node>,
    /// Nodes that the path selects.
    found: Vec<Node>,
    steps: usize,
    /// How many nodes it has gone to.
    gone: usize,
    /// Whether there were more states than can be told apart.
    lost: bool,
}

impl<'w> Search<'w> {
    fn new(walk: Walk<'w>, path: &'w Path, probe: &'w Program) -> Self {
        let paths = walk.route.fields.iter().map(|field| &field.path).chain([path]);
        let selectors = paths.flat_map(Path::segments).flat_map(|segment| &segment.selectors);
        let listed = walk.route.fields.iter().flat_map(|field| &*field.spells);
        let mut names: BTreeSet<&str> = listed.map(String::as_str).collect();
        let mut bounds = BTreeSet::from([0]);
        let mut period = 1;
        let mut back = 1;
        for selector in selectors {
            match selector {
                Selector::Name(name) => {
                    names.insert(name.as_str());
                }
                Selector::Index(_) | Selector::Slice { .. } => match selector.elements() {
                    Some(Elements::Front(range)) => {
                        bounds.insert(range.start);
                        bounds.extend((range.end < u64::MAX).then_some(range.end));
                        period = least_common_multiple(period, range.step).min(PERIOD_MAX);
                    }
                    Some(Elements::End(from_end)) => {
                        bounds.extend(from_end.fronts());
                        period =
                            least_common_multiple(period, from_end.front_step()).min(PERIOD_MAX);
                        let step = from_end.end_step();
                        let far = from_end.back().max(from_end.border()).saturating_add(step);
                        back = back.max(far.saturating_add(step)).min(PERIOD_MAX);
                    }
                    Some(Elements::Nothing) | None => {}
                },
                Selector::Wildcard | Selector::Filter(_) => {}
            }
        }
        let indices =
            bounds.into_iter().flat_map(|bound| bound..bound.saturating_add(period)).collect();
        Self {
            walk,
            probe,
            names,
            indices,
            back,
            seen: HashSet::new(),
            next: VecDeque::new(),
            found: Vec::new(),
            steps: 0,
            gone: 0,
            lost: false,
        }
    }

    /// The nodes that the path selects, those with the shortest way first; and whether these are all.
    fn run(mut self) -> (Vec<Node>, bool) {
        self.go(Node {
            state: self.walk.plan.program().start(),
            probe: self.probe.start(),
            under: Ok(self.walk.outside()),
            renamed: false,
            unspelled: false,
            asked: None,
            way: Vec::new(),
        });
        self.follow(&mut 0)
    }

    /// Goes on from the nodes that it has gone to, and counts its steps.
    fn follow(mut self, steps: &mut usize) -> (Vec<Node>, bool) {
        let mut looked_at = 0;
        while looked_at < NODES_MAX
            && self.steps < STEPS_MAX
            && let Some(node) = self.next.pop_front()
        {
            looked_at += 1;
            self.members(&node);
            self.elements(&node);
        }
        *steps = steps.saturating_add(self.gone);
        (self.found, self.next.is_empty() && !self.lost)
    }

    fn go(&mut self, node: Node) {
        self.gone += 1;
        if node.state == State::LOST || node.probe == State::LOST {
            self.lost = true;
            return;
        }
        let seen = (node.state, node.probe, node.under, node.renamed, node.asked);
        if node.probe != State::DEAD && self.seen.insert(seen) {
            if self.probe.selected(node.probe).next().is_some() {
                self.found.push(node.clone());
            }
            self.next.push_back(node);
        }
    }

    fn inside(&self, node: &Node, kind: Kind) -> Result<Scope, Ruling> {
        node.under.and_then(|under| self.walk.container(under, node.state, kind))
    }

    fn members(&mut self, object: &Node) {
        let program = self.walk.plan.program();
        self.steps += self.names.len() + 1;
        let inside = self.inside(object, Kind::Object);
        let names = self.names.iter().filter_map(|name| {
            let probe = self.probe.member(object.probe, name.as_bytes());
            if probe.state == State::DEAD {
                return None;
            }
            let member = program.member(object.state, name.as_bytes());
            let step = Step::Selector(Selector::Name((*name).to_owned()));
            let is_other = !member.spelled && !probe.spelled;
            (!is_other).then_some((member.state, member.spelled, probe.state, step))
        });
        let other = program.unspelled(object.state);
        let other = (other, false, self.probe.unspelled(object.probe), Step::OtherName);
        let members: Vec<_> =
            names.chain([other]).filter(|(_, _, probe, _)| *probe != State::DEAD).collect();
        let members = members.into_iter().flat_map(|(state, spelled, probe, step)| {
            let settled = self.settled(state, probe);
            settled.into_iter().map(move |(to, probe, filters)| {
                (to, state, spelled, probe, steps_of(step.clone(), filters))
            })
        });
        for (state, from, spelled, probe, steps) in members.collect::<Vec<_>>() {
            let mut renamed = object.renamed;
            let under = inside.and_then(|inside| {
                if !spelled {
                    renamed |= self.walk.name(inside, object.state, state)?;
                }
                Ok(inside)
            });
            let way = object.way.iter().cloned().chain(steps).collect();
            let asked = self.asked(object, from);
            self.go(Node { state, probe, under, renamed, unspelled: !spelled, asked, way });
        }
    }

    fn elements(&mut self, array: &Node) {
        let program = self.walk.plan.program();
        let under = self.inside(array, Kind::Array);
        let alike =
            program.elements_are_alike(array.state) && self.probe.elements_are_alike(array.probe);
        let indices: Vec<u64> =
            if alike { vec![0] } else { self.indices.iter().copied().collect() };
        for index in indices {
            let (state, probe) =
                (program.element(array.state, index), self.probe.element(array.probe, index));
            // Where nothing counts from the end, one length of the array is as good as any.
            let from_end = program.counts_from_end(state) || self.probe.counts_from_end(probe);
            for distance in 1..=(if from_end { self.back } else { 1 }) {
                self.steps += 1;
                let length = index.saturating_add(distance);
                let state = program.placed(state, index, length);
                let probe = self.probe.placed(probe, index, length);
                let selector = if from_end {
                    Selector::Index(i64::try_from(distance).map_or(-1, i64::saturating_neg))
                } else if alike {
                    Selector::Wildcard
                } else {
                    Selector::Index(i64::try_from(index).unwrap_or(i64::MAX))
                };
                let asked = self.asked(array, state);
                for (state, probe, filters) in self.settled(state, probe) {
                    let steps = steps_of(Step::Selector(selector.clone()), filters);
                    let way = array.way.iter().cloned().chain(steps).collect();
                    let renamed = array.renamed;
                    self.go(Node { state, probe, under, renamed, unspelled: false, asked, way });
                }
            }
        }
    }

    /// Whether a filter is asked of a child whose state is this, or of what that stands in.
    fn asked(&self, parent: &Node, child: State) -> Option<AskedOf> {
        match (parent.asked, self.walk.plan.program().question(child)) {
            (Some(_), _) => Some(AskedOf::Above),
            (None, Some(Question::Filters(_))) => Some(AskedOf::Here),
            (None, Some(Question::FromEnd(_)) | None) => None,
        }
    }

    /// What a state and that of the path can be settled to together, and the filters that hold then.
    fn settled(&self, state: State, probe: State) -> Vec<(State, State, Vec<Filter>)> {
        if !state.is_pending() && !probe.is_pending() {
            return vec![(state, probe, Vec::new())];
        }
        let answers = |program: &Program, answered: &[Answered]| -> Vec<(Filter, bool)> {
            let filters = answered.iter().filter_map(|answered| match answered {
                Answered::Filter(id, holds) => Some((program.filter(*id)?.clone(), *holds)),
                Answered::FromEnd(..) => None,
            });
            filters.collect()
        };
        let program = self.walk.plan.program();
        let holding = |answers: Vec<(Filter, bool)>| {
            let mut hold: Vec<Filter> =
                answers.into_iter().filter_map(|(filter, holds)| holds.then_some(filter)).collect();
            hold.dedup();
            hold
        };
        let mut all = Vec::new();
        for (answered, state) in program.outcomes(state) {
            let own = answers(program, &answered);
            if !probe.is_pending() {
                all.push((state, probe, holding(own)));
                continue;
            }
            for (answered, probe) in self.probe.outcomes(probe) {
                let both: Vec<(Filter, bool)> =
                    own.iter().cloned().chain(answers(self.probe, &answered)).collect();
                let said: Vec<(&Filter, bool)> =
                    both.iter().map(|(filter, holds)| (filter, *holds)).collect();
                if can_be(&said) {
                    all.push((state, probe, holding(both)));
                }
            }
        }
        all
    }
}

/// A step, as the filters that hold there show it.
fn steps_of(step: Step, filters: Vec<Filter>) -> Option<Step> {
    let mut filters = filters.into_iter();
    let first = filters.next().map(|filter| Step::Selector(Selector::Filter(filter)));
    first.or(Some(step))
}

/// What happens to a node, whatever stands there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Outcome {
    /// To a scalar.
    scalar: Ruling,
    /// Whether an object, and whether an array, stays as structure where that is not as one expects:
    /// although a scalar there does not leave, or else does not although a scalar does.
    unlike: [bool; 2],
    renamed: bool,
    /// No line spells its name, which leaves with a container that stays there.
    unspelled: bool,
    root: bool,
}

impl Outcome {
    fn of(walk: Walk<'_>, node: &Node) -> Self {
        let root = node.way.is_empty();
        let under = match node.under {
            Ok(under) => under,
            Err(gone) => {
                // What has a line of its own is told by that: it would be removed by itself, too, or
                // what is above it would not be gone. Its name is another matter.
                let own = match gone {
                    Ruling::NameUnspelled | Ruling::NameRemoved(_) => None,
                    Ruling::Gone(..)
                    | Ruling::Kept(_)
                    | Ruling::Known(_)
                    | Ruling::Unclassified(_)
                    | Ruling::Own(..)
                    | Ruling::Element(..)
                    | Ruling::With(..) => walk.strictest(walk.classes(node.state)),
                };
                let action = walk.plan.verdict(node.state).own;
                let scalar = own.map_or(gone, |line| Ruling::Own(action, line));
                return Self { scalar, unlike: [false; 2], renamed: false, unspelled: false, root };
            }
        };
        let scalar = walk.scalar(under, node.state);
        let left = walk.scalar_leaves(scalar);
        let unlike = [Kind::Object, Kind::Array]
            .map(|kind| walk.container(under, node.state, kind).is_ok() != left);
        // Its name is of interest only where it leaves with nothing else that is told.
        let unspelled = node.unspelled && !left && unlike.contains(&true);
        Self { scalar, unlike, renamed: node.renamed, unspelled, root }
    }

    fn row(self, walk: Walk<'_>, api: &Api, state: State, what: String) -> (bool, Row) {
        let left = walk.scalar_leaves(self.scalar);
        let (mut fate, lines) = self.fate(walk, api, state);
        if self.root
            && let Some(why) = fate.strip_prefix("removed")
        {
            fate = format!("emptied (`null`), as a body cannot be removed{why}");
        }
        let containers = match self.unlike {
            [true, true] => Some("an object or array"),
            [true, false] => Some("an object"),
            [false, true] => Some("an array"),
            [false, false] => None,
        };
        if let Some(containers) = containers {
            fate = if left {
                format!("{fate}; {containers} there is removed, for no line describes it")
            } else {
                let name = match (self.unspelled, self.renamed) {
                    (false, _) => "",
                    (true, false) => "its name and ",
                    (true, true) => "a pseudonym for its name and ",
                };
                format!(
                    "{fate}; {containers} there stays, with {name}what other lines let through below"
                )
            };
        }
        if self.renamed && left {
            fate.push_str("; a name on the way there is replaced by a pseudonym");
        }
        // A name that nobody spelled is data, and leaves with an object that stays.
        let left = left || (self.unspelled && containers.is_some());
        let (category, action) = self.decided(walk);
        (left, Row::new(what, fate, lines).by(category, action))
    }

    /// The category that decides about a scalar there, and what is done with it.
    fn decided(self, walk: Walk<'_>) -> (&str, &'static str) {
        let (line, names) = match self.scalar {
            Ruling::Own(_, line)
            | Ruling::Element(_, line)
            | Ruling::With(_, line)
            | Ruling::Gone(_, line) => (line, false),
            Ruling::NameRemoved(line) => (line, true),
            Ruling::Kept(_) => return ("unclassified", Action::Keep.word()),
            Ruling::Known(_) | Ruling::Unclassified(_) | Ruling::NameUnspelled => {
                return ("unclassified", Action::Drop.word());
            }
        };
        let category = walk.field(line).and_then(|field| match (names, field.class) {
            (true, _) => field.names,
            (false, Class::Category(category)) => Some(category),
            (false, Class::Mount { .. }) => None,
        });
        if let (false, Some(category)) = (names, category) {
            return (walk.policies.category_name(category), walk.action(line, category).word());
        }
        let name =
            category.map_or("unclassified", |category| walk.policies.category_name(category));
        (name, Action::Drop.word())
    }

    fn fate(self, walk: Walk<'_>, api: &Api, state: State) -> (String, Vec<String>) {
        let policies = walk.policies;
        let purpose = walk.purpose;
        let about = |line: PathId| {
            let field = walk.field(line)?;
            let Class::Category(category) = field.class else { return None };
            let words = in_words(walk.action(line, category));
            let reason = walk.reason(field, category);
            Some((field, words, reason, policies.lines(field, purpose, category)))
        };
        let unclear = || ("removed".to_owned(), Vec::new());
        match self.scalar {
            Ruling::Own(_, line) => {
                let Some((_, words, reason, lines)) = about(line) else { return unclear() };
                let (stricter, milder) = stricter(walk, line, state, &words);
                (format!("{words}: {reason}{stricter}"), [lines, milder].concat())
            }
            Ruling::Element(_, line) => {
                let Some((field, words, reason, lines)) = about(line) else { return unclear() };
                (format!("{words}, as all scalars in the array {}: {reason}", field.path), lines)
            }
            Ruling::With(_, line) => {
                let Some((field, words, reason, lines)) = about(line) else { return unclear() };
                (format!("{words} with {}: {reason}", field.path), lines)
            }
            Ruling::Gone(_, line) => {
                let Some((field, words, reason, lines)) = about(line) else { return unclear() };
                let emptied = if words == in_words(&Action::Drop) {
                    String::new()
                } else {
                    format!(", which is {words}")
                };
                (format!("removed with {}{emptied}: {reason}", field.path), lines)
            }
            Ruling::Known(above) | Ruling::Unclassified(above) => {
                let fate = "removed: no line describes it".to_owned();
                let Some((field, words, _, lines)) = above.and_then(about) else {
                    return (fate, Vec::new());
                };
                let path = &field.path;
                (format!("{fate}, and nothing undecided leaves below {path} ({words})"), lines)
            }
            Ruling::Kept(record) => {
                let record = record.and_then(|line| walk.field(line));
                let fate = format!(
                    "leaves undecided: no line describes it, and what is not described is kept, because: {}",
                    kept_because(walk, api, record)
                );
                (fate, record.map(|field| policies.line(&field.at)).into_iter().collect())
            }
            Ruling::NameUnspelled => (
                "removed: no line spells its name, or one above it, and no `names:` is about it"
                    .to_owned(),
                Vec::new(),
            ),
            Ruling::NameRemoved(line) => {
                let names = walk.field(line).and_then(|field| Some((field, field.names?)));
                let Some((field, category)) = names else { return unclear() };
                let fate = format!(
                    "removed: names in {} {}: {}",
                    field.path,
                    names_in_words(purpose.action(category)),
                    policies.reason_for(purpose, category)
                );
                (fate, policies.lines(field, purpose, category))
            }
        }
    }
}

/// Whether the line that decides is stricter than others that are about the same values, in words; and where these
/// stand.
fn stricter(walk: Walk<'_>, line: PathId, state: State, words: &str) -> (String, Vec<String>) {
    let at = |line| walk.field(line).map(|field| &field.at);
    let milder = walk.classes(state).filter(|(other, category)| {
        at(*other) != at(line) && in_words(walk.action(*other, *category)) != words
    });
    let milder: Vec<_> = milder.filter_map(|(line, _)| walk.field(line)).collect();
    if milder.is_empty() {
        return Default::default();
    }
    let paths: Vec<String> = milder.iter().map(|field| field.path.to_string()).collect();
    let lines = milder.iter().map(|field| walk.policies.line(&field.at)).collect();
    (format!("; that is stricter than what {} says", paths.join(", ")), lines)
}

/// Why what no line describes is kept: the record that it stands in says so, or the API.
fn kept_because<'w>(walk: Walk<'w>, api: &'w Api, record: Option<&Field>) -> &'w str {
    let keeping = record
        .and_then(|field| walk.route.keeping.iter().find(|keeping| keeping.path == field.path));
    match (keeping, &api.unclassified) {
        (Some(keeping), _) => &keeping.because,
        (None, Said::Keep { because }) => because,
        (None, Said::Drop) => "",
    }
}
