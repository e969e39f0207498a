//! Room tests: what loads, and what is decided. What wrong policies are told, word for word, is in
//! `tests/it/words.rs`.

use super::*;
use crate::{
    access::{Labels, Reason},
    path::{Path, State},
    transform::{Action, NoKeys},
};
use model::{CategoryId, Class};

/// A policy with everything that a decision can depend on.
pub(crate) const CRM: &str = r#"
tamis: 1
categories:
  identity.id: Customer number
  contact.email: E-mail address
  contact.phone: Phone number
  contact.address: Postal address
  health.result: { title: Test results, special: true }
  text.notes: Notes
purposes:
  support: { title: Answer a customer, legal_basis: contract }
  billing: { title: Invoice what was bought, legal_basis: legal_obligation }
  audit: { title: Check the books, legal_basis: legal_obligation }
callers:
  desk: { identify: { api_key: desk-2026 }, purposes: [support], apis: [crm, shop] }
  office: { identify: { api_key: office-2026 }, purposes: [support, billing], apis: [crm, shop] }
  auditor: { identify: { api_key: auditor-2026 }, purposes: [audit], apis: [crm, shop] }
records:
  customer:
    fields:
      $.id: identity.id
      $.email: contact.email
      $.phones: contact.phone
      $.address: contact.address
      $.address.country: public
      $.notes: text.notes
      $.order: order
  order:
    unclassified: { keep: { because: orders tell nothing about a person } }
    fields: { $.sku: public }
apis:
  crm:
    routes:
      GET /customers/{id}:
        params: { id: identity.id }
        body: { $: customer }
      GET /customers/me: { body: { $: customer } }
      GET /customers:
        params:
          email: contact.email
          page: public
          select: { values: [status, total], because: both are harmless }
        body: { "$.items[*]": customer }
      POST /customers: { body: { $: customer } }
      PUT /customers/{id}:
        params: { id: public }
        request_body: { pass: { because: the desk types it } }
      GET /results: { body: { $.result: health.result } }
      GET /files/{*path}: { params: { path: public, "*": { pass: { because: files are public } } } }
  shop:
    host: [shop.internal, www.shop.example]
    routes:
      GET /customers/{id}: { params: { id: public } }
rules:
  support: { identity: keep, contact: keep, contact.phone: { mask: { keep_last: 4 } } }
  billing: { identity.id: keep, contact.email: pseudonym, "*": drop }
  audit: { health: deny, identity: pseudonym }
"#;

fn source(text: &str) -> Source {
    Source { name: "crm.yaml".to_owned(), text: text.to_owned() }
}

pub(crate) fn crm() -> PolicySet {
    let sources = [source(CRM)];
    let Loaded { set, findings, .. } = load(&sources, &NoKeys);
    let findings: Vec<String> = findings.iter().map(|finding| render(finding, &sources)).collect();
    set.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}

/// The codes of what is found in a policy, and the text that each one points at.
fn check(text: &str, expected: &[(&str, &str)]) {
    let findings = load(&[source(text)], &NoKeys).findings;
    let found: Vec<(&str, &str)> = findings
        .iter()
        .filter(|finding| finding.rank != Rank::Note)
        .map(|finding| (finding.code, text.get(finding.at.span.clone()).unwrap()))
        .collect();
    assert_eq!(found, expected, "{text}");
}

/// The line of a minimal policy that has one category, one route and one rule; each can be replaced.
fn policy(category: &str, body: &str, rule: &str) -> String {
    format!(
        "tamis: 1\ncategories: {{ {category} }}\n\
         purposes: {{ support: {{ title: Answer, legal_basis: contract }} }}\n\
         callers: {{ desk: {{ identify: {{ api_key: desk }}, purposes: [support] }} }}\n\
         apis: {{ crm: {{ routes: {{ GET /a: {{ body: {{ {body} }} }} }} }} }}\n\
         rules: {{ support: {{ {rule} }} }}\n"
    )
}

/// A thread that reloads policies has 2 MiB of stack, as that of a test has.
#[test]
fn no_nesting_of_a_policy_recurses() {
    for (open, close) in [("[", "]"), ("{ a: ", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let findings =
            load(&[source(&format!("tamis: 1\ncategories: {deep}\n"))], &NoKeys).findings;
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["too-deep"], "{open}");
    }
}

