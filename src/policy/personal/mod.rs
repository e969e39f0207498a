//! Names that sound personal: what stands at a path, in a header or a parameter is judged by its name and
//! by the names above it, with the lexicon of `words.txt`.
//!
//! A name is split into words as programs write them (`customerIpAddress`, `customer_ip_address`). The last word says
//! what is there, as in English compounds: an `email_count` is no address. What only stands for a value
//! (`emails[*].value`) is judged by what is above it.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use deunicode::deunicode;
use heck::ToSnakeCase as _;

use crate::path::{Path, Segment, Selector};

/// Most words in an entry of the lexicon.
const PHRASE_MAX: usize = 4;

/// Why a name sounds personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint<'a> {
    /// What it is about: `contact`, `identity`; a kind of the lexicon.
    pub(super) kind: &'static str,
    /// The name that says so, which may stand above what was asked about.
    pub(super) name: &'a str,
}

/// Why what stands at a path sounds personal, if it does.
///
/// `whole` names what the path begins at, such as the resource of a route: the `name` of `users` is personal.
pub(super) fn of_path<'a>(path: &'a Path, whole: Option<&str>) -> Option<Hint<'a>> {
    hint(&LEXICON, &levels(path), whole)
}

/// Why the names of the members at a path sound personal: below `orders_by_email` each is an address.
pub(super) fn of_keys(path: &Path) -> Option<Hint<'_>> {
    let lexicon = &LEXICON;
    levels(path).pop()?.into_iter().find_map(|name| {
        let words = Words::of(name, lexicon);
        let by = words.0.iter().rposition(|word| lexicon.keyed.contains(&**word))?;
        let key = Words(words.0.get(by + 1..)?.to_vec());
        match lexicon.judge(&key, &Parents::default()) {
            Judgement::Personal(kind) => Some(Hint { kind, name }),
            Judgement::AsAbove | Judgement::Harmless => None,
        }
    })
}

/// Why a header sounds personal, if it does.
pub(super) fn of_header(name: &str) -> Option<Hint<'_>> {
    hint(&LEXICON, &[vec!["header"], vec![name]], None)
}

/// Why a parameter sounds personal, if it does; `whole` is the resource of its route.
pub(super) fn of_parameter<'a>(name: &'a str, whole: Option<&str>) -> Option<Hint<'a>> {
    hint(&LEXICON, &[vec![name]], whole)
}

/// Words in names of categories that no general rule should give out: numbers that a state gives, health, credentials.
const SENSITIVE: [&str; 18] = [
    "biometric",
    "bsn",
    "credential",
    "dni",
    "genetic",
    "health",
    "insurance",
    "licence",
    "license",
    "medical",
    "national",
    "nif",
    "nir",
    "passport",
    "secret",
    "ssn",
    "tax",
    "token",
];

/// Whether a category is called like something that no general rule should give out.
pub(super) fn is_sensitive(category: &str) -> bool {
    category.split('.').any(|name| {
        let words = Words::of(name, &LEXICON);
        let kind = match LEXICON.judge(&words, &Parents::default()) {
            Judgement::Personal(kind) => kind,
            Judgement::AsAbove | Judgement::Harmless => "",
        };
        matches!(kind, "health" | "credential")
            || words.0.iter().any(|word| SENSITIVE.contains(&word.as_str()))
    })
}

/// The names that each step of a path spells, from the root on; several in a union.
fn levels(path: &Path) -> Vec<Vec<&str>> {
    let names = path.segments().iter().map(names_of);
    names.filter(|names| !names.is_empty()).collect()
}

fn names_of(segment: &Segment) -> Vec<&str> {
    segment.selectors.iter().filter_map(name_of).collect()
}

fn name_of(selector: &Selector) -> Option<&str> {
    match selector {
        Selector::Name(name) => Some(name.as_str()),
        Selector::Wildcard | Selector::Index(_) | Selector::Slice { .. } | Selector::Filter(_) => {
            None
        }
    }
}

fn hint<'a>(
    lexicon: &Lexicon,
    mut levels: &[Vec<&'a str>],
    whole: Option<&str>,
) -> Option<Hint<'a>> {
    loop {
        let (names, above) = levels.split_last()?;
        let parents = Parents::of(lexicon, above, whole);
        let mut stands_for_above = false;
        for name in names {
            match lexicon.judge(&Words::of(name, lexicon), &parents) {
                Judgement::Personal(kind) => return Some(Hint { kind, name }),
                Judgement::AsAbove => stands_for_above = true,
                Judgement::Harmless => {}
            }
        }
        if !stands_for_above {
            return None;
        }
        levels = above;
        while let Some((names, above)) = levels.split_last()
            && names.iter().all(|name| Words::of(name, lexicon).end_in(&lexicon.wrappers))
        {
            levels = above;
        }
    }
}

