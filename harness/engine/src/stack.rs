//! A booted topology: its nodes, where they can be reached, and what they were made of.

use crate::disks::Disks;
use crate::docker::Engine;
use crate::images::Images;
use firedrill_core::hex::hex;
use firedrill_core::ids::{NodeName, RunId, TierName};
use firedrill_core::topology::{NodeKind, Topology};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// A node of a running stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// Its kind.
    pub kind: NodeKind,
    /// Its container, by name.
    pub container: String,
    /// Its image, by repository name.
    pub image: String,
    /// Container ports that are published on 127.0.0.1, with the host's port. They stay the same when the
    /// node is restarted.
    pub ports: BTreeMap<u16, u16>,
    /// Its addresses inside.
    pub addresses: Vec<Ipv4Addr>,
    /// Port at which buyers enter.
    pub entry_port: Option<u16>,
    /// Why one is enough.
    pub single: Option<String>,
    /// Services that must serve before this node is started.
    pub start_after: Vec<String>,
    /// Its service.
    pub service: String,
}

impl Node {
    /// Where a container port is reached from here.
    pub fn published(&self, port: u16) -> Option<SocketAddr> {
        self.ports.get(&port).map(|host| SocketAddr::from((Ipv4Addr::LOCALHOST, *host)))
    }
}

/// Secrets of a run, by variable name. Never printed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Draws a secret for every name.
    pub fn draw(names: &[String]) -> Self {
        Self(names.iter().map(|name| (name.clone(), random_hex(24))).collect())
    }

    /// One of them; empty where the topology has none of that name.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Looks a variable up.
    pub fn lookup(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Random bytes of the operating system's generator, in hexadecimal.
pub fn random_hex(bytes: usize) -> String {
    use rand::Rng;
    let mut buffer = vec![0u8; bytes];
    rand::rng().fill_bytes(&mut buffer);
    hex(&buffer)
}

/// A booted topology.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The engine it runs on.
    pub engine: Engine,
    /// The run it belongs to.
    pub run: RunId,
    /// What it was booted from.
    pub topology: Topology,
    /// SHA-256 of the Compose file.
    pub topology_sha256: String,
    /// Its nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// Its secrets.
    pub secrets: Secrets,
    /// Its images.
    pub images: Images,
    /// Its volumes with a file system of their own.
    pub disks: Disks,
}

impl Stack {
    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The nodes of a kind.
    pub fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.kind == kind)
    }

    /// The nodes at which buyers enter, with the address.
    pub fn entries(&self) -> Vec<(NodeName, SocketAddr)> {
        let entry = |node: &Node| Some((node.name.clone(), node.published(node.entry_port?)?));
        self.nodes.iter().filter_map(entry).collect()
    }
}
