//! Where unclassified data was withheld, at the admin address and in the log.

use std::{fs, net::SocketAddr};

use serde_json::{Value, json as value};

use crate::{
    product,
    serve::{Setup, Tamis, json, until, upstream},
};

const POLICY: &str = "
tamis: 1
categories: { contact.email: E-mail address, secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /c/{id}:
        params: { id: public }
        body:
          $.id: public
          $.items[*].id: public
          $.by_mail.*.id: { category: public, names: contact.email }
          $.secret.a: secret
      GET /known/{id}: { params: { id: public }, body: { $.id: public, $.secret.a: secret } }
      GET /other: { body: { $.elsewhere: public } }
rules: { support: { contact: keep } }
";

/// Names that are data of a person: a customer's address as a key, and one that was planted.
const PERSONAL: [&str; 3] = ["anna@example.org", "CANARY", "Keller"];

const BODY: &str = r#"{"id":7,"items":[{"id":1,"anna@example.org":1},{"id":2,"Keller":{"CANARY":1}}],
    "by_mail":{"anna@example.org":{"id":1,"CANARY":"CANARY"},"elsewhere":{"id":2,"CANARY":[3]}},
    "anna@example.org":{"Keller":"CANARY"},"secret":{"a":1,"CANARY":2}}"#;

fn serve(upstream: SocketAddr) -> Tamis {
    let upstreams = [("crm", upstream, "http1")];
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" };
    setup.start_with(&[("TAMIS_LOG", "debug")])
}

fn listed(tamis: &Tamis) -> Value {
    let reply = tamis.probe("/unclassified");
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    serde_json::from_str(reply.text()).unwrap()
}

fn paths(list: &Value) -> Vec<&str> {
    let places = list["places"].as_array().unwrap().iter();
    places.map(|place| place["path"].as_str().unwrap()).collect()
}

