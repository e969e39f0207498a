//! Comparisons of filters (RFC 9535, section 2.3.5.2.2).

use std::{borrow::Cow, cmp::Ordering};

use crate::{
    json::filter::{
        evaluation::Inquiry,
        outline::{Outline, Outlined, Unclear},
        value::{Spot, count_children, members, text},
    },
    path::{Comparison, Literal, Number},
};

/// What a value is.
enum Kind {
    Null,
    Bool(bool),
    Number,
    String,
    Array,
    Object,
}

fn kind(text: &[u8]) -> Kind {
    match text {
        b"null" => Kind::Null,
        b"true" => Kind::Bool(true),
        b"false" => Kind::Bool(false),
        [b'{', ..] => Kind::Object,
        [b'[', ..] => Kind::Array,
        [b'"', ..] => Kind::String,
        _ => Kind::Number,
    }
}
/// What is compared.
pub(crate) enum Value<'e, 'b> {
    Nothing,
    Literal(&'e Literal),
    Number(Number),
    Node(Spot<'b>),
}

/// A value as far as it is a scalar.
enum Scalar<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
}
/// Section 2.3.5.2.2.
pub(crate) fn compare(
    left: &Value<'_, '_>,
    comparison: Comparison,
    right: &Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<bool, Unclear> {
    let less = |one: &Value<'_, '_>, other: &Value<'_, '_>, inquiry: &mut Inquiry| {
        match (one, other) {
            (Value::Nothing, _) | (_, Value::Nothing) => return Ok(false),
            // None is less, and nobody can say so of what nobody can judge.
            (Value::Node(one), Value::Node(other))
                if one.is_container() && other.is_container() =>
            {
                return same(*one, *other, inquiry).map(|_equal| false);
            }
            _ => {}
        }
        Ok(match (scalar(one, inquiry)?, scalar(other, inquiry)?) {
            (Some(Scalar::Number(one)), Some(Scalar::Number(other))) => one < other,
            // Strings order by their Unicode scalars, as their UTF-8 does.
            (Some(Scalar::String(one)), Some(Scalar::String(other))) => {
                one.cmp(&other) == Ordering::Less
            }
            _ => false,
        })
    };
    match comparison {
        Comparison::Equal => equal(left, right, inquiry),
        Comparison::NotEqual => Ok(!equal(left, right, inquiry)?),
        Comparison::Less => less(left, right, inquiry),
        Comparison::Greater => less(right, left, inquiry),
        Comparison::LessOrEqual => Ok(less(left, right, inquiry)? || equal(left, right, inquiry)?),
        Comparison::GreaterOrEqual => {
            Ok(less(right, left, inquiry)? || equal(left, right, inquiry)?)
        }
    }
}

fn equal(
    left: &Value<'_, '_>,
    right: &Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<bool, Unclear> {
    match (left, right) {
        (Value::Nothing, Value::Nothing) => Ok(true),
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(false),
        (Value::Node(left), Value::Node(right)) => same(*left, *right, inquiry),
        (left, right) => Ok(match (scalar(left, inquiry)?, scalar(right, inquiry)?) {
            (Some(left), Some(right)) => same_scalar(&left, &right),
            (None, _) | (_, None) => false,
        }),
    }
}

/// Whether a scalar as it is written, empty brackets for a container, or nothing, compares with a literal
/// like this; `swapped` if the literal comes first.
pub(crate) fn compares(
    written: Option<&[u8]>,
    comparison: Comparison,
    literal: &Literal,
    swapped: bool,
) -> Result<bool, Unclear> {
    let bytes = written.map_or(0, <[u8]>::len);
    let mut inquiry = Inquiry::new(bytes, usize::MAX);
    let outline = Outline::of(written.unwrap_or_default(), 1)?;
    let value = match written {
        Some(written) => Value::Node(Spot::root(Outlined::new(written, 0, &outline))?),
        None => Value::Nothing,
    };
    let literal = Value::Literal(literal);
    if swapped {
        compare(&literal, comparison, &value, &mut inquiry)
    } else {
        compare(&value, comparison, &literal, &mut inquiry)
    }
}

fn scalar<'t>(
    value: &'t Value<'_, '_>,
    inquiry: &mut Inquiry,
) -> Result<Option<Scalar<'t>>, Unclear> {
    match value {
        Value::Nothing => Ok(None),
        Value::Number(number) => Ok(Some(Scalar::Number(number.clone()))),
        Value::Literal(literal) => Ok(Some(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(bool) => Scalar::Bool(*bool),
            Literal::Number(number) => Scalar::Number(number.clone()),
            Literal::String(string) => Scalar::String(Cow::Borrowed(string)),
        })),
        Value::Node(spot) => scalar_at(*spot, inquiry),
    }
}