#[test]
fn a_finding_points_at_what_is_wrong() {
    let category = "a.b: Something";
    check(&policy(category, "$.x: a.b", "a: keep"), &[]);
    check(&policy(category, "$.x: a.c", "a: keep"), &[("unknown-category", "a.c")]);
    check(&policy(category, "$.x: a.b", "b: keep"), &[("unknown-category", "b")]);
    check(&policy(category, "$.x y: a.b", "a: keep"), &[("path", " ")]);
    check(&policy(category, "'$.x y': a.b", "a: keep"), &[("path", " ")]);
    // Where an escape stands in between, the whole text is marked.
    check(&policy(category, r#""\u0024.x y": a.b"#, "a: keep"), &[("path", r#""\u0024.x y""#)]);
    check(&policy(category, "$.x: a.b", "a: {mask: {keep_last: 0}}"), &[("bad-number", "0")]);
}

#[test]
fn all_files_are_looked_at_whatever_is_wrong_in_one() {
    let sources = [source("tamis: 1\n  x"), source("tamis: 1\nwrong: 1\n")];
    let codes: Vec<_> =
        load(&sources, &NoKeys).findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert!(load(&sources, &NoKeys).set.is_none());
}

/// Codes and messages of errors alone.
fn errors(sources: &[Source]) -> Vec<(&'static str, String)> {
    let findings = load(sources, &NoKeys).findings.into_iter();
    let errors = findings.filter(|finding| finding.rank == Rank::Error);
    errors.map(|finding| (finding.code, finding.message)).collect()
}

#[test]
fn fields_of_all_routes_are_bounded() {
    let record = |name: &str, inner: &str| {
        let fields: Vec<String> = ('a'..='j').map(|c| format!("$.{c}: {inner}")).collect();
        format!("{name}: {{ fields: {{ {} }} }}", fields.join(", "))
    };
    let records = [record("r1", "r2"), record("r2", "r3"), record("r3", "a.b")].join(", ");
    // 57 times 8 times (1 + 10 + 100 + 1000).
    let mounts: Vec<String> = ('a'..='h').map(|c| format!("$.{c}: r1")).collect();
    let body = mounts.join(", ");
    let routes: Vec<String> =
        (0..57).map(|n| format!("GET /{n}: {{ body: {{ {body} }} }}")).collect();
    let whole = policy("a.b: Something", "$.x: a.b", "a: keep")
        .replace("apis:", &format!("records: {{ {records} }}\napis:"))
        .replace("GET /a: { body: { $.x: a.b } }", &routes.join(", "));
    let message = "all routes together have more than 500000 fields once records are written out";
    assert_eq!(errors(&[source(&whole)]), [("too-many-fields", message.to_owned())]);
}

#[test]
fn thousands_of_names_may_stand_anywhere() {
    let names: Vec<String> = (0..9_990).map(|n| format!("$..name_{n}: c")).collect();
    let entry = "\"$.entry[?@.type == 'a'].x\": c, \"$.entry[*].type\": public";
    let text = policy("c: C", &format!("{entry}, {}", names.join(", ")), "c: 'null'");
    let Loaded { set, findings, .. } = load(&[source(&text)], &NoKeys);
    let wrong = findings.iter().find(|finding| finding.rank == Rank::Error);
    let set = set.unwrap_or_else(|| panic!("{:?}", wrong.map(|wrong| &wrong.message)));
    let target = Target::parse("GET", "/a").unwrap();
    let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
    let plan = set.decide(&ask).unwrap().plan;
    let program = plan.program();
    let deep = program.member(program.start(), b"deep").state;
    let found = program.member(deep, b"name_4711").state;
    assert_eq!(plan.verdict(found).own, Own::Null);
    assert!(plan.verdict(deep).below_object && !plan.verdict(deep).leaf);
    assert_eq!(plan.verdict(deep).own, Own::None);
    let asked =
        Question { caller: "desk", purpose: None, request: "GET /a", host: None, path: None };
    let explanation = set.explain(&asked);
    assert_eq!(explanation.leaves.len() + explanation.withheld.len(), 9_992);
}

#[test]
fn paths_that_combine_to_too_many_states_load_and_are_explained() {
    let lines: Vec<String> = (0..2_000).map(|n| format!("$..a{n}..b{n}: c")).collect();
    let entry = "\"$.entry[?@.type == 'a'].x\": c, \"$.entry[*].type\": public";
    let text = policy("c: C", &format!("{}, {entry}", lines.join(", ")), "c: keep");
    let Loaded { set, findings, .. } = load(&[source(&text)], &NoKeys);
    assert!(findings.iter().any(|finding| finding.code == "many-paths"));
    let set = set.unwrap();
    let target = Target::parse("GET", "/a").unwrap();
    let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
    let plan = set.decide(&ask).unwrap().plan;
    let program = plan.program();
    let below = program.member(program.start(), b"a7").state;
    let found = program.member(below, b"b7").state;
    assert!(matches!(plan.verdict(found).own, Own::Keep(_)));
    assert_eq!(plan.verdict(program.member(below, b"b8").state).own, Own::None);
    // What cannot be said lets nothing leave.
    let lost = plan.verdict(program.member(State::LOST, b"b7").state);
    assert_eq!((lost.own, lost.names, lost.mount), (Own::Drop, Names::Drop, Some(false)));
    assert!(!lost.below_object && !lost.below_array);
    let of = |path: Option<&Path>| {
        let request = "GET /a";
        set.explain(&Question { caller: "desk", purpose: None, request, host: None, path })
    };
    let all = of(None);
    assert_eq!(all.leaves.len(), 2_002);
    let more = |rest: &[String]| rest.iter().any(|line| line.contains("in more ways"));
    assert!(more(&all.rest));
    let one = of(Some(&Path::parse("$.a7.a9.b7").unwrap()));
    assert_eq!((one.leaves.len(), one.withheld.len()), (1, 0));
    assert!(!more(&one.rest));
}

#[test]
fn fixtures_are_bounded() {
    let megabyte = "x".repeat(1 << 20);
    let used = "{ fixture: a }, ".repeat(65);
    let suite = format!(
        "fixtures: {{ a: {megabyte} }}\ntests:\n  - name: A\n    never: [y]\n    upstream: [{used}]\n    \
         when: {{ caller: desk, request: GET /customers/1 }}\n"
    );
    let suite = Source { name: "crm.test.yaml".to_owned(), text: suite };
    let message = "the fixtures of this file come to more than 67108864 bytes";
    assert_eq!(errors(&[source(CRM), suite]), [("file-too-large", message.to_owned())]);
}

/// A file that is cut anywhere, or has a stray character anywhere, is told something, and nothing
/// panics on it.
#[test]
fn no_text_is_too_broken_to_be_read() {
    let test = include_str!("../../policies/crm.test.yaml");
    for (name, text) in [("crm.yaml", CRM), ("crm.test.yaml", test)] {
        // Every place would take long; this step meets every line and most tokens.
        for (at, _) in text.char_indices().step_by(5) {
            let (before, after) = text.split_at(at);
            for text in
                [before.to_owned(), format!("{before}\"{after}"), format!("{before}}}{after}")]
            {
                let sources = [Source { name: name.to_owned(), text }];
                for finding in load(&sources, &NoKeys).findings {
                    assert!(render(&finding, &sources).contains(finding.code));
                    assert!(view(&finding, &sources).at.line >= 1);
                }
            }
        }
    }
}

#[test]
fn aliases_stand_for_what_they_name() {
    let text = policy("a.b: &t Something", "$.x: a.b, $.y: a.b", "a: keep")
        .replace("title: Answer", "title: *t");
    let set = load(&[source(&text)], &NoKeys).set.unwrap();
    assert_eq!(set.purposes()[0].title, "Something");
}

#[test]
fn the_closest_rule_decides() {
    let check = |rules: &str, expected: &[(&str, Action)]| {
        let text =
            policy("a: A, a.b: B, a.b.c: C, d: D", "$.x: a, $.y: a.b, $.z: a.b.c, $.d: d", rules);
        let set = load(&[source(&text)], &NoKeys).set.unwrap();
        for (name, action) in expected {
            let id =
                set.policies.categories.iter().position(|category| category.name == *name).unwrap();
            let id = CategoryId(u32::try_from(id).unwrap());
            assert_eq!(set.purposes()[0].action(id), action, "{name} under {rules}");
        }
    };
    check(
        "a: keep, a.b: mask",
        &[
            ("a", Action::Keep),
            ("a.b", Action::Mask(crate::transform::Mask::default())),
            ("a.b.c", Action::Mask(crate::transform::Mask::default())),
            ("d", Action::Drop),
            ("public", Action::Keep),
        ],
    );
    check(
        "'*': 'null', a.b.c: keep",
        &[
            ("a", Action::Null),
            ("a.b", Action::Null),
            ("a.b.c", Action::Keep),
            ("d", Action::Null),
            ("public", Action::Keep),
        ],
    );
}

#[test]
fn records_are_written_out() {
    let set = crm();
    let route = &set.apis()[0].routes[0];
    let fields: Vec<String> = route
        .fields
        .iter()
        .map(|field| match field.class {
            Class::Category(category) => {
                format!("{} {}", field.path, set.policies.category_name(category))
            }
            Class::Mount { keeps_unclassified } => {
                format!("{} keeps {keeps_unclassified}", field.path)
            }
        })
        .collect();
    assert_eq!(
        fields,
        [
            "$ keeps false",
            "$.id identity.id",
            "$.email contact.email",
            "$.phones contact.phone",
            "$.address contact.address",
            "$.address.country public",
            "$.notes text.notes",
            "$.order keeps true",
            "$.order.sku public",
        ]
    );
}

/// What a request comes to: the route's label, or the reason why not.
fn decided(set: &PolicySet, caller: &str, purpose: &str, host: &str, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let target = match Target::parse(method, target) {
        Ok(target) => target,
        Err(reason) => return reason.to_string(),
    };
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    let ask = Ask {
        caller: match some(leak(caller)).map(|name| set.caller(name)) {
            Some(None) => return Reason::CallerUnknown.to_string(),
            caller => caller.flatten(),
        },
        purpose: some(leak(purpose)),
        host: some(leak(host)),
        target: &target,
    };
    match set.decide(&ask) {
        Ok(Permit { labels, plan, compresses: _, passes: _ }) => {
            assert_eq!(plan.labels.route, labels.route);
            assert_eq!(plan.labels.purpose, labels.purpose);
            let found = decide::find(set.policies.api_for(ask.host).unwrap(), &target).unwrap();
            let parameters = found.parameters;
            format!("{}/{} {parameters:?}", labels.api, labels.route)
        }
        Err(denial) => denial.reason.to_string(),
    }
}

/// Two APIs, callers of one and of both, and purposes for one and for any.
const TWO_APIS: &str = "
tamis: 1
categories: { id: Number }
purposes:
  support: { title: Answer, legal_basis: contract }
  care: { title: Treat, legal_basis: public_task, apis: [clinic] }
  other: { title: Other, legal_basis: contract, apis: [crm, clinic] }
callers:
  third: { identify: { api_key: third }, purposes: [other], apis: [crm] }
  desk: { identify: { api_key: desk }, purposes: [support], apis: [crm] }
  both: { identify: { api_key: both }, purposes: [support, care], apis: [crm, clinic] }
  ward: { identify: { api_key: ward }, purposes: [care], apis: [clinic, crm] }
apis:
  crm: { routes: { GET /c: { body: { $.id: id } }, GET /up: { pass: { because: fine, anybody: true } } } }
  clinic:
    host: clinic
    routes: { GET /p: { body: { $.id: id } }, GET /up: { params: { x: id }, pass: { because: fine, anybody: true } } }
rules: { support: { id: keep }, care: { id: keep }, other: {} }
";

#[test]
fn callers_and_purposes_are_for_the_apis_that_they_list() {
    let set = load(&[source(TWO_APIS)], &NoKeys).set.unwrap();
    let check = |caller: &str, purpose: &str, host: &str, request: &str, expected: &str| {
        let found = decided(&set, caller, purpose, host, request);
        assert_eq!(found, expected, "{caller} {purpose} {host} {request}");
    };
    check("desk", "", "", "GET /c", "crm/GET /c []");
    check("desk", "", "clinic", "GET /p", "api-not-allowed");
    check("desk", "", "clinic", "GET /nowhere", "api-not-allowed");
    check("desk", "care", "clinic", "GET /p", "purpose-not-allowed");
    check("both", "support", "clinic:80", "GET /p", "clinic/GET /p []");
    check("both", "care", "clinic", "GET /p", "clinic/GET /p []");
    check("both", "care", "", "GET /c", "purpose-not-allowed");
    check("both", "", "clinic", "GET /p", "purpose-missing");
    check("ward", "", "", "GET /c", "purpose-not-allowed");
    check("ward", "", "", "GET /nowhere", "purpose-not-allowed");
    // What anybody may ask is open to all, as to nobody who is known: with what is `public`.
    for (caller, purpose) in [("", ""), ("desk", ""), ("desk", "support")] {
        check(caller, purpose, "clinic", "GET /up", "clinic/GET /up []");
        check(caller, purpose, "clinic", "GET /up?x=1", "parameter-withheld");
    }
    check("both", "support", "clinic", "GET /up?x=1", "clinic/GET /up []");
    check("ward", "", "", "GET /up", "crm/GET /up []");
    check("ward", "care", "", "GET /up", "purpose-not-allowed");
    check("desk", "nothing", "clinic", "GET /up", "purpose-unknown");

    // Who gets what is known before anybody asks, and is what requests get.
    let shown = |labels: Labels| {
        let Labels { caller, purpose, api, route } = labels;
        format!("{caller} {purpose} {api} {route}")
    };
    let plans: Vec<String> = set.plans().map(|(labels, _)| shown(labels)).collect();
    assert_eq!(
        plans,
        [
            "third other crm GET /c",
            "third other crm GET /up",
            "desk support crm GET /c",
            "desk support crm GET /up",
            "both support crm GET /c",
            "both support crm GET /up",
            "both support clinic GET /p",
            "both support clinic GET /up",
            "both care clinic GET /p",
            "both care clinic GET /up",
            "ward care clinic GET /p",
            "ward care clinic GET /up",
        ]
    );
    let plans: Vec<String> = set.plans_of_anybody().map(|(labels, _)| shown(labels)).collect();
    assert_eq!(
        plans,
        [
            "both unknown crm GET /up",
            "ward unknown crm GET /up",
            "unknown unknown crm GET /up",
            "third unknown clinic GET /up",
            "desk unknown clinic GET /up",
            "both unknown clinic GET /up",
            "unknown unknown clinic GET /up",
        ]
    );
}

#[test]
fn what_is_said_of_apis_is_looked_up() {
    let check = |change: [&str; 2], expected: &[(&str, &str)]| {
        let text = TWO_APIS.replacen(change[0], change[1], 1);
        assert_ne!(text, TWO_APIS);
        check(&text, expected);
    };
    check([", apis: [crm] }", " }"], &[("apis-missing", "third")]);
    check(["apis: [crm] }", "apis: [] }"], &[("empty-list", "[]")]);
    check(["apis: [crm] }", "apis: crm }"], &[("wrong-kind", "crm")]);
    check(["apis: [crm] }", "apis: [crn] }"], &[("unknown-api", "crn")]);
    check(["apis: [crm] }", "apis: [crm, crm] }"], &[("listed-twice", "crm")]);
    check(["apis: [clinic] }", "apis: [hospital] }"], &[("unknown-api", "hospital")]);
    check(["[clinic, crm]", "[crm]"], &[("purpose-elsewhere", "ward")]);
    // A rule of a purpose decides in its own APIs only.
    let text = TWO_APIS
        .replace("GET /c: { body: { $.id: id", "GET /c: { body: { $.id: id, $.nr: nr")
        .replace("{ id: Number }", "{ id: Number, nr: Number }")
        .replace("care: { id: keep", "care: { id: keep, nr: keep");
    self::check(&text, &[("rule-for-nothing", "nr")]);
    let notes = |text: &str| {
        let notes = load(&[source(text)], &NoKeys).findings.into_iter();
        let notes = notes.filter(|one| one.code == "purpose-in-several-apis");
        notes.map(|one| one.message).collect::<Vec<_>>()
    };
    let [note] = &notes(TWO_APIS)[..] else { panic!() };
    assert!(note.contains("`support`") && note.contains("(crm, clinic)"), "{note}");
    assert_eq!(notes(&TWO_APIS.replace("contract }", "contract, apis: [crm, clinic] }")).len(), 0);
    assert_eq!(notes(&TWO_APIS.replace("[support, care]", "[care]")).len(), 0);
    // With one API nothing has to be said.
    self::check(&policy("a: Something", "$.x: a", "a: keep"), &[]);
}

#[test]
fn every_denial_is_reached_in_its_order() {
    let set = crm();
    let check = |caller: &str, purpose: &str, request: &str, expected: &str| {
        let found = decided(&set, caller, purpose, "", request);
        assert_eq!(found, expected, "{caller} {purpose} {request}");
    };
    check("", "nothing", "GET /nowhere", "caller-unknown");
    check("nobody", "support", "GET /customers/1", "caller-unknown");
    check("office", "", "GET /customers/1", "purpose-missing");
    check("desk", "nothing", "GET /nowhere", "purpose-unknown");
    check("desk", "billing", "GET /nowhere", "purpose-not-allowed");
    check("desk", "", "GET /nowhere", "route-unknown");
    check("desk", "", "DELETE /customers/1", "route-unknown");
    check("desk", "", "BREW /customers/1", "route-unknown");
    check("desk", "", "get /customers/1", "route-unknown");
    check("desk", "", "GET /customers/", "route-unknown");
    check("desk", "", "GET /customers/ME", "path-ambiguous");
    check("desk", "", "GET /customers/me.json", "path-ambiguous");
    check("auditor", "", "GET /customers/%EF%BD%8De?x=1", "path-ambiguous");
    check("auditor", "", "GET /results", "category-denied");
    check("desk", "", "POST /customers?x=1", "request-body-not-allowed");
    check("desk", "", "GET /customers?secret=1", "parameter-not-allowed");
    check("desk", "", "GET /customers?page=1&page=2", "parameter-not-allowed");
    check("desk", "", "GET /customers?select=email", "parameter-not-allowed");
    check("desk", "", "GET /customers?page=1&&page=2&", "parameter-not-allowed");
    check("desk", "", "GET /customers?page=1&=", "parameter-not-allowed");
    check("desk", "", "GET /customers?&=1", "parameter-not-allowed");
    check("desk", "", "GET /customers?page=1&%26", "parameter-not-allowed");
    check("desk", "", "GET /customers/1?id=2", "parameter-not-allowed");
    check("desk", "", "GET /files/a/b?path=2", "parameter-not-allowed");
    check("office", "billing", "GET /customers?email=a@b.c&page=1&page=2", "parameter-not-allowed");
    check("office", "billing", "GET /customers?email=a@b.c", "parameter-withheld");
    check("auditor", "", "GET /customers/1", "parameter-withheld");
    check("desk", "", "GET /customers/..%2f", "path-not-canonical");
}

#[test]
fn what_is_permitted_has_a_plan() {
    let set = crm();
    let check = |caller: &str, purpose: &str, host: &str, request: &str, expected: &str| {
        assert_eq!(decided(&set, caller, purpose, host, request), expected, "{host} {request}");
    };
    let one = r#"crm/GET /customers/{id} [("id", "C@1")]"#;
    check("desk", "", "", "GET /customers/C%401", one);
    check("desk", "support", "", "HEAD /customers/C@1", one);
    check("desk", "", "crm.internal:8080", "GET /customers/C@1", one);
    check("desk", "", "", "GET /customers/me", "crm/GET /customers/me []");
    check(
        "desk",
        "",
        "",
        "GET /customers?email=a%40b.c&page=1&select=total",
        "crm/GET /customers []",
    );
    check("desk", "", "", "GET /customers?", "crm/GET /customers []");
    check("office", "billing", "", "PUT /customers/1", r#"crm/PUT /customers/{id} [("id", "1")]"#);
    check("desk", "", "", "GET /files/a/b?x=1&y=", r#"crm/GET /files/{*path} [("path", "a/b")]"#);
    let shop = r#"shop/GET /customers/{id} [("id", "1")]"#;
    check("desk", "", "SHOP.internal", "GET /customers/1", shop);
    check("desk", "", "www.shop.example:443", "GET /customers/1", shop);
    // The host's API is the only one that is looked at.
    check("desk", "", "shop.internal", "GET /customers/me/x", "route-unknown");
    check("desk", "", "shop.internal.evil", "GET /customers/me", "crm/GET /customers/me []");
}

#[test]
fn a_host_without_api_has_no_route() {
    let text =
        policy("a.b: B", "$.x: a.b", "a: keep").replace("crm: {", "crm: { host: crm.internal,");
    let set = load(&[source(&text)], &NoKeys).set.unwrap();
    assert_eq!(decided(&set, "desk", "", "crm.internal", "GET /a"), "crm/GET /a []");
    assert_eq!(decided(&set, "desk", "", "other", "GET /a"), "route-unknown");
    assert_eq!(decided(&set, "desk", "", "", "GET /a"), "route-unknown");
    assert_eq!(decided(&set, "desk", "", "[::1]:80", "GET /a"), "route-unknown");
}

#[test]
fn a_denial_says_what_is_known() {
    let set = crm();
    let target = Target::parse("GET", "/customers/1?x=1").unwrap();
    let ask = Ask { caller: set.caller("desk"), purpose: None, host: None, target: &target };
    let Denial { reason, labels } = set.decide(&ask).unwrap_err();
    assert_eq!(reason, Reason::ParameterNotAllowed);
    let labels = [&*labels.caller, &*labels.purpose, &*labels.api, &*labels.route];
    assert_eq!(labels, ["desk", "support", "crm", "GET /customers/{id}"]);
    let denial = set.decide(&Ask { purpose: Some("evil\nname"), ..ask }).unwrap_err();
    assert_eq!(&*denial.labels.purpose, "unknown");
    let denial = set.decide(&Ask { purpose: Some("billing"), ..ask }).unwrap_err();
    assert_eq!(&*denial.labels.purpose, "billing");
}

#[test]
fn targets_are_canonical() {
    let check = |target: &str, expected: Option<&str>| {
        let path = Target::parse("GET", target).map(|target| target.path().to_owned());
        assert_eq!(path.ok().as_deref(), expected, "{target:?}");
    };
    for same in [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a@b",
        "/$everything",
        "/a:b",
        "/é",
        "/a%",
        "/...",
        "/.a",
        "/a=b&c",
    ] {
        let decoded = same.replace("a%", "a%25");
        check(&decoded, Some(same));
    }
    check("/%40%24%20%C3%A9", Some("/@$ é"));
    check("/a%25b", Some("/a%b"));
    check("/a%25", Some("/a%"));
    check("/a?b=%2F", Some("/a"));
    for refused in [
        "",
        "a",
        "*",
        "?a",
        "//",
        "//a",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/%2e%2e",
        "/%2E",
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a\\b",
        "/a%00",
        "/a%0A",
        "/a%7F",
        "/a%C2%80",
        "/a\nb",
        "/a b",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%+1",
        "/a%252e",
        "/a%2541",
        "/a;b",
        "/a%3Bb",
        "/a#b",
        "/a?b#c",
        "/%FF",
        "/%C3",
        "/%ED%A0%80",
        "/a?b=%FF",
        "/a?%",
        "/a?b=%2",
        "/a?b;c",
        "http://a/b",
    ] {
        check(refused, None);
    }
}

#[test]
fn parameters_are_decoded() {
    let check = |query: &str, expected: &[(&str, &str)]| {
        let target = Target::parse("GET", &format!("/a?{query}")).unwrap();
        let found: Vec<(&str, &str)> = target
            .parameters()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected, "{query}");
    };
    check("", &[]);
    check("a", &[("a", "")]);
    check("a=1&b=2", &[("a", "1"), ("b", "2")]);
    check("a=1=2", &[("a", "1=2")]);
    check("a+b=c+d%2B", &[("a b", "c d+")]);
    check("%61=1&a=%C3%A9", &[("a", "1"), ("a", "é")]);
    check("a=", &[("a", "")]);
    // Where nothing stands there is no parameter; a name of no bytes is one.
    check("&", &[]);
    check("&&&", &[]);
    check("a=1&", &[("a", "1")]);
    check("&a=1", &[("a", "1")]);
    check("a=1&&b=2&&", &[("a", "1"), ("b", "2")]);
    check("=", &[("", "")]);
    check("&=1&", &[("", "1")]);
    check("+&%26", &[(" ", ""), ("&", "")]);
    check("a?b=/c", &[("a?b", "/c")]);
}

/// A type that holds JSON is sieved or refused; under `media` nobody would look into it.
#[test]
fn what_is_called_json_never_passes_unread() {
    let check = |media: &str, expected: &[&str]| {
        let rule = format!("/me: {{ media: {{ {media}: {{ pass: {{ because: large }} }} }}, body");
        let text = CRM.replacen("/me: { body", &rule, 1);
        assert_ne!(text, CRM);
        let loaded = load(&[source(&text)], &NoKeys);
        let errors = loaded.findings.iter().filter(|finding| finding.rank == Rank::Error);
        let found: Vec<&str> = errors.map(|finding| finding.code).collect();
        assert_eq!(found, expected, "{media}");
    };
    for media in [
        "application/json",
        "text/json",
        "application/fhir+json",
        "application/stream+json",
        "application/x-ndjson",
        "application/fhir+ndjson",
        "Application/FHIR+NDJSON",
        "application/vnd.acme.v2+x-ndjson",
        "text/x-ndjson",
        "application/x-ldjson",
        "application/vnd.acme+jsonl",
        "application/x-jsonl",
        "application/jsonlines",
        "application/json-seq",
        "application/geo+json-seq",
        "application/vnd.geojson-seq",
        "application/x-json-stream",
        "application/concatenated-json",
        "application/json+oembed",
        "application/x-amz-json-1.1",
        "application/json5",
        "text/x-json",
        "text/event-stream",
        "application/event-stream",
        "text/x-event-stream",
    ] {
        check(media, &["bad-media"]);
    }
    for media in ["text/csv", "application/fhir+xml", "application/x-protobuf", "application/jso"] {
        check(media, &[]);
    }
    check("application/grpc+json", &["bad-media"]);
}

#[test]
fn debug_says_nothing_about_people() {
    let target = Target::parse("GET", "/customers/anna?email=anna").unwrap();
    assert!(!format!("{target:?}").contains("anna"));
}

#[test]
fn the_digest_is_of_the_policies_wherever_they_lie() {
    let digest = |name: &str, text: &str, more: &[Source]| {
        let mut sources = vec![Source { name: name.to_owned(), text: text.to_owned() }];
        sources.extend_from_slice(more);
        load(&sources, &NoKeys).set.unwrap().digest().clone()
    };
    let first = digest("policies/crm.yaml", CRM, &[]);
    assert_eq!(first.as_str().len(), 64);
    assert_eq!(Some(first.to_string().as_str()), first.as_str().get(..12));
    assert_eq!(first, digest("/etc/tamis/crm.yaml", CRM, &[]));
    let test = "tests: [{ name: A, when: { caller: desk, request: GET /nowhere }, refused: route-unknown }]";
    let test = Source { name: "crm.test.yaml".to_owned(), text: test.to_owned() };
    assert_eq!(first, digest("crm.yaml", CRM, &[test]));
    assert_ne!(first, digest("shop.yaml", CRM, &[]));
    assert_ne!(first, digest("crm.yaml", &CRM.replace("Notes", "Note"), &[]));
}

#[test]
fn numbers_of_tests_keep_their_text() {
    let test = r#"
fixtures: { a: { n: 5.40, s: "5.40", e: 1e400, t: 12 rue, d: 2026-03-09, z: null } }
tests:
  - name: A
    when: { caller: desk, request: GET /customers/1, today: 2026-11-21 }
    upstream: { items: [{ fixture: a }, { fixture: a }] }
    never: [x]
  - name: B
    when: { caller: desk, request: GET /customers/1 }
    upstream: { json: '{"a": 5.40}' }
    expect: { $.a: 5.4, $.b: { matches: "^x" } }
    absent: [$.c]
    same: [$.a, $.b]
    differs: ["$.items[*]"]
    output: "{}"
  - name: C
    when: { caller: nobody, purpose: nothing, request: GET /nowhere }
    refused: caller-unknown
"#;
    let test = Source { name: "crm.test.yaml".to_owned(), text: test.to_owned() };
    let sources = [source(CRM), test];
    let loaded = load(&sources, &NoKeys);
    let wrong: Vec<String> = loaded
        .findings
        .iter()
        .filter(|finding| finding.rank == Rank::Error)
        .map(|finding| render(finding, &sources))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let [suite] = loaded.suites.as_slice() else { panic!("one suite") };
    let [a, b, c] = suite.cases.as_slice() else { panic!("three cases") };
    let fixture = r#"{"n":5.40,"s":"5.40","e":1e400,"t":"12 rue","d":"2026-03-09","z":null}"#;
    let body = format!(r#"{{"items":[{fixture},{fixture}]}}"#);
    assert_eq!(String::from_utf8_lossy(&a.upstream_body), body);
    assert_eq!(a.today, Some(jiff::civil::date(2026, 11, 21)));
    assert_eq!(b.upstream_body, br#"{"a": 5.40}"#);
    assert_eq!(b.claims.len(), 6);
    assert!(matches!(c.claims[0].says, Says::Refused(Reason::CallerUnknown)));
}

/// The errors in a test file with this one test, besides those of its policy.
fn errors_of_test(claims: &str) -> Vec<(&'static str, String)> {
    let text = format!(
        "tests:\n  - name: A test\n    when: {{ caller: desk, request: GET /customers/1 }}\n    upstream: {{}}\n    {claims}\n"
    );
    errors(&[source(CRM), Source { name: "crm.test.yaml".to_owned(), text }])
}

#[test]
fn a_test_that_expects_nothing_claims_nothing() {
    let nothing = vec![("claims-nothing", "this test claims nothing".to_owned())];
    assert_eq!(errors_of_test("expect: {}"), nothing);
    assert_eq!(errors_of_test("absent: []"), nothing);
    assert_eq!(errors_of_test("expect: { $.a: 1 }"), []);
}

#[test]
fn no_claim_is_lost_in_the_json_library() {
    for name in ["Number", "RawValue"] {
        for value in ["no", "1"] {
            let name = format!("$serde_json::private::{name}");
            let found =
                errors_of_test(&format!("expect: {{ $.a: {{ \"{name}\": \"{value}\" }} }}"));
            let message = format!("the name `{name}` cannot stand in a test");
            assert_eq!(found, [("reserved-name", message)]);
        }
    }
}

#[test]
fn a_media_type_passes_on_its_route_for_its_purposes() {
    let text = CRM.replace(
        "GET /customers/{id}:\n        params: { id: identity.id }",
        "GET /customers/{id}:\n        params: { id: identity.id }\n        media: { Text/CSV: { pass: { because: large, purposes: [support] } }, text/html: { pass: { because: printed } } }",
    );
    let set = load(&[source(&text)], &NoKeys).set.unwrap();
    let check = |caller: &str, purpose: &str, request: &str, expected: [bool; 3]| {
        let target = Target::parse("GET", request).unwrap();
        let ask =
            Ask { caller: set.caller(caller), purpose: Some(purpose), host: None, target: &target };
        let plan = set.decide(&ask).unwrap().plan;
        let passes = ["text/csv", "text/html", "text/plain"].map(|media| plan.passes_media(media));
        assert_eq!(passes, expected, "{purpose} {request}");
        assert_eq!(plan.passes(), expected.contains(&true));
    };
    check("office", "support", "/customers/1", [true, true, false]);
    check("office", "billing", "/customers/1", [false, true, false]);
    check("office", "support", "/customers/me", [false; 3]);
}

/// Whether a route that lets pass what it does not list lets this pass, beside `birth_date` and others.
#[track_caller]
fn check_open(name: &str, expected: bool) {
    let route = "      GET /x:\n        params: { birth_date: a, 'Filter[name]': a, 'stra\u{df}e.id': a, page: public, sort: { values: [up], because: B }, '*': { pass: { because: B } } }\n";
    let set = load(&[with_routes(route)], &NoKeys).set.unwrap();
    let target = format!("GET /x?{name}=1");
    let found = decided(&set, "c", "", "", &target);
    let wanted = if expected { "api/GET /x []" } else { "parameter-not-allowed" };
    assert_eq!(found, wanted, "{name}");
}

#[test]
fn a_parameter_that_is_not_listed_is_none_of_those_that_are() {
    for name in [
        "q",
        "Limit",
        "x-1",
        "_",
        "birth",
        "born_date",
        "page",
        "PAGE",
        "page_size",
        "a_birth_date",
    ] {
        check_open(name, true);
    }
    for name in [
        "BIRTH_DATE",
        "birthDate",
        "birth-date",
        "birth_date_",
        "birth_date__gte",
        "birth-date-from",
        "_birth_date",
        "birth_date_1i",
        "filtername",
        "filter_name_eq",
        "strasse_id",
        "STRASSEID",
        "SORT",
        "sort_by",
        // Characters that some read as others, or as an end.
        "birth.date",
        "birth+date",
        "birth%20date",
        "birth[date",
        "birth_date[]",
        "birth_date[gte]",
        "birth_date:exact",
        "birth_date(1i)",
        "birth_date%00",
        "birth%255fdate",
        "q[]",
        "q.x",
        "%C3%A9",
        "",
        "b%EF%BD%89rth_date",
        "q~",
        "_method",
        "_Method",
        "_httpMethod",
        "$method",
        "X-HTTP-Method-Override",
        "x_http_method_override",
        "HTTP-Method-Override",
        "_methodOverride",
        "X-Tunneled-Method",
        "sf_method",
    ] {
        check_open(name, false);
    }
}

#[test]
fn a_parameter_of_several_categories_takes_what_each_of_them_may_show() {
    let list = |list: &str| CRM.replace("  email: contact.email\n", &format!("  email: {list}\n"));
    let check = |given: &str, purpose: &str, expected: &str| {
        let set = load(&[source(&list(given))], &NoKeys).set.unwrap();
        let found = decided(&set, "office", purpose, "", "GET /customers?email=x");
        assert_eq!(found, expected, "{given} {purpose}");
    };
    let passed = "crm/GET /customers []";
    check("[contact.email, identity.id]", "support", passed);
    check("[contact.email, contact.phone]", "support", "parameter-withheld");
    check("[contact.phone, contact.email]", "support", "parameter-withheld");
    check("[contact.email, identity.id]", "billing", "parameter-withheld");
    let check = |given: &str, expected: &[(&str, &str)]| self::check(&list(given), expected);
    check("[contact.email]", &[("bad-categories", "[contact.email]")]);
    check("[]", &[("bad-categories", "[]")]);
    check("[contact.email, public]", &[("bad-categories", "public")]);
    check("[contact.email, contact.email]", &[("listed-twice", "contact.email")]);
    check("[contact.email, contact.fax]", &[("unknown-category", "contact.fax")]);
}

/// A policy with these routes that load.
fn with_routes(routes: &str) -> Source {
    source(&format!(
        "tamis: 1\ncategories: {{ a: A }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep }} }}\napis:\n  api:\n    routes:\n{routes}"
    ))
}

#[test]
fn a_route_has_one_note_of_overlaps() {
    let routes = (0..30).flat_map(|index| {
        [
            format!("      GET /{{a}}/x{index}: {{ params: {{ a: a }} }}\n"),
            format!("      GET /y{index}/{{b}}: {{ params: {{ b: a }} }}\n"),
        ]
    });
    let routes = routes.collect::<Vec<_>>().concat();
    let findings = load(&[with_routes(&routes)], &NoKeys).findings;
    let notes = findings.iter().filter(|finding| finding.code == "routes-overlap").count();
    assert_eq!(notes, 30);
}

/// What filters ask is found out in a bounded number of steps, however many of them can hold at one place.
#[test]
fn filters_that_combine_to_too_much_work_are_an_error() {
    let check = |filters: usize, expected: &[&str]| {
        let names: Vec<String> = (0..filters).map(|index| format!("a{index}")).collect();
        let names = format!("[a, {}]", names.join(", "));
        let line =
            |index| format!("'$..*[?@.a{index}==1].x': {{ category: public, names: {names} }}");
        let lines: Vec<String> = (0..filters).map(line).collect();
        let body = format!("{}, '$..*': {{ category: public, names: {names} }}", lines.join(", "));
        let findings = load(&[source(&policy("a: A", &body, ""))], &NoKeys).findings;
        let errors = findings.iter().filter(|finding| finding.rank == Rank::Error);
        let codes: Vec<&str> = errors.map(|finding| finding.code).collect();
        assert_eq!(codes, expected, "{filters}");
    };
    check(4, &[]);
    check(8, &["too-many-paths"]);
}

#[test]
fn of_many_findings_the_first_are_shown() {
    let keys: Vec<String> = (0..20_000).map(|index| format!("key{index}: 1\n")).collect();
    let keys = keys.concat();
    let sources = [source(&format!("tamis: 1\n{keys}"))];
    let findings = load(&sources, &NoKeys).findings;
    let (shown, more) = shortened(&findings);
    assert_eq!(more, [("unknown-key", 20_000 - SHOWN_MAX)]);
    assert_eq!(shown.len(), SHOWN_MAX);
}

#[test]
fn no_name_is_proposed_for_a_long_text_or_out_of_many() {
    let propose = |wrong: &str, known: &[String]| {
        crate::source::did_you_mean(wrong, known.iter().map(String::as_str))
    };
    let name = |length: usize| "a".repeat(length);
    assert!(propose(&format!("b{}", name(63)), &[name(64)]).unwrap().starts_with("did you mean"));
    assert!(propose(&name(65), &[name(64)]).unwrap().starts_with("what can stand here"));
    let many: Vec<String> = (0..301).map(|index| format!("name-{index}")).collect();
    assert_eq!(propose("nam-7", &many[..300]).unwrap(), "did you mean `name-7`?");
    assert_eq!(propose("nam-7", &many), None);
}

#[test]
fn a_route_can_buffer_a_document_and_nothing_else() {
    let found = |path: &str, buffer: &str| {
        let route = format!("      GET /a: {{ body: {{ {path}: a }}{buffer} }}\n");
        let loaded = load(&[with_routes(&route)], &NoKeys);
        let findings = loaded.findings.into_iter().filter(|finding| finding.code != "no-tests");
        (loaded.set.is_some(), findings.map(|finding| finding.code).collect::<Vec<_>>())
    };
    assert_eq!(found("$.a", ", buffer: document"), (true, vec!["buffer-without-effect"]));
    assert_eq!(found("\"$[?@.a]\"", ", buffer: document").1.last(), Some(&"buffer-without-effect"));
    assert_eq!(found("$.a", ", buffer: documents"), (false, vec!["bad-buffer"]));
    assert_eq!(found("$.a", ", buffer: true"), (false, vec!["bad-buffer"]));
    assert_eq!(found("$.a", ", buffer: { document: true }"), (false, vec!["wrong-kind"]));
    for asks in ["\"$[?@ == $[0]]\"", "\"$[?@[?$]]\"", "\"$[?count($..x) > 1]\""] {
        assert_eq!(found(asks, ""), (false, vec!["buffer-missing"]), "{asks}");
        let (_, found) = found(asks, ", buffer: document");
        assert!(!found.iter().any(|code| code.contains("buffer")), "{asks}: {found:?}");
    }
}

/// However often its record is mounted.
#[test]
fn a_line_of_a_record_that_asks_about_the_document_is_told_once() {
    let text = "tamis: 1\ncategories: { a: A }\npurposes: { p: { title: P, legal_basis: contract } }\ncallers: { c: { identify: { api_key: k }, purposes: [p] } }\nrules: { p: { a: keep } }\nrecords: { r: { fields: { \"$.l[?@ == $.k]\": a } } }\napis:\n  api:\n    routes:\n      GET /one: { body: { $.a: r, $.b: r, \"$.*.l[*]\": a, $.k: public } }\n      GET /two: { body: { $.a: r, \"$.a.l[*]\": a, $.k: public }, buffer: document }\n      GET /three: { embedded: { $.a: r }, body: { \"$.a.l[*]\": a, $.a.k: public } }\n";
    let found = errors(&[source(text)]);
    let codes: Vec<&str> = found.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["buffer-missing"]);
}

/// The codes of warnings of a policy whose API says `api`, whose record says `record`, and that has
/// these lines in its body and in its record.
fn warnings(api: &str, body: &str, record: &str, fields: &str) -> Vec<&'static str> {
    let text = format!(
        "tamis: 1\ncategories: {{ a: A }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep }} }}\nrecords: {{ r: {{ fields: {{ $.a: a, {fields} }} {record} }} }}\napis: {{ api: {{ routes: {{ GET /a: {{ body: {{ $.r: r, {body} }} }} }} {api} }} }}\n"
    );
    let findings = load(&[source(&text)], &NoKeys).findings.into_iter();
    let findings = findings.filter(|finding| finding.rank != Rank::Note);
    findings.map(|finding| finding.code).collect()
}

#[test]
fn names_are_not_missing_where_the_unclassified_is_kept() {
    let keep = ", unclassified: { keep: { because: it is harmless } }";
    assert_eq!(warnings("", "$..x: a", "", "$.z: a"), ["names-missing"]);
    assert_eq!(warnings("", "$.x: a", "", "$..z: a"), ["names-missing"]);
    assert!(warnings(keep, "$..x: a, $.y.*: a", "", "$.z: a").is_empty());
    assert!(warnings("", "$.x: a", keep, "$..z: a").is_empty());
    // Each is about its own lines.
    assert_eq!(warnings(keep, "$.x: a", "", "$..z: a"), ["names-missing"]);
    // `.*` is about names wherever it stands, and for records; `[*]` is for arrays.
    assert_eq!(warnings("", "$.x.*.y: a", "", "$.*.z: a"), ["names-missing"; 2]);
    assert!(warnings("", "\"$.x[*].y\": a", "", "\"$.z[*]\": a").is_empty());
    for names in ["a", "[k, l]", "public"] {
        let line = format!("$.x.*.y: {{ category: a, names: {names} }}");
        assert!(warnings("", &line, "", "$.z: a").is_empty(), "{line}");
    }
    assert_eq!(warnings("", "$..x: a", keep, "$.z: a"), ["names-missing"]);
}

/// `public` is for the names of members where only members are meant.
#[test]
fn names_say_something_where_the_path_reaches_some() {
    let found = |path: &str, names: &str| {
        let line = format!("\"{path}\": {{ category: a, names: {names} }}");
        let text = policy("a: A", &line, "a: keep");
        let findings = load(&[source(&text)], &NoKeys).findings.into_iter();
        let findings = findings.filter(|one| one.rank != Rank::Note);
        findings.map(|one| one.code).collect::<Vec<_>>()
    };
    let none = Vec::<&str>::new();
    for (path, names, expected) in [
        ("$.x.*", "public", &none[..]),
        ("$.x.*[*].y", "public", &none),
        ("$.x[*]", "public", &["names-without-effect"]),
        ("$.x[*]", "a", &none),
        ("$.x[*]", "[k]", &none),
        ("$.x['a',*]", "public", &["names-without-effect"]),
        ("$.x[?@.y]", "public", &["names-without-effect"]),
        ("$.x[?@ == 1]", "[k]", &none),
        ("$.x..y", "public", &["names-too-wide"]),
        ("$.x.*..y", "public", &["names-too-wide"]),
        ("$.x..y", "[k]", &none),
        ("$.x[0].y", "[k]", &["names-without-effect"]),
        ("$.x.*", "[]", &["empty-list"]),
        ("$.x.*", "[k, k]", &["listed-twice"]),
        ("$.x.*", "[1]", &["not-quoted"]),
        ("$.x.*", "[[k]]", &["wrong-kind"]),
        ("$.x.*", "{ k: l }", &["wrong-kind"]),
        ("$.x.*", "nobody", &["unknown-category"]),
    ] {
        let found: Vec<&str> =
            found(path, names).into_iter().filter(|code| *code != "filter-tells").collect();
        assert_eq!(found, expected, "{path} {names}");
    }
    let names = |count: usize, bytes: usize| {
        let name = |at: usize| format!("'{at:0>bytes$}'");
        format!("[{}]", (0..count).map(name).collect::<Vec<_>>().join(", "))
    };
    assert_eq!(found("$.x.*", &names(1000, 4)), none);
    assert_eq!(found("$.x.*", &names(1001, 4)), ["bad-names"]);
    assert_eq!(found("$.x.*", &names(1, 256)), none);
    assert_eq!(found("$.x.*", &names(1, 257)), ["bad-names"]);
}

/// Of a category that is explicit only a rule for its whole name counts, whoever has it.
#[test]
fn explicit_categories_leave_by_their_whole_name() {
    let text = "
tamis: 1
categories: { id: Number, id.nir: { title: NIR, explicit: true }, id.nir.key: Its key, health: { title: Health, explicit: true } }
purposes:
  wide: { title: Wide, legal_basis: contract }
  whole: { title: Whole, legal_basis: contract }
  key: { title: Key, legal_basis: contract }
  denied: { title: Denied, legal_basis: contract }
  masked: { title: Masked, legal_basis: contract }
callers: { c: { identify: { api_key: k }, purposes: [wide, whole, key, denied] }, d: { identify: { api_key: l }, purposes: [masked] } }
apis:
  a:
    headers: { response: { X-Nir: id.nir } }
    routes:
      GET /x: { params: { nir: id.nir }, body: { $.id: id, $.nir: id.nir, $.key: id.nir.key, $.health: health, $.m.*: { category: id, names: id.nir } } }
rules:
  wide: { '*': keep, id: keep }
  whole: { id.nir: keep }
  key: { id.nir: { mask: { keep_last: 2 } }, id.nir.key: keep }
  denied: { id: keep, '*': deny }
  masked: { id: mask, id.nir: drop }
";
    let Loaded { set, findings, .. } = load(&[source(text)], &NoKeys);
    let set = set.unwrap();
    let actions = |purpose: &str| {
        let purpose = set.policies.purpose(set.policies.purpose_named(purpose).unwrap()).unwrap();
        let names = ["id", "id.nir", "id.nir.key", "health"];
        names.map(|name| {
            let at = set.policies.categories.iter().position(|one| one.name == name).unwrap();
            purpose.action(CategoryId(u32::try_from(at).unwrap())).word()
        })
    };
    assert_eq!(actions("wide"), ["keep", "drop", "drop", "drop"]);
    assert_eq!(actions("whole"), ["drop", "keep", "drop", "drop"]);
    assert_eq!(actions("key"), ["drop", "mask", "keep", "drop"]);
    assert_eq!(actions("denied"), ["keep", "drop", "drop", "deny"]);
    assert_eq!(actions("masked"), ["mask", "drop", "drop", "drop"]);
    // A parameter and a header go by the same rule.
    assert_eq!(decided(&set, "c", "wide", "", "GET /x?nir=1"), "parameter-withheld");
    assert_eq!(decided(&set, "c", "whole", "", "GET /x?nir=1"), "a/GET /x []");
    assert_eq!(decided(&set, "c", "denied", "", "GET /x"), "category-denied");
    for (purpose, keeps) in [("wide", false), ("whole", true)] {
        let id = set.policies.purpose_named(purpose).unwrap();
        let plan = set.answers(&set.apis()[0].routes[0])[id.0].plan().unwrap();
        let header = plan.header("x-nir").unwrap();
        let is_kept = plan.cells()[header.index()].action == crate::access::Action::Keep;
        assert_eq!(is_kept, keeps, "{purpose}");
    }
    let notes = findings.iter().filter(|one| one.code == "decided-by-prefix");
    let notes: Vec<&str> = notes.map(|one| one.message.as_str()).collect();
    // What is spelled, dropped or denied is none.
    assert_eq!(notes, Vec::<&str>::new(), "all that a prefix decides is explicit");
    let wide = text.replace(", explicit: true", "");
    let findings = load(&[source(&wide)], &NoKeys).findings;
    let notes = findings.iter().filter(|one| one.code == "decided-by-prefix");
    let notes: Vec<(&str, &str)> =
        notes.map(|one| (one.message.as_str(), one.help.as_deref().unwrap())).collect();
    let [wide, whole, denied] = notes[..] else { panic!("{notes:?}") };
    assert!(wide.0.contains("`id.nir`, `id.nir.key`, `health`"), "{}", wide.0);
    assert!(wide.1.contains("`id.nir`, `id.nir.key`, `health`"), "{}", wide.1);
    assert!(whole.0.contains("`whole` gets `id.nir.key` by"), "{}", whole.0);
    assert!(denied.0.contains("`denied` gets `id.nir`, `id.nir.key` by"), "{}", denied.0);
    // A rule that can decide nothing says why.
    let narrow = text.replace("id: Number, ", "id: { title: Number, explicit: true }, ");
    let narrow = narrow.replace("'*': keep, id: keep", "id.nir: keep, health: keep");
    assert!(load(&[source(&narrow)], &NoKeys).set.is_some());
}

/// Whoever counts columns has to say which they are.
#[test]
fn public_by_position_is_a_warning() {
    let found = |path: &str| {
        let line = format!("\"{path}\": public, $.y: a");
        let text = policy("a: A", &line, "a: keep");
        let findings = load(&[source(&text)], &NoKeys).findings.into_iter();
        findings.filter(|one| one.code == "public-by-position").count()
    };
    for path in ["$.rows[*][0]", "$[1:][2]", "$.rows[?@[0] == 1][-1]", "$..[0]", "$.rows.*[0:2]"] {
        assert_eq!(found(path), usize::from(path != "$..[0]"), "{path}");
    }
    for path in
        ["$.rows[0]", "$.rows[*].x", "$.a.b[0]", "$.rows[*][0].x", "$.rows[?$.c[0] == 'x'][0]"]
    {
        assert_eq!(found(path), 0, "{path}");
    }
    // The safe way loads for many columns.
    let columns: Vec<String> = (0..40).map(|at| format!("$.columns[{at}] == 'c{at}'")).collect();
    let filter = format!("{} && length($.columns) == 40", columns.join(" && "));
    let lines =
        (0..40).map(|at| format!("            ? \"$.rows[?{filter}][{at}]\"\n            : a\n"));
    let text = format!(
        "tamis: 1\ncategories: {{ a: A }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\napis:\n  api:\n    routes:\n      GET /a:\n        body:\n            $.columns: public\n            \"$.columns[*]\": public\n{}        buffer: document\nrules: {{ p: {{ a: keep }} }}\n",
        lines.collect::<String>()
    );
    assert_eq!(errors(&[source(&text)]), []);
}

/// Each api is told of once.
#[test]
fn a_request_that_can_shape_the_answer_is_told() {
    let found = |routes: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep }} }}\napis: {{ api: {{ routes: {{ {routes} }} }} }}\n"
        );
        let findings = load(&[source(&text)], &NoKeys).findings.into_iter();
        let notes = findings.filter(|one| one.code == "request-shapes-answer");
        notes.map(|one| one.message).collect::<Vec<_>>()
    };
    let none = Vec::<String>::new();
    let body = "body: { $.x: a }";
    let pass = "pass: { because: fine }";
    assert_eq!(found(&format!("GET /a: {{ {body} }}")), none);
    assert_eq!(
        found(&format!(
            "GET /a: {{ params: {{ page: public, question: public, query: a }}, {body} }}"
        )),
        none
    );
    assert_eq!(found(&format!("POST /a: {{ request_body: {{ {pass} }} }}")), none);
    for (route, by) in [
        (format!("POST /a: {{ request_body: {{ {pass} }}, {body} }}"), "its request body"),
        (
            format!("GET /a: {{ params: {{ jsonQuery: public }}, {body} }}"),
            "its parameter `jsonQuery`",
        ),
        (
            format!("GET /a: {{ params: {{ \"*\": {{ {pass} }} }}, {body} }}"),
            "parameters that are not listed",
        ),
    ] {
        let [one] = &found(&route)[..] else { panic!("{route}") };
        assert!(one.contains(by), "{one}");
        let more = route.replace("/a", "/b");
        let [one] = &found(&format!("{route}, {more}"))[..] else { panic!("{route}") };
        assert!(one.contains("one more route"), "{one}");
    }
}

