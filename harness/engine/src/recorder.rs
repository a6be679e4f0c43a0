//! Where observations go, and the clock that they carry. The engine has neither a file nor a clock of its
//! own: a run has one of each, and they are handed in.

use firedrill_core::history::{At, Event};
use std::sync::Arc;

/// The run's clock and the way into its history. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    now: Arc<dyn Fn() -> At + Send + Sync>,
    send: Arc<dyn Fn(Event) + Send + Sync>,
}

impl Recorder {
    /// A recorder that reads this clock and sends to this sink. The sink must not block.
    pub fn new(now: impl Fn() -> At + Send + Sync + 'static, send: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), send: Arc::new(send) }
    }

    /// A recorder for a stack that is only booted: it has a clock and keeps nothing.
    pub fn discard() -> Self {
        let origin = std::time::Instant::now();
        let now = move || At(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Self::new(now, |_| ())
    }

    /// The instant now.
    pub fn now(&self) -> At {
        (self.now)()
    }

    /// Writes a record down.
    pub fn record(&self, event: Event) {
        (self.send)(event);
    }
}
