//! The rooms and what each may use: the table is the design, the test keeps the code to it.

use std::{collections::BTreeSet, fs, path::Path};

/// A room, the rooms that it may use, and the crates that it may use besides those in `EVERYWHERE`.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room {
        name: "path",
        rooms: &[],
        crates: &["foldhash", "hashbrown", "jsonpath_rust", "regex", "serde_json", "smallvec"],
    },
    Room {
        name: "json",
        rooms: &["path"],
        crates: &["foldhash", "regex", "serde_json", "simdutf8"],
    },
    Room {
        name: "transform",
        rooms: &[],
        crates: &[
            "aes_siv",
            "data_encoding",
            "hkdf",
            "hmac",
            "jiff",
            "serde_json",
            "sha2",
            "zeroize",
        ],
    },
    Room { name: "access", rooms: &[], crates: &[] },
    Room { name: "files", rooms: &[], crates: &["rustix"] },
    Room { name: "coding", rooms: &[], crates: &["brotli", "flate2", "zstd"] },
    Room {
        name: "source",
        rooms: &["path"],
        crates: &["annotate_snippets", "foldhash", "granit_parser", "hashbrown", "serde", "strsim"],
    },
    Room {
        name: "policy",
        rooms: &["access", "path", "source", "transform"],
        crates: &[
            "data_encoding",
            "deunicode",
            "foldhash",
            "hashbrown",
            "heck",
            "jiff",
            "matchit",
            "memchr",
            "regex",
            "serde_json",
            "sha2",
            "unicode_normalization",
        ],
    },
    Room {
        name: "enforce",
        rooms: &["access", "json", "path", "policy", "transform"],
        crates: &[],
    },
    Room { name: "frame", rooms: &["enforce", "json", "policy", "transform"], crates: &["memchr"] },
    Room {
        name: "config",
        rooms: &["files", "source"],
        crates: &["data_encoding", "jiff", "sha2", "strsim", "subtle"],
    },
    Room { name: "metrics", rooms: &["access"], crates: &["foldhash", "hashbrown", "prometheus"] },
    Room {
        name: "reload",
        rooms: &["files", "policy", "transform"],
        crates: &["arc_swap", "log", "notify"],
    },
    Room {
        name: "message",
        rooms: &["access", "coding", "enforce", "frame", "json", "policy", "transform"],
        crates: &[
            "bytes",
            "encoding_rs",
            "http",
            "isolang",
            "httpdate",
            "jiff",
            "memchr",
            "mime",
            "serde_json",
        ],
    },
    Room {
        name: "proxy",
        rooms: &[
            "access",
            "coding",
            "config",
            "enforce",
            "files",
            "json",
            "message",
            "metrics",
            "policy",
            "reload",
            "transform",
        ],
        crates: &[
            "arc_swap",
            "async_trait",
            "bytes",
            "governor",
            "h2",
            "http",
            "jiff",
            "log",
            "memchr",
            "pingora",
            "rustix",
            "rustls_pki_types",
            "serde",
            "serde_json",
            "socket2",
            "tokio",
            "tokio_util",
            "x509_parser",
        ],
    },
    Room {
        name: "cli",
        rooms: &[
            "access",
            "config",
            "enforce",
            "files",
            "frame",
            "json",
            "message",
            "metrics",
            "path",
            "policy",
            "proxy",
            "reload",
            "source",
            "transform",
        ],
        crates: &[
            "clap",
            "data_encoding",
            "env_logger",
            "http",
            "jiff",
            "log",
            "memchr",
            "regex",
            "rustix",
            "serde",
            "serde_json",
            "tempfile",
            "zeroize",
        ],
    },
];

/// Crates that any room may use.
const EVERYWHERE: &[&str] = &["std", "thiserror"];

/// A room's source, without tests and comments.
pub(crate) struct Source {
    room: String,
    /// Its modules from the root of the crate on.
    pub(crate) module: Vec<String>,
    file: String,
    pub(crate) code: String,
    /// Whether `super` is the crate itself.
    below_the_crate: bool,
}

