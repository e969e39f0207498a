//! A bench that measures one row when it is asked to.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

/// A row of a bench.
pub(super) struct Row {
    pub(super) name: String,
    /// Whether it is work that has nothing to do with the commit.
    pub(super) is_control: bool,
}

/// A running bench of one commit.
pub(super) struct Side {
    /// What it is called where it says something.
    title: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(super) rows: Vec<Row>,
    _folder: TempDir,
}

impl Side {
    /// Starts a bench, and waits until it is ready. What it has to say about itself is printed the first time.
    pub(super) fn start(
        title: &'static str,
        program: &Path,
        is_first: bool,
    ) -> Result<Self, String> {
        // The length of a program's path moves its stack, and its pages lie somewhere else in each copy. Both
        // change its speed: so the path is as long for both sides, and the copy is a new one each time.
        let folder = tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?;
        let copy = folder.path().join("bench");
        let child = fs::copy(program, &copy).and_then(|_| {
            Command::new("setpriv")
                .args(["--pdeathsig", "KILL"])
                .arg(&copy)
                .arg("turns")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        });
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let questions = child.stdin.take().ok_or("it has no input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("it has no output")?);
        let mut side = Self { title, child, questions, answers, rows: Vec::new(), _folder: folder };
        loop {
            let line = side.line()?;
            let (first, name) = line.split_once(' ').unwrap_or((&line, ""));
            match first {
                "ready" => return Ok(side),
                "row" | "control" => {
                    let is_control = first == "control";
                    side.rows.push(Row { name: name.to_owned(), is_control });
                }
                _ if is_first => println!("{title}: {line}"),
                _ => {}
            }
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.name == name)
    }

    /// How often a turn should do the work of the row.
    pub(super) fn times(&mut self, row: usize) -> Result<u32, String> {
        self.ask(&format!("times {row}"))?.map(|times| times as u32)
    }

    /// Seconds that the work of the row takes once, where it is done so often.
    pub(super) fn seconds(&mut self, row: usize, times: u32) -> Result<f64, String> {
        self.ask(&format!("seconds {row} {times}"))?
    }

    /// Instructions that it takes, or why they cannot be counted.
    pub(super) fn instructions(&mut self, row: usize) -> Result<Result<f64, String>, String> {
        self.ask(&format!("instructions {row}"))
    }

    fn ask(&mut self, question: &str) -> Result<Result<f64, String>, String> {
        // If it is gone, there is no answer.
        drop(writeln!(self.questions, "{question}"));
        loop {
            let line = self.line()?;
            match line.split_once(' ') {
                Some(("=", number)) => {
                    return number.parse().map(Ok).map_err(|error| format!("{line}: {error}"));
                }
                Some(("!", why)) => return Ok(Err(why.to_owned())),
                _ => println!("{}: {line}", self.title),
            }
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            Ok(0) | Err(_) => {
                Err(format!("{}: the bench has stopped; what it said is above", self.title))
            }
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
