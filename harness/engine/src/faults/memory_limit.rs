//! `memory-limit`: the container's memory limit, by the engine: what its processes use at the injection,
//! and the headroom. Swap is not added to it.
//!
//! Proof of effect: the limit is read back from the engine and, by its statistics, from the node's cgroup.
//! Undo: the limit that it had; where the node ended for want of memory, it is started.

use super::support::limits::{self, MemoryBefore, mib};
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource;

/// See the module.
pub(super) struct MemoryLimit {
    headroom_bytes: u64,
    limit_bytes: PerNode<u64>,
}

impl MemoryLimit {
    pub(super) fn new(parameters: &resource::MemoryLimit) -> Self {
        Self { headroom_bytes: parameters.headroom_mib << 20, limit_bytes: PerNode::default() }
    }

    async fn limit_bytes(&self, site: &Site<'_>, node: &Node) -> Done<u64> {
        let used = limits::used_bytes(site.stack, node, true).await?;
        Ok(limits::whole_pages(used.saturating_add(self.headroom_bytes)))
    }
}

#[async_trait]
impl Injector for MemoryLimit {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "memory-limit").await?;
        let before = MemoryBefore::read(site.stack, node).await?;
        before.must_shrink(node, self.limit_bytes(site, node).await?)?;
        Memo::of(node, &before)
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let bytes = self.limit_bytes(site, node).await?;
        self.limit_bytes.put(node, bytes);
        limits::limit_memory(site.stack, node, bytes).await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let Some(wanted) = self.limit_bytes.get(node) else { return Ok(None) };
        let engine = MemoryBefore::read(site.stack, node).await?.memory;
        let memory = limits::stats(site.stack, node).await?.memory_stats.unwrap_or_default();
        let same = u64::try_from(engine) == Ok(wanted) && memory.limit == Some(wanted);
        let (limit, used) = (mib(wanted), mib(memory.usage.unwrap_or(0)));
        Ok(same.then(|| format!("{}: its cgroup is limited to {limit} ({used} used, page cache included)", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        memo.read::<MemoryBefore>(node)?.restore(site.stack, node).await?;
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        if state::runs(site.stack, node).await?.is_none() {
            return Ok(None);
        }
        memo.read::<MemoryBefore>(node)?.is_restored(site.stack, node).await
    }
}
