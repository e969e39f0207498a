//! From the text of policies to a decision: YAML to findings to a [`PolicySet`] that decides about
//! requests and explains itself.
//!
//! **Must never know** a body, a connection or the time: it sees policies and request lines, and what
//! it decides depends on nothing else.
//!
//! ```
//! use tamis::access::Reason;
//! use tamis::policy::{Ask, Source, Target, load};
//! use tamis::transform::NoKeys;
//!
//! let text = r"
//! tamis: 1
//! categories: { contact.email: E-mail address }
//! purposes: { support: { title: Answer a customer, legal_basis: contract } }
//! callers: { desk: { identify: { api_key: desk-2026 }, purposes: [support] } }
//! apis:
//!   crm:
//!     routes:
//!       GET /customers/{id}: { params: { id: public }, body: { $.email: contact.email } }
//! rules: { support: { contact: keep } }
//! ";
//! let source = Source { name: "crm.yaml".to_owned(), text: text.to_owned() };
//! let set = load(&[source], &NoKeys).set.unwrap();
//!
//! let target = Target::parse("GET", "/customers/C-1042").unwrap();
//! let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
//! assert_eq!(&*set.decide(&ask).unwrap().labels.purpose, "support");
//! let denial = set.decide(&Ask { caller: None, ..ask }).unwrap_err();
//! assert_eq!(denial.reason, Reason::CallerUnknown);
//! ```

mod action;
mod cells;
mod check;
mod compile;
mod conditions;
mod cross_origin;
mod decide;
mod explain;
mod folded;
mod framing;
mod host;
mod lazy;
mod lines;
mod lint;
mod loader;
mod model;
mod needs;
mod personal;
mod plan;
mod read;
mod reader;
mod router;
mod rulebook;
mod set;
mod spelled;
mod suite;
mod target;
mod terms;
#[cfg(test)]
mod tests;
mod verdict;

pub use crate::source::{
    AlsoView, Finding, FindingView, Place, PlaceView, Position, Rank, SHOWN_MAX, Source, render,
    render_all, shortened, view,
};
pub(crate) use conditions::is_condition;
pub use cross_origin::{Crossing, Preflight};
pub use decide::{Ask, Denial, Permit};
pub use explain::{Explanation, Question, Row};
pub use framing::Framing;
pub(crate) use framing::is_grpc;
pub use host::check_host;
pub use loader::{Loaded, TEST_SUFFIX, load, load_with_fixtures};
pub use model::{Api, Caller, Digest, Identify, OPAQUE, Purpose, Route, Stream, Unclassified};
pub use needs::{Needs, PathNeeds, RouteNeeds};
pub use plan::Plan;
pub use rulebook::{Inside, Named, Nodes, Removal, Ruling, Scope};
pub use set::PolicySet;
pub use spelled::{NameId, Spelled};
pub use suite::{Case, Claim, FixtureFiles, Says, Suite};
pub use target::Target;
pub use terms::{Art9, LegalBasis, Method};
pub use verdict::{CellId, Kinds, Names, Own, Strings, Verdict};
