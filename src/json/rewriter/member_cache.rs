//! Remembers the members of objects: the records of an array mostly have the same names in the same
//! order.
//!
//! What was found out of a member is remembered by where it stood, and taken again where its name
//! stands once more: that costs one comparison, where a look-up costs a hash and a probe. It is a
//! guess at which member comes, never at what it means: where the bytes of the name, the state of
//! the object or its scope differ, the member is looked up like any other.

use crate::{
    json::edits::Always,
    path::{Kind, Member, State},
};

/// How many members are remembered, a power of two. They take a few KiB, so they stay in the
/// nearest cache, and records seldom have more; where two share a place, the last one wins, and the
/// other is looked up.
const MEMBERS_MAX: usize = 128;
/// How many states with scopes objects may have so that their members are remembered.
const OBJECTS_MAX: u16 = 32;
/// What is none of them: no member is expected there.
const UNKNOWN: u16 = OBJECTS_MAX;
/// Longest name that is compared, with its closing quote.
const NAME_BYTES_MAX: usize = size_of::<Name>();
/// How many members in a row may be other than expected before that is not worth the trouble: a
/// comparison that fails costs as much as a look-up, so a document without records must not pay it
/// for each member.
const TRUST_MAX: u32 = 64;

/// The first bytes of a name, its closing quote included.
type Name = u128;

/// Where the members of an object are cached: the same for the elements of an array, others for
/// different members.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheSlot {
    /// Its first member among those that are remembered.
    first: u16,
    /// Its state and scope among those that are remembered, or [`UNKNOWN`].
    object: u16,
}

impl CacheSlot {
    /// What was remembered of the states around is gone.
    pub(super) fn forget(&mut self) {
        self.object = UNKNOWN;
    }

    /// Whether members of the object are remembered.
    #[inline]
    pub(super) fn is_known(self) -> bool {
        self.object != UNKNOWN
    }

    /// Where the member of this index is cached.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
    pub(super) fn member(self, index: u64) -> u16 {
        self.first.wrapping_add(index as u16)
    }
}

/// What happens to a member whatever its value is, by what that is.
#[derive(Clone, Copy)]
pub(super) struct AlwaysByKind {
    scalar: Option<Always>,
    object: Option<Always>,
    array: Option<Always>,
}

impl AlwaysByKind {
    /// What `ask` says of a scalar, an object and an array.
    fn of(ask: impl Fn(Option<Kind>) -> Option<Always>) -> Self {
        Self { scalar: ask(None), object: ask(Some(Kind::Object)), array: ask(Some(Kind::Array)) }
    }

    /// That of a value with this first byte.
    #[inline]
    pub(super) fn of_value(self, first: u8) -> Option<Always> {
        match first {
            b'{' => self.object,
            b'[' => self.array,
            _ => self.scalar,
        }
    }
}

/// What is known of a member.
#[derive(Clone, Copy)]
pub(super) struct CachedMember {
    name: Name,
    /// The bits of the bytes that the name has.
    mask: Name,
    object: u16,
    member: Member,
    /// It is asked for when the member comes again: most of a short document come once.
    always: Option<AlwaysByKind>,
}

impl CachedMember {
    /// What always happens to it; asks if that is not known.
    #[inline]
    pub(super) fn always(
        &mut self,
        ask: impl Fn(Member, Option<Kind>) -> Option<Always>,
    ) -> AlwaysByKind {
        let member = self.member;
        *self.always.get_or_insert_with(|| AlwaysByKind::of(|kind| ask(member, kind)))
    }
}

/// The members that were seen last, by where they stood.
pub(super) struct MemberCache<Scope> {
    members: Vec<Option<CachedMember>>,
    objects: Vec<(State, Scope)>,
    /// How much it is worth to compare names, and to take members by what was known of them. Both
    /// grow with every member of which that was true, and shrink with every other: a document whose
    /// objects differ pays for [`TRUST_MAX`] guesses, and no more until the next chunk.
    names_trust: u32,
    runs_trust: u32,
}

impl<Scope> Default for MemberCache<Scope> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            objects: Vec::new(),
            names_trust: TRUST_MAX,
            runs_trust: TRUST_MAX,
        }
    }
}

