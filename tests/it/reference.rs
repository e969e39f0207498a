//! Runs every example of `policies/README.md`: the reference says what the program does, or this fails.
//!
//! A fenced block is run by its info string, a table by its header; one that is neither run nor known to
//! be prose is an error, so that no example is skipped by a slip of the pen.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use jiff::civil::date;
use tamis::{
    access::{self, Count, Reason},
    enforce::Enforcement,
    frame::Framed,
    json::{Copied, Limits},
    path::Path,
    policy::{Ask, Framing, Loaded, PolicySet, Rank, Source, Target, load, render},
    transform::{Action, Context, Generalisation, Mask, RootKey},
};

const README: &str = include_str!("../../policies/README.md");
static SOURCES: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));

/// Fewer examples than this, and they were not found rather than not written.
const EXAMPLES_MIN: usize = 150;

/// Headers of tables that explain and claim nothing that could be run.
const PROSE: [&str; 7] =
    ["word", "key", "finding", "what", "what comes", "what a path does", "`names`"];

#[test]
fn every_example_of_the_reference_is_true() {
    let mut reference = Reference::new(README);
    for block in blocks(README) {
        reference.run(&block);
    }
    assert!(reference.examples >= EXAMPLES_MIN, "only {} examples", reference.examples);
    for action in one_of_each_action() {
        assert!(reference.actions.contains(action.word()), "no example of `{}`", action.word());
    }
}

/// What `tests/README.md` says that a test holds, a test of that name holds.
#[test]
fn every_test_that_is_named_exists() {
    let mut folders = vec![SOURCES.join("src"), SOURCES.join("tests")];
    let mut code = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|is| is == "rs") {
                code += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let read = |file| fs::read_to_string(SOURCES.join(file)).unwrap();
    let (others, settings) = (read("tests/README.md"), read("config/README.md"));
    let (_, others) = others.split_once("## What goes wrong with others").unwrap();
    let (_, ends) = settings.split_once("| ends after | cause | test |").unwrap();
    let (ends, _) = ends.split_once("\n\n").unwrap();
    let is_name = |text: &&str| {
        text.len() > 12
            && text.bytes().all(|c| b"_0123456789".contains(&c) || c.is_ascii_lowercase())
    };
    for (table, most) in [(others, 50), (ends, 12)] {
        let names: Vec<&str> = table.split('`').skip(1).step_by(2).filter(is_name).collect();
        assert!(names.len() > most, "only {} tests", names.len());
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "there is no test `{name}`");
        }
    }
}

#[test]
fn every_reason_stands_in_the_reference_in_the_order_of_the_checks() {
    let mut listed = Vec::new();
    for block in blocks(README) {
        let Content::Table { header, rows } = &block.content else { continue };
        if header[0] == "reason" {
            listed.extend(rows.iter().map(|row| (only_span(&row[0]), row[1].clone())));
        }
    }
    let reasons = Reason::ALL.iter().map(|reason| (reason.code(), reason.status().to_string()));
    assert_eq!(listed, reasons.map(|(code, status)| (code.to_owned(), status)).collect::<Vec<_>>());
}

/// The lists of headers that pass in each direction are written twice: there, and in the code.
#[test]
fn the_built_in_headers_are_those_of_the_code() {
    let headers = include_str!("../../src/message/headers.rs");
    let built_in = include_str!("../../src/message/built_in.rs");
    for (code, constant, said) in [
        (
            headers,
            "static REQUEST: ",
            "built-in list of standard ones that cannot change what the upstream decides",
        ),
        (built_in, "static EVERYWHERE: ", "on this built-in list"),
        (built_in, "static PASSED: ", "what tells a browser how to treat a body"),
    ] {
        let array = code.split(constant).nth(1).unwrap().split("];").next().unwrap();
        let array = array.split_once('=').unwrap().1;
        let names = array.split(['[', ',']).map(str::trim).filter(|name| !name.is_empty());
        let in_code: Vec<String> = names
            .map(|name| match name.strip_prefix("header::") {
                Some(name) => name.replace('_', "-").to_ascii_lowercase(),
                None => name.split('"').nth(1).expect(name).to_owned(),
            })
            .collect();
        let listed = README.split(said).filter_map(|after| after.strip_prefix(": "));
        let [listed] = listed.collect::<Vec<_>>()[..] else { panic!("one list {said}") };
        let listed = spans(listed.split('.').next().unwrap());
        let listed: Vec<String> = listed.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(listed, in_code);
    }
}

