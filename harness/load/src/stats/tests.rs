//! Tests of the figures.

use super::*;
use crate::operation::{Access, Times};
use firedrill_core::history::RejectReason;
use firedrill_core::ids::{BuyerId, OpId};
use rstest::rstest;

fn attempt(group: &str, outcome: Outcome) -> Attempt {
    Attempt {
        op: OpId(0),
        buyer: BuyerId(0),
        number: 1,
        kind: AttemptKind::Purchase,
        entry: "web-1".into(),
        intended: At::from_ms(1_000),
        started: At::from_ms(1_500),
        ended: At::from_ms(1_600),
        status: None,
        outcome,
        group: group.to_owned(),
        code: String::new(),
        email: String::new(),
        order: None,
        ticket: None,
        claim: None,
        error: None,
    }
}

#[test]
fn sales_are_clean_only_after_long_enough_without_error() {
    let stats = Stats::new(At::from_ms(0));
    let mut inner = stats.lock();
    inner.error(At::from_ms(2_000));
    inner.answered(Answer { began: At::from_ms(4_000), ended: At::from_ms(4_500) });
    drop(inner);
    assert!(!stats.snapshot(At::from_ms(4_900)).serves_cleanly_for(3_000));
    assert!(stats.snapshot(At::from_ms(5_001)).serves_cleanly_for(3_000));
    assert!(!stats.snapshot(At::from_ms(9_000)).serves_cleanly_for(3_000), "nothing was sold");
    let snapshot = stats.snapshot(At::from_ms(5_001));
    assert!(snapshot.served_since(At::from_ms(4_000)));
    assert!(!snapshot.served_since(At::from_ms(4_200)), "it was sent before");
}

#[test]
fn a_refused_arrival_is_no_clean_sale() {
    let stats = Stats::new(At::from_ms(0));
    stats.lock().answered(Answer { began: At::from_ms(4_000), ended: At::from_ms(4_500) });
    stats.arrived();
    stats.refused(At::from_ms(4_600));
    let snapshot = stats.snapshot(At::from_ms(5_000));
    assert!(!snapshot.serves_cleanly_for(3_000));
    assert_eq!((snapshot.arrivals, snapshot.refused, snapshot.in_flight), (1, 1, 0));
}

#[rstest]
#[case::in_doubt(Outcome::InDoubt, Access::Entered, true)]
#[case::closed_and_there_is_another(Outcome::InDoubt, Access::Elsewhere, false)]
#[case::closed_everywhere(Outcome::InDoubt, Access::Nowhere, true)]
#[case::unreachable_and_there_is_another(Outcome::NotSent, Access::Elsewhere, false)]
#[case::unreachable_everywhere(Outcome::NotSent, Access::Nowhere, true)]
#[case::idle_connection_closed(Outcome::NotSent, Access::Entered, false)]
#[case::too_busy(Outcome::NotApplied, Access::Entered, true)]
fn who_goes_on_to_another_entry_point_is_no_error_yet(
    #[case] outcome: Outcome,
    #[case] access: Access,
    #[case] is_error: bool,
) {
    let stats = Stats::new(At(0));
    stats.attempted(&attempt("", outcome), access);
    let snapshot = stats.snapshot(At::from_ms(2_000));
    assert_eq!((snapshot.errors, snapshot.last_error.is_some()), (u64::from(is_error), is_error));
    assert_eq!(snapshot.by_kind.counted().len(), 1, "it is counted by its kind all the same");
}

/// Exchanges at entry points: which, when it began and ended, and its status.
#[rstest]
#[case::one_hangs(&[("b", 2_000, 2_100, Some(201))], "timeout", false)]
#[case::it_answered_before(&[("a", 500, 900, Some(201)), ("b", 2_000, 2_100, Some(201))], "timeout", false)]
#[case::it_answers_others(&[("a", 1_100, 1_200, Some(201)), ("b", 2_000, 2_100, Some(201))], "timeout", true)]
#[case::it_answers_that_it_cannot(&[("a", 1_100, 1_200, Some(502)), ("b", 2_000, 2_100, Some(201))], "timeout", true)]
#[case::nobody_answers(&[("b", 2_000, 12_000, None)], "timeout", true)]
#[case::the_other_one_answered_before(&[("b", 500, 900, Some(201))], "timeout", true)]
#[case::alone(&[], "timeout", true)]
#[case::broken_off(&[("b", 2_000, 2_100, Some(201))], "reset", true)]
fn a_time_out_at_an_entry_point_that_hangs_is_no_error_while_another_one_serves(
    #[case] others: &[(&str, u64, u64, Option<u16>)],
    #[case] error: &str,
    #[case] is_error: bool,
) {
    let stats = Stats::new(At(0));
    let at = |entry: &str, from_ms: u64, until_ms: u64| Attempt {
        entry: entry.into(),
        started: At::from_ms(from_ms),
        ended: At::from_ms(until_ms),
        ..attempt("", Outcome::Acknowledged)
    };
    for (entry, from_ms, until_ms, status) in others {
        stats.attempted(&Attempt { status: *status, ..at(entry, *from_ms, *until_ms) }, Access::Entered);
    }
    let hung = Attempt { outcome: Outcome::InDoubt, error: Some(error.to_owned()), ..at("a", 1_000, 11_000) };
    stats.attempted(&hung, Access::Entered);
    let snapshot = stats.snapshot(At::from_ms(12_000));
    assert_eq!((snapshot.errors > 0, snapshot.by_kind.counted().len()), (is_error, 1), "it is counted by its kind");
}

