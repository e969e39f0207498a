use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Answered, Answers, Class, Elements, FromEnd, Kind, Member, Number, Part, Path, PathId, Program,
    ProgramError, Question, Selector, State, plain, relation,
};

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
fn a_slice_from_the_first_element_is_the_one_without_a_start() {
    let parse = |text: &str| Path::parse(text).unwrap();
    for (written, same) in [("$[0:]", "$[:]"), ("$[\r0:]", "$[:]"), ("$[0:3:0]", "$[:3:0]")] {
        assert_eq!(parse(written), parse(same));
        assert_eq!(parse(written).to_string(), same);
    }
    // From there to the front it is one element.
    assert_ne!(parse("$[0::-1]"), parse("$[::-1]"));
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
    let slices = ["$[::4093]", "$[::4099]"].map(|path| Path::parse(path).unwrap());
    assert!(Program::compile(&slices).is_err());
    let far: Vec<Path> =
        (0..300).map(|n| Path::parse(&format!("$[{}::4096]", n * 5000)).unwrap()).collect();
    assert!(Program::compile(&far).is_err());
}

/// Twenty such paths have a million states, of which this document has one for each level.
#[test]
fn states_that_are_too_many_are_made_on_the_way() {
    let paths: Vec<Path> =
        (0..20).map(|n| Path::parse(&format!("$..a{n}..z{n}")).unwrap()).collect();
    let program = Program::compile(&paths).unwrap();
    assert!(program.is_lazy() && program.automaton().is_none());
    let mut state = program.start();
    for n in 0..20 {
        state = program.member(state, format!("a{n}").as_bytes()).state;
        state = program.element(state, n);
        for m in 0..20 {
            let member = program.member(state, format!("z{m}").as_bytes());
            assert_eq!(member.spelled, m <= n);
            let expected: &[usize] = if m <= n { &[usize::try_from(m).unwrap()] } else { &[] };
            assert_eq!(indices(program.selected(member.state)), expected, "z{m} below a{n}");
        }
        assert_eq!(program.member(state, b"x"), Member { state, spelled: false });
    }
}

#[test]
fn states_are_forgotten_but_for_those_that_are_needed() {
    let paths: Vec<Path> = (0..40).map(|n| Path::parse(&format!("$..a{n}..z")).unwrap()).collect();
    let program = Program::compile(&paths).unwrap();
    let mut random = 1u64;
    let mut name = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("a{}", (random >> 33) % 40)
    };
    let mut forgotten = 0;
    let mut needed = vec![program.start()];
    for n in 0..30_000usize {
        needed.truncate(1 + n % 17);
        let state = program.member(*needed.last().unwrap(), name().as_bytes()).state;
        needed.push(state);
        if program.is_crowded() {
            let matched = |states: &[State]| -> Vec<Vec<_>> {
                let matched = |at: &State| {
                    let matched = program.matched(*at, Part::Whole, program.anywhere());
                    matched.collect::<BTreeSet<_>>().into_iter().collect()
                };
                states.iter().map(matched).collect()
            };
            let before = matched(&needed);
            program.forget_all_but(needed.iter_mut());
            assert_eq!(before, matched(&needed));
            assert!(!program.is_crowded());
            forgotten += 1;
            assert_eq!(program.forgotten(), forgotten);
        }
    }
    assert!(forgotten > 2, "{forgotten}");
    assert_eq!(program.member(State::LOST, b"a1").state, State::LOST);
    assert_eq!(program.element(State::LOST, 0), State::LOST);
    assert_eq!(program.unspelled(State::LOST), State::LOST);
}

/// Compiling took minutes once: each of two thousand states had two thousand steps, and each step
/// looked at two thousand positions.
#[test]
fn many_descendants_compile_or_are_refused_at_once() {
    let paths = |count: usize| -> Vec<Path> {
        (0..count).map(|n| Path::parse(&format!("$..name_{n}")).unwrap()).collect()
    };
    let program = Program::compile(&paths(10_000)).unwrap();
    assert_eq!(program.automaton().unwrap().states().count(), 10_002);
    let x = program.member(program.start(), b"x").state;
    let found = program.member(x, b"name_7777").state;
    assert_eq!(indices(program.selected(found)), [7777]);
    assert!(program.member(found, b"name_7777").spelled);
    assert_eq!(
        program.automaton().unwrap().rows().count(),
        3,
        "whatever they have matched, the steps are the same"
    );
    let multiplying = |count: usize, rest: &str| {
        let paths = (0..count).map(|n| Path::parse(&format!("$..name_{n}{rest}")).unwrap());
        Program::compile(&paths.collect::<Vec<_>>()).ok().map(|program| program.is_lazy())
    };
    assert_eq!(multiplying(10_000, ".field"), Some(false));
    assert_eq!(multiplying(200, "[*]"), Some(false));
    assert_eq!(multiplying(300, "[*]"), Some(true));
    assert_eq!(multiplying(12, "..field"), Some(false));
    assert_eq!(multiplying(10_000, "..field"), Some(true));
}

