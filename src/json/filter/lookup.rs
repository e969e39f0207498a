//! Looks up what filters ask about the document (`$`), before it is walked: once for all the nodes
//! that they are asked of.

use crate::{
    json::filter::{
        document::{Document, QueryResult},
        evaluation::Evaluation,
        evaluator,
        intact::IntactCheck,
        outline::Indeterminate,
        patterns::{Patterns, compile_from_document},
        value::ValueRef,
    },
    path::{Filter, Query},
};

/// Looks up what these filters ask about a document.
pub(crate) fn look_up(
    document: &mut Document,
    filters: &[Filter],
    patterns: &mut Patterns,
    intact: &mut dyn IntactCheck,
) {
    for filter in filters {
        // The innermost first: an outer one asks for what these have found.
        for inner in filter.filters_within() {
            look_up_one(document, inner, patterns, intact);
        }
        look_up_one(document, filter, patterns, intact);
    }
}

fn look_up_one(
    document: &mut Document,
    filter: &Filter,
    compiled: &mut Patterns,
    intact: &mut dyn IntactCheck,
) {
    for query in filter.queries().into_iter().filter(|query| query.from_root) {
        if !document.knows(query) {
            let found = find(document, query, compiled, intact);
            document.note(query, found);
        }
    }
    for (query, whole) in filter.patterns_in_document() {
        let Ok(Some(text)) =
            document.only(query).and_then(|value| value.map_or(Ok(None), ValueRef::string))
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
    intact: &mut dyn IntactCheck,
) -> Result<QueryResult, Indeterminate> {
    let mut evaluation = Evaluation::new(document.text().len(), intact.name_bytes_max());
    let root = document.root()?;
    let selected = evaluator::select(query, root, document, &mut evaluation, patterns, intact)?;
    let only = selected.only();
    let length = only.map_or(Ok(None), |node| root.at(node).length(&mut evaluation));
    Ok(QueryResult::new(selected.count()?, only, length))
}
