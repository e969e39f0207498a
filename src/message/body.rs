//! How the bytes of a body are treated, one piece after the other.

use bytes::Bytes;

use crate::{
    access::Reason,
    enforce::{Places, Tally},
    message::{
        pipe::{Passing, Pipe},
        spare,
    },
};

/// How the bytes of a body are treated.
pub(crate) enum Body {
    /// None may come; if one does, this is the reason to refuse it.
    Empty(Reason),
    /// They are sieved.
    Sieve {
        /// What they go through.
        pipe: Box<Pipe>,
        /// Whether no bytes at all are a body, too.
        may_be_empty: bool,
        /// Whether one has come.
        begun: bool,
    },
    /// They are left out, and these stand for them.
    Replace(Bytes),
    /// They pass, up to a length.
    Pass(Passing),
}

impl Body {
    /// What leaves in the place of the next bytes; `ends` says that these are the last.
    pub(crate) fn step(&mut self, chunk: Bytes, ends: bool) -> Result<Bytes, Reason> {
        match self {
            Self::Empty(_) if chunk.is_empty() => Ok(Bytes::new()),
            Self::Empty(reason) => Err(*reason),
            Self::Sieve { pipe, may_be_empty, begun } => {
                *begun |= !chunk.is_empty();
                if *may_be_empty && !*begun {
                    return Ok(if ends { pipe.finish_empty()?.into() } else { Bytes::new() });
                }
                let mut out = if chunk.is_empty() { Vec::new() } else { pipe.write(&chunk)? };
                if ends {
                    out.append(&mut pipe.finish()?);
                }
                Ok(spare::bytes(out))
            }
            Self::Replace(_) if !ends => Ok(Bytes::new()),
            Self::Replace(instead) => Ok(instead.clone()),
            Self::Pass(passing) => {
                passing.take(chunk.len())?;
                Ok(chunk)
            }
        }
    }

    /// Whether nothing that may still come of it matters.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self, Self::Replace(_))
    }

    /// Bytes of it that are held between two steps.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Sieve { pipe, .. } => pipe.held_bytes(),
            Self::Empty(_) | Self::Replace(_) | Self::Pass(_) => 0,
        }
    }

    /// Counts what has left so far, and what was withheld.
    pub(crate) fn count(&self, tally: &mut Tally) {
        match self {
            Self::Sieve { pipe, .. } => pipe.count(tally),
            Self::Pass(passing) => passing.count(tally),
            Self::Empty(_) | Self::Replace(_) => {}
        }
    }

    /// Where something was withheld as unclassified.
    pub(crate) fn places(&self) -> Places {
        match self {
            Self::Sieve { pipe, .. } => pipe.places(),
            Self::Empty(_) | Self::Replace(_) | Self::Pass(_) => Places::default(),
        }
    }
}
