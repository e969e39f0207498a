use std::{fmt::Write as _, sync::Arc};

use jiff::civil::date;

use super::Framed;
use crate::{
    access::Reason,
    enforce::Enforcement,
    json::{Copied, Limits},
    policy::{Ask, Framing, Plan, Source, Target, load},
    transform::{Context, NoKeys},
};

const STREAM: &str = r#"{ events: [delta, "a b", done], data: ["[DONE]", bye] }"#;

/// A plan that keeps `$.id`, masks `$.mail` and knows nothing else.
fn plan(stream: &str) -> Arc<Plan> {
    plan_of("{ $.id: public, $.mail: mail }", stream)
}

/// A plan for these paths.
fn plan_of(body: &str, stream: &str) -> Arc<Plan> {
    let text = format!(
        r"
tamis: 1
categories: {{ mail: E-mail address }}
purposes: {{ p: {{ title: Test, legal_basis: contract }} }}
callers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}
apis: {{ a: {{ routes: {{ GET /x: {{ body: {body}, stream: {stream} }} }} }} }}
rules: {{ p: {{ mail: mask }} }}
"
    );
    let loaded = load(&[Source { name: "test.yaml".into(), text }], &NoKeys);
    let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: set.caller("c"), purpose: None, host: None, target: &target })
        .unwrap()
        .plan
}

const CONTEXT: Context = Context { today: date(2026, 11, 21) };

/// What leaves, and why it ends if it is refused; whether something unknown was withheld.
type Left = (String, Result<(), Reason>, bool);

fn run<'c>(
    framing: Framing,
    plan: &Arc<Plan>,
    limits: Limits,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Left {
    let mut framed = Framed::new(framing, Arc::clone(plan), CONTEXT, limits);
    let mut out = Vec::new();
    let written = chunks.into_iter().try_for_each(|chunk| framed.write(chunk, &mut out));
    let ended = written.and_then(|()| framed.finish(&mut out));
    if ended.is_err() {
        let so_far = out.len();
        assert_eq!(framed.write(b"\n\x1e{}\n\n", &mut out), ended, "it stays refused");
        assert_eq!(framed.finish(&mut out), ended, "it stays refused");
        assert_eq!(out.len(), so_far, "nothing leaves after a refusal");
    }
    let out = String::from_utf8(out).unwrap();
    (out, ended.map_err(|refusal| refusal.reason), framed.tally().unclassified())
}

/// Whole, cut in two at every place, and byte by byte: all the same.
fn everywhere(framing: Framing, plan: &Arc<Plan>, body: &[u8]) -> Left {
    everywhere_within(Limits::default(), framing, plan, body)
}

fn everywhere_within(limits: Limits, framing: Framing, plan: &Arc<Plan>, body: &[u8]) -> Left {
    let bytes = run(framing, plan, limits, body.chunks(1));
    let halves = (0..=body.len()).map(|at| <[&[u8]; 2]>::from(body.split_at(at)).to_vec());
    for chunks in halves.chain([vec![body], body.chunks(3).collect()]) {
        let cut = run(framing, plan, limits, chunks.iter().copied());
        assert_eq!(cut.1, bytes.1, "{chunks:?}");
        if cut.1.is_ok() {
            assert_eq!(cut, bytes, "{chunks:?}");
        } else {
            // Of the chunk in which it fails, nothing has to leave.
            assert!(bytes.0.starts_with(&cut.0), "{chunks:?} {cut:?} {bytes:?}");
        }
    }
    bytes
}

/// The only way in: a body, and what leaves of it.
#[track_caller]
fn check(framing: Framing, body: &str, expected: &str) -> bool {
    let (out, ended, withheld) = everywhere(framing, &plan(STREAM), body.as_bytes());
    assert_eq!((out.as_str(), ended), (expected, Ok(())), "{body:?}");
    withheld
}

/// What leaves of a body before it is refused, and why it is.
#[track_caller]
fn refuse(framing: Framing, body: impl AsRef<[u8]>, left: &str, reason: Reason) {
    let body = body.as_ref();
    let (out, ended, _) = everywhere(framing, &plan(STREAM), body);
    let shown = String::from_utf8_lossy(body);
    assert_eq!((out.as_str(), ended), (left, Err(reason)), "{shown:?}");
}

use Framing::{Document, Events, Lines, Sequence};
use Reason::{BodyCut, BodyTooDeep, BodyUnreadable};

#[test]
fn media_types_have_their_framing() {
    for (media, framing) in [
        ("application/json", Some(Document)),
        ("application/fhir+json", Some(Document)),
        ("text/json", Some(Document)),
        ("application/x-ndjson", Some(Lines)),
        ("application/ndjson", Some(Lines)),
        ("application/jsonl", Some(Lines)),
        ("application/x-jsonlines", Some(Lines)),
        ("application/jsonlines", Some(Lines)),
        ("application/json-seq", Some(Sequence)),
        ("application/geo+json-seq", Some(Sequence)),
        ("text/event-stream", Some(Events)),
        ("application/jsonx", None),
        ("text/plain", None),
        ("application/event-stream", None),
    ] {
        assert_eq!(Framing::of(media), framing, "{media}");
    }
}

