//! Many stored runs at once: what their verdicts say, without their histories.
//!
//! A run of one drill has its `verdict.json` in its folder; a certification has `certificate.json` and one folder a
//! drill, `drills/NAME/verdict.json`. What cannot be read is named and left out: one unfinished run must not hide a
//! year of whole ones.

use firedrill_core::trend::Run;
use firedrill_core::verdict::{VERDICT_VERSION, Verdict};
use firedrill_reports::history::LeftOut;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Files and folders that only the folder of a run has.
const OF_A_RUN: [&str; 6] =
    ["verdict.json", "certificate.json", "drills", "manifest.json", "history.fdh", "history.jsonl.zst"];

/// There is nothing to read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// A path is no folder, or may not be read.
    #[error("{path}: {source}; give the folder of a run, or a folder that has such folders")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs that were read, and folders that could not be.
#[derive(Debug, Default)]
pub struct Archive {
    /// The runs, by the name of their folder, which begins with the time.
    pub runs: Vec<Run>,
    /// What could not be read.
    pub left_out: Vec<LeftOut>,
}

impl Archive {
    /// Reads folders: of a run each, or with folders of runs in them. A run that is named twice counts once.
    ///
    /// # Errors
    /// Where a path is no folder. What is wrong inside of one is in [`Archive::left_out`].
    pub fn read(folders: &[PathBuf]) -> Result<Self, ArchiveError> {
        let mut archive = Self::default();
        for folder in folders {
            let inside = subfolders(folder).map_err(|source| ArchiveError::Folder { path: folder.clone(), source })?;
            if is_run(folder) {
                archive.add(folder);
            } else {
                inside.iter().filter(|path| is_run(path)).for_each(|path| archive.add(path));
            }
        }
        archive.runs.sort_by(|a, b| a.name.cmp(&b.name));
        archive.runs.dedup_by(|a, b| a.name == b.name);
        Ok(archive)
    }

    /// Takes the runs out that another one has too, and gives back their names: a run cannot be compared with itself.
    pub fn without(&mut self, other: &Self) -> Vec<String> {
        let is_there = |run: &Run| other.runs.iter().any(|theirs| theirs.name == run.name);
        let runs = std::mem::take(&mut self.runs).into_iter();
        let (both, own): (Vec<Run>, Vec<Run>) = runs.partition(is_there);
        self.runs = own;
        both.into_iter().map(|run| run.name).collect()
    }

    fn add(&mut self, folder: &Path) {
        let mut verdicts = Vec::new();
        for file in verdict_files(folder) {
            match read_verdict(&file) {
                Ok(verdict) => verdicts.push(verdict),
                Err(why) => self.leave_out(file.parent().unwrap_or(folder), why),
            }
        }
        if verdicts.is_empty() {
            if !self.left_out.iter().any(|left| Path::new(&left.folder).starts_with(folder)) {
                self.leave_out(folder, "it has no verdict.json: the run did not come to its end".to_owned());
            }
            return;
        }
        self.runs.push(Run { name: name(folder), verdicts });
    }

    fn leave_out(&mut self, folder: &Path, why: String) {
        self.left_out.push(LeftOut { folder: folder.display().to_string(), why });
    }
}

/// The last part of a folder's path, also of `.` and of `runs/one/..`.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let last = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    last.unwrap_or_else(|| whole.display().to_string())
}

fn is_run(folder: &Path) -> bool {
    OF_A_RUN.iter().any(|name| folder.join(name).exists())
}

/// Folders in a folder, by name. Hidden ones are not of runs: records of standing stacks lie there.
fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The verdicts of a run: its own, or those of the drills of a certification.
fn verdict_files(folder: &Path) -> Vec<PathBuf> {
    let drills = subfolders(&folder.join("drills")).unwrap_or_default();
    let own = folder.join("verdict.json");
    let of_drills = drills.into_iter().map(|drill| drill.join("verdict.json"));
    // A certification may have a verdict over all of its drills, whose faults would count twice.
    let files: Vec<PathBuf> = of_drills.filter(|file| file.exists()).collect();
    if files.is_empty() && own.exists() { vec![own] } else { files }
}

/// Reads a verdict, or says why it cannot be.
fn read_verdict(file: &Path) -> Result<Verdict, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bytes = std::fs::read(file).map_err(|error| format!("verdict.json cannot be read: {error}"))?;
    let of_json = |error: serde_json::Error| format!("verdict.json is not one of firedrill: {error}");
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(of_json)?;
    if version != VERDICT_VERSION {
        return Err(format!(
            "verdict.json has version {version}, this firedrill reads {VERDICT_VERSION}; \
             `firedrill report` writes it anew where the history is there"
        ));
    }
    serde_json::from_slice(&bytes).map_err(of_json)
}
