//! Comparisons of filters (RFC 9535, section 2.3.5.2.2).

use std::{borrow::Cow, cmp::Ordering};

use crate::{
    json::filter::{
        evaluation::Evaluation,
        outline::{Indeterminate, Outline, Outlined},
        value::{ValueRef, count_children, members, text},
    },
    path::{Comparison, Literal, Number},
};

/// What a value is.
enum ValueKind {
    Null,
    Bool(bool),
    Number,
    String,
    Array,
    Object,
}

fn kind(text: &[u8]) -> ValueKind {
    match text {
        b"null" => ValueKind::Null,
        b"true" => ValueKind::Bool(true),
        b"false" => ValueKind::Bool(false),
        [b'{', ..] => ValueKind::Object,
        [b'[', ..] => ValueKind::Array,
        [b'"', ..] => ValueKind::String,
        _ => ValueKind::Number,
    }
}
/// What is compared.
pub(crate) enum Comparand<'e, 'b> {
    Nothing,
    Literal(&'e Literal),
    Number(Number),
    Node(ValueRef<'b>),
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
    left: &Comparand<'_, '_>,
    comparison: Comparison,
    right: &Comparand<'_, '_>,
    evaluation: &mut Evaluation,
) -> Result<bool, Indeterminate> {
    let less = |one: &Comparand<'_, '_>, other: &Comparand<'_, '_>, evaluation: &mut Evaluation| {
        match (one, other) {
            (Comparand::Nothing, _) | (_, Comparand::Nothing) => return Ok(false),
            // None is less, and nobody can say so of what nobody can evaluator.
            (Comparand::Node(one), Comparand::Node(other))
                if one.is_container() && other.is_container() =>
            {
                return same(*one, *other, evaluation).map(|_equal| false);
            }
            _ => {}
        }
        Ok(match (scalar(one, evaluation)?, scalar(other, evaluation)?) {
            (Some(Scalar::Number(one)), Some(Scalar::Number(other))) => one < other,
            // Strings order by their Unicode scalars, as their UTF-8 does.
            (Some(Scalar::String(one)), Some(Scalar::String(other))) => {
                one.cmp(&other) == Ordering::Less
            }
            _ => false,
        })
    };
    match comparison {
        Comparison::Equal => equal(left, right, evaluation),
        Comparison::NotEqual => Ok(!equal(left, right, evaluation)?),
        Comparison::Less => less(left, right, evaluation),
        Comparison::Greater => less(right, left, evaluation),
        Comparison::LessOrEqual => {
            Ok(less(left, right, evaluation)? || equal(left, right, evaluation)?)
        }
        Comparison::GreaterOrEqual => {
            Ok(less(right, left, evaluation)? || equal(left, right, evaluation)?)
        }
    }
}

fn equal(
    left: &Comparand<'_, '_>,
    right: &Comparand<'_, '_>,
    evaluation: &mut Evaluation,
) -> Result<bool, Indeterminate> {
    match (left, right) {
        (Comparand::Nothing, Comparand::Nothing) => Ok(true),
        (Comparand::Nothing, _) | (_, Comparand::Nothing) => Ok(false),
        (Comparand::Node(left), Comparand::Node(right)) => same(*left, *right, evaluation),
        (left, right) => Ok(match (scalar(left, evaluation)?, scalar(right, evaluation)?) {
            (Some(left), Some(right)) => same_scalar(&left, &right),
            (None, _) | (_, None) => false,
        }),
    }
}

/// Whether a scalar as it is written, empty brackets for a container, or nothing, compares with a
/// literal like this; `swapped` if the literal comes first.
pub(crate) fn compares(
    written: Option<&[u8]>,
    comparison: Comparison,
    literal: &Literal,
    swapped: bool,
) -> Result<bool, Indeterminate> {
    let bytes = written.map_or(0, <[u8]>::len);
    let mut evaluation = Evaluation::new(bytes, usize::MAX);
    let outline = Outline::of(written.unwrap_or_default(), 1)?;
    let value = match written {
        Some(written) => Comparand::Node(ValueRef::root(Outlined::new(written, 0, &outline))?),
        None => Comparand::Nothing,
    };
    let literal = Comparand::Literal(literal);
    if swapped {
        compare(&literal, comparison, &value, &mut evaluation)
    } else {
        compare(&value, comparison, &literal, &mut evaluation)
    }
}

fn scalar<'t>(
    value: &'t Comparand<'_, '_>,
    evaluation: &mut Evaluation,
) -> Result<Option<Scalar<'t>>, Indeterminate> {
    match value {
        Comparand::Nothing => Ok(None),
        Comparand::Number(number) => Ok(Some(Scalar::Number(number.clone()))),
        Comparand::Literal(literal) => Ok(Some(match literal {
            Literal::Null => Scalar::Null,
            Literal::Bool(bool) => Scalar::Bool(*bool),
            Literal::Number(number) => Scalar::Number(number.clone()),
            Literal::String(string) => Scalar::String(Cow::Borrowed(string)),
        })),
        Comparand::Node(value_ref) => scalar_at(*value_ref, evaluation),
    }
}

