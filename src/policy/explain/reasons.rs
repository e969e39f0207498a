//! Why a category is treated as it is, and which lines of the policies say so.

use crate::{
    policy::model::{CategoryId, Field, Policies, Purpose},
    source::Place,
};

impl Policies {
    pub(super) fn why(&self, purpose: &Purpose) -> String {
        let mut why = format!(
            "to \"{}\" ({}, {}): {}",
            purpose.title,
            purpose.name,
            self.line(&purpose.at),
            purpose.legal_basis
        );
        if let Some(art9) = purpose.art9 {
            why = format!("{why}; {art9}");
        }
        why
    }

    /// Why an action is the one: `contact.email, by the rule for contact`.
    pub(super) fn reason_for(&self, purpose: &Purpose, category: CategoryId) -> String {
        let name = self.category_name(category);
        if category == CategoryId::PUBLIC {
            return "public".to_owned();
        }
        let title = self.categories.get(category.index()).map_or("", |category| &category.title);
        match purpose.rule(category) {
            None => match purpose.rule_too_wide(category) {
                None => format!("no rule for {name} ({title})"),
                Some(wide) => format!(
                    "no rule for {name} ({title}), which is explicit: that for {} does not count",
                    wide.selector
                ),
            },
            Some(rule) if rule.selector == name => format!("{name} ({title})"),
            Some(rule) => format!("{name} ({title}), by the rule for {}", rule.selector),
        }
    }

    pub(super) fn lines(
        &self,
        field: &Field,
        purpose: &Purpose,
        category: CategoryId,
    ) -> Vec<String> {
        let rule = purpose.rule(category).map(|rule| format!("rule {}", self.line(&rule.at)));
        std::iter::once(self.line(&field.at)).chain(rule).collect()
    }

    /// `crm.yaml:41`.
    pub(super) fn line(&self, place: &Place) -> String {
        match self.sources.get(place.source) {
            Some(source) => format!("{}:{}", source.name, source.line(place.span.start)),
            None => String::new(),
        }
    }
}
