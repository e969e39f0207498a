//! From settings as they are written to settings as they are checked: every key, what it may say and
//! what it says if it is not there.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    thread::available_parallelism,
    time::Duration,
};

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::{
    config::{
        fields::{Field, Mapping, Problem, Problems, Span, whole},
        hints,
        settings::{
            AccessLog, ApiKeys, Authority, Health, HostHeader, KeyDigest, KeyPair, Limits,
            Listener, PASS_BYTES, Place, Places, Protocol, Settings, Timeouts, Upstream,
            UpstreamTls,
        },
    },
    source::yaml::{Kind, Node},
};

/// Longest host name (RFC 1035, section 2.3.4) and longest part of one, in bytes.
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Longest name of a UNIX socket that the system takes, in bytes.
const UNIX_BYTES_MAX: usize = 107;

/// Longest of all times.
const TIME_MAX: Duration = Duration::from_hours(24);
/// Shortest time between two looks at an address.
const HEALTH_TIME_MIN: Duration = Duration::from_millis(100);
/// Longest time for a head: Pingora waits no longer for it.
const HEAD_TIME_MAX: Duration = Duration::from_mins(1);

/// What `sha256sum` says of nothing and of a line end: a key that was not there when it was hashed.
const DIGESTS_OF_NOTHING: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
];

/// Checks a tree. If there are no settings, at least one problem says why; if there are some, they
/// count only without problems.
pub(super) fn check(root: Node, problems: &mut Problems<'_>) -> Option<Settings> {
    let mut top = Mapping::root(root, problems);
    if !top.is_mapping() {
        return None;
    }
    let listen = listeners(top.take("listen"), problems);
    let admin = admin(top.take("admin"), problems);
    refuse_overlaps(&listen, admin.as_ref(), problems);
    let settings = Settings {
        listen: listen.into_iter().map(|(listener, _)| listener).collect(),
        admin: admin.map_or(ADMIN, |(address, _)| address),
        policies: top.file("policies", problems).unwrap_or_else(|| "policies".into()),
        root_key: root_key(top.take("keys"), problems),
        api_keys: api_keys(top.take("api_keys"), problems),
        upstreams: upstreams(top.take("upstreams"), problems),
        limits: limits(top.take("limits"), problems),
        timeouts: timeouts(top.take("timeouts"), problems),
        access_log: access_log(top.take("access_log"), problems),
        threads: top.number("threads", 1..=1024, cores(), problems),
        upgrade_socket: top.file("upgrade_socket", problems),
    };
    top.end(problems);
    problems.is_empty().then_some(settings)
}

/// Where metrics and probes are served if nothing is said: to this machine only.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// An address, and where it is written.
type Address = (SocketAddr, Option<Span>);

fn listeners(field: Option<Field>, problems: &mut Problems<'_>) -> Vec<(Listener, Option<Span>)> {
    let Some(field) = field.filter(Field::is_written) else {
        let what = "`listen` is missing: nobody could connect".to_owned();
        let help = Some("listen: [{ address: 127.0.0.1:8080 }]".to_owned());
        problems.push(Problem { code: "no-listener", at: None, what, help });
        return Vec::new();
    };
    let at = Some(field.at());
    let items = field.items(problems);
    if items.as_ref().is_some_and(Vec::is_empty) {
        let what = "`listen` is empty: nobody could connect".to_owned();
        let help = Some("listen: [{ address: 127.0.0.1:8080 }]".to_owned());
        problems.push(Problem { code: "no-listener", at, what, help });
    }
    items.into_iter().flatten().filter_map(|item| listener(item, problems)).collect()
}

