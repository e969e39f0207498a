//! How fast a body goes through a plan, as ratios against other work in the same run.
//!
//! Every figure is the median of interleaved rounds on one core: the machine may be shared, but then all
//! of a round suffers alike. `benches/README.md` says how to read it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a bench stops where something is wrong, prints, and reads the clock"
)]

mod corpora;
mod peers;
mod plans;
mod rows;
#[path = "../turns/mod.rs"]
mod turns;

use std::{
    cell::RefCell,
    env, fs,
    hint::black_box,
    path::Path,
    process::{self, Command, ExitCode},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use serde_json::Value;
use tamis::{json::Kernel, policy::Plan};

use corpora::{Corpus, FHIR_BYTES, customers};
use peers::{LIBRARIES, Libraries, SONIC, TRANSCODER, WithPaths};
use plans::{
    anywhere_text, count, keeping, nulling, plan, redacting, redacting_below_anywhere,
    redacting_most, redacting_text, sieve,
};

/// How often everybody takes a turn.
const ROUNDS: usize = 9;
/// What is written goes here, and stays out of the repository.
const FOLDER: &str = "target/corpora";
/// The body of an API as they mostly are, and one that no cache holds.
const SMALL: usize = 16 << 10;
const LARGE: usize = 64 << 20;
/// Bytes that a turn takes at least: the grain of the clock does not matter then.
const TURN_BYTES: usize = 4 << 20;
/// How many times the compilation of many rules is measured.
const COMPILATIONS: usize = 9;

const MEMCPY: &str = "memcpy";
const WITH_PATHS: &str = "serde_json values + jsonpath-rust";

fn main() -> ExitCode {
    fs::create_dir_all(FOLDER).unwrap();
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["turns"] => {
            pin();
            turns::answer(&mut rows::Turns::new());
        }
        ["run", name, times] => rows::run(name, times.parse().unwrap()),
        // What cargo says is for the harness that this is not.
        _ => return measure(),
    }
    ExitCode::SUCCESS
}

