//! The second stage: walks the tokens, keeps the grammar, and lets decided bytes go.
//!
//! At any time the bytes from `mark` on are in one of four [`Mode`]s. Bytes pass until a comma or an
//! opening bracket; from there to the next value they are a *gap* and wait, because whether the comma
//! and the name leave depends on whether the value does. The value then passes, is skipped or captured.
//! A gap that lies in one chunk and is kept costs nothing: it simply passes after all, together with what
//! is before and behind it.
//!
//! [`Rewriter::token`] knows what may follow on what, one token at a time. Most tokens need not come to
//! it: where a whole member stands in the window, [`Rewriter::member`] takes all of it at once,
//! [`Rewriter::alike`] many of them where they are like those of the object before, and
//! [`Rewriter::skim`] what is inside of containers that are decided as a whole. These only take what
//! is right, and leave anything else, and all that is cut, to `token`.

use std::{collections::HashMap, fmt, sync::Arc};

use foldhash::fast::RandomState;

use crate::{
    json::{
        edits::{Edits, OnContainer, OnName, OnScalar, Sink},
        filter::{ahead::Ahead, evaluation::STEPS_PER_BYTE, patterns::Patterns},
        kernel::{Carry, Events, Kernel, WINDOW_BYTES_MAX},
        limits::{Limits, Violation},
        rewriter::{
            alike::{Shapes, Spot},
            gap::Gap,
            held::Whole,
            pending::{Asked, Hold, Met, Watch},
            primitive::{self, Primitive, Step as PrimitiveStep},
            told,
            utf8::Utf8,
            window::{Row, Window, first_kind},
        },
    },
    path::{Kind, Member, Program, State},
};

/// How many steps states may take that are made on the way, in a response that is not long enough for
/// [`STEPS_PER_BYTE`] to be more.
const STATE_STEPS_MIN: u64 = 1 << 24;

/// After how many members, elements or tokens it is looked at what states take.
const MINDED_EVERY: u32 = 8;

/// Rewrites one document. See the [module](crate::json).
pub struct Rewriter<E: Edits> {
    pub(super) program: Arc<Program>,
    pub(super) limits: Limits,
    kernel: Kernel,
    pub(super) carry: Carry,
    utf8: Utf8,
    pub(super) expect: Expect,
    /// The containers around the next token whose children are decided one by one.
    pub(super) levels: Vec<Level<E::Scope>>,
    /// What is known of where they stand, of the outermost ones: it is looked up when something is told of what is
    /// in one, or when the chunk goes that has its name.
    pub(super) standings: Vec<told::Standing>,
    /// What is known of the root of the document, from those before it.
    pub(super) roots: told::Member,
    pub(super) told_members: told::Members,
    /// How many containers are around what was told of last, and one more; 0 if one of them has ended since.
    pub(super) told_at: usize,
    /// The containers inside of one that was decided as a whole.
    whole: Vec<Kind>,
    /// How many scalars it has held so far.
    scalars: u64,
    /// Whether it passes.
    whole_passes: bool,
    /// What the value to come has matched.
    pub(super) state: State,
    /// A value that is dropped without being asked for: its name was.
    doomed: bool,
    mode: Mode<E::Capture>,
    /// The bytes of the current chunk from here on are in `mode`; those before are dealt with. Those
    /// before a gap still pass.
    pub(super) mark: usize,
    pub(super) gap: Gap,
    captured: Vec<u8>,
    captured_too_long: bool,
    /// A number or literal that is under way.
    primitive: Option<Primitive>,
    /// What an edit has written.
    written: Vec<u8>,
    /// What members of earlier objects were.
    pub(super) shapes: Shapes<E::Scope>,
    /// Bytes of the chunks before the current one.
    pub(super) offset: u64,
    /// Bytes of the documents before it.
    before: u64,
    /// A value or elements that wait for an answer.
    pub(super) hold: Hold,
    /// The arrays around the next token that are looked ahead in, the innermost last.
    pub(super) aheads: Vec<Ahead>,
    /// What the root has matched.
    pub(super) begun: State,
    /// The containers of the document of which is known whether all of them leaves as it is, by where they begin.
    pub(super) kept: HashMap<u32, bool, RandomState>,
    /// Values that were let go before their end, and are looked at to their end.
    pub(super) watches: Vec<Watch>,
    /// The document, where filters ask about it.
    pub(super) document: Whole,
    /// The value that filters are asked of, while it is read.
    pub(super) asked: Option<Asked>,
    /// The patterns of filters that came from documents.
    pub(super) patterns: Patterns,
    /// How many steps were taken besides those of the walk.
    pub(super) steps: u64,
    failed: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Value,
    ElementOrEnd,
    NameOrEnd,
    Name,
    NameEnd,
    Colon,
    StringEnd,
    CommaOrEnd,
    /// Only white space, after the root.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
enum Mode<Capture> {
    Pass,
    Gap,
    Skip,
    Capture(Capture),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Level<Scope> {
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) scope: Scope,
    /// Whether a child has been kept, so that the next one needs its comma.
    pub(super) kept: bool,
    /// The index of the current child.
    pub(super) index: u64,
    pub(super) spot: Spot,
    pub(super) name: InChunk,
}

/// From where to where the name of a container stands in the chunk that it began in, with its quotes; it is empty if
/// the container is no member, or its place is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InChunk {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// What comes first in a container.
fn first_of(kind: Kind) -> Expect {
    match kind {
        Kind::Object => Expect::NameOrEnd,
        Kind::Array => Expect::ElementOrEnd,
    }
}

/// What comes behind a comma.
fn after_comma(kind: Kind) -> Expect {
    match kind {
        Kind::Object => Expect::Name,
        Kind::Array => Expect::Value,
    }
}

impl<E: Edits> Rewriter<E> {
    /// A rewriter for one document, read with the paths of `program`.
    pub fn new(program: Arc<Program>, limits: Limits) -> Self {
        let start = program.start();
        Self::starting_at(program, start, limits)
    }

