//! What is accepted: exactly what `serde_json` and a UTF-8 check accept.

use std::sync::Arc;

use serde::de::IgnoredAny;
use tamis::policy::Plan;

use crate::{
    oracle::generate::{self, Rng},
    product,
};

const POLICY: &str = "
tamis: 1
categories: { name: Name }
purposes: { p: { title: Test, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p], apis: [dropping, keeping, passing] } }
apis:
  dropping: { host: dropping, routes: { GET /x: { body: { $.a: name, '$..b': name, '$[0]': name } } } }
  keeping:
    host: keeping
    unclassified: { keep: { because: a test } }
    routes: { GET /x: { body: { $.a: name, '$..b': name } } }
  passing:
    host: passing
    unclassified: { keep: { because: a test } }
    routes: { GET /x: { body: { $.never.here: name } } }
rules: { p: { name: mask } }
";

fn plans() -> Vec<Arc<Plan>> {
    let set = product::policies(&[("acceptance.yaml", POLICY)]);
    ["dropping", "keeping", "passing"]
        .map(|host| product::plan(&set, "c", "p", Some(host), "GET /x").unwrap())
        .to_vec()
}

/// Whether `serde_json` accepts; it does not look at the UTF-8 of what it ignores.
fn expected(document: &[u8]) -> bool {
    std::str::from_utf8(document).is_ok() && serde_json::from_slice::<IgnoredAny>(document).is_ok()
}

#[test]
fn broken_documents_are_refused_and_no_others() {
    let plans = plans();
    let (mut accepted, mut refused) = (0, 0);
    for seed in product::seeds(100_000) {
        let rng = &mut Rng::new(seed);
        let mut document = generate::document(rng);
        for _ in 0..=rng.below(3) {
            document = generate::mutate(&document, rng);
        }
        let expected = expected(&document);
        let plan = rng.pick(&plans).clone();
        let whole = product::sieve(&plan, [document.as_slice()]);
        let cut = product::sieve(&plan, product::cuts(&document, rng));
        assert!(
            whole.is_ok() == expected && cut.is_ok() == expected,
            "seed {seed}: {:?} should be {}",
            String::from_utf8_lossy(&document),
            if expected { "accepted" } else { "refused" }
        );
        if expected {
            assert_eq!(whole, cut, "seed {seed}");
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    println!(
        "seeds 0 to {}: {accepted} mutated documents accepted, {refused} refused, as serde_json does",
        accepted + refused
    );
}
