//! What leaves: the rules of "What a path classifies", one node after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jsonpath_rust::parser::model::{Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_vals;
use serde_json::Value;

pub(crate) use super::transform::Setup;
use super::transform::transform;
use super::tree::{Name, Node};
use super::world::{Action, Class, Target, World};

/// What leaves, and what is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sieved {
    /// Why there is no answer at all; then the rest is empty.
    pub(crate) refused: Option<&'static str>,
    pub(crate) tree: Node,
    /// (category, action word) and how many.
    pub(crate) counts: BTreeMap<(String, String), u64>,
    /// What was removed or made null, but for what an action could not treat.
    pub(crate) withheld: Vec<Withheld>,
}

/// A node of the document whose value must not show, and what else could stand there without a trace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Withheld {
    pub(crate) location: Vec<Step>,
    /// Any other scalar.
    pub(crate) scalar: bool,
    /// Any array.
    pub(crate) array: bool,
    /// Any object.
    pub(crate) object: bool,
}

impl Sieved {
    /// What [`leaves`](super::tree::leaves) says of the output.
    pub(crate) fn leaves(&self) -> Vec<(String, Vec<u8>)> {
        self.tree.leaves()
    }
}

/// What leaves of `body`, a valid document without duplicate names, for `purpose` on a route as it is written
/// in the policy (`GET /customers/{id}`).
pub(crate) fn sieve(
    world: &World,
    purpose: &str,
    api: &str,
    route: &str,
    body: &[u8],
    setup: &Setup,
) -> Sieved {
    let paths = paths(world, purpose, api, route);
    if paths.iter().flat_map(Path::actions).any(|action| *action == Action::Deny) {
        let refused = Some("category-denied");
        let (counts, withheld) = (BTreeMap::new(), Vec::new());
        return Sieved { refused, tree: Node::null(), counts, withheld };
    }

    let document = Node::parse(body);
    let mut walk = Walk {
        purpose,
        setup,
        api_keeps: world.apis[api].keeps,
        selected: selected(&paths, &document),
        alphabet: alphabet(&paths),
        ways_down: HashMap::new(),
        withheld_unclassified: false,
        counts: BTreeMap::new(),
        withheld: Vec::new(),
        paths: &paths,
    };
    // What the plan withholds is counted once, present or not.
    for path in &paths {
        for (category, action) in path.categories() {
            if matches!(action, Action::Null | Action::Drop) {
                walk.counts.insert((category.clone(), action.word().to_owned()), 1);
            }
        }
    }
    let root = walk.level(Vec::new(), paths.iter().map(|_| 1).collect());
    // The root is never removed.
    let tree = walk.node(&[root], &document).unwrap_or_else(Node::null);
    if walk.withheld_unclassified {
        walk.counts.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
    }
    Sieved { refused: None, tree, counts: walk.counts, withheld: walk.withheld }
}

/// One path of the plan, from the root of the document.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) text: String,
    segments: Vec<Segment>,
    /// The number of segments that come from mounts above.
    mounted: usize,
    gives: Gives,
    /// The category of `names`, and its rule.
    names: Option<(String, Action)>,
}

#[derive(Debug, PartialEq)]
enum Gives {
    Category(String, Action),
    /// A record, and whether it keeps what is unclassified.
    Record(bool),
}

impl Path {
    fn categories(&self) -> impl Iterator<Item = (&String, &Action)> {
        let own = match &self.gives {
            Gives::Category(category, action) => Some((category, action)),
            Gives::Record(_) => None,
        };
        own.into_iter().chain(self.names.as_ref().map(|(category, action)| (category, action)))
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        self.categories().map(|(_, action)| action)
    }
}

/// All paths of a route, records expanded.
pub(crate) fn paths(world: &World, purpose: &str, api: &str, route: &str) -> Vec<Path> {
    let routes = &world.apis[api].routes;
    let (_, body) = routes.iter().find(|(written, _)| written == route).expect("a route");
    let mut paths = Vec::new();
    expand(world, purpose, "$", body, &mut paths);
    paths
}

fn expand(
    world: &World,
    purpose: &str,
    mount: &str,
    classes: &[(String, Class)],
    paths: &mut Vec<Path>,
) {
    for (path, class) in classes {
        let text = format!("{mount}{}", path.strip_prefix('$').expect("a path from the root"));
        let gives = match &class.target {
            Target::Category(category) => {
                Gives::Category(category.clone(), world.rule(purpose, category))
            }
            Target::Record(record) => Gives::Record(world.records[record].keeps),
        };
        let names = class.names.clone().map(|category| {
            let action = world.rule(purpose, &category);
            (category, action)
        });
        let segments = parse_json_path(&text).unwrap().segments;
        let mounted = parse_json_path(mount).unwrap().segments.len();
        assert!(segments.len() < 64, "a position is a bit");
        paths.push(Path { text: text.clone(), segments, mounted, gives, names });
        if let Target::Record(record) = &class.target {
            expand(world, purpose, &text, &world.records[record].fields, paths);
        }
    }
}

