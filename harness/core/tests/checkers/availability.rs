//! Availability, split in normal use and peaks.

use super::story::{Story, check, sold, unsold};
use firedrill_core::checker::Evidence;
use firedrill_core::history::{At, Outcome, Refusal, RejectReason, Stage};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

fn refuse(story: &mut Story, count: u64, at_ms: u64) {
    let refusal = |n| Refusal { op: OpId(10_000 + at_ms + n), intended: At::from_ms(at_ms) };
    story.refusals.extend((0..count).map(refusal));
}

#[test]
fn judges() {
    check(
        "availability",
        &[
            ("good", |_| {}, Pass, "100.00 % of 600 purchases served in peaks, promised 70 %"),
            ("a peak with 100 refused of 700", |s| refuse(s, 100, 50_000), Pass, "85.71 % of 700"),
            (
                "a peak with 300 refused of 900",
                |s| refuse(s, 300, 50_000),
                Fail,
                "whole run: 66.67 % of 900 purchases served in peaks",
            ),
            (
                "one failure in normal use",
                |s| {
                    s.sla.availability.peak_above_per_min = 1_000.0;
                    refuse(s, 1, 50_000);
                },
                Fail,
                "99.83 % of 601 purchases served in normal use, promised 100 %",
            ),
            (
                "sold out is an answer",
                |s| {
                    s.sla.availability.peak_above_per_min = 1_000.0;
                    s.attempts.push(unsold(700, 50_000, 50_000, 50_010, Outcome::Rejected(RejectReason::SoldOut)));
                },
                Pass,
                "100.00 % of 601",
            ),
            (
                "a wrong refusal is none",
                |s| {
                    s.sla.availability.peak_above_per_min = 1_000.0;
                    s.attempts.push(unsold(700, 50_000, 50_000, 50_010, Outcome::Rejected(RejectReason::Invalid)));
                },
                Fail,
                "99.83 % of 601",
            ),
            (
                "a retried purchase is one",
                |s| {
                    s.sla.availability.peak_above_per_min = 1_000.0;
                    for n in 0..5 {
                        s.attempts.push(unsold(300, 30_000, 30_000 - n, 30_001, Outcome::NotApplied));
                    }
                },
                Pass,
                "100.00 % of 600",
            ),
            (
                "good over the run, bad in the window",
                |s| refuse(s, 100, 30_000),
                Fail,
                "step 1, kill primary(postgres): 66.78 % of 301",
            ),
            ("no purchase was due", |s| s.attempts.clear(), Unknown, "no purchase was due"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}

#[test]
fn a_fault_that_ends_inside_of_another_one_changes_no_phase() {
    let phases = |story: &Story| {
        let numbers = story.ask("availability").numbers;
        ["steady", "fault", "recovery"].map(|phase| numbers[&format!("{phase}_phase_due")])
    };
    assert_eq!(phases(&Story::good().with(Story::overlap)), phases(&Story::good()));
}

/// Whether purchases count as a peak, by when they are due in a load of so long, which begins at 30 s.
fn peaks(load_ms: u64, due_ms: impl Iterator<Item = u64>) -> Vec<bool> {
    let mut story = Story::empty(1.0);
    for stage in &mut story.stages {
        match stage.stage {
            Stage::LoadStarted => stage.at = At::from_ms(30_000),
            Stage::LoadStopped => stage.at = At::from_ms(30_000 + load_ms),
            _ => {}
        }
    }
    let due_ms = due_ms.map(|ms| 30_000 + ms);
    story.attempts = due_ms.enumerate().map(|(op, ms)| sold(op as u64, ms, ms, ms + 10, 1)).collect();
    let demand = Evidence::of(&story.history(), &story.sla).demand;
    demand.dues.iter().map(|due| due.peak).collect()
}

#[test]
fn peaks_are_told_apart_by_the_minute() {
    let fifty = |minute: u64| (0..50).map(move |n| minute * 60_000 + n * 1_000);
    assert!(peaks(120_000, fifty(0)).iter().all(|peak| !peak), "50 a minute are no peak");
    let one_more = fifty(0).chain([59_000]).chain(fifty(1));
    let marks = peaks(120_000, one_more);
    assert_eq!(marks.iter().filter(|peak| **peak).count(), 51, "51 are, and only in their minute");
    let short = (0..20).map(|n| n * 1_000);
    assert!(peaks(20_000, short).iter().all(|peak| *peak), "20 in 20 s are 60 a minute");
    for (due, is_peak) in [(59, true), (58, false)] {
        let last = fifty(0).chain((0..due).map(|n| 60_000 + n * 1_000));
        assert_eq!(peaks(130_000, last).pop(), Some(is_peak), "{due} in the 70 s of a last minute");
    }
    let tail = fifty(0).chain((0..10).map(|n| 60_000 + n * 1_000));
    assert!(peaks(70_000, tail).iter().all(|peak| *peak), "60 in 70 s are 51.4 a minute, as one minute");
}

#[test]
fn a_window_of_three_purchases_is_judged_and_names_those_that_failed() {
    let window_of = |due: u64| {
        let mut story = Story::empty(1.0);
        story.attempts.push(unsold(0, 21_000, 21_000, 21_010, Outcome::NotApplied));
        story.attempts.extend((1..due).map(|op| sold(op, 21_000 + op, 21_000 + op, 21_100, 1)));
        let findings = story.ask("availability").findings;
        findings.into_iter().find(|finding| finding.step.is_some())
    };
    assert_eq!(window_of(2), None, "two purchases say nothing about a window");
    let finding = window_of(3).expect("three do");
    assert_eq!((finding.ops, finding.at), (vec![OpId(0)], Some(At::from_ms(20_000))));
}
