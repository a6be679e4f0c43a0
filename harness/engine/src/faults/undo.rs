//! Undo records: on disk, synced, before a fault has its first side effect, so that another process knows
//! what to undo when this one is gone.

use firedrill_core::fault::FaultKind;
use firedrill_core::ids::{NodeName, RunId, StepId};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is needed to undo a fault without knowing anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRecord {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The fault.
    pub fault: FaultKind,
    /// Nodes with their containers.
    pub targets: Vec<(NodeName, String)>,
}

impl UndoRecord {
    fn path(folder: &Path, step: StepId) -> PathBuf {
        folder.join(format!("step-{}.json", step.0))
    }

    /// Writes the record and syncs it and its folder.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let path = Self::path(folder, self.step);
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::File::open(folder)?.sync_all()
    }

    /// Removes the record: the fault is undone.
    pub fn remove(folder: &Path, step: StepId) -> io::Result<()> {
        match std::fs::remove_file(Self::path(folder, step)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All records of a folder: the faults that are, or may be, in force.
    pub fn read_all(folder: &Path) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let bytes = std::fs::read(entry?.path())?;
            records.push(serde_json::from_slice(&bytes)?);
        }
        records.sort_by_key(|record: &Self| record.step);
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let records: Vec<UndoRecord> = [1, 0]
            .map(|step| UndoRecord {
                run: "r1".into(),
                step: StepId(step),
                fault: FaultKind::Kill,
                targets: vec![("pg1".into(), "fd-r1-pg1".to_owned())],
            })
            .to_vec();
        assert!(UndoRecord::read_all(folder.path()).expect("readable").is_empty());
        for record in &records {
            record.write(folder.path()).expect("written");
        }
        let read = UndoRecord::read_all(folder.path()).expect("readable");
        assert_eq!(read, [records[1].clone(), records[0].clone()]);
        UndoRecord::remove(folder.path(), StepId(0)).expect("removed");
        UndoRecord::remove(folder.path(), StepId(0)).expect("removing twice is fine");
        assert_eq!(UndoRecord::read_all(folder.path()).expect("readable"), [records[0].clone()]);
    }
}
