//! Quotas: however many buyers fight for however few tickets, and whoever dies meanwhile, no ticket is
//! sold that does not exist: neither by the database's count nor by what buyers hold in their hands.

use crate::shop::{agreement, lose, shop};
use firedrill_core::drill::Load;
use firedrill_core::verdict::Judgement;
use rstest::rstest;

/// Tickets on sale. At six buyers a second some twenty are sold before the fault; the buyers who queue up
/// during a failover of four to five seconds fight for the rest at the moment at which it ends.
const TICKETS: u64 = 45;

#[rstest]
#[case::the_database_primary("primary(postgres)")]
#[case::the_cache_master("primary(redis)")]
fn a_scarce_quota_is_never_oversold_while_we_lose(#[case] target: &str) {
    let mut shop = shop();
    let event = format!("scarce-{}", target.trim_end_matches(')').rsplit('(').next().expect("a tier"));
    shop.add_events(&scarce_event(&event));
    let mut drill = lose(target);
    drill.load = Load { rate_per_s: 6.0, event: event.clone(), item: "Seat".to_owned(), ..Load::default() };

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
