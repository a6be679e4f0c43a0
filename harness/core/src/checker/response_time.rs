//! Response time: from the instant at which a buyer meant to begin, retries included.
//!
//! Every purchase is judged, however it ended: a buyer who was still without an answer when he gave up
//! has waited too. Steady are the purchases that lie outside of every fault window from their due time to
//! their end.

use super::phases::Phase;
use super::stats::Durations;
use super::step::{self, Window};
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
    let operations = &evidence.history.operations;
    let mut all = Durations::of(operations.iter().map(|(_, op)| op.latency_ms()));
    if all.is_empty() {
        return QUESTION.unknown("no purchase was made");
    }
    let (p50_ms, p90_ms, p99_ms) = (all.percentile_ms(50.0), all.percentile_ms(90.0), all.percentile_ms(99.0));
    let (max_ms, count) = (all.max_ms(), all.len());
    drop(all);
    let steady_ops = operations.iter().filter(|(_, op)| is_steady(op, &evidence.windows));
    let mut steady = Durations::of(steady_ops.map(|(_, op)| op.latency_ms()));
    let mut service = Durations::of(evidence.history.purchases_ms());
    let steady_p99_ms = steady.percentile_ms(99.0);
    let mut findings = late(evidence);
    if let Some(limit_ms) = promised.steady_p99_ms.filter(|limit_ms| steady_p99_ms > *limit_ms) {
        let text = format!(
            "99th percentile of {} steady purchases is {steady_p99_ms:.0} ms, promised {limit_ms:.0} ms",
            steady.len()
        );
        findings.push(Finding::new(text).with_remedy("the stack is too slow for this load even without a fault"));
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
    for (phase, mut times) in by_phase(evidence) {
        for (name, value) in [("p50", times.percentile_ms(50.0)), ("p99", times.percentile_ms(99.0))] {
            numbers.insert(format!("{}_{name}_ms", phase.name()), value);
        }
    }
    if let Some(worst) = worst_second(evidence) {
        numbers.insert("worst_second_mean_ms".to_owned(), worst.mean_ms);
        numbers.insert("worst_second_at_s".to_owned(), worst.at_s);
        numbers.insert("worst_second_times_steady".to_owned(), worst.mean_ms / steady.percentile_ms(50.0).max(1.0));
    }
    QUESTION.answer(judgement, reason, findings, numbers)
}

fn is_steady(op: &Op, windows: &[Window]) -> bool {
    // Windows lie one after the other, so only the first that ends after the due time can be met.
    let first = windows.partition_point(|window| window.until < op.intended);
    windows[first..].iter().find(|window| window.injected).is_none_or(|window| window.from > op.completed)
}

/// Seconds that are told apart, at most: twelve days.
const SECONDS_MAX: usize = 1 << 20;

/// The second of the run that was worst for its buyers.
struct Worst {
    /// Its begin, in seconds since that of the load.
    at_s: f64,
    /// Mean time of the purchases that were due in it.
    mean_ms: f64,
}

/// The second whose purchases took longest on the mean: what an hour's percentile hides.
fn worst_second(evidence: &Evidence<'_>) -> Option<Worst> {
    let begin = evidence.demand.begin;
    let length_s = evidence.demand.end.ms_since(begin) / 1e3;
    let mut seconds = vec![(0.0, 0u32); (length_s as usize).min(SECONDS_MAX) + 1];
    let last = seconds.len() - 1;
    for (_, op) in evidence.history.operations.iter() {
        let at_s = usize::try_from(op.intended.0.saturating_sub(begin.0) / 1_000_000_000).unwrap_or(last);
        let (sum_ms, count) = &mut seconds[at_s.min(last)];
        *sum_ms += op.latency_ms();
        *count += 1;
    }
    let due = seconds.into_iter().enumerate().filter(|(_, (_, count))| *count > 0);
    let means = due.map(|(at_s, (sum_ms, count))| (at_s, sum_ms / f64::from(count)));
    let (at_s, mean_ms) = means.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Worst { at_s: at_s as f64, mean_ms })
}

/// How long the purchases took that were due with a fault in force, and between its undo and the end of its window.
fn by_phase(evidence: &Evidence<'_>) -> [(Phase, Durations); 2] {
    let mut times_ms = [Vec::new(), Vec::new()];
    if !evidence.windows.is_empty() {
        for (_, op) in evidence.history.operations.iter() {
            match Phase::of(&evidence.windows, op.intended) {
                Phase::Steady => {}
                Phase::Fault => times_ms[0].push(op.latency_ms()),
                Phase::Recovery => times_ms[1].push(op.latency_ms()),
            }
        }
    }
    let [fault, recovery] = times_ms.map(Durations::of);
    [(Phase::Fault, fault), (Phase::Recovery, recovery)]
}

/// Purchases that took longer than promised, slowest first, as one finding.
fn late(evidence: &Evidence<'_>) -> Vec<Finding> {
    let limit_ms = evidence.sla.response_time.max_ms;
    let operations = &evidence.history.operations;
    let late = operations.iter().filter(|(_, op)| op.latency_ms() > limit_ms);
    let mut late: Vec<(f64, OpId, At)> = late.map(|(id, op)| (op.latency_ms(), id, op.intended)).collect();
    late.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let Some((slowest_ms, _, due)) = late.first().copied() else {
        return Vec::new();
    };
    let text = format!(
        "{} of {} purchases took longer than {limit_ms:.0} ms, the slowest {slowest_ms:.0} ms",
        late.len(),
        operations.len(),
    );
    let window = step::step_at(&evidence.windows, due);
    let finding = Finding::new(text)
        .with_at(due)
        .with_ops(late.iter().map(|(_, op, _)| *op))
        .with_step(window.map(|window| window.step))
        .with_nodes(window.map(|window| window.nodes.clone()).unwrap_or_default());
    vec![finding]
}
