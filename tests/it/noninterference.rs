//! What is withheld does not show: replacing it leaves every byte of the output as it was.

use std::sync::Arc;

use proptest::prelude::*;
use tamis::{access::Reason, json::Limits, policy::Plan};

use crate::{
    oracle::{
        generate::{self, Case, Rng},
        sieve::{self, Location, Sieved, Withheld},
        tree::Node,
    },
    product,
};

/// How many withheld values were replaced, and what of.
#[derive(Debug, Default)]
struct Replaced {
    all: usize,
    /// Where the policy has filters, and where the limits are small.
    with_filters: usize,
    within_small_limits: usize,
    /// Excused: a filter could be answered with the other value, or the other value crosses a limit.
    answered: usize,
    crossed: usize,
    /// Excused: the other value is none that is withheld.
    stays: usize,
}

/// Invariant 3 of the design. The oracle says which places are withheld, and where a path of the plan
/// could go below, so that whether there is a container there is not hidden.
///
/// What tamis does not hide is excused, and nothing else:
/// - An element that is gone because a filter cannot be answered: all that is in it is withheld, and with another value
///   the filter could be answered. If it cannot with the other value either, no byte may differ.
/// - A container in the place of an element that a filter takes away, or an element that a filter takes away for what is
///   in it: the filter can have another answer for the other value, and then the element is not withheld. See [`stays`].
/// - A value that makes something too long: see [`crosses`].
///
/// Nothing has to be excused where a value is one that nobody can judge (half of a surrogate pair, a number that is no
/// double), or is not any more: what a filter asks about is kept, and what it measures or compares is kept as a whole,
/// or the element is gone whatever the withheld value in it is.
#[test]
fn a_withheld_value_can_be_any_other() {
    let mut replaced = Replaced::default();
    for seed in product::seeds(1_500) {
        let case = generate::case(seed);
        let Some(set) = product::random_policy(&case.yaml) else { continue };
        let request = case.route.replace("{id}", "1");
        let Ok(plan) = product::plan(&set, "tester", &case.purpose, None, &request) else {
            continue;
        };
        let rng = &mut Rng::new(seed ^ 0x0b5e);
        let routes = &case.world.apis[&case.api].routes;
        let is_held = routes
            .iter()
            .any(|(route, body)| *route == case.route && case.world.asks_about_document(body));
        let limits = if rng.percent(35) { small_limits(rng) } else { Limits::default() };
        for document in &case.documents {
            let document = Node::parse(document);
            let sieved = oracle(&case, &document);
            let expected = out_within(limits, &plan, &document);
            for withheld in &sieved.withheld {
                for other in others(rng, document.get(&withheld.location), withheld) {
                    let mut changed = document.clone();
                    *changed.at(&withheld.location) = other;
                    replaced.all += 1;
                    replaced.with_filters += usize::from(case.yaml.contains('?'));
                    replaced.within_small_limits += usize::from(limits != Limits::default());
                    if out_within(limits, &plan, &changed) == expected {
                        continue;
                    }
                    if crosses(limits, is_held, &sieved, withheld, [&document, &changed]) {
                        replaced.crossed += 1;
                        continue;
                    }
                    let other = oracle(&case, &changed);
                    if withheld.unfit.is_some() && !other.is_unfit(withheld.unfit.as_ref()) {
                        replaced.answered += 1;
                        continue;
                    }
                    assert!(
                        stays(&sieved, &other, withheld, [&document, &changed]),
                        "seed {seed}, for {}, at {withheld:?}\n{limits:?}\n{}\n{}\n{}",
                        case.purpose,
                        case.yaml,
                        String::from_utf8_lossy(&document.to_json()),
                        String::from_utf8_lossy(&changed.to_json())
                    );
                    replaced.stays += 1;
                }
            }
        }
    }
    println!(
        "{} withheld values replaced, {} of them beside filters and {} within small limits, and no byte of an output with them, but for {} with which a filter could be answered, {} that a filter takes for something else and {} that crossed a limit",
        replaced.all,
        replaced.with_filters,
        replaced.within_small_limits,
        replaced.answered,
        replaced.stays,
        replaced.crossed,
    );
    if std::env::var_os("TAMIS_SEED").is_none() {
        assert!(replaced.all > 10_000 && replaced.with_filters > 3_000, "{replaced:?}");
        assert!(replaced.within_small_limits > 2_000, "{replaced:?}");
        assert!(replaced.crossed * 10 < replaced.within_small_limits, "{replaced:?}");
        assert!(replaced.answered * 10 < replaced.with_filters, "{replaced:?}");
        assert!(replaced.stays * 100 < replaced.with_filters, "{replaced:?}");
    }
}

