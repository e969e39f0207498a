//! The documents of tests: JSON built out of YAML, so that a number keeps its bytes.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value, value::RawValue};

use crate::{
    policy::reader::{Reader, other_reading},
    source::{
        Finding,
        yaml::{Kind, Node},
    },
};

/// Gives the text of a file that a test names as a fixture, by its path below the folder of the policies; or
/// says why there is none.
pub type FixtureFiles<'f> = dyn Fn(&str) -> Result<String, String> + 'f;

/// Most bytes that the fixtures of one file can come to, wherever they are used.
const FIXTURE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How names begin that the JSON library keeps for itself: it would take an object with such a name
/// for a number, and a claim about it for a claim about that number.
const RESERVED: &str = "$serde_json::private::";

/// The fixtures of one file, and what has been built with them.
#[derive(Default)]
pub(super) struct Documents {
    /// By name; `None` if wrong, and reported.
    pub(super) fixtures: HashMap<String, Option<String>>,
    pub(super) used: HashSet<String>,
    /// How many bytes of documents this file has.
    bytes: usize,
}

impl Documents {
    /// The body that the upstream answers with, and its media type.
    pub(super) fn upstream(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node,
    ) -> Option<(Vec<u8>, String)> {
        let json = || "application/json".to_owned();
        if let Kind::Mapping(members) = &node.kind {
            match members.as_slice() {
                [(key, node)] if key.text == "json" => {
                    let text = reader.text(node, "`json`")?;
                    return Some((text.value.into_bytes(), json()));
                }
                [(one, _), (other, _)]
                    if [&one.text, &other.text].contains(&&"content_type".to_owned())
                        && [&one.text, &other.text].contains(&&"text".to_owned()) =>
                {
                    let fields = reader.fields(node, "`upstream`", &["text", "content_type"])?;
                    let text = reader.text(fields.get("text")?, "`text`");
                    let media = reader.text(fields.get("content_type")?, "`content_type`")?;
                    if media.value.contains(|c: char| !c.is_ascii_graphic() && c != ' ') {
                        let message = format!("`{}` is not a media type", media.value);
                        reader.report(
                            Finding::error("bad-media", media.at, message)
                                .help("write type and subtype: `application/x-ndjson`"),
                        );
                        return None;
                    }
                    return Some((text?.value.into_bytes(), media.value));
                }
                _ => {}
            }
        }
        Some((self.document(reader, node, true)?.into_bytes(), json()))
    }

    /// One whole document.
    pub(super) fn document(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node,
        fixtures: bool,
    ) -> Option<String> {
        let mut out = String::new();
        self.json(reader, node, fixtures, &mut out).then_some(out)
    }

    /// Appends a value, and says whether all of it could be read.
    ///
    /// A plain scalar that JSON does not know is a text only if no reader of YAML could take it for
    /// something else.
    fn json(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node,
        fixtures: bool,
        out: &mut String,
    ) -> bool {
        match &node.kind {
            Kind::Sequence(items) => {
                let mut right = true;
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    right &= self.json(reader, item, fixtures, out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
                right
            }
            Kind::Mapping(members) => {
                if let [(key, name)] = members.as_slice()
                    && key.text == "fixture"
                {
                    if fixtures {
                        return self.fixture(reader, name, out);
                    }
                    let at = reader.place(&key.span);
                    let message = "a fixture can only be used under `upstream`";
                    reader.report(
                        Finding::error("fixture-here", at, message).help("write out what is meant"),
                    );
                    return false;
                }
                let mut right = true;
                for (index, (key, node)) in members.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    if key.text.starts_with(RESERVED) {
                        let at = reader.place(&key.span);
                        let message = format!("the name `{}` cannot stand in a test", key.text);
                        reader.report(Finding::error("reserved-name", at, message).help(
                            "choose another name: the library that reads JSON takes this one for a number",
                        ));
                        right = false;
                    }
                    push_text(&key.text, out);
                    out.push(':');
                    right &= self.json(reader, node, fixtures, out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
                right
            }
            Kind::Scalar(scalar) if scalar.is_absent() => {
                reader.wrong_kind(node, "a value of a document", "written out (`null`, or \"\")");
                false
            }
            Kind::Scalar(scalar) => {
                let text = scalar.text.as_str();
                let is_json = matches!(text, "null" | "true" | "false")
                    || serde_json::from_str::<Number>(text).is_ok();
                if scalar.plain && is_json {
                    out.push_str(text);
                    return true;
                }
                if let Some(reading) = scalar.plain.then(|| other_reading(text)).flatten() {
                    let at = reader.place(&node.span);
                    let message = format!("`{text}` could be a text, and could be {reading}");
                    reader.report(Finding::error("not-quoted", at, message).help(format!(
                        "write \"{text}\" for a text; JSON has `null`, `true`, `false` and numbers such as `0.5`"
                    )));
                    return false;
                }
                push_text(text, out);
                true
            }
        }
    }

    fn fixture(&mut self, reader: &mut Reader<'_>, node: &Node, out: &mut String) -> bool {
        let Some(name) = reader.text(node, "the name of a fixture") else { return false };
        self.used.insert(name.value.clone());
        let Some(fixture) = self.fixtures.get(&name.value) else {
            let message = format!("there is no fixture `{}` in this file", name.value);
            let known = self.fixtures.keys().map(String::as_str);
            reader.report(
                Finding::error("unknown-fixture", name.at, message)
                    .did_you_mean(&name.value, known),
            );
            return false;
        };
        let Some(fixture) = fixture else { return false };
        let before = self.bytes;
        self.bytes = before.saturating_add(fixture.len());
        if self.bytes > FIXTURE_BYTES_MAX {
            if before <= FIXTURE_BYTES_MAX {
                let message = format!(
                    "the fixtures of this file come to more than {FIXTURE_BYTES_MAX} bytes"
                );
                reader.report(
                    Finding::error("file-too-large", name.at, message)
                        .help("spread the tests over several files"),
                );
            }
            return false;
        }
        out.push_str(fixture);
        true
    }
}

/// The document in a file, by its path below the folder of the policies.
pub(super) fn file(
    reader: &mut Reader<'_>,
    node: &Node,
    files: &FixtureFiles<'_>,
) -> Option<String> {
    let path = reader.text(node, "the name of a file")?;
    let wrong = |message: String| Finding::error("fixture-file", path.at.clone(), message);
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(|c: char| c.is_control() || c == '\\')
    };
    if !path.value.split('/').all(is_name) {
        let message = format!("`{}` is not a file below the folder of the policies", path.value);
        reader.report(
            wrong(message)
                .help("write its path from there, without `..`: `fixtures/customers.json`"),
        );
        return None;
    }
    let text = match files(&path.value) {
        Ok(text) => text,
        Err(why) => {
            reader.report(wrong(why));
            return None;
        }
    };
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(document) => Some(document.get().to_owned()),
        Err(error) => {
            reader.report(wrong(format!("`{}` is not a JSON document: {error}", path.value)));
            None
        }
    }
}

/// Appends a JSON string.
fn push_text(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}
