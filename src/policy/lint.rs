//! What loads and is still worth a look: policies that say more, or less, than they do.

use std::collections::HashSet;

use heck::ToSnakeCase as _;

use crate::{
    path::{Path, Segment, Selector, dotted_wildcards},
    policy::{
        model::{
            Api, Apis, Category, CategoryId, Class, Delta, Field, Header, Policies, PurposeId,
            Route, Rule, self_and_prefixes,
        },
        personal::{self, Hint},
        read::Classified,
        reader::At,
        suite::Suite,
        terms::Method,
    },
    source::{Finding, Place, named},
    transform::Action,
};

/// What can be said about one line that classifies.
///
/// `whole` names what its paths begin at: a record, or the resource of a route.
pub(crate) fn line(
    line: &Classified,
    category: Option<CategoryId>,
    names_category: Option<CategoryId>,
    whole: Option<&str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(names(line, names_category));
    if category == Some(CategoryId::PUBLIC) {
        findings.extend(personal(&line.path.value, &line.spelled, &line.path.at, whole));
        findings.extend(everything(line));
        findings.extend(by_position(line));
    }
    if names_category == Some(CategoryId::PUBLIC) {
        findings.extend(personal_names(line));
    }
    findings
}

/// `public` for all that is below: nobody has decided about that, and it leaves for everyone.
fn everything(line: &Classified) -> Option<Finding> {
    let last = line.path.value.segments().last()?;
    let is_everything = last.descendant && last.selectors.contains(&Selector::Wildcard);
    is_everything.then(|| {
        let message = format!(
            "`{}` is `public`: whatever is below leaves undecided, for every purpose",
            line.spelled
        );
        Finding::warning("public-everything", line.path.at.clone(), message)
            .help("classify what is there, or say `unclassified: { keep: { because: \"..\" } }`")
    })
}

/// A column of a table that is `public` by its number: in another order another column has that.
fn by_position(line: &Classified) -> Option<Finding> {
    let path = &line.path.value;
    let [.., row, column] = path.segments() else { return None };
    let is_by_place = |one: &Selector| matches!(one, Selector::Index(_) | Selector::Slice { .. });
    let names = |one: &Selector| matches!(one, Selector::Name(_));
    let is_column = column.selectors.iter().any(is_by_place) && !row.selectors.iter().all(names);
    // Whoever asks about the document has looked at what the columns are.
    (is_column && !path.asks_root()).then(|| {
        let message = format!(
            "`{}` is `public` by its place: if the columns come in another order, another one leaves",
            line.spelled
        );
        Finding::warning("public-by-position", line.path.at.clone(), message)
            .help("let a filter say which columns there are, as the reference shows under \"Tables\", or give the column a category")
    })
}

