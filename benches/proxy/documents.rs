//! The documents that go through the proxies, and what has to be left of them.

use serde_json::Value;

/// What is in every document and must be in none that was redacted.
pub(super) const SECRETS: [&str; 5] = [
    "anais.lefevre@example.org",
    "+33 6 12 34 56 78",
    "1984-05-12",
    "27 rue des Lilas",
    "FR7630006000011234567890189",
];

/// Where they are.
const PLACES: [(&str, &str); 5] = [
    ("/customer", "email"),
    ("/customer", "phone"),
    ("/customer", "birth_date"),
    ("/customer/address", "street"),
    ("/payment", "iban"),
];

/// What was bought.
const TITLES: [&str; 5] = [
    "Notebook, A5, lined",
    r#"Fountain pen, \"M\" nib"#,
    "Ink, 50 ml, midnight blue",
    "Blotting paper",
    "Crème envelope, C5, box of 50",
];

/// One customer and the orders, of exactly so many bytes, at least 1024. Some 4.5 bytes make a token,
/// as in the documents of the engine's bench.
pub(super) fn document(bytes: usize) -> Vec<u8> {
    let [email, phone, birth_date, street, iban] = SECRETS;
    let mut text = format!(
        r#"{{"customer":{{"id":"C-1042","name":"Anaïs Lefèvre","email":"{email}","phone":"{phone}","birth_date":"{birth_date}","address":{{"street":"{street}","postcode":"69003","city":"Lyon","country":"FR"}},"status":"active","vip":false}},"payment":{{"iban":"{iban}","bic":"AGRIFRPP","terms":30}},"orders":["#
    );
    // The remark fills up what no order would fit into any more.
    let end = |remark: usize| format!(r#"],"remark":"{}"}}"#, "x".repeat(remark));
    for n in 0.. {
        let comma = if n == 0 { "" } else { "," };
        // No number ends in a zero behind the point: JavaScript would not keep it.
        let order = format!(
            r#"{comma}{{"number":"O-{:06}","placed_at":"2026-10-{:02}T08:15:30Z","state":"delivered","total":{}.75,"gift":null,"lines":[{{"sku":"A{n}-{}","title":"{}","quantity":{},"price":{}.25}},{{"sku":"B{n}-{}","title":"{}","quantity":1,"price":{}.5}}]}}"#,
            104_729 + n * 7,
            n % 28 + 1,
            n * 37 % 900,
            n * 7 % 1000,
            TITLES[n % TITLES.len()],
            n % 5 + 1,
            n % 300,
            n * 11 % 1000,
            TITLES[n * 3 % TITLES.len()],
            n * 13 % 600,
        );
        if text.len() + order.len() + end(0).len() > bytes {
            break;
        }
        text += &order;
    }
    text += &end(bytes - text.len() - end(0).len());
    assert_eq!(text.len(), bytes, "a document has the size that is asked for");
    text.into_bytes()
}

/// Takes the five fields out of a parsed document: what everybody does who rewrites it as values, and
/// what all that rewrite it are compared with.
pub(super) fn redact(document: &mut Value) {
    for (object, member) in PLACES {
        let object = document.pointer_mut(object).and_then(Value::as_object_mut);
        object.unwrap().shift_remove(member).unwrap();
    }
}

/// A body that is as long as is wanted: an array of documents, sent block by block.
pub(super) struct Endless {
    /// The bracket and the first document.
    pub(super) start: Vec<u8>,
    /// Commas and documents, some 1 MiB.
    pub(super) block: Vec<u8>,
}

impl Endless {
    /// What closes the array.
    pub(super) const END: &'static [u8] = b"]";

    pub(super) fn new() -> Self {
        let document = document(4 << 10);
        let start = [b"[".as_slice(), &document].concat();
        let block = [b",".as_slice(), &document].concat().repeat(256);
        Self { start, block }
    }

    /// The length of the body with so many blocks.
    pub(super) fn bytes(&self, blocks: usize) -> usize {
        self.start.len() + blocks * self.block.len() + Self::END.len()
    }
}
