use super::{Kind, Path, PathId, Program, ProgramError, Selector, State};

/// Which of `paths` select each of `places` (names as they are, indices as numbers, parted by `/`).
#[track_caller]
fn check(paths: &[&str], expected: &[(&str, &[usize])]) {
    let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let program = Program::compile(&parsed).unwrap();
    for (place, selected) in expected {
        let mut state = program.start();
        for step in place.split('/').filter(|step| !step.is_empty()) {
            state = match step.parse() {
                Ok(index) => program.element(state, index),
                Err(_) => program.member(state, step.as_bytes()).state,
            };
        }
        let found = indices(program.selected(state));
        assert_eq!(found, *selected, "{paths:?} at {place}");
    }
}

fn indices(paths: impl Iterator<Item = PathId>) -> Vec<usize> {
    paths.map(PathId::index).collect()
}

#[track_caller]
fn check_error(text: &str, at: usize, message: &str) {
    let error = Path::parse(text).expect_err(text);
    assert_eq!((error.at, error.message.as_str()), (at, message), "{text:?}");
}

#[test]
fn names_wildcards_and_the_root() {
    check(
        &["$", "$.a", "$['a'].b", "$.*", "$.a[*]"],
        &[("", &[0]), ("a", &[1, 3]), ("a/b", &[2, 4]), ("x", &[3]), ("a/0", &[4]), ("a/b/c", &[])],
    );
}

#[test]
fn indices_and_slices() {
    check(
        &["$[0]", "$[1:3]", "$[::2]", "$[5:2]", "$[1:9:0]", "$[4:]", "$[1,3]"],
        &[
            ("0", &[0, 2]),
            ("1", &[1, 6]),
            ("2", &[1, 2]),
            ("3", &[6]),
            ("4", &[2, 5]),
            ("5", &[5]),
            ("1000000", &[2, 5]),
            ("1000001", &[5]),
            ("a", &[]),
        ],
    );
}

#[test]
fn slices_with_different_steps_keep_their_phase() {
    let paths = ["$[1::2]", "$[2:20:3]", "$[7::5]"];
    let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let program = Program::compile(&parsed).unwrap();
    for index in 0..200u64 {
        let expected: Vec<usize> = [
            index >= 1 && (index - 1) % 2 == 0,
            (2..20).contains(&index) && (index - 2) % 3 == 0,
            index >= 7 && (index - 7) % 5 == 0,
        ]
        .iter()
        .enumerate()
        .filter_map(|(path, selects)| selects.then_some(path))
        .collect();
        let state = program.element(program.start(), index);
        assert_eq!(indices(program.selected(state)), expected);
    }
}

#[test]
fn descendants_reach_every_depth() {
    check(
        &["$..email", "$.a..b", "$..[0]", "$..*"],
        &[
            ("", &[]),
            ("email", &[0, 3]),
            ("x/y/email", &[0, 3]),
            ("b", &[3]),
            ("a/b", &[1, 3]),
            ("a/x/b/b", &[1, 3]),
            ("x/0", &[2, 3]),
            ("email/email", &[0, 3]),
        ],
    );
}

#[test]
fn unions_mix_selectors() {
    check(&["$['a','b',0,*]", "$..['a',1:]"], &[("a", &[0, 1]), ("0", &[0]), ("1", &[0, 1])]);
}

