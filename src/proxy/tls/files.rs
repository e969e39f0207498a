//! What stands in the files of certificates and keys, and what is wrong with it.
//!
//! No text shows what a file holds: it may be a key that was put in the wrong place.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use pingora::{
    protocols::tls::CaType,
    tls::{CertificateDer, CryptoProvider, PrivateKeyDer, RootCertStore, sign::CertifiedKey},
    utils::tls::{WrappedX509, parse_x509},
};
use rustix::process::geteuid;
use rustls_pki_types::pem::{Error, PemObject as _};
use x509_parser::{prelude::FromDer as _, time::ASN1Time};

use crate::files::Opened;

/// Largest file of certificates or of a key, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The bit that lets everybody on this machine read a file.
const READABLE_BY_OTHERS: u32 = 0o004;

/// What a file holds.
#[derive(PartialEq, Eq)]
pub(super) struct Content {
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
    /// What to do about it, if every user of this machine can read it.
    open_to_others: Option<&'static str>,
}

/// How the right to read a file is taken from all other users, if they have it; none if they have not.
///
/// Where the file is another user's, `chmod 600` would take it from this process, too.
pub(crate) fn open_to_others(file: &Metadata) -> Option<&'static str> {
    let user = geteuid().as_raw();
    let is_ours = user == file.uid() || user == 0;
    let is_open = file.mode() & READABLE_BY_OTHERS != 0;
    is_open.then_some(if is_ours {
        "chmod 600"
    } else {
        "give it to a group of the user that tamis runs as, then chmod 640"
    })
}

impl Content {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let cannot = |error| format!("`{}` cannot be read: {error}", path.display());
        let file = Opened::at(path).map_err(cannot)?;
        let open_to_others = open_to_others(file.metadata());
        let bytes = file.read(BYTES_MAX).map_err(cannot)?;
        Ok(Self { path: path.to_owned(), bytes, open_to_others })
    }

    /// The certificates, at least one, each of which all who will see it can read.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let name = self.path.display();
        let mut found = Vec::new();
        for one in CertificateDer::pem_slice_iter(&self.bytes) {
            // What the error says may be a line of the file.
            let Ok(certificate) = one else { return Err(format!("`{name}` is not valid PEM")) };
            let is_read = x509_parser::certificate::X509Certificate::from_der(&certificate)
                .is_ok_and(|(rest, _)| rest.is_empty());
            if !is_read {
                return Err(format!(
                    "`{name}` has a certificate, number {}, that cannot be read",
                    found.len() + 1
                ));
            }
            found.push(certificate);
        }
        if found.is_empty() {
            return Err(format!(
                "`{name}` has no certificate: it has to have `-----BEGIN CERTIFICATE-----`"
            ));
        }
        Ok(found)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let name = self.path.display();
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| {
            if matches!(error, Error::NoItemsFound) {
                return format!(
                    "`{name}` has no private key: it has to have `-----BEGIN PRIVATE KEY-----`, and no password"
                );
            }
            // What the error says may be a line of the file.
            format!("`{name}` is not valid PEM")
        })
    }
}

/// A certificate, those that lead from it to somebody who is trusted, and its key.
pub(super) struct Pair {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// All of it, ready to be shown.
    pub(super) certified: CertifiedKey,
}

/// What was made of files, and what people should know about them all the same.
pub(super) struct Made<T> {
    pub(super) what: T,
    /// When it is not good any more, in seconds since 1970.
    pub(super) expiry: i64,
    pub(super) warnings: Vec<String>,
}

/// A certificate and the key that belongs to it.
pub(super) fn pair(certificate: &Content, key: &Content) -> Result<Made<Pair>, String> {
    let chain = certificate.certificates()?;
    let der = key.key()?;
    pingora::tls::install_default_crypto_provider();
    let of_unknown_kind =
        || format!("`{}` has a private key of an unknown kind", key.path.display());
    // Pingora finds out again what kind it is, when it is too late to say so.
    PrivateKeyDer::try_from(der.secret_der()).or(Err(of_unknown_kind()))?;
    let provider = CryptoProvider::get_default().ok_or("there is no cryptography")?;
    let (name, of) = (key.path.display(), certificate.path.display());
    let signing = provider.key_provider.load_private_key(der.clone_key());
    let signing = signing.or(Err(of_unknown_kind()))?;
    let certified = CertifiedKey::new(chain.clone(), signing);
    if certified.keys_match().is_err() {
        return Err(format!("the key in `{name}` is not that of the first certificate in `{of}`"));
    }
    let mut warnings: Vec<String> = out_of_date(certificate, &chain).collect();
    if let Some(help) = key.open_to_others {
        warnings.push(format!(
            "every user of this machine can read the key file `{name}`: {help} {name}"
        ));
    }
    // A chain is as good as the certificate in it that ends first.
    let expiry = expiries(&chain).min().unwrap_or(i64::MAX);
    Ok(Made { what: Pair { chain, key: der, certified }, expiry, warnings })
}

/// Those who sign certificates that are trusted.
pub(super) fn authorities(file: &Content) -> Result<Made<Arc<CaType>>, String> {
    let certificates = file.certificates()?;
    let mut store = RootCertStore::empty();
    for (number, certificate) in (1..).zip(&certificates) {
        store.add(certificate.clone()).or(Err(format!(
            "`{}` has a certificate, number {number}, that nothing can be checked with",
            file.path.display()
        )))?;
    }
    let warnings = out_of_date(file, &certificates).collect();
    // Old authorities stand beside their successors; without the last of them nobody is believed.
    let expiry = expiries(&certificates).max().unwrap_or(i64::MAX);
    let parsed = certificates.into_iter().map(|der| WrappedX509::new(der.to_vec(), parse_x509));
    Ok(Made { what: parsed.collect::<Vec<_>>().into(), expiry, warnings })
}

/// When each of these certificates expires, in seconds since 1970.
fn expiries(certificates: &[CertificateDer<'_>]) -> impl Iterator<Item = i64> {
    certificates.iter().filter_map(|der| {
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    })
}

/// Whoever checks such a certificate says no: that is for the others to say, and for people to know.
fn out_of_date(file: &Content, chain: &[CertificateDer<'_>]) -> impl Iterator<Item = String> {
    let now = ASN1Time::now();
    let shown = |time: ASN1Time| Timestamp::from_second(time.timestamp()).unwrap_or_default();
    (1..).zip(chain).filter_map(move |(number, der)| {
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let name = file.path.display();
        if now > validity.not_after {
            let since = shown(validity.not_after);
            return Some(format!(
                "certificate {number} in `{name}` has expired: it was good until {since}"
            ));
        }
        if now < validity.not_before {
            let from = shown(validity.not_before);
            return Some(format!(
                "certificate {number} in `{name}` is not good yet: it will be from {from} on"
            ));
        }
        None
    })
}
