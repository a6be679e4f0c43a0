//! Comparisons: what is told, what is not, and what needs no statistics.

use crate::runs::{night, nights, run, step};
use firedrill_core::trend::Changed::{Better, Same, TooFewToTell, Worse};
use firedrill_core::trend::{Cell, Change, Changed, Comparison, HardKind, Measure, Outcome, Run, compare};
use firedrill_core::verdict::{Conclusion, Judgement, Totals, Verdict};

/// Outages as they are on a shop that does not change.
const USUAL: [f64; 8] = [8_100.0, 7_900.0, 8_400.0, 8_050.0, 8_200.0, 7_700.0, 8_300.0, 8_000.0];

fn usual_plus(ms: f64) -> Vec<f64> {
    USUAL.map(|outage| outage + 13.0 + ms).to_vec()
}

fn change<'a>(comparison: &'a Comparison, target: &str, measure: Measure) -> &'a Change {
    let cell = comparison.cells.iter().find(|of| of.cell.target == target).expect("both sides have the cell");
    cell.changes.iter().find(|change| change.measure == measure).expect("both sides have the measure")
}

#[track_caller]
fn check(baseline: &[f64], candidate: &[f64], outcome: Outcome, wanted: Changed) {
    let comparison = compare(&nights("a", baseline), &nights("b", candidate));
    let found = change(&comparison, "primary(postgres)", Measure::OutageMs);
    assert_eq!((comparison.outcome, found.changed), (outcome, wanted), "{found:?}");
    assert_eq!(found.n_needed.is_some(), wanted == TooFewToTell);
    // Nothing has changed with the web node whatever the database does.
    let web = change(&comparison, "one(web)", Measure::P99Ms).changed;
    assert!(web == Same || web == TooFewToTell, "{web:?}");
}

#[test]
fn outages_are_told_with_repeats_and_only_where_they_matter() {
    use Outcome::{NoRegression, NothingTold, Regression};
    check(&USUAL, &usual_plus(2_000.0), Regression, Worse);
    check(&USUAL, &usual_plus(-2_000.0), NoRegression, Better);
    check(&USUAL, &usual_plus(0.0), NoRegression, Same);
    // Longer by 700 ms on every night without doubt, and by less than a tenth.
    check(&USUAL, &usual_plus(750.0), NoRegression, Same);
    // Four times as long, and 180 ms.
    check(&[60.0, 61.0, 62.0, 63.0, 64.0, 65.0], &[240.0, 241.0, 242.0, 243.0, 244.0, 245.0], NoRegression, Same);
    check(&[8_000.0], &[20_000.0], NothingTold, TooFewToTell);
    check(&USUAL[..3], &[20_000.0, 20_001.0, 20_002.0], NothingTold, TooFewToTell);
    check(&USUAL, &[20_000.0], NothingTold, TooFewToTell);
}

#[test]
fn one_against_one_shows_both_numbers_and_how_many_it_takes() {
    let comparison = compare(&nights("a", &[8_000.0]), &nights("b", &[20_000.0]));
    let outage = change(&comparison, "primary(postgres)", Measure::OutageMs);
    assert_eq!((outage.baseline.centre, outage.candidate.centre), (Some(8_000.0), Some(20_000.0)));
    assert_eq!((outage.shift, outage.shift_between), (Some(12_000.0), None));
    // Two measures differ, outage and what hangs on it: 2.5 % for each takes five.
    assert_eq!((outage.n_needed, comparison.tests), (Some(5), 0));
    assert_eq!(comparison.notes.len(), 2, "{:?}", comparison.notes);
}

/// Runs with so many purchases asked for in each minute.
fn loaded(per_min: [u64; 3]) -> Vec<Run> {
    let loaded = |(i, operations): (usize, u64)| {
        let totals = Totals { operations, load_ms: 60e3, ..Totals::default() };
        run(vec![Verdict { totals, ..night(&format!("n{i}"), 8_000.0, 100.0) }])
    };
    per_min.into_iter().enumerate().map(loaded).collect()
}

#[test]
fn another_load_is_said() {
    let notes = |a, b| compare(&loaded(a), &loaded(b)).notes;
    assert_eq!(notes([132, 130, 170], [140, 131, 60]), [""; 0], "the median is nearly the same");
    let notes = notes([132, 130, 134], [66, 60, 170]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("132 and 66 purchases a minute"), "{notes:?}");
}

