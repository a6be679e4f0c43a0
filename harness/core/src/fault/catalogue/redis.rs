//! Faults inside Redis and Sentinel.

use super::{Parameters, within};
use crate::fault::{About, Owns};
use crate::topology::NodeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const COMMANDS: &str = "the node's published port";

/// `sentinel-failover`.
pub const SENTINEL_FAILOVER: About = About {
    summary: "the Sentinels promote another Redis although the master is well",
    how: "SENTINEL FAILOVER, asked of the Sentinel that is the target",
    needs: COMMANDS,
    proof: "the configuration epoch has risen, and the Sentinel names another master",
    undo: "nothing to undo",
    owns: Owns::Leadership,
    kinds: &[NodeKind::Sentinel],
    effect_deadline: Duration::from_secs(20),
    ..About::DEFAULT
};

/// Parameters of `redis-sleep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSleep {
    /// How long, in milliseconds.
    pub sleep_ms: u64,
}

impl Default for RedisSleep {
    /// Longer than a blocked command, shorter than a failover.
    fn default() -> Self {
        Self { sleep_ms: 2_000 }
    }
}

impl Parameters for RedisSleep {
    fn check(&self) -> Result<(), String> {
        // Long enough for a PING that is not answered to prove it. It cannot be ended early, and must be over
        // before the undo's deadline.
        within("sleep_ms", self.sleep_ms, 1_000, 45_000)
    }
}

/// `redis-sleep`.
pub const REDIS_SLEEP: About = About {
    summary: "a Redis answers nobody for a while, as with a slow command",
    how: "DEBUG SLEEP inside the node",
    needs: "`enable-debug-command local` in the node's configuration",
    proof: "a PING is not answered while the command is under way",
    undo: "nothing can end it early: it is over when the time is",
    owns: Owns::RedisClients,
    kinds: &[NodeKind::Redis],
    inside: true,
    ..About::DEFAULT
};

/// Parameters of `redis-maxmemory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisMaxmemory {
    /// The limit in bytes. Less than what is used refuses every write.
    pub bytes: u64,
}

impl Default for RedisMaxmemory {
    fn default() -> Self {
        Self { bytes: 1 }
    }
}

impl Parameters for RedisMaxmemory {
    fn check(&self) -> Result<(), String> {
        // 0 would be no limit at all.
        within("bytes", self.bytes, 1, u64::MAX)
    }
}

/// `redis-maxmemory`.
pub const REDIS_MAXMEMORY: About = About {
    summary: "a Redis has no memory for further keys and refuses writes",
    how: "CONFIG SET maxmemory with the policy noeviction",
    needs: COMMANDS,
    proof: "the settings are read back, and a master refuses a write with OOM",
    undo: "the settings that the undo record has",
    owns: Owns::RedisSettings,
    kinds: &[NodeKind::Redis],
    ..About::DEFAULT
};

/// Which commands wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PauseMode {
    /// All of them.
    #[default]
    All,
    /// Those that write.
    Write,
}

/// Parameters of `redis-client-pause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisClientPause {
    /// Which commands wait.
    pub mode: PauseMode,
    /// How long at most, in milliseconds: Redis itself ends it then, whatever becomes of firedrill.
    pub most_ms: u64,
}

impl Default for RedisClientPause {
    fn default() -> Self {
        Self { mode: PauseMode::All, most_ms: 60_000 }
    }
}

impl Parameters for RedisClientPause {
    fn check(&self) -> Result<(), String> {
        within("most_ms", self.most_ms, 100, 600_000)
    }
}

/// `redis-client-pause`.
pub const REDIS_CLIENT_PAUSE: About = About {
    summary: "a Redis lets its clients wait",
    how: "CLIENT PAUSE; where all wait, for two seconds, again and again, by a connection that is exempt",
    needs: COMMANDS,
    proof: "a write (or, where all wait, a read) of another client is not answered",
    undo: "CLIENT UNPAUSE; where all wait, nobody else can send it, and the two seconds run out",
    owns: Owns::RedisClients,
    kinds: &[NodeKind::Redis],
    effect_deadline: Duration::from_secs(5),
    ..About::DEFAULT
};
