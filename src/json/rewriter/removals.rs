//! Reports where something was removed, each place once.
//!
//! The elements of an array all stand at one place, and so do members of one name in objects that
//! stand at one place. What is known of one container is taken for the next, before anybody is
//! asked.

use crate::{
    json::{
        edits::{Edits, Place, Step},
        rewriter::{
            gap::Gap,
            stack::{Level, NameRange},
        },
    },
    path::Kind,
};

/// How many members are remembered, a power of two: few objects withhold members at more places
/// than that.
const MEMBERS_MAX: usize = 16;

/// The bytes of a short name, with its quotes.
type ShortName = u128;

/// What is known of the containers at one place.
#[derive(Clone, Copy, Debug, Default)]
struct PlaceRecord {
    /// The place; none before it has been asked for.
    place: Option<Place>,
    /// Whether it was reported that something was removed in an object there, and in an array.
    reported: [bool; 2],
}

impl PlaceRecord {
    /// What is known if nothing was reported: where they stand.
    fn at(place: Place) -> Self {
        Self { place: Some(place), ..Self::default() }
    }

    /// Whether it was reported that something was removed in a container of this kind.
    #[inline]
    fn is_reported(self, kind: Kind) -> bool {
        let [object, array] = self.reported;
        match kind {
            Kind::Object => object,
            Kind::Array => array,
        }
    }

    /// Something was removed in a container of this kind, and that was reported.
    fn note_report(&mut self, kind: Kind) {
        let [object, array] = &mut self.reported;
        match kind {
            Kind::Object => *object = true,
            Kind::Array => *array = true,
        }
    }
}

/// What is known of the containers that are members of one name, and of those that are their
/// elements.
#[derive(Clone, Copy, Debug, Default)]
struct MemberRecord {
    itself: PlaceRecord,
    elements: PlaceRecord,
}

impl From<PlaceRecord> for MemberRecord {
    fn from(itself: PlaceRecord) -> Self {
        Self { itself, elements: PlaceRecord::default() }
    }
}

/// The containers that are members and were reported last, by the place of the object and by their
/// name.
#[derive(Clone, Copy, Debug, Default)]
struct MemberRecords([Option<(Place, ShortName, MemberRecord)>; MEMBERS_MAX]);

impl MemberRecords {
    /// What is known of a member whose name stands there, with its quotes.
    #[inline]
    fn find(&self, object: Place, chunk: &[u8], name: NameRange) -> MemberRecord {
        let Some(name) = short(chunk, name) else { return MemberRecord::default() };
        match self.0.get(index(object, name)) {
            Some(Some((known_in, known_as, known))) if (*known_in, *known_as) == (object, name) => {
                *known
            }
            Some(_) | None => MemberRecord::default(),
        }
    }

    /// What is known of it, to be noted; none if its name is long.
    fn entry(&mut self, object: Place, chunk: &[u8], name: NameRange) -> Option<&mut MemberRecord> {
        let name = short(chunk, name)?;
        let entry = self.0.get_mut(index(object, name))?;
        if !matches!(entry, Some((known_in, known_as, _)) if (*known_in, *known_as) == (object, name))
        {
            *entry = Some((object, name, MemberRecord::default()));
        }
        entry.as_mut().map(|(.., known)| known)
    }
}

