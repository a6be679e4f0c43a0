//! The test by ranks: published values, tables of critical values, and every way to deal the values.

use firedrill_core::trend::multiple::adjusted;
use firedrill_core::trend::rank::{
    mann_whitney, median, repeats_needed, shift, shift_interval, smallest_p, upper_tail,
};
use proptest::prelude::*;

/// Permeability constants of the human chorioamnion at term and between 12 and 26 weeks: Hollander and Wolfe,
/// Nonparametric Statistical Methods (1999), table 4.1, and the example of `wilcox.test` in R.
const AT_TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
const EARLY: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

#[track_caller]
fn close(what: &str, found: f64, wanted: f64, within: f64) {
    assert!((found - wanted).abs() <= within, "{what}: {found}, {wanted} is wanted");
}

#[test]
fn the_published_example_has_its_published_values() {
    let test = mann_whitney(&EARLY, &AT_TERM).unwrap();
    assert!(test.exact);
    close("U", test.u, 35.0, 0.0);
    close("one-sided", test.p_greater, 0.1272, 5e-5);
    close("two-sided", test.p, 0.2544, 5e-5);
    close("shift", shift(&EARLY, &AT_TERM), 0.305, 1e-9);
    // R: wilcox.test(term, early, conf.int = TRUE).
    let (low, high) = shift_interval(&EARLY, &AT_TERM, 0.05).unwrap();
    close("low", low, -0.15, 1e-9);
    close("high", high, 0.76, 1e-9);
    // The other way round everything is mirrored.
    let test = mann_whitney(&AT_TERM, &EARLY).unwrap();
    close("U", test.u, 15.0, 0.0);
    close("one-sided", test.p_less, 0.1272, 5e-5);
}

/// Samples of these sizes without ties, of which the second has this U.
fn with_u(a: usize, b: usize, u: usize) -> (Vec<f64>, Vec<f64>) {
    let first: Vec<f64> = (0..a).map(|x| x as f64 * 2.0).collect();
    let mut left = u;
    let second = (0..b).map(|index| {
        // As many as are left are put below; every value has its own place between two.
        let below = left.min(a);
        left -= below;
        below as f64 * 2.0 - 1.0 + index as f64 * 1e-3
    });
    let second = second.collect();
    assert_eq!(left, 0, "no such U");
    (first, second)
}

/// The greatest U of the smaller tail that is significant, two-sided: Milton, An extended table of critical values for
/// the Mann-Whitney two-sample statistic, Journal of the American Statistical Association 59 (1964), as it stands in
/// textbooks. None where no U is.
#[test]
fn critical_values_are_those_of_the_tables() {
    let table = [
        (0.05, 3, 3, None),
        (0.05, 3, 5, Some(0)),
        (0.05, 4, 4, Some(0)),
        (0.05, 4, 5, Some(1)),
        (0.05, 5, 5, Some(2)),
        (0.05, 5, 8, Some(6)),
        (0.05, 6, 6, Some(5)),
        (0.05, 7, 7, Some(8)),
        (0.05, 8, 8, Some(13)),
        (0.05, 10, 10, Some(23)),
        (0.05, 15, 15, Some(64)),
        (0.05, 20, 20, Some(127)),
        (0.01, 4, 4, None),
        (0.01, 5, 5, Some(0)),
        (0.01, 6, 6, Some(2)),
        (0.01, 8, 8, Some(7)),
        (0.01, 10, 10, Some(16)),
        (0.01, 20, 20, Some(105)),
    ];
    for (level, a, b, critical) in table {
        let p = |u: usize| {
            let (first, second) = with_u(a, b, u);
            let test = mann_whitney(&first, &second).unwrap();
            assert!(test.exact && test.u == u as f64, "{a} against {b}: U {} instead of {u}", test.u);
            test.p
        };
        let next = critical.map_or(0, |critical| critical + 1);
        assert!(p(next) > level, "{a} against {b} at {level}: U {next} has {}", p(next));
        if let Some(critical) = critical {
            assert!(p(critical) <= level, "{a} against {b} at {level}: U {critical} has {}", p(critical));
        }
    }
}

#[test]
fn what_is_too_few_is_known_before_anything_is_measured() {
    let cases = [(1, 1, 1.0), (3, 3, 0.1), (4, 4, 2.0 / 70.0), (5, 5, 2.0 / 252.0), (1, 19, 0.1), (2, 8, 2.0 / 45.0)];
    for (a, b, wanted) in cases {
        close(&format!("{a} against {b}"), smallest_p(a, b), wanted, 1e-12);
        let (first, second) = with_u(a, b, 0);
        close("as seen", mann_whitney(&first, &second).unwrap().p, wanted, 1e-12);
    }
    assert_eq!([0.05, 0.01, 0.05 / 100.0].map(repeats_needed), [4, 5, 8]);
}

#[test]
fn large_samples_are_by_the_normal_distribution_and_agree_with_the_counted_one() {
    close("5 %", upper_tail(1.644_854), 0.05, 1e-6);
    close("2.5 %", upper_tail(1.959_964), 0.025, 1e-6);
    close("a half", upper_tail(0.0), 0.5, 1e-7);
    close("the other side", upper_tail(-1.0), 0.841_344_7, 1e-6);
    assert_eq!(upper_tail(f64::INFINITY), 0.0);
    // Many ties, as counts have them: just small enough to count, and just too large.
    let sample = |n: u32, by: u32| -> Vec<f64> { (0..n).map(|i| f64::from(i * i % 7 + i % by)).collect() };
    let (counted, normal) =
        (mann_whitney(&sample(25, 3), &sample(25, 5)).unwrap(), mann_whitney(&sample(50, 3), &sample(50, 5)).unwrap());
    assert!(counted.exact && !normal.exact);
    assert!(normal.p < counted.p, "more of the same is surer: {} and {}", normal.p, counted.p);
    let alike = mann_whitney(&[1.0; 60], &[1.0; 60]).unwrap();
    assert_eq!((alike.exact, alike.p), (false, 1.0));
}

