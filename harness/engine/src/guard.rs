//! The dead man's switch: a process of its own that removes a run when the harness dies in whatever way.
//!
//! The harness starts `firedrill guard RUN` with a pipe as its standard input and keeps the other end
//! open. The kernel closes it when the harness ends, be it by return, panic, Ctrl-C or SIGKILL; the guard
//! then removes whatever still carries the run's label. After a clean end there is nothing left to remove
//! and it just goes. It runs in a process group of its own, so that Ctrl-C at the terminal does not reach
//! it.

use crate::docker::Engine;
use crate::residue;
use firedrill_core::ids::RunId;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use thiserror::Error;
use tokio::io::AsyncReadExt;

/// The guard cannot be started.
#[derive(Debug, Error)]
#[error("the guard process cannot be started from {program}: {source}")]
pub struct GuardError {
    program: String,
    source: std::io::Error,
}

/// A running guard. Dropping it closes the pipe, which is the signal.
#[derive(Debug)]
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Starts the guard of a run: `program guard RUN`.
    pub fn start(program: &OsStr, run: &RunId) -> Result<Self, GuardError> {
        let child = Command::new(program)
            .args(["guard", run.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| GuardError { program: program.to_string_lossy().into_owned(), source })?;
        Ok(Self { child })
    }

    /// Lets the guard go and waits until it is gone: after a clean end, when there is nothing to remove.
    pub fn dismiss(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the guard process does: waits for the end of its standard input, then removes the run.
pub async fn watch(run: &RunId) -> Result<(), residue::ResidueError> {
    let mut input = tokio::io::stdin();
    let mut buffer = [0u8; 64];
    // An error means the same as the end: nobody is there any more.
    while matches!(input.read(&mut buffer).await, Ok(count) if count > 0) {}
    let engine = Engine::connect().await?;
    residue::remove(&engine, run).await
}