#[test]
fn every_room_uses_only_what_it_may() {
    let crates = dependencies();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for source in sources() {
        let Source { room, file, code, .. } = &source;
        let Some(room) = ROOMS.iter().find(|known| known.name == room) else {
            wrong.push(format!("{file}: room `{room}` is not in the table"));
            continue;
        };
        seen.insert(room.name);
        for (line, used) in mentions(code, "crate") {
            if used != room.name && !room.rooms.contains(&used.as_str()) {
                wrong.push(format!("{file}:{line}: `{}` may not use `{used}`", room.name));
            }
        }
        for name in &crates {
            let allowed = room.crates.contains(&name.as_str())
                || EVERYWHERE.contains(&name.as_str())
                // A module of the room may have the name of a crate.
                || code.contains(&format!("mod {name};"));
            if let Some((line, _)) = mentions(code, name).first()
                && !allowed
            {
                wrong.push(format!("{file}:{line}: `{}` may not use crate `{name}`", room.name));
            }
        }
        let ways_around: &[&str] =
            if source.below_the_crate { &["super::"] } else { &["super::super::"] };
        for way in ways_around {
            if code.contains(way) {
                wrong.push(format!("{file}: `{way}` leads out of the room: write `crate::`"));
            }
        }
    }
    for room in ROOMS {
        if !seen.contains(room.name) {
            wrong.push(format!("room `{}` is in the table but not in src", room.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Pingora's proxy is what the benches measure against. Here it would be a second way for a request.
#[test]
fn requests_are_not_carried_by_pingora_proxy() {
    for source in sources() {
        let names = mentions(&source.code, "pingora").into_iter().map(|(_line, name)| name);
        assert!(!names.collect::<Vec<_>>().contains(&"proxy".to_owned()), "{}", source.file);
        assert!(!source.code.contains("pingora_proxy"), "{}", source.file);
    }
}

/// The lint is denied and not forbidden, so that one place can make an exception. No other may.
#[test]
fn unsafe_code_is_only_in_the_kernels() {
    let (mut inside, mut outside) = (0, Vec::new());
    for source in sources() {
        if !source.code.contains("unsafe") {
            continue;
        }
        if source.file.contains("/src/json/kernel/") {
            inside += 1;
        } else {
            outside.push(source.file);
        }
    }
    assert!(outside.is_empty(), "{outside:?}");
    assert!(inside > 0, "if there is none left, forbid it again in Cargo.toml");
}

/// The page that says how the code is laid out.
const LAYOUT: &str = include_str!("../../src/lib.rs");

#[test]
fn the_layout_says_which_room_may_use_which() {
    let rows = LAYOUT.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let said: BTreeSet<(String, BTreeSet<String>)> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            let uses = rest.rsplit('|').nth(1).unwrap().trim();
            (name.to_owned(), rooms_in(uses, name))
        })
        .collect();
    let known = ROOMS.iter().map(|room| {
        let rooms = room.rooms.iter().map(|&room| room.to_owned());
        (room.name.to_owned(), rooms.collect())
    });
    assert_eq!(said, known.collect());
}

/// The rooms that a cell names: none, some, all others, or all others but some.
fn rooms_in(uses: &str, room: &str) -> BTreeSet<String> {
    let named = |list: &str| -> BTreeSet<String> {
        list.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
    };
    let others = ROOMS.iter().map(|other| other.name.to_owned()).filter(|other| other != room);
    match uses.strip_prefix("all") {
        None if uses == "–" => BTreeSet::new(),
        None => named(uses),
        Some("") => others.collect(),
        Some(but) => {
            let but = named(but.strip_prefix(" but ").unwrap());
            others.filter(|other| !but.contains(other)).collect()
        }
    }
}

#[test]
fn every_file_that_the_layout_names_exists() {
    let named = LAYOUT.lines().filter(|line| line.starts_with("//!")).flat_map(|line| {
        line.split('`')
            .filter(|word| word.strip_suffix(".rs").is_some_and(|name| !name.contains(' ')))
    });
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 30, "{named:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_there =
        |name: &&&str| root.join("src").join(name).is_file() || root.join(name).is_file();
    let missing: Vec<&&str> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_rooms_form_no_circle() {
    let mut order: Vec<&str> = Vec::new();
    while order.len() < ROOMS.len() {
        let ready = ROOMS.iter().find(|room| {
            !order.contains(&room.name) && room.rooms.iter().all(|used| order.contains(used))
        });
        order.push(ready.unwrap_or_else(|| panic!("a circle beyond {order:?}")).name);
    }
}

/// What the first test rests on.
#[test]
fn mentions_are_found_however_they_are_written() {
    let code = "use crate::json::Sink;\npub(crate) use crate::{\n    path::{Kind, a::b},\n    policy,\n};\n\
                fn f() -> crate::access::Reason { notcrate::x; other::crate::y }\n";
    let found = mentions(code, "crate");
    let expected = [(1, "json"), (2, "path"), (2, "policy"), (6, "access")];
    assert_eq!(found, expected.map(|(line, room)| (line, room.to_owned())));
    assert_eq!(mentions("use serde;\nuse jiff as j;", "jiff"), [(2, String::new())]);
}

/// Every room's source files.
pub(crate) fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(&src).unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if ["lib", "main", "tests"].contains(&stem) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let module = inside.with_extension("");
                let mut module: Vec<String> =
                    module.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
                let room = module[0].clone();
                if stem == "mod" {
                    module.pop();
                }
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = text.lines().map(|line| line.split("//").next().unwrap());
                let code = lines.collect::<Vec<_>>().join("\n");
                let parts = inside.iter().count();
                found.push(Source {
                    room,
                    module,
                    file: path.display().to_string(),
                    code,
                    below_the_crate: parts == 1 || (parts == 2 && stem == "mod"),
                });
            }
        }
    }
    found
}

/// Every `first::second` in code, with its line; braces spread out. `use first` alone counts, too.
fn mentions(code: &str, first: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(first) {
        let before = &code[..at];
        let rest = &code[at + first.len()..];
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let Some(rest) = rest.strip_prefix("::") else {
            if before.ends_with("use ") && rest.starts_with([';', ' ']) {
                found.push((line, String::new()));
            }
            continue;
        };
        let names = match rest.strip_prefix('{') {
            None => vec![identifier(rest)],
            Some(group) => {
                let mut depth = 1;
                let mut names = vec![String::new()];
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => names.push(String::new()),
                        c => names.last_mut().unwrap().push(c),
                    }
                    if depth == 0 {
                        break;
                    }
                }
                names.iter().map(|name| identifier(name.trim())).collect()
            }
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The crates that Cargo.toml names, as code spells them.
fn dependencies() -> Vec<String> {
    let manifest = include_str!("../../Cargo.toml");
    let table = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    table.lines().filter_map(|l| Some(l.split_once('=')?.0.trim().replace('-', "_"))).collect()
}
