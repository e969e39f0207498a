//! A document in memory: names and scalars keep the bytes they were written with, members their order.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::sieve::Step;
use super::transform::quote;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// The token as written.
    Scalar(Vec<u8>),
    Array(Vec<Self>),
    Object(Vec<(Name, Self)>),
    /// Only of what leaves: a string in whose document something was removed or changed. It is written with no more
    /// escapes than JSON needs.
    Document(Box<Self>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    /// As written, with its quotes.
    pub(crate) raw: Vec<u8>,
    /// After unescaping; a lone surrogate is replaced, and so spelled by no path.
    pub(crate) text: String,
}

impl Name {
    pub(crate) fn new(raw: &[u8]) -> Self {
        let text =
            decode(raw).unwrap_or_else(|| format!("\u{fffd}{}", String::from_utf8_lossy(raw)));
        Self { raw: raw.to_vec(), text }
    }
}

/// The text of a string token; none if it is no string, or holds a lone surrogate.
pub(crate) fn decode(token: &[u8]) -> Option<String> {
    serde_json::from_slice(token).ok()
}

impl Node {
    /// Reads a valid document.
    pub(crate) fn parse(json: &[u8]) -> Self {
        Self::from_raw(serde_json::from_slice::<&RawValue>(json).unwrap().get())
    }

    /// Reads what may be a document.
    pub(crate) fn of(text: &str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).is_ok().then(|| Self::parse(text.as_bytes()))
    }

    fn from_raw(raw: &str) -> Self {
        match raw.bytes().next() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(raw).unwrap();
                let member = |(name, value): (Box<RawValue>, Box<RawValue>)| {
                    (Name::new(name.get().as_bytes()), Self::from_raw(value.get()))
                };
                Self::Object(members.into_iter().map(member).collect())
            }
            Some(b'[') => {
                let elements: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap();
                Self::Array(elements.iter().map(|element| Self::from_raw(element.get())).collect())
            }
            _ => Self::Scalar(raw.as_bytes().to_vec()),
        }
    }

    /// The token of a scalar.
    pub(crate) fn token(&self) -> &[u8] {
        match self {
            Self::Scalar(token) => token,
            Self::Array(_) | Self::Object(_) | Self::Document(_) => {
                panic!("a container is no token")
            }
        }
    }

    pub(crate) fn null() -> Self {
        Self::Scalar(b"null".to_vec())
    }

    /// The node at a location that there is.
    pub(crate) fn get(&self, location: &[Step]) -> &Self {
        location.iter().fold(self, |node, step| match (node, step) {
            (Self::Array(elements), Step::Element(index)) => &elements[*index],
            (Self::Object(members), Step::Member(text)) => {
                &members.iter().find(|(name, _)| name.text == *text).unwrap().1
            }
            (node, step) => panic!("no {step:?} in {node:?}"),
        })
    }

    /// The same, to be replaced.
    pub(crate) fn at(&mut self, location: &[Step]) -> &mut Self {
        location.iter().fold(self, |node, step| match (node, step) {
            (Self::Array(elements), Step::Element(index)) => &mut elements[*index],
            (Self::Object(members), Step::Member(text)) => {
                &mut members.iter_mut().find(|(name, _)| name.text == *text).unwrap().1
            }
            (node, step) => panic!("no {step:?} in {node:?}"),
        })
    }

    /// The same document for an evaluator of paths. What it cannot hold is null there.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            // In containers it compares numbers by their digits, and these are the same.
            Self::Scalar(raw) if raw == b"-0" => Value::from(0),
            Self::Scalar(raw) => serde_json::from_slice(raw).unwrap_or(Value::Null),
            Self::Document(_) => panic!("what leaves is not asked about"),
            Self::Array(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                let object: serde_json::Map<String, Value> = members
                    .iter()
                    .map(|(name, value)| (name.text.clone(), value.to_value()))
                    .collect();
                assert_eq!(object.len(), members.len(), "the oracle knows no duplicate names");
                Value::Object(object)
            }
        }
    }

    /// The document in one line.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let parts: Vec<Vec<u8>>;
        let (open, close) = match self {
            Self::Scalar(raw) => return raw.clone(),
            Self::Document(root) => return quote(str::from_utf8(&root.to_json()).unwrap()),
            Self::Array(elements) => {
                parts = elements.iter().map(Self::to_json).collect();
                (b'[', b']')
            }
            Self::Object(members) => {
                let member = |(name, value): &(Name, Self)| {
                    [name.raw.as_slice(), b":", &value.to_json()].concat()
                };
                parts = members.iter().map(member).collect();
                (b'{', b'}')
            }
        };
        [&[open], parts.join(&b',').as_slice(), &[close]].concat()
    }

    /// Whether this is what left: names and scalars byte for byte, in their order.
    pub(crate) fn left_as(&self, left: &Self) -> bool {
        match (self, left) {
            (Self::Scalar(one), Self::Scalar(other)) => one == other,
            (Self::Array(all), Self::Array(others)) => {
                all.len() == others.len()
                    && all.iter().zip(others).all(|(one, other)| one.left_as(other))
            }
            (Self::Object(all), Self::Object(others)) => {
                all.len() == others.len()
                    && all.iter().zip(others).all(|((name, one), (other_name, other))| {
                        name.raw == other_name.raw && one.left_as(other)
                    })
            }
            (Self::Document(root), Self::Scalar(token)) => decode(token)
                .filter(|text| quote(text) == *token)
                .and_then(|text| Self::of(&text))
                .is_some_and(|left| root.left_as(&left)),
            (Self::Scalar(_) | Self::Array(_) | Self::Object(_) | Self::Document(_), _) => false,
        }
    }

    /// What [`leaves`] says of this document.
    pub(crate) fn leaves(&self) -> Vec<(String, Vec<u8>)> {
        let mut leaves = Vec::new();
        self.collect("$", &mut leaves);
        leaves
    }

    fn collect(&self, location: &str, leaves: &mut Vec<(String, Vec<u8>)>) {
        match self {
            Self::Scalar(raw) => leaves.push((location.to_owned(), raw.clone())),
            Self::Document(_) => leaves.push((location.to_owned(), self.to_json())),
            Self::Array(elements) => {
                if elements.is_empty() {
                    leaves.push((location.to_owned(), b"[]".to_vec()));
                }
                for (index, element) in elements.iter().enumerate() {
                    element.collect(&format!("{location}[{index}]"), leaves);
                }
            }
            Self::Object(members) => {
                if members.is_empty() {
                    leaves.push((location.to_owned(), b"{}".to_vec()));
                }
                for (index, (name, value)) in members.iter().enumerate() {
                    let written = String::from_utf8_lossy(&name.raw);
                    let earlier = members.iter().take(index);
                    let again = match earlier.filter(|(other, _)| other.text == name.text).count() {
                        0 => String::new(),
                        times => format!("#{}", times + 1),
                    };
                    value.collect(&format!("{location}[{written}]{again}"), leaves);
                }
            }
        }
    }
}

/// Every scalar and every empty container of a valid document, in document order: where it is, and its bytes.
/// A location is a normalised path whose names stand as they are written in the document, quotes and escapes too,
/// because a kept name is promised to be the same bytes; the second of two equal names is marked `#2`.
pub(crate) fn leaves(json: &[u8]) -> Vec<(String, Vec<u8>)> {
    Node::parse(json).leaves()
}

struct Members(Vec<(Box<RawValue>, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
