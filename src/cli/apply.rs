//! `tamis apply`: the engine of the proxy on a file.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::civil::Date;
use serde::Serialize;

use crate::{
    access::{Action, Count, Reason},
    cli::{
        folder::{self, Folder, KeyFile},
        outcome::{Exit, Failure},
        streams::Streams,
    },
    config::PASS_BYTES,
    enforce::{Places, Refusal, Tally},
    frame::Framed,
    json::Limits,
    message::{self, Passing, RequestTraits, Treatment},
    policy::{Api, Ask, Framing, Permit, Plan, PolicySet, Target},
    transform::Context,
};

/// Shows what would leave of a response: reads JSON, decides as the proxy does, writes what is left.
///
/// With --content-type it also reads lines of JSON, JSON text sequences and server-sent events. The body
/// streams through: it may be larger than memory. Bytes that the policies keep come out as they came in.
/// A file has no head: what leaves of response headers is for `tamis test` and `tamis explain` to say.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Apply {
    /// The folder of the policies.
    #[arg(long, value_name = "DIR", default_value = folder::DEFAULT)]
    policies: PathBuf,
    /// Who asks, by the name that the policies give.
    #[arg(long, value_name = "NAME")]
    caller: String,
    /// What for; a caller with one purpose need not say it.
    #[arg(long, value_name = "NAME")]
    purpose: Option<String>,
    /// What is asked for, in one argument: 'GET /customers/42?page=2'.
    #[arg(long, value_name = "METHOD /PATH")]
    request: String,
    /// The host that is asked, where several APIs share a proxy.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The status of the response: what leaves of an error is not what leaves of an answer.
    #[arg(long, value_name = "STATUS", default_value = "200")]
    status: StatusCode,
    /// The media type of the response, as its `Content-Type` says it.
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: HeaderValue,
    /// Most bytes that are read and decided at a time; the output is the same for all.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=CHUNK_BYTES_MAX))]
    chunk: u32,
    #[command(flatten)]
    key_file: KeyFile,
    /// The day that ages are counted for [default: today, in UTC].
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<Date>,
    /// Prints on stderr what the proxy would count, one JSON object a line, and where unclassified data
    /// was withheld.
    #[arg(long)]
    counts: bool,
    /// The response's body; none, or `-`, reads stdin.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    all of the body is decided and written
  1    the request is denied: stderr says `denied: REASON`, stdout is empty
  2    could not be done: policies that do not load, no key where one is needed, a file that
       cannot be read or written
  3    the response is refused: stderr says `refused: REASON` and where; what is on stdout is
       decided, and incomplete
  141  whoever read stdout has gone

Examples:
  tamis apply --caller support-desk --request 'GET /customers/C-1042' customer.json
  curl -s http://127.0.0.1:3000/customers/C-1042 |
    tamis apply --caller back-office --purpose billing --request 'GET /customers/C-1042'";

/// What is said of a body that did not come to its end.
const INCOMPLETE: &str =
    "What is on stdout was decided, and is incomplete: do not take it for a document.";

/// Largest chunk that can be asked for.
const CHUNK_BYTES_MAX: i64 = 16 << 20;

