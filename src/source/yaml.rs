//! The text of one file as a tree in which everything knows where it stands.
//!
//! YAML is read strictly: one document, no tags, no merge keys, no directives, no key twice. Aliases
//! are resolved, within bounds. What a scalar *means* (a text, a number, a flag) is decided by the
//! reader of the tree, who knows what is wanted: so `NO` never becomes a boolean here.

use std::{borrow::Cow, collections::HashMap, hash::BuildHasher as _, ops::Range};

use foldhash::fast::RandomState;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};
use hashbrown::HashTable;

use crate::{
    path::is_hidden,
    source::finding::{Finding, Place},
};

/// Most nodes that one file may have once its aliases are resolved.
pub(crate) const NODES_MAX: usize = 100_000;

/// So many bytes of text weigh as much as one more node: many aliases to one long text are bounded too.
const BYTES_PER_NODE: usize = 64;

/// Deepest nesting of one file, the nodes behind its aliases included.
pub(crate) const DEPTH_MAX: usize = 64;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Names and values in the order of the text; no name twice.
    Mapping(Vec<(Key, Node)>),
    /// Values in a row.
    Sequence(Vec<Node>),
    /// One value.
    Scalar(Scalar),
}

/// The name of a member of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
    /// Where the text begins in the source, if it stands there as it is.
    pub(crate) verbatim: Option<usize>,
}

/// A scalar, not yet interpreted.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written without quotes and not as a block.
    pub(crate) plain: bool,
    /// Where the text begins in the source, if it stands there as it is.
    pub(crate) verbatim: Option<usize>,
}

impl Scalar {
    /// Whether nothing is written at all, as behind `key:`.
    pub(crate) fn is_absent(&self) -> bool {
        self.plain && self.text.is_empty()
    }
}

/// Reads one file; `None` if it is no YAML at all.
pub(crate) fn read(source: usize, text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let place = |span: Range<usize>| Place { source, span };
    if text.starts_with('\u{feff}') {
        findings.push(
            Finding::error(
                "byte-order-mark",
                place(0..0),
                "the file begins with a byte order mark",
            )
            .help("save it as UTF-8 without BOM"),
        );
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        disallow_directives: true,
    };
    let mut composer = Composer {
        source,
        text,
        findings,
        anchors: HashMap::new(),
        nodes: 0,
        open: Vec::new(),
        quoted: Vec::new(),
        hashes: RandomState::default(),
    };
    let before = composer.findings.len();
    let root = composer.run(Parser::new_from_str_with_options(text, options)).unwrap_or_default();
    if let Some(finding) = indentation(source, text, &composer.quoted) {
        // Whatever else was found in such a file comes of it.
        composer.findings.truncate(before);
        composer.findings.push(finding);
        return None;
    }
    root
}

/// Lines that are indented by what looks like spaces and is none; those inside of `quoted` texts are not.
fn indentation(source: usize, text: &str, quoted: &[Range<usize>]) -> Option<Finding> {
    let mut start = 0;
    let mut found: Option<(usize, Range<usize>, char)> = None;
    let mut more = 0_usize;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let white = line.char_indices().take_while(|(_, c)| c.is_whitespace() || is_hidden(*c));
        let mut strange = white.filter(|(_, c)| is_strange(*c));
        let first = strange.next();
        if let Some((at, c)) = first {
            let end = strange.last().map_or(at + c.len_utf8(), |(at, c)| at + c.len_utf8());
            let span = start + at..start + end;
            if quoted.iter().any(|quoted| quoted.contains(&span.start)) {
            } else if found.is_none() {
                found = Some((index + 1, span, c));
            } else {
                more += 1;
            }
        }
        start += line.len();
    }
    let (line, span, c) = found?;
    let lines = match more {
        0 => format!("line {line} is"),
        1 => format!("line {line}, and another one, are"),
        _ => format!("line {line}, and {more} others, are"),
    };
    let message = format!("{lines} indented by {}, and YAML takes them for text", plural(c));
    let finding = Finding::error("indentation", Place { source, span }, message);
    Some(finding.help("indent with plain spaces: text from a web page or a word processor brings others that look the same"))
}