#[test]
fn public_for_everything_below_is_a_warning() {
    let names = "{ category: public, names: [k] }";
    assert_eq!(warnings("", &format!("$.x..*: {names}"), "", "$.z: a"), ["public-everything"]);
    assert_eq!(warnings("", "$.x: a", "", &format!("$..*: {names}")), ["public-everything"]);
    let other = "$.x..*: { category: a, names: [k] }, $.y.*: { category: public, names: a }";
    assert!(warnings("", other, "", "$.z: a").is_empty());
}

#[test]
fn every_name_of_a_union_can_look_personal() {
    let found = |path: &str| warnings("", &format!("\"{path}\": public"), "", "$.z: a");
    assert_eq!(found("$['id', 'email']"), ["public-looks-personal"]);
    assert_eq!(found("$['emailVerified', 'iban'][*]"), ["public-looks-personal"]);
    assert!(found("$['id', 'emailVerified']").is_empty());
}

/// No entry of the lexicon is dead: each is found as a name by itself, however its words are joined.
#[test]
fn every_word_of_the_lexicon_looks_personal() {
    let classes = ["anywhere", "last", "person", "persons", "whole"];
    let lines = include_str!("personal/words.txt").lines().filter_map(|line| line.split_once(": "));
    let entries: Vec<&str> = lines
        .filter(|(head, _)| head.split_whitespace().next().is_some_and(|it| classes.contains(&it)))
        .flat_map(|(_, entries)| entries.split(", "))
        .map(|entry| entry.trim_matches('*'))
        .collect();
    assert!(entries.len() > 500, "{}", entries.len());
    for joined in ["_", "-"] {
        let paths = entries.iter().enumerate();
        let paths = paths
            .map(|(at, entry)| format!("\"$.x{at}x['{}']\": public", entry.replace(' ', joined)));
        let found = warnings("", &paths.collect::<Vec<_>>().join(", "), "", "$.z: a");
        assert_eq!(found.len(), entries.len(), "joined by {joined}");
    }
}

