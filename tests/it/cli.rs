//! The command line as scripts see it: the real binary, its streams and its exit codes.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tamis::{access::Reason, json::Kernel};
use tempfile::TempDir;

/// Stands in every body and parameter here, and never on stderr.
const CANARY: &str = "Canary-7f3a";

/// What came of one run.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        self
    }

    #[track_caller]
    fn says_nothing(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    #[track_caller]
    fn prints(self, text: &str) -> Self {
        assert!(self.printed().contains(text), "{text:?} is not in {:?}", self.printed());
        self
    }

    #[track_caller]
    fn prints_nothing(self) -> Self {
        assert_eq!(self.printed(), "");
        self
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(mut command: Command, stdin: &[u8]) -> Run {
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // It may end before it has read everything.
    let feeding = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains(CANARY), "a value is on stderr: {stderr}");
    Run { code: output.status.code().unwrap(), stdout: output.stdout, stderr }
}

fn tamis(arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
    run(command(arguments), stdin.as_ref())
}

/// A folder of policies that is gone at the end of the test.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

const PEOPLE: &str = "\
tamis: 1
categories: { id: Number, name: Name, email: E-mail address, health: Health }
purposes:
  support: { title: Answer a person, legal_basis: contract }
  billing: { title: Send a bill, legal_basis: contract }
  counting: { title: Count people, legal_basis: legal_obligation }
callers:
  desk: { identify: { api_key: desk }, purposes: [support] }
  office: { identify: { api_key: office }, purposes: [support, billing] }
  counters: { identify: { api_key: counters }, purposes: [counting] }
apis:
  people:
    routes:
      GET /people/{id}:
        params: { id: id, page: public, email: email }
        body: { $.id: id, $.name: name, $.email: email, '$.tags': public, '$.deep..*': { category: public, names: [Anna] } }
      POST /people:
        body: { $.id: id }
      GET /people:
        body: { '$[*].id': id }
      GET /health:
        body: { $.value: health }
rules:
  support: { id: keep, name: keep, email: { mask: { keep_last: 4 } }, health: deny }
  billing: { id: keep, health: drop }
  counting: { id: pseudonym, health: drop }
";

fn people() -> Folder {
    Folder::new(&[("people.yaml", PEOPLE)])
}

/// The policy with `more` in the place of where its routes begin, and a media type that passes on two of them.
fn with_media(more: &str) -> String {
    let mut people = PEOPLE.replace("people:\n    routes:\n", more);
    for route in ["GET /people/{id}:\n", "GET /people:\n"] {
        let media = "        media: { text/csv: { pass: { because: exports are of things } } }\n";
        people = people.replace(route, &format!("{route}{media}"));
    }
    people
}

const BODY: &str = r#"{"id": 7, "name":"Canary-7f3a", "email": "canary-7f3a@example.org", "secret": "Canary-7f3a", "tags": ["a", 5.40]}"#;
const DECIDED: &str =
    r#"{"id": 7, "name":"Canary-7f3a", "email": "********.org", "tags": ["a", 5.40]}"#;

fn apply(folder: &Folder, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
    let before = ["apply", "--policies", folder.path()];
    tamis(&[&before, arguments].concat(), stdin)
}

const AS_DESK: [&str; 4] = ["--caller", "desk", "--request", "GET /people/Canary-7f3a"];

fn apply_as_desk(arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
    apply(&people(), &[&AS_DESK, arguments].concat(), stdin)
}

/// Every kernel that this processor has gives the same; no other word is taken for one.
#[test]
fn the_kernel_is_chosen_by_the_environment() {
    let apply = |kernel: Option<&str>| {
        let policies = people();
        let mut command =
            command(&[&["apply", "--policies", policies.path()], &AS_DESK[..]].concat());
        if let Some(kernel) = kernel {
            command.env("TAMIS_KERNEL", kernel);
        }
        run(command, BODY.as_bytes())
    };
    let best = apply(None).exits(0).says_nothing();
    for kernel in ["portable", "avx2", "avx512"] {
        let run = apply(Some(kernel));
        if Kernel::named(kernel).is_ok() {
            assert_eq!(run.exits(0).says_nothing().stdout, best.stdout, "{kernel}");
        } else {
            run.exits(2).says("this processor lacks the instructions").prints_nothing();
        }
    }
    for word in ["", "AVX2", "best"] {
        let says = format!(
            "error: TAMIS_KERNEL={word}: there is no such kernel: write portable, avx2, avx512"
        );
        apply(Some(word)).exits(2).says(&says).prints_nothing();
    }
}

#[test]
fn apply_writes_what_is_decided() {
    let run = apply_as_desk(&[], BODY).exits(0).says_nothing();
    assert_eq!(run.printed(), DECIDED);
}

#[test]
fn apply_reads_a_file_or_stdin() {
    let folder = people();
    let file = folder.write("body.json", BODY);
    let file = file.to_str().unwrap();
    for (argument, stdin) in [(file, "what is no JSON"), ("-", BODY)] {
        let run = apply(&folder, &[&AS_DESK[..], &[argument]].concat(), stdin);
        assert_eq!(run.exits(0).says_nothing().printed(), DECIDED);
    }
}

#[test]
fn apply_gives_the_same_for_all_chunks() {
    for chunk in ["1", "2", "3", "7", "64", "16777216"] {
        let run = apply_as_desk(&["--chunk", chunk], BODY).exits(0).says_nothing();
        assert_eq!(run.printed(), DECIDED, "{chunk}");
    }
    for chunk in ["0", "-1", "16777217", "many"] {
        apply_as_desk(&[&format!("--chunk={chunk}")], BODY).exits(2).prints_nothing();
    }
}

#[test]
fn apply_streams_a_body_larger_than_its_buffers() {
    let people: Vec<String> = (0..100_000).map(|id| format!(r#"{{"id":{id},"n":"x"}}"#)).collect();
    let body = format!("[{}]", people.join(","));
    let arguments = ["--caller", "desk", "--request", "GET /people"];
    let run = apply(&self::people(), &arguments, &body).exits(0).says_nothing();
    assert!(run.printed() == body.replace(r#","n":"x""#, ""));
}

#[test]
fn apply_says_what_it_counts() {
    let run = apply_as_desk(&["--counts"], BODY).exits(0);
    let mut lines: Vec<&str> = run.stderr.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            r#"{"category":"email","action":"mask","accesses":1}"#,
            r#"{"category":"id","action":"keep","accesses":1}"#,
            r#"{"category":"name","action":"keep","accesses":1}"#,
            r#"{"category":"public","action":"keep","accesses":2}"#,
            r#"{"category":"unclassified","action":"drop","accesses":1,"places":["$.*"]}"#,
        ]
    );
}

/// The arguments with which `apply` is denied for a reason; none where only the proxy can be.
fn denied_for(reason: Reason) -> Option<[&'static str; 3]> {
    let one = "GET /people/Canary-7f3a";
    match reason {
        Reason::PathNotCanonical => Some(["desk", "", "GET /people/Canary-7f3a/../x"]),
        Reason::CallerUnknown => Some(["nobody", "", one]),
        Reason::PurposeMissing => Some(["office", "", one]),
        Reason::PurposeUnknown => Some(["desk", "fun", one]),
        Reason::PurposeNotAllowed => Some(["desk", "billing", one]),
        Reason::RouteUnknown => Some(["desk", "", "GET /Canary-7f3a"]),
        Reason::PathAmbiguous => Some(["desk", "", "GET /people/..."]),
        Reason::CategoryDenied => Some(["desk", "", "GET /health"]),
        Reason::RequestBodyNotAllowed => Some(["desk", "", "POST /people"]),
        Reason::ParameterNotAllowed => Some(["desk", "", "GET /people/1?q=Canary-7f3a"]),
        Reason::ParameterWithheld => Some(["desk", "", "GET /people/1?email=Canary-7f3a"]),
        Reason::PoliciesNotLoaded
        | Reason::Overloaded
        | Reason::HttpVersionNotSupported
        | Reason::RequestUnreadable
        | Reason::RequestTimeout
        | Reason::TargetTooLong
        | Reason::HeadTooLarge
        | Reason::ConditionNotAllowed
        | Reason::RequestBodyTooLarge
        | Reason::HostNotValid
        | Reason::HeaderRepeated
        | Reason::UpgradeNotAllowed
        | Reason::OriginNotAllowed
        // This takes a second API.
        | Reason::ApiNotAllowed
        | Reason::CallerAmbiguous
        | Reason::TooManyRequests
        | Reason::UpstreamUnreachable
        | Reason::UpstreamUntrusted
        | Reason::UpstreamTimeout
        | Reason::UpstreamProtocol
        | Reason::MediaNotAllowed
        | Reason::CodingNotSupported
        | Reason::PartialContent
        | Reason::ProtocolSwitch
        | Reason::BodyUnreadable
        | Reason::BodyTooDeep
        | Reason::BodyTooLarge
        | Reason::BodyTooComplex
        | Reason::BodyCut
        | Reason::ResponseTooOld
        | Reason::PoliciesReplaced
        | Reason::ShuttingDown
        | Reason::Internal => None,
    }
}

#[test]
fn apply_says_why_it_is_denied_and_writes_nothing() {
    let folder = people();
    let mut reasons = 0;
    for reason in Reason::ALL {
        let Some([caller, purpose, request]) = denied_for(*reason) else { continue };
        let mut arguments = vec!["--caller", caller, "--request", request];
        if !purpose.is_empty() {
            arguments.extend(["--purpose", purpose]);
        }
        let run = apply(&folder, &arguments, BODY).exits(1).prints_nothing();
        let first = format!("denied: {}\n  {}\n", reason.code(), reason.title());
        assert!(run.stderr.starts_with(&first), "{run:?}");
        assert!(run.stderr.contains("\n  help: "), "{run:?}");
        reasons += 1;
    }
    assert_eq!(reasons, 11);
    let request = ["--caller", "desk", "--request", "GET /people/1?nmae=Canary-7f3a"];
    let run = apply(&folder, &request, BODY).exits(1).prints_nothing();
    run.says("\n  `nmae` is not listed; ");
    let arguments = [&AS_DESK[..], &["--host", "Canary-7f3a:x"]].concat();
    let run = apply(&folder, &arguments, BODY).exits(1).prints_nothing();
    run.says("denied: host-not-valid\n").says("\n  help: ");
}

/// Of several APIs a caller may use those that it lists.
#[test]
fn an_api_that_is_not_the_callers_is_denied() {
    let two = PEOPLE
        .replace("purposes: [support] }", "purposes: [support], apis: [people] }")
        .replace(
            "purposes: [support, billing] }",
            "purposes: [support, billing], apis: [people, staff] }",
        )
        .replace("purposes: [counting] }", "purposes: [counting], apis: [people] }")
        .replace(
            "rules:",
            "  staff: { host: staff, routes: { GET /staff: { body: { $.id: id } } } }\nrules:",
        );
    let folder = Folder::new(&[("people.yaml", &two)]);
    let staff = ["--host", "staff", "--request", "GET /staff"];
    let run = apply(&folder, &[&["--caller", "desk"][..], &staff].concat(), BODY);
    run.exits(1)
        .prints_nothing()
        .says("denied: api-not-allowed\n")
        .says("the caller may use people");
    let office = ["--caller", "office", "--purpose", "support"];
    apply(&folder, &[&office[..], &staff].concat(), r#"{"id":7}"#).exits(0).prints(r#"{"id":7}"#);
    let explain =
        |who: &[&str]| tamis(&[&["explain", folder.path(), "GET /staff"], who].concat(), "");
    explain(&["--caller", "desk"])
        .exits(1)
        .prints("api-not-allowed")
        .prints("desk is not for staff, only for people (")
        .prints("people.yaml:8)");
    explain(&office).exits(0).prints("$.id");
    // A caller that does not say which it may use would get all, so it is asked.
    tamis(&["check", folder.path()], "").prints("purpose-in-several-apis");
    let silent = two.replacen(", apis: [people] }", " }", 1);
    let run = tamis(&["check", Folder::new(&[("people.yaml", &silent)]).path()], "").exits(1);
    run.prints("apis-missing").prints("there are `people`, `staff`");
}

#[test]
fn apply_proposes_names_of_the_policies() {
    let folder = people();
    let one = "GET /people/1";
    apply(&folder, &["--caller", "x", "--request", one], "").says("desk, office, counters");
    apply(&folder, &["--caller", "desk", "--purpose", "x", "--request", one], "")
        .says("support, billing, counting");
    apply(&folder, &["--caller", "office", "--request", one], "").says("support, billing\n");
    apply(&folder, &["--caller", "desk", "--request", "GET /x"], "").says("'GET /people/{id}'");
}

#[test]
fn apply_refuses_a_body_that_it_cannot_read_to_the_end() {
    let deep = format!(r#"{{"deep":{}"#, "[".repeat(200));
    let cases: [(&str, &[u8], &str, &str); 6] = [
        ("body-unreadable", br#"{"id":7,"name":Canary-7f3a}"#, "byte 15", r#"{"id":7"#),
        ("body-unreadable", b"Canary-7f3a", "byte 0", ""),
        ("body-unreadable", b"{\"id\":7,\"name\":\"\xffCanary-7f3a\"}", "byte 16", ""),
        ("body-too-deep", deep.as_bytes(), "byte 135", r#"{"deep":["#),
        ("body-cut", br#"{"id":7,"name":"Canary-7f3a"#, "cut off", r#"{"id":7"#),
        ("body-cut", b"", "cut off", ""),
    ];
    for (reason, body, at, before) in cases {
        let run = apply_as_desk(&[], body).exits(3);
        assert!(run.stderr.starts_with(&format!("refused: {reason}\n")), "{run:?}");
        assert!(run.printed().starts_with(before), "{run:?}");
        assert!(!run.printed().ends_with('}'), "{run:?}");
        run.says(at).says("stdin").says("incomplete");
    }
}

/// Thousands of paths of which each name reaches thousands, in ever other ways.
#[test]
fn apply_refuses_a_body_whose_states_take_too_much() {
    let lines = (0..2000).map(|n| format!("$.r..c{n}..d: public"));
    let lines = lines.chain((0..7900).map(|n| format!("$.r..a..b{n}: public")));
    let policy = format!(
        "tamis: 1\n\
        purposes: {{ support: {{ title: Answer a customer, legal_basis: contract }} }}\n\
        callers: {{ desk: {{ identify: {{ api_key: desk }}, purposes: [support] }} }}\n\
        apis: {{ many: {{ routes: {{ GET /many: {{ body: {{ {} }} }} }} }} }}\n\
        rules: {{ support: {{}} }}\n",
        lines.collect::<Vec<_>>().join(", ")
    );
    let folder = Folder::new(&[("many.yaml", &policy)]);
    let body = |parts: usize| {
        let members = (0..parts).map(|n| format!(r#""c{n}":{{"a":{{"b1":1}}}}"#));
        format!(r#"{{"r":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
    };
    let arguments = ["--caller", "desk", "--request", "GET /many", "--chunk", "4096"];
    let short = body(20);
    let run = apply(&folder, &arguments, &short).exits(0);
    assert_eq!(run.printed(), short);
    let run = apply(&folder, &arguments, body(2000)).exits(3);
    assert!(run.stderr.starts_with("refused: body-too-complex\n"), "{run:?}");
    run.says("too complex for the policies at byte ").says("incomplete");
}

/// By status and media type `apply` does what the proxy does.
#[test]
fn apply_treats_an_error_as_the_proxy_does() {
    let problem = r#"{"type":"urn:x","title":"Gone","status":410,"detail":"Canary-7f3a"}"#;
    let cases: [(&[&str], &str, &str); 5] = [
        (&["--status", "404"], BODY, r#"{"type":"about:blank","title":"Not Found","status":404}"#),
        (
            &["--status", "410", "--content-type", "application/problem+json"],
            problem,
            r#"{"type":"about:blank","title":"Gone","status":410}"#,
        ),
        (&["--status", "302", "--content-type", "text/html"], "<p>Canary-7f3a", ""),
        (&["--status", "204"], "", ""),
        (&["--status", "201"], "", ""),
    ];
    for (arguments, body, expected) in cases {
        let run = apply_as_desk(arguments, body).exits(0).says_nothing();
        assert_eq!(run.printed(), expected, "{arguments:?}");
    }
    let counts = [cases[1].0, &["--counts"]].concat();
    apply_as_desk(&counts, problem).exits(0).says_nothing();
    let refused = |arguments: &[&str], reason: &str| {
        apply_as_desk(arguments, BODY)
            .exits(3)
            .prints_nothing()
            .says(&format!("refused: {reason}\n"));
    };
    refused(&["--content-type", "text/html"], "media-not-allowed");
    refused(&["--content-type", "application/json; charset=utf-16"], "media-not-allowed");
    refused(&["--status", "206"], "partial-content");
    apply_as_desk(&["--status", "9"], BODY).exits(2).says("--status");
}

#[test]
fn apply_reads_streams_by_their_type() {
    for (media, body, expected) in [
        ("application/x-ndjson", format!("{BODY}\n{BODY}\n"), format!("{DECIDED}\n{DECIDED}\n")),
        ("application/x-ndjson", String::new(), String::new()),
        ("application/json-seq", format!("\x1e{BODY}\n"), format!("\x1e{DECIDED}\n")),
        (
            "text/event-stream",
            format!("id: Canary-7f3a\ndata: {BODY}\n\n: Canary-7f3a\n\n"),
            format!("data: {DECIDED}\n\n:\n\n"),
        ),
    ] {
        for chunk in ["1", "7", "65536"] {
            let arguments = ["--content-type", media, "--chunk", chunk];
            let run = apply_as_desk(&arguments, &body).exits(0).says_nothing();
            assert_eq!(run.printed(), expected, "{media} by {chunk}");
        }
    }
    let body = format!("{BODY}\n{BODY} x\n");
    let at = body.len() - 2;
    apply_as_desk(&["--content-type", "application/x-ndjson"], &body)
        .exits(3)
        .says("refused: body-unreadable\n")
        .says(&format!("no JSON at byte {at}"));
}

#[test]
fn apply_needs_a_key_only_where_a_rule_does() {
    let folder = people();
    let arguments = ["--caller", "counters", "--request", "GET /people"];
    let body = r#"[{"id":"Canary-7f3a"}]"#;
    apply(&folder, &arguments, body).exits(2).prints_nothing().says("--key-file");

    let key = folder.write("key", &"0f".repeat(32));
    let arguments = [&arguments[..], &["--key-file", key.to_str().unwrap()]].concat();
    restrict(&key, 0o644);
    let open = apply(&folder, &arguments, body).exits(0).says("warning: ").says("chmod 600");
    assert!(open.printed().starts_with(r#"[{"id":"p1."#), "{open:?}");
    assert!(!open.printed().contains(CANARY));

    restrict(&key, 0o600);
    let closed = apply(&folder, &arguments, body).exits(0).says_nothing();
    assert_eq!(closed.stdout, open.stdout);
}

/// A file has no head, and of most errors nothing of the body is looked at.
#[test]
fn apply_needs_no_key_for_what_is_not_in_the_body() {
    let more = "people:\n    headers: { response: { X-Id: id } }\n    routes:\n      \
                GET /tags: { validators: { because: it is long }, body: { $.tag: public } }\n      \
                GET /named: { body: { '$.by..*': { category: public, names: id } } }\n";
    let folder = Folder::new(&[("people.yaml", &with_media(more))]);
    let apply = |request: &str, more: &[&str], body: &str| {
        apply(&folder, &[&["--caller", "counters", "--request", request], more].concat(), body)
    };
    let run = apply("GET /tags", &[], r#"{"tag":"a"}"#).exits(0).says_nothing();
    assert_eq!(run.printed(), r#"{"tag":"a"}"#);
    let body = r#"[{"id":"Canary-7f3a"}]"#;
    let error = ["--status", "404", "--content-type", "text/html"];
    let run = apply("GET /people", &error, body).exits(0).says_nothing();
    assert!(run.printed().contains("Not Found") && !run.printed().contains(CANARY), "{run:?}");
    apply("GET /people", &["--content-type", "text/csv"], "1\n").exits(0).prints("1\n");
    apply("GET /people", &["--content-type", "text/html"], body).exits(3).prints_nothing();
    // What is in the body needs it, also where it is a name, and whatever the body is like.
    for (request, body) in [("GET /people", "[]"), ("GET /people", body), ("GET /named", "{}")] {
        apply(request, &[], body).exits(2).prints_nothing().says("in the body").says("--key-file");
    }
}

fn restrict(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_wrong_key_file_is_not_quoted() {
    let folder = people();
    for text in ["", CANARY, &format!("{CANARY:0<64}"), &"0".repeat(4096)] {
        let key = folder.write("key", text);
        restrict(&key, 0o600);
        apply_as_desk(&["--key-file", key.to_str().unwrap()], BODY)
            .exits(2)
            .prints_nothing()
            .says("cannot read the key file")
            .says("64 hexadecimal digits");
    }
    apply_as_desk(&["--key-file", "nowhere"], BODY).exits(2).says("nowhere").prints_nothing();
}

/// What a message says to type is typed: it must not overwrite a key in use, for its pseudonyms would be gone.
#[test]
fn no_help_overwrites_a_key() {
    let folder = people();
    let key = folder.write("key", "");
    let key = key.to_str().unwrap();
    let told = [
        apply_as_desk(&["--key-file", key], BODY).exits(2).says("restore it").stderr,
        apply_as_desk(&["--key-file", folder.path()], BODY).exits(2).says("name the file").stderr,
        apply_as_desk(&["--key-file", "nowhere"], BODY).exits(2).says("in use").stderr,
        apply(&folder, &["--caller", "counters", "--request", "GET /people"], BODY).exits(2).stderr,
        tamis(&["apply", "--help"], "").exits(0).printed(),
        tamis(&["test", "--help"], "").exits(0).printed(),
        include_str!("../../config/tamis.yaml").to_owned(),
        include_str!("../../README.md").to_owned(),
    ];
    let mut commands = 0;
    for told in &told {
        // The help wraps its lines.
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for (before, _) in told.match_indices("openssl rand -hex 32 >") {
            commands += 1;
            assert!(told[..before].ends_with("(umask 077; set -C; "), "{told}");
        }
    }
    assert_eq!(commands, 6);
    let typed = "(umask 077; set -C; openssl rand -hex 32 > FILE)".replace("FILE", key);
    fs::write(key, "a key in use").unwrap();
    assert!(!Command::new("sh").args(["-c", &typed]).status().unwrap().success());
    assert_eq!(fs::read(key).unwrap(), b"a key in use");
}

/// One key is missing, however many purposes and routes need it.
#[test]
fn that_pseudonyms_need_a_key_is_said_once() {
    let people = PEOPLE.replace("support: { id: keep", "support: { id: pseudonym");
    let folder = Folder::new(&[("people.yaml", &people)]);
    let digest = |digit: char| format!("'sha256:{}'", digit.to_string().repeat(64));
    let settings = format!(
        "listen: [{{ address: 127.0.0.1:1 }}]\npolicies: {}\n\
         api_keys: {{ desk: {}, office: {}, counters: {} }}\n\
         upstreams: {{ people: {{ address: 127.0.0.1:2 }} }}\n",
        folder.path(),
        digest('1'),
        digest('2'),
        digest('3')
    );
    let settings = folder.write("settings.txt", &settings);
    let run = tamis(&["serve", "--check", "--config", settings.to_str().unwrap()], "").exits(2);
    assert!(run.stderr.ends_with(
        "error: the policies make pseudonyms: set `keys.root.file` in the settings to the file of the key\n\
         error: settings and policies do not fit\n"
    ), "{run:?}");
    assert_eq!(run.stderr.matches("error: ").count(), 2, "{run:?}");
}

/// Root reads every file, so that this runs as another user where it can.
#[cfg(target_os = "linux")]
#[test]
fn a_key_that_cannot_be_read_is_to_be_made_readable() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};

    let folder = people();
    let key = folder.write("key", &"0".repeat(64));
    restrict(&key, 0o000);
    for path in [folder.0.path(), &folder.0.path().join("people.yaml")] {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let arguments = [
        &["apply", "--policies", folder.path()],
        &AS_DESK[..],
        &["--key-file", key.to_str().unwrap()],
    ];
    let mut command = command(&arguments.concat());
    let uid = rustix::process::geteuid().as_raw();
    let uid = if uid == 0 { 65534 } else { uid };
    if rustix::process::geteuid().is_root() {
        // The binary may lie where only root gets to.
        let copy = folder.0.path().join("tamis");
        fs::copy(env!("CARGO_BIN_EXE_tamis"), &copy).unwrap();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(copy);
        command.args(arguments).current_dir(folder.path()).uid(uid).gid(uid);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    run(command, BODY.as_bytes())
        .exits(2)
        .prints_nothing()
        .says("Permission denied")
        .says(&format!("help: let the user that tamis runs as (uid {uid}) read it\n"));
}

/// Every message about a folder says what to type instead.
#[test]
fn a_file_in_the_place_of_the_folder_is_told_the_folder() {
    let folder = people();
    folder.write("tamis.yaml", "listen: [{ address: 127.0.0.1:1 }]\n");
    let file = format!("{}/people.yaml", folder.path());
    let settings = format!("{}/tamis.yaml", folder.path());
    let ask = ["--caller", "desk", "--request", "GET /people/1"];
    for (command, more) in [
        ("tamis check", &[][..]),
        ("tamis test", &[]),
        ("tamis explain", &["--caller", "desk", "GET /people/1"]),
        ("tamis apply --policies", &ask),
    ] {
        let before: Vec<&str> = command.split(' ').skip(1).collect();
        let given = |path: &str| {
            tamis(&[&before[..], &[path], more].concat(), "").exits(2).prints_nothing()
        };
        given(&file)
            .says(&format!("error: `{file}` is a file: policies are read as a folder"))
            .says(&format!("help: give the folder: `{command} {}`\n", folder.path()));
        given("/nowhere")
            .says(&format!("help: `{command} DIR` reads the policies in the folder DIR\n"));
        given(&settings)
            .says(&format!("help: these are settings: `tamis serve --config {settings} --check`"));
    }
    let settings = folder
        .write("other.yaml", &format!("listen: [{{ address: 127.0.0.1:1 }}]\npolicies: {file}\n"));
    tamis(&["serve", "--check", "--config", settings.to_str().unwrap()], "").exits(2).says(
        &format!("`{file}` is a file: policies are read as a folder, here `{}`\n", folder.path()),
    );
    for (settings, says) in [
        ("nowhere.yaml", "help: `tamis serve --config FILE` names the settings\n"),
        ("config", "help: name the file in it that holds the settings\n"),
        (
            "policies/crm.yaml",
            "help: this is a policy: name the settings, and in them its folder, `policies: policies`\n",
        ),
    ] {
        tamis(&["serve", "--check", "--config", settings], "").exits(2).says(says);
    }
}

#[test]
fn apply_cannot_run_without_what_it_needs() {
    let request = |request: &str| {
        apply(&people(), &["--caller", "desk", "--request", request], BODY).prints_nothing()
    };
    for wrong in [CANARY, "GET Canary-7f3a", "get /Canary-7f3a", "GET /a Canary-7f3a", " /", ""] {
        request(wrong).exits(2).says("error: the request").says("help: ");
    }
    apply_as_desk(&["--today", "2026-02-30"], BODY).exits(2).says("--today").prints_nothing();
    apply_as_desk(&["--state", "200"], BODY).exits(2).says("--state").prints_nothing();
    apply_as_desk(&["nowhere.json"], BODY).exits(2).says("cannot read nowhere.json");
    apply_as_desk(&["src"], BODY).exits(2).says("cannot read src").prints_nothing();
    tamis(&["apply"], BODY).exits(2).says("--caller").says("--request").prints_nothing();

    let nowhere = ["apply", "--policies", "nowhere"];
    tamis(&[&nowhere, &AS_DESK[..]].concat(), BODY).exits(2).says("nowhere").prints_nothing();
    let wrong = Folder::new(&[("people.yaml", &PEOPLE.replace("apis:", "apos:"))]);
    apply(&wrong, &AS_DESK, BODY)
        .exits(2)
        .says("people.yaml:11:1")
        .says("did you mean `apis`?")
        .prints_nothing();
}

#[test]
fn the_day_decides_an_age() {
    let arguments = ["apply", "--caller", "data-team", "--request", "GET /customers", "--key-file"];
    let folder = Folder::new(&[]);
    let key = folder.write("key", &"0f".repeat(32));
    restrict(&key, 0o600);
    let body = r#"{"items":[{"birth_date":"1984-05-12"}]}"#;
    for (today, band) in [("2026-01-01", "40-49"), ("2040-12-31", "50-59")] {
        let day = [key.to_str().unwrap(), "--today", today];
        let run = tamis(&[&arguments[..], &day].concat(), body).exits(0).says_nothing();
        assert_eq!(run.printed(), format!(r#"{{"items":[{{"birth_date":"{band}"}}]}}"#));
    }
}

#[test]
fn a_reader_that_goes_ends_a_command_quietly() {
    let (body, folder) = (format!("[{}1]", "1,".repeat(200_000)), people());
    let kept = PEOPLE.replace(
        "GET /people:\n        body: { '$[*].id': id }",
        "GET /people:\n        body: { $: public }",
    );
    folder.write("people.yaml", &kept);
    let apply =
        ["apply", "--policies", folder.path(), "--caller", "desk", "--request", "GET /people"];
    let explain = ["explain", "--caller", "support-desk", "GET /customers/{id}"];
    for (arguments, stdin) in [
        (&apply[..], body.as_bytes()),
        (&apply[..], b"[1]"),
        (&["check"], b""),
        (&["test"], b""),
        (&explain, b""),
        (&["--help"], b""),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = command(arguments);
        command.stdout(writer);
        run(command, stdin).exits(141).says_nothing();
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let mut command = command(&["check"]);
    command.stdout(full);
    run(command, b"").exits(2).says("cannot write to stdout");
}

#[test]
fn the_shipped_policies_are_fine_and_their_tests_pass() {
    tamis(&["check"], "").exits(0).says_nothing().prints("policies are fine");
    tamis(&["check", "policies"], "").exits(0).prints("digest ");
    tamis(&["test"], "").exits(0).says_nothing().prints(" passed, 0 failed\n");
}

#[test]
fn check_counts_the_series_of_the_metrics() {
    // Denied before it is known what it is about: nobody (1), no declared purpose (3 callers), the
    // purpose of others (2 + 1 + 2), no route (4 pairs of caller and purpose). The pairs on the four
    // routes: 4 decisions each, but 1 where `support` is denied a category (2).
    let requests = 1 + 3 + 5 + 4 + 4 * 4 * 4 - 2 * 3;
    // GET /people/{id}: id, name, email, public; POST: id; GET: id; health. What can be unfit, twice.
    let support = (1 + 1 + 2 + 1) + 1 + 1;
    let billing = (1 + 1 + 1 + 1) + 1 + 1 + 1;
    let counting = (2 + 1 + 1 + 1) + 2 + 2 + 1;
    let accesses = 2 * support + billing + counting;
    // The routes, what is none of them in the api and in none: 2xx, 3xx, 4xx, 5xx, and no status.
    let responses = (4 + 1 + 1) * 5;
    tamis(&["check", people().path()], "").prints(&format!(
        "metrics: at most {requests} series of tamis_requests_total, {accesses} of \
         tamis_field_accesses_total, {responses} of tamis_responses_total\n"
    ));
}

const LIVE: &str = "\
tests:
  - name: Anybody may ask whether it lives
    when: { request: GET /live }
    upstream: { text: yes it does, content_type: text/plain }
    output: yes it does
  - name: Nobody else gets anything
    when: { request: GET /people/1 }
    refused: caller-unknown
  - name: Nor gRPC
    when: { request: GET /live }
    upstream: { text: x, content_type: application/grpc }
    refused: media-not-allowed
";

#[test]
fn what_passes_unread_passes_in_every_command() {
    let open = "  people:
    cors: { origins: [\"https://app.test\"], because: it is ours }
    routes:
      GET /live: { pass: { because: it says whether it lives, anybody: true } }
";
    let people = with_media(open.trim_start());
    let folder = Folder::new(&[("people.yaml", &people), ("people.test.yaml", LIVE)]);
    let opaque = r#"{"category":"opaque","action":"keep","accesses":1}"#;
    for (request, media, body) in [
        ("GET /people/1", "text/csv", "a;b\n"),
        ("GET /live", "text/html", "<p>\u{e9}</p>"),
        ("GET /live", "application/json", "{"),
    ] {
        let arguments =
            ["--caller", "desk", "--request", request, "--content-type", media, "--counts"];
        let run = apply(&folder, &arguments, body).exits(0);
        assert_eq!((&*run.printed(), run.stderr.trim_end()), (body, opaque));
    }
    let arguments = ["--caller", "desk", "--request", "GET /live"];
    apply(&folder, &arguments, vec![b'x'; (64 << 20) + 1])
        .exits(3)
        .says("refused: body-too-large\n")
        .says("is incomplete");
    tamis(&["test", folder.path()], "").exits(0).prints("3 passed, 0 failed\n");
    tamis(&["explain", folder.path(), "--caller", "desk", "GET /live"], "")
        .exits(0)
        .prints("Whatever is answered passes unread, because: it says whether it lives\n")
        .prints("It need not be known who asks, nor what for.\n")
        .prints("Pages of https://app.test may ask from a browser, because: it is ours\n");
    // As in the test above, and the new route: four pairs; nobody, and the office without a purpose. A
    // preflight is answered or denied. One more access of each plan of the two routes with `media`, and of the new one.
    let requests = 71 + (4 + 2) * 4 + 2;
    let accesses = 31 + 4 * (2 + 1) + 2;
    let responses = (4 + 1 + 1 + 1 + 1) * 5;
    tamis(&["check", folder.path()], "").prints(&format!(
        "metrics: at most {requests} series of tamis_requests_total, {accesses} of \
         tamis_field_accesses_total, {responses} of tamis_responses_total\n"
    ));
}

const TASKS: &str = r#"
tamis: 1
categories: { contact.email: E-mail address }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { desk: { identify: { api_key: desk-2026 }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /tasks:
        body:
          "$.tasks[?@.owner == $.viewer.id].mail": contact.email
          "$.tasks[*].owner": public
          $.viewer.id: public
        buffer: document
      GET /log: { body: { "$.log[-1]": public } }
      GET /ping: { body: { $.ok: public } }
rules: { support: { contact: mask } }
"#;

#[test]
fn check_and_explain_say_what_is_held() {
    let folder = Folder::new(&[("tasks.yaml", TASKS)]);
    let short = tamis(&["check", folder.path()], "").printed();
    assert!(!short.contains("memory"), "{short}");
    assert!(short.ends_with(" of tamis_responses_total\n"), "{short}");
    tamis(&["check", folder.path(), "--memory"], "").prints(&format!("{short}memory: ")).prints(
        "memory: 1 of 3 routes hold nothing of a body; for the purpose that takes most:\n  \
         GET /tasks of crm\n    \
         $.tasks[?@.owner == $.viewer.id].mail  holds one value up to `limits.value_bytes`; \
         holds the whole document up to `limits.document_bytes`\n  \
         GET /log of crm\n    \
         $.log[-1]  waits for one more element, together up to `limits.candidate_bytes`\n  \
         Unless the settings say otherwise, `limits.candidate_bytes` is 1 MiB, \
         `limits.document_bytes` is 8 MiB, `limits.value_bytes` is 64 KiB.\n",
    );
    let held = r#"{"path":"$.tasks[?@.owner == $.viewer.id].mail","holds":[{"class":"value","limit":"limits.value_bytes","bytes":65536},{"class":"document","limit":"limits.document_bytes","bytes":8388608}]}"#;
    let streams = r#"{"path":"$.viewer.id","holds":[{"class":"streams"}]}"#;
    let window = r#"{"api":"crm","route":"GET /log","paths":[{"path":"$.log[-1]","holds":[{"class":"window","elements":1,"limit":"limits.candidate_bytes","bytes":1048576}]}]}"#;
    tamis(&["check", folder.path(), "--format", "json"], "")
        .prints(held)
        .prints(streams)
        .prints(window);
    let explain = ["explain", folder.path(), "--caller", "desk", "GET /tasks"];
    tamis(&explain, "")
        .exits(0)
        .prints("Memory:\n")
        .prints("any other path ")
        .prints("`limits.document_bytes` is 8 MiB");
    let run = tamis(&[&explain[..], &["--format", "json"]].concat(), "").exits(0);
    let run =
        run.prints(held).prints(streams).prints(r#"{"denied":null,"opening":["desk asks for"#);
    assert_eq!(run.printed().lines().count(), 1, "{run:?}");
    let denied = ["explain", folder.path(), "--caller", "desk", "GET /x", "--format", "json"];
    tamis(&denied, "").exits(1).prints(r#"{"denied":"route-unknown","#);
    // The route holds what it has to, and no more than it may.
    let apply =
        ["apply", "--policies", folder.path(), "--caller", "desk", "--request", "GET /tasks"];
    let body = r#"{"tasks":[{"owner":1,"mail":"anna@example.org"},{"owner":2}],"viewer":{"id":1}}"#;
    let left = r#"{"tasks":[{"owner":1,"mail":"********"},{"owner":2}],"viewer":{"id":1}}"#;
    assert_eq!(tamis(&apply, body).exits(0).printed(), left);
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(8 << 20));
    tamis(&apply, &large).exits(3).prints_nothing().says("refused: body-too-large\n");
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let wrong = PEOPLE.replace("name: keep", "nome: keep");
    let folder = Folder::new(&[("people.yaml", &wrong)]);
    let run = tamis(&["check", folder.path()], "").exits(1).says_nothing();
    let run = run.prints("error[").prints("people.yaml:24:24").prints("did you mean `name`?");
    assert!(run.printed().ends_with("\n1 error, 1 warning\n"), "{run:?}");
}

#[test]
fn check_prints_json_for_machines() {
    let objects = |run: Run| -> Vec<serde_json::Value> {
        run.printed().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let fine = objects(tamis(&["check", "--format", "json"], "").exits(0).says_nothing());
    let summary = &fine.last().unwrap()["summary"];
    assert_eq!(summary["errors"], 0);
    assert!(summary["apis"].as_u64().unwrap() > 0);
    assert!(summary["series"]["requests"].as_u64().unwrap() > 0);

    let folder = Folder::new(&[("people.yaml", &PEOPLE.replace("apis:", "apos:"))]);
    let wrong = objects(tamis(&["check", folder.path(), "--format", "json"], "").exits(1));
    assert_eq!((&wrong[0]["rank"], &wrong[0]["line"]), (&"error".into(), &11.into()));
    assert!(wrong[0]["file"].as_str().unwrap().ends_with("people.yaml"));
    assert_eq!(wrong.last().unwrap()["summary"]["apis"], serde_json::Value::Null);
}

#[test]
fn a_folder_that_cannot_be_read_is_not_a_folder_without_errors() {
    let empty = Folder::new(&[]);
    let only_tests = Folder::new(&[("a.test.yaml", "tests: []\n")]);
    let explain = |dir| vec!["explain", dir, "--caller", "x", "GET /x"];
    for dir in ["nowhere", "Cargo.toml", empty.path(), only_tests.path()] {
        for arguments in [vec!["check", dir], vec!["test", dir], explain(dir)] {
            tamis(&arguments, "").exits(2).prints_nothing().says("error: ").says(dir);
        }
    }
}

/// Runs one test with these claims about `body`, and gives what is printed without the summary.
fn claims(body: &str, claims: &str) -> Run {
    let upstream = serde_json::to_string(&serde_json::json!({ "json": body })).unwrap();
    let test = format!(
        "tests:\n  - name: One\n    when: {{ caller: desk, request: GET /people/1 }}\n    \
         upstream: {upstream}\n{claims}\n"
    );
    let folder = Folder::new(&[("people.yaml", PEOPLE), ("people.test.yaml", &test)]);
    tamis(&["test", folder.path()], "").says_nothing()
}

#[test]
fn a_claim_that_holds_passes() {
    for (body, claim) in [
        (r#"{"id":5.40}"#, "    expect: { $.id: 5.4 }"),
        (r#"{"id":54e-1}"#, "    expect: { $.id: 5.40 }"),
        (r#"{"id":12345678901234567890}"#, "    expect: { $.id: 12345678901234567890 }"),
        (r#"{"tags":[1,"a"],"id":1}"#, "    expect: { $: { id: 1, tags: [1.0, a] } }"),
        (r#"{"tags":["a1","a2",3]}"#, "    expect: { '$.tags[*]': { matches: '^a?[1-3]$' } }"),
        (r#"{"x": 1, "id" : 1}"#, "    output: '{ \"id\" : 1}'"),
        (r#"{"x":1}"#, "    absent: [$.x, $..x, '$.tags[0]']"),
        (r#"{"secret":"Anna","name":"Bob"}"#, "    never: [Anna, secret]"),
        (r#"{"tags":[1,1.0,1]}"#, "    same: ['$.tags[*]']"),
        (r#"{"id":1,"name":1.0}"#, "    same: [$.id, $.name]"),
        (r#"{"tags":[1,"1",2]}"#, "    differs: ['$.tags[*]']"),
        (r#"{"id":"#, "    refused: body-cut"),
    ] {
        claims(body, claim).exits(0).prints("1 passed, 0 failed\n");
    }
}

#[test]
fn a_claim_that_does_not_hold_says_where_what_and_instead_of_what() {
    for (body, claim, column, what) in [
        (r#"{"id":1}"#, "    expect: { $.id: 2 }", 15, "expect $.id: expected 2, and it is 1"),
        (r#"{"id":1}"#, "    expect: { $.id: \"1\" }", 15, "expected \"1\", and it is 1"),
        ("{}", "    expect: { $.id: 2 }", 15, "expected 2, and it is not there"),
        (r#"{"tags":[1,1]}"#, "    expect: { '$.tags[*]': 1 }", 15, "it selects 2 nodes, not one"),
        (r#"{"id":1,"id":1}"#, "    expect: { $.id: 1 }", 15, "it selects 2 nodes, not one"),
        (r#"{"tags":["a","b"]}"#, "    expect: { '$.tags[*]': { matches: a } }", 15, "it is \"b\""),
        (r#"{"tags":[]}"#, "    expect: { '$.tags[*]': { matches: a } }", 15, "not there"),
        (r#"{"tags":[]}"#, "    expect: { '$.tags': { matches: '.*' } }", 15, "it is []"),
        (
            r#"{"id": 1}"#,
            "    output: '{\"id\":1}'",
            13,
            r#"expected {"id":1}, and it is {"id": 1}"#,
        ),
        (r#"{"id":1}"#, "    absent: [$.x, $.id]", 19, "absent $.id: it is there: 1"),
        (
            r#"{"name":"Anna"}"#,
            "    never: [Bob, Anna]",
            18,
            "never \"Anna\": it stands in the output",
        ),
        (r#"{"name":"\u0041nna"}"#, "    never: [Anna]", 13, "once that is decoded"),
        (r#"{"name":"\u0041nna","name":1}"#, "    never: [Anna]", 13, "once that is decoded"),
        (r#"{"deep":{"\u0041nna":1}}"#, "    never: [Anna]", 13, "once that is decoded"),
        (r#"{"tags":[1,2]}"#, "    same: ['$.tags[*]']", 11, "same: 1 and 2 differ"),
        (r#"{"tags":[1]}"#, "    same: ['$.tags[*]', '$.tags[0]']", 11, "and there is one"),
        (r#"{"tags":[1,2,1.0]}"#, "    differs: ['$.tags[*]']", 14, "is there twice"),
        (r#"{"id":1}"#, "    differs: [$.id, $.x]", 14, "at least two nodes, and there is one"),
        ("{}", "    refused: body-cut", 14, "expected refused: body-cut, and it is allowed"),
        ("{", "    refused: body-unreadable", 14, "and it is refused: body-cut"),
    ] {
        let run = claims(body, claim).exits(1).prints(what).prints("0 passed, 1 failed\n");
        let at = format!("people.test.yaml:5:{column}: One: ");
        assert_eq!(run.printed().matches(&at).count(), 1, "{at} {claim}: {run:?}");
        assert_eq!(run.printed().lines().count(), 2, "{run:?}");
    }
    // Of two long bodies, the part where they differ.
    let tags: Vec<String> = (0..500).map(|tag| tag.to_string()).collect();
    let long = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
    let claim = format!("    output: '{}'", long.replace("450", "x"));
    let run = claims(&long, &claim).exits(1).prints("449,x,451").prints("449,450,451");
    assert!(run.printed().len() < 1000, "{run:?}");
    // No answer, where a claim is about one.
    claims("{", "    expect: { $.id: 1 }").exits(1).prints("refused: body-cut");
}

const WITH_HEADERS: &str = "\
tests:
  - name: One
    when: { caller: desk, request: GET /people/1 }
    upstream: {}
    upstream_headers: { X-Mail: [canary-7f3a@example.org, tom@example.org], X-Health: good, X-Name: Anna }
";

#[test]
fn claims_about_headers_hold_or_say_what_came() {
    let headers =
        "  people:\n    headers: { response: { X-Mail: email, X-Health: health, X-Name: name } }\n";
    let people = PEOPLE.replace("  people:\n", headers).replace("health: deny", "health: drop");
    let claims = |claim: &str| {
        let test = format!("{WITH_HEADERS}    {claim}\n");
        let folder = Folder::new(&[("people.yaml", &people), ("people.test.yaml", &test)]);
        tamis(&["test", folder.path()], "").says_nothing()
    };
    for claim in [
        "headers: { x-mail: ['********.org', '********.org'], X-Name: Anna, X-Health: null }",
        "headers: { X-Mail: { matches: '^[*]{8}' }, X-Other: null }",
        "never: [canary, good]",
    ] {
        claims(claim).exits(0).prints("1 passed, 0 failed\n");
    }
    for (claim, what) in [
        ("headers: { X-Name: Tom }", "header X-Name: expected \"Tom\", and it is \"Anna\""),
        ("headers: { X-Name: null }", "expected nothing, and it is \"Anna\""),
        ("headers: { X-Health: good }", "expected \"good\", and it is nothing"),
        ("headers: { X-Mail: '********.org' }", "and it is \"********.org\", \"********.org\""),
        ("headers: { X-Name: { matches: '^T' } }", "a match of \"^T\", and it is \"Anna\""),
        ("headers: { X-Health: { matches: g } }", "and it does not leave"),
        ("never: [Anna]", "never \"Anna\": it stands in the header x-name"),
    ] {
        claims(claim).exits(1).prints(what).prints("0 passed, 1 failed\n");
    }
}

const TWO_TESTS: &str = "\
tests:
  - name: The desk sees a name
    when: { caller: desk, request: GET /people/1 }
    upstream: { name: Anna }
    expect: { $.name: Anna }
  - name: The office is denied
    when: { caller: office, request: GET /people/1 }
    upstream: { name: Anna }
    absent: [$.x]
";

#[test]
fn a_denied_test_fails_unless_it_says_so() {
    let folder = Folder::new(&[("people.yaml", PEOPLE), ("people.test.yaml", TWO_TESTS)]);
    tamis(&["test", folder.path()], "")
        .exits(1)
        .prints("The office is denied: expected an answer, and it is denied: purpose-missing\n")
        .prints("1 passed, 1 failed\n");
    let expected = TWO_TESTS.replace("absent: [$.x]", "refused: purpose-unknown");
    folder.write("people.test.yaml", &expected);
    tamis(&["test", folder.path()], "")
        .exits(1)
        .prints("expected refused: purpose-unknown, and it is denied: purpose-missing\n");
    folder.write("people.test.yaml", &expected.replace("purpose-unknown", "purpose-missing"));
    tamis(&["test", folder.path()], "").exits(0).prints("2 passed, 0 failed\n");
}

/// Which parameter it is, and which line says so.
#[test]
fn a_parameter_that_is_not_taken_is_named_with_its_line() {
    let policy = PEOPLE
        .replace("page: public,", "page: public, sort: { values: [up, down], because: of order },");
    let line = |text: &str| policy.lines().position(|line| line.contains(text)).unwrap() + 1;
    let (params, route, rule) =
        (line("params:"), line("GET /people/{id}:"), line("support: { id: keep"));
    for (query, reason, parameter) in [
        (
            "email=a@example.org",
            "parameter-withheld",
            format!(
                "`email` takes a value only where it leaves as it is; it is masked but for the last 4 characters for support: email (E-mail address) (people.yaml:{params}, rule people.yaml:{rule})"
            ),
        ),
        (
            "pge=1",
            "parameter-not-allowed",
            format!("`pge` is not listed; did you mean `page`? (people.yaml:{route})"),
        ),
        (
            "page=1&page=2",
            "parameter-not-allowed",
            "`page` is repeated, and can stand once".to_owned(),
        ),
        ("id=1", "parameter-not-allowed", "`id` is a parameter of the path already".to_owned()),
        (
            "sort=sideways",
            "parameter-not-allowed",
            format!("`sort` can only be one of up, down (people.yaml:{params})"),
        ),
        (
            "email=a&sort=x",
            "parameter-not-allowed",
            format!("`sort` can only be one of up, down (people.yaml:{params})"),
        ),
    ] {
        let request = format!("GET /people/1?{query}");
        let test = format!(
            "tests:\n  - name: One\n    when: {{ caller: desk, request: \"{request}\" }}\n    upstream: {{}}\n    absent: [$.x]\n"
        );
        let folder = Folder::new(&[("people.yaml", &policy), ("people.test.yaml", &test)]);
        // The policies are told by their whole name where the folder is.
        let told = parameter.replace("people.yaml:", &format!("{}/people.yaml:", folder.path()));
        let run = tamis(&["test", folder.path()], "").exits(1);
        let printed = run.printed().replace(&told, &parameter);
        let expected = format!("expected an answer, and it is denied: {reason}: {parameter}\n");
        assert!(printed.contains(&expected), "{expected} {printed}");
        let run = apply(&folder, &["--caller", "desk", "--request", &request], BODY).exits(1);
        let said = run.stderr.replace(&told, &parameter);
        assert!(said.contains(&format!("\n  {parameter}\n")), "{parameter} {said}");
    }
    // Other denials say nothing of parameters.
    let test = "tests:\n  - name: One\n    when: { caller: desk, request: GET /x?a=b }\n    upstream: {}\n    absent: [$.x]\n";
    let folder = Folder::new(&[("people.yaml", &policy), ("people.test.yaml", test)]);
    tamis(&["test", folder.path()], "").exits(1).prints("it is denied: route-unknown\n");
}

const FROM_FILES: &str = "\
fixtures:
  anna: { file: anna.json }
  all: { file: fixtures/more/all.json }
  tom: { name: Tom }
tests:
  - name: The desk sees a name
    when: { caller: desk, request: GET /people/1 }
    upstream: { fixture: anna }
    output: '{\"id\": 5.40,\"name\":\"Anna\"}'
  - name: Everybody is there
    when: { caller: desk, request: GET /people }
    upstream: [{ fixture: anna }, { fixture: tom }, { fixture: all }]
    expect: { '$[0].id': 5.4 }
";

#[test]
fn fixtures_can_be_files() {
    let folder = Folder::new(&[("people.yaml", PEOPLE), ("people.test.yaml", FROM_FILES)]);
    fs::create_dir_all(folder.0.path().join("fixtures/more")).unwrap();
    folder.write("anna.json", "\n{\"id\": 5.40, \"secret\": 1,\"name\":\"Anna\"}\n");
    folder.write("fixtures/more/all.json", "{\"id\": 1}\n");
    tamis(&["test", folder.path()], "").exits(0).prints("2 passed, 0 failed\n");
    let fine = tamis(&["check", folder.path()], "").prints("2 tests").printed();
    assert!(!fine.contains("fixture"), "{fine}");
    let wrong = |message: &str, line: usize, column: usize| {
        for command in ["check", "test"] {
            let run = tamis(&[command, folder.path()], "").exits(1);
            let printed = run.printed().replace(&format!("{}/", folder.path()), "");
            let expected = format!("error[fixture-file]: {message}\n");
            assert!(printed.contains(&expected), "{expected}\n{printed}");
            let place = format!("--> people.test.yaml:{line}:{column}\n");
            assert!(printed.contains(&place), "{place}\n{printed}");
        }
    };
    folder.write("anna.json", "{\"id\": }");
    wrong("`anna.json` is not a JSON document: expected value at line 1 column 8", 2, 17);
    fs::remove_file(folder.0.path().join("anna.json")).unwrap();
    wrong("`anna.json` cannot be read: No such file or directory (os error 2)", 2, 17);
    folder.write("anna.json", "1");
    for path in ["../people.json", "/etc/hostname", "fixtures//a.json", "./a.json", "a/../b.json"] {
        folder.write("people.test.yaml", &FROM_FILES.replace("anna.json", path));
        wrong(&format!("`{path}` is not a file below the folder of the policies"), 2, 17);
    }
    folder.write(
        "people.test.yaml",
        &FROM_FILES
            .replace("{ fixture: anna }, { fixture: tom }, ", "")
            .replace("{ fixture: anna }", "{}"),
    );
    tamis(&["check", folder.path()], "").prints("no test uses the fixture `anna`");
    // Together they are as large as a folder of policies at most.
    folder.write("people.test.yaml", FROM_FILES);
    folder.write("anna.json", &format!("\"{}\"", "x".repeat((1 << 20) - 2)));
    let many: Vec<String> = (0..17).map(|n| format!("  f{n}: {{ file: anna.json }}\n")).collect();
    let many = many.concat();
    folder.write(
        "people.test.yaml",
        &FROM_FILES.replace("fixtures:\n", &format!("fixtures:\n{many}")),
    );
    tamis(&["check", folder.path()], "")
        .exits(1)
        .prints("the fixtures are larger than 16777216 bytes together");
}

#[test]
fn tests_can_be_chosen_and_listed() {
    let folder = Folder::new(&[("people.yaml", PEOPLE), ("people.test.yaml", TWO_TESTS)]);
    let test = |arguments: &[&str]| tamis(&[&["test", folder.path()], arguments].concat(), "");
    test(&["--only", "desk"]).exits(0).prints("1 passed, 0 failed\n");
    test(&["--only", "nothing"]).exits(2).says("no test has").prints_nothing();
    let list = test(&["--list"]).exits(0).printed();
    assert_eq!(list.lines().count(), 2);
    assert!(list.contains("people.test.yaml:6:"), "{list}");
    assert!(list.ends_with(": The office is denied\n"), "{list}");
}

#[test]
fn tests_of_wrong_policies_are_not_run() {
    let wrong = PEOPLE.replace("apis:", "apos:");
    let folder = Folder::new(&[("people.yaml", &wrong), ("people.test.yaml", TWO_TESTS)]);
    tamis(&["test", folder.path()], "")
        .exits(1)
        .prints("people.yaml:11:1")
        .prints("no test was run");
}

#[test]
fn explain_says_what_leaves_and_which_line_decides() {
    let folder = people();
    let explain =
        |arguments: &[&str]| tamis(&[&["explain"], arguments].concat(), "").says_nothing();
    explain(&["--caller", "support-desk", "GET /customers/{id}"])
        .exits(0)
        .prints("Answer a customer")
        .prints("$.iban")
        .prints("crm.yaml:65");
    explain(&[folder.path(), "--caller", "desk", "GET /people/{id}"]).exits(0).prints("$.email");
    explain(&["--caller", "desk", folder.path(), "GET /people/1"]).exits(0).prints("$.name");
    let one =
        explain(&[folder.path(), "GET /people/{id}", "--caller", "desk", "--path", "$.email"]);
    let one = one.exits(0).prints("$.email").printed();
    assert!(!one.contains("$.name"), "{one}");

    let denied = [
        (&["--caller", "nobody"][..], "GET /people/1", Reason::CallerUnknown),
        (&["--caller", "office"], "GET /people/1", Reason::PurposeMissing),
        (&["--caller", "desk", "--purpose", "fun"], "GET /people/1", Reason::PurposeUnknown),
        (&["--caller", "desk", "--purpose", "billing"], "GET /people/1", Reason::PurposeNotAllowed),
        (&["--caller", "desk"], "GET /x", Reason::RouteUnknown),
        (&["--caller", "desk"], "GET /people/...", Reason::PathAmbiguous),
        (&["--caller", "desk"], "GET /health", Reason::CategoryDenied),
        (&["--caller", "desk"], "POST /people", Reason::RequestBodyNotAllowed),
        (&["--caller", "desk"], "GET /people/1?q=x", Reason::ParameterNotAllowed),
        (&["--caller", "desk"], "GET /people/1?email=x", Reason::ParameterWithheld),
    ];
    for (who, request, reason) in denied {
        let run = explain(&[&[folder.path()], who, &[request]].concat());
        run.exits(1).prints(reason.code());
    }
}

#[test]
fn explain_cannot_run_without_a_request_and_a_path_that_are_ones() {
    let desk = ["explain", "--caller", "support-desk"];
    let explain =
        |arguments: &[&str]| tamis(&[&desk[..], arguments].concat(), "").exits(2).prints_nothing();
    explain(&["policies"]).says("'GET /customers/C-1042'");
    explain(&[]).says("<METHOD /PATH>");
    explain(&["policies", "GET /x", "more"]).says("more");
    explain(&["GET /customers", "--path", "$.a b"]).says("--path").says("character 4");
    explain(&["GET /customers", "--path", "$.a[?in(@.b, 1)]"]).says("no function").says("help: ");
    tamis(&["explain", "GET /customers"], "").exits(2).says("--caller <NAME>").prints_nothing();
}

#[test]
fn help_teaches_exit_codes_and_an_example() {
    for arguments in
        [&["--help"][..], &["apply", "-h"], &["check", "-h"], &["test", "-h"], &["explain", "-h"]]
    {
        let run = tamis(arguments, "").exits(0).says_nothing();
        run.prints("Exit codes:").prints("Example").prints("  2 ").prints("  tamis ");
    }
    tamis(&["--version"], "").exits(0).prints(env!("CARGO_PKG_VERSION"));
    for wrong in [&[][..], &["frobnicate"], &["check", "--colour"], &["check", "a", "b"]] {
        let run = tamis(wrong, "").exits(2).prints_nothing();
        run.says("Usage: tamis");
    }
}

#[test]
fn a_variable_that_is_not_read_is_told_and_stops_nothing() {
    let folder = people();
    let settings = folder.write(
        "tamis.yml.txt",
        &format!(
            "listen: [{{ address: 127.0.0.1:1 }}]\npolicies: {}\nkeys: {{ root: {{ file: {}/key }} }}\n\
             api_keys: {{ desk: 'sha256:{:064}', office: 'sha256:{:064}', counters: 'sha256:{:064}' }}\n\
             upstreams: {{ people: {{ address: 127.0.0.1:2 }} }}\n",
            folder.path(), folder.path(), 1, 2, 3
        ),
    );
    restrict(&folder.write("key", &"0".repeat(64)), 0o600);
    let serve = |variables: &[(&str, &str)]| {
        let mut command = command(&["serve", "--check", "--config", settings.to_str().unwrap()]);
        command.envs(variables.iter().copied());
        run(command, b"")
    };
    // A service of the name `tamis` in Kubernetes, and a variable that is ours.
    let run = serve(&[
        ("TAMIS_SERVICE_HOST", "10.0.0.1"),
        ("TAMIS_PORT", "tcp://10.0.0.1:8080"),
        ("TAMIS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("TAMIS_KERNEL", "portable"),
        ("TAMIS_LOG", "info"),
    ]);
    assert!(!run.exits(0).stderr.contains("TAMIS_"));
    serve(&[("TAMIS_LIMITS_DEPTH", CANARY)]).exits(0).says(
        "warning: TAMIS_LIMITS_DEPTH: this variable is not read\n  \
         help: did you mean `TAMIS__LIMITS__DEPTH`?\n",
    );
    serve(&[("TAMIS__LIMITS_DEPTH", "3")]).exits(2).says("did you mean `TAMIS__LIMITS__DEPTH`?");
}

#[test]
fn help_and_version_are_commands_too() {
    for (command, option) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "serve"], &["serve", "--help"]),
        (&["help", "check"], &["check", "--help"]),
        (&["version"], &["--version"]),
        (&["version"], &["-V"]),
    ] {
        let [command, option] =
            [command, option].map(|words| tamis(words, "").exits(0).says_nothing().printed());
        assert_eq!(command, option);
    }
    tamis(&["help", "frobnicate"], "").exits(2).says("frobnicate").prints_nothing();
}

/// What somebody typed who knows other tools, and what the message says to type.
#[test]
fn an_argument_that_is_not_taken_is_told_what_is() {
    for (typed, meant) in [
        (
            "serve config/tamis.yaml",
            "use `--config` to name the settings: `tamis serve --config config/tamis.yaml`",
        ),
        ("serve --check config/tamis.yaml", "`tamis serve --config config/tamis.yaml`"),
        ("serve policies", "and there `policies: policies` to name the folder of the policies"),
        (
            "serve --policies policies",
            "the settings name the folder of the policies: `policies: DIR`",
        ),
        ("serve --listen 127.0.0.1:1", "is said in the settings: `tamis serve --config FILE`"),
        ("serve --confg config/tamis.yaml", "a similar argument exists: '--config'"),
        (
            "check --policies policies",
            "the folder of the policies is an argument: `tamis check DIR`",
        ),
        ("test --policies=policies", "the folder of the policies is an argument: `tamis test DIR`"),
        (
            "explain --policies policies",
            "the folder of the policies is an argument: `tamis explain DIR`",
        ),
        ("check --config config/tamis.yaml", "only `tamis serve` reads settings"),
        ("check a b", "`tamis check` takes one folder, and reads all its files"),
        ("apply --caller desk GET /x", "write method and path in one argument, in quotes"),
        (
            "explain --caller desk policies GET /x",
            "write method and path in one argument, in quotes",
        ),
        ("validate policies", "the commands are serve, demo, apply, check, test, explain, version"),
        ("chekc policies", "a similar subcommand exists: 'check'"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let run = tamis(&words, "").exits(2).prints_nothing().says(meant);
        assert_eq!(run.stderr.matches("tip: ").count(), 1, "{typed}: {run:?}");
    }
    // No tip is better than one that leads astray: no value of tamis begins with a dash.
    let run = tamis(&["check", "-v"], "").exits(2).says("unexpected argument '-v'");
    assert!(!run.stderr.contains("tip: "), "{run:?}");
}

#[test]
fn check_shows_the_first_of_many_findings() {
    let keys: Vec<String> = (0..20_000).map(|index| format!("key{index}: 1\n")).collect();
    let keys = keys.concat();
    let folder = Folder::new(&[("a.yaml", &format!("tamis: 1\n{keys}"))]);
    let run =
        tamis(&["check", folder.path()], "").exits(1).prints("and 19950 more of `unknown-key`");
    assert_eq!(run.printed().matches("error[unknown-key]").count(), 50);
    let run = tamis(&["check", folder.path(), "--format", "json"], "").exits(1);
    let printed = run.printed();
    assert_eq!(printed.lines().count(), 51);
    let last: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(last["summary"]["errors"], 20_000);
    assert_eq!(last["summary"]["more"]["unknown-key"], 19_950);
    tamis(&["explain", folder.path(), "--caller", "a", "GET /"], "")
        .exits(2)
        .says("and 19950 more of `unknown-key`");
}
