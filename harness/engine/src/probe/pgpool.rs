//! Pgpool: its view of the backends, `show pool_nodes`, which only the simple protocol answers.

use super::postgres::{connect, describe};
use firedrill_core::cluster::Facts;
use firedrill_core::ids::NodeName;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// Asks one Pgpool.
pub(super) struct Probe {
    address: SocketAddr,
    password: String,
    names: BTreeMap<Ipv4Addr, NodeName>,
    client: Option<Client>,
}

impl Probe {
    pub(super) fn new(address: SocketAddr, password: &str, names: BTreeMap<Ipv4Addr, NodeName>) -> Self {
        Self { address, password: password.to_owned(), names, client: None }
    }

    pub(super) fn reset(&mut self) {
        self.client = None;
    }

    pub(super) async fn ask(&mut self) -> Result<Facts, String> {
        let client = match self.client.take() {
            Some(client) => self.client.insert(client),
            None => self.client.insert(connect(self.address, &self.password, "postgres").await?),
        };
        let messages = client.simple_query("show pool_nodes").await.map_err(|error| describe(&error))?;
        let rows: Vec<&SimpleQueryRow> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect();
        let up = |row: &SimpleQueryRow| matches!(row.try_get("status"), Ok(Some("up" | "waiting")));
        let leads = |row: &SimpleQueryRow| up(row) && matches!(row.try_get("role"), Ok(Some("primary")));
        let primary = rows.iter().find(|row| leads(row)).and_then(|row| row.try_get("hostname").ok().flatten());
        Ok(Facts::Pgpool {
            up: count(rows.iter().filter(|row| up(row)).count()),
            total: count(rows.len()),
            primary: primary.map(|host| self.name(host)),
        })
    }

    /// Backends are written as names or as addresses; the history has names.
    fn name(&self, host: &str) -> NodeName {
        let address = host.parse().ok();
        address.and_then(|address: Ipv4Addr| self.names.get(&address).cloned()).unwrap_or_else(|| host.into())
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
