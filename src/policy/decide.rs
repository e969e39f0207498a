//! The decision about one request, before the upstream is asked.

use std::{borrow::Cow, collections::HashMap, fmt, net::Ipv6Addr, sync::Arc};

use memchr::{memchr_iter, memchr2};

use crate::{
    access::{Labels, Reason},
    policy::{
        conditions::{is_condition, overrides_method},
        folded::byte_of,
        model::{
            Answer, Api, Caller, CategoryId, Method, Parameter, ParameterRule, PolicySet,
            PurposeId, Route,
        },
        plan::Plan,
        router::{Misread, Parameters},
    },
};

/// A request line taken apart; the segments of its path are decoded once.
///
/// `Debug` says the method only: paths and parameters carry personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    method: String,
    path: String,
    /// The path without what need not have been encoded decoded; none if there is no such thing.
    undecoded: Option<String>,
    parameters: Vec<(String, String)>,
    has_body: bool,
    /// The headers, in lower case, that make it conditional or name another method.
    conditions: Vec<String>,
}

impl Target {
    /// Takes a request line apart, and refuses what two readers could understand in two ways.
    ///
    /// ```
    /// use tamis::access::Reason;
    /// use tamis::policy::Target;
    ///
    /// let target = Target::parse("GET", "/customers/C%401?page=2").unwrap();
    /// assert_eq!(target.path(), "/customers/C@1");
    /// assert_eq!(target.parameters(), [("page".to_owned(), "2".to_owned())]);
    /// assert_eq!(Target::parse("GET", "/customers/..%2fadmin"), Err(Reason::PathNotCanonical));
    /// ```
    pub fn parse(method: &str, path_and_query: &str) -> Result<Target, Reason> {
        let wrong = Reason::PathNotCanonical;
        let (raw_path, raw_query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let segments = raw_path.strip_prefix('/').ok_or(wrong)?;
        if path_and_query.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            return Err(wrong);
        }
        let mut path = String::with_capacity(raw_path.len());
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            let decoded = decode(segment, Decoded::All).ok_or(wrong)?;
            if !is_canonical(&decoded) || (decoded.is_empty() && segments.peek().is_some()) {
                return Err(wrong);
            }
            path.push('/');
            path.push_str(&decoded);
        }
        // Where nothing is encoded there is nothing to compare.
        let undecoded = if raw_path.contains('%') {
            let undecoded = decode(raw_path, Decoded::Needed).ok_or(wrong)?;
            Some(undecoded.into_owned()).filter(|undecoded| *undecoded != path)
        } else {
            None
        };
        let mut parameters = Vec::new();
        if let Some(query) = raw_query.filter(|query| !query.is_empty()) {
            // Some servers take `;` for `&`, and would see parameters that nobody decided about.
            if query.contains(';') {
                return Err(wrong);
            }
            // An empty sequence between two `&` is no parameter (WHATWG URL, section 5.1).
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                parameters.push((
                    decode(name, Decoded::Query).ok_or(wrong)?.into_owned(),
                    decode(value, Decoded::Query).ok_or(wrong)?.into_owned(),
                ));
            }
        }
        let conditions = Vec::new();
        let method = method.to_owned();
        Ok(Target { method, path, undecoded, parameters, has_body: false, conditions })
    }

    /// The same request with a body, which some methods bring though nothing asks it of them: it is
    /// as little looked into as that of a `POST`.
    #[must_use]
    pub fn with_body(self) -> Self {
        Self { has_body: true, ..self }
    }

    /// The same request with headers of these names, in lower case. Those count that make it conditional, or name another
    /// method: to leave them out would change what is done.
    #[must_use]
    pub fn with_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter(|name| is_condition(name) || overrides_method(name));
        Self { conditions: names.map(str::to_owned).collect(), ..self }
    }

    /// The request that reads what this one changes.
    pub(crate) fn reading(&self) -> Self {
        let method = Method::Get.word().to_owned();
        Self { method, has_body: false, conditions: Vec::new(), ..self.clone() }
    }

    /// The method as it was sent.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, decoded; no segment of it holds a `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path before what need not have been encoded is decoded, if there is such a thing: some compare it so.
    pub(crate) fn undecoded(&self) -> Option<&str> {
        self.undecoded.as_deref()
    }

    /// The parameters of the query, decoded, in their order.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decoded {
    /// Of a path, everything.
    All,
    /// Of a path, what could not stand there as it is (`pchar` of RFC 3986, section 3.3).
    Needed,
    /// Of a query, everything, and `+`.
    Query,
}

/// Resolves `%XX` once; `None` if the result is no UTF-8 text.
fn decode(raw: &str, what: Decoded) -> Option<Cow<'_, str>> {
    if memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Some(Cow::Borrowed(raw));
    }
    let is_pchar = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let byte = byte_of(high, low)?;
                if what == Decoded::Needed && is_pchar(byte) {
                    decoded.extend([b'%', high, low]);
                } else {
                    decoded.push(byte);
                }
            }
            b'+' if what == Decoded::Query => decoded.push(b' '),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Whether a decoded segment means the same to every server.
fn is_canonical(segment: &str) -> bool {
    let decodes_again = memchr_iter(b'%', segment.as_bytes()).any(|at| {
        let after = segment.as_bytes().get(at + 1..at + 3);
        after.is_some_and(|after| after.iter().all(u8::is_ascii_hexdigit))
    });
    let is_wrong = |c: char| c.is_control() || matches!(c, '/' | '\\' | ';');
    !matches!(segment, "." | "..") && !segment.chars().any(is_wrong) && !decodes_again
}

