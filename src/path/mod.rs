//! Which nodes of a document a path selects: RFC 9535 paths, parsed strictly and compiled, all paths of a
//! plan together, into one automaton that a streaming reader steps through.
//!
//! **Must never know** what a path is used for: no category, no action, no document. A [`Program`]
//! sees names and indices go by, and says which paths have arrived.
//!
//! ```
//! use tamis::path::{Path, Program, State};
//!
//! let paths = [Path::parse("$.items[*].email").unwrap(), Path::parse("$..email").unwrap()];
//! let program = Program::compile(&paths).unwrap();
//! let items = program.member(program.start(), b"items").state;
//! let first = program.element(items, 0);
//! let email = program.member(first, b"email").state;
//! assert_eq!(program.selected(email).map(|path| path.index()).collect::<Vec<_>>(), [0, 1]);
//! ```
//!
//! Paths are of the kind that streams in memory proportional to the depth: names, wildcards, indices
//! from the front, slices that go forward, unions of these, and descendants. Filters and whatever
//! counts from the end of an array are refused when a path is parsed.

mod members;
mod parse;
mod program;
#[cfg(test)]
mod tests;

pub use parse::{NAME_BYTES_MAX, Path, PathError, Segment, Selector};
pub use program::{Kind, Member, PathId, Program, ProgramError, State};
