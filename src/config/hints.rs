//! What was probably meant by a value that cannot be taken: how it is written here. A proposal is part of a
//! message only; nothing is taken for it.

use jiff::{Span, SpanRelativeTo};

use std::time::Duration;

/// Largest number that is proposed: beyond it not every whole number is one of floating point.
const NUMBER_MAX: f64 = 9_007_199_254_740_992.0;

/// The number that a text spells as YAML 1.1, a programming language or a person would, in the digits that
/// are taken here. `is_bytes` says that units of bytes make sense.
pub(super) fn number(text: &str, is_bytes: bool) -> Option<u64> {
    let bare = text.trim();
    let bare = bare.strip_prefix('+').unwrap_or(bare);
    radix(bare).or_else(|| decimal(bare)).or_else(|| bytes(bare).filter(|_| is_bytes))
}

/// `0x10`, `0o10` and `0b10`.
fn radix(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let radixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (digits, radix) =
        radixes.iter().find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, *radix)))?;
    // The parser would take a sign.
    digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then_some(())?;
    u64::from_str_radix(digits, radix).ok()
}

/// Digits with zeros before them, something between them, a fraction of zeros or an exponent.
fn decimal(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | '\'' | ' ' | ',')).collect();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(&digits) {
        return digits.parse().ok();
    }
    // Three digits behind a point are a fraction to some, and thousands to others.
    let (_, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_float = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+".contains(&byte));
    if !is_float || (fraction.len() == 3 && is_digits(fraction)) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let is_whole = number.fract() == 0.0 && number.abs() <= NUMBER_MAX;
    is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

/// A number with a unit of bytes.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor: u64 = match unit.as_str() {
        "b" | "byte" | "bytes" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// How a time is written here that a text spells in another way: `1.5s`, `5 min`, `PT30S`, `1h30m`, `1d`.
pub(super) fn time(text: &str) -> Option<(Duration, String)> {
    let span: Span = text.trim().to_ascii_lowercase().parse().ok()?;
    let days = SpanRelativeTo::days_are_24_hours();
    let time = Duration::try_from(span.to_duration(days).ok()?).ok()?;
    let seconds = time.as_secs();
    let spelled = match (time.subsec_nanos(), seconds) {
        (nanos, _) if nanos % 1_000_000 != 0 => return None,
        (nanos, _) if nanos != 0 => format!("{}ms", time.as_millis()),
        (_, 0) => "0s".to_owned(),
        (_, seconds) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (_, seconds) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        (_, seconds) => format!("{seconds}s"),
    };
    Some((time, spelled))
}

/// `on` or `off`, for a word that means one of them to readers of YAML 1.1 and to people.
pub(super) fn switch(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "y" | "1" | "enabled" => Some("on"),
        "off" | "false" | "no" | "n" | "0" | "disabled" | "none" | "never" => Some("off"),
        _ => None,
    }
}

/// Whether a text says that there is no limit.
pub(super) fn is_unlimited(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words = [
        "0",
        "-1",
        "none",
        "off",
        "no",
        "unlimited",
        "infinity",
        "infinite",
        "max",
        ".inf",
        "+.inf",
    ];
    words.contains(&text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_were_meant() {
        for (text, meant) in [
            ("010", 10),
            ("0o10", 8),
            ("0O17", 15),
            ("0x10", 16),
            ("0XfF", 255),
            ("0b101", 5),
            ("+5", 5),
            ("1_000", 1000),
            ("1,000", 1000),
            ("1'000'000", 1_000_000),
            ("1 000", 1000),
            ("10.0", 10),
            ("1e3", 1000),
            ("1E3", 1000),
            ("1e+3", 1000),
            ("1.5e3", 1500),
            ("64", 64),
        ] {
            assert_eq!(number(text, false), Some(meant), "{text}");
        }
        for text in [
            "", "x", "-5", "0.5", ".5", ".inf", ".nan", "inf", "NaN", "1.000", "1e400", "0x",
            "0x-1", "0b2", "1:30", "१०", "16KiB",
        ] {
            assert_eq!(number(text, false), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_those_that_were_meant() {
        for (text, meant) in [
            ("16KiB", 16 << 10),
            ("16 KiB", 16 << 10),
            ("16k", 16 << 10),
            ("1Mi", 1 << 20),
            ("1 GB", 1_000_000_000),
            ("64b", 64),
            ("0x10", 16),
        ] {
            assert_eq!(number(text, true), Some(meant), "{text}");
        }
        for text in ["KiB", "1.5MiB", "16 x", "99999999999999999999G"] {
            assert_eq!(number(text, true), None, "{text}");
        }
    }

    #[test]
    fn times_are_those_that_were_meant() {
        for (text, meant) in [
            ("1.5s", "1500ms"),
            ("5 s", "5s"),
            ("30S", "30s"),
            ("30sec", "30s"),
            ("5min", "5m"),
            ("5 minutes", "5m"),
            ("90s", "90s"),
            ("1h30m", "90m"),
            ("PT30S", "30s"),
            ("1d", "24h"),
            ("0m", "0s"),
            ("010s", "10s"),
        ] {
            assert_eq!(time(text).map(|(_, spelled)| spelled).as_deref(), Some(meant), "{text}");
        }
        for text in ["", "5", "s", "1:30", "-5s", "soon", "1us", "99999999999999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
