//! Buyers in the browser, and the door: carts, sessions, background tasks and scans survive the loss of a node as
//! orders by the API do.

use crate::shop::{Outcome, agreement, lose, shop};
use firedrill_core::drill::Load;
use firedrill_core::history::{Attempt, AttemptKind, Outcome as Known, RejectReason};
use firedrill_core::load::Mix;
use std::collections::BTreeSet;

/// A checkout costs the stack about two seconds of CPU, an order by the API a tenth of it: the rate is what two
/// cores sustain while a node is missing (docs/measurements.md, "Capacity").
const CHECKOUTS_PER_S: f64 = 0.25;

/// Orders that are shown at the door, twice each.
const ADMISSIONS_PER_S: f64 = 0.5;

fn drill(journey: &str, rate_per_s: f64, target: &str) -> Outcome {
    let mut drill = lose(target);
    drill.name = format!("{journey}: lose {target}");
    drill.load = Load { journey: Mix::One(journey.to_owned()), rate_per_s, ..Load::default() };
    // Long enough for some checkouts to begin and end without the node.
    drill.steps[0].hold_ms = 20_000;
    shop().run(&drill, &agreement("gic-2020"))
}

#[test]
fn checkouts_in_the_browser_survive_the_loss_of_a_web_node() {
    let outcome = drill("web-checkout", CHECKOUTS_PER_S, "one(web)");
    outcome.must_be_certified();
    let totals = outcome.verdict.totals;
    assert!(totals.acknowledged >= 5, "too few checkouts to say anything\n{}", outcome.text());
    assert!(totals.attempts > 15 * totals.acknowledged, "a checkout is many pages\n{}", outcome.text());
}

#[test]
fn the_door_admits_every_ticket_once_while_the_cache_master_dies() {
    let outcome = drill("check-in", ADMISSIONS_PER_S, "primary(redis)");
    outcome.must_be_certified();
    let history = outcome.dir.read().and_then(|stored| stored.history()).expect("the records");
    let admitted: Vec<&str> = history.attempts().filter_map(admission).collect();
    let unique: BTreeSet<&&str> = admitted.iter().collect();
    assert_eq!(unique.len(), admitted.len(), "a ticket was admitted twice\n{}", outcome.text());
    assert!(admitted.len() >= 10, "{} admissions are too few\n{}", admitted.len(), outcome.text());
    let copies = history.attempts().filter(|attempt| is_copy(attempt)).count();
    assert!(copies >= 10, "{copies} copies were turned away\n{}", outcome.text());
}

fn admission(attempt: &Attempt) -> Option<&str> {
    let admitted = attempt.kind == AttemptKind::Redeem && attempt.outcome == Known::Passed;
    admitted.then(|| attempt.ticket.as_deref().unwrap_or_default())
}

fn is_copy(attempt: &Attempt) -> bool {
    attempt.outcome == Known::Rejected(RejectReason::AlreadyRedeemed)
}
