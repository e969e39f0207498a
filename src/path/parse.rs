//! The door for a path that is written: read without a grammar where that is enough, by the grammar where it
//! is not, and where it is no path, with what was probably meant.

use crate::path::{
    Path, meant, plain,
    read::{NO_PATH, NO_ROOT, PathError},
};

const SHAPES: &str = "behind `$` stands `.name`, `['a name']`, `[0]`, `[*]`, `..name` or `[?@.type == 'a']`, as often as needed";

impl Path {
    /// Reads a path.
    ///
    /// Stricter than jsonpath-rust: white space inside a name or at either end is an error there
    /// where that parser would skip it, and would then classify another field than the author wrote.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        plain::read(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// As [`parse`](Self::parse), by the grammar, whatever the path is like.
    pub(super) fn parse_any(text: &str) -> Result<Self, PathError> {
        Self::read(text).map_err(|error| error.meaning(text))
    }
}

impl PathError {
    /// The same, with what was probably meant by the text.
    fn meaning(mut self, text: &str) -> Self {
        match meant::of(text) {
            Some(meant::Meant { path: Some(path), why }) => {
                let why = if why.is_empty() { why } else { format!(": {why}") };
                self.help = Some(format!("write `{path}`{why}"));
                self.meant = Some(path);
            }
            Some(meant::Meant { path: None, why }) => self.help = Some(why),
            None => {}
        }
        self.help = self.help.or_else(|| {
            matches!(self.message.as_str(), NO_PATH | NO_ROOT).then(|| SHAPES.to_owned())
        });
        self
    }
}
