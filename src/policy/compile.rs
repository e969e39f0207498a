//! The plans of all routes, compiled before the first request comes.

use std::sync::Arc;

use crate::{
    access::Labels,
    path::ProgramError,
    policy::{
        cells::PlanParts,
        model::{
            Api, CategoryId, Field, Header, Policies, Purpose, PurposeId, Route, Unclassified,
        },
        plan::{Plan, RouteFields, Undecided},
        set::{Answer, PolicySet, RoutePlans},
        spelled::Spelled,
    },
    source::Finding,
    transform::{Action, Keys, NoKeys},
};

/// Most states of all plans together, each of some 30 bytes.
const PLAN_STATES_MAX: usize = 10_000_000;

/// Compiles a plan for every route and purpose. There is a set only if all of them are there.
pub(crate) fn compile(
    policies: Policies,
    keys: &dyn Keys,
    findings: &mut Vec<Finding>,
) -> Option<PolicySet> {
    let fields = policies.routes().flat_map(|(_, route)| &route.fields);
    let mut compiler = Compiler {
        policies: &policies,
        keys,
        spelled: Arc::new(Spelled::of(fields)),
        states: 0,
        findings,
    };
    let mut plans = Vec::new();
    let mut is_whole = true;
    for (api, route) in policies.routes() {
        match compiler.route(api, route) {
            Ok(of_route) => plans.push(of_route),
            Err(Failed::Route) => is_whole = false,
            Err(Failed::Set) => return None,
        }
    }
    is_whole.then(|| PolicySet::new(policies, plans))
}

/// What cannot be compiled; a finding says why.
enum Failed {
    /// A route: those behind it may have findings of their own.
    Route,
    /// All that is left.
    Set,
}

struct Compiler<'a> {
    policies: &'a Policies,
    keys: &'a dyn Keys,
    spelled: Arc<Spelled>,
    /// How many states all plans have so far.
    states: usize,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Compiler<'a> {
    fn route(&mut self, api: &'a Api, route: &'a Route) -> Result<RoutePlans, Failed> {
        let keeps_unclassified = api.unclassified != Unclassified::Drop;
        let compiled = RouteFields::compile(&route.fields, keeps_unclassified);
        let fields = compiled.map_err(|error| {
            self.findings.push(too_many_paths(route, &error));
            Failed::Route
        })?;
        self.check_states(route, &fields)?;
        let parts = self.parts(api, route);
        let mut plans = RoutePlans { anybody: None, by_purpose: Vec::new() };
        if route.pass.as_ref().is_some_and(|pass| pass.anybody) {
            // What passes unread has no fields, so none of them tie.
            plans.anybody = fields.plan(&parts).ok().map(Arc::new);
        }
        for (id, purpose) in self.policies.purposes.iter().enumerate() {
            let answer = if !purpose.apis.has(api.id) {
                Some(Answer::Elsewhere)
            } else if is_denied(&route.fields, &api.response_headers, purpose) {
                Some(Answer::Denied)
            } else {
                let parts = PlanParts {
                    purpose: &purpose.name,
                    action: &|category| purpose.action(category),
                    labels: Labels { purpose: purpose.name.clone(), ..parts.labels.clone() },
                    media: route.media.iter().filter(|media| media.is_for(PurposeId(id))).collect(),
                    ..parts.clone()
                };
                match fields.plan(&parts) {
                    Ok(plan) => Some(Answer::Plan(Arc::new(plan))),
                    Err(undecided) => {
                        self.findings.extend(findings_of(undecided, route, purpose));
                        None
                    }
                }
            };
            plans.by_purpose.extend(answer);
        }
        let is_whole = plans.by_purpose.len() == self.policies.purposes.len();
        if is_whole { Ok(plans) } else { Err(Failed::Route) }
    }

    fn check_states(&mut self, route: &Route, fields: &RouteFields<'_>) -> Result<(), Failed> {
        if fields.is_lazy() {
            let message = format!(
                "the paths of `{}` combine to too many states to list them: they are made while a body is read, which takes more time, and some memory",
                route.label
            );
            let help = "spell names where you can: `..` multiplies with every `..` and `*` that comes behind a name";
            self.findings.push(Finding::note("many-paths", route.at.clone(), message).help(help));
        }
        let states = fields.states() * self.policies.purposes.len();
        self.states = self.states.saturating_add(states);
        if self.states > PLAN_STATES_MAX {
            let message = "the routes and purposes are too many together: their plans would not fit in memory";
            self.findings.push(
                Finding::error("too-many-plans", route.at.clone(), message)
                    .help("give routes the fields that they have, and no more"),
            );
            return Err(Failed::Set);
        }
        Ok(())
    }

    /// What a plan needs to know, where no purpose is stated: then nothing is needed but what is public.
    fn parts(&self, api: &'a Api, route: &'a Route) -> PlanParts<'a> {
        PlanParts {
            purpose: Labels::UNKNOWN,
            action: &|category| {
                if category == CategoryId::PUBLIC { &Action::Keep } else { &Action::Drop }
            },
            categories: &self.policies.categories,
            keys: self.keys,
            labels: Labels {
                api: api.name.clone(),
                route: route.label.clone(),
                ..Labels::unknown()
            },
            digest: self.policies.digest.clone(),
            stream: route.stream.clone().unwrap_or_default(),
            spelled: Arc::clone(&self.spelled),
            headers: &api.response_headers,
            passes: route.pass.is_some(),
            media: Vec::new(),
            validates: route.validators.is_some(),
        }
    }
}

