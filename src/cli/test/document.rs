//! A JSON document as claims see it: duplicate names stay, numbers compare by value.
//!
//! It reads what has left with another parser than the engine's, and follows paths on its own: a
//! claim that shared the engine's code would share its mistakes.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use crate::{
    json,
    path::{Path, Segment, Selector},
    policy::Framing,
};

/// Deepest nesting of a document that is read: that of a body which the engine lets leave, with the limits that
/// tests have. So nothing here goes deeper than that, whatever an upstream of a test answers.
const DEPTH_MAX: usize = 128;

/// A node of a document, with all that is below.
pub(super) enum Document {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

impl Document {
    /// Reads a whole body. Where it holds many documents, it is an array of them, and what is no document
    /// in it is a string; so is a body without a framing as a whole.
    pub(super) fn read(body: &[u8], framing: Option<Framing>) -> Result<Self, serde_json::Error> {
        let text = String::from_utf8_lossy(body);
        let documents: Vec<String> = match framing {
            None => return Ok(Self::String(text.into_owned())),
            Some(Framing::Document) => return read_raw(serde_json::from_slice(body)?, 0),
            Some(Framing::Lines) => text.lines().map(str::to_owned).collect(),
            Some(Framing::Sequence) => text.split('\u{1e}').map(str::to_owned).collect(),
            Some(Framing::Events) => return Ok(Self::Array(events(&text))),
        };
        let documents = documents.iter().filter(|document| !document.trim().is_empty());
        documents
            .map(|json| read_raw(serde_json::from_str(json)?, 0))
            .collect::<Result<_, _>>()
            .map(Self::Array)
    }

    /// The nodes that a path selects (RFC 9535), each once, whatever the path selects it by.
    pub(super) fn select(&self, path: &Path) -> Vec<&Self> {
        let mut nodes = vec![self];
        for Segment { descendant, selectors } in path.segments() {
            let mut selected = Vec::new();
            for node in nodes {
                node.step(self, *descendant, selectors, &mut selected);
            }
            let mut seen: HashSet<*const Self> = HashSet::with_capacity(selected.len());
            selected.retain(|node| seen.insert(*node));
            nodes = selected;
        }
        nodes
    }

    fn step<'d>(
        &'d self,
        root: &Self,
        descend: bool,
        selectors: &[Selector],
        selected: &mut Vec<&'d Self>,
    ) {
        for selector in selectors {
            self.choose(root, selector, selected);
        }
        if descend {
            for child in self.children() {
                child.step(root, true, selectors, selected);
            }
        }
    }

    fn choose<'d>(&'d self, root: &Self, selector: &Selector, selected: &mut Vec<&'d Self>) {
        match (selector, self) {
            (Selector::Wildcard, _) => selected.extend(self.children()),
            (Selector::Name(wanted), Self::Object(members)) => {
                let named = members.iter().filter(|(name, _)| name == wanted);
                selected.extend(named.map(|(_, value)| value));
            }
            (Selector::Index(_) | Selector::Slice { .. }, Self::Array(elements)) => {
                selected.extend(selector.choose(elements));
            }
            (Selector::Filter(filter), _) => {
                // What the engine could not judge has not left; here it is not selected.
                let document = if filter.asks_root() { root.to_string() } else { String::new() };
                let holds = |child: &&Self| {
                    let child = child.to_string();
                    let (child, document) = (child.as_bytes(), document.as_bytes());
                    json::filter_holds(filter, child, document, DEPTH_MAX).unwrap_or(false)
                };
                selected.extend(self.children().filter(holds));
            }
            (Selector::Name(_) | Selector::Index(_) | Selector::Slice { .. }, _) => {}
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Array(elements) => Box::new(elements.iter()),
            Self::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {
                Box::new(std::iter::empty())
            }
        }
    }

    /// Whether a string or a member's name, at any depth, has `text` in it.
    pub(super) fn says(&self, text: &str) -> bool {
        match self {
            Self::String(string) => string.contains(text),
            Self::Array(elements) => elements.iter().any(|element| element.says(text)),
            Self::Object(members) => {
                members.iter().any(|(name, value)| name.contains(text) || value.says(text))
            }
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
        }
    }

    /// The text that an expression is matched with: that of a string, or the JSON of another scalar.
    pub(super) fn scalar_text(&self) -> Option<&str> {
        match self {
            Self::Null => Some("null"),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(Number(text)) | Self::String(text) => Some(text),
            Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// Order of members does not count, their number does.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::String(one), Self::String(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => {
                one.len() == other.len() && by_name(one) == by_name(other)
            }
            (
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::String(_)
                | Self::Array(_)
                | Self::Object(_),
                _,
            ) => false,
        }
    }
}

