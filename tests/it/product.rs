//! The product's doors, as the tests use them: a policy in, a document through, cut in any way.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::Arc,
};

use tamis::{
    access::{Count, Reason},
    enforce::{Enforcement, Places, Tally},
    frame::Framed,
    json::{Copied, Limits},
    policy::{Ask, Framing, Plan, PolicySet, Source, Target, load},
    transform::{Context, RootKey},
};

use crate::oracle::{generate::Rng, transform::Setup};

/// The day and the key of every test.
pub(crate) const SETUP: Setup = Setup { key: [7; 32], today: (2026, 11, 21) };

/// What came out of a stream: its bytes, and what was counted, by category and action.
#[derive(Debug, PartialEq)]
pub(crate) struct Left {
    pub(crate) bytes: Vec<u8>,
    pub(crate) counts: BTreeMap<(String, String), u64>,
    /// Where unclassified data was withheld.
    pub(crate) places: Places,
}

/// What came out of a document: its bytes, what was counted, whether unclassified data was withheld.
pub(crate) type Sieved = Result<(Vec<u8>, Vec<Count>, bool), Reason>;

/// Loads policies that are valid.
pub(crate) fn policies(files: &[(&str, &str)]) -> PolicySet {
    loaded(files).unwrap_or_else(|findings| panic!("{findings}\n{}", files[0].1))
}

/// Loads a random policy, which is valid, but may be refused for the size of its automaton, or for a filter that asks
/// about what the purpose does not see.
pub(crate) fn random_policy(yaml: &str) -> Option<PolicySet> {
    match loaded(&[("random.yaml", yaml)]) {
        Ok(set) => Some(set),
        Err(findings) => {
            let errors = findings.matches("error[").count();
            assert_eq!(
                findings.matches("error[too-many-paths]").count()
                    + findings.matches("error[filter-tells]").count(),
                errors,
                "{findings}\n{yaml}"
            );
            None
        }
    }
}

fn loaded(files: &[(&str, &str)]) -> Result<PolicySet, String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    let key = RootKey::from_hex(&"07".repeat(32)).unwrap();
    let loaded = load(&sources, &key);
    let findings: Vec<String> =
        loaded.findings.iter().map(|f| tamis::policy::render(f, &sources)).collect();
    loaded.set.ok_or_else(|| findings.join("\n"))
}

/// Asks for a plan. `request` is a request line such as `GET /customers/42`.
pub(crate) fn plan(
    set: &PolicySet,
    caller: &str,
    purpose: &str,
    host: Option<&str>,
    request: &str,
) -> Result<Arc<Plan>, Reason> {
    let (method, target) = request.split_once(' ').unwrap();
    let target = Target::parse(method, target)?;
    let ask = Ask { caller: set.caller(caller), purpose: Some(purpose), host, target: &target };
    set.decide(&ask).map(|permit| permit.plan).map_err(|denial| denial.reason)
}

/// One document through one plan, in these chunks.
pub(crate) fn sieve<'a>(plan: &Arc<Plan>, chunks: impl IntoIterator<Item = &'a [u8]>) -> Sieved {
    sieve_within(Limits::default(), plan, chunks)
}

/// The same within other limits.
pub(crate) fn sieve_within<'a>(
    limits: Limits,
    plan: &Arc<Plan>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Sieved {
    let mut enforcement = Enforcement::new(Arc::clone(plan), context(), limits);
    let mut out = Vec::new();
    for chunk in chunks {
        enforcement
            .write(chunk, &mut Copied { chunk, out: &mut out })
            .map_err(|refusal| refusal.reason)?;
    }
    enforcement
        .finish(&mut Copied { chunk: b"", out: &mut out })
        .map_err(|refusal| refusal.reason)?;
    let unclassified = enforcement.tally().unclassified();
    let places = enforcement.places();
    assert_eq!(unclassified, !places.paths.is_empty() || places.left_out, "{places:?}");
    Ok((out, enforcement.tally().counts(), unclassified))
}

/// Where unclassified data of a document was withheld.
pub(crate) fn places<'a>(
    plan: &Arc<Plan>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> BTreeSet<String> {
    let mut enforcement = Enforcement::new(Arc::clone(plan), context(), Limits::default());
    let mut out = Vec::new();
    for chunk in chunks {
        enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    }
    enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).unwrap();
    let places = enforcement.places();
    assert!(!places.left_out);
    places.paths.into_iter().collect()
}

/// A body of many documents through one plan, in these chunks.
pub(crate) fn stream<'a>(
    plan: &Arc<Plan>,
    framing: Framing,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Left, Reason> {
    let mut framed = Framed::new(framing, Arc::clone(plan), context(), Limits::default());
    let mut bytes = Vec::new();
    for chunk in chunks {
        framed.write(chunk, &mut bytes).map_err(|refusal| refusal.reason)?;
    }
    framed.finish(&mut bytes).map_err(|refusal| refusal.reason)?;
    Ok(Left { bytes, counts: counted(framed.tally()), places: framed.places() })
}

/// What was counted, as the oracle says it.
fn counted(tally: &Tally) -> BTreeMap<(String, String), u64> {
    let counts = tally.counts().into_iter();
    let mut counted: BTreeMap<(String, String), u64> = counts
        .map(|count| ((count.category.to_string(), count.action.to_string()), count.accesses))
        .collect();
    if tally.unclassified() {
        counted.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
    }
    counted
}

fn context() -> Context {
    let (year, month, day) = SETUP.today;
    let today = jiff::civil::date(
        year.try_into().unwrap(),
        month.try_into().unwrap(),
        day.try_into().unwrap(),
    );
    Context { today }
}

/// Cuts a document at random.
pub(crate) fn cuts<'a>(mut document: &'a [u8], rng: &mut Rng) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    while !document.is_empty() {
        let (chunk, rest) = document.split_at(rng.below(document.len().min(40) + 1));
        chunks.push(chunk);
        document = rest;
    }
    chunks
}

/// The seeds of a sweep that takes long: all of them where `TAMIS_SWEEP=all` asks for that.
pub(crate) fn few_seeds(few: u64, all: u64) -> impl Iterator<Item = u64> {
    seeds(match env::var("TAMIS_SWEEP").as_deref() {
        Err(_) => few,
        Ok("all") => all,
        Ok(other) => panic!("TAMIS_SWEEP={other}: it can only be `all`"),
    })
}

/// The seeds of a sweep: as many as asked for here, more if `TAMIS_SEEDS` says so, or only the one in
/// `TAMIS_SEED`, which a failure prints.
pub(crate) fn seeds(at_least: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let many = number("TAMIS_SEEDS").unwrap_or(0).max(at_least);
    match number("TAMIS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..many,
    }
}
