//! What leaves: the rules of "What a path classifies", one node after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery,
    SingularQuerySegment, Test, TestFunction,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::{js_path_process, js_path_vals};
use serde_json::Value;

pub(crate) use super::transform::Setup;
use super::transform::transform;
use super::tree::{Name, Node, decode};
use super::world::{Action, Class, Target, World};

/// What leaves, and what is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sieved {
    /// Why there is no answer at all; then the rest is empty.
    pub(crate) refused: Option<&'static str>,
    pub(crate) tree: Node,
    /// (category, action word) and how many.
    pub(crate) counts: BTreeMap<(String, String), u64>,
    /// Where unclassified data was withheld.
    pub(crate) places: BTreeSet<String>,
    /// The same without what a path would know that went on below everything: containers, and documents in strings.
    pub(crate) places_of_others: BTreeSet<String>,
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

    /// Whether this is what left, white space aside.
    pub(crate) fn left_as(&self, left: &[u8]) -> bool {
        str::from_utf8(left)
            .is_ok_and(|left| Node::of(left).is_some_and(|left| self.tree.left_as(&left)))
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
        let (counts, places, withheld) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let places_of_others = BTreeSet::new();
        return Sieved { refused, tree: Node::null(), counts, places, places_of_others, withheld };
    }

    let document = Document::new(Node::parse(body), 0, 0);
    let root = document.node.clone();
    let mut walk = Walk {
        purpose,
        setup,
        api_keeps: world.apis[api].keeps,
        selected: selected(&paths, &document.node),
        document,
        alphabet: alphabet(&paths),
        ways_down: HashMap::new(),
        ways_on: HashMap::new(),
        unclassified: BTreeSet::new(),
        renamed: HashSet::new(),
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
    let level = walk.level(Vec::new(), paths.iter().map(|_| 1).collect());
    // The root is never removed.
    let tree = walk.node(&[level], &root).unwrap_or_else(Node::null);
    if !walk.unclassified.is_empty() {
        walk.counts.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
    }
    let spelled = spelled(world, purpose);
    let written =
        |name: &str, location: &[Step]| spelled.contains(name) && !walk.renamed.contains(location);
    let places_of = |others_only: bool| {
        let of = walk.unclassified.iter().filter(|(_, is_other)| *is_other || !others_only);
        of.map(|(location, _)| place(location, &written)).collect::<BTreeSet<_>>()
    };
    let (places, places_of_others) = (places_of(false), places_of(true));
    let (counts, withheld) = (walk.counts, walk.withheld);
    Sieved { refused: None, tree, counts, places, places_of_others, withheld }
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
    /// A string there holds a document.
    embedded: bool,
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
        let embedded = class.embedded;
        paths.push(Path { text: text.clone(), segments, mounted, gives, names, embedded });
        if let Target::Record(record) = &class.target {
            expand(world, purpose, &text, &world.records[record].fields, paths);
        }
    }
}

/// The names that some path of some route spells.
fn spelled(world: &World, purpose: &str) -> BTreeSet<String> {
    let routes = world.apis.iter().flat_map(|(api, said)| {
        said.routes.iter().flat_map(move |(route, _)| paths(world, purpose, api, route))
    });
    let mut names = BTreeSet::new();
    for path in routes {
        for selector in path.segments.iter().flat_map(|segment| parts(segment).1) {
            if let Selector::Name(name) = selector {
                names.insert(name.clone());
            }
        }
    }
    names
}

/// Where unclassified data was withheld: the path of its container, with `*` for names that are not to be
/// written, and then `*` for itself.
fn place(location: &[Step], is_written: &dyn Fn(&str, &[Step]) -> bool) -> String {
    let steps = location.iter().enumerate().map(|(index, step)| match step {
        Step::Element(_) => "[*]".to_owned(),
        Step::Member(name)
            if index + 1 == location.len() || !is_written(name, &location[..=index]) =>
        {
            ".*".to_owned()
        }
        Step::Member(name) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
            let begins = name.starts_with(|c: char| is_plain(c) && !c.is_ascii_digit());
            if begins && name.chars().all(is_plain) {
                format!(".{name}")
            } else {
                format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
            }
        }
    });
    format!("${}", steps.collect::<String>())
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

