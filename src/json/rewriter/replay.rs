//! Where bytes go that were held: they are in no chunk any more.

use std::ops::Range;

use crate::json::edits::Sink;

/// Puts what is passed of held bytes.
pub(super) struct ReplaySink<'a, S: ?Sized> {
    held: &'a [u8],
    sink: &'a mut S,
}

impl<'a, S: ?Sized> ReplaySink<'a, S> {
    /// Ranges that are passed are those of `held`.
    pub(super) fn new(held: &'a [u8], sink: &'a mut S) -> Self {
        Self { held, sink }
    }
}

impl<S: Sink + ?Sized> Sink for ReplaySink<'_, S> {
    fn pass(&mut self, range: Range<usize>) {
        self.sink.put(self.held.get(range).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }
}