fn listener(field: Field, problems: &mut Problems<'_>) -> Option<(Listener, Option<Span>)> {
    let mut fields = Mapping::of(Some(field), problems);
    let address = fields.take("address");
    let unix = fields.take("unix");
    let mode = fields.take("mode");
    let tls = fields.take("tls");
    let connections = fields.limit("connections", 1..=1_000_000, NO_LIMIT, problems);
    if address.is_none() && unix.is_none() {
        fields.lacks("neither `address` nor `unix`", problems);
    }
    fields.end(problems);
    if let (Some(one), Some(other)) = (&address, &unix) {
        both_say_where(one, other, problems);
        return None;
    }
    if let (None, Some(field)) = (&unix, &mode) {
        let what = format!("`{}` is for a UNIX socket, and there is no `unix`", field.path);
        problems.push(Problem { code: "conflict", at: Some(field.at()), what, help: None });
    }
    let mode = mode.and_then(|field| socket_mode(field, problems)).unwrap_or(MODE);
    let is_tls = tls.is_some();
    let tls = tls.and_then(|field| {
        let mut fields = Mapping::of(Some(field), problems);
        let certificate = fields.need("certificate", problems);
        let key = fields.need("key", problems);
        fields.end(problems);
        let certificate = certificate.and_then(|field| field.file(problems));
        let key = key.and_then(|field| field.file(problems));
        Some(KeyPair { certificate: certificate?, key: key? })
    });
    let (place, at) = match (address, unix) {
        (Some(field), _) => {
            let at = Some(field.at());
            (Place::Network(socket_address(field, problems)?), at)
        }
        (None, Some(field)) => {
            let at = Some(field.at());
            (Place::Unix { path: unix_path(field, problems)?, mode }, at)
        }
        (None, None) => return None,
    };
    // Nobody connects in the clear where TLS is meant.
    (tls.is_some() || !is_tls).then_some((Listener { place, tls, connections }, at))
}

/// Who may connect to a UNIX socket if nothing is said: the user that tamis runs as.
const MODE: u32 = 0o600;

/// The permissions that make sense, in the digits that everybody knows. Others could be a slip, such as what
/// `0o660` is in decimal digits.
fn socket_mode(field: Field, problems: &mut Problems<'_>) -> Option<u32> {
    let mode = |digits: &str| match digits {
        "0600" | "600" => Some(0o600),
        "0660" | "660" => Some(0o660),
        "0666" | "666" => Some(0o666),
        _ => None,
    };
    let hint = |text: &str| {
        let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix("0O"))?;
        mode(digits).map(|mode| format!("write `{mode:04o}`"))
    };
    field.parse_or_hint("`0600`, `0660` or `0666`", problems, hint, mode)
}

fn socket_address(field: Field, problems: &mut Problems<'_>) -> Option<SocketAddr> {
    let wanted = "an address and a port such as `127.0.0.1:8080`";
    let hint = |text: &str| {
        let bare = text.split_once("://").map_or(text, |(_, bare)| bare);
        let bare = bare.trim_end_matches('/');
        let (host, port) = bare.rsplit_once(':').unwrap_or(("", bare));
        let port: u16 = whole(port)?.parse().ok()?;
        match host {
            "" => Some(format!(
                "write `127.0.0.1:{port}`, or `0.0.0.0:{port}` for every IPv4 address"
            )),
            "*" => Some(format!("write `0.0.0.0:{port}`")),
            "localhost" => Some(format!("write `127.0.0.1:{port}` or `[::1]:{port}`")),
            host => {
                let ip: IpAddr = host.parse().ok()?;
                Some(format!("write `{}`", SocketAddr::new(ip, port)))
            }
        }
    };
    field.parse_or_hint(wanted, problems, hint, |text| text.parse().ok())
}

fn admin(field: Option<Field>, problems: &mut Problems<'_>) -> Option<Address> {
    let mut fields = Mapping::of(Some(field.filter(Field::is_written)?), problems);
    let address = fields.need("address", problems);
    fields.end(problems);
    let address = address?;
    let at = Some(address.at());
    Some((socket_address(address, problems)?, at))
}

/// Two listeners that cannot both have what they ask for.
fn refuse_overlaps(
    listen: &[(Listener, Option<Span>)],
    admin: Option<&Address>,
    problems: &mut Problems<'_>,
) {
    let admin = admin.map_or(ADMIN, |(address, _)| *address);
    let admin = Listener { place: Place::Network(admin), tls: None, connections: None };
    let mut before: Vec<(&Listener, &str)> = vec![(&admin, "admin")];
    for (one, at) in listen {
        if let Some((other, name)) = before.iter().find(|(other, _)| overlap(one, other)) {
            let what = format!("`listen` asks for {one}, and `{name}` for {other}");
            let help = match one.place {
                Place::Network(_) => "give each its own port",
                Place::Unix { .. } => "give each its own file",
            };
            problems.push(Problem {
                code: "same-address",
                at: at.clone(),
                what,
                help: Some(help.to_owned()),
            });
        }
        before.push((one, "listen"));
    }
}

