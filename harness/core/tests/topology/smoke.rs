//! The profiles, derived from a topology.

use crate::{parse, shipped, topologies};
use firedrill_core::drill::matrix::{Matrix, Profile, failovers_for};
use firedrill_core::drill::profile::{TierShape, not_covered, smoke};
use std::time::Duration;

/// The targets of `smoke` and what it leaves out.
fn check(tiers: &[TierShape]) -> String {
    let steps =
        smoke("t", tiers).steps.into_iter().map(|step| format!("{:?} {} x{}", step.fault, step.target, step.repeat));
    steps.chain(not_covered(tiers).iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
}

fn pretix_ha() -> Vec<TierShape> {
    parse(&shipped(&topologies().join("pretix-ha"))).expect("the shipped topology").tiers()
}

#[test]
fn smoke_of_pretix_ha() {
    insta::assert_snapshot!(check(&pretix_ha()), @r#"
    Kill primary(postgres) x1
    Kill primary(redis) x1
    Kill one(pgpool) x1
    Kill one(sentinel) x1
    Kill one(haproxy) x1
    Kill one(web) x1
    Kill one(worker) x1
    Kill one(nginx) x1
    Kill standby(postgres) x1
    tier periodic has one node and is not killed: Pretix's periodic tasks are meant to run on one node; sales go on without them
    "#);
    let drill = smoke("pretix-ha", &pretix_ha());
    assert_eq!((drill.name.as_str(), drill.topology.as_str(), drill.sla.as_str()), ("smoke", "pretix-ha", "gic-2020"));
    assert_eq!(drill.check(), Ok(()));
}

#[test]
fn a_tier_of_one_node_is_named_and_not_killed() {
    let mut tiers = pretix_ha();
    let haproxy = tiers.iter_mut().find(|tier| tier.name.as_str() == "haproxy").expect("a haproxy tier");
    haproxy.nodes = 1;
    insta::assert_snapshot!(check(&tiers), @r#"
    Kill primary(postgres) x1
    Kill primary(redis) x1
    Kill one(pgpool) x1
    Kill one(sentinel) x1
    Kill one(web) x1
    Kill one(worker) x1
    Kill one(nginx) x1
    Kill standby(postgres) x1
    tier haproxy has one node and is not killed: a single point of failure, and the topology gives no reason
    tier periodic has one node and is not killed: Pretix's periodic tasks are meant to run on one node; sales go on without them
    "#);
}

#[test]
fn a_topology_without_redundancy_has_no_steps() {
    let mut tiers = pretix_ha();
    tiers.iter_mut().for_each(|tier| tier.nodes = 1);
    assert!(smoke("t", &tiers).steps.is_empty());
    assert_eq!(not_covered(&tiers).len(), tiers.len());
}

/// What a profile does to the shipped topology, and what it does not.
fn matrix(profile: Profile) -> String {
    let topology = parse(&shipped(&topologies().join("pretix-ha"))).expect("the shipped topology");
    let matrix = Matrix::derive(profile, &topology, failovers_for(5.0));
    assert_eq!(matrix.drill.check(), Ok(()));
    assert_eq!(matrix.drill.check_against(&topology), Ok(()));
    let steps = matrix.drill.steps.iter().map(|step| format!("{} {} x{}", step.fault, step.target, step.repeat));
    let gaps = matrix.gaps.iter().map(|gap| format!("not: {gap}"));
    let minutes = format!("{} minutes", matrix.estimate().as_secs() / 60);
    steps.chain(gaps).chain([minutes]).collect::<Vec<_>>().join("\n")
}

#[test]
fn nightly_of_pretix_ha() {
    insta::assert_snapshot!(matrix(Profile::Nightly));
}

#[test]
fn event_of_pretix_ha() {
    insta::assert_snapshot!(matrix(Profile::Event));
}

#[test]
fn a_smoke_takes_minutes_and_a_nightly_less_than_ninety() {
    let topology = parse(&shipped(&topologies().join("pretix-ha"))).expect("the shipped topology");
    let takes = |profile| Matrix::derive(profile, &topology, 1).estimate();
    assert!(takes(Profile::Smoke) <= Duration::from_secs(300));
    assert!(takes(Profile::Nightly) <= Duration::from_secs(90 * 60));
}

#[test]
fn three_hundred_failovers_without_a_loss_are_less_than_one_in_a_hundred() {
    assert_eq!((failovers_for(1.0), failovers_for(5.0), failovers_for(100.0)), (300, 60, 3));
    assert_eq!(failovers_for(0.0), u32::MAX);
}
