//! Policies as plain structures. Nothing is checked: only valid policies come here.

use std::collections::BTreeMap;

use serde_json::Value;

/// Everything that the policy files say about responses.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct World {
    /// The declared categories, `public` not among them.
    pub(crate) categories: BTreeMap<String, Category>,
    /// The purposes of each caller.
    pub(crate) callers: BTreeMap<String, Vec<String>>,
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) apis: BTreeMap<String, Api>,
    /// Purpose, then category, prefix or `*`.
    pub(crate) rules: BTreeMap<String, BTreeMap<String, Action>>,
}

/// What a category says of itself. It holds for all categories below, too.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Category {
    pub(crate) few_values: bool,
    pub(crate) explicit: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Record {
    /// `fields`, then `embedded`.
    pub(crate) fields: Vec<(String, Class)>,
    /// `unclassified: keep`.
    pub(crate) keeps: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Api {
    pub(crate) hosts: Vec<String>,
    /// Routes as written (`GET /a/{id}`), their `body`, then their `embedded`.
    pub(crate) routes: Vec<(String, Vec<(String, Class)>)>,
    /// `unclassified: keep`.
    pub(crate) keeps: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Class {
    pub(crate) target: Target,
    pub(crate) names: Option<Names>,
    /// It stands under `embedded`: a string there holds a document.
    pub(crate) embedded: bool,
}

impl Class {
    /// This category, and nothing else.
    pub(crate) fn of(category: String) -> Self {
        Self { target: Target::Category(category), names: None, embedded: false }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Category(String),
    Record(String),
}

/// What the names are that a path reaches without spelling them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Names {
    /// Data of this category, which is not `public`.
    Category(String),
    /// `public`: those of fields, at each `.*`.
    Fields,
    /// These and no others.
    List(Vec<String>),
}

/// The actions of version 1, without those of later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Keep,
    Pseudonym { domain: Option<String> },
    Generalise(Generalise),
    Mask { first: usize, last: usize, same_length: bool },
    Null,
    Drop,
    Deny,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Generalise {
    AgeBand(i32),
    Date(Precision),
    Prefix(usize),
    Round(i128),
    Ip,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Precision {
    Year,
    Quarter,
    Month,
}

impl Action {
    /// The place in "Actions, loosest to strictest".
    pub(crate) fn strictness(&self) -> u8 {
        match self {
            Self::Keep => 0,
            Self::Pseudonym { .. } => 2,
            Self::Generalise(_) => 3,
            Self::Mask { .. } => 5,
            Self::Null => 7,
            Self::Drop => 8,
            Self::Deny => 9,
        }
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Pseudonym { .. } => "pseudonym",
            Self::Generalise(_) => "generalise",
            Self::Mask { .. } => "mask",
            Self::Null => "null",
            Self::Drop => "drop",
            Self::Deny => "deny",
        }
    }

    fn read(value: &Value) -> Self {
        if value.is_null() {
            return Self::Null;
        }
        if let Some(word) = value.as_str() {
            return match word {
                "keep" => Self::Keep,
                "pseudonym" => Self::Pseudonym { domain: None },
                "null" => Self::Null,
                "drop" => Self::Drop,
                "deny" => Self::Deny,
                other => panic!("not an action: {other}"),
            };
        }
        if let Some(said) = value.get("pseudonym") {
            return Self::Pseudonym { domain: said.get("domain").map(text) };
        }
        if let Some(said) = value.get("mask") {
            return Self::Mask {
                first: said.get("keep_first").map_or(0, size),
                last: said.get("keep_last").map_or(0, size),
                same_length: said.get("length").is_some_and(|length| length == "keep"),
            };
        }
        let said = value.get("generalise").expect("an action");
        Self::Generalise(if let Some(years) = said.get("age_band") {
            Generalise::AgeBand(i32::try_from(size(years)).unwrap())
        } else if let Some(precision) = said.get("date") {
            Generalise::Date(match precision.as_str().unwrap() {
                "year" => Precision::Year,
                "quarter" => Precision::Quarter,
                "month" => Precision::Month,
                other => panic!("not a precision: {other}"),
            })
        } else if let Some(length) = said.get("prefix") {
            Generalise::Prefix(size(length))
        } else if let Some(step) = said.get("round") {
            Generalise::Round(i128::try_from(size(step)).unwrap())
        } else {
            assert!(said == "ip" || said.get("ip").is_some(), "not a way to generalise: {said}");
            Generalise::Ip
        })
    }
}

impl World {
    /// Reads policy files, each given as its text, as one policy.
    pub(crate) fn read(files: &[&str]) -> Self {
        let files: Vec<Value> =
            files.iter().map(|file| serde_saphyr::from_str(file).unwrap()).collect();
        let records: Vec<(String, Value)> = section(&files, "records");
        let class = |value: &Value, embedded: bool| {
            let target = |name: &Value| {
                let name = text(name);
                if records.iter().any(|(record, _)| *record == name) {
                    Target::Record(name)
                } else {
                    Target::Category(name)
                }
            };
            if value.is_string() {
                return Class { target: target(value), names: None, embedded };
            }
            Class {
                target: target(value.get("category").or_else(|| value.get("record")).unwrap()),
                names: value.get("names").map(Names::read),
                embedded,
            }
        };
        let classes = |said: &Value, key: &str| {
            let of = |key: &str, embedded: bool| {
                let members = members(said.get(key)).into_iter();
                members.map(|(path, said)| (path, class(&said, embedded))).collect::<Vec<_>>()
            };
            [of(key, false), of("embedded", true)].concat()
        };

        let mut world = Self::default();
        for (name, said) in section(&files, "categories") {
            let says = |flag: &str| said.get(flag).is_some_and(|value| *value == true);
            let (few_values, explicit) = (says("few_values"), says("explicit"));
            world.categories.insert(name, Category { few_values, explicit });
        }
        for (name, said) in section(&files, "callers") {
            world.callers.insert(name, texts(said.get("purposes").unwrap()));
        }
        for (name, said) in &records {
            let record = Record { fields: classes(said, "fields"), keeps: keeps(said) };
            world.records.insert(name.clone(), record);
        }
        for (name, said) in section(&files, "apis") {
            let routes = members(said.get("routes"));
            let routes = routes.into_iter().map(|(route, said)| (route, classes(&said, "body")));
            let hosts = said.get("host").map(texts).unwrap_or_default();
            world.apis.insert(name, Api { hosts, routes: routes.collect(), keeps: keeps(&said) });
        }
        for (purpose, said) in section(&files, "rules") {
            let rules = world.rules.entry(purpose).or_default();
            for (category, action) in members(Some(&said)) {
                rules.insert(category, Action::read(&action));
            }
        }
        world
    }

    /// Whether a filter of these asks about the document, here or in a record that is mounted.
    pub(crate) fn asks_about_document(&self, classes: &[(String, Class)]) -> bool {
        classes.iter().any(|(path, class)| {
            path.get(1..).is_some_and(|rest| rest.contains('$'))
                || match &class.target {
                    Target::Record(record) => {
                        self.asks_about_document(&self.records[record].fields)
                    }
                    Target::Category(_) => false,
                }
        })
    }

    /// Rule 7: for a category that is `explicit` the rule for its whole name, else `drop`, or `deny` where that would
    /// have decided. For any other what [`World::general_rule`] says. `public` is always kept.
    pub(crate) fn rule(&self, purpose: &str, category: &str) -> Action {
        let general = self.general_rule(purpose, category);
        let own = self.rules.get(purpose).and_then(|rules| rules.get(category));
        if !self.is_explicit(category) || own.is_some() || general == Action::Deny {
            return general;
        }
        Action::Drop
    }

    /// The rule for a category that is not `explicit`: that for `a.b`, then for `a`, then for `*`, then `drop`.
    pub(crate) fn general_rule(&self, purpose: &str, category: &str) -> Action {
        if category == "public" {
            return Action::Keep;
        }
        let Some(rules) = self.rules.get(purpose) else { return Action::Drop };
        let rule = prefixes(category).find_map(|prefix| rules.get(prefix));
        rule.or_else(|| rules.get("*")).cloned().unwrap_or(Action::Drop)
    }

    /// Whether the category, or one that it is below, says `explicit`.
    fn is_explicit(&self, category: &str) -> bool {
        let mut declared = prefixes(category).filter_map(|prefix| self.categories.get(prefix));
        declared.any(|declared| declared.explicit)
    }
}

impl Names {
    fn read(value: &Value) -> Self {
        match value.as_str() {
            None => Self::List(texts(value)),
            Some("public") => Self::Fields,
            Some(category) => Self::Category(category.to_owned()),
        }
    }
}

/// `a.b.c`, `a.b`, `a`.
fn prefixes(category: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(category), |name| name.rsplit_once('.').map(|(shorter, _)| shorter))
}

/// The members of one top-level key, over all files.
fn section(files: &[Value], key: &str) -> Vec<(String, Value)> {
    files.iter().flat_map(|file| members(file.get(key))).collect()
}

fn members(value: Option<&Value>) -> Vec<(String, Value)> {
    let object = value.and_then(Value::as_object);
    object.into_iter().flatten().map(|(key, said)| (key.clone(), said.clone())).collect()
}

fn keeps(value: &Value) -> bool {
    value.get("unclassified").is_some_and(|said| said.get("keep").is_some())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map_or_else(|| vec![text(value)], |list| list.iter().map(text).collect())
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
