//! The policies that are measured, compiled.

use std::{fmt::Write as _, ops::Range, sync::Arc};

use tamis::{
    enforce::Enforcement,
    json::{Copied, Kernel, Limits, Sink},
    policy::{Ask, Plan, Source, Target, load},
    transform::{Context, RootKey},
};

use crate::corpora::CUSTOMER_NAMES;

/// Rules that null what these paths select, and keep everything else.
pub(super) fn nulling(paths: impl IntoIterator<Item = String>) -> Arc<Plan> {
    plan(&nulling_text(paths))
}

/// So many rules for customer records, of which five match; those above are for members that no record
/// has, at every level of one.
pub(super) fn redacting(rules: usize) -> Arc<Plan> {
    plan(&redacting_text(rules))
}

/// The same as the text of a policy.
pub(super) fn redacting_text(rules: usize) -> String {
    let five = CUSTOMER_NAMES.map(|name| format!("$[*].{name}"));
    nulling_text(five.into_iter().chain((CUSTOMER_NAMES.len()..rules).map(beside)))
}

/// The five rules, and one for a name that may stand anywhere and has so many members above what it selects:
/// no record has it, and every member more is twice the states.
pub(super) fn redacting_below_anywhere(members: usize) -> Arc<Plan> {
    let below = format!("$..field{}.field", ".*".repeat(members));
    nulling(CUSTOMER_NAMES.map(|name| format!("$[*].{name}")).into_iter().chain([below]))
}

/// A policy with so many names that may stand anywhere.
pub(super) fn anywhere_text(rules: usize) -> String {
    nulling_text((0..rules).map(|n| format!("$..field_{n}")))
}

fn nulling_text(paths: impl IntoIterator<Item = String>) -> String {
    let mut policy = HEAD.to_owned();
    for path in paths {
        writeln!(policy, "          '{path}': hidden").unwrap();
    }
    policy + "rules: { p: { hidden: 'null' } }\n"
}

/// So many rules for customer records, of which twenty match: most values of each.
pub(super) fn redacting_most(rules: usize) -> Arc<Plan> {
    let twenty = MOST.map(|path| format!("$[*].{path}"));
    nulling(twenty.into_iter().chain((MOST.len()..rules).map(beside)))
}

fn beside(n: usize) -> String {
    match n % 3 {
        0 => format!("$[*].field_{n}"),
        1 => format!("$[*].address.part_{n}"),
        _ => format!("$[*].orders[*].detail_{n}"),
    }
}

const MOST: [&str; 20] = [
    "id",
    "first_name",
    "last_name",
    "birth_date",
    "email",
    "phones[*]",
    "address.street",
    "address.postcode",
    "address.city",
    "address.country",
    "iban",
    "status",
    "vip",
    "score",
    "tags[*]",
    "orders[*].sku",
    "orders[*].at",
    "orders[*].price",
    "orders[*].items[*].ean",
    "notes",
];

const HEAD: &str = "tamis: 1
categories: { hidden: Hidden }
purposes: { p: { title: Bench, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  a:
    unclassified: { keep: { because: a bench } }
    routes:
      GET /x:
        body:
";

/// What policies mostly look like: a few fields are kept, and the rest goes because nobody classified it.
pub(super) fn keeping() -> Arc<Plan> {
    plan(
        "tamis: 1
categories: { seen: Seen }
purposes: { p: { title: Bench, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  a:
    routes:
      GET /x:
        body:
          '$[*].id': seen
          '$[*].status': public
          '$[*].email': seen
          '$[*].address.country': public
          '$[*].orders[*].sku': seen
rules: { p: { seen: keep } }
",
    )
}

/// From the text of a policy to its plan.
pub(super) fn plan(policy: &str) -> Arc<Plan> {
    let source = Source { name: "bench.yaml".to_owned(), text: policy.to_owned() };
    let set = load(&[source], &RootKey::from_hex(&"07".repeat(32)).unwrap()).set.unwrap();
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: set.caller("c"), purpose: None, host: None, target: &target })
        .unwrap()
        .plan
}

/// As the proxy does it: in chunks of 16 KiB, into one buffer.
pub(super) fn sieve(kernel: Kernel, plan: &Arc<Plan>, body: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut enforcement = enforcement(kernel, plan);
    for chunk in body.chunks(16 << 10) {
        enforcement.write(chunk, &mut Copied { chunk, out }).unwrap();
    }
    enforcement.finish(&mut Copied { chunk: b"", out }).unwrap();
}

/// The same, and what leaves is only counted: pieces, and bytes.
pub(super) fn count(kernel: Kernel, plan: &Arc<Plan>, body: &[u8]) -> Counted {
    let mut counted = Counted::default();
    let mut enforcement = enforcement(kernel, plan);
    for chunk in body.chunks(16 << 10) {
        enforcement.write(chunk, &mut counted).unwrap();
    }
    enforcement.finish(&mut counted).unwrap();
    counted
}

fn enforcement(kernel: Kernel, plan: &Arc<Plan>) -> Enforcement {
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    Enforcement::new(Arc::clone(plan), context, Limits::default()).on(kernel)
}

/// What leaves, in numbers.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) pieces: usize,
    pub(super) bytes: usize,
}

impl Sink for Counted {
    fn pass(&mut self, range: Range<usize>) {
        self.pieces += 1;
        self.bytes += range.len();
    }

    fn put(&mut self, bytes: &[u8]) {
        self.pieces += 1;
        self.bytes += bytes.len();
    }
}
