//! Figures of the last seconds: rings of slots, of a size that does not depend on how much happens.

use firedrill_core::history::At;
use hdrhistogram::{Counter, Histogram};

/// Length of a slot of the latency window, in nanoseconds: 1 s.
const LATENCY_SLOT_NS: u64 = 1_000_000_000;

/// Slots of the latency window: percentiles are of the last 10 s.
const LATENCY_SLOTS: usize = 10;

/// Length of a slot of the counting window, in nanoseconds: 100 ms.
const COUNT_SLOT_NS: u64 = 100_000_000;

/// Slots of the counting window: counts are of the last second.
const COUNT_SLOTS: usize = 10;

/// Highest value that a histogram tells apart, in microseconds: one hour.
const HIGHEST_US: u64 = 3_600_000_000;

/// Two significant digits: an error of 1 %, and at most 26 KB a histogram.
const DIGITS: u8 = 2;

/// A histogram of microseconds that takes as much memory as its highest value needs.
pub(super) fn histogram<C: Counter>() -> Histogram<C> {
    Histogram::new(DIGITS).expect("a number of digits that hdrhistogram takes")
}

/// Counts a value.
pub(super) fn record<C: Counter>(histogram: &mut Histogram<C>, value_us: u64) {
    // Bounded, so that growing cannot fail.
    let _ = histogram.record(value_us.min(HIGHEST_US));
}

/// Counts of the last second.
#[derive(Default)]
pub(super) struct Counts {
    /// Number of the slot since the start of the run, and its count.
    slots: [(u64, u64); COUNT_SLOTS],
}

impl Counts {
    pub(super) fn add(&mut self, at: At) {
        let epoch = at.0 / COUNT_SLOT_NS;
        let slot = &mut self.slots[(epoch % COUNT_SLOTS as u64) as usize];
        if slot.0 < epoch {
            *slot = (epoch, 0);
        }
        slot.1 += 1;
    }

    pub(super) fn sum(&self, at: At) -> u64 {
        let epoch = at.0 / COUNT_SLOT_NS;
        let oldest = (epoch + 1).saturating_sub(COUNT_SLOTS as u64);
        self.slots.iter().filter(|slot| slot.0 >= oldest).map(|slot| slot.1).sum()
    }
}

/// Latencies of the last 10 s, one histogram a second. A second's counts fit into 32 bits.
pub(super) struct Window {
    slots: Vec<(u64, Histogram<u32>)>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { slots: (0..LATENCY_SLOTS).map(|_| (0, histogram())).collect() }
    }

    pub(super) fn record(&mut self, at: At, value_us: u64) {
        let epoch = at.0 / LATENCY_SLOT_NS;
        let slot = &mut self.slots[(epoch % LATENCY_SLOTS as u64) as usize];
        if slot.0 < epoch {
            slot.0 = epoch;
            slot.1.reset();
        }
        record(&mut slot.1, value_us);
    }

    pub(super) fn merged(&self, at: At) -> Histogram<u32> {
        let epoch = at.0 / LATENCY_SLOT_NS;
        let oldest = (epoch + 1).saturating_sub(LATENCY_SLOTS as u64);
        let mut all = histogram();
        for (_, slot) in self.slots.iter().filter(|slot| slot.0 >= oldest) {
            // The sum grows to the bounds of what is added: adding cannot fail.
            let _ = all.add(slot);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_forget_what_is_older_than_a_second() {
        let mut counts = Counts::default();
        for ms in [0, 50, 450, 990] {
            counts.add(At::from_ms(ms));
        }
        assert_eq!(counts.sum(At::from_ms(999)), 4);
        assert_eq!(counts.sum(At::from_ms(1_050)), 2);
        assert_eq!(counts.sum(At::from_ms(5_000)), 0);
    }

    #[test]
    fn percentiles_forget_what_is_older_than_ten_seconds() {
        let mut window = Window::new();
        window.record(At::from_ms(500), 1_000_000);
        window.record(At::from_ms(9_500), 1_000);
        assert_eq!(window.merged(At::from_ms(9_900)).len(), 2);
        assert_eq!(window.merged(At::from_ms(10_100)).len(), 1);
        window.record(At::from_ms(10_500), 2_000);
        assert_eq!(window.merged(At::from_ms(10_900)).len(), 2);
    }

    #[test]
    fn a_value_beyond_the_highest_is_counted_as_the_highest() {
        let mut values = histogram::<u64>();
        record(&mut values, u64::MAX);
        record(&mut values, 5);
        assert_eq!((values.len(), values.value_at_quantile(0.5)), (2, 5));
        assert!(values.max() >= HIGHEST_US);
    }
}
