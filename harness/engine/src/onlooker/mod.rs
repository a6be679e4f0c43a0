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
