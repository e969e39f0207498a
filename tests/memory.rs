//! Memory does not grow with the body: a heap profiler counts every byte, so this is a binary of its own,
//! without a test harness, which would allocate beside it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they measured"
)]

use std::{ops::Range, sync::Arc};

use tamis::{
    enforce::Enforcement,
    frame::Framed,
    json::{Limits, Sink},
    policy::{Ask, Framing, Plan, Source, Target, load},
    transform::{Context, RootKey},
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const POLICY: &str = "
tamis: 1
categories: { id: Number, name: Name, notes: Notes, odd: Anything }
purposes: { p: { title: Test, legal_basis: contract } }
callers: { c: { identify: { api_key: k }, purposes: [p] } }
records:
  row:
    fields:
      $.id: id
      $.name: name
      $.notes: notes
      $.tags: public
      '$.odd.*': { category: odd, names: id }
    embedded: { $.letter: row_in_letter }
  row_in_letter: { fields: { $.id: id, $.name: name } }
apis: { a: { routes: { GET /x: { body: { '$[*]': row } } } } }
rules: { p: { id: pseudonym, name: { mask: { keep_first: 1 } }, odd: keep } }
";

const ROW: &str = r#"{"id":"C-1042", "name":"Anna Keller","notes":["called",{"by":"phone"}],"tags":["a",1.50,null],"x":{"y":[1,2,3]},"odd":{"a":1}},
"#;

/// Counts what leaves, and forgets it.
#[derive(Default)]
struct Counted(u64);

impl Sink for Counted {
    fn pass(&mut self, range: Range<usize>) {
        self.0 += range.len() as u64;
    }
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

fn plan() -> Arc<Plan> {
    let source = Source { name: "memory.yaml".to_owned(), text: POLICY.to_owned() };
    let set = load(&[source], &RootKey::from_hex(&"07".repeat(32)).unwrap()).set.unwrap();
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: Some("c"), purpose: None, host: None, target: &target }).unwrap().plan
}

/// The peak of the heap while a document goes through: `before`, `middle` until `length`, `after`.
fn peak(plan: &Arc<Plan>, before: &str, middle: &str, after: &str, length: u64) -> usize {
    let chunk = middle.repeat((64 << 10) / middle.len());
    let rounds = length.div_ceil(chunk.len() as u64);
    let profiler = dhat::Profiler::builder().testing().build();
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(Arc::clone(plan), context, Limits::default());
    let mut sink = Counted::default();
    enforcement.write(before.as_bytes(), &mut sink).unwrap();
    for _ in 0..rounds {
        enforcement.write(chunk.as_bytes(), &mut sink).unwrap();
    }
    enforcement.write(after.as_bytes(), &mut sink).unwrap();
    enforcement.finish(&mut sink).unwrap();
    assert!(sink.0 > 0, "something left");
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    peak
}

/// The same of a stream.
fn stream_peak(
    plan: &Arc<Plan>,
    framing: Framing,
    [before, middle, after]: [&str; 3],
    length: u64,
) -> usize {
    let chunk = middle.repeat((64 << 10) / middle.len());
    let rounds = length.div_ceil(chunk.len() as u64);
    let mut out = Vec::with_capacity(256 << 10);
    let profiler = dhat::Profiler::builder().testing().build();
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    let mut framed = Framed::new(framing, Arc::clone(plan), context, Limits::default());
    framed.write(before.as_bytes(), &mut out).unwrap();
    for _ in 0..rounds {
        out.clear();
        framed.write(chunk.as_bytes(), &mut out).unwrap();
    }
    framed.write(after.as_bytes(), &mut out).unwrap();
    framed.finish(&mut out).unwrap();
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    peak
}

const NAME: &str = "a_gibibyte_takes_no_more_memory_than_a_mebibyte";

/// What a harness does: lists the test, or runs it unless a filter is for others.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("{NAME}: test");
    } else if filters.peek().is_none() || filters.any(|filter| NAME.contains(filter.as_str())) {
        a_gibibyte_takes_no_more_memory_than_a_mebibyte();
        println!("test {NAME} ... ok");
    }
}

fn a_gibibyte_takes_no_more_memory_than_a_mebibyte() {
    let plan = plan();
    let limits = Limits::default();
    let allowed = (1 << 20)
        + limits.name_bytes_max
        + limits.gap_bytes_max
        + 2 * limits.value_bytes_max
        + 64 * limits.depth_max;
    let end = format!("{}]", ROW.trim_end().trim_end_matches(','));
    let small = peak(&plan, "[", ROW, &end, 1 << 20);
    let large = peak(&plan, "[", ROW, &end, 1 << 30);
    println!("peak: {small} bytes for 1 MiB, {large} for 1 GiB, {allowed} allowed");
    assert_eq!(small, large);
    assert!(large < allowed);

    // What is endless in one place: a kept, a masked and a dropped string, numbers, names, white space.
    for (before, middle, after) in [
        (r#"[{"tags":""#, "xé", r#""}]"#),
        (r#"[{"name":""#, "x\\u0061", r#""}]"#),
        (r#"[{"notes":""#, "xxxx", r#""}]"#),
        (r#"[{"tags":"#, "1234", "}]"),
        (r#"[{"id":"#, "1234", "}]"),
        (r#"[{"odd":{""#, "name", r#"":1}}]"#),
        (r#"[{"x":{""#, "name", r#"":1}}]"#),
        (r#"[{"odd":{"a":"#, " \t\n ", "1}}]"),
        (r#"[{"odd":{"a""#, "    ", ":1}}]"),
        ("[", "    ", "{}]"),
        (r#"[{"notes":["#, "[[[[]]]],", "0]}]"),
        (r#"[{"odd":{"#, r#""\u0061":"\ud83d\ude00","#, r#""a":1}}]"#),
    ] {
        let small = peak(&plan, before, middle, after, 1 << 20);
        let large = peak(&plan, before, middle, after, 1 << 24);
        assert_eq!(small, large, "{before}{middle}..");
        assert!(large < allowed, "{before}{middle}..: {large}");
    }

    // Streams of many documents, and one that is endless in one place.
    let row = ROW.trim_end().trim_end_matches(',');
    let letter = r#"{"letter":"{\"id\":\"C-1042\",\"name\":\"Anna\",\"x\":[]}"}"#;
    let rows = format!("[{row},{letter}]");
    for (framing, before, after) in [
        (Framing::Lines, "", "\n"),
        (Framing::Sequence, "\x1e", "\n"),
        (Framing::Events, "id: 7\nevent: x\ndata: 1\n\n: x\n\ndata: ", "\n\n"),
    ] {
        let document = format!("{before}{rows}{after}");
        let begins = format!("{before}[{{\"tags\":\"");
        let ends = format!("\"}}]{after}");
        for pieces in [["", &*document, ""], [&*begins, "xé", &*ends]] {
            let small = stream_peak(&plan, framing, pieces, 1 << 20);
            let large = stream_peak(&plan, framing, pieces, 1 << 24);
            assert_eq!(small, large, "{framing:?} {pieces:?}");
            assert!(large < allowed, "{framing:?}: {large}");
        }
    }
}
