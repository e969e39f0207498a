//! Random policies and streams of random documents: each leaves as the oracle says of it alone, however the stream is
//! cut.

use std::collections::BTreeMap;

use tamis::policy::Framing;

use crate::{
    oracle::{
        generate::{self, Case, Rng},
        sieve::{self, Sieved},
    },
    product,
};

/// What a stream may say beside documents, put into a policy.
const STREAM: &str = "        stream: { events: [added, \"a b\"], data: [\"[DONE]\"] }\n";

/// A body, and what a reader is to find in it once it has been sieved.
#[derive(Default)]
struct Stream {
    body: String,
    /// The name of an event, in other streams none, and what it holds.
    parts: Vec<(String, Part)>,
    /// An event has a name that nobody listed.
    drops: bool,
}

enum Part {
    /// What is no document, as it is.
    Text(String),
    Document(Sieved),
}

/// What leaves of one document that is alone.
fn alone(case: &Case, document: &str) -> Sieved {
    let Case { world, purpose, api, route, .. } = case;
    sieve::sieve(world, purpose, api, route, document.as_bytes(), &product::SETUP)
}

/// Documents of the case, as many as it happens.
fn documents(case: &Case, rng: &mut Rng) -> Vec<String> {
    (0..rng.below(5))
        .map(|_| String::from_utf8(rng.pick(&case.documents).clone()).unwrap())
        .collect()
}

fn lines(case: &Case, rng: &mut Rng) -> Stream {
    let mut stream = Stream::default();
    for document in documents(case, rng) {
        // Line ends stand only where white space does.
        let line = document.replace('\n', rng.word(&["", " "]));
        let end = rng.word(&["", "\r", " ", "\n", "\n \t"]);
        stream.body.push_str(&line);
        stream.body.push_str(end);
        stream.body.push('\n');
        stream.parts.push((String::new(), Part::Document(alone(case, &line))));
        for blank in end.split('\n').skip(1) {
            stream.parts.push((String::new(), Part::Text(blank.to_owned())));
        }
    }
    // The last line may lack its end, if there is more to it than that.
    if rng.percent(30) && !stream.body.ends_with("\n\n") {
        stream.body.pop();
    }
    stream
}

fn sequence(case: &Case, rng: &mut Rng) -> Stream {
    let mut stream = Stream::default();
    for document in documents(case, rng) {
        let separators = rng.word(&["\u{1e}", "\u{1e}", "\u{1e}\u{1e}"]);
        stream.body.push_str(separators);
        for _ in 1..separators.len() {
            stream.parts.push((String::new(), Part::Text(String::new())));
        }
        stream.body.push_str(&document);
        stream.body.push('\n');
        stream.parts.push((String::new(), Part::Document(alone(case, &document))));
    }
    stream
}

fn events(case: &Case, rng: &mut Rng) -> Stream {
    let mut stream = Stream::default();
    let end = rng.word(&["\n", "\r", "\r\n"]);
    for document in documents(case, rng) {
        let name = rng.word(&["", "", "added", "a b", "moved"]);
        let gap = rng.word(&["", " "]);
        let document = document.replace("\r\n", "\n");
        let data = match rng.below(10) {
            0 => "[DONE]",
            1 => "",
            _ => document.as_str(),
        };
        let mut lines: Vec<String> =
            data.split('\n').map(|line| format!("data:{gap}{line}")).collect();
        // Wherever it stands, the last one is the name.
        let mut at = rng.below(lines.len() + 1);
        if !name.is_empty() {
            lines.insert(at, format!("event:{gap}{name}"));
            at = rng.below(at + 1);
        }
        if rng.percent(10) && !name.is_empty() {
            lines.insert(at, format!("event:{gap}{}", rng.word(&["moved", "added", ""])));
        }
        for noise in ["id: 7", "retry: 1", ": CANARY", "mail: CANARY"] {
            if rng.percent(10) {
                lines.insert(rng.below(lines.len() + 1), noise.to_owned());
            }
        }
        for line in lines {
            stream.body.push_str(&line);
            stream.body.push_str(end);
        }
        stream.body.push_str(end);
        if name == "moved" {
            stream.drops = true;
            continue;
        }
        let part = if data.is_empty() || data == "[DONE]" {
            Part::Text(data.to_owned())
        } else {
            Part::Document(alone(case, data))
        };
        stream.parts.push((name.to_owned(), part));
    }
    if rng.percent(10) {
        stream.body.insert(0, '\u{feff}');
    }
    // An event without its empty line is none.
    if rng.percent(20) {
        stream.body.push_str(rng.word(&["event: moved", "data: CANARY", "data: {", "id: 7"]));
        stream.body.push_str(rng.word(&["", end]));
    }
    stream
}

