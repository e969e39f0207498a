//! A reverse proxy that lets through what the caller's purpose needs.

pub mod access;
pub mod cli;
pub mod enforce;
pub mod json;
pub mod path;
pub mod policy;
pub mod reload;
pub mod transform;
