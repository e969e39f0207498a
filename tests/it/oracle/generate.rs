//! Policies, documents and broken documents from a seed. The words are few, so that paths and documents meet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::world::{
    Action, Api, Category, Class, Generalise, Names, Precision, Record, Target, World,
};

/// `SplitMix64`: small, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.number() % end).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn word(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A policy, the same as text, and what to ask of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    /// The same as one policy file.
    pub(crate) yaml: String,
    /// One of the purposes of the only caller, `tester`.
    pub(crate) purpose: String,
    /// `things`, the only one; it names no host.
    pub(crate) api: String,
    /// `GET /one` or `GET /two/{id}`, where `id` is `public`.
    pub(crate) route: String,
    pub(crate) documents: Vec<Vec<u8>>,
    /// What its filters ask about is public, if not all that is in what they measure or compare.
    pub(crate) asks_what_leaves: bool,
}

/// What only some cases have.
#[derive(Debug, Clone, Copy)]
struct Sort {
    /// A filter that asks about the document: of several, the oracle would try every combination.
    asks_about_document: Option<&'static str>,
    /// Documents in strings.
    embeds: bool,
}

/// The case of this seed, with a few documents.
pub(crate) fn case(seed: u64) -> Case {
    let rng = &mut Rng::new(seed);
    let asks = rng.percent(40);
    let asks_about_document = (!asks && rng.percent(20)).then(|| rng.word(&DOCUMENT_FILTERS));
    let sort = Sort { asks_about_document, embeds: rng.percent(25) };
    let mut world = declared(rng);
    let asking = asks.then(|| asking(rng, sort, &mut world));
    if asking.is_none() {
        anything(rng, sort, &mut world);
    }
    let yaml = yaml(&world);
    let purpose = rng.pick(&world.callers["tester"]).clone();
    let (route, _) = rng.pick(&world.apis["things"].routes).clone();
    let documents = (0..4).map(|index| match &asking {
        Some(asking) if index > 0 => document_to_ask(rng, sort, asking),
        Some(_) | None => document_with(rng, sort),
    });
    let documents = documents.collect();
    let asks_what_leaves = asking.map_or(!yaml.contains('?'), |asking| asking.asks_what_leaves);
    Case { world, yaml, purpose, api: "things".to_owned(), route, documents, asks_what_leaves }
}

const CATEGORIES: [&str; 7] = ["p", "p.x", "p.x.y", "q", "q.x", "q.y", "r"];
const RULES: [&str; 8] = ["p", "p.x", "p.x.y", "q", "q.x", "q.y", "r", "*"];
const NAMES: [&str; 5] = ["a", "b", "c", "é", "a b"];

/// Categories, purposes with their rules, and a caller.
fn declared(rng: &mut Rng) -> World {
    let mut world = World::default();
    for category in CATEGORIES {
        world.categories.insert(category.to_owned(), Category::default());
    }
    let purposes: Vec<String> =
        ["one", "two", "three"].iter().take(1 + rng.below(3)).map(ToString::to_string).collect();
    for purpose in &purposes {
        let rules = rules(rng);
        if !rules.is_empty() {
            world.rules.insert(purpose.clone(), rules);
        }
    }
    world.callers.insert("tester".to_owned(), purposes.clone());

    // A category may say that it has few values where no purpose gives it or a child a pseudonym.
    let candidate = rng.word(&CATEGORIES);
    let pseudonym = purposes.iter().any(|purpose| {
        CATEGORIES.iter().filter(|category| category.starts_with(candidate)).any(|category| {
            matches!(world.general_rule(purpose, category), Action::Pseudonym { .. })
        })
    });
    let candidate = world.categories.get_mut(candidate).unwrap();
    candidate.few_values = !pseudonym;

    // With all that is below, or alone.
    if rng.percent(35) {
        for _ in 0..=rng.below(2) {
            let explicit = rng.word(&["p", "q", "p.x", "p.x.y", "q.x", "r"]);
            world.categories.get_mut(explicit).unwrap().explicit = true;
        }
    }
    world
}

/// Records and routes with paths of all kinds.
fn anything(rng: &mut Rng, sort: Sort, world: &mut World) {
    // A record mounts only those after it, so that there is no circle.
    let records = ["thing", "part", "piece"];
    let records = &records[rng.below(4)..];
    for (index, record) in records.iter().enumerate() {
        let size = rng.below(5);
        let fields = classes(rng, size, &records[index + 1..], sort);
        world.records.insert((*record).to_owned(), Record { fields, keeps: rng.percent(35) });
    }

    let routes = ["GET /one", "GET /two/{id}"];
    let routes = routes.iter().take(1 + rng.below(2)).map(|route| {
        let size = 2 + rng.below(6);
        ((*route).to_owned(), classes(rng, size, records, sort))
    });
    let routes = routes.collect();
    let keeps = rng.percent(25);
    world.apis.insert("things".to_owned(), Api { hosts: Vec::new(), routes, keeps });
}

