//! A request line, taken apart so that it has one meaning, or refused.

use std::{borrow::Cow, fmt};

use memchr::{memchr_iter, memchr2};

use crate::{
    access::Reason,
    policy::{
        conditions::{is_condition, overrides_method},
        folded::byte_of,
        terms::Method,
    },
};

/// A request line taken apart; the segments of its path are decoded once.
///
/// `Debug` says the method only: paths and parameters carry personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    method: String,
    path: String,
    /// The path without what need not have been encoded decoded; none if there is no such thing.
    undecoded: Option<String>,
    parameters: Vec<(String, String)>,
    has_body: bool,
    /// The headers, in lower case, that make it conditional or name another method.
    conditions: Vec<String>,
}

impl Target {
    /// Takes a request line apart, and refuses what two readers could understand in two ways.
    ///
    /// ```
    /// use tamis::access::Reason;
    /// use tamis::policy::Target;
    ///
    /// let target = Target::parse("GET", "/customers/C%401?page=2").unwrap();
    /// assert_eq!(target.path(), "/customers/C@1");
    /// assert_eq!(target.parameters(), [("page".to_owned(), "2".to_owned())]);
    /// assert_eq!(Target::parse("GET", "/customers/..%2fadmin"), Err(Reason::PathNotCanonical));
    /// ```
    pub fn parse(method: &str, path_and_query: &str) -> Result<Target, Reason> {
        let wrong = Reason::PathNotCanonical;
        let (raw_path, raw_query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let segments = raw_path.strip_prefix('/').ok_or(wrong)?;
        if path_and_query.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            return Err(wrong);
        }
        let mut path = String::with_capacity(raw_path.len());
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            let decoded = decode(segment, Decoded::All).ok_or(wrong)?;
            if !is_canonical(&decoded) || (decoded.is_empty() && segments.peek().is_some()) {
                return Err(wrong);
            }
            path.push('/');
            path.push_str(&decoded);
        }
        // Where nothing is encoded there is nothing to compare.
        let undecoded = if raw_path.contains('%') {
            let undecoded = decode(raw_path, Decoded::Needed).ok_or(wrong)?;
            Some(undecoded.into_owned()).filter(|undecoded| *undecoded != path)
        } else {
            None
        };
        let mut parameters = Vec::new();
        if let Some(query) = raw_query.filter(|query| !query.is_empty()) {
            // Some servers take `;` for `&`, and would see parameters that nobody decided about.
            if query.contains(';') {
                return Err(wrong);
            }
            // An empty sequence between two `&` is no parameter (WHATWG URL, section 5.1).
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                parameters.push((
                    decode(name, Decoded::Query).ok_or(wrong)?.into_owned(),
                    decode(value, Decoded::Query).ok_or(wrong)?.into_owned(),
                ));
            }
        }
        let conditions = Vec::new();
        let method = method.to_owned();
        Ok(Target { method, path, undecoded, parameters, has_body: false, conditions })
    }

    /// The same request with a body, which some methods bring though nothing asks it of them: it is
    /// as little looked into as that of a `POST`.
    #[must_use]
    pub fn with_body(self) -> Self {
        Self { has_body: true, ..self }
    }

    /// The same request with headers of these names, in lower case. Those count that make it conditional, or name another
    /// method: to leave them out would change what is done.
    #[must_use]
    pub fn with_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter(|name| is_condition(name) || overrides_method(name));
        Self { conditions: names.map(str::to_owned).collect(), ..self }
    }

    /// The request that reads what this one changes.
    pub(crate) fn reading(&self) -> Self {
        let method = Method::Get.word().to_owned();
        Self { method, has_body: false, conditions: Vec::new(), ..self.clone() }
    }

    /// The method as it was sent.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, decoded; no segment of it holds a `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path before what need not have been encoded is decoded, if there is such a thing: some compare it so.
    pub(crate) fn undecoded(&self) -> Option<&str> {
        self.undecoded.as_deref()
    }

    /// The headers, in lower case, that make it conditional or name another method.
    pub(crate) fn conditions(&self) -> &[String] {
        &self.conditions
    }

    /// Whether it has a body that its method does not ask for.
    pub(crate) fn has_body(&self) -> bool {
        self.has_body
    }

    /// The parameters of the query, decoded, in their order.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decoded {
    /// Of a path, everything.
    All,
    /// Of a path, what could not stand there as it is (`pchar` of RFC 3986, section 3.3).
    Needed,
    /// Of a query, everything, and `+`.
    Query,
}

/// Resolves `%XX` once; `None` if the result is no UTF-8 text.
fn decode(raw: &str, what: Decoded) -> Option<Cow<'_, str>> {
    if memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Some(Cow::Borrowed(raw));
    }
    let is_pchar = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let byte = byte_of(high, low)?;
                if what == Decoded::Needed && is_pchar(byte) {
                    decoded.extend([b'%', high, low]);
                } else {
                    decoded.push(byte);
                }
            }
            b'+' if what == Decoded::Query => decoded.push(b' '),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Whether a decoded segment means the same to every server.
fn is_canonical(segment: &str) -> bool {
    let decodes_again = memchr_iter(b'%', segment.as_bytes()).any(|at| {
        let after = segment.as_bytes().get(at + 1..at + 3);
        after.is_some_and(|after| after.iter().all(u8::is_ascii_hexdigit))
    });
    let is_wrong = |c: char| c.is_control() || matches!(c, '/' | '\\' | ';');
    !matches!(segment, "." | "..") && !segment.chars().any(is_wrong) && !decodes_again
}
