//! What is named as a file and is none, and files whose reading hangs: nobody waits for them.

use std::os::unix::{fs::symlink, net::UnixListener};

use super::{doors::Own, *};

/// What has the name of a file and is none, and what it is in words.
struct NoFiles {
    folder: TempDir,
    _socket: UnixListener,
}

impl NoFiles {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        pipe(&folder.path().join("pipe"));
        fs::create_dir(folder.path().join("folder")).unwrap();
        let socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        symlink("/dev/zero", folder.path().join("device")).unwrap();
        Self { folder, _socket: socket }
    }

    fn each(&self) -> impl Iterator<Item = (String, &'static str)> {
        ["pipe", "folder", "socket", "device"]
            .map(|kind| (self.folder.path().join(kind).to_str().unwrap().to_owned(), kind))
            .into_iter()
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Every file that the settings name, as each of what is none: nothing hangs, and it is said which it is.
#[test]
fn what_is_not_a_file_is_refused_at_the_start() {
    let own = Own::new();
    let none = NoFiles::new();
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let https = ("TAMIS__UPSTREAMS__CRM__TLS__NAME", "tamis.test");
    for arguments in [&["--check"][..], &[]] {
        for (path, kind) in none.each() {
            let check = |environment: &[(&str, &str)]| {
                let (code, _, stderr) = doors::setup(|setup| setup.run_in(arguments, environment));
                let said = format!("it is a {kind}, not a file");
                assert!(code == 2 && stderr.contains(&said), "{environment:?}: {code} {stderr}");
                assert!(stderr.contains(&path), "{environment:?}: {stderr}");
                stderr
            };
            let stderr = check(&[("TAMIS__KEYS__ROOT__FILE", &path)]);
            let help = if kind == "folder" {
                "\n  help: name the file in it that holds the key\n"
            } else {
                ": name that file, or restore it; another key makes other pseudonyms\n"
            };
            assert!(stderr.contains(help), "{stderr}");
            check(&[
                ("TAMIS__LISTEN__0__TLS__CERTIFICATE", &path),
                ("TAMIS__LISTEN__0__TLS__KEY", &key),
            ]);
            check(&[
                ("TAMIS__LISTEN__0__TLS__CERTIFICATE", &certificate),
                ("TAMIS__LISTEN__0__TLS__KEY", &path),
            ]);
            check(&[https, ("TAMIS__UPSTREAMS__CRM__TLS__CA", &path)]);
            check(&[
                https,
                ("TAMIS__UPSTREAMS__CRM__TLS__CA", &certificate),
                ("TAMIS__UPSTREAMS__CRM__TLS__CERTIFICATE", &path),
                ("TAMIS__UPSTREAMS__CRM__TLS__KEY", &key),
            ]);
            // The authorities of this machine are named by the environment, and read by a library.
            check(&[https, ("SSL_CERT_FILE", &path)]);
            // Of two `--config` clap would take neither.
            let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
                .args(["serve", "--config", &path])
                .args(arguments)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            until("it ends", || child.try_wait().unwrap().is_some());
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let said = format!("`{path}` cannot be read: it is a {kind}, not a file");
            assert!(output.status.code() == Some(2) && stderr.contains(&said), "{stderr}");
            let help = "\n  help: name the file in it that holds the settings\n";
            assert_eq!(stderr.contains(help), kind == "folder", "{stderr}");
        }
    }
}

/// What was a file when the process began may be a pipe later, of which nobody writes the other end.
#[test]
fn a_file_that_becomes_a_pipe_holds_nobody_up() {
    let own = Own::new();
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let by_tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let at = by_tls.to_string();
    for name in [&certificate, &key, &"policies/p.yaml".to_owned()] {
        let mut tamis = doors::setup(|setup| {
            setup.start_with(&[
                ("TAMIS__LISTEN__1__ADDRESS", &at),
                ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
                ("TAMIS__LISTEN__1__TLS__KEY", &key),
            ])
        });
        let path = tamis.folder.path().join(name);
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        pipe(&path);
        tamis.signal("HUP");
        until("it says so", || tamis.stderr().contains("a pipe, not a file"));
        // The file is there again, and is looked at as before.
        fs::rename(&aside, &path).unwrap();
        let before = tamis.metric("tamis_policy_reloads_total{result=\"success\"}");
        tamis.signal("HUP");
        until("it looks again", || {
            tamis.metric("tamis_policy_reloads_total{result=\"success\"}") > before
        });
        pipe(&path.with_extension("yaml.aside"));
        fs::rename(path.with_extension("yaml.aside"), &path).unwrap();
        tamis.signal("TERM");
        assert_eq!(tamis.ended(), 0);
        fs::remove_file(&path).unwrap();
        // The files of certificates are those of the next round, too.
        if name.ends_with("key") || name.ends_with("pem") {
            let fresh = Own::new();
            for file in ["own.pem", "own.key"] {
                fs::copy(fresh.path(file), own.path(file)).unwrap();
            }
        }
    }
}

/// A file system that never answers, as one of another machine may: nobody serves it.
struct Hung {
    server: Child,
    folder: TempDir,
}

impl Hung {
    /// None where this user may not mount, which is said.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = format!(
            "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none '{}' && \
             touch '{0}.mounted' && exec sleep 600",
            folder.path().display()
        );
        let mut server =
            Command::new("sh").args(["-c", &mount]).stderr(Stdio::null()).spawn().unwrap();
        let mounted = format!("{}.mounted", folder.path().display());
        let mut is_mounted = false;
        until("it is mounted, or cannot be", || {
            is_mounted = Path::new(&mounted).exists();
            is_mounted || server.try_wait().unwrap().is_some()
        });
        if !is_mounted {
            println!("skipped: a file system that hangs takes root and /dev/fuse");
            return None;
        }
        fs::remove_file(mounted).unwrap();
        Some(Self { server, folder })
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // Without who could answer, whoever waits gets an error.
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let path = self.folder.path();
        assert!(Command::new("umount").arg("-l").arg(path).status().unwrap().success());
    }
}

