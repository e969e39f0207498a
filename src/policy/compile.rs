//! The plans of all routes, compiled before the first request comes.

use std::sync::Arc;

use crate::{
    access::Labels,
    path::ProgramError,
    policy::{
        finding::Finding,
        model::{
            Answer, Api, CategoryId, Field, Header, PolicySet, Purpose, PurposeId, Route,
            Unclassified,
        },
        plan::{Plan, PlanParts, RouteFields, Undecided},
        spelled::Spelled,
    },
    transform::{Action, Keys, NoKeys},
};

/// Most states of all plans together, each of some 30 bytes.
const PLAN_STATES_MAX: usize = 10_000_000;

/// Compiles a plan for every route and purpose of a set without errors.
pub(crate) fn compile(set: &mut PolicySet, keys: &dyn Keys, findings: &mut Vec<Finding>) {
    let PolicySet { apis, purposes, categories, digest, .. } = set;
    let fields = apis.iter().flat_map(|api| &api.routes).flat_map(|route| &route.fields);
    let spelled = Arc::new(Spelled::of(fields));
    let mut plan_states = 0usize;
    for api in apis {
        let keeps_unclassified = api.unclassified != Unclassified::Drop;
        for route in &mut api.routes {
            let fields = match RouteFields::compile(&route.fields, keeps_unclassified) {
                Ok(fields) => fields,
                Err(error) => {
                    findings.push(too_many_paths(route, &error));
                    continue;
                }
            };
            if fields.is_lazy() {
                let message = format!(
                    "the paths of `{}` combine to too many states to list them: they are made while a body is read, which takes more time, and some memory",
                    route.label
                );
                let help = "spell names where you can: `..` multiplies with every `..` and `*` that comes behind a name";
                findings.push(Finding::note("many-paths", route.at.clone(), message).help(help));
            }
            plan_states = plan_states.saturating_add(fields.states() * purposes.len());
            if plan_states > PLAN_STATES_MAX {
                let message = "the routes and purposes are too many together: their plans would not fit in memory";
                findings.push(
                    Finding::error("too-many-plans", route.at.clone(), message)
                        .help("give routes the fields that they have, and no more"),
                );
                return;
            }
            let labels =
                Labels { api: api.name.clone(), route: route.label.clone(), ..Labels::unknown() };
            // Without a purpose nothing is needed but what is public.
            let parts = PlanParts {
                purpose: Labels::UNKNOWN,
                action: &|category| {
                    if category == CategoryId::PUBLIC { &Action::Keep } else { &Action::Drop }
                },
                categories,
                keys,
                labels: labels.clone(),
                digest: digest.clone(),
                stream: route.stream.clone().unwrap_or_default(),
                spelled: Arc::clone(&spelled),
                headers: &api.response_headers,
                passes: route.pass.is_some(),
                media: Vec::new(),
                validates: route.validators.is_some(),
            };
            if route.pass.as_ref().is_some_and(|pass| pass.anybody) {
                // What passes unread has no fields, so none of them tie.
                route.anybody = fields.plan(&parts).ok().map(Arc::new);
            }
            for (id, purpose) in purposes.iter().enumerate() {
                if !purpose.apis.has(api.id) {
                    route.answers.push(Answer::Elsewhere);
                    continue;
                }
                if is_denied(&route.fields, &api.response_headers, purpose) {
                    route.answers.push(Answer::Denied);
                    continue;
                }
                let parts = PlanParts {
                    purpose: &purpose.name,
                    action: &|category| purpose.action(category),
                    labels: Labels { purpose: purpose.name.clone(), ..labels.clone() },
                    media: route.media.iter().filter(|media| media.is_for(PurposeId(id))).collect(),
                    ..parts.clone()
                };
                match fields.plan(&parts) {
                    Ok(plan) => route.answers.push(Answer::Plan(Arc::new(plan))),
                    Err(Undecided::TooMany) => {
                        let message = format!(
                            "the paths of `{}` are too many to say which of them meet, and the rules for `{}` treat what they select in different ways",
                            route.label, purpose.name
                        );
                        let help = "give the categories of this route the same parameters where they have the same action";
                        findings.push(
                            Finding::error("too-many-paths", route.at.clone(), message).help(help),
                        );
                    }
                    Err(Undecided::Ties(ties)) => findings.extend(ties.into_iter().map(|tie| {
                        let message = format!(
                            "two lines can meet at one {} of `{}`, and the rules for `{}` treat it in two ways",
                            tie.at_one, route.label, purpose.name
                        );
                        Finding::error("tie", tie.first, message)
                            .also(&tie.second, "the other line")
                            .help("give both the same category, or their categories the same action with the same parameters")
                    })),
                }
            }
        }
    }
}

/// The plans of purposes for a route that had these fields; none if there would be none.
pub(crate) fn plans_with<'s>(
    set: &'s PolicySet,
    api: &Api,
    route: &Route,
    fields: &[Field],
    purposes: impl Iterator<Item = usize>,
) -> Option<Vec<(&'s Purpose, Plan)>> {
    let compiled = RouteFields::compile(fields, api.unclassified != Unclassified::Drop).ok()?;
    let plans = purposes.map(|id| {
        let purpose = set.purposes.get(id)?;
        let parts = PlanParts {
            purpose: &purpose.name,
            action: &|category| purpose.action(category),
            categories: &set.categories,
            keys: &NoKeys,
            labels: Labels::unknown(),
            digest: set.digest.clone(),
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
