//! The documents that are measured, and what is redacted of each.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// A document, and five members of it that are redacted.
pub(super) struct Corpus {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Where it is, for other processes.
    pub(super) file: PathBuf,
    /// The names of the members.
    pub(super) names: [&'static str; 5],
    /// Whether the names count wherever they stand, and not only in the records of an array.
    pub(super) anywhere: bool,
}

impl Corpus {
    /// A path to each of the five members.
    pub(super) fn paths(&self) -> [String; 5] {
        let before = if self.anywhere { "$.." } else { "$[*]." };
        self.names.map(|name| format!("{before}{name}"))
    }
}

pub(super) const CUSTOMER_NAMES: [&str; 5] =
    ["first_name", "last_name", "email", "iban", "birth_date"];

/// Customer records, written to the folder.
pub(super) fn customers(name: &'static str, bytes: usize, folder: &Path) -> Corpus {
    let file = folder.join(format!("customers-{bytes}.json"));
    let bytes = records(bytes);
    fs::write(&file, &bytes).unwrap();
    Corpus { name, bytes, file, names: CUSTOMER_NAMES, anywhere: false }
}

/// The documents that `benches/fetch-corpora` fetches, as far as they are there; the bundle of FHIR is made of
/// so many bytes of them.
pub(super) fn fetched(folder: &Path, fhir_bytes: usize) -> Vec<Corpus> {
    let found = [
        ("twitter.json", ["screen_name", "name", "text", "location", "profile_image_url"]),
        ("citm_catalog.json", ["name", "seatMapImage", "price", "start", "logo"]),
        // Nothing but numbers: it has none of these.
        ("canada.json", ["name", "email", "phone", "street", "iban"]),
    ]
    .map(|(name, names)| {
        let file = folder.join(name);
        let Ok(bytes) = fs::read(&file) else {
            println!("skipped: {name}: `benches/fetch-corpora` has not fetched it");
            return None;
        };
        Some(Corpus { name, bytes, file, names, anywhere: true })
    });
    found.into_iter().flatten().chain(fhir(folder, fhir_bytes)).collect()
}

/// Examples of HL7 FHIR R4 in one bundle, in the order of their names, as many as go into so many bytes.
fn fhir(folder: &Path, bytes_max: usize) -> Option<Corpus> {
    let name = "FHIR bundle";
    let Ok(examples) = fs::read_dir("target/fhir/package") else {
        println!("skipped: {name}: `tests/fetch-fhir` has not fetched its examples");
        return None;
    };
    let mut examples: Vec<PathBuf> = examples.map(|entry| entry.unwrap().path()).collect();
    examples.retain(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        file.extension().is_some_and(|is| is == "json")
            && !name.starts_with('.')
            && name != "package.json"
    });
    examples.sort();
    let mut bytes = br#"{"resourceType":"Bundle","type":"collection","entry":["#.to_vec();
    let mut separator = "";
    for example in examples {
        let example = fs::read(example).unwrap();
        if bytes.len() + example.len() > bytes_max {
            continue;
        }
        bytes.extend_from_slice(separator.as_bytes());
        bytes.extend_from_slice(br#"{"resource":"#);
        bytes.extend_from_slice(&example);
        bytes.push(b'}');
        separator = ",";
    }
    bytes.extend_from_slice(b"]}");
    let file = folder.join(format!("fhir-{bytes_max}.json"));
    fs::write(&file, &bytes).unwrap();
    // All of them scalars: a container stays as structure where `$..` can go on below it.
    let names = ["family", "birthDate", "city", "postalCode", "display"];
    Some(Corpus { name, bytes, file, names, anywhere: true })
}

pub(super) const FHIR_BYTES: usize = 35 << 20;

/// An array of dense customer records, some 1.2 KB each, of at least `bytes`.
pub(super) fn records(bytes: usize) -> Vec<u8> {
    let mut out = String::from("[");
    let mut n = 0;
    while out.len() < bytes {
        if n > 0 {
            out.push(',');
        }
        write!(
            out,
            r#"{{"id":"C-{n:06}","first_name":"Anaïs","last_name":"Lefèvre-{n}","birth_date":"19{:02}-0{}-1{}","email":"anais.lefevre{n}@example.org","phones":["+33 6 12 34 {:02} 78","+33 1 98 76 54 {:02}"],"address":{{"street":"{} rue des Lilas","postcode":"690{:02}","city":"Lyon","country":"FR","floor":{}}},"iban":"FR76300060000112345678{:05}","status":"active","vip":{},"score":{}.{},"tags":["newsletter","b2c","loyal"],"orders":["#,
            n % 100,
            n % 9 + 1,
            n % 10,
            n % 100,
            n % 89,
            n % 300,
            n % 100,
            n % 7,
            n % 99_999,
            n % 5 == 0,
            n % 1000,
            n % 100
        )
        .unwrap();
        for order in 0..3 {
            if order > 0 {
                out.push(',');
            }
            write!(
                out,
                r#"{{"sku":"A{order}-{n}","at":"2026-10-0{}T08:15:30Z","price":{}.50,"quantity":{},"gift":null,"items":[{{"ean":"40063{:08}","weight":{}}}]}}"#,
                order + 1,
                n % 500,
                order + 1,
                n * 7 % 99_999_999,
                n % 40
            )
            .unwrap();
        }
        out.push_str(r#"],"notes":"Asked to be called back after six; prefers \"Anaïs\" over Madame.","preferences":{"language":"fr","newsletter":true,"channels":{"email":true,"sms":false,"post":null}}}"#);
        n += 1;
    }
    out.push(']');
    out.into_bytes()
}