#[test]
fn one_document_is_as_without_a_framing() {
    check(Document, r#" {"id":1,"mail":"anna","x":2} "#, r#" {"id":1,"mail":"********"} "#);
    refuse(Document, "", "", BodyCut);
    refuse(Document, "{}\n{}", "{}\n", BodyUnreadable);
}

#[test]
fn every_line_is_a_document() {
    check(Lines, "", "");
    check(Lines, "{\"id\":1}\n", "{\"id\":1}\n");
    check(Lines, "{\"id\": 1.50}\r\n{ }\r\n", "{\"id\": 1.50}\r\n{ }\r\n");
    check(Lines, "{\"mail\":\"anna\"}\n{\"x\":1}\n", "{\"mail\":\"********\"}\n{}\n");
    // The last line may lack its end; lines of white space are no documents.
    check(Lines, "{\"id\":1}\n{\"id\":2}", "{\"id\":1}\n{\"id\":2}");
    check(Lines, "\n\r\n \t\n{}\n\n", "\n\r\n \t\n{}\n\n");
    check(Lines, "  ", "  ");
    // A root of which nothing leaves is `null`.
    check(Lines, "7\n\"anna\"\n[1]\ntrue", "null\nnull\nnull\nnull");
    let withheld = check(Lines, "{\"id\":1}\n", "{\"id\":1}\n");
    assert!(!withheld);
}

#[test]
fn a_line_that_is_no_document_ends_the_body() {
    refuse(Lines, "{\"id\":1}\n{\"id\":\n2}\n", "{\"id\":1}\n{", BodyUnreadable);
    refuse(Lines, "{} {}\n", "{} ", BodyUnreadable);
    refuse(Lines, "\u{feff}{}\n", "null", BodyUnreadable);
    refuse(Lines, b"{}\n{\"x\":\"\xff\"}\n", "{}\n{", BodyUnreadable);
    refuse(Lines, b"{}\n{\"x\":\"\xc3\n\xa9\"}\n", "{}\n{", BodyUnreadable);
    refuse(Lines, "{}\n\x1e{}\n", "{}\nnull", BodyUnreadable);
    refuse(Lines, "{}\n{\"id\":1", "{}\n{\"id\":1", BodyCut);
    refuse(Lines, "{}\n[1", "{}\nnull", BodyCut);
    refuse(Lines, format!("{{}}\n{}\n", "[".repeat(129)), "{}\nnull", BodyTooDeep);
}

#[test]
fn every_text_of_a_sequence_is_a_document() {
    check(Sequence, "", "");
    check(Sequence, "\x1e{\"id\":1}\n", "\x1e{\"id\":1}\n");
    check(
        Sequence,
        "\x1e{\"mail\":\n\"anna\"}\n\x1e\x1e7\n\x1e{}\r\n\n",
        "\x1e{\"mail\":\n\"********\"}\n\x1e\x1enull\n\x1e{}\r\n\n",
    );
}

#[test]
fn a_text_that_may_be_cut_ends_the_body() {
    refuse(Sequence, "{}\n", "", BodyUnreadable);
    refuse(Sequence, "\n\x1e{}\n", "", BodyUnreadable);
    refuse(Sequence, "\x1e{}\n\x1e{\"id\":1\x1e{}\n", "\x1e{}\n\x1e{\"id\":1", BodyUnreadable);
    // RFC 7464, section 2.4: the rest of it may be missing.
    refuse(Sequence, "\x1e{\"id\":1}\x1e{}\n", "\x1e{\"id\":1}", BodyUnreadable);
    refuse(Sequence, "\x1e{\"id\":1} \x1e{}\n", "\x1e{\"id\":1} ", BodyUnreadable);
    refuse(Sequence, "\x1e{}\n\x1e\n\x1e{}\n", "\x1e{}\n\x1e\n", BodyUnreadable);
    refuse(Sequence, "\x1e{}\n{}\n", "\x1e{}\n", BodyUnreadable);
    refuse(Sequence, "\x1e{}", "\x1e{}", BodyCut);
    refuse(Sequence, "\x1e{}\n\x1e", "\x1e{}\n\x1e", BodyCut);
    refuse(Sequence, "\x1e[\n", "\x1enull", BodyCut);
}

#[test]
fn the_data_of_every_event_is_a_document() {
    check(Events, "", "");
    for end in ["\n", "\r", "\r\n"] {
        let same = |body: &str| {
            let body = body.replace('|', end);
            check(Events, &body, &body);
        };
        same("data: {\"id\":1}||data:{\"id\": 2}||");
        same("||data: {\"id\":1}|||");
        same("event: delta|data: {\"id\":1}||event:done|data: {}||");
        same("data: {|data:   \"id\"|data: :1|data: }||");
        same("data:|data:{}|data:||");
        same("data: [DONE]||data:bye||data: {}||");
        same("data:||event: delta|data: ||");
        let body = "data: {\"mail\":|data:  \"anna\"|data: ,\"x\":|data: 1}||".replace('|', end);
        let left = "data: {\"mail\":|data:  \"********\"|data: }||".replace('|', end);
        check(Events, &body, &left);
    }
    check(Events, "data: 7\n\ndata: [{}]\n\n", "data: null\n\ndata: null\n\n");
    // A field without a colon has no value.
    check(
        Events,
        "data\ndata: {}\n\nevent\ndata: {}\n\n",
        "data:\ndata: {}\n\nevent:\ndata: {}\n\n",
    );
    // Where lines end in different ways, they leave so that they are the same lines.
    check(
        Events,
        "data: {\"id\":\ndata:1\r\ndata: ,\"mail\":\rdata: \"anna\"}\n\r",
        "data: {\"id\":\ndata:1\r\ndata: ,\"mail\":\rdata: \"********\"}\n\r",
    );
}

#[test]
fn of_an_event_only_its_data_and_a_listed_name_leave() {
    check(
        Events,
        "id: 7\nevent: delta\nretry: 10\n: anna\ndata: {\"id\":1}\nx-mail: anna\n\n",
        ":\nevent: delta\ndata: {\"id\":1}\n\n",
    );
    check(Events, "id: 7\n\nretry: 10\n\nid\n\nnonsense\n\ndata: {}\n\n", "data: {}\n\n");
    check(Events, ": keep\n\n:alive\r\n\r\n:\n", ":\n\n:\r\n\r\n:\n");
    check(Events, "data: {\ndata: }\nid: 7\n\n", "data: {\ndata: }\n\n");
    // It does not wait for the event in which it stands.
    check(Events, "data: {\n: anna\ndata: }\n: anna\n\n", ":\n:\ndata: {\ndata: }\n\n");
    check(
        Events,
        "data: {\r: anna\rdata: }\r\rdata: {}\r\r",
        ":\rdata: {\rdata: }\r\rdata: {}\r\r",
    );
    check(Events, "data: {\r\n: x\r\ndata: }\r\n\r\n", ":\r\ndata: {\r\ndata: }\r\n\r\n");
    // What parts two line ends is gone, and they do not become one.
    check(Events, "data: {}\rid: 7\n\n: x\rid: 7\n\n", "data: {}\r\n\n:\r\n\n");
    check(Events, "Data: anna\n\n data: anna\n\ndatas: anna\n\ndata : anna\n\n", "");
}

#[test]
fn an_event_with_another_name_does_not_leave() {
    let withheld = check(
        Events,
        "event: anna\ndata: anna\n\nevent: delta2\ndata: {\"id\":1}\n\ndata: {}\n\n",
        "data: {}\n\n",
    );
    assert!(withheld);
    assert!(check(Events, "event: del\n\n", ""));
    assert!(check(Events, "event:  delta\ndata: 1\n\n", ""));
    check(Events, "event: a b\ndata: {}\n\n", "event: a b\ndata: {}\n\n");
    check(Events, "event: Delta\ndata: {}\n: x\n\n", ":\n\n");
    // Its data is not read: it need not be JSON.
    assert!(check(Events, "data: anna\ndata: {\nevent: x\n\ndata: {}\n\n", "data: {}\n\n"));
    assert!(check(Events, "data: {\nevent: anna\n: x\n\n", ":\n\n"));
    // A name of no bytes is none: the event has the name that all have.
    check(
        Events,
        "event:\ndata: {}\n\nevent: \ndata: {}\n\n",
        "event:\ndata: {}\n\nevent: \ndata: {}\n\n",
    );
}

/// WHATWG HTML, section 9.2.6: a name is that of the event when its empty line comes.
#[test]
fn an_event_may_be_named_behind_its_data() {
    for end in ["\n", "\r", "\r\n"] {
        let check = |body: &str, left: &str| {
            check(Events, &body.replace('|', end), &left.replace('|', end))
        };
        // It leaves with its name first, wherever that stood, and whatever is between.
        let left = "event: delta|data: {\"id\":1}||";
        for body in [
            "data: {\"id\":1}|event: delta||",
            "id: 1|data: {\"id\":1}|event: delta|retry: 7||",
            "data: {\"id\":1}|id: anna|x|event: delta||",
        ] {
            assert!(!check(body, left));
        }
        check(
            "data: {\"mail\":|event:done|data:  \"anna\"}||data: {}||",
            "event:done|data: {\"mail\":|data:  \"********\"}||data: {}||",
        );
        check("data: {}|: x|event: delta||", ":|event: delta|data: {}||");
        check(
            "data|event: delta||data: [DONE]|event: done||",
            "event: delta|data:||event: done|data: [DONE]||",
        );
        check("data: bye|event: a b|event||data: {}||", "event:|data: bye||data: {}||");
        // The last one is it, listed or not.
        check("event: delta|event: done|data: {}||", "event: done|data: {}||");
        check("event: anna|data: {}|event: delta||", "event: delta|data: {}||");
        check("event: anna|event:|data: {}||", "event:|data: {}||");
        check("event: delta|data: {}|event||", "event:|data: {}||");
        assert!(check("event: delta|data: {}|event: anna||", ""));
        assert!(check("data: {}|event: delta|event: deltas||data: {}||", "data: {}||"));
        // Without data there is no event; its name leaves as it did.
        check("event: anna|event: delta||", "event: delta||");
    }
    check(Events, "data: {}\revent: delta\n\r\n", "event: delta\ndata: {}\r\r\n");
    check(Events, "data: {}\r\nevent: delta\r\n", "");
    check(Events, "data: {}\nevent: delta\r\n\n", "event: delta\r\ndata: {}\n\n");
    check(Events, "event: delta\rid: 7\n\n", "event: delta\r\n\n");
    // What is wrong with it is still wrong, and nothing of it leaves.
    refuse(Events, "data: anna\nevent: delta\n\n", "", BodyUnreadable);
    refuse(Events, ": x\ndata: {}\nevent: delta\ndata: {}\n\n", ":\n", BodyUnreadable);
}

/// As far as an event may be held it is one; longer, it goes on under the name that it has so far.
#[test]
fn an_event_that_is_too_long_to_be_held_keeps_its_name() {
    let plan = plan(STREAM);
    let within = |bytes: usize, body: &str| {
        let limits = Limits { candidate_bytes_max: bytes, ..Limits::default() };
        everywhere_within(limits, Events, &plan, body.as_bytes())
    };
    let mut refused = 0;
    for body in [
        "data: {\"id\":1}\nevent: delta\n\n",
        "event: delta\r\ndata: {\"id\":\r\n: x\r\ndata: 1}\r\n: y\r\n\r\n",
        "event: delta\rdata: {\"id\":\rid: 7\rdata: 1}\r\r",
        "event: anna\n: x\ndata: {\"id\":1}\nevent: done\n\n",
        "event: anna\n: x\ndata: anna\nid: 7\n\n",
        "data: [DONE]\n: x\n\n",
        "data\nevent\n\n",
    ] {
        let body = format!("{body}data: {{}}\n\n");
        let whole = within(1 << 20, &body);
        assert_eq!(whole.1, Ok(()), "{body:?}");
        for bytes in 0..body.len() {
            let left = within(bytes, &body);
            if left.1.is_err() {
                assert_eq!(left.1, Err(BodyUnreadable), "{bytes} {body:?}");
                assert!(body.contains("event"), "{bytes} {body:?}");
                refused += 1;
            } else {
                assert_eq!(events(&left.0), events(&whole.0), "{bytes} {body:?}");
                assert_eq!(left.2, whole.2, "{bytes} {body:?}");
            }
        }
    }
    assert!(refused > 30, "{refused}");

    // Counted from the first value on: here to the byte.
    let body = "data: {\"id\":1}\nevent: delta\n\n";
    let length = body.len() - "data: ".len();
    assert_eq!(within(length, body).0, "event: delta\ndata: {\"id\":1}\n\n");
    let left = within(length - 1, body);
    assert_eq!(left, ("event: delta\ndata: {\"id\":1}\n\n".into(), Ok(()), false));
    let left = within(length - 2, body);
    assert_eq!(left, (String::new(), Err(BodyUnreadable), false), "in the middle of its name");
    let left = within(5, body);
    assert_eq!(left, ("data: {\"id\":1}".into(), Err(BodyUnreadable), false));
    // Comments leave at once, or behind the data that is leaving.
    let body = "event: delta\ndata: {\n: x\ndata: \"id\":1\n: y\ndata: }\n\n";
    let left = within(25, body);
    let expected = ":\nevent: delta\ndata: {\ndata: \"id\":1\ndata: }\n\n:\n";
    assert_eq!(left, (expected.into(), Ok(()), false));
    // Another name comes too late, also for one that does not leave.
    let body = "event: anna\ndata: 1234567890\n: x\nevent: delta\n\n";
    assert_eq!(within(10, body), (":\n".into(), Err(BodyUnreadable), true));
    // What has left is no event without its end.
    assert_eq!(within(5, "data: {\"id\":1}\n").1, Err(BodyCut));
    assert_eq!(within(10, "event: anna\ndata: {\"id\":1}\n"), (String::new(), Ok(()), true));
}

/// WHATWG HTML, section 9.2.5: one at the very beginning is skipped.
#[test]
fn a_byte_order_mark_before_a_stream_is_left_out() {
    check(Events, "\u{feff}", "");
    check(Events, "\u{feff}data: {}\n\n", "data: {}\n\n");
    check(Events, "\u{feff}\n", "\n");
    check(Events, "\u{feff}: x\n\n", ":\n\n");
    check(Events, "\u{feff}event: delta\rdata: {}\r\r", "event: delta\rdata: {}\r\r");
    // Another one, or one further on, belongs to the name of a field.
    check(Events, "\u{feff}\u{feff}data: anna\n\ndata: {}\n\n", "data: {}\n\n");
    check(Events, ":\n\u{feff}data: {}\n\n", ":\n\n");
    check(Events, " \u{feff}data: anna\n\n", "");
    refuse(Events, "data: \u{feff}{}\n\n", "", BodyUnreadable);
    // So does a part of one.
    let plan = plan(STREAM);
    for part in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\xbe", b"\xbf"] {
        let body = [part, b"data: anna\n\ndata: {}\n\n"].concat();
        let left = everywhere(Events, &plan, &body);
        assert_eq!((left.0.as_str(), left.1), ("data: {}\n\n", Ok(())), "{part:?}");
        assert_eq!(everywhere(Events, &plan, part).1, Ok(()));
    }
}

