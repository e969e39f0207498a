//! How a rule spells its action.

use crate::{
    policy::reader::{At, Fields, Reader},
    source::{
        Finding, Place,
        yaml::{Key, Kind, Node},
    },
    transform::{Action, Generalisation, Mask, Precision},
};

/// All the words that can name an action.
const WORDS: [&str; 7] = ["keep", "pseudonym", "generalise", "mask", "null", "drop", "deny"];

/// Actions of a later version.
const LATER: [&str; 3] = ["token", "shift_date", "detect"];

/// Words that people write, and the one that is meant.
const SYNONYMS: [(&str, &str); 16] = [
    ("allow", "keep"),
    ("pass", "keep"),
    ("show", "keep"),
    ("remove", "drop"),
    ("delete", "drop"),
    ("hide", "drop"),
    ("suppress", "drop"),
    ("refuse", "deny"),
    ("block", "deny"),
    ("redact", "mask"),
    ("hash", "pseudonym"),
    ("pseudonymise", "pseudonym"),
    ("pseudonymize", "pseudonym"),
    ("generalize", "generalise"),
    ("nullify", "null"),
    ("empty", "null"),
];

/// Largest age band: from 90 on, ages are one band anyway.
const AGE_BAND_MAX: u64 = 90;

/// Largest number of characters that an action can be asked to keep.
const KEPT_CHARS_MAX: u64 = 1_000;

/// Largest step to which numbers are rounded.
const ROUND_MAX: u64 = 1_000_000_000_000;

/// Reads an action; what is wrong with it is reported.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<At<Action>> {
    let at = reader.place(&node.span);
    let value = match &node.kind {
        Kind::Scalar(_) => plain(reader, node)?,
        Kind::Sequence(_) => {
            let finding = Finding::error(
                "not-supported-yet",
                at,
                "a list of actions with conditions is not supported yet",
            );
            reader.report(finding.help("write one action"));
            return None;
        }
        Kind::Mapping(members) => {
            let [(key, parameters)] = members.as_slice() else {
                let finding =
                    Finding::error("bad-action", at, "a rule has one action, and one only");
                reader.report(finding.help("for example `{ mask: { keep_last: 4 } }`"));
                return None;
            };
            with_parameters(reader, key, parameters)?
        }
    };
    Some(At { value, at })
}

fn plain(reader: &mut Reader<'_>, node: &Node) -> Option<Action> {
    let word = reader.word(node, "an action")?;
    match word {
        "keep" => Some(Action::Keep),
        "pseudonym" => Some(Action::Pseudonym { domain: None }),
        "mask" => Some(Action::Mask(Mask::default())),
        "null" => Some(Action::Null),
        "drop" => Some(Action::Drop),
        "deny" => Some(Action::Deny),
        "generalise" => {
            let at = reader.place(&node.span);
            reader.report(
                Finding::error("bad-action", at, "`generalise` has to say how")
                    .help(HOW_TO_GENERALISE),
            );
            None
        }
        word => {
            let at = reader.place(&node.span);
            unknown(reader, word, at);
            None
        }
    }
}

const HOW_TO_GENERALISE: &str = "for example `{ generalise: { age_band: 10 } }`, `{ generalise: { date: month } }`, \
     `{ generalise: { prefix: 2 } }`, `{ generalise: { round: 100 } }` or `{ generalise: ip }`";

fn unknown(reader: &mut Reader<'_>, word: &str, at: Place) {
    if LATER.contains(&word) {
        reader.not_yet(word, at);
        return;
    }
    let finding = Finding::error("unknown-action", at, format!("`{word}` is not an action"));
    let meant = SYNONYMS.iter().find(|(synonym, _)| *synonym == word.to_lowercase());
    reader.report(match meant {
        Some((_, meant)) => finding.help(format!("did you mean `{meant}`?")),
        None => finding.did_you_mean(word, WORDS),
    });
}

