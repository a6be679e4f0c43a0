//! Buyers in the browser: carts, sessions, forms and background tasks have to survive the loss of a node.

use crate::shop::{agreement, lose, shop};
use firedrill_core::drill::Load;
use firedrill_core::history::{AttemptKind, Outcome};
use firedrill_core::load::Mix;
use rstest::rstest;

/// A load of this journey, at a rate that leaves the stack room: a checkout costs it ten times an order by API.
fn load(journey: &str, rate_per_s: f64) -> Load {
    Load { journey: Mix::One(journey.to_owned()), rate_per_s, ..Load::default() }
}

#[rstest]
#[case::a_web_node("one(web)")]
#[case::an_entry_point("one(nginx)")]
fn checkouts_go_on_when_we_lose(#[case] target: &str) {
    let shop = shop();
    let outcome = shop.run(&lose(target).load(load("web-checkout", 0.8)), &agreement("gic-2020"));
    outcome.must_pass("conservation").must_pass("oversell").must_pass("availability").must_pass("response_time");
    let totals = &outcome.verdict.totals;
    assert!(totals.acknowledged > 10 && totals.lost == 0, "{}", outcome.text());
    let explained = totals.acknowledged + totals.rejected + totals.in_doubt + totals.not_applied;
    assert_eq!(explained, totals.operations, "every buyer's outcome is known\n{}", outcome.text());
}

#[test]
fn the_door_admits_every_ticket_once() {
    let shop = shop();
    let outcome = shop.run(&lose("one(pgpool)").load(load("check-in", 1.5)), &agreement("gic-2020"));
    outcome.must_pass("conservation").must_pass("availability");
    let stored = outcome.dir.read().expect("the run is readable");
    let door = || stored.history.attempts().filter(|attempt| attempt.kind == AttemptKind::Redeem);
    let mut admitted: Vec<&str> =
        door().filter(|a| a.outcome == Outcome::Passed).filter_map(|a| a.ticket.as_deref()).collect();
    assert!(admitted.len() > 10, "{} admissions\n{}", admitted.len(), outcome.text());
    let count = admitted.len();
    admitted.sort_unstable();
    admitted.dedup();
    assert_eq!(admitted.len(), count, "a ticket was admitted twice\n{}", outcome.text());
}
