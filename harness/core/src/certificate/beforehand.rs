//! What speaks against a certificate before anything is killed: single points of failure, and promises that nobody could
//! keep.

use super::Objection;
use crate::drill::profile::TierShape;
use crate::ids::NodeName;
use crate::sla::Sla;
use crate::topology::{NodeKind, Topology};
use crate::verdict::Finding;

/// Everything that a topology and an agreement can be objected to without booting.
pub fn objections(topology: &Topology, sla: &Sla) -> Vec<Objection> {
    let mut objections = single_points(topology);
    objections.extend(impossible(topology, sla));
    objections
}

/// Tiers that one loss takes away: of their only node, of the machine that all their nodes are on, or of so many voters
/// that no majority is left.
fn single_points(topology: &Topology) -> Vec<Objection> {
    let mut objections = Vec::new();
    for tier in topology.tiers().iter().filter(|tier| tier.single.is_none()) {
        let nodes: Vec<NodeName> =
            topology.nodes().into_iter().filter(|node| node.service.tier == tier.name).map(|node| node.name).collect();
        if tier.nodes < 2 {
            let summary = format!("single point of failure: tier {} has one node", tier.name);
            let remedy = "add a second node, or say in its `x-firedrill.single` why one is enough";
            objections.push(Objection::fail(Finding::new(summary).with_nodes(nodes).with_remedy(remedy)));
            continue;
        }
        let votes = votes(topology, tier);
        let majority = tier.nodes / 2 + 1;
        if votes && tier.nodes - 1 < majority {
            let summary =
                format!("single point of failure: tier {} has two voters, and one alone is no majority", tier.name);
            let remedy = "add a third voter, on a machine of its own";
            objections.push(Objection::fail(Finding::new(summary).with_nodes(nodes.clone()).with_remedy(remedy)));
        }
        for (host, on_it) in &topology.hosts {
            let left = nodes.iter().filter(|node| !on_it.contains(node)).count();
            let lost = nodes.len() - left;
            let why = match (left, votes && tier.nodes > 2 && left < majority) {
                (0, _) => format!("all {lost} nodes of tier {} are on it", tier.name),
                (_, true) => format!("{lost} of {} voters of tier {} are on it", tier.nodes, tier.name),
                _ => continue,
            };
            let finding = Finding::new(format!("single point of failure: machine {host}, because {why}"))
                .with_nodes(nodes.iter().filter(|node| on_it.contains(node)).cloned())
                .with_remedy("spread the tier over more machines (`x-firedrill.hosts`)");
            objections.push(Objection::fail(finding));
        }
    }
    objections
}

/// Whether the nodes of a tier decide by majority: Sentinels do, and the PostgreSQL image's agents.
fn votes(topology: &Topology, tier: &TierShape) -> bool {
    let mut services = topology.services.iter().filter(|service| service.tier == tier.name);
    services.any(|service| matches!(service.kind, NodeKind::Sentinel | NodeKind::Postgres))
}

/// Objectives below what the topology's own time-outs allow: no drill could meet them.
fn impossible(topology: &Topology, sla: &Sla) -> Vec<Objection> {
    let redundant = topology.tiers();
    let redundant = |name| redundant.iter().any(|tier| tier.nodes >= 2 && tier.name == name);
    let mut objections = Vec::new();
    for detection in topology.detections().into_iter().filter(|detection| redundant(detection.tier.clone())) {
        let objectives = [
            ("recovery.outage_max_ms", sla.recovery.outage_max_ms),
            ("response_time.max_ms", Some(sla.response_time.max_ms)),
        ];
        for (key, limit_ms) in objectives {
            let Some(limit_ms) = limit_ms.filter(|limit_ms| *limit_ms < detection.after_ms) else { continue };
            let summary = format!(
                "impossible objective: {key} is {limit_ms:.0} ms, but a silent primary of {} is given up only after {:.0} ms \
                 ({})",
                detection.tier, detection.after_ms, detection.variable
            );
            let remedy = format!("promise what the stack can do, or lower {} with care", detection.variable);
            objections.push(Objection::fail(Finding::new(summary).with_remedy(remedy)));
        }
    }
    objections
}
