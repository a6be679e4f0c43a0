//! Logs: nothing in the nodes' logs speaks of trouble that nobody expected.
//!
//! While a fault is in force, and until the stack is whole again, its consequences fill the logs: they are counted
//! and not judged, but for what no fault of ours may cause ([`NEVER`]). Outside of the windows every line that
//! speaks of trouble is a finding, unless it is known to be harmless ([`HARMLESS`]) or the agreement allows it
//! (`logs.allow`). Lines before the load and after the drain are the stack's own boot and end.

use super::{Evidence, Question, first_stage, numbers, step};
use crate::history::{At, LogLines, Stage, Subject};
use crate::ids::NodeName;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::BTreeMap;

/// Name in the registry.
pub const NAME: &str = "logs";

/// How many findings are reported; the numbers have the full count.
const FINDINGS_MAX: usize = 20;

/// Log lines come a little after what they speak of: processes write them in the order in which they get to it.
const LATE_MS: u64 = 5_000;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Is there nothing in the nodes' logs that nobody expected?",
    gate: Gate::Objective,
};

/// Texts of what must never be, also while a fault is in force: data are broken then, not connections.
const NEVER: &[&str] = &[
    "could not read block",
    "invalid page in block",
    "page verification failed",
    "unexpected zeros",
    "could not access status of transaction",
    "index is corrupt",
    "data corruption",
    "duplicate key value violates unique constraint \"pretixbase_order_",
    "Bad file format reading the append only file",
    "Short read or OOM loading DB",
];

/// Texts that a healthy stack writes under load, with the reason.
const HARMLESS: &[(&str, &str)] = &[
    ("canceling statement due to lock timeout", "buyers fight for one quota: Pretix answers \"too busy\""),
    ("Waiting for locks timed out", "the same, as Pretix writes it"),
    ("duplicate key value violates unique constraint \"pretixapi_apicall", "two requests with one idempotency key"),
    ("is still waiting for", "PostgreSQL's log of lock waits"),
];

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let lines = &evidence.history.read.logs;
    let mut never: BTreeMap<(&NodeName, &str), Seen> = BTreeMap::new();
    let mut unexpected: BTreeMap<(&NodeName, &str), Seen> = BTreeMap::new();
    let (mut expected, mut allowed) = (0, 0);
    let begin = first_stage(&evidence.history, Stage::LoadStarted).unwrap_or_default();
    let end = first_stage(&evidence.history, Stage::Drained).unwrap_or(At(u64::MAX));
    for found in lines {
        let key = (&found.node, found.line.as_str());
        if NEVER.iter().any(|text| found.line.contains(text)) {
            never.entry(key).or_default().add(found);
        } else if is_allowed(found, evidence) {
            allowed += found.count;
        } else if found.at < begin || found.at > end || is_expected(found.at, evidence) {
            expected += found.count;
        } else {
            unexpected.entry(key).or_default().add(found);
        }
    }
    let numbers = numbers([
        ("lines", lines.iter().map(|found| found.count).sum::<u64>() as f64),
        ("never", never.values().map(|seen| seen.count).sum::<u64>() as f64),
        ("unexpected", unexpected.values().map(|seen| seen.count).sum::<u64>() as f64),
        ("around_faults", expected as f64),
        ("allowed", allowed as f64),
    ]);
    let findings = findings(never, unexpected, evidence);
    let (judgement, reason) = if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if let Some(first) = findings.first() {
        (Judgement::Fail, first.summary.clone())
    } else if !evidence.history.observes(Subject::Logs) {
        (Judgement::Pass, "this run did not look at the logs".to_owned())
    } else {
        (Judgement::Pass, format!("0 unexpected lines; {expected} around faults, {allowed} known to be harmless"))
    };
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Lines that are alike.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    first: Option<At>,
    count: u64,
}

impl Seen {
    fn add(&mut self, lines: &LogLines) {
        self.count += lines.count;
        self.first = self.first.into_iter().chain([lines.at]).min();
    }
}

fn is_allowed(lines: &LogLines, evidence: &Evidence<'_>) -> bool {
    let by_agreement = evidence.sla.logs.allow.iter().any(|text| lines.line.contains(text));
    by_agreement || HARMLESS.iter().any(|(text, _)| lines.line.contains(text))
}

fn is_expected(at: At, evidence: &Evidence<'_>) -> bool {
    let covers = |window: &step::Window| window.from <= at && at <= window.until.plus_ms(LATE_MS);
    evidence.windows.iter().filter(|window| window.injected).any(covers)
}

type Groups<'a> = BTreeMap<(&'a NodeName, &'a str), Seen>;

fn findings(never: Groups<'_>, unexpected: Groups<'_>, evidence: &Evidence<'_>) -> Vec<Finding> {
    let by_count = |groups: Groups<'_>| {
        let mut all: Vec<_> =
            groups.into_iter().map(|((node, line), seen)| (node.clone(), line.to_owned(), seen)).collect();
        all.sort_by(|a, b| b.2.count.cmp(&a.2.count).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
        all
    };
    let describe = |(node, line, seen): (NodeName, String, Seen), remedy: &str| {
        let at = seen.first.unwrap_or_default();
        let times = if seen.count == 1 { String::new() } else { format!(" ({} times)", seen.count) };
        Finding::new(format!("{node}{times}: {line}"))
            .with_at(at)
            .with_step(step::step_at(&evidence.windows, at).map(|window| window.step))
            .with_nodes([node])
            .with_remedy(remedy)
    };
    let broken = "data are broken: stop selling, keep the node as it is, and look for the cause";
    let strange = "find out what it means; if it is harmless, allow it in the agreement (logs.allow)";
    let never = by_count(never).into_iter().map(|group| describe(group, broken));
    let unexpected = by_count(unexpected).into_iter().map(|group| describe(group, strange));
    never.chain(unexpected).take(FINDINGS_MAX).collect()
}
