//! One line of JSON for each access record, written by a thread of its own.

use std::{
    fs::File,
    io, iter,
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    access::{AccessRecord, Count, Labels, Reason},
    config::AccessLog as Destination,
    metrics::{AccessLogEvent, Metrics},
    proxy::log_file::{LogFile, Place, Sink},
};

/// Most records that wait to be written. A disk that stands still for a moment loses none.
const QUEUE_RECORDS_MAX: usize = 8192;

/// So many bytes are written at once, if there are as many to write.
const BATCH_BYTES: usize = 64 * 1024;

/// How long the end waits for the last lines. A pipe that nobody reads must not keep a process alive.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long until a file that could not be opened again is tried once more.
const RETRY: Duration = Duration::from_secs(1);

/// The digits of a digest of policies that tell it from others.
const DIGEST_DIGITS: usize = 12;

const TARGET: &str = "tamis::access_log";

/// The access log. To write to it never waits: what it cannot take is lost, and is counted in
/// `tamis_access_log_lost_total`.
#[derive(Debug)]
pub struct AccessLog(Option<Open>);

#[derive(Debug)]
struct Open {
    /// Taken away to tell the writer that no more comes.
    queue: Option<SyncSender<Message>>,
    /// Whether somebody has waited in vain already.
    given_up: AtomicBool,
    requests: Arc<WriterRequests>,
    /// Ends when the writer has. The lock is only for sharing the log: its end has it alone.
    ended: Mutex<Receiver<()>>,
    metrics: Arc<Metrics>,
}

/// What the writer has to know although its queue may be full.
#[derive(Debug, Default)]
struct WriterRequests {
    /// How many records the queue had no room for since that was last said.
    dropped: AtomicU64,
    /// Whether somebody asks for the file to be opened again.
    reopen: AtomicBool,
}