/// White space, or a character that shows nothing, that YAML takes for text.
fn is_strange(c: char) -> bool {
    is_hidden(c) || (c.is_whitespace() && !matches!(c, ' ' | '\t' | '\n' | '\r'))
}

/// The name of a character that looks like a space or like nothing, and its number.
fn named(c: char) -> (&'static str, String) {
    let name = match c {
        '\u{b}' => "vertical tab",
        '\u{c}' => "form feed",
        '\u{85}' | '\u{2028}' => "line separator",
        '\u{a0}' => "no-break space",
        '\u{1680}' => "ogham space mark",
        '\u{2000}' | '\u{2002}' => "en space",
        '\u{2001}' | '\u{2003}' => "em space",
        '\u{2007}' => "figure space",
        '\u{2008}' => "punctuation space",
        '\u{2004}'..='\u{200a}' => "thin space",
        '\u{2029}' => "paragraph separator",
        '\u{202f}' => "narrow no-break space",
        '\u{205f}' => "mathematical space",
        '\u{3000}' => "ideographic space",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' | '\u{feff}' | '\u{2060}' => "space without width",
        _ => "character that cannot be seen",
    };
    (name, format!("U+{:04X}", u32::from(c)))
}

/// `no-break spaces (U+00A0)`.
fn plural(c: char) -> String {
    match named(c) {
        ("character that cannot be seen", number) => {
            format!("characters that cannot be seen ({number})")
        }
        ("space without width", number) => format!("spaces without width ({number})"),
        (name, number) => format!("{name}s ({number})"),
    }
}

/// What is wrong with a text without quotes that has such a character where a space was meant.
fn strange_in(text: &str) -> Option<(String, usize)> {
    let message = |c: char, where_to: &str| {
        let (name, number) = named(c);
        let article = if name.starts_with(['e', 'i', 'o']) { "an" } else { "a" };
        format!("{where_to} stands {article} {name} ({number}), and YAML takes it for text")
    };
    let first = text.chars().next().filter(|c| is_strange(*c));
    let last = text.chars().next_back().filter(|c| is_strange(*c));
    let behind_colon = || {
        let (key, rest) = text.split_once(':')?;
        let c = rest.chars().next().filter(|c| is_strange(*c))?;
        (!key.contains(char::is_whitespace))
            .then(|| (message(c, "behind the colon"), key.len() + 1))
    };
    first
        .map(|c| (message(c, "at the beginning"), 0))
        .or_else(|| last.map(|c| (message(c, "at the end"), text.len() - c.len_utf8())))
        .or_else(behind_colon)
}

/// The file cannot be read any further; why has been reported.
struct Stop;

struct Composer<'a> {
    source: usize,
    text: &'a str,
    findings: &'a mut Vec<Finding>,
    /// Nodes that aliases refer to, with how many nodes and levels each stands for.
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    open: Vec<Open>,
    /// Where texts of several lines stand that are in quotes or blocks.
    quoted: Vec<Range<usize>>,
    hashes: RandomState,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    nodes: usize,
    levels: usize,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    start: Range<usize>,
    nodes_before: usize,
    /// Levels below this one, so far.
    levels: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping {
        members: Vec<(Key, Node)>,
        /// Index by name: a file with many keys must not take quadratic time.
        names: HashTable<usize>,
        /// The name whose value comes next.
        key: Option<Key>,
    },
}

