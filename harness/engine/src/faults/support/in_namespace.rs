//! Faults that change something in a node's network namespace: rules, queues, interfaces. They differ in what the
//! toolbox does and in how the effect shows; everything else is the same and is here.

use super::state;
use crate::docker::Output;
use crate::faults::{Done, Injector, Memo, Site};
use crate::stack::Node;
use crate::toolbox::{Command, Held, Spec, ToolboxError, look};
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One such fault.
#[async_trait]
pub(in crate::faults) trait Change: Send + Sync {
    /// Its name.
    const NAME: &'static str;

    /// The memo of a node.
    type Plan: Serialize + DeserializeOwned + Send + Sync;

    /// Makes the plan for a node, which runs; refuses where it cannot be done. No side effect.
    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Self::Plan>;

    /// What the toolbox does by a plan, and how it reverts.
    fn spec(plan: &Self::Plan) -> &Spec;

    /// Looks for the effect, by the toolbox that is held on the node: what was seen, or none as long as there is none.
    async fn effect(&self, held: &Held, site: &Site<'_>, node: &Node, plan: &Self::Plan) -> Done<Option<String>>;

    /// Looks whether it is undone: what was seen, or none as long as it is not.
    async fn undone(&self, site: &Site<'_>, node: &Node, plan: &Self::Plan) -> Done<Option<String>> {
        no_rule_left(site, node, Self::spec(plan)).await
    }
}

/// The injector of such a fault: the toolbox is armed before the planned instant, applies at it, and reverts.
pub(in crate::faults) struct InNamespace<C> {
    change: C,
    held: Held,
}

impl<C: Change> InNamespace<C> {
    /// Of this fault.
    pub(in crate::faults) fn new(change: C) -> Self {
        Self { change, held: Held::default() }
    }
}

#[async_trait]
impl<C: Change> Injector for InNamespace<C> {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, C::NAME).await?;
        Memo::of(node, &self.change.plan(site, node).await?)
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, C::spec(&memo.read(node)?)).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.go(node).await?)
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        self.change.effect(&self.held, site, node, &memo.read(node)?).await
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, C::spec(&memo.read(node)?)).await?)
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        self.change.undone(site, node, &memo.read(node)?).await
    }
}

/// Looks by commands into the namespace that the node has now; `read` gives what was seen, or none as long as
/// something is left. A node that does not run has no namespace, and so nothing is left in it.
pub(in crate::faults) async fn undone_by(
    site: &Site<'_>,
    node: &Node,
    commands: &[Command],
    read: impl FnOnce(&[Output]) -> Done<Option<String>>,
) -> Done<Option<String>> {
    match look(site, node, commands).await {
        Err(ToolboxError::NotRunning { .. }) => {
            Ok(Some(format!("{}: does not run, its network is gone with it", node.name)))
        }
        outputs => read(&outputs?),
    }
}

/// Looks whether a chain or rule of the step is left.
pub(in crate::faults) async fn no_rule_left(site: &Site<'_>, node: &Node, spec: &Spec) -> Done<Option<String>> {
    undone_by(site, node, &[Command::new("iptables-save")], |outputs| {
        let saved = outputs.first().filter(|output| output.code == 0).map(|output| output.stdout.as_str());
        let Some(saved) = saved else { return Ok(None) };
        let left = !spec.chains.is_empty() && saved.contains(&spec.chains);
        Ok((!left).then(|| format!("{}: no rule of this step is left", node.name)))
    })
    .await
}
