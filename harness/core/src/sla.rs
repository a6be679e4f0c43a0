//! Service level agreements: what was promised, read from `fixtures/sla/*.yaml`.

use crate::source::{self, Source, SourceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sla {
    /// Its name.
    pub name: String,
    /// Where its numbers come from.
    pub source: String,
    /// Share of purchases that must succeed.
    pub availability: Availability,
    /// How fast a purchase must be answered.
    pub response_time: ResponseTime,
    /// How fast service and redundancy must come back.
    #[serde(default)]
    pub recovery: RecoveryObjective,
    /// What the nodes may write into their logs.
    #[serde(default, skip_serializing_if = "Logs::is_empty")]
    pub logs: Logs,
}

/// What the nodes may write into their logs without a fault in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Lines that have one of these texts in them are no finding.
    #[serde(default)]
    pub allow: Vec<String>,
}

impl Logs {
    fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }
}

/// Share of purchases that must succeed, as the buyer sees it: retries of one purchase count once, and
/// "sold out" is an answer, not a failure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Percent in normal use.
    pub normal_percent: f64,
    /// Percent in activity peaks.
    pub peak_percent: f64,
    /// A peak is more than this many purchases a minute.
    pub peak_above_per_min: f64,
}

/// How fast a purchase must be answered, from the time at which the buyer meant to begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTime {
    /// No purchase may take longer, in milliseconds.
    pub max_ms: f64,
    /// The 99th percentile outside of fault windows, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_p99_ms: Option<f64>,
}

/// How fast service and redundancy must come back after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryObjective {
    /// Longest time without a sale around a fault, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_max_ms: Option<f64>,
    /// Longest time from the undo of a fault to whole redundancy, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_max_ms: Option<f64>,
}

impl Sla {
    /// Reads an agreement and refuses what cannot be meant: a share outside of 0..=100 %, a time that is
    /// not positive.
    pub fn parse(source: &Source) -> Result<Self, SourceError> {
        let sla: Self = source::parse_yaml(source)?;
        let percent = [
            ("availability.normal_percent", sla.availability.normal_percent),
            ("availability.peak_percent", sla.availability.peak_percent),
        ];
        for (key, value) in percent {
            if !(0.0..=100.0).contains(&value) {
                return Err(source.error(format!("{key} is {value}: give a percentage from 0 to 100")));
            }
        }
        if sla.logs.allow.iter().any(|text| text.trim().is_empty()) {
            return Err(source.error("logs.allow has an empty text, which every line contains: remove it".to_owned()));
        }
        let positive = [
            ("availability.peak_above_per_min", Some(sla.availability.peak_above_per_min)),
            ("response_time.max_ms", Some(sla.response_time.max_ms)),
            ("response_time.steady_p99_ms", sla.response_time.steady_p99_ms),
            ("recovery.outage_max_ms", sla.recovery.outage_max_ms),
            ("recovery.whole_max_ms", sla.recovery.whole_max_ms),
        ];
        for (key, value) in positive {
            if let Some(value) = value.filter(|value| value.is_nan() || *value <= 0.0) {
                return Err(source.error(format!("{key} is {value}: give a number above 0")));
            }
        }
        Ok(sla)
    }
}
