//! What a question is answered with, and how that is shown.

use std::fmt::{self, Write as _};

use crate::{
    access::Reason,
    policy::needs::{self, Needs, PathNeeds},
};

/// What a caller gets on a route, and why. Its `Display` is text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Why the request is denied, if it is.
    pub reason: Option<Reason>,
    /// Who asks for what, and why; or why that does not come about.
    pub opening: Vec<String>,
    /// What leaves, and how.
    pub leaves: Vec<Row>,
    /// What does not leave, and why.
    pub withheld: Vec<Row>,
    /// Of a place that no line is about: what happens where something of its name stands.
    pub elsewhere: Vec<Row>,
    /// What can be asked with.
    pub parameters: Vec<Row>,
    /// What has to be held on the way, path by path.
    pub memory: Vec<PathNeeds>,
    /// What happens to all that no line is about.
    pub rest: Vec<String>,
}

/// One line of an [`Explanation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about: a path, a name.
    pub what: String,
    /// What happens to it, and why.
    pub fate: String,
    /// The lines that decide, such as `crm.yaml:41`.
    pub lines: Vec<String>,
    /// The category that decides, or `unclassified`; none where nothing is decided by one.
    pub category: Option<String>,
    /// What is done, in the word of the policy language.
    pub action: Option<&'static str>,
}

impl Row {
    pub(super) fn new(
        what: impl Into<String>,
        fate: impl Into<String>,
        lines: Vec<String>,
    ) -> Self {
        Self { what: what.into(), fate: fate.into(), lines, category: None, action: None }
    }

    pub(super) fn by(mut self, category: &str, action: &'static str) -> Self {
        self.category = Some(category.to_owned());
        self.action = Some(action);
        self
    }
}

impl Explanation {
    /// The paths for which something is held, and that the others stream.
    pub(super) fn memory_rows(&self) -> Vec<Row> {
        let row = |what: &str, fate: String| Row::new(what, fate, Vec::new());
        let (stream, hold): (Vec<&PathNeeds>, Vec<&PathNeeds>) =
            self.memory.iter().partition(|path| path.needs == [Needs::Nothing]);
        let mut rows: Vec<Row> =
            hold.iter().map(|path| row(&path.path, needs::in_words(&path.needs))).collect();
        if !stream.is_empty() {
            let which = if hold.is_empty() { "every path" } else { "any other path" };
            rows.push(row(which, Needs::Nothing.to_string()));
        }
        rows
    }

    pub(super) fn put(&mut self, leaves: bool, row: Row) {
        if leaves { self.leaves.push(row) } else { self.withheld.push(row) }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.opening {
            writeln!(f, "{}", Printable(line))?;
        }
        let sections = [
            ("Leaves:", &self.leaves),
            ("Does not leave:", &self.withheld),
            ("Elsewhere:", &self.elsewhere),
            ("Parameters:", &self.parameters),
        ];
        let rows = sections.iter().flat_map(|(_, rows)| rows.iter());
        let width = rows.map(|row| row.what.chars().count()).max().unwrap_or(0).min(WIDTH_MAX);
        for (heading, rows) in sections {
            if rows.is_empty() {
                continue;
            }
            writeln!(f, "\n{heading}")?;
            for Row { what, fate, lines, .. } in rows {
                let what = Printable(what).to_string();
                write!(f, "  {what:width$}  {}", Printable(fate))?;
                if !lines.is_empty() {
                    write!(f, " ({})", Printable(&lines.join(", ")))?;
                }
                writeln!(f)?;
            }
        }
        if !self.rest.is_empty() {
            writeln!(f)?;
        }
        for line in &self.rest {
            writeln!(f, "{}", Printable(line))?;
        }
        let memory = self.memory_rows();
        let width = memory.iter().map(|row| row.what.chars().count()).max();
        if let Some(width) = width.map(|width| width.min(WIDTH_MAX)) {
            writeln!(f, "\nMemory:")?;
            for Row { what, fate, .. } in &memory {
                let what = Printable(what).to_string();
                writeln!(f, "  {what:width$}  {fate}")?;
            }
        }
        Ok(())
    }
}

/// A text for one line, with spaces for control characters: what a policy says must not look like
/// other lines, nor move the cursor of a terminal.
pub(super) struct Printable<'a>(pub(super) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // U+2028 and U+2029 end a line for some who show it.
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        self.0.chars().try_for_each(|c| f.write_char(if breaks(c) { ' ' } else { c }))
    }
}

/// Widest first column.
const WIDTH_MAX: usize = 40;