impl Composer<'_> {
    fn run<'t>(
        &mut self,
        parser: impl Iterator<Item = Result<(Event<'t>, Span), ScanError>>,
    ) -> Result<Option<Node>, Stop> {
        let mut root = None;
        let mut documents = 0_usize;
        for next in parser {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let finding = self.syntax(&error);
                    return self.stop(finding);
                }
            };
            let bytes = bytes(&span);
            let done = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return self.refuse(
                            "second-document",
                            bytes,
                            "a second document begins here",
                            "a file holds one document: remove `---`, or move what follows to a file of its own",
                        );
                    }
                    None
                }
                Event::Alias(id) => self.alias(id, &bytes)?,
                Event::Scalar(text, style, anchor, tag) => {
                    self.no_tag(tag.is_some(), &span)?;
                    self.scalar(text, style, anchor, bytes)?
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.no_tag(tag.is_some(), &span)?;
                    self.begin(anchor, bytes, Items::Sequence(Vec::new()))?;
                    None
                }
                Event::MappingStart(_, anchor, tag) => {
                    self.no_tag(tag.is_some(), &span)?;
                    let items =
                        Items::Mapping { members: Vec::new(), names: HashTable::new(), key: None };
                    self.begin(anchor, bytes, items)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(&bytes)?,
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentEnd
                | Event::Anchor(..)
                | Event::UnresolvedAlias(..)
                | Event::Comment(..)
                | _ => None,
            };
            if let Some(node) = done {
                root = Some(node);
            }
        }
        Ok(root)
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place { source: self.source, span }
    }

    fn stop<T>(&mut self, finding: Finding) -> Result<T, Stop> {
        self.findings.push(finding);
        Err(Stop)
    }

    fn refuse<T>(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: &str,
        help: &str,
    ) -> Result<T, Stop> {
        let finding = Finding::error(code, self.place(span), message).help(help);
        self.stop(finding)
    }

    fn no_tag(&mut self, tagged: bool, span: &Span) -> Result<(), Stop> {
        if !tagged {
            return Ok(());
        }
        let at = span.tag_span().map_or_else(|| bytes(span), |tag| bytes(&tag));
        self.refuse(
            "yaml-tag",
            at,
            "YAML tags are not part of the policy language",
            "remove it; a text is written in quotes",
        )
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        self.refuse(
            "file-too-large",
            span.clone(),
            &format!("the file has more than {NODES_MAX} values once its aliases are resolved"),
            "spread it over several files, or use fewer aliases",
        )
    }

    fn depth(&mut self, levels: usize, span: &Range<usize>) -> Result<(), Stop> {
        if self.open.len() + levels <= DEPTH_MAX {
            return Ok(());
        }
        self.refuse(
            "too-deep",
            span.clone(),
            &format!("values are nested more than {DEPTH_MAX} deep"),
            "a policy is flat; in a test, give the document as `{ json: '..' }`",
        )
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        span: Range<usize>,
    ) -> Result<Option<Node>, Stop> {
        let nodes = 1 + text.len() / BYTES_PER_NODE;
        self.count(nodes, &span)?;
        let written = self.text.get(span.clone()).unwrap_or("");
        // The parser says `~` where nothing is written.
        let text = if written.is_empty() { Cow::Borrowed("") } else { text };
        let plain = match style {
            ScalarStyle::Plain => true,
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => false,
        };
        if plain && let Some((message, at)) = strange_in(&text) {
            let at = if written.starts_with(&*text) { span.start + at..span.end } else { span };
            let help = "write a plain space instead, or none; a text that has it stands in quotes";
            return self.refuse("strange-space", at, &message, help);
        }
        if !plain && written.contains('\n') {
            self.quoted.push(span.clone());
        }
        let quote = usize::from(matches!(written.chars().next(), Some('"' | '\'')));
        let verbatim = (written.get(quote..quote + text.len()) == Some(&*text)
            && written.len() == text.len() + 2 * quote)
            .then_some(span.start + quote);
        let scalar = Scalar { text: text.into_owned(), plain, verbatim };
        let node = Node { span, kind: Kind::Scalar(scalar) };
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, levels: 0 });
        }
        self.put(node)
    }

    fn alias(&mut self, id: usize, span: &Range<usize>) -> Result<Option<Node>, Stop> {
        let Some(anchored) = self.anchors.get(&id).cloned() else {
            return self.refuse(
                "endless-alias",
                span.clone(),
                "this alias stands inside the value that it refers to",
                "write out what is meant",
            );
        };
        self.count(anchored.nodes, span)?;
        self.depth(anchored.levels, span)?;
        self.raise(anchored.levels);
        self.put(anchored.node)
    }

    fn begin(&mut self, anchor: usize, start: Range<usize>, items: Items) -> Result<(), Stop> {
        self.depth(1, &start)?;
        let nodes_before = self.nodes;
        self.count(1, &start)?;
        if let Some(Open { items: Items::Mapping { key: None, .. }, .. }) = self.open.last() {
            return self.refuse(
                "key-not-a-word",
                start,
                "a key has to be a single word or text",
                "a path with brackets is written in quotes: \"$.items[*]\"",
            );
        }
        self.open.push(Open { anchor, start, nodes_before, levels: 0, items });
        Ok(())
    }

    fn end(&mut self, end: &Range<usize>) -> Result<Option<Node>, Stop> {
        let Some(Open { anchor, start, nodes_before, levels, items }) = self.open.pop() else {
            return Ok(None);
        };
        let kind = match items {
            Items::Sequence(items) => Kind::Sequence(items),
            Items::Mapping { members, .. } => Kind::Mapping(members),
        };
        let node = Node { span: start.start..end.end.max(start.end), kind };
        let levels = levels + 1;
        if anchor != 0 {
            let nodes = self.nodes - nodes_before;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, levels });
        }
        self.raise(levels);
        self.put(node)
    }

    /// The innermost open collection has something of this many levels in it.
    fn raise(&mut self, levels: usize) {
        if let Some(open) = self.open.last_mut() {
            open.levels = open.levels.max(levels);
        }
    }

    /// Puts a finished node where it belongs; gives it back if it is the root.
    fn put(&mut self, node: Node) -> Result<Option<Node>, Stop> {
        let source = self.source;
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        match &mut open.items {
            Items::Sequence(items) => items.push(node),
            Items::Mapping { members, names, key } => {
                let Some(key) = key.take() else {
                    return self.key(node);
                };
                let name = |at: &usize| members.get(*at).map(|(key, _)| key.text.as_str());
                let hash = self.hashes.hash_one(key.text.as_str());
                let first = names.find(hash, |at| name(at) == Some(&key.text));
                if let Some((first, _)) = first.and_then(|at| members.get(*at)) {
                    let message = format!("`{}` is written twice", key.text);
                    let place = |span: &Range<usize>| Place { source, span: span.clone() };
                    self.findings.push(
                        Finding::error("duplicate-key", place(&key.span), message)
                            .also(&place(&first.span), "first written here"),
                    );
                } else {
                    let at = members.len();
                    names.insert_unique(hash, at, |at| {
                        self.hashes.hash_one(name(at).unwrap_or_default())
                    });
                    members.push((key, node));
                }
            }
        }
        Ok(None)
    }

    fn key(&mut self, node: Node) -> Result<Option<Node>, Stop> {
        let Kind::Scalar(scalar) = node.kind else {
            return self.refuse(
                "key-not-a-word",
                node.span,
                "a key has to be a single word or text",
                "write it out",
            );
        };
        if scalar.plain && scalar.text == "<<" {
            return self.refuse(
                "merge-key",
                node.span,
                "merge keys are not part of the policy language",
                "write out what is meant, or use a record",
            );
        }
        if scalar.text.is_empty() {
            return self.refuse(
                "key-not-a-word",
                node.span,
                "a key is missing here",
                "write it before the colon",
            );
        }
        let new = Key { text: scalar.text, span: node.span, verbatim: scalar.verbatim };
        if let Some(Open { items: Items::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
        Ok(None)
    }

    /// A syntax error in our words where it is a common one.
    fn syntax(&self, error: &ScanError) -> Finding {
        let start = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let width =
            self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let at = self.place(start..start + width);
        let kind = error.kind();
        let is = |kinds: &[ErrorKind]| kinds.contains(kind);
        if is(&[ErrorKind::DirectiveDisallowed]) {
            return Finding::error(
                "yaml-directive",
                at,
                "YAML directives are not part of the policy language",
            )
            .help("remove the line that begins with `%`");
        }
        if is(&[ErrorKind::UnknownAnchor]) {
            return Finding::error("unknown-alias", at, "this alias refers to nothing above it")
                .help("a text that begins with `*` is written in quotes: \"*\"");
        }
        if is(&[
            ErrorKind::TabNotAllowed,
            ErrorKind::TabInBlockIndentation,
            ErrorKind::TabInIndentation,
            ErrorKind::TabInPlainScalar,
            ErrorKind::TabAtBlockScalarStart,
        ]) {
            return Finding::error("tab", at, "a tab stands where YAML wants spaces")
                .help("indent with spaces");
        }
        if is(&[ErrorKind::RecursionLimitExceeded]) {
            return Finding::error(
                "too-deep",
                at,
                format!("values are nested more than {DEPTH_MAX} deep"),
            );
        }
        let finding = Finding::error(
            "yaml",
            at,
            format!("this is not YAML: {}", kind.to_string().to_lowercase()),
        );
        if let Some((key, sentence)) = sentence_with_colon(self.text, start) {
            let quoted = sentence.replace('\\', "\\\\").replace('"', "\\\"");
            return finding.help(format!(
                "a text with a colon and a space stands in quotes: `{key}: \"{quoted}\"`"
            ));
        }
        if is(&[ErrorKind::MappingValueNotAllowed]) {
            return finding.help(
                "a text that contains `: ` is written in quotes; otherwise look at the indentation",
            );
        }
        if is(&[ErrorKind::MissingAnchorOrAliasName]) {
            return finding.help("a text that begins with `*` or `&`, or a path in brackets, is written in quotes: \"$.items[*]\"");
        }
        if let ErrorKind::UnexpectedCharacter { character: '@' } = kind {
            return finding.help(
                "a text that begins with `@` stands in quotes; as a path, a member of such a name is \"$['@timestamp']\"",
            );
        }
        if is(&[ErrorKind::UnclosedQuotedScalar]) {
            return finding.help("a quote that is opened has to be closed");
        }
        if is(&[ErrorKind::InvalidIndentation, ErrorKind::ExpectedBlockMappingKey]) {
            return finding.help("look at the indentation of this line and of the one above");
        }
        if is(&[ErrorKind::ExpectedFlowMappingSeparator, ErrorKind::ExpectedFlowSequenceSeparator])
            || matches!(
                kind,
                ErrorKind::UnclosedFlowCollection { .. }
                    | ErrorKind::MismatchedFlowCollectionEnd { .. }
            )
        {
            return finding.help(
                "a bracket or a comma is missing; a text with brackets is written in quotes",
            );
        }
        finding
    }
}

/// The key and the whole text without quotes of `because: health: it is`, if that is why the line that holds
/// the byte at `at` cannot be read.
fn sentence_with_colon(text: &str, at: usize) -> Option<(&str, &str)> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next()?;
    let here = at - start;
    let mut found = None;
    // The pairs of a flow mapping, or the line: each from its key to where it ends.
    let mut from = 0;
    let mut quote = None;
    let ends = line.char_indices().filter_map(|(at, c)| match (quote, c) {
        (Some(open), _) => {
            quote = (c != open).then_some(open);
            None
        }
        (None, '"' | '\'') => {
            let before = line.get(..at).unwrap_or_default().trim_end();
            // In the middle of a word it is an apostrophe.
            let opens = before.is_empty() || before.ends_with([':', ',', '{', '[', '-']);
            quote = opens.then_some(c);
            None
        }
        (None, '{' | '}' | ',' | '[' | ']') => Some(at),
        (None, _) => None,
    });
    for end in ends.chain([line.len()]) {
        let part = line.get(from..end).unwrap_or_default();
        let is_open = line.get(end..).is_some_and(|rest| rest.starts_with(['{', '[']));
        let part = part.trim().trim_start_matches("- ");
        if let Some((key, value)) = part.split_once(": ")
            && let (key, value) = (key.trim(), value.trim())
            && (value.contains(": ") || value.ends_with(':'))
            && !value.starts_with(['"', '\'', '|', '>', '&', '*', '!'])
            && !key.contains(char::is_whitespace)
            && !is_open
            && here >= from
        {
            found = found.or(Some((key, value)));
        }
        from = end + 1;
    }
    found
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}
