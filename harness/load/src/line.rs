//! A buyer's line to the shop: at most one connection, which is opened when it is needed and kept.

use crate::buyer::Shared;
use crate::clock::RunClock;
use crate::wire::{Answer, Cut, Failure, Keep, Link};
use bytes::Bytes;
use firedrill_core::history::At;
use http_body_util::Full;
use hyper::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A line.
pub(crate) struct Line {
    shared: Arc<Shared>,
    /// Becomes true when operations under way must end at once.
    hang_up: watch::Receiver<bool>,
    /// The open connection and the index of its entry point.
    link: Option<(usize, Link)>,
}

impl Line {
    pub(crate) fn new(shared: Arc<Shared>, hang_up: watch::Receiver<bool>) -> Self {
        Self { shared, hang_up, link: None }
    }

    /// One more of the same buyer, without a connection yet.
    pub(crate) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.hang_up.clone())
    }

    /// What all buyers share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether operations under way must end.
    pub(crate) fn is_hung_up(&self) -> bool {
        *self.hang_up.borrow()
    }

    /// Waits for an instant; true if operations under way must end before.
    pub(crate) async fn wait(&mut self, until: At) -> bool {
        cut_at(&self.shared.clock, &mut self.hang_up, until).await == Cut::HungUp
    }

    /// Waits for the end of an idle connection, so that it is not used any more; for ever without one.
    pub(crate) async fn idle(&mut self) {
        match &mut self.link {
            Some((_, link)) => link.closed().await,
            None => std::future::pending().await,
        }
        self.link = None;
    }

    /// Makes one exchange with an entry point, until an instant at the latest.
    pub(crate) async fn exchange(
        &mut self,
        entry: usize,
        request: Request<Full<Bytes>>,
        keep: Keep,
        until: At,
    ) -> Result<Answer, Failure> {
        let clock = self.shared.clock;
        let link = match self.usable_link(entry).await {
            Some(link) => link,
            None => {
                let target = &self.shared.target;
                let way = target.way(&target.entries()[entry]);
                let timeout = Duration::from_millis(self.shared.settings.connect_timeout_ms);
                Link::open(&way, timeout, cut_at(&clock, &mut self.hang_up, until)).await?
            }
        };
        let (_, link) = self.link.insert((entry, link));
        let exchanged = link.exchange(request, keep, cut_at(&clock, &mut self.hang_up, until)).await;
        if exchanged.is_err() {
            self.link = None;
        }
        exchanged
    }

    /// The open connection, if it leads to this entry point and the other end has not closed it meanwhile.
    /// A connection that was closed between two requests is no attempt: nothing was asked.
    async fn usable_link(&mut self, entry: usize) -> Option<Link> {
        let (at, mut link) = self.link.take()?;
        (at == entry && link.is_open().await).then_some(link)
    }
}

/// Ends at an instant of the run, or when the load hangs up.
async fn cut_at(clock: &RunClock, hang_up: &mut watch::Receiver<bool>, until: At) -> Cut {
    tokio::select! {
        // An error means that the load's handle is gone, which is a hang-up too.
        _ = hang_up.wait_for(|hung_up| *hung_up) => Cut::HungUp,
        () = tokio::time::sleep_until(clock.instant(until).into()) => Cut::Timeout,
    }
}
