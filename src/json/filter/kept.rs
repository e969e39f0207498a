//! Whether all of an object or array leaves as it is.
//!
//! What a filter measures or compares has to: otherwise who sees the answer learns something of what is withheld. It is
//! found out from the bytes of the container, as the walk would decide them, and nothing is counted.

use crate::{
    json::{
        edits::{Edits, Keeps, OnName},
        filter::{
            evaluation::Inquiry,
            outline::{Child, Children, Node, Outlined, Unclear},
            value::text,
        },
    },
    path::{Kind, Program, State},
};

/// Those of a name.
const QUOTES: usize = 2;

/// A value in a document: what it has matched, and what stands above hands down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<Scope> {
    pub(crate) node: Node,
    pub(crate) state: State,
    pub(crate) scope: Scope,
}

/// A container that is being gone through.
struct Open<'b, Scope> {
    children: Children<'b>,
    kind: Kind,
    state: State,
    scope: Scope,
    /// How many children there were.
    index: u64,
}

/// Whether all of the container `target` leaves as it is, which stands at or below `root`. Where it cannot be said
/// before other filters have answered, it does not.
pub(crate) fn is_kept<E: Edits>(
    edits: &E,
    program: &Program,
    of: Outlined<'_>,
    root: Root<E::Scope>,
    target: Node,
    name_bytes_max: usize,
    inquiry: &mut Inquiry,
) -> Result<bool, Unclear> {
    // States that are made on the way are forgotten between tokens, and this is one.
    if program.is_lazy() {
        return Ok(false);
    }
    let mut open = Vec::new();
    let is_within = |node: Node| node.start >= target.start;
    match enter(edits, of, root) {
        Entered::Gone => return Ok(false),
        Entered::Whole => return Ok(true),
        Entered::Open(first) => open.push(first),
    }
    let mut at = root.node;
    while let Some(innermost) = open.last_mut() {
        let Some(child) = innermost.children.next() else {
            open.pop();
            continue;
        };
        let Child { name, node, looked_at } = child?;
        inquiry.spend(looked_at as u64)?;
        let index = innermost.index;
        innermost.index += 1;
        // On the way to the container only what it stands in matters.
        let is_on_the_way = !is_within(at);
        if is_on_the_way && !of.holds(node, target) {
            continue;
        }
        let state = match innermost.kind {
            Kind::Array => program.element(innermost.state, index),
            Kind::Object => {
                let is_long = name.len() > name_bytes_max.saturating_add(QUOTES);
                let Some(name) = text(name).ok().filter(|_| !is_long) else { return Ok(false) };
                let member = program.member(innermost.state, name.as_bytes());
                let (scope, object) = (innermost.scope, innermost.state);
                let is_kept = || edits.keeps_name(scope, object, member.state) == OnName::Keep;
                if member.state.is_pending() || !(member.spelled || is_kept()) {
                    return Ok(false);
                }
                member.state
            }
        };
        if state.is_pending() {
            return Ok(false);
        }
        let child = Root { node, state, scope: innermost.scope };
        if is_on_the_way {
            at = node;
            open.clear();
        }
        if !node.is_container() {
            match edits.keeps(child.scope, state, None) {
                Keeps::Whole => continue,
                Keeps::Inside(_) if !of.text(node).starts_with(b"\"") => continue,
                Keeps::Inside(_) | Keeps::Nothing => return Ok(false),
            }
        }
        match enter(edits, of, child) {
            Entered::Gone => return Ok(false),
            Entered::Whole if is_on_the_way => return Ok(true),
            Entered::Whole => {}
            Entered::Open(inner) => open.push(inner),
        }
    }
    Ok(is_within(at))
}

enum Entered<'b, Scope> {
    /// It does not stay.
    Gone,
    /// It leaves as it is, with all that is in it.
    Whole,
    /// It stays, and its children are decided one by one.
    Open(Open<'b, Scope>),
}

fn enter<'b, E: Edits>(
    edits: &E,
    of: Outlined<'b>,
    Root { node, state, scope }: Root<E::Scope>,
) -> Entered<'b, E::Scope> {
    let kind = if of.is_object(node) { Kind::Object } else { Kind::Array };
    match edits.keeps(scope, state, Some(kind)) {
        Keeps::Nothing => Entered::Gone,
        Keeps::Whole => Entered::Whole,
        Keeps::Inside(scope) => {
            Entered::Open(Open { children: of.children(node), kind, state, scope, index: 0 })
        }
    }
}
