//! How fast a body goes through a plan, as ratios against other work in the same run.
//!
//! Every figure is the median of interleaved rounds: the machine may be shared, but then all of a
//! round suffers alike. `benches/README.md` says how to read it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench stops where something is wrong, prints, and reads the clock"
)]

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Instant};

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::{QueryRef, js_path_process, queryable::Queryable},
};
use serde_json::Value;
use tamis::{
    enforce::Enforcement,
    json::{Copied, Limits},
    policy::{Ask, Plan, Source, Target, load},
    transform::{Context, RootKey},
};

const ROUNDS: usize = 15;

const MEMCPY: &str = "memcpy, 8 MiB";
const FIVE: &str = "5 rules, 8 MiB";
const KEPT: &str = "5 fields kept, the rest dropped, 8 MiB";
const HUNDRED: &str = "100 rules, 8 MiB";
const TEN_THOUSAND: &str = "10,000 rules, 8 MiB";
const FIVE_SMALL: &str = "5 rules, 16 KiB";
const VALUES_SMALL: &str = "serde_json + jsonpath-rust, 16 KiB";

fn main() {
    let small = customers(16 << 10);
    let large = customers(8 << 20);
    let five = plan(&redacting(5));
    let hundred = plan(&redacting(100));
    let ten_thousand = plan(&redacting(10_000));
    let kept = plan(KEEPING);
    let paths = FIELDS.map(|field| parse_json_path(&format!("$[*].{field}")).unwrap());
    let value = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let redacted = value(&with_values(&paths, &small));
    for plan in [&five, &hundred, &ten_thousand] {
        assert_eq!(value(&sieve(plan, &small)), redacted, "all do the same work");
    }

    let mut copy = Vec::new();
    let mut work: Vec<Work<'_>> = vec![
        (MEMCPY, large.len(), Box::new(|| copied(&large, &mut copy))),
        (FIVE, large.len(), Box::new(|| sieve(&five, &large).len())),
        (KEPT, large.len(), Box::new(|| sieve(&kept, &large).len())),
        (HUNDRED, large.len(), Box::new(|| sieve(&hundred, &large).len())),
        (TEN_THOUSAND, large.len(), Box::new(|| sieve(&ten_thousand, &large).len())),
        (FIVE_SMALL, small.len(), Box::new(|| sieve(&five, &small).len())),
        (VALUES_SMALL, small.len(), Box::new(|| with_values(&paths, &small).len())),
    ];
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); work.len()];
    for _ in 0..ROUNDS {
        for ((_, bytes, run), rates) in work.iter_mut().zip(&mut rates) {
            // Enough repetitions that the grain of the clock does not matter.
            let times = (4 << 20) / *bytes + 1;
            let start = Instant::now();
            for _ in 0..times {
                black_box(run());
            }
            rates.push((*bytes * times) as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
    }
    let median = |name: &str| {
        let at = work.iter().position(|(other, ..)| *other == name).unwrap();
        let mut rates = rates[at].clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };

    println!("median of {ROUNDS} interleaved rounds, one thread, portable kernel\n");
    for (name, ..) in &work {
        println!("{name:40} {:8.3} GB/s", median(name));
    }
    println!();
    for (text, over, under, floor) in [
        ("5 rules, of memcpy", FIVE, MEMCPY, None),
        ("5 fields kept, of memcpy", KEPT, MEMCPY, None),
        ("5 rules, times serde_json + jsonpath-rust", FIVE_SMALL, VALUES_SMALL, Some(8.0)),
        ("10,000 rules, of 100 rules", TEN_THOUSAND, HUNDRED, Some(0.9)),
    ] {
        let ratio = median(over) / median(under);
        let verdict = match floor {
            None => String::new(),
            Some(floor) if ratio >= floor => format!("   floor {floor}: reached"),
            Some(floor) => format!("   floor {floor}: MISSED"),
        };
        println!("{text:44} {ratio:8.3}{verdict}");
    }
}

/// Its name, the bytes of its body, and one run, which gives the bytes that came out.
type Work<'a> = (&'static str, usize, Box<dyn FnMut() -> usize + 'a>);

/// The five fields that are redacted.
const FIELDS: [&str; 5] = ["first_name", "last_name", "email", "iban", "birth_date"];

/// Rules that null the five fields and keep everything else; those above five are for fields that no
/// record has, at every level of one.
fn redacting(rules: usize) -> String {
    let others = (FIELDS.len()..rules).map(|n| match n % 3 {
        0 => format!("field_{n}"),
        1 => format!("address.part_{n}"),
        _ => format!("orders[*].detail_{n}"),
    });
    let mut policy = HEAD.to_owned();
    for field in FIELDS.map(str::to_owned).into_iter().chain(others) {
        writeln!(policy, "          '$[*].{field}': hidden").unwrap();
    }
    policy + "rules: { p: { hidden: 'null' } }\n"
}

const HEAD: &str = "tamis: 1
categories: { hidden: Hidden }
purposes: { p: { title: Bench, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  a:
    unclassified: { keep: { because: a bench } }
    routes:
      GET /x:
        body:
";

/// What policies mostly look like: a few fields are kept, and the rest goes because nobody classified it.
const KEEPING: &str = "tamis: 1
categories: { seen: Seen }
purposes: { p: { title: Bench, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
apis:
  a:
    routes:
      GET /x:
        body:
          '$[*].id': seen
          '$[*].status': public
          '$[*].email': seen
          '$[*].address.country': public
          '$[*].orders[*].sku': seen
rules: { p: { seen: keep } }
";

fn plan(policy: &str) -> Arc<Plan> {
    let source = Source { name: "bench.yaml".to_owned(), text: policy.to_owned() };
    let set = load(&[source], &RootKey::from_hex(&"07".repeat(32)).unwrap()).set.unwrap();
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: Some("c"), purpose: None, host: None, target: &target }).unwrap().plan
}

/// As the proxy does it: in chunks of 16 KiB, into one buffer.
fn sieve(plan: &Arc<Plan>, body: &[u8]) -> Vec<u8> {
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(Arc::clone(plan), context, Limits::default());
    let mut out = Vec::with_capacity(body.len());
    for chunk in body.chunks(16 << 10) {
        enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    }
    enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).unwrap();
    out
}

/// The usual way: the document as values, one path after the other, printed again.
fn with_values(paths: &[JpQuery], body: &[u8]) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(body).unwrap();
    for path in paths {
        let found: Vec<String> =
            js_path_process(path, &document).unwrap().into_iter().map(QueryRef::path).collect();
        for place in found {
            *document.reference_mut(place).unwrap() = Value::Null;
        }
    }
    serde_json::to_vec(&document).unwrap()
}

fn copied(body: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    out.extend_from_slice(body);
    black_box(out).len()
}

/// An array of dense customer records, some 1.2 KB each, of at least `bytes`.
fn customers(bytes: usize) -> Vec<u8> {
    let mut out = String::from("[");
    let mut n = 0;
    while out.len() < bytes {
        if n > 0 {
            out.push(',');
        }
        write!(
            out,
            r#"{{"id":"C-{n:06}","first_name":"Anaïs","last_name":"Lefèvre-{n}","birth_date":"19{:02}-0{}-1{}","email":"anais.lefevre{n}@example.org","phones":["+33 6 12 34 {:02} 78","+33 1 98 76 54 {:02}"],"address":{{"street":"{} rue des Lilas","postcode":"690{:02}","city":"Lyon","country":"FR","floor":{}}},"iban":"FR76300060000112345678{:05}","status":"active","vip":{},"score":{}.{},"tags":["newsletter","b2c","loyal"],"orders":["#,
            n % 100,
            n % 9 + 1,
            n % 10,
            n % 100,
            n % 89,
            n % 300,
            n % 100,
            n % 7,
            n % 99_999,
            n % 5 == 0,
            n % 1000,
            n % 100
        )
        .unwrap();
        for order in 0..3 {
            if order > 0 {
                out.push(',');
            }
            write!(
                out,
                r#"{{"sku":"A{order}-{n}","at":"2026-10-0{}T08:15:30Z","price":{}.50,"quantity":{},"gift":null,"items":[{{"ean":"40063{:08}","weight":{}}}]}}"#,
                order + 1,
                n % 500,
                order + 1,
                n * 7 % 99_999_999,
                n % 40
            )
            .unwrap();
        }
        out.push_str(r#"],"notes":"Asked to be called back after six; prefers \"Anaïs\" over Madame.","preferences":{"language":"fr","newsletter":true,"channels":{"email":true,"sms":false,"post":null}}}"#);
        n += 1;
    }
    out.push(']');
    out.into_bytes()
}
