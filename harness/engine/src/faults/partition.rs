//! `partition`: packets between the node and its peers are dropped, or refused with an answer.
//!
//! The rules stand in the node's own network namespace, so its peers need no change, and they are gone with
//! the namespace. `drop` is a cable that was cut: whoever sends waits. `reject` is a firewall with manners:
//! TCP is reset, everything else is told that it is prohibited. (A program of the node that sends UDP is told
//! by its own kernel even with `drop`; nobody in a stack of ours speaks UDP but to the resolver.)
//!
//! Proof of effect: the rules counted packets. Where there is no traffic, a few packets of our own are sent
//! from inside the namespace, which the rules must count too.

use super::support::in_namespace::Change;
use super::support::traffic::{self, Cut, Match, OWN_REFUSALS, taken};
use super::{Done, Site};
use crate::stack::Node;
use crate::toolbox::{Held, Hook, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::{Direction, Refusal, Traffic};

/// See the module.
pub(super) struct Partition {
    traffic: Traffic,
    by: Refusal,
}

impl Partition {
    pub(super) fn new(traffic: &Traffic, by: Refusal) -> Self {
        Self { traffic: traffic.clone(), by }
    }
}

/// What follows a match for each way to refuse.
fn tails(by: Refusal, found: &Match) -> Vec<String> {
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

#[async_trait]
impl Change for Partition {
    const NAME: &'static str = "partition";

    type Plan = Cut;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Cut> {
        let peers = traffic::peers(site, node, &self.traffic, Self::NAME)?;
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        if self.by == Refusal::Reject && self.traffic.direction == Direction::Both {
            rules.add(Table::Filter, Hook::Output, REFUSALS.map(str::to_owned));
            rules.add(Table::Filter, Hook::Input, [OWN_REFUSALS.to_owned()]);
        }
        traffic::add_rules(&mut rules, Table::Filter, &self.traffic, &peers, |found| tails(self.by, found));
        let probe = traffic::probe(&self.traffic, &peers);
        Ok(Cut { spec: Spec::of_rules(&rules), probe, peers: peers.names })
    }

    fn spec(plan: &Cut) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Cut) -> Done<Option<String>> {
        let how = match self.by {
            Refusal::Drop => "dropped",
            Refusal::Reject => "refused",
        };
        let peers = plan.peers.join(", ");
        let seen = taken(&held.count(node).await?);
        if seen > 0 {
            return Ok(Some(format!("{}: {seen} packets {how}, to or from {peers}", node.name)));
        }
        // Where there is no traffic, packets of our own are there for the next look.
        held.probe(node, &plan.probe).await?;
        let seen = taken(&held.count(node).await?);
        Ok((seen > 0).then(|| format!("{}: {seen} packets of a test {how}, to or from {peers}", node.name)))
    }
}
