//! Whether the work tree is slower than a commit: the benches of both take turns, row by row.
//!
//! `benches/README.md` says how to read what comes out.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench prints, and its numbers are small"
)]

mod build;
mod side;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

use build::BENCHES;
use side::Side;
use verdict::{Quartiles, Verdict, WORSE};

/// How many rounds both sides run before they are started anew.
const SITTING: u32 = 3;

#[derive(Parser)]
#[command(about = "Compares the benches of the work tree with those of a commit")]
struct Words {
    /// The commit, by any name that git knows.
    commit: String,
    /// How often both sides measure each row.
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Only rows with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// What cargo builds both sides by: another than that of releases tells little, but soon.
    #[arg(long, default_value = "bench")]
    profile: String,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let words = Words::parse();
    match compare(&words) {
        Ok(worse) if worse.is_empty() => {
            println!("no row is worse than with {}", words.commit);
            ExitCode::SUCCESS
        }
        Ok(worse) => {
            println!("WORSE than with {}:\n  {}", words.commit, worse.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// A row that both sides have.
struct Both {
    name: String,
    is_control: bool,
    /// Its places.
    old: usize,
    new: usize,
    /// How often both do it in a turn.
    times: u32,
    ratios: Vec<f64>,
}

/// Measures and prints. Gives the names of the rows that are worse.
fn compare(words: &Words) -> Result<Vec<String>, String> {
    let commit = build::commit(&words.commit)?;
    let old = build::old(&commit, &words.profile)?;
    let new = build::new(&words.profile)?;
    let mut worse = Vec::new();
    for (bench, (old, new)) in BENCHES.iter().zip(old.iter().zip(&new)) {
        println!("\n{bench}: {} rounds; how many times as fast as with {commit}\n", words.rounds);
        let start = |is_first| -> Result<[Side; 2], String> {
            Ok([Side::start("old", old, is_first)?, Side::start("new", new, is_first)?])
        };
        let mut sides = start(true)?;
        let mut rows = rows_of_both(&sides, &words.only);
        for row in &mut rows {
            row.times = sides[0].times(row.old)?;
        }
        for round in 0..words.rounds.max(1) {
            // Where a process lies in memory makes it faster or slower, for as long as it runs.
            if round > 0 && round % SITTING == 0 {
                drop(sides);
                sides = start(false)?;
            }
            for row in &mut rows {
                row.ratios.push(ratio(&mut sides, row, round % 2 == 0)?);
            }
        }
        println!("{:76} {:>6}  {:>14}", "", "median", "quartiles");
        for row in rows {
            if judge(&mut sides, &row)? {
                worse.push(row.name);
            }
        }
    }
    println!();
    Ok(worse)
}

/// Pairs the rows by name, and says which only one side has.
fn rows_of_both([old, new]: &[Side; 2], only: &str) -> Vec<Both> {
    for row in old.rows.iter().filter(|row| row.name.contains(only)) {
        if new.place(&row.name).is_none() {
            println!("gone: {}", row.name);
        }
    }
    let mut both = Vec::new();
    for (place, row) in new.rows.iter().enumerate().filter(|(_, row)| row.name.contains(only)) {
        let Some(old) = old.place(&row.name) else {
            println!("new: {}", row.name);
            continue;
        };
        let (name, is_control) = (row.name.clone(), row.is_control);
        both.push(Both { name, is_control, old, new: place, times: 1, ratios: Vec::new() });
    }
    both
}

/// How many times as fast the new side is in this round.
fn ratio([old, new]: &mut [Side; 2], row: &Both, old_begins: bool) -> Result<f64, String> {
    let [before, now] = if old_begins {
        let before = old.seconds(row.old, row.times)?;
        [before, new.seconds(row.new, row.times)?]
    } else {
        let now = new.seconds(row.new, row.times)?;
        [old.seconds(row.old, row.times)?, now]
    };
    Ok(before / now)
}

/// Prints a row, and gives whether it is worse. Where time does not tell, instructions do.
fn judge([old, new]: &mut [Side; 2], row: &Both) -> Result<bool, String> {
    let quartiles = Quartiles::of(row.ratios.clone());
    let said = match quartiles.verdict() {
        _ if row.is_control => Ok("control".to_owned()),
        Verdict::NotWorse => Ok("not worse".to_owned()),
        Verdict::Worse => Err("WORSE".to_owned()),
        Verdict::Unclear => match [old.instructions(row.old)?, new.instructions(row.new)?] {
            [Ok(before), Ok(now)] => {
                let ratio = before / now;
                let text = format!("{before:.0} instructions, now {now:.0}: {ratio:.3}");
                if ratio < WORSE { Err(text + ": WORSE") } else { Ok(text + ": not worse") }
            }
            [Err(why), _] | [_, Err(why)] => {
                Ok(format!("UNCLEAR; skipped: counting instructions: {why}"))
            }
        },
    };
    let Quartiles { first, median, third } = quartiles;
    let (Ok(text) | Err(text)) = &said;
    println!("{:76} {median:6.3}  {first:5.3} to {third:5.3}  {text}", row.name);
    Ok(said.is_err())
}
