//! Where the containers of a value begin and end, found in one pass over its bytes.
//!
//! A filter mostly asks about little of a value. With an outline it steps over every container that
//! it does not ask about, so that a question costs what it looks at, and no nesting makes a
//! question recurse.

use crate::json::filter::lookahead::ValueEnd;

/// A filter cannot be answered: two readers of the same bytes could see two things in them, or it
/// would cost more than it may. See [`evaluator`](super::evaluator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indeterminate;

/// The containers of a value, in the order in which they open.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    containers: Vec<Container>,
}

/// One container, by offsets from the first byte of the value that the outline is of.
#[derive(Clone, Copy, Debug)]
struct Container {
    /// Of its opening bracket.
    open: u32,
    /// Of the byte behind its closing bracket.
    end: u32,
    /// The place in the outline of the first container behind it.
    next: u32,
}

/// A value: where it begins and, if it is a container, its place in the outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    start: u32,
    /// Of a scalar [`SCALAR`]. There can be very many nodes, and an option would be half as large
    /// again.
    container: u32,
}

/// No container has this place: an outline is of fewer bytes.
const SCALAR: u32 = u32::MAX;

/// The bytes of a value, with the outline of what it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlined<'b> {
    text: &'b [u8],
    /// Offset of the first byte of `text`, as the outline counts.
    base: u32,
    outline: &'b Outline,
}

impl Outline {
    /// The outline of a value, which may nest `depth_max` containers. Indeterminate where it nests
    /// more, where its brackets do not match, or where it is larger than an outline can say.
    ///
    /// Nothing else of the grammar is looked at: a document is validated as it is walked.
    pub(crate) fn of(value: &[u8], depth_max: usize) -> Result<Self, Indeterminate> {
        if u32::try_from(value.len()).is_err() {
            return Err(Indeterminate);
        }
        let mut containers: Vec<Container> = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        let mut at = 0u32;
        let mut bytes = value.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => loop {
                    at += 1;
                    match bytes.next() {
                        Some(b'"') => break,
                        Some(b'\\') => {
                            bytes.next();
                            at += 1;
                        }
                        Some(_) => {}
                        None => return Err(Indeterminate),
                    }
                },
                b'{' | b'[' => {
                    if open.len() >= depth_max {
                        return Err(Indeterminate);
                    }
                    // No more containers than bytes.
                    open.push(u32::try_from(containers.len()).map_err(|_never| Indeterminate)?);
                    containers.push(Container { open: at, end: 0, next: 0 });
                }
                b'}' | b']' => {
                    let next = u32::try_from(containers.len()).map_err(|_never| Indeterminate)?;
                    let closed = open.pop().and_then(|index| containers.get_mut(index as usize));
                    let Some(closed) = closed else { return Err(Indeterminate) };
                    let opening = value.get(closed.open as usize);
                    if (opening == Some(&b'{')) != (*byte == b'}') {
                        return Err(Indeterminate);
                    }
                    (closed.end, closed.next) = (at + 1, next);
                }
                _ => {}
            }
            at += 1;
        }
        if open.is_empty() { Ok(Self { containers }) } else { Err(Indeterminate) }
    }

    /// Bytes that it has room for.
    pub(crate) fn held_bytes(&self) -> usize {
        self.containers.capacity() * size_of::<Container>()
    }

    fn container(&self, place: u32) -> Option<&Container> {
        self.containers.get(place as usize)
    }

    /// The place of the container that opens at an offset.
    fn opening_at(&self, offset: u32) -> Option<u32> {
        let found = self.containers.binary_search_by_key(&offset, |container| container.open);
        found.ok().and_then(|place| u32::try_from(place).ok())
    }

    /// The offset behind the container that opens at an offset.
    pub(crate) fn end_of(&self, offset: u32) -> Option<u32> {
        self.container(self.opening_at(offset)?).map(|container| container.end)
    }
}

impl<'b> Outlined<'b> {
    /// A value that begins at the offset `base` of what the outline is of.
    pub(crate) fn new(text: &'b [u8], base: u32, outline: &'b Outline) -> Self {
        Self { text, base, outline }
    }

    /// The value as a whole. There must be no white space before it.
    pub(crate) fn root(self) -> Result<Node, Indeterminate> {
        match self.text.first() {
            Some(b'{' | b'[') => {
                let place = self.outline.opening_at(self.base).ok_or(Indeterminate)?;
                Ok(Node { start: self.base, container: place })
            }
            Some(_) => Ok(Node { start: self.base, container: SCALAR }),
            None => Err(Indeterminate),
        }
    }