/// Port 0 is another one each time; `0.0.0.0` is every IPv4 address, and `[::]` every address.
fn overlap(one: &Listener, other: &Listener) -> bool {
    let (one, other) = match (&one.place, &other.place) {
        (Place::Network(one), Place::Network(other)) => (one, other),
        (Place::Unix { path: one, .. }, Place::Unix { path: other, .. }) => return one == other,
        (Place::Network(_), Place::Unix { .. }) | (Place::Unix { .. }, Place::Network(_)) => {
            return false;
        }
    };
    let covers = |one: IpAddr, other: IpAddr| {
        one == other
            || one == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || (one == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && other.is_ipv4())
    };
    one.port() == other.port()
        && one.port() != 0
        && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

fn root_key(field: Option<Field>, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let mut keys = Mapping::of(field, problems);
    let root = keys.take("root").filter(Field::is_written);
    keys.end(problems);
    let mut root = Mapping::of(Some(root?), problems);
    let file = root.need("file", problems);
    root.end(problems);
    file?.file(problems)
}

/// The bytes of 64 hexadecimal digits.
fn decode(digits: &str) -> Option<KeyDigest> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok()
}

fn api_keys(field: Option<Field>, problems: &mut Problems<'_>) -> ApiKeys {
    let mut known: Vec<(String, KeyDigest)> = Vec::new();
    for (name, field) in Mapping::of(field, problems).rest() {
        let (path, at) = (field.path.clone(), Some(field.at()));
        let Some(text) = field.text(problems) else { continue };
        // What stands here may be the key itself: it is not shown.
        let problem =
            |code, what, help: &str| Problem { code, at, what, help: Some(help.to_owned()) };
        // Nothing shorter: a name can be a UUID.
        if decode(name.strip_prefix("sha256:").unwrap_or(&name)).is_some() {
            problems.push(problem(
                "bad-name",
                "a name under `api_keys` looks like a digest".to_owned(),
                "the name stands before the colon, and the digest behind it",
            ));
            continue;
        }
        let Some(digest) = text.strip_prefix("sha256:").and_then(decode) else {
            problems.push(problem(
                "bad-digest",
                format!("`{path}` has to be `sha256:` and the 64 digits of the key's digest"),
                "printf %s \"$KEY\" | sha256sum",
            ));
            continue;
        };
        if DIGESTS_OF_NOTHING.into_iter().filter_map(decode).any(|nothing| nothing == digest) {
            problems.push(problem(
                "empty-key",
                format!("`{path}` is the digest of nothing"),
                "the variable or file with the key was empty when the digest was made",
            ));
        } else if let Some((other, _)) = known.iter().find(|(_, other)| *other == digest) {
            problems.push(problem(
                "same-key",
                format!("`{path}` is the same key as `{other}`"),
                "make a key for each: it says who asks",
            ));
        }
        known.push((name, digest));
    }
    ApiKeys(known)
}

fn upstreams(field: Option<Field>, problems: &mut Problems<'_>) -> BTreeMap<String, Upstream> {
    let rest = Mapping::of(field, problems).rest();
    rest.filter_map(|(name, field)| Some((name, upstream(field, problems)?))).collect()
}

fn upstream(field: Field, problems: &mut Problems<'_>) -> Option<Upstream> {
    let path = field.path.clone();
    let mut fields = Mapping::of(Some(field), problems);
    let places = places(&mut fields, problems);
    let tls = fields.take("tls");
    let plain = fields.take("plain");
    let protocol = fields.take("protocol");
    let keepalive = fields.take("keepalive");
    let host = fields.take("host");
    let health = fields.take("health");
    fields.end(problems);
    let health = health.and_then(|field| health_of(field, problems));
    let is_tls = tls.is_some();
    let tls = tls.map(|field| upstream_tls(field, places.as_ref(), problems));
    let protocol = protocol.and_then(|field| protocol_of(field, is_tls, problems));
    let protocol = protocol.unwrap_or_default();
    let keepalive = keepalive.and_then(|field| keepalive_of(field, protocol, problems));
    let host = host.and_then(|field| host_header(field, problems));
    let is_plain = plain.is_some();
    if let Some(field) = plain.as_ref().filter(|_| is_tls) {
        let what = format!("`{}` is for what is asked without TLS", field.path);
        let help = Some(format!("leave it out, or `{path}.tls`"));
        problems.push(Problem { code: "conflict", at: Some(field.at()), what, help });
    }
    let plain = plain.and_then(|field| because(field, problems));
    let (places, at) = places?;
    if !is_tls && !is_plain && !places.are_local() {
        let what = format!("`{path}` would be asked in the clear, over a network");
        let help =
            "ask it by TLS, `tls: {}`, or say why there is no need, `plain: { because: \"..\" }`";
        problems.push(Problem { code: "plain-upstream", at, what, help: Some(help.to_owned()) });
    }
    Some(Upstream {
        places,
        tls: tls.flatten(),
        plain,
        protocol,
        keepalive: keepalive.unwrap_or(true),
        host: host.unwrap_or_default(),
        health,
    })
}

