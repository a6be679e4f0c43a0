//! The dead man's switch: a process of its own that cleans up when the harness dies in whatever way.
//!
//! The harness starts `firedrill guard RUN` with a pipe as its standard input and keeps the other end
//! open. The kernel closes it when the harness ends, be it by return, panic, Ctrl-C or SIGKILL. The guard
//! then undoes every fault that has an undo record, and removes whatever still carries the run's label;
//! where the stack shall stay (`firedrill run --on`), it only undoes. After a clean end there is nothing
//! left to do and it just goes. It runs in a process group of its own, so that Ctrl-C at the terminal does
//! not reach it.

use crate::docker::Engine;
use crate::faults::{self, UndoRecord};
use crate::residue;
use crate::standing::{self, StandingError};
use crate::wait::Expired;
use firedrill_core::ids::RunId;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncReadExt;

/// The guard cannot be started.
#[derive(Debug, Error)]
#[error("the guard process cannot be started from {program}: {source}")]
pub struct GuardError {
    program: String,
    source: std::io::Error,
}

/// The guard could not clean up.
#[derive(Debug, Error)]
pub enum CleanUpError {
    /// Something of the run stays.
    #[error(transparent)]
    Residue(#[from] residue::ResidueError),
    /// The engine cannot be used.
    #[error(transparent)]
    Docker(#[from] crate::docker::DockerError),
    /// The stack is not known any more.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// A fault is still in force.
    #[error("{0}; `firedrill reap` tries again")]
    Undo(#[from] Expired),
}

/// How long the undo of all faults may take before the containers are removed all the same. The goal is 15 s
/// in all.
const UNDO_DEADLINE: Duration = Duration::from_secs(10);

/// The same for a stack that stays: there is nothing that would remove the faults with it.
const UNDO_STANDING_DEADLINE: Duration = Duration::from_secs(60);

/// What a guard is to do.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The run whose labels everything carries.
    pub run: RunId,
    /// Folder with the records of standing stacks, see [`standing`].
    pub stacks: PathBuf,
    /// Whether the stack stays when the harness is gone.
    pub keep: bool,
}

/// A running guard. Dropping it closes the pipe, which is the signal.
#[derive(Debug)]
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Starts the guard of a run: `program guard RUN --stacks FOLDER [--keep]`.
    pub fn start(program: &OsStr, watch: &Watch) -> Result<Self, GuardError> {
        let child = Command::new(program)
            .args(["guard", watch.run.as_str()])
            .arg("--stacks")
            .arg(&watch.stacks)
            .args(watch.keep.then_some("--keep"))
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

/// What the guard process does: waits for the end of its standard input, then cleans up.
pub async fn watch(watch: &Watch) -> Result<(), CleanUpError> {
    let mut input = tokio::io::stdin();
    let mut buffer = [0u8; 64];
    // An error means the same as the end: nobody is there any more.
    while matches!(input.read(&mut buffer).await, Ok(count) if count > 0) {}
    let engine = Engine::connect().await?;
    if watch.keep {
        undo_standing(&engine, &watch.stacks, &watch.run, UNDO_STANDING_DEADLINE).await?;
        return Ok(());
    }
    clean_up(&engine, &watch.stacks, &watch.run).await
}

/// Undoes what outlives the containers of a run, and removes the run.
pub async fn clean_up(engine: &Engine, stacks: &Path, run: &RunId) -> Result<(), CleanUpError> {
    // A stack that was never complete has no record, and no fault.
    if let Ok(Some(standing)) = standing::read(engine, stacks, run) {
        let folder = standing::undo_folder(stacks, run);
        let records = UndoRecord::read_all(&folder).unwrap_or_default();
        if records.iter().any(|record| record.fault.about().outlives_container) {
            // Whatever becomes of it, the containers have to go.
            let _ = faults::undo_all(&standing.stack, &folder, UNDO_DEADLINE).await;
        }
    }
    residue::remove(engine, run).await?;
    standing::forget(stacks, run)?;
    Ok(())
}

/// Undoes every fault that is recorded for a stack that stays. Gives the undone ones.
pub async fn undo_standing(
    engine: &Engine,
    stacks: &Path,
    run: &RunId,
    deadline: Duration,
) -> Result<Vec<UndoRecord>, CleanUpError> {
    let Some(standing) = standing::read(engine, stacks, run)? else { return Ok(Vec::new()) };
    let undone = faults::undo_all(&standing.stack, &standing::undo_folder(stacks, run), deadline).await?;
    // Helpers go by themselves when whoever held them is gone; one that was created and never started does
    // not. Nobody holds one any more: the harness is dead, or this process has the right to the stack.
    residue::remove_helpers(engine, run).await?;
    Ok(undone)
}
