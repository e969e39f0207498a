//! What has been told of the places where something was removed: each is told of once.
//!
//! The elements of an array all stand at one place, and so do members of one name in objects that stand at one
//! place. What is known of one container is taken for the next, before anybody is asked.

use crate::{json::edits::Place, path::Kind};

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

    /// It was told of a container of this kind, which stands there.
    pub(super) fn tell(&mut self, kind: Kind, place: Place) {
        let [object, array] = &mut self.told;
        match kind {
            Kind::Object => *object = true,
            Kind::Array => *array = true,
        }
        self.place = Some(place);
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
    let mixed = (name ^ (name >> 64)) as u64 ^ u64::from(object.0);
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as usize % MEMBERS_MAX
}
