//! Whom a fault hits: a selector in the drill, resolved to nodes at the moment of injection by what the
//! nodes themselves and their authorities say then. Nobody found is an error, never a random victim and
//! never a success.

use crate::history::Role;
use crate::ids::{HostName, NodeName, TierName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// How nodes are chosen out of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The one that takes writes.
    Primary,
    /// One that follows, drawn from the seed.
    Standby,
    /// Any one that serves, drawn from the seed.
    One,
    /// All of them.
    All,
    /// As many as the tier can lose and still have a majority, drawn from the seed.
    Minority,
    /// This share of the tier in percent, rounded down but at least one, drawn from the seed.
    Share(u8),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::One => "one",
            Self::All => "all",
            Self::Minority => "minority",
            Self::Share(_) => "share",
        })
    }
}

/// A target as a drill has it: `primary(postgres)`, `share(web, 50 %)`, `node(pg2)`, `host(a)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nodes of a tier by what they are.
    InTier(Selector, TierName),
    /// One node by its name.
    Node(NodeName),
    /// All nodes of a machine.
    Host(HostName),
}

/// A target is malformed, or nobody fits it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not of the form `selector(name)`.
    #[error(
        "the target {text:?} is not understood: write primary(TIER), standby(TIER), one(TIER), all(TIER), \
         minority(TIER), share(TIER, 50 %), node(NAME) or host(NAME)"
    )]
    Malformed {
        /// As written.
        text: String,
    },
    /// No such tier, node or host in the topology.
    #[error("the target {target} names nothing in this topology: it has {known}")]
    Unknown {
        /// The target.
        target: Target,
        /// The tiers, nodes or hosts that there are.
        known: String,
    },
    /// No node of the tier can ever be that.
    #[error("the target {target} is impossible: {why}")]
    Impossible {
        /// The target.
        target: Target,
        /// Why.
        why: String,
    },
    /// Nobody is what the target asks for, now.
    #[error("the target {target} found nobody: {seen}")]
    Nobody {
        /// The target.
        target: Target,
        /// What the nodes of the tier said they are.
        seen: String,
    },
    /// More than one node claims a role that only one may have, and the authorities do not settle it.
    #[error("the target {target} is ambiguous: {seen}; a stack in this state must not be drilled")]
    Ambiguous {
        /// The target.
        target: Target,
        /// What the nodes of the tier said they are.
        seen: String,
    },
}

/// A node as a resolver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub node: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// The machine that it is on, where the topology says so.
    pub host: Option<HostName>,
    /// What it says it is, now.
    pub role: Role,
    /// The authorities (Pgpool, Sentinel, HAProxy) that name it as the leader.
    pub named_by: Vec<NodeName>,
}

impl Candidate {
    /// What it is, by its own word and its authorities'.
    pub fn describe(&self) -> String {
        if self.named_by.is_empty() {
            return format!("{} is {}", self.node, self.role);
        }
        let names: Vec<&str> = self.named_by.iter().map(NodeName::as_str).collect();
        format!("{} is {} (named by {})", self.node, self.role, names.join(", "))
    }
}

impl Target {
    /// The target `primary(tier)`.
    pub fn primary(tier: &str) -> Self {
        Self::InTier(Selector::Primary, tier.into())
    }

    /// The target `standby(tier)`.
    pub fn standby(tier: &str) -> Self {
        Self::InTier(Selector::Standby, tier.into())
    }

    /// The target `one(tier)`.
    pub fn one(tier: &str) -> Self {
        Self::InTier(Selector::One, tier.into())
    }

    /// The target `all(tier)`.
    pub fn all(tier: &str) -> Self {
        Self::InTier(Selector::All, tier.into())
    }

    /// The target `node(name)`.
    pub fn node(name: &str) -> Self {
        Self::Node(name.into())
    }

    /// The target `host(name)`.
    pub fn host(name: &str) -> Self {
        Self::Host(name.into())
    }

    /// The tier that it is in, where it names one.
    pub fn tier(&self) -> Option<&TierName> {
        match self {
            Self::InTier(_, tier) => Some(tier),
            Self::Node(_) | Self::Host(_) => None,
        }
    }

