//! `rolling-restart`: all nodes of the target are restarted one after the other, as for an upgrade; the
//! next one when this one serves again by its own word, where somebody watches it.
//!
//! Proof of effect and undo of each node: as of `restart`.

use super::restart::Restart;
use super::{Done, Injector, Memo, Site};
use crate::observe::Observer;
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::node::Stop;
use firedrill_core::history::Role;

/// See the module.
pub(super) struct RollingRestart {
    restart: Restart,
    /// How often each node had been asked when it was back.
    asked: PerNode<u64>,
}

impl RollingRestart {
    pub(super) fn new(stop: &Stop) -> Self {
        Self { restart: Restart::new(stop), asked: PerNode::default() }
    }

    /// Whether the node serves, by an answer that it gave after it was back.
    fn serves(&self, observer: &Observer, node: &Node) -> bool {
        // The question that was under way at that moment may have been answered by the former life.
        let fresh = asked(observer, node) >= self.asked.get(node).unwrap_or(0) + 2;
        let reports = observer.reports();
        let report = reports.iter().find(|report| report.node == node.name);
        fresh && report.is_some_and(|report| !matches!(report.role(), Role::Unreachable | Role::NotServing))
    }
}

fn asked(observer: &Observer, node: &Node) -> u64 {
    let samples = observer.samples();
    samples.into_iter().find(|(name, _)| *name == node.name).map_or(0, |(_, count)| count)
}

#[async_trait]
impl Injector for RollingRestart {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        self.restart.prepare(site, node).await
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.restart.arm(site, node, memo).await
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.restart.inject(site, node, memo).await?;
        if let Some(observer) = site.observer {
            self.asked.put(node, asked(observer, node));
        }
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let Some(started) = self.restart.effect(site, node, memo).await? else { return Ok(None) };
        Ok(match site.observer {
            None => Some(started),
            Some(observer) => self.serves(observer, node).then(|| format!("{started}, serves again")),
        })
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.restart.undo(site, node, memo).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        self.restart.undone(site, node, memo).await
    }

    fn one_by_one(&self) -> bool {
        true
    }
}
