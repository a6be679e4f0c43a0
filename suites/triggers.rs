//! Triggers and overlaps: faults come when they are meant to come, together where they are meant to, and
//! the shop goes on selling.

use crate::shop::{Outcome, agreement, shop};
use firedrill_core::drill::{Drill, LagOver, Step, Trigger};
use firedrill_core::fault::{Fault, Phase, Target};
use firedrill_core::history::{FaultEvent, Role};
use firedrill_core::ids::StepId;
use std::time::Duration;

/// Lateness of a planned instant that a busy machine of two cores may have; `docs/measurements.md` has what a
/// quiet one has.
const LATE_MS: f64 = 500.0;

fn fault(name: &str) -> Fault {
    Fault::by_name(name).unwrap_or_else(|| panic!("there is no fault {name}"))
}

fn event(outcome: &Outcome, step: u32, phase: Phase) -> FaultEvent {
    let stored = outcome.dir.read().expect("the run is stored");
    let events: Vec<FaultEvent> = stored.history().expect("the history is readable").faults().cloned().collect();
    let found = events.into_iter().find(|event| event.step == StepId(step) && event.phase == phase);
    found.unwrap_or_else(|| panic!("step {step} was never {phase}\n{}", outcome.text()))
}

#[test]
fn faults_come_by_their_triggers_and_overlap() {
    let shop = shop();
    let lag = LagOver { tier: "postgres".into(), bytes: 20_000 };
    let short = Duration::from_millis(500);
    let drill = Drill::new("triggers", "pretix-ha")
        .step(Step::new(Fault::Kill, Target::one("nginx")).when(Trigger::FirstSale).hold(short))
        .step(Step::new(fault("checkpoint"), Target::primary("postgres")).when(Trigger::AfterMs(700)).hold(short))
        .step(Step::new(fault("replay-pause"), Target::standby("postgres")).hold(short))
        .step(Step::new(fault("restart"), Target::one("worker")).overlapping().when(Trigger::LagOver(lag)))
        .step(Step::new(Fault::Kill, Target::primary("redis")).hold(short))
        .step(Step::new(Fault::Pause, Target::one("web")).overlapping().when(Trigger::RoleChanged("redis".into())));

    let outcome = shop.run(&drill, &agreement("gic-2020"));

    outcome.must_pass("conservation").must_pass("oversell").must_pass("preconditions");
    let planned = event(&outcome, 1, Phase::Injecting).detail;
    let late_ms: f64 = planned.split(' ').next().and_then(|ms| ms.parse().ok()).expect("a lateness");
    assert!(planned.ends_with("ms after the planned instant") && late_ms < LATE_MS, "{planned}");
    for (first, second) in [(2, 3), (4, 5)] {
        let begun = event(&outcome, second, Phase::Injecting).at;
        let (from, until) = (event(&outcome, first, Phase::Effective).at, event(&outcome, first, Phase::Recovering).at);
        assert!(from < begun && begun < until, "step {second} at {begun} is not between {from} and {until}");
        let healed = event(&outcome, second, Phase::Recovering).at;
        assert!(healed <= until, "the last one is undone first");
    }
    // The pause came when a Redis had another role than before the kill: the dead one, at least.
    let (killed, begun) = (event(&outcome, 4, Phase::Injecting).at, event(&outcome, 5, Phase::Injecting).at);
    let stored = outcome.dir.read().expect("the run is stored");
    let changed = stored.history().expect("the history is readable").observations().any(|seen| {
        seen.tier.as_str() == "redis" && seen.at > killed && seen.at <= begun && seen.role != Role::Standby
    });
    assert!(changed, "no role had changed when the pause began\n{}", outcome.text());
}