fn scalar_at<'b>(
    value_ref: ValueRef<'b>,
    evaluation: &mut Evaluation,
) -> Result<Option<Scalar<'b>>, Indeterminate> {
    if value_ref.is_container() {
        return Ok(None);
    }
    let written = value_ref.text();
    evaluation.spend(written.len() as u64)?;
    Ok(match kind(written) {
        ValueKind::Null => Some(Scalar::Null),
        ValueKind::Bool(bool) => Some(Scalar::Bool(bool)),
        ValueKind::Number => {
            let number = str::from_utf8(written).ok().and_then(Number::read);
            Some(Scalar::Number(number.ok_or(Indeterminate)?))
        }
        ValueKind::String => Some(Scalar::String(text(written)?)),
        ValueKind::Array | ValueKind::Object => None,
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
type Pairs<'b> = Box<dyn Iterator<Item = Result<(ValueRef<'b>, ValueRef<'b>), Indeterminate>> + 'b>;

/// Whether two nodes are equal, with all that is below them. All pairs are looked at, whatever the
/// first ones say: what nobody can say of one of them nobody can say of the whole.
fn same<'b>(
    one: ValueRef<'b>,
    other: ValueRef<'b>,
    evaluation: &mut Evaluation,
) -> Result<bool, Indeterminate> {
    let mut same = true;
    // The containers around the next pair, no more than an outline nests.
    let mut around: Vec<Pairs<'b>> = vec![Box::new(std::iter::once(Ok((one, other))))];
    while let Some(pairs) = around.last_mut() {
        let Some(pair) = pairs.next() else {
            around.pop();
            continue;
        };
        let (one, other) = pair?;
        evaluation.spend(1)?;
        if one.is_container() && other.is_container() {
            match pairs_of(one, other, evaluation)? {
                Some(below) => around.push(below),
                None => same = false,
            }
            continue;
        }
        same &= match (scalar_at(one, evaluation)?, scalar_at(other, evaluation)?) {
            (Some(one), Some(other)) => same_scalar(&one, &other),
            (None, _) | (_, None) => false,
        };
    }
    Ok(same)
}

/// The pairs of children of two containers; none if they cannot be equal.
fn pairs_of<'b>(
    one: ValueRef<'b>,
    other: ValueRef<'b>,
    evaluation: &mut Evaluation,
) -> Result<Option<Pairs<'b>>, Indeterminate> {
    let at = move |node, with| (one.at(node), other.at(with));
    match (one.is_object(), other.is_object()) {
        (true, true) => {
            let (ones, others) = (members(one, evaluation)?, members(other, evaluation)?);
            if !ones.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name)) {
                return Ok(None);
            }
            let pairs = ones.into_iter().zip(others);
            Ok(Some(Box::new(pairs.map(move |(one, other)| Ok(at(one.1, other.1))))))
        }
        (false, false) => {
            if count_children(one, evaluation)? != count_children(other, evaluation)? {
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
