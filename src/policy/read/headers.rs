//! The headers that an API lets through, by name.

use crate::{
    policy::{
        conditions::{is_condition, overrides_method},
        read::{WrittenApi, WrittenHeader},
        reader::{At, Reader},
    },
    source::{Finding, yaml::Node},
};

/// Request headers that tamis itself has to decide about, whatever a policy says: those that belong to
/// one connection or one framing, credentials that end here, and those that change method or URL.
const REQUEST_NEVER: [&str; 32] = [
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
    "http-method-override",
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
    "x-envoy-original-path",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-http-verb",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
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
            // To a program behind CGI, WSGI or Rack `_` and `-` are the same (RFC 3875, section 4.1.18).
            let meant = lower.replace('_', "-");
            if REQUEST_NEVER.contains(&meant.as_str()) {
                never(reader, &name, "tamis decides about it itself");
            } else if meant != lower && is_condition(&meant) {
                never(reader, &name, "many upstreams take it for a condition: write it with `-`");
            } else if overrides_method(&meant) {
                never(
                    reader,
                    &name,
                    "the upstream would carry out another method than the one that was decided about",
                );
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
