//! Policies as written become policies as checked: names are looked up across all files, records are
//! expanded, routes are compared. Everything that is wrong is found, not only the first.

mod callers;
mod categories;
mod checker;
mod expansion;
mod records;
mod routes;
mod rules;

use crate::{
    policy::{
        check::checker::Checker,
        model::{ApiId, ByName, Digest, Policies, SourceLines},
        read::{Written, WrittenApi},
    },
    source::Finding,
};

/// Checks what all files say together. There are policies only if there is no error, here or among `findings`
/// before.
pub(crate) fn check(
    written: Written,
    sources: Vec<SourceLines>,
    digest: Digest,
    findings: &mut Vec<Finding>,
) -> Option<Policies> {
    let mut checker = Checker::new(findings, ids_of(&written.apis));
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
    checker.finish(digest, sources)
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
