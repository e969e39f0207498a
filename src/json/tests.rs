use std::{fmt::Write as _, sync::Arc};

use super::{
    Always, Copied, Edits, Keeps, Kernel, Limits, OnContainer, OnName, OnScalar, Rewriter,
    Violation,
    kernel::{self, sweep},
};
use crate::path::{Kind, Path, PathId, Program, ProgramError, State};

/// What a test does to the nodes that a path selects.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Treat {
    Drop,
    Null,
    /// Scalars become their own length in bytes, or `null` where they do not fit.
    Measure,
    /// Containers pass whole.
    Pass,
    /// Names that are reached unspelled below this node are dropped, kept or put in angle brackets.
    NamesDrop,
    NamesBracket,
}

struct Rules {
    program: Arc<Program>,
    treats: Vec<Treat>,
    passed: u64,
    long_names: u64,
    unsettled: u64,
}

impl Rules {
    fn new(rules: &[(&str, Treat)]) -> Self {
        Self::compiled(rules, Program::compile)
    }

    fn compiled(
        rules: &[(&str, Treat)],
        compile: fn(&[Path]) -> Result<Program, ProgramError>,
    ) -> Self {
        let paths: Vec<Path> = rules.iter().map(|(path, _)| Path::parse(path).unwrap()).collect();
        Self {
            program: Arc::new(compile(&paths).unwrap()),
            treats: rules.iter().map(|(_, treat)| *treat).collect(),
            passed: 0,
            long_names: 0,
            unsettled: 0,
        }
    }

    fn treat(&self, state: State) -> Option<Treat> {
        self.program.selected(state).next().map(|path| self.treats[path.index()])
    }
}

impl Edits for Rules {
    type Scope = Option<Treat>;
    type Capture = char;

    fn root(&self) -> Option<Treat> {
        None
    }

    fn container(&mut self, _: Option<Treat>, state: State, _: Kind) -> OnContainer<Option<Treat>> {
        match self.treat(state) {
            Some(Treat::Drop) => OnContainer::Drop,
            Some(Treat::Null) => OnContainer::Null,
            Some(Treat::Pass) => OnContainer::Pass,
            treat => OnContainer::Enter(treat),
        }
    }

    fn scalar(&mut self, _: Option<Treat>, state: State) -> OnScalar<char> {
        match self.treat(state) {
            Some(Treat::Drop) => OnScalar::Drop,
            Some(Treat::Null) => OnScalar::Null,
            Some(Treat::Measure) => OnScalar::Capture('#'),
            _ => {
                self.passed += 1;
                OnScalar::Pass
            }
        }
    }

    /// What filters may ask is a matter of policies.
    fn keeps(&self, _: Option<Treat>, _: State, _: Option<Kind>) -> Keeps<Option<Treat>> {
        Keeps::Whole
    }

    fn keeps_name(&self, _: Option<Treat>, _: State, _: State) -> OnName<()> {
        OnName::Keep
    }

    fn name(&mut self, under: Option<Treat>, _: State, _: State) -> OnName<char> {
        match under {
            Some(Treat::NamesDrop) => OnName::Drop,
            Some(Treat::NamesBracket) => OnName::Capture('<'),
            _ => OnName::Keep,
        }
    }

    fn name_is_too_long(&mut self, _: Option<Treat>, _: State, _: State) {
        self.long_names += 1;
    }

    fn unsettled(&mut self, _: Option<Treat>, _: State) {
        self.unsettled += 1;
    }

