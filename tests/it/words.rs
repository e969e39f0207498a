//! What `check` says about wrong policies, word for word: one policy a file under
//! `tests/policies/wrong`, and beside it the text that is printed.
//!
//! A line `--- # file: NAME` begins another file of the same case. `TAMIS_BLESS=1` writes the texts
//! anew; read them before you commit them, as somebody who has never seen the code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tamis::{
    path::Path as Query,
    policy::{Rank, Source, load, render, view},
    transform::NoKeys,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/wrong")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

/// The sources of a case: the file itself, cut where another one begins.
fn sources(path: &Path) -> Vec<Source> {
    const MARK: &str = "--- # file: ";
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    if !text.contains(MARK) {
        return vec![Source { name, text }];
    }
    let (before, files) = text.split_once(MARK).unwrap();
    assert!(before.is_empty(), "{name}: nothing stands before the first file");
    files
        .split(MARK)
        .map(|file| {
            let (name, text) = file.split_once('\n').unwrap();
            Source { name: name.trim().to_owned(), text: text.to_owned() }
        })
        .collect()
}

fn printed(sources: &[Source]) -> String {
    let findings = load(sources, &NoKeys).findings;
    let printed: Vec<String> = findings.iter().map(|finding| render(finding, sources)).collect();
    let mut printed = printed.join("\n\n");
    printed.push('\n');
    printed
}

#[test]
fn wrong_policies_are_told_what_is_wrong() {
    let bless = std::env::var_os("TAMIS_BLESS").is_some();
    let mut differ = Vec::new();
    for case in cases() {
        let printed = printed(&sources(&case));
        let golden = case.with_extension("txt");
        if bless {
            fs::write(&golden, &printed).unwrap();
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(printed.as_str()) {
            differ.push(format!("{}:\n{printed}", golden.display()));
        }
    }
    assert!(
        differ.is_empty(),
        "not as written (TAMIS_BLESS=1 writes anew):\n\n{}",
        differ.join("\n")
    );
}

/// What is between backticks behind `write` is right: a path can be read, and a line that is put where it
/// belongs makes its finding go.
#[test]
fn what_is_proposed_is_right() {
    let mut paths = 0;
    for case in cases() {
        let sources = sources(&case);
        for finding in load(&sources, &NoKeys).findings {
            let help = finding.help.unwrap_or_default();
            if finding.code != "path" {
                continue;
            }
            for text in help.split('`').skip(1).step_by(2) {
                let path = match text.strip_prefix('"') {
                    Some(_) => serde_json::from_str(text).unwrap(),
                    None => text.to_owned(),
                };
                if path.starts_with('$') && path.len() > 1 {
                    assert!(Query::parse(&path).is_ok(), "{path}: {help}");
                    paths += 1;
                }
            }
        }
    }
    assert!(paths >= 20, "{paths}");
}

#[test]
fn the_cure_for_what_a_filter_tells_works() {
    for (name, cures) in [("filter-tells-many", 4), ("filter-tells-of-the-document", 1)] {
        let mut source = sources(&folder().join(format!("{name}.yaml"))).remove(0);
        let mut applied = 0;
        while let Some(finding) = {
            let findings = load(std::slice::from_ref(&source), &NoKeys).findings;
            findings.into_iter().find(|one| one.code == "filter-tells")
        } {
            let help = finding.help.unwrap();
            let cure = help.split("write `").nth(1).and_then(|rest| rest.split('`').next());
            let cure = cure.unwrap_or_else(|| panic!("{name}: {help}"));
            let path = cure.rsplit_once(": public").map_or(cure, |(path, _)| path);
            let path = path.rsplit_once(": { category").map_or(path, |(path, _)| path);
            let at = finding.at.span.start;
            let start = source.text[..at].rfind('\n').unwrap() + 1;
            let route = source.text[start..].split("\n      GET").next().unwrap().to_owned();
            let indent = route.len() - route.trim_start().len();
            let line = format!("{}{cure}", &route[..indent]);
            let mut lines: Vec<&str> = route.lines().collect();
            match lines.iter_mut().find(|line| line.trim().starts_with(&format!("{path}: "))) {
                Some(there) => *there = &line,
                None => lines.insert(1, &line),
            }
            let cured = lines.join("\n");
            source.text = source.text.replacen(route.trim_end(), &cured, 1);
            applied += 1;
            assert!(applied <= cures, "{}", source.text);
        }
        assert_eq!(applied, cures);
        assert!(load(std::slice::from_ref(&source), &NoKeys).set.is_some(), "{}", source.text);
    }
}

#[test]
fn every_wrong_policy_has_a_finding_that_check_stops_at() {
    let harmless: Vec<String> = cases()
        .iter()
        .filter(|case| {
            let findings = load(&sources(case), &NoKeys).findings;
            findings.is_empty()
        })
        .map(|case| case.display().to_string())
        .collect();
    assert!(harmless.is_empty(), "nothing is found in {harmless:?}");
}

#[test]
fn every_golden_text_has_its_policy() {
    let policies: BTreeSet<PathBuf> = cases().into_iter().collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        assert!(policies.contains(&path.with_extension("yaml")), "{} is left over", path.display());
    }
}

