//! When the purchases of an open model are due.
//!
//! The same curve, gaps and seed give the same instants on every machine: whoever has doubts about a run
//! can have exactly its arrivals again.

use crate::draw::Draws;
use firedrill_core::load::{Curve, Gaps};

/// Keeps the draws of the gaps apart from everything else that is drawn from a run's seed.
const SALT: u64 = 0x6172_7269_7661_6c73;

/// Instants at which purchases are due, in nanoseconds from the start of the load. Never falls; ends only
/// where the rate falls to 0 for good.
#[derive(Debug, Clone)]
pub struct Schedule {
    curve: Curve,
    gaps: Gaps,
    draws: Draws,
    /// Number of the next purchase, from 0.
    number: u64,
    /// Sum of the gaps drawn so far, at a rate of one per second.
    drawn: f64,
    last_ns: u64,
}

impl Schedule {
    /// The schedule of a load. `seed` matters for [`Gaps::Poisson`] only.
    pub fn new(curve: Curve, gaps: Gaps, seed: u64) -> Self {
        Self { curve, gaps, draws: Draws::new(seed ^ SALT), number: 0, drawn: 0.0, last_ns: 0 }
    }

    /// When purchase number `number` is due, in seconds.
    fn next_due_s(&mut self) -> Option<f64> {
        match self.gaps {
            Gaps::Even => {
                // From the number, not from the one before: rounding does not add up. Where the rate ends,
                // the purchases are as many as the area below the curve, rounded.
                self.curve.when_due(self.number as f64 + 0.5)?;
                self.curve.when_due(self.number as f64)
            }
            Gaps::Poisson => {
                // A process of rate 1, run through the inverse of the curve's integral, has the curve's rate.
                // An exponential gap of mean 1, by inversion.
                self.drawn -= self.draws.uniform().ln();
                self.curve.when_due(self.drawn)
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let due_s = self.next_due_s()?;
        self.number += 1;
        self.last_ns = self.last_ns.max((due_s * 1e9) as u64);
        Some(self.last_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_core::load::Point;
    use proptest::prelude::*;
    use rstest::rstest;

    fn curve(per_s: f64, points: &[(f64, f64)]) -> Curve {
        let points: Vec<Point> = points.iter().map(|&(at_s, share)| Point { at_s, share }).collect();
        Curve::new(per_s, &points).expect("a sound curve")
    }

    fn schedule(per_s: f64, points: &[(f64, f64)], gaps: Gaps, seed: u64) -> Schedule {
        Schedule::new(curve(per_s, points), gaps, seed)
    }

    #[test]
    fn a_constant_rate_does_not_drift() {
        let mut even = schedule(3.0, &[], Gaps::Even, 1);
        assert_eq!(even.next(), Some(0));
        assert_eq!(even.next(), Some(333_333_333));
        assert_eq!(even.nth(3 * 86_400 - 2), Some(86_400 * 1_000_000_000));
    }

    #[rstest]
    #[case::all(&[(0.0, 1.0), (10.0, 0.0)], 3.0, 15)]
    #[case::a_half_counts(&[(0.0, 1.0), (10.0, 0.0)], 3.1, 16)]
    #[case::less_does_not(&[(0.0, 1.0), (10.0, 0.0)], 3.08, 15)]
    #[case::nobody(&[], 0.0, 0)]
    fn a_rate_that_ends_ends_the_arrivals(#[case] points: &[(f64, f64)], #[case] per_s: f64, #[case] count: usize) {
        assert_eq!(schedule(per_s, points, Gaps::Even, 1).count(), count);
    }

    #[test]
    fn a_poisson_process_that_ends_has_about_as_many_arrivals() {
        // 10,000 are due; the standard deviation is 100.
        let count = schedule(1_000.0, &[(0.0, 1.0), (20.0, 0.0)], Gaps::Poisson, 7).count();
        assert!((9_500..=10_500).contains(&count), "{count}");
    }

    /// Gaps in units of the mean gap: for an exponential distribution both moments are 1.
    #[rstest]
    #[case(1, 10.0)]
    #[case(7, 2_000.0)]
    #[case(42, 0.5)]
    fn poisson_gaps_have_mean_and_variance_of_an_exponential(#[case] seed: u64, #[case] per_s: f64) {
        const COUNT: usize = 100_000;
        let dues: Vec<f64> = schedule(per_s, &[], Gaps::Poisson, seed).take(COUNT).map(|ns| ns as f64).collect();
        let gaps: Vec<f64> = dues.windows(2).map(|pair| (pair[1] - pair[0]) * per_s / 1e9).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The standard errors are 0.3 % and 0.9 %.
        assert!((mean - 1.0).abs() < 0.015, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.045, "variance {variance}");
        // Independent: neighbours do not know of each other (standard error 0.3 %).
        let together = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
        let correlation = together / (gaps.len() as f64 * variance);
        assert!(correlation.abs() < 0.015, "correlation {correlation}");
    }

    #[test]
    fn poisson_arrivals_follow_the_curve() {
        let ramp = schedule(1_000.0, &[(0.0, 0.0), (20.0, 1.0)], Gaps::Poisson, 3);
        let first_half = ramp.take_while(|due_ns| *due_ns < 10_000_000_000).count();
        // 1,000 per second times 10 s times a mean share of a quarter: 2,500, with a deviation of 50.
        assert!((2_250..=2_750).contains(&first_half), "{first_half}");
    }

    proptest! {
        #[test]
        fn a_schedule_never_falls_and_can_be_repeated(
            per_s in 0.01f64..5_000.0,
            steps in prop::collection::vec((0.0f64..30.0, 0.0f64..2.0), 0..5),
            poisson in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut now = 0.0;
            let points: Vec<(f64, f64)> = steps.iter().map(|&(gap, share)| { now += gap; (now, share) }).collect();
            let gaps = if poisson { Gaps::Poisson } else { Gaps::Even };
            let dues: Vec<u64> = schedule(per_s, &points, gaps, seed).take(500).collect();
            prop_assert!(dues.is_sorted());
            let again: Vec<u64> = schedule(per_s, &points, gaps, seed).take(500).collect();
            prop_assert_eq!(&dues, &again);
            if poisson && dues.len() > 10 {
                let other: Vec<u64> = schedule(per_s, &points, gaps, seed ^ 1).take(500).collect();
                prop_assert_ne!(&dues, &other);
            }
        }

        #[test]
        fn even_arrivals_are_as_many_as_are_due(
            per_s in 0.5f64..200.0,
            steps in prop::collection::vec((0.0f64..10.0, 0.0f64..2.0), 0..5),
            until_s in 0.1f64..20.0,
        ) {
            let mut now = 0.0;
            let points: Vec<(f64, f64)> = steps.iter().map(|&(gap, share)| { now += gap; (now, share) }).collect();
            let due = curve(per_s, &points).due_until(until_s);
            let until_ns = (until_s * 1e9) as u64;
            let count = schedule(per_s, &points, Gaps::Even, 0).take_while(|ns| *ns < until_ns).count() as f64;
            prop_assert!((count - due).abs() <= 1.0 + 1e-6, "{} arrivals, {} are due", count, due);
        }
    }
}
