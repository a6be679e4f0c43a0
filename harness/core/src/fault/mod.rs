//! Faults: what can be done to a node, to whom, and the life cycle that every fault goes through.
//!
//! The core knows names, parameters, targets and phases; the engine knows how. Adding a fault means one
//! line in [`catalogue`]'s registry, its parameters and its [`About`] in the family that it belongs to, and
//! one file in the engine's `faults` folder.

pub mod about;
pub mod catalogue;
pub mod lifecycle;
pub mod target;

pub use about::{About, Owns};
pub use catalogue::Fault;
pub use lifecycle::{Input, Lifecycle, Phase, TransitionError};
pub use target::{Selector, Target, TargetError};
