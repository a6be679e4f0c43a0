//! `loss`: a share of the packets is dropped by chance, by the kernel's own dice (xt_statistic).
//!
//! Proof of effect: the rule's own counters. A rule before it that does nothing counts all packets that are
//! meant, so the share that was lost is measured too.

use super::support::in_namespace::Change;
use super::support::traffic::{self, Cut, Match, taken};
use super::{Done, Site};
use crate::stack::Node;
use crate::toolbox::{Counters, Held, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::Chance;

/// See the module.
pub(super) struct Loss {
    chance: Chance,
}

/// Packets of our own that a look sends at most to each peer, where there is no traffic.
const PROBES_MAX: f64 = 50.0;

impl Loss {
    pub(super) fn new(chance: &Chance) -> Self {
        Self { chance: chance.clone() }
    }

    /// As many packets as three losses need on average.
    fn probes(&self) -> usize {
        // Between 5 and 50: neither lost in the conversion nor negative.
        (300.0 / self.chance.percent).clamp(5.0, PROBES_MAX) as usize
    }

    fn tails(&self, _found: &Match) -> Vec<String> {
        let share = self.chance.percent / 100.0;
        let until = Ruleset::expiring();
        let dice = format!("-m statistic --mode random --probability {share:.8} {until} -j DROP");
        // A rule without a target only counts.
        vec![String::new(), dice]
    }
}

/// The share that was lost, as the counters have it.
fn describe(node: &Node, cut: &Cut, counters: &Counters) -> Option<String> {
    let (lost, all) = (taken(counters), counters.packets(&[""]));
    let share = lost as f64 * 100.0 / (all.max(1)) as f64;
    let peers = cut.peers.join(", ");
    (lost > 0).then(|| format!("{}: {lost} of {all} packets lost ({share:.1} %), to or from {peers}", node.name))
}

#[async_trait]
impl Change for Loss {
    const NAME: &'static str = "loss";

    type Plan = Cut;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Cut> {
        let traffic = &self.chance.traffic;
        let peers = traffic::peers(site, node, traffic, Self::NAME)?;
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        traffic::add_rules(&mut rules, Table::Filter, traffic, &peers, |found| self.tails(found));
        let mut probe = traffic::probe(traffic, &peers);
        probe.packets = u32::try_from(self.probes()).unwrap_or(1);
        // Answers to TCP are what arrives.
        probe.tcp = probe.tcp.repeat(self.probes());
        Ok(Cut { spec: Spec::of_rules(&rules), probe, peers: peers.names })
    }

    fn spec(plan: &Cut) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Cut) -> Done<Option<String>> {
        if let Some(text) = describe(node, plan, &held.count(node).await?) {
            return Ok(Some(text));
        }
        held.probe(node, &plan.probe).await?;
        let text = describe(node, plan, &held.count(node).await?);
        Ok(text.map(|text| format!("{text}, a test of ours among them")))
    }
}
