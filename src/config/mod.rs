//! The settings: where to listen, where the policies and the upstreams are, how much and how long.
//!
//! Settings are written in one YAML file; variables of the environment are laid over it. Nothing is
//! opened, bound or resolved here but that one file.
//!
//! **Must never know** what a policy says: whether an api has an upstream, and a caller an api key, is
//! asked by whoever holds both. It never holds an API key, only digests of them, and shows neither.
//!
//! ```
//! use tamis::config::{Protocol, Settings};
//!
//! let text = "
//! listen: [{ address: 127.0.0.1:8080 }]
//! upstreams: { crm: { address: '127.0.0.1:8000' } }
//! ";
//! let environment = [("TAMIS__UPSTREAMS__CRM__PROTOCOL".to_owned(), "h2c".to_owned())];
//! let settings = Settings::parse("tamis.yaml", text, environment)?;
//! assert_eq!(settings.upstreams["crm"].protocol, Protocol::H2c);
//!
//! let error = Settings::parse("tamis.yaml", "listne: []", []).unwrap_err();
//! assert!(error.to_string().contains("tamis.yaml:1:1: `listne` is not known"));
//! # Ok::<(), tamis::config::SettingsError>(())
//! ```

mod check;
mod environment;
mod fields;
mod hints;
mod load;
mod overlay;
mod settings;
#[cfg(test)]
mod tests;
mod texts;

pub use environment::{Ignored, KEYS, PREFIX, ignored};
pub use load::{FILE_BYTES_MAX, SettingsError};
pub(crate) use settings::PASS_BYTES;
pub use settings::{
    AccessLog, ApiKeys, Authority, Health, HostHeader, KeyPair, Limits, Listener, Place, Places,
    Protocol, Settings, Timeouts, Upstream, UpstreamTls,
};
