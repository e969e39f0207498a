//! What an action makes of one scalar.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::tree::decode;
use super::world::{Action, Generalise, Precision};

/// What a value needs beside its action.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) key: [u8; 32],
    /// Year, month, day.
    pub(crate) today: (i32, u32, u32),
}

/// The token that stands in place of `token`, or none: the action cannot treat it.
/// For actions under which a value stays; `null` is not asked about.
pub(crate) fn transform(
    action: &Action,
    token: &[u8],
    purpose: &str,
    setup: &Setup,
) -> Option<Vec<u8>> {
    match action {
        Action::Keep => Some(token.to_vec()),
        Action::Pseudonym { domain } => {
            let value = if is_number(token) { token.to_vec() } else { decode(token)?.into_bytes() };
            let domain = domain.as_deref().unwrap_or(purpose);
            Some(quote(&pseudonym(&setup.key, domain, &value)))
        }
        Action::Mask { first, last, same_length } => {
            Some(quote(&mask(&decode(token)?, *first, *last, *same_length)))
        }
        Action::Generalise(Generalise::Round(step)) => {
            if is_number(token) {
                round(token, *step).map(String::into_bytes)
            } else {
                None
            }
        }
        Action::Generalise(Generalise::AgeBand(years)) => {
            age_band(&decode(token)?, *years, setup.today).map(|band| quote(&band))
        }
        Action::Generalise(Generalise::Date(precision)) => {
            coarser(&decode(token)?, *precision).map(|date| quote(&date))
        }
        Action::Generalise(Generalise::Prefix(length)) => {
            let value = decode(token)?;
            let longer = value.chars().count() > *length;
            longer.then(|| quote(&value.chars().take(*length).collect::<String>()))
        }
        Action::Generalise(Generalise::Ip) => network(&decode(token)?).map(|ip| quote(&ip)),
        Action::Null | Action::Drop | Action::Deny => panic!("nothing stays under {action:?}"),
    }
}

fn is_number(token: &[u8]) -> bool {
    token.first().is_some_and(|first| *first == b'-' || first.is_ascii_digit())
}

/// A string token with only the escapes that RFC 8259 demands, short where there is a short form.
pub(crate) fn quote(text: &str) -> Vec<u8> {
    let mut token = String::from('"');
    for char in text.chars() {
        match char {
            '"' => token.push_str("\\\""),
            '\\' => token.push_str("\\\\"),
            '\u{8}' => token.push_str("\\b"),
            '\u{c}' => token.push_str("\\f"),
            '\n' => token.push_str("\\n"),
            '\r' => token.push_str("\\r"),
            '\t' => token.push_str("\\t"),
            '\0'..='\u{1f}' => write!(token, "\\u{:04x}", u32::from(char)).unwrap(),
            _ => token.push(char),
        }
    }
    token.push('"');
    token.into_bytes()
}

/// `p1.` and 26 characters.
pub(crate) fn pseudonym(root: &[u8; 32], domain: &str, value: &[u8]) -> String {
    let mut info = Vec::new();
    for part in ["tamis/1", "pseudonym", domain, "1"] {
        info.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        info.extend(part.as_bytes());
    }
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, root).expand(&info, &mut key).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(value);
    let digest = mac.finalize().into_bytes();
    // 128 bits, then two zero bits: 26 times five.
    let (high, _) = digest.split_at(16);
    let bit = |at: usize| high.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let five = |at: usize| (at..at + 5).fold(0, |sum, at| sum * 2 + usize::from(bit(at)));
    let crockford = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let chars = (0..130).step_by(5).map(|at| char::from(crockford[five(at)]));
    format!("p1.{}", chars.collect::<String>())
}

