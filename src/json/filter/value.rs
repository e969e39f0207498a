//! A value of a document that filters are asked of, or that one of their queries has selected.

use std::borrow::Cow;

use crate::json::filter::{
    evaluation::Evaluation,
    outline::{Children, Indeterminate, Node, Outlined},
};

/// A string without its quotes and escapes.
pub(crate) fn text(quoted: &[u8]) -> Result<Cow<'_, str>, Indeterminate> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let inner = inner.ok_or(Indeterminate)?;
    if !inner.contains(&b'\\') {
        return str::from_utf8(inner).map(Cow::Borrowed).map_err(|_cut| Indeterminate);
    }
    serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_lone_surrogate| Indeterminate)
}

/// A node, and what it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueRef<'b> {
    of: Outlined<'b>,
    node: Node,
}

impl<'b> ValueRef<'b> {
    /// A node of this outline.
    pub(crate) fn new(of: Outlined<'b>, node: Node) -> Self {
        Self { of, node }
    }

    /// The value as a whole.
    pub(crate) fn root(of: Outlined<'b>) -> Result<Self, Indeterminate> {
        Ok(Self { of, node: of.root()? })
    }

    /// As it is written.
    pub(crate) fn text(self) -> &'b [u8] {
        self.of.text(self.node)
    }

    /// Whether it is an object or an array.
    pub(crate) fn is_container(self) -> bool {
        self.node.is_container()
    }

    /// The text that it is; none if it is something else.
    pub(crate) fn string(self) -> Result<Option<Cow<'b, str>>, Indeterminate> {
        let written = self.text();
        if written.starts_with(b"\"") { text(written).map(Some) } else { Ok(None) }
    }

    /// Its length, as the function has it; none if it has none.
    pub(crate) fn length(self, evaluation: &mut Evaluation) -> Result<Option<u64>, Indeterminate> {
        if self.is_container() {
            return count_children(self, evaluation).map(Some);
        }
        evaluation.spend(self.text().len() as u64)?;
        Ok(self.string()?.map(|string| string.chars().count() as u64))
    }

    /// Where it stands among the values around it.
    pub(crate) fn node(self) -> Node {
        self.node
    }

    /// What it stands in.
    pub(crate) fn outlined(self) -> Outlined<'b> {
        self.of
    }

    /// Whether it is an object.
    pub(crate) fn is_object(self) -> bool {
        self.of.is_object(self.node)
    }

    /// Whether it is an array.
    pub(crate) fn is_array(self) -> bool {
        self.of.is_array(self.node)
    }

    /// Its children, one after the other.
    pub(crate) fn children(self) -> Children<'b> {
        self.of.children(self.node)
    }

    /// Another value of the same document.
    pub(crate) fn at(self, node: Node) -> Self {
        Self { node, ..self }
    }
}

/// not leave. None of them is held, for there may be as many as half the bytes.
pub(crate) fn each_child(
    value_ref: ValueRef<'_>,
    evaluation: &mut Evaluation,
    mut each: impl FnMut(Node),
) -> Result<(), Indeterminate> {
    let mut names = Vec::new();
    for child in value_ref.children() {
        let (name, node, looked_at) = child?.parts();
        evaluation.spend(looked_at as u64)?;
        if evaluation.is_long_name(name.len()) {
            return Err(Indeterminate);
        }
        each(node);
        if !name.is_empty() {
            // What is no text is its own name: nobody takes it for another.
            names.push(text(name).unwrap_or(String::from_utf8_lossy(name)));
        }
    }
    names.sort_unstable();
    let twice = |pair: &[Cow<'_, str>]| matches!(pair, [one, other] if one == other);
    if names.windows(2).any(twice) { Err(Indeterminate) } else { Ok(()) }
}

/// How many children a node has.
pub(crate) fn count_children(
    value_ref: ValueRef<'_>,
    evaluation: &mut Evaluation,
) -> Result<u64, Indeterminate> {
    let mut count = 0;
    each_child(value_ref, evaluation, |_| count += 1)?;
    Ok(count)
}

/// A member of an object, with its name as it is meant.
pub(crate) type NamedNode<'b> = (Cow<'b, str>, Node);

/// The members by their names, if no two of these are the same.
pub(crate) fn members<'b>(
    value_ref: ValueRef<'b>,
    evaluation: &mut Evaluation,
) -> Result<Vec<NamedNode<'b>>, Indeterminate> {
    let mut members = Vec::new();
    for child in value_ref.children() {
        let (name, node, looked_at) = child?.parts();
        evaluation.spend(looked_at as u64)?;
        members.push((text(name)?, node));
    }
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let twice = |pair: &[NamedNode<'_>]| matches!(pair, [(one, _), (other, _)] if one == other);
    if members.windows(2).any(twice) { Err(Indeterminate) } else { Ok(members) }
}
