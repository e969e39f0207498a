//! What filters ask about: who sees the node that a filter let through, or let stay, learns the answer, and
//! so has to see what was asked about.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    path::{
        Answered, Filter, FilterId, Kind, Path, PathId, Program, Row, Segment, Selector, State,
        dotted_wildcards,
    },
    policy::{
        compile,
        explain::{
            place::{self, Unseen},
            walk::{Ruling, Scope, Shape, Walk},
            words::{in_words, leaves},
        },
        model::{Api, CategoryId, Class, Delta, Field, Policies, Purpose, Route},
        plan::Plan,
        set::{Answer, PolicySet},
        verdict::{Own, Strings},
    },
    source::{Finding, named},
};

/// Most steps from one node to another that are looked at for one route and one purpose.
const STEPS_MAX: usize = 1 << 20;
/// The same where each state has to be made.
const LAZY_STEPS_MAX: usize = 1 << 17;
/// The same for all routes and purposes together.
const SET_STEPS_MAX: usize = 1 << 24;

/// Most findings of one set of policies for which a cure is tried out: each takes as long as the route took
/// to load, and most steps that are looked at for one purpose then.
const CURES_MAX: usize = 8;
const CURE_STEPS_MAX: usize = 1 << 17;
/// Most purposes that a cure is tried for.
const CURED_PURPOSES_MAX: usize = 8;
/// Most lines that a finding points at as well.
const LINES_SHOWN_MAX: usize = 12;

/// Filters that ask about what a purpose does not see as it is: each once, whoever does not.
pub(in crate::policy) fn check(set: &PolicySet, findings: &mut Vec<Finding>) {
    let mut cures = CURES_MAX;
    let mut left = SET_STEPS_MAX;
    for (api, route) in set.policies.routes() {
        if !route.fields.iter().any(|field| field.path.has_filter()) {
            continue;
        }
        let mut all: Vec<SharedDisclosure> = Vec::new();
        let mut too_many = false;
        for (id, (purpose, answer)) in
            set.policies.purposes.iter().zip(set.answers(route)).enumerate()
        {
            let Some(plan) = Answer::plan(answer) else { continue };
            let (told, steps) = told(&set.policies, route, purpose, plan, STEPS_MAX.min(left));
            left = left.saturating_sub(steps);
            match told {
                None => too_many = true,
                Some(told) => {
                    for Disclosure { filter, from_root, path, unseen } in told {
                        let same = |one: &&mut SharedDisclosure| {
                            one.filter == filter && one.from_root == from_root && one.path == path
                        };
                        if let Some(one) = all.iter_mut().find(same) {
                            one.purposes.push((id, unseen));
                        } else {
                            all.push(SharedDisclosure {
                                filter,
                                from_root,
                                path,
                                purposes: vec![(id, unseen)],
                            });
                        }
                    }
                }
            }
        }
        if too_many {
            findings.push(give_up(route));
        }
        for telling in all {
            let cure = cures.checked_sub(1).and_then(|left| {
                cures = left;
                telling.cure(&set.policies, api, route)
            });
            findings.extend(telling.finding(&set.policies, route, cure.as_deref()));
        }
    }
}

/// What filters are told of for one purpose; none if they stand among too many other paths, which is when it takes
/// more than so many steps. And how many it took.
fn told(
    policies: &Policies,
    route: &Route,
    purpose: &Purpose,
    plan: &Arc<Plan>,
    steps_max: usize,
) -> (Option<Vec<Disclosure>>, usize) {
    let (plan, _root) = &Arc::clone(plan).afresh(plan.program().start());
    let walk = Walk { policies, route, purpose, plan };
    let lazy_max = if plan.program().is_lazy() { LAZY_STEPS_MAX } else { usize::MAX };
    let steps_max = steps_max.min(lazy_max);
    let mut asked =
        FilterSearch { walk, told: Vec::new(), been: HashSet::new(), steps: 0, steps_max };
    let is_complete = asked.run();
    (is_complete.then_some(asked.told), asked.steps)
}

/// What filters tell is not known, so that the policies cannot load.
fn give_up(route: &Route) -> Finding {
    let message = format!(
        "the filters of `{}` stand among too many other paths to say what each purpose sees of them",
        route.label
    );
    Finding::error("too-many-paths", route.at.clone(), message)
        .help("spell names where you can: `..` multiplies with every filter that it meets")
}

/// Something that a filter asks about, and why a purpose does not see it.
struct Disclosure {
    filter: Filter,
    from_root: bool,
    path: Path,
    unseen: Unseen,
}

