use std::sync::Arc;

use jiff::civil::date;

use super::Enforcement;
use crate::{
    access::{Action, Count, Reason},
    json::{Copied, Limits},
    policy::{Ask, Plan, Source, Target, load},
    transform::{Context, RootKey},
};

/// A policy with one route. Its categories are called by their actions (`null` and `drop` are
/// themselves), `second.ACTION` is another of the same.
fn plan(api: &str, records: &str) -> Arc<Plan> {
    let text = format!(
        r#"
tamis: 1
categories:
  keep: x
  pseudonym: x
  mask: x
  year: x
  month: x
  "null": x
  drop: x
  second.keep: x
  unruled: x
purposes: {{ p: {{ title: Test, legal_basis: contract }} }}
callers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}
records:
  empty: {{ fields: {{ $.unused: keep }} }}
  open: {{ fields: {{ $.unused: keep }}, unclassified: {{ keep: {{ because: a test }} }} }}
{records}
apis:
  a:
{api}
rules:
  p:
    keep: keep
    pseudonym: pseudonym
    mask: mask
    year: {{ generalise: {{ date: year }} }}
    month: {{ generalise: {{ date: month }} }}
    "null": "null"
    drop: drop
    second: keep
"#
    );
    let loaded = load(&[Source { name: "test.yaml".into(), text: text.clone() }], &key());
    let findings: Vec<String> = loaded.findings.iter().map(|f| f.message.clone()).collect();
    let set = loaded.set.unwrap_or_else(|| panic!("{findings:#?}\n{text}"));
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: set.caller("c"), purpose: None, host: None, target: &target })
        .unwrap()
        .plan
}

fn key() -> RootKey {
    RootKey::from_hex(&"07".repeat(32)).unwrap()
}

fn run(plan: &Arc<Plan>, chunks: &[&[u8]]) -> (String, Vec<Count>, bool) {
    let context = Context { today: date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(Arc::clone(plan), context, Limits::default());
    let mut out = Vec::new();
    for chunk in chunks {
        enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    }
    enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).unwrap();
    let tally = enforcement.tally();
    (String::from_utf8(out).unwrap(), tally.counts(), tally.unclassified())
}

/// The only way in: `fields` as a flow mapping, whole and byte by byte.
#[track_caller]
fn check_api(api: &str, records: &str, body: &str, expected: &str) -> (Vec<Count>, bool) {
    let plan = plan(api, records);
    let whole = run(&plan, &[body.as_bytes()]);
    let bytes = run(&plan, &body.as_bytes().chunks(1).collect::<Vec<_>>());
    assert_eq!(whole, bytes, "{body}");
    assert_eq!(whole.0, expected, "{api} on {body}");
    (whole.1, whole.2)
}

#[track_caller]
fn check(fields: &str, body: &str, expected: &str) -> (Vec<Count>, bool) {
    check_api(&format!("    routes: {{ GET /x: {{ body: {fields} }} }}"), "", body, expected)
}

/// As `check`, where what is unclassified is kept.
#[track_caller]
fn check_open(fields: &str, body: &str, expected: &str) -> (Vec<Count>, bool) {
    let api = format!(
        "    unclassified: {{ keep: {{ because: a test }} }}\n    routes: {{ GET /x: {{ body: {fields} }} }}"
    );
    check_api(&api, "", body, expected)
}

fn count(category: &str, action: &str, accesses: u64) -> Count {
    let action = Action::from_code(action).unwrap();
    Count { category: category.into(), action, accesses }
}