/// What can be seen of two states, and of all that can be reached from them, has to be the same.
fn assert_alike(texts: &[String], one: &Program, other: &Program) {
    let names: [&[u8]; 6] = [b"a", b"b", b"c", b"d", b"long_name", b"x"];
    let mut seen = BTreeSet::from([(one.start(), other.start())]);
    let mut next: Vec<_> = seen.iter().copied().collect();
    while let Some((left, right)) = next.pop() {
        let settled = |program: &Program, state| -> BTreeMap<Vec<String>, State> {
            let outcomes = program.outcomes(state).into_iter().map(|(answers, state)| {
                let say = |answered: &Answered| match answered {
                    Answered::FromEnd(selector, is) => format!("{selector:?} {is}"),
                    Answered::Filter(id, is) => format!("{} {is}", program.filter(*id).unwrap()),
                };
                let mut said: Vec<String> = answers.iter().map(say).collect();
                said.sort();
                (said, state)
            });
            outcomes.collect()
        };
        let (lefts, rights) = (settled(one, left), settled(other, right));
        assert!(lefts.keys().eq(rights.keys()), "{texts:?}");
        for (left, right) in lefts.into_values().zip(rights.into_values()) {
            let selected = |program: &Program, state| indices(program.selected(state));
            assert_eq!(selected(one, left), selected(other, right), "{texts:?}");
            let reaching =
                |program: &Program, state| program.reaching_unspelled(state).collect::<Vec<_>>();
            assert_eq!(reaching(one, left), reaching(other, right), "{texts:?}");
            for kind in [Kind::Object, Kind::Array] {
                let children = |program: &Program, state| -> BTreeSet<Vec<usize>> {
                    let children = program.children(state, kind);
                    children.into_iter().map(|child| selected(program, child)).collect()
                };
                assert_eq!(children(one, left), children(other, right), "{texts:?}");
            }
            let mut steps = vec![(one.unspelled(left), other.unspelled(right))];
            for name in names {
                let (left, right) = (one.member(left, name), other.member(right, name));
                assert_eq!(left.spelled, right.spelled, "{texts:?}");
                steps.push((left.state, right.state));
            }
            assert_eq!(one.elements_are_alike(left), other.elements_are_alike(right), "{texts:?}");
            steps.extend(
                (0..3).map(|index| (one.element(left, index), other.element(right, index))),
            );
            next.extend(steps.into_iter().filter(|step| seen.insert(*step)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is said of two paths holds at every place.
    #[test]
    fn no_place_speaks_against_what_is_said_of_two_paths(
        texts in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec![
                    ".a", ".b", "..a", "..b", ".*", "..*", "['a','c']", "[0]", "[1:]", "[::2]", "..[0]",
                ]),
                0..4,
            ),
            2,
        ),
        places in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "x", "0", "1", "2"]), 0..6),
            40,
        ),
    ) {
        let paths: Vec<Path> =
            texts.iter().map(|text| Path::parse(&format!("${}", text.concat())).unwrap()).collect();
        let program = Program::compile(&paths).unwrap();
        let within = relation::is_within(&paths[0], &paths[1]);
        let meet = relation::can_meet(&paths[0], &paths[1]);
        for place in places {
            let state = place.iter().fold(program.start(), |state, step| match step.parse() {
                Ok(index) => program.element(state, index),
                Err(_) => program.member(state, step.as_bytes()).state,
            });
            let selected = indices(program.selected(state));
            assert!(!within || selected != [0], "{texts:?} at {place:?}");
            assert!(meet || selected != [0, 1], "{texts:?} at {place:?}");
        }
    }

    /// Paths that begin everywhere are taken apart; nothing of that can be seen.
    #[test]
    fn paths_that_begin_everywhere_select_as_all_others(
        paths in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "$", "$", "$..a", "$..b", "$..['a','c']", "$..long_name", "$..d", "$..*", "$..[0]",
                ]),
                prop::collection::vec(
                    prop::sample::select(vec![
                        ".a", ".b", "['c','d']", ".*", "[*]", "[0]", "[1:]", "[-1]", "..a", "..c", "..*",
                        "[?@.a]", "[?@.b == 1]", "..[?@.c]", ".long_name",
                    ]),
                    0..3,
                ),
            ),
            0..7,
        ),
    ) {
        let texts: Vec<String> =
            paths.iter().map(|(first, rest)| format!("{first}{}", rest.concat())).collect();
        let parsed: Vec<Path> = texts.iter().map(|text| Path::parse(text).unwrap()).collect();
        let alike = Program::compile_alike(&parsed).unwrap();
        for program in
            [Program::compile(&parsed), Program::compile_open(&parsed), Program::compile_lazily(&parsed)]
        {
            assert_alike(&texts, &program.unwrap(), &alike);
        }
    }
}