fn measure() -> ExitCode {
    pin();
    let folder = Path::new(FOLDER);
    let libraries = Libraries::start().map(|started| Rc::new(RefCell::new(started)));
    let kernels: Vec<Kernel> = Kernel::all().collect();
    for kernel in ["avx2", "avx512"] {
        if let Err(why) = Kernel::named(kernel) {
            println!("skipped: {kernel}: {why}");
        }
    }
    let mut is_reached = true;
    let mut floor = |text: &str, ratio: Option<f64>, floor: f64| {
        let Some(ratio) = ratio else { return println!("{text:64} skipped") };
        let verdict = if ratio >= floor { "reached" } else { "MISSED" };
        is_reached &= ratio >= floor;
        println!("{text:64} {ratio:8.3}   floor {floor}: {verdict}");
    };

    let large = customers("customers, 64 MB", LARGE, folder);
    let mut table = Table::new(&large);
    let five = redacting(5);
    let plans = PLANS.map(|(rules, plan)| (rules, plan()));
    for kernel in &kernels {
        for (rules, plan) in &plans {
            table.engine(*kernel, rules, plan);
        }
        table.without_copy(*kernel, FIVE, &five);
    }
    table.libraries(libraries.as_ref());
    table.programs();
    table.with_paths();
    let large = table.run();

    let small = customers("customers, 16 KB", SMALL, folder);
    let mut table = Table::new(&small);
    for kernel in &kernels {
        table.engine(*kernel, FIVE, &five);
        table.without_copy(*kernel, FIVE, &five);
    }
    table.libraries(libraries.as_ref());
    table.with_paths();
    let small = table.run();

    for corpus in corpora::fetched(folder, FHIR_BYTES) {
        let plan = nulling(corpus.paths());
        let mut table = Table::new(&corpus);
        for kernel in &kernels {
            table.engine(*kernel, FIVE, &plan);
        }
        table.libraries(libraries.as_ref());
        if corpus.bytes.len() < PATHS_BYTES_MAX {
            table.with_paths();
        }
        table.run();
    }

    println!("floors, with the kernel that is named; the median of the ratios of each round\n");
    let avx2 = |rules| row("avx2", rules);
    floor("avx2, 64 MB, of memcpy", large.ratio(&avx2(FIVE), MEMCPY), 0.065);
    floor(
        "avx2, 16 KB, times serde_json + jsonpath-rust",
        small.ratio(&avx2(FIVE), WITH_PATHS),
        25.0,
    );
    floor("avx2, 64 MB, times sonic-rs lazy", large.ratio(&avx2(FIVE), SONIC), 1.3);
    floor("avx2, 64 MB, 10,000 rules of 100", large.ratio(&avx2(MANY), &avx2(HUNDRED)), 0.95);
    let portable = row("portable", FIVE);
    floor("portable, 64 MB, times serde_json transcoding", large.ratio(&portable, TRANSCODER), 1.2);
    let avx512 = row("avx512", FIVE);
    floor("avx512, 64 MB, of avx2", large.ratio(&avx512, &avx2(FIVE)), 1.0);
    let ratio = large.ratio(&avx2(LAZY), &avx2(MADE)).unwrap_or(f64::NAN);
    println!("{:64} {ratio:8.3}", "avx2, 64 MB, states made on the way of those made before");
    for (title, text) in TEXTS {
        let milliseconds = compilation(&text()) * 1e3;
        println!("{title:80} {milliseconds:8.1} ms");
    }
    if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const FIVE: &str = "5 rules";
const HUNDRED: &str = "100 rules, 5 match";
const MANY: &str = "10,000 rules, 5 match";
const MADE: &str = "5 rules and 1 anywhere";
const LAZY: &str = "the same, states made on the way";
type Make<T> = fn() -> T;
/// The plans for customers, by what is said of their rules.
const PLANS: [(&str, Make<Arc<Plan>>); 8] = [
    (FIVE, || redacting(5)),
    (HUNDRED, || redacting(100)),
    (MANY, || redacting(10_000)),
    ("20 rules, all match", || redacting_most(20)),
    ("10,000 rules, 20 match", || redacting_most(10_000)),
    ("5 fields kept, the rest dropped", keeping),
    (MADE, || redacting_below_anywhere(1)),
    (LAZY, || redacting_below_anywhere(18)),
];
/// The policies whose compilation is measured.
const TEXTS: [(&str, Make<String>); 2] = [
    ("10,000 rules, from the text of the policy to the plan", || redacting_text(10_000)),
    (
        "10,000 rules for names that may stand anywhere, from the text of the policy to the plan",
        || anywhere_text(10_000),
    ),
];
/// Documents that are larger take values and paths too long.
const PATHS_BYTES_MAX: usize = 8 << 20;

fn row(kernel: &str, rules: &str) -> String {
    format!("tamis {kernel}, {rules}")
}

/// Seconds of each round, by the name of the row.
struct Measured(Vec<(String, Vec<f64>)>);

impl Measured {
    fn get(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|(row, _)| row == name).map(|(_, seconds)| seconds.as_slice())
    }

    /// How many times as fast one is as the other. Who takes turns shares the moods of the machine, so that
    /// they are compared round by round.
    fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        let rounds = self.get(one)?.iter().zip(self.get(other)?);
        Some(median(rounds.map(|(one, other)| other / one)))
    }
}

fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Everybody who works on one document.
struct Table<'a> {
    corpus: &'a Corpus,
    rows: Vec<Row<'a>>,
    /// What is left of the document, as every row has to leave it.
    left: Option<Value>,
}

struct Row<'a> {
    name: String,
    /// Seconds that one run takes, of so many.
    turn: Box<dyn FnMut(usize) -> f64 + 'a>,
    seconds: Vec<f64>,
}

impl<'a> Table<'a> {
    fn new(corpus: &'a Corpus) -> Self {
        let mut copy = Vec::new();
        // The small one is of the same kind.
        let is_checked = corpus.bytes.len() < LARGE;
        let left = is_checked.then(|| comparable(&WithPaths::new(corpus).redact(&corpus.bytes)));
        let mut table = Self { corpus, rows: Vec::new(), left };
        table.here(MEMCPY.to_owned(), move |body| {
            copy.clear();
            copy.extend_from_slice(body);
            black_box(&copy);
        });
        table
    }

    /// Work that is done in this process.
    fn here(&mut self, name: String, mut run: impl FnMut(&[u8]) + 'a) {
        let body = &self.corpus.bytes;
        let turn = move |times| {
            let began = Instant::now();
            for _ in 0..times {
                run(black_box(body));
            }
            began.elapsed().as_secs_f64() / times as f64
        };
        self.rows.push(Row { name, turn: Box::new(turn), seconds: Vec::new() });
    }

