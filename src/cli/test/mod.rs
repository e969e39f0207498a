//! `tamis test`: whether the claims of `*.test.yaml` hold.

mod document;

use std::{fmt, path::PathBuf, sync::Arc};

use clap::Args;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::civil::Date;
use regex::Regex;
use serde_json::Value;

use crate::{
    access::{Count, Reason},
    cli::{
        folder::{self, Folder, KeyFile},
        outcome::{Exit, Failure},
        streams::Streams,
    },
    enforce::Refusal,
    frame::Framed,
    json::Limits,
    message::{RequestTraits, Treatment, sieved_headers},
    path::Path,
    policy::{
        self, Ask, Case, Claim, Finding, Framing, Permit, Place, Plan, PolicySet, Rank, Says,
        Source, Target,
    },
    transform::{Context, KeyError, RootKey},
};

use document::{Document, Quoted};

/// Runs the tests of the policies: the *.test.yaml files beside them.
///
/// Each test asks for something, gives an upstream's answer, and claims something about what leaves.
/// The answer goes through the engine in one piece and byte by byte, which has to give the same.
/// Without --key-file, pseudonyms are made with a test key that everybody knows.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Test {
    /// The folder of the policies and their tests.
    #[arg(value_name = "DIR", default_value = folder::DEFAULT)]
    dir: PathBuf,
    /// Only the tests that have this text in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Lists the tests instead of running them.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    key_file: KeyFile,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    all tests pass
  1    some fail: a line for each claim that does not hold says where it stands, what was expected
       and what came (from the test data); or the policies have errors
  2    could not be done: the folder cannot be read, or there are no tests
  141  whoever read stdout has gone

Example:
  tamis test policies --only IBAN";

/// The root key of tests that bring none: no secret, and the same for ever, so that a test can spell
/// a pseudonym out.
const TEST_KEY: &[u8; 32] = b"tamis test key; not for any data";

impl Test {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        let key = match self.key_file.read(streams)? {
            Some(key) => key,
            None => test_key().map_err(|error| Failure::cannot(error.to_string()))?,
        };
        let (set, suites, sources) = match Folder::load(&self.dir, &key, "tamis test")?.with_tests()
        {
            Ok(loaded) => loaded,
            Err(errors) => {
                writeln!(streams.out, "{errors}no test was run: the policies do not load")?;
                return Ok(Exit::Found);
            }
        };
        let cases = suites.iter().flat_map(|suite| &suite.cases);
        let wanted = self.only.as_deref().unwrap_or_default();
        let cases: Vec<&Case> = cases.filter(|case| case.name.contains(wanted)).collect();
        if cases.is_empty() {
            return Err(self.nothing_to_run());
        }
        if self.list {
            for case in cases {
                writeln!(streams.out, "{}: {}", At(&case.at, &sources), case.name)?;
            }
            return Ok(Exit::Fine);
        }
        let today = folder::today();
        let mut failed = 0;
        for case in &cases {
            let wrong = run(case, &set, today);
            failed += usize::from(!wrong.is_empty());
            for Wrong { at, what } in wrong {
                writeln!(streams.out, "{}: {}: {what}", At(&at, &sources), case.name)?;
            }
        }
        writeln!(streams.out, "{} passed, {failed} failed", cases.len() - failed)?;
        Ok(if failed == 0 { Exit::Fine } else { Exit::Found })
    }

    /// A pipeline whose tests were renamed or forgotten must not look as if they had passed.
    fn nothing_to_run(&self) -> Failure {
        match &self.only {
            Some(_) => Failure::cannot("no test has the text of --only in its name")
                .help("`--list` without --only shows the names"),
            None => Failure::cannot(format!("there are no tests in {}", self.dir.display()))
                .help("tests are files that end in .test.yaml, beside the policies"),
        }
    }
}

fn test_key() -> Result<RootKey, KeyError> {
    RootKey::from_hex(&HEXLOWER.encode(TEST_KEY))
}

/// Shows a place as `file:line:column`, by the rules for the place of a finding.
struct At<'a>(&'a Place, &'a [Source]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place, sources) = self;
        let finding = Finding {
            rank: Rank::Note,
            code: "",
            message: String::new(),
            at: (*place).clone(),
            also: Vec::new(),
            help: None,
        };
        let at = policy::view(&finding, sources).at;
        write!(f, "{}:{}:{}", at.file, at.line, at.column)
    }
}

