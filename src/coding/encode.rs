//! Packs a body, and holds nothing back.

use std::{fmt, io::Write, mem};

use brotli::CompressorWriter;
use flate2::{Compression, write::GzEncoder};
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::coding::{Coding, Fault};

/// Packs one body.
pub struct Encoder(Packer);

enum Packer {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    /// There is no more once the body has ended.
    Brotli(Option<Box<CompressorWriter<Vec<u8>>>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

/// Fast, for what is packed is needed once: most of what the codings can do costs them little.
const GZIP_LEVEL: u32 = 1;
const BROTLI_QUALITY: u32 = 2;
const ZSTD_LEVEL: i32 = 1;
/// Memory counts for each response: 256 KiB are looked back at.
const BROTLI_WINDOW_LOG: u32 = 18;
const ZSTD_WINDOW_LOG: u32 = 18;
/// What is packed leaves at once, so that little is collected on the way.
const BROTLI_BUFFER_BYTES: usize = 4 << 10;

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder for a body. Nobody is sent `deflate`, for clients do not agree on what it is: it is
    /// [`Fault::Broken`].
    pub fn new(coding: Coding) -> Result<Self, Fault> {
        Ok(Self(match coding {
            Coding::Identity => Packer::Identity,
            Coding::Gzip => Packer::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Coding::Deflate => return Err(Fault::Broken),
            Coding::Brotli => Packer::Brotli(Some(Box::new(CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_LOG,
            )))),
            Coding::Zstd => {
                let mut encoder =
                    ZstdEncoder::new(Vec::new(), ZSTD_LEVEL).or(Err(Fault::Memory))?;
                encoder.window_log(ZSTD_WINDOW_LOG).or(Err(Fault::Memory))?;
                Packer::Zstd(encoder)
            }
        }))
    }

    /// Bytes that it holds, or has room for, about.
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Packer::Identity | Packer::Brotli(None) => 0,
            Packer::Gzip(_) => 300 << 10,
            Packer::Brotli(Some(_)) => 2 << 20,
            Packer::Zstd(_) => 1 << 20,
        }
    }

    /// Packs the next bytes so that whoever gets what comes back can unpack all of them.
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match &mut self.0 {
            Packer::Identity => Ok(bytes),
            Packer::Gzip(encoder) => packed(encoder, &bytes, GzEncoder::get_mut),
            Packer::Brotli(None) => Err(Fault::Broken),
            Packer::Brotli(Some(encoder)) => {
                packed(&mut **encoder, &bytes, CompressorWriter::get_mut)
            }
            Packer::Zstd(encoder) => packed(encoder, &bytes, ZstdEncoder::get_mut),
        }
    }

    /// Ends the body. Nothing may be written any more.
    pub fn finish(&mut self) -> Result<Vec<u8>, Fault> {
        match &mut self.0 {
            Packer::Identity => Ok(Vec::new()),
            Packer::Gzip(encoder) => {
                encoder.try_finish().or(Err(Fault::Memory))?;
                Ok(mem::take(encoder.get_mut()))
            }
            Packer::Brotli(encoder) => {
                Ok(encoder.take().map(|encoder| encoder.into_inner()).unwrap_or_default())
            }
            Packer::Zstd(encoder) => {
                encoder.do_finish().or(Err(Fault::Memory))?;
                Ok(mem::take(encoder.get_mut()))
            }
        }
    }
}

fn packed<W: Write>(
    encoder: &mut W,
    bytes: &[u8],
    inner: fn(&mut W) -> &mut Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    encoder.write_all(bytes).and_then(|()| encoder.flush()).or(Err(Fault::Memory))?;
    Ok(mem::take(inner(encoder)))
}