/// Names that a path reaches and nobody spelled are removed, unless `names` says otherwise.
fn names(line: &Classified, names_category: Option<CategoryId>) -> Option<Finding> {
    const HELP: &str = "list the names if they are those of fields, `names: [home, work]`, or say of what category they are, such as `names: contact.email`";
    let path = &line.spelled;
    let at = &line.path.at;
    let segments = line.path.value.segments();
    let dotted = dotted_wildcards(path);
    let descends = segments.iter().any(|segment| segment.descendant);
    if let Some(names) = &line.names {
        let is_public = names_category == Some(CategoryId::PUBLIC);
        let at = names.at.clone();
        if !segments.iter().any(Segment::reaches_unspelled) {
            let message = format!("`{path}` spells every name, so `names` says nothing");
            return Some(
                Finding::warning("names-without-effect", at, message)
                    .help("take `names` out; it is for paths with `*`, `..` or a filter"),
            );
        }
        if is_public && descends {
            let message =
                format!("with `names: public` on `{path}` every name below leaves, whatever it is");
            return Some(
                Finding::error("names-too-wide", at, message)
                    .help("list the names that may stand there: `names: [home, work]`"),
            );
        }
        return (is_public && dotted == 0).then(|| {
            let message = format!(
                "`names: public` says nothing on `{path}`: it is about the members at `.*`"
            );
            Finding::warning("names-without-effect", at, message).help(
                "write `.*` if the members of an object are meant, or list their names: `names: [home, work]`",
            )
        });
    }
    // There, names that nobody spelled stay as all else that is unclassified.
    if line.beside_kept || (dotted == 0 && !descends) {
        return None;
    }
    let last = segments.last()?;
    let ends_in_wildcard = last.selectors.contains(&Selector::Wildcard)
        && (last.descendant || dotted >> (segments.len() - 1) & 1 == 1);
    let message = if ends_in_wildcard {
        format!("`{path}` spells no name, so every member of an object there is removed")
    } else {
        format!(
            "`{path}` finds nothing inside objects whose names nobody spelled: such members are removed"
        )
    };
    // `[*]` reads as "all elements": arrays have no names.
    let help = if dotted == 0 {
        HELP.to_owned()
    } else {
        format!("{HELP}; if an array is meant, write `[*]`")
    };
    Some(Finding::warning("names-missing", at.clone(), message).help(help))
}

/// Something called `public` that has the name of something personal.
fn personal(path: &Path, spelled: &str, at: &Place, whole: Option<&str>) -> Option<Finding> {
    let hint = personal::of_path(path, whole)?;
    Some(looks_personal(&format!("`{spelled}` is"), &hint, at))
}

/// Member names called `public` that are personal themselves: those at `$.orders_by_email.*`.
fn personal_names(line: &Classified) -> Option<Finding> {
    let hint = personal::of_keys(&line.path.value)?;
    let what = format!("the name of each member at `{}` is", line.spelled);
    let at = line.names.as_ref().map_or(&line.path.at, |names| &names.at);
    Some(looks_personal(&what, &hint, at))
}

fn looks_personal(what: &str, hint: &Hint<'_>, at: &Place) -> Finding {
    let Hint { kind, name } = hint;
    let message = format!("{what} `public`, and looks like personal data: `{name}` ({kind})");
    Finding::warning(LOOKS_PERSONAL, at.clone(), message).help(
        "`public` leaves for every purpose: give it a category, and keep that where it is needed; if it is about no person, give it a category of its own, which every purpose keeps",
    )
}

const LOOKS_PERSONAL: &str = "public-looks-personal";

/// Headers whose value commonly tells who is meant: by an id in a URL, by a name in that of a file.
const TELLING: [&str; 5] =
    ["content-disposition", "content-location", "link", "location", "refresh"];

/// A header that is called `public`, and has the name of something personal, or often tells something.
pub(crate) fn header(header: &Header) -> Option<Finding> {
    let Header { name, spelled, category, at } = header;
    if *category != CategoryId::PUBLIC {
        return None;
    }
    if let Some(hint) = personal::of_header(spelled) {
        return Some(looks_personal(&format!("the header `{spelled}` is"), &hint, at));
    }
    TELLING.contains(&name.as_str()).then(|| {
        let message = format!(
            "the header `{spelled}` is `public`: whatever URL or file name stands in it leaves"
        );
        Finding::note("public-header", at.clone(), message)
            .help("if it can name a person, as `/customers/C-1042` does, give it a category")
    })
}

/// A parameter that is called `public`, and has the name of something personal.
pub(crate) fn public_parameter(name: &At<String>, route: &str) -> Option<Finding> {
    let At { value: name, at } = name;
    let hint = personal::of_parameter(name, resource(route))?;
    let message = format!(
        "the parameter `{name}` is `public`, and looks like personal data: `{}` ({})",
        hint.name, hint.kind
    );
    Some(Finding::warning(LOOKS_PERSONAL, at.clone(), message).help(
        "every purpose may ask with what is `public`: give it a category, and keep that where callers may ask with it; if only some values are harmless, list them: `{ values: [..], because: \"..\" }`",
    ))
}

