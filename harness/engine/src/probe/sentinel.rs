//! Sentinel: whom it holds to be the master, and whom it knows.

use super::redis::connect;
use firedrill_core::cluster::Facts;
use firedrill_core::ids::NodeName;
use redis::aio::MultiplexedConnection;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};

/// Asks one Sentinel.
pub(super) struct Probe {
    address: SocketAddr,
    names: BTreeMap<Ipv4Addr, NodeName>,
    connection: Option<MultiplexedConnection>,
}

type Fields = HashMap<String, String>;

impl Probe {
    pub(super) fn new(address: SocketAddr, names: BTreeMap<Ipv4Addr, NodeName>) -> Self {
        Self { address, names, connection: None }
    }

    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    pub(super) async fn ask(&mut self) -> Result<Facts, String> {
        let connection = match self.connection.take() {
            Some(connection) => self.connection.insert(connection),
            None => self.connection.insert(connect(self.address).await?),
        };
        let mut question = redis::cmd("SENTINEL");
        let masters: Vec<Fields> =
            question.arg("MASTERS").query_async(connection).await.map_err(|error| error.to_string())?;
        // The name is the topology's business; a Sentinel of ours watches one master.
        let master = masters.into_iter().next().ok_or("watches no master")?;
        let name = master.get("name").ok_or("its master has no name")?;
        let mut questions = redis::pipe();
        for question in ["REPLICAS", "SENTINELS"] {
            questions.cmd("SENTINEL").arg(question).arg(name);
        }
        let (replicas, others): (Vec<Fields>, Vec<Fields>) =
            questions.query_async(connection).await.map_err(|error| error.to_string())?;
        let number = |key: &str| master.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let all = std::iter::once(&master).chain(&replicas).chain(&others);
        let address = master.get("ip").and_then(|ip| ip.parse::<Ipv4Addr>().ok());
        Ok(Facts::Sentinel {
            master: address.and_then(|address| self.names.get(&address).cloned()),
            others: u32::try_from(others.len()).unwrap_or(u32::MAX),
            replicas: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
            sees_trouble: all.filter_map(|fields| fields.get("flags")).any(|flags| is_trouble(flags)),
            epoch: number("config-epoch"),
        })
    }
}

/// Flags of a node that is down, or that the Sentinel cannot talk to.
fn is_trouble(flags: &str) -> bool {
    flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"))
}