/// One step down: to the member with this name, or to the element with this index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
}

type Location = Vec<Step>;

/// Rule 1: the nodes that each path selects, as `jsonpath-rust` finds them.
pub(crate) fn selected(paths: &[Path], document: &Node) -> HashMap<Location, BTreeSet<usize>> {
    let value = document.to_value();
    let mut locations = HashMap::new();
    locate(&value, &mut Vec::new(), &mut locations);
    let mut selected: HashMap<Location, BTreeSet<usize>> = HashMap::new();
    for (index, path) in paths.iter().enumerate() {
        for node in js_path_vals(&path.text, &value).unwrap() {
            let location = locations[&std::ptr::from_ref(node)].clone();
            selected.entry(location).or_default().insert(index);
        }
    }
    selected
}

fn locate(value: &Value, here: &mut Location, locations: &mut HashMap<*const Value, Location>) {
    locations.insert(std::ptr::from_ref(value), here.clone());
    let elements = value.as_array().into_iter().flatten().enumerate();
    let elements = elements.map(|(index, element)| (Step::Element(index), element));
    let members = value.as_object().into_iter().flatten();
    let members = members.map(|(name, member)| (Step::Member(name.clone()), member));
    for (step, child) in elements.chain(members) {
        here.push(step);
        locate(child, here, locations);
        here.pop();
    }
}

/// For each path the positions in it that a location has reached, as bits: bit n says that n segments are behind us.
type Positions = Vec<u64>;

fn active<'a>(path: &'a Path, reached: &u64) -> impl Iterator<Item = (usize, &'a Segment)> {
    let reached = *reached;
    path.segments.iter().enumerate().filter(move |(position, _)| reached >> position & 1 == 1)
}

fn selects_here(path: &Path, reached: u64) -> bool {
    reached >> path.segments.len() & 1 == 1
}

/// Whether a segment goes on below what it passes, and its selectors.
fn parts(segment: &Segment) -> (bool, &[Selector]) {
    match segment {
        Segment::Descendant(inner) => (true, parts(inner).1),
        Segment::Selector(selector) => (false, std::slice::from_ref(selector)),
        Segment::Selectors(selectors) => (false, selectors),
    }
}

fn border(index: i64) -> usize {
    usize::try_from(index).expect("negative indices come later")
}

fn matches(selector: &Selector, step: &Step) -> bool {
    match (selector, step) {
        (Selector::Wildcard, _) => true,
        (Selector::Name(name), Step::Member(member)) => name == member,
        (Selector::Index(index), Step::Element(element)) => border(*index) == *element,
        (Selector::Slice(start, end, step), Step::Element(element)) => {
            let start = border(start.unwrap_or(0));
            let step = border(step.unwrap_or(1));
            let before_end = end.is_none_or(|end| *element < border(end));
            step > 0 && *element >= start && before_end && (element - start).is_multiple_of(step)
        }
        (Selector::Name(_), Step::Element(_))
        | (Selector::Index(_) | Selector::Slice(..), Step::Member(_)) => false,
        (Selector::Filter(_), _) => panic!("filters come later"),
    }
}

/// The positions after one step down.
pub(crate) fn step_down(paths: &[Path], positions: &Positions, step: &Step) -> Positions {
    let next = |(path, reached): (&Path, &u64)| {
        let mut next = 0;
        for (position, segment) in active(path, reached) {
            let (descends, selectors) = parts(segment);
            if descends {
                next |= 1 << position;
            }
            if selectors.iter().any(|selector| matches(selector, step)) {
                next |= 1 << (position + 1);
            }
        }
        next
    };
    paths.iter().zip(positions).map(next).collect()
}

/// The paths that select the node with these positions.
pub(crate) fn selecting(paths: &[Path], positions: &Positions) -> BTreeSet<usize> {
    let reached = paths.iter().zip(positions).enumerate();
    reached
        .filter(|(_, (path, reached))| selects_here(path, **reached))
        .map(|(index, _)| index)
        .collect()
}

