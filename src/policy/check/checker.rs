//! What is known so far while policies are checked.

use crate::{
    policy::{
        check::expansion::{Record, Target},
        model::{
            Api, ApiId, ByName, Caller, Category, CategoryId, Digest, Policies, Purpose,
            SourceLines,
        },
        reader::At,
    },
    source::{Finding, Place, Rank},
};

/// See the module. The files of `check` each add their part, in the order in which [`check`] has them do so.
///
/// [`check`]: crate::policy::check::check
pub(super) struct Checker<'f> {
    pub(super) findings: &'f mut Vec<Finding>,
    pub(super) categories: Vec<Category>,
    pub(super) category_ids: ByName<CategoryId>,
    pub(super) purposes: Vec<Purpose>,
    pub(super) purposes_by_name: ByName<usize>,
    pub(super) callers: Vec<Caller>,
    pub(super) callers_by_name: ByName<usize>,
    pub(super) record_ids: ByName<usize>,
    pub(super) records: Vec<Record>,
    pub(super) api_ids: ByName<ApiId>,
    pub(super) apis: Vec<Api>,
    pub(super) apis_by_host: ByName<usize>,
    pub(super) hostless: Option<usize>,
    /// What the bodies of routes mention.
    pub(super) mounted: Vec<Target>,
    /// How many routes there are so far.
    pub(super) routes: usize,
    /// How many fields all routes have.
    pub(super) fields: usize,
}

impl<'f> Checker<'f> {
    /// Nothing is known yet but the names of the APIs: callers and purposes name them before they are read.
    pub(super) fn new(findings: &'f mut Vec<Finding>, api_ids: ByName<ApiId>) -> Self {
        Self {
            findings,
            categories: Vec::new(),
            category_ids: ByName::default(),
            purposes: Vec::new(),
            purposes_by_name: ByName::default(),
            callers: Vec::new(),
            callers_by_name: ByName::default(),
            record_ids: ByName::default(),
            records: Vec::new(),
            api_ids,
            apis: Vec::new(),
            apis_by_host: ByName::default(),
            hostless: None,
            mounted: Vec::new(),
            routes: 0,
            fields: 0,
        }
    }

    /// The policies, unless something is wrong.
    pub(super) fn finish(self, digest: Digest, sources: Vec<SourceLines>) -> Option<Policies> {
        let is_right = !self.has_errors();
        is_right.then_some(Policies {
            digest,
            sources,
            categories: self.categories,
            purposes: self.purposes,
            callers: self.callers,
            apis: self.apis,
            callers_by_name: self.callers_by_name,
            purposes_by_name: self.purposes_by_name,
            apis_by_host: self.apis_by_host,
            hostless: self.hostless,
        })
    }
}

impl Checker<'_> {
    pub(super) fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.rank == Rank::Error)
    }

    /// Whether a name is new; if not, both places are reported.
    pub(super) fn is_new(&mut self, what: &str, name: &At<String>, first: Option<Place>) -> bool {
        let Some(first) = first else { return true };
        let message = format!("{what} `{}` is defined twice", name.value);
        self.report(
            Finding::error("defined-twice", name.at.clone(), message)
                .also(&first, "first defined here"),
        );
        false
    }
}
