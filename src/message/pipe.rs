//! The way of a body's bytes: decode, sieve, encode.

use crate::{
    access::Reason,
    coding::{Coding, Decoder, Encoder, Fault, Limits},
    enforce::{Places, Tally},
    frame::Framed,
    message::spare,
};

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Broken => Self::BodyUnreadable,
            Fault::Cut => Self::BodyCut,
            Fault::Bomb => Self::BodyTooLarge,
            Fault::Memory => Self::Internal,
        }
    }
}

/// What decides about the bytes of a body.
pub(crate) trait Sieve: Send + Sync {
    /// Takes the next bytes, and appends what is decided to `out`.
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason>;
    /// Ends the body, which must be complete, and appends what was held back.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason>;
    /// Counts what has left so far, and what was withheld.
    fn count(&self, tally: &mut Tally);
    /// Where it was.
    fn places(&self) -> Places {
        Places::default()
    }
    /// Bytes of the body that it holds between two calls.
    fn held_bytes(&self) -> usize;
}

impl Sieve for Framed {
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        self.write(chunk, out).map_err(|refusal| refusal.reason)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        self.finish(out).map_err(|refusal| refusal.reason)
    }

    fn count(&self, tally: &mut Tally) {
        tally.add(self.tally());
    }

    fn places(&self) -> Places {
        self.places()
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes()
    }
}

/// What lets a body through that passes by a rule, unread, up to a length.
pub(crate) struct Passing {
    bytes_left: u64,
    begun: bool,
}

impl Passing {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_left: bytes_max, begun: false }
    }

    /// Lets so many more bytes go by.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        let bytes = u64::try_from(bytes).or(Err(Reason::BodyTooLarge))?;
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Reason::BodyTooLarge)?;
        self.begun |= bytes > 0;
        Ok(())
    }

    /// Counts what has left: one access, whatever was in it.
    pub(crate) fn count(&self, tally: &mut Tally) {
        if self.begun {
            tally.pass();
        }
    }
}

impl Sieve for Passing {
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        self.take(chunk.len())?;
        out.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), Reason> {
        Ok(())
    }

    fn count(&self, tally: &mut Tally) {
        self.count(tally);
    }

    fn held_bytes(&self) -> usize {
        0
    }
}

/// How a body comes, and how it leaves.
#[derive(Clone, Copy)]
pub(super) struct Codings {
    /// The upstream's.
    pub(super) from: Coding,
    /// What it may unpack to.
    pub(super) limits: Limits,
    /// The client's.
    pub(super) to: Coding,
}

/// One body on its way: unpacked, sieved, packed again.
pub(crate) struct Pipe {
    decoder: Decoder,
    sieve: Box<dyn Sieve>,
    encoder: Encoder,
    coding: Coding,
}

impl Pipe {
    /// A body that is about to begin.
    pub(super) fn new(codings: Codings, sieve: Box<dyn Sieve>) -> Result<Self, Reason> {
        let Codings { from, limits, to } = codings;
        let (decoder, encoder) = (Decoder::new(from, limits)?, Encoder::new(to)?);
        Ok(Self { decoder, sieve, encoder, coding: to })
    }

    /// What the body leaves in.
    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Bytes of the body that it holds between two calls.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.sieve.held_bytes() + self.encoder.held_bytes()
    }

    /// What leaves in the place of the next bytes.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut decided = spare::with_capacity(chunk.len());
        let sieve = &mut self.sieve;
        self.decoder.write(chunk, &mut |plain| sieve.write(plain, &mut decided))?;
        Ok(self.encoder.write(decided)?)
    }

    /// What leaves at the end of a body, which must be complete.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Reason> {
        let mut decided = Vec::new();
        self.decoder.finish()?;
        self.sieve.finish(&mut decided)?;
        let mut packed = self.encoder.write(decided)?;
        packed.append(&mut self.encoder.finish()?);
        Ok(packed)
    }

    /// What leaves of a body that may be empty, and is: packed, that is something.
    pub(super) fn finish_empty(&mut self) -> Result<Vec<u8>, Reason> {
        Ok(self.encoder.finish()?)
    }

    /// Counts what has left so far, and what was withheld.
    pub(super) fn count(&self, tally: &mut Tally) {
        self.sieve.count(tally);
    }

    /// Where something was withheld as unclassified.
    pub(super) fn places(&self) -> Places {
        self.sieve.places()
    }
}
