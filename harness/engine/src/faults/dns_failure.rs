//! `dns-failure`: the engine's resolver does not answer the node. The rules stand behind those by which the engine
//! leads questions to it, and find them by the port that was asked for in the first place. See
//! [`super::support::dns`].
//!
//! Proof of effect: a look-up of the node's own container name in the namespace.

use super::support::dns::{Plan, RESOLVER};
use super::support::in_namespace::Change;
use super::support::traffic::taken;
use super::{Done, Site};
use crate::stack::Node;
use crate::toolbox::{Held, Hook, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::{DnsFailure as Parameters, Refusal};

/// See the module.
pub(super) struct DnsFailure {
    by: Refusal,
}

impl DnsFailure {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { by: parameters.by }
    }
}

#[async_trait]
impl Change for DnsFailure {
    const NAME: &'static str = "dns-failure";

    type Plan = Plan;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Plan> {
        let (asked, until) = (format!("-d {RESOLVER} -m conntrack --ctorigdstport 53"), Ruleset::expiring());
        let tail = |protocol: &str, answer: &str| match self.by {
            Refusal::Drop => format!("-p {protocol} {asked} {until} -j DROP"),
            Refusal::Reject => format!("-p {protocol} {asked} {until} -j REJECT --reject-with {answer}"),
        };
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        let both = [tail("udp", "icmp-port-unreachable"), tail("tcp", "tcp-reset")];
        // What is dropped on its way out is told to the sender: silence is where it arrives, for the resolver
        // is in the same namespace.
        let hook = if self.by == Refusal::Drop { Hook::Input } else { Hook::Output };
        rules.add(Table::Filter, hook, both);
        Ok(Plan { spec: Spec::of_rules(&rules), name: node.container.clone() })
    }

    fn spec(plan: &Plan) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Plan) -> Done<Option<String>> {
        let found = held.resolve(node, &plan.name).await?;
        let count = taken(&held.count(node).await?);
        let failed = found.addresses.is_empty() && count > 0;
        Ok(failed.then(|| format!("{}: a look-up was {}, the rules counted {count} packets", node.name, found.outcome)))
    }
}
