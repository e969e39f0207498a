//! Says in plain words what a caller gets, what not, and which lines of the policies decide.

mod disclosure;
mod explanation;
mod lines;
mod place;
mod question;
mod reasons;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub(in crate::policy) use disclosure::check as check_filters;
pub use explanation::{Explanation, Row};
pub use question::Question;
