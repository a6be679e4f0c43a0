//! Drills: what shall be done to a topology, under which load, and against which agreement.
//!
//! A drill is written as YAML ([`Written`]; `fixtures/drills/drill.schema.json` is its schema) or built in
//! Rust ([`Drill::new`]): the same model, and the same checks.

pub mod check;
pub mod matrix;
pub mod profile;
pub mod step;
pub mod written;

pub use crate::load::Load;
pub use check::Problem;
pub use step::{LagOver, QuotaBelow, Step, Trigger};
pub use written::Written;

use crate::source::{Source, SourceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A drill: one load, and faults on one booted stack that is whole before each of them, or before each
/// group of them that overlaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// How long the load runs on after the last step, in milliseconds. A drill without steps is a load test of
    /// this length.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub soak_ms: u64,
    /// The faults, in order.
    pub steps: Vec<Step>,
}

/// What the name of a drill ends with that goes on with another one's steps.
const CONTINUED: &str = "-continued";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn default_sla() -> String {
    "gic-2020".to_owned()
}

impl Drill {
    /// A drill without steps, under the usual load and agreement.
    pub fn new(name: &str, topology: &str) -> Self {
        Self {
            name: name.to_owned(),
            topology: topology.to_owned(),
            sla: default_sla(),
            load: Load::default(),
            soak_ms: 0,
            steps: Vec::new(),
        }
    }

    /// Another agreement.
    #[must_use]
    pub fn sla(mut self, name: &str) -> Self {
        name.clone_into(&mut self.sla);
        self
    }

    /// Another load.
    #[must_use]
    pub fn load(mut self, load: Load) -> Self {
        self.load = load;
        self
    }

    /// The load runs on for a while after the last step.
    #[must_use]
    pub fn soak(mut self, soak_ms: u64) -> Self {
        self.soak_ms = soak_ms;
        self
    }

    /// One more step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The JSON Schema of drill files.
    pub fn json_schema() -> String {
        crate::schema::of::<Self>()
    }

    /// Reads a drill file and refuses what cannot be run on any topology.
    pub fn parse(source: &Source) -> Result<Self, SourceError> {
        Written::parse(source).map(|written| written.drill)
    }

    /// The steps one by one, repetitions expanded: the schedule.
    pub fn schedule(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(|step| (0..step.repeat).map(move |_| step))
    }

    /// What is left of it after so many steps of its schedule, if anything is.
    pub fn rest(&self, done: usize) -> Option<Self> {
        let steps: Vec<Step> = self.schedule().skip(done).map(|step| step.clone().repeat(1)).collect();
        let name = if self.name.ends_with(CONTINUED) { self.name.clone() } else { format!("{}{CONTINUED}", self.name) };
        (!steps.is_empty()).then(|| Self { name, steps, ..self.clone() })
    }

    /// The schedule in groups: a step, and those that overlap it.
    pub fn groups(&self) -> Vec<Vec<&Step>> {
        let mut groups: Vec<Vec<&Step>> = Vec::new();
        for step in self.schedule() {
            match groups.last_mut() {
                Some(group) if step.overlap => group.push(step),
                _ => groups.push(vec![step]),
            }
        }
        groups
    }
}