/// The same for all purposes that do not get it.
struct SharedDisclosure {
    filter: Filter,
    from_root: bool,
    path: Path,
    purposes: Vec<(usize, Unseen)>,
}

/// The line by which it is so.
fn line_of(unseen: Unseen) -> Option<PathId> {
    let fate = match unseen {
        Unseen::Ruling(fate) => fate,
        Unseen::Document(line) => return Some(line),
        Unseen::Asked => return None,
    };
    match fate {
        Ruling::Own(_, line)
        | Ruling::Element(_, line)
        | Ruling::With(_, line)
        | Ruling::Gone(_, line)
        | Ruling::NameRemoved(line) => Some(line),
        Ruling::Kept(_) | Ruling::Known(_) | Ruling::Unclassified(_) | Ruling::NameUnspelled => {
            None
        }
    }
}

impl SharedDisclosure {
    /// The line that the filter stands in, and which of its segments that is.
    fn field<'r>(&self, route: &'r Route) -> Option<(&'r Field, usize)> {
        route.fields.iter().find_map(|field| {
            let has_filter = |segment: &Segment| {
                let mut selectors = segment.selectors.iter();
                selectors.any(|one| matches!(one, Selector::Filter(one) if *one == self.filter))
            };
            Some((field, field.path.segments().iter().position(has_filter)?))
        })
    }

    fn finding(&self, policies: &Policies, route: &Route, cure: Option<&str>) -> Option<Finding> {
        let (field, _) = self.field(route)?;
        let mut path = self.path.to_string();
        if !self.from_root {
            path = path.replacen('$', "@", 1);
        }
        if self.purposes.iter().all(|(_, unseen)| *unseen == Unseen::Asked) {
            let message = format!(
                "the filter `{}` asks about `{path}` in an element of which a filter is asked, too: one that cannot be answered removes that element, and what leaves would tell what was in it",
                self.filter
            );
            let finding = Finding::error("filter-tells", field.at.clone(), message);
            return Some(finding.help(
                "ask about what stands in the element itself, or where no other filter is asked",
            ));
        }
        // Purposes of which the same is true are named together.
        let mut groups: Vec<(Option<String>, Vec<&str>)> = Vec::new();
        let mut decides: Vec<&Field> = Vec::new();
        for (id, unseen) in &self.purposes {
            let Some(purpose) = policies.purposes.get(*id) else { continue };
            let line = line_of(*unseen).and_then(|line| route.fields.get(line.index()));
            let gets = line.and_then(|line| match line.class {
                _ if matches!(unseen, Unseen::Document(_)) => {
                    Some("only what is left of the document in it".to_owned())
                }
                Class::Category(category) => {
                    let action = line.action(purpose.action(category));
                    let name = policies.category_name(category);
                    leaves(action).then(|| format!("{name} only {}", in_words(action)))
                }
                Class::Mount { .. } => None,
            });
            decides.extend(line.filter(|line| decides.iter().all(|one| one.at != line.at)));
            match groups.iter_mut().find(|(known, _)| *known == gets) {
                Some((_, purposes)) => purposes.push(&purpose.name),
                None => groups.push((gets, vec![&purpose.name])),
            }
        }
        let groups = groups.iter().map(|(gets, purposes)| {
            let one = purposes.len() == 1;
            let who = format!("the purpose{} {}", if one { "" } else { "s" }, named(purposes));
            match gets {
                Some(gets) => format!("{who} {} {gets}", if one { "gets" } else { "get" }),
                None => format!("{who} {} not get that", if one { "does" } else { "do" }),
            }
        });
        let message = format!(
            "the filter `{}` asks about `{path}`, and {}: what leaves would tell the answer",
            self.filter,
            groups.collect::<Vec<_>>().join(", and ")
        );
        let mut finding = Finding::error("filter-tells", field.at.clone(), message);
        for line in decides.into_iter().take(LINES_SHOWN_MAX) {
            finding = finding.also(&line.at, "this line is about it");
        }
        Some(finding.help(cure.unwrap_or(
            "let filters ask about what each purpose keeps, of every element and member that they are asked of",
        )))
    }

    /// What to write if what is asked about tells nothing about a person; it has been tried out.
    fn cure(&self, policies: &Policies, api: &Api, route: &Route) -> Option<String> {
        // A line would not help.
        if self.purposes.iter().any(|(_, unseen)| !matches!(unseen, Unseen::Ruling(_))) {
            return None;
        }
        let (field, at) = self.field(route)?;
        let own = field.path.segments();
        // From the document, it is the route that says what is there; else who says what the element is.
        let (above, own_from) = if self.from_root {
            let is_embedded = route.fields.iter().any(|one| one.embedded);
            (if is_embedded { return None } else { Vec::new() }, 0)
        } else {
            let descendant = own.get(at)?.descendant;
            let every = Segment::by(descendant, Selector::Wildcard);
            (own.iter().take(at).cloned().chain([every]).collect(), field.own_from.min(at))
        };
        let path = Path::of(above.iter().chain(self.path.segments()).cloned().collect::<Vec<_>>());
        let own = Path::of(path.segments().iter().skip(own_from).cloned().collect::<Vec<_>>());
        let first = route.fields.iter().position(|one| one.path == path);
        // Who speaks of the names where the filter stands has an object there, and members to speak of.
        let names = [Some(CategoryId::PUBLIC), None];
        let names = names.into_iter().skip(usize::from(field.names.is_none()));
        for names in names.chain(field.names.is_none().then_some(Some(CategoryId::PUBLIC))) {
            let written = in_yaml(&own, names.is_some());
            let dotted = dotted_wildcards(written.trim_matches('"'));
            let dotted = u32::try_from(own_from).ok().and_then(|from| dotted.checked_shl(from));
            let line = Field {
                path: path.clone(),
                own_from,
                class: Class::Category(CategoryId::PUBLIC),
                names,
                named: dotted.unwrap_or_default(),
                spells: Arc::default(),
                delta: Delta::Unsaid,
                embedded: false,
                at: field.at.clone(),
            };
            let mut fields = route.fields.clone();
            match first.and_then(|first| fields.get_mut(first)) {
                Some(first) => *first = line,
                None => fields.push(line),
            }
            if self.is_cured(policies, api, route, &fields) {
                let (class, tells) = match names {
                    None => ("public", "if it tells nothing about a person"),
                    Some(_) => (
                        "{ category: public, names: public }",
                        "if neither it nor the names above it tell anything about a person",
                    ),
                };
                let or = "or let the filter ask about what each purpose keeps";
                return Some(format!("{tells}, write `{written}: {class}`; {or}"));
            }
        }
        None
    }

    /// Whether with these lines the purposes get what the filter asks about.
    fn is_cured(&self, policies: &Policies, api: &Api, route: &Route, fields: &[Field]) -> bool {
        let ids = self.purposes.iter().take(CURED_PURPOSES_MAX).map(|(id, _)| *id);
        let Some(plans) = compile::plans_with(policies, api, route, fields, ids) else {
            return false;
        };
        let route = &route.with_fields(fields.to_vec());
        plans.into_iter().all(|(purpose, plan)| {
            let (told, _) = told(policies, route, purpose, &Arc::new(plan), CURE_STEPS_MAX);
            told.is_some_and(|told| {
                let same = |one: &Disclosure| {
                    one.filter == self.filter
                        && one.from_root == self.from_root
                        && one.path == self.path
                };
                !told.iter().any(same)
            })
        })
    }
}

