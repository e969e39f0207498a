//! What is waited for here is said by an [`Observer`]; how long it takes decides nothing, except that
//! after a minute there is nothing to wait for any more.

use std::{
    fs,
    path::Path,
    sync::{Condvar, Mutex},
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::transform::{NoKeys, RootKey};

const DEADLINE: Duration = Duration::from_mins(1);

/// Hears how each reload ended: the titles of the purposes, or none if it was refused.
#[derive(Default)]
struct Heard {
    ends: Mutex<Vec<Option<String>>>,
    more: Condvar,
}

impl Observer for Heard {
    fn reloaded(&self, result: Result<&Arc<PolicySet>, ()>, _: SystemTime) {
        self.ends.lock().unwrap().push(result.ok().map(|set| title(set)));
        self.more.notify_all();
    }
}

impl Heard {
    /// Waits for the end of this number, counted from 0.
    fn end(&self, number: usize) -> Option<String> {
        let ends = self.ends.lock().unwrap();
        let (ends, timeout) =
            self.more.wait_timeout_while(ends, DEADLINE, |ends| ends.len() <= number).unwrap();
        assert!(!timeout.timed_out(), "heard only {ends:?}");
        ends[number].clone()
    }

    /// Waits for these policies, at this end or a later one.
    fn policies(&self, mut number: usize, title: &str) -> usize {
        while self.end(number).as_deref() != Some(title) {
            number += 1;
        }
        number
    }

    fn count(&self) -> usize {
        self.ends.lock().unwrap().len()
    }
}

fn title(set: &PolicySet) -> String {
    set.purposes().iter().map(|one| one.title.as_str()).collect::<Vec<_>>().join(" + ")
}

/// Policies whose purpose has this title.
fn policies(title: &str) -> String {
    format!(
        "tamis: 1
categories: {{ contact.email: E-mail }}
purposes: {{ support: {{ title: {title}, legal_basis: contract }} }}
callers: {{ desk: {{ identify: {{ api_key: desk }}, purposes: [support] }} }}
apis: {{ crm: {{ routes: {{ GET /a: {{ body: {{ $.email: contact.email }} }} }} }} }}
rules: {{ support: {{ contact: keep }} }}
"
    )
}

fn watched(folder: &Path) -> Watched {
    Watched {
        folder: folder.to_owned(),
        keys: Box::new(NoKeys),
        fits: Box::new(|set| {
            let is_fine = title(set) != "unfit";
            if is_fine { Vec::new() } else { vec!["api `crm` has no upstream".to_owned()] }
        }),
    }
}

/// A folder that is watched, with one policy in it that has been put in force.
struct Fixture {
    dir: TempDir,
    heard: Arc<Heard>,
    policies: Policies,
    reloader: Reloader,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|folder| fs::write(folder.join("a.yaml"), policies("one")).unwrap())
    }

    fn with(fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("policies");
        fs::create_dir(&folder).unwrap();
        fill(&folder);
        let heard = Arc::new(Heard::default());
        let start = load(watched(&folder)).unwrap();
        let (policies, reloader) = start.watch(Arc::clone(&heard) as Arc<dyn Observer>).unwrap();
        assert_eq!(heard.end(0).unwrap(), title(&policies.current().unwrap()));
        Self { dir, heard, policies, reloader }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("policies")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn in_force(&self) -> String {
        title(&self.policies.current().unwrap())
    }

    /// The end of this number is that these are in force, or that others are refused.
    fn check(&self, number: usize, expected: Result<&str, &str>) {
        let end = self.heard.end(number);
        assert_eq!(end.as_deref(), expected.ok());
        assert_eq!(self.in_force(), expected.unwrap_or_else(|stay| stay));
    }
}

#[test]
fn a_file_that_is_edited_in_place_is_seen() {
    let fixture = Fixture::new();
    let before = fixture.policies.current().unwrap();
    fixture.write("a.yaml", &policies("two"));
    fixture.check(1, Ok("two"));
    assert_eq!(title(&before), "one", "who began with them ends with them");
}

/// Tests and their files have no say in what is in force, whatever is wrong with them.
#[test]
fn a_file_of_a_test_changes_nothing() {
    let fixture = Fixture::new();
    fixture.write("a.test.yaml", "fixtures: { a: { file: none.json } }\n");
    fixture.write("a.json", "{");
    fs::create_dir(fixture.folder().join("fixtures")).unwrap();
    fixture.write("fixtures/b.json", "[]");
    fixture.write("fixtures/b.json", "[1]");
    fixture.write("a.yaml", &policies("two"));
    fixture.check(1, Ok("two"));
    fs::remove_file(fixture.folder().join("a.json")).unwrap();
    fixture.reloader.reload_now();
    fixture.check(2, Ok("two"));
    assert_eq!(
        fixture.heard.count(),
        3,
        "nothing was judged but the policies, and what was asked for"
    );
}