#[test]
fn data_that_is_no_document_and_not_listed_ends_the_body() {
    refuse(Events, "data: {}\n\ndata: anna\n\n", "data: {}\n\n", BodyUnreadable);
    refuse(Events, "data: [DONE\n\n", "", BodyUnreadable);
    refuse(Events, "data: [DONE] \n\n", "", BodyUnreadable);
    refuse(Events, "data: [DONE]\ndata:\n\n", "", BodyUnreadable);
    refuse(Events, "data: by\n\n", "", BodyUnreadable);
    refuse(Events, "data: {}\ndata: {}\n\n", "", BodyUnreadable);
    refuse(Events, "data: {\"id\":\"a\ndata: b\"}\n\n", "", BodyUnreadable);
    refuse(Events, b"data: {\"id\":\"\xff\"}\n\n", "", BodyUnreadable);
    refuse(Events, "data: {\n\ndata: }\n\n", "", BodyUnreadable);
}

#[test]
fn what_stands_behind_the_last_empty_line_is_no_event() {
    check(Events, "data: {}\n\ndata: {\"id\":1}\n", "data: {}\n\n");
    check(Events, "data: {}\r\rdata: {\"id\":1}\r", "data: {}\r\r");
    check(Events, "data: {\"id\":1}", "");
    check(Events, "data: {\"id\":1", "");
    check(Events, "data: anna\n", "");
    check(Events, "data: [DONE]\n", "");
    check(Events, "data:", "");
    check(Events, "data: {}\n\nevent: delta\n: x\nid: 7", "data: {}\n\n:\n");
    // It has no name yet, so that nothing is withheld by it.
    assert!(!check(Events, "data: {}\n\nevent: anna\n", "data: {}\n\n"));
    check(Events, "event: x\ndata: {", "");
    check(Events, "event: x\ndata:", "");
    check(Events, "dat", "");
}

