//! What is inside of a container that is decided as a whole: nothing but the grammar matters, how
//! deep it nests, and how many scalars it holds.

use crate::{
    json::rewriter::{
        primitive,
        stack::Expect,
        window::{TokenRun, Window, first_kind},
    },
    path::Kind,
};

/// A container that is decided as a whole, while it is read; or none.
pub(super) struct Opaque {
    /// The container and those around the next token in it.
    containers: Vec<Kind>,
    expect: Expect,
    /// How many scalars it has held so far.
    scalars: u64,
    passes: bool,
}

/// What a token in it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpaqueToken {
    /// It goes on.
    Inside,
    /// A number or literal begins.
    Primitive,
    /// All of it has ended.
    Ended,
    /// It nests deeper than it may.
    TooDeep,
    /// The grammar does not allow it.
    Wrong,
}

impl Default for Opaque {
    fn default() -> Self {
        Self { containers: Vec::new(), expect: Expect::Nothing, scalars: 0, passes: false }
    }
}

impl Opaque {
    /// Whether the next token stands in such a container.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.containers.is_empty()
    }

    /// How many containers it has around the next token.
    pub(super) fn depth(&self) -> usize {
        self.containers.len()
    }

    /// What comes next in it.
    pub(super) fn expect(&self) -> Expect {
        self.expect
    }

    /// A container begins; `passes` says whether it leaves.
    #[inline]
    pub(super) fn begin(&mut self, kind: Kind, passes: bool) {
        self.passes = passes;
        self.scalars = 0;
        self.open(kind);
    }

    #[inline]
    fn open(&mut self, kind: Kind) {
        self.containers.push(kind);
        self.expect = Expect::first_in(kind);
    }

    /// A number or literal in it has ended.
    #[inline]
    pub(super) fn end_scalar(&mut self) {
        self.scalars += 1;
        self.expect = Expect::CommaOrEnd;
    }

    /// How many scalars have passed in it, if it passes.
    #[inline]
    pub(super) fn passed(&self) -> Option<u64> {
        self.passes.then_some(self.scalars)
    }

    /// Reads on as long as everything stands in the window and is right, in at most `depth_max`
    /// containers. Gives the next token that is not dealt with: the one behind the container, if
    /// that has ended.
    ///
    /// One loop, with all that it changes in local variables: they stay in registers, and are
    /// written back where it stops. Every token of a container that passes whole goes through here.
    #[expect(clippy::inline_always, reason = "a call for each container costs 1 % of instructions")]
    #[inline(always)]
    pub(super) fn skim(&mut self, window: &Window<'_>, mut next: usize, depth_max: usize) -> usize {
        let Some(mut kind) = self.containers.last().copied() else { return next };
        let (mut expect, mut scalars) = (self.expect, self.scalars);
        'values: loop {
            let mut tokens = window.kinds(next);
            if matches!(expect, Expect::Name | Expect::NameOrEnd) {
                if TokenRun::TEXT_MEMBER.begins(tokens) {
                    scalars += 1;
                    next += TokenRun::TEXT_MEMBER.length();
                    expect = Expect::Name;
                    continue;
                }
                if !TokenRun::NAME.begins(tokens) {
                    break;
                }
                next += TokenRun::NAME.length();
                tokens >>= 8 * TokenRun::NAME.length();
                expect = Expect::Value;
            }
            if matches!(expect, Expect::Value | Expect::ElementOrEnd) {
                if kind == Kind::Array && TokenRun::TEXT_ELEMENT.begins(tokens) {
                    scalars += 1;
                    next += TokenRun::TEXT_ELEMENT.length();
                    expect = Expect::Value;
                    continue;
                }
                match first_kind(tokens) {
                    b'"' if TokenRun::TEXT.begins(tokens) => next += TokenRun::TEXT.length(),
                    bracket @ (b'{' | b'[') => {
                        if self.containers.len() >= depth_max {
                            break;
                        }
                        kind = if bracket == b'{' { Kind::Object } else { Kind::Array };
                        (next, expect) = (next + 1, Expect::first_in(kind));
                        self.containers.push(kind);
                        continue;
                    }
                    0 | b'"' | b'}' | b']' | b':' | b',' => break,
                    _ => {
                        let [at] = window.at(next);
                        if primitive::end(window.chunk(), at).is_none() {
                            break;
                        }
                        next += 1;
                        if first_kind(tokens >> 8) == b',' {
                            scalars += 1;
                            next += 1;
                            expect = Expect::after_comma(kind);
                            continue;
                        }
                    }
                }
                scalars += 1;
                expect = Expect::CommaOrEnd;
            }
            if expect != Expect::CommaOrEnd {
                break;
            }
            loop {
                match (first_kind(window.kinds(next)), kind) {
                    (b',', _) => expect = Expect::after_comma(kind),
                    (b'}', Kind::Object) | (b']', Kind::Array) => {
                        next += 1;
                        self.containers.pop();
                        let Some(around) = self.containers.last() else {
                            self.scalars = scalars;
                            return next;
                        };
                        kind = *around;
                        continue;
                    }
                    _ => break 'values,
                }
                next += 1;
                break;
            }
        }
        (self.expect, self.scalars) = (expect, scalars);
        next
    }

    /// Takes one token, of which this is the first byte, in at most `depth_max` containers.
    pub(super) fn token(&mut self, byte: u8, depth_max: usize) -> OpaqueToken {
        let kind = self.containers.last().copied().unwrap_or(Kind::Array);
        match (self.expect, byte, kind) {
            (Expect::Value | Expect::ElementOrEnd, b'{' | b'[', _) => {
                if self.containers.len() >= depth_max {
                    return OpaqueToken::TooDeep;
                }
                self.open(if byte == b'{' { Kind::Object } else { Kind::Array });
            }
            (Expect::Value | Expect::ElementOrEnd, b'"', _) => self.expect = Expect::StringEnd,
            (Expect::ElementOrEnd | Expect::CommaOrEnd, b']', Kind::Array)
            | (Expect::NameOrEnd | Expect::CommaOrEnd, b'}', Kind::Object) => {
                self.containers.pop();
                self.expect = Expect::CommaOrEnd;
                if self.containers.is_empty() {
                    return OpaqueToken::Ended;
                }
            }
            (Expect::Value | Expect::ElementOrEnd, b'}' | b']' | b':' | b',', _) => {
                return OpaqueToken::Wrong;
            }
            (Expect::Value | Expect::ElementOrEnd, _, _) => return OpaqueToken::Primitive,
            (Expect::Name | Expect::NameOrEnd, b'"', _) => self.expect = Expect::NameEnd,
            (Expect::NameEnd, _, _) => self.expect = Expect::Colon,
            (Expect::Colon, b':', _) | (Expect::CommaOrEnd, b',', Kind::Array) => {
                self.expect = Expect::Value;
            }
            (Expect::StringEnd, _, _) => self.end_scalar(),
            (Expect::CommaOrEnd, b',', Kind::Object) => self.expect = Expect::Name,
            (
                Expect::Name
                | Expect::NameOrEnd
                | Expect::Colon
                | Expect::CommaOrEnd
                | Expect::Nothing,
                _,
                _,
            ) => return OpaqueToken::Wrong,
        }
        OpaqueToken::Inside
    }
}