impl Apply {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        // Everything that can be wrong is looked at before the first byte leaves.
        let (method, target) = folder::request_line(&self.request)?;
        let key = self.key_file.read(streams)?;
        let set = Folder::load(&self.policies, &*folder::keys(key), "tamis apply --policies")?
            .usable(streams)?;
        let permit = match self.decide(&set, method, target) {
            Ok(permit) => permit,
            Err((reason, why)) => {
                streams.say(format_args!("denied: {reason}\n  {}", reason.title()));
                if let Some(why) = why {
                    streams.say(format_args!("  {why}"));
                }
                if let Some(help) = self.help(&set, reason) {
                    streams.say(format_args!("  help: {help}"));
                }
                return Ok(Exit::Found);
            }
        };
        match self.treatment(&permit, method) {
            Err(reason) => {
                streams.say(format_args!("refused: {reason}\n  {}", reason.title()));
                Ok(Exit::Refused)
            }
            Ok(Treatment::Empty | Treatment::Discard) => Ok(Exit::Fine),
            Ok(Treatment::Replace) => {
                streams.out.write_all(&message::error_of_upstream(self.status))?;
                Ok(Exit::Fine)
            }
            Ok(Treatment::Pass { .. }) => self.pass(&permit.plan, streams),
            Ok(Treatment::Sieve { framing, may_be_empty, .. }) => {
                // What is needed for a head is not needed here.
                if !permit.plan.is_ready_for_bodies() {
                    let what = "the rules of this purpose make pseudonyms of what is in the body, and there is no key for them";
                    return Err(Failure::cannot(what).help(format!(
                        "pass --key-file FILE; {} makes a key to try with",
                        folder::MAKE_KEY
                    )));
                }
                self.carry_out(permit.plan, framing, may_be_empty, streams)
            }
        }
    }

    /// What the proxy would do with a response that has this head.
    fn treatment(&self, permit: &Permit, method: &str) -> Result<Treatment, Reason> {
        let passes = |media: &str| permit.plan.passes_media(media);
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, self.content_type.clone())]);
        let is_head = method == "HEAD";
        let asked = RequestTraits { is_head, passes: permit.passes, is_conditional: false };
        Treatment::of(self.status, &headers, asked, false, passes)
    }

    /// The decision about the request; if it is denied, with the parameter for which it is.
    fn decide(
        &self,
        set: &PolicySet,
        method: &str,
        target: &str,
    ) -> Result<Permit, (Reason, Option<String>)> {
        let target = Target::parse(method, target).map_err(|reason| (reason, None))?;
        let caller = set.caller(&self.caller).ok_or((Reason::CallerUnknown, None))?;
        let ask = Ask {
            caller: Some(caller),
            purpose: self.purpose.as_deref(),
            host: self.host.as_deref(),
            target: &target,
        };
        set.decide(&ask).map_err(|denial| (denial.reason, denial.parameter(set, &ask)))
    }

    /// Lets the body pass as it is, as far as the proxy would without other settings.
    fn pass(&self, plan: &Arc<Plan>, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        let mut passing = Passing::new(PASS_BYTES);
        let done = self.for_each_chunk(streams, |chunk, out| {
            passing.take(chunk.len())?;
            out.extend_from_slice(chunk);
            Ok(())
        })?;
        if self.counts {
            let mut tally = Tally::of_head(plan);
            passing.count(&mut tally);
            say_counts(&tally.counts(), None, streams);
        }
        let Err(reason) = done else { return Ok(Exit::Fine) };
        streams.say(format_args!("refused: {reason}\n  {}\n  {INCOMPLETE}", Reason::title(reason)));
        Ok(Exit::Refused)
    }

    /// Sends the body through a plan.
    fn carry_out(
        &self,
        plan: Arc<Plan>,
        framing: Framing,
        may_be_empty: bool,
        streams: &mut Streams<'_>,
    ) -> Result<Exit, Failure> {
        let context = Context { today: self.today.unwrap_or_else(folder::today) };
        let mut framed = Framed::new(framing, plan, context, Limits::default());
        let mut begun = false;
        let done = self.for_each_chunk(streams, |chunk, out| {
            if chunk.is_empty() {
                return if begun || !may_be_empty { framed.finish(out) } else { Ok(()) };
            }
            begun = true;
            framed.write(chunk, out)
        })?;
        if self.counts {
            let tally = framed.tally();
            let places = tally.unclassified().then(|| framed.places());
            say_counts(&tally.counts(), places.as_ref(), streams);
        }
        let Err(Refusal { reason, violation }) = done else { return Ok(Exit::Fine) };
        let name = self.body_name();
        streams.say(format_args!(
            "refused: {reason}\n  {}\n  {name}: {violation}\n  {INCOMPLETE}",
            reason.title()
        ));
        Ok(Exit::Refused)
    }

    fn body_file(&self) -> Option<&Path> {
        self.file.as_deref().filter(|file| file.as_os_str() != "-")
    }

    fn body_name(&self) -> String {
        self.body_file().map_or_else(|| "stdin".into(), |file| file.display().to_string())
    }

    /// Reads the body chunk by chunk, the last one empty, and writes what `each` makes of it, until it
    /// refuses one.
    fn for_each_chunk<E>(
        &self,
        streams: &mut Streams<'_>,
        mut each: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Failure> {
        let name = self.body_name();
        let cannot_read =
            |error: io::Error| Failure::cannot(format!("cannot read {name}: {error}"));
        let mut opened;
        let body: &mut dyn Read = match self.body_file() {
            Some(file) => {
                opened = File::open(file).map_err(cannot_read)?;
                &mut opened
            }
            None => &mut *streams.stdin,
        };
        let mut buffer = vec![0; usize::try_from(self.chunk).unwrap_or(usize::MAX)];
        let mut out = Vec::new();
        let done = loop {
            let read = match body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(cannot_read(error).help("what is on stdout is incomplete"));
                }
            };
            let chunk = buffer.get(..read).unwrap_or_default();
            let done = each(chunk, &mut out);
            // What was decided before a refusal leaves too: as much as the proxy would have sent.
            streams.out.write_all(&out)?;
            if read < buffer.len() {
                // There is no more for now: whoever reads a stream gets what is decided of it.
                streams.out.flush()?;
            }
            out.clear();
            if done.is_err() || chunk.is_empty() {
                break done;
            }
        };
        streams.out.flush()?;
        Ok(done)
    }

    /// What to try instead, in names of the policies.
    fn help(&self, set: &PolicySet, reason: Reason) -> Option<String> {
        match reason {
            Reason::HostNotValid => Some(
                "pass --host with a name or an address, and a port at most: crm.internal:8080"
                    .to_owned(),
            ),
            Reason::PathNotCanonical => Some(
                "a path is written without `.`, `..`, `//`, `;` or `#`, and with its names \
                 percent-encoded once"
                    .to_owned(),
            ),
            Reason::CallerUnknown => {
                listed("the callers are", set.callers().iter().map(|caller| &caller.name))
            }
            Reason::PurposeUnknown => {
                listed("the purposes are", set.purposes().iter().map(|purpose| &purpose.name))
            }
            Reason::PurposeMissing | Reason::PurposeNotAllowed => {
                let caller = set.caller(&self.caller)?;
                let purposes = set.purposes_of(caller).map(|purpose| &purpose.name);
                listed("pass --purpose with one that the caller may ask for:", purposes)
            }
            Reason::ApiNotAllowed => {
                let caller = set.caller(&self.caller)?;
                listed("the caller may use", set.apis_of(caller).map(|api| &api.name))
            }
            Reason::RouteUnknown => {
                listed("the routes are", set.apis().iter().flat_map(requests))
            }
            Reason::PathAmbiguous => Some(
                "spell the path as the route does: in its capitals, its fixed text not percent-encoded, without a \
                 slash, a dot, a space or an extension at the end; `tamis explain` names the other route"
                    .to_owned(),
            ),
            Reason::CategoryDenied
            | Reason::RequestBodyNotAllowed
            | Reason::ParameterNotAllowed
            | Reason::ParameterWithheld => Some(
                "`tamis explain` says which line of the policies decides about this route"
                    .to_owned(),
            ),
            // The proxy's; no file can have these.
            Reason::PoliciesNotLoaded
            | Reason::OriginNotAllowed
            | Reason::UpgradeNotAllowed
            | Reason::Overloaded
            | Reason::HttpVersionNotSupported
            | Reason::RequestUnreadable
            | Reason::RequestTimeout
            | Reason::TargetTooLong
            | Reason::HeadTooLarge
            | Reason::ConditionNotAllowed
            | Reason::RequestBodyTooLarge
            | Reason::HeaderRepeated
            | Reason::CallerAmbiguous
            | Reason::TooManyRequests
            | Reason::UpstreamUnreachable
            | Reason::UpstreamUntrusted
            | Reason::UpstreamTimeout
            | Reason::UpstreamProtocol
            | Reason::MediaNotAllowed
            | Reason::CodingNotSupported
            | Reason::PartialContent
            | Reason::ProtocolSwitch
            | Reason::BodyUnreadable
            | Reason::BodyTooDeep
            | Reason::BodyTooLarge
            | Reason::BodyTooComplex
            | Reason::BodyCut
            | Reason::ResponseTooOld
            | Reason::PoliciesReplaced
            | Reason::ShuttingDown
            | Reason::Internal => None,
        }
    }
}

