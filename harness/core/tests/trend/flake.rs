//! Flake rates and their intervals.

use crate::runs::{night, run};
use firedrill_core::trend::flake::wilson;
use firedrill_core::trend::{Flake, Repeated, flakes};
use firedrill_core::verdict::Judgement::{self, Fail, Pass, Unknown};

/// Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I,
/// method 3.
#[test]
fn intervals_are_the_published_ones() {
    let table = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)];
    for (hits, n, low, high) in table {
        let (found_low, found_high) = wilson(hits, n).unwrap();
        assert!(
            (found_low - low).abs() < 5e-5 && (found_high - high).abs() < 5e-5,
            "{hits}/{n}: {found_low} {found_high}"
        );
        let (mirrored_low, mirrored_high) = wilson(n - hits, n).unwrap();
        assert!((mirrored_low - (1.0 - found_high)).abs() < 1e-12 && (mirrored_high - (1.0 - found_low)).abs() < 1e-12);
    }
    assert_eq!(wilson(0, 0), None);
}

#[test]
fn the_majority_is_what_is_judged_most_often() {
    #[track_caller]
    fn check(judgements: &[Judgement], majority: Judgement, differing: usize) {
        let flake = Flake::of(Repeated::Checker("c".to_owned()), judgements).unwrap();
        assert_eq!((flake.majority, flake.differing, flake.repeats), (majority, differing, judgements.len()));
        assert!(flake.low_percent <= flake.rate_percent && flake.rate_percent <= flake.high_percent);
    }
    check(&[Pass], Pass, 0);
    check(&[Pass, Pass, Fail], Pass, 1);
    check(&[Fail, Pass, Fail, Unknown], Fail, 2);
    // Of two that are as frequent the graver one is told.
    check(&[Pass, Fail, Fail, Pass], Fail, 2);
    assert_eq!(Flake::of(Repeated::Checker("c".to_owned()), &[]), None);
}

#[test]
fn cells_and_checkers_are_told_the_least_steady_first() {
    let mut nights: Vec<_> = (0..4).map(|i| night(&format!("n{i}"), 8_000.0, 100.0)).collect();
    nights[2].steps[0].judgement = Fail;
    let runs: Vec<_> = nights.into_iter().map(|verdict| run(vec![verdict])).collect();
    let all = flakes(runs.iter().flat_map(|run| &run.verdicts));
    let told: Vec<(String, usize, usize)> = all
        .iter()
        .map(|flake| {
            let what = match &flake.what {
                Repeated::Cell(cell) => cell.to_string(),
                Repeated::Checker(name) => name.clone(),
            };
            (what, flake.differing, flake.repeats)
        })
        .collect();
    assert_eq!(told[0], ("kill primary(postgres)".to_owned(), 1, 4));
    assert!(told.contains(&("conservation".to_owned(), 0, 4)), "{told:?}");
    assert!(!told.iter().any(|(what, ..)| what == "preconditions"), "what is no statement about the shop is left out");
}
