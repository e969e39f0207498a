//! The rewriter: one document, from its bytes to what leaves of it.

mod alike;
mod gap;
mod held;
mod pending;
mod primitive;
mod subtree;
mod told;
mod utf8;
mod walker;
mod window;

pub use walker::Rewriter;
