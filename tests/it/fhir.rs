//! Real input: the official examples of HL7 FHIR R4, which `make test` fetches. The product, with the
//! policy that is shipped, against the oracle.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    oracle::{sieve, tree, world::World},
    product,
};

/// The types that the policy has routes for.
pub(crate) const RESOURCES: [&str; 4] = ["Patient", "Practitioner", "RelatedPerson", "Observation"];
/// Who asks for what; every purpose of the policy.
pub(crate) const PURPOSES: [(&str, &str); 4] = [
    ("ward-app", "treatment"),
    ("ward-app", "emergency"),
    ("insurance", "payment"),
    ("agency", "public-health"),
];

/// The examples of the four types, by name; none where they could not be fetched.
pub(crate) fn examples() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/fhir/package");
    let Ok(entries) = fs::read_dir(&folder) else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let of_a_type = RESOURCES.iter().any(|r| name.starts_with(&format!("{r}-")));
            of_a_type.then(|| (name, fs::read(entry.path()).unwrap()))
        })
        .collect()
}

/// A policy that is shipped.
pub(crate) fn policy(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies").join(name))
        .unwrap()
}

/// The policy by which every purpose gets an answer, where who may ask for whose number is not the matter.
pub(crate) fn answering(fhir: &str) -> String {
    let ids = regex::Regex::new(r"params: \{ id: [a-z._]+ \}").unwrap();
    ids.replace_all(fhir, "params: { id: public }").into_owned()
}

/// Every document for every purpose: the same list of (path, bytes) as the oracle's, and the same bytes
/// whole, cut at every byte and byte by byte.
#[test]
fn hl7_examples_leave_as_the_oracle_says() {
    let examples = examples();
    if examples.is_empty() {
        println!("skipped: the FHIR examples are not in target/fhir (`make test` fetches them)");
        return;
    }
    let categories = policy("categories.yaml");
    let fhir = answering(&policy("fhir.yaml"));
    let set = product::policies(&[("categories.yaml", &categories), ("fhir.yaml", &fhir)]);
    let world = World::read(&[&categories, &fhir]);
    let mut changed = 0;
    for (name, document) in &examples {
        let resource = name.split('-').next().unwrap();
        for (caller, purpose) in PURPOSES {
            let host = Some("fhir.clinic.internal");
            let request = format!("GET /{resource}/1");
            let plan = product::plan(&set, caller, purpose, host, &request).unwrap();
            let route = format!("GET /{resource}/{{id}}");
            let expected = sieve::sieve(&world, purpose, "fhir", &route, document, &product::SETUP);
            assert_eq!(expected.refused, None, "{name} for {purpose}");
            let whole = product::sieve(&plan, [document.as_slice()]).unwrap();
            assert!(tree::leaves(&whole.0) == expected.leaves(), "{name} for {purpose}");
            let bytes = product::sieve(&plan, document.chunks(1)).unwrap();
            assert!(bytes == whole, "{name} for {purpose}, byte by byte");
            for at in 0..document.len() {
                let (head, tail) = document.split_at(at);
                let cut = product::sieve(&plan, [head, tail]).unwrap();
                assert!(cut == whole, "{name} for {purpose}, cut at {at}");
            }
            changed += usize::from(whole.0 != *document);
        }
    }
    assert!(examples.len() >= 100, "{} examples are not all", examples.len());
    println!(
        "{} FHIR documents for {} purposes as the oracle says, cut at every byte; {changed} changed",
        examples.len(),
        PURPOSES.len()
    );
}