/// A claim that does not hold.
struct Wrong {
    at: Place,
    what: String,
}

/// What a case came to.
enum Outcome {
    /// With the framing of what has left; none if it passes whatever it is.
    Left(HeaderMap, Vec<u8>, Option<Framing>),
    /// With the parameter for which it is denied, if it is for one.
    Denied(Reason, Option<String>),
    /// By the head of the response alone.
    RefusedHead(Reason),
    Refused(Refusal),
}

/// Runs one case; nothing is wrong with a case that passes.
fn run(case: &Case, set: &PolicySet, today: Date) -> Vec<Wrong> {
    let wrong = |at: &Place, what: String| Wrong { at: at.clone(), what };
    let outcome = match ask(case, set) {
        Err((reason, why)) => Outcome::Denied(reason, why),
        Ok(permit) => match treatment(case, &permit) {
            Err(reason) => Outcome::RefusedHead(reason),
            Ok((head, treatment)) => {
                let context = Context { today: case.today.unwrap_or(today) };
                let (head, _) = sieved_headers(&head, &permit.plan, permit.passes, context);
                let Some(framing) = treatment else {
                    return hold_or_not(
                        case,
                        &Outcome::Left(head, case.upstream_body.clone(), None),
                    );
                };
                let body = case.upstream_body.as_slice();
                let plan = permit.plan;
                let whole = enforce(framing, Arc::clone(&plan), context, std::iter::once(body));
                let split = enforce(framing, plan, context, body.chunks(1));
                if !is_same(&whole, &split) {
                    let what = "split: the body gives something else when it comes byte by byte; \
                                this is a bug in tamis";
                    return vec![wrong(&case.at, what.to_owned())];
                }
                match whole {
                    Ok(Left { body, .. }) => Outcome::Left(head, body, Some(framing)),
                    Err(refusal) => Outcome::Refused(refusal),
                }
            }
        },
    };
    hold_or_not(case, &outcome)
}

/// What is wrong with what a case came to.
fn hold_or_not(case: &Case, outcome: &Outcome) -> Vec<Wrong> {
    let wrong = |at: &Place, what: String| Wrong { at: at.clone(), what };
    let refused = case.refused();
    let (came_to, reason) = match (outcome, refused) {
        (Outcome::Left(head, body, framing), None) => return hold(case, head, body, *framing),
        (Outcome::Left(..), Some((at, expected))) => {
            return vec![wrong(at, format!("expected refused: {expected}, and it is allowed"))];
        }
        (Outcome::Denied(reason, None), _) => (format!("denied: {reason}"), *reason),
        (Outcome::Denied(reason, Some(why)), _) => (format!("denied: {reason}: {why}"), *reason),
        (Outcome::RefusedHead(reason), _) => (format!("refused: {reason}"), *reason),
        (Outcome::Refused(refusal), _) => {
            let Refusal { reason, violation } = refusal;
            (format!("refused: {reason} (upstream: {violation})"), *reason)
        }
    };
    match refused {
        Some((_, expected)) if expected == reason => Vec::new(),
        Some((at, expected)) => {
            vec![wrong(at, format!("expected refused: {expected}, and it is {came_to}"))]
        }
        None => vec![wrong(&case.at, format!("expected an answer, and it is {came_to}"))],
    }
}

fn ask(case: &Case, set: &PolicySet) -> Result<Permit, (Reason, Option<String>)> {
    let target = Target::parse(&case.method, &case.target).map_err(|reason| (reason, None))?;
    let caller = match &case.caller {
        Some(name) => Some(set.caller(name).ok_or((Reason::CallerUnknown, None))?),
        None => None,
    };
    let ask = Ask {
        caller,
        purpose: case.purpose.as_deref(),
        host: case.host.as_deref(),
        target: &target,
    };
    set.decide(&ask).map_err(|denial| (denial.reason, denial.parameter(set, &ask)))
}

