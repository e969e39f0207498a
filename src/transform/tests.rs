use hmac::{KeyInit, Mac};
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::Value;

use super::{pseudonym::HmacSha256, *};

/// The root key of these tests: the bytes 0 to 31.
const ROOT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

const TODAY: Date = date(2026, 3, 14);

/// What [`apply`] gives for an unfit value.
const UNFIT: &str = "unfit";

/// Every JSON scalar on the left becomes the JSON on the right.
#[track_caller]
fn check(action: &Action, cases: &[(&str, &str)]) {
    for (json, expected) in cases {
        assert_eq!(apply(action, json), *expected, "{action} of {json}");
    }
}

fn apply(action: &Action, json: &str) -> String {
    let transform = Transform::new(action, "analytics", &root());
    let value = Scalar::read(json.as_bytes()).expect("one scalar");
    let before = b"[0,";
    let mut out = before.to_vec();
    let applied = transform.apply(&value, &Context { today: TODAY }, &mut out);
    let written = out.strip_prefix(before).expect("what stood there stays");
    let written = String::from_utf8(written.to_vec()).expect("UTF-8");
    serde_json::from_str::<Value>(&written).expect("one complete JSON value");
    match applied {
        Applied::Done => written,
        Applied::Unfit => {
            assert_eq!(written, "null", "{action} of {json}");
            UNFIT.to_owned()
        }
    }
}

fn root() -> RootKey {
    RootKey::from_hex(ROOT).expect("a key")
}

fn pseudonym(domain: Option<&str>) -> Action {
    Action::Pseudonym { domain: domain.map(str::to_owned) }
}

fn mask(keep_first: usize, keep_last: usize) -> Action {
    Action::Mask(Mask { keep_first, keep_last, keep_length: false })
}

fn mask_keeping_length(keep_first: usize, keep_last: usize) -> Action {
    Action::Mask(Mask { keep_first, keep_last, keep_length: true })
}

fn age_band(years: u32) -> Action {
    Action::Generalise(Generalisation::AgeBand(years))
}

fn coarser(precision: Precision) -> Action {
    Action::Generalise(Generalisation::Date(precision))
}

fn prefix(characters: usize) -> Action {
    Action::Generalise(Generalisation::Prefix(characters))
}

fn round(step: u64) -> Action {
    Action::Generalise(Generalisation::Round(step))
}

const IP: Action = Action::Generalise(Generalisation::Ip);

fn one_of_each() -> Vec<Action> {
    vec![
        Action::Keep,
        pseudonym(None),
        pseudonym(Some("crm")),
        age_band(10),
        coarser(Precision::Year),
        coarser(Precision::Quarter),
        coarser(Precision::Month),
        prefix(2),
        round(100),
        IP,
        mask(0, 4),
        mask_keeping_length(1, 1),
        Action::Null,
        Action::Drop,
        Action::Deny,
    ]
}

// The actions

#[test]
fn null_stays_null() {
    for action in one_of_each() {
        check(&action, &[("null", "null")]);
    }
}

#[test]
fn a_boolean_is_unfit_for_all_that_would_change_it() {
    for action in one_of_each().iter().filter(|action| (1..=3).contains(&action.rank())) {
        check(action, &[("true", UNFIT), ("false", UNFIT)]);
    }
}

