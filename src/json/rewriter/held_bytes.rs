//! Bytes of a value that waits, copied from the chunks that it came in.

/// The bytes from the value on that waits. Those before `from` are done with.
#[derive(Default)]
pub(super) struct HeldBytes {
    bytes: Vec<u8>,
    from: usize,
    /// Offset in the document of the byte at `from`.
    offset: u64,
}

impl HeldBytes {
    /// Bytes that it has room for.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// What waits, and nothing else.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    /// Offset in the document of what waits.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Begins with a value at this offset, and what the chunk has behind it.
    pub(super) fn begin(&mut self, value: &[u8], offset: u64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(value);
        self.from = 0;
        self.offset = offset;
    }

    /// Holds more. What is done with makes room before more is asked for, and what is asked for
    /// stays below one and a half times of what may be held: a vector that doubles would take twice
    /// that.
    pub(super) fn extend(&mut self, chunk: &[u8], bytes_max: usize) {
        if self.bytes.len() + chunk.len() > self.bytes.capacity() {
            self.bytes.drain(..self.from);
            self.from = 0;
            let (length, wanted) = (self.bytes.len(), self.bytes.len() + chunk.len());
            if wanted > self.bytes.capacity() {
                let room = wanted.max((2 * length).min(bytes_max.saturating_add(bytes_max / 2)));
                self.bytes.reserve_exact(room - length);
            }
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Holds more if no more than so many bytes wait then.
    pub(super) fn extend_within(&mut self, chunk: &[u8], bytes_max: usize) -> bool {
        let fits = self.waiting().len() + chunk.len() <= bytes_max;
        if fits {
            self.extend(chunk, bytes_max);
        }
        fits
    }

    /// What waits was read up to the value that waits next, or all of it.
    pub(super) fn read_to(&mut self, next: Option<usize>) {
        let Some(at) = next else {
            self.bytes.clear();
            self.from = 0;
            return;
        };
        self.from += at;
        self.offset += at as u64;
        // Where less is left than is done with, moving it costs no more than reading that did.
        if self.from > self.bytes.len() / 2 {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
    }
}
