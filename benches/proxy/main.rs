//! What tamis costs as a proxy, next to others and in the same run: CPU time per request, the first
//! byte of a long body, memory, and how long an edited policy takes to hold.
//!
//! Everything that runs is started here, on ports that are free, and ends with this process.
//! `benches/README.md` says how to read what comes out.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops where something is wrong, prints, and reads the clock"
)]

mod bare;
mod client;
mod documents;
mod load;
mod process;
mod rows;
mod subjects;
#[path = "../turns/mod.rs"]
mod turns;
mod upstream;

use std::{
    env, fs,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use client::Client;
use documents::{document, redact};
use process::{Running, free_port, pin_self};
use subjects::{BUILT, EDITS, Ground, Settings};

/// What tamis has: else bare Pingora would pay for another allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bodies of 4 KB and 64 KB.
const SIZES: [usize; 2] = [4 << 10, 64 << 10];

/// How often everybody is asked for a body of some 100 MB, and how many blocks of 1 MiB that are.
const FIRST_BYTE_TRIES: usize = 101;
const FIRST_BYTE_BLOCKS: usize = 100;
/// What a proxy gets to clear away what nobody reads.
const CLEARING: Duration = Duration::from_millis(5);
/// How much longer the first byte of it may take through tamis.
const FIRST_BYTE_CEILING: f64 = 1.1;

/// As many blocks as make 1 GiB.
const MEMORY_BLOCKS: usize = 1024;

/// How often a policy is edited, and how soon that should hold.
const EDIT_TIMES: usize = 9;
const EDIT_AIM: Duration = Duration::from_millis(300);
/// Longer, and something is broken.
const EDIT_PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let port = |word: &str| word.parse().unwrap();
    match words.as_slice() {
        ["upstream", own] => upstream::run(port(own), &SIZES),
        ["pingora", own, upstream] => bare::run(port(own), port(upstream), false),
        ["rewriting", own, upstream] => bare::run(port(own), port(upstream), true),
        ["turns"] => return take_turns(),
        // What cargo says is for the harness that this is not.
        _ => return measure(),
    }
    ExitCode::SUCCESS
}

