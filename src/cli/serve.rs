//! `tamis serve`: the proxy.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use clap::Args;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

use crate::{
    cli::{
        check::{Series, write_findings},
        folder::{self, Format},
        log as logs,
        outcome::{Exit, Failure},
        streams::Streams,
    },
    config::{self, Ignored, Limits, Settings, SettingsError},
    metrics::Metrics,
    policy::PolicySet,
    proxy::{
        self, AccessLog, Certificates, Listeners, Observers, Proxy, Rehearsal, ServeError,
        Unclassified,
    },
    reload::{self, Observer, ReloadError, Start, Watched},
    source::{self, Finding, Rank, Source},
};

/// Where the settings are if nothing else is said.
const SETTINGS: &str = "config/tamis.yaml";

/// Runs the proxy in front of the upstreams that the settings name.
///
/// Policies are read again when their folder changes, and put in force if all of them are right;
/// responses that have begun end under those they began with.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Serve {
    /// The settings.
    #[arg(long, value_name = "FILE", default_value = SETTINGS)]
    config: PathBuf,
    /// Loads everything, says what is wrong, and listens to nobody.
    #[arg(long)]
    check: bool,
    /// How --check prints what is wrong with the settings; json is one object a line, the last one is
    /// {"summary": ..}. What is wrong with the policies, `tamis check` prints so.
    #[arg(long, value_enum, requires = "check")]
    format: Option<Format>,
    /// Takes the listeners over from the process that runs, which gets SIGQUIT while this one waits.
    #[arg(long, conflicts_with = "check")]
    upgrade: bool,
}

const AFTER_HELP: &str = "\
Environment:
  TAMIS__SECTION__KEY  overrides a setting, such as TAMIS__ADMIN__ADDRESS=127.0.0.1:9191 or
                       TAMIS__UPSTREAMS__CRM__ADDRESS=127.0.0.1:8002
  TAMIS_KERNEL         reads bodies with these instructions and not the best that the processor has:
                       portable, avx2 or avx512
  TAMIS_LOG            says how much goes to stderr: info, or debug for more

Signals:
  SIGHUP   reads the policies again, now, and opens the access log again
  SIGUSR1  opens the access log again
  SIGTERM  stops being ready, takes requests for `timeouts.notice`, lets responses end within
           `timeouts.drain`, and exits
  SIGINT   exits at once
  SIGQUIT  hands the listeners over to a process that was started with --upgrade, lets responses end
           within `timeouts.drain`, and exits; sooner on SIGTERM or SIGINT

Exit codes:
  0  told to end; with --check: everything is fine
  1  no process handed its listeners over
  2  the settings or the policies are wrong, or an address cannot be listened on

Example:
  tamis serve --config config/tamis.yaml --check && tamis serve --config config/tamis.yaml";

impl Serve {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        logs::start()?;
        let environment = environment()?;
        let names = environment.iter().map(|(name, _)| name.as_str());
        let ignored = config::ignored(names);
        let loaded = Settings::load(&self.config, environment);
        let in_json = matches!(self.format, Some(Format::Json));
        match &loaded {
            Err(error) if in_json => self.say_in_json(&ignored, Some(error), streams)?,
            // What else can be wrong has no place in the settings: the summary comes when nothing is.
            Ok(_) if in_json => {}
            Ok(_) | Err(_) => self.say(&ignored, loaded.as_ref().err(), streams),
        }
        let settings = loaded.map_err(|_said| Failure::Settings)?;
        spare_inputs(&self.config, &settings)?;
        let is_fine = !self.check || check(&settings, streams);
        let ready = Ready::load(settings, streams)?;
        if !is_fine {
            return Err(Failure::Settings);
        }
        if self.check {
            keep_memory_private()?;
            if in_json {
                self.say_in_json(&ignored, None, streams)?;
            } else {
                writeln!(streams.out, "{} and its policies are fine", self.config.display())?;
            }
            return Ok(Exit::Fine);
        }
        if self.upgrade && ready.settings.upgrade_socket.is_none() {
            return Err(Failure::cannot(
                "--upgrade takes an `upgrade_socket` in the settings".to_owned(),
            ));
        }
        ready.serve(if self.upgrade { Listeners::Inherited } else { Listeners::Opened })
    }
}

