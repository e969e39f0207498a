//! What has been told of the places where something was removed: each is told of once.
//!
//! The elements of an array all stand at one place, and so do members of one name in objects that stand at one
//! place. What is known of one container is taken for the next, before anybody is asked.

use crate::{
    json::{
        edits::{Edits, Place, Step},
        rewriter::{Level, Rewriter},
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
    pub(super) fn find(&self, object: Place, chunk: &[u8], name: (usize, usize)) -> Member {
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
        name: (usize, usize),
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
fn short(chunk: &[u8], (from, to): (usize, usize)) -> Option<Name> {
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

impl<E: Edits> Rewriter<E> {
    /// Says where something was removed, if that is asked.
    #[inline]
    pub(super) fn tell_where(&mut self, chunk: &[u8], edits: &mut E) {
        if edits.asks_where() && !self.is_told(chunk) {
            self.tell(chunk, edits);
        }
    }

    /// Whether it was told that something was removed in the innermost container, or in one of its kind at its place.
    #[inline]
    pub(super) fn is_told(&mut self, chunk: &[u8]) -> bool {
        self.levels.last().is_some_and(Level::is_told) || self.recall(chunk)
    }

    /// Takes what is known of the places of the containers around from what stood there before. Gives whether the
    /// innermost was told of.
    #[cold]
    #[inline(never)]
    fn recall(&mut self, chunk: &[u8]) -> bool {
        let known = known(&self.levels);
        let (known, unknown) = self.levels.split_at_mut(known);
        let mut around = known.last().map(|level| (level.kind, level.known));
        for level in unknown {
            level.known = match around {
                None => self.roots,
                Some((Kind::Array, array)) => array.elements.into(),
                Some((Kind::Object, object)) => {
                    let find = |object| self.told_members.find(object, chunk, level.name);
                    object.itself.place.map(find).unwrap_or_default()
                }
            };
            around = Some((level.kind, level.known));
        }
        self.levels.last().is_some_and(Level::is_told)
    }

    #[cold]
    fn tell(&mut self, chunk: &[u8], edits: &mut E) {
        let place = self.innermost_place(chunk, edits);
        let Some(level) = self.levels.last_mut() else {
            edits.removed_in(None);
            return;
        };
        edits.removed_in(Some((place, level.kind)));
        level.known.itself.tell(level.kind);
        self.note(self.levels.len(), chunk);
    }

    /// Notes what is known of the container that is so many levels deep, for those that will stand at its place.
    fn note(&mut self, depth: usize, chunk: &[u8]) {
        let mut around = self.levels.get_mut(..depth).unwrap_or_default();
        while let Some((level, outer)) = around.split_last_mut() {
            match outer.last_mut() {
                None => self.roots = level.known,
                // That is part of what is known of the array.
                Some(array) if array.kind == Kind::Array => {
                    array.known.elements = level.known.itself;
                    around = outer;
                    continue;
                }
                Some(object) => {
                    let place = object.place().filter(|_| outer.len() >= self.older);
                    let entry =
                        place.and_then(|place| self.told_members.entry(place, chunk, level.name));
                    if let Some(entry) = entry {
                        *entry = level.known;
                    }
                }
            }
            return;
        }
    }

    /// The chunk goes, and with it the names of the containers that it began.
    pub(super) fn leave_chunk(&mut self, chunk: &[u8], edits: &mut E) {
        self.gap.next_chunk();
        if self.levels.last().is_some_and(|level| level.place().is_none()) {
            self.innermost_place(chunk, edits);
        }
        self.older = self.levels.len();
    }

    /// Where the innermost container stands; that of the root, outside of all.
    #[cold]
    fn innermost_place(&mut self, chunk: &[u8], edits: &mut E) -> Place {
        self.recall(chunk);
        for depth in known(&self.levels)..self.levels.len() {
            let (around, rest) = self.levels.split_at_mut(depth);
            let Some(level) = rest.first_mut() else { break };
            let around = around.last().map(|level| (level.kind, level.place().unwrap_or_default()));
            level.known.itself.place = Some(match around {
                None => edits.root_place(),
                Some((Kind::Array, array)) => edits.place(array, Step::Element),
                Some((Kind::Object, object)) => {
                    let name = chunk.get(level.name.0..level.name.1).unwrap_or_default();
                    edits.place(object, Step::Member(name))
                }
            });
            self.note(depth + 1, chunk);
        }
        self.levels.last().and_then(Level::place).unwrap_or_else(|| edits.root_place())
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

/// How many of the containers around have a known place: no other has one around one of them.
fn known<Scope>(levels: &[Level<Scope>]) -> usize {
    let unknown = levels.iter().rev().take_while(|level| level.place().is_none());
    levels.len() - unknown.count()
}