enum Judgement {
    Personal(&'static str),
    /// It stands for the value of what is above it.
    AsAbove,
    Harmless,
}

/// A name in words: lower case, in ASCII, without `of` and numbers at the end.
struct Words(Vec<String>);

impl Words {
    fn of(name: &str, lexicon: &Lexicon) -> Self {
        let snake = deunicode(name).to_snake_case();
        let words =
            snake.split('_').filter(|word| !word.is_empty() && !lexicon.joining.contains(word));
        Self(words.map(str::to_owned).collect())
    }

    /// All words but numbers at the end: `address_1`.
    fn unnumbered(&self) -> &[String] {
        let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
        let end = self.0.iter().rposition(|word| !is_number(word)).map_or(0, |last| last + 1);
        self.0.get(..end).unwrap_or_default()
    }

    /// The ends of the name, the longest first.
    fn ends(&self) -> impl Iterator<Item = &[String]> {
        [&self.0[..], self.unnumbered()].into_iter().flat_map(|words| {
            let from = words.len().saturating_sub(PHRASE_MAX);
            (from..words.len()).filter_map(|start| words.get(start..))
        })
    }

    fn end_in(&self, set: &HashSet<&str>) -> bool {
        self.ends().flat_map(spellings).any(|spelling| set.contains(&*spelling))
    }

    /// Every few words in a row.
    fn phrases(&self) -> impl Iterator<Item = &[String]> {
        (1..=PHRASE_MAX).rev().flat_map(|length| self.0.windows(length))
    }
}

/// How a phrase may be written in the lexicon: as it is, in the singular, without a number at its end.
fn spellings(phrase: &[String]) -> impl Iterator<Item = String> {
    let written = phrase.join(" ");
    let unnumbered = written.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let singular = |plural: &String, end: &str| plural.strip_suffix(end).map(str::to_owned);
    let singulars = [singular(&unnumbered, "s"), singular(&unnumbered, "es")];
    [Some(written), Some(unnumbered)].into_iter().chain(singulars).flatten()
}

/// What the names above say.
#[derive(Default)]
struct Parents {
    /// The ends of the names right above, and of those above wrappers.
    phrases: Vec<String>,
    is_person: bool,
    /// The same, and it is a name of the path.
    is_person_in_path: bool,
    is_thing: bool,
}

impl Parents {
    fn of(lexicon: &Lexicon, above: &[Vec<&str>], whole: Option<&str>) -> Self {
        let mut parents = Self::default();
        for level in above.iter().rev() {
            let mut is_wrapper = true;
            for name in level {
                let words = Words::of(name, lexicon);
                let wraps = words.end_in(&lexicon.wrappers);
                is_wrapper &= wraps;
                parents.is_person_in_path |= lexicon.is_person(&words);
                parents.is_thing |= !wraps && words.end_in(&lexicon.things);
                parents.phrases.extend(words.ends().flat_map(spellings));
            }
            parents.is_person = parents.is_person_in_path;
            if !is_wrapper {
                return parents;
            }
        }
        if let Some(whole) = whole {
            let words = Words::of(whole, lexicon);
            parents.is_person |= lexicon.is_person(&words);
            parents.is_thing |= words.end_in(&lexicon.things);
        }
        parents
    }
}

type Kinds = HashMap<&'static str, &'static str>;

/// The entries of `words.txt` by class, most with their kind; what a class means is said there.
#[derive(Debug, Default)]
struct Lexicon {
    anywhere: Kinds,
    /// Words with a `*`, without it.
    beginnings: Vec<(&'static str, &'static str)>,
    endings: Vec<(&'static str, &'static str)>,
    last: Kinds,
    whole: Kinds,
    persons: Kinds,
    person: Kinds,
    of_person: Kinds,
    /// By the name above and the name itself.
    below: HashMap<(&'static str, &'static str), &'static str>,
    /// With what has to stand above them, or nothing.
    holders: HashSet<(&'static str, &'static str)>,
    wrappers: HashSet<&'static str>,
    things: HashSet<&'static str>,
    about: HashSet<&'static str>,
    asks: HashSet<&'static str>,
    not: HashSet<&'static str>,
    joining: HashSet<&'static str>,
    keyed: HashSet<&'static str>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(include_str!("words.txt")));

/// The kind of what tells a person only by standing beside one.
const IDENTIFIER: &str = "identifier";

impl Lexicon {
    fn read(text: &'static str) -> Self {
        let mut lexicon = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((head, entries)) = line.split_once(':') else { continue };
            let entries = entries.split(',').map(str::trim);
            let (head, parents) = head.split_once('(').unwrap_or((head, ""));
            let parents = parents.trim_end_matches(')').split(',').map(str::trim);
            let mut head = head.split_whitespace();
            let class = head.next().unwrap_or_default();
            let kind = head.next().unwrap_or_default();
            let with_kind = entries.clone().map(|entry| (entry, kind));
            match class {
                "anywhere" => {
                    for (entry, kind) in with_kind {
                        if let Some(ending) = entry.strip_prefix('*') {
                            lexicon.endings.push((ending, kind));
                        } else if let Some(beginning) = entry.strip_suffix('*') {
                            lexicon.beginnings.push((beginning, kind));
                        } else {
                            lexicon.anywhere.insert(entry, kind);
                        }
                    }
                }
                "last" => lexicon.last.extend(with_kind),
                "whole" => lexicon.whole.extend(with_kind),
                "persons" => lexicon.persons.extend(with_kind),
                "person" => lexicon.person.extend(with_kind),
                "of-person" => lexicon.of_person.extend(with_kind),
                "below" => {
                    for parent in parents {
                        lexicon
                            .below
                            .extend(with_kind.clone().map(|(entry, kind)| ((parent, entry), kind)));
                    }
                }
                "holder" => {
                    for parent in parents {
                        lexicon.holders.extend(entries.clone().map(|entry| (parent, entry)));
                    }
                }
                "wrapper" => lexicon.wrappers.extend(entries),
                "thing" => lexicon.things.extend(entries),
                "about" => lexicon.about.extend(entries),
                "asks" => lexicon.asks.extend(entries),
                "not" => lexicon.not.extend(entries),
                "keyed" => lexicon.keyed.extend(entries),
                "joining" => lexicon.joining.extend(entries),
                _ => {}
            }
        }
        lexicon
    }

