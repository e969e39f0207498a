//! Fields of structs that other files read: who changes one has to read all of these.

use std::collections::BTreeSet;

use crate::architecture::sources;

/// The rooms whose files keep the fields of their structs to themselves. In the others, files share what is read
/// rather than changed: policies and settings as they were checked.
const CLOSED: [&str; 1] = ["json"];

/// A struct with named fields.
#[derive(Debug, Default, PartialEq)]
struct Struct {
    name: String,
    fields: BTreeSet<String>,
    /// Those of its fields that other files may name, if the struct is not part of the library's door: the fields of
    /// a `pub struct` that are `pub` are what it is for.
    open: BTreeSet<String>,
}

#[test]
fn fields_are_read_only_in_the_file_that_defines_them() {
    for room in CLOSED {
        let of_room = sources().into_iter().filter(|source| source.module[0] == room);
        let files: Vec<(Vec<Struct>, String)> =
            of_room.map(|source| (structs(&source.code), source.code)).collect();
        assert!(files.len() > 1, "{room}");
        assert_eq!(reads(&files), 0, "{room}");
    }
}

/// What the test rests on: fields of `self`, and fields that are open.
#[test]
fn reads_are_found_however_they_are_written() {
    let defines = "pub(super) struct A<'a> {\n    a: u8,\n    pub(super) b: &'a u8,\n}\n\
        pub struct B {\n    pub c: u8,\n}\nstruct C(u8);\nenum D {\n    E { d: u8 },\n}\n";
    let a = Struct {
        name: "A".to_owned(),
        fields: ["a".to_owned(), "b".to_owned()].into(),
        open: ["b".to_owned()].into(),
    };
    let b = Struct { name: "B".to_owned(), fields: ["c".to_owned()].into(), open: BTreeSet::new() };
    assert_eq!(structs(defines), [a, b]);
    let uses = |code: &str| {
        reads(&[(structs(defines), defines.to_owned()), (structs(code), code.to_owned())])
    };
    assert_eq!(uses("impl A<'_> {\n    fn f(&self) {\n        self.a + self.a()\n    }\n}\n"), 1);
    assert_eq!(uses("impl<T> From<T>\n    for A<'_>\n{\n    fn f(self) { self.a }\n}\n"), 1);
    assert_eq!(
        uses("fn f(one: A<'_>) {\n    one.b + one.b() + one.before + one.c + t[..b]\n}\n"),
        1
    );
    // Of a file that has a field of this name nobody can say which one it reads.
    assert_eq!(uses("struct F {\n    b: u8,\n}\nfn f(one: F) {\n    one.b\n}\n"), 0);
}

/// How often the files of a room read fields of structs that others of them define.
fn reads(files: &[(Vec<Struct>, String)]) -> usize {
    let of_file = |(index, (own, code)): (usize, &(Vec<Struct>, String))| {
        let others = files.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<&Struct> = others.flat_map(|(_, (structs, _))| structs).collect();
        let of_self: usize = impls(code)
            .filter(|(name, _)| own.iter().all(|own| own.name != *name))
            .map(|(name, body)| {
                let fields = others.iter().filter(|other| other.name == name);
                let fields = fields.flat_map(|of| of.fields.difference(&of.open)).collect();
                accesses(body, "self.", &fields)
            })
            .sum();
        let own: BTreeSet<&String> = own.iter().flat_map(|own| &own.fields).collect();
        let open = others.iter().flat_map(|other| &other.open);
        of_self + accesses(code, ".", &open.filter(|field| !own.contains(field)).collect())
    };
    files.iter().enumerate().map(of_file).sum()
}

/// How often one of these fields is named behind `before`; a method of the same name is none.
fn accesses(code: &str, before: &str, fields: &BTreeSet<&String>) -> usize {
    let found = code.match_indices(before).filter(|(at, _)| {
        let rest = &code[at + before.len()..];
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let is_call = rest[end..].starts_with(['(', ':']);
        let is_range = code[..*at].ends_with('.');
        !is_call && !is_range && fields.contains(&rest[..end].to_owned())
    });
    found.count()
}

/// The structs with named fields that code defines, as rustfmt lays them out.
fn structs(code: &str) -> Vec<Struct> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let (visibility, item) = visibility(line.trim_start());
        let Some(rest) = item.strip_prefix("struct ").filter(|rest| rest.ends_with('{')) else {
            continue;
        };
        let mut one = Struct { name: word(rest), ..Struct::default() };
        let end = format!("{indent}}}");
        let inner = format!("{indent}    ");
        for field in lines.by_ref().take_while(|line| *line != end) {
            let Some(field) = field.strip_prefix(&inner) else { continue };
            let (open, field) = self::visibility(field);
            let name = word(field);
            if name.is_empty() || !field[name.len()..].starts_with(':') {
                continue;
            }
            if !open.is_empty() && visibility != "pub" {
                one.open.insert(name.clone());
            }
            one.fields.insert(name);
        }
        found.push(one);
    }
    found
}

/// The types that code has blocks of `impl` for, each with the block.
fn impls(code: &str) -> impl Iterator<Item = (String, &str)> {
    let starts = code.match_indices("impl").filter(|(at, _)| {
        let rest = &code[at + "impl".len()..];
        code[..*at].ends_with('\n') && rest.starts_with([' ', '<']) || *at == 0
    });
    starts.filter_map(|(at, _)| {
        let block = &code[at..];
        let block = &block[..block.find("\n}").unwrap_or(block.len())];
        let header = &block["impl".len()..block.find('{')?];
        let (mut depth, mut bare) = (0, String::new());
        // Without what stands in angle brackets.
        for c in header.replace("->", "").chars() {
            match c {
                '<' => depth += 1,
                '>' => depth -= 1,
                c if depth == 0 => bare.push(if c == '\n' { ' ' } else { c }),
                _ => {}
            }
        }
        let bare = bare.split(" where ").next()?;
        let of = bare.rsplit_once(" for ").map_or(bare, |(_, of)| of);
        let path = of.trim().trim_start_matches('&');
        Some((word(path.rsplit("::").next()?.trim()), block))
    })
}

/// What says who may see an item or field, and the rest.
fn visibility(item: &str) -> (&str, &str) {
    let Some(rest) = item.strip_prefix("pub") else { return ("", item) };
    let length = match rest.chars().next() {
        Some(' ') => 0,
        Some('(') => rest.find(')').map_or(0, |at| at + 1),
        Some(_) | None => return ("", item),
    };
    (&item[.."pub".len() + length], rest[length..].trim_start())
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
