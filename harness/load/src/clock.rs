//! The one monotonic clock of a run.

use firedrill_core::history::At;
use std::time::{Duration, Instant};

/// Reads the time of a run: nanoseconds since its start.
///
/// Load, faults and observers share one copy of it, so that "the primary was killed" and "the purchase
/// failed" can be ordered. Monotonic: a step of the wall clock (which a drill may cause) does not move it.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    origin: Instant,
}

impl RunClock {
    /// A clock whose instant 0 is now.
    pub fn start() -> Self {
        Self::from_origin(Instant::now())
    }

    /// A clock whose instant 0 is `origin`.
    pub const fn from_origin(origin: Instant) -> Self {
        Self { origin }
    }

    /// The instant of the run that is now. An instant before the origin reads 0.
    pub fn now(&self) -> At {
        let nanos = self.origin.elapsed().as_nanos();
        At(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The operating system's instant for an instant of the run, for timers.
    pub fn instant(&self, at: At) -> Instant {
        self.origin + Duration::from_nanos(at.0)
    }
}
