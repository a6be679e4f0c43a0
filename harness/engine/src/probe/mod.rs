//! Probes: asking a node what it is. One kind is one file; [`Prober`] is the registry line.
//!
//! A probe keeps its connection between questions, because opening one costs the node more than the
//! answer. Every question has a deadline; a connection that missed it is thrown away, so that a node that
//! hangs is seen as unreachable and one that comes back is seen at once.

mod haproxy;
mod http;
mod pgpool;
mod postgres;
mod redis;
mod sentinel;
mod worker;

use crate::docker::Engine;
use crate::stack::Stack;
use firedrill_core::cluster::{Facts, NodeReport};
use firedrill_core::ids::{NodeName, TierName};
use firedrill_core::topology::NodeKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

pub use self::postgres::connect as connect_postgres;
pub(crate) use self::postgres::connect_as as connect_postgres_as;
pub use self::postgres::connect_patient as connect_postgres_patient;
pub(crate) use self::postgres::describe as describe_postgres;
pub(crate) use self::postgres::{SHOP, connect_primary, connect_shop};
pub(crate) use self::redis::connect as connect_redis;

/// How long a node may take to answer. Shorter than a buyer's patience by far and longer than any answer
/// of a healthy node on a busy 2-core machine (99.9 % under 300 ms there).
pub const PROBE_DEADLINE: Duration = Duration::from_millis(900);

/// How one kind is asked.
enum Prober {
    Postgres(postgres::Probe),
    Pgpool(pgpool::Probe),
    Redis(redis::Probe),
    Sentinel(sentinel::Probe),
    Haproxy(haproxy::Probe),
    Http(http::Probe),
    Worker(worker::Probe),
    Running { engine: Engine, container: String },
}

/// Asks one node.
pub struct NodeProbe {
    /// The node.
    pub node: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// Its kind.
    pub kind: NodeKind,
    prober: Prober,
}

impl NodeProbe {
    /// A probe for every node of a stack.
    pub fn all(stack: &Stack) -> Vec<Self> {
        stack
            .nodes
            .iter()
            .map(|node| Self {
                node: node.name.clone(),
                tier: node.tier.clone(),
                kind: node.kind,
                prober: prober(stack, node),
            })
            .collect()
    }

    /// How often this kind is asked. 4 Hz and better for everything that has or follows a role; a Pretix
    /// health page costs the shop about 10 ms of a core, so it is asked once a second.
    pub fn period(&self) -> Duration {
        match self.kind {
            NodeKind::PretixWeb | NodeKind::PretixPeriodic => Duration::from_millis(1_000),
            _ => Duration::from_millis(200),
        }
    }

    /// Asks once.
    pub async fn ask(&mut self) -> NodeReport {
        let answer = match timeout(PROBE_DEADLINE, self.prober.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} ms", PROBE_DEADLINE.as_millis())),
        };
        if answer.is_err() {
            self.prober.reset();
        }
        NodeReport { node: self.node.clone(), tier: self.tier.clone(), kind: self.kind, answer }
    }
}

impl Prober {
    async fn ask(&mut self) -> Result<Facts, String> {
        match self {
            Self::Postgres(probe) => probe.ask().await,
            Self::Pgpool(probe) => probe.ask().await,
            Self::Redis(probe) => probe.ask().await,
            Self::Sentinel(probe) => probe.ask().await,
            Self::Haproxy(probe) => probe.ask().await,
            Self::Http(probe) => probe.ask().await,
            Self::Worker(probe) => probe.ask().await,
            Self::Running { engine, container } => {
                let inspected = engine.docker.inspect_container(container, None).await;
                let state = inspected.map_err(|error| error.to_string())?.state.unwrap_or_default();
                let runs = state.running == Some(true) && state.paused != Some(true);
                if runs { Ok(Facts::Running) } else { Err("does not run".to_owned()) }
            }
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Postgres(probe) => probe.reset(),
            Self::Pgpool(probe) => probe.reset(),
            Self::Redis(probe) => probe.reset(),
            Self::Sentinel(probe) => probe.reset(),
            Self::Worker(probe) => probe.reset(),
            Self::Haproxy(_) | Self::Http(_) | Self::Running { .. } => {}
        }
    }
}

/// The registry: which probe asks which kind.
fn prober(stack: &Stack, node: &crate::stack::Node) -> Prober {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = node.kind.probe_port().and_then(|port| node.published(port)).unwrap_or(nowhere);
    let peers = |kind| stack.of_kind(kind).map(|node| node.name.clone()).collect::<Vec<_>>();
    let by_address = |kind| {
        let pairs = stack.of_kind(kind).flat_map(|node| node.addresses.iter().map(|ip| (*ip, node.name.clone())));
        pairs.collect()
    };
    match node.kind {
        NodeKind::Postgres => {
            let password = stack.secrets.get("POSTGRES_PASSWORD");
            Prober::Postgres(postgres::Probe::new(address, password, peers(NodeKind::Postgres)))
        }
        NodeKind::Pgpool => {
            let password = stack.secrets.get("POSTGRES_PASSWORD");
            Prober::Pgpool(pgpool::Probe::new(address, password, by_address(NodeKind::Postgres)))
        }
        NodeKind::Redis => Prober::Redis(redis::Probe::new(address)),
        NodeKind::Sentinel => Prober::Sentinel(sentinel::Probe::new(address, by_address(NodeKind::Redis))),
        NodeKind::Haproxy => Prober::Haproxy(haproxy::Probe::new(address, peers(NodeKind::Redis))),
        NodeKind::PretixWeb => Prober::Http(http::Probe::new(address, "/healthcheck/")),
        NodeKind::Nginx => Prober::Http(http::Probe::new(address, "/nginx-health")),
        NodeKind::PretixWorker => {
            let brokers = stack.of_kind(NodeKind::Redis).filter_map(|node| node.published(6379)).collect();
            Prober::Worker(worker::Probe::new(brokers, node.name.clone()))
        }
        NodeKind::PretixPeriodic => Prober::Running { engine: stack.engine.clone(), container: node.container.clone() },
    }
}