/// Measures one row at a time, as `benches/against` asks for it.
fn take_turns() -> ExitCode {
    if let Err(why) = pin_self() {
        println!("skipped: everything: it takes two cores and `taskset`: {why}");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().unwrap();
    // The length of a program's path moves its stack, which alone made tamis a tenth slower.
    let tamis = folder.path().join("tamis");
    fs::copy(BUILT, &tamis).unwrap();
    let tamis = tamis.to_str().unwrap();
    let ground = Ground { folder: folder.path(), upstream: free_port(), tamis };
    let _upstream = ground.start_upstream();
    turns::answer(&mut rows::Turns::new(&ground));
    ExitCode::SUCCESS
}

fn measure() -> ExitCode {
    if let Err(why) = pin_self() {
        println!("skipped: everything: it takes two cores and `taskset`: {why}");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground { folder: folder.path(), upstream: free_port(), tamis: BUILT };
    let _upstream = ground.start_upstream();
    // Each is measured, whatever became of the one before.
    let reached = [load::per_request(&ground), first_byte(&ground)];
    memory(&ground);
    edits(&ground);
    if reached.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How long the first byte of a long body takes. Gives whether the ceiling is kept.
fn first_byte(ground: &Ground<'_>) -> bool {
    let tamis = |settings| ground.tamis(settings).unwrap();
    let proxies =
        [ground.pingora("pingora").unwrap(), tamis(Settings::LISTED), tamis(Settings::CLASSIFIED)];
    check_stream(&proxies[1]);
    check_stream(&proxies[2]);
    let mut taken = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..FIRST_BYTE_TRIES {
        for (proxy, taken) in proxies.iter().zip(&mut taken) {
            taken.push(time_to_first_byte(proxy));
        }
    }
    let [bare, tamis, classified] = taken.each_ref().map(|taken| median(taken));
    let ratio = tamis.as_secs_f64() / bare.as_secs_f64();
    println!("\nfirst byte of a body of 100 MB, median of {FIRST_BYTE_TRIES} interleaved tries\n");
    println!("{:44} {}", "bare Pingora", micros(bare));
    println!("{:44} {}", "tamis, redacting", micros(tamis));
    println!("{:44} {}", "tamis, redacting, all classified", micros(classified));
    let is_kept = ratio <= FIRST_BYTE_CEILING;
    let verdict = if is_kept { "kept" } else { "MISSED" };
    println!(
        "{:44} {ratio:8.2}   ceiling {FIRST_BYTE_CEILING}: {verdict}",
        "tamis, of bare Pingora"
    );
    is_kept
}

fn time_to_first_byte(proxy: &Running) -> Duration {
    let mut client = Client::connect(proxy.port);
    // All connections are open when the body is asked for.
    client.get(&format!("/documents/{}", SIZES[0]), "redacted");
    let taken = client.ask(&format!("/streams/{FIRST_BYTE_BLOCKS}"), "redacted").first_byte;
    // The rest would only take time.
    drop(client);
    sleep(CLEARING);
    taken
}

/// Whether every document of an array is redacted.
fn check_stream(tamis: &Running) {
    let (status, body) = Client::connect(tamis.port).get("/streams/1", "redacted");
    assert_eq!(status, 200);
    let mut left = serde_json::from_slice(&document(4 << 10)).unwrap();
    redact(&mut left);
    let got: Vec<Value> = serde_json::from_slice(&body).unwrap();
    assert!(got.len() > 1 && got.iter().all(|document| *document == left));
}

/// How much memory 1 GiB takes that goes through.
fn memory(ground: &Ground<'_>) {
    println!("\npeak memory (VmHWM), before and after a body of 1 GiB\n");
    let proxies = [
        ("bare Pingora", ground.pingora("pingora").unwrap()),
        ("tamis, redacting", ground.tamis(Settings::CLASSIFIED).unwrap()),
    ];
    for (name, proxy) in proxies {
        let before = proxy.peak();
        let began = Instant::now();
        let mut client = Client::connect(proxy.port);
        let answer = client.ask(&format!("/streams/{MEMORY_BLOCKS}"), "redacted");
        assert_eq!(answer.status, 200);
        let mut bytes = 0;
        client.read(&answer, &mut |some| bytes += some.len());
        let seconds = began.elapsed().as_secs_f64();
        assert!(bytes > 1 << 29, "most of it leaves");
        println!("{name:44} {before:8.1} MiB {:8.1} MiB   in {seconds:.1} s", proxy.peak());
    }
}

/// How long it takes until a policy holds that was put in the place of another.
fn edits(ground: &Ground<'_>) {
    let tamis = ground.tamis(Settings::CLASSIFIED).unwrap();
    let policies = ground.policies(tamis.port);
    let mut client = Client::connect(tamis.port);
    let path = format!("/documents/{}", SIZES[0]);
    let mut taken = Vec::new();
    for edit in EDITS.iter().cycle().skip(1).take(EDIT_TIMES) {
        let (_, before) = client.get(&path, "edited");
        // Its name begins with a dot, so that it does not count before it is renamed.
        let written = policies.join(".edited.yaml");
        fs::write(&written, edit).unwrap();
        // What the writing itself may have started is over.
        sleep(Duration::from_secs(1));
        let began = Instant::now();
        fs::rename(&written, policies.join("edited.yaml")).unwrap();
        while client.get(&path, "edited").1 == before {
            assert!(began.elapsed() < EDIT_PATIENCE, "the edit does not hold");
            sleep(Duration::from_millis(1));
        }
        taken.push(began.elapsed());
    }
    let median = median(&taken);
    let verdict = if median <= EDIT_AIM { "reached" } else { "missed" };
    println!(
        "\nfrom the edit of a policy to the first response under it, median of {EDIT_TIMES}\n"
    );
    println!(
        "{:44} {:6} ms   aim {} ms: {verdict}",
        "tamis",
        median.as_millis(),
        EDIT_AIM.as_millis()
    );
}

fn median(taken: &[Duration]) -> Duration {
    let mut taken = taken.to_vec();
    taken.sort();
    taken[taken.len() / 2]
}

/// As it is printed.
fn micros(time: Duration) -> String {
    format!("{:6.1} µs", time.as_secs_f64() * 1e6)
}
