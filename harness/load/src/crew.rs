//! Which buyer is free: arrivals are handed to buyers here.

use crate::journey::Arrival;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The buyers of a load, as the model sees them.
pub(crate) struct Crew {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Free buyers, the one who has been free longest first. So all buyers take turns, and with them the
    /// entry points, at any rate.
    free: VecDeque<u32>,
    /// One place for one arrival per buyer; none any more after the end of the load.
    desks: Vec<mpsc::Sender<Arrival>>,
}

impl Crew {
    /// A crew of `buyers`, all of them free, and the other ends of their desks.
    pub(crate) fn new(buyers: u32) -> (Self, Vec<mpsc::Receiver<Arrival>>) {
        let (desks, receivers) = (0..buyers).map(|_| mpsc::channel(1)).unzip();
        let inner = Inner { free: (0..buyers).collect(), desks };
        (Self { inner: Mutex::new(inner) }, receivers)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Held for a few instructions, none of which can leave the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an arrival to a free buyer; false if there is none. Never waits.
    pub(crate) fn hand(&self, arrival: Arrival) -> bool {
        let desk = {
            let mut inner = self.lock();
            let Some(buyer) = inner.free.pop_front() else {
                return false;
            };
            inner.desks.get(buyer as usize).cloned()
        };
        // A free buyer's desk is empty. It is gone only if the buyer is, by a panic.
        desk.is_some_and(|desk| desk.try_send(arrival).is_ok())
    }

    /// This buyer is free again.
    pub(crate) fn free(&self, buyer: u32) {
        self.lock().free.push_back(buyer);
    }

    /// No more arrivals: each buyer ends after what he has in hand.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.free.clear();
        inner.desks.clear();
    }
}
