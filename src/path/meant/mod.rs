//! What was probably meant by a text that is no path: JSON Pointer, `XPath`, jq, `JMESPath`, older `JSONPath` and
//! text from a word processor, written as a path of RFC 9535.
//!
//! A path that is proposed has been read by [`Path::read`], so that following the advice never leads to
//! another error of the same kind. Where nothing can be proposed, it is at least said why.

mod filter;
mod reader;

use crate::path::{
    Path,
    meant::reader::{Notes, Reader, Stop, plain},
};

/// Longest text, in bytes, for which a path is proposed: a longer one has more wrong with it than one slip.
const TEXT_BYTES_MAX: usize = 1024;

/// What was meant, as far as that can be told.
pub(super) struct Meant {
    /// A path that can be read, printed as one would write it.
    pub(super) path: Option<String>,
    /// Why the text is none, in a clause.
    pub(super) why: String,
}

/// What was meant by a text that is no path.
pub(super) fn of(text: &str) -> Option<Meant> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut notes = Notes::default();
    let plain = plain(text, &mut notes);
    match Reader::new(&plain, &mut notes, filter::filter).path() {
        Ok(written) => {
            let path = Path::read(&written).ok()?.to_string();
            // As it is printed it has to be a path, too.
            (path != text && Path::read(&path).is_ok())
                .then(|| Meant { path: Some(path), why: notes.joined() })
        }
        Err(Stop::Say(why)) => Some(Meant { path: None, why: why.into_owned() }),
        Err(Stop::Unclear) => None,
    }
}
