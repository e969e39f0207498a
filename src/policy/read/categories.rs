//! Categories as they are written.

use crate::{
    policy::{
        model::OPAQUE,
        read::{
            names::title,
            written::{Written, WrittenCategory},
        },
        reader::{At, Reader},
    },
    source::{
        Finding,
        yaml::{Key, Kind, Node},
    },
};

pub(super) fn category(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    let name = reader.key(key);
    check_category_name(reader, &name);
    let mut category = WrittenCategory {
        name,
        title: String::new(),
        special: false,
        few_values: false,
        explicit: false,
    };
    let what = format!("the category `{}`", key.text);
    if matches!(node.kind, Kind::Scalar(_)) {
        let title = reader.text(node, &format!("the title of {what}"));
        category.title = title.map_or_else(String::new, |title| title.value);
    } else if matches!(node.kind, Kind::Sequence(_)) {
        reader.wrong_kind(node, &what, "a title, or `{ title: .. }`");
    } else if let Some(fields) =
        reader.fields(node, &what, &["title", "special", "few_values", "explicit"])
    {
        let owner = At { value: what.clone(), at: category.name.at.clone() };
        category.title = title(reader, &fields, &owner);
        let mut flag = |name: &str| {
            fields
                .get(name)
                .and_then(|node| reader.flag(node, &format!("`{name}`")))
                .unwrap_or(false)
        };
        category.special = flag("special");
        category.few_values = flag("few_values");
        category.explicit = flag("explicit");
    }
    written.categories.push(category);
}

/// A category is a name with dots; each part is a name.
fn check_category_name(reader: &mut Reader<'_>, name: &At<String>) {
    if name.value == "public" {
        reader.report(
            Finding::error("reserved-name", name.at.clone(), "`public` is built in")
                .help("take it out: `public` can be used without being declared"),
        );
        return;
    }
    if name.value == OPAQUE {
        reader.report(
            Finding::error("reserved-name", name.at.clone(), "`opaque` is built in").help(
                "choose another name: bodies that pass as they are, unread, are counted under it",
            ),
        );
        return;
    }
    reader.check_dotted_name(name, "a category");
}
