//! Profiles: drills that are derived from a topology instead of being written down.

use super::{Drill, Load, Step};
use crate::fault::{Fault, Selector, Target};
use crate::ids::TierName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A tier as a profile needs it: its name, how many nodes it has, and whether they have roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierShape {
    /// Its name.
    pub name: TierName,
    /// Number of nodes.
    pub nodes: usize,
    /// Whether one node is the primary and the others follow.
    pub has_roles: bool,
    /// Why one node is enough, where the topology says so.
    pub single: Option<String>,
}

/// Something that a certification does not try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// What: a tier, or a fault on a target.
    pub what: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// What every profile leaves out: a tier of one node cannot lose any.
pub fn not_covered(tiers: &[TierShape]) -> Vec<Gap> {
    tiers
        .iter()
        .filter(|tier| tier.nodes < 2)
        .map(|tier| {
            let reason =
                tier.single.as_deref().unwrap_or("a single point of failure, and the topology gives no reason");
            Gap { what: format!("tier {} has one node and is not killed", tier.name), why: reason.to_owned() }
        })
        .collect()
}

/// The profile `smoke`: the primaries of all stores and one node of every other tier are killed, and one
/// standby of the store that holds the money, one after the other.
pub fn smoke(topology: &str, tiers: &[TierShape]) -> Drill {
    let redundant = || tiers.iter().filter(|tier| tier.nodes >= 2);
    let primaries = redundant().filter(|tier| tier.has_roles).map(|tier| (Selector::Primary, tier));
    let ones = redundant().filter(|tier| !tier.has_roles).map(|tier| (Selector::One, tier));
    // The tier with roles that comes first is the database: it is listed before the cache by the order of
    // services in the Compose file.
    let standby = redundant().find(|tier| tier.has_roles).map(|tier| (Selector::Standby, tier));
    let kill =
        |(selector, tier): (Selector, &TierShape)| Step::new(Fault::Kill, Target::InTier(selector, tier.name.clone()));
    Drill {
        name: "smoke".to_owned(),
        topology: topology.to_owned(),
        sla: super::default_sla(),
        load: Load::default(),
        soak_ms: 0,
        steps: primaries.chain(ones).chain(standby).map(kill).collect(),
    }
}
