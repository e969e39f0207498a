//! Values whose state pends: they wait until their question is answered, and are then read like any other.
//!
//! What the answer takes is looked for in the bytes to come, before they are walked. If they are all in
//! the current chunk, nothing is copied. If not, the rest of the chunk is held, and so are the next ones
//! until the answer is there; then the held bytes go through the same walker, which never knows.

use std::{collections::HashMap, ops::Range, sync::Arc};

use foldhash::fast::RandomState;

use crate::{
    json::{
        edits::{Edits, OnName, Sink},
        filter::{
            ahead::{Ahead, Fate, ValueEnd},
            document::Document,
            evaluation::Inquiry,
            intact::{Kept, Noting},
            judge,
            kept::{Root, is_kept},
            outline::{Outline, Outlined, Unclear},
            scout::Scout,
            value::Spot,
        },
        kernel::Carry,
        limits::Violation,
        rewriter::walker::Rewriter,
    },
    path::{Answers, Program, Question, State},
};

/// A value of at most so many bytes is always judged as a whole: if something that is asked about stands
/// twice in it, only the value is removed. Of a longer one the rest does not wait for more than the
/// answers, and where such a thing comes after them, the body is refused.
const WHOLE_BYTES_MAX: usize = 16 << 10;

/// Whether a value goes on, or waits for bytes to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Goes,
    Waits,
}

/// What waits.
#[derive(Default)]
pub(crate) struct Hold {
    awaited: Option<Awaited>,
    /// The bytes from the value on, those before `from` are done with.
    bytes: Vec<u8>,
    from: usize,
    /// Offset in the document of the byte at `from`.
    offset: u64,
    /// The name of the value is still to be decided.
    name: bool,
}

enum Awaited {
    /// The end of the value, or answers before it.
    End(ValueEnd, Option<Box<Early>>),
    /// More of the array.
    Elements,
}

/// What has been found out.
enum Found {
    Answers(Answers),
    /// More has to come.
    Nothing(Awaited),
    /// Nobody can say.
    Unclear,
}

/// Looks for answers before the end of a value.
struct Early {
    scout: Scout,
    /// How many bytes of the value it has seen.
    seen: usize,
    answers: Option<Answers>,
}

/// What became of a value on the way to its end.
enum Progress {
    /// Nothing yet, or it has ended.
    Open,
    /// The answers are known, and it is long enough to go; so many of the bytes have been seen.
    Answered(Answers, usize),
    /// It was there twice, or too large before the answers were known.
    Unclear,
}

impl Early {
    /// Looks at more of the value. Says how many steps that took, too.
    fn look(&mut self, value: &[u8], bytes_max: usize) -> (Progress, u64) {
        let (seen, before) = (self.seen, self.scout.steps());
        let progress = self.look_at(value, bytes_max);
        (progress, (self.seen - seen) as u64 + (self.scout.steps() - before))
    }

    fn look_at(&mut self, value: &[u8], bytes_max: usize) -> Progress {
        let whole_max = WHOLE_BYTES_MAX.min(bytes_max);
        for (at, byte) in value.iter().enumerate() {
            let more = self.scout.step(*byte);
            if self.scout.has_ended() {
                return Progress::Open;
            }
            self.seen += 1;
            if more && self.answers.is_none() && self.seen <= bytes_max {
                self.answers = self.scout.answers();
            }
            if self.seen < whole_max {
                continue;
            }
            if self.scout.saw_twice() || (self.seen > bytes_max && self.answers.is_none()) {
                return Progress::Unclear;
            }
            if let Some(answers) = self.answers {
                return Progress::Answered(answers, at + 1);
            }
        }
        Progress::Open
    }
}

/// A value that was let go before its end.
pub(crate) struct Watch {
    scout: Scout,
    /// Offset in the document up to which it has been looked at.
    at: u64,
}

/// A value that is there as a whole, and filters are asked of it or of values in it. The outermost one is
/// gone through once for all of these.
pub(crate) struct Asked {
    /// Offsets in the document of its first byte and of that behind it.
    place: Range<u64>,
    outline: Arc<Outline>,
    inquiry: Inquiry,
}

impl Asked {
    /// Bytes that it has room for, besides those of the value.
    pub(super) fn held_bytes(&self) -> usize {
        self.outline.held_bytes()
    }

    /// The offset where all of it has been read.
    pub(super) fn end(&self) -> u64 {
        self.place.end
    }

    /// How a value in it that begins at this offset is told apart in its outline.
    fn base(&self, begins: u64) -> Option<u32> {
        if !self.place.contains(&begins) {
            return None;
        }
        u32::try_from(begins - self.place.start).ok()
    }
}

