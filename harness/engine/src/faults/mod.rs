//! Faults: one file each, [`injector`] is the registry line.
//!
//! An [`Injector`] only acts on nodes that are already chosen. Choosing them, the order of the phases,
//! their deadlines and the undo record are the business of [`Injection`], which drives the core's state
//! machine ([`firedrill_core::fault::Lifecycle`]); so a new fault cannot forget any of it.
//!
//! What only changes a node's network namespace is a [`Change`], of which [`InNamespace`] makes the injector.
//!
//! What an injector must keep to:
//!
//! * `prepare` has no side effect on the node. What it returns, the [`Memo`], goes into the undo record:
//!   with it, and nothing else, another process must be able to undo the fault.
//! * `arm` may get ready what is slow and harmless (start a helper), after the record is on disk.
//! * `undo` removes exactly the fault's own change. It is called any number of times, also when the fault
//!   was never or only half injected, when the node was killed, restarted or removed meanwhile, and by
//!   another process, on an injector that knows only its parameters and the memo.

mod checkpoint;
mod clock_skew;
mod connections;
mod corrupt;
mod cpu_quota;
mod cpu_stress;
mod crash_loop;
mod delay;
mod descriptors;
mod disk_full;
mod disk_slow;
mod disk_stall;
mod dns_failure;
mod dns_wrong;
mod duplicate;
mod freeze_process;
mod injection;
mod kill;
mod kill_process;
mod link_down;
mod long_transaction;
mod loss;
mod memo;
mod memory_limit;
mod out_of_memory;
mod partition;
mod pause;
mod pool_detach;
mod quota_lock;
mod rate_limit;
mod recreate;
mod redis_client_pause;
mod redis_maxmemory;
mod redis_sleep;
mod reorder;
mod replay_pause;
mod replication_cut;
mod reset;
mod restart;
mod rolling_restart;
mod sentinel_failover;
mod stop;
mod support;
mod undo;

pub use injection::{FaultError, Injection};
pub use memo::Memo;
pub use support::shaping::netem::in_kernel as netem_in_kernel;
pub use undo::{UndoRecord, undo_all};

use crate::docker::DockerError;
use crate::observe::Observer;
use crate::stack::{Node, Stack};
use crate::toolbox::ToolboxError;
use crate::wait::Expired;
use async_trait::async_trait;
use firedrill_core::fault::target::Candidate;
use firedrill_core::fault::{Fault, TargetError};
use firedrill_core::ids::{NodeName, StepId};
use support::in_namespace::{Change, InNamespace};
use support::shaping::Shaper;
use thiserror::Error;

/// Where a fault is done: the stack, and what is known about it at this moment.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The step, which names everything that the fault makes.
    pub step: StepId,
    /// What every node said it was when the targets were resolved. Empty for whoever undoes the faults of
    /// a dead harness.
    pub candidates: &'a [Candidate],
    /// The observer, where there is one.
    pub observer: Option<&'a Observer>,
    /// Seed of what the fault draws by itself.
    pub seed: u64,
}