/// What the oracle says, which knows no limits.
fn oracle(case: &Case, document: &Node) -> Sieved {
    let Case { world, purpose, api, route, .. } = case;
    sieve::sieve(world, purpose, api, route, &document.to_json(), &product::SETUP)
}

/// What leaves: bytes, or why there are none.
fn out_within(limits: Limits, plan: &Arc<Plan>, document: &Node) -> Result<Vec<u8>, Reason> {
    let document = document.to_json();
    product::sieve_within(limits, plan, [document.as_slice()]).map(|(out, ..)| out)
}

/// Whether a filter is asked of the element itself that is withheld, and the oracle says that the other value stays,
/// where one of the two is a container. No scalar is excused in the place of another: what a filter asks about is kept,
/// whatever it is.
fn stays(sieved: &Sieved, other: &Sieved, withheld: &Withheld, documents: [&Node; 2]) -> bool {
    let location = &withheld.location;
    sieved.asked.contains(location)
        && documents.iter().any(|document| !matches!(document.get(location), Node::Scalar(_)))
        && !other.withheld.iter().any(|one| one.location == *location)
}

/// Limits that many documents cross.
fn small_limits(rng: &mut Rng) -> Limits {
    let size = |rng: &mut Rng, most: usize| 8 + rng.below(most);
    Limits {
        value_bytes_max: size(rng, 60),
        candidate_bytes_max: size(rng, 200),
        document_bytes_max: size(rng, 600),
        ..Limits::default()
    }
}

/// What else could stand where something is withheld: anything that shares its fate, and something that is as long, so
/// that no limit is crossed.
fn others(rng: &mut Rng, node: &Node, withheld: &Withheld) -> Vec<Node> {
    let length = node.to_json().len();
    let as_long = generate::of_length(rng, length, withheld.array, withheld.object);
    let others = [generate::fragment(rng), as_long].map(|other| Node::parse(&other));
    let free = |other: &Node| match other {
        Node::Scalar(_) => withheld.scalar,
        Node::Array(_) => withheld.array,
        Node::Object(_) => withheld.object,
        Node::Document(_) => panic!("what leaves is not put in"),
    };
    others.into_iter().filter(free).collect()
}

/// Whether one of two documents, which differ in a withheld value, can be on the other side of a limit than the other
/// one. That is for what waits: elements and members that a filter is asked of, as they stand in the body; elements that
/// wait for the end of their array, with 16 bytes for each; and a document that is held. No limit is about a withheld
/// value itself, for no action reads it; and what is in strings is not replaced here.
fn crosses(
    limits: Limits,
    is_held: bool,
    sieved: &Sieved,
    withheld: &Withheld,
    documents: [&Node; 2],
) -> bool {
    let size = |document: &Node| document.to_json().len();
    if is_held {
        // Nothing else waits for its own limit then.
        let [one, other] = documents.map(|document| size(document) > limits.document_bytes_max);
        return one != other;
    }
    let limit = limits.candidate_bytes_max;
    let around = |location: &&Location| withheld.location.starts_with(location);
    // How much of an element waits depends on when the filter is answered: at most all of it.
    let asked_crosses = sieved.asked.iter().filter(around).any(|element| {
        let sizes = documents.map(|document| size(document.get(element)));
        sizes[0] != sizes[1] && sizes.iter().any(|size| *size > limit)
    });
    // How many elements wait at a time depends on the paths: one at least, and at most all of all arrays around.
    let waiting: Vec<&Location> = sieved.waiting.iter().filter(around).collect();
    let at_most = documents.map(|document| {
        let of_array = |array: &&Location| {
            let array = document.get(array);
            size(array) + 16 * sieve::children(array).len()
        };
        waiting.iter().map(of_array).sum::<usize>()
    });
    let waiting_crosses = waiting.iter().any(|array| {
        let element = &withheld.location[..=array.len()];
        let at_least = documents.map(|document| size(document.get(element)) + 16);
        at_least[0] != at_least[1]
            && at_most.iter().any(|size| *size > limit)
            && at_least.iter().any(|size| *size <= limit)
    });
    asked_crosses || waiting_crosses
}

