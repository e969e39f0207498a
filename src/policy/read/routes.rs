//! Routes as they are written: method and path, parameters, and what the body holds.

use crate::{
    policy::{
        model::{ParameterRule, Pass, Stream},
        read::{
            WrittenParameter, WrittenRoute,
            because::{because, because_in, pass},
            media::media,
            records::{classified, embedded},
        },
        reader::{At, Fields, Reader},
        terms::Method,
    },
    source::{
        Finding, Place,
        yaml::{Key, Kind, Node},
    },
};

pub(super) fn route(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<WrittenRoute> {
    const KEYS: [&str; 10] = [
        "params",
        "body",
        "embedded",
        "stream",
        "request_body",
        "buffer",
        "compress",
        "pass",
        "media",
        "validators",
    ];
    let at = reader.place(&key.span);
    let line = method_and_pattern(reader, key);
    let what = format!("the route `{}`", key.text);
    let fields = reader.fields(node, &what, &KEYS)?;
    let mut parameters = Vec::new();
    let mut parameters_known = true;
    if let Some(node) = fields.get("params") {
        let members = reader.members(node, &format!("`params` of {what}"));
        parameters_known = members.is_some();
        for (key, node) in members.unwrap_or_default() {
            let parameter = parameter(reader, key, node).unwrap_or(WrittenParameter::Wrong);
            parameters.push((reader.key(key), parameter));
        }
    }
    let mut body = fields
        .get("body")
        .map_or_else(Vec::new, |node| classified(reader, node, &format!("`body` of {what}")));
    body.extend(embedded(reader, &fields, &what));
    let stream = fields.get("stream").and_then(|node| stream(reader, node, &what));
    let request_body =
        fields.get("request_body").and_then(|node| pass(reader, node, "`request_body`"));
    let media = fields.get("media").map(|node| media(reader, node, &what)).unwrap_or_default();
    let buffer = fields.get("buffer").and_then(|node| buffer(reader, node));
    let compresses = fields.get("compress").is_none_or(|node| compresses(reader, node));
    let (method, pattern) = line?;
    let pass = fields.get("pass").and_then(|node| passing(reader, node, method, &fields, &what));
    let validators = fields.get("validators");
    let validators = validators.and_then(|node| validators_of(reader, node, method, &what));
    Some(WrittenRoute {
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
    })
}

/// `validators: { because: ".." }`: clients are told whether an answer has changed.
fn validators_of(
    reader: &mut Reader<'_>,
    node: &Node,
    method: Method,
    what: &str,
) -> Option<String> {
    let because = because(reader, node, "`validators`");
    if method != Method::Get {
        let at = reader.place(&node.span);
        let message = format!("`validators` is for routes of GET, and {what} is none");
        reader.report(Finding::error("bad-validators", at, message).help("take it out"));
    }
    because
}

/// `pass: { because: ".." }`: whatever the route answers passes unread.
fn passing(
    reader: &mut Reader<'_>,
    node: &Node,
    method: Method,
    route: &Fields<'_>,
    what: &str,
) -> Option<Pass> {
    let fields = reader.fields(node, &format!("`pass` of {what}"), &["because", "anybody"])?;
    for key in ["body", "embedded", "stream", "buffer", "compress", "media", "validators"] {
        if let Some(other) = route.get(key) {
            let at = reader.place(&other.span);
            let message =
                format!("`{key}` says nothing where whatever {what} answers passes unread");
            reader.report(
                Finding::error("pass-and-more", at, message)
                    .also(&reader.place(&node.span), "`pass` is said here")
                    .help("take one of them out"),
            );
        }
    }
    let anybody = fields.get("anybody").and_then(|node| reader.flag(node, "`anybody`"));
    if anybody == Some(true) && method != Method::Get {
        let at = reader.place(&node.span);
        let message = format!("`anybody` is for routes of GET, and {what} is none");
        reader.report(
            Finding::error("bad-pass", at, message)
                .help("whoever changes something has to say who that is"),
        );
    }
    let because = because_in(reader, &fields, node, "`pass`")?;
    Some(Pass { because, anybody: anybody.unwrap_or_default() })
}

/// Longest name of an event, and longest text of data, in bytes: what could still become one is held.
const STREAM_TEXT_BYTES_MAX: usize = 256;

/// What a stream of events may say besides documents.
fn stream(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Stream> {
    let fields = reader.fields(node, &format!("`stream` of {what}"), &["events", "data"])?;
    let mut texts = |key: &str, what: &str| {
        let node = fields.get(key)?;
        let items = reader.items(node, &format!("`{key}`"))?;
        if items.is_empty() {
            let at = reader.place(&node.span);
            let message = format!("`{key}` lists nothing");
            reader.report(Finding::error("empty-list", at, message).help("leave it out"));
        }
        let mut texts: Vec<String> = Vec::new();
        for item in items {
            let Some(text) = reader.text(item, what) else { continue };
            // A line of a stream ends with either; a name with more than one line is none.
            let problem = if text.value.len() > STREAM_TEXT_BYTES_MAX {
                Some(format!("{what} has at most {STREAM_TEXT_BYTES_MAX} bytes"))
            } else if text.value.contains(['\r', '\n', '\0']) {
                Some(format!("{what} is one line"))
            } else if texts.contains(&text.value) {
                Some(format!("`{}` is listed twice", text.value))
            } else {
                None
            };
            match problem {
                Some(problem) => reader.report(Finding::error("bad-stream", text.at, problem)),
                None => texts.push(text.value),
            }
        }
        Some(texts)
    };
    let events = texts("events", "the name of an event").unwrap_or_default();
    let data = texts("data", "data that is no document").unwrap_or_default();
    Some(Stream { events, data })
}

/// Where `buffer: document` stands, which lets filters ask about the whole document.
fn buffer(reader: &mut Reader<'_>, node: &Node) -> Option<Place> {
    let at = reader.place(&node.span);
    let word = reader.word(node, "`buffer`")?;
    if word == "document" {
        return Some(at);
    }
    let message = format!("`{word}` is not what a route can buffer");
    reader.report(Finding::error("bad-buffer", at, message).help("write `buffer: document`"));
    None
}

/// `compress: off`: how well an answer can be packed tells something of what is in it.
fn compresses(reader: &mut Reader<'_>, node: &Node) -> bool {
    let at = reader.place(&node.span);
    let Some(word) = reader.word(node, "`compress`") else { return false };
    if word != "on" && word != "off" {
        let message = format!("`compress` is `on` or `off`, not `{word}`");
        reader
            .report(Finding::error("bad-compress", at, message).did_you_mean(word, ["on", "off"]));
    }
    word == "on"
}

fn method_and_pattern(reader: &mut Reader<'_>, key: &Key) -> Option<(Method, At<String>)> {
    const HELP: &str = "a route is a method and a path: `GET /customers/{id}`";
    let at = reader.place(&key.span);
    let Some((word, pattern)) = key.text.split_once(' ') else {
        let message = format!("`{}` is not a route", key.text);
        reader.report(Finding::error("bad-route", at, message).help(HELP));
        return None;
    };
    let method = Method::from_word(word);
    if method.is_none() {
        let finding = Finding::error(
            "bad-route",
            at.clone(),
            format!("`{word}` is not a method that a route can have"),
        );
        reader.report(match word.to_ascii_uppercase().as_str() {
            "HEAD" => finding.help("HEAD uses the route of GET"),
            upper => finding.did_you_mean(upper, Method::ALL.map(Method::word)),
        });
    }
    let at = key.verbatim.map_or(at, |start| {
        let start = start + word.len() + 1;
        reader.place(&(start..start + pattern.len()))
    });
    let pattern = At { value: pattern.to_owned(), at };
    if let Some((problem, meant)) = foreign_pattern(&pattern.value) {
        let help = match meant {
            Some(meant) => {
                format!("write `{word} {meant}`, and say under `params` what its parameters are")
            }
            None => HELP.to_owned(),
        };
        reader.report(Finding::error("bad-route", pattern.at, problem).help(help));
        return None;
    }
    if let Some(problem) = pattern_problem(&pattern.value) {
        reader.report(Finding::error("bad-route", pattern.at, problem).help(HELP));
        return None;
    }
    Some((method?, pattern))
}

/// A parameter as routers of other programs write it, and the path that is meant if that can be told.
fn foreign_pattern(pattern: &str) -> Option<(String, Option<String>)> {
    let mut problem = None;
    let count = pattern.split('/').count();
    let mut meant = Vec::new();
    let mut unclear = false;
    for (index, segment) in pattern.split('/').enumerate() {
        let last = index + 1 == count;
        match foreign_parameter(segment, last) {
            None => meant.push(segment.to_owned()),
            Some(parameter) => {
                problem = problem.or_else(|| {
                    let what = if segment.contains('*') { "a pattern" } else { "a parameter" };
                    Some(format!("`{segment}` is no text of a path: {what} is written `{{id}}`, for one whole segment, or `{{*rest}}` for all that is left"))
                });
                unclear |= parameter.is_err();
                meant.extend(parameter);
            }
        }
    }
    let meant = meant.join("/");
    let is_right = !unclear && pattern_problem(&meant).is_none();
    problem.map(|problem| (problem, is_right.then_some(meant)))
}

/// A segment is a parameter elsewhere, and it is not clear how it would be written here.
struct Unclear;

/// How a segment is written here that is a parameter elsewhere; none if it is text, or a parameter as it is
/// written here.
fn foreign_parameter(segment: &str, last: bool) -> Option<Result<String, Unclear>> {
    let name = |inner: &str| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (!inner.is_empty() && inner.chars().all(is_name)).then(|| inner.to_owned())
    };
    let one = |inner: Option<String>| inner.map(|name| format!("{{{name}}}")).ok_or(Unclear);
    let rest = |inner: Option<String>| {
        inner.filter(|_| last).map(|name| format!("{{*{name}}}")).ok_or(Unclear)
    };
    let between = |open: &str, close: &str| segment.strip_prefix(open)?.strip_suffix(close);
    // Rails, Express, Sinatra: `:id`, `:id?`, `:id(\\d+)`, `:rest*`.
    if let Some(inner) = segment.strip_prefix(':') {
        if let Some(inner) = inner.strip_suffix(['*', '+']) {
            return Some(rest(name(inner)));
        }
        let inner = inner.split(['(', '?', '<']).next().unwrap_or(inner);
        return Some(one(name(inner)));
    }
    // Flask and OpenAPI's ancestors: `<id>`, `<int:id>`, `<path:rest>`.
    if let Some(inner) = between("<", ">") {
        return Some(match inner.rsplit_once(':') {
            Some(("path", inner)) => rest(name(inner)),
            Some((_, inner)) => one(name(inner)),
            None => one(name(inner)),
        });
    }
    // Next.js: `[id]`, `[...rest]`.
    if let Some(inner) = between("[...", "]") {
        return Some(rest(name(inner)));
    }
    if let Some(inner) = between("[", "]") {
        return Some(one(name(inner)));
    }
    if let Some(inner) = between("{{", "}}") {
        return Some(one(name(inner)));
    }
    if let Some(inner) = between("{", "}").filter(|inner| !inner.starts_with('*')) {
        // Axum, Go, AWS, FastAPI, Gorilla: `{rest...}`, `{rest+}`, `{rest:path}`, `{id:[0-9]+}`.
        return match inner.split_once(':') {
            Some((inner, "path" | ".*" | ".+")) => Some(rest(name(inner))),
            Some((inner, _)) => Some(one(name(inner))),
            None => {
                let inner = inner.strip_suffix("...").or(inner.strip_suffix(['+', '*']));
                inner.map(|inner| rest(name(inner)))
            }
        };
    }
    match segment {
        "*" | "**" if last => Some(Ok("{*rest}".to_owned())),
        "*" => Some(Ok("{id}".to_owned())),
        _ if segment.contains(['{', '}']) => None,
        _ if segment.contains(['*', '<', '>']) => Some(Err(Unclear)),
        _ => None,
    }
}

/// What is wrong with the path of a route, before it is compared with other routes.
fn pattern_problem(pattern: &str) -> Option<String> {
    let Some(path) = pattern.strip_prefix('/') else {
        return Some("the path of a route begins with `/`".to_owned());
    };
    if let Some(c) = path.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Some(format!(
            "the path of a route cannot contain {}",
            if c == ' ' { "a space" } else { "white space" }
        ));
    }
    if let Some(c) = path.chars().find(|c| matches!(c, '?' | '#' | '%' | ';' | '\\')) {
        let why = match c {
            '?' => "query parameters are listed under `params`",
            '#' => "a fragment is never sent",
            '%' => "it is compared after decoding: write the character itself",
            _ => "a request with it is refused",
        };
        return Some(format!("the path of a route cannot contain `{c}`: {why}"));
    }
    let mut names = Vec::new();
    let count = path.split('/').count();
    for (index, segment) in path.split('/').enumerate() {
        let last = index + 1 == count;
        if segment.is_empty() && !last {
            return Some("a segment of the path is empty (`//`)".to_owned());
        }
        if matches!(segment, "." | "..") {
            return Some(format!("a request with the segment `{segment}` is refused"));
        }
        if !segment.contains(['{', '}']) {
            continue;
        }
        let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return Some(format!(
                "`{segment}`: a parameter fills a whole segment, as in `/{{id}}`"
            ));
        };
        let name = match inner.strip_prefix('*') {
            Some(_) if !last => {
                return Some(format!(
                    "`{segment}` takes the rest of the path, so it has to come last"
                ));
            }
            Some(name) => name,
            None => inner,
        };
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        {
            return Some(format!(
                "`{segment}`: the name of a parameter is made of letters, digits, `_` and `-`"
            ));
        }
        if names.contains(&name) {
            return Some(format!("the parameter `{name}` stands twice in the path"));
        }
        names.push(name);
    }
    None
}