impl AccessLog {
    /// Finds out whether the destination could be opened, without touching it: what people should know
    /// although it could.
    pub(super) fn check(destination: &Destination) -> io::Result<Option<&'static str>> {
        match destination {
            Destination::Off | Destination::Stdout => Ok(None),
            Destination::File(path) => LogFile::check(path),
        }
    }

    /// Opens the destination and begins to write to it.
    pub fn start(destination: &Destination, metrics: Arc<Metrics>) -> io::Result<Self> {
        match destination {
            Destination::Off => Ok(Self(None)),
            // Not `io::Stdout`, which would keep lines and errors back in a buffer of its own.
            Destination::Stdout => {
                let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Self::to(Box::new(stdout), Path::new("stdout"), metrics)
            }
            Destination::File(path) => Self::to(Box::new(LogFile::open(path)?), path, metrics),
        }
    }

    fn to(sink: Box<dyn Sink>, name: &Path, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (queue, records) = mpsc::sync_channel(QUEUE_RECORDS_MAX);
        let (end, ended) = mpsc::channel();
        let requests = Arc::new(WriterRequests::default());
        let mut writer = Writer {
            sink,
            name: name.display().to_string(),
            metrics: Arc::clone(&metrics),
            requests: Arc::clone(&requests),
            batch: Vec::new(),
            torn: false,
            lost: None,
            stuck: None,
        };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run(&records);
            drop(end);
        })?;
        let given_up = AtomicBool::new(false);
        let (queue, ended) = (Some(queue), Mutex::new(ended));
        Ok(Self(Some(Open { queue, given_up, requests, ended, metrics })))
    }

    /// Hands a record to the writer; what it has no room for is lost.
    pub fn write(&self, record: &AccessRecord) {
        let Some(Open { queue: Some(queue), metrics, requests, .. }) = &self.0 else { return };
        // The line itself is made by the writer: a copy of a record is a few counters.
        if queue.try_send(Message::Record(record.clone())).is_err() {
            metrics.access_log_lost(1);
            requests.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the writer open the file again that has its name now, if that is another one. Does not wait for it.
    pub fn reopen(&self) {
        let Some(Open { queue: Some(queue), requests, .. }) = &self.0 else { return };
        requests.reopen.store(true, Ordering::Release);
        if queue.try_send(Message::Look).is_err() {
            // A queue that is full has the writer look soon enough.
        }
    }

    /// Waits until all records that were handed over are written, but not for ever. So does a drop.
    pub fn flush(&self) {
        let Some(Open { queue: Some(queue), given_up, .. }) = &self.0 else { return };
        let (written, wait) = mpsc::sync_channel(1);
        let deadline = Instant::now() + CLOSE_WAIT_MAX;
        let mut message = Message::Flush(written);
        // A queue that is full is a reason to wait, but the standard library cannot wait with a limit.
        while let Err(TrySendError::Full(back)) = queue.try_send(message) {
            if Instant::now() > deadline {
                given_up.store(true, Ordering::Relaxed);
                return;
            }
            message = back;
            thread::sleep(Duration::from_millis(1));
        }
        if wait.recv_timeout(CLOSE_WAIT_MAX).is_err() {
            given_up.store(true, Ordering::Relaxed);
            log::error!(target: TARGET, "the access log blocks: its last lines are lost");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue = None;
        if *self.given_up.get_mut() {
            return;
        }
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(CLOSE_WAIT_MAX) == Err(RecvTimeoutError::Timeout) {
            log::error!(target: TARGET, "the access log blocks: its last lines are lost");
        }
    }
}

/// What the writer is told.
enum Message {
    Record(AccessRecord),
    /// There is something that it is told.
    Look,
    /// Says here when all that came before is written.
    Flush(SyncSender<()>),
}

struct Writer {
    sink: Box<dyn Sink>,
    /// What it is called in messages.
    name: String,
    metrics: Arc<Metrics>,
    requests: Arc<WriterRequests>,
    /// Lines that are not written.
    batch: Vec<u8>,
    /// Whether the batch starts within a line, for the beginning of it is written.
    torn: bool,
    /// While the sink fails: how many lines that has cost.
    lost: Option<u64>,
    /// While the file cannot be opened again: when that was last tried.
    stuck: Option<Instant>,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            for message in iter::once(first).chain(messages.try_iter()) {
                match message {
                    Message::Record(record) => self.add(&record),
                    Message::Look => self.look(),
                    Message::Flush(written) => {
                        self.write();
                        if written.send(()).is_err() {
                            // Nobody waits any more.
                        }
                    }
                }
                if self.batch.len() >= BATCH_BYTES {
                    self.write();
                }
            }
            self.write();
        }
        self.metrics.access_log_lost(lines(&self.batch));
    }

    fn add(&mut self, record: &AccessRecord) {
        let before = self.batch.len();
        if serde_json::to_writer(&mut self.batch, &Line::of(record)).is_ok() {
            self.batch.push(b'\n');
        } else {
            self.batch.truncate(before);
            self.metrics.access_log_lost(1);
        }
    }

    /// Writes the batch. If that fails, whole lines are lost: the rest of one that was begun is kept
    /// for the next attempt, so that no line runs into another.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.look();
        let result = self.write_all();
        self.say_dropped();
        if let Err(error) = result {
            let kept = if self.torn { end_of_line(&self.batch) } else { 0 };
            let lost = lines(self.batch.get(kept..).unwrap_or_default());
            self.batch.truncate(kept);
            self.metrics.access_log_lost(lost);
            if self.lost.is_none() {
                log::error!(target: TARGET, "the access log cannot be written, and loses lines: {error}");
            }
            *self.lost.get_or_insert(0) += lost;
        } else if let Some(lost) = self.lost.take() {
            log::warn!(target: TARGET, "the access log is written again; {lost} lines are lost");
        }
    }

    /// Finds out whether what is written would still be found, and if not, goes where it will be.
    fn look(&mut self) {
        let is_asked = self.requests.reopen.swap(false, Ordering::AcqRel);
        match self.sink.place() {
            Place::Same => {
                self.stuck = None;
                if is_asked {
                    log::info!(target: TARGET, "the access log goes on: `{}` is the same file", self.name);
                }
            }
            Place::Truncated(bytes) => {
                self.stuck = None;
                self.metrics.access_log_event(AccessLogEvent::Truncated);
                log::warn!(
                    target: TARGET,
                    "the access log `{}` was cut to {bytes} bytes: lines that were written while it was copied are lost; to rotate it, rename it and send SIGHUP",
                    self.name
                );
                self.forget_torn();
            }
            Place::Elsewhere => {
                let is_due = self.stuck.is_none_or(|tried| tried.elapsed() >= RETRY);
                if is_due || is_asked {
                    self.reopen(is_asked);
                }
            }
        }
    }

    /// Goes on in the file that has the name now.
    fn reopen(&mut self, is_asked: bool) {
        // The rest of a line belongs behind its beginning.
        if self.torn {
            let end = end_of_line(&self.batch);
            let rest: Vec<u8> = self.batch.drain(..end).collect();
            if !matches!(self.sink.write(&rest), Ok(written) if written == rest.len()) {
                self.metrics.access_log_lost(1);
            }
            self.torn = false;
        }
        match self.sink.reopen() {
            Ok(()) => {
                self.stuck = None;
                self.metrics.access_log_event(AccessLogEvent::Reopened);
                log::info!(target: TARGET, "the access log `{}` is opened again", self.name);
            }
            Err(error) => {
                self.metrics.access_log_event(AccessLogEvent::ReopenFailed);
                if self.stuck.is_none() || is_asked {
                    let rest = if self.sink.is_deleted() {
                        "it is deleted, so lines are lost"
                    } else {
                        "lines go on into the file that had the name before"
                    };
                    log::error!(
                        target: TARGET,
                        "the access log `{}` cannot be opened again, and {rest}: {error}",
                        self.name
                    );
                }
                self.stuck = Some(Instant::now());
            }
        }
    }

    /// Drops the rest of a line whose beginning is gone.
    fn forget_torn(&mut self) {
        if self.torn {
            self.batch.drain(..end_of_line(&self.batch));
            self.metrics.access_log_lost(1);
            self.torn = false;
        }
    }

    /// Says how many records did not come this far. They are counted already.
    fn say_dropped(&self) {
        let dropped = self.requests.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            log::warn!(
                target: TARGET,
                "the access log has lost {dropped} lines: more came than could be written"
            );
        }
    }

    /// Writes as much of the batch as it can, and takes that out of it.
    fn write_all(&mut self) -> io::Result<()> {
        if self.stuck.is_some() && self.sink.is_deleted() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file is deleted"));
        }
        while !self.batch.is_empty() {
            match self.sink.write(&self.batch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let last = self.batch.drain(..written).next_back();
                    self.torn = last != Some(b'\n');
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn lines(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn end_of_line(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1)
}

/// A record as it is written. What it does not have is left out.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    caller: &'a str,
    purpose: &'a str,
    api: &'a str,
    route: &'a str,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    counts: Vec<Cell<'a>>,
    unclassified: bool,
    duration_ms: f64,
    overhead_ms: f64,
}

#[derive(Serialize)]
struct Cell<'a> {
    category: &'a str,
    action: &'static str,
    accesses: u64,
}

