//! When purchases begin, and whether they begin as planned. One file per model.

pub(crate) mod closed;
pub(crate) mod open;
pub mod schedule;
pub(crate) mod stop;
pub mod watch;

pub use firedrill_core::load::{Curve, Gaps, Model, Users};
pub use schedule::Schedule;
