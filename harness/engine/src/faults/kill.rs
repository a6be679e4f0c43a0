//! `kill`: SIGKILL to the node's first process, which takes all others of the container with it. Nothing
//! is flushed, no connection is closed by the program: the node is gone as if its power had failed, while
//! its disk stays.
//!
//! Proof of effect: the engine reports the container as ended with code 137 (128 + 9). Undo: start it
//! again; whether it rejoins is judged by the observers.

use super::support::orderly::{Before, Calls, ENGINE_DELAY};
use super::support::signal::{self, Grip, HostProcess, Signal};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::docker::DockerError;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::query_parameters::KillContainerOptionsBuilder;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Default)]
pub(super) struct Kill {
    grip: Grip,
    calls: Calls,
}

/// What the undo has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hit {
    before: Before,
    /// The first process, where the kernel that runs it is this machine's.
    first: Option<HostProcess>,
}

/// Exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;

#[async_trait]
impl Injector for Kill {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        let before = Before::of(&state::must_run(site.stack, node, "kill").await?);
        Memo::of(node, &Hit { before, first: signal::first(site.stack, node).await? })
    }

    async fn arm(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let hit: Hit = memo.read(node)?;
        self.grip.keep(node, hit.first.and_then(|first| first.hold()).into_iter().collect());
        self.calls.armed(node);
        Ok(())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if self.grip.send(node, Signal::KILL) {
            return Ok(());
        }
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        self.calls.made(node);
        let killed = site.stack.engine.docker.kill_container(&node.container, Some(options)).await;
        self.calls.answered(node);
        Ok(killed.map_err(DockerError::call(format!("{}: kill", node.name)))?)
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let state = state::state(site.stack, node).await?;
        let ended = state.running == Some(false) && state.exit_code == Some(KILLED);
        let at = state.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
        Ok(ended.then(|| format!("{}: ended by SIGKILL (exit code {KILLED}){at}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let hit: Hit = memo.read(node)?;
        signal::settle(site, node, hit.first.as_ref()).await?;
        self.calls.settle(site, node, &hit.before, ENGINE_DELAY).await;
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        state::runs(site.stack, node).await
    }
}
