use crate::{
    path::Path,
    policy::{Question, tests::crm},
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
Whatever no line describes is removed.
In $.items[*].order it leaves undecided, because: orders tell nothing about a person
"
    );
}

#[test]
fn explains_a_refusal_of_a_parameter() {
    let text = explained("auditor", None, "GET /customers/{id}", None);
    assert!(text.contains("refused, for who may not see a value may not ask by it"), "{text}");
    let text = explained("auditor", None, "GET /customers/17", None);
    assert!(text.contains("Denied (parameter-withheld)"), "{text}");
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
        "$.notes.inner  removed with $.notes, unless something stands there that another line describes: no rule for text.notes (Notes) (crm.yaml:26)",
    );
    check(
        "$.phones[1]",
        "$.phones[1]  masked but for the last 4 characters with $.phones, unless something stands there that another line describes: contact.phone (Phone number) (crm.yaml:23, rule crm.yaml:55)",
    );
    check(
        "$.phones.kind",
        "$.phones.kind  removed: no line describes it, and nothing undecided leaves below $.phones, which is masked but for the last 4 characters (crm.yaml:23, rule crm.yaml:55)",
    );
    check("$.loyalty", "$.loyalty  removed: no line describes it");
    check(
        "$.order.at",
        "$.order.at  leaves undecided: no line describes it, and what is not described is kept, because: orders tell nothing about a person",
    );
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
        "Denied (route-unknown): no route takes `GET /custmers`; did you mean `GET /customers`?",
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
        "Denied (path-not-canonical): `GET /customers/..` can be understood in more than one way",
    );
}
