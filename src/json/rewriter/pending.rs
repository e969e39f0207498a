//! Values whose state pends: they wait until their question is answered, and are then read like any
//! other.
//!
//! What the answer takes is looked for in the bytes to come, before they are walked. If they are
//! all in the current chunk, nothing is copied. If not, the rest of the chunk is held, and so are
//! the next ones until the answer is there; then the held bytes go through the same walker, which
//! never knows.

use std::{ops::Range, sync::Arc};

use crate::{
    json::{
        edits::{Edits, OnName},
        filter::{
            document::Document,
            early::{DuplicateWatch, EarlyAnswers, Progress, WHOLE_BYTES_MAX},
            evaluation::Evaluation,
            evaluator,
            intact::{IntactCheck, RecordingCheck},
            lookahead::{ArrayLookahead, ElementStatus, ValueEnd},
            outline::{Indeterminate, Outline, Outlined},
            patterns::Patterns,
            preview::{KnownIntact, Preview},
            value::ValueRef,
        },
        limits::{Limits, Violation},
        rewriter::{
            held_bytes::HeldBytes,
            stack::{Level, Position},
        },
    },
    path::{Answers, FilterId, Program, Question, State},
};

/// What is known of a value whose state pends.
pub(super) enum Verdict {
    Answers(Answers),
    /// More has to come.
    Waits,
    /// Nobody can say, or it is too large.
    Indeterminate,
}

/// What is known of a value that has waited.
pub(super) enum Resumed {
    /// More has to come.
    Waits,
    /// What is held is to be read; so many bytes of the chunk were held with it, if it ends in
    /// that.
    Read(Option<Verdict>, Option<usize>),
}

enum Awaited {
    /// The end of the value, or answers before it.
    End(ValueEnd, Option<Box<EarlyAnswers>>),
    /// More of the array.
    Elements,
}

/// A value whose state pends, and where it stands.
pub(super) struct PendingValue<'v, E: Edits> {
    program: &'v Program,
    edits: &'v E,
    position: Position<'v, E::Scope>,
    state: State,
}

impl<'v, E: Edits> PendingValue<'v, E> {
    pub(super) fn new(
        program: &'v Program,
        edits: &'v E,
        position: Position<'v, E::Scope>,
        state: State,
    ) -> Self {
        Self { program, edits, position, state }
    }

    fn level(&self) -> Option<&Level<E::Scope>> {
        self.position.levels().last()
    }

    fn filters(&self) -> Option<Arc<[FilterId]>> {
        match self.program.question(self.state)? {
            Question::Filters(filters) => Some(filters),
            Question::FromEnd(_) => None,
        }
    }
}

/// A value that is there as a whole, and filters are asked of it or of values in it. The outermost
/// one is gone through once for all of these.
struct AskedValue {
    /// Offsets in the document of its first byte and of that behind it.
    place: Range<u64>,
    outline: Arc<Outline>,
    evaluation: Evaluation,
}

impl AskedValue {
    /// Of so many bytes from an offset of the document on.
    fn new(begins: u64, bytes: usize, outline: Arc<Outline>, limits: &Limits) -> Self {
        let place = begins..begins.saturating_add(bytes as u64);
        Self { place, outline, evaluation: Evaluation::new(bytes, limits.name_bytes_max) }
    }

    /// How a value in it that begins at this offset is told apart in its outline.
    fn base(&self, begins: u64) -> Option<u32> {
        if !self.place.contains(&begins) {
            return None;
        }
        u32::try_from(begins - self.place.start).ok()
    }
}

/// Answers what paths ask of values, as far as their bytes are there.
pub(super) struct Pending {
    limits: Limits,
    /// What the root has matched.
    root: State,
    /// What a value waits for, if one does.
    awaited: Option<Awaited>,
    /// The name of the value is still to be decided.
    has_name: bool,
    /// The arrays around the next token that are looked ahead in, the innermost last.
    lookaheads: Vec<ArrayLookahead>,
    /// Values that were let go before their end, and are looked at to their end.
    watches: Vec<DuplicateWatch>,
    /// The value that filters are asked of, while it is read.
    asked: Option<AskedValue>,
    /// The document, where filters ask about it.
    document: Option<Arc<Document>>,
    /// What is known of the containers in it.
    known_intact: KnownIntact,
    /// The patterns of filters that came from documents.
    patterns: Patterns,
    /// How many steps were taken besides those of the walk.
    steps: u64,
}

impl Pending {
    /// For a document whose root has matched this.
    pub(super) fn new(root: State, limits: Limits) -> Self {
        Self {
            limits,
            root,
            awaited: None,
            has_name: false,
            lookaheads: Vec::new(),
            watches: Vec::new(),
            asked: None,
            document: None,
            known_intact: KnownIntact::default(),
            patterns: Patterns::default(),
            steps: 0,
        }
    }