#[test]
fn other_parameters_are_said() {
    let slowed = |delay_ms: u32| {
        let mut runs = nights("a", &[1_000.0, 1_100.0]);
        for step in runs.iter_mut().flat_map(|run| &mut run.verdicts[0].steps[..1]) {
            step.parameters = if delay_ms == 0 { String::new() } else { format!("delay_ms: {delay_ms}") };
        }
        runs
    };
    assert_eq!(compare(&slowed(50), &slowed(50)).notes, [""; 0]);
    let cell = Cell::of(&slowed(0)[0].verdicts[0].steps[0]);
    for (a, b, said) in [(50, 80, "delay_ms: 50 and delay_ms: 80"), (0, 80, "none and delay_ms: 80")] {
        let expected = format!("the parameters of {cell} are not the same: {said}");
        assert_eq!(compare(&slowed(a), &slowed(b)).notes, [expected]);
    }
}

#[test]
fn more_cells_ask_for_more_repeats() {
    // One cell of forty is longer, on five nights against five: alone it would be found.
    let many = |prefix: &str, first_ms: f64| -> Vec<Run> {
        let one = |i: u32| {
            let mut verdict = night(&format!("{prefix}{i}"), 0.0, 100.0);
            let cell = |n: u32| {
                let noise = f64::from((i * 31 + n * 17 + first_ms as u32) % 97);
                let by = if n == 0 { first_ms } else { 0.0 };
                step(n, &format!("one(t{n})"), "t", 4_000.0 + noise + by, 100.0)
            };
            verdict.steps = (0..40).map(cell).collect();
            run(vec![verdict])
        };
        (0..5).map(one).collect()
    };
    let comparison = compare(&many("a", 0.0), &many("b", 9_000.0));
    let found = change(&comparison, "one(t0)", Measure::OutageMs);
    assert_eq!(found.changed, TooFewToTell);
    assert!(found.p < 0.01 && found.p_adjusted.is_some_and(|p| p > 0.05), "{found:?}");
    assert!(found.n_needed.is_some_and(|n| n > 5), "{found:?}");
    assert_eq!(comparison.tests, 80, "what never differs is no question");
}

#[test]
fn what_never_came_back_is_worse_than_any_time() {
    let mut candidate = nights("b", &USUAL);
    for run in &mut candidate {
        run.verdicts[0].steps[0].recovery.whole_ms = None;
        run.verdicts[0].steps[0].judgement = Judgement::Fail;
    }
    let comparison = compare(&nights("a", &USUAL), &candidate);
    let whole = change(&comparison, "primary(postgres)", Measure::WholeMs);
    assert_eq!((whole.changed, whole.candidate.centre, whole.shift), (Worse, None, None));
    assert_eq!(change(&comparison, "primary(postgres)", Measure::NotPassedPercent).changed, Worse);
    // Where it is not known, it is no repeat.
    for run in &mut candidate {
        run.verdicts[0].steps[0].judgement = Judgement::Unknown;
    }
    let comparison = compare(&nights("a", &USUAL), &candidate);
    assert_eq!(comparison.cells[0].cell.target, "primary(postgres)");
    assert!(comparison.cells[0].changes.iter().all(|change| change.measure != Measure::WholeMs));
}

#[test]
fn a_fault_without_proof_says_only_that_it_did_not_pass() {
    let mut void = step(0, "one(web)", "web", 9.0, 9.0);
    (void.effective, void.judgement) = (None, Judgement::Unknown);
    let measured: Vec<Measure> = Measure::ALL.into_iter().filter(|measure| measure.of(&void).is_some()).collect();
    assert_eq!(measured, [Measure::NotPassedPercent]);
}

/// Compares usual nights with one that was changed; gives back the regressions at once.
fn hard(change: impl Fn(&mut firedrill_core::verdict::Verdict)) -> Vec<(HardKind, String)> {
    let mut one = night("b", 8_000.0, 100.0);
    change(&mut one);
    let comparison = compare(&nights("a", &USUAL), &[run(vec![one])]);
    assert_eq!(comparison.outcome == Outcome::Regression, !comparison.hard.is_empty());
    comparison.hard.into_iter().map(|hard| (hard.kind, hard.what)).collect()
}

