//! Policies as written become policies as checked: names are looked up across all files, records are
//! expanded, routes are compared. Everything that is wrong is found, not only the first.

mod callers;
mod categories;
mod records;
mod routes;
mod rules;

use crate::policy::{
    finding::{Finding, Place, Rank},
    model::{
        Api, ApiId, ByName, Caller, Category, CategoryId, Digest, PolicySet, Purpose, SourceLines,
    },
    read::{Written, WrittenApi},
    reader::At,
};

use records::{Record, Target};

struct Checker<'f> {
    findings: &'f mut Vec<Finding>,
    categories: Vec<Category>,
    category_ids: ByName<CategoryId>,
    purposes: Vec<Purpose>,
    purposes_by_name: ByName<usize>,
    callers: Vec<Caller>,
    callers_by_name: ByName<usize>,
    record_ids: ByName<usize>,
    records: Vec<Record>,
    api_ids: ByName<ApiId>,
    apis: Vec<Api>,
    apis_by_host: ByName<usize>,
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
        category_ids: ByName::default(),
        purposes: Vec::new(),
        purposes_by_name: ByName::default(),
        callers: Vec::new(),
        callers_by_name: ByName::default(),
        record_ids: ByName::default(),
        records: Vec::new(),
        api_ids: ids_of(&written.apis),
        apis: Vec::new(),
        apis_by_host: ByName::default(),
        hostless: None,
        mounted: Vec::new(),
        fields: 0,
    };
    checker.categories(written.categories);
    checker.purposes(written.purposes);
    checker.callers(written.callers);
    checker.records(written.records);
    checker.rules(written.rules);
    checker.domains();
    checker.flags();
    let circular = checker.circles();
    checker.apis(written.apis, &circular);
    // What an error hides may be what uses them.
    if !checker.has_errors() {
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

/// The APIs by name, before they are read: callers and purposes name them. Of two with one name the first counts.
fn ids_of(written: &[WrittenApi]) -> ByName<ApiId> {
    let mut ids = ByName::default();
    for api in written {
        let next = ApiId(ids.len());
        ids.entry(api.name.value.clone()).or_insert(next);
    }
    ids
}

impl Checker<'_> {
    fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.rank == Rank::Error)
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
}
