//! The record of one access: plain data, and why a request was denied or a response refused.
//!
//! It must never hold a value of a document, of a header or of a parameter. What stands here comes
//! from the policies or from the code, and may go into logs, metrics and answers as it is.
//!
//! ```
//! use tamis::access::Reason;
//!
//! let reason = Reason::PurposeMissing;
//! assert_eq!(reason.code(), "purpose-missing");
//! assert_eq!(reason.status(), 403);
//! assert_eq!(Reason::from_code("purpose-missing"), Some(reason));
//! ```

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

/// What one request came to: who asked for what, what was decided, and how much left.
///
/// There is one for every request, also for one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecord {
    /// When the request had been read.
    pub time: SystemTime,
    /// The trace that the request belongs to, if it says so.
    pub trace: Option<Trace>,
    /// Who asked for what.
    pub labels: Labels,
    /// What was decided.
    pub decision: Decision,
    /// Why, if it was not allowed. A response that the client itself gave up has none.
    pub reason: Option<Reason>,
    /// The status that was sent, if one was.
    pub status: Option<u16>,
    /// The digest of the policies under which it was decided, all 64 digits; none if there were none.
    pub policy: Option<Arc<str>>,
    /// How often each action was carried out on each category.
    pub counts: Vec<Count>,
    /// Whether the response had unclassified data that was withheld.
    pub unclassified: bool,
    /// From the request to the end of the response.
    pub duration: Duration,
    /// The part of `duration` that tamis itself worked, neither waiting nor moving bytes.
    pub overhead: Duration,
}

impl AccessRecord {
    /// The class of the status that the client was given.
    pub fn class(&self) -> StatusClass {
        StatusClass::of(self.status)
    }
}

/// The `trace-id` of a W3C Trace Context: 32 lower-case hexadecimal digits, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace([u8; Self::DIGITS]);

impl Trace {
    const DIGITS: usize = 32;

    /// Takes the id from the value of a `traceparent` header (Trace Context, section 3.2); `None` if
    /// the value has another form.
    ///
    /// ```
    /// let header = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let trace = tamis::access::Trace::from_header(header).unwrap();
    /// assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert_eq!(tamis::access::Trace::from_header(b"00-anna@example.org-01"), None);
    /// ```
    pub fn from_header(traceparent: &[u8]) -> Option<Self> {
        let mut parts = traceparent.split(|byte| *byte == b'-');
        let (version, id, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &[u8]| text.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let is_form = version.len() == 2 && parent.len() == 16 && flags.len() == 2;
        let is_version = version != b"ff" && (version != b"00" || parts.next().is_none());
        let digits: [u8; Self::DIGITS] = id.try_into().ok()?;
        let are_hex = [version, id, parent, flags].into_iter().all(is_hex);
        let is_set = digits.iter().any(|digit| *digit != b'0');
        (is_form && is_version && are_hex && is_set).then_some(Self(digits))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({self})")
    }
}

/// Who asks for what, in names of the policies.
///
/// A name that no policy knows is not taken over, so that a request cannot invent labels: it is
/// `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The caller.
    pub caller: Arc<str>,
    /// The purpose.
    pub purpose: Arc<str>,
    /// The api.
    pub api: Arc<str>,
    /// The route as its policy writes it, such as `GET /customers/{id}`.
    pub route: Arc<str>,
}

impl Labels {
    /// What stands for a name that no policy knows.
    pub const UNKNOWN: &'static str = "unknown";

    /// The labels of a request of which nothing is known yet.
    pub fn unknown() -> Self {
        static UNKNOWN: LazyLock<Arc<str>> = LazyLock::new(|| Labels::UNKNOWN.into());
        let unknown = || Arc::clone(&UNKNOWN);
        Self { caller: unknown(), purpose: unknown(), api: unknown(), route: unknown() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::unknown()
    }
}

/// How many accesses fell under one category and one action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Count {
    /// The category, or `unclassified`.
    pub category: Arc<str>,
    /// What was done.
    pub action: Action,
    /// How many times.
    pub accesses: u64,
}

