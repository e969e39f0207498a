//! What has been told of the places where something was removed: each is told of once.
//!
//! The elements of an array all stand at one place, and so do members of one name in objects that stand at one
//! place. What is known of one container is taken for the next, before anybody is asked.

use crate::{
    json::{
        edits::{Edits, Place, Step},
        rewriter::walker::{InChunk, Rewriter},
    },
    path::Kind,
};

/// How many members are remembered, a power of two.
const MEMBERS_MAX: usize = 16;

/// The bytes of a short name, with its quotes.
type Name = u128;

/// What is known of the containers at one place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The place; none before it has been asked for.
    pub(super) place: Option<Place>,
    /// Whether it was told that something was removed in an object there, and in an array.
    told: [bool; 2],
}

impl Known {
    /// What is known if nothing was told: where they stand.
    pub(super) fn at(place: Place) -> Self {
        Self { place: Some(place), ..Self::default() }
    }

    /// Whether it was told that something was removed in a container of this kind.
    #[inline]
    pub(super) fn is_told(self, kind: Kind) -> bool {
        let [object, array] = self.told;
        match kind {
            Kind::Object => object,
            Kind::Array => array,
        }
    }

    /// It was told of a container of this kind.
    fn tell(&mut self, kind: Kind) {
        let [object, array] = &mut self.told;
        match kind {
            Kind::Object => *object = true,
            Kind::Array => *array = true,
        }
    }
}

/// What is known of the containers that are members of one name, and of those that are their elements.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    pub(super) itself: Known,
    pub(super) elements: Known,
}

impl From<Known> for Member {
    fn from(itself: Known) -> Self {
        Self { itself, elements: Known::default() }
    }
}

/// The containers that are members and were told of last, by the place of the object and by their name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Members([Option<(Place, Name, Member)>; MEMBERS_MAX]);

impl Members {
    /// What is known of a member whose name stands there, with its quotes.
    #[inline]
    pub(super) fn find(&self, object: Place, chunk: &[u8], name: InChunk) -> Member {
        let Some(name) = short(chunk, name) else { return Member::default() };
        match self.0.get(index(object, name)) {
            Some(Some((known_in, known_as, known))) if (*known_in, *known_as) == (object, name) => {
                *known
            }
            Some(_) | None => Member::default(),
        }
    }

    /// What is known of it, to be noted; none if its name is long.
    pub(super) fn entry(
        &mut self,
        object: Place,
        chunk: &[u8],
        name: InChunk,
    ) -> Option<&mut Member> {
        let name = short(chunk, name)?;
        let entry = self.0.get_mut(index(object, name))?;
        if !matches!(entry, Some((known_in, known_as, _)) if (*known_in, *known_as) == (object, name))
        {
            *entry = Some((object, name, Member::default()));
        }
        entry.as_mut().map(|(.., known)| known)
    }
}

/// A name of at most 16 bytes; none of one that is longer, or that stands at the end of the chunk.
#[inline]
fn short(chunk: &[u8], name: InChunk) -> Option<Name> {
    let (from, to) = name.range()?;
    let unused = size_of::<Name>().checked_sub(to.checked_sub(from)?)?;
    let bytes = Name::from_le_bytes(*chunk.get(from..)?.first_chunk()?);
    Some(bytes & Name::MAX.checked_shr(8 * u32::try_from(unused).ok()?)?)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
fn index(object: Place, name: Name) -> usize {
    let mixed = (name ^ (name >> 64)) as u64 ^ u64::from(object.0.get());
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as usize % MEMBERS_MAX
}

/// What is known of where a container stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Always with its place.
    known: Member,
    /// Where its name stands in the chunk before which so many bytes came.
    name: InChunk,
    offset: u64,
}

impl<E: Edits> Rewriter<E> {
    /// Where in the chunk the name stands of the container that begins, if it is a member. If its name is not in the
    /// chunk, it is found out now where it stands.
    #[inline]
    pub(super) fn name_of_container(&mut self, chunk: &[u8], edits: &mut E) -> InChunk {
        let in_chunk = self.gap.name_in_chunk();
        let in_chunk = in_chunk.and_then(|(from, to)| {
            Some(InChunk { from: u32::try_from(from).ok()?, to: u32::try_from(to).ok()? })
        });
        match in_chunk {
            Some(name) => name,
            None if self.gap.name(chunk).is_empty() => InChunk::default(),
            None => {
                let place = self.value_place(chunk, edits);
                self.stand(Known::at(place).into(), InChunk::default());
                InChunk::default()
            }
        }
    }

    /// Says where something was removed, if that is asked.
    #[inline]
    pub(super) fn tell_where(&mut self, chunk: &[u8], edits: &mut E) {
        if edits.asks_where() && self.told_at <= self.levels.len() {
            self.tell_once(chunk, edits);
        }
    }

    #[inline(never)]
    fn tell_once(&mut self, chunk: &[u8], edits: &mut E) {
        if !(self.was_told() || self.recall(chunk)) {
            self.tell(chunk, edits);
        }
        self.told_at = self.levels.len() + 1;
    }

    /// Whether it was told that something was removed in the innermost container, or in one of its kind at its place.
    #[inline(never)]
    pub(super) fn is_told(&mut self, chunk: &[u8]) -> bool {
        self.was_told() || self.recall(chunk)
    }

