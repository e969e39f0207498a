//! A look ahead, over bytes that have not been walked yet: where a value ends, and how many
//! elements an array has begun.
//!
//! What is looked at here is validated when it is walked; until then nothing of it leaves.

use std::collections::VecDeque;

use crate::path::{Program, Question, State};

/// What each element that waits costs besides its bytes: its index and offset. It counts towards
/// the limit, for an array of a million empty strings would otherwise take five times what its
/// bytes are.
const ELEMENT_BYTES: u64 = 16;

/// Follows strings and brackets, byte by byte.
#[derive(Clone, Copy, Debug, Default)]
struct BracketScanner {
    depth: u64,
    quoting: Quoting,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quoting {
    #[default]
    Nothing,
    String,
    Escape,
}

/// What a byte does outside of strings, and at no depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteRole {
    /// It belongs to a value.
    Inner,
    /// It ends a string or closes a container.
    Closed,
    Space,
    Comma,
    /// It closes the container around.
    End,
}

impl BracketScanner {
    fn step(&mut self, byte: u8) -> ByteRole {
        match self.quoting {
            Quoting::Escape => {
                self.quoting = Quoting::String;
                return ByteRole::Inner;
            }
            Quoting::String => {
                match byte {
                    b'\\' => self.quoting = Quoting::Escape,
                    b'"' => {
                        self.quoting = Quoting::Nothing;
                        return if self.depth == 0 { ByteRole::Closed } else { ByteRole::Inner };
                    }
                    _ => {}
                }
                return ByteRole::Inner;
            }
            Quoting::Nothing => {}
        }
        match byte {
            b'"' => self.quoting = Quoting::String,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return ByteRole::End,
            b'}' | b']' => {
                self.depth -= 1;
                return if self.depth == 0 { ByteRole::Closed } else { ByteRole::Inner };
            }
            b',' if self.depth == 0 => return ByteRole::Comma,
            b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => return ByteRole::Space,
            _ => {}
        }
        ByteRole::Inner
    }
}

/// Looks for the end of a value, from its first byte on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ValueEnd(BracketScanner);

impl ValueEnd {
    /// Where the value ends in these bytes, if it does.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match self.0.step(*byte) {
                ByteRole::Inner => {}
                ByteRole::Closed => return Some(at + 1),
                ByteRole::Space | ByteRole::Comma | ByteRole::End => return Some(at),
            }
        }
        None
    }
}

/// What is known of an element and its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementStatus {
    /// Not enough: more of the array has to come.
    Unknown,
    /// Enough: so many elements have begun, and the array may have ended.
    Known { begun: u64, ended: bool },
    /// More would have had to wait than may.
    TooLarge,
}

/// The elements of an array, counted ahead of where it is walked.
#[derive(Debug)]
pub(crate) struct ArrayLookahead {
    depth: usize,
    array: State,
    tokens: BracketScanner,
    /// Offset in the document up to which it has looked.
    at: u64,
    begun: u64,
    ended: bool,
    /// The elements that have begun and are not decided: index, and where they begin.
    waiting: VecDeque<(u64, u64)>,
    /// Those that were too large, in ranges of indices, the first ones first.
    too_large: VecDeque<(u64, u64)>,
    bytes_max: u64,
}

impl ArrayLookahead {
    /// The number of levels down to the array.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// That of the array.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.array
    }

    /// Begins at the first byte of the element at `index`, at the offset `at`.
    pub(crate) fn new(
        program: &Program,
        depth: usize,
        array: State,
        (index, at): (u64, u64),
        bytes_max: usize,
    ) -> Self {
        let mut lookahead = Self {
            depth,
            array,
            tokens: BracketScanner::default(),
            at,
            begun: index + 1,
            ended: false,
            waiting: VecDeque::from([(index, at)]),
            too_large: VecDeque::new(),
            bytes_max: bytes_max as u64,
        };
        lookahead.decide(program);
        lookahead
    }

    /// Looks at the bytes of a chunk that begins at the offset `from`, as far as it has not before.
    pub(crate) fn look(&mut self, program: &Program, chunk: &[u8], from: u64) {
        let seen = usize::try_from(self.at.saturating_sub(from)).unwrap_or(usize::MAX);
        for byte in chunk.get(seen..).unwrap_or_default() {
            if self.ended {
                return;
            }
            match self.tokens.step(*byte) {
                ByteRole::Comma => {
                    self.begun += 1;
                    self.decide(program);
                    if asks(program, self.array, self.begun - 1) {
                        self.waiting.push_back((self.begun - 1, self.at + 1));
                        self.decide(program);
                    }
                }
                ByteRole::End => {
                    self.ended = true;
                    self.decide(program);
                }
                ByteRole::Inner | ByteRole::Closed | ByteRole::Space => {}
            }
            self.at += 1;
        }
        while let Some((index, begins)) = self.waiting.front().copied()
            && self.is_too_large(index, begins)
        {
            self.waiting.pop_front();
            self.put_too_large(index);
        }
    }

    /// Lets those go that wait no more, the oldest first: an element leaves after those before it.
    fn decide(&mut self, program: &Program) {
        while let Some((index, begins)) = self.waiting.front().copied() {
            if self.is_too_large(index, begins) {
                self.put_too_large(index);
            } else if !self.ended && !is_decided(program, self.array, index, self.begun) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn is_too_large(&self, index: u64, begins: u64) -> bool {
        let bytes = self.at.saturating_sub(begins);
        let elements = self.begun.saturating_sub(index);
        bytes.saturating_add(elements.saturating_mul(ELEMENT_BYTES)) > self.bytes_max
    }

    fn put_too_large(&mut self, index: u64) {
        match self.too_large.back_mut() {
            Some((_, end)) if *end == index => *end += 1,
            Some(_) | None => self.too_large.push_back((index, index + 1)),
        }
    }

    /// What is known of the element at `index`; of those before it nobody will ask again.
    pub(crate) fn status(&mut self, index: u64) -> ElementStatus {
        while self.too_large.front().is_some_and(|(_, end)| *end <= index) {
            self.too_large.pop_front();
        }
        if self.too_large.front().is_some_and(|(start, _)| *start <= index) {
            ElementStatus::TooLarge
        } else if self.begun <= index
            || self.waiting.front().is_some_and(|(oldest, _)| *oldest <= index)
        {
            ElementStatus::Unknown
        } else {
            ElementStatus::Known { begun: self.begun, ended: self.ended }
        }
    }
}

/// Whether the element at `index` of such an array depends on how long it is.
fn asks(program: &Program, array: State, index: u64) -> bool {
    program.counts_from_end(program.element(array, index))
}

fn is_decided(program: &Program, array: State, index: u64, begun: u64) -> bool {
    match program.question(program.element(array, index)) {
        Some(Question::FromEnd(selectors)) => {
            selectors.iter().all(|selector| selector.decided(index, begun).is_some())
        }
        Some(Question::Filters(_)) | None => true,
    }
}
