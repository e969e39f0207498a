//! One path: its text, read by jsonpath-rust's parser and held to what the standard says.

use std::fmt;

use jsonpath_rust::parser::{errors::JsonPathError, model, parse_json_path};

/// Longest name, in bytes of its decoded UTF-8, that a path may spell.
///
/// A reader holds back a member's name until it is decided, so names are bounded on both sides.
pub const NAME_BYTES_MAX: usize = 256;

/// Largest number of segments in one path.
const SEGMENTS_MAX: usize = 128;

/// Largest number of selectors in one path, over all its segments.
const SELECTORS_MAX: usize = 1000;

/// A path of the streaming kind: `$` and the segments that follow it (RFC 9535, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segments: Vec<Segment>,
}

/// A step to children, or with `descendant` to children at any depth (RFC 9535, section 2.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Written `..`: the selectors apply to the children of this node and of every node below it.
    pub descendant: bool,
    /// At least one; several are a union.
    pub selectors: Vec<Selector>,
}

/// Which children a segment selects (RFC 9535, section 2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The members of an object that have this name, compared after unescaping.
    Name(String),
    /// All members of an object, all elements of an array.
    Wildcard,
    /// The element at this index, counted from 0.
    Index(u64),
    /// The elements from `start` up to but without `end`, every `step`th; a step of 0 selects none.
    Slice {
        /// The first index.
        start: u64,
        /// The first index that is no longer selected; none goes to the end of the array.
        end: Option<u64>,
        /// How far from one selected index to the next.
        step: u64,
    },
}

/// Why a text is no path that can be used, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Offset in bytes into the text that was parsed.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What could be written instead.
    pub help: Option<String>,
}

impl PathError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Path {
    /// Reads a path, and refuses what does not stream.
    ///
    /// Stricter than jsonpath-rust: white space inside a name or at either end is an error there
    /// where that parser would skip it, and would then classify another field than the author wrote.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check_white_space(text)?;
        let query = parse_json_path(text).map_err(|error| syntax_error(text, &error))?;
        if query.segments.len() > SEGMENTS_MAX {
            return Err(PathError::new(0, format!("a path of more than {SEGMENTS_MAX} segments")));
        }
        let mut segments = Vec::with_capacity(query.segments.len());
        for segment in &query.segments {
            segments.push(read_segment(text, segment, false)?);
        }
        let path = Self { segments };
        if path.selectors() > SELECTORS_MAX {
            return Err(PathError::new(
                0,
                format!("a path of more than {SELECTORS_MAX} selectors"),
            ));
        }
        Ok(path)
    }

    /// The path `$`, which selects the whole document.
    pub fn root() -> Self {
        Self { segments: Vec::new() }
    }

    /// The segments after `$`.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many selectors the segments have together.
    pub fn selectors(&self) -> usize {
        self.segments.iter().map(|segment| segment.selectors.len()).sum()
    }

    /// This path with the segments of `below` after its own: what `below` selects in the nodes that
    /// this path selects.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self { segments: self.segments.iter().chain(&below.segments).cloned().collect() }
    }
}

fn read_segment(
    text: &str,
    segment: &model::Segment,
    descendant: bool,
) -> Result<Segment, PathError> {
    let selectors = match segment {
        model::Segment::Descendant(inner) => return read_segment(text, inner, true),
        model::Segment::Selector(selector) => std::slice::from_ref(selector),
        model::Segment::Selectors(selectors) => selectors.as_slice(),
    };
    let selectors =
        selectors.iter().map(|s| read_selector(text, s)).collect::<Result<Vec<_>, _>>()?;
    Ok(Segment { descendant, selectors })
}

fn read_selector(text: &str, selector: &model::Selector) -> Result<Selector, PathError> {
    let unsigned = |number: i64, what: &str| {
        u64::try_from(number).map_err(|_negative| {
            let at = text.find(&number.to_string()).unwrap_or(0);
            PathError::new(at, format!("{what} are not supported yet"))
                .help("count from the front of the array, from 0")
        })
    };
    match selector {
        model::Selector::Name(name) if name.len() > NAME_BYTES_MAX => {
            Err(PathError::new(0, format!("a name of more than {NAME_BYTES_MAX} bytes")))
        }
        model::Selector::Name(name) => Ok(Selector::Name(name.clone())),
        model::Selector::Wildcard => Ok(Selector::Wildcard),
        model::Selector::Index(index) => Ok(Selector::Index(unsigned(*index, "negative indices")?)),
        model::Selector::Slice(start, end, step) => {
            let step = unsigned(step.unwrap_or(1), "slices with a negative step")?;
            let start = unsigned(start.unwrap_or(0), "slices with negative bounds")?;
            let end = end.map(|end| unsigned(end, "slices with negative bounds")).transpose()?;
            Ok(Selector::Slice { start, end, step })
        }
        model::Selector::Filter(_) => {
            let at = text.find('?').unwrap_or(0);
            Err(PathError::new(at, "filters are not supported yet")
                .help("select all elements with `[*]`, or one by its index: `[0]`"))
        }
    }
}