fn health_of(field: Field, problems: &mut Problems<'_>) -> Option<Health> {
    let (path, at) = (field.path.clone(), Some(field.at()));
    if !field.is_written() {
        // Whoever wrote it means it.
        let what = format!("`{path}` has no value");
        let help = Some("`health: {}` looks whether it takes a connection".to_owned());
        problems.push(Problem { code: "no-value", at, what, help });
        return None;
    }
    let mut fields = Mapping::of(Some(field), problems);
    let path = fields.take("path");
    let every = fields.take("every");
    fields.end(problems);
    let path = path.and_then(|field| {
        field.parse("a path such as `/healthz`", problems, |text| {
            let is_fine = text.starts_with('/')
                && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            is_fine.then(|| text.to_owned())
        })
    });
    let every = every.and_then(|field| parse_time(field, HEALTH_TIME_MIN..=TIME_MAX, problems));
    Some(Health { path, every: every.unwrap_or(HEALTH_EVERY) })
}

/// How often an upstream is asked how it is, if nothing is said.
const HEALTH_EVERY: Duration = Duration::from_secs(5);

fn protocol_of(field: Field, is_tls: bool, problems: &mut Problems<'_>) -> Option<Protocol> {
    let (path, at) = (field.path.clone(), Some(field.at()));
    let hint = |text: &str| match text.to_ascii_lowercase().as_str() {
        "http" | "http/1" | "http/1.1" | "http1.1" | "1.1" | "h1" => {
            Some("write `http1`".to_owned())
        }
        "http2" | "http/2" | "http2.0" | "2" | "grpc" => {
            Some("write `h2c` for HTTP/2 without TLS, `h2` for HTTP/2 with TLS".to_owned())
        }
        "https" => Some("write `http1`, and `tls: {}` beside it".to_owned()),
        _ => None,
    };
    let wanted = "`http1`, `h2c` or `h2`";
    let protocol = field.parse_or_hint(wanted, problems, hint, |word| match word {
        "http1" => Some(Protocol::Http1),
        "h2c" => Some(Protocol::H2c),
        "h2" => Some(Protocol::H2),
        _ => None,
    })?;
    let (what, help) = match (protocol, is_tls) {
        (Protocol::H2c, true) => ("`h2c` is HTTP/2 without TLS", "`h2` is HTTP/2 with TLS"),
        (Protocol::H2, false) => {
            ("`h2` is HTTP/2 with TLS", "add `tls: {}`, or write `h2c` for HTTP/2 without TLS")
        }
        (Protocol::Http1, _) | (Protocol::H2c, false) | (Protocol::H2, true) => {
            return Some(protocol);
        }
    };
    let what = format!("`{path}` cannot be: {what}");
    problems.push(Problem { code: "conflict", at, what, help: Some(help.to_owned()) });
    None
}

/// Whether a connection is kept for another request.
fn keepalive_of(field: Field, protocol: Protocol, problems: &mut Problems<'_>) -> Option<bool> {
    let (path, at) = (field.path.clone(), Some(field.at()));
    let hint = |text: &str| hints::switch(text).map(|word| format!("write `{word}`"));
    let is_kept = field.parse_or_hint("`on` or `off`", problems, hint, |word| match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    })?;
    match protocol {
        Protocol::H2c | Protocol::H2 if !is_kept => {
            let what =
                format!("`{path}` cannot be `off`: a connection of HTTP/2 is for many requests");
            let help = "leave it out, or ask by `protocol: http1`: in HTTP/2 an answer says to which request it is";
            problems.push(Problem { code: "conflict", at, what, help: Some(help.to_owned()) });
            None
        }
        Protocol::Http1 | Protocol::H2c | Protocol::H2 => Some(is_kept),
    }
}

