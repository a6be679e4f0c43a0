//! `cpu-quota`: the container's CPU quota, by the engine. A quota in microseconds for each period is used,
//! not the engine's `NanoCpus`: that one can never be taken back to none.
//!
//! Proof of effect: the quota is read back, and the kernel counted throttled periods; or, where it counted
//! none, the node was seen to use less than the quota for a second. Undo: the quota that it had.

use super::support::{limits, state};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::models::ContainerUpdateBody;
use firedrill_core::fault::catalogue::resource;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Periods of the kernel where nobody asked for others, in microseconds.
const PERIOD_US: i64 = 100_000;

/// The kernel takes no smaller quota, in microseconds.
const LEAST_QUOTA_US: i64 = 1_000;

/// How long a node is watched that does not want more than the quota.
const WATCHED: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct CpuQuota {
    parameters: resource::CpuQuota,
    watched: PerNode<(Instant, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Before {
    nano_cpus: i64,
    quota_us: i64,
    period_us: i64,
    throttled_periods: u64,
}

impl Before {
    fn period_us(self) -> i64 {
        if self.period_us > 0 { self.period_us } else { PERIOD_US }
    }

    /// Cores that the node may use already; none where there is no quota.
    fn cores(self) -> Option<f64> {
        match (self.nano_cpus, self.quota_us) {
            (nano, _) if nano > 0 => Some(nano as f64 / 1e9),
            (_, quota) if quota > 0 => Some(quota as f64 / self.period_us() as f64),
            _ => None,
        }
    }

    /// What asks for these cores in the same terms as before: the engine refuses to mix them.
    fn body(self, cores: f64) -> ContainerUpdateBody {
        if self.nano_cpus > 0 {
            return ContainerUpdateBody { nano_cpus: Some((cores * 1e9) as i64), ..Default::default() };
        }
        let quota = ((cores * self.period_us() as f64) as i64).max(LEAST_QUOTA_US);
        ContainerUpdateBody { cpu_quota: Some(quota), ..Default::default() }
    }

    fn undo(self) -> ContainerUpdateBody {
        match self.nano_cpus {
            nano if nano > 0 => ContainerUpdateBody { nano_cpus: Some(nano), ..Default::default() },
            // 0 would mean "leave it".
            _ if self.quota_us <= 0 => ContainerUpdateBody { cpu_quota: Some(-1), ..Default::default() },
            _ => ContainerUpdateBody { cpu_quota: Some(self.quota_us), ..Default::default() },
        }
    }
}

impl CpuQuota {
    pub(super) fn new(parameters: &resource::CpuQuota) -> Self {
        Self { parameters: parameters.clone(), watched: PerNode::default() }
    }
}

async fn read(site: &Site<'_>, node: &Node) -> Done<Before> {
    let config = limits::host_config(site.stack, node).await?;
    Ok(Before {
        nano_cpus: config.nano_cpus.unwrap_or(0),
        quota_us: config.cpu_quota.unwrap_or(0),
        period_us: config.cpu_period.unwrap_or(0),
        throttled_periods: 0,
    })
}

/// Throttled periods, and the CPU time used in nanoseconds.
async fn counters(site: &Site<'_>, node: &Node) -> Done<(u64, u64)> {
    let cpu = limits::stats(site.stack, node).await?.cpu_stats.unwrap_or_default();
    let throttled = cpu.throttling_data.and_then(|data| data.throttled_periods).unwrap_or(0);
    Ok((throttled, cpu.cpu_usage.and_then(|usage| usage.total_usage).unwrap_or(0)))
}

#[async_trait]
impl Injector for CpuQuota {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "cpu-quota").await?;
        let mut before = read(site, node).await?;
        let (cores, has) = (self.parameters.cores, before.cores());
        let has = has.unwrap_or_else(|| f64::from(site.stack.engine.host.cores.max(1)));
        if cores >= has {
            let why = format!("it has no more than {has} cores: give fewer than that, not {cores}");
            return Err(InjectorError::impossible(node, "cpu-quota", why));
        }
        before.throttled_periods = counters(site, node).await?.0;
        Memo::of(node, &before)
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let before: Before = memo.read(node)?;
        match limits::update(site.stack, node, before.body(self.parameters.cores)).await? {
            true => Ok(()),
            false => Err(InjectorError::failed(node, "there is no container")),
        }
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Before = memo.read(node)?;
        let Some(cores) = read(site, node).await?.cores() else { return Ok(None) };
        let asked = before.body(self.parameters.cores);
        let asked =
            Before { nano_cpus: asked.nano_cpus.unwrap_or(0), quota_us: asked.cpu_quota.unwrap_or(0), ..before };
        if asked.cores() != Some(cores) {
            return Ok(None);
        }
        let (throttled, used_ns) = counters(site, node).await?;
        let name = &node.name;
        if throttled > before.throttled_periods {
            let count = throttled - before.throttled_periods;
            return Ok(Some(format!("{name}: {cores} cores are left, throttled in {count} periods since")));
        }
        let Some((begin, before_ns)) = self.watched.get(node) else {
            self.watched.put(node, (Instant::now(), used_ns));
            return Ok(None);
        };
        let elapsed = begin.elapsed();
        let used = used_ns.saturating_sub(before_ns) as f64 / elapsed.as_nanos() as f64;
        let idle = elapsed >= WATCHED && used < cores;
        Ok(idle
            .then(|| format!("{name}: {cores} cores are left; it wants no more ({used:.2} cores used), not throttled")))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let before: Before = memo.read(node)?;
        self.watched.take(node);
        limits::update(site.stack, node, before.undo()).await.map(|_| ())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Before = memo.read(node)?;
        let back = read(site, node).await?.cores() == before.cores();
        let quota = before.cores().map_or("no quota".to_owned(), |cores| format!("{cores} cores"));
        Ok(back.then(|| format!("{}: CPU as before ({quota})", node.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_asked_for_in_the_terms_that_the_node_has_and_taken_back_in_them() {
        let none = Before { nano_cpus: 0, quota_us: 0, period_us: 0, throttled_periods: 0 };
        assert_eq!(none.body(0.1).cpu_quota, Some(10_000));
        assert_eq!(none.body(0.001).cpu_quota, Some(LEAST_QUOTA_US));
        assert_eq!((none.undo().cpu_quota, none.undo().nano_cpus), (Some(-1), None));
        assert_eq!(none.cores(), None);
        assert_eq!(Before { quota_us: -1, ..none }.cores(), None, "taken back is none");
        let nano = Before { nano_cpus: 500_000_000, ..none };
        assert_eq!((nano.body(0.1).nano_cpus, nano.body(0.1).cpu_quota), (Some(100_000_000), None));
        assert_eq!(nano.undo().nano_cpus, Some(500_000_000));
        let quota = Before { quota_us: 25_000, period_us: 50_000, ..none };
        assert_eq!(quota.body(0.1).cpu_quota, Some(5_000));
        assert_eq!((quota.cores(), quota.undo().cpu_quota), (Some(0.5), Some(25_000)));
    }
}