#[test]
fn words_are_those_of_the_house() {
    for case in cases() {
        let sources = sources(&case);
        for finding in load(&sources, &NoKeys).findings {
            let message = &finding.message;
            let first = message.chars().next().unwrap();
            assert!(!first.is_uppercase() || message.starts_with("YAML"), "{message}");
            for text in finding.help.iter().chain([message]) {
                assert!(!text.ends_with('.') || text.ends_with(".."), "a full stop ends {text:?}");
                assert!(!text.contains('\n'), "a line break stands in {text:?}");
            }
        }
    }
}

#[test]
fn findings_have_a_form_for_machines() {
    let text = "tamis: 1\ncatgories: {}\n".to_owned();
    let sources = [Source { name: "crm.yaml".to_owned(), text }];
    let findings = load(&sources, &NoKeys).findings;
    let views: Vec<_> = findings.iter().map(|finding| view(finding, &sources)).collect();
    assert_eq!(
        serde_json::to_value(&views).unwrap(),
        serde_json::json!([{
            "rank": "error",
            "code": "unknown-key",
            "message": "`catgories` is not a key of a policy file",
            "file": "crm.yaml",
            "line": 2,
            "column": 1,
            "end": { "line": 2, "column": 10 },
            "help": "did you mean `categories`?",
        }])
    );
}

#[test]
fn the_examples_have_nothing_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut sources: Vec<Source> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| Source {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let loaded = load(&sources, &NoKeys);
    let wrong: Vec<String> = loaded
        .findings
        .iter()
        .filter(|finding| finding.rank != Rank::Note)
        .map(|finding| render(finding, &sources))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(loaded.set.is_some());
    assert!(loaded.suites.iter().map(|suite| suite.cases.len()).sum::<usize>() >= 15);
}

/// The paths of `tests/corpus/names/FILE`, and of which of them, called `public`, `check` says that they look
/// personal.
fn looking_personal(file: &str) -> (Vec<String>, BTreeSet<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/names");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.is_sorted(), "{file} is not sorted");
    let paths: Vec<String> = lines
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .map(|path| if path.starts_with('[') { format!("${path}") } else { format!("$.{path}") })
        .collect::<BTreeSet<String>>()
        .into_iter()
        .collect();
    let body: Vec<String> =
        paths.iter().map(|path| format!("          \"{path}\": public\n")).collect();
    let text = format!(
        "tamis: 1\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\napis:\n  api:\n    routes:\n      GET /x:\n        body:\n{}rules: {{ p: {{}} }}\n",
        body.concat()
    );
    let sources = [Source { name: "names.yaml".to_owned(), text: text.clone() }];
    let findings = load(&sources, &NoKeys).findings;
    let wrong = findings.iter().filter(|one| one.rank == Rank::Error);
    let wrong: Vec<String> = wrong.map(|one| render(one, &sources)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = findings.iter().filter(|one| one.code == "public-looks-personal");
    let found = found.map(|one| text[one.at.span.clone()].trim_matches('"').to_owned()).collect();
    (paths, found)
}

#[test]
fn names_of_personal_data_are_found() {
    let (paths, found) = looking_personal("personal.txt");
    let missed: Vec<&String> = paths.iter().filter(|path| !found.contains(*path)).collect();
    println!("{} of {} names of personal data are found", paths.len() - missed.len(), paths.len());
    assert!(missed.len() * 100 <= paths.len() * 15, "missed: {missed:#?}");
}

#[test]
fn names_of_other_data_are_not_said_to_be_personal() {
    let (paths, found) = looking_personal("harmless.txt");
    println!("{} of {} harmless names are said to be personal", found.len(), paths.len());
    assert!(found.len() * 100 <= paths.len() * 3, "false: {found:#?}");
}
