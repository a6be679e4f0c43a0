//! `checkpoint`: the database writes all that is dirty to its disk, now, as fast as it can: the stall that
//! otherwise comes every few minutes, at a moment of the drill's choice.
//!
//! Proof of effect: the position of the last checkpoint in the control file is another one. At a standby,
//! `CHECKPOINT` may find nothing to do, so only a primary is taken. There is nothing to undo.

use super::support::sql;
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

/// See the module.
pub(super) struct Checkpoint;

/// Where the last checkpoint was before.
#[derive(Serialize, Deserialize)]
struct Before {
    checkpoint_lsn: String,
}

async fn last(node: &Node, client: &Client) -> Done<String> {
    let row = client.query_one("select checkpoint_lsn::text from pg_control_checkpoint()", &[]).await;
    Ok(row.map_err(sql::failed(node, "position of the last checkpoint"))?.get(0))
}

#[async_trait]
impl Injector for Checkpoint {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        let client = sql::primary(site, node, "checkpoint").await?;
        Memo::of(node, &Before { checkpoint_lsn: last(node, &client).await? })
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        client.batch_execute("checkpoint").await.map_err(sql::failed(node, "checkpoint"))
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Before = memo.read(node)?;
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        let now = last(node, &client).await?;
        let moved = now != before.checkpoint_lsn;
        Ok(moved.then(|| format!("{}: checkpoint at {now}, the one before at {}", node.name, before.checkpoint_lsn)))
    }

    async fn undo(&self, _site: &Site<'_>, _node: &Node, _memo: &Memo) -> Done<()> {
        Ok(())
    }

    async fn undone(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        Ok(Some(format!("{}: nothing to undo", node.name)))
    }
}