/// What a route is about: `customers` for `/v1/customers/{id}`.
pub(crate) fn resource(pattern: &str) -> Option<&str> {
    pattern.rsplit('/').find(|segment| !segment.is_empty() && !segment.starts_with('{'))
}

/// Most fields whose mounts are read for names that sound personal, in all routes together.
const MOUNTED_READ_MAX: usize = 5_000;

/// Lines of records that look personal only where the record stands: `$.value` of one at `$.emails[*]`.
fn mounted(policies: &Policies, findings: &mut Vec<Finding>) {
    let mut told: HashSet<Place> = findings
        .iter()
        .filter(|one| one.code == LOOKS_PERSONAL)
        .map(|one| one.at.clone())
        .collect();
    let routes = policies.apis.iter().flat_map(|api| &api.routes);
    let public =
        routes.flat_map(|route| route.fields.iter().map(move |field| (route, field))).filter(
            |(_, field)| field.own_from > 0 && field.class == Class::Category(CategoryId::PUBLIC),
        );
    for (route, field) in public.take(MOUNTED_READ_MAX) {
        if told.contains(&field.at) {
            continue;
        }
        let spelled = field.path.to_string();
        if let Some(finding) = personal(&field.path, &spelled, &field.at, resource(&route.pattern))
        {
            findings.push(finding.also(&route.at, "on this route"));
            told.insert(field.at.clone());
        }
    }
}

/// What can be said about policies without errors.
pub(crate) fn policies(policies: &Policies, findings: &mut Vec<Finding>) {
    let of_apis: Vec<HashSet<CategoryId>> = policies.apis.iter().map(used_categories).collect();
    categories(policies, &of_apis, findings);
    rules(policies, &of_apis, findings);
    purposes(policies, findings);
    decided_by_prefix(policies, findings);
    apis(policies, findings);
    callers(policies, findings);
    for api in &policies.apis {
        overlaps(&api.routes, findings);
    }
    mounted(policies, findings);
    pieces(policies, findings);
    validated(policies, findings);
    bodies(policies, findings);
    shaped(policies, findings);
    retried(policies, findings);
    nobody(policies, findings);
}

/// Categories of which no route has anything; `of_apis` are those that each API uses.
fn categories(policies: &Policies, of_apis: &[HashSet<CategoryId>], findings: &mut Vec<Finding>) {
    let used: HashSet<CategoryId> = of_apis.iter().flatten().copied().collect();
    for (index, category) in policies.categories.iter().enumerate().skip(1) {
        if !u32::try_from(index).is_ok_and(|id| used.contains(&CategoryId(id))) {
            let message = format!("no route has anything of the category `{}`", category.name);
            findings.push(
                Finding::warning("category-not-used", category.at.clone(), message)
                    .help("classify a field, a parameter or a header with it, or take it out"),
            );
        }
    }
}

/// Rules that decide about nothing.
fn rules(policies: &Policies, of_apis: &[HashSet<CategoryId>], findings: &mut Vec<Finding>) {
    for purpose in &policies.purposes {
        let apis = policies.apis.iter().zip(of_apis).filter(|(api, _)| purpose.apis.has(api.id));
        let used: HashSet<CategoryId> = apis.flat_map(|(_, used)| used).copied().collect();
        let is_explicit = |id: &&CategoryId| {
            policies.categories.get(id.index()).is_some_and(|category| category.explicit.is_some())
        };
        let (explicit, others): (Vec<&CategoryId>, Vec<&CategoryId>) =
            used.iter().partition(is_explicit);
        let prefixes = |ids: &[&CategoryId]| -> HashSet<&str> {
            ids.iter().flat_map(|id| self_and_prefixes(policies.category_name(**id))).collect()
        };
        let (denied, covered) = (prefixes(&explicit), prefixes(&others));
        let whole: HashSet<&str> = explicit.iter().map(|id| policies.category_name(**id)).collect();
        for rule in &purpose.rules {
            let selector = rule.selector.as_str();
            let decides = selector == "*"
                || covered.contains(selector)
                || whole.contains(selector)
                || (rule.action == Action::Deny && denied.contains(selector));
            if !decides && !used.is_empty() {
                let message = format!(
                    "no route has anything that the rule for `{}` could decide about",
                    rule.selector
                );
                findings.push(
                    Finding::warning("rule-for-nothing", rule.at.clone(), message).help(
                        if denied.contains(selector) {
                            "all that it covers is `explicit`: write a rule for the whole name of each category that the purpose needs"
                        } else {
                            "take the rule out, or classify the fields that it was written for"
                        },
                    ),
                );
            }
        }
    }
}

