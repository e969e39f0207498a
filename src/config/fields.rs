//! Asks a tree for its values by name, and says of each what is wrong with it and where.

use std::{
    fmt::Display,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    str::FromStr,
};

use crate::{
    config::{
        environment::{meant, renamed},
        hints,
        texts::{Texts, is_nothing, looks_like_a_key},
    },
    source::{
        Finding,
        yaml::{Key, Kind, Node},
    },
};

/// Longest text, in characters, that is shown when it is not what was wanted.
const SHOWN_CHARS_MAX: usize = 80;

/// One slip in three letters: more, and a proposal is a guess.
const LETTERS_PER_SLIP: usize = 3;

/// The code of a key that is none.
pub(super) const UNKNOWN_KEY: &str = "unknown-key";

/// A range of the row of [`Texts`].
pub(super) type Span = Range<usize>;

/// One thing that is wrong with the settings.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The kind of finding.
    pub(super) code: &'static str,
    /// Where; nowhere, if it is missing.
    pub(super) at: Option<Span>,
    /// What is wrong.
    pub(super) what: String,
    /// What could be written instead.
    pub(super) help: Option<String>,
}

impl Problem {
    /// The finding, with the place among these texts.
    fn finding(self, texts: &Texts) -> Finding {
        let Self { code, at, what, help } = self;
        let finding = Finding::error(code, texts.place(at), what);
        Finding { help, ..finding }
    }
}

/// All that is wrong so far.
pub(super) struct Problems<'t> {
    texts: &'t Texts,
    list: Vec<Problem>,
}

impl<'t> Problems<'t> {
    /// Those that were found while these texts were put together.
    pub(super) fn of(texts: &'t Texts, list: Vec<Problem>) -> Self {
        Self { texts, list }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_findings(self) -> impl Iterator<Item = Finding> {
        self.list.into_iter().map(|problem| problem.finding(self.texts))
    }
}

/// A value, named by the path that leads to it.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) node: Node,
}

impl Field {
    /// Where it is written.
    pub(super) fn at(&self) -> Span {
        self.node.span.clone()
    }

    /// Whether anything stands there: a section whose lines are all comments is as good as none.
    pub(super) fn is_written(&self) -> bool {
        !is_nothing(&self.node)
    }

    /// The text that stands there.
    pub(super) fn text(self, problems: &mut Problems<'_>) -> Option<String> {
        let (code, why) = match &self.node.kind {
            Kind::Sequence(_) => ("wrong-kind", "has to be one value, and this is a list"),
            Kind::Mapping(_) => ("wrong-kind", "has to be one value, and this is a mapping"),
            Kind::Scalar(scalar) if scalar.text.is_empty() || !self.is_written() => {
                ("no-value", "has no value")
            }
            Kind::Scalar(scalar) => return Some(scalar.text.clone()),
        };
        self.is_not(code, why, problems)
    }

    /// What a text stands for; what was wanted instead is said with the text.
    pub(super) fn parse<T>(
        self,
        wanted: &str,
        problems: &mut Problems<'_>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.parse_or_hint(wanted, problems, |_| None, parse)
    }

