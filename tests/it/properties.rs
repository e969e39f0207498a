//! Random policies and documents: the product against the oracle, however a document is cut.

use std::collections::BTreeMap;

use crate::{
    oracle::{
        generate::{self, Rng},
        sieve, tree,
    },
    product,
};

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
                tree::leaves(&whole) == expected.leaves(),
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