    /// The same, as far as that is known without a look at its place.
    #[inline]
    pub(super) fn was_told(&self) -> bool {
        self.standings.len() == self.levels.len()
            && matches!(
                (self.standings.last(), self.levels.last()),
                (Some(standing), Some(level)) if standing.known.itself.is_told(level.kind)
            )
    }

    #[inline]
    fn stand(&mut self, known: Member, name: InChunk) {
        self.standings.push(Standing { known, name, offset: self.offset });
    }

    /// What the next standing is about: the container that is so many levels deep, its name, and what is known of it
    /// from what stood at its place before.
    #[inline]
    fn next_standing(&self, chunk: &[u8]) -> Option<(InChunk, Member)> {
        let depth = self.standings.len();
        let name = self.levels.get(depth)?.name;
        let Some(around) = self.standings.last() else { return Some((name, self.roots)) };
        let known = match self.levels.get(depth - 1)?.kind {
            Kind::Array => around.known.elements.into(),
            Kind::Object => {
                let find = |place| self.told_members.find(place, chunk, name);
                around.known.itself.place.map(find).unwrap_or_default()
            }
        };
        Some((name, known))
    }

    /// Takes what is known of the places of the containers around from what stood there before. Gives whether the
    /// innermost was told of.
    #[expect(clippy::inline_always, reason = "it is asked of every container that loses something")]
    #[inline(always)]
    fn recall(&mut self, chunk: &[u8]) -> bool {
        while self.standings.len() < self.levels.len()
            && let Some((name, known)) = self.next_standing(chunk)
            && known.itself.place.is_some()
        {
            self.stand(known, name);
        }
        self.was_told()
    }

    #[cold]
    fn tell(&mut self, chunk: &[u8], edits: &mut E) {
        let place = self.innermost_place(chunk, edits);
        let (Some(level), Some(standing)) = (self.levels.last(), self.standings.last_mut()) else {
            edits.removed_in(None);
            return;
        };
        edits.removed_in(Some((place, level.kind)));
        standing.known.itself.tell(level.kind);
        self.note(chunk);
    }

    /// Notes what is known of the container whose standing is the last, for those that will stand at its place.
    fn note(&mut self, chunk: &[u8]) {
        let mut standings = self.standings.as_mut_slice();
        while let Some((standing, around)) = standings.split_last_mut() {
            let kind = around.len().checked_sub(1).and_then(|depth| self.levels.get(depth));
            let kind = kind.map(|level| level.kind);
            let Some(outer) = around.last_mut() else {
                self.roots = standing.known;
                return;
            };
            if kind == Some(Kind::Array) {
                // That is part of what is known of the array.
                outer.known.elements = standing.known.itself;
                standings = around;
                continue;
            }
            let place = outer.known.itself.place.filter(|_| standing.offset == self.offset);
            let entry =
                place.and_then(|place| self.told_members.entry(place, chunk, standing.name));
            if let Some(entry) = entry {
                *entry = standing.known;
            }
            return;
        }
    }

    /// The chunk goes, and with it the names of the containers that it began.
    pub(super) fn leave_chunk(&mut self, chunk: &[u8], edits: &mut E) {
        self.gap.next_chunk();
        if self.standings.len() < self.levels.len() {
            self.innermost_place(chunk, edits);
        }
    }

    /// Where the innermost container stands; that of the root, outside of all.
    #[cold]
    fn innermost_place(&mut self, chunk: &[u8], edits: &mut E) -> Place {
        while let Some((name, mut known)) = self.next_standing(chunk) {
            if known.itself.place.is_some() {
                self.stand(known, name);
                continue;
            }
            let above = self.standings.last().and_then(|around| around.known.itself.place);
            let kind = self.standings.len().checked_sub(1).and_then(|at| self.levels.get(at));
            known.itself.place = Some(match (above, kind.map(|level| level.kind)) {
                (Some(array), Some(Kind::Array)) => edits.place(array, Step::Element),
                (Some(object), Some(Kind::Object)) => {
                    let name = name.range().and_then(|(from, to)| chunk.get(from..to));
                    edits.place(object, Step::Member(name.unwrap_or_default()))
                }
                (None, _) | (_, None) => edits.root_place(),
            });
            self.stand(known, name);
            self.note(chunk);
        }
        let innermost = self.standings.last().and_then(|standing| standing.known.itself.place);
        innermost.unwrap_or_else(|| edits.root_place())
    }

    /// Where the value stands that begins, and whose name, if it has one, has been decided.
    #[cold]
    pub(super) fn value_place(&mut self, chunk: &[u8], edits: &mut E) -> Place {
        let Some(kind) = self.levels.last().map(|level| level.kind) else {
            return edits.root_place();
        };
        let around = self.innermost_place(chunk, edits);
        match kind {
            Kind::Array => edits.place(around, Step::Element),
            Kind::Object => edits.place(around, Step::Member(self.gap.name(chunk))),
        }
    }
}

impl InChunk {
    /// From where to where; none if it is empty.
    fn range(self) -> Option<(usize, usize)> {
        let (from, to) = (usize::try_from(self.from).ok()?, usize::try_from(self.to).ok()?);
        (from < to).then_some((from, to))
    }
}
