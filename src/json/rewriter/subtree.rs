//! A container that is decided as a whole and stands in one window: nothing is asked of it but
//! whether it is right, where it ends, and how many scalars it holds.
//!
//! This only looks. What is cut, wrong or very deep is none of its business: the rewriter, which
//! takes one token at a time, knows all of that, and says where.

use crate::json::rewriter::{
    primitive,
    window::{TokenRun, Window, first_kind},
};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subtree {
    behind: usize,
    scalars: u64,
}

impl Subtree {
    /// The token behind it.
    #[inline]
    pub(super) fn behind(self) -> usize {
        self.behind
    }

    /// How many scalars it holds.
    #[inline]
    pub(super) fn scalars(self) -> u64 {
        self.scalars
    }
}

/// Most levels: one bit of a word is for each, and one more says where they end.
const DEPTH_MAX: usize = 62;

/// Reads the container that the token `first` opens; it may be `depth_max` levels deep, itself
/// included.
pub(super) fn read(window: &Window<'_>, first: usize, depth_max: usize) -> Option<Subtree> {
    // The stack is one word: a push is a shift, a pop is a shift back, and nothing is stored in
    // memory.
    const OUTSIDE: u64 = 1;
    let deepest = u64::MAX >> (u64::BITS as usize - 1 - depth_max.min(DEPTH_MAX));
    // A bit for each level, set for an object, the innermost lowest, below the one that ends them.
    let mut levels = OUTSIDE;
    let (mut next, mut scalars) = (first, 0);
    let mut tokens = window.kinds(next);
    loop {
        // A value begins here.
        match first_kind(tokens) {
            b'"' if TokenRun::TEXT.begins(tokens) => {
                scalars += 1;
                next += TokenRun::TEXT.length();
            }
            bracket @ (b'{' | b'[') => {
                levels = levels << 1 | u64::from(bracket == b'{');
                if levels > deepest {
                    return None;
                }
                next += 1;
                tokens = window.kinds(next);
                // The brackets of a kind lie two apart.
                if first_kind(tokens) != bracket + 2 {
                    (next, scalars) = texts(window, levels, next, scalars);
                    (next, tokens) = value(window, levels, next)?;
                    continue;
                }
            }
            0 | b'"' | b'}' | b']' | b':' | b',' => return None,
            _ => {
                let [at] = window.at(next);
                if !primitive::is_complete(window.chunk(), at) {
                    return None;
                }
                scalars += 1;
                next += 1;
            }
        }
        // It has ended, and so may those around it.
        loop {
            let closing = if levels & 1 != 0 { b'}' } else { b']' };
            match first_kind(window.kinds(next)) {
                b',' => break,
                bracket if bracket == closing => {
                    levels >>= 1;
                    next += 1;
                    if levels == OUTSIDE {
                        return Some(Subtree { behind: next, scalars });
                    }
                }
                _ => return None,
            }
        }
        (next, scalars) = texts(window, levels, next + 1, scalars);
        (next, tokens) = value(window, levels, next)?;
    }
}

/// Goes on behind strings in a row, each with its name and comma.
#[inline]
fn texts(window: &Window<'_>, levels: u64, mut next: usize, mut scalars: u64) -> (usize, u64) {
    let row = if levels & 1 != 0 { &TokenRun::TEXT_MEMBER } else { &TokenRun::TEXT_ELEMENT };
    while row.begins(window.kinds(next)) {
        next += row.length();
        scalars += 1;
    }
    (next, scalars)
}

/// Goes on behind the name, if there has to be one, and gives the tokens from there.
#[inline]
fn value(window: &Window<'_>, levels: u64, next: usize) -> Option<(usize, u64)> {
    let tokens = window.kinds(next);
    if levels & 1 == 0 {
        Some((next, tokens))
    } else if TokenRun::NAME.begins(tokens) {
        Some((next + TokenRun::NAME.length(), tokens >> (8 * TokenRun::NAME.length())))
    } else {
        None
    }
}
