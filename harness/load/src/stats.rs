//! Live figures of a load, in memory that does not grow with the number of purchases.

use crate::journey::Ending;
use firedrill_core::history::{At, Attempt, Outcome, RejectReason};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Two significant digits: an error of 1 %, and 22 KB a histogram.
const DIGITS: u8 = 2;

/// The last purchase that the shop answered: confirmed, or "sold out".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the exchange began.
    pub began: At,
    /// When the buyer had the answer.
    pub ended: At,
}

/// Figures of a load at one instant. Totals are since its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When it was taken.
    pub at: At,
    /// When the first purchase was due.
    pub started: At,
    /// Purchases that were due, refused ones included.
    pub arrivals: u64,
    /// Arrivals that found no free buyer.
    pub refused: u64,
    /// Operations under way.
    pub in_flight: u64,
    /// Operations that were confirmed.
    pub acknowledged: u64,
    /// Operations that ended as sold out.
    pub sold_out: u64,
    /// Operations that were refused for good for another reason (token, invalid).
    pub rejected: u64,
    /// Operations that ended without an answer: patience was over, or the load was.
    pub gave_up: u64,
    /// Exchanges.
    pub attempts: u64,
    /// What a customer would have noticed: exchanges in doubt or too busy, no entry point reachable,
    /// refused for good but not sold out, patience over. Refused arrivals are counted in
    /// [`Snapshot::refused`].
    pub errors: u64,
    /// Exchanges of which not one byte was sent; with another entry point at hand the customer sees none
    /// of them.
    pub not_sent: u64,
    /// Confirmations in the last second.
    pub acks_last_s: u64,
    /// Errors in the last second, as in [`Snapshot::errors`].
    pub errors_last_s: u64,
    /// The answer (a confirmation, or "sold out") whose exchange began last.
    pub last_answer: Option<Answer>,
    /// When the last error, or the last refused arrival, was seen.
    pub last_error: Option<At>,
    /// Median latency of the operations that ended in the last 10 s, from their intended start, in
    /// milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub latency_p99_ms: Option<f64>,
    /// Start lag of the whole run: from the instant at which a purchase was due to the instant at which
    /// its buyer began.
    pub start_lag: Lag,
    /// Records that could not be handed over. Above 0 the history is not whole and the run is void.
    pub records_lost: u64,
}

/// Percentiles of a lag, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Number of values.
    pub count: u64,
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Largest.
    pub max_us: u64,
}

impl Snapshot {
    /// Whether sales have gone well for the last `for_ms` milliseconds: the load ran all that time, there
    /// was no error and no refused arrival, and something was sold.
    pub fn serves_cleanly_for(&self, for_ms: u64) -> bool {
        let since = At(self.at.0.saturating_sub(for_ms.saturating_mul(1_000_000)));
        self.started <= since
            && self.last_error.is_none_or(|error| error < since)
            && self.last_answer.is_some_and(|answer| answer.ended >= since)
    }

    /// Whether a purchase that was sent at `instant` or later was confirmed. One that was sent before and
    /// confirmed after proves nothing about the time after.
    pub fn served_since(&self, instant: At) -> bool {
        self.last_answer.is_some_and(|answer| answer.began >= instant)
    }
}

/// Collects the figures. The pacing thread touches atomics only: it must not wait for a lock.
pub(crate) struct Stats {
    started: At,
    arrivals: AtomicU64,
    refused: AtomicU64,
    /// Instant of the last refused arrival plus 1; 0 for none.
    last_refused: AtomicU64,
    in_flight: AtomicU64,
    records_lost: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    acknowledged: u64,
    sold_out: u64,
    rejected: u64,
    gave_up: u64,
    attempts: u64,
    errors: u64,
    not_sent: u64,
    acks: Counts,
    recent_errors: Counts,
    last_answer: Option<Answer>,
    last_error: Option<At>,
    latency: Window,
    start_lag: Histogram<u64>,
}