/// What was done to values of a category, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// They left as they are.
    Keep,
    /// Pseudonyms left in their place.
    Pseudonym,
    /// Coarser values left in their place.
    Generalise,
    /// Stars left in the place of their characters.
    Mask,
    /// `null` left in their place.
    Null,
    /// They were removed.
    Drop,
    /// Whoever asks for them is denied.
    Deny,
    /// They could not be treated as they should have been: `null` left in their place, or nothing.
    Unfit,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Keep,
        Self::Pseudonym,
        Self::Generalise,
        Self::Mask,
        Self::Null,
        Self::Drop,
        Self::Deny,
        Self::Unfit,
    ];

    /// The word for metrics and logs: that of the policy language, or `unfit`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Pseudonym => "pseudonym",
            Self::Generalise => "generalise",
            Self::Mask => "mask",
            Self::Null => "null",
            Self::Drop => "drop",
            Self::Deny => "deny",
            Self::Unfit => "unfit",
        }
    }

    /// The action with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// Whether it lets nothing of a value leave. Then it is counted once for a response, whether there was such a
    /// value or not, so that numbers tell nobody's record.
    pub fn withholds(self) -> bool {
        match self {
            Self::Null | Self::Drop | Self::Deny => true,
            Self::Keep | Self::Pseudonym | Self::Generalise | Self::Mask | Self::Unfit => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The response left, with what the purpose needs.
    Allowed,
    /// The request was not passed on.
    Denied,
    /// The upstream's response was withheld before its first byte left.
    Refused,
    /// The response was cut after its first byte had left.
    Aborted,
}

impl Decision {
    /// All decisions.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Refused, Self::Aborted];

    /// The word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The class of the status that a client was given (RFC 9110, section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusClass {
    /// 200 to 299.
    Successful,
    /// 300 to 399.
    Redirection,
    /// 400 to 499.
    ClientError,
    /// 500 to 599.
    ServerError,
    /// The client had gone before there was a response. An interim status (1xx) is not one.
    Unanswered,
}

impl StatusClass {
    /// All classes.
    pub const ALL: [Self; 5] = [
        Self::Successful,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
        Self::Unanswered,
    ];

    /// The class of a status.
    pub fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Successful,
            Some(300..=399) => Self::Redirection,
            Some(400..=499) => Self::ClientError,
            Some(500..=599) => Self::ServerError,
            Some(_) | None => Self::Unanswered,
        }
    }

    /// The word for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Successful => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Unanswered => "none",
        }
    }
}

/// One row a reason gives its variant, code, status and title, and its place in [`Reason::ALL`].
macro_rules! reasons {
    ($($reason:ident $code:literal $status:literal $title:literal)+) => {
        /// Why a request was denied, or a response refused.
        ///
        /// One word serves the problem type, the metric label, the log field, the exit of `apply`
        /// and the word of a test. The order is that of the checks: where several reasons apply,
        /// the first is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $title] $reason,)+
        }

        impl Reason {
            /// All reasons, in the order of the checks.
            pub const ALL: &'static [Self] = &[$(Self::$reason),+];

            /// The word for machines.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$reason => $code,)+
                }
            }

            /// The status of the answer.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$reason => $status,)+
                }
            }

            /// The sentence for people; it carries no data of the request or the response.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$reason => $title,)+
                }
            }
        }
    };
}