#[test]
fn the_places_are_listed_and_names_are_not() {
    let tamis = serve(upstream(|_| json(BODY)));
    assert_eq!(paths(&listed(&tamis)), Vec::<&str>::new());
    for id in 0..3 {
        assert_eq!(tamis.get(&format!("/c/{id}"), "desk", "support").status, 200);
    }
    until("all are on record", || tamis.metric("tamis_unclassified_total") == 3);
    // A response is on the list after it is counted.
    until("all are listed", || {
        let list = listed(&tamis);
        let places = list["places"].as_array().unwrap();
        places.len() == 4 && places.iter().all(|place| place["responses"] == 3)
    });
    let list = listed(&tamis);
    let expected = ["$.*", "$.by_mail.*.*", "$.by_mail.elsewhere.*", "$.items[*].*"];
    assert_eq!(paths(&list), expected);
    assert_eq!(list["left_out"], 0);
    let record = &tamis.access_log()[0];
    assert_eq!(list["policy"], record["policy"]);
    for place in list["places"].as_array().unwrap() {
        assert_eq!((&place["api"], &place["route"]), (&value!("crm"), &value!("GET /c/{id}")));
        assert_eq!(place["first_seen"].as_str().unwrap().len(), "2026-11-22T09:14:07.314Z".len());
    }
    // Once for each place, not for each response.
    for path in expected {
        let line = format!("unclassified data withheld: crm, GET /c/{{id}}, {path}\n");
        until("it is said", || tamis.stderr().contains(&line));
        assert_eq!(tamis.stderr().matches(&line).count(), 1, "{}", tamis.stderr());
    }
    let said = [tamis.probe("/unclassified").text().to_owned(), tamis.stderr(), tamis.stdout()];
    let said = said.into_iter().chain([tamis.metrics(), format!("{:?}", tamis.access_log())]);
    for text in said {
        for personal in PERSONAL {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
    }
}

/// `{"secret":{"a":1}}` is classified and withheld: no alert may fire.
#[test]
fn what_is_classified_and_withheld_is_on_no_list() {
    let tamis = serve(upstream(|_| json(r#"{"id":7,"secret":{"a":1,"CANARY":2}}"#)));
    assert_eq!(tamis.get("/known/7", "desk", "support").status, 200);
    until("it is on record", || tamis.access_log().len() == 1);
    assert_eq!(tamis.access_log()[0]["unclassified"], false);
    assert_eq!(tamis.metric("tamis_unclassified_total"), 0);
    assert_eq!(paths(&listed(&tamis)), Vec::<&str>::new());
}

/// Under other policies they may be classified.
#[test]
fn other_policies_begin_another_list() {
    let tamis = serve(upstream(|_| json(BODY)));
    tamis.get("/c/1", "desk", "support");
    until("it is listed", || paths(&listed(&tamis)).len() == 4);
    let before = listed(&tamis);
    let policy = POLICY
        .replace("          $.id: public\n", "          $.id: public\n          $.more: public\n");
    fs::write(tamis.policies().join("p.yaml"), policy).unwrap();
    tamis.signal("HUP");
    until("other policies are in force", || listed(&tamis)["policy"] != before["policy"]);
    assert_eq!(paths(&listed(&tamis)), Vec::<&str>::new());
    tamis.get("/c/1", "desk", "support");
    until("it is listed anew", || paths(&listed(&tamis)) == paths(&before));
}

#[test]
fn a_level_that_there_is_not_is_an_error() {
    let setup = Setup { policies: &[("p.yaml", POLICY)], upstreams: &[], settings: "" };
    let (code, _, stderr) = setup.run_with(&[("TAMIS_LOG", "loud")]);
    assert_eq!(code, 2);
    assert_eq!(stderr, "error: TAMIS_LOG=loud: there is no such level: write info or debug\n");
}

/// What an upstream says of an error, nobody looks into.
#[test]
fn what_is_withheld_of_a_problem_is_on_no_list() {
    let problem = r#"{"title":"CANARY","status":410,"detail":"CANARY","CANARY":{}}"#;
    let answer = format!(
        "HTTP/1.1 410 Gone\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let tamis = serve(upstream(move |_| answer.clone().into()));
    let reply = tamis.get("/c/7", "desk", "support");
    let expected = r#"{"type":"about:blank","title":"Gone","status":410}"#;
    assert_eq!((reply.status, reply.text()), (410, expected));
    until("it is on record", || tamis.access_log().len() == 1);
    assert_eq!(tamis.access_log()[0]["unclassified"], false);
    assert_eq!(paths(&listed(&tamis)), Vec::<&str>::new());
}

/// The customers of the demo, for every purpose: no alert for what the policies describe, and each place that they
/// do not describe.
#[test]
fn the_shipped_policies_know_what_they_withhold() {
    let policy = include_str!("../../../policies/crm.yaml");
    let names = include_str!("../../../policies/categories.yaml");
    let set = product::policies(&[("crm.yaml", policy), ("categories.yaml", names)]);
    let all: Value = serde_json::from_str(include_str!("../../corpus/customers.json")).unwrap();
    let mut known = all.clone();
    for customer in known["items"].as_array_mut().unwrap() {
        customer.as_object_mut().unwrap().remove("loyalty_score").unwrap();
        for order in customer["orders"].as_array_mut().unwrap() {
            order.as_object_mut().unwrap().remove("gift_message").unwrap();
        }
    }
    let places = |caller: &str, purpose: &str, request: &str, body: &Value| {
        let plan = product::plan(&set, caller, purpose, None, request).unwrap();
        product::places(&plan, [body.to_string().as_bytes()]).into_iter().collect::<Vec<_>>()
    };
    for (caller, purpose, orders) in [
        ("support-desk", "support", true),
        ("invoicing", "billing", false),
        ("data-team", "official-statistics", false),
    ] {
        let of = |request: &str, body: &Value| places(caller, purpose, request, body);
        assert_eq!(of("GET /customers", &known), Vec::<String>::new(), "{purpose}");
        let mut expected = vec!["$.items[*].*"];
        // Where no order leaves, nobody looks into them.
        expected.extend(orders.then_some("$.items[*].orders[*].*"));
        assert_eq!(of("GET /customers", &all), expected, "{purpose}");
        if purpose != "official-statistics" {
            let one = &known["items"][0];
            assert_eq!(of("GET /customers/C-1042", one), Vec::<String>::new(), "{purpose}");
        }
    }
}
