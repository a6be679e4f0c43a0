//! Sessions at a database node: what the faults inside PostgreSQL have in common.
//!
//! A session that a fault keeps is known by its name, `firedrill RUN STEP`: whoever undoes the fault ends the
//! sessions of exactly this name, and needs to know nothing else.

use super::state;
use crate::faults::{Done, InjectorError, Site};
pub(in crate::faults) use crate::probe::SHOP;
use crate::probe::{connect_postgres, describe_postgres};
use crate::stack::Node;
use tokio_postgres::{Client, Error};

/// Where PostgreSQL listens.
pub(in crate::faults) const PORT: u16 = 5432;

/// The database that is always there.
pub(in crate::faults) const MAINTENANCE: &str = "postgres";

/// Opens a session as the superuser, by the published port.
pub(in crate::faults) async fn connect(site: &Site<'_>, node: &Node, database: &str) -> Done<Client> {
    let address = node.published(PORT);
    let address = address.ok_or_else(|| InjectorError::failed(node, format!("port {PORT} is not published")))?;
    let connected = connect_postgres(address, site.stack.secrets.get("POSTGRES_PASSWORD"), database).await;
    connected.map_err(|error| InjectorError::failed(node, format!("no session in database {database}: {error}")))
}

/// Wraps what a node said to a statement.
pub(in crate::faults) fn failed<'a>(node: &'a Node, what: &'a str) -> impl FnOnce(Error) -> InjectorError + 'a {
    move |error| InjectorError::failed(node, format!("{what}: {}", describe_postgres(&error)))
}

/// Whether the node follows another one.
pub(in crate::faults) async fn in_recovery(node: &Node, client: &Client) -> Done<bool> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await.map_err(failed(node, "is it a standby"))?;
    Ok(row.get(0))
}

/// A session at the primary, or the refusal of a standby.
pub(in crate::faults) async fn primary(site: &Site<'_>, node: &Node, fault: &'static str) -> Done<Client> {
    state::must_run(site.stack, node, fault).await?;
    let client = connect(site, node, MAINTENANCE).await?;
    if in_recovery(node, &client).await? {
        return Err(InjectorError::impossible(node, fault, "it is a standby: take primary(TIER) as the target"));
    }
    Ok(client)
}

/// The name of the sessions of this fault.
pub(in crate::faults) fn session_name(site: &Site<'_>) -> String {
    format!("firedrill {} {}", site.stack.run, site.step.0)
}

/// Opens a session to keep. The servers' limits for idle sessions are not for it: it is to last as long as the
/// fault.
pub(in crate::faults) async fn open_kept(site: &Site<'_>, node: &Node, database: &str) -> Done<Client> {
    let client = connect(site, node, database).await?;
    let setting = "select set_config('application_name', $1, false), \
                          set_config('idle_in_transaction_session_timeout', '0', false), \
                          set_config('idle_session_timeout', '0', false), \
                          set_config('statement_timeout', '0', false)";
    client.execute(setting, &[&session_name(site)]).await.map_err(failed(node, "settings of the session"))?;
    Ok(client)
}

/// Ends every session of this fault, whoever opened it.
pub(in crate::faults) async fn end_kept(site: &Site<'_>, node: &Node) -> Done<()> {
    if !state::is_up(site.stack, node).await? {
        return Ok(());
    }
    let client = connect(site, node, MAINTENANCE).await?;
    let ending = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
    client.execute(ending, &[&session_name(site)]).await.map_err(failed(node, "end the fault's session"))?;
    Ok(())
}

/// Whether no session of this fault is left, in words.
pub(in crate::faults) async fn kept_is_gone(site: &Site<'_>, node: &Node) -> Done<Option<String>> {
    if !state::is_up(site.stack, node).await? {
        return Ok(Some(format!("{}: does not run, its sessions are gone with it", node.name)));
    }
    let client = connect(site, node, MAINTENANCE).await?;
    let counting = "select count(*) from pg_stat_activity where application_name = $1";
    let row = client.query_one(counting, &[&session_name(site)]).await;
    let left: i64 = row.map_err(failed(node, "sessions of the fault"))?.get(0);
    Ok((left == 0).then(|| format!("{}: no session of the fault is left", node.name)))
}
