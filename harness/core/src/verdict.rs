//! The verdict of a run and its algebra.
//!
//! Hard invariants gate, objectives judge, unknown never passes, and nothing is averaged: one lost order
//! outweighs any number of good ones. The order is `fail` before `unknown` before `pass`.

use crate::history::At;
use crate::ids::{NodeName, OpId, RunId, StepId, TierName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Version of the verdict's JSON form.
pub const VERDICT_VERSION: u32 = 1;

/// The result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It holds, and there was enough to see it.
    Pass,
    /// It cannot be said: too little load, no proof of effect, a damaged history.
    Unknown,
    /// It does not hold.
    Fail,
}

impl Judgement {
    /// The graver of two.
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// The gravest of many; nothing at all is unknown, because nothing was judged.
    pub fn all(judgements: impl IntoIterator<Item = Self>) -> Self {
        judgements.into_iter().reduce(Self::and).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        })
    }
}

/// What kind of statement a check makes, in order of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Must hold at every instant whatever happens: no ticket lost, doubled or oversold.
    Invariant,
    /// A number that was promised: availability, response time, recovery.
    Objective,
    /// Without it the run says nothing: enough load, proof of effect, a whole history.
    Precondition,
}

/// Something that was found, with what it was found on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// One sentence: what is wrong.
    pub summary: String,
    /// When, where it has an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The fault window that it falls in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The operations concerned (the first hundred; the summary has the count).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<OpId>,
    /// The nodes concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeName>,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    /// How many operations a finding names at most; the summary always has the full count.
    pub const OPS_MAX: usize = 100;

    /// A finding that is only a sentence so far.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            at: None,
            step: None,
            ops: Vec::new(),
            nodes: Vec::new(),
            remedy: String::new(),
        }
    }

    /// Names the operations concerned, capped at [`Finding::OPS_MAX`].
    #[must_use]
    pub fn with_ops(mut self, ops: impl IntoIterator<Item = OpId>) -> Self {
        self.ops = ops.into_iter().take(Self::OPS_MAX).collect();
        self
    }

    /// Names the instant.
    #[must_use]
    pub fn with_at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// Names the step.
    #[must_use]
    pub fn with_step(mut self, step: Option<StepId>) -> Self {
        self.step = step;
        self
    }

    /// Names the nodes.
    #[must_use]
    pub fn with_nodes(mut self, nodes: impl IntoIterator<Item = NodeName>) -> Self {
        self.nodes = nodes.into_iter().collect();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// The result of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// The checker's name in the registry, for example `conservation`.
    pub checker: String,
    /// What it asks, as a sentence.
    pub question: String,
    /// What kind of statement it makes.
    pub gate: Gate,
    /// The answer.
    pub judgement: Judgement,
    /// The answer in words, with the numbers that carry it.
    pub reason: String,
    /// What was found, gravest first.
    pub findings: Vec<Finding>,
    /// Named numbers, units at the end of the names.
    pub numbers: BTreeMap<String, f64>,
}

/// The split of a recovery time, each in milliseconds after the fault's effect; none where it was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// Until a node that was not hit said something else than before: somebody had noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_ms: Option<f64>,
    /// Until another node of the tier had taken over the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_ms: Option<f64>,
    /// Until a node of another tier, a proxy, had a new view after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerouted_ms: Option<f64>,
    /// Until the first purchase that was begun after the effect was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sale_ms: Option<f64>,
    /// Until buyers were served without errors again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_ms: Option<f64>,
    /// From the start of the undo until redundancy was whole again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_ms: Option<f64>,
}

/// A time in which nothing was sold, as brackets: it lasted at least `min_ms` and at most `max_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// End of the last good purchase before it.
    pub from: At,
    /// End of the first good purchase after it.
    pub until: At,
    /// At least this long (between the last good completion and the next good invocation).
    pub min_ms: f64,
    /// At most this long (between the last good invocation and the next good completion).
    pub max_ms: f64,
}

/// One executed step of the schedule: a cell of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepVerdict {
    /// Its place in the schedule.
    pub step: StepId,
    /// Name of the fault.
    pub fault: String,
    /// Its parameters as in a drill file; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// The target as asked.
    pub target: String,
    /// Its tier.
    pub tier: TierName,
    /// The nodes that were hit.
    pub nodes: Vec<NodeName>,
    /// Begin of the window: the injection.
    pub from: At,
    /// When the effect was proven; none makes the step void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<At>,
    /// When the undo began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed: Option<At>,
    /// End of the window: redundancy whole again, or the deadline.
    pub until: At,
    /// What proved the effect.
    pub proof: String,
    /// Operations due inside the window.
    pub operations: u64,
    /// Of these, acknowledged in the end.
    pub acknowledged: u64,
    /// Of these, failed for the buyer: not applied or in doubt when he gave up. Sold out is not a failure.
    pub failed: u64,
    /// Attempts inside the window that met an error, whether or not the buyer's next attempt went through.
    pub errors: u64,
    /// Acknowledged operations of this window that the final read does not have.
    pub lost: u64,
    /// Their money, in cents.
    #[serde(default)]
    pub lost_cents: i64,
    /// Median of the purchase time from the intended start.
    pub p50_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The mean of the second that was worst for the buyers who were due in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_second_ms: Option<f64>,
    /// The longest time without a sale that touches the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
    /// The recovery, split.
    pub recovery: Recovery,
    /// The judgement on this step alone.
    pub judgement: Judgement,
    /// Why, gravest first; empty for a pass.
    pub reasons: Vec<String>,
}

