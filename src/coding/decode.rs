//! Unpacks a body, piece by piece, in bounded memory.

use std::fmt;

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, enc::StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

use crate::coding::{Coding, Fault};

/// What a body may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What one piece of the body, as it is given to [`Decoder::write`], may become, in bytes.
    pub piece_bytes_max: usize,
    /// How many times longer the body may become than it came, beyond the first `piece_bytes_max`.
    pub ratio_max: u32,
    /// What the whole body may become, in bytes.
    pub bytes_max: u64,
}

impl Default for Limits {
    /// 8 MiB a piece, 100 times, 16 GiB.
    fn default() -> Self {
        Self { piece_bytes_max: 8 << 20, ratio_max: 100, bytes_max: 16 << 30 }
    }
}

/// Bytes that are unpacked at a time.
const PIECE_BYTES: usize = 16 << 10;
/// The binary logarithm of the largest window of DEFLATE (RFC 1951, section 1.4).
const DEFLATE_WINDOW_LOG: u8 = 15;
/// That of the largest window of Brotli (RFC 7932, section 9.1).
const BROTLI_WINDOW_LOG_MAX: u32 = 24;
/// That of the largest window of Zstandard in HTTP: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Unpacks one body.
pub struct Decoder {
    unpacker: Unpacker,
    /// Where the coding stands.
    at: At,
    limits: Limits,
    taken: u64,
    given: u64,
    piece: Vec<u8>,
}

/// Where in its coding a body stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Nothing has come.
    Start,
    /// In a member or a frame.
    Within,
    /// Behind one that is complete.
    End,
}

