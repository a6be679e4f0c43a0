//! The agreement of 2020: 100 % of purchases succeed in normal use and 70 % in peaks, and each is
//! answered within 50 seconds, while the worst single fault happens.

use crate::shop::{agreement, lose, shop};
use firedrill_core::verdict::{Conclusion, Judgement};

#[test]
fn buyers_are_served_within_the_agreement_while_the_database_primary_dies() {
    let shop = shop();
    let outcome = shop.run(&lose("primary(postgres)"), &agreement("gic-2020"));
    outcome.must_pass("availability").must_pass("response_time");

    // The stored history gives the same verdict, byte for byte.
    let stored = outcome.dir.read().expect("the run is readable");
    let again =
        serde_json::to_string(&stored.judge(None).expect("the history is readable")).expect("a verdict is JSON");
    assert_eq!(again, serde_json::to_string(&outcome.verdict).expect("a verdict is JSON"));

    // The same history breaks an agreement that nobody could keep: the judges do judge.
    let mut impossible = agreement("gic-2020");
    impossible.response_time.max_ms = 1.0;
    let harsh = stored.judge(Some(&impossible)).expect("the history is readable");
    assert_eq!(harsh.conclusion, Conclusion::Violated);
    let response_time = harsh.checks.iter().find(|check| check.checker == "response_time");
    assert_eq!(response_time.map(|check| check.judgement), Some(Judgement::Fail));
}