/// White space that jsonpath-rust would skip although the standard does not allow it there.
fn check_white_space(text: &str) -> Result<(), PathError> {
    let mut quote = None;
    let mut escaped = false;
    let mut before: Option<char> = None;
    let mut gap: Option<usize> = None;
    for (at, c) in text.char_indices() {
        if let Some(open) = quote {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        if c.is_whitespace() {
            if before.is_none() {
                return Err(PathError::new(at, "a path begins with `$`, without white space"));
            }
            if !c.is_ascii() {
                return Err(PathError::new(
                    at,
                    "this kind of white space is not allowed in a path",
                )
                .help("a name that contains it is written in brackets and quotes"));
            }
            gap = gap.or(Some(at));
            continue;
        }
        if let (Some(at), Some(before)) = (gap, before)
            && is_name_character(before)
            && is_name_character(c)
        {
            return Err(PathError::new(at, "white space inside a name")
                .help("a name that contains white space is written `['first name']`"));
        }
        if matches!(c, '\'' | '"') {
            quote = Some(c);
        }
        gap = None;
        before = Some(c);
    }
    match gap {
        Some(at) => Err(PathError::new(at, "white space at the end of a path")),
        None => Ok(()),
    }
}

/// `name-char` of RFC 9535, section 2.5.1.1.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn syntax_error(text: &str, error: &JsonPathError) -> PathError {
    let at = match error {
        JsonPathError::PestError(error) => match error.location {
            pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => at,
        },
        JsonPathError::UnexpectedRuleLogicError(..)
        | JsonPathError::UnexpectedNoneLogicError(..)
        | JsonPathError::UnexpectedPestOutput
        | JsonPathError::NoRulePath
        | JsonPathError::NoJsonPathDescent
        | JsonPathError::NoJsonPathField
        | JsonPathError::InvalidNumber(_)
        | JsonPathError::InvalidTopLevelRule(_)
        | JsonPathError::EmptyInner(_)
        | JsonPathError::InvalidJsonPath(_)
        | JsonPathError::MaxNestingDepthExceeded(_) => 0,
    };
    if !text.starts_with('$') {
        return PathError::new(0, "a path begins with `$`").help(format!("write `$.{text}`"));
    }
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let error = PathError::new(at, "this is no path of RFC 9535");
    match after.chars().next() {
        None => error.help("the path ends too early: something is missing here"),
        Some('-') if before.ends_with(is_name_character) => {
            let name_start = before.rfind(|c| !is_name_character(c)).map_or(0, |dot| dot + 1);
            let name: String = text
                .chars()
                .skip(text.get(..name_start).map_or(0, |start| start.chars().count()))
                .take_while(|c| is_name_character(*c) || *c == '-')
                .collect();
            error.help(format!("a name with a hyphen is written `['{name}']`"))
        }
        Some('0'..='9') if before.ends_with('.') => {
            error.help("an index is written `[0]`, a name that begins with a digit `['0']`")
        }
        Some(c) => error.help(format!("`{c}` is not expected here")),
    }
}

impl fmt::Display for Path {
    /// The path as one would write it: names in short form where the standard has one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$")?;
        for segment in &self.segments {
            if segment.descendant {
                write!(f, "..")?;
            }
            match segment.selectors.as_slice() {
                [Selector::Name(name)] if has_short_form(name) => {
                    write!(f, "{}{name}", if segment.descendant { "" } else { "." })?;
                }
                [Selector::Wildcard] if segment.descendant => write!(f, "*")?,
                selectors => {
                    for (index, selector) in selectors.iter().enumerate() {
                        write!(f, "{}{selector}", if index == 0 { "[" } else { "," })?;
                    }
                    write!(f, "]")?;
                }
            }
        }
        Ok(())
    }
}

fn has_short_form(name: &str) -> bool {
    name.starts_with(|c: char| is_name_character(c) && !c.is_ascii_digit())
        && name.chars().all(|c| is_name_character(c) && !c.is_whitespace())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Escapes of a normalised path, RFC 9535, section 2.7.
            Self::Name(name) => {
                write!(f, "'")?;
                for c in name.chars() {
                    match c {
                        '\u{8}' => write!(f, "\\b")?,
                        '\t' => write!(f, "\\t")?,
                        '\n' => write!(f, "\\n")?,
                        '\u{c}' => write!(f, "\\f")?,
                        '\r' => write!(f, "\\r")?,
                        '\'' | '\\' => write!(f, "\\{c}")?,
                        c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
                        c => write!(f, "{c}")?,
                    }
                }
                write!(f, "'")
            }
            Self::Wildcard => write!(f, "*"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Slice { start, end, step } => {
                if *start > 0 {
                    write!(f, "{start}")?;
                }
                write!(f, ":")?;
                if let Some(end) = end {
                    write!(f, "{end}")?;
                }
                if *step != 1 {
                    write!(f, ":{step}")?;
                }
                Ok(())
            }
        }
    }
}