impl Stats {
    pub(crate) fn new(started: At) -> Self {
        let inner = Inner {
            acknowledged: 0,
            sold_out: 0,
            rejected: 0,
            gave_up: 0,
            attempts: 0,
            errors: 0,
            not_sent: 0,
            acks: Counts::default(),
            recent_errors: Counts::default(),
            last_answer: None,
            last_error: None,
            latency: Window::new(),
            start_lag: histogram(),
        };
        Self {
            started,
            arrivals: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last_refused: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves counters that are at worst off by one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arrived(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// An arrival found no free buyer.
    pub(crate) fn refused(&self, intended: At) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.last_refused.fetch_max(intended.0.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn record_lost(&self) {
        self.records_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A buyer began with an operation.
    pub(crate) fn began(&self, intended: At, began: At) {
        let lag_us = began.0.saturating_sub(intended.0) / 1_000;
        self.lock().start_lag.saturating_record(lag_us);
    }

    /// An exchange ended. `nowhere` says that it was the last of all entry points to be unreachable.
    pub(crate) fn attempted(&self, attempt: &Attempt, nowhere: bool) {
        let mut inner = self.lock();
        inner.attempts += 1;
        match attempt.outcome {
            Outcome::InDoubt | Outcome::NotApplied => inner.error(attempt.ended),
            Outcome::NotSent => {
                inner.not_sent += 1;
                if nowhere {
                    inner.error(attempt.ended);
                }
            }
            Outcome::Acknowledged => {
                inner.acks.add(attempt.ended);
                inner.answered(Answer { began: attempt.started, ended: attempt.ended });
            }
            // "Sold out" is an answer: the shop serves, it only has nothing left.
            Outcome::Rejected(RejectReason::SoldOut) => {
                inner.answered(Answer { began: attempt.started, ended: attempt.ended });
            }
            Outcome::Rejected(_) | Outcome::Passed | Outcome::Pending => {}
        }
    }

    /// An operation ended.
    pub(crate) fn ended(&self, intended: At, ended: At, ending: Ending) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.latency.record(ended, ended.0.saturating_sub(intended.0) / 1_000);
        match ending {
            Ending::Acknowledged => inner.acknowledged += 1,
            Ending::Visited => {}
            Ending::Rejected(RejectReason::SoldOut) => inner.sold_out += 1,
            Ending::Rejected(_) => {
                inner.rejected += 1;
                inner.error(ended);
            }
            Ending::GaveUp => {
                inner.gave_up += 1;
                inner.error(ended);
            }
        }
    }

    pub(crate) fn snapshot(&self, at: At) -> Snapshot {
        let refused_at = self.last_refused.load(Ordering::Relaxed).checked_sub(1).map(At);
        let inner = self.lock();
        let latency = inner.latency.merged(at);
        let latency_ms = |quantile| (!latency.is_empty()).then(|| latency.value_at_quantile(quantile) as f64 / 1e3);
        Snapshot {
            at,
            started: self.started,
            arrivals: self.arrivals.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            in_flight: self.in_flight(),
            acknowledged: inner.acknowledged,
            sold_out: inner.sold_out,
            rejected: inner.rejected,
            gave_up: inner.gave_up,
            attempts: inner.attempts,
            errors: inner.errors,
            not_sent: inner.not_sent,
            acks_last_s: inner.acks.sum(at),
            errors_last_s: inner.recent_errors.sum(at),
            last_answer: inner.last_answer,
            last_error: inner.last_error.max(refused_at),
            latency_p50_ms: latency_ms(0.5),
            latency_p99_ms: latency_ms(0.99),
            start_lag: Lag {
                count: inner.start_lag.len(),
                p50_us: inner.start_lag.value_at_quantile(0.5),
                p99_us: inner.start_lag.value_at_quantile(0.99),
                max_us: inner.start_lag.max(),
            },
            records_lost: self.records_lost.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    fn error(&mut self, at: At) {
        self.errors += 1;
        self.recent_errors.add(at);
        self.last_error = self.last_error.max(Some(at));
    }

    fn answered(&mut self, answer: Answer) {
        if self.last_answer.is_none_or(|last| last.began < answer.began) {
            self.last_answer = Some(answer);
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_US, DIGITS).expect("constant bounds that hdrhistogram takes")
}

/// Counts of the last second.
#[derive(Default)]
struct Counts {
    /// Number of the slot since the start of the run, and its count.
    slots: [(u64, u64); COUNT_SLOTS],
}

impl Counts {
    fn add(&mut self, at: At) {
        let epoch = at.0 / COUNT_SLOT_NS;
        let slot = &mut self.slots[(epoch % COUNT_SLOTS as u64) as usize];
        if slot.0 < epoch {
            *slot = (epoch, 0);
        }
        slot.1 += 1;
    }

    fn sum(&self, at: At) -> u64 {
        let epoch = at.0 / COUNT_SLOT_NS;
        let oldest = (epoch + 1).saturating_sub(COUNT_SLOTS as u64);
        self.slots.iter().filter(|slot| slot.0 >= oldest).map(|slot| slot.1).sum()
    }
}

/// Latencies of the last 10 s, one histogram a second.
struct Window {
    slots: Vec<(u64, Histogram<u64>)>,
}

impl Window {
    fn new() -> Self {
        Self { slots: (0..LATENCY_SLOTS).map(|_| (0, histogram())).collect() }
    }

    fn record(&mut self, at: At, value_us: u64) {
        let epoch = at.0 / LATENCY_SLOT_NS;
        let slot = &mut self.slots[(epoch % LATENCY_SLOTS as u64) as usize];
        if slot.0 < epoch {
            slot.0 = epoch;
            slot.1.reset();
        }
        slot.1.saturating_record(value_us);
    }

    fn merged(&self, at: At) -> Histogram<u64> {
        let epoch = at.0 / LATENCY_SLOT_NS;
        let oldest = (epoch + 1).saturating_sub(LATENCY_SLOTS as u64);
        let mut all = histogram();
        for (_, slot) in self.slots.iter().filter(|slot| slot.0 >= oldest) {
            // Equal bounds: adding cannot fail.
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
    fn sales_are_clean_only_after_long_enough_without_error() {
        let stats = Stats::new(At::from_ms(0));
        let mut inner = stats.lock();
        inner.error(At::from_ms(2_000));
        inner.answered(Answer { began: At::from_ms(4_000), ended: At::from_ms(4_500) });
        drop(inner);
        assert!(!stats.snapshot(At::from_ms(4_900)).serves_cleanly_for(3_000));
        assert!(stats.snapshot(At::from_ms(5_001)).serves_cleanly_for(3_000));
        assert!(!stats.snapshot(At::from_ms(9_000)).serves_cleanly_for(3_000), "nothing was sold");
        let snapshot = stats.snapshot(At::from_ms(5_001));
        assert!(snapshot.served_since(At::from_ms(4_000)));
        assert!(!snapshot.served_since(At::from_ms(4_200)), "it was sent before");
    }

    #[test]
    fn a_refused_arrival_is_no_clean_sale() {
        let stats = Stats::new(At::from_ms(0));
        stats.lock().answered(Answer { began: At::from_ms(4_000), ended: At::from_ms(4_500) });
        stats.arrived();
        stats.refused(At::from_ms(4_600));
        let snapshot = stats.snapshot(At::from_ms(5_000));
        assert!(!snapshot.serves_cleanly_for(3_000));
        assert_eq!((snapshot.arrivals, snapshot.refused, snapshot.in_flight), (1, 1, 0));
    }
}
