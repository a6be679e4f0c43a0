//! The purchase load: what buyers do ([`journey`]), how many of them, and when.
//!
//! Two models. **Open**: purchases become due by a [`Curve`], whatever becomes of the ones before; that is
//! how a public on-sale behaves, and what shows a stall. **Closed**: a number of users, each of whom begins
//! again when he is done; that is how the load tests of 2020 were run, and what hides a stall. Both end in
//! the same records.

pub mod curve;
pub mod journey;

pub use curve::{Curve, Point};
pub use journey::{Action, Journey};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Most virtual users, or buyers of an open model: each holds a connection, and a machine has about 28,000
/// ports for them.
pub const BUYERS_MAX: u32 = 20_000;

/// The load of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// What buyers do: a file below `fixtures/journeys/` without its ending, or several by weight.
    pub journey: Mix,
    /// Purchases that begin per second, whatever becomes of the ones before (open model). 0 is nobody: then
    /// nothing can be said about sales, and the drill is inconclusive at best.
    pub rate_per_s: f64,
    /// How the rate changes with time; empty is not at all. A ramp has two points, a recorded on-sale as
    /// many as it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<Point>,
    /// Gaps between purchases.
    pub gaps: Gaps,
    /// A closed model instead: `rate_per_s`, `profile` and `gaps` then say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// Virtual buyers of the open model. An arrival that finds none free is refused and counted.
    pub buyers: u32,
    /// Event of the seed file that is bought from.
    pub event: String,
    /// Item of that event, or several by weight: each purchase is of one of them, so that several quotas are sold
    /// side by side.
    pub item: Mix,
    /// How long a buyer tries before he gives up, in milliseconds. The 2020 agreement promises an answer
    /// within 50 s.
    pub patience_ms: u64,
    /// How long one HTTP exchange may take, in milliseconds; then the attempt is in doubt.
    pub attempt_timeout_ms: u64,
}

impl Default for Load {
    /// 3 purchases a second are a quarter of what the whole stack sells on 2 cores by the order API (11.5 a
    /// second, docs/measurements.md, "Capacity"), and enough that a gap of a second shows.
    fn default() -> Self {
        Self {
            journey: Mix::default(),
            rate_per_s: 3.0,
            profile: Vec::new(),
            gaps: Gaps::Even,
            users: None,
            buyers: 120,
            event: "fair".to_owned(),
            item: Mix::One("Paid".to_owned()),
            patience_ms: 45_000,
            attempt_timeout_ms: 10_000,
        }
    }
}

/// Gaps between the purchases of an open model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gaps {
    /// All alike, as far as the rate is.
    #[default]
    Even,
    /// Exponential, by the seed: independent buyers (a Poisson process).
    Poisson,
}

/// A closed model: users who begin again when they are done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// How many of them begin per second.
    pub hatch_per_s: f64,
    /// How often each walks the journey; 0 is until the load ends.
    #[serde(default)]
    pub rounds: u32,
    /// How long each waits between two rounds, in milliseconds.
    #[serde(default)]
    pub think_ms: u64,
}

/// One name, or several by weight: journeys, items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Mix {
    /// Always the same.
    One(String),
    /// One of several, chosen by weight.
    Several(BTreeMap<String, u32>),
}

impl Default for Mix {
    fn default() -> Self {
        Self::One("order-api".to_owned())
    }
}

impl Mix {
    /// Names and weights, in the order of the names.
    pub fn parts(&self) -> Vec<(&str, u32)> {
        match self {
            Self::One(name) => vec![(name, 1)],
            Self::Several(parts) => parts.iter().map(|(name, weight)| (name.as_str(), *weight)).collect(),
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::Several(parts) => {
                let parts: Vec<String> = parts.iter().map(|(name, weight)| format!("{name} x{weight}")).collect();
                f.write_str(&parts.join(", "))
            }
        }
    }
}

/// When purchases begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// By a curve, whatever becomes of the ones before.
    Open {
        /// How many, over time.
        curve: Curve,
        /// Their gaps.
        gaps: Gaps,
    },
    /// By users who begin again when they are done.
    Closed(Users),
}