#[test]
fn without_a_list_nothing_is_listed() {
    let plan = plan("{}");
    let check = |body: &str, expected: &str, ended| {
        let left = everywhere(Events, &plan, body.as_bytes());
        assert_eq!((left.0.as_str(), left.1), (expected, ended), "{body}");
    };
    check("data: {\"id\":1}\n\nevent: delta\ndata: {}\n\n", "data: {\"id\":1}\n\n", Ok(()));
    check("event:\ndata:\n\ndata:\ndata: {}\n\n", "event:\ndata:\n\ndata:\ndata: {}\n\n", Ok(()));
    check("data: [DONE]\n\n", "", Err(BodyUnreadable));
}

#[test]
fn what_is_decided_leaves_at_once() {
    let plan = plan(STREAM);
    for (framing, steps) in [
        (Lines, &[("{\"id\":1}", "{\"id\":1}"), ("\n", "\n"), ("12", "null")][..]),
        (Sequence, &[("\x1e", "\x1e"), ("{\"id\":1}", "{\"id\":1}"), ("\n", "\n")]),
        (
            Events,
            &[
                (":", ""),
                ("x\r", ":\r"),
                ("\ndata", "\n"),
                (": {\"id\":1}", ""),
                ("\n", ""),
                ("\n", "data: {\"id\":1}\n\n"),
                ("data: [DONE]\r", ""),
                ("\r", "data: [DONE]\r\r"),
                // Who keeps the connection alive does not wait for an event.
                ("data: {\n", ""),
                (": ping\n", ":\n"),
                ("data: }\nevent: delta\n:", ""),
                ("\n", ":\n"),
                ("\ndata", "event: delta\ndata: {\ndata: }\n\n"),
            ],
        ),
    ] {
        let mut framed = Framed::new(framing, Arc::clone(&plan), CONTEXT, Limits::default());
        for (chunk, leaves) in steps {
            let mut out = Vec::new();
            framed.write(chunk.as_bytes(), &mut out).unwrap();
            assert_eq!(str::from_utf8(&out).unwrap(), *leaves, "{framing:?} {chunk:?}");
        }
    }
}