/// Walks through the page: what a block shows can depend on the policy above it.
struct Reference {
    keys: RootKey,
    preamble: String,
    /// The first whole policy, for the tests that are written for it.
    policy: String,
    /// The last policy or example, loaded.
    set: Option<PolicySet>,
    /// What the last body was counted as.
    counts: Vec<Count>,
    actions: HashSet<&'static str>,
    examples: usize,
}

impl Reference {
    fn new(text: &str) -> Self {
        let key = text
            .split('`')
            .find(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .expect("the root key of the examples");
        Self {
            keys: RootKey::from_hex(key).unwrap(),
            preamble: String::new(),
            policy: String::new(),
            set: None,
            counts: Vec::new(),
            actions: HashSet::new(),
            examples: 0,
        }
    }

    fn run(&mut self, block: &Block) {
        let line = block.line;
        match &block.content {
            Content::Fence { info, text } => match info.as_str() {
                "yaml preamble" => {
                    self.preamble.clone_from(text);
                    self.loads(line, &[("preamble.yaml", text)]);
                }
                "yaml policy" => {
                    if self.policy.is_empty() {
                        self.policy.clone_from(text);
                    }
                    let loaded = self.loads(line, &[("policy.yaml", text)]);
                    // A test beside it is all that it lacks.
                    for finding in &loaded.findings {
                        assert_eq!(finding.rank, Rank::Note, "line {line}: {}", finding.message);
                    }
                    self.set = loaded.set;
                }
                "yaml example" => {
                    let text = format!("{}{}", self.preamble, framed(text));
                    self.set = self.loads(line, &[("example.yaml", &text)]).set;
                }
                "yaml test" => {
                    let policy = self.policy.clone();
                    let sources = [("policy.yaml", policy.as_str()), ("policy.test.yaml", text)];
                    let loaded = self.loads(line, &sources);
                    assert!(!loaded.suites[0].cases.is_empty(), "line {line}: no test was read");
                }
                info => panic!("line {line}: nobody knows how to run `{info}`"),
            },
            Content::Table { header, rows } => {
                for (index, row) in rows.iter().enumerate() {
                    self.run_row(line + index, header, row, index);
                }
                if header[0] == "category" {
                    assert_eq!(rows.len(), self.counts.len(), "line {line}: {:?}", self.counts);
                }
            }
        }
    }

    fn run_row(&mut self, line: usize, header: &[String], row: &[String], index: usize) {
        assert_eq!(row.len(), header.len(), "line {line}: cells");
        match header[0].as_str() {
            "media type" => {
                let [media, body, expected] = [0, 1, 2].map(|cell| only_span(&row[cell]));
                self.check_stream(line, &media, &body, &expected);
            }
            "header" => self.check_header(line, &only_span(&row[0]), &row[1]),
            "in" => self.check_body(line, &only_span(&row[0]), &only_span(&row[1])),
            "action" => self.check_action(line, row),
            "caller" if header.len() == 4 => self.check_request(line, row),
            "category" => self.check_count(line, row, index),
            "path" => spans(&row[0]).iter().for_each(|path| {
                Path::parse(path).unwrap_or_else(|error| panic!("line {line}: {path}: {error}"));
                self.examples += 1;
            }),
            "refused" => spans(&row[0]).iter().for_each(|path| {
                let error = Path::parse(path).expect_err(&format!("line {line}: {path}"));
                let says_later = row[1].contains("not supported yet");
                assert_eq!(error.message.contains("not supported yet"), says_later, "line {line}");
                self.examples += 1;
            }),
            "does not load" => {
                let text = format!("tamis: 1\n{}\n", spans(&row[0]).join("\n"));
                self.check_error(line, &[("wrong.yaml", &text)], &only_span(&row[1]));
            }
            "where" => {
                for word in spans(&row[1]) {
                    let (name, text) = with_later_word(&row[0].replace('`', ""), word);
                    self.check_error(line, &[(name, &text)], "not-supported-yet");
                }
            }
            // Compared as a whole by the other test.
            "reason" => {}
            prose => assert!(PROSE.contains(&prose), "line {line}: nobody runs `{prose}`"),
        }
    }

    /// Loads sources that are shown to be right.
    fn loads(&mut self, line: usize, sources: &[(&str, &str)]) -> Loaded {
        self.examples += 1;
        let (sources, loaded) = self.load(sources);
        let error = loaded.findings.iter().find(|finding| finding.rank == Rank::Error);
        assert!(error.is_none(), "line {line}:\n{}", render(error.unwrap(), &sources));
        loaded
    }

    fn load(&self, sources: &[(&str, &str)]) -> (Vec<Source>, Loaded) {
        let sources: Vec<Source> = sources
            .iter()
            .map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() })
            .collect();
        let loaded = load(&sources, &self.keys);
        (sources, loaded)
    }

    /// Sources beside the preamble that are wrong in one way only, which is theirs.
    fn check_error(&mut self, line: usize, wrong: &[(&str, &str)], code: &str) {
        self.examples += 1;
        let preamble = self.preamble.clone();
        let mut sources = vec![("preamble.yaml", preamble.as_str())];
        sources.extend(wrong);
        let (sources, loaded) = self.load(&sources);
        let errors = || loaded.findings.iter().filter(|finding| finding.rank == Rank::Error);
        let shown: String = errors().map(|finding| render(finding, &sources)).collect();
        assert!(loaded.set.is_none(), "line {line}: it loads");
        assert!(errors().all(|finding| finding.code == code), "line {line}: {code}\n{shown}");
        assert!(errors().any(|finding| finding.at.source > 0), "line {line}: {code}\n{shown}");
    }

    fn check_request(&mut self, line: usize, row: &[String]) {
        self.examples += 1;
        let stated = |cell: &str| (cell != "–").then(|| only_span(cell));
        let (caller, purpose) = (stated(&row[0]), stated(&row[1]));
        let request = only_span(&row[2]);
        let (method, url) = request.split_once(' ').unwrap();
        let (host, target) = match url.strip_prefix("http://") {
            Some(url) => url.split_at(url.find('/').unwrap()),
            None => ("", url),
        };
        let set = self.set.as_ref().expect("a policy above");
        let decided = Target::parse(method, target).and_then(|target| {
            let ask = Ask {
                caller: match caller.as_deref().map(|name| set.caller(name)) {
                    Some(None) => return Err(Reason::CallerUnknown),
                    caller => caller.flatten(),
                },
                purpose: purpose.as_deref(),
                host: (!host.is_empty()).then_some(host),
                target: &target,
            };
            set.decide(&ask).map(|_| ()).map_err(|denial| denial.reason)
        });
        match decided {
            Ok(()) => assert!(row[3].starts_with("passed on"), "line {line}: passed on"),
            Err(reason) => {
                let answer = format!("{} `{}`", reason.status(), reason.code());
                assert!(row[3].starts_with(&answer), "line {line}: {answer}");
            }
        }
    }

    fn check_action(&mut self, line: usize, row: &[String]) {
        let (action, value) = (only_span(&row[0]), only_span(&row[1]));
        let word = action.split_whitespace().find(|word| !word.starts_with('{')).unwrap();
        let word = word.trim_end_matches(':');
        let known = one_of_each_action();
        let known = known.iter().find(|known| known.word() == word);
        self.actions.insert(known.unwrap_or_else(|| panic!("line {line}: `{word}`")).word());
        // Something is kept: else there is no object that the value could be removed from.
        let body = "body: { $.value: contact.email, $.other: public }";
        let text = framed(&format!("{body}\nrules: {{ contact: {action} }}\n"));
        let text = format!("{}{text}", self.preamble);
        self.set = self.loads(line, &[("example.yaml", &text)]).set;
        if row[2] == "denied" {
            let denied = decide(self.set.as_ref().unwrap()).unwrap_err();
            assert_eq!(denied, Reason::CategoryDenied, "line {line}");
            return;
        }
        let out = match row[2].as_str() {
            "removed" => "{}".to_owned(),
            result => format!("{{\"value\":{}}}", only_span(result)),
        };
        self.check_body(line, &format!("{{\"value\":{value}}}"), &out);
        let unfit = self.counts.iter().any(|count| count.action == access::Action::Unfit);
        assert_eq!(unfit, row[3].starts_with("unfit"), "line {line}: {:?}", self.counts);
    }

    fn check_count(&mut self, line: usize, row: &[String], index: usize) {
        let count = self.counts.get(index).unwrap_or_else(|| panic!("line {line}: not counted"));
        let counted =
            [&*count.category, count.action.code(), &count.accesses.to_string()].map(str::to_owned);
        assert_eq!(
            [only_span(&row[0]), only_span(&row[1]), row[2].clone()],
            counted,
            "line {line}"
        );
        self.examples += 1;
    }

    /// What becomes of a line of a head.
    fn check_header(&mut self, line: usize, sent: &str, expected: &str) {
        self.examples += 1;
        let (name, value) = sent.split_once(": ").unwrap();
        let plan = decide(self.set.as_ref().expect("a policy above")).unwrap().plan;
        let context = Context { today: date(2026, 11, 21) };
        let cell = plan.header(&name.to_ascii_lowercase());
        let left = cell.and_then(|cell| plan.transform(cell).apply_text(value, &context));
        let left = left.map_or("removed".to_owned(), |value| format!("`{name}: {value}`"));
        assert!(expected.starts_with(&left), "line {line}: {left}");
    }

    /// What becomes of a stream: whole, and byte by byte.
    fn check_stream(&mut self, line: usize, media: &str, body: &str, expected: &str) {
        self.examples += 1;
        let framing = Framing::of(media).expect("a type of a stream");
        let plan = decide(self.set.as_ref().expect("a policy above")).unwrap().plan;
        let body = with_controls(body);
        for chunk_bytes in [body.len(), 1] {
            let context = Context { today: date(2026, 11, 21) };
            let plan = Arc::clone(&plan);
            let mut framed = Framed::new(framing, plan, context, Limits::default());
            let mut out = Vec::new();
            for chunk in body.as_bytes().chunks(chunk_bytes) {
                framed.write(chunk, &mut out).unwrap();
            }
            framed.finish(&mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out, with_controls(expected), "line {line}: {body}");
        }
    }

    /// What becomes of a body: whole, and byte by byte.
    fn check_body(&mut self, line: usize, body: &str, expected: &str) {
        self.examples += 1;
        let set = self.set.as_ref().expect("a policy above");
        let (out, counts) = sieve(set, body, body.len());
        assert_eq!(out, expected, "line {line}: {body}");
        let bytewise = sieve(set, body, 1);
        assert_eq!((&out, &counts), (&bytewise.0, &bytewise.1), "line {line}: {body}, by the byte");
        self.counts = counts;
    }
}

