//! The proxies that are measured, and how each is started.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    client::{Client, KEY},
    documents::{SECRETS, document, redact},
    load::{ALL_CLASSIFIED, BARE, LOGGING, TAMIS, WAYS, Way},
    process::{OTHER_CORE, PROXY_CORE, Running, free_port, run},
};

/// The SHA-256 of [`KEY`](crate::client::KEY).
const KEY_DIGEST: &str = "b0962662e937d44c699c8305d90cbf190b3150c59b13863d1380b5cc3c711bb7";

/// What the purpose `edited` may see; the bench puts one in the place of the other.
pub(super) const EDITS: [&str; 2] = [
    "tamis: 1\nrules: { edited: { personal: drop } }\n",
    "tamis: 1\nrules: { edited: { personal: keep } }\n",
];

/// Names the five fields, and keeps the rest as it is: what the others do.
pub(super) const LISTED: &str = include_str!("listed.yaml");
/// Says of each field what it is, so that nothing leaves that nobody has looked at.
pub(super) const CLASSIFIED: &str = include_str!("policy.yaml");

/// A proxy in one use.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// What requests state; only tamis asks.
    pub(super) purpose: &'static str,
    pub(super) kind: Kind,
    pub(super) way: Way,
    /// What a tamis is started with.
    pub(super) settings: Option<Settings>,
    pub(super) running: Running,
}

/// A policy, and where the access log goes.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) policy: &'static str,
    pub(super) access_log: &'static str,
}

impl Settings {
    pub(super) const LISTED: Self = Self { policy: LISTED, access_log: "off" };
    pub(super) const CLASSIFIED: Self = Self { policy: CLASSIFIED, access_log: "off" };
    const LOGGING: Self = Self { policy: LISTED, access_log: "{ file: access }" };
}

/// What a subject does with a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It leaves as it came.
    Passing,
    /// It leaves without the five fields, by tamis.
    Redacting,
    /// It leaves without the five fields, by a proxy with a script that parses it and prints it again.
    Rewriting,
    /// The same, by Rust that was written for these five fields.
    RewritingByHand,
}

/// What all subjects share.
pub(super) struct Ground<'a> {
    /// Where their files go.
    pub(super) folder: &'a Path,
    /// The port of the upstream.
    pub(super) upstream: u16,
    /// The program.
    pub(super) tamis: &'a str,
}

/// The program that was built with this bench.
pub(super) const BUILT: &str = env!("CARGO_BIN_EXE_tamis");

