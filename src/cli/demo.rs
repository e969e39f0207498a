//! `tamis demo`: a sample API with personal data, tamis in front of it, and lines to try.
#![expect(clippy::disallowed_methods, reason = "the clock says when to give up")]

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{
        log as logs,
        outcome::{Exit, Failure},
        serve::Ready,
        streams::Streams,
    },
    config::Settings,
    proxy::Listeners,
};

/// Shows the main job: one customer for three purposes, a denial, a refused search, and a policy edit
/// that takes effect.
///
/// Starts a sample API with personal data, and tamis in front of it, with a copy of the example
/// policies. Needs no settings, and leaves nothing behind. Stays until it is told to end (Ctrl-C).
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Runs the lines it would print, prints what came, and ends. Needs `curl`.
    #[arg(long)]
    once: bool,
    /// Where tamis listens [default: 127.0.0.1:8080, with --once a free port].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where metrics are [default: 127.0.0.1:9090, with --once a free port].
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
}

/// What the sample API knows.
const CUSTOMERS: &str = include_str!("../../tests/corpus/customers.json");

/// The policies of the demo, by name.
const POLICIES: [(&str, &str); 3] = [
    ("categories.yaml", include_str!("../../policies/categories.yaml")),
    ("crm.yaml", include_str!("../../policies/crm.yaml")),
    ("fhir.yaml", include_str!("../../policies/fhir.yaml")),
];

/// The API keys of the callers: the names that the policies know, and the SHA-256 of the keys that the
/// lines show (`printf demo-support-desk | sha256sum`).
const API_KEYS: [(&str, &str); 7] = [
    ("support-desk-2026", "f38932ff2bcb4fe79c535d51b0ff5eff04b03d8b237258103dfc367eb4ddf175"),
    ("invoicing-2026", "7576fc4d2c48922f5eda6345c2a83c906067d792ddb03463af73233bd0b7582e"),
    ("back-office-2026", "ea8fa29e785e90cfa227d449272e3bd673a517a7727a8d5bdd4754f7ce74948d"),
    ("data-team-2026", "38950fb72991d3989428b0d69c335e22d0a53e49be9fb9d1675a9c956a43ffbd"),
    ("ward-app-2026", "448874e093a7dcab074f7dd47bd9fb38c8d4288707f3a1f50cffd1f17f446c55"),
    ("insurance-2026", "9d38a9e87fc5be95ea51c96b1c63172f1a4c8ee704a0ba916f1190e4ffc3814e"),
    ("agency-2026", "e5020736262668cb1ee96b030da9b77d4e52c6a3a7aec260cf16f186d11bb5f9"),
];

/// How long a line of `--once` is repeated until it shows something new.
const PATIENCE: Duration = Duration::from_secs(30);

impl Demo {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        logs::start()?;
        let upstream = serve_customers().map_err(|error| cannot("start the sample API", &error))?;
        let folder = tempfile::Builder::new()
            .prefix("tamis-demo-")
            .tempdir()
            .map_err(|error| cannot("make a folder for the policies", &error))?;
        let proxy = self.address(self.listen, 8080)?;
        let settings = self.settings(folder.path(), proxy, upstream)?;
        let tour = Tour { proxy, admin: settings.admin, folder: folder.path() };
        let ready = Ready::load(settings, streams)?;
        if !self.once {
            tour.print(streams)?;
            return ready.serve(Listeners::Opened);
        }
        let served = thread::spawn(move || ready.serve(Listeners::Opened));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(tour.proxy).is_err() {
            if served.is_finished() {
                return served.join().unwrap_or_else(|_| Err(Failure::cannot("the proxy failed")));
            }
            if Instant::now() > deadline {
                return Err(Failure::cannot(format!("nobody listens on {}", tour.proxy)));
            }
            thread::sleep(Duration::from_millis(10));
        }
        // The process ends with the tour, and the proxy with it.
        tour.walk(streams)
    }

    fn settings(
        &self,
        folder: &Path,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<Settings, Failure> {
        let policies = folder.join("policies");
        let wrote = fs::create_dir(&policies).and_then(|()| {
            POLICIES.iter().try_for_each(|(name, text)| fs::write(policies.join(name), text))
        });
        wrote
            .and_then(|()| write_key(&folder.join("key")))
            .map_err(|error| cannot("write the policies", &error))?;
        let admin = self.address(self.admin, 9090)?;
        let api_keys: Vec<String> =
            API_KEYS.iter().map(|(name, hash)| format!("{name}: \"sha256:{hash}\"")).collect();
        let api_keys = api_keys.join(", ");
        let folder = folder.display();
        let access_log =
            if self.once { format!("{{file: \"{folder}/access.log\"}}") } else { "stdout".into() };
        let text = format!(
            "listen: [{{address: \"{listen}\"}}]\nadmin: {{address: \"{admin}\"}}\n\
             policies: \"{folder}/policies\"\nkeys: {{root: {{file: \"{folder}/key\"}}}}\n\
             api_keys: {{{api_keys}}}\nupstreams:\n  crm: {{address: \"{upstream}\"}}\n  fhir: {{address: \"{upstream}\"}}\n\
             access_log: {access_log}\n"
        );
        Settings::parse("demo", &text, []).map_err(|error| Failure::cannot(error.to_string()))
    }

    fn address(&self, asked: Option<SocketAddr>, port: u16) -> Result<SocketAddr, Failure> {
        let port = if self.once { 0 } else { port };
        let asked = asked.unwrap_or(([127, 0, 0, 1], port).into());
        // A port of 0 becomes one that is free.
        TcpListener::bind(asked).and_then(|free| free.local_addr()).map_err(|error| {
            Failure::cannot(format!("cannot listen on {asked}: {error}"))
                .help("pass --listen and --admin with addresses that are free")
        })
    }
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::cannot(format!("cannot {what}: {error}"))
}

