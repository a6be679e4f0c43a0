//! Outages: which times without a sale are one, to the millisecond.

use super::story::{Story, sold};
use firedrill_core::checker::Evidence;
use firedrill_core::checker::sales::{GAPS_MIN, Sales};
use firedrill_core::history::At;

/// A story whose purchases are confirmed at these times, each 40 ms after it began. The fault's window is that of the
/// good story, 20 to 40 s.
fn story(ends_ms: &[u64]) -> Story {
    let mut story = Story::empty(1.0);
    let attempts = (0..).zip(ends_ms).map(|(op, end)| sold(op, end - 40, end - 40, *end, 1));
    story.attempts = attempts.collect();
    story
}

/// The longest outage that touches a window, in milliseconds between two confirmations.
fn outage_ms(story: &Story, from_ms: u64, until_ms: u64) -> Option<f64> {
    let history = story.history();
    let evidence = Evidence::of(&history, &story.sla);
    let outage = Sales::of(&evidence, []).outage(At::from_ms(from_ms), At::from_ms(until_ms))?;
    Some(outage.until.ms_since(outage.from))
}

/// Steady sales are 100 ms apart before the fault and 300 ms after it; what touches the window does not count, at its
/// very ends neither. In the window there is one gap between sales that are 200 ms apart.
fn ends_with_a_gap_of(gap_ms: u64) -> Vec<u64> {
    let before = (0..180).map(|n| 1_000 + n * 100);
    let inside = (0..=50).map(|n| 20_000 + n * 200);
    let inside_again = (0..).map(|n| 30_000 + gap_ms + n * 200).take_while(|end| *end < 40_000);
    let after = (0..60).map(|n| 41_000 + n * 300);
    before.chain(inside).chain(inside_again).chain([40_000]).chain(after).collect()
}

#[test]
fn a_gap_is_an_outage_from_a_number_of_steady_gaps_on() {
    let mean_ms = (179.0 * 100.0 + 59.0 * 300.0) / (179.0 + 59.0);
    let longest_ms = (GAPS_MIN * mean_ms) as u64;
    assert!((longest_ms as f64) < GAPS_MIN * mean_ms, "the mean is no whole number: {mean_ms}");
    assert_eq!(outage_ms(&story(&ends_with_a_gap_of(longest_ms)), 21_000, 39_000), None);
    let longer_ms = longest_ms + 1;
    assert_eq!(outage_ms(&story(&ends_with_a_gap_of(longer_ms)), 21_000, 39_000), Some(longer_ms as f64));
}

#[test]
fn exactly_so_many_steady_gaps_are_none() {
    let ends = |gap_ms: u64| -> Vec<u64> {
        let until = (0..=290).map(|n| 1_000 + n * 100);
        until.chain((0..).map(|n| 30_000 + gap_ms + n * 100).take_while(|end| *end < 60_000)).collect()
    };
    let most_ms = (GAPS_MIN * 100.0) as u64;
    assert_eq!(outage_ms(&story(&ends(most_ms)), 21_000, 39_000), None);
    assert_eq!(outage_ms(&story(&ends(most_ms + 1)), 21_000, 39_000), Some(most_ms as f64 + 1.0));
    // It belongs to a window in which more than a usual gap of it lies.
    assert_eq!(outage_ms(&story(&ends(5_000)), 21_000, 30_100), None);
    assert_eq!(outage_ms(&story(&ends(5_000)), 21_000, 30_101), Some(5_000.0));
    assert_eq!(outage_ms(&story(&ends(5_000)), 34_900, 39_000), None);
    assert_eq!(outage_ms(&story(&ends(5_000)), 34_899, 39_000), Some(5_000.0));
}

#[test]
fn without_steady_sales_the_whole_run_is_the_measure() {
    // 21 sales in the window: 20 gaps of 500 ms on the mean, one of them longer.
    let ends = |gap_ms: u64| -> Vec<u64> {
        let rest_ms = 10_000 - gap_ms;
        let before = (0..10).map(|n| 25_000 + n * rest_ms / 19);
        let after = (0..11).rev().map(|n| 35_000 - n * rest_ms / 19);
        before.chain(after).collect()
    };
    let most_ms = (GAPS_MIN * 500.0) as u64;
    for (gap_ms, is_one) in [(most_ms - 20, false), (most_ms + 20, true)] {
        let longest = outage_ms(&story(&ends(gap_ms)), 25_500, 34_500);
        assert_eq!(longest.is_some(), is_one, "{gap_ms} ms: {longest:?}");
    }
    assert_eq!(outage_ms(&story(&[30_000]), 29_000, 31_000), Some(30_000.0), "of one sale there is no mean");
}
