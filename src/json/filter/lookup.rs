//! Looks up what filters ask about the document (`$`), before it is walked: once for all the nodes that they are asked of.

use crate::{
    json::filter::{
        document::{Document, Found},
        evaluation::Inquiry,
        intact::Kept,
        judge,
        outline::Unclear,
        patterns::{Patterns, compile_from_document},
        value::Spot,
    },
    path::{Filter, Query},
};

/// Looks up what these filters ask about a document.
pub(crate) fn look_up(
    document: &mut Document,
    filters: &[Filter],
    patterns: &mut Patterns,
    kept: &mut dyn Kept,
) {
    for filter in filters {
        // The innermost first: an outer one asks for what these have found.
        for inner in filter.filters_within() {
            look_up_one(document, inner, patterns, kept);
        }
        look_up_one(document, filter, patterns, kept);
    }
}

fn look_up_one(
    document: &mut Document,
    filter: &Filter,
    compiled: &mut Patterns,
    kept: &mut dyn Kept,
) {
    for query in filter.queries().into_iter().filter(|query| query.from_root) {
        if !document.knows(query) {
            let found = find(document, query, compiled, kept);
            document.note(query, found);
        }
    }
    for (query, whole) in filter.patterns_in_document() {
        let Ok(Some(text)) =
            document.only(query).and_then(|spot| spot.map_or(Ok(None), Spot::string))
        else {
            continue;
        };
        let pattern = compile_from_document(&text, whole);
        document.note_pattern(query, whole, pattern);
    }
}

fn find(
    document: &Document,
    query: &Query,
    patterns: &mut Patterns,
    kept: &mut dyn Kept,
) -> Result<Found, Unclear> {
    let mut inquiry = Inquiry::new(document.text().len(), kept.name_bytes_max());
    let root = document.root()?;
    let selected = judge::select(query, root, document, &mut inquiry, patterns, kept)?;
    let only = selected.only();
    let length = only.map_or(Ok(None), |node| root.at(node).length(&mut inquiry));
    Ok(Found::new(selected.count()?, only, length))
}
