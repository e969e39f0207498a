//! Texts that people write: read as YAML with the place of everything, and shown with what is wrong in them.
//!
//! **Must never know** what a text is about: policies and settings are read with the same tree, and what is wrong
//! with either is a [`Finding`].
//!
//! ```
//! use tamis::source::{Finding, Place, Rank, Source, render};
//!
//! let source = Source { name: "crm.yaml".into(), text: "tamis: one\n".into() };
//! let finding = Finding {
//!     rank: Rank::Error,
//!     code: "unknown-version",
//!     message: "`one` is not a version".into(),
//!     at: Place { source: 0, span: 7..10 },
//!     also: Vec::new(),
//!     help: None,
//! };
//! assert!(render(&finding, &[source]).contains("crm.yaml:1:8"));
//! ```

pub(crate) mod finding;
mod text;
pub(crate) mod yaml;

pub use finding::{
    AlsoView, Finding, FindingView, Place, PlaceView, Position, Rank, SHOWN_MAX, render,
    render_all, shortened, view,
};
pub(crate) use finding::{arrange, did_you_mean, most_like, named};
pub use text::Source;
