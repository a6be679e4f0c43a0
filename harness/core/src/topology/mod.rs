//! Topologies: plain Compose files whose services carry `x-firedrill`.
//!
//! [`compose`] reads the file as it is written, [`lower`] interpolates variables, checks every reference
//! and gives a [`Topology`]; [`Topology::nodes`] expands replicas into the nodes that will run.
//! `docs/topologies.md` lists the supported part of Compose; everything else is refused with file, line
//! and column, never ignored.

pub mod compose;
pub mod interpolate;
pub mod kind;
pub mod lower;
pub mod timeouts;

pub use kind::NodeKind;

use crate::drill::profile::TierShape;
use crate::ids::{HostName, NodeName, TierName};
use crate::source::{Source, SourceError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A topology with every variable filled in and every reference checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Name of its folder.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Services in the order of the file.
    pub services: Vec<Service>,
    /// Networks with their subnets.
    pub networks: BTreeMap<String, Subnet>,
    /// Named volumes.
    pub volumes: Vec<String>,
    /// Volumes that get a file system of their own, with its size in MiB.
    pub disks: BTreeMap<String, u32>,
    /// Machines that would be lost as a whole, with their nodes.
    pub hosts: BTreeMap<HostName, Vec<NodeName>>,
}

/// What the file asks of whoever boots it; readable before any variable is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    /// Variable that receives the first three octets of a free /24.
    pub subnet_variable: Option<String>,
    /// Variables that receive a secret, random for each run.
    pub secrets: Vec<String>,
}

/// An IPv4 subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Network address.
    pub address: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
}

impl Subnet {
    /// Number of addresses.
    pub fn size(self) -> u32 {
        1u32.checked_shl(u32::from(32 - self.prefix)).unwrap_or(u32::MAX)
    }

    /// Whether an address is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let (base, address) = (u32::from(self.address), u32::from(address));
        address >= base && address - base < self.size()
    }

    /// The address at this offset, where it is inside and neither the network nor the broadcast address.
    pub fn host(self, offset: u32) -> Option<Ipv4Addr> {
        (offset > 0 && offset < self.size() - 1).then(|| Ipv4Addr::from(u32::from(self.address) + offset))
    }
}

/// How a service is attached to a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attachment {
    /// Further names in the network's DNS.
    pub aliases: Vec<String>,
    /// Fixed address.
    pub address: Option<Ipv4Addr>,
}

/// A named volume mounted into a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Volume.
    pub volume: String,
    /// Path inside.
    pub path: String,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// A service with everything that is needed to start it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Line of the service in the file, for messages.
    pub line: u64,
    /// Image, for example `firedrill/postgres`.
    pub image: String,
    /// Build context, relative to the Compose file.
    pub context: String,
    /// Arguments to the image's entry point.
    pub command: Vec<String>,
    /// Host name; a replica's is its node name.
    pub hostname: Option<String>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Networks.
    pub networks: BTreeMap<String, Attachment>,
    /// Volumes.
    pub mounts: Vec<Mount>,
    /// Container ports to publish on 127.0.0.1, each on a free port that stays the same for the run.
    pub ports: Vec<u16>,
    /// Entries for `/etc/hosts`, `name:address`.
    pub extra_hosts: Vec<String>,
    /// Whether an init process reaps children.
    pub init: bool,
    /// Size of `/dev/shm` in bytes.
    pub shm_bytes: Option<u64>,
    /// Weight when cores are short; the engine's default is 1024.
    pub cpu_shares: Option<u32>,
    /// Kernel parameters of the container.
    pub sysctls: BTreeMap<String, String>,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Signal that stops it.
    pub stop_signal: Option<String>,
    /// Seconds that it may take to stop.
    pub stop_grace_s: Option<u32>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Number of nodes.
    pub replicas: u32,
    /// The tier that it belongs to.
    pub tier: TierName,
    /// What it is and so how it is probed.
    pub kind: NodeKind,
    /// Services whose nodes must be ready before this one is started.
    pub start_after: Vec<String>,
    /// Port at which buyers enter, for entry points.
    pub entry_port: Option<u16>,
    /// Why one node is enough.
    pub single: Option<String>,
    /// Whether its processes are started with a clock that can be skewed.
    pub faketime: bool,
}

