//! The decision about one request, before the upstream is asked.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    access::{Labels, Reason},
    policy::{
        conditions::is_condition,
        host::check_host,
        model::{Api, Caller, CategoryId, Parameter, ParameterRule, PurposeId, Route},
        plan::Plan,
        router::{Misread, Parameters},
        set::{Answer, PolicySet},
        target::Target,
        terms::Method,
    },
};

/// Who asks what: everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The caller, one of the set that decides; none if it is not known.
    pub caller: Option<&'a Caller>,
    /// The purpose that is stated, if one is.
    pub purpose: Option<&'a str>,
    /// The host that the request is for.
    pub host: Option<&'a str>,
    /// What is asked for.
    pub target: &'a Target,
}

/// The upstream may be asked, and its answer goes through this plan.
#[derive(Clone)]
pub struct Permit {
    /// What happens to the answer.
    pub plan: Arc<Plan>,
    /// Who asks for what.
    pub labels: Labels,
    /// Whether the answer may be packed, as the client likes it.
    pub compresses: bool,
    /// Whether the answer passes unread, whatever it is.
    pub passes: bool,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// The upstream may not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// What is known of who asks for what; the rest is `unknown`.
    pub labels: Labels,
}

impl PolicySet {
    /// Decides about a request. The first reason that applies is given, in the order in which they
    /// stand in [`Reason`].
    pub fn decide(&self, ask: &Ask<'_>) -> Result<Permit, Denial> {
        let mut labels = Labels::unknown();
        match self.permit(ask, &mut labels) {
            Ok((plan, route)) => Ok(Permit {
                plan,
                labels,
                compresses: route.compresses,
                passes: route.pass.is_some(),
            }),
            Err(reason) => Err(Denial { reason, labels }),
        }
    }