/// How an upstream in these places is asked by TLS.
fn upstream_tls(
    field: Field,
    places: Option<&(Places, Option<Span>)>,
    problems: &mut Problems<'_>,
) -> Option<UpstreamTls> {
    let (path, at) = (field.path.clone(), Some(field.at()));
    if !field.is_written() {
        // Whoever wrote it means TLS, and all lines below may be comments.
        let what = format!("`{path}` has no value");
        problems.push(Problem {
            code: "no-value",
            at,
            what,
            help: Some("`tls: {}` is TLS as it should be".to_owned()),
        });
        return None;
    }
    let mut fields = Mapping::of(Some(field), problems);
    let is_mapping = fields.is_mapping();
    let name = fields.take("name");
    let ca = fields.file("ca", problems);
    let client = key_pair(&mut fields, problems);
    fields.end(problems);
    let is_named = name.is_some();
    let wanted = "the name or the address that the certificate is for";
    let name = name.and_then(|field| {
        field.parse(wanted, problems, |text| certified_host(text).map(str::to_owned))
    });
    let unnamed = match places {
        Some((Places::Unix(_), _)) => Some("a UNIX socket has no name".to_owned()),
        Some((Places::Network(addresses), _)) => addresses
            .iter()
            .find(|address| certified_host(address.host()).is_none())
            .map(|address| format!("no certificate is for `{}`", address.host())),
        None => None,
    };
    if let Some(why) = unnamed
        && is_mapping
        && !is_named
    {
        let what = format!("`{path}` has no `name`, and {why}");
        let help = Some("tls: { name: HOST }".to_owned());
        problems.push(Problem { code: "missing-key", at, what, help });
    }
    Some(UpstreamTls { name, ca, client })
}

/// A host that a certificate can be for: a name without the liberties of others, or an address.
fn certified_host(text: &str) -> Option<&str> {
    let name = host(text).or_else(|| text.parse::<Ipv6Addr>().is_ok().then_some(text))?;
    (!name.contains('_') && !name.ends_with('.')).then_some(name)
}

/// The files of a certificate and of its key, if there are any.
fn key_pair(fields: &mut Mapping, problems: &mut Problems<'_>) -> Option<KeyPair> {
    let certificate = fields.take("certificate");
    let key = fields.take("key");
    if certificate.is_some() != key.is_some() {
        let lacks = if key.is_none() {
            "a `certificate`, and no `key`"
        } else {
            "a `key`, and no `certificate`"
        };
        fields.lacks(lacks, problems);
    }
    let certificate = certificate.and_then(|field| field.file(problems));
    let key = key.and_then(|field| field.file(problems));
    Some(KeyPair { certificate: certificate?, key: key? })
}

/// Where an upstream is, which is said in one way, and where that is written.
fn places(fields: &mut Mapping, problems: &mut Problems<'_>) -> Option<(Places, Option<Span>)> {
    let address = fields.take("address");
    let addresses = fields.take("addresses");
    let unix = fields.take("unix");
    let said = [&address, &addresses, &unix].into_iter().flatten().collect::<Vec<_>>();
    if let [one, other, ..] = said.as_slice() {
        both_say_where(one, other, problems);
        return None;
    }
    if let Some(field) = unix {
        let at = Some(field.at());
        return Some((Places::Unix(unix_path(field, problems)?), at));
    }
    if let Some(field) = addresses {
        let at = Some(field.at());
        let nobody = format!("`{}` is empty: nobody could be asked", field.path);
        let items = field.items(problems)?;
        if items.is_empty() {
            problems.push(Problem { code: "no-value", at, what: nobody, help: None });
            return None;
        }
        let count = items.len();
        let read = items.into_iter().filter_map(|item| parse_authority(item, problems));
        let read: Vec<Authority> = read.collect();
        return (read.len() == count).then_some((Places::Network(read), at));
    }
    let Some(field) = address else {
        fields.lacks("none of `address`, `addresses` and `unix`", problems);
        return None;
    };
    let at = Some(field.at());
    Some((Places::Network(vec![parse_authority(field, problems)?]), at))
}

fn both_say_where(one: &Field, other: &Field, problems: &mut Problems<'_>) {
    let what = format!("`{}` and `{}` both say where it is", one.path, other.path);
    let help = Some("leave one of them out".to_owned());
    problems.push(Problem { code: "conflict", at: Some(other.at()), what, help });
}

