//! The second stage: walks the tokens, keeps the grammar, and lets decided bytes go.
//!
//! Bytes pass until a comma or an opening bracket; from there to the next value they are a *gap*
//! and wait, because whether the comma and the name leave depends on whether the value does. The
//! value then passes, is skipped or captured. A gap that lies in one chunk and is kept costs
//! nothing: it simply passes after all, together with what is before and behind it. [`Output`] does
//! that.
//!
//! [`Walker::token`] knows what may follow on what, one token at a time. Most tokens need not come
//! to it: where a whole member or element stands in the window, [`Walker::child`] takes all of it
//! at once, [`Walker::cached_members`] many of them where they are like those of the object before,
//! and [`Walker::skim`] what is inside of containers that are decided as a whole. These only take
//! what is right, and leave anything else, and all that is cut, to `token`.
//!
//! It is one file, although a long one: each of its functions moves the same state, and what could be
//! told apart has a file of its own that this one uses ([`Output`], [`Opaque`], [`MemberCache`],
//! [`Removals`], [`Pending`]).

use std::sync::Arc;

use crate::{
    json::{
        edits::{Always, Edits, OnContainer, OnName, OnScalar, Sink},
        filter::{document::Document, evaluation::STEPS_PER_BYTE, patterns::Patterns},
        kernel::{Carry, Events, Kernel, WINDOW_BYTES_MAX},
        limits::{Limits, Violation},
        rewriter::{
            held_bytes::HeldBytes,
            member_cache::MemberCache,
            opaque::{Opaque, OpaqueToken},
            output::Output,
            pending::{Pending, PendingValue, Resumed, Verdict},
            primitive::{self, Primitive, PrimitiveStep},
            removals::Removals,
            replay::ReplaySink,
            stack::{Expect, Level, Position},
            subtree,
            utf8::Utf8,
            window::{TokenRun, Window, first_kind},
        },
    },
    path::{Answers, Kind, Member, Program, State},
};

/// How many steps states may take that are made on the way, in a response that is not long enough
/// for [`STEPS_PER_BYTE`] to be more.
///
/// Paths such as `$..a.*.*.*.b` can have exponentially many states: without a limit, a document
/// made for them keeps a core busy for as long as its sender likes. A short document may take
/// these, a fraction of a second, at once.
const STATE_STEPS_MIN: u64 = 1 << 24;

/// After how many members, elements or tokens it is looked at what states take. A token can make as
/// many states as its path has positions, so the overshoot is bounded; a look at each token would
/// cost more than most tokens do.
const STATES_CHECKED_EVERY: u32 = 8;

/// Whether a value goes on, or waits for bytes to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    Waits,
}

/// Walks one document.
pub(super) struct Walker<E: Edits> {
    program: Arc<Program>,
    limits: Limits,
    kernel: Kernel,
    carry: Carry,
    utf8: Utf8,
    expect: Expect,
    /// The containers around the next token whose children are decided one by one.
    levels: Vec<Level<E::Scope>>,
    /// The container around it that is decided as a whole.
    opaque: Opaque,
    /// What the value to come has matched.
    state: State,
    /// A value that is dropped without being asked for: its name was.
    dropped: bool,
    output: Output<E::Capture>,
    /// A number or literal that is under way.
    primitive: Option<Primitive>,
    cache: MemberCache<E::Scope>,
    removals: Removals,
    pending: Pending,
    /// Bytes of the chunks before the current one.
    offset: u64,
    /// Bytes of the documents before it.
    before: u64,
}

impl<E: Edits> Walker<E> {
    /// A walker for a document that has matched `state`.
    pub(super) fn new(program: Arc<Program>, state: State, limits: Limits, kernel: Kernel) -> Self {
        Self {
            program,
            limits,
            kernel,
            carry: Carry::default(),
            utf8: Utf8::default(),
            expect: Expect::Value,
            levels: Vec::new(),
            opaque: Opaque::default(),
            state,
            dropped: false,
            output: Output::new(limits),
            primitive: None,
            cache: MemberCache::default(),
            removals: Removals::default(),
            pending: Pending::new(state, limits),
            offset: 0,
            before: 0,
        }
    }

