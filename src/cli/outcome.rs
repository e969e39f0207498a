//! What a command comes to, and why it cannot be carried out.

use std::{io, process::ExitCode};

/// What a command came to. The numbers are an interface: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done, and nothing is wrong.
    Fine = 0,
    /// Done, and something is wrong: a denial, a finding, a failed test.
    Found = 1,
    /// It could not be done.
    Cannot = 2,
    /// A body was refused, and what has left of it is incomplete.
    Refused = 3,
    /// Whoever read stdout has gone: as if SIGPIPE (13) had ended the process, which is what a shell
    /// expects of the left side of `| head`.
    PipeClosed = 128 + 13,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Something that it needs is wrong or missing.
    #[error("{what}")]
    Cannot { what: String, help: Option<String> },
    /// The policies do not load; their findings are said already.
    #[error("the policies do not load")]
    Policies,
    /// They load, and the settings lack something for them; what that is, is said already.
    #[error("settings and policies do not fit")]
    Misfit,
    /// The settings are wrong; what is wrong with them is said already.
    #[error("the settings cannot be used")]
    Settings,
    /// No process has handed over its place.
    #[error("{0}")]
    NotReplaced(String),
    /// What it has to say does not reach anybody. The only error of I/O that `?` turns into this is
    /// one of stdout.
    #[error("cannot write to stdout: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(super) fn cannot(what: impl Into<String>) -> Self {
        Self::Cannot { what: what.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        match self {
            Self::Cannot { what, .. } => Self::Cannot { what, help: Some(help.into()) },
            Self::Policies
            | Self::Misfit
            | Self::Settings
            | Self::NotReplaced(_)
            | Self::Output(_) => self,
        }
    }
}
