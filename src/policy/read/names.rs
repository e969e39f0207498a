//! Names and titles, as all that is declared has them.

use crate::{
    policy::reader::{At, Fields, Reader},
    source::{Finding, yaml::Node},
};

/// What people read of something that is declared.
pub(super) fn title(reader: &mut Reader<'_>, fields: &Fields<'_>, owner: &At<String>) -> String {
    reader
        .required(fields, "title", owner, "the title is what people read: say it in a few words")
        .and_then(|node| reader.text(node, &format!("the title of {}", owner.value)))
        .map_or_else(String::new, |title| title.value)
}

/// A list of names of something that is declared, such as the purposes of a caller; what is none is reported. An empty
/// one is an error: it may be meant as "none" or as "all".
pub(super) fn names(
    reader: &mut Reader<'_>,
    node: &Node,
    owner: &str,
    what: &str,
) -> Vec<At<String>> {
    let items = reader.items(node, &format!("the list of {what}s of {owner}"));
    let Some(items) = items else { return Vec::new() };
    if items.is_empty() {
        let at = reader.place(&node.span);
        let message = format!("the list of {what}s of {owner} is empty");
        reader.report(Finding::error("empty-list", at, message));
    }
    let article = if what.starts_with(['A', 'a']) { "an" } else { "a" };
    let one = format!("{article} {what}");
    items.iter().filter_map(|item| reader.text(item, &one)).collect()
}