/// Control characters, which cannot stand in a table, are written as JSON writes them.
fn with_controls(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\u001e", "\u{1e}")
}

/// The request of all examples that show no other.
fn decide(set: &PolicySet) -> Result<tamis::policy::Permit, Reason> {
    let target = Target::parse("GET", "/customers/C-1042")?;
    let ask =
        Ask { caller: set.caller("desk"), purpose: Some("support"), host: None, target: &target };
    set.decide(&ask).map_err(|denial| denial.reason)
}

fn sieve(set: &PolicySet, body: &str, chunk_bytes: usize) -> (String, Vec<Count>) {
    let context = Context { today: date(2026, 11, 21) };
    let mut enforcement = Enforcement::new(decide(set).unwrap().plan, context, Limits::default());
    let mut out = Vec::new();
    for chunk in body.as_bytes().chunks(chunk_bytes) {
        enforcement.write(chunk, &mut Copied { chunk, out: &mut out }).unwrap();
    }
    enforcement.finish(&mut Copied { chunk: b"", out: &mut out }).unwrap();
    (String::from_utf8(out).unwrap(), enforcement.tally().counts())
}

/// The sections of a small example, put where they belong in a policy file.
fn framed(example: &str) -> String {
    let (mut top, mut api, mut route, mut rules) = <(String, String, String, String)>::default();
    let mut into: Option<(&mut String, usize)> = None;
    for line in example.lines() {
        if !line.starts_with(' ') {
            let name = line.split(':').next().unwrap_or_default();
            let (section, line, indent) = match name {
                "body" | "embedded" | "stream" | "buffer" => (&mut route, line, 8),
                "unclassified" | "headers" => (&mut api, line, 4),
                "rules" => (&mut rules, line.trim_start_matches("rules:").trim_start(), 2),
                "records" | "apis" => (&mut top, line, 0),
                name => panic!("`{name}` in an example"),
            };
            let line = if name == "rules" { format!("support: {line}") } else { line.to_owned() };
            section.extend([" ".repeat(indent).as_str(), line.as_str(), "\n"]);
            into = Some((section, indent));
            continue;
        }
        let (section, indent) = into.as_mut().expect("a key before indented lines");
        section.extend([" ".repeat(*indent).as_str(), line, "\n"]);
    }
    let api = if route.is_empty() {
        String::new()
    } else {
        format!(
            "apis:\n  crm:\n{api}    routes:\n      GET /customers/{{id}}:\n        params: {{ id: public }}\n{route}"
        )
    };
    let rules = if rules.is_empty() { rules } else { format!("rules:\n{rules}") };
    format!("{top}{api}{rules}")
}

