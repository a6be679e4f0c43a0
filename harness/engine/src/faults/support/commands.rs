//! Commands of ours inside a node's container: whether one is still under way.

use crate::docker::DockerError;
use crate::faults::Done;
use crate::stack::{Node, Stack};

/// Whether a process of this node has the text in its command line. The node must run.
pub(in crate::faults) async fn runs(stack: &Stack, node: &Node, text: &str) -> Done<bool> {
    let top = stack.engine.docker.top_processes(&node.container, None).await;
    let top = top.map_err(DockerError::call(format!("{}: list its processes", node.name)))?;
    Ok(top.processes.unwrap_or_default().iter().flatten().any(|column| column.contains(text)))
}
