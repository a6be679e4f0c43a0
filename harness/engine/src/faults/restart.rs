//! `restart`: the node ends in an orderly way and comes back at once, by the engine.
//!
//! Proof of effect: the engine reports a later start than before, and another first process. Undo: start
//! it where it did not come back.

use super::support::orderly::{Before, Calls, grace_s, longest_stop};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::docker::DockerError;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::query_parameters::RestartContainerOptionsBuilder;
use firedrill_core::fault::catalogue::node::Stop;

/// See the module.
pub(super) struct Restart {
    stop: Stop,
    calls: Calls,
}

impl Restart {
    pub(super) fn new(stop: &Stop) -> Self {
        Self { stop: stop.clone(), calls: Calls::default() }
    }
}

#[async_trait]
impl Injector for Restart {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        Memo::of(node, &Before::of(&state::must_run(site.stack, node, "restart").await?))
    }

    async fn arm(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        self.calls.armed(node);
        Ok(())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let options = RestartContainerOptionsBuilder::default().t(grace_s(&self.stop)).build();
        self.calls.made(node);
        let restarted = site.stack.engine.docker.restart_container(&node.container, Some(options)).await;
        self.calls.answered(node);
        Ok(restarted.map_err(DockerError::call(format!("{}: restart", node.name)))?)
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Before = memo.read(node)?;
        let state = state::state(site.stack, node).await?;
        let (old, new) = (before.pid, state.pid.unwrap_or(0));
        if state.running != Some(true) || new == old {
            return Ok(None);
        }
        let later = before.later_start(node, &state)?;
        Ok(later.map(|at| format!("{}: started anew at {at}, first process {new} instead of {old}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.calls.settle(site, node, &memo.read(node)?, longest_stop(&self.stop)).await;
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        state::runs(site.stack, node).await
    }
}
