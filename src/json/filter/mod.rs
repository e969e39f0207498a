//! Filters of paths: what they say of a value, and what has to be known for that.

pub(crate) mod ahead;
mod compare;
pub(crate) mod document;
pub(crate) mod early;
pub(crate) mod evaluation;
mod in_memory;
pub(crate) mod intact;
pub(crate) mod judge;
pub(crate) mod lookup;
pub(crate) mod outline;
pub(crate) mod patterns;
pub(crate) mod preview;
pub(crate) mod scout;
pub(crate) mod value;

pub use in_memory::filter_holds;