/// A filter, and what it asks about: places below the element that it is asked of, and places in the document. All
/// that is at these places is to be kept, but not all that is below them.
struct Question {
    filter: &'static str,
    element: &'static [&'static str],
    document: &'static [&'static str],
}

const fn question(filter: &'static str, element: &'static [&'static str]) -> Question {
    Question { filter, element, document: &[] }
}

const QUESTIONS: [Question; 31] = [
    question("?@.a == 7", &[".a"]),
    question("?@.b != 'x'", &[".b"]),
    question("?@.a", &[".a"]),
    question("?!@.b", &[".b"]),
    question("?match(@.a,'[a-x7]*')", &[".a"]),
    question("?length(@.a) > 1", &[".a"]),
    question("?length(@.b) == 2", &[".b"]),
    question("?length(@.b.c) < 2", &[".b.c"]),
    question("?length(@.a) == length(@.c)", &[".a", ".c"]),
    question("?@.a == @.b", &[".a", ".b"]),
    question("?@.a != @.c", &[".a", ".c"]),
    question("?@.a < @.b", &[".a", ".b"]),
    question("?@.b >= @.c", &[".b", ".c"]),
    question("?@.a.c == @.b", &[".a.c", ".b"]),
    question("?count(@.a[*]) > 1", &[".a", ".a.*"]),
    question("?count(@.a[*]) == 0", &[".a", ".a.*"]),
    question("?count(@.b[:2]) == 2", &[".b", ".b[*]"]),
    question("?count(@.a['c','b']) == 1", &[".a", ".a.c", ".a.b"]),
    question("?value(@.c[1:]) == 7", &[".c", ".c[*]"]),
    question("?value(@.b.*) == @.a", &[".a", ".b", ".b.*"]),
    question("?length(value(@.c[-1:])) > 1", &[".c", ".c[*]"]),
    question("?@.a[0] == 7", &[".a", ".a[*]"]),
    question("?@.a[0] == @.b[-1]", &[".a", ".a[*]", ".b", ".b[*]"]),
    question("?@.b[1:]", &[".b", ".b[*]"]),
    question("?@.b[?@.c]", &[".b", ".b.*", ".b.*.c"]),
    question("?count(@.b[?@ == 7]) == 1", &[".b", ".b.*"]),
    question("?@.c[?length(@.a) > 1]", &[".c", ".c.*", ".c.*.a"]),
    question("?@.c[?@.a == @.b]", &[".c", ".c.*", ".c.*.a", ".c.*.b"]),
    question("?length(@) > 2", &[""]),
    question("?count(@.*) == 2", &["", ".*"]),
    question("?@[1]", &["", "[*]"]),
];

const DOCUMENT_QUESTIONS: [Question; 8] = [
    Question { filter: "?@.a == $.c", element: &[".a"], document: &[".c"] },
    Question { filter: "?@.b != $.c", element: &[".b"], document: &[".c"] },
    Question { filter: "?length($.c) == 2", element: &[], document: &[".c"] },
    Question { filter: "?@ == $.c", element: &[""], document: &[".c"] },
    Question {
        filter: "?count($.c[*]) == length(@.a)",
        element: &[".a"],
        document: &[".c", ".c.*"],
    },
    Question { filter: "?@.a[?@ == $.c]", element: &[".a", ".a.*"], document: &[".c"] },
    Question { filter: "?$.c[?@ == 7]", element: &[], document: &[".c", ".c.*"] },
    Question { filter: "?value($.c[:1]) == @.a", element: &[".a"], document: &[".c", ".c[*]"] },
];

/// Where the elements are that filters are asked of.
struct Asking {
    /// The names on the way to the container that they are in, from the root of the body.
    names: Vec<&'static str>,
    /// After so many of these names there is a string that holds a document.
    in_string: Option<usize>,
    asks_what_leaves: bool,
}

/// Filters whose policies mostly load: what they ask about is public, and other lines are about something else.
fn asking(rng: &mut Rng, sort: Sort, world: &mut World) -> Asking {
    let mut questions: Vec<&Question> = (0..=rng.below(2)).map(|_| rng.pick(&QUESTIONS)).collect();
    let about_document = rng.percent(25).then(|| rng.pick(&DOCUMENT_QUESTIONS));
    questions.extend(about_document);
    let mut lines = Lines::default();

    // The lines stand in the route, or in a record that is mounted once.
    let mount =
        rng.percent(if sort.embeds { 60 } else { 30 }).then(|| rng.word(&["é", "a b", "d"]));
    let in_string = mount.filter(|_| sort.embeds && rng.percent(70)).map(|_| 1);
    let bases: [&[&str]; 5] = [&[], &["a"], &["b"], &["a", "b"], &["b", "a b"]];
    // What is asked about the document is not in the elements.
    let base = *rng.pick(if about_document.is_some() { &bases[1..] } else { &bases });
    let to_base = format!("${}", base.iter().map(|name| dotted(name)).collect::<String>());
    for place in questions.iter().flat_map(|question| question.element) {
        let path = format!("{to_base}{}{place}", any(rng));
        lines.public(&path);
    }
    let mut of_document = Lines::default();
    for place in questions.iter().flat_map(|question| question.document) {
        of_document.public(&format!("${place}"));
    }

    // Where something is asked about every child of the elements, other lines are about what is in these.
    let asks_all = questions.iter().flat_map(|question| question.element);
    let asks_all = asks_all.into_iter().any(|place| ["", ".*", "[*]"].contains(place));
    let shallow = ["", ".é", "['a b']", ".d", ".é[*]", ".é.*", ".d[-1]"];
    let deep = [".é[*]", ".é.é", ".d.*", "['a b'][0]", ".é[1:]", ".d[-1]"];
    let tails: &[&'static str] = if asks_all { &deep } else { &shallow };
    for index in 0..=rng.below(4) {
        let filter = rng.pick(&questions).filter;
        let elements = match rng.below(100) {
            _ if index == 0 => format!("[{filter}]"),
            0..60 => format!("[{filter}]"),
            60..85 => any(rng).to_owned(),
            85..92 => "[-1]".to_owned(),
            _ => "[-2:]".to_owned(),
        };
        let tail = rng.word(tails);
        let path = format!("{to_base}{elements}{tail}");
        let target = if !tail.is_empty() && rng.percent(15) {
            Target::Record("part".to_owned())
        } else {
            Target::Category(category(rng))
        };
        let names = names(rng, &path);
        let embedded = sort.embeds && !tail.is_empty() && rng.percent(30);
        lines.push(path, Class { target, names, embedded });
    }

    inside(rng, &to_base, &questions, &mut lines);

    // Any other line can drop what is asked about, and then the policy does not load.
    let asks_what_leaves = rng.percent(75);
    if !asks_what_leaves {
        for (path, class) in classes(rng, 2, &[], sort) {
            lines.push(path, class);
        }
    }

    let mut body = Lines::default();
    let fields = if mount.is_some() { &mut lines } else { &mut body };
    if in_string.is_some() {
        for (path, class) in std::mem::take(&mut of_document).0 {
            fields.push(path, class);
        }
    }
    match mount {
        None => body = lines,
        Some(mount) => {
            let record = Record { fields: lines.sorted(), keeps: rng.percent(40) };
            world.records.insert("thing".to_owned(), record);
            let target = Target::Record("thing".to_owned());
            let class = Class { target, names: None, embedded: in_string.is_some() };
            body.push(format!("${}", dotted(mount)), class);
        }
    }
    for (path, class) in of_document.0 {
        body.push(path, class);
    }
    let part = classes(rng, 2, &[], Sort { asks_about_document: None, embeds: false });
    let part = part.into_iter().filter(|(path, _)| !path.contains('?')).collect();
    world.records.insert("part".to_owned(), Record { fields: part, keeps: rng.percent(40) });
    let routes = vec![("GET /one".to_owned(), body.sorted())];
    let keeps = rng.percent(35);
    world.apis.insert("things".to_owned(), Api { hosts: Vec::new(), routes, keeps });
    let names = mount.into_iter().chain(base.iter().copied()).collect();
    Asking { names, in_string, asks_what_leaves }
}

/// Lines about what is in containers that are only measured or compared: it can be anything.
fn inside(rng: &mut Rng, to_base: &str, questions: &[&Question], lines: &mut Lines) {
    let asked = questions.iter().flat_map(|question| question.element);
    let asked: BTreeSet<String> = asked.map(|place| place.replace(".*", "[*]")).collect();
    let goes_on = |place: &str| {
        asked.iter().any(|other| other.len() > place.len() && other.starts_with(place))
    };
    // Any child of the element could be what another question is about.
    let is_any = |place: &str| place.is_empty() || place == "[*]" && questions.len() > 1;
    let measured: Vec<&String> =
        asked.iter().filter(|place| !is_any(place) && !goes_on(place)).collect();
    if measured.is_empty() {
        return;
    }
    let asks_inside = rng.percent(10);
    for _ in 0..rng.below(3) {
        let asked = rng.pick(&measured);
        let place = format!("{to_base}{}{asked}", any(rng));
        if asks_inside {
            // Another filter is asked of what is in it.
            lines.public(&format!("{place}[*].c"));
            lines.push(format!("{place}[?@.c].é"), Class::of(category(rng)));
            continue;
        }
        let tails = ["[*]", ".*", "[0]", "[-1]", "[1:]", ".c", "['c','a']", "..*", "[*][*]"];
        let path = format!("{place}{}", rng.word(&tails));
        if rng.percent(60) && !path.contains("..") {
            lines.public(&path);
        } else {
            let category = if rng.percent(50) { "public".to_owned() } else { category(rng) };
            // A category of the names that are asked about would be stricter than `public`.
            let names = names(rng, &path)
                .filter(|names| !asked.contains('*') || !matches!(names, Names::Category(_)));
            lines.push(path, Class { names, ..Class::of(category) });
        }
    }
}

/// Every element, or every member of which a name is told, too.
fn any(rng: &mut Rng) -> &'static str {
    if rng.percent(70) { "[*]" } else { ".*" }
}

/// Lines of a route or a record, no path twice.
#[derive(Default)]
struct Lines(Vec<(String, Class)>);

impl Lines {
    fn push(&mut self, path: String, class: Class) {
        let is_there =
            |(other, said): &(String, Class)| *other == path && said.embedded == class.embedded;
        if !self.0.iter().any(is_there) {
            self.0.push((path, class));
        }
    }

    /// What is there is public, and so are names at `.*`.
    fn public(&mut self, path: &str) {
        let names = path.contains(".*").then_some(Names::Fields);
        self.push(path.to_owned(), Class { names, ..Class::of("public".to_owned()) });
    }

    /// As a file has them: those that are embedded after the others.
    fn sorted(mut self) -> Vec<(String, Class)> {
        self.0.sort_by_key(|(_, class)| class.embedded);
        self.0
    }
}

/// A name as a segment of a path.
fn dotted(name: &str) -> String {
    if name.contains(' ') { format!("['{name}']") } else { format!(".{name}") }
}

/// Each kind of action has one set of parameters in a purpose, so that no tie is an error.
fn rules(rng: &mut Rng) -> BTreeMap<String, Action> {
    let domain = rng.percent(30).then(|| "shared".to_owned());
    let generalise = match rng.below(8) {
        0 | 1 => Generalise::AgeBand(*rng.pick(&[5, 10, 20])),
        2 => Generalise::Date(Precision::Year),
        3 => Generalise::Date(Precision::Quarter),
        4 => Generalise::Date(Precision::Month),
        5 => Generalise::Prefix(1 + rng.below(3)),
        6 => Generalise::Round(*rng.pick(&[1, 10, 100])),
        _ => Generalise::Ip,
    };
    let first = rng.below(3);
    let last = if first == 0 { 1 + rng.below(4) } else { rng.below(4) };
    let mask = Action::Mask { first, last, same_length: rng.percent(40) };
    let mut rules = BTreeMap::new();
    let said = 30 + rng.below(50);
    for name in RULES {
        if !rng.percent(said) {
            continue;
        }
        let action = match rng.below(100) {
            0..40 => Action::Keep,
            40..52 => Action::Pseudonym { domain: domain.clone() },
            52..65 => Action::Generalise(generalise.clone()),
            65..76 => mask.clone(),
            76..86 => Action::Null,
            86..99 => Action::Drop,
            _ => Action::Deny,
        };
        rules.insert(name.to_owned(), action);
    }
    rules
}

fn classes(rng: &mut Rng, size: usize, records: &[&str], sort: Sort) -> Vec<(String, Class)> {
    let mut seen = BTreeSet::new();
    let mut classes = Vec::new();
    for _ in 0..size {
        let path = path(rng, sort);
        let embedded = sort.embeds && rng.percent(40);
        if !seen.insert((path.clone(), embedded)) {
            continue;
        }
        let target = if !records.is_empty() && rng.percent(40) {
            Target::Record((*rng.pick(records)).to_owned())
        } else {
            Target::Category(category(rng))
        };
        let names = names(rng, &path);
        classes.push((path, Class { target, names, embedded }));
    }
    classes.sort_by_key(|(_, class)| class.embedded);
    classes
}

/// What the names are that a path reaches without spelling them, if something is said.
fn names(rng: &mut Rng, path: &str) -> Option<Names> {
    let to_any = path.contains('*') || path.contains("..") || path.contains('?');
    if !to_any || !rng.percent(50) {
        return None;
    }
    Some(match rng.below(100) {
        // Below `..` that is an error.
        0..35 if !path.contains("..") => Names::Fields,
        0..65 => {
            let mut listed = vec![rng.word(&NAMES).to_owned()];
            for name in ["a", "b", "c", "é", "a b", "d", "A", "zz"] {
                if rng.percent(40) && !listed.iter().any(|listed| listed == name) {
                    listed.push(name.to_owned());
                }
            }
            Names::List(listed)
        }
        _ => Names::Category(rng.word(&CATEGORIES).to_owned()),
    })
}

fn category(rng: &mut Rng) -> String {
    if rng.percent(20) { "public".to_owned() } else { rng.word(&CATEGORIES).to_owned() }
}

/// Filters of one part each, of which any can hold without the others: what is asked at one place is either
/// different, or cannot both be.
const FILTERS: [&str; 17] = [
    "?@.a == 7",
    "?@.a == 'x'",
    "?@['b']",
    "?@.c > 5",
    "?!@.é",
    "?@ == true",
    "?length(@.a) == 2",
    "?count(@.*) > 1",
    "?match(@.b,'a.*')",
    "?@.b.c != null",
    "?length(@.b) > 1",
    "?@.a == @.c",
    "?@.b < @.c",
    "?count(@.b[*]) == 2",
    "?value(@.c[1:]) == 7",
    "?@.a[-1] == 7",
    "?@.c[?@.a]",
];

/// The same of filters that ask about the document.
const DOCUMENT_FILTERS: [&str; 12] = [
    "?@.a == $.a",
    "?@ == $.b",
    "?@['b'] != $.c",
    "?@.c < $.a",
    "?$.b == $[1]",
    "?$.c",
    "?!$.é.a",
    "?$..b",
    "?length($.a) == 2",
    "?count($.b.*) > 1",
    "?match(@.b,$.c)",
    "?search($.a,'a')",
];

/// A path.
fn path(rng: &mut Rng, sort: Sort) -> String {
    let mut path = "$".to_owned();
    let length = match rng.below(100) {
        0..4 => 0,
        4..44 => 1,
        44..80 => 2,
        80..95 => 3,
        _ => 4,
    };
    for _ in 0..length {
        if rng.percent(15) {
            path.push_str("..");
            if rng.percent(60) {
                path.push_str(rng.word(&["a", "b", "é", "*"]));
                continue;
            }
        } else if rng.percent(50) {
            path.push('.');
            path.push_str(rng.word(&["a", "a", "b", "b", "c", "é", "*"]));
            continue;
        }
        let size = if rng.percent(20) { 2 + rng.below(2) } else { 1 };
        let selectors: Vec<String> = (0..size).map(|_| selector(rng, sort)).collect();
        write!(path, "[{}]", selectors.join(",")).unwrap();
    }
    path
}

fn selector(rng: &mut Rng, sort: Sort) -> String {
    if let Some(filter) = sort.asks_about_document
        && rng.percent(15)
    {
        return filter.to_owned();
    }
    match rng.below(100) {
        0..8 => rng.word(&FILTERS).to_owned(),
        8..12 => format!("-{}", 1 + rng.below(3)),
        12..16 => {
            let from_end =
                ["-2:", ":-1", "1:-1", "::-1", "::-2", "-3:-1", "2::-2", "-1:0:-2", ":-3:-1"];
            rng.word(&from_end).to_owned()
        }
        16..38 => {
            let name = rng.word(&NAMES);
            match rng.below(6) {
                0 => format!("'\\u{:04x}{}'", u32::from(name.chars().next().unwrap()), rest(name)),
                1 | 2 => format!("\"{name}\""),
                _ => format!("'{name}'"),
            }
        }
        38..55 => "*".to_owned(),
        55..75 => rng.below(4).to_string(),
        _ => {
            let mut slice = String::new();
            if rng.percent(50) {
                write!(slice, "{}", rng.below(4)).unwrap();
            }
            slice.push(':');
            if rng.percent(50) {
                write!(slice, "{}", rng.below(5)).unwrap();
            }
            if rng.percent(40) {
                write!(slice, ":{}", rng.below(4)).unwrap();
            }
            slice
        }
    }
}

fn rest(name: &str) -> String {
    name.chars().skip(1).collect()
}

/// The world as one policy file.
pub(crate) fn yaml(world: &World) -> String {
    let mut text = String::from("tamis: 1\ncategories:\n");
    for (category, Category { few_values, explicit }) in &world.categories {
        let flags = format!("few_values: {few_values}, explicit: {explicit}");
        writeln!(text, "  {category}: {{ title: Things, {flags} }}").unwrap();
    }
    text.push_str("purposes:\n");
    let purposes: BTreeSet<&String> = world.callers.values().flatten().collect();
    for purpose in purposes {
        writeln!(text, "  {purpose}: {{ title: Try things out, legal_basis: contract }}").unwrap();
    }
    text.push_str("callers:\n");
    let apis: Vec<&str> = world.apis.keys().map(String::as_str).collect();
    for (caller, purposes) in &world.callers {
        let (purposes, apis) = (purposes.join(", "), apis.join(", "));
        writeln!(
            text,
            "  {caller}: {{ identify: {{ api_key: {caller} }}, purposes: [{purposes}], apis: [{apis}] }}"
        )
        .unwrap();
    }
    if !world.records.is_empty() {
        text.push_str("records:\n");
    }
    for (record, said) in &world.records {
        writeln!(text, "  {record}:").unwrap();
        yaml_classes(&mut text, "    fields", "    embedded", &said.fields);
        yaml_keeps(&mut text, said.keeps);
    }
    text.push_str("apis:\n");
    for (api, said) in &world.apis {
        writeln!(text, "  {api}:").unwrap();
        yaml_keeps(&mut text, said.keeps);
        text.push_str("    routes:\n");
        for (route, body) in &said.routes {
            writeln!(text, "      {route}:").unwrap();
            if route.contains("{id}") {
                text.push_str("        params: { id: public }\n");
            }
            yaml_classes(&mut text, "        body", "        embedded", body);
            if world.asks_about_document(body) {
                text.push_str("        buffer: document\n");
            }
        }
    }
    if !world.rules.is_empty() {
        text.push_str("rules:\n");
    }
    for (purpose, rules) in &world.rules {
        writeln!(text, "  {purpose}:").unwrap();
        for (category, action) in rules {
            writeln!(text, "    \"{category}\": {}", yaml_action(action)).unwrap();
        }
    }
    text
}

fn yaml_keeps(text: &mut String, keeps: bool) {
    if keeps {
        text.push_str("    unclassified: { keep: { because: It is only a test. } }\n");
    }
}

fn yaml_classes(text: &mut String, key: &str, embedded: &str, classes: &[(String, Class)]) {
    let (documents, others): (Vec<_>, Vec<_>) =
        classes.iter().partition(|(_, class)| class.embedded);
    if others.is_empty() {
        writeln!(text, "{key}: {{}}").unwrap();
    }
    for (key, classes) in [(key, others), (embedded, documents)] {
        if classes.is_empty() {
            continue;
        }
        writeln!(text, "{key}:").unwrap();
        let indent = key.len() - key.trim_start().len() + 2;
        for (path, class) in classes {
            let (word, target) = match &class.target {
                Target::Category(category) => ("category", category),
                Target::Record(record) => ("record", record),
            };
            let said = match &class.names {
                None => target.clone(),
                Some(names) => format!("{{ {word}: {target}, names: {} }}", yaml_names(names)),
            };
            // A JSON string is a YAML string in double quotes.
            let path = serde_json::to_string(path).unwrap();
            writeln!(text, "{:indent$}{path}: {said}", "").unwrap();
        }
    }
}

fn yaml_names(names: &Names) -> String {
    match names {
        Names::Category(category) => category.clone(),
        Names::Fields => "public".to_owned(),
        // A list of JSON is one of YAML.
        Names::List(names) => serde_json::to_string(names).unwrap(),
    }
}

fn yaml_action(action: &Action) -> String {
    match action {
        Action::Pseudonym { domain: Some(domain) } => {
            format!("{{ pseudonym: {{ domain: {domain} }} }}")
        }
        Action::Mask { first, last, same_length } => {
            let mut said = Vec::new();
            if *first > 0 {
                said.push(format!("keep_first: {first}"));
            }
            if *last > 0 {
                said.push(format!("keep_last: {last}"));
            }
            if *same_length {
                said.push("length: keep".to_owned());
            }
            format!("{{ mask: {{ {} }} }}", said.join(", "))
        }
        Action::Generalise(how) => match how {
            Generalise::AgeBand(years) => format!("{{ generalise: {{ age_band: {years} }} }}"),
            Generalise::Date(Precision::Year) => "{ generalise: { date: year } }".to_owned(),
            Generalise::Date(Precision::Quarter) => "{ generalise: { date: quarter } }".to_owned(),
            Generalise::Date(Precision::Month) => "{ generalise: { date: month } }".to_owned(),
            Generalise::Prefix(length) => format!("{{ generalise: {{ prefix: {length} }} }}"),
            Generalise::Round(step) => format!("{{ generalise: {{ round: {step} }} }}"),
            Generalise::Ip => "{ generalise: ip }".to_owned(),
        },
        Action::Keep
        | Action::Pseudonym { domain: None }
        | Action::Null
        | Action::Drop
        | Action::Deny => action.word().to_owned(),
    }
}

const SCALARS: [&str; 48] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-7",
    "5.40",
    "-0.5",
    "1234567",
    "12345678901234567890",
    "1e400",
    "-1E400",
    "1E2",
    "1.50e+1",
    "1e-400",
    "-1e-7",
    "-123.0",
    r#""""#,
    r#""x""#,
    r#""ab""#,
    r#""abcdefgh""#,
    r#""+33 6 12 34 56 78""#,
    r#""FR7630006000011234567890189""#,
    r#""Zoë Müller-Lüdenscheidt""#,
    r#""日本語のテキスト""#,
    r#""\u00e9t\u00E9 \"quoted\" \\ and\/more\n""#,
    r#""\u0001\u001f\b\f\t\r tail of it""#,
    r#""\ud83d\ude00\ud83d\ude00 smiles 😀😀😀""#,
    r#""\ud800""#,
    r#""half \udc00 a pair""#,
    r#""1984-05-12""#,
    r#""1984-01-01""#,
    r#""1984-01-02""#,
    r#""1936-01-01""#,
    r#""1936-01-02""#,
    r#""1901-12-31""#,
    r#""2026-03-09T08:00:00Z""#,
    r#""2025-12-31T23:59:59.123-01:00""#,
    r#""2026-11-21""#,
    r#""2026-11-22""#,
    r#""2026-08""#,
    r#""1999""#,
    r#""2026-02-30""#,
    r#""192.168.7.99""#,
    r#""2001:db8:1:2::3""#,
    r#""p1.0123456789ABCDEFGHJKMNPQRS""#,
    r#""$..a{[,:]}""#,
];

