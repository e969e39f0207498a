//! Any text as a path: what is one can be printed, read again and compiled, and is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamis::path::{Path, Program};

fuzz_target!(|text: &str| {
    let Ok(path) = Path::parse(text) else { return };
    let printed = path.to_string();
    assert_eq!(Path::parse(&printed).as_ref(), Ok(&path), "{printed}");
    // It may be too complex, and says so.
    let _program = Program::compile(&[path]);
});
