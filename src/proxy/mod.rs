//! The proxy: the only room that knows Pingora, and the only one that meets a connection.
//!
//! Connections come in through `gateway`, which counts them and ends each after its time. One task carries a request and
//! its response, from the head to the record (`exchange`). A request is admitted or
//! denied by [`policy`](crate::policy) before an upstream hears of it; a response passes only through a flow (`flow`),
//! which is made of nothing but a permit.
//!
//! Pingora gives the server, the sessions of HTTP/1.1 and HTTP/2, and the connections to upstreams. What a client of
//! HTTP/1.1 sends is read strictly before Pingora sees it (`strict`), and the frames of HTTP/2 are read below its library
//! (`frames`).
//!
//! Whoever waits gets what is decided at once, and what is ready together in one write (`client_stream`).
//! Between a fast upstream and a slow client a response holds at most seven pieces of 64 KiB,
//! and what [`json::Limits`](crate::json::Limits) allow: `config/README.md` has the sum.
//!
//! **Must never know** what a policy means or what a value is: it asks, and carries bytes.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc};
//! use tamis::{
//!     config::Settings,
//!     metrics::Metrics,
//!     proxy::{AccessLog, Certificates, Listeners, Observers, Proxy, Unclassified},
//!     reload::Policies,
//! };
//!
//! let settings = Settings::load(Path::new("config/tamis.yaml"), std::env::vars())?;
//! let metrics = Arc::new(Metrics::new(settings.limits.metric_series));
//! let access_log = AccessLog::start(&settings.access_log, Arc::clone(&metrics))?;
//! let observers = Observers { metrics, access_log, unclassified: Unclassified::default() };
//! let certificates = Certificates::load(&settings)?;
//! // No policies: everything is denied.
//! Proxy::new(settings, certificates, Policies::none(), observers)
//!     .run(Listeners::Opened, || {})?;
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "the clock is read here, and goes on as an argument"
)]

mod access_log;
mod admin;
mod admission;
mod arrival;
mod client;
mod client_stream;
mod connections;
mod endpoint;
mod exchange;
mod faults;
mod flow;
mod frames;
mod gate;
mod gateway;
mod health;
mod identify;
mod journey;
mod log_file;
mod origins;
mod passage;
mod pool;
mod quota;
mod rehearsal;
mod respond;
mod server;
mod shared;
mod signals;
mod strict;
#[cfg(test)]
mod tests;
mod tls;
mod unclassified;
mod unmet;
mod upstream;
mod watchers;

pub use access_log::AccessLog;
pub use rehearsal::{Rehearsal, rehearse};
pub use server::{Listeners, ServeError};
pub use shared::{Observers, Proxy};
pub(crate) use tls::open_to_others;
pub use tls::{Certificates, CertificatesError};
pub use unclassified::Unclassified;
pub use unmet::unmet;