#[test]
fn keep_writes_the_value_again() {
    check(
        &Action::Keep,
        &[
            ("true", "true"),
            ("false", "false"),
            ("-0.10e+1", "-0.10e+1"),
            ("1e999999999", "1e999999999"),
            (r#""""#, r#""""#),
            (r#""Zoë 🙂""#, r#""Zoë 🙂""#),
            (r#""\u005a\u006f\u00eb \ud83d\ude42 \/""#, r#""Zoë 🙂 /""#),
            (r#""\"\\\b\f\n\r\t""#, r#""\"\\\b\f\n\r\t""#),
            (r#""\u0022\u005C\u0008\u000c\u000A\u000d\u0009""#, r#""\"\\\b\f\n\r\t""#),
            (r#""\u0000\u001F\u007f\u2028""#, "\"\\u0000\\u001f\u{7f}\u{2028}\""),
        ],
    );
}

#[test]
fn what_is_withheld_leaves_nothing() {
    for action in [Action::Null, Action::Drop, Action::Deny] {
        check(&action, &[(r#""Anna""#, "null"), ("42", "null"), ("true", "null")]);
    }
}

#[test]
fn a_mask_hides_at_least_half() {
    check(
        &mask(0, 4),
        &[
            (r#""FR7630006000011234567890189""#, r#""********0189""#),
            (r#""12345678""#, r#""********5678""#),
            (r#""1234567""#, r#""********""#),
            (r#""1""#, r#""********""#),
            (r#""""#, r#""********""#),
        ],
    );
    check(
        &mask(2, 2),
        &[(r#""abcdefgh""#, r#""ab********gh""#), (r#""abcdefg""#, r#""********""#)],
    );
    check(
        &mask(5, 0),
        &[(r#""abcdefghij""#, r#""abcde********""#), (r#""abcdefghi""#, r#""********""#)],
    );
}

#[test]
fn a_mask_hides_at_least_four() {
    check(&mask(1, 0), &[(r#""abcde""#, r#""a********""#), (r#""abcd""#, r#""********""#)]);
    check(&mask(0, 1), &[(r#""abcde""#, r#""********e""#), (r#""abcd""#, r#""********""#)]);
}

#[test]
fn a_mask_tells_no_length_unless_asked() {
    check(&mask(0, 0), &[(r#""""#, r#""********""#), (r#""a much longer text""#, r#""********""#)]);
    check(
        &mask_keeping_length(1, 2),
        &[
            (r#""""#, r#""""#),
            (r#""abc""#, r#""***""#),
            (r#""abcdef""#, r#""******""#),
            (r#""abcdefg""#, r#""a****fg""#),
            (r#""abcdefghijklm""#, r#""a**********lm""#),
        ],
    );
}

#[test]
fn a_mask_that_would_show_more_than_there_is_hides_all() {
    for ends in [(usize::MAX, 0), (0, usize::MAX), (usize::MAX, usize::MAX), (usize::MAX, 1)] {
        check(&mask(ends.0, ends.1), &[(r#""abcdefgh""#, r#""********""#)]);
    }
}

#[test]
fn a_mask_counts_unicode_scalars_and_cuts_between_them() {
    check(
        &mask(1, 1),
        &[
            (r#""ééééé🙂""#, r#""é********🙂""#),
            // Seven scalars in four letters: the accents are characters of their own.
            ("\"e\u{301}e\u{301}e\u{301}e\"", r#""e********e""#),
            ("\"e\u{301}e\u{301}e\"", r#""********""#),
            // One letter, a family, is seven scalars: a man and a boy are shown of it.
            ("\"👨\u{200d}👩\u{200d}👧\u{200d}👦\"", r#""👨********👦""#),
            (r#""\ud83d\ude42 smiles""#, r#""🙂********s""#),
            (r#""\"quoted\"""#, r#""\"********\"""#),
        ],
    );
}

#[test]
fn only_strings_can_be_masked() {
    check(&mask(1, 1), &[("12345678", UNFIT), ("true", UNFIT)]);
}

#[test]
fn an_age_band_counts_the_years_full_on_new_year() {
    check(
        &age_band(10),
        &[
            (r#""2026-03-14""#, r#""0-9""#),
            (r#""2026-01-01""#, r#""0-9""#),
            (r#""2016-01-02""#, r#""0-9""#),
            (r#""2016-01-01""#, r#""10-19""#),
            (r#""1980-06-30""#, r#""40-49""#),
            (r#""1980-06-30T23:59:60.5+14:00""#, r#""40-49""#),
            (r#""1936-01-02""#, r#""80-89""#),
            (r#""1936-01-01""#, r#""90+""#),
            (r#""0000-02-29""#, r#""90+""#),
        ],
    );
}

#[test]
fn an_age_band_ends_at_89() {
    check(&age_band(1), &[(r#""1980-06-30""#, r#""45-45""#), (r#""1936-01-02""#, r#""89-89""#)]);
    check(&age_band(7), &[(r#""1936-06-30""#, r#""84-89""#), (r#""1941-06-30""#, r#""84-89""#)]);
    check(&age_band(20), &[(r#""1940-06-30""#, r#""80-89""#), (r#""1935-06-30""#, r#""90+""#)]);
    check(
        &age_band(u32::MAX),
        &[(r#""1980-06-30""#, r#""0-89""#), (r#""1900-06-30""#, r#""90+""#)],
    );
}

#[test]
fn an_age_needs_a_whole_date_that_has_been() {
    check(
        &age_band(10),
        &[
            (r#""2026-03-15""#, UNFIT),
            (r#""2027-01-01""#, UNFIT),
            (r#""1980""#, UNFIT),
            (r#""1980-06""#, UNFIT),
            ("1980", UNFIT),
        ],
    );
    check(&age_band(0), &[(r#""1980-06-30""#, UNFIT), (r#""1900-06-30""#, UNFIT)]);
}

#[test]
fn a_date_becomes_coarser() {
    let cases = [
        (r#""2026-03-14""#, [r#""2026""#, r#""2026-Q1""#, r#""2026-03""#]),
        (r#""2026-04-01""#, [r#""2026""#, r#""2026-Q2""#, r#""2026-04""#]),
        (r#""2026-09-30""#, [r#""2026""#, r#""2026-Q3""#, r#""2026-09""#]),
        (r#""2026-12-31""#, [r#""2026""#, r#""2026-Q4""#, r#""2026-12""#]),
        (r#""2024-02-29""#, [r#""2024""#, r#""2024-Q1""#, r#""2024-02""#]),
        (r#""2026-10""#, [r#""2026""#, r#""2026-Q4""#, r#""2026-10""#]),
        (r#""2026""#, [r#""2026""#; 3]),
        (r#""0079-10-24""#, [r#""0079""#, r#""0079-Q4""#, r#""0079-10""#]),
        (r#""0000""#, [r#""0000""#; 3]),
        (r#""\u0032026-03-14""#, [r#""2026""#, r#""2026-Q1""#, r#""2026-03""#]),
    ];
    for (json, [year, quarter, month]) in cases {
        check(&coarser(Precision::Year), &[(json, year)]);
        check(&coarser(Precision::Quarter), &[(json, quarter)]);
        check(&coarser(Precision::Month), &[(json, month)]);
    }
}

#[test]
fn a_date_time_is_read_as_written() {
    for time in [
        "T00:00:00Z",
        "t23:59:60z",
        "T23:59:59.999999999999999999999Z",
        "T00:00:00+14:00",
        "T23:30:00-23:59",
        "T12:00:00-00:00",
    ] {
        let json = format!(r#""2026-01-31{time}""#);
        check(&coarser(Precision::Month), &[(&json, r#""2026-01""#)]);
    }
}

#[test]
fn what_is_no_date_is_unfit() {
    for text in [
        "",
        "202",
        "20266",
        "2026-",
        "2026-3",
        "2026-00",
        "2026-13",
        "2026-Q1",
        "2026-03-",
        "2026-03-1",
        "2026-03-00",
        "2026-04-31",
        "2026-02-29",
        "2026-03-14 ",
        " 2026-03-14",
        "2026-03-14\\n",
        "20260314",
        "2026-W11-6",
        "2026-073",
        "+2026-03-14",
        "-2026-03-14",
        "14.03.2026",
        "２０２６",
        "2026-03-14T",
        "2026-03-14Z",
        "2026-03-14T12",
        "2026-03-14T12:00Z",
        "2026-03-14T12:00:00",
        "2026-03-14 12:00:00Z",
        "2026-03-14T24:00:00Z",
        "2026-03-14T12:60:00Z",
        "2026-03-14T12:00:61Z",
        "2026-03-14T12:00:00.Z",
        "2026-03-14T12:00:00,5Z",
        "2026-03-14T12:00:00+1",
        "2026-03-14T12:00:00+01",
        "2026-03-14T12:00:00+0100",
        "2026-03-14T12:00:00+24:00",
        "2026-03-14T12:00:00+01:60",
        "2026-03-14T12:00:00+01:00[Europe/Paris]",
        "2026-03-14T12:00:00ZZ",
    ] {
        let json = format!(r#""{text}""#);
        check(&coarser(Precision::Year), &[(&json, UNFIT)]);
        check(&age_band(10), &[(&json, UNFIT)]);
    }
    check(&coarser(Precision::Year), &[("2026", UNFIT)]);
}

#[test]
fn a_prefix_withholds_something() {
    check(
        &prefix(2),
        &[
            (r#""75011""#, r#""75""#),
            (r#""750""#, r#""75""#),
            (r#""75""#, UNFIT),
            (r#""7""#, UNFIT),
            (r#""""#, UNFIT),
            (r#""🙂éa""#, r#""🙂é""#),
            (r#""\n\"x""#, r#""\n\"""#),
            ("75011", UNFIT),
        ],
    );
    check(&prefix(0), &[(r#""75""#, r#""""#), (r#""""#, UNFIT)]);
    check(&prefix(usize::MAX), &[(r#""75""#, UNFIT)]);
}

#[test]
fn a_number_is_rounded_down() {
    check(
        &round(100),
        &[
            ("0", "0"),
            ("99", "0"),
            ("100", "100"),
            ("199.99", "100"),
            ("-1", "-100"),
            ("-100", "-100"),
            ("-100.000", "-100"),
            ("-100.001", "-200"),
            ("0.5", "0"),
            ("-0.5", "-100"),
            ("1.5e3", "1500"),
            ("1.5E+3", "1500"),
            ("15990e-1", "1500"),
            ("0.00000000015999e13", "1500"),
            (r#""100""#, UNFIT),
        ],
    );
    check(&round(7), &[("-1", "-7"), ("6", "0"), ("13.9", "7")]);
    check(&round(0), &[("5", UNFIT), ("0", UNFIT)]);
}

#[test]
fn zero_has_no_sign() {
    check(&round(10), &[("-0", "0"), ("-0.0", "0"), ("-0e5", "0"), ("-0.000e-5", "0")]);
}

#[test]
fn rounding_is_exact_where_floats_are_not() {
    check(
        &round(1),
        &[
            ("9007199254740993", "9007199254740993"),
            ("0.99999999999999999999999999", "0"),
            ("-1.00000000000000000000000001", "-2"),
            ("1.1e1", "11"),
            ("4.35e2", "435"),
            // The last of i128, and the first beyond it.
            ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
            (
                "-170141183460469231731687303715884105728",
                "-170141183460469231731687303715884105728",
            ),
            ("170141183460469231731687303715884105728", UNFIT),
            ("-170141183460469231731687303715884105729", UNFIT),
            ("-170141183460469231731687303715884105728.5", UNFIT),
        ],
    );
    check(
        &round(u64::MAX),
        &[
            ("18446744073709551616", "18446744073709551615"),
            ("-1", "-18446744073709551615"),
            ("-1e38", "-100000000000000000012338333659881356165"),
            // Its integer is one of i128, the multiple below is not.
            ("-170141183460469231731687303715884105728", UNFIT),
        ],
    );
}

#[test]
fn an_exponent_costs_nothing() {
    let zeros = format!("0.{}1e60", "0".repeat(58));
    check(
        &round(10),
        &[
            ("1e37", "10000000000000000000000000000000000000"),
            ("1e39", UNFIT),
            ("1e999999999", UNFIT),
            ("-1e999999999", UNFIT),
            ("1e-999999999", "0"),
            ("-1e-999999999", "-10"),
            ("0e999999999", "0"),
            ("0.0e99999999999999999999999999999999999999", "0"),
            ("1e99999999999999999999999999999999999999", UNFIT),
            ("1e-99999999999999999999999999999999999999", "0"),
            // 2 more than 2^64: what wraps would take it for 2.
            ("1e18446744073709551618", UNFIT),
            ("1e-18446744073709551618", "0"),
            ("1e00000000000000000000000000000000000002", "100"),
            (&zeros, "10"),
        ],
    );
}

#[test]
fn an_address_becomes_that_of_its_network() {
    check(
        &IP,
        &[
            (r#""203.0.113.77""#, r#""203.0.113.0""#),
            (r#""255.255.255.255""#, r#""255.255.255.0""#),
            (r#""2001:db8:85a3:1234::8a2e:370:7334""#, r#""2001:db8:85a3::""#),
            (r#""2001:0DB8:85A3:0000:0000:8A2E:0370:7334""#, r#""2001:db8:85a3::""#),
            (r#""::1""#, r#""::""#),
            (r#""::ffff:203.0.113.77""#, r#""::""#),
            (r#""203.0.113""#, UNFIT),
            (r#""203.0.113.077""#, UNFIT),
            (r#""203.0.113.256""#, UNFIT),
            (r#""203.0.113.77/24""#, UNFIT),
            (r#""203.0.113.77:80""#, UNFIT),
            (r#""[2001:db8::1]""#, UNFIT),
            (r#""fe80::1%eth0""#, UNFIT),
            (r#"" 203.0.113.77""#, UNFIT),
            (r#""localhost""#, UNFIT),
            (r#""""#, UNFIT),
            ("203.0", UNFIT),
        ],
    );
}

// Pseudonyms

/// The expected values come from Python's `hmac` and `hashlib`, with HKDF written out from
/// RFC 5869 and base32 from the bits in text:
///
/// ```python
/// prk = hmac.new(bytes(32), bytes(range(32)), hashlib.sha256).digest()
/// parts = [b'tamis/1', b'pseudonym', domain, b'1']
/// info = b''.join(len(p).to_bytes(2, 'big') + p for p in parts)
/// key = hmac.new(prk, info + b'\x01', hashlib.sha256).digest()
/// bits = ''.join(f'{b:08b}' for b in hmac.new(key, value, hashlib.sha256).digest()[:16]) + '00'
/// 'p1.' + ''.join('0123456789ABCDEFGHJKMNPQRSTVWXYZ'[int(bits[i:i+5], 2)] for i in range(0, 130, 5))
/// ```
#[test]
fn a_pseudonym_is_the_one_that_another_program_computes() {
    check(
        &pseudonym(None),
        &[
            (r#""C-1042""#, r#""p1.2M8M2C54PAZ3WH4KWMEF6VNEH8""#),
            (r#""1042""#, r#""p1.M63KM4XM3CNG8GZ419ZVW9RVPC""#),
            (r#""""#, r#""p1.KWEAQ2ATE6TSW0T4YDPEW7WSV8""#),
            (r#""Zoë 🙂""#, r#""p1.69QGXAV8BWSJ14JY923F4DD7BW""#),
            (r#""a\n\"b""#, r#""p1.3028KPP5ZQ38RQGKCW2GW58W9W""#),
        ],
    );
    check(&pseudonym(Some("crm")), &[(r#""C-1042""#, r#""p1.8B8YMWYD8HSHS13200Q3HFE3A8""#)]);
}

#[test]
fn a_pseudonym_does_not_depend_on_how_the_value_is_spelled() {
    check(
        &pseudonym(None),
        &[
            (r#""\u0043-1042""#, r#""p1.2M8M2C54PAZ3WH4KWMEF6VNEH8""#),
            (r#""Zo\u00eb \uD83D\uDE42""#, r#""p1.69QGXAV8BWSJ14JY923F4DD7BW""#),
            (r#""\u0061\u000a\u0022b""#, r#""p1.3028KPP5ZQ38RQGKCW2GW58W9W""#),
            // A number is its characters.
            ("1042", r#""p1.M63KM4XM3CNG8GZ419ZVW9RVPC""#),
        ],
    );
    assert_ne!(apply(&pseudonym(None), "1042.0"), apply(&pseudonym(None), "1042"));
}

#[test]
fn the_domain_is_the_purpose_unless_it_is_named() {
    let value = r#""C-1042""#;
    assert_eq!(apply(&pseudonym(Some("analytics")), value), apply(&pseudonym(None), value));
    assert_ne!(apply(&pseudonym(Some("crm")), value), apply(&pseudonym(None), value));
}

#[test]
fn what_looks_like_a_pseudonym_is_treated_again() {
    let once = apply(&pseudonym(None), r#""C-1042""#);
    assert_ne!(apply(&pseudonym(None), &once), once);
}

#[test]
fn a_name_joins_with_the_value() {
    let transform = Transform::new(&pseudonym(None), "analytics", &root());
    let mut out = b"{".to_vec();
    assert_eq!(transform.apply_name("C-1042", &mut out), Applied::Done);
    assert_eq!(out, br#"{"p1.2M8M2C54PAZ3WH4KWMEF6VNEH8""#);
}

#[test]
fn a_name_is_unfit_for_all_other_actions() {
    for action in one_of_each().iter().filter(|action| action.word() != "pseudonym") {
        let transform = Transform::new(action, "analytics", &root());
        let mut out = b"{".to_vec();
        assert_eq!(transform.apply_name("C-1042", &mut out), Applied::Unfit, "{action}");
        assert_eq!(out, b"{", "{action}");
    }
}

#[test]
fn without_a_key_only_a_pseudonym_is_not_ready_and_lets_nothing_out() {
    for action in one_of_each() {
        let transform = Transform::new(&action, "analytics", &NoKeys);
        assert_eq!(transform.is_ready(), action.word() != "pseudonym", "{action}");
        assert!(Transform::new(&action, "analytics", &root()).is_ready(), "{action}");
    }
    let transform = Transform::new(&pseudonym(None), "analytics", &NoKeys);
    let mut out = Vec::new();
    let value = Scalar::String("C-1042".into());
    assert_eq!(transform.apply(&value, &Context { today: TODAY }, &mut out), Applied::Unfit);
    assert_eq!(out, b"null");
    assert_eq!(transform.apply_name("C-1042", &mut out), Applied::Unfit);
    assert_eq!(out, b"null");
}

// Keys

#[test]
fn a_working_key_is_for_one_domain_and_one_epoch() {
    let key = |domain: &str, epoch| {
        root().key(Use::Pseudonym, domain, Epoch(epoch)).map(|key| *key.as_bytes())
    };
    let analytics = key("analytics", 1).expect("a key");
    // From the Python program above.
    assert_eq!(
        data_encoding::HEXLOWER.encode(&analytics),
        "452393dee5ca0ea5961c00104e55e8e469e82aeb58beddb9e955d8449755da9f"
    );
    assert_ne!(key("crm", 1), Some(analytics));
    assert_ne!(key("analytics", 2), Some(analytics));
    assert!(key(&"d".repeat(usize::from(u16::MAX)), 1).is_some());
    assert!(key(&"d".repeat(usize::from(u16::MAX) + 1), 1).is_none());
}

#[test]
fn a_root_key_is_64_digits_and_nothing_else() {
    let text = |key: Result<RootKey, KeyError>| key.map(drop);
    assert_eq!(text(RootKey::from_hex(ROOT)), Ok(()));
    assert_eq!(text(RootKey::from_hex(&format!("\n {}\r\n", ROOT.to_uppercase()))), Ok(()));
    assert_eq!(text(RootKey::from_hex("")), Err(KeyError::Length { found: 0 }));
    assert_eq!(text(RootKey::from_hex(&ROOT.repeat(2))), Err(KeyError::Length { found: 128 }));
    assert_eq!(
        text(RootKey::from_hex(&ROOT.replace("1f", "1"))),
        Err(KeyError::Length { found: 63 })
    );
    assert_eq!(text(RootKey::from_hex(&ROOT.replace("1f", "1g"))), Err(KeyError::Digit));
    assert_eq!(text(RootKey::from_hex(&ROOT.replace("0001", "0x01"))), Err(KeyError::Digit));
    assert_eq!(text(RootKey::from_hex(&ROOT.replace("1e1f", "é1f"))), Err(KeyError::Digit));
}

#[test]
fn nothing_of_a_secret_shows() {
    let key = root().key(Use::Pseudonym, "analytics", Epoch(1)).expect("a key");
    assert_eq!(format!("{key:?}"), "Key(..)");
    assert_eq!(format!("{:?}", root()), "RootKey(..)");
    let transform = Transform::new(&pseudonym(None), "analytics", &root());
    assert_eq!(format!("{transform:?}"), "Transform(..)");
    for (json, shown) in [
        ("null", "Scalar::Null"),
        ("true", "Scalar::Bool(..)"),
        ("42", "Scalar::Number(..)"),
        (r#""Anna""#, "Scalar::String(..)"),
    ] {
        assert_eq!(format!("{:?}", Scalar::read(json.as_bytes()).expect("a scalar")), shown);
    }
    for error in [KeyError::Length { found: 3 }, KeyError::Digit] {
        let message = error.to_string();
        assert!(message.starts_with("a key is 64 hexadecimal digits"), "{message}");
    }
}

/// RFC 4231, the seven cases; the fifth gives the first 128 bits only.
#[test]
fn hmac_is_that_of_rfc_4231() {
    let ascending: Vec<u8> = (1..=25).collect();
    let cases: [(&[u8], &[u8], &str); 7] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            &ascending,
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        let mac = HmacSha256::new_from_slice(key).expect("any length will do");
        let hash = data_encoding::HEXLOWER.encode(&mac.chain_update(data).finalize().into_bytes());
        assert!(hash.starts_with(expected), "{hash} {expected}");
    }
}

/// RFC 5869, appendix A.1 to A.3: the cases with SHA-256.
#[test]
fn hkdf_is_that_of_rfc_5869() {
    let bytes = |first: u8, last: u8| (first..=last).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            Some(bytes(0x00, 0x0c)),
            bytes(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(0x00, 0x4f),
            Some(bytes(0x60, 0xaf)),
            bytes(0xb0, 0xff),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            None,
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (secret, salt, info, expected) in cases {
        let mut derived = vec![0; expected.len() / 2];
        hkdf::Hkdf::<sha2::Sha256>::new(salt.as_deref(), &secret)
            .expand(&info, &mut derived)
            .expect("a length that HKDF can give");
        assert_eq!(data_encoding::HEXLOWER.encode(&derived), expected);
    }
}

// Scalars and words

#[test]
fn a_scalar_is_read_decoded() {
    for (json, text) in [
        (r#""""#, ""),
        (r#""Anna""#, "Anna"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u00e9\u00C9""#, "éÉ"),
        (r#""\ud83d\ude42""#, "🙂"),
        (r#""\ud83d\ude42\ud83d\ude42""#, "🙂🙂"),
        (r#""\\""#, "\\"),
    ] {
        assert!(Scalar::read(json.as_bytes()) == Some(Scalar::String(text.into())), "{json}");
    }
    assert!(Scalar::read(b"-1.50e+3") == Some(Scalar::Number("-1.50e+3")));
}

#[test]
fn a_string_without_escapes_is_borrowed() {
    let borrowed = |raw: &[u8]| {
        matches!(Scalar::read(raw), Some(Scalar::String(std::borrow::Cow::Borrowed(_))))
    };
    assert!(borrowed("\"Zoë\"".as_bytes()));
    assert!(!borrowed(br#""Zo\u00eb""#));
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    for json in [
        r#""\ud83d""#,
        r#""\ude42""#,
        r#""\ud83d \ude42""#,
        r#""\ud83d\n""#,
        r#""\ud83d\u0041""#,
        r#""\ude42\ud83d""#,
        r#""\ud83d\ud83d\ude42""#,
    ] {
        assert!(Scalar::read(json.as_bytes()).is_none(), "{json}");
    }
}

/// Valid JSON is the caller's promise; without it nothing is made up and nothing panics.
#[test]
fn what_is_no_scalar_is_not_read() {
    for raw in [
        &b""[..],
        b"\"",
        b"nul",
        b"nulll",
        b"True",
        b"{}",
        b"[1]",
        b" 1",
        b"'a'",
        b"\"\xff\"",
        b"\"\\x\"",
        b"\"\\\"",
        b"1\xff",
    ] {
        assert!(Scalar::read(raw).is_none(), "{raw:?}");
    }
}

#[test]
fn ranks_rise_from_keep_to_deny() {
    let mut words: Vec<&str> = Vec::new();
    let mut actions = one_of_each();
    actions.reverse();
    actions.sort_by_key(Action::rank);
    for action in &actions {
        if !words.contains(&action.word()) {
            words.push(action.word());
        }
    }
    assert_eq!(words, ["keep", "pseudonym", "generalise", "mask", "null", "drop", "deny"]);
}

#[test]
fn an_action_is_shown_as_a_policy_spells_it() {
    for (action, shown) in [
        (Action::Keep, "keep"),
        (pseudonym(None), "pseudonym"),
        (pseudonym(Some("crm")), "{ pseudonym: { domain: crm } }"),
        (pseudonym(Some("crm.eu-1")), "{ pseudonym: { domain: crm.eu-1 } }"),
        (pseudonym(Some("No")), r#"{ pseudonym: { domain: "No" } }"#),
        (pseudonym(Some("1e3")), r#"{ pseudonym: { domain: "1e3" } }"#),
        (pseudonym(Some("a: b\"")), r#"{ pseudonym: { domain: "a: b\"" } }"#),
        (pseudonym(Some("")), r#"{ pseudonym: { domain: "" } }"#),
        (age_band(10), "{ generalise: { age_band: 10 } }"),
        (coarser(Precision::Year), "{ generalise: { date: year } }"),
        (coarser(Precision::Quarter), "{ generalise: { date: quarter } }"),
        (coarser(Precision::Month), "{ generalise: { date: month } }"),
        (prefix(2), "{ generalise: { prefix: 2 } }"),
        (round(100), "{ generalise: { round: 100 } }"),
        (IP, "{ generalise: ip }"),
        (mask(0, 0), "mask"),
        (mask(0, 4), "{ mask: { keep_last: 4 } }"),
        (mask(2, 4), "{ mask: { keep_first: 2, keep_last: 4 } }"),
        (mask_keeping_length(0, 0), "{ mask: { length: keep } }"),
        (mask_keeping_length(1, 0), "{ mask: { keep_first: 1, length: keep } }"),
        (Action::Null, "null"),
        (Action::Drop, "drop"),
        (Action::Deny, "deny"),
    ] {
        assert_eq!(action.to_string(), shown);
    }
}

// Properties

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

fn decoded(json: &str) -> String {
    serde_json::from_str(json).expect("a JSON string")
}

/// An action with any parameters, the senseless ones included.
fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        proptest::sample::select(one_of_each()),
        any::<u32>().prop_map(age_band),
        any::<usize>().prop_map(prefix),
        any::<u64>().prop_map(round),
        (any::<usize>(), any::<usize>()).prop_map(|(first, last)| mask(first, last)),
        (0..9_usize, 0..9_usize).prop_map(|(first, last)| mask_keeping_length(first, last)),
    ]
}

fn any_scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|bool| bool.to_string()),
        r"-?(0|[1-9][0-9]{0,45})(\.[0-9]{1,45})?([eE][+-]?[0-9]{1,25})?",
        any::<String>().prop_map(|text| json_string(&text)),
        "[0-9]{4}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z)?"
            .prop_map(|text| json_string(&text)),
    ]
}

proptest! {
    /// `apply` checks that what is written is one JSON value, and `null` if unfit.
    #[test]
    fn any_action_writes_one_value_for_any_scalar(action in any_action(), json in any_scalar()) {
        apply(&action, &json);
    }

    #[test]
    fn keep_keeps(text in any::<String>()) {
        prop_assert_eq!(decoded(&apply(&Action::Keep, &json_string(&text))), text);
    }

    #[test]
    fn a_mask_never_shows_more_than_half_nor_hides_less_than_four(
        text in any::<String>(), first in 0..9_usize, last in 0..9_usize,
    ) {
        let length = text.chars().count();
        let masked = decoded(&apply(&mask(first, last), &json_string(&text)));
        let shown = masked.chars().count() - 8;
        prop_assert!(shown == 0 || shown == first + last);
        prop_assert!(shown == 0 || (2 * shown <= length && length - shown >= 4));
    }

    #[test]
    fn a_mask_does_not_depend_on_what_it_hides(
        text in "[^*]{0,24}", first in 0..9_usize, last in 0..9_usize, keep_length: bool,
    ) {
        let action = Action::Mask(Mask { keep_first: first, keep_last: last, keep_length });
        let masked = apply(&action, &json_string(&text));
        let length = text.chars().count();
        let shows = decoded(&masked).chars().any(|c| c != '*');
        let other: String = text
            .chars()
            .enumerate()
            .map(|(at, c)| if shows && (at < first || at + last >= length) { c } else { '?' })
            .collect();
        prop_assert_eq!(apply(&action, &json_string(&other)), masked);
    }

    #[test]
    fn a_pseudonym_is_31_bytes_that_repeat_nothing(text in any::<String>()) {
        let json = apply(&pseudonym(None), &json_string(&text));
        prop_assert_eq!(json.len(), 31);
        let symbols = json.strip_prefix("\"p1.").and_then(|rest| rest.strip_suffix('"')).unwrap();
        let base32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        prop_assert!(symbols.chars().all(|symbol| base32.contains(symbol)));
        let last = base32.find(symbols.chars().last().unwrap()).unwrap();
        prop_assert_eq!(last % 4, 0, "two zero bits end it");
    }

    #[test]
    fn different_values_have_different_pseudonyms(one: String, other: String) {
        let [one_json, other_json] = [&one, &other].map(|text| json_string(text));
        let same = apply(&pseudonym(None), &one_json) == apply(&pseudonym(None), &other_json);
        prop_assert_eq!(same, one == other);
    }

    /// The oracle: all digits as one integer, which a power of ten scales.
    #[test]
    fn rounding_agrees_with_integers(
        negative: bool,
        whole in "0|[1-9][0-9]{0,8}",
        fraction in "[0-9]{0,9}",
        exponent in -18..=18_i32,
        step in 1..=1_000_000_u64,
    ) {
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let json = format!("{sign}{whole}{point}{fraction}e{exponent}");

        let digits: i128 = format!("{sign}{whole}{fraction}").parse().unwrap();
        let scale = exponent - i32::try_from(fraction.len()).unwrap();
        let power = 10_i128.pow(scale.unsigned_abs());
        let floor = if scale < 0 { digits.div_euclid(power) } else { digits * power };
        let expected = floor - floor.rem_euclid(i128::from(step));

        prop_assert_eq!(apply(&round(step), &json), expected.to_string());
    }

    /// The oracle: jiff's calendar, asked for the number of full years.
    #[test]
    fn an_age_band_agrees_with_the_calendar(days in 0..60_000_i64, years in 1..=100_u32) {
        let born = TODAY.checked_sub(jiff::Span::new().days(days)).unwrap();
        let new_year = date(TODAY.year(), 1, 1);
        let age = born.until((jiff::Unit::Year, new_year)).unwrap().get_years().max(0);
        let age = u32::try_from(age).unwrap();
        let expected = if age >= 90 {
            "\"90+\"".to_owned()
        } else {
            format!("\"{}-{}\"", age - age % years, (age - age % years + years - 1).min(89))
        };
        prop_assert_eq!(apply(&age_band(years), &format!("\"{born}\"")), expected);
    }
}

/// By AES-SIV of pyca/cryptography, with the key that the scheme of all keys gives.
#[test]
fn a_sealed_validator_is_the_one_that_another_program_computes() {
    let sealer = Sealer::new(&root());
    let text = sealer.seal(b"\"v17\"", &["support", "desk"]).unwrap();
    assert_eq!(text, "v1.axnbJjnV5Egy-j9YQqQT8FYoJ_F3gMwLwDSAirYWFyGQpfUF7Cud8zrQmDJ7CxXS");
    let long = format!("W/\"{}\"", "x".repeat(40));
    let text = sealer.seal(long.as_bytes(), &["support", ""]).unwrap();
    assert_eq!(
        text,
        "v1.6LiEcG9X2TARShxXIow1TDylYIBJ3HFBhIMxF0EhPj7HRJkc0QJkcOt99TgrW0o8zUJ1kw7jbglzNlKabTRQjWVaid5t_U38R6Oa6-oRgiQ"
    );
}

/// Of the text no character can be changed, of the bonds none moved.
#[test]
fn a_validator_opens_only_as_it_was_sealed() {
    let sealer = Sealer::new(&root());
    let bonds = ["ab", "c", ""];
    for length in [0, 1, 30, 31, 32, 255] {
        let validator = vec![b'x'; length];
        let text = sealer.seal(&validator, &bonds).unwrap();
        assert_eq!(sealer.open(&text, &bonds), Some(validator), "{length}");
        let bytes = (length + 1).next_multiple_of(32) + 16;
        assert_eq!(text.len(), 3 + (bytes * 4).div_ceil(3), "{length}");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sealer.open(&changed, &bonds), None, "{length} {at}");
            assert_eq!(sealer.open(text.get(..at).unwrap(), &bonds), None, "{length} {at}");
        }
        for others in [&["a", "bc", ""][..], &["ab", "c"], &["", "ab", "c"], &[], &["abc", "", ""]]
        {
            assert_eq!(sealer.open(&text, others), None, "{others:?}");
        }
    }
    assert_eq!(sealer.seal(&[b'x'; 256], &bonds), None);
    let none = Sealer::new(&NoKeys);
    assert!(!none.is_ready() && sealer.is_ready());
    let text = sealer.seal(b"x", &bonds).unwrap();
    assert_eq!((none.seal(b"x", &bonds), none.open(&text, &bonds)), (None, None));
    assert_eq!(format!("{sealer:?}"), "Sealer(..)");
}

/// All else is the same on any day, so that what was answered on one still holds on another.
#[test]
fn only_an_age_asks_the_day() {
    let actions = [
        age_band(10),
        Action::Generalise(Generalisation::Date(Precision::Year)),
        Action::Generalise(Generalisation::Ip),
        Action::Keep,
        pseudonym(None),
        mask(0, 0),
        Action::Null,
        Action::Drop,
    ];
    for (index, action) in actions.iter().enumerate() {
        let transform = Transform::new(action, "analytics", &root());
        assert_eq!(transform.asks_the_day(), index == 0, "{action}");
        let on = |day| {
            let mut out = Vec::new();
            let value = Scalar::String("1984-05-12".into());
            let applied = transform.apply(&value, &Context { today: day }, &mut out);
            (applied, out)
        };
        assert_eq!(on(date(2026, 3, 14)) == on(date(2036, 3, 14)), index != 0, "{action}");
    }
}