#[rstest]
#[case(None, None, Outcome::InDoubt, "broken off")]
#[case(None, Some("timeout"), Outcome::InDoubt, "timed out")]
#[case(Some(502), Some("timeout"), Outcome::InDoubt, "unclear answers")]
#[case(Some(409), None, Outcome::NotApplied, "too busy")]
#[case(None, Some("connect: refused"), Outcome::NotSent, "not sent")]
#[case(Some(403), None, Outcome::Rejected(RejectReason::Unauthorized), "refused")]
#[case(Some(400), None, Outcome::Rejected(RejectReason::SoldOut), "")]
#[case(Some(201), None, Outcome::Acknowledged, "")]
#[case(Some(200), None, Outcome::Passed, "")]
fn failures_are_counted_by_kind(
    #[case] status: Option<u16>,
    #[case] error: Option<&str>,
    #[case] outcome: Outcome,
    #[case] kind: &str,
) {
    let stats = Stats::new(At(0));
    let error = error.map(str::to_owned);
    stats.attempted(&Attempt { status, error, ..attempt("g", outcome) }, Access::Entered);
    let counted = stats.snapshot(At::from_ms(2_000)).by_kind.counted();
    let expected: Vec<(&str, u64)> = [(kind, 1)].into_iter().filter(|(kind, _)| !kind.is_empty()).collect();
    assert_eq!(counted, expected);
    assert_eq!(stats.breakdown(At::from_ms(2_000)).groups["g"].errors.counted(), expected);
}

#[test]
fn groups_have_figures_of_their_own_with_both_times() {
    let stats = Stats::new(At(0));
    stats.attempted(&attempt("cart", Outcome::Passed), Access::Entered);
    stats.attempted(&attempt("", Outcome::Acknowledged), Access::Entered);
    let times = Times { due: At::from_ms(1_000), began: At::from_ms(1_500), ended: At::from_ms(1_600) };
    stats.ended(At::from_ms(1_650), Ended { ending: Ending::Acknowledged, times: Some(times) });
    stats.ended(At::from_ms(1_650), Ended { ending: Ending::GaveUp, times: None });
    let breakdown = stats.breakdown(At::from_ms(1_700));
    let names: Vec<&str> = breakdown.groups.keys().map(String::as_str).collect();
    assert_eq!(names, ["cart", "purchase"]);
    for figures in [breakdown.operations, breakdown.groups["cart"].figures] {
        for timing in [figures.whole, figures.recent] {
            assert_eq!((timing.latency.count, timing.service.count), (1, 1));
            assert!((timing.latency.p99_ms - 600.0).abs() < 6.0, "{timing:?}");
            assert!((timing.service.p99_ms - 100.0).abs() < 1.0, "{timing:?}");
        }
    }
}

#[test]
fn groups_are_few_however_many_names_come() {
    let stats = Stats::new(At(0));
    for number in 0..1_000 {
        stats.attempted(&attempt(&format!("g{number}"), Outcome::Passed), Access::Entered);
    }
    let groups = stats.breakdown(At::from_ms(2_000)).groups;
    assert_eq!(groups.len(), GROUPS_MAX);
    assert_eq!(groups[OTHERS].figures.whole.service.count, 1_000 - (GROUPS_MAX as u64 - 1));
}

#[test]
fn late_arrivals_are_counted() {
    let stats = Stats::new(At(0));
    stats.began(At(0), At::from_ms(LATE_MS));
    stats.began(At(0), At::from_ms(LATE_MS + 1));
    let snapshot = stats.snapshot(At::from_ms(1_000));
    assert_eq!((snapshot.late, snapshot.start_lag.count), (1, 2));
    let progress = stats.progress(5, false);
    assert_eq!(progress, Progress { planned: 5, reached: 2, began: 2, late: 1 });
}

#[test]
fn users_are_at_work_until_they_go() {
    let stats = Stats::new(At(0));
    let first = stats.user_at_work();
    let _second = stats.user_at_work();
    drop(first);
    assert_eq!(stats.snapshot(At(0)).users_active, 1);
}
