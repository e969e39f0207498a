//! Reads values out of the YAML tree: the kind that is wanted, or a finding that says what is.

use std::ops::Range;

use crate::{
    path::Path,
    source::{
        Finding, Place,
        yaml::{Key, Kind, Node, Scalar},
    },
};

/// A value, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
}

/// Words of the language that this version knows and does not carry out yet. They are errors
/// wherever a key can stand: a policy that relies on one must not load as if it were not there.
const LATER: [&str; 15] = [
    "when",
    "retention",
    "age_from",
    "subject",
    "mode",
    "token",
    "shift_date",
    "detect",
    "requests",
    "consent",
    "claims",
    "spiffe",
    "jwt",
    "cidr",
    "by",
];

/// Longest name that can be declared, in characters: names become labels of metrics.
const NAME_CHARS_MAX: usize = 64;

/// Reads one source, and collects what is wrong with it.
pub(crate) struct Reader<'f> {
    source: usize,
    findings: &'f mut Vec<Finding>,
}

/// The members of a mapping whose keys are known words.
pub(crate) struct Fields<'n> {
    members: &'n [(Key, Node)],
    has_unknown: bool,
}

impl<'n> Fields<'n> {
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// Whether a key that is not known was reported: what seems to be missing may be misspelled.
    pub(crate) fn has_unknown(&self) -> bool {
        self.has_unknown
    }
}

