//! The kernel for AVX2: a block is two vectors of 32 bytes.
#![expect(
    clippy::inline_always,
    reason = "only inside of a function for the processor are the instructions themselves inlined"
)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi16, _mm_clmulepi64_si128, _mm_cvtepu8_epi16, _mm_cvtsi64_si128,
    _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi16, _mm_shuffle_epi8,
    _mm_storeu_si128, _mm256_add_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_shuffle_epi8,
};

use super::{
    blocks::{self, Block, Classes, Escapes, Lanes, Positions},
    events::{Carry, Events, Scan},
};

/// Proof that the processor has the instructions of this kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has_all.then_some(Self(()))
    }
}

#[expect(unsafe_code, reason = "instructions that not every processor has")]
impl Scan for Avx2 {
    fn scan(self, carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize> {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { scan(self, carry, window, events) }
    }
}

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn scan(avx2: Avx2, carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize> {
    blocks::scan(avx2, carry, window, events)
}

#[expect(unsafe_code, reason = "instructions that not every processor has")]
impl Lanes for Avx2 {
    #[inline(always)]
    fn classes(self, block: &Block) -> Classes {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { classes(block) }
    }

    #[inline(always)]
    fn escapes(self, block: &Block) -> Escapes {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { escapes(block) }
    }

    #[inline(always)]
    fn sums(self, bits: u64) -> u64 {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { sums(bits) }
    }

    #[inline(always)]
    fn tokens(self, bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { tokens(bits, block, base, at, kinds) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "vectors are read through pointers")]
fn load(block: &Block) -> [__m256i; 2] {
    let bytes = block.as_ptr();
    // SAFETY: the two reads of 32 bytes are the 64 bytes of the block, and need no alignment.
    unsafe { [_mm256_loadu_si256(bytes.cast()), _mm256_loadu_si256(bytes.add(32).cast())] }
}

/// Which bytes of the two vectors have their highest bit set.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(found: [__m256i; 2]) -> u64 {
    let [low, high] = found.map(|half| _mm256_movemask_epi8(half).cast_unsigned());
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
#[target_feature(enable = "avx2")]
fn vector(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn equal(block: [__m256i; 2], byte: u8) -> [__m256i; 2] {
    block.map(|half| _mm256_cmpeq_epi8(half, vector(byte)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn at_most(block: [__m256i; 2], byte: u8) -> [__m256i; 2] {
    block.map(|half| _mm256_cmpeq_epi8(_mm256_min_epu8(half, vector(byte)), half))
}

/// The same 16 bytes twice, as a table by the low half of a byte. A byte above 127 finds 0 in it.
#[inline]
#[target_feature(enable = "avx2")]
fn table(entries: &[u8; 16]) -> __m256i {
    let [low, high] = [0, 8].map(|from| {
        let half = entries.get(from..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        i64::from_le_bytes(half)
    });
    _mm256_broadcastsi128_si256(_mm_set_epi64x(high, low))
}

#[inline]
#[target_feature(enable = "avx2")]
fn classes(block: &Block) -> Classes {
    let block = load(block);
    let spaces = table(&blocks::SPACES);
    let structurals = table(&blocks::STRUCTURALS);
    let space = block.map(|half| _mm256_cmpeq_epi8(half, _mm256_shuffle_epi8(spaces, half)));
    let structural = block.map(|half| {
        let lower = _mm256_or_si256(half, vector(0x20));
        _mm256_cmpeq_epi8(lower, _mm256_shuffle_epi8(structurals, half))
    });
    let control = mask(at_most(block, 0x1f));
    Classes {
        backslash: mask(equal(block, b'\\')),
        quote: mask(equal(block, b'"')),
        structural: mask(structural) & !control,
        space: mask(space),
        control,
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn escapes(block: &Block) -> Escapes {
    let block = load(block);
    let mut ends = 0;
    for end in *b"\"\\/bfnrtu" {
        ends |= mask(equal(block, end));
    }
    // What is less than the first of a range wraps around and is more than its length.
    let from = |first: u8| {
        move |half: __m256i| {
            _mm256_add_epi8(half, _mm256_set1_epi8(first.wrapping_neg().cast_signed()))
        }
    };
    let lower = block.map(|half| _mm256_or_si256(half, vector(0x20)));
    let digits = at_most(block.map(from(b'0')), 9);
    let letters = at_most(lower.map(from(b'a')), 5);
    Escapes { ends, u: mask(equal(block, b'u')), hex: mask(digits) | mask(letters) }
}

/// A product without carries by a number of ones alone is such a sum.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn sums(bits: u64) -> u64 {
    let bits: __m128i = _mm_set_epi64x(0, bits.cast_signed());
    _mm_cvtsi128_si64(_mm_clmulepi64_si128(bits, _mm_set1_epi8(-1), 0)).cast_unsigned()
}

/// Eight bytes at a time: for each way in which bits can be set in a byte, a table says how those
/// that have one close up, and so also where they stand.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn tokens(bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
    let mut count = 0;
    let mut base = _mm_set1_epi16(base.cast_signed());
    for (bits, bytes) in bits.to_le_bytes().into_iter().zip(block.as_chunks::<8>().0) {
        let closing_up = eight(CLOSING_UP.get(usize::from(bits)).copied().unwrap_or_default());
        let places = _mm_add_epi16(base, _mm_cvtepu8_epi16(closing_up));
        // Before each eight, there were at most as many tokens as bytes: there is room for eight
        // more.
        let at = at.get_mut(count..).and_then(<[u16]>::first_chunk_mut);
        let kinds = kinds.get_mut(count..).and_then(<[u8]>::first_chunk_mut);
        let (Some(at), Some(kinds)) = (at, kinds) else { return };
        store(at, places);
        *kinds = _mm_cvtsi128_si64(_mm_shuffle_epi8(eight(*bytes), closing_up)).to_le_bytes();
        count += bits.count_ones() as usize;
        base = _mm_add_epi16(base, _mm_set1_epi16(8));
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn eight(bytes: [u8; 8]) -> __m128i {
    _mm_cvtsi64_si128(i64::from_le_bytes(bytes))
}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "vectors are written through pointers")]
fn store(into: &mut [u16; 8], numbers: __m128i) {
    // SAFETY: the write of 16 bytes is to those that the reference is to, and needs no alignment.
    unsafe { _mm_storeu_si128(into.as_mut_ptr().cast(), numbers) }
}

/// For each byte, which of its bits are set, from the lowest on.
static CLOSING_UP: [[u8; 8]; 256] = closing_up();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is an error"
)]
const fn closing_up() -> [[u8; 8]; 256] {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < table.len() {
        let (mut bit, mut set) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 != 0 {
                table[byte][set] = bit;
                set += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
}
