//! Tests of policies (`*.test.yaml`) as checked data: what is asked, what the upstream says, and what
//! is claimed about the answer. Whether the claims hold is found out elsewhere.

mod document;

use jiff::civil::Date;
use regex::Regex;
use serde_json::Value;

use crate::{
    access::Reason,
    path::Path,
    policy::{
        model::Policies,
        read::is_header_name,
        reader::{At, Fields, Reader},
    },
    source::{
        Finding, Place,
        yaml::{Kind, Node},
    },
};

pub use document::FixtureFiles;

use document::Documents;

/// The tests of one file.
#[derive(Debug)]
pub struct Suite {
    /// The index of the source that they stand in.
    pub source: usize,
    /// The tests, in order.
    pub cases: Vec<Case>,
}

/// One test: a request, the upstream's answer, and what is claimed about what leaves.
#[derive(Debug)]
pub struct Case {
    /// What the test says, in a sentence.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// Who asks.
    pub caller: Option<String>,
    /// The purpose that is stated, if one is.
    pub purpose: Option<String>,
    /// The method of the request.
    pub method: String,
    /// Its path and query, as they would be sent.
    pub target: String,
    /// The host it is for.
    pub host: Option<String>,
    /// The day on which it is made; none is the day of the test run.
    pub today: Option<Date>,
    /// The body of the upstream's answer, byte for byte.
    pub upstream_body: Vec<u8>,
    /// Its media type, as a `Content-Type` says it.
    pub upstream_media: String,
    /// Its other headers, name and value.
    pub upstream_headers: Vec<(String, String)>,
    /// What is claimed.
    pub claims: Vec<Claim>,
}

impl Case {
    /// The denial or refusal that the case claims, if it does, and where it says so.
    pub fn refused(&self) -> Option<(&Place, Reason)> {
        self.claims.iter().find_map(|claim| match claim.says {
            Says::Refused(reason) => Some((&claim.at, reason)),
            Says::Is(..)
            | Says::Matches(..)
            | Says::Output(_)
            | Says::Absent(_)
            | Says::Never(_)
            | Says::Same(_)
            | Says::Differs(_)
            | Says::Header(..)
            | Says::HeaderMatches(..) => None,
        })
    }
}

/// A claim, and where it stands.
#[derive(Debug)]
pub struct Claim {
    /// Where it stands.
    pub at: Place,
    /// What it says.
    pub says: Says,
}

/// What a [`Claim`] says.
#[derive(Debug)]
pub enum Says {
    /// The path selects exactly one node, and it is this value; numbers compare by value. Where a body
    /// holds many documents, it is as an array of them.
    Is(Path, Value),
    /// The path selects at least one node, and all are strings that match.
    Matches(Path, Regex),
    /// The whole body is this text, byte for byte.
    Output(String),
    /// The path selects nothing.
    Absent(Path),
    /// The text stands nowhere in the body, in no decoded string or name of it, and in no header.
    Never(String),
    /// The paths together select at least two nodes, and all are equal.
    Same(Vec<Path>),
    /// The paths together select at least two nodes, and no two are equal.
    Differs(Vec<Path>),
    /// The header has these values, line by line; none if it does not leave.
    Header(String, Vec<String>),
    /// The header leaves, and each line of it matches.
    HeaderMatches(String, Regex),
    /// The request is denied, or the response refused, for this reason.
    Refused(Reason),
}

/// Reads one test file.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    source: usize,
    root: Option<&Node>,
    files: &FixtureFiles<'_>,
) -> Suite {
    let mut suite = Suite { source, cases: Vec::new() };
    let start = reader.place(&(0..0));
    let root = match root {
        Some(Node { kind: Kind::Scalar(scalar), .. }) if scalar.is_absent() => None,
        root => root,
    };
    let Some(root) = root else {
        reader.report(Finding::error("empty-file", start, "nothing is written in this file"));
        return suite;
    };
    let Some(fields) = reader.fields(root, "a test file", &["fixtures", "tests"]) else {
        return suite;
    };
    let mut documents = Documents::default();
    let fixtures = fields.get("fixtures").and_then(|node| reader.members(node, "`fixtures`"));
    for (key, node) in fixtures.unwrap_or_default() {
        let fixture = if let Kind::Mapping(members) = &node.kind
            && let [(word, path)] = members.as_slice()
            && word.text == "file"
        {
            document::file(reader, path, files)
        } else {
            documents.document(reader, node, false)
        };
        documents.fixtures.insert(key.text.clone(), fixture);
    }
    let tests = fields.get("tests").and_then(|node| reader.items(node, "`tests`"));
    match tests {
        None | Some([]) => {
            reader.report(
                Finding::error("no-tests", start, "this file has no tests")
                    .help("write `tests:` and a list of tests, or remove the file"),
            );
        }
        Some(tests) => {
            suite.cases =
                tests.iter().filter_map(|node| case(reader, node, &mut documents)).collect();
        }
    }
    for (key, _) in fixtures.unwrap_or_default() {
        if !documents.used.contains(&key.text) {
            let at = reader.place(&key.span);
            let message = format!("no test uses the fixture `{}`", key.text);
            reader.report(Finding::note("fixture-not-used", at, message));
        }
    }
    suite
}

