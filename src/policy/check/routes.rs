//! APIs and their routes: which one takes a request, with which parameters.

use std::{collections::HashMap, sync::Arc};

use crate::{
    path::Path,
    policy::{
        check::{
            checker::Checker,
            expansion::{Expansion, ROUTE_FIELDS_MAX, ROUTE_SELECTORS_MAX},
        },
        folded, lint,
        model::{
            Api, ApiId, CategoryId, Field, Header, Media, Parameter, ParameterRule, Route, RouteId,
        },
        read::{WrittenApi, WrittenHeader, WrittenMedia, WrittenParameter, WrittenRoute},
        reader::At,
        router::{folded_pattern, is_fixed},
        terms::Method,
    },
    source::{Finding, Place},
};

/// Most fields that all routes together can have once their records are expanded.
const SET_FIELDS_MAX: usize = 500_000;

impl Checker<'_> {
    pub(super) fn apis(&mut self, written: Vec<WrittenApi>, endless: &[bool]) {
        let mut places: HashMap<String, Place> = HashMap::new();
        let mut host_places: HashMap<String, Place> = HashMap::new();
        for api in written {
            if !self.is_new("the API", &api.name, places.get(&api.name.value).cloned()) {
                continue;
            }
            places.insert(api.name.value.clone(), api.name.at.clone());
            let index = self.apis.len();
            self.hosts(&api, index, &mut host_places);
            let mut checked = Api {
                id: ApiId(index),
                name: api.name.value.into(),
                hosts: api.hosts.into_iter().map(|host| host.value).collect(),
                routes: Vec::new(),
                request_headers: api.request_headers,
                response_headers: self.response_headers(api.response_headers),
                cors: api.cors,
                unclassified: api.unclassified,
                at: api.name.at,
                routers: HashMap::default(),
            };
            let mut shapes: HashMap<(Method, String), Shaped> = HashMap::new();
            for route in api.routes {
                self.route(route, &mut checked, &mut shapes, endless);
            }
            self.apis.push(checked);
        }
    }

    fn hosts(&mut self, api: &WrittenApi, index: usize, places: &mut HashMap<String, Place>) {
        if !api.names_host {
            match self.hostless.and_then(|first| self.apis.get(first)) {
                None => self.hostless = Some(index),
                Some(first) => {
                    let message = format!(
                        "`{}` and `{}` both have no `host`: a request could belong to either",
                        first.name, api.name.value
                    );
                    let finding = Finding::error("same-host", api.name.at.clone(), message)
                        .also(&first.at, "the other API")
                        .help("give at least one of them a `host`");
                    self.report(finding);
                }
            }
        }
        for host in &api.hosts {
            if let Some(first) = places.get(&host.value) {
                let message = format!(
                    "the host `{}` is named twice: a request could belong to either",
                    host.value
                );
                let finding = Finding::error("same-host", host.at.clone(), message)
                    .also(first, "first named here");
                self.report(finding);
                continue;
            }
            places.insert(host.value.clone(), host.at.clone());
            self.apis_by_host.insert(host.value.clone(), index);
        }
    }

    /// Looks up the categories of response headers; of a name that stands twice the first is taken.
    fn response_headers(&mut self, written: Vec<WrittenHeader>) -> Vec<Header> {
        let mut headers: Vec<Header> = Vec::new();
        for WrittenHeader { name: At { value: spelled, at }, category } in written {
            let Some(category) = self.category(&category, "the category") else { continue };
            let name = spelled.to_ascii_lowercase();
            if let Some(first) = headers.iter().find(|header| header.name == name) {
                let message = format!("the header `{spelled}` is listed twice");
                let finding = Finding::error("defined-twice", at, message)
                    .also(&first.at, "first listed here")
                    .help("names of headers do not depend on case: keep one of them");
                self.report(finding);
                continue;
            }
            let header = Header { name, spelled, category, at };
            self.findings.extend(lint::header(&header));
            headers.push(header);
        }
        headers
    }

    /// Puts a route into the router of its method, unless it takes the requests of another one.
    fn takes(
        &mut self,
        method: Method,
        pattern: &At<String>,
        at: &Place,
        api: &mut Api,
        shapes: &mut HashMap<(Method, String), Shaped>,
    ) {
        let shape = (method, shape(&folded_pattern(&pattern.value)));
        let is_same = |first: &Shaped| self::shape(&first.pattern) == self::shape(&pattern.value);
        if let Some(first) = shapes.get(&shape) {
            let finding = if is_same(first) {
                let message = format!(
                    "`{method} {}` takes the same requests as another route",
                    pattern.value
                );
                Finding::error("same-route", at.clone(), message)
            } else {
                let message = format!(
                    "`{method} {}` is one with another route to upstreams that read paths in several ways",
                    pattern.value
                );
                let help = "between two routes no difference is made by capitals, by the form of a character in Unicode, nor by a dot, a space or a slash at an end: take one of them out, or pass both by a parameter";
                Finding::error("same-route", at.clone(), message).help(help)
            };
            self.report(finding.also(&first.at, "the other route"));
        } else {
            shapes.insert(shape, Shaped { pattern: pattern.value.clone(), at: at.clone() });
            let router = api.routers.entry(method).or_default();
            if let Err(error) = router.insert(pattern.value.as_str(), api.routes.len()) {
                self.conflict(&error, method, pattern, at, shapes);
            }
        }
    }

    fn route(
        &mut self,
        route: WrittenRoute,
        api: &mut Api,
        shapes: &mut HashMap<(Method, String), Shaped>,
        endless: &[bool],
    ) {
        let WrittenRoute {
            at,
            method,
            pattern,
            parameters,
            parameters_known,
            body,
            stream,
            compresses,
            request_body,
            pass,
            media,
            validators,
            buffer,
        } = route;
        self.takes(method, &pattern, &at, api, shapes);
        let (parameters, open) =
            self.parameters(&pattern, parameters, parameters_known.then_some(&at));
        let lines = self.lines(body, lint::resource(&pattern.value));
        self.mounted.extend(lines.iter().map(|line| line.target));
        let mut expansion = Expansion {
            route: &at,
            endless,
            fields: Vec::new(),
            keeping: Vec::new(),
            selectors: 0,
        };
        self.expand(&Path::root(), &lines, 0, &mut expansion);
        let too_large = expansion.is_too_large();
        let Expansion { mut fields, keeping, selectors, .. } = expansion;
        self.fields = self.fields.saturating_add(fields.len());
        if too_large || self.fields > SET_FIELDS_MAX {
            let (what, most, of_what) = if selectors > ROUTE_SELECTORS_MAX {
                ("this route has", ROUTE_SELECTORS_MAX, "names, indices and wildcards")
            } else if too_large {
                ("this route has", ROUTE_FIELDS_MAX, "fields")
            } else {
                ("all routes together have", SET_FIELDS_MAX, "fields")
            };
            let message = format!("{what} more than {most} {of_what} once records are written out");
            self.report(Finding::error("too-many-fields", at.clone(), message));
            fields.clear();
        } else {
            self.buffer(&at, buffer, &fields);
        }
        let id = RouteId(self.routes);
        self.routes += 1;
        api.routes.push(Route {
            id,
            label: format!("{method} {}", pattern.value).into(),
            method,
            pattern: pattern.value,
            compresses,
            request_body,
            pass,
            media: self.media(media),
            validators,
            parameters,
            open,
            stream: stream.map(Arc::new),
            fields,
            keeping,
            at,
        });
    }

    fn media(&mut self, written: Vec<WrittenMedia>) -> Vec<Media> {
        let mut checked: Vec<Media> = Vec::new();
        for WrittenMedia { media: At { value: name, at }, because, purposes } in written {
            let purposes = purposes.map(|names| self.listed_purposes(&names));
            if checked.iter().any(|media| media.name == name) {
                let message = format!("the media type `{name}` is listed twice");
                self.report(Finding::error("listed-twice", at, message));
                continue;
            }
            checked.push(Media { name, because, purposes });
        }
        checked
    }

    /// Filters that ask about the document take a route that holds it, and nothing else does.
    fn buffer(&mut self, route: &Place, buffer: Option<Place>, fields: &[Field]) {
        let asking = fields.iter().filter(|field| field.path.asks_root());
        let mut places: Vec<&Place> = asking.map(|field| &field.at).collect();
        // A record's line stands on a route as often as the record does.
        places.sort_unstable_by_key(|place| (place.source, place.span.start));
        places.dedup();
        match buffer {
            // What an error hides may be what asks.
            Some(_) if self.has_errors() => {}
            Some(at) if places.is_empty() => {
                let message =
                    "`buffer` has no effect: no filter of this route asks about the document";
                self.report(
                    Finding::note("buffer-without-effect", at, message)
                        .help("leave it out, and every body streams through"),
                );
            }
            Some(_) => {}
            None => {
                for place in places {
                    let message =
                        "a filter asks about the document (`$`), and the route does not hold it";
                    let finding = Finding::error("buffer-missing", place.clone(), message)
                        .also(route, "this route")
                        .help(
                            "give the route `buffer: document`, or ask about the node itself: `@`",
                        );
                    self.report(finding);
                }
            }
        }
    }

    /// A conflict that only the router sees.
    fn conflict(
        &mut self,
        error: &matchit::InsertError,
        method: Method,
        pattern: &At<String>,
        at: &Place,
        shapes: &HashMap<(Method, String), Shaped>,
    ) {
        let mut finding = Finding::error(
            "route-conflict",
            at.clone(),
            format!("`{method} {}` cannot be told from another route", pattern.value),
        );
        if let matchit::InsertError::Conflict { with } = error {
            if let Some(other) = shapes.get(&(method, shape(&folded_pattern(with)))) {
                finding = finding.also(&other.at, "the other route");
            }
            finding = finding.help(
                "a parameter and the rest of a path (`{*rest}`) cannot stand at the same place",
            );
        }
        self.report(finding);
    }

    fn parameters(
        &mut self,
        pattern: &At<String>,
        written: Vec<(At<String>, WrittenParameter)>,
        complete_at: Option<&Place>,
    ) -> (Vec<Parameter>, Option<String>) {
        let in_path: Vec<&str> = pattern_parameters(&pattern.value).collect();
        let mut open = None;
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut listed: Vec<String> = Vec::new();
        for (name, parameter) in written {
            listed.push(name.value.clone());
            let at = name.at.clone();
            let rule = match parameter {
                WrittenParameter::Wrong => continue,
                WrittenParameter::Categories(written) => {
                    let Some(categories) = self.parameter_categories(&written) else { continue };
                    if categories == [CategoryId::PUBLIC] {
                        self.findings.extend(lint::public_parameter(&name, &pattern.value));
                    }
                    ParameterRule::Categories(categories)
                }
                WrittenParameter::Rule(ParameterRule::Pass { because }) if name.value == "*" => {
                    open = Some(because);
                    continue;
                }
                WrittenParameter::Rule(rule) => rule,
            };
            let in_path = in_path.contains(&name.value.as_str());
            let name = name.value;
            let letters = folded::text(&name).unwrap_or_else(|| name.clone());
            let letters = letters.chars().filter(|c| c.is_alphanumeric()).collect();
            parameters.push(Parameter { name, letters, in_path, rule, at });
        }
        if complete_at.is_some() {
            for missing in
                in_path.iter().filter(|name| !listed.iter().any(|listed| listed == *name))
            {
                let message =
                    format!("the parameter `{missing}` of the path is not listed under `params`");
                let help = format!(
                    "say what it is: `params: {{ {missing}: CATEGORY }}`, or `public` if it tells nothing about a person"
                );
                self.report(
                    Finding::error("parameter-not-listed", pattern.at.clone(), message).help(help),
                );
            }
        }
        (parameters, open)
    }
}

