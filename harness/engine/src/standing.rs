//! Records of stacks that stand: what another process needs to act on a stack that it did not boot.
//!
//! One file a run, `FOLDER/RUN.json`, readable by its owner only, because it holds the run's secrets, and
//! one folder `FOLDER/RUN.undo/` with the records of the faults that are in force. They come with the end
//! of a boot and go with the stack. The guard and `firedrill reap` undo faults by them, `firedrill run --on
//! RUN` drills by them. `FOLDER/RUN.lock` is held by whoever drills.

use crate::disks::Disks;
use crate::docker::Engine;
use crate::durable;
use crate::images::Images;
use crate::seed::Seed;
use crate::stack::{Node, Secrets, Stack};
use firedrill_core::ids::RunId;
use firedrill_core::manifest::BootStep;
use firedrill_core::topology::Topology;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A record cannot be used.
#[derive(Debug, Error)]
pub enum StandingError {
    /// The file cannot be read or written.
    #[error("the record of a standing stack, {path}: {source}; check the path, the free space and the permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("the record of a standing stack, {path}: {source}; was it written by another version of firedrill?")]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// A stack as the process that booted it knows it.
#[derive(Serialize, Deserialize)]
struct Record {
    run: RunId,
    topology: Topology,
    topology_sha256: String,
    nodes: Vec<Node>,
    secrets: Secrets,
    images: Images,
    #[serde(default)]
    disks: Disks,
    seed: Seed,
    boot: Vec<BootStep>,
}

/// A stack that stands, read back.
#[derive(Debug)]
pub struct Standing {
    /// The stack.
    pub stack: Stack,
    /// What was seeded.
    pub seed: Seed,
    /// How long the boot took.
    pub boot: Vec<BootStep>,
}

fn path_of(folder: &Path, run: &RunId) -> PathBuf {
    folder.join(format!("{run}.json"))
}

/// The undo records of the faults that are in force on a stack.
pub fn undo_folder(folder: &Path, run: &RunId) -> PathBuf {
    folder.join(format!("{run}.undo"))
}

/// Writes the record of a booted stack.
pub fn write(folder: &Path, standing: &Standing) -> Result<(), StandingError> {
    let stack = &standing.stack;
    let path = path_of(folder, &stack.run);
    let record = Record {
        run: stack.run.clone(),
        topology: stack.topology.clone(),
        topology_sha256: stack.topology_sha256.clone(),
        nodes: stack.nodes.clone(),
        secrets: stack.secrets.clone(),
        images: stack.images.clone(),
        disks: stack.disks.clone(),
        seed: standing.seed.clone(),
        boot: standing.boot.clone(),
    };
    let bytes = serde_json::to_vec(&record).map_err(|source| StandingError::Json { path: path.clone(), source })?;
    durable::write(&path, &bytes, 0o600).map_err(|source| StandingError::File { path, source })
}

/// Reads a record back; none where there is none.
pub fn read(engine: &Engine, folder: &Path, run: &RunId) -> Result<Option<Standing>, StandingError> {
    let path = path_of(folder, run);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|source| StandingError::File { path: path.clone(), source })?,
    };
    let record: Record =
        serde_json::from_slice(&bytes).map_err(|source| StandingError::Json { path: path.clone(), source })?;
    Ok(Some(Standing {
        stack: Stack {
            engine: engine.clone(),
            run: record.run,
            topology: record.topology,
            topology_sha256: record.topology_sha256,
            nodes: record.nodes,
            secrets: record.secrets,
            images: record.images,
            disks: record.disks,
        },
        seed: record.seed,
        boot: record.boot,
    }))
}

/// Removes everything that is known of a stack: it is gone.
pub fn forget(folder: &Path, run: &RunId) -> Result<(), StandingError> {
    let undo = undo_folder(folder, run);
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| StandingError::File { path, source }
    };
    gone(std::fs::remove_dir_all(&undo)).map_err(failed(&undo))?;
    for path in [path_of(folder, run), folder.join(format!("{run}.lock"))] {
        gone(std::fs::remove_file(&path)).map_err(failed(&path))?;
    }
    Ok(())
}

/// The stacks that there are records of.
pub fn runs(folder: &Path) -> Vec<RunId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut runs: Vec<RunId> = names.filter_map(|name| Some(RunId::new(name.strip_suffix(".json")?))).collect();
    runs.sort();
    runs
}

/// The right to drill a stack: one process at a time, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

/// Takes the right to drill a stack; none where another process has it.
pub fn lock(folder: &Path, run: &RunId) -> Result<Option<Lock>, StandingError> {
    let path = folder.join(format!("{run}.lock"));
    let failed = |source| StandingError::File { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
