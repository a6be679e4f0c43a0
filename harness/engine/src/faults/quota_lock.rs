//! `quota-lock`: a session holds the locks that every sale of a quota needs, as an import or a worker that hangs
//! in the middle of an order does. Sales of it wait for three seconds and are then told that the shop is busy.
//!
//! The locks are those of Pretix's `base/services/locking.py`: exclusive advisory locks of a transaction in the
//! shop's database, at the primary. The key has the quota's number in its upper 48 bits, the lock index of the
//! installation (`advisory_lock_index`, 0 unless one database serves several) in the next 8, and the kind of
//! thing, 2 for quotas, in the lowest 8.
//!
//! Proof of effect: `pg_locks`, read by another session, shows all of them as granted to this session. Undo:
//! sessions of its name are ended; see [`sql`].

use super::support::sql;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::database::QuotaLock as Parameters;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

/// See the module.
pub(super) struct QuotaLock {
    parameters: Parameters,
    sessions: PerNode<Client>,
}

const FAULT: &str = "quota-lock";

/// The kind of thing that is locked, in Pretix's keys.
const QUOTAS: i64 = 2;

/// The locks to hold, in the order in which everybody takes them.
#[derive(Serialize, Deserialize)]
struct Locks {
    keys: Vec<i64>,
    quotas: Vec<String>,
}

/// Pretix's key of a quota.
const fn key(quota: i64) -> i64 {
    (quota << 16) | QUOTAS
}

impl QuotaLock {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone(), sessions: PerNode::default() }
    }

    async fn find(&self, site: &Site<'_>, node: &Node) -> Done<Locks> {
        let nowhere = || InjectorError::impossible(node, FAULT, "it has no Pretix database with quotas to lock");
        let client = sql::primary(site, node, FAULT).await?;
        let shop = client.query_opt("select 1 from pg_database where datname = $1", &[&sql::SHOP]).await;
        shop.map_err(sql::failed(node, "look for the shop's database"))?.ok_or_else(nowhere)?;
        let client = sql::connect(site, node, sql::SHOP).await?;
        let tables =
            "select to_regclass('pretixbase_quota') is not null and to_regclass('pretixbase_event') is not null";
        let tables = client.query_one(tables, &[]).await.map_err(sql::failed(node, "look for Pretix's tables"))?;
        if !tables.get::<_, bool>(0) {
            return Err(nowhere());
        }
        let question = "select q.id::int8, e.slug::text || '/' || q.name::text \
                          from pretixbase_quota q join pretixbase_event e on e.id = q.event_id order by q.id";
        let rows = client.query(question, &[]).await.map_err(sql::failed(node, "look the quotas up"))?;
        let all: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let wanted = &self.parameters.quota;
        let (keys, quotas): (Vec<i64>, Vec<String>) = all
            .iter()
            .filter(|(_, name)| wanted.is_empty() || name == wanted)
            .map(|(id, n)| (key(*id), n.clone()))
            .unzip();
        if keys.is_empty() {
            let known: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            let why = format!("there is no quota {wanted:?}; there are {}", known.join(", "));
            return Err(InjectorError::impossible(node, FAULT, why));
        }
        Ok(Locks { keys, quotas })
    }
}

#[async_trait]
impl Injector for QuotaLock {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        Memo::of(node, &self.find(site, node).await?)
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let locks: Locks = memo.read(node)?;
        let session = sql::open_kept(site, node, sql::SHOP).await?;
        session.batch_execute("begin").await.map_err(sql::failed(node, "begin"))?;
        // As sales do, in ascending order: nobody can wait for us while we wait for them.
        let taking =
            "select pg_advisory_xact_lock(key) from unnest($1::int8[]) with ordinality as k (key, n) order by n";
        session.execute(taking, &[&locks.keys]).await.map_err(sql::failed(node, "take the locks"))?;
        self.sessions.put(node, session);
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let locks: Locks = memo.read(node)?;
        let client = sql::connect(site, node, sql::SHOP).await?;
        let question = "\
            select count(distinct (l.classid::int8 << 32) | l.objid::int8) \
              from pg_locks l join pg_stat_activity a using (pid) \
             where a.application_name = $1 and l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted \
               and l.objsubid = 1 and l.database = (select oid from pg_database where datname = current_database()) \
               and (l.classid::int8 << 32) | l.objid::int8 = any($2)";
        let row = client.query_one(question, &[&sql::session_name(site), &locks.keys]).await;
        let held: i64 = row.map_err(sql::failed(node, "look for the locks"))?.get(0);
        let all = usize::try_from(held).is_ok_and(|held| held == locks.keys.len());
        Ok(all.then(|| format!("{}: {held} advisory locks are held: {}", node.name, locks.quotas.join(", "))))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        drop(self.sessions.take(node));
        sql::end_kept(site, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        sql::kept_is_gone(site, node).await
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_those_of_pretix() {
        // pg_lock_key() of Pretix 2026.8 gives these.
        assert_eq!(super::key(5), 327_682);
        assert_eq!(super::key(1), 65_538);
    }
}
