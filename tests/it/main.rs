//! The tests that see `tamis` from outside, and the oracle that they compare it with.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they measured"
)]

mod acceptance;
mod against;
mod architecture;
mod circles;
mod cli;
mod fhir;
mod fields;
mod noninterference;
mod operations;
mod oracle;
mod product;
mod properties;
mod readme;
mod reference;
mod selectors;
mod serve;
mod settings;
mod streams;
mod words;
