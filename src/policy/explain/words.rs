//! What actions do, in plain words.

use crate::transform::{Action, Generalisation, Mask, Precision};

/// Whether anything of a value is left by an action.
pub(super) fn leaves(action: &Action) -> bool {
    match action {
        Action::Keep | Action::Pseudonym { .. } | Action::Generalise(_) | Action::Mask(_) => true,
        Action::Null | Action::Drop | Action::Deny => false,
    }
}

/// What an action does, for somebody who does not know its word.
pub(super) fn in_words(action: &Action) -> String {
    match action {
        Action::Keep => "as it is".to_owned(),
        Action::Pseudonym { domain: None } => "as a pseudonym of this purpose".to_owned(),
        Action::Pseudonym { domain: Some(domain) } => {
            format!("as a pseudonym, the same wherever the domain is {domain}")
        }
        Action::Generalise(Generalisation::AgeBand(years)) => {
            format!("as an age, in bands of {years} years")
        }
        Action::Generalise(Generalisation::Date(Precision::Year)) => "as a year".to_owned(),
        Action::Generalise(Generalisation::Date(Precision::Quarter)) => "as a quarter".to_owned(),
        Action::Generalise(Generalisation::Date(Precision::Month)) => "as a month".to_owned(),
        Action::Generalise(Generalisation::Prefix(chars)) => {
            format!("its first {chars} characters")
        }
        Action::Generalise(Generalisation::Round(step)) => {
            format!("rounded down to a multiple of {step}")
        }
        Action::Generalise(Generalisation::Ip) => "as the network of the address".to_owned(),
        Action::Mask(mask) => masked(mask),
        Action::Null => "emptied (`null`)".to_owned(),
        Action::Drop => "removed".to_owned(),
        Action::Deny => "denied".to_owned(),
    }
}

fn masked(mask: &Mask) -> String {
    let shown = match (mask.keep_first, mask.keep_last) {
        (0, 0) => return "masked as a whole".to_owned(),
        (first, 0) => format!("the first {first}"),
        (0, last) => format!("the last {last}"),
        (first, last) => format!("the first {first} and the last {last}"),
    };
    format!("masked but for {shown} characters")
}

/// Whether names are left by an action: with another than these, their members are removed.
pub(super) fn names_leave(action: &Action) -> bool {
    match action {
        Action::Keep | Action::Pseudonym { .. } => true,
        Action::Generalise(_) | Action::Mask(_) | Action::Null | Action::Drop | Action::Deny => {
            false
        }
    }
}

/// What an action does to names that no line spells.
pub(super) fn names_in_words(action: &Action) -> String {
    match action {
        Action::Keep => "stay".to_owned(),
        Action::Pseudonym { domain: None } => "are replaced by pseudonyms".to_owned(),
        Action::Pseudonym { domain: Some(domain) } => {
            format!("are replaced by pseudonyms, the same wherever the domain is {domain}")
        }
        Action::Generalise(_) | Action::Mask(_) | Action::Null | Action::Drop | Action::Deny => {
            "are removed with their values".to_owned()
        }
    }
}