/// Who asks what: everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who asks, once that is established.
    pub caller: Option<&'a str>,
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

impl Denial {
    /// Which parameter it is for, in words for whoever wrote the request; none if it is for none.
    pub fn parameter(&self, set: &PolicySet, ask: &Ask<'_>) -> Option<String> {
        let is_for_one =
            matches!(self.reason, Reason::ParameterNotAllowed | Reason::ParameterWithheld);
        is_for_one.then(|| set.parameter_denied(ask)).flatten()
    }
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
        let caller = match ask.caller {
            Some(name) => Some(self.caller_named(name).ok_or(Reason::CallerUnknown)?),
            None => None,
        };
        // Of somebody who is not known not even the route is told, but where anybody may ask.
        let mut asked = labels.clone();
        let api = self.api_for(ask.host);
        let found = route_for(api, ask.target, &mut asked);
        let anybody = found.as_ref().ok().and_then(|found| found.route.anybody.as_ref());
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
            Some(purpose) => match found.route.answers.get(purpose.0) {
                Some(Answer::Plan(plan)) => Arc::clone(plan),
                Some(Answer::Denied | Answer::Elsewhere) | None => {
                    return Err(Reason::CategoryDenied);
                }
            },
        };
        if (ask.target.has_body || found.route.method.has_body())
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
            (Some(name), _) => self.purpose_named(name).ok_or(Reason::PurposeUnknown)?,
            (None, [only]) => {
                let is_here = api.is_none_or(|api| self.is_for(caller, *only, api.id));
                if is_for_anybody && !is_here {
                    return Ok(None);
                }
                *only
            }
            (None, _) if is_for_anybody => return Ok(None),
            (None, _) => return Err(Reason::PurposeMissing),
        };
        let purpose = self.purpose(id).ok_or(Reason::Internal)?;
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
        let found = self.api_for(ask.host).and_then(|api| find(api, &reading));
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

    /// The API that names the host; only if none does, the one without `host`.
    pub(crate) fn api_for(&self, host: Option<&str>) -> Option<&Api> {
        let named = host.and_then(|host| {
            let mut host = Cow::Borrowed(without_dot(without_port(host)));
            if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                host.to_mut().make_ascii_lowercase();
            }
            self.apis_by_host.get(&*host)
        });
        self.apis.get(*named.or(self.hostless.as_ref())?)
    }

    /// The parameter for which a request is denied, if it is for one.
    pub(crate) fn wrong_parameter<'a>(&'a self, ask: &Ask<'a>) -> Option<WrongParameter<'a>> {
        let api = self.api_for(ask.host);
        let found = route_for(api, ask.target, &mut Labels::unknown()).ok()?;
        let purpose = self.purpose_asked(ask);
        self.check_parameters(&found, purpose, ask.target.parameters()).err()
    }

    /// The purpose for which a request is decided; none if there is none, or the request is denied before.
    pub(crate) fn purpose_asked(&self, ask: &Ask<'_>) -> Option<PurposeId> {
        let mut labels = Labels::unknown();
        let api = self.api_for(ask.host);
        let found = route_for(api, ask.target, &mut labels).ok()?;
        let caller = self.caller_named(ask.caller?)?;
        let is_for_anybody = found.route.anybody.is_some();
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
        let purpose = purpose.and_then(|purpose| self.purpose(purpose));
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
        if !self.apis.iter().any(Api::answers_preflights) {
            return None;
        }
        let api = self.api_for(host)?;
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

/// A request that changes something is passed on with all its conditions, or not at all. One that reads is passed on
/// without: what it gets then is more, and not less.
fn check_conditions(api: &Api, method: Method, target: &Target) -> Result<(), Reason> {
    let goes_on = |name: &String| {
        is_condition(name) && (method == Method::Get || api.request_headers.contains(name))
    };
    if target.conditions.iter().all(goes_on) { Ok(()) } else { Err(Reason::ConditionNotAllowed) }
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

/// Whether a `Host` is one that every server understands in one way (RFC 9110, section 7.2): a name of
/// letters, digits, `-` and `_` with dots between, or an address, and a port at most. Of anything else
/// the upstream could make another host than the one that the policies know.
pub fn check_host(host: &str) -> Result<(), Reason> {
    let (name, port) = split_port(host);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    let is_label = |label: &[u8]| {
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.iter().all(known)
    };
    let is_name = match name.strip_prefix('[') {
        Some(address) => {
            address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        None => without_dot(name).as_bytes().split(|byte| *byte == b'.').all(is_label),
    };
    if is_port && is_name { Ok(()) } else { Err(Reason::HostNotValid) }
}

/// Host and port; a port that is not there is empty.
fn split_port(host: &str) -> (&str, &str) {
    let is_address = host.starts_with('[');
    let at = if is_address {
        host.bytes().rposition(|byte| byte == b']').map(|end| end + 1)
    } else {
        host.bytes().position(|byte| byte == b':')
    };
    match at.and_then(|at| host.split_at_checked(at)) {
        Some((name, rest)) => match rest.strip_prefix(':') {
            Some(port) => (name, port),
            None if rest.is_empty() => (name, ""),
            None => (host, ""),
        },
        None => (host, ""),
    }
}

fn without_port(host: &str) -> &str {
    split_port(host).0
}

/// `crm.internal.` is `crm.internal`, said in full.
pub(crate) fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}