#[test]
fn words_of_the_lexicon_are_sorted() {
    for line in include_str!("personal/words.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((head, entries)) = line.split_once(": ") else {
            assert!(line.is_empty(), "{line}");
            continue;
        };
        let entries: Vec<&str> = entries.split(", ").collect();
        assert!(entries.is_sorted(), "{head}: {entries:?}");
    }
}

#[test]
fn what_stands_above_says_what_a_name_means() {
    let found = |path: &str| !warnings("", &format!("\"{path}\": public"), "", "$.z: a").is_empty();
    for path in [
        "$.emails[*].value",
        "$.telecom[*].value",
        "$.name[*].given",
        "$.address.state",
        "$.owner.id",
        "$.data.relationships.author.data.id",
        "$.aggs.by_city.buckets[*].key",
        "$['home', 'emails'].value",
    ] {
        assert!(found(path), "{path}");
    }
    for path in [
        "$.values[*].value",
        "$.emails[*].type",
        "$.order.state",
        "$.id",
        "$.name",
        "$.product.name",
        "$.repository.full_name",
        "$.usage.total_tokens",
        "$.hits.total.value",
    ] {
        assert!(!found(path), "{path}");
    }
}

#[test]
fn a_record_and_a_route_say_what_a_name_means() {
    let text = |record: &str, route: &str, path: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep }} }}\nrecords: {{ {record}: {{ fields: {{ $.a: a, $.name: public, $.value: public }} }} }}\napis: {{ api: {{ routes: {{ GET {route}: {{ body: {{ {path}: {record}, $.name: public }} }} }} }} }}\n"
        );
        let findings = load(&[source(&text)], &NoKeys).findings.into_iter();
        findings.filter(|finding| finding.code == "public-looks-personal").count()
    };
    assert_eq!(text("part", "/products", "$.x"), 0);
    assert_eq!(text("customer", "/products", "$.x"), 1);
    assert_eq!(text("part", "/v1/users", "$.x"), 1);
    // There, both stand for an address.
    assert_eq!(text("part", "/products", "\"$.emails[*]\""), 2);
}