const POLICY: &str = "
tamis: 1
categories: { iban: Account, id: Number }
purposes: { p: { title: Test, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis: { a: { routes: { GET /x: { body: { '$.rows[*].iban': iban, '$.rows[*].id': id } } } } }
rules: { p: { iban: { mask: { keep_first: 2, keep_last: 3 } }, id: pseudonym } }
";

fn plan() -> Arc<Plan> {
    product::plan(&product::policies(&[("mask.yaml", POLICY)]), "c", "p", None, "GET /x").unwrap()
}

fn body(iban: &str, id: &str) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    format!(r#"{{"rows": [{{"iban":{}, "id" : {}, "x":1}}]}}"#, quoted(iban), quoted(id))
}

fn out(plan: &Arc<Plan>, body: &str) -> String {
    String::from_utf8(product::sieve(plan, [body.as_bytes()]).unwrap().0).unwrap()
}

proptest! {
    /// Neither the hidden characters of a masked string show, nor how many they are.
    #[test]
    fn what_a_mask_hides_does_not_show(
        first in "\\PC{2}",
        last in "\\PC{3}",
        hidden in "\\PC{5,60}",
        other in "\\PC{5,60}",
    ) {
        let plan = plan();
        let one = out(&plan, &body(&format!("{first}{hidden}{last}"), "1"));
        let two = out(&plan, &body(&format!("{first}{other}{last}"), "1"));
        prop_assert_eq!(one, two);
    }

    /// A pseudonym changes with its value, and nothing else does, nor its length.
    #[test]
    fn a_pseudonymised_value_changes_only_its_pseudonym(one in "\\PC*", two in "\\PC*") {
        let plan = plan();
        let (a, b) = (out(&plan, &body("x", &one)), out(&plan, &body("x", &two)));
        prop_assert_eq!(a.len(), b.len());
        let start = a.find("p1.").unwrap();
        let without = |text: &str| [&text[..start], &text[start + 29..]].concat();
        prop_assert_eq!(without(&a), without(&b));
        prop_assert_eq!(a == b, one == two);
    }
}

/// With filters of all kinds: what they ask about is kept, and what they do not select is withheld.
const FILTERED: &str = "
tamis: 1
categories: { mail: E-mail address, secret: Secret }
purposes: { p: { title: Test, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  a:
    routes:
      GET /x:
        body:
          '$.l[?@.k == $.k].m': mail
          '$.l[?@.k > 2 && !(@.k == $.l[0].k)].n': mail
          '$.l[?length(@.k) == 1].n': mail
          '$.l[-1].t': mail
          '$.l[*].k': public
          '$.l[*].s': secret
          $.k: public
        buffer: document
rules: { p: { mail: keep, secret: drop } }
";

/// Values of all kinds, and such as nobody can judge.
fn any_value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "1",
        "2",
        "\"2\"",
        "null",
        "true",
        "\"CANARY\"",
        "[]",
        "{}",
        "[1,{\"m\":2}]",
        "{\"k\":1,\"k\":2}",
        "1e999",
        "\"\\ud800\"",
        "{\"k\":{\"m\":[]}}",
        "-0",
        "\"a\\u0000b\"",
    ])
}

proptest! {
    #[test]
    fn what_filters_do_not_select_does_not_show(
        keys in prop::collection::vec(prop::sample::select(vec!["1", "2", "3", "\"2\"", "\"33\"", "null"]), 1..6),
        own in prop::sample::select(vec!["1", "2", "3", "\"2\""]),
        kept in prop::collection::vec(any_value(), 24),
        one in prop::collection::vec(any_value(), 32),
        other in prop::collection::vec(any_value(), 32),
    ) {
        let set = product::policies(&[("filtered.yaml", FILTERED)]);
        let plan = product::plan(&set, "c", "p", None, "GET /x").unwrap();
        let number = |key: &str| key.parse::<u8>().ok();
        let body = |hidden: &[&str]| {
            let mut hidden = hidden.iter();
            let mut value = |at: usize, stays: bool| {
                let hidden = hidden.next().unwrap();
                if stays { kept[at] } else { *hidden }
            };
            let row = |(at, key): (usize, &&str)| {
                let larger = number(key).is_some_and(|key| key > 2) && *key != keys[0];
                let stays = [*key == own, larger || key.len() == 3, at + 1 == keys.len(), false];
                let [m, n, t, s] = [0, 1, 2, 3].map(|field| value((at * 4 + field) % 24, stays[field]));
                format!(r#"{{"m":{m},"s":{s},"n":{n},"k":{key},"t":{t},"x":{s}}}"#)
            };
            let rows: Vec<String> = keys.iter().enumerate().map(row).collect();
            format!(r#"{{"l":[{}],"k":{own},"y":{}}}"#, rows.join(", "), value(0, false))
        };
        let sieve = |hidden: &[&str]| product::sieve(&plan, [body(hidden).as_bytes()]).unwrap();
        prop_assert_eq!(sieve(&one), sieve(&other));
        prop_assert!(!body(&one).contains("CANARY") || kept.contains(&"\"CANARY\"") || !String::from_utf8(sieve(&one).0).unwrap().contains("CANARY"));
    }
}