#[test]
fn it_is_said_at_which_byte_of_the_body() {
    for (framing, body, at) in [
        (Document, "{\"id\":x}", "no JSON at byte 6"),
        (Lines, "{}\n{\"id\":x}\n", "no JSON at byte 9"),
        (Lines, "{}\n{\"id\":\n", "no JSON at byte 9"),
        (Sequence, "\x1e{}\n\x1e[}\n", "no JSON at byte 6"),
        (Events, "data: {}\n\ndata: {\ndata: x}\n\n", "no JSON at byte 24"),
        (Events, "data: {}\n\ndata: {\n\n", "no JSON at byte 18"),
    ] {
        for size in [1, 100] {
            let mut framed = Framed::new(framing, plan(STREAM), CONTEXT, Limits::default());
            let mut chunks = body.as_bytes().chunks(size);
            let refused = chunks.find_map(|chunk| framed.write(chunk, &mut Vec::new()).err());
            assert_eq!(refused.unwrap().to_string(), at, "{body:?} by {size}");
        }
    }
}

/// What has waited for an answer stands in a chunk before the one that brings it.
#[test]
fn it_is_said_at_which_byte_what_has_waited_is_wrong() {
    let plan =
        plan_of("{ '$.t[?@.id == @.no]': public, '$.t[*].id': public, '$.t[*].no': public }", "{}");
    for (framing, before) in [(Document, ""), (Lines, "{}\n")] {
        let body = format!("{before}{{\"t\":[{{\"id\":x,\"no\":1}}]}}");
        let at = format!("no JSON at byte {}", body.find('x').unwrap());
        for size in [1, 5, 100] {
            let mut framed = Framed::new(framing, Arc::clone(&plan), CONTEXT, Limits::default());
            let mut chunks = body.as_bytes().chunks(size);
            let refused = chunks.find_map(|chunk| framed.write(chunk, &mut Vec::new()).err());
            assert_eq!(refused.unwrap().to_string(), at, "{body:?} by {size}");
        }
    }
}

