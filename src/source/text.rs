//! A text with a name.

/// One file: its name as people see it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name, such as `policies/crm.yaml`; of policies, what ends in `.test.yaml` holds tests.
    pub name: String,
    /// The text.
    pub text: String,
}