/// A node: one container of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePlan<'a> {
    /// Its name: the service's, or `service-N` with more than one replica.
    pub name: NodeName,
    /// Its service.
    pub service: &'a Service,
    /// Its addresses by network.
    pub addresses: BTreeMap<String, Ipv4Addr>,
}

impl Topology {
    /// Reads and lowers a Compose file. `variable` gives the value of a variable, if it has one.
    pub fn parse(name: &str, source: &Source, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SourceError> {
        lower::lower(name, source, &compose::parse(source)?, &variable)
    }

    /// What the file asks of whoever boots it.
    pub fn requirements(source: &Source) -> Result<Requirements, SourceError> {
        let file = compose::parse(source)?;
        Ok(Requirements { subnet_variable: file.firedrill.subnet_variable, secrets: file.firedrill.secrets })
    }

    /// All nodes, replicas expanded, each with a fixed address in each of its networks: the one from the
    /// file, or the next free one from the upper half of the subnet. Fixed addresses are what keeps a
    /// restarted node reachable under the same address and a dead one out of the way of DNS.
    pub fn nodes(&self) -> Vec<NodePlan<'_>> {
        let mut next: BTreeMap<&str, u32> =
            self.networks.iter().map(|(name, subnet)| (name.as_str(), subnet.size() / 2)).collect();
        let mut plans = Vec::new();
        for service in &self.services {
            for replica in 1..=service.replicas {
                let name = match service.replicas {
                    1 => service.name.clone(),
                    _ => format!("{}-{replica}", service.name),
                };
                let addresses = service
                    .networks
                    .iter()
                    .filter_map(|(network, attachment)| {
                        let address = attachment.address.or_else(|| self.next_address(network, &mut next))?;
                        Some((network.clone(), address))
                    })
                    .collect();
                plans.push(NodePlan { name: NodeName::new(name), service, addresses });
            }
        }
        plans
    }

    /// The machine of a node, where the file says so.
    pub fn host_of(&self, node: &NodeName) -> Option<HostName> {
        let found = self.hosts.iter().find(|(_, nodes)| nodes.contains(node));
        found.map(|(host, _)| host.clone())
    }

    /// The service of a node.
    pub fn service_of(&self, node: &NodeName) -> Option<&Service> {
        self.nodes().into_iter().find(|plan| plan.name == *node).map(|plan| plan.service)
    }

    fn next_address<'a>(&'a self, network: &'a str, next: &mut BTreeMap<&'a str, u32>) -> Option<Ipv4Addr> {
        let subnet = self.networks.get(network)?;
        let taken: Vec<Ipv4Addr> =
            self.services.iter().filter_map(|service| service.networks.get(network).and_then(|a| a.address)).collect();
        let offset = next.get_mut(network)?;
        loop {
            let address = subnet.host(*offset)?;
            *offset += 1;
            if !taken.contains(&address) {
                return Some(address);
            }
        }
    }

    /// The tiers with the number of their nodes, in the order of the file.
    pub fn tiers(&self) -> Vec<TierShape> {
        let mut tiers: Vec<TierShape> = Vec::new();
        for service in &self.services {
            match tiers.iter_mut().find(|tier| tier.name == service.tier) {
                Some(tier) => tier.nodes += service.replicas as usize,
                None => tiers.push(TierShape {
                    name: service.tier.clone(),
                    nodes: service.replicas as usize,
                    has_roles: service.kind.has_roles(),
                    single: service.single.clone(),
                }),
            }
        }
        tiers
    }
}