    fn write_scalar(&mut self, _: char, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        match raw {
            Some(raw) => out.extend_from_slice(raw.len().to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn write_name(&mut self, _: char, name: Option<&str>, out: &mut Vec<u8>) -> bool {
        if let Some(name) = name {
            out.extend_from_slice(serde_json::to_string(&format!("<{name}>")).unwrap().as_bytes());
        }
        name.is_some()
    }

    fn passed(&mut self, scalars: u64) {
        self.passed += scalars;
    }

    fn always(
        &self,
        under: Option<Treat>,
        state: State,
        kind: Option<Kind>,
        unspelled: Option<State>,
    ) -> Option<Always> {
        let is_named = matches!(under, Some(Treat::NamesDrop | Treat::NamesBracket));
        if is_named && unspelled.is_some() {
            return None;
        }
        match (self.treat(state), kind) {
            (Some(Treat::Drop), _) => Some(Always::Drop),
            (Some(Treat::Null), _) => Some(Always::Null),
            (Some(Treat::Measure), None) => None,
            (_, None) | (Some(Treat::Pass), _) => Some(Always::Pass),
            (_, Some(_)) => None,
        }
    }
}

fn limits() -> Limits {
    Limits {
        depth_max: 8,
        name_bytes_max: 20,
        gap_bytes_max: 12,
        value_bytes_max: 16,
        candidate_bytes_max: 64,
        document_bytes_max: 200,
    }
}

fn run(
    rules: &[(&str, Treat)],
    limits: Limits,
    chunks: &[&[u8]],
) -> Result<(Vec<u8>, u64, u64), Violation> {
    run_on(Kernel::in_use(), &mut Rules::new(rules), limits, chunks)
}

fn run_on(
    kernel: Kernel,
    rules: &mut Rules,
    limits: Limits,
    chunks: &[&[u8]],
) -> Result<(Vec<u8>, u64, u64), Violation> {
    (rules.passed, rules.long_names) = (0, 0);
    let mut rewriter = Rewriter::new(rules.program.clone(), limits).on(kernel);
    let mut out = Vec::new();
    for chunk in chunks {
        rewriter.push(chunk, rules, &mut Copied { chunk, out: &mut out })?;
    }
    rewriter.finish(rules, &mut Copied { chunk: &[], out: &mut out })?;
    Ok((out, rules.passed, rules.long_names))
}

/// As [`outcome`], with how many nodes could not be judged.
fn outcome_of(
    rules: &[(&str, Treat)],
    limits: Limits,
    body: &[u8],
) -> Result<(Vec<u8>, u64, u64, u64), Violation> {
    let (out, passed, long_names) = outcome(rules, limits, body)?;
    let mut counted = Rules::new(rules);
    let mut rewriter = Rewriter::new(counted.program.clone(), limits);
    rewriter.push(body, &mut counted, &mut Copied { chunk: body, out: &mut Vec::new() })?;
    rewriter.finish(&mut counted, &mut Copied { chunk: &[], out: &mut Vec::new() })?;
    Ok((out, passed, long_names, counted.unsettled))
}

/// The only way in: `body` whole, cut at every byte, cut at every two bytes and byte by byte.
fn outcome(
    rules: &[(&str, Treat)],
    limits: Limits,
    body: &[u8],
) -> Result<(Vec<u8>, u64, u64), Violation> {
    let whole = run(rules, limits, &[body]);
    let comparable = |result: &Result<(Vec<u8>, u64, u64), Violation>| result.clone().ok();
    let mut cuts: Vec<Vec<&[u8]>> = (0..=body.len())
        .map(|at| {
            let (head, tail) = body.split_at(at);
            vec![head, tail]
        })
        .collect();
    cuts.push(body.chunks(1).collect());
    cuts.push(body.chunks(2).collect());
    cuts.push(body.chunks(7).collect());
    for chunks in cuts {
        let cut = run(rules, limits, &chunks);
        assert_eq!(comparable(&cut), comparable(&whole), "cut: {:?}", chunks.len());
    }
    whole
}

#[track_caller]
fn check(rules: &[(&str, Treat)], body: &str, expected: &str) {
    let (out, _, _) = outcome(rules, Limits::default(), body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected, "{rules:?} on {body}");
}

#[track_caller]
fn check_small(rules: &[(&str, Treat)], body: &str, expected: &str) {
    let (out, _, _) = outcome(rules, limits(), body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected, "{rules:?} on {body}");
}

const ODD: &str = "\u{20}\r\n{ \"a\" : [ 1.50 , -0,1E400 ,{}, [] ,[ ] ], \"\\u0061\":\"\\ud800 \\/é\",\t\"b\":{ \"c\":null } } \n";

#[test]
fn without_edits_every_byte_stays() {
    for body in [ODD, "1", " \"x\" ", "[]", "{ }", "null", "-0.0e-0", "\"\"", "[[[[]]],{\"\":{}}]"]
    {
        check(&[], body, body);
        check(&[("$.nothing.here", Treat::Drop), ("$..nothing", Treat::Null)], body, body);
        check(&[("$", Treat::Pass)], body, body);
    }
}

#[test]
fn members_leave_with_their_comma() {
    let drop_a = [("$.a", Treat::Drop)];
    check(&drop_a, r#"{"a":1}"#, "{}");
    check(&drop_a, r#"{"a":1,"b":2}"#, r#"{"b":2}"#);
    check(&drop_a, r#"{"b":2,"a":1}"#, r#"{"b":2}"#);
    check(&drop_a, r#"{"b":2,"a":1,"c":3}"#, r#"{"b":2,"c":3}"#);
    check(&drop_a, r#"{"a":1,"a":[{"a":2}],"b":2,"a":{}}"#, r#"{"b":2}"#);
    check(&drop_a, "{\n  \"b\": 1,\n  \"a\": {\"x\": [1]}\n}", "{\n  \"b\": 1\n}");
    check(&drop_a, "{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"b\": 2\n}");
    check(&drop_a, "{ \"a\" : 1 }", "{ }");
}

#[test]
fn elements_close_up_and_keep_their_index() {
    check(&[("$[1]", Treat::Drop)], "[0,1,2]", "[0,2]");
    check(&[("$[0,2]", Treat::Drop)], "[ 0, 1, 2 ]", "[ 1 ]");
    check(&[("$[0]", Treat::Drop), ("$[1]", Treat::Null)], "[0,[1],2]", "[null,2]");
    check(&[("$[*]", Treat::Drop)], "[0,{\"a\":[]},\"x\"]", "[]");
    check(&[("$[1:]", Treat::Drop)], "[[0],[1],[2]]", "[[0]]");
}

#[test]
fn every_spelling_of_a_name_is_the_name() {
    let drop = [("$.email", Treat::Drop)];
    check(
        &drop,
        r#"{"\u0065mail":1,"e\u006D\u0061il":2,"EMAIL":3,"email ":4}"#,
        r#"{"EMAIL":3,"email ":4}"#,
    );
    check(
        &[("$['😀']", Treat::Null)],
        r#"{"😀":1,"\ud83d\ude00":2,"\ud83d":3}"#,
        r#"{"😀":null,"\ud83d\ude00":null,"\ud83d":3}"#,
    );
    check(&[("$['a/\"b']", Treat::Null)], r#"{"a\/\"b":1}"#, r#"{"a\/\"b":null}"#);
}

#[test]
fn values_are_replaced_whatever_they_are() {
    let null = [("$.a", Treat::Null), ("$.b[*]", Treat::Null)];
    check(
        &null,
        r#"{"a":"x\"y","b":[1,true,"z",{},[[]]]}"#,
        r#"{"a":null,"b":[null,null,null,null,null]}"#,
    );
    check(&[("$", Treat::Null)], r#"{"a":{"b":[1,2,{"c":"d"}]}}"#, "null");
    check(&[("$", Treat::Null)], "123 ", "null ");
    check(&[("$", Treat::Drop)], " [1]", " null");
}

#[test]
fn scalars_are_captured_whole() {
    let measure = [("$..a", Treat::Measure)];
    check(
        &measure,
        r#"{"a":"xyz","b":[{"a":-1.5e3},{"a":true},{"a":""}]}"#,
        r#"{"a":5,"b":[{"a":6},{"a":4},{"a":2}]}"#,
    );
    check(&[("$", Treat::Measure)], "12345", "5");
    check(&[("$", Treat::Measure)], "\"é\" ", "4 ");
}

#[test]
fn a_value_that_is_too_long_does_not_stop_the_rest() {
    let measure = [("$.a", Treat::Measure)];
    check_small(&measure, r#"{"a":"12345678901234","b":1}"#, r#"{"a":16,"b":1}"#);
    check_small(&measure, r#"{"a":"123456789012345","b":1}"#, r#"{"a":null,"b":1}"#);
    check_small(&measure, r#"{"a":12345678901234567,"b":1}"#, r#"{"a":null,"b":1}"#);
}

#[test]
fn names_are_kept_dropped_or_replaced() {
    let body = r#"{"m":{"x":1, "y":{"z":2},"\ud800":3},"n":[]}"#;
    check(&[("$.m", Treat::NamesDrop)], body, r#"{"m":{},"n":[]}"#);
    check(&[("$.m", Treat::NamesBracket)], body, r#"{"m":{"<x>":1, "<y>":{"z":2}},"n":[]}"#);
    let spelled = [("$.m", Treat::NamesDrop), ("$.m.y", Treat::NamesBracket)];
    check(&spelled, body, r#"{"m":{ "y":{"<z>":2}},"n":[]}"#);
}

#[test]
fn a_name_that_is_too_long_goes_with_its_member() {
    let fits = format!(r#"{{"{}":1,"b":2}}"#, "n".repeat(20));
    check_small(&[], &fits, &fits);
    let long = format!(r#"{{"{}":{{"x":[1]}}, "b":2}}"#, "n".repeat(21));
    check_small(&[], &long, r#"{ "b":2}"#);
    let (_, _, long_names) = outcome(&[], limits(), long.as_bytes()).unwrap();
    assert_eq!(long_names, 1);
    let (_, _, dropped) = outcome(&[("$", Treat::NamesDrop)], limits(), long.as_bytes()).unwrap();
    assert_eq!(dropped, 0, "it would not have stayed anyway");
    check_small(&[("$", Treat::Pass)], &long, &long);
}

#[test]
fn white_space_that_is_too_long_is_left_out() {
    let fits = format!("[1,{}2]", " ".repeat(11));
    check_small(&[], &fits, &fits);
    check_small(&[], &format!("[1,{}2]", " ".repeat(12)), "[1,2]");
    check_small(&[], &format!("[{}2]", " ".repeat(13)), "[2]");
    check_small(&[], &format!("[{}]", " ".repeat(13)), "[]");
    check_small(
        &[("$.b", Treat::Drop)],
        &format!("{{\"a b\"{0}:{0}1{0},{0}\"b\":2,{0}\"c\"  :  3}}", " ".repeat(7)),
        &format!("{{\"a b\":1{},\"c\":3}}", " ".repeat(7)),
    );
}

#[test]
fn what_passes_whole_is_counted_and_not_looked_into() {
    let body = r#"{"a":{"b":[1,"x",null,{"c":true}]},"d":2}"#;
    let rules = [("$.a", Treat::Pass), ("$.a.b", Treat::Drop)];
    let (out, passed, _) = outcome(&rules, Limits::default(), body.as_bytes()).unwrap();
    assert_eq!((String::from_utf8(out).unwrap().as_str(), passed), (body, 5));
}

#[test]
fn depth_is_limited_to_the_level() {
    for rules in [&[][..], &[("$", Treat::Pass)], &[("$", Treat::Drop)]] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let deep = |n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
            assert!(outcome(rules, limits(), deep(8).as_bytes()).is_ok());
            let at = (open.len() * 8) as u64;
            assert_eq!(
                outcome(rules, limits(), deep(9).as_bytes()),
                Err(Violation::Depth { at }),
                "{rules:?}"
            );
        }
    }
}

/// The second record is like the first, and what is below it is not looked into.
#[test]
fn depth_is_limited_below_what_is_alike() {
    for depth_max in [4, 8, 64, 65, 66, 100] {
        let limits = Limits { depth_max, ..limits() };
        for treat in [Treat::Pass, Treat::Null, Treat::Drop] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                // Two levels are around it.
                let body = |n: usize| {
                    let deep = format!("{}1{}", open.repeat(n), close.repeat(n));
                    format!(
                        "[{{\"x\":[1],\"d\":{open}2{close}}},{{\"x\":[1],\"d\":{deep},\"y\":3}}]"
                    )
                };
                let rules = [("$[*].*", treat)];
                assert!(run(&rules, limits, &[body(depth_max - 2).as_bytes()]).is_ok());
                let too_deep = body(depth_max - 1);
                let at = too_deep.rfind(open).unwrap() as u64;
                let refused = run(&rules, limits, &[too_deep.as_bytes()]);
                assert_eq!(refused, Err(Violation::Depth { at }), "{depth_max} {treat:?}");
            }
        }
    }
}

#[test]
fn members_that_are_alike_are_told_by_every_byte_of_their_names() {
    let rules = [("$[*].secret", Treat::Drop), ("$[*]['a name of fifteen']", Treat::Null)];
    let body = |name: &str| {
        format!(
            r#"[{{"k":1,"open":2,"last":3}},{{"k":1,"open":2,"last":3}},{{"k":1,"{name}":2,"last":3}}]"#
        )
    };
    let same = r#"{"k":1,"open":2,"last":3}"#;
    for (name, left) in [
        ("open", r#"{"k":1,"open":2,"last":3}"#),
        ("secret", r#"{"k":1,"last":3}"#),
        ("s\\u0065cret", r#"{"k":1,"last":3}"#),
        ("opem", r#"{"k":1,"opem":2,"last":3}"#),
        ("ope", r#"{"k":1,"ope":2,"last":3}"#),
        ("open ", r#"{"k":1,"open ":2,"last":3}"#),
        ("\\u006fpen", r#"{"k":1,"\u006fpen":2,"last":3}"#),
        ("a name of fifteen", r#"{"k":1,"a name of fifteen":null,"last":3}"#),
    ] {
        check(&rules, &body(name), &format!("[{same},{same},{left}]"));
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for rules in [&[][..], &[("$.a", Treat::Drop)], &[("$", Treat::Drop)], &[("$", Treat::Pass)]] {
        for body in [
            "",
            " ",
            "[",
            "]",
            "{",
            "}",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "{]",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"a\" 1}",
            "{\"a\"::1}",
            ":",
            ",",
            "\"",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u00g0\"",
            "\"\\u00\"",
            "\"\t\"",
            "\"\0\"",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "1.5.",
            "--1",
            "0x10",
            "tru",
            "truee",
            "nul",
            "NaN",
            "Infinity",
            "1\"a\"",
            "\"a\"1",
            "[1\"a\"]",
            "true false",
            "1 1",
            "{} {}",
            "[]x",
            "'a'",
            "{'a':1}",
            "[1]\0",
            "\u{feff}1",
            "{\"a\":1}}",
            "[[]",
            "{\"a\":[}",
            "// c\n1",
            "1,",
            "nulll",
        ] {
            assert!(outcome(rules, limits(), body.as_bytes()).is_err(), "{body:?} {rules:?}");
        }
        for body in [
            &b"\xff"[..],
            b"\"\xff\"",
            b"\"\xc3\"",
            b"\"\xc0\x80\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf4\x90\x80\x80\"",
            b"\"\xe2\x82\"",
            b"[\"\xf0\x9f\x98\"]",
            b"1\0",
            b"\xef\xbb\xbf{}",
            b"\xff\xfe[\0]\0",
            b"\"a\xc3",
            b"{\"\xc3\x28\":1}",
        ] {
            assert!(outcome(rules, limits(), body).is_err(), "{body:?} {rules:?}");
        }
    }
}

#[test]
fn errors_say_where() {
    let error = |body: &str| outcome(&[], limits(), body.as_bytes()).unwrap_err();
    assert_eq!(error("{\"a\":1,}"), Violation::Grammar { at: 7 });
    assert_eq!(error("[1,2"), Violation::Cut);
    assert_eq!(error("  01"), Violation::Grammar { at: 3 });
    let utf8 = run(&[], limits(), &[b"[\"ab", b"c\xff\"]"]).unwrap_err();
    assert_eq!(utf8, Violation::Utf8 { at: 5 });
}

#[test]
fn after_an_error_nothing_more_comes_out() {
    let mut rules = Rules::new(&[]);
    let mut rewriter = Rewriter::new(rules.program.clone(), limits());
    let mut out = Vec::new();
    let first = rewriter.push(b"[1,,", &mut rules, &mut Copied { chunk: b"[1,,", out: &mut out });
    let before = out.clone();
    let again = rewriter.push(b"2]", &mut rules, &mut Copied { chunk: b"2]", out: &mut out });
    assert_eq!(first, again);
    assert_eq!(first, rewriter.finish(&mut rules, &mut Copied { chunk: b"", out: &mut out }));
    assert_eq!(out, before);
}

/// A reader can show how far a document was good, however it was cut.
#[test]
fn what_was_decided_before_an_error_leaves() {
    let body = b"{\"a\":[1,{\"b\":2,\"c\":3}],\"d\":4,\"e\":x}";
    for size in 1..=body.len() {
        let mut rules = Rules::new(&[("$..c", Treat::Drop)]);
        let mut rewriter = Rewriter::new(rules.program.clone(), limits());
        let mut out = Vec::new();
        let mut chunks = body.chunks(size);
        let failed = chunks.find(|chunk| {
            rewriter.push(chunk, &mut rules, &mut Copied { chunk, out: &mut out }).is_err()
        });
        assert!(failed.is_some());
        let out = String::from_utf8(out).unwrap();
        // The name before what is wrong is decided as well, and may have left.
        let at_least = "{\"a\":[1,{\"b\":2}],\"d\":4";
        assert!(out == at_least || out == format!("{at_least},\"e\":"), "chunks of {size}: {out}");
    }
}

#[test]
fn after_a_panic_nothing_more_comes_out() {
    struct Panicking(Rules);
    impl Edits for Panicking {
        type Scope = ();
        type Capture = ();
        fn root(&self) {}
        fn container(&mut self, (): (), _: State, _: Kind) -> OnContainer<()> {
            OnContainer::Enter(())
        }
        fn scalar(&mut self, (): (), _: State) -> OnScalar<()> {
            panic!("a bug in an edit")
        }
        fn name(&mut self, (): (), _: State, _: State) -> OnName<()> {
            OnName::Keep
        }
        fn name_is_too_long(&mut self, (): (), _: State, _: State) {}
        fn unsettled(&mut self, (): (), _: State) {}
        fn write_scalar(&mut self, (): (), _: Option<&[u8]>, _: &mut Vec<u8>) {}
        fn write_name(&mut self, (): (), _: Option<&str>, _: &mut Vec<u8>) -> bool {
            false
        }
        fn passed(&mut self, _: u64) {}
    }
    let mut edits = Panicking(Rules::new(&[]));
    let mut rewriter = Rewriter::new(edits.0.program.clone(), limits());
    let mut out = Vec::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rewriter.push(b"[1", &mut edits, &mut Copied { chunk: b"[1", out: &mut Vec::new() })
    }));
    assert!(panicked.is_err());
    let again = rewriter.push(b"]", &mut edits, &mut Copied { chunk: b"]", out: &mut out });
    assert_eq!((again, out.as_slice()), (Err(Violation::Cut), &b""[..]));
}

#[test]
fn debug_says_nothing_of_the_document() {
    let mut rules = Rules::new(&[("$.a", Treat::Measure)]);
    let mut rewriter = Rewriter::new(rules.program.clone(), limits());
    let chunk = b"{\"a\":\"secret";
    rewriter.push(chunk, &mut rules, &mut Copied { chunk, out: &mut Vec::new() }).unwrap();
    assert!(!format!("{rewriter:?}").contains("secret"));
}

#[test]
fn documents_longer_than_a_window() {
    let body = format!(
        "[{}]",
        (0..5000)
            .map(|n| format!("{{\"id\":{n},\"a\":\"{}\"}}", "x".repeat(n % 40)))
            .collect::<Vec<_>>()
            .join(",")
    );
    let expected = format!(
        "[{}]",
        (0..5000)
            .map(|n| format!("{{\"id\":{n},\"a\":{}}}", n % 40 + 2))
            .collect::<Vec<_>>()
            .join(",")
    );
    assert!(body.len() > 8 * kernel::WINDOW_BYTES_MAX);
    for size in [1, 63, 4096, kernel::WINDOW_BYTES_MAX, kernel::WINDOW_BYTES_MAX + 1, body.len()] {
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
        let (out, _, _) = run(&[("$..a", Treat::Measure)], Limits::default(), &chunks).unwrap();
        assert!(out == expected.as_bytes(), "chunks of {size}");
    }
}

const NAMES: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"dd",
    b"\\u0061",
    b"m",
    b"name of eighteen b",
    b"a name that is too long",
    b"",
];

/// A value by chance.
fn value(rng: &mut sweep::Rng, depth: usize, out: &mut Vec<u8>) {
    const SCALARS: &[&[u8]] = &[
        b"1",
        b"-0.5",
        b"12345678",
        b"123456789.25",
        b"1e9",
        b"-7E-2",
        b"0",
        b"true",
        b"false",
        b"null",
        b"\"\"",
        b"\"text\"",
        b"\"\\u00e9\\n\"",
        b"\"\xc3\xa9 }],{\"",
        b"\"a longer text than fits\"",
    ];
    let kind = if depth == 0 { 0 } else { rng.below(5) };
    if kind < 2 {
        out.extend_from_slice(rng.pick(SCALARS));
        return;
    }
    let (open, close) = if kind == 2 { (b'[', b']') } else { (b'{', b'}') };
    out.push(open);
    for n in 0..rng.below(5) {
        if n > 0 {
            out.push(b',');
        }
        space(rng, out);
        if kind > 2 {
            out.push(b'"');
            out.extend_from_slice(rng.pick(NAMES));
            out.push(b'"');
            space(rng, out);
            out.push(b':');
            space(rng, out);
        }
        value(rng, depth - 1, out);
        space(rng, out);
    }
    out.push(close);
}

fn space(rng: &mut sweep::Rng, out: &mut Vec<u8>) {
    const SPACES: &[&[u8]] = &[b"", b"", b"", b"", b" ", b"\n  ", b"                "];
    out.extend_from_slice(rng.pick(SPACES));
}

/// Objects of which each has mostly the members of the one before.
fn records(rng: &mut sweep::Rng, out: &mut Vec<u8>) {
    let mut members: Vec<(usize, Vec<u8>)> = Vec::new();
    for _ in 0..=rng.below(5) {
        let mut member = Vec::new();
        value(rng, 2, &mut member);
        members.push((rng.below(NAMES.len()), member));
    }
    out.push(b'[');
    for n in 0..2 + rng.below(3) {
        out.extend_from_slice(if n > 0 { b",{" } else { b"{" });
        match rng.below(6) {
            0 => drop(members.pop()),
            1 => members.extend(members.first().cloned()),
            2 => members.reverse(),
            _ => {}
        }
        for (at, (name, member)) in members.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if rng.below(8) == 0 {
                *name = rng.below(NAMES.len());
            }
            if rng.below(4) == 0 {
                member.clear();
                value(rng, 2, member);
            }
            out.push(b'"');
            out.extend_from_slice(NAMES[*name]);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(member);
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// A document with everything in it that the rules below meet; sometimes one byte is wrong.
fn document(rng: &mut sweep::Rng) -> Vec<u8> {
    let mut out = Vec::new();
    if rng.below(3) == 0 {
        records(rng, &mut out);
    } else {
        value(rng, 4, &mut out);
    }
    if rng.below(4) == 0 {
        let at = rng.below(out.len());
        match rng.below(3) {
            0 => out[at] = rng.pick(b"{}[]:,\"\\ 0-.eax\x00\x1f\xff"),
            1 => drop(out.remove(at)),
            _ => out.insert(at, rng.pick(b"{}[]:,\"\\ 0-.eax\x00")),
        }
    }
    out
}

/// Byte by byte, nothing is ever taken but one token at a time: what comes out then has to come out
/// however a document is cut, and whichever kernel reads it.
#[test]
#[expect(clippy::print_stdout, reason = "a sweep says what it swept")]
fn neither_cuts_nor_kernels_make_a_difference() {
    const RULES: &[&[(&str, Treat)]] = &[
        &[],
        &[("$", Treat::Pass)],
        &[("$", Treat::Drop)],
        &[("$..a", Treat::Drop), ("$..b", Treat::Null), ("$..c", Treat::Measure)],
        &[("$..a", Treat::Pass), ("$.b[1:3]", Treat::Drop), ("$..m", Treat::NamesBracket)],
        &[("$..*", Treat::Measure), ("$.a", Treat::NamesDrop)],
        &[("$", Treat::NamesBracket), ("$..dd", Treat::Drop), ("$..['']", Treat::Null)],
        &[("$[*].a", Treat::Pass), ("$[*].b", Treat::Null), ("$[*].*", Treat::Pass)],
        &[("$[*].a", Treat::Drop), ("$[*].c", Treat::Pass), ("$[*].m", Treat::Measure)],
    ];
    let mut rules: Vec<Rules> = RULES.iter().map(|rules| Rules::new(rules)).collect();
    let (mut cases, mut accepted, mut documents) = (0u64, 0u64, 0u64);
    for seed in sweep::seeds(400) {
        let rng = &mut sweep::Rng::new(seed);
        let document = document(rng);
        let which = rng.below(rules.len());
        let rules = &mut rules[which];
        let bytes: Vec<&[u8]> = document.chunks(1).collect();
        let expected = run_on(Kernel::named("portable").unwrap(), rules, limits(), &bytes).ok();
        let is_json = serde_json::from_slice::<serde_json::Value>(&document).is_ok();
        assert_eq!(
            expected.is_some(),
            is_json,
            "seed {seed}: {}",
            String::from_utf8_lossy(&document)
        );
        accepted += u64::from(is_json);
        documents += 1;
        for kernel in Kernel::all() {
            for cut in 0..=document.len() {
                let (head, tail) = document.split_at(cut);
                let middle = rng.below(tail.len() + 1);
                let (body, tail) = tail.split_at(middle);
                let found = run_on(kernel, rules, limits(), &[head, body, tail]).ok();
                assert!(
                    found == expected,
                    "seed {seed}, {}, cut at {cut} and {middle} behind: {:?}\n{}\n{found:?}\n{expected:?}",
                    kernel.name(),
                    RULES[which],
                    String::from_utf8_lossy(&document)
                );
                cases += 1;
            }
        }
    }
    println!(
        "{documents} documents, {accepted} accepted, {cases} ways to cut and to read them: all alike"
    );
}

#[test]
fn elements_from_the_end_wait_for_those_after_them() {
    check(&[("$[-1]", Treat::Drop)], "[0,1,2]", "[0,1]");
    check(&[("$[-1]", Treat::Drop)], "[ 0 ]", "[ ]");
    check(&[("$[-1]", Treat::Drop)], "[]", "[]");
    check(&[("$[-2:]", Treat::Null)], "[{\"a\":[1,2]}, \"]\", 2 ]", "[{\"a\":[1,2]}, null, null ]");
    check(&[("$[:-2]", Treat::Drop)], "[[0],[1],[2],[3]]", "[[2],[3]]");
    check(&[("$[1:-1]", Treat::Drop)], "[0,1,2,3]", "[0,3]");
    check(&[("$[::-2]", Treat::Drop)], "[0,1,2,3,4]", "[1,3]");
    check(&[("$[-3]", Treat::Drop)], "[0,1]", "[0,1]");
    check(&[("$[5:0:-2]", Treat::Drop)], "[0,1,2,3]", "[0,2]");
    check(&[("$[5:0:-2]", Treat::Drop)], "[0,1,2,3,4,5,6,7]", "[0,2,4,6,7]");
    check(&[("$[-1].a", Treat::Drop)], r#"[{"a":1},{"a":2,"b":3}]"#, r#"[{"a":1},{"b":3}]"#);
    check(&[("$..[-1]", Treat::Drop)], "[[0,1],[2,[3,4]],5]", "[[0],[2]]");
    check(&[("$..[-1]", Treat::Null)], "[[0,1],[2,[3,4]]]", "[[0,null],null]");
    check(&[("$[-1]", Treat::Measure)], r#"["abc","de\"f"]"#, r#"["abc",7]"#);
    check(&[("$[-2]", Treat::Pass)], "[1,[2,{}],3]", "[1,[2,{}],3]");
}

#[test]
fn what_waits_for_the_end_of_an_array_is_bounded() {
    // 64 bytes, of which each element takes 16 besides its own.
    let last = [("$[-1]", Treat::Null)];
    check_small(
        &last,
        &format!("[\"{0}\",\"{0}\"]", "x".repeat(28)),
        &format!("[\"{}\",null]", "x".repeat(28)),
    );
    check_small(&last, &format!("[\"{0}\",\"{0}\"]", "x".repeat(60)), "[]");
    check_small(&last, &format!("[1,\"{}\",2,3]", "x".repeat(60)), "[1,2,null]");
    let (_, _, _, unsettled) =
        outcome_of(&last, limits(), format!("[1,\"{}\",2,3]", "x".repeat(60)).as_bytes()).unwrap();
    assert_eq!(unsettled, 1);
    check_small(&[("$[::-2]", Treat::Null)], "[1,2,3,4,5]", "[null,4,null]");
}

#[test]
fn filters_choose_among_elements_and_members() {
    let drop = [("$[?@.t == 'x']", Treat::Drop)];
    check(
        &drop,
        r#"[{"t":"x","a":1}, {"a":2,"t":"y"} ,{"a":3},7,"x"]"#,
        r#"[ {"a":2,"t":"y"} ,{"a":3},7,"x"]"#,
    );
    check(
        &drop,
        r#"{"m":{"t":"x"}, "n" : {"t":"\u0079"},"o":{"\u0074":"\u0078"}}"#,
        r#"{ "n" : {"t":"\u0079"}}"#,
    );
    check(
        &[("$[?@.t == 'x'].a", Treat::Null)],
        r#"[{"a":1,"t":"x"},{"a":1}]"#,
        r#"[{"a":null,"t":"x"},{"a":1}]"#,
    );
    check(&[("$[?@ > 2]", Treat::Drop)], "[1,2.0,2.5,3e0,-9,\"3\",true]", "[1,2.0,-9,\"3\",true]");
    check(
        &[("$..[?@.a]", Treat::Drop)],
        r#"{"x":{"a":1},"y":[{"z":{"a":null}},[{"a":{}}]]}"#,
        r#"{"y":[{},[]]}"#,
    );
    check(
        &[("$..[?@.a].a", Treat::Null)],
        r#"{"x":{"a":{"y":{"a":[1]}},"b":{"a":2}}}"#,
        r#"{"x":{"a":null,"b":{"a":null}}}"#,
    );
    check(&[("$[?@.a,-1]", Treat::Drop)], r#"[{"a":1},{"b":1},{"c":1}]"#, r#"[{"b":1}]"#);
    check(&[("$[?count(@.*) == 2]", Treat::Drop)], r#"[[1,2],{"a":1,"b":2},[],3]"#, "[[],3]");
    check(
        &[("$[?match(@.n,'a.c')]", Treat::Drop)],
        r#"[{"n":"abc"},{"n":"xabc"},{"n":"a\nc"}]"#,
        r#"[{"n":"xabc"},{"n":"a\nc"}]"#,
    );
    check(&[("$[?@]", Treat::Measure)], r#"["abc",12345 ,true]"#, "[5,5 ,4]");
    check(&[("$[?@]", Treat::Drop)], "[]", "[]");
    check(&[("$[?@]", Treat::Drop)], "{ }", "{ }");
}

#[test]
fn names_that_filters_reach_are_decided_with_their_members() {
    let rules = [("$.m", Treat::NamesBracket), ("$.m[?@.a]", Treat::Null), ("$.m.y", Treat::Null)];
    check(
        &rules,
        r#"{"m":{"x":{"a":1}, "y" : {"a":2},"\u007a":[],"\ud800":{"a":1}},"n":1}"#,
        r#"{"m":{"<x>":null, "y" : null,"<z>":[]},"n":1}"#,
    );
    let long = format!(r#"{{"{}":{{"a":1}}, "b":2}}"#, "n".repeat(21));
    check_small(&[("$[?@.a]", Treat::Null)], &long, r#"{ "b":2}"#);
}

#[test]
fn what_cannot_be_judged_is_removed() {
    let rules = [("$[?@.t == 'x'].a", Treat::Null)];
    let removed = |body: &str, expected: &str, removed: u64| {
        let (out, _, _, unsettled) = outcome_of(&rules, limits(), body.as_bytes()).unwrap();
        assert_eq!(
            (String::from_utf8(out).unwrap().as_str(), unsettled),
            (expected, removed),
            "{body}"
        );
    };
    removed(r#"[{"t":"x","t":"y"},1]"#, "[1]", 1);
    removed(r#"[{"t":"x","\u0074":"x"},1]"#, "[1]", 1);
    removed(r#"[{"t":"\ud800"},{"u":"\ud800","u":1}]"#, r#"[{"u":"\ud800","u":1}]"#, 1);
    let late = |length: usize| format!("[{{\"a\":\"{}\",\"t\":\"y\"}},1]", "x".repeat(length));
    removed(&late(50), "[1]", 1);
    removed(&late(49), &late(49), 0);
    removed(&late(48), &late(48), 0);
    let (out, _, _, unsettled) =
        outcome_of(&[("$[?@ > 1]", Treat::Null)], limits(), b"[1,1e400,2,-1E400,1e-400]").unwrap();
    assert_eq!((out.as_slice(), unsettled), (&b"[1,null]"[..], 3));
}

/// As [`run`], with what has left before the last chunk.
fn leaves_before_the_end(rules: &[(&str, Treat)], chunks: &[&[u8]]) -> Vec<u8> {
    let mut rules = Rules::new(rules);
    let mut rewriter = Rewriter::new(rules.program.clone(), limits());
    let mut out = Vec::new();
    for chunk in chunks {
        rewriter.push(chunk, &mut rules, &mut Copied { chunk, out: &mut out }).unwrap();
    }
    out
}

#[test]
fn a_long_value_goes_as_soon_as_its_filters_are_answered() {
    let rules =
        [("$[?@.r.t == 'x' && @.n[1] > 1].a", Treat::Null), ("$[?@.r.t == 'y']", Treat::Drop)];
    let pad = "z".repeat(100);
    let body = format!(
        r#"[{{"n":[0,2,5],"r":{{"u":[{{}}],"\u0074":"x"}},"p":"{pad}","a":"{pad}"}},{{"a":1}}]"#
    );
    let expected = body.replace(&format!(r#""a":"{pad}""#), r#""a":null"#);
    check_small(&rules, &body, &expected);
    let early = leaves_before_the_end(&rules, &[body.as_bytes()[..80].as_ref()]);
    assert_eq!(early, &body.as_bytes()[..80], "it does not wait for the end of the value");
    let dropped = format!(r#"[{{"r":{{"t":"y"}},"p":"{pad}"}},{{"a":1}}]"#);
    check_small(&rules, &dropped, r#"[{"a":1}]"#);
    // Nothing is known before the limit: it goes, however it would have been answered.
    let late = format!(r#"[{{"p":"{pad}","n":[0,2],"r":{{"t":"x"}},"a":1}},{{"a":1}}]"#);
    let (out, _, _, unsettled) = outcome_of(&rules, limits(), late.as_bytes()).unwrap();
    assert_eq!((out.as_slice(), unsettled), (&br#"[{"a":1}]"#[..], 1));
    // What is not there is known when its object ends.
    let absent = [("$[?@.r.t].a", Treat::Null)];
    let body = format!(r#"[{{"r":{{}},"p":"{pad}","a":1}}]"#);
    check_small(&absent, &body, &body);
    // Inside of a value that was let go, others wait for themselves.
    let nested = [("$..[?@.t == 'x'].a", Treat::Null)];
    let inner = format!(r#"{{"t":"x","p":"{pad}","a":2}}"#);
    let body = format!(r#"[{{"t":"x","p":"{pad}","i":[{inner},{{"a":3,"t":"x"}}],"a":1}}]"#);
    let expected = body.replace(r#""a":2"#, r#""a":null"#).replace(r#""a":3"#, r#""a":null"#);
    check_small(&nested, &body, &expected.replace(r#""a":1"#, r#""a":null"#));
}

#[test]
fn what_turns_out_ambiguous_after_it_began_to_leave_is_refused() {
    let rules = [("$[?@.r.t == 'x'].a", Treat::Null)];
    let pad = "z".repeat(100);
    for again in [r#""r":1"#, r#""\u0072":{}"#] {
        let body = format!(r#"[{{"r":{{"t":"x"}},"p":"{pad}",{again},"a":1}}]"#);
        let refused = outcome(&rules, limits(), body.as_bytes());
        assert!(matches!(refused, Err(Violation::Ambiguous { .. })), "{refused:?}");
    }
    // As long as it waits, only the value goes.
    let body = format!(r#"[{{"r":{{"t":"x"}},"r":1,"p":"{pad}","a":1}},2]"#);
    let (out, _, _, unsettled) = outcome_of(&rules, limits(), body.as_bytes()).unwrap();
    assert_eq!((out.as_slice(), unsettled), (&b"[2]"[..], 1));
    // Elsewhere it may stand as often as it likes.
    let body = format!(
        r#"[{{"r":{{"t":"x","u":{{"t":1,"t":2}}}},"p":"{pad}","q":{{"r":1,"r":2}},"b":1}}]"#
    );
    check_small(&rules, &body, &body);
}

#[test]
fn filters_ask_about_the_document() {
    let own = [("$.rows[?@.owner == $.viewer.id]", Treat::Drop)];
    check(
        &own,
        " { \"rows\" : [ {\"owner\":7,\"a\":1}, {\"owner\":8} ,{}],\n\"viewer\":{\"id\":7.0} }\r\n",
        " { \"rows\" : [ {\"owner\":8} ,{}],\n\"viewer\":{\"id\":7.0} }\r\n",
    );
    check(&own, r#"{"rows":[{"owner":7},{}]}"#, r#"{"rows":[{"owner":7}]}"#);
    check(
        &own,
        r#"{"rows":[{"owner":7}],"v\u0069ewer":{"i\u0064":7}}"#,
        r#"{"rows":[],"v\u0069ewer":{"i\u0064":7}}"#,
    );
    check(&[("$[?$]", Treat::Null)], "[1,[2]]", "[null,null]");
    check(&[("$[?$]", Treat::Null)], "7 ", "7 ");
    check(
        &[("$[?@ == $[0]]", Treat::Null)],
        r#"["a","b","\u0061",["a"]]"#,
        r#"[null,"b",null,["a"]]"#,
    );
    check(&[("$.a[?@ < length($.a)]", Treat::Drop)], r#"{"a":[1,2,3,4]}"#, r#"{"a":[4]}"#);
    check(
        &[("$[?@ == count($..x)]", Treat::Null)],
        r#"[1,2,{"x":{"x":0}},2]"#,
        r#"[1,null,{"x":{"x":0}},null]"#,
    );
    check(
        &[("$.n[?@ == value($..x)]", Treat::Null)],
        r#"{"n":[1,2],"y":{"x":2}}"#,
        r#"{"n":[1,null],"y":{"x":2}}"#,
    );
    check(
        &[("$.n[?@ == value($..x)]", Treat::Null)],
        r#"{"n":[1,2],"y":{"x":2},"x":1}"#,
        r#"{"n":[1,2],"y":{"x":2},"x":1}"#,
    );
    let matching = [("$.n[?match(@,$.p)]", Treat::Null), ("$.n[?search(@,$.p)]", Treat::Drop)];
    check(&matching, r#"{"n":["ab","xabx","b"],"p":"a."}"#, r#"{"n":[null,"b"],"p":"a."}"#);
    check(&matching, r#"{"n":["ab","(","b"],"p":"("}"#, r#"{"n":["ab","(","b"],"p":"("}"#);
    check(&matching, r#"{"n":["ab","1"],"p":1}"#, r#"{"n":["ab","1"],"p":1}"#);
    check(
        &[("$.n[?match($.t,@)]", Treat::Null)],
        r#"{"n":["a.","b."],"t":"ab"}"#,
        r#"{"n":[null,"b."],"t":"ab"}"#,
    );
    // Objects, whatever the order of their members; arrays.
    check(
        &[("$.n[?@ == $.x]", Treat::Null)],
        r#"{"n":[{"a":1,"b":[2]},{"b":[2.0],"a":1e0},{"a":1}],"x":{"b":[2],"a":1}}"#,
        r#"{"n":[null,null,{"a":1}],"x":{"b":[2],"a":1}}"#,
    );
    // In the filters of filters, `@` is what the inner one is asked of.
    check(
        &[("$.r[?@.k[?@.x == value($.w[?@.on == $.y].v)]].a", Treat::Null)],
        r#"{"r":[{"k":[{"x":1}],"a":1},{"k":[{"x":2}],"a":1}],"w":[{"v":2},{"v":1,"on":3}],"y":3}"#,
        r#"{"r":[{"k":[{"x":1}],"a":null},{"k":[{"x":2}],"a":1}],"w":[{"v":2},{"v":1,"on":3}],"y":3}"#,
    );
    // Next to what streams, what counts from the end, and what asks only about the node.
    check(
        &[
            ("$.a[-1]", Treat::Drop),
            ("$.a[?@ == $.k]", Treat::Null),
            ("$.a[?@ > 4]", Treat::Measure),
            ("$.k", Treat::Drop),
        ],
        r#"{"a":[10,3,5,3],"k":3}"#,
        r#"{"a":[2,null,1]}"#,
    );
}

/// A member whose name is too long to leave is removed, so that nothing may tell what is in it.
#[test]
fn nobody_can_ask_about_members_whose_names_are_too_long() {
    let short = "l".repeat(limits().name_bytes_max);
    let long = format!("{short}l");
    for filter in ["value(@.*) == 1", "value(@..*) == 1", "@[?@ == 1]", "@.*"] {
        let path = format!("$.n[?{filter}].a");
        let rules = [(path.as_str(), Treat::Null)];
        for (name, removed) in [(&long, 1), (&short, 0)] {
            for value in ["1", "2"] {
                let body = format!(r#"{{"n":[{{"{name}":{value}}}]}}"#);
                let (out, _, _, unsettled) = outcome_of(&rules, limits(), body.as_bytes()).unwrap();
                assert_eq!(unsettled, removed, "{filter} in {body}");
                assert!(removed == 0 || out == br#"{"n":[]}"#, "{filter} in {body}");
            }
        }
    }
    // One that is spelled is no such name, whatever stands beside it.
    let body = format!(r#"{{"n":[{{"{long}":1,"k":2}}]}}"#);
    let (_, _, _, unsettled) =
        outcome_of(&[("$.n[?@.k == 2].a", Treat::Null)], limits(), body.as_bytes()).unwrap();
    assert_eq!(unsettled, 0);
    // So it is in the document.
    let rules = [("$.n[?@ == value($.v.*)]", Treat::Null)];
    let body = format!(r#"{{"n":[1],"v":{{"{long}":1}}}}"#);
    let (_, _, _, unsettled) = outcome_of(&rules, limits(), body.as_bytes()).unwrap();
    assert_eq!(unsettled, 1);
}

#[test]
fn what_a_document_says_twice_nobody_can_ask_about() {
    let rules = [("$.n[?@ == $.v.id]", Treat::Null)];
    let removed = |body: &str, expected: &str, removed: u64| {
        let (out, _, _, unsettled) = outcome_of(&rules, limits(), body.as_bytes()).unwrap();
        assert_eq!(
            (String::from_utf8(out).unwrap().as_str(), unsettled),
            (expected, removed),
            "{body}"
        );
    };
    removed(r#"{"n":[1,2],"v":{"id":1,"id":1}}"#, r#"{"n":[],"v":{"id":1,"id":1}}"#, 2);
    removed(r#"{"v":{"id":1},"n":[1,2],"\u0076":{}}"#, r#"{"v":{"id":1},"n":[],"\u0076":{}}"#, 2);
    removed(r#"{"n":[1],"v":{"id":"\ud800"}}"#, r#"{"n":[],"v":{"id":"\ud800"}}"#, 1);
    removed(r#"{"n":["1"],"v":{"id":"\ud800"}}"#, r#"{"n":[],"v":{"id":"\ud800"}}"#, 1);
    removed(r#"{"n":[1,"1"],"v":{"id":1e999}}"#, r#"{"n":[],"v":{"id":1e999}}"#, 2);
    // What is not asked about may stand twice.
    removed(
        r#"{"n":[1,2],"v":{"id":1,"x":1,"x":2},"y":1,"y":2}"#,
        r#"{"n":[null,2],"v":{"id":1,"x":1,"x":2},"y":1,"y":2}"#,
        0,
    );
}

#[test]
fn a_document_that_filters_ask_about_leaves_when_it_is_right_to_its_end() {
    let rules = [("$.n[?@ == $.k]", Treat::Null)];
    let body = br#"{"n":[1,2],"k":1}"#;
    let early = leaves_before_the_end(&rules, &[body]);
    assert_eq!(early, b"", "its end may be to come");
    for (body, expected) in [
        (&br#"{"n":[1,2],"k":1}}"#[..], Violation::Grammar { at: 17 }),
        (br#"{"n":[1,2],"k":1"#, Violation::Cut),
        (br#"{"n":[1,2],"k":"#, Violation::Cut),
        (b"", Violation::Cut),
        (b"[[[[[[[[[1]]]]]]]]]", Violation::Depth { at: 8 }),
        (b"\xef\xbb\xbf{}", Violation::Grammar { at: 0 }),
        (b"[\"\xff\"]", Violation::Utf8 { at: 2 }),
    ] {
        assert_eq!(outcome(&rules, limits(), body).unwrap_err(), expected);
        let mut rules = Rules::new(&rules);
        let mut rewriter = Rewriter::new(rules.program.clone(), limits());
        let mut out = Vec::new();
        let mut sink = Copied { chunk: body, out: &mut out };
        let pushed = rewriter.push(body, &mut rules, &mut sink);
        assert_eq!(pushed.and_then(|()| rewriter.finish(&mut rules, &mut sink)), Err(expected));
        assert_eq!(rewriter.push(b" ", &mut rules, &mut sink), Err(expected));
        assert_eq!(out, b"");
    }
}

#[test]
fn a_document_that_filters_ask_about_is_bounded() {
    let rules = [("$.n[?@.k == $.k]", Treat::Null), ("$.n[-1].k", Treat::Drop)];
    let body = |length: usize| {
        format!(r#"{{"n":[{{"p":"{}","k":1}},{{"p":1,"k":2}}],"k":1}}"#, "x".repeat(length))
    };
    // Longer than any candidate may be.
    let fits = body(200 - body(0).len());
    check_small(&rules, &fits, r#"{"n":[null,{"p":1}],"k":1}"#);
    for too_large in [format!("{fits} "), format!(" {fits}"), body(1000)] {
        let refused = outcome(&rules, limits(), too_large.as_bytes()).unwrap_err();
        assert_eq!(refused, Violation::TooLarge { at: 200 });
    }
    // What is wrong before is told before.
    let wrong = format!("[}}{}", " ".repeat(300));
    assert_eq!(outcome(&rules, limits(), wrong.as_bytes()), Err(Violation::Grammar { at: 1 }));
}

/// A document of many nodes, each below other names than those before.
#[test]
fn states_that_are_forgotten_on_the_way_change_nothing() {
    let mut random = 1u64;
    let mut number = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut body = "[".to_owned();
    while body.len() < 300_000 {
        let levels = 1 + number(40);
        let mut closing = String::new();
        for _ in 0..levels {
            let name = number(12);
            let array = number(4) == 0;
            write!(body, "{{\"z\":1,\"z{name}\": [2],\"a{name}\":").unwrap();
            body.push_str(if array { "[0,3," } else { "" });
            closing.insert_str(0, if array { "],\"x\":4}" } else { "}" });
        }
        writeln!(body, "{{\"z\":5}}{closing},").unwrap();
    }
    body.push_str("6]");
    let paths: Vec<String> = (0..12).map(|n| format!("$..a{n}..z{n}")).collect();
    let treats = [Treat::Drop, Treat::Null, Treat::Measure].into_iter().cycle();
    let mut rules: Vec<_> = paths.iter().map(String::as_str).zip(treats).collect();
    rules.push(("$[*].a1[-2]", Treat::Measure));
    let limits = Limits { depth_max: 128, candidate_bytes_max: 1 << 20, ..limits() };
    let mut made = Rules::new(&rules);
    assert!(!made.program.is_lazy());
    let kernel = Kernel::in_use();
    let expected = run_on(kernel, &mut made, limits, &[body.as_bytes()]).unwrap();
    for piece in [body.len(), 4096, 999] {
        let mut lazy = Rules::compiled(&rules, Program::compile_lazily);
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(piece).collect();
        assert_eq!(run_on(kernel, &mut lazy, limits, &pieces).unwrap(), expected);
        assert!(lazy.program.forgotten() > 0);
    }
}

/// Paths that have no states before there is a document, of so many lines; and documents of so many parts that lead
/// to a state each.
type ManyStates = (fn(usize) -> String, fn(usize) -> String);

const MANY_STATES: [ManyStates; 6] = [
    // Scalars, containers and levels, each with a name of its own.
    (
        |n| format!("$.r..a{n}..b{n}"),
        |parts| {
            let members = (0..parts).map(|n| format!(r#""a{}":1"#, n % LINES));
            format!(r#"{{"r":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
        },
    ),
    (
        |n| format!("$.r..a{n}..b{n}"),
        |parts| {
            let members = (0..parts).map(|n| format!(r#""a{}":{{"x":1}}"#, n % LINES));
            format!(r#"{{"r":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
        },
    ),
    (
        |n| format!("$.r..a{n}..b{n}"),
        |parts| {
            let levels = |n: usize| {
                let open = (0..100).map(|level| format!(r#"{{"a{}":"#, (100 * n + level) % LINES));
                format!("{}1{}", open.collect::<Vec<_>>().concat(), "}".repeat(100))
            };
            format!(r#"{{"r":[{}]}}"#, (0..parts / 100).map(levels).collect::<Vec<_>>().join(","))
        },
    ),
    // A name that all of them spell.
    (
        |n| format!("$.r..a..b{n}"),
        |parts| format!(r#"{{"r":[{}1]}}"#, r#"{"a":{"b7":1}},"#.repeat(parts)),
    ),
    // Paths without `..` behind a name that reaches them all, and indices.
    (
        |n| format!("$.r.*.c{n}..b"),
        |parts| {
            let members = (0..parts).map(|n| format!(r#""x{n}":{{"c{}":[1]}}"#, n % LINES));
            format!(r#"{{"r":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
        },
    ),
    (
        |n| format!("$..a{n}.*..b{n}"),
        |parts| {
            let members = (0..parts).map(|n| format!(r#""a{}":[[1]]"#, n % LINES));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        },
    ),
];

const LINES: usize = 3000;

fn many_states(lines: usize, path: fn(usize) -> String) -> Rules {
    let paths: Vec<String> = (0..lines).map(path).collect();
    let rules: Vec<_> = paths.iter().map(|path| (path.as_str(), Treat::Null)).collect();
    Rules::compiled(&rules, Program::compile_lazily)
}

/// Each took as many steps as there are paths, and as much memory until the next container.
#[test]
fn states_that_are_made_on_the_way_cost_few_steps_each() {
    for (at, (path, document)) in MANY_STATES.into_iter().enumerate() {
        let [small, large] = [6_000, 12_000].map(|parts| {
            let (body, mut rules) = (document(parts), many_states(LINES, path));
            let limits = Limits { depth_max: 128, ..limits() };
            let mut rewriter = Rewriter::new(rules.program.clone(), limits);
            let mut out = Vec::new();
            let mut sink = Copied { chunk: body.as_bytes(), out: &mut out };
            rewriter.push(body.as_bytes(), &mut rules, &mut sink).unwrap();
            rewriter.finish(&mut rules, &mut sink).unwrap();
            (rewriter.steps(), body.len() as u64)
        });
        assert!(large.0 <= 5 * small.0 / 2 + (1 << 16), "{at}: {small:?} {large:?}");
        assert!(large.0 <= 64 * large.1 + (1 << 18), "{at}: {large:?}");
    }
}

/// Where each is a long way from all others, nobody can help it: then the document ends there.
#[test]
fn states_that_cost_too_much_end_the_document() {
    let body = |parts: usize| {
        let members = (0..parts).map(|n| format!(r#""c{n}":{{"a":{{"b1":1}}}}"#));
        format!(r#"{{"r":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
    };
    let path: fn(usize) -> String =
        |n| if n < 4000 { format!("$.r..c{n}..d") } else { format!("$.r..a..b{}", n - 4000) };
    let read = |body: &str, piece: usize| {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(piece).collect();
        let read = run_on(Kernel::in_use(), &mut many_states(20_000, path), limits(), &pieces);
        read.map(|(out, ..)| String::from_utf8(out).unwrap())
    };
    let short = body(20);
    assert_eq!(read(&short, short.len()), Ok(short.replace("1}}", "null}}")));
    let long = body(4000);
    for piece in [long.len(), 4096] {
        let read = read(&long, piece).map(|out| out.len());
        assert!(matches!(read, Err(Violation::TooComplex { .. })), "{read:?}");
    }
}

/// They share most of what they have matched; each path says by itself what that comes to.
#[test]
fn states_that_share_paths_select_what_each_path_selects() {
    let mut random = 7u64;
    let mut roll = |sides: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % sides
    };
    for _ in 0..20 {
        let steps = ["..a", "..b", ".a", ".*", "..c", "[1]", "[::2]", ".b", "..*", "..[0]"];
        let tail: String = (0..3).map(|_| steps[roll(steps.len())]).collect();
        let mut paths: Vec<String> =
            (0..150).map(|n| format!("$.r..a{}..{}{n}", n % 40, ["b", "a"][n % 2])).collect();
        paths.extend((0..80).map(|n| format!("$.r{}..b{n}", steps[roll(steps.len())])));
        paths.extend((0..10).map(|_| format!("$..a{}{tail}", roll(40))));
        let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        let all = Program::compile_lazily(&parsed).unwrap();
        let each: Vec<Program> = parsed
            .iter()
            .map(|path| Program::compile(std::slice::from_ref(path)).unwrap())
            .collect();
        for _ in 0..60 {
            let mut state = all.start();
            let mut states: Vec<State> = each.iter().map(Program::start).collect();
            let mut walk = String::new();
            for level in 0..8 {
                let name = match roll(6) {
                    _ if level == 0 => "r".to_owned(),
                    0 => format!("a{}", roll(150)),
                    1 => format!("b{}", roll(150)),
                    2 => ["a", "b", "c", "x"][roll(4)].to_owned(),
                    3 => format!("a{}", roll(40)),
                    _ => String::new(),
                };
                let index = roll(4) as u64;
                let step = |program: &Program, state| match name.as_str() {
                    "" => program.element(state, index),
                    name => program.member(state, name.as_bytes()).state,
                };
                state = step(&all, state);
                let stepped = each.iter().zip(&states).map(|(path, state)| step(path, *state));
                states = stepped.collect();
                write!(walk, "/{name}").unwrap();
                let selects = |at: &usize| each[*at].selected(states[*at]).next().is_some();
                let expected: Vec<usize> = (0..each.len()).filter(selects).collect();
                let selected: Vec<usize> = all.selected(state).map(PathId::index).collect();
                assert_eq!(selected, expected, "{walk}");
                if all.is_crowded() || roll(20) == 0 {
                    all.forget_all_but([&mut state].into_iter());
                }
            }
        }
    }
}

/// Paths that filters are in, and a document for them of so many parts.
type Costly = (&'static str, fn(usize) -> String);

/// What filters ask that could be answered by going down the value, or by looking at it again and again.
const COSTLY: [Costly; 12] = [
    ("$.t[?@.a == @.b]", |n| format!(r#"{{"t":[{{"a":{0},"b":{0}}}]}}"#, nested("[", n, "]"))),
    ("$.t[?@..z]", |n| format!(r#"{{"t":[{{"a":{}}}]}}"#, nested("[", n, "]"))),
    ("$.t[?@..a..a..z]", |n| format!(r#"{{"t":[{}]}}"#, nested(r#"{"a":"#, n, "}"))),
    ("$.t[?count(@..a..a..a) > 1]", |n| format!(r#"{{"t":[{}]}}"#, nested(r#"{"a":"#, n, "}"))),
    ("$.t[?length(value(@..z)) > 1]", |n| format!(r#"{{"t":[{}]}}"#, nested("[", n, "]"))),
    ("$..k[?@..k[?@..z]]", |n| format!(r#"{{"t":{}}}"#, nested(r#"{"k":["#, n, "]}"))),
    ("$..[?@[?@[?@[?@.z]]]]", |n| nested("[", n, "]")),
    ("$.t[?@ == $.t]", |n| format!(r#"{{"t":[{}]}}"#, nested("[", n, "]"))),
    ("$.t[?match(@.s, @.p)]", |n| {
        let rows = (0..n).map(|n| format!(r#"{{"s":"a","p":"\\p{{L}}{{90}}{n}"}}"#));
        format!(r#"{{"t":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
    }),
    ("$.t[?@.a == 1 || @.b == 1 || @.c[1].d == 1 || !@.e || @.f < 1]", |n| {
        format!(r#"{{"t":[{{"a":2,"y":[{}1]}}]}}"#, "[],".repeat(n))
    }),
    ("$..[?@.a == 1 || @.b == 1]", |n| {
        format!(r#"{{"t":{}}}"#, nested(r#"{"a":[{"b":2}],"c":"#, n, "}"))
    }),
    ("$..[-1]", |n| nested("[0,", n, "]")),
];

fn nested(open: &str, levels: usize, close: &str) -> String {
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

/// How the document ends, and how many steps were taken besides the walk.
fn work(path: &str, limits: Limits, chunks: &[&[u8]]) -> (Result<(), Violation>, u64) {
    let mut rules = Rules::new(&[(path, Treat::Drop)]);
    let mut rewriter = Rewriter::new(rules.program.clone(), limits);
    let mut out = Vec::new();
    let mut read = || {
        for chunk in chunks {
            rewriter.push(chunk, &mut rules, &mut Copied { chunk, out: &mut out })?;
        }
        rewriter.finish(&mut rules, &mut Copied { chunk: &[], out: &mut out })
    };
    (read(), rewriter.steps())
}

/// A test's thread has 2 MiB of stack, as those of the proxy have.
#[test]
fn no_nesting_makes_a_filter_recurse() {
    for (path, document) in COSTLY {
        let body = document(100_000);
        for chunk in [body.len(), 4096] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(chunk).collect();
            let (read, _) = work(path, Limits::default(), &chunks);
            let is_nested = !path.contains("match") && !path.contains("@.c");
            assert_eq!(matches!(read, Err(Violation::Depth { .. })), is_nested, "{path}: {read:?}");
        }
    }
}

/// Twice the bytes take twice the steps, whether a document is deep or wide; and no byte more than the limit.
#[test]
fn what_a_filter_costs_grows_with_the_bytes() {
    for (path, document) in COSTLY {
        for (depth_max, parts) in [(128, 60), (128, 12_000)] {
            let limits = Limits { depth_max, ..Limits::default() };
            for chunk in [usize::MAX, 999] {
                let [small, large] = [parts, 2 * parts].map(|parts| {
                    let body = document(parts);
                    let chunks: Vec<&[u8]> = body.as_bytes().chunks(chunk).collect();
                    (work(path, limits, &chunks).1, body.len() as u64)
                });
                // Nested values that filters are asked of one by one are asked at each level.
                let levels = if path.starts_with("$..") && parts < depth_max { 2 } else { 1 };
                assert!(large.0 <= 5 * levels * small.0 / 2 + 4096, "{path}: {small:?} {large:?}");
                assert!(large.0 <= (1 << 20) + (1 << 10) * large.1, "{path}: {large:?}");
            }
        }
    }
}

/// What comes to more than the limit for its length is removed, as everything that nobody can say of.
#[test]
fn a_filter_that_costs_too_much_removes_what_it_is_asked_of() {
    let levels = 900;
    let body = format!(r#"{{"t":{},"a":1}}"#, nested(r#"{"k":["#, levels, "]}"));
    let limits = Limits { depth_max: 2048, ..Limits::default() };
    let rules = [("$..k[?@..k[?@..z]]", Treat::Drop)];
    for chunk in [body.len(), 1000] {
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(chunk).collect();
        let mut rules = Rules::new(&rules);
        let (out, _, _) = run_on(Kernel::in_use(), &mut rules, limits, &chunks).unwrap();
        assert!(rules.unsettled > 0 && out.len() < body.len(), "something was removed");
        assert!(out.ends_with(b",\"a\":1}"), "and nothing else");
    }
}

#[test]
fn patterns_from_documents_are_few() {
    let row = |n: usize| format!(r#"{{"s":"a{n}","p":"a{n}","a":1}}"#);
    let rows: Vec<String> = (0..70).map(row).collect();
    let repeated = format!("[{},{}]", rows[..64].join(","), rows[..64].join(","));
    let rules = [("$[?match(@.s, @.p)].a", Treat::Null)];
    let (out, _, _, unsettled) = outcome_whole(&rules, repeated.as_bytes());
    assert_eq!((out, unsettled), (repeated.replace(r#""a":1"#, r#""a":null"#), 0));
    // The 65th is one too many, and so is one that is too long or takes too much.
    let many = format!("[{}]", rows.join(","));
    let (out, _, _, unsettled) = outcome_whole(&rules, many.as_bytes());
    let left = format!("[{}]", rows[..64].join(",")).replace(r#""a":1"#, r#""a":null"#);
    assert_eq!((out, unsettled), (left, 6));
    for pattern in ["a".repeat(1025), "\\\\p{L}{500}".to_owned()] {
        let body = format!(r#"[{{"s":"a","p":"{pattern}","a":1}}]"#);
        let negated = [("$[?!match(@.s, @.p)].a", Treat::Null)];
        for rules in [&rules, &negated] {
            let (out, _, _, unsettled) = outcome_whole(rules, body.as_bytes());
            assert_eq!((out.as_str(), unsettled), ("[]", 1), "{pattern}");
        }
    }
}

/// As [`outcome_of`], of a body that is too long to be cut everywhere.
fn outcome_whole(rules: &[(&str, Treat)], body: &[u8]) -> (String, u64, u64, u64) {
    let mut rules = Rules::new(rules);
    let kernel = Kernel::in_use();
    let whole = run_on(kernel, &mut rules, Limits::default(), &[body]).unwrap();
    let unsettled = rules.unsettled;
    let pieces: Vec<&[u8]> = body.chunks(100).collect();
    assert_eq!(run_on(kernel, &mut rules, Limits::default(), &pieces).unwrap(), whole);
    assert_eq!(rules.unsettled, 2 * unsettled);
    (String::from_utf8(whole.0).unwrap(), whole.1, whole.2, unsettled)
}