/// The upstream's head, and how documents stand in its answer; none if it passes whatever it is.
fn treatment(case: &Case, permit: &Permit) -> Result<(HeaderMap, Option<Framing>), Reason> {
    let media = HeaderValue::from_str(&case.upstream_media);
    let media = media.map_err(|_unreadable| Reason::MediaNotAllowed)?;
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media)]);
    for (name, value) in &case.upstream_headers {
        let name = HeaderName::try_from(name).map_err(|_unreadable| Reason::UpstreamProtocol)?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_unreadable| Reason::UpstreamProtocol)?;
        headers.append(name, value);
    }
    let passes = |media: &str| permit.plan.passes_media(media);
    let asked = RequestTraits { passes: permit.passes, ..RequestTraits::default() };
    match Treatment::of(StatusCode::OK, &headers, asked, false, passes)? {
        Treatment::Sieve { framing, .. } => Ok((headers, Some(framing))),
        Treatment::Pass { .. } => Ok((headers, None)),
        // An answer of 200 with a body is none of these.
        Treatment::Empty | Treatment::Replace | Treatment::Discard => Err(Reason::Internal),
    }
}

/// What has left of a body that was read to its end.
#[derive(PartialEq)]
struct Left {
    body: Vec<u8>,
    counts: Vec<Count>,
    unclassified: bool,
}

fn enforce<'c>(
    framing: Framing,
    plan: Arc<Plan>,
    context: Context,
    chunks: impl Iterator<Item = &'c [u8]>,
) -> Result<Left, Refusal> {
    let mut framed = Framed::new(framing, plan, context, Limits::default());
    let mut body = Vec::new();
    for chunk in chunks {
        framed.write(chunk, &mut body)?;
    }
    framed.finish(&mut body)?;
    let tally = framed.tally();
    let (counts, unclassified) = (tally.counts(), tally.unclassified());
    Ok(Left { body, counts, unclassified })
}

