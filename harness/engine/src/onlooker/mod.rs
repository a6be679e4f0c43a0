//! What is read in the middle of a run, beside buyers and observers: what the shop itself says is left of its quotas,
//! and what its primary has written meanwhile.
//!
//! An onlooker never disturbs: one request and one look into the database in [`PERIOD`], one after the other, and
//! fewer looks where they take long. What cannot be read is no record and no error: it is read again a little later.

mod database;
mod shop;

use crate::ledger::Known;
use crate::recorder::Recorder;
use crate::stack::Stack;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often is read: often enough to see what a failover takes back, rarely enough that nobody feels it.
const PERIOD: Duration = Duration::from_millis(1_500);

/// A look takes at most one in so many parts of the time, but for the longest pause.
const SHARE: u32 = 20;

/// However long a look took: what is seen after a failover must not be missed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The event whose quotas the shop is asked for.
#[derive(Debug, Clone)]
pub struct Event {
    /// Short name of the organizer.
    pub organizer: String,
    /// Short name of the event.
    pub event: String,
    /// Token of the API.
    pub token: String,
    /// Keys of its quotas; nobody asks where there are none.
    pub quotas: Vec<u64>,
}

/// Reads until it is dropped.
pub struct Onlooker {
    _tasks: JoinSet<()>,
}

impl Onlooker {
    /// Starts reading. What is `known` from before is left out.
    pub fn start(stack: &Stack, event: Event, recorder: &Recorder, known: &Known) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(database::Reader::new(stack.clone(), recorder.clone(), known.invoices).read());
        if let Some(asker) = shop::Asker::new(stack.entries(), event, recorder.clone()) {
            tasks.spawn(asker.go_on_asking());
        }
        Self { _tasks: tasks }
    }
}

/// From the begin of a look that took so long to that of the next.
fn pause(took: Duration) -> Duration {
    (took * SHARE).clamp(PERIOD, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_rarely() {
        assert_eq!(pause(Duration::from_millis(5)), PERIOD);
        assert_eq!(pause(Duration::from_millis(200)), Duration::from_secs(4));
        assert_eq!(pause(Duration::from_secs(10)), LONGEST_PAUSE);
    }
}
