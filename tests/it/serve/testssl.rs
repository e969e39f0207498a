//! What `testssl.sh`, which looks for what is weak in TLS, finds in a listener.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use serde_json::Value;

use crate::serve::{
    doors::{Own, setup},
    free_port, until,
};

/// What is looked at: versions, what the server prefers and says of itself, its headers, and all weaknesses
/// that have a name. To try every cipher and to play every browser would take many times as long.
const ASKED: [&str; 5] = ["-p", "-P", "-S", "-h", "-U"];

/// What has to have been looked at, by the names that testssl gives.
const SEEN: [&str; 27] = [
    "SSLv2",
    "SSLv3",
    "TLS1",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "cipher_order",
    "cert_chain_of_trust",
    "cert_trust",
    "HTTP_status_code",
    "heartbleed",
    "CCS",
    "ticketbleed",
    "ROBOT",
    "secure_renego",
    "secure_client_renego",
    "CRIME_TLS",
    "BREACH",
    "POODLE_SSL",
    "fallback_SCSV",
    "SWEET32",
    "FREAK",
    "DROWN",
    "LOGJAM",
    "BEAST",
    "LUCKY13",
    "RC4",
];

/// No complaints.
const FINE: [&str; 4] = ["OK", "INFO", "LOW", "DEBUG"];

/// What is complained of, or could not be looked at, and why that is as it should be.
const EXPLAINED: &[(&str, &str)] = &[
    (
        "BREACH",
        "it takes a page that makes a browser ask with credentials: an API key is a header, which no page \
         can have sent but one under `cors` that knows it; and there is `compress: off`",
    ),
    ("cert_revocation", "the certificate is of this test, and nobody keeps a list for it"),
    ("engine_problem", "it is about the openssl of this machine, which knows no GOST"),
    (
        "sessionresumption_ticket",
        "on a busy machine testssl cannot always try it, and says so; a ticket that it had would be fine",
    ),
];

#[test]
fn testssl_finds_nothing_above_low_that_is_not_explained() {
    let own = Own::new();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port())).to_string();
    let (certificate, key) = (own.path("own.pem"), own.path("own.key"));
    let tamis = setup(|setup| {
        setup.start_with(&[
            ("TAMIS__LISTEN__1__ADDRESS", &address),
            ("TAMIS__LISTEN__1__TLS__CERTIFICATE", &certificate),
            ("TAMIS__LISTEN__1__TLS__KEY", &key),
        ])
    });
    until("it listens", || TcpStream::connect(&address).is_ok());
    let found = own.path("found.json");
    let run = Command::new("testssl")
        .args(ASKED)
        // Nothing of it asks anybody but this machine.
        .args(["--nodns", "none", "--add-ca", &certificate])
        .args(["--warnings", "batch", "--quiet", "--color", "0", "--jsonfile", &found])
        .args(["--connect-timeout", "30", "--openssl-timeout", "30"])
        .arg(format!("https://{address}/c"))
        .env("TERM", "dumb")
        .output();
    let said = match run {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: no testssl: `make test` installs it");
            return;
        }
        Err(error) => panic!("testssl: {error}"),
    };
    let findings: Vec<Value> = serde_json::from_str(&fs::read_to_string(found).unwrap()).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let about = |id: &str| {
        let found = findings.iter().find(|finding| finding["id"] == id);
        text(found.unwrap_or_else(|| panic!("nothing about {id}\n{said}")), "finding")
    };
    for id in SEEN {
        about(id);
    }
    for (id, is_offered) in
        [("SSLv3", false), ("TLS1_1", false), ("TLS1_2", true), ("TLS1_3", true)]
    {
        assert_eq!(about(id).starts_with("offered"), is_offered, "{id}");
    }
    let mut unexplained = Vec::new();
    for complaint in findings.iter().filter(|it| !FINE.contains(&&*text(it, "severity"))) {
        let [id, severity, what] = ["id", "severity", "finding"].map(|key| text(complaint, key));
        match EXPLAINED.iter().find(|(known, _)| *known == id) {
            Some((_, why)) => println!("{severity} {id}: {what}: {why}"),
            None => unexplained.push(format!("{severity} {id}: {what}")),
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}\n{said}");
    println!("testssl has {} findings, in {} seconds", findings.len(), about("scanTime"));
    drop(tamis);
}
