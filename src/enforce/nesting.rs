//! Where a document stands that is being read: the body itself, or a string in it, or in one of its strings.

use crate::{json::Place, policy};

/// How deep documents can stand in strings of documents; what is deeper is none.
const NESTING_MAX: usize = 4;

/// What a container hands down: nobody asks through which line.
pub(crate) type Scope = policy::Scope<()>;

/// The document that is being read, seen from outside.
#[derive(Clone, Copy)]
pub(super) struct Nesting {
    /// What its root is under.
    pub(super) around: Scope,
    depth: usize,
    /// What became of the root of a document in a string; none before it is decided.
    root: Root,
    /// Where its root stands,
    pub(super) place: Place,
    /// and a string in it that is being captured and may hold another document.
    pub(super) captured: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    /// It is to come.
    Awaited,
    Stays,
    Goes,
}

impl Nesting {
    /// The body itself.
    pub(super) fn outside(around: Scope) -> Self {
        let (place, captured) = (Place::default(), Place::default());
        Self { around, depth: 0, root: Root::Stays, place, captured }
    }

    /// The document in the string that is captured, under `around`; none if it would be too deep.
    pub(super) fn inside(&self, around: Scope) -> Option<Self> {
        let depth = self.depth + 1;
        let (root, place) = (Root::Awaited, self.captured);
        (depth <= NESTING_MAX).then_some(Self { around, depth, root, place, captured: place })
    }

    /// Whether its root was one that goes.
    pub(super) fn root_goes(&self) -> bool {
        self.root == Root::Goes
    }

    /// Whether the next node is the root of a document in a string.
    pub(super) fn is_at_root(&self) -> bool {
        self.root == Root::Awaited
    }

    /// A node is decided; whether anything of it stays matters if it is such a root.
    pub(super) fn root_is(&mut self, stays: bool) {
        if self.is_at_root() {
            self.root = if stays { Root::Stays } else { Root::Goes };
        }
    }
}