fn case(reader: &mut Reader<'_>, node: &Node, documents: &mut Documents) -> Option<Case> {
    const KEYS: [&str; 12] = [
        "name",
        "when",
        "upstream",
        "upstream_headers",
        "expect",
        "output",
        "absent",
        "never",
        "same",
        "differs",
        "headers",
        "refused",
    ];
    let at = reader.place(&node.span);
    let fields = reader.fields(node, "a test", &KEYS)?;
    let mut owner = At { value: "this test".to_owned(), at: at.clone() };
    let name = reader
        .required(&fields, "name", &owner, "say what the test is about, in a sentence")
        .and_then(|node| reader.text(node, "the name of a test"));
    if let Some(name) = &name {
        owner.at = name.at.clone();
    }
    let claims = claims(reader, &fields, &owner.at);
    let when = reader.required(
        &fields,
        "when",
        &owner,
        "say who asks for what: `when: { caller: NAME, purpose: NAME, request: GET /path }`",
    );
    let when = when.and_then(|node| when_asked(reader, node, &owner));
    let body = match fields.get("upstream") {
        Some(node) => documents.upstream(reader, node),
        None if fields.get("refused").is_some() => {
            Some((Vec::new(), "application/json".to_owned()))
        }
        None => {
            let help = "say what the upstream answers: `upstream: { .. }` or `upstream: { fixture: NAME }`";
            reader.required(&fields, "upstream", &owner, help);
            None
        }
    };
    let upstream_headers = fields.get("upstream_headers");
    let upstream_headers = upstream_headers.map(|node| upstream_headers_of(reader, node));
    let When { caller, purpose, method, target, host, today } = when?;
    let (upstream_body, upstream_media) = body?;
    Some(Case {
        name: name?.value,
        at: owner.at,
        caller,
        purpose,
        method,
        target,
        host,
        today,
        upstream_body,
        upstream_media,
        upstream_headers: upstream_headers.unwrap_or_default(),
        claims,
    })
}

/// Headers of the upstream's answer that the body itself decides.
const OF_THE_BODY: [&str; 4] =
    ["content-type", "content-length", "content-encoding", "transfer-encoding"];

fn upstream_headers_of(reader: &mut Reader<'_>, node: &Node) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (key, node) in reader.members(node, "`upstream_headers`").unwrap_or_default() {
        let name = reader.key(key);
        let lines = lines_of(reader, node);
        if !is_header_name(reader, &name) {
            continue;
        }
        if OF_THE_BODY.contains(&name.value.to_ascii_lowercase().as_str()) {
            let message = format!("`{}` follows from the body under `upstream`", name.value);
            reader.report(
                Finding::error("bad-header", name.at, message).help(
                    "a media type is said there: `upstream: { text: .., content_type: TYPE }`",
                ),
            );
            continue;
        }
        headers.extend(lines.into_iter().map(|line| (name.value.clone(), line)));
    }
    headers
}

/// The values of a header: one text, or a list of them, each a line of its own.
fn lines_of(reader: &mut Reader<'_>, node: &Node) -> Vec<String> {
    let items = match &node.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) | Kind::Mapping(_) => std::slice::from_ref(node),
    };
    let mut lines = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, "the value of a header") else { continue };
        if text.value.chars().any(|c| c.is_control() && c != '\t') {
            let message = "the value of a header is one line, without control characters";
            reader.report(Finding::error("bad-header", text.at, message));
            continue;
        }
        lines.push(text.value);
    }
    lines
}

