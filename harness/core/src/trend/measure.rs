//! What is measured of a cell, and which difference matters.

use super::rank;
use crate::verdict::{Judgement, StepVerdict};
use schemars::JsonSchema;
use serde::Serialize;

/// A number of a fault's window. Of all of them less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The longest time without a sale, at most; 0 where there was none.
    OutageMs,
    /// From the effect until buyers were served without errors again.
    RestoredMs,
    /// From the undo until redundancy was whole again.
    WholeMs,
    /// Purchases that failed for the buyer, of a hundred that were due.
    FailedPercent,
    /// Exchanges that met an error, for every hundred purchases that were due.
    ErrorsPercent,
    /// 99th percentile of the purchase time from the intended start.
    P99Ms,
    /// Confirmed orders that are gone.
    LostOrders,
    /// Of a hundred repeats those that failed or could not be judged.
    NotPassedPercent,
}

/// From where on a difference matters to somebody. Both must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Practical {
    /// In the unit of the measure.
    pub absolute: f64,
    /// In percent of the baseline.
    pub relative_percent: f64,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::OutageMs,
        Self::RestoredMs,
        Self::WholeMs,
        Self::FailedPercent,
        Self::ErrorsPercent,
        Self::P99Ms,
        Self::LostOrders,
        Self::NotPassedPercent,
    ];

    /// Its name for people, without its unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::OutageMs => "outage",
            Self::RestoredMs => "served again",
            Self::WholeMs => "redundancy whole",
            Self::FailedPercent => "failed purchases",
            Self::ErrorsPercent => "errors per 100 purchases",
            Self::P99Ms => "p99",
            Self::LostOrders => "lost orders",
            Self::NotPassedPercent => "not passed",
        }
    }

    /// Whether it is a duration in milliseconds.
    pub fn is_duration(self) -> bool {
        matches!(self, Self::OutageMs | Self::RestoredMs | Self::WholeMs | Self::P99Ms)
    }

    /// The measure of one step; none where it was not seen. Infinite is what did not come about before its deadline.
    ///
    /// A step without proof of effect says only that it did not pass: its numbers are of an undisturbed stack.
    pub fn of(self, step: &StepVerdict) -> Option<f64> {
        let due = (step.operations > 0).then_some(step.operations as f64);
        let per_hundred = |count: u64| due.map(|due| count as f64 * 100.0 / due);
        let deadline = |ms: Option<f64>| match (ms, step.judgement) {
            (None, Judgement::Fail) => Some(f64::INFINITY),
            _ => ms,
        };
        if self == Self::NotPassedPercent {
            return Some(if step.judgement == Judgement::Pass { 0.0 } else { 100.0 });
        }
        step.effective?;
        let value = match self {
            Self::OutageMs => step.outage.map(|outage| outage.max_ms).or(due.map(|_| 0.0)),
            Self::RestoredMs => deadline(step.recovery.restored_ms),
            Self::WholeMs => deadline(step.recovery.whole_ms),
            Self::FailedPercent => per_hundred(step.failed),
            Self::ErrorsPercent => per_hundred(step.errors),
            Self::P99Ms => due.map(|_| step.p99_ms),
            Self::LostOrders => Some(step.lost as f64),
            Self::NotPassedPercent => None,
        };
        value.filter(|value| !value.is_nan())
    }

    /// From where on a difference matters. Of times 10 %, and more than what is between two looks: observers ask every
    /// node once in 100 ms, and an outage is seen by purchases, which have gaps between them.
    pub fn practical(self) -> Practical {
        let (absolute, relative_percent) = match self {
            Self::OutageMs | Self::RestoredMs => (250.0, 10.0),
            Self::WholeMs => (1_000.0, 10.0),
            Self::FailedPercent => (0.1, 10.0),
            Self::ErrorsPercent => (0.5, 10.0),
            Self::P99Ms => (25.0, 10.0),
            // Any order is one too many.
            Self::LostOrders => (0.0, 0.0),
            Self::NotPassedPercent => (10.0, 0.0),
        };
        Practical { absolute, relative_percent }
    }

    /// Where a sample lies: of durations the median, which one bad night does not move; of what is counted the mean,
    /// because the median of rare things is nought however often they happen. 0 of nothing.
    pub fn centre(self, values: &[f64]) -> f64 {
        if self.is_duration() {
            rank::median(values.to_vec())
        } else {
            values.iter().sum::<f64>() / values.len().max(1) as f64
        }
    }

    /// By how much the second sample is greater: see [`rank::shift`]; of what is counted the difference of the means.
    pub fn shift(self, a: &[f64], b: &[f64]) -> f64 {
        if self.is_duration() { rank::shift(a, b) } else { self.centre(b) - self.centre(a) }
    }

    /// Whether a shift from a baseline matters.
    pub fn matters(self, shift: f64, baseline: f64) -> bool {
        let Practical { absolute, relative_percent } = self.practical();
        let size = shift.abs();
        // What was infinite and no longer is has changed by more than any share of it.
        let relative = baseline.is_infinite() || size * 100.0 >= relative_percent * baseline.abs();
        size > 0.0 && size >= absolute && relative
    }
}