fn scalar_at<'b>(spot: Spot<'b>, inquiry: &mut Inquiry) -> Result<Option<Scalar<'b>>, Unclear> {
    if spot.is_container() {
        return Ok(None);
    }
    let written = spot.text();
    inquiry.spend(written.len() as u64)?;
    Ok(match kind(written) {
        Kind::Null => Some(Scalar::Null),
        Kind::Bool(bool) => Some(Scalar::Bool(bool)),
        Kind::Number => {
            let number = str::from_utf8(written).ok().and_then(Number::read);
            Some(Scalar::Number(number.ok_or(Unclear)?))
        }
        Kind::String => Some(Scalar::String(text(written)?)),
        Kind::Array | Kind::Object => None,
    })
}

fn same_scalar(one: &Scalar<'_>, other: &Scalar<'_>) -> bool {
    match (one, other) {
        (Scalar::Null, Scalar::Null) => true,
        (Scalar::Bool(one), Scalar::Bool(other)) => one == other,
        (Scalar::Number(one), Scalar::Number(other)) => one == other,
        (Scalar::String(one), Scalar::String(other)) => one == other,
        (Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) | Scalar::String(_), _) => false,
    }
}

/// Pairs of children that have to be equal.
type Pairs<'b> = Box<dyn Iterator<Item = Result<(Spot<'b>, Spot<'b>), Unclear>> + 'b>;

/// Whether two nodes are equal, with all that is below them. All pairs are looked at, whatever the first
/// ones say: what nobody can say of one of them nobody can say of the whole.
fn same<'b>(one: Spot<'b>, other: Spot<'b>, inquiry: &mut Inquiry) -> Result<bool, Unclear> {
    let mut same = true;
    // The containers around the next pair, no more than an outline nests.
    let mut around: Vec<Pairs<'b>> = vec![Box::new(std::iter::once(Ok((one, other))))];
    while let Some(pairs) = around.last_mut() {
        let Some(pair) = pairs.next() else {
            around.pop();
            continue;
        };
        let (one, other) = pair?;
        inquiry.spend(1)?;
        if one.is_container() && other.is_container() {
            match pairs_of(one, other, inquiry)? {
                Some(below) => around.push(below),
                None => same = false,
            }
            continue;
        }
        same &= match (scalar_at(one, inquiry)?, scalar_at(other, inquiry)?) {
            (Some(one), Some(other)) => same_scalar(&one, &other),
            (None, _) | (_, None) => false,
        };
    }
    Ok(same)
}

/// The pairs of children of two containers; none if they cannot be equal.
fn pairs_of<'b>(
    one: Spot<'b>,
    other: Spot<'b>,
    inquiry: &mut Inquiry,
) -> Result<Option<Pairs<'b>>, Unclear> {
    let at = move |node, with| (one.at(node), other.at(with));
    match (one.is_object(), other.is_object()) {
        (true, true) => {
            let (ones, others) = (members(one, inquiry)?, members(other, inquiry)?);
            if !ones.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name)) {
                return Ok(None);
            }
            let pairs = ones.into_iter().zip(others);
            Ok(Some(Box::new(pairs.map(move |(one, other)| Ok(at(one.1, other.1))))))
        }
        (false, false) => {
            if count_children(one, inquiry)? != count_children(other, inquiry)? {
                return Ok(None);
            }
            let pairs = one.children().zip(other.children());
            Ok(Some(Box::new(pairs.map(move |(one, other)| {
                let ((_, one, _), (_, other, _)) = (one?.parts(), other?.parts());
                Ok(at(one, other))
            }))))
        }
        (true, false) | (false, true) => Ok(None),
    }
}