/// A valid document without duplicate names.
pub(crate) fn document(rng: &mut Rng) -> Vec<u8> {
    document_with(rng, Sort { asks_about_document: None, embeds: false })
}

fn document_with(rng: &mut Rng, sort: Sort) -> Vec<u8> {
    let mut text = String::new();
    let deep = if rng.percent(5) { NESTED } else { 2 };
    let nested = if sort.embeds { deep } else { 0 };
    space(rng, &mut text);
    value(rng, 0, nested, &mut text);
    space(rng, &mut text);
    text.into_bytes()
}

/// Values that filters meet: many are equal, and such as can be kept as a whole.
const SMALL: [&str; 18] = [
    "7",
    "7.0",
    "null",
    r#""x""#,
    r#""xy""#,
    "[]",
    "{}",
    "[7]",
    "[7,7]",
    "[7.0,7]",
    r#"["x",7]"#,
    r#"[7,null,"x"]"#,
    r#"{"c":7}"#,
    r#"{"a":[7],"c":7}"#,
    "[[7],7]",
    r#"[{"c":7}]"#,
    r#"[{"a":[7,7],"b":[7,7],"c":"x"}]"#,
    r#"{"b":{"a":"xy"},"é":7}"#,
];

/// A document in which there are elements where filters are asked.
fn document_to_ask(rng: &mut Rng, sort: Sort, asking: &Asking) -> Vec<u8> {
    let mut text = String::new();
    to_elements(rng, sort, &asking.names, asking.in_string, &mut text);
    text.into_bytes()
}

