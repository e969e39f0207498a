use std::sync::Arc;

use jiff::civil::date;
use serde_json::Value;

use crate::{
    enforce::Enforcement,
    json::{Copied, Limits},
    path::Path,
    policy::{
        Ask, PolicySet, Question, Source, Target, load,
        tests::{CRM, crm},
    },
    transform::{Context, NoKeys},
};

/// An explanation as it is printed.
fn explained(caller: &str, purpose: Option<&str>, request: &str, path: Option<&str>) -> String {
    let path = path.map(|path| Path::parse(path).unwrap());
    let question = Question { caller, purpose, request, host: None, path: path.as_ref() };
    crm().explain(&question).to_string()
}

#[test]
fn explains_a_route() {
    assert_eq!(
        explained("office", Some("support"), "GET /customers", None),
        "\
office asks for GET /customers of crm
to \"Answer a customer\" (support, crm.yaml:11): a contract with the person, Art. 6(1)(b) GDPR

Leaves:
  $.items[*].id               as it is: identity.id (Customer number), by the rule for identity (crm.yaml:21, rule crm.yaml:55)
  $.items[*].email            as it is: contact.email (E-mail address), by the rule for contact (crm.yaml:22, rule crm.yaml:55)
  $.items[*].phones           masked but for the last 4 characters: contact.phone (Phone number) (crm.yaml:23, rule crm.yaml:55)
  $.items[*].address          as it is: contact.address (Postal address), by the rule for contact (crm.yaml:24, rule crm.yaml:55)
  $.items[*].address.country  as it is: public (crm.yaml:25)
  $.items[*].order.sku        as it is: public (crm.yaml:30)

Does not leave:
  $.items[*].notes            removed: no rule for text.notes (Notes) (crm.yaml:26)

Parameters:
  email                       taken: contact.email (E-mail address), by the rule for contact (crm.yaml:40, rule crm.yaml:55)
  page                        taken: public (crm.yaml:41)
  select                      one of status, total, because: both are harmless (crm.yaml:42)

A query parameter that is not listed, or repeated, is refused.
Whatever no line describes is removed; so is a member whose name no line spells, unless a `names:` is about it.
In $.items[*].order it leaves undecided, because: orders tell nothing about a person

Memory:
  $.items[*].phones  holds one value up to `limits.value_bytes`
  any other path     streams
"
    );
}

