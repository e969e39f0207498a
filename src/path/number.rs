//! Numbers that compare by their value, however they are written.

use std::{cmp::Ordering, fmt};

/// Most zeros that are written out rather than as an exponent.
const ZEROS_MAX: i64 = 6;

/// A number of JSON, exactly: `1.50`, `15e-1` and `1.5` are equal, `0.1` and `0.10000000000000001` are not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Number {
    /// Reads a number of JSON. None if it is none, or if readers who hold it in a double (IEEE 754, binary64) could not
    /// tell it from infinity or from zero: nobody knows what they would take it for.
    pub fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            // Also `-0` and `0e999`: zero is zero.
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        let length = |text: &str| i64::try_from(text.len()).ok();
        let zeros = length(digits)?.checked_sub(length(significant)?)?;
        let exponent = exponent.parse::<i64>().ok()?;
        let exponent = exponent.checked_add(zeros)?.checked_sub(length(fraction)?)?;
        let double = text.parse::<f64>().ok()?;
        let is_held = double.is_finite() && double != 0.0;
        is_held.then(|| Self { negative, digits: significant.to_owned(), exponent })
    }

    /// A number of things.
    pub fn of(count: u64) -> Self {
        Self::read(&count.to_string()).unwrap_or(Self {
            negative: false,
            digits: String::new(),
            exponent: 0,
        })
    }

    /// The power of ten of the first digit.
    fn magnitude(&self) -> i64 {
        // No text is that long.
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        self.exponent.saturating_add(digits).saturating_sub(1)
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // From the first digit on: the longer one has no zeros at its end.
            (false, false) => self
                .magnitude()
                .cmp(&other.magnitude())
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In plain digits where that is short.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digits, exponent, .. } = self;
        if digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if (0..=ZEROS_MAX).contains(exponent) {
            return write!(f, "{digits}{}", zeros(*exponent));
        }
        let places = exponent.saturating_neg();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        if places > 0 && places < length {
            let (whole, fraction) = digits
                .split_at_checked(digits.len() - usize::try_from(places).unwrap_or(0))
                .unwrap_or((digits, ""));
            return write!(f, "{whole}.{fraction}");
        }
        if places > 0 && places - length <= ZEROS_MAX {
            return write!(f, "0.{}{digits}", zeros(places - length));
        }
        write!(f, "{digits}e{exponent}")
    }
}
