//! What was probably meant by a filter that RFC 9535 does not have: signs and words of other languages, texts
//! without quotes, functions and regular expressions of elsewhere.

use crate::path::{
    meant::reader::{Reader, Stop},
    pattern::{PATTERN_BYTES_MAX, compile_pattern, short_class},
    syntax::{Path, is_name_character, quoted},
};

const EQUAL: &str = "equal is `==`";
const UNEQUAL: &str = "unequal is `!=`";
const THERE: &str = "`!=` also holds where there is nothing";
const ORDER: &str = "order is `<`, `<=`, `>` and `>=`";
const AND: &str = "\"and\" is `&&`";
const OR: &str = "\"or\" is `||`";
const NOT: &str = "\"not\" is `!`";
const NAMES: &str = "a member of the element is `@.name`";
const TEXTS: &str = "a text stands in quotes";
const WORDS: &str = "`true`, `false` and `null` are written so";
const IN: &str = "there is no `in`: each value is compared by itself";
const EXISTS: &str = "that something is there is said by its path alone";
const CONTAINS: &str = "a part of a text is found by `search`";
const WHOLE: &str = "`match` is about the whole text";
const MATCHES: &str =
    "a text is held against a regular expression by `match`, or by `search` for a part of it";
const ANCHORS: &str =
    "`^` and `$` are no part of it: `match` is about the whole text already, `search` about a part";
const CLASSES: &str = "it has no short classes such as `\\d`, which is `[0-9]`";
const LENGTH: &str = "how long something is, is `length(..)`";

/// What is compared, as far as it can be told before the other side is known.
enum Operand {
    /// A query, a function that gives a value, or a value.
    Value(String),
    /// A query of what is there.
    Query(String),
    /// A text in quotes.
    Text(String),
    /// A word without quotes: the name of a member, or a text.
    Word(String),
    /// A condition by itself.
    Condition(String),
}

impl Operand {
    /// As it is compared with something; `is_left` for the side where names stand.
    fn compared(self, is_left: bool, reader: &mut Reader<'_>) -> Result<String, Stop> {
        match self {
            Self::Value(text) | Self::Query(text) => Ok(text),
            Self::Text(text) => Ok(quoted(&text)),
            Self::Word(word) if is_left => Ok(named(&word, reader)),
            Self::Word(word) => {
                reader.notes.add(TEXTS);
                Ok(quoted(&word))
            }
            Self::Condition(_) => Err(Stop::Unclear),
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Value(_))
    }
}

fn named(word: &str, reader: &mut Reader<'_>) -> String {
    reader.notes.add(NAMES);
    format!("@[{}]", quoted(word))
}

/// A filter, from its first character behind `?` on.
pub(super) fn filter(reader: &mut Reader<'_>) -> Result<String, Stop> {
    let mut all = vec![conjunction(reader)?];
    loop {
        reader.spaces();
        if reader.eat("||") {
        } else if word(reader, "or") || reader.eat("|") {
            reader.notes.add(OR);
        } else {
            return Ok(all.join(" || "));
        }
        all.push(conjunction(reader)?);
    }
}

fn conjunction(reader: &mut Reader<'_>) -> Result<String, Stop> {
    let mut all = vec![negation(reader)?];
    loop {
        reader.spaces();
        if reader.eat("&&") {
        } else if word(reader, "and") || reader.eat("&") {
            reader.notes.add(AND);
        } else {
            return Ok(all.join(" && "));
        }
        all.push(negation(reader)?);
    }
}

fn negation(reader: &mut Reader<'_>) -> Result<String, Stop> {
    reader.spaces();
    let is_sign = reader.peek() == Some('!') && reader.ahead(1) != Some('=');
    let not = if is_sign {
        reader.at += 1;
        true
    } else {
        let not = word(reader, "not");
        if not {
            reader.notes.add(NOT);
        }
        not
    };
    if not {
        return Ok(format!("!({})", negation(reader)?));
    }
    if reader.peek() != Some('(') {
        return comparison(reader);
    }
    let inner = group(reader)?;
    Ok(format!("({})", reader.inside(&inner, filter)?))
}

