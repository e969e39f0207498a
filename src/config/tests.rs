use std::{path::Path, time::Duration};

use super::{environment::SEPARATOR, *};
use crate::source;

/// What every text needs before anything else about it can be right.
const LISTEN: &str = "listen: [{ address: 127.0.0.1:8080 }]\n";

/// The digests of `a` and of `b`.
const A: &str = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
const B: &str = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";

/// What can stand in `limits`.
const LIMITS: &str = "  help: what can stand here: `depth`, `name_bytes`, `value_bytes`, `gap_bytes`, `candidate_bytes`, `document_bytes`, `decoded_piece_bytes`, `decoded_ratio`, `decoded_bytes`, `pass_bytes`, `connections`, `streams`, `responses_in_flight`, `caller_in_flight`, `caller_requests_per_second`, `held_bytes`, `metric_series`, `head_bytes`, `target_bytes`, `request_body_bytes`";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Settings::parse("t.yaml", text, environment.iter().map(own).collect::<Vec<_>>())
}

/// Reads a text and lays variables over it; `expected` is all that is wrong, a line each.
fn check(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let found = parse(text, environment).map_or_else(|error| error.to_string(), |_| String::new());
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "of:\n{text}");
}

/// [`check`] below a `listen` that is right, in line 1.
fn below(text: &str, expected: &[&str]) {
    check(&format!("{LISTEN}{text}"), &[], expected);
}

fn fine(text: &str, environment: &[(&str, &str)]) -> Settings {
    parse(&format!("{LISTEN}{text}"), environment).unwrap_or_else(|error| panic!("{error}"))
}

