//! What a kernel has to read right before a process uses it: the tests that prove kernels may have
//! run on another processor.

use super::events::{Carry, Events};

/// Every class of byte, inside of strings and outside, across blocks; the last ones are wrong.
const TRIALS: [&[u8]; 7] = [
    b"{\"id\":\"C-1042\",\"name\" : \"Ana\xc3\xafs \\\"Lef\\u00e8vre\\\"\",\r\n\t\"list\":[1,-2.5e+3,true,null,[],{}, \"\"],\
      \"back\":\"\\\\\",\"slash\":\"\\/\\b\\f\\n\\r\\t\",\"in a string\":\"{ [ : , ] } 0 \xf0\x9f\x98\x80\",\"long\":\
      \"a word after the other, so that a whole block of bytes lies inside of a string\",\"x\":\"\\uD83D\\uDE00\"}",
    b"[\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",\"\"]",
    b"\x0c\x1a\x00\x7f\x80\xff,:[]{}\x3a\x5b\x7b",
    b"[\"a line\nfeed in a string\"]",
    b"[\"no \\x escape\"]",
    b"[\"\\u12g4\"]",
    b"[\"an open string of some length, whose end is cut off together with all that is behind it \\",
];

/// Whether a kernel reads all of them, cut at every byte, as the portable one does.
pub(super) fn passes(
    scan: impl Fn(&mut Carry, &[u8], &mut Events) -> Result<(), usize>,
    portable: impl Fn(&mut Carry, &[u8], &mut Events) -> Result<(), usize>,
) -> bool {
    let cuts = TRIALS.iter().flat_map(|text| (0..=text.len()).map(|cut| text.split_at(cut)));
    let mut halves = cuts.map(|(head, tail)| [head, tail]);
    let mut events = Events::default();
    halves.all(|halves| found(&scan, halves, &mut events) == found(&portable, halves, &mut events))
}

/// The tokens of each half, and what the last byte left open, or where it is wrong.
type Found = (Vec<(usize, u64)>, Result<Carry, usize>);

fn found(
    scan: &impl Fn(&mut Carry, &[u8], &mut Events) -> Result<(), usize>,
    halves: [&[u8]; 2],
    events: &mut Events,
) -> Found {
    let mut carry = Carry::default();
    let mut tokens = Vec::new();
    for half in halves {
        if let Err(at) = scan(&mut carry, half, events) {
            return (tokens, Err(at));
        }
        tokens.extend((0..events.count()).map(|n| {
            let [at] = events.at(n);
            (at, events.kinds(n) & 0xff)
        }));
        // Backslashes are noted by the block: none may be missed.
        let escapes = half.iter().enumerate().filter(|(_, byte)| **byte == b'\\');
        if escapes.into_iter().any(|(at, _)| !events.has_escape(at, at)) {
            return (tokens, Err(usize::MAX));
        }
    }
    (tokens, Ok(carry))
}
