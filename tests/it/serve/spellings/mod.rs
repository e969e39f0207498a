//! Requests that mean the same to an upstream, spelled in other ways than the policies spell them: Express 4 and 5 with their paths and
//! queries, and PHP with its variables. Whatever an upstream would take for what is denied does not come to it.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use crate::serve::{Setup, free_port, send, server::Server};

/// The export, and to search by a birth date, are denied; whatever stands beside them passes unread.
const POLICY: &str = "
tamis: 1
categories: { export: All customers, birth: Date of birth }
purposes: { support: { title: Answer a customer, legal_basis: contract } }
callers: { neighbour: { identify: { sidecar: true }, purposes: [support] } }
apis:
  crm:
    routes:
      GET /customers/export: { body: { $.served: export } }
      GET /customers/{id}: { params: { id: public }, pass: { because: it is public } }
      GET /search:
        params: { birth_date: birth, page: public, '*': { pass: { because: the upstream ignores what it does not know } } }
        body: { $.served: public }
      GET /{*file}: { params: { file: public }, pass: { because: it is public } }
rules: { support: { export: deny, birth: drop } }
";

/// Fewest spellings of each that are tried.
const SPELLINGS_MIN: usize = 200;

/// Asks for each of these targets through tamis, of which the upstream serves some as what is denied; through tamis none.
fn check(name: &str, upstream: SocketAddr, denied: &str, targets: &BTreeSet<String>) {
    assert!(targets.len() >= SPELLINGS_MIN, "{}", targets.len());
    let upstreams = [("crm", upstream, "http1")];
    let policies = [("p.yaml", POLICY)];
    let tamis = Setup { policies: &policies, upstreams: &upstreams, settings: "" }.start();
    let served = |address: SocketAddr, target: &str, what: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let reply = send(address, head.as_bytes());
        String::from_utf8_lossy(&reply.raw).contains(&format!("\"served\":\"{what}\""))
    };
    let mut spelled = 0;
    let mut passed = Vec::new();
    for target in targets {
        spelled += usize::from(served(upstream, target, denied));
        if served(tamis.address, target, denied) {
            passed.push(target);
        }
    }
    println!(
        "{name}: of {} spellings {spelled} are `{denied}` to it; through tamis {}",
        targets.len(),
        passed.len()
    );
    assert!(spelled > 1, "{name} takes nothing for `{denied}`");
    assert!(passed.is_empty(), "{name}: {passed:?}");
    // What is not denied comes through all the same.
    assert!(served(tamis.address, "/search?page=1&limit=2", "all"));
}

/// What can stand behind the path.
const ENDS: &[&str] = &[
    "/",
    "//",
    "/.",
    "/..",
    "/./",
    ".",
    "..",
    "...",
    "%2e",
    "%20",
    "+",
    "%09",
    "%0a",
    "%00",
    "%a0",
    "%C2%A0",
    "%E3%80%80",
    "%E2%80%8B",
    "%C2%AD",
    "%EF%BC%8F",
    "%E2%80%A4",
    "%EF%BC%8E",
    "%2f",
    "%2F",
    "%5c",
    ";",
    ";a=b",
    "%3b",
    "%3f",
    "?",
    "?x=1",
    "?page=1",
    "/?",
    ".json",
    ".JSON",
    ".csv",
    ".json/",
    ".html",
    ".tar.gz",
    ".x.json",
    "..json",
    ".json.",
    "~",
    "*",
    ":",
    "/index",
    "/index.html",
    "%23",
    "%252f",
    "%25",
    "%EF%BC%85%32%46",
];

/// What can stand before it.
const BEGINS: &[&str] = &[
    "//",
    "/./",
    "/%2e/",
    "/x/../",
    "/customers/../",
    "/%2E%2E/",
    "/X/%2e%2e/",
    "/%20",
    "/ ",
    "/.%20/",
    "/%EF%BC%8F",
    "/%E2%80%A5/",
    "/x/%E2%80%A5/",
];

/// What can stand between its segments.
const MIDDLES: &[&str] = &[
    "//",
    "/./",
    "/%2f",
    "%2f",
    "/x/../",
    "/%2e%2e/customers/",
    "%5c",
    "%EF%BC%8F",
    "/%EF%BC%8F",
    "%E2%88%95",
];

/// Paths with other forms of the same letters.
const FORMS: &[&str] = &[
    "/cu%C5%BFtomers/export",
    "/customers/%EF%BD%85xport",
    "/%EF%BC%A3ustomers/export",
    "/customers/e%CC%80xport",
    "/customers/%E2%84%AFxport",
    "/customers/%E2%93%94xport",
];

