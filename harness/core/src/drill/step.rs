//! One fault of a drill: what, to whom, when, and for how long.

use crate::fault::{Fault, Target};
use crate::ids::TierName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What a step waits for before its fault is injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The stack is whole and sells without an error. What a step waits for where it says nothing, unless
    /// it overlaps.
    Steady,
    /// So many milliseconds after the load began.
    AtMs(u64),
    /// So many milliseconds later: after the effect of the step that it overlaps was proven, otherwise
    /// after the stack was steady.
    AfterMs(u64),
    /// The first purchase is acknowledged.
    FirstSale,
    /// A quota is nearly gone.
    QuotaBelow(QuotaBelow),
    /// A standby lags behind.
    LagOver(LagOver),
    /// A node of this tier has another role than when the step began to wait.
    RoleChanged(TierName),
}

/// A quota is nearly gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaBelow {
    /// The quota, as `event/quota`.
    pub quota: String,
    /// Tickets that are left when the fault is injected, at most.
    pub left: u64,
}

/// A standby lags behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LagOver {
    /// The tier of the databases.
    pub tier: TierName,
    /// Bytes of write-ahead log that the slowest standby has not replayed, at least.
    pub bytes: u64,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady => f.write_str("steady"),
            Self::AtMs(ms) => write!(f, "{ms} ms after the load began"),
            Self::AfterMs(ms) => write!(f, "{ms} ms later"),
            Self::FirstSale => f.write_str("the first sale"),
            Self::QuotaBelow(quota) => write!(f, "at most {} of {} left", quota.left, quota.quota),
            Self::LagOver(lag) => write!(f, "a standby of {} lags {} bytes behind", lag.tier, lag.bytes),
            Self::RoleChanged(tier) => write!(f, "a role changed in {tier}"),
        }
    }
}

/// One fault of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What.
    pub fault: Fault,
    /// To whom.
    pub target: Target,
    /// When. Nothing said is `steady`, or `after-ms: 0` for a step that overlaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Trigger>,
    /// Random time in addition, drawn from the seed: at most so many milliseconds.
    #[serde(default)]
    pub jitter_ms: u64,
    /// Whether it is injected while the step before it is still in force. Both are undone together, the
    /// last one first.
    #[serde(default)]
    pub overlap: bool,
    /// How often, one after the other.
    #[serde(default = "one")]
    pub repeat: u32,
    /// How long the fault stays in force after service was restored (or after `restore_deadline_ms`).
    #[serde(default = "default_hold_ms")]
    pub hold_ms: u64,
    /// How long to wait for the trigger.
    #[serde(default = "default_trigger_deadline_ms")]
    pub trigger_deadline_ms: u64,
    /// How long to wait, with the fault in force, until buyers are served again: that is what N+1 means.
    #[serde(default = "default_restore_deadline_ms")]
    pub restore_deadline_ms: u64,
    /// How long redundancy may take to be whole after the undo before the run is cut short.
    #[serde(default = "default_whole_deadline_ms")]
    pub whole_deadline_ms: u64,
}

fn one() -> u32 {
    1
}

fn default_hold_ms() -> u64 {
    2_000
}

fn default_trigger_deadline_ms() -> u64 {
    60_000
}

fn default_restore_deadline_ms() -> u64 {
    45_000
}

fn default_whole_deadline_ms() -> u64 {
    90_000
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Step {
    /// A step with the default times.
    pub fn new(fault: Fault, target: Target) -> Self {
        Self {
            fault,
            target,
            when: None,
            jitter_ms: 0,
            overlap: false,
            repeat: one(),
            hold_ms: default_hold_ms(),
            trigger_deadline_ms: default_trigger_deadline_ms(),
            restore_deadline_ms: default_restore_deadline_ms(),
            whole_deadline_ms: default_whole_deadline_ms(),
        }
    }

    /// Waits for this.
    #[must_use]
    pub fn when(mut self, trigger: Trigger) -> Self {
        self.when = Some(trigger);
        self
    }

    /// Random time in addition, at most so much.
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter_ms = as_ms(most);
        self
    }

    /// Is injected while the step before it is in force.
    #[must_use]
    pub fn overlapping(mut self) -> Self {
        self.overlap = true;
        self
    }

    /// So often.
    #[must_use]
    pub fn repeat(mut self, times: u32) -> Self {
        self.repeat = times;
        self
    }

    /// So long in force after service was restored.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold_ms = as_ms(hold);
        self
    }

    /// So long until buyers must be served again.
    #[must_use]
    pub fn restore_within(mut self, deadline: Duration) -> Self {
        self.restore_deadline_ms = as_ms(deadline);
        self
    }

    /// So long until redundancy must be whole again after the undo.
    #[must_use]
    pub fn whole_within(mut self, deadline: Duration) -> Self {
        self.whole_deadline_ms = as_ms(deadline);
        self
    }

    /// What it waits for.
    pub fn trigger(&self) -> Trigger {
        let default = if self.overlap { Trigger::AfterMs(0) } else { Trigger::Steady };
        self.when.clone().unwrap_or(default)
    }
}
