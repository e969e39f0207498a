//! Purposes as they are written, and the grounds of the law they stand on.

use crate::{
    policy::{
        read::{
            names::{names, title},
            written::{Written, WrittenPurpose},
        },
        reader::{At, Reader},
        terms::{Art9, LegalBasis},
    },
    source::{
        Finding,
        yaml::{Key, Node},
    },
};

pub(super) fn purpose(reader: &mut Reader<'_>, key: &Key, node: &Node, written: &mut Written) {
    const KEYS: [&str; 7] = ["title", "legal_basis", "owner", "art9", "code", "dpv", "apis"];
    let name = reader.key(key);
    reader.check_name(&name, "a purpose");
    let what = format!("the purpose `{}`", key.text);
    let mut purpose = WrittenPurpose {
        name,
        title: String::new(),
        legal_basis: LegalBasis::Contract,
        art9: None,
        declares_art9: false,
        owner: None,
        code: None,
        dpv: None,
        apis: None,
    };
    if let Some(fields) = reader.fields(node, &what, &KEYS) {
        let owner = At { value: what.clone(), at: purpose.name.at.clone() };
        purpose.title = title(reader, &fields, &owner);
        let legal_basis = reader
            .required(
                &fields,
                "legal_basis",
                &owner,
                "Art. 6 GDPR wants one: say which, for example `legal_basis: contract`",
            )
            .and_then(|node| legal_basis(reader, node));
        purpose.legal_basis = legal_basis.unwrap_or(purpose.legal_basis);
        let art9_node = fields.get("art9");
        purpose.declares_art9 = art9_node.is_some();
        purpose.art9 = art9_node.and_then(|node| art9(reader, node));
        let mut text = |name: &str| {
            let node = fields.get(name)?;
            reader.text(node, &format!("`{name}`")).map(|text| text.value)
        };
        purpose.owner = text("owner");
        purpose.code = text("code");
        purpose.dpv = text("dpv");
        purpose.apis = fields.get("apis").map(|node| names(reader, node, &what, "API"));
    }
    written.purposes.push(purpose);
}

const UNTIL_CONSENT: &str = "the consent of each person would have to be checked, and tamis cannot do that yet: until then take the purpose out with its rules, so that its requests are denied; if it has another legal basis too, name that";
const UNTIL_OBJECTION: &str = "people who objected would have to be left out, and tamis cannot do that yet: until then take the purpose out with its rules, so that its requests are denied; if it has another legal basis too, name that";
const UNTIL_EXPLICIT_CONSENT: &str = "the consent of each person would have to be checked, and tamis cannot do that yet: until then give the special categories no `keep` for this purpose, and take `art9` out; if another exception holds too, name that";

fn legal_basis(reader: &mut Reader<'_>, node: &Node) -> Option<LegalBasis> {
    let text = reader.text(node, "`legal_basis`")?;
    match text.value.as_str() {
        "consent" => {
            reader.report(
                Finding::error(
                    "not-supported-yet",
                    text.at,
                    "`consent` is not supported yet as a legal basis",
                )
                .help(UNTIL_CONSENT),
            );
            None
        }
        "legitimate_interests" => {
            reader.report(
                Finding::error(
                    "not-supported-yet",
                    text.at,
                    "`legitimate_interests` is not supported yet as a legal basis",
                )
                .help(UNTIL_OBJECTION),
            );
            None
        }
        word => {
            let found = LegalBasis::from_word(word);
            if found.is_none() {
                reader.report(
                    Finding::error(
                        "unknown-word",
                        text.at,
                        format!("`{word}` is not a legal basis"),
                    )
                    .did_you_mean(word, LegalBasis::ALL.map(LegalBasis::word)),
                );
            }
            found
        }
    }
}

fn art9(reader: &mut Reader<'_>, node: &Node) -> Option<Art9> {
    let text = reader.text(node, "`art9`")?;
    let word = text.value.as_str();
    if word == "explicit_consent" {
        reader.report(
            Finding::error("not-supported-yet", text.at, "`explicit_consent` is not supported yet")
                .help(UNTIL_EXPLICIT_CONSENT),
        );
        return None;
    }
    let found = Art9::from_word(word);
    if found.is_none() {
        let message = format!("`{word}` is not an exception of Art. 9(2) GDPR");
        reader.report(
            Finding::error("unknown-word", text.at, message)
                .did_you_mean(word, Art9::ALL.map(Art9::word)),
        );
    }
    found
}