#[test]
fn a_file_that_is_put_over_another_is_seen() {
    let fixture = Fixture::new();
    fixture.write(".a.yaml.new", &policies("two"));
    fs::rename(fixture.folder().join(".a.yaml.new"), fixture.folder().join("a.yaml")).unwrap();
    fixture.check(1, Ok("two"));
}

#[cfg(unix)]
#[test]
fn a_config_map_is_exchanged_as_a_whole() {
    use std::os::unix::fs::symlink;

    let version = |folder: &Path, name: &str, title: &str| {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("a.yaml"), policies(title)).unwrap();
    };
    let fixture = Fixture::with(|folder| {
        version(folder, "..2026_a", "one");
        symlink("..2026_a", folder.join("..data")).unwrap();
        symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
    });
    let folder = fixture.folder();
    for (number, (name, title)) in (1..).zip([("..2026_b", "two"), ("..2026_c", "three")]) {
        version(&folder, name, title);
        symlink(name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        fixture.check(number, Ok(title));
    }
}

#[test]
fn files_that_come_and_go_are_seen() {
    let fixture = Fixture::new();
    fixture.write("b.yaml", "tamis: 1\ncategories: { health: Health }\n");
    fixture.check(1, Ok("one"));
    let with_both = fixture.policies.current().unwrap().digest().clone();
    fs::remove_file(fixture.folder().join("b.yaml")).unwrap();
    fixture.check(2, Ok("one"));
    assert_ne!(*fixture.policies.current().unwrap().digest(), with_both);
}

#[test]
fn a_folder_that_is_emptied_keeps_what_is_in_force() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.folder().join("a.yaml")).unwrap();
    fixture.check(1, Err("one"));
    fixture.write("a.yaml", &policies("two"));
    fixture.check(2, Ok("two"));
}

#[test]
fn a_folder_that_is_replaced_is_seen() {
    let fixture = Fixture::new();
    let mut end = 0;
    for title in ["two", "three"] {
        let new = fixture.dir.path().join("new");
        fs::create_dir(&new).unwrap();
        fs::write(new.join("a.yaml"), policies(title)).unwrap();
        fs::rename(fixture.folder(), fixture.dir.path().join(format!("before {title}"))).unwrap();
        fs::rename(new, fixture.folder()).unwrap();
        // Between the two there was no folder for a moment: a look may have been refused.
        end = fixture.heard.policies(end + 1, title);
        // The watch is on the new one.
        let edited = format!("{title} edited");
        fixture.write("a.yaml", &policies(&edited));
        end = fixture.heard.policies(end + 1, &edited);
    }
}

