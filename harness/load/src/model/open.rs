//! The open model: purchases begin when they are due, whatever became of the ones before.
//!
//! A thread of its own sleeps to absolute instants. An asynchronous timer has a resolution of a
//! millisecond (measured with tokio at 2,000 per second: start lag p50 992 microseconds); a thread that
//! sleeps until shortly before and spins the rest is late by a few microseconds.

use super::stop::Stop;
use crate::buyer::Shared;
use crate::clock::RunClock;
use crate::crew::Crew;
use crate::journey::Arrival;
use firedrill_core::history::{At, Event, Refusal};
use firedrill_core::ids::OpId;
use rustix::thread::set_current_timer_slack;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;

/// How late Linux may wake this thread on purpose, in nanoseconds. Its default of 50 microseconds would
/// have to be spun away, at a tenth of a core for 2,000 arrivals a second.
const SLACK: NonZeroU64 = NonZeroU64::MIN;

/// The last part of a wait, in nanoseconds, which is spun instead of slept: what waking a thread takes.
const SPIN_NS: u64 = 10_000;

/// Longest sleep at once, in nanoseconds: how long the end of the load may go unnoticed.
const NAP_NS: u64 = 20_000_000;

/// Refusals kept while the history's writer is behind; beyond, they are counted as lost. 64,000 are 30 s
/// of refusing everything at 2,000 per second, in 2 MB.
const MAX_BACKLOG: usize = 64_000;

/// Sends arrivals to the crew until told to stop. Runs on a thread of its own.
pub(crate) struct Pacer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) start: At,
}

impl Pacer {
    /// Paces until the end of the load or of the schedule. Arrivals that are late, because this thread was,
    /// keep their times.
    pub(crate) fn run(self, dues_ns: impl Iterator<Item = u64>) {
        // Without it, waking is less punctual, which shows in the start lag.
        let _ = set_current_timer_slack(Some(SLACK));
        let mut backlog = VecDeque::new();
        for (n, due_ns) in (0..).zip(dues_ns) {
            let intended = At(self.start.0.saturating_add(due_ns));
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
            match self.shared.records.try_send(Event::Refused(refusal)) {
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
fn wait_until(clock: &RunClock, due: At, stop: &Stop) -> bool {
    loop {
        if stop.is_said() {
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
    fn a_wait_ends_on_time_or_when_told_to() {
        let clock = RunClock::start();
        let due = At::from_ms(30);
        let stop = Stop::new();
        assert!(wait_until(&clock, due, &stop));
        assert!(clock.now() >= due);
        stop.say();
        assert!(!wait_until(&clock, At::from_ms(3_600_000), &stop));
    }
}