/// What is claimed about a header that leaves, or does not (`null`).
fn header_claim(reader: &mut Reader<'_>, name: String, node: &Node) -> Option<Says> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.plain && scalar.text == "null" => {
            Some(Says::Header(name, Vec::new()))
        }
        Kind::Mapping(_) => {
            let fields = reader.fields(node, "what is claimed about a header", &["matches"])?;
            let Some(node) = fields.get("matches") else {
                if !fields.has_unknown() {
                    reader.wrong_kind(
                        node,
                        "a header",
                        "a text, a list, `null` or `{ matches: REGEX }`",
                    );
                }
                return None;
            };
            Some(Says::HeaderMatches(name, regex(reader, node)?))
        }
        Kind::Sequence(items) if items.is_empty() => {
            let at = reader.place(&node.span);
            reader.report(
                Finding::error("empty-list", at, "no value of the header is listed")
                    .help("write `null` for a header that does not leave"),
            );
            None
        }
        Kind::Scalar(_) | Kind::Sequence(_) => {
            let lines = lines_of(reader, node);
            (!lines.is_empty()).then_some(Says::Header(name, lines))
        }
    }
}

struct When {
    caller: Option<String>,
    purpose: Option<String>,
    method: String,
    target: String,
    host: Option<String>,
    today: Option<Date>,
}

fn when_asked(reader: &mut Reader<'_>, node: &Node, owner: &At<String>) -> Option<When> {
    let fields =
        reader.fields(node, "`when`", &["caller", "purpose", "request", "host", "today"])?;
    let mut text = |name: &str| {
        let node = fields.get(name)?;
        reader.text(node, &format!("`{name}`"))
    };
    let (caller, purpose, host, today) =
        (text("caller"), text("purpose"), text("host"), text("today"));
    let today = today.and_then(|text| {
        let date = text.value.parse::<Date>().ok().filter(|_| text.value.len() == 10);
        if date.is_none() {
            let message = format!("`{}` is not a day", text.value);
            reader.report(
                Finding::error("bad-date", text.at, message).help("write it as 2026-11-21"),
            );
        }
        date
    });
    let request = reader.required(
        &fields,
        "request",
        owner,
        "say what is asked for: `request: GET /path`",
    )?;
    let request = reader.text(request, "`request`")?;
    let Some((method, target)) = request.value.split_once(' ').filter(|(method, target)| {
        !method.is_empty() && target.starts_with('/') && !target.contains(' ')
    }) else {
        let message = format!("`{}` is not a request", request.value);
        reader.report(Finding::error("bad-request", request.at, message).help(
            "write method and path: `GET /customers/C-1042`; a space in it is written `%20`",
        ));
        return None;
    };
    Some(When {
        caller: caller.map(|text| text.value),
        purpose: purpose.map(|text| text.value),
        method: method.to_owned(),
        target: target.to_owned(),
        host: host.map(|text| text.value),
        today,
    })
}

fn claims(reader: &mut Reader<'_>, fields: &Fields<'_>, owner: &Place) -> Vec<Claim> {
    let mut claims = Vec::new();
    if let Some(node) = fields.get("expect") {
        for (key, node) in reader.members(node, "`expect`").unwrap_or_default() {
            let path = reader.path(&key.text, &key.span, key.verbatim);
            let says = path.and_then(|path| expected(reader, path.value, node));
            let at = reader.place(&key.span);
            claims.extend(says.map(|says| Claim { at, says }));
        }
    }
    if let Some(node) = fields.get("output") {
        let text = reader.text(node, "`output`");
        claims.extend(text.map(|text| Claim { at: text.at, says: Says::Output(text.value) }));
    }
    if let Some(node) = fields.get("absent") {
        let paths = paths(reader, node, "`absent`");
        claims.extend(
            paths.into_iter().map(|path| Claim { at: path.at, says: Says::Absent(path.value) }),
        );
    }
    if let Some(node) = fields.get("never") {
        for item in reader.items(node, "`never`").unwrap_or_default() {
            let text = reader.text(item, "a text that may never stand in the answer");
            claims.extend(text.map(|text| Claim { at: text.at, says: Says::Never(text.value) }));
        }
    }
    for (word, says) in [("same", Says::Same as fn(Vec<Path>) -> Says), ("differs", Says::Differs)]
    {
        if let Some(node) = fields.get(word) {
            let at = reader.place(&node.span);
            let paths = paths(reader, node, &format!("`{word}`"));
            let paths = paths.into_iter().map(|path| path.value).collect();
            claims.push(Claim { at, says: says(paths) });
        }
    }
    if let Some(node) = fields.get("headers") {
        for (key, node) in reader.members(node, "`headers`").unwrap_or_default() {
            let name = reader.key(key);
            if is_header_name(reader, &name) {
                let says = header_claim(reader, name.value, node);
                claims.extend(says.map(|says| Claim { at: name.at, says }));
            }
        }
    }
    let about_output = claims.first().map(|claim| claim.at.clone());
    if let Some(node) = fields.get("refused")
        && let Some(text) = reader.text(node, "`refused`")
    {
        if let Some(reason) = Reason::from_code(&text.value) {
            if let Some(other) = about_output {
                reader.report(
                    Finding::error(
                        "refused-and-more",
                        text.at.clone(),
                        "what is refused has no answer to claim more about",
                    )
                    .also(&other, "this claims something about the answer"),
                );
            }
            claims.push(Claim { at: text.at, says: Says::Refused(reason) });
        } else {
            let message = format!("`{}` is not a reason to refuse", text.value);
            let known = Reason::ALL.iter().map(|reason| reason.code());
            reader.report(
                Finding::error("unknown-reason", text.at, message).did_you_mean(&text.value, known),
            );
        }
    } else if claims.is_empty()
        && !["expect", "headers"].iter().any(|word| fields.get(word).is_some_and(has_members))
    {
        reader.report(
            Finding::error("claims-nothing", owner.clone(), "this test claims nothing").help(
                "add `expect`, `output`, `absent`, `never`, `same`, `differs`, `headers` or `refused`",
            ),
        );
    }
    claims
}

