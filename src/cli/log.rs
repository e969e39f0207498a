//! What the process says about itself while it runs, on stderr: a line each, and findings as `check`
//! shows them.

use std::io::Write as _;

use env_logger::{Builder, Target};
use jiff::{Timestamp, Unit};
use log::LevelFilter;

/// How records of tamis itself begin; those of libraries have other targets.
const OURS: &str = "tamis";

/// Lets the records of `log` go to stderr.
///
/// A library may quote a request in what it says, Pingora does. Of such a record only the place is
/// shown: it says which library complains, and never about whom.
pub(super) fn start() {
    let mut builder = Builder::new();
    builder
        .filter_level(LevelFilter::Error)
        .filter_module(OURS, LevelFilter::Info)
        .target(Target::Stderr)
        .format(|out, record| {
            let now = Timestamp::now().round(Unit::Millisecond).unwrap_or_default();
            let level = record.level().as_str().to_ascii_lowercase();
            let target = record.target();
            if target == OURS || target.starts_with("tamis::") {
                writeln!(out, "{now} {level}: {}", record.args())
            } else {
                let line = record.line().unwrap_or_default();
                writeln!(out, "{now} {level}: {target} complains (line {line})")
            }
        });
    // Somebody who runs two commands in one process has the first one's.
    if builder.try_init().is_err() {
        log::debug!("records are shown already");
    }
}