/// A file that is right but for a word that is not supported yet.
fn with_later_word(place: &str, word: &str) -> (&'static str, String) {
    let route = "GET /a: { body: { $: public } }";
    let purpose = |key: &str, value: &str| {
        format!("purposes: {{ a: {{ title: A, legal_basis: contract, {key}: {value} }} }}")
    };
    let text = match place {
        "legal_basis" => purpose("art9", "care").replace("contract", word),
        "art9" => purpose("art9", word),
        "purpose" => purpose(word, "a"),
        "identify" => {
            format!("callers: {{ a: {{ identify: {{ {word}: a }}, purposes: [support] }} }}")
        }
        "record" => format!("records: {{ a: {{ fields: {{ $: public }}, {word}: $.id }} }}"),
        "unclassified" => {
            format!("records: {{ a: {{ fields: {{ $: public }}, unclassified: {word} }} }}")
        }
        "action" if word == "when" => {
            "rules: { support: { contact: [{ when: a, do: keep }] } }".to_owned()
        }
        "action" => format!("rules: {{ support: {{ contact: {word} }} }}"),
        "path" => {
            let class = format!("{{ category: contact.email, {word} }}");
            format!("apis: {{ a: {{ routes: {{ GET /a: {{ body: {{ $: {class} }} }} }} }} }}")
        }
        "api" => format!("apis: {{ a: {{ routes: {{ {route} }}, {word}: {{}} }} }}"),
        "test" => {
            let when = format!("{{ caller: desk, request: GET /a, {word}: a }}");
            let test = format!("{{ name: A, when: {when}, refused: route-unknown }}");
            return ("wrong.test.yaml", format!("tests: [{test}]\n"));
        }
        place => panic!("nobody knows where `{place}` is"),
    };
    ("wrong.yaml", format!("tamis: 1\n{text}\n"))
}