fn parameter(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<WrittenParameter> {
    let what = format!("the parameter `{}`", key.text);
    if key.text == "*" {
        let because = pass(reader, node, "the parameter `*`")?;
        return Some(WrittenParameter::Rule(ParameterRule::Pass { because }));
    }
    match &node.kind {
        Kind::Scalar(_) => {
            let category = reader.text(node, &format!("the category of {what}"))?;
            return Some(WrittenParameter::Categories(vec![category]));
        }
        Kind::Sequence(items) => {
            let categories = items.iter().map(|item| reader.text(item, "a category"));
            let categories: Vec<_> = categories.collect();
            if let [] | [_] = categories.as_slice() {
                let at = reader.place(&node.span);
                let message = format!("{what} has a list of fewer than two categories");
                let help = "a list says that values are of several categories, each of which a purpose has to keep: write one category alone";
                reader.report(Finding::error("bad-categories", at, message).help(help));
                return None;
            }
            return categories.into_iter().collect::<Option<_>>().map(WrittenParameter::Categories);
        }
        Kind::Mapping(_) => {}
    }
    let fields = reader.fields(node, &what, &["values", "because"])?;
    let Some(values) = fields.get("values") else {
        if !fields.has_unknown() {
            let at = reader.place(&node.span);
            let message = format!("{what} says nothing about its values");
            reader.report(Finding::error("missing-key", at, message).help(
                "give it a category, or a list of several, or `{ values: [..], because: \"..\" }`",
            ));
        }
        return None;
    };
    let because = because_in(reader, &fields, node, &what);
    let items = reader.items(values, "`values`")?;
    if items.is_empty() {
        let at = reader.place(&values.span);
        reader.report(Finding::error("empty-list", at, format!("{what} can have no value")));
    }
    let values = items
        .iter()
        .filter_map(|item| reader.text(item, "a value"))
        .map(|value| value.value)
        .collect();
    Some(WrittenParameter::Rule(ParameterRule::Values { values, because: because? }))
}