/// A watcher that hangs is seen, nobody waits for it, and it goes on when it can.
#[test]
fn a_file_system_that_hangs_is_seen_and_does_not_keep_the_process() {
    let Some(hung) = Hung::mount() else { return };
    let own = Own::new();
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let mut tamis = doors::setup(|setup| {
        setup.start_with(&[
            ("TAMIS__LISTEN__1__ADDRESS", &format!("127.0.0.1:{}", free_port())),
            ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
            ("TAMIS__LISTEN__1__TLS__KEY", &key),
        ])
    });
    until("both watchers are known", || {
        let metrics = tamis.metrics();
        ["policies", "certificates"].iter().all(|watcher| {
            metrics.contains(&format!("\ntamis_watcher_stalled{{watcher=\"{watcher}\"}} 0\n"))
        })
    });
    fs::rename(tamis.policies(), tamis.folder.path().join("aside")).unwrap();
    symlink(hung.folder.path(), tamis.policies()).unwrap();
    fs::rename(&certificate, own.path("aside.pem")).unwrap();
    symlink(hung.folder.path().join("own.pem"), &certificate).unwrap();
    until("both are seen to hang", || {
        let reply = tamis.probe("/readyz");
        let both = "the watcher of the policies has not finished a look for more than 30 s\n\
                    the watcher of the certificates has not finished a look for more than 30 s\n";
        reply.status == 503 && reply.text() == both
    });
    until("it is counted, and said", || {
        tamis.metric("tamis_watcher_stalled{") == 2
            && tamis.stderr().contains("error: the watcher of the policies has not finished a look")
    });
    assert_eq!(tamis.probe("/livez").status, 200);
    tamis.signal("TERM");
    let begun = Instant::now();
    assert_eq!(tamis.ended(), 0);
    // `timeouts.notice`, and a second for each watcher.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(tamis.stderr().contains("the watcher of the policies hangs, and is not waited for"));
}
