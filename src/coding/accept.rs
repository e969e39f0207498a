//! What a client accepts (RFC 9110, section 12.5.3).

use crate::coding::Coding;

/// What bodies are packed in, the one that is taken first where a client likes several as much.
pub const OFFERED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// Weights count in thousandths (RFC 9110, section 12.4.2).
const WEIGHT_MAX: u16 = 1000;

/// The coding for a client with these values of `Accept-Encoding`: the one of those offered that it
/// likes best, none if it likes none, or likes to have none more. What is not understood is not
/// accepted.
///
/// ```
/// use tamis::coding::{Coding, accepted};
///
/// assert_eq!(accepted(["gzip, br;q=0.5"]), Coding::Gzip);
/// assert_eq!(accepted(["gzip;q=0", "*;q=0.1"]), Coding::Zstd);
/// assert_eq!(accepted(["compress", "identity"]), Coding::Identity);
/// ```
pub fn accepted<'v>(values: impl IntoIterator<Item = &'v str>) -> Coding {
    let mut stated = Vec::new();
    let mut others = None;
    for member in values.into_iter().flat_map(|value| value.split(',')) {
        let Some((name, weight)) = weighted(member) else { continue };
        if name == "*" {
            others = Some(weight);
        } else if let Some(coding) = Coding::named(name) {
            stated.push((coding, weight));
        }
    }
    let stated = |coding| stated.iter().find(|(named, _)| *named == coding).map(|(_, w)| *w);
    // Not to pack is always possible; it is preferred only by a client that says so.
    let plain = stated(Coding::Identity).unwrap_or(0);
    let mut best = (Coding::Identity, plain);
    for coding in OFFERED {
        let weight = stated(coding).or(others).unwrap_or(0);
        if weight > best.1 || (weight == best.1 && weight > 0 && best.0 == Coding::Identity) {
            best = (coding, weight);
        }
    }
    best.0
}

/// A member of the list, and its weight. `None` if the weight is none.
fn weighted(member: &str) -> Option<(&str, u16)> {
    let (name, parameter) = match member.split_once(';') {
        Some((name, parameter)) => (name, Some(parameter)),
        None => (member, None),
    };
    let weight = match parameter {
        None => WEIGHT_MAX,
        Some(parameter) => {
            let (q, weight) = parameter.split_once('=')?;
            if !q.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            thousandths(weight.trim())?
        }
    };
    Some((name.trim(), weight))
}

/// `0`, `1`, or one of them with up to three digits behind a point, not above 1.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 || !part.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let weight: u16 = format!("{whole}{part:0<3}").parse().ok()?;
    Some(weight).filter(|weight| *weight <= WEIGHT_MAX)
}
