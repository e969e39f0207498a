//! The HL7 FHIR examples from a real upstream, through the real binary: what comes over the wire is what
//! the oracle says.

use std::{collections::BTreeMap, io::Write as _, net::SocketAddr};

use crate::{
    fhir::{PURPOSES, RESOURCES, answering, examples, policy},
    oracle::{sieve, tree, world::World},
    product,
    serve::{Connection, Setup, Tamis, free_port, nginx::Nginx, send, streaming},
};

const HOST: &str = "fhir.clinic.internal";

/// The policies in front of an upstream, and who knows what they say.
struct Clinic {
    tamis: Tamis,
    set: tamis::policy::PolicySet,
    world: World,
}

/// The path of an example, of whose file this is the name: `/Patient/animal`.
fn path(name: &str) -> String {
    format!("/{}", name.trim_end_matches(".json").replacen('-', "/", 1))
}

impl Clinic {
    /// All policies that are shipped, the one on FHIR in this form.
    fn open(fhir: &str, upstream: SocketAddr) -> Self {
        let (categories, crm) = (policy("categories.yaml"), policy("crm.yaml"));
        let policies = [("categories.yaml", &*categories), ("crm.yaml", &crm), ("fhir.yaml", fhir)];
        let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let upstreams = [("fhir", upstream, "http1"), ("crm", nowhere, "http1")];
        Self {
            tamis: Setup { policies: &policies, upstreams: &upstreams, settings: "" }.start(),
            set: product::policies(&policies),
            world: World::read(&[&categories, fhir]),
        }
    }

    /// Asks for an example in the name of each caller, for each purpose; gives how many left, how many
    /// of those changed, and how many were denied.
    fn check(&self, name: &str, document: &[u8], connection: &mut Connection) -> [usize; 3] {
        let path = path(name);
        let resource = name.split('-').next().unwrap();
        let mut seen = [0; 3];
        for (caller, purpose) in PURPOSES {
            let reply = connection.send(format!(
                "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nApi-Key: {caller}-2026-secret\r\n\
                 Data-Purpose: {purpose}\r\n\r\n"
            ));
            let request = format!("GET {path}");
            let plan = match product::plan(&self.set, caller, purpose, Some(HOST), &request) {
                Ok(plan) => plan,
                Err(reason) => {
                    assert_eq!(reply.status, reason.status(), "{path} for {purpose}");
                    assert_eq!(reply.reason(), reason.code(), "{path} for {purpose}");
                    seen[2] += 1;
                    continue;
                }
            };
            assert_eq!(reply.status, 200, "{path} for {purpose}: {reply:?}");
            assert_eq!(reply.header("content-type"), Some("application/fhir+json"));
            assert_eq!(reply.header("data-purpose"), Some(purpose));
            assert_eq!(reply.header("tamis-policy"), self.set.digest().to_string().get(..12));
            let body = reply.body.expect("a complete body");
            let route = format!("GET /{resource}/{{id}}");
            let said =
                sieve::sieve(&self.world, purpose, "fhir", &route, document, &product::SETUP);
            assert!(tree::leaves(&body) == said.leaves(), "{path} for {purpose}");
            // The oracle says what is in it, and this how it is spelled.
            let (bytes, ..) = product::sieve(&plan, [document]).unwrap();
            assert!(body == bytes, "{path} for {purpose}");
            seen[0] += 1;
            seen[1] += usize::from(body != document);
        }
        seen
    }
}

fn examples_or_skip() -> Option<BTreeMap<String, Vec<u8>>> {
    let examples = examples();
    if examples.is_empty() {
        println!("skipped: the FHIR examples are not in target/fhir (`make test` fetches them)");
    }
    Some(examples).filter(|examples| !examples.is_empty())
}

#[test]
fn hl7_examples_from_nginx_leave_as_the_oracle_says() {
    let Some(examples) = examples_or_skip() else { return };
    let files = examples.iter().map(|(name, bytes)| (path(name)[1..].to_owned(), bytes.as_slice()));
    let Some(nginx) = Nginx::start(files) else { return };
    let ways = [
        (nginx.sized, "content-length", "transfer-encoding"),
        (nginx.chunked, "transfer-encoding", "content-length"),
    ];
    for (upstream, is_there, is_not) in ways {
        // What this rests on: the same bytes, delimited in this way.
        for (name, document) in &examples {
            let request =
                format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path(name));
            let reply = send(upstream, request.as_bytes());
            assert!(reply.header(is_there).is_some() && reply.header(is_not).is_none(), "{name}");
            assert!(reply.body.as_ref() == Some(document), "{name}");
        }
        let shipped = policy("fhir.yaml");
        for (which, fhir) in [("as shipped", &shipped), ("every id public", &answering(&shipped))] {
            let clinic = Clinic::open(fhir, upstream);
            let mut connection = Connection::to(clinic.tamis.address);
            let mut sum = [0; 3];
            for (name, document) in &examples {
                let seen = clinic.check(name, document, &mut connection);
                sum = [0, 1, 2].map(|n| sum[n] + seen[n]);
            }
            let [left, changed, denied] = sum;
            assert_eq!(left + denied, examples.len() * PURPOSES.len());
            assert!(changed > 0 && (denied > 0) == (which == "as shipped"));
            println!(
                "nginx with {is_there}, {which}: {left} responses as the oracle says, {changed} changed, {denied} denied"
            );
        }
    }
}

#[test]
fn hl7_examples_byte_by_byte_leave_as_the_oracle_says() {
    let Some(examples) = examples_or_skip() else { return };
    // The shortest of each type and the one in the middle.
    let mut sample = BTreeMap::new();
    for resource in RESOURCES {
        let of_type = |name: &str| name.starts_with(&format!("{resource}-"));
        let mut all: Vec<_> = examples.iter().filter(|(name, _)| of_type(name)).collect();
        all.sort_by_key(|(_, document)| document.len());
        for (name, document) in [all[0], all[all.len() / 2]] {
            sample.insert(path(name), (name, document.clone()));
        }
    }
    let answering = answering(&policy("fhir.yaml"));
    for is_chunked in [false, true] {
        let documents: BTreeMap<String, Vec<u8>> =
            sample.iter().map(|(path, (_, document))| (path.clone(), document.clone())).collect();
        let upstream = streaming(move |path, stream| {
            let document = &documents[path];
            let length = if is_chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", document.len())
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n";
            stream.write_all(format!("{head}{length}\r\n\r\n").as_bytes())?;
            for byte in document {
                let framed = [b'1', b'\r', b'\n', *byte, b'\r', b'\n'];
                stream.write_all(if is_chunked { &framed } else { &framed[3..4] })?;
            }
            stream.write_all(if is_chunked { b"0\r\n\r\n" } else { b"" })?;
            Ok(true)
        });
        let clinic = Clinic::open(&answering, upstream);
        let mut connection = Connection::to(clinic.tamis.address);
        for (name, document) in sample.values() {
            assert_eq!(clinic.check(name, document, &mut connection)[0], PURPOSES.len());
        }
    }
}