    fn permit<'a>(
        &'a self,
        ask: &Ask<'a>,
        labels: &mut Labels,
    ) -> Result<(Arc<Plan>, &'a Route), Reason> {
        ask.host.map_or(Ok(()), check_host)?;
        let caller = ask.caller;
        // Of somebody who is not known not even the route is told, but where anybody may ask.
        let mut asked = labels.clone();
        let api = self.policies.api_for(ask.host);
        let found = route_for(api, ask.target, &mut asked);
        let anybody = found.as_ref().ok().and_then(|found| self.plan_of_anybody(found.route));
        let purpose = match (caller, anybody) {
            (None, None) => return Err(Reason::CallerUnknown),
            (None, Some(_)) => None,
            (Some(caller), _) => {
                labels.caller = caller.name.clone();
                self.purpose_for(caller, ask.purpose, api, anybody.is_some(), labels)?
            }
        };
        *labels = Labels { api: asked.api, route: asked.route, ..labels.clone() };
        let found = found?;
        let plan = match purpose {
            None => anybody.cloned().ok_or(Reason::Internal)?,
            Some(purpose) => match self.answers(found.route).get(purpose.0) {
                Some(Answer::Plan(plan)) => Arc::clone(plan),
                Some(Answer::Denied | Answer::Elsewhere) | None => {
                    return Err(Reason::CategoryDenied);
                }
            },
        };
        if (ask.target.has_body() || found.route.method.has_body())
            && found.route.request_body.is_none()
        {
            return Err(Reason::RequestBodyNotAllowed);
        }
        check_conditions(api.ok_or(Reason::Internal)?, found.route.method, ask.target)?;
        self.check_parameters(&found, purpose, ask.target.parameters())
            .map_err(|wrong| wrong.reason())?;
        Ok((plan, found.route))
    }

    /// The purpose for which a caller is answered. One with one purpose need not say it. On a route for
    /// `anybody` there may be none: where none is said, and where the API is not one of the caller's.
    fn purpose_for(
        &self,
        caller: &Caller,
        stated: Option<&str>,
        api: Option<&Api>,
        is_for_anybody: bool,
        labels: &mut Labels,
    ) -> Result<Option<PurposeId>, Reason> {
        let id = match (stated, caller.purposes.as_slice()) {
            (Some(name), _) => self.policies.purpose_named(name).ok_or(Reason::PurposeUnknown)?,
            (None, [only]) => {
                let is_here = api.is_none_or(|api| self.policies.is_for(caller, *only, api.id));
                if is_for_anybody && !is_here {
                    return Ok(None);
                }
                *only
            }
            (None, _) if is_for_anybody => return Ok(None),
            (None, _) => return Err(Reason::PurposeMissing),
        };
        let purpose = self.policies.purpose(id).ok_or(Reason::Internal)?;
        labels.purpose = purpose.name.clone();
        if !caller.purposes.contains(&id) || api.is_some_and(|api| !purpose.apis.has(api.id)) {
            return Err(Reason::PurposeNotAllowed);
        }
        match api.filter(|api| !caller.apis.has(api.id)) {
            None => Ok(Some(id)),
            Some(_) if is_for_anybody => {
                labels.purpose = Labels::unknown().purpose;
                Ok(None)
            }
            Some(api) => {
                labels.api = api.name.clone();
                Err(Reason::ApiNotAllowed)
            }
        }
    }

    /// Whether validators are given out on the route that reads what a request is about.
    pub(crate) fn gives_validators(&self, ask: &Ask<'_>) -> bool {
        let reading = ask.target.reading();
        let found = self.policies.api_for(ask.host).and_then(|api| find(api, &reading));
        found.is_some_and(|found| found.route.validators.is_some())
    }

    /// The purpose that a caller states, or its only one, whatever the API.
    pub(crate) fn purpose_of(
        &self,
        caller: &Caller,
        stated: Option<&str>,
    ) -> Result<PurposeId, Reason> {
        let purpose = self.purpose_for(caller, stated, None, false, &mut Labels::unknown())?;
        purpose.ok_or(Reason::Internal)
    }

    /// The parameter for which a request is denied, if it is for one.
    pub(crate) fn wrong_parameter<'a>(&'a self, ask: &Ask<'a>) -> Option<WrongParameter<'a>> {
        let api = self.policies.api_for(ask.host);
        let found = route_for(api, ask.target, &mut Labels::unknown()).ok()?;
        let purpose = self.purpose_asked(ask);
        self.check_parameters(&found, purpose, ask.target.parameters()).err()
    }

    /// The purpose for which a request is decided; none if there is none, or the request is denied before.
    pub(crate) fn purpose_asked(&self, ask: &Ask<'_>) -> Option<PurposeId> {
        let mut labels = Labels::unknown();
        let api = self.policies.api_for(ask.host);
        let found = route_for(api, ask.target, &mut labels).ok()?;
        let caller = ask.caller?;
        let is_for_anybody = self.plan_of_anybody(found.route).is_some();
        self.purpose_for(caller, ask.purpose, api, is_for_anybody, &mut labels).ok().flatten()
    }

    /// What is not allowed comes before what is withheld.
    fn check_parameters<'a>(
        &self,
        found: &Found<'a, 'a>,
        purpose: Option<PurposeId>,
        query: &'a [(String, String)],
    ) -> Result<(), WrongParameter<'a>> {
        let route = found.route;
        let mut given: HashMap<&str, &str> = HashMap::with_capacity(query.len());
        let purpose = purpose.and_then(|purpose| self.policies.purpose(purpose));
        let mut withheld = None;
        let mut check = |parameter: &'a Parameter, value: &str| {
            let wrong = |why| WrongParameter { route, name: &parameter.name, why };
            match &parameter.rule {
                ParameterRule::Categories(_) => {
                    if let Some(category) = parameter.withheld(purpose) {
                        let why = WhyWrong::Withheld(parameter, category);
                        withheld = withheld.or(Some(wrong(why)));
                    }
                }
                ParameterRule::Values { values, .. } => {
                    if !values.iter().any(|allowed| allowed == value) {
                        return Err(wrong(WhyWrong::NoValue(parameter)));
                    }
                }
                ParameterRule::Pass { .. } => {}
            }
            Ok(())
        };
        for &(name, value) in &found.parameters {
            let parameter = route.parameters.iter().find(|one| one.in_path && one.name == name);
            let Some(parameter) = parameter else {
                return Err(WrongParameter { route, name: "", why: WhyWrong::Unlisted });
            };
            check(parameter, value)?;
        }
        for (name, value) in query {
            let wrong = |why| WrongParameter { route, name, why };
            if given.insert(name, value).is_some() {
                return Err(wrong(WhyWrong::Repeated));
            }
            if found.parameters.iter().any(|(parameter, _)| parameter == name) {
                return Err(wrong(WhyWrong::InPath));
            }
            match route.parameters.iter().find(|one| !one.in_path && one.name == *name) {
                Some(parameter) => check(parameter, value)?,
                None if route.open.is_none() => return Err(wrong(WhyWrong::Unlisted)),
                None => {
                    if let Some(why) = closed_to(name, route) {
                        return Err(wrong(why));
                    }
                }
            }
        }
        withheld.map_or(Ok(()), Err)
    }
}

