//! `loss`: a share of the packets is dropped by chance, by the kernel's own dice (xt_statistic).
//!
//! Proof of effect: the rule's own counters. A rule before it that does nothing counts all packets that are
//! meant, so the share that was lost is measured too.

use super::partition::{Cut, taken};
use super::support::state;
use super::support::traffic::{self, Match};
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use crate::toolbox::{Counters, Held, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::Chance;

/// See the module.
pub(super) struct Loss {
    chance: Chance,
    held: Held,
}

/// Packets of our own that a look sends at most to each peer, where there is no traffic.
const PROBES_MAX: f64 = 50.0;

impl Loss {
    pub(super) fn new(chance: &Chance) -> Self {
        Self { chance: chance.clone(), held: Held::default() }
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
impl Injector for Loss {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "loss").await?;
        let traffic = &self.chance.traffic;
        let peers = traffic::peers(site, node, traffic, "loss")?;
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        traffic::add_rules(&mut rules, Table::Filter, traffic, &peers, |found| self.tails(found));
        let mut probe = traffic::probe(traffic, &peers);
        probe.packets = u32::try_from(self.probes()).unwrap_or(1);
        // Answers to TCP are what arrives.
        probe.tcp = probe.tcp.repeat(self.probes());
        Memo::of(node, &Cut { spec: Spec::of_rules(&rules), probe, peers: peers.names })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.go(node).await?)
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let cut: Cut = memo.read(node)?;
        if let Some(text) = describe(node, &cut, &self.held.count(node).await?) {
            return Ok(Some(text));
        }
        self.held.probe(node, &cut.probe).await?;
        let text = describe(node, &cut, &self.held.count(node).await?);
        Ok(text.map(|text| format!("{text}, a test of ours among them")))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        Ok(self.held.undone(site, node, &memo.read::<Cut>(node)?.spec).await?)
    }
}
