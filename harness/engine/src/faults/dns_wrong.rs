//! `dns-wrong`: somebody else answers the node in the place of the engine's resolver: a dnsmasq in the namespace. The
//! rules that lead questions to it stand before the engine's own. See [`super::support::dns`].
//!
//! Proof of effect: a look-up in the namespace gives the wrong address.

use super::support::dns::{Plan, RESOLVER};
use super::support::in_namespace::Change;
use super::{Done, Site};
use crate::stack::Node;
use crate::toolbox::{Daemon, Held, Hook, Ruleset, Spec, Table};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::DnsWrong as Parameters;

/// Where the wrong resolver listens, and whence it asks the right one. Nobody else uses this address.
const WRONG_RESOLVER: &str = "127.0.0.53";

/// Its port: below the range of outgoing connections, above those that need a privilege.
const WRONG_PORT: u16 = 15_353;

/// See the module.
pub(super) struct DnsWrong {
    parameters: Parameters,
}

impl DnsWrong {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone() }
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
impl Change for DnsWrong {
    const NAME: &'static str = "dns-wrong";

    type Plan = Plan;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Plan> {
        let (to, until) = (format!("{WRONG_RESOLVER}:{WRONG_PORT}"), Ruleset::expiring());
        let lead = |protocol: &str| {
            format!("-d {RESOLVER} -p {protocol} -m {protocol} --dport 53 {until} -j DNAT --to-destination {to}")
        };
        // What it does not know itself it asks the right one, who must not be led back to it.
        let own = format!("-s {WRONG_RESOLVER} -j RETURN");
        let mut rules = Ruleset::new(&site.stack.run, site.step);
        rules.add(Table::Nat, Hook::Output, [own, lead("udp"), lead("tcp")]);
        let name = self.parameters.names.first().unwrap_or(&node.container).clone();
        Ok(Plan { spec: Spec::of_rules(&rules).with_daemon(self.daemon()), name })
    }

    fn spec(plan: &Plan) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Plan) -> Done<Option<String>> {
        let found = held.resolve(node, &plan.name).await?;
        let wrong = found.addresses == [self.parameters.address];
        Ok(wrong.then(|| format!("{}: {} is {} by a look-up", node.name, plan.name, self.parameters.address)))
    }
}