fn parse_authority(field: Field, problems: &mut Problems<'_>) -> Option<Authority> {
    let hint = |text: &str| {
        let (scheme, bare) = text.split_once("://").unwrap_or(("", text));
        let bare = bare.split('/').next().unwrap_or(bare);
        let port = match scheme {
            "https" => "443",
            "http" => "80",
            _ => "PORT",
        };
        let written = if authority(bare).is_some() {
            bare.to_owned()
        } else {
            host(bare)?;
            format!("{bare}:{port}")
        };
        let tls = if scheme == "https" { ", and `tls: {}` beside it" } else { "" };
        (written != text).then(|| format!("write `{written}`{tls}"))
    };
    field.parse_or_hint("HOST:PORT, such as `crm.internal:8000`", problems, hint, authority)
}

/// The name of a UNIX socket.
fn unix_path(field: Field, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let wanted = format!("the name of a UNIX socket, of {UNIX_BYTES_MAX} bytes at most");
    field.parse(&wanted, problems, |text| {
        (!text.contains('\0') && text.len() <= UNIX_BYTES_MAX).then(|| PathBuf::from(text))
    })
}

/// The sentence of `{ because: ".." }`.
fn because(field: Field, problems: &mut Problems<'_>) -> Option<String> {
    let mut fields = Mapping::of(Some(field), problems);
    let because = fields.need("because", problems);
    fields.end(problems);
    because?.parse("a sentence that says why", problems, |text| {
        text.contains(char::is_whitespace).then(|| text.to_owned())
    })
}

/// The longest target that the parser of URIs takes.
const TARGET_BYTES_MAX: usize = 65_534;

fn host_header(field: Field, problems: &mut Problems<'_>) -> Option<HostHeader> {
    if let Kind::Mapping(_) = field.node.kind {
        let mut fields = Mapping::of(Some(field), problems);
        let name = fields.need("set", problems);
        fields.end(problems);
        let wanted = "the name of a host, with or without a port";
        return name?.parse(wanted, problems, |text| {
            (host(text).is_some() || authority(text).is_some())
                .then(|| HostHeader::Set(text.to_owned()))
        });
    }
    field.parse("`keep` or `{ set: NAME }`", problems, |word| {
        (word == "keep").then_some(HostHeader::Keep)
    })
}

fn authority(text: &str) -> Option<Authority> {
    let (name, port) = text.rsplit_once(':')?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
    Some(Authority { host: host(name)?.to_owned(), port })
}

/// The name or address that a text is; of an IPv6 address, what is between the brackets.
fn host(text: &str) -> Option<&str> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok().then_some(address);
    }
    let label_is_fine = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next()?;
    // A name that ends in a number is an address, or a slip in one.
    let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
    let is_fine = name.len() <= HOST_BYTES_MAX
        && name.split('.').all(label_is_fine)
        && (!is_address || text.parse::<Ipv4Addr>().is_ok());
    is_fine.then_some(text)
}

/// What holds where a limit is left out.
const NO_LIMIT: &str = "there is no limit";

fn limits(field: Option<Field>, problems: &mut Problems<'_>) -> Limits {
    let mut fields = Mapping::of(field, problems);
    let limits = Limits {
        depth: fields.number("depth", 1..=1024, 128, problems),
        // The longest name that a path can spell, were all of it escaped, has 1,536 bytes.
        name_bytes: fields.number("name_bytes", 1536..=1 << 20, 4 << 10, problems),
        value_bytes: fields.number("value_bytes", 64..=16 << 20, 64 << 10, problems),
        gap_bytes: fields.number("gap_bytes", 64..=1 << 20, 4 << 10, problems),
        candidate_bytes: fields.number("candidate_bytes", 1024..=64 << 20, 1 << 20, problems),
        document_bytes: fields.number("document_bytes", 1024..=256 << 20, 8 << 20, problems),
        decoded_piece_bytes: fields.number(
            "decoded_piece_bytes",
            64 << 10..=256 << 20,
            8 << 20,
            problems,
        ),
        decoded_ratio: fields.number("decoded_ratio", 1..=1_000_000, 100, problems),
        decoded_bytes: fields.number("decoded_bytes", 64 << 10..=1 << 50, 16 << 30, problems),
        pass_bytes: fields.number("pass_bytes", 1..=1 << 50, PASS_BYTES, problems),
        connections: fields.limit(
            "connections",
            1..=1_000_000,
            "as many as open files allow",
            problems,
        ),
        streams: fields.number("streams", 1..=10_000, 100, problems),
        responses_in_flight: fields.number("responses_in_flight", 1..=1_000_000, 1024, problems),
        caller_in_flight: fields.limit("caller_in_flight", 1..=1_000_000, NO_LIMIT, problems),
        caller_requests_per_second: fields.limit(
            "caller_requests_per_second",
            1..=1_000_000,
            NO_LIMIT,
            problems,
        ),
        held_bytes: fields.number("held_bytes", 1 << 20..=1 << 40, 1 << 30, problems),
        metric_series: fields.number("metric_series", 100..=1_000_000, 20_000, problems),
        head_bytes: fields.number("head_bytes", 1024..=512 << 10, 16 << 10, problems),
        // The shortest that every server should take (RFC 9110, section 4.1).
        target_bytes: fields.number("target_bytes", 64..=TARGET_BYTES_MAX, 8000, problems),
        request_body_bytes: fields.number("request_body_bytes", 0..=1 << 50, 16 << 20, problems),
    };
    fields.end(problems);
    limits
}

