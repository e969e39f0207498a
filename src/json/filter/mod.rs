//! Filters of paths: what they say of a value, and what has to be known for that.

mod compare;
pub(crate) mod document;
pub(crate) mod early;
pub(crate) mod evaluation;
pub(crate) mod evaluator;
mod in_memory;
pub(crate) mod intact;
pub(crate) mod lookahead;
pub(crate) mod lookup;
pub(crate) mod outline;
pub(crate) mod patterns;
pub(crate) mod preview;
pub(crate) mod streaming;
pub(crate) mod value;

pub use in_memory::filter_holds;