#[test]
fn explains_headers() {
    let text = CRM.replace(
        "  crm:\n    routes:",
        "  crm:\n    headers: { response: { X-Mail: contact.email, X-Phone: contact.phone, X-Notes: text.notes, X-Id: public } }\n    routes:",
    );
    let source = Source { name: "crm.yaml".to_owned(), text };
    let set = load(std::slice::from_ref(&source), &NoKeys).set.unwrap();
    let question =
        |caller, request| Question { caller, purpose: None, request, host: None, path: None };
    let text = set.explain(&question("desk", "GET /customers")).to_string();
    for expected in [
        "  header X-Mail               as it is: contact.email (E-mail address), by the rule for contact (crm.yaml:33, rule crm.yaml:56)\n",
        "  header X-Phone              masked but for the last 4 characters: contact.phone (Phone number) (crm.yaml:33, rule crm.yaml:56)\n",
        "  header X-Id                 as it is: public (crm.yaml:33)\n",
        "  header X-Notes              removed: no rule for text.notes (Notes) (crm.yaml:33)\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let denied = source.text.replace("audit: { health: deny,", "audit: { contact: deny,");
    let source = Source { text: denied, ..source };
    let set = load(std::slice::from_ref(&source), &NoKeys).set.unwrap();
    let text = set.explain(&question("auditor", "GET /files/{*path}")).to_string();
    let expected = "Denied (category-denied): the header X-Mail can give contact.email (crm.yaml:33), which is denied to this purpose (crm.yaml:58)\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn explains_validators() {
    let route = "      GET /customers/me: { body: { $: customer }";
    let text = CRM.replace(route, &format!("{route}, validators: {{ because: it is large }}"));
    let source = Source { name: "crm.yaml".to_owned(), text };
    let set = load(std::slice::from_ref(&source), &NoKeys).set.unwrap();
    let request = "GET /customers/me";
    let question = Question { caller: "desk", purpose: None, request, host: None, path: None };
    let text = set.explain(&question).to_string();
    let told = "Who asks again is told whether something has changed, be it withheld, because: it is large\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn explains_a_refusal_of_a_parameter() {
    let denied = "Denied (parameter-withheld): `id` takes a value only where it leaves as it is; it is as a pseudonym of this purpose for audit: identity.id (Customer number), by the rule for identity (crm.yaml:35, rule crm.yaml:57)";
    // Every request has the parameters of the path: nothing leaves of this route.
    for request in ["GET /customers/{id}", "GET /customers/17"] {
        let text = explained("auditor", None, request, None);
        assert_eq!(text.lines().last(), Some(denied), "{text}");
        assert!(!text.contains("Leaves:"), "{text}");
        let place = explained("auditor", None, request, Some("$.id"));
        assert!(!place.contains("Leaves:") && place.contains(denied), "{place}");
    }
}

#[test]
fn a_parameter_that_is_not_allowed_is_named() {
    let check = |request: &str, expected: &str| {
        let text = explained("office", Some("support"), request, None);
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(last, format!("Denied (parameter-not-allowed): {expected}"), "{text}");
        assert!(!text.contains("FR76"), "{text}");
    };
    check("GET /customers?pge=FR76", "`pge` is not listed; did you mean `page`? (crm.yaml:38)");
    check(
        "GET /customers?whatever=FR76",
        "`whatever` is not listed; the route lists email, page, select (crm.yaml:38)",
    );
    check("GET /customers?page=1&page=FR76", "`page` is repeated, and can stand once");
    check("GET /customers?select=FR76", "`select` can only be one of status, total (crm.yaml:42)");
    check("GET /customers/17?id=FR76", "`id` is a parameter of the path already");
    let long = format!("GET /customers?{}=FR76", "n".repeat(200));
    check(
        &long,
        &format!(
            "`{}..` is not listed; the route lists email, page, select (crm.yaml:38)",
            "n".repeat(64)
        ),
    );
}

#[test]
fn explains_one_place() {
    let check = |path: &str, expected: &str| {
        let text = explained("desk", None, "GET /customers/{id}", Some(path));
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(last.trim(), expected, "{text}");
    };
    check(
        "$.email",
        "$.email  as it is: contact.email (E-mail address), by the rule for contact (crm.yaml:22, rule crm.yaml:55)",
    );
    check("$.notes", "$.notes  removed: no rule for text.notes (Notes) (crm.yaml:26)");
    check(
        "$.notes.inner",
        "$.notes.inner  removed with $.notes: no rule for text.notes (Notes) (crm.yaml:26)",
    );
    check(
        "$.phones[1]",
        "$.phones[1]  masked but for the last 4 characters, as all scalars in the array $.phones: contact.phone (Phone number); an object or array there is removed, for no line describes it (crm.yaml:23, rule crm.yaml:55)",
    );
    check(
        "$.phones.kind",
        "$.phones.kind  removed: no line describes it, and nothing undecided leaves below $.phones (masked but for the last 4 characters) (crm.yaml:23, rule crm.yaml:55)",
    );
    check("$.loyalty", "$.loyalty  removed: no line describes it");
    check(
        "$.order.at",
        "$.order.at  leaves undecided: no line describes it, and what is not described is kept, because: orders tell nothing about a person (crm.yaml:27)",
    );
}

/// Who forgets `[*]`, in a question or in a line, is told where such a field stands.
#[test]
fn a_field_is_found_where_it_stands_in_lists() {
    let lines =
        ["$.orders[*].total: c", "$.people.*.name: { category: a, names: a }", "$.flat.total: a"];
    let set = set(&body(&lines), RULES);
    let check = |path: &str, rest: &[&str]| {
        let text = explain(&set, Some(path));
        let told = text.split_once("\n\n").unwrap().1;
        let told: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(told, rest, "{text}");
    };
    check(
        "$.orders.total",
        &[
            "Does not leave:",
            "  $.orders.total                  removed: no line spells its name, or one above it, and no `names:` is about it",
            "Elsewhere:",
            "  $.orders[*].total               masked as a whole: c (C) (crm.yaml:13, rule crm.yaml:16)",
            "  $.orders[any other name].total  removed: no line spells its name, or one above it, and no `names:` is about it",
            "No line is about $.orders.total; one is about $.orders[*].total (crm.yaml:13), in a list or under other names.",
        ],
    );
    for path in ["$.orders[*].total", "$.orders[0].total"] {
        let text = explain(&set, Some(path));
        assert!(text.contains("masked as a whole: c (C)"), "{text}");
        assert!(!text.contains("Elsewhere:"), "{text}");
    }
    for path in ["$.flat[*].total", "$.flat[0].total"] {
        let text = explain(&set, Some(path));
        let told = format!(
            "No line is about {path}; one is about $.flat.total (crm.yaml:15), which finds nothing in a list: where there is one, write {path} in that line.\n"
        );
        assert!(text.ends_with(&told), "{text}");
    }
    let text = explain(&set, Some("$.people.name"));
    assert!(text.contains("one is about $.people[*].name (crm.yaml:14)"), "{text}");
    let text = explain(&set, Some("$.flat.totla"));
    assert!(
        text.ends_with("No line is about $.flat.totla; did you mean $.flat.total?\n"),
        "{text}"
    );
}

/// A name that nobody spelled is data, too.
#[test]
fn a_name_that_leaves_is_told() {
    let set = set(&body(&["$.files.*.size: { category: a, names: a }"]), RULES);
    let text = explain(&set, Some("$.files['x']"));
    assert!(text.contains("\nLeaves:\n  $.files.x  removed: no line describes it; an object there stays, with its name and what other lines let through below\n"), "{text}");
    let text = explain(&set, Some("$.files['x'].size"));
    assert!(text.contains("\nLeaves:\n  $.files.x.size  as it is: a (A)"), "{text}");
}

#[test]
fn rows_have_category_and_action() {
    let set =
        set(&body(&["$.a: a", "$.b: b", "$.c.*: { category: c, names: a }", "$.p: r"]), RULES);
    let explanation = |path: Option<&str>| {
        let path = path.map(|path| Path::parse(path).unwrap());
        let request = "GET /a";
        let question =
            Question { caller: "desk", purpose: None, request, host: None, path: path.as_ref() };
        let told = set.explain(&question);
        let rows = told.leaves.into_iter().chain(told.withheld);
        rows.map(|row| (row.what, row.category.unwrap(), row.action.unwrap())).collect::<Vec<_>>()
    };
    let row = |what: &str, category: &str, action| (what.to_owned(), category.to_owned(), action);
    assert_eq!(
        explanation(None),
        [
            row("$.a", "a", "keep"),
            row("names in $.c[*]", "a", "keep"),
            row("$.c[*]", "c", "mask"),
            row("$.p.id", "a", "keep"),
            row("$.b", "b", "drop"),
            row("$.p.x", "b", "drop"),
        ]
    );
    assert_eq!(explanation(Some("$.b")), [row("$.b", "b", "drop")]);
    assert_eq!(explanation(Some("$.nobody")), [row("$.nobody", "unclassified", "drop")]);
    assert_eq!(explanation(Some("$.c.x")), [row("$.c.x", "c", "mask")]);
}

#[test]
fn explains_denials() {
    let check = |caller: &str, purpose: Option<&str>, request: &str, expected: &str| {
        let text = explained(caller, purpose, request, None);
        assert_eq!(text.lines().last().unwrap_or_default(), expected);
    };
    check(
        "dsek",
        None,
        "GET /customers/{id}",
        "Denied (caller-unknown): no caller is called `dsek`; did you mean `desk`?",
    );
    check(
        "office",
        None,
        "GET /customers/{id}",
        "Denied (purpose-missing): office may ask for several purposes, and has to say which: support, billing (crm.yaml:16)",
    );
    check(
        "desk",
        Some("suport"),
        "GET /customers/{id}",
        "Denied (purpose-unknown): no purpose is called `suport`; desk may ask for support (crm.yaml:15)",
    );
    check(
        "desk",
        Some("billing"),
        "GET /customers/{id}",
        "Denied (purpose-not-allowed): desk may not ask for billing, only for support (crm.yaml:15)",
    );
    check(
        "desk",
        None,
        "GET /custmers",
        "Denied (route-unknown): no route takes this request; did you mean `GET /customers`?",
    );
    check(
        "auditor",
        None,
        "GET /results",
        "Denied (category-denied): the route can give health.result (crm.yaml:48), which is denied to this purpose (crm.yaml:57)",
    );
    check(
        "desk",
        None,
        "POST /customers",
        "Denied (request-body-not-allowed): the route takes no request body (crm.yaml:44)",
    );
    check(
        "desk",
        None,
        "GET /customers/..",
        "Denied (path-not-canonical): the request can be understood in more than one way",
    );
}

/// A policy with one route, these lines in its body and these rules.
fn set(body: &str, rules: &str) -> PolicySet {
    let text = format!(
        "tamis: 1
categories: {{ a: A, b: B, c: C, d: D, e: E }}
purposes: {{ support: {{ title: Answer, legal_basis: contract }} }}
callers: {{ desk: {{ identify: {{ api_key: desk }}, purposes: [support] }} }}
records:
  r: {{ fields: {{ $.id: a, $.x: b }} }}
  k: {{ unclassified: {{ keep: {{ because: it is harmless }} }}, fields: {{ $.id: c }} }}
apis:
  crm:
    routes:
      GET /a:
        body:
{body}
rules: {{ support: {{ {rules} }} }}
"
    );
    let source = Source { name: "crm.yaml".to_owned(), text };
    let loaded = load(std::slice::from_ref(&source), &NoKeys);
    loaded.set.unwrap_or_else(|| panic!("{:?}\n{}", loaded.findings, source.text))
}

/// The rules of [`set`] that most tests have.
const RULES: &str = "a: keep, b: drop, c: mask, d: 'null'";

/// Body lines, one each, from line 13 on.
fn body(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("          {line}")).collect();
    lines.join("\n")
}

fn explain(set: &PolicySet, path: Option<&str>) -> String {
    let path = path.map(|path| Path::parse(path).unwrap());
    let request = "GET /a";
    let question =
        Question { caller: "desk", purpose: None, request, host: None, path: path.as_ref() };
    set.explain(&question).to_string()
}

/// What is said about lines, but for who asks and what holds for all.
fn check_lines(lines: &[&str], expected: &str) {
    let text = explain(&set(&body(lines), RULES), None);
    let rows = text.split_once("\n\n").unwrap().1.split("\n\nA query").next().unwrap();
    assert_eq!(rows, expected, "{text}");
}

#[test]
fn what_is_said_of_streams_is_told() {
    let lines =
        ["$.x: c", "$.y: { category: c, delta: drop }", "$.z: { category: a, delta: drop }"];
    check_lines(&lines, "\
Leaves:
  $.x  masked as a whole: c (C) (crm.yaml:13, rule crm.yaml:16)
  $.z  as it is: a (A) (crm.yaml:15, rule crm.yaml:16)

Does not leave:
  $.y  removed: c (C); it comes in pieces, and only a whole value could leave masked as a whole (crm.yaml:14, rule crm.yaml:16)");
    check_place(
        &lines,
        "$.y",
        &[
            "$.y  removed: c (C); it comes in pieces, and only a whole value could leave masked as a whole (crm.yaml:14, rule crm.yaml:16)",
        ],
    );
    let more = "\n        embedded: { $.p: r }\n        stream: { events: [added, moved], data: ['[DONE]'] }";
    let text = explain(&set(&(body(&["$.x: a"]) + more), RULES), None);
    for told in [
        "  $.p.id  as it is: a (A)",
        "A text at $.p is read as JSON, and what it holds is told above.\n",
        "Of a stream of events those without a name leave, and those called added, moved; data that is no JSON, if it is [DONE].\n",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// What is said about one place.
fn check_place(lines: &[&str], path: &str, expected: &[&str]) {
    let text = explain(&set(&body(lines), RULES), Some(path));
    let rows: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(rows, expected, "{text}");
}

#[test]
fn a_line_says_where_another_one_is_stricter() {
    check_lines(&["$.*.email: { category: a, names: public }", "$.a.email: b"], "\
Leaves:
  names in $.*.email  stay: public (crm.yaml:13)
  $.*.email           as it is: a (A); removed where $.a.email (crm.yaml:14) meets it (crm.yaml:13, rule crm.yaml:15)

Does not leave:
  $.a.email           removed: b (B) (crm.yaml:14, rule crm.yaml:15)");
    check_lines(&["$.items[*].id: a", "$.items[0].id: b", "$.items[2:4].id: c"], "\
Leaves:
  $.items[*].id    as it is: a (A); removed where $.items[0].id (crm.yaml:14) meets it, masked as a whole where $.items[2:4].id (crm.yaml:15) meets it (crm.yaml:13, rule crm.yaml:16)
  $.items[2:4].id  masked as a whole: c (C) (crm.yaml:15, rule crm.yaml:16)

Does not leave:
  $.items[0].id    removed: b (B) (crm.yaml:14, rule crm.yaml:16)");
    check_lines(&["$['a','b']: a", "$.a: b", "$.b: c"], "\
Leaves:
  $['a','b']  never as it is (a), for other lines are stricter: removed where $.a (crm.yaml:14) meets it, masked as a whole where $.b (crm.yaml:15) meets it (crm.yaml:13, rule crm.yaml:16)
  $.b         masked as a whole: c (C) (crm.yaml:15, rule crm.yaml:16)

Does not leave:
  $.a         removed: b (B) (crm.yaml:14, rule crm.yaml:16)");
    check_lines(&["$..email: b", "$.a.email: a"], "\
Does not leave:
  $..email   removed: b (B) (crm.yaml:13, rule crm.yaml:15)
  $.a.email  removed: b (B); $..email is stricter than a and meets it everywhere (crm.yaml:14, crm.yaml:13, rule crm.yaml:15)");
    check_lines(
        &["$.m.*: { category: a, names: a }", "$['m','n'].*: { category: a, names: b }"],
        "\
Leaves:
  $.m[*]                  as it is: a (A) (crm.yaml:13, rule crm.yaml:15)
  $['m','n'][*]           as it is: a (A) (crm.yaml:14, rule crm.yaml:15)

Does not leave:
  names in $.m[*]         are removed with their values: b (B); $['m','n'][*] is stricter than a and meets it everywhere (crm.yaml:13, crm.yaml:14, rule crm.yaml:15)
  names in $['m','n'][*]  are removed with their values: b (B) (crm.yaml:14, rule crm.yaml:15)",
    );
    // No name stays without its value.
    check_lines(
        &["$.m.*: { category: b, names: a }"],
        "\
Does not leave:
  names in $.m[*]  removed: so is every value that has such a name (crm.yaml:13, rule crm.yaml:14)
  $.m[*]           removed: b (B) (crm.yaml:13, rule crm.yaml:14)",
    );
    check_lines(
        &["$..email: a", "$.a[0:5:0]: a"],
        "\
Leaves:
  $..email   as it is: a (A) (crm.yaml:13, rule crm.yaml:15)

Does not leave:
  $.a[:5:0]  nothing: this path selects no value (crm.yaml:14)",
    );
}

#[test]
fn a_record_mounted_twice_is_one_record() {
    check_lines(&["$.items[*]: r", "$.items[0]: r", "$.items[1]: k"], "\
Leaves:
  $.items[*].id  as it is: a (A); masked as a whole where $.items[1].id (crm.yaml:7) meets it (crm.yaml:6, rule crm.yaml:16)
  $.items[0].id  as it is: a (A) (crm.yaml:6, rule crm.yaml:16)
  $.items[1].id  masked as a whole: c (C) (crm.yaml:7, rule crm.yaml:16)

Does not leave:
  $.items[*].x   removed: b (B) (crm.yaml:6, rule crm.yaml:16)
  $.items[0].x   removed: b (B) (crm.yaml:6, rule crm.yaml:16)");
}

/// Lines that meet, cover and end in many ways.
const LINES: &[&str] = &[
    "$.notes: b",
    "$.gone: d",
    "$.gone.inner.kept: a",
    "$.phones: c",
    "$.items[*].id: a",
    "$.items[0].id: b",
    "$.k: k",
    "$.r: r",
    "$.map.*: { category: a, names: b }",
    "$.open.*.x: a",
];

#[test]
fn a_place_below_another_one() {
    check_place(
        LINES,
        "$",
        &[
            "$  emptied (`null`), as a body cannot be removed: no line describes it; an object there stays, with what other lines let through below",
        ],
    );
    check_place(LINES, "$.notes", &["$.notes  removed: b (B) (crm.yaml:13, rule crm.yaml:23)"]);
    check_place(
        LINES,
        "$.notes.inner[0]",
        &["$.notes.inner[0]  removed with $.notes: b (B) (crm.yaml:13, rule crm.yaml:23)"],
    );
    check_place(
        LINES,
        "$.gone",
        &[
            "$.gone  emptied (`null`): d (D); an object there stays, with what other lines let through below (crm.yaml:14, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.gone.inner",
        &[
            "$.gone.inner  emptied (`null`) with $.gone: d (D); an object there stays, with what other lines let through below (crm.yaml:14, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.gone.inner.other",
        &[
            "$.gone.inner.other  removed: no line describes it, and nothing undecided leaves below $.gone (emptied (`null`)) (crm.yaml:14, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.gone.other",
        &[
            "$.gone.other  removed: no line describes it, and nothing undecided leaves below $.gone (emptied (`null`)) (crm.yaml:14, rule crm.yaml:23)",
        ],
    );
    check_place(LINES, "$.loyalty", &["$.loyalty  removed: no line describes it"]);
}

#[test]
fn a_place_in_an_array() {
    check_place(
        LINES,
        "$.phones[1]",
        &[
            "$.phones[1]  masked as a whole, as all scalars in the array $.phones: c (C); an object or array there is removed, for no line describes it (crm.yaml:16, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.phones[1].kind",
        &[
            "$.phones[1].kind  removed: no line describes it, and nothing undecided leaves below $.phones (masked as a whole) (crm.yaml:16, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.phones.kind",
        &[
            "$.phones.kind  removed: no line describes it, and nothing undecided leaves below $.phones (masked as a whole) (crm.yaml:16, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.items",
        &[
            "$.items  removed: no line describes it; an object or array there stays, with what other lines let through below",
        ],
    );
    check_place(LINES, "$.items[1:1]", &["$.items[1:1]  nothing: this path selects no value"]);
}

#[test]
fn places_where_lines_meet() {
    check_place(
        LINES,
        "$.items[0].id",
        &[
            "$.items[0].id  removed: b (B); that is stricter than what $.items[*].id says (crm.yaml:18, rule crm.yaml:23, crm.yaml:17)",
        ],
    );
    check_place(
        LINES,
        "$.items[1].id",
        &["$.items[1].id  as it is: a (A) (crm.yaml:17, rule crm.yaml:23)"],
    );
    check_place(
        LINES,
        "$.items[*].id",
        &[
            "$.items[1].id               as it is: a (A) (crm.yaml:17, rule crm.yaml:23)",
            "$.items[any other name].id  removed: no line spells its name, or one above it, and no `names:` is about it",
            "$.items[0].id               removed: b (B); that is stricter than what $.items[*].id says (crm.yaml:18, rule crm.yaml:23, crm.yaml:17)",
        ],
    );
    check_place(
        LINES,
        "$..id",
        &[
            "$.k.id                  masked as a whole: c (C) (crm.yaml:7, rule crm.yaml:23)",
            "$.r.id                  as it is: a (A) (crm.yaml:6, rule crm.yaml:23)",
            "$.items[1].id           as it is: a (A) (crm.yaml:17, rule crm.yaml:23)",
            "$.k[any other name].id  leaves undecided: no line describes it, and what is not described is kept, because: it is harmless (crm.yaml:19)",
            "$.id                    removed: no line describes it",
            "$.gone.id               removed: no line describes it, and nothing undecided leaves below $.gone (emptied (`null`)) (crm.yaml:14, rule crm.yaml:23)",
            "$.items.id              removed: no line spells its name, or one above it, and no `names:` is about it",
            "$.map.id                removed: names in $.map[*] are removed with their values: b (B) (crm.yaml:21, rule crm.yaml:23)",
            "$.notes.id              removed with $.notes: b (B) (crm.yaml:13, rule crm.yaml:23)",
            "$.phones.id             removed: no line describes it, and nothing undecided leaves below $.phones (masked as a whole) (crm.yaml:16, rule crm.yaml:23)",
            "$.gone[*].id            removed with $.gone, which is emptied (`null`): d (D) (crm.yaml:14, rule crm.yaml:23)",
            "$.items[0].id           removed: b (B); that is stricter than what $.items[*].id says (crm.yaml:18, rule crm.yaml:23, crm.yaml:17)",
            "$.k.id.id               removed: no line describes it, and nothing undecided leaves below $.k.id (masked as a whole) (crm.yaml:7, rule crm.yaml:23)",
            "$.r.x.id                removed with $.r.x: b (B) (crm.yaml:6, rule crm.yaml:23)",
        ],
    );
}

#[test]
fn a_place_that_nobody_classified() {
    check_place(
        LINES,
        "$.k.at",
        &[
            "$.k.at  leaves undecided: no line describes it, and what is not described is kept, because: it is harmless (crm.yaml:19)",
        ],
    );
    check_place(LINES, "$.r.at", &["$.r.at  removed: no line describes it"]);
    check_place(
        LINES,
        "$.map.anna",
        &[
            "$.map.anna  removed: names in $.map[*] are removed with their values: b (B) (crm.yaml:21, rule crm.yaml:23)",
        ],
    );
    check_place(
        LINES,
        "$.open.anna.x",
        &[
            "$.open.anna.x  removed: no line spells its name, or one above it, and no `names:` is about it",
        ],
    );
    check_place(
        LINES,
        "$.open[0].x",
        &["$.open[0].x  as it is: a (A) (crm.yaml:22, rule crm.yaml:23)"],
    );
}

/// Whatever is said of a place is what happens there: for many policies, and every scalar of a
/// document, the text leaves as it is exactly if the explanation says so.
#[test]
fn explanations_are_what_is_carried_out() {
    const POOL: [&str; 22] = [
        "$..x: b",
        "$..id: { category: a, names: [p, deep, other] }",
        "$.list[*]: a",
        "$.list[0]: b",
        "$.list[1:3].x: a",
        "$.list: c",
        "$.map.*: { category: a, names: a }",
        "$.map.*.x: a",
        "$.map: d",
        "$.map: k",
        "$.map.p: a",
        "$['map','list']: a",
        "$.map.p.deep: k",
        "$.map.*.deep: { record: r, names: public }",
        "$.list[*][0]: r",
        "$: k",
        "$.list[2]: k",
        "$..*: { category: d, names: b }",
        "$.*: { category: a, names: c }",
        "$.map.q: { category: d }",
        "$..deep: b",
        "$: d",
    ];
    const DOCUMENT: &str = r#"{"id":"v0","x":"v1","list":["v2",{"x":"v3","id":"v4","z":"v5"},
        [{"id":"v6","x":"v7"},"v8",{"id":"v9"}],{"deep":{"x":"va"}}],"map":{"p":{"x":"vb","y":"vc",
        "deep":{"id":"vd","o":{"x":"ve","n":"vf"}}},"q":{"x":"vg","id":"vh","z":["vi",["vj"]]},
        "s":"vk"},"other":{"id":"vl","o":"vm"},"map2":["vn"]}"#;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut places = Vec::new();
    scalars("$", &document, &mut places);
    let mut random = 42_u64;
    let mut left = 0;
    for _ in 0..400 {
        let mut lines: Vec<&str> = Vec::new();
        for _ in 0..6 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let line = POOL[usize::try_from(random >> 33).unwrap() % POOL.len()];
            // One path can be spelled once only.
            let path = |line: &str| line.split_once(": ").unwrap().0.to_owned();
            if lines.iter().all(|other| path(other) != path(line)) {
                lines.push(line);
            }
        }
        let set = set(&body(&lines), RULES);
        let body = sieved(&set, DOCUMENT);
        for (path, value) in &places {
            let text = explain(&set, Some(path));
            // What is told of other places is not about this one.
            let text = text.split("\n\nElsewhere:").next().unwrap();
            let said = text.contains("as it is") || text.contains("leaves undecided");
            let said = said && text.contains("\nLeaves:");
            assert_eq!(body.contains(value), said, "{path} of {lines:?}\n{text}\n{body}");
            left += usize::from(said);
            // Elements that are removed change the places of others.
            if ["[0", "[1", "[2", "[3"].iter().all(|element| !path.contains(element)) {
                let out: Value = serde_json::from_str(&body).unwrap();
                let pointer = path.replace("']['", "/").replace("$['", "/").replace("']", "");
                let there = out.pointer(&pointer);
                assert_eq!(
                    there.is_none(),
                    text.contains("  removed"),
                    "{pointer}\n{text}\n{body}"
                );
                let emptied = there.is_some_and(Value::is_null);
                assert_eq!(emptied, text.contains("  emptied"), "{pointer}\n{text}\n{body}");
            }
        }
    }
    assert!(left > 1000, "{left}");
}

/// Every scalar with its place, which one can find again.
fn scalars(path: &str, value: &Value, places: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                scalars(&format!("{path}['{name}']"), value, places);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                scalars(&format!("{path}[{index}]"), value, places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            places.push((path.to_owned(), value.to_string()));
        }
    }
}

/// What leaves of a body.
fn sieved(set: &PolicySet, body: &str) -> String {
    let target = Target::parse("GET", "/a").unwrap();
    let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
    let plan = set.decide(&ask).unwrap().plan;
    let context = Context { today: date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(Arc::clone(&plan), context, Limits::default());
    let mut out = Vec::new();
    let chunk = body.as_bytes();
    enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    enforcement.finish(&mut Copied { chunk: &[], out: &mut out }).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_search_for_places_is_bounded() {
    let many: Vec<String> = (0..3_000).map(|index| format!("$.f{index}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let set = set(&body(&many), RULES);
    let text = explain(&set, Some("$..f77"));
    let rows = text.lines().filter(|line| line.starts_with("  ")).count();
    assert!((1..=200).contains(&rows), "{rows}");
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "There are more places that $..f77 selects than are told here: ask for a narrower path."
    );
    let text = explain(&set, Some("$.f77"));
    assert!(!text.contains("more places"), "{text}");
}

#[test]
fn texts_of_policies_forge_no_lines() {
    let text = CRM
        .replace("title: Answer a customer", "title: \"Answer\\n  $.iban  as it is\\e[2K\"")
        .replace("because: both are harmless", "because: \"both\\r\\n\\e[1A are\\L harmless\"");
    let source = Source { name: "crm.yaml".to_owned(), text };
    let set = load(&[source], &NoKeys).set.unwrap();
    let question = Question {
        caller: "office",
        purpose: Some("support"),
        request: "GET /customers",
        host: None,
        path: None,
    };
    let text = set.explain(&question).to_string();
    let forged = |c: char| (c.is_control() && c != '\n') || c == '\u{2028}';
    assert!(!text.contains(forged), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("  $.iban")), "{text}");
    assert!(text.contains("because: both   [1A are  harmless"), "{text}");
}

#[test]
fn a_request_is_not_printed_back() {
    for request in [
        "GET /nope/anna@example.org?iban=FR76",
        "GET /nope/anna@example.org/../FR76",
        "anna@example.org FR76",
    ] {
        let text = explained("desk", None, request, None);
        assert!(text.contains("Denied ("), "{text}");
        assert!(!text.contains("anna") && !text.contains("FR76"), "{text}");
    }
}