fn mask(value: &str, first: usize, last: usize, same_length: bool) -> String {
    let chars: Vec<char> = value.chars().collect();
    let hidden = chars.len().saturating_sub(first.saturating_add(last));
    let enough = hidden >= 4 && hidden * 2 >= chars.len();
    let (first, last) = if enough { (first, last) } else { (0, 0) };
    let hidden = if same_length { chars.len() - first - last } else { 8 };
    let head = chars.iter().take(first);
    let tail = chars.iter().skip(chars.len() - last);
    head.copied().chain(std::iter::repeat_n('*', hidden)).chain(tail.copied()).collect()
}

struct Date {
    year: i32,
    month: Option<u32>,
    day: Option<u32>,
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or RFC 3339, and nothing around it.
fn date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = bytes.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));

    let year = i32::try_from(number(0, 4)?).ok()?;
    if bytes.len() == 4 {
        return Some(Date { year, month: None, day: None });
    }
    let month = number(5, 7)?;
    if !is(4, b"-") || !(1..=12).contains(&month) {
        return None;
    }
    if bytes.len() == 7 {
        return Some(Date { year, month: Some(month), day: None });
    }
    let day = number(8, 10)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !is(7, b"-") || !(1..=days).contains(&day) {
        return None;
    }
    let date = Date { year, month: Some(month), day: Some(day) };
    if bytes.len() == 10 {
        return Some(date);
    }
    let clock = is(10, b"Tt") && is(13, b":") && is(16, b":");
    if !clock || number(11, 13)? > 23 || number(14, 16)? > 59 || number(17, 19)? > 60 {
        return None;
    }
    let mut at = 19;
    if is(at, b".") {
        at += 1;
        number(at, at + 1)?;
        while is(at, b"0123456789") {
            at += 1;
        }
    }
    if is(at, b"Zz") {
        return (bytes.len() == at + 1).then_some(date);
    }
    let offset = is(at, b"+-") && is(at + 3, b":") && bytes.len() == at + 6;
    let offset = offset && number(at + 1, at + 3)? <= 23 && number(at + 4, at + 6)? <= 59;
    offset.then_some(date)
}

fn age_band(text: &str, years: i32, today: (i32, u32, u32)) -> Option<String> {
    let born = date(text)?;
    let (month, day) = (born.month?, born.day?);
    if (born.year, month, day) > today {
        return None;
    }
    let on_new_year = today.0 - born.year - i32::from((month, day) > (1, 1));
    let age = on_new_year.max(0);
    if age >= 90 {
        return Some("90+".to_owned());
    }
    let start = age / years * years;
    Some(format!("{start}-{}", (start + years - 1).min(89)))
}

fn coarser(text: &str, precision: Precision) -> Option<String> {
    let date = date(text)?;
    let year = format!("{:04}", date.year);
    Some(match (precision, date.month) {
        (Precision::Year, _) | (_, None) => year,
        (Precision::Quarter, Some(month)) => format!("{year}-Q{}", (month - 1) / 3 + 1),
        (Precision::Month, Some(month)) => format!("{year}-{month:02}"),
    })
}

/// Exact on the decimal digits. What has no place in 36 digits is unfit.
fn round(token: &[u8], step: i128) -> Option<String> {
    let text = std::str::from_utf8(token).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    // An exponent too long for its type is as good as the longest one.
    let end = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    let exponent = exponent.trim_start_matches('+').parse().unwrap_or(end);
    // Where the point stands, counted from the first digit that is not zero.
    let length = i64::try_from(digits.len()).ok()?;
    let point = exponent.saturating_sub(i64::try_from(fraction.len()).ok()?).saturating_add(length);
    if point > 36 {
        return None;
    }
    let whole: String = (0..usize::try_from(point).unwrap_or(0))
        .map(|at| digits.as_bytes().get(at).map_or('0', |digit| char::from(*digit)))
        .collect();
    let beyond: bool = digits.bytes().skip(whole.len()).any(|digit| digit != b'0');
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let floor = if negative { -whole - i128::from(beyond) } else { whole };
    Some((floor.div_euclid(step) * step).to_string())
}

fn network(text: &str) -> Option<String> {
    Some(match text.parse().ok()? {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Ipv4Addr::new(a, b, c, 0).to_string()
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
    })
}
