//! What policy files say, before names are looked up.

use crate::{
    path::Path,
    policy::{
        model::{Cors, Delta, Identify, ParameterRule, Pass, Stream, Unclassified},
        reader::At,
        terms::{Art9, LegalBasis, Method},
    },
    source::Place,
    transform::Action,
};

/// Everything that the policy files declare, in the order of the files.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) categories: Vec<WrittenCategory>,
    pub(crate) purposes: Vec<WrittenPurpose>,
    pub(crate) callers: Vec<WrittenCaller>,
    pub(crate) records: Vec<WrittenRecord>,
    pub(crate) apis: Vec<WrittenApi>,
    pub(crate) rules: Vec<WrittenRules>,
}

pub(crate) struct WrittenCategory {
    pub(crate) name: At<String>,
    pub(crate) title: String,
    pub(crate) special: bool,
    pub(crate) few_values: bool,
    pub(crate) explicit: bool,
}

pub(crate) struct WrittenPurpose {
    pub(crate) name: At<String>,
    pub(crate) title: String,
    /// Any, if what is written there is wrong, and reported.
    pub(crate) legal_basis: LegalBasis,
    pub(crate) art9: Option<Art9>,
    /// Whether `art9` is written, rightly or not.
    pub(crate) declares_art9: bool,
    pub(crate) owner: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) dpv: Option<String>,
    /// The APIs that it is for; none if that is not written.
    pub(crate) apis: Option<Vec<At<String>>>,
}

pub(crate) struct WrittenCaller {
    pub(crate) name: At<String>,
    pub(crate) identify: Option<At<Identify>>,
    pub(crate) purposes: Vec<At<String>>,
    /// The APIs that it may use; none if that is not written.
    pub(crate) apis: Option<Vec<At<String>>>,
}

pub(crate) struct WrittenRecord {
    pub(crate) name: At<String>,
    pub(crate) fields: Vec<Classified>,
    pub(crate) unclassified: Unclassified,
}

/// One line that classifies: a path, and what is there.
pub(crate) struct Classified {
    pub(crate) path: At<Path>,
    /// The path as it is written.
    pub(crate) spelled: String,
    pub(crate) class: ClassName,
    pub(crate) names: Option<At<WrittenNames>>,
    pub(crate) delta: Delta,
    /// Whether what is there stands in a text, as JSON.
    pub(crate) embedded: bool,
    /// Whether what is unclassified stays where the line stands.
    pub(crate) beside_kept: bool,
}

/// What a line says of the names that its path reaches without spelling them.
pub(crate) enum WrittenNames {
    /// They are of this category.
    Category(String),
    /// They are these; others are not known.
    Listed(Vec<String>),
}

/// Says in lines whether what is unclassified stays where they stand.
pub(crate) fn set_beside_kept(lines: &mut [Classified], unclassified: &Unclassified) {
    let kept = matches!(unclassified, Unclassified::Keep { .. });
    for line in lines {
        line.beside_kept = kept;
    }
}

pub(crate) enum ClassName {
    /// A word: a category or a record.
    Either(At<String>),
    Category(At<String>),
    Record(At<String>),
}

pub(crate) struct WrittenApi {
    pub(crate) name: At<String>,
    pub(crate) hosts: Vec<At<String>>,
    /// Whether `host` is written at all, rightly or not.
    pub(crate) names_host: bool,
    pub(crate) routes: Vec<WrittenRoute>,
    pub(crate) request_headers: Vec<String>,
    pub(crate) response_headers: Vec<WrittenHeader>,
    pub(crate) cors: Option<Cors>,
    pub(crate) unclassified: Unclassified,
}

/// A response header, and of which category its value is.
pub(crate) struct WrittenHeader {
    /// As it is written.
    pub(crate) name: At<String>,
    pub(crate) category: At<String>,
}

pub(crate) struct WrittenRoute {
    pub(crate) at: Place,
    pub(crate) method: Method,
    pub(crate) pattern: At<String>,
    pub(crate) parameters: Vec<(At<String>, WrittenParameter)>,
    /// Set if `params` itself could be read, so that a parameter missing in it is really missing.
    pub(crate) parameters_known: bool,
    pub(crate) body: Vec<Classified>,
    pub(crate) stream: Option<Stream>,
    pub(crate) compresses: bool,
    pub(crate) request_body: Option<String>,
    pub(crate) pass: Option<Pass>,
    pub(crate) media: Vec<WrittenMedia>,
    pub(crate) validators: Option<String>,
    /// Where it says `buffer: document`.
    pub(crate) buffer: Option<Place>,
}

/// A media type that a route lets pass as it is.
pub(crate) struct WrittenMedia {
    /// Lower-case.
    pub(crate) media: At<String>,
    pub(crate) because: String,
    /// The purposes for which it passes; none if that is not written.
    pub(crate) purposes: Option<Vec<At<String>>>,
}

pub(crate) enum WrittenParameter {
    /// A category, or a list of several.
    Categories(Vec<At<String>>),
    Rule(ParameterRule),
    /// Wrong, and reported.
    Wrong,
}

pub(crate) struct WrittenRules {
    pub(crate) purpose: At<String>,
    pub(crate) rules: Vec<(At<String>, At<Action>)>,
}
