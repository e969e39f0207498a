//! The rows that are measured against those of another commit: tamis in each use, and bare Pingora as a
//! control.
#![expect(clippy::cast_precision_loss, reason = "requests are counted, and not by the billion")]

use std::{fs, time::Duration};

use crate::{
    SIZES,
    client::Client,
    load::{ALL_CLASSIFIED, BARE, TAMIS, ask, load, requests},
    median,
    process::{free_port, run},
    subjects::{Ground, Subject},
    time_to_first_byte,
    turns::{Rows, callgrind, counted},
};

/// What a subject should spend in a turn.
const CPU_PER_TURN: Duration = Duration::from_millis(400);
/// How often a turn takes the time to the first byte, of which the median counts.
const FIRST_BYTE_TRIES: u32 = 15;
/// Requests that make a connection and its process warm, and those whose instructions are counted.
const WARMING: u64 = 200;
const COUNTED: u64 = 200;
/// The same for bodies of 1 MiB.
const STREAMS: usize = 8;

enum Work {
    /// Documents of so many bytes.
    Requests {
        bytes: usize,
    },
    FirstByte,
}

struct Row {
    name: String,
    /// The place of the subject.
    subject: usize,
    work: Work,
}

/// All rows, in this order: the sizes of each subject, and then the first bytes.
pub(super) struct Turns<'a> {
    ground: &'a Ground<'a>,
    subjects: Vec<Subject>,
    rows: Vec<Row>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Self {
        let subjects = ground.own_subjects();
        let mut rows = Vec::new();
        if let Err(why) = run("h2load", &["--version"]) {
            println!("skipped: CPU time per request: no load generator: {why}");
        } else {
            for bytes in SIZES {
                rows.extend(subjects.iter().enumerate().map(|(place, subject)| Row {
                    name: format!("{} KB: {}", bytes >> 10, subject.name.trim_start()),
                    subject: place,
                    work: Work::Requests { bytes },
                }));
            }
        }
        for name in [TAMIS, ALL_CLASSIFIED] {
            let subject = subjects.iter().position(|subject| subject.name == name).unwrap();
            let name = format!("first byte of 100 MB: {name}");
            rows.push(Row { name, subject, work: Work::FirstByte });
        }
        Self { ground, subjects, rows }
    }
}

impl Rows for Turns<'_> {
    fn names(&self) -> Vec<(String, bool)> {
        let is_control = |row: &Row| self.subjects[row.subject].name == BARE;
        self.rows.iter().map(|row| (row.name.clone(), is_control(row))).collect()
    }

    fn times(&mut self, row: usize) -> u32 {
        let Row { subject, work, .. } = &self.rows[row];
        match work {
            Work::Requests { bytes } => {
                requests(&self.subjects[*subject], *bytes, CPU_PER_TURN).try_into().unwrap()
            }
            Work::FirstByte => FIRST_BYTE_TRIES,
        }
    }

    fn seconds(&mut self, row: usize, times: u32) -> f64 {
        let Row { subject, work, .. } = &self.rows[row];
        let subject = &self.subjects[*subject];
        let taken = match work {
            Work::Requests { bytes } => load(subject, *bytes, times.into()),
            // Which is not only time on a core.
            Work::FirstByte => {
                let tries = (0..times).map(|_| time_to_first_byte(&subject.running));
                median(&tries.collect::<Vec<_>>())
            }
        };
        taken.as_secs_f64()
    }

    /// Of one request. For the first byte: of one for a body of 1 MiB.
    fn instructions(&mut self, row: usize) -> Result<f64, String> {
        let Row { subject, work, .. } = &self.rows[row];
        let subject = &self.subjects[*subject];
        let settings = subject.settings.ok_or("it is not tamis")?;
        run("vgdb", &["--help"])?;
        let port = free_port();
        let file = self.ground.folder.join(format!("{port}.counted"));
        let tamis = self.ground.tamis_under(&callgrind(file.to_str().unwrap())?, port, settings)?;
        // What is counted up to the first dump is the start and the warming; it is thrown away.
        let counted_requests = match work {
            Work::Requests { bytes } => {
                ask(subject, port, *bytes, WARMING, 1);
                tamis.dump()?;
                ask(subject, port, *bytes, COUNTED, 1);
                COUNTED as f64
            }
            Work::FirstByte => {
                let mut client = Client::connect(port);
                client.get("/streams/1", subject.purpose);
                tamis.dump()?;
                for _ in 0..STREAMS {
                    client.get("/streams/1", subject.purpose);
                }
                STREAMS as f64
            }
        };
        tamis.dump()?;
        // callgrind numbers them.
        let text = fs::read_to_string(format!("{}.2", file.display()));
        Ok(counted(&text.map_err(|error| format!("callgrind wrote nothing: {error}"))?)?
            / counted_requests)
    }
}
