//! Faults inside PostgreSQL and Pgpool.

use super::Parameters;
use crate::fault::{About, Owns};
use crate::ids::NodeName;
use crate::topology::NodeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SUPERUSER: &str = "the database's superuser, by the node's published port";

/// `replay-pause`.
pub const REPLAY_PAUSE: About = About {
    summary: "a standby receives what the primary writes and does not replay it: reads from it are stale",
    how: "pg_wal_replay_pause()",
    needs: SUPERUSER,
    proof: "the standby says that replay is paused",
    undo: "pg_wal_replay_resume(), where it is still a standby",
    owns: Owns::Replay,
    kinds: &[NodeKind::Postgres],
    ..About::DEFAULT
};

/// `replication-cut`.
pub const REPLICATION_CUT: About = About {
    summary: "a standby is cut off from replication while everybody else reaches it",
    how: "iptables rules refuse what it asks of the other databases, and its stream's connection is destroyed",
    needs: "a helper container in the node's network namespace with CAP_NET_ADMIN",
    proof: "the standby's receiver is gone, by its own word, and the rules refused its attempts",
    undo: "exactly these rules are removed",
    owns: Owns::Filter,
    kinds: &[NodeKind::Postgres],
    effect_deadline: Duration::from_secs(20),
    ..About::DEFAULT
};

/// Parameters of `quota-lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaLock {
    /// The quota, as `event/quota`; empty is every quota of every event.
    pub quota: String,
}

impl Parameters for QuotaLock {
    fn check(&self) -> Result<(), String> {
        if self.quota.is_empty() || self.quota.split('/').count() == 2 {
            return Ok(());
        }
        Err(format!("quota is {:?}: write event/quota", self.quota))
    }
}

/// `quota-lock`.
pub const QUOTA_LOCK: About = About {
    summary: "somebody holds the lock that every sale of the quota needs",
    how: "the advisory lock that Pretix takes (locking.py), held by an open transaction",
    needs: SUPERUSER,
    proof: "the database shows the lock as held by this session",
    undo: "the session ends; the kernel ends it when firedrill dies",
    owns: Owns::Locks,
    kinds: &[NodeKind::Postgres],
    ..About::DEFAULT
};

/// `long-transaction`.
pub const LONG_TRANSACTION: About = About {
    summary: "a transaction stays open: its snapshot holds back vacuum, its locks hold back schema changes",
    how: "a session that has read every table and has a transaction identifier, idle in its transaction",
    needs: SUPERUSER,
    proof: "the database shows the session as idle in a transaction that has an identifier",
    undo: "the session ends; the kernel ends it when firedrill dies",
    owns: Owns::Transaction,
    kinds: &[NodeKind::Postgres],
    ..About::DEFAULT
};

/// `checkpoint`.
pub const CHECKPOINT: About = About {
    summary: "the database writes all that is dirty, now",
    how: "CHECKPOINT",
    needs: SUPERUSER,
    proof: "the position of the last checkpoint is another one",
    undo: "nothing to undo",
    owns: Owns::Nothing,
    kinds: &[NodeKind::Postgres],
    effect_deadline: Duration::from_secs(60),
    ..About::DEFAULT
};

/// Parameters of `pool-detach`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolDetach {
    /// The backend that is taken out; none is a standby.
    pub backend: Option<NodeName>,
}

impl Parameters for PoolDetach {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// `pool-detach`.
pub const POOL_DETACH: About = About {
    summary: "a Pgpool takes a healthy database out, again each time that its watcher puts it back",
    how: "pcp_detach_node inside the Pgpool, whenever it holds the backend as up",
    needs: "the Pgpool's own pcp user",
    proof: "the Pgpool shows the backend as down",
    undo: "pcp_attach_node, where it is still out",
    owns: Owns::PoolMembers,
    kinds: &[NodeKind::Pgpool],
    inside: true,
    effect_deadline: Duration::from_secs(15),
    ..About::DEFAULT
};