    fn judge(&self, words: &Words, parents: &Parents) -> Judgement {
        let (Some(first), Some(last)) = (words.0.first(), words.0.last()) else {
            return Judgement::Harmless;
        };
        if words.ends().any(|end| self.not.contains(&*end.join(" "))) {
            return Judgement::Harmless;
        }
        // `avatar url`, `html url` of a user: they end in what is mostly harmless.
        let named_so =
            words.ends().filter(|end| end.len() > 1).find_map(|end| find(&self.anywhere, end));
        let is_of_person = |kind: &&str| {
            if *kind == IDENTIFIER { parents.is_person_in_path } else { parents.is_person }
        };
        let mut ends = words.ends().filter_map(|end| find(&self.of_person, end));
        let said = || ends.find(is_of_person).map(|kind| self.anywhere(words).unwrap_or(kind));
        if let Some(kind) = named_so.or_else(said) {
            return Judgement::Personal(kind);
        }
        let is_holder = words.0.len() == 1
            && (self.holders.contains(&("", last))
                || parents.phrases.iter().any(|above| self.holders.contains(&(above, last))));
        let asks = words.0.len() > 1 && self.asks.contains(&**first);
        if asks || (self.about.contains(&**last) && !is_holder) {
            return Judgement::Harmless;
        }
        let below = || {
            let pair = |parent: &String, name: &String| {
                self.below.get(&(parent.as_str(), name.as_str())).copied()
            };
            let mut said = words.ends().flat_map(spellings);
            said.find_map(|name| parents.phrases.iter().find_map(|it| pair(it, &name)))
        };
        let kind = self
            .anywhere(words)
            .or_else(below)
            .or_else(|| words.ends().find_map(|end| find(&self.last, end)))
            .or_else(|| find(&self.whole, &words.0))
            .or_else(|| {
                let mut ends = words.ends().filter(|_| !parents.is_thing);
                ends.find_map(|end| find(&self.persons, end))
            })
            .or_else(|| self.is_person(words).then_some("person"))
            .or_else(|| self.names_person(words));
        match kind {
            Some(kind) => Judgement::Personal(kind),
            None if is_holder => Judgement::AsAbove,
            None => Judgement::Harmless,
        }
    }

    fn anywhere(&self, words: &Words) -> Option<&'static str> {
        let starred = |word: &str| {
            let ending = self.endings.iter().find(|(ending, _)| word.ends_with(ending));
            let beginning =
                self.beginnings.iter().find(|(beginning, _)| word.starts_with(beginning));
            ending.or(beginning).map(|(_, kind)| *kind)
        };
        let mut single = words.0.iter().flat_map(|word| spellings(std::slice::from_ref(word)));
        let phrase = words.phrases().find_map(|phrase| find(&self.anywhere, phrase));
        phrase.or_else(|| single.find_map(|word| starred(&word)))
    }

    /// `customer_name`, `userId`: a person and what is said of it, in one name.
    fn names_person(&self, words: &Words) -> Option<&'static str> {
        let all = words.unnumbered();
        (1..=2.min(all.len())).find_map(|length| {
            let (person, said) = all.split_at_checked(all.len() - length)?;
            let kind = find(&self.of_person, said)?;
            let person = Words(person.to_vec());
            (!person.0.is_empty() && self.is_person(&person)).then_some(kind)
        })
    }

    fn is_person(&self, words: &Words) -> bool {
        words.ends().any(|end| find(&self.person, end).is_some())
    }
}

/// The kind of a phrase, if it stands there.
fn find(kinds: &Kinds, phrase: &[String]) -> Option<&'static str> {
    spellings(phrase).find_map(|spelling| kinds.get(&*spelling).copied())
}
