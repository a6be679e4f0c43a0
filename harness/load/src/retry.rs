//! How long a buyer waits before he tries again.

use crate::draw::{Draws, mix};
use firedrill_core::ids::OpId;
use std::time::Duration;

/// First back-off, in milliseconds.
const FIRST_MS: u64 = 250;

/// Longest back-off, in milliseconds.
const LONGEST_MS: u64 = 2_000;

/// Longest `Retry-After` that a buyer honours, in milliseconds. Pretix asks for 5 s when it is too busy.
const LONGEST_RETRY_AFTER_MS: u64 = 5_000;

/// The back-off of one operation: 250 ms doubling to 2 s, each 25 % shorter or longer by chance.
///
/// The chance is a function of seed and operation, so that a run can be repeated; it is there so that
/// buyers who failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    draws: Draws,
    next_ms: u64,
}

impl Backoff {
    /// The back-off of this operation.
    pub fn new(seed: u64, op: OpId) -> Self {
        Self { draws: Draws::new(seed ^ mix(op.0)), next_ms: FIRST_MS }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let base_ms = self.next_ms;
        self.next_ms = (base_ms * 2).min(LONGEST_MS);
        // 0.75 to 1.25 of the base, in steps of a thousandth.
        Duration::from_micros(base_ms * self.draws.within(750, 1_250))
    }

    /// The wait after "too busy": what the shop asks for, within reason, or else the next back-off.
    pub fn after_busy(&mut self, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(asked) => asked.min(Duration::from_millis(LONGEST_RETRY_AFTER_MS)),
            None => self.next_wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_two_seconds_within_a_quarter() {
        let mut backoff = Backoff::new(1, OpId(1));
        for base_ms in [250.0, 500.0, 1000.0, 2000.0, 2000.0, 2000.0] {
            let ratio = backoff.next_wait().as_secs_f64() * 1e3 / base_ms;
            assert!((0.75..=1.25).contains(&ratio), "{ratio} of {base_ms} ms");
        }
    }

    #[test]
    fn waits_depend_on_seed_and_operation_only() {
        let first = |seed, op| Backoff::new(seed, OpId(op)).next_wait();
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
    }

    #[test]
    fn what_the_shop_asks_for_is_honoured_within_reason() {
        let mut backoff = Backoff::new(1, OpId(1));
        assert_eq!(backoff.after_busy(Some(Duration::from_secs(1))), Duration::from_secs(1));
        assert_eq!(backoff.after_busy(Some(Duration::from_secs(600))), Duration::from_secs(5));
        assert!(backoff.after_busy(None) <= Duration::from_millis(313));
    }
}
