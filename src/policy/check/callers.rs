//! Purposes, and the callers that may ask for them.

use std::collections::HashMap;

use crate::{
    policy::{
        check::checker::Checker,
        model::{Apis, ByName, Caller, Identify, Purpose, PurposeId},
        read::{WrittenCaller, WrittenPurpose},
        reader::At,
    },
    source::{Finding, Place, named},
};

/// What a list of names is about.
struct Listed {
    what: &'static str,
    unknown: &'static str,
    section: &'static str,
}

const APIS: Listed = Listed { what: "API", unknown: "unknown-api", section: "apis" };
const PURPOSES: Listed =
    Listed { what: "purpose", unknown: "unknown-purpose", section: "purposes" };

/// Looks up the names of a list, and reports those that are not declared, or stand twice.
fn listed<I: Copy + PartialEq>(
    names: &[At<String>],
    Listed { what, unknown, section }: &Listed,
    ids: &ByName<I>,
    findings: &mut Vec<Finding>,
) -> Vec<I> {
    let mut listed = Vec::new();
    for At { value: name, at } in names {
        match ids.get(name).copied() {
            None => {
                let message = format!("the {what} `{name}` is not declared");
                let known = ids.keys().map(String::as_str);
                let finding = Finding::error(unknown, at.clone(), message);
                findings.push(finding.declare(name, known, section));
            }
            Some(id) if listed.contains(&id) => {
                let message = format!("the {what} `{name}` is listed twice");
                findings.push(Finding::error("listed-twice", at.clone(), message));
            }
            Some(id) => listed.push(id),
        }
    }
    listed
}

impl Checker<'_> {
    pub(super) fn purposes(&mut self, written: Vec<WrittenPurpose>) {
        for purpose in written {
            let first = self.purposes_by_name.get(&purpose.name.value);
            let first =
                first.and_then(|index| self.purposes.get(*index)).map(|first| first.at.clone());
            if !self.is_new("the purpose", &purpose.name, first) {
                continue;
            }
            let apis = self.listed_apis(purpose.apis);
            self.purposes_by_name.insert(purpose.name.value.clone(), self.purposes.len());
            self.purposes.push(Purpose {
                name: purpose.name.value.into(),
                title: purpose.title,
                legal_basis: purpose.legal_basis,
                art9: purpose.art9,
                owner: purpose.owner,
                code: purpose.code,
                dpv: purpose.dpv,
                apis,
                at: purpose.name.at,
                declares_art9: purpose.declares_art9,
                rules: Vec::new(),
                has_rules: false,
                resolved: Vec::new(),
                covering: Vec::new(),
            });
        }
    }

    /// Looks up the APIs that a caller or a purpose lists.
    fn listed_apis(&mut self, written: Option<Vec<At<String>>>) -> Apis {
        match written {
            None => Apis::All,
            Some(names) => Apis::Listed(listed(&names, &APIS, &self.api_ids, self.findings)),
        }
    }

    /// Looks up the purposes that a caller or a media type lists.
    pub(super) fn listed_purposes(&mut self, names: &[At<String>]) -> Vec<PurposeId> {
        let listed = listed(names, &PURPOSES, &self.purposes_by_name, self.findings);
        listed.into_iter().map(PurposeId).collect()
    }

    pub(super) fn callers(&mut self, written: Vec<WrittenCaller>) {
        let mut keys: HashMap<String, Place> = HashMap::new();
        for caller in written {
            let first = self.callers_by_name.get(&caller.name.value);
            let first =
                first.and_then(|index| self.callers.get(*index)).map(|first| first.at.clone());
            if !self.is_new("the caller", &caller.name, first) {
                continue;
            }
            let purposes = self.listed_purposes(&caller.purposes);
            if caller.apis.is_none() && self.api_ids.len() > 1 {
                let message = format!("`{}` does not say which APIs it may use", caller.name.value);
                let mut names: Vec<_> = self.api_ids.iter().collect();
                names.sort_unstable_by_key(|(_, id)| id.0);
                // None is proposed: whoever takes the first one opens it.
                let help = format!(
                    "list those that it is for, and no other, under `apis`: there are {}",
                    named(names.iter().map(|(name, _)| name))
                );
                let finding = Finding::error("apis-missing", caller.name.at.clone(), message);
                self.report(finding.help(help));
            }
            let apis = self.listed_apis(caller.apis);
            let Some(identify) = caller.identify else { continue };
            if let Identify::ApiKey(key) = &identify.value {
                if let Some(first) = keys.get(key) {
                    let message = format!("two callers have the API key `{key}`");
                    let finding = Finding::error("same-api-key", identify.at.clone(), message)
                        .also(first, "the other caller")
                        .help("who sends the key could be either: give each caller its own");
                    self.report(finding);
                } else {
                    keys.insert(key.clone(), identify.at.clone());
                }
            }
            self.callers_by_name.insert(caller.name.value.clone(), self.callers.len());
            self.callers.push(Caller {
                name: caller.name.value.into(),
                identify: identify.value,
                purposes,
                apis,
                at: caller.name.at,
            });
        }
        let sidecar = self.callers.iter().find(|caller| caller.identify == Identify::Sidecar);
        let other = self
            .callers
            .iter()
            .find(|caller| sidecar.is_some_and(|sidecar| !std::ptr::eq(sidecar, *caller)));
        if let (Some(sidecar), Some(other)) = (sidecar, other) {
            let message = format!(
                "`{}` is recognised as `sidecar`, and then it is the only caller",
                sidecar.name
            );
            let finding = Finding::error("sidecar-not-alone", sidecar.at.clone(), message)
                .also(&other.at, "another caller")
                .help(
                    "whoever reaches a sidecar is its caller: give each caller an API key instead",
                );
            self.report(finding);
        }
    }
}
