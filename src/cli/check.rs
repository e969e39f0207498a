//! `tamis check`: what is wrong with a folder of policies, and how large it will be in the metrics.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use crate::{
    access::{Action, Decision, StatusClass},
    cli::{
        folder::{self, Folder, Format, PathView, counted, write_json_line},
        outcome::{Exit, Failure},
        streams::Streams,
    },
    metrics,
    policy::{Api, Names, Needs, Own, PathNeeds, Plan, PolicySet, RouteNeeds, Suite},
    source::{self, Finding, Rank, Source},
    transform::NoKeys,
};

/// Says what is wrong with the policies, or worth a look, and where.
///
/// Reads all *.yaml files of the folder, tests included, with the loader that the proxy uses. An
/// error does not load; a warning loads, and still should not go out; a note is worth a look. Of each
/// kind the first 50 are shown.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Check {
    /// The folder of the policies.
    #[arg(value_name = "DIR", default_value = folder::DEFAULT)]
    dir: PathBuf,
    /// How findings are printed; json is one object a line, the last one is {"summary": ..}.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Also says what the paths of each route hold of a body while it goes by. With --format json that is
    /// always there.
    #[arg(long)]
    memory: bool,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    nothing is wrong; there may be notes
  1    there are errors or warnings
  2    the folder cannot be read, or holds no policies
  141  whoever read stdout has gone

Where the policies load, the last lines say what they hold, and how many metric series they can
make at most:
  tamis_requests_total         for each caller, purpose it may ask for, and route: 4 decisions, or
                               1 where the purpose is denied the route; what is denied before its
                               purpose or route is known; what anybody may ask for; preflights
  tamis_field_accesses_total   for each caller, purpose it may ask for, and route: each category
                               with its action, and once more as `unfit` where its values can be;
                               what passes unread
  tamis_responses_total        for each route, for what has none in each api and in no api, and
                               for the preflights of an api: 5 classes

With --memory they also say what is held of a body while it goes by: the paths for which a value, an
element or the whole document has to be there before they are decided, and the limit of each.

Example:
  tamis check policies --format json | jq -r 'select(.rank == \"error\") | .file'";

impl Check {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        let folder = Folder::load(&self.dir, &NoKeys, "tamis check")?;
        let found = Found::of(&folder.loaded.findings);
        let holds = folder.loaded.set.as_ref().map(|set| Holds::of(set, &folder.loaded.suites));
        match self.format {
            Format::Human => {
                write!(streams.out, "{}{}", folder.render(None), summary(&found, holds.as_ref()))?;
                if let Some(set) = folder.loaded.set.as_ref().filter(|_| self.memory) {
                    write!(streams.out, "{}", memory(&set.needs()))?;
                }
            }
            Format::Json => {
                let needs = folder.loaded.set.as_ref().map(PolicySet::needs);
                let memory = needs.as_ref().map(|needs| needs.iter().map(RouteView::of).collect());
                let findings = (&*folder.loaded.findings, &*folder.sources);
                write_json(findings, holds, memory, streams.out)?;
            }
        }
        Ok(if found.errors + found.warnings > 0 { Exit::Found } else { Exit::Fine })
    }
}

/// Writes findings of these sources for machines: one object a line, and the summary.
pub(super) fn write_findings(
    findings: &[Finding],
    sources: &[Source],
    out: &mut dyn Write,
) -> io::Result<()> {
    write_json((findings, sources), None, None, out)
}

fn write_json(
    (findings, sources): (&[Finding], &[Source]),
    holds: Option<Holds>,
    memory: Option<Vec<RouteView<'_>>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (shown, more) = source::shortened(findings);
    for finding in shown {
        write_json_line(out, &source::view(finding, sources))?;
    }
    let more = more.into_iter().collect();
    let summary = Summary { found: Found::of(findings), more, holds, memory };
    write_json_line(out, &Last { summary })
}

#[derive(Serialize)]
struct Last<'a> {
    summary: Summary<'a>,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    found: Found,
    /// How many findings of a code are not shown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    more: BTreeMap<&'static str, usize>,
    #[serde(flatten)]
    holds: Option<Holds>,
    /// What each path takes of memory while a body goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Vec<RouteView<'a>>>,
}

#[derive(Serialize)]
struct RouteView<'a> {
    api: &'a str,
    route: &'a str,
    paths: Vec<PathView<'a>>,
}

