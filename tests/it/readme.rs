//! The README stays true: what it shows is what comes out.

use std::{env, fs, path::Path, process::Command};

use tamis::{
    policy::{Source, load, render},
    transform::NoKeys,
};

const README: &str = include_str!("../../README.md");

/// The fenced blocks of this kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("\n```{kind}\n");
    README.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Runs a line as a shell would, in the repository, with the binary under test as `tamis`.
fn run(line: &str) -> (bool, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_tamis")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_command_runs() {
    let commands: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let commands = commands.iter().filter(|line| line.starts_with("tamis "));
    assert!(commands.clone().count() >= 4);
    for command in commands {
        let (success, output) = run(command);
        assert!(success && !output.is_empty(), "{command}\n{output}");
    }
}

#[test]
fn each_purpose_gets_what_is_shown() {
    let documents = blocks("json");
    let [upstream, support, statistics] = documents.as_slice() else { panic!("three documents") };
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    fs::write(&body, format!("{{\"items\":[{upstream}]}}")).unwrap();
    let key = folder.path().join("key");
    fs::write(&key, format!("{:064}", 42)).unwrap();
    for (caller, expected) in [("support-desk", support), ("data-team", statistics)] {
        let (success, out) = run(&format!(
            "tamis apply --caller {caller} --request 'GET /customers' --today 2026-11-21 --key-file {} {}",
            key.display(),
            body.display()
        ));
        assert!(success);
        assert_eq!(out, format!("{{\"items\":[{expected}]}}"), "{caller}");
    }
}

#[test]
fn the_policy_loads_and_the_finding_is_the_one_shown() {
    let text = blocks("yaml")[0].to_owned();
    let check = |text: String| {
        let sources = [Source { name: "policies/crm.yaml".to_owned(), text }];
        let loaded = load(&sources, &NoKeys);
        let findings: Vec<String> =
            loaded.findings.iter().map(|finding| render(finding, &sources)).collect();
        (loaded.set.is_some(), findings)
    };
    assert!(check(text.clone()).0);
    let (loads, findings) = check(text.replace("{ contact: keep", "{ contcat: keep"));
    assert!(!loads);
    let shown = blocks("text")[0];
    assert!(findings.iter().any(|finding| finding.trim_end() == shown), "{findings:#?}");
}