/// Purposes that get nothing, or that no caller may ask for.
fn purposes(policies: &Policies, findings: &mut Vec<Finding>) {
    for purpose in policies.purposes.iter().filter(|purpose| !purpose.has_rules) {
        let message = format!(
            "the purpose `{}` has no rule: it gets what is `public`, and nothing else",
            purpose.name
        );
        findings.push(Finding::warning("purpose-without-rule", purpose.at.clone(), message).help(
            format!(
                "say under `rules` what it needs; if that is nothing, write `{}: {{}}` there",
                purpose.name
            ),
        ));
    }
    for (index, purpose) in policies.purposes.iter().enumerate() {
        let id = PurposeId(index);
        if !policies.callers.iter().any(|caller| caller.purposes.contains(&id)) {
            let message = format!("no caller may ask for the purpose `{}`", purpose.name);
            findings.push(
                Finding::warning("purpose-not-used", purpose.at.clone(), message)
                    .help("list it under the `purposes` of a caller, or take it out"),
            );
        }
    }
}

/// Callers that may ask for everything.
fn callers(policies: &Policies, findings: &mut Vec<Finding>) {
    for caller in &policies.callers {
        if policies.purposes.len() >= 2 && caller.purposes.len() == policies.purposes.len() {
            let message = format!("`{}` may ask for every purpose there is", caller.name);
            findings.push(
                Finding::warning("caller-with-all-purposes", caller.at.clone(), message).help(
                    "who can give any reason needs none: list only what this caller is there for",
                ),
            );
        }
    }
}

/// Words in the names of parameters that often say what an answer looks like.
const SHAPING: [&str; 6] = ["filter", "q", "query", "search", "sql", "where"];

/// Routes where the request can say what the answer looks like: each api is told of once.
fn shaped(policies: &Policies, findings: &mut Vec<Finding>) {
    for api in &policies.apis {
        let by = |route: &Route| {
            if route.fields.is_empty() {
                return None;
            }
            let parameter = route.parameters.iter().find(|one| {
                let words = one.name.to_snake_case();
                one.is_public() && words.split('_').any(|word| SHAPING.contains(&word))
            });
            match (parameter, &route.request_body, &route.open) {
                (Some(parameter), ..) => Some(format!("its parameter `{}`", parameter.name)),
                (None, Some(_), _) => Some("its request body".to_owned()),
                (None, None, Some(_)) => Some("parameters that are not listed".to_owned()),
                (None, None, None) => None,
            }
        };
        let mut shaped = api.routes.iter().filter_map(|route| Some((route, by(route)?)));
        let Some((route, what)) = shaped.next() else { continue };
        let more = match shaped.count() {
            0 => String::new(),
            1 => "; so can one more route of this api".to_owned(),
            more => format!("; so can {more} more routes of this api"),
        };
        let message = format!(
            "`{}` can be asked through {what} for an answer of another shape{more}",
            route.label
        );
        findings.push(Finding::note("request-shapes-answer", route.at.clone(), message).help(
            "paths find fields by their names: make sure that no request can rename a field or make a new one of it, as aliases of GraphQL, `script_fields` and `AS` of SQL do",
        ));
    }
}

