//! Which pages of other origins may ask an API from a browser.

use crate::{
    policy::{
        model::Cors,
        read::because::because_in,
        reader::{At, Reader},
    },
    source::{Finding, yaml::Node},
};

/// `cors: { origins: [..], because: ".." }`.
pub(super) fn cors(reader: &mut Reader<'_>, node: &Node) -> Option<Cors> {
    let fields = reader.fields(node, "`cors`", &["origins", "because"])?;
    let because = because_in(reader, &fields, node, "`cors`");
    let at = reader.place(&node.span);
    let owner = At { value: "`cors`".to_owned(), at };
    let help = "say whose pages may ask: `origins: [\"https://app.example.org\"]`";
    let items = reader.required(&fields, "origins", &owner, help)?;
    let items = reader.items(items, "`origins`")?;
    if items.is_empty() {
        let at = owner.at;
        reader.report(Finding::error("empty-list", at, "`cors` lists no origin").help(help));
    }
    let origins = items.iter().filter_map(|item| origin(reader, item)).collect();
    Some(Cors { origins, because: because? })
}

/// An origin as browsers write it (RFC 6454, section 6.2).
fn origin(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let origin = reader.text(node, "an origin")?;
    let problem = problem(&origin.value)?;
    if problem.is_empty() {
        return Some(origin.value);
    }
    let message = format!("`{}` is not an origin: {problem}", origin.value);
    reader.report(
        Finding::error("bad-origin", origin.at, message).help(
            "write scheme and host, as in `https://app.example.org`, and a port if it has one",
        ),
    );
    None
}

/// What is wrong with an origin; nothing if it is right.
fn problem(origin: &str) -> Option<&'static str> {
    let wrong = |is_wrong: bool, why: &'static str| is_wrong.then_some(why);
    let (scheme, rest) = match origin.split_once("://") {
        Some(parts) => parts,
        None if origin == "*" || origin == "null" => {
            return Some("it stands for pages that nobody knows");
        }
        None => return Some("it has no scheme"),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (rest, None),
    };
    let is_host = !host.is_empty()
        && host.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._[]:".contains(&c));
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
    let is_default = matches!((scheme, port), ("https", Some("443")) | ("http", Some("80")));
    let is_port = port.is_none_or(|port| !port.starts_with('0') && port.parse::<u16>().is_ok());
    wrong(origin.contains('*'), "each is written out, without `*`")
        .or_else(|| wrong(rest.contains(['/', '?', '#', '@']), "nothing stands behind the host"))
        .or_else(|| {
            wrong(origin.bytes().any(|c| c.is_ascii_uppercase()), "browsers write small letters")
        })
        .or_else(|| wrong(is_default, "browsers leave the port of the scheme out"))
        .or_else(|| {
            wrong(!is_scheme || !is_host || !is_port, "browsers would write it in another way")
        })
        .or(Some(""))
}