impl Checker<'_> {
    /// Looks up the categories of a parameter: one, or several that are declared.
    fn parameter_categories(&mut self, written: &[At<String>]) -> Option<Vec<CategoryId>> {
        let mut categories = Vec::new();
        let is_list = written.len() > 1;
        let mut is_right = true;
        for name in written {
            let Some(id) = self.category(name, "the category") else {
                is_right = false;
                continue;
            };
            let problem = if categories.contains(&id) {
                Some(("listed-twice", format!("the category `{}` is listed twice", name.value)))
            } else if is_list && id == CategoryId::PUBLIC {
                let message = "`public` cannot stand in a list: it would add nothing to the others";
                Some(("bad-categories", message.to_owned()))
            } else {
                None
            };
            if let Some((code, message)) = problem {
                self.report(Finding::error(code, name.at.clone(), message).help("take it out"));
                is_right = false;
            }
            categories.push(id);
        }
        is_right.then_some(categories)
    }
}

/// A route of some shape.
struct Shaped {
    pattern: String,
    at: Place,
}

/// What a pattern matches, whatever its parameters are called.
fn shape(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| {
        if is_fixed(segment) {
            segment
        } else if segment.starts_with("{*") {
            "{*}"
        } else {
            "{}"
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The names of the parameters in a pattern.
fn pattern_parameters(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| {
        let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.strip_prefix('*').unwrap_or(inner))
    })
}
