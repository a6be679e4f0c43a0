//! How many purchases are due, over time.
//!
//! A rate that is linear between points and constant after the last one. Its integral is piecewise
//! quadratic, and both directions have closed forms: how many are due until an instant, and when the n-th
//! is due. So nothing is summed up step by step, and a load does not drift however long it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Highest rate that is taken, in purchases per second.
pub const RATE_MAX_PER_S: f64 = 100_000.0;

/// Slopes below this, in purchases per square second, are treated as none: the error that the quadratic
/// formula would make with them is larger than what they contribute in a day.
const FLAT: f64 = 1e-12;

/// A point of a rate that changes with time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Seconds from the start of the load.
    pub at_s: f64,
    /// Share of the load's rate that is due then: 1 is all of it.
    pub share: f64,
}

/// Purchases per second over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Sorted by time; the first is at 0.
    knots: Vec<Knot>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Knot {
    at_s: f64,
    per_s: f64,
    /// Purchases due until here.
    until: f64,
}

impl Curve {
    /// A constant rate.
    ///
    /// # Errors
    /// In words, what is wrong with the rate.
    pub fn constant(per_s: f64) -> Result<Self, String> {
        Self::new(per_s, &[])
    }

    /// A rate that follows `profile`, whose shares are of `per_s`. Before the first point the rate is that
    /// of the first, after the last point that of the last; no points are a constant rate.
    ///
    /// # Errors
    /// In words, what is wrong with rate or points.
    pub fn new(per_s: f64, profile: &[Point]) -> Result<Self, String> {
        if !(0.0..=RATE_MAX_PER_S).contains(&per_s) {
            return Err(format!("the rate is {per_s} per second: give one from 0 (nobody) to {RATE_MAX_PER_S}"));
        }
        let mut knots: Vec<Knot> = Vec::with_capacity(profile.len() + 1);
        let first = Knot { at_s: 0.0, per_s: per_s * profile.first().map_or(1.0, |point| point.share), until: 0.0 };
        knots.push(first);
        for point in profile {
            let rate = per_s * point.share;
            if !point.at_s.is_finite() || point.at_s < 0.0 || !(0.0..=RATE_MAX_PER_S).contains(&rate) {
                let Point { at_s, share } = point;
                return Err(format!("the point at_s {at_s}, share {share} is no instant with a rate: give 0 or more"));
            }
            let last = knots[knots.len() - 1];
            if point.at_s < last.at_s {
                return Err(format!("the point at {} s comes after the one at {} s: sort them", point.at_s, last.at_s));
            }
            let until = last.until + (point.at_s - last.at_s) * (last.per_s + rate) / 2.0;
            knots.push(Knot { at_s: point.at_s, per_s: rate, until });
        }
        Ok(Self { knots })
    }

    /// The points of a rate that rises from 0 to all of it.
    pub fn ramp(length_s: f64) -> [Point; 2] {
        [Point { at_s: 0.0, share: 0.0 }, Point { at_s: length_s, share: 1.0 }]
    }

    /// Purchases per second at an instant, in seconds from the start.
    pub fn per_s_at(&self, at_s: f64) -> f64 {
        let (from, slope) = self.segment(self.knots.partition_point(|knot| knot.at_s <= at_s));
        from.per_s + slope * (at_s - from.at_s).max(0.0)
    }

    /// Purchases that are due from the start until an instant, in seconds.
    pub fn due_until(&self, at_s: f64) -> f64 {
        let (from, slope) = self.segment(self.knots.partition_point(|knot| knot.at_s <= at_s));
        let passed_s = (at_s - from.at_s).max(0.0);
        from.until + passed_s * (from.per_s + slope * passed_s / 2.0)
    }

    /// When so many purchases have become due, in seconds; none if that never happens, because the rate
    /// falls to 0 for good.
    pub fn when_due(&self, count: f64) -> Option<f64> {
        // The first knot that has them all, or the end: the segment before it is where they are due.
        let (from, slope) = self.segment(self.knots.partition_point(|knot| knot.until < count).max(1));
        let missing = (count - from.until).max(0.0);
        if missing == 0.0 {
            return Some(from.at_s);
        }
        let passed_s = if slope.abs() < FLAT {
            missing / from.per_s
        } else {
            // The smaller root of slope/2 * t^2 + rate * t = missing, in the form that cancels nothing.
            let root = from.per_s.mul_add(from.per_s, 2.0 * slope * missing).max(0.0).sqrt();
            2.0 * missing / (from.per_s + root)
        };
        passed_s.is_finite().then_some(from.at_s + passed_s)
    }

