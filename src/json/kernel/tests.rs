use std::collections::BTreeSet;

use super::{
    Carry, Events, Kernel, KernelError, PORTABLE, WINDOW_BYTES_MAX, WORDS,
    blocks::{self, Block, Classes, Escapes, Lanes, Positions},
    events::Inside,
    sweep::{Rng, seeds},
    trial,
};

/// Bytes in, and what came of them: the positions of tokens and what is left open, or the error.
type Outcome = Result<(Vec<usize>, Carry), usize>;

/// What a kernel is to do, one byte after the other and straight from its description.
#[expect(clippy::match_same_arms, reason = "one arm a case")]
fn described(bytes: &[u8]) -> Outcome {
    let mut events = Vec::new();
    let mut inside = Inside::Nothing;
    for (at, byte) in bytes.iter().enumerate() {
        let outside = matches!(inside, Inside::Nothing | Inside::Primitive);
        let begins = matches!((inside, byte), (Inside::Nothing, _));
        inside = match (inside, byte) {
            (Inside::Escape, b'u') => Inside::Hex(4),
            (Inside::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Inside::String
            }
            (Inside::Escape, _) => return Err(at),
            (Inside::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => match left {
                1 => Inside::String,
                left => Inside::Hex(left - 1),
            },
            (Inside::Hex(_), _) | (Inside::String, 0..0x20) => return Err(at),
            (Inside::String, b'"') => Inside::Nothing,
            (Inside::String, b'\\') => Inside::Escape,
            (Inside::String, _) => Inside::String,
            (_, b'\\') => return Err(at),
            (_, b'"') => Inside::String,
            (_, b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'}' | b'[' | b']' | b':' | b',') => {
                Inside::Nothing
            }
            _ => Inside::Primitive,
        };
        let quote = *byte == b'"' && (outside || inside == Inside::Nothing);
        if quote || outside && b"{}[]:,".contains(byte) || begins && inside == Inside::Primitive {
            events.push(at);
        }
    }
    Ok((events, Carry::new(inside)))
}

/// `described`, by a kernel, in these windows.
fn scanned<'a>(
    mut scan: impl FnMut(&mut Carry, &[u8], &mut Events) -> Result<(), usize>,
    windows: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let (mut carry, mut events, mut found, mut base) =
        (Carry::default(), Events::default(), Vec::new(), 0);
    for window in windows {
        scan(&mut carry, window, &mut events).map_err(|at| base + at)?;
        for n in 0..events.count() {
            let [at] = events.at(n);
            assert_eq!(events.kinds(n).to_le_bytes()[0], window[at], "the byte of a token");
            found.push(base + at);
        }
        assert_eq!(events.kinds(events.count()), 0, "nothing behind the last one");
        for (at, byte) in window.iter().enumerate() {
            assert!(*byte != b'\\' || events.has_escape(at, at), "a backslash that is not noted");
        }
        base += window.len();
    }
    Ok((found, carry))
}

/// Lanes that any processor has, so that what the wide kernels share is proven wherever tests run.
#[derive(Clone, Copy)]
struct Plain;

impl Lanes for Plain {
    fn classes(self, block: &Block) -> Classes {
        Classes {
            backslash: mask(block, |byte| byte == b'\\'),
            quote: mask(block, |byte| byte == b'"'),
            structural: mask(block, |byte| b"{}[]:,".contains(&byte)),
            space: mask(block, |byte| b" \t\n\r".contains(&byte)),
            control: mask(block, |byte| byte < 0x20),
        }
    }

    fn escapes(self, block: &Block) -> Escapes {
        Escapes {
            ends: mask(block, |byte| b"\"\\/bfnrtu".contains(&byte)),
            u: mask(block, |byte| byte == b'u'),
            hex: mask(block, |byte| byte.is_ascii_hexdigit()),
        }
    }

    fn sums(self, bits: u64) -> u64 {
        (0..64).fold(0, |sums, at| sums | u64::from((bits << (63 - at)).count_ones() % 2) << at)
    }

    fn tokens(self, bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
        let set = (0..64u16).filter(|at| bits >> at & 1 != 0);
        for (n, found) in set.enumerate() {
            at[n] = base + found;
            kinds[n] = block[usize::from(found)];
        }
    }
}