/// Requests that are sent again when no answer came, without what tells that they are: each api is told of once.
fn retried(policies: &Policies, findings: &mut Vec<Finding>) {
    const KEY: &str = "idempotency-key";
    for api in &policies.apis {
        let sends = |route: &&Route| route.method == Method::Post && route.request_body.is_some();
        let is_listed = api.request_headers.iter().any(|name| name == KEY);
        let Some(route) = api.routes.iter().find(sends).filter(|_| !is_listed) else { continue };
        let message = format!(
            "`{}` is passed on without `Idempotency-Key`: the upstream cannot tell a request that is sent again from a new one",
            route.label
        );
        findings.push(
            Finding::note("idempotency-key-not-listed", route.at.clone(), message).help(
                "if it knows that header, list it: `headers: { request: [Idempotency-Key] }`",
            ),
        );
    }
}

/// Categories that a purpose gets something of by a rule for a prefix or `"*"`: so it gets what is declared below later.
fn decided_by_prefix(policies: &Policies, findings: &mut Vec<Finding>) {
    for purpose in &policies.purposes {
        let decided =
            purpose.resolved.iter().zip(&policies.categories).filter_map(|(at, category)| {
                let rule = purpose.rules.get((*at)?)?;
                let leaves = !matches!(rule.action, Action::Drop | Action::Deny);
                (leaves && rule.selector != category.name).then_some((rule, category))
            });
        let decided: Vec<(&Rule, &Category)> = decided.collect();
        let Some((first, _)) = decided.first() else { continue };
        let message = format!(
            "the purpose `{}` gets {} by a rule for a prefix or `\"*\"`, and so whatever is declared below it later",
            purpose.name,
            named(decided.iter().map(|(_, category)| &category.name))
        );
        let sensitive = |(_, category): &&(&Rule, &Category)| {
            category.special.is_some() || personal::is_sensitive(&category.name)
        };
        let sensitive: Vec<&str> =
            decided.iter().filter(sensitive).map(|(_, category)| &*category.name).collect();
        let help = if sensitive.is_empty() {
            "write a rule for each category that it needs; `explicit: true` on a category asks for that".to_owned()
        } else {
            format!(
                "say `explicit: true` on {}, and write a rule for the whole name where it is needed",
                named(sensitive)
            )
        };
        let at = first.at.clone();
        findings.push(Finding::note("decided-by-prefix", at, message).help(help));
    }
}

/// Purposes that reach further than one API, or that a caller has and cannot use.
fn apis(policies: &Policies, findings: &mut Vec<Finding>) {
    for (index, purpose) in policies.purposes.iter().enumerate() {
        let id = PurposeId(index);
        let having = || policies.callers.iter().filter(|caller| caller.purposes.contains(&id));
        let is_used = |api: &&Api| having().any(|caller| caller.apis.has(api.id));
        let apis: Vec<&str> = policies.apis.iter().filter(is_used).map(|api| &*api.name).collect();
        if purpose.apis == Apis::All && apis.len() > 1 {
            let message = format!(
                "callers may ask for the purpose `{}` in several APIs ({}): its rules decide in each",
                purpose.name,
                apis.join(", ")
            );
            let help =
                "say which it was written for, `apis: [NAME]`, or all of them if that is meant";
            let at = purpose.at.clone();
            findings.push(Finding::note("purpose-in-several-apis", at, message).help(help));
        }
        for caller in having() {
            if !policies.apis.iter().any(|api| policies.is_for(caller, id, api.id))
                && !policies.apis.is_empty()
            {
                let message = format!(
                    "`{}` may ask for the purpose `{}`, which is for none of its APIs",
                    caller.name, purpose.name
                );
                findings.push(
                    Finding::warning("purpose-elsewhere", caller.at.clone(), message)
                        .also(&purpose.at, "the purpose says which APIs it is for")
                        .help(
                            "take the purpose out of the caller's list, or let both name one API",
                        ),
                );
            }
        }
    }
}