/// Numbers without a pattern, the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A document, with white space where `|` may become a new line of data.
    fn document(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.below(5) {
            let name = self.one_of(&["id", "mail", "x", "\\u0069d"]);
            let value =
                self.one_of(&["1.50", "\"anna\"", "{|\"a\":|[]}", "[ 1,|2 ]", "null", "\"\\n\""]);
            let gap = self.one_of(&["", "|", " |"]);
            write!(text, "{}|\"{name}\"{gap}:{gap}{value}", if at == 0 { "" } else { "," })
                .unwrap();
        }
        let text = format!("{{{text}|}}");
        self.one_of(&[&text, &text, &text, "17", "[1,|{}]"]).to_owned()
    }
}

/// What leaves of one document that is alone.
fn alone(plan: &Arc<Plan>, document: &str) -> String {
    let mut enforcement = Enforcement::new(Arc::clone(plan), CONTEXT, Limits::default());
    let chunk = document.as_bytes();
    let mut out = Vec::new();
    enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).unwrap();
    String::from_utf8(out).unwrap()
}

fn rounds() -> impl Iterator<Item = u64> {
    let rounds = std::env::var("TAMIS_SEEDS").ok().and_then(|text| text.parse().ok());
    0..rounds.unwrap_or(400)
}

/// The oracle: the body split naively, each document through the engine on its own, and joined.
#[test]
fn documents_leave_as_if_they_were_alone() {
    let plan = plan(STREAM);
    for seed in rounds() {
        let mut dice = Dice(seed);
        let (mut lines, mut sequence) = (String::new(), String::new());
        for _ in 0..dice.below(6) {
            let line = dice.document().replace('|', dice.one_of(&["", " ", "\t"]));
            write!(lines, "{line}{}", dice.one_of(&["\n", "\r\n", "\n\n", " \n"])).unwrap();
            let text = dice.document().replace('|', dice.one_of(&["", "\n", " \r\n"]));
            writeln!(sequence, "{}{text}", dice.one_of(&["\x1e", "\x1e\x1e"])).unwrap();
        }
        let one =
            |line: &str| if line.trim().is_empty() { line.to_owned() } else { alone(&plan, line) };
        let expected: Vec<String> = lines.split('\n').map(one).collect();
        let left = everywhere(Lines, &plan, lines.as_bytes());
        assert_eq!((left.0, left.1), (expected.join("\n"), Ok(())), "seed {seed}: {lines:?}");
        let one = |text: &str| if text.is_empty() { String::new() } else { alone(&plan, text) };
        let expected: Vec<String> = sequence.split('\x1e').map(one).collect();
        let left = everywhere(Sequence, &plan, sequence.as_bytes());
        assert_eq!((left.0, left.1), (expected.join("\x1e"), Ok(())), "seed {seed}: {sequence:?}");
    }
}

/// The events of a stream, as the standard reads them: name and data of each.
fn events(stream: &str) -> Vec<(String, String)> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), None::<String>);
    // What stands behind the last line end is no line.
    let lines = stream.rsplit_once('\n').map_or("", |(lines, _)| lines);
    for line in lines.split('\n') {
        if line.is_empty() {
            if let Some(data) = data.take() {
                let name = if name.is_empty() { "message" } else { &name };
                events.push((name.to_owned(), data));
            }
            name.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => {
                data = Some(data.map_or(value.to_owned(), |before| format!("{before}\n{value}")));
            }
            _ => {}
        }
    }
    events
}

