//! Records as they are written, and every other list of paths that classify.

use std::collections::HashMap;

use crate::{
    path::Path,
    policy::{
        finding::{Finding, Place},
        model::Unclassified,
        read::{
            ClassName, Classified, Written, WrittenRecord, because::unclassified,
            written::set_beside_kept,
        },
        reader::{At, Reader},
        yaml::{Key, Kind, Node},
    },
};

pub(super) fn record(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
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
        set_beside_kept(&mut record.fields, &record.unclassified);
    }
    written.records.push(record);
}

/// A mapping of paths to what is there.
pub(super) fn classified(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<Classified> {
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
        lines.push(Classified {
            path,
            spelled: key.text.clone(),
            class,
            names,
            beside_kept: false,
        });
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
