//! Where unclassified data was withheld, in names of the policies.
//!
//! A trail is followed only where somebody has to be told: the containers on the way are numbered then, each
//! once for all containers at the same place, such as the elements of an array. A name in the document can be
//! data of a person, so no name is kept that no path of the policies [spells](Spelled).

use std::{borrow::Cow, collections::HashMap, num::NonZeroU32};

use crate::{
    json::{Place, Step},
    path::Kind,
    policy::{NameId, Spelled},
    transform::Scalar,
};

/// Most places on the way that one response has, with those that nothing was withheld at.
const PLACES_MAX: usize = 1024;
/// Longest path that is written: of a longer one, the last steps.
const PATH_BYTES_MAX: usize = 512;
/// A place that there is no room for, nor for what is below.
const FULL: Place = Place(NonZeroU32::MAX);
/// The root of the body, and of each document of a stream.
const ROOT: Place = Place(NonZeroU32::MIN);
/// What stands for an event whose name is not listed.
const EVENT: &str = "event";

/// Where unclassified data of one response was withheld.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The container as a path, and behind it `.*` for its members or `[*]` for its elements; each once, in order.
    /// `$` is the root, and `event` an event of a stream whose name is not listed. A name is written only if a
    /// path of the policies spells it, and it does not leave as a pseudonym; `.*` stands for any other. At most 512
    /// bytes each: of a longer one `$..` and its last steps.
    pub paths: Vec<String>,
    /// Whether there were more than there is room for.
    pub left_out: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The first is the root; places are numbered from 1 on. Empty as long as nobody has asked.
    nodes: Vec<Node>,
    members: HashMap<(Place, NameId), Place>,
    noted: Vec<Noted>,
    event: bool,
    left_out: bool,
}

/// A place on the way.
#[derive(Debug)]
struct Node {
    above: Place,
    by: By,
    elements: Option<Place>,
    /// Members of whatever name, as far as no path spells it.
    others: Option<Place>,
    /// The member that was last stepped to by its name: mostly the next is the same.
    last: Option<(NameId, Place)>,
    notes_members: bool,
    notes_elements: bool,
}

/// How a place is reached from the one above.
#[derive(Clone, Copy, Debug)]
enum By {
    Nothing,
    Name(NameId),
    Other,
    Element,
}

/// What is withheld.
#[derive(Clone, Copy, Debug)]
enum Noted {
    Root,
    In(Place, Kind),
}

