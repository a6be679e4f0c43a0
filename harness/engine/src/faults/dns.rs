//! `dns-failure` and `dns-wrong`: the engine's resolver (127.0.0.11) does not answer the node, or somebody
//! else answers in its place.
//!
//! The engine leads questions to 127.0.0.11:53 to a port that it drew when the container was started, by
//! rules in the namespace's `nat` table. The failure is found behind them, by the port that was asked for in
//! the first place; the wrong answers stand before them. Names that a node has in its `/etc/hosts` are not
//! asked for, and so not concerned.
//!
//! Proof of effect: a look-up of the node's own container name in the namespace.

use super::partition::taken;
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use crate::toolbox::{Daemon, Held, Hook, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::{
    DnsFailure as FailureParameters, DnsWrong as WrongParameters, Refusal,
};
use serde::{Deserialize, Serialize};

/// The engine's resolver in every container.
const RESOLVER: &str = "127.0.0.11";

/// Where the wrong resolver listens, and whence it asks the right one. Nobody else uses this address.
const WRONG_RESOLVER: &str = "127.0.0.53";

/// Its port: below the range of outgoing connections, above those that need a privilege.
const WRONG_PORT: u16 = 15_353;

#[derive(Serialize, Deserialize)]
struct Plan {
    spec: Spec,
    /// The name that is looked up for the proof.
    name: String,
}

/// `dns-failure`.
pub(super) struct DnsFailure {
    by: Refusal,
    held: Held,
}

impl DnsFailure {
    pub(super) fn new(parameters: &FailureParameters) -> Self {
        Self { by: parameters.by, held: Held::default() }
    }
}

#[async_trait]
impl Injector for DnsFailure {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "dns-failure").await?;
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
        Memo::of(node, &Plan { spec: Spec::of_rules(&rules), name: node.container.clone() })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.go(node).await?)
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let plan: Plan = memo.read(node)?;
        let found = self.held.resolve(node, &plan.name).await?;
        let count = taken(&self.held.count(node).await?);
        let failed = found.addresses.is_empty() && count > 0;
        Ok(failed.then(|| format!("{}: a look-up was {}, the rules counted {count} packets", node.name, found.outcome)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        Ok(self.held.undone(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }
}

/// `dns-wrong`.
pub(super) struct DnsWrong {
    parameters: WrongParameters,
    held: Held,
}

impl DnsWrong {
    pub(super) fn new(parameters: &WrongParameters) -> Self {
        Self { parameters: parameters.clone(), held: Held::default() }
    }

    fn daemon(&self) -> Daemon {
        let mut argv = vec![
            "dnsmasq".to_owned(),
            // Stays in the foreground as the user that it is, and writes no file.
            "--no-daemon".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--no-resolv".to_owned(),
            "--no-hosts".to_owned(),
            "--bind-interfaces".to_owned(),
            "--cache-size=0".to_owned(),
            format!("--listen-address={WRONG_RESOLVER}"),
            format!("--port={WRONG_PORT}"),
        ];
        let address = self.parameters.address;
        if self.parameters.names.is_empty() {
            argv.push(format!("--address=/#/{address}"));
        } else {
            argv.push(format!("--server={RESOLVER}@{WRONG_RESOLVER}"));
            argv.extend(self.parameters.names.iter().map(|name| format!("--address=/{name}/{address}")));
        }
        Daemon { argv, ready: "started".to_owned(), counts: false }
    }
}

#[async_trait]
impl Injector for DnsWrong {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "dns-wrong").await?;
        let (to, until) = (format!("{WRONG_RESOLVER}:{WRONG_PORT}"), Ruleset::expiring());
        let lead = |protocol: &str| {
            format!("-d {RESOLVER} -p {protocol} -m {protocol} --dport 53 {until} -j DNAT --to-destination {to}")
        };
        // What it does not know itself it asks the right one, who must not be led back to it.
        let own = format!("-s {WRONG_RESOLVER} -j RETURN");
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        rules.add(Table::Nat, Hook::Output, [own, lead("udp"), lead("tcp")]);
        let name = self.parameters.names.first().unwrap_or(&node.container).clone();
        Memo::of(node, &Plan { spec: Spec::of_rules(&rules).with_daemon(self.daemon()), name })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.go(node).await?)
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let plan: Plan = memo.read(node)?;
        let found = self.held.resolve(node, &plan.name).await?;
        let wrong = found.addresses == [self.parameters.address];
        Ok(wrong.then(|| format!("{}: {} is {} by a look-up", node.name, plan.name, self.parameters.address)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        Ok(self.held.undone(site, node, &memo.read::<Plan>(node)?.spec).await?)
    }
}
