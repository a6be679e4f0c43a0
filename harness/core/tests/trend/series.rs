//! Many runs in the order of time.

use crate::runs::{night, nights, run};
use firedrill_core::trend::{Measure, Outcome, Series, series};

fn only(mut all: Vec<Series>) -> Series {
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn runs_are_sorted_by_time_and_the_newest_are_compared() {
    let mut runs = nights("n", &[8_000.0; 9]);
    runs.reverse();
    let series = only(series(&runs, None));
    let names: Vec<&str> = series.runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!((names[0], names[8], series.newest), ("n00", "n08", 3));
    let trend = series.trend.expect("there is something to compare");
    assert_eq!(
        (trend.baseline.runs.len(), trend.candidate.runs.as_slice()),
        (6, &["n06", "n07", "n08"].map(String::from)[..])
    );
    assert_eq!(series.cells[0].points.iter().map(|point| point.run).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    assert_eq!(series.cells[0].points[0].values[&Measure::OutageMs], Some(8_000.0));
}

#[test]
fn a_single_run_has_nothing_to_be_compared_with() {
    let series = only(series(&nights("n", &[8_000.0]), None));
    assert_eq!((series.newest, series.trend), (1, None));
    assert!(firedrill_core::trend::series(&[], None).is_empty());
}

#[test]
fn the_number_of_newest_runs_can_be_given_and_leaves_one_side_to_compare_with() {
    #[track_caller]
    fn check(asked: usize, newest: usize) {
        let series = only(series(&nights("n", &[8_000.0, 8_001.0, 8_002.0]), Some(asked)));
        assert_eq!((series.newest, series.trend.is_some()), (newest, newest < 3));
    }
    check(0, 1);
    check(2, 2);
    check(9, 3);
}

#[test]
fn drills_and_topologies_are_apart_also_where_they_are_of_one_certification() {
    let mut other = night("n0", 100.0, 10.0);
    other.drill = "nightly/network".to_owned();
    let mut elsewhere = night("n1", 100.0, 10.0);
    elsewhere.topology = "minimal".to_owned();
    let all = series(&[run(vec![night("n0", 1.0, 1.0), other]), run(vec![elsewhere])], None);
    let names: Vec<(&str, &str)> = all.iter().map(|one| (one.topology.as_str(), one.drill.as_str())).collect();
    assert_eq!(names, [("ha", "nightly"), ("ha", "nightly/network"), ("minimal", "nightly")]);
    assert!(all.iter().all(|one| one.trend.is_none()));
}

#[test]
fn newest_runs_that_are_worse_are_told() {
    let outages: Vec<f64> =
        (0..18).map(|i| if i < 12 { 8_000.0 } else { 12_000.0 } + f64::from(i * 37 % 100)).collect();
    let series = only(series(&nights("n", &outages), None));
    assert_eq!((series.newest, series.trend.map(|trend| trend.outcome)), (6, Some(Outcome::Regression)));
}
