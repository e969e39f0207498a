//! The benches of the work tree, and the same ones with the library of a commit.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// What is compared, by the names of the bench targets.
pub(super) const BENCHES: [&str; 2] = ["engine", "proxy"];

/// The programs of [`BENCHES`], in that order.
pub(super) type Programs = [PathBuf; BENCHES.len()];

/// The whole hash of a commit that is named in any way that git knows.
pub(super) fn commit(name: &str) -> Result<String, String> {
    let commit = format!("{name}^{{commit}}");
    let found = run("git", &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]);
    found
        .map(|hash| hash.trim().to_owned())
        .ok()
        .ok_or_else(|| format!("`{name}` is no commit of this repository"))
}

/// Builds the benches of the work tree.
pub(super) fn new(profile: &str) -> Result<Programs, String> {
    println!("building the benches of the work tree");
    let programs = cargo(profile, Path::new("."), Path::new("target"), Stdio::inherit())?;
    programs.ok_or_else(|| "they do not compile".to_owned())
}

/// Builds the benches with the library and the `tamis` of a commit, in `target/against/COMMIT`.
///
/// Both sides have to measure in the same way, so that this is the commit with the benches of the work tree. Where they do not compile
/// with a library that is so old, the last ones in the history are taken that do.
pub(super) fn old(commit: &str, profile: &str) -> Result<Programs, String> {
    let folder = Path::new("target/against").join(commit);
    let source = folder.join("source");
    let [tried, log] = ["tried", "build.log"].map(|name| folder.join(name));
    let build = || {
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        cargo(profile, &source, &folder.join("target"), log.into())
    };
    // For these benches it is known which compile. Cargo sees that they are built already.
    let today = run("sh", &["-c", DIGEST])?;
    if fs::read_to_string(&tried).is_ok_and(|known| known == today)
        && let Some(programs) = build()?
    {
        return Ok(programs);
    }
    println!("building the benches with the library of {commit} (see {})", log.display());
    let source_text = source.to_string_lossy();
    run("sh", &["-c", CHECK_OUT, "sh", &source_text, commit])?;
    let history = run("git", &["rev-list", "HEAD", "--", "benches"])?;
    let is_usable = |benches: &&str| {
        run("git", &["cat-file", "-e", &format!("{benches}:benches/turns/mod.rs")]).is_ok()
    };
    let mut history = history.lines().filter(is_usable);
    loop {
        if let Some(programs) = build()? {
            fs::write(&tried, &today).map_err(|error| format!("{}: {error}", tried.display()))?;
            return Ok(programs);
        }
        let Some(benches) = history.next() else {
            let log = log.display();
            return Err(format!("no benches compile with the library of {commit}: see {log}"));
        };
        println!("they do not compile with that library: trying those of {benches}");
        run("sh", &["-c", TAKE_BENCHES, "sh", &source_text, benches])?;
    }
}

/// Says which benches the work tree has.
const DIGEST: &str =
    "find benches/engine benches/proxy benches/turns -type f | sort | xargs sha256sum | sha256sum";
/// Lays out the commit, unless it is there, with the benches of the work tree. All files are as old as the moment: cargo goes by that.
const CHECK_OUT: &str = r#"
    set -e
    if [ ! -e "$1" ]; then
        rm -rf "$1.part"
        mkdir -p "$1.part"
        git archive "$2" | tar --extract --touch --directory "$1.part"
        mv "$1.part" "$1"
    fi
    rm -rf "$1/benches"
    cp -R benches "$1/benches"
"#;
/// Puts the benches of another commit in the place of those.
const TAKE_BENCHES: &str = r#"
    set -e
    rm -rf "$1/benches"
    git archive "$2" benches | tar --extract --touch --directory "$1"
"#;

/// Builds the benches of a folder; gives nothing if they do not compile.
fn cargo(
    profile: &str,
    source: &Path,
    target: &Path,
    log: Stdio,
) -> Result<Option<Programs>, String> {
    let target = std::path::absolute(target).map_err(|error| error.to_string())?;
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo says to this program about its package; build scripts that read it would run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let built = cargo
        .args(["bench", "--locked", "--no-run", "--message-format=json-render-diagnostics"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .args(BENCHES.map(|bench| format!("--bench={bench}")))
        .current_dir(source)
        .stderr(log)
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !built.status.success() {
        return Ok(None);
    }
    let messages: Vec<Value> = String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let program = |bench| {
        let is_it = |message: &&Value| {
            message["target"]["kind"][0] == "bench" && message["target"]["name"] == bench
        };
        let path = messages.iter().find(is_it).and_then(|message| message["executable"].as_str());
        path.map(PathBuf::from).ok_or_else(|| format!("cargo built no bench `{bench}`"))
    };
    let [engine, proxy] = BENCHES.map(program);
    Ok(Some([engine?, proxy?]))
}

/// Runs a program to its end, and gives what it prints.
fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(words).output();
    let done = done.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&done.stderr);
        Err(format!("`{program}` failed ({}) {}", done.status, said.trim()))
    }
}
