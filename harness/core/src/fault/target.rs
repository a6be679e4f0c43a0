//! Whom a fault hits: a selector in the drill, resolved to nodes at the moment of injection by what the
//! nodes themselves say then. Nobody found is an error, never a random victim and never a success.

use crate::history::Role;
use crate::ids::{NodeName, TierName};
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
}

impl Selector {
    const ALL: [Self; 4] = [Self::Primary, Self::Standby, Self::One, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::One => "one",
            Self::All => "all",
        }
    }
}

/// A target as a drill has it: `primary(postgres)`, `one(web)`, `node(pg2)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nodes of a tier by what they are.
    InTier(Selector, TierName),
    /// One node by its name.
    Node(NodeName),
}

/// A target is malformed, or nobody fits it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not of the form `selector(name)`.
    #[error(
        "the target {text:?} is not understood: write primary(TIER), standby(TIER), one(TIER), all(TIER) or node(NAME)"
    )]
    Malformed {
        /// As written.
        text: String,
    },
    /// No such tier or node in the topology.
    #[error("the target {target} names nothing in this topology: it has {known}")]
    Unknown {
        /// The target.
        target: Target,
        /// The tiers or nodes that there are.
        known: String,
    },
    /// Nobody is what the target asks for, now.
    #[error("the target {target} found nobody: {seen}")]
    Nobody {
        /// The target.
        target: Target,
        /// What the nodes of the tier said they are.
        seen: String,
    },
    /// More than one node claims a role that only one may have.
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
    /// What it says it is, now.
    pub role: Role,
}

impl Target {
    /// The nodes that it means, given what every node says it is. `draw` picks an index below its
    /// argument; it comes from the seed of the run, so that a schedule can be replayed.
    pub fn resolve(
        &self,
        nodes: &[Candidate],
        mut draw: impl FnMut(usize) -> usize,
    ) -> Result<Vec<NodeName>, TargetError> {
        let (selector, tier) = match self {
            Self::Node(name) => {
                let found = nodes.iter().find(|c| c.node == *name);
                return found.map(|c| vec![c.node.clone()]).ok_or_else(|| self.unknown(nodes));
            }
            Self::InTier(selector, tier) => (selector, tier),
        };
        let members: Vec<&Candidate> = nodes.iter().filter(|c| c.tier == *tier).collect();
        if members.is_empty() {
            return Err(self.unknown(nodes));
        }
        let fitting: Vec<&Candidate> = members.iter().copied().filter(|c| fits(*selector, c.role)).collect();
        let seen = || members.iter().map(|c| format!("{} is {}", c.node, c.role)).collect::<Vec<_>>().join(", ");
        if fitting.is_empty() {
            return Err(TargetError::Nobody { target: self.clone(), seen: seen() });
        }
        match selector {
            Selector::Primary if fitting.len() > 1 => {
                Err(TargetError::Ambiguous { target: self.clone(), seen: seen() })
            }
            Selector::Primary | Selector::Standby | Selector::One => {
                Ok(vec![fitting[draw(fitting.len()).min(fitting.len() - 1)].node.clone()])
            }
            Selector::All => Ok(fitting.iter().map(|c| c.node.clone()).collect()),
        }
    }

    /// Checks against a topology that the target can mean something at all, before anything starts.
    pub fn check(&self, nodes: &[Candidate]) -> Result<(), TargetError> {
        let known = match self {
            Self::Node(name) => nodes.iter().any(|c| c.node == *name),
            Self::InTier(_, tier) => nodes.iter().any(|c| c.tier == *tier),
        };
        if known { Ok(()) } else { Err(self.unknown(nodes)) }
    }

    fn unknown(&self, nodes: &[Candidate]) -> TargetError {
        let mut known: Vec<String> = match self {
            Self::Node(_) => nodes.iter().map(|c| c.node.to_string()).collect(),
            Self::InTier(..) => nodes.iter().map(|c| c.tier.to_string()).collect(),
        };
        known.sort();
        known.dedup();
        TargetError::Unknown { target: self.clone(), known: known.join(", ") }
    }
}

fn fits(selector: Selector, role: Role) -> bool {
    match selector {
        Selector::Primary => role == Role::Primary,
        Selector::Standby => role == Role::Standby,
        Selector::One => matches!(role, Role::Serving | Role::Primary | Role::Standby),
        Selector::All => true,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTier(selector, tier) => write!(f, "{}({tier})", selector.name()),
            Self::Node(node) => write!(f, "node({node})"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || TargetError::Malformed { text: text.to_owned() };
        let (selector, rest) = text.trim().split_once('(').ok_or_else(malformed)?;
        let name = rest.strip_suffix(')').ok_or_else(malformed)?.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(malformed());
        }
        let selector = selector.trim();
        if selector == "node" {
            return Ok(Self::Node(NodeName::new(name)));
        }
        let selector = Selector::ALL.into_iter().find(|s| s.name() == selector).ok_or_else(malformed)?;
        Ok(Self::InTier(selector, TierName::new(name)))
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
