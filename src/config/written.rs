//! Settings as they are written: a tree that knows of each value whether a line of the file or a
//! variable of the environment says it.
//!
//! What a scalar means is left to whoever asks for it, so that `128` in a file and in a variable go the
//! same way, and a message shows it as it is written: the reader of YAML makes 10.0 of `010`.

use std::{
    fmt::{self, Display},
    ops::Range,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, SnippetMode, Spanned, UserMessageFormatter};

use crate::config::{At, Problem, environment::meant};

/// How the name of a variable of the environment begins that is a setting.
pub const PREFIX: &str = "TAMIS__";

/// What stands between the parts of such a name.
pub(super) const SEPARATOR: &str = "__";

/// A value, and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing, as behind `limits:` when all lines below are comments.
    Nothing,
    /// One value, not yet interpreted, as it is written.
    Scalar(String),
    /// One value that the reader of YAML has interpreted, until [`Node::read`] finds out how it is written:
    /// what it came to, and where it stands in the file, in bytes.
    Interpreted(String, Range<usize>),
    /// Values in a row.
    List(Vec<Node>),
    /// Values with names, no name twice.
    Map(Vec<Member>),
}

/// One line of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where the name is written.
    pub(super) at: At,
    pub(super) node: Node,
}

impl Node {
    /// What an empty file says.
    pub(super) fn nothing() -> Self {
        Self { at: At::Nowhere, kind: Kind::Nothing }
    }

    /// Reads YAML strictly: one document, no key twice, no merge keys.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let options = serde_saphyr::options! {
            emit_comments: false,
            merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
            strict_booleans: true,
            // A snippet would show the lines around an error, and digests of keys stand in lines.
            with_snippet: false,
        };
        let read = serde_saphyr::from_str_with_options(text, options);
        read.map(|node: Self| node.spelled(text)).map_err(|error| {
            let at = error.location().map_or(At::Nowhere, At::from);
            let what = error.render_with_options(serde_saphyr::render_options! {
                formatter: &UserMessageFormatter,
                snippets: SnippetMode::Off,
            });
            // The place is said once, at the head of the line.
            let what = what.split(" at line ").next().unwrap_or_default().to_owned();
            Problem { at, what, help: None }
        })
    }

    /// The same tree, with each value as the text of the file spells it.
    fn spelled(mut self, text: &str) -> Self {
        let mut left = vec![&mut self];
        while let Some(Self { kind, .. }) = left.pop() {
            if let Kind::Interpreted(value, span) = kind {
                let written = text.get(span.clone()).map(str::trim);
                // A tag or quotes, as in `!!int "10"`, are no part of a value.
                let is_bare = |text: &&str| {
                    !text.is_empty() && !text.contains(['"', '\'', '!', '&', '*', '|', '>', '\n'])
                };
                let written = written.filter(is_bare).unwrap_or(value).to_owned();
                *kind = Kind::Scalar(written);
                continue;
            }
            match kind {
                Kind::List(items) => left.extend(items),
                Kind::Map(members) => {
                    left.extend(members.iter_mut().map(|member| &mut member.node));
                }
                Kind::Nothing | Kind::Scalar(_) | Kind::Interpreted(..) => {}
            }
        }
        self
    }

    /// Lays the variables that begin with `TAMIS__` over the tree: each part of a name goes one level
    /// down.
    pub(super) fn lay_over(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) {
        let environment = environment.into_iter();
        let mut ours: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        // An environment has no order. The members of a list come in theirs, and of a section and its
        // part the part has the last word.
        ours.sort_by_cached_key(|(name, _)| {
            let parts = name.split(SEPARATOR);
            parts.map(|part| (part.parse::<usize>().ok(), part.to_owned())).collect::<Vec<_>>()
        });
        for (variable, value) in ours {
            let at = At::Variable(variable.clone());
            let path = variable.strip_prefix(PREFIX).unwrap_or_default();
            let node =
                path.split(SEPARATOR).try_fold(&mut *self, |node, part| node.below(part, &at));
            match node {
                Ok(node) => *node = Self { at, kind: Kind::Scalar(value) },
                Err(what) => {
                    let help = meant(&variable).map(|meant| format!("did you mean `{meant}`?"));
                    problems.push(Problem { at, what, help });
                }
            }
        }
    }

    /// What stands one level down under a part of a variable's name; it is made if there is none.
    fn below(&mut self, part: &str, at: &At) -> Result<&mut Self, String> {
        let index = part.parse::<usize>().ok();
        if matches!(self.kind, Kind::Nothing | Kind::Scalar(_) | Kind::Interpreted(..)) {
            let kind = if index.is_some() { Kind::List(Vec::new()) } else { Kind::Map(Vec::new()) };
            *self = Self { at: at.clone(), kind };
        }
        let new = Self { at: at.clone(), kind: Kind::Nothing };
        match &mut self.kind {
            Kind::Map(members) => {
                if part.is_empty() {
                    return Err("the name of the variable has an empty part".to_owned());
                }
                let mut alike =
                    (0..).zip(&*members).filter(|(_, one)| shouted(&one.name) == shouted(part));
                let at_index = match (alike.next(), alike.next()) {
                    (None, _) => {
                        members.push(Member {
                            name: part.to_ascii_lowercase(),
                            at: at.clone(),
                            node: new,
                        });
                        members.len() - 1
                    }
                    (Some((index, _)), None) => index,
                    (Some((_, one)), Some((_, other))) => {
                        return Err(format!(
                            "`{}` and `{}` can both be meant",
                            one.name, other.name
                        ));
                    }
                };
                members.get_mut(at_index).map(|member| &mut member.node)
            }
            Kind::List(items) => {
                if index == Some(items.len()) {
                    items.push(new);
                }
                index.and_then(|index| items.get_mut(index))
            }
            Kind::Nothing | Kind::Scalar(_) | Kind::Interpreted(..) => None,
        }
        .ok_or_else(|| {
            format!("`{part}` is not the number of a list that begins with 0 and has no gaps")
        })
    }
}

/// A name as a variable of the environment spells it: `support-desk` is `SUPPORT_DESK`.
pub(super) fn shouted(name: &str) -> String {
    name.to_uppercase().replace(|c: char| !c.is_alphanumeric(), "_")
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        if location == Location::UNKNOWN {
            return Self::Nowhere;
        }
        Self::Line { line: location.line(), column: location.column() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: mut kind, referenced, defined } = Spanned::deserialize(deserializer)?;
        if let Kind::Interpreted(_, place) = &mut kind {
            let span = defined.span();
            let [start, bytes] =
                [span.byte_offset(), span.byte_len()].map(Option::unwrap_or_default);
            let [start, bytes] = [start, bytes].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            *place = start..start.saturating_add(bytes);
        }
        Ok(Self { at: referenced.into(), kind })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// A scalar that is no string; where it stands is found out by who knows.
fn interpreted(value: impl Display) -> Kind {
    Kind::Interpreted(value.to_string(), 0..0)
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(interpreted(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(interpreted(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        Ok(interpreted(value))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Kind, E> {
        Ok(interpreted(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Kind, E> {
        Ok(interpreted(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        // With its point: `128.0` is not a whole number.
        Ok(interpreted(format_args!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element()? {
            list.push(node);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut members = Vec::new();
        while let Some(Spanned { value: name, referenced, .. }) = entries.next_key()? {
            members.push(Member { name, at: referenced.into(), node: entries.next_value()? });
        }
        Ok(Kind::Map(members))
    }
}
