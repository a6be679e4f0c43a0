//! `sentinel-failover`: the Sentinels promote another Redis although the master is well, as an operator does for
//! maintenance: the same way as after a death, without the time that a death takes to be noticed.
//!
//! Proof of effect: this Sentinel has a higher configuration epoch and names another master. There is nothing to
//! undo: it is over when the Sentinel and the Redis that it names agree that it is the master.

use super::support::{cache, state};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::stack::{Node, Stack};
use crate::wait::{self, Look};
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// See the module.
pub(super) struct SentinelFailover;

const FAULT: &str = "sentinel-failover";

/// A Sentinel asks a replica that it has just heard of within a second, all others every ten.
const CANDIDATE_DEADLINE: Duration = Duration::from_secs(15);

type Fields = HashMap<String, String>;

/// Who was master before, by this Sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Master {
    name: String,
    ip: String,
    epoch: u64,
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

/// The master that this Sentinel watches, with its flags.
async fn master(node: &Node, sentinel: &mut MultiplexedConnection) -> Done<(Master, String)> {
    let masters: Vec<Fields> = cache::ask(node, sentinel, &["SENTINEL", "MASTERS"]).await?;
    let fields = masters.first().ok_or_else(|| InjectorError::failed(node, "watches no master"))?;
    let epoch = field(fields, "config-epoch");
    let epoch = epoch.parse().map_err(|_| InjectorError::failed(node, format!("config-epoch is {epoch:?}")))?;
    let master = Master { name: field(fields, "name").to_owned(), ip: field(fields, "ip").to_owned(), epoch };
    Ok((master, field(fields, "flags").to_owned()))
}

/// Whether the Sentinel could promote this replica, by the Sentinel's own rules as far as it tells.
fn is_candidate(replica: &Fields) -> bool {
    let sound = !field(replica, "flags").split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"));
    sound && field(replica, "master-link-status") == "ok" && field(replica, "slave-priority") != "0"
}

/// Waits for what a failover that has just been leaves behind to settle: one in progress, and the old master
/// that is not a replica yet.
async fn until_possible(node: &Node, sentinel: &mut MultiplexedConnection) -> Done<Master> {
    let look = async |sentinel: &mut MultiplexedConnection| -> Done<Look<Master>> {
        let (master, flags) = master(node, sentinel).await?;
        if flags != "master" {
            return Ok(Look::NotYet(format!("the master's flags are {flags}")));
        }
        let replicas: Vec<Fields> = cache::ask(node, sentinel, &["SENTINEL", "REPLICAS", &master.name]).await?;
        let possible = replicas.iter().any(is_candidate);
        Ok(if possible { Look::Ready(master) } else { Look::NotYet("no replica that could be promoted".to_owned()) })
    };
    let what = format!("{}: a failover is possible", node.name);
    let possible = wait::until(&what, CANDIDATE_DEADLINE, Duration::from_millis(100), || {
        // Clones share the connection.
        let mut sentinel = sentinel.clone();
        async move { look(&mut sentinel).await.unwrap_or_else(|error| Look::NotYet(error.to_string())) }
    });
    possible.await.map_err(|expired| InjectorError::impossible(node, FAULT, expired.last))
}

/// Name of the node with this address; the address itself where there is none.
fn named(stack: &Stack, ip: &str) -> String {
    let node = stack.nodes.iter().find(|node| node.addresses.iter().any(|own| own.to_string() == ip));
    node.map_or_else(|| ip.to_owned(), |node| node.name.to_string())
}

#[async_trait]
impl Injector for SentinelFailover {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let mut sentinel = cache::connect(node, cache::SENTINEL).await?;
        Memo::of(node, &until_possible(node, &mut sentinel).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let before: Master = memo.read(node)?;
        let mut sentinel = cache::connect(node, cache::SENTINEL).await?;
        cache::ask(node, &mut sentinel, &["SENTINEL", "FAILOVER", &before.name]).await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Master = memo.read(node)?;
        let (now, _) = master(node, &mut cache::connect(node, cache::SENTINEL).await?).await?;
        let other = now.epoch > before.epoch && now.ip != before.ip;
        let (old, new) = (named(site.stack, &before.ip), named(site.stack, &now.ip));
        Ok(other.then(|| {
            format!("{}: the master is {new} in epoch {}, was {old} in epoch {}", node.name, now.epoch, before.epoch)
        }))
    }

    async fn undo(&self, _site: &Site<'_>, _node: &Node, _memo: &Memo) -> Done<()> {
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, nothing to undo", node.name)));
        }
        let (now, flags) = master(node, &mut cache::connect(node, cache::SENTINEL).await?).await?;
        let name = named(site.stack, &now.ip);
        let leader = site.stack.node(&name.as_str().into());
        let leader = leader.ok_or_else(|| InjectorError::failed(node, format!("names {name}, which is no node")))?;
        let agrees = cache::is_master(leader, &mut cache::connect(leader, cache::REDIS).await?).await?;
        let settled = agrees && !flags.contains("failover_in_progress");
        Ok(settled.then(|| format!("{}: names {name}, which is master", node.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, is_candidate};

    fn replica(flags: &str, link: &str, priority: &str) -> Fields {
        let fields = [("flags", flags), ("master-link-status", link), ("slave-priority", priority)];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_replica_is_promoted_where_it_is_well_and_follows() {
        assert!(is_candidate(&replica("slave", "ok", "100")));
        assert!(!is_candidate(&replica("slave", "err", "100")), "does not follow, or was not asked yet");
        assert!(!is_candidate(&replica("s_down,slave,disconnected", "ok", "100")));
        assert!(!is_candidate(&replica("slave", "ok", "0")), "must never be promoted");
    }
}