/// Members in the order of their names; those of one name keep theirs.
fn by_name(members: &[(String, Document)]) -> Vec<&(String, Document)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| name);
    members
}

impl From<&Value> for Document {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::Number(Number(number.to_string())),
            Value::String(string) => Self::String(string.clone()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(
                members.iter().map(|(name, value)| (name.clone(), value.into())).collect(),
            ),
        }
    }
}

/// JSON without white space.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => {
                f.write_str(self.scalar_text().unwrap_or_default())
            }
            Self::String(string) => write!(f, "{}", Quoted(string)),
            Self::Array(elements) => {
                let mut separator = "[";
                for element in elements {
                    write!(f, "{separator}{element}")?;
                    separator = ",";
                }
                f.write_str(if elements.is_empty() { "[]" } else { "]" })
            }
            Self::Object(members) => {
                let mut separator = "{";
                for (name, value) in members {
                    write!(f, "{separator}{}:{value}", Quoted(name))?;
                    separator = ",";
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// A text as a JSON string.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::from(self.0))
    }
}

/// A number as it is written; equal to another if their values are: `5.40`, `5.4` and `54e-1`.
pub(super) struct Number(String);

impl Number {
    /// Whether it is negative, its digits without zeros at either end, and the power of ten of the
    /// last one. None if the exponent is beyond all measure: then only the text compares.
    fn value(&self) -> Option<(bool, String, i128)> {
        let (negative, rest) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0.as_str()),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return Some((false, String::new(), 0));
        }
        let zeros = i128::try_from(digits.len() - significant.len()).ok()?;
        let places = i128::try_from(fraction.len()).ok()?;
        let power = exponent.parse::<i128>().ok()?.checked_add(zeros)?.checked_sub(places)?;
        Some((negative, significant.to_owned(), power))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.value().is_some_and(|value| other.value() == Some(value))
    }
}

/// The data of each event, as the standard reads a stream (WHATWG HTML, section 9.2.6).
fn events(stream: &str) -> Vec<Document> {
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut data: Option<String> = None;
    for line in stream.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (line, field, &mut data) {
            ("", _, data) => {
                let ended = data.take();
                events.extend(ended.map(|text| {
                    let document = serde_json::from_str(&text).and_then(|raw| read_raw(raw, 0));
                    document.unwrap_or(Document::String(text))
                }));
            }
            (_, "data", None) => data = Some(value.to_owned()),
            (_, "data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            _ => {}
        }
    }
    events
}

/// Reads a value that stands in so many containers.
fn read_raw(raw: &RawValue, depth: usize) -> Result<Document, serde_json::Error> {
    let text = raw.get();
    let inside = depth + 1;
    if inside > DEPTH_MAX && text.starts_with(['{', '[']) {
        return Err(Error::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(match text.bytes().next() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            let read = |(name, value)| Ok((name, read_raw(value, inside)?));
            let members = members.into_iter().map(read);
            Document::Object(members.collect::<Result<_, serde_json::Error>>()?)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text)?;
            let elements = elements.into_iter().map(|element| read_raw(element, inside));
            Document::Array(elements.collect::<Result<_, _>>()?)
        }
        Some(b'"') => {
            let Text(string) = serde_json::from_str(text)?;
            Document::String(string)
        }
        Some(b'n') => Document::Null,
        Some(b't' | b'f') => Document::Bool(serde_json::from_str(text)?),
        Some(_) | None => Document::Number(Number(text.to_owned())),
    })
}

/// A string; what is no Unicode text in it becomes U+FFFD.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsBytes;
        impl Visitor<'_> for AsBytes {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // As text, serde_json would refuse a surrogate without its other half.
        deserializer.deserialize_bytes(AsBytes)
    }
}

