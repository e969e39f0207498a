//! What an API lets pass beside its bodies: headers by name, and media types that are not JSON.

use crate::policy::{
    finding::Finding,
    framing::Framing,
    read::{WrittenApi, because::pass},
    reader::{At, Reader},
    yaml::Node,
};

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

pub(super) fn headers(reader: &mut Reader<'_>, node: &Node, api: &mut WrittenApi) {
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

pub(super) fn media(reader: &mut Reader<'_>, node: &Node, api: &mut WrittenApi) {
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
        } else if let Some(framing) = Framing::of(&media) {
            let is_json = if framing == Framing::Document { "is JSON" } else { "holds JSON" };
            let message =
                format!("`{}` {is_json}: it is sieved, and cannot pass as it is", key.text);
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