/// Whether something is written in a node: if it came to nothing, that has been reported.
fn has_members(node: &Node) -> bool {
    match &node.kind {
        Kind::Mapping(members) => !members.is_empty(),
        Kind::Sequence(_) | Kind::Scalar(_) => true,
    }
}

fn paths(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<At<Path>> {
    let mut paths = Vec::new();
    for item in reader.items(node, what).unwrap_or_default() {
        if let Some(scalar) = reader.scalar(item, "a path", "a text") {
            paths.extend(reader.path(&scalar.text, &item.span, scalar.verbatim));
        }
    }
    paths
}

fn regex(reader: &mut Reader<'_>, node: &Node) -> Option<Regex> {
    let text = reader.text(node, "`matches`")?;
    match Regex::new(&text.value) {
        Ok(regex) => Some(regex),
        Err(error) => {
            // The last line says what; the ones before draw a caret that ours stands for.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            let message = format!("this is not a regular expression: {why}");
            reader.report(Finding::error("bad-regex", text.at, message));
            None
        }
    }
}

fn expected(reader: &mut Reader<'_>, path: Path, node: &Node) -> Option<Says> {
    if let Kind::Mapping(members) = &node.kind
        && let [(key, node)] = members.as_slice()
        && key.text == "matches"
    {
        return regex(reader, node).map(|regex| Says::Matches(path, regex));
    }
    let value = Documents::default().document(reader, node, false)?;
    match serde_json::from_str(&value) {
        Ok(value) => Some(Says::Is(path, value)),
        Err(error) => {
            let at = reader.place(&node.span);
            let message = format!("this cannot be compared with an answer: {error}");
            reader.report(Finding::error("bad-document", at, message));
            None
        }
    }
}

/// Names in tests that no policy declares, where that is not what the test is about.
pub(crate) fn check_names(suites: &[Suite], policies: &Policies, findings: &mut Vec<Finding>) {
    for case in suites.iter().flat_map(|suite| &suite.cases) {
        let refused = case.refused().map(|(_, reason)| reason);
        if let Some(caller) = &case.caller
            && policies.caller_named(caller).is_none()
            && refused != Some(Reason::CallerUnknown)
        {
            let message = format!("the caller `{caller}` of this test is not declared");
            let known = policies.callers.iter().map(|caller| &*caller.name);
            findings.push(
                Finding::error("unknown-caller", case.at.clone(), message)
                    .did_you_mean(caller, known),
            );
        }
        if let Some(purpose) = &case.purpose
            && policies.purpose_named(purpose).is_none()
            && !matches!(refused, Some(Reason::PurposeUnknown | Reason::CallerUnknown))
        {
            let message = format!("the purpose `{purpose}` of this test is not declared");
            let known = policies.purposes.iter().map(|purpose| &*purpose.name);
            findings.push(
                Finding::error("unknown-purpose", case.at.clone(), message)
                    .did_you_mean(purpose, known),
            );
        }
    }
}
