//! Answers a question about one caller and one request.

use crate::{
    access::Reason,
    path::{Path, Selector},
    policy::{
        conditions::is_condition,
        decide::{self, Ask, Denial, WhyWrong, WrongParameter},
        explain::{
            explanation::{Explanation, Printable, Row},
            lines, place,
            walk::Walk,
            words::{in_words, leaves},
        },
        model::{
            Api, Apis, Caller, CategoryId, Class, Cors, Field, Header, Keeping, Media, OPAQUE,
            Parameter, ParameterRule, Pass, Purpose, PurposeId, Route, Stream, Unclassified,
        },
        needs,
        router::Misread,
        set::{Answer, PolicySet},
        target::Target,
        terms::Method,
    },
    source::{Place, did_you_mean, most_like},
    transform::Action,
};

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a str,
    /// What for; a caller with one purpose need not say it.
    pub purpose: Option<&'a str>,
    /// A route as its policy writes it, `GET /customers/{id}`, or a request, `GET /customers/42`.
    pub request: &'a str,
    /// The host; without it, any API that has the route.
    pub host: Option<&'a str>,
    /// One place of the answer, if only that one matters.
    pub path: Option<&'a Path>,
}

/// Longest name of a parameter, in characters, that is repeated as a whole.
const PARAMETER_CHARS_MAX: usize = 64;

