//! `long-transaction`: a session has begun, read every table and taken a transaction identifier, and then does
//! nothing, as a backup that hangs or a console that somebody forgot. Its snapshot keeps vacuum from removing
//! what has died since, its locks keep every schema change waiting.
//!
//! Proof of effect: `pg_stat_activity`, read by another session, shows it as idle in a transaction with an
//! identifier and a snapshot. Undo: sessions of its name are ended; see [`sql`].

use super::support::sql;
use super::{Done, Injector, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use tokio_postgres::Client;

/// See the module.
#[derive(Default)]
pub(super) struct LongTransaction {
    sessions: PerNode<Client>,
}

/// Locks every table as reading it does, which is what pg_dump does as well, and takes the identifier.
const OPEN: &str = "\
    begin isolation level repeatable read;
    do $$
    declare tables text;
    begin
        select string_agg(format('%I.%I', n.nspname, c.relname), ', ' order by c.oid) into tables
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and c.relpersistence <> 't'
           and n.nspname <> 'information_schema' and n.nspname !~ '^pg_';
        if tables is not null then
            execute 'lock table ' || tables || ' in access share mode';
        end if;
    end $$;
    select pg_current_xact_id();";

/// The shop's database where there is one: a snapshot holds back vacuum of its own database only.
async fn database(node: &Node, client: &Client) -> Done<&'static str> {
    let shop = client.query_opt("select 1 from pg_database where datname = $1", &[&sql::SHOP]).await;
    let shop = shop.map_err(sql::failed(node, "look for the shop's database"))?;
    Ok(if shop.is_some() { sql::SHOP } else { sql::MAINTENANCE })
}

#[async_trait]
impl Injector for LongTransaction {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        // A standby gives no transaction an identifier.
        sql::primary(site, node, "long-transaction").await?;
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        let database = database(node, &client).await?;
        let session = sql::open_kept(site, node, database).await?;
        session.batch_execute(OPEN).await.map_err(sql::failed(node, "open the transaction"))?;
        self.sessions.put(node, session);
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let client = sql::connect(site, node, sql::MAINTENANCE).await?;
        let question = "\
            select a.pid, a.datname::text, a.backend_xid::text, a.backend_xmin::text, \
                   (select count(*) from pg_locks l where l.pid = a.pid and l.locktype = 'relation' and l.granted) \
              from pg_stat_activity a \
             where a.application_name = $1 and a.state = 'idle in transaction' \
               and a.backend_xid is not null and a.backend_xmin is not null";
        let row = client.query_opt(question, &[&sql::session_name(site)]).await;
        let row = row.map_err(sql::failed(node, "look for the session"))?;
        Ok(row.map(|row| {
            let (pid, locks): (i32, i64) = (row.get(0), row.get(4));
            let (database, xid, xmin): (String, String, String) = (row.get(1), row.get(2), row.get(3));
            format!(
                "{}: session {pid} in {database} is idle in transaction {xid}, with a snapshot from {xmin} and \
                 {locks} locks of tables",
                node.name
            )
        }))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        drop(self.sessions.take(node));
        sql::end_kept(site, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        sql::kept_is_gone(site, node).await
    }
}
