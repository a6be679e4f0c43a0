//! The matrix of a certificate: what was planned for a tier and a fault, and what came of it.

use super::{Commission, Part};
use crate::ids::{NodeName, StepId, TierName};
use crate::verdict::{Judgement, StepVerdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of a drill of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRef {
    /// The drill, by its place in the certificate, from 0.
    pub drill: usize,
    /// The step in it.
    pub step: StepId,
}

/// One fault on one target, all its repetitions together: the worst of each number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The tier.
    pub tier: TierName,
    /// The fault.
    pub fault: String,
    /// The target as asked, for example `primary(postgres)`.
    pub target: String,
    /// How often it was to be injected.
    pub planned: u32,
    /// How often it was.
    pub executed: u32,
    /// The gravest of all repetitions; unknown where one is missing.
    pub judgement: Judgement,
    /// Why, gravest first; empty for a pass.
    pub reasons: Vec<String>,
    /// The nodes that were hit.
    pub nodes: Vec<NodeName>,
    /// The longest time without a sale, at most, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_ms: Option<f64>,
    /// The longest time until buyers were served without errors again (RTO), in milliseconds. None where in one of its
    /// repetitions they were not, while the fault was in force: that one has no time, and the others would hide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_ms: Option<f64>,
    /// In how many repetitions buyers were not served without errors again while the fault was in force.
    #[serde(default)]
    pub unserved: u32,
    /// The longest time from the undo until redundancy was whole again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_ms: Option<f64>,
    /// Purchases due in its windows.
    pub operations: u64,
    /// Of these, failed for the buyer.
    pub failed: u64,
    /// Attempts that met an error.
    pub errors: u64,
    /// The worst 99th percentile of a repetition, in milliseconds.
    pub p99_ms: f64,
    /// The mean of the second that was worst for its buyers, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_second_ms: Option<f64>,
    /// Confirmed tickets' orders that were lost.
    pub lost: u64,
    /// Their money, in cents.
    pub lost_cents: i64,
    /// The steps.
    pub steps: Vec<StepRef>,
}

impl Cell {
    fn planned(tier: TierName, fault: String, target: String) -> Self {
        Self {
            tier,
            fault,
            target,
            planned: 0,
            executed: 0,
            judgement: Judgement::Pass,
            reasons: Vec::new(),
            nodes: Vec::new(),
            outage_ms: None,
            restored_ms: None,
            unserved: 0,
            whole_ms: None,
            operations: 0,
            failed: 0,
            errors: 0,
            p99_ms: 0.0,
            worst_second_ms: None,
            lost: 0,
            lost_cents: 0,
            steps: Vec::new(),
        }
    }

    fn is_of(&self, fault: &str, target: &str) -> bool {
        self.fault == fault && self.target == target
    }

    fn take(&mut self, drill: usize, step: &StepVerdict) {
        if self.executed == 0 {
            // A target that is a node or a machine says only now which tier it is in.
            self.tier.clone_from(&step.tier);
        }
        self.executed += 1;
        self.judgement = self.judgement.and(step.judgement);
        add_new(&mut self.reasons, &step.reasons);
        add_new(&mut self.nodes, &step.nodes);
        self.outage_ms = longest(self.outage_ms, step.outage.map(|outage| outage.max_ms));
        let had_buyers = step.effective.is_some() && step.operations > 0;
        self.unserved += u32::from(had_buyers && step.recovery.restored_ms.is_none());
        self.restored_ms = match self.unserved {
            0 => longest(self.restored_ms, step.recovery.restored_ms),
            _ => None,
        };
        self.whole_ms = longest(self.whole_ms, step.recovery.whole_ms);
        self.worst_second_ms = longest(self.worst_second_ms, step.worst_second_ms);
        self.operations += step.operations;
        self.failed += step.failed;
        self.errors += step.errors;
        self.p99_ms = self.p99_ms.max(step.p99_ms);
        self.lost += step.lost;
        self.lost_cents += step.lost_cents;
        self.steps.push(StepRef { drill, step: step.step });
    }

    /// What is wrong with it, in words.
    pub(super) fn in_words(&self) -> String {
        let first = self.reasons.first().map_or("no reason was given", String::as_str);
        if self.executed < self.planned { self.shortfall() } else { format!("{} {}: {first}", self.fault, self.target) }
    }

    /// What is missing of it, in words.
    fn shortfall(&self) -> String {
        let Self { fault, target, planned, executed, .. } = self;
        match executed {
            0 => format!("{fault} {target}: planned, and not done"),
            _ => format!("{fault} {target}: done {executed} times of {planned}"),
        }
    }
}

fn add_new<T: Clone + PartialEq>(all: &mut Vec<T>, some: &[T]) {
    for one in some {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

fn longest(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

/// All cells: those that were planned, in the order of the plan, and whatever else was done.
pub(super) fn matrix(commission: &Commission, parts: &[Part]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for step in commission.drills.iter().flat_map(|drill| &drill.steps) {
        let (fault, target) = (step.fault.name().to_owned(), step.target.to_string());
        let place = cells.iter().position(|cell| cell.is_of(&fault, &target)).unwrap_or_else(|| {
            let tier = step.target.tier().cloned().unwrap_or_else(|| TierName::new(target.clone()));
            cells.push(Cell::planned(tier, fault, target));
            cells.len() - 1
        });
        cells[place].planned += step.repeat;
    }
    for (drill, part) in parts.iter().enumerate() {
        for step in &part.verdict.steps {
            let place = cells.iter().position(|cell| cell.is_of(&step.fault, &step.target)).unwrap_or_else(|| {
                cells.push(Cell::planned(step.tier.clone(), step.fault.clone(), step.target.clone()));
                cells.len() - 1
            });
            cells[place].take(drill, step);
        }
    }
    for cell in &mut cells {
        if cell.executed < cell.planned {
            cell.judgement = cell.judgement.and(Judgement::Unknown);
            cell.reasons.push(cell.shortfall());
        }
    }
    cells
}
