//! A second implementation of the policy language, for comparison only: written from the reference and not from
//! the product's code, with other means (whole documents in memory, `jsonpath-rust` as evaluator of paths, one node
//! after the other), slow, and as close to the sentences of the reference as code can be.
//!
//! - [`world`] reads policies into plain structures; what is given to it is valid.
//! - [`tree`] is a document whose names and scalars keep their bytes, and the form in which outputs are compared.
//! - [`sieve`] says what leaves, and what is counted.
//! - [`filter`] says what a filter answers, and what it looks at.
//! - [`transform`] says what becomes of one value.
//! - [`generate`] makes policies, documents and broken documents from a seed.

pub(crate) mod filter;
pub(crate) mod generate;
pub(crate) mod sieve;
pub(crate) mod transform;
pub(crate) mod tree;
pub(crate) mod world;

mod tests;
