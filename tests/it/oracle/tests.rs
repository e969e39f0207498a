//! The oracle's own tests: little cases worked out by hand from the reference, and the example policies.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use jsonpath_rust::parser::model::Filter;
use regex::Regex;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::generate::{Rng, case, fragment, mutate, yaml};
use super::sieve::{Setup, Sieved, Step, Way, holds, paths, selected, selecting, sieve, step_down};
use super::transform::{pseudonym, transform};
use super::tree::{Node, leaves};
use super::world::{Action, Generalise, Precision, World};

const SETUP: Setup = Setup { key: [7; 32], today: (2026, 11, 21) };

/// A policy with one route, whose body is `body`; `rules` is what `why` says beside what it always says here.
/// No rule is said for `dropped` and for `deep`.
fn policy(unclassified: &str, records: &str, body: &str, rules: &str) -> World {
    let text = format!(
        "tamis: 1
categories: {{ kept: K, dropped: D, nulled: N, masked: M, named: P, deep: E, deep.inner: I, denied: X }}
records: {{ {records} }}
apis: {{ x: {{ unclassified: {unclassified}, routes: {{ GET /: {{ body: {{ {body} }} }} }} }} }}
rules:
  why: {{ kept: keep, nulled: null, masked: {{ mask: {{ keep_last: 2 }} }}, named: pseudonym, denied: deny{rules} }}
"
    );
    World::read(&[&text])
}

fn run(world: &World, document: &str) -> Sieved {
    sieve(world, "why", "x", "GET /", document.as_bytes(), &SETUP)
}

fn text(sieved: &Sieved) -> String {
    assert_eq!(sieved.refused, None);
    String::from_utf8(sieved.tree.to_json()).unwrap()
}

/// What leaves where the api drops what is unclassified.
fn dropping(body: &str, document: &str) -> String {
    text(&run(&policy("drop", "", body, ""), document))
}

/// What leaves where the api keeps what is unclassified.
fn keeping(body: &str, document: &str) -> String {
    text(&run(&policy("{ keep: { because: B } }", "", body, ""), document))
}

fn p1(value: &str) -> String {
    format!("\"{}\"", pseudonym(&SETUP.key, "why", value.as_bytes()))
}

fn counts(sieved: &Sieved) -> Vec<(&str, &str, u64)> {
    let counts = sieved.counts.iter();
    counts.map(|((category, word), times)| (category.as_str(), word.as_str(), *times)).collect()
}

