//! What there is only one of: a voucher is somebody's or nobody's, whoever dies while buyers fight for it. And what
//! a run says that it looks at, it has looked at.

use crate::shop::{Outcome, agreement, lose, shop};
use firedrill_core::drill::{Load, Trigger};
use firedrill_core::history::Subject::{Books, Entries, Invoices, Leftovers, Logs, QuotasSeen};
use firedrill_core::history::{
    AttemptKind, Event, History, OperationOutcome, Operations, Outcome as Known, RejectReason,
};
use firedrill_core::load::Mix;
use std::collections::{BTreeMap, BTreeSet};

/// Those of the journey `last-vouchers`.
const EVENT: &str = "organizer: {slug: drill, name: Firedrill}\n\
    events: [{slug: last-chance, name: Last chance, in_days: 90, \
              items: [{name: Seat, price: '23.00'}], \
              quotas: [{name: seats, size: 1000, items: [Seat]}], \
              vouchers: [{prefix: LAST, count: 12}], checkin_list: Entrance, \
              settings: {invoice_generate: 'True'}}]\n";

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
        journey: Mix::Several([("last-vouchers".to_owned(), 9), ("check-in".to_owned(), 1)].into()),
        // Every order has an invoice, which a worker draws for a second: what two cores sustain with a node missing.
        rate_per_s: 2.0,
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
        if let Some(voucher) = attempt.claim.as_deref() {
            holders.entry(voucher).or_default().insert(attempt.op);
        }
    }
    assert!(!holders.is_empty(), "nobody has a voucher\n{}", outcome.text());
    let twice: Vec<_> = holders.iter().filter(|(_, ops)| ops.len() > 1).collect();
    assert!(twice.is_empty(), "vouchers with two owners: {twice:?}\n{}", outcome.text());
    let taken = OperationOutcome::Rejected(RejectReason::Taken);
    let refused = operations.iter().filter(|operation| operation.outcome == taken).count();
    assert!(refused > 10, "{refused} buyers were refused: nobody fought\n{}", outcome.text());
    assert!(!given_back.is_empty(), "nobody gave his order back\n{}", outcome.text());
    outcome.must_pass("replicas");
    everything_was_looked_at(&history, &outcome);
}

/// What the header of a history promises is in its records.
fn everything_was_looked_at(history: &History, outcome: &Outcome) {
    let header = history.header().expect("a header");
    for subject in [Books, Entries, Invoices, Leftovers, Logs, QuotasSeen] {
        assert!(header.observes.contains(&subject), "{subject:?} is not in {:?}", header.observes);
    }
    let mut books_that_add_up = 0;
    let (mut entries, mut invoices, mut early_invoices, mut seen, mut logs) = (0, 0, 0, 0, 0);
    let mut leftovers = BTreeSet::new();
    let last_purchase = history.attempts().map(|attempt| attempt.ended).max().expect("purchases");
    for event in &history.events {
        match event {
            Event::Ledger(row) => {
                let books = row.books.expect("every order has its books");
                books_that_add_up += u32::from(books.lines_cents == row.total_cents && books.placed == 1);
                entries += row.positions.iter().map(|position| position.entries).sum::<u32>();
            }
            Event::Invoice(invoice) => {
                invoices += 1;
                early_invoices += u32::from(invoice.at < last_purchase);
            }
            Event::Leftover(leftover) => {
                assert!(leftover.count.is_some(), "{leftover:?} was not counted\n{}", outcome.text());
                leftovers.insert(leftover.what.as_str());
            }
            Event::Seen(_) => seen += 1,
            Event::Log(_) => logs += 1,
            _ => {}
        }
    }
    let what = format!(
        "{books_that_add_up} books add up, {entries} entries, {invoices} invoices, {early_invoices} of them seen early, \
         {seen} quotas seen, {logs} lines of trouble, {leftovers:?}"
    );
    println!("{what}");
    let counts = [books_that_add_up, entries, invoices, early_invoices, seen, logs];
    assert!(counts.iter().all(|count| *count > 0) && leftovers.len() == 6, "{what}\n{}", outcome.text());
}