/// The events of a stream, as the standard reads them: the name and the data of each.
fn read_events(stream: &str) -> Vec<(String, String)> {
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in stream.split_terminator('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "" if line.is_empty() => {
                let name = std::mem::take(&mut name);
                let data = std::mem::take(&mut data);
                if !data.is_empty() {
                    events.push((name, data.join("\n")));
                }
            }
            "" => assert_eq!(value, "", "of a comment nothing is left"),
            "event" => name = value,
            "data" => data.push(value),
            other => panic!("{other} has left"),
        }
    }
    events
}

/// What stands in a stream that has left.
fn read(framing: Framing, left: &str) -> Vec<(String, String)> {
    let unnamed = |text: &str| (String::new(), text.to_owned());
    match framing {
        Framing::Lines => left.split_terminator('\n').map(unnamed).collect(),
        Framing::Sequence => left.split('\u{1e}').skip(1).map(unnamed).collect(),
        Framing::Events => read_events(left),
        Framing::Document => panic!("one document is no stream"),
    }
}

/// What is withheld is counted once in a stream, present or not; all others one by one.
fn counts(case: &Case, stream: &Stream) -> BTreeMap<(String, String), u64> {
    let is_withheld = |word: &str| matches!(word, "null" | "drop");
    let mut counts = alone(case, "null").counts;
    counts.retain(|(category, word), _| category != "unclassified" && is_withheld(word));
    for (_, part) in &stream.parts {
        let Part::Document(sieved) = part else { continue };
        for ((category, word), times) in &sieved.counts {
            let counted = counts.entry((category.clone(), word.clone())).or_default();
            *counted = if is_withheld(word) { 1 } else { *counted + times };
        }
    }
    if stream.drops {
        counts.insert(("unclassified".to_owned(), "drop".to_owned()), 1);
    }
    counts
}

#[test]
fn every_document_of_a_stream_leaves_as_the_oracle_says_of_it_alone() {
    let (mut streams, mut documents) = (0, 0);
    for seed in product::seeds(400) {
        let case = generate::case(seed);
        let yaml = case.yaml.replace("        body:", &format!("{STREAM}        body:"));
        let Some(set) = product::random_policy(&yaml) else { continue };
        let request = case.route.replace("{id}", "1");
        let Ok(plan) = product::plan(&set, "tester", &case.purpose, None, &request) else {
            continue;
        };
        let rng = &mut Rng::new(seed ^ 0x57e4);
        for (framing, stream) in [
            (Framing::Lines, lines(&case, rng)),
            (Framing::Sequence, sequence(&case, rng)),
            (Framing::Events, events(&case, rng)),
        ] {
            let body = stream.body.as_bytes();
            let is_held = yaml.contains("buffer: document");
            let shown = || format!("seed {seed}, {framing:?}\n{yaml}\n{:?}", stream.body);
            let whole = product::stream(&plan, framing, [body])
                .unwrap_or_else(|reason| panic!("{reason}: {}", shown()));
            let left = str::from_utf8(&whole.bytes).unwrap();
            // White space by itself may go where a document is held.
            let is_space = |text: &str| is_held && text.trim().is_empty();
            let mut found = read(framing, left);
            found.retain(|(_, text)| !is_space(text));
            let parts = stream.parts.iter();
            let parts: Vec<_> = parts
                .filter(|(_, part)| !matches!(part, Part::Text(text) if is_space(text)))
                .collect();
            let agrees = found.len() == parts.len()
                && found.iter().zip(parts).all(|((name, text), (expected, part))| {
                    name == expected
                        && match part {
                            Part::Text(same) => text == same,
                            Part::Document(sieved) => sieved.left_as(text.as_bytes()),
                        }
                });
            let expected = stream.parts.iter().map(|(_, part)| match part {
                Part::Text(same) => same.clone(),
                Part::Document(sieved) => String::from_utf8(sieved.tree.to_json()).unwrap(),
            });
            let expected = expected.collect::<Vec<_>>().join("\n");
            assert!(agrees, "{}\ngives {left:?}\nexpected {expected:?}", shown());
            assert_eq!(whole.counts, counts(&case, &stream), "{}", shown());

            let halves = (0..=body.len()).map(|at| <[&[u8]; 2]>::from(body.split_at(at)).to_vec());
            let halves = halves.step_by(1 + body.len() / 40);
            for chunks in halves.chain([body.chunks(1).collect(), product::cuts(body, rng)]) {
                let cut = product::stream(&plan, framing, chunks).unwrap();
                assert!(cut == whole, "cut differently: {}", shown());
            }
            streams += 1;
            documents += stream.parts.len();
        }
    }
    println!("{documents} documents of {streams} random streams as the oracle says");
    assert!(documents > 1_000 || std::env::var_os("TAMIS_SEED").is_some(), "{documents}");
}