    fn engine(&mut self, kernel: Kernel, rules: &str, plan: &Arc<Plan>) {
        let mut out = Vec::new();
        if [FIVE, HUNDRED, MANY].contains(&rules) {
            sieve(kernel, plan, &self.corpus.bytes, &mut out);
            self.check(&row(kernel.name(), rules), &out);
        }
        let plan = Arc::clone(plan);
        self.here(row(kernel.name(), rules), move |body| {
            sieve(kernel, &plan, body, &mut out);
            black_box(&out);
        });
    }

    /// The most that could be won by handing on pieces of what came in, rather than one buffer.
    fn without_copy(&mut self, kernel: Kernel, rules: &str, plan: &Arc<Plan>) {
        let plan = Arc::clone(plan);
        let counted = count(kernel, &plan, &self.corpus.bytes);
        let name = format!(
            "{}, {} pieces of {} bytes counted",
            row(kernel.name(), rules),
            counted.pieces,
            counted.bytes / counted.pieces
        );
        self.here(name, move |body| {
            black_box(count(kernel, &plan, body).bytes);
        });
    }

    fn with_paths(&mut self) {
        let paths = WithPaths::new(self.corpus);
        self.here(WITH_PATHS.to_owned(), move |body| {
            black_box(paths.redact(body));
        });
    }

    fn libraries(&mut self, libraries: Option<&Rc<RefCell<Libraries>>>) {
        let Some(libraries) = libraries else { return };
        let corpus = self.corpus;
        for (name, library, takes_anywhere) in LIBRARIES {
            if corpus.anywhere && !takes_anywhere {
                continue;
            }
            self.check(name, &libraries.borrow_mut().output(library, corpus));
            let libraries = Rc::clone(libraries);
            let turn = move |times| libraries.borrow_mut().seconds(library, corpus, times);
            let turn = Box::new(turn);
            self.rows.push(Row { name: name.to_owned(), turn, seconds: Vec::new() });
        }
    }

    fn programs(&mut self) {
        let corpus = self.corpus;
        for program in peers::programs() {
            self.check(program, &peers::program_output(program, corpus));
            let turn = Box::new(move |_| peers::program_seconds(program, corpus));
            let name = format!("{program}, a process");
            self.rows.push(Row { name, turn, seconds: Vec::new() });
        }
    }

    /// All have to do the same work.
    fn check(&self, name: &str, output: &[u8]) {
        let Some(left) = &self.left else { return };
        assert!(comparable(output) == *left, "{name}: another document than the others");
    }

    /// Measures and prints.
    fn run(mut self) -> Measured {
        let bytes = self.corpus.bytes.len();
        let times = TURN_BYTES / bytes + 1;
        for _ in 0..ROUNDS {
            for row in &mut self.rows {
                row.seconds.push((row.turn)(times));
            }
        }
        let rows = self.rows.into_iter().map(|row| (row.name, row.seconds));
        let measured = Measured(rows.collect());
        let kilobytes = bytes as f64 / 1e3;
        println!("{}: {kilobytes:.0} kB, median of {ROUNDS} interleaved rounds", self.corpus.name);
        println!("{:56} {:>8} {:>10}", "", "GB/s", "of memcpy");
        for (name, seconds) in &measured.0 {
            let rate = bytes as f64 / median(seconds.iter().copied()) / 1e9;
            let of_memcpy = measured.ratio(name, MEMCPY).unwrap();
            println!("{name:56} {rate:8.3} {of_memcpy:10.4}");
        }
        println!();
        measured
    }
}

/// A document so that two can be compared that say the same: some print numbers anew.
fn comparable(document: &[u8]) -> Value {
    fn numbers(value: &mut Value) {
        match value {
            // Some read numbers only nearly.
            Value::Number(number) => {
                *value = Value::String(format!("{:.9e}", number.as_f64().unwrap()));
            }
            Value::Array(elements) => elements.iter_mut().for_each(numbers),
            Value::Object(members) => members.values_mut().for_each(numbers),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_slice(document).unwrap();
    numbers(&mut value);
    value
}

/// Seconds that it takes to compile a policy, the median of some.
fn compilation(text: &str) -> f64 {
    median([(); COMPILATIONS].map(|()| {
        let began = Instant::now();
        black_box(plan(text));
        began.elapsed().as_secs_f64()
    }))
}

/// Pins this process, and what it starts, to one core, so that all share the same luck.
fn pin() {
    let id = process::id().to_string();
    let words = ["--all-tasks", "--cpu-list", "--pid", "0", &id];
    let pinned = Command::new("taskset").args(words).output();
    if !pinned.is_ok_and(|done| done.status.success()) {
        println!("skipped: pinning to one core: there is no `taskset`");
    }
}