impl<Scope: Copy + PartialEq> MemberCache<Scope> {
    /// The slot of a container in this state and scope, in a child of `parent`: its kind, its slot
    /// and the index of the child.
    pub(super) fn slot(
        &mut self,
        parent: Option<(Kind, CacheSlot, u64)>,
        kind: Kind,
        state: State,
        scope: Scope,
    ) -> CacheSlot {
        let first = parent.map_or(0, |(parent, slot, index)| match parent {
            Kind::Array => slot.first,
            // Each member that holds objects gets places of its own, so that they do not overwrite
            // those of the object around. Any numbers will do as long as few collide: an odd factor
            // maps no two indices to one place.
            Kind::Object => slot.member(index).wrapping_mul(37).wrapping_add(23),
        });
        if kind == Kind::Array || self.names_trust == 0 {
            return CacheSlot { first, object: UNKNOWN };
        }
        let known =
            (0..OBJECTS_MAX).zip(&self.objects).find(|(_, known)| **known == (state, scope));
        let known = known.map(|(at, _)| at);
        let object = known.unwrap_or_else(|| self.remember_object(state, scope));
        CacheSlot { first, object }
    }

    fn remember_object(&mut self, state: State, scope: Scope) -> u16 {
        let next = u16::try_from(self.objects.len()).unwrap_or(UNKNOWN);
        if next < OBJECTS_MAX {
            self.objects.push((state, scope));
        }
        next
    }

    /// The member that is expected at this place, if it is that: its name begins at `from`, behind
    /// the quote.
    #[inline]
    pub(super) fn expected(
        &mut self,
        place: u16,
        slot: CacheSlot,
        chunk: &[u8],
        from: usize,
    ) -> Option<&mut CachedMember> {
        let known = self.members.get_mut(usize::from(place) % MEMBERS_MAX)?.as_mut()?;
        let name = Name::from_le_bytes(*chunk.get(from..)?.first_chunk()?);
        ((name ^ known.name) & known.mask == 0 && known.object == slot.object).then_some(known)
    }

    /// What the member is that is expected at this index, if it is that.
    #[inline]
    pub(super) fn member(
        &mut self,
        slot: CacheSlot,
        index: u64,
        chunk: &[u8],
        from: usize,
    ) -> Option<Member> {
        if !slot.is_known() {
            return None;
        }
        let member = self.expected(slot.member(index), slot, chunk, from)?.member;
        self.names_trust = (self.names_trust + 1).min(TRUST_MAX);
        Some(member)
    }

    /// Remembers what the member at this index is, whose name of so many bytes begins at `from`.
    /// One that pends is none that could be taken again: what it is depends on its value.
    #[inline]
    pub(super) fn remember(
        &mut self,
        slot: CacheSlot,
        index: u64,
        chunk: &[u8],
        (from, bytes): (usize, usize),
        member: Member,
    ) {
        if self.names_trust > 0
            && slot.is_known()
            && bytes < NAME_BYTES_MAX
            && !member.state.is_pending()
            && let Some(name) = chunk.get(from..).and_then(<[u8]>::first_chunk)
        {
            let known = CachedMember {
                name: Name::from_le_bytes(*name),
                mask: Name::MAX >> (8 * (NAME_BYTES_MAX - 1 - bytes)),
                object: slot.object,
                member,
                always: None,
            };
            self.put(slot.member(index), known);
        }
    }

    fn put(&mut self, place: u16, member: CachedMember) {
        self.names_trust = self.names_trust.saturating_sub(1);
        self.members.resize(MEMBERS_MAX, None);
        if let Some(known) = self.members.get_mut(usize::from(place) % MEMBERS_MAX) {
            *known = Some(member);
        }
    }

    /// Whether it is worth to take members by what was known of them.
    #[inline]
    pub(super) fn trusts_runs(&self) -> bool {
        self.runs_trust > 0
    }

    /// Members were taken so.
    #[inline]
    pub(super) fn trust_runs_more(&mut self) {
        self.runs_trust = (self.runs_trust + 1).min(TRUST_MAX);
    }

    /// A member was found again, and could not be taken.
    #[inline]
    pub(super) fn trust_runs_less(&mut self) {
        self.runs_trust = self.runs_trust.saturating_sub(4);
    }

    /// Another chunk begins: whatever has been, it may be other from now on.
    pub(super) fn retry(&mut self) {
        self.names_trust = self.names_trust.max(TRUST_MAX / 4);
        self.runs_trust = self.runs_trust.max(TRUST_MAX / 4);
    }
}
