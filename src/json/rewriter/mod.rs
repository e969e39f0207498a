//! The rewriter: one document, from its bytes to what leaves of it.

mod chunks;
mod gap;
mod held_bytes;
mod held_document;
mod member_cache;
mod opaque;
mod output;
mod pending;
mod primitive;
mod removals;
mod replay;
mod stack;
mod subtree;
mod utf8;
mod walker;
mod window;

pub use chunks::Rewriter;
