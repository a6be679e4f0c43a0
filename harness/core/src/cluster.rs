//! What the nodes of a running cluster say, and whether that is a whole cluster.
//!
//! The engine asks (its probes), this module concludes. "Whole" is the condition for a boot to be over,
//! for a fault to be injected, and for redundancy to count as restored: every node serves, every
//! follower follows, and all authorities (Pgpool, Sentinel, HAProxy) agree on who leads.

use crate::fault::target::Candidate;
use crate::history::Role;
use crate::ids::{HostName, NodeName, TierName};
use crate::topology::NodeKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node answered, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// PostgreSQL: `pg_is_in_recovery()`, timeline, replication both ways.
    Postgres {
        /// Whether it follows.
        in_recovery: bool,
        /// Timeline of the last checkpoint or of the running WAL.
        timeline: u64,
        /// Standbys that stream from it now.
        streaming: u32,
        /// Whether it receives WAL now.
        receiving: bool,
    },
    /// Pgpool: `show pool_nodes`.
    Pgpool {
        /// Backends that it holds as up.
        up: u32,
        /// All its backends.
        total: u32,
        /// The backend that it sends writes to.
        primary: Option<NodeName>,
    },
    /// Redis: `ROLE` and `INFO replication`.
    Redis {
        /// Whether it is a master.
        master: bool,
        /// Whether it refuses writes because too few replicas follow it (`min-replicas-to-write`): a master that
        /// was cut off, and leads nobody.
        refuses_writes: bool,
        /// Replicas that are online, for a master.
        replicas_online: u32,
        /// Whether its link to the master is up, for a replica.
        link_up: bool,
    },
    /// Sentinel: `SENTINEL MASTER`.
    Sentinel {
        /// The node that it holds to be the master.
        master: Option<NodeName>,
        /// Other Sentinels that it knows.
        others: u32,
        /// Replicas that it knows.
        replicas: u32,
        /// Whether it holds the master, a replica or another Sentinel to be down.
        sees_trouble: bool,
        /// Configuration epoch.
        epoch: u64,
    },
    /// HAProxy: its statistics.
    Haproxy {
        /// Servers that it holds as up.
        up: Vec<NodeName>,
    },
    /// Pretix web, nginx: an HTTP status.
    Http {
        /// Status of the health page.
        status: u16,
    },
    /// A worker: whether its consumer waits at the broker.
    Worker {
        /// Connections of this worker that wait for tasks.
        consuming: bool,
    },
    /// A node that serves nobody: it runs.
    Running,
}

/// One node, asked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Who.
    pub node: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// Its kind.
    pub kind: NodeKind,
    /// What it answered, or why it did not.
    pub answer: Result<Facts, String>,
}

impl NodeReport {
    /// What it is.
    pub fn role(&self) -> Role {
        match &self.answer {
            Err(_) => Role::Unreachable,
            Ok(Facts::Redis { master: true, refuses_writes: true, .. }) => Role::NotServing,
            Ok(Facts::Postgres { in_recovery: false, .. } | Facts::Redis { master: true, .. }) => Role::Primary,
            Ok(Facts::Postgres { .. } | Facts::Redis { .. }) => Role::Standby,
            Ok(Facts::Pgpool { primary: Some(_), .. }) => Role::Serving,
            Ok(Facts::Sentinel { master: Some(_), .. }) => Role::Serving,
            Ok(Facts::Haproxy { up }) if !up.is_empty() => Role::Serving,
            Ok(Facts::Http { status: 200..=299 }) => Role::Serving,
            Ok(Facts::Worker { consuming: true } | Facts::Running) => Role::Serving,
            Ok(_) => Role::NotServing,
        }
    }

    /// Timeline or configuration epoch.
    pub fn epoch(&self) -> Option<u64> {
        match &self.answer {
            Ok(Facts::Postgres { timeline, .. }) => Some(*timeline),
            Ok(Facts::Sentinel { epoch, .. }) => Some(*epoch),
            _ => None,
        }
    }

    /// Its view of others in short; the error where it did not answer.
    pub fn view(&self) -> String {
        let list = |nodes: &[NodeName]| nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(",");
        let name = |node: &Option<NodeName>| node.as_ref().map_or("none", |n| n.as_str()).to_owned();
        match &self.answer {
            Err(error) => error.clone(),
            Ok(Facts::Postgres { in_recovery: false, streaming, .. }) => {
                format!("{streaming} standbys streaming")
            }
            Ok(Facts::Postgres { receiving, .. }) => if *receiving { "streaming" } else { "not streaming" }.to_owned(),
            Ok(Facts::Pgpool { up, total, primary }) => format!("{up}/{total} up, primary {}", name(primary)),
            Ok(Facts::Redis { master: true, refuses_writes, replicas_online, .. }) => {
                let refuses = if *refuses_writes { ", refuses writes" } else { "" };
                format!("{replicas_online} replicas online{refuses}")
            }
            Ok(Facts::Redis { link_up, .. }) => if *link_up { "link up" } else { "link down" }.to_owned(),
            Ok(Facts::Sentinel { master, others, replicas, sees_trouble, .. }) => {
                let trouble = if *sees_trouble { ", sees trouble" } else { "" };
                format!("master {}, {others} others, {replicas} replicas{trouble}", name(master))
            }
            Ok(Facts::Haproxy { up }) if up.is_empty() => "up: none".to_owned(),
            Ok(Facts::Haproxy { up }) => format!("up: {}", list(up)),
            Ok(Facts::Http { status }) => format!("HTTP {status}"),
            Ok(Facts::Worker { consuming }) => if *consuming { "consuming" } else { "no consumer" }.to_owned(),
            Ok(Facts::Running) => String::new(),
        }
    }