/// The oracle: a client that reads the stream gets the events that it would get of the upstream's, but
/// for those with another name, with the data of each sieved on its own.
#[test]
fn a_client_gets_the_events_that_it_may_have() {
    let plan = plan(STREAM);
    let (mut seen, mut dropped) = (0, 0);
    for seed in rounds() {
        let mut dice = Dice(seed);
        let mut stream = String::new();
        let ends = ["\n", "\r", "\r\n"];
        let mixed = dice.below(3) == 0;
        let end = dice.one_of(&ends);
        for _ in 0..dice.below(6) {
            let mut lines: Vec<String> = Vec::new();
            let gap = dice.one_of(&["", " "]);
            let data = match dice.below(6) {
                0 => "[DONE]".to_owned(),
                1 => String::new(),
                _ => dice.document(),
            };
            let joint = dice.one_of(&["", " ", "\n"]);
            lines.extend(
                data.replace('|', joint).split('\n').map(|line| format!("data:{gap}{line}")),
            );
            for _ in 0..dice.below(3) {
                let name = dice.one_of(&["delta", "done", "", "other", "a b"]);
                lines.insert(dice.below(lines.len() + 1), format!("event:{gap}{name}"));
            }
            for noise in ["id: 7", "retry: 1", ": CANARY", ":", "x", "mail: CANARY", "event"] {
                if dice.below(6) == 0 {
                    lines.insert(dice.below(lines.len() + 1), noise.to_owned());
                }
            }
            lines.push(String::new());
            if dice.below(4) == 0 {
                lines.push([":", "", "id:"][dice.below(3)].to_owned());
                lines.push(String::new());
            }
            for line in lines {
                stream.push_str(&line);
                // A line feed behind a carriage return would be no line of its own.
                let fits =
                    if line.is_empty() && stream.ends_with('\r') { &ends[1..] } else { &ends };
                stream.push_str(if mixed { dice.one_of(fits) } else { end });
            }
        }
        // It may begin with a byte order mark, and break off anywhere.
        if dice.below(4) == 0 {
            stream.insert(0, '\u{feff}');
        }
        if dice.below(4) == 0 {
            let end = dice.below(stream.len() + 1);
            stream.truncate((0..=end).rfind(|end| stream.is_char_boundary(*end)).unwrap());
        }
        let expected: Vec<(String, String)> = events(&stream)
            .into_iter()
            .filter(|(name, _)| ["message", "delta", "done", "a b"].contains(&name.as_str()))
            .map(|(name, data)| {
                let listed = data.is_empty() || data == "[DONE]";
                (name, if listed { data } else { alone(&plan, &data) })
            })
            .collect();
        dropped += events(&stream).len() - expected.len();
        seen += expected.len();
        let (left, ended, _) = everywhere(Events, &plan, stream.as_bytes());
        assert_eq!(ended, Ok(()), "seed {seed}: {stream:?}");
        assert_eq!(events(&left), expected, "seed {seed}: {stream:?} gives {left:?}");
        assert!(!left.contains("CANARY") && !left.contains("id:"), "seed {seed}: {left:?}");
        // What leaves may be read again: nothing of it is lost.
        let again = everywhere(Events, &plan, left.as_bytes());
        assert_eq!(again.1, Ok(()), "seed {seed}");
    }
    assert!(seen > 500 && dropped > 50, "{seen} {dropped}");
}

