//! Callers as they are written, and how each is recognised.

use crate::{
    policy::{
        model::Identify,
        read::{
            names::names,
            written::{Written, WrittenCaller},
        },
        reader::{At, Reader, name_problem},
    },
    source::{
        Finding,
        yaml::{Key, Node},
    },
};

pub(super) fn caller(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    reader.check_name(&name, "a caller");
    let what = format!("the caller `{}`", key.text);
    let mut caller = WrittenCaller { name, identify: None, purposes: Vec::new(), apis: None };
    if let Some(fields) = reader.fields(node, &what, &["identify", "purposes", "apis"]) {
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
        let purposes = purposes.map(|node| names(reader, node, &what, "purpose"));
        caller.purposes = purposes.unwrap_or_default();
        caller.apis = fields.get("apis").map(|node| names(reader, node, &what, "API"));
    }
    written.callers.push(caller);
}

fn identify(reader: &mut Reader<'_>, node: &Node) -> Option<At<Identify>> {
    let at = reader.place(&node.span);
    let fields = reader.fields(node, "`identify`", &["api_key", "sidecar"])?;
    match (fields.get("api_key"), fields.get("sidecar")) {
        (Some(node), None) => {
            const HELP: &str = "this is the name of a key, never the key itself: write the name that the settings have for it under `api_keys`, such as `desk-2026`";
            let At { value: name, at: place } = reader.text(node, "the name of an API key")?;
            if name_problem(&name, "an API key", &[&name]).is_some() {
                // Neither the text nor a name made of it is repeated: it may be a key.
                let message = "this is not the name of an API key";
                reader.report(Finding::error("bad-name", place, message).help(HELP));
                return None;
            }
            if looks_like_a_key(&name) {
                let message = "this looks like an API key, and should be the name of one";
                reader.report(Finding::warning("looks-like-a-key", place.clone(), message).help(
                    "whoever reads the policies knows the key: replace it, and write its name here",
                ));
            }
            Some(At { value: Identify::ApiKey(name), at: place })
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

/// Shortest run of letters and digits that is more like a key than like a name.
const KEY_RUN_MIN: usize = 20;

/// Whether a name is more like a key: a long run of letters and digits by chance, or a UUID.
fn looks_like_a_key(name: &str) -> bool {
    let is_mixed = |run: &str| {
        run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let is_hex = |run: &str| run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut runs = name.split(['-', '_']);
    let is_long = runs.any(|run| run.len() >= KEY_RUN_MIN && is_mixed(run));
    let runs: Vec<&str> = name.split('-').collect();
    let is_uuid =
        runs.iter().map(|run| run.len()).eq([8, 4, 4, 4, 12]) && runs.into_iter().all(is_hex);
    is_long || is_uuid
}
