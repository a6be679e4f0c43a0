//! What is refused before anything starts: numbers that cannot be meant, targets that mean nothing,
//! faults that a node cannot have, and faults that get in each other's way.

use super::{Drill, Step, Trigger};
use crate::fault::catalogue::network::Traffic;
use crate::fault::target::Candidate;
use crate::fault::{Fault, Target};
use crate::history::Role;
use crate::ids::TierName;
use crate::topology::{NodeKind, Topology};
use std::fmt;
use thiserror::Error;

/// Why a drill is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problem {
    /// The step that is to blame, from 0 in the order of the file; none is the drill as a whole.
    pub step: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "step {}: {}", step + 1, self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Longest load test, in milliseconds.
const SOAK_MAX_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// Steps that are in force at the same time, at most: every one of them has to be told apart in a report.
const OVERLAP_MAX: usize = 8;

impl Drill {
    /// Refuses numbers that cannot be meant.
    pub fn check(&self) -> Result<(), Problem> {
        self.load.check().map_err(|message| Problem { step: None, message })?;
        if self.soak_ms > SOAK_MAX_MS {
            let message = format!("soak_ms is {}: give at most {SOAK_MAX_MS}, which is a week", self.soak_ms);
            return Err(Problem { step: None, message });
        }
        for (index, step) in self.steps.iter().enumerate() {
            let checked = check_step(step, index == 0);
            checked.map_err(|message| Problem { step: Some(index), message })?;
        }
        for group in self.indexed_groups() {
            if let [.., (last, _)] = group.as_slice()
                && group.len() > OVERLAP_MAX
            {
                let message = format!("{} steps overlap, at most {OVERLAP_MAX} may", group.len());
                return Err(Problem { step: Some(*last), message });
            }
        }
        Ok(())
    }

    /// Refuses what this topology cannot do.
    pub fn check_against(&self, topology: &Topology) -> Result<(), Problem> {
        let nodes = candidates(topology);
        for (index, step) in self.steps.iter().enumerate() {
            let checked = check_step_against(step, topology, &nodes);
            checked.map_err(|message| Problem { step: Some(index), message })?;
        }
        for group in self.indexed_groups() {
            check_conflicts(&group, &nodes)?;
        }
        Ok(())
    }

    /// The steps in groups that overlap, with their places in the file.
    fn indexed_groups(&self) -> Vec<Vec<(usize, &Step)>> {
        let mut groups: Vec<Vec<(usize, &Step)>> = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if step.overlap => group.push((index, step)),
                _ => groups.push(vec![(index, step)]),
            }
        }
        groups
    }
}

/// The nodes of a topology before anything runs.
pub fn candidates(topology: &Topology) -> Vec<Candidate> {
    let candidate = |node: crate::topology::NodePlan<'_>| Candidate {
        host: topology.host_of(&node.name),
        node: node.name,
        tier: node.service.tier.clone(),
        role: Role::Serving,
        named_by: Vec::new(),
    };
    topology.nodes().into_iter().map(candidate).collect()
}

fn check_step(step: &Step, first: bool) -> Result<(), String> {
    step.fault.check()?;
    if step.repeat == 0 || step.repeat > 1_000 {
        return Err(format!("repeat is {}: give 1 to 1000", step.repeat));
    }
    if step.restore_deadline_ms < 1_000 || step.whole_deadline_ms < 1_000 || step.trigger_deadline_ms < 1_000 {
        return Err("a deadline under 1000 ms is shorter than any detection: give more".to_owned());
    }
    if step.overlap && first {
        return Err("overlap: there is no step before it that it could overlap".to_owned());
    }
    if step.overlap && step.repeat > 1 {
        return Err("overlap and repeat: a step that overlaps another one can only be done once".to_owned());
    }
    if step.overlap && step.when == Some(Trigger::Steady) {
        return Err("overlap and when steady: with a fault in force the stack is not steady".to_owned());
    }
    if let Some(lasts_ms) = lasts_ms(&step.fault)
        && step.hold_ms > lasts_ms
    {
        let name = step.fault.name();
        return Err(format!("hold_ms is {}, but {name} is over after {lasts_ms} ms by itself", step.hold_ms));
    }
    Ok(())
}

/// How long a fault lasts that nobody can prolong.
fn lasts_ms(fault: &Fault) -> Option<u64> {
    match fault {
        Fault::RedisSleep(sleep) => Some(sleep.sleep_ms),
        Fault::RedisClientPause(pause) => Some(pause.most_ms),
        _ => None,
    }
}

