//! Exactly once: one purchase is one order, and it is the buyer's own.
//!
//! A buyer who got no answer tries again, a worker that died leaves its task to another: whatever is tried again,
//! one token is at most one order. The token is the order code that the buyer chose and sent as `api_meta.hid` too,
//! or else his e-mail address (see [`conservation`](super::conservation)). And the page that confirms it shows his
//! own e-mail address and his own code: keys that a failover gave out again have led to other people's orders.

use super::conservation::{Kind, findings};
use super::{Evidence, Question, numbers};
use crate::verdict::{CheckResult, Gate, Judgement};
use crate::words::counted;

/// Name in the registry.
pub const NAME: &str = "exactly_once";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Is every purchase at most one order, and was it confirmed to nobody but its buyer?",
    gate: Gate::Invariant,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let account = &evidence.books.account;
    let (repeated, misdelivered) = (account.count(Kind::Repeated), account.count(Kind::Misdelivered));
    let numbers = numbers([("bought_twice", repeated as f64), ("misdelivered", misdelivered as f64)]);
    let purchases = evidence.history.operations.len();
    let reason = format!(
        "{repeated} of {} became several orders, {misdelivered} somebody else's",
        counted(purchases, "purchase")
    );
    let (judgement, reason) = if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if repeated + misdelivered > 0 {
        (Judgement::Fail, reason)
    } else if !account.read {
        (Judgement::Unknown, "no complete final read of a primary: nothing to compare with".to_owned())
    } else {
        (Judgement::Pass, reason)
    };
    QUESTION.answer(judgement, reason, findings(evidence, &[Kind::Repeated, Kind::Misdelivered]), numbers)
}