/// The members of an object, duplicates included.
struct Members<'de>(Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsList;
        impl<'de> Visitor<'de> for AsList {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(AsList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Document {
        Document::read(json.as_bytes(), Some(Framing::Document)).unwrap()
    }

    #[test]
    fn a_body_of_many_documents_is_an_array_of_them() {
        for (framing, body) in [
            (Framing::Lines, "{\"a\":1}\r\n\n \n\"DONE\"\n{}"),
            (Framing::Sequence, "\x1e{\"a\":\n1}\n\x1e\x1e\"DONE\"\n\x1e{}\n"),
            (
                Framing::Events,
                ":\n\nevent: x\r\ndata: {\"a\":\rdata:1}\r\n\r\ndata: DONE\n\ndata: {}\n\ndata: 1",
            ),
        ] {
            let document = Document::read(body.as_bytes(), Some(framing)).unwrap();
            assert_eq!(document.to_string(), r#"[{"a":1},"DONE",{}]"#, "{framing:?}");
        }
        let document = Document::read(b"a;b", None).unwrap();
        assert_eq!(document.to_string(), r#""a;b""#);
    }

    #[test]
    fn a_document_is_as_deep_as_a_body_may_be() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let read = |levels| Document::read(deep(levels).as_bytes(), Some(Framing::Document));
        assert_eq!(read(128).unwrap().to_string(), deep(128));
        for levels in [129, 100_000] {
            let Err(error) = read(levels) else { panic!("{levels} levels are read") };
            assert!(error.to_string().contains("nested deeper than 128 levels"), "{error}");
        }
    }

    fn check(path: &str, json: &str, selected: &[&str]) {
        let document = read(json);
        let nodes = document.select(&Path::parse(path).unwrap());
        let nodes: Vec<String> = nodes.into_iter().map(ToString::to_string).collect();
        assert_eq!(nodes, selected, "{path} in {json}");
    }

    #[test]
    fn paths_select_as_the_standard_says() {
        let json = r#"{"a":[0,1,2,3,4,5],"b":{"a":"x","c":[{"a":null}]}}"#;
        check("$", "7", &["7"]);
        check("$.a[1]", json, &["1"]);
        check("$.a[6]", json, &[]);
        check("$.a[1:5:2]", json, &["1", "3"]);
        check("$.a[4:]", json, &["4", "5"]);
        check("$.a[1:5:0]", json, &[]);
        check("$.a[2, 1]", json, &["2", "1"]);
        check("$.b[*]", json, &["\"x\"", "[{\"a\":null}]"]);
        check("$..a", json, &["[0,1,2,3,4,5]", "\"x\"", "null"]);
        check("$..a[0]", json, &["0"]);
        check("$.a.a", json, &[]);
        check("$.b[0]", json, &[]);
        check("$[*]..*", r#"{"a":{"b":[1]}}"#, &["[1]", "1"]);
        check("$.l[?@.k == $.k].v", r#"{"l":[{"k":1,"v":2},{"k":2,"v":3}],"k":2}"#, &["3"]);
        check("$.l[?@.k == $.k]", r#"{"l":[{"k":1}],"k":1,"k":1}"#, &[]);
    }

    #[test]
    fn a_node_that_is_selected_twice_is_one_node() {
        check("$['a', 'a']", r#"{"a":1}"#, &["1"]);
        check("$..*..*", r#"{"a":{"b":{"c":1}}}"#, &["{\"c\":1}", "1"]);
    }

    #[test]
    fn every_duplicate_is_a_node() {
        check("$.a", r#"{"a":1,"\u0061":2}"#, &["1", "2"]);
        assert!(read(r#"{"a":"Anna","a":1}"#).says("Anna"));
        assert!(read(r#"{"a":1,"a":2}"#) != read(r#"{"a":1,"b":2}"#));
        assert!(read(r#"{"a":1,"b":2}"#) != read(r#"{"a":1,"a":2}"#));
    }

    #[test]
    fn strings_are_decoded_and_may_be_no_text() {
        assert!(read(r#"["\u0041nna"]"#).says("Anna"));
        assert!(read(r#"{"\u0041nna":1}"#).says("Anna"));
        assert!(read(r#"{"\ud800":"\ud800Anna"}"#).says("Anna"));
    }

    #[test]
    fn numbers_compare_by_value() {
        let equal = |one: &str, other: &str| read(one) == read(other);
        for (one, other) in [
            ("5.40", "5.4"),
            ("54e-1", "5.4"),
            ("0.54E+1", "5.4"),
            ("100", "1e2"),
            ("-0", "0.00e7"),
            ("0.1", "1e-1"),
            ("12345678901234567890123", "1.2345678901234567890123e22"),
            ("1e99999999999999999999", "10e99999999999999999998"),
        ] {
            assert!(equal(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "-1"),
            ("1", "10"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.10000000000000000001"),
            ("1e400", "1e401"),
            ("1", "\"1\""),
        ] {
            assert!(!equal(one, other), "{one} {other}");
        }
    }

    #[test]
    fn order_of_members_does_not_count() {
        assert!(read(r#"{"a":1.0,"b":[1,2]}"#) == read(r#"{"b":[1,2],"a":1}"#));
        assert!(read("[1,2]") != read("[2,1]"));
        let written: Value = serde_json::from_str(r#"{"b":[5.40],"a":"x"}"#).unwrap();
        assert!(Document::from(&written) == read(r#"{"a":"x","b":[54e-1]}"#));
    }
}
