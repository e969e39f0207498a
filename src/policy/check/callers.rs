//! Purposes, and the callers that may ask for them.

use std::collections::HashMap;

use crate::policy::{
    check::Checker,
    finding::{Finding, Place},
    model::{Apis, Caller, Identify, Purpose, PurposeId},
    read::{WrittenCaller, WrittenPurpose},
    reader::At,
};

/// Most APIs that a finding names.
const APIS_NAMED_MAX: usize = 8;

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
        let Some(names) = written else { return Apis::All };
        let mut listed = Vec::new();
        for name in names {
            let Some(id) = self.api_ids.get(&name.value).copied() else {
                let message = format!("the API `{}` is not declared", name.value);
                let known = self.api_ids.keys().map(String::as_str);
                let finding = Finding::error("unknown-api", name.at, message);
                let finding = finding.declare(&name.value, known, "apis");
                self.report(finding);
                continue;
            };
            if listed.contains(&id) {
                let message = format!("the API `{}` is listed twice", name.value);
                self.report(Finding::error("listed-twice", name.at, message));
                continue;
            }
            listed.push(id);
        }
        Apis::Listed(listed)
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
            let mut purposes: Vec<PurposeId> = Vec::new();
            for name in caller.purposes {
                let Some(id) = self.purposes_by_name.get(&name.value).copied().map(PurposeId)
                else {
                    let message = format!("the purpose `{}` is not declared", name.value);
                    let known = self.purposes_by_name.keys().map(String::as_str);
                    let finding = Finding::error("unknown-purpose", name.at, message).declare(
                        &name.value,
                        known,
                        "purposes",
                    );
                    self.report(finding);
                    continue;
                };
                if purposes.contains(&id) {
                    let message = format!("the purpose `{}` is listed twice", name.value);
                    self.report(Finding::error("listed-twice", name.at, message));
                    continue;
                }
                purposes.push(id);
            }
            if caller.apis.is_none() && self.api_ids.len() > 1 {
                let message = format!("`{}` does not say which APIs it may use", caller.name.value);
                let mut names: Vec<_> = self.api_ids.iter().collect();
                names.sort_unstable_by_key(|(_, id)| id.0);
                let mut shown: Vec<String> = names
                    .iter()
                    .take(APIS_NAMED_MAX)
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                shown.extend((names.len() > APIS_NAMED_MAX).then(|| "others".to_owned()));
                // None is proposed: whoever takes the first one opens it.
                let help = format!(
                    "list those that it is for, and no other, under `apis`: there are {}",
                    shown.join(", ")
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
