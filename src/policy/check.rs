//! Policies as written become policies as checked: names are looked up across all files, records are
//! expanded, routes are compared. Everything that is wrong is found, not only the first.

use std::collections::HashMap;
use std::sync::Arc;

use crate::path::Path;
use crate::transform::{Action, Keys};

use super::finding::{Finding, Place, Rank};
use super::lint;
use super::model::{
    Answer, Api, Caller, Category, CategoryId, Class, Digest, Field, Identify, Keeping, Method,
    Parameter, ParameterRule, PolicySet, Purpose, PurposeId, Route, Rule, SourceLines,
    Unclassified, covers,
};
use super::plan::{PlanParts, RouteFields};
use super::read::{
    ClassName, Classified, Written, WrittenApi, WrittenCaller, WrittenCategory, WrittenParameter,
    WrittenPurpose, WrittenRecord, WrittenRoute, WrittenRules,
};
use super::reader::At;
use crate::access::Labels;

/// Most fields that one route can have once its records are expanded.
pub(crate) const ROUTE_FIELDS_MAX: usize = 10_000;

/// Most fields that all routes together can have once their records are expanded.
pub(crate) const SET_FIELDS_MAX: usize = 500_000;

/// How deep records can stand in records.
pub(crate) const RECORD_DEPTH_MAX: usize = 32;

/// A record whose names are looked up.
struct Record {
    name: At<String>,
    lines: Vec<Line>,
    unclassified: Unclassified,
}

/// A line that classifies, with its names looked up.
struct Line {
    path: At<Path>,
    target: Target,
    names: Option<CategoryId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Category(CategoryId),
    Record(usize),
}

struct Checker<'f> {
    findings: &'f mut Vec<Finding>,
    categories: Vec<Category>,
    category_ids: HashMap<String, CategoryId>,
    purposes: Vec<Purpose>,
    purposes_by_name: HashMap<String, usize>,
    callers: Vec<Caller>,
    callers_by_name: HashMap<String, usize>,
    record_ids: HashMap<String, usize>,
    records: Vec<Record>,
    apis: Vec<Api>,
    apis_by_host: HashMap<String, usize>,
    hostless: Option<usize>,
    /// What the bodies of routes mention.
    mounted: Vec<Target>,
    /// How many fields all routes have.
    fields: usize,
}

/// Checks what all files say together. The set is complete only if no error was found.
pub(crate) fn check(
    written: Written,
    sources: Vec<SourceLines>,
    digest: Digest,
    findings: &mut Vec<Finding>,
) -> PolicySet {
    let mut checker = Checker {
        findings,
        categories: Vec::new(),
        category_ids: HashMap::new(),
        purposes: Vec::new(),
        purposes_by_name: HashMap::new(),
        callers: Vec::new(),
        callers_by_name: HashMap::new(),
        record_ids: HashMap::new(),
        records: Vec::new(),
        apis: Vec::new(),
        apis_by_host: HashMap::new(),
        hostless: None,
        mounted: Vec::new(),
        fields: 0,
    };
    checker.categories(written.categories);
    checker.purposes(written.purposes);
    checker.callers(written.callers);
    checker.records(written.records);
    checker.rules(written.rules);
    checker.flags();
    let circular = checker.circles();
    checker.apis(written.apis, &circular);
    // What an error hides may be what uses them.
    if !checker.findings.iter().any(|finding| finding.rank == Rank::Error) {
        checker.unused_records();
    }
    PolicySet {
        digest,
        sources,
        categories: checker.categories,
        purposes: checker.purposes,
        callers: checker.callers,
        apis: checker.apis,
        callers_by_name: checker.callers_by_name,
        purposes_by_name: checker.purposes_by_name,
        apis_by_host: checker.apis_by_host,
        hostless: checker.hostless,
    }
}

