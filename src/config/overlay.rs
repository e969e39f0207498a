//! Lays variables of the environment over a tree of YAML.

use std::ops::Range;

use crate::{
    config::{
        environment::{PREFIX, SEPARATOR, meant, shouted},
        fields::Problem,
        texts::{Texts, is_nothing},
    },
    source::yaml::{Key, Kind, Node, Scalar},
};

/// Lays the variables that begin with `TAMIS__` over the tree: each part of a name goes one level down.
pub(super) fn lay_over(
    root: &mut Node,
    environment: impl IntoIterator<Item = (String, String)>,
    texts: &mut Texts,
    problems: &mut Vec<Problem>,
) {
    let environment = environment.into_iter();
    let mut ours: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // An environment has no order. The members of a list come in theirs, and of a section and its
    // part the part has the last word.
    ours.sort_by_cached_key(|(name, _)| {
        let parts = name.split(SEPARATOR);
        parts.map(|part| (part.parse::<usize>().ok(), part.to_owned())).collect::<Vec<_>>()
    });
    for (variable, value) in ours {
        let path = variable.strip_prefix(PREFIX).unwrap_or_default();
        let span = texts.add(&variable, &value);
        let node =
            path.split(SEPARATOR).try_fold(&mut *root, |node, part| below(node, part, &span));
        match node {
            Ok(node) => {
                // Not plain, as if it stood in quotes: a variable that is there has a value, if an empty one.
                let scalar = Scalar { text: value, plain: false, verbatim: None };
                *node = Node { span, kind: Kind::Scalar(scalar) };
            }
            Err(what) => {
                let help = meant(&variable).map(|meant| format!("did you mean `{meant}`?"));
                problems.push(Problem { code: "bad-variable", at: Some(span), what, help });
            }
        }
    }
}

/// What stands one level down under a part of a variable's name; it is made if there is none.
fn below<'n>(node: &'n mut Node, part: &str, at: &Range<usize>) -> Result<&'n mut Node, String> {
    let index = part.parse::<usize>().ok();
    if matches!(node.kind, Kind::Scalar(_)) {
        let kind =
            if index.is_some() { Kind::Sequence(Vec::new()) } else { Kind::Mapping(Vec::new()) };
        *node = Node { span: at.clone(), kind };
    }
    let new = nothing(at.clone());
    match &mut node.kind {
        Kind::Mapping(members) => {
            if part.is_empty() {
                return Err("the name of the variable has an empty part".to_owned());
            }
            let mut alike =
                (0..).zip(&*members).filter(|(_, (key, _))| shouted(&key.text) == shouted(part));
            let at_index = match (alike.next(), alike.next()) {
                (None, _) => {
                    let text = part.to_ascii_lowercase();
                    members.push((Key { text, span: at.clone(), verbatim: None }, new));
                    members.len() - 1
                }
                (Some((index, _)), None) => index,
                (Some((_, (one, _))), Some((_, (other, _)))) => {
                    return Err(format!("`{}` and `{}` can both be meant", one.text, other.text));
                }
            };
            members.get_mut(at_index).map(|(_, node)| node)
        }
        Kind::Sequence(items) => {
            if index == Some(items.len()) {
                items.push(new);
            }
            index.and_then(|index| items.get_mut(index))
        }
        Kind::Scalar(_) => None,
    }
    .ok_or_else(|| {
        format!("`{part}` is not the number of a list that begins with 0 and has no gaps")
    })
}

/// What an empty file says.
pub(super) fn nothing(span: Range<usize>) -> Node {
    let scalar = Scalar { text: String::new(), plain: true, verbatim: None };
    let node = Node { span, kind: Kind::Scalar(scalar) };
    debug_assert!(is_nothing(&node));
    node
}
