//! Random policies and documents: the product against the oracle, however a document is cut.

use std::collections::BTreeMap;

use tamis::{access::Count, policy::PolicySet};

use crate::{
    oracle::{
        generate::{self, Case, Rng},
        sieve::{self, Sieved},
        world::{Action, Category, Class, World},
    },
    product,
};

/// What the oracle says of each document of a case, and the policies of the case with more lines, whose nodes
/// no document has and every purpose drops.
fn filled(
    case: &mut Case,
    paths: impl Iterator<Item = String>,
) -> (Vec<Sieved>, Option<PolicySet>) {
    case.world.categories.insert("fill".to_owned(), Category::default());
    for purpose in case.world.callers["tester"].clone() {
        let rules = case.world.rules.entry(purpose).or_default();
        rules.insert("fill".to_owned(), Action::Drop);
    }
    // One line more says as much as all of them: that a path goes on below every container.
    let mut with_one = case.world.clone();
    fill(&mut with_one, case, "$..fill".to_owned());
    let expected = |document: &Vec<u8>| {
        let (purpose, api, route) = (&case.purpose, &case.api, &case.route);
        let mut sieved = sieve::sieve(&with_one, purpose, api, route, document, &product::SETUP);
        sieved.counts.remove(&("fill".to_owned(), "drop".to_owned()));
        sieved
    };
    let expected = case.documents.iter().map(expected).collect();
    let mut with_all = case.world.clone();
    for path in paths {
        fill(&mut with_all, case, path);
    }
    case.world = with_all;
    (expected, product::random_policy(&generate::yaml(&case.world)))
}

/// Adds a line to the route of the case.
fn fill(world: &mut World, case: &Case, path: String) {
    let routes = &mut world.apis.get_mut("things").unwrap().routes;
    let (_, fields) = routes.iter_mut().find(|(route, _)| *route == case.route).unwrap();
    // Before those that are embedded, as a file has them.
    fields.insert(0, (path, Class::of("fill".to_owned())));
}

/// Names that stand anywhere and are dropped change nothing but the counts, and which containers are known, however
/// many there are: what is looked up by them is looked up apart.
#[test]
fn many_names_that_stand_anywhere_are_none_of_the_others() {
    let mut documents = 0;
    for seed in product::seeds(150) {
        let mut case = generate::case(seed);
        let (expected, set) = filled(
            &mut case,
            (0..40).map(|line| {
                let names: Vec<String> = (0..20).map(|n| format!("'fill_{line}_{n}'")).collect();
                format!("$..[{}]", names.join(","))
            }),
        );
        let Some(set) = set else { continue };
        documents += assert_filled(seed, &case, &set, expected);
    }
    println!("{documents} random documents as the oracle says, among 800 names");
    assert!(documents > 200 || std::env::var_os("TAMIS_SEED").is_some(), "{documents}");
}

/// Nor do paths that combine to more states than can be listed, so that all states are made on the way.
#[test]
fn states_that_are_made_on_the_way_are_those_that_would_be_listed() {
    let (mut cases, mut documents, mut lazy) = (0, 0, 0);
    for seed in product::few_seeds(50, 150) {
        cases += 1;
        let mut case = generate::case(seed);
        // There, nothing that a filter measures or compares counts as kept.
        if measures(&case.yaml) {
            continue;
        }
        let path = format!("$..fill{}.fill", ".*".repeat(18));
        // Many of which every node below has all, so that its states share them.
        let shared = (0..80 * (seed % 2)).map(|line| format!("$.*..fill{line}.fill"));
        let (expected, set) = filled(&mut case, shared.chain([path]));
        let Some(set) = set else { continue };
        lazy += set.plans().filter(|(_, plan)| plan.program().is_lazy()).count();
        documents += assert_filled(seed, &case, &set, expected);
    }
    println!(
        "{documents} random documents as the oracle says, by {lazy} plans that list no states"
    );
    // Four for three cases.
    let are_many = documents * 3 > cases * 4;
    assert!(are_many || std::env::var_os("TAMIS_SEED").is_some(), "{documents} of {cases} cases");
    assert!(lazy > 0);
}

/// Whether a filter asks for a length, or compares two places.
fn measures(yaml: &str) -> bool {
    let places = regex::Regex::new(r"[@$][^ ]* (==|!=|<=?|>=?) (value\()?[@$]").unwrap();
    yaml.contains("length(") || places.is_match(yaml)
}