/// Why there is no plan for a purpose.
fn findings_of(undecided: Undecided, route: &Route, purpose: &Purpose) -> Vec<Finding> {
    match undecided {
        Undecided::TooMany => {
            let message = format!(
                "the paths of `{}` are too many to say which of them meet, and the rules for `{}` treat what they select in different ways",
                route.label, purpose.name
            );
            let help = "give the categories of this route the same parameters where they have the same action";
            vec![Finding::error("too-many-paths", route.at.clone(), message).help(help)]
        }
        Undecided::Ties(ties) => {
            let of_ties = ties.into_iter().map(|tie| {
                let message = format!(
                    "two lines can meet at one {} of `{}`, and the rules for `{}` treat it in two ways",
                    tie.at_one, route.label, purpose.name
                );
                Finding::error("tie", tie.first, message)
                    .also(&tie.second, "the other line")
                    .help("give both the same category, or their categories the same action with the same parameters")
            });
            of_ties.collect()
        }
    }
}

/// The plans of purposes for a route that had these fields; none if there would be none.
pub(crate) fn plans_with<'s>(
    policies: &'s Policies,
    api: &Api,
    route: &Route,
    fields: &[Field],
    purposes: impl Iterator<Item = usize>,
) -> Option<Vec<(&'s Purpose, Plan)>> {
    let compiled = RouteFields::compile(fields, api.unclassified != Unclassified::Drop).ok()?;
    let plans = purposes.map(|id| {
        let purpose = policies.purposes.get(id)?;
        let parts = PlanParts {
            purpose: &purpose.name,
            action: &|category| purpose.action(category),
            categories: &policies.categories,
            keys: &NoKeys,
            labels: Labels::unknown(),
            digest: policies.digest.clone(),
            stream: route.stream.clone().unwrap_or_default(),
            spelled: Arc::default(),
            headers: &api.response_headers,
            passes: false,
            media: Vec::new(),
            validates: false,
        };
        Some((purpose, compiled.plan(&parts).ok()?))
    });
    plans.collect()
}

fn too_many_paths(route: &Route, error: &ProgramError) -> Finding {
    let message = format!("the paths of `{}` are too many: {error}", route.label);
    let help = match error {
        ProgramError::States | ProgramError::Transitions | ProgramError::Work => {
            "spell names where you can: `..` multiplies with every `*` after it"
        }
        ProgramError::Period => "give the slices at one place steps that fit",
        ProgramError::Filters => {
            "let the filters at one place ask about fewer things: comparisons of one field with `==` are counted once"
        }
        ProgramError::FromEnd => "count from the front where you can",
    };
    Finding::error("too-many-paths", route.at.clone(), message).help(help)
}

/// Whether fields or headers can give a category that the purpose is denied.
fn is_denied(fields: &[Field], headers: &[Header], purpose: &Purpose) -> bool {
    let fields = fields.iter().flat_map(Field::categories);
    let mut categories = fields.chain(headers.iter().map(|header| header.category));
    categories.any(|category| *purpose.action(category) == Action::Deny)
}