impl<'a> RouteView<'a> {
    fn of(route: &'a RouteNeeds) -> Self {
        let paths = route.paths.iter().map(PathView::of).collect();
        Self { api: &route.api, route: &route.route, paths }
    }
}

/// Most routes that are named for what they hold, and most paths of each.
const MEMORY_ROWS_MAX: usize = 10;

/// What the routes take of memory while a body goes by: how many stream, and what the others hold.
fn memory(routes: &[RouteNeeds]) -> String {
    let hold: Vec<&RouteNeeds> =
        routes.iter().filter(|route| route.most() != [Needs::Nothing]).collect();
    let purposes = if hold.is_empty() { "" } else { "; for the purpose that takes most:" };
    let mut lines = vec![format!(
        "memory: {} of {} hold nothing of a body{purposes}",
        routes.len() - hold.len(),
        counted(routes.len(), "route", "routes")
    )];
    let more = |all: usize| all.checked_sub(MEMORY_ROWS_MAX).filter(|more| *more > 0);
    for route in hold.iter().take(MEMORY_ROWS_MAX) {
        lines.push(format!("  {} of {}", route.route, route.api));
        let paths = route.paths.iter().filter(|path| path.needs != [Needs::Nothing]);
        let paths: Vec<&PathNeeds> = paths.collect();
        let rows = paths.iter().take(MEMORY_ROWS_MAX);
        lines.extend(rows.map(|path| format!("    {}  {}", path.path, path.in_words())));
        lines.extend(more(paths.len()).map(|more| format!("    and {more} more paths")));
    }
    lines.extend(more(hold.len()).map(|more| format!("  and {more} more routes")));
    let limits = folder::limits_in_words(routes.iter().flat_map(RouteNeeds::most));
    lines.extend(limits.map(|limits| format!("  {limits}")));
    lines.push(String::new());
    lines.join("\n")
}

#[derive(Clone, Copy, Serialize)]
struct Found {
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Found {
    fn of(findings: &[Finding]) -> Self {
        let count = |rank| findings.iter().filter(|finding| finding.rank == rank).count();
        let [errors, warnings, notes] = [Rank::Error, Rank::Warning, Rank::Note].map(count);
        Self { errors, warnings, notes }
    }
}

/// What policies that load hold.
#[derive(Serialize)]
struct Holds {
    apis: usize,
    routes: usize,
    callers: usize,
    purposes: usize,
    tests: usize,
    /// The digest under which decisions are recorded.
    digest: String,
    series: Series,
}

impl Holds {
    fn of(set: &PolicySet, suites: &[Suite]) -> Self {
        Self {
            apis: set.apis().len(),
            routes: set.apis().iter().map(|api| api.routes.len()).sum(),
            callers: set.callers().len(),
            purposes: set.purposes().len(),
            tests: suites.iter().map(|suite| suite.cases.len()).sum(),
            digest: set.digest().as_str().to_owned(),
            series: Series::of(set),
        }
    }
}

fn summary(found: &Found, holds: Option<&Holds>) -> String {
    let mut parts = Vec::new();
    for (number, one, many) in [
        (found.errors, "error", "errors"),
        (found.warnings, "warning", "warnings"),
        (found.notes, "note", "notes"),
    ] {
        if number > 0 {
            parts.push(counted(number, one, many));
        }
    }
    let found_any = parts.join(", ");
    let Some(holds) = holds else { return format!("{found_any}\n") };
    let verdict = match (found.warnings, found.notes) {
        (0, 0) => "policies are fine".to_owned(),
        (0, _) => format!("policies are fine, with {found_any}"),
        (_, _) => found_any,
    };
    format!(
        "{verdict}: {}, {}, {}, {}, {}; digest {:.12}\n\
         metrics: at most {} series of tamis_requests_total, {} of tamis_field_accesses_total, {} of \
         tamis_responses_total\n",
        counted(holds.apis, "api", "apis"),
        counted(holds.routes, "route", "routes"),
        counted(holds.callers, "caller", "callers"),
        counted(holds.purposes, "purpose", "purposes"),
        counted(holds.tests, "test", "tests"),
        holds.digest,
        holds.series.requests,
        holds.series.field_accesses,
        holds.series.responses,
    )
}

/// The most series that the metrics of one set of policies can have, however it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Series {
    /// Of `tamis_requests_total{api,route,caller,purpose,decision}`.
    requests: usize,
    /// Of `tamis_field_accesses_total{api,route,caller,purpose,category,action}`.
    field_accesses: usize,
    /// Of `tamis_responses_total{api,route,class}`.
    responses: usize,
}

