//! Availability: the share of due purchases that were served, as the agreement promises it.
//!
//! Served is a confirmation or "sold out"; an arrival that found no free buyer is not served. Normal
//! minutes and peaks are judged apart, over the whole run and inside every fault window: a good hour
//! does not pay for a bad minute. The share of each phase (steady, fault in force, recovery) is a number beside.

use super::demand::{Due, Service, Shares, Tally};
use super::phases::{Phase, Phases};
use super::step::OPERATIONS_MIN;
use super::{Evidence, Question, numbers};
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};

/// Name in the registry.
pub const NAME: &str = "availability";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was the promised share of purchases served, in normal use, in peaks and around every fault?",
    gate: Gate::Objective,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let demand = &evidence.demand;
    let shares = Shares::of(&demand.dues);
    let run = shares.shortfalls(evidence.sla);
    let failed = |dues: &[Due]| -> Vec<OpId> {
        let failed = dues.iter().filter(|due| due.service == Service::Failed);
        failed.take(Finding::OPS_MAX).map(|due| due.op(&evidence.history)).collect()
    };
    let whole = |text| Finding::new(format!("whole run: {text}")).with_ops(failed(&demand.dues));
    let mut findings: Vec<Finding> = run.into_iter().map(whole).collect();
    for window in evidence.windows.iter().filter(|window| window.injected) {
        let dues = demand.between(window.from, window.until);
        if dues.len() < OPERATIONS_MIN {
            continue;
        }
        let failed = failed(dues);
        findings.extend(Shares::of(dues).shortfalls(evidence.sla).into_iter().map(|text| {
            Finding::new(format!("{}, {} {}: {text}", window.step, window.fault, window.target))
                .with_at(window.from)
                .with_step(Some(window.step))
                .with_nodes(window.nodes.iter().cloned())
                .with_ops(failed.iter().copied())
        }));
    }
    let mut numbers = numbers([("due", demand.dues.len() as f64), ("refused", demand.refused as f64)]);
    for (name, tally) in [("normal", shares.normal), ("peak", shares.peak)] {
        numbers.insert(format!("{name}_due"), tally.due as f64);
        numbers.insert(format!("{name}_failed"), tally.failed() as f64);
        if let Some(percent) = tally.percent() {
            numbers.insert(format!("{name}_percent"), percent);
        }
    }
    let mut by_phase = [Tally::default(); Phase::ALL.len()];
    let mut phases = Phases::of(&evidence.windows);
    for due in &demand.dues {
        by_phase[phases.at(due.at) as usize].add(due.service);
    }
    for (phase, tally) in Phase::ALL.into_iter().zip(by_phase) {
        numbers.insert(format!("{}_phase_due", phase.name()), tally.due as f64);
        if let Some(percent) = tally.percent() {
            numbers.insert(format!("{}_phase_percent", phase.name()), percent);
        }
    }
    let (judgement, reason) = if let Some(first) = findings.first() {
        (Judgement::Fail, first.summary.clone())
    } else if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if demand.dues.is_empty() {
        (Judgement::Unknown, "no purchase was due".to_owned())
    } else {
        (Judgement::Pass, in_words(shares, evidence))
    };
    QUESTION.answer(judgement, reason, findings, numbers)
}

fn in_words(shares: Shares, evidence: &Evidence<'_>) -> String {
    let promised = &evidence.sla.availability;
    let class = |name: &str, tally: Tally, wanted: f64| {
        let text = |percent| format!("{percent:.2} % of {} purchases served {name}, promised {wanted} %", tally.due);
        tally.percent().map(text)
    };
    let normal = class("in normal use", shares.normal, promised.normal_percent);
    let peak = class("in peaks", shares.peak, promised.peak_percent);
    normal.into_iter().chain(peak).collect::<Vec<_>>().join("; ")
}
