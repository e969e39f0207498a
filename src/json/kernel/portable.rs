//! The kernel that every machine runs: a table of byte classes, and strings eight bytes at a time.

use super::events::{Carry, Events, Inside, Scan};

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    Structural,
    Quote,
    Backslash,
}

static CLASSES: [Class; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is an error"
)]
const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut n = 0;
    while n < 4 {
        classes[b" \t\n\r"[n] as usize] = Class::Space;
        n += 1;
    }
    n = 0;
    while n < 6 {
        classes[b"{}[]:,"[n] as usize] = Class::Structural;
        n += 1;
    }
    classes[b'"' as usize] = Class::Quote;
    classes[b'\\' as usize] = Class::Backslash;
    classes
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte, into 256 entries")]
fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

impl Scan for Portable {
    fn scan(self, carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize> {
        let mut at = 0;
        while let Some(byte) = window.get(at) {
            match carry.inside() {
                Inside::String | Inside::Escape | Inside::Hex(_) => {
                    match string(carry.inside_mut(), window, at, events)? {
                        Some(quote) => {
                            events.push(quote, b'"');
                            at = quote + 1;
                        }
                        None => return Ok(()),
                    }
                    continue;
                }
                Inside::Nothing | Inside::Primitive => {}
            }
            match class(*byte) {
                Class::Space => *carry.inside_mut() = Inside::Nothing,
                Class::Structural => {
                    *carry.inside_mut() = Inside::Nothing;
                    events.push(at, *byte);
                }
                Class::Quote => {
                    *carry.inside_mut() = Inside::String;
                    events.push(at, *byte);
                }
                Class::Backslash => return Err(at),
                Class::Other => {
                    if carry.inside() == Inside::Nothing {
                        *carry.inside_mut() = Inside::Primitive;
                        events.push(at, *byte);
                    }
                }
            }
            at += 1;
        }
        Ok(())
    }
}

/// Reads on in a string, and gives the position of its closing quote; none if the bytes end first.
#[inline]
fn string(
    inside: &mut Inside,
    window: &[u8],
    mut at: usize,
    events: &mut Events,
) -> Result<Option<usize>, usize> {
    loop {
        match *inside {
            Inside::Escape => {
                let Some(byte) = window.get(at) else { return Ok(None) };
                if *byte == b'\\' {
                    events.escape(at);
                }
                *inside = match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Inside::String,
                    b'u' => Inside::Hex(4),
                    _ => return Err(at),
                };
                at += 1;
            }
            Inside::Hex(left) => {
                let Some(byte) = window.get(at) else { return Ok(None) };
                if !byte.is_ascii_hexdigit() {
                    return Err(at);
                }
                *inside = if left > 1 { Inside::Hex(left - 1) } else { Inside::String };
                at += 1;
            }
            Inside::String | Inside::Nothing | Inside::Primitive => {
                at = skip_plain(window, at);
                match window.get(at) {
                    None => return Ok(None),
                    Some(b'"') => {
                        *inside = Inside::Nothing;
                        return Ok(Some(at));
                    }
                    Some(b'\\') => {
                        *inside = Inside::Escape;
                        events.escape(at);
                    }
                    Some(_control) => return Err(at),
                }
                at += 1;
            }
        }
    }
}

/// The position of the first quote, backslash or control character from `at` on.
#[inline]
fn skip_plain(window: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of each byte below `limit`; exact up to the first one, and that is used.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    while let Some(word) = window.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let found = below(word ^ (ONES * u64::from(b'"')), 1)
            | below(word ^ (ONES * u64::from(b'\\')), 1)
            | below(word, 0x20);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = window.get(at..).unwrap_or_default();
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(special).unwrap_or(rest.len())
}
