//! What there is only one of: a voucher is somebody's or nobody's, whoever dies while buyers fight for it.

use crate::shop::{agreement, lose, shop};
use firedrill_core::drill::{Load, Trigger};
use firedrill_core::history::{AttemptKind, OperationOutcome, Operations, Outcome as Known, RejectReason};
use firedrill_core::load::Mix;
use std::collections::{BTreeMap, BTreeSet};

/// Those of the journey `last-vouchers`.
const EVENT: &str = "organizer: {slug: drill, name: Firedrill}\n\
    events: [{slug: last-chance, name: Last chance, in_days: 90, \
              items: [{name: Seat, price: '23.00'}], \
              quotas: [{name: seats, size: 1000, items: [Seat]}], \
              vouchers: [{prefix: LAST, count: 12}]}]\n";

#[test]
fn a_voucher_is_never_used_twice_while_the_database_primary_dies() {
    let mut shop = shop();
    shop.add_events(EVENT);
    let mut drill = lose("primary(postgres)");
    drill.name = "last-vouchers: lose primary(postgres)".to_owned();
    // The fight is at its hottest when it begins: after some seconds all vouchers are gone.
    drill.steps[0].when = Some(Trigger::FirstSale);
    drill.steps[0].hold_ms = 10_000;
    drill.load = Load {
        journey: Mix::One("last-vouchers".to_owned()),
        rate_per_s: 4.0,
        event: "last-chance".to_owned(),
        item: Mix::One("Seat".to_owned()),
        ..Load::default()
    };

    let outcome = shop.run(&drill, &agreement("gic-2020"));

    let history = outcome.dir.read().and_then(|stored| stored.history()).expect("the records");
    let given_back: BTreeSet<_> = history
        .attempts()
        .filter(|attempt| attempt.kind == AttemptKind::Cancel)
        .filter(|attempt| matches!(attempt.outcome, Known::Passed | Known::InDoubt))
        .map(|attempt| attempt.op)
        .collect();
    let operations = Operations::of(&history);
    let mut holders: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for attempt in history.attempts().filter(|attempt| attempt.order.is_some() && !given_back.contains(&attempt.op)) {
        let voucher = attempt.claim.as_deref().expect("every order has a voucher");
        holders.entry(voucher).or_default().insert(attempt.op);
    }
    let twice: Vec<_> = holders.iter().filter(|(_, ops)| ops.len() > 1).collect();
    assert!(twice.is_empty(), "vouchers with two owners: {twice:?}\n{}", outcome.text());
    let taken = OperationOutcome::Rejected(RejectReason::Taken);
    let refused = operations.iter().filter(|operation| operation.outcome == taken).count();
    assert!(refused > 10, "{refused} buyers were refused: nobody fought\n{}", outcome.text());
    assert!(!given_back.is_empty(), "nobody gave his order back\n{}", outcome.text());
    outcome.must_pass("replicas");
}
