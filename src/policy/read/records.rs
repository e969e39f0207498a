//! Records as they are written, and every other list of paths that classify.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::{
    path::NAME_BYTES_MAX,
    policy::{
        model::{Delta, Unclassified},
        read::{
            ClassName, Classified, Written, WrittenNames, WrittenRecord, because::unclassified,
            written::set_beside_kept,
        },
        reader::{At, Fields, Reader},
    },
    source::{
        Finding,
        yaml::{Key, Kind, Node},
    },
};

pub(super) fn record(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    reader.check_name(&name, "a record");
    let what = format!("the record `{}`", key.text);
    let mut record = WrittenRecord { name, fields: Vec::new(), unclassified: Unclassified::Drop };
    if let Some(fields) = reader.fields(node, &what, &["fields", "embedded", "unclassified"]) {
        let owner = At { value: what.clone(), at: record.name.at.clone() };
        let help = "say what the record is made of: `fields: { $.email: CATEGORY }`";
        // A record may be made of nothing but texts that hold JSON.
        let node = match fields.get("embedded") {
            None => reader.required(&fields, "fields", &owner, help),
            Some(_) => fields.get("fields"),
        };
        record.fields = node
            .map_or_else(Vec::new, |node| classified(reader, node, &format!("`fields` of {what}")));
        record.fields.extend(embedded(reader, &fields, &what));
        record.unclassified = unclassified(reader, &fields);
        set_beside_kept(&mut record.fields, &record.unclassified);
    }
    written.records.push(record);
}

/// A mapping of paths to what is there.
pub(super) fn classified(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<Classified> {
    let members = reader.members(node, what).unwrap_or_default();
    let mut lines: Vec<Classified> = Vec::with_capacity(members.len());
    // The lines by their paths: of each the first one.
    let mut paths: HashTable<usize> = HashTable::with_capacity(members.len());
    let hashes = RandomState::default();
    for (key, node) in members {
        let path = reader.path(&key.text, &key.span, key.verbatim);
        let class = class(reader, node);
        let (Some(path), Some(Said { class, names, delta })) = (path, class) else { continue };
        let path_of = |line: &usize| lines.get(*line).map(|line| &line.path.value);
        let hash = hashes.hash_one(&path.value);
        let first = paths.find(hash, |line| path_of(line) == Some(&path.value));
        if let Some(first) = first.and_then(|line| lines.get(*line)) {
            let message = format!("`{}` is classified twice, spelled in two ways", path.value);
            let finding = Finding::warning("duplicate-path", path.at.clone(), message)
                .also(&first.path.at, "first classified here");
            reader.report(finding.help("keep one of them: the stricter action is carried out"));
        } else {
            let hash_of = |line: &usize| path_of(line).map_or(0, |path| hashes.hash_one(path));
            paths.insert_unique(hash, lines.len(), hash_of);
        }
        lines.push(Classified {
            path,
            spelled: key.text.clone(),
            class,
            names,
            delta,
            embedded: false,
            beside_kept: false,
        });
    }
    lines
}

/// Paths of texts that hold JSON, and what is in it.
pub(super) fn embedded(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    what: &str,
) -> Vec<Classified> {
    let Some(node) = fields.get("embedded") else { return Vec::new() };
    let mut lines = classified(reader, node, &format!("`embedded` of {what}"));
    for line in &mut lines {
        line.embedded = true;
    }
    lines
}

/// What is said about a path.
struct Said {
    class: ClassName,
    names: Option<At<WrittenNames>>,
    delta: Delta,
}

/// Most names that a line lists: as many as a path may spell.
const NAMES_MAX: usize = 1000;

/// What the names are: a category, or a list. What is neither is reported, and is as a list of none.
fn names_said(reader: &mut Reader<'_>, node: &Node) -> At<WrittenNames> {
    let at = reader.place(&node.span);
    let Kind::Sequence(items) = &node.kind else {
        let category = reader.text(node, "the category of `names`");
        let nothing = WrittenNames::Listed(Vec::new());
        let value = category.map_or(nothing, |name| WrittenNames::Category(name.value));
        return At { value, at };
    };
    if items.len() > NAMES_MAX {
        let message = format!("more than {NAMES_MAX} names are listed");
        let help = "names that are so many are data: give them a category";
        reader.report(Finding::error("bad-names", at.clone(), message).help(help));
        return At { value: WrittenNames::Listed(Vec::new()), at };
    }
    let mut listed: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let Some(At { value: name, at }) = reader.text(item, "a name of `names`") else { continue };
        if name.len() > NAME_BYTES_MAX {
            let message = format!("a name of more than {NAME_BYTES_MAX} bytes is not compared");
            reader.report(Finding::error("bad-names", at, message));
        } else if listed.contains(&name) {
            let message = format!("the name `{name}` is listed twice");
            reader.report(Finding::error("listed-twice", at, message));
        } else {
            listed.push(name);
        }
    }
    if items.is_empty() {
        let message = "the list of names is empty";
        let help = "list the names that the objects there have, or take `names` out";
        reader.report(Finding::error("empty-list", at.clone(), message).help(help));
    }
    At { value: WrittenNames::Listed(listed), at }
}

fn class(reader: &mut Reader<'_>, node: &Node) -> Option<Said> {
    if matches!(node.kind, Kind::Scalar(_)) {
        let name = reader.text(node, "the category or record of a path")?;
        return Some(Said { class: ClassName::Either(name), names: None, delta: Delta::Unsaid });
    }
    if matches!(node.kind, Kind::Sequence(_)) {
        reader.wrong_kind(node, "what a path selects", "one category or one record");
        return None;
    }
    let fields =
        reader.fields(node, "what a path selects", &["category", "record", "names", "delta"])?;
    let names = fields.get("names").map(|node| names_said(reader, node));
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
                .help("for example `{ category: contact.email, names: [home, work] }`"),
            );
            return None;
        }
    };
    let delta = fields.get("delta").map_or(Delta::Unsaid, |node| delta(reader, node));
    if delta != Delta::Unsaid && matches!(class, ClassName::Record(_)) {
        let at = reader.place(&node.span);
        reader.report(
            Finding::error("bad-delta", at, "a record does not come in pieces, only a value does")
                .help("say `delta` at the path of the value, inside the record"),
        );
    }
    Some(Said { class, names, delta })
}

/// Whether a value comes in pieces, and what becomes of them.
fn delta(reader: &mut Reader<'_>, node: &Node) -> Delta {
    let at = reader.place(&node.span);
    match reader.word(node, "`delta`") {
        Some("none") => return Delta::None,
        Some("drop") => return Delta::Drop,
        Some("hold") => reader.not_yet("delta: hold", at),
        Some(other) => {
            let message = format!("`{other}` is not what can become of pieces");
            reader.report(
                Finding::error("unknown-word", at, message)
                    .help("write `delta: drop`, or `delta: none` if the value always comes whole"),
            );
        }
        None => {}
    }
    Delta::Unsaid
}
