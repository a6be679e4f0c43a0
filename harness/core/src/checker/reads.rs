//! Reads: whoever looks at his order after it was confirmed to him finds it, and goes on finding it.
//!
//! Every order is a set of one element (Jepsen's set-full): it is known from its confirmation on, and every look
//! that is begun later has to show it. A look that does not is **stale** where a later one, or the final read,
//! shows the order; else it is **lost**. Where an earlier look had shown it, the buyer has gone back in time
//! (monotonic reads). The looks of an operation are its buyer's own, so that each stale one breaks "read your
//! writes" too. An order at which nobody looked is counted; what is in the database in the end is the business of
//! [`conservation`](super::conservation).

use super::{Evidence, Question, numbers, step};
use crate::digest::beside::{Look, Sight};
use crate::history::At;
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;

/// Name in the registry.
pub const NAME: &str = "reads";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was every confirmed order there whenever its buyer looked at it afterwards?",
    gate: Gate::Invariant,
};

/// What is wrong with the looks at one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// It was never seen again after it was missing.
    Gone,
    /// It was seen, and then it was not.
    Backwards,
    /// It was not there yet.
    Stale,
    /// Another order was shown.
    Another,
}

impl Wrong {
    const ALL: [Self; 4] = [Self::Gone, Self::Backwards, Self::Stale, Self::Another];

    fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Backwards => "backwards",
            Self::Stale => "stale",
            Self::Another => "another",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Gone => "not found when the buyer looked, and never seen again",
            Self::Backwards => "seen by the buyer and later not found",
            Self::Stale => "not found by the buyer until later",
            Self::Another => "shown to the buyer as somebody else's",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Gone => "see conservation: either the order was lost, or a cache or a standby hides it",
            Self::Backwards | Self::Stale => {
                "read orders from the primary only, or wait for the standby's replay (synchronous_commit = remote_apply)"
            }
            Self::Another => "look for keys that a failover gave out again, and for caches that survived it",
        }
    }
}

/// What was found on one order, and when first.
type Found = (Wrong, At, OpId);

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let looks = &evidence.history.beside.looks;
    let mut found: Vec<Found> = Vec::new();
    let (mut stale_ms, mut looked_at) = (0.0f64, 0u64);
    for of_order in looks.chunk_by(|a, b| a.op == b.op) {
        looked_at += 1;
        let Some(confirmed) = evidence.history.operations.get(of_order[0].op).and_then(|op| op.acknowledged_at())
        else {
            continue;
        };
        // Who gave his order back may look in vain.
        let until = evidence.history.beside.returns.get(&of_order[0].op).map_or(At(u64::MAX), |given| given.invoked);
        let of_order: Vec<Look> = of_order.iter().copied().filter(|look| look.ended < until).collect();
        let wrong = judge(&of_order);
        if let Some((Wrong::Stale, at, _)) = wrong.iter().rev().find(|(wrong, ..)| *wrong == Wrong::Stale) {
            stale_ms = stale_ms.max(at.ms_since(confirmed));
        }
        found.extend(wrong);
    }
    let mut findings = Vec::new();
    let mut numbers = numbers([
        ("looks", looks.len() as f64),
        ("orders_looked_at", looked_at as f64),
        ("orders_never_looked_at", evidence.books.account.acknowledged.saturating_sub(looked_at) as f64),
        ("stale_max_ms", stale_ms),
    ]);
    for kind in Wrong::ALL {
        let mut of_kind: Vec<Found> = found.iter().copied().filter(|(wrong, ..)| *wrong == kind).collect();
        of_kind.sort_unstable_by_key(|(_, at, op)| (*at, *op));
        of_kind.dedup_by_key(|(_, _, op)| *op);
        numbers.insert(format!("orders_{}", kind.name()), of_kind.len() as f64);
        findings.extend(finding(kind, &of_kind, evidence));
    }
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if looks.is_empty() {
            (Judgement::Pass, "nobody looked at his order again in this run".to_owned())
        } else {
            (
                Judgement::Pass,
                format!("{} at {}, all there", counted(looks.len(), "look"), counted(looked_at, "confirmed order")),
            )
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Judges the looks at one order, in the order in which they began.
fn judge(looks: &[Look]) -> Vec<Found> {
    let shown = |look: &&Look| look.sight == Sight::Present;
    let last_shown = looks.iter().filter(shown).map(|look| look.started).max();
    let mut first_shown: Option<At> = None;
    let mut found = Vec::new();
    for look in looks {
        let wrong = match look.sight {
            Sight::Present => {
                first_shown = Some(first_shown.map_or(look.ended, |first| first.min(look.ended)));
                continue;
            }
            Sight::Another => Wrong::Another,
            // Two looks side by side may come to different answers.
            Sight::Absent if first_shown.is_some_and(|first| first < look.started) => Wrong::Backwards,
            Sight::Absent if last_shown.is_some_and(|last| last > look.started) => Wrong::Stale,
            Sight::Absent => Wrong::Gone,
        };
        found.push((wrong, look.ended, look.op));
    }
    found
}

fn finding(kind: Wrong, orders: &[Found], evidence: &Evidence<'_>) -> Option<Finding> {
    let (_, at, _) = *orders.first()?;
    let text = format!("{} {}", counted(orders.len(), "confirmed order"), kind.in_words());
    let window = step::step_at(&evidence.windows, at);
    let finding = Finding::new(text).with_at(at).in_window(window).with_ops(orders.iter().map(|(_, _, op)| *op));
    Some(finding.with_remedy(kind.remedy()))
}
