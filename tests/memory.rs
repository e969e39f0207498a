//! Memory does not grow with the body: a heap profiler counts every byte, so this is a binary of its own,
//! without a test harness, which would allocate beside it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they measured"
)]

use std::{iter, ops::Range, sync::Arc};

use tamis::{
    access::Reason,
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

fn plan(policy: &str) -> Arc<Plan> {
    let source = Source { name: "memory.yaml".to_owned(), text: policy.to_owned() };
    let set = load(&[source], &RootKey::from_hex(&"07".repeat(32)).unwrap()).set.unwrap();
    let target = Target::parse("GET", "/x").unwrap();
    set.decide(&Ask { caller: set.caller("c"), purpose: None, host: None, target: &target })
        .unwrap()
        .plan
}

/// The peak of the heap while a document goes through: `before`, `middle` until `length`, `after`.
fn peak(plan: &Arc<Plan>, before: &str, middle: &str, after: &str, length: u64) -> usize {
    let (peak, left) = try_peak(plan, [before, middle, after], length);
    assert!(left.unwrap() > 0, "something left");
    peak
}

/// The same, and how much left, or why it was refused.
fn try_peak(
    plan: &Arc<Plan>,
    [before, middle, after]: [&str; 3],
    length: u64,
) -> (usize, Result<u64, Reason>) {
    let chunk = middle.repeat(((64 << 10) / middle.len()).max(1));
    let rounds = length.div_ceil(chunk.len() as u64);
    let profiler = dhat::Profiler::builder().testing().build();
    let context = Context { today: jiff::civil::date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(Arc::clone(plan), context, Limits::default());
    let mut sink = Counted::default();
    let pieces = iter::once(before).chain((0..rounds).map(|_| &*chunk)).chain([after]);
    let pieces = pieces.flat_map(|piece| piece.as_bytes().chunks(64 << 10));
    let mut done = Ok(());
    for piece in pieces {
        done = done.and_then(|()| enforcement.write(piece, &mut sink));
    }
    let done = done.and_then(|()| enforcement.finish(&mut sink));
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    (peak, done.map(|()| sink.0).map_err(|refusal| refusal.reason))
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

/// A test, and its name.
type Test = (&'static str, fn());

const TESTS: [Test; 3] = [
    (
        "a_gibibyte_takes_no_more_memory_than_a_mebibyte",
        a_gibibyte_takes_no_more_memory_than_a_mebibyte,
    ),
    ("what_waits_takes_what_the_limits_say", what_waits_takes_what_the_limits_say),
    (
        "states_that_are_made_on_the_way_take_no_more_for_a_longer_document",
        states_that_are_made_on_the_way_take_no_more_for_a_longer_document,
    ),
];

/// What a harness does: lists the tests, or runs those that no filter leaves out.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let lists = arguments.iter().any(|argument| argument == "--list");
    for (name, test) in TESTS {
        if lists {
            println!("{name}: test");
        } else if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
        {
            test();
            println!("test {name} ... ok");
        }
    }
}

/// What a body takes that streams: the sum of the limits, and some for what is not counted in bytes.
fn streaming() -> usize {
    let limits = Limits::default();
    (1 << 20)
        + limits.name_bytes_max
        + limits.gap_bytes_max
        + 2 * limits.value_bytes_max
        + 64 * limits.depth_max
}

fn a_gibibyte_takes_no_more_memory_than_a_mebibyte() {
    let plan = plan(POLICY);
    let allowed = streaming();
    let letter = r#"{"letter":"{\"id\":\"C-1042\",\"name\":\"Anna\",\"x\":[]}"}"#;
    // A thread has room for the tokens of a window, in a document and in one inside of it, whatever comes.
    let once = peak(&plan, "[", &format!("{letter},"), "{}]", 1 << 12);
    assert!(once < allowed);

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
    let rows = format!("[{row},{letter}]");
    for (framing, before, after) in [
        (Framing::Lines, "", "\n"),
        (Framing::Sequence, "\x1e", "\n"),
        (Framing::Events, "id: 7\nevent: x\ndata: 1\n\n: x\n\ndata: ", "\n\n"),
    ] {
        // An event is held to its end, and so is what leaves of it.
        let held =
            if framing == Framing::Events { Limits::default().candidate_bytes_max } else { 0 };
        let allowed = allowed + 2 * held;
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

/// A policy with one route, whose body is these paths and whose elements keep what is in them.
fn asking(paths: &str, buffer: &str) -> Arc<Plan> {
    let body = format!("{{ {paths} }}{buffer}");
    plan(&format!(
        "
tamis: 1
categories: {{ x: Anything }}
purposes: {{ p: {{ title: Test, legal_basis: contract }} }}
callers: {{ c: {{ identify: {{ api_key: k }}, purposes: [p] }} }}
apis: {{ a: {{ unclassified: {{ keep: {{ because: a test }} }}, routes: {{ GET /x: {{ body: {body} }} }} }} }}
rules: {{ p: {{ x: keep }} }}
"
    ))
}

/// How often a filter holds what it is asked of, at most, while it is asked.
const ASKED: usize = 16;

fn what_waits_takes_what_the_limits_say() {
    let limits = Limits::default();
    let waits = streaming() + limits.candidate_bytes_max + limits.candidate_bytes_max / 2;
    let asked = waits + ASKED * limits.candidate_bytes_max;
    let row = format!("{{\"p\":\"{}\",\"t\":\"x\"}},", "x".repeat(30_000));
    let elements = format!("[{}1],", "1,".repeat((1 << 18) - 8));
    let members: Vec<String> = (0..60_000).map(|n| format!("\"{n:x}\":1,")).collect();
    let members = format!("{{{}\"x\":1}},", members.concat());
    let long = format!("[{}1],", "1,".repeat(1 << 19));
    for (paths, middle, allowed) in [
        // Elements that wait for one answer, by what is at their end.
        ("'$[?@.t == \"x\"]': x", &*row, waits),
        (
            "'$[?@.t == \"x\"]': x",
            &row.replace("x\"", &format!("{}\"", "x".repeat(900_000))),
            waits,
        ),
        ("'$[?@[0].t == \"x\"]': x", &format!("[{}{{\"t\":1}}],", row.repeat(30)), waits),
        // As large as they may be, and asked in the ways that take the most.
        ("'$[?count(@.*) > 1]': x", &elements, asked),
        ("'$[?count(@..*) > 1]': x", &elements, asked),
        ("'$[?count(@[:]) > 1]': x", &elements, asked),
        ("'$[?count(@.*) > 1]': x", &members, asked),
        ("'$[?length(@) > 1]': x", &members, asked),
        ("'$[?@ == @]': x", &members, asked),
        // Larger than they may be.
        ("'$[?count(@.*) > 1]': x", &long, waits),
        // Elements that wait for those behind them, for the end, or too many.
        ("'$[-1]': x", "1,", waits),
        ("'$[-30:]': x", &row, waits),
        ("'$[::-2]': x", "1,", waits),
        ("'$[::-2]': x", &row, waits),
        ("'$[-4096:]': x", &row, waits),
    ] {
        let plan = asking(paths, "");
        // What is asked at length, or of very many, is not asked as often.
        let length = if allowed == asked || middle == "1," { 1 << 22 } else { 1 << 26 };
        let large = peak(&plan, "[", middle, "0]", length);
        let small = peak(&plan, "[", middle, "0]", 1 << 20);
        println!(
            "peak: {small} bytes for 1 MiB, {large} for {} MiB, {allowed} allowed: {paths}",
            length >> 20
        );
        assert!(small <= allowed && large <= allowed, "{paths}");
    }

    let held = streaming() + limits.document_bytes_max;
    let asked = held + ASKED * limits.document_bytes_max;
    let (before, after) = (r#"{"m":[1,2],"n":["#, "0]}");
    for (paths, [before, middle, after], allowed, length) in [
        ("'$[?@.t == $[0].t]': x", ["[", &*row, "0]"], held, 8 << 20),
        ("'$.m[?count($.n[*]) > 1]': x", [before, "1,", after], asked, 8 << 20),
        ("'$.m[?count($..*) > 1]': x", [before, "1,", after], asked, 8 << 20),
        ("'$.m[?@ == count($.n[:])]': x", [before, "1,", after], asked, 8 << 20),
        ("'$.m[?@ != $.n]': x", [before, "1,", after], asked, 8 << 20),
        ("'$.m[?$]': x, '$.n[::-2]': x", [before, "1,", after], asked, 1 << 20),
    ] {
        let plan = asking(paths, ", buffer: document");
        let (small, left) = try_peak(&plan, [before, middle, after], 1 << 18);
        assert!(left.is_ok(), "{paths}");
        let (full, left) = try_peak(&plan, [before, middle, after], length - (1 << 17));
        assert!(left.is_ok(), "{paths}");
        let (large, left) = try_peak(&plan, [before, middle, after], 1 << 26);
        assert_eq!(left, Err(Reason::BodyTooLarge), "{paths}");
        println!(
            "peak: {small} bytes for 256 KiB, {full} for {} MiB, {large} for 64 refused, {allowed} allowed: {paths}",
            length >> 20
        );
        assert!(small <= allowed && full <= allowed && large <= held, "{paths}");
    }
}

/// What the states of a document may take that are made while it is read.
const STATES: usize = 3 << 20;

fn states_that_are_made_on_the_way_take_no_more_for_a_longer_document() {
    let mut random = 1u64;
    let mut number = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap()
    };
    // Every set of these names above a node is another state; and every way to some of this length.
    let many = (0..60).map(|n| format!("'$..a{n}..z': {{ category: x, names: x }}"));
    let one = format!("'$..a0{}.z': {{ category: x, names: x }}", ".*".repeat(20));
    for (paths, names) in [(many.collect::<Vec<_>>().join(", "), 60), (one, 2)] {
        let plan = asking(&paths, "");
        assert!(plan.program().is_lazy());
        let mut rows = String::new();
        while rows.len() < 60 << 10 {
            let levels = 1 + number() % 100;
            rows.extend((0..levels).map(|_| format!("{{\"z\":1,\"a{}\":", number() % names)));
            rows.push_str("{\"z\":2}");
            rows.push_str(&"}".repeat(levels));
            rows.push(',');
        }
        let [small, large] = [20, 23].map(|bits| peak(&plan, "[", &rows, "0]", 1 << bits));
        let allowed = streaming() + STATES;
        println!("peak: {small} bytes for 1 MiB, {large} for 8 MiB, {allowed} allowed: states");
        assert!(small < allowed && large < allowed);
    }
    // Nothing but scalars, each in a state of its own beside many paths that all of them share.
    let shared = (0..2000).map(|n| format!("'$.r..a{n}..z': {{ category: x, names: x }}"));
    let plan = asking(&shared.collect::<Vec<_>>().join(", "), "");
    assert!(plan.program().is_lazy());
    let members = (0..2000).map(|n| format!("\"a{n}\":1,")).collect::<Vec<_>>().concat();
    let [small, large] =
        [20, 23].map(|bits| peak(&plan, "{\"r\":{", &members, "\"z\":0}}", 1 << bits));
    let allowed = streaming() + STATES;
    println!("peak: {small} bytes for 1 MiB, {large} for 8 MiB, {allowed} allowed: members");
    assert!(small < allowed && large < allowed);
}