#[test]
fn a_host_with_a_dot_at_its_end_is_the_same_host() {
    let api = |text: &str, host: &str| {
        let set = load(&[source(text)], &NoKeys).set.unwrap();
        set.policies.api_for(Some(host)).map(|api| api.name.to_string())
    };
    let dotted = CRM.replace("shop.internal,", "Shop.Internal.,");
    for text in [CRM, &dotted] {
        for host in ["shop.internal", "shop.internal.", "SHOP.internal.:8080"] {
            assert_eq!(api(text, host).unwrap(), "shop", "{host}");
        }
        assert_eq!(api(text, "shop.internal..").unwrap(), "crm");
    }
    let twice = CRM.replace("www.shop.example", "shop.internal.");
    assert_eq!(errors(&[source(&twice)])[0].0, "same-host");
    let nothing = CRM.replace("www.shop.example", "\".\"");
    assert_eq!(errors(&[source(&nothing)])[0].0, "bad-host");
}

#[test]
fn a_host_is_one_that_nobody_can_take_for_another() {
    for host in [
        "a",
        "crm.internal",
        "crm.internal.",
        "CRM_1:80",
        "10.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "a:",
    ] {
        assert_eq!(check_host(host), Ok(()), "{host}");
    }
    for host in [
        "", ".", "a..", ".a", "a..b", "a:x", "a:80:80", "a:80abc", "a:999999", "a b", "a/b", "a?b",
        "a#b", "a,b", "a\\b", "a%2eb", "u@a", "[::1", "::1", "[::1]x", "[::1]:x", "[x]", "a[::1]",
        "\u{e9}",
    ] {
        assert_eq!(check_host(host), Err(Reason::HostNotValid), "{host}");
    }
}