/// Streams broken by chance: however they are cut, they leave as much and are refused for the same.
#[test]
fn broken_streams_are_broken_everywhere() {
    let plan = plan(STREAM);
    let mut refused = 0;
    for seed in rounds() {
        let mut dice = Dice(seed);
        for framing in [Lines, Sequence, Events] {
            let mut body = String::new();
            for _ in 0..dice.below(14) {
                body.push_str(dice.one_of(&[
                    "data",
                    ":",
                    " ",
                    "event",
                    "delta",
                    "\n",
                    "\r",
                    "\n\n",
                    "{",
                    "}",
                    "\"id\":1",
                    "\"mail\":\"",
                    "x\"",
                    ",",
                    "[DONE]",
                    "\x1e",
                    "{}\n",
                    "data: {}\n",
                    "\x1e{}\n",
                    "\u{e9}",
                    "[",
                    "]",
                ]));
            }
            refused += usize::from(everywhere(framing, &plan, body.as_bytes()).1.is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

/// What is held does not grow with a line, nor with an event beyond what may be held of one.
#[test]
fn memory_does_not_grow_with_a_line() {
    let plan = plan(STREAM);
    for (framing, begin, end) in [
        (Lines, "{\"x\":\"", "\"}\n"),
        (Sequence, "\x1e{\"x\":\"", "\"}\n"),
        (Events, "data: {\"x\":\"", "\"}\n\n"),
        (Events, "data: {\"x\":1", "}\n\n"),
        (Events, "event: x\ndata: ", "\n\n"),
        (Events, ": ", "\n\n"),
        (Events, "x", "\n\n"),
    ] {
        let limits = Limits { candidate_bytes_max: 10_000, ..Limits::default() };
        let mut framed = Framed::new(framing, Arc::clone(&plan), CONTEXT, limits);
        let mut out = Vec::new();
        framed.write(begin.as_bytes(), &mut out).unwrap();
        let filler = if begin.ends_with('1') { "\ndata:  ".repeat(1000) } else { "x".repeat(8000) };
        for _ in 0..100 {
            out.clear();
            framed.write(filler.as_bytes(), &mut out).unwrap();
            if let super::Frames::Events(events) = &framed.frames {
                assert!(events.held_bytes() <= 10_000 + 256, "{begin} {}", events.held_bytes());
            }
        }
        framed.write(end.as_bytes(), &mut out).unwrap();
        framed.finish(&mut out).unwrap();
    }
}

/// What is held of an event is counted, and room for a large one is given back.
#[test]
fn a_held_event_is_counted() {
    let plan = plan(STREAM);
    let mut framed = Framed::new(Events, plan, CONTEXT, Limits::default());
    let mut out = Vec::new();
    let mut write = |text: &str| {
        out.clear();
        framed.write(text.as_bytes(), &mut out).unwrap();
        (framed.held_bytes(), out.len())
    };
    let (nothing, _) = write("data: {}\n\n");
    let piece = "x".repeat(100_000);
    write("data: {\"id\":\"");
    for pieces in 1..=10 {
        let (held, left) = write(&piece);
        assert!(held - nothing > pieces * 100_000, "{held}");
        assert!(held - nothing < (1 << 20) + 1000, "{held}");
        assert_eq!(left, 0);
    }
    let (held, left) = write("\"}\n\n");
    assert!(left > 1_000_000 && held < nothing + 1000, "{left} {held}");
    // One that is no longer than a chunk is not held at all.
    let (held, _) = write(&format!("event: delta\ndata: {{\"id\":\"{piece}\"}}\n\n"));
    assert!(held < nothing + 1000, "{held}");
    let (held, left) = write("data: {\"id\":\"");
    assert!(held > nothing && left == 0);
}

/// Each document is its own: a filter asks about the one that its node stands in.
#[test]
fn a_filter_asks_about_the_document_of_a_stream() {
    let text = "
tamis: 1
categories: { mail: E-mail address }
purposes: { p: { title: Test, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis: { a: { routes: { GET /x: { body: { \"$.l[?@.k == $.k].m\": mail, \"$.l[*].k\": public, $.k: public }, stream: { data: [done] }, buffer: document } } } }
rules: { p: { mail: keep } }
";
    let set = load(&[Source { name: "test.yaml".into(), text: text.into() }], &NoKeys).set.unwrap();
    let target = Target::parse("GET", "/x").unwrap();
    let ask = Ask { caller: set.caller("c"), purpose: None, host: None, target: &target };
    let plan = set.decide(&ask).unwrap().plan;
    let document = |k: u8| format!(r#"{{"l":[{{"k":1,"m":1}},{{"k":2,"m":2}}], "k":{k}}}"#);
    let left =
        [r#"{"l":[{"k":1,"m":1},{"k":2}], "k":1}"#, r#"{"l":[{"k":1},{"k":2,"m":2}], "k":2}"#];
    let [one, two] = [document(1), document(2)];
    let [one_left, two_left] = left;
    let check = |framing: Framing, body: String, expected: String| {
        let (out, ended, _) = everywhere(framing, &plan, body.as_bytes());
        assert_eq!((out, ended), (expected, Ok(())), "{framing:?}");
    };
    check(Document, format!(" {one}\n"), format!(" {one_left}\n"));
    check(
        Lines,
        format!("{one}\r\n\n {two} \n{one}"),
        format!("{one_left}\r\n\n {two_left} \n{one_left}"),
    );
    check(
        Sequence,
        format!("\x1e{one}\n\x1e{two}\n\x1e7\n"),
        format!("\x1e{one_left}\n\x1e{two_left}\n\x1enull\n"),
    );
    let split = one.replace(", ", ",\ndata: ");
    let split_left = one_left.replace(", ", ",\ndata: ");
    check(
        Events,
        format!("data: {split}\n\n: x\n\ndata: done\n\ndata:{two}\n\n"),
        format!("data: {split_left}\n\n:\n\ndata: done\n\ndata:{two_left}\n\n"),
    );
    // Each of its documents may be as long as one.
    let limits = Limits { document_bytes_max: 60, ..Limits::default() };
    let mut framed = Framed::new(Lines, Arc::clone(&plan), CONTEXT, limits);
    let mut out = Vec::new();
    let body = format!("{one}\n{two}\n{}", " ".repeat(61));
    let refusal = framed.write(body.as_bytes(), &mut out).unwrap_err();
    assert_eq!(refusal.reason, Reason::BodyTooLarge);
    assert_eq!(refusal.violation.to_string(), "too large to be held, at byte 146");
    assert_eq!(String::from_utf8(out).unwrap(), format!("{one_left}\n{two_left}\n"));
}
