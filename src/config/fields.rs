//! Asks a tree for its values by name, and says of each what is wrong with it and where.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr};

use crate::config::{
    At, Problem,
    environment::{meant, renamed},
    hints,
    written::{Kind, Member, Node},
};

/// Longest text, in characters, that is shown when it is not what was wanted.
const SHOWN_CHARS_MAX: usize = 80;

/// One slip in three letters: more, and a proposal is a guess.
const LETTERS_PER_SLIP: usize = 3;

/// A value, named by the path that leads to it.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) at: At,
    pub(super) kind: Kind,
}

impl Field {
    /// Whether anything stands there: a section whose lines are all comments is as good as none.
    pub(super) fn is_written(&self) -> bool {
        !matches!(self.kind, Kind::Nothing)
    }

    /// The text that stands there.
    pub(super) fn text(self, problems: &mut Vec<Problem>) -> Option<String> {
        match self.kind {
            Kind::Scalar(text) | Kind::Interpreted(text, _) if !text.is_empty() => Some(text),
            Kind::Scalar(_) | Kind::Interpreted(..) | Kind::Nothing => {
                self.is_not("has no value", problems)
            }
            Kind::List(_) => self.is_not("has to be one value, and this is a list", problems),
            Kind::Map(_) => self.is_not("has to be one value, and this is a mapping", problems),
        }
    }

    /// What a text stands for; what was wanted instead is said with the text.
    pub(super) fn parse<T>(
        self,
        wanted: &str,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.parse_or_hint(wanted, problems, |_| None, parse)
    }