/// The addresses of an upstream on a network.
fn addresses(upstream: &Upstream) -> String {
    match &upstream.places {
        Places::Network(addresses) => {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        Places::Unix(path) => panic!("{path:?}"),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn no_nesting_of_settings_recurses() {
    for (open, close) in [("[", "]"), ("{ a: ", "}")] {
        let deep = format!("limits: {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(parse(&deep, &[]).is_err(), "{open}");
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let settings = fine("", &[]);
    let place = Place::Network("127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.listen, [Listener { place, tls: None, connections: None }]);
    assert_eq!(settings.admin, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(settings.policies, Path::new("policies"));
    assert_eq!(settings.root_key, None);
    assert!(settings.api_keys.is_empty() && settings.upstreams.is_empty());
    let limits = Limits {
        depth: 128,
        name_bytes: 4096,
        value_bytes: 65536,
        gap_bytes: 4096,
        candidate_bytes: 1 << 20,
        document_bytes: 8 << 20,
        decoded_piece_bytes: 8 << 20,
        decoded_ratio: 100,
        decoded_bytes: 16 << 30,
        pass_bytes: 64 << 20,
        connections: None,
        streams: 100,
        responses_in_flight: 1024,
        caller_in_flight: None,
        caller_requests_per_second: None,
        held_bytes: 1 << 30,
        metric_series: 20_000,
        head_bytes: 16 << 10,
        target_bytes: 8000,
        request_body_bytes: 16 << 20,
    };
    assert_eq!(settings.limits, limits);
    let [connect, upstream, client, head] = [3, 30, 30, 10].map(seconds);
    let [idle, notice, drain] = [60, 1, 10].map(seconds);
    let [request_body, old_policies] = [300, 300].map(seconds);
    let [response_age, connection_age] = [3600, 3600].map(seconds);
    let timeouts = Timeouts {
        connect,
        upstream,
        client,
        head,
        request_body,
        idle,
        notice,
        drain,
        response_age,
        old_policies,
        connection_age,
    };
    assert_eq!(settings.timeouts, timeouts);
    assert_eq!(settings.access_log, AccessLog::Stdout);
    assert_eq!(settings.upgrade_socket, None);
    assert_eq!(settings.threads, std::thread::available_parallelism().unwrap().get());
    // A section that says nothing is as good as none.
    let empty = fine("admin:\nkeys:\napi_keys:\nupstreams:\nlimits:\ntimeouts:\n", &[]);
    assert_eq!(format!("{empty:?}"), format!("{settings:?}"));
}

#[test]
fn what_is_written_holds() {
    let settings = fine(
        "admin: { address: '[::1]:9000' }
policies: /etc/tamis
keys: { root: { file: root.key } }
upstreams:
  a: { address: crm_1.internal:80, plain: { because: the mesh encrypts } }
  b: { address: 192.0.2.1:8000, plain: { because: a wire of our own }, protocol: h2c, host: { set: b.internal } }
  c: { addresses: ['[2001:db8::1]:65535', '127.0.0.1:1'], plain: { because: we try it }, host: keep }
  d: { unix: /run/d.sock, keepalive: off }
  e: { addresses: ['127.0.0.1:1', 'localhost:2', 'E.LocalHost.:3', '[::1]:4'] }
limits: { depth: 1, name_bytes: 1536, value_bytes: 64, gap_bytes: 64, candidate_bytes: 1024, document_bytes: 1024, decoded_piece_bytes: 65536, decoded_ratio: 1, decoded_bytes: 65536, pass_bytes: 1, responses_in_flight: 1, metric_series: 100, head_bytes: 1024, target_bytes: 64, request_body_bytes: 0 }
timeouts: { connect: 1ms, upstream: 60m, client: 2m, head: 60s, request_body: 30m, idle: 1h, notice: 0s, drain: 0s }
access_log: { file: access.jsonl }
threads: 3
",
        &[],
    );
    assert_eq!(settings.admin, "[::1]:9000".parse().unwrap());
    assert_eq!(settings.policies, Path::new("/etc/tamis"));
    assert_eq!(settings.root_key.as_deref(), Some(Path::new("root.key")));
    let addresses = settings.upstreams.values().map(|upstream| match &upstream.places {
        Places::Network(addresses) => addresses.as_slice(),
        Places::Unix(_) => &[],
    });
    let shown = addresses.flatten().map(|it| (it.to_string(), it.host(), it.port()));
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown[0], ("crm_1.internal:80".to_owned(), "crm_1.internal", 80));
    assert_eq!(shown[1], ("192.0.2.1:8000".to_owned(), "192.0.2.1", 8000));
    assert_eq!(shown[2], ("[2001:db8::1]:65535".to_owned(), "2001:db8::1", 65535));
    assert_eq!((shown.len(), shown[3].1, shown[7].1), (8, "127.0.0.1", "::1"));
    assert_eq!(settings.upstreams["a"].plain.as_deref(), Some("the mesh encrypts"));
    assert_eq!(settings.upstreams["d"].places, Places::Unix("/run/d.sock".into()));
    assert_eq!(settings.upstreams["e"].plain, None);
    let kept = settings.upstreams.iter().filter(|(_, upstream)| upstream.keepalive);
    assert_eq!(kept.map(|(name, _)| name.as_str()).collect::<String>(), "abce");
    let b = &settings.upstreams["b"];
    assert_eq!((b.protocol, &b.host), (Protocol::H2c, &HostHeader::Set("b.internal".to_owned())));
    let c = &settings.upstreams["c"];
    assert_eq!((c.protocol, &c.host), (Protocol::Http1, &HostHeader::Keep));
    assert_eq!((settings.limits.depth, settings.limits.metric_series), (1, 100));
    let timeouts = settings.timeouts;
    assert_eq!(timeouts.connect, Duration::from_millis(1));
    assert_eq!(timeouts.request_body, Duration::from_mins(30));
    assert_eq!([timeouts.upstream, timeouts.client, timeouts.idle], [3600, 120, 3600].map(seconds));
    assert_eq!((timeouts.notice, timeouts.drain), (Duration::ZERO, Duration::ZERO));
    assert_eq!(settings.access_log, AccessLog::File("access.jsonl".into()));
    assert_eq!(settings.threads, 3);
    assert_eq!(fine("access_log: off", &[]).access_log, AccessLog::Off);
}

#[test]
fn everything_wrong_is_said_at_once_and_in_its_place() {
    check(
        "listen: [{ address: 127.0.0.1:8080 }]\nlimits:\n  depth: 0\n  dept: 3\nlisten2: 1\n",
        &[("TAMIS__TIMEOUTS__IDLE", "60"), ("TAMIS__TIMEOUT__IDLE", "60s")],
        &[
            "t.yaml:3:10: `limits.depth` has to be a whole number from 1 to 1024, not `0`",
            "t.yaml:4:3: `limits.dept` is not known",
            "  help: did you mean `depth`?",
            "t.yaml:5:1: `listen2` is not known",
            "  help: did you mean `listen`?",
            "TAMIS__TIMEOUT__IDLE: `timeout` is not known",
            "  help: did you mean `TAMIS__TIMEOUTS__IDLE`?",
            "TAMIS__TIMEOUTS__IDLE: `timeouts.idle` has to be a time such as `500ms`, `30s` or `1m`, a day at most, not `60`",
            "  help: say of what: `60ms`, `60s` or `60m`",
        ],
    );
}

#[test]
fn yaml_is_read_strictly() {
    let one = |text: &str, expected: &str| check(text, &[], &[expected]);
    one("listen: []\nlisten: []\n", "t.yaml:2:1: `listen` is written twice");
    one("3", "t.yaml:1:1: settings have to be a mapping");
    for text in
        ["a: &a { b: 1 }\nlisten: { <<: *a }\n", "listen: [\n", "listen: *a\n", "--- a\n--- b\n"]
    {
        let error = parse(text, &[("TAMIS__LIMITS__DEPTH", "3")]).unwrap_err().to_string();
        let places = error.lines().filter(|line| !line.starts_with("  help: "));
        assert!(error.starts_with("t.yaml:") && places.count() == 1, "{error}");
    }
    let bomb = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]", n - 1));
    let bomb: Vec<String> = std::iter::once("a0: &a0 x".to_owned()).chain(bomb).collect();
    let error = parse(&bomb.join("\n"), &[]).unwrap_err().to_string();
    assert!(error.len() < 1000, "{error}");
}

#[test]
fn a_listener_has_an_address_of_its_own() {
    let missing = [
        "t.yaml: `listen` is missing: nobody could connect",
        "  help: listen: [{ address: 127.0.0.1:8080 }]",
    ];
    check("", &[], &missing);
    check("listen:\n", &[], &missing);
    check("listen: []", &[], &["t.yaml:1:9: `listen` is empty: nobody could connect", missing[1]]);
    check("listen: 127.0.0.1:80", &[], &["t.yaml:1:9: `listen` has to be a list"]);
    check(
        "listen: ['127.0.0.1:80']",
        &[],
        &[
            "t.yaml:1:10: `listen[0]` has to be a mapping",
            "  help: what can stand here: `address`, `unix`, `mode`, `tls`, `connections`",
        ],
    );
    check("listen: [{}]", &[], &["t.yaml:1:10: `listen[0]` has neither `address` nor `unix`"]);
    check(
        "listen: [{ address: localhost:80 }]",
        &[],
        &[
            "t.yaml:1:21: `listen[0].address` has to be an address and a port such as `127.0.0.1:8080`, not `localhost:80`",
            "  help: write `127.0.0.1:80` or `[::1]:80`",
        ],
    );
    check(
        "listen: [{ address: 127.0.0.1:80, port: 3 }]",
        &[],
        &[
            "t.yaml:1:35: `listen[0].port` is not known",
            "  help: what can stand here: `address`, `unix`, `mode`, `tls`, `connections`",
        ],
    );
    let overlap = |listen: &str, admin: &str, expected: &[&str]| {
        let expected: Vec<&str> = expected
            .iter()
            .copied()
            .chain((!expected.is_empty()).then_some("  help: give each its own port"))
            .collect();
        check(&format!("listen: {listen}\nadmin: {{ address: '{admin}' }}"), &[], &expected);
    };
    let two = "[{ address: 127.0.0.1:80 }, { address: 127.0.0.1:80 }]";
    overlap(
        two,
        "127.0.0.1:1",
        &["t.yaml:1:48: `listen` asks for 127.0.0.1:80, and `listen` for 127.0.0.1:80"],
    );
    let all = "[{ address: 0.0.0.0:80 }]";
    overlap(
        all,
        "127.0.0.1:80",
        &["t.yaml:1:21: `listen` asks for 0.0.0.0:80, and `admin` for 127.0.0.1:80"],
    );
    overlap(
        all,
        "[::]:80",
        &["t.yaml:1:21: `listen` asks for 0.0.0.0:80, and `admin` for [::]:80"],
    );
    overlap(all, "[::1]:80", &[]);
    overlap("[{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0 }]", "127.0.0.1:0", &[]);
    check(
        "listen: [{ address: 127.0.0.1:9090 }]",
        &[],
        &[
            "t.yaml:1:21: `listen` asks for 127.0.0.1:9090, and `admin` for 127.0.0.1:9090",
            "  help: give each its own port",
        ],
    );
}

#[test]
fn callers_connect_by_tls_and_to_unix_sockets() {
    let text = "listen:
  - { address: 127.0.0.1:8443, connections: 9, tls: { certificate: c.pem, key: c.key } }
  - { unix: /run/a.sock }
  - { unix: b.sock, mode: 0660, tls: { certificate: c.pem, key: c.key } }
  - { unix: c.sock, mode: 666 }
";
    let settings = parse(text, &[("TAMIS__LISTEN__0__TLS__KEY", "d.key")]).unwrap();
    let pair = |key: &str| Some(KeyPair { certificate: "c.pem".into(), key: key.into() });
    let unix = |path: &str, mode| Place::Unix { path: path.into(), mode };
    let place = Place::Network("127.0.0.1:8443".parse().unwrap());
    assert_eq!(
        settings.listen,
        [
            Listener { place, tls: pair("d.key"), connections: Some(9) },
            Listener { place: unix("/run/a.sock", 0o600), tls: None, connections: None },
            Listener { place: unix("b.sock", 0o660), tls: pair("c.key"), connections: None },
            Listener { place: unix("c.sock", 0o666), tls: None, connections: None },
        ]
    );
    assert!(settings.listen.iter().all(|listener| listener.place.is_local()));
    let one =
        |text: &str, expected: &[&str]| check(&format!("listen: [{{ {text} }}]"), &[], expected);
    one(
        "address: '127.0.0.1:1', unix: /a",
        &[
            "t.yaml:1:42: `listen[0].address` and `listen[0].unix` both say where it is",
            "  help: leave one of them out",
        ],
    );
    one(
        "address: '127.0.0.1:1', mode: 0600",
        &["t.yaml:1:42: `listen[0].mode` is for a UNIX socket, and there is no `unix`"],
    );
    // Decimal digits of 0o660 are 432.
    for mode in ["0o660", "432", "0777", "0644", "rw", "-1"] {
        let error = parse(&format!("listen: [{{ unix: /a, mode: {mode} }}]"), &[]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("`listen[0].mode` has to be `0600`, `0660` or `0666`"), "{error}");
    }
    one(
        "unix: /a, tls: {}",
        &[
            "t.yaml:1:27: `listen[0].tls` has no `certificate`",
            "t.yaml:1:27: `listen[0].tls` has no `key`",
        ],
    );
    one(
        "unix: /a, tls:",
        &[
            "t.yaml:1:25: `listen[0].tls` has no `certificate`",
            "t.yaml:1:25: `listen[0].tls` has no `key`",
        ],
    );
    one(
        "unix: /a, tls: false",
        &[
            "t.yaml:1:27: `listen[0].tls` has to be a mapping",
            "  help: what can stand here: `certificate`, `key`",
        ],
    );
    check(
        "listen: [{ unix: /a }, { unix: /b }, { unix: /a }]",
        &[],
        &[
            "t.yaml:1:46: `listen` asks for /a, and `listen` for /a",
            "  help: give each its own file",
        ],
    );
}

#[test]
fn an_upstream_can_be_reached() {
    below(
        "upstreams: { crm: }",
        &["t.yaml:2:17: `upstreams.crm` has none of `address`, `addresses` and `unix`"],
    );
    below(
        "upstreams: { crm: a:1 }",
        &[
            "t.yaml:2:19: `upstreams.crm` has to be a mapping",
            "  help: what can stand here: `address`, `addresses`, `unix`, `tls`, `plain`, `protocol`, `keepalive`, `host`, `health`",
        ],
    );
    below(
        "upstreams: { crm: { address: '127.0.0.1:1', protocol: http2, tsl: true } }",
        &[
            "t.yaml:2:55: `upstreams.crm.protocol` has to be `http1`, `h2c` or `h2`, not `http2`",
            "  help: write `h2c` for HTTP/2 without TLS, `h2` for HTTP/2 with TLS",
            "t.yaml:2:62: `upstreams.crm.tsl` is not known",
            "  help: did you mean `tls`?",
        ],
    );
    below(
        "upstreams: { crm: { address: '127.0.0.1:1', host: other } }",
        &["t.yaml:2:51: `upstreams.crm.host` has to be `keep` or `{ set: NAME }`, not `other`"],
    );
    below(
        "upstreams: { crm: { address: '127.0.0.1:1', host: { set: 'a b' } } }",
        &[
            "t.yaml:2:58: `upstreams.crm.host.set` has to be the name of a host, with or without a port, not `a b`",
        ],
    );
    for set in ["crm", "crm.internal:8000", "[::1]", "192.0.2.1"] {
        fine(
            &format!(
                "upstreams: {{ crm: {{ address: '127.0.0.1:1', host: {{ set: '{set}' }} }} }}"
            ),
            &[],
        );
    }
    let long = format!("{}:1", "a".repeat(64));
    for address in [
        "crm",
        "crm:",
        "crm:0",
        "crm:65536",
        "crm:+1",
        ":1",
        "http://crm:1",
        "crm/:1",
        "a..b:1",
        "::1:1",
        "[::1]",
        "[crm]:1",
        "300.0.0.1:1",
        "1.2.3:1",
        "u@crm:1",
        "crm :1",
        &long,
    ] {
        let error =
            parse(&format!("{LISTEN}upstreams: {{ crm: {{ address: '{address}' }} }}"), &[]);
        let error = error.map(|it| addresses(&it.upstreams["crm"])).unwrap_err().to_string();
        assert!(error.contains("has to be HOST:PORT"), "{error}");
    }
}

#[test]
fn an_upstream_is_said_to_be_in_one_place() {
    let both = |one: &str, other: &str, at: usize, names: [&str; 2]| {
        below(
            &format!("upstreams: {{ crm: {{ {one}, {other} }} }}"),
            &[
                &format!(
                    "t.yaml:2:{at}: `upstreams.crm.{}` and `upstreams.crm.{}` both say where it is",
                    names[0], names[1]
                ),
                "  help: leave one of them out",
            ],
        );
    };
    both("address: 'localhost:1'", "unix: /a", 51, ["address", "unix"]);
    both("addresses: []", "unix: /a", 42, ["addresses", "unix"]);
    both("address: 'localhost:1'", "addresses: ['localhost:2']", 56, ["address", "addresses"]);
    below(
        "upstreams: { crm: { addresses: [] } }",
        &["t.yaml:2:32: `upstreams.crm.addresses` is empty: nobody could be asked"],
    );
    below(
        "upstreams: { crm: { addresses: 'localhost:1' } }",
        &["t.yaml:2:32: `upstreams.crm.addresses` has to be a list"],
    );
    below(
        "upstreams: { crm: { addresses: ['localhost:1', 'localhost'] } }",
        &[
            "t.yaml:2:48: `upstreams.crm.addresses[1]` has to be HOST:PORT, such as `crm.internal:8000`, not `localhost`",
            "  help: write `localhost:PORT`",
        ],
    );
    let longest = "a".repeat(107);
    fine(&format!("upstreams: {{ crm: {{ unix: {longest} }} }}"), &[]);
    let error = parse(&format!("{LISTEN}upstreams: {{ crm: {{ unix: {longest}a }} }}"), &[]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("has to be the name of a UNIX socket, of 107 bytes at most"), "{error}");
}

#[test]
fn nothing_is_asked_in_the_clear_over_a_network_but_for_a_reason() {
    for address in ["crm:1", "10.0.0.7:1", "localhost.crm:1", "[::2]:1", "[::ffff:10.0.0.7]:1"] {
        below(
            &format!("upstreams: {{ crm: {{ addresses: ['127.0.0.1:1', '{address}'] }} }}"),
            &[
                "t.yaml:2:32: `upstreams.crm` would be asked in the clear, over a network",
                "  help: ask it by TLS, `tls: {}`, or say why there is no need, `plain: { because: \"..\" }`",
            ],
        );
    }
    check(
        &format!("{LISTEN}upstreams: {{ crm: {{ address: '127.0.0.1:1' }} }}"),
        &[("TAMIS__UPSTREAMS__CRM__ADDRESS", "crm:1")],
        &[
            "TAMIS__UPSTREAMS__CRM__ADDRESS: `upstreams.crm` would be asked in the clear, over a network",
            "  help: ask it by TLS, `tls: {}`, or say why there is no need, `plain: { because: \"..\" }`",
        ],
    );
    let plain = |plain: &str, expected: &str| {
        below(
            &format!("upstreams: {{ crm: {{ address: 'crm:1', plain: {plain} }} }}"),
            &[expected],
        );
    };
    below(
        "upstreams: { crm: { address: 'crm:1', plain: true } }",
        &[
            "t.yaml:2:46: `upstreams.crm.plain` has to be a mapping",
            "  help: what can stand here: `because`",
        ],
    );
    plain("{}", "t.yaml:2:46: `upstreams.crm.plain` has no `because`");
    plain(
        "{ because: yes }",
        "t.yaml:2:57: `upstreams.crm.plain.because` has to be a sentence that says why, not `yes`",
    );
    fine(
        "upstreams: { crm: { address: '127.0.0.1:1', plain: { because: the mesh encrypts } } }",
        &[("TAMIS__UPSTREAMS__CRM__ADDRESS", "crm:1")],
    );
}

#[test]
fn an_upstream_can_be_asked_how_it_is() {
    let settings = fine(
        "upstreams:
  a: { unix: /a, health: {} }
  b: { unix: /b, health: { path: '/healthz?full=1', every: 100ms } }
  c: { unix: /c }",
        &[("TAMIS__UPSTREAMS__A__HEALTH__EVERY", "1h")],
    );
    let health = |name: &str| settings.upstreams[name].health.clone();
    assert_eq!(health("a"), Some(Health { path: None, every: Duration::from_hours(1) }));
    let path = Some("/healthz?full=1".to_owned());
    assert_eq!(health("b"), Some(Health { path, every: Duration::from_millis(100) }));
    assert_eq!(health("c"), None);
    let one = |text: &str, expected: &[&str]| {
        below(&format!("upstreams: {{ a: {{ unix: /a, {text} }} }}"), expected);
    };
    one(
        "health:",
        &[
            "t.yaml:2:35: `upstreams.a.health` has no value",
            "  help: `health: {}` looks whether it takes a connection",
        ],
    );
    one(
        "health: true",
        &[
            "t.yaml:2:37: `upstreams.a.health` has to be a mapping",
            "  help: what can stand here: `path`, `every`",
        ],
    );
    one(
        "health: { every: 50ms }",
        &[
            "t.yaml:2:46: `upstreams.a.health.every` has to be a time such as `500ms`, `30s` or `1m`, a day at most, not `50ms`",
        ],
    );
    for path in ["healthz", "/a b", "/a#b", "/é", "http://a/"] {
        let text =
            format!("{LISTEN}upstreams: {{ a: {{ unix: /a, health: {{ path: '{path}' }} }} }}");
        let error = parse(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("has to be a path such as `/healthz`"), "{error}");
    }
}

#[test]
fn tls_to_an_upstream_has_a_name_and_a_protocol() {
    let settings = fine(
        "upstreams:
  a: { address: 'crm.internal:443', tls: {} }
  b: { addresses: ['10.0.0.7:443', '[::2]:443'], tls: { name: crm.internal, ca: ca.pem }, protocol: h2 }
  c: { unix: /c.sock, tls: { name: '::1', certificate: c.pem, key: c.key } }",
        &[("TAMIS__UPSTREAMS__B__TLS__CA", "/ca.pem")],
    );
    let tls = |name: &str| settings.upstreams[name].tls.clone().unwrap();
    assert_eq!(tls("a"), UpstreamTls { name: None, ca: None, client: None });
    let b = UpstreamTls {
        name: Some("crm.internal".to_owned()),
        ca: Some("/ca.pem".into()),
        client: None,
    };
    assert_eq!((tls("b"), settings.upstreams["b"].protocol), (b, Protocol::H2));
    let pair = KeyPair { certificate: "c.pem".into(), key: "c.key".into() };
    assert_eq!((tls("c").name.as_deref(), tls("c").client), (Some("::1"), Some(pair)));
    let one = |text: &str, expected: &[&str]| {
        below(&format!("upstreams: {{ a: {{ {text} }} }}"), expected);
    };
    one(
        "unix: /a, tls: {}",
        &[
            "t.yaml:2:34: `upstreams.a.tls` has no `name`, and a UNIX socket has no name",
            "  help: tls: { name: HOST }",
        ],
    );
    one(
        "address: 'a_b:1', tls: {}",
        &[
            "t.yaml:2:42: `upstreams.a.tls` has no `name`, and no certificate is for `a_b`",
            "  help: tls: { name: HOST }",
        ],
    );
    for name in ["a_b", "a.", "a b", "https://a", "*.a", "[::1]x", "300.0.0.1"] {
        let text = format!("{LISTEN}upstreams: {{ a: {{ unix: /a, tls: {{ name: '{name}' }} }} }}");
        let error = parse(&text, &[]).unwrap_err().to_string();
        let expected = format!(
            "`upstreams.a.tls.name` has to be the name or the address that the certificate is for, not `{name}`"
        );
        assert!(error.contains(&expected), "{error}");
    }
    one("unix: /a, tls: { name: '' }", &["t.yaml:2:42: `upstreams.a.tls.name` has no value"]);
    one(
        "address: 'a:1', tls:",
        &[
            "t.yaml:2:38: `upstreams.a.tls` has no value",
            "  help: `tls: {}` is TLS as it should be",
        ],
    );
    one(
        "address: 'a:1', tls: true",
        &[
            "t.yaml:2:40: `upstreams.a.tls` has to be a mapping",
            "  help: what can stand here: `name`, `ca`, `certificate`, `key`",
        ],
    );
    for key in ["insecure", "verify", "skip_verify"] {
        let text =
            format!("{LISTEN}upstreams: {{ a: {{ address: 'a:1', tls: {{ {key}: true }} }} }}");
        let error = parse(&text, &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("`upstreams.a.tls.{key}` is not known")), "{error}");
    }
    one(
        "address: 'a:1', tls: { key: a }",
        &["t.yaml:2:40: `upstreams.a.tls` has a `key`, and no `certificate`"],
    );
    one(
        "address: 'a:1', tls: { certificate: a }",
        &["t.yaml:2:40: `upstreams.a.tls` has a `certificate`, and no `key`"],
    );
    one(
        "address: 'a:1', tls: {}, plain: { because: of both }",
        &[
            "t.yaml:2:51: `upstreams.a.plain` is for what is asked without TLS",
            "  help: leave it out, or `upstreams.a.tls`",
        ],
    );
    one(
        "address: 'a:1', tls: {}, protocol: h2c",
        &[
            "t.yaml:2:54: `upstreams.a.protocol` cannot be: `h2c` is HTTP/2 without TLS",
            "  help: `h2` is HTTP/2 with TLS",
        ],
    );
    one(
        "address: '127.0.0.1:1', protocol: h2",
        &[
            "t.yaml:2:53: `upstreams.a.protocol` cannot be: `h2` is HTTP/2 with TLS",
            "  help: add `tls: {}`, or write `h2c` for HTTP/2 without TLS",
        ],
    );
}

/// Where an answer says to which request it is, no connection has to be given up for it.
#[test]
fn only_connections_of_http_1_are_not_kept() {
    for (text, is_kept) in [
        ("", true),
        (", keepalive: on", true),
        (", keepalive: off", false),
        (", tls: {}, protocol: http1, keepalive: off", false),
        (", protocol: h2c, keepalive: on", true),
    ] {
        let settings =
            fine(&format!("upstreams: {{ a: {{ address: 'localhost:1'{text} }} }}"), &[]);
        assert_eq!(settings.upstreams["a"].keepalive, is_kept, "{text}");
    }
    for protocol in ["protocol: h2c", "tls: {}, protocol: h2"] {
        let text = format!("upstreams: {{ a: {{ keepalive: off, unix: /a, {protocol} }} }}");
        let text = text.replace("tls: {}", "tls: { name: a }");
        let expected = [
            "t.yaml:2:30: `upstreams.a.keepalive` cannot be `off`: a connection of HTTP/2 is for many requests",
            "  help: leave it out, or ask by `protocol: http1`: in HTTP/2 an answer says to which request it is",
        ];
        below(&text, &expected);
    }
    for (word, meant) in [
        ("false", "off"),
        ("never", "off"),
        ("No", "off"),
        ("TRUE", "on"),
        ("yes", "on"),
        ("0s", ""),
    ] {
        let text = format!("upstreams: {{ a: {{ unix: /a, keepalive: {word} }} }}");
        let expected =
            format!("t.yaml:2:40: `upstreams.a.keepalive` has to be `on` or `off`, not `{word}`");
        let help = format!("  help: write `{meant}`");
        let expected = [expected.as_str(), help.as_str()];
        below(&text, if meant.is_empty() { &expected[..1] } else { &expected });
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_refused() {
    let limit = |name: &str, low: u64, high: u64| {
        for value in [
            (low - 1).to_string(),
            (high + 1).to_string(),
            "-1".to_owned(),
            "1e3".to_owned(),
            "many".to_owned(),
        ] {
            let error = parse(&format!("{LISTEN}limits: {{ {name}: {value} }}"), &[]).unwrap_err();
            let expected = format!("`limits.{name}` has to be a whole number from {low} to {high}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
        for value in [low, high] {
            fine(&format!("limits: {{ {name}: {value} }}"), &[]);
        }
    };
    limit("depth", 1, 1024);
    limit("name_bytes", 1536, 1 << 20);
    limit("value_bytes", 64, 16 << 20);
    limit("gap_bytes", 64, 1 << 20);
    limit("candidate_bytes", 1024, 64 << 20);
    limit("document_bytes", 1024, 256 << 20);
    limit("decoded_piece_bytes", 64 << 10, 256 << 20);
    limit("decoded_ratio", 1, 1_000_000);
    limit("decoded_bytes", 64 << 10, 1 << 50);
    limit("caller_in_flight", 1, 1_000_000);
    limit("caller_requests_per_second", 1, 1_000_000);
    limit("held_bytes", 1 << 20, 1 << 40);
    limit("pass_bytes", 1, 1 << 50);
    limit("responses_in_flight", 1, 1_000_000);
    limit("connections", 1, 1_000_000);
    limit("streams", 1, 10_000);
    limit("metric_series", 100, 1_000_000);
    limit("head_bytes", 1024, 512 << 10);
    limit("target_bytes", 64, 65_534);
    for (value, is_fine) in [("0", true), ("-1", false), ("1125899906842624", true), ("1e3", false)]
    {
        let text = format!("{LISTEN}limits: {{ request_body_bytes: {value} }}");
        assert_eq!(parse(&text, &[]).is_ok(), is_fine, "{value}");
    }
    below(
        "timeouts: { head: 61s }",
        &[
            "t.yaml:2:19: `timeouts.head` has to be a time such as `500ms`, `30s` or `1m`, a minute at most, not `61s`",
        ],
    );
    for name in ["connect", "upstream", "client", "head", "request_body", "idle", "notice", "drain"]
    {
        for value in
            ["5", "0.5s", "s", "5 s", "5d", "1441m", "25h", "-1s", "99999999999999999999s", "[5s]"]
        {
            let error =
                parse(&format!("{LISTEN}timeouts: {{ {name}: {value} }}"), &[]).unwrap_err();
            assert!(
                error.to_string().contains(&format!("`timeouts.{name}` has to be ")),
                "{error}"
            );
        }
        let zero = parse(&format!("{LISTEN}timeouts: {{ {name}: 0s }}"), &[]);
        assert_eq!(zero.is_ok(), ["notice", "drain"].contains(&name), "{name}");
    }
    below(
        "threads: 0",
        &["t.yaml:2:10: `threads` has to be a whole number from 1 to 1024, not `0`"],
    );
    below("limits: { depth: }", &["t.yaml:2:16: `limits.depth` has no value"]);
    below("limits: [depth]", &["t.yaml:2:9: `limits` has to be a mapping", LIMITS]);
    below("policies: [a]", &["t.yaml:2:11: `policies` has to be one value, and this is a list"]);
    below("policies: ''", &["t.yaml:2:11: `policies` has no value"]);
    below("threads: {}", &["t.yaml:2:10: `threads` has to be one value, and this is a mapping"]);
    below(
        "access_log: stderr",
        &["t.yaml:2:13: `access_log` has to be `stdout`, `off` or `{ file: NAME }`, not `stderr`"],
    );
    below("access_log: {}", &["t.yaml:2:13: `access_log` has no `file`"]);
    below("keys: { root: {} }", &["t.yaml:2:15: `keys.root` has no `file`"]);
    below(
        "keys: { main: {} }",
        &["t.yaml:2:9: `keys.main` is not known", "  help: what can stand here: `root`"],
    );
    below(
        "\"a\\u0007b\": 1",
        &[
            "t.yaml:2:1: `a\\u{7}b` is not known",
            "  help: what can stand here: `listen`, `admin`, `policies`, `keys`, `api_keys`, `upstreams`, `limits`, `timeouts`, `access_log`, `threads`, `upgrade_socket`",
        ],
    );
}

#[test]
fn an_api_key_is_known_by_its_digest() {
    let keys =
        fine(&format!("api_keys: {{ a: 'sha256:{A}', b: 'sha256:{}' }}", B.to_uppercase()), &[])
            .api_keys;
    assert_eq!((keys.name_of(b"a"), keys.name_of(b"b")), (Some("a"), Some("b")));
    for wrong in [&b""[..], b"c", b"aa", A.as_bytes(), b"a\0"] {
        assert_eq!(keys.name_of(wrong), None);
    }
    assert!(keys.contains("a") && !keys.contains("c") && !keys.is_empty());
    assert_eq!(format!("{keys:?}"), r#"{"a", "b"}"#);
}

#[test]
fn what_stands_for_a_key_is_never_shown() {
    let secret = "c0ffee".repeat(10) + "cafe";
    let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, expected) in [
        (
            format!("api_keys: {{ a: {secret} }}"),
            "`api_keys.a` has to be `sha256:` and the 64 digits",
        ),
        (format!("api_keys: {{ a: sha256:{secret}0 }}"), "`api_keys.a` has to be `sha256:`"),
        (format!("api_keys: {{ a: [{secret}] }}"), "`api_keys.a` has to be one value"),
        (format!("api_keys: {{ a: {{ key: {secret} }} }}"), "`api_keys.a` has to be one value"),
        (format!("api_keys: {secret}"), "`api_keys` has to be a mapping"),
        (format!("api_keys: [{secret}]"), "`api_keys` has to be a mapping"),
        (
            format!("api_keys: {{ a: sha256:{secret}, b: sha256:{secret} }}"),
            "`api_keys.b` is the same key as `a`",
        ),
        (format!("api_keys: {{ a: '{of_nothing}' }}"), "`api_keys.a` is the digest of nothing"),
        (format!("api_keys: {{ a: sha256:{secret}, a: b }}"), "is written twice"),
        (format!("api_keys: {{ a: 'sha256:{secret} }}"), "t.yaml:"),
        (format!("api_keys: {{ a: !x {secret} }}"), ""),
        (format!("keys: {{ root: {secret} }}"), "`keys.root` has to be a mapping"),
        (format!("keys: {{ root: {{ file: {secret} }} }}"), "this looks like the key itself"),
        (format!("keys: {secret}"), "`keys` has to be a mapping"),
    ] {
        let shown = match parse(&format!("{LISTEN}{text}"), &[]) {
            Ok(settings) => format!("{settings:?}"),
            Err(error) => format!("{error}\n{error:?}"),
        };
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("c0ffee") && !shown.contains("e3b0c442"), "{shown}");
    }
    for variable in [
        "TAMIS__API_KEYS__A",
        "TAMIS__API_KEYS",
        "TAMIS__KEYS__ROOT",
        "TAMIS__KEYS__ROOT__FILE",
        "TAMIS__KEYS__ROOT__KEY",
        "TAMIS__ROOT_KEY",
    ] {
        let error = parse(LISTEN, &[(variable, &secret)]).unwrap_err();
        let shown = format!("{error}\n{error:?}");
        assert!(shown.contains(variable) && !shown.contains("c0ffee"), "{shown}");
    }
    let settings = fine(&format!("api_keys: {{ a: 'sha256:{A}' }}"), &[]);
    assert!(!format!("{settings:?}").contains("ca978112"));
}

/// A UUID has as many hexadecimal digits as a short key.
#[test]
fn a_uuid_can_be_a_name() {
    let uuid = "550e8400-e29b-41d4-a716-44665544000f";
    let text = format!(
        "api_keys: {{ {uuid}: sha256:{A} }}\npolicies: /srv/{uuid}\nkeys: {{ root: {{ file: ./{uuid} }} }}\n"
    );
    let settings = fine(&text, &[]);
    assert!(settings.api_keys.contains(uuid));
    assert_eq!(settings.policies, Path::new("/srv").join(uuid));
}

/// How wrong settings are shown, to people and to machines.
fn shown(text: &str, environment: &[(&str, &str)]) -> String {
    let error = parse(text, environment).expect_err(text);
    let SettingsError::Wrong { findings, sources } = &error else { panic!("{error}") };
    let views = findings.iter().map(|finding| source::view(finding, sources));
    let json: Vec<String> = views.map(|view| serde_json::to_string(&view).unwrap()).collect();
    format!("{}{}", source::render_all(findings, sources), json.join("\n"))
}

#[test]
fn a_wrong_line_is_shown_and_what_is_wrong_in_it() {
    assert_eq!(
        shown(
            "listen: [{ address: 127.0.0.1:8080 }]\nlimits: { dept: 3 }\n",
            &[("TAMIS__THREADS", "many")]
        ),
        r#"error[unknown-key]: `limits.dept` is not known
 --> t.yaml:2:11
  |
2 | limits: { dept: 3 }
  |           ^^^^
  |
  = help: did you mean `depth`?

error[bad-value]: `threads` has to be a whole number from 1 to 1024, not `many`
 --> TAMIS__THREADS:1:1
  |
1 | many
  | ^^^^

{"rank":"error","code":"unknown-key","message":"`limits.dept` is not known","file":"t.yaml","line":2,"column":11,"end":{"line":2,"column":15},"help":"did you mean `depth`?"}
{"rank":"error","code":"bad-value","message":"`threads` has to be a whole number from 1 to 1024, not `many`","file":"TAMIS__THREADS","line":1,"column":1,"end":{"line":1,"column":5}}"#
    );
}

/// Wherever a key or its digest stands, by mistake or rightly beside one: no line of it is shown, nor is it quoted.
#[test]
fn no_line_shows_a_key() {
    let digest = "c0ffee".repeat(10) + "cafe";
    let key = "hunter2-hunter2";
    let texts = [
        // Where keys stand, and not as they should.
        "api_keys: { desk: KEY }",
        "api_keys:\n  desk: sha256:DIGEST0\n  till: sha256:DIGEST",
        "api_keys: { desk: sha256:DIGEST, till: sha256:DIGEST, x: KEY }",
        "api_keys: [KEY, DIGEST]",
        "api_keys: KEY",
        "api_keys: |\n  KEY\n  DIGEST",
        "api_keys: { desk: { key: KEY } }\nlimits: { depth: 0 }",
        "keys: { root: { file: DIGEST } }",
        "keys: { root: { key: KEY } }",
        "keys: { root: KEY }",
        "keys: >-\n  KEY",
        // Under a name that is a slip, and in the place of one.
        "apikeys: { desk: KEY }",
        "api_key: { desk: sha256:DIGEST }",
        "API-Keys: { desk: [KEY] }",
        "root_key: KEY",
        "api_keys: { DIGEST: desk }",
        "api_keys: { sha256:DIGEST: desk, desk: KEY }",
        // On a wrong line.
        "listen: sha256:DIGEST",
        "listen: [{ address: DIGEST }]",
        "listen: [{ address: 127.0.0.1:1, DIGEST: 1 }]",
        "DIGEST: { }",
        "sha256:DIGEST",
        "limits: { depth: DIGEST, name_bytes: sha256:DIGEST }",
        "access_log: { file: a, sha256:DIGEST: b }",
        // By an alias from where nobody looks for one.
        "x: &key KEY\napi_keys: { desk: *key }",
        "x: &keys { desk: KEY }\napi_keys: *keys",
        "api_keys: { desk: &key KEY }\nthreads: *key",
        "api_keys: { desk: &key KEY }\nlimits: *key",
        "api_keys: &keys { desk: KEY }\naccess_log: *keys",
        // In a section of another one, or one whose name is hardly the same.
        "upstreams: { crm: { api_key: KEY } }",
        "upstreams: { my-key: { address: KEY } }",
        "limits: { api_key: KEY, depth: 0 }",
        "threads: [x, { api_keys: { a: KEY } }]",
        "- api_keys: KEY",
        "listen: [{ connections: 0, tls: { certificate: x, key: KEY } }]",
        "api_kesy: { desk: KEY }",
        "api_kys: { desk: KEY }",
        "kesy: KEY",
        // As a name without a value, a comment or an anchor.
        "api_keys: { desk:KEY }",
        "api_keys: { KEY }",
        "api_keys:\n  ? KEY",
        "api_keys: { desk: x } # KEY",
        "api_keys:\n  desk: x # KEY\n  # KEY\n  till: y",
        "api_keys:\n  desk: &KEY x",
        // Cut, in groups, or over several lines.
        "threads: 'zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzDIGEST'",
        "threads: c0ffee12 c0ffee34 c0ffee56 c0ffee78 c0ffee90 c0ffeeab",
        "threads: c0ffee12c0ffee34\n  c0ffee56c0ffee78c0ffee90c0ffeeab",
        "threads: |\n  c0ffee12c0ffee34\n  c0ffee56c0ffee78c0ffee90c0ffeeab",
        // In the place of a file.
        "keys: { root: { file: c0ffee12c0ffee34c0ffee56c0ffee78c0ffee90c0ffeeabc } }",
        "policies: DIGEST",
        "listen: [{ address: 127.0.0.1:1, tls: { certificate: x, key: DIGEST } }]",
        "listen: [{ address: 127.0.0.1:1, tls: { certificate: x, key: '-----BEGIN KEY' } }]",
        // In a file that is no YAML.
        "api_keys: desk: KEY",
        "api_keys:\n  desk: key: KEY",
        "api_keys:\n  desk: x: \"KEY\"",
        "api_keys: { desk: 'KEY }",
        "api_keys:\n  desk: sha256:DIGEST\n till: KEY\n",
        "api_keys:\n\tdesk: KEY",
        "api_keys: { desk: KEY, desk: DIGEST }",
        "api_keys: { sha256:DIGEST: 1, sha256:DIGEST: 2",
        "api_keys: { desk: !x KEY }",
        "api_keys: { desk: *KEY }",
        "? [KEY]\n: DIGEST",
        "%KEY\n---\nlisten: []",
        "listen: []\n--- KEY",
        "\u{feff}api_keys: { desk: KEY }",
        "api_keys:\n\u{a0}desk: KEY",
    ];
    for text in texts {
        let text = text.replace("KEY", key).replace("DIGEST", &digest);
        let shown = shown(&text, &[]);
        assert!(shown.contains("t.yaml:"), "{text}\n{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("c0ffee"), "{text}\n{shown}");
    }
    for variable in [
        "TAMIS__API_KEYS__DESK",
        "TAMIS__API_KEYS",
        "TAMIS__API_KEY__DESK",
        "TAMIS__APIKEYS__DESK",
        "TAMIS__KEYS__ROOT",
        "TAMIS__KEYS__ROOT__KEY",
        "TAMIS__ROOT_KEY",
        "TAMIS__API_KESY__A",
        "TAMIS__UPSTREAMS__CRM__API_KEY",
        "TAMIS__LISTEN__0__TLS__KEY",
    ] {
        for value in [key, &digest] {
            let shown = shown(LISTEN, &[(variable, value)]);
            assert!(shown.contains(variable), "{variable}\n{shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("c0ffee"), "{variable}\n{shown}");
        }
    }
    let variable = format!("TAMIS__LIMITS__{digest}");
    assert!(!shown(LISTEN, &[(&variable, "x")]).contains("c0ffee"));
    let shown = shown(LISTEN, &[("TAMIS__LIMITS__DEPTH", &digest)]);
    assert!(shown.contains("TAMIS__LIMITS__DEPTH") && !shown.contains("c0ffee"), "{shown}");
}

/// Some readers of YAML take these for other numbers, and people write them in the way of other programs: a
/// message shows what stands in the file, and what to write.
#[test]
fn a_number_is_shown_as_it_is_written() {
    for (written, meant) in [
        ("010", "`010` is not a number of YAML 1.2: write `10`"),
        ("0o10", "write `8`"),
        ("0x10", "write `16`"),
        ("0b10", "write `2`"),
        ("1_00", "write `100`"),
        ("1e2", "write `100`"),
        ("1.0E+2", "write `100`"),
        ("10.0", "write `10`"),
        ("+5", "write `5`"),
        ("00", ""),
        ("-0", ""),
        ("-5", ""),
        ("0.5", ""),
        (".5", ""),
        ("1.000", ""),
        ("0x1000000", ""),
        ("99999999999999999999999999999999999999999", ""),
        ("True", ""),
        ("yes", ""),
        ("1:30", ""),
        ("2026-11-29", ""),
    ] {
        let expected = format!(
            "t.yaml:2:18: `limits.depth` has to be a whole number from 1 to 1024, not `{written}`"
        );
        let help = format!("  help: {meant}");
        let expected = [expected.as_str(), help.as_str()];
        let expected = if meant.is_empty() { &expected[..1] } else { &expected };
        below(&format!("limits: {{ depth: {written} }}"), expected);
        // The same in a block, before a comment.
        let moved = expected.iter().map(|line| line.replace(":2:18:", ":3:10:"));
        let moved: Vec<String> = moved.collect();
        let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
        below(&format!("limits:\n  depth: {written} # {written}\n"), &moved);
    }
    for written in [".inf", "-.INF", ".nan"] {
        let expected = format!(
            "t.yaml:2:18: `limits.depth` has to be a whole number from 1 to 1024, not `{written}`"
        );
        below(&format!("limits: {{ depth: {written} }}"), &[&expected]);
    }
    // By an alias, it stands where it is written.
    check(
        "listen: [{ address: 127.0.0.1:8080 }]\nthreads: &n 0x10\nlimits: { depth: *n }\n",
        &[],
        &[
            "t.yaml:2:13: `limits.depth` has to be a whole number from 1 to 1024, not `0x10`",
            "  help: write `16`",
            "t.yaml:2:13: `threads` has to be a whole number from 1 to 1024, not `0x10`",
            "  help: write `16`",
        ],
    );
    let limit = |name: &str, written: &str, help: &str| {
        let text = format!("{LISTEN}limits: {{ {name}: {written} }}");
        let error = parse(&text, &[]).unwrap_err().to_string();
        let (_, told) = error.split_once(&format!("not `{written}`")).unwrap();
        assert_eq!(told, format!("\n  help: {help}"), "{name}: {written}");
    };
    limit("value_bytes", "64KiB", "write `65536`");
    limit("value_bytes", "64 KiB", "write `65536`");
    limit("document_bytes", "8Mi", "write `8388608`");
    limit("pass_bytes", "1GB", "write `1000000000`");
    for none in ["0", "-1", "none", "unlimited"] {
        limit("caller_in_flight", none, "leave it out: then there is no limit");
        limit("connections", none, "leave it out: then as many as open files allow");
    }
}

#[test]
fn a_value_of_another_program_is_told_the_one_of_ours() {
    let one = |text: &str, written: &str, help: &str| {
        let error = parse(&format!("{LISTEN}{text}"), &[]).unwrap_err().to_string();
        let (_, told) =
            error.split_once(&format!("not `{written}`")).unwrap_or_else(|| panic!("{error}"));
        assert_eq!(told, format!("\n  help: {help}"), "{text}");
    };
    for (written, help) in [
        ("30", "say of what: `30ms`, `30s` or `30m`"),
        ("1.5s", "write `1500ms`"),
        ("30 s", "write `30s`"),
        ("30S", "write `30s`"),
        ("5min", "write `5m`"),
        ("1h30m", "write `90m`"),
        ("PT30S", "write `30s`"),
        ("1d", "write `24h`"),
        ("010s", "write `10s`"),
    ] {
        one(&format!("timeouts: {{ client: {written} }}"), written, help);
    }
    one("timeouts: { drain: 0 }", "0", "write `0s`");
    for (written, help) in [
        ("8080", "write `127.0.0.1:8080`, or `0.0.0.0:8080` for every IPv4 address"),
        (":8080", "write `127.0.0.1:8080`, or `0.0.0.0:8080` for every IPv4 address"),
        ("*:8080", "write `0.0.0.0:8080`"),
        ("localhost:8080", "write `127.0.0.1:8080` or `[::1]:8080`"),
        ("http://127.0.0.1:8080/", "write `127.0.0.1:8080`"),
        ("::1:8080", "write `[::1]:8080`"),
    ] {
        one(&format!("admin: {{ address: '{written}' }}"), written, help);
    }
    for (written, help) in [
        ("http://crm:8000", "write `crm:8000`"),
        ("http://crm:8000/api", "write `crm:8000`"),
        ("http://crm", "write `crm:80`"),
        ("https://crm", "write `crm:443`, and `tls: {}` beside it"),
        ("crm", "write `crm:PORT`"),
    ] {
        one(&format!("upstreams: {{ crm: {{ address: '{written}' }} }}"), written, help);
    }
    for (written, help) in [
        ("HTTP/1.1", "write `http1`"),
        ("https", "write `http1`, and `tls: {}` beside it"),
        ("grpc", "write `h2c` for HTTP/2 without TLS, `h2` for HTTP/2 with TLS"),
    ] {
        let text = format!("upstreams: {{ crm: {{ unix: /a, protocol: '{written}' }} }}");
        one(&text, written, help);
    }
    for (written, help) in [
        ("false", "write `off`"),
        ("yes", "write `stdout`"),
        ("access.jsonl", "write `{ file: access.jsonl }`"),
    ] {
        one(&format!("access_log: {written}"), written, help);
    }
    let unix = |mode: &str| format!("listen: [{{ unix: /a, mode: {mode} }}]");
    let error = parse(&unix("0o660"), &[]).unwrap_err().to_string();
    let expected =
        "`listen[0].mode` has to be `0600`, `0660` or `0666`, not `0o660`\n  help: write `0660`";
    assert!(error.ends_with(expected), "{error}");
    for mode in ["0660", "660", "'0660'"] {
        parse(&unix(mode), &[]).unwrap();
    }
}

#[test]
fn a_variable_with_one_underscore_is_told_the_setting() {
    let names = [
        "TAMIS_LIMITS_DEPTH",
        "PATH",
        "TAMIS_KERNEL",
        "TAMIS__LIMITS__DEPTH",
        "TAMIS_ADMIN_ADDRESS",
    ];
    let told: Vec<String> = ignored(names).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "TAMIS_ADMIN_ADDRESS: this variable is not read\n  help: did you mean `TAMIS__ADMIN__ADDRESS`?",
            "TAMIS_LIMITS_DEPTH: this variable is not read\n  help: did you mean `TAMIS__LIMITS__DEPTH`?",
        ]
    );
    // What is proposed is read.
    for key in KEYS {
        let variable = key.replace("[]", ".0").replace('.', SEPARATOR).to_uppercase();
        let error = parse("", &[(&format!("{PREFIX}{variable}"), "")]).unwrap_err().to_string();
        assert!(!error.contains("is not known") && error.contains(&variable), "{key}: {error}");
    }
}

#[test]
fn the_environment_wins() {
    let a = format!("sha256:{A}");
    let settings = fine(
        "upstreams: { order-service: { address: '127.0.0.1:1', host: keep }, B: { address: '127.0.0.1:3' } }\nlimits:\naccess_log: stdout",
        &[
            ("TAMIS__LISTEN__1__ADDRESS", "127.0.0.1:8081"),
            ("TAMIS__LISTEN__0__ADDRESS", "127.0.0.1:8082"),
            ("TAMIS__LISTEN__2__UNIX", "/a"),
            ("TAMIS__LISTEN__2__MODE", "0666"),
            ("TAMIS__ADMIN__ADDRESS", "127.0.0.1:1"),
            ("TAMIS__UPSTREAMS__ORDER_SERVICE__ADDRESS", "127.0.0.2:2"),
            ("TAMIS__UPSTREAMS__ORDER_SERVICE__HOST__SET", "c"),
            ("TAMIS__UPSTREAMS__B__PROTOCOL", "h2c"),
            ("TAMIS__UPSTREAMS__NEW_ONE__ADDRESS", "[::1]:3"),
            ("TAMIS__API_KEYS__DESK-2026", &a),
            ("TAMIS__LIMITS__DEPTH", "7"),
            ("TAMIS__ACCESS_LOG__FILE", "f"),
            ("TAMIS__ACCESS_LOG", "off"),
            ("TAMIS_OTHER", "x"),
            ("PATH", "x"),
        ],
    );
    let listen: Vec<String> = settings.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:8082", "127.0.0.1:8081", "/a"]);
    assert_eq!(settings.admin.port(), 1);
    let names: Vec<&str> = settings.upstreams.keys().map(String::as_str).collect();
    assert_eq!(names, ["B", "new_one", "order-service"]);
    let orders = &settings.upstreams["order-service"];
    assert_eq!(
        (addresses(orders), &orders.host),
        ("127.0.0.2:2".to_owned(), &HostHeader::Set("c".to_owned()))
    );
    assert_eq!(settings.upstreams["B"].protocol, Protocol::H2c);
    assert_eq!(settings.api_keys.name_of(b"a"), Some("desk-2026"));
    assert_eq!(settings.limits.depth, 7);
    assert_eq!(settings.access_log, AccessLog::File("f".into()));
    // A file need not say anything at all.
    let variable = ("TAMIS__LISTEN__0__ADDRESS".to_owned(), "127.0.0.1:80".to_owned());
    assert_eq!(Settings::parse("t.yaml", "", [variable]).unwrap().listen.len(), 1);
}

#[test]
fn a_variable_that_fits_nothing_is_an_error() {
    let one = |text: &str, variable: (&str, &str), expected: &[&str]| {
        check(&format!("{LISTEN}{text}"), &[variable], expected);
    };
    one(
        "",
        ("TAMIS__LISTN__0__ADDRESS", "x"),
        &[
            "TAMIS__LISTN__0__ADDRESS: `listn` is not known",
            "  help: did you mean `TAMIS__LISTEN__0__ADDRESS`?",
        ],
    );
    one(
        "",
        ("TAMIS__LIMITS__DEPHT", "3"),
        &[
            "TAMIS__LIMITS__DEPHT: `limits.depht` is not known",
            "  help: did you mean `TAMIS__LIMITS__DEPTH`?",
        ],
    );
    one(
        "",
        ("TAMIS__LIMITS_DEPTH", "3"),
        &[
            "TAMIS__LIMITS_DEPTH: `limits_depth` is not known",
            "  help: did you mean `TAMIS__LIMITS__DEPTH`?",
        ],
    );
    one(
        "",
        ("TAMIS__LIMITS__DEPTH", "010"),
        &[
            "TAMIS__LIMITS__DEPTH: `limits.depth` has to be a whole number from 1 to 1024, not `010`",
            "  help: `010` is not a number of YAML 1.2: write `10`",
        ],
    );
    one(
        "",
        ("TAMIS__LIMITS__DEPTH", "x"),
        &["TAMIS__LIMITS__DEPTH: `limits.depth` has to be a whole number from 1 to 1024, not `x`"],
    );
    one("", ("TAMIS__LIMITS__DEPTH", ""), &["TAMIS__LIMITS__DEPTH: `limits.depth` has no value"]);
    one(
        "",
        ("TAMIS__LIMITS__DEPTH__X", "3"),
        &["TAMIS__LIMITS__DEPTH__X: `limits.depth` has to be one value, and this is a mapping"],
    );
    one("", ("TAMIS__LIMITS", "3"), &["TAMIS__LIMITS: `limits` has to be a mapping", LIMITS]);
    one("", ("TAMIS__LIMITS__0", "3"), &["TAMIS__LIMITS__0: `limits` has to be a mapping", LIMITS]);
    one("", ("TAMIS__", "3"), &["TAMIS__: the name of the variable has an empty part"]);
    one(
        "",
        ("TAMIS__LIMITS____DEPTH", "3"),
        &[
            "TAMIS__LIMITS____DEPTH: the name of the variable has an empty part",
            "  help: did you mean `TAMIS__LIMITS__DEPTH`?",
        ],
    );
    let gap = "is not the number of a list that begins with 0 and has no gaps";
    one(
        "",
        ("TAMIS__LISTEN__2__ADDRESS", "x"),
        &[&format!("TAMIS__LISTEN__2__ADDRESS: `2` {gap}")],
    );
    one(
        "",
        ("TAMIS__LISTEN__ADDRESS", "x"),
        &[&format!("TAMIS__LISTEN__ADDRESS: `ADDRESS` {gap}")],
    );
    one(
        "upstreams: { a-b: { address: '127.0.0.1:1' }, a_b: { address: '127.0.0.1:2' } }",
        ("TAMIS__UPSTREAMS__A_B__ADDRESS", "127.0.0.1:3"),
        &["TAMIS__UPSTREAMS__A_B__ADDRESS: `a-b` and `a_b` can both be meant"],
    );
}

#[test]
fn a_file_is_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tamis.yaml");
    let load = || Settings::load(&path, []).map_err(|error| error.to_string());
    assert!(
        load().unwrap_err().ends_with("cannot be read: No such file or directory (os error 2)")
    );
    std::fs::write(&path, LISTEN).unwrap();
    assert_eq!(load().unwrap().listen.len(), 1);
    std::fs::write(&path, b"listen: \xff").unwrap();
    assert!(load().unwrap_err().ends_with("is not UTF-8 text from byte 8 on: save it as UTF-8"));
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(
        load()
            .unwrap_err()
            .ends_with("is larger than 1048576 bytes: is this the file that is meant?")
    );
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert!(load().unwrap_err().ends_with("cannot be read: it is a device, not a file"));
}
