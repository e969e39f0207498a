//! Policy files as they are written: every key known, every value of its kind, names not yet looked up.
//!
//! What one file can say wrong by itself is found here; what takes all files together, in `check`.

use std::collections::HashMap;

use crate::path::Path;
use crate::transform::Action;

use super::action;
use super::finding::{Finding, Place};
use super::model::{Art9, Identify, LegalBasis, Method, ParameterRule, Unclassified};
use super::reader::{At, Fields, Reader};
use super::yaml::{Key, Kind, Node};

/// The version of the language that this program reads.
const LANGUAGE_VERSION: &str = "1";

const SECTIONS: [&str; 7] =
    ["tamis", "categories", "purposes", "callers", "records", "apis", "rules"];

/// Everything that the policy files declare, in the order of the files.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) categories: Vec<WrittenCategory>,
    pub(crate) purposes: Vec<WrittenPurpose>,
    pub(crate) callers: Vec<WrittenCaller>,
    pub(crate) records: Vec<WrittenRecord>,
    pub(crate) apis: Vec<WrittenApi>,
    pub(crate) rules: Vec<WrittenRules>,
}

pub(crate) struct WrittenCategory {
    pub(crate) name: At<String>,
    pub(crate) title: String,
    pub(crate) special: bool,
    pub(crate) few_values: bool,
}

pub(crate) struct WrittenPurpose {
    pub(crate) name: At<String>,
    pub(crate) title: String,
    /// Any, if what is written there is wrong, and reported.
    pub(crate) legal_basis: LegalBasis,
    pub(crate) art9: Option<Art9>,
    /// Whether `art9` is written, rightly or not.
    pub(crate) declares_art9: bool,
    pub(crate) owner: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) dpv: Option<String>,
}

pub(crate) struct WrittenCaller {
    pub(crate) name: At<String>,
    pub(crate) identify: Option<At<Identify>>,
    pub(crate) purposes: Vec<At<String>>,
}

pub(crate) struct WrittenRecord {
    pub(crate) name: At<String>,
    pub(crate) fields: Vec<Classified>,
    pub(crate) unclassified: Unclassified,
}

/// One line that classifies: a path, and what is there.
pub(crate) struct Classified {
    pub(crate) path: At<Path>,
    /// The path as it is written.
    pub(crate) spelled: String,
    pub(crate) class: ClassName,
    pub(crate) names: Option<At<String>>,
}

pub(crate) enum ClassName {
    /// A word: a category or a record.
    Either(At<String>),
    Category(At<String>),
    Record(At<String>),
}

pub(crate) struct WrittenApi {
    pub(crate) name: At<String>,
    pub(crate) hosts: Vec<At<String>>,
    /// Whether `host` is written at all, rightly or not.
    pub(crate) names_host: bool,
    pub(crate) routes: Vec<WrittenRoute>,
    pub(crate) request_headers: Vec<String>,
    pub(crate) response_headers: Vec<String>,
    pub(crate) media: Vec<(String, String)>,
    pub(crate) unclassified: Unclassified,
}

pub(crate) struct WrittenRoute {
    pub(crate) at: Place,
    pub(crate) method: Method,
    pub(crate) pattern: At<String>,
    pub(crate) parameters: Vec<(At<String>, WrittenParameter)>,
    /// Set if `params` itself could be read, so that a parameter missing in it is really missing.
    pub(crate) parameters_known: bool,
    pub(crate) body: Vec<Classified>,
    pub(crate) request_body: Option<String>,
}

pub(crate) enum WrittenParameter {
    Category(At<String>),
    Rule(ParameterRule),
    /// Wrong, and reported.
    Wrong,
}

pub(crate) struct WrittenRules {
    pub(crate) purpose: At<String>,
    pub(crate) rules: Vec<(At<String>, At<Action>)>,
}