    /// Highest rate, in purchases per second.
    pub fn peak_per_s(&self) -> f64 {
        self.knots.iter().map(|knot| knot.per_s).fold(0.0, f64::max)
    }

    /// The segment that ends at knot number `next`: where it begins, and its slope.
    fn segment(&self, next: usize) -> (Knot, f64) {
        let from = self.knots[next.saturating_sub(1).min(self.knots.len() - 1)];
        let slope = match self.knots.get(next) {
            Some(to) if to.at_s > from.at_s => (to.per_s - from.per_s) / (to.at_s - from.at_s),
            _ => 0.0,
        };
        (from, slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn curve(per_s: f64, points: &[(f64, f64)]) -> Curve {
        let points: Vec<Point> = points.iter().map(|&(at_s, share)| Point { at_s, share }).collect();
        Curve::new(per_s, &points).expect("a sound curve")
    }

    #[rstest]
    #[case::constant(&[], 10.0, 30.0)]
    #[case::ramp(&[(0.0, 0.0), (10.0, 1.0)], 10.0, 15.0)]
    #[case::ramp_and_on(&[(0.0, 0.0), (10.0, 1.0)], 20.0, 45.0)]
    #[case::jump(&[(0.0, 0.0), (5.0, 0.0), (5.0, 1.0)], 10.0, 15.0)]
    #[case::spike(&[(0.0, 1.0), (10.0, 0.0)], 99.0, 15.0)]
    fn what_is_due_is_the_area_below(#[case] points: &[(f64, f64)], #[case] at_s: f64, #[case] due: f64) {
        assert!((curve(3.0, points).due_until(at_s) - due).abs() < 1e-9);
    }

    #[test]
    fn what_never_becomes_due_has_no_instant() {
        let spike = curve(3.0, &[(0.0, 1.0), (10.0, 0.0)]);
        assert!(spike.when_due(14.9).is_some_and(|at_s| at_s < 10.0));
        assert_eq!(spike.when_due(15.1), None);
        assert_eq!(curve(0.0, &[]).when_due(1.0), None);
        assert_eq!(curve(3.0, &[]).when_due(0.0), Some(0.0));
    }

    #[rstest]
    #[case(-1.0, &[])]
    #[case(f64::NAN, &[])]
    #[case(f64::INFINITY, &[])]
    #[case(3.0, &[(-1.0, 1.0)])]
    #[case(3.0, &[(0.0, -0.5)])]
    #[case(3.0, &[(f64::NAN, 1.0)])]
    #[case(3.0, &[(5.0, 1.0), (4.0, 1.0)])]
    #[case(3.0, &[(0.0, 1e9)])]
    fn what_cannot_be_meant_is_refused(#[case] per_s: f64, #[case] points: &[(f64, f64)]) {
        let points: Vec<Point> = points.iter().map(|&(at_s, share)| Point { at_s, share }).collect();
        assert!(Curve::new(per_s, &points).is_err());
    }

    proptest! {
        #[test]
        fn both_directions_agree(
            per_s in 0.01f64..2_000.0,
            steps in prop::collection::vec((0.0f64..100.0, 0.0f64..3.0), 0..6),
            at_s in 0.0f64..600.0,
        ) {
            let mut now = 0.0;
            let points: Vec<(f64, f64)> = steps.iter().map(|&(gap, share)| { now += gap; (now, share) }).collect();
            let curve = curve(per_s, &points);
            let due = curve.due_until(at_s);
            if let Some(back_s) = curve.when_due(due) {
                // Where nothing is due for a while, the first instant of the pause is given.
                prop_assert!(back_s <= at_s + 1e-6);
                prop_assert!((curve.due_until(back_s) - due).abs() <= 1e-6 * due.max(1.0));
            }
            prop_assert!(curve.due_until(at_s + 1.0) >= due);
            prop_assert!(curve.per_s_at(at_s) <= curve.peak_per_s() + 1e-9);
        }
    }
}
