//! Others at the same work: libraries in a program of their own, and programs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::{QueryRef, js_path_process, queryable::Queryable as _},
};
use serde_json::Value;

use crate::corpora::Corpus;

/// The program in `benches/peers`, once it is built.
const PROGRAM: &str = "target/peers/release/tamis-peers";

/// The libraries that the program knows, and whether each can redact a name wherever it stands.
pub(super) const LIBRARIES: [(&str, &str, bool); 5] = [
    (TRANSCODER, "transcode", true),
    ("serde_json values, by hand", "serde_json", true),
    ("sonic-rs values", "sonic-dom", true),
    (SONIC, "sonic-lazy", false),
    ("simd-json values", "simd-json", true),
];
pub(super) const TRANSCODER: &str = "serde_json, transcoding";
pub(super) const SONIC: &str = "sonic-rs lazy, spliced";

/// The libraries, waiting for questions.
pub(super) struct Libraries {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Libraries {
    pub(super) fn start() -> Option<Self> {
        let started = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = started else {
            println!("skipped: other libraries: `make bench` has not built {PROGRAM}");
            return None;
        };
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, questions, answers })
    }

    /// Seconds that one run takes, of so many.
    pub(super) fn seconds(&mut self, library: &str, corpus: &Corpus, times: usize) -> f64 {
        let place = if corpus.anywhere { "anywhere" } else { "records" };
        let (file, names) = (corpus.file.display(), corpus.names.join(","));
        writeln!(self.questions, "{library} {place} {file} {times} {names}").unwrap();
        self.questions.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let seconds = answer.split(' ').next().unwrap();
        seconds.parse().unwrap_or_else(|_| panic!("{library} failed on {}", corpus.name))
    }

    /// What it makes of a document.
    pub(super) fn output(&mut self, library: &str, corpus: &Corpus) -> Vec<u8> {
        self.seconds(library, corpus, 0);
        let file = format!("{}.out", corpus.file.display());
        let output = fs::read(&file).unwrap();
        fs::remove_file(file).unwrap();
        output
    }
}

impl Drop for Libraries {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The programs that can be run here.
pub(super) fn programs() -> Vec<&'static str> {
    let mut there = vec!["jq", "jaq"];
    there.retain(|program| {
        let is_there = Command::new(path(program)).arg("--version").output().is_ok();
        if !is_there {
            println!("skipped: {program}: it is not installed");
        }
        is_there
    });
    there
}

fn path(program: &str) -> String {
    let own = format!("target/tools/bin/{program}");
    if Path::new(&own).exists() { own } else { program.to_owned() }
}

/// Seconds that a program takes for a document, its start included.
pub(super) fn program_seconds(program: &str, corpus: &Corpus) -> f64 {
    let began = Instant::now();
    run(program, corpus, Stdio::null());
    began.elapsed().as_secs_f64()
}

/// What a program makes of a document.
pub(super) fn program_output(program: &str, corpus: &Corpus) -> Vec<u8> {
    run(program, corpus, Stdio::piped())
}

fn run(program: &str, corpus: &Corpus, output: Stdio) -> Vec<u8> {
    assert!(!corpus.anywhere, "it is asked for members of records");
    let filter = corpus.names.map(|name| format!(".{name} = null")).join(" | ");
    let done = Command::new(path(program))
        .args(["-c", &format!("map({filter})")])
        .arg(&corpus.file)
        .stdout(output)
        .spawn()
        .and_then(Child::wait_with_output)
        .unwrap();
    assert!(done.status.success(), "{program} failed");
    done.stdout
}

/// Values and paths in this process: what somebody would write with the packages that tamis has, too.
pub(super) struct WithPaths(Vec<JpQuery>);

impl WithPaths {
    pub(super) fn new(corpus: &Corpus) -> Self {
        Self(corpus.paths().map(|path| parse_json_path(&path).unwrap()).to_vec())
    }

    /// The document as values, one path after the other, printed again.
    pub(super) fn redact(&self, body: &[u8]) -> Vec<u8> {
        let mut document: Value = serde_json::from_slice(body).unwrap();
        for path in &self.0 {
            let found: Vec<String> =
                js_path_process(path, &document).unwrap().into_iter().map(QueryRef::path).collect();
            for place in found {
                // It may lie below one that is redacted already.
                if let Some(value) = document.reference_mut(place) {
                    *value = Value::Null;
                }
            }
        }
        serde_json::to_vec(&document).unwrap()
    }
}
