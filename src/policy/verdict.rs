//! What is known of a node from the lines that select it, before there is a document.

use crate::path::Kind;

/// What is known of every node in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The node's own action.
    pub own: Own,
    /// What happens to a member's name that no path spells, if the node is an object.
    pub names: Names,
    /// Where records are mounted at the node: whether what is unclassified in all of them is kept.
    pub mount: Option<bool>,
    /// Whether a path goes on below an object to a node that is not dropped.
    pub below_object: bool,
    /// Whether a path goes on below an array to a node that is not dropped.
    pub below_array: bool,
    /// Below containers of which kind a path goes on to a node that it selects, whatever becomes of that.
    pub known: Kinds,
    /// Whether no path goes on below, to whatever node.
    pub leaf: bool,
    /// What a string here holds.
    pub strings: Strings,
}

impl Verdict {
    /// Nothing leaves, of the node nor of what is below.
    pub(super) const CLOSED: Self = Self {
        own: Own::Drop,
        names: Names::Drop,
        mount: Some(false),
        below_object: false,
        below_array: false,
        known: Kinds { object: false, array: false },
        leaf: true,
        strings: Strings::Text,
    };

    /// Whether a container of this kind stays because of what can be below it.
    pub fn below(&self, kind: Kind) -> bool {
        match kind {
            Kind::Object => self.below_object,
            Kind::Array => self.below_array,
        }
    }

    /// Whether the paths know a container of this kind: then it is not unclassified, though all of it may be
    /// withheld.
    pub fn knows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Object => self.known.object,
            Kind::Array => self.known.array,
        }
    }
}

/// Some of the two kinds of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Objects.
    pub object: bool,
    /// Arrays.
    pub array: bool,
}

/// The action of a node that paths select, after ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Own {
    /// No path selects it.
    None,
    /// It stays.
    Keep(CellId),
    /// Its scalars are changed by the cell's [`Transform`](crate::transform::Transform).
    Change(CellId),
    /// It becomes `null`.
    Null,
    /// It is removed.
    Drop,
}

/// What a string holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// Text.
    Text,
    /// A document, whose root is in the state of the string.
    Documents,
}

/// What happens to names that no path spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// No path that reaches them says what they are.
    Unclassified,
    /// They stay.
    Keep(CellId),
    /// The cell's [`Transform`](crate::transform::Transform) puts others in their place.
    Change(CellId),
    /// Their members are removed.
    Drop,
}

/// An index into [`Plan::cells`](crate::policy::Plan::cells).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellId(u32);

impl CellId {
    /// The cell of this index; what does not fit is the cell of no plan.
    pub(super) fn numbered(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The index itself.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
