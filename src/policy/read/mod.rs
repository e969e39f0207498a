//! Policy files as they are written: every key known, every value of its kind, names not yet looked up.
//!
//! What one file can say wrong by itself is found here; what takes all files together, in `check`.

mod apis;
mod because;
mod callers;
mod categories;
mod cors;
mod headers;
mod media;
mod names;
mod purposes;
mod records;
mod routes;
mod written;

use crate::{
    policy::{
        action,
        reader::{Fields, Reader},
    },
    source::{
        Finding, Place,
        yaml::{Key, Kind, Node},
    },
};

pub(crate) use headers::is_name as is_header_name;
pub(crate) use written::{
    ClassName, Classified, Written, WrittenApi, WrittenCaller, WrittenCategory, WrittenHeader,
    WrittenMedia, WrittenNames, WrittenParameter, WrittenPurpose, WrittenRecord, WrittenRoute,
    WrittenRules,
};

/// The version of the language that this program reads.
const LANGUAGE_VERSION: &str = "1";

const SECTIONS: [&str; 7] =
    ["tamis", "categories", "purposes", "callers", "records", "apis", "rules"];

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
        categories::category(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "purposes") {
        purposes::purpose(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "callers") {
        callers::caller(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "records") {
        records::record(reader, key, node, written);
    }
    for (key, node) in section(reader, &fields, "apis") {
        apis::api(reader, key, node, written);
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
