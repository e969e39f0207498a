//! Other libraries at the work that the engine bench gives tamis: read a JSON document, put `null` in the
//! place of some members, and write it.
//!
//! The bench starts this program once, and asks line by line, so that its rounds and those of the engine
//! can take turns. A question is `LIBRARY PLACE FILE TIMES NAMES`, where `PLACE` is `records` (members
//! of the objects in an array) or `anywhere`, and `NAMES` are separated by commas. The answer is how many
//! seconds one run took, and how many bytes came out. With `TIMES` 0 the answer is the output
//! itself, in a file whose name is that of the input and `.out`.

mod lazy;
mod transcode;

use std::{
    collections::{HashMap, HashSet},
    fs,
    hint::black_box,
    io::{self, BufRead as _, Write as _},
    time::Instant,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is to be redacted.
struct Redaction {
    /// Names of members.
    names: HashSet<String>,
    /// Whether they count wherever they stand, and not only in the records of an array.
    anywhere: bool,
}

impl Redaction {
    /// Whether a member of an object at this depth is redacted; that of the root is 0.
    fn hits(&self, depth: usize, name: &str) -> bool {
        (self.anywhere || depth == 1) && self.names.contains(name)
    }
}

fn main() -> io::Result<()> {
    let mut documents: HashMap<String, Vec<u8>> = HashMap::new();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [library, place, file, times, names] = words.as_slice() else {
            panic!("not a question: {line}");
        };
        let redaction = Redaction {
            names: names.split(',').map(str::to_owned).collect(),
            anywhere: *place == "anywhere",
        };
        let run: fn(&[u8], &Redaction) -> Vec<u8> = match *library {
            "transcode" => transcode::redact,
            "serde_json" => serde_values,
            "sonic-dom" => sonic_values,
            "sonic-lazy" => lazy::redact,
            "simd-json" => simd_values,
            other => panic!("nobody knows `{other}`"),
        };
        if !documents.contains_key(*file) {
            documents.insert((*file).to_owned(), fs::read(file)?);
        }
        let document = &documents[*file];
        let times: u32 = times.parse().unwrap();
        if times == 0 {
            fs::write(format!("{file}.out"), run(document, &redaction))?;
            writeln!(out, "0 0")?;
        } else {
            let began = Instant::now();
            let mut bytes = 0;
            for _ in 0..times {
                bytes = black_box(run(black_box(document), &redaction)).len();
            }
            writeln!(out, "{} {bytes}", (began.elapsed() / times).as_secs_f64())?;
        }
        out.flush()?;
    }
    Ok(())
}

/// The document as values, changed and printed again.
fn serde_values(document: &[u8], redaction: &Redaction) -> Vec<u8> {
    fn walk(value: &mut serde_json::Value, depth: usize, redaction: &Redaction) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, member) in members {
                    if redaction.hits(depth, name) {
                        *member = serde_json::Value::Null;
                    } else {
                        walk(member, depth + 1, redaction);
                    }
                }
            }
            serde_json::Value::Array(elements) => {
                for element in elements {
                    walk(element, depth + 1, redaction);
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(document).unwrap();
    walk(&mut value, 0, redaction);
    serde_json::to_vec(&value).unwrap()
}

fn sonic_values(document: &[u8], redaction: &Redaction) -> Vec<u8> {
    use sonic_rs::{JsonContainerTrait as _, JsonValueMutTrait as _};
    fn walk(value: &mut sonic_rs::Value, depth: usize, redaction: &Redaction) {
        if let Some(members) = value.as_object_mut() {
            for (name, member) in members.iter_mut() {
                if redaction.hits(depth, name) {
                    *member = sonic_rs::Value::new_null();
                } else {
                    walk(member, depth + 1, redaction);
                }
            }
        } else if value.as_array().is_some() {
            for element in value.as_array_mut().unwrap().iter_mut() {
                walk(element, depth + 1, redaction);
            }
        }
    }
    let mut value: sonic_rs::Value = sonic_rs::from_slice(document).unwrap();
    if redaction.anywhere {
        walk(&mut value, 0, redaction);
    } else {
        // As fast as its user would write it: one look-up for each name.
        for record in value.as_array_mut().unwrap().iter_mut() {
            for name in &redaction.names {
                if let Some(member) = record.get_mut(name.as_str()) {
                    *member = sonic_rs::Value::new_null();
                }
            }
        }
    }
    sonic_rs::to_vec(&value).unwrap()
}

fn simd_values(document: &[u8], redaction: &Redaction) -> Vec<u8> {
    use simd_json::{BorrowedValue, StaticNode, prelude::Writable as _};
    fn walk(value: &mut BorrowedValue<'_>, depth: usize, redaction: &Redaction) {
        match value {
            BorrowedValue::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if redaction.hits(depth, name) {
                        *member = BorrowedValue::Static(StaticNode::Null);
                    } else {
                        walk(member, depth + 1, redaction);
                    }
                }
            }
            BorrowedValue::Array(elements) => {
                for element in elements.iter_mut() {
                    walk(element, depth + 1, redaction);
                }
            }
            _ => {}
        }
    }
    // It parses in place.
    let mut document = document.to_vec();
    let mut value = simd_json::to_borrowed_value(&mut document).unwrap();
    walk(&mut value, 0, redaction);
    let mut out = Vec::new();
    value.write(&mut out).unwrap();
    out
}
