//! What an injector keeps while its fault is in force: a session, or a task that goes on doing it. All of it
//! ends with the injector, so that nothing is kept up by a process that has forgotten the fault.

use firedrill_core::ids::NodeName;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// One thing per node.
pub(in crate::faults) struct Held<T>(Mutex<BTreeMap<NodeName, T>>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Held<T> {
    /// Keeps it.
    pub(in crate::faults) fn put(&self, node: &NodeName, thing: T) {
        self.lock().insert(node.clone(), thing);
    }

    /// Gives it back, where there is one.
    pub(in crate::faults) fn take(&self, node: &NodeName) -> Option<T> {
        self.lock().remove(node)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, T>> {
        // Nothing is done under the lock that could leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that keeps a fault up until it is asked to stop. Dropped, it ends at once and tidies nothing up, as
/// when the process dies.
pub(in crate::faults) struct Background {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Background {
    /// Starts it; the work ends when its receiver is told to, or its sender is gone.
    pub(in crate::faults) fn start<F>(work: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        Self { stop: Some(stop), task: tokio::spawn(work(stopped)) }
    }

    /// Asks it to stop and waits until it has: nothing of it is under way any more.
    pub(in crate::faults) async fn end(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.task.abort();
    }
}
