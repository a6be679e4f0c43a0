//! What is to be known about a fault before it is used: documentation, and the rules that refuse a drill
//! before anything starts.

use crate::topology::NodeKind;
use std::time::Duration;

/// What a fault changes. Two faults that change the same thing of the same node cannot be in force at the
/// same time: the undo of the first would take the second with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owns {
    /// Whether the container runs at all; nothing else can be in force on a node that comes and goes.
    Life,
    /// The freezer: nothing can be done inside a frozen container.
    Freezer,
    /// One process inside.
    Process,
    /// Which packets pass.
    Filter,
    /// The way of the packets that pass: delay, loss, order.
    Shaper,
    /// The rate of the interfaces.
    Rate,
    /// The interfaces.
    Link,
    /// The resolver.
    Resolver,
    /// The CPU quota.
    CpuQuota,
    /// CPU time, used up.
    CpuTime,
    /// The memory limit.
    Memory,
    /// The volume: whatever fills a frozen one hangs itself.
    Disk,
    /// The limit of open files.
    Descriptors,
    /// Connections of the service.
    Connections,
    /// The clock that its processes see.
    Clock,
    /// Replay of the write-ahead log.
    Replay,
    /// Locks of the shop.
    Locks,
    /// A transaction.
    Transaction,
    /// Nothing that lasts.
    Nothing,
    /// Who is master, by the Sentinels.
    Leadership,
    /// Limits of a Redis.
    RedisSettings,
    /// Clients of a Redis.
    RedisClients,
    /// The backends of a Pgpool.
    PoolMembers,
}

/// What is to be known about a fault.
#[derive(Debug)]
pub struct About {
    /// What it is, for people who choose one.
    pub summary: &'static str,
    /// How it is done.
    pub how: &'static str,
    /// Privilege or capability that it needs.
    pub needs: &'static str,
    /// What proves the effect.
    pub proof: &'static str,
    /// How it is undone.
    pub undo: &'static str,
    /// What it changes.
    pub owns: Owns,
    /// The kinds of node that it can be done to; empty is all.
    pub kinds: &'static [NodeKind],
    /// Whether something is run inside the container, which a frozen one cannot do.
    pub inside: bool,
    /// Whether what it changes outlives the container, so that it has to be undone before the container
    /// is removed.
    pub outlives_container: bool,
    /// How long its effect may take to show.
    pub effect_deadline: Duration,
}

impl About {
    /// What most faults have in common; a fault's own text fills in the rest.
    pub const DEFAULT: Self = Self {
        summary: "",
        how: "",
        needs: "the engine's API",
        proof: "",
        undo: "",
        owns: Owns::Nothing,
        kinds: &[],
        inside: false,
        outlives_container: false,
        effect_deadline: Duration::from_secs(10),
    };

    /// Whether it can be done to this kind of node.
    pub fn fits(&self, kind: NodeKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Whether two faults must not be in force on the same node at the same time.
    pub fn conflicts(&self, other: &Self) -> bool {
        let freezes = |one: &Self, two: &Self| one.owns == Owns::Freezer && two.inside;
        let same = self.owns == other.owns && self.owns != Owns::Nothing;
        let life = self.owns == Owns::Life || other.owns == Owns::Life;
        same || life || freezes(self, other) || freezes(other, self)
    }
}
