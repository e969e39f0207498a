//! From the text of policies to a decision: YAML to findings to a [`PolicySet`] that decides about
//! requests and explains itself.
//!
//! **Must never know** a body, a connection or the time: it sees policies and request lines, and what
//! it decides depends on nothing else.
//!
//! ```
//! use tamis::access::Reason;
//! use tamis::policy::{Ask, Source, Target, load};
//! use tamis::transform::NoKeys;
//!
//! let text = r"
//! tamis: 1
//! categories: { contact.email: E-mail address }
//! purposes: { support: { title: Answer a customer, legal_basis: contract } }
//! callers: { desk: { identify: { api_key: desk-2026 }, purposes: [support] } }
//! apis:
//!   crm:
//!     routes:
//!       GET /customers/{id}: { params: { id: public }, body: { $.email: contact.email } }
//! rules: { support: { contact: keep } }
//! ";
//! let source = Source { name: "crm.yaml".to_owned(), text: text.to_owned() };
//! let set = load(&[source], &NoKeys).set.unwrap();
//!
//! let target = Target::parse("GET", "/customers/C-1042").unwrap();
//! let ask = Ask { caller: Some("desk"), purpose: None, host: None, target: &target };
//! assert_eq!(&*set.decide(&ask).unwrap().labels.purpose, "support");
//! let denial = set.decide(&Ask { caller: None, ..ask }).unwrap_err();
//! assert_eq!(denial.reason, Reason::CallerUnknown);
//! ```

mod action;
mod check;
mod compile;
mod conditions;
mod decide;
mod explain;
mod finding;
mod folded;
mod framing;
mod lazy;
mod lines;
mod lint;
mod model;
mod needs;
mod personal;
mod plan;
mod read;
mod reader;
mod router;
mod rulebook;
mod spelled;
mod suite;
#[cfg(test)]
mod tests;
mod yaml;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::transform::Keys;

pub(crate) use conditions::is_condition;
pub use decide::{Ask, Crossing, Denial, Permit, Preflight, Target, check_host};
pub use explain::{Explanation, Question, Row};
pub use finding::{
    AlsoView, Finding, FindingView, Place, PlaceView, Position, Rank, SHOWN_MAX, render,
    render_all, shortened, view,
};
pub use framing::Framing;
pub(crate) use framing::is_grpc;
pub use model::{
    Api, Art9, Caller, Digest, Identify, LegalBasis, Method, PolicySet, Purpose, Route, Stream,
    Unclassified,
};
pub use needs::{Needs, PathNeeds, RouteNeeds};
pub use plan::{Cell, CellId, Kinds, Names, OPAQUE, Own, Plan, Strings, Verdict};
pub use rulebook::{Fate, Inside, Named, Nodes, Removal, Scope};
pub use spelled::{NameId, Spelled};
pub use suite::{Case, Claim, Says, Suite};

use model::SourceLines;
use read::Written;
use reader::Reader;

/// The end of the name of a file that holds tests.
pub const TEST_SUFFIX: &str = ".test.yaml";

/// One file: its name as people see it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name, such as `policies/crm.yaml`; what ends in `.test.yaml` holds tests.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// Whether this is a file of tests.
    pub fn is_test(&self) -> bool {
        self.name.ends_with(TEST_SUFFIX)
    }

    /// The name without its folder: a set is the same wherever it lies.
    fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// What came of [`load`].
#[derive(Debug)]
pub struct Loaded {
    /// The policies; none if there is any error.
    pub set: Option<PolicySet>,
    /// The tests.
    pub suites: Vec<Suite>,
    /// All that is wrong or worth a look, in the order of the sources.
    pub findings: Vec<Finding>,
}

/// Gives the text of a file that a test names as a fixture, by its path below the folder of the policies; or
/// says why there is none.
pub type FixtureFiles<'f> = dyn Fn(&str) -> Result<String, String> + 'f;

/// Loads policies and their tests: the one loader for everything that reads them.
///
/// Everything that is wrong is found at once. Any error, and there is no set. A fixture that is a file is an error
/// here: [`load_with_fixtures`] is for those who have the folder.
pub fn load(sources: &[Source], keys: &dyn Keys) -> Loaded {
    load_with_fixtures(sources, keys, &|path| Err(format!("`{path}` cannot be read here")))
}

/// Does what [`load`] does, with files for the fixtures of tests. `files` is asked only for paths of plain names
/// with `/` between, none of them `.` or `..`.
pub fn load_with_fixtures(sources: &[Source], keys: &dyn Keys, files: &FixtureFiles<'_>) -> Loaded {
    let mut findings = Vec::new();
    let mut suites = Vec::new();
    let mut written = Written::default();
    for (index, source) in sources.iter().enumerate() {
        let errors = findings.len();
        let root = yaml::read(index, &source.text, &mut findings);
        if root.is_none() && findings.len() > errors {
            continue;
        }
        let mut reader = Reader::new(index, &mut findings);
        if source.is_test() {
            suites.push(suite::read(&mut reader, index, root.as_ref(), files));
        } else {
            read::read(&mut reader, root.as_ref(), &mut written);
        }
    }
    let lines = sources.iter().map(|source| SourceLines::new(&source.name, &source.text)).collect();
    let mut set = check::check(written, lines, digest(sources), &mut findings);
    let is_wrong = |findings: &[Finding]| findings.iter().any(|one| one.rank == Rank::Error);
    // What follows would only repeat an error that is already there, in other words.
    if !is_wrong(&findings) {
        suite::check_names(&suites, &set, &mut findings);
        lint::set(&set, &mut findings);
        lint::tests(&set, &suites, &mut findings);
        compile::compile(&mut set, keys, &mut findings);
        if !is_wrong(&findings) {
            explain::check_filters(&set, &mut findings);
        }
    }
    finding::arrange(&mut findings);
    Loaded { set: (!is_wrong(&findings)).then_some(set), suites, findings }
}

/// SHA-256 over the names and texts of the policy files, each after its length, in the order of the
/// names.
fn digest(sources: &[Source]) -> Digest {
    let mut policies: Vec<&Source> = sources.iter().filter(|source| !source.is_test()).collect();
    policies.sort_by_key(|source| source.file_name());
    let mut hash = Sha256::new();
    for source in policies {
        for part in [source.file_name(), &source.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Digest(HEXLOWER.encode(&hash.finalize()).into())
}