    /// The nodes that it means, given what every node says it is. `draw` picks an index below its
    /// argument; it comes from the seed of the run, so that a schedule can be replayed.
    pub fn resolve(
        &self,
        nodes: &[Candidate],
        mut draw: impl FnMut(usize) -> usize,
    ) -> Result<Vec<NodeName>, TargetError> {
        let members = self.members(nodes)?;
        let Self::InTier(selector, _) = self else {
            return Ok(members.iter().map(|c| c.node.clone()).collect());
        };
        let fitting: Vec<&Candidate> = members.iter().copied().filter(|c| fits(*selector, c.role)).collect();
        let seen = || members.iter().map(|c| c.describe()).collect::<Vec<_>>().join(", ");
        let wanted = wanted(*selector, members.len());
        if fitting.is_empty() || fitting.len() < wanted || wanted == 0 {
            return Err(TargetError::Nobody { target: self.clone(), seen: seen() });
        }
        match selector {
            Selector::All => Ok(fitting.iter().map(|c| c.node.clone()).collect()),
            Selector::Primary if fitting.len() > 1 => {
                let settled = settle(&fitting, nodes);
                settled.map(|node| vec![node]).ok_or(TargetError::Ambiguous { target: self.clone(), seen: seen() })
            }
            _ => Ok(drawn(&fitting, wanted, &mut draw)),
        }
    }

    /// All nodes that are what the target asks for now, however many it would draw: the other end of a network
    /// fault.
    pub fn fitting<'a>(&self, nodes: &'a [Candidate]) -> Result<Vec<&'a Candidate>, TargetError> {
        let members = self.members(nodes)?;
        let Self::InTier(selector, _) = self else {
            return Ok(members);
        };
        let fitting: Vec<&Candidate> = members.iter().copied().filter(|c| fits(*selector, c.role)).collect();
        if fitting.is_empty() {
            let seen = members.iter().map(|c| c.describe()).collect::<Vec<_>>().join(", ");
            return Err(TargetError::Nobody { target: self.clone(), seen });
        }
        Ok(fitting)
    }

    /// Checks against a topology that the target can mean something at all, before anything starts.
    /// `has_roles` says whether a tier has a primary.
    pub fn check(&self, nodes: &[Candidate], has_roles: impl Fn(&TierName) -> bool) -> Result<(), TargetError> {
        let members = self.members(nodes)?.len();
        let Self::InTier(selector, tier) = self else {
            return Ok(());
        };
        let impossible = |why: String| Err(TargetError::Impossible { target: self.clone(), why });
        match selector {
            Selector::Primary | Selector::Standby if !has_roles(tier) => {
                impossible(format!("the nodes of {tier} have no roles; write one({tier})"))
            }
            Selector::Standby | Selector::Minority if wanted(*selector, members) == 0 || members < 2 => {
                impossible(format!("{tier} has {members} nodes"))
            }
            _ => Ok(()),
        }
    }

    /// Whether two targets can mean the same node: what is not known before the injection counts as so.
    pub fn may_meet(&self, other: &Self, nodes: &[Candidate]) -> bool {
        let roles = |one: &Self, two: &Self| matches!((one, two), (Self::InTier(Selector::Primary, a), Self::InTier(Selector::Standby, b)) if a == b);
        if roles(self, other) || roles(other, self) {
            return false;
        }
        let (Ok(mine), Ok(theirs)) = (self.members(nodes), other.members(nodes)) else {
            return false;
        };
        mine.iter().any(|one| theirs.iter().any(|two| one.node == two.node))
    }

    /// The nodes among which it chooses.
    pub fn members<'a>(&self, nodes: &'a [Candidate]) -> Result<Vec<&'a Candidate>, TargetError> {
        let is_member = |c: &&Candidate| match self {
            Self::Node(name) => c.node == *name,
            Self::InTier(_, tier) => c.tier == *tier,
            Self::Host(host) => c.host.as_ref() == Some(host),
        };
        let members: Vec<&Candidate> = nodes.iter().filter(is_member).collect();
        if members.is_empty() { Err(self.unknown(nodes)) } else { Ok(members) }
    }

    fn unknown(&self, nodes: &[Candidate]) -> TargetError {
        let mut known: Vec<String> = match self {
            Self::Node(_) => nodes.iter().map(|c| c.node.to_string()).collect(),
            Self::InTier(..) => nodes.iter().map(|c| c.tier.to_string()).collect(),
            Self::Host(_) => nodes.iter().filter_map(|c| Some(c.host.as_ref()?.to_string())).collect(),
        };
        known.sort();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        TargetError::Unknown { target: self.clone(), known }
    }
}