impl PolicySet {
    /// Explains what a caller gets, what not, and which lines decide.
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let mut explanation = Explanation::default();
        let told = self.tell(question, &mut explanation);
        if let Err((reason, why)) = told {
            explanation.reason = Some(reason);
            explanation.opening.push(format!("Denied ({}): {why}", reason.code()));
        }
        explanation
    }

    fn tell(&self, question: &Question<'_>, told: &mut Explanation) -> Result<(), Denied> {
        let caller = self
            .policies
            .caller_named(question.caller)
            .ok_or_else(|| self.caller_unknown(question))?;
        let purpose_id = self
            .purpose_of(caller, question.purpose)
            .map_err(|reason| (reason, self.purpose_denied(caller, question, reason)))?;
        let purpose = self.policies.purpose(purpose_id).ok_or((Reason::Internal, String::new()))?;
        let RouteQuestion { api, route, target } = self.route_asked(question)?;
        self.elsewhere_denied(caller, purpose, api)?;
        if let Some(target) = &target {
            self.misread(api, target)?;
        }
        told.opening.push(format!("{} asks for {} of {}", caller.name, route.label, api.name));
        told.opening.push(self.policies.why(purpose));
        self.category_denied(api, route, purpose)?;
        if route.method.has_body() && route.request_body.is_none() {
            let why =
                format!("the route takes no request body ({})", self.policies.line(&route.at));
            return Err((Reason::RequestBodyNotAllowed, why));
        }
        if let Some(target) = &target {
            self.ask(caller, question, api, target)?;
        }
        // Every request has the parameters of the path.
        let mut in_path = route.parameters.iter().filter(|one| one.in_path);
        let withheld = in_path.find_map(|one| Some((one, one.withheld(Some(purpose))?)));
        if let Some((parameter, category)) = withheld {
            let why = self.withheld(Some(purpose), parameter, category);
            return Err((Reason::ParameterWithheld, why));
        }
        let answer = self.answers(route).get(purpose_id.0).and_then(Answer::plan);
        let plan = answer.ok_or((Reason::Internal, String::new()))?;
        let walk = Walk { policies: &self.policies, route, purpose, plan };
        if let (Some(path), Some(Pass { because, .. })) = (question.path, &route.pass) {
            let fate = format!("passes unread with all else, because: {because}");
            let row = Row::new(path.to_string(), fate, vec![self.policies.line(&route.at)]);
            told.put(true, row.by(OPAQUE, Action::Keep.word()));
            return Ok(());
        }
        if let Some(path) = question.path {
            if !place::tell(walk, api, path, told) {
                self.elsewhere(walk, api, path, told);
            }
            return Ok(());
        }
        lines::tell(walk, told);
        for header in &api.response_headers {
            let (leaves, row) = self.header(purpose, header);
            told.put(leaves, row);
        }
        told.memory = needs::of_route(route, &[purpose]);
        for parameter in &route.parameters {
            told.parameters.push(self.parameter(purpose, parameter));
        }
        if let Some(because) = &route.open {
            let fate = format!(
                "taken undecided where its name has only letters, digits, `_` and `-`, and is not like one that is listed, because: {because}"
            );
            told.parameters.push(Row::new("any other", fate, Vec::new()));
        }
        rest(api, route, purpose_id, told);
        Ok(())
    }

    /// A category that the route can give, in a body or a header, and that the purpose is denied.
    fn category_denied(&self, api: &Api, route: &Route, purpose: &Purpose) -> Result<(), Denied> {
        let policies = &self.policies;
        let denied = |what: &str, category: CategoryId, at: &Place| {
            let rule = purpose.rule(category);
            let rule = rule.map_or(String::new(), |rule| policies.line(&rule.at));
            let why = format!(
                "{what} can give {} ({}), which is denied to this purpose ({rule})",
                policies.category_name(category),
                policies.line(at)
            );
            Err((Reason::CategoryDenied, why))
        };
        let is_denied = |category: &CategoryId| *purpose.action(*category) == Action::Deny;
        for field in &route.fields {
            if let Some(category) = field.categories().find(is_denied) {
                return denied("the route", category, &field.at);
            }
        }
        for Header { spelled, category, at, .. } in &api.response_headers {
            if is_denied(category) {
                return denied(&format!("the header {spelled}"), *category, at);
            }
        }
        Ok(())
    }

    /// Where else something of this name stands, if no line is about a place: in the elements of a list, say.
    fn elsewhere(&self, walk: Walk<'_>, api: &Api, path: &Path, told: &mut Explanation) {
        let names = spelled(path);
        let fields = walk.route.fields.iter().filter(|field| field.path != *path);
        let mut namesakes: Vec<&Field> = Vec::new();
        for field in fields.filter(|field| !names.is_empty() && spelled(&field.path) == names) {
            if namesakes.len() < ELSEWHERE_MAX && namesakes.iter().all(|one| one.path != field.path)
            {
                namesakes.push(field);
            }
        }
        for field in &namesakes {
            let line = self.policies.line(&field.at);
            let found = &field.path;
            if found.segments().len() > path.segments().len() {
                told.rest.push(format!(
                    "No line is about {path}; one is about {found} ({line}), in a list or under other names."
                ));
                let mut other = Explanation::default();
                place::tell(walk, api, found, &mut other);
                told.elsewhere.extend(other.leaves.into_iter().chain(other.withheld));
            } else {
                told.rest.push(format!(
                    "No line is about {path}; one is about {found} ({line}), which finds nothing in a list: where there is one, write {path} in that line."
                ));
            }
        }
        if namesakes.is_empty() {
            let length = path.segments().len();
            let fields =
                walk.route.fields.iter().filter(|field| field.path.segments().len() == length);
            let shown: Vec<String> = fields.map(|field| field.path.to_string()).collect();
            let wanted = path.to_string();
            if let Some(meant) =
                most_like(&wanted, shown.iter().map(String::as_str)).filter(|one| *one != wanted)
            {
                told.rest.push(format!("No line is about {path}; did you mean {meant}?"));
            }
        }
    }

    fn caller_unknown(&self, question: &Question<'_>) -> Denied {
        let mut why = format!("no caller is called `{}`", question.caller);
        let known = self.policies.callers.iter().map(|caller| &*caller.name);
        if let Some(meant) = did_you_mean(question.caller, known) {
            why = format!("{why}; {meant}");
        }
        (Reason::CallerUnknown, why)
    }

    fn purpose_denied(&self, caller: &Caller, question: &Question<'_>, reason: Reason) -> String {
        let names = caller.purposes.iter().filter_map(|id| self.policies.purpose(*id));
        let names = names.map(|purpose| &*purpose.name).collect::<Vec<_>>().join(", ");
        let stated = question.purpose.unwrap_or_default();
        let line = self.policies.line(&caller.at);
        if reason == Reason::PurposeMissing {
            format!(
                "{} may ask for several purposes, and has to say which: {names} ({line})",
                caller.name
            )
        } else if reason == Reason::PurposeUnknown {
            format!("no purpose is called `{stated}`; {} may ask for {names} ({line})", caller.name)
        } else {
            format!("{} may not ask for {stated}, only for {names} ({line})", caller.name)
        }
    }

    /// Whether a caller may ask for a purpose at an API.
    fn elsewhere_denied(
        &self,
        caller: &Caller,
        purpose: &Purpose,
        api: &Api,
    ) -> Result<(), Denied> {
        let names = |apis: &Apis| {
            let listed = self.policies.apis.iter().filter(|one| apis.has(one.id));
            listed.map(|api| &*api.name).collect::<Vec<_>>().join(", ")
        };
        let (reason, who, apis, at) = if !purpose.apis.has(api.id) {
            (Reason::PurposeNotAllowed, &purpose.name, &purpose.apis, &purpose.at)
        } else if !caller.apis.has(api.id) {
            (Reason::ApiNotAllowed, &caller.name, &caller.apis, &caller.at)
        } else {
            return Ok(());
        };
        let line = self.policies.line(at);
        Err((reason, format!("{who} is not for {}, only for {} ({line})", api.name, names(apis))))
    }

    /// The route that is meant, and the request if one was given rather than a route.
    ///
    /// Without a host, the API that takes requests without one is asked first, then all of them.
    fn route_asked(&self, question: &Question<'_>) -> Result<RouteQuestion<'_>, Denied> {
        let host = self.policies.api_for(question.host).into_iter().collect::<Vec<_>>();
        let all = match question.host {
            Some(_) => Vec::new(),
            None => self.policies.apis.iter().collect(),
        };
        for apis in [&host, &all] {
            let mut found = routes_asked(apis, question.request)?;
            if let [_, _, ..] = found.as_slice() {
                let names: Vec<&str> = found.iter().map(|asked| &*asked.api.name).collect();
                let names = names.join(", ");
                let why =
                    format!("several APIs have this route ({names}): say which host is meant");
                return Err((Reason::RouteUnknown, why));
            }
            if let Some(only) = found.pop() {
                return Ok(only);
            }
        }
        let routes = host.iter().chain(&all).flat_map(|api| &api.routes).map(|route| &*route.label);
        // Not quoted: a request can name a person.
        let mut why = "no route takes this request".to_owned();
        if let Some(meant) = did_you_mean(question.request, routes) {
            why = format!("{why}; {meant}");
        }
        Err((Reason::RouteUnknown, why))
    }

    /// Whether an upstream could take the path of a request for that of another route.
    fn misread(&self, api: &Api, target: &Target) -> Result<(), Denied> {
        let misread = decide::find(api, target).and_then(|found| found.misread);
        let why = match misread {
            None => return Ok(()),
            Some(Misread::NoRoute) => {
                "an upstream could read another path, of which no route is".to_owned()
            }
            Some(Misread::Route(other)) => {
                let other = api.routes.get(other).ok_or((Reason::Internal, String::new()))?;
                format!(
                    "an upstream could take the path for one of {} ({})",
                    other.label,
                    self.policies.line(&other.at)
                )
            }
        };
        let why = format!(
            "{why}: some ignore capitals, take another form of the same characters, decode twice or not at all, or leave out what stands at an end, such as a slash, a dot or an extension"
        );
        Err((Reason::PathAmbiguous, why))
    }

    /// Whether the request itself, with its parameters, is permitted.
    fn ask(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        api: &Api,
        target: &Target,
    ) -> Result<(), Denied> {
        let host = question.host.or(api.hosts.first().map(String::as_str));
        let ask = Ask { caller: Some(caller), purpose: question.purpose, host, target };
        match self.decide(&ask) {
            Ok(_) => Ok(()),
            Err(denial) => {
                let title = denial.reason.title().to_owned();
                Err((denial.reason, denial.parameter(self, &ask).unwrap_or(title)))
            }
        }
    }

    /// Which parameter a request is denied for, and why; none if it is not denied for one.
    ///
    /// The parameter is named as the request names it: this is for whoever wrote the request, and neither for
    /// an answer over the network nor for a log. Its value is not repeated.
    pub(crate) fn parameter_denied(&self, ask: &Ask<'_>) -> Option<String> {
        let WrongParameter { route, name, why } = self.wrong_parameter(ask)?;
        let shown = Printable(name).to_string();
        let short: String = shown.chars().take(PARAMETER_CHARS_MAX).collect();
        let name = if short == shown { shown } else { format!("{short}..") };
        let words = match why {
            WhyWrong::Unlisted => {
                let listed = route.parameters.iter().filter(|one| !one.in_path);
                let listed: Vec<&str> = listed.map(|one| one.name.as_str()).collect();
                let instead = match most_like(&name, listed.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if listed.is_empty() => "the route lists none".to_owned(),
                    None => format!("the route lists {}", listed.join(", ")),
                };
                format!("`{name}` is not listed; {instead} ({})", self.policies.line(&route.at))
            }
            WhyWrong::Like(listed) => format!(
                "an upstream could take `{name}` for `{}`, which is listed ({})",
                listed.name,
                self.policies.line(&listed.at)
            ),
            WhyWrong::Characters => format!(
                "`{name}` has other characters than letters, digits, `_` and `-`, and is not listed: nobody can say which parameter an upstream takes it for ({})",
                self.policies.line(&route.at)
            ),
            WhyWrong::Override => {
                format!(
                    "`{name}` is not listed, and names another method to some upstreams ({})",
                    self.policies.line(&route.at)
                )
            }
            WhyWrong::Repeated => format!("`{name}` is repeated, and can stand once"),
            WhyWrong::InPath => format!("`{name}` is a parameter of the path already"),
            WhyWrong::NoValue(Parameter { rule, at, .. }) => {
                let values = match rule {
                    ParameterRule::Values { values, .. } => values.join(", "),
                    ParameterRule::Categories(_) | ParameterRule::Pass { .. } => String::new(),
                };
                format!("`{name}` can only be one of {values} ({})", self.policies.line(at))
            }
            WhyWrong::Withheld(parameter, category) => {
                let purpose = self.purpose_asked(ask).and_then(|id| self.policies.purpose(id));
                self.withheld(purpose, parameter, category)
            }
        };
        Some(words)
    }

    /// Why a parameter takes nothing for a purpose, or without one.
    fn withheld(
        &self,
        purpose: Option<&Purpose>,
        parameter: &Parameter,
        category: CategoryId,
    ) -> String {
        let Parameter { name, at, .. } = parameter;
        let mut lines = vec![self.policies.line(at)];
        let why = if let Some(purpose) = purpose {
            let rule = purpose.rule(category);
            lines.extend(rule.map(|rule| format!("rule {}", self.policies.line(&rule.at))));
            let words = in_words(purpose.action(category));
            format!("{words} for {}: {}", purpose.name, self.policies.reason_for(purpose, category))
        } else {
            let name = self.policies.category_name(category);
            format!("{name}, which is not public, and no purpose is stated")
        };
        format!(
            "`{name}` takes a value only where it leaves as it is; it is {why} ({})",
            lines.join(", ")
        )
    }

    /// What becomes of a response header, and whether anything of it leaves.
    fn header(&self, purpose: &Purpose, header: &Header) -> (bool, Row) {
        let action = purpose.action(header.category);
        let leaves = leaves(action);
        let fate = if leaves { in_words(action) } else { "removed".to_owned() };
        let fate = format!("{fate}: {}", self.policies.reason_for(purpose, header.category));
        let rule = purpose.rule(header.category);
        let rule = rule.map(|rule| format!("rule {}", self.policies.line(&rule.at)));
        let lines = std::iter::once(self.policies.line(&header.at)).chain(rule).collect();
        let row = Row::new(format!("header {}", header.spelled), fate, lines);
        (leaves, row.by(self.policies.category_name(header.category), action.word()))
    }

    fn parameter(&self, purpose: &Purpose, parameter: &Parameter) -> Row {
        let mut lines = vec![self.policies.line(&parameter.at)];
        let withheld = parameter.withheld(Some(purpose));
        let fate = match &parameter.rule {
            ParameterRule::Values { values, because } => {
                format!("one of {}, because: {because}", values.join(", "))
            }
            ParameterRule::Pass { because } => format!("taken undecided, because: {because}"),
            ParameterRule::Categories(categories) => {
                // If one is withheld, the others say nothing more.
                let told = withheld.as_ref().map_or(categories.as_slice(), std::slice::from_ref);
                let rules = told.iter().filter_map(|category| purpose.rule(*category));
                lines.extend(rules.map(|rule| format!("rule {}", self.policies.line(&rule.at))));
                lines.dedup();
                let why = told.iter().map(|category| self.policies.reason_for(purpose, *category));
                let why = why.collect::<Vec<_>>().join("; ");
                if withheld.is_none() {
                    format!("taken: {why}")
                } else {
                    format!("refused, for who may not see a value may not ask by it: {why}")
                }
            }
        };
        let row = Row::new(&parameter.name, fate, lines);
        match withheld.or(parameter.categories().first().copied()) {
            Some(category) => {
                row.by(self.policies.category_name(category), purpose.action(category).word())
            }
            None => row,
        }
    }
}