fn to_elements(
    rng: &mut Rng,
    sort: Sort,
    names: &[&'static str],
    in_string: Option<usize>,
    text: &mut String,
) {
    if in_string == Some(0) {
        let mut inner = String::new();
        to_elements(rng, sort, names, None, &mut inner);
        quoted(rng, &inner, text);
        return;
    }
    let Some((name, rest)) = names.split_first() else {
        return elements(rng, sort, text);
    };
    let in_string = in_string.map(|after| after - 1);
    // One of them is on the way; some documents ask about `c`.
    let at = rng.below(3);
    let mut members: Vec<&str> = NAMES.into_iter().filter(|other| other != name).collect();
    while members.len() > 2 && rng.percent(60) {
        members.remove(rng.below(members.len()));
    }
    members.insert(at.min(members.len()), name);
    text.push('{');
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&written(rng, member));
        text.push(':');
        space(rng, text);
        if member == name {
            to_elements(rng, sort, rest, in_string, text);
        } else {
            small(rng, sort, text);
        }
    }
    text.push('}');
}

/// A few elements or members.
fn elements(rng: &mut Rng, sort: Sort, text: &mut String) {
    let in_array = rng.percent(65);
    text.push(if in_array { '[' } else { '{' });
    let mut names = NAMES.into_iter().chain(["d", "zz"]);
    for index in 0..2 + rng.below(4) {
        if index > 0 {
            text.push(',');
        }
        if !in_array {
            text.push_str(&written(rng, names.next().unwrap()));
            text.push(':');
        }
        if rng.percent(20) {
            small(rng, sort, text);
            continue;
        }
        text.push('{');
        let mut is_first = true;
        for name in ["é", "a", "b", "c", "a b", "d"] {
            if rng.percent(40) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                text.push(',');
            }
            text.push_str(&written(rng, name));
            text.push(':');
            space(rng, text);
            small(rng, sort, text);
        }
        text.push('}');
    }
    text.push(if in_array { ']' } else { '}' });
}