/// Steps that stand for all steps there are: each name that a path spells and one that none does; each index up to
/// where all borders are behind and all slices have begun anew.
fn alphabet(paths: &[Path]) -> Vec<Step> {
    let mut names = BTreeSet::from([String::from("a name that no path spells")]);
    let (mut last, mut period) = (0, 1);
    for segment in paths.iter().flat_map(|path| &path.segments) {
        for selector in parts(segment).1 {
            match selector {
                Selector::Name(name) => _ = names.insert(name.clone()),
                Selector::Index(index) => last = last.max(border(*index)),
                Selector::Slice(start, end, step) => {
                    last = last.max(border(start.unwrap_or(0))).max(border(end.unwrap_or(0)));
                    let step = border(step.unwrap_or(1)).max(1);
                    period = (1..=step).map(|n| n * period).find(|n| n % step == 0).unwrap();
                }
                Selector::Wildcard | Selector::Filter(_) => {}
            }
        }
    }
    let elements = (0..=last + period).map(Step::Element);
    names.into_iter().map(Step::Member).chain(elements).collect()
}

/// A tie: the strictest action; its category is a declared one before `public`, then the first by name.
fn after_ties<'a>(
    said: impl Iterator<Item = (&'a String, &'a Action)>,
) -> Option<(&'a String, &'a Action)> {
    let mut said: Vec<_> = said.collect();
    said.sort_by_key(|(category, _)| (category.as_str() == "public", category.as_str()));
    let strictest = said.iter().map(|(_, action)| action.strictness()).max()?;
    said.into_iter().find(|(_, action)| action.strictness() == strictest)
}

/// The category and the action that the paths with these numbers give to one node; records give none.
fn own<'a>(paths: &'a [Path], selecting: &BTreeSet<usize>) -> Option<(&'a String, &'a Action)> {
    after_ties(selecting.iter().filter_map(|index| match &paths[*index].gives {
        Gives::Category(category, action) => Some((category, action)),
        Gives::Record(_) => None,
    }))
}

/// A node on the way from the root to the one that is looked at.
#[derive(Clone)]
struct Level<'a> {
    location: Location,
    positions: Positions,
    own: Option<(&'a String, &'a Action)>,
    /// The records mounted exactly here, and whether all of them keep what is unclassified.
    record_keeps: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Scalar,
    Array,
    Object,
}

impl Kind {
    fn of(node: &Node) -> Self {
        match node {
            Node::Scalar(_) => Self::Scalar,
            Node::Array(_) => Self::Array,
            Node::Object(_) => Self::Object,
        }
    }
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate<'a> {
    Removed,
    RemovedUnclassified,
    Null,
    /// A container: each node in it has its own fate.
    Structure,
    /// A scalar under an action.
    Treated(&'a String, &'a Action),
    /// A scalar that nobody classified.
    Kept,
}

struct Walk<'a> {
    paths: &'a [Path],
    purpose: &'a str,
    setup: &'a Setup,
    api_keeps: bool,
    selected: HashMap<Location, BTreeSet<usize>>,
    alphabet: Vec<Step>,
    /// What [`Walk::way_down`] has found.
    ways_down: HashMap<(Positions, bool), bool>,
    withheld_unclassified: bool,
    counts: BTreeMap<(String, String), u64>,
    withheld: Vec<Withheld>,
}

