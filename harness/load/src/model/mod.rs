//! When purchases begin. One file per model.

pub mod open;