/// What stands in parentheses, which are passed.
fn group(reader: &mut Reader<'_>) -> Result<Vec<char>, Stop> {
    let mut depth = 0_usize;
    let start = reader.at + 1;
    while let Some(c) = reader.peek() {
        match c {
            '\'' | '"' => {
                reader.string()?;
                continue;
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        reader.at += 1;
        if depth == 0 {
            let inner = reader.chars.get(start..reader.at - 1);
            return inner.map(<[char]>::to_vec).ok_or(Stop::Unclear);
        }
    }
    Err(Stop::Unclear)
}

/// A word of its own, in any case.
fn word(reader: &mut Reader<'_>, expected: &str) -> bool {
    let mut next = expected.chars().enumerate();
    let is_next =
        next.all(|(at, c)| reader.ahead(at).is_some_and(|found| found.eq_ignore_ascii_case(&c)));
    let length = expected.chars().count();
    let ends =
        !reader.ahead(length).is_some_and(|c| is_name_character(c) || matches!(c, '.' | '['));
    if is_next && ends {
        reader.at += length;
    }
    is_next && ends
}

/// How two sides are held against each other.
enum Relation {
    Sign(&'static str),
    /// Unequal, and there: `!=` also holds where one side is nothing.
    IsNot,
    In,
    NotIn,
    Call(&'static str),
}

fn relation(reader: &mut Reader<'_>) -> Option<Relation> {
    const SIGNS: [(&str, &str, Option<&str>); 13] = [
        ("===", "==", Some(EQUAL)),
        ("!==", "!=", Some(UNEQUAL)),
        ("==", "==", None),
        ("!=", "!=", None),
        ("<>", "!=", Some(UNEQUAL)),
        ("<=", "<=", None),
        (">=", ">=", None),
        ("=<", "<=", Some(ORDER)),
        ("=>", ">=", Some(ORDER)),
        ("<", "<", None),
        (">", ">", None),
        ("=", "==", Some(EQUAL)),
        (":", "==", Some(EQUAL)),
    ];
    const WORDS: [(&str, &str, &str); 9] = [
        ("eq", "==", EQUAL),
        ("equals", "==", EQUAL),
        ("ne", "!=", UNEQUAL),
        ("lt", "<", ORDER),
        ("le", "<=", ORDER),
        ("lte", "<=", ORDER),
        ("gt", ">", ORDER),
        ("ge", ">=", ORDER),
        ("gte", ">=", ORDER),
    ];
    reader.spaces();
    if reader.eat("=~") || reader.eat("~=") || word(reader, "matches") {
        return Some(Relation::Call("=~"));
    }
    for (written, sign, note) in SIGNS {
        if reader.eat(written) {
            if let Some(note) = note {
                reader.notes.add(note);
            }
            return Some(Relation::Sign(sign));
        }
    }
    for (written, sign, note) in WORDS {
        if word(reader, written) {
            reader.notes.add(note);
            return Some(Relation::Sign(sign));
        }
    }
    if word(reader, "is") {
        reader.spaces();
        let not = word(reader, "not");
        reader.notes.add(if not { UNEQUAL } else { EQUAL });
        return Some(if not { Relation::IsNot } else { Relation::Sign("==") });
    }
    if word(reader, "in") || word(reader, "anyof") {
        return Some(Relation::In);
    }
    if word(reader, "nin") {
        return Some(Relation::NotIn);
    }
    let start = reader.at;
    if word(reader, "not") {
        reader.spaces();
        if word(reader, "in") {
            return Some(Relation::NotIn);
        }
        reader.at = start;
    }
    for call in
        ["contains", "includes", "startswith", "starts_with", "endswith", "ends_with", "like"]
    {
        if word(reader, call) {
            return Some(Relation::Call(call));
        }
    }
    None
}

fn comparison(reader: &mut Reader<'_>) -> Result<String, Stop> {
    let left = operand(reader)?;
    let Some(relation) = relation(reader) else {
        return match left {
            Operand::Query(text) | Operand::Condition(text) => Ok(text),
            Operand::Word(word) => Ok(named(&word, reader)),
            Operand::Text(_) | Operand::Value(_) => Err(Stop::Unclear),
        };
    };
    match relation {
        Relation::Sign(sign) => {
            let (left, right) = sides(left, reader)?;
            Ok(format!("{left} {sign} {right}"))
        }
        Relation::IsNot => {
            let (left, right) = sides(left, reader)?;
            if !left.starts_with(['@', '$']) {
                return Err(Stop::Unclear);
            }
            reader.notes.add(THERE);
            Ok(format!("({left} && {left} != {right})"))
        }
        Relation::In => one_of(left, true, reader),
        Relation::NotIn => one_of(left, false, reader),
        Relation::Call(name) => {
            reader.spaces();
            let argument = argument(reader)?;
            call(name, left, argument, reader)
        }
    }
}

/// Both sides of a comparison.
fn sides(left: Operand, reader: &mut Reader<'_>) -> Result<(String, String), Stop> {
    reader.spaces();
    let right = operand(reader)?;
    let left_is_literal = left.is_literal();
    let left = left.compared(true, reader)?;
    Ok((left, right.compared(left_is_literal, reader)?))
}

/// `in` and its like: each value by itself.
fn one_of(left: Operand, is_in: bool, reader: &mut Reader<'_>) -> Result<String, Stop> {
    reader.spaces();
    reader.notes.add(IN);
    let list = match reader.peek() {
        Some('[' | '(') => group(reader)?,
        Some('@' | '$') => {
            let Operand::Query(list) = operand(reader)? else { return Err(Stop::Unclear) };
            let Operand::Text(text) = left else {
                return Stop::say(
                    "there is no `in`: only values that are written out can be compared with, as in `$.items[?@.type == 'a' || @.type == 'b']`",
                );
            };
            return Ok(contained(&list, &quoted(&text), is_in));
        }
        _ => return Err(Stop::Unclear),
    };
    let values = reader.inside(&list, |reader| {
        let mut values = Vec::new();
        loop {
            reader.spaces();
            values.push(operand(reader)?.compared(false, reader)?);
            reader.spaces();
            if !reader.eat(",") {
                return Ok(values);
            }
        }
    })?;
    let left = left.compared(true, reader)?;
    let sign = if is_in { "==" } else { "!=" };
    let each: Vec<String> = values.iter().map(|value| format!("{left} {sign} {value}")).collect();
    match each.as_slice() {
        [one] => Ok(one.clone()),
        _ => Ok(format!("({})", each.join(if is_in { " || " } else { " && " }))),
    }
}

/// Whether an array has a value.
fn contained(list: &str, value: &str, is_in: bool) -> String {
    format!("{}{list}[?@ == {value}]", if is_in { "" } else { "!" })
}

/// What stands behind a word such as `contains`: a value, or a pattern between slashes.
enum Argument {
    Operand(Operand),
    Pattern(String),
}

fn argument(reader: &mut Reader<'_>) -> Result<Argument, Stop> {
    if reader.peek() != Some('/') {
        return operand(reader).map(Argument::Operand);
    }
    let mut pattern = String::new();
    reader.at += 1;
    loop {
        let c = reader.peek().ok_or(Stop::Unclear)?;
        reader.at += 1;
        match c {
            '/' => break,
            '\\' if reader.peek() == Some('/') => {
                pattern.push('/');
                reader.at += 1;
            }
            '\\' => {
                pattern.push('\\');
                pattern.extend(reader.peek());
                reader.at += 1;
            }
            c => pattern.push(c),
        }
    }
    let mut flags = String::new();
    while let Some(c) = reader.peek().filter(char::is_ascii_alphabetic) {
        flags.push(c);
        reader.at += 1;
    }
    if flags.chars().any(|flag| !matches!(flag, 'g' | 'u')) {
        return Stop::say(
            "a regular expression of RFC 9485 has no flags: where case does not matter, write both, as in `$.items[?match(@.type, '[Ww]ork')]`",
        );
    }
    Ok(Argument::Pattern(pattern))
}

/// `contains` and its like, written before, between or behind what they are about.
fn call(
    name: &str,
    left: Operand,
    argument: Argument,
    reader: &mut Reader<'_>,
) -> Result<String, Stop> {
    let text = match (&left, &argument) {
        (Operand::Word(_) | Operand::Query(_), _) => left.compared(true, reader)?,
        _ => return Err(Stop::Unclear),
    };
    let literal = match argument {
        Argument::Pattern(pattern) => {
            reader.notes.add(MATCHES);
            return matching(&text, &pattern, false, reader);
        }
        Argument::Operand(Operand::Text(literal) | Operand::Word(literal)) => literal,
        Argument::Operand(Operand::Value(value)) if matches!(name, "contains" | "includes") => {
            reader.notes.add("an element of an array is found by a filter of its own");
            return Ok(contained(&text, &value, true));
        }
        Argument::Operand(_) => return Err(Stop::Unclear),
    };
    let escaped = escape(&literal);
    match name {
        "contains" | "includes" => {
            reader.notes.add(CONTAINS);
            // Printed as one would write it, by way of the path that it would be.
            let list = contained(&text, &quoted(&literal), true).replacen('@', "$", 1);
            if let Ok(list) = Path::read(&list) {
                let list = list.to_string().replacen('$', "@", 1);
                reader.notes.add(format!("an element of an array, by `{list}`"));
            }
            Ok(format!("search({text},{})", quoted(&escaped)))
        }
        "startswith" | "starts_with" => {
            reader.notes.add(WHOLE);
            Ok(format!("match({text},{})", quoted(&format!("{escaped}.*"))))
        }
        "endswith" | "ends_with" => {
            reader.notes.add(WHOLE);
            Ok(format!("match({text},{})", quoted(&format!(".*{escaped}"))))
        }
        "like" => {
            reader.notes.add(WHOLE);
            let pattern = escaped.replace('%', ".*").replace('_', ".");
            Ok(format!("match({text},{})", quoted(&pattern)))
        }
        _ => {
            reader.notes.add(MATCHES);
            matching(&text, &literal, false, reader)
        }
    }
}

/// The text as a regular expression that matches it and nothing else.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"()*+-.?[\]^{|}$".contains(c) {
            // The dollar sign has no escape in RFC 9485.
            if c == '$' {
                escaped.push_str("[$]");
                continue;
            }
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `match` or `search`, with a pattern of RFC 9485.
fn matching(
    text: &str,
    pattern: &str,
    whole: bool,
    reader: &mut Reader<'_>,
) -> Result<String, Stop> {
    let begins = pattern.strip_prefix('^');
    let rest = begins.unwrap_or(pattern);
    let ends = rest.strip_suffix('$').filter(|before| !before.ends_with('\\'));
    let rest = ends.unwrap_or(rest);
    if begins.is_some() || ends.is_some() {
        reader.notes.add(ANCHORS);
    }
    let mut read = String::new();
    let mut in_class = false;
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            match c {
                '[' => in_class = true,
                ']' => in_class = false,
                _ => {}
            }
            read.push(c);
            continue;
        }
        let escaped = characters.next().ok_or(Stop::Unclear)?;
        match short_class(escaped) {
            None => read.extend(['\\', escaped]),
            Some((_, true)) if in_class => return Err(Stop::Unclear),
            Some((class, _)) if in_class => {
                reader.notes.add(CLASSES);
                read.push_str(class);
            }
            Some((class, not)) => {
                reader.notes.add(CLASSES);
                read.extend([if not { "[^" } else { "[" }, class, "]"]);
            }
        }
    }
    // What an anchor says, `match` says by its name.
    let (whole, read) = match (whole, begins.is_some(), ends.is_some()) {
        (true, _, _) | (false, true, true) => (true, read),
        (false, true, false) => (true, format!("{read}.*")),
        (false, false, true) => (true, format!(".*{read}")),
        (false, false, false) => (false, read),
    };
    if compile_pattern(&read, whole, PATTERN_BYTES_MAX).is_err() {
        return Err(Stop::Unclear);
    }
    Ok(format!("{}({text},{})", if whole { "match" } else { "search" }, quoted(&read)))
}

fn operand(reader: &mut Reader<'_>) -> Result<Operand, Stop> {
    reader.spaces();
    match (reader.peek(), reader.ahead(1)) {
        (Some('\'' | '"' | '`'), _) => reader.string().map(Operand::Text),
        (Some(c), next)
            if c.is_ascii_digit() || (c == '-' && next.is_some_and(|c| c.is_ascii_digit())) =>
        {
            let start = reader.at;
            while reader
                .peek()
                .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | ':'))
            {
                reader.at += 1;
            }
            let text: String =
                reader.chars.get(start..reader.at).unwrap_or_default().iter().collect();
            if serde_json::from_str::<serde_json::Number>(&text).is_ok() {
                return Ok(Operand::Value(text));
            }
            Ok(Operand::Word(text))
        }
        (Some('@' | '$'), _) => {
            let root = if reader.eat("$") {
                "$"
            } else {
                reader.at += 1;
                "@"
            };
            let mut path = root.to_owned();
            if reader.peek().is_some_and(is_name_character) {
                reader.notes.add("behind `@` or `$` stands a dot");
                let name = bare_word(reader);
                path.extend(["[", &*quoted(&name), "]"]);
            }
            query(path, reader)
        }
        (Some('.'), Some(_)) => {
            reader.notes.add(NAMES);
            query("@".to_owned(), reader)
        }
        (Some(c), _) if is_name_character(c) => {
            let name = bare_word(reader);
            if reader.peek() == Some('(') {
                return function(&name, None, reader);
            }
            if matches!(reader.peek(), Some('.' | '[')) {
                reader.notes.add(NAMES);
                return query(format!("@[{}]", quoted(&name)), reader);
            }
            let literal = match name.to_ascii_lowercase().as_str() {
                "true" => "true",
                "false" => "false",
                "null" | "none" | "nil" | "undefined" => "null",
                _ => return Ok(Operand::Word(name)),
            };
            if literal != name {
                reader.notes.add(WORDS);
            }
            Ok(Operand::Value(literal.to_owned()))
        }
        _ => Err(Stop::Unclear),
    }
}