/// The access log is written at its end: in the place of a file that is read, it would be its end, too.
fn spare_inputs(file: &Path, settings: &Settings) -> Result<(), Failure> {
    let config::AccessLog::File(log) = &settings.access_log else { return Ok(()) };
    let pairs = settings.listen.iter().filter_map(|listener| listener.tls.as_ref());
    let upstreams = settings.upstreams.values().filter_map(|upstream| upstream.tls.as_ref());
    let pairs = pairs.chain(upstreams.clone().filter_map(|tls| tls.client.as_ref()));
    let certificates = pairs.flat_map(|pair| [&pair.certificate, &pair.key]);
    let certificates = certificates.chain(upstreams.filter_map(|tls| tls.ca.as_ref()));
    let certificates = certificates.map(|path| ("a certificate or its key", path.as_path()));
    let key = settings.root_key.iter().map(|key| ("the root key", key.as_path()));
    let mut read = certificates.chain(key).chain([("the settings", file)]);
    let is_log = |path: &Path| match (fs::metadata(log), fs::metadata(path)) {
        (Ok(log), Ok(path)) => (log.dev(), log.ino()) == (path.dev(), path.ino()),
        (Err(_), _) | (_, Err(_)) => log == path,
    };
    let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty());
    let in_policies = || {
        let [folder, policies] =
            [folder.unwrap_or(Path::new(".")), &settings.policies].map(fs::canonicalize);
        folder.is_ok() && folder.ok() == policies.ok()
    };
    let what = match read.find(|(_, path)| is_log(path)) {
        Some((what, _)) => what,
        None if in_policies() => "among the policies",
        None => return Ok(()),
    };
    let failure = Failure::cannot(format!(
        "the access log `{}` is {what}: what is written there would be read as that",
        log.display()
    ));
    Err(failure.help("give `access_log.file` a file of its own, in a folder of its own"))
}

/// Says what would keep a process with these settings from starting, and whether nothing would.
fn check(settings: &Settings, streams: &mut Streams<'_>) -> bool {
    let Rehearsal { errors, warnings } = proxy::rehearse(settings);
    for warning in warnings {
        streams.say(format_args!("warning: {warning}"));
    }
    for error in &errors {
        streams.say(format_args!("error: {error}"));
    }
    errors.is_empty()
}

