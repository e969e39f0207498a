//! The containers around the next token whose children are decided one by one.

use crate::{
    json::rewriter::member_cache::CacheSlot,
    path::{Kind, State},
};

/// What may come next in the grammar of RFC 8259.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Value,
    ElementOrEnd,
    NameOrEnd,
    Name,
    NameEnd,
    Colon,
    StringEnd,
    CommaOrEnd,
    /// Only white space, after the root.
    Nothing,
}

impl Expect {
    /// What comes first in a container.
    #[inline]
    pub(super) fn first_in(kind: Kind) -> Self {
        match kind {
            Kind::Object => Self::NameOrEnd,
            Kind::Array => Self::ElementOrEnd,
        }
    }

    /// What comes behind a comma.
    #[inline]
    pub(super) fn after_comma(kind: Kind) -> Self {
        match kind {
            Kind::Object => Self::Name,
            Kind::Array => Self::Value,
        }
    }
}

/// A container that was entered: one level of nesting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level<Scope> {
    kind: Kind,
    state: State,
    scope: Scope,
    /// Whether a child has been kept, so that the next one needs its comma.
    kept: bool,
    /// The index of the current child.
    index: u64,
    slot: CacheSlot,
    name: NameRange,
}

impl<Scope: Copy> Level<Scope> {
    /// A container that begins. `name` is where its name stands in the chunk.
    #[inline]
    pub(super) fn new(
        kind: Kind,
        state: State,
        scope: Scope,
        slot: CacheSlot,
        name: NameRange,
    ) -> Self {
        Self { kind, state, scope, kept: false, index: 0, slot, name }
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// What the container has matched.
    #[inline]
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The same, to be kept when the program forgets its states; with it goes what the cache knew
    /// of it.
    pub(super) fn state_to_keep(&mut self) -> &mut State {
        self.slot.forget();
        &mut self.state
    }

    /// What it hands down to its children.
    #[inline]
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// Where its members are cached.
    #[inline]
    pub(super) fn slot(&self) -> CacheSlot {
        self.slot
    }

    /// The index of the current child.
    #[inline]
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// Where its name stands in the chunk that it began in.
    #[inline]
    pub(super) fn name(&self) -> NameRange {
        self.name
    }

    /// Goes on to the next child.
    #[inline]
    pub(super) fn next_child(&mut self) {
        self.index += 1;
    }

    /// Whether a child has been kept.
    #[inline]
    pub(super) fn has_kept(&self) -> bool {
        self.kept
    }

    /// A child is kept. Gives whether another one was before, so that it needs its comma.
    #[inline]
    pub(super) fn keep_child(&mut self) -> bool {
        std::mem::replace(&mut self.kept, true)
    }

    /// Goes on behind so many children that were decided together; `kept` says whether any child
    /// has been kept.
    #[inline]
    pub(super) fn pass_children(&mut self, children: u16, kept: bool) {
        self.index += u64::from(children);
        self.kept = kept;
    }

    /// Whether this bracket closes it.
    #[inline]
    pub(super) fn closes_with(&self, bracket: u8) -> bool {
        match self.kind {
            Kind::Object => bracket == b'}',
            Kind::Array => bracket == b']',
        }
    }
}

/// From where to where the name of a container stands in the chunk that it began in, with its
/// quotes. It is empty if the container is no member, or its place is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameRange {
    // A chunk longer than these can say has its names looked up at once: a level is copied often,
    // and stays small.
    from: u32,
    to: u32,
}

impl NameRange {
    /// The range, if it is not beyond 4 GiB.
    #[inline]
    pub(super) fn new((from, to): (usize, usize)) -> Option<Self> {
        Some(Self { from: u32::try_from(from).ok()?, to: u32::try_from(to).ok()? })
    }

    /// From where to where; none if it is empty.
    #[inline]
    pub(super) fn range(self) -> Option<(usize, usize)> {
        let (from, to) = (usize::try_from(self.from).ok()?, usize::try_from(self.to).ok()?);
        (from < to).then_some((from, to))
    }
}

/// Where the rewriter stands: the containers around the next token, and the chunk that it reads.
pub(super) struct Position<'p, Scope> {
    levels: &'p [Level<Scope>],
    chunk: &'p [u8],
    offset: u64,
}

impl<'p, Scope> Position<'p, Scope> {
    /// In these containers and this chunk, before which so many bytes of the document came.
    #[inline]
    pub(super) fn new(levels: &'p [Level<Scope>], chunk: &'p [u8], offset: u64) -> Self {
        Self { levels, chunk, offset }
    }

    #[inline]
    pub(super) fn levels(&self) -> &'p [Level<Scope>] {
        self.levels
    }

    #[inline]
    pub(super) fn chunk(&self) -> &'p [u8] {
        self.chunk
    }

    /// Bytes of the document before the chunk.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}
