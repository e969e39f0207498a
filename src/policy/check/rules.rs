//! Rules: which one decides about a category, and what its flags forbid it.

use std::collections::{HashMap, HashSet};

use crate::{
    policy::{
        check::checker::Checker,
        model::{Category, OPAQUE, Rule, self_and_prefixes},
        read::WrittenRules,
        reader::At,
    },
    source::{Finding, Place},
    transform::Action,
};

impl Checker<'_> {
    pub(super) fn rules(&mut self, written: Vec<WrittenRules>) {
        let selectors: HashSet<String> = self
            .categories
            .iter()
            .skip(1)
            .flat_map(|category| self_and_prefixes(&category.name))
            .map(str::to_owned)
            .collect();
        let mut places: HashMap<(usize, String), Place> = HashMap::new();
        for WrittenRules { purpose, rules } in written {
            let index = self.purposes_by_name.get(&purpose.value).copied();
            if index.is_none() {
                let message =
                    format!("there are rules for `{}`, and no purpose of that name", purpose.value);
                let known = self.purposes_by_name.keys().map(String::as_str);
                let finding = Finding::error("unknown-purpose", purpose.at.clone(), message)
                    .declare(&purpose.value, known, "purposes");
                self.report(finding);
            }
            if let Some(purpose) = index.and_then(|index| self.purposes.get_mut(index)) {
                purpose.has_rules = true;
            }
            for (selector, action) in rules {
                if !self.check_selector(&selector, &selectors) {
                    continue;
                }
                let Some(index) = index else { continue };
                let key = (index, selector.value.clone());
                if let Some(first) = places.get(&key) {
                    let message = format!(
                        "there are two rules for `{}` under the purpose `{}`",
                        selector.value, purpose.value
                    );
                    let finding = Finding::error("defined-twice", selector.at, message)
                        .also(first, "first defined here")
                        .help("keep one of them");
                    self.report(finding);
                    continue;
                }
                places.insert(key, selector.at.clone());
                if let Some(purpose) = self.purposes.get_mut(index) {
                    purpose.rules.push(Rule {
                        selector: selector.value,
                        action: action.value,
                        at: selector.at,
                    });
                }
            }
        }
        for purpose in &mut self.purposes {
            let rules: HashMap<&str, usize> = purpose
                .rules
                .iter()
                .enumerate()
                .map(|(i, rule)| (rule.selector.as_str(), i))
                .collect();
            let covering = self.categories.iter().map(|category| {
                if category.name == "public" {
                    return None;
                }
                self_and_prefixes(&category.name)
                    .chain(std::iter::once("*"))
                    .find_map(|name| rules.get(name).copied())
            });
            purpose.covering = covering.collect();
            let resolved = purpose.covering.iter().zip(&self.categories).map(|(at, category)| {
                let rule = at.and_then(|at| purpose.rules.get(at))?;
                let counts = category.explicit.is_none()
                    || rule.selector == category.name
                    || rule.action == Action::Deny;
                at.filter(|_| counts)
            });
            purpose.resolved = resolved.collect();
        }
    }

    /// Whether something declared can be meant by the left side of a rule.
    fn check_selector(&mut self, selector: &At<String>, declared: &HashSet<String>) -> bool {
        let name = selector.value.as_str();
        if name == "public" {
            let finding = Finding::error(
                "rule-for-public",
                selector.at.clone(),
                "`public` is always kept: there can be no rule for it",
            );
            self.report(finding.help("give what should not always be kept a category of its own"));
            return false;
        }
        if name == OPAQUE {
            let finding = Finding::error(
                "rule-for-opaque",
                selector.at.clone(),
                "`opaque` is what passes unread: there can be no rule for it",
            );
            self.report(finding.help("take out what lets it pass: `media` of the api"));
            return false;
        }
        if name == "*" || declared.contains(name) {
            return true;
        }
        let message = format!("no category is called `{name}` or begins with `{name}.`");
        let finding = Finding::error("unknown-category", selector.at.clone(), message);
        let finding = if self.record_ids.contains_key(name) {
            finding.help("this is a record; rules are about categories")
        } else {
            let names = self
                .categories
                .iter()
                .skip(1)
                .flat_map(|category| self_and_prefixes(&category.name));
            finding.declare(name, names, "categories")
        };
        self.report(finding);
        false
    }

    /// The domains of pseudonyms. Each purpose has its own, which has its name: to take that is to join with what was
    /// to be the purpose's own.
    pub(super) fn domains(&mut self) {
        let mut found = Vec::new();
        for rule in self.purposes.iter().flat_map(|purpose| &purpose.rules) {
            let Action::Pseudonym { domain: Some(domain) } = &rule.action else { continue };
            let purpose = self.purposes_by_name.get(domain).and_then(|at| self.purposes.get(*at));
            let Some(purpose) = purpose else { continue };
            let message = format!(
                "the domain `{domain}` has the name of a purpose, whose own pseudonyms would be the same"
            );
            found.push(
                Finding::error("domain-is-purpose", rule.at.clone(), message)
                    .also(&purpose.at, "the purpose of that name")
                    .help("give the domain a name of its own, and write it in the rules of each purpose that is to join"),
            );
        }
        self.findings.append(&mut found);
    }

    /// What `special` and `few_values` do not allow, judged by the rule that really decides.
    pub(super) fn flags(&mut self) {
        let mut found = Vec::new();
        for purpose in &self.purposes {
            // What each rule decides about.
            let mut decided: Vec<Vec<&Category>> = vec![Vec::new(); purpose.rules.len()];
            for (decides, category) in purpose.resolved.iter().zip(&self.categories) {
                if let Some(decided) = decides.and_then(|rule| decided.get_mut(rule)) {
                    decided.push(category);
                }
            }
            for (rule, decided) in purpose.rules.iter().zip(decided) {
                let decided = || decided.iter().copied();
                let by = |category: &Category| {
                    if rule.selector == category.name {
                        format!("`{}`", category.name)
                    } else {
                        format!("`{}`, which this rule covers,", category.name)
                    }
                };
                let special =
                    decided().find_map(|category| Some((category, category.special.as_ref()?)));
                if let (Action::Keep, false, Some((category, said_at))) =
                    (&rule.action, purpose.declares_art9, special)
                {
                    let message = format!(
                        "{} is special (Art. 9 GDPR), and the purpose `{}` does not say which exception lets it be kept",
                        by(category),
                        purpose.name
                    );
                    found.push(
                        Finding::error("special-without-art9", rule.at.clone(), message)
                            .also(said_at, "`special` is said here")
                            .also(&purpose.at, "this purpose has no `art9`")
                            .help("add `art9: ..` to the purpose, or do not keep the category"),
                    );
                }
                let few =
                    decided().find_map(|category| Some((category, category.few_values.as_ref()?)));
                if let (Action::Pseudonym { .. }, Some((category, said_at))) = (&rule.action, few) {
                    let message = format!(
                        "{} has few values: a pseudonym of each is as good as the value itself",
                        by(category)
                    );
                    found.push(
                        Finding::error("few-values-pseudonym", rule.at.clone(), message)
                            .also(said_at, "`few_values` is said here")
                            .help("use `generalise` or `drop`"),
                    );
                }
            }
        }
        self.findings.append(&mut found);
    }
}
