//! Buffers for what leaves, used again while the processor's caches have them.
//!
//! An allocator hands out all blocks of a size in turn, so that a new one of many kilobytes is in no cache.

use std::{cell::RefCell, mem};

use bytes::Bytes;

/// Shorter ones are the allocator's.
const BYTES_MIN: usize = 8 << 10;
/// Longer ones are not kept.
const BYTES_MAX: usize = 64 << 10;
/// How many a thread keeps.
const BUFFERS_MAX: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for so many bytes.
pub(super) fn with_capacity(bytes: usize) -> Vec<u8> {
    if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) {
        return Vec::with_capacity(bytes);
    }
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| Vec::with_capacity(BYTES_MAX))
}

/// The bytes of a buffer, which is used again once nobody has them any more.
pub(super) fn bytes(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() == BYTES_MAX { Bytes::from_owner(Lent(buffer)) } else { buffer.into() }
}

struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = mem::take(&mut self.0);
        buffer.clear();
        let kept = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < BUFFERS_MAX {
                spare.push(buffer);
            }
        });
        if kept.is_err() {
            // The thread ends.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_says_nothing_of_before() {
        let mut buffer = with_capacity(10_000);
        let place = buffer.as_ptr();
        buffer.extend_from_slice(b"what was said to another");
        let one = bytes(buffer);
        let two = one.slice(5..);
        drop(one);
        let other = with_capacity(10_000);
        assert_ne!(other.as_ptr(), place, "somebody has it still");
        drop(two);
        let again = with_capacity(20_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn no_more_are_kept_than_there_may_be() {
        let many: Vec<Bytes> = (0..10).map(|_| bytes(with_capacity(BYTES_MIN))).collect();
        drop(many);
        assert_eq!(SPARE.with_borrow(Vec::len), BUFFERS_MAX);
        for other in [BYTES_MIN - 1, BYTES_MAX + 1] {
            assert!(with_capacity(other).capacity() >= other);
            assert_eq!(SPARE.with_borrow(Vec::len), BUFFERS_MAX, "{other}");
        }
    }
}
