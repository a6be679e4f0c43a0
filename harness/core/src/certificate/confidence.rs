//! How sure a certificate can be: no number of drills proves that an order is never lost, but each makes a larger
//! share of lossy failovers less credible.

use super::{Commission, Part};
use crate::ids::TierName;
use crate::verdict::StepVerdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How sure a statement is that is made with [`upper_bound_percent`].
const CONFIDENCE_PERCENT: f64 = 95.0;

/// What the losses of a tier's primary say about its next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confidence {
    /// The tier.
    pub tier: TierName,
    /// How often its primary was lost and another one took over.
    pub failovers: u32,
    /// How many of these lost an order.
    pub lossy: u32,
    /// Fewer than this share of failovers lose an order, in percent, at 95 % confidence.
    pub at_most_percent: f64,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, failovers, lossy, at_most_percent } = self;
        let lossy = if *lossy == 0 { "none".to_owned() } else { lossy.to_string() };
        write!(
            f,
            "{failovers} failovers of {tier}, {lossy} of which lost an order: at {CONFIDENCE_PERCENT:.0} % confidence at most \
             {at_most_percent:.1} % of failovers do"
        )
    }
}

/// For every tier whose primary was lost, in the order of their names.
pub(super) fn of(commission: &Commission, parts: &[Part]) -> Vec<Confidence> {
    let planned = commission.drills.iter().flat_map(|drill| &drill.steps);
    let mut counts: BTreeMap<TierName, (u32, u32)> = planned
        .filter(|step| step.target.to_string().starts_with("primary("))
        .filter_map(|step| step.target.tier().cloned())
        .map(|tier| (tier, (0, 0)))
        .collect();
    for step in parts.iter().flat_map(|part| &part.verdict.steps).filter(|step| is_failover(step)) {
        let (failovers, lossy) = counts.entry(step.tier.clone()).or_default();
        *failovers += 1;
        *lossy += u32::from(step.lost > 0);
    }
    let counts = counts.into_iter().filter(|(_, (failovers, _))| *failovers > 0);
    counts
        .map(|(tier, (failovers, lossy))| Confidence {
            tier,
            failovers,
            lossy,
            at_most_percent: upper_bound_percent(failovers, lossy),
        })
        .collect()
}

/// Whether another node took over in it.
fn is_failover(step: &StepVerdict) -> bool {
    step.effective.is_some() && step.recovery.promoted_ms.is_some()
}

/// The largest share of bad cases, in percent, that `bad` of `tried` leave credible at 95 % confidence: the upper
/// Clopper-Pearson bound, one-sided (Clopper and Pearson 1934). For no bad one it is `1 - 0.05^(1/n)`, which the rule of
/// three, `3/n`, bounds from above (Hanley and Lippman-Hand 1983). Of nothing tried everything is credible.
pub fn upper_bound_percent(tried: u32, bad: u32) -> f64 {
    if bad >= tried {
        return 100.0;
    }
    // The share at which so few bad cases, or fewer, have a probability of 5 %. It falls as the share grows.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let share = f64::midpoint(low, high);
        if at_most(bad, tried, share) > 1.0 - CONFIDENCE_PERCENT / 100.0 {
            low = share;
        } else {
            high = share;
        }
    }
    high * 100.0
}

/// The probability of at most `bad` bad cases in `tried` when each is bad with this probability.
fn at_most(bad: u32, tried: u32, share: f64) -> f64 {
    let good = 1.0 - share;
    if good <= 0.0 {
        return 0.0;
    }
    // In logarithms: the powers of a thousand tries do not fit into a float.
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for k in 0..=bad {
        if k > 0 {
            log_choose += f64::from(tried - k + 1).ln() - f64::from(k).ln();
        }
        let log_share = if k == 0 { 0.0 } else { f64::from(k) * share.ln() };
        sum += (log_choose + log_share + f64::from(tried - k) * good.ln()).exp();
    }
    sum
}