#[test]
fn a_spelled_name_is_told_from_one_that_is_reached() {
    let paths = ["$..email", "$.map.*"].map(|path| Path::parse(path).unwrap());
    let program = Program::compile(&paths).unwrap();
    let by_index = |(path, segment): (PathId, usize)| (path.index(), segment);
    let start = program.start();
    assert!(program.member(start, b"email").spelled);
    assert!(program.member(start, b"map").spelled);
    let other = program.member(start, b"other");
    assert!(!other.spelled);
    assert_eq!(other.state, program.unspelled(start));
    let map = program.member(start, b"map").state;
    assert!(!program.member(map, b"C-1042").spelled);
    assert_eq!(program.reaching_unspelled(start).map(by_index).collect::<Vec<_>>(), [(0, 0)]);
    assert_eq!(program.reaching_unspelled(map).map(by_index).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
}

#[test]
fn nothing_lies_below_a_path_that_has_ended() {
    let program = Program::compile(&[Path::parse("$.a").unwrap()]).unwrap();
    let a = program.member(program.start(), b"a").state;
    assert_ne!(a, State::DEAD);
    assert_eq!(program.member(a, b"b").state, State::DEAD);
    assert_eq!(program.element(program.start(), 0), State::DEAD);
    assert_eq!(program.children(a, Kind::Object), [State::DEAD]);
    assert_eq!(Program::compile(&[]).unwrap().start(), State::DEAD);
}

#[test]
fn children_are_those_that_a_document_can_have() {
    let program = Program::compile(&[Path::parse("$.a[2:2]").unwrap()]).unwrap();
    let a = program.member(program.start(), b"a").state;
    assert_eq!(program.children(a, Kind::Array), [State::DEAD], "an empty slice goes nowhere");
    let program = Program::compile(&[Path::parse("$[1]").unwrap()]).unwrap();
    assert!(program.children(program.start(), Kind::Array).len() > 1);
    assert_eq!(program.children(program.start(), Kind::Object), [State::DEAD]);
}

#[test]
fn names_of_every_length_are_found() {
    let names: Vec<String> = (1..200).map(|length| "n".repeat(length)).collect();
    let paths: Vec<Path> = names.iter().map(|n| Path::parse(&format!("$.{n}")).unwrap()).collect();
    let program = Program::compile(&paths).unwrap();
    for (index, name) in names.iter().enumerate() {
        let state = program.member(program.start(), name.as_bytes()).state;
        assert_eq!(indices(program.selected(state)), [index]);
    }
    assert!(!program.member(program.start(), "n".repeat(200).as_bytes()).spelled);
}

#[test]
fn combinations_that_explode_are_refused() {
    let paths: Vec<Path> = (0..20).map(|n| Path::parse(&format!("$..a{n}..z")).unwrap()).collect();
    assert!(Program::compile(&paths).is_err());
    let slices = ["$[::4093]", "$[::4099]"].map(|path| Path::parse(path).unwrap());
    assert!(Program::compile(&slices).is_err());
    let far: Vec<Path> =
        (0..300).map(|n| Path::parse(&format!("$[{}::4096]", n * 5000)).unwrap()).collect();
    assert!(Program::compile(&far).is_err());
}

/// Compiling took minutes once: each of two thousand states had two thousand steps, and each step
/// looked at two thousand positions.
#[test]
fn many_descendants_compile_or_are_refused_at_once() {
    let paths = |count: usize| -> Vec<Path> {
        (0..count).map(|n| Path::parse(&format!("$..name_{n}")).unwrap()).collect()
    };
    let program = Program::compile(&paths(500)).unwrap();
    let x = program.member(program.start(), b"x").state;
    let found = program.member(x, b"name_77").state;
    assert_eq!(indices(program.selected(found)), [77]);
    assert_eq!(Program::compile(&paths(2000)).unwrap_err(), ProgramError::Transitions);
}

#[test]
fn names_are_unescaped() {
    for text in ["$['a\\u0062c']", "$[\"abc\"]", "$.abc", "$ ['abc']", "$[ 'abc' ]"] {
        let path = Path::parse(text).unwrap();
        assert_eq!(path.segments()[0].selectors, [Selector::Name("abc".into())], "{text}");
    }
    let path = Path::parse(r"$['\ud83d\ude00 \'\\/']").unwrap();
    assert_eq!(path.segments()[0].selectors, [Selector::Name("😀 '\\/".into())]);
}

#[test]
fn paths_print_as_one_would_write_them() {
    for text in [
        "$",
        "$.a.b",
        "$['first name']",
        "$.été",
        "$..email",
        "$..*",
        "$.a[*]",
        "$[0]",
        "$[1:5:2]",
        "$[:]",
        "$[::0]",
        "$['a','b',0]",
        "$..['a',*]",
        r"$['it\'s \\ \u0001\n']",
    ] {
        assert_eq!(Path::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Path::parse("$['a'].*").unwrap().to_string(), "$.a[*]");
    let joined = Path::parse("$.items[*]").unwrap().join(&Path::parse("$.id").unwrap());
    assert_eq!(joined.to_string(), "$.items[*].id");
}

#[test]
fn what_jsonpath_rust_would_skip_is_an_error() {
    check_error("$.a b", 3, "white space inside a name");
    check_error("$.first\tname", 7, "white space inside a name");
    check_error("$[1 2]", 3, "white space inside a name");
    check_error(" $.a", 0, "a path begins with `$`, without white space");
    check_error("$.a ", 3, "white space at the end of a path");
    check_error("$.a\n", 3, "white space at the end of a path");
    check_error("$.a\u{a0}", 3, "this kind of white space is not allowed in a path");
    check_error("$.a\u{2028}b", 3, "this kind of white space is not allowed in a path");
    for text in ["$. a", "$.. a", "$['a\nb']", "$[- 1]", "$[\"a\\ n\"]", "$['\\u00 41']"] {
        assert!(Path::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_does_not_stream_yet_says_so() {
    check_error("$.a[-1]", 4, "negative indices are not supported yet");
    check_error("$[-3:]", 2, "slices with negative bounds are not supported yet");
    check_error("$[:-1]", 3, "slices with negative bounds are not supported yet");
    check_error("$[::-1]", 4, "slices with a negative step are not supported yet");
    check_error("$[?@.a]", 2, "filters are not supported yet");
    check_error("$[?in(@.a, @.b)]", 2, "filters are not supported yet");
}

#[test]
fn syntax_errors_point_at_the_place() {
    check_error("a.b", 0, "a path begins with `$`");
    check_error("$.first-name", 7, "this is no path of RFC 9535");
    check_error("$.a[", 4, "this is no path of RFC 9535");
    check_error("$.0", 2, "this is no path of RFC 9535");
    for text in ["", "$.", "$[]", "$['a'", "$.a..", "$[01]", "$['\\ud800']", "$[9007199254740992]"]
    {
        assert!(Path::parse(text).is_err(), "{text:?}");
    }
    assert!(Path::parse(&format!("$.{}", "n".repeat(257))).is_err());
    assert!(Path::parse(&format!("$['{}']", "n".repeat(256))).is_ok());
    assert!(Path::parse(&format!("${}", ".a".repeat(129))).is_err());
    assert!(Path::parse(&format!("$[{}0]", "0,".repeat(999))).is_ok());
    assert!(Path::parse(&format!("$[{}0]", "0,".repeat(1000))).is_err());
}

#[test]
fn hints_say_what_to_write() {
    let help = |text| Path::parse(text).unwrap_err().help.unwrap();
    assert_eq!(help("$.first-name"), "a name with a hyphen is written `['first-name']`");
    assert_eq!(help("items"), "write `$.items`");
    assert_eq!(help("$.a b"), "a name that contains white space is written `['first name']`");
}
