//! The real binary, serving on free ports of this machine.
#![expect(clippy::disallowed_methods, reason = "the clock says when to give up")]

mod access;
mod corpus;
mod cut;
mod doors;
mod ends;
mod fhir;
mod files;
mod http2;
mod lifecycle;
mod load;
mod matrix;
mod memory;
mod nginx;
mod redbot;
mod rehearsal;
mod reload;
mod rotation;
mod server;
mod spellings;
mod stream;
mod testssl;
mod unclassified;

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::product::SETUP;

/// How long anything may take before a test says that it does not happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A port that nobody listens on. Those that the system gives to outgoing connections are left alone:
/// under load one of them could be taken before it is listened on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not happen: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A running `tamis serve`. It ends with the test.
pub(crate) struct Tamis {
    child: Child,
    /// Where callers connect.
    pub(crate) address: SocketAddr,
    /// Where metrics are.
    pub(crate) admin: SocketAddr,
    folder: TempDir,
}

/// What to start.
pub(crate) struct Setup<'a> {
    /// Names and texts of the policies.
    pub(crate) policies: &'a [(&'a str, &'a str)],
    /// Api, address, protocol.
    pub(crate) upstreams: &'a [(&'a str, SocketAddr, &'a str)],
    /// More settings, as they stand in the file.
    pub(crate) settings: &'a str,
}

impl Setup<'_> {
    /// Writes settings and policies to a folder of their own; the keys of callers are called as the
    /// policies call them, with `-secret` behind.
    fn write(&self, address: SocketAddr, admin: SocketAddr) -> TempDir {
        use std::fmt::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("policies")).unwrap();
        let mut keys = String::new();
        for (name, text) in self.policies {
            fs::write(path.join("policies").join(name), text).unwrap();
            for rest in text.split("api_key: ").skip(1) {
                let name: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
                let line = format!("  {name}: \"sha256:{}\"\n", sha256(&format!("{name}-secret")));
                if !name.is_empty() && !keys.contains(&line) {
                    keys.push_str(&line);
                }
            }
        }
        let mut text = format!(
            "listen: [{{address: {address}}}]\nadmin: {{address: {admin}}}\npolicies: {0}/policies\n\
             keys: {{root: {{file: {0}/key}}}}\naccess_log: {{file: {0}/access.log}}\nthreads: 2\n",
            path.display()
        );
        if !keys.is_empty() {
            write!(text, "api_keys:\n{keys}").unwrap();
        }
        text.push_str("upstreams:\n");
        for (api, upstream, protocol) in self.upstreams {
            writeln!(text, "  {api}: {{address: \"{upstream}\", protocol: {protocol}}}").unwrap();
        }
        text.push_str(self.settings);
        fs::write(path.join("tamis.yaml"), text).unwrap();
        let key = path.join("key");
        fs::write(&key, data_encoding::HEXLOWER.encode(&SETUP.key)).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        folder
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn start(&self) -> Tamis {
        self.start_with(&[])
    }

    /// Starts it with these variables in its environment.
    pub(crate) fn start_with(&self, environment: &[(&str, &str)]) -> Tamis {
        let mut tamis = self.launch(environment);
        until("tamis is ready", || {
            tamis.check_runs();
            TcpStream::connect(tamis.address).is_ok()
                && TcpStream::connect(tamis.admin).is_ok()
                && tamis.probe("/readyz").status == 200
        });
        tamis
    }

    /// Starts it with these variables in its environment, and waits for nothing.
    pub(crate) fn launch(&self, environment: &[(&str, &str)]) -> Tamis {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = self.write(address, admin);
        let child = spawn(folder.path(), &[], environment);
        Tamis { child, address, admin, folder }
    }

    /// Runs it with more arguments, without waiting for anything but its end: exit code, stdout, stderr.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run_in(arguments, &[])
    }

    /// Runs it with these variables in its environment.
    pub(crate) fn run_with(&self, environment: &[(&str, &str)]) -> (i32, String, String) {
        self.run_in(&[], environment)
    }

    /// Runs it with both.
    pub(crate) fn run_in(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (i32, String, String) {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = self.write(address, admin);
        let mut child = spawn(folder.path(), arguments, environment);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
                None => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!("{arguments:?} {environment:?} does not end\n{}", read("stderr"));
                }
            }
        };
        (status.code().unwrap(), read("stdout"), read("stderr"))
    }
}

