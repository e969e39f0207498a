//! The way of a body's bytes: decode, sieve, encode.

use crate::{
    access::{Count, Reason},
    frame::Framed,
};

/// What decides about the bytes of a body.
pub(super) trait Sieve: Send + Sync {
    /// Takes the next bytes, and appends what is decided to `out`.
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason>;
    /// Ends the body, which must be complete, and appends what was held back.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason>;
    /// What has left so far, and whether something was withheld as unclassified.
    fn counts(&self) -> (Vec<Count>, bool);
}

impl Sieve for Framed {
    fn write(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        self.write(chunk, out).map_err(|refusal| refusal.reason)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        self.finish(out).map_err(|refusal| refusal.reason)
    }

    fn counts(&self) -> (Vec<Count>, bool) {
        (self.tally().counts(), self.tally().unclassified())
    }
}

/// Undoes the content coding of the upstream (RFC 9110, section 8.4).
pub(super) enum Decoder {
    /// The bytes are the document.
    Identity,
}

impl Decoder {
    /// Hands on what the next bytes decode to.
    fn write(
        &mut self,
        chunk: &[u8],
        next: &mut dyn FnMut(&[u8]) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        match self {
            Self::Identity => next(chunk),
        }
    }
}

/// Does the content coding for the client.
pub(super) enum Encoder {
    /// The document is the bytes.
    Identity,
}

impl Encoder {
    fn write(&mut self, decided: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Identity => decided,
        }
    }
}

/// One body on its way.
pub(super) struct Pipe {
    decoder: Decoder,
    sieve: Box<dyn Sieve>,
    encoder: Encoder,
}

impl Pipe {
    /// A body that is about to begin.
    pub(super) fn new(decoder: Decoder, sieve: Box<dyn Sieve>, encoder: Encoder) -> Self {
        Self { decoder, sieve, encoder }
    }

    /// What leaves in the place of the next bytes.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut decided = Vec::with_capacity(chunk.len());
        let sieve = &mut self.sieve;
        self.decoder.write(chunk, &mut |plain| sieve.write(plain, &mut decided))?;
        Ok(self.encoder.write(decided))
    }

    /// What leaves at the end of a body, which must be complete.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Reason> {
        let mut decided = Vec::new();
        self.sieve.finish(&mut decided)?;
        Ok(self.encoder.write(decided))
    }

    /// What has left so far, and whether something was withheld as unclassified.
    pub(super) fn counts(&self) -> (Vec<Count>, bool) {
        self.sieve.counts()
    }
}