#[test]
fn rule_1_a_path_classifies_the_nodes_that_it_selects() {
    // The closest classification is the deepest.
    let body = "$.a: masked, $.a.b: kept, $.a.c: masked";
    assert_eq!(
        dropping(body, r#"{"a":{"b":"123456789","c":"123456789"}}"#),
        r#"{"a":{"b":"123456789","c":"********89"}}"#
    );
    // How a path is written does not matter: these two tie.
    let body = r#""$..b": dropped, "$.a.b": kept, "$.a.c": kept"#;
    assert_eq!(dropping(body, r#"{"a":{"b":1,"c":2}}"#), r#"{"a":{"c":2}}"#);
    // Names compare after unescaping, exactly.
    let body = r#""$['\\u0061']": kept, "$.é": kept"#;
    assert_eq!(dropping(body, r#"{"\u0061":1,"A":2,"e\u0301":3}"#), r#"{"\u0061":1}"#);
}

#[test]
fn rule_2_an_action_acts_on_a_scalar_and_on_the_scalars_directly_inside_an_array() {
    assert_eq!(dropping("$.a: kept", r#"{"a":[1,"x",null]}"#), r#"{"a":[1,"x",null]}"#);
    // A container directly inside such an array is not covered, nor the members of an object.
    assert_eq!(dropping("$.a: kept", r#"{"a":[1,[2],{"b":3},4]}"#), r#"{"a":[1,4]}"#);
    assert_eq!(dropping("$.a: kept", r#"{"a":{"b":3}}"#), r#"{"a":{}}"#);
    // A selected element has its own action.
    let body = r#"$.a: masked, "$.a[1]": kept"#;
    assert_eq!(
        dropping(body, r#"{"a":["abcdefghi","abcdefghi"]}"#),
        r#"{"a":["********hi","abcdefghi"]}"#
    );
    // `drop` and `null` act on the node whatever its type.
    let body = "$.a: dropped, $.b: nulled, $.c: kept";
    assert_eq!(dropping(body, r#"{"a":[1],"b":{"x":1},"c":2}"#), r#"{"b":null,"c":2}"#);
    // A subtree is covered in the standard's words; its names are another matter.
    let body = r#""$.a..*": { category: kept, names: public }"#;
    assert_eq!(
        dropping(body, r#"{"a":{"b":[[1],{"c":2}]},"d":3}"#),
        r#"{"a":{"b":[[1],{"c":2}]}}"#
    );
}

#[test]
fn rule_3_member_names_are_data_unless_the_policy_spells_them() {
    // Nothing says that these names may leave, though every value is kept.
    assert_eq!(dropping(r#""$.*": kept"#, r#"{"a":1}"#), "{}");
    assert_eq!(dropping(r#""$..*": kept"#, r#"{"a":1}"#), "{}");
    // In an array there are no names.
    assert_eq!(dropping(r#""$.*": kept"#, "[1,2]"), "[1,2]");
    // `names` decides: keep, pseudonym, anything else.
    assert_eq!(dropping(r#""$.*": { category: kept, names: public }"#, r#"{"a":1}"#), r#"{"a":1}"#);
    assert_eq!(
        dropping(r#""$.*": { category: kept, names: named }"#, r#"{"a":1}"#),
        format!("{{{}:1}}", p1("a"))
    );
    assert_eq!(dropping(r#""$.*": { category: kept, names: masked }"#, r#"{"a":1}"#), "{}");
    assert_eq!(keeping(r#""$.*": { category: kept, names: nulled }"#, r#"{"a":1}"#), "{}");
    // Several: the stricter.
    let body =
        r#""$.*": { category: kept, names: public }, "$..*": { category: kept, names: named }"#;
    assert_eq!(dropping(body, r#"{"a":1}"#), format!("{{{}:1}}", p1("a")));
    // A spelled name needs no `names`, and `names` does not touch it.
    let body = r#""$.*": { category: kept, names: named }, $.a.b: kept"#;
    assert_eq!(dropping(body, r#"{"a":1,"z":2}"#), format!("{{\"a\":1,{}:2}}", p1("z")));
    // It is spelled at its place only, and by a path that drops, too.
    let body = r#""$.*": { category: kept, names: named }, $.b.a: dropped"#;
    assert_eq!(dropping(body, r#"{"a":1,"b":{"a":2}}"#), format!("{{{}:1,\"b\":{{}}}}", p1("a")));
    // `$..email` finds no e-mail inside an object whose name is not spelled.
    let body = r#""$..email": kept"#;
    assert_eq!(
        dropping(body, r#"{"email":1,"a":{"email":2},"b":[{"email":3}]}"#),
        r#"{"email":1}"#
    );
    assert_eq!(dropping(body, r#"[[{"email":1}]]"#), r#"[[{"email":1}]]"#);
    // The descent of `..` passes by other names: `names` speaks for them.
    let body = r#""$..email": { category: kept, names: public }"#;
    assert_eq!(dropping(body, r#"{"a":{"email":2,"b":1}}"#), r#"{"a":{"email":2}}"#);
    let body = r#""$..[0]": { category: kept, names: public }"#;
    assert_eq!(dropping(body, r#"{"a":[1,2]}"#), r#"{"a":[1]}"#);
    // A name that cannot be read cannot have a pseudonym: its member goes.
    let body = r#""$.*": { category: kept, names: named }"#;
    let sieved = run(&policy("drop", "", body, ""), r#"{"\ud800":1}"#);
    assert_eq!(text(&sieved), "{}");
}

#[test]
fn rule_4_a_container_is_kept_as_structure() {
    // By its own action.
    assert_eq!(dropping("$.a: masked", r#"{"a":{"x":1}}"#), r#"{"a":{}}"#);
    assert_eq!(dropping("$.a: masked", r#"{"a":[]}"#), r#"{"a":[]}"#);
    // By a path that goes below it for its kind.
    assert_eq!(dropping("$.a.b: kept", r#"{"a":{"x":1}}"#), r#"{"a":{}}"#);
    assert_eq!(dropping("$.a.b: kept", r#"{"a":[1]}"#), "{}");
    assert_eq!(dropping(r#""$.a[0]": kept"#, r#"{"a":{"b":1}}"#), "{}");
    assert_eq!(dropping(r#""$.a[*].b": kept"#, r#"{"a":[[],{},3]}"#), r#"{"a":[{}]}"#);
    assert_eq!(dropping(r#""$.a..b": kept"#, r#"{"a":[[],{},3]}"#), r#"{"a":[[],{}]}"#);
    assert_eq!(dropping(r#""$.a..[0]": kept"#, r#"{"a":{"b":1}}"#), r#"{"a":{}}"#);
    // A path to `drop` is no way down; one to `null` is.
    assert_eq!(dropping("$.a.b: dropped, $.c: kept", r#"{"a":{"b":1}}"#), "{}");
    assert_eq!(dropping("$.a.b: nulled", r#"{"a":{"x":1}}"#), r#"{"a":{}}"#);
    // After ties: all that `keep` could reach is dropped by another path.
    let body = r#""$.a.b": kept, "$.a.*": dropped, $.c: kept"#;
    assert_eq!(dropping(body, r#"{"a":{"b":1}}"#), "{}");
    let body = r#""$.a[1:3]": kept, "$.a[1,2]": dropped, $.c: kept"#;
    assert_eq!(dropping(body, r#"{"a":[1,2,3]}"#), "{}");
    let body = r#""$.a[1:4]": kept, "$.a[1,2]": dropped, $.c: kept"#;
    assert_eq!(dropping(body, r#"{"a":[1,2]}"#), r#"{"a":[]}"#);
    let body = r#""$.a[::2]": kept, "$.a[::3]": dropped, $.c: kept"#;
    assert_eq!(dropping(body, r#"{"a":[0,1,2,3,4]}"#), r#"{"a":[2,4]}"#);
    let body = r#""$.a[::4]": kept, "$.a[::2]": dropped, $.c: kept"#;
    assert_eq!(dropping(body, r#"{"a":[0,1,2,3,4]}"#), "{}");
    // An empty slice goes nowhere.
    assert_eq!(dropping(r#""$.a[2:2]": kept, $.c: kept"#, r#"{"a":[0]}"#), "{}");
    assert_eq!(dropping(r#""$.a[::0]": kept, $.c: kept"#, r#"{"a":[0]}"#), "{}");
    assert_eq!(dropping(r#""$.a[3:1].b": kept, $.c: kept"#, r#"{"a":[0]}"#), "{}");
    // A dropped container with a way down is structure; what else is in it shares its fate.
    let body = "$.a: dropped, $.a.b: kept, $.a.c.d: kept, $.a.e: dropped";
    assert_eq!(dropping(body, r#"{"a":{"b":1,"c":2,"e":3,"x":4}}"#), r#"{"a":{"b":1}}"#);
    let body = r#"$.a: nulled, "$.a[0]": kept"#;
    assert_eq!(dropping(body, r#"{"a":[1,2,[3],{}]}"#), r#"{"a":[1,null,null,null]}"#);
    // Deeper down, too: the closest classified node above decides.
    let body = r#"$.a: nulled, "$.a[*][*][5]": kept"#;
    assert_eq!(keeping(body, r#"{"a":[1,[2,[3,{}]]]}"#), r#"{"a":[null,[null,[null,null]]]}"#);
    // The root is never removed.
    assert_eq!(dropping("$.a: dropped", r#"{"a":1}"#), "null");
    assert_eq!(dropping("$.a: kept", "[1]"), "null");
    assert_eq!(dropping("$: dropped", "7"), "null");
    assert_eq!(dropping("$: kept", "7"), "7");
    assert_eq!(dropping("$: kept", "[7,[8]]"), "[7]");
}

#[test]
fn rule_5_unclassified() {
    assert_eq!(
        keeping("$.a: dropped", r#"{"a":1,"b":[{"a":2}],"c":3}"#),
        r#"{"b":[{"a":2}],"c":3}"#
    );
    assert_eq!(keeping(r#""$..a": dropped"#, r#"{"a":1,"b":[{"a":2}]}"#), r#"{"b":[{}]}"#);
    // `keep` holds below a node that is kept, and not below any other.
    assert_eq!(keeping("$.a: kept", r#"{"a":{"x":[1]}}"#), r#"{"a":{"x":[1]}}"#);
    assert_eq!(keeping("$.a: masked", r#"{"a":{"x":[1]}}"#), r#"{"a":{}}"#);
    assert_eq!(keeping("$.a: masked", r#"{"a":["abcdefgh",["x"]]}"#), r#"{"a":["********gh"]}"#);
    assert_eq!(
        keeping(r#"$.a: masked, "$.a.b": kept"#, r#"{"a":{"b":{"x":1}}}"#),
        r#"{"a":{"b":{}}}"#
    );
    // The innermost record decides.
    let keep = "{ keep: { because: B } }";
    let records = "r: { fields: { $.k: kept } }";
    let world = policy(keep, records, "$.a: r", "");
    assert_eq!(text(&run(&world, r#"{"a":{"k":1,"x":2},"x":3}"#)), r#"{"a":{"k":1},"x":3}"#);
    let records = format!("r: {{ fields: {{ $.k: kept }}, unclassified: {keep} }}");
    let world = policy("drop", &records, "$.a: r", "");
    assert_eq!(
        text(&run(&world, r#"{"a":{"k":1,"x":{"y":2}},"x":3}"#)),
        r#"{"a":{"k":1,"x":{"y":2}}}"#
    );
    // A record in between: its word holds again, in an array and for its members.
    let world = policy("drop", &records, r#"$.a: masked, "$.a[*]": r"#, "");
    assert_eq!(
        text(&run(&world, r#"{"a":[{"k":1,"x":2},"abcdefgh"]}"#)),
        r#"{"a":[{"k":1,"x":2},"********gh"]}"#
    );
    // In between is below the node, not at it.
    let world = policy("drop", &records, r#"$.a: r, "$['a']": masked"#, "");
    assert_eq!(text(&run(&world, r#"{"a":{"k":1,"x":2}}"#)), r#"{"a":{"k":1}}"#);
    // Two at one node: the stricter.
    let records = format!("{records}, s: {{ fields: {{}} }}");
    let world = policy(keep, &records, r#"$.a: r, "$['a']": s"#, "");
    assert_eq!(text(&run(&world, r#"{"a":{"k":1,"x":2}}"#)), r#"{"a":{"k":1}}"#);
    // A name is decided by the object and by what is mounted at the member, the stricter of both.
    let world = policy(keep, &records, r#""$.*": s"#, "");
    assert_eq!(text(&run(&world, r#"{"x":{"y":1}}"#)), "{}");
    let world = policy("drop", &records, r#""$.*": r"#, "");
    assert_eq!(text(&run(&world, r#"{"x":{"k":1}}"#)), "{}");
    let world = policy(keep, &records, r#""$.*": r"#, "");
    assert_eq!(text(&run(&world, r#"{"x":{"k":1,"y":2}}"#)), r#"{"x":{"k":1,"y":2}}"#);
    // What is dropped above is dropped, before a record below is asked.
    let world = policy("drop", &records, r#"$.a: dropped, "$.a[*]": r"#, "");
    assert_eq!(text(&run(&world, r#"{"a":[1,{"k":1,"x":2}]}"#)), r#"{"a":[{"k":1}]}"#);
}

#[test]
fn rule_6_in_a_tie_the_stricter_action() {
    let body = r#"$.a: kept, "$['a']": named, '$["a"]': masked"#;
    assert_eq!(dropping(body, r#"{"a":"abcdefgh"}"#), r#"{"a":"********gh"}"#);
    // `public` counts as `keep`.
    let body = r#"$.a: public, "$['a']": named"#;
    assert_eq!(dropping(body, r#"{"a":"x"}"#), format!("{{\"a\":{}}}", p1("x")));
    let body = r#""$.a": nulled, "$..a": dropped, $.b: kept"#;
    assert_eq!(dropping(body, r#"{"a":1,"b":2}"#), r#"{"b":2}"#);
}

#[test]
fn rule_7_the_rule_for_a_category() {
    let world = |rules| policy("drop", "", "$.a: deep, $.b: deep.inner, $.c: public", rules);
    let document = r#"{"a":1,"b":2,"c":3,"d":4}"#;
    assert_eq!(text(&run(&world(""), document)), r#"{"c":3}"#);
    assert_eq!(text(&run(&world(", deep: keep"), document)), r#"{"a":1,"b":2,"c":3}"#);
    assert_eq!(
        text(&run(&world(", deep: keep, deep.inner: null"), document)),
        r#"{"a":1,"b":null,"c":3}"#
    );
    assert_eq!(text(&run(&world(", deep.inner: keep"), document)), r#"{"b":2,"c":3}"#);
    // `*` covers neither `public` nor what is unclassified.
    assert_eq!(
        text(&run(&world(r#", "*": null, deep.inner: keep"#), document)),
        r#"{"a":null,"b":2,"c":3}"#
    );
}

#[test]
fn a_route_that_can_give_a_denied_category_is_refused() {
    let refused = |body| run(&policy("drop", "", body, ""), "{}").refused;
    assert_eq!(refused("$.a: denied, $.b: kept"), Some("category-denied"));
    assert_eq!(refused(r#""$.*": { category: kept, names: denied }"#), Some("category-denied"));
    assert_eq!(refused("$.b: kept"), None);
}

#[test]
fn counting() {
    // Each scalar that leaves; what is withheld once, present or not.
    let body = "$.a: kept, $.b: dropped, $.c: nulled, $.d: masked";
    let sieved = run(
        &policy("drop", "", body, ""),
        r#"{"a":[1,2,null],"c":1,"d":["abcdefgh",5,null],"e":1,"f":2}"#,
    );
    assert_eq!(text(&sieved), r#"{"a":[1,2,null],"c":null,"d":["********gh",null,null]}"#);
    assert_eq!(
        counts(&sieved),
        [
            ("dropped", "drop", 1),
            ("kept", "keep", 3),
            ("masked", "mask", 2),
            ("masked", "unfit", 1),
            ("nulled", "null", 1),
            ("unclassified", "drop", 1),
        ]
    );
    // Names that leave by `names`, and no others.
    let body = r#""$.*": { category: public, names: named }, $.a: kept"#;
    let sieved = run(&policy("drop", "", body, ""), r#"{"a":1,"b":2,"c":[{}]}"#);
    assert_eq!(
        counts(&sieved),
        [
            ("kept", "keep", 1),
            ("named", "pseudonym", 2),
            ("public", "keep", 1),
            ("unclassified", "drop", 1)
        ]
    );
    // In a tie a declared category before `public`.
    let sieved = run(&policy("drop", "", r#"$.a: public, "$..a": kept"#, ""), r#"{"a":1}"#);
    assert_eq!(counts(&sieved), [("kept", "keep", 1)]);
    // A container below which a path goes on is known, for any purpose; one below which none does is not, and a
    // name that no path spells is not.
    let body = "$.a.b: dropped, \"$.l[*].m\": dropped, \"$.z[0:0]\": dropped, $.k: kept";
    let is_unclassified = |document: &str| {
        let sieved = run(&policy("drop", "", body, ""), document);
        sieved.counts.contains_key(&("unclassified".to_owned(), "drop".to_owned()))
    };
    for known in [r#"{"a":{"x":1},"l":[{"m":1}],"k":1}"#, r#"{"a":{},"l":[]}"#, r#"{"l":{}}"#] {
        assert!(!is_unclassified(known), "{known}");
    }
    for unknown in [r#"{"a":[]}"#, r#"{"a":1}"#, r#"{"z":[]}"#, r#"{"k":{"x":1}}"#] {
        assert!(is_unclassified(unknown), "{unknown}");
    }
    // What leaves unclassified, and nothing withheld.
    let sieved =
        run(&policy("{ keep: { because: B } }", "", "$.a: kept", ""), r#"{"x":[1,{"y":2}]}"#);
    assert_eq!(counts(&sieved), [("unclassified", "keep", 2)]);
}

#[test]
fn a_mount_alone_is_no_way_down() {
    let records = "r: { fields: {}, unclassified: { keep: { because: B } } }, s: { fields: { $.x: dropped } }";
    let world = policy("drop", records, "$.a.b: r, $.c: s", "");
    assert_eq!(text(&run(&world, r#"{"a":{"b":1},"c":{"x":1}}"#)), "null");
}

/// An entry's `names` speaks for the steps that are written in it, not for those of its mount.
#[test]
fn names_of_a_field_do_not_reach_the_mount() {
    let records = r#"r: { fields: { "$.m.*": { category: kept, names: public } } }"#;
    let world = policy("drop", records, r#""$.*": r"#, "");
    assert_eq!(text(&run(&world, r#"{"x":{"m":{"y":1}}}"#)), "{}");
    // Nor the other way round: the mount's path ends where the record begins.
    let records = r#"r: { fields: { "$.m.*": kept } }"#;
    let world = policy("drop", records, r#""$.*": { record: r, names: public }"#, "");
    assert_eq!(text(&run(&world, r#"{"x":{"m":{"y":1}}}"#)), r#"{"x":{"m":{}}}"#);
}

#[test]
fn paths_of_records_are_appended_to_the_paths_of_their_mounts() {
    let records =
        r#"r: { fields: { $.k: kept, "$.s[*]": s } }, s: { fields: { $: masked, $.k: kept } }"#;
    let world = policy("drop", records, r#""$.items[*]": r"#, "");
    assert_eq!(
        text(&run(&world, r#"{"items":[{"k":1,"s":[{"k":2,"x":3},"abcdefgh"]},4]}"#)),
        r#"{"items":[{"k":1,"s":[{"k":2},"********gh"]}]}"#
    );
}

fn apply(action: &Action, token: &str) -> Option<String> {
    let token = transform(action, token.as_bytes(), "why", &SETUP)?;
    Some(String::from_utf8(token).unwrap())
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
fn check(action: Action, cases: &[(&str, Option<&str>)]) {
    for (token, expected) in cases {
        assert_eq!(apply(&action, token).as_deref(), *expected, "{action:?} of {token}");
    }
}

#[test]
fn mask() {
    check(
        Action::Mask { first: 0, last: 4, same_length: false },
        &[
            (r#""FR7630006000011234567890189""#, Some(r#""********0189""#)),
            (r#""12345678""#, Some(r#""********5678""#)),
            (r#""1234567""#, Some(r#""********""#)),
            (r#""""#, Some(r#""********""#)),
            ("12345678", None),
            ("true", None),
            (r#""abcd\ud800efgh""#, None),
            (r#""xxxx\u00e9\"\/\u001f""#, Some(r#""********é\"/\u001f""#)),
        ],
    );
    check(
        Action::Mask { first: 1, last: 1, same_length: true },
        &[
            (r#""abcdef""#, Some(r#""a****f""#)),
            (r#""abcde""#, Some(r#""*****""#)),
            (r#""日本語日本語""#, Some(r#""日****語""#)),
            (r#""""#, Some(r#""""#)),
        ],
    );
}

#[test]
fn generalise() {
    check(
        Action::Generalise(Generalise::AgeBand(10)),
        &[
            (r#""1984-05-12""#, Some(r#""40-49""#)),
            (r#""1986-01-01""#, Some(r#""40-49""#)),
            (r#""1986-01-02""#, Some(r#""30-39""#)),
            (r#""1936-01-01""#, Some(r#""90+""#)),
            (r#""1936-01-02""#, Some(r#""80-89""#)),
            (r#""2026-11-21T23:59:60z""#, Some(r#""0-9""#)),
            (r#""2026-11-22""#, None),
            (r#""1984-05""#, None),
            (r#""1984-05-12 ""#, None),
            (r#""1984-02-30""#, None),
            ("1984", None),
        ],
    );
    check(Action::Generalise(Generalise::AgeBand(20)), &[(r#""1940-01-01""#, Some(r#""80-89""#))]);
    check(
        Action::Generalise(Generalise::Date(Precision::Quarter)),
        &[
            (r#""2026-03-31""#, Some(r#""2026-Q1""#)),
            (r#""2026-04""#, Some(r#""2026-Q2""#)),
            (r#""2026""#, Some(r#""2026""#)),
            (r#""2026-12-31T23:00:00.5+05:30""#, Some(r#""2026-Q4""#)),
            (r#""2026-12-31T23:00:00""#, None),
            (r#""2026-Q1""#, None),
            (r#""2026-13""#, None),
        ],
    );
    check(
        Action::Generalise(Generalise::Date(Precision::Month)),
        &[(r#""2026-03-09T08:00:00Z""#, Some(r#""2026-03""#)), (r#""2026""#, Some(r#""2026""#))],
    );
    check(
        Action::Generalise(Generalise::Date(Precision::Year)),
        &[
            (r#""2026-03-09""#, Some(r#""2026""#)),
            (r#""26""#, None),
            (r#""2024-02-29""#, Some(r#""2024""#)),
        ],
    );
    check(
        Action::Generalise(Generalise::Prefix(2)),
        &[
            (r#""69003""#, Some(r#""69""#)),
            (r#""69""#, None),
            (r#""éàü""#, Some(r#""éà""#)),
            ("69003", None),
        ],
    );
    check(
        Action::Generalise(Generalise::Round(10)),
        &[
            ("5.40", Some("0")),
            ("19.99", Some("10")),
            ("-0", Some("0")),
            ("-0.5", Some("-10")),
            ("-10.0", Some("-10")),
            ("1.50e+1", Some("10")),
            ("1E2", Some("100")),
            ("123e-1", Some("10")),
            ("1e-400", Some("0")),
            ("-1e-99999999999999999999", Some("-10")),
            ("1e400", None),
            ("0e99999999999999999999", Some("0")),
            ("12345678901234567890", Some("12345678901234567890")),
            (r#""15""#, None),
        ],
    );
    check(
        Action::Generalise(Generalise::Ip),
        &[
            (r#""192.168.7.99""#, Some(r#""192.168.7.0""#)),
            (r#""2001:db8:1:2::3""#, Some(r#""2001:db8:1::""#)),
            (r#""192.168.7""#, None),
        ],
    );
}

#[test]
fn pseudonyms() {
    let pseudonymise = Action::Pseudonym { domain: None };
    let five = apply(&pseudonymise, "5.40").unwrap();
    assert_eq!(five, p1("5.40"));
    assert_eq!(apply(&pseudonymise, r#""5.4\u0030""#).unwrap(), five);
    assert_ne!(apply(&pseudonymise, "5.4").unwrap(), five);
    assert_ne!(apply(&Action::Pseudonym { domain: Some("d".to_owned()) }, "5.40").unwrap(), five);
    assert_eq!(apply(&pseudonymise, "true"), None);
    assert_eq!(apply(&pseudonymise, r#""\ud800""#), None);
}

/// Worked out with Python's `hmac`, extracting and expanding by hand.
#[test]
fn a_pseudonym_is_what_the_reference_says() {
    let key: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    assert_eq!(pseudonym(&key, "support", b"C-1042"), "p1.MY3WETG912PAD07RWE2NWX0S98");
}

#[test]
fn leaves_are_told_apart() {
    let json = br#"{"a":[1, {}, []],"\u0061":"x", "b":{"c": 5.40}}"#;
    let leaves: Vec<String> = leaves(json)
        .into_iter()
        .map(|(location, raw)| format!("{location} = {}", String::from_utf8(raw).unwrap()))
        .collect();
    assert_eq!(
        leaves,
        [
            r#"$["a"][0] = 1"#,
            r#"$["a"][1] = {}"#,
            r#"$["a"][2] = []"#,
            r#"$["\u0061"]#2 = "x""#,
            r#"$["b"]["c"] = 5.40"#,
        ]
    );
}

/// Follows `jsonpath-rust` and the positions in each path side by side: both find the same nodes.
#[test]
fn the_positions_agree_with_the_evaluator() {
    fn compare(
        paths: &[super::sieve::Path],
        node: &Node,
        here: &mut Vec<Step>,
        positions: &Vec<u64>,
        document: &Value,
        expected: &HashMap<Vec<Step>, BTreeSet<usize>>,
    ) {
        let found = expected.get(here).cloned().unwrap_or_default();
        assert_eq!(selecting(paths, positions), found, "{paths:?} at {here:?}");
        let children: Vec<(Step, &Node)> = match node {
            Node::Scalar(_) | Node::Document(_) => Vec::new(),
            Node::Array(elements) => elements
                .iter()
                .enumerate()
                .map(|(index, node)| (Step::Element(index), node))
                .collect(),
            Node::Object(members) => {
                members.iter().map(|(name, node)| (Step::Member(name.text.clone()), node)).collect()
            }
        };
        for (step, child) in children {
            let holds = |filter: &Filter| holds(filter, document, here, &step);
            let length = match node {
                Node::Array(elements) => elements.len(),
                Node::Scalar(_) | Node::Object(_) | Node::Document(_) => 0,
            };
            let positions = step_down(paths, positions, Way { step: &step, length, holds: &holds });
            here.push(step);
            compare(paths, child, here, &positions, document, expected);
            here.pop();
        }
    }
    for seed in 0..300 {
        let case = case(seed);
        let paths = paths(&case.world, &case.purpose, &case.api, &case.route);
        let start = paths.iter().map(|_| 1).collect();
        for document in &case.documents {
            let document = Node::parse(document);
            let expected = selected(&paths, &document);
            let value = document.to_value();
            compare(&paths, &document, &mut Vec::new(), &start, &value, &expected);
        }
    }
}

#[test]
fn generated_policies_read_back_as_they_were() {
    for seed in 0..300 {
        let case = case(seed);
        assert_eq!(World::read(&[&case.yaml]), case.world, "seed {seed}\n{}", case.yaml);
        assert_eq!(yaml(&case.world), case.yaml);
    }
}

/// The generator has to reach what it is for.
#[test]
fn generated_cases_are_of_all_sorts() {
    let (mut all, mut refused, mut nothing, mut unchanged) = (0, 0, 0, 0);
    let mut words = BTreeSet::new();
    for seed in 0..1000 {
        let case = case(seed);
        for document in &case.documents {
            all += 1;
            let sieved =
                sieve(&case.world, &case.purpose, &case.api, &case.route, document, &SETUP);
            if sieved.refused.is_some() {
                refused += 1;
                continue;
            }
            if sieved.leaves() == leaves(document) {
                unchanged += 1;
            } else if sieved.tree.to_json().len() <= 4 {
                nothing += 1;
            }
            words.extend(sieved.counts.into_keys().map(|(_, word)| word));
        }
    }
    let some = all - refused - nothing - unchanged;
    assert!(some > all / 3, "{all} {refused} {nothing} {unchanged}");
    assert!(refused > 0 && unchanged > 0);
    let expected = ["drop", "generalise", "keep", "mask", "null", "pseudonym", "unfit"];
    assert_eq!(words.iter().collect::<Vec<_>>(), expected);
}

/// Replacing what is withheld changes nothing that leaves.
#[test]
fn what_is_withheld_does_not_show() {
    let rng = &mut Rng::new(2);
    let mut replaced = 0;
    for seed in 0..500 {
        let case = case(seed);
        // What a filter does not select is withheld, and with other values it might select it.
        let documents = case.documents.iter().filter(|_| !case.yaml.contains('?'));
        for document in documents {
            let run = |document: &Node| {
                let document = document.to_json();
                sieve(&case.world, &case.purpose, &case.api, &case.route, &document, &SETUP)
            };
            let document = Node::parse(document);
            let sieved = run(&document);
            for withheld in &sieved.withheld {
                let other = Node::parse(&fragment(rng));
                let free = match other {
                    Node::Scalar(_) => withheld.scalar,
                    Node::Array(_) => withheld.array,
                    Node::Object(_) => withheld.object,
                    Node::Document(_) => panic!("what leaves is not put in"),
                };
                if free {
                    let mut changed = document.clone();
                    *changed.at(&withheld.location) = other;
                    assert_eq!(run(&changed).tree, sieved.tree, "seed {seed}, {withheld:?}");
                    replaced += 1;
                }
            }
        }
    }
    assert!(replaced > 2000, "{replaced}");
}

#[test]
fn mutations_are_sometimes_valid() {
    let rng = &mut Rng::new(1);
    let (mut valid, mut broken) = (0, 0);
    for seed in 0..500 {
        for document in case(seed).documents {
            let wounded = mutate(&document, rng);
            let accepted = std::str::from_utf8(&wounded)
                .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
            if accepted {
                valid += 1;
                assert!(!leaves(&wounded).is_empty());
            } else {
                broken += 1;
            }
        }
    }
    assert!(valid > 200 && broken > 1000, "{valid} {broken}");
}

/// The tests of the example policies, but for those that never ask the upstream, and for streams: the
/// oracle reads one document.
#[test]
fn the_example_policies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let files = ["categories.yaml", "crm.yaml", "fhir.yaml"].map(read);
    let world = World::read(&files.each_ref().map(String::as_str));
    let mut ran = 0;
    for name in ["crm.test.yaml", "fhir.test.yaml"] {
        let file: Value = serde_saphyr::from_str(&read(name)).unwrap();
        for test in file["tests"].as_array().unwrap() {
            let is_stream = test["upstream"].get("content_type").is_some();
            // The oracle knows no duplicate names.
            let twice = test["name"].as_str().unwrap().contains("twice");
            if test.get("refused").is_none() && !is_stream && !twice {
                example(&world, &file["fixtures"], test);
                ran += 1;
            }
        }
    }
    assert!(ran >= 8, "{ran}");
}

fn example(world: &World, fixtures: &Value, test: &Value) {
    let what = test["name"].as_str().unwrap();
    let when = &test["when"];
    let caller = when["caller"].as_str().unwrap();
    let purposes = &world.callers[caller];
    let purpose = when.get("purpose").map_or(purposes[0].as_str(), |said| said.as_str().unwrap());
    let host = when.get("host").map(|host| host.as_str().unwrap().to_owned());
    let named =
        |api: &super::world::Api| host.as_ref().is_some_and(|host| api.hosts.contains(host));
    let apis = || world.apis.iter();
    let api = apis().find(|(_, api)| named(api));
    let (name, api) = api.or_else(|| apis().find(|(_, api)| api.hosts.is_empty())).unwrap();
    let request = when["request"].as_str().unwrap().trim();
    let fits = |route: &str| {
        let (route, request) = (route.split('/'), request.split('/'));
        route.clone().count() == request.clone().count()
            && route.zip(request).all(|(part, asked)| part == asked || part.starts_with('{'))
    };
    let (route, _) = api.routes.iter().find(|(route, _)| fits(route)).unwrap();
    let body = match test["upstream"].get("json") {
        Some(exact) => exact.as_str().unwrap().to_owned(),
        None => filled(&test["upstream"], fixtures).to_string(),
    };
    let sieved = sieve(world, purpose, name, route, body.as_bytes(), &SETUP);
    let output = text(&sieved);
    let value: Value = serde_json::from_str(&output).unwrap();
    let find = |path: &str| jsonpath_rust::query::js_path_vals(path, &value).unwrap();
    let list = |key: &str| test.get(key).and_then(Value::as_array).cloned().unwrap_or_default();

    for (path, expected) in test.get("expect").and_then(Value::as_object).into_iter().flatten() {
        let found = find(path);
        assert!(!found.is_empty(), "{what}: {path} in {output}");
        if let Some(pattern) = expected.get("matches") {
            let pattern = Regex::new(pattern.as_str().unwrap()).unwrap();
            let all = found.iter().all(|value| pattern.is_match(value.as_str().unwrap()));
            assert!(all, "{what}: {path} in {output}");
        } else {
            assert_eq!(found.len(), 1, "{what}: {path} in {output}");
            let same = found[0] == expected
                || found[0].as_f64().is_some_and(|number| Some(number) == expected.as_f64());
            assert!(same, "{what}: {path} in {output}");
        }
    }
    for path in list("absent") {
        assert!(find(path.as_str().unwrap()).is_empty(), "{what}: {path} in {output}");
    }
    for never in list("never") {
        assert!(!output.contains(never.as_str().unwrap()), "{what}: {never} in {output}");
    }
    if let Some(expected) = test.get("output") {
        assert_eq!(output, expected.as_str().unwrap(), "{what}");
    }
}

/// `{fixture: NAME}` anywhere inside.
fn filled(value: &Value, fixtures: &Value) -> Value {
    if let Some(name) = value.get("fixture") {
        return fixtures[name.as_str().unwrap()].clone();
    }
    if let Some(elements) = value.as_array() {
        return elements.iter().map(|element| filled(element, fixtures)).collect();
    }
    if let Some(members) = value.as_object() {
        let filled = members.iter().map(|(name, value)| (name.clone(), filled(value, fixtures)));
        return Value::Object(filled.collect());
    }
    value.clone()
}