impl Trail {
    /// The place of a child.
    pub(crate) fn step(&mut self, above: Place, step: Step<'_>, spelled: &Spelled) -> Place {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(ROOT, By::Nothing));
        }
        let Some(node) = self.node(above) else { return FULL };
        match step {
            Step::Element => match node.elements {
                Some(known) => known,
                None => self.add(above, By::Element),
            },
            Step::Member(quoted) => {
                if let Some((name, known)) = node.last
                    && quoted.get(1..quoted.len().saturating_sub(1))
                        == Some(spelled.name(name).as_bytes())
                {
                    return known;
                }
                let others = node.others;
                match (find(quoted, spelled), others) {
                    (None, Some(known)) => known,
                    (None, None) => self.add(above, By::Other),
                    (Some(name), _) => {
                        let known = self.members.get(&(above, name)).copied();
                        let place = known.unwrap_or_else(|| self.add(above, By::Name(name)));
                        if let Some(node) = self.node(above) {
                            node.last = Some((name, place));
                        }
                        place
                    }
                }
            }
        }
    }

    fn node(&mut self, place: Place) -> Option<&mut Node> {
        self.nodes.get_mut(index(place)?)
    }

    fn add(&mut self, above: Place, by: By) -> Place {
        if self.nodes.len() >= PLACES_MAX {
            return FULL;
        }
        self.nodes.push(Node::new(above, by));
        let number = u32::try_from(self.nodes.len()).ok().and_then(NonZeroU32::new);
        let place = number.map_or(FULL, Place);
        if let By::Name(name) = by {
            self.members.insert((above, name), place);
        } else if let Some(node) = self.node(above) {
            match by {
                By::Element => node.elements = Some(place),
                By::Other => node.others = Some(place),
                By::Nothing | By::Name(_) => {}
            }
        }
        place
    }

    /// Something was withheld in the container at this place.
    pub(crate) fn note(&mut self, place: Place, kind: Kind) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(ROOT, By::Nothing));
        }
        let Some(node) = self.node(place) else {
            self.left_out = true;
            return;
        };
        if !std::mem::replace(node.notes(kind), true) {
            self.noted.push(Noted::In(place, kind));
        }
    }

    /// The root of a document was withheld, which stands at this place.
    pub(crate) fn note_root(&mut self, place: Place) {
        match self.node(place).map(|node| (node.above, node.by)) {
            Some((above, By::Element)) => self.note(above, Kind::Array),
            Some((above, By::Name(_) | By::Other)) => self.note(above, Kind::Object),
            Some((_, By::Nothing)) | None if place == ROOT => {
                if !self.noted.iter().any(|noted| matches!(noted, Noted::Root)) {
                    self.noted.push(Noted::Root);
                }
            }
            Some((_, By::Nothing)) | None => self.left_out = true,
        }
    }

    /// An event of a stream was withheld.
    pub(crate) fn note_event(&mut self) {
        self.event = true;
    }

    /// How many there are.
    pub(crate) fn noted(&self) -> usize {
        self.noted.len()
    }

    /// Forgets those that came after so many.
    pub(crate) fn forget_from(&mut self, noted: usize) {
        for noted in self.noted.split_off(noted.min(self.noted.len())) {
            if let Noted::In(place, kind) = noted
                && let Some(node) = self.node(place)
            {
                *node.notes(kind) = false;
            }
        }
    }

    /// The places as paths.
    pub(crate) fn places(&self, spelled: &Spelled) -> Places {
        let event = self.event.then(|| EVENT.to_owned());
        let noted = self.noted.iter().map(|noted| match noted {
            Noted::Root => "$".to_owned(),
            Noted::In(place, kind) => self.path(*place, *kind, spelled),
        });
        let mut paths: Vec<String> = event.into_iter().chain(noted).collect();
        paths.sort_unstable();
        // Two that are too long can have the same end.
        paths.dedup();
        Places { paths, left_out: self.left_out }
    }

    fn path(&self, place: Place, kind: Kind, spelled: &Spelled) -> String {
        let last = match kind {
            Kind::Object => By::Other,
            Kind::Array => By::Element,
        };
        let mut steps = vec![last.written(spelled)];
        let mut bytes = steps.iter().map(|step| step.len()).sum::<usize>() + "$..".len();
        let mut at = place;
        while let Some(node) = index(at).and_then(|at| self.nodes.get(at))
            && !matches!(node.by, By::Nothing)
        {
            let step = node.by.written(spelled);
            bytes += step.len();
            if bytes > PATH_BYTES_MAX {
                // As a path: whatever leads there.
                let dots =
                    if steps.last().is_some_and(|step| step.starts_with('.')) { "." } else { ".." };
                steps.push(dots.into());
                break;
            }
            steps.push(step);
            at = node.above;
        }
        steps.into_iter().rev().fold("$".to_owned(), |path, step| path + &step)
    }
}

/// Where a place stands among the nodes.
fn index(place: Place) -> Option<usize> {
    usize::try_from(place.0.get() - 1).ok()
}

impl Node {
    fn new(above: Place, by: By) -> Self {
        Self {
            above,
            by,
            elements: None,
            others: None,
            last: None,
            notes_members: false,
            notes_elements: false,
        }
    }

    fn notes(&mut self, kind: Kind) -> &mut bool {
        match kind {
            Kind::Object => &mut self.notes_members,
            Kind::Array => &mut self.notes_elements,
        }
    }
}

impl By {
    fn written(self, spelled: &Spelled) -> Cow<'static, str> {
        match self {
            Self::Nothing => "".into(),
            Self::Name(name) => spelled.step(name).into(),
            Self::Other => ".*".into(),
            Self::Element => "[*]".into(),
        }
    }
}

/// The name of a member, if a path of the policies spells it.
fn find(quoted: &[u8], spelled: &Spelled) -> Option<NameId> {
    match Scalar::read(quoted)? {
        Scalar::String(name) => spelled.find(&name),
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
    }
}
