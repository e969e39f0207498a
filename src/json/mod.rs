//! Rewrites a JSON byte stream in bounded memory, and validates all of it on the way.
//!
//! Bytes are pushed in as they come, in chunks of any size; decided bytes come out of a [`Sink`], the
//! untouched ones as ranges of the chunk, and how the chunks were cut makes no difference. What is
//! decided, an [`Edits`] says, node by node. The grammar of RFC 8259 and UTF-8 are checked in full,
//! also in parts that are dropped, so that no two readers can disagree on what was seen.
//!
//! **Must never know** who asks, why, or what a field means: it sees states of a
//! [`Program`](crate::path::Program) and treats what it is told to treat. There is no way to make it
//! pass a document on that it could not read to the end.
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

mod ahead;
mod alike;
mod document;
mod edits;
mod gap;
mod held;
mod judge;
mod kept;
mod kernel;
mod limits;
mod outline;
mod pending;
mod primitive;
mod rewriter;
mod scout;
mod subtree;
#[cfg(test)]
mod tests;
mod told;
mod utf8;
mod window;

pub use edits::{Always, Copied, Edits, Keeps, OnContainer, OnName, OnScalar, Place, Sink, Step};
pub use kernel::{Kernel, KernelError};
pub use limits::{Limits, Violation};
pub use rewriter::Rewriter;

/// Whether a filter holds for a value that stands in a document, both of at most `depth_max` levels; none if
/// nobody can say, or it is no JSON.
pub fn filter_holds(
    filter: &crate::path::Filter,
    value: &[u8],
    document: &[u8],
    depth_max: usize,
) -> Option<bool> {
    let mut patterns = judge::Patterns::default();
    let document = if filter.asks_root() {
        let text = str::from_utf8(document).ok()?.to_owned();
        let filters = std::slice::from_ref(filter);
        let kept = &mut judge::AllKept;
        Some(document::Document::new(text, depth_max, filters, &mut patterns, kept).ok()?)
    } else {
        None
    };
    let outline = outline::Outline::of(value, depth_max).ok()?;
    let spot = judge::Spot::root(outline::Outlined::new(value, 0, &outline)).ok()?;
    if spot.text().len() != value.trim_ascii_end().len() {
        return None;
    }
    let mut inquiry = judge::Inquiry::new(value.len(), usize::MAX);
    let document = document.as_ref();
    judge::holds(filter, spot, document, &mut inquiry, &mut patterns, &mut judge::AllKept).ok()
}
