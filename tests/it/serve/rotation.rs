//! The access log while its file is rotated, cut, deleted, full or none: no line is lost in silence.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const POLICY: &str = "
tamis: 1
categories: { contact: Contact }
purposes: { support: { title: Help, legal_basis: contract } }
callers: { desk: { identify: { sidecar: true }, purposes: [support] } }
apis: { crm: { routes: { GET /c: { body: { $.id: public } } } } }
rules: { support: { contact: drop } }
";

fn setup<T>(with: impl FnOnce(Setup<'_>) -> T) -> T {
    let upstreams = [("crm", upstream(|_| json(r#"{"id":7}"#)), "http1")];
    with(Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" })
}

fn ask(tamis: &Tamis) {
    let request =
        "GET /c HTTP/1.1\r\nHost: test\r\nConnection: close\r\nData-Purpose: support\r\n\r\n";
    assert_eq!(tamis.send(request).text(), r#"{"id":7}"#);
}

/// How many lines a file has, all of which are whole.
fn lines(path: &Path) -> usize {
    let Ok(text) = fs::read_to_string(path) else { return 0 };
    let lines = text.split_inclusive('\n').map(|line| {
        assert!(line.ends_with('\n'), "{line}");
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["decision"], "allowed");
    });
    lines.count()
}

fn events(tamis: &Tamis, event: &str) -> u64 {
    tamis.metric(&format!("tamis_access_log_events_total{{event=\"{event}\"}}"))
}

#[test]
fn a_file_that_is_rotated_is_opened_again() {
    let mut tamis = setup(|setup| setup.start());
    let at = |tamis: &Tamis, name: &str| tamis.folder.path().join(name);
    let path = at(&tamis, "access.log");
    ask(&tamis);
    until("a line is written", || lines(&path) == 1);
    for (number, signal) in ["HUP", "USR1"].iter().enumerate() {
        let old = at(&tamis, &format!("access.{number}"));
        fs::rename(&path, &old).unwrap();
        tamis.signal(signal);
        until("the file is there again, though nothing was written", || path.exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        ask(&tamis);
        until("the next line is in the new file", || lines(&path) == 1);
        assert_eq!(lines(&old), 1);
    }
    // Nobody says anything.
    fs::rename(&path, at(&tamis, "access.2")).unwrap();
    ask(&tamis);
    until("it is noticed", || lines(&path) == 1);
    assert_eq!(lines(&at(&tamis, "access.2")), 1);
    fs::remove_file(&path).unwrap();
    ask(&tamis);
    until("it is made anew", || lines(&path) == 1);
    assert_eq!(events(&tamis, "reopened"), 4);
    ask(&tamis);
    until("there are two lines", || lines(&path) == 2);
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    ask(&tamis);
    until("it is cut", || lines(&path) == 1);
    until("it is counted, and said", || {
        events(&tamis, "truncated") == 1 && tamis.stderr().contains("was cut to 0 bytes")
    });
    // What would end another process is nothing to this one.
    tamis.signal("USR2");
    until("it says so", || tamis.stderr().contains("SIGUSR2 does nothing"));
    ask(&tamis);
    tamis.signal("TERM");
    assert_eq!(tamis.ended(), 0);
    assert_eq!(lines(&path), 2);
}

/// Whoever asks all the time while the file is renamed again and again finds every request on record.
#[test]
fn no_line_is_lost_between_two_files() {
    const ROTATIONS: usize = 50;
    let mut tamis = setup(|setup| setup.start());
    let folder = tamis.folder.path().to_owned();
    let path = folder.join("access.log");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Acquire) {
                ask(&tamis);
                asked += 1;
            }
            asked
        });
        for number in 0..ROTATIONS {
            // Not its lines: one that is just being written may be seen by halves.
            until("something is written", || {
                fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0)
            });
            fs::rename(&path, folder.join(format!("access.{number}"))).unwrap();
            if number % 2 == 0 {
                tamis.signal("USR1");
            }
        }
        is_over.store(true, Ordering::Release);
        asking.join().unwrap()
    });
    tamis.signal("TERM");
    assert_eq!(tamis.ended(), 0);
    let old: usize =
        (0..ROTATIONS).map(|number| lines(&folder.join(format!("access.{number}")))).sum();
    assert_eq!(old + lines(&path), asked);
}

#[test]
fn what_cannot_be_written_is_counted() {
    let tamis = setup(|setup| setup.start_with(&[("TAMIS__ACCESS_LOG__FILE", "/dev/full")]));
    for lost in 1..=3 {
        ask(&tamis);
        until("it is counted", || tamis.metric("tamis_access_log_lost_total") == lost);
    }
    until("it is said", || tamis.stderr().contains("loses lines: No space left on device"));
    // A container has no other way to say that records go where the lines of others go.
    let tamis = setup(|setup| setup.start_with(&[("TAMIS__ACCESS_LOG__FILE", "/dev/stdout")]));
    ask(&tamis);
    until("it is printed", || tamis.stdout().ends_with("}\n"));
    // Nobody reads, and nobody waits.
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = [("TAMIS__ACCESS_LOG__FILE", pipe.to_str().unwrap())];
    let (code, _, stderr) = setup(|setup| setup.run_with(&pipe));
    assert!(code == 2 && stderr.contains("it is a pipe, and nobody reads it"), "{stderr}");
}
