//! No files need each other: who opened one of them would have to read all.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::sources;

/// A path of modules, such as `policy::check::routes`, and the code of its file.
type Modules = BTreeMap<Vec<String>, String>;

#[test]
fn no_files_need_each_other() {
    let modules = sources().into_iter().map(|source| (source.module, source.code)).collect();
    let uses = uses_of(&modules);
    let mut circles = Vec::new();
    for (module, used) in &uses {
        let around = used.iter().filter(|used| reach(&uses, used).contains(module));
        let around: Vec<String> = around.map(|used| used.join("::")).collect();
        if !around.is_empty() {
            circles.push(format!("{} <-> {}", module.join("::"), around.join(", ")));
        }
    }
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

/// What the test rests on: who uses whom is found however it is written, and through the doors of rooms.
#[test]
fn uses_are_found_however_they_are_written() {
    let modules = [
        ("a", "pub(crate) use b::{B, c::C};\nmod b;\nuse d::D;"),
        ("a::b", "use super::d::{self, D};\nfn f() -> crate::e::E {}"),
        ("a::b::c", "use crate::a::b::B;"),
        ("a::d", "pub(in crate::a) struct D;\nfn f() { d::g() }"),
        ("e", "use crate::{a::{B, C}, f};"),
        ("f", "fn g() { crate::a::b::h() }"),
    ];
    let modules = modules.map(|(path, code)| (split(path), code.to_owned())).into();
    let found: Vec<String> = uses_of(&modules)
        .iter()
        .flat_map(|(module, used)| used.iter().map(|used| (module.clone(), used.clone())))
        .map(|(module, used)| format!("{} -> {}", module.join("::"), used.join("::")))
        .collect();
    assert_eq!(
        found,
        [
            "a -> a::d",
            "a::b -> a::d",
            "a::b -> e",
            "a::b::c -> a::b",
            "e -> a::b",
            "e -> a::b::c",
            "e -> f",
            "f -> a::b",
        ]
    );
}

/// Which modules each one uses. What a door hands on is used from where it stands, and to hand it on is no use.
fn uses_of(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let handed_on: BTreeMap<&Vec<String>, BTreeMap<String, Vec<String>>> = modules
        .iter()
        .map(|(module, code)| {
            let names = statements(code, "pub").flat_map(paths);
            let full = names.map(|path| (path[path.len() - 1].clone(), absolute(module, &path)));
            (module, full.collect())
        })
        .collect();
    let resolve = |mut path: Vec<String>| loop {
        let (door, length) =
            (1..=path.len()).rev().find_map(|n| Some((modules.get_key_value(&path[..n])?.0, n)))?;
        let name = path.get(length).and_then(|name| handed_on[door].get(name));
        match name.filter(|full| **full != path) {
            Some(full) => path = full.clone(),
            None => return Some(door.clone()),
        }
    };
    let uses = modules.iter().map(|(module, code)| {
        let mut code = code.clone();
        for handed_on in statements(&code.clone(), "pub") {
            code = code.replace(handed_on, "");
        }
        let children = modules
            .keys()
            .filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
        let children: Vec<&str> = children.map(|child| child[module.len()].as_str()).collect();
        let mut used = BTreeSet::new();
        for first in ["crate", "super"].iter().chain(&children) {
            for (at, _) in code.match_indices(&format!("{first}::")) {
                let before = &code[..at];
                let is_inner = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                let is_place = before.ends_with("pub(in ");
                if !before.ends_with(is_inner) && !is_place {
                    used.extend(paths(&code[at..]).into_iter().map(|path| absolute(module, &path)));
                }
            }
        }
        let used = used.into_iter().filter_map(resolve);
        (module.clone(), used.filter(|used| used != module).collect())
    });
    uses.collect()
}

/// The trees of all `use` that begin with this word.
fn statements<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = &'c str> {
    code.split(';').filter_map(move |statement| {
        let (before, tree) = statement.rsplit_once("use ")?;
        before.rsplit('\n').next()?.trim_start().starts_with(word).then_some(tree)
    })
}

/// The paths of a tree of `use`, or of one that stands in code.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim_start();
    if let Some(group) = tree.strip_prefix('{') {
        let (mut depth, mut from, mut found) = (1, 0, Vec::new());
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == ',' && depth == 1) || depth == 0 {
                found.extend(paths(&group[from..at]));
                from = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        return found;
    }
    let name: String = tree.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return Vec::new();
    }
    let below = tree[name.len()..].strip_prefix("::").map(paths).unwrap_or_default();
    if below.is_empty() {
        return vec![vec![name]];
    }
    below.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
}

/// The same path from the root of the crate on.
fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let mut above = module.to_vec();
    let mut rest = path;
    match path[0].as_str() {
        "crate" => return path[1..].to_vec(),
        "super" => {
            while let [first, below @ ..] = rest
                && first == "super"
            {
                above.pop();
                rest = below;
            }
        }
        _ => {}
    }
    above.extend(rest.iter().filter(|name| *name != "self").cloned());
    above
}

/// All that a module uses, and what that uses.
fn reach<'u>(
    uses: &'u BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    module: &Vec<String>,
) -> BTreeSet<&'u Vec<String>> {
    let mut found: BTreeSet<&Vec<String>> = BTreeSet::new();
    let mut next: Vec<&Vec<String>> = uses[module].iter().collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(&uses[module]);
        }
    }
    found
}

fn split(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}
