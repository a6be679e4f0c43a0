//! Quotas: however many buyers fight for however few tickets, and whoever dies meanwhile, no ticket is
//! sold that does not exist: neither by the database's count nor by what buyers hold in their hands.

use crate::shop::{agreement, lose, shop};
use firedrill_core::drill::{Load, QuotaBelow, Trigger};
use firedrill_core::load::Mix;
use firedrill_core::verdict::Judgement;
use rstest::rstest;

/// Tickets on sale, half of which are sold before the fault; the buyers who queue up during a failover of four
/// to five seconds fight for the rest at the moment at which it ends.
const TICKETS: u64 = 45;

#[rstest]
#[case::the_database_primary("primary(postgres)")]
#[case::the_cache_master("primary(redis)")]
fn a_scarce_quota_is_never_oversold_while_we_lose(#[case] target: &str) {
    let mut shop = shop();
    let event = format!("scarce-{}", target.trim_end_matches(')').rsplit('(').next().expect("a tier"));
    shop.add_events(&scarce_event(&event));
    let mut drill = lose(target);
    // The master dies when the fight for the last tickets has begun.
    let nearly_gone = QuotaBelow { quota: format!("{event}/seats"), left: TICKETS / 2 };
    drill.steps[0].when = Some(Trigger::QuotaBelow(nearly_gone));
    // Whoever was in doubt when the last ticket went cannot be served any more; the window has to be longer than
    // that moment for the share of the served to mean something.
    drill.steps[0].hold_ms = 10_000;
    drill.load = Load { rate_per_s: 6.0, event: event.clone(), item: Mix::One("Seat".to_owned()), ..Load::default() };

    let outcome = shop.run(&drill, &agreement("gic-2020"));

    outcome.must_pass("conservation").must_pass("oversell").must_pass("replicas");
    let totals = outcome.verdict.totals;
    let sold = totals.acknowledged + totals.recovered;
    assert_eq!(sold, TICKETS, "all tickets are sold, and no more\n{}", outcome.text());
    assert!(totals.rejected > 0, "demand must exceed the quota, or nothing was proven\n{}", outcome.text());
    assert_ne!(outcome.verdict.steps[0].judgement, Judgement::Fail, "{}", outcome.text());
}

fn scarce_event(slug: &str) -> String {
    format!(
        "organizer: {{slug: drill, name: Firedrill}}\n\
         events: [{{slug: {slug}, name: A scarce event, in_days: 90, \
                   items: [{{name: Seat, price: '23.00'}}], \
                   quotas: [{{name: seats, size: {TICKETS}, items: [Seat]}}]}}]\n"
    )
}