/// A step to a child, with all that can matter for which paths take it.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) step: &'a Step,
    /// How many elements the array has, if it is one.
    pub(crate) length: usize,
    /// Whether a filter holds for the child.
    pub(crate) holds: &'a dyn Fn(&Filter) -> bool,
}

/// Whether a filter holds for a child of the node at `parent` in a document, as `jsonpath-rust` says.
pub(crate) fn holds(filter: &Filter, document: &Value, parent: &[Step], child: &Step) -> bool {
    let selector = |step: &Step| match step {
        Step::Member(name) => Selector::Name(name.clone()),
        Step::Element(index) => Selector::Index(i64::try_from(*index).unwrap()),
    };
    let filter = Selector::Filter(filter.clone());
    let selectors = parent.iter().map(selector).chain([filter]);
    let query = JpQuery::new(selectors.map(Segment::Selector).collect());
    let child = parent.iter().chain([child]).fold(document, |value, step| match step {
        Step::Member(name) => &value[name.as_str()],
        Step::Element(index) => &value[*index],
    });
    let selected = js_path_process(&query, document).unwrap();
    selected.into_iter().any(|selected| std::ptr::eq(selected.val, child))
}

/// How far a number reaches, from either end.
fn border(index: i64) -> usize {
    usize::try_from(index.unsigned_abs()).unwrap()
}

/// The indices that a slice selects, by the steps of section 2.3.4.2.2.
fn slice(length: usize, start: Option<i64>, end: Option<i64>, step: i64) -> Vec<usize> {
    let length = i64::try_from(length).unwrap();
    let normal = |bound: i64| if bound >= 0 { bound } else { length + bound };
    let mut indices = Vec::new();
    if step > 0 {
        let mut index = normal(start.unwrap_or(0)).clamp(0, length);
        while index < normal(end.unwrap_or(length)).clamp(0, length) {
            indices.push(usize::try_from(index).unwrap());
            index += step;
        }
    } else if step < 0 {
        let mut index = normal(start.unwrap_or(length - 1)).clamp(-1, length - 1);
        while index > normal(end.unwrap_or(-length - 1)).clamp(-1, length - 1) {
            indices.push(usize::try_from(index).unwrap());
            index += step;
        }
    }
    indices
}

fn matches(selector: &Selector, way: Way<'_>) -> bool {
    match (selector, way.step) {
        (Selector::Wildcard, _) => true,
        (Selector::Filter(filter), _) => (way.holds)(filter),
        (Selector::Name(name), Step::Member(member)) => name == member,
        (Selector::Index(index), Step::Element(element)) if *index < 0 => {
            border(*index) == way.length - *element
        }
        (Selector::Index(index), Step::Element(element)) => border(*index) == *element,
        (Selector::Slice(start, end, step), Step::Element(element)) => {
            slice(way.length, *start, *end, step.unwrap_or(1)).contains(element)
        }
        (Selector::Name(_), Step::Element(_))
        | (Selector::Index(_) | Selector::Slice(..), Step::Member(_)) => false,
    }
}

