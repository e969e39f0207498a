//! Members like those of the object before: the records of an array mostly have the same names in the same
//! order.
//!
//! What was found out of a member is remembered by where it stood, and taken again where its name stands
//! once more: that costs one comparison. It is a guess at what comes, never at what it means: where the
//! bytes of the name, the state of the object or its scope differ, the member is looked up like any other.

use crate::{
    json::{
        edits::{Always, Edits, Sink},
        rewriter::{
            primitive, subtree,
            walker::{Expect, Level, Rewriter},
            window::{Row, Window, first_kind},
        },
    },
    path::{Kind, Member, State},
};

/// How many members are remembered, a power of two.
const MEMBERS_MAX: usize = 128;
/// How many states with scopes objects may have so that their members are remembered.
const AROUND_MAX: u16 = 32;
/// What is none of them: no member is expected there.
const UNKNOWN: u16 = AROUND_MAX;
/// Longest name that is compared, with its closing quote.
const NAME_BYTES_MAX: usize = size_of::<Name>();
/// How many members in a row may be other than expected before that is not worth the trouble.
const TRUST_MAX: u32 = 64;

/// The first bytes of a name, its closing quote included.
type Name = u128;

/// Where an object stands: alike for the elements of an array, different in different members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Its first member among those that are remembered.
    first: u16,
    /// Its state and scope among those that are remembered, or [`UNKNOWN`].
    around: u16,
}

impl Spot {
    /// What was remembered of the states around is gone.
    pub(super) fn forget(&mut self) {
        self.around = UNKNOWN;
    }
}

/// What is known of a member.
#[derive(Clone, Copy)]
struct Seen {
    name: Name,
    /// The bits of the bytes that the name has.
    mask: Name,
    around: u16,
    member: Member,
    /// What always happens to it: if it is a scalar, an object, an array. It is asked for when the member
    /// comes again: most of a short document come once.
    always: Option<[Option<Always>; 3]>,
}

/// The members that were seen last, by where they stood.
pub(super) struct Shapes<Scope> {
    members: Vec<Option<Seen>>,
    around: Vec<(State, Scope)>,
    /// How much it is worth to compare names, and to take members by what was known of them. Both grow with
    /// every member of which that was true, and shrink with every other.
    names: u32,
    rows: u32,
}

impl<Scope> Default for Shapes<Scope> {
    fn default() -> Self {
        Self { members: Vec::new(), around: Vec::new(), names: TRUST_MAX, rows: TRUST_MAX }
    }
}

impl<Scope: Copy + PartialEq> Shapes<Scope> {
    /// The spot of a container in this state and scope, in a child of `parent`.
    pub(super) fn spot(
        &mut self,
        parent: Option<&Level<Scope>>,
        kind: Kind,
        state: State,
        scope: Scope,
    ) -> Spot {
        let first = parent.map_or(0, |level| match level.kind {
            Kind::Array => level.spot.first,
            // Any other number will do, as long as few have the same.
            Kind::Object => place(level).wrapping_mul(37).wrapping_add(23),
        });
        if kind == Kind::Array || self.names == 0 {
            return Spot { first, around: UNKNOWN };
        }
        let known = (0..AROUND_MAX).zip(&self.around).find(|(_, known)| **known == (state, scope));
        let known = known.map(|(at, _)| at);
        let around = known.unwrap_or_else(|| self.remember(state, scope));
        Spot { first, around }
    }

    fn remember(&mut self, state: State, scope: Scope) -> u16 {
        let next = u16::try_from(self.around.len()).unwrap_or(UNKNOWN);
        if next < AROUND_MAX {
            self.around.push((state, scope));
        }
        next
    }

    /// The member that is expected at this place, if it is that: its name begins at `from`.
    #[inline]
    fn expected(&mut self, place: u16, spot: Spot, chunk: &[u8], from: usize) -> Option<&mut Seen> {
        let seen = self.members.get_mut(usize::from(place) % MEMBERS_MAX)?.as_mut()?;
        let name = Name::from_le_bytes(*chunk.get(from..)?.first_chunk()?);
        ((name ^ seen.name) & seen.mask == 0 && seen.around == spot.around).then_some(seen)
    }

    fn put(&mut self, place: u16, seen: Seen) {
        self.names = self.names.saturating_sub(1);
        self.members.resize(MEMBERS_MAX, None);
        if let Some(known) = self.members.get_mut(usize::from(place) % MEMBERS_MAX) {
            *known = Some(seen);
        }
    }

    /// Whatever has been, it may be other from now on.
    pub(super) fn hope(&mut self) {
        self.names = self.names.max(TRUST_MAX / 4);
        self.rows = self.rows.max(TRUST_MAX / 4);
    }
}

/// Where the next member of an object is remembered.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
fn place<Scope>(level: &Level<Scope>) -> u16 {
    level.spot.first.wrapping_add(level.index as u16)
}