#[test]
fn a_filter_may_ask_only_about_what_the_purpose_keeps() {
    let found = |fields: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A, b: B }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep, b: drop }} }}\napis: {{ api: {{ routes: {{ GET /a: {{ body: {{ {fields} }} }} }} }} }}\n"
        );
        let errors = errors(&[source(&text)]).into_iter();
        errors.map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert_eq!(found("\"$[?@.k == 1].a\": a, \"$[?@.k == 1].k\": public"), Vec::<&str>::new());
    assert_eq!(found("\"$[?@.k == 1].a\": a, \"$[*].k\": public"), Vec::<&str>::new());
    assert_eq!(found("\"$[?@.k == 1].a\": a"), ["filter-tells"]);
    assert_eq!(found("\"$[?@.k == 1].a\": a, \"$[*].k\": b"), ["filter-tells"]);
    assert_eq!(found("\"$[?@.k].a\": public, \"$[?@.k].k\": b"), ["filter-tells"]);
    assert_eq!(found("\"$[?@.k == 1].a\": b"), Vec::<&str>::new(), "nothing leaves anyway");
    assert_eq!(found("\"$[?@.k == 1]\": b, \"$[*].a\": a"), ["filter-tells"]);
    assert_eq!(
        found("\"$[?@.k[?@.x == 1].y].a\": a, \"$[*].k[*].y\": public"),
        ["filter-tells"; 2]
    );
    assert_eq!(
        found(
            "\"$[?@.k[?@.x == 1].y].a\": a, \"$.*.k.*['x','y']\": { category: public, names: public }"
        ),
        Vec::<&str>::new()
    );
}

