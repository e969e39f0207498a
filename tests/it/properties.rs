//! Random policies and documents: the product against the oracle, however a document is cut.

use std::collections::BTreeMap;

use crate::{
    oracle::{
        generate::{self, Rng},
        sieve,
        world::{Action, Class, Target},
    },
    product,
};

/// Names that stand anywhere and are dropped change nothing but the counts, however many there are: what is
/// looked up by them is looked up apart.
#[test]
fn many_names_that_stand_anywhere_are_none_of_the_others() {
    let mut documents = 0;
    for seed in product::seeds(150) {
        let mut case = generate::case(seed);
        let expected = |document: &[u8]| {
            let (world, setup) = (&case.world, &product::SETUP);
            sieve::sieve(world, &case.purpose, &case.api, &case.route, document, setup)
        };
        let expected: Vec<_> = case.documents.iter().map(|one| expected(one)).collect();
        case.world.categories.insert("fill".to_owned(), false);
        for purpose in case.world.callers["tester"].clone() {
            let rules = case.world.rules.entry(purpose).or_default();
            rules.insert("fill".to_owned(), Action::Drop);
        }
        for (_, fields) in &mut case.world.apis.get_mut("things").unwrap().routes {
            for line in 0..40 {
                let names: Vec<String> = (0..20).map(|n| format!("'fill_{line}_{n}'")).collect();
                let target = Target::Category("fill".to_owned());
                let class = Class { target, names: None, embedded: false };
                // Before those that are embedded, as a file has them.
                fields.insert(0, (format!("$..[{}]", names.join(",")), class));
            }
        }
        let Some(set) = product::random_policy(&generate::yaml(&case.world)) else { continue };
        let request = case.route.replace("{id}", "1");
        let plan = product::plan(&set, "tester", &case.purpose, None, &request);
        for (document, expected) in case.documents.iter().zip(expected) {
            let (Ok(plan), None) = (&plan, expected.refused) else { continue };
            let (whole, _, _) = product::sieve(plan, [document.as_slice()]).unwrap();
            assert!(
                expected.left_as(&whole),
                "seed {seed}, purpose {}, {}\n{}\n{}\ngives     {}",
                case.purpose,
                case.route,
                case.yaml,
                String::from_utf8_lossy(document),
                String::from_utf8_lossy(&whole),
            );
            documents += 1;
        }
    }
    println!("{documents} random documents as the oracle says, among 800 names");
    assert!(documents > 200 || std::env::var_os("TAMIS_SEED").is_some(), "{documents}");
}

/// What leaves is what the oracle says, byte for byte, and so are the counts.
#[test]
fn the_product_agrees_with_the_oracle() {
    let (mut documents, mut denied, mut too_complex, mut filtered) = (0, 0, 0, 0);
    let mut asked = 0;
    for seed in product::seeds(3_000) {
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
            let mut counted: BTreeMap<(String, String), u64> = counts
                .into_iter()
                .map(|c| ((c.category.to_string(), c.action.to_owned()), c.accesses))
                .collect();
            if unclassified {
                counted.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
            }
            assert_eq!(counted, expected.counts, "seed {seed}\n{}\n{}", case.yaml, shown());

            for chunks in [document.chunks(1).collect(), product::cuts(document, rng)] {
                let chunks: Vec<&[u8]> = chunks;
                let cut = product::sieve(plan, chunks).unwrap();
                assert!(cut.0 == whole, "seed {seed}: cut differently, {}", shown());
            }
            documents += 1;
            asked += usize::from(case.yaml.contains('?'));
        }
    }
    assert!(too_complex * 1000 <= documents, "{too_complex} policies were too complex");
    assert!(asked > 500 || std::env::var_os("TAMIS_SEED").is_some(), "{asked} with filters");
    println!(
        "{documents} random documents as the oracle says, {asked} of them asked by filters, {denied} denied; {too_complex} policies too complex, {filtered} with filters refused"
    );
}