fn timeouts(field: Option<Field>, problems: &mut Problems<'_>) -> Timeouts {
    let mut fields = Mapping::of(field, problems);
    let mut time = |name, shortest: u64, default| {
        let shortest = Duration::from_millis(shortest);
        let longest = if name == "head" { HEAD_TIME_MAX } else { TIME_MAX };
        let time =
            fields.take(name).and_then(|field| parse_time(field, shortest..=longest, problems));
        time.unwrap_or(Duration::from_secs(default))
    };
    let timeouts = Timeouts {
        connect: time("connect", 1, 3),
        upstream: time("upstream", 1, 30),
        client: time("client", 1, 30),
        head: time("head", 1, 10),
        request_body: time("request_body", 1, 5 * 60),
        idle: time("idle", 1, 60),
        // To end at once is a choice.
        notice: time("notice", 0, 1),
        drain: time("drain", 0, 10),
        response_age: time("response_age", 1, 60 * 60),
        old_policies: time("old_policies", 0, 5 * 60),
        connection_age: time("connection_age", 1, 60 * 60),
    };
    fields.end(problems);
    timeouts
}

fn parse_time(
    field: Field,
    range: RangeInclusive<Duration>,
    problems: &mut Problems<'_>,
) -> Option<Duration> {
    let longest = if *range.end() == HEAD_TIME_MAX { "a minute" } else { "a day" };
    let wanted = format!("a time such as `500ms`, `30s` or `1m`, {longest} at most");
    let hint = |text: &str| {
        if let Some(number) = whole(text) {
            let zero = range.contains(&Duration::ZERO) && number == "0";
            return Some(if zero {
                "write `0s`".to_owned()
            } else {
                format!("say of what: `{number}ms`, `{number}s` or `{number}m`")
            });
        }
        let (time, spelled) = hints::time(text)?;
        (range.contains(&time) && spelled != text).then(|| format!("write `{spelled}`"))
    };
    let read = |text: &str| duration(text).filter(|time| range.contains(time));
    field.parse_or_hint(&wanted, problems, hint, read)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = whole(number)?.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(60 * 60).map(Duration::from_secs),
        _ => None,
    }
}

fn access_log(field: Option<Field>, problems: &mut Problems<'_>) -> AccessLog {
    let Some(field) = field else { return AccessLog::default() };
    if let Kind::Mapping(_) = field.node.kind {
        let mut fields = Mapping::of(Some(field), problems);
        let file = fields.need("file", problems);
        fields.end(problems);
        let file = file.and_then(|field| field.file(problems));
        return file.map_or(AccessLog::Off, AccessLog::File);
    }
    let hint = |text: &str| match hints::switch(text) {
        Some("off") => Some("write `off`".to_owned()),
        Some(_) => Some("write `stdout`".to_owned()),
        None => text.contains(['/', '.']).then(|| format!("write `{{ file: {text} }}`")),
    };
    let wanted = "`stdout`, `off` or `{ file: NAME }`";
    let log = field.parse_or_hint(wanted, problems, hint, |word| match word {
        "stdout" => Some(AccessLog::Stdout),
        "off" => Some(AccessLog::Off),
        _ => None,
    });
    log.unwrap_or_default()
}