    /// For the next document: patterns and steps are limited for all of a response.
    pub(super) fn restart(self, root: State, limits: Limits) -> Self {
        Self { patterns: self.patterns, steps: self.steps, ..Self::new(root, limits) }
    }

    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        let document = self.document.as_ref().map_or(0, |document| document.held_bytes());
        let asked = self.asked.as_ref().map_or(0, |asked| asked.outline.held_bytes());
        document + asked
    }

    /// Steps that were taken besides those of the walk, so far in the response.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The patterns that came from documents, and what the root has matched: for the look-up of the
    /// document.
    pub(super) fn for_look_up(&mut self) -> (&mut Patterns, State) {
        (&mut self.patterns, self.root)
    }

    /// The document is there as a whole: nothing in it has to wait.
    pub(super) fn put_document(&mut self, document: Arc<Document>) {
        let (bytes, outline) = (document.text().len(), Arc::clone(document.outline()));
        self.asked = Some(AskedValue::new(0, bytes, outline, &self.limits));
        self.document = Some(document);
        // Holding it is what `document_bytes_max` limits: no candidate in it takes more.
        self.limits.candidate_bytes_max = usize::MAX;
    }

    /// Whether a value waits.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.awaited.is_some()
    }

    /// The value to come has a name that is to be decided with it.
    pub(super) fn defer_name(&mut self) {
        self.has_name = true;
    }

    /// Whether the name of the value is to be decided now.
    pub(super) fn take_name(&mut self) -> bool {
        std::mem::take(&mut self.has_name)
    }

    /// The states of the arrays that are looked ahead in, to be kept when the program forgets
    /// others.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut State> {
        self.lookaheads.iter_mut().map(ArrayLookahead::state)
    }

    /// A container has ended: so many are around what comes.
    #[inline]
    pub(super) fn close(&mut self, depth: usize) {
        if self.lookaheads.last().is_some_and(|lookahead| lookahead.depth() > depth) {
            self.lookaheads.pop();
        }
    }

    /// Looks at the rest of values that were let go, before any of it leaves.
    #[inline]
    pub(super) fn watch(&mut self, chunk: &[u8], offset: u64) -> Result<(), Violation> {
        if self.watches.is_empty() { Ok(()) } else { self.watch_all(chunk, offset) }
    }

    fn watch_all(&mut self, chunk: &[u8], offset: u64) -> Result<(), Violation> {
        for watch in &mut self.watches {
            let looked = watch.look(chunk, offset, &mut self.steps);
            looked.map_err(|at| Violation::Ambiguous { at })?;
        }
        self.watches.retain(|watch| !watch.has_ended());
        Ok(())
    }

    /// Lets the arrays that are looked ahead in see a chunk before it goes, asked or not.
    #[inline]
    pub(super) fn look_ahead(&mut self, program: &Program, chunk: &[u8], offset: u64) {
        if !self.lookaheads.is_empty() {
            self.look_ahead_in_all(program, chunk, offset);
        }
    }

    #[cold]
    fn look_ahead_in_all(&mut self, program: &Program, chunk: &[u8], offset: u64) {
        for lookahead in &mut self.lookaheads {
            lookahead.look(program, chunk, offset);
        }
    }

    /// All up to this offset of the document has been read.
    #[inline]
    pub(super) fn read_to(&mut self, offset: u64) {
        if self.asked.as_ref().is_some_and(|asked| asked.place.end <= offset) {
            self.asked = None;
        }
    }

    /// What is known of the value at `at`.
    pub(super) fn ask<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        at: usize,
    ) -> Result<Verdict, Violation> {
        match value.program.question(value.state) {
            Some(Question::FromEnd(_)) => Ok(self.ask_array(value, at)),
            Some(Question::Filters(_)) => self.ask_value(value, at),
            None => Ok(Verdict::Indeterminate),
        }
    }

    fn ask_array<E: Edits>(&mut self, value: &PendingValue<'_, E>, at: usize) -> Verdict {
        let (program, position) = (value.program, &value.position);
        let Some(level) = value.level() else { return Verdict::Indeterminate };
        let depth = position.levels().len();
        let (array, index) = (level.state(), level.index());
        if self.lookaheads.last().is_none_or(|lookahead| lookahead.depth() != depth) {
            let begins = (index, position.offset() + at as u64);
            let bytes_max = self.limits.candidate_bytes_max;
            self.lookaheads.push(ArrayLookahead::new(program, depth, array, begins, bytes_max));
        }
        let Some(lookahead) = self.lookaheads.last_mut() else { return Verdict::Indeterminate };
        let mut status = lookahead.status(index);
        if status == ElementStatus::Unknown {
            lookahead.look(program, position.chunk(), position.offset());
            status = lookahead.status(index);
        }
        let (begun, ended) = match status {
            ElementStatus::Known { begun, ended } => (begun, ended),
            ElementStatus::Unknown => {
                self.awaited = Some(Awaited::Elements);
                return Verdict::Waits;
            }
            ElementStatus::TooLarge => return Verdict::Indeterminate,
        };
        let Some(Question::FromEnd(selectors)) = program.question(value.state) else {
            return Verdict::Indeterminate;
        };
        let mut selected = Vec::with_capacity(selectors.len());
        for selector in selectors.iter() {
            let decided = if ended {
                Some(selector.selects(index, begun))
            } else {
                selector.decided(index, begun)
            };
            let Some(decided) = decided else { return Verdict::Indeterminate };
            selected.push(decided);
        }
        Answers::of(selected).map_or(Verdict::Indeterminate, Verdict::Answers)
    }

    fn ask_value<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        at: usize,
    ) -> Result<Verdict, Violation> {
        let (chunk, offset) = (value.position.chunk(), value.position.offset());
        let rest = chunk.get(at..).unwrap_or_default();
        let bytes_max = self.limits.candidate_bytes_max;
        let mut end = ValueEnd::default();
        let begins = offset + at as u64;
        let ends = self.known_end(begins).or_else(|| {
            let ends = end.find(rest);
            self.steps += ends.unwrap_or(rest.len()) as u64;
            ends
        });
        let bytes = rest.get(..ends.unwrap_or(rest.len())).unwrap_or_default();
        let whole_max = WHOLE_BYTES_MAX.min(bytes_max);
        // Nothing waits, nor has to be let go, where all is there.
        if ends.is_some() && (bytes.len() <= whole_max || self.document.is_some()) {
            return Ok(self.evaluate(value, begins, bytes));
        }
        let mut early = early_answers(value);
        if let Some(looking) = &mut early {
            let (progress, steps) = looking.look(bytes, bytes_max);
            self.steps += steps;
            match progress {
                Progress::Open => {}
                Progress::Indeterminate => return Ok(Verdict::Indeterminate),
                Progress::Answered(answers, seen) => {
                    self.let_go(early, offset + (at + seen) as u64, chunk, offset)?;
                    return Ok(Verdict::Answers(answers));
                }
            }
        }
        if ends.is_some() {
            return Ok(self.evaluate(value, begins, bytes));
        }
        if bytes.len() > bytes_max {
            return Ok(Verdict::Indeterminate);
        }
        self.awaited = Some(Awaited::End(end, early));
        Ok(Verdict::Waits)
    }

    /// A value goes on before its end: what has been seen of it ends at the offset `at`.
    fn let_go(
        &mut self,
        early: Option<Box<EarlyAnswers>>,
        at: u64,
        chunk: &[u8],
        offset: u64,
    ) -> Result<(), Violation> {
        self.watches.extend(early.map(|early| early.watch_from(at)));
        self.watch(chunk, offset)
    }

    /// Goes on with the value that waits, of which `held` has what came before the chunk of its
    /// position.
    pub(super) fn resume<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        held: &mut HeldBytes,
    ) -> Result<Resumed, Violation> {
        let (chunk, offset) = (value.position.chunk(), value.position.offset());
        match self.awaited.take() {
            Some(Awaited::End(end, early)) => self.resume_value(value, end, early, held),
            Some(Awaited::Elements) => {
                let index = value.level().map_or(0, Level::index);
                let Some(lookahead) = self.lookaheads.last_mut() else { return Ok(Resumed::Waits) };
                lookahead.look(value.program, chunk, offset);
                // What it holds is bounded by the array that is looked ahead in.
                if lookahead.status(index) == ElementStatus::Unknown {
                    held.extend(chunk, self.limits.candidate_bytes_max);
                    self.awaited = Some(Awaited::Elements);
                    return Ok(Resumed::Waits);
                }
                // The element asks again when it is read.
                Ok(Resumed::Read(None, None))
            }
            None => Ok(Resumed::Waits),
        }
    }

    fn resume_value<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        mut end: ValueEnd,
        mut early: Option<Box<EarlyAnswers>>,
        held: &mut HeldBytes,
    ) -> Result<Resumed, Violation> {
        let (chunk, offset) = (value.position.chunk(), value.position.offset());
        let bytes_max = self.limits.candidate_bytes_max;
        let ends = end.find(chunk);
        let more = chunk.get(..ends.unwrap_or(chunk.len())).unwrap_or_default();
        self.steps += more.len() as u64;
        if let Some(looking) = &mut early {
            let (progress, steps) = looking.look(more, bytes_max);
            self.steps += steps;
            match progress {
                Progress::Open => {}
                Progress::Indeterminate => {
                    return Ok(Resumed::Read(Some(Verdict::Indeterminate), None));
                }
                Progress::Answered(answers, seen) => {
                    self.let_go(early, offset + seen as u64, chunk, offset)?;
                    return Ok(Resumed::Read(Some(Verdict::Answers(answers)), None));
                }
            }
        }
        if !held.extend_within(more, bytes_max) {
            return Ok(Resumed::Read(Some(Verdict::Indeterminate), None));
        }
        if ends.is_none() {
            self.awaited = Some(Awaited::End(end, early));
            return Ok(Resumed::Waits);
        }
        let verdict = self.evaluate(value, held.offset(), held.waiting());
        Ok(Resumed::Read(Some(verdict), ends))
    }

    /// How long the value is that begins at an offset of the document, if it is a container in one
    /// that is there as a whole.
    fn known_end(&self, begins: u64) -> Option<usize> {
        let asked = self.asked.as_ref()?;
        let base = asked.base(begins)?;
        asked.outline.end_of(base).map(|end| (end - base) as usize)
    }

    /// What the filters that its state asks say of a value, which begins at an offset of the
    /// document.
    fn evaluate<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        begins: u64,
        bytes: &[u8],
    ) -> Verdict {
        if bytes.len() > self.limits.candidate_bytes_max {
            return Verdict::Indeterminate;
        }
        if self.asked.as_ref().and_then(|asked| asked.base(begins)).is_none() {
            // As deep as the walker would go: what is deeper is refused when that comes to it.
            let depth_max = self.limits.depth_max.saturating_sub(value.position.levels().len());
            self.steps += bytes.len() as u64;
            let Ok(outline) = Outline::of(bytes, depth_max) else { return Verdict::Indeterminate };
            self.asked =
                Some(AskedValue::new(begins, bytes.len(), Arc::new(outline), &self.limits));
        }
        self.answers(value, begins, bytes).map_or(Verdict::Indeterminate, Verdict::Answers)
    }

    /// The answers of these filters for a value that was gone through.
    fn answers<E: Edits>(
        &mut self,
        value: &PendingValue<'_, E>,
        begins: u64,
        bytes: &[u8],
    ) -> Result<Answers, Indeterminate> {
        let PendingValue { program, edits, state, .. } = *value;
        let filters = value.filters().ok_or(Indeterminate)?;
        let asked = self.asked.as_mut().ok_or(Indeterminate)?;
        let base = asked.base(begins).ok_or(Indeterminate)?;
        let (document, evaluation) = (self.document.as_deref(), &mut asked.evaluation);
        let patterns = &mut self.patterns;
        let before = evaluation.steps();
        let value_ref = ValueRef::root(Outlined::new(bytes, base, &asked.outline))?;
        let mut ask = |intact: &mut dyn IntactCheck, evaluation: &mut Evaluation| {
            let mut answers = Vec::with_capacity(filters.len());
            for filter in filters.iter() {
                let filter = program.filter(*filter).ok_or(Indeterminate)?;
                answers.push(evaluator::holds(
                    filter, value_ref, document, evaluation, patterns, intact,
                )?);
            }
            Answers::of(answers).ok_or(Indeterminate)
        };
        let mut recording = RecordingCheck::default();
        let mut found = ask(&mut recording, evaluation);
        // What was measured or compared has to leave as it is if these are the answers.
        if let (Ok(these), true) = (found, recording.was_asked()) {
            let settled = program.settle(state, these);
            let settled = settled.filter(|state| !state.is_pending() && *state != State::LOST);
            let around = value.level().map(|level| (level.scope(), level.state()));
            found = settled.ok_or(Indeterminate).and_then(|settled| {
                // Of a member that is removed with its name nothing leaves.
                let name = |(scope, object)| edits.keeps_name(scope, object, settled);
                let is_removed = self.has_name && around.map(name) == Some(OnName::Drop);
                let scope = around.map_or_else(|| edits.root(), |(scope, _)| scope);
                let preview = Preview::new(edits, program, self.limits.name_bytes_max);
                let mut preview = preview.of_candidate(value_ref, settled, scope, is_removed);
                if document.is_some() {
                    preview = preview.within(self.root, &mut self.known_intact);
                }
                evaluation.forget();
                ask(&mut preview, evaluation)
            });
            evaluation.forget();
        }
        self.steps += evaluation.steps() - before;
        found
    }
}

/// Looks for answers to the filters that the state of a value asks, if they can be seen going by.
fn early_answers<E: Edits>(value: &PendingValue<'_, E>) -> Option<Box<EarlyAnswers>> {
    let program = value.program;
    EarlyAnswers::new(value.filters()?.iter().filter_map(|filter| program.filter(*filter)))
}
