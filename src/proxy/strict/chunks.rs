//! The chunks of a request body (RFC 9112, section 7.1), followed to their end.

use crate::{access::Reason, proxy::strict::head::field};

/// The longest line of a chunk's size with what else it says, and all trailers together.
const LINE_BYTES_MAX: usize = 4096;
/// Digits of a size; more could be another number for somebody with shorter ones.
const DIGITS_MAX: usize = 8;

/// Where in a chunked body the next byte lies.
#[derive(Debug)]
pub(super) enum Chunks {
    /// In a line: that of a size, or behind the last chunk a trailer.
    Line {
        /// What of it has come.
        line: Vec<u8>,
        /// Bytes of trailers that came before; none if no chunk was the last.
        trailers: Option<usize>,
    },
    /// In the data of a chunk, of which so much is left, or in the line end behind it.
    Data {
        /// Bytes, the two of the line end among them.
        left: u64,
    },
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self::Line { line: Vec::new(), trailers: None }
    }

    /// Follows these bytes, and says how many of them belong to the body, and whether it ends there.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(usize, bool), Reason> {
        let mut followed = 0;
        while let Some(rest) = bytes.get(followed..).filter(|rest| !rest.is_empty()) {
            match self {
                Self::Data { left } => {
                    let (taken, still) = data(rest, *left)?;
                    followed += taken;
                    *self = if still > 0 { Self::Data { left: still } } else { Self::new() };
                }
                Self::Line { line, trailers } => {
                    let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
                    let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                    line.extend_from_slice(piece);
                    followed += piece.len();
                    let so_far = trailers.unwrap_or(0) + line.len();
                    if so_far > LINE_BYTES_MAX {
                        return Err(Reason::RequestUnreadable);
                    }
                    if end.is_none() {
                        continue;
                    }
                    let whole = line.strip_suffix(b"\r\n").ok_or(Reason::RequestUnreadable)?;
                    *self = match trailers {
                        None => match size(whole).ok_or(Reason::RequestUnreadable)? {
                            0 => Self::Line { line: Vec::new(), trailers: Some(0) },
                            size => Self::Data { left: size + 2 },
                        },
                        Some(_) if whole.is_empty() => return Ok((followed, true)),
                        Some(_) => {
                            field(whole).ok_or(Reason::RequestUnreadable)?;
                            Self::Line { line: Vec::new(), trailers: Some(so_far) }
                        }
                    };
                }
            }
        }
        Ok((followed, false))
    }
}

/// How many of these bytes belong to a chunk of which `left` are to come, and how many then are. The
/// last two are its line end.
fn data(bytes: &[u8], left: u64) -> Result<(usize, u64), Reason> {
    let (mut taken, mut left) = (0, left);
    for byte in bytes {
        match left {
            0 => break,
            1 | 2 => {
                let expected = if left == 2 { b'\r' } else { b'\n' };
                if *byte != expected {
                    return Err(Reason::RequestUnreadable);
                }
                (taken, left) = (taken + 1, left - 1);
            }
            _ if taken == 0 => {
                let many = usize::try_from(left - 2).unwrap_or(usize::MAX).min(bytes.len());
                let (rest, still) =
                    data(bytes.get(many..).unwrap_or_default(), left - many as u64)?;
                return Ok((many + rest, still));
            }
            _ => break,
        }
    }
    Ok((taken, left))
}

/// The size that a line says. Extensions mean nothing to anybody, but have to be text.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits)?;
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let is_extension = rest.first() == Some(&b';') && rest.iter().all(is_text);
    if !(1..=DIGITS_MAX).contains(&digits) || !(rest.is_empty() || is_extension) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(size).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes the body has, followed whole and byte by byte.
    #[track_caller]
    fn check(body: &str, expected: Option<usize>) {
        let whole = Chunks::new().follow(body.as_bytes());
        let ended = whole.ok().filter(|(_, ends)| *ends).map(|(length, _)| length);
        assert_eq!(ended, expected, "{body:?}");
        let mut chunks = Chunks::new();
        let mut length = 0;
        for byte in body.as_bytes() {
            match chunks.follow(&[*byte]) {
                Ok((1, false)) => length += 1,
                Ok((one, ends)) => {
                    assert_eq!((one, ends, Some(length + 1)), (1, true, expected), "{body:?}");
                    return;
                }
                Err(_) => {
                    assert_eq!(expected, None, "{body:?}");
                    assert!(whole.is_err(), "{body:?}");
                    return;
                }
            }
        }
        assert_eq!(expected, None, "{body:?}");
    }

    #[test]
    fn chunks_are_followed_to_their_end() {
        for body in [
            "0\r\n\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            "00A\r\n0123456789\r\n2;a=b;c=\"d\"\r\n\r\n\r\n0;x\r\n\r\n",
            "0\r\nX: y\r\nZ: \r\n\r\n",
        ] {
            check(body, Some(body.len()));
            check(&format!("{body}GET / "), Some(body.len()));
            check(body.get(..body.len() - 1).unwrap(), None);
        }
    }

    #[test]
    fn chunks_that_two_could_follow_differently_are_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\nx\r\n",
            "+1\r\nx\r\n",
            "0x1\r\nx\r\n",
            " 1\r\nx\r\n",
            "1 \r\nx\r\n",
            "1 ;a\r\nx\r\n",
            "1\nx\r\n",
            "1\rx\r\n",
            "1;\n\r\nx\r\n",
            "1;\0\r\nx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\r\r\n",
            "000000001\r\nx\r\n",
            "fffffffff\r\nx\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\n\n",
        ] {
            assert!(Chunks::new().follow(body.as_bytes()).is_err(), "{body:?}");
            check(body, None);
        }
        let long = format!("1;{}", "x".repeat(LINE_BYTES_MAX));
        assert!(Chunks::new().follow(long.as_bytes()).is_err());
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(LINE_BYTES_MAX / 6 + 1));
        assert!(Chunks::new().follow(trailers.as_bytes()).is_err());
    }
}