fn check_step_against(step: &Step, topology: &Topology, nodes: &[Candidate]) -> Result<(), String> {
    let has_roles = |tier: &TierName| topology.services.iter().any(|s| s.tier == *tier && s.kind.has_roles());
    step.target.check(nodes, has_roles).map_err(|error| error.to_string())?;
    let about = step.fault.about();
    for member in step.target.members(nodes).map_err(|error| error.to_string())? {
        let service = topology.service_of(&member.node);
        let Some(service) = service else { continue };
        if !about.fits(service.kind) {
            let kinds: Vec<String> = about.kinds.iter().map(NodeKind::to_string).collect();
            return Err(format!(
                "{} cannot be done to {}, which is {}; it can be done to {}",
                step.fault,
                member.node,
                service.kind,
                kinds.join(", ")
            ));
        }
        missing_capability(&step.fault, topology, service)?;
    }
    for peer in traffic(&step.fault).map(|traffic| traffic.peers.as_slice()).unwrap_or_default() {
        peer.members(nodes).map_err(|error| format!("peers: {error}"))?;
    }
    check_trigger(&step.trigger(), topology, nodes)
}

/// What a fault needs of the topology and the topology does not have.
fn missing_capability(fault: &Fault, topology: &Topology, service: &crate::topology::Service) -> Result<(), String> {
    let needs_disk = matches!(fault, Fault::DiskFull(_) | Fault::DiskSlow(_) | Fault::DiskStall);
    let has_disk = || service.mounts.iter().any(|mount| topology.disks.contains_key(&mount.volume));
    if needs_disk && !has_disk() {
        let name = &service.name;
        return Err(format!(
            "{fault}: no volume of {name} has a file system of its own; give one `x-firedrill: {{disk_mb: N}}`"
        ));
    }
    if matches!(fault, Fault::ClockSkew(_)) && !service.faketime {
        let name = &service.name;
        return Err(format!(
            "{fault}: {name} was not started with a clock that can be skewed; give it `x-firedrill: {{clock: faketime}}`"
        ));
    }
    Ok(())
}

fn check_trigger(trigger: &Trigger, topology: &Topology, nodes: &[Candidate]) -> Result<(), String> {
    let tier = match trigger {
        Trigger::LagOver(lag) => &lag.tier,
        Trigger::RoleChanged(tier) => tier,
        Trigger::QuotaBelow(quota) if quota.quota.split('/').count() != 2 => {
            return Err(format!("when: the quota is {:?}: write event/quota", quota.quota));
        }
        _ => return Ok(()),
    };
    let in_tier = Target::InTier(crate::fault::Selector::All, tier.clone());
    in_tier.members(nodes).map_err(|error| format!("when: {error}"))?;
    let is_database = topology.services.iter().any(|s| s.tier == *tier && s.kind == NodeKind::Postgres);
    if matches!(trigger, Trigger::LagOver(_)) && !is_database {
        return Err(format!("when: {tier} has no PostgreSQL, and so no lag in bytes"));
    }
    Ok(())
}

/// The traffic that a fault concerns, where it concerns some.
pub fn traffic(fault: &Fault) -> Option<&Traffic> {
    match fault {
        Fault::Partition(partition) => Some(&partition.traffic),
        Fault::Delay(delay) => Some(&delay.traffic),
        Fault::Loss(chance) | Fault::Duplicate(chance) | Fault::Corrupt(chance) => Some(&chance.traffic),
        Fault::Reorder(reorder) => Some(&reorder.traffic),
        Fault::Reset(reset) => Some(&reset.traffic),
        _ => None,
    }
}

fn check_conflicts(group: &[(usize, &Step)], nodes: &[Candidate]) -> Result<(), Problem> {
    for (position, (index, step)) in group.iter().enumerate() {
        for (_, earlier) in &group[..position] {
            let meet = step.target.may_meet(&earlier.target, nodes);
            if meet && step.fault.about().conflicts(earlier.fault.about()) {
                let message = format!(
                    "{} on {} cannot overlap {} on {}: both may hit the same node and change the same thing of it",
                    step.fault, step.target, earlier.fault, earlier.target
                );
                return Err(Problem { step: Some(*index), message });
            }
        }
    }
    Ok(())
}