impl Ground<'_> {
    /// Starts everybody who can be had, and says of the others why not.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let mut subjects = self.own_subjects();
        for (name, purpose, kind, running) in [
            ("nginx, passing", "kept", Kind::Passing, self.nginx(None)),
            (
                "Pingora + serde_json, rewriting",
                "redacted",
                Kind::RewritingByHand,
                self.pingora("rewriting"),
            ),
            ("nginx + njs, rewriting", "redacted", Kind::Rewriting, self.njs()),
            ("Node, rewriting", "redacted", Kind::Rewriting, self.node()),
        ] {
            let (way, settings) = (Way::PLAIN, None);
            match running {
                Ok(running) => {
                    subjects.push(Subject { name, purpose, kind, way, settings, running });
                }
                Err(why) => println!("skipped: {name}: {why}"),
            }
        }
        subjects
    }

    /// Starts bare Pingora, and a tamis for each use.
    pub(super) fn own_subjects(&self) -> Vec<Subject> {
        let (passing, redacting) = (Kind::Passing, Kind::Redacting);
        let plain = [
            (BARE, "kept", passing, None),
            ("tamis, passing", "kept", passing, Some(Settings::LISTED)),
            (TAMIS, "redacted", redacting, Some(Settings::LISTED)),
            (LOGGING, "redacted", redacting, Some(Settings::LOGGING)),
            (ALL_CLASSIFIED, "redacted", redacting, Some(Settings::CLASSIFIED)),
        ];
        let plain = plain
            .map(|(name, purpose, kind, settings)| (name, purpose, kind, Way::PLAIN, settings));
        let ways = match run("curl", &["--version"]) {
            Ok(_) => &WAYS[..],
            Err(why) => {
                println!("skipped: other ways than plain JSON over HTTP/1.1: {why}");
                &[]
            }
        };
        let others = ways
            .iter()
            .map(|(name, way)| (*name, "redacted", redacting, *way, Some(Settings::LISTED)));
        let all = plain.into_iter().chain(others);
        all.map(|(name, purpose, kind, way, settings)| {
            let running = match settings {
                Some(settings) => self.tamis(settings),
                None => self.pingora("pingora"),
            };
            let running = running.unwrap_or_else(|why| panic!("{name}: {why}"));
            Subject { name, purpose, kind, way, settings, running }
        })
        .collect()
    }

    /// A tamis with policies of its own, in the folder that [`Ground::policies`] names.
    pub(super) fn tamis(&self, settings: Settings) -> Result<Running, String> {
        self.tamis_under(&[], free_port(), settings)
    }

    /// The same on this port, run by another program, such as callgrind.
    pub(super) fn tamis_under(
        &self,
        runner: &[String],
        port: u16,
        Settings { policy, access_log }: Settings,
    ) -> Result<Running, String> {
        let folder = self.own(port);
        fs::create_dir(self.policies(port)).unwrap();
        fs::write(self.policies(port).join("policy.yaml"), policy).unwrap();
        fs::write(self.policies(port).join("edited.yaml"), EDITS[0]).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("own.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("own.key"), made.signing_key.serialize_pem()).unwrap();
        let settings = format!(
            "listen:
  - {{ address: 127.0.0.1:{port} }}
  - {{ address: 127.0.0.2:{port}, tls: {{ certificate: own.pem, key: own.key }} }}
admin: {{ address: 127.0.0.1:{} }}
policies: policies
api_keys: {{ bench: 'sha256:{KEY_DIGEST}' }}
upstreams: {{ documents: {{ address: 127.0.0.1:{} }} }}
access_log: {access_log}
threads: 1
",
            free_port(),
            self.upstream
        );
        fs::write(folder.join("tamis.yaml"), settings).unwrap();
        let words = [self.tamis, "serve", "--config", "tamis.yaml"];
        let words = runner.iter().map(String::as_str).chain(words);
        Running::start(PROXY_CORE, port, &folder, words)
    }

    /// The policies of the tamis that listens on this port.
    pub(super) fn policies(&self, port: u16) -> PathBuf {
        self.folder.join(port.to_string()).join("policies")
    }

    /// Pingora by itself; `mode` is that of this binary.
    pub(super) fn pingora(&self, mode: &str) -> Result<Running, String> {
        let port = free_port();
        let words = [mode, &port.to_string(), &self.upstream.to_string()];
        self.own_binary(PROXY_CORE, port, &words)
    }

    fn nginx(&self, module: Option<&str>) -> Result<Running, String> {
        let port = free_port();
        let folder = self.own(port);
        fs::write(folder.join("njs.js"), include_str!("njs.js")).unwrap();
        let [load, import, filter] = match module {
            None => [String::new(), String::new(), String::new()],
            Some(module) => [
                format!("load_module {module};"),
                format!("js_path {};\njs_import njs.js;", folder.display()),
                "js_header_filter njs.head;\njs_body_filter njs.body;".to_owned(),
            ],
        };
        let conf = include_str!("nginx.conf")
            .replace("@MODULE@", &load)
            .replace("@IMPORT@", &import)
            .replace("@FILTER@", &filter)
            .replace("@PORT@", &port.to_string())
            .replace("@UPSTREAM@", &self.upstream.to_string());
        fs::write(folder.join("nginx.conf"), conf).unwrap();
        let prefix = format!("{}/", folder.display());
        let words = ["nginx", "-p", &prefix, "-e", "stderr", "-c", "nginx.conf"];
        Running::start(PROXY_CORE, port, &folder, words)
    }

    fn njs(&self) -> Result<Running, String> {
        let said = run("nginx", &["-V"])?;
        let modules = said.split(' ').find_map(|word| word.strip_prefix("--modules-path="));
        let modules = modules.ok_or("nginx knows no folder of modules")?;
        let module = Path::new(modules).join("ngx_http_js_module.so");
        if !module.exists() {
            return Err("nginx has no module njs".to_owned());
        }
        self.nginx(module.to_str())
    }

    fn node(&self) -> Result<Running, String> {
        let port = free_port();
        let folder = self.own(port);
        fs::write(folder.join("node.js"), include_str!("node.js")).unwrap();
        let words = ["node", "node.js", &port.to_string(), &self.upstream.to_string()];
        Running::start(PROXY_CORE, port, &folder, words)
    }

    /// A folder for the subject that listens on this port.
    fn own(&self, port: u16) -> PathBuf {
        let folder = self.folder.join(port.to_string());
        // A port can have been that of one which has ended.
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// This binary in another mode, which listens on this port.
    fn own_binary(&self, core: &str, port: u16, words: &[&str]) -> Result<Running, String> {
        let binary = env::current_exe().unwrap();
        let words = [binary.to_str().unwrap()].into_iter().chain(words.iter().copied());
        Running::start(core, port, self.folder, words)
    }

    /// The upstream; it listens on the port that [`Ground`] names.
    pub(super) fn start_upstream(&self) -> Running {
        let words = ["upstream", &self.upstream.to_string()];
        self.own_binary(OTHER_CORE, self.upstream, &words).unwrap()
    }
}

impl Subject {
    /// The document as somebody gets it who speaks more than the client of the bench does.
    fn get_by_curl(&self, bytes: usize) -> Vec<u8> {
        let accept = format!("Accept-Encoding: {}", self.way.accept);
        let [key, purpose] = [format!("Api-Key: {KEY}"), format!("Data-Purpose: {}", self.purpose)];
        let url = self.way.url(self.running.port, bytes);
        let mut words = vec!["--silent", "--show-error", "--fail", "--compressed"];
        for header in [&accept, &key, &purpose] {
            words.extend(["--header", header]);
        }
        if self.way.is_http_2 {
            words.push(if self.way.is_tls { "--http2" } else { "--http2-prior-knowledge" });
        }
        if self.way.is_tls {
            words.push("--insecure");
        }
        words.push(&url);
        run("curl", &words).unwrap().into_bytes()
    }

    /// Whether what leaves is what should: the document, or what is left of it without the five fields.
    pub(super) fn check(&self, bytes: usize) {
        let whole = document(bytes);
        let body = if self.way == Way::PLAIN {
            let mut client = Client::connect(self.running.port);
            let (status, body) = client.get(&format!("/documents/{bytes}"), self.purpose);
            assert_eq!(status, 200, "{}", self.name);
            body
        } else {
            self.get_by_curl(bytes)
        };
        match self.kind {
            Kind::Passing => assert!(body == whole, "{}: the body is another", self.name),
            Kind::Redacting | Kind::Rewriting | Kind::RewritingByHand => {
                let mut left = serde_json::from_slice(&whole).unwrap();
                redact(&mut left);
                let got: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(got, left, "{}", self.name);
                let text = str::from_utf8(&body).unwrap();
                assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{}", self.name);
            }
        }
    }
}