fn bare_word(reader: &mut Reader<'_>) -> String {
    let mut word = String::new();
    while let Some(c) = reader.peek() {
        let goes_on = c == '-' && reader.ahead(1).is_some_and(is_name_character);
        let is_part = is_name_character(c) && !c.is_whitespace();
        if !is_part && !goes_on {
            break;
        }
        word.push(c);
        reader.at += 1;
    }
    word
}

/// The steps of a query behind what it begins with, and a method at its end.
fn query(mut path: String, reader: &mut Reader<'_>) -> Result<Operand, Stop> {
    match reader.steps(&mut path, false)? {
        None => Ok(Operand::Query(path)),
        Some(method) => function(&method, Some(Operand::Query(path)), reader),
    }
}

/// A function of RFC 9535 for one that it does not have; `of` for a method of something.
fn function(name: &str, of: Option<Operand>, reader: &mut Reader<'_>) -> Result<Operand, Stop> {
    let inner = group(reader)?;
    let is_method = of.is_some();
    let mut arguments: Vec<Argument> = of.map(Argument::Operand).into_iter().collect();
    if inner.iter().any(|c| !c.is_whitespace()) {
        arguments.extend(reader.inside(&inner, |reader| {
            let mut arguments = Vec::new();
            loop {
                reader.spaces();
                arguments.push(argument(reader)?);
                reader.spaces();
                if !reader.eat(",") {
                    return Ok(arguments);
                }
            }
        })?);
    }
    let lower = name.to_ascii_lowercase();
    let mut arguments = arguments.into_iter();
    let (first, second) = (arguments.next(), arguments.next());
    if arguments.next().is_some() {
        return Err(Stop::Unclear);
    }
    match (lower.as_str(), first, second) {
        ("length" | "size" | "len", Some(Argument::Operand(one)), None) => {
            if is_method || lower != "length" {
                reader.notes.add(LENGTH);
            }
            Ok(Operand::Value(format!("length({})", one.compared(true, reader)?)))
        }
        ("count" | "value", Some(Argument::Operand(one)), None) => {
            Ok(Operand::Value(format!("{lower}({})", one.compared(true, reader)?)))
        }
        ("exists" | "has" | "defined" | "isset", Some(Argument::Operand(one)), None) => {
            reader.notes.add(EXISTS);
            Ok(Operand::Condition(one.compared(true, reader)?))
        }
        (
            "match" | "search",
            Some(Argument::Operand(text)),
            Some(Argument::Operand(Operand::Text(pattern))),
        ) => {
            let text = text.compared(true, reader)?;
            Ok(Operand::Condition(matching(&text, &pattern, lower == "match", reader)?))
        }
        (
            "match" | "search" | "matches" | "test" | "regex",
            Some(Argument::Operand(text)),
            Some(Argument::Pattern(pattern)),
        ) => {
            reader.notes.add(MATCHES);
            let text = text.compared(true, reader)?;
            Ok(Operand::Condition(matching(&text, &pattern, false, reader)?))
        }
        ("matches" | "regex", Some(Argument::Operand(text)), Some(argument)) => {
            Ok(Operand::Condition(call("=~", text, argument, reader)?))
        }
        (
            "contains" | "includes" | "startswith" | "starts_with" | "endswith" | "ends_with",
            Some(Argument::Operand(text)),
            Some(argument),
        ) => Ok(Operand::Condition(call(&lower, text, argument, reader)?)),
        ("equals" | "eq", Some(Argument::Operand(left)), Some(Argument::Operand(right))) => {
            reader.notes.add(EQUAL);
            let left = left.compared(true, reader)?;
            let right = right.compared(false, reader)?;
            Ok(Operand::Condition(format!("{left} == {right}")))
        }
        ("in" | "nin", Some(Argument::Operand(_)), Some(Argument::Operand(_))) => Stop::say(
            "there is no `in`: each value is compared by itself, as in `$.items[?@.type == 'a' || @.type == 'b']`",
        ),
        ("not", Some(Argument::Operand(Operand::Query(one) | Operand::Condition(one))), None) => {
            reader.notes.add(NOT);
            Ok(Operand::Condition(format!("!({one})")))
        }
        _ => Stop::say(format!(
            "RFC 9535 has no function `{name}`: it has `length`, `count`, `match`, `search` and `value`"
        )),
    }
}