/// Routes whose method stands for a request body, and that pass none.
fn bodies(policies: &Policies, findings: &mut Vec<Finding>) {
    for route in policies.apis.iter().flat_map(|api| &api.routes) {
        if route.method.has_body() && route.request_body.is_none() {
            let message = format!(
                "`{}` denies every request: requests of {} have a body, and the route passes none",
                route.label,
                route.method.word()
            );
            findings.push(Finding::warning("request-body-missing", route.at.clone(), message).help(
                "say `request_body: { pass: { because: \"..\" } }` if what callers send may go on as it is, or take the route out",
            ));
        }
    }
}

/// Policies under which nothing can be asked for.
fn nobody(policies: &Policies, findings: &mut Vec<Finding>) {
    let mut routes = policies.apis.iter().flat_map(|api| &api.routes).peekable();
    let has_routes = routes.peek().is_some();
    let anybody = routes.any(|route| route.pass.as_ref().is_some_and(|pass| pass.anybody));
    let missing = match (policies.callers.is_empty() && !anybody, has_routes) {
        (true, false) => "no caller and no route",
        (true, true) => "no caller",
        (false, false) => "no route",
        (false, true) => return,
    };
    let at = Place { source: 0, span: 0..0 };
    let message = format!("the policies declare {missing}: every request is denied");
    findings.push(Finding::warning("empty-policy", at, message).help(
        "say who may ask, under `callers`, for what, under `purposes`, and where, under `apis`",
    ));
}

/// Routes whose validators tell when data of Art. 9 has changed.
fn validated(policies: &Policies, findings: &mut Vec<Finding>) {
    for route in policies.apis.iter().flat_map(|api| &api.routes) {
        let categories = route.fields.iter().flat_map(Field::categories);
        let mut categories = categories.filter_map(|id| policies.categories.get(id.index()));
        let special = categories.find(|category| category.special.is_some());
        if let (Some(_), Some(category)) = (&route.validators, special) {
            let message = format!(
                "`{}` tells when something has changed, and can give `{}`, which is special (Art. 9 GDPR)",
                route.label, category.name
            );
            findings.push(Finding::note("validators-tell", route.at.clone(), message).help(
                "that a record changes can tell a diagnosis: leave `validators` out if it does here",
            ));
        }
    }
}

/// Values of streams that a purpose changes, where nobody said whether they come whole.
fn pieces(policies: &Policies, findings: &mut Vec<Finding>) {
    let mut told = Vec::new();
    let routes =
        policies.apis.iter().flat_map(|api| &api.routes).filter(|route| route.stream.is_some());
    for (route, field) in routes.flat_map(|route| route.fields.iter().map(move |it| (route, it))) {
        let (Class::Category(category), Delta::Unsaid) = (field.class, field.delta) else {
            continue;
        };
        let reading = policies.purposes.iter().find(|purpose| purpose.action(category).reads());
        if let Some(purpose) = reading.filter(|_| !told.contains(&&field.at)) {
            told.push(&field.at);
            let message = format!(
                "`{}` of `{}` may come in pieces, and `{}` would change each of them by itself",
                field.path, route.label, purpose.name
            );
            findings.push(Finding::note("delta-not-said", field.at.clone(), message).help(
                "say `{ category: NAME, delta: none }` if it always comes whole, or else `delta: drop`",
            ));
        }
    }
}

fn used_categories(api: &Api) -> HashSet<CategoryId> {
    api.routes
        .iter()
        .flat_map(|route| {
            let fields = route.fields.iter().flat_map(Field::categories);
            fields.chain(route.parameters.iter().flat_map(|one| one.categories().iter().copied()))
        })
        .chain(api.response_headers.iter().map(|one| one.category))
        .filter(|category| *category != CategoryId::PUBLIC)
        .collect()
}

