//! The matrix: every tier against every kind of fault that fits it, derived from the topology alone.
//!
//! `smoke` kills what has to be survived first (`profile`). `nightly` does to every tier what happens to machines and
//! networks: they die, hang, are cut off, restart, become slow; each more than once. `event` does everything of the
//! catalogue that redundancy can answer, and kills the primary of the database as often as the bound asks for that is to
//! be shown. What is left out is named with the reason: a tier of one node, a fault that the topology cannot have, one
//! that no redundancy answers.

use super::profile::{Gap, TierShape, not_covered, smoke};
use super::{Drill, Step};
use crate::fault::catalogue::network::Delay;
use crate::fault::{Fault, Selector, Target};
use crate::topology::Topology;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use strum::{Display, EnumString, VariantNames};

/// How much a certification drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantNames, Serialize, Deserialize, JsonSchema)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The primaries of the stores and one node of every other tier, killed. Minutes.
    Smoke,
    /// Every tier: killed, frozen, cut off, restarted, slowed down; repeated. About an hour.
    Nightly,
    /// The whole catalogue as far as redundancy can answer it, and as many failovers as the bound asks for. Hours.
    Event,
}

impl Profile {
    /// The names of all profiles, from the smallest to the largest.
    pub fn names() -> &'static [&'static str] {
        Self::VARIANTS
    }

    /// The share of the stack's capacity that buyers take during its drills: in an `event` the peak, with what a failover
    /// needs to catch up; before it an ordinary hour.
    pub fn load_share(self) -> f64 {
        match self {
            Self::Smoke | Self::Nightly => 0.3,
            Self::Event => 0.8,
        }
    }
}

/// What happens to machines and networks in any week: the faults of `nightly`.
const WEEKLY: [&str; 5] = ["kill", "pause", "partition", "restart", "delay"];

/// The network that `nightly` and `event` make of a tier: bad, not broken. With the 100 ms that `delay` has by itself before
/// the database's primary, a purchase takes 6 s, on whichever web node: more than its workers can serve, and no redundancy
/// answers that (docs/measurements.md, certifications).
const SLOW_MS: (u32, u32) = (20, 5);

/// How often `nightly` does each: once is luck.
const NIGHTLY_REPEAT: u32 = 2;

/// Faults that no redundancy answers, with the reason: they are for drills that ask what happens then.
const UNANSWERED: [(&str, &str); 9] = [
    ("stop", "an orderly end is what `restart` and `rolling-restart` do too"),
    ("quota-lock", "whoever holds the lock of a quota stops its sales on every node"),
    ("connections", "a primary without free connections stays the primary"),
    ("redis-maxmemory", "a Redis that is full stays the master"),
    ("redis-client-pause", "a Redis that lets its clients wait stays the master"),
    ("disk-full", "a drill of its own: needs a topology with small disks, and an operator"),
    ("disk-stall", "a drill of its own: what hangs in the kernel can be neither killed nor promoted away"),
    ("crash-loop", "nothing else can be done to the tier while a node comes and goes"),
    ("dns-wrong", "the reference topologies name their nodes without a resolver"),
];

/// Measured on two cores (docs/measurements.md): a boot to the first sale, and the removal.
const BOOT: Duration = Duration::from_secs(35);

/// Measured in the same place: settling and the final read of a drill.
const AROUND: Duration = Duration::from_secs(25);

/// Measured in the same place: a step of the certification, from steady to whole again.
pub const STEP: Duration = Duration::from_secs(17);

/// What a profile comes to on a topology.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The drill.
    pub drill: Drill,
    /// What it does not try.
    pub gaps: Vec<Gap>,
}

impl Matrix {
    /// Derives it. `failovers` is how often the primary of the database is lost in an `event`.
    pub fn derive(profile: Profile, topology: &Topology, failovers: u32) -> Self {
        let tiers = topology.tiers();
        let gaps = not_covered(&tiers);
        if profile == Profile::Smoke {
            return Self { drill: smoke(&topology.name, &tiers), gaps };
        }
        let mut matrix = Self { drill: Drill::new(&profile.to_string(), &topology.name), gaps };
        for fault in Fault::all().map(bearable) {
            let is_weekly = WEEKLY.contains(&fault.name());
            let unanswered = UNANSWERED.iter().find(|(name, _)| *name == fault.name());
            match (profile, unanswered) {
                (Profile::Nightly, _) if !is_weekly => {}
                (_, Some((name, why))) => matrix.gap((*name).to_owned(), (*why).to_owned()),
                _ => matrix.fault(&fault, &tiers, topology, if is_weekly { NIGHTLY_REPEAT } else { 1 }),
            }
        }
        if profile == Profile::Event {
            matrix.failovers(&tiers, failovers);
        }
        matrix
    }