/// Compiles a plan for every route and purpose of a set without errors.
pub(crate) fn compile(set: &mut PolicySet, keys: &dyn Keys, findings: &mut Vec<Finding>) {
    let PolicySet { apis, purposes, categories, digest, .. } = set;
    for api in apis {
        let keeps_unclassified = api.unclassified != Unclassified::Drop;
        for route in &mut api.routes {
            let fields = match RouteFields::compile(&route.fields, keeps_unclassified) {
                Ok(fields) => fields,
                Err(error) => {
                    let message =
                        format!("the paths of `{}` are too many to compile: {error}", route.label);
                    findings.push(Finding::error("too-many-paths", route.at.clone(), message));
                    continue;
                }
            };
            for purpose in purposes.iter() {
                let labels = Labels {
                    api: api.name.clone(),
                    route: route.label.clone(),
                    purpose: purpose.name.clone(),
                    ..Labels::unknown()
                };
                let parts = PlanParts {
                    purpose: &purpose.name,
                    action: &|category| purpose.action(category),
                    categories,
                    keys,
                    labels,
                    digest: digest.clone(),
                };
                match fields.plan(&parts) {
                    Ok(_) if is_denied(&route.fields, purpose) => route.answers.push(Answer::Denied),
                    Ok(plan) => route.answers.push(Answer::Plan(Arc::new(plan))),
                    Err(ties) => findings.extend(ties.into_iter().map(|tie| {
                        let message = format!(
                            "two lines can meet at one value of `{}`, and the rules for `{}` treat it in two ways",
                            route.label, purpose.name
                        );
                        Finding::error("tie", tie.first, message)
                            .also(&tie.second, "the other line")
                            .help("give both the same category, or their categories the same action with the same parameters")
                    })),
                }
            }
        }
    }
}

/// Whether the fields can give a category that the purpose is denied.
fn is_denied(fields: &[Field], purpose: &Purpose) -> bool {
    let mut categories = fields.iter().flat_map(Field::categories);
    categories.any(|category| *purpose.action(category) == Action::Deny)
}

