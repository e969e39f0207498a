//! What redbot, a linter of HTTP, says of responses as they come from the upstream, and through tamis.

use std::{collections::BTreeSet, io::ErrorKind, net::SocketAddr, process::Command};

use crate::serve::{Setup, upstream};

const POLICY: &str = "
tamis: 1
categories: { secret: Secret }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { neighbour: { identify: { sidecar: true }, purposes: [support] } }
apis: { crm: { routes: { 'GET /rows/{n}': { params: { n: public }, body: { $.id: public, $.secret: secret } } } } }
rules: {}
";

/// Paths, and what the upstream answers.
const ANSWERS: [(&str, &str); 4] = [
    ("/rows/1", "HTTP/1.1 200 OK"),
    ("/rows/2", "HTTP/1.1 404 Not Found"),
    ("/rows/3", "HTTP/1.1 503 Service Unavailable"),
    ("/nowhere", "HTTP/1.1 404 Not Found"),
];

/// What redbot says only of what tamis sends, and why that is as it should be.
const EXPLAINED: &[(&str, &str)] = &[
    ("This response can't be stored by caches.", "`no-store` is what tamis says of everything"),
    ("The server's clock is correct.", "tamis says when it answers, which this upstream does not"),
    ("The server has forbidden this request.", "there is no route for this path"),
    ("gzip compression", "tamis packs what is short, too: it may go on for long"),
];

fn notes(address: SocketAddr, path: &str) -> Option<BTreeSet<String>> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python/bin/redbot");
    let run = Command::new(program).arg(format!("http://{address}{path}")).output();
    let output = match run {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: no redbot: `make test` installs it");
            return None;
        }
        Err(error) => panic!("redbot: {error}"),
    };
    assert!(output.starts_with("HTTP/1.1 "), "{output}");
    let notes = output.lines().filter_map(|line| line.strip_prefix("  * "));
    Some(notes.map(str::to_owned).collect())
}

#[test]
fn redbot_has_no_complaint_that_is_not_explained() {
    let body = r#"{"id":1042,"secret":"CANARY"}"#;
    let upstream = upstream(move |path| {
        let (_, head) = ANSWERS.iter().find(|(known, _)| *known == path).unwrap();
        let length = body.len();
        format!(
            "{head}\r\nContent-Length: {length}\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Cache-Control: max-age=60\r\n\r\n{body}"
        )
        .into()
    });
    let upstreams = [("crm", upstream, "http1")];
    let tamis =
        Setup { policies: &[("p.yaml", POLICY)], upstreams: &upstreams, settings: "" }.start();
    for (path, _) in ANSWERS {
        let Some(before) = notes(upstream, path) else { return };
        let behind = notes(tamis.address, path).unwrap();
        let new: Vec<&String> = behind.difference(&before).collect();
        println!(
            "{path}: {} notes without tamis, {} with it, of which new: {new:?}",
            before.len(),
            behind.len()
        );
        for note in new {
            let is_explained = EXPLAINED.iter().any(|(known, _)| note.contains(known));
            assert!(is_explained, "{path}: {note}");
        }
    }
}
