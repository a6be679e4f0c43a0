//! Primaries: how long two may answer as one.

use super::story::{Story, check, seen};
use firedrill_core::checker::primaries::{SAMPLING_MS, TOLERATED_MS};
use firedrill_core::history::{At, Role};
use firedrill_core::verdict::Judgement::{self, Fail, Pass, Unknown};

#[test]
fn judges() {
    check(
        "primaries",
        &[
            ("good", |_| {}, Pass, "two primaries for at most 0.0 s, 2 reigns in 1 tiers"),
            (
                "the old primary comes back as one",
                |s| s.observations[5].role = Role::Primary,
                Fail,
                "pg2 and pg1 were both primary of postgres",
            ),
            (
                "another tier has its own primary",
                |s| {
                    let mut redis = seen(0, "redis-1", Role::Primary);
                    redis.tier = "redis".into();
                    s.observations.push(redis);
                },
                Pass,
                "in 2 tiers",
            ),
            (
                "two primaries while booting",
                |s| {
                    s.stages[0].at = At::from_ms(10_000);
                    s.observations[1].role = Role::Primary;
                    s.observations.push(seen(9_900, "pg2", Role::Standby));
                },
                Pass,
                "at most 0.0 s",
            ),
            (
                "a primary until the load begins",
                |s| {
                    s.stages[0].at = At::from_ms(10_000);
                    s.observations[1].role = Role::Primary;
                    s.observations.push(seen(10_000, "pg2", Role::Standby));
                },
                Pass,
                "2 reigns",
            ),
            (
                "handed over in one instant",
                |s| s.observations[3] = seen(21_500, "pg1", Role::Standby),
                Pass,
                "at most 0.0 s",
            ),
            (
                "overlap in a damaged history",
                |s| {
                    s.observations[5].role = Role::Primary;
                    s.damage.push("torn".to_owned());
                },
                Fail,
                "both primary",
            ),
            ("nobody was seen", |s| s.observations.clear(), Unknown, "no node was ever seen as a primary"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}

/// pg1 comes back as primary at 35 s for `length_ms`, and then answers as `after`.
fn comes_back_for(length_ms: u64, after: Role) -> (Judgement, usize) {
    let story = Story::good().with(|s| {
        s.observations[5].role = Role::Primary;
        s.observations.push(seen(35_000 + length_ms, "pg1", after));
    });
    let result = story.ask("primaries");
    (result.judgement, result.findings.len())
}

#[test]
fn the_thresholds_are_exact() {
    assert_eq!((SAMPLING_MS, TOLERATED_MS), (1_250, 5_250));
    assert_eq!(comes_back_for(SAMPLING_MS, Role::Standby), (Pass, 0), "an artefact of sampling");
    assert_eq!(comes_back_for(SAMPLING_MS + 1, Role::Standby), (Pass, 1), "worth a finding");
    assert_eq!(comes_back_for(TOLERATED_MS, Role::Standby), (Pass, 1), "the watcher was in time");
    assert_eq!(comes_back_for(TOLERATED_MS + 1, Role::Standby), (Fail, 1), "nobody demoted it");
    let dead_for_ms = TOLERATED_MS + SAMPLING_MS;
    assert_eq!(
        comes_back_for(dead_for_ms, Role::Unreachable),
        (Pass, 1),
        "it may have been dead before the probe said so"
    );
    assert_eq!(comes_back_for(dead_for_ms + 1, Role::Unreachable), (Fail, 1));
}

#[test]
fn a_change_of_view_does_not_end_a_reign() {
    let story = Story::good().with(|s| {
        for at_ms in [36_000, 38_000, 40_000, 42_000] {
            s.observations.push(seen(at_ms, "pg1", Role::Primary));
        }
        s.observations[5].role = Role::Primary;
        s.observations.push(seen(43_000, "pg1", Role::Standby));
    });
    let result = story.ask("primaries");
    assert_eq!(result.numbers["longest_overlap_ms"], 8_000.0);
    assert_eq!(result.judgement, Fail);
}
