//! The actions as a policy states them.

use std::fmt;

/// What happens to a value, from the loosest action to the strictest.
///
/// `Display` gives the flow form in which a policy would spell it:
///
/// ```
/// use tamis::transform::{Action, Generalisation, Precision};
///
/// let action = Action::Generalise(Generalisation::Date(Precision::Month));
/// assert_eq!(action.to_string(), "{ generalise: { date: month } }");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leaves the value as it is.
    Keep,
    /// Replaces it by a keyed hash: equal values stay equal, and nobody without the key finds the
    /// value.
    Pseudonym {
        /// Within a domain pseudonyms join; the purpose if none is named.
        domain: Option<String>,
    },
    /// Replaces it by a coarser one.
    Generalise(Generalisation),
    /// Replaces its characters by stars.
    Mask(Mask),
    /// Replaces it by `null`.
    Null,
    /// Removes it.
    Drop,
    /// Refuses the request for it.
    Deny,
}

impl Action {
    /// Whether what becomes of a value depends on the value, so that it has to be seen whole.
    pub fn reads(&self) -> bool {
        match self {
            Self::Pseudonym { .. } | Self::Generalise(_) | Self::Mask(_) => true,
            Self::Keep | Self::Null | Self::Drop | Self::Deny => false,
        }
    }

    /// Its place between the loosest action and the strictest; in a tie the highest is taken.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Keep => 0,
            Self::Pseudonym { .. } => 1,
            Self::Generalise(_) => 2,
            Self::Mask(_) => 3,
            Self::Null => 4,
            Self::Drop => 5,
            Self::Deny => 6,
        }
    }

    /// The word of the policy language, without parameters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Pseudonym { .. } => "pseudonym",
            Self::Generalise(_) => "generalise",
            Self::Mask(_) => "mask",
            Self::Null => "null",
            Self::Drop => "drop",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self {
            Self::Pseudonym { domain: Some(domain) } if is_plain(domain) => {
                write!(f, "{{ {word}: {{ domain: {domain} }} }}")
            }
            // A string of JSON is one of YAML.
            Self::Pseudonym { domain: Some(domain) } => {
                let domain = serde_json::Value::from(domain.as_str());
                write!(f, "{{ {word}: {{ domain: {domain} }} }}")
            }
            Self::Generalise(generalisation) => write!(f, "{{ {word}: {generalisation} }}"),
            Self::Mask(mask) if *mask != Mask::default() => write!(f, "{{ {word}: {mask} }}"),
            Self::Keep
            | Self::Pseudonym { domain: None }
            | Self::Mask(_)
            | Self::Null
            | Self::Drop
            | Self::Deny => f.write_str(word),
        }
    }
}

/// Whether YAML reads `text` as a string without quotes.
fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
}

/// How a value is made coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generalisation {
    /// A birth date becomes a band of so many years of age.
    AgeBand(u32),
    /// A date becomes its year, quarter or month.
    Date(Precision),
    /// A string becomes its first so many characters.
    Prefix(usize),
    /// A number becomes the multiple of this one that is next below or equal.
    Round(u64),
    /// An IP address becomes that of its network: /24 of IPv4, /48 of IPv6.
    Ip,
}

impl fmt::Display for Generalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgeBand(years) => write!(f, "{{ age_band: {years} }}"),
            Self::Date(precision) => write!(f, "{{ date: {precision} }}"),
            Self::Prefix(characters) => write!(f, "{{ prefix: {characters} }}"),
            Self::Round(step) => write!(f, "{{ round: {step} }}"),
            Self::Ip => f.write_str("ip"),
        }
    }
}

/// How much of a date stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `2026`
    Year,
    /// `2026-Q1`
    Quarter,
    /// `2026-03`
    Month,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
        })
    }
}

/// Which characters of a string a mask shows. The default hides them all, and how many they were.
///
/// However it is set, a mask hides at least half of the characters and at least four: else it
/// hides all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mask {
    /// How many characters to show at the start.
    pub keep_first: usize,
    /// How many characters to show at the end.
    pub keep_last: usize,
    /// Whether to write as many stars as characters are hidden, rather than eight.
    pub keep_length: bool,
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = Vec::new();
        if self.keep_first > 0 {
            keys.push(format!("keep_first: {}", self.keep_first));
        }
        if self.keep_last > 0 {
            keys.push(format!("keep_last: {}", self.keep_last));
        }
        if self.keep_length {
            keys.push("length: keep".to_owned());
        }
        match keys.as_slice() {
            [] => f.write_str("{}"),
            keys => write!(f, "{{ {} }}", keys.join(", ")),
        }
    }
}