fn spawn(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let file = |name| fs::File::create(folder.join(name)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tamis"))
        .arg("serve")
        .arg("--config")
        .arg(folder.join("tamis.yaml"))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap()
}

/// In hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(text))
}

impl Tamis {
    /// Panics with what it has said if it has ended.
    pub(crate) fn check_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("tamis ended: {status}\n{}", self.stderr());
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder of its policies.
    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.folder.path().join("stdout")).unwrap()
    }

    /// The access log, line by line.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Sends these bytes on a connection of their own, and reads until it is closed.
    pub(crate) fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        send(self.address, request.as_ref())
    }

    /// A GET by the caller who holds this key (`NAME-secret`), for a purpose.
    pub(crate) fn get(&self, path: &str, key: &str, purpose: &str) -> Reply {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nApi-Key: {key}-secret\r\n\
             Data-Purpose: {purpose}\r\n\r\n"
        ))
    }

    /// What the admin listener answers.
    pub(crate) fn probe(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        send(self.admin, request.as_bytes())
    }

    /// All metrics.
    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.probe("/metrics").body.expect("metrics")).unwrap()
    }

    /// The sum over the series whose line begins so, such as `tamis_requests_total{` or a whole series.
    /// They count something.
    pub(crate) fn metric(&self, begins: &str) -> u64 {
        let text = self.metrics();
        let lines = text.lines().filter(|line| line.starts_with(begins));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Sends the process a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent =
            Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.pid())]).status();
        assert!(sent.unwrap().success());
    }

    /// Starts the next process in the place of this one, with these settings and policies, and sees this one
    /// end; gives its exit code.
    pub(crate) fn replace(&mut self, socket: &Path) -> i32 {
        self.replace_and(socket, |_| {})
    }

    /// The same; once the listeners have changed hands, `then` happens to this one.
    pub(crate) fn replace_and(&mut self, socket: &Path, then: impl FnOnce(&Self)) -> i32 {
        let next = spawn(self.folder.path(), &["--upgrade"], &[]);
        until("the next process waits", || socket.exists());
        self.signal("QUIT");
        until("the listeners have changed hands", || !socket.exists());
        then(self);
        let code = self.ended();
        self.child = next;
        code
    }

    /// Waits until the process has ended, and gives its exit code (-1 for a signal).
    pub(crate) fn ended(&mut self) -> i32 {
        let mut status = None;
        until("tamis ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }

    /// The most memory that it has had resident so far, in bytes.
    pub(crate) fn peak_rss(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The resident memory that the process has now, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Tamis {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            // It has ended already.
        }
        if thread::panicking() {
            println!("--- stderr of tamis\n{}", self.stderr());
        }
    }
}

/// What a client saw.
#[derive(Debug)]
pub(crate) struct Reply {
    /// 0 if there was no answer.
    pub(crate) status: u16,
    /// Status line and header lines, lower-case, without the empty line.
    pub(crate) head: String,
    /// The body, if the transfer says that it is complete.
    pub(crate) body: Option<Vec<u8>>,
    /// Everything that came.
    pub(crate) raw: Vec<u8>,
}

impl Reply {
    /// The complete body as text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(self.body.as_ref().expect("a complete body")).unwrap()
    }

    /// Of a problem of tamis: its reason.
    pub(crate) fn reason(&self) -> String {
        let problem: Value = serde_json::from_str(self.text()).unwrap();
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("urn:tamis:problem:").expect("a problem of tamis").to_owned()
    }

    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Reads one response, and no byte more than it has.
    fn read(from: &mut impl BufRead) -> Self {
        let mut reply = Self { status: 0, head: String::new(), body: None, raw: Vec::new() };
        let Some(()) = reply.read_head(from) else { return reply };
        let no_body = reply.status == 204 || reply.status == 304;
        reply.body = match (reply.header("content-length"), reply.header("transfer-encoding")) {
            _ if no_body => Some(Vec::new()),
            (Some(length), None) => {
                let length = length.parse().unwrap();
                reply.take(from, length)
            }
            (None, Some(_)) => reply.read_chunks(from),
            (None, None) => Some(reply.take_all(from)),
            (Some(_), Some(_)) => panic!("two ways to end: {}", reply.head),
        };
        reply
    }

    fn read_head(&mut self, from: &mut impl BufRead) -> Option<()> {
        while !self.raw.ends_with(b"\r\n\r\n") {
            self.take_line(from)?;
        }
        self.head = String::from_utf8_lossy(&self.raw).trim_end().to_ascii_lowercase();
        self.status = self.head.get(9..12)?.parse().ok()?;
        Some(())
    }

    fn read_chunks(&mut self, from: &mut impl BufRead) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.take_line(from)?;
            let size = usize::from_str_radix(str::from_utf8(&size).ok()?.trim_end(), 16).ok()?;
            body.extend(self.take(from, size)?);
            if self.take_line(from)? != b"\r\n" {
                return None;
            }
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn take_line(&mut self, from: &mut impl BufRead) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        heard(from.read_until(b'\n', &mut line));
        self.raw.extend_from_slice(&line);
        line.ends_with(b"\n").then_some(line)
    }

    fn take(&mut self, from: &mut impl BufRead, bytes: usize) -> Option<Vec<u8>> {
        let mut taken = Vec::new();
        heard(from.take(bytes as u64).read_to_end(&mut taken));
        self.raw.extend_from_slice(&taken);
        (taken.len() == bytes).then_some(taken)
    }

    fn take_all(&mut self, from: &mut impl BufRead) -> Vec<u8> {
        let mut taken = Vec::new();
        heard(from.read_to_end(&mut taken));
        self.raw.extend_from_slice(&taken);
        taken
    }
}