/// The positions after one step down.
pub(crate) fn step_down(paths: &[Path], positions: &Positions, way: Way<'_>) -> Positions {
    let next = |(path, reached): (&Path, &u64)| {
        let mut next = 0;
        for (position, segment) in active(path, reached) {
            let (descends, selectors) = parts(segment);
            if descends {
                next |= 1 << position;
            }
            if selectors.iter().any(|selector| matches(selector, way)) {
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
/// where all borders are behind and all slices have begun anew, in arrays of each length up to there; and each filter
/// alone, or none, that holds there. (What more filters select is never less strict, and goes down no further.)
fn alphabet(paths: &[Path]) -> Vec<(Step, usize, Option<Filter>)> {
    let mut filters: Vec<Option<Filter>> = vec![None];
    let mut names = BTreeSet::from([String::from("a name that no path spells")]);
    let (mut last, mut period, mut from_end) = (0, 1, false);
    for segment in paths.iter().flat_map(|path| &path.segments) {
        for selector in parts(segment).1 {
            match selector {
                Selector::Name(name) => _ = names.insert(name.clone()),
                Selector::Index(index) => {
                    from_end |= *index < 0;
                    last = last.max(border(*index));
                }
                Selector::Slice(start, end, step) => {
                    let bounds = [*start, *end, *step];
                    from_end |= bounds.into_iter().flatten().any(|number| number < 0);
                    last = last.max(border(start.unwrap_or(0))).max(border(end.unwrap_or(0)));
                    let step = border(step.unwrap_or(1)).max(1);
                    period = (1..=step).map(|n| n * period).find(|n| n % step == 0).unwrap();
                }
                Selector::Filter(filter) if !filters.contains(&Some(filter.clone())) => {
                    filters.push(Some(filter.clone()));
                }
                Selector::Wildcard | Selector::Filter(_) => {}
            }
        }
    }
    let indices = 0..=last + period;
    let elements = indices.flat_map(|index| {
        let longer = if from_end { last + period } else { 0 };
        (index + 1..=index + 1 + longer).map(move |length| (Step::Element(index), length))
    });
    let steps = names.into_iter().map(|name| (Step::Member(name), 0)).chain(elements);
    let steps = steps.flat_map(|(step, length)| {
        filters.iter().map(move |filter| (step.clone(), length, filter.clone()))
    });
    steps.collect()
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
    /// A string here holds a document.
    embedded: bool,
}

/// A document: the body, or what stands in a string.
struct Document {
    node: Node,
    value: Value,
    /// How many documents it stands in, and how many steps from the root of the body its own is.
    depth: usize,
    steps: usize,
}

impl Document {
    fn new(node: Node, depth: usize, steps: usize) -> Self {
        let value = node.to_value();
        Self { node, value, depth, steps }
    }
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
            Node::Document(_) => panic!("what leaves is not decided again"),
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
    /// The innermost document, which `$` in a filter is.
    document: Document,
    /// In the body; what is in strings, only the positions tell.
    selected: HashMap<Location, BTreeSet<usize>>,
    alphabet: Vec<(Step, usize, Option<Filter>)>,
    /// What [`Walk::way_down`] has found.
    ways_down: HashMap<(Positions, bool), bool>,
    /// What [`Walk::goes_on`] has found.
    ways_on: HashMap<(Positions, bool), bool>,
    /// Where unclassified data was withheld, and whether none of it depends on where paths go on.
    unclassified: BTreeSet<(Location, bool)>,
    /// Members whose names leave as pseudonyms.
    renamed: HashSet<Location>,
    counts: BTreeMap<(String, String), u64>,
    withheld: Vec<Withheld>,
}

impl<'a> Walk<'a> {
    fn level(&self, location: Location, positions: Positions) -> Level<'a> {
        let selecting = if self.document.depth == 0 {
            self.selected.get(&location).cloned().unwrap_or_default()
        } else {
            selecting(self.paths, &positions)
        };
        let records = selecting.iter().filter_map(|index| match self.paths[*index].gives {
            Gives::Category(..) => None,
            Gives::Record(keeps) => Some(keeps),
        });
        Level {
            own: own(self.paths, &selecting),
            record_keeps: records.reduce(|one, other| one && other),
            embedded: selecting.iter().any(|index| self.paths[*index].embedded),
            location,
            positions,
        }
    }

    fn below(&self, above: &Level<'a>, step: Step, length: usize) -> Level<'a> {
        let Document { value, steps, .. } = &self.document;
        let parent = &above.location[*steps..];
        let holds = |filter: &Filter| holds(filter, value, parent, &step);
        let way = Way { step: &step, length, holds: &holds };
        let positions = step_down(self.paths, &above.positions, way);
        let mut location = above.location.clone();
        location.push(step);
        self.level(location, positions)
    }

    /// What stays of the node at the end of `trail`, which begins at the root.
    fn node(&mut self, trail: &[Level<'a>], node: &Node) -> Option<Node> {
        match node {
            Node::Scalar(token) if self.may_hold_document(trail) => Some(self.held(trail, token)),
            Node::Scalar(_) | Node::Array(_) | Node::Object(_) | Node::Document(_) => {
                self.decided(trail, node)
            }
        }
    }

    /// Whether a string here holds a document, of which something can leave.
    fn may_hold_document(&mut self, trail: &[Level<'a>]) -> bool {
        trail[trail.len() - 1].embedded
            && [Kind::Scalar, Kind::Array, Kind::Object].into_iter().any(|kind| {
                match self.fate(trail, kind) {
                    Fate::Structure | Fate::Treated(..) | Fate::Kept => true,
                    Fate::Removed | Fate::RemovedUnclassified | Fate::Null => false,
                }
            })
    }

    /// What stands in the place of a scalar that holds a document if it is a string: what is left of that, decided as
    /// if it stood there.
    fn held(&mut self, trail: &[Level<'a>], token: &[u8]) -> Node {
        if token[0] != b'"' {
            let scalar = Node::Scalar(token.to_vec());
            return self.decided(trail, &scalar).unwrap_or_else(Node::null);
        }
        let depth = self.document.depth + 1;
        let root = decode(token).filter(|_| depth <= 4).and_then(|text| Node::of(&text));
        let Some(root) = root else {
            let withheld = |action: &Action| matches!(action, Action::Null | Action::Drop);
            let own = trail[trail.len() - 1].own.filter(|(_, action)| !withheld(action));
            let category = own.map_or("unclassified", |(category, _)| category.as_str());
            self.count(category, "unfit");
            return Node::null();
        };
        let steps = trail[trail.len() - 1].location.len();
        let inside = Document::new(root.clone(), depth, steps);
        let outside = std::mem::replace(&mut self.document, inside);
        let is_null = self.fate(trail, Kind::of(&root)) == Fate::Null;
        let left = self.decided(trail, &root);
        self.document = outside;
        match left {
            Some(left) if left == root && !is_null => Node::Scalar(token.to_vec()),
            Some(left) if !is_null => Node::Document(Box::new(left)),
            Some(_) | None => Node::null(),
        }
    }

    /// What stays of a node that is no string with a document.
    fn decided(&mut self, trail: &[Level<'a>], node: &Node) -> Option<Node> {
        match self.fate(trail, Kind::of(node)) {
            Fate::Removed => {
                self.withhold(trail, Kind::of(node));
                None
            }
            Fate::RemovedUnclassified => {
                let here = &trail[trail.len() - 1];
                let positions = here.positions.clone();
                let (location, is_embedded) = (here.location.clone(), here.embedded);
                let is_scalar = Kind::of(node) == Kind::Scalar;
                let is_other = is_scalar && (!is_embedded || self.has_way_down(&positions));
                self.unclassified.insert((location, is_other));
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
            _ if !keeps_unclassified(trail, self.api_keeps) => {
                if self.is_known(trail, kind) {
                    Fate::Removed
                } else {
                    Fate::RemovedUnclassified
                }
            }
            _ if kind == Kind::Scalar => Fate::Kept,
            _ => Fate::Structure,
        }
    }

    /// "What is counted": whether an unclassified node that is removed is one that the policy knows.
    fn is_known(&mut self, trail: &[Level<'a>], kind: Kind) -> bool {
        let positions = trail[trail.len() - 1].positions.clone();
        match kind {
            Kind::Object => self.goes_on(&positions, true),
            Kind::Array => self.goes_on(&positions, false),
            Kind::Scalar => {
                let is_embedded = trail[trail.len() - 1].embedded;
                let known = self.goes_on(&positions, true) || self.goes_on(&positions, false);
                // Nothing can leave there: no container stays, and no scalar.
                is_embedded && known && !self.has_way_down(&positions)
            }
        }
    }

    /// Whether an object or an array with these positions would stay for what can be below it.
    fn has_way_down(&mut self, positions: &Positions) -> bool {
        self.way_down(positions, true) || self.way_down(positions, false)
    }

    /// Notes that the node is withheld. Another node may stand there where it would share its fate.
    fn withhold(&mut self, trail: &[Level<'a>], kind: Kind) {
        // What could stand in a string, or instead of one that holds a document, is another matter.
        if self.document.depth > 0 || self.may_hold_document(trail) {
            return;
        }
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
            Node::Scalar(_) | Node::Document(_) => panic!("a scalar is no structure"),
            Node::Array(elements) => {
                let mut kept = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    if self.is_unclear(here, element) {
                        continue;
                    }
                    let below = self.below(here, Step::Element(index), elements.len());
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
        if self.is_unclear(object, value) {
            return None;
        }
        let below = self.below(object, Step::Member(name.text.clone()), 0);
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
                self.unclassified.insert((location.clone(), true));
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
                self.renamed.insert(location);
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
        if self.document.depth > 0 {
            return;
        }
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
                let to_any = descends
                    || selectors.iter().any(|selector| {
                        matches!(selector, Selector::Wildcard | Selector::Filter(_))
                    });
                // An entry speaks for its own steps only, not for those of the mounts above it.
                to_any && position >= path.mounted
            })
        });
        after_ties(reaching.filter_map(|(path, _)| {
            path.names.as_ref().map(|(category, action)| (category, action))
        }))
    }

    /// Rule 4: whether a path can still go below a container with these positions to a node whose action after ties
    /// is not `drop`.
    fn way_down(&mut self, positions: &Positions, is_object: bool) -> bool {
        let question = (positions.clone(), is_object);
        if let Some(answer) = self.ways_down.get(&question) {
            return *answer;
        }
        let stays = |selecting: &BTreeSet<usize>| {
            own(self.paths, selecting).is_some_and(|(_, action)| *action != Action::Drop)
        };
        let answer = self.find_below(positions, is_object, &stays);
        self.ways_down.insert(question, answer);
        answer
    }

    /// Whether a path can go on below a container with these positions to a node that it selects.
    fn goes_on(&mut self, positions: &Positions, is_object: bool) -> bool {
        let question = (positions.clone(), is_object);
        if let Some(answer) = self.ways_on.get(&question) {
            return *answer;
        }
        let answer = self.find_below(positions, is_object, &|selecting| !selecting.is_empty());
        self.ways_on.insert(question, answer);
        answer
    }

    /// Whether there is a node below a container with these positions that is selected by such paths. Every document
    /// that there could be is tried, in the steps of the alphabet.
    fn find_below(
        &self,
        positions: &Positions,
        is_object: bool,
        is_found: &dyn Fn(&BTreeSet<usize>) -> bool,
    ) -> bool {
        let first =
            self.alphabet.iter().filter(|(step, ..)| matches!(step, Step::Member(_)) == is_object);
        let down = |positions: &Positions,
                    (step, length, filter): &(Step, usize, Option<Filter>)| {
            let holds = |one: &Filter| filter.as_ref() == Some(one);
            step_down(self.paths, positions, Way { step, length: *length, holds: &holds })
        };
        let mut open: Vec<Positions> = first.map(|way| down(positions, way)).collect();
        let mut seen = HashSet::new();
        while let Some(positions) = open.pop() {
            if !seen.insert(positions.clone()) {
                continue;
            }
            if is_found(&selecting(self.paths, &positions)) {
                return true;
            }
            let next = self.alphabet.iter().map(|way| down(&positions, way));
            open.extend(next.filter(|next| next.iter().any(|reached| *reached != 0)));
        }
        false
    }

    /// Whether a filter is asked of this child, and nobody can say what it is: then the child is removed, and
    /// counted under the category of the paths that ask, if they have one.
    fn is_unclear(&mut self, above: &Level<'a>, child: &Node) -> bool {
        let mut asking: Vec<&Path> = Vec::new();
        let mut unclear = false;
        for (path, reached) in self.paths.iter().zip(&above.positions) {
            let selectors = active(path, reached).flat_map(|(_, segment)| parts(segment).1);
            for selector in selectors {
                if let Selector::Filter(filter) = selector {
                    asking.push(path);
                    unclear |= is_unclear(filter, child, &self.document.node);
                }
            }
        }
        if unclear {
            let categories: BTreeSet<Option<&String>> = asking
                .iter()
                .map(|path| match &path.gives {
                    Gives::Category(category, _) => Some(category),
                    Gives::Record(_) => None,
                })
                .collect();
            match categories.into_iter().collect::<Vec<_>>().as_slice() {
                [Some(category)] => self.count(category, "unfit"),
                _ => self.count("unclassified", "unfit"),
            }
        }
        unclear
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

/// Whether a filter, one of those that [`generate`](super::generate) makes, looks at something that readers of the
/// same bytes take for different things: half of a surrogate pair, or a number that is no double.
fn is_unclear(filter: &Filter, node: &Node, document: &Node) -> bool {
    let Filter::Atom(atom) = filter else { panic!("a filter of several parts") };
    match atom {
        FilterAtom::Comparison(comparison) => {
            let (left, right) = comparison.vals();
            let mut unclear = false;
            let mut asked = |side: &Comparable| match side {
                Comparable::SingularQuery(query) => singular(query, node, document),
                Comparable::Function(function) => {
                    unclear |= is_length_unclear(function, node, document);
                    None
                }
                Comparable::Literal(_) => None,
            };
            let sides = [asked(left), asked(right)];
            unclear
                || match sides {
                    [Some(one), Some(other)] => is_comparison_unclear(one, other),
                    // What is not there equals nothing, whatever that is.
                    _ if is_query(left) && is_query(right) && is_equality(comparison) => false,
                    sides => sides.into_iter().flatten().any(is_scalar_unclear),
                }
        }
        FilterAtom::Test { expr, .. } => {
            let Test::Function(function) = &**expr else { return false };
            let (TestFunction::Match(text, pattern) | TestFunction::Search(text, pattern)) =
                &**function
            else {
                return false;
            };
            let text = argument(text, node, document);
            let is_text =
                text.is_some_and(|text| matches!(text, Node::Scalar(token) if token[0] == b'"'));
            text.is_some_and(is_half)
                || is_text && argument(pattern, node, document).is_some_and(is_half)
        }
        FilterAtom::Filter { .. } => panic!("a filter of several parts"),
    }
}

fn is_query(side: &Comparable) -> bool {
    matches!(side, Comparable::SingularQuery(_))
}

fn is_equality(comparison: &Comparison) -> bool {
    matches!(comparison, Comparison::Eq(..) | Comparison::Ne(..))
}

fn is_length_unclear(function: &TestFunction, node: &Node, document: &Node) -> bool {
    matches!(function, TestFunction::Length(text) if argument(text, node, document).is_some_and(is_half))
}

/// The node that a query selects, which begins at the node in question or at the document.
fn singular<'n>(query: &SingularQuery, node: &'n Node, document: &'n Node) -> Option<&'n Node> {
    let (from, segments) = match query {
        SingularQuery::Current(segments) => (node, segments),
        SingularQuery::Root(segments) => (document, segments),
    };
    segments.iter().try_fold(from, |node, segment| match (segment, node) {
        (SingularQuerySegment::Name(wanted), Node::Object(members)) => {
            members.iter().find(|(name, _)| name.text == *wanted).map(|(_, value)| value)
        }
        (SingularQuerySegment::Index(index), Node::Array(elements)) => {
            elements.get(usize::try_from(*index).expect("an index from the front"))
        }
        _ => None,
    })
}

/// The same of an argument of a function.
fn argument<'n>(argument: &FnArg, node: &'n Node, document: &'n Node) -> Option<&'n Node> {
    let FnArg::Test(test) = argument else { return None };
    let names = |segments: &[Segment]| {
        let names = segments.iter().map(|segment| {
            let Segment::Selector(Selector::Name(name)) = segment else {
                panic!("an argument of another kind")
            };
            SingularQuerySegment::Name(name.clone())
        });
        names.collect()
    };
    let query = match &**test {
        Test::RelQuery(segments) => SingularQuery::Current(names(segments)),
        Test::AbsQuery(query) => SingularQuery::Root(names(&query.segments)),
        Test::Function(_) => return None,
    };
    singular(&query, node, document)
}

/// Containers of one size are compared to the end; others differ, whatever is in them.
fn is_comparison_unclear(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Array(all), Node::Array(others)) => {
            all.len() == others.len()
                && all.iter().zip(others).any(|(one, other)| is_comparison_unclear(one, other))
        }
        (Node::Object(all), Node::Object(others)) => {
            let found = |wanted: &Name| {
                others.iter().find(|(name, _)| name.text == wanted.text).map(|(_, value)| value)
            };
            let pairs: Option<Vec<_>> =
                all.iter().map(|(name, value)| Some((value, found(name)?))).collect();
            all.len() == others.len()
                && pairs.is_some_and(|pairs| {
                    pairs.into_iter().any(|(one, other)| is_comparison_unclear(one, other))
                })
        }
        _ => is_scalar_unclear(one) || is_scalar_unclear(other),
    }
}

fn is_scalar_unclear(node: &Node) -> bool {
    is_half(node) || is_no_double(node)
}

fn is_half(node: &Node) -> bool {
    matches!(node, Node::Scalar(token) if token[0] == b'"' && decode(token).is_none())
}

fn is_no_double(node: &Node) -> bool {
    let Node::Scalar(token) = node else { return false };
    let digits = |text: &[u8]| text.iter().any(|byte| (b'1'..=b'9').contains(byte));
    let mantissa = token.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap();
    let number: Option<f64> = String::from_utf8_lossy(token).parse().ok();
    (token[0].is_ascii_digit() || token[0] == b'-')
        && number.is_none_or(|number| number.is_infinite() || (number == 0.0 && digits(mantissa)))
}
