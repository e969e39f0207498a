//! Regular expressions that come from documents, compiled: a filter may compare with one that
//! stands there.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use regex::Regex;

use crate::{
    json::filter::{evaluation::Evaluation, outline::Indeterminate},
    path::{PatternError, compile_pattern},
};

/// How many steps stand for compiling a pattern that comes from a document, and for each byte that
/// such a pattern is matched with: its automaton can have many states.
const COMPILE_STEPS: u64 = 1 << 12;
pub(crate) const MATCH_STEPS_PER_BYTE: u64 = 1 << 4;

/// Most patterns of one response that come from its documents, their longest, and the most bytes
/// that one takes when it is compiled. The sender of the document writes these patterns, and a
/// short one can become a large automaton.
const PATTERNS_MAX: usize = 64;
const PATTERN_TEXT_BYTES_MAX: usize = 1 << 10;
const PATTERN_BYTES_MAX: usize = 1 << 18;
/// The patterns of a response that came from its documents, compiled.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: HashMap<(String, bool), Result<Option<Regex>, Indeterminate>, RandomState>,
}

impl Patterns {
    /// The pattern of this text, for a whole text or a part of one; none if it is no I-Regexp.
    /// Indeterminate where it is too long, or one of too many.
    pub(crate) fn get(
        &mut self,
        pattern: &str,
        whole: bool,
        evaluation: &mut Evaluation,
    ) -> Result<Option<&Regex>, Indeterminate> {
        if pattern.len() > PATTERN_TEXT_BYTES_MAX {
            return Err(Indeterminate);
        }
        let key = (pattern.to_owned(), whole);
        if !self.known.contains_key(&key) {
            if self.known.len() >= PATTERNS_MAX {
                return Err(Indeterminate);
            }
            evaluation.spend(COMPILE_STEPS)?;
            let compiled = compile_from_document(pattern, whole);
            self.known.insert(key.clone(), compiled);
        }
        match self.known.get(&key) {
            Some(Ok(regex)) => Ok(regex.as_ref()),
            Some(Err(Indeterminate)) | None => Err(Indeterminate),
        }
    }
}

/// Compiles a pattern that comes from a document; none if it is no I-Regexp.
pub(crate) fn compile_from_document(
    pattern: &str,
    whole: bool,
) -> Result<Option<Regex>, Indeterminate> {
    match compile_pattern(pattern, whole, PATTERN_BYTES_MAX) {
        Ok(regex) => Ok(Some(regex)),
        Err(PatternError::Invalid) => Ok(None),
        // Who takes it for none would answer `!match(..)` by yes.
        Err(PatternError::TooLarge) => Err(Indeterminate),
    }
}
