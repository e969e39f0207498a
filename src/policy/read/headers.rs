//! What an API lets pass beside its bodies: headers by name, and media types that are not JSON.

use crate::policy::{
    finding::Finding,
    framing::{Framing, is_called_json, is_grpc},
    read::{WrittenApi, WrittenHeader, because::pass},
    reader::{At, Reader},
    yaml::Node,
};

/// Request headers that tamis itself has to decide about, whatever a policy says: those that belong to
/// one connection or one framing, credentials that end here, and those that change method or URL.
const REQUEST_NEVER: [&str; 34] = [
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

/// Response headers that no policy can let through, by the reason.
const RESPONSE_NEVER: [(&str, &[&str]); 5] = [
    (
        "it belongs to one connection, or says where the message ends",
        &[
            "connection",
            "content-length",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authentication-info",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ],
    ),
    (
        "tamis writes it itself",
        &[
            "age",
            "api-key",
            "cache-control",
            "cdn-cache-control",
            "content-encoding",
            "content-type",
            "data-purpose",
            "date",
            "expires",
            "pragma",
            "surrogate-control",
            "tamis-policy",
            "vary",
        ],
    ),
    (
        "it speaks of the bytes that the upstream sent, and others leave",
        &[
            "accept-ranges",
            "content-digest",
            "content-md5",
            "content-range",
            "digest",
            "etag",
            "last-modified",
            "repr-digest",
            "signature",
            "signature-input",
            "want-content-digest",
            "want-digest",
            "want-repr-digest",
        ],
    ),
    (
        "`cors` of the api says which pages may read what a browser is given",
        &[
            "access-control-allow-credentials",
            "access-control-allow-headers",
            "access-control-allow-methods",
            "access-control-allow-origin",
            "access-control-allow-private-network",
            "access-control-expose-headers",
            "access-control-max-age",
        ],
    ),
    (
        "it would lead clients, or a proxy on the way, past tamis",
        &[
            "alt-svc",
            "alt-used",
            "x-accel-buffering",
            "x-accel-charset",
            "x-accel-expires",
            "x-accel-limit-rate",
            "x-accel-redirect",
            "x-lighttpd-send-file",
            "x-sendfile",
            "x-sendfile2",
        ],
    ),
];

pub(super) fn headers(reader: &mut Reader<'_>, node: &Node, api: &mut WrittenApi) {
    let Some(fields) = reader.fields(node, "`headers`", &["request", "response"]) else { return };
    if let Some(node) = fields.get("request") {
        for item in reader.items(node, "`headers.request`").unwrap_or_default() {
            let name = reader.text(item, "the name of a header");
            let Some(name) = name.filter(|name| is_name(reader, name)) else { continue };
            let lower = name.value.to_ascii_lowercase();
            if REQUEST_NEVER.contains(&lower.as_str()) {
                never(reader, &name, "tamis decides about it itself");
            } else {
                api.request_headers.push(lower);
            }
        }
    }
    if let Some(node) = fields.get("response") {
        for (key, node) in reader.members(node, "`headers.response`").unwrap_or_default() {
            let name = reader.key(key);
            let category = reader.text(node, "the category of a header");
            if !is_name(reader, &name) {
                continue;
            }
            let lower = name.value.to_ascii_lowercase();
            let listed = RESPONSE_NEVER.iter().find(|(_, names)| names.contains(&lower.as_str()));
            if let Some((why, _)) = listed {
                never(reader, &name, why);
            } else if let Some(category) = category {
                api.response_headers.push(WrittenHeader { name, category });
            }
        }
    }
}

fn never(reader: &mut Reader<'_>, name: &At<String>, why: &str) {
    let message = format!("`{}` cannot be let through: {why}", name.value);
    reader.report(Finding::error("bad-header", name.at.clone(), message));
}

/// Whether a text can be the name of a header; if not, it is reported.
pub(crate) fn is_name(reader: &mut Reader<'_>, name: &At<String>) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'+-.^_`|~".contains(c);
    let is_name = !name.value.is_empty() && name.value.chars().all(token);
    if !is_name {
        let message = format!("`{}` is not the name of a header", name.value);
        reader.report(Finding::error("bad-header", name.at.clone(), message));
    }
    is_name
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
        } else if is_grpc(&media) {
            let message =
                format!("`{}` cannot pass: what became of a call stands in its trailers", key.text);
            reader.report(
                Finding::error("bad-media", at, message)
                    .help("trailers never leave; `application/grpc-web` has no need of them"),
            );
        } else if is_called_json(&media) {
            let message = format!(
                "`{}` holds JSON, by its name: it would pass unread, and tamis does not know how to sieve it",
                key.text
            );
            reader.report(Finding::error("bad-media", at, message).help(
                "let the upstream call it by a type that is sieved, such as `application/json` or `application/x-ndjson`; a route that carries nothing personal can have `pass`",
            ));
        } else if let Some(because) = because {
            api.media.push((media, because));
        }
    }
}