/// What a node has matched, and what it stands in.
type Node = (State, Scope);

/// What of a node decides what is seen of it: nodes with the same are told apart by nothing but their lines.
type Alike = (Option<Row>, Own, Option<bool>, Shape);

struct FilterSearch<'w> {
    walk: Walk<'w>,
    told: Vec<Disclosure>,
    /// Where filters have been asked, and of which document.
    been: HashSet<(FilterId, Alike, Alike)>,
    /// How many steps were taken from one node to another: to where filters are asked, and to what they ask about.
    steps: usize,
    steps_max: usize,
}

impl FilterSearch<'_> {
    /// Goes to every node that a filter can be asked of, in the body and in documents in strings; whether it
    /// has come to all of them.
    fn run(&mut self) -> bool {
        let program = self.walk.plan.program().clone();
        let start = (program.start(), self.walk.outside());
        let mut seen = HashSet::from([(start.0, self.walk.shape(start.1), self.alike(start))]);
        let mut gone_on = HashSet::new();
        let mut asking = HashMap::new();
        let mut next = vec![(start, start)];
        while let Some(((state, under), root)) = next.pop() {
            let Some(row) = program.row(state) else { return false };
            if !*asking.entry(row).or_insert_with(|| program.asks_below(state)) {
                continue;
            }
            for kind in [Kind::Object, Kind::Array] {
                // Below what is removed nothing is seen.
                let Ok(inside) = self.walk.container(under, state, kind) else { continue };
                let shape = self.walk.shape(inside);
                if !gone_on.insert((row, kind, shape, self.alike(root))) {
                    continue;
                }
                let children = program.unsettled_children(state, kind);
                self.steps = self.steps.saturating_add(children.len());
                for child in children {
                    let unspelled = kind == Kind::Object && child == program.unspelled(state);
                    for (answers, settled) in program.outcomes(child) {
                        self.steps = self.steps.saturating_add(1 + answers.len());
                        if settled == State::LOST || self.steps > self.steps_max {
                            return false;
                        }
                        let unseen = unspelled && self.walk.name(inside, state, settled).is_err();
                        if unseen || !self.is_seen(inside, settled) {
                            continue;
                        }
                        let node = (settled, inside);
                        for answered in answers {
                            if let Answered::Filter(filter, _) = answered {
                                self.ask(&program, filter, node, root);
                            }
                        }
                        if settled == State::DEAD {
                            continue;
                        }
                        // A document in a string there is its own root; a container there is not.
                        let strings = self.walk.plan.verdict(settled).strings;
                        let inner = (strings == Strings::Documents).then_some(node);
                        for root in [Some(root), inner].into_iter().flatten() {
                            if seen.insert((settled, shape, self.alike(root))) {
                                next.push((node, root));
                            }
                        }
                    }
                }
            }
        }
        true
    }

    /// Whether anything at all of a node leaves.
    fn is_seen(&self, under: Scope, state: State) -> bool {
        let kinds = [Kind::Object, Kind::Array].into_iter();
        let mut containers = kinds.map(|kind| self.walk.container(under, state, kind));
        containers.any(|inside| inside.map_or_else(|gone| self.walk.shows(gone), |_stays| true))
            || self.walk.shows(self.walk.scalar(under, state))
    }

    /// What of a node decides what is seen of it and of what is below it.
    fn alike(&self, (state, under): Node) -> Alike {
        let verdict = self.walk.plan.verdict(state);
        let row = self.walk.plan.program().row(state);
        (row, verdict.own, verdict.mount, self.walk.shape(under))
    }

    fn ask(&mut self, program: &Program, id: FilterId, node: Node, root: Node) {
        // What it asks about the document is the same wherever the node is.
        if !self.been.insert((id, self.alike(node), self.alike(root))) {
            return;
        }
        let Some(filter) = program.filter(id) else { return };
        let mut asked = Vec::new();
        collect(filter, &Start::AT_NODE, &mut asked);
        for Start { from_root, segments } in asked {
            let path = Path::of(segments);
            let same = |one: &Disclosure| {
                one.filter == *filter && one.from_root == from_root && one.path == path
            };
            if self.told.iter().any(same) {
                continue;
            }
            let (state, under) = if from_root { root } else { node };
            match place::sees(self.walk, &path, under, state, &mut self.steps) {
                // What stands elsewhere in the document can be gone for another reason: "What tamis does not hide".
                Ok(()) | Err(Unseen::Asked) if from_root => {}
                Ok(()) => {}
                Err(unseen) => {
                    self.told.push(Disclosure { filter: filter.clone(), from_root, path, unseen });
                }
            }
        }
    }
}

