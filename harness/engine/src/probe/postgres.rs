//! PostgreSQL: recovery, timeline and replication, asked at the node itself.

use super::PROBE_DEADLINE;
use crate::stack::{Node, Stack};
use firedrill_core::cluster::Facts;
use firedrill_core::ids::NodeName;
use firedrill_core::topology::NodeKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

/// The database of the shop, in every topology.
pub(crate) const SHOP: &str = "pretix";

/// Timeline of a primary from its current WAL file, of a standby from what it receives or last restored.
/// Base backups also show up as senders, so only the names of nodes count.
const QUESTION: &str = "\
    select pg_is_in_recovery(), \
           case when pg_is_in_recovery() \
                then coalesce((select received_tli from pg_stat_wal_receiver), \
                              (select timeline_id from pg_control_checkpoint()))::int8 \
                else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8 end, \
           (select count(*) from pg_stat_replication \
             where state = 'streaming' and application_name = any($1)), \
           exists (select 1 from pg_stat_wal_receiver where status = 'streaming')";

/// Asks one PostgreSQL node.
pub(super) struct Probe {
    address: SocketAddr,
    password: String,
    peers: Vec<String>,
    client: Option<Client>,
}

impl Probe {
    pub(super) fn new(address: SocketAddr, password: &str, peers: Vec<NodeName>) -> Self {
        let peers = peers.iter().map(ToString::to_string).collect();
        Self { address, password: password.to_owned(), peers, client: None }
    }

    pub(super) fn reset(&mut self) {
        self.client = None;
    }

    pub(super) async fn ask(&mut self) -> Result<Facts, String> {
        let client = match self.client.take() {
            Some(client) => self.client.insert(client),
            None => self.client.insert(connect(self.address, &self.password, "postgres").await?),
        };
        let row = client.query_one(QUESTION, &[&self.peers]).await.map_err(|error| describe(&error))?;
        let number = |index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
        Ok(Facts::Postgres {
            in_recovery: row.get(0),
            timeline: number(1),
            streaming: u32::try_from(number(2)).unwrap_or(u32::MAX),
            receiving: row.get(3),
        })
    }
}

/// Opens a connection as the superuser of the run. The task that drives it ends with the client.
pub async fn connect(address: SocketAddr, password: &str, database: &str) -> Result<Client, String> {
    connect_as("postgres", address, password, database).await
}

/// The same for somebody who waits no longer than this for an answer: then the server gives the statement up too.
///
/// A statement whose asker has gone is worked on to its end. Where he asks again and again, they are ever more, and a shop
/// without a fault stands still for its onlooker.
///
/// # Errors
/// In words, what the server or the connection said.
pub async fn connect_patient(
    address: SocketAddr,
    password: &str,
    database: &str,
    patience: Duration,
) -> Result<Client, String> {
    let mut config = config("postgres", address, password, database);
    config.options(format!("-c statement_timeout={}", patience.as_millis()));
    open(&config).await
}

/// The same as any user.
pub(crate) async fn connect_as(
    user: &str,
    address: SocketAddr,
    password: &str,
    database: &str,
) -> Result<Client, String> {
    open(&config(user, address, password, database)).await
}

fn config(user: &str, address: SocketAddr, password: &str, database: &str) -> Config {
    let mut config = Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .user(user)
        .password(password)
        .dbname(database)
        .application_name("firedrill")
        .connect_timeout(Duration::from_secs(2));
    config
}

async fn open(config: &Config) -> Result<Client, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| describe(&error))?;
    tokio::spawn(async move {
        // The error of a broken connection reaches whoever uses the client next.
        let _ = connection.await;
    });
    Ok(client)
}

/// A connection to the shop's database of a node, see [`connect_patient`].
pub(crate) async fn connect_shop(stack: &Stack, node: &Node, patience: Duration) -> Result<Client, String> {
    let address = node.published(5432).ok_or("its port is not published")?;
    connect_patient(address, stack.secrets.get("POSTGRES_PASSWORD"), SHOP, patience).await
}

/// The same at the first node that takes writes, or why there is none. A node that hangs does not keep the others
/// from being asked.
pub(crate) async fn connect_primary(stack: &Stack, patience: Duration) -> Result<(&Node, Client), String> {
    let mut last = "no primary".to_owned();
    for node in stack.of_kind(NodeKind::Postgres) {
        let asked = async {
            let client = connect_shop(stack, node, patience).await?;
            let row = client.query_one("select pg_is_in_recovery()", &[]).await.map_err(|error| describe(&error))?;
            Ok::<_, String>((client, row.get::<_, bool>(0)))
        };
        let asked = timeout(PROBE_DEADLINE, asked).await;
        match asked.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok((client, false)) => return Ok((node, client)),
            Ok((_, true)) => {}
            Err(error) => last = format!("{}: {error}", node.name),
        }
    }
    Err(last)
}

/// The server's words where it said something, else the client's with their cause.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}
