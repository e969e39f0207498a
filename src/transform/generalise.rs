//! Values to coarser ones: dates, ages, texts, numbers, addresses.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use jiff::civil::Date;

use crate::transform::{Generalisation, Precision, Scalar, scalar::write_string};

/// The last age that has a band: older people are too few to stand in one.
const BANDED_AGE_MAX: u32 = 89;

impl Generalisation {
    /// Appends the coarser value, or gives `None` if this one is unfit.
    pub(super) fn write(self, value: &Scalar<'_>, today: Date, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::AgeBand(years) => age_band(value.text()?, years, today, out),
            Self::Date(precision) => Written::read(value.text()?)?.write(precision, out),
            Self::Prefix(characters) => prefix(value.text()?, characters, out),
            Self::Round(step) => round(value.number()?, step, out),
            Self::Ip => network(value.text()?, out),
        }
    }
}

/// The age is that on 1 January of this year: one that moved on the birthday would tell it.
fn age_band(born: &str, years: u32, today: Date, out: &mut Vec<u8>) -> Option<()> {
    let Written::Day(born) = Written::read(born)? else { return None };
    if born > today {
        return None;
    }
    let birthdays = today.year() - born.year() - i16::from(born.day_of_year() > 1);
    let age = u32::try_from(birthdays.max(0)).ok()?;
    let first = age.checked_div(years)? * years;
    if age > BANDED_AGE_MAX {
        return write!(out, "\"{}+\"", BANDED_AGE_MAX + 1).ok();
    }
    let last = first.saturating_add(years - 1).min(BANDED_AGE_MAX);
    write!(out, "\"{first}-{last}\"").ok()
}

/// A date with what was written of it. The time of day and its zone are checked and forgotten.
#[derive(Clone, Copy)]
enum Written {
    Year(i16),
    /// The first day of the month.
    Month(Date),
    Day(Date),
}

impl Written {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a date-time of RFC 3339, and nothing else.
    fn read(text: &str) -> Option<Self> {
        let [c1, c0, y1, y0, rest @ ..] = text.as_bytes() else { return None };
        let year = i16::from(two_digits(*c1, *c0)?) * 100 + i16::from(two_digits(*y1, *y0)?);
        match rest {
            [] => Some(Self::Year(year)),
            [b'-', m1, m0] => Date::new(year, two_digits(*m1, *m0)?, 1).ok().map(Self::Month),
            [b'-', m1, m0, b'-', d1, d0, time @ ..] if time.is_empty() || is_time(time) => {
                let date = Date::new(year, two_digits(*m1, *m0)?, two_digits(*d1, *d0)?);
                date.ok().map(Self::Day)
            }
            _ => None,
        }
    }

    /// Appends the date at `precision`, or as it is if it was written coarser.
    fn write(self, precision: Precision, out: &mut Vec<u8>) -> Option<()> {
        let (year, month) = match self {
            Self::Year(year) => return write!(out, "\"{year:04}\"").ok(),
            Self::Month(date) | Self::Day(date) => (date.year(), date.month()),
        };
        match precision {
            Precision::Year => write!(out, "\"{year:04}\""),
            Precision::Quarter => write!(out, "\"{year:04}-Q{}\"", (month + 2) / 3),
            Precision::Month => write!(out, "\"{year:04}-{month:02}\""),
        }
        .ok()
    }
}

/// Whether `text` is what RFC 3339 lets follow a full date: `T`, a time of day, and its offset.
fn is_time(text: &[u8]) -> bool {
    let [b'T' | b't', h1, h0, b':', m1, m0, b':', s1, s0, rest @ ..] = text else { return false };
    // A leap second is the 60th.
    if !(at_most(23, *h1, *h0) && at_most(59, *m1, *m0) && at_most(60, *s1, *s0)) {
        return false;
    }
    let mut offset = rest;
    if let [b'.', b'0'..=b'9', rest @ ..] = offset {
        offset = rest;
        while let [b'0'..=b'9', rest @ ..] = offset {
            offset = rest;
        }
    }
    match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h0, b':', m1, m0] => at_most(23, *h1, *h0) && at_most(59, *m1, *m0),
        _ => false,
    }
}

fn at_most(max: i8, tens: u8, ones: u8) -> bool {
    two_digits(tens, ones).is_some_and(|number| number <= max)
}

fn two_digits(tens: u8, ones: u8) -> Option<i8> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn digit(byte: u8) -> Option<i8> {
    if byte.is_ascii_digit() { i8::try_from(byte - b'0').ok() } else { None }
}

/// A text without more than its prefix is unfit: nothing of it would be withheld.
fn prefix(text: &str, characters: usize, out: &mut Vec<u8>) -> Option<()> {
    let (end, _) = text.char_indices().nth(characters)?;
    let prefix = text.get(..end)?;
    write_string(format_args!("{prefix}"), out)
}

fn round(number: &str, step: u64, out: &mut Vec<u8>) -> Option<()> {
    let step = i128::from(step);
    // The multiple below x is the multiple below the integer below x.
    let multiple = floor(number)?.checked_div_euclid(step)?.checked_mul(step)?;
    write!(out, "{multiple}").ok()
}

/// The integer next below or equal to a JSON number, exactly, if an `i128` holds it.
///
/// The work grows with the digits that were sent, never with what the exponent says.
fn floor(number: &str) -> Option<i128> {
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // How many of the digits, zeros appended, stand before the point once the exponent is applied.
    let mut places = i64::try_from(whole.len()).ok()?.saturating_add(saturating(exponent)?);
    let mut integer = 0_i128;
    let mut has_fraction = false;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = digit(byte)?;
        if places > 0 {
            integer = integer.checked_mul(10)?.checked_add(sign * i128::from(digit))?;
            places -= 1;
        } else {
            has_fraction |= digit > 0;
        }
    }
    if integer != 0 && places > 0 {
        let zeros = u32::try_from(places).ok()?;
        integer = integer.checked_mul(10_i128.checked_pow(zeros)?)?;
    }
    if has_fraction && sign < 0 { integer.checked_sub(1) } else { Some(integer) }
}

/// An exponent, or the end of `i64` next to it: no document has digits enough to tell.
fn saturating(exponent: &str) -> Option<i64> {
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let magnitude = digits.bytes().try_fold(0_i64, |sum, byte| {
        Some(sum.saturating_mul(10).saturating_add(i64::from(digit(byte)?)))
    })?;
    Some(if exponent.starts_with('-') { -magnitude } else { magnitude })
}

fn network(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let network: IpAddr = match text.parse().ok()? {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
    };
    write!(out, "\"{network}\"").ok()
}
