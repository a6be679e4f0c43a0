//! Exact percentiles.

/// Durations in milliseconds, sorted.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    sorted_ms: Vec<f64>,
}

impl Durations {
    /// Sorts them.
    pub fn of(durations_ms: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted_ms: Vec<f64> = durations_ms.into_iter().collect();
        sorted_ms.sort_unstable_by(f64::total_cmp);
        Self { sorted_ms }
    }

    /// The smallest duration that at least `percent` of all do not exceed (nearest rank); 0 of nothing.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        // Multiplied first: 0.56 * 50 is a little more than 28, and would be the 29th.
        let rank = (percent * self.sorted_ms.len() as f64 / 100.0).ceil() as usize;
        let index = rank.clamp(1, self.sorted_ms.len().max(1)) - 1;
        self.sorted_ms.get(index).copied().unwrap_or(0.0)
    }

    /// The longest; 0 of nothing.
    pub fn max_ms(&self) -> f64 {
        self.sorted_ms.last().copied().unwrap_or(0.0)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.sorted_ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted_ms.is_empty()
    }
}