fn small(rng: &mut Rng, sort: Sort, text: &mut String) {
    if rng.percent(75) {
        text.push_str(rng.word(&SMALL));
    } else {
        value(rng, 3, if sort.embeds { 2 } else { 0 }, text);
    }
}

/// A scalar, or a container that may hold anything.
pub(crate) fn fragment(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    value(rng, 2, 0, &mut text);
    text.into_bytes()
}

/// A value of so many bytes: a scalar, or an array or object, if it may be one.
pub(crate) fn of_length(rng: &mut Rng, length: usize, array: bool, object: bool) -> Vec<u8> {
    let array = array && rng.percent(40);
    let (open, close) = if array && length >= 4 {
        ("[", "]")
    } else if object && length >= 8 && rng.percent(60) {
        ("{\"a\":", "}")
    } else {
        ("", "")
    };
    let Some(inside) = (length - open.len() - close.len()).checked_sub(2) else {
        return rng.word(&["0", "1", "7"]).as_bytes().to_vec();
    };
    let letters: String = (0..inside).map(|_| rng.word(&["a", "b", "7", " ", "*"])).collect();
    format!("{open}\"{letters}\"{close}").into_bytes()
}

/// How many documents stand in each other's strings at most; more than may.
const NESTED: usize = 6;

/// A value; strings in it hold documents, so many deep at most.
fn value(rng: &mut Rng, depth: usize, nested: usize, text: &mut String) {
    let containers = [97, 70, 55, 45, 25, 0][depth.min(5)];
    if !rng.percent(containers) {
        if nested > 0 && rng.percent(40) {
            in_string(rng, depth, nested - 1, text);
        } else {
            text.push_str(rng.word(&SCALARS));
        }
        return;
    }
    let in_array = rng.percent(if depth == 0 { 20 } else { 35 });
    text.push(if in_array { '[' } else { '{' });
    let mut seen = BTreeSet::new();
    let size = if depth < 2 { 2 + rng.below(4) } else { rng.below(5) };
    for index in 0..size {
        if !in_array {
            let name = if rng.percent(85) { rng.word(&NAMES) } else { rng.word(&["d", "", "A"]) };
            if !seen.insert(name) {
                continue;
            }
            if seen.len() > 1 {
                text.push(',');
            }
            space(rng, text);
            text.push_str(&written(rng, name));
            space(rng, text);
            text.push(':');
        } else if index > 0 {
            text.push(',');
        }
        space(rng, text);
        value(rng, depth + 1, nested, text);
        space(rng, text);
    }
    text.push(if in_array { ']' } else { '}' });
}

