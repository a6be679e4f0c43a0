//! What is kept of each node while a fault is in force.

use crate::stack::Node;
use firedrill_core::ids::NodeName;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing a node: what an injector remembers between its phases, or holds while its fault is in force. It ends
/// with the injector, so that nothing is kept up by a process that has forgotten the fault. What has to be worked
/// on where it lies is shared (`Arc`).
#[derive(Debug)]
pub(crate) struct PerNode<T>(Mutex<BTreeMap<NodeName, T>>);

impl<T> Default for PerNode<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> PerNode<T> {
    /// Keeps it, in the place of what was kept before.
    pub(crate) fn put(&self, node: &Node, thing: T) {
        self.lock().insert(node.name.clone(), thing);
    }

    /// Gives it back, where there is one.
    pub(crate) fn take(&self, node: &Node) -> Option<T> {
        self.lock().remove(&node.name)
    }

    /// Looks at it where it lies, if there is one.
    pub(crate) fn with<R>(&self, node: &Node, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().get(&node.name).map(look)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, T>> {
        // Nothing is done under the lock that could leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> PerNode<T> {
    /// What is kept, where something is.
    pub(crate) fn get(&self, node: &Node) -> Option<T> {
        self.lock().get(&node.name).cloned()
    }
}