impl Hold {
    /// Bytes that it has room for.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.awaited.is_some()
    }

    /// Holds more. What is done with makes room before more is asked for, and what is asked for stays below
    /// one and a half times of what may be held.
    fn extend(&mut self, chunk: &[u8], bytes_max: usize) {
        if self.bytes.len() + chunk.len() > self.bytes.capacity() {
            self.bytes.drain(..self.from);
            self.from = 0;
            let (length, wanted) = (self.bytes.len(), self.bytes.len() + chunk.len());
            if wanted > self.bytes.capacity() {
                let room = wanted.max((2 * length).min(bytes_max.saturating_add(bytes_max / 2)));
                self.bytes.reserve_exact(room - length);
            }
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// The value to come has a name that is to be decided with it.
    pub(crate) fn has_name(&mut self) {
        self.name = true;
    }
}

impl<E: Edits> Rewriter<E> {
    /// A value begins at `at` whose state pends. Where it goes on, its state has been settled, or the value
    /// is doomed.
    #[cold]
    pub(super) fn meet<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Met, Violation> {
        let program = Arc::clone(&self.program);
        while let Some(question) = program.question(self.state) {
            let found = match question {
                Question::FromEnd(_) => self.ask_array(&program, chunk, at),
                Question::Filters(_) => self.ask_value(&program, chunk, at, edits)?,
            };
            match found {
                Found::Nothing(awaited) => {
                    self.hold.awaited = Some(awaited);
                    return Ok(Met::Waits);
                }
                Found::Answers(answers) => self.settle(&program, answers, edits, sink),
                Found::Unclear => self.give_up(edits, sink),
            }
        }
        // What was asked may have had very many answers.
        self.make_room();
        if std::mem::take(&mut self.hold.name) {
            self.late_name(chunk, at, edits, sink);
        }
        Ok(Met::Goes)
    }

    /// The name before the value at `at`, which has waited for it, now that the member is known.
    fn late_name<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        let name: Option<String> = serde_json::from_slice(self.gap.name(chunk)).ok();
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
            edits.unsettled(level.scope, self.state);
        }
        self.hold.name = false;
        self.state = State::DEAD;
        self.doom(sink);
    }

    fn ask_array(&mut self, program: &Program, chunk: &[u8], at: usize) -> Found {
        let Some(level) = self.levels.last() else { return Found::Unclear };
        let depth = self.levels.len();
        let (array, index) = (level.state, level.index);
        if self.aheads.last().is_none_or(|ahead| ahead.depth != depth) {
            let begins = (index, self.offset + at as u64);
            let bytes_max = self.limits.candidate_bytes_max;
            self.aheads.push(Ahead::new(program, depth, array, begins, bytes_max));
        }
        let Some(ahead) = self.aheads.last_mut() else { return Found::Unclear };
        let mut fate = ahead.fate(index);
        if fate == Fate::Unknown {
            ahead.look(program, chunk, self.offset);
            fate = ahead.fate(index);
        }
        let Fate::Known { begun, ended } = fate else {
            return if fate == Fate::Unknown {
                Found::Nothing(Awaited::Elements)
            } else {
                Found::Unclear
            };
        };
        let Some(Question::FromEnd(selectors)) = program.question(self.state) else {
            return Found::Unclear;
        };
        let mut selected = Vec::with_capacity(selectors.len());
        for selector in selectors.iter() {
            let decided = if ended {
                Some(selector.selects(index, begun))
            } else {
                selector.decided(index, begun)
            };
            let Some(decided) = decided else { return Found::Unclear };
            selected.push(decided);
        }
        Answers::of(selected).map_or(Found::Unclear, Found::Answers)
    }

    fn ask_value(
        &mut self,
        program: &Program,
        chunk: &[u8],
        at: usize,
        edits: &E,
    ) -> Result<Found, Violation> {
        let rest = chunk.get(at..).unwrap_or_default();
        let bytes_max = self.limits.candidate_bytes_max;
        let mut end = ValueEnd::default();
        let begins = self.offset + at as u64;
        let ends = self.known_end(begins).or_else(|| {
            let ends = end.find(rest);
            self.steps += ends.unwrap_or(rest.len()) as u64;
            ends
        });
        let value = rest.get(..ends.unwrap_or(rest.len())).unwrap_or_default();
        let whole_max = WHOLE_BYTES_MAX.min(bytes_max);
        // Nothing waits, nor has to be let go, where all is there.
        if ends.is_some() && (value.len() <= whole_max || self.document.there().is_some()) {
            return Ok(self.judge(program, begins, value, edits));
        }
        let mut early = self.early(program);
        if let Some(early) = &mut early {
            let (progress, steps) = early.look(value, bytes_max);
            self.steps += steps;
            match progress {
                Progress::Open => {}
                Progress::Unclear => return Ok(Found::Unclear),
                Progress::Answered(answers, seen) => {
                    self.let_go(early, self.offset + (at + seen) as u64, chunk)?;
                    return Ok(Found::Answers(answers));
                }
            }
        }
        Ok(match ends {
            Some(_) => self.judge(program, begins, value, edits),
            None if value.len() > bytes_max => Found::Unclear,
            None => Found::Nothing(Awaited::End(end, early)),
        })
    }

    /// Looks for answers to the filters that the current state asks, if they can be seen going by.
    fn early(&self, program: &Program) -> Option<Box<Early>> {
        let Some(Question::Filters(filters)) = program.question(self.state) else { return None };
        let filters = filters.iter().filter_map(|filter| program.filter(*filter));
        let scout = Scout::new(filters)?;
        Some(Box::new(Early { scout, seen: 0, answers: None }))
    }

    /// A value goes on before its end: what has been seen of it ends at the offset `at`.
    fn let_go(&mut self, early: &mut Early, at: u64, chunk: &[u8]) -> Result<(), Violation> {
        let none = Scout::new(std::iter::empty());
        let Some(none) = none else { return Ok(()) };
        let scout = std::mem::replace(&mut early.scout, none);
        self.watches.push(Watch { scout, at });
        self.watch(chunk)
    }

    /// Looks at the rest of values that were let go, before any of it leaves.
    pub(super) fn watch(&mut self, chunk: &[u8]) -> Result<(), Violation> {
        for watch in &mut self.watches {
            let seen = usize::try_from(watch.at.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            for byte in chunk.get(seen..).unwrap_or_default() {
                if watch.scout.has_ended() {
                    break;
                }
                watch.scout.step(*byte);
                watch.at += 1;
                self.steps += 1;
                if watch.scout.saw_twice() {
                    return Err(Violation::Ambiguous { at: watch.at });
                }
            }
        }
        self.watches.retain(|watch| !watch.scout.has_ended());
        Ok(())
    }

    /// How long the value is that begins at an offset of the document, if it is a container in one that is
    /// there as a whole.
    fn known_end(&self, begins: u64) -> Option<usize> {
        let asked = self.asked.as_ref()?;
        let base = asked.base(begins)?;
        asked.outline.end_of(base).map(|end| (end - base) as usize)
    }

    /// Goes through a value that is there as a whole, and begins at an offset of the document.
    pub(super) fn outline(&mut self, begins: u64, bytes: usize, outline: Arc<Outline>) {
        let place = begins..begins.saturating_add(bytes as u64);
        let inquiry = Inquiry::new(bytes, self.limits.name_bytes_max);
        self.asked = Some(Asked { place, outline, inquiry });
    }

    /// What the filters that the current state asks say of a value, which begins at an offset of the document.
    fn judge(&mut self, program: &Program, begins: u64, value: &[u8], edits: &E) -> Found {
        if value.len() > self.limits.candidate_bytes_max {
            return Found::Unclear;
        }
        let Some(Question::Filters(filters)) = program.question(self.state) else {
            return Found::Unclear;
        };
        if self.asked.as_ref().and_then(|asked| asked.base(begins)).is_none() {
            // As deep as the walker would go: what is deeper is refused when that comes to it.
            let depth_max = self.limits.depth_max.saturating_sub(self.levels.len());
            self.steps += value.len() as u64;
            let Ok(outline) = Outline::of(value, depth_max) else { return Found::Unclear };
            self.outline(begins, value.len(), Arc::new(outline));
        }
        let Some(asked) = &mut self.asked else { return Found::Unclear };
        let Some(base) = asked.base(begins) else { return Found::Unclear };
        let (document, inquiry) = (self.document.there(), &mut asked.inquiry);
        let patterns = &mut self.patterns;
        let before = inquiry.steps();
        let Ok(spot) = Spot::root(Outlined::new(value, base, &asked.outline)) else {
            return Found::Unclear;
        };
        let mut answers = |kept: &mut dyn Kept, inquiry: &mut Inquiry| {
            let mut answers = Vec::with_capacity(filters.len());
            for filter in filters.iter() {
                let filter = program.filter(*filter).ok_or(Unclear)?;
                answers.push(judge::holds(filter, spot, document, inquiry, patterns, kept)?);
            }
            Answers::of(answers).ok_or(Unclear)
        };
        let mut noting = Noting::default();
        let mut found = answers(&mut noting, inquiry);
        // What was measured or compared has to leave as it is if these are the answers.
        if let (Ok(these), true) = (found, noting.was_asked()) {
            let state = program.settle(self.state, these);
            let state = state.filter(|state| !state.is_pending() && *state != State::LOST);
            let around = self.levels.last().map(|level| (level.scope, level.state));
            // Of a member that goes with its name nothing leaves.
            let has_name = self.hold.name;
            let goes = |state| {
                let name = |(scope, object)| edits.keeps_name(scope, object, state);
                has_name && around.map(name) == Some(OnName::Drop)
            };
            found = state.ok_or(Unclear).and_then(|state| {
                let goes = goes(state);
                let scope = around.map_or_else(|| edits.root(), |(scope, _)| scope);
                let element = Root { node: spot.node, state, scope };
                let (begun, known) = (self.begun, &mut self.kept);
                let name_bytes_max = self.limits.name_bytes_max;
                let mut keeper = Keeper {
                    edits,
                    program,
                    element,
                    goes,
                    document,
                    begun,
                    known,
                    name_bytes_max,
                };
                inquiry.forget();
                answers(&mut keeper, inquiry)
            });
            inquiry.forget();
        }
        self.steps += inquiry.steps() - before;
        found.map_or(Found::Unclear, Found::Answers)
    }

    /// Lets the arrays that are looked ahead in see a chunk before it goes, asked or not.
    #[cold]
    pub(super) fn look_ahead(&mut self, chunk: &[u8]) {
        for ahead in &mut self.aheads {
            ahead.look(&self.program, chunk, self.offset);
        }
    }

    /// Holds what is left of a chunk, from the value that waits at `at`.
    pub(super) fn park<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        at: usize,
        edits: &mut E,
        sink: &mut S,
    ) {
        self.hold_gap(chunk, at, sink);
        self.leave_chunk(chunk, edits);
        self.hold.bytes.clear();
        self.hold.bytes.extend_from_slice(chunk.get(at..).unwrap_or_default());
        self.hold.from = 0;
        self.hold.offset = self.offset + at as u64;
    }

    /// Goes on with what waits. Gives the position in the chunk from where on it is to be read, if what
    /// waits does not wait for more.
    pub(super) fn resume<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        let program = Arc::clone(&self.program);
        let mut read = 0;
        while let Some(awaited) = self.hold.awaited.take() {
            match awaited {
                Awaited::End(mut end, mut early) => {
                    let bytes_max = self.limits.candidate_bytes_max;
                    let ends = end.find(chunk);
                    let more = chunk.get(..ends.unwrap_or(chunk.len())).unwrap_or_default();
                    self.steps += more.len() as u64;
                    let looked = early.as_mut().map(|early| early.look(more, bytes_max));
                    let progress = looked.map(|(progress, steps)| {
                        self.steps += steps;
                        progress
                    });
                    match (progress, ends) {
                        (Some(Progress::Answered(answers, seen)), _) => {
                            if let Some(early) = &mut early {
                                self.let_go(early, self.offset + seen as u64, chunk)?;
                            }
                            self.settle(&program, answers, edits, sink);
                        }
                        (Some(Progress::Unclear), _) => self.give_up(edits, sink),
                        (Some(Progress::Open) | None, None) => {
                            if self.hold_more(chunk) {
                                self.hold.awaited = Some(Awaited::End(end, early));
                                return Ok(None);
                            }
                            self.give_up(edits, sink);
                        }
                        (Some(Progress::Open) | None, Some(ends)) => {
                            if self.hold_more(more) {
                                read = ends;
                                match self.judge_held(&program, edits) {
                                    Found::Answers(answers) => {
                                        self.settle(&program, answers, edits, sink);
                                    }
                                    Found::Nothing(_) | Found::Unclear => self.give_up(edits, sink),
                                }
                            } else {
                                self.give_up(edits, sink);
                            }
                        }
                    }
                }
                Awaited::Elements => {
                    let index = self.levels.last().map_or(0, |level| level.index);
                    let Some(ahead) = self.aheads.last_mut() else { return Ok(None) };
                    ahead.look(&program, chunk, self.offset);
                    // What it holds is bounded by the array that is looked ahead in.
                    if ahead.fate(index) == Fate::Unknown {
                        self.hold.extend(chunk, self.limits.candidate_bytes_max);
                        self.hold.awaited = Some(Awaited::Elements);
                        return Ok(None);
                    }
                }
            }
            if !self.state.is_pending() && std::mem::take(&mut self.hold.name) {
                self.late_name(&[], 0, edits, sink);
            }
            self.replay(read > 0, edits, sink)?;
            self.watch(chunk)?;
        }
        self.mark = read;
        Ok(Some(read))
    }

    /// What is said of the value that was held.
    fn judge_held(&mut self, program: &Program, edits: &E) -> Found {
        let bytes = std::mem::take(&mut self.hold.bytes);
        let held = bytes.get(self.hold.from..).unwrap_or_default();
        let found = self.judge(program, self.hold.offset, held, edits);
        self.hold.bytes = bytes;
        found
    }

    /// Holds more of a value, if it may.
    fn hold_more(&mut self, chunk: &[u8]) -> bool {
        let held = self.hold.bytes.len() - self.hold.from;
        let fits = held + chunk.len() <= self.limits.candidate_bytes_max;
        if fits {
            self.hold.extend(chunk, self.limits.candidate_bytes_max);
        }
        fits
    }

    /// Reads what is held, to its end or to the next value that has to wait.
    fn replay<S: Sink + ?Sized>(
        &mut self,
        complete: bool,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        let bytes = std::mem::take(&mut self.hold.bytes);
        let from = self.hold.from;
        let held = bytes.get(from..).unwrap_or_default();
        self.carry = Carry::default();
        self.mark = 0;
        let offset = std::mem::replace(&mut self.offset, self.hold.offset);
        let sink: &mut dyn Sink = &mut Replayed { bytes: held, sink };
        let stopped = self.read(held, 0, edits, sink)?;
        if let Some(at) = stopped {
            self.hold_gap(held, at, sink);
            self.leave_chunk(held, edits);
            self.hold.from = from + at;
            self.hold.offset += at as u64;
        } else if complete {
            self.finish_primitive(edits, sink);
        }
        self.offset = offset;
        self.mark = 0;
        self.hold.bytes = bytes;
        if stopped.is_none() {
            self.hold.bytes.clear();
            self.hold.from = 0;
        } else if self.hold.from > self.hold.bytes.len() / 2 {
            self.hold.bytes.drain(..self.hold.from);
            self.hold.from = 0;
        }
        Ok(())
    }
}

