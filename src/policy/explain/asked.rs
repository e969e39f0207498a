//! What filters ask about: who sees the node that a filter let through, or let stay, learns the answer, and
//! so has to see what was asked about.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    path::{Answered, Filter, FilterId, Kind, Path, Program, Row, Segment, Selector, State},
    policy::{
        explain::{
            place,
            walk::{Fate, Scope, Shape, Walk},
            words::in_words,
        },
        finding::Finding,
        model::{Answer, Class, Field, PolicySet},
        plan::{Own, Strings},
    },
};

/// Most steps from one node to another that are looked at for one purpose.
const STEPS_MAX: usize = 1 << 24;
/// The same where each state has to be made.
const LAZY_STEPS_MAX: usize = 1 << 17;

/// Filters that ask about what a purpose does not see as it is.
pub(in crate::policy) fn check(set: &PolicySet, findings: &mut Vec<Finding>) {
    for route in set.apis.iter().flat_map(|api| &api.routes) {
        if !route.fields.iter().any(|field| field.path.has_filter()) {
            continue;
        }
        for (purpose, answer) in set.purposes.iter().zip(&route.answers) {
            if let Some(plan) = Answer::plan(answer) {
                let (plan, _root) = &Arc::clone(plan).afresh(plan.program().start());
                let walk = Walk { set, route, purpose, plan };
                let mut asked =
                    Asked { walk, told: HashSet::new(), been: HashSet::new(), findings };
                asked.run();
            }
        }
    }
}

/// What a node has matched, and what it stands in.
type Node = (State, Scope);

/// What of a node decides what is seen of it: nodes with the same are told apart by nothing but their lines.
type Alike = (Option<Row>, Own, Option<bool>, Shape);

struct Asked<'w, 'f> {
    walk: Walk<'w>,
    told: HashSet<(FilterId, bool, Path)>,
    /// Where filters have been asked, and of which document.
    been: HashSet<(FilterId, Alike, Alike)>,
    findings: &'f mut Vec<Finding>,
}

impl Asked<'_, '_> {
    /// Goes to every node that a filter can be asked of, in the body and in documents in strings.
    fn run(&mut self) {
        let program = self.walk.plan.program().clone();
        let start = (program.start(), self.walk.outside());
        let mut seen = HashSet::from([(start.0, self.walk.shape(start.1), self.alike(start))]);
        let mut gone_on = HashSet::new();
        let mut asking = HashMap::new();
        let steps_max = if program.is_lazy() { LAZY_STEPS_MAX } else { STEPS_MAX };
        let mut steps = 0usize;
        let mut next = vec![(start, start)];
        while let Some(((state, under), root)) = next.pop() {
            let Some(row) = program.row(state) else { return self.give_up() };
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
                steps = steps.saturating_add(children.len());
                if steps > steps_max {
                    return self.give_up();
                }
                for child in children {
                    let unspelled = kind == Kind::Object && child == program.unspelled(state);
                    for (answers, settled) in program.outcomes(child) {
                        if settled == State::LOST {
                            return self.give_up();
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
    }

    /// What filters tell is not known, so that the policies cannot load.
    fn give_up(&mut self) {
        let route = self.walk.route;
        let message = format!(
            "the filters of `{}` stand among too many other paths to say what each purpose sees of them",
            route.label
        );
        self.findings
            .push(Finding::error("too-many-paths", route.at.clone(), message).help(
                "spell names where you can: `..` multiplies with every filter that it meets",
            ));
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
            let told = (id, from_root, path);
            if self.told.contains(&told) {
                continue;
            }
            let (state, under) = if from_root { root } else { node };
            if let Err(fate) = place::sees(self.walk, &told.2, under, state) {
                self.tell(filter, from_root, &told.2, fate);
                self.told.insert(told);
            }
        }
    }

    fn tell(&mut self, filter: &Filter, from_root: bool, path: &Path, fate: Fate) {
        let walk = self.walk;
        let has_filter = |field: &&Field| {
            let selectors = field.path.segments().iter().flat_map(|segment| &segment.selectors);
            selectors.into_iter().any(|one| matches!(one, Selector::Filter(one) if one == filter))
        };
        let Some(field) = walk.route.fields.iter().find(has_filter) else { return };
        let mut path = path.to_string();
        if !from_root {
            path = path.replacen('$', "@", 1);
        }
        let decides = match fate {
            Fate::Own(line)
            | Fate::Element(line)
            | Fate::With(line)
            | Fate::Gone(line)
            | Fate::NameRemoved(line) => walk.field(line),
            Fate::Unclassified(_) | Fate::NameUnspelled => None,
        };
        let why = match decides.map(|field| field.class) {
            Some(Class::Category(category)) => {
                let action = decides.map(|field| field.action(walk.purpose.action(category)));
                let words = action.map(in_words).unwrap_or_default();
                format!("gets {} only {words}", walk.set.category_name(category))
            }
            Some(Class::Mount { .. }) | None => "does not get that".to_owned(),
        };
        let message = format!(
            "the filter `{filter}` asks about `{path}`, and the purpose `{}` {why}: what leaves would tell the answer",
            walk.purpose.name
        );
        let mut finding = Finding::error("filter-tells", field.at.clone(), message);
        if let Some(decides) = decides {
            finding = finding.also(&decides.at, "this line is about it");
        }
        self.findings.push(finding.help(
            "let filters ask about what each purpose keeps; if it is not personal, classify it as `public`",
        ));
    }
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
                let every =
                    Segment { descendant: segment.descendant, selectors: vec![Selector::Wildcard] };
                let from = Start { from_root, segments: way.chain([every]).collect() };
                collect(inner, &from, asked);
            }
        }
        asked.push(Start { from_root, segments });
    }
}
