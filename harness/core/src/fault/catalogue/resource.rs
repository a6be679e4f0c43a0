//! Faults of what a node lives on: CPU, memory, disk, files, connections, time.

use super::{Parameters, within};
use crate::fault::{About, Owns};
use crate::topology::NodeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Parameters of `cpu-quota`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CpuQuota {
    /// Cores that the node may use.
    pub cores: f64,
}

impl Default for CpuQuota {
    fn default() -> Self {
        Self { cores: 0.1 }
    }
}

impl Parameters for CpuQuota {
    fn check(&self) -> Result<(), String> {
        within("cores", self.cores, 0.01, 1024.0)
    }
}

/// `cpu-quota`.
pub const CPU_QUOTA: About = About {
    summary: "the node gets less CPU time than it wants",
    how: "the container's CPU quota, by the engine",
    proof: "the quota is read back from the engine, and the kernel counted throttled periods; or the node was seen to \
            want no more than the quota",
    undo: "the quota that the undo record has",
    owns: Owns::CpuQuota,
    ..About::DEFAULT
};

/// Parameters of `cpu-stress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CpuStress {
    /// Busy loops.
    pub workers: u32,
}

impl Default for CpuStress {
    fn default() -> Self {
        Self { workers: 2 }
    }
}

impl Parameters for CpuStress {
    fn check(&self) -> Result<(), String> {
        within("workers", self.workers, 1, 256)
    }
}

/// `cpu-stress`.
pub const CPU_STRESS: About = About {
    summary: "something else in the node uses up its CPU time",
    how: "busy loops inside the container, which end by themselves after 15 minutes",
    needs: "a shell and grep in the node's image",
    proof: "the CPU time that the loops have used",
    undo: "exactly these loops are ended",
    owns: Owns::CpuTime,
    inside: true,
    ..About::DEFAULT
};

/// Parameters of `memory-limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryLimit {
    /// Memory above what the node uses at the injection, in MiB.
    pub headroom_mib: u64,
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self { headroom_mib: 16 }
    }
}

impl Parameters for MemoryLimit {
    fn check(&self) -> Result<(), String> {
        within("headroom_mib", self.headroom_mib, 1, 1_048_576)
    }
}

/// `memory-limit`.
pub const MEMORY_LIMIT: About = About {
    summary: "the node cannot have more memory than it has",
    how: "the container's memory limit, by the engine: what it uses now and the headroom",
    proof: "the limit is read back from the engine and from the node's cgroup",
    undo: "the limit that the undo record has; where the node ended, it is started",
    owns: Owns::Memory,
    ..About::DEFAULT
};

/// Parameters of `out-of-memory`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutOfMemory {
    /// A part of the command line of the process that shall be the victim; empty leaves it to the kernel.
    pub command: String,
}

impl Parameters for OutOfMemory {
    fn check(&self) -> Result<(), String> {
        if self.command.chars().any(char::is_control) {
            return Err("command has control characters: give a part of the command line".to_owned());
        }
        Ok(())
    }
}

/// `out-of-memory`.
pub const OUT_OF_MEMORY: About = About {
    summary: "the kernel ends a process of the node for want of memory",
    how: "a memory limit just above what is used, and a file in the node's shared memory that takes the rest",
    needs: "a shell and grep in the node's image, and some MiB of /dev/shm",
    proof: "the node's cgroup counted a process ended for want of memory, or the engine reports it",
    undo: "the limit that the undo record has; the file and who writes it go; where the node ended, it is started",
    owns: Owns::Memory,
    inside: true,
    // Before it gives up, the kernel takes the programs' pages away again and again.
    effect_deadline: Duration::from_secs(60),
    ..About::DEFAULT
};

/// Parameters of `disk-full`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskFull {
    /// Bytes left free, in KiB.
    pub left_kib: u64,
}

impl Parameters for DiskFull {
    fn check(&self) -> Result<(), String> {
        within("left_kib", self.left_kib, 0, 1_048_576)
    }
}

const OWN_DISK: &str = "a volume with a file system of its own (`x-firedrill: {disk_mb: N}` at the volume)";

/// `disk-full`.
pub const DISK_FULL: About = About {
    summary: "no space is left on the node's volume",
    how: "one file takes what is free; what the node itself frees later, it has",
    needs: OWN_DISK,
    proof: "the free space is read back, and a write fails for want of space",
    undo: "exactly this file is removed; where the node ended, it is started",
    owns: Owns::Disk,
    kinds: &[NodeKind::Postgres, NodeKind::Redis, NodeKind::Sentinel],
    ..About::DEFAULT
};

/// Parameters of `disk-slow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSlow {
    /// Writes per second that the volume takes from the node. A commit is two: the data, and the flush of the
    /// device's cache.
    pub writes_per_s: u32,
}

