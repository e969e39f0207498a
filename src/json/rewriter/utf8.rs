//! UTF-8 across chunks: each chunk is validated at SIMD speed, but for a character that its end
//! cuts.

/// The first bytes of a character that the last chunk ended in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Validates the next chunk. An error is the offset of the first byte that is wrong, in the
    /// chunk; 0 if it is in the character that an earlier chunk began.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), usize> {
        let joined = self.complete(chunk)?;
        let rest = chunk.get(joined..).unwrap_or_default();
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(()) };
        let cut = rest.get(error.valid_up_to()..).unwrap_or_default();
        if error.error_len().is_some() {
            return Err(joined + error.valid_up_to());
        }
        // The end of the chunk cuts a character that has been right so far; it has at most 3 bytes.
        // Its missing bytes can still be wrong, so they are checked together with these.
        for (kept, byte) in self.begun.iter_mut().zip(cut) {
            *kept = *byte;
        }
        self.length = cut.len();
        Ok(())
    }

    /// Whether no character is cut.
    pub(crate) fn is_complete(&self) -> bool {
        self.length == 0
    }

    /// Takes bytes off the chunk until the cut character is complete, and says how many.
    fn complete(&mut self, chunk: &[u8]) -> Result<usize, usize> {
        let mut taken = 0;
        while self.length > 0 {
            let Some(byte) = chunk.get(taken) else { return Ok(taken) };
            taken += 1;
            if let Some(free) = self.begun.get_mut(self.length) {
                *free = *byte;
            }
            self.length += 1;
            match std::str::from_utf8(self.begun.get(..self.length).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(0),
                Err(_) => {}
            }
        }
        Ok(taken)
    }
}