/// Most other places of the same names that are told of.
const ELSEWHERE_MAX: usize = 3;

/// The names that a path spells on its way, without the elements and unspelled members between them.
fn spelled(path: &Path) -> Vec<Vec<&str>> {
    let segments = path.segments().iter().map(|segment| {
        let names = segment.selectors.iter().filter_map(|selector| match selector {
            Selector::Name(name) => Some(name.as_str()),
            Selector::Wildcard
            | Selector::Index(_)
            | Selector::Slice { .. }
            | Selector::Filter(_) => None,
        });
        names.collect::<Vec<_>>()
    });
    segments.filter(|names| !names.is_empty()).collect()
}

/// Why a request is denied, for machines and in words.
type Denied = (Reason, String);

impl Denial {
    /// Which parameter it is for, in words for whoever wrote the request; none if it is for none.
    pub fn parameter(&self, set: &PolicySet, ask: &Ask<'_>) -> Option<String> {
        let is_for_one =
            matches!(self.reason, Reason::ParameterNotAllowed | Reason::ParameterWithheld);
        is_for_one.then(|| set.parameter_denied(ask)).flatten()
    }
}

/// What a question is about.
struct RouteQuestion<'s> {
    api: &'s Api,
    route: &'s Route,
    /// Set if a request is given rather than a route.
    target: Option<Target>,
}