#[test]
fn what_cannot_be_read_keeps_what_is_in_force() {
    let fixture = Fixture::new();
    fs::write(fixture.folder().join("a.yaml"), b"tamis: \xff").unwrap();
    fixture.check(1, Err("one"));
    fs::create_dir(fixture.folder().join("b.yaml")).unwrap();
    fs::write(fixture.folder().join("a.yaml"), policies("one")).unwrap();
    // As it was: nothing is loaded, and all is well again.
    fixture.check(2, Ok("one"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", fixture.folder().join("c.yaml")).unwrap();
        fixture.check(3, Err("one"));
    }
}

#[test]
fn what_is_wrong_is_said_once() {
    let fixture = Fixture::new();
    fixture.write("a.yaml", "tamis: 1\npurposes: [\n");
    fixture.check(1, Err("one"));
    // The same bytes again, and a test beside them: no news.
    fixture.write("a.yaml", "tamis: 1\npurposes: [\n");
    fixture.write("a.test.yaml", "tamis: 1\n");
    fixture.write("a.yaml", &policies("unfit"));
    fixture.check(2, Err("one"));
    fixture.write("a.yaml", &policies("two"));
    fixture.check(3, Ok("two"));
    assert_eq!(fixture.heard.count(), 4);
}

#[test]
fn who_asks_gets_an_answer_though_nothing_is_new() {
    let fixture = Fixture::new();
    let before = fixture.policies.current().unwrap();
    fixture.reloader.reload_now();
    fixture.check(1, Ok("one"));
    assert!(Arc::ptr_eq(&before, &fixture.policies.current().unwrap()));
    fixture.write("a.yaml", "tamis: 2\n");
    fixture.check(2, Err("one"));
    fixture.reloader.reload_now();
    fixture.check(3, Err("one"));
    fixture.write("a.yaml", &policies("one"));
    fixture.check(4, Ok("one"));
    assert!(Arc::ptr_eq(&before, &fixture.policies.current().unwrap()));
}

/// Two files that are written one soon after the other are never taken apart.
#[test]
fn of_a_pair_never_one_half_is_loaded() {
    const ROUNDS: usize = 400;
    let whole = |round: usize| format!("round {round} + round {round}");
    let write = |folder: &Path, round: usize| {
        let other = "tamis: 1\npurposes: { other: { title: TITLE, legal_basis: contract } }\n";
        let title = format!("round {round}");
        fs::write(folder.join("a.yaml"), policies(&title)).unwrap();
        fs::write(folder.join("b.yaml"), other.replace("TITLE", &title)).unwrap();
    };
    let fixture = Fixture::with(|folder| write(folder, 0));
    let folder = fixture.folder();
    let mut paused = Vec::new();
    for round in 1..=ROUNDS {
        #[expect(clippy::disallowed_methods, reason = "a pause of this thread excuses the round")]
        let began = Instant::now();
        write(&folder, round);
        if began.elapsed() > Duration::from_millis(50) {
            paused.push(format!("round {round}"));
        }
        // Now and then long enough for a look, and mostly not.
        std::thread::sleep(Duration::from_millis(if round % 20 == 0 { 130 } else { 1 }));
    }
    let ends = fixture.heard.policies(1, &whole(ROUNDS)) + 1;
    assert!(ends > 2, "of {ROUNDS} pairs, {ends} were loaded");
    for end in 0..ends {
        // What was half written when this thread was paused may be refused or, if it loads, loaded.
        let titles = fixture.heard.end(end);
        let is_whole = (0..=ROUNDS).any(|round| titles.as_deref() == Some(&*whole(round)));
        let is_paused = titles
            .iter()
            .flat_map(|titles| titles.split(" + "))
            .any(|title| paused.iter().any(|one| one == title));
        let is_excused = is_paused || (titles.is_none() && !paused.is_empty());
        assert!(is_whole || is_excused, "{titles:?}: of two pairs");
    }
}

#[test]
fn the_thread_ends_when_nobody_watches_any_more() {
    let Fixture { dir, heard, policies, reloader } = Fixture::new();
    // The thread holds one of these, and has let go when `drop` returns.
    assert_eq!(Arc::strong_count(&heard), 2);
    drop(reloader);
    assert_eq!(Arc::strong_count(&heard), 1);
    assert_eq!(title(&policies.current().unwrap()), "one");
    drop(dir);
}

#[test]
fn what_cannot_be_put_in_force_says_why() {
    let check = |text: &str, keys: Box<dyn Keys>, expected: Result<(), &str>| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), text).unwrap();
        let folder = Watched { keys, ..watched(dir.path()) };
        let shown = load(folder)
            .map(|_| ())
            .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"));
        assert_eq!(shown, expected.map_err(str::to_owned));
    };
    check(&policies("one"), Box::new(NoKeys), Ok(()));
    check(
        "tamis: 2\n",
        Box::new(NoKeys),
        Err("error[unknown-version]: `2` is not a version of the language that can be read here
 --> DIR/a.yaml:1:8
  |
1 | tamis: 2
  |        ^
  |
  = help: write `tamis: 1`"),
    );
    check(&policies("unfit"), Box::new(NoKeys), Err("error: api `crm` has no upstream"));
    let pseudonym = policies("one").replace("contact: keep", "contact: pseudonym");
    let rule = "email }, validators: { because: it is large } }";
    let validators = policies("one").replace("email } }", rule);
    let both = pseudonym.replace("email } }", rule);
    for (needy, what) in [
        (pseudonym, "make pseudonyms"),
        (validators, "give out validators"),
        (both, "make pseudonyms and give out validators"),
    ] {
        let error = format!(
            "error: the policies {what}: set `keys.root.file` in the settings to the file of the key"
        );
        check(&needy, Box::new(NoKeys), Err(&error));
        check(&needy, Box::new(RootKey::from_hex(&"5a".repeat(32)).unwrap()), Ok(()));
    }
    assert_eq!(
        load(watched(Path::new("/nowhere/at/all"))).unwrap_err().to_string(),
        "error: `/nowhere/at/all` cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn without_policies_there_are_none() {
    assert!(Policies::none().current().is_none());
    let source = Source { name: "a.yaml".to_owned(), text: policies("one") };
    let set = policy::load(&[source], &NoKeys).set.unwrap();
    let fixed = Policies::of(set);
    assert_eq!(title(&fixed.clone().current().unwrap()), "one");
}
