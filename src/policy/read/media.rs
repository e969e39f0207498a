//! Media types that a route lets pass as they are.

use crate::{
    policy::{
        framing::{Framing, is_called_json, is_grpc},
        read::{
            WrittenMedia,
            because::{because_in, passed},
            names::names,
        },
        reader::{At, Reader},
    },
    source::{
        Finding,
        yaml::{Key, Node},
    },
};

/// `media: { TYPE: { pass: { because: "..", purposes: [NAME] } } }` of a route.
pub(super) fn media(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<WrittenMedia> {
    let members = reader.members(node, &format!("`media` of {what}")).unwrap_or_default();
    members.iter().filter_map(|(key, node)| one(reader, key, node)).collect()
}

fn one(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<WrittenMedia> {
    let what = format!("`{}`", key.text);
    let pass = passed(reader, node, &what);
    let media = media_type(reader, key)?;
    let pass = pass?;
    let fields = reader.fields(pass, "`pass`", &["because", "purposes"])?;
    let purposes = fields.get("purposes").map(|node| names(reader, node, &what, "purpose"));
    let because = because_in(reader, &fields, pass, "`pass`")?;
    Some(WrittenMedia { media, because, purposes })
}

/// A media type that is neither sieved nor known to hold JSON; what is wrong with it is reported.
fn media_type(reader: &mut Reader<'_>, key: &Key) -> Option<At<String>> {
    let media = key.text.to_ascii_lowercase();
    let at = reader.place(&key.span);
    let token = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    let well_formed = media.split_once('/').is_some_and(|(kind, name)| token(kind) && token(name));
    let (message, help) = if !well_formed {
        (
            format!("`{}` is not a media type", key.text),
            "write type and subtype, without parameters and without `*`: \"text/csv\"",
        )
    } else if let Some(framing) = Framing::of(&media) {
        let is_json = if framing == Framing::Document { "is JSON" } else { "holds JSON" };
        (
            format!("`{}` {is_json}: it is sieved, and cannot pass as it is", key.text),
            "classify its fields; for what you do not know, see `unclassified: keep`",
        )
    } else if is_grpc(&media) {
        (
            format!("`{}` cannot pass: what became of a call stands in its trailers", key.text),
            "trailers never leave; `application/grpc-web` has no need of them",
        )
    } else if is_called_json(&media) {
        (
            format!(
                "`{}` holds JSON, by its name: it would pass unread, and tamis does not know how to sieve it",
                key.text
            ),
            "let the upstream call it by a type that is sieved, such as `application/json` or `application/x-ndjson`; a route that carries nothing personal can have `pass`",
        )
    } else {
        return Some(At { value: media, at });
    };
    reader.report(Finding::error("bad-media", at, message).help(help));
    None
}
