//! Whether buyers still wait in a queue that an earlier fault has left.

use crate::session::lock;
use std::sync::Mutex;

/// A median this many times the best one of the drill means a queue.
const SLOWER_FACTOR: f64 = 2.0;

/// Below this more than the best, a median is no queue but chance: a purchase takes some hundred milliseconds.
const SLOWER_MIN_MS: f64 = 500.0;

/// The medians of the purchases of one drill, as they were whenever sales were looked at and went well.
///
/// An outage leaves a queue: who waited and who came since buys at once, on top of those who come now. The next fault
/// into that queue makes it longer, until nobody is served before his patience is over, and no number of a step is
/// its own. The best median so far is taken, and not a number of purchases under way, because it does not change with
/// a rate that rises or falls as planned.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    best_ms: Mutex<Option<f64>>,
}

impl Pace {
    /// Takes a median into account, and says what is wrong where purchases are much slower than they can be. No median
    /// is no objection: whether anybody buys at all is asked elsewhere.
    pub(crate) fn queue(&self, median_ms: Option<f64>) -> Option<String> {
        let median_ms = median_ms?;
        let mut best = lock(&self.best_ms);
        let best_ms = best.map_or(median_ms, |best_ms| best_ms.min(median_ms));
        *best = Some(best_ms);
        let most_ms = (best_ms * SLOWER_FACTOR).max(best_ms + SLOWER_MIN_MS);
        (median_ms > most_ms).then(|| {
            format!("buyers wait in a queue: a purchase takes {median_ms:.0} ms (median), and took {best_ms:.0} ms")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn a_queue_is_told_from_chance_and_from_a_slow_shop() {
        let check = |name: &str, medians_ms: &[f64], queue: bool| {
            let pace = Pace::default();
            assert_eq!(pace.queue(None), None, "{name}");
            let (last, before) = medians_ms.split_last().expect("some");
            before.iter().for_each(|ms| drop(pace.queue(Some(*ms))));
            assert_eq!(pace.queue(Some(*last)).is_some(), queue, "{name}");
        };
        check("the first one is what it is", &[4_000.0], false);
        check("chance", &[200.0, 690.0], false);
        check("more than half a second more", &[200.0, 710.0], true);
        check("a slow shop", &[3_000.0, 5_900.0], false);
        check("a slow shop with a queue", &[3_000.0, 6_100.0], true);
        check("the queue is gone", &[200.0, 9_000.0, 400.0], false);
        check("a cold start does not hide a queue for ever", &[3_000.0, 200.0, 3_000.0], true);
    }
}
