//! `replay-pause`: a standby goes on to receive what the primary writes, and acknowledges it, but does not
//! replay it: whoever reads there reads the past.
//!
//! Proof of effect: the standby's own `pg_get_wal_replay_pause_state()` is `paused`; `pause requested` is not
//! yet. Undo: resume, where it is in recovery and paused. A node that was restarted or promoted meanwhile has
//! forgotten the pause.

use super::support::{sql, state};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::stack::Node;
use async_trait::async_trait;
use tokio_postgres::Client;

/// See the module.
pub(super) struct ReplayPause;

const FAULT: &str = "replay-pause";

/// State of the pause; none where the node is no standby, where asking for it is an error.
async fn pause_state(node: &Node, client: &Client) -> Done<Option<String>> {
    if !sql::in_recovery(node, client).await? {
        return Ok(None);
    }
    let row = client.query_one("select pg_get_wal_replay_pause_state()", &[]).await;
    Ok(Some(row.map_err(sql::failed(node, "state of the replay"))?.get(0)))
}

#[async_trait]
impl Injector for ReplayPause {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        match pause_state(node, &client).await?.as_deref() {
            Some("not paused") => Ok(Memo::none()),
            // Whoever paused it wants it to stay so, and the undo would resume it.
            Some(other) => Err(InjectorError::impossible(node, FAULT, format!("its replay is {other} already"))),
            None => {
                let why = "it is a primary, which replays nothing: take standby(TIER) as the target";
                Err(InjectorError::impossible(node, FAULT, why))
            }
        }
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        client.execute("select pg_wal_replay_pause()", &[]).await.map_err(sql::failed(node, "pause the replay"))?;
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        let paused = pause_state(node, &client).await?.as_deref() == Some("paused");
        let row = client.query_one("select coalesce(pg_last_wal_replay_lsn()::text, 'nothing')", &[]).await;
        let at: String = row.map_err(sql::failed(node, "position of the replay"))?.get(0);
        Ok(paused.then(|| format!("{}: replay is paused at {at}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if !state::is_up(site.stack, node).await? {
            return Ok(());
        }
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        if matches!(pause_state(node, &client).await?.as_deref(), None | Some("not paused")) {
            return Ok(());
        }
        client.execute("select pg_wal_replay_resume()", &[]).await.map_err(sql::failed(node, "resume the replay"))?;
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and forgets the pause when it starts", node.name)));
        }
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        Ok(match pause_state(node, &client).await?.as_deref() {
            Some("not paused") => Some(format!("{}: replays", node.name)),
            Some(_) => None,
            None => Some(format!("{}: is a primary now", node.name)),
        })
    }
}
