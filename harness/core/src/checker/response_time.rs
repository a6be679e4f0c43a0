//! Response time: from the instant at which a buyer meant to begin, retries included.
//!
//! Every purchase is judged, however it ended: a buyer who was still without an answer when he gave up
//! has waited too. Steady are the purchases that lie outside of every fault window from their due time to
//! their end.

use super::phases::{Phase, Phases};
use super::stats::{Durations, SECONDS_MAX, worst_second};
use super::step;
use super::{Evidence, Question, numbers};
use crate::digest::Op;
use crate::history::At;
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};

/// Name in the registry.
pub const NAME: &str = "response_time";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was every purchase answered in the promised time, and steadily fast without faults?",
    gate: Gate::Objective,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let promised = &evidence.sla.response_time;
    let times = Times::of(evidence);
    let mut all = Durations::of(times.all_ms);
    if all.is_empty() {
        return QUESTION.unknown("no purchase was made");
    }
    let (p50_ms, p90_ms, p99_ms) = (all.percentile_ms(50.0), all.percentile_ms(90.0), all.percentile_ms(99.0));
    let (max_ms, count) = (all.max_ms(), all.len());
    drop(all);
    let mut steady = Durations::of(times.steady_ms);
    let mut service = Durations::of(evidence.history.purchases_ms());
    let steady_p99_ms = steady.percentile_ms(99.0);
    let mut findings = if max_ms > promised.max_ms { late(evidence) } else { Vec::new() };
    if let Some(limit_ms) = promised.steady_p99_ms.filter(|limit_ms| steady_p99_ms > *limit_ms) {
        let text = format!(
            "99th percentile of {} steady purchases is {steady_p99_ms:.0} ms, promised {limit_ms:.0} ms",
            steady.len()
        );
        let mut phases = Phases::of(&evidence.windows);
        let slow = slower(evidence, limit_ms, |op| phases.is_steady(op.intended, op.completed));
        let finding = Finding::new(text).with_remedy("the stack is too slow for this load even without a fault");
        findings.push(finding.with_ops(slow.into_iter().map(|(_, op, _)| op)));
    }
    let (judgement, reason) = if let Some(first) = findings.first() {
        (Judgement::Fail, first.summary.clone())
    } else if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if promised.steady_p99_ms.is_some() && steady.is_empty() {
        (Judgement::Unknown, "no purchase was made outside of the fault windows".to_owned())
    } else {
        let limit_ms = promised.max_ms;
        let text = format!("longest of {count} purchases {max_ms:.0} ms, promised {limit_ms:.0} ms");
        (Judgement::Pass, text)
    };
    let mut numbers = numbers([
        ("p50_ms", p50_ms),
        ("p90_ms", p90_ms),
        ("p99_ms", p99_ms),
        ("max_ms", max_ms),
        ("steady_p50_ms", steady.percentile_ms(50.0)),
        ("steady_p99_ms", steady_p99_ms),
        ("steady_purchases", steady.len() as f64),
        ("service_p50_ms", service.percentile_ms(50.0)),
        ("service_p99_ms", service.percentile_ms(99.0)),
        ("service_max_ms", service.max_ms()),
    ]);
    for (phase, times_ms) in [(Phase::Fault, times.fault_ms), (Phase::Recovery, times.recovery_ms)] {
        let mut times = Durations::of(times_ms);
        for (name, value) in [("p50", times.percentile_ms(50.0)), ("p99", times.percentile_ms(99.0))] {
            numbers.insert(format!("{}_{name}_ms", phase.name()), value);
        }
    }
    if let Some((at_s, mean_ms)) = worst_second(times.seconds) {
        numbers.insert("worst_second_mean_ms".to_owned(), mean_ms);
        numbers.insert("worst_second_at_s".to_owned(), at_s as f64);
        numbers.insert("worst_second_times_steady".to_owned(), mean_ms / steady.percentile_ms(50.0).max(1.0));
    }
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// How long purchases took, in milliseconds, gathered in one pass: there may be ten millions of them.
struct Times {
    all_ms: Vec<f64>,
    /// Of those that met no fault's window.
    steady_ms: Vec<f64>,
    /// Of those that were due with a fault in force.
    fault_ms: Vec<f64>,
    /// Of those that were due between its undo and the end of its window.
    recovery_ms: Vec<f64>,
    /// By the second in which they were due: the sum, and how many.
    seconds: Vec<(f64, u32)>,
}

impl Times {
    fn of(evidence: &Evidence<'_>) -> Self {
        let (operations, demand) = (&evidence.history.operations, &evidence.demand);
        let mut phases = Phases::of(&evidence.windows);
        let length_s = (demand.end.ms_since(demand.begin) / 1e3) as usize;
        let last = length_s.min(SECONDS_MAX);
        let mut times = Self {
            all_ms: Vec::with_capacity(operations.len()),
            steady_ms: Vec::with_capacity(operations.len()),
            fault_ms: Vec::new(),
            recovery_ms: Vec::new(),
            seconds: vec![(0.0, 0); last + 1],
        };
        for (_, op) in operations.iter() {
            let ms = op.latency_ms();
            times.all_ms.push(ms);
            if phases.is_steady(op.intended, op.completed) {
                times.steady_ms.push(ms);
            } else {
                match phases.at(op.intended) {
                    Phase::Steady => {}
                    Phase::Fault => times.fault_ms.push(ms),
                    Phase::Recovery => times.recovery_ms.push(ms),
                }
            }
            let at_s = usize::try_from(op.intended.0.saturating_sub(demand.begin.0) / 1_000_000_000).unwrap_or(last);
            let (sum_ms, count) = &mut times.seconds[at_s.min(last)];
            *sum_ms += ms;
            *count += 1;
        }
        times
    }
}

/// Which of some purchases took longer than so much, when they were due, and how long they took: the slowest first.
fn slower(evidence: &Evidence<'_>, limit_ms: f64, mut counts: impl FnMut(&Op) -> bool) -> Vec<(f64, OpId, At)> {
    let slow = evidence.history.operations.iter().filter(|(_, op)| op.latency_ms() > limit_ms && counts(op));
    let mut slow: Vec<(f64, OpId, At)> = slow.map(|(id, op)| (op.latency_ms(), id, op.intended)).collect();
    slow.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    slow
}

/// Purchases that took longer than promised, slowest first, as one finding.
fn late(evidence: &Evidence<'_>) -> Vec<Finding> {
    let limit_ms = evidence.sla.response_time.max_ms;
    let late = slower(evidence, limit_ms, |_| true);
    let Some((slowest_ms, _, due)) = late.first().copied() else {
        return Vec::new();
    };
    let text = format!(
        "{} of {} purchases took longer than {limit_ms:.0} ms, the slowest {slowest_ms:.0} ms",
        late.len(),
        evidence.history.operations.len(),
    );
    let window = step::step_at(&evidence.windows, due);
    let finding = Finding::new(text).with_at(due).with_ops(late.iter().map(|(_, op, _)| *op)).in_window(window);
    vec![finding]
}
