//! Answers before a value has ended: of a long value no more has to wait than it takes to know
//! them.

use crate::{
    json::filter::streaming::StreamingEvaluator,
    path::{Answers, Filter},
};

/// A value of at most so many bytes is always judged as a whole: if something that is asked about
/// stands twice in it, only the value is removed. Of a longer one the rest does not wait for more
/// than the answers, and where such a thing comes after them, the body is refused: part of it has
/// left, and cannot be removed any more. Most records are shorter than this, so that a name that
/// stands twice seldom costs the whole body.
pub(crate) const WHOLE_BYTES_MAX: usize = 16 << 10;

/// Looks for answers before the end of a value.
pub(crate) struct EarlyAnswers {
    evaluator: StreamingEvaluator,
    /// How many bytes of the value it has seen.
    seen: usize,
    answers: Option<Answers>,
}

/// What became of a value on the way to its end.
pub(crate) enum Progress {
    /// Nothing yet, or it has ended.
    Open,
    /// The answers are known, and it is long enough to go; so many of the bytes have been seen.
    Answered(Answers, usize),
    /// It was there twice, or too large before the answers were known.
    Indeterminate,
}

impl EarlyAnswers {
    /// To these filters, if they can be seen going by.
    pub(crate) fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Option<Box<Self>> {
        let evaluator = StreamingEvaluator::new(filters)?;
        Some(Box::new(Self { evaluator, seen: 0, answers: None }))
    }

    /// Looks at more of the value. Says how many steps that took, too.
    pub(crate) fn look(&mut self, value: &[u8], bytes_max: usize) -> (Progress, u64) {
        let (seen, before) = (self.seen, self.evaluator.steps());
        let progress = self.look_at(value, bytes_max);
        (progress, (self.seen - seen) as u64 + (self.evaluator.steps() - before))
    }

    fn look_at(&mut self, value: &[u8], bytes_max: usize) -> Progress {
        let whole_max = WHOLE_BYTES_MAX.min(bytes_max);
        for (at, byte) in value.iter().enumerate() {
            let more = self.evaluator.step(*byte);
            if self.evaluator.has_ended() {
                return Progress::Open;
            }
            self.seen += 1;
            if more && self.answers.is_none() && self.seen <= bytes_max {
                self.answers = self.evaluator.answers();
            }
            if self.seen < whole_max {
                continue;
            }
            if self.evaluator.saw_twice() || (self.seen > bytes_max && self.answers.is_none()) {
                return Progress::Indeterminate;
            }
            if let Some(answers) = self.answers {
                return Progress::Answered(answers, at + 1);
            }
        }
        Progress::Open
    }

    /// The value goes on before its end: what has been seen of it ends at the offset `at` of the
    /// document.
    pub(crate) fn watch_from(self: Box<Self>, at: u64) -> DuplicateWatch {
        DuplicateWatch { evaluator: self.evaluator, at }
    }
}

/// Looks at the rest of a value that went on before its end: something that a filter asked about
/// may come again.
pub(crate) struct DuplicateWatch {
    evaluator: StreamingEvaluator,
    /// Offset in the document up to which it has been looked at.
    at: u64,
}

impl DuplicateWatch {
    /// Looks at a chunk that begins at `offset`, as far as it has not before, and counts the steps.
    /// An error is the offset behind a name that came again.
    pub(crate) fn look(&mut self, chunk: &[u8], offset: u64, steps: &mut u64) -> Result<(), u64> {
        let seen = usize::try_from(self.at.saturating_sub(offset)).unwrap_or(usize::MAX);
        for byte in chunk.get(seen..).unwrap_or_default() {
            if self.evaluator.has_ended() {
                break;
            }
            self.evaluator.step(*byte);
            self.at += 1;
            *steps += 1;
            if self.evaluator.saw_twice() {
                return Err(self.at);
            }
        }
        Ok(())
    }

    /// Whether the value has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.evaluator.has_ended()
    }
}
