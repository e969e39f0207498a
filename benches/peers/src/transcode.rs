//! serde_json without values: what its reader sees goes straight to its writer.

use std::{cell::Cell, fmt, fmt::Display};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};

use crate::Redaction;

pub(crate) fn redact(document: &[u8], redaction: &Redaction) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    let mut reader = serde_json::Deserializer::from_slice(document);
    let mut writer = serde_json::Serializer::new(&mut out);
    Node { to: &mut writer, depth: 0, redaction }.deserialize(&mut reader).unwrap();
    reader.end().unwrap();
    out
}

/// A value that is about to be read, and where it goes.
struct Node<'a, S> {
    to: S,
    depth: usize,
    redaction: &'a Redaction,
}

impl<'de, S: Serializer> DeserializeSeed<'de> for Node<'_, S> {
    type Value = S::Ok;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Ok, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, S: Serializer> Visitor<'de> for Node<'_, S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<S::Ok, E> {
        self.to.serialize_bool(value).map_err(to_read)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<S::Ok, E> {
        self.to.serialize_i64(value).map_err(to_read)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<S::Ok, E> {
        self.to.serialize_u64(value).map_err(to_read)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<S::Ok, E> {
        self.to.serialize_f64(value).map_err(to_read)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<S::Ok, E> {
        self.to.serialize_str(value).map_err(to_read)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Ok, E> {
        self.to.serialize_unit().map_err(to_read)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<S::Ok, A::Error> {
        let mut to = self.to.serialize_seq(None).map_err(to_read)?;
        let (depth, redaction) = (self.depth + 1, self.redaction);
        while from.next_element_seed(Element { to: &mut to, depth, redaction })?.is_some() {}
        to.end().map_err(to_read)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<S::Ok, A::Error> {
        let mut to = self.to.serialize_map(None).map_err(to_read)?;
        while let Some(name) = from.next_key::<std::borrow::Cow<'de, str>>()? {
            to.serialize_key(&name).map_err(to_read)?;
            if self.redaction.hits(self.depth, &name) {
                from.next_value::<IgnoredAny>()?;
                to.serialize_value(&()).map_err(to_read)?;
            } else {
                let (depth, redaction) = (self.depth + 1, self.redaction);
                from.next_value_seed(Member { to: &mut to, depth, redaction })?;
            }
        }
        to.end().map_err(to_read)
    }
}

struct Element<'a, S> {
    to: &'a mut S,
    depth: usize,
    redaction: &'a Redaction,
}

impl<'de, S: SerializeSeq> DeserializeSeed<'de> for Element<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { to, depth, redaction } = self;
        to.serialize_element(&Bridge { from: Cell::new(Some(from)), depth, redaction })
            .map_err(to_read)
    }
}

struct Member<'a, S> {
    to: &'a mut S,
    depth: usize,
    redaction: &'a Redaction,
}

impl<'de, S: SerializeMap> DeserializeSeed<'de> for Member<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { to, depth, redaction } = self;
        to.serialize_value(&Bridge { from: Cell::new(Some(from)), depth, redaction })
            .map_err(to_read)
    }
}

/// A reader that a writer takes for a value: it is read when it is written.
struct Bridge<'a, D> {
    from: Cell<Option<D>>,
    depth: usize,
    redaction: &'a Redaction,
}

impl<'de, D: Deserializer<'de>> Serialize for Bridge<'_, D> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let from = self.from.take().unwrap();
        let node = Node { to, depth: self.depth, redaction: self.redaction };
        node.deserialize(from).map_err(to_write)
    }
}

fn to_read<E: serde::de::Error>(error: impl Display) -> E {
    E::custom(error)
}

fn to_write<E: serde::ser::Error>(error: impl Display) -> E {
    E::custom(error)
}