    /// A rewriter for a document that is itself a node of another one, which has matched `state`.
    pub fn starting_at(program: Arc<Program>, state: State, limits: Limits) -> Self {
        Self {
            program,
            limits,
            kernel: Kernel::in_use(),
            carry: Carry::default(),
            utf8: Utf8::default(),
            expect: Expect::Value,
            levels: Vec::new(),
            standings: Vec::new(),
            roots: told::Member::default(),
            told_members: told::Members::default(),
            told_at: 0,
            whole: Vec::new(),
            whole_passes: false,
            scalars: 0,
            state,
            doomed: false,
            mode: Mode::Pass,
            mark: 0,
            gap: Gap::default(),
            captured: Vec::new(),
            captured_too_long: false,
            primitive: None,
            written: Vec::new(),
            shapes: Shapes::default(),
            offset: 0,
            before: 0,
            hold: Hold::default(),
            aheads: Vec::new(),
            begun: state,
            kept: HashMap::default(),
            watches: Vec::new(),
            document: Whole::default(),
            asked: None,
            patterns: Patterns::default(),
            steps: 0,
            failed: None,
        }
    }

    /// Reads with this kernel, rather than with [that of the process](Kernel::in_use).
    #[must_use]
    pub fn on(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// Bytes of documents that it holds, or has room for, between two calls: what waits until it is decided.
    pub fn held_bytes(&self) -> usize {
        self.gap.held_bytes()
            + self.captured.capacity()
            + self.written.capacity()
            + self.hold.held_bytes()
            + self.document.held_bytes()
            + self.asked.as_ref().map_or(0, Asked::held_bytes)
    }

    /// How many steps it has taken besides the walk over the tokens, which takes one for each: bytes that were
    /// looked at to answer what a path asks, comparisons, and positions of states that were made on the way.
    pub fn steps(&self) -> u64 {
        self.steps.saturating_add(self.program.steps())
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Forgets the document, however far it has come: another one begins.
    pub fn restart(&mut self) {
        let fresh = Self::new(Arc::clone(&self.program), self.limits).on(self.kernel);
        let before = std::mem::replace(self, fresh);
        // What documents of a row have in common, and what a response may have so much of.
        self.shapes = before.shapes;
        self.roots = before.roots;
        self.told_members = before.told_members;
        self.patterns = before.patterns;
        self.steps = before.steps;
        self.before = before.before.saturating_add(before.offset);
    }

    /// Reads the next bytes of the document, and lets go of what is decided.
    ///
    /// After an error nothing more comes out, and every further call gives the same error. What has
    /// left before was decided; the document it belonged to is not complete and must not seem so.
    pub fn push<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.guarded(|rewriter| {
            if rewriter.program.asks_document() && rewriter.document.there().is_none() {
                return rewriter.hold_document(chunk);
            }
            rewriter.push_chunk(chunk, edits, sink)
        })
    }

    /// Ends the document, which must be complete.
    pub fn finish<S: Sink + ?Sized>(
        &mut self,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.guarded(|rewriter| {
            rewriter.end_document(edits, sink)?;
            rewriter.finish_primitive(edits, sink);
            let complete = rewriter.expect == Expect::Nothing
                && rewriter.utf8.is_complete()
                && !rewriter.hold.is_active();
            if complete { Ok(()) } else { Err(Violation::Cut) }
        })
    }

    /// Runs a step unless one has failed before; one that panics has failed.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if let Some(violation) = self.failed {
            return Err(violation);
        }
        self.failed = Some(Violation::Cut);
        let result = step(self);
        self.failed = result.err();
        result
    }

