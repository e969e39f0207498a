//! Processes that the bench starts: each pinned to a core, and gone when the bench is.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// The core of whoever is measured.
pub(super) const PROXY_CORE: &str = "0";
/// The core of whoever asks and answers.
pub(super) const OTHER_CORE: &str = "1";

/// How long a process may take until it listens; under callgrind it is slow.
const START: Duration = Duration::from_mins(1);

/// A process that listens; it is killed when this goes, also by a panic.
pub(super) struct Running {
    child: Child,
    pub(super) port: u16,
}

impl Running {
    /// Starts a program that listens on this port, and waits until it does. What it prints goes to a
    /// file, and is the error if it does not come up.
    pub(super) fn start<S: AsRef<OsStr>>(
        core: &str,
        port: u16,
        folder: &Path,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Self, String> {
        let log = folder.join(format!("{port}.log"));
        let output = File::create(&log).unwrap();
        // Should the bench be killed, nobody is left behind either. Both helpers become the program, so
        // that its process id is this child's.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", core])
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn();
        let child = child.map_err(|error| format!("cannot start: {error}"))?;
        let mut running = Self { child, port };
        let began = Instant::now();
        let mut answers = 0;
        // Twice, for some try their port and let it go before they listen in earnest.
        while answers < 2 {
            sleep(Duration::from_millis(50));
            answers += usize::from(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
            let is_over = running.child.try_wait().unwrap().is_some();
            if is_over || began.elapsed() > START {
                let said = fs::read_to_string(&log).unwrap();
                return Err(said.lines().take(3).collect::<Vec<_>>().join(" "));
            }
        }
        Ok(running)
    }

    /// The time that all threads of the process have spent on a core.
    pub(super) fn cpu(&self) -> Duration {
        // Its first number is in nanoseconds, where `stat` counts ticks of 10 ms.
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        let spent = tasks.map(|task| -> u64 {
            let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Has all of its threads run on this core from now on.
    pub(super) fn pin(&self, core: &str) {
        let id = self.child.id().to_string();
        run("taskset", &["--all-tasks", "--cpu-list", "--pid", core, &id]).unwrap();
    }

    /// The most memory that the process ever had, in MiB.
    pub(super) fn peak(&self) -> f64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Has callgrind, under which the process runs, write what it has counted since the last time.
    pub(super) fn dump(&self) -> Result<(), String> {
        run("vgdb", &[&format!("--pid={}", self.child.id()), "dump"]).map(drop)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Pins this process, and with it what it starts and does not pin otherwise.
pub(super) fn pin_self() -> Result<(), String> {
    let id = process::id().to_string();
    run("taskset", &["--all-tasks", "--cpu-list", "--pid", OTHER_CORE, &id]).map(drop)
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Runs a program to its end, and gives what it prints.
pub(super) fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(words).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Some say their version on one, some on the other.
    let said = text(&done.stdout) + &text(&done.stderr);
    if done.status.success() { Ok(said) } else { Err(format!("`{program}` failed: {said}")) }
}
