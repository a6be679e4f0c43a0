//! The state of a node's container, as the engine tells it: what many faults look at and most undo by.

use crate::docker::{DockerError, status};
use crate::faults::{Done, InjectorError};
use crate::stack::{Node, Stack};
use bollard::models::{ContainerInspectResponse, ContainerState};

/// Everything that the engine knows about a node's container.
pub(in crate::faults) async fn inspect(stack: &Stack, node: &Node) -> Result<ContainerInspectResponse, DockerError> {
    let inspected = stack.engine.docker.inspect_container(&node.container, None).await;
    inspected.map_err(DockerError::call(format!("{}: inspect", node.name)))
}

/// Its state.
pub(in crate::faults) async fn state(stack: &Stack, node: &Node) -> Result<ContainerState, DockerError> {
    Ok(inspect(stack, node).await?.state.unwrap_or_default())
}

/// The node must run, and not be frozen, for a fault to mean anything.
pub(in crate::faults) async fn must_run(stack: &Stack, node: &Node, fault: &'static str) -> Done<ContainerState> {
    let state = state(stack, node).await?;
    match (state.running, state.paused) {
        (Some(true), Some(false) | None) => Ok(state),
        (Some(true), _) => Err(InjectorError::impossible(node, fault, "the node is frozen")),
        _ => Err(InjectorError::impossible(node, fault, "the node does not run")),
    }
}

/// Starts the node where it does not run.
pub(in crate::faults) async fn start(stack: &Stack, node: &Node) -> Done<()> {
    match stack.engine.docker.start_container(&node.container, None).await {
        Ok(()) => Ok(()),
        // 304: it runs already.
        Err(error) if status(&error) == Some(304) => Ok(()),
        Err(source) => Err(DockerError::Call { what: format!("{}: start again", node.name), source }.into()),
    }
}

/// Whether the node runs and is not frozen, in words.
pub(in crate::faults) async fn runs(stack: &Stack, node: &Node) -> Done<Option<String>> {
    let state = state(stack, node).await?;
    let runs = state.running == Some(true) && state.paused != Some(true);
    Ok(runs.then(|| format!("{}: runs again", node.name)))
}

/// Whether the node runs at all, frozen or not: where it does not, what was done inside is gone with it.
pub(in crate::faults) async fn is_up(stack: &Stack, node: &Node) -> Done<bool> {
    match state(stack, node).await {
        Ok(state) => Ok(state.running == Some(true)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
