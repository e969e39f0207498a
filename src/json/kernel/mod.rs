//! Where the tokens of a document begin: the first stage, which looks at every byte.
//!
//! A kernel turns bytes into the positions of tokens and checks what is inside of strings. All
//! kernels give the same positions and leave the same [`Carry`] behind; this is the only place where
//! an implementation may differ by processor.

mod portable;

pub(crate) use portable::Portable;

/// What a kernel must remember from one call to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carry {
    pub(crate) inside: Inside,
}

/// What the last byte left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Nothing: white space, or a token that is complete.
    #[default]
    Nothing,
    /// A number or literal, as far as its first byte tells.
    Primitive,
    /// A string.
    String,
    /// A string, after a backslash.
    Escape,
    /// A string, in `\u`, with this many hexadecimal digits to come.
    Hex(u8),
}

/// Most bytes that are scanned at a time: the events of a window stay in the nearest cache, and a position
/// in it fits 16 bits.
pub(crate) const WINDOW_BYTES_MAX: usize = 1 << 13;

/// Finds the tokens in a window of the document.
pub(crate) trait Kernel {
    /// Appends the position in `window` (at most [`WINDOW_BYTES_MAX`] long) of every `{ } [ ] : ,`
    /// outside of strings, of both quotes of every string, and of the first byte of everything else
    /// that is not white space. The event after an opening quote is always the closing one.
    ///
    /// An error is the position of a byte that cannot stand in a string: a control character, or one
    /// that makes no escape (RFC 8259, section 7).
    fn scan(carry: &mut Carry, window: &[u8], events: &mut Vec<u16>) -> Result<(), usize>;
}
