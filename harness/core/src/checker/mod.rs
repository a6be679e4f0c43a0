//! Checkers: pure functions of a history.
//!
//! One checker is one file with one function of type [`Check`]; [`REGISTRY`] is the one line that adds
//! it. A checker answers one question with pass, fail or unknown, and names what it found: operations,
//! times, nodes and the fault window. Every checker is O(n log n) or better in the records.

pub mod availability;
pub mod conservation;
pub mod demand;
pub mod ledger;
pub mod oversell;
pub mod preconditions;
pub mod primaries;
pub mod replicas;
pub mod response_time;
pub mod sales;
pub mod stats;
pub mod step;

use crate::history::{At, Event, History, Operation, OperationOutcome, Operations, Stage};
use crate::sla::Sla;
use crate::verdict::{CheckResult, Finding, Gate, Judgement, Totals, VERDICT_VERSION, Verdict, conclude};
use std::collections::BTreeMap;

/// What every checker gets: the history, and what is folded out of it once for all of them.
pub struct Evidence<'a> {
    /// All records.
    pub history: &'a History,
    /// All logical purchases.
    pub operations: Operations,
    /// The executed steps with their windows, not yet judged.
    pub windows: Vec<step::Window>,
    /// Every purchase that was due, with what became of it for the buyer.
    pub demand: demand::Demand,
    /// Buyers' confirmations against the database.
    pub account: conservation::Account,
    /// What was promised.
    pub sla: &'a Sla,
}

impl<'a> Evidence<'a> {
    /// Gathers the evidence of a history.
    pub fn of(history: &'a History, sla: &'a Sla) -> Self {
        let operations = Operations::of(history);
        Self {
            history,
            windows: step::windows(history),
            demand: demand::Demand::of(history, &operations, sla),
            account: conservation::Account::of(history, &operations),
            operations,
            sla,
        }
    }

    /// Why the history cannot carry a pass, where it cannot: what is missing from it might be what was
    /// looked for.
    pub fn damage(&self) -> Option<String> {
        let first = self.history.damage.first()?;
        Some(match self.history.damage.len() {
            1 => format!("the history is damaged: {first}"),
            more => format!("the history is damaged in {more} places, first {first}"),
        })
    }
}

/// A checker.
pub type Check = fn(&Evidence<'_>) -> CheckResult;

/// All checkers: invariants first, then objectives, then preconditions.
pub const REGISTRY: &[(&str, Check)] = &[
    (conservation::NAME, conservation::check),
    (oversell::NAME, oversell::check),
    (replicas::NAME, replicas::check),
    (primaries::NAME, primaries::check),
    (availability::NAME, availability::check),
    (response_time::NAME, response_time::check),
    (preconditions::NAME, preconditions::check),
];

/// Named numbers of a checker, units at the end of the names.
pub type Numbers = BTreeMap<String, f64>;

/// Numbers from pairs.
pub(crate) fn numbers<const N: usize>(pairs: [(&str, f64); N]) -> Numbers {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The question of a checker, to which its file gives the answer.
pub(crate) struct Question {
    pub(crate) checker: &'static str,
    pub(crate) question: &'static str,
    pub(crate) gate: Gate,
}

impl Question {
    pub(crate) fn answer(
        &self,
        judgement: Judgement,
        reason: impl Into<String>,
        findings: Vec<Finding>,
        numbers: Numbers,
    ) -> CheckResult {
        CheckResult {
            checker: self.checker.to_owned(),
            question: self.question.to_owned(),
            gate: self.gate,
            judgement,
            reason: reason.into(),
            findings,
            numbers,
        }
    }

    pub(crate) fn unknown(&self, reason: impl Into<String>) -> CheckResult {
        self.answer(Judgement::Unknown, reason, Vec::new(), Numbers::new())
    }
}

/// When the first stage of this kind was entered.
pub(crate) fn first_stage(history: &History, wanted: Stage) -> Option<At> {
    stages(history).find(|stage| stage.stage == wanted).map(|stage| stage.at)
}

/// All stages of a history, in order.
pub(crate) fn stages(history: &History) -> impl Iterator<Item = &crate::history::StageEvent> {
    history.events.iter().filter_map(|event| match event {
        Event::Stage(stage) => Some(stage),
        _ => None,
    })
}

/// Judges a history against an agreement: the verdict, byte for byte the same for the same input.
pub fn judge(history: &History, sla: &Sla) -> Verdict {
    let evidence = Evidence::of(history, sla);
    let checks: Vec<CheckResult> = REGISTRY.iter().map(|(_, check)| check(&evidence)).collect();
    let steps = step::judge(&evidence);
    let (conclusion, reasons) = conclude(&checks, &steps);
    let header = history.header();
    Verdict {
        version: VERDICT_VERSION,
        run: header.map_or_else(|| "unknown".into(), |h| h.run.clone()),
        topology: header.map_or_else(String::new, |h| h.topology.clone()),
        drill: header.map_or_else(String::new, |h| h.drill.clone()),
        seed: header.map_or(0, |h| h.seed),
        started: header.map_or_else(String::new, |h| h.started.clone()),
        sla: sla.name.clone(),
        conclusion,
        reasons,
        totals: totals(&evidence),
        steps,
        checks,
    }
}

/// Totals of a run.
fn totals(evidence: &Evidence<'_>) -> Totals {
    let count = |wanted: fn(&Operation) -> bool| evidence.operations.iter().filter(|op| wanted(op)).count() as u64;
    let account = &evidence.account;
    Totals {
        operations: evidence.operations.len() as u64,
        attempts: evidence.history.attempts().count() as u64,
        acknowledged: count(|op| matches!(op.outcome, OperationOutcome::Acknowledged { .. })),
        rejected: count(|op| matches!(op.outcome, OperationOutcome::Rejected(_))),
        in_doubt: count(|op| matches!(op.outcome, OperationOutcome::InDoubt)),
        not_applied: count(|op| matches!(op.outcome, OperationOutcome::NotApplied)),
        refused: evidence.demand.refused,
        recovered: account.recovered,
        lost: account.count(conservation::Kind::Lost),
        lost_cents: account.lost_cents(),
        load_ms: evidence.demand.end.ms_since(evidence.demand.begin),
    }
}
