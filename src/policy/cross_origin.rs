//! What browsers are told that ask for pages of other origins (WHATWG Fetch, section 3.3).

use std::sync::Arc;

use crate::{
    access::{Labels, Reason},
    policy::{decide::Denial, model::Api, set::PolicySet, target::Target, terms::Method},
};

/// What a browser is told that asks, before a page of another origin sends a request, whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The methods that the path has routes for.
    pub methods: Vec<&'static str>,
    /// The headers that requests may have which the page itself sets.
    pub headers: Vec<String>,
    /// What it is about.
    pub labels: Labels,
}

/// What stands for the route of a [`Preflight`].
const PREFLIGHT: &str = "preflight";

/// Request headers that go to every route, or that tamis reads, and that a page has to be allowed to set.
const PAGE_HEADERS: [&str; 6] =
    ["Api-Key", "Data-Purpose", "Content-Type", "If-None-Match", "traceparent", "tracestate"];

/// What pages of another origin may read of a response.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'s> {
    api: &'s Api,
    is_listed: bool,
}

impl Crossing<'_> {
    /// Whether pages of the origin that asks may read it.
    pub fn is_allowed(&self) -> bool {
        self.is_listed
    }

    /// The headers that they may read, besides those that they always may.
    pub fn exposed(&self) -> Vec<String> {
        let own =
            ["Data-Purpose", "Tamis-Policy", "ETag", "Retry-After", "Allow"].map(str::to_owned);
        let listed = self.api.response_headers.iter().map(|header| header.spelled.clone());
        own.into_iter().chain(listed).collect()
    }
}

impl PolicySet {
    /// What pages of an origin may read of a response of a host; none if the api says nothing of other
    /// origins.
    pub fn crossing(&self, host: Option<&str>, origin: Option<&str>) -> Option<Crossing<'_>> {
        // Few sets have one, and every request comes here.
        if !self.policies.apis.iter().any(Api::answers_preflights) {
            return None;
        }
        let api = self.policies.api_for(host)?;
        let cors = api.cors.as_ref()?;
        let is_listed = origin.is_some_and(|origin| cors.origins.iter().any(|one| one == origin));
        Some(Crossing { api, is_listed })
    }

    /// What a browser is told about a path; none if the api says nothing of other origins. It asks for
    /// nothing: no caller and no purpose is needed, and no upstream hears of it.
    pub fn preflight(
        &self,
        host: Option<&str>,
        target: &Target,
        origin: &str,
    ) -> Option<Result<Preflight, Denial>> {
        let Crossing { api, is_listed } = self.crossing(host, Some(origin))?;
        let labels = Labels { api: Arc::clone(&api.name), ..Labels::unknown() };
        if !is_listed {
            return Some(Err(Denial { reason: Reason::OriginNotAllowed, labels }));
        }
        let mut methods = Vec::new();
        for method in Method::ALL {
            let router = api.routers.get(&method);
            if router.is_some_and(|router| router.takes(target)) {
                methods.push(method.word());
                methods.extend((method == Method::Get).then_some("HEAD"));
            }
        }
        if methods.is_empty() {
            return Some(Err(Denial { reason: Reason::RouteUnknown, labels }));
        }
        let headers = PAGE_HEADERS.iter().copied().map(str::to_owned);
        let headers = headers.chain(api.request_headers.iter().cloned()).collect();
        let labels = Labels { route: PREFLIGHT.into(), ..labels };
        Some(Ok(Preflight { methods, headers, labels }))
    }
}
