//! Preconditions: everything that is missing makes the run unknown, and nothing fails it.

use super::story::{Story, check, seen, sold, stage};
use firedrill_core::fault::Phase;
use firedrill_core::history::{At, Role, Stage};
use firedrill_core::verdict::Judgement::{Pass, Unknown};

#[test]
fn judges() {
    check(
        "preconditions",
        &[
            ("good", |_| {}, Pass, "1 of 1 faults proven, 600 purchases made"),
            ("a run without faults", |s| s.faults.clear(), Pass, "0 of 0 faults proven"),
            ("9 of 10 arrived", |s| s.attempts.retain(|a| a.op.0 % 10 != 0), Pass, "540 purchases made"),
            (
                "too few arrived",
                |s| s.attempts.retain(|a| a.op.0 % 8 != 0),
                Unknown,
                "525 of 600 planned purchases arrived",
            ),
            ("nothing arrived", |s| s.attempts.clear(), Unknown, "0 of 600 planned"),
            ("no begin of the load", |s| drop(s.stages.remove(0)), Unknown, "begin or end of the load"),
            (
                "nothing sold before the fault",
                |s| {
                    s.attempts.iter_mut().filter(|a| (140..200).contains(&a.op.0)).for_each(|a| {
                        (a.outcome, a.order) = (firedrill_core::history::Outcome::InDoubt, None);
                    })
                },
                Unknown,
                "step 1: no purchase was acknowledged in the 5 s before it",
            ),
            (
                "nothing sold after the recovery",
                |s| {
                    s.attempts.iter_mut().filter(|a| a.op.0 >= 280).for_each(|a| {
                        (a.outcome, a.order) = (firedrill_core::history::Outcome::InDoubt, None);
                    })
                },
                Unknown,
                "no purchase begun after the last recovery",
            ),
            (
                "no proof",
                |s| s.faults.retain(|f| f.phase != Phase::Effective),
                Unknown,
                "void: injected, but its effect was never proven",
            ),
            (
                "never injected",
                |s| {
                    s.faults.truncate(3);
                    s.faults[2].phase = Phase::Void;
                    s.faults[2].detail = "nobody was primary".to_owned();
                },
                Unknown,
                "void: never injected, last void: nobody was primary",
            ),
            (
                "never undone",
                |s| s.faults.retain(|f| f.phase != Phase::Recovered),
                Unknown,
                "that the fault was undone",
            ),
            ("interrupted", |s| s.stages.push(stage(50_000, Stage::Interrupted, None)), Unknown, "interrupted"),
            ("a void load", |s| s.stages.push(stage(50_000, Stage::LoadVoid, None)), Unknown, "the load is void"),
            ("no trailer", |s| s.trailer = false, Unknown, "no trailer"),
            ("damage", |s| s.damage.push("line 9: torn".to_owned()), Unknown, "line 9: torn"),
            ("nobody looked", |s| s.samples.clear(), Unknown, "0 observations of pg1"),
            ("nobody looked at one", |s| s.samples[2].1 = 0, Unknown, "0 observations of pg3"),
            ("no final read", |s| s.reads.clear(), Unknown, "no database that said it was the primary"),
            (
                "a final read too early",
                |s| s.reads.iter_mut().for_each(|r| r.at = At::from_ms(100_000)),
                Unknown,
                "ended before the last purchase",
            ),
            (
                "a final read in the instant of the last end",
                |s| s.reads.iter_mut().for_each(|r| r.at = At::from_ms(150_000)),
                Pass,
                "1 of 1",
            ),
            (
                "not drained",
                |s| s.stages.retain(|e| e.stage != Stage::Drained),
                Unknown,
                "that the last purchase had ended",
            ),
            ("not asked is not seen", |s| s.observations.push(seen(1, "pg9", Role::Standby)), Pass, "1 of 1"),
        ],
    );
}

/// Whether a fault counts as one under load, if the last purchase before it ended so long before.
fn is_alive(rate_per_s: f64, quiet_ms: u64) -> bool {
    let mut story = Story::empty(rate_per_s);
    let last_ms = 20_000 - quiet_ms;
    story.attempts = vec![sold(0, last_ms - 10, last_ms - 10, last_ms, 1), sold(1, 50_000, 50_000, 50_010, 1)];
    let findings = story.ask("preconditions").findings;
    !findings.iter().any(|finding| finding.summary.contains("no purchase was acknowledged in the"))
}

#[test]
fn a_quiet_time_before_a_fault_is_measured_by_the_rate() {
    // 5 s, or the time of three purchases where that is longer; of a load without a rate 5 s.
    for (rate_per_s, longest_ms) in [(10.0, 5_000), (0.4, 7_500), (0.0, 5_000)] {
        assert!(is_alive(rate_per_s, longest_ms), "{rate_per_s} a second");
        assert!(!is_alive(rate_per_s, longest_ms + 1), "{rate_per_s} a second");
    }
}

#[test]
fn a_missing_record_is_missed() {
    let story = super::story::Story::good();
    let mut history = story.history();
    history.events.remove(100);
    let result =
        firedrill_core::checker::preconditions::check(&firedrill_core::checker::Evidence::of(&history, &story.sla));
    assert_eq!(result.judgement, Unknown);
    assert!(result.findings.iter().any(|f| f.summary.contains("records are in the history")), "{result:#?}");
}