fn mask(block: &Block, is: impl Fn(u8) -> bool) -> u64 {
    block.iter().rev().fold(0, |mask, byte| mask << 1 | u64::from(is(*byte)))
}

fn plain(carry: &mut Carry, window: &[u8], events: &mut Events) -> Result<(), usize> {
    events.clear();
    blocks::scan(Plain, carry, window, events)?;
    events.end();
    Ok(())
}

/// Every kernel on `bytes`, whole and cut at each of `cuts`; gives how many runs that were.
fn check(bytes: &[u8], cuts: impl Iterator<Item = usize> + Clone) -> u64 {
    let expected = described(bytes);
    let mut runs = 0;
    let mut compare = |found: Outcome, who: &str, cut: usize| {
        assert!(
            found == expected,
            "{who}, cut at {cut}: {found:?}, expected {expected:?} of {:?}",
            String::from_utf8_lossy(bytes)
        );
        runs += 1;
    };
    for cut in cuts {
        let (head, tail) = bytes.split_at(cut);
        for kernel in Kernel::all() {
            let scan =
                |carry: &mut _, window: &_, events: &mut _| kernel.scan(carry, window, events);
            compare(scanned(scan, [head, tail]), kernel.name(), cut);
        }
        compare(scanned(plain, [head, tail]), "plain", cut);
    }
    runs
}

/// Any bytes, bytes that matter, pieces of JSON anywhere, or pieces where they may stand.
fn bytes(rng: &mut Rng) -> Vec<u8> {
    const BYTES: &[u8] = b"\"\"\"\\\\{}[]:, \t\n\ru/b0aFg1-e\x00\x1f\x0c\x1a\x7f\x80\xc3\xff";
    const OUTSIDE: &[&[u8]] = &[
        b"\"",
        b"\"",
        b"\"\"",
        b"\"a\":",
        b",",
        b", ",
        b"{",
        b"}",
        b"[",
        b"]",
        b": ",
        b"\n  ",
        b"\t",
        b"-12.5e3",
        b"true",
        b"null",
        b"7",
        b"\x1a",
        b"\xc3\xa9",
    ];
    const INSIDE: &[&[u8]] = &[
        b"\"",
        b"\"",
        b"\"",
        b"\\\\",
        b"\\\"",
        b"\\n",
        b"\\u00e9",
        b"\\uD83D\\uDE00",
        b"name",
        b"\xc3\xa9",
        b"some words that go on ",
        b" {[: ,]} ",
        b"u",
        b"\\/",
    ];
    const WRONG: &[&[u8]] = &[b"\\u12", b"\t", b"\\x", b"\\"];
    let most = if rng.below(8) == 0 { 700 } else { 140 };
    let length = rng.below(most);
    let kind = rng.below(8);
    let mut inside = false;
    let mut out = Vec::new();
    while out.len() < length {
        let piece = match kind {
            0 => &[rng.below(256).to_le_bytes()[0]],
            1 => &BYTES[rng.below(BYTES.len())..][..1],
            2 | 3 => {
                let pieces = rng.pick(&[OUTSIDE, INSIDE, WRONG]);
                rng.pick(pieces)
            }
            _ if inside => rng.pick(INSIDE),
            _ => rng.pick(OUTSIDE),
        };
        let quotes = piece.iter().fold(0, |quotes, byte| quotes + u32::from(*byte == b'"'));
        inside ^= quotes % 2 == 1 && piece != b"\\\"";
        out.extend_from_slice(piece);
    }
    out
}

#[test]
#[expect(clippy::print_stdout, reason = "a sweep says what it swept")]
fn all_kernels_do_what_is_described() {
    let (mut texts, mut runs, mut accepted) = (0, 0, 0);
    for seed in seeds(1_500) {
        let bytes = bytes(&mut Rng::new(seed));
        texts += 1;
        accepted += u64::from(described(&bytes).is_ok());
        // Beyond what the byte at a cut can reach, the cuts of long ones are a sample.
        let step = bytes.len() / 160 + 1;
        runs += check(&bytes, (0..=bytes.len()).step_by(step));
    }
    let names: Vec<_> = Kernel::all().map(Kernel::name).collect();
    println!(
        "{texts} texts, {accepted} without an error in a string, {runs} runs of kernels ({}, and plain masks): \
         all as described",
        names.join(", ")
    );
}