impl Series {
    pub(super) fn of(set: &PolicySet) -> Self {
        let apis = set.apis();
        // What is denied before it is known what it is about has `unknown` labels and one decision:
        // nobody, ..
        let mut series = Self { requests: 1, field_accesses: 0, responses: 0 };
        let hosts_are_named = apis.iter().all(|api| !api.hosts.is_empty());
        let routes: usize = apis.iter().map(|api| api.routes.len()).sum();
        // .. a browser that asks whether it may, and is told so, or is of an origin that may not, ..
        series.requests += 2 * apis.iter().filter(|api| api.answers_preflights()).count();
        for caller in set.callers() {
            // .. a caller without a purpose that is declared, a caller with a purpose of others, ..
            series.requests += 1 + (set.purposes().len() - caller.purposes.len());
            // .. and, each for one purpose, an api that the purpose or the caller is not for, a route that there is
            // not, in each api, or in none if each names its hosts, or that the purpose is denied. Others have more.
            for purpose in set.purposes_of(caller) {
                let (own, others): (Vec<&Api>, Vec<&Api>) =
                    apis.iter().partition(|api| purpose.apis.has(api.id));
                series.requests += usize::from(hosts_are_named || !others.is_empty());
                let routes =
                    |api: &&Api| if caller.apis.has(api.id) { api.routes.len() } else { 0 };
                series.requests += own.len() + own.iter().map(routes).sum::<usize>();
            }
        }
        for (_, plan) in set.plans() {
            series.requests += Decision::ALL.len() - 1;
            series.field_accesses += accesses(plan);
        }
        for (_, plan) in set.plans_of_anybody() {
            series.requests += Decision::ALL.len();
            series.field_accesses += accesses(plan);
        }
        // Every route, what has none in each api and in none, and preflights: each with all classes.
        let preflights = apis.iter().filter(|api| api.answers_preflights()).count();
        series.responses = (1 + apis.len() + routes + preflights) * StatusClass::ALL.len();
        series
    }

    /// How many series that is of `limits.metric_series`, with those that each route and api has; without
    /// those of refusals, of which there is one for each route and reason that occurs.
    pub(super) fn lines(self, set: &PolicySet) -> usize {
        // What is not known has a route and an api of its own.
        let apis = set.apis().len() + 1;
        let routes: usize = set.apis().iter().map(|api| api.routes.len() + 1).sum();
        let of_labels = metrics::SERIES_OF_ROUTE * (routes + 1) + metrics::SERIES_OF_API * apis;
        self.requests + self.field_accesses + of_labels
    }
}

/// How many pairs of category and action a plan can count.
fn accesses(plan: &Plan) -> usize {
    let cells = plan.cells();
    // What is withheld is counted once a response, present or not.
    let mut done: Vec<bool> = cells.iter().map(|cell| cell.action.withholds()).collect();
    let mut unfit = vec![false; cells.len()];
    let mut keeps_unclassified = plan.keeps_unclassified();
    for verdict in plan.verdicts() {
        // A kept value is never unfit; a kept name can be, if it is too long.
        let own = match verdict.own {
            Own::Keep(cell) => Some((cell, false)),
            Own::Change(cell) => Some((cell, true)),
            Own::None | Own::Null | Own::Drop => None,
        };
        let names = match verdict.names {
            Names::Keep(cell) | Names::Change(cell) => Some((cell, true)),
            Names::Unclassified | Names::Drop => None,
        };
        for (cell, can_be_unfit) in own.into_iter().chain(names) {
            if let (Some(done), Some(unfit)) =
                (done.get_mut(cell.index()), unfit.get_mut(cell.index()))
            {
                *done = true;
                *unfit |= can_be_unfit;
            }
        }
        keeps_unclassified |= verdict.mount == Some(true);
    }
    for (_, cell) in plan.headers() {
        let Some(of) = cells.get(cell.index()).filter(|of| !of.action.withholds()) else {
            continue;
        };
        if let (Some(done), Some(unfit)) = (done.get_mut(cell.index()), unfit.get_mut(cell.index()))
        {
            *done = true;
            *unfit |= of.action != Action::Keep;
        }
    }
    let more = usize::from(keeps_unclassified) + usize::from(plan.passes());
    done.iter().chain(&unfit).filter(|counted| **counted).count() + more
}