/// A name of at most 16 bytes; none of one that is longer, or that stands at the end of the chunk.
#[inline]
fn short(chunk: &[u8], name: NameRange) -> Option<ShortName> {
    let (from, to) = name.range()?;
    let unused = size_of::<ShortName>().checked_sub(to.checked_sub(from)?)?;
    let bytes = ShortName::from_le_bytes(*chunk.get(from..)?.first_chunk()?);
    Some(bytes & ShortName::MAX.checked_shr(8 * u32::try_from(unused).ok()?)?)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
fn index(object: Place, name: ShortName) -> usize {
    // Fibonacci hashing: the factor is 2^64 divided by the golden ratio, which spreads names that
    // differ in one byte. A collision overwrites the older entry, and then that place is looked up
    // and reported again.
    let mixed = (name ^ (name >> 64)) as u64 ^ u64::from(object.0.get());
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as usize % MEMBERS_MAX
}

/// A container whose place was looked up.
#[derive(Clone, Copy, Debug)]
struct LocatedContainer {
    /// Always with its place.
    known: MemberRecord,
    /// Where its name stands in the chunk before which so many bytes came.
    name: NameRange,
    offset: u64,
}

/// What was reported in the documents of a response, and the containers around the next token that
/// were looked up.
#[derive(Default)]
pub(super) struct Removals {
    /// What is known of the containers around the next token, of the outermost ones: a container is
    /// looked up when something is reported in it, or when the chunk goes that has its name.
    found: Vec<LocatedContainer>,
    /// What is known of the root of the document, from those before it.
    roots: MemberRecord,
    members: MemberRecords,
    /// How many containers are around the last report, and one more; 0 if one of them has ended
    /// since.
    reported_at: usize,
    /// Bytes of the document before the current chunk: it tells chunks apart.
    offset: u64,
}

impl Removals {
    /// What is known for the next document.
    pub(super) fn restart(self) -> Self {
        Self { roots: self.roots, members: self.members, ..Self::default() }
    }

    /// What comes next is a chunk before which so many bytes of the document came.
    #[inline]
    pub(super) fn begin_chunk(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Where in the chunk the name stands of the container that begins, if it is a member. If its
    /// name is not in the chunk, its place is found out now.
    #[inline]
    pub(super) fn name_of_container<E: Edits>(
        &mut self,
        levels: &[Level<E::Scope>],
        chunk: &[u8],
        gap: &Gap,
        edits: &mut E,
    ) -> NameRange {
        match gap.name_in_chunk().and_then(NameRange::new) {
            Some(name) => name,
            None if gap.name(chunk).is_empty() => NameRange::default(),
            None => {
                let place = self.value_place(levels, chunk, gap, edits);
                self.push(PlaceRecord::at(place).into(), NameRange::default());
                NameRange::default()
            }
        }
    }

    /// Reports that something was removed in the innermost container, if that is asked.
    #[inline]
    pub(super) fn report<E: Edits>(
        &mut self,
        levels: &[Level<E::Scope>],
        chunk: &[u8],
        edits: &mut E,
    ) {
        if edits.asks_where() && self.reported_at <= levels.len() {
            self.report_once(levels, chunk, edits);
        }
    }

    #[inline(never)]
    fn report_once<E: Edits>(&mut self, levels: &[Level<E::Scope>], chunk: &[u8], edits: &mut E) {
        if !(self.is_known_reported(levels) || self.recall(levels, chunk)) {
            self.report_first(levels, chunk, edits);
        }
        self.reported_at = levels.len() + 1;
    }

    /// Whether it was reported that something was removed in the innermost container, or in one of
    /// its kind at its place.
    #[inline(never)]
    pub(super) fn is_reported<Scope: Copy>(
        &mut self,
        levels: &[Level<Scope>],
        chunk: &[u8],
    ) -> bool {
        self.is_known_reported(levels) || self.recall(levels, chunk)
    }

    /// The same, as far as that is known without a look at its place.
    #[inline]
    pub(super) fn is_known_reported<Scope: Copy>(&self, levels: &[Level<Scope>]) -> bool {
        self.found.len() == levels.len()
            && matches!(
                (self.found.last(), levels.last()),
                (Some(found), Some(level)) if found.known.itself.is_reported(level.kind())
            )
    }

    /// A container has ended: so many are around what comes.
    #[inline]
    pub(super) fn close(&mut self, depth: usize) {
        self.found.truncate(depth);
        self.reported_at = 0;
    }

    #[inline]
    fn push(&mut self, known: MemberRecord, name: NameRange) {
        self.found.push(LocatedContainer { known, name, offset: self.offset });
    }

    /// What comes next in `found`: the container that is so many levels deep, its name, and what is
    /// known of it from what stood at its place before.
    #[inline]
    fn next_found<Scope: Copy>(
        &self,
        levels: &[Level<Scope>],
        chunk: &[u8],
    ) -> Option<(NameRange, MemberRecord)> {
        let depth = self.found.len();
        let name = levels.get(depth)?.name();
        let Some(around) = self.found.last() else { return Some((name, self.roots)) };
        let known = match levels.get(depth - 1)?.kind() {
            Kind::Array => around.known.elements.into(),
            Kind::Object => {
                let find = |place| self.members.find(place, chunk, name);
                around.known.itself.place.map(find).unwrap_or_default()
            }
        };
        Some((name, known))
    }

    /// Takes what is known of the places of the containers around from what stood there before.
    /// Gives whether a removal in the innermost was reported.
    #[expect(clippy::inline_always, reason = "it is asked of every container that loses something")]
    #[inline(always)]
    fn recall<Scope: Copy>(&mut self, levels: &[Level<Scope>], chunk: &[u8]) -> bool {
        while self.found.len() < levels.len()
            && let Some((name, known)) = self.next_found(levels, chunk)
            && known.itself.place.is_some()
        {
            self.push(known, name);
        }
        self.is_known_reported(levels)
    }

    #[cold]
    fn report_first<E: Edits>(&mut self, levels: &[Level<E::Scope>], chunk: &[u8], edits: &mut E) {
        let place = self.innermost_place(levels, chunk, edits);
        let (Some(level), Some(found)) = (levels.last(), self.found.last_mut()) else {
            edits.removed_in(None);
            return;
        };
        edits.removed_in(Some((place, level.kind())));
        found.known.itself.note_report(level.kind());
        self.note(levels, chunk);
    }

    /// Notes what is known of the last container in `found`, for those that will stand at its
    /// place.
    fn note<Scope: Copy>(&mut self, levels: &[Level<Scope>], chunk: &[u8]) {
        let mut all = self.found.as_mut_slice();
        while let Some((found, around)) = all.split_last_mut() {
            let kind = around.len().checked_sub(1).and_then(|depth| levels.get(depth));
            let kind = kind.map(Level::kind);
            let Some(outer) = around.last_mut() else {
                self.roots = found.known;
                return;
            };
            if kind == Some(Kind::Array) {
                // That is part of what is known of the array.
                outer.known.elements = found.known.itself;
                all = around;
                continue;
            }
            // Only the name of a container that began in this chunk can be read in it.
            let place = outer.known.itself.place.filter(|_| found.offset == self.offset);
            let entry = place.and_then(|place| self.members.entry(place, chunk, found.name));
            if let Some(entry) = entry {
                *entry = found.known;
            }
            return;
        }
    }

    /// The chunk goes, and with it the names of the containers that it began.
    pub(super) fn leave_chunk<E: Edits>(
        &mut self,
        levels: &[Level<E::Scope>],
        chunk: &[u8],
        edits: &mut E,
    ) {
        if self.found.len() < levels.len() {
            self.innermost_place(levels, chunk, edits);
        }
    }

    /// Where the innermost container stands; that of the root, outside of all.
    #[cold]
    fn innermost_place<E: Edits>(
        &mut self,
        levels: &[Level<E::Scope>],
        chunk: &[u8],
        edits: &mut E,
    ) -> Place {
        while let Some((name, mut known)) = self.next_found(levels, chunk) {
            if known.itself.place.is_some() {
                self.push(known, name);
                continue;
            }
            let above = self.found.last().and_then(|around| around.known.itself.place);
            let kind = self.found.len().checked_sub(1).and_then(|at| levels.get(at));
            known.itself.place = Some(match (above, kind.map(Level::kind)) {
                (Some(array), Some(Kind::Array)) => edits.place(array, Step::Element),
                (Some(object), Some(Kind::Object)) => {
                    let name = name.range().and_then(|(from, to)| chunk.get(from..to));
                    edits.place(object, Step::Member(name.unwrap_or_default()))
                }
                (None, _) | (_, None) => edits.root_place(),
            });
            self.push(known, name);
            self.note(levels, chunk);
        }
        let innermost = self.found.last().and_then(|found| found.known.itself.place);
        innermost.unwrap_or_else(|| edits.root_place())
    }

    /// Where the value stands that begins, and whose name, if it has one, is in the gap and has
    /// been decided.
    #[cold]
    pub(super) fn value_place<E: Edits>(
        &mut self,
        levels: &[Level<E::Scope>],
        chunk: &[u8],
        gap: &Gap,
        edits: &mut E,
    ) -> Place {
        let Some(kind) = levels.last().map(Level::kind) else {
            return edits.root_place();
        };
        let around = self.innermost_place(levels, chunk, edits);
        match kind {
            Kind::Array => edits.place(around, Step::Element),
            Kind::Object => edits.place(around, Step::Member(gap.name(chunk))),
        }
    }
}