/// A string that holds a document, or almost one.
fn in_string(rng: &mut Rng, depth: usize, nested: usize, text: &mut String) {
    let mut inner = String::new();
    space(rng, &mut inner);
    match rng.below(10) {
        // As deep as it goes, where a path may lead.
        0 if nested > 0 => {
            inner.push_str("{\"a\":");
            in_string(rng, depth, nested - 1, &mut inner);
            inner.push('}');
        }
        1 => {
            value(rng, depth + 1, nested, &mut inner);
            inner.push_str(rng.word(&[",", "}", " 1", "\u{feff}", "\"", "\\"]));
        }
        _ => value(rng, depth.min(2) + 1, nested, &mut inner),
    }
    space(rng, &mut inner);
    quoted(rng, &inner, text);
}

/// A text as a string, now and then with an escape that need not be.
fn quoted(rng: &mut Rng, inner: &str, text: &mut String) {
    text.push('"');
    for char in inner.chars() {
        let code = u32::from(char);
        match char {
            '"' | '\\' if !rng.percent(4) => text.extend(['\\', char]),
            '"' | '\\' | '\0'..='\u{1f}' => write!(text, "\\u{code:04X}").unwrap(),
            _ if code < 0x1_0000 && rng.percent(1) => write!(text, "\\u{code:04x}").unwrap(),
            _ => text.push(char),
        }
    }
    text.push('"');
}

