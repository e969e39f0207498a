//! Reads what people write for a path, and writes the path that it stands for.

use std::borrow::Cow;

use crate::path::syntax::{is_hidden, is_name_character, is_typographic_quote, quoted};

/// Deepest nesting of brackets and filters that is followed.
const DEPTH_MAX: usize = 16;

/// Why nothing is proposed.
pub(super) enum Stop {
    /// It cannot be said in a path, and this is why.
    Say(Cow<'static, str>),
    /// Nobody can say what is meant.
    Unclear,
}

impl Stop {
    pub(super) fn say<T>(why: impl Into<Cow<'static, str>>) -> Result<T, Self> {
        Err(Self::Say(why.into()))
    }
}

pub(super) const PATTERNS: &str = "a name has no patterns: list the names, as in `$['first_name','last_name']`, or take all members with `$.*`";
const ROOT: &str = "a path begins with `$`";
const ENDS: &str = "no white space stands at either end";
const STRAIGHT: &str =
    "the quotes are those of a word processor, and a path has straight ones: `'`";
const UNQUOTED: &str = "the path itself stands in no quotes";
const UNBRACED: &str = "no braces stand around a path";
const HIDDEN: &str = "there are characters in it that cannot be seen";
const SPACES: &str = "there are spaces in it that are no plain spaces";
const WIDE: &str = "its signs are those of ASCII";
const AT: &str = "`@` is the element that a filter asks about, and `$` the document";
const AFTER_ROOT: &str = "behind `$` stands a dot";
const SLASHES: &str = "members stand behind dots, not behind slashes";
const ARROWS: &str = "members stand behind dots, not behind arrows";
const TWO_DOTS: &str = "members at any depth stand behind two dots";
const LAST_DOT: &str = "nothing stands behind the last dot";
const NO_DOT: &str = "no dot stands before a bracket";
const OPTIONAL: &str =
    "a path selects nothing where a member is missing, and needs no `?` for that";
const PIPES: &str = "it is one path, without `|`";
const ELEMENTS: &str = "all elements of an array are `[*]`";
const INDEX: &str = "an index stands in brackets";
const NAME: &str =
    "a name with other characters than letters, digits and `_` stands in brackets and quotes";
const NAMES: &str = "a name in brackets stands in quotes";
const CLOSED: &str = "a bracket that is opened has to be closed";
const LAST: &str = "the last element is `[-1]`";
const FILTER: &str = "a filter begins with `?`";

/// Why a text is not as it should be, each reason once.
#[derive(Default)]
pub(super) struct Notes(Vec<Cow<'static, str>>);

impl Notes {
    pub(super) fn add(&mut self, note: impl Into<Cow<'static, str>>) {
        let note = note.into();
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// All of them, in one line.
    pub(super) fn joined(&self) -> String {
        self.0.join("; ")
    }
}

/// The text with plain quotes, spaces and signs, and without what wraps it.
pub(super) fn plain(text: &str, notes: &mut Notes) -> Vec<char> {
    let is_space = |c: char| c.is_whitespace() || is_hidden(c);
    let trimmed = text.trim_matches(is_space);
    if trimmed != text {
        notes.add(ENDS);
    }
    let mut plain = Vec::new();
    let mut open = None;
    for c in trimmed.chars() {
        if let Some(quote) = open {
            open = (c != quote).then_some(quote);
            plain.push(c);
        } else if is_typographic_quote(c) {
            notes.add(STRAIGHT);
            plain.push(if matches!(c, '“' | '”' | '„' | '‟' | '″' | '«' | '»' | '＂') {
                '"'
            } else {
                '\''
            });
        } else if is_hidden(c) {
            notes.add(HIDDEN);
        } else if c.is_whitespace() && !c.is_ascii() {
            notes.add(SPACES);
            plain.push(' ');
        } else if let Some(ascii) = narrow(c) {
            notes.add(WIDE);
            plain.push(ascii);
        } else {
            open = Some(c).filter(|c| matches!(c, '\'' | '"'));
            plain.push(c);
        }
    }
    loop {
        let inner = match plain.as_slice() {
            ['\'' | '"' | '`', inner @ .., last]
                if plain.first() == Some(last) && !inner.contains(last) =>
            {
                if !inner.is_empty() && notes.0.iter().all(|note| note != STRAIGHT) {
                    notes.add(UNQUOTED);
                }
                inner
            }
            ['{', inner @ .., '}'] | ['$', '{', inner @ .., '}'] => {
                notes.add(UNBRACED);
                inner
            }
            _ => return plain,
        };
        let inner: String = inner.iter().collect();
        plain = inner.trim().chars().collect();
    }
}

/// The ASCII sign that a full-width one or a dash stands for.
fn narrow(c: char) -> Option<char> {
    match c {
        '–' | '—' | '−' => Some('-'),
        '！'..='～' => {
            let ascii = u32::from(c).checked_sub(0xfee0).and_then(char::from_u32)?;
            // Letters of full width are letters of a name.
            ascii.is_ascii_punctuation().then_some(ascii)
        }
        _ => None,
    }
}

/// Reads what people write, and writes the path that it stands for.
pub(super) struct Reader<'t> {
    pub(super) chars: &'t [char],
    pub(super) at: usize,
    pub(super) depth: usize,
    /// Whether a path ends at white space and signs of comparison.
    pub(super) in_filter: bool,
    pub(super) notes: &'t mut Notes,
    /// Reads a filter, from its first character behind `?` on. A path holds filters, and a filter paths: the two
    /// files would need each other.
    filter: ReadFilter,
}

/// Reads a filter, and writes the one that it stands for.
pub(super) type ReadFilter = fn(&mut Reader<'_>) -> Result<String, Stop>;

/// What a path in a filter calls at its end, as in `@.name.length()`.
pub(super) type Method = Option<String>;

impl<'t> Reader<'t> {
    /// A text that is a path by itself.
    pub(super) fn new(chars: &'t [char], notes: &'t mut Notes, filter: ReadFilter) -> Self {
        Self { chars, at: 0, depth: 0, in_filter: false, notes, filter }
    }
}

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> Option<char> {
        self.chars.get(self.at + by).copied()
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let is_next = text.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    pub(super) fn spaces(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.at > start
    }

    /// The path that the text stands for.
    pub(super) fn path(&mut self) -> Result<String, Stop> {
        let mut path = "$".to_owned();
        let by_slashes =
            self.peek() == Some('/') || (self.peek() == Some('#') && self.ahead(1) == Some('/'));
        match (self.peek(), self.ahead(1)) {
            (None, _) => return Err(Stop::Unclear),
            (Some('#'), Some('/')) => self.at += 1,
            (Some('$'), next) => {
                self.at += 1;
                if next.is_some_and(|c| is_name_character(c) || c == '-') {
                    self.notes.add(AFTER_ROOT);
                    self.word(&mut path, false, false)?;
                }
            }
            (Some('@'), None | Some('.' | '[')) => {
                self.at += 1;
                self.notes.add(AT);
            }
            (Some('.' | '['), _) => self.notes.add(ROOT),
            (Some('/'), _) => {}
            (Some('\'' | '"'), _) => {
                self.notes.add(ROOT);
                let name = self.string()?;
                path.extend(["[", &*quoted(&name), "]"]);
            }
            (Some(_), _) => {
                self.notes.add(ROOT);
                self.word(&mut path, false, false)?;
            }
        }
        self.steps(&mut path, by_slashes)?;
        if self.at < self.chars.len() { Err(Stop::Unclear) } else { Ok(path) }
    }

    /// The steps behind the root, as segments; in a filter up to where the path ends.
    pub(super) fn steps(&mut self, path: &mut String, by_slashes: bool) -> Result<Method, Stop> {
        loop {
            let before = self.at;
            if !self.in_filter {
                self.spaces();
            }
            match (self.peek(), self.ahead(1)) {
                (None, _) => return Ok(None),
                (Some('.'), _) if !by_slashes => {
                    if let Some(method) = self.dots(path)? {
                        return Ok(Some(method));
                    }
                }
                (Some('['), _) => self.bracket(path, false)?,
                (Some('?'), None | Some('.' | '[' | ' ')) if !self.in_filter => {
                    self.at += 1;
                    self.notes.add(OPTIONAL);
                }
                (Some('?'), Some('.')) => {
                    self.at += 1;
                    self.notes.add(OPTIONAL);
                }
                (Some('-'), Some('>')) => {
                    self.at += 2;
                    self.eat(">");
                    self.spaces();
                    self.notes.add(ARROWS);
                    self.member(path, false, by_slashes)?;
                }
                _ if self.in_filter => {
                    self.at = before;
                    return Ok(None);
                }
                (Some('/'), next) => {
                    self.at += 1;
                    self.notes.add(SLASHES);
                    let descendant = next == Some('/');
                    if descendant {
                        self.at += 1;
                    }
                    if self.peek().is_some() {
                        self.member(path, descendant, by_slashes)?;
                    }
                }
                (Some('|'), _) => self.pipe(path)?,
                (Some('~'), _) => {
                    return Stop::say(
                        "a path selects values, not names: of what category names are, `names` says",
                    );
                }
                (Some('^'), _) => {
                    return Stop::say("a path goes down only: it cannot select a parent");
                }
                (Some('('), _) => {
                    return Stop::say(
                        "functions stand in filters only, as in `$.items[?length(@.name) > 3]`",
                    );
                }
                (Some(','), _) => {
                    return Stop::say(
                        "each path stands on a line of its own; several members of one object are `$['home','work']`",
                    );
                }
                _ => return Err(Stop::Unclear),
            }
        }
    }

    /// What stands behind one dot or more.
    fn dots(&mut self, path: &mut String) -> Result<Method, Stop> {
        let mut dots = 0_usize;
        while self.eat(".") {
            dots += 1;
        }
        let descendant = dots > 1;
        if dots > 2 {
            self.notes.add(TWO_DOTS);
        }
        self.spaces();
        match self.peek() {
            None if descendant => {
                Stop::say("behind `..` stands a name, `*` or a bracket, as in `$..email`")
            }
            None => {
                self.notes.add(if path == "$" { "the whole document is `$`" } else { LAST_DOT });
                Ok(None)
            }
            Some('[') => {
                if !descendant {
                    self.notes.add(NO_DOT);
                }
                self.bracket(path, descendant)?;
                Ok(None)
            }
            Some(_) => self.member(path, descendant, false),
        }
    }

    /// A member by its name, or all of them.
    fn member(
        &mut self,
        path: &mut String,
        descendant: bool,
        by_slashes: bool,
    ) -> Result<Method, Stop> {
        match (self.peek(), self.ahead(1)) {
            (Some('*'), Some('*')) => {
                self.at += 2;
                self.notes.add("everything below is `..*`");
                path.push_str("..*");
                Ok(None)
            }
            (Some('*'), next) if !next.is_some_and(|c| is_name_character(c) || c == '-') => {
                self.at += 1;
                path.push_str(if descendant { "..*" } else { ".*" });
                Ok(None)
            }
            (Some('*'), _) => Stop::say(PATTERNS),
            (Some('\'' | '"'), _) => {
                let name = self.string()?;
                self.notes.add("a name in quotes stands in brackets");
                path.extend([if descendant { "..[" } else { "[" }, &*quoted(&name), "]"]);
                Ok(None)
            }
            (Some('.'), Some('/') | None) if by_slashes => {
                self.at += 1;
                Ok(None)
            }
            (Some('.'), Some('.')) if by_slashes => {
                Stop::say("a path goes down only: it cannot select a parent")
            }
            _ => self.word(path, descendant, by_slashes),
        }
    }

    /// A name, an index by digits, or in a filter the name of a method.
    fn word(
        &mut self,
        path: &mut String,
        descendant: bool,
        by_slashes: bool,
    ) -> Result<Method, Stop> {
        let (word, is_spaced) = self.loose_word(by_slashes);
        if word.is_empty() {
            return Err(Stop::Unclear);
        }
        if word.contains('*') {
            return Stop::say(PATTERNS);
        }
        if self.in_filter && self.peek() == Some('(') {
            return Ok(Some(word));
        }
        let word = if by_slashes { word.replace("~1", "/").replace("~0", "~") } else { word };
        let above = if descendant { ".." } else { "" };
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.notes
                .add(format!("{INDEX}, and a name of digits in brackets and quotes: `['{word}']`"));
            path.extend([above, "[", &*word, "]"]);
            return Ok(None);
        }
        if is_spaced || !is_short(&word) {
            self.notes.add(NAME);
        }
        path.extend([above, "[", &*quoted(&word), "]"]);
        Ok(None)
    }

    /// The characters of a name that stands without quotes, and whether there is white space in it.
    fn loose_word(&mut self, by_slashes: bool) -> (String, bool) {
        let mut word = String::new();
        let mut is_spaced = false;
        while let Some(c) = self.peek() {
            let next = self.ahead(1);
            let is_url = word.contains("://");
            let is_part = match c {
                '[' | ']' | '|' | '(' | ')' | '{' | '}' | ',' | '\'' | '"' => false,
                '.' if by_slashes => true,
                '.' => {
                    is_url
                        || (word.contains(':')
                            && word.ends_with(|c: char| c.is_ascii_digit())
                            && next.is_some_and(|c| c.is_ascii_digit()))
                }
                '/' => is_url || word.ends_with(':') || word.ends_with(":/"),
                '?' => is_url,
                '~' | '^' => by_slashes,
                '-' => {
                    next != Some('>') && (!self.in_filter || next.is_some_and(is_name_character))
                }
                ' ' if !self.in_filter => {
                    let rest = self.chars.get(self.at..).unwrap_or_default();
                    let goes_on = rest.iter().find(|c| !c.is_whitespace());
                    let goes_on = goes_on.is_some_and(|c| is_name_character(*c));
                    is_spaced |= goes_on;
                    goes_on && !word.is_empty()
                }
                c if self.in_filter => {
                    is_name_character(c)
                        || c == ':'
                        || (word.is_empty() && matches!(c, '@' | '#' | '$'))
                }
                c => !c.is_whitespace(),
            };
            if !is_part {
                break;
            }
            word.push(c);
            self.at += 1;
        }
        (word, is_spaced)
    }

    /// A text in quotes, decoded.
    pub(super) fn string(&mut self) -> Result<String, Stop> {
        let quote = self.peek().ok_or(Stop::Unclear)?;
        let mut text = String::new();
        self.at += 1;
        loop {
            let c = self.peek().ok_or(Stop::Unclear)?;
            self.at += 1;
            match c {
                '\\' => {
                    let escaped = self.peek().ok_or(Stop::Unclear)?;
                    self.at += 1;
                    match escaped {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        '\\' | '/' | '\'' | '"' => text.push(escaped),
                        // In a pattern a backslash by itself is what was meant.
                        other => text.extend(['\\', other]),
                    }
                }
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    }

    /// `| .email` and `| select(..)` of jq.
    fn pipe(&mut self, path: &mut String) -> Result<(), Stop> {
        self.at += 1;
        self.spaces();
        self.notes.add(PIPES);
        if self.eat("select(") {
            let condition = self.until(')')?;
            if let Some(above) = path.strip_suffix("[*]") {
                *path = above.to_owned();
            }
            let filter = self.inside(&condition, self.filter)?;
            path.extend(["[?", &*filter, "]"]);
            return Ok(());
        }
        if matches!(self.peek(), Some('.' | '[')) { Ok(()) } else { Err(Stop::Unclear) }
    }

    /// What stands up to a closing bracket, which is passed; up to the end if there is none.
    fn until(&mut self, close: char) -> Result<Vec<char>, Stop> {
        let start = self.at;
        let mut open = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                '\'' | '"' => {
                    self.string()?;
                    continue;
                }
                '[' => open.push(']'),
                '(' => open.push(')'),
                ']' | ')' if open.last() == Some(&c) => {
                    open.pop();
                }
                c if c == close => break,
                _ => {}
            }
            self.at += 1;
        }
        let inner = self.chars.get(start..self.at).unwrap_or_default().to_vec();
        if self.peek().is_some() {
            self.at += 1;
        } else {
            self.notes.add(CLOSED);
        }
        Ok(inner)
    }

    /// Reads `chars` by themselves, one level deeper, to their end.
    pub(super) fn inside<T>(
        &mut self,
        chars: &[char],
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if self.depth >= DEPTH_MAX {
            return Err(Stop::Unclear);
        }
        let (depth, filter) = (self.depth + 1, self.filter);
        let mut inner = Reader { chars, at: 0, depth, in_filter: true, notes: self.notes, filter };
        let read = read(&mut inner)?;
        inner.spaces();
        if inner.at < chars.len() { Err(Stop::Unclear) } else { Ok(read) }
    }

    fn bracket(&mut self, path: &mut String, descendant: bool) -> Result<(), Stop> {
        self.at += 1;
        let inner = self.until(']')?;
        let text: String = inner.iter().collect::<String>().trim().to_owned();
        let selector = match text.as_str() {
            // Placeholders of those who write about code are letters.
            "" | "#" | "i" | "n" | "x" | "index" => {
                self.notes.add(ELEMENTS);
                "*".to_owned()
            }
            "*" => text,
            "last()" | "last" | "(@.length-1)" | "(@.length - 1)" | "@.length-1" => {
                self.notes.add(LAST);
                "-1".to_owned()
            }
            "first()" => "0".to_owned(),
            numbers
                if numbers
                    .chars()
                    .all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | ',' | ' ')) =>
            {
                text
            }
            filter if filter.starts_with('?') => {
                let condition: Vec<char> = filter.chars().skip(1).collect();
                format!("?{}", self.inside(&condition, self.filter)?)
            }
            condition if is_condition(condition) => {
                self.notes.add(FILTER);
                let condition: Vec<char> = condition.chars().collect();
                format!("?{}", self.inside(&condition, self.filter)?)
            }
            _ => self.inside(&inner, names)?,
        };
        path.extend([if descendant { "..[" } else { "[" }, &*selector, "]"]);
        Ok(())
    }
}