impl<'a> Line<'a> {
    fn of(record: &'a AccessRecord) -> Self {
        let Labels { caller, purpose, api, route } = &record.labels;
        let cell = |Count { category, action, accesses }: &'a Count| Cell {
            category,
            action: action.code(),
            accesses: *accesses,
        };
        let digest = |digest: &'a Arc<str>| digest.get(..DIGEST_DIGITS).unwrap_or(digest);
        Self {
            // A clock beyond the year 9999 is no clock.
            time: format!("{:.3}", jiff::Timestamp::try_from(record.time).unwrap_or_default()),
            trace: record.trace.map(|trace| trace.to_string()),
            caller,
            purpose,
            api,
            route,
            decision: record.decision.code(),
            reason: record.reason.map(Reason::code),
            status: record.status,
            policy: record.policy.as_ref().map(digest),
            counts: record.counts.iter().map(cell).collect(),
            unclassified: record.unclassified,
            duration_ms: milliseconds(record.duration),
            overhead_ms: milliseconds(record.overhead),
        }
    }
}

/// With three digits behind the point, and no traces of binary fractions.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        sync::mpsc::{Sender, channel},
        time::UNIX_EPOCH,
    };

    use super::*;
    use crate::access::{Action, Decision, Trace};

    fn record(status: u16) -> AccessRecord {
        AccessRecord {
            time: UNIX_EPOCH + Duration::from_millis(1_800_000_000_042),
            trace: None,
            labels: Labels::unknown(),
            decision: Decision::Allowed,
            reason: None,
            status: Some(status),
            policy: None,
            counts: Vec::new(),
            unclassified: false,
            duration: Duration::from_micros(4100),
            overhead: Duration::from_nanos(40_600),
        }
    }

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(1000))
    }

    fn lost(metrics: &Metrics) -> usize {
        let text = metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix("tamis_access_log_lost_total "));
        line.unwrap().parse().unwrap()
    }

    /// The statuses of the lines, each of which must be whole.
    fn statuses(text: &[u8]) -> Vec<u64> {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| {
                assert!(line.ends_with(b"\n"), "{:?}", String::from_utf8_lossy(line));
                let line: serde_json::Value = serde_json::from_slice(line).unwrap();
                line["status"].as_u64().unwrap()
            })
            .collect()
    }

    /// What is written goes to a test, after what the test says of it: how many bytes are taken, or
    /// that none can be. When the test says no more, all is taken.
    struct Script {
        asked: Sender<()>,
        answers: Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Sink for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Not every test listens.
            self.asked.send(()).unwrap_or_default();
            let taken = self.answers.recv().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.written.lock().unwrap().extend(&bytes[..taken]);
            Ok(taken)
        }
    }

    struct Scripted {
        log: AccessLog,
        asked: Receiver<()>,
        answer: Sender<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
        metrics: Arc<Metrics>,
    }

    fn scripted() -> Scripted {
        let (asked, to_ask) = (channel(), channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let script = Script { asked: asked.0, answers: to_ask.1, written: Arc::clone(&written) };
        let metrics = metrics();
        let log = AccessLog::to(Box::new(script), Path::new("test"), Arc::clone(&metrics)).unwrap();
        Scripted { log, asked: asked.1, answer: to_ask.0, written, metrics }
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_line_says_what_the_record_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        let log = AccessLog::start(&Destination::File(path.clone()), metrics()).unwrap();
        log.write(&AccessRecord {
            trace: Trace::from_header(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            labels: Labels {
                caller: "billing".into(),
                purpose: "invoicing".into(),
                api: "crm".into(),
                route: "GET /customers/{id}".into(),
            },
            decision: Decision::Aborted,
            reason: Some(Reason::BodyCut),
            policy: Some("0123456789abcdef0123456789abcdef".into()),
            counts: vec![
                Count { category: "contact.email".into(), action: Action::Mask, accesses: 3 },
                Count { category: "unclassified".into(), action: Action::Keep, accesses: 1 },
            ],
            unclassified: true,
            ..record(200)
        });
        log.write(&AccessRecord { status: None, ..record(0) });
        drop(log);
        let expected = concat!(
            r#"{"time":"2027-01-15T08:00:00.042Z","trace":"4bf92f3577b34da6a3ce929d0e0e4736","#,
            r#""caller":"billing","purpose":"invoicing","api":"crm","route":"GET /customers/{id}","#,
            r#""decision":"aborted","reason":"body-cut","status":200,"policy":"0123456789ab","#,
            r#""counts":[{"category":"contact.email","action":"mask","accesses":3},"#,
            r#"{"category":"unclassified","action":"keep","accesses":1}],"#,
            r#""unclassified":true,"duration_ms":4.1,"overhead_ms":0.041}"#,
            "\n",
            r#"{"time":"2027-01-15T08:00:00.042Z","#,
            r#""caller":"unknown","purpose":"unknown","api":"unknown","route":"unknown","#,
            r#""decision":"allowed","counts":[],"#,
            r#""unclassified":false,"duration_ms":4.1,"overhead_ms":0.041}"#,
            "\n",
        );
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn a_file_is_continued_and_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        for status in [200, 403] {
            let log = AccessLog::start(&Destination::File(path.clone()), metrics()).unwrap();
            log.write(&record(status));
            // A drop is as good as a close.
        }
        assert_eq!(statuses(&fs::read(&path).unwrap()), [200, 403]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::File(folder.path().join("none/access.jsonl"));
        let error = AccessLog::start(&destination, metrics()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let log = AccessLog::start(&Destination::Off, metrics()).unwrap();
        log.write(&record(200));
        drop(log);
    }

    #[test]
    fn a_writer_that_blocks_holds_nobody_up() {
        let Scripted { log, asked, answer, written, metrics } = scripted();
        log.write(&record(0));
        // The writer has the first line and stands still; the queue takes what it can.
        asked.recv().unwrap();
        let sent = u16::try_from(QUEUE_RECORDS_MAX).unwrap() + 100;
        for status in 1..=sent {
            log.write(&record(status));
        }
        assert_eq!(lost(&metrics), 100);
        drop(answer);
        drop(log);
        let kept = sent - 100;
        assert_eq!(statuses(&written.lock().unwrap()), (0..=u64::from(kept)).collect::<Vec<_>>());
        assert_eq!(lost(&metrics), 100);
    }

    #[test]
    fn many_writers_and_no_line_is_lost_or_torn() {
        let Scripted { log, answer, written, metrics, .. } = scripted();
        drop(answer);
        let shared = &log;
        thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for line in 0..500 {
                        shared.write(&record(thread * 1000 + line));
                    }
                });
            }
        });
        drop(log);
        // What the queue could not take is counted; nothing else goes missing.
        let mut seen = statuses(&written.lock().unwrap());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() + lost(&metrics), 4000);
    }

    #[test]
    fn errors_cost_whole_lines_and_are_survived() {
        let Scripted { log, asked, answer, written, metrics } = scripted();
        let write = |status, answers: Vec<io::Result<usize>>| {
            log.write(&record(status));
            for now in answers {
                asked.recv().unwrap();
                answer.send(now).unwrap();
            }
        };
        write(1, vec![Ok(usize::MAX)]);
        write(2, vec![Err(full())]);
        // Ten bytes of the third line are on the disk: the rest must follow, whatever is lost.
        write(3, vec![Ok(10), Err(io::ErrorKind::Interrupted.into()), Err(full())]);
        write(4, vec![Err(full())]);
        write(5, vec![Ok(0)]);
        write(6, vec![Ok(7), Ok(usize::MAX)]);
        write(7, vec![Ok(usize::MAX)]);
        drop(log);
        assert_eq!(statuses(&written.lock().unwrap()), [1, 3, 6, 7]);
        assert_eq!(lost(&metrics), 3);
    }

    #[test]
    fn a_line_that_cannot_be_ended_is_lost() {
        let Scripted { log, asked, answer, metrics, .. } = scripted();
        log.write(&record(1));
        asked.recv().unwrap();
        answer.send(Ok(10)).unwrap();
        asked.recv().unwrap();
        answer.send(Err(full())).unwrap();
        drop(log);
        assert_eq!(lost(&metrics), 1);
    }

    /// A file that is written and looked at, in a folder of its own.
    struct Written {
        folder: tempfile::TempDir,
        log: AccessLog,
        metrics: Arc<Metrics>,
    }

    impl Written {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let metrics = metrics();
            let path = folder.path().join("log/access.jsonl");
            fs::create_dir(folder.path().join("log")).unwrap();
            let log = AccessLog::start(&Destination::File(path), Arc::clone(&metrics)).unwrap();
            Self { folder, log, metrics }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.folder.path().join(name)
        }

        /// Writes a line of each status, and waits until they are written.
        fn write(&self, from_to: std::ops::RangeInclusive<u16>) {
            for status in from_to {
                self.log.write(&record(status));
            }
            self.log.flush();
        }

        fn statuses(&self, name: &str) -> Vec<u64> {
            statuses(&fs::read(self.path(name)).unwrap())
        }

        fn events(&self, event: AccessLogEvent) -> u64 {
            let begins = format!("tamis_access_log_events_total{{event=\"{}\"}} ", event.code());
            let text = self.metrics.render();
            text.lines().find_map(|line| line.strip_prefix(&begins)).unwrap().parse().unwrap()
        }
    }

    #[test]
    fn a_file_that_is_renamed_or_deleted_is_opened_anew() {
        let it = Written::new();
        it.write(1..=2);
        fs::rename(it.path("log/access.jsonl"), it.path("log/access.1")).unwrap();
        it.write(3..=4);
        assert_eq!(it.statuses("log/access.1"), [1, 2]);
        assert_eq!(it.statuses("log/access.jsonl"), [3, 4]);
        fs::remove_file(it.path("log/access.jsonl")).unwrap();
        it.write(5..=5);
        assert_eq!(it.statuses("log/access.jsonl"), [5]);
        // Another file has the name, as with `create` of logrotate; and it may be a link.
        fs::remove_file(it.path("log/access.jsonl")).unwrap();
        symlink("other", it.path("log/access.jsonl")).unwrap();
        it.write(6..=7);
        assert_eq!(it.statuses("log/other"), [6, 7]);
        assert_eq!((it.events(AccessLogEvent::Reopened), lost(&it.metrics)), (3, 0));
    }

    #[test]
    fn a_truncation_is_noticed_at_the_next_write() {
        let it = Written::new();
        it.write(1..=3);
        File::options().write(true).open(it.path("log/access.jsonl")).unwrap().set_len(0).unwrap();
        it.write(4..=5);
        assert_eq!(it.statuses("log/access.jsonl"), [4, 5]);
        it.write(6..=6);
        assert_eq!((it.events(AccessLogEvent::Truncated), lost(&it.metrics)), (1, 0));
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_loses_nothing_while_it_is_there() {
        let it = Written::new();
        it.write(1..=1);
        fs::rename(it.path("log"), it.path("old")).unwrap();
        it.write(2..=2);
        assert_eq!(it.statuses("old/access.jsonl"), [1, 2]);
        assert_eq!(it.events(AccessLogEvent::ReopenFailed), 1);
        // Once it is deleted, what is written would be gone.
        fs::remove_file(it.path("old/access.jsonl")).unwrap();
        it.write(3..=4);
        assert_eq!(lost(&it.metrics), 2);
        fs::create_dir(it.path("log")).unwrap();
        it.log.reopen();
        it.write(5..=6);
        assert_eq!(it.statuses("log/access.jsonl"), [5, 6]);
        assert_eq!((it.events(AccessLogEvent::Reopened), lost(&it.metrics)), (1, 2));
    }

    #[test]
    fn a_line_of_somebody_who_was_cut_off_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        fs::write(&path, "{\"time\":").unwrap();
        let log = AccessLog::start(&Destination::File(path.clone()), metrics()).unwrap();
        log.write(&record(200));
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        let (torn, rest) = text.split_once('\n').unwrap();
        assert_eq!(torn, "{\"time\":");
        assert_eq!(statuses(rest.as_bytes()), [200]);
    }

    /// What `--check` says of a path, and what opening it says. Where the check finds nothing, opening finds
    /// nothing either.
    #[track_caller]
    fn check(path: &Path, expected: Result<Option<&str>, &str>) {
        let destination = Destination::File(path.to_owned());
        let before = fs::metadata(path).map(|metadata| metadata.len()).ok();
        let checked = AccessLog::check(&destination).map_err(|error| error.to_string());
        assert_eq!(checked.as_ref().map(|warning| *warning).map_err(String::as_str), expected);
        let after = fs::metadata(path).map(|metadata| metadata.len()).ok();
        assert_eq!(before, after, "the check leaves no trace");
        let opened = AccessLog::start(&destination, metrics());
        match expected {
            Err(error) => assert_eq!(opened.unwrap_err().to_string(), error),
            Ok(None) => assert!(opened.is_ok()),
            Ok(Some(_)) => {}
        }
    }

    #[test]
    fn a_check_finds_what_opening_finds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let none = "No such file or directory (os error 2)";
        check(&at("new"), Ok(None));
        check(&at("new"), Ok(None));
        check(&at("none/access.jsonl"), Err(none));
        check(&at("new/access.jsonl"), Err("Not a directory (os error 20)"));
        check(folder.path(), Err("Is a directory (os error 21)"));
        symlink("target", at("link")).unwrap();
        check(&at("link"), Ok(None));
        symlink("none/target", at("dangling")).unwrap();
        check(&at("dangling"), Err(none));
        check(Path::new("/dev/null"), Ok(None));
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        check(&at("socket"), Err("it is a socket: if it is stdout, write `access_log: stdout`"));
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        check(
            &at("pipe"),
            Ok(Some("it is a pipe, and somebody has to read it before tamis starts")),
        );
        let error = AccessLog::start(&Destination::File(at("pipe")), metrics()).unwrap_err();
        assert_eq!(error.to_string(), "it is a pipe, and nobody reads it");
    }

    #[test]
    fn a_pipe_is_written_as_long_as_somebody_reads_it() {
        use std::{io::Read as _, os::unix::fs::OpenOptionsExt as _};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let nonblocking = crate::files::bits(rustix::fs::OFlags::NONBLOCK);
        let mut options = File::options();
        let mut reader = options.read(true).custom_flags(nonblocking).open(&path).unwrap();
        let metrics = metrics();
        let log = AccessLog::start(&Destination::File(path), Arc::clone(&metrics)).unwrap();
        log.write(&record(200));
        log.flush();
        let mut bytes = [0; 4096];
        let read = reader.read(&mut bytes).unwrap();
        assert_eq!(statuses(&bytes[..read]), [200]);
        drop(reader);
        log.write(&record(201));
        drop(log);
        assert_eq!(lost(&metrics), 1);
    }

    #[test]
    fn a_full_disk_is_counted() {
        let metrics = metrics();
        let log = AccessLog::start(&Destination::File("/dev/full".into()), Arc::clone(&metrics));
        let log = log.unwrap();
        for status in 1..=10 {
            log.write(&record(status));
        }
        drop(log);
        assert_eq!(lost(&metrics), 10);
    }
}
