//! Categories: which there are, what their flags reach, and what a name means.

use std::collections::HashMap;

use crate::{
    policy::{
        check::checker::Checker,
        model::{Category, CategoryId, covers, self_and_prefixes},
        read::WrittenCategory,
        reader::{At, is_dotted_name, other_reading},
    },
    source::{Finding, Place, most_like},
};

impl Checker<'_> {
    pub(super) fn categories(&mut self, written: Vec<WrittenCategory>) {
        self.categories.push(Category {
            name: "public".to_owned(),
            title: "public".to_owned(),
            special: None,
            few_values: None,
            explicit: None,
            at: Place { source: 0, span: 0..0 },
        });
        self.category_ids.insert("public".to_owned(), CategoryId::PUBLIC);
        for category in written {
            let name = category.name;
            let first = self.category_ids.get(&name.value).and_then(|id| {
                let first = self.categories.get(id.index())?;
                (*id != CategoryId::PUBLIC).then(|| first.at.clone())
            });
            if name.value == "public" || !self.is_new("the category", &name, first) {
                continue;
            }
            let Ok(id) = u32::try_from(self.categories.len()) else { continue };
            self.category_ids.insert(name.value.clone(), CategoryId(id));
            self.categories.push(Category {
                name: name.value,
                title: category.title,
                special: category.special.then(|| name.at.clone()),
                few_values: category.few_values.then(|| name.at.clone()),
                explicit: category.explicit.then(|| name.at.clone()),
                at: name.at,
            });
        }
        // The flags hold for everything below the name that has them.
        let flags =
            |one: &Category| [one.special.clone(), one.few_values.clone(), one.explicit.clone()];
        let flags: HashMap<String, [Option<Place>; 3]> =
            self.categories.iter().map(|one| (one.name.clone(), flags(one))).collect();
        for category in &mut self.categories {
            let above = || self_and_prefixes(&category.name).filter_map(|name| flags.get(name));
            category.special = above().find_map(|[special, ..]| special.clone());
            category.few_values = above().find_map(|[_, few_values, _]| few_values.clone());
            category.explicit = above().find_map(|[.., explicit]| explicit.clone());
        }
    }

    pub(super) fn category(&mut self, name: &At<String>, what: &str) -> Option<CategoryId> {
        let found = self.category_ids.get(&name.value).copied();
        if found.is_none() {
            let message = format!("{what} `{}` is not declared", name.value);
            let finding = Finding::error("unknown-category", name.at.clone(), message);
            let finding = if self.record_ids.contains_key(&name.value) {
                finding.help("this is a record, and only a category can stand here")
            } else {
                self.propose_category(finding, &name.value, std::iter::empty())
            };
            self.report(finding);
        }
        found
    }

    pub(super) fn propose_category<'a>(
        &'a self,
        finding: Finding,
        name: &str,
        records: impl Iterator<Item = &'a str>,
    ) -> Finding {
        let below = self.categories.iter().skip(1).find(|category| covers(name, &category.name));
        if let Some(below) = below {
            let whole = &below.name;
            return finding.help(format!(
                "`{name}` is only the beginning of `{whole}`: write the whole name"
            ));
        }
        if name.eq_ignore_ascii_case("public") {
            return finding.help("the built-in category is written `public`, in small letters");
        }
        // `public` is never proposed: it would leave for every purpose, and this is what nobody said.
        let declared = self.categories.iter().skip(1).map(|category| category.name.as_str());
        if let Some(like) = most_like(name, declared.clone().chain(records)) {
            return finding.help(format!("did you mean `{like}`?"));
        }
        let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
        let wanted = name.rsplit('.').next().unwrap_or(name);
        let mut same = declared.filter(|one| last(one).eq_ignore_ascii_case(wanted));
        if let (Some(same), None) = (same.next(), same.next()) {
            return finding.help(format!(
                "did you mean `{same}`? If not, declare it under `categories`, such as {}",
                declaration(name)
            ));
        }
        finding.help(format!("declare it under `categories`, such as {}", declaration(name)))
    }
}

/// A line that declares a category of this name, or one like it if the name is none.
fn declaration(name: &str) -> String {
    if is_dotted_name(name) {
        let words = name.replace(['.', '-', '_'], " ");
        let mut letters = words.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let title: String = first.into_iter().chain(letters).collect();
        // What could be read as something else stands in quotes.
        if !title.contains(|c: char| c.is_ascii_digit()) && other_reading(&title).is_none() {
            return format!("`{name}: {title}`");
        }
    }
    "`contact.email: E-mail address`".to_owned()
}