#[test]
fn what_was_never_seen_before_is_a_regression_at_once() {
    assert_eq!(hard(|_| {}), []);
    assert_eq!(
        hard(|verdict| {
            verdict.steps[0].lost = 1;
            verdict.totals.lost = 1;
        }),
        [(HardKind::LostOrder, "kill primary(postgres)".to_owned())]
    );
    assert_eq!(hard(|verdict| verdict.totals.lost = 1), [(HardKind::LostOrder, "the whole run".to_owned())]);
    assert_eq!(
        hard(|verdict| verdict.checks[0].judgement = Judgement::Fail),
        [(HardKind::Invariant, "conservation".to_owned())]
    );
    // What is unknown is not broken, and an objective shows in the conclusion.
    assert_eq!(hard(|verdict| verdict.checks[0].judgement = Judgement::Unknown), []);
    assert_eq!(hard(|verdict| verdict.checks[1].judgement = Judgement::Fail), []);
    for conclusion in [Conclusion::Inconclusive, Conclusion::Violated] {
        let found = hard(|verdict| verdict.conclusion = conclusion);
        assert_eq!(found, [(HardKind::Conclusion, "nightly".to_owned())]);
    }
    // Against another agreement it says nothing about the shop.
    assert_eq!(
        hard(|verdict| {
            verdict.conclusion = Conclusion::Violated;
            verdict.sla = "strict".to_owned();
        }),
        []
    );
}

#[test]
fn what_was_seen_before_is_no_regression_at_once() {
    let mut baseline = nights("a", &USUAL);
    let seen = &mut baseline[3].verdicts[0];
    (seen.conclusion, seen.totals.lost, seen.steps[0].lost) = (Conclusion::Violated, 1, 1);
    seen.checks[0].judgement = Judgement::Fail;
    let mut candidate = nights("b", &usual_plus(0.0));
    candidate[0].verdicts[0] = baseline[3].verdicts[0].clone();
    let comparison = compare(&baseline, &candidate);
    assert_eq!((comparison.hard.len(), comparison.outcome), (0, Outcome::NoRegression));
}

#[test]
fn cells_of_one_side_are_named() {
    let mut candidate = nights("b", &USUAL);
    for run in &mut candidate {
        run.verdicts[0].steps[1].fault = "pause".to_owned();
    }
    let comparison = compare(&nights("a", &USUAL), &candidate);
    let names = |cells: &[firedrill_core::trend::Cell]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&comparison.only_in_baseline), ["kill one(web)"]);
    assert_eq!(names(&comparison.only_in_candidate), ["pause one(web)"]);
    assert_eq!(comparison.cells.len(), 1);
}

#[test]
fn sides_with_nothing_in_common_cannot_be_told() {
    let mut other = nights("b", &USUAL);
    for verdict in other.iter_mut().flat_map(|run| &mut run.verdicts) {
        verdict.steps.clear();
        verdict.topology = "minimal".to_owned();
    }
    for candidate in [other, Vec::new()] {
        let comparison = compare(&nights("a", &USUAL), &candidate);
        assert_eq!(comparison.outcome, Outcome::NothingTold);
        assert!(!comparison.notes.is_empty());
    }
}

/// A gate on a shop that does not change alarms at most as often as was promised. The numbers are of a generator with
/// a fixed start, so that this is one fact and no flake.
#[test]
fn unchanged_shops_raise_few_alarms() {
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let mut nights = |prefix: &str| -> Vec<Run> {
        // Of wide spread, so that what matters is there by chance often enough.
        (0..6)
            .map(|i| run(vec![night(&format!("{prefix}{i}"), 2_000.0 + 9_000.0 * noise(), 50.0 + 400.0 * noise())]))
            .collect()
    };
    let comparisons: Vec<Comparison> = (0..400).map(|_| compare(&nights("a"), &nights("b"))).collect();
    let found = |wanted: Changed| comparisons.iter().filter(|c| c.changed(wanted).next().is_some()).count();
    let alarms = comparisons.iter().filter(|c| [Worse, Better].iter().any(|w| c.changed(*w).next().is_some())).count();
    // 20 are 5 %, and two standard deviations more may be chance.
    assert!(alarms <= 28, "{alarms} of 400 at 5 %");
    assert!(found(Same) == 400 && alarms > 0, "{alarms}: the test has something to find");
}