    /// Reads with this kernel from now on.
    pub(super) fn read_with(&mut self, kernel: Kernel) {
        self.kernel = kernel;
    }

    /// Begins the next document, with what documents of a row have in common and what a response
    /// may have so much of.
    pub(super) fn restart(&mut self) {
        let start = self.program.start();
        let fresh = Self::new(Arc::clone(&self.program), start, self.limits, self.kernel);
        let last = std::mem::replace(self, fresh);
        self.cache = last.cache;
        self.removals = last.removals.restart();
        self.pending = last.pending.restart(start, self.limits);
        self.before = last.before.saturating_add(last.offset);
    }

    /// Another walker of this kind, which has no paths and other edits.
    pub(super) fn without_paths<F: Edits>(&self) -> Result<Walker<F>, Violation> {
        // Without paths there is nothing that could be too complex.
        let program = Arc::new(Program::compile(&[]).map_err(|_never| Violation::Cut)?);
        let start = program.start();
        Ok(Walker::new(program, start, self.limits, self.kernel))
    }

    /// The paths that it reads with.
    pub(super) fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How much it may hold.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of documents that it holds, or has room for, between two calls.
    pub(super) fn held_bytes(&self) -> usize {
        self.output.held_bytes() + self.pending.held_bytes()
    }

    /// How many steps it has taken besides the walk over the tokens.
    pub(super) fn steps(&self) -> u64 {
        self.pending.steps().saturating_add(self.program.steps())
    }

    /// Bytes of the chunks before the current one.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How deep the next token stands.
    pub(super) fn depth(&self) -> usize {
        self.levels.len() + self.opaque.depth()
    }

    /// What comes next in the grammar.
    pub(super) fn expect(&self) -> Expect {
        if self.opaque.is_open() { self.opaque.expect() } else { self.expect }
    }

