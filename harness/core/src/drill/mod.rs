//! Drills: what shall be done to a topology, under which load, and against which agreement.

pub mod profile;

use crate::fault::{FaultKind, Target};
use crate::source::{self, Source, SourceError};
use serde::{Deserialize, Serialize};

/// A drill: one load, and faults one after the other on one booted stack that is whole before each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Its name.
    pub name: String,
    /// The topology that it is meant for, by the name of its folder.
    pub topology: String,
    /// The agreement that it is judged against, by the name of its file.
    #[serde(default = "default_sla")]
    pub sla: String,
    /// The load that runs from before the first step until after the last.
    #[serde(default)]
    pub load: Load,
    /// The faults, in order.
    pub steps: Vec<Step>,
}

fn default_sla() -> String {
    "gic-2020".to_owned()
}

/// The purchase load of a drill: an open model at a constant rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// Purchases that begin per second, whatever becomes of the ones before.
    pub rate_per_s: f64,
    /// Virtual buyers. An arrival that finds none free is refused and counted.
    pub buyers: u32,
    /// Event of the seed file that is bought from.
    pub event: String,
    /// Item of that event.
    pub item: String,
    /// How long a buyer tries before he gives up, in milliseconds. The 2020 agreement promises an answer
    /// within 50 s.
    pub patience_ms: u64,
    /// How long one HTTP exchange may take, in milliseconds; then the attempt is in doubt.
    pub attempt_timeout_ms: u64,
}

impl Default for Load {
    /// 3 purchases a second are a quarter of what the whole stack sells on 2 cores by the order API (700
    /// to 800 a minute measured), and enough that a gap of a second shows.
    fn default() -> Self {
        Self {
            rate_per_s: 3.0,
            buyers: 120,
            event: "fair".to_owned(),
            item: "Paid".to_owned(),
            patience_ms: 45_000,
            attempt_timeout_ms: 10_000,
        }
    }
}

/// One fault of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What.
    pub fault: FaultKind,
    /// To whom.
    pub target: Target,
    /// How often, one after the other.
    #[serde(default = "one")]
    pub repeat: u32,
    /// How long the fault stays in force after service was restored (or after `restore_deadline_ms`).
    #[serde(default = "default_hold_ms")]
    pub hold_ms: u64,
    /// How long to wait, with the fault in force, until buyers are served again: that is what N+1 means.
    #[serde(default = "default_restore_deadline_ms")]
    pub restore_deadline_ms: u64,
    /// How long redundancy may take to be whole after the undo before the run is cut short.
    #[serde(default = "default_whole_deadline_ms")]
    pub whole_deadline_ms: u64,
}

fn one() -> u32 {
    1
}

fn default_hold_ms() -> u64 {
    2_000
}

fn default_restore_deadline_ms() -> u64 {
    45_000
}

fn default_whole_deadline_ms() -> u64 {
    90_000
}

impl Step {
    /// A step with the default times.
    pub fn new(fault: FaultKind, target: Target) -> Self {
        Self {
            fault,
            target,
            repeat: 1,
            hold_ms: default_hold_ms(),
            restore_deadline_ms: default_restore_deadline_ms(),
            whole_deadline_ms: default_whole_deadline_ms(),
        }
    }
}

impl Drill {
    /// Reads a drill file and refuses what cannot be run.
    pub fn parse(source: &Source) -> Result<Self, SourceError> {
        let drill: Self = source::parse_yaml(source)?;
        drill.check().map_err(|message| source.error(message))?;
        Ok(drill)
    }

    /// The steps one by one, repetitions expanded: the schedule.
    pub fn schedule(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(|step| (0..step.repeat).map(move |_| step))
    }

    /// Refuses numbers that cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        let load = &self.load;
        if !(load.rate_per_s > 0.0 && load.rate_per_s <= 10_000.0) {
            return Err(format!("load.rate_per_s is {}: give a rate above 0 and at most 10000", load.rate_per_s));
        }
        if load.buyers == 0 {
            return Err("load.buyers is 0: nobody would buy".to_owned());
        }
        if load.patience_ms == 0 || load.attempt_timeout_ms == 0 {
            return Err("load.patience_ms and load.attempt_timeout_ms must be above 0".to_owned());
        }
        for (index, step) in self.steps.iter().enumerate() {
            let number = index + 1;
            if step.repeat == 0 || step.repeat > 1_000 {
                return Err(format!("step {number}: repeat is {}: give 1 to 1000", step.repeat));
            }
            if step.restore_deadline_ms < 1_000 || step.whole_deadline_ms < 1_000 {
                return Err(format!(
                    "step {number}: a deadline under 1000 ms is shorter than any detection: give more"
                ));
            }
        }
        Ok(())
    }
}