/// Holds what leaves of the documents of a case against what is expected; says of how many.
fn assert_filled(seed: u64, case: &Case, set: &PolicySet, expected: Vec<Sieved>) -> usize {
    let request = case.route.replace("{id}", "1");
    let plan = product::plan(set, "tester", &case.purpose, None, &request);
    let mut documents = 0;
    for (document, expected) in case.documents.iter().zip(expected) {
        let (Ok(plan), None) = (&plan, expected.refused) else { continue };
        let (whole, counts, unclassified) = product::sieve(plan, [document.as_slice()]).unwrap();
        let shown = || {
            format!(
                "seed {seed}, purpose {}, {}\n{}\n{}\ngives     {}\nexpected  {}",
                case.purpose,
                case.route,
                case.yaml,
                String::from_utf8_lossy(document),
                String::from_utf8_lossy(&whole),
                String::from_utf8_lossy(&expected.tree.to_json()),
            )
        };
        assert!(expected.left_as(&whole), "{}", shown());
        let mut counted = by_name(counts, unclassified);
        counted.remove(&("fill".to_owned(), "drop".to_owned()));
        assert_eq!(counted, expected.counts, "{}", shown());
        let places = product::places(plan, [document.as_slice()]);
        assert_eq!(places, expected.places, "{}", shown());
        let cut = product::sieve(plan, document.chunks(1).collect::<Vec<_>>()).unwrap();
        assert!(cut.0 == whole, "cut differently: {}", shown());
        documents += 1;
    }
    documents
}

fn by_name(counts: Vec<Count>, unclassified: bool) -> BTreeMap<(String, String), u64> {
    let named =
        |count: Count| ((count.category.to_string(), count.action.to_string()), count.accesses);
    let mut counted: BTreeMap<_, _> = counts.into_iter().map(named).collect();
    if unclassified {
        counted.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
    }
    counted
}

/// What leaves is what the oracle says, byte for byte, and so are the counts.
#[test]
fn the_product_agrees_with_the_oracle() {
    let (mut documents, mut denied, mut too_complex, mut filtered) = (0, 0, 0, 0);
    let (mut asked, mut found) = (0, 0);
    for seed in product::few_seeds(2_000, 3_000) {
        let case = generate::case(seed);
        let Some(set) = product::random_policy(&case.yaml) else {
            // Most of these ask about what their purpose does not see.
            if case.yaml.contains('?') {
                filtered += 1;
            } else {
                too_complex += 1;
            }
            continue;
        };
        let request = case.route.replace("{id}", "1");
        let plan = product::plan(&set, "tester", &case.purpose, None, &request);
        let rng = &mut Rng::new(seed ^ 0xc0de);
        for document in &case.documents {
            let shown = || String::from_utf8_lossy(document).into_owned();
            let expected = sieve::sieve(
                &case.world,
                &case.purpose,
                &case.api,
                &case.route,
                document,
                &product::SETUP,
            );
            let plan = match (&plan, expected.refused) {
                (Ok(plan), None) => plan,
                (Err(reason), Some(refused)) => {
                    assert_eq!(reason.code(), refused, "seed {seed}");
                    denied += 1;
                    continue;
                }
                (_, refused) => panic!("seed {seed}: the oracle says {refused:?}\n{}", case.yaml),
            };
            let (whole, counts, unclassified) = product::sieve(plan, [document.as_slice()])
                .unwrap_or_else(|reason| {
                    panic!("seed {seed}: {reason} of {}", shown());
                });
            assert!(
                expected.left_as(&whole),
                "seed {seed}, purpose {}, {}\n{}\n{}\ngives     {}\nexpected  {}",
                case.purpose,
                case.route,
                case.yaml,
                shown(),
                String::from_utf8_lossy(&whole),
                String::from_utf8_lossy(&expected.tree.to_json())
            );
            let counted = by_name(counts, unclassified);
            assert_eq!(counted, expected.counts, "seed {seed}\n{}\n{}", case.yaml, shown());
            let places = product::places(plan, [document.as_slice()]);
            assert_eq!(places, expected.places, "seed {seed}\n{}\n{}", case.yaml, shown());
            found += places.len();

            for chunks in [document.chunks(1).collect(), product::cuts(document, rng)] {
                let chunks: Vec<&[u8]> = chunks;
                let cut = product::sieve(plan, chunks.iter().copied()).unwrap();
                assert!(cut.0 == whole, "seed {seed}: cut differently, {}", shown());
                let places_cut = product::places(plan, chunks);
                assert_eq!(places_cut, places, "seed {seed}: cut differently, {}", shown());
            }
            documents += 1;
            asked += usize::from(case.yaml.contains('?'));
        }
    }
    assert!(too_complex * 1000 <= documents, "{too_complex} policies were too complex");
    assert!(asked > 1_000 || std::env::var_os("TAMIS_SEED").is_some(), "{asked} with filters");
    assert!(found > 500 || std::env::var_os("TAMIS_SEED").is_some(), "{found} places");
    println!(
        "{documents} random documents as the oracle says, {found} places with unclassified data, {asked} documents asked by filters, {denied} denied; {too_complex} policies too complex, {filtered} with filters refused"
    );
}