fn with_parameters(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<Action> {
    match key.text.as_str() {
        "pseudonym" => {
            let fields = reader.fields(node, "`pseudonym`", &["domain"])?;
            let Some(domain) = fields.get("domain") else {
                return says_nothing(
                    reader,
                    node,
                    &fields,
                    "pseudonym",
                    "`{ pseudonym: { domain: NAME } }`",
                );
            };
            let domain = reader.text(domain, "the domain of a pseudonym")?;
            reader
                .check_name(&domain, "a domain")
                .then_some(Action::Pseudonym { domain: Some(domain.value) })
        }
        "mask" => mask(reader, node),
        "generalise" => generalise(reader, node).map(Action::Generalise),
        word @ ("keep" | "null" | "drop" | "deny") => {
            let at = reader.place(&key.span);
            let message = format!("`{word}` takes no parameters");
            reader.report(
                Finding::error("bad-action", at, message).help(format!("write `{word}` alone")),
            );
            None
        }
        "when" | "do" => {
            let at = reader.place(&key.span);
            reader.not_yet("when", at);
            None
        }
        word => {
            let at = reader.place(&key.span);
            unknown(reader, word, at);
            None
        }
    }
}

/// `{ WORD: {} }`.
fn says_nothing<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    fields: &Fields<'_>,
    word: &str,
    example: &str,
) -> Option<T> {
    if !fields.has_unknown() {
        let at = reader.place(&node.span);
        let message = format!("`{word}: {{}}` says nothing more than `{word}`");
        let help = format!("write `{word}` alone, or for example {example}");
        reader.report(Finding::error("bad-action", at, message).help(help));
    }
    None
}

fn mask(reader: &mut Reader<'_>, node: &Node) -> Option<Action> {
    let fields = reader.fields(node, "`mask`", &["keep_first", "keep_last", "length"])?;
    let mut count = |name: &str| match fields.get(name) {
        None => Some(0),
        Some(node) => reader
            .number(node, &format!("`{name}`"), KEPT_CHARS_MAX)
            .and_then(|number| usize::try_from(number).ok()),
    };
    let (keep_first, keep_last) = (count("keep_first"), count("keep_last"));
    let keep_length = match fields.get("length") {
        None => Some(false),
        Some(node) => match reader.word(node, "`length`")? {
            "keep" => Some(true),
            word => {
                let at = reader.place(&node.span);
                let message = format!("`length` can only be `keep`, not `{word}`");
                reader.report(Finding::error("bad-action", at, message).help(
                    "without `length: keep`, the hidden part is eight `*` whatever it hides",
                ));
                None
            }
        },
    };
    let mask = Mask { keep_first: keep_first?, keep_last: keep_last?, keep_length: keep_length? };
    if mask == Mask::default() {
        return says_nothing(reader, node, &fields, "mask", "`{ mask: { keep_last: 4 } }`");
    }
    Some(Action::Mask(mask))
}

fn generalise(reader: &mut Reader<'_>, node: &Node) -> Option<Generalisation> {
    const WAYS: [&str; 5] = ["age_band", "date", "prefix", "round", "ip"];
    if let Kind::Scalar(scalar) = &node.kind {
        if scalar.text == "ip" {
            return Some(Generalisation::Ip);
        }
        let at = reader.place(&node.span);
        let message = format!("`generalise` has to say how, and `{}` alone does not", scalar.text);
        reader.report(Finding::error("bad-action", at, message).help(HOW_TO_GENERALISE));
        return None;
    }
    let fields = reader.fields(node, "`generalise`", &WAYS)?;
    let mut given = WAYS.iter().filter_map(|way| Some((*way, fields.get(way)?)));
    let (way, value) = match (given.next(), given.next()) {
        (Some(only), None) => only,
        (None, _) if fields.has_unknown() => return None,
        (None, _) | (Some(_), Some(_)) => {
            let at = reader.place(&node.span);
            let finding =
                Finding::error("bad-action", at, "`generalise` wants one way, and one only");
            reader.report(finding.help(HOW_TO_GENERALISE));
            return None;
        }
    };
    match way {
        "age_band" => {
            let years = reader.number(value, "`age_band`", AGE_BAND_MAX)?;
            u32::try_from(years).ok().map(Generalisation::AgeBand)
        }
        "prefix" => {
            let chars = reader.number(value, "`prefix`", KEPT_CHARS_MAX)?;
            usize::try_from(chars).ok().map(Generalisation::Prefix)
        }
        "round" => reader.number(value, "`round`", ROUND_MAX).map(Generalisation::Round),
        "date" => match reader.word(value, "`date`")? {
            "year" => Some(Generalisation::Date(Precision::Year)),
            "quarter" => Some(Generalisation::Date(Precision::Quarter)),
            "month" => Some(Generalisation::Date(Precision::Month)),
            word => {
                let at = reader.place(&value.span);
                let message =
                    format!("a date is generalised to year, quarter or month, not `{word}`");
                reader.report(
                    Finding::error("bad-action", at, message)
                        .did_you_mean(word, ["year", "quarter", "month"]),
                );
                None
            }
        },
        // `ip` takes no parameter, and only looks like a member in `{ generalise: { ip: .. } }`.
        _ => {
            let at = reader.place(&value.span);
            reader.report(
                Finding::error("bad-action", at, "`ip` takes no parameter")
                    .help("write `{ generalise: ip }`"),
            );
            None
        }
    }
}
