//! What `delay`, `duplicate`, `corrupt` and `reorder` have in common: packets pass a queue on their way.
//!
//! The queue is `fdqueue` (`fixtures/images/toolbox/queue`) in the toolbox of the node: rules hand it the
//! packets by NFQUEUE. It fails open: where nobody is at the queue, or it is full, packets pass. What waits at
//! the undo is let go. A delay of what leaves goes through the kernel's netem where there is one ([`netem`]);
//! everything else always takes the queue, because netem neither meets what arrives nor counts what it did.
//!
//! Proof of effect: the queue's own counters and the times that it measured, or netem's counters and a
//! measured connection. Where there is no traffic, packets of our own are sent from inside the namespace.

pub(in crate::faults) mod netem;
mod queue;

use super::in_namespace::{Change, no_rule_left, undone_by};
use super::traffic::{self, Peers};
use crate::faults::{Done, Site};
use crate::stack::Node;
use crate::toolbox::{Command, Counters, Held, Probe, Spec};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::Traffic;
pub(in crate::faults) use queue::Counted;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One fault of the queue: what it asks for, and when it is proven.
pub(in crate::faults) trait Shape: Send + Sync {
    /// Its name.
    const NAME: &'static str;

    /// Which packets.
    fn traffic(&self) -> &Traffic;

    /// How it is asked of `fdqueue`.
    fn arguments(&self) -> Vec<String>;

    /// Share of the packets that it does something to, in percent.
    fn percent(&self) -> f64 {
        100.0
    }

    /// What the queue's counters prove, or none as long as they do not.
    fn proven(&self, counted: &Counted) -> Option<String>;

    /// The delay that netem can do instead: mean and deviation.
    fn netem(&self) -> Option<(Duration, Duration)> {
        None
    }
}

/// The change of a shape.
pub(in crate::faults) struct Shaper<S>(pub(in crate::faults) S);

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::faults) struct Shaped {
    spec: Spec,
    probe: Probe,
    /// Names of the peers, for messages.
    peers: Vec<String>,
    /// Handle of the queueing disciplines, where netem does it.
    handle: Option<String>,
}

impl<S: Shape> Shaper<S> {
    async fn by_queue(&self, held: &Held, node: &Node, shaped: &Shaped) -> Done<Option<String>> {
        let counters = held.count(node).await?;
        let counted = queue::read(node, &counters)?;
        if let Some(proof) = self.0.proven(&counted) {
            return Ok(Some(format!("{}: {proof}, to or from {}", node.name, shaped.peers.join(", "))));
        }
        held.probe(node, &shaped.probe).await?;
        Ok(None)
    }

    async fn by_netem(&self, held: &Held, node: &Node, shaped: &Shaped, handle: &str) -> Done<Option<String>> {
        let Some(asked) = self.0.netem() else { return Ok(None) };
        let ends = &shaped.probe.tcp;
        let outputs = held.run(node, &[netem::timed_connection(ends)]).await?;
        let measured_ms = outputs.first().and_then(|output| output.stdout.trim().parse().ok());
        let counters: Counters = held.count(node).await?;
        let proof = netem::proven(&counters.queues, handle, asked, measured_ms);
        Ok(proof.map(|proof| format!("{}: {proof}, to {}", node.name, shaped.peers.join(", "))))
    }
}

/// Packets of our own for one look: enough that some of them are hit.
fn probe(percent: f64, traffic: &Traffic, peers: &Peers) -> Probe {
    /// Connections to each end in a look: what arrives is their answers.
    const CONNECTIONS: usize = 10;
    let probe = traffic::probe(traffic, peers);
    let tcp: Vec<_> = probe.tcp.iter().flat_map(|end| [*end; CONNECTIONS]).collect();
    let packets = (300.0 / percent).ceil().clamp(5.0, 1_000.0) as u32;
    Probe { tcp, packets, ..probe }
}

#[async_trait]
impl<S: Shape> Change for Shaper<S> {
    const NAME: &'static str = S::NAME;

    type Plan = Shaped;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Shaped> {
        let traffic = self.0.traffic();
        let peers = traffic::peers(site, node, traffic, S::NAME)?;
        let probe = probe(self.0.percent(), traffic, &peers);
        let by_netem = match self.0.netem() {
            Some(delay) if netem::can(traffic) && netem::of_stack(site.stack).await? => Some(delay),
            _ => None,
        };
        let (spec, handle) = match by_netem {
            Some(delay) => {
                let handle = netem::handle(site.step);
                (netem::spec(&handle, delay, traffic, &peers.addresses), Some(handle))
            }
            None => (queue::spec(site, traffic, &peers, self.0.arguments()), None),
        };
        Ok(Shaped { spec, probe, peers: peers.names, handle })
    }

    fn spec(plan: &Shaped) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Shaped) -> Done<Option<String>> {
        match &plan.handle {
            Some(handle) => self.by_netem(held, node, plan, handle).await,
            None => self.by_queue(held, node, plan).await,
        }
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, plan: &Shaped) -> Done<Option<String>> {
        let seen = no_rule_left(site, node, &plan.spec).await?;
        let (Some(_), Some(handle)) = (&seen, &plan.handle) else { return Ok(seen) };
        undone_by(site, node, &[Command::new("tc -j qdisc show")], |outputs| {
            let left = outputs.first().is_none_or(|output| output.stdout.contains(handle));
            Ok(seen.filter(|_| !left))
        })
        .await
    }
}

/// A share in parts per million, as `fdqueue` reads it.
pub(in crate::faults) fn ppm(percent: f64) -> String {
    format!("{:.0}", percent * 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{corrupt::Corrupt, duplicate::Duplicate};
    use firedrill_core::fault::catalogue::network::{Chance, Reorder};

    #[test]
    fn shares_are_parts_per_million() {
        assert_eq!(ppm(10.0), "100000");
        assert_eq!(ppm(0.01), "100");
        assert_eq!(Reorder::default().arguments().join(" "), "--mode reorder --ppm 250000 --delay-us 20000");
        assert_eq!(Corrupt(Chance::default()).arguments().join(" "), "--mode corrupt --ppm 100000");
        assert_eq!(Duplicate(Chance::default()).arguments().join(" "), "--mode duplicate --ppm 100000");
    }

    #[test]
    fn enough_packets_are_sent_that_some_are_hit() {
        let peers = traffic::tests::peers_of(false);
        let packets = |percent| probe(percent, &Traffic::default(), &peers).packets;
        assert_eq!((packets(100.0), packets(10.0), packets(0.01)), (5, 30, 1_000));
        assert_eq!(probe(100.0, &Traffic::default(), &peers).tcp.len(), 10);
    }

    #[test]
    fn counters_prove_what_they_counted() {
        let none = Counted { packets: 90, ..Counted::default() };
        assert_eq!(Reorder::default().proven(&none), None);
        assert_eq!(Corrupt(Chance::default()).proven(&none), None);
        let some = Counted { duplicated: 9, ..none };
        let proof = Duplicate(Chance::default()).proven(&some);
        assert_eq!(proof.as_deref(), Some("9 of 90 packets were sent twice"));
    }
}
