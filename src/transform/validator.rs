//! Validators of an upstream, sealed: they come back to what they were given for, or are nothing.

use std::fmt;

use aes_siv::{KeyInit as _, siv::Aes128Siv};
use data_encoding::BASE64URL_NOPAD;

use crate::transform::keys::{Epoch, Key, Keys, Use};

/// The epoch of the keys in use; `PREFIX` names it.
const EPOCH: Epoch = Epoch(1);
const PREFIX: &str = "v1.";
/// What the key is for besides its use.
const DOMAIN: &str = "etag";

/// What is sealed is filled up to a multiple of so many bytes, so that few lengths are seen.
const BLOCK_BYTES: usize = 32;
/// Longest validator that can be sealed: its length is one byte.
const BYTES_MAX: usize = 255;
/// What the seal adds.
const SEAL_BYTES: usize = 16;

/// Seals validators of an upstream (`ETag`), and opens them again.
///
/// The same validator under the same bonds is always sealed to the same text, so that it can be
/// compared; without the key, or under other bonds, the text opens to nothing. It is AES-SIV
/// (RFC 5297) with the bonds as associated data.
///
/// ```
/// use tamis::transform::{RootKey, Sealer};
///
/// let sealer = Sealer::new(&RootKey::from_hex(&"5a".repeat(32)).unwrap());
/// let sealed = sealer.seal(b"\"v17\"", &["support", "desk"]).unwrap();
/// assert_eq!(sealer.open(&sealed, &["support", "desk"]).unwrap(), b"\"v17\"");
/// assert_eq!(sealer.open(&sealed, &["billing", "desk"]), None);
/// ```
pub struct Sealer(Option<Key>);

impl Sealer {
    /// Takes its key; without one, it seals and opens nothing.
    pub fn new(keys: &dyn Keys) -> Self {
        Self(keys.key(Use::Validator, DOMAIN, EPOCH))
    }

    /// Whether its key was there.
    pub fn is_ready(&self) -> bool {
        self.0.is_some()
    }

    /// The text that stands for a validator where all of `bonds` are the same.
    pub fn seal(&self, validator: &[u8], bonds: &[impl AsRef<[u8]>]) -> Option<String> {
        let length = u8::try_from(validator.len()).ok()?;
        let mut plain = vec![length];
        plain.extend_from_slice(validator);
        plain.resize(plain.len().next_multiple_of(BLOCK_BYTES), 0);
        let sealed = self.cipher()?.encrypt(bonds, &plain).ok()?;
        Some(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&sealed)))
    }

    /// What every sealed text begins with.
    pub const PREFIX: &str = PREFIX;

    /// The validator that a text stands for; none if it was not sealed so, by this key, under `bonds`.
    pub fn open(&self, text: &str, bonds: &[impl AsRef<[u8]>]) -> Option<Vec<u8>> {
        let text = text.strip_prefix(PREFIX)?;
        let longest = (BYTES_MAX + 1).next_multiple_of(BLOCK_BYTES) + SEAL_BYTES;
        if text.len() > BASE64URL_NOPAD.encode_len(longest) {
            return None;
        }
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let plain = self.cipher()?.decrypt(bonds, &sealed).ok()?;
        let (length, rest) = plain.split_first()?;
        rest.get(..usize::from(*length)).map(<[u8]>::to_vec)
    }

    fn cipher(&self) -> Option<Aes128Siv> {
        Aes128Siv::new_from_slice(self.0.as_ref()?.as_bytes()).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}
