//! Exact percentiles, and the worst second.

/// Durations in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// In any order but that each place in `fixed` has what it would have if they were sorted, with nothing
    /// greater before it and nothing less after it.
    ms: Vec<f64>,
    fixed: Vec<usize>,
}

impl Durations {
    /// Collects them.
    pub fn of(durations_ms: impl IntoIterator<Item = f64>) -> Self {
        Self { ms: durations_ms.into_iter().collect(), fixed: Vec::new() }
    }

    /// The smallest duration that at least `percent` of all do not exceed (nearest rank); 0 of nothing.
    ///
    /// Selected, not sorted: O(n), and what was selected before bounds where the next is looked for.
    pub fn percentile_ms(&mut self, percent: f64) -> f64 {
        // Multiplied first: 0.56 * 50 is a little more than 28, and would be the 29th.
        let rank = (percent * self.ms.len() as f64 / 100.0).ceil() as usize;
        let index = rank.clamp(1, self.ms.len().max(1)) - 1;
        if self.ms.is_empty() {
            return 0.0;
        }
        if let Err(next) = self.fixed.binary_search(&index) {
            let from = next.checked_sub(1).map_or(0, |before| self.fixed[before] + 1);
            let until = self.fixed.get(next).copied().unwrap_or(self.ms.len());
            self.ms[from..until].select_nth_unstable_by(index - from, f64::total_cmp);
            self.fixed.insert(next, index);
        }
        self.ms[index]
    }

    /// The longest; 0 of nothing.
    pub fn max_ms(&self) -> f64 {
        self.ms.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ms.is_empty()
    }
}

/// Seconds that are told apart, at most: twelve days.
pub const SECONDS_MAX: usize = 1 << 20;

/// The second whose purchases took longest on the mean, with that mean: what an hour's percentile hides. Each second is
/// the sum of its purchases' times and how many they are.
pub fn worst_second(seconds: impl IntoIterator<Item = (f64, u32)>) -> Option<(usize, f64)> {
    let due = seconds.into_iter().enumerate().filter(|(_, (_, count))| *count > 0);
    let means = due.map(|(second, (sum_ms, count))| (second, sum_ms / f64::from(count)));
    means.max_by(|a, b| a.1.total_cmp(&b.1))
}