/// The place of a refusal may be that of a chunk, so only its reason counts.
fn is_same(whole: &Result<Left, Refusal>, split: &Result<Left, Refusal>) -> bool {
    match (whole, split) {
        (Ok(whole), Ok(split)) => whole == split,
        (Err(whole), Err(split)) => whole.reason == split.reason,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// Which claims about a head and a body do not hold.
fn hold(case: &Case, head: &HeaderMap, body: &[u8], framing: Option<Framing>) -> Vec<Wrong> {
    let document = match Document::read(body, framing) {
        Ok(document) => document,
        Err(error) => {
            let what = format!("what leaves is no JSON ({error}); this is a bug in tamis");
            return vec![Wrong { at: case.at.clone(), what }];
        }
    };
    let wrong = |Claim { at, says }: &Claim| {
        let what = match says {
            Says::Is(path, expected) => is(&document, path, expected),
            Says::Matches(path, regex) => matches(&document, path, regex),
            Says::Output(expected) => output(body, expected),
            Says::Absent(path) => document
                .select(path)
                .first()
                .map(|node| format!("absent {path}: it is there: {}", Short(node))),
            Says::Never(text) => never(&document, head, body, text),
            Says::Same(paths) => same(&document, paths),
            Says::Differs(paths) => differs(&document, paths),
            Says::Header(name, expected) => header_is(head, name, expected),
            Says::HeaderMatches(name, regex) => header_matches(head, name, regex),
            // What is claimed to be refused does not come here.
            Says::Refused(_) => None,
        };
        what.map(|what| Wrong { at: at.clone(), what })
    };
    case.claims.iter().filter_map(wrong).collect()
}

fn output(body: &[u8], expected: &str) -> Option<String> {
    if body == expected.as_bytes() {
        return None;
    }
    let body = String::from_utf8_lossy(body);
    let pairs = body.bytes().zip(expected.bytes());
    let at = pairs.take_while(|(one, other)| one == other).count();
    // Of what is too long for a line, the part where they part.
    let from = |text: &str| {
        let start =
            if text.len() > SHORT_CHARS_MAX { at.saturating_sub(SHORT_CHARS_MAX / 4) } else { 0 };
        let part = text.get(text.floor_char_boundary(start)..).unwrap_or_default();
        format!("{}{}", if start > 0 { "..." } else { "" }, Short(part))
    };
    Some(format!("output: expected {}, and it is {}", from(expected), from(&body)))
}

fn is(document: &Document, path: &Path, expected: &Value) -> Option<String> {
    let expected = Document::from(expected);
    let came = match document.select(path).as_slice() {
        [node] if **node == expected => return None,
        [node] => format!("it is {}", Short(node)),
        [] => "it is not there".to_owned(),
        nodes => format!("it selects {} nodes, not one", nodes.len()),
    };
    Some(format!("expect {path}: expected {}, and {came}", Short(&expected)))
}

fn matches(document: &Document, path: &Path, regex: &Regex) -> Option<String> {
    let nodes = document.select(path);
    let unlike =
        nodes.iter().find(|node| !node.scalar_text().is_some_and(|text| regex.is_match(text)));
    let came = match (unlike, nodes.is_empty()) {
        (Some(node), _) => format!("it is {}", Short(node)),
        (None, true) => "it is not there".to_owned(),
        (None, false) => return None,
    };
    Some(format!("expect {path}: expected a match of {}, and {came}", Quoted(regex.as_str())))
}

fn never(document: &Document, head: &HeaderMap, body: &[u8], text: &str) -> Option<String> {
    let says = |value: &[u8]| memchr::memmem::find(value, text.as_bytes()).is_some();
    let header = head.iter().find(|(_, value)| says(value.as_bytes()));
    if let Some((name, _)) = header {
        return Some(format!("never {}: it stands in the header {name}", Quoted(text)));
    }
    let where_to = if memchr::memmem::find(body, text.as_bytes()).is_some() {
        "it stands in the output"
    } else if document.says(text) {
        "it stands in the output, once that is decoded"
    } else {
        return None;
    };
    Some(format!("never {}: {where_to}", Quoted(text)))
}

/// The lines of a header that leaves, as text.
fn lines(head: &HeaderMap, name: &str) -> Vec<String> {
    let lines = head.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn header_is(head: &HeaderMap, name: &str, expected: &[String]) -> Option<String> {
    let lines = lines(head, name);
    if lines == expected {
        return None;
    }
    let in_words = |lines: &[String]| match lines {
        [] => "nothing".to_owned(),
        lines => lines.iter().map(|line| Quoted(line).to_string()).collect::<Vec<_>>().join(", "),
    };
    let (expected, lines) = (in_words(expected), in_words(&lines));
    Some(format!("header {name}: expected {}, and it is {}", Short(expected), Short(lines)))
}

fn header_matches(head: &HeaderMap, name: &str, regex: &Regex) -> Option<String> {
    let lines = lines(head, name);
    let unlike = lines.iter().find(|line| !regex.is_match(line));
    let came = match (unlike, lines.is_empty()) {
        (Some(line), _) => format!("it is {}", Short(Quoted(line))),
        (None, true) => "it does not leave".to_owned(),
        (None, false) => return None,
    };
    Some(format!("header {name}: expected a match of {}, and {came}", Quoted(regex.as_str())))
}

fn same(document: &Document, paths: &[Path]) -> Option<String> {
    let nodes = document.nodes(paths);
    let what = match nodes.split_first() {
        None => "expected at least two nodes, and there is none".to_owned(),
        Some((_, [])) => "expected at least two nodes, and there is one".to_owned(),
        Some((first, others)) => {
            let other = others.iter().find(|node| *node != first)?;
            format!("{} and {} differ", Short(first), Short(other))
        }
    };
    Some(format!("same: {what}"))
}

fn differs(document: &Document, paths: &[Path]) -> Option<String> {
    let nodes = document.nodes(paths);
    let what = match nodes.as_slice() {
        [] => "expected at least two nodes, and there is none".to_owned(),
        [_] => "expected at least two nodes, and there is one".to_owned(),
        nodes => {
            let mut before = Vec::new();
            let twice = nodes.iter().find(|node| {
                let known = before.contains(node);
                before.push(node);
                known
            })?;
            format!("{} is there twice", Short(twice))
        }
    };
    Some(format!("differs: {what}"))
}

impl Document {
    /// The nodes that any of the paths selects, each once.
    fn nodes(&self, paths: &[Path]) -> Vec<&Self> {
        let mut nodes: Vec<&Self> = Vec::new();
        for node in paths.iter().flat_map(|path| self.select(path)) {
            if !nodes.iter().any(|known| std::ptr::eq(*known, node)) {
                nodes.push(node);
            }
        }
        nodes
    }
}

/// Shows so much of something as one line can take.
struct Short<T>(T);

/// Most characters of a value in one line.
const SHORT_CHARS_MAX: usize = 200;

impl<T: fmt::Display> fmt::Display for Short<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string().replace('\r', "\\r").replace('\n', "\\n");
        match text.char_indices().nth(SHORT_CHARS_MAX) {
            Some((at, _)) => write!(f, "{}...", text.get(..at).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}