/// Of a text that holds a document only what is left of that leaves.
#[test]
fn a_filter_may_not_ask_about_a_text_that_holds_a_document() {
    let found = |body: &str, embedded: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A, b: B }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrecords: {{ r: {{ fields: {{ $: public, $.s: public }} }} }}\nrules: {{ p: {{ a: keep, b: drop }} }}\napis: {{ api: {{ routes: {{ GET /a: {{ body: {{ {body} }}, embedded: {{ {embedded} }}, buffer: document }} }} }} }}\n"
        );
        let errors = errors(&[source(&text)]).into_iter();
        errors.map(|(code, _)| code).collect::<Vec<_>>()
    };
    for filter in ["search(@.t, 'x')", "length(@.t) > 3", "@.t == 'x'", "@.t < @.u", "@.t"] {
        let asks = format!("\"$[?{filter}].n\": a, \"$[*].u\": public");
        for (more, embedded) in [
            ("", "\"$[*].t\": r"),
            ("", "\"$[*].t\": public"),
            (", \"$[*].t\": public", "\"$[*].t\": r"),
            (", \"$[*].t\": public", "\"$[0].t\": r"),
            (", \"$[*].t\": public", "\"$[-1].t\": a"),
            (", \"$[*].t\": public", "\"$[?@.u].t\": a"),
        ] {
            let errors = found(&format!("{asks}{more}"), embedded);
            assert_eq!(errors, ["filter-tells"], "{filter} {more} {embedded}");
        }
    }
    let others = "\"$[?@.u == 'x'].n\": a, \"$[*].u\": public";
    assert_eq!(found(others, "\"$[*].t\": r"), Vec::<&str>::new());
    let document = "\"$[?@.u == $.t].n\": a, \"$[*].u\": public";
    assert_eq!(found(document, "$.t: public"), ["filter-tells"]);
}

