//! Faults: what can be done to a node, to whom, and the life cycle that every fault goes through.
//!
//! The core knows names, targets and phases; the engine knows how. One fault is one file in the engine's
//! `faults` folder; [`FaultKind`] is the registry line.

pub mod lifecycle;
pub mod target;

pub use lifecycle::{Input, Lifecycle, Phase, TransitionError};
pub use target::{Selector, Target, TargetError};

use serde::{Deserialize, Serialize};
use std::fmt;

/// The faults that exist. Adding one means a line here and a file in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL to every process of the node.
    Kill,
}

impl FaultKind {
    /// All faults, for documentation and messages.
    pub const ALL: [Self; 1] = [Self::Kill];

    /// Its name in drill files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
