//! N+1: every tier has one node more than it needs. Lose any one, and sales go on without it, nothing
//! that was confirmed is lost, and redundancy comes back by itself.

use crate::shop::{agreement, lose, shop};
use rstest::rstest;

#[rstest]
#[case::the_database_primary("primary(postgres)")]
#[case::a_database_standby("standby(postgres)")]
#[case::a_database_proxy("one(pgpool)")]
#[case::the_cache_master("primary(redis)")]
#[case::a_cache_proxy("one(haproxy)")]
#[case::a_sentinel("one(sentinel)")]
#[case::a_web_node("one(web)")]
#[case::a_worker("one(worker)")]
#[case::an_entry_point("one(nginx)")]
fn sales_go_on_when_we_lose(#[case] target: &str) {
    let shop = shop();
    let outcome = shop.run(&lose(target), &agreement("gic-2020"));
    outcome.must_be_certified();
    let step = &outcome.verdict.steps[0];
    assert!(step.recovery.restored_ms.is_some(), "sales must go on before the node is back\n{}", outcome.text());
    assert!(step.recovery.whole_ms.is_some(), "redundancy must come back\n{}", outcome.text());
    assert_eq!(outcome.verdict.totals.lost, 0, "{}", outcome.text());
}