    /// The drills that it is run as, one for every fault, so that one which stops early leaves the others: a load, a
    /// history and a verdict each. `smoke` is one drill.
    pub fn drills(&self) -> Vec<Drill> {
        if self.drill.steps.iter().all(|step| step.fault == Fault::Kill) {
            return vec![self.drill.clone()];
        }
        let mut drills: Vec<Drill> = Vec::new();
        for step in &self.drill.steps {
            let name = format!("{}-{}", self.drill.name, step.fault.name());
            match drills.iter_mut().find(|drill| drill.name == name) {
                Some(drill) => drill.steps.push(step.clone()),
                None => drills.push(Drill { name, steps: vec![step.clone()], ..self.drill.clone() }),
            }
        }
        drills
    }

    /// About how long it takes, with images cached.
    pub fn estimate(&self) -> Duration {
        let drills = u32::try_from(self.drills().len()).unwrap_or(u32::MAX);
        BOOT + AROUND * drills + STEP * u32::try_from(self.drill.schedule().count()).unwrap_or(u32::MAX)
    }

    fn gap(&mut self, what: String, why: String) {
        self.gaps.push(Gap { what, why });
    }

    /// One fault on every tier that it fits.
    fn fault(&mut self, fault: &Fault, tiers: &[TierShape], topology: &Topology, repeat: u32) {
        for tier in tiers.iter().filter(|tier| tier.nodes >= 2) {
            let mut why_not = None;
            for selector in selectors(fault, tier) {
                let target = Target::InTier(selector, tier.name.clone());
                let step = Step::new(fault.clone(), target).repeat(repeat);
                let alone = Drill { steps: vec![step.clone()], ..self.drill.clone() };
                match alone.check().and_then(|()| alone.check_against(topology)) {
                    Ok(()) => self.drill.steps.push(step),
                    Err(problem) => why_not = Some((step.target, problem.message)),
                }
            }
            // That a fault is not meant for this kind of node is no gap.
            let kinds =
                topology.services.iter().filter(|service| service.tier == tier.name).map(|service| service.kind);
            if let Some((target, why)) = why_not
                && kinds.into_iter().all(|kind| fault.about().fits(kind))
            {
                self.gap(format!("{fault} {target}"), why);
            }
        }
    }

    /// The database loses its primary so often in all: that is how sure the certificate can be.
    fn failovers(&mut self, tiers: &[TierShape], failovers: u32) {
        let Some(database) = tiers.iter().find(|tier| tier.has_roles && tier.nodes >= 2) else { return };
        let target = Target::InTier(Selector::Primary, database.name.clone());
        let kill = self.drill.steps.iter_mut().find(|step| step.fault == Fault::Kill && step.target == target);
        if let Some(kill) = kill {
            kill.repeat = kill.repeat.max(failovers);
        }
    }
}

/// A fault as redundancy can be asked to bear it.
fn bearable(fault: Fault) -> Fault {
    match fault {
        Fault::Delay(delay) => Fault::Delay(Delay { delay_ms: SLOW_MS.0, jitter_ms: SLOW_MS.1, ..delay }),
        other => other,
    }
}

/// How many failovers without a loss are needed to say that fewer than this share lose an order, with 95 % confidence:
/// the rule of three (Hanley and Lippman-Hand 1983).
pub fn failovers_for(bound_percent: f64) -> u32 {
    if bound_percent > 0.0 { (300.0 / bound_percent).ceil() as u32 } else { u32::MAX }
}

/// Whom of a tier a fault is tried on: where there are roles, each of them; all, where it is about all of them.
fn selectors(fault: &Fault, tier: &TierShape) -> Vec<Selector> {
    match fault {
        Fault::RollingRestart(_) => vec![Selector::All],
        Fault::ReplayPause | Fault::ReplicationCut => vec![Selector::Standby],
        Fault::LongTransaction | Fault::Checkpoint => vec![Selector::Primary],
        _ if tier.has_roles => vec![Selector::Primary, Selector::Standby],
        _ => vec![Selector::One],
    }
}
