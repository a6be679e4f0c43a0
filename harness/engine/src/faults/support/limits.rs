//! Limits of a node's cgroup, set and read by the engine.

use super::state;
use crate::docker::{DockerError, status};
use crate::faults::{Done, InjectorError};
use crate::stack::{Node, Stack};
use bollard::models::{ContainerMemoryStats, ContainerStatsResponse, ContainerUpdateBody, HostConfig};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

/// The engine takes no smaller limit of memory.
const LEAST_BYTES: u64 = 6 << 20;

/// "No limit", for an engine that takes neither 0 nor -1 back: more than any machine has. The kernel's own
/// end of the scale for memory with swap, so that half of it is swap where the two are counted apart.
const UNLIMITED_BYTES: i64 = 1 << 62;
const UNLIMITED_WITH_SWAP_BYTES: i64 = i64::MAX - 4095;

/// What the engine was told about the node's limits.
pub(in crate::faults) async fn host_config(stack: &Stack, node: &Node) -> Done<HostConfig> {
    Ok(state::inspect(stack, node).await?.host_config.unwrap_or_default())
}

/// Changes limits. Gives whether there still is a container to change.
pub(in crate::faults) async fn update(stack: &Stack, node: &Node, body: ContainerUpdateBody) -> Done<bool> {
    match stack.engine.docker.update_container(&node.container, body).await {
        Ok(()) => Ok(true),
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(source) => Err(DockerError::Call { what: format!("{}: change a limit", node.name), source }.into()),
    }
}

/// The counters of the node's cgroup.
pub(in crate::faults) async fn stats(stack: &Stack, node: &Node) -> Done<ContainerStatsResponse> {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut answers = std::pin::pin!(stack.engine.docker.stats(&node.container, Some(options)));
    match answers.next().await {
        Some(Ok(stats)) => Ok(stats),
        Some(Err(source)) => Err(DockerError::Call { what: format!("{}: statistics", node.name), source }.into()),
        None => Err(InjectorError::failed(node, "the engine gives no statistics")),
    }
}

/// A memory limit as the engine knows it; 0 and below is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::faults) struct MemoryBefore {
    pub(in crate::faults) memory: i64,
    pub(in crate::faults) swap: i64,
}

impl MemoryBefore {
    pub(in crate::faults) async fn read(stack: &Stack, node: &Node) -> Done<Self> {
        let config = host_config(stack, node).await?;
        Ok(Self { memory: config.memory.unwrap_or(0), swap: config.memory_swap.unwrap_or(0) })
    }

    fn is_limited(self) -> bool {
        self.memory > 0 && self.memory < UNLIMITED_BYTES
    }

    fn to_restore(self) -> (i64, i64) {
        match (self.is_limited(), self.swap > 0) {
            (true, true) => (self.memory, self.swap),
            (true, false) => (self.memory, UNLIMITED_WITH_SWAP_BYTES),
            (false, _) => (UNLIMITED_BYTES, UNLIMITED_WITH_SWAP_BYTES),
        }
    }

    /// Gives the node its limit back, whatever state it is in.
    pub(in crate::faults) async fn restore(self, stack: &Stack, node: &Node) -> Done<()> {
        let (memory, swap) = self.to_restore();
        set_memory(stack, node, memory, swap).await.map(|_| ())
    }

    /// Whether the node has it back, in words. A container that is gone has no limit.
    pub(in crate::faults) async fn is_restored(self, stack: &Stack, node: &Node) -> Done<Option<String>> {
        let now = Self::read(stack, node).await?;
        let back = if self.is_limited() { now.memory == self.memory } else { !now.is_limited() };
        let limit = if self.is_limited() { mib(self.memory.unsigned_abs()) } else { "no limit".to_owned() };
        Ok(back.then(|| format!("{}: memory as before ({limit})", node.name)))
    }

    /// Refuses what would give the node more than it has.
    pub(in crate::faults) fn must_shrink(self, node: &Node, limit_bytes: u64) -> Done<()> {
        if self.is_limited() && limit_bytes >= self.memory.unsigned_abs() {
            let (own, new) = (mib(self.memory.unsigned_abs()), mib(limit_bytes));
            return Err(InjectorError::failed(node, format!("its own memory limit of {own} is not above {new}")));
        }
        Ok(())
    }
}

async fn set_memory(stack: &Stack, node: &Node, memory: i64, swap: i64) -> Done<bool> {
    let body = ContainerUpdateBody { memory: Some(memory), memory_swap: Some(swap), ..Default::default() };
    update(stack, node, body).await
}

/// Limits the node's memory, swap included.
pub(in crate::faults) async fn limit_memory(stack: &Stack, node: &Node, bytes: u64) -> Done<()> {
    let bytes = i64::try_from(bytes).unwrap_or(UNLIMITED_BYTES);
    match set_memory(stack, node, bytes, bytes).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(InjectorError::failed(node, "there is no container")),
        Err(error) => Err(InjectorError::failed(
            node,
            format!(
                "the kernel cannot limit it to {}: {error}; its processes hold more, give more headroom",
                mib(bytes.unsigned_abs())
            ),
        )),
    }
}

/// What the node's processes hold: with the page cache that was used of late, or without any.
pub(in crate::faults) async fn used_bytes(stack: &Stack, node: &Node, with_active_cache: bool) -> Done<u64> {
    let stats = stats(stack, node).await?.memory_stats.unwrap_or_default();
    Ok(used(&stats, with_active_cache))
}

fn used(stats: &ContainerMemoryStats, with_active_cache: bool) -> u64 {
    // Under its name in cgroup v1, or in v2.
    let detail = |name: &str| {
        let details = stats.stats.as_ref()?;
        details.get(&format!("total_{name}")).or_else(|| details.get(name)).copied()
    };
    let active = if with_active_cache { 0 } else { detail("active_file").unwrap_or(0) };
    stats.usage.unwrap_or(0).saturating_sub(detail("inactive_file").unwrap_or(0)).saturating_sub(active)
}

/// A limit of whole pages that the engine takes.
pub(in crate::faults) fn whole_pages(bytes: u64) -> u64 {
    bytes.max(LEAST_BYTES) & !4095
}

/// Bytes for people.
pub(in crate::faults) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn page_cache_does_not_count_under_either_name() {
        let stats = |prefix: &str| ContainerMemoryStats {
            usage: Some(100),
            stats: Some(HashMap::from([(format!("{prefix}inactive_file"), 30), (format!("{prefix}active_file"), 20)])),
            ..Default::default()
        };
        for prefix in ["total_", ""] {
            assert_eq!(used(&stats(prefix), true), 70);
            assert_eq!(used(&stats(prefix), false), 50);
        }
    }

    #[test]
    fn no_limit_comes_back_as_more_than_any_machine_has() {
        let none = MemoryBefore { memory: 0, swap: 0 };
        assert_eq!(none.to_restore(), (UNLIMITED_BYTES, UNLIMITED_WITH_SWAP_BYTES));
        let own = MemoryBefore { memory: 50 << 20, swap: 100 << 20 };
        assert_eq!(own.to_restore(), (50 << 20, 100 << 20));
        assert_eq!(whole_pages(1), LEAST_BYTES);
        assert_eq!(whole_pages((10 << 20) + 5), 10 << 20);
    }
}