#[test]
fn paths_are_within_others_or_meet_them() {
    let parse = |text: &str| Path::parse(text).unwrap();
    let large = format!("$..a{}.b", ".*".repeat(20));
    for (one, other, within, meet) in [
        ("$..a..b", "$..b", true, true),
        ("$.a.b", "$..b", true, true),
        ("$..b", "$.a..b", false, true),
        ("$..a..b", "$..a", false, false),
        ("$..a.x", "$..b.x", false, false),
        ("$..a..x", "$..b..x", false, true),
        ("$.x['a','b']", "$.x.*", true, true),
        ("$[?@.a]", "$[*]", true, true),
        ("$[*]", "$[?@.a]", false, true),
        ("$[1:3]", "$[:5]", true, true),
        ("$[-1]", "$[*]", true, true),
        ("$.a[0]", "$.a[1:]", false, false),
        ("$.a[0]", "$.a[::2]", true, true),
        ("$", "$", true, true),
        ("$", "$.a", false, false),
        // There are too many states to look at.
        (&large, "$..b", false, true),
        ("$..b", &large, false, true),
    ] {
        assert_eq!(relation::is_within(&parse(one), &parse(other)), within, "{one} in {other}");
        assert_eq!(relation::can_meet(&parse(one), &parse(other)), meet, "{one} and {other}");
    }
    for (selector, selects) in [
        ("a", [true, false]),
        ("*", [true, true]),
        ("[?@.a]", [true, true]),
        ("[0]", [false, true]),
        ("[-1]", [false, true]),
        ("[2:2]", [false, false]),
        ("[-1:-5]", [false, false]),
    ] {
        let text = if selector.starts_with('[') {
            format!("${selector}")
        } else {
            format!("$.{selector}")
        };
        let path = parse(&text);
        assert_eq!(relation::can_select(&path.segments()[0].selectors[0]), selects, "{selector}");
    }
    let meet = |one: &str, other: &str, unless: &str| {
        relation::can_meet_outside(&parse(one), &parse(other), &parse(unless))
    };
    assert!(meet("$..a.x", "$.b..x", "$.c..x"));
    assert!(meet("$..a.x", "$.b..x", "$.b.a.x"), "it can be further below");
    assert!(!meet("$..a.x", "$.b..x", "$..x"));
    let names = |one: (&str, usize), other: (&str, usize)| {
        relation::can_reach_one_name((&parse(one.0), one.1), (&parse(other.0), other.1))
    };
    assert!(names(("$.a.*", 0), ("$.a..b", 0)));
    assert!(!names(("$.a.*", 0), ("$.*.b", 0)), "the one spells what the other does not");
    assert!(!names(("$.a.*", 2), ("$.a..b", 0)), "the segment is one of a mount above");
}