/// Knows what leaves of a value if its state is that, and of the document around it.
struct Keeper<'k, E: Edits> {
    edits: &'k E,
    program: &'k Program,
    element: Root<E::Scope>,
    /// Whether it goes with its name.
    goes: bool,
    document: Option<&'k Document>,
    /// The state of the root of the document, and what is known of containers in that.
    begun: State,
    known: &'k mut HashMap<u32, bool, RandomState>,
    name_bytes_max: usize,
}

impl<E: Edits> Kept for Keeper<'_, E> {
    fn is_kept(
        &mut self,
        spot: Spot<'_>,
        in_document: bool,
        inquiry: &mut Inquiry,
    ) -> Result<bool, Unclear> {
        let (edits, program, name_bytes_max) = (self.edits, self.program, self.name_bytes_max);
        let Spot { of, node } = spot;
        if !in_document {
            return Ok(!self.goes
                && is_kept(edits, program, of, self.element, node, name_bytes_max, inquiry)?);
        }
        if let Some(known) = self.known.get(&node.start) {
            return Ok(*known);
        }
        let root = self.document.ok_or(Unclear)?.root()?.node;
        let root = Root { node: root, state: self.begun, scope: edits.root() };
        let kept = is_kept(edits, program, of, root, node, name_bytes_max, inquiry)?;
        self.known.insert(node.start, kept);
        Ok(kept)
    }
}

/// Knows what leaves of a document, before it is walked.
pub(super) struct Before<'k, E: Edits> {
    pub(super) edits: &'k E,
    pub(super) program: &'k Program,
    /// The state of the root.
    pub(super) begun: State,
    pub(super) name_bytes_max: usize,
}

impl<E: Edits> Kept for Before<'_, E> {
    fn is_kept(
        &mut self,
        Spot { of, node }: Spot<'_>,
        _: bool,
        inquiry: &mut Inquiry,
    ) -> Result<bool, Unclear> {
        let Self { edits, program, begun, name_bytes_max } = *self;
        let root = Root { node: of.root()?, state: begun, scope: edits.root() };
        is_kept(edits, program, of, root, node, name_bytes_max, inquiry)
    }

    fn name_bytes_max(&self) -> usize {
        self.name_bytes_max
    }
}

/// Where bytes go that were held: they are in no chunk any more.
pub(super) struct Replayed<'a, S: ?Sized> {
    pub(super) bytes: &'a [u8],
    pub(super) sink: &'a mut S,
}

impl<S: Sink + ?Sized> Sink for Replayed<'_, S> {
    fn pass(&mut self, range: Range<usize>) {
        self.sink.put(self.bytes.get(range).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }
}