/// Most pairs of routes of one API that are compared: of 2,000 routes all, of more the first ones.
const OVERLAPS_COMPARED_MAX: usize = 2_000_000;

/// Routes that could take the same request: the router has an answer, and the reader should know it.
///
/// At most one such note stands at a route: who has read one knows the rule.
fn overlaps(routes: &[Route], findings: &mut Vec<Finding>) {
    let pairs = routes.iter().enumerate().flat_map(|(index, route)| {
        routes
            .iter()
            .take(index)
            .enumerate()
            .map(move |(before, other)| ((before, other), (index, route)))
    });
    let mut told = vec![false; routes.len()];
    for ((before, other), (index, route)) in pairs.take(OVERLAPS_COMPARED_MAX) {
        if route.method != other.method {
            continue;
        }
        let Some(first_wins) = overlap(&other.pattern, &route.pattern) else { continue };
        let (winner, loser) = if first_wins { (other, route) } else { (route, other) };
        let Some(told) = told.get_mut(if first_wins { before } else { index }) else { continue };
        if std::mem::replace(told, true) {
            continue;
        }
        let message = format!(
            "a request can fit both `{}` and `{}`: then `{}` takes it",
            other.label, route.label, winner.label
        );
        findings.push(
            Finding::note("routes-overlap", winner.at.clone(), message)
                .also(&loser.at, "takes only what is left")
                .help("fixed text wins over a parameter, at the first place where they differ"),
        );
    }
}

/// Whether one path can match both patterns; `Some(true)` if the first one then wins.
fn overlap(first: &str, second: &str) -> Option<bool> {
    let mut first = first.split('/');
    let mut second = second.split('/');
    let mut wins = None;
    loop {
        match (first.next(), second.next()) {
            (Some(a), Some(b)) => {
                match (a.starts_with("{*"), b.starts_with("{*")) {
                    (true, true) => return wins,
                    (true, false) => return wins.or((!b.is_empty()).then_some(false)),
                    (false, true) => return wins.or((!a.is_empty()).then_some(true)),
                    (false, false) => {}
                }
                match (a.starts_with('{'), b.starts_with('{')) {
                    // A parameter is never empty.
                    (true, false) if b.is_empty() => return None,
                    (false, true) if a.is_empty() => return None,
                    (true, false) => wins = wins.or(Some(false)),
                    (false, true) => wins = wins.or(Some(true)),
                    (false, false) if a != b => return None,
                    (true, true) | (false, false) => {}
                }
            }
            (None, None) => return wins,
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Purposes that no test looks at.
pub(crate) fn tests(policies: &Policies, suites: &[Suite], findings: &mut Vec<Finding>) {
    let mut tested: HashSet<&str> = HashSet::new();
    for case in suites.iter().flat_map(|suite| &suite.cases) {
        if let Some(purpose) = &case.purpose {
            tested.insert(purpose);
        } else if let Some(caller) =
            case.caller.as_deref().and_then(|name| policies.caller_named(name))
            && let [only] = caller.purposes.as_slice()
            && let Some(purpose) = policies.purpose(*only)
        {
            tested.insert(&purpose.name);
        }
    }
    if let ([], Some(first)) = (suites, policies.purposes.first()) {
        findings.push(
            Finding::note(
                "no-tests",
                first.at.clone(),
                "no purpose has a test: there is no `*.test.yaml` file",
            )
            .help("write one: what may never get out for this purpose?"),
        );
        return;
    }
    for purpose in &policies.purposes {
        if !tested.contains(&*purpose.name) {
            let message = format!("no test asks for the purpose `{}`", purpose.name);
            findings.push(Finding::note("purpose-without-test", purpose.at.clone(), message).help(
                "write one in a `*.test.yaml` file: what may never get out for this purpose?",
            ));
        }
    }
}