/// How each route of an API is asked for.
fn requests(api: &Api) -> impl Iterator<Item = String> {
    let host = api.hosts.first().map(|host| format!(" with --host {host}")).unwrap_or_default();
    let routes = api.routes.iter();
    routes.map(move |route| format!("'{} {}'{host}", route.method.word(), route.pattern))
}

/// Most names in one line of help.
const LISTED_MAX: usize = 12;

fn listed(what: &str, names: impl Iterator<Item = impl Display>) -> Option<String> {
    let mut names: Vec<String> = names.map(|name| name.to_string()).collect();
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Some(format!("{what} {}", names.join(", ")))
}

/// A line of `--counts`.
#[derive(Serialize)]
struct Counted<'a> {
    category: &'a str,
    action: &'a str,
    accesses: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<&'a [String]>,
    /// Whether there are more places than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    left_out: bool,
}

/// Says what was counted, and where unclassified data was withheld, if any was.
fn say_counts(counts: &[Count], withheld: Option<&Places>, streams: &mut Streams<'_>) {
    let counted = counts.iter().map(|count| Counted {
        category: &count.category,
        action: count.action.code(),
        accesses: count.accesses,
        places: None,
        left_out: false,
    });
    // Once per response that had any, as the proxy counts it.
    let withheld = withheld.map(|places| Counted {
        category: "unclassified",
        action: Action::Drop.code(),
        accesses: 1,
        places: Some(&places.paths),
        left_out: places.left_out,
    });
    for line in counted.chain(withheld) {
        if folder::write_json_line(streams.err, &line).is_err() {
            // As with everything on stderr: the exit code still tells.
            return;
        }
    }
}
