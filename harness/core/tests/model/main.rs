//! The model: life cycle, targets, the history as bytes, files that people write.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod certificates;
mod codec;
mod damage;
mod drills;
mod files;
mod journeys;
mod lifecycle;
mod operations;
mod target;