    pub(super) fn push_chunk<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.utf8.push(chunk).map_err(|at| Violation::Utf8 { at: self.offset + at as u64 })?;
        if !self.watches.is_empty() {
            self.watch(chunk)?;
        }
        self.mark = 0;
        self.shapes.hope();
        let from = if self.hold.is_active() { self.resume(chunk, edits, sink)? } else { Some(0) };
        if let Some(from) = from
            && let Some(stopped) = self.read(chunk, from, edits, sink)?
        {
            self.park(chunk, stopped, edits, sink);
        }
        if !self.aheads.is_empty() {
            self.look_ahead(chunk);
        }
        self.offset += chunk.len() as u64;
        if self.asked.as_ref().is_some_and(|asked| asked.end() <= self.offset) {
            self.asked = None;
        }
        Ok(())
    }

    /// Reads a chunk from a position on, to its end or to a value that has to wait.
    pub(super) fn read<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        from: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        if let Some(primitive) = self.primitive.take() {
            self.primitive(primitive, chunk, from, edits, sink)?;
        }
        let mut base = from;
        for window in chunk.get(from..).unwrap_or_default().chunks(WINDOW_BYTES_MAX) {
            let walked = self.window(window, base, chunk, edits, sink);
            if walked.is_err() {
                self.flush_decided(sink);
            }
            if let Some(stopped) = walked? {
                return Ok(Some(stopped));
            }
            base += window.len();
        }
        self.end_chunk(chunk, edits, sink);
        Ok(None)
    }

    /// A number or literal that nothing follows is complete.
    pub(super) fn finish_primitive<S: Sink + ?Sized>(&mut self, edits: &mut E, sink: &mut S) {
        if self.primitive.take().is_some_and(Primitive::is_complete) {
            self.scalar_ends(&[], 0, edits, sink);
        }
    }

    /// Reads one window of the chunk, which begins at `base`.
    fn window<S: Sink + ?Sized>(
        &mut self,
        window: &[u8],
        base: usize,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        Events::lend(|events| {
            let scanned = self.kernel.scan(&mut self.carry, window, events);
            scanned.map_err(|at| self.grammar(base + at))?;
            self.walk(&Window { chunk, base, events }, edits, sink)
        })
    }

    /// Passes what was decided before something went wrong: all up to the last gap.
    #[cold]
    fn flush_decided<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        match self.mode {
            Mode::Pass | Mode::Gap => self.flush(self.gap.from().max(self.mark), sink),
            Mode::Skip | Mode::Capture(_) => {}
        }
    }

    /// Deals with the bytes of the chunk that are still open: the chunk is about to go.
    fn end_chunk<S: Sink + ?Sized>(&mut self, chunk: &[u8], edits: &mut E, sink: &mut S) {
        match self.mode {
            Mode::Pass => self.flush(chunk.len(), sink),
            Mode::Skip => {}
            Mode::Gap => {
                self.hold_gap(chunk, chunk.len(), sink);
                if self.expect == Expect::NameEnd && self.name_is_too_long(self.gap.name_held()) {
                    self.doom_long_name(chunk, edits, sink);
                }
            }
            Mode::Capture(_) => {
                let piece = chunk.get(self.mark..).unwrap_or_default();
                if self.captured.len() + piece.len() > self.limits.value_bytes_max {
                    self.captured_too_long = true;
                    self.captured.clear();
                } else if !self.captured_too_long {
                    self.captured.extend_from_slice(piece);
                }
            }
        }
        self.mark = 0;
        self.leave_chunk(chunk, edits);
    }

    /// Walks the tokens of one window. Gives the position of a value that has to wait.
    fn walk<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        let mut next = 0;
        let is_lazy = self.program.is_lazy();
        let mut minded = 0_u32;
        while next < window.events.count() {
            if is_lazy {
                // Often enough, for what a token can take is bounded, too.
                if minded.is_multiple_of(MINDED_EVERY) {
                    let [at] = window.at(next);
                    self.mind_states(at)?;
                }
                minded = minded.wrapping_add(1);
            }
            let taken = match self.expect {
                _ if !self.whole.is_empty() => self.skim(window, next, edits, sink),
                Expect::Name | Expect::NameOrEnd => {
                    let alike = self.alike(window, next, edits, sink);
                    if alike > next { alike } else { self.member(window, next, edits, sink)? }
                }
                Expect::Value | Expect::ElementOrEnd => self.element(window, next, edits, sink)?,
                Expect::NameEnd
                | Expect::Colon
                | Expect::StringEnd
                | Expect::CommaOrEnd
                | Expect::Nothing => next,
            };
            if taken > next {
                next = taken;
                continue;
            }
            let ([at], kind) = (window.at(next), first_kind(window.events.kinds(next)));
            if !self.whole.is_empty() {
                self.token_in_whole(window.chunk, at, kind, edits, sink)?;
            } else if self.token(window, at, kind, edits, sink)? == Met::Waits {
                return Ok(Some(at));
            }
            next += 1;
        }
        Ok(None)
    }

    /// A whole member, and what is behind it, if they are all in the window and right; or the name of
    /// one and the begin of its value. Gives the next token that is not dealt with.
    #[inline]
    fn member<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        next: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<usize, Violation> {
        let tokens = window.events.kinds(next);
        if !Row::NAME.begins(tokens) {
            return Ok(next);
        }
        let [from, to, _, value, after] = window.at(next);
        let Some(member) = self.named(window, from, to) else { return Ok(next) };
        self.gap.begin_name(from);
        self.gap.end_name(to + 1);
        self.state = member.state;
        if !member.spelled {
            let name = window.chunk.get(from + 1..to);
            self.unspelled(name, window.chunk, to + 1, edits, sink);
        }
        self.expect = Expect::Value;
        let next = next + Row::NAME.length();
        if self.state.is_pending() {
            return Ok(next);
        }
        let tokens = tokens >> (8 * Row::NAME.length());
        let (end, behind) = match first_kind(tokens) {
            b'"' if Row::TEXT.begins(tokens) => (after + 1, next + Row::TEXT.length()),
            b'{' => {
                self.container(window.chunk, value, Kind::Object, edits, sink)?;
                return Ok(next + 1);
            }
            b'[' => {
                self.container(window.chunk, value, Kind::Array, edits, sink)?;
                return Ok(next + 1);
            }
            0 | b'"' | b'}' | b']' | b':' | b',' => return Ok(next),
            _ => match primitive::end(window.chunk, value) {
                Some(end) => (end, next + 1),
                None => return Ok(next),
            },
        };
        self.scalar(window.chunk, value, edits, sink);
        self.value_ends(window.chunk, end, edits, sink);
        Ok(self.behind(window, behind, sink))
    }

    /// A scalar in an array, and what is behind it, if they are all in the window and right; or the begin
    /// of a container in one. Gives the next token that is not dealt with.
    #[inline]
    fn element<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        next: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<usize, Violation> {
        if self.state.is_pending() {
            return Ok(next);
        }
        let tokens = window.events.kinds(next);
        let [value, after] = window.at(next);
        let (end, behind) = match first_kind(tokens) {
            b'"' if Row::TEXT.begins(tokens) => (after + 1, next + Row::TEXT.length()),
            b'{' => {
                self.container(window.chunk, value, Kind::Object, edits, sink)?;
                return Ok(next + 1);
            }
            b'[' => {
                self.container(window.chunk, value, Kind::Array, edits, sink)?;
                return Ok(next + 1);
            }
            0 | b'"' | b'}' | b']' | b':' | b',' => return Ok(next),
            _ => match primitive::end(window.chunk, value) {
                Some(end) => (end, next + 1),
                None => return Ok(next),
            },
        };
        self.scalar(window.chunk, value, edits, sink);
        self.value_ends(window.chunk, end, edits, sink);
        Ok(self.behind(window, behind, sink))
    }

    /// What is behind a value: brackets that close, and a comma. Gives the next token that is not dealt
    /// with.
    #[inline]
    fn behind<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        mut next: usize,
        sink: &mut S,
    ) -> usize {
        while self.expect == Expect::CommaOrEnd {
            let [at] = window.at(next);
            match first_kind(window.events.kinds(next)) {
                b',' => {
                    self.comma(at);
                    return next + 1;
                }
                bracket @ (b'}' | b']') if self.closes(bracket) => {
                    self.close(window.chunk, at, sink);
                    next += 1;
                }
                _ => break,
            }
        }
        next
    }

    /// Reads on in a container that was decided as a whole, and what is behind it, as long as everything
    /// stands in the window and is right. Gives the next token that is not dealt with.
    fn skim<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        mut next: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> usize {
        let Some(mut kind) = self.whole.last().copied() else { return next };
        let (mut expect, mut scalars) = (self.expect, self.scalars);
        'values: loop {
            let mut tokens = window.events.kinds(next);
            if matches!(expect, Expect::Name | Expect::NameOrEnd) {
                if Row::TEXT_MEMBER.begins(tokens) {
                    scalars += 1;
                    next += Row::TEXT_MEMBER.length();
                    expect = Expect::Name;
                    continue;
                }
                if !Row::NAME.begins(tokens) {
                    break;
                }
                next += Row::NAME.length();
                tokens >>= 8 * Row::NAME.length();
                expect = Expect::Value;
            }
            if matches!(expect, Expect::Value | Expect::ElementOrEnd) {
                if kind == Kind::Array && Row::TEXT_ELEMENT.begins(tokens) {
                    scalars += 1;
                    next += Row::TEXT_ELEMENT.length();
                    expect = Expect::Value;
                    continue;
                }
                match first_kind(tokens) {
                    b'"' if Row::TEXT.begins(tokens) => next += Row::TEXT.length(),
                    bracket @ (b'{' | b'[') => {
                        let [at] = window.at(next);
                        if self.check_depth(at).is_err() {
                            break;
                        }
                        kind = if bracket == b'{' { Kind::Object } else { Kind::Array };
                        expect = first_of(kind);
                        self.whole.push(kind);
                        next += 1;
                        continue;
                    }
                    0 | b'"' | b'}' | b']' | b':' | b',' => break,
                    _ => {
                        let [at] = window.at(next);
                        if primitive::end(window.chunk, at).is_none() {
                            break;
                        }
                        next += 1;
                        if first_kind(tokens >> 8) == b',' {
                            scalars += 1;
                            next += 1;
                            expect = after_comma(kind);
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
                let behind = first_kind(window.events.kinds(next));
                match (behind, kind) {
                    (b',', _) => expect = after_comma(kind),
                    (b'}', Kind::Object) | (b']', Kind::Array) => {
                        let [at] = window.at(next);
                        next += 1;
                        self.whole.pop();
                        let Some(around) = self.whole.last() else {
                            self.scalars = scalars;
                            self.whole_ends(window.chunk, at + 1, edits, sink);
                            return self.behind(window, next, sink);
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

    /// What may follow on what, where children are decided one by one.
    fn token<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        at: usize,
        byte: u8,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Met, Violation> {
        let chunk = window.chunk;
        match (self.expect, byte) {
            (Expect::Value | Expect::ElementOrEnd, b'{') => {
                return self.container(chunk, at, Kind::Object, edits, sink);
            }
            (Expect::ElementOrEnd, b']') | (Expect::NameOrEnd, b'}') => {
                self.close(chunk, at, sink);
            }
            (Expect::Value | Expect::ElementOrEnd, b'[') => {
                return self.container(chunk, at, Kind::Array, edits, sink);
            }
            (Expect::Value | Expect::ElementOrEnd, b'"') => {
                if self.waits(chunk, at, edits, sink)? == Met::Waits {
                    return Ok(Met::Waits);
                }
                self.scalar(chunk, at, edits, sink);
                self.expect = Expect::StringEnd;
            }
            (Expect::Value | Expect::ElementOrEnd, b'}' | b']' | b':' | b',') => {
                return Err(self.grammar(at));
            }
            (Expect::Value | Expect::ElementOrEnd, _) => {
                if self.waits(chunk, at, edits, sink)? == Met::Waits {
                    return Ok(Met::Waits);
                }
                self.scalar(chunk, at, edits, sink);
                self.primitive(Primitive::START, chunk, at, edits, sink)?;
            }
            (Expect::Name | Expect::NameOrEnd, b'"') => {
                self.gap.begin_name(at);
                self.expect = Expect::NameEnd;
            }
            (Expect::NameEnd, _) => {
                self.name(chunk, at, edits, sink);
                self.expect = Expect::Colon;
            }
            (Expect::Colon, b':') => self.expect = Expect::Value,
            (Expect::StringEnd, _) => self.scalar_ends(chunk, at + 1, edits, sink),
            (Expect::CommaOrEnd, b',') => self.comma(at),
            (Expect::CommaOrEnd, b'}' | b']') if self.closes(byte) => {
                self.close(chunk, at, sink);
            }
            (
                Expect::Name
                | Expect::NameOrEnd
                | Expect::Colon
                | Expect::CommaOrEnd
                | Expect::Nothing,
                _,
            ) => return Err(self.grammar(at)),
        }
        Ok(Met::Goes)
    }

    /// Whether the value at `at` has to wait.
    #[inline]
    fn waits<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Met, Violation> {
        if self.state.is_pending() && !self.doomed {
            self.meet(chunk, at, edits, sink)
        } else {
            Ok(Met::Goes)
        }
    }

    /// A token inside of a container that was decided as a whole: nothing but the grammar matters.
    fn token_in_whole<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        byte: u8,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        let kind = self.whole.last().copied().unwrap_or(Kind::Array);
        match (self.expect, byte, kind) {
            (Expect::Value | Expect::ElementOrEnd, b'{', _) => self.open_whole(at, Kind::Object)?,
            (Expect::Value | Expect::ElementOrEnd, b'[', _) => self.open_whole(at, Kind::Array)?,
            (Expect::Value | Expect::ElementOrEnd, b'"', _) => self.expect = Expect::StringEnd,
            (Expect::ElementOrEnd | Expect::CommaOrEnd, b']', Kind::Array)
            | (Expect::NameOrEnd | Expect::CommaOrEnd, b'}', Kind::Object) => {
                self.whole.pop();
                self.expect = Expect::CommaOrEnd;
                if self.whole.is_empty() {
                    self.whole_ends(chunk, at + 1, edits, sink);
                }
            }
            (Expect::Value | Expect::ElementOrEnd, b'}' | b']' | b':' | b',', _) => {
                return Err(self.grammar(at));
            }
            (Expect::Value | Expect::ElementOrEnd, _, _) => {
                self.primitive(Primitive::START, chunk, at, edits, sink)?;
            }
            (Expect::Name | Expect::NameOrEnd, b'"', _) => self.expect = Expect::NameEnd,
            (Expect::NameEnd, _, _) => self.expect = Expect::Colon,
            (Expect::Colon, b':', _) | (Expect::CommaOrEnd, b',', Kind::Array) => {
                self.expect = Expect::Value;
            }
            (Expect::StringEnd, _, _) => self.scalar_ends(chunk, at + 1, edits, sink),
            (Expect::CommaOrEnd, b',', Kind::Object) => self.expect = Expect::Name,
            (
                Expect::Name
                | Expect::NameOrEnd
                | Expect::Colon
                | Expect::CommaOrEnd
                | Expect::Nothing,
                _,
                _,
            ) => return Err(self.grammar(at)),
        }
        Ok(())
    }

    /// The container that was decided as a whole ends before `end`.
    fn whole_ends<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        if self.whole_passes {
            edits.passed(self.scalars);
        }
        self.value_ends(chunk, end, edits, sink);
    }

    /// A container begins at `at`.
    fn container<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        kind: Kind,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Met, Violation> {
        if self.waits(chunk, at, edits, sink)? == Met::Waits {
            return Ok(Met::Waits);
        }
        let decided = if self.doomed {
            OnContainer::Drop
        } else {
            edits.container(self.scope(edits), self.state, kind)
        };
        match decided {
            OnContainer::Enter(scope) => {
                self.check_depth(at)?;
                self.keep(chunk, at, sink);
                let spot = self.shapes.spot(self.levels.last(), kind, self.state, scope);
                let name = self.name_of_container(chunk, edits);
                let (state, kept, index) = (self.state, false, 0);
                self.levels.push(Level { kind, state, scope, kept, index, spot, name });
                self.open_gap(at + 1, false);
                self.expect = first_of(kind);
                if kind == Kind::Array {
                    self.state = self.program.element(self.state, 0);
                }
                return Ok(Met::Goes);
            }
            OnContainer::Pass => self.keep(chunk, at, sink),
            OnContainer::Null => self.null(chunk, at, sink),
            OnContainer::Drop => {
                self.discard(chunk, at, sink);
                self.tell_where(chunk, edits);
            }
        }
        self.whole_passes = matches!(decided, OnContainer::Pass);
        self.scalars = 0;
        self.open_whole(at, kind)?;
        Ok(Met::Goes)
    }

    /// Sees to it that states which are made on the way are neither too many nor too much work.
    #[cold]
    fn mind_states(&mut self, at: usize) -> Result<(), Violation> {
        // Before it is settled, the value to come has none that could be kept.
        if !self.state.is_pending() {
            self.make_room();
        }
        let at = self.offset.saturating_add(at as u64);
        let bytes = self.before.saturating_add(at);
        if self.program.steps() > STATE_STEPS_MIN.max(bytes.saturating_mul(STEPS_PER_BYTE)) {
            return Err(Violation::TooComplex { at });
        }
        Ok(())
    }

    /// Lets the program forget, if that is due, all states but those of the containers around and of the value
    /// to come.
    #[inline]
    pub(super) fn make_room(&mut self) {
        if self.program.is_crowded() {
            self.forget_states();
        }
    }

    #[cold]
    fn forget_states(&mut self) {
        let levels = self.levels.iter_mut().map(|level| &mut level.state);
        let aheads = self.aheads.iter_mut().map(Ahead::state);
        self.program.forget_all_but(levels.chain(aheads).chain([&mut self.state]));
        self.shapes = Shapes::default();
        self.levels.iter_mut().for_each(|level| level.spot.forget());
    }

    fn open_whole(&mut self, at: usize, kind: Kind) -> Result<(), Violation> {
        self.check_depth(at)?;
        self.whole.push(kind);
        self.expect = first_of(kind);
        Ok(())
    }

    /// How deep the next token stands.
    fn depth(&self) -> usize {
        self.levels.len() + self.whole.len()
    }

    fn check_depth(&self, at: usize) -> Result<(), Violation> {
        if self.depth() < self.limits.depth_max {
            Ok(())
        } else {
            Err(Violation::Depth { at: self.offset + at as u64 })
        }
    }

    /// A scalar begins at `at`.
    #[inline]
    fn scalar<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, edits: &mut E, sink: &mut S) {
        debug_assert!(
            self.mark <= at && at < chunk.len(),
            "a token lies in what is not dealt with"
        );
        let decided =
            if self.doomed { OnScalar::Drop } else { edits.scalar(self.scope(edits), self.state) };
        match decided {
            OnScalar::Pass => self.keep(chunk, at, sink),
            OnScalar::Null => self.null(chunk, at, sink),
            OnScalar::Drop => {
                self.discard(chunk, at, sink);
                self.tell_where(chunk, edits);
            }
            OnScalar::Capture(capture) => {
                self.capture(capture, chunk, at, sink);
                if edits.asks_where_captured(capture) {
                    let place = self.value_place(chunk, edits);
                    edits.captured_at(place);
                }
            }
        }
    }

    /// The scalar at `at` is captured.
    fn capture<S: Sink + ?Sized>(
        &mut self,
        capture: E::Capture,
        chunk: &[u8],
        at: usize,
        sink: &mut S,
    ) {
        self.keep(chunk, at, sink);
        self.flush(at, sink);
        self.captured.clear();
        self.captured_too_long = false;
        self.mode = Mode::Capture(capture);
    }

    /// Reads on in a number or literal from `at` to its end, or to the end of the chunk.
    fn primitive<S: Sink + ?Sized>(
        &mut self,
        mut primitive: Primitive,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        for (read, byte) in chunk.get(at..).unwrap_or_default().iter().enumerate() {
            match primitive.step(*byte) {
                PrimitiveStep::More(more) => primitive = more,
                PrimitiveStep::Wrong => return Err(self.grammar(at + read)),
                PrimitiveStep::End => {
                    self.scalar_ends(chunk, at + read, edits, sink);
                    return Ok(());
                }
            }
        }
        self.primitive = Some(primitive);
        Ok(())
    }

    fn scalar_ends<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        if self.whole.is_empty() {
            self.value_ends(chunk, end, edits, sink);
        } else {
            self.scalars += 1;
            self.expect = Expect::CommaOrEnd;
        }
    }

    /// A value that was decided ends before `end`.
    #[inline]
    fn value_ends<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        match self.mode {
            Mode::Pass | Mode::Gap => {}
            Mode::Skip => self.mark = end,
            Mode::Capture(capture) => self.captured_ends(capture, chunk, end, edits, sink),
        }
        self.mode = Mode::Pass;
        self.doomed = false;
        self.expect = if self.levels.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    /// A scalar that was captured ends before `end`: what leaves instead does.
    fn captured_ends<S: Sink + ?Sized>(
        &mut self,
        capture: E::Capture,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        let piece = chunk.get(self.mark..end).unwrap_or_default();
        let fits = !self.captured_too_long
            && self.captured.len() + piece.len() <= self.limits.value_bytes_max;
        let raw = if self.captured.is_empty() {
            piece
        } else {
            self.captured.extend_from_slice(if fits { piece } else { &[] });
            &self.captured
        };
        self.written.clear();
        edits.write_scalar(capture, fits.then_some(raw), &mut self.written);
        sink.put(&self.written);
        self.mark = end;
        self.tell_where(chunk, edits);
    }

    /// The comma at `at` begins the gap before the next child.
    #[inline]
    fn comma(&mut self, at: usize) {
        self.open_gap(at, true);
        let Some(level) = self.levels.last_mut() else { return };
        self.expect = after_comma(level.kind);
        level.index += 1;
        if level.kind == Kind::Array {
            self.state = self.program.element(level.state, level.index);
        }
    }

    fn closes(&self, bracket: u8) -> bool {
        self.levels.last().is_some_and(|level| match level.kind {
            Kind::Object => bracket == b'}',
            Kind::Array => bracket == b']',
        })
    }

    /// The bracket at `at` closes the innermost container.
    fn close<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        // An empty container: the white space inside is a gap that no value follows.
        if let Mode::Gap = self.mode {
            self.release(chunk, at, false, sink);
        }
        self.levels.pop();
        self.standings.truncate(self.levels.len());
        self.told_at = 0;
        if self.aheads.last().is_some_and(|ahead| ahead.depth > self.levels.len()) {
            self.aheads.pop();
        }
        self.expect = if self.levels.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    /// The quote at `at` ends a name.
    fn name<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, edits: &mut E, sink: &mut S) {
        if self.doomed {
            return;
        }
        self.gap.end_name(at + 1);
        if self.gap.name_is_split() {
            self.hold_gap(chunk, at + 1, sink);
        }
        let quoted = self.gap.name(chunk);
        if self.name_is_too_long(quoted.len().saturating_sub(1)) {
            self.doom_long_name(chunk, edits, sink);
            return;
        }
        // What is no Unicode text, a lone surrogate, is no name that a path can spell.
        let name: Option<String> = serde_json::from_slice(quoted).ok();
        self.step(name.as_deref().map(str::as_bytes), chunk, at + 1, edits, sink);
    }

    /// The step to the member of this name, which ends before `end`; none if it is no Unicode text.
    #[inline]
    fn step<S: Sink + ?Sized>(
        &mut self,
        name: Option<&[u8]>,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        let Some(level) = self.levels.last() else { return };
        let object = level.state;
        let member = match name {
            Some(name) => self.program.member(object, name),
            None => Member { state: self.program.unspelled(object), spelled: false },
        };
        self.state = member.state;
        if !member.spelled {
            self.unspelled(name, chunk, end, edits, sink);
        }
    }

    /// A member's name that no path spells, which ends before `end`.
    pub(super) fn unspelled<S: Sink + ?Sized>(
        &mut self,
        name: Option<&[u8]>,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        if self.state.is_pending() {
            // What the name is under depends on what the member is.
            self.hold.has_name();
            return;
        }
        let Some(level) = self.levels.last() else { return };
        match edits.name(level.scope, level.state, self.state) {
            OnName::Keep => {}
            OnName::Drop => {
                self.doom(sink);
                self.tell_where(chunk, edits);
            }
            OnName::Capture(capture) => {
                self.written.clear();
                let name = name.and_then(|name| std::str::from_utf8(name).ok());
                if edits.write_name(capture, name, &mut self.written) {
                    self.hold_gap(chunk, end, sink);
                    self.gap.rename(&self.written);
                } else {
                    self.doom(sink);
                }
            }
        }
    }

    /// Whether a name is too long to be decided; `begun` counts its opening quote.
    fn name_is_too_long(&self, begun: usize) -> bool {
        begun > self.limits.name_bytes_max + 1
    }

    /// A name that is too long: longer than any that a path spells.
    #[cold]
    fn doom_long_name<S: Sink + ?Sized>(&mut self, chunk: &[u8], edits: &mut E, sink: &mut S) {
        if let Some(level) = self.levels.last() {
            let member = self.program.unanswered(self.program.unspelled(level.state));
            match edits.name(level.scope, level.state, member) {
                OnName::Drop => {}
                OnName::Keep | OnName::Capture(_) => {
                    edits.name_is_too_long(level.scope, level.state, member);
                }
            }
        }
        self.doom(sink);
        self.tell_where(chunk, edits);
    }

    /// The member whose name has been read, or is being read, is removed.
    pub(super) fn doom<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        self.doomed = true;
        self.skip(sink);
    }

    fn scope(&self, edits: &E) -> E::Scope {
        self.levels.last().map_or_else(|| edits.root(), |level| level.scope)
    }

    /// The gap before the next child begins at `at`.
    #[inline]
    pub(super) fn open_gap(&mut self, at: usize, comma: bool) {
        // What was skipped or put has moved the mark already; what passes does so up to the gap.
        self.gap.open(at, comma);
        self.mode = Mode::Gap;
    }

    /// Copies the gap as far as it has been read, up to `end`.
    pub(super) fn hold_gap<S: Sink + ?Sized>(&mut self, chunk: &[u8], end: usize, sink: &mut S) {
        self.flush(self.gap.from(), sink);
        self.gap.hold(chunk, end, &self.limits);
        self.mark = end;
    }

    /// The value at `at` leaves in some form, and so does the gap before it.
    #[inline]
    fn keep<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        if let Mode::Gap = self.mode {
            let separated = self
                .levels
                .last_mut()
                .is_some_and(|level| std::mem::replace(&mut level.kept, true));
            self.release(chunk, at, separated, sink);
        }
    }

    /// Lets the gap before `at` go, with its comma if `separated`.
    #[inline]
    fn release<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        separated: bool,
        sink: &mut S,
    ) {
        self.mode = Mode::Pass;
        if !self.gap.is_in_chunk(at, &self.limits) {
            self.put_gap(chunk, at, separated, sink);
        } else if self.gap.drops_comma(separated) {
            self.flush(self.gap.from(), sink);
            self.mark = self.gap.from() + 1;
        }
    }

    /// Puts the gap before `at`, which is not in the chunk as it is to leave.
    #[cold]
    fn put_gap<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        separated: bool,
        sink: &mut S,
    ) {
        self.hold_gap(chunk, at, sink);
        self.gap.put(separated, sink);
    }

    /// `null` stands in the place of the value at `at`.
    fn null<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        self.keep(chunk, at, sink);
        self.flush(at, sink);
        sink.put(b"null");
        self.mode = Mode::Skip;
    }

    /// The value at `at` is removed; the root, which must be something, becomes `null`.
    #[inline]
    fn discard<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        if self.levels.is_empty() {
            self.null(chunk, at, sink);
        } else {
            self.skip(sink);
        }
    }

    /// What is being read is removed, with the gap before it.
    #[inline]
    fn skip<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        if let Mode::Gap = self.mode {
            self.flush(self.gap.from(), sink);
        }
        self.mode = Mode::Skip;
    }

    /// Passes what is open up to `to`.
    #[inline]
    pub(super) fn flush<S: Sink + ?Sized>(&mut self, to: usize, sink: &mut S) {
        if self.mark < to {
            sink.pass(self.mark..to);
        }
        self.mark = to;
    }

    fn grammar(&self, at: usize) -> Violation {
        Violation::Grammar { at: self.offset + at as u64 }
    }
}

/// Says where the rewriter stands and what it holds in bytes, and none of the bytes.
impl<E: Edits> fmt::Debug for Rewriter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewriter")
            .field("offset", &self.offset)
            .field("depth", &self.depth())
            .field("expect", &self.expect)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