/// A reset is an end, too; a hang is not.
fn heard(read: io::Result<usize>) {
    if let Err(error) = read {
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "no end within {PATIENCE:?}");
    }
}

/// A connection that stays.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, and reads the response.
    pub(crate) fn send(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.ask(request);
        self.reply()
    }

    /// Sends a request, and leaves the response where it is.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) {
        if self.0.get_mut().write_all(request.as_ref()).is_err() {
            // What there is to read says why.
        }
    }

    /// Waits until a response has begun to come.
    pub(crate) fn begins(&mut self) {
        assert!(!self.0.fill_buf().unwrap().is_empty(), "the connection is closed");
    }

    /// Reads a response.
    pub(crate) fn reply(&mut self) -> Reply {
        Reply::read(&mut self.0)
    }
}

/// Sends a request on a connection of its own.
pub(crate) fn send(address: SocketAddr, request: &[u8]) -> Reply {
    Connection::to(address).send(request)
}

/// An upstream that answers each path with bytes of the test's choice, as often as it is asked.
///
/// An answer that does not say how long it is ends with the connection.
pub(crate) fn upstream(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    streaming(move |path, stream| {
        let response = answer(path);
        stream.write_all(&response)?;
        Ok(response.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length"))
    })
}

/// An upstream that answers each path on the connection itself, piece by piece, and says whether the
/// connection goes on. What it cannot write, nobody wants any more.
pub(crate) fn streaming(
    answer: impl Fn(&str, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer_all(stream.unwrap(), &*answer));
        }
    });
    address
}

fn answer_all(stream: TcpStream, answer: &dyn Fn(&str, &mut TcpStream) -> io::Result<bool>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap();
        if !matches!(answer(path, reader.get_mut()), Ok(true)) {
            return;
        }
    }
}

/// A response with a JSON body.
pub(crate) fn json(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Length";
    format!("{head}: {length}\r\nContent-Type: application/json\r\n\r\n{body}").into()
}
