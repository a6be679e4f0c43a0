//! What a node is: the kind decides how it is probed, not what it is called.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of node that firedrill can probe. The engine has one file for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// PostgreSQL with streaming replication.
    Postgres,
    /// Pgpool in front of PostgreSQL.
    Pgpool,
    /// Redis with replication.
    Redis,
    /// Redis Sentinel.
    Sentinel,
    /// HAProxy in front of Redis.
    Haproxy,
    /// Pretix behind gunicorn.
    PretixWeb,
    /// Pretix's Celery worker.
    PretixWorker,
    /// Pretix's periodic tasks.
    PretixPeriodic,
    /// nginx in front of Pretix web.
    Nginx,
}

impl NodeKind {
    /// Whether one node of the tier is the primary and the others follow.
    pub fn has_roles(self) -> bool {
        matches!(self, Self::Postgres | Self::Redis)
    }

    /// The container port that the probe talks to, where the probe talks to the node itself.
    pub fn probe_port(self) -> Option<u16> {
        match self {
            Self::Postgres | Self::Pgpool => Some(5432),
            Self::Redis => Some(6379),
            Self::Sentinel => Some(26379),
            Self::Haproxy => Some(8404),
            Self::PretixWeb => Some(8345),
            Self::Nginx => Some(80),
            // Seen through the broker, where its consumer is registered.
            Self::PretixWorker => None,
            // It serves nobody; that its process runs is all there is to see.
            Self::PretixPeriodic => None,
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "postgres",
            Self::Pgpool => "pgpool",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::Haproxy => "haproxy",
            Self::PretixWeb => "pretix-web",
            Self::PretixWorker => "pretix-worker",
            Self::PretixPeriodic => "pretix-periodic",
            Self::Nginx => "nginx",
        })
    }
}
