//! What the seed script made: the ids that the load needs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// The seed script failed or said something unexpected.
#[derive(Debug, Error)]
pub enum SeedError {
    /// No line with the result.
    #[error("the seed script printed no line `SEED {{...}}`; its output ends with: {output}")]
    NoResult {
        /// Its last lines.
        output: String,
    },
    /// The result cannot be read.
    #[error("the result of the seed script cannot be read: {source}: {line}")]
    Unreadable {
        /// Why.
        source: serde_json::Error,
        /// The line.
        line: String,
    },
    /// No such event or item.
    #[error("the seed has no {what} {name:?}; it has: {known}")]
    Unknown {
        /// Event or item.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Result of the seed script; empty for a topology without a shop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// Short name of the organizer.
    pub organizer: String,
    /// API token.
    #[serde(default)]
    pub token: String,
    /// Events by short name.
    pub events: BTreeMap<String, SeedEvent>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedEvent {
    /// Items by name.
    pub items: BTreeMap<String, SeedItem>,
    /// Quotas by name.
    pub quotas: BTreeMap<String, SeedQuota>,
}

/// An item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedItem {
    /// Primary key.
    pub id: u64,
    /// Price, as Pretix writes it: `23.00`.
    pub price: String,
}

/// A quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedQuota {
    /// Primary key.
    pub id: u64,
    /// Capacity; none is unlimited.
    pub size: Option<u64>,
}

impl Seed {
    /// Reads the script's output: the last line that begins with `SEED`.
    pub fn parse(output: &str) -> Result<Self, SeedError> {
        let line = output.lines().rev().find_map(|line| line.trim().strip_prefix("SEED "));
        let line = line.ok_or_else(|| SeedError::NoResult { output: crate::docker::last_lines(output, 5) })?;
        serde_json::from_str(line).map_err(|source| SeedError::Unreadable { source, line: line.to_owned() })
    }

    /// An item of an event, with both checked.
    pub fn item(&self, event: &str, item: &str) -> Result<&SeedItem, SeedError> {
        let unknown = |what, name: &str, known: Vec<&String>| SeedError::Unknown {
            what,
            name: name.to_owned(),
            known: known.into_iter().cloned().collect::<Vec<_>>().join(", "),
        };
        let found = self.events.get(event).ok_or_else(|| unknown("event", event, self.events.keys().collect()))?;
        found.items.get(item).ok_or_else(|| unknown("item", item, found.items.keys().collect()))
    }
}
