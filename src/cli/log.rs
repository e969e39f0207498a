//! What the process says about itself while it runs, on stderr: a line each, and findings as `check`
//! shows them.

use std::{
    ffi::OsStr,
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use env_logger::{Builder, Target};
use jiff::{Timestamp, Unit};
use log::LevelFilter;

use crate::cli::outcome::Failure;

/// How records of tamis itself begin; those of libraries have other targets.
const OURS: &str = "tamis";

/// Who takes connections, and has nothing else to complain about.
const ACCEPTS: &str = "pingora_core::services::listening";

/// Says how much tamis itself has to say.
const VARIABLE: &str = "TAMIS_LOG";

/// What is compiled into a release is said by a feature of `log`, which has to let through what can be asked for.
const _: () = assert!(
    log::STATIC_MAX_LEVEL as usize >= LevelFilter::Debug as usize,
    "records of the level debug are left out of this build"
);

/// Most records that wait for stderr.
const QUEUE_RECORDS_MAX: usize = 1024;

/// Lets the records of `log` go to stderr, by a thread of its own: if nobody reads there, records are
/// lost, and nobody waits.
///
/// A library may quote a request in what it says, Pingora does. Of such a record only the place is
/// shown: it says which library complains, and never about whom.
pub(super) fn start() -> Result<(), Failure> {
    let level = level(std::env::var_os(VARIABLE).as_deref())?;
    let (queue, records) = sync_channel(QUEUE_RECORDS_MAX);
    let mut builder = Builder::new();
    builder
        .filter_level(LevelFilter::Error)
        .filter_module(OURS, level)
        // It says each second that nobody hands listeners over, and we say so once.
        .filter_module("pingora_core::server::transfer_fd", LevelFilter::Off)
        // It says that an idle connection was gone when it was to be used, and then opens another. Whatever keeps it
        // from that is a reason of ours.
        .filter_module("pingora_core::connectors", LevelFilter::Off)
        .target(Target::Pipe(Box::new(Queued(queue))))
        .format(|out, record| {
            let now = Timestamp::now().round(Unit::Millisecond).unwrap_or_default();
            let level = record.level().as_str().to_ascii_lowercase();
            let target = record.target();
            if target == OURS || target.starts_with("tamis::") {
                writeln!(out, "{now} {level}: {}", record.args())
            } else if target == ACCEPTS {
                writeln!(out, "{now} {level}: a connection cannot be taken, for want of open files or memory: see `limits.connections`")
            } else {
                let line = record.line().unwrap_or_default();
                writeln!(out, "{now} {level}: {target} complains (line {line})")
            }
        });
    // Somebody who runs two commands in one process has the first one's.
    if builder.try_init().is_ok() {
        let written = thread::Builder::new().name("log".to_owned());
        if written.spawn(move || write_all(&records)).is_err() {
            // Without the thread nothing is shown; what is done goes on.
        }
    }
    Ok(())
}

/// How much tamis itself says. A wrong word is an error: whoever writes one waits for records that do not come.
fn level(said: Option<&OsStr>) -> Result<LevelFilter, Failure> {
    match said.map(OsStr::to_string_lossy).as_deref() {
        None | Some("info") => Ok(LevelFilter::Info),
        Some("debug") => Ok(LevelFilter::Debug),
        Some(word) => Err(Failure::cannot(format!(
            "{VARIABLE}={word}: there is no such level: write info or debug"
        ))),
    }
}

/// The end of the queue that takes records.
struct Queued(SyncSender<Vec<u8>>);

impl Write for Queued {
    /// Takes a whole record: that is how it is given.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        match self.0.try_send(record.to_vec()) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Ok(record.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(records: &Receiver<Vec<u8>>) {
    for record in records {
        if io::stderr().write_all(&record).is_err() {
            // There is no other stream to complain on.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_two_words() {
        let level = |word: Option<&str>| level(word.map(OsStr::new)).ok();
        assert_eq!(level(None), Some(LevelFilter::Info));
        assert_eq!(level(Some("info")), Some(LevelFilter::Info));
        assert_eq!(level(Some("debug")), Some(LevelFilter::Debug));
        for wrong in ["", "DEBUG", "trace", "tamis=debug"] {
            assert_eq!(level(Some(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn a_stderr_that_nobody_reads_holds_nobody_up() {
        let (queue, records) = sync_channel(1);
        let mut queued = Queued(queue);
        for record in ["first", "second", "third"] {
            queued.write_all(record.as_bytes()).unwrap();
        }
        assert_eq!(records.try_iter().collect::<Vec<_>>(), [b"first"]);
        drop(records);
        queued.write_all(b"fourth").unwrap();
    }
}