impl<'f> Reader<'f> {
    pub(crate) fn new(source: usize, findings: &'f mut Vec<Finding>) -> Self {
        Self { source, findings }
    }

    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        Place { source: self.source, span: span.clone() }
    }

    pub(crate) fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn key(&self, key: &Key) -> At<String> {
        At { value: key.text.clone(), at: self.place(&key.span) }
    }

    pub(crate) fn not_yet(&mut self, word: &str, at: Place) {
        self.report(
            Finding::error("not-supported-yet", at, format!("`{word}` is not supported yet"))
                .help("take it out: what tamis cannot carry out does not load"),
        );
    }

    /// Members of a mapping, whatever their names.
    pub(crate) fn members<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Key, Node)]> {
        match &node.kind {
            Kind::Mapping(members) => Some(members),
            Kind::Sequence(_) | Kind::Scalar(_) => {
                self.wrong_kind(node, what, "a mapping (`name: value`)");
                None
            }
        }
    }

    pub(crate) fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::Sequence(items) => Some(items),
            Kind::Mapping(_) | Kind::Scalar(_) => {
                self.wrong_kind(node, what, "a list (`[a, b]`)");
                None
            }
        }
    }

    /// Members of a mapping that can only have these names; all others are reported.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let members = self.members(node, what)?;
        let mut has_unknown = false;
        for (key, value) in members {
            let name = key.text.as_str();
            if known.contains(&name) {
                continue;
            }
            has_unknown = true;
            let is_absent = matches!(&value.kind, Kind::Scalar(scalar) if scalar.is_absent());
            if is_absent && name.contains(' ') {
                let message = format!("`{name}` is not a key of {what}");
                let finding = Finding::error("unknown-key", self.place(&key.span), message);
                self.report(
                    finding
                        .help("a text with a comma stands in quotes, if this is the rest of one"),
                );
                continue;
            }
            let at = self.place(&key.span);
            if LATER.contains(&name) {
                self.not_yet(name, at);
            } else {
                let message = format!("`{name}` is not a key of {what}");
                self.report(
                    Finding::error("unknown-key", at, message)
                        .did_you_mean(name, known.iter().copied()),
                );
            }
        }
        Some(Fields { members, has_unknown })
    }

    /// The member of this name, which has to be there; `owner` says in words what it is missing in.
    pub(crate) fn required<'n>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        owner: &At<String>,
        help: &str,
    ) -> Option<&'n Node> {
        let found = fields.get(name);
        if found.is_none() {
            let message = format!("`{name}` is missing in {}", owner.value);
            self.report(Finding::error("missing-key", owner.at.clone(), message).help(help));
        }
        found
    }

    /// A text. What another reader of YAML could take for a number or a flag has to be in quotes.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let scalar = self.scalar(node, what, "a text")?;
        let at = self.place(&node.span);
        if let Some(reading) = scalar.plain.then(|| other_reading(&scalar.text)).flatten() {
            let message = format!("{what} has to be a text, and this is {reading}");
            let help = format!("put it in quotes: \"{}\"", scalar.text);
            self.report(Finding::error("not-quoted", at, message).help(help));
            return None;
        }
        if scalar.text.trim().is_empty() {
            self.report(Finding::error("empty-text", at, format!("{what} is empty")));
            return None;
        }
        Some(At { value: scalar.text.clone(), at })
    }

    /// A word of the language, where `null` is only a word too.
    pub(crate) fn word<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        self.scalar(node, what, "a word").map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        let scalar = self.scalar(node, what, "`true` or `false`")?;
        match (scalar.plain, scalar.text.as_str()) {
            (true, "true") => Some(true),
            (true, "false") => Some(false),
            _ => {
                let at = self.place(&node.span);
                let message = format!("{what} has to be `true` or `false`, not `{}`", scalar.text);
                let mut finding = Finding::error("not-a-flag", at, message);
                finding = match scalar.text.to_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" => finding.help("write `true`, without quotes"),
                    "false" | "no" | "off" | "n" => finding.help("write `false`, without quotes"),
                    _ => finding,
                };
                self.report(finding);
                None
            }
        }
    }

    /// A whole number from 1 up to `max`.
    pub(crate) fn number(&mut self, node: &Node, what: &str, max: u64) -> Option<u64> {
        let scalar = self.scalar(node, what, "a whole number")?;
        let text = scalar.text.as_str();
        let at = self.place(&node.span);
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let message = match (scalar.plain && digits).then(|| text.parse::<u64>()) {
            Some(Ok(0)) => format!("{what} is 0, which does nothing"),
            Some(Ok(_)) if text.starts_with('0') => format!("{what} begins with a zero"),
            Some(Ok(number)) if number <= max => return Some(number),
            Some(_) => format!("{what} is at most {max}, not {text}"),
            None if text.strip_prefix('-').is_some_and(|rest| rest.parse::<f64>().is_ok()) => {
                format!("{what} cannot be negative")
            }
            None => format!("{what} has to be a whole number, not `{text}`"),
        };
        self.report(
            Finding::error("bad-number", at, message)
                .help(format!("write a whole number from 1 to {max}, without quotes")),
        );
        None
    }

    /// Whether a text can be the name of something that a policy declares.
    pub(crate) fn check_name(&mut self, name: &At<String>, what: &str) -> bool {
        self.check_parts(name, what, std::slice::from_ref(&name.value.as_str()))
    }

    /// Whether a text can be the name of a category: names, joined by dots.
    pub(crate) fn check_dotted_name(&mut self, name: &At<String>, what: &str) -> bool {
        let parts: Vec<&str> = name.value.split('.').collect();
        self.check_parts(name, what, &parts)
    }

    fn check_parts(&mut self, name: &At<String>, what: &str, parts: &[&str]) -> bool {
        let Some((message, help)) = name_problem(&name.value, what, parts) else { return true };
        self.report(Finding::error("bad-name", name.at.clone(), message).help(help));
        false
    }

    /// A path into JSON, written as a key or as a value.
    pub(crate) fn path(
        &mut self,
        text: &str,
        span: &Range<usize>,
        verbatim: Option<usize>,
    ) -> Option<At<Path>> {
        match Path::parse(text) {
            Ok(path) => Some(At { value: path, at: self.place(span) }),
            Err(error) => {
                // The caret stands under the character that is wrong.
                let width = text.get(error.at..).and_then(|rest| rest.chars().next());
                let at = verbatim.map_or_else(
                    || span.clone(),
                    |start| {
                        let at = start + error.at;
                        at..at + width.map_or(0, char::len_utf8)
                    },
                );
                let message = format!("`{text}`: {}", error.message);
                let mut finding = Finding::error("path", self.place(&at), message);
                let is_plain = verbatim == Some(span.start);
                let quoted = error.meant.as_deref().and_then(|meant| in_yaml(meant, is_plain));
                finding.help = match (error.help, quoted) {
                    (Some(help), Some(quoted)) => {
                        Some(format!("{help}; with quotes for YAML: `{quoted}`"))
                    }
                    (help, _) => help,
                };
                self.report(finding);
                None
            }
        }
    }

    /// The scalar that a node is; a missing value is no scalar.
    pub(crate) fn scalar<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        wanted: &str,
    ) -> Option<&'n Scalar> {
        match &node.kind {
            Kind::Scalar(scalar) if !scalar.is_absent() => Some(scalar),
            Kind::Scalar(_) | Kind::Mapping(_) | Kind::Sequence(_) => {
                self.wrong_kind(node, what, wanted);
                None
            }
        }
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, what: &str, wanted: &str) {
        let found = match &node.kind {
            Kind::Mapping(_) => "this is a mapping",
            Kind::Sequence(_) => "this is a list",
            Kind::Scalar(scalar) if scalar.is_absent() => "nothing is written here",
            Kind::Scalar(_) => "this is a single value",
        };
        let message = format!("{what} has to be {wanted}, and {found}");
        self.report(Finding::error("wrong-kind", self.place(&node.span), message));
    }
}