/// A name as a token, now and then with an escape that need not be.
fn written(rng: &mut Rng, name: &str) -> String {
    match name.chars().next() {
        Some(first) if rng.percent(10) => {
            let code = u32::from(first);
            let code = if rng.percent(50) { format!("{code:04x}") } else { format!("{code:04X}") };
            format!("\"\\u{code}{}\"", rest(name))
        }
        _ => format!("\"{name}\""),
    }
}

fn space(rng: &mut Rng, text: &mut String) {
    if rng.percent(12) {
        text.push_str(rng.word(&[" ", "\n", "\t", "\r\n", "  "]));
    }
}

/// The document with a few wounds: still valid sometimes, mostly not.
pub(crate) fn mutate(document: &[u8], rng: &mut Rng) -> Vec<u8> {
    const STRUCTURE: [u8; 8] = *b"{}[]:,\"\\";
    const PIECES: [&[u8]; 34] = [
        b"\"",
        b"\\",
        b"\\\"",
        b"\\u",
        b"\\u00",
        b"\\u0041",
        b"\\uD83D\\uDE00",
        b"\\ud800",
        b"\\x",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\n",
        b"\x0b",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"\xf4\x90\x80\x80",
        b"\xc2\x85",
        b"-",
        b"0",
        b"01",
        b".",
        b"e",
        b"E+",
        b"null",
        b"nul",
        b"tru",
        b"NaN",
        b",",
        b"[[[[",
        b"{\"a\":",
    ];
    let mut bytes = document.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        let end = (at + 1 + rng.below(8)).min(bytes.len());
        match rng.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            1 if at < bytes.len() => bytes[at] = *rng.pick(&STRUCTURE),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let slice = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() + 1);
                bytes.splice(to..to, slice);
            }
            4 => bytes.truncate(at),
            5 => {
                let structural: Vec<usize> =
                    (0..bytes.len()).filter(|at| STRUCTURE.contains(&bytes[*at])).collect();
                if !structural.is_empty() {
                    let (one, other) = (*rng.pick(&structural), *rng.pick(&structural));
                    bytes.swap(one, other);
                }
            }
            6 => bytes.insert(at, *rng.pick(&STRUCTURE)),
            _ => {
                let piece = *rng.pick(&PIECES);
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}
