//! The two sides of a rewriter: who decides, and where the bytes go.

use std::{fmt, num::NonZeroU32, ops::Range};

use crate::path::{Kind, State};

/// Decides what happens to the nodes of a document, in the order in which they stand there.
///
/// The rewriter asks once for every node that it reaches, and for no node inside of one that was
/// passed whole, dropped or nulled. Of members that are like those of the object before it may know
/// the answer: see [`Edits::always`].
pub trait Edits {
    /// What a container hands down to its children.
    type Scope: Copy + PartialEq;
    /// How a captured scalar or name is to be treated.
    type Capture: Copy;

    /// What the root of the document is under.
    fn root(&self) -> Self::Scope;

    /// Decides an object or array.
    fn container(
        &mut self,
        under: Self::Scope,
        state: State,
        kind: Kind,
    ) -> OnContainer<Self::Scope>;

    /// Decides a string, number, boolean or `null`.
    fn scalar(&mut self, under: Self::Scope, state: State) -> OnScalar<Self::Capture>;

    /// Decides a member's name that no path spells at this place; `object` and `member` are the
    /// states of the object and of the member's value. Not asked for names that are spelled: they
    /// stay.
    fn name(&mut self, under: Self::Scope, object: State, member: State) -> OnName<Self::Capture>;

    /// A name that was to be kept or captured is longer than [`Limits::name_bytes_max`]: its member
    /// is removed.
    ///
    /// [`Limits::name_bytes_max`]: crate::json::Limits::name_bytes_max
    fn name_is_too_long(&mut self, under: Self::Scope, object: State, member: State);

    /// Nobody can say what a node is that `waiting` would settle to, or it was too large to wait:
    /// it is removed.
    fn unsettled(&mut self, under: Self::Scope, waiting: State);

    /// Writes what stands in the place of a captured scalar: one complete JSON value. `raw` are its
    /// bytes as they came; none if they are more than [`Limits::value_bytes_max`].
    ///
    /// [`Limits::value_bytes_max`]: crate::json::Limits::value_bytes_max
    fn write_scalar(&mut self, capture: Self::Capture, raw: Option<&[u8]>, out: &mut Vec<u8>);

    /// Writes what stands in the place of a captured name, quotes included. `name` is unescaped;
    /// none if it is no Unicode text. Where `false` is returned, the member is removed.
    fn write_name(&mut self, capture: Self::Capture, name: Option<&str>, out: &mut Vec<u8>)
    -> bool;

    /// So many scalars have passed without being asked for, each by itself: those of a container
    /// that was passed whole and has ended, and those that [always](Edits::always) pass.
    fn passed(&mut self, scalars: u64);

    /// Whether it has to be told where the node stands that was just removed, through
    /// [`Edits::removed_in`]. It is asked after a node or a name that is removed, and after a
    /// captured scalar; to ask takes the answer back.
    fn asks_where(&mut self) -> bool {
        false
    }

    /// What was just removed stands directly in this container, or is the root of the document.
    /// Told once for each container that was entered, however much of it is removed.
    fn removed_in(&mut self, _container: Option<(Place, Kind)>) {}

    /// The place of the root of the document.
    fn root_place(&self) -> Place {
        Place::default()
    }

    /// The place of a child of the container at `above`. It is asked for where a child has to be
    /// told of, and for the containers that a chunk ends in.
    fn place(&mut self, _above: Place, _step: Step<'_>) -> Place {
        Place::default()
    }

    /// Whether it has to know where such a scalar stands before it [writes](Edits::write_scalar)
    /// what leaves.
    fn asks_where_captured(&self, _capture: Self::Capture) -> bool {
        false
    }

    /// Where the scalar stands that is being captured.
    fn captured_at(&mut self, _place: Place) {}

    /// Whether a node leaves as it is: a scalar, or a container of a kind. Of a scalar `Inside`
    /// says that it does unless it is a string. Nothing is counted for it. It is asked about what a
    /// filter measures or compares, before that is decided.
    fn keeps(&self, _under: Self::Scope, _state: State, _kind: Option<Kind>) -> Keeps<Self::Scope> {
        Keeps::Nothing
    }

    /// What would become of a member's name that no path spells, likewise.
    fn keeps_name(&self, _under: Self::Scope, _object: State, _member: State) -> OnName<()> {
        OnName::Drop
    }

    /// What always happens to nodes in this state, scalars or containers of this kind, if that is
    /// known. It is taken in place of an answer of [`scalar`](Edits::scalar) or
    /// [`container`](Edits::container), which then is not asked for: nothing may depend on its
    /// being asked but what [`passed`](Edits::passed) says. `unspelled` is the state of the object
    /// that it is a member of, if no path spells its name there: then the answer stands for that of
    /// [`name`](Edits::name), too.
    fn always(
        &self,
        _under: Self::Scope,
        _state: State,
        _kind: Option<Kind>,
        _unspelled: Option<State>,
    ) -> Option<Always> {
        None
    }
}

/// Whether a node leaves as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps<Scope> {
    /// It is removed or changed, or may be.
    Nothing,
    /// It leaves as it is, with all that is in it.
    Whole,
    /// Its brackets leave, its children are decided one by one.
    Inside(Scope),
}

/// Where a container stands, in numbers of whoever decides: see [`Edits::place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(pub NonZeroU32);

impl Default for Place {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

/// A step from a container to a child.
#[derive(Clone, Copy)]
pub enum Step<'n> {
    /// To the member of this name, which is as it stands in the document, with its quotes.
    Member(&'n [u8]),
    /// To an element of an array.
    Element,
}

/// A name can be data of a person, and is not shown.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member(_) => "Member",
            Self::Element => "Element",
        })
    }
}

/// What always happens to a node, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Always {
    /// It leaves as it is.
    Pass,
    /// `null` stands in its place.
    Null,
    /// It is removed.
    Drop,
    /// It is removed, and [where](Edits::asks_where) has to be told, as of all that is removed so.
    Withhold,
}

/// What happens to an object or array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnContainer<Scope> {
    /// It leaves as it is, without a look inside.
    Pass,
    /// Its brackets leave, its children are decided one by one.
    Enter(Scope),
    /// `null` stands in its place.
    Null,
    /// It is removed: a member with its name, an element so that the others close up.
    Drop,
}

/// What happens to a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnScalar<Capture> {
    /// It leaves as it is.
    Pass,
    /// It is held until it is complete, and [`Edits::write_scalar`] writes what leaves.
    Capture(Capture),
    /// `null` stands in its place.
    Null,
    /// It is removed.
    Drop,
}

/// What happens to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnName<Capture> {
    /// It leaves if the member's value does.
    Keep,
    /// [`Edits::write_name`] writes what leaves.
    Capture(Capture),
    /// The member is removed.
    Drop,
}

/// Where decided bytes go.
pub trait Sink {
    /// These bytes of the chunk that is being pushed leave as they are.
    fn pass(&mut self, range: Range<usize>);
    /// These bytes, which are not in the chunk, leave.
    fn put(&mut self, bytes: &[u8]);
}

/// A sink that copies everything into one buffer.
#[derive(Debug)]
pub struct Copied<'a> {
    /// The chunk that is being pushed.
    pub chunk: &'a [u8],
    /// What has left so far.
    pub out: &'a mut Vec<u8>,
}

impl Sink for Copied<'_> {
    fn pass(&mut self, range: Range<usize>) {
        // The rewriter passes ranges of the chunk that it was given; of another, nothing leaves.
        self.out.extend_from_slice(self.chunk.get(range).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}