#[test]
fn names_are_unescaped() {
    for text in ["$['a\\u0062c']", "$[\"abc\"]", "$.abc", "$ ['abc']", "$[ 'abc' ]"] {
        let path = Path::parse(text).unwrap();
        assert_eq!(
            path.segments()[0].selectors.as_slice(),
            [Selector::Name("abc".into())],
            "{text}"
        );
    }
    let path = Path::parse(r"$['\ud83d\ude00 \'\\/']").unwrap();
    assert_eq!(path.segments()[0].selectors.as_slice(), [Selector::Name("😀 '\\/".into())]);
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
fn what_is_certain_of_an_element_is_what_every_length_says() {
    let bounds: Vec<Option<i64>> =
        [None].into_iter().chain((-4..=4).map(Some)).chain([Some(-9), Some(9)]).collect();
    let mut decided = 0;
    for step in [-7, -3, -2, -1, 1, 2, 3, 7] {
        for (start, end) in bounds.iter().flat_map(|start| bounds.iter().map(|end| (*start, *end)))
        {
            let exact = FromEnd::new(start, end, step);
            for (index, length) in (1..24u64).flat_map(|l| (0..l).map(move |i| (i, l))) {
                let selected = match Elements::slice(start, end, step) {
                    Elements::Nothing => false,
                    Elements::Front(indices) => indices.contains(index),
                    Elements::End(from_end) => {
                        let always = (length..60).all(|longer| {
                            from_end.selects(index, longer) == from_end.selects(index, length)
                        });
                        let said = from_end.decided(index, length);
                        let shown = format!("[{start:?}:{end:?}:{step}] at {index} of {length}");
                        assert!(said.is_none() || always, "{shown}");
                        let one_bound = step.abs() == 1 && (start.is_none() || end.is_none());
                        assert!(said.is_some() || !always || !one_bound, "{shown}");
                        assert!(said.is_none_or(|said| said == from_end.selects(index, length)));
                        let window = from_end.window();
                        let waited = window.is_some_and(|window| length > index + window);
                        assert!(!waited || said.is_some(), "{shown}: window {window:?}");
                        decided += usize::from(said.is_some());
                        from_end.selects(index, length)
                    }
                };
                assert_eq!(selected, exact.selects(index, length), "[{start:?}:{end:?}:{step}]");
            }
        }
    }
    assert!(decided > 50_000, "{decided}");
}

#[test]
fn what_counts_from_the_end_pends_until_the_length_is_known() {
    let paths = ["$[0]", "$[-1]", "$[-3:-1]", "$[2:-2]", "$[::-2]"];
    let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let program = Program::compile(&parsed).unwrap();
    let mut reached = BTreeSet::new();
    for (index, length) in (1..12u64).flat_map(|l| (0..l).map(move |i| (i, l))) {
        let pending = program.element(program.start(), index);
        assert!(pending.is_pending());
        let state = program.placed(pending, index, length);
        let expected: Vec<usize> = [
            index == 0,
            index + 1 == length,
            index + 3 >= length && index + 1 < length,
            index >= 2 && index + 2 < length,
            (length - 1 - index) % 2 == 0,
        ]
        .iter()
        .enumerate()
        .filter_map(|(path, selects)| selects.then_some(path))
        .collect();
        assert_eq!(indices(program.selected(state)), expected, "{index} of {length}");
        reached.insert(state);
    }
    let children: BTreeSet<State> =
        program.children(program.start(), Kind::Array).into_iter().collect();
    assert_eq!(children, reached, "no combination that no array has");
}

#[test]
fn filters_pend_until_they_are_answered() {
    let paths = [
        "$.entry[?@.type == 'a'].x",
        "$.entry[?@.type == 'b'].x",
        "$.entry[?@.type == 'a' || @.z].y",
        "$.entry[*].id",
        "$.entry.spelled",
    ];
    let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let program = Program::compile(&parsed).unwrap();
    let entry = program.member(program.start(), b"entry").state;
    let member = program.member(entry, b"spelled");
    assert!(member.spelled && member.state.is_pending());
    let other = program.member(entry, b"other");
    assert!(!other.spelled && other.state.is_pending());
    let element = program.element(entry, 3);
    let Some(Question::Filters(filters)) = program.question(element) else { panic!("no filters") };
    let texts: Vec<String> =
        filters.iter().map(|id| program.filter(*id).unwrap().to_string()).collect();
    assert_eq!(texts, ["@.type == 'a'", "@.type == 'b'", "@.type == 'a' || @.z"]);
    let settled = |answers: [bool; 3]| program.settle(element, Answers::of(answers).unwrap());
    let reached = |answers, name: &[u8]| {
        let state = program.member(settled(answers).unwrap(), name).state;
        indices(program.selected(state))
    };
    assert_eq!(reached([true, false, true], b"x"), [0]);
    assert_eq!(reached([false, true, true], b"y"), [2]);
    assert_eq!(reached([false, true, true], b"x"), [1]);
    assert_eq!(reached([false, false, false], b"id"), [3]);
    assert_eq!(settled([true, true, true]), None, "one place is not two values");
    assert_eq!(settled([true, false, false]), None);
    let reaching: Vec<usize> =
        program.reaching_unspelled(entry).map(|(path, _)| path.index()).collect();
    assert_eq!(reaching, [0, 1, 2, 3]);
    assert_eq!(program.settled(element).len(), 5);
}

#[test]
fn many_filters_on_one_field_are_few_cases() {
    let paths: Vec<Path> = (0..100)
        .map(|n| Path::parse(&format!("$.entry[?@.resource.type == 'T{n}'].x{n}")).unwrap())
        .collect();
    let program = Program::compile(&paths).unwrap();
    let entry = program.member(program.start(), b"entry").state;
    assert_eq!(program.children(entry, Kind::Array).len(), 101);
    let different: Vec<Path> =
        (0..40).map(|n| Path::parse(&format!("$.entry[?@.t{n}].x{n}")).unwrap()).collect();
    assert_eq!(Program::compile(&different).unwrap_err(), ProgramError::Filters);
}

#[test]
fn filters_print_as_they_are_read() {
    for text in [
        "$[?@.a]",
        "$[?!@.a && @['b c'] || $.x[0]]",
        "$[?(@.a || @.b) && !(@.c == 1)]",
        "$[?@.a == 'it\\'s']",
        "$[?@.a == -5.25 || @.a != 1200 || @.a < 0.001 || @.a <= 12e30]",
        "$[?@ > true]",
        "$[?null >= @[-1].x]",
        "$[?length(@.a) == 2 && count(@..b[*]) > 1 && value(@[*]) == 'x']",
        "$[?match(@.a,'a.*[0-9]') && !search(@.b,$.pattern)]",
        "$..[?@.a[?@.b == 1],0,-1,'x',*]",
        "$[-1]",
        "$[-3:-1]",
        "$[::-1]",
        "$[5:0:-2]",
    ] {
        let path = Path::parse(text).unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
    }
    let same = |one, other| assert_eq!(Path::parse(one), Path::parse(other));
    same("$[?@.a==\"x\"]", "$[?(@['a'] == 'x')]");
    same("$[?@.a == 1.50]", "$[? @.a == 15e-1 ]");
}

#[test]
fn filters_that_the_standard_does_not_have_are_refused() {
    for text in [
        "$[?]",
        "$[?@.a ==]",
        "$[?@.a = 1]",
        "$[?@.a == 1 &&]",
        "$[?(@.a]",
        "$[?@.a]]",
        "$[?'x']",
        "$[?true]",
        "$[?1]",
        "$[?@.* == 1]",
        "$[?@..a == 1]",
        "$[?@[0,1] == 1]",
        "$[?@.a == @[0:1]]",
        "$[?length(@.*) == 1]",
        "$[?length(@.a)]",
        "$[?!length(@.a)]",
        "$[?length() == 1]",
        "$[?length(@.a,@.b) == 1]",
        "$[?count(1) == 1]",
        "$[?count(@.a)]",
        "$[?count('a') > 0]",
        "$[?count(length(@.a)) > 0]",
        "$[?value(1) == 1]",
        "$[?value(@.a)]",
        "$[?match(@.a)]",
        "$[?match(@.a,1)]",
        "$[?match(@.*,'a')]",
        "$[?match(@.a,'a') == true]",
        "$[?match(@.a,'(')]",
        "$[?match(@.a,'\\\\d')]",
        "$[?search(@.a,'^a')]",
        "$[?search(@.a,'a$')]",
        "$[?search(@.a,'a*?')]",
        "$[?search(@.a,'(?i)a')]",
        "$[?in(@.a,@.b)]",
        "$[?nin(@.a,@.b)]",
        "$[?none_of(@.a,@.b)]",
        "$[?any_of(@.a,@.b)]",
        "$[?subset_of(@.a,@.b)]",
        "$[?unknown(@.a)]",
        "$[?length (@.a) == 1]",
        "$[?@.a == 1e999]",
        "$[?@.a == 0.1234567890123456]",
        "$[?@.a == 01]",
        "$[?@.a == +1]",
        "$[?@.a == .5]",
        "$[?@.a == 1.]",
        "$[?@.a == TRUE]",
        "$[?@.a === 1]",
        "$[?@.a == {}]",
        "$[?@.a == []]",
        "$[?@.a == 1 == 1]",
        "$[?!@.a == 1]",
        "$[?@. a == 1]",
        "$[?@.a b == 1]",
        "$[?a]",
        "$[?(1 == 1) == true]",
        "$[?@.a == 'x]",
        "$[?match(@.a == 1,'a')]",
        "$[-0]",
        "$[- 1]",
        "$[1:2:3:4]",
        "$[:::]",
        "$[--1]",
        "$[1.0]",
        "$[1e0]",
        "$[-01]",
    ] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_path_has_the_class_of_its_dearest_selector() {
    let check = |text: &str, class| assert_eq!(Path::parse(text).unwrap().class(), class, "{text}");
    check("$.a..b[0][1:9:2][::-1][5:2:-1]", Class::Streams);
    check("$[-1]", Class::Window(1));
    check("$[-3:]", Class::Window(3));
    check("$[2:-4]", Class::Window(4));
    check("$[-2::-1][-1]", Class::Window(1));
    check("$[:-3:-1]", Class::Window(2));
    check("$[::-2]", Class::Array);
    check("$[?@.a == 1].b[-7]", Class::Candidate);
    check("$[?@.a[?$.b]]", Class::Document);
    check("$[?$.b == @.a]", Class::Document);
}

#[test]
fn numbers_compare_by_value() {
    let number = |text: &str| Number::read(text).unwrap_or_else(|| panic!("{text}"));
    for (one, other) in [("1", "1.0"), ("-0", "0e5"), ("100", "1E2"), ("5.40", "54e-1")] {
        assert_eq!(number(one), number(other));
    }
    let ordered = [
        "-1e300",
        "-12",
        "-2",
        "-1.5",
        "-1e-300",
        "0",
        "5e-324",
        "1e-310",
        "2.2250738585072014e-308",
        "1e-300",
        "0.1",
        "0.10000000000000000001",
        "1",
        "1.5",
        "2",
        "12",
        "9007199254740992",
        "9007199254740993",
        "1e300",
        "1.7976931348623157e308",
    ];
    for (at, one) in ordered.iter().enumerate() {
        for (other_at, other) in ordered.iter().enumerate() {
            assert_eq!(number(one).cmp(&number(other)), at.cmp(&other_at), "{one} {other}");
        }
        assert_eq!(number(&number(one).to_string()), number(one));
    }
    for text in [
        "1e400",
        "-1e400",
        "1e-400",
        "2e-324",
        "1.7976931348623159e308",
        "1e99999999999999999999",
        "x",
        "",
        "true",
    ] {
        assert_eq!(Number::read(text), None, "{text}");
    }
}

#[test]
fn syntax_errors_point_at_the_place() {
    check_error("a.b", 0, "a path begins with `$`");
    check_error("$.first-name", 7, "this is no path of RFC 9535");
    check_error("$.a[", 4, "this is no path of RFC 9535");
    check_error("$['é'].first-name", 13, "this is no path of RFC 9535");
    check_error("$\n.first-name", 8, "this is no path of RFC 9535");
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

/// What people write, and the path that they mean.
const MEANT: &[(&str, &str)] = &[
    // Without the root, or with something else in its place.
    ("items", "$.items"),
    ("customer.email", "$.customer.email"),
    (".email", "$.email"),
    (".customer.email", "$.customer.email"),
    ("$email", "$.email"),
    ("$customer.email", "$.customer.email"),
    ("@.email", "$.email"),
    ("[*].email", "$[*].email"),
    ("['email']", "$.email"),
    ("'email'", "$.email"),
    ("'first name'", "$['first name']"),
    ("", ""),
    // JSON Pointer, XPath, file names.
    ("/customer/email", "$.customer.email"),
    ("/items/0/email", "$.items[0].email"),
    ("/items/*/email", "$.items[*].email"),
    ("#/customer/email", "$.customer.email"),
    ("/a~1b/c~0d/e.f", "$['a/b']['c~d']['e.f']"),
    ("/email/", "$.email"),
    ("//email", "$..email"),
    ("/items//email", "$.items..email"),
    ("/items[type='work']/email", "$.items[?@.type == 'work'].email"),
    ("customer/email", "$.customer.email"),
    ("$.customer/email", "$.customer.email"),
    ("$/customer/email", "$.customer.email"),
    // Lists.
    ("$.items[]", "$.items[*]"),
    ("$.items[].email", "$.items[*].email"),
    ("items[].email", "$.items[*].email"),
    (".items[].email", "$.items[*].email"),
    (".[].email", "$[*].email"),
    ("emails[]", "$.emails[*]"),
    ("$.emails[ ]", "$.emails[*]"),
    ("$.items.[*].email", "$.items[*].email"),
    ("$.items.[0]", "$.items[0]"),
    ("$.items.0.email", "$.items[0].email"),
    ("items.*.email", "$.items[*].email"),
    ("$.items[#].email", "$.items[*].email"),
    ("$.items[i].email", "$.items[*].email"),
    ("$.items[(@.length-1)]", "$.items[-1]"),
    ("$.items[last()].email", "$.items[-1].email"),
    ("$.items[–1]", "$.items[-1]"),
    (".items[] | .email", "$.items[*].email"),
    (".items[] | select(.type == \"work\") | .email", "$.items[?@.type == 'work'].email"),
    // Names.
    ("$.first-name", "$['first-name']"),
    ("$.first name", "$['first name']"),
    ("@timestamp", "$['@timestamp']"),
    ("$.@timestamp", "$['@timestamp']"),
    ("$.hits.@timestamp.x", "$.hits['@timestamp'].x"),
    ("$.#text", "$['#text']"),
    ("$.links.$ref", "$.links['$ref']"),
    ("$.a+b", "$['a+b']"),
    ("urn:ietf:params:scim:User", "$['urn:ietf:params:scim:User']"),
    (
        "$.urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.employeeNumber",
        "$['urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'].employeeNumber",
    ),
    ("$.https://schema.org/name", "$['https://schema.org/name']"),
    ("$.dc:title", "$['dc:title']"),
    ("$[email]", "$.email"),
    ("$.customer[email]", "$.customer.email"),
    ("$.customer[first-name, email]", "$.customer['first-name','email']"),
    ("$['home'|'work']", "$['home','work']"),
    ("$.\"first name\"", "$['first name']"),
    (".[\"first name\"]", "$['first name']"),
    ("$.customer->email", "$.customer.email"),
    ("$.customer->>'email'", "$.customer.email"),
    ("$.customer?.email", "$.customer.email"),
    (".email?", "$.email"),
    ("$.customer...email", "$.customer..email"),
    ("$.a.**", "$.a..*"),
    ("$.email.", "$.email"),
    ("$.a[\"b\"", "$.a.b"),
    // Word processors, web pages, shells.
    ("“$.email”", "$.email"),
    ("„$.email“", "$.email"),
    ("«$.email»", "$.email"),
    ("‘$.email’", "$.email"),
    ("\"$.email\"", "$.email"),
    ("`$.email`", "$.email"),
    ("$.“email”", "$.email"),
    ("$[‘first name’]", "$['first name']"),
    ("$[“email”]", "$.email"),
    ("$.customer[’email’]", "$.customer.email"),
    ("“.email”", "$.email"),
    ("“/customer/email”", "$.customer.email"),
    ("{{ $.email }}", "$.email"),
    ("${email}", "$.email"),
    (" $.email", "$.email"),
    ("$.email ", "$.email"),
    ("$.email\u{a0}", "$.email"),
    ("\u{a0}$.email", "$.email"),
    ("$.\u{a0}email", "$.email"),
    ("$.email\u{200b}", "$.email"),
    ("\u{feff}$.email", "$.email"),
    ("＄．email", "$.email"),
    // Filters.
    ("$.items[?@.type=work].x", "$.items[?@.type == 'work'].x"),
    ("$.items[?(@.type=work)].x", "$.items[?@.type == 'work'].x"),
    ("$.items[@.type=='work'].x", "$.items[?@.type == 'work'].x"),
    ("$.items[type='work'].x", "$.items[?@.type == 'work'].x"),
    ("$.items[?type=='work'].x", "$.items[?@.type == 'work'].x"),
    ("$.items[?type==`work`].x", "$.items[?@.type == 'work'].x"),
    ("$.items[?@type=='work'].x", "$.items[?@.type == 'work'].x"),
    ("$.items[?@.type === 'work']", "$.items[?@.type == 'work']"),
    ("$.items[?@.type !== 'work']", "$.items[?@.type != 'work']"),
    ("$.items[?@.type <> 'work']", "$.items[?@.type != 'work']"),
    ("$.items[?@.type eq 'work']", "$.items[?@.type == 'work']"),
    ("$.items[?@.n => 3]", "$.items[?@.n >= 3]"),
    ("$.items[?@.type == “work”]", "$.items[?@.type == 'work']"),
    ("$.items[?@.type == ‘work’]", "$.items[?@.type == 'work']"),
    ("$.items[?@.type == work]", "$.items[?@.type == 'work']"),
    ("$.items[?@.ok == True]", "$.items[?@.ok == true]"),
    ("$.items[?@.ok is null]", "$.items[?@.ok == null]"),
    ("$.items[?@.ok is not None]", "$.items[?@.ok && @.ok != null]"),
    ("$.items[?@.a == 1 and @.b == 2]", "$.items[?@.a == 1 && @.b == 2]"),
    ("$.items[?@.a == 1 AND @.b == 2]", "$.items[?@.a == 1 && @.b == 2]"),
    ("$.items[?@.a == 1 & @.b == 2]", "$.items[?@.a == 1 && @.b == 2]"),
    ("$.items[?@.a == 1 or @.b == 2]", "$.items[?@.a == 1 || @.b == 2]"),
    ("$.items[?not @.a]", "$.items[?!@.a]"),
    ("$.items[?not(@.a == 1)]", "$.items[?!(@.a == 1)]"),
    ("$.items[?!@.a == 1]", "$.items[?!(@.a == 1)]"),
    ("$.items[?@.kind in ['a','b']].x", "$.items[?@.kind == 'a' || @.kind == 'b'].x"),
    ("$.items[?(@.kind in ['a'])].x", "$.items[?@.kind == 'a'].x"),
    ("$.items[?@.kind in ('a', 'b')]", "$.items[?@.kind == 'a' || @.kind == 'b']"),
    ("$.items[?@.n in [1,2] && @.ok]", "$.items[?(@.n == 1 || @.n == 2) && @.ok]"),
    ("$.items[?@.kind nin ['a','b']]", "$.items[?@.kind != 'a' && @.kind != 'b']"),
    ("$.items[?@.kind not in ['a']]", "$.items[?@.kind != 'a']"),
    ("$.items[?kind in [a, b]]", "$.items[?@.kind == 'a' || @.kind == 'b']"),
    ("$.items[?'a' in @.tags]", "$.items[?@.tags[?@ == 'a']]"),
    ("$.items[?@.name contains 'x']", "$.items[?search(@.name,'x')]"),
    ("$.items[?contains(@.name, 'a.b')]", "$.items[?search(@.name,'a\\\\.b')]"),
    ("$.items[?@.name.contains('x')]", "$.items[?search(@.name,'x')]"),
    ("$.items[?@.tags contains 7]", "$.items[?@.tags[?@ == 7]]"),
    ("$.items[?@.name startswith 'x']", "$.items[?match(@.name,'x.*')]"),
    ("$.items[?starts_with(@.name, 'x')]", "$.items[?match(@.name,'x.*')]"),
    ("$.items[?@.name.endsWith('x')]", "$.items[?match(@.name,'.*x')]"),
    ("$.items[?@.name like 'x%']", "$.items[?match(@.name,'x.*')]"),
    ("$.items[?@.name =~ /x/]", "$.items[?search(@.name,'x')]"),
    ("$.items[?@.name =~ /^x.*$/]", "$.items[?match(@.name,'x.*')]"),
    ("$.items[?@.name =~ '^x']", "$.items[?match(@.name,'x.*')]"),
    ("$.items[?@.name =~ \"\\d+$\"]", "$.items[?match(@.name,'.*[0-9]+')]"),
    ("$.items[?match(@.name, '^ab.*')]", "$.items[?match(@.name,'ab.*')]"),
    ("$.items[?search(@.name, '^ab')]", "$.items[?match(@.name,'ab.*')]"),
    ("$.items[?match(@.name, '\\\\d+')]", "$.items[?match(@.name,'[0-9]+')]"),
    ("$.items[?match(@.name, '[\\\\w.]+')]", "$.items[?match(@.name,'[A-Za-z0-9_.]+')]"),
    ("$.items[?length(@.name.first-name) > 2]", "$.items[?length(@.name['first-name']) > 2]"),
    ("$.items[?@.name.length() > 2]", "$.items[?length(@.name) > 2]"),
    ("$.items[?@.name.size() > 2]", "$.items[?length(@.name) > 2]"),
    ("$.items[?exists(@.name)]", "$.items[?@.name]"),
    ("$.items[?@.a.x-y == 'b'].c-d", "$.items[?@.a['x-y'] == 'b']['c-d']"),
    ("$.items[?@.a in ['x'] and .b = c].d[]", "$.items[?@.a == 'x' && @.b == 'c'].d[*]"),
];

#[test]
fn what_was_meant_is_proposed() {
    let mut wrong = Vec::new();
    for (text, expected) in MEANT.iter().filter(|(text, _)| !text.is_empty()) {
        let error = Path::parse(text).expect_err(text);
        let meant = error.meant.unwrap_or_else(|| format!("nothing, but {:?}", error.help));
        if meant != *expected {
            wrong.push(format!("{text}: {meant}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The paths that a help proposes, be it beside others, can all be read, and none is the mistake itself.
#[test]
fn what_a_help_proposes_can_be_read() {
    let more = [
        "$.*_url",
        "$.address_*",
        "$.a,b",
        "$.a~",
        "$.a^",
        "$.items.length()",
        "$.a..",
        "$.",
        "$..",
        "$[",
        "$.a[",
        "$[?]",
        "$[?@.a ==]",
        "$[?length(@.a)]",
        "$[?upper(@.a) == 'X']",
        "$[?@.a in @.b]",
        "$[?in(@.a,@.b)]",
        "$[?@.a =~ /x/i]",
        "$[?match(@.a,'(?i)x')]",
        "$[?match(@.a,'x*?')]",
        "$[?match(@.a,'\\\\bx')]",
        "$[01]",
        "$[9007199254740992]",
        "$['\\ud800']",
        "$.l’adresse",
        "",
        "?",
        "$.a)",
        "$[?@.a == 1 == 1]",
        "]",
        "…",
    ];
    let texts = MEANT.iter().map(|(text, _)| *text).chain(more);
    let mut proposed = 0;
    for text in texts {
        let error = Path::parse(text).expect_err(text);
        let help = error.help.unwrap_or_default();
        for path in
            help.split('`').skip(1).step_by(2).filter(|one| one.starts_with('$') && one.len() > 1)
        {
            assert!(Path::parse(path).is_ok(), "{text}: {help}");
            assert_ne!(path, text, "{help}");
            proposed += 1;
        }
        if let Some(meant) = &error.meant {
            assert!(help.starts_with(&format!("write `{meant}`")), "{help}");
        }
        assert!(!help.is_empty() || text.starts_with("$[9"), "{text}: {}", error.message);
    }
    assert!(proposed > MEANT.len(), "{proposed}");
}

/// No text, however it is cut or put together, makes what reads it fail or go on for long.
#[test]
fn what_is_meant_is_looked_for_within_bounds() {
    let pieces = [
        "$.items", "[", "]", "(", ")", "?", "@.a", "'", "\"", " in ", "..", "/", "\\", "“", "|",
        "not ", "=~ /", "!",
    ];
    let mut random = 7_usize;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(random >> 33) % pieces.len()]);
        }
        if let Err(error) = Path::parse(&text)
            && let Some(meant) = error.meant
        {
            assert!(Path::parse(&meant).is_ok(), "{text}: {meant}");
        }
    }
    for deep in ["[?(", "[?!", "(", "[", "not ", "!", "@.a["] {
        let text = format!("$.items[?{}", deep.repeat(1000 / deep.len()));
        assert!(Path::parse(&text).is_err());
    }
    let long = format!("$.items[?{}]", "@.a = 1 and ".repeat(100));
    assert_eq!(Path::parse(&long).unwrap_err().meant, None);
}

#[test]
fn what_no_path_can_say_is_explained() {
    let check = |text: &str, expected: &str| {
        let error = Path::parse(text).unwrap_err();
        let help = error.help.unwrap_or_default();
        assert!(help.contains(expected), "{text}: {help}");
        assert_eq!(error.meant, None, "{text}");
    };
    check("$.*_url", "a name has no patterns");
    check("$.address_*.city", "a name has no patterns");
    check("$.name~", "names");
    check("$.name^", "parent");
    check("$.items.length()", "functions stand in filters only");
    check("$.a, $.b", "each path stands on a line of its own");
    check("$.items[?@.kind in @.kinds]", "there is no `in`");
    check("$.items[?@.name =~ /x/i]", "no flags");
    check("$.items[?upper(@.name) == 'X']", "RFC 9535 has no function `upper`");
    check("$.items[?match(@.name, '(?:a)')]", "neither flags nor kinds of groups");
    check("$.items[?match(@.name, 'a+?')]", "no lazy");
}

#[test]
fn most_paths_are_read_without_the_grammar() {
    for text in [
        "$",
        "$.a",
        "$..a_1[*].B",
        "$[*].*..*..[*]",
        "$[0][17]..[3]",
        "$['first-name'][\"it's\"]..['a b']",
        "$[999999999999999]",
    ] {
        assert_eq!(plain::read(text), Some(Path::parse_any(text).unwrap()), "{text}");
    }
    for text in ["$['']", "$[-1]", "$[1:2]", "$[0,1]", "$.é", "$['\\n']", "$[1000000000000000]"] {
        assert_eq!(plain::read(text), None, "{text}");
        assert!(Path::parse(text).is_ok(), "{text}");
    }
    for text in ["$.", "$..", "$...a", "$.['a']", "$.a ", "$[01]", "$[]", "$['a'", "$.1", "a", ""] {
        assert_eq!(plain::read(text), None, "{text}");
    }
    let long = format!("${}", ".a".repeat(129));
    assert_eq!(plain::read(&long), None);
    assert_eq!(plain::read(&format!("$.{}", "n".repeat(257))), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// What is read without the grammar is what the grammar says.
    #[test]
    fn no_path_is_read_in_another_way_than_by_the_grammar(
        pieces in prop::collection::vec(
            prop_oneof![
                5 => prop::sample::select(vec![
                    ".a", "..b", ".*", "..*", "[*]", "..[*]", "[0]", "[12]", "['x']", "[\"y z\"]", "._1",
                ]),
                1 => prop::sample::select(vec![
                    ".", "..", "[", "]", "'", "\"", "*", "0", "01", "-", "-1", " ", "\t", "a", "_", "é",
                    ",", ":", "\\", "\\n", "$", "?", "@", "\u{7f}", "\n", "900719925474099",
                ]),
            ],
            0..6,
        ),
    ) {
        let text = format!("${}", pieces.concat());
        if let Some(path) = plain::read(&text) {
            prop_assert_eq!(Path::parse_any(&text).ok(), Some(path), "{}", text);
        }
    }
}

#[test]
fn brackets_nest_as_deep_as_they_may() {
    for (open, close) in [("(", ")"), ("!(", ")"), ("@[?", "]")] {
        let path =
            |levels: usize| format!("$[?{}@.a{}]", open.repeat(levels), close.repeat(levels));
        let deepest = Path::parse(&path(31)).unwrap();
        assert_eq!(Path::parse(&deepest.to_string()).unwrap(), deepest);
        let error = Path::parse(&path(32)).unwrap_err();
        assert_eq!(error.message, "brackets nested deeper than 32 levels");
        for levels in [1_000, 1_000_000] {
            assert_eq!(Path::parse(&path(levels)).unwrap_err().message, error.message);
        }
    }
    let text = format!("$['{}']", "[(".repeat(100));
    assert!(Path::parse(&text).is_ok(), "brackets in quotes are none");
}