    /// The bytes from an offset of the outline on.
    fn from(self, offset: u32) -> &'b [u8] {
        let at = offset.checked_sub(self.base).map_or(usize::MAX, |at| at as usize);
        self.text.get(at..).unwrap_or_default()
    }

    /// The bytes of a node.
    pub(crate) fn text(self, node: Node) -> &'b [u8] {
        let from = self.from(node.start);
        let end = match self.outline.container(node.container) {
            Some(container) => (container.end - container.open) as usize,
            // A number or literal can end with the text.
            None => ValueEnd::default().find(from).unwrap_or(from.len()),
        };
        from.get(..end).unwrap_or_default()
    }

    /// Whether a node is another one, or stands around it.
    pub(crate) fn holds(self, node: Node, other: Node) -> bool {
        let end = self.outline.container(node.container).map_or(node.start, |it| it.end);
        node.start == other.start || (node.start < other.start && other.start < end)
    }

    /// Whether a node is an object.
    pub(crate) fn is_object(self, node: Node) -> bool {
        self.from(node.start).first() == Some(&b'{')
    }

    /// Whether a node is an array.
    pub(crate) fn is_array(self, node: Node) -> bool {
        self.from(node.start).first() == Some(&b'[')
    }

    /// The children of a node, with their names where it is an object; none of a scalar.
    pub(crate) fn children(self, node: Node) -> Children<'b> {
        let is_object = self.is_object(node);
        Children {
            of: self,
            at: node.start.saturating_add(1),
            next: node.container.saturating_add(1),
            is_object,
            first: true,
            done: !node.is_container(),
        }
    }

    /// The containers at or below a node, in the order in which they open, each with the number of
    /// those that open before the one behind it.
    pub(crate) fn containers(self, node: Node) -> impl Iterator<Item = (Node, u32)> + use<'b> {
        let from = node.container;
        let to = self.outline.container(from).map_or(from, |container| container.next);
        (from..to).filter_map(move |place| {
            let container = self.outline.container(place)?;
            Some((Node { start: container.open, container: place }, container.next))
        })
    }
}

impl Node {
    /// Offset of its first byte, as its outline counts.
    pub(crate) fn start(self) -> u32 {
        self.start
    }

    /// Whether it is an object or an array.
    pub(crate) fn is_container(self) -> bool {
        self.container != SCALAR
    }

    /// The place of a container among those of its outline.
    pub(crate) fn place(self) -> u32 {
        self.container
    }
}

/// A child of a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'b> {
    /// Its name as it stands in the document, with its quotes; empty for an element.
    name: &'b [u8],
    node: Node,
    /// How many bytes were looked at to find it.
    looked_at: usize,
}

impl<'b> Child<'b> {
    /// Its name as it stands in the document, with its quotes, empty for an element; itself; and
    /// how many bytes were looked at to find it.
    pub(crate) fn parts(self) -> (&'b [u8], Node, usize) {
        (self.name, self.node, self.looked_at)
    }
}

/// The children of a container, one after the other; unclear where the grammar is broken.
pub(crate) struct Children<'b> {
    of: Outlined<'b>,
    /// Offset of the next byte.
    at: u32,
    /// The next container.
    next: u32,
    is_object: bool,
    first: bool,
    done: bool,
}

impl<'b> Children<'b> {
    fn skip_space(&mut self) {
        let rest = self.of.from(self.at);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = rest.iter().take_while(|byte| is_space(byte)).count();
        self.skip(spaces);
    }

    fn skip(&mut self, bytes: usize) {
        // An outline is of no more bytes than fit.
        self.at = self.at.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    fn takes(&mut self, token: u8) -> bool {
        self.skip_space();
        let is_next = self.of.from(self.at).first() == Some(&token);
        if is_next {
            self.skip(1);
        }
        is_next
    }

    /// A scalar, or the name of a member.
    fn scalar(&mut self) -> Result<&'b [u8], Indeterminate> {
        let rest = self.of.from(self.at);
        let end = ValueEnd::default().find(rest).unwrap_or(rest.len());
        let scalar = rest.get(..end).unwrap_or_default();
        self.skip(end);
        if scalar.is_empty() { Err(Indeterminate) } else { Ok(scalar) }
    }

    fn child(&mut self) -> Result<Option<Child<'b>>, Indeterminate> {
        let from = self.at;
        let first = std::mem::replace(&mut self.first, false);
        if self.takes(if self.is_object { b'}' } else { b']' }) {
            return Ok(None);
        }
        if !first && !self.takes(b',') {
            return Err(Indeterminate);
        }
        self.skip_space();
        let mut name = &[][..];
        if self.is_object {
            name = self.scalar()?;
            if !name.starts_with(b"\"") || !self.takes(b':') {
                return Err(Indeterminate);
            }
            self.skip_space();
        }
        let start = self.at;
        if !matches!(self.of.from(start).first(), Some(b'{' | b'[')) {
            self.scalar()?;
            let looked_at = (self.at - from) as usize;
            return Ok(Some(Child { name, node: Node { start, container: SCALAR }, looked_at }));
        }
        let container = self.of.outline.container(self.next).ok_or(Indeterminate)?;
        if container.open != start {
            return Err(Indeterminate);
        }
        let node = Node { start, container: self.next };
        let looked_at = (start - from) as usize + 1;
        (self.at, self.next) = (container.end, container.next);
        Ok(Some(Child { name, node, looked_at }))
    }
}

impl<'b> Iterator for Children<'b> {
    type Item = Result<Child<'b>, Indeterminate>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let child = self.child().transpose();
        self.done = !matches!(child, Some(Ok(_)));
        child
    }
}
