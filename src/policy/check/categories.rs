//! Categories: which there are, what their flags reach, and what a name means.

use std::collections::HashMap;

use crate::policy::{
    check::Checker,
    finding::{Finding, Place},
    model::{Category, CategoryId, covers, self_and_prefixes},
    read::WrittenCategory,
    reader::At,
};

impl Checker<'_> {
    pub(super) fn categories(&mut self, written: Vec<WrittenCategory>) {
        self.categories.push(Category {
            name: "public".to_owned(),
            title: "public".to_owned(),
            special: None,
            few_values: None,
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
                at: name.at,
            });
        }
        // Both flags hold for everything below the name that has them.
        let flags: HashMap<String, (Option<Place>, Option<Place>)> = self
            .categories
            .iter()
            .map(|one| (one.name.clone(), (one.special.clone(), one.few_values.clone())))
            .collect();
        for category in &mut self.categories {
            let above = || self_and_prefixes(&category.name).filter_map(|name| flags.get(name));
            category.special = above().find_map(|(special, _)| special.clone());
            category.few_values = above().find_map(|(_, few_values)| few_values.clone());
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
        let categories = self.categories.iter().map(|category| category.name.as_str());
        finding.did_you_mean(name, categories.chain(records))
    }
}