/// Every place of a block for what goes from one byte to a later one.
#[test]
fn what_crosses_from_block_to_block() {
    for tail in [
        "\\u00e9\"",
        "\\u00g9\"",
        "\\\\\"",
        "\\\"\"",
        "\\x\"",
        "\u{1f}\"",
        "\",12,\"",
        "\"12345,",
        "\\",
        "\\u",
        "\\u0",
        "\\u00",
        "\\u000",
    ] {
        for before in 0..200 {
            let text = format!("\"{}{tail}", "s".repeat(before));
            check(text.as_bytes(), 0..=text.len());
        }
    }
    for row in 0..200 {
        let text = format!("\"{}\" 1", "\\".repeat(row));
        check(text.as_bytes(), 0..=text.len());
        let text = format!("{}\"\\u0031\" ", "[".repeat(row));
        check(text.as_bytes(), 0..=text.len());
    }
}

#[test]
fn the_longest_window_of_nothing_but_tokens() {
    let window = vec![b'['; WINDOW_BYTES_MAX];
    check(&window, [0, 1, WINDOW_BYTES_MAX / 2 + 3].into_iter());
}

#[test]
fn kernels_are_chosen_by_name() {
    let there: Vec<Kernel> = Kernel::all().collect();
    assert_eq!(there.first().map(|kernel| kernel.name()), Some("portable"));
    for word in WORDS {
        let found = there.iter().find(|kernel| kernel.name() == word);
        assert_eq!(Kernel::named(word), found.copied().ok_or(KernelError::Missing));
    }
    for word in ["", "AVX2", "neon", "portable ", "best"] {
        assert_eq!(Kernel::named(word), Err(KernelError::Unknown), "{word:?}");
    }
    let names: BTreeSet<_> = there.iter().map(|kernel| kernel.name()).collect();
    assert_eq!(names.len(), there.len());
    let in_use = Kernel::in_use();
    assert_eq!(there.last(), Some(&in_use), "the best one");
    assert_eq!(there[0].force(), in_use, "the first choice stays");
}

/// Lanes of which one answer is wrong.
#[derive(Clone, Copy)]
struct Broken(fn(&mut Classes, &mut Escapes));
impl Lanes for Broken {
    fn classes(self, block: &Block) -> Classes {
        let mut both = (Plain.classes(block), Plain.escapes(block));
        (self.0)(&mut both.0, &mut both.1);
        both.0
    }
    fn escapes(self, block: &Block) -> Escapes {
        let mut both = (Plain.classes(block), Plain.escapes(block));
        (self.0)(&mut both.0, &mut both.1);
        both.1
    }
    fn sums(self, bits: u64) -> u64 {
        Plain.sums(bits)
    }
    fn tokens(self, bits: u64, block: &Block, base: u16, at: &mut Positions, kinds: &mut Block) {
        Plain.tokens(bits, block, base, at, kinds);
    }
}

#[test]
fn a_kernel_that_reads_wrong_does_not_pass_its_trial() {
    for kernel in Kernel::all() {
        assert!(kernel.proven().is_some(), "{kernel:?}");
    }
    let portable = |carry: &mut Carry, window: &[u8], events: &mut Events| {
        PORTABLE.scan(carry, window, events)
    };
    assert!(trial::passes(plain, portable));
    let breaks: [fn(&mut Classes, &mut Escapes); 8] = [
        |classes, _| classes.backslash = 0,
        |classes, _| classes.quote &= classes.quote.wrapping_sub(1),
        |classes, _| classes.structural >>= 1,
        |classes, _| classes.space = 0,
        |classes, _| classes.control = 0,
        |_, escapes| escapes.ends = u64::MAX,
        |_, escapes| escapes.u = 0,
        |_, escapes| escapes.hex = u64::MAX,
    ];
    for (at, broken) in breaks.into_iter().enumerate() {
        let scan = |carry: &mut Carry, window: &[u8], events: &mut Events| {
            events.clear();
            blocks::scan(Broken(broken), carry, window, events)?;
            events.end();
            Ok(())
        };
        assert!(!trial::passes(scan, portable), "{at}");
    }
}
