//! Undo records: on disk, synced, before a fault has its first side effect, so that another process knows
//! what to undo when this one is gone.

use super::{InjectorError, Memo, Site, injector};
use crate::durable;
use crate::stack::Stack;
use crate::wait::{self, Expired, Look};
use firedrill_core::fault::Fault;
use firedrill_core::ids::{NodeName, RunId, StepId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is needed to undo a fault without knowing anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoRecord {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The fault.
    pub fault: Fault,
    /// Nodes with what the fault has to know about each.
    pub targets: Vec<(NodeName, Memo)>,
}

impl UndoRecord {
    fn path(folder: &Path, step: StepId) -> PathBuf {
        folder.join(format!("step-{}.json", step.0))
    }

    /// Writes the record and syncs it and its folder.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        // Whole or not there: where there is nothing, nothing was injected.
        durable::write(&Self::path(folder, self.step), &serde_json::to_vec_pretty(self)?, 0o666)
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
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = std::fs::read(path)?;
            records.push(serde_json::from_slice(&bytes)?);
        }
        records.sort_by_key(|record: &Self| record.step);
        Ok(records)
    }
}

/// Undoes every fault that a folder has records of, the last one first, and removes the records of those
/// that are seen to be undone. For whoever cleans up after a harness that is gone; gives what was undone.
pub async fn undo_all(stack: &Stack, folder: &Path, deadline: Duration) -> Result<Vec<UndoRecord>, Expired> {
    wait::until("every fault is undone", deadline, Duration::from_millis(200), || async {
        let records = match UndoRecord::read_all(folder) {
            Ok(records) => records,
            Err(error) => return Look::NotYet(format!("{}: {error}", folder.display())),
        };
        for record in records.iter().rev() {
            if let Err(error) = undo_one(stack, record).await {
                return Look::NotYet(format!("{} of step {}: {error}", record.fault, record.step.0));
            }
            if let Err(error) = UndoRecord::remove(folder, record.step) {
                return Look::NotYet(format!("{}: {error}", folder.display()));
            }
        }
        Look::Ready(records)
    })
    .await
}

async fn undo_one(stack: &Stack, record: &UndoRecord) -> Result<(), InjectorError> {
    let injector = injector(&record.fault);
    let site = Site { stack, step: record.step, candidates: &[], observer: None, seed: 0 };
    let undone =
        record.targets.iter().filter_map(|(name, memo)| Some((stack.node(name)?, memo))).map(|(node, memo)| {
            let (injector, site) = (injector.as_ref(), &site);
            async move {
                injector.undo(site, node, memo).await?;
                match injector.undone(site, node, memo).await? {
                    Some(_) => Ok(()),
                    None => Err(InjectorError::failed(node, "not undone yet")),
                }
            }
        });
    join_all(undone).await.into_iter().collect()
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
                fault: Fault::Kill,
                targets: vec![("pg1".into(), Memo::none())],
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
