//! Values to pseudonyms: equal in one domain if the values are, and telling nothing else.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::transform::keys::{Epoch, Key};

pub(super) type HmacSha256 = Hmac<Sha256>;

/// The epoch of the keys in use; `PREFIX` names it.
pub(super) const EPOCH: Epoch = Epoch(1);

const PREFIX: &[u8] = b"\"p1.";

/// Crockford's base32: no I, L, O or U.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A keyed hash, ready to take a value: the key is mixed in once, and the state copied from then
/// on, which spares two of the four blocks that an HMAC of a short value takes.
pub(super) struct Pseudonymiser(HmacSha256);

impl Pseudonymiser {
    pub(super) fn new(key: &Key) -> Option<Self> {
        HmacSha256::new_from_slice(key.as_bytes()).ok().map(Self)
    }

    /// Appends the pseudonym of `value` as a JSON string.
    ///
    /// It takes the first 16 bytes of the hash: among 2^32 values, two share a pseudonym with a
    /// chance of one in 2^65.
    pub(super) fn write(&self, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let hash = self.0.clone().chain_update(value).finalize().into_bytes();
        let mut bits = u128::from_be_bytes(*hash.first_chunk()?);
        // 26 symbols of five bits are 130: what is shifted in gives the last two, zeros.
        let mut symbols = [0; 26];
        for symbol in &mut symbols {
            *symbol = *SYMBOLS.get(usize::try_from(bits >> 123).ok()?)?;
            bits <<= 5;
        }
        out.extend_from_slice(PREFIX);
        out.extend_from_slice(&symbols);
        out.push(b'"');
        Some(())
    }
}
