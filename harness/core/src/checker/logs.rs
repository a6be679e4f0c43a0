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
    ("unable to read data from frontend", "Pgpool's word for a client that has gone, once a minute without any fault"),
];

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let lines = &evidence.history.read.logs;
    let (mut never, mut unexpected) = (Groups::new(), Groups::new());
    let (mut expected, mut allowed) = (0, 0);
    let begin = first_stage(&evidence.history, Stage::LoadStarted).unwrap_or_default();
    let end = first_stage(&evidence.history, Stage::Drained).unwrap_or(At(u64::MAX));
    for found in lines {
        let key = (&found.node, alike(&found.line));
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
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if !evidence.history.observes(Subject::Logs) {
            (Judgement::Pass, "this run did not look at the logs".to_owned())
        } else {
            (Judgement::Pass, format!("0 unexpected lines; {expected} around faults, {allowed} known to be harmless"))
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Lines that are alike.
#[derive(Debug, Clone, Default)]
struct Seen<'a> {
    /// The first of them, and when.
    first: Option<(At, &'a str)>,
    count: u64,
}

impl<'a> Seen<'a> {
    fn add(&mut self, lines: &'a LogLines) {
        self.count += lines.count;
        self.first = self.first.into_iter().chain([(lines.at, lines.line.as_str())]).min();
    }
}

/// What lines have in common that differ only in times, numbers of processes and the like.
fn alike(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

fn is_allowed(lines: &LogLines, evidence: &Evidence<'_>) -> bool {
    let by_agreement = evidence.sla.logs.allow.iter().any(|text| lines.line.contains(text));
    by_agreement || HARMLESS.iter().any(|(text, _)| lines.line.contains(text))
}

fn is_expected(at: At, evidence: &Evidence<'_>) -> bool {
    let covers = |window: &step::Window| window.from <= at && at <= window.until.plus_ms(LATE_MS);
    evidence.windows.iter().filter(|window| window.injected).any(covers)
}

/// The most frequent first.
fn by_count(groups: Groups<'_>) -> Vec<((&NodeName, String), Seen<'_>)> {
    let mut all: Vec<_> = groups.into_iter().collect();
    all.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
    all
}

type Groups<'a> = BTreeMap<(&'a NodeName, String), Seen<'a>>;

fn findings(never: Groups<'_>, unexpected: Groups<'_>, evidence: &Evidence<'_>) -> Vec<Finding> {
    let describe = |((node, _), seen): ((&NodeName, String), Seen<'_>), remedy: &str| {
        let (at, line) = seen.first.unwrap_or_default();
        let times = if seen.count == 1 { String::new() } else { format!(" ({} times)", seen.count) };
        Finding::new(format!("{node}{times}: {line}"))
            .with_at(at)
            .with_step(step::step_at(&evidence.windows, at).map(|window| window.step))
            .with_nodes([node.clone()])
            .with_remedy(remedy)
    };
    let broken = "data are broken: stop selling, keep the node as it is, and look for the cause";
    let strange = "find out what it means; if it is harmless, allow it in the agreement (logs.allow)";
    let never = by_count(never).into_iter().map(|group| describe(group, broken));
    let unexpected = by_count(unexpected).into_iter().map(|group| describe(group, strange));
    never.chain(unexpected).take(FINDINGS_MAX).collect()
}