reasons! {
    PoliciesNotLoaded "policies-not-loaded" 503 "No policies are loaded."
    Overloaded "overloaded" 503 "Too many requests are in progress."
    HttpVersionNotSupported "http-version-not-supported" 505 "This HTTP version is not supported."

    RequestUnreadable "request-unreadable" 400 "The request breaks the rules of HTTP."
    RequestTimeout "request-timeout" 408 "The request did not come in time."
    TargetTooLong "target-too-long" 414 "The target of the request is too long."
    HeadTooLarge "head-too-large" 431 "The head of the request is too large."
    HostNotValid "host-not-valid" 400 "The host is missing, or is not valid."
    PathNotCanonical "path-not-canonical" 400 "The path is not in canonical form."
    HeaderRepeated "header-repeated" 400 "A header that may stand once is repeated."
    UpgradeNotAllowed "upgrade-not-allowed" 400 "The request asks for another protocol."

    CallerUnknown "caller-unknown" 401 "The Api-Key header is missing, or its key is not known."
    CallerAmbiguous "caller-ambiguous" 401 "The request identifies more than one caller."

    TooManyRequests "too-many-requests" 429 "The caller asks for too much at a time."

    PurposeMissing "purpose-missing" 403 "The Data-Purpose header is missing."
    PurposeUnknown "purpose-unknown" 403 "The purpose in the Data-Purpose header is not declared."
    PurposeNotAllowed "purpose-not-allowed" 403 "The caller may not ask for the purpose in Data-Purpose."
    ApiNotAllowed "api-not-allowed" 403 "The caller may not use this API."

    OriginNotAllowed "origin-not-allowed" 403 "Pages of this origin may not ask."
    RouteUnknown "route-unknown" 403 "No route is declared for this host, method and path."
    PathAmbiguous "path-ambiguous" 400 "An upstream could take the path for another route."
    CategoryDenied "category-denied" 403 "The route can give data that is denied to this purpose."
    RequestBodyNotAllowed "request-body-not-allowed" 403 "The route takes no request body."
    ConditionNotAllowed "condition-not-allowed" 400 "A condition or a method override cannot be passed on."
    RequestBodyTooLarge "request-body-too-large" 413 "The request body is too large."

    ParameterNotAllowed "parameter-not-allowed" 400 "A parameter is not allowed, or is repeated."
    ParameterWithheld "parameter-withheld" 400 "A parameter takes data that is withheld here."

    UpstreamUnreachable "upstream-unreachable" 502 "The upstream cannot be reached."
    UpstreamUntrusted "upstream-untrusted" 502 "The upstream is not who it has to be."
    UpstreamTimeout "upstream-timeout" 504 "The upstream did not answer in time."
    UpstreamProtocol "upstream-protocol" 502 "The upstream's response breaks the rules of HTTP."
    MediaNotAllowed "media-not-allowed" 502 "The response has a media type that cannot be checked."
    CodingNotSupported "coding-not-supported" 502 "The response has an unknown content coding."
    PartialContent "partial-content" 502 "The response is only a part, which cannot be checked."
    ProtocolSwitch "protocol-switch" 502 "The upstream wants to switch to another protocol."
    BodyUnreadable "body-unreadable" 502 "The response body is not valid."
    BodyTooDeep "body-too-deep" 502 "The response body is nested too deeply."
    BodyTooLarge "body-too-large" 502 "The response body is too large to be checked."
    BodyTooComplex "body-too-complex" 502 "The response body is too complex to be checked."
    BodyCut "body-cut" 502 "The response body ends too early."
    ResponseTooOld "response-too-old" 504 "The response takes too long."
    PoliciesReplaced "policies-replaced" 503 "Other policies are in force by now."
    ShuttingDown "shutting-down" 503 "The proxy shuts down."
    Internal "internal" 502 "The response could not be checked."
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Reason {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Codes and statuses as the language reference lists them, in its order: a reason that is new,
    /// gone or moved shows here.
    #[test]
    fn reasons_stand_as_the_language_lists_them() {
        let listed = [
            (503, "policies-not-loaded overloaded"),
            (505, "http-version-not-supported"),
            (400, "request-unreadable"),
            (408, "request-timeout"),
            (414, "target-too-long"),
            (431, "head-too-large"),
            (400, "host-not-valid path-not-canonical header-repeated upgrade-not-allowed"),
            (401, "caller-unknown caller-ambiguous"),
            (429, "too-many-requests"),
            (403, "purpose-missing purpose-unknown purpose-not-allowed api-not-allowed"),
            (403, "origin-not-allowed route-unknown"),
            (400, "path-ambiguous"),
            (403, "category-denied request-body-not-allowed"),
            (400, "condition-not-allowed"),
            (413, "request-body-too-large"),
            (400, "parameter-not-allowed parameter-withheld"),
            (502, "upstream-unreachable upstream-untrusted"),
            (504, "upstream-timeout"),
            (502, "upstream-protocol media-not-allowed coding-not-supported partial-content"),
            (
                502,
                "protocol-switch body-unreadable body-too-deep body-too-large body-too-complex body-cut",
            ),
            (504, "response-too-old"),
            (503, "policies-replaced shutting-down"),
            (502, "internal"),
        ];
        let listed: Vec<(u16, &str)> = listed
            .iter()
            .flat_map(|(status, codes)| codes.split(' ').map(move |code| (*status, code)))
            .collect();
        let defined: Vec<(u16, &str)> =
            Reason::ALL.iter().map(|reason| (reason.status(), reason.code())).collect();
        assert_eq!(defined, listed);
        assert!(Reason::ALL.is_sorted(), "a tie goes to the first check");
    }

    #[test]
    fn a_code_names_one_reason() {
        let codes: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert_eq!(reason.to_string(), reason.code());
        }
        for unknown in ["", "allowed", "Internal", "internal ", "body_cut"] {
            assert_eq!(Reason::from_code(unknown), None, "{unknown:?}");
        }
    }

    /// The code is the variant in kebab case, so that logs and source find each other.
    #[test]
    fn a_code_is_its_variant_in_kebab_case() {
        for reason in Reason::ALL {
            let mut kebab = String::new();
            for (at, letter) in format!("{reason:?}").char_indices() {
                if at > 0 && letter.is_ascii_uppercase() {
                    kebab.push('-');
                }
                kebab.push(letter.to_ascii_lowercase());
            }
            assert_eq!(kebab, reason.code());
        }
    }

    #[test]
    fn a_title_is_a_sentence_of_its_own() {
        let titles: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.title()).collect();
        assert_eq!(titles.len(), Reason::ALL.len());
        for title in titles {
            assert!(title.starts_with(|first: char| first.is_ascii_uppercase()), "{title}");
            assert!(title.ends_with('.') && !title.contains(". "), "{title}");
            assert!(title.len() <= 60, "{title}");
        }
    }

    /// Whoever gets a 401 or 403 looks at the request, and has to see what it lacks.
    #[test]
    fn a_title_names_the_header_that_is_missing() {
        for (reason, words) in [
            (Reason::CallerUnknown, "Api-Key"),
            (Reason::PurposeMissing, "Data-Purpose"),
            (Reason::PurposeUnknown, "Data-Purpose"),
            (Reason::PurposeNotAllowed, "Data-Purpose"),
            (Reason::RouteUnknown, "host, method and path"),
        ] {
            assert!(reason.title().contains(words), "{reason}");
        }
    }

    #[test]
    fn decisions_have_the_words_of_the_metrics() {
        let codes = Decision::ALL.map(Decision::code);
        assert_eq!(codes, ["allowed", "denied", "refused", "aborted"]);
        assert_eq!(Decision::Aborted.to_string(), "aborted");
    }

    #[test]
    fn a_status_is_of_one_class() {
        for (status, class) in [
            (None, "none"),
            (Some(100), "none"),
            (Some(199), "none"),
            (Some(200), "2xx"),
            (Some(299), "2xx"),
            (Some(300), "3xx"),
            (Some(304), "3xx"),
            (Some(400), "4xx"),
            (Some(499), "4xx"),
            (Some(500), "5xx"),
            (Some(599), "5xx"),
            (Some(600), "none"),
        ] {
            assert_eq!(StatusClass::of(status).code(), class, "{status:?}");
        }
    }

    #[test]
    fn a_trace_is_taken_only_from_the_form_of_the_standard() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = [
            format!("00-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b7-00"),
            // A later version may say more.
            format!("01-{id}-00f067aa0ba902b7-01-more"),
        ];
        for header in good {
            let trace = Trace::from_header(header.as_bytes()).unwrap();
            assert_eq!(trace.to_string(), id, "{header}");
        }
        let bad = [
            String::new(),
            id.to_owned(),
            format!("00-{id}-00f067aa0ba902b7"),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-anna@example.org-01"),
            format!("0-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}0-00f067aa0ba902b7-01"),
        ];
        for header in bad {
            assert_eq!(Trace::from_header(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn nothing_is_known_of_a_request_at_first() {
        let Labels { caller, purpose, api, route } = Labels::unknown();
        for label in [caller, purpose, api, route] {
            assert_eq!(&*label, "unknown");
        }
    }
}