    /// The node that it names as the leader of others, where it is an authority.
    fn names(&self) -> Option<&NodeName> {
        match &self.answer {
            Ok(Facts::Pgpool { primary, .. }) => primary.as_ref(),
            Ok(Facts::Sentinel { master, .. }) => master.as_ref(),
            Ok(Facts::Haproxy { up }) => match up.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The nodes as the resolver of targets sees them: what each says it is, and which authorities name it as
/// the leader. `host` gives the machine of a node.
pub fn candidates(reports: &[NodeReport], host: impl Fn(&NodeName) -> Option<HostName>) -> Vec<Candidate> {
    let candidate = |report: &NodeReport| Candidate {
        host: host(&report.node),
        node: report.node.clone(),
        tier: report.tier.clone(),
        role: report.role(),
        named_by: reports.iter().filter(|r| r.names() == Some(&report.node)).map(|r| r.node.clone()).collect(),
    };
    reports.iter().map(candidate).collect()
}

/// What is missing for the cluster to be whole, in words; empty when it is whole.
pub fn missing(reports: &[NodeReport]) -> Vec<String> {
    let mut counts: BTreeMap<NodeKind, u32> = BTreeMap::new();
    for report in reports {
        *counts.entry(report.kind).or_default() += 1;
    }
    let leaders = Leaders::of(reports);
    let mut missing = leaders.missing.clone();
    missing.extend(reports.iter().filter_map(|report| {
        let what = node_missing(report, &counts, &leaders)?;
        Some(format!("{}: {what}", report.node))
    }));
    missing
}

/// Who leads, by what the nodes themselves say.
struct Leaders {
    postgres: Option<NodeName>,
    redis: Option<NodeName>,
    missing: Vec<String>,
}

impl Leaders {
    fn of(reports: &[NodeReport]) -> Self {
        let mut missing = Vec::new();
        let mut leader = |kind: NodeKind| {
            let mut nodes = reports.iter().filter(|report| report.kind == kind).peekable();
            nodes.peek()?;
            let primaries: Vec<&NodeReport> = nodes.filter(|report| report.role() == Role::Primary).collect();
            match primaries.as_slice() {
                [one] => Some(one.node.clone()),
                [] => {
                    missing.push(format!("{kind}: no primary"));
                    None
                }
                many => {
                    let names: Vec<&str> = many.iter().map(|report| report.node.as_str()).collect();
                    missing.push(format!("{kind}: {} primaries at once: {}", many.len(), names.join(", ")));
                    None
                }
            }
        };
        let postgres = leader(NodeKind::Postgres);
        let redis = leader(NodeKind::Redis);
        Self { postgres, redis, missing }
    }
}

fn node_missing(report: &NodeReport, counts: &BTreeMap<NodeKind, u32>, leaders: &Leaders) -> Option<String> {
    let count = |kind: NodeKind| counts.get(&kind).copied().unwrap_or(0);
    let facts = match &report.answer {
        Ok(facts) => facts,
        Err(error) => return Some(error.clone()),
    };
    let (whole, wanted) = match facts {
        Facts::Postgres { in_recovery: false, streaming, .. } => {
            let wanted = count(NodeKind::Postgres) - 1;
            (*streaming == wanted, format!("wants {wanted} standbys streaming"))
        }
        Facts::Postgres { receiving, .. } => (*receiving, "wants to stream".to_owned()),
        Facts::Pgpool { up, total, primary } => {
            let nodes = count(NodeKind::Postgres);
            let agrees = primary.is_some() && *primary == leaders.postgres;
            (
                up == total && *total == nodes && agrees,
                format!("wants {nodes} of {nodes} up and the primary that leads"),
            )
        }
        Facts::Redis { master: true, replicas_online, .. } => {
            let wanted = count(NodeKind::Redis) - 1;
            (*replicas_online == wanted, format!("wants {wanted} replicas online"))
        }
        Facts::Redis { link_up, .. } => (*link_up, "wants its link up".to_owned()),
        Facts::Sentinel { master, others, replicas, sees_trouble, .. } => {
            let agrees = master.is_some() && *master == leaders.redis;
            let (peers, followers) = (count(NodeKind::Sentinel) - 1, count(NodeKind::Redis).saturating_sub(1));
            let complete = *others == peers && *replicas == followers && !sees_trouble;
            (
                agrees && complete,
                format!("wants the master that leads, {peers} others, {followers} replicas, no trouble"),
            )
        }
        Facts::Haproxy { up } => {
            let agrees = leaders.redis.as_ref().is_some_and(|leader| up.as_slice() == std::slice::from_ref(leader));
            (agrees, "wants exactly the master that leads".to_owned())
        }
        Facts::Http { status } => ((200..300).contains(status), "wants HTTP 200".to_owned()),
        Facts::Worker { consuming } => (*consuming, "wants a consumer at the broker".to_owned()),
        Facts::Running => (true, String::new()),
    };
    (!whole).then(|| format!("{} ({wanted})", report.view()))
}