    /// Does what [`Field::parse`] does, with a proposal for a text that cannot be taken.
    pub(super) fn parse_or_hint<T>(
        self,
        wanted: &str,
        problems: &mut Vec<Problem>,
        hint: impl FnOnce(&str) -> Option<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (path, at) = (self.path.clone(), self.at.clone());
        let text = self.text(problems)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            let shown: String = text.escape_debug().take(SHOWN_CHARS_MAX).collect();
            let what = format!("`{path}` has to be {wanted}, not `{shown}`");
            let is_short = text.chars().nth(SHOWN_CHARS_MAX).is_none();
            problems.push(Problem { at, what, help: is_short.then(|| hint(&text)).flatten() });
        }
        parsed
    }

    /// The name of a file or folder.
    pub(super) fn file(self, problems: &mut Vec<Problem>) -> Option<PathBuf> {
        self.parse("the name of a file", problems, |text| {
            (!text.contains('\0')).then(|| PathBuf::from(text))
        })
    }

    /// The values of a list.
    pub(super) fn items(self, problems: &mut Vec<Problem>) -> Option<Vec<Self>> {
        match self.kind {
            Kind::List(nodes) => {
                let items = (0..).zip(nodes).map(|(index, Node { at, kind })| Self {
                    path: format!("{}[{index}]", self.path),
                    at,
                    kind,
                });
                Some(items.collect())
            }
            Kind::Nothing | Kind::Scalar(_) | Kind::Interpreted(..) | Kind::Map(_) => {
                self.is_not("has to be a list", problems)
            }
        }
    }

    /// A whole number in decimal digits: `010` is 8 to some readers of YAML and 10 to others, so that it is taken
    /// for neither. `hint` says what else can be meant.
    fn whole<N: FromStr + PartialOrd + Display>(
        self,
        range: RangeInclusive<N>,
        problems: &mut Vec<Problem>,
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

    fn is_not<T>(&self, why: &str, problems: &mut Vec<Problem>) -> Option<T> {
        let what = format!("`{}` {why}", self.path);
        problems.push(Problem { at: self.at.clone(), what, help: None });
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
    at: At,
    members: Vec<Member>,
    /// The names that were asked for.
    known: Vec<&'static str>,
    /// Whether something else stands there, so that it cannot lack anything.
    is_wrong: bool,
    /// Which of the problems says so.
    problem: Option<usize>,
}

impl Mapping {
    /// The whole tree.
    pub(super) fn root(Node { at, kind }: Node, problems: &mut Vec<Problem>) -> Self {
        Self::of(Some(Field { path: String::new(), at, kind }), problems)
    }

    /// The members of a field; none if it is not there.
    pub(super) fn of(field: Option<Field>, problems: &mut Vec<Problem>) -> Self {
        let mut mapping = Self {
            path: String::new(),
            at: At::Nowhere,
            members: Vec::new(),
            known: Vec::new(),
            is_wrong: false,
            problem: None,
        };
        let Some(Field { path, at, kind }) = field else { return mapping };
        match kind {
            Kind::Map(members) => mapping.members = members,
            Kind::Nothing => {}
            Kind::Scalar(_) | Kind::Interpreted(..) | Kind::List(_) => {
                mapping.is_wrong = true;
                let what = match path.as_str() {
                    "" => "settings have to be a mapping".to_owned(),
                    path => format!("`{path}` has to be a mapping"),
                };
                mapping.problem = Some(problems.len());
                problems.push(Problem { at: at.clone(), what, help: None });
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
        let index = self.members.iter().position(|member| member.name == name)?;
        let Member { name, node, .. } = self.members.swap_remove(index);
        Some(self.field(&name, node))
    }

    /// The member of a name, which has to be there.
    pub(super) fn need(
        &mut self,
        name: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<Field> {
        let field = self.take(name);
        if field.is_none() {
            self.lacks(&format!("no `{name}`"), problems);
        }
        field
    }

    /// Says what it has not, and has to have.
    pub(super) fn lacks(&self, has: &str, problems: &mut Vec<Problem>) {
        if self.is_mapping() {
            let what = format!("`{}` has {has}", self.path);
            problems.push(Problem { at: self.at.clone(), what, help: None });
        }
    }

    /// The name of a file or folder.
    pub(super) fn file(
        &mut self,
        name: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<PathBuf> {
        self.take(name)?.file(problems)
    }

    /// A whole number.
    pub(super) fn number<N>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<N>,
        default: N,
        problems: &mut Vec<Problem>,
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
        problems: &mut Vec<Problem>,
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
        members.into_iter().map(move |Member { name, node, .. }| {
            let field = self.field(&name, node);
            (name, field)
        })
    }

    /// Says of every member that is left that nobody knows it.
    pub(super) fn end(self, problems: &mut Vec<Problem>) {
        if let Some(problem) = self.problem.and_then(|index| problems.get_mut(index)) {
            problem.help = Some(self.listed());
        }
        for Member { name, at, .. } in &self.members {
            let what = format!("`{}` is not known", self.below(name));
            problems.push(Problem { at: at.clone(), what, help: Some(self.help(name, at)) });
        }
    }

    /// The name most like a wrong one, or else all there are.
    fn help(&self, wrong: &str, at: &At) -> String {
        let slips = |known: &&&str| strsim::damerau_levenshtein(wrong, known);
        let near = |known: &&&str| slips(known) <= known.len().div_ceil(LETTERS_PER_SLIP);
        // A long text is no slip, and takes long to compare.
        let is_short = wrong.chars().nth(SHOWN_CHARS_MAX).is_none();
        let nearest = self.known.iter().filter(near).min_by_key(slips).filter(|_| is_short);
        if let (At::Variable(variable), None) = (at, nearest)
            && let Some(meant) = meant(variable)
        {
            return format!("did you mean `{meant}`?");
        }
        match (nearest, at) {
            (None, _) => self.listed(),
            (Some(name), At::Variable(variable)) => {
                format!("did you mean `{}`?", renamed(variable, wrong, name))
            }
            (Some(name), At::Line { .. } | At::Nowhere) => format!("did you mean `{name}`?"),
        }
    }

    /// All names that can stand in it.
    fn listed(&self) -> String {
        let names: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
        format!("what can stand here: {}", names.join(", "))
    }

    fn field(&self, name: &str, Node { at, kind }: Node) -> Field {
        Field { path: self.below(name), at, kind }
    }

    fn below(&self, name: &str) -> String {
        let name = name.escape_debug();
        match self.path.as_str() {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        }
    }
}