/// A path as the key of a line; `of_members` where it is about the members of objects rather than elements.
fn in_yaml(path: &Path, of_members: bool) -> String {
    let written = path.to_string();
    let members = written.replace("[*]", ".*");
    let is_same = of_members && Path::parse(&members).is_ok_and(|members| members == *path);
    let written = if is_same { members } else { written };
    if written.contains(['[', '\'', '"']) {
        return format!("\"{}\"", written.replace('\\', "\\\\").replace('"', "\\\""));
    }
    written
}

/// What a filter looks at: from the document or from the node that it is asked of.
struct Start {
    from_root: bool,
    segments: Vec<Segment>,
}

impl Start {
    const AT_NODE: Self = Self { from_root: false, segments: Vec::new() };
}

/// What a filter looks at that is asked of what stands at `from`.
fn collect(filter: &Filter, from: &Start, asked: &mut Vec<Start>) {
    for query in filter.queries() {
        let above: &[Segment] = if query.from_root { &[] } else { &from.segments };
        let from_root = query.from_root || from.from_root;
        let segments: Vec<Segment> = above.iter().chain(&query.segments).cloned().collect();
        for (index, segment) in query.segments.iter().enumerate() {
            for selector in &segment.selectors {
                let Selector::Filter(inner) = selector else { continue };
                let way = segments.iter().take(above.len() + index).cloned();
                let every = Segment::by(segment.descendant, Selector::Wildcard);
                let from = Start { from_root, segments: way.chain([every]).collect() };
                collect(inner, &from, asked);
            }
        }
        asked.push(Start { from_root, segments });
    }
}
