//! Rewrites a JSON byte stream in bounded memory, and validates all of it on the way.
//!
//! Bytes are pushed in as they come, in chunks of any size; decided bytes come out of a [`Sink`],
//! the untouched ones as ranges of the chunk, and how the chunks were cut makes no difference. What
//! is decided, an [`Edits`] says, node by node. The grammar of RFC 8259 and UTF-8 are checked in
//! full, also in parts that are dropped, so that no two readers can disagree on what was seen.
//!
//! **Must never know** who asks, why, or what a field means: it sees states of a
//! [`Program`](crate::path::Program) and treats what it is told to treat. There is no way to make
//! it pass a document on that it could not read to the end.
//!
//! ```
//! use tamis::json::{Copied, Edits, Limits, OnContainer, OnName, OnScalar, Rewriter};
//! use tamis::path::{Kind, Path, Program, State};
//!
//! /// Drops every node that a path selects.
//! struct Dropping<'a>(&'a Program);
//! impl Edits for Dropping<'_> {
//!     type Scope = ();
//!     type Capture = ();
//!     fn root(&self) {}
//!     fn container(&mut self, _: (), state: State, _: Kind) -> OnContainer<()> {
//!         if self.0.selected(state).next().is_some() { OnContainer::Drop } else { OnContainer::Enter(()) }
//!     }
//!     fn scalar(&mut self, _: (), state: State) -> OnScalar<()> {
//!         if self.0.selected(state).next().is_some() { OnScalar::Drop } else { OnScalar::Pass }
//!     }
//!     fn name(&mut self, _: (), _: State, _: State) -> OnName<()> { OnName::Keep }
//!     fn name_is_too_long(&mut self, _: (), _: State, _: State) {}
//!     fn unsettled(&mut self, _: (), _: State) {}
//!     fn write_scalar(&mut self, _: (), _: Option<&[u8]>, _: &mut Vec<u8>) {}
//!     fn write_name(&mut self, _: (), _: Option<&str>, _: &mut Vec<u8>) -> bool { false }
//!     fn passed(&mut self, _: u64) {}
//! }
//!
//! let program = std::sync::Arc::new(Program::compile(&[Path::parse("$..email").unwrap()]).unwrap());
//! let mut edits = Dropping(&program);
//! let mut rewriter = Rewriter::new(program.clone(), Limits::default());
//! let mut out = Vec::new();
//! for chunk in [&b"{\"id\": 1, \"em"[..], b"ail\": \"anna@example.org\"}"] {
//!     rewriter.push(chunk, &mut edits, &mut Copied { chunk, out: &mut out }).unwrap();
//! }
//! rewriter.finish(&mut edits, &mut Copied { chunk: b"", out: &mut out }).unwrap();
//! assert_eq!(out, b"{\"id\": 1}");
//! ```

mod edits;
mod filter;
mod kernel;
mod limits;
mod rewriter;
#[cfg(test)]
mod tests;

pub use edits::{Always, Copied, Edits, Keeps, OnContainer, OnName, OnScalar, Place, Sink, Step};
pub use filter::filter_holds;
pub use kernel::{Kernel, KernelError};
pub use limits::{Limits, Violation};
pub use rewriter::Rewriter;
