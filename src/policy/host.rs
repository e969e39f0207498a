//! The host that a request is for.

use std::net::Ipv6Addr;

use crate::access::Reason;

/// Whether a `Host` is one that every server understands in one way (RFC 9110, section 7.2): a name of
/// letters, digits, `-` and `_` with dots between, or an address, and a port at most. Of anything else
/// the upstream could make another host than the one that the policies know.
pub fn check_host(host: &str) -> Result<(), Reason> {
    let (name, port) = split_port(host);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    let is_label = |label: &[u8]| {
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.iter().all(known)
    };
    let is_name = match name.strip_prefix('[') {
        Some(address) => {
            address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        None => without_dot(name).as_bytes().split(|byte| *byte == b'.').all(is_label),
    };
    if is_port && is_name { Ok(()) } else { Err(Reason::HostNotValid) }
}

/// Host and port; a port that is not there is empty.
fn split_port(host: &str) -> (&str, &str) {
    let is_address = host.starts_with('[');
    let at = if is_address {
        host.bytes().rposition(|byte| byte == b']').map(|end| end + 1)
    } else {
        host.bytes().position(|byte| byte == b':')
    };
    match at.and_then(|at| host.split_at_checked(at)) {
        Some((name, rest)) => match rest.strip_prefix(':') {
            Some(port) => (name, port),
            None if rest.is_empty() => (name, ""),
            None => (host, ""),
        },
        None => (host, ""),
    }
}

/// The host without its port.
pub(crate) fn without_port(host: &str) -> &str {
    split_port(host).0
}

/// `crm.internal.` is `crm.internal`, said in full.
pub(crate) fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}
