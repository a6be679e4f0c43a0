//! Leftovers: nothing that was begun is left unfinished for good.
//!
//! A worker that was killed takes its tasks with it, a request that was cut off leaves its idempotency key locked,
//! so that every retry of the client is turned away for a day; mails and invoices wait for somebody who sends them.
//! The run waits for what is rightly under way before it counts. Every kind is counted, also where there is none.

use super::{Evidence, Question, numbers};
use crate::history::{Leftover, Subject};
use crate::ids::NodeName;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::BTreeMap;

/// Name in the registry.
pub const NAME: &str = "leftovers";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was everything finished that was begun: tasks, mails, invoices, idempotency keys?",
    gate: Gate::Objective,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let last = last(&evidence.history.read.leftovers);
    let left: Vec<&&Leftover> = last.values().filter(|leftover| leftover.count.is_some_and(|n| n > 0)).collect();
    let unread: Vec<&&Leftover> = last.values().filter(|leftover| leftover.count.is_none()).collect();
    let sum: u64 = last.values().filter_map(|leftover| leftover.count).sum();
    let numbers = numbers([("kinds", last.len() as f64), ("left", sum as f64), ("uncounted", unread.len() as f64)]);
    let finding = |leftover: &&&Leftover| {
        let Leftover { at, node, what, count, detail } = leftover;
        let count = count.unwrap_or_default();
        Finding::new(format!("{count} {what} left on {node}: {detail}"))
            .with_at(*at)
            .with_nodes([node.clone()])
            .with_remedy("find the process that died in the middle of it, and let another finish its work")
    };
    let findings: Vec<Finding> = left.iter().map(finding).collect();
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if let Some(unread) = unread.first() {
            let Leftover { node, what, detail, .. } = unread;
            (Judgement::Unknown, format!("{what} on {node} could not be counted: {detail}"))
        } else if !last.is_empty() {
            let kinds: Vec<&str> = last.values().map(|leftover| leftover.what.as_str()).collect();
            (Judgement::Pass, format!("nothing is left of {} kinds of work: {}", last.len(), kinds.join(", ")))
        } else if evidence.history.observes(Subject::Leftovers) {
            (Judgement::Unknown, "nobody counted what was left".to_owned())
        } else {
            (Judgement::Pass, "this run did not look at what was left".to_owned())
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// The last count of every kind on every node.
fn last(all: &[Leftover]) -> BTreeMap<(&str, &NodeName), &Leftover> {
    all.iter().map(|leftover| ((leftover.what.as_str(), &leftover.node), leftover)).collect()
}