impl<'a> Walk<'a> {
    fn level(&self, location: Location, positions: Positions) -> Level<'a> {
        let selecting = self.selected.get(&location).cloned().unwrap_or_default();
        let records = selecting.iter().filter_map(|index| match self.paths[*index].gives {
            Gives::Category(..) => None,
            Gives::Record(keeps) => Some(keeps),
        });
        Level {
            own: own(self.paths, &selecting),
            record_keeps: records.reduce(|one, other| one && other),
            location,
            positions,
        }
    }

    fn below(&self, above: &Level<'a>, step: Step) -> Level<'a> {
        let positions = step_down(self.paths, &above.positions, &step);
        let mut location = above.location.clone();
        location.push(step);
        self.level(location, positions)
    }

    /// What stays of the node at the end of `trail`, which begins at the root.
    fn node(&mut self, trail: &[Level<'a>], node: &Node) -> Option<Node> {
        match self.fate(trail, Kind::of(node)) {
            Fate::Removed => {
                self.withhold(trail, Kind::of(node));
                None
            }
            Fate::RemovedUnclassified => {
                self.withheld_unclassified = true;
                self.withhold(trail, Kind::of(node));
                None
            }
            Fate::Null => {
                self.withhold(trail, Kind::of(node));
                Some(Node::null())
            }
            Fate::Structure => Some(self.structure(trail, node)),
            Fate::Treated(category, action) => {
                let treated = match node.token() {
                    // `null` stays `null` under all but `drop`.
                    b"null" => Some(b"null".to_vec()),
                    token => transform(action, token, self.purpose, self.setup),
                };
                self.count(category, treated.as_ref().map_or("unfit", |_| action.word()));
                Some(treated.map_or_else(Node::null, Node::Scalar))
            }
            Fate::Kept => {
                self.count("unclassified", "keep");
                Some(node.clone())
            }
        }
    }

    /// What becomes of a node of this kind at the end of `trail`.
    fn fate(&mut self, trail: &[Level<'a>], kind: Kind) -> Fate<'a> {
        let (here, above) = trail.split_last().expect("the root at least");
        if kind == Kind::Scalar {
            // Rule 2: its own action, or that of the array that it is directly inside.
            let in_array = matches!(here.location.last(), Some(Step::Element(_)));
            let parent = above.last().filter(|_| in_array);
            let acting = here.own.or_else(|| parent.and_then(|parent| parent.own));
            if let Some((category, action)) = acting {
                return match action {
                    Action::Drop => Fate::Removed,
                    Action::Null => Fate::Null,
                    Action::Keep
                    | Action::Pseudonym { .. }
                    | Action::Generalise(_)
                    | Action::Mask { .. }
                    | Action::Deny => Fate::Treated(category, action),
                };
            }
        } else {
            // Rule 4: a container is kept as structure.
            let own = here.own.map(|(_, action)| action);
            let by_own = own.is_some_and(|own| !matches!(own, Action::Null | Action::Drop));
            if by_own || self.way_down(&here.positions, kind == Kind::Object) {
                return Fate::Structure;
            }
        }
        // Rule 4, and rule 1 for scalars: the closest classification, if that is `drop` or `null`.
        match trail.iter().rev().find_map(|level| level.own) {
            Some((_, Action::Drop)) => Fate::Removed,
            Some((_, Action::Null)) => Fate::Null,
            _ if !keeps_unclassified(trail, self.api_keeps) => Fate::RemovedUnclassified,
            _ if kind == Kind::Scalar => Fate::Kept,
            _ => Fate::Structure,
        }
    }

    /// Notes that the node is withheld. Another node may stand there where it would share its fate.
    fn withhold(&mut self, trail: &[Level<'a>], kind: Kind) {
        let location = trail.last().expect("the root at least").location.clone();
        let is_null = self.fate(trail, kind) == Fate::Null || location.is_empty();
        let [scalar, array, object] =
            [Kind::Scalar, Kind::Array, Kind::Object].map(|kind| match self.fate(trail, kind) {
                Fate::Removed | Fate::RemovedUnclassified => !is_null || location.is_empty(),
                Fate::Null => is_null,
                Fate::Structure | Fate::Treated(..) | Fate::Kept => false,
            });
        self.withheld.push(Withheld { location, scalar, array, object });
    }

    fn structure(&mut self, trail: &[Level<'a>], node: &Node) -> Node {
        let here = &trail[trail.len() - 1];
        match node {
            Node::Scalar(_) => panic!("a scalar is no structure"),
            Node::Array(elements) => {
                let mut kept = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    let below = self.below(here, Step::Element(index));
                    kept.extend(self.node(&and(trail, below), element));
                }
                Node::Array(kept)
            }
            Node::Object(members) => {
                let mut kept = Vec::new();
                for (name, value) in members {
                    kept.extend(self.member(trail, name, value));
                }
                Node::Object(kept)
            }
        }
    }

    /// Rule 3, then the value.
    fn member(&mut self, trail: &[Level<'a>], name: &Name, value: &Node) -> Option<(Name, Node)> {
        let object = &trail[trail.len() - 1];
        let below = self.below(object, Step::Member(name.text.clone()));
        let location = below.location.clone();
        let to_value = and(trail, below);
        if self.spelled(&object.positions, &name.text) {
            return self.node(&to_value, value).map(|value| (name.clone(), value));
        }
        let Some((category, action)) = self.names(&object.positions) else {
            // The name is in the object and of the member: what the object says of a child on which nothing is
            // mounted counts as well as what the member says itself.
            let plain = Level { record_keeps: None, ..to_value[trail.len()].clone() };
            // Nor does a name stay where the closest classified node is dropped or null: that reaches all the way
            // down.
            let closest = trail.iter().rev().find_map(|level| level.own);
            let withheld =
                closest.is_some_and(|(_, action)| matches!(action, Action::Drop | Action::Null));
            let keeps = !withheld
                && keeps_unclassified(&and(trail, plain), self.api_keeps)
                && keeps_unclassified(&to_value, self.api_keeps);
            if !keeps {
                self.withheld_unclassified = true;
                self.withhold_member(location);
                return None;
            }
            return self.node(&to_value, value).map(|value| (name.clone(), value));
        };
        let written = match action {
            Action::Keep => name.clone(),
            Action::Pseudonym { .. } => {
                let Some(token) = transform(action, &name.raw, self.purpose, self.setup) else {
                    self.count(category, "unfit");
                    self.withhold_member(location);
                    return None;
                };
                Name::new(&token)
            }
            Action::Generalise(_)
            | Action::Mask { .. }
            | Action::Null
            | Action::Drop
            | Action::Deny => {
                self.withhold_member(location);
                return None;
            }
        };
        let value = self.node(&to_value, value)?;
        self.count(category, action.word());
        Some((written, value))
    }

    /// A member whose name may not leave: whatever its value is.
    fn withhold_member(&mut self, location: Location) {
        self.withheld.push(Withheld { location, scalar: true, array: true, object: true });
    }

    /// Whether a path has, active at this object, a selector that is this name.
    fn spelled(&self, positions: &Positions, name: &str) -> bool {
        self.paths.iter().zip(positions).any(|(path, reached)| {
            active(path, reached)
                .flat_map(|(_, segment)| parts(segment).1)
                .any(|selector| *selector == Selector::Name(name.to_owned()))
        })
    }

    /// What `names` says of a name that no path spells at this object. Only three actions differ here: `keep`,
    /// `pseudonym`, and all others.
    fn names(&self, positions: &Positions) -> Option<(&'a String, &'a Action)> {
        let reaching = self.paths.iter().zip(positions).filter(|(path, reached)| {
            active(path, reached).any(|(position, segment)| {
                let (descends, selectors) = parts(segment);
                let to_any = descends || selectors.contains(&Selector::Wildcard);
                // An entry speaks for its own steps only, not for those of the mounts above it.
                to_any && position >= path.mounted
            })
        });
        after_ties(reaching.filter_map(|(path, _)| {
            path.names.as_ref().map(|(category, action)| (category, action))
        }))
    }

    /// Rule 4: whether a path can still go below a container with these positions to a node whose action after ties
    /// is not `drop`. Every document that there could be is tried, in the steps of the alphabet.
    fn way_down(&mut self, positions: &Positions, is_object: bool) -> bool {
        let question = (positions.clone(), is_object);
        if let Some(answer) = self.ways_down.get(&question) {
            return *answer;
        }
        let answer = self.find_way_down(positions, is_object);
        self.ways_down.insert(question, answer);
        answer
    }

    fn find_way_down(&self, positions: &Positions, is_object: bool) -> bool {
        let of_its_kind = |step: &&Step| matches!(step, Step::Member(_)) == is_object;
        let first = self.alphabet.iter().filter(of_its_kind);
        let mut open: Vec<Positions> =
            first.map(|step| step_down(self.paths, positions, step)).collect();
        let mut seen = HashSet::new();
        while let Some(positions) = open.pop() {
            if !seen.insert(positions.clone()) {
                continue;
            }
            let selecting = selecting(self.paths, &positions);
            if own(self.paths, &selecting).is_some_and(|(_, action)| *action != Action::Drop) {
                return true;
            }
            let next = self.alphabet.iter().map(|step| step_down(self.paths, &positions, step));
            open.extend(next.filter(|next| next.iter().any(|reached| *reached != 0)));
        }
        false
    }

    fn count(&mut self, category: &str, word: &str) {
        *self.counts.entry((category.to_owned(), word.to_owned())).or_default() += 1;
    }
}

fn and<'a>(trail: &[Level<'a>], below: Level<'a>) -> Vec<Level<'a>> {
    trail.iter().cloned().chain([below]).collect()
}

/// Rule 5: what `unclassified` says at the end of the trail.
fn keeps_unclassified(trail: &[Level<'_>], api_keeps: bool) -> bool {
    let (here, above) = trail.split_last().expect("the root at least");
    if let Some(keeps) = here.record_keeps {
        return keeps;
    }
    for level in above.iter().rev() {
        if level.own.is_some_and(|(_, action)| *action != Action::Keep) {
            return false;
        }
        if let Some(keeps) = level.record_keeps {
            return keeps;
        }
    }
    api_keeps
}
