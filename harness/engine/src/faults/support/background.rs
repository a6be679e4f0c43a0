//! Tasks that go on doing a fault while it is in force. They end with the injector that keeps them, so that nothing is
//! kept up by a process that has forgotten the fault.

use std::future::Future;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