enum Unpacker {
    Identity,
    Gzip(Decompress),
    Deflate(Decompress),
    /// Its first byte says whether it has a wrapper.
    DeflateUnseen,
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(ZstdDecoder<'static>),
}

/// What one step did.
struct Step {
    taken: usize,
    given: usize,
    /// Whether a member or a frame is complete.
    ends: bool,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for a body of this coding.
    pub fn new(coding: Coding, limits: Limits) -> Result<Self, Fault> {
        let unpacker = match coding {
            Coding::Identity => Unpacker::Identity,
            Coding::Gzip => Unpacker::Gzip(Decompress::new_gzip(DEFLATE_WINDOW_LOG)),
            Coding::Deflate => Unpacker::DeflateUnseen,
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                Unpacker::Brotli(Box::new(BrotliState::new(alloc(), alloc(), alloc())))
            }
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new().or(Err(Fault::Memory))?;
                let window = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
                decoder.set_parameter(window).or(Err(Fault::Memory))?;
                Unpacker::Zstd(decoder)
            }
        };
        let piece = match coding {
            Coding::Identity => Vec::new(),
            Coding::Gzip | Coding::Deflate | Coding::Brotli | Coding::Zstd => vec![0; PIECE_BYTES],
        };
        Ok(Self { unpacker, at: At::Start, limits, taken: 0, given: 0, piece })
    }

    /// Unpacks the next bytes, and hands on what they come to. An error ends the body: nothing may be
    /// written any more.
    pub fn write<E: From<Fault>>(
        &mut self,
        mut bytes: &[u8],
        next: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Unpacker::Identity = self.unpacker {
            return next(bytes);
        }
        self.taken += bytes.len() as u64;
        let mut left = self.limits.piece_bytes_max;
        loop {
            let is_open = self.at == At::Within;
            if bytes.is_empty() && !is_open {
                return Ok(());
            }
            let step = self.step(bytes)?;
            bytes = bytes.get(step.taken..).unwrap_or_default();
            self.at = if step.ends { At::End } else { At::Within };
            self.given += step.given as u64;
            left = left.checked_sub(step.given).ok_or(Fault::Bomb)?;
            if self.given > self.given_max() {
                return Err(Fault::Bomb.into());
            }
            if step.given > 0 {
                next(self.piece.get(..step.given).unwrap_or_default())?;
            }
            // What a full buffer did not take is asked for again; else more input is needed.
            if bytes.is_empty() && step.given < self.piece.len() {
                return Ok(());
            }
            if step.taken == 0 && step.given == 0 && !step.ends {
                return Err(Fault::Broken.into());
            }
        }
    }

    /// Ends the body, which must be complete.
    pub fn finish(&mut self) -> Result<(), Fault> {
        match (&self.unpacker, self.at) {
            (Unpacker::Identity, _) | (_, At::End) => Ok(()),
            (_, At::Start | At::Within) => Err(Fault::Cut),
        }
    }

    /// Bytes that it holds, or has room for: as far back as it may have to look. No more than it has given, for
    /// memory that was never written to takes none.
    pub fn held_bytes(&self) -> usize {
        let window = match &self.unpacker {
            Unpacker::Identity => return 0,
            Unpacker::Gzip(_) | Unpacker::Deflate(_) | Unpacker::DeflateUnseen => {
                1 << DEFLATE_WINDOW_LOG
            }
            Unpacker::Brotli(_) => 1 << BROTLI_WINDOW_LOG_MAX,
            Unpacker::Zstd(_) => 1 << ZSTD_WINDOW_LOG_MAX,
        };
        window.min(usize::try_from(self.given).unwrap_or(window)) + self.piece.len()
    }

    fn given_max(&self) -> u64 {
        let ratio = u64::from(self.limits.ratio_max).saturating_mul(self.taken);
        ratio.saturating_add(self.limits.piece_bytes_max as u64).min(self.limits.bytes_max)
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        let begins = self.at == At::End;
        match &mut self.unpacker {
            Unpacker::Identity => Err(Fault::Broken),
            Unpacker::DeflateUnseen => {
                let has_wrapper = bytes.first().is_some_and(|first| is_zlib(*first));
                self.unpacker = Unpacker::Deflate(Decompress::new(has_wrapper));
                self.step(bytes)
            }
            Unpacker::Deflate(_) | Unpacker::Brotli(_) if begins => Err(Fault::Broken),
            Unpacker::Gzip(inflate) => {
                if begins {
                    *inflate = Decompress::new_gzip(DEFLATE_WINDOW_LOG);
                }
                inflated(inflate, bytes, &mut self.piece)
            }
            Unpacker::Deflate(inflate) => inflated(inflate, bytes, &mut self.piece),
            Unpacker::Brotli(state) => {
                let (mut input_left, mut taken) = (bytes.len(), 0);
                let (mut output_left, mut given) = (self.piece.len(), 0);
                let done = BrotliDecompressStream(
                    &mut input_left,
                    &mut taken,
                    bytes,
                    &mut output_left,
                    &mut given,
                    &mut self.piece,
                    &mut 0,
                    state,
                );
                match done {
                    BrotliResult::ResultFailure => Err(Fault::Broken),
                    BrotliResult::ResultSuccess => Ok(Step { taken, given, ends: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Step { taken, given, ends: false })
                    }
                }
            }
            Unpacker::Zstd(decoder) => {
                if begins {
                    decoder.reinit().or(Err(Fault::Broken))?;
                }
                let mut input = InBuffer::around(bytes);
                let mut output = OutBuffer::around(self.piece.as_mut_slice());
                let left = decoder.run(&mut input, &mut output).or(Err(Fault::Broken))?;
                Ok(Step { taken: input.pos(), given: output.pos(), ends: left == 0 })
            }
        }
    }
}

/// Whether a body of the coding `deflate` begins with the wrapper of RFC 1950, whose low bits name the
/// method, 8. Without it, they would be those of a stored block with padding that nobody writes.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8
}

fn inflated(inflate: &mut Decompress, bytes: &[u8], piece: &mut [u8]) -> Result<Step, Fault> {
    let (taken, given) = (inflate.total_in(), inflate.total_out());
    let done = inflate.decompress(bytes, piece, FlushDecompress::None).or(Err(Fault::Broken))?;
    let since = |total: u64, before: u64| usize::try_from(total - before).or(Err(Fault::Broken));
    Ok(Step {
        taken: since(inflate.total_in(), taken)?,
        given: since(inflate.total_out(), given)?,
        ends: done == Status::StreamEnd,
    })
}