impl Load {
    /// Whether anybody buys.
    pub fn is_any(&self) -> bool {
        self.users.is_some() || self.rate_per_s > 0.0
    }

    /// Its model.
    ///
    /// # Errors
    /// In words, what cannot be meant.
    pub fn model(&self) -> Result<Model, String> {
        let Some(users) = self.users else {
            let curve = Curve::new(self.rate_per_s, &self.profile)?;
            return Ok(Model::Open { curve, gaps: self.gaps });
        };
        if users.count == 0 || users.count > BUYERS_MAX {
            return Err(format!("users.count is {}: give 1 to {BUYERS_MAX}", users.count));
        }
        if !(users.hatch_per_s > 0.0 && users.hatch_per_s <= f64::from(BUYERS_MAX)) {
            return Err(format!("users.hatch_per_s is {}: give a rate above 0", users.hatch_per_s));
        }
        Ok(Model::Closed(users))
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// In words, which key and why.
    pub fn check(&self) -> Result<(), String> {
        if !(self.rate_per_s >= 0.0 && self.rate_per_s <= 10_000.0) {
            return Err(format!("load.rate_per_s is {}: give a rate from 0 (nobody) to 10000", self.rate_per_s));
        }
        self.model().map_err(|message| format!("load: {message}"))?;
        if self.buyers == 0 || self.buyers > BUYERS_MAX {
            return Err(match self.buyers {
                0 => "load.buyers is 0: nobody would buy".to_owned(),
                many => format!("load.buyers is {many}: give at most {BUYERS_MAX}"),
            });
        }
        if self.patience_ms == 0 || self.attempt_timeout_ms == 0 {
            return Err("load.patience_ms and load.attempt_timeout_ms must be above 0".to_owned());
        }
        for (key, mix) in [("journey", &self.journey), ("item", &self.item)] {
            if mix.parts().iter().all(|(_, weight)| *weight == 0) {
                return Err(format!("load.{key} names nothing, or only weights of 0: nobody would do anything"));
            }
        }
        Ok(())
    }

    /// Purchases that are due in the first seconds of the load; none for a closed model, which has as many
    /// as the shop lets it have.
    pub fn planned_in(&self, first_s: f64) -> Option<f64> {
        match self.model() {
            Ok(Model::Open { curve, .. }) => Some(curve.due_until(first_s)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("{}", "order-api")]
    #[case("journey: web-checkout", "web-checkout")]
    #[case("journey: {order-api: 3, check-in: 1}", "check-in x1, order-api x3")]
    fn journeys_are_one_or_several(#[case] yaml: &str, #[case] mix: &str) {
        let load: Load = serde_saphyr::from_str(yaml).expect("a load");
        assert_eq!(load.check(), Ok(()));
        assert_eq!(load.journey.to_string(), mix);
    }

    #[rstest]
    #[case("journey: {order-api: 0}", "load.journey names nothing")]
    #[case("journey: {}", "load.journey names nothing")]
    #[case("item: {Paid: 0}", "load.item names nothing")]
    #[case("buyers: 30000", "at most 20000")]
    #[case("users: {count: 0, hatch_per_s: 1}", "users.count is 0")]
    #[case("users: {count: 3, hatch_per_s: 0}", "users.hatch_per_s is 0")]
    #[case("profile: [{at_s: 3, share: 1}, {at_s: 2, share: 1}]", "sort them")]
    fn what_cannot_be_meant_is_refused(#[case] yaml: &str, #[case] why: &str) {
        let load: Load = serde_saphyr::from_str(yaml).expect("a load");
        let refused = load.check().expect_err("it cannot be meant");
        assert!(refused.contains(why), "{refused}");
    }

    #[test]
    fn a_closed_model_plans_no_number() {
        let load: Load = serde_saphyr::from_str("users: {count: 400, hatch_per_s: 20, rounds: 1}").expect("a load");
        assert!(load.is_any());
        assert_eq!(load.planned_in(60.0), None);
        assert_eq!(Load::default().planned_in(60.0), Some(180.0));
    }
}