    /// Whether the document is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.expect == Expect::Nothing && self.utf8.is_complete() && !self.pending.is_waiting()
    }

    /// What a look-up of the document needs: the patterns that came from documents, and what the
    /// root has matched.
    pub(super) fn for_look_up(&mut self) -> (&mut Patterns, State) {
        self.pending.for_look_up()
    }

    /// The document is there as a whole.
    pub(super) fn put_document(&mut self, document: Arc<Document>) {
        self.pending.put_document(document);
    }

    /// A chunk comes, which has to be UTF-8.
    pub(super) fn begin_chunk(&mut self, chunk: &[u8]) -> Result<(), Violation> {
        self.utf8.push(chunk).map_err(|at| Violation::Utf8 { at: self.offset + at as u64 })?;
        self.pending.watch(chunk, self.offset)?;
        self.output.begin_at(0);
        self.cache.retry();
        Ok(())
    }

    /// The chunk goes.
    pub(super) fn leave_chunk(&mut self, chunk: &[u8]) {
        self.pending.look_ahead(&self.program, chunk, self.offset);
        self.begin_at(self.offset + chunk.len() as u64);
        self.pending.read_to(self.offset);
    }

    /// What comes next is a chunk at this offset of the document.
    fn begin_at(&mut self, offset: u64) {
        self.offset = offset;
        self.removals.begin_chunk(offset);
    }

    /// Reads a chunk from a position on, to its end or to a value that has to wait: gives the
    /// position of that.
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
                self.output.flush_decided(sink);
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

    /// Whether a value waits for more of the document.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_waiting()
    }

    /// The chunk goes from the value on that waits at `at`: what is before it is dealt with. Gives
    /// the offset of the value.
    pub(super) fn park<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> u64 {
        self.output.hold_gap(chunk, at, sink);
        self.forget_chunk(chunk, edits);
        self.offset + at as u64
    }

    /// Goes on with what waits, as far as this chunk and what is held allow. Where what is held is
    /// to be read now, gives how many bytes of the chunk were held with it because it ends in that;
    /// 0 if none were.
    pub(super) fn resume<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        held: &mut HeldBytes,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        let program = Arc::clone(&self.program);
        let position = Position::new(&self.levels, chunk, self.offset);
        let value = PendingValue::new(&program, &*edits, position, self.state);
        let Resumed::Read(verdict, ends) = self.pending.resume(&value, held)? else {
            return Ok(None);
        };
        match verdict {
            Some(Verdict::Answers(answers)) => self.settle(&program, answers, edits, sink),
            Some(Verdict::Indeterminate | Verdict::Waits) => self.give_up(edits, sink),
            None => {}
        }
        if !self.state.is_pending() && self.pending.take_name() {
            self.late_name(&[], 0, edits, sink);
        }
        Ok(Some(ends.unwrap_or(0)))
    }

    /// Reads bytes that were held from this offset on, to their end or to the next value that has
    /// to wait; then looks at the chunk. `is_complete` says whether the value is that they begin
    /// with.
    pub(super) fn replay<S: Sink + ?Sized>(
        &mut self,
        (held, offset, is_complete): (&[u8], u64, bool),
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        // The kernel stands at the end of the chunk that the value began in: it begins anew,
        // outside of strings.
        self.carry = Carry::default();
        self.output.begin_at(0);
        let current = self.offset;
        self.begin_at(offset);
        let sink: &mut dyn Sink = &mut ReplaySink::new(held, sink);
        let stopped = self.read(held, 0, edits, sink)?;
        if let Some(at) = stopped {
            self.park(held, at, edits, sink);
        } else if is_complete {
            self.finish_primitive(edits, sink);
        }
        self.begin_at(current);
        self.output.begin_at(0);
        self.pending.watch(chunk, self.offset)?;
        Ok(stopped)
    }

    /// Reads on in the chunk from here.
    pub(super) fn go_on_at(&mut self, from: usize) {
        self.output.begin_at(from);
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
            self.walk(&Window::new(chunk, base, events), edits, sink)
        })
    }

    /// Deals with the bytes of the chunk that are still open: the chunk is about to go.
    fn end_chunk<S: Sink + ?Sized>(&mut self, chunk: &[u8], edits: &mut E, sink: &mut S) {
        self.output.end_chunk(chunk, sink);
        if self.output.is_in_gap()
            && self.expect == Expect::NameEnd
            && self.name_is_too_long(self.output.gap().name_held())
        {
            self.drop_long_name(chunk, edits, sink);
        }
        self.output.begin_at(0);
        self.forget_chunk(chunk, edits);
    }

    /// The chunk goes, and with it the names of the containers that it began.
    fn forget_chunk(&mut self, chunk: &[u8], edits: &mut E) {
        self.output.leave_chunk();
        self.removals.leave_chunk(&self.levels, chunk, edits);
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
        let mut tokens = 0_u32;
        while next < window.count() {
            if is_lazy {
                // Often enough, for what a token can take is bounded, too.
                if tokens.is_multiple_of(STATES_CHECKED_EVERY) {
                    let [at] = window.at(next);
                    self.check_states(at)?;
                }
                tokens = tokens.wrapping_add(1);
            }
            let taken = match self.expect {
                _ if self.opaque.is_open() => self.skim(window, next, edits, sink),
                Expect::Name | Expect::NameOrEnd | Expect::Value | Expect::ElementOrEnd => {
                    self.child(window, next, edits, sink)?
                }
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
            let ([at], kind) = (window.at(next), first_kind(window.kinds(next)));
            if self.opaque.is_open() {
                self.opaque_token(window.chunk(), at, kind, edits, sink)?;
            } else if self.token(window.chunk(), at, kind, edits, sink)? == Readiness::Waits {
                return Ok(Some(at));
            }
            next += 1;
        }
        Ok(None)
    }

    /// Whole members, or a whole element, and what is behind them, if they are all in the window
    /// and right; or the name of a member and the begin of its value. Gives the next token that is
    /// not dealt with.
    ///
    /// Members and elements share this code, and it is called from one place: so it is inlined
    /// there, and what it reads of a value stays in registers.
    #[inline]
    fn child<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        mut next: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<usize, Violation> {
        let mut tokens = window.kinds(next);
        let (value, after);
        if matches!(self.expect, Expect::Name | Expect::NameOrEnd) {
            let cached = self.cached_members(window, next, edits, sink);
            if cached > next {
                return Ok(cached);
            }
            if !TokenRun::NAME.begins(tokens) {
                return Ok(next);
            }
            let [from, to, _, first, second] = window.at(next);
            if !self.whole_name(window, from, to, edits, sink) {
                return Ok(next);
            }
            // The tokens behind the name are at hand: another look at the window would cost as much
            // as a member.
            (value, after) = (first, second);
            next += TokenRun::NAME.length();
            tokens >>= 8 * TokenRun::NAME.length();
        } else {
            [value, after] = window.at(next);
        }
        if self.state.is_pending() {
            return Ok(next);
        }
        let (end, behind) = match first_kind(tokens) {
            b'"' if TokenRun::TEXT.begins(tokens) => (after + 1, next + TokenRun::TEXT.length()),
            b'{' => {
                self.container(window.chunk(), value, Kind::Object, edits, sink)?;
                return Ok(next + 1);
            }
            b'[' => {
                self.container(window.chunk(), value, Kind::Array, edits, sink)?;
                return Ok(next + 1);
            }
            0 | b'"' | b'}' | b']' | b':' | b',' => return Ok(next),
            _ => match primitive::end(window.chunk(), value) {
                Some(end) => (end, next + 1),
                None => return Ok(next),
            },
        };
        self.scalar(window.chunk(), value, edits, sink);
        self.value_ends(window.chunk(), end, edits, sink);
        Ok(self.behind(window, behind, sink))
    }

    /// The name between the quotes at `from` and `to`, with its colon. Gives whether it could be
    /// taken: only reading it byte by byte can tell what it is if it has an escape or began in
    /// another chunk.
    #[inline]
    fn whole_name<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        from: usize,
        to: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> bool {
        let Some(member) = self.named(window, from, to) else { return false };
        self.output.begin_name(from);
        self.output.end_name(to + 1);
        self.state = member.state;
        if !member.spelled {
            let name = window.chunk().get(from + 1..to);
            self.unspelled(name, window.chunk(), to + 1, edits, sink);
        }
        self.expect = Expect::Value;
        true
    }

    /// What is behind a value: brackets that close, and a comma. Gives the next token that is not
    /// dealt with.
    #[inline]
    fn behind<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        mut next: usize,
        sink: &mut S,
    ) -> usize {
        while self.expect == Expect::CommaOrEnd {
            let [at] = window.at(next);
            match first_kind(window.kinds(next)) {
                b',' => {
                    self.comma(at);
                    return next + 1;
                }
                bracket @ (b'}' | b']') if self.closes(bracket) => {
                    self.close(window.chunk(), at, sink);
                    next += 1;
                }
                _ => break,
            }
        }
        next
    }

    /// What the member is whose name stands between the quotes at `from` and `to`; none if only
    /// reading it byte by byte can tell.
    #[inline]
    fn named(&mut self, window: &Window<'_>, from: usize, to: usize) -> Option<Member> {
        let level = self.levels.last()?;
        let (slot, index, object) = (level.slot(), level.index(), level.state());
        if let Some(member) = self.cache.member(slot, index, window.chunk(), from + 1) {
            return Some(member);
        }
        let name = window.plain_name(from, to, self.limits.name_bytes_max)?;
        let member = self.program.member(object, name);
        self.cache.remember(slot, index, window.chunk(), (from + 1, name.len()), member);
        Some(member)
    }

    /// Takes members that are like those of the object before, of which is known what always
    /// happens to them, and which stand in the window with the comma behind them. Gives the next
    /// token that is not dealt with.
    fn cached_members<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        first: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> usize {
        if !self.cache.trusts_runs() {
            return first;
        }
        let begun = self.output.gap().begun_here();
        let (Some(level), Some((mut gap, mut comma))) = (self.levels.last(), begun) else {
            return first;
        };
        if !level.slot().is_known() {
            return first;
        }
        let depth_max = self.opaque_depth_max();
        let (slot, object, scope) = (level.slot(), level.state(), level.scope());
        let mut reported = self.removals.is_known_reported(&self.levels);
        let mut kept = level.has_kept();
        let from_place = slot.member(level.index());
        let mut place = from_place;
        let (mut next, mut passed) = (first, 0);
        loop {
            let tokens = window.kinds(next);
            let [from, _, _, value, last, behind] = window.at(next);
            if !TokenRun::NAME.begins(tokens) {
                break;
            }
            let Some(cached) = self.cache.expected(place, slot, window.chunk(), from + 1) else {
                break;
            };
            let always = cached.always(|member, kind| {
                let unspelled = (!member.spelled).then_some(object);
                edits.always(scope, member.state, kind, unspelled)
            });
            let kind = first_kind(tokens >> (8 * TokenRun::NAME.length()));
            let Some(always) = always.of_value(kind) else {
                self.cache.trust_runs_less();
                break;
            };
            let at = [value, last, behind];
            let Some(member) = MemberValue::read(window, next, tokens, at, depth_max) else {
                break;
            };
            reported = reported
                || (always == Always::Withhold
                    && self.removals.is_reported(&self.levels, window.chunk()));
            // A gap that leaves in one piece costs nothing. One that loses its comma or is too long
            // has to be changed, and then the member takes the slow path, where all of that is
            // done.
            let stays = (kept || !comma) && value - gap <= self.limits.gap_bytes_max;
            match always {
                Always::Pass if stays => {
                    kept = true;
                    passed += member.scalars;
                }
                Always::Null if stays => {
                    kept = true;
                    self.output.null_between(value, member.end, sink);
                }
                // The first that is withheld has to be reported.
                Always::Drop | Always::Withhold if reported || always == Always::Drop => {
                    self.output.drop_between(gap, member.end, sink);
                }
                Always::Pass | Always::Null | Always::Drop | Always::Withhold => break,
            }
            (gap, comma) = (member.comma, true);
            place = place.wrapping_add(1);
            next = member.next;
        }
        let members = place.wrapping_sub(from_place);
        if members > 0 {
            if passed > 0 {
                edits.passed(passed);
            }
            self.go_on_behind(members, kept, gap, comma);
        }
        next
    }

    /// So many members were taken together, and the comma behind the last one begins the next gap.
    fn go_on_behind(&mut self, members: u16, kept: bool, gap: usize, comma: bool) {
        if let Some(level) = self.levels.last_mut() {
            level.pass_children(members, kept);
        }
        self.cache.trust_runs_more();
        self.output.open_gap(gap, comma);
        self.expect = Expect::Name;
    }

    /// Reads on in a container that was decided as a whole, and what is behind it, as long as
    /// everything stands in the window and is right. Gives the next token that is not dealt with.
    fn skim<S: Sink + ?Sized>(
        &mut self,
        window: &Window<'_>,
        next: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> usize {
        let next = self.opaque.skim(window, next, self.opaque_depth_max());
        if self.opaque.is_open() {
            return next;
        }
        let [bracket] = window.at(next - 1);
        self.opaque_ends(window.chunk(), bracket + 1, edits, sink);
        self.behind(window, next, sink)
    }

    /// A token inside of a container that was decided as a whole.
    fn opaque_token<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        byte: u8,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        match self.opaque.token(byte, self.opaque_depth_max()) {
            OpaqueToken::Inside => Ok(()),
            OpaqueToken::Primitive => self.primitive(Primitive::START, chunk, at, edits, sink),
            OpaqueToken::Ended => {
                self.opaque_ends(chunk, at + 1, edits, sink);
                Ok(())
            }
            OpaqueToken::TooDeep => Err(Violation::Depth { at: self.offset + at as u64 }),
            OpaqueToken::Wrong => Err(self.grammar(at)),
        }
    }

    /// The container that was decided as a whole ends before `end`.
    fn opaque_ends<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        if let Some(scalars) = self.opaque.passed() {
            edits.passed(scalars);
        }
        self.value_ends(chunk, end, edits, sink);
    }

    /// How many containers may be nested in one that is decided as a whole, itself included.
    fn opaque_depth_max(&self) -> usize {
        self.limits.depth_max.saturating_sub(self.levels.len())
    }

    /// What may follow on what, where children are decided one by one.
    fn token<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        byte: u8,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Readiness, Violation> {
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
                if self.waits(chunk, at, edits, sink)? == Readiness::Waits {
                    return Ok(Readiness::Waits);
                }
                self.scalar(chunk, at, edits, sink);
                self.expect = Expect::StringEnd;
            }
            (Expect::Value | Expect::ElementOrEnd, b'}' | b']' | b':' | b',') => {
                return Err(self.grammar(at));
            }
            (Expect::Value | Expect::ElementOrEnd, _) => {
                if self.waits(chunk, at, edits, sink)? == Readiness::Waits {
                    return Ok(Readiness::Waits);
                }
                self.scalar(chunk, at, edits, sink);
                self.primitive(Primitive::START, chunk, at, edits, sink)?;
            }
            (Expect::Name | Expect::NameOrEnd, b'"') => {
                self.output.begin_name(at);
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
        Ok(Readiness::Ready)
    }

    /// Whether the value at `at` has to wait.
    #[inline]
    fn waits<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Readiness, Violation> {
        if self.state.is_pending() && !self.dropped {
            self.settle_pending(chunk, at, edits, sink)
        } else {
            Ok(Readiness::Ready)
        }
    }

    /// A value begins at `at` whose state pends. Where it goes on, its state has been settled, or
    /// the value is dropped.
    #[cold]
    fn settle_pending<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Readiness, Violation> {
        let program = Arc::clone(&self.program);
        while program.question(self.state).is_some() {
            let position = Position::new(&self.levels, chunk, self.offset);
            let value = PendingValue::new(&program, &*edits, position, self.state);
            match self.pending.ask(&value, at)? {
                Verdict::Waits => return Ok(Readiness::Waits),
                Verdict::Answers(answers) => self.settle(&program, answers, edits, sink),
                Verdict::Indeterminate => self.give_up(edits, sink),
            }
        }
        // What was asked may have had very many answers.
        self.make_room();
        if self.pending.take_name() {
            self.late_name(chunk, at, edits, sink);
        }
        Ok(Readiness::Ready)
    }

    /// The name before the value at `at`, which has waited for it, now that the member is known.
    fn late_name<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        let name: Option<String> = serde_json::from_slice(self.output.gap().name(chunk)).ok();
        self.unspelled(name.as_deref().map(str::as_bytes), chunk, at, edits, sink);
    }

    fn settle<S: Sink + ?Sized>(
        &mut self,
        program: &Program,
        answers: Answers,
        edits: &mut E,
        sink: &mut S,
    ) {
        match program.settle(self.state, answers) {
            Some(state) => self.state = state,
            None => self.give_up(edits, sink),
        }
    }

    /// The value that pends is removed.
    fn give_up<S: Sink + ?Sized>(&mut self, edits: &mut E, sink: &mut S) {
        if let Some(level) = self.levels.last() {
            edits.unsettled(level.scope(), self.state);
        }
        self.pending.take_name();
        self.state = State::DEAD;
        self.drop_value(sink);
    }

    /// A container begins at `at`.
    fn container<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        kind: Kind,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Readiness, Violation> {
        if self.waits(chunk, at, edits, sink)? == Readiness::Waits {
            return Ok(Readiness::Waits);
        }
        let decided = if self.dropped {
            OnContainer::Drop
        } else {
            edits.container(self.scope(edits), self.state, kind)
        };
        match decided {
            OnContainer::Enter(scope) => {
                self.check_depth(at)?;
                self.keep(chunk, at, sink);
                let parent = self.levels.last();
                let parent = parent.map(|level| (level.kind(), level.slot(), level.index()));
                let slot = self.cache.slot(parent, kind, self.state, scope);
                let gap = self.output.gap();
                let name = self.removals.name_of_container(&self.levels, chunk, gap, edits);
                self.levels.push(Level::new(kind, self.state, scope, slot, name));
                self.output.open_gap(at + 1, false);
                self.expect = Expect::first_in(kind);
                if kind == Kind::Array {
                    self.state = self.program.element(self.state, 0);
                }
                return Ok(Readiness::Ready);
            }
            OnContainer::Pass => self.keep(chunk, at, sink),
            OnContainer::Null => self.null(chunk, at, sink),
            OnContainer::Drop => {
                self.discard(chunk, at, sink);
                self.report_removal(chunk, edits);
            }
        }
        self.check_depth(at)?;
        self.opaque.begin(kind, matches!(decided, OnContainer::Pass));
        Ok(Readiness::Ready)
    }

    /// Sees to it that states which are made on the way are neither too many nor too much work.
    #[cold]
    fn check_states(&mut self, at: usize) -> Result<(), Violation> {
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

    /// Lets the program forget, if that is due, all states but those of the containers around and
    /// of the value to come.
    #[inline]
    fn make_room(&mut self) {
        if self.program.is_crowded() {
            self.forget_states();
        }
    }

    #[cold]
    fn forget_states(&mut self) {
        let levels = self.levels.iter_mut().map(Level::state_to_keep);
        let states = levels.chain(self.pending.states()).chain([&mut self.state]);
        self.program.forget_all_but(states);
        // What is cached are states, too.
        self.cache = MemberCache::default();
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
            self.output.is_open_at(at) && at < chunk.len(),
            "a token lies in what is not dealt with"
        );
        let decided =
            if self.dropped { OnScalar::Drop } else { edits.scalar(self.scope(edits), self.state) };
        match decided {
            OnScalar::Pass => self.keep(chunk, at, sink),
            OnScalar::Null => self.null(chunk, at, sink),
            OnScalar::Drop => {
                self.discard(chunk, at, sink);
                self.report_removal(chunk, edits);
            }
            OnScalar::Capture(capture) => {
                self.keep(chunk, at, sink);
                self.output.capture(capture, at, sink);
                if edits.asks_where_captured(capture) {
                    let gap = self.output.gap();
                    let place = self.removals.value_place(&self.levels, chunk, gap, edits);
                    edits.captured_at(place);
                }
            }
        }
    }

    /// Reports that something was removed in the innermost container, if that is asked.
    #[inline]
    fn report_removal(&mut self, chunk: &[u8], edits: &mut E) {
        self.removals.report(&self.levels, chunk, edits);
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
        if self.opaque.is_open() {
            self.opaque.end_scalar();
        } else {
            self.value_ends(chunk, end, edits, sink);
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
        if let Some(capture) = self.output.end_value(end) {
            self.captured_ends(capture, chunk, end, edits, sink);
        }
        self.dropped = false;
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
        self.output.write(chunk, end, sink, |raw, out| edits.write_scalar(capture, raw, out));
        self.report_removal(chunk, edits);
    }

    /// The comma at `at` begins the gap before the next child.
    #[inline]
    fn comma(&mut self, at: usize) {
        self.output.open_gap(at, true);
        let Some(level) = self.levels.last_mut() else { return };
        self.expect = Expect::after_comma(level.kind());
        level.next_child();
        if level.kind() == Kind::Array {
            self.state = self.program.element(level.state(), level.index());
        }
    }

    fn closes(&self, bracket: u8) -> bool {
        self.levels.last().is_some_and(|level| level.closes_with(bracket))
    }

    /// The bracket at `at` closes the innermost container.
    fn close<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        // An empty container: the white space inside is a gap that no value follows.
        if self.output.is_in_gap() {
            self.output.release(chunk, at, false, sink);
        }
        self.levels.pop();
        self.removals.close(self.levels.len());
        self.pending.close(self.levels.len());
        self.expect = if self.levels.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    /// The quote at `at` ends a name.
    fn name<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, edits: &mut E, sink: &mut S) {
        if self.dropped {
            return;
        }
        self.output.end_name(at + 1);
        if self.output.gap().name_is_split() {
            self.output.hold_gap(chunk, at + 1, sink);
        }
        let quoted = self.output.gap().name(chunk);
        if self.name_is_too_long(quoted.len().saturating_sub(1)) {
            self.drop_long_name(chunk, edits, sink);
            return;
        }
        // A lone surrogate is no Unicode text, so no path can spell it: taken for anything else, it
        // would be a way to write a name that a path does not find and some readers do.
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
        let object = level.state();
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
    fn unspelled<S: Sink + ?Sized>(
        &mut self,
        name: Option<&[u8]>,
        chunk: &[u8],
        end: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        if self.state.is_pending() {
            // What the name is under depends on what the member is.
            self.pending.defer_name();
            return;
        }
        let Some(level) = self.levels.last() else { return };
        match edits.name(level.scope(), level.state(), self.state) {
            OnName::Keep => {}
            OnName::Drop => {
                self.drop_value(sink);
                self.report_removal(chunk, edits);
            }
            OnName::Capture(capture) => {
                let name = name.and_then(|name| std::str::from_utf8(name).ok());
                let write = |out: &mut Vec<u8>| edits.write_name(capture, name, out);
                if !self.output.rename(chunk, end, sink, write) {
                    self.drop_value(sink);
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
    fn drop_long_name<S: Sink + ?Sized>(&mut self, chunk: &[u8], edits: &mut E, sink: &mut S) {
        if let Some(level) = self.levels.last() {
            let member = self.program.unanswered(self.program.unspelled(level.state()));
            match edits.name(level.scope(), level.state(), member) {
                OnName::Drop => {}
                OnName::Keep | OnName::Capture(_) => {
                    edits.name_is_too_long(level.scope(), level.state(), member);
                }
            }
        }
        self.drop_value(sink);
        self.report_removal(chunk, edits);
    }

    /// The member whose name has been read, or is being read, is removed.
    fn drop_value<S: Sink + ?Sized>(&mut self, sink: &mut S) {
        self.dropped = true;
        self.output.skip(sink);
    }

    fn scope(&self, edits: &E) -> E::Scope {
        self.levels.last().map_or_else(|| edits.root(), Level::scope)
    }

    /// The value at `at` leaves in some form, and so does the gap before it.
    #[inline]
    fn keep<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        if self.output.is_in_gap() {
            let separated = self.levels.last_mut().is_some_and(Level::keep_child);
            self.output.release(chunk, at, separated, sink);
        }
    }

    /// `null` stands in the place of the value at `at`.
    fn null<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        self.keep(chunk, at, sink);
        self.output.null(at, sink);
    }

    /// The value at `at` is removed; the root, which must be something, becomes `null`.
    #[inline]
    fn discard<S: Sink + ?Sized>(&mut self, chunk: &[u8], at: usize, sink: &mut S) {
        if self.levels.is_empty() {
            self.null(chunk, at, sink);
        } else {
            self.output.skip(sink);
        }
    }

    fn grammar(&self, at: usize) -> Violation {
        Violation::Grammar { at: self.offset + at as u64 }
    }
}

/// The value of a member that stands in the window with the comma behind it.
struct MemberValue {
    /// Where it ends, and where the comma stands.
    end: usize,
    comma: usize,
    /// The token behind the comma.
    next: usize,
    /// How many scalars it holds.
    scalars: u64,
}

impl MemberValue {
    /// That of the member that the token `next` begins; `tokens` are the kinds from there on, and
    /// the three places where the value and the two tokens behind its first stand. None if it does
    /// not stand in the window so, or is not right.
    #[expect(clippy::inline_always, reason = "four values, and every cached member is read here")]
    #[inline(always)]
    fn read(
        window: &Window<'_>,
        next: usize,
        tokens: u64,
        [value, last, behind]: [usize; 3],
        depth_max: usize,
    ) -> Option<Self> {
        match first_kind(tokens >> (8 * TokenRun::NAME.length())) {
            b'"' if TokenRun::TEXT_MEMBER.begins(tokens) => {
                let next = next + TokenRun::TEXT_MEMBER.length();
                Some(Self { end: last + 1, comma: behind, next, scalars: 1 })
            }
            b'{' | b'[' => {
                let from = next + TokenRun::NAME.length();
                let read = subtree::read(window, from, depth_max)?;
                let [bracket, comma] = window.at(read.behind() - 1);
                if first_kind(window.kinds(read.behind())) != b',' {
                    return None;
                }
                let (end, next) = (bracket + 1, read.behind() + 1);
                Some(Self { end, comma, next, scalars: read.scalars() })
            }
            0 | b'"' | b'}' | b']' | b':' | b',' => None,
            _ => {
                let b',' = first_kind(tokens >> (8 * (TokenRun::NAME.length() + 1))) else {
                    return None;
                };
                let end = primitive::end(window.chunk(), value)?;
                let next = next + TokenRun::NAME.length() + 2;
                Some(Self { end, comma: last, next, scalars: 1 })
            }
        }
    }
}
