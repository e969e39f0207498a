//! The one loader for everything that reads policies.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    policy::{
        check, compile, explain, lint,
        model::{Digest, Policies, SourceLines},
        read::{self, Written},
        reader::Reader,
        set::PolicySet,
        suite::{self, FixtureFiles, Suite},
    },
    source::{Finding, Rank, Source, arrange, yaml},
    transform::Keys,
};

/// The end of the name of a file that holds tests.
pub const TEST_SUFFIX: &str = ".test.yaml";

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
    let policies = check::check(written, lines, digest(sources), &mut findings);
    let set = policies.and_then(|policies| complete(policies, &suites, keys, &mut findings));
    arrange(&mut findings);
    Loaded { set, suites, findings }
}

/// The set of policies that are right by themselves. What is found here would only repeat an error that is already
/// there, in other words; so each step is taken only where the one before found none.
fn complete(
    policies: Policies,
    suites: &[Suite],
    keys: &dyn Keys,
    findings: &mut Vec<Finding>,
) -> Option<PolicySet> {
    suite::check_names(suites, &policies, findings);
    lint::policies(&policies, findings);
    lint::tests(&policies, suites, findings);
    let set = compile::compile(policies, keys, findings)?;
    let is_wrong = |findings: &[Finding]| findings.iter().any(|one| one.rank == Rank::Error);
    if !is_wrong(findings) {
        explain::check_filters(&set, findings);
    }
    (!is_wrong(findings)).then_some(set)
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