/// The variables of the environment, but for those whose name or value is not text: they are none of ours.
fn environment() -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if name.starts_with(config::PREFIX) => {
                return Err(Failure::cannot(format!("the value of {name} is not UTF-8 text")));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

impl Serve {
    /// Says what is wrong with the settings, for people.
    fn say(&self, ignored: &[Ignored], error: Option<&SettingsError>, streams: &mut Streams<'_>) {
        for variable in ignored {
            streams.say(format_args!("warning: {variable}"));
        }
        let Some(error) = error else { return };
        match error {
            SettingsError::Wrong { findings, sources } => {
                streams.say(source::render_all(findings, sources).trim_end());
            }
            SettingsError::Unreadable { .. }
            | SettingsError::TooLarge { .. }
            | SettingsError::NotText { .. } => streams.say(error),
        }
        if let Some(help) = self.help(error) {
            streams.say(format_args!("  help: {help}"));
        }
    }

    /// Says what is wrong with the settings, for machines: as `tamis check` says it of policies.
    fn say_in_json(
        &self,
        ignored: &[Ignored],
        error: Option<&SettingsError>,
        streams: &mut Streams<'_>,
    ) -> Result<(), Failure> {
        let (mut findings, mut sources) = (Vec::new(), Vec::new());
        let mut put = |name: String, rank, code, message, help| {
            let at = source::Place { source: sources.len(), span: 0..0 };
            sources.push(Source { name, text: String::new() });
            findings.push(Finding { rank, code, message, at, also: Vec::new(), help });
        };
        match error {
            None | Some(SettingsError::Wrong { .. }) => {}
            Some(unread) => {
                let name = self.config.display().to_string();
                put(name, Rank::Error, "settings-unread", unread.to_string(), self.help(unread));
            }
        }
        for Ignored { variable, meant } in ignored {
            let message = "this variable is not read".to_owned();
            let help = Some(format!("did you mean `{meant}`?"));
            put(variable.clone(), Rank::Warning, "variable-not-read", message, help);
        }
        if let Some(SettingsError::Wrong { findings: wrong, sources: texts }) = error {
            // Those of the settings come first, and their places stay what they are.
            let after = texts.len();
            for finding in &mut findings {
                finding.at.source += after;
            }
            findings = wrong.iter().cloned().chain(findings).collect();
            sources = texts.iter().cloned().chain(sources).collect();
        }
        Ok(write_findings(&findings, &sources, streams.out)?)
    }

    /// What to do about a file that cannot be read, or is not the one that was meant.
    fn help(&self, error: &SettingsError) -> Option<String> {
        match error {
            SettingsError::Unreadable { source, .. } => {
                let told = [
                    (
                        io::ErrorKind::NotFound,
                        "`tamis serve --config FILE` names the settings".to_owned(),
                    ),
                    (
                        io::ErrorKind::IsADirectory,
                        "name the file in it that holds the settings".to_owned(),
                    ),
                    (io::ErrorKind::PermissionDenied, folder::let_read()),
                ];
                told.into_iter().find(|(kind, _)| *kind == source.kind()).map(|(_, help)| help)
            }
            SettingsError::Wrong { findings, .. } => {
                let is_policy =
                    findings.iter().any(|finding| finding.message == "`tamis` is not known");
                let folder = self.config.parent().filter(|folder| !folder.as_os_str().is_empty());
                is_policy.then(|| {
                    format!(
                        "this is a policy: name the settings, and in them its folder, `policies: {}`",
                        folder.unwrap_or(Path::new(".")).display()
                    )
                })
            }
            SettingsError::TooLarge { .. } | SettingsError::NotText { .. } => None,
        }
    }
}

/// Settings and policies that fit each other.
pub(super) struct Ready {
    settings: Settings,
    certificates: Certificates,
    start: Start,
}

impl Ready {
    /// Loads the certificates and the policies that the settings name.
    pub(super) fn load(mut settings: Settings, streams: &mut Streams<'_>) -> Result<Self, Failure> {
        let limits = &mut settings.limits;
        let may_open = raise_open_files();
        let most = Limits::connections_of(may_open).ok_or_else(|| {
            Failure::cannot(format!(
                "this process may open only {may_open} files: raise that (`ulimit -Hn`)"
            ))
        })?;
        let connections = *limits.connections.get_or_insert(most);
        let opens = limits.open_files(connections);
        if opens > may_open {
            let in_flight = limits.responses_in_flight;
            streams.say(format_args!(
                "warning: {connections} connections (`limits.connections`) and {in_flight} responses (`limits.responses_in_flight`) can need {opens} open files, and this process may open {may_open}: raise that (`ulimit -Hn`), or lower the limits"
            ));
        }
        let certificates = Certificates::load(&settings).map_err(|error| {
            streams.say(error);
            Failure::Settings
        })?;
        for warning in certificates.warnings() {
            streams.say(format_args!("warning: {warning}"));
        }
        let key = folder::read_root_key(settings.root_key.as_deref(), streams)?;
        let needs = settings.clone();
        let watched = Watched {
            folder: settings.policies.clone(),
            keys: folder::keys(key),
            fits: Box::new(move |set| proxy::unmet(&needs, set)),
        };
        let start = reload::load(watched).map_err(|error| {
            streams.say(&error);
            match error {
                ReloadError::DoNotFit { .. } => Failure::Misfit,
                ReloadError::Read(_) | ReloadError::Findings { .. } => Failure::Policies,
            }
        })?;
        let (series, most) =
            (Series::of(start.set()).lines(start.set()), settings.limits.metric_series);
        if series > most {
            streams.say(format_args!(
                "warning: the policies can make {series} metric series, besides those of refusals, and `limits.metric_series` is {most}: what is more is counted as `overflow`"
            ));
        }
        Ok(Self { settings, certificates, start })
    }

    /// Carries requests until the process is told to end.
    pub(super) fn serve(self, listeners: Listeners) -> Result<Exit, Failure> {
        let Self { settings, certificates, start } = self;
        keep_memory_private()?;
        let metrics = Arc::new(Metrics::of_process(settings.limits.metric_series));
        let access_log =
            AccessLog::start(&settings.access_log, Arc::clone(&metrics)).map_err(|error| {
                let name = &settings.access_log;
                Failure::cannot(format!("cannot open the access log `{name}`: {error}"))
            })?;
        let (policies, reloader) = start
            .watch(Arc::new(Reloads(Arc::clone(&metrics))))
            .map_err(|error| Failure::cannot(format!("cannot watch the policies: {error}")))?;
        let unclassified = Unclassified::default();
        let observers = Observers { metrics, access_log, unclassified };
        let proxy = Proxy::new(settings, certificates, policies, observers);
        match proxy.run(listeners, move || reloader.reload_now()) {
            Ok(()) => Ok(Exit::Fine),
            Err(error @ ServeError::NotHandedOver) => Err(Failure::NotReplaced(error.to_string())),
            Err(error) => Err(Failure::cannot(error.to_string())),
        }
    }
}

/// Lets this process open as many files as it may by itself (`ulimit -Hn`). How many those are.
fn raise_open_files() -> usize {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, ..before };
    let now = setrlimit(Resource::Nofile, raised).map_or(before, |()| raised);
    now.current.and_then(|most| most.try_into().ok()).unwrap_or(usize::MAX)
}

/// Bodies go through the memory of this process: no core file gets it, and no other process of the user.
fn keep_memory_private() -> Result<(), Failure> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| Failure::cannot(format!("cannot do without core files: {error}")))
}

/// Counts reloads, and lets every series of the policies stand from the start: a counter that appears
/// with its first access cannot be seen to rise.
struct Reloads(Arc<Metrics>);

impl Observer for Reloads {
    fn reloaded(&self, result: Result<&Arc<PolicySet>, ()>, at: SystemTime) {
        let digest = result.map(|set| {
            for (labels, plan) in set.plans().chain(set.plans_of_anybody()) {
                self.0.declare(&labels, &mut plan.countable());
            }
            set.digest().to_string()
        });
        self.0.reloaded(digest.as_ref().map(String::as_str).or(Err(())), at);
    }
}
