//! What leaves: the rules of "What a path classifies", one node after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jsonpath_rust::parser::model::{Filter, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_vals;
use serde_json::Value;

use super::filter::{Answer, Place, answer};
pub(crate) use super::transform::Setup;
use super::transform::{quote, transform};
use super::tree::{Name, Node, decode};
use super::world::{Action, Class, Names, Target, World};

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
    /// What was removed or made null, but for what an action could not treat. Nothing that is in strings.
    pub(crate) withheld: Vec<Withheld>,
    /// The elements and members that a filter was asked of, and the arrays of which a path counts elements from the
    /// end: they wait, and there is a limit to that. None that are in strings.
    pub(crate) asked: BTreeSet<Location>,
    pub(crate) waiting: BTreeSet<Location>,
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
    /// The element that is gone because nobody can say whether a filter holds, if it is this one or around it. With
    /// another value the filter could be answered.
    pub(crate) unfit: Option<Location>,
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

    /// Whether the element there, if it is one, is gone because nobody can say whether a filter holds.
    pub(crate) fn is_unfit(&self, element: Option<&Location>) -> bool {
        let mut unfit = self.withheld.iter().filter_map(|withheld| withheld.unfit.as_ref());
        element.is_some_and(|element| unfit.any(|unfit| unfit == element))
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
        let (asked, waiting) = (BTreeSet::new(), BTreeSet::new());
        return Sieved { refused, tree: Node::null(), counts, places, withheld, asked, waiting };
    }

    let document = Document { node: Node::parse(body), depth: 0, steps: 0 };
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
        asked: BTreeSet::new(),
        waiting: BTreeSet::new(),
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
    let places = walk.unclassified.iter().map(|location| place(location, &written)).collect();
    let Walk { counts, withheld, asked, waiting, .. } = walk;
    Sieved { refused: None, tree, counts, places, withheld, asked, waiting }
}

/// One path of the plan, from the root of the document.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
    gives: Gives,
    /// The category of `names`, and its rule.
    names: Option<(String, Action)>,
    /// The names that `names` lists.
    listed: Vec<String>,
    /// The positions of the segments that `names` speaks for, as bits.
    named: u64,
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

    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.segments.iter().flat_map(|segment| parts(segment).1)
    }

    /// Whether it has a filter.
    pub(crate) fn asks(&self) -> bool {
        self.selectors().any(|selector| matches!(selector, Selector::Filter(_)))
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
        let segments = parse_json_path(&text).unwrap().segments;
        let written = written(&text);
        assert_eq!(segments.len(), written.len(), "the segments of {text}");
        assert!(segments.len() < 64, "a position is a bit");
        // Rule 3: an entry speaks for its own segments only, not for those of the mounts above it.
        let mounted = parse_json_path(mount).unwrap().segments.len();
        let own = segments.iter().zip(&written).enumerate().skip(mounted);
        let named = own.filter(|(_, (segment, written))| match class.names {
            None => false,
            // As it is written, for `[*]` selects the same.
            Some(Names::Fields) => written.as_str() == ".*",
            Some(Names::Category(_) | Names::List(_)) => reaches_any(segment),
        });
        let named = named.fold(0, |bits, (position, _)| bits | 1 << position);
        let (category, listed) = match &class.names {
            None => (None, Vec::new()),
            Some(Names::List(list)) => (None, list.clone()),
            Some(Names::Fields) => (Some(("public".to_owned(), Action::Keep)), Vec::new()),
            Some(Names::Category(category)) => {
                (Some((category.clone(), world.rule(purpose, category))), Vec::new())
            }
        };
        let embedded = class.embedded;
        let text_of = text.clone();
        paths.push(Path {
            text: text_of,
            segments,
            gives,
            names: category,
            listed,
            named,
            embedded,
        });
        if let Target::Record(record) = &class.target {
            expand(world, purpose, &text, &world.records[record].fields, paths);
        }
    }
}