    /// Does what [`Field::parse`] does, with a proposal for a text that cannot be taken.
    pub(super) fn parse_or_hint<T>(
        self,
        wanted: &str,
        problems: &mut Problems<'_>,
        hint: impl FnOnce(&str) -> Option<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (path, at) = (self.path.clone(), Some(self.at()));
        let text = self.text(problems)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            // Before it is cut: half of a key looks like none.
            let shown: String = if looks_like_a_key(&text) {
                "*".to_owned()
            } else {
                text.escape_debug().take(SHOWN_CHARS_MAX).collect()
            };
            let what = format!("`{path}` has to be {wanted}, not `{shown}`");
            let is_short = text.chars().nth(SHOWN_CHARS_MAX).is_none();
            problems.push(Problem {
                code: "bad-value",
                at,
                what,
                help: is_short.then(|| hint(&text)).flatten(),
            });
        }
        parsed
    }

    /// The name of a file or folder.
    pub(super) fn file(self, problems: &mut Problems<'_>) -> Option<PathBuf> {
        let (path, at) = (self.path.clone(), Some(self.at()));
        let text = self.text(problems)?;
        // Whoever opens it says its name if that fails. With a folder it is a name, also where that of the file is a
        // UUID; but a key in PEM can have slashes, too.
        let is_path = text.contains('/') && !text.contains("-----BEGIN");
        if !is_path && looks_like_a_key(&text) {
            let what =
                format!("`{path}` is the name of a file, and this looks like the key itself");
            let help = "write the key to a file that nobody else can read; `./NAME` is the name of a file here";
            let help = Some(help.to_owned());
            problems.push(Problem { code: "key-in-settings", at, what, help });
            return None;
        }
        if text.contains('\0') {
            let what = format!("`{path}` has to be the name of a file");
            problems.push(Problem { code: "bad-value", at, what, help: None });
            return None;
        }
        Some(PathBuf::from(text))
    }

    /// The values of a list.
    pub(super) fn items(self, problems: &mut Problems<'_>) -> Option<Vec<Self>> {
        let Kind::Sequence(nodes) = self.node.kind else {
            return self.is_not("wrong-kind", "has to be a list", problems);
        };
        let items = (0..)
            .zip(nodes)
            .map(|(index, node)| Self { path: format!("{}[{index}]", self.path), node });
        Some(items.collect())
    }

    /// A whole number in decimal digits: `010` is 8 to some readers of YAML and 10 to others, so that it is taken
    /// for neither. `hint` says what else can be meant.
    fn whole<N: FromStr + PartialOrd + Display>(
        self,
        range: RangeInclusive<N>,
        problems: &mut Problems<'_>,
        hint: impl FnOnce(&str) -> Option<String>,
    ) -> Option<N> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let is_bytes = self.path.ends_with("bytes");
        let taken = |text: &str| whole(text)?.parse().ok().filter(|number| range.contains(number));
        let meant = |text: &str| {
            let meant = hints::number(text, is_bytes)?.to_string();
            taken(&meant)?;
            let is_octal = text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
            Some(if is_octal {
                format!("`{text}` is not a number of YAML 1.2: write `{meant}`")
            } else {
                format!("write `{meant}`")
            })
        };
        self.parse_or_hint(&wanted, problems, |text| hint(text).or_else(|| meant(text)), taken)
    }

    fn is_not<T>(&self, code: &'static str, why: &str, problems: &mut Problems<'_>) -> Option<T> {
        let what = format!("`{}` {why}", self.path);
        problems.push(Problem { code, at: Some(self.at()), what, help: None });
        None
    }
}

/// A text that spells a whole number in the one way that everybody reads alike: digits, without a zero before
/// them.
pub(super) fn whole(text: &str) -> Option<&str> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_whole && (text == "0" || !text.starts_with('0'))).then_some(text)
}

/// A mapping whose members are taken one by one; what nobody took is not known.
pub(super) struct Mapping {
    path: String,
    at: Option<Span>,
    members: Vec<(Key, Node)>,
    /// The names that were asked for.
    known: Vec<&'static str>,
    /// Whether something else stands there, so that it cannot lack anything.
    is_wrong: bool,
    /// Which of the problems says so.
    problem: Option<usize>,
}

impl Mapping {
    /// The whole tree.
    pub(super) fn root(node: Node, problems: &mut Problems<'_>) -> Self {
        Self::of(Some(Field { path: String::new(), node }), problems)
    }

    /// The members of a field; none if it is not there.
    pub(super) fn of(field: Option<Field>, problems: &mut Problems<'_>) -> Self {
        let mut mapping = Self {
            path: String::new(),
            at: None,
            members: Vec::new(),
            known: Vec::new(),
            is_wrong: false,
            problem: None,
        };
        let Some(field) = field else { return mapping };
        let (at, is_nothing) = (Some(field.at()), is_nothing(&field.node));
        let Field { path, node } = field;
        match node.kind {
            Kind::Mapping(members) => mapping.members = members,
            Kind::Scalar(_) if is_nothing => {}
            Kind::Scalar(_) | Kind::Sequence(_) => {
                mapping.is_wrong = true;
                let what = match path.as_str() {
                    "" => "settings have to be a mapping".to_owned(),
                    path => format!("`{path}` has to be a mapping"),
                };
                mapping.problem = Some(problems.list.len());
                problems.push(Problem { code: "wrong-kind", at: at.clone(), what, help: None });
            }
        }
        Self { path, at, ..mapping }
    }

