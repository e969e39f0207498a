//! Content codings (RFC 9110, section 8.4.1): what a body is packed in on its way.
//!
//! [`Decoder`] unpacks what an upstream packed, piece by piece, and hands on no more than is asked
//! for: a body that unpacks to much more than it is, one that is not packed as it says, and one that
//! is cut are errors. [`Encoder`] packs for a client, and holds nothing back that it was given.
//!
//! **Must never know** what a body says, or whose it is.
//!
//! ```
//! use tamis::coding::{Coding, Decoder, Encoder, Fault, Limits};
//!
//! let mut encoder = Encoder::new(Coding::Gzip)?;
//! let mut packed = encoder.write(b"[1, 2]".to_vec())?;
//! packed.append(&mut encoder.finish()?);
//!
//! let mut decoder = Decoder::new(Coding::Gzip, Limits::default())?;
//! let mut plain = Vec::new();
//! for byte in packed {
//!     decoder.write(&[byte], &mut |piece| Ok::<_, Fault>(plain.extend_from_slice(piece)))?;
//! }
//! decoder.finish()?;
//! assert_eq!(plain, b"[1, 2]");
//! # Ok::<(), Fault>(())
//! ```

mod accept;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use accept::{OFFERED, accepted};
pub use decode::{Decoder, Limits};
pub use encode::Encoder;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952; several members are one body.
    Gzip,
    /// RFC 1950, or RFC 1951 without its wrapper, as some send it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, with a window as RFC 9659 allows it; several frames are one body.
    Zstd,
}

impl Coding {
    /// The coding of this name, which is compared without regard to case. `None`: there is none of
    /// that name here.
    pub fn named(name: &str) -> Option<Self> {
        const NAMES: [(&str, Coding); 6] = [
            ("identity", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
        ];
        let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, coding)| *coding)
    }

    /// The name that stands in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// What is wrong with a packed body. It says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are not what the coding says, or there are more behind its end.
    #[error("the content coding is broken")]
    Broken,
    /// The body ends before its coding does.
    #[error("the body ends before its content coding does")]
    Cut,
    /// The body unpacks to more than the limits allow.
    #[error("the body unpacks to much more than it is")]
    Bomb,
    /// There is no memory for it.
    #[error("no memory for the content coding")]
    Memory,
}
