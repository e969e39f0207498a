//! Which media types hold JSON, and how: what the language says of them, and nothing of a body.

/// Whether bodies of this media type (`type/subtype`, lower-case) are those of gRPC: messages in a framing of
/// its own, and what became of the call stands in trailers, which never leave.
pub(crate) fn is_grpc(essence: &str) -> bool {
    let rest = essence.strip_prefix("application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// Whether the name of a media type (`type/subtype`, lower-case) says that its bodies hold JSON, or events
/// that do, be it in a framing that is not known here: `application/fhir+ndjson`, `application/x-json-stream`,
/// `application/event-stream`.
pub(crate) fn is_called_json(essence: &str) -> bool {
    essence.contains("json") || essence.ends_with("event-stream")
}

/// How documents stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The body is one document (RFC 8259).
    Document,
    /// One document a line: NDJSON, JSON Lines.
    Lines,
    /// Each document between a record separator and a line feed: JSON text sequences (RFC 7464).
    Sequence,
    /// One document an event: server-sent events (WHATWG HTML, section 9.2).
    Events,
}

impl Framing {
    /// The framing of bodies of this media type (`type/subtype`, lower-case), if they hold JSON.
    pub fn of(essence: &str) -> Option<Self> {
        if is_grpc(essence) {
            return None;
        }
        match essence {
            "application/json" | "text/json" => Some(Self::Document),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Some(Self::Lines),
            "application/json-seq" => Some(Self::Sequence),
            "text/event-stream" => Some(Self::Events),
            // RFC 6839 and RFC 8091 for the suffixes.
            other if other.ends_with("+json") => Some(Self::Document),
            other if other.ends_with("+json-seq") => Some(Self::Sequence),
            _ => None,
        }
    }

    /// Whether a body without a byte is one: of no documents.
    pub fn may_be_empty(self) -> bool {
        self != Self::Document
    }
}
