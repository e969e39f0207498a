//! A filter that is asked of a value in memory, outside of any stream.

use crate::{
    json::filter::{
        document::Document,
        evaluation::Evaluation,
        evaluator,
        intact::AssumeIntact,
        lookup::look_up,
        outline::{Outline, Outlined},
        patterns::Patterns,
        value::ValueRef,
    },
    path::Filter,
};

/// Whether a filter holds for a value that stands in a document, both of at most `depth_max`
/// levels; none if nobody can say, or it is no JSON.
pub fn filter_holds(
    filter: &Filter,
    value: &[u8],
    document: &[u8],
    depth_max: usize,
) -> Option<bool> {
    let mut patterns = Patterns::default();
    let document = if filter.asks_root() {
        let text = str::from_utf8(document).ok()?.to_owned();
        let mut document = Document::new(text, depth_max).ok()?;
        look_up(&mut document, std::slice::from_ref(filter), &mut patterns, &mut AssumeIntact);
        Some(document)
    } else {
        None
    };
    let outline = Outline::of(value, depth_max).ok()?;
    let root = ValueRef::root(Outlined::new(value, 0, &outline)).ok()?;
    if root.text().len() != value.trim_ascii_end().len() {
        return None;
    }
    let mut evaluation = Evaluation::new(value.len(), usize::MAX);
    evaluator::holds(
        filter,
        root,
        document.as_ref(),
        &mut evaluation,
        &mut patterns,
        &mut AssumeIntact,
    )
    .ok()
}
