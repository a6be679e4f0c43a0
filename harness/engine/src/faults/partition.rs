//! `partition`: packets between the node and its peers are dropped, or refused with an answer.
//!
//! The rules stand in the node's own network namespace, so its peers need no change, and they are gone with
//! the namespace. `drop` is a cable that was cut: whoever sends waits. `reject` is a firewall with manners:
//! TCP is reset, everything else is told that it is prohibited. (A program of the node that sends UDP is told
//! by its own kernel even with `drop`; nobody in a stack of ours speaks UDP but to the resolver.)
//!
//! Proof of effect: the rules counted packets. Where there is no traffic, a few packets of our own are sent
//! from inside the namespace, which the rules must count too.

use super::support::state;
use super::support::traffic::{self, Match};
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use crate::toolbox::{Counters, Held, Hook, Probe, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::{Direction, Refusal, Traffic};
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) struct Partition {
    traffic: Traffic,
    by: Refusal,
    held: Held,
}

/// What a fault of rules remembers: `loss` and `replication-cut` as well.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cut {
    pub(super) spec: Spec,
    pub(super) probe: Probe,
    /// Names of the peers, for messages.
    pub(super) peers: Vec<String>,
}

impl Partition {
    pub(super) fn new(traffic: &Traffic, by: Refusal) -> Self {
        Self { traffic: traffic.clone(), by, held: Held::default() }
    }
}

/// What follows a match for each way to refuse.
pub(super) fn tails(by: Refusal, found: &Match) -> Vec<String> {
    let until = Ruleset::expiring();
    match (by, found.protocol) {
        (Refusal::Drop, _) => vec![format!("{until} -j DROP")],
        (Refusal::Reject, Some("tcp")) => vec![format!("{until} -j REJECT --reject-with tcp-reset")],
        (Refusal::Reject, Some(_)) => vec![format!("{until} -j REJECT --reject-with icmp-admin-prohibited")],
        (Refusal::Reject, None) => vec![
            format!("-p tcp {until} -j REJECT --reject-with tcp-reset"),
            format!("{until} -j REJECT --reject-with icmp-admin-prohibited"),
        ],
    }
}

/// By these packets the node refuses what arrives: they have to leave it.
const REFUSALS: [&str; 2] =
    ["-p tcp -m tcp --tcp-flags RST RST -j RETURN", "-p icmp -m icmp --icmp-type communication-prohibited -j RETURN"];

/// By these the node's own programs are refused: the kernel makes them in the peer's name.
pub(super) const OWN_REFUSALS: &str = "-i lo -j RETURN";

/// Packets that rules took away.
pub(super) fn taken(counters: &Counters) -> u64 {
    counters.packets(&["DROP", "REJECT"])
}

/// Looks at the counters, and where they stand still sends packets of our own for the next look.
pub(super) async fn effect(held: &Held, node: &Node, cut: &Cut, how: &str) -> Done<Option<String>> {
    let seen = taken(&held.count(node).await?);
    if seen > 0 {
        return Ok(Some(format!("{}: {seen} packets {how}, to or from {}", node.name, cut.peers.join(", "))));
    }
    held.probe(node, &cut.probe).await?;
    let seen = taken(&held.count(node).await?);
    let text = || format!("{}: {seen} packets of a test {how}, to or from {}", node.name, cut.peers.join(", "));
    Ok((seen > 0).then(text))
}

#[async_trait]
impl Injector for Partition {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "partition").await?;
        let peers = traffic::peers(site, node, &self.traffic, "partition")?;
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        if self.by == Refusal::Reject && self.traffic.direction == Direction::Both {
            rules.add(Table::Filter, Hook::Output, REFUSALS.map(str::to_owned));
            rules.add(Table::Filter, Hook::Input, [OWN_REFUSALS.to_owned()]);
        }
        traffic::add_rules(&mut rules, Table::Filter, &self.traffic, &peers, |found| tails(self.by, found));
        let probe = traffic::probe(&self.traffic, &peers);
        Memo::of(node, &Cut { spec: Spec::of_rules(&rules), probe, peers: peers.names })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.go(node).await?)
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let how = match self.by {
            Refusal::Drop => "dropped",
            Refusal::Reject => "refused",
        };
        effect(&self.held, node, &memo.read(node)?, how).await
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        Ok(self.held.undone(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }
}
