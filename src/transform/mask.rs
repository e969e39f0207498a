//! Strings to stars.

use std::borrow::Cow;

use crate::transform::{Mask, Scalar, scalar::write_string};

/// What stands for the hidden part, whatever it hides.
const STARS: &str = "********";

/// A mask that hides fewer characters hides them all.
const HIDDEN_MIN: usize = 4;

impl Mask {
    /// Appends the masked string; only strings are fit.
    pub(super) fn write(&self, value: &Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
        let text = value.text()?;
        let length = text.chars().count();
        let shown = self.keep_first.saturating_add(self.keep_last);
        let hidden = length.saturating_sub(shown);
        let (head, hidden, tail) = if hidden >= HIDDEN_MIN && hidden >= shown {
            let head = text.get(..char_boundary(text, self.keep_first))?;
            let tail = text.get(char_boundary(text, length - self.keep_last)..)?;
            (head, hidden, tail)
        } else {
            ("", length, "")
        };
        let stars =
            if self.keep_length { Cow::Owned("*".repeat(hidden)) } else { Cow::Borrowed(STARS) };
        write_string(format_args!("{head}{stars}{tail}"), out)
    }
}

/// Where in `text` so many characters end.
fn char_boundary(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}
