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
    /// Free buyers by their entry point, the one who has been free longest first. So all buyers take turns.
    free: Vec<VecDeque<u32>>,
    /// The entry point that the next arrival begins at, if somebody is free there. In the order of buyers alone, those whom
    /// a fault at one entry point delayed would come back one after the other, and for a while nobody would enter there.
    next: usize,
    /// One place for one arrival per buyer; none any more after the end of the load.
    desks: Vec<mpsc::Sender<Arrival>>,
}

impl Inner {
    /// Somebody who is free: at the entry point whose turn it is, or else at the next one that has anybody.
    fn take(&mut self) -> Option<u32> {
        let entries = self.free.len();
        let turn = self.next;
        self.next = (turn + 1) % entries;
        (0..entries).find_map(|further| self.free[(turn + further) % entries].pop_front())
    }
}

impl Crew {
    /// A crew of `buyers`, all of them free, and the other ends of their desks. Buyer n has entry point n modulo `entries`.
    pub(crate) fn new(buyers: u32, entries: usize) -> (Self, Vec<mpsc::Receiver<Arrival>>) {
        let (desks, receivers) = (0..buyers).map(|_| mpsc::channel(1)).unzip();
        let mut free = vec![VecDeque::new(); entries.max(1)];
        for buyer in 0..buyers {
            free[buyer as usize % entries.max(1)].push_back(buyer);
        }
        let inner = Inner { free, next: 0, desks };
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
            let Some(buyer) = inner.take() else {
                return false;
            };
            inner.desks.get(buyer as usize).cloned()
        };
        // A free buyer's desk is empty. It is gone only if the buyer is, by a panic.
        desk.is_some_and(|desk| desk.try_send(arrival).is_ok())
    }

    /// This buyer is free again.
    pub(crate) fn free(&self, buyer: u32) {
        let mut inner = self.lock();
        let entries = inner.free.len();
        inner.free[buyer as usize % entries].push_back(buyer);
    }

    /// No more arrivals: each buyer ends after what he has in hand.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.free.iter_mut().for_each(VecDeque::clear);
        inner.desks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is taken by so many arrivals in a row.
    fn taken(crew: &Crew, arrivals: usize) -> Vec<Option<u32>> {
        (0..arrivals).map(|_| crew.lock().take()).collect()
    }

    #[test]
    fn arrivals_take_turns_at_the_entry_points_whoever_comes_back_when() {
        let (crew, _desks) = Crew::new(6, 2);
        assert_eq!(taken(&crew, 4), [Some(0), Some(1), Some(2), Some(3)]);
        // Those of one entry point come back one after the other: a fault had held them up.
        for buyer in [0, 2, 1, 3] {
            crew.free(buyer);
        }
        assert_eq!(taken(&crew, 6), [Some(4), Some(5), Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn where_nobody_is_free_the_next_entry_point_is_taken() {
        let (crew, _desks) = Crew::new(3, 2);
        assert_eq!(taken(&crew, 4), [Some(0), Some(1), Some(2), None]);
        crew.free(1);
        assert_eq!(taken(&crew, 2), [Some(1), None], "it was the turn of the other one");
    }
}
