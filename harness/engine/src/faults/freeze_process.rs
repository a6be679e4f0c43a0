//! `freeze-process`: SIGSTOP to processes inside, chosen by a part of their command line: they hang while
//! all others go on, and their connections stay open.
//!
//! Proof of effect: the kernel shows the very processes, by number and start time, as stopped. Undo:
//! SIGCONT to them and to nobody else.

use super::support::process::{self, Choice};
use super::support::signal::{Grip, Signal};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::node::Process;

/// See the module.
pub(super) struct FreezeProcess {
    which: Process,
    grip: Grip,
}

impl FreezeProcess {
    pub(super) fn new(which: &Process) -> Self {
        Self { which: which.clone(), grip: Grip::default() }
    }
}

/// State of a process that SIGSTOP stopped.
const STOPPED: char = 'T';

#[async_trait]
impl Injector for FreezeProcess {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "freeze-process").await?;
        process::choose(site, node, "freeze-process", &self.which).await
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        process::hold(&self.grip, site, node, &memo.read(node)?).await
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        if self.grip.send(node, Signal::STOP) {
            return Ok(());
        }
        process::signal(site, node, "STOP", &memo.read(node)?).await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let choice: Choice = memo.read(node)?;
        let seen = process::list(site, node).await?;
        let stopped = choice.chosen.iter().all(|c| c.find(&seen).is_some_and(|seen| seen.stat.state == STOPPED));
        Ok(stopped.then(|| format!("{}: stopped (state {STOPPED}): {}", node.name, choice.describe())))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        if state::state(site.stack, node).await?.running != Some(true) {
            // The processes are gone with the node.
            return Ok(());
        }
        process::signal(site, node, "CONT", &memo.read(node)?).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let choice: Choice = memo.read(node)?;
        if state::state(site.stack, node).await?.running != Some(true) {
            return Ok(Some(format!("{}: the node ended, and its processes with it", node.name)));
        }
        let seen = process::list(site, node).await?;
        let stopped = choice.chosen.iter().any(|c| c.find(&seen).is_some_and(|seen| seen.stat.state == STOPPED));
        Ok((!stopped).then(|| format!("{}: none of them is stopped any more", node.name)))
    }
}