/// Totals of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Logical purchases.
    pub operations: u64,
    /// HTTP exchanges.
    pub attempts: u64,
    /// Confirmed to the buyer.
    pub acknowledged: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Open when the buyer gave up.
    pub in_doubt: u64,
    /// Certainly not applied.
    pub not_applied: u64,
    /// Arrivals that found no free buyer.
    pub refused: u64,
    /// Of the ones in doubt, found applied by the final read.
    pub recovered: u64,
    /// Acknowledged and not in the final read.
    pub lost: u64,
    /// Money of the lost ones, in cents.
    pub lost_cents: i64,
    /// Length of the load in milliseconds.
    pub load_ms: f64,
}

impl Totals {
    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            attempts: self.attempts + other.attempts,
            acknowledged: self.acknowledged + other.acknowledged,
            rejected: self.rejected + other.rejected,
            in_doubt: self.in_doubt + other.in_doubt,
            not_applied: self.not_applied + other.not_applied,
            refused: self.refused + other.refused,
            recovered: self.recovered + other.recovered,
            lost: self.lost + other.lost,
            lost_cents: self.lost_cents + other.lost_cents,
            load_ms: self.load_ms + other.load_ms,
        }
    }
}

/// The whole run in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every invariant and objective held, and it was seen.
    Certified,
    /// An invariant or an objective was broken.
    Violated,
    /// It cannot be said.
    Inconclusive,
}

impl Conclusion {
    /// What a judgement on everything together concludes.
    pub fn of(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Pass => Self::Certified,
            Judgement::Fail => Self::Violated,
            Judgement::Unknown => Self::Inconclusive,
        }
    }

    /// The judgement that it stands for, which has the order of gravity.
    pub fn judgement(self) -> Judgement {
        match self {
            Self::Certified => Judgement::Pass,
            Self::Violated => Judgement::Fail,
            Self::Inconclusive => Judgement::Unknown,
        }
    }

    /// Exit code of the contract.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Certified => 0,
            Self::Violated => 1,
            Self::Inconclusive => 2,
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certified => "CERTIFIED",
            Self::Violated => "VIOLATED",
            Self::Inconclusive => "INCONCLUSIVE",
        })
    }
}

/// The verdict of a run: a pure function of its history and its service level agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// [`VERDICT_VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// Topology, drill, seed and start, as in the history's header.
    pub topology: String,
    /// Name of the drill or profile.
    pub drill: String,
    /// Seed of the run.
    pub seed: u64,
    /// Wall clock of the start, for people.
    pub started: String,
    /// Name of the agreement that was judged against.
    pub sla: String,
    /// In one word.
    pub conclusion: Conclusion,
    /// Why, gravest first; for a certified run what carries it.
    pub reasons: Vec<String>,
    /// Totals.
    pub totals: Totals,
    /// One entry for every executed step.
    pub steps: Vec<StepVerdict>,
    /// One entry for every checker, invariants first.
    pub checks: Vec<CheckResult>,
}

impl Verdict {
    /// The JSON Schema of `verdict.json`.
    pub fn json_schema() -> String {
        crate::schema::of::<Self>()
    }
}

/// Concludes from checks and steps, with the reasons in order of gravity: broken invariants, broken
/// objectives, what is unknown.
pub fn conclude(checks: &[CheckResult], steps: &[StepVerdict]) -> (Conclusion, Vec<String>) {
    let worst = Judgement::all(checks.iter().map(|c| c.judgement).chain(steps.iter().map(|s| s.judgement)));
    let mut reasons = Vec::new();
    for wanted in [Judgement::Fail, Judgement::Unknown] {
        for gate in [Gate::Invariant, Gate::Objective, Gate::Precondition] {
            let matching = checks.iter().filter(|c| c.judgement == wanted && c.gate == gate);
            reasons.extend(matching.map(|c| format!("{}: {}", c.checker, c.reason)));
        }
        for step in steps.iter().filter(|s| s.judgement == wanted) {
            let name = format!("{} {}", step.fault, step.target);
            reasons.extend(step.reasons.iter().map(|reason| format!("{}, {name}: {reason}", step.step)));
        }
    }
    if worst == Judgement::Pass {
        let carrying = checks.iter().filter(|c| c.gate != Gate::Precondition);
        reasons = carrying.map(|c| format!("{}: {}", c.checker, c.reason)).collect();
    }
    (Conclusion::of(worst), reasons)
}
