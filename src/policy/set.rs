//! A set of policies that decides: what was checked, with a plan for all that can be asked.

use std::{fmt, sync::Arc};

use crate::{
    access::Labels,
    policy::{
        model::{Api, Caller, Digest, Policies, Purpose, Route},
        plan::Plan,
    },
};

/// A checked set of policies: who may ask for what, and which plan answers.
///
/// Comes only from [`load`](crate::policy::load), and only if nothing in the sources is wrong.
pub struct PolicySet {
    pub(super) policies: Policies,
    /// By the numbers of the routes.
    plans: Vec<RoutePlans>,
}

/// What requests on one route get.
pub(super) struct RoutePlans {
    /// What a request without caller or purpose gets, if they need not be known.
    pub(super) anybody: Option<Arc<Plan>>,
    /// For each purpose, what a request for it gets.
    pub(super) by_purpose: Vec<Answer>,
}

/// What a request on one route for one purpose gets.
pub(super) enum Answer {
    /// The upstream is asked, and its answer goes through this plan.
    Plan(Arc<Plan>),
    /// The route can give a category that the purpose is denied.
    Denied,
    /// The purpose is not for the API of the route.
    Elsewhere,
}

impl Answer {
    /// The plan, unless the answer is no.
    pub(super) fn plan(&self) -> Option<&Arc<Plan>> {
        match self {
            Self::Plan(plan) => Some(plan),
            Self::Denied | Self::Elsewhere => None,
        }
    }
}

impl PolicySet {
    /// These policies, with the plans of each of their routes, in order.
    pub(super) fn new(policies: Policies, plans: Vec<RoutePlans>) -> Self {
        Self { policies, plans }
    }

    /// What a request on this route gets that states no purpose, where none need be known.
    pub(super) fn plan_of_anybody(&self, route: &Route) -> Option<&Arc<Plan>> {
        self.plans.get(route.id.0)?.anybody.as_ref()
    }

    /// For each purpose, in order, what a request on this route gets.
    pub(super) fn answers(&self, route: &Route) -> &[Answer] {
        self.plans.get(route.id.0).map(|plans| plans.by_purpose.as_slice()).unwrap_or_default()
    }

    /// What identifies this set: a hash of its policy files.
    pub fn digest(&self) -> &Digest {
        &self.policies.digest
    }

    /// The declared callers, in the order of the files.
    pub fn callers(&self) -> &[Caller] {
        &self.policies.callers
    }

    /// The caller of this name.
    pub fn caller(&self, name: &str) -> Option<&Caller> {
        self.policies.caller_named(name)
    }

    /// The declared purposes, in the order of the files.
    pub fn purposes(&self) -> &[Purpose] {
        &self.policies.purposes
    }

    /// The declared APIs, in the order of the files.
    pub fn apis(&self) -> &[Api] {
        &self.policies.apis
    }

    /// The API of this name.
    pub fn api(&self, name: &str) -> Option<&Api> {
        self.policies.apis.iter().find(|api| *api.name == *name)
    }

    /// Every plan that a request can get, and for whom: of each caller, each purpose that it may ask for,
    /// and each route of their APIs that the purpose is not denied.
    pub fn plans(&self) -> impl Iterator<Item = (Labels, &Arc<Plan>)> {
        self.policies.callers.iter().flat_map(move |caller| {
            let apis =
                self.policies.apis.iter().flat_map(move |api| {
                    caller.purposes.iter().map(move |purpose| (api, *purpose))
                });
            let apis = apis.filter(|(api, purpose)| self.policies.is_for(caller, *purpose, api.id));
            let routes = apis
                .flat_map(|(api, purpose)| api.routes.iter().map(move |route| (route, purpose)));
            routes.filter_map(|(route, purpose)| {
                let plan = self.answers(route).get(purpose.0)?.plan()?;
                Some((Labels { caller: caller.name.clone(), ..plan.labels.clone() }, plan))
            })
        })
    }

    /// The APIs that a caller may use, in the order of the files.
    pub fn apis_of(&self, caller: &Caller) -> impl Iterator<Item = &Api> {
        self.policies.apis.iter().filter(|api| caller.apis.has(api.id))
    }

    /// The purposes that a caller may ask for.
    pub fn purposes_of(&self, caller: &Caller) -> impl Iterator<Item = &Purpose> {
        caller.purposes.iter().filter_map(|purpose| self.policies.purpose(*purpose))
    }

    /// The plans of the routes where it need not be known who asks, for whoever asks without a purpose:
    /// nobody who is known, and the callers that have several, or whose only one is not for the API.
    pub fn plans_of_anybody(&self) -> impl Iterator<Item = (Labels, &Arc<Plan>)> {
        let routes = self.policies.routes();
        let plans = routes.filter_map(|(api, route)| Some((api, self.plan_of_anybody(route)?)));
        plans.flat_map(|(api, plan)| {
            let callers =
                self.policies.callers.iter().filter(|caller| match caller.purposes.as_slice() {
                    [only] => !self.policies.is_for(caller, *only, api.id),
                    _ => true,
                });
            let known =
                callers.map(|caller| Labels { caller: caller.name.clone(), ..plan.labels.clone() });
            known.chain([plan.labels.clone()]).map(move |labels| (labels, plan))
        })
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet").field("digest", &self.policies.digest).finish_non_exhaustive()
    }
}
