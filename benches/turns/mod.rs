//! The part of a bench that `benches/against` talks to: it measures one row at a time, so that the benches of
//! two commits can take turns.
//!
//! The bench writes one line for each row, and then `ready`. After that it answers each line that it reads
//! with one line. Lines that begin in another way are for people.

use std::{
    io::{self, BufRead as _},
    process::Command,
};

/// What a bench can measure, by itself and in any order.
pub(super) trait Rows {
    /// The names of the rows, and whether each is a control: work that is the same in every commit.
    fn names(&self) -> Vec<(String, bool)>;

    /// How often a turn should do the work of the row. Both sides do it as often, for a turn has costs of its
    /// own, such as connections.
    fn times(&mut self, row: usize) -> u32;

    /// Seconds that the work of the row takes once, where it is done so often: time on a core, where the row does not say otherwise.
    fn seconds(&mut self, row: usize, times: u32) -> f64;

    /// Instructions that the row takes, as callgrind counts them.
    fn instructions(&mut self, row: usize) -> Result<f64, String>;
}

/// Answers until nobody asks any more.
pub(super) fn answer(rows: &mut dyn Rows) {
    for (name, is_control) in rows.names() {
        println!("{} {name}", if is_control { "control" } else { "row" });
    }
    println!("ready");
    for line in io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let row = words[1].parse().unwrap();
        match words[0] {
            "times" => println!("= {}", rows.times(row)),
            "seconds" => println!("= {}", rows.seconds(row, words[2].parse().unwrap())),
            "instructions" => match rows.instructions(row) {
                Ok(counted) => println!("= {counted}"),
                Err(why) => println!("! {}", why.replace('\n', " ")),
            },
            _ => panic!("{line}: no question"),
        }
    }
}

/// Valgrind with callgrind, which writes what it counts to this file.
pub(super) fn callgrind(file: &str) -> Result<[String; 4], String> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(said) if said.status.success() => {}
        Ok(_) | Err(_) => return Err("`valgrind` cannot be run".to_owned()),
    }
    Ok(["valgrind", "--quiet", "--tool=callgrind", &format!("--callgrind-out-file={file}")]
        .map(str::to_owned))
}

/// The instructions in a file that callgrind wrote.
pub(super) fn counted(text: &str) -> Result<f64, String> {
    let totals = text.lines().find_map(|line| line.strip_prefix("totals:"));
    totals
        .and_then(|number| number.trim().parse().ok())
        .ok_or("callgrind counted nothing".to_owned())
}
