//! `kill`: SIGKILL to the node's first process, which takes all others of the container with it. Nothing
//! is flushed, no connection is closed by the program: the node is gone as if its power had failed, while
//! its disk stays.
//!
//! Proof of effect: the engine reports the container as ended with code 137 (128 + 9). Undo: start it
//! again; whether it rejoins is judged by the observers.

use super::{Fault, Step};
use crate::docker::{DockerError, status};
use crate::stack::{Node, Stack};
use bollard::models::ContainerState;
use bollard::query_parameters::KillContainerOptionsBuilder;

/// See the module.
pub(super) struct Kill;

/// Exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;

async fn state(stack: &Stack, node: &Node) -> Result<ContainerState, DockerError> {
    let inspected = stack.engine.docker.inspect_container(&node.container, None).await;
    let inspected = inspected.map_err(DockerError::call(format!("{}: inspect", node.name)))?;
    Ok(inspected.state.unwrap_or_default())
}

impl Fault for Kill {
    fn prepare<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()> {
        Box::pin(async move {
            if state(stack, node).await?.running == Some(true) {
                return Ok(());
            }
            Err(DockerError::Exec {
                node: node.name.to_string(),
                command: "kill".to_owned(),
                problem: "cannot be prepared: the node does not run".to_owned(),
            })
        })
    }

    fn inject<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()> {
        Box::pin(async move {
            let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
            let killed = stack.engine.docker.kill_container(&node.container, Some(options)).await;
            killed.map_err(DockerError::call(format!("{}: kill", node.name)))
        })
    }

    fn effect<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, Option<String>> {
        Box::pin(async move {
            let state = state(stack, node).await?;
            let ended = state.running == Some(false) && state.exit_code == Some(KILLED);
            let at = state.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
            Ok(ended.then(|| format!("{}: ended by SIGKILL (exit code {KILLED}){at}", node.name)))
        })
    }

    fn undo<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, ()> {
        Box::pin(async move {
            match stack.engine.docker.start_container(&node.container, None).await {
                Ok(()) => Ok(()),
                // 304: it runs already.
                Err(error) if status(&error) == Some(304) => Ok(()),
                Err(source) => Err(DockerError::Call { what: format!("{}: start again", node.name), source }),
            }
        })
    }

    fn undone<'a>(&'a self, stack: &'a Stack, node: &'a Node) -> Step<'a, Option<String>> {
        Box::pin(async move {
            let running = state(stack, node).await?.running == Some(true);
            Ok(running.then(|| format!("{}: runs again", node.name)))
        })
    }
}
