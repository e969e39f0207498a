//! The kernel for AVX-512 with VBMI2: a block is one vector, and comparing gives masks at once.
#![expect(
    clippy::inline_always,
    reason = "only inside of a function for the processor are the instructions themselves inlined"
)]

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_add_epi16, _mm512_broadcast_i32x4, _mm512_castsi512_si256,
    _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_cvtepu8_epi16,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_set1_epi16, _mm512_shuffle_epi8, _mm512_storeu_si512, _mm512_sub_epi8,
};

use super::{
    avx2,
    blocks::{self, Block, Classes, Escapes, Lanes, Positions},
    events::{BLOCK_BYTES, Carry, Events, Scan},
};

/// Proof that the processor has the instructions of this kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has_all.then_some(Self(()))
    }
}

#[expect(unsafe_code, reason = "instructions that not every processor has")]
impl Scan for Avx512 {
    fn scan(self, carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize> {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { scan(self, carry, window, events) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,popcnt,pclmulqdq")]
fn scan(
    avx512: Avx512,
    carry: &mut Carry,
    window: &[u8],
    events: &mut Events,
) -> Result<(), usize> {
    blocks::scan(avx512, carry, window, events)
}

#[expect(unsafe_code, reason = "instructions that not every processor has")]
impl Lanes for Avx512 {
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
        unsafe { avx2::sums(bits) }
    }

    #[inline(always)]
    fn tokens(self, bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
        // SAFETY: `self` comes only from `detect`, which has found these instructions.
        unsafe { tokens(bits, block, base, at, kinds) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors are read through pointers")]
fn load(bytes: &Block) -> __m512i {
    // SAFETY: the read of 64 bytes is those that the reference is to, and needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors are written through pointers")]
fn store(into: &mut Block, bytes: __m512i) {
    // SAFETY: the write of 64 bytes is to those that the reference is to, and needs no alignment.
    unsafe { _mm512_storeu_si512(into.as_mut_ptr().cast(), bytes) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors are written through pointers")]
fn store_wide(into: &mut [u16; BLOCK_BYTES / 2], numbers: __m512i) {
    // SAFETY: the write of 64 bytes is to those that the reference is to, and needs no alignment.
    unsafe { _mm512_storeu_si512(into.as_mut_ptr().cast(), numbers) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn vector(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn equal(block: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(block, vector(byte))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn at_most(block: __m512i, byte: u8) -> u64 {
    _mm512_cmple_epu8_mask(block, vector(byte))
}

/// The same 16 bytes four times, as a table by the low half of a byte. A byte above 127 finds 0 in
/// it.
#[inline]
#[target_feature(enable = "avx512f")]
fn table(entries: &[u8; 16]) -> __m512i {
    let [low, high] = [0, 8].map(|from| {
        let half = entries.get(from..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        i64::from_le_bytes(half)
    });
    _mm512_broadcast_i32x4(_mm_set_epi64x(high, low))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn classes(block: &Block) -> Classes {
    let block = load(block);
    let space = _mm512_shuffle_epi8(table(&blocks::SPACES), block);
    let structural = _mm512_shuffle_epi8(table(&blocks::STRUCTURALS), block);
    let lower = _mm512_or_si512(block, vector(0x20));
    let control = at_most(block, 0x1f);
    Classes {
        backslash: equal(block, b'\\'),
        quote: equal(block, b'"'),
        structural: _mm512_cmpeq_epi8_mask(lower, structural) & !control,
        space: _mm512_cmpeq_epi8_mask(block, space),
        control,
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn escapes(block: &Block) -> Escapes {
    let block = load(block);
    let mut ends = 0;
    for end in *b"\"\\/bfnrtu" {
        ends |= equal(block, end);
    }
    // What is less than the first of a range wraps around and is more than its length.
    let lower = _mm512_or_si512(block, vector(0x20));
    let digits = at_most(_mm512_sub_epi8(block, vector(b'0')), 9);
    let letters = at_most(_mm512_sub_epi8(lower, vector(b'a')), 5);
    Escapes { ends, u: equal(block, b'u'), hex: digits | letters }
}

/// 0 to 63.
const COUNTING: [u8; BLOCK_BYTES] = {
    let mut counting = [0; BLOCK_BYTES];
    let mut n = 0;
    let mut rest: &mut [u8] = &mut counting;
    while let [first, others @ ..] = rest {
        *first = n;
        n += 1;
        rest = others;
    }
    counting
};

/// Of the bytes, and of the numbers from 0 to 63, those stay that have a bit, and close up.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn tokens(bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
    store(kinds, _mm512_maskz_compress_epi8(bits, load(block)));
    let found = _mm512_maskz_compress_epi8(bits, load(&COUNTING));
    let base = _mm512_set1_epi16(base.cast_signed());
    let ([low, high], _) = at.as_chunks_mut::<{ BLOCK_BYTES / 2 }>() else { return };
    let positions = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(found));
    store_wide(low, _mm512_add_epi16(base, positions));
    if bits.count_ones() > 32 {
        let positions = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(found, 1));
        store_wide(high, _mm512_add_epi16(base, positions));
    }
}