/// A key for pseudonyms that nobody has to keep: everything here is made up.
fn write_key(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{:064}", 42)
}

/// The lines to try.
struct Tour<'a> {
    proxy: SocketAddr,
    admin: SocketAddr,
    folder: &'a Path,
}

/// One stop: what it shows, and the line that shows it.
struct Stop {
    title: &'static str,
    line: String,
    /// Whether it takes a moment until the line shows something new.
    changes: bool,
}

impl Tour<'_> {
    fn stops(&self) -> Vec<Stop> {
        let ask = |key: &str, purpose: &str, path: &str| {
            let purpose = match purpose {
                "" => String::new(),
                purpose => format!(" -H 'Data-Purpose: {purpose}'"),
            };
            format!("curl -s -H 'Api-Key: demo-{key}'{purpose} 'http://{}{path}'", self.proxy)
        };
        let stop = |title, line| Stop { title, line, changes: false };
        let customer = "/customers/C-1042";
        let edited = self.folder.join("policies/crm.yaml");
        vec![
            stop("The support desk answers a customer:", ask("support-desk", "support", customer)),
            stop("The same customer, to be invoiced:", ask("invoicing", "billing", customer)),
            stop(
                "The same customer, to be counted:",
                ask("data-team", "official-statistics", "/customers"),
            ),
            stop("Nobody gets anything without a purpose:", ask("back-office", "", customer)),
            stop(
                "Statistics may not look somebody up:",
                ask("data-team", "official-statistics", "/customers?email=anna@example.org"),
            ),
            stop(
                "Edit the policy: the support desk needs the bank account no more",
                format!("sed -i '/financial.iban: {{ mask/d' '{}'", edited.display()),
            ),
            Stop {
                changes: true,
                ..stop("A moment later:", ask("support-desk", "support", customer))
            },
            stop(
                "Every access is counted:",
                format!(
                    "curl -s http://{}/metrics | grep '^tamis_field_accesses.*official' | grep -v ' 0$'",
                    self.admin
                ),
            ),
        ]
    }

    /// Shows the lines.
    fn print(&self, streams: &mut Streams<'_>) -> Result<(), Failure> {
        writeln!(
            streams.out,
            "tamis stands in front of a sample API. In another terminal, try:\n"
        )?;
        for Stop { title, line, .. } in self.stops() {
            writeln!(streams.out, "  # {title}\n  {line}\n")?;
        }
        writeln!(
            streams.out,
            "Each access is on record below, one line each. Ctrl-C ends the demo.\n"
        )?;
        Ok(streams.out.flush()?)
    }

    /// Runs the lines, and shows what comes.
    fn walk(&self, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
        let mut before: Option<String> = None;
        for Stop { title, line, changes } in self.stops() {
            writeln!(streams.out, "# {title}\n$ {line}")?;
            let deadline = Instant::now() + PATIENCE;
            let output = loop {
                let output = shell(&line)?;
                if !changes || before.as_ref() != Some(&output) {
                    break output;
                }
                if Instant::now() > deadline {
                    return Err(Failure::cannot("the edited policy did not take effect"));
                }
                thread::sleep(Duration::from_millis(50));
            };
            writeln!(streams.out, "{}\n", output.trim_end())?;
            streams.out.flush()?;
            before.get_or_insert(output);
        }
        Ok(Exit::Fine)
    }
}

/// What a line prints.
fn shell(line: &str) -> Result<String, Failure> {
    let output = Command::new("sh")
        .args(["-c", line])
        // It is about this machine.
        .env_remove("http_proxy")
        .env_remove("all_proxy")
        .env_remove("ALL_PROXY")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot("run `sh`", &error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::cannot(format!("the line failed: {line}\n{}", complaint.trim_end()))
            .help("the lines of the demo need `curl`, `sed` and `grep`"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts the sample API on a free port.
///
/// It is as simple as an API can be: it knows GET, answers with JSON, and closes.
fn serve_customers() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("sample-api".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away in the middle is no concern of a sample.
            thread::spawn(move || answer(stream).is_ok());
        }
    })?;
    Ok(address)
}

fn answer(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match found(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", "{\"message\":\"there is no such customer\"}".to_owned()),
    };
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The customers, or one of them.
fn found(path: &str) -> Option<String> {
    let Some(id) = path.strip_prefix("/customers/") else {
        return (path == "/customers").then(|| CUSTOMERS.to_owned());
    };
    let customers: Value = serde_json::from_str(CUSTOMERS).ok()?;
    let items = customers.get("items")?.as_array()?;
    let customer = items.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id))?;
    serde_json::to_string_pretty(customer).ok()
}
