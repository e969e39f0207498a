//! Any text as a policy: it is read or refused, and whatever is found is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamis::{
    policy::{Source, load},
    transform::NoKeys,
};

fuzz_target!(|text: &str| {
    let source = Source { name: "fuzz.yaml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &NoKeys);
    assert!(loaded.set.is_some() || !loaded.findings.is_empty(), "refused without a reason");
});
