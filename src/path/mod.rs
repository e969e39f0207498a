//! Which nodes of a document a path selects: RFC 9535 paths, parsed strictly and compiled, all paths of a
//! plan together, into one automaton that a streaming reader steps through. Where that would be too large, its
//! states are made as a document meets them.
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
//! What a path selects is mostly known when a node begins. Where a selector counts from the end of an
//! array, or a filter asks what is in the node, the step leads to a [pending](State::is_pending) state:
//! a [`Question`] stands in the way, and with its answers [`Program::settle`] goes on.

mod anywhere;
mod automaton;
mod dotted;
mod from_end;
mod lazy;
mod meant;
mod members;
mod number;
mod parse;
mod paths;
mod pattern;
mod plain;
mod program;
mod questions;
mod read;
mod relation;
mod sets;
mod state;
mod subsets;
mod syntax;
#[cfg(test)]
mod tests;

pub use automaton::Automaton;
pub(crate) use dotted::dotted_wildcards;
pub(crate) use from_end::Elements;
pub use from_end::FromEnd;
pub use number::Number;
pub use pattern::{PatternError, compile_pattern};
pub(crate) use program::Part;
pub use program::Program;
pub use questions::{Answered, Answers, FilterId, Question, can_be};
pub use read::PathError;
pub(crate) use relation::{
    can_meet, can_meet_outside, can_reach_one_name, can_select, is_within, may_be_within, may_meet,
};
pub use state::{Kind, Member, PathId, ProgramError, Row, State};
pub(crate) use subsets::least_common_multiple;
pub(crate) use syntax::is_hidden;
pub use syntax::{
    Class, Comparison, Expression, Filter, Literal, NAME_BYTES_MAX, Operand, Path, Pattern, Query,
    Segment, Selector, Selectors,
};