/// A new action breaks this match, and then the test until the reference shows it.
fn one_of_each_action() -> [Action; 7] {
    let all = [
        Action::Keep,
        Action::Pseudonym { domain: None },
        Action::Generalise(Generalisation::Ip),
        Action::Mask(Mask::default()),
        Action::Null,
        Action::Drop,
        Action::Deny,
    ];
    for action in &all {
        match action {
            Action::Keep
            | Action::Pseudonym { .. }
            | Action::Generalise(_)
            | Action::Mask(_)
            | Action::Null
            | Action::Drop
            | Action::Deny => {}
        }
    }
    all
}

/// A part of the page that can be run.
struct Block {
    /// The line of its first content, counted from 1.
    line: usize,
    content: Content,
}

enum Content {
    Fence { info: String, text: String },
    Table { header: Vec<String>, rows: Vec<Vec<String>> },
}

/// Fenced blocks and tables, in the order of the page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let content = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
            let text = content.fold(String::new(), |text, line| text + line + "\n");
            let content = Content::Fence { info: info.to_owned(), text };
            blocks.push(Block { line: number + 1, content });
        } else if line.starts_with('|') {
            let rule = lines.next().map(|(line, _)| line);
            assert!(rule.is_some_and(|rule| rule.starts_with("|---")), "line {number}: no table");
            let mut rows = Vec::new();
            while let Some((row, _)) = lines.next_if(|(line, _)| line.starts_with('|')) {
                rows.push(cells(row));
            }
            let content = Content::Table { header: cells(line), rows };
            blocks.push(Block { line: number + 2, content });
        }
    }
    blocks
}

fn cells(row: &str) -> Vec<String> {
    let inner = row.strip_prefix('|').and_then(|row| row.strip_suffix('|')).expect(row);
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What stands between backticks.
fn spans(cell: &str) -> Vec<&str> {
    assert!(cell.matches('`').count().is_multiple_of(2), "{cell}");
    cell.split('`').skip(1).step_by(2).collect()
}

fn only_span(cell: &str) -> String {
    match spans(cell)[..] {
        [only] => only.to_owned(),
        _ => panic!("one example in a cell: {cell}"),
    }
}
