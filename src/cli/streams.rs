//! What a command reads from and writes to.

use std::{
    fmt::Display,
    io::{Read, Write},
};

/// What a command reads from and writes to.
pub(super) struct Streams<'a> {
    pub(super) stdin: &'a mut dyn Read,
    pub(super) out: &'a mut dyn Write,
    pub(super) err: &'a mut dyn Write,
}

impl Streams<'_> {
    /// Says something on stderr. If nobody listens there, the exit code still tells.
    pub(super) fn say(&mut self, what: impl Display) {
        say(self.err, what);
    }
}

pub(super) fn say(err: &mut dyn Write, what: impl Display) {
    if writeln!(err, "{what}").and_then(|()| err.flush()).is_err() {
        // There is no third stream to complain on.
    }
}
