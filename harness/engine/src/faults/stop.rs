//! `stop`: the node ends in an orderly way, as for maintenance: the container's stop signal, and SIGKILL
//! after the grace.
//!
//! Proof of effect: the engine reports the container as ended, which ran before. Undo: start it again.

use super::support::orderly::{Before, Calls, grace_s, longest_stop};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::docker::DockerError;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::query_parameters::StopContainerOptionsBuilder;
use firedrill_core::fault::catalogue::node;

/// See the module.
pub(super) struct Stop {
    stop: node::Stop,
    calls: Calls,
}

impl Stop {
    pub(super) fn new(stop: &node::Stop) -> Self {
        Self { stop: stop.clone(), calls: Calls::default() }
    }
}

#[async_trait]
impl Injector for Stop {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        Memo::of(node, &Before::of(&state::must_run(site.stack, node, "stop").await?))
    }

    async fn arm(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        self.calls.armed(node);
        Ok(())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let options = StopContainerOptionsBuilder::default().t(grace_s(&self.stop)).build();
        self.calls.made(node);
        let stopped = site.stack.engine.docker.stop_container(&node.container, Some(options)).await;
        self.calls.answered(node);
        Ok(stopped.map_err(DockerError::call(format!("{}: stop", node.name)))?)
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let state = state::state(site.stack, node).await?;
        let code = state.exit_code.unwrap_or(-1);
        let at = state.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
        Ok((state.running == Some(false)).then(|| format!("{}: ended with exit code {code}{at}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.calls.settle(site, node, &memo.read(node)?, longest_stop(&self.stop)).await;
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        state::runs(site.stack, node).await
    }
}