/// The route of an api, if the request is for one, that fits what is asked for.
fn route_for<'s, 't>(
    api: Option<&'s Api>,
    target: &'t Target,
    labels: &mut Labels,
) -> Result<Found<'s, 't>, Reason> {
    let api = api.ok_or(Reason::RouteUnknown)?;
    labels.api = api.name.clone();
    let found = find(api, target).ok_or(Reason::RouteUnknown)?;
    labels.route = found.route.label.clone();
    if found.misread.is_some() { Err(Reason::PathAmbiguous) } else { Ok(found) }
}

/// A parameter for which a request is denied. Its name is that of the request: it is for who sent that, and
/// for nobody's log.
#[derive(Clone, Copy)]
pub(crate) struct WrongParameter<'a> {
    pub(crate) route: &'a Route,
    /// Decoded; empty if the route itself forgot it.
    pub(crate) name: &'a str,
    pub(crate) why: WhyWrong<'a>,
}

/// What is wrong with a parameter.
#[derive(Clone, Copy)]
pub(crate) enum WhyWrong<'a> {
    /// The route does not list it.
    Unlisted,
    /// An upstream could take it for this one, which is listed.
    Like(&'a Parameter),
    /// It is not listed, and has characters that upstreams read in several ways.
    Characters,
    /// It is not listed, and names another method to some upstreams.
    Override,
    /// It stands twice.
    Repeated,
    /// The path has it already.
    InPath,
    /// It has none of the values that it can have.
    NoValue(&'a Parameter),
    /// The purpose does not keep this category of it.
    Withheld(&'a Parameter, CategoryId),
}

impl WrongParameter<'_> {
    fn reason(&self) -> Reason {
        match self.why {
            WhyWrong::Withheld(..) => Reason::ParameterWithheld,
            WhyWrong::Unlisted
            | WhyWrong::Like(_)
            | WhyWrong::Characters
            | WhyWrong::Override
            | WhyWrong::Repeated
            | WhyWrong::InPath
            | WhyWrong::NoValue(_) => Reason::ParameterNotAllowed,
        }
    }
}

/// A request that changes something is passed on with all its conditions, or not at all. One that reads is passed on
/// without: what it gets then is more, and not less.
fn check_conditions(api: &Api, method: Method, target: &Target) -> Result<(), Reason> {
    let goes_on = |name: &String| {
        is_condition(name) && (method == Method::Get || api.request_headers.contains(name))
    };
    if target.conditions().iter().all(goes_on) { Ok(()) } else { Err(Reason::ConditionNotAllowed) }
}

/// Whether a name in the query, in lower case, is one by which some upstreams take a request for one of another method.
fn names_method(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match letters.as_str() {
        "method" | "httpmethod" => name.starts_with('_'),
        "xhttpmethod"
        | "xhttpmethodoverride"
        | "xmethodoverride"
        | "httpmethodoverride"
        | "methodoverride"
        | "xtunneledmethod"
        | "sfmethod" => true,
        _ => false,
    }
}

/// Why a route that passes what it does not list does not pass a parameter of this name.
///
/// Upstreams fold case, cut names at brackets or NUL, make `_` of dots and spaces, and read what is behind the name of a
/// field as an operator: `birth.date`, `birthDate` and `birth_date__gte` can all be about `birth_date`.
fn closed_to<'a>(name: &str, route: &'a Route) -> Option<WhyWrong<'a>> {
    let is_joint = |byte: u8| matches!(byte, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_joint(byte)) {
        return Some(WhyWrong::Characters);
    }
    let folded = name.to_ascii_lowercase();
    if names_method(&folded) {
        return Some(WhyWrong::Override);
    }
    let mut letters = String::with_capacity(name.len());
    for part in folded.split(['_', '-']) {
        letters.push_str(part);
        let like = route.parameters.iter().find(|one| !one.is_public() && one.letters == letters);
        if let Some(like) = like.filter(|_| !letters.is_empty()) {
            return Some(WhyWrong::Like(like));
        }
    }
    None
}

/// A route, and what its path parameters are.
pub(crate) struct Found<'s, 't> {
    pub(crate) route: &'s Route,
    pub(crate) parameters: Parameters<'s, 't>,
    /// Set if an upstream could take the path for that of another route.
    pub(crate) misread: Option<Misread>,
}

/// The route of an API for a request; HEAD uses the one of GET.
pub(crate) fn find<'s, 't>(api: &'s Api, target: &'t Target) -> Option<Found<'s, 't>> {
    let method = match target.method() {
        "HEAD" => Method::Get,
        word => Method::from_word(word)?,
    };
    let found = api.routers.get(&method)?.at(target)?;
    let route = api.routes.get(found.route)?;
    Some(Found { route, parameters: found.parameters, misread: found.misread })
}