/// Names between commas, with quotes or without.
fn names(reader: &mut Reader<'_>) -> Result<String, Stop> {
    let mut names = Vec::new();
    loop {
        reader.spaces();
        if matches!(reader.peek(), Some('\'' | '"')) {
            names.push(quoted(&reader.string()?));
        } else {
            let start = reader.at;
            while reader.peek().is_some_and(|c| !matches!(c, ',' | '|' | '\'' | '"' | '[' | ']')) {
                reader.at += 1;
            }
            let name: String =
                reader.chars.get(start..reader.at).unwrap_or_default().iter().collect();
            let name = name.trim();
            if name.contains('*') {
                return Stop::say(PATTERNS);
            }
            if name.is_empty() || name.starts_with(['@', '$', '(']) {
                return Err(Stop::Unclear);
            }
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                names.push(name.to_owned());
            } else {
                reader.notes.add(NAMES);
                names.push(quoted(name));
            }
        }
        reader.spaces();
        match reader.peek() {
            Some(',') => reader.at += 1,
            Some('|') => {
                reader.notes.add("several members stand between commas");
                reader.at += 1;
            }
            _ => return Ok(names.join(",")),
        }
    }
}

/// Whether a name has a short form.
fn is_short(name: &str) -> bool {
    name.starts_with(|c: char| is_name_character(c) && !c.is_ascii_digit())
        && name.chars().all(is_name_character)
}

/// Whether what stands in brackets looks like a condition rather than a name.
fn is_condition(text: &str) -> bool {
    let words =
        [" in ", " not in ", " nin ", " and ", " or ", " eq ", " ne ", " contains ", " like "];
    text.starts_with("@.")
        || text.starts_with("(@")
        || text.contains(['=', '<', '>'])
        || words.iter().any(|word| text.to_ascii_lowercase().contains(word))
}
