//! The toolboxes that a fault holds, one a node, and an undo that needs nothing but the memo.

use super::talk::remove_of_step;
use super::{Command, Counters, Probe, Probed, Resolved, Spec, Toolbox, ToolboxError};
use crate::faults::Site;
use crate::per_node::PerNode;
use crate::stack::Node;
use std::sync::Arc;
use tokio::sync::Mutex;

type Shared = Arc<Mutex<Toolbox>>;

/// One armed toolbox a node. An injector has one of these and calls it in its phases.
#[derive(Default)]
pub struct Held(PerNode<Shared>);

impl Held {
    /// `arm`: starts the helper and hands it the spec.
    pub async fn arm(&self, site: &Site<'_>, node: &Node, spec: &Spec) -> Result<(), ToolboxError> {
        let mut toolbox = Toolbox::of_step(site.stack, site.step, node).await?;
        toolbox.arm(spec).await?;
        self.0.put(node, Arc::new(Mutex::new(toolbox)));
        Ok(())
    }

    /// `inject`: applies the spec.
    pub async fn go(&self, node: &Node) -> Result<(), ToolboxError> {
        self.of(node)?.lock().await.go().await
    }

    /// `effect`: reads the counters.
    pub async fn count(&self, node: &Node) -> Result<Counters, ToolboxError> {
        self.of(node)?.lock().await.count().await
    }

    /// `effect`: sends a few packets.
    pub async fn probe(&self, node: &Node, probe: &Probe) -> Result<Probed, ToolboxError> {
        self.of(node)?.lock().await.probe(probe).await
    }

    /// `effect`: looks a name up in the namespace.
    pub async fn resolve(&self, node: &Node, name: &str) -> Result<Resolved, ToolboxError> {
        self.of(node)?.lock().await.resolve(name).await
    }

    /// `effect`: runs commands in the namespace.
    pub async fn run(&self, node: &Node, commands: &[Command]) -> Result<Vec<crate::docker::Output>, ToolboxError> {
        self.of(node)?.lock().await.run(commands).await
    }

    /// `undo`: lets the helper revert, or, where this process holds none or it does not answer, removes the
    /// helper that may be left and reverts by another one. A node that does not run has no namespace, and so
    /// nothing to revert.
    pub async fn undo(&self, site: &Site<'_>, node: &Node, spec: &Spec) -> Result<(), ToolboxError> {
        if let Some(toolbox) = self.0.take(node).and_then(Arc::into_inner) {
            // It is in the namespace that the rules are in. Where the node was started again since, that is
            // not the node's any more, and the new one never had them.
            if toolbox.into_inner().undo().await.is_ok_and(|failed| failed.is_empty()) {
                return Ok(());
            }
        }
        remove_of_step(site.stack, site.step, node).await?;
        revert(site, node, spec).await
    }

    fn of(&self, node: &Node) -> Result<Shared, ToolboxError> {
        let failed = || ToolboxError::Failed { node: node.name.clone(), what: "it was not armed".to_owned() };
        self.0.get(node).ok_or_else(failed)
    }
}

/// Reverts a spec by a helper of its own.
async fn revert(site: &Site<'_>, node: &Node, spec: &Spec) -> Result<(), ToolboxError> {
    if spec.revert.is_empty() {
        return Ok(());
    }
    match look(site, node, &spec.revert).await {
        Ok(_) | Err(ToolboxError::NotRunning { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Runs commands in the namespace that a node has now, by a helper of their own.
pub(crate) async fn look(
    site: &Site<'_>,
    node: &Node,
    commands: &[Command],
) -> Result<Vec<crate::docker::Output>, ToolboxError> {
    let mut toolbox = Toolbox::one_shot(site.stack, node).await?;
    let outputs = toolbox.run(commands).await;
    toolbox.close().await?;
    outputs
}
