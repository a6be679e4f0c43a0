//! The word that no more purchases begin.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Tells the pacing thread and the users that the load is over. Can be said once; it is not taken back.
pub(crate) struct Stop {
    /// For the pacing thread, which must not wait for a lock.
    flag: AtomicBool,
    told: watch::Sender<bool>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self { flag: AtomicBool::new(false), told: watch::Sender::new(false) }
    }

    /// Says it.
    pub(crate) fn say(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.told.send_replace(true);
    }

    pub(crate) fn is_said(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Ends when it is said.
    pub(crate) async fn said(&self) {
        // An error would mean that the sender is gone, which this is.
        let _ = self.told.subscribe().wait_for(|said| *said).await;
    }
}