/// Reads one policy file into `written`.
pub(crate) fn read(reader: &mut Reader<'_>, root: Option<&Node>, written: &mut Written) {
    let start = reader.place(&(0..0));
    let root = match root {
        Some(Node { kind: Kind::Scalar(scalar), .. }) if scalar.is_absent() => None,
        root => root,
    };
    let Some(root) = root else {
        reader.report(
            Finding::error("empty-file", start, "nothing is written in this file")
                .help("a policy file begins with `tamis: 1`; remove the file if it is not needed"),
        );
        return;
    };
    let Some(fields) = reader.fields(root, "a policy file", &SECTIONS) else { return };
    version(reader, root, start);
    for (key, node) in section(reader, &fields, "categories") {
        category(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "purposes") {
        purpose(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "callers") {
        caller(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "records") {
        record(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "apis") {
        api(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "rules") {
        rules(reader, key, node, written);
    }
}

fn version(reader: &mut Reader<'_>, root: &Node, start: Place) {
    const HELP: &str =
        "the first line says which version of the language it is written in: `tamis: 1`";
    let Kind::Mapping(members) = &root.kind else { return };
    let Some((key, node)) = members.iter().find(|(key, _)| key.text == "tamis") else {
        reader.report(
            Finding::error("no-version", start, "the file does not begin with `tamis: 1`")
                .help(HELP),
        );
        return;
    };
    if members.first().is_some_and(|(first, _)| first.text != "tamis") {
        let at = reader.place(&key.span);
        reader.report(Finding::error("no-version", at, "`tamis` has to come first").help(HELP));
    }
    let Some(scalar) = reader.scalar(node, "`tamis`", "the version of the language") else {
        return;
    };
    if !(scalar.plain && scalar.text == LANGUAGE_VERSION) {
        let at = reader.place(&node.span);
        let message =
            format!("`{}` is not a version of the language that can be read here", scalar.text);
        reader.report(Finding::error("unknown-version", at, message).help("write `tamis: 1`"));
    }
}

fn section<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, name: &str) -> &'n [(Key, Node)] {
    fields.get(name).and_then(|node| reader.members(node, &format!("`{name}`"))).unwrap_or_default()
}

fn category(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    check_category_name(reader, &name);
    let mut category =
        WrittenCategory { name, title: String::new(), special: false, few_values: false };
    let what = format!("the category `{}`", key.text);
    if matches!(node.kind, Kind::Scalar(_)) {
        let title = reader.text(node, &format!("the title of {what}"));
        category.title = title.map_or_else(String::new, |title| title.value);
    } else if matches!(node.kind, Kind::Sequence(_)) {
        reader.wrong_kind(node, &what, "a title, or `{ title: .. }`");
    } else if let Some(fields) = reader.fields(node, &what, &["title", "special", "few_values"]) {
        let owner = At { value: what.clone(), at: category.name.at.clone() };
        category.title = title(reader, &fields, &owner);
        let mut flag = |name: &str| {
            fields
                .get(name)
                .and_then(|node| reader.flag(node, &format!("`{name}`")))
                .unwrap_or(false)
        };
        category.special = flag("special");
        category.few_values = flag("few_values");
    }
    written.categories.push(category);
}

fn title(reader: &mut Reader<'_>, fields: &Fields<'_>, owner: &At<String>) -> String {
    reader
        .required(fields, "title", owner, "the title is what people read: say it in a few words")
        .and_then(|node| reader.text(node, &format!("the title of {}", owner.value)))
        .map_or_else(String::new, |title| title.value)
}

/// A category is a name with dots; each part is a name.
fn check_category_name(reader: &mut Reader<'_>, name: &At<String>) {
    if name.value == "public" {
        reader.report(
            Finding::error("reserved-name", name.at.clone(), "`public` is built in")
                .help("take it out: `public` can be used without being declared"),
        );
        return;
    }
    reader.check_dotted_name(name, "a category");
}

fn purpose(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    const KEYS: [&str; 6] = ["title", "legal_basis", "owner", "art9", "code", "dpv"];
    let name = reader.key(key);
    reader.check_name(&name, "a purpose");
    let what = format!("the purpose `{}`", key.text);
    let mut purpose = WrittenPurpose {
        name,
        title: String::new(),
        legal_basis: LegalBasis::Contract,
        art9: None,
        declares_art9: false,
        owner: None,
        code: None,
        dpv: None,
    };
    if let Some(fields) = reader.fields(node, &what, &KEYS) {
        let owner = At { value: what.clone(), at: purpose.name.at.clone() };
        purpose.title = title(reader, &fields, &owner);
        let legal_basis = reader
            .required(
                &fields,
                "legal_basis",
                &owner,
                "Art. 6 GDPR wants one: say which, for example `legal_basis: contract`",
            )
            .and_then(|node| legal_basis(reader, node));
        purpose.legal_basis = legal_basis.unwrap_or(purpose.legal_basis);
        let art9_node = fields.get("art9");
        purpose.declares_art9 = art9_node.is_some();
        purpose.art9 = art9_node.and_then(|node| art9(reader, node));
        let mut text = |name: &str| {
            let node = fields.get(name)?;
            reader.text(node, &format!("`{name}`")).map(|text| text.value)
        };
        purpose.owner = text("owner");
        purpose.code = text("code");
        purpose.dpv = text("dpv");
    }
    written.purposes.push(purpose);
}

fn legal_basis(reader: &mut Reader<'_>, node: &Node) -> Option<LegalBasis> {
    let text = reader.text(node, "`legal_basis`")?;
    match text.value.as_str() {
        "consent" => {
            reader.report(
                Finding::error("not-supported-yet", text.at, "`consent` is not supported yet as a legal basis")
                    .help("the consent of each person would have to be checked, and tamis cannot do that yet"),
            );
            None
        }
        "legitimate_interests" => {
            reader.report(
                Finding::error(
                    "not-supported-yet",
                    text.at,
                    "`legitimate_interests` is not supported yet as a legal basis",
                )
                .help("the people who objected would have to be left out, and tamis cannot do that yet"),
            );
            None
        }
        word => {
            let found = LegalBasis::from_word(word);
            if found.is_none() {
                reader.report(
                    Finding::error(
                        "unknown-word",
                        text.at,
                        format!("`{word}` is not a legal basis"),
                    )
                    .did_you_mean(word, LegalBasis::ALL.map(LegalBasis::word)),
                );
            }
            found
        }
    }
}

fn art9(reader: &mut Reader<'_>, node: &Node) -> Option<Art9> {
    let text = reader.text(node, "`art9`")?;
    let word = text.value.as_str();
    if word == "explicit_consent" {
        reader.report(
            Finding::error("not-supported-yet", text.at, "`explicit_consent` is not supported yet")
                .help("the consent of each person would have to be checked, and tamis cannot do that yet"),
        );
        return None;
    }
    let found = Art9::from_word(word);
    if found.is_none() {
        let message = format!("`{word}` is not an exception of Art. 9(2) GDPR");
        reader.report(
            Finding::error("unknown-word", text.at, message)
                .did_you_mean(word, Art9::ALL.map(Art9::word)),
        );
    }
    found
}

fn caller(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    reader.check_name(&name, "a caller");
    let what = format!("the caller `{}`", key.text);
    let mut caller = WrittenCaller { name, identify: None, purposes: Vec::new() };
    if let Some(fields) = reader.fields(node, &what, &["identify", "purposes"]) {
        let owner = At { value: what.clone(), at: caller.name.at.clone() };
        caller.identify = reader
            .required(
                &fields,
                "identify",
                &owner,
                "say how the caller is recognised: `identify: { api_key: NAME }`",
            )
            .and_then(|node| identify(reader, node));
        let purposes = reader.required(
            &fields,
            "purposes",
            &owner,
            "say what the caller may ask for: `purposes: [NAME]`",
        );
        if let Some(node) = purposes
            && let Some(items) = reader.items(node, &format!("the list of purposes of {what}"))
        {
            if items.is_empty() {
                let at = reader.place(&node.span);
                reader.report(Finding::error("empty-list", at, format!("{what} has no purpose")));
            }
            caller.purposes =
                items.iter().filter_map(|item| reader.text(item, "a purpose")).collect();
        }
    }
    written.callers.push(caller);
}

fn identify(reader: &mut Reader<'_>, node: &Node) -> Option<At<Identify>> {
    let at = reader.place(&node.span);
    let fields = reader.fields(node, "`identify`", &["api_key", "sidecar"])?;
    match (fields.get("api_key"), fields.get("sidecar")) {
        (Some(node), None) => {
            let key = reader.text(node, "the name of an API key")?;
            let at = key.at.clone();
            reader
                .check_name(&key, "an API key")
                .then_some(At { value: Identify::ApiKey(key.value), at })
        }
        (None, Some(node)) => {
            if reader.flag(node, "`sidecar`")? {
                return Some(At { value: Identify::Sidecar, at });
            }
            reader.report(
                Finding::error("bad-identify", at, "`sidecar: false` recognises nobody")
                    .help("say how the caller is recognised: `identify: { api_key: NAME }`"),
            );
            None
        }
        (None, None) if fields.has_unknown() => None,
        (None, None) | (Some(_), Some(_)) => {
            reader.report(
                Finding::error(
                    "bad-identify",
                    at,
                    "a caller is recognised in one way, and one only",
                )
                .help("write `identify: { api_key: NAME }` or `identify: { sidecar: true }`"),
            );
            None
        }
    }
}

fn record(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    reader.check_name(&name, "a record");
    let what = format!("the record `{}`", key.text);
    let mut record = WrittenRecord { name, fields: Vec::new(), unclassified: Unclassified::Drop };
    if let Some(fields) = reader.fields(node, &what, &["fields", "unclassified"]) {
        let owner = At { value: what.clone(), at: record.name.at.clone() };
        record.fields = reader
            .required(
                &fields,
                "fields",
                &owner,
                "say what the record is made of: `fields: { $.email: CATEGORY }`",
            )
            .map_or_else(Vec::new, |node| classified(reader, node, &format!("`fields` of {what}")));
        record.unclassified = unclassified(reader, &fields);
    }
    written.records.push(record);
}

/// A mapping of paths to what is there.
fn classified(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<Classified> {
    let mut lines: Vec<Classified> = Vec::new();
    let mut paths: HashMap<Path, Place> = HashMap::new();
    for (key, node) in reader.members(node, what).unwrap_or_default() {
        let path = reader.path(&key.text, &key.span, key.verbatim);
        let class = class(reader, node);
        let (Some(path), Some((class, names))) = (path, class) else { continue };
        if let Some(first) = paths.get(&path.value) {
            let message = format!("`{}` is classified twice, spelled in two ways", path.value);
            let finding = Finding::warning("duplicate-path", path.at.clone(), message)
                .also(first, "first classified here");
            reader.report(finding.help("keep one of them: the stricter action is carried out"));
        } else {
            paths.insert(path.value.clone(), path.at.clone());
        }
        lines.push(Classified { path, spelled: key.text.clone(), class, names });
    }
    lines
}

fn class(reader: &mut Reader<'_>, node: &Node) -> Option<(ClassName, Option<At<String>>)> {
    if matches!(node.kind, Kind::Scalar(_)) {
        let name = reader.text(node, "the category or record of a path")?;
        return Some((ClassName::Either(name), None));
    }
    if matches!(node.kind, Kind::Sequence(_)) {
        reader.wrong_kind(node, "what a path selects", "one category or one record");
        return None;
    }
    let fields = reader.fields(node, "what a path selects", &["category", "record", "names"])?;
    let names = fields.get("names").and_then(|node| reader.text(node, "the category of `names`"));
    let class = match (fields.get("category"), fields.get("record")) {
        (Some(node), None) => ClassName::Category(reader.text(node, "a category")?),
        (None, Some(node)) => ClassName::Record(reader.text(node, "a record")?),
        (None, None) if fields.has_unknown() => return None,
        (None, None) | (Some(_), Some(_)) => {
            let at = reader.place(&node.span);
            reader.report(
                Finding::error(
                    "bad-class",
                    at,
                    "either `category` or `record` has to stand here, and one only",
                )
                .help("for example `{ category: contact.email, names: public }`"),
            );
            return None;
        }
    };
    Some((class, names))
}

fn unclassified(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Unclassified {
    const HELP: &str =
        "write `unclassified: drop`, or `unclassified: { keep: { because: \"..\" } }`";
    let Some(node) = fields.get("unclassified") else { return Unclassified::Drop };
    let at = reader.place(&node.span);
    match &node.kind {
        Kind::Scalar(scalar) if scalar.text == "drop" => {}
        Kind::Scalar(scalar) if scalar.text == "keep" => reader.report(
            Finding::error(
                "no-because",
                at,
                "data that nobody classified leaves, and nothing says why",
            )
            .help("write `unclassified: { keep: { because: \"..\" } }`"),
        ),
        Kind::Scalar(scalar) if scalar.text == "detect" => {
            reader.not_yet("unclassified: detect", at);
        }
        Kind::Scalar(scalar) => {
            let message =
                format!("`{}` is nothing that can be done with unclassified data", scalar.text);
            reader.report(Finding::error("unknown-word", at, message).help(HELP));
        }
        Kind::Sequence(_) => reader.wrong_kind(node, "`unclassified`", "`drop` or `keep`"),
        Kind::Mapping(_) => {
            let because = reader
                .fields(node, "`unclassified`", &["keep"])
                .and_then(|fields| fields.get("keep"))
                .and_then(|node| because(reader, node, "`keep`"));
            if let Some(because) = because {
                return Unclassified::Keep { because };
            }
        }
    }
    Unclassified::Drop
}

/// `{ because: ".." }`: required wherever the language lets something pass undecided.
fn because(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<String> {
    let fields = reader.fields(node, what, &["because"])?;
    because_in(reader, &fields, node, what)
}

fn because_in(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    node: &Node,
    what: &str,
) -> Option<String> {
    let Some(because) = fields.get("because") else {
        let at = reader.place(&node.span);
        let message = format!("{what} lets something pass undecided, and nothing says why");
        reader.report(
            Finding::error("no-because", at, message)
                .help("write `because: \"..\"`, a sentence that `explain` shows"),
        );
        return None;
    };
    reader.text(because, "`because`").map(|text| text.value)
}

/// `{ pass: { because: ".." } }`.
fn pass(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<String> {
    let wanted = "`{ pass: { because: \"..\" } }`";
    if !matches!(node.kind, Kind::Mapping(_)) {
        reader.wrong_kind(node, what, wanted);
        return None;
    }
    let fields = reader.fields(node, what, &["pass"])?;
    let Some(pass) = fields.get("pass") else {
        if !fields.has_unknown() {
            reader.wrong_kind(node, what, wanted);
        }
        return None;
    };
    because(reader, pass, "`pass`")
}

fn api(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    const KEYS: [&str; 5] = ["host", "routes", "headers", "media", "unclassified"];
    let name = reader.key(key);
    reader.check_name(&name, "an API");
    let what = format!("the API `{}`", key.text);
    let mut api = WrittenApi {
        name,
        hosts: Vec::new(),
        names_host: false,
        routes: Vec::new(),
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        media: Vec::new(),
        unclassified: Unclassified::Drop,
    };
    if let Some(fields) = reader.fields(node, &what, &KEYS) {
        let owner = At { value: what.clone(), at: api.name.at.clone() };
        api.names_host = fields.get("host").is_some();
        api.hosts = fields.get("host").map_or_else(Vec::new, |node| hosts(reader, node));
        let routes = reader.required(
            &fields,
            "routes",
            &owner,
            "say what can be asked for: `routes: { GET /customers/{id}: .. }`",
        );
        if let Some(node) = routes {
            let members = reader.members(node, &format!("`routes` of {what}"));
            if members.is_some_and(<[_]>::is_empty) {
                let at = reader.place(&node.span);
                reader.report(Finding::error("empty-list", at, format!("{what} has no route")));
            }
            let members = members.unwrap_or_default();
            api.routes =
                members.iter().filter_map(|(key, node)| route(reader, key, node)).collect();
        }
        if let Some(node) = fields.get("headers") {
            headers(reader, node, &mut api);
        }
        if let Some(node) = fields.get("media") {
            media(reader, node, &mut api);
        }
        api.unclassified = unclassified(reader, &fields);
    }
    written.apis.push(api);
}

/// One name or a list of them.
fn hosts(reader: &mut Reader<'_>, node: &Node) -> Vec<At<String>> {
    let items = match &node.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) | Kind::Mapping(_) => std::slice::from_ref(node),
    };
    if items.is_empty() {
        let at = reader.place(&node.span);
        reader.report(Finding::error("empty-list", at, "no host is listed").help(
            "without `host`, the API takes the requests that no other API names the host of",
        ));
    }
    items.iter().filter_map(|item| host(reader, item)).collect()
}

fn host(reader: &mut Reader<'_>, node: &Node) -> Option<At<String>> {
    let mut host = reader.text(node, "a host")?;
    host.value.make_ascii_lowercase();
    let name = host.value.as_str();
    let help = "write the name alone, as in `crm.internal`";
    let problem = if name.contains("://") || name.contains('/') {
        Some("a host is not a URL")
    } else if name.contains('*') {
        Some("a host cannot contain `*`")
    } else if name.starts_with('[') {
        let inner = name.trim_start_matches('[').trim_end_matches(']');
        (inner.parse::<std::net::Ipv6Addr>().is_err() || !name.ends_with(']'))
            .then_some("this is not an IPv6 address in brackets")
    } else if name.contains(':') {
        Some("a host is written without its port")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        Some("a host is made of letters, digits, dots and hyphens")
    } else {
        None
    };
    match problem {
        None => Some(host),
        Some(problem) => {
            reader.report(Finding::error("bad-host", host.at, problem).help(help));
            None
        }
    }
}

fn route(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<WrittenRoute> {
    const KEYS: [&str; 3] = ["params", "body", "request_body"];
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
    let body = fields
        .get("body")
        .map_or_else(Vec::new, |node| classified(reader, node, &format!("`body` of {what}")));
    let request_body =
        fields.get("request_body").and_then(|node| pass(reader, node, "`request_body`"));
    let (method, pattern) = line?;
    Some(WrittenRoute { at, method, pattern, parameters, parameters_known, body, request_body })
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
    if let Some(problem) = pattern_problem(&pattern.value) {
        reader.report(Finding::error("bad-route", pattern.at, problem).help(HELP));
        return None;
    }
    Some((method?, pattern))
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
    if matches!(node.kind, Kind::Scalar(_)) {
        return reader
            .text(node, &format!("the category of {what}"))
            .map(WrittenParameter::Category);
    }
    let fields = reader.fields(node, &what, &["values", "because"])?;
    let Some(values) = fields.get("values") else {
        if !fields.has_unknown() {
            let at = reader.place(&node.span);
            let message = format!("{what} says nothing about its values");
            reader.report(
                Finding::error("missing-key", at, message)
                    .help("give it a category, or `{ values: [..], because: \"..\" }`"),
            );
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

/// Headers that tamis itself has to decide about, whatever a policy says: those that belong to one
/// connection or one framing, credentials that end here, and those that change method or URL.
const HEADERS_NEVER: [&str; 34] = [
    "accept",
    "accept-encoding",
    "api-key",
    "connection",
    "content-encoding",
    "content-length",
    "data-purpose",
    "etag",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

fn headers(reader: &mut Reader<'_>, node: &Node, api: &mut WrittenApi) {
    let Some(fields) = reader.fields(node, "`headers`", &["request", "response"]) else { return };
    if let Some(node) = fields.get("request") {
        for item in reader.items(node, "`headers.request`").unwrap_or_default() {
            if let Some(name) = reader.text(item, "the name of a header") {
                api.request_headers.extend(header_name(reader, &name));
            }
        }
    }
    if let Some(node) = fields.get("response") {
        for (key, node) in reader.members(node, "`headers.response`").unwrap_or_default() {
            let name = reader.key(key);
            let name = header_name(reader, &name);
            let Some(category) = reader.text(node, "the category of a header") else { continue };
            if category.value == "public" {
                api.response_headers.extend(name);
            } else {
                let message = "a header of a category other than `public` is not supported yet";
                reader.report(
                    Finding::error("not-supported-yet", category.at, message)
                        .help("a header that is not listed is removed: take the line out"),
                );
            }
        }
    }
}

fn header_name(reader: &mut Reader<'_>, name: &At<String>) -> Option<String> {
    let lower = name.value.to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let problem = if !lower.chars().all(token) || lower.contains('*') {
        format!("`{}` is not the name of a header", name.value)
    } else if HEADERS_NEVER.contains(&lower.as_str()) {
        format!("`{}` cannot be let through: tamis decides about it itself", name.value)
    } else {
        return Some(lower);
    };
    reader.report(Finding::error("bad-header", name.at.clone(), problem));
    None
}

fn media(reader: &mut Reader<'_>, node: &Node, api: &mut WrittenApi) {
    for (key, node) in reader.members(node, "`media`").unwrap_or_default() {
        let because = pass(reader, node, &format!("`{}`", key.text));
        let media = key.text.to_ascii_lowercase();
        let at = reader.place(&key.span);
        let token = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
        };
        let well_formed =
            media.split_once('/').is_some_and(|(kind, name)| token(kind) && token(name));
        if !well_formed {
            let message = format!("`{}` is not a media type", key.text);
            reader.report(
                Finding::error("bad-media", at, message).help(
                    "write type and subtype, without parameters and without `*`: \"text/csv\"",
                ),
            );
        } else if media == "application/json" || media == "text/json" || media.ends_with("+json") {
            let message = format!("`{}` is JSON: it is sieved, and cannot pass as it is", key.text);
            reader.report(
                Finding::error("bad-media", at, message).help(
                    "classify its fields; for what you do not know, see `unclassified: keep`",
                ),
            );
        } else if let Some(because) = because {
            api.media.push((media, because));
        }
    }
}

fn rules(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let purpose = reader.key(key);
    let members =
        reader.members(node, &format!("the rules for `{}`", key.text)).unwrap_or_default();
    let mut rules = Vec::new();
    for (key, node) in members {
        if let Some(action) = action::read(reader, node) {
            rules.push((reader.key(key), action));
        }
    }
    written.rules.push(WrittenRules { purpose, rules });
}
