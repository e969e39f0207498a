//! Any bytes, cut anywhere, through a plan with every kind of action: all kernels and all cuts give the
//! same, a document is accepted exactly when `serde_json` accepts it, and what leaves is one.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tamis::{
    enforce::Enforcement,
    json::{Copied, Kernel, Limits},
    policy::{Ask, Plan, Source, Target, load},
    transform::{Context, RootKey},
};

const POLICY: &str = r#"
tamis: 1
categories: { a: A, b: B, c: C, d: D, e: E, f: F }
purposes: { p: { title: Fuzz, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  x:
    unclassified: { keep: { because: the more leaves the more can go wrong } }
    routes:
      GET /x:
        body:
          $.a: a
          $..b: b
          "$.c[1:7:2]": c
          "$.d[*].x": d
          $.e..f: e
          $.g.*: { category: f, names: b }
          "$.h[*].a": public
          "$.h[?@.a == 1].b": a
          "$.i[-2:]": c
rules:
  p:
    a: drop
    b: pseudonym
    c: "null"
    d: { mask: { keep_first: 1 } }
    e: keep
    f: { generalise: { round: 10 } }
"#;

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let source = Source { name: "fuzz.yaml".to_owned(), text: POLICY.to_owned() };
    let key = RootKey::from_hex(&"07".repeat(32)).unwrap();
    let loaded = load(&[source], &key);
    let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: set.caller("c"), purpose: None, host: None, target: &target })
        .unwrap()
        .plan
});

/// What leaves, and whether it is all.
fn sieve(kernel: Kernel, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    let limits = Limits::default();
    let mut enforcement = Enforcement::new(Arc::clone(&PLAN), context, limits).on(kernel);
    let mut out = Vec::new();
    for chunk in chunks {
        if enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).is_err() {
            return (out, false);
        }
    }
    let is_whole = enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).is_ok();
    (out, is_whole)
}

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (first, second, bytes) = input;
    let [one, other] = [first, second].map(|at| usize::from(at).min(bytes.len()));
    let (from, to) = (one.min(other), one.max(other));
    let (left, is_whole) = sieve(Kernel::in_use(), &[bytes]);
    for kernel in Kernel::all() {
        let cut = sieve(kernel, &[&bytes[..from], &bytes[from..to], &bytes[to..]]);
        assert_eq!(is_whole, cut.1, "{}", kernel.name());
        // Of a document that is refused, how much has left depends on the chunks.
        assert!(!is_whole || left == cut.0, "{}", kernel.name());
    }
    assert_eq!(is_whole, is_json(bytes));
    assert!(!is_whole || is_json(&left), "what leaves of JSON is JSON");
});

fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
