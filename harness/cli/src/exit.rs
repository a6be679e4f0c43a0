//! Exit codes: the contract that scripts rely on.

use firedrill_core::verdict::Conclusion;
use std::process::ExitCode;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: certified, or done.
    Certified,
    /// 1: an invariant or an objective was broken.
    Violated,
    /// 2: it cannot be said.
    Inconclusive,
    /// 3: it could not be run.
    CouldNotRun,
    /// 4: something of the run is left on the engine.
    Residue,
    /// 64: the command line, a drill, a topology or an agreement is wrong (`EX_USAGE`).
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Certified => 0,
            Exit::Violated => 1,
            Exit::Inconclusive => 2,
            Exit::CouldNotRun => 3,
            Exit::Residue => 4,
            Exit::Usage => 64,
        })
    }
}

impl From<Conclusion> for Exit {
    fn from(conclusion: Conclusion) -> Self {
        match conclusion {
            Conclusion::Certified => Self::Certified,
            Conclusion::Violated => Self::Violated,
            Conclusion::Inconclusive => Self::Inconclusive,
        }
    }
}

/// An error with the code that it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// The caller's mistake.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }

    /// Something is left on the engine.
    pub(crate) fn residue(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Residue, error: error.into() }
    }
}

/// Anything else could not be run.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: Exit::CouldNotRun, error: error.into() }
    }
}

/// The error with its causes, each said once: our own messages quote their cause already.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