/// An element of which a filter cannot be answered is removed, and with it what is kept.
#[test]
fn a_filter_may_not_ask_about_what_another_one_can_take_away() {
    let found = |fields: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A, b: B }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrules: {{ p: {{ a: keep, b: drop }} }}\napis: {{ api: {{ routes: {{ GET /a: {{ body: {{ {fields} }} }} }} }} }}\n"
        );
        let errors = errors(&[source(&text)]).into_iter();
        errors.map(|(code, _)| code).collect::<Vec<_>>()
    };
    let inner = |filter: &str, more: &str| {
        format!(
            "\"$.r[?{filter}].n\": a, \"$.r[*].b[*].x\": public, \"$.r[*].b[*].y\": public, \"$.r[*].m.x\": public{more}"
        )
    };
    let none = Vec::<&str>::new();
    for filter in ["@.b[0].x == 1", "@.b[0].x", "@.b[0].x && @.m.x"] {
        assert_eq!(found(&inner(filter, "")), none, "{filter}");
        let asked = inner(filter, ", \"$.r[*].b[?@.y == 1].z\": public");
        assert_eq!(found(&asked), ["filter-tells"], "{filter}");
    }
    // Members are elements, too; and so is what a filter below `..` is asked of.
    let members = inner("@.m.x == 1", ", \"$.r[*][?@.x == 1].z\": public");
    assert_eq!(found(&members), ["filter-tells"; 2], "the other filter is asked of arrays, too");
    assert_eq!(
        found("\"$..[?@.m.x == 1].n\": a, \"$..m.x\": public, \"$..m.n\": a"),
        ["filter-tells"]
    );
    assert_eq!(found("\"$..[?@.x == 1].n\": a, \"$..x\": public"), none);
}

/// The same of what they ask about the document.
#[test]
fn a_filter_may_ask_about_the_document_only_what_the_purpose_keeps() {
    let found_on = |body: &str, embedded: &str| {
        let text = format!(
            "tamis: 1\ncategories: {{ a: A, b: B }}\npurposes: {{ p: {{ title: P, legal_basis: contract }} }}\ncallers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}\nrecords: {{ r: {{ fields: {{ \"$.l[?@.k == $.k].a\": a, \"$.l[*].k\": public }} }} }}\nrules: {{ p: {{ a: keep, b: drop }} }}\napis: {{ api: {{ routes: {{ GET /a: {{ body: {{ {body} }}, embedded: {{ {embedded} }}, buffer: document }} }} }} }}\n"
        );
        let errors = errors(&[source(&text)]).into_iter();
        errors
            .filter(|(code, _)| *code != "record-not-used")
            .map(|(code, _)| code)
            .collect::<Vec<_>>()
    };
    let found = |body: &str| found_on(body, "$.unused: a");
    let none = Vec::<&str>::new();
    assert_eq!(found("\"$.l[?@.k == $.k].a\": a, \"$.l[*].k\": public, $.k: public"), none);
    assert_eq!(found("\"$.l[?@.k == $.k].a\": a, \"$.l[*].k\": public"), ["filter-tells"]);
    assert_eq!(found("\"$.l[?@.k == $.k].a\": a, \"$.l[*].k\": public, $.k: b"), ["filter-tells"]);
    assert_eq!(found("\"$.l[?@.k == $.k].a\": a, $.k: public"), ["filter-tells"]);
    assert_eq!(found("\"$.l[?@.k == $.k].a\": a, $.k: b"), ["filter-tells"; 2]);
    assert_eq!(found("\"$.l[?$.k].a\": b"), none, "nothing leaves anyway");
    assert_eq!(found("\"$.l[?$.k].a\": b, \"$.l[*].a\": a"), ["filter-tells"]);
    assert_eq!(found("\"$.l[?count($..k) > 1].a\": a, $.k: public"), ["filter-tells"]);
    assert_eq!(
        found("\"$.l[?$.m[?@.x == $.y]].a\": a, \"$.m[*]['x','y']\": public"),
        ["filter-tells"; 3]
    );
    assert_eq!(
        found(
            "\"$.l[?$.m[?@.x == $.y].y].a\": a, \"$.m.*['x','y']\": { category: public, names: public }, $.y: public"
        ),
        none
    );
    // The document is the one that the node stands in.
    assert_eq!(found_on("$.k: public", "$.s: r"), ["filter-tells"]);
    assert_eq!(found_on("$.k: public, $.s.k: public", "$.s: r"), none);
    assert_eq!(
        found_on("$.s.k: public", "$.s: r"),
        ["filter-tells"],
        "a container at that place is of the body"
    );
}

#[test]
fn every_path_says_what_it_takes_of_memory() {
    let text = "tamis: 1\ncategories: { a: A, b: B, c: C }\npurposes: { p: { title: P, legal_basis: contract }, q: { title: Q, legal_basis: contract }, r: { title: R, legal_basis: contract } }\ncallers: { c: { identify: { api_key: k }, purposes: [p, q, r] } }\nrules: { p: { a: keep, b: mask, c: keep }, q: { a: { generalise: { date: year } }, b: drop, c: keep }, r: { a: deny, b: mask } }\nrecords: { r: { fields: { $.x: c } } }\napis:\n  api:\n    routes:\n      GET /one: { body: { $.a: a, $.b: b, $.c: c, \"$.l[1:5:2]\": c, \"$.l[-1]\": c, \"$.l[-3:]\": b, \"$.l[::-2]\": c, \"$.m[?@.k].k\": c, \"$.m[*].k\": c, \"$.n[?@[0]][-2]\": c, \"$.n[*][0]\": c }, embedded: { $.s: r } }\n      GET /two: { body: { \"$.m[?@.k == $.k].k\": c, \"$.m[*].k\": c, $.k: c, $.b: b, \"$.l[-1]\": c }, buffer: document }\n      GET /three: { body: { $.c: c } }\n";
    let set = load(&[source(text)], &NoKeys);
    let findings: Vec<String> = set.findings.iter().map(|one| one.message.clone()).collect();
    let set = set.set.unwrap_or_else(|| panic!("{findings:?}"));
    let all: Vec<_> = set
        .needs()
        .iter()
        .map(|route| {
            let paths = route.paths.iter().map(|path| (path.path.clone(), path.in_words()));
            let most: Vec<String> = route.most().iter().map(ToString::to_string).collect();
            (route.route.clone(), paths.collect(), most.join("; "))
        })
        .collect();
    let value = "holds one value up to `limits.value_bytes`";
    let together = "together up to `limits.candidate_bytes`";
    let path = |path: &str, words: &str| (path.to_owned(), words.to_owned());
    let one = vec![
        path("$.a", value),
        path("$.b", value),
        path("$.c", "streams"),
        path("$.l[1:5:2]", "streams"),
        path("$.l[-1]", &format!("waits for one more element, {together}")),
        path("$.l[-3:]", &format!("{value}; waits for 3 more elements, {together}")),
        path("$.l[::-2]", &format!("waits for the end of the array, all elements {together}")),
        path("$.m[?@.k].k", "holds one element up to `limits.candidate_bytes`"),
        path("$.m[*].k", "streams"),
        path("$.n[?@[0]][-2]", "holds one element up to `limits.candidate_bytes`"),
        path("$.n[*][0]", "streams"),
        path("$.s", value),
        path("$.s.x", "streams"),
    ];
    let two = vec![
        path("$.m[?@.k == $.k].k", "holds the whole document up to `limits.document_bytes`"),
        path("$.m[*].k", "streams"),
        path("$.k", "streams"),
        path("$.b", value),
        path("$.l[-1]", "streams"),
    ];
    assert_eq!(
        all,
        [
            (
                "GET /one".to_owned(),
                one,
                format!("{value}; holds one element up to `limits.candidate_bytes`")
            ),
            (
                "GET /two".to_owned(),
                two,
                format!("{value}; holds the whole document up to `limits.document_bytes`")
            ),
            ("GET /three".to_owned(), vec![path("$.c", "streams")], "streams".to_owned()),
        ]
    );
    let explained = |purpose: &str, request: &str| {
        let question =
            Question { caller: "c", purpose: Some(purpose), request, host: None, path: None };
        let text = set.explain(&question).to_string();
        let memory = text.split("\nMemory:\n").nth(1).unwrap_or_default();
        let rows = memory.split("\n\n").next().unwrap_or_default().lines();
        rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(explained("p", "GET /three"), ["every path streams"]);
    assert_eq!(
        explained("p", "GET /two"),
        [
            "$.m[?@.k == $.k].k holds the whole document up to `limits.document_bytes`",
            &format!("$.b {value}"),
            "any other path streams"
        ]
    );
    let of = |purpose: &str| {
        let rows = explained(purpose, "GET /one");
        rows.iter().filter(|row| row.contains("one value")).cloned().collect::<Vec<_>>()
    };
    let window = format!("waits for 3 more elements, {together}");
    assert_eq!(
        of("p"),
        [format!("$.b {value}"), format!("$.l[-3:] {value}; {window}"), format!("$.s {value}")]
    );
    assert_eq!(
        of("q"),
        [format!("$.a {value}"), format!("$.s {value}")],
        "what is dropped is not held"
    );
    assert_eq!(explained("r", "GET /one"), Vec::<String>::new(), "what is denied takes nothing");
}
