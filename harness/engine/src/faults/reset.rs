//! `reset`: established TCP connections of the node are destroyed by the kernel (`ss --kill`). The other end
//! gets a reset, the node's own program is told that its connection was aborted; new ones may be made.
//!
//! Proof of effect: the connections that the kernel says it destroyed. Where there was none, there is no proof.

use super::support::{state, traffic};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use crate::toolbox::{Held, Spec};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::{Direction, Reset as Parameters};
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) struct Reset {
    parameters: Parameters,
    held: Held,
    destroyed: PerNode<usize>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    filter: String,
    peers: Vec<String>,
}

impl Reset {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone(), held: Held::default(), destroyed: PerNode::default() }
    }
}

#[async_trait]
impl Injector for Reset {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "reset").await?;
        let traffic = &self.parameters.traffic;
        if traffic.direction != Direction::Both {
            let why = "a connection has both directions; leave the direction out";
            return Err(InjectorError::impossible(node, "reset", why));
        }
        let peers = traffic::peers(site, node, traffic, "reset")?;
        Memo::of(node, &Plan { filter: traffic::connections(traffic.port, &peers), peers: peers.names })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.arm(site, node, &Spec::empty()).await?)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let plan: Plan = memo.read(node)?;
        let outputs = self.held.run(node, &[traffic::kill_connections(&plan.filter)]).await?;
        let failed = |what: &str| InjectorError::failed(node, format!("ss --kill: {what}"));
        let output = outputs.first().ok_or_else(|| failed("no output"))?;
        if output.code != 0 {
            return Err(failed(output.stderr.trim()));
        }
        let count = output.stdout.lines().filter(|line| !line.trim().is_empty()).count();
        self.destroyed.put(node, count);
        Ok(())
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let plan: Plan = memo.read(node)?;
        let peers = plan.peers.join(", ");
        match self.destroyed.get(node) {
            None => Ok(None),
            Some(0) => Err(InjectorError::failed(node, format!("it had no established connection with {peers}"))),
            Some(count) => Ok(Some(format!("{}: {count} connections with {peers} destroyed", node.name))),
        }
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        Ok(self.held.undo(site, node, &Spec::empty()).await?)
    }

    async fn undone(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        Ok(Some(format!("{}: nothing to undo, new connections were never forbidden", node.name)))
    }
}