#[test]
fn what_nobody_said_is_removed() {
    check("{ $.a: keep }", r#"{"a":1,"b":2,"c":{"a":3}}"#, r#"{"a":1}"#);
    check("{ $.a: unruled, $.b: keep }", r#"{"a":1}"#, "{}");
    check("{ $.a: unruled }", r#"{"a":1}"#, "null");
    check("{ $.a: keep }", "[1,2]", "null");
    check("{ $.a: keep }", "\"secret\"", "null");
}

#[test]
fn the_closest_classification_decides() {
    check("{ $.a: drop, $.a.b: keep }", r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"b":1}}"#);
    check("{ $.a: keep, $.a.b: drop }", r#"{"a":{"b":1}}"#, r#"{"a":{}}"#);
    check(
        "{ $..e: keep, $.a.e: drop, $.a: public }",
        r#"{"e":1,"a":{"e":2}}"#,
        r#"{"e":1,"a":{}}"#,
    );
}

#[test]
fn actions_reach_scalars_and_the_scalars_of_an_array() {
    check("{ $.a: keep }", r#"{"a":[1,[2],{"b":3},"x"]}"#, r#"{"a":[1,"x"]}"#);
    check("{ $.a: keep }", r#"{"a":{"b":1}}"#, r#"{"a":{}}"#);
    check("{ $.a: mask }", r#"{"a":["secret",7,null]}"#, r#"{"a":["********",null,null]}"#);
    check("{ $.a: drop, $.b: keep }", r#"{"a":[1,{"b":2}]}"#, "{}");
    check("{ $.a: \"null\" }", r#"{"a":[1,{"b":2}]}"#, r#"{"a":null}"#);
}

#[test]
fn names_that_no_path_spells_are_data() {
    check("{ \"$.m.*\": keep }", r#"{"m":{"anna@example.org":1}}"#, r#"{"m":{}}"#);
    check(
        "{ \"$.m.*\": { category: keep, names: public } }",
        r#"{"m":{"x":1}}"#,
        r#"{"m":{"x":1}}"#,
    );
    check("{ \"$.m.*\": { category: keep, names: drop } }", r#"{"m":{"x":1}}"#, r#"{"m":{}}"#);
    check("{ \"$.m.*\": { category: keep, names: mask } }", r#"{"m":{"x":1}}"#, r#"{"m":{}}"#);
    check("{ $..e: keep }", r#"{"e":1,"x":{"e":2}}"#, r#"{"e":1}"#);
    check(
        "{ $..e: { category: keep, names: [x] } }",
        r#"{"e":1,"x":{"e":2,"f":3},"y":{"e":5},"g":4}"#,
        r#"{"e":1,"x":{"e":2}}"#,
    );
    check("{ $.m.x: keep, \"$.m.*\": drop, $.n: keep }", r#"{"m":{"x":1,"y":2}}"#, "{}");
}

/// What is written for an array lets no name of an object out, nor does what reaches further than it looks.
#[test]
fn public_names_are_those_of_members() {
    let buckets = r#"{"buckets":{"anna@example.org":{"n":1}},"list":[{"n":2}]}"#;
    let body = "{ \"$.buckets[*].n\": { category: keep, names: public }, \"$.list[*].n\": keep }";
    check(body, buckets, r#"{"buckets":{},"list":[{"n":2}]}"#);
    let body = "{ $.buckets.*.n: { category: keep, names: public } }";
    check(body, buckets, r#"{"buckets":{"anna@example.org":{"n":1}}}"#);
    let union = "{ \"$['x',*]\": { category: keep, names: public } }";
    check(union, r#"{"x":1,"anna@example.org":2}"#, r#"{"x":1}"#);
    let filter = "{ \"$.*[?@ == 1]\": { category: keep, names: public } }";
    check(filter, r#"{"x":[1,2],"y":{"anna@example.org":1}}"#, r#"{"x":[1],"y":{}}"#);
    // Whoever mounts a record says nothing of what is in it, and the other way round.
    check_api(
        "    routes: { GET /x: { body: { \"$[*]\": r, $.n.*: { record: r, names: public } } } }",
        "  r: { fields: { $.m.*: { category: keep, names: public }, \"$.o[*]\": keep } }",
        r#"{"x":{"m":{"k":1}},"n":{"l":{"m":{"j":2},"o":{"i":3}}}}"#,
        r#"{"n":{"l":{"m":{"j":2},"o":{}}}}"#,
    );
}

/// A list is as if the line spelled its names wherever it spells none.
#[test]
fn names_can_be_listed() {
    let check_all = |body: &str, document: &str, expected: &str| {
        check(body, document, expected);
        // The same where the states of the paths are made on the way.
        let many = "$.r..a1.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.b".to_owned();
        let lines = body.strip_suffix(" }").unwrap();
        check(&format!("{lines}, {many}: drop }}"), document, expected);
    };
    let names = "{ category: keep, names: [size, 'first name', \"\\u00e9\"] }";
    check_all(
        &format!("{{ $.m.*: {names} }}"),
        r#"{"m":{"size":1,"Size":2,"first name":3,"first":4,"\u00e9":5,"anna@example.org":6}}"#,
        r#"{"m":{"size":1,"first name":3,"\u00e9":5}}"#,
    );
    check_all(
        &format!("{{ \"$.m[*].x\": {names} }}"),
        r#"{"m":{"size":{"x":1},"anna":{"x":2}}}"#,
        r#"{"m":{"size":{"x":1}}}"#,
    );
    check_all(
        &format!("{{ \"$.m[?@ == 1]\": {names} }}"),
        r#"{"m":{"size":1,"first name":2,"anna":1}}"#,
        r#"{"m":{"size":1}}"#,
    );
    check_all(
        &format!("{{ $.m..x: {names} }}"),
        r#"{"m":{"size":{"first name":[{"x":1}],"y":{"x":2}},"x":3,"anna":{"x":4}}}"#,
        r#"{"m":{"size":{"first name":[{"x":1}]},"x":3}}"#,
    );
    // It is about its own line: of what is spelled nothing leaves that no line classifies.
    check_all(
        &format!("{{ $.m.*.x: {names}, $.m.anna.y: keep }}"),
        r#"{"m":{"size":{"x":1,"z":2},"anna":{"x":3,"y":4}}}"#,
        r#"{"m":{"size":{"x":1},"anna":{"x":3,"y":4}}}"#,
    );
    // A name that is spelled stays, whatever other lines say of names there.
    check_all(
        &format!("{{ $.m.*: {names}, \"$.m[*]\": {{ category: keep, names: drop }} }}"),
        r#"{"m":{"size":1,"anna":2}}"#,
        r#"{"m":{"size":1}}"#,
    );
}

/// What is withheld of an object or array shows in no answer of a filter: such a filter cannot be answered.
#[test]
fn filters_measure_and_compare_only_what_is_kept() {
    let unfit = |body: &str, document: &str, expected: &str, unfit: u64| {
        let (counts, _) = check(body, document, expected);
        let found = counts.iter().filter(|count| count.action == Action::Unfit);
        assert_eq!(found.map(|count| count.accesses).sum::<u64>(), unfit, "{document}");
    };
    let measured = r#"{ "$.f[?length(@.parts) > 1].name": keep, "$.f[*].parts": keep }"#;
    unfit(
        measured,
        r#"{"f":[{"name":"a","parts":[1,2]},{"name":"b","parts":[1]},{"name":"c","parts":"two"},{"name":"d"}]}"#,
        r#"{"f":[{"name":"a","parts":[1,2]},{"parts":[1]},{"name":"c","parts":"two"},{}]}"#,
        0,
    );
    // Rule 2 does not let a container out of an array.
    unfit(measured, r#"{"f":[{"name":"a","parts":[1,["x"]]}]}"#, r#"{"f":[]}"#, 1);
    unfit(
        measured,
        r#"{"f":[{"name":"a","parts":[["x"],["y"]]},{"name":"b","parts":[]}]}"#,
        r#"{"f":[{"parts":[]}]}"#,
        1,
    );
    // Members that no line classifies, or that are changed.
    let object = r#"{ "$.f[?length(@.file) > 1].name": keep, "$.f[*].file": keep, "$.f[*].file.size": keep, "$.f[*].file.owner": mask, "$.f[*].file.tags": keep }"#;
    for (file, fits) in [
        (r#"{"size":1,"tags":[2]}"#, true),
        (r#"{"size":1,"tags":2}"#, true),
        (r#"{"size":1,"secret":2}"#, false),
        (r#"{"size":1,"owner":"anna"}"#, false),
        (r#"{"size":1,"tags":[{}]}"#, false),
        (r#"{"size":1,"tags":{}}"#, true),
        (r#"{"size":1,"tags":{"x":1}}"#, false),
    ] {
        let document = format!(r#"{{"f":[{{"file":{file},"name":7}}]}}"#);
        let expected = if fits { document.clone() } else { r#"{"f":[]}"#.to_owned() };
        unfit(object, &document, &expected, u64::from(!fits));
    }
    // Two places, of which one holds a container; a literal is none.
    let compared = r#"{ "$.f[?@.a == @.b].name": keep, "$.f[*].a": keep, "$.f[*].b": keep }"#;
    for (a, b, name, fits) in [
        ("[1]", "[1]", r#","name":7"#, true),
        ("[1]", "[2]", "", true),
        ("1", "[2]", "", true),
        ("1", "[[2]]", "", false),
        ("[[2]]", "[[2]]", "", false),
        (r#"{"x":1}"#, "1", "", false),
        ("{}", "{}", r#","name":7"#, true),
    ] {
        let document = format!(r#"{{"f":[{{"a":{a},"b":{b},"name":7}}]}}"#);
        let stays = format!(r#"{{"f":[{{"a":{a},"b":{b}{name}}}]}}"#);
        let expected = if fits { stays } else { r#"{"f":[]}"#.to_owned() };
        unfit(compared, &document, &expected, u64::from(!fits));
    }
    unfit(
        r#"{ "$.f[?@.a == 1].name": keep, "$.f[*].a": keep }"#,
        r#"{"f":[{"a":[[1]],"name":7}]}"#,
        r#"{"f":[{"a":[]}]}"#,
        0,
    );
    // What the answer itself decides about: if it is yes, all of it is kept.
    unfit(
        r#"{ "$.f[?length(@.p) > 1]['p'][*]": keep, "$.f[*].p": keep }"#,
        r#"{"f":[{"p":[1,[]]},{"p":[[]]},{"p":[1]}]}"#,
        r#"{"f":[{"p":[1,[]]},{"p":[1]}]}"#,
        1,
    );
    // Where the other side decides, it does not matter.
    unfit(
        r#"{ "$.f[?@.k == 1 || length(@.p) > 1].name": keep, "$.f[*].p": keep, "$.f[*].k": keep }"#,
        r#"{"f":[{"k":1,"p":[[]],"name":7},{"k":2,"p":[[]],"name":8}]}"#,
        r#"{"f":[{"k":1,"p":[],"name":7}]}"#,
        1,
    );
}

/// The same of what stands elsewhere in the document.
#[test]
fn filters_compare_with_what_is_kept_of_the_document() {
    let check_held = |lines: &str, document: &str, expected: &str| {
        let api = format!("    routes: {{ GET /x: {{ body: {{ {lines} }}, buffer: document }} }}");
        check_api(&api, "", document, expected);
    };
    let lines = r#""$.f[?@.a == $.b].name": keep, "$.f[*].a": keep, $.b: keep"#;
    let f = r#""f":[{"a":[1],"name":7},{"a":[2],"name":8},{"a":3,"name":9}]"#;
    check_held(
        lines,
        &format!(r#"{{"b":[1],{f}}}"#),
        r#"{"b":[1],"f":[{"a":[1],"name":7},{"a":[2]},{"a":3}]}"#,
    );
    check_held(lines, &format!(r#"{{{f},"b":[[1]]}}"#), r#"{"f":[],"b":[]}"#);
    let length =
        r#""$.f[?length($.b) == @.a].name": keep, "$.f[*].a": keep, $.b: keep, $.b.c: keep"#;
    check_held(
        length,
        r#"{"f":[{"a":1,"name":7},{"a":2,"name":8}],"b":{"c":1}}"#,
        r#"{"f":[{"a":1,"name":7},{"a":2}],"b":{"c":1}}"#,
    );
    check_held(length, r#"{"f":[{"a":1,"name":7}],"b":{"c":1,"d":2}}"#, r#"{"f":[],"b":{"c":1}}"#);
    // What another filter decides about is not known yet.
    let other = r#""$.f[?length($.b) == @.a].name": keep, "$.f[*].a": keep, $.b: keep, "$.b[?@ == 1]": keep, "$.b[*]": keep"#;
    check_held(other, r#"{"f":[{"a":1,"name":7}],"b":[1]}"#, r#"{"f":[],"b":[1]}"#);
    let inner = r#""$.f[?$.b[?@.x == @.y]].name": keep, $.b.*: { category: keep, names: public }, "$.b.*['x','y']": { category: keep, names: public }"#;
    check_held(
        inner,
        r#"{"f":[{"name":7}],"b":[{"x":1,"y":1}]}"#,
        r#"{"f":[{"name":7}],"b":[{"x":1,"y":1}]}"#,
    );
    check_held(
        inner,
        r#"{"f":[{"name":7}],"b":[{"x":[1],"y":[1]}]}"#,
        r#"{"f":[{"name":7}],"b":[{"x":[1],"y":[1]}]}"#,
    );
    check_held(
        inner,
        r#"{"f":[{"name":7}],"b":[{"x":[[1]],"y":[[1]]}]}"#,
        r#"{"f":[],"b":[{"x":[],"y":[]}]}"#,
    );
}

#[test]
fn names_can_be_pseudonyms() {
    let (out, counts, _) = run(
        &plan(
            "    routes: { GET /x: { body: { \"$.m.*\": { category: keep, names: pseudonym } } } }",
            "",
        ),
        &[br#"{"m":{"C-1042":1,"\ud800":2,"C-1043":[]}}"#],
    );
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let names: Vec<&String> = value["m"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 2, "{out}");
    assert!(names.iter().all(|name| name.starts_with("p1.") && name.len() == 29), "{out}");
    assert_eq!(
        counts,
        [
            count("keep", "keep", 1),
            count("pseudonym", "pseudonym", 2),
            count("pseudonym", "unfit", 1)
        ]
    );
}

#[test]
fn containers_stay_as_structure_where_a_path_goes_on() {
    check("{ $.a.b.c: keep }", r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{"c":1}}}"#);
    check("{ $.a.b.c: keep }", r#"{"a":{"b":{}}}"#, r#"{"a":{"b":{}}}"#);
    check("{ $.a.b.c: keep }", r#"{"a":[1]}"#, "{}");
    check("{ $.a.b: drop, $.c: keep }", r#"{"a":{"b":1}}"#, "{}");
    check("{ \"$.a[*].b\": keep }", r#"{"a":[1,{"b":2},[3]]}"#, r#"{"a":[{"b":2}]}"#);
    check("{ \"$.a[2:2]\": keep, $.b: keep }", r#"{"a":[1]}"#, "{}");
    check("{ \"$.a[0:9:0]\": keep, $.b: keep }", r#"{"a":[1]}"#, "{}");
    check("{ $.a: \"null\", $.a.b.c: keep }", r#"{"a":{"b":5}}"#, r#"{"a":{"b":null}}"#);
    check("{ $.a: \"null\", $.a.b.c: keep }", r#"{"a":{"b":[5]}}"#, r#"{"a":{"b":null}}"#);
    check("{ $.a: \"null\", $.a.b.c: keep }", r#"{"a":5}"#, r#"{"a":null}"#);
    check("{ $.a: drop, \"$.a[1]\": keep }", r#"{"a":[1,2,3]}"#, r#"{"a":[2]}"#);
}

#[test]
fn unclassified_can_be_kept_with_a_reason() {
    check_open("{ $.a: drop }", r#"{"a":1, "b":[2,{"c":3}]}"#, r#"{ "b":[2,{"c":3}]}"#);
    check_open("{ $.a.b: drop }", r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2}}"#);
    // Below a node whose own action is not `keep` it does not hold.
    check_open("{ $.a: mask }", r#"{"a":{"b":1},"c":2}"#, r#"{"a":{},"c":2}"#);
    check_open("{ $.a: keep }", r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#);
    check_open("{ $.a: mask }", r#"{"a":[["x"],"secret"]}"#, r#"{"a":["********"]}"#);
    check_open(
        "{ $.a: drop, $.a.b.c: keep }",
        r#"{"a":{"b":{"c":1,"d":2},"e":3}}"#,
        r#"{"a":{"b":{"c":1}}}"#,
    );
}

#[test]
fn the_innermost_record_says_what_is_unclassified() {
    let mount = |record: &str| {
        format!(
            "    unclassified: {{ keep: {{ because: a test }} }}\n    routes: {{ GET /x: {{ body: {{ $.r: {record} }} }} }}"
        )
    };
    check_api(&mount("empty"), "", r#"{"r":{"x":1},"y":2}"#, r#"{"r":{},"y":2}"#);
    check_api(&mount("open"), "", r#"{"r":{"x":1},"y":2}"#, r#"{"r":{"x":1},"y":2}"#);
    check("{ $.r: open }", r#"{"r":{"x":1},"y":2}"#, r#"{"r":{"x":1}}"#);
    // A record in between holds again, but not against `drop` and `null`, nor for names.
    check(
        "{ $.a: \"null\", $.a.r: open }",
        r#"{"a":{"r":{"anna@example.org":5,"unused":1}}}"#,
        r#"{"a":{"r":{"unused":1}}}"#,
    );
    check("{ $.a: mask, $.a.r: open }", r#"{"a":{"r":{"x":1},"y":2}}"#, r#"{"a":{"r":{"x":1}}}"#);
    check(
        "{ $.a: drop, $.a.r: open }",
        r#"{"a":{"r":{"x":1,"unused":2}}}"#,
        r#"{"a":{"r":{"unused":2}}}"#,
    );
}

#[test]
fn the_stricter_action_wins_a_tie() {
    let (counts, _) =
        check("{ $.a: keep, \"$['a']\": mask }", r#"{"a":"secret"}"#, r#"{"a":"********"}"#);
    assert_eq!(counts, [count("mask", "mask", 1)]);
    check(
        "{ $.a: \"null\", \"$.*\": { category: drop, names: public }, $.b.c: keep }",
        r#"{"a":1}"#,
        "{}",
    );
    // Among equals a declared category before `public`, then the first by name.
    let (counts, _) = check(
        "{ $.a: public, \"$['a']\": second.keep, \"$['a','a']\": keep }",
        r#"{"a":1}"#,
        r#"{"a":1}"#,
    );
    assert_eq!(counts, [count("keep", "keep", 1)]);
}

#[test]
fn pieces_are_dropped_where_an_action_would_have_to_see_the_whole() {
    let fields = "{ $.a: { category: mask, delta: drop }, $.b: { category: mask, delta: none }, \
                  $.c: { category: keep, delta: drop }, $.d: { category: 'null', delta: drop }, \
                  $.e: { category: year, delta: drop }, $.f: { category: pseudonym, delta: drop } }";
    let (counts, _) = check(
        fields,
        r#"{"a":["se"],"b":"secret","c":"se","d":"se","e":"2026","f":"C-10"}"#,
        r#"{"b":"********","c":"se","d":null}"#,
    );
    assert_eq!(
        counts,
        [
            count("mask", "drop", 1),
            count("mask", "mask", 1),
            count("keep", "keep", 1),
            count("null", "null", 1),
            count("year", "drop", 1),
            count("pseudonym", "drop", 1),
        ]
    );
    // The stricter of two is found after that.
    let ties = "{ $.a: mask, \"$['a']\": { category: pseudonym, delta: drop }, $.b: keep }";
    check(ties, r#"{"a":"secret","b":1}"#, r#"{"b":1}"#);
    // Names do not come in pieces.
    check(
        "{ \"$.m.*\": { category: mask, names: keep, delta: drop }, $.m..k: keep }",
        r#"{"m":{"x":"se","y":{"k":1}}}"#,
        r#"{"m":{"y":{"k":1}}}"#,
    );
    // What can only hold pieces is no structure.
    check("{ $.a.b: { category: mask, delta: drop }, $.c: keep }", r#"{"a":{"b":"se"}}"#, "{}");
}

/// Records of the tests about JSON in strings: a person, and a letter that holds one.
const PERSON: &str = "  person: { fields: { $.id: keep, $.mail: mask } }
  letter: { fields: { $.no: keep }, embedded: { $.person: person, $.letter: nested } }
  nested: { fields: { $.no: keep }, embedded: { $.letter: deeper } }
  deeper: { fields: { $.no: keep }, embedded: { $.letter: deepest } }
  deepest: { fields: { $.no: keep }, embedded: { $.letter: bottom } }
  bottom: { fields: { $.no: keep } }
  gone: { fields: { $.id: drop } }
";

/// As `check`, with what strings hold.
#[track_caller]
fn check_embedded(embedded: &str, body: &str, expected: &str) -> Vec<Count> {
    let route =
        format!("    routes: {{ GET /x: {{ body: {{ $.b: keep }}, embedded: {embedded} }} }}");
    check_api(&route, PERSON, body, expected).0
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// As deep as a value may be long: neither the document nor what filters ask of it is gone down into.
#[test]
fn no_nesting_of_a_document_in_a_string_recurses() {
    let records = "  tasks: { fields: { \"$.tasks[?@.a == @.b || @..c].mail\": keep, $.x: keep }, unclassified: { keep: { because: a test } } }\n";
    let route = "    routes: { GET /x: { body: { $.b: keep }, embedded: { $.p: tasks } } }";
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        let document = |levels: usize| {
            format!(r#"{{"tasks":[{{"a":{0},"b":{0},"mail":1}}],"x":2}}"#, deep(levels))
        };
        let fits = quoted(&document(100));
        let body = format!(r#"{{"p":{fits},"b":1}}"#);
        check_api(route, records, &body, &body);
        let body = format!(r#"{{"p":{},"b":1}}"#, quoted(&document(3_000)));
        check_api(route, records, &body, r#"{"p":null,"b":1}"#);
    }
}

#[test]
fn a_string_can_hold_a_document() {
    let counts = check_embedded(
        "{ $.p: person }",
        r#"{"p":"{\"id\":1, \"mail\":\"anna\",\"x\":[\"\\u00e9\"]}","b":2}"#,
        r#"{"p":"{\"id\":1, \"mail\":\"********\"}","b":2}"#,
    );
    assert_eq!(counts, [count("keep", "keep", 2), count("mask", "mask", 1)]);
    // With the escapes that are needed and no more, be nothing changed: else these told that.
    check_embedded(
        "{ $.p: person }",
        r#"{"p":"\t{ \u0022id\" : \u0031.50 }"}"#,
        r#"{"p":"\t{ \"id\" : 1.50 }"}"#,
    );
    // Where nothing could be, it leaves as it came.
    let route = "    unclassified: { keep: { because: a test } }\n    routes: { GET /x: { embedded: { $.p: keep, $.q: mask } } }";
    let same = r#"{"p":"\t{ \u0022id\" : [\u0031.50,[2]] }"}"#;
    check_api(route, "", same, same);
    let other = r#"{"q":"[\u0031]"}"#;
    check_api(route, "", other, r#"{"q":"[null]"}"#);
    check_embedded(
        "{ $.p: person }",
        r#"{"p":"{\u0022id\u0022:\u0022\\n\u00e9\/\u0022,\"x\":1}"}"#,
        r#"{"p":"{\"id\":\"\\né/\"}"}"#,
    );
    check_embedded(
        "{ \"$.p[*]\": person }",
        r#"{"p":["{\"x\":1}","no",{"id":1,"x":2}]}"#,
        r#"{"p":["{}",null,{"id":1}]}"#,
    );
    check_embedded("{ $: person }", r#""{\"id\":1,\"x\":2}""#, r#""{\"id\":1}""#);
}

#[test]
fn without_a_declaration_a_string_is_a_string() {
    let body = r#"{"a":"{\"id\":1,\"x\":2}"}"#;
    check("{ $.a: keep, $.a.id: drop }", body, body);
    let route = "    routes: { GET /x: { body: { $.a: person, $.b: keep } } }";
    check_api(route, PERSON, body, "{}");
}

#[test]
fn a_category_acts_on_the_root_of_such_a_document() {
    check_embedded("{ $.p: mask }", r#"{"p":"\"anna\""}"#, r#"{"p":"\"********\""}"#);
    check_embedded(
        "{ $.p: mask }",
        r#"{"p":"[\"anna\",[\"bo\"],{\"a\":1}]"}"#,
        r#"{"p":"[\"********\"]"}"#,
    );
    check_embedded("{ $.p: keep }", r#"{"p":"{\"a\":1}"}"#, r#"{"p":"{}"}"#);
    check_embedded("{ $.p: keep }", r#"{"p":"[1,2]"}"#, r#"{"p":"[1,2]"}"#);
    check_embedded("{ $.p: drop }", r#"{"p":"[1,2]","b":1}"#, r#"{"b":1}"#);
    check_embedded("{ $.p: \"null\" }", r#"{"p":"[1,2]","b":1}"#, r#"{"p":null,"b":1}"#);
    // A string in a string is a string.
    check_embedded("{ $.p: keep }", r#"{"p":"\"{\\\"a\\\":1}\""}"#, r#"{"p":"\"{\\\"a\\\":1}\""}"#);
}

#[test]
fn what_stands_there_without_a_string_is_decided_as_the_document() {
    check_embedded("{ $.p: person }", r#"{"p":{"id":1,"x":2}}"#, r#"{"p":{"id":1}}"#);
    check_embedded("{ $.p: keep }", r#"{"p":7}"#, r#"{"p":7}"#);
    check_embedded("{ $.p: mask }", r#"{"p":[7,"anna"]}"#, r#"{"p":[null,"********"]}"#);
    // What would be removed is `null`, as a document of which nothing leaves is.
    for scalar in ["7", "null", "true", r#""7""#, r#""null""#, r#"" [1] ""#, r#""anna""#, r#""""#] {
        check_embedded("{ $.p: person }", &format!("{{\"p\":{scalar}}}"), r#"{"p":null}"#);
        // Unless nothing can ever leave there.
        check_embedded("{ $.p: gone }", &format!("{{\"p\":{scalar},\"b\":1}}"), r#"{"b":1}"#);
    }
}

#[test]
fn a_string_without_a_document_is_unfit() {
    let deep = "[".repeat(129) + &"]".repeat(129);
    let long = format!("{{\"id\":1,\"x\":\"{}\"}}", "x".repeat(70_000));
    for text in
        ["anna", "", "{\"id\":1", "{\"id\":1}}", "{\"id\":1} x", "{\"id\":\"\n\"}", &deep, &long]
    {
        let body = format!("{{\"p\":{}}}", quoted(text));
        // What would have left of it is not counted.
        let counts = check_embedded("{ $.p: person }", &body, r#"{"p":null}"#);
        assert_eq!(counts, [count("unclassified", "unfit", 1)], "{text:.20}");
        let counts = check_embedded("{ $.p: mask }", &body, r#"{"p":null}"#);
        assert_eq!(counts, [count("mask", "unfit", 1)], "{text:.20}");
    }
    let counts = check_embedded("{ $.p: person }", r#"{"p":"\ud800"}"#, r#"{"p":null}"#);
    assert_eq!(counts, [count("unclassified", "unfit", 1)]);
}

#[test]
fn documents_in_strings_of_documents_have_a_most() {
    let inner = r#"{"no":1,"x":2}"#;
    let letter = |inner: &str, depth: u32| {
        (0..depth)
            .fold(inner.to_owned(), |text, _| format!("{{\"no\":1,\"letter\":{}}}", quoted(&text)))
    };
    for depth in 0..4 {
        let left = letter(r#"{"no":1}"#, depth);
        let body = |text: &str| format!("{{\"p\":{}}}", quoted(text));
        check_embedded("{ $.p: letter }", &body(&letter(inner, depth)), &body(&left));
    }
    let none = letter(r#"{"no":1,"letter":null}"#, 3);
    check_embedded(
        "{ $.p: letter }",
        &format!("{{\"p\":{}}}", quoted(&letter(inner, 4))),
        &format!("{{\"p\":{}}}", quoted(&none)),
    );
}

/// Appends a document by chance.
fn document(next: &mut impl FnMut(usize) -> usize, depth: usize, out: &mut String) {
    let of =
        |texts: &[&str], next: &mut dyn FnMut(usize) -> usize| texts[next(texts.len())].to_owned();
    match next(if depth == 0 { 3 } else { 6 }) {
        0 => out.push_str(&of(&["1", "-0.50", "null", "true"], next)),
        1 | 2 => {
            out.push_str(&of(&[r#""anna""#, r#""\u0061\n""#, r#""\ud800""#, r#""é\\\"""#], next));
        }
        3 => {
            out.push('[');
            for at in 0..next(4) {
                out.push_str(if at > 0 { ", " } else { "" });
                document(next, depth - 1, out);
            }
            out.push_str(&of(&["]", " ]"], next));
        }
        _ => {
            out.push('{');
            for at in 0..next(4) {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&of(
                    &["\"id\"", " \"mail\"", "\"m\"", "\"x\"", "\"\\u0069d\" "],
                    next,
                ));
                out.push_str(&of(&[":", " : "], next));
                document(next, depth - 1, out);
            }
            out.push('}');
        }
    }
}

/// The document in the string against the same document without it, which is decided by other code.
#[test]
fn a_document_is_decided_alike_in_a_string_and_without() {
    let numbers = |seed: u64| {
        let mut state = seed;
        move |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        }
    };
    let records = "  r: { fields: { $.id: keep, $.mail: mask, $.m..id: drop, $.m: pseudonym, \"$.x[1]\": year } }\n  \
                   k: { fields: { $.x.id: drop }, unclassified: { keep: { because: a test } } }\n";
    for class in ["r", "k", "mask", "keep", "{ category: pseudonym, names: public }"] {
        let route = |key: &str| {
            plan(&format!("    routes: {{ GET /x: {{ {key}: {{ $.p: {class} }} }} }}"), records)
        };
        let (within, without) = (route("embedded"), route("body"));
        for seed in 0..300 {
            let mut next = numbers(seed);
            let mut text = String::new();
            document(&mut next, 4, &mut text);
            let plain = run(&without, &[format!("{{\"p\":{text}}}").as_bytes()]);
            let body = format!("{{\"p\":{}}}", quoted(&text));
            let whole = run(&within, &[body.as_bytes()]);
            let expected =
                match plain.0.strip_prefix("{\"p\":").and_then(|rest| rest.strip_suffix('}')) {
                    Some(left) if left == text => body.clone(),
                    Some(left) => format!("{{\"p\":{}}}", quoted(left)),
                    None if plain.0 == "null" => plain.0.clone(),
                    None => "{\"p\":null}".to_owned(),
                };
            assert_eq!(whole.0, expected, "{class}, seed {seed}: {text}");
            assert_eq!((&whole.1, whole.2), (&plain.1, plain.2), "{class}, seed {seed}: {text}");
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(run(&within, &bytes), whole, "{class}, seed {seed}: {text}");
        }
    }
}

#[test]
fn what_an_action_cannot_treat_becomes_null() {
    let (counts, _) = check(
        "{ $.a: year, $.b: pseudonym }",
        r#"{"a":["2026-03-09","soon",3,null],"b":[true,null]}"#,
        r#"{"a":["2026",null,null,null],"b":[null,null]}"#,
    );
    assert_eq!(
        counts,
        [
            count("year", "generalise", 2),
            count("year", "unfit", 2),
            count("pseudonym", "pseudonym", 1),
            count("pseudonym", "unfit", 1)
        ]
    );
    check("{ $.a: mask }", r#"{"a":"\ud800 is no text"}"#, r#"{"a":null}"#);
    check("{ $.a: keep }", r#"{"a":"\ud800 is kept"}"#, r#"{"a":"\ud800 is kept"}"#);
    let long = format!(r#"{{"a":"{0}","b":"{0}"}}"#, "x".repeat(70_000));
    let kept = format!(r#"{{"a":"{}","b":null}}"#, "x".repeat(70_000));
    let (counts, _) = check("{ $.a: keep, $.b: mask }", &long, &kept);
    assert_eq!(counts, [count("keep", "keep", 1), count("mask", "unfit", 1)]);
}

#[test]
fn duplicates_are_all_treated() {
    check(
        "{ $.a: mask, $.b: keep }",
        r#"{"a":"secret","b":1,"a":"again","\u0061":"secret"}"#,
        r#"{"a":"********","b":1,"a":"********","\u0061":"********"}"#,
    );
    check("{ $.b: keep }", r#"{"a":"secret","b":1,"a":{"b":2}}"#, r#"{"b":1}"#);
}

#[test]
fn what_leaves_is_counted_and_what_does_not_once() {
    let (counts, unclassified) = check(
        "{ $.p: keep, $.q: mask, $.r: drop, $.s: \"null\", $.t: unruled }",
        r#"{"p":[1,2,3],"q":"secret","s":[1],"u":1}"#,
        r#"{"p":[1,2,3],"q":"********","s":null}"#,
    );
    assert_eq!(
        counts,
        [
            count("keep", "keep", 3),
            count("mask", "mask", 1),
            count("drop", "drop", 1),
            count("null", "null", 1),
            count("unruled", "drop", 1)
        ]
    );
    assert!(unclassified);
    let (counts, unclassified) = check_open(
        "{ $.p: drop, \"$.m.*\": { category: keep, names: second.keep } }",
        r#"{"x":[1,{"y":null}],"m":{"n":1,"o":[]},"z":"z"}"#,
        r#"{"x":[1,{"y":null}],"m":{"n":1,"o":[]},"z":"z"}"#,
    );
    assert_eq!(
        counts,
        [
            count("drop", "drop", 1),
            count("keep", "keep", 1),
            count("second.keep", "keep", 2),
            count("unclassified", "keep", 3)
        ]
    );
    assert!(!unclassified);
}

/// A container below which a path goes on is withheld, and nobody has to be told of it.
#[test]
fn what_the_policy_knows_is_not_unclassified() {
    let record = "  r: { fields: { $.b: drop, \"$.l[*].m\": drop } }\n";
    let says = |route: &str, record: &str, body: &str, expected: &str| {
        let route = format!("    routes: {{ GET /x: {route} }}");
        check_api(&route, record, body, expected).1
    };
    let of = |fields: &str, body: &str, expected: &str| {
        says(&format!("{{ body: {fields} }}"), "", body, expected)
    };
    let fields = "{ $.a.b: drop, \"$.l[*].m\": drop, $.k: keep }";
    for known in [r#"{"a":{"b":1},"k":1}"#, r#"{"a":{"new":[1]},"l":[{"m":1},2],"k":1}"#] {
        assert!(!of(fields, known, r#"{"k":1}"#), "{known}");
    }
    // Of another kind than what the path goes on below, or below which none does.
    for unknown in ["[1]", "[]", "7", "\"b\""] {
        assert!(of(fields, &format!(r#"{{"a":{unknown},"k":1}}"#), r#"{"k":1}"#), "{unknown}");
    }
    // `[*]` goes on below both kinds.
    assert!(!of(fields, r#"{"l":{"0":{"m":1}},"k":1}"#, r#"{"k":1}"#));
    assert!(of(fields, r#"{"k":1,"z":{}}"#, r#"{"k":1}"#));
    assert!(of("{ $.a.b: keep }", r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{}}}"#));
    assert!(of("{ \"$.a[0:0].b\": drop, $.k: keep }", r#"{"a":[1],"k":1}"#, r#"{"k":1}"#));
    // The root, and what `..` goes on below.
    assert!(!of("{ $.a: drop }", r#"{"a":1}"#, "null"));
    assert!(!of("{ $..b: drop }", r#"[[{"b":1}]]"#, "null"));
    assert!(of("{ $..b: drop, $.k: keep }", r#"{"a":{"b":1}}"#, "{}"), "a name nobody spelled");
    // A filter goes below only what it selects.
    let filtered = "{ \"$.l[?@.t == 1].m.n\": drop, \"$.l[?@.t == 1].t\": public }";
    assert!(!of(filtered, r#"{"l":[{"t":1,"m":{"n":1}}]}"#, r#"{"l":[{"t":1}]}"#));
    assert!(of(filtered, r#"{"l":[{"t":3,"m":{"n":1}}]}"#, r#"{"l":[]}"#));
    // A record, and one in a string.
    assert!(!says(
        "{ body: { $.a: r, $.k: keep } }",
        record,
        r#"{"a":{"x":1},"k":1}"#,
        r#"{"k":1}"#
    ));
    let embedded = "{ body: { $.k: keep }, embedded: { $.s: r } }";
    for held in [r#""{\"x\":1}""#, r#"{"x":1}"#] {
        assert!(!says(embedded, record, &format!(r#"{{"s":{held},"k":1}}"#), r#"{"k":1}"#));
    }
    // Members that are alike, of which each is a container that the policy knows.
    let fields = "{ \"$[*].a.b\": drop, \"$[*].k\": keep }";
    let rows = [r#"{"a":{"b":1},"k":1}"#; 9].join(",");
    let left = [r#"{"k":1}"#; 9].join(",");
    assert!(!of(fields, &format!("[{rows}]"), &format!("[{left}]")));
    assert!(of(
        fields,
        &format!("[{rows},{}]", r#"{"a":[],"k":1}"#),
        &format!("[{left},{}]", r#"{"k":1}"#)
    ));
}

#[test]
fn a_name_counts_only_if_its_member_leaves() {
    let fields = "{ \"$.m.*\": { category: drop, names: second.keep }, $.m..k: keep }";
    let (counts, _) = check(fields, r#"{"m":{"a":1,"b":{"k":2}}}"#, r#"{"m":{"b":{"k":2}}}"#);
    assert_eq!(
        counts,
        [count("drop", "drop", 1), count("second.keep", "keep", 1), count("keep", "keep", 1)]
    );
}

#[test]
fn every_violation_has_its_reason() {
    let plan = plan("    routes: { GET /x: { body: { $.a: keep } } }", "");
    let refused = |body: &[u8]| {
        let context = Context { today: date(2026, 11, 21) };
        let mut enforcement = Enforcement::new(Arc::clone(&plan), context, Limits::default());
        let mut sink = Copied { chunk: body, out: &mut Vec::new() };
        let written = enforcement.write(body, &mut sink);
        written.and_then(|()| enforcement.finish(&mut sink)).unwrap_err().reason
    };
    assert_eq!(refused(b"{\"a\":1}}"), Reason::BodyUnreadable);
    assert_eq!(refused(b"{\"a\":\"\xff\"}"), Reason::BodyUnreadable);
    assert_eq!(refused("[".repeat(129).as_bytes()), Reason::BodyTooDeep);
    assert_eq!(refused(b"{\"a\":1"), Reason::BodyCut);
    assert_eq!(refused(b""), Reason::BodyCut);
}

#[test]
fn a_filter_goes_below_only_what_it_selects() {
    let fields = "{ \"$.rows[?@.kind == 'x'].a\": keep, \"$.rows[?@.kind == 'x'].kind\": public }";
    let body = r#"{"rows":[{"kind":"x","a":1,"b":2},{"kind":"y","a":3},7,{"a":4}]}"#;
    let (counts, unclassified) = check(fields, body, r#"{"rows":[{"kind":"x","a":1}]}"#);
    assert_eq!(counts, [count("keep", "keep", 1), count("public", "keep", 1)]);
    assert!(unclassified);
    check(fields, r#"{"rows":[]}"#, r#"{"rows":[]}"#);
    check(fields, r#"{"rows":{"m":{"kind":"x","a":1}}}"#, r#"{"rows":{}}"#);
    let named = "{ \"$.rows[?@.kind == 'x'].a\": { category: keep, names: pseudonym }, \"$.rows[?@.kind == 'x'].kind\": public }";
    check(named, r#"{"rows":{"m":{"kind":"y"}}}"#, r#"{"rows":{}}"#);
    check("{ \"$.rows[-1]\": keep, $.z: keep }", r#"{"rows":[1,2,3]}"#, r#"{"rows":[3]}"#);
    check("{ \"$.rows[-1:-1]\": keep, $.z: keep }", r#"{"rows":[1,2,3]}"#, "{}");
}

#[test]
fn what_cannot_be_judged_is_unfit() {
    let fields = "{ \"$[?@.kind == 'x']['a','kind']\": keep }";
    let (counts, _) = check(
        fields,
        r#"[{"kind":"x","kind":"y","a":1},{"kind":"x","a":2}]"#,
        r#"[{"kind":"x","a":2}]"#,
    );
    assert_eq!(counts, [count("keep", "keep", 2), count("keep", "unfit", 1)]);
    let fields = "{ \"$[?@.kind == 'x'].a\": keep, \"$[?@.kind == 'x'].kind\": public }";
    let (counts, _) = check(fields, r#"[{"kind":"\ud800","a":1}]"#, "[]");
    assert_eq!(counts, [count("unclassified", "unfit", 1)]);
}

#[test]
fn a_tie_that_a_filter_decides_about_is_dropped() {
    let fields = "{ \"$[?@.k == 1].a\": year, \"$[*].a\": month, \"$[*].k\": public }";
    let body = r#"[{"a":"2026-03-09","k":2},{"a":"2026-03-09","k":1}]"#;
    check(fields, body, r#"[{"a":"2026-03","k":2},{"k":1}]"#);
}

/// As `check`, on a route that holds the document.
#[track_caller]
fn check_held(fields: &str, body: &str, expected: &str) -> Vec<Count> {
    let route = format!("    routes: {{ GET /x: {{ body: {fields}, buffer: document }} }}");
    check_api(&route, "", body, expected).0
}

#[test]
fn a_filter_asks_about_the_document() {
    let fields = "{ \"$.rows[?@.owner == $.viewer.id].mail\": keep, \"$.rows[*].owner\": public, $.viewer.id: public }";
    let counts = check_held(
        fields,
        r#"{ "rows":[{"owner":1,"mail":"a"}, {"owner":2,"mail":"b"}],"viewer":{"id":2.0,"x":1}}"#,
        r#"{ "rows":[{"owner":1}, {"owner":2,"mail":"b"}],"viewer":{"id":2.0}}"#,
    );
    assert_eq!(counts, [count("keep", "keep", 1), count("public", "keep", 3)]);
    check_held(
        fields,
        r#"{"rows":[{"owner":1,"mail":"a"},{"mail":"c"}]}"#,
        r#"{"rows":[{"owner":1},{"mail":"c"}]}"#,
    );
    let counts = check_held(
        fields,
        r#"{"rows":[{"owner":1,"mail":"a"}],"viewer":{"id":1,"\u0069d":1}}"#,
        r#"{"rows":[],"viewer":{"id":1,"\u0069d":1}}"#,
    );
    assert_eq!(counts, [count("keep", "unfit", 1), count("public", "keep", 2)]);
}

#[test]
fn of_a_document_in_a_string_it_is_that_which_a_filter_asks_about() {
    let records =
        "  r: { fields: { \"$.l[?@.k == $.k].a\": keep, \"$.l[*].k\": public, $.k: public } }\n";
    let route = "    routes: { GET /x: { body: { $.k: public, $.s.k: public }, embedded: { $.s: r }, buffer: document } }";
    let inner = |k: u8, left: &str| format!(r#"{{"k":{k},"l":[{{"k":1,"a":1}},{{"k":2{left}}}]}}"#);
    let body = format!(r#"{{"k":1,"s":{}}}"#, quoted(&inner(2, r#","a":2"#)));
    let left = r#"{"k":2,"l":[{"k":1},{"k":2,"a":2}]}"#;
    check_api(route, records, &body, &format!(r#"{{"k":1,"s":{}}}"#, quoted(left)));
    // One that is in no string is a part of the body.
    let body = format!(r#"{{"k":1,"s":{}}}"#, inner(2, r#","a":2"#));
    let left = r#"{"k":1,"s":{"k":2,"l":[{"k":1,"a":1},{"k":2}]}}"#;
    check_api(route, records, &body, left);
}

#[test]
fn a_document_that_is_too_large_to_be_held_is_refused() {
    let route = "    routes: { GET /x: { body: { \"$.n[?@ == $.k]\": keep, \"$.n[*]\": public, $.k: public }, buffer: document } }";
    let plan = plan(route, "");
    let limits = Limits { document_bytes_max: 1 << 20, ..Limits::default() };
    let sieve = |length: usize| {
        let body = format!(r#"{{"k":1,"n":[1,2],"x":"{}"}}"#, "x".repeat(length));
        let context = Context { today: date(2026, 11, 21) };
        let mut enforcement = Enforcement::new(Arc::clone(&plan), context, limits);
        let mut out = Vec::new();
        let written = body
            .as_bytes()
            .chunks(10_000)
            .try_for_each(|chunk| enforcement.write(chunk, &mut Copied { chunk, out: &mut out }));
        assert_eq!(out, b"", "before the end nothing leaves");
        let sink = &mut Copied { chunk: &[], out: &mut out };
        (written.and_then(|()| enforcement.finish(sink)), out, enforcement.tally().counts())
    };
    let (ended, out, _) = sieve(1_000_000);
    assert_eq!((ended, out.as_slice()), (Ok(()), &br#"{"k":1,"n":[1,2]}"#[..]));
    let (ended, out, counts) = sieve(1 << 20);
    let refusal = ended.unwrap_err();
    assert_eq!((refusal.reason, out.as_slice()), (Reason::BodyTooLarge, &b""[..]));
    assert_eq!(counts.iter().map(|count| count.accesses).sum::<u64>(), 0, "{counts:?}");
}

/// Byte by byte, no member is ever taken for one like that of the record before: what comes out then,
/// and what is counted, has to be the same in one piece.
#[test]
fn records_that_are_alike_are_decided_and_counted_one_by_one() {
    let values = ["1", "\"x\"", "[1,\"y\",{}]", "{\"id\":2,\"q\":[null]}", "\"1980-05-17\"", "[]"];
    let names = ["id", "mail", "m", "x", "other"];
    let fields = [
        "{ '$[*].id': \"null\", '$[*].mail': drop, '$[*].m': keep }",
        "{ '$[*].id': mask, '$[*].m.id': drop, '$[*].x': \"null\", '$..q': drop }",
        "{ '$[*].*': { category: keep, names: keep }, '$[*].mail': drop }",
        "{ '$[*]': drop, '$[*].x.id': keep, '$[*].m': open }",
        "{ '$[*].m': empty, '$[*].id': second.keep, '$..*': { category: \"null\", names: drop } }",
    ];
    for fields in fields {
        for open in [false, true] {
            let unclassified =
                if open { "    unclassified: { keep: { because: a test } }\n" } else { "" };
            let api = format!("{unclassified}    routes: {{ GET /x: {{ body: {fields} }} }}");
            let plan = plan(&api, "");
            for seed in 0..60 {
                // Each record has the names of the one before, and values that move along.
                let record = |n: usize| {
                    let member = |at: usize| {
                        let name = names[(seed + at + n / 6) % names.len()];
                        format!(
                            "\"{name}\":{}",
                            values[(seed / 5 + at * (1 + n / 3)) % values.len()]
                        )
                    };
                    format!("{{{}}}", (0..names.len()).map(member).collect::<Vec<_>>().join(","))
                };
                let body = format!("[{}]", (0..12).map(record).collect::<Vec<_>>().join(","));
                let whole = run(&plan, &[body.as_bytes()]);
                let bytes = run(&plan, &body.as_bytes().chunks(1).collect::<Vec<_>>());
                assert_eq!(whole, bytes, "{fields}, seed {seed}: {body}");
            }
        }
    }
}

/// What was told of one container holds for those at the same place, and for no other.
#[test]
fn each_place_is_told_of_however_like_another_it_is() {
    let fields = "{ '$[*].a.k': keep, '$[*].a[*].k': keep, '$[*].o[*].k': keep, '$[*].b.a.k': keep, '$[*].b.o[*].k': keep, '$[*].sixteen_byte_name.k': keep, '$[*].sixteen_byte_nam.k': keep }";
    let records = [
        (r#"{"a":{"k":1,"x":1},"o":[{"k":1}]}"#, &["$[*].a.*"][..]),
        (r#"{"a":{"k":1,"x":1},"o":[{"k":1},{"x":1}]}"#, &["$[*].o[*].*"]),
        (r#"{"o":[{"x":1},[{"x":1}]],"a":{"x":1}}"#, &["$[*].o[*]"]),
        (r#"{"a":[{"k":1,"x":1},7]}"#, &["$[*].a[*]", "$[*].a[*].*"]),
        (r#"{"b":{"a":{"x":1},"o":[{"k":1}]}}"#, &["$[*].b.a.*"]),
        (r#"{"b":{"o":[{"x":1}],"x":1}}"#, &["$[*].b.*", "$[*].b.o[*].*"]),
        (r#"{"sixteen_byte_name":{"x":1},"x":1}"#, &["$[*].*", "$[*].sixteen_byte_name.*"]),
        (r#"{"sixteen_byte_nam":{"x":1}}"#, &["$[*].sixteen_byte_nam.*"]),
        (r#"[{"k":1},7]"#, &["$[*]"]),
    ];
    // Each new one behind two of all those before it.
    let (mut body, mut expected) = (String::new(), Vec::new());
    for (record, told) in records {
        expected.extend_from_slice(told);
        expected.sort_unstable();
        let before = body.clone();
        body = format!("{before}{record},{before}{record},");
        let whole = format!("[{}]", body.trim_end_matches(','));
        check_places(&format!("{{ body: {fields} }}"), "", &whole, &expected);
    }
}

/// Where unclassified data is withheld, however the body is cut.
#[track_caller]
fn check_places(route: &str, records: &str, body: &str, expected: &[&str]) {
    let plan = plan(&format!("    routes: {{ GET /x: {route} }}"), records);
    for size in [body.len().max(1), 1, 2, 7, 64] {
        let context = Context { today: date(2026, 11, 21) };
        let mut enforcement = Enforcement::new(Arc::clone(&plan), context, Limits::default());
        for chunk in body.as_bytes().chunks(size) {
            enforcement.write(chunk, &mut Copied { chunk, out: &mut Vec::new() }).unwrap();
        }
        enforcement.finish(&mut Copied { chunk: b"", out: &mut Vec::new() }).unwrap();
        let places = enforcement.places();
        assert_eq!(places.paths, expected, "by {size}: {body}");
        assert!(!places.left_out);
        assert_eq!(enforcement.tally().unclassified(), !expected.is_empty());
    }
}

#[test]
fn a_place_is_a_container_in_names_of_the_policies() {
    let body = |fields: &str| format!("{{ body: {fields} }}");
    let check = |fields: &str, body_of: &str, expected: &[&str]| {
        check_places(&body(fields), "", body_of, expected);
    };
    check("{ $.a: keep }", r#"{"a":1}"#, &[]);
    check("{ $.a: keep }", r#"{"a":1,"b":2,"c":{"d":1}}"#, &["$.*"]);
    check("{ $.a: keep }", "7", &["$"]);
    check("{ $.a: keep }", "[7]", &["$"]);
    check(
        "{ '$.l[*].m': keep }",
        r#"{"l":[{"m":1,"x":1},{"m":1,"y":1},3]}"#,
        &["$.l[*]", "$.l[*].*"],
    );
    check("{ '$.a[0].b': keep }", r#"{"a":[{"b":1},{"b":2}]}"#, &["$.a[*]"]);
    let two = r#"{"home":{"city":1,"x":1},"work":{"city":1,"x":1}}"#;
    check("{ \"$['home','work'].city\": keep }", two, &["$.home.*", "$.work.*"]);
    check(
        "{ \"$['first name']['it\\\\'s'].b\": keep }",
        r#"{"first name":{"it\u0027s":{"b":1,"c":2}}}"#,
        &[r"$['first name']['it\'s'].*"],
    );
    // A name that no path spells is nobody's business, unless another path spells it.
    let fields = "{ '$.by.*.id': { category: keep, names: keep }, $.anna: keep }";
    let both = r#"{"by":{"anna":{"x":1},"bob":{"x":1},"\u0061nna":{"x":1}}}"#;
    check(fields, both, &["$.by.*.*", "$.by.anna.*"]);
    let fields = "{ '$.by.*.id': { category: keep, names: pseudonym }, $.anna: keep }";
    check(fields, both, &["$.by.*.*"]);
    // A name that is too long, or that is none.
    let long = format!(r#"{{"a":{{"b":1,"{}":1}}}}"#, "x".repeat(5000));
    check("{ $.a.b: keep }", &long, &["$.a.*"]);
    check("{ $.a.b: keep }", r#"{"a":{"\ud800":1}}"#, &["$.a.*"]);
    // What waits for a filter, or for the end of an array.
    let fields = "{ '$.l[?@.t == 1].m': keep, '$.l[?@.t == 1].t': public, '$.e[-1].m': keep }";
    check(
        fields,
        r#"{"l":[{"t":1,"m":1,"x":1},{"t":2}],"e":[{"m":1},{"m":1,"y":1}]}"#,
        &["$.e[*]", "$.e[*].*", "$.l[*]", "$.l[*].*"],
    );
}

#[test]
fn places_in_strings_are_those_of_the_document_there() {
    let record = "  r: { fields: { $.id: keep, \"$.l[*].m\": keep }, embedded: { $.p: r2 } }\n  r2: { fields: { $.n: keep } }\n";
    let route = "{ body: { $.k: keep }, embedded: { $.s: r, \"$.t[*]\": r } }";
    let check = |body: &str, expected: &[&str]| check_places(route, record, body, expected);
    let of = |text: &str| quoted(text);
    check(&format!(r#"{{"k":1,"s":{}}}"#, of(r#"{"id":1}"#)), &[]);
    check(
        &format!(r#"{{"k":1,"s":{}}}"#, of(r#"{"id":1,"x":1,"l":[{"y":1}]}"#)),
        &["$.s.*", "$.s.l[*].*"],
    );
    let nested = of(&format!(r#"{{"p":{}}}"#, of(r#"{"n":1,"z":1}"#)));
    check(&format!(r#"{{"s":{nested},"t":[{nested}]}}"#), &["$.s.p.*", "$.t[*].p.*"]);
    // Its root.
    check(&format!(r#"{{"s":{},"t":[{}]}}"#, of("[1]"), of("7")), &["$.*", "$.t[*]"]);
    check(r#"{"s":7}"#, &["$.*"]);
    // What is no document counts for nothing, whatever it begins with.
    check(&format!(r#"{{"s":{}}}"#, of(r#"{"x":1"#)), &[]);
    check(&format!(r#"{{"s":{},"t":[{}]}}"#, of(r#"{"x":1"#), of(r#"{"x":1}"#)), &["$.t[*].*"]);
}

#[test]
fn places_are_bounded_however_much_there_is() {
    let sieve = |fields: &str, body: &str| {
        let plan = plan(&format!("    routes: {{ GET /x: {{ body: {fields} }} }}"), "");
        let context = Context { today: date(2026, 11, 21) };
        let mut enforcement = Enforcement::new(plan, context, Limits::default());
        for chunk in body.as_bytes().chunks(4096) {
            enforcement.write(chunk, &mut Copied { chunk, out: &mut Vec::new() }).unwrap();
        }
        enforcement.finish(&mut Copied { chunk: b"", out: &mut Vec::new() }).unwrap();
        enforcement.places()
    };
    // Many members at one place.
    let members: Vec<String> = (0..100_000).map(|n| format!("\"m{n}\":{n}")).collect();
    let places = sieve("{ $.a: keep }", &format!("{{{}}}", members.join(",")));
    assert_eq!((places.paths.as_slice(), places.left_out), (&["$.*".to_owned()][..], false));
    // Many places.
    let names = || (0..1500).map(|n| format!("n{n}"));
    let fields: Vec<String> = names().map(|name| format!("$.{name}.k: keep")).collect();
    let members: Vec<String> = names().map(|name| format!("\"{name}\":{{\"x\":1}}")).collect();
    let places =
        sieve(&format!("{{ {} }}", fields.join(", ")), &format!("{{{}}}", members.join(",")));
    assert!(places.left_out && places.paths.len() == 1023, "{}", places.paths.len());
    // A long way down: the path that is written selects the same nodes, and more.
    let name = "n".repeat(200);
    let fields = format!("{{ $..{name}: {{ category: keep, names: keep }} }}");
    let body = format!("{}{{\"x\":1}}{}", format!("{{\"{name}\":").repeat(100), "}".repeat(100));
    let places = sieve(&fields, &body);
    assert_eq!(places.paths, [format!("$..{name}.{name}.*")]);
    let body = format!("{}{{\"x\":1}}{}", format!("{{\"{name}\":[").repeat(60), "]}".repeat(60));
    assert_eq!(sieve(&fields, &body).paths, [format!("$..[*].{name}[*].{name}[*].*")]);
}
