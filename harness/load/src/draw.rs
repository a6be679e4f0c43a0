//! Everything that is drawn from a run's seed: gaps, waits, jitter, choices. The same on every machine and in
//! every version, so that a run can be repeated.

use firedrill_core::ids::OpId;

/// The step of splitmix64 between two draws.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of splitmix64: a stable pseudo-random function.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number that is drawn for an operation; `purpose` keeps what it is for apart from everything else that is
/// drawn from the seed.
pub(crate) fn for_operation(seed: u64, op: OpId, purpose: u64) -> u64 {
    mix(seed ^ mix(op.0 ^ purpose))
}

/// A sequence of draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draws {
    state: u64,
}

impl Draws {
    /// The sequence of a seed; those who share a run's seed put something of their own into it.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        let drawn = mix(self.state);
        self.state = self.state.wrapping_add(STEP);
        drawn
    }

    /// The next number between two bounds, both included.
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % most.saturating_sub(least).saturating_add(1)
    }

    /// The next number above 0 and below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        // 53 bits, moved by a half, so that neither bound is met.
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// Things by weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weighted<T> {
    /// Each with the sum of the weights up to its own.
    parts: Vec<(u64, T)>,
}

impl<T> Weighted<T> {
    /// These things; those of weight 0 are left out. None where nothing is left.
    pub(crate) fn new(things: impl IntoIterator<Item = (T, u32)>) -> Option<Self> {
        let mut sum = 0;
        let mut parts = Vec::new();
        for (thing, weight) in things.into_iter().filter(|(_, weight)| *weight > 0) {
            sum += u64::from(weight);
            parts.push((sum, thing));
        }
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().map(|(_, thing)| thing)
    }

    /// The one that a number, any number, falls on.
    pub(crate) fn choose(&self, drawn: u64) -> &T {
        let total = self.parts.last().map_or(1, |(sum, _)| *sum);
        let index = self.parts.partition_point(|(sum, _)| *sum <= drawn % total);
        &self.parts[index.min(self.parts.len() - 1)].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_chosen_by_weight() {
        let things = Weighted::new([('a', 3), ('b', 0), ('c', 1)]).expect("some");
        let chosen: String = (0..8).map(|drawn| *things.choose(drawn)).collect();
        assert_eq!(chosen, "aaacaaac");
        assert_eq!(things.iter().collect::<String>(), "ac");
        assert_eq!(Weighted::new([('a', 0)]), None);
    }

    #[test]
    fn the_draws_are_those_of_splitmix64() {
        // The reference implementation with the seed 1234567 (Vigna, splitmix64.c).
        let mut draws = Draws { state: 1_234_567 };
        let first = [draws.next(), draws.next(), draws.next()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut draws = Draws::new(7);
        let drawn: Vec<u64> = (0..1_000).map(|_| draws.within(3, 5)).collect();
        assert!((3..=5).all(|wanted| drawn.contains(&wanted)) && drawn.iter().all(|one| (3..=5).contains(one)));
        assert_eq!(draws.within(4, 4), 4);
        assert!((0..1_000).map(|_| draws.uniform()).all(|one| one > 0.0 && one < 1.0));
    }
}