    /// Whether it is a mapping at all.
    pub(super) fn is_mapping(&self) -> bool {
        !self.is_wrong
    }

    /// The member of a name, if it is there.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field> {
        self.known.push(name);
        let index = self.members.iter().position(|(key, _)| key.text == name)?;
        let (_, node) = self.members.swap_remove(index);
        Some(self.field(name, node))
    }

    /// The member of a name, which has to be there.
    pub(super) fn need(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Field> {
        let field = self.take(name);
        if field.is_none() {
            self.lacks(&format!("no `{name}`"), problems);
        }
        field
    }

    /// Says what it has not, and has to have.
    pub(super) fn lacks(&self, has: &str, problems: &mut Problems<'_>) {
        if self.is_mapping() {
            let what = format!("`{}` has {has}", self.path);
            problems.push(Problem { code: "missing-key", at: self.at.clone(), what, help: None });
        }
    }

    /// The name of a file or folder.
    pub(super) fn file(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<PathBuf> {
        self.take(name)?.file(problems)
    }

    /// A whole number.
    pub(super) fn number<N>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<N>,
        default: N,
        problems: &mut Problems<'_>,
    ) -> N
    where
        N: FromStr + PartialOrd + Display,
    {
        let field = self.take(name);
        field.and_then(|field| field.whole(range, problems, |_| None)).unwrap_or(default)
    }

    /// A whole number, if one is there; `without` says what holds where none is.
    pub(super) fn limit<N>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<N>,
        without: &str,
        problems: &mut Problems<'_>,
    ) -> Option<N>
    where
        N: FromStr + PartialOrd + Display,
    {
        self.take(name)?.whole(range, problems, |text| {
            hints::is_unlimited(text).then(|| format!("leave it out: then {without}"))
        })
    }

    /// All members that are left, by name.
    pub(super) fn rest(mut self) -> impl Iterator<Item = (String, Field)> {
        let members = std::mem::take(&mut self.members);
        members.into_iter().map(move |(key, node)| {
            let field = self.field(&key.text, node);
            (key.text, field)
        })
    }

    /// Says of every member that is left that nobody knows it.
    pub(super) fn end(self, problems: &mut Problems<'_>) {
        if let Some(problem) = self.problem.and_then(|index| problems.list.get_mut(index)) {
            problem.help = Some(self.listed());
        }
        for (key, _) in &self.members {
            let what = format!("`{}` is not known", self.below(&key.text));
            let help = Some(self.help(&key.text, problems.texts.variable(&key.span)));
            problems.push(Problem { code: UNKNOWN_KEY, at: Some(key.span.clone()), what, help });
        }
    }

    /// The name most like a wrong one, or else all there are.
    fn help(&self, wrong: &str, variable: Option<&str>) -> String {
        let slips = |known: &&&str| strsim::damerau_levenshtein(wrong, known);
        let near = |known: &&&str| slips(known) <= known.len().div_ceil(LETTERS_PER_SLIP);
        // A long text is no slip, and takes long to compare.
        let is_short = wrong.chars().nth(SHOWN_CHARS_MAX).is_none();
        let nearest = self.known.iter().filter(near).min_by_key(slips).filter(|_| is_short);
        match (nearest, variable) {
            (None, variable) => match variable.and_then(meant) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => self.listed(),
            },
            (Some(name), Some(variable)) => {
                format!("did you mean `{}`?", renamed(variable, wrong, name))
            }
            (Some(name), None) => format!("did you mean `{name}`?"),
        }
    }

    /// All names that can stand in it.
    fn listed(&self) -> String {
        let names: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
        format!("what can stand here: {}", names.join(", "))
    }

    fn field(&self, name: &str, node: Node) -> Field {
        Field { path: self.below(name), node }
    }

    fn below(&self, name: &str) -> String {
        let name = name.escape_debug();
        match self.path.as_str() {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        }
    }
}