impl<E: Edits> Rewriter<E> {
    /// What the member is whose name stands between the quotes at `from` and `to`; none if only reading it
    /// byte by byte can tell.
    #[inline]
    pub(super) fn named(&mut self, window: &Window<'_>, from: usize, to: usize) -> Option<Member> {
        let level = self.levels.last()?;
        let (place, spot, object) = (place(level), level.spot, level.state);
        if spot.around != UNKNOWN
            && let Some(seen) = self.shapes.expected(place, spot, window.chunk, from + 1)
        {
            let member = seen.member;
            self.shapes.names = (self.shapes.names + 1).min(TRUST_MAX);
            return Some(member);
        }
        let name = window.plain_name(from, to, self.limits.name_bytes_max)?;
        let member = self.program.member(object, name);
        if self.shapes.names > 0
            && spot.around != UNKNOWN
            && name.len() < NAME_BYTES_MAX
            && !member.state.is_pending()
            && let Some(bytes) = window.chunk.get(from + 1..).and_then(<[u8]>::first_chunk)
        {
            let seen = Seen {
                name: Name::from_le_bytes(*bytes),
                mask: Name::MAX >> (8 * (NAME_BYTES_MAX - 1 - name.len())),
                around: spot.around,
                member,
                always: None,
            };
            self.shapes.put(place, seen);
        }
        Some(member)
    }

    /// Takes members that are like those of the object before, of which is known what always happens to
    /// them, and which stand in the window with the comma behind them. Gives the next token that is not dealt
    /// with.
    pub(super) fn alike<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        first: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> usize {
        if self.shapes.rows == 0 {
            return first;
        }
        let (Some(level), Some((mut gap, mut comma))) = (self.levels.last(), self.gap.begun_here())
        else {
            return first;
        };
        if level.spot.around == UNKNOWN {
            return first;
        }
        let depth_max = self.limits.depth_max.saturating_sub(self.levels.len());
        let (spot, object, scope) = (level.spot, level.state, level.scope);
        let mut told = self.was_told();
        let mut kept = level.kept;
        let from_place = place(level);
        let mut place = from_place;
        let (mut next, mut passed) = (first, 0);
        loop {
            let tokens = window.events.kinds(next);
            let [from, _, _, value, last, behind] = window.at(next);
            if !Row::NAME.begins(tokens) {
                break;
            }
            let Some(seen) = self.shapes.expected(place, spot, window.chunk, from + 1) else {
                break;
            };
            let member = seen.member;
            let always = *seen.always.get_or_insert_with(|| {
                let unspelled = (!member.spelled).then_some(object);
                let kinds = [None, Some(Kind::Object), Some(Kind::Array)];
                kinds.map(|kind| edits.always(scope, member.state, kind, unspelled))
            });
            let [if_scalar, if_object, if_array] = always;
            let kind = first_kind(tokens >> (8 * Row::NAME.length()));
            let always = match kind {
                b'{' => if_object,
                b'[' => if_array,
                _ => if_scalar,
            };
            let Some(always) = always else {
                self.shapes.rows = self.shapes.rows.saturating_sub(4);
                break;
            };
            // Where it ends, the token behind it, and how many scalars it holds.
            let (end, comma_at, after, scalars) = match kind {
                b'"' if Row::TEXT_MEMBER.begins(tokens) => {
                    (last + 1, behind, next + Row::TEXT_MEMBER.length(), 1)
                }
                b'{' | b'[' => {
                    let from = next + Row::NAME.length();
                    let Some(subtree) = subtree::read(window, from, depth_max) else { break };
                    let [bracket, comma_at] = window.at(subtree.behind - 1);
                    if first_kind(window.events.kinds(subtree.behind)) != b',' {
                        break;
                    }
                    (bracket + 1, comma_at, subtree.behind + 1, subtree.scalars)
                }
                0 | b'"' | b'}' | b']' | b':' | b',' => break,
                _ => {
                    let b',' = first_kind(tokens >> (8 * (Row::NAME.length() + 1))) else { break };
                    let Some(end) = primitive::end(window.chunk, value) else { break };
                    (end, last, next + Row::NAME.length() + 2, 1)
                }
            };
            told = told || (always == Always::Withhold && self.is_told(window.chunk));
            // A gap that has to be changed is not for here.
            let stays = (kept || !comma) && value - gap <= self.limits.gap_bytes_max;
            match always {
                Always::Pass if stays => {
                    kept = true;
                    passed += scalars;
                }
                Always::Null if stays => {
                    kept = true;
                    self.flush(value, sink);
                    sink.put(b"null");
                    self.mark = end;
                }
                // The first that is withheld has to be told.
                Always::Drop | Always::Withhold if told || always == Always::Drop => {
                    self.flush(gap, sink);
                    self.mark = end;
                }
                Always::Pass | Always::Null | Always::Drop | Always::Withhold => break,
            }
            (gap, comma) = (comma_at, true);
            place = place.wrapping_add(1);
            next = after;
        }
        let taken = place.wrapping_sub(from_place);
        if taken > 0 {
            if passed > 0 {
                edits.passed(passed);
            }
            if let Some(level) = self.levels.last_mut() {
                level.index += u64::from(taken);
                level.kept = kept;
            }
            self.shapes.rows = (self.shapes.rows + 1).min(TRUST_MAX);
            self.open_gap(gap, comma);
            self.expect = Expect::Name;
        }
        next
    }
}