impl Default for DiskSlow {
    /// A shared disk on a bad day.
    fn default() -> Self {
        Self { writes_per_s: 20 }
    }
}

impl Parameters for DiskSlow {
    fn check(&self) -> Result<(), String> {
        within("writes_per_s", self.writes_per_s, 1, 1_000)
    }
}

/// `disk-slow`.
pub const DISK_SLOW: About = About {
    summary: "the node's volume is slow",
    how: "the block device of the volume is throttled for the node's cgroup; what the kernel writes back later on \
          its own account is not throttled with cgroup v1, what a process waits for is",
    needs: "a volume with a file system of its own (`x-firedrill: {disk_mb: N}` at the volume), and `dd` in the \
            node's image",
    proof: "synchronous writes in the volume, made in the node's cgroup, take as long as asked for",
    undo: "the throttle is taken away; a restart of the node takes it away too",
    owns: Owns::Disk,
    inside: true,
    kinds: &[NodeKind::Postgres, NodeKind::Redis, NodeKind::Sentinel],
    effect_deadline: Duration::from_secs(20),
    ..About::DEFAULT
};

/// `disk-stall`.
pub const DISK_STALL: About = About {
    summary: "writes to the node's volume hang, as on a failing disk",
    how: "the volume's file system is frozen (FIFREEZE) by a dead man's switch, which thaws it when firedrill dies, \
          and after ten minutes in any case",
    needs: OWN_DISK,
    proof: "a write in the volume does not come back",
    undo: "the file system is thawed",
    owns: Owns::Disk,
    kinds: &[NodeKind::Postgres, NodeKind::Redis, NodeKind::Sentinel],
    outlives_container: true,
    ..About::DEFAULT
};

/// Parameters of `descriptors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Descriptors {
    /// Files and sockets that each process may open beyond those it has.
    pub headroom: u32,
}

impl Parameters for Descriptors {
    fn check(&self) -> Result<(), String> {
        within("headroom", self.headroom, 0, 1_000_000)
    }
}

/// `descriptors`.
pub const DESCRIPTORS: About = About {
    summary: "no further file or socket can be opened",
    how: "the soft limit of open files of the node's processes is set to what they have open, as their own users",
    needs: "a shell, grep and prlimit in the node's image",
    proof: "the limits are read back from the kernel",
    undo: "the limits that the undo record has; processes born meanwhile get the lowest of them",
    owns: Owns::Descriptors,
    inside: true,
    ..About::DEFAULT
};

/// Parameters of `connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// Connections that are left to others.
    pub left: u32,
    /// Connections to open at most: a bound for services that have none.
    pub most: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self { left: 0, most: 2_000 }
    }
}

impl Parameters for Connections {
    fn check(&self) -> Result<(), String> {
        within("most", self.most, 1, 60_000)?;
        within("left", self.left, 0, self.most)
    }
}

/// `connections`.
pub const CONNECTIONS: About = About {
    summary: "every connection that the service allows is taken",
    how: "connections are opened from outside, as the shop's user, until one is refused, and held",
    needs: "the node's published port, and a service that takes fewer than `most`",
    proof: "a further connection is refused, or not answered",
    undo: "the connections are closed; the kernel does so when firedrill dies",
    owns: Owns::Connections,
    kinds: &[NodeKind::Postgres, NodeKind::Pgpool, NodeKind::Redis],
    effect_deadline: Duration::from_secs(30),
    ..About::DEFAULT
};

/// Parameters of `clock-skew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClockSkew {
    /// Seconds that the node's clock is ahead; below zero it is behind.
    pub offset_s: i64,
}

impl Default for ClockSkew {
    /// An hour ahead: a wrong time zone.
    fn default() -> Self {
        Self { offset_s: 3_600 }
    }
}

impl Parameters for ClockSkew {
    fn check(&self) -> Result<(), String> {
        if self.offset_s == 0 {
            return Err("offset_s is 0: that is no skew".to_owned());
        }
        within("offset_s", self.offset_s, -315_360_000, 315_360_000)
    }
}

/// `clock-skew`.
pub const CLOCK_SKEW: About = About {
    summary: "the node's server sees another time; the host's clock is not touched",
    how: "libfaketime, which the server was started with, reads its offset from a file; time-outs do not jump",
    needs: "a service with `x-firedrill: {clock: faketime}`, whose image has libfaketime",
    proof: "the clock is read back in the node, and from the server itself",
    undo: "the offset is taken away",
    owns: Owns::Clock,
    // The others: libfaketime hangs Redis' memory allocator and breaks Python's sleep.
    kinds: &[NodeKind::Postgres],
    inside: true,
    ..About::DEFAULT
};
