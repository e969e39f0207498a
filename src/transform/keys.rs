//! Where the keys of the actions come from.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The first part of every derivation, so that no other program derives the same keys.
const LABEL: &str = "tamis/1";

/// What a key is for. One key serves one use only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// The hash behind pseudonyms.
    Pseudonym,
    /// The seal on validators.
    Validator,
}

impl Use {
    fn word(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Validator => "validator",
        }
    }
}

/// The generation of a key. It stands in what was made with the key, so that keys can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

/// Who can give the key of a use, a domain and an epoch.
pub trait Keys: Send + Sync {
    /// The key, or `None` if there is none: then what needs it is unfit.
    fn key(&self, usage: Use, domain: &str, epoch: Epoch) -> Option<Key>;
}

/// A working key. Its memory is wiped when it is dropped.
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The secret from which all working keys are derived. Its memory is wiped when it is dropped.
///
/// A working key is HKDF-SHA-256 of the root key, without salt. The info is the four parts
/// `tamis/1`, the use, the domain and the epoch in decimal, each after its length as a big-endian
/// `u16`: no two lists of parts give the same info.
pub struct RootKey(Zeroizing<[u8; KEY_BYTES]>);

impl RootKey {
    /// Reads 64 hexadecimal digits; white space around them, such as a file's last line end, does
    /// not count.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim_ascii().as_bytes();
        if digits.len() != 2 * KEY_BYTES {
            return Err(KeyError::Length { found: digits.len() });
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match HEXLOWER_PERMISSIVE.decode_mut(digits, key.as_mut_slice()) {
            Ok(_) => Ok(Self(key)),
            Err(_) => Err(KeyError::Digit),
        }
    }
}

impl Keys for RootKey {
    fn key(&self, usage: Use, domain: &str, Epoch(epoch): Epoch) -> Option<Key> {
        let info = info([LABEL, usage.word(), domain, &epoch.to_string()])?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let hkdf = Hkdf::<Sha256>::new(None, self.0.as_slice());
        hkdf.expand(&info, key.as_mut_slice()).ok()?;
        Some(Key(key))
    }
}

/// Every part after its length; `None` if a part is longer than a `u16` can say.
fn info(parts: [&str; 4]) -> Option<Vec<u8>> {
    let mut info = Vec::new();
    for part in parts {
        info.extend_from_slice(&u16::try_from(part.len()).ok()?.to_be_bytes());
        info.extend_from_slice(part.as_bytes());
    }
    Some(info)
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// Why a text is no root key. It says nothing of the text but its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is too short or too long.
    #[error("a key is 64 hexadecimal digits, and this text has {found} bytes")]
    Length {
        /// Its bytes, without the white space around them.
        found: usize,
    },
    /// The length is right, but not every character is a hexadecimal digit.
    #[error("a key is 64 hexadecimal digits, and this text has another character")]
    Digit,
}

/// Has no keys: for policies that need none, and to see which do.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn key(&self, _: Use, _: &str, _: Epoch) -> Option<Key> {
        None
    }
}
