//! The pure core of firedrill.
//!
//! Everything that decides is here and nothing that acts: the model of a topology and of a drill, the
//! life cycle of a fault, the history of a run, the checkers that judge it, and the verdict. No runtime,
//! no Docker, no clock, no file system: functions of their input, so that a verdict can be recomputed
//! byte for byte from a stored history (`firedrill check`), on any machine, years later.
//!
//! Data flows one way: [`topology`] → cluster → load + [`fault`]s → [`history`] → [`checker`]s →
//! [`verdict`] → report. The acting crates depend on this one, never the other way round.

pub mod capacity;
pub mod certificate;
pub mod checker;
pub mod cluster;
pub mod digest;
pub mod drill;
pub mod fault;
pub mod hex;
pub mod history;
pub mod ids;
pub mod load;
pub mod manifest;
pub mod schema;
pub mod sla;
pub mod source;
pub mod topology;
pub mod trend;
pub mod verdict;
mod words;