/// Ways to write the path of the export.
fn paths() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    // Each letter small or capital.
    for mask in 0..64_u32 {
        let letters = "export".chars().enumerate();
        let spelled =
            letters.map(|(at, c)| if mask >> at & 1 == 1 { c.to_ascii_uppercase() } else { c });
        paths.insert(format!("/customers/{}", spelled.collect::<String>()));
    }
    // Each letter encoded, once and twice.
    for (at, byte) in "export".bytes().enumerate() {
        for byte in [byte, byte.to_ascii_uppercase()] {
            for percent in ["%", "%25", "%EF%BC%85"] {
                let (before, after) =
                    ("export".get(..at).unwrap(), "export".get(at + 1..).unwrap());
                paths.insert(format!("/customers/{before}{percent}{byte:02x}{after}"));
            }
        }
    }
    // What stands at an end.
    for end in ENDS {
        for base in
            ["/customers/export", "/customers/EXPORT", "/Customers/export", "/customers/%65xport"]
        {
            paths.insert(format!("{base}{end}"));
        }
    }
    // What stands before.
    for begin in BEGINS {
        paths.insert(format!("{begin}customers/export").replace(' ', ""));
    }
    for middle in MIDDLES {
        paths.insert(format!("/customers{middle}export"));
    }
    // Other forms of the same letters.
    for other in FORMS {
        paths.insert((*other).to_owned());
    }
    paths
}

/// Ways to write a search by birth date.
fn searches() -> BTreeSet<String> {
    let mut queries = BTreeSet::new();
    let joints = [
        "_",
        ".",
        "+",
        "%20",
        "[",
        "%5B",
        "%5F",
        "%2E",
        "%255F",
        "-",
        "",
        "%00",
        "__",
        "%EF%BC%BF",
        "%C2%A0",
    ];
    let begins = [
        "",
        "+",
        "%20",
        "++",
        "%09",
        "%0B",
        "%0a",
        "&",
        "page=1&",
        "?",
        "_",
        ".",
        "[",
        "x%26",
        "x;",
        "page=1%26",
    ];
    let ends = [
        "", "[]", "[0]", "[gte]", "%5B%5D", "%00", "%00x", "[", "]", ".", "__gte", ":exact",
        "(1i)", "%20", "+", "%5b%00",
    ];
    for joint in joints {
        for begin in begins {
            queries.insert(format!("{begin}birth{joint}date=1"));
        }
        for end in ends {
            queries.insert(format!("birth{joint}date{end}=1"));
            queries.insert(format!("+birth{joint}date{end}=1"));
        }
        queries.insert(format!("birth{joint}date"));
        queries.insert(format!("BIRTH{joint}DATE=1"));
    }
    for at in 0.."birth_date".len() {
        let (before, rest) = "birth_date".split_at(at);
        let (byte, after) = (rest.as_bytes()[0], &rest[1..]);
        for percent in ["%", "%25"] {
            queries.insert(format!("{before}{percent}{byte:02x}{after}=1"));
        }
    }
    for other in [
        "[birth_date]=1",
        "%5Bbirth_date%5D=1",
        "page=1&birth_date=1&birth_date=2",
        "birth_date=&birth_date=1",
        "__proto__[birth_date]=1",
        "constructor[birth_date]=1",
        "page[birth_date]=1",
        "%EF%BD%82irth_date=1",
    ] {
        queries.insert(other.to_owned());
    }
    queries.into_iter().map(|query| format!("/search?{query}")).collect()
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

#[test]
fn what_express_takes_for_a_route_that_is_denied_is_not_served() {
    for version in ["express4", "express5"] {
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/express/node_modules");
        let module = Path::new(tools).join(version);
        if !module.exists() {
            println!("skipped: {version}: it is not here, and `make test` could not install it");
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("express.js"), include_str!("express.js")).unwrap();
        let at = address();
        let port = at.port().to_string();
        let arguments = ["express.js", module.to_str().unwrap(), &port];
        let Some(_server) = Server::start("node", &["node"], &arguments, folder, &[at]) else {
            continue;
        };
        check(version, at, "export", &paths());
        check(version, at, "birth_date", &searches());
    }
}

#[test]
fn what_php_takes_for_a_parameter_that_is_withheld_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("search.php"), include_str!("search.php")).unwrap();
    let at = address();
    let to = at.to_string();
    let arguments = ["-S", &to, "search.php"];
    let Some(_server) = Server::start("php", &["php"], &arguments, folder, &[at]) else { return };
    check("php", at, "birth_date", &searches());
}
