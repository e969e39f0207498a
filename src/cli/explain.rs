//! `tamis explain`: what leaves for whom, in plain words.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::{
    access::Reason,
    cli::{
        folder::{self, Folder, Format, PathView, write_json_line},
        outcome::{Exit, Failure},
        streams::Streams,
    },
    path::Path,
    policy::{Explanation, Question, Row},
    transform::NoKeys,
};

/// Says in plain words what leaves, what does not, and which lines of the policies decide.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[command(override_usage = "tamis explain [OPTIONS] --caller <NAME> [DIR] <METHOD /PATH>")]
pub(super) struct Explain {
    // clap fills positional arguments from the left, and here it is the left one that may be missing:
    // so both are taken as they come, and the help says what they are.
    /// The folder if there is another argument, else the request.
    #[arg(value_name = "METHOD /PATH", hide = true)]
    first: String,
    /// The request.
    #[arg(value_name = "METHOD /PATH", hide = true)]
    second: Option<String>,
    /// Who asks, by the name that the policies give.
    #[arg(long, value_name = "NAME")]
    caller: String,
    /// What for; a caller with one purpose need not say it.
    #[arg(long, value_name = "NAME")]
    purpose: Option<String>,
    /// The host that is asked, where several APIs have the route.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only what happens at this place of the body, such as '$.iban'.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// How it is printed; json is one object.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

const AFTER_HELP: &str = "\
Arguments:
  [DIR]           The folder of the policies [default: policies]
  <METHOD /PATH>  The last argument: a route as the policies write it, 'GET /customers/{id}',
                  or a request, 'GET /customers/C-1042?page=2', whose parameters count then too

Exit codes:
  0    the request is allowed, and what leaves is explained
  1    it is denied, and why is explained
  2    could not be done: policies that do not load, a path that is none
  141  whoever read stdout has gone

Examples:
  tamis explain --caller support-desk 'GET /customers/{id}'
  tamis explain policies --caller data-team 'GET /customers' --path '$.items[0].iban'";

impl Explain {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        let (dir, request) = match &self.second {
            Some(request) => (PathBuf::from(&self.first), request),
            None => (folder::DEFAULT.into(), &self.first),
        };
        folder::request_line(request)?;
        let path =
            self.path.as_deref().map(|text| Path::parse(text).map_err(|error| (text, error)));
        let path = path.transpose().map_err(|(text, error)| {
            let before = text.get(..error.at).unwrap_or(text).chars().count();
            let what = format!("--path is no path, from character {} on: {error}", before + 1);
            Failure::Cannot { what, help: error.help }
        })?;
        // What leaves does not depend on the key, only what it looks like.
        let set = Folder::load(&dir, &NoKeys, "tamis explain")?.usable(streams)?;
        let explanation = set.explain(&Question {
            caller: &self.caller,
            purpose: self.purpose.as_deref(),
            request,
            host: self.host.as_deref(),
            path: path.as_ref(),
        });
        match self.format {
            Format::Human => {
                write!(streams.out, "{explanation}")?;
                let needs = explanation.memory.iter().flat_map(|path| &path.needs).copied();
                if let Some(limits) = folder::limits_in_words(needs) {
                    writeln!(streams.out, "{limits}")?;
                }
            }
            Format::Json => write_json_line(streams.out, &View::of(&explanation))?,
        }
        Ok(if explanation.reason.is_none() { Exit::Fine } else { Exit::Found })
    }
}

/// An explanation for machines.
#[derive(Serialize)]
struct View<'a> {
    /// Why it is denied, if it is.
    denied: Option<&'static str>,
    opening: &'a [String],
    leaves: Vec<RowView<'a>>,
    withheld: Vec<RowView<'a>>,
    /// Of a place that no line is about: what happens where something of its name stands.
    elsewhere: Vec<RowView<'a>>,
    parameters: Vec<RowView<'a>>,
    memory: Vec<PathView<'a>>,
    rest: &'a [String],
}

#[derive(Serialize)]
struct RowView<'a> {
    what: &'a str,
    fate: &'a str,
    /// The category that decides, or `unclassified`.
    category: Option<&'a str>,
    /// What is done, in the word of the policy language.
    action: Option<&'static str>,
    lines: &'a [String],
}

impl<'a> View<'a> {
    fn of(explanation: &'a Explanation) -> Self {
        let rows = |rows: &'a [Row]| {
            let view = |row: &'a Row| RowView {
                what: &row.what,
                fate: &row.fate,
                category: row.category.as_deref(),
                action: row.action,
                lines: &row.lines,
            };
            rows.iter().map(view).collect()
        };
        Self {
            denied: explanation.reason.map(Reason::code),
            opening: &explanation.opening,
            leaves: rows(&explanation.leaves),
            withheld: rows(&explanation.withheld),
            elsewhere: rows(&explanation.elsewhere),
            parameters: rows(&explanation.parameters),
            memory: explanation.memory.iter().map(PathView::of).collect(),
            rest: &explanation.rest,
        }
    }
}
