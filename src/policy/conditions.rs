//! Request headers that make a request conditional, or that change its method. To leave one out would change what is done.

/// Headers by which some servers take a request for one of another method.
const METHOD_OVERRIDES: [&str; 3] =
    ["x-http-method", "x-http-method-override", "x-method-override"];

/// Whether a request with this header, in lower case, is carried out only on a condition (RFC 9110, section 13; RFC 4918, section
/// 10.4), or is about a part of what it names (RFC 9110, section 14).
pub(crate) fn is_condition(name: &str) -> bool {
    name == "if" || name.starts_with("if-") || matches!(name, "range" | "content-range")
}

/// Whether a header, in lower case, names another method.
pub(crate) fn overrides_method(name: &str) -> bool {
    METHOD_OVERRIDES.contains(&name)
}
