//! Response time, and the exact percentiles that it is told in.

use super::story::{Story, check, sold};
use firedrill_core::checker::stats::Durations;
use firedrill_core::history::{At, Outcome};
use firedrill_core::ids::{OpId, StepId};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

#[test]
fn judges() {
    check(
        "response_time",
        &[
            ("good", |_| {}, Pass, "longest of 600 purchases 2350 ms, promised 50000 ms"),
            (
                "exactly in time",
                |s| s.of_op(300).for_each(|a| a.ended = At::from_ms(80_000)),
                Pass,
                "50000 ms, promised 50000",
            ),
            (
                "one too late",
                |s| s.of_op(300).for_each(|a| a.ended = At::from_ms(80_001)),
                Fail,
                "1 of 600 purchases took longer than 50000 ms",
            ),
            (
                "one too late, and one exactly in time",
                |s| {
                    s.of_op(300).for_each(|a| a.ended = At::from_ms(80_001));
                    s.of_op(301).for_each(|a| a.ended = At::from_ms(80_100));
                },
                Fail,
                "1 of 600 purchases took longer than 50000 ms",
            ),
            (
                "steady exactly as fast as promised",
                |s| {
                    for op in 450..460 {
                        s.of_op(op).for_each(|a| a.ended = a.intended.plus_ms(2_000));
                    }
                },
                Pass,
                "longest of 600",
            ),
            (
                "ended in the instant of the fault",
                |s| s.of_op(199).for_each(|a| a.ended = At::from_ms(20_000)),
                Pass,
                "longest of 600",
            ),
            (
                "a buyer gave up too late",
                |s| {
                    s.of_op(300).for_each(|a| {
                        (a.ended, a.outcome, a.order) = (At::from_ms(80_001), Outcome::InDoubt, None);
                    })
                },
                Fail,
                "1 of 600",
            ),
            (
                "the clock starts when he meant to begin",
                |s| {
                    s.of_op(300).for_each(|a| {
                        (a.started, a.ended) = (At::from_ms(80_000), At::from_ms(80_040));
                    })
                },
                Fail,
                "the slowest 50040 ms",
            ),
            (
                "slow without a fault",
                |s| {
                    for op in 450..460 {
                        s.of_op(op).for_each(|a| a.ended = a.ended.plus_ms(3_000));
                    }
                },
                Fail,
                "99th percentile of 399 steady purchases is 3040 ms",
            ),
            (
                "slow inside the window only",
                |s| {
                    for op in 250..350 {
                        s.of_op(op).for_each(|a| a.ended = a.ended.plus_ms(3_000));
                    }
                },
                Pass,
                "longest of 600",
            ),
            (
                "slow inside a window in which another one has ended",
                |s| {
                    s.overlap();
                    for op in 250..350 {
                        s.of_op(op).for_each(|a| a.ended = a.ended.plus_ms(3_000));
                    }
                },
                Pass,
                "longest of 600",
            ),
            (
                "slow, begun before the fault and hit by it",
                |s| {
                    for op in 190..200 {
                        s.of_op(op).for_each(|a| a.ended = a.ended.plus_ms(3_000));
                    }
                },
                Pass,
                "longest of 600",
            ),
            (
                "all inside the window",
                |s| s.attempts.retain(|a| (200..=400).contains(&a.op.0)),
                Unknown,
                "outside of the fault windows",
            ),
            ("no purchase", |s| s.attempts.clear(), Unknown, "no purchase was made"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}

#[test]
fn a_late_purchase_is_named_with_its_step() {
    let result =
        Story::good().with(|s| s.of_op(250).for_each(|a| a.ended = a.ended.plus_ms(60_000))).ask("response_time");
    assert_eq!((result.findings[0].ops.clone(), result.findings[0].step), (vec![OpId(250)], Some(StepId(0))));
}

#[test]
fn the_numbers_are_exact() {
    let story = Story::empty(1.0).with(|s| s.attempts = (1..=100).map(|n| sold(n, 0, n, 2 * n, 1)).collect());
    let numbers = story.ask("response_time").numbers;
    let of = |names: [&str; 5]| names.map(|name| numbers[name]);
    assert_eq!(of(["p50_ms", "p90_ms", "p99_ms", "max_ms", "service_p50_ms"]), [100.0, 180.0, 198.0, 200.0, 50.0]);
}

proptest! {
    #[test]
    fn a_percentile_is_the_smallest_value_that_enough_do_not_exceed(
        values in prop::collection::vec(0..1_000u32, 1..200),
        percent in 1..=100u32,
    ) {
        let found = Durations::of(values.iter().map(|v| f64::from(*v))).percentile_ms(f64::from(percent));
        let enough = |limit: f64| {
            let below = values.iter().filter(|v| f64::from(**v) <= limit).count();
            below * 100 >= values.len() * percent as usize
        };
        prop_assert!(values.iter().any(|v| f64::from(*v) == found));
        prop_assert!(enough(found));
        prop_assert!(!enough(found - 1.0));
    }
}
