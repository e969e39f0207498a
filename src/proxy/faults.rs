//! What can go wrong on the way to a client or an upstream, of the many errors that Pingora has.

use std::fmt;

use pingora::{Error, ErrorType};

use crate::access::Reason;

/// Why an upstream could not be asked, or did not answer. It says nothing of what was asked or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// Its name stands for no address.
    Unnamed,
    /// Nobody listens there.
    Refused,
    /// There is no way to it.
    NoRoute,
    /// It took too long.
    TimedOut,
    /// TLS did not come about.
    Handshake,
    /// The certificate that it shows is not to be believed; the words say why.
    Certificate(&'static str),
    /// It does not speak the version of HTTP that the settings say.
    Version,
    /// The connection, or the stream on it, is no more.
    Closed,
    /// What it says is not HTTP.
    NotHttp,
    /// All of its addresses are left out.
    LeftOut,
    /// It was asked how it is, and answered with this status.
    Unwell(u16),
    /// It is none of its own.
    Ours,
}

impl Cause {
    /// Why this error of a connection to an upstream came about.
    pub(super) fn of(error: &Error) -> Self {
        use ErrorType as T;
        match error.etype() {
            T::TLSHandshakeFailure | T::InvalidCert => {
                certificate_fault(error).map_or(Self::Handshake, Self::Certificate)
            }
            T::ConnectTimedout | T::TLSHandshakeTimedout | T::ReadTimedout | T::WriteTimedout => {
                Self::TimedOut
            }
            T::ConnectRefused => Self::Refused,
            T::ConnectNoRoute
            | T::ConnectError
            | T::ConnectProxyFailure
            | T::SocketError
            | T::BindError => Self::NoRoute,
            T::TLSWantX509Lookup | T::HandshakeError => Self::Handshake,
            T::H2Downgrade | T::InvalidH2 => Self::Version,
            T::H2Error | T::ReadError | T::WriteError | T::ConnectionClosed => Self::Closed,
            // Of its own Pingora names a chunk without a size, or a body that ends too soon.
            T::InvalidHTTPHeader | T::H1Error | T::Custom(_) => Self::NotHttp,
            T::AcceptError
            | T::HTTPStatus(_)
            | T::FileOpenError
            | T::FileCreateError
            | T::FileReadError
            | T::FileWriteError
            | T::InternalError
            | T::UnknownError
            | T::CustomCode(..) => Self::Ours,
        }
    }

    /// What a client is told.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Unnamed
            | Self::Refused
            | Self::NoRoute
            | Self::Handshake
            | Self::LeftOut
            | Self::Unwell(_) => Reason::UpstreamUnreachable,
            Self::TimedOut => Reason::UpstreamTimeout,
            Self::Certificate(_) => Reason::UpstreamUntrusted,
            Self::Version | Self::Closed | Self::NotHttp => Reason::UpstreamProtocol,
            Self::Ours => Reason::Internal,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("no address was found for its name"),
            Self::Refused => f.write_str("the connection was refused"),
            Self::NoRoute => f.write_str("there is no way to it"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::Handshake => f.write_str("TLS could not be agreed on"),
            Self::Certificate(fault) => write!(f, "its certificate {fault}"),
            Self::Version => f.write_str("it does not speak HTTP/2"),
            Self::Closed => f.write_str("it closed the connection, or reset the stream"),
            Self::NotHttp => f.write_str("what it says is not HTTP"),
            Self::LeftOut => f.write_str("all of its addresses are left out"),
            Self::Unwell(status) => write!(f, "it answered {status}"),
            Self::Ours => f.write_str("tamis could not ask it"),
        }
    }
}

/// What is wrong with the certificate that a peer shows, if that is what is wrong.
///
/// Of the error of rustls Pingora leaves the words, which begin so for whatever is wrong with a certificate, and
/// for nothing else. Names that a certificate holds come behind, and stay here.
fn certificate_fault(error: &Error) -> Option<&'static str> {
    const WORDS: &str = "invalid peer certificate: ";
    const FAULTS: [(&str, &str); 11] = [
        ("UnknownIssuer", "was signed by nobody who is trusted"),
        ("certificate not valid for name", "is for another name"),
        ("NotValidForName", "is for another name"),
        ("certificate expired", "has expired"),
        ("Expired", "has expired"),
        ("certificate not valid yet", "is not valid yet"),
        ("NotValidYet", "is not valid yet"),
        ("Revoked", "was revoked"),
        ("certificate does not allow", "is not for a server"),
        // What `openssl req -x509` makes by default.
        ("Other(OtherError(CaUsedAsEndEntity))", "is that of an authority, not of a server"),
        ("BadSignature", "was not signed by whom it names"),
    ];
    let error = error.to_string();
    let (_, fault) = error.split_once(WORDS)?;
    let known = FAULTS.iter().find(|(begin, _)| fault.starts_with(begin));
    Some(known.map_or("cannot be verified", |(_, words)| words))
}

/// Why a client did not get an answer, or did not say all that it had to; none if it has gone.
pub(super) fn of_client(error: &Error) -> Option<Reason> {
    match Cause::of(error) {
        Cause::NotHttp => Some(Reason::RequestUnreadable),
        // All that is read of it is a body.
        Cause::TimedOut if *error.etype() == ErrorType::ReadTimedout => {
            Some(Reason::RequestTimeout)
        }
        Cause::Unnamed
        | Cause::Refused
        | Cause::NoRoute
        | Cause::TimedOut
        | Cause::Handshake
        | Cause::Certificate(_)
        | Cause::Version
        | Cause::Closed
        | Cause::LeftOut
        | Cause::Unwell(_)
        | Cause::Ours => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are those of rustls.
    #[track_caller]
    fn check(words: &'static str, expected: Cause, said: &str) {
        let error = Error::explain(ErrorType::TLSHandshakeFailure, words);
        let found = Cause::of(&error);
        assert_eq!(found, expected, "{words}");
        assert_eq!(found.to_string(), said);
        assert!(!said.contains("CANARY"));
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_without_its_names() {
        let of = Cause::Certificate;
        let nobody = "was signed by nobody who is trusted";
        check(
            "invalid peer certificate: UnknownIssuer",
            of(nobody),
            &format!("its certificate {nobody}"),
        );
        check(
            "invalid peer certificate: certificate not valid for name \"CANARY\"; certificate is only valid for DnsName(\"CANARY\")",
            of("is for another name"),
            "its certificate is for another name",
        );
        check(
            "invalid peer certificate: certificate expired: verification time 7 (UNIX), but certificate is not valid after 1 (6 seconds ago)",
            of("has expired"),
            "its certificate has expired",
        );
        check(
            "invalid peer certificate: certificate not valid yet: verification time 7 (UNIX), but certificate is not valid before 8 (1 seconds in future)",
            of("is not valid yet"),
            "its certificate is not valid yet",
        );
        check(
            "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            of("is that of an authority, not of a server"),
            "its certificate is that of an authority, not of a server",
        );
        check(
            "invalid peer certificate: Other(OtherError(CANARY))",
            of("cannot be verified"),
            "its certificate cannot be verified",
        );
        check(
            "received fatal alert: NoApplicationProtocol",
            Cause::Handshake,
            "TLS could not be agreed on",
        );
        assert_eq!(of(nobody).reason(), Reason::UpstreamUntrusted);
        assert_eq!(Cause::Handshake.reason(), Reason::UpstreamUnreachable);
    }
}