impl Checker<'_> {
    fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Whether a name is new; if not, both places are reported.
    fn is_new(&mut self, what: &str, name: &At<String>, first: Option<Place>) -> bool {
        let Some(first) = first else { return true };
        let message = format!("{what} `{}` is defined twice", name.value);
        self.report(
            Finding::error("defined-twice", name.at.clone(), message)
                .also(&first, "first defined here"),
        );
        false
    }

    fn categories(&mut self, written: Vec<WrittenCategory>) {
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

    fn purposes(&mut self, written: Vec<WrittenPurpose>) {
        for purpose in written {
            let first = self.purposes_by_name.get(&purpose.name.value);
            let first =
                first.and_then(|index| self.purposes.get(*index)).map(|first| first.at.clone());
            if !self.is_new("the purpose", &purpose.name, first) {
                continue;
            }
            self.purposes_by_name.insert(purpose.name.value.clone(), self.purposes.len());
            self.purposes.push(Purpose {
                name: purpose.name.value.into(),
                title: purpose.title,
                legal_basis: purpose.legal_basis,
                art9: purpose.art9,
                owner: purpose.owner,
                code: purpose.code,
                dpv: purpose.dpv,
                at: purpose.name.at,
                declares_art9: purpose.declares_art9,
                rules: Vec::new(),
                resolved: Vec::new(),
            });
        }
    }

    fn callers(&mut self, written: Vec<WrittenCaller>) {
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
                    let finding = Finding::error("unknown-purpose", name.at, message)
                        .did_you_mean(&name.value, known);
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

    fn records(&mut self, written: Vec<WrittenRecord>) {
        let mut records: Vec<WrittenRecord> = Vec::new();
        for record in written {
            let first = self.record_ids.get(&record.name.value);
            let first =
                first.and_then(|index| records.get(*index)).map(|first| first.name.at.clone());
            if !self.is_new("the record", &record.name, first) {
                continue;
            }
            if let Some(category) = self.category_ids.get(&record.name.value)
                && let Some(category) = self.categories.get(category.index())
            {
                let message = format!("`{}` is both a record and a category", record.name.value);
                let mut finding = Finding::error("ambiguous-name", record.name.at.clone(), message)
                    .help("rename one of them: a path can be given either");
                if category.name != "public" {
                    finding = finding.also(&category.at, "the category");
                }
                self.findings.push(finding);
            }
            self.record_ids.insert(record.name.value.clone(), records.len());
            records.push(record);
        }
        for record in records {
            let lines = self.lines(record.fields);
            let unclassified = record.unclassified;
            self.records.push(Record { name: record.name, lines, unclassified });
        }
    }

    /// Looks up the names in lines that classify, and looks at the lines themselves.
    fn lines(&mut self, written: Vec<Classified>) -> Vec<Line> {
        let mut lines = Vec::new();
        for classified in written {
            let target = self.target(&classified.class);
            let names = match &classified.names {
                Some(name) => self.category(name, "the category of names"),
                None => None,
            };
            let category = match target {
                Some(Target::Category(category)) => Some(category),
                Some(Target::Record(_)) | None => None,
            };
            self.findings.extend(lint::line(&classified, category));
            let Some(target) = target else { continue };
            lines.push(Line { path: classified.path, target, names });
        }
        lines
    }

    fn target(&mut self, class: &ClassName) -> Option<Target> {
        match class {
            ClassName::Category(name) => self.category(name, "the category").map(Target::Category),
            ClassName::Record(name) => {
                let found = self.record_ids.get(&name.value).copied();
                if found.is_none() {
                    let message = format!("the record `{}` is not declared", name.value);
                    let known = self.record_ids.keys().map(String::as_str);
                    let finding = Finding::error("unknown-record", name.at.clone(), message)
                        .did_you_mean(&name.value, known);
                    self.report(finding);
                }
                found.map(Target::Record)
            }
            ClassName::Either(name) => {
                if let Some(category) = self.category_ids.get(&name.value) {
                    return Some(Target::Category(*category));
                }
                if let Some(record) = self.record_ids.get(&name.value) {
                    return Some(Target::Record(*record));
                }
                let message = format!("`{}` is neither a category nor a record", name.value);
                let finding = Finding::error("unknown-category", name.at.clone(), message);
                let records = self.record_ids.keys().map(String::as_str);
                let finding = self.propose_category(finding, &name.value, records);
                self.report(finding);
                None
            }
        }
    }

    fn category(&mut self, name: &At<String>, what: &str) -> Option<CategoryId> {
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

    fn propose_category<'a>(
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

    fn rules(&mut self, written: Vec<WrittenRules>) {
        let mut places: HashMap<(usize, String), Place> = HashMap::new();
        for WrittenRules { purpose, rules } in written {
            let index = self.purposes_by_name.get(&purpose.value).copied();
            if index.is_none() {
                let message =
                    format!("there are rules for `{}`, and no purpose of that name", purpose.value);
                let known = self.purposes_by_name.keys().map(String::as_str);
                let finding = Finding::error("unknown-purpose", purpose.at.clone(), message)
                    .did_you_mean(&purpose.value, known);
                self.report(finding);
            }
            for (selector, action) in rules {
                if !self.check_selector(&selector) {
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
            purpose.resolved = self
                .categories
                .iter()
                .map(|category| {
                    if category.name == "public" {
                        return None;
                    }
                    self_and_prefixes(&category.name)
                        .chain(std::iter::once("*"))
                        .find_map(|name| rules.get(name).copied())
                })
                .collect();
        }
    }

    /// Whether something declared can be meant by the left side of a rule.
    fn check_selector(&mut self, selector: &At<String>) -> bool {
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
        let declared = |category: &Category| covers(name, &category.name);
        if name == "*" || self.categories.iter().skip(1).any(declared) {
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
            finding.did_you_mean(name, names)
        };
        self.report(finding);
        false
    }

    /// What `special` and `few_values` do not allow, judged by the rule that really decides.
    fn flags(&mut self) {
        let mut found = Vec::new();
        for purpose in &self.purposes {
            for (index, rule) in purpose.rules.iter().enumerate() {
                let decided = || {
                    let resolved = purpose.resolved.iter().zip(&self.categories);
                    resolved
                        .filter(|(decides, _)| **decides == Some(index))
                        .map(|(_, category)| category)
                };
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

    /// Reports records that contain themselves, and says which records lead to one.
    fn circles(&mut self) -> Vec<bool> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.records.len()];
        let mut endless = vec![false; self.records.len()];
        let mut found = Vec::new();
        for start in 0..self.records.len() {
            // Records that are open, each with the lines of it not yet followed.
            let mut open: Vec<(usize, std::slice::Iter<'_, Line>)> = Vec::new();
            let enter = |index: usize, marks: &mut Vec<Mark>| {
                let record = self.records.get(index)?;
                let mark = marks.get_mut(index)?;
                *mark = Mark::Open;
                Some((index, record.lines.iter()))
            };
            if marks.get(start) == Some(&Mark::New) {
                open.extend(enter(start, &mut marks));
            }
            while let Some((index, lines)) = open.last_mut() {
                let index = *index;
                let Some(line) = lines.next() else {
                    open.pop();
                    if let Some(mark) = marks.get_mut(index) {
                        *mark = Mark::Done;
                    }
                    let leads_there = endless.get(index).copied().unwrap_or_default();
                    if let (true, Some((above, _))) = (leads_there, open.last())
                        && let Some(above) = endless.get_mut(*above)
                    {
                        *above = true;
                    }
                    continue;
                };
                let Target::Record(inner) = line.target else { continue };
                match marks.get(inner) {
                    Some(Mark::New) => open.extend(enter(inner, &mut marks)),
                    Some(Mark::Open) => {
                        let names: Vec<&str> = open
                            .iter()
                            .map(|(index, _)| *index)
                            .skip_while(|index| *index != inner)
                            .chain(std::iter::once(inner))
                            .filter_map(|index| self.records.get(index))
                            .map(|record| record.name.value.as_str())
                            .collect();
                        let message = format!("a record contains itself: {}", names.join(" -> "));
                        found.push(
                            Finding::error("record-circle", line.path.at.clone(), message).help(
                                "records are written out when the policies load, so this would never end",
                            ),
                        );
                        if let Some(endless) = endless.get_mut(index) {
                            *endless = true;
                        }
                    }
                    Some(Mark::Done) => {
                        let leads_there = endless.get(inner).copied().unwrap_or_default();
                        if let Some(endless) = endless.get_mut(index) {
                            *endless |= leads_there;
                        }
                    }
                    None => {}
                }
            }
        }
        self.findings.append(&mut found);
        endless
    }

    fn apis(&mut self, written: Vec<WrittenApi>, endless: &[bool]) {
        let mut places: HashMap<String, Place> = HashMap::new();
        let mut host_places: HashMap<String, Place> = HashMap::new();
        for api in written {
            if !self.is_new("the API", &api.name, places.get(&api.name.value).cloned()) {
                continue;
            }
            places.insert(api.name.value.clone(), api.name.at.clone());
            let index = self.apis.len();
            self.hosts(&api, index, &mut host_places);
            let mut checked = Api {
                name: api.name.value.into(),
                hosts: api.hosts.into_iter().map(|host| host.value).collect(),
                routes: Vec::new(),
                request_headers: api.request_headers,
                response_headers: api.response_headers,
                media: api.media,
                unclassified: api.unclassified,
                at: api.name.at,
                routers: HashMap::new(),
            };
            let mut shapes: HashMap<(Method, String), Place> = HashMap::new();
            for route in api.routes {
                self.route(route, &mut checked, &mut shapes, endless);
            }
            self.apis.push(checked);
        }
    }

    /// Records that no route mentions, and no other record either.
    fn unused_records(&mut self) {
        let lines = self.records.iter().flat_map(|record| &record.lines);
        let mut used = vec![false; self.records.len()];
        let mounted = lines.map(|line| line.target).chain(self.mounted.iter().copied());
        for target in mounted {
            if let Target::Record(index) = target
                && let Some(used) = used.get_mut(index)
            {
                *used = true;
            }
        }
        for (record, _) in self.records.iter().zip(used).filter(|(_, used)| !used) {
            let message = format!("no route has the record `{}` in it", record.name.value);
            self.findings.push(
                Finding::warning("record-not-used", record.name.at.clone(), message)
                    .help("give it to a path of a route, or take it out"),
            );
        }
    }

    fn hosts(&mut self, api: &WrittenApi, index: usize, places: &mut HashMap<String, Place>) {
        if !api.names_host {
            match self.hostless.and_then(|first| self.apis.get(first)) {
                None => self.hostless = Some(index),
                Some(first) => {
                    let message = format!(
                        "`{}` and `{}` both have no `host`: a request could belong to either",
                        first.name, api.name.value
                    );
                    let finding = Finding::error("same-host", api.name.at.clone(), message)
                        .also(&first.at, "the other API")
                        .help("give at least one of them a `host`");
                    self.report(finding);
                }
            }
        }
        for host in &api.hosts {
            if let Some(first) = places.get(&host.value) {
                let message = format!(
                    "the host `{}` is named twice: a request could belong to either",
                    host.value
                );
                let finding = Finding::error("same-host", host.at.clone(), message)
                    .also(first, "first named here");
                self.report(finding);
                continue;
            }
            places.insert(host.value.clone(), host.at.clone());
            self.apis_by_host.insert(host.value.clone(), index);
        }
    }

    fn route(
        &mut self,
        route: WrittenRoute,
        api: &mut Api,
        shapes: &mut HashMap<(Method, String), Place>,
        endless: &[bool],
    ) {
        let WrittenRoute { at, method, pattern, parameters, parameters_known, body, request_body } =
            route;
        let shape = (method, shape(&pattern.value));
        if let Some(first) = shapes.get(&shape) {
            let message =
                format!("`{method} {}` takes the same requests as another route", pattern.value);
            let finding =
                Finding::error("same-route", at.clone(), message).also(first, "the other route");
            self.report(finding);
        } else {
            shapes.insert(shape, at.clone());
            let router = api.routers.entry(method).or_default();
            if let Err(error) = router.insert(pattern.value.as_str(), api.routes.len()) {
                self.conflict(&error, method, &pattern, &at, shapes);
            }
        }
        let (parameters, open) =
            self.parameters(&pattern, parameters, parameters_known.then_some(&at));
        let lines = self.lines(body);
        self.mounted.extend(lines.iter().map(|line| line.target));
        let mut expansion =
            Expansion { route: &at, endless, fields: Vec::new(), keeping: Vec::new() };
        self.expand(&Path::root(), &lines, 0, &mut expansion);
        let Expansion { mut fields, keeping, .. } = expansion;
        self.fields = self.fields.saturating_add(fields.len());
        if fields.len() > ROUTE_FIELDS_MAX || self.fields > SET_FIELDS_MAX {
            let (what, most) = if fields.len() > ROUTE_FIELDS_MAX {
                ("this route has", ROUTE_FIELDS_MAX)
            } else {
                ("all routes together have", SET_FIELDS_MAX)
            };
            let message =
                format!("{what} more than {most} fields once its records are written out");
            self.report(Finding::error("too-many-fields", at.clone(), message));
            fields.clear();
        }
        api.routes.push(Route {
            label: format!("{method} {}", pattern.value).into(),
            method,
            pattern: pattern.value,
            request_body,
            parameters,
            open,
            fields,
            keeping,
            at,
            answers: Vec::new(),
        });
    }

    /// A conflict that only the router sees.
    fn conflict(
        &mut self,
        error: &matchit::InsertError,
        method: Method,
        pattern: &At<String>,
        at: &Place,
        shapes: &HashMap<(Method, String), Place>,
    ) {
        let mut finding = Finding::error(
            "route-conflict",
            at.clone(),
            format!("`{method} {}` cannot be told from another route", pattern.value),
        );
        if let matchit::InsertError::Conflict { with } = error {
            if let Some(place) = shapes.get(&(method, shape(with))) {
                finding = finding.also(place, "the other route");
            }
            finding = finding.help(
                "a parameter and the rest of a path (`{*rest}`) cannot stand at the same place",
            );
        }
        self.report(finding);
    }

    fn parameters(
        &mut self,
        pattern: &At<String>,
        written: Vec<(At<String>, WrittenParameter)>,
        complete_at: Option<&Place>,
    ) -> (Vec<Parameter>, Option<String>) {
        let in_path: Vec<&str> = pattern_parameters(&pattern.value).collect();
        let mut open = None;
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut listed: Vec<String> = Vec::new();
        for (name, parameter) in written {
            listed.push(name.value.clone());
            let (rule, category) = match parameter {
                WrittenParameter::Wrong => continue,
                WrittenParameter::Category(category) => {
                    let Some(id) = self.category(&category, "the category") else { continue };
                    (ParameterRule::Category, Some(id))
                }
                WrittenParameter::Rule(ParameterRule::Pass { because }) if name.value == "*" => {
                    open = Some(because);
                    continue;
                }
                WrittenParameter::Rule(rule) => (rule, None),
            };
            let in_path = in_path.contains(&name.value.as_str());
            parameters.push(Parameter { name: name.value, in_path, rule, category, at: name.at });
        }
        if complete_at.is_some() {
            for missing in
                in_path.iter().filter(|name| !listed.iter().any(|listed| listed == *name))
            {
                let message =
                    format!("the parameter `{missing}` of the path is not listed under `params`");
                let help = format!(
                    "say what it is: `params: {{ {missing}: CATEGORY }}`, or `public` if it tells nothing about a person"
                );
                self.report(
                    Finding::error("parameter-not-listed", pattern.at.clone(), message).help(help),
                );
            }
        }
        (parameters, open)
    }

    /// Writes out the records in `lines`, below `base`.
    fn expand(&mut self, base: &Path, lines: &[Line], depth: usize, into: &mut Expansion<'_>) {
        let own_from = base.segments().len();
        for line in lines {
            if into.fields.len() > ROUTE_FIELDS_MAX {
                return;
            }
            let path = base.join(&line.path.value);
            let at = line.path.at.clone();
            let names = line.names;
            let index = match line.target {
                Target::Category(category) => {
                    let class = Class::Category(category);
                    into.fields.push(Field { path, own_from, class, names, at });
                    continue;
                }
                Target::Record(index) => index,
            };
            if into.endless.get(index).copied().unwrap_or_default() {
                continue;
            }
            if depth >= RECORD_DEPTH_MAX {
                let message = format!("records stand in records more than {RECORD_DEPTH_MAX} deep");
                let finding = Finding::error("records-too-deep", at, message)
                    .also(into.route, "on this route");
                self.report(finding);
                continue;
            }
            let Some(record) = self.records.get_mut(index) else { continue };
            let keeps_unclassified = match &record.unclassified {
                Unclassified::Drop => false,
                Unclassified::Keep { because } => {
                    into.keeping.push(Keeping { path: path.clone(), because: because.clone() });
                    true
                }
            };
            // Taken out while it is written out: a record in itself has been left out above.
            let inner = std::mem::take(&mut record.lines);
            let class = Class::Mount { keeps_unclassified };
            into.fields.push(Field { path: path.clone(), own_from, class, names, at });
            self.expand(&path, &inner, depth + 1, into);
            if let Some(record) = self.records.get_mut(index) {
                record.lines = inner;
            }
        }
    }
}

/// The fields of a route while its records are written out.
struct Expansion<'a> {
    route: &'a Place,
    /// Which records never end.
    endless: &'a [bool],
    fields: Vec<Field>,
    keeping: Vec<Keeping>,
}

/// What a pattern matches, whatever its parameters are called.
fn shape(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| {
        if segment.starts_with("{*") {
            "{*}"
        } else if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The names of the parameters in a pattern.
pub(crate) fn pattern_parameters(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| {
        let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.strip_prefix('*').unwrap_or(inner))
    })
}

/// `a.b.c`, `a.b`, `a`.
fn self_and_prefixes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(prefix, _)| prefix))
}
