//! The open model: purchases begin at a rate, whatever became of the ones before.
//!
//! A thread of its own sleeps to absolute instants. An asynchronous timer has a resolution of a
//! millisecond (measured with tokio at 2,000 per second: start lag p50 992 microseconds); a thread that
//! sleeps until shortly before and spins the rest is late by a few microseconds.

use crate::buyer::Shared;
use crate::clock::RunClock;
use crate::crew::Crew;
use crate::journey::Arrival;
use firedrill_core::history::{At, Event, Refusal};
use firedrill_core::ids::OpId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;

/// The last part of a wait, in nanoseconds, which is spun instead of slept: Linux wakes a sleeper up to
/// 50 microseconds late on purpose (timer slack), and waking takes some more.
const SPIN_NS: u64 = 100_000;

/// Longest sleep at once, in nanoseconds: how long the end of the load may go unnoticed.
const NAP_NS: u64 = 20_000_000;

/// Refusals kept while the history's writer is behind; beyond, they are counted as lost. 64,000 are 30 s
/// of refusing everything at 2,000 per second, in 2 MB.
const MAX_BACKLOG: usize = 64_000;

/// When the purchases of a run are due.
pub trait Schedule: Send + 'static {
    /// Nanoseconds from the start of the load to purchase number `n`, from 0. Never falls.
    fn due_ns(&mut self, n: u64) -> u64;
}

/// A constant rate with equal gaps.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    /// Purchases per second.
    pub rate_per_s: f64,
}

impl Schedule for Constant {
    fn due_ns(&mut self, n: u64) -> u64 {
        // From the number, not from the one before: rounding does not add up.
        (n as f64 * 1e9 / self.rate_per_s) as u64
    }
}

/// Sends arrivals to the crew until told to stop. Runs on a thread of its own.
pub(crate) struct Pacer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) start: At,
}

impl Pacer {
    /// Paces until the end of the load. Arrivals that are late, because this thread was, keep their times.
    pub(crate) fn run(self, mut schedule: impl Schedule) {
        let mut backlog = VecDeque::new();
        for n in 0.. {
            let intended = At(self.start.0.saturating_add(schedule.due_ns(n)));
            if !wait_until(&self.shared.clock, intended, &self.stop) {
                break;
            }
            let arrival = Arrival { op: OpId(n), intended };
            self.shared.stats.arrived();
            if !self.crew.hand(arrival) {
                self.shared.stats.refused(intended);
                backlog.push_back(Refusal { op: arrival.op, intended });
            }
            self.flush(&mut backlog);
        }
        for refusal in backlog {
            // The pacing is over: now this thread may wait.
            if self.shared.records.blocking_send(Event::Refused(refusal)).is_err() {
                self.shared.stats.record_lost();
            }
        }
    }

    /// Hands refusals to the history as far as that is possible without waiting.
    fn flush(&self, backlog: &mut VecDeque<Refusal>) {
        while let Some(refusal) = backlog.pop_front() {
            match self.shared.records.try_send(Event::Refused(refusal.clone())) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) if backlog.len() < MAX_BACKLOG => {
                    backlog.push_front(refusal);
                    return;
                }
                Err(_) => self.shared.stats.record_lost(),
            }
        }
    }
}

/// Waits for an instant of the run; false if told to stop before.
fn wait_until(clock: &RunClock, due: At, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left_ns = due.0.saturating_sub(clock.now().0);
        match left_ns {
            0 => return true,
            1..=SPIN_NS => std::hint::spin_loop(),
            _ => std::thread::sleep(Duration::from_nanos((left_ns - SPIN_NS).min(NAP_NS))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_does_not_drift() {
        let mut schedule = Constant { rate_per_s: 3.0 };
        assert_eq!(schedule.due_ns(0), 0);
        assert_eq!(schedule.due_ns(1), 333_333_333);
        assert_eq!(schedule.due_ns(3), 1_000_000_000);
        assert_eq!(schedule.due_ns(3 * 86_400), 86_400 * 1_000_000_000);
    }

    #[test]
    fn a_wait_ends_on_time_or_when_told_to() {
        let clock = RunClock::start();
        let due = At::from_ms(30);
        assert!(wait_until(&clock, due, &AtomicBool::new(false)));
        assert!(clock.now() >= due);
        assert!(!wait_until(&clock, At::from_ms(3_600_000), &AtomicBool::new(true)));
    }
}