/// The segments of a path as they are written, without white space around them.
fn written(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    let (mut open, mut quote, mut escaped) = (0, None, false);
    for char in path.chars().skip(1) {
        let inside = open > 0;
        match (quote, char) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(end), _) if char == end => quote = None,
            (None, '\'' | '"') => quote = Some(char),
            (None, '[') => open += 1,
            (None, ']') => open -= 1,
            _ => {}
        }
        let after_dots = segments.last().is_some_and(|last| last.chars().all(|c| c == '.'));
        if !inside && matches!(char, '.' | '[') && !after_dots {
            segments.push(String::new());
        }
        if inside || !char.is_whitespace() {
            segments.last_mut().expect("a segment begins with a dot or a bracket").push(char);
        }
    }
    segments
}

/// Whether a segment goes on to names that it does not spell.
fn reaches_any(segment: &Segment) -> bool {
    let (descends, selectors) = parts(segment);
    let is_any = |selector: &Selector| matches!(selector, Selector::Wildcard | Selector::Filter(_));
    descends || selectors.iter().any(is_any)
}

/// The names that some path of some route spells, or lists.
fn spelled(world: &World, purpose: &str) -> BTreeSet<String> {
    let routes = world.apis.iter().flat_map(|(api, said)| {
        said.routes.iter().flat_map(move |(route, _)| paths(world, purpose, api, route))
    });
    let mut names = BTreeSet::new();
    for path in routes {
        for selector in path.selectors() {
            if let Selector::Name(name) = selector {
                names.insert(name.clone());
            }
        }
        names.extend(path.listed);
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

/// The steps from the root.
pub(crate) type Location = Vec<Step>;

/// Rule 1: the nodes that each path without filters selects, as `jsonpath-rust` finds them. Its filters are not all
/// those of the standard.
pub(crate) fn selected(paths: &[Path], document: &Node) -> HashMap<Location, BTreeSet<usize>> {
    let value = document.to_value();
    let mut locations = HashMap::new();
    locate(&value, &mut Vec::new(), &mut locations);
    let mut selected: HashMap<Location, BTreeSet<usize>> = HashMap::new();
    for (index, path) in paths.iter().enumerate().filter(|(_, path)| !path.asks()) {
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
pub(crate) fn parts(segment: &Segment) -> (bool, &[Selector]) {
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

/// Whether the selector selects the child that the step goes to.
pub(crate) fn matches(selector: &Selector, way: Way<'_>) -> bool {
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

/// A name that no path spells, and no document has.
const NEW_NAME: &str = "a name that no path spells";

/// Whether a selector counts elements from the end of an array.
fn counts_from_end(selector: &Selector) -> bool {
    match selector {
        Selector::Index(index) => *index < 0,
        // Also where it comes to the same as counting from the front: `[::-1]`.
        Selector::Slice(start, end, step) => {
            [*start, *end, *step].into_iter().flatten().any(|number| number < 0)
        }
        Selector::Name(_) | Selector::Wildcard | Selector::Filter(_) => false,
    }
}

/// Whether the length of an array decides if the selector selects the child: it does in one array
/// that has an element at its index, and does not in another.
///
/// Every length is tried up to where nothing new can come. Once at least as many elements are behind
/// the index as the selector counts (`reach`, its larger border), all its borders stand for good:
/// those from the front are in the array, and those from the end are behind the index. All that can
/// still change is what a slice hits that begins at the end and steps back, and that comes again
/// with each `period`, its step. So one period is tried from there on.
fn length_decides(selector: &Selector, child: &Step) -> bool {
    let Step::Element(index) = child else { return false };
    let (reach, period) = match selector {
        Selector::Index(number) => (border(*number), 1),
        Selector::Slice(start, end, step) => {
            let reach = border(start.unwrap_or(0)).max(border(end.unwrap_or(0)));
            (reach, border(step.unwrap_or(1)))
        }
        Selector::Name(_) | Selector::Wildcard | Selector::Filter(_) => return false,
    };
    let selects = |length| matches(selector, Way { step: child, length, holds: &|_| false });
    let in_shortest = selects(index + 1);
    // From the front the length never matters, and numbers may be large.
    counts_from_end(selector)
        && (index + 2..=index + reach + period).any(|length| selects(length) != in_shortest)
}

/// Steps that stand for all steps there are: each name that a path spells and one that none does; each index up to
/// where all borders are behind and all slices have begun anew, in arrays of each length up to there; and each filter
/// alone, or none, that holds there. (What more filters select is never less strict, and goes down no further.)
fn alphabet(paths: &[Path]) -> Vec<(Step, usize, Option<Filter>)> {
    let mut filters: Vec<Option<Filter>> = vec![None];
    let mut names = BTreeSet::from([NEW_NAME.to_owned()]);
    let (mut last, mut period, mut from_end) = (0, 1, false);
    for segment in paths.iter().flat_map(|path| &path.segments) {
        for selector in parts(segment).1 {
            from_end |= counts_from_end(selector);
            match selector {
                Selector::Name(name) => _ = names.insert(name.clone()),
                Selector::Index(index) => last = last.max(border(*index)),
                Selector::Slice(start, end, step) => {
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
    /// How many documents it stands in, and how many steps from the root of the body its own is.
    depth: usize,
    steps: usize,
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

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum NameFate<'a> {
    Stays,
    /// By `names`: the action says whether it stays, is replaced, or takes its member with it.
    Named(&'a String, &'a Action),
    Removed,
}

struct Walk<'a> {
    paths: &'a [Path],
    purpose: &'a str,
    setup: &'a Setup,
    api_keeps: bool,
    /// The innermost document, which `$` in a filter is.
    document: Document,
    /// In the body, by paths without filters; of all else only the positions tell.
    selected: HashMap<Location, BTreeSet<usize>>,
    alphabet: Vec<(Step, usize, Option<Filter>)>,
    /// What [`Walk::way_down`] has found.
    ways_down: HashMap<(Positions, bool), bool>,
    /// What [`Walk::goes_on`] has found.
    ways_on: HashMap<(Positions, bool), bool>,
    /// Where unclassified data was withheld.
    unclassified: BTreeSet<Location>,
    /// Members whose names leave as pseudonyms.
    renamed: HashSet<Location>,
    counts: BTreeMap<(String, String), u64>,
    withheld: Vec<Withheld>,
    asked: BTreeSet<Location>,
    waiting: BTreeSet<Location>,
}

impl<'a> Walk<'a> {
    fn level(&self, location: Location, positions: Positions) -> Level<'a> {
        let mut selecting = selecting(self.paths, &positions);
        if self.document.depth == 0 {
            selecting.retain(|index| self.paths[*index].asks());
            selecting.extend(self.selected.get(&location).into_iter().flatten());
        }
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

    fn below(&self, above: &Level<'a>, step: &Step, length: usize) -> Level<'a> {
        let Document { node, steps, .. } = &self.document;
        let mut location = above.location.clone();
        location.push(step.clone());
        let holds = |filter: &Filter| answer(filter, node, &location[*steps..]).holds;
        let way = Way { step, length, holds: &holds };
        let positions = step_down(self.paths, &above.positions, way);
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
        let text = decode(token).filter(|_| depth <= 4);
        let document = text.and_then(|text| Some((Node::of(&text)?, text)));
        let Some((root, text)) = document else {
            let withheld = |action: &Action| matches!(action, Action::Null | Action::Drop);
            let own = trail[trail.len() - 1].own.filter(|(_, action)| !withheld(action));
            let category = own.map_or("unclassified", |(category, _)| category.as_str());
            self.count(category, "unfit");
            return Node::null();
        };
        let is_untouched = self.is_untouched(trail);
        let steps = trail[trail.len() - 1].location.len();
        let inside = Document { node: root.clone(), depth, steps };
        let outside = std::mem::replace(&mut self.document, inside);
        let is_null = self.fate(trail, Kind::of(&root)) == Fate::Null;
        let left = self.decided(trail, &root).filter(|_| !is_null);
        self.document = outside;
        match left {
            None => Node::null(),
            Some(left) if is_untouched => {
                assert_eq!(left, root, "nothing could be removed or changed");
                Node::Scalar(token.to_vec())
            }
            Some(left) if left == root => Node::Scalar(quote(&text)),
            Some(left) => Node::Document(Box::new(left)),
        }
    }

    /// Whether nothing could be removed or changed of a document in a string here, whatever it is: no path goes on
    /// below it, and all that it could be or hold is kept.
    fn is_untouched(&mut self, trail: &[Level<'a>]) -> bool {
        let here = trail[trail.len() - 1].clone();
        if self.goes_on(&here.positions, true) || self.goes_on(&here.positions, false) {
            return false;
        }
        // An element, and a member, that no path says anything of.
        let inside = |step: Step| {
            let location = here.location.iter().cloned().chain([step]).collect();
            let positions = self.paths.iter().map(|_| 0).collect();
            Level { location, positions, own: None, record_keeps: None, embedded: false }
        };
        let element = and(trail, inside(Step::Element(0)));
        let member = and(trail, inside(Step::Member(NEW_NAME.to_owned())));
        let trails = [trail, element.as_slice(), member.as_slice()];
        self.name_fate(&member, NEW_NAME) == NameFate::Stays
            && trails.into_iter().all(|trail| {
                let kinds = [Kind::Scalar, Kind::Array, Kind::Object];
                kinds.into_iter().all(|kind| keeps(self.fate(trail, kind)))
            })
    }

    /// What stays of a node that is no string with a document.
    fn decided(&mut self, trail: &[Level<'a>], node: &Node) -> Option<Node> {
        match self.fate(trail, Kind::of(node)) {
            Fate::Removed => {
                self.withhold(trail, Kind::of(node));
                None
            }
            Fate::RemovedUnclassified => {
                self.unclassified.insert(trail[trail.len() - 1].location.clone());
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
        self.withheld.push(Withheld { location, scalar, array, object, unfit: None });
    }

    fn structure(&mut self, trail: &[Level<'a>], node: &Node) -> Node {
        let here = &trail[trail.len() - 1];
        match node {
            Node::Scalar(_) | Node::Document(_) => panic!("a scalar is no structure"),
            Node::Array(elements) => {
                let mut kept = Vec::new();
                if !elements.is_empty()
                    && self.document.depth == 0
                    && self.is_counted_from_end(here)
                {
                    self.waiting.insert(here.location.clone());
                }
                for (index, element) in elements.iter().enumerate() {
                    if self.is_unfit(trail, &Step::Element(index), elements.len(), element) {
                        continue;
                    }
                    let below = self.below(here, &Step::Element(index), elements.len());
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
        let step = Step::Member(name.text.clone());
        if self.is_unfit(trail, &step, 0, value) {
            return None;
        }
        let below = self.below(object, &step, 0);
        let location = below.location.clone();
        let to_value = and(trail, below);
        let (category, action) = match self.name_fate(&to_value, &name.text) {
            NameFate::Stays => {
                return self.node(&to_value, value).map(|value| (name.clone(), value));
            }
            NameFate::Named(category, action) => (category, action),
            NameFate::Removed => {
                self.unclassified.insert(location.clone());
                self.withhold_member(location);
                return None;
            }
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
        let (scalar, array, object) = (true, true, true);
        self.withheld.push(Withheld { location, scalar, array, object, unfit: None });
    }

    /// An element that is removed because nobody can say whether a filter holds: it could be anything, and so could all
    /// that is in it.
    fn withhold_unfit(&mut self, unfit: &Location, location: &Location, node: &Node) {
        if self.document.depth > 0 {
            return;
        }
        let (scalar, array, object) = (true, true, true);
        let (location, unfit) = (location.clone(), unfit.clone());
        for (step, child) in children(node) {
            let below = location.iter().cloned().chain([step]).collect();
            self.withhold_unfit(&unfit, &below, child);
        }
        self.withheld.push(Withheld { location, scalar, array, object, unfit: Some(unfit) });
    }

    /// Rule 3: what becomes of the name of a member, at the end of `to_value`.
    fn name_fate(&self, to_value: &[Level<'a>], name: &str) -> NameFate<'a> {
        let (value, trail) = to_value.split_last().expect("a member");
        let object = &trail[trail.len() - 1];
        if self.spelled(&object.positions, name) {
            return NameFate::Stays;
        }
        if let Some((category, action)) = self.names(&object.positions) {
            return NameFate::Named(category, action);
        }
        // The name is in the object and of the member: what the object says of a child on which nothing is mounted
        // counts as well as what the member says itself.
        let plain = Level { record_keeps: None, ..value.clone() };
        // Nor does a name stay where the closest classified node is dropped or null: that reaches all the way down.
        let closest = trail.iter().rev().find_map(|level| level.own);
        let withheld =
            closest.is_some_and(|(_, action)| matches!(action, Action::Drop | Action::Null));
        let keeps = !withheld
            && keeps_unclassified(&and(trail, plain), self.api_keeps)
            && keeps_unclassified(to_value, self.api_keeps);
        if keeps { NameFate::Stays } else { NameFate::Removed }
    }

    /// Whether a path has, active at this object, a selector that is this name, or lists it with `names`.
    fn spelled(&self, positions: &Positions, name: &str) -> bool {
        self.paths.iter().zip(positions).any(|(path, reached)| {
            let mut active = active(path, reached).flat_map(|(_, segment)| parts(segment).1);
            let is_spelled = active.any(|selector| *selector == Selector::Name(name.to_owned()));
            // Whatever filters answer: where the segment is reached.
            let lists = reached & path.named != 0;
            is_spelled || lists && path.listed.iter().any(|listed| listed == name)
        })
    }

    /// What `names` says of a name that no path spells at this object. Only three actions differ here: `keep`,
    /// `pseudonym`, and all others.
    fn names(&self, positions: &Positions) -> Option<(&'a String, &'a Action)> {
        let reaching = self.paths.iter().zip(positions);
        let reaching = reaching.filter(|(path, reached)| **reached & path.named != 0);
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

    /// The selectors that are active at a node with these positions, with their paths.
    fn active_selectors(
        &self,
        positions: &Positions,
    ) -> impl Iterator<Item = (&'a Path, &'a Selector)> {
        let paths: &'a [Path] = self.paths;
        paths.iter().zip(positions.clone()).flat_map(|(path, reached)| {
            let selectors = active(path, &reached).flat_map(|(_, segment)| parts(segment).1);
            selectors.map(move |selector| (path, selector)).collect::<Vec<_>>()
        })
    }

    /// Whether a path counts the elements of this array from the end.
    fn is_counted_from_end(&self, array: &Level<'a>) -> bool {
        self.active_selectors(&array.positions).any(|(_, selector)| counts_from_end(selector))
    }

    /// Whether a filter is asked of this child of the node at the end of `trail`, and nobody can say what it is: then
    /// the child is removed, and counted under the category of the paths that ask, if they have one.
    fn is_unfit(&mut self, trail: &[Level<'a>], step: &Step, length: usize, child: &Node) -> bool {
        let above = &trail[trail.len() - 1];
        let location: Location = above.location.iter().cloned().chain([step.clone()]).collect();
        let mut asking: Vec<&Path> = Vec::new();
        let mut answers: Vec<Answer> = Vec::new();
        for (path, selector) in self.active_selectors(&above.positions) {
            if let Selector::Filter(filter) = selector {
                asking.push(path);
                let Document { node, steps, .. } = &self.document;
                answers.push(answer(filter, node, &location[*steps..]));
            }
        }
        if asking.is_empty() {
            return false;
        }
        if self.document.depth == 0 {
            self.asked.insert(location.clone());
        }
        // What would leave if each filter had the answer that it gives otherwise.
        let to_child = and(trail, self.below(above, step, length));
        let is_unfit = answers.iter().any(|answer| {
            answer.is_unclear
                || answer.measured.iter().any(|place| !self.leaves_whole(&to_child, place))
        });
        if is_unfit {
            self.withhold_unfit(&location, &location, child);
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
        is_unfit
    }

    /// "What a filter measures and compares": whether the purpose keeps all of the object or array at `place`, which a
    /// filter asks about that is asked of the element at the end of `to_element`.
    fn leaves_whole(&mut self, to_element: &[Level<'a>], place: &Place) -> bool {
        let steps = self.document.steps;
        let mut trail = if place.from_document {
            to_element[..=steps].to_vec()
        } else {
            // Nothing of the element leaves if its name does not.
            if let Some(Step::Member(name)) = to_element[to_element.len() - 1].location.last() {
                let stays = match self.name_fate(to_element, name) {
                    NameFate::Stays
                    | NameFate::Named(_, Action::Keep | Action::Pseudonym { .. }) => true,
                    NameFate::Named(..) | NameFate::Removed => false,
                };
                if !stays {
                    return false;
                }
            }
            to_element.to_vec()
        };
        let reached = trail[trail.len() - 1].location[steps..].len();
        let document = self.document.node.clone();
        // Where it is in an element that another filter is asked of, or whose selection depends on the length of the
        // array, it does not count as kept, as if that element were in it.
        for at in reached..place.location.len() {
            let node = document.get(&place.location[..at]);
            let Some(below) = self.kept_child(&trail, node, &place.location[at]) else {
                return false;
            };
            trail = below;
        }
        self.keeps_all(&trail, document.get(&place.location))
    }

    /// The trail to a child of a node, if that is a container which stays, no other filter is asked of the child, the
    /// length of the array does not decide what selects it, and its name stays, if it has one.
    fn kept_child(
        &mut self,
        trail: &[Level<'a>],
        node: &Node,
        step: &Step,
    ) -> Option<Vec<Level<'a>>> {
        let here = &trail[trail.len() - 1];
        let is_open = |selector: &Selector| {
            matches!(selector, Selector::Filter(_)) || length_decides(selector, step)
        };
        if self.active_selectors(&here.positions).any(|(_, selector)| is_open(selector)) {
            return None;
        }
        let length = match node {
            Node::Array(elements) => elements.len(),
            Node::Scalar(_) | Node::Object(_) | Node::Document(_) => 0,
        };
        let below = and(trail, self.below(here, step, length));
        let name_stays = match step {
            Step::Element(_) => true,
            Step::Member(name) => match self.name_fate(&below, name) {
                NameFate::Stays | NameFate::Named(_, Action::Keep) => true,
                NameFate::Named(..) | NameFate::Removed => false,
            },
        };
        let stays = name_stays && self.fate(trail, Kind::of(node)) == Fate::Structure;
        stays.then_some(below)
    }

    /// Whether the node at the end of `trail` leaves as it is, with all that is in it.
    fn keeps_all(&mut self, trail: &[Level<'a>], node: &Node) -> bool {
        let holds_document = match node {
            Node::Scalar(token) => trail[trail.len() - 1].embedded && token[0] == b'"',
            Node::Array(_) | Node::Object(_) | Node::Document(_) => false,
        };
        !holds_document
            && keeps(self.fate(trail, Kind::of(node)))
            && children(node).into_iter().all(|(step, child)| {
                self.kept_child(trail, node, &step).is_some_and(|to| self.keeps_all(&to, child))
            })
    }

    fn count(&mut self, category: &str, word: &str) {
        *self.counts.entry((category.to_owned(), word.to_owned())).or_default() += 1;
    }
}

/// Whether a node with this fate stays as it is, but for what is in it. An action that could change it does not count
/// as keeping it, whatever it makes of the value.
fn keeps(fate: Fate<'_>) -> bool {
    match fate {
        Fate::Structure | Fate::Kept | Fate::Treated(_, Action::Keep) => true,
        Fate::Removed | Fate::RemovedUnclassified | Fate::Null | Fate::Treated(..) => false,
    }
}

/// The elements or members of a node.
pub(crate) fn children(node: &Node) -> Vec<(Step, &Node)> {
    match node {
        Node::Scalar(_) => Vec::new(),
        Node::Array(elements) => {
            let elements = elements.iter().enumerate();
            elements.map(|(index, element)| (Step::Element(index), element)).collect()
        }
        Node::Object(members) => {
            let members = members.iter();
            members.map(|(name, member)| (Step::Member(name.text.clone()), member)).collect()
        }
        Node::Document(_) => panic!("what leaves is not looked into"),
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
