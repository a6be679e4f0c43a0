//! Every checker against histories that it must accept, reject, and leave open.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod availability;
mod conservation;
mod objectives;
mod oversell;
mod planted;
mod preconditions;
mod primaries;
mod replicas;
mod steps;
mod stored;
mod story;
