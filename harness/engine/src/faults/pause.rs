//! `pause`: all processes of the node are frozen by the kernel. Connections stay open, what arrives is
//! acknowledged by the kernel, and nobody answers.
//!
//! Proof of effect: the engine reports the container as paused; where this machine's kernel runs it, what
//! the kernel says about its freezer is added. Undo: thaw it. A node that was killed meanwhile stays so.

use super::support::{signal, state};
use super::{Done, Injector, Memo, Site};
use crate::docker::DockerError;
use crate::stack::Node;
use async_trait::async_trait;
use std::path::Path;

/// See the module.
pub(super) struct Pause;

#[async_trait]
impl Injector for Pause {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "pause").await?;
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let paused = site.stack.engine.docker.pause_container(&node.container).await;
        Ok(paused.map_err(DockerError::call(format!("{}: pause", node.name)))?)
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let state = state::state(site.stack, node).await?;
        if state.paused != Some(true) {
            return Ok(None);
        }
        let first = signal::first(site.stack, node).await?;
        let kernel = first.and_then(|first| frozen(&first.read("cgroup")?));
        Ok(match kernel {
            Some(false) => None,
            Some(true) => Some(format!("{}: paused, and the kernel says that it is frozen", node.name)),
            None => Some(format!("{}: paused by the engine's word", node.name)),
        })
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if state::state(site.stack, node).await?.paused != Some(true) {
            return Ok(());
        }
        match site.stack.engine.docker.unpause_container(&node.container).await {
            Ok(()) => Ok(()),
            // It was killed or thawed by somebody else between the two calls.
            Err(_) if state::state(site.stack, node).await?.paused != Some(true) => Ok(()),
            Err(source) => Err(DockerError::Call { what: format!("{}: thaw", node.name), source }.into()),
        }
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let state = state::state(site.stack, node).await?;
        Ok(match (state.paused, state.running) {
            (Some(true), _) => None,
            (_, Some(true)) => Some(format!("{}: thawed", node.name)),
            _ => Some(format!("{}: not frozen; it ended meanwhile", node.name)),
        })
    }
}

/// What the kernel says about the freezer of a process's cgroup, by its `/proc/PID/cgroup`; none where
/// that cannot be read.
fn frozen(cgroups: &str) -> Option<bool> {
    let lines = cgroups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let read = |folder: &str, path: &str, file: &str| {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(folder).join(path).join(file)).ok()
    };
    for (controllers, path) in lines {
        if controllers.split(',').any(|controller| controller == "freezer") {
            return Some(read("freezer", path, "freezer.state")?.trim() == "FROZEN");
        }
        if controllers.is_empty()
            && let Some(events) = read("", path, "cgroup.events")
        {
            return Some(events.lines().any(|line| line == "frozen 1"));
        }
    }
    None
}