#[test]
fn what_never_came_about_is_greater_than_everything() {
    const NEVER: f64 = f64::INFINITY;
    let test = mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[NEVER; 4]).unwrap();
    close("p", test.p, 2.0 / 70.0, 1e-12);
    assert_eq!(shift(&[1.0, 2.0], &[NEVER, NEVER]), NEVER);
    assert_eq!(shift(&[NEVER, NEVER], &[NEVER, NEVER]), 0.0);
    assert_eq!(shift(&[NEVER, 1.0], &[1.0, NEVER]), 0.0);
    assert_eq!(median(vec![1.0, NEVER, 2.0]), 2.0);
    assert!(mann_whitney(&[], &[1.0]).is_none());
}

/// The fifteen values of the paper's example (section 4.1): four are found at 5 %; Bonferroni finds three.
#[test]
fn the_correction_is_that_of_benjamini_and_hochberg() {
    let p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ];
    let found = |p: &[f64]| adjusted(p).iter().filter(|p| **p <= 0.05).count();
    assert_eq!(found(&p), 4);
    let mut backwards = p;
    backwards.reverse();
    let mut again = adjusted(&backwards);
    again.reverse();
    assert_eq!(again, adjusted(&p), "the order is no matter");
    close("the fourth", adjusted(&p)[3], 0.0095 * 15.0 / 4.0, 1e-12);
    assert_eq!(adjusted(&[0.04]), [0.04]);
    assert!(adjusted(&[]).is_empty());
}

/// Values out of few, so that there are ties.
fn sample() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0_u8..6).prop_map(f64::from), 1..7)
}

/// U of the second sample by its definition.
fn u_of(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    pairs
        .map(|(x, y)| {
            if y > x {
                1.0
            } else if y == x {
                0.5
            } else {
                0.0
            }
        })
        .sum()
}

/// U of every way to deal these values.
fn all_u(values: &[f64], second: usize) -> Vec<f64> {
    let deals = (0_u32..1 << values.len()).filter(|deal| deal.count_ones() as usize == second);
    deals
        .map(|deal| {
            let side = |wanted: u32| -> Vec<f64> {
                let dealt = values.iter().enumerate().filter(|(i, _)| deal >> i & 1 == wanted);
                dealt.map(|(_, value)| *value).collect()
            };
            u_of(&side(0), &side(1))
        })
        .collect()
}

proptest! {
    #[test]
    fn probabilities_are_those_of_all_ways_to_deal(a in sample(), b in sample()) {
        let test = mann_whitney(&a, &b).unwrap();
        let pooled: Vec<f64> = a.iter().chain(&b).copied().collect();
        let all = all_u(&pooled, b.len());
        let share = |holds: &dyn Fn(f64) -> bool| all.iter().filter(|u| holds(**u)).count() as f64 / all.len() as f64;
        prop_assert!(test.exact);
        prop_assert_eq!(test.u, u_of(&a, &b));
        prop_assert!((test.p_less - share(&|u| u <= test.u)).abs() < 1e-12);
        prop_assert!((test.p_greater - share(&|u| u >= test.u)).abs() < 1e-12);
        let (low, high) = (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
        let least = share(&|u| u == low).min(share(&|u| u == high));
        prop_assert!((test.p_min - (2.0 * least).min(1.0)).abs() < 1e-12);
        prop_assert!(test.p_min <= test.p + 1e-12);
        let mirrored = mann_whitney(&b, &a).unwrap();
        prop_assert!((mirrored.p - test.p).abs() < 1e-12 && (mirrored.p_less - test.p_greater).abs() < 1e-12);
    }

    #[test]
    fn the_interval_has_the_shifts_that_are_not_rejected(
        a in prop::collection::vec(0.0..10.0, 4..8),
        b in prop::collection::vec(0.0..10.0, 4..8),
        nudge in 0.01..0.99,
    ) {
        let (low, high) = shift_interval(&a, &b, 0.05).unwrap();
        prop_assert!(low <= shift(&a, &b) && shift(&a, &b) <= high);
        let p = |by: f64| mann_whitney(&a, &b.iter().map(|y| y - by).collect::<Vec<_>>()).unwrap().p;
        prop_assert!(p(low + (high - low) * nudge) > 0.05, "inside");
        prop_assert!(p(low - 1e-6) <= 0.05 && p(high + 1e-6) <= 0.05, "outside");
    }

    #[test]
    fn adjusted_values_keep_the_order_and_are_never_smaller(p in prop::collection::vec(0.0..=1.0, 1..30)) {
        let all = adjusted(&p);
        for (i, one) in p.iter().enumerate() {
            prop_assert!(all[i] >= *one && all[i] <= 1.0);
            prop_assert!(all[i] <= one * p.len() as f64 + 1e-12);
            prop_assert!(p.iter().zip(&all).all(|(other, adjusted)| other < one || *adjusted >= all[i]));
        }
    }
}
