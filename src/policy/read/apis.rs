//! APIs as they are written, with their hosts.

use crate::{
    policy::{
        host::without_dot,
        model::Unclassified,
        read::{
            Written, WrittenApi, WrittenRoute, because::unclassified, cors::cors, headers::headers,
            media::media, routes::route, written::set_beside_kept,
        },
        reader::{At, Reader},
    },
    source::{
        Finding, named,
        yaml::{Key, Kind, Node},
    },
};

pub(super) fn api(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    const KEYS: [&str; 6] = ["host", "routes", "headers", "media", "cors", "unclassified"];
    let name = reader.key(key);
    reader.check_name(&name, "an API");
    let what = format!("the API `{}`", key.text);
    let mut api = WrittenApi {
        name,
        hosts: Vec::new(),
        names_host: false,
        routes: Vec::new(),
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        cors: None,
        unclassified: Unclassified::Drop,
    };
    if let Some(fields) = reader.fields(node, &what, &KEYS) {
        let owner = At { value: what.clone(), at: api.name.at.clone() };
        api.names_host = fields.get("host").is_some();
        api.hosts = fields.get("host").map_or_else(Vec::new, |node| hosts(reader, node));
        let routes = reader.required(
            &fields,
            "routes",
            &owner,
            "say what can be asked for: `routes: { GET /customers/{id}: .. }`",
        );
        if let Some(node) = routes {
            let members = reader.members(node, &format!("`routes` of {what}"));
            if members.is_some_and(<[_]>::is_empty) {
                let at = reader.place(&node.span);
                reader.report(Finding::error("empty-list", at, format!("{what} has no route")));
            }
            let members = members.unwrap_or_default();
            api.routes =
                members.iter().filter_map(|(key, node)| route(reader, key, node)).collect();
        }
        if let Some(node) = fields.get("headers") {
            headers(reader, node, &mut api);
        }
        if let Some(node) = fields.get("media") {
            media_of_api(reader, node, &what, &api.routes);
        }
        api.cors = fields.get("cors").and_then(|node| cors(reader, node));
        api.unclassified = unclassified(reader, &fields);
        for route in &mut api.routes {
            set_beside_kept(&mut route.body, &api.unclassified);
        }
    }
    written.apis.push(api);
}

/// `media` beside `routes`, where it would let types pass on routes that nobody thought of.
fn media_of_api(reader: &mut Reader<'_>, node: &Node, what: &str, routes: &[WrittenRoute]) {
    // What is wrong with a type is wrong on a route, too.
    drop(media(reader, node, what));
    let routes = routes.iter().map(|route| format!("{} {}", route.method, route.pattern.value));
    let at = reader.place(&node.span);
    let message = "`media` belongs to a route: here it would let these types pass on all of them";
    let help = format!(
        "write it under each route that answers so, `media: {{ TYPE: {{ pass: {{ because: \"..\", purposes: [NAME] }} }} }}`: there are {}",
        named(routes)
    );
    reader.report(Finding::error("media-of-api", at, message).help(help));
}

/// One name or a list of them.
fn hosts(reader: &mut Reader<'_>, node: &Node) -> Vec<At<String>> {
    let items = match &node.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) | Kind::Mapping(_) => std::slice::from_ref(node),
    };
    if items.is_empty() {
        let at = reader.place(&node.span);
        reader.report(Finding::error("empty-list", at, "no host is listed").help(
            "without `host`, the API takes the requests that no other API names the host of",
        ));
    }
    items.iter().filter_map(|item| host(reader, item)).collect()
}

fn host(reader: &mut Reader<'_>, node: &Node) -> Option<At<String>> {
    let mut host = reader.text(node, "a host")?;
    host.value = without_dot(&host.value).to_ascii_lowercase();
    let name = host.value.as_str();
    let help = "write the name alone, as in `crm.internal`";
    let problem = if name.contains("://") || name.contains('/') {
        Some("a host is not a URL")
    } else if name.contains('*') {
        Some("a host cannot contain `*`")
    } else if name.starts_with('[') {
        let inner = name.trim_start_matches('[').trim_end_matches(']');
        (inner.parse::<std::net::Ipv6Addr>().is_err() || !name.ends_with(']'))
            .then_some("this is not an IPv6 address in brackets")
    } else if name.contains(':') {
        Some("a host is written without its port")
    } else if name.is_empty()
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    {
        Some("a host is made of letters, digits, dots and hyphens")
    } else {
        None
    };
    match problem {
        None => Some(host),
        Some(problem) => {
            reader.report(Finding::error("bad-host", host.at, problem).help(help));
            None
        }
    }
}