/// The routes that a text names, or else those that take it as a request.
fn routes_asked<'s>(apis: &[&'s Api], request: &str) -> Result<Vec<RouteQuestion<'s>>, Denied> {
    let named = apis.iter().flat_map(|api| {
        let routes = api.routes.iter().filter(|route| *route.label == *request);
        routes.map(|route| RouteQuestion { api, route, target: None })
    });
    let named: Vec<RouteQuestion<'s>> = named.collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let target = Target::parse(method, target).map_err(|reason| {
        (reason, "the request can be understood in more than one way".to_owned())
    })?;
    let taken = apis.iter().filter_map(|api| {
        let route = decide::find(api, &target)?.route;
        Some(RouteQuestion { api, route, target: Some(target.clone()) })
    });
    Ok(taken.collect())
}

/// What happens to all that no line is about.
fn rest(api: &Api, route: &Route, purpose: PurposeId, told: &mut Explanation) {
    let which = if route.open.is_none() { "not listed, or repeated," } else { "repeated" };
    told.rest.push(format!("A query parameter that is {which} is refused."));
    if route.method != Method::Get {
        let listed = api.request_headers.iter().filter(|name| is_condition(name));
        let listed: Vec<&str> = listed.map(String::as_str).collect();
        let but =
            if listed.is_empty() { String::new() } else { format!(" but {}", listed.join(", ")) };
        told.rest.push(format!("A request with a condition in its headers{but} is refused."));
    }
    if let Some(because) = &route.request_body {
        told.rest.push(format!("The request body goes on as it is, because: {because}"));
    }
    if let Some(Pass { because, anybody }) = &route.pass {
        told.rest.push(format!("Whatever is answered passes unread, because: {because}"));
        if *anybody {
            told.rest.push("It need not be known who asks, nor what for.".to_owned());
        }
        cors(api, told);
        return;
    }
    match &api.unclassified {
        Unclassified::Drop => told.rest.push("Whatever no line describes is removed; so is a member whose name no line spells, unless a `names:` is about it.".to_owned()),
        Unclassified::Keep { because } => {
            let is_mount = |field: &Field| matches!(field.class, Class::Mount { .. });
            let where_not =
                if route.fields.iter().any(is_mount) { ", outside records" } else { "" };
            told.rest.push(format!(
                "Whatever no line describes leaves undecided{where_not}, because: {because}"
            ));
        }
    }
    for field in route.fields.iter().filter(|field| field.embedded) {
        told.rest.push(format!(
            "A text at {} is read as JSON, and what it holds is told above.",
            field.path
        ));
    }
    for Keeping { path, because } in &route.keeping {
        told.rest.push(format!("In {path} it leaves undecided, because: {because}"));
    }
    if let Some(stream) = &route.stream {
        told.rest.push(streamed(stream));
    }
    if let Some(because) = &route.validators {
        told.rest.push(format!(
            "Who asks again is told whether something has changed, be it withheld, because: {because}"
        ));
    }
    cors(api, told);
    for media in &route.media {
        let Media { name, because, .. } = media;
        told.rest.push(if media.is_for(purpose) {
            format!("An answer of type {name} passes as it is, because: {because}")
        } else {
            format!("An answer of type {name} is refused: it passes for other purposes only.")
        });
    }
}

/// Which pages may ask from a browser.
fn cors(api: &Api, told: &mut Explanation) {
    if let Some(Cors { origins, because }) = &api.cors {
        let origins = origins.join(", ");
        told.rest.push(format!("Pages of {origins} may ask from a browser, because: {because}"));
    }
}

/// What leaves of a stream of events besides its documents.
fn streamed(stream: &Stream) -> String {
    let events = match stream.events.as_slice() {
        [] => "none with a name".to_owned(),
        names => format!("those called {}", names.join(", ")),
    };
    let data = match stream.data.as_slice() {
        [] => "no data but JSON".to_owned(),
        texts => format!("data that is no JSON, if it is {}", texts.join(", ")),
    };
    format!("Of a stream of events those without a name leave, and {events}; {data}.")
}
