//! Whatever lets something pass undecided, with the sentence that says why.

use crate::{
    policy::{
        model::Unclassified,
        reader::{Fields, Reader},
    },
    source::{
        Finding,
        yaml::{Kind, Node},
    },
};

pub(super) fn unclassified(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Unclassified {
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

/// `{ pass: { because: ".." } }`.
pub(super) fn pass(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<String> {
    let pass = passed(reader, node, what)?;
    because(reader, pass, "`pass`")
}

/// What stands behind `pass` in `{ pass: .. }`.
pub(super) fn passed<'n>(reader: &mut Reader<'_>, node: &'n Node, what: &str) -> Option<&'n Node> {
    let wanted = "`{ pass: { because: \"..\" } }`";
    if !matches!(node.kind, Kind::Mapping(_)) {
        reader.wrong_kind(node, what, wanted);
        return None;
    }
    let fields = reader.fields(node, what, &["pass"])?;
    let pass = fields.get("pass");
    if pass.is_none() && !fields.has_unknown() {
        reader.wrong_kind(node, what, wanted);
    }
    pass
}

/// `{ because: ".." }`: required wherever the language lets something pass undecided.
pub(super) fn because(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<String> {
    let fields = reader.fields(node, what, &["because"])?;
    because_in(reader, &fields, node, what)
}

pub(super) fn because_in(
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
