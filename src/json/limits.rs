//! How much a rewriter may hold, and why a document cannot be read to its end.

/// How much a rewriter may hold at a time. What it allocates for one document stays below the sum
/// of `name_bytes_max`, `gap_bytes_max`, twice `value_bytes_max`, 64 bytes times `depth_max`, and
/// 32 KiB for the positions of tokens and for the members that are remembered; with filters and
/// what counts from the end of an array, also of one and a half times `candidate_bytes_max`, and
/// while a filter is asked, of sixteen times that for a moment. Where a filter asks about the
/// document, `document_bytes_max` takes its place. A program that [makes its
/// states](crate::path::Program::is_lazy) on the way takes 3 MiB for these, or what the states of
/// all containers around take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep containers may be nested; a document that goes deeper is refused. Each level is held
    /// here, and recursive readers behind this one overflow their stacks on deep documents.
    pub depth_max: usize,
    /// Longest name that is decided, in bytes as they stand between the quotes; the member of a longer
    /// one is removed. Names that a path spells have at most 256 bytes, 1,536 when all are escaped. A
    /// name that a chunk cuts has to be held until it is complete.
    pub name_bytes_max: usize,
    /// Longest white space, with comma and colon, before a value that is not decided yet; of a longer
    /// one only the comma and the colon are kept. Whether it leaves is known with the value, so it is
    /// held where a chunk cuts it.
    pub gap_bytes_max: usize,
    /// Longest scalar that can be captured, in bytes as they stand in the document, quotes included.
    /// An action needs all of it, so it is held where a chunk cuts it.
    pub value_bytes_max: usize,
    /// Longest value that a filter can ask about, and the most that can wait for an array to go on
    /// where a path counts from its end, with 16 bytes for each element. Beyond it the node is removed.
    /// All of this is held until the answer is known.
    pub candidate_bytes_max: usize,
    /// Longest document that is held because a filter asks about it (`$`); a longer one is refused, for
    /// no part of it can be decided. Where a document is held, it stands for `candidate_bytes_max`.
    pub document_bytes_max: usize,
}

impl Default for Limits {
    /// 128 levels, 4 KiB for names and for gaps, 64 KiB for captured values, 1 MiB for candidates,
    /// 8 MiB for documents.
    fn default() -> Self {
        Self {
            depth_max: 128,
            name_bytes_max: 4 << 10,
            gap_bytes_max: 4 << 10,
            value_bytes_max: 64 << 10,
            candidate_bytes_max: 1 << 20,
            document_bytes_max: 8 << 20,
        }
    }
}

/// Why a document cannot be read to its end. Holds offsets, never a byte of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not the grammar of RFC 8259.
    #[error("no JSON at byte {at}")]
    Grammar {
        /// Offset of the byte that cannot stand there, from the start of the document.
        at: u64,
    },
    /// Not UTF-8.
    #[error("no UTF-8 at byte {at}")]
    Utf8 {
        /// Offset of the first byte that is wrong; that of the chunk where a character is cut.
        at: u64,
    },
    /// Nested deeper than [`Limits::depth_max`].
    #[error("nested too deep at byte {at}")]
    Depth {
        /// Offset of the bracket that opens the level too many.
        at: u64,
    },
    /// Something that a filter asked about stands twice, and what the filter let through has begun
    /// to leave.
    #[error("something that a filter asks about stands there again at byte {at}")]
    Ambiguous {
        /// Offset of the end of its name.
        at: u64,
    },
    /// Longer than [`Limits::document_bytes_max`], and a filter asks about it as a whole.
    #[error("too large to be held, at byte {at}")]
    TooLarge {
        /// Offset of the first byte too many.
        at: u64,
    },
    /// So many different nodes that the states of the paths took too long to make, which [are made
    /// on the way](crate::path::Program::is_lazy).
    #[error("too complex for the policies at byte {at}")]
    TooComplex {
        /// Offset of the first token that was not decided any more.
        at: u64,
    },
    /// The document ended before it was complete.
    #[error("cut off")]
    Cut,
}
