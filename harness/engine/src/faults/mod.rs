//! Faults: one file each, [`fault`] is the registry line.
//!
//! A fault here only acts on nodes that are already chosen. Choosing them, the order of the phases, their
//! deadlines and the undo record are the business of [`Injection`], which drives the core's state machine
//! ([`firedrill_core::fault::Lifecycle`]); so a new fault cannot forget any of it.

mod injection;
mod kill;
mod undo;

pub use injection::{FaultError, Injection};
pub use undo::UndoRecord;

use crate::docker::DockerError;
use crate::stack::{Node, Stack};
use firedrill_core::fault::FaultKind;
use std::future::Future;
use std::pin::Pin;

/// A future of a fault.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, DockerError>> + Send + 'a>>;

/// What a fault can do, for one node at a time.
pub trait Fault: Send + Sync {
    /// Checks that it can be done to this node, without any side effect.
    fn prepare<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()>;
    /// Does it.
    fn inject<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()>;
    /// Looks for its effect from outside: what was seen, or none as long as there is none to see.
    fn effect<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, Option<String>>;
    /// Undoes it. Called any number of times, also when it was never, or only half, done.
    fn undo<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()>;
    /// Looks whether it is undone.
    fn undone<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, Option<String>>;
}

/// The registry.
pub fn fault(kind: FaultKind) -> Box<dyn Fault> {
    match kind {
        FaultKind::Kill => Box::new(kill::Kill),
    }
}
