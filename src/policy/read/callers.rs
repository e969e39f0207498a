//! Callers as they are written, and how each is recognised.

use crate::policy::{
    finding::Finding,
    model::Identify,
    read::{Written, WrittenCaller},
    reader::{At, Reader},
    yaml::{Key, Node},
};

pub(super) fn caller(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
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
