//! `kill-process`: SIGKILL to processes inside, chosen by a part of their command line.
//!
//! Proof of effect: the very processes, by number and start time, are gone. Undo: there is nothing to undo,
//! whoever supervises them starts others; where the node ended with them, it is started.

use super::support::process::{self, Choice};
use super::support::signal::{Grip, Signal};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use crate::wait::{self, Look};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::node::Process;
use std::time::Duration;

/// See the module.
pub(super) struct KillProcess {
    which: Process,
    grip: Grip,
}

impl KillProcess {
    pub(super) fn new(which: &Process) -> Self {
        Self { which: which.clone(), grip: Grip::default() }
    }
}

/// How long a supervisor gets to start another one, or to end, before the undo takes it that it does
/// neither.
const SUPERVISOR_DEADLINE: Duration = Duration::from_secs(2);

#[async_trait]
impl Injector for KillProcess {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "kill-process").await?;
        process::choose(site, node, "kill-process", &self.which).await
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        process::hold(&self.grip, site, node, &memo.read(node)?).await
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        if self.grip.send(node, Signal::KILL) {
            return Ok(());
        }
        process::signal(site, node, "KILL", &memo.read(node)?).await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let choice: Choice = memo.read(node)?;
        let gone = format!("{}: gone: {}", node.name, choice.describe());
        let state = state::state(site.stack, node).await?;
        if state.running != Some(true) {
            let code = state.exit_code.unwrap_or(-1);
            return Ok(Some(format!("{gone}, and the node with it (exit code {code})")));
        }
        let seen = process::list(site, node).await?;
        let left = choice.chosen.iter().any(|chosen| chosen.find(&seen).is_some_and(|seen| !seen.stat.is_ending()));
        Ok((!left).then_some(gone))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let choice: Choice = memo.read(node)?;
        // A node that ends because of it does so some moments later: a start before that would be answered
        // with "runs already". Who neither ends nor starts another one is left as it is.
        let what = format!("{}: the end of its process is dealt with", node.name);
        let settled = wait::until(&what, SUPERVISOR_DEADLINE, Duration::from_millis(50), || async {
            match self.is_settled(site, node, &choice).await {
                Ok(true) => Look::Ready(()),
                Ok(false) => Look::NotYet("neither another process nor an end".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        if let Err(expired) = settled.await {
            tracing::debug!("{expired}");
        }
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        state::runs(site.stack, node).await
    }
}

impl KillProcess {
    /// Whether the node has ended, or has as many such processes as before.
    async fn is_settled(&self, site: &Site<'_>, node: &Node, choice: &Choice) -> Done<bool> {
        if state::state(site.stack, node).await?.running != Some(true) {
            return Ok(true);
        }
        let seen = process::list(site, node).await?;
        Ok(process::count_fitting(&seen, &self.which.command) >= choice.of)
    }
}
