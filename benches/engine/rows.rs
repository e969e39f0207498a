//! The rows that are measured against those of another commit: tamis alone, and `memcpy` as a control.

use std::{
    env, fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use tamis::{json::Kernel, policy::Plan};

use crate::{
    FIVE, FOLDER, LARGE, MEMCPY, PLANS, SMALL, TEXTS,
    corpora::{self, Corpus, FHIR_BYTES, customers},
    plans::{nulling, plan, redacting, sieve},
    row,
    turns::{Rows, callgrind, counted},
};

/// What a turn takes at least: reading the clock does not matter then.
const TURN: Duration = Duration::from_millis(30);
/// As much of a long document as instructions are counted for. One that is longer takes as many a byte.
const COUNTED_BYTES: usize = 1 << 20;
/// How often a row is run to be counted, and how often once more: the start of the process is in both.
const COUNTED_RUNS: [usize; 2] = [1, 4];

/// Work that can be done any number of times.
struct Row {
    name: String,
    is_control: bool,
    work: Box<dyn FnMut()>,
}

/// Collects all rows, or makes the one that is wanted and none of the others.
struct Collected<'a> {
    wanted: Option<&'a str>,
    rows: Vec<Row>,
}

impl Collected<'_> {
    fn add(&mut self, name: String, work: impl FnOnce() -> Box<dyn FnMut()>) {
        if self.wanted.is_none_or(|wanted| wanted == name) {
            let is_control = name.ends_with(MEMCPY);
            self.rows.push(Row { name, is_control, work: work() });
        }
    }

    fn memcpy(&mut self, corpus: &Rc<Corpus>) {
        self.add(format!("{}: {MEMCPY}", corpus.name), || {
            let corpus = Rc::clone(corpus);
            let mut copy = Vec::new();
            Box::new(move || {
                copy.clear();
                copy.extend_from_slice(black_box(&corpus.bytes));
                black_box(&copy);
            })
        });
    }

    fn engine(
        &mut self,
        corpus: &Rc<Corpus>,
        kernel: Kernel,
        rules: &str,
        plan: impl FnOnce() -> Arc<Plan>,
    ) {
        self.add(format!("{}: {}", corpus.name, row(kernel.name(), rules)), || {
            let corpus = Rc::clone(corpus);
            let plan = plan();
            let mut out = Vec::new();
            Box::new(move || {
                sieve(kernel, &plan, black_box(&corpus.bytes), &mut out);
                black_box(&out);
            })
        });
    }
}

fn rows(wanted: Option<&str>, bytes_max: usize) -> Vec<Row> {
    let folder = Path::new(FOLDER);
    let kernels: Vec<Kernel> = Kernel::all().collect();
    let mut collected = Collected { wanted, rows: Vec::new() };
    let large = Rc::new(customers("customers, 64 MB", LARGE.min(bytes_max), folder));
    collected.memcpy(&large);
    for kernel in &kernels {
        for (rules, plan) in PLANS {
            collected.engine(&large, *kernel, rules, plan);
        }
    }
    let small = Rc::new(customers("customers, 16 KB", SMALL, folder));
    collected.memcpy(&small);
    for kernel in &kernels {
        collected.engine(&small, *kernel, FIVE, || redacting(5));
    }
    for corpus in corpora::fetched(folder, FHIR_BYTES.min(bytes_max)) {
        let corpus = Rc::new(corpus);
        for kernel in &kernels {
            collected.engine(&corpus, *kernel, FIVE, || nulling(corpus.paths()));
        }
    }
    for (title, text) in TEXTS {
        collected.add(title.to_owned(), || {
            let text = text();
            Box::new(move || drop(black_box(plan(&text))))
        });
    }
    collected.rows
}

/// Does the work of a row so many times.
pub(super) fn run(name: &str, times: usize) {
    let mut rows = rows(Some(name), COUNTED_BYTES);
    // Valgrind has no AVX-512, for one.
    let row = rows.first_mut().unwrap_or_else(|| panic!("there is no row `{name}` here"));
    for _ in 0..times {
        (row.work)();
    }
}

/// All rows.
pub(super) struct Turns(Vec<Row>);

impl Turns {
    pub(super) fn new() -> Self {
        Self(rows(None, usize::MAX))
    }
}

impl Rows for Turns {
    fn names(&self) -> Vec<(String, bool)> {
        self.0.iter().map(|row| (row.name.clone(), row.is_control)).collect()
    }

    fn times(&mut self, row: usize) -> u32 {
        // Once for the caches, once to be measured.
        self.seconds(row, 1);
        1 + (TURN.as_secs_f64() / self.seconds(row, 1).max(1e-6)) as u32
    }

    fn seconds(&mut self, row: usize, times: u32) -> f64 {
        let before = cpu();
        for _ in 0..times {
            (self.0[row].work)();
        }
        cpu().checked_sub(before).unwrap().as_secs_f64() / f64::from(times)
    }

    fn instructions(&mut self, row: usize) -> Result<f64, String> {
        let name = &self.0[row].name;
        let file = format!("{FOLDER}/counted");
        let [once, more] = COUNTED_RUNS.map(|times| -> Result<f64, String> {
            let [program, words @ ..] = callgrind(&file)?;
            let done = Command::new(program)
                .args(words)
                .arg(env::current_exe().unwrap())
                .args(["run", name, &times.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !done.is_ok_and(|status| status.success()) {
                return Err("it does not run under callgrind, which has no AVX-512".to_owned());
            }
            counted(&fs::read_to_string(&file).unwrap())
        });
        Ok((more? - once?) / (COUNTED_RUNS[1] - COUNTED_RUNS[0]) as f64)
    }
}

/// The time that this thread has spent on a core: what others do there is not counted.
fn cpu() -> Duration {
    // The kernel adds it up when the thread leaves its core.
    sleep(Duration::from_nanos(1));
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