/// A path as a text of YAML, if it cannot stand as it is where another stood: in single quotes, perhaps, or
/// in none.
fn in_yaml(path: &str, was_plain: bool) -> Option<String> {
    let is_harmless = |c: char| c.is_alphanumeric() || matches!(c, '$' | '.' | '_');
    let needs_quotes =
        path.contains(['\'', '"', '\\']) || (was_plain && !path.chars().all(is_harmless));
    needs_quotes.then(|| format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// What is wrong with a name that joins these parts, and how names are made.
pub(crate) fn name_problem(text: &str, what: &str, parts: &[&str]) -> Option<(String, String)> {
    let wrong_char = parts.iter().flat_map(|part| part.chars()).find(|c| !is_name_char(*c));
    let starts_well = |part: &&str| part.starts_with(|c: char| c.is_ascii_alphanumeric());
    let mut help = "names are made of the letters a to z, digits, `-` and `_`".to_owned();
    let message = if matches!(text, "unknown" | "unclassified" | "overflow") {
        "choose another name".clone_into(&mut help);
        format!("`{text}` cannot name {what}: metrics use the word for something else")
    } else if text.chars().count() > NAME_CHARS_MAX {
        "choose a shorter name: it is shown in metrics".clone_into(&mut help);
        format!("the name of {what} is longer than {NAME_CHARS_MAX} characters")
    } else if parts.iter().any(|part| part.is_empty()) {
        "the parts of a name are joined by single dots: `contact.email`".clone_into(&mut help);
        format!("a part of the name `{text}` is empty")
    } else if let Some(wrong) = wrong_char {
        format!("the name of {what} cannot contain `{wrong}`")
    } else if parts.iter().all(starts_well) {
        return None;
    } else {
        format!("the name of {what} begins with a letter or a digit")
    };
    if wrong_char.is_some() && text.is_ascii() {
        let proposal = text.replace(|c| c != '.' && !is_name_char(c), "-");
        // What is proposed has to be a name, and `--a` is none.
        let proposal = proposal.trim_matches(['-', '_', '.']);
        if is_dotted_name(proposal) && (parts.len() > 1 || !proposal.contains('.')) {
            help = format!("{help}: `{proposal}`");
        }
    }
    Some((message, help))
}

/// Whether a text can be the name of a category.
pub(crate) fn is_dotted_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_long = text.chars().count() > NAME_CHARS_MAX;
    let is_reserved = matches!(text, "unknown" | "unclassified" | "overflow" | "public" | "opaque");
    let is_part = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_name_char)
    };
    !is_long && !is_reserved && parts.iter().all(is_part)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// What a reader of YAML could take a plain scalar for, if not for a text.
pub(crate) fn other_reading(text: &str) -> Option<&'static str> {
    // Almost all words of a policy begin in another way.
    let may_be = |first: &u8| {
        matches!(first.to_ascii_lowercase(), b'n' | b't' | b'f' | b'y' | b'o' | b'~' | b'.')
            || matches!(first, b'+' | b'-' | b'0'..=b'9')
    };
    if !text.as_bytes().first().is_some_and(may_be) {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "null" | "~" => return Some("null"),
        "true" | "false" => return Some("a flag"),
        "yes" | "no" | "on" | "off" => return Some("a flag for many readers of YAML"),
        ".nan" | ".inf" | "+.inf" | "-.inf" => return Some("a number"),
        _ => {}
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    let radix = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    let decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && text.parse::<f64>().is_ok();
    (decimal || radix("0x", 16) || radix("0o", 8)).then_some("a number")
}