/// An injector could not do its work.
#[derive(Debug, Error)]
pub enum InjectorError {
    /// The engine refused a call, or a command failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A target of the fault's own (its peers) means nobody.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The helper in the node's network namespace could not do it.
    #[error(transparent)]
    Toolbox(#[from] ToolboxError),
    /// It did not come true in time.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// It cannot be done to this node: a capability is missing, or the node is not in a state for it.
    #[error("{node}: {fault} cannot be done: {why}")]
    Impossible {
        /// The node.
        node: NodeName,
        /// The fault.
        fault: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// It was tried and failed.
    #[error("{node}: {what}")]
    Failed {
        /// The node.
        node: NodeName,
        /// What failed and how.
        what: String,
    },
}

impl InjectorError {
    /// A fault that cannot be done to this node.
    pub(crate) fn impossible(node: &Node, fault: &'static str, why: impl Into<String>) -> Self {
        Self::Impossible { node: node.name.clone(), fault, why: why.into() }
    }

    /// Something that was tried and failed.
    pub(crate) fn failed(node: &Node, what: impl std::fmt::Display) -> Self {
        Self::Failed { node: node.name.clone(), what: what.to_string() }
    }
}

/// Result of an injector's work.
pub type Done<T> = Result<T, InjectorError>;

/// What a fault can do, for one node at a time. See the module for the rules.
#[async_trait]
pub trait Injector: Send + Sync {
    /// Checks that it can be done to this node, without any side effect, and gives what the undo needs.
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo>;

    /// Gets ready what is slow and harmless, after the undo record is on disk.
    async fn arm(&self, _site: &Site<'_>, _node: &Node, _memo: &Memo) -> Done<()> {
        Ok(())
    }

    /// Does it: as little as possible, for this is the instant that was planned.
    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()>;

    /// Looks for its effect from outside: what was seen, or none as long as there is none to see.
    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>>;

    /// Undoes it.
    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()>;

    /// Looks whether it is undone: what was seen, or none as long as it is not.
    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>>;

    /// Whether several nodes are hit one after the other, each when the effect on the one before is
    /// proven, instead of all at once.
    fn one_by_one(&self) -> bool {
        false
    }
}

fn in_namespace(change: impl Change + 'static) -> Box<dyn Injector> {
    Box::new(InNamespace::new(change))
}

/// The registry.
pub fn injector(fault: &Fault) -> Box<dyn Injector> {
    match fault {
        Fault::Kill => Box::new(kill::Kill::default()),
        Fault::Stop(stop) => Box::new(stop::Stop::new(stop)),
        Fault::Pause => Box::new(pause::Pause),
        Fault::Restart(stop) => Box::new(restart::Restart::new(stop)),
        Fault::CrashLoop(rhythm) => Box::new(crash_loop::CrashLoop::new(rhythm)),
        Fault::Recreate => Box::new(recreate::Recreate::default()),
        Fault::KillProcess(which) => Box::new(kill_process::KillProcess::new(which)),
        Fault::FreezeProcess(which) => Box::new(freeze_process::FreezeProcess::new(which)),
        Fault::RollingRestart(stop) => Box::new(rolling_restart::RollingRestart::new(stop)),
        Fault::Partition(p) => in_namespace(partition::Partition::new(&p.traffic, p.by)),
        Fault::LinkDown => in_namespace(link_down::LinkDown),
        Fault::Delay(p) => in_namespace(Shaper(p.clone())),
        Fault::Loss(p) => in_namespace(loss::Loss::new(p)),
        Fault::Duplicate(p) => in_namespace(Shaper(duplicate::Duplicate(p.clone()))),
        Fault::Corrupt(p) => in_namespace(Shaper(corrupt::Corrupt(p.clone()))),
        Fault::Reorder(p) => in_namespace(Shaper(p.clone())),
        Fault::RateLimit(p) => in_namespace(rate_limit::RateLimit::new(p)),
        Fault::Reset(p) => Box::new(reset::Reset::new(p)),
        Fault::DnsFailure(p) => in_namespace(dns_failure::DnsFailure::new(p)),
        Fault::DnsWrong(p) => in_namespace(dns_wrong::DnsWrong::new(p)),
        Fault::CpuQuota(parameters) => Box::new(cpu_quota::CpuQuota::new(parameters)),
        Fault::CpuStress(parameters) => Box::new(cpu_stress::CpuStress::new(parameters)),
        Fault::MemoryLimit(parameters) => Box::new(memory_limit::MemoryLimit::new(parameters)),
        Fault::OutOfMemory(parameters) => Box::new(out_of_memory::OutOfMemory::new(parameters)),
        Fault::DiskFull(parameters) => Box::new(disk_full::DiskFull { parameters: parameters.clone() }),
        Fault::DiskSlow(parameters) => Box::new(disk_slow::DiskSlow { parameters: parameters.clone() }),
        Fault::DiskStall => Box::new(disk_stall::DiskStall::default()),
        Fault::Descriptors(parameters) => Box::new(descriptors::Descriptors::new(parameters)),
        Fault::Connections(parameters) => Box::new(connections::Connections::new(parameters)),
        Fault::ClockSkew(parameters) => Box::new(clock_skew::ClockSkew::new(parameters)),
        Fault::ReplayPause => Box::new(replay_pause::ReplayPause),
        Fault::ReplicationCut => in_namespace(replication_cut::ReplicationCut),
        Fault::QuotaLock(parameters) => Box::new(quota_lock::QuotaLock::new(parameters)),
        Fault::LongTransaction => Box::new(long_transaction::LongTransaction::default()),
        Fault::Checkpoint => Box::new(checkpoint::Checkpoint),
        Fault::PoolDetach(parameters) => Box::new(pool_detach::PoolDetach::new(parameters)),
        Fault::SentinelFailover => Box::new(sentinel_failover::SentinelFailover),
        Fault::RedisSleep(parameters) => Box::new(redis_sleep::RedisSleep::new(parameters)),
        Fault::RedisMaxmemory(parameters) => Box::new(redis_maxmemory::RedisMaxmemory::new(parameters)),
        Fault::RedisClientPause(parameters) => Box::new(redis_client_pause::RedisClientPause::new(parameters)),
    }
}