fn fits(selector: Selector, role: Role) -> bool {
    match selector {
        Selector::Primary => role == Role::Primary,
        Selector::Standby => role == Role::Standby,
        Selector::One | Selector::Minority | Selector::Share(_) => {
            matches!(role, Role::Serving | Role::Primary | Role::Standby)
        }
        Selector::All => true,
    }
}

/// How many nodes of so many are meant.
fn wanted(selector: Selector, members: usize) -> usize {
    match selector {
        Selector::Primary | Selector::Standby | Selector::One => 1,
        Selector::All => members,
        Selector::Minority => members.saturating_sub(1) / 2,
        Selector::Share(percent) => (members * usize::from(percent) / 100).max(1),
    }
}

/// Of several that claim to lead, the one that a majority of the authorities names.
fn settle(claimants: &[&Candidate], nodes: &[Candidate]) -> Option<NodeName> {
    let tier = &claimants.first()?.tier;
    let votes: usize = nodes.iter().filter(|c| c.tier == *tier).map(|c| c.named_by.len()).sum();
    claimants.iter().find(|c| c.named_by.len() * 2 > votes).map(|c| c.node.clone())
}

/// So many of them, in their own order.
fn drawn(fitting: &[&Candidate], count: usize, draw: &mut impl FnMut(usize) -> usize) -> Vec<NodeName> {
    let mut left: Vec<usize> = (0..fitting.len()).collect();
    let mut chosen: Vec<usize> =
        (0..count.min(fitting.len())).map(|_| left.remove(draw(left.len()).min(left.len() - 1))).collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|index| fitting[index].node.clone()).collect()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTier(Selector::Share(percent), tier) => write!(f, "share({tier}, {percent} %)"),
            Self::InTier(selector, tier) => write!(f, "{selector}({tier})"),
            Self::Node(node) => write!(f, "node({node})"),
            Self::Host(host) => write!(f, "host({host})"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| TargetError::Malformed { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Target> {
    let (selector, rest) = text.trim().split_once('(')?;
    let inside = rest.strip_suffix(')')?.trim();
    let (name, share) = match inside.split_once(',') {
        Some((name, share)) => (name.trim(), Some(share.trim().strip_suffix('%')?.trim())),
        None => (inside, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let tier = || TierName::new(name);
    match (selector.trim(), share) {
        ("node", None) => Some(Target::Node(NodeName::new(name))),
        ("host", None) => Some(Target::Host(HostName::new(name))),
        ("primary", None) => Some(Target::InTier(Selector::Primary, tier())),
        ("standby", None) => Some(Target::InTier(Selector::Standby, tier())),
        ("one", None) => Some(Target::InTier(Selector::One, tier())),
        ("all", None) => Some(Target::InTier(Selector::All, tier())),
        ("minority", None) => Some(Target::InTier(Selector::Minority, tier())),
        ("share", Some(share)) => {
            let percent: u8 = share.parse().ok().filter(|percent| (1..=100).contains(percent))?;
            Some(Target::InTier(Selector::Share(percent), tier()))
        }
        _ => None,
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = "\\s*[A-Za-z0-9_-]+\\s*";
        schemars::json_schema!({
            "description": "Whom a fault hits, resolved at the moment of injection.",
            "type": "string",
            "pattern": format!("^((primary|standby|one|all|minority|node|host)\\({name}\\)|share\\({name},\\s*[0-9]+\\s*%\\s*\\))$"),
            "examples": ["primary(postgres)", "share(web, 50 %)", "node(pg2)", "host(a)"]
        })
    }
}
