//! `replication-cut`: a standby cannot reach the other databases, while they, the pools and everybody else
//! reach it. Its stream is ended at once, on both ends, and every further attempt is refused.
//!
//! Proof of effect: the standby says by itself that it receives from nobody, and the rules refused its
//! attempts.

use super::support::in_namespace::Change;
use super::support::sql::{self, PORT};
use super::support::traffic::{OWN_REFUSALS, kill_connections, taken};
use super::{Done, InjectorError, Site};
use crate::stack::Node;
use crate::toolbox::{Held, Hook, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::topology::NodeKind;

/// See the module.
pub(super) struct ReplicationCut;

/// Whether it is a standby, and whether it receives.
const QUESTION: &str = "select pg_is_in_recovery(), exists (select 1 from pg_stat_wal_receiver)";

async fn receives(site: &Site<'_>, node: &Node) -> Done<(bool, bool)> {
    let client = sql::connect(site, node, sql::MAINTENANCE).await?;
    let row = client.query_one(QUESTION, &[]).await.map_err(sql::failed(node, "its replication state"))?;
    Ok((row.get(0), row.get(1)))
}

#[async_trait]
impl Change for ReplicationCut {
    const NAME: &'static str = "replication-cut";

    type Plan = Spec;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Spec> {
        let impossible = |why: &str| InjectorError::impossible(node, Self::NAME, why);
        match receives(site, node).await? {
            (false, _) => return Err(impossible("it is not a standby; target standby(postgres)")),
            (true, false) => return Err(impossible("it receives from nobody already")),
            (true, true) => {}
        }
        let others = site.stack.of_kind(NodeKind::Postgres).filter(|other| other.name != node.name);
        let others: Vec<_> = others.flat_map(|other| other.addresses.iter().copied()).collect();
        let (until, reset) = (Ruleset::expiring(), "-j REJECT --reject-with tcp-reset");
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        // The reset by which the sender learns that its stream has ended must get through.
        rules.add(Table::Filter, Hook::Output, ["-p tcp -m tcp --tcp-flags RST RST -j RETURN".to_owned()]);
        rules.add(Table::Filter, Hook::Input, [OWN_REFUSALS.to_owned()]);
        let out = |address| format!("-d {address} -p tcp -m tcp --dport {PORT} {until} {reset}");
        let back = |address| format!("-s {address} -p tcp -m tcp --sport {PORT} {until} {reset}");
        rules.add(Table::Filter, Hook::Output, others.iter().map(out));
        rules.add(Table::Filter, Hook::Input, others.iter().map(back));
        let ends: Vec<String> = others.iter().map(|address| format!("dst {address}")).collect();
        let mut spec = Spec::of_rules(&rules);
        spec.apply.push(kill_connections(&format!("( {} ) and dport = :{PORT}", ends.join(" or "))));
        Ok(spec)
    }

    fn spec(plan: &Spec) -> &Spec {
        plan
    }

    async fn effect(&self, held: &Held, site: &Site<'_>, node: &Node, _plan: &Spec) -> Done<Option<String>> {
        let refused = taken(&held.count(node).await?);
        let (_, receives) = receives(site, node).await?;
        let text = || format!("{}: receives from nobody, {refused} packets to the others refused", node.name);
        Ok((!receives && refused > 0).then(text))
    }
}
