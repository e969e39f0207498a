//! sonic-rs at its fastest: values that are found but not parsed, and the document copied around them.

use sonic_rs::PointerTree;

use crate::Redaction;

/// Redacts the records of an array. Names that stand twice in a record are found once.
pub(crate) fn redact(document: &[u8], redaction: &Redaction) -> Vec<u8> {
    assert!(!redaction.anywhere, "it takes pointers");
    let mut tree = PointerTree::new();
    for name in &redaction.names {
        tree.add_path([name.as_str()]);
    }
    let mut out = Vec::with_capacity(document.len());
    let mut done = 0;
    let start = document.as_ptr() as usize;
    let mut spans: Vec<(usize, usize)> = Vec::with_capacity(tree.size());
    for record in sonic_rs::to_array_iter(document) {
        let record = record.unwrap();
        let raw = record.as_raw_str();
        let found = sonic_rs::get_many(raw, &tree).unwrap();
        spans.clear();
        spans.extend(found.iter().flatten().map(|value| {
            let raw = value.as_raw_str();
            let from = raw.as_ptr() as usize - start;
            (from, from + raw.len())
        }));
        spans.sort_unstable();
        for (from, to) in &spans {
            out.extend_from_slice(&document[done..*from]);
            out.extend_from_slice(b"null");
            done = *to;
        }
    }
    out.extend_from_slice(&document[done..]);
    out
}
