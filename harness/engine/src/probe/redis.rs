//! Redis: its replication state.

use firedrill_core::cluster::Facts;
use redis::aio::MultiplexedConnection;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Asks one Redis node.
pub(super) struct Probe {
    address: SocketAddr,
    connection: Option<MultiplexedConnection>,
}

impl Probe {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    pub(super) async fn ask(&mut self) -> Result<Facts, String> {
        let connection = match self.connection.take() {
            Some(connection) => self.connection.insert(connection),
            None => self.connection.insert(connect(self.address).await?),
        };
        let mut question = redis::cmd("INFO");
        let text: String =
            question.arg("replication").query_async(connection).await.map_err(|error| error.to_string())?;
        Ok(facts(&text))
    }
}

fn facts(info: &str) -> Facts {
    let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let replicas = fields.iter().filter(|(key, _)| is_replica(key));
    Facts::Redis {
        master: fields.get("role") == Some(&"master"),
        // The field is there only where min-replicas-to-write is set, which is then at least 1.
        refuses_writes: fields.get("min_slaves_good_slaves") == Some(&"0"),
        replicas_online: u32::try_from(replicas.filter(|(_, value)| value.contains("state=online")).count())
            .unwrap_or(u32::MAX),
        link_up: fields.get("master_link_status") == Some(&"up"),
    }
}

/// `slave0`, `slave1` ... but not `slave_read_only`.
fn is_replica(key: &str) -> bool {
    key.strip_prefix("slave").is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
}

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<MultiplexedConnection, String> {
    let client = redis::Client::open(format!("redis://{address}/")).map_err(|error| error.to_string())?;
    client.get_multiplexed_async_connection().await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_counts_its_online_replicas_and_a_replica_its_link() {
        let master = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\n\
            slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0\r\n";
        assert_eq!(
            facts(master),
            Facts::Redis { master: true, refuses_writes: false, replicas_online: 1, link_up: false }
        );
        let cut_off = "role:master\r\nconnected_slaves:0\r\nmin_slaves_good_slaves:0\r\n";
        let alone = Facts::Redis { master: true, refuses_writes: true, replicas_online: 0, link_up: false };
        assert_eq!(facts(cut_off), alone);
        let replica = "role:slave\r\nmaster_link_status:up\r\nslave_read_only:1\r\n";
        assert_eq!(
            facts(replica),
            Facts::Redis { master: false, refuses_writes: false, replicas_online: 0, link_up: true }
        );
    }
}
